/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that a call names. */
#ifndef IOMMUD_DEVICE_H
#define IOMMUD_DEVICE_H

#include <stddef.h>

struct call;
struct iommu_sys_device;
struct json_object;
struct manager;
struct why;

/* Devices, each once, in the order of their names in a call. */
struct devices {
	struct iommu_sys_device **v;
	size_t nr;
};

/* Look up an array of names; on failure @ret is empty and @why says why. */
int devices_get(struct manager *m, struct json_object *names,
		struct devices *ret, struct why *why);
/* The same for a parameter "devices"; a failure has been answered. */
int call_devices(struct manager *m, struct call *call, struct devices *ret);
void devices_done(struct devices *devices);

#endif
