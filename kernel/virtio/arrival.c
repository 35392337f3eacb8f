// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices without a driver.
 *
 * Kernels that read VIOT themselves, and all that read a devicetree, ask when a
 * driver is bound. A device that never had one would stay unknown: its DMA would
 * not be blocked, and it would be in no group, where those look who want to give
 * it to a user. So the kernel is made to ask as soon as there is a device or an
 * IOMMU.
 */
#include <linux/acpi.h>
#include <linux/device.h>
#include <linux/of_device.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "private.h"

/* IOMMUs are not: their locks are held while they are probed. */
static bool viommu_is_ours(struct device *dev)
{
	struct viommu_ids ids = {};
	int rc;

	mutex_lock(&viommu_lock);
	rc = viommu_find(dev, &ids);
	mutex_unlock(&viommu_lock);
	kfree(ids.ids);
	return !rc;
}

/* What the bus does when a driver is bound, and undone when it has gone. */
static int viommu_configure(struct device *dev)
{
	struct device_node *node = viommu_dt_bridge(to_pci_dev(dev));
	struct device *bridge = viommu_host_bridge(to_pci_dev(dev));
	int rc;

	if (node)
		rc = of_dma_configure(dev, node, true);
	else
		rc = acpi_dma_configure_id(dev, device_get_dma_attr(bridge),
					   NULL);
	kfree(dev->dma_range_map);
	dev->dma_range_map = NULL;
	return rc;
}

static int viommu_introduce(struct device *dev, void *unused)
{
	if (device_iommu_mapped(dev) || !viommu_is_ours(dev))
		return 0;
	device_lock(dev);
	/* A driver that is being bound has it done by the driver core. */
	if (!dev->driver && !device_iommu_mapped(dev) && viommu_configure(dev))
		dev_warn(dev,
			 "virtio-iommu: not translated before it has a driver\n");
	device_unlock(dev);
	return 0;
}

/* An IOMMU has been registered. */
void viommu_introduce_all(void)
{
	bus_for_each_dev(&pci_bus_type, NULL, NULL, viommu_introduce);
}

static int viommu_bus_notify(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	if (action == BUS_NOTIFY_ADD_DEVICE)
		viommu_introduce(data, NULL);
	return NOTIFY_OK;
}

static struct notifier_block viommu_pci_nb = {
	.notifier_call = viommu_bus_notify,
};

int __init viommu_arrivals_init(void)
{
	return bus_register_notifier(&pci_bus_type, &viommu_pci_nb);
}

void viommu_arrivals_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &viommu_pci_nb);
}
