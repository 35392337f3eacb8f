// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-place.ko: firmware's part on a machine whose firmware does not know
 * its IOMMUs. The devices in "places" are found anew, and are then behind the
 * IOMMU that is named for them:
 *
 *	modprobe granule-place places=0000:01:00.0=LNRO0005:03,...
 *
 * A virtio IOMMU is named by the platform device that it is reached through.
 * Its driver is to be there before.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/property.h>

#include "compat/iommu-driver.h"

#define MAX_PLACES 8

static char *places[MAX_PLACES];
static int nr_places;
module_param_array(places, charp, &nr_places, 0444);
MODULE_PARM_DESC(places, "DEVICE=IOMMU,...");

static int place(struct device *dev, const char *iommu_name)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	u32 id = PCI_DEVID(pdev->bus->number, pdev->devfn);
	struct device *iommu;
	int rc;

	iommu = bus_find_device_by_name(&platform_bus_type, NULL, iommu_name);
	if (!iommu)
		return -ENODEV;
	/* Its operations are found by its node, or need not be known. */
	rc = compat_fwspec_init(dev, dev_fwnode(iommu), NULL);
	put_device(iommu);
	return rc ?: iommu_fwspec_add_ids(dev, &id, 1);
}

/* What comes after a device's name, if that is the first of a place's. */
static const char *place_of(const char *at, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(at, name, length) && at[length] == '=' ?
	       at + length + 1 : NULL;
}

static int place_notify(struct notifier_block *nb, unsigned long action,
			void *data)
{
	struct device *dev = data;
	const char *iommu;
	int i, rc;

	if (action != BUS_NOTIFY_ADD_DEVICE)
		return NOTIFY_OK;
	for (i = 0; i < nr_places; i++) {
		iommu = place_of(places[i], dev_name(dev));
		if (!iommu)
			continue;
		rc = place(dev, iommu);
		if (rc)
			dev_err(dev, "granule-place: not behind %s (%d)\n",
				iommu, rc);
	}
	return NOTIFY_OK;
}

/* Before the IOMMU core's. */
static struct notifier_block place_nb = {
	.notifier_call = place_notify,
	.priority = INT_MAX,
};

static void find_anew(const char *name)
{
	struct pci_bus *bus;
	struct device *dev;

	dev = bus_find_device_by_name(&pci_bus_type, NULL, name);
	if (!dev)
		return;
	bus = to_pci_dev(dev)->bus;
	pci_lock_rescan_remove();
	pci_stop_and_remove_bus_device(to_pci_dev(dev));
	put_device(dev);
	pci_rescan_bus(bus);
	pci_unlock_rescan_remove();
}

static int __init place_init(void)
{
	char name[32];
	int i, rc;

	rc = bus_register_notifier(&pci_bus_type, &place_nb);
	if (rc)
		return rc;
	for (i = 0; i < nr_places; i++) {
		snprintf(name, sizeof(name), "%.*s",
			 (int)strcspn(places[i], "="), places[i]);
		find_anew(name);
	}
	return 0;
}
module_init(place_init);

static void __exit place_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &place_nb);
}
module_exit(place_exit);

MODULE_DESCRIPTION("Says which IOMMU a device is behind");
MODULE_LICENSE("GPL");
