// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that come and go. Events are udev's, not the kernel's: when they come
 * here, the rules have set driver_override.
 *
 * udev keeps the order between a device and what is below it, so a node goes,
 * its holder is told, and only then its device's driver or the device goes.
 */
#include <string.h>
#include <systemd/sd-device.h>

#include "bind.h"
#include "event.h"
#include "hotplug.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "retry.h"
#include "undo.h"
#include "util.h"

static void on_added(struct manager *m, sd_device *device, const char *name)
{
	const char *value;

	/* "udevadm trigger" makes events of what has been there all the time. */
	if (sd_device_get_property_value(device, "SYNTH_UUID", &value) >= 0)
		return;
	event_tell(m, "added", name, "appeared");
	bind_hotplug(m, name);
}

static void on_removed(struct manager *m, sd_device *device, const char *name)
{
	struct lease *lease = lease_find(m, name);

	(void)device;
	if (lease)
		lease_end(lease, "the device was removed");
	retry_forget(m, name);
	undo_forget(m, name);
	event_tell(m, "removed", name, "removed");
}

/* Of another driver, before the lease, if no node has gone since. */
static void on_unbound(struct manager *m, sd_device *device, const char *name)
{
	struct lease *lease = lease_find(m, name);

	(void)device;
	if (lease && lease->leaving)
		lease_end(lease, "its driver was unbound");
}

static void on_node_gone(struct manager *m, sd_device *device,
			 const char *name)
{
	struct lease *lease;
	const char *node;

	(void)name;
	if (sd_device_get_devname(device, &node) < 0)
		return;
	lease = lease_of_node(m, node);
	if (lease)
		lease_leaving(lease);
}

static const struct {
	const char *subsystem;
	sd_device_action_t action;
	void (*handle)(struct manager *m, sd_device *device, const char *name);
} events[] = {
	{ "pci", SD_DEVICE_ADD, on_added },
	{ "pci", SD_DEVICE_REMOVE, on_removed },
	{ "pci", SD_DEVICE_UNBIND, on_unbound },
	{ "granule-vfio", SD_DEVICE_REMOVE, on_node_gone },
	/* The same, of a kernel that makes the nodes itself. */
	{ "vfio-dev", SD_DEVICE_REMOVE, on_node_gone },
};

static int on_event(sd_device_monitor *monitor, sd_device *device,
		    void *userdata)
{
	const char *name, *subsystem;
	sd_device_action_t action;
	size_t i;

	(void)monitor;
	if (sd_device_get_sysname(device, &name) < 0 ||
	    sd_device_get_subsystem(device, &subsystem) < 0 ||
	    sd_device_get_action(device, &action) < 0)
		return 0;
	for (i = 0; i < ARRAY_LEN(events); i++) {
		if (events[i].action == action &&
		    !strcmp(events[i].subsystem, subsystem)) {
			events[i].handle(userdata, device, name);
			break;
		}
	}
	return 0;
}

void hotplug_start(struct manager *m)
{
	int rc = sd_device_monitor_new(&m->hotplug);
	size_t i;

	for (i = 0; i < ARRAY_LEN(events) && rc >= 0; i++)
		rc = sd_device_monitor_filter_add_match_subsystem_devtype(
				m->hotplug, events[i].subsystem, NULL);
	if (rc >= 0)
		rc = sd_device_monitor_attach_event(m->hotplug, m->event);
	if (rc >= 0)
		rc = sd_device_monitor_start(m->hotplug, on_event, m);
	if (rc >= 0)
		return;
	m->hotplug = sd_device_monitor_unref(m->hotplug);
	log_warning("no events of devices that come and go: %s",
		    strerror(-rc));
}
