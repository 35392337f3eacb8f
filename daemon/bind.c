// SPDX-License-Identifier: GPL-2.0-only
/* Bind and unbind, by call, by policy and by hotplug. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bind.h"
#include "claim.h"
#include "device.h"
#include "event.h"
#include "job.h"
#include "lease.h"
#include "manager.h"
#include "retry.h"
#include "undo.h"
#include "util.h"

/* One piece of work on some devices. */
struct task {
	struct manager *manager;
	struct devices devices;
	struct json_object *names;	/* theirs */
	struct json_object *warnings;	/* of binding; NULL: it is unbinding */
	struct claim *claim;
	char *driver;
	bool force;			/* what the host uses as well */
	bind_done done;
	void *userdata;
};

static void task_end(struct task *t, int rc, const struct why *why)
{
	claim_free(t->manager, t->claim);
	t->done(t->manager, t->userdata, rc, why, t->names, t->warnings);
	json_object_put(t->names);
	json_object_put(t->warnings);
	devices_done(&t->devices);
	free(t->driver);
	free(t);
}

static int check_not_leased(struct task *t, struct why *w)
{
	const struct lease *lease;
	struct why who;
	size_t i;

	for (i = 0; i < t->devices.nr; i++) {
		lease = lease_of(t->manager, t->devices.v[i]->name);
		if (lease)
			return why(w, -EBUSY, "%s is in use: %s; end that "
				   "process first", lease->device,
				   lease_holder(lease, &who));
	}
	return 0;
}

/* Look up the devices and claim them. */
static struct task *task_new(struct manager *m, struct json_object *names,
			     const char *what, bind_done done, void *userdata)
{
	struct task *t = must_alloc(sizeof(*t));
	struct why w;
	size_t i;
	int rc;

	t->manager = m;
	t->done = done;
	t->userdata = userdata;
	t->names = js_array();
	rc = devices_get(m, names, &t->devices, &w);
	for (i = 0; i < t->devices.nr; i++)
		js_append_string(t->names, t->devices.v[i]->name);
	if (!rc)
		rc = check_not_leased(t, &w);
	if (!rc) {
		t->claim = claim_new(m, t->devices.v, t->devices.nr, what, &w);
		rc = t->claim ? 0 : -EBUSY;
	}
	if (rc) {
		task_end(t, rc, &w);
		return NULL;
	}
	return t;
}

/* ---- Binding ---- */

/* Some of them may have the driver already. */
static bool is_bound(const struct task *t, size_t i)
{
	const struct iommu_sys_device *dev = t->devices.v[i];

	return dev->driver && !strcmp(dev->driver, t->driver);
}

static void run_bind(void *arg, struct job_result *result)
{
	struct task *t = arg;
	const char *names[64];
	struct iommu_why w = { "" };
	size_t i;

	for (i = 0; i < t->devices.nr; i++)
		names[i] = t->devices.v[i]->name;
	result->rc = iommu_device_bind(t->manager->sys, names, t->devices.nr,
				       t->driver,
				       t->force ? IOMMU_BIND_FORCE : 0, &w);
	why(&result->why, 0, "%s", w.text);
}

static void bound(struct manager *m, void *arg, struct job_result *result)
{
	struct task *t = arg;
	size_t i;

	/* Undoing what it began claims them again. */
	if (result->died)
		t->claim = claim_free(m, t->claim);
	for (i = 0; i < t->devices.nr; i++) {
		const char *name = t->devices.v[i]->name;

		if (is_bound(t, i))
			continue;
		if (!result->rc) {
			undo_bound(m, name);
			event_tell(m, "bound", name, "bound to %s", t->driver);
		} else if (result->died) {
			undo_one(m, name);
		} else {
			/* The child has undone it. */
			undo_cancel(m, name);
		}
	}
	task_end(t, result->rc, &result->why);
}

/* The driver of all their rules. */
static int common_driver(struct task *t, struct why *w)
{
	const struct policy_device *rule;
	const char *driver;
	size_t i;

	for (i = 0; i < t->devices.nr; i++) {
		rule = policy_for_device(t->manager->policy, t->devices.v[i]);
		driver = rule ? rule->driver : "vfio-pci";
		if (!t->driver)
			t->driver = must_dup(driver);
		else if (strcmp(t->driver, driver))
			return why(w, -EINVAL, "%s is to get driver %s, and %s "
				   "driver %s; bind them one after the other",
				   t->devices.v[0]->name, t->driver,
				   t->devices.v[i]->name, driver);
	}
	return 0;
}

static int check_reset(struct task *t, struct why *w)
{
	const struct policy_device *rule;
	const struct iommu_sys_device *dev;
	char *text;
	size_t i;

	for (i = 0; i < t->devices.nr; i++) {
		dev = t->devices.v[i];
		if (dev->reset_method)
			continue;
		rule = policy_for_device(t->manager->policy, dev);
		if (rule && rule->reset == RESET_REQUIRED)
			return why(w, -EINVAL, "%s cannot be reset, and its "
				   "definition '%s' requires that", dev->name,
				   rule->name);
		text = must_format("%s cannot be reset: what one user leaves "
				   "in it the next one finds; give it to one "
				   "owner only", dev->name);
		js_append_string(t->warnings, text);
		free(text);
	}
	return 0;
}

static void cancel_records(struct task *t)
{
	size_t i;

	for (i = 0; i < t->devices.nr; i++) {
		if (!is_bound(t, i))
			undo_cancel(t->manager, t->devices.v[i]->name);
	}
}

/* If the daemon dies while it works, this is what its successor undoes. */
static int write_records(struct task *t, struct why *w)
{
	size_t i;
	int rc;

	for (i = 0; i < t->devices.nr; i++) {
		if (is_bound(t, i))
			continue;
		rc = undo_begin(t->manager, t->devices.v[i], t->driver);
		if (rc)
			return why(w, rc, "the undo record of %s cannot be "
				   "written to %s: %s", t->devices.v[i]->name,
				   t->manager->options.state, strerror(-rc));
	}
	return 0;
}

void bind_devices(struct manager *m, struct json_object *names,
		  const char *driver, bool force, bind_done done,
		  void *userdata)
{
	struct task *t = task_new(m, names, "bound", done, userdata);
	struct why w;
	int rc = 0;

	if (!t)
		return;
	t->warnings = js_array();
	t->driver = must_dup(driver);
	t->force = force;
	if (!t->driver)
		rc = common_driver(t, &w);
	if (!rc)
		rc = check_reset(t, &w);
	if (!rc) {
		rc = write_records(t, &w);
		if (!rc && (rc = job_start(m, run_bind, t, bound, NULL, 0)))
			why(&w, rc, "no process can be started for it: %s",
			    strerror(-rc));
		if (rc)
			cancel_records(t);
	}
	if (rc)
		task_end(t, rc, &w);
}

/* ---- Unbinding ---- */

static void run_unbind(void *arg, struct job_result *result)
{
	struct task *t = arg;
	struct iommu_sys *sys = t->manager->sys;
	struct iommu_why w = { "" };
	size_t i;

	for (i = 0; i < t->devices.nr; i++) {
		const struct iommu_sys_device *dev = t->devices.v[i];

		/* The kernel would wait for whoever has it. */
		if (dev->node && device_take_back(sys, dev->node) == -EBUSY) {
			result->rc = why(&result->why, -EBUSY,
					 "%s is in use by a process that did "
					 "not get it from iommud; end that "
					 "process first", dev->name);
			return;
		}
	}
	for (i = 0; i < t->devices.nr && !result->rc; i++)
		result->rc = iommu_device_unbind(sys, t->devices.v[i]->name,
						 &w);
	why(&result->why, 0, "%s", w.text);
}

static void unbound(struct manager *m, void *arg, struct job_result *result)
{
	struct task *t = arg;
	struct iommu_sys_device *now;
	const char *name;
	char *before;
	size_t i;

	for (i = 0; i < t->devices.nr; i++) {
		name = t->devices.v[i]->name;
		if (iommu_sys_device_get(m->sys, name, &now))
			continue;
		/* Those in front of the one that failed have gone over. */
		if (!now->vfio && t->devices.v[i]->vfio) {
			before = undo_driver(m, name);
			event_tell(m, "unbound", name, "given back to the "
				   "host: driver %s, before it was %s",
				   now->driver ? now->driver : "none",
				   before ? before : "none");
			undo_forget(m, name);
			free(before);
		}
		iommu_sys_device_free(now);
	}
	task_end(t, result->rc, &result->why);
}

void unbind_devices(struct manager *m, struct json_object *names,
		    bind_done done, void *userdata)
{
	struct task *t = task_new(m, names, "unbound", done, userdata);
	struct why w;
	int rc;

	if (!t)
		return;
	rc = job_start(m, run_unbind, t, unbound, NULL, 0);
	if (rc) {
		why(&w, rc, "no process can be started for it: %s",
		    strerror(-rc));
		task_end(t, rc, &w);
	}
}

/* ---- By policy ---- */

struct json_object *devices_of_rule(struct manager *m,
				    const struct policy_device *rule)
{
	struct json_object *names = js_array();
	struct iommu_sys_device **devs;
	size_t nr, i;

	if (iommu_sys_devices(m->sys, IOMMU_SYS_BRIEF, &devs, &nr))
		return names;
	for (i = 0; i < nr; i++) {
		if (policy_for_device(m->policy, devs[i]) == rule)
			js_append_string(names, devs[i]->name);
	}
	iommu_sys_devices_free(devs, nr);
	return names;
}

static void policy_bound(struct manager *m, void *userdata, int rc,
			 const struct why *why, struct json_object *names,
			 struct json_object *warnings)
{
	unsigned int ms = 0;
	size_t i;

	(void)userdata;
	(void)warnings;
	for (i = 0; i < js_length(names); i++) {
		if (!rc || rc == -EINVAL)
			retry_forget(m, js_at_string(names, i));
		else
			ms = retry_later(m, js_at_string(names, i));
	}
	if (ms)
		event_tell(m, "failed", js_at_string(names, 0),
			   "not bound as the policy says: %s; the next try is "
			   "in %u.%u s", why->text, ms / 1000, ms / 100 % 10);
	else if (rc)
		event_tell(m, "failed", js_at_string(names, 0),
			   "not bound as the policy says: %s", why->text);
}

/* Does the policy want it bound, and is it not? */
static bool wanted(struct manager *m, const struct iommu_sys_device *dev)
{
	const struct policy_device *rule = policy_for_device(m->policy, dev);

	return rule && rule->start == START_BOOT &&
	       !(dev->driver && !strcmp(dev->driver, rule->driver));
}

/* Devices of one group go together, or the group would not be viable. */
static void bind_group(struct manager *m, struct iommu_sys_device *const *devs,
		       size_t nr, size_t first)
{
	struct json_object *names = js_array();
	size_t i;

	for (i = first; i < nr; i++) {
		if (i == first || (devs[first]->group >= 0 &&
				   devs[i]->group == devs[first]->group &&
				   wanted(m, devs[i])))
			js_append_string(names, devs[i]->name);
	}
	bind_devices(m, names, NULL, false, policy_bound, NULL);
	json_object_put(names);
}

static void bind_wanted(struct manager *m, const char *only)
{
	struct iommu_sys_device **devs;
	size_t nr, i;

	if (iommu_sys_devices(m->sys, IOMMU_SYS_BRIEF, &devs, &nr))
		return;
	for (i = 0; i < nr; i++) {
		if (only && strcmp(devs[i]->name, only))
			continue;
		if (!wanted(m, devs[i]))
			retry_forget(m, devs[i]->name);
		else if (!is_claimed(m, devs[i]))
			bind_group(m, devs, nr, i);
		else
			(void)retry_later(m, devs[i]->name);
	}
	iommu_sys_devices_free(devs, nr);
}

void bind_boot(struct manager *m)
{
	bind_wanted(m, NULL);
}

void bind_hotplug(struct manager *m, const char *name)
{
	bind_wanted(m, name);
}

/* ---- Methods ---- */

static void replied(struct manager *m, void *userdata, int rc,
		    const struct why *why, struct json_object *names,
		    struct json_object *warnings)
{
	struct call *call = userdata;
	struct json_object *reply;
	bool rule = js_get(call->msg.parameters, "name") != NULL;

	(void)m;
	if (rc) {
		call_why(call, rc, why);
		return;
	}
	reply = js_object();
	if (rule)
		js_put(reply, "devices", json_object_get(names));
	if (warnings)
		js_put(reply, "warnings", json_object_get(warnings));
	call_reply(call, reply);
}

static void call_bind(struct manager *m, struct call *call)
{
	const char *driver = js_get_string(call->msg.parameters, "driver");

	if (driver && !is_name(driver))
		call_invalid(call, "driver");
	else
		bind_devices(m, js_get(call->msg.parameters, "devices"),
			     driver, js_get_bool(call->msg.parameters, "force"),
			     replied, call);
}

static void call_unbind(struct manager *m, struct call *call)
{
	unbind_devices(m, js_get(call->msg.parameters, "devices"), replied,
		       call);
}

/* The devices of the definition that a call names; NULL: answered. */
static struct json_object *call_rule(struct manager *m, struct call *call)
{
	const char *name = js_get_string(call->msg.parameters, "name");
	const struct policy_device *rule = policy_find_device(m->policy, name);
	struct json_object *names;

	if (!rule) {
		call_fail(call, -ENOENT, "there is no device definition '%s'",
			  name);
		return NULL;
	}
	names = devices_of_rule(m, rule);
	if (!js_length(names)) {
		call_fail(call, -ENODEV, "definition '%s' is for no device of "
			  "this machine", name);
		json_object_put(names);
		return NULL;
	}
	return names;
}

static void start(struct manager *m, struct call *call)
{
	struct json_object *names = call_rule(m, call);

	if (names)
		bind_devices(m, names, NULL, false, replied, call);
	json_object_put(names);
}

static void stop(struct manager *m, struct call *call)
{
	struct json_object *names = call_rule(m, call);

	if (names)
		unbind_devices(m, names, replied, call);
	json_object_put(names);
}

const struct method bind_methods[] = {
	{ "Bind", FOR_ADMINS, call_bind },
	{ "Unbind", FOR_ADMINS, call_unbind },
	{ "Start", FOR_ADMINS, start },
	{ "Stop", FOR_ADMINS, stop },
	{ 0 }
};
