// SPDX-License-Identifier: LGPL-2.1-only
/* Give PCI devices to a VFIO driver and back, all or nothing. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "private.h"

#define WAIT_MS 2000
#define WAIT_STEP_MS 10

/* One device on its way to another driver. */
struct move {
	struct iommu_sys_device *dev;	/* as it was before */
	bool touched;			/* driver_override may be changed */
};

__attribute__((format(printf, 3, 4)))
static int fail(struct iommu_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return err;
}

static int set_override(struct iommu_sys *sys, const char *name,
			const char *driver)
{
	/* A lone newline clears it. */
	return sys_write(sys, driver ? driver : "\n",
			 PCI_DEVICES "/%s/driver_override", name);
}

static char *driver_of(struct iommu_sys *sys, const char *name)
{
	char *driver;

	sys_link(sys, &driver, PCI_DEVICES "/%s/driver", name);
	return driver;
}

static bool driven_by(struct iommu_sys *sys, const char *name,
		      const char *driver)
{
	char *now = driver_of(sys, name);
	bool same = now && driver && !strcmp(now, driver);

	free(now);
	return same;
}

static int release(struct iommu_sys *sys, const char *name)
{
	if (!sys_exists(sys, PCI_DEVICES "/%s/driver", name))
		return 0;
	return sys_write(sys, name, PCI_DEVICES "/%s/driver/unbind", name);
}

static void sleep_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

/* Wait for a path of the device; udev and the kernel may take a moment. */
static bool wait_for(struct iommu_sys *sys, const char *name, bool node)
{
	struct iommu_sys_device *dev;
	int ms;

	for (ms = 0; ms <= WAIT_MS; ms += WAIT_STEP_MS) {
		if (!iommu_sys_device_get(sys, name, &dev)) {
			bool there = dev->vfio && (!node ||
				(dev->node && sys_exists(sys, "%s", dev->node)));

			iommu_sys_device_free(dev);
			if (there)
				return true;
		}
		sleep_ms(WAIT_STEP_MS);
	}
	return false;
}

/* Back to how it was; errors have nowhere to go, the first one is reported. */
static void undo(struct iommu_sys *sys, struct move *m)
{
	const char *name = m->dev->name;

	if (!m->touched)
		return;
	(void)set_override(sys, name, m->dev->driver_override);
	if (m->dev->driver && driven_by(sys, name, m->dev->driver))
		return;
	(void)release(sys, name);
	if (!m->dev->driver)
		return;
	(void)sys_write(sys, name, PCI_DRIVERS "/%s/bind", m->dev->driver);
}

static const struct move *find_move(const struct move *moves, size_t nr,
				    const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!strcmp(moves[i].dev->name, name))
			return &moves[i];
	}
	return NULL;
}

/* Nobody outside @moves may hold a driver that does its own DMA. */
static int check_group(struct iommu_sys *sys, const struct move *m,
		       const struct move *moves, size_t nr,
		       struct iommu_why *why)
{
	struct iommu_sys_group *group;
	const struct iommu_sys_device *other;
	size_t i;
	int rc;

	if (m->dev->iommu_late)
		return 0;
	if (m->dev->group < 0)
		return fail(why, -EINVAL,
			    "%s is not behind an IOMMU, so its DMA cannot be "
			    "confined; switch the IOMMU on in the firmware and "
			    "on the kernel's command line (intel_iommu=on)",
			    m->dev->name);
	rc = iommu_sys_group_get(sys, m->dev->group, &group);
	if (rc)
		return fail(why, rc, "IOMMU group %ld cannot be read: %s",
			    m->dev->group, strerror(-rc));
	for (i = 0; i < group->nr_devices; i++) {
		other = group->devices[i];
		if (!iommu_sys_device_blocks(other) ||
		    find_move(moves, nr, other->name))
			continue;
		rc = fail(why, -EBUSY,
			  "group %ld would not be viable, because %s in it is "
			  "driven by %s; bind both in one go ('--group' takes "
			  "the whole group), or unbind that driver",
			  m->dev->group, other->name, other->driver);
		break;
	}
	iommu_sys_group_free(group);
	return rc;
}

/* A group that came with the driver could not be looked at before. */
static int check_late(struct iommu_sys *sys, const struct move *m,
		      const struct move *moves, size_t nr,
		      struct iommu_why *why)
{
	struct move now = { 0 };
	int rc;

	if (!m->dev->iommu_late)
		return 0;
	rc = iommu_sys_device_get(sys, m->dev->name, &now.dev);
	if (rc)
		return fail(why, rc, "%s has gone", m->dev->name);
	rc = check_group(sys, &now, moves, nr, why);
	iommu_sys_device_free(now.dev);
	return rc;
}

/* Unbinding a VFIO device waits for its user, so look first. */
static int check_unused(struct iommu_sys *sys,
			const struct iommu_sys_device *dev,
			struct iommu_why *why)
{
	struct iommu_holder holder;
	char node[64];

	if (!sys_holder(sys, dev, &holder, node, sizeof(node)))
		return 0;
	return fail(why, -EBUSY, "%s is in use: process %d (%s) has %s open; "
		    "end that process first", dev->name, (int)holder.pid,
		    holder.comm, node);
}

/* Its driver would go without asking whoever has a file on a disk of it. */
static int check_host(struct iommu_sys *sys, const struct iommu_sys_device *dev,
		      struct iommu_why *why)
{
	char use[100];

	if (!iommu_sys_device_blocks(dev) ||
	    !iommu_host_uses(sys, dev->name, use, sizeof(use)))
		return 0;
	return fail(why, -EBUSY,
		    "%s is driven by %s, and the host uses it: %s; put an end "
		    "to that first, or take it by force ('--force')", dev->name, dev->driver, use);
}

static int write_failed(struct iommu_why *why, const char *name,
			const char *what, int err)
{
	return fail(why, err, "%s: %s failed: %s%s", name, what,
		    strerror(-err),
		    err == -EACCES || err == -EPERM ?
			    "; this needs root" : "; see the kernel's log");
}

static int do_move(struct iommu_sys *sys, struct move *m, const char *driver,
		   struct iommu_why *why)
{
	const char *name = m->dev->name;
	char *now;
	int rc;

	rc = set_override(sys, name, driver);
	if (rc)
		return write_failed(why, name, "setting driver_override", rc);
	m->touched = true;
	rc = release(sys, name);
	if (rc)
		return write_failed(why, name, "unbinding its driver", rc);
	rc = sys_write(sys, name, "/sys/bus/pci/drivers_probe");
	if (rc)
		return write_failed(why, name, "probing for a driver", rc);
	if (driven_by(sys, name, driver))
		return 0;
	now = driver_of(sys, name);
	rc = fail(why, -EIO,
		  "%s did not take %s (it has %s now); see the kernel's log",
		  driver, name, now ? now : "no driver");
	free(now);
	return rc;
}

static int check_node(struct iommu_sys *sys, const char *name,
		      struct iommu_why *why)
{
	/* Without either module there never will be a node. */
	bool node = sys_exists(sys, "/sys/module/granule_vfio") ||
		    sys_exists(sys, "/sys/module/iommufd");

	if (wait_for(sys, name, node))
		return 0;
	return fail(why, -ETIMEDOUT,
		    "%s has its driver, but no %s within %d seconds; see the "
		    "kernel's log and udev's", name,
		    node ? "node in /dev/vfio/devices" : "vfio-dev entry",
		    WAIT_MS / 1000);
}

int iommu_device_bind(struct iommu_sys *sys, const char *const *names,
		      size_t nr_names, const char *driver, unsigned int flags,
		      struct iommu_why *why)
{
	struct move *moves;
	size_t i, nr = 0;
	int rc = 0;

	if (flags & ~IOMMU_BIND_FORCE)
		return fail(why, -EINVAL, "0x%x is no flag of binding", flags);
	if (!sys_exists(sys, PCI_DRIVERS "/%s", driver))
		return fail(why, -ENOENT,
			    "there is no driver %s; load its module "
			    "('modprobe %s')", driver, driver);
	moves = calloc(nr_names + 1, sizeof(*moves));
	if (!moves)
		return fail(why, -ENOMEM, "out of memory");
	for (i = 0; i < nr_names && !rc; i++) {
		rc = iommu_sys_device_get(sys, names[i], &moves[nr].dev);
		if (rc)
			rc = fail(why, rc, "there is no device %s", names[i]);
		else if (find_move(moves, nr, moves[nr].dev->name))
			iommu_sys_device_free(moves[nr].dev);
		else
			nr++;
	}
	for (i = 0; i < nr && !rc; i++)
		rc = check_group(sys, &moves[i], moves, nr, why);
	for (i = 0; i < nr && !rc && !(flags & IOMMU_BIND_FORCE); i++)
		rc = check_host(sys, moves[i].dev, why);
	for (i = 0; i < nr && !rc; i++) {
		if (moves[i].dev->driver &&
		    !strcmp(moves[i].dev->driver, driver))
			continue;
		/* Another VFIO driver may have a user. */
		if (moves[i].dev->vfio)
			rc = check_unused(sys, moves[i].dev, why);
		if (!rc)
			rc = do_move(sys, &moves[i], driver, why);
		if (!rc)
			rc = check_late(sys, &moves[i], moves, nr, why);
	}
	for (i = 0; i < nr && !rc; i++)
		rc = check_node(sys, moves[i].dev->name, why);
	for (i = nr; rc && i; i--)
		undo(sys, &moves[i - 1]);
	for (i = 0; i < nr; i++)
		iommu_sys_device_free(moves[i].dev);
	free(moves);
	return rc;
}

int iommu_device_unbind(struct iommu_sys *sys, const char *name,
			struct iommu_why *why)
{
	struct iommu_sys_device *dev;
	int rc;

	rc = iommu_sys_device_get(sys, name, &dev);
	if (rc)
		return fail(why, rc, "there is no device %s", name);
	if (!dev->vfio) {
		rc = fail(why, -EINVAL,
			  "%s is not bound to a VFIO driver but to %s; there "
			  "is nothing to undo", dev->name,
			  dev->driver ? dev->driver : "none");
		goto out;
	}
	rc = check_unused(sys, dev, why);
	if (rc)
		goto out;
	rc = set_override(sys, dev->name, NULL);
	if (rc) {
		write_failed(why, dev->name, "clearing driver_override", rc);
		goto out;
	}
	rc = release(sys, dev->name);
	if (rc) {
		(void)set_override(sys, dev->name, dev->driver_override);
		write_failed(why, dev->name, "unbinding its driver", rc);
		goto out;
	}
	rc = sys_write(sys, dev->name, "/sys/bus/pci/drivers_probe");
	if (rc)
		write_failed(why, dev->name, "probing for a driver", rc);
	else if (driven_by(sys, dev->name, dev->driver))
		rc = fail(why, -EIO,
			  "%s took %s again, without being told to by "
			  "driver_override; remove the ID from it "
			  "(" PCI_DRIVERS "/%s/remove_id)", dev->driver,
			  dev->name, dev->driver);
out:
	iommu_sys_device_free(dev);
	return rc;
}
