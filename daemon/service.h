/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a call to the function that answers it: interfaces, methods, who may
 * call them, and how they answer.
 */
#ifndef IOMMUD_SERVICE_H
#define IOMMUD_SERVICE_H

#include <stddef.h>
#include <json-c/json.h>

#include "server.h"

struct manager;
struct why;

#define INTERFACE "org.granule.iommud"

enum method_flags {
	FOR_ADMINS = 1 << 0,	/* it changes something; others only look */
	STREAMS = 1 << 1,	/* it answers with several replies */
};

/*
 * A method. @run answers with one of the functions below, now or later; the
 * parameters have been checked against the interface.
 */
struct method {
	const char *name;
	unsigned int flags;
	void (*run)(struct manager *m, struct call *call);
};

/* The methods of INTERFACE, one table a file; each ends with an empty row. */
extern const struct method *const method_tables[];

struct service;

struct service *service_new(struct manager *m);
struct service *service_free(struct service *service);

/* For server_init(): @userdata is the struct service. */
void service_handle(struct call *call, void *userdata);

struct manager *service_manager(struct service *service);

/* The text of an interface that is built in; NULL for no such one. */
const char *interface_text(const char *name);

/* Success. @parameters are taken over; NULL are none. */
void call_reply(struct call *call, struct json_object *parameters);
void call_reply_fds(struct call *call, struct json_object *parameters,
		    const int *fds, size_t nr_fds);

/*
 * Failure, in a sentence. @err decides which error of INTERFACE it is, and
 * with it the exit status of iommuctl: see errors[].
 */
void call_fail(struct call *call, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void call_why(struct call *call, int err, const struct why *why);

/* InvalidParameter of org.varlink.service. */
void call_invalid(struct call *call, const char *parameter);

#endif
