// SPDX-License-Identifier: LGPL-2.1-only
/* What keeps one device from being given to a user: group, driver, reset. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

#define CONFIG_SIZE 4096
#define EXT_CAPS 0x100		/* where extended capabilities start */
#define EXT_CAP_ACS 0x000d

/* Has a PCI function Access Control Services? -1: only root can tell. */
static int has_acs(const struct doctor *d, const char *name)
{
	unsigned char config[CONFIG_SIZE];
	unsigned int at = EXT_CAPS, tries, id;
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	if (sys_format(d->sys, path, PCI_DEVICES "/%s/config", name))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, config, sizeof(config));
	close(fd);
	if (n <= EXT_CAPS)
		return -1;
	for (tries = 0; tries < 48 && at >= EXT_CAPS &&
	     at + 4 <= (size_t)n; tries++) {
		id = config[at] | config[at + 1] << 8;
		if (id == EXT_CAP_ACS)
			return 1;
		/* The next one's offset is in the upper twelve bits. */
		at = config[at + 2] >> 4 | config[at + 3] << 4;
	}
	return 0;
}

/* The bridge above a device, "" for a device on the root bus. */
static void parent(const struct doctor *d, const char *name, char ret[16])
{
	char path[PATH_MAX], real[PATH_MAX], *slash;
	unsigned int a, b, c, e;

	ret[0] = 0;
	if (sys_format(d->sys, path, PCI_DEVICES "/%s", name) ||
	    !realpath(path, real))
		return;
	slash = strrchr(real, '/');
	if (!slash)
		return;
	*slash = 0;
	slash = strrchr(real, '/');
	if (slash && strlen(slash + 1) < 16 &&
	    sscanf(slash + 1, "%x:%x:%x.%x", &a, &b, &c, &e) == 4)
		strcpy(ret, slash + 1);
}

/* "0000:03:00" of "0000:03:00.1" */
static bool same_slot(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	return len == strcspn(b, ".") && !memcmp(a, b, len);
}

/* Why the hardware keeps two devices in one group, as far as can be seen. */
static void why_together(const struct doctor *d, const char *a, const char *b,
			 char *text, size_t len)
{
	char up[16];
	int acs;

	if (same_slot(a, b)) {
		doctor_say(text, len, "they are functions of one card, "
			   "and it has no ACS to keep them apart");
		return;
	}
	parent(d, a, up);
	acs = up[0] ? has_acs(d, up) : -1;
	if (!acs)
		doctor_say(text, len, "port %s above has no ACS; a slot of "
			   "another port may be a group of its own", up);
	else if (up[0])
		doctor_say(text, len, "they share port %s; a slot of another "
			   "port may be a group of its own", up);
	else
		doctor_say(text, len, "the hardware cannot keep them apart");
}

/* All members of @group whose drivers are in the way, in @text. */
static const char *culprits(const struct iommu_sys_group *group,
			    const struct iommu_sys_device *dev,
			    char *text, size_t len)
{
	const struct iommu_sys_device *m;
	const char *first = NULL;
	size_t i, used = 0;

	text[0] = 0;
	for (i = 0; i < group->nr_devices; i++) {
		m = group->devices[i];
		if (!strcmp(m->name, dev->name) || !iommu_sys_device_blocks(m))
			continue;
		first = first ? first : m->name;
		if (used < len)
			used += snprintf(text + used, len - used,
					 "%s%s (%s)", used ? ", " : "", m->name,
					 m->driver);
	}
	return first;
}

static void check_group(struct doctor *d, const struct iommu_sys_device *dev,
			const struct iommu_sys_group *group)
{
	char names[200], why[160];
	struct iommu_finding *f;
	const char *other;

	other = culprits(group, dev, names, sizeof(names));
	if (!other) {
		f = doctor_add(d, IOMMU_FINDING_OK, "group", "%s", dev->name);
		SAY(f, value, "group %ld is viable, %zu device%s", group->id,
		    group->nr_devices, group->nr_devices == 1 ? "" : "s");
		return;
	}
	why_together(d, dev->name, other, why, sizeof(why));
	f = doctor_add(d, IOMMU_FINDING_PROBLEM, "group", "%s", dev->name);
	SAY(f, value, "group %ld is not viable: the host drives %s", group->id,
	    names);
	SAY(f, rule, "devices of a group reach each other and go together; %s",
	    why);
	SAY(f, remedy, "iommuctl device bind --group %s  # takes them all from "
	    "the host", dev->name);
}

/* Memory that the firmware wants the device to reach always. */
static void check_regions(struct doctor *d, const struct iommu_sys_device *dev,
			  const struct iommu_sys_group *group)
{
	const struct iommu_sys_region *r;
	struct iommu_finding *f;
	size_t i;

	for (i = 0; i < group->nr_regions; i++) {
		r = &group->regions[i];
		if (r->reason != IOMMU_RESV_REASON_DIRECT)
			continue;
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "firmware", "%s",
			       dev->name);
		SAY(f, value, "the firmware uses it at 0x%" PRIx64 "-0x%"
		    PRIx64, (uint64_t)r->start, (uint64_t)r->last);
		SAY(f, rule, "the kernel refuses a user a device with such a "
		    "region (RMRR, IVMD)");
		SAY(f, remedy, "systemctl reboot --firmware-setup  # switch "
		    "off what uses it there, or update the firmware");
		return;
	}
}

/* Another process that has the device open, or its group. */
static void check_holder(struct doctor *d, const struct iommu_sys_device *dev)
{
	struct iommu_holder holder;
	struct iommu_finding *f;
	char node[64];

	if (!sys_holder(d->sys, dev, &holder, node, sizeof(node)))
		return;
	f = doctor_add(d, IOMMU_FINDING_PROBLEM, "use", "%s", dev->name);
	SAY(f, value, "in use by process %d (%s), which has %s open",
	    (int)holder.pid, holder.comm, node);
	SAY(f, rule, "a device has one user at a time");
	SAY(f, remedy, "kill %d  # or wait for it to end", (int)holder.pid);
}

static void check_driver(struct doctor *d, const struct iommu_sys_device *dev)
{
	struct iommu_finding *f;
	char use[100];

	if (dev->vfio && !dev->node) {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "driver", "%s",
			       dev->name);
		SAY(f, value, "bound to %s, but %s has no node", dev->driver,
		    dev->vfio);
		SAY(f, rule, "programs open /dev/vfio/devices/%s", dev->vfio);
		SAY(f, remedy, "modprobe granule-vfio");
	} else if (dev->vfio) {
		f = doctor_add(d, IOMMU_FINDING_OK, "driver", "%s", dev->name);
		SAY(f, value, "bound to %s, %s", dev->driver, dev->node);
		check_holder(d, dev);
		doctor_node(d, dev->node);
	} else if (dev->driver && iommu_host_uses(d->sys, dev->name,
							    use, sizeof(use))) {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "driver", "%s",
			       dev->name);
		SAY(f, value, "driven by %s, and the host uses it: %s",
		    dev->driver, use);
		SAY(f, rule, "what the host needs would be gone");
		SAY(f, remedy, "iommuctl device bind %s  # once nothing uses "
		    "it", dev->name);
	} else {
		f = doctor_add(d, IOMMU_FINDING_NOTE, "driver", "%s",
			       dev->name);
		SAY(f, value, "%s%s", dev->driver ? "driven by the host's " :
		    "has no driver", dev->driver ? dev->driver : "");
		SAY(f, rule, "a user's device is bound to vfio-pci");
		SAY(f, remedy, "iommuctl device bind %s", dev->name);
	}
}

/* Other functions and devices that a reset of the bus resets, too. */
static size_t bus_peers(const struct doctor *d, const char *name)
{
	size_t len = strrchr(name, ':') - name + 1, nr, i, peers = 0;
	char **names;

	if (sys_names(d->sys, &names, &nr, PCI_DEVICES))
		return 0;
	for (i = 0; i < nr; i++)
		peers += !strncmp(names[i], name, len) &&
			 strcmp(names[i], name);
	sys_names_free(names, nr);
	return peers;
}

static void check_reset(struct doctor *d, const struct iommu_sys_device *dev)
{
	const char *methods = dev->reset_method;
	struct iommu_finding *f;
	size_t peers;

	if (!methods) {
		f = doctor_add(d, IOMMU_FINDING_NOTE, "reset", "%s", dev->name);
		SAY(f, value, "there is no way to reset it");
		SAY(f, rule, "what one user leaves in the device, the next one "
		    "finds; some devices then need a power cycle");
		SAY(f, remedy, "echo 1 >/sys/bus/pci/devices/%s/remove; "
		    "echo 1 >/sys/bus/pci/rescan  # resets some; or give it to "
		    "one user only", dev->name);
		return;
	}
	peers = bus_peers(d, dev->name);
	if (!strncmp(methods, "bus", 3) && peers) {
		f = doctor_add(d, IOMMU_FINDING_NOTE, "reset", "%s", dev->name);
		SAY(f, value, "only with its bus, which %zu others are on",
		    peers);
		SAY(f, rule, "they are reset too, so one user has to have all");
		SAY(f, remedy, "iommuctl device bind --group %s", dev->name);
		return;
	}
	f = doctor_add(d, IOMMU_FINDING_OK, "reset", "%s", dev->name);
	SAY(f, value, "by %s", methods);
}

static void check_granule(struct doctor *d, const struct iommu_sys_device *dev)
{
	__u64 page = sysconf(_SC_PAGESIZE);
	struct iommu_finding *f;
	char rule[200];

	if (!dev->granule)
		return;
	if (dev->granule > d->granule)
		d->granule = dev->granule;
	iommu_granule_rule(dev->granule, page, rule, sizeof(rule));
	f = doctor_add(d, rule[0] ? IOMMU_FINDING_NOTE : IOMMU_FINDING_OK,
		       "granule", "%s", dev->name);
	SAY(f, value, "the IOMMU's smallest page is %" PRIu64 "K, the CPU's %"
	    PRIu64 "K", (uint64_t)dev->granule >> 10, (uint64_t)page >> 10);
	SAY(f, rule, "%s", rule);
	if (rule[0])
		SAY(f, remedy, "iommuctl map %s --size 2M --memory thp --exec "
		    "true  # shows that it works", dev->name);
}

void doctor_device(struct doctor *d, const char *arg)
{
	struct iommu_sys_group *group = NULL;
	struct iommu_sys_device *dev;
	struct iommu_finding *f;
	int rc = iommu_sys_device_get(d->sys, arg, &dev);

	if (rc) {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "device", "%.60s",
			       arg);
		SAY(f, value, "%s", rc == -ENODEV ? "there is no such device" :
		    rc == -EINVAL ? "this is no name of a device" :
		    strerror(-rc));
		SAY(f, remedy, "iommuctl device list");
		return;
	}
	if (dev->group >= 0)
		(void)iommu_sys_group_get(d->sys, dev->group, &group);
	if (group) {
		check_group(d, dev, group);
		check_regions(d, dev, group);
	} else if (dev->iommu_late) {
		f = doctor_add(d, IOMMU_FINDING_NOTE, "group", "%s", dev->name);
		SAY(f, value, "its group is not known before it has a driver");
		SAY(f, remedy, "iommuctl device bind %s", dev->name);
	} else {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "group", "%s",
			       dev->name);
		SAY(f, value, "it is not behind an IOMMU");
		SAY(f, rule, "it would reach all memory, and is no user's");
		SAY(f, remedy, "%s", d->no_iommu ?
		    "iommuctl doctor  # see IOMMU above" :
		    "systemctl reboot --firmware-setup  # some slots are "
		    "exempt; use another one");
	}
	check_driver(d, dev);
	check_reset(d, dev);
	check_granule(d, dev);
	iommu_sys_group_free(group);
	iommu_sys_device_free(dev);
}
