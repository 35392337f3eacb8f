// SPDX-License-Identifier: GPL-2.0-only
/* Named IOASes and the memory in them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event.h"
#include "job.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "shape.h"
#include "space.h"
#include "util.h"

/* In systemd's store: "iommufd.SPACE.IOAS", besides what region.c has there. */

struct space *space_find(struct manager *m, const char *name)
{
	struct space *s;

	for (s = m->spaces; s && strcmp(s->name, name); s = s->next)
		;
	return s;
}

static struct space *space_new(struct manager *m, const char *name)
{
	struct space *s = must_alloc(sizeof(*s));

	s->name = must_dup(name);
	s->iommufd = -1;
	s->next = m->spaces;
	m->spaces = s;
	return s;
}

static void drop_iommufd(struct space *s)
{
	char *name;

	if (s->iommufd < 0)
		return;
	name = must_format("iommufd.%s.%u", s->name, s->ioas_id);
	unstore(name);
	free(name);
	close(s->iommufd);
	s->iommufd = -1;
	shape_forget(s);
}

static void space_free(struct manager *m, struct space *s)
{
	struct space **at;

	for (at = &m->spaces; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	drop_iommufd(s);
	while (s->nr_regions)
		region_drop(m, s, &s->regions[s->nr_regions - 1]);
	free(s->regions);
	free(s->name);
	free(s);
}

bool space_is_leased(struct manager *m, const struct space *s)
{
	const struct lease *lease;

	for (lease = m->leases; lease; lease = lease->next) {
		if (lease->ioas && !strcmp(lease->ioas, s->name))
			return true;
	}
	return false;
}

bool space_in_use(struct manager *m, const struct space *s)
{
	return s->users || space_is_leased(m, s);
}

/* ---- Regions ---- */

static void region_apply(struct manager *m, struct space *s,
			 const struct policy_region *p)
{
	struct region *r = region_find(s, p->name);
	struct why w;
	int fd;

	if (r && !region_is_made_of(r, p)) {
		region_drop(m, s, r);
		r = NULL;
	}
	if (!r) {
		fd = region_make(p, s, &w);
		if (fd < 0) {
			event_tell(m, "failed", NULL, "%s", w.text);
			return;
		}
		r = region_new(s, p->name, fd);
	}
	if (!region_is(r, p))
		region_place(m, s, r, p);
}

/*
 * Memory of an earlier daemon, in use since then, whose record could not be
 * written: that daemon had it from the policy as well.
 */
static void region_recall(struct region *r, const struct policy_ioas *p)
{
	size_t i;

	for (i = 0; i < p->nr_regions && !r->known; i++) {
		if (strcmp(p->regions[i].name, r->name))
			continue;
		r->iova = p->regions[i].iova;
		r->read = p->regions[i].read;
		r->write = p->regions[i].write;
		r->known = true;
	}
}

static bool region_wanted(const struct policy_ioas *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->nr_regions; i++) {
		if (!strcmp(p->regions[i].name, name))
			return true;
	}
	return false;
}

static bool space_is(const struct space *s, const struct policy_ioas *p)
{
	const struct region *r;
	size_t i;

	for (i = 0; i < p->nr_regions; i++) {
		r = region_find(s, p->regions[i].name);
		if (!r || !region_is(r, &p->regions[i]) ||
		    !region_is_made_of(r, &p->regions[i]))
			return false;
	}
	return s->nr_regions == p->nr_regions;
}

static void space_apply(struct manager *m, const struct policy_ioas *p)
{
	struct space *s = space_find(m, p->name);
	size_t i;

	if (!s)
		s = space_new(m, p->name);
	s->wanted = true;
	/* What devices are using stays as it is until they have gone. */
	if (space_in_use(m, s)) {
		for (i = 0; i < s->nr_regions; i++)
			region_recall(&s->regions[i], p);
		s->behind = !space_is(s, p);
		return;
	}
	s->behind = false;
	for (i = s->nr_regions; i; i--) {
		if (!region_wanted(p, s->regions[i - 1].name))
			region_drop(m, s, &s->regions[i - 1]);
	}
	for (i = 0; i < p->nr_regions; i++)
		region_apply(m, s, &p->regions[i]);
}

void spaces_apply(struct manager *m)
{
	struct space *s;
	size_t i;

	if (m->no_policy)
		return;
	for (s = m->spaces; s; s = s->next)
		s->wanted = false;
	for (i = 0; i < m->policy->nr_ioases; i++)
		space_apply(m, &m->policy->ioases[i]);
	spaces_released(m);
}

void spaces_released(struct manager *m)
{
	const struct policy_ioas *p;
	struct space *s, *next;

	for (s = m->spaces; s; s = next) {
		next = s->next;
		if (space_in_use(m, s))
			continue;
		/* Memory is not given up for an error in a file. */
		if (m->no_policy) {
			drop_iommufd(s);
			continue;
		}
		p = policy_find_ioas(m->policy, s->name);
		if (!s->wanted || !p) {
			space_free(m, s);
		} else if (s->iommufd >= 0 || s->behind) {
			drop_iommufd(s);
			/* What a reload changed meanwhile counts from now. */
			space_apply(m, p);
		}
	}
}

/* ---- The IOAS in the kernel ---- */

static int map_regions(const struct space *s, int iommufd, uint32_t ioas,
		       struct why *w)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < s->nr_regions && !rc; i++)
		rc = region_map(&s->regions[i], s, iommufd, ioas, w);
	return rc;
}

int space_map(const struct space *s, int iommufd, uint32_t *ret_ioas,
	      struct why *w)
{
	int rc = iommu_ioas_alloc(iommufd, ret_ioas);

	return rc ? why(w, rc, "no IOAS can be created") :
		    map_regions(s, iommufd, *ret_ioas, w);
}

/* Not known where /dev/iommu is not Granule's: then a failure tells. */
static bool is_pinned(const struct space *s, bool failed)
{
	struct iommu_ioas_info *info;
	bool pinned;

	if (iommu_ioas_get_info(s->iommufd, s->ioas_id, &info))
		return !failed;
	pinned = info->pinned_bytes;
	free(info);
	return pinned;
}

int space_revive(const struct space *s, bool failed, struct why *w)
{
	int rc;

	if (!s->nr_regions || is_pinned(s, failed))
		return 0;
	rc = iommu_ioas_unmap(s->iommufd, s->ioas_id, 0, UINT64_MAX, NULL);
	return rc ? why(w, rc, "IOAS %s cannot be mapped anew: %s", s->name,
			strerror(-rc)) :
		    map_regions(s, s->iommufd, s->ioas_id, w);
}

void space_made(struct manager *m, struct space *s, int fd, uint32_t ioas_id)
{
	char *name = must_format("iommufd.%s.%u", s->name, ioas_id);

	(void)m;
	s->iommufd = fd;
	s->ioas_id = ioas_id;
	store(name, fd);
	free(name);
}

/* ---- Over a restart ---- */

bool spaces_adopt(struct manager *m, const char *name, int fd)
{
	char kind[16], space[40], rest[40];
	struct stat st;
	struct space *s;

	if (sscanf(name, "%15[a-z].%39[^.].%39[^.]", kind, space, rest) != 3 ||
	    (strcmp(kind, "region") && strcmp(kind, "iommufd")) ||
	    !is_name(space) || !is_name(rest) || fstat(fd, &st))
		return false;
	s = space_find(m, space);
	if (s && (!strcmp(kind, "iommufd") ? s->iommufd >= 0 :
		  s->nr_regions == POLICY_REGIONS_MAX || region_find(s, rest)))
		return false;
	if (!s)
		s = space_new(m, space);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (!strcmp(kind, "iommufd")) {
		s->iommufd = fd;
		s->ioas_id = strtoul(rest, NULL, 10);
	} else {
		region_new(s, rest, fd)->size = st.st_size;
	}
	return true;
}

void spaces_done(struct manager *m)
{
	struct space *s;

	/* The store keeps its copies: close ours without telling. */
	while ((s = m->spaces)) {
		m->spaces = s->next;
		if (s->iommufd >= 0)
			close(s->iommufd);
		shape_forget(s);
		while (s->nr_regions) {
			close(s->regions[--s->nr_regions].fd);
			free(s->regions[s->nr_regions].name);
		}
		free(s->regions);
		free(s->name);
		free(s);
	}
}

/* ---- Methods ---- */

/* @fd: the index of its descriptor among those of the reply; -1: none. */
static void put_region(struct json_object *array, const struct region *r,
		       long fd)
{
	struct json_object *obj = js_object();

	js_string(obj, "name", r->name);
	js_address(obj, "iova", r->iova);
	js_number(obj, "size", r->size);
	js_bool(obj, "read", r->read);
	js_bool(obj, "write", r->write);
	if (fd >= 0)
		js_number(obj, "fd", fd);
	js_append(array, obj);
}

bool space_give(const struct space *s, struct json_object *reply, int *fds,
		size_t *nr)
{
	struct json_object *array = js_array();
	size_t i;
	int fd;

	js_put(reply, "regions", array);
	for (i = 0; s && i < s->nr_regions; i++) {
		fd = *nr < FDS_MAX ?
			     fcntl(s->regions[i].fd, F_DUPFD_CLOEXEC, 3) : -1;
		if (fd < 0)
			return false;
		put_region(array, &s->regions[i], *nr);
		fds[(*nr)++] = fd;
	}
	return true;
}

static void list_ioases(struct manager *m, struct call *call)
{
	struct json_object *reply = js_object(), *array = js_array();
	const struct lease *lease;
	const struct space *s;
	size_t i;

	for (s = m->spaces; s; s = s->next) {
		struct json_object *obj = js_object(), *devices = js_array();
		struct json_object *regions = js_array();

		js_string(obj, "name", s->name);
		for (i = 0; i < s->nr_regions; i++)
			put_region(regions, &s->regions[i], -1);
		js_put(obj, "regions", regions);
		for (lease = m->leases; lease; lease = lease->next) {
			if (lease->ioas && !strcmp(lease->ioas, s->name))
				js_append_string(devices, lease->device);
		}
		js_put(obj, "devices", devices);
		shape_put(s, obj);
		js_append(array, obj);
	}
	js_put(reply, "ioases", array);
	call_reply(call, reply);
}

/* The memory alone, for who works on it without a device. */
static void open_ioas(struct manager *m, struct call *call)
{
	const char *name = js_get_string(call->msg.parameters, "name");
	const struct policy_ioas *p = policy_find_ioas(m->policy, name);
	struct space *s = space_find(m, name);
	struct json_object *reply;
	int fds[FDS_MAX];
	size_t nr = 0;

	if (!p || !s) {
		call_fail(call, -ENOENT, "there is no IOAS '%s'", name);
		return;
	}
	if (!policy_is_owner(&p->owners, call_peer(call)) &&
	    !peer_is_admin(call_peer(call), m->admins)) {
		call_fail(call, -EPERM, "user %u may not open IOAS '%s': its "
			  "definition in %s names other owners",
			  (unsigned int)call_peer(call)->uid, name,
			  p->origin.file);
		return;
	}
	reply = js_object();
	if (space_give(s, reply, fds, &nr)) {
		call_reply_fds(call, reply, fds, nr);
		return;
	}
	fds_close(fds, &nr);
	json_object_put(reply);
	call_fail(call, -EMFILE, "the daemon is out of file descriptors");
}

const struct method space_methods[] = {
	{ "ListIoases", 0, list_ioases },
	{ "OpenIoas", 0, open_ioas },
	{ 0 }
};
