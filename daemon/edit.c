// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map and Unmap: memory into a named IOAS and out of it, also while devices are
 * using it.
 *
 * The definition in the policy, the memory the daemon keeps and what the kernel
 * has mapped change together or not at all: a child changes the kernel's part,
 * and the file, which replaces the old one in one step. The file is first to
 * lose a region and last to have it. So whoever dies on the way leaves mappings
 * which end with the IOAS, and memory that is given up then: never a definition
 * that says more than devices can reach.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "define.h"
#include "event.h"
#include "job.h"
#include "manager.h"
#include "privilege.h"
#include "space.h"
#include "util.h"

/* A call of Map or Unmap that is under way. */
struct edit {
	struct call *call;
	struct space *space;
	bool add;
	/* Map: made, and not in the space yet. Unmap: of the space, by name. */
	struct region *regions;
	size_t nr;
	struct policy *policy;	/* with the definition as it is to be */
	char *path, *text;	/* of that one's file */
	char *before;		/* its text as it is */
};

static void edit_free(struct manager *m, struct edit *e)
{
	size_t i;

	for (i = 0; e->add && i < e->nr; i++)
		region_forget(m, e->space, &e->regions[i]);
	free(e->regions);
	policy_free(e->policy);
	free(e->path);
	free(e->text);
	free(e->before);
	free(e);
}

/* ---- In the child ---- */

static int unmap(const struct edit *e, size_t i, struct why *w)
{
	const struct region *r = &e->regions[i];
	int rc = iommu_ioas_unmap(e->space->iommufd, e->space->ioas_id, r->iova,
				  r->size, NULL);

	return rc ? why(w, rc, "region %s cannot be unmapped: %s", r->name,
			strerror(-rc)) : 0;
}

static int change(const struct edit *e, bool add, size_t i, struct why *w)
{
	return add ? region_map(&e->regions[i], e->space, e->space->iommufd,
				e->space->ioas_id, w) : unmap(e, i, w);
}

/* The first @n. */
static void change_back(const struct edit *e, size_t n)
{
	struct why ignored;

	while (n--)
		(void)change(e, !e->add, n, &ignored);
}

/* All of them, or none. */
static int change_all(const struct edit *e, struct why *w)
{
	size_t i;
	int rc;

	for (i = 0; i < e->nr; i++) {
		rc = change(e, e->add, i, w);
		if (rc) {
			change_back(e, i);
			return rc;
		}
	}
	return 0;
}

static int write_definition(const struct edit *e, const char *text,
			    struct why *w)
{
	int rc = write_file(e->path, text);

	return rc ? why(w, rc, "%s cannot be written: %s", e->path,
			strerror(-rc)) : 0;
}

static void run(void *arg, struct job_result *r)
{
	const struct edit *e = arg;
	struct why ignored;

	privilege_lift_memlock();
	if (e->add) {
		r->rc = change_all(e, &r->why);
		if (r->rc)
			return;
		r->rc = write_definition(e, e->text, &r->why);
		if (r->rc)
			change_back(e, e->nr);
	} else {
		r->rc = write_definition(e, e->text, &r->why);
		if (r->rc)
			return;
		r->rc = change_all(e, &r->why);
		if (r->rc)
			(void)write_definition(e, e->before, &ignored);
	}
}

/* ---- In the daemon ---- */

/* The file is written: what it says is so from now on. */
static void apply(struct manager *m, struct edit *e)
{
	struct space *s = e->space;
	struct region *r;
	size_t i;

	for (i = 0; i < e->nr; i++) {
		r = &e->regions[i];
		event_tell(m, "policy", NULL, e->add ?
			   "IOAS %s has region %s now, at 0x%llx" :
			   "IOAS %s has no region %s any more at 0x%llx",
			   s->name, r->name, (unsigned long long)r->iova);
		if (e->add)
			region_add(s, r);
		else
			region_drop(m, s, region_find(s, r->name));
	}
	e->nr = 0;
	/*
	 * Others may have changed the policy meanwhile. If it has errors now,
	 * what was checked counts: an older one would take the change back.
	 */
	if (manager_reload(m)) {
		manager_use(m, e->policy);
		e->policy = NULL;
	}
}

/*
 * The child died: what it has mapped, and whether it came as far as the file,
 * is not known. The memory stays until the devices have gone.
 */
static void keep(struct manager *m, struct edit *e)
{
	size_t i;

	for (i = 0; e->add && i < e->nr; i++)
		region_add(e->space, &e->regions[i]);
	e->nr = 0;
	/* Unless the policy turns out to be the same. */
	e->space->behind = true;
	(void)manager_reload(m);
}

static void done(struct manager *m, void *arg, struct job_result *r)
{
	struct edit *e = arg;
	struct space *s = e->space;

	s->making = s->edited = false;
	if (!r->rc) {
		apply(m, e);
		call_reply(e->call, NULL);
	} else {
		if (r->died)
			keep(m, e);
		else if (!e->add)	/* its file may not be back */
			(void)manager_reload(m);
		call_why(e->call, r->rc, &r->why);
	}
	edit_free(m, e);
	/* From here on it may go, if nobody wants it any more. */
	s->users--;
	spaces_released(m);
}

/* No device is attached: there is nothing to change in the kernel. */
static void edit_now(struct manager *m, struct edit *e)
{
	struct why w;
	int rc = write_definition(e, e->text, &w);

	if (rc) {
		call_why(e->call, rc, &w);
	} else {
		apply(m, e);
		call_reply(e->call, NULL);
	}
	edit_free(m, e);
}

static void begin(struct manager *m, struct edit *e)
{
	struct space *s = e->space;
	int keep[POLICY_REGIONS_MAX + 1], rc;
	size_t i;

	if (s->iommufd < 0) {
		edit_now(m, e);
		return;
	}
	keep[0] = s->iommufd;
	for (i = 0; i < e->nr; i++)
		keep[i + 1] = e->regions[i].fd;
	rc = job_start(m, run, e, done, keep, e->nr + 1);
	if (!rc) {
		s->making = s->edited = true;
		s->users++;
		return;
	}
	call_fail(e->call, rc == -EAGAIN ? -EBUSY : rc,
		  "no process can be started for it: %s", strerror(-rc));
	edit_free(m, e);
}

/* ---- What a call asks for ---- */

static struct json_object *copy_of(struct json_object *obj)
{
	struct json_object *copy = NULL;

	/* Without memory the daemon ends, as everywhere. */
	if (json_object_deep_copy(obj, &copy, NULL))
		abort();
	return copy;
}

/*
 * A copy of the definition, to be changed in @ret_regions, if it is the
 * daemon's to change; NULL: the call has ended.
 */
static struct json_object *editable(struct manager *m, struct call *call,
				    struct space **ret,
				    struct json_object **ret_regions)
{
	const char *name = js_get_string(call->msg.parameters, "ioas");
	const struct policy_ioas *p = policy_find_ioas(m->policy, name);
	struct json_object *definition;
	char *path = definition_file(m, "ioas", name);
	struct space *s = p ? space_find(m, name) : NULL;

	if (!s) {
		call_fail(call, -ENOENT, "there is no IOAS '%s'", name);
	} else if (strcmp(p->origin.file, path)) {
		call_fail(call, -EINVAL, "IOAS '%s' is defined in %s:%d, which "
			  "people write; change its regions there", name,
			  p->origin.file, p->origin.line);
		s = NULL;
	} else if (s->behind) {
		call_fail(call, -EBUSY, "IOAS '%s' has been defined anew, or a "
			  "change of it was cut short, while devices use it as "
			  "it was; they have to be released first", name);
		s = NULL;
	} else if (s->iommufd < 0 && space_is_leased(m, s)) {
		call_fail(call, -EBUSY, "IOAS '%s' was made by an earlier "
			  "daemon, whose file of it is lost: what its devices "
			  "reach cannot be changed; they have to be released "
			  "first", name);
		s = NULL;
	} else if (s->making) {
		call_fail(call, -EBUSY, "IOAS '%s' is just being changed, or a "
			  "device attached to it; try again", name);
		s = NULL;
	}
	free(path);
	*ret = s;
	if (!s)
		return NULL;
	definition = copy_of(p->origin.json);
	*ret_regions = js_get(definition, "regions");
	return definition;
}

/*
 * A new edit, with @definition, which is taken over, as what it leads to; or
 * the call ends.
 */
static struct edit *edit_new(struct manager *m, struct call *call,
			     struct space *s, struct json_object *definition)
{
	const struct policy_ioas *now = policy_find_ioas(m->policy, s->name);
	struct policy_errors errors = { 0 };
	struct edit *e = must_alloc(sizeof(*e));

	e->call = call;
	e->space = s;
	e->path = definition_file(m, "ioas", s->name);
	e->text = definition_text("ioas", s->name, definition);
	json_object_put(definition);
	e->before = definition_text("ioas", s->name, now->origin.json);
	e->policy = policy_load(m->options.config, e->path, e->text, &errors);
	if (!e->policy) {
		call_invalid_policy(call, "the policy would be wrong with it, "
				    "so nothing is changed", &errors);
		edit_free(m, e);
		e = NULL;
	}
	policy_errors_done(&errors);
	return e;
}

/* Memory for what the definition has and the space does not. */
static int make_all(struct manager *m, struct edit *e, struct why *w)
{
	const struct policy_ioas *p = policy_find_ioas(e->policy,
						       e->space->name);
	struct region *r;
	size_t i;
	int fd;

	e->add = true;
	for (i = 0; i < p->nr_regions; i++) {
		if (region_find(e->space, p->regions[i].name))
			continue;
		fd = region_make(&p->regions[i], e->space, w);
		if (fd < 0)
			return fd;
		e->regions = must_grow(e->regions, e->nr + 1, sizeof(*r));
		r = &e->regions[e->nr++];
		*r = (struct region){
			.name = must_dup(p->regions[i].name), .fd = fd,
		};
		region_place(m, e->space, r, &p->regions[i]);
	}
	return 0;
}

static void map(struct manager *m, struct call *call)
{
	struct json_object *wanted = js_get(call->msg.parameters, "regions");
	struct json_object *definition, *regions;
	struct space *s;
	struct edit *e;
	struct why w;
	int rc;

	definition = editable(m, call, &s, &regions);
	if (!definition)
		return;
	json_object_object_foreach(wanted, key, value) {
		if (json_object_object_get_ex(regions, key, NULL)) {
			call_fail(call, -EEXIST, "IOAS '%s' has a region '%s' "
				  "already", s->name, key);
			json_object_put(definition);
			return;
		}
		js_put(regions, key, json_object_get(value));
	}
	e = edit_new(m, call, s, definition);
	if (!e)
		return;
	rc = make_all(m, e, &w);
	if (!rc) {
		begin(m, e);
		return;
	}
	/* Whatever memfd_create() calls it: memory is what is missing. */
	call_why(call, -ENOMEM, &w);
	edit_free(m, e);
}

static void unmap_regions(struct manager *m, struct call *call)
{
	struct json_object *names = js_get(call->msg.parameters, "regions");
	struct json_object *definition, *regions;
	struct space *s;
	struct edit *e;
	struct region *r;
	size_t i;

	definition = editable(m, call, &s, &regions);
	if (!definition)
		return;
	for (i = 0; i < js_length(names); i++) {
		const char *one = js_at_string(names, i);

		if (!json_object_object_get_ex(regions, one, NULL)) {
			call_fail(call, -ENOENT, "IOAS '%s' has no region '%s'",
				  s->name, one);
			json_object_put(definition);
			return;
		}
		json_object_object_del(regions, one);
	}
	e = edit_new(m, call, s, definition);
	if (!e)
		return;
	for (i = 0; i < js_length(names); i++) {
		r = region_find(s, js_at_string(names, i));
		if (!r)		/* there was no memory for it */
			continue;
		e->regions = must_grow(e->regions, e->nr + 1, sizeof(*r));
		e->regions[e->nr++] = *r;
	}
	begin(m, e);
}

const struct method edit_methods[] = {
	{ "Map", FOR_ADMINS, map },
	{ "Unmap", FOR_ADMINS, unmap_regions },
	{ 0 }
};
