// SPDX-License-Identifier: GPL-2.0-only
/* Records of drivers as they were, and going back to them. */
#include <stdlib.h>
#include <string.h>

#include "bind.h"
#include "claim.h"
#include "event.h"
#include "job.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "record.h"
#include "sysfs.h"
#include "undo.h"
#include "util.h"

#define RECORDS "undo"

int undo_begin(struct manager *m, const struct iommu_sys_device *dev,
	       const char *driver)
{
	struct json_object *old = record_load(m, RECORDS, dev->name);
	struct json_object *obj = js_object();
	const char *from = js_get_string(old, "to");
	int rc;

	/* Moved from one VFIO driver to another: the first one's record. */
	if (!js_get_bool(old, "bound") || !from || !dev->driver ||
	    strcmp(dev->driver, from)) {
		/* Somebody has undone that by hand. */
		json_object_put(old);
		old = NULL;
	}
	js_string(obj, "device", dev->name);
	js_string(obj, "driver", old ? js_get_string(old, "driver") :
				       dev->driver);
	js_string(obj, "driver_override",
		  old ? js_get_string(old, "driver_override") :
			dev->driver_override);
	js_string(obj, "from", old ? from : NULL);
	js_string(obj, "to", driver);
	js_bool(obj, "bound", false);
	rc = record_save(m, RECORDS, dev->name, obj);
	json_object_put(old);
	json_object_put(obj);
	return rc;
}

void undo_bound(struct manager *m, const char *device)
{
	struct json_object *obj = record_load(m, RECORDS, device);

	if (obj) {
		js_bool(obj, "bound", true);
		(void)record_save(m, RECORDS, device, obj);
		json_object_put(obj);
	}
}

void undo_cancel(struct manager *m, const char *device)
{
	struct json_object *obj = record_load(m, RECORDS, device);
	const char *from = js_get_string(obj, "from");

	if (js_get_bool(obj, "bound")) {
		/* It was not begun. */
	} else if (from) {
		js_put(obj, "to", json_object_get(js_get(obj, "from")));
		js_bool(obj, "bound", true);
		(void)record_save(m, RECORDS, device, obj);
	} else {
		record_forget(m, RECORDS, device);
	}
	json_object_put(obj);
}

void undo_forget(struct manager *m, const char *device)
{
	record_forget(m, RECORDS, device);
}

char *undo_driver(struct manager *m, const char *device)
{
	struct json_object *obj = record_load(m, RECORDS, device);
	char *driver = must_dup(js_get_string(obj, "driver"));

	json_object_put(obj);
	return driver;
}

/* ---- Going back, in a child ---- */

struct unfinished {
	struct manager *manager;
	struct claim *claim;	/* nothing else is done with it meanwhile */
	char *device, *driver, *override, *to;
};

static void go_back(void *arg, struct job_result *result)
{
	struct unfinished *u = arg;
	struct iommu_sys *sys = u->manager->sys;
	struct iommu_sys_device *dev;
	const char *override = u->override ? u->override : "\n";
	int rc;

	rc = pci_write(sys, override, "devices/%s/driver_override", u->device);
	if (!rc)
		rc = iommu_sys_device_get(sys, u->device, &dev);
	if (rc) {
		result->rc = rc;
		return;
	}
	if (dev->driver && u->driver && !strcmp(dev->driver, u->driver)) {
		iommu_sys_device_free(dev);
		return;
	}
	/* Only from the driver that we gave it to, or from none. */
	if (dev->driver && !strcmp(dev->driver, u->to))
		(void)pci_write(sys, u->device, "devices/%s/driver/unbind",
				u->device);
	if (u->driver)
		result->rc = pci_write(sys, u->device, "drivers/%s/bind",
				       u->driver);
	iommu_sys_device_free(dev);
}

static void unfinished_free(struct unfinished *u)
{
	claim_free(u->manager, u->claim);
	free(u->device);
	free(u->driver);
	free(u->override);
	free(u->to);
	free(u);
}

static void went_back(struct manager *m, void *arg, struct job_result *result)
{
	struct unfinished *u = arg;

	if (result->rc)
		event_tell(m, "failed", u->device, "binding it to %s was "
			   "interrupted, and giving it back to %s failed: %s",
			   u->to, u->driver ? u->driver : "no driver",
			   strerror(-result->rc));
	else
		event_tell(m, "unbound", u->device, "binding it to %s was "
			   "interrupted; given back to %s", u->to,
			   u->driver ? u->driver : "no driver");
	undo_cancel(m, u->device);
	claim_free(m, u->claim);
	u->claim = NULL;
	bind_hotplug(m, u->device);
	unfinished_free(u);
}

/* Names that become parts of paths. */
static bool is_part(const char *text)
{
	return !text || (*text && *text != '.' && !strchr(text, '/'));
}

static void go_back_later(struct manager *m, struct json_object *obj,
			  struct iommu_sys_device *dev)
{
	struct unfinished *u = must_alloc(sizeof(*u));
	const char *from = js_get_string(obj, "from");
	struct why w;
	int rc;

	u->manager = m;
	u->device = must_dup(dev->name);
	u->driver = must_dup(from ? from : js_get_string(obj, "driver"));
	u->override = must_dup(from ? from :
				      js_get_string(obj, "driver_override"));
	u->to = must_dup(js_get_string(obj, "to"));
	u->claim = claim_new(m, &dev, 1, "given back", &w);
	rc = job_start(m, go_back, u, went_back, NULL, 0);
	if (!rc)
		return;
	log_device(LOG_ERR, u->device, "%s: its binding was interrupted and "
		   "cannot be undone: no process can be started: %s",
		   u->device, strerror(-rc));
	unfinished_free(u);
}

static bool restore(struct manager *m, const char *path,
		    struct json_object *obj)
{
	const char *name = js_get_string(obj, "device");
	const char *to = js_get_string(obj, "to");
	struct iommu_sys_device *dev;

	if (!name || !to || !is_part(name) || !is_part(to) ||
	    !is_part(js_get_string(obj, "driver")) ||
	    !is_part(js_get_string(obj, "from"))) {
		log_warning("%s: not an undo record; removed", path);
		return false;
	}
	/* Its device may have gone while nobody looked. */
	if (iommu_sys_device_get(m->sys, name, &dev))
		return false;
	/* What somebody has was bound. */
	if (lease_of(m, name))
		undo_bound(m, name);
	else if (!js_get_bool(obj, "bound"))
		go_back_later(m, obj, dev);
	iommu_sys_device_free(dev);
	return true;
}

void undo_one(struct manager *m, const char *device)
{
	struct json_object *obj = record_load(m, RECORDS, device);

	if (!restore(m, device, obj))
		undo_forget(m, device);
	json_object_put(obj);
}

void undo_restore(struct manager *m)
{
	records_each(m, RECORDS, restore);
}
