// SPDX-License-Identifier: GPL-2.0-only
/* Definitions of the policy: list, write, remove, read again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind.h"
#include "define.h"
#include "event.h"
#include "job.h"
#include "lease.h"
#include "manager.h"
#include "space.h"
#include "util.h"
#include "watch.h"

/* Under which key a kind of definition is in a file. */
static const struct {
	const char *kind;
	const char *key;
} kinds[] = {
	{ "device", "devices" },
	{ "ioas", "ioases" },
	{ "limit", "limits" },
};

static const char *key_of(const char *kind)
{
	size_t i;

	for (i = 0; strcmp(kinds[i].kind, kind); i++)
		;
	return kinds[i].key;
}

void call_invalid_policy(struct call *call, const char *message,
			 const struct policy_errors *errors)
{
	struct json_object *parameters = js_object();

	js_string(parameters, "message", message);
	js_put(parameters, "errors", errors_to_json(errors));
	call_end(call, INTERFACE ".InvalidPolicy", parameters, NULL, 0);
}

/* ---- ListDefinitions ---- */

static void put(struct json_object *array, const char *kind, const char *name,
		const struct policy_origin *origin, struct json_object *devices)
{
	struct json_object *obj = js_object();

	js_string(obj, "kind", kind);
	js_string(obj, "name", name);
	js_string(obj, "file", origin->file);
	js_number(obj, "line", origin->line);
	js_put(obj, "definition", json_object_get(origin->json));
	js_put(obj, "devices", devices);
	js_append(array, obj);
}

static void list_definitions(struct manager *m, struct call *call)
{
	struct json_object *reply = js_object(), *array = js_array();
	const struct policy *p = m->policy;
	size_t i;

	for (i = 0; i < p->nr_devices; i++)
		put(array, "device", p->devices[i].name, &p->devices[i].origin,
		    devices_of_rule(m, &p->devices[i]));
	for (i = 0; i < p->nr_ioases; i++)
		put(array, "ioas", p->ioases[i].name, &p->ioases[i].origin,
		    js_array());
	for (i = 0; i < p->nr_limits; i++)
		put(array, "limit", p->limits[i].name, &p->limits[i].origin,
		    js_array());
	js_put(reply, "definitions", array);
	call_reply(call, reply);
}

/* ---- Define, Undefine ---- */

static const struct policy_origin *find(const struct policy *p,
					const char *kind, const char *name)
{
	size_t i;

	if (!strcmp(kind, "device")) {
		const struct policy_device *dev = policy_find_device(p, name);

		return dev ? &dev->origin : NULL;
	}
	if (!strcmp(kind, "ioas")) {
		const struct policy_ioas *ioas = policy_find_ioas(p, name);

		return ioas ? &ioas->origin : NULL;
	}
	for (i = 0; i < p->nr_limits; i++) {
		if (!strcmp(p->limits[i].name, name))
			return &p->limits[i].origin;
	}
	return NULL;
}

char *definition_file(const struct manager *m, const char *kind,
		      const char *name)
{
	return must_format("%s/iommud.d/%s-%s.json", m->options.config, kind,
			   strcmp(name, "*") ? name : "others");
}

char *definition_text(const char *kind, const char *name,
		      struct json_object *definition)
{
	struct json_object *top = js_object(), *map = js_object();
	char *text;

	js_put(map, name, json_object_get(definition));
	js_number(top, "version", 1);
	js_put(top, key_of(kind), map);
	text = must_format("%s\n", json_object_to_json_string_ext(top,
				JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
	return text;
}

/* Map and Unmap write the definition, too; the call ends then. */
static bool is_edited(struct manager *m, struct call *call, const char *kind,
		      const char *name)
{
	const struct space *s = strcmp(kind, "ioas") ? NULL :
						       space_find(m, name);

	if (!s || !s->edited)
		return false;
	call_fail(call, -EBUSY, "IOAS '%s' is just being changed; try again",
		  name);
	return true;
}

static void define(struct manager *m, struct call *call)
{
	struct json_object *p = call->msg.parameters;
	const char *kind = js_get_string(p, "kind");
	const char *name = js_get_string(p, "name");
	struct policy_errors errors = { 0 };
	struct policy *policy;
	char *path, *text;
	int rc;

	if (!is_name(name) && (strcmp(kind, "limit") || strcmp(name, "*"))) {
		call_invalid(call, "name");
		return;
	}
	if (is_edited(m, call, kind, name))
		return;
	path = definition_file(m, kind, name);
	text = definition_text(kind, name, js_get(p, "definition"));
	policy = policy_load(m->options.config, path, text, &errors);
	if (!policy) {
		call_invalid_policy(call, "the policy would be wrong with it, "
				    "so nothing is written", &errors);
		goto out;
	}
	rc = write_file(path, text);
	if (rc) {
		policy_free(policy);
		call_fail(call, rc, "%s cannot be written: %s", path,
			  strerror(-rc));
		goto out;
	}
	manager_apply(m, policy);
	event_tell(m, "policy", NULL, "%s %s is defined in %s", kind, name,
		   path);
	call_reply(call, NULL);
out:
	policy_errors_done(&errors);
	free(path);
	free(text);
}

static void undefine(struct manager *m, struct call *call)
{
	struct json_object *p = call->msg.parameters;
	const char *kind = js_get_string(p, "kind");
	const char *name = js_get_string(p, "name");
	const struct policy_origin *origin = find(m->policy, kind, name);
	struct policy_errors errors = { 0 };
	struct policy *policy;
	char *path;

	if (is_edited(m, call, kind, name))
		return;
	path = definition_file(m, kind, name);
	if (!origin) {
		call_fail(call, -ENOENT, "no %s '%s' is defined", kind, name);
	} else if (strcmp(origin->file, path)) {
		call_fail(call, -EINVAL, "%s '%s' is defined in %s:%d, which "
			  "people write; remove it there", kind, name,
			  origin->file, origin->line);
	} else if (!(policy = policy_load(m->options.config, path, NULL,
					  &errors))) {
		call_invalid_policy(call, "the policy would be wrong without "
				    "it, so it stays", &errors);
	} else if (unlink(path)) {
		call_fail(call, -errno, "%s cannot be removed: %s", path,
			  strerror(errno));
		policy_free(policy);
	} else {
		manager_apply(m, policy);
		event_tell(m, "policy", NULL, "%s %s is no longer defined",
			   kind, name);
		call_reply(call, NULL);
	}
	policy_errors_done(&errors);
	free(path);
}

/* ---- CheckPolicy, Reload, GetStatus ---- */

static void check_policy(struct manager *m, struct call *call)
{
	struct json_object *reply = js_object();
	struct policy_errors errors = { 0 };

	policy_free(policy_load(m->options.config, NULL, NULL, &errors));
	js_put(reply, "errors", errors_to_json(&errors));
	policy_errors_done(&errors);
	call_reply(call, reply);
}

static void reload(struct manager *m, struct call *call)
{
	if (manager_reload(m))
		call_invalid_policy(call, "the policy is wrong, so the old one "
				    "stays", &m->errors);
	else
		call_reply(call, NULL);
}

static void get_status(struct manager *m, struct call *call)
{
	struct json_object *reply = js_object();
	const struct lease *lease;
	size_t nr = 0;

	js_string(reply, "version", iommu_version());
	js_put(reply, "policy_errors", errors_to_json(&m->errors));
	js_number(reply, "definitions", m->policy->nr_devices +
		  m->policy->nr_ioases + m->policy->nr_limits);
	for (lease = m->leases; lease; lease = lease->next)
		nr++;
	js_number(reply, "leases", nr);
	js_number(reply, "connections", m->server.nr_conns);
	js_bool(reply, "listens", watch_listens(m));
	js_number(reply, "jobs", jobs_count(m));
	call_reply(call, reply);
}

const struct method define_methods[] = {
	{ "GetStatus", 0, get_status },
	{ "ListDefinitions", 0, list_definitions },
	{ "Define", FOR_ADMINS, define },
	{ "Undefine", FOR_ADMINS, undefine },
	{ "CheckPolicy", FOR_ADMINS, check_policy },
	{ "Reload", FOR_ADMINS, reload },
	{ 0 }
};
