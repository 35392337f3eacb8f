// SPDX-License-Identifier: GPL-2.0-only
/* Keep the host's drivers from devices before they are loaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "early.h"
#include "log.h"
#include "manager.h"
#include "sysfs.h"
#include "util.h"

/* The driver that a device is to have from the start, or NULL. */
static const char *wanted(const struct policy *policy,
			  const struct iommu_sys_device *dev)
{
	const struct policy_device *rule = policy_for_device(policy, dev);

	return rule && rule->start == START_BOOT ? rule->driver : NULL;
}

/* 1 when it was kept for @driver, 0 when there was nothing to do. */
static int keep(struct iommu_sys *sys, const struct iommu_sys_device *dev,
		const char *driver)
{
	int rc;

	if (dev->driver_override && !strcmp(dev->driver_override, driver))
		return 0;
	/* The daemon takes it away, with an undo record. */
	if (dev->driver && strcmp(dev->driver, driver)) {
		log_device(LOG_WARNING, dev->name, "%s: driver %s has it "
			   "already: it is built in, or in the initial RAM "
			   "disk", dev->name, dev->driver);
		return 0;
	}
	rc = pci_write(sys, driver, "devices/%s/driver_override", dev->name);
	if (rc) {
		log_device(LOG_ERR, dev->name, "%s: driver_override cannot be "
			   "set: %s", dev->name, strerror(-rc));
		return rc;
	}
	log_device(LOG_INFO, dev->name, "%s: kept for %s", dev->name, driver);
	return 1;
}

int early_all(const struct options *o)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = policy_load_rules(o->config, &errors);
	struct iommu_sys *sys = iommu_sys_new(o->root);
	struct iommu_sys_device **devs = NULL;
	size_t nr = 0, i;
	int rc = policy && sys ? iommu_sys_devices(sys, IOMMU_SYS_BRIEF, &devs,
						   &nr) : -EINVAL;

	log_as_stream();
	print_errors(&errors);
	for (i = 0; i < nr && policy; i++) {
		const char *driver = wanted(policy, devs[i]);

		if (driver && keep(sys, devs[i], driver) < 0)
			rc = -EIO;
	}
	iommu_sys_devices_free(devs, nr);
	iommu_sys_free(sys);
	policy_errors_done(&errors);
	policy_free(policy);
	return rc ? 1 : 0;
}

/* A wrong policy binds nothing; udev goes on as if there were none. */
int early_one(const struct options *o, const char *name)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = policy_load_rules(o->config, &errors);
	struct iommu_sys *sys = iommu_sys_new(o->root);
	struct iommu_sys_device *dev = NULL;
	const char *driver = NULL;

	if (policy && sys && !iommu_sys_device_get(sys, name, &dev))
		driver = wanted(policy, dev);
	if (driver)
		printf("IOMMUD_DRIVER=%s\n", driver);
	iommu_sys_device_free(dev);
	iommu_sys_free(sys);
	policy_errors_done(&errors);
	policy_free(policy);
	return 0;
}
