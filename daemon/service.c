// SPDX-License-Identifier: GPL-2.0-only
/* Find the method of a call, check it, run it, and answer. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idl.h"
#include "interfaces.h"	/* made from the .varlink files */
#include "log.h"
#include "manager.h"
#include "service.h"
#include "util.h"

#define SERVICE "org.varlink.service"

static const struct {
	const char *name;
	const char *text;
} interfaces[] = {
	{ SERVICE, org_varlink_service },
	{ INTERFACE, org_granule_iommud },
};

struct service {
	struct manager *manager;
	struct idl *idl[ARRAY_LEN(interfaces)];
};

/* Errors of INTERFACE; the first that matches, and the last for all others. */
static const struct {
	int err;
	const char *name;
} errors[] = {
	{ ENOENT, "NotFound" }, { ENODEV, "NotFound" },
	{ EBUSY, "Busy" },
	{ EPERM, "PermissionDenied" }, { EACCES, "PermissionDenied" },
	{ EDQUOT, "LimitReached" }, { EMFILE, "LimitReached" },
	{ EINVAL, "Refused" }, { EEXIST, "Refused" }, { E2BIG, "Refused" },
	{ ENXIO, "NoModule" },
	{ 0, "Failed" },
};

/* ---- Answers ---- */

void call_reply_fds(struct call *call, struct json_object *parameters,
		    const int *fds, size_t nr_fds)
{
	char path[128];

	if (!parameters)
		parameters = js_object();
	/* What is promised is kept, or it is our own failure. */
	if (!idl_check(call->idl, call->spec->out, parameters, path,
		       sizeof(path))) {
		log_error("%s: the reply's '%s' is not as the interface says",
			  call->msg.method, path);
		json_object_put(parameters);
		parameters = js_object();
		js_string(parameters, "message",
			  "the daemon failed to describe the result");
		call_end(call, INTERFACE ".Failed", parameters, fds, nr_fds);
		return;
	}
	call_end(call, NULL, parameters, fds, nr_fds);
}

void call_reply(struct call *call, struct json_object *parameters)
{
	call_reply_fds(call, parameters, NULL, 0);
}

static void fail(struct call *call, int err, const char *text)
{
	struct json_object *parameters = js_object();
	char name[64];
	size_t i;

	err = abs(err);
	for (i = 0; errors[i].err && errors[i].err != err; i++)
		;
	snprintf(name, sizeof(name), INTERFACE ".%s", errors[i].name);
	js_string(parameters, "message", text);
	call_end(call, name, parameters, NULL, 0);
}

void call_fail(struct call *call, int err, const char *fmt, ...)
{
	struct why w;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.text, sizeof(w.text), fmt, ap);
	va_end(ap);
	fail(call, err, w.text);
}

void call_why(struct call *call, int err, const struct why *why)
{
	fail(call, err, why->text);
}

static void call_error(struct call *call, const char *error, const char *key,
		       const char *value)
{
	struct json_object *parameters = js_object();
	char name[64];

	snprintf(name, sizeof(name), SERVICE ".%s", error);
	if (key)
		js_string(parameters, key, value);
	call_end(call, name, parameters, NULL, 0);
}

void call_invalid(struct call *call, const char *parameter)
{
	call_error(call, "InvalidParameter", "parameter", parameter);
}

/* ---- org.varlink.service ---- */

const char *interface_text(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(interfaces); i++) {
		if (!strcmp(interfaces[i].name, name))
			return interfaces[i].text;
	}
	return NULL;
}

static void get_info(struct manager *m, struct call *call)
{
	struct json_object *reply = js_object(), *names = js_array();
	size_t i;

	(void)m;
	js_string(reply, "vendor", "Granule");
	js_string(reply, "product", "iommud");
	js_string(reply, "version", iommu_version());
	js_string(reply, "url", "");
	for (i = 0; i < ARRAY_LEN(interfaces); i++)
		js_append_string(names, interfaces[i].name);
	js_put(reply, "interfaces", names);
	call_reply(call, reply);
}

static void get_interface_description(struct manager *m, struct call *call)
{
	const char *name = js_get_string(call->msg.parameters, "interface");
	const char *text = interface_text(name);
	struct json_object *reply;

	(void)m;
	if (!text) {
		call_error(call, "InterfaceNotFound", "interface", name);
		return;
	}
	reply = js_object();
	js_string(reply, "description", text);
	call_reply(call, reply);
}

static const struct method service_methods[] = {
	{ "GetInfo", 0, get_info },
	{ "GetInterfaceDescription", 0, get_interface_description },
	{ 0 }
};

static const struct method *const service_tables[] = { service_methods, NULL };

/* ---- Finding the method ---- */

static const struct method *find_method(const struct method *const *tables,
					const char *name)
{
	const struct method *m;

	for (; *tables; tables++) {
		for (m = *tables; m->name; m++) {
			if (!strcmp(m->name, name))
				return m;
		}
	}
	return NULL;
}

static void refuse_permission(struct manager *m, struct call *call)
{
	call_fail(call, -EPERM,
		  "%s changes something, which user %u may not; ask root, or "
		  "to be taken into group %s", call->spec->name,
		  (unsigned int)call_peer(call)->uid, m->options.group);
}

static void run(struct service *s, struct call *call, const struct idl *idl,
		const struct method *const *tables, const char *name)
{
	const struct method *method = find_method(tables, name);
	char path[128];

	call->idl = idl;
	call->spec = idl_find(idl, IDL_METHOD, name);
	if (!method || !call->spec) {
		call_error(call, "MethodNotFound", "method", call->msg.method);
	} else if (call->msg.upgrade) {
		call_invalid(call, "upgrade");
	} else if (method->flags & STREAMS && !call->msg.more) {
		call_error(call, "ExpectedMore", NULL, NULL);
	} else if (method->flags & FOR_ADMINS &&
		   !peer_is_admin(call_peer(call), s->manager->admins)) {
		refuse_permission(s->manager, call);
	} else if (!idl_check(idl, call->spec->in, call->msg.parameters, path,
			      sizeof(path))) {
		call_invalid(call, path);
	} else {
		method->run(s->manager, call);
	}
}

void service_handle(struct call *call, void *userdata)
{
	const char *method = call->msg.method, *dot = strrchr(method, '.');
	struct service *s = userdata;
	char name[128];
	size_t i;

	snprintf(name, sizeof(name), "%.*s", dot ? (int)(dot - method) : 0,
		 method);
	for (i = 0; i < ARRAY_LEN(interfaces); i++) {
		if (strcmp(interfaces[i].name, name))
			continue;
		run(s, call, s->idl[i], i ? method_tables : service_tables,
		    dot + 1);
		return;
	}
	call_error(call, "InterfaceNotFound", "interface", name);
}

struct service *service_new(struct manager *m)
{
	struct service *s = must_alloc(sizeof(*s));
	int line = 0;
	size_t i;

	s->manager = m;
	for (i = 0; i < ARRAY_LEN(interfaces); i++) {
		s->idl[i] = idl_parse(interfaces[i].text, &line);
		if (!s->idl[i]) {
			log_error("%s.varlink:%d: not an interface definition",
				  interfaces[i].name, line);
			return service_free(s);
		}
	}
	return s;
}

struct service *service_free(struct service *s)
{
	size_t i;

	for (i = 0; s && i < ARRAY_LEN(interfaces); i++)
		idl_free(s->idl[i]);
	free(s);
	return NULL;
}

struct manager *service_manager(struct service *s)
{
	return s->manager;
}
