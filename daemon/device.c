// SPDX-License-Identifier: GPL-2.0-only
/* List devices, and see what keeps them from being given away. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "lease.h"
#include "manager.h"
#include "util.h"

int devices_get(struct manager *m, struct json_object *names,
		struct devices *ret, struct why *w)
{
	struct iommu_sys_device *dev;
	struct devices found = { 0 };
	const char *name;
	size_t i, j;
	int rc;

	*ret = (struct devices){ 0 };
	if (!js_length(names))
		return why(w, -EINVAL, "no device is named");
	if (js_length(names) > 64)
		return why(w, -E2BIG, "more than 64 devices in one call");
	found.v = must_alloc(js_length(names) * sizeof(*found.v));
	for (i = 0; i < js_length(names); i++) {
		name = js_at_string(names, i);
		rc = iommu_sys_device_get(m->sys, name, &dev);
		if (rc) {
			devices_done(&found);
			return rc == -EINVAL ?
			       why(w, rc, "'%s' is no device; it looks like "
				   "0000:00:03.0 or vfio0", name) :
			       rc == -ENODEV ?
			       why(w, rc, "there is no device %s", name) :
			       why(w, rc, "device %s cannot be read: %s", name,
				   strerror(-rc));
		}
		for (j = 0; j < found.nr && strcmp(found.v[j]->name, dev->name);
		     j++)
			;
		if (j < found.nr)
			iommu_sys_device_free(dev);
		else
			found.v[found.nr++] = dev;
	}
	*ret = found;
	return 0;
}

int call_devices(struct manager *m, struct call *call, struct devices *ret)
{
	struct why w;
	int rc = devices_get(m, js_get(call->msg.parameters, "devices"), ret,
			     &w);

	if (rc)
		call_why(call, rc, &w);
	return rc;
}

void devices_done(struct devices *devices)
{
	while (devices->nr)
		iommu_sys_device_free(devices->v[--devices->nr]);
	free(devices->v);
	*devices = (struct devices){ 0 };
}

/* ---- ListDevices ---- */

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* The groups in which a driver of the host is, ascending. */
static long *busy_groups(struct iommu_sys_device *const *devs, size_t nr,
			 size_t *ret_nr)
{
	long *busy = must_alloc((nr + 1) * sizeof(*busy));
	size_t i, n = 0;

	for (i = 0; i < nr; i++) {
		if (devs[i]->group >= 0 && iommu_sys_device_blocks(devs[i]))
			busy[n++] = devs[i]->group;
	}
	qsort(busy, n, sizeof(*busy), by_value);
	*ret_nr = n;
	return busy;
}

static struct json_object *describe(struct manager *m,
				    const struct iommu_sys_device *dev,
				    const long *busy, size_t nr_busy)
{
	const struct policy_device *rule = policy_for_device(m->policy, dev);
	const struct lease *lease = lease_of(m, dev->name);
	struct json_object *obj = iommu_json_device(dev);

	if (!obj)
		abort();
	if (dev->group < 0)
		js_put(obj, "viable", NULL);
	else
		js_bool(obj, "viable", !bsearch(&dev->group, busy, nr_busy,
						sizeof(*busy), by_value));
	js_string(obj, "definition", rule ? rule->name : NULL);
	js_put(obj, "lease", lease ? lease_to_json(lease) : NULL);
	return obj;
}

static void list_devices(struct manager *m, struct call *call)
{
	const char *only = js_get_string(call->msg.parameters, "device");
	struct json_object *reply, *array;
	struct iommu_sys_device **devs;
	char name[16] = "";
	size_t nr, nr_busy, i;
	long *busy;
	int rc = 0;

	if (only)
		rc = iommu_sys_device_name(m->sys, only, name);
	if (rc) {
		call_fail(call, -ENODEV, "there is no device %s", only);
		return;
	}
	rc = iommu_sys_devices(m->sys, 0, &devs, &nr);
	if (rc) {
		call_fail(call, rc, "the devices cannot be listed: %s",
			  strerror(-rc));
		return;
	}
	busy = busy_groups(devs, nr, &nr_busy);
	reply = js_object();
	array = js_array();
	for (i = 0; i < nr; i++) {
		if (!only || !strcmp(devs[i]->name, name))
			js_append(array, describe(m, devs[i], busy, nr_busy));
	}
	js_put(reply, "devices", array);
	free(busy);
	iommu_sys_devices_free(devs, nr);
	call_reply(call, reply);
}

/* ---- Preflight ---- */

struct checks {
	struct manager *m;
	const struct devices *devices;
	struct json_object *array;
	bool good;
};

__attribute__((format(printf, 5, 6)))
static void add_check(struct checks *c, const char *device, const char *name,
		      bool good, const char *fmt, ...)
{
	struct json_object *obj = js_object();
	struct why text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	js_string(obj, "device", device);
	js_string(obj, "name", name);
	js_bool(obj, "good", good);
	js_string(obj, "message", text.text);
	js_append(c->array, obj);
	c->good &= good;
}

static bool among(const struct devices *devices, const char *name)
{
	size_t i;

	for (i = 0; i < devices->nr; i++) {
		if (!strcmp(devices->v[i]->name, name))
			return true;
	}
	return false;
}

static void check_group(struct checks *c, const struct iommu_sys_device *dev)
{
	struct iommu_sys_group *group;
	const struct iommu_sys_device *other;
	bool good = true;
	size_t i;

	if (iommu_sys_group_get(c->m->sys, dev->group, &group))
		return;
	for (i = 0; i < group->nr_devices; i++) {
		other = group->devices[i];
		if (!iommu_sys_device_blocks(other) ||
		    among(c->devices, other->name))
			continue;
		add_check(c, dev->name, "group", false,
			  "%s in group %ld is driven by %s; bind both in one "
			  "go, or unbind that driver", other->name, group->id,
			  other->driver);
		good = false;
	}
	if (good)
		add_check(c, dev->name, "group", true,
			  "group %ld: no driver of the host is left in it",
			  group->id);
	iommu_sys_group_free(group);
}

static void check_device(struct checks *c, const struct iommu_sys_device *dev)
{
	const struct policy_device *rule = policy_for_device(c->m->policy, dev);
	const char *driver = rule ? rule->driver : "vfio-pci";
	char path[128], use[100];

	if (dev->group < 0) {
		add_check(c, dev->name, "iommu", false,
			  "not behind an IOMMU; switch it on in the firmware "
			  "and on the kernel's command line (intel_iommu=on)");
	} else {
		add_check(c, dev->name, "iommu", true, "behind %s",
			  dev->iommu ? dev->iommu : "an IOMMU");
		check_group(c, dev);
	}
	if (!iommu_sys_device_blocks(dev) ||
	    !iommu_host_uses(c->m->sys, dev->name, use, sizeof(use)))
		add_check(c, dev->name, "use", true,
			  "nothing of the host is seen to use it");
	else
		add_check(c, dev->name, "use", false, "driven by %s, and the "
			  "host uses it: %s; put an end to that first",
			  dev->driver, use);
	if (dev->reset_method)
		add_check(c, dev->name, "reset", true, "can be reset: %s",
			  dev->reset_method);
	else
		add_check(c, dev->name, "reset", false,
			  "cannot be reset; what one user leaves in it the "
			  "next one finds, so give it to one owner only");
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	if (!access(iommu_sys_path(c->m->sys, path), F_OK))
		add_check(c, dev->name, "driver", true, "%s is loaded", driver);
	else
		add_check(c, dev->name, "driver", false,
			  "there is no driver %s; load its module "
			  "('modprobe %s')", driver, driver);
	if (!access(iommu_sys_path(c->m->sys, "/dev/iommu"), F_OK))
		add_check(c, dev->name, "module", true, "/dev/iommu is there");
	else
		add_check(c, dev->name, "module", false, "there is no "
			  "/dev/iommu; load the module ('modprobe granule')");
}

static void preflight(struct manager *m, struct call *call)
{
	struct json_object *reply;
	struct devices devices;
	struct checks c = { .m = m, .devices = &devices, .good = true };
	size_t i;

	if (call_devices(m, call, &devices))
		return;
	c.array = js_array();
	for (i = 0; i < devices.nr; i++)
		check_device(&c, devices.v[i]);
	devices_done(&devices);
	reply = js_object();
	js_bool(reply, "good", c.good);
	js_put(reply, "checks", c.array);
	call_reply(call, reply);
}

const struct method device_methods[] = {
	{ "ListDevices", 0, list_devices },
	{ "Preflight", 0, preflight },
	{ 0 }
};
