/* SPDX-License-Identifier: GPL-2.0-only */
/* Take devices from the host's drivers, and give them back. */
#ifndef IOMMUD_BIND_H
#define IOMMUD_BIND_H

#include <stdbool.h>

struct iommu_sys_device;
struct json_object;
struct manager;
struct policy_device;
struct why;

/*
 * Told at the end, with @names that were worked on. @warnings: sentences, or
 * NULL.
 */
typedef void (*bind_done)(struct manager *m, void *userdata, int rc,
			  const struct why *why, struct json_object *names,
			  struct json_object *warnings);

/*
 * Bind devices (an array of names) to @driver, or each to the driver of its
 * rule when that is NULL: all or none. One that the host uses (a mounted disk)
 * is refused without @force. @done is called in any case, at once when it
 * cannot be begun.
 */
void bind_devices(struct manager *m, struct json_object *names,
		  const char *driver, bool force, bind_done done,
		  void *userdata);
void unbind_devices(struct manager *m, struct json_object *names,
		    bind_done done, void *userdata);

/* Bind what the policy wants bound without being told: after a (re)load. */
void bind_boot(struct manager *m);
/* The same for a device that has just appeared. */
void bind_hotplug(struct manager *m, const char *name);

/* The devices that @rule is for: an array of names. */
struct json_object *devices_of_rule(struct manager *m,
				    const struct policy_device *rule);

#endif
