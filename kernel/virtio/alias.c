// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IDs that DMA of a PCI device may come with: its own, and those of the
 * bridges above that speak for it. The kernel has this for itself only.
 */
#include <linux/pci.h>

#include "private.h"

/* Bits of pci_dev.dma_alias_mask: the functions of a bus. */
#define ALIAS_DEVFNS 256

static int alias_own(struct pci_dev *pdev, viommu_alias_fn fn, void *data)
{
	return fn(pdev, PCI_DEVID(pdev->bus->number, pdev->devfn), data);
}

/* The ID that a bridge gives to what comes from below it, if it changes it. */
static int alias_bridge(struct pci_dev *bridge, viommu_alias_fn fn, void *data)
{
	u16 below = PCI_DEVID(bridge->subordinate->number, 0);

	if (!pci_is_pcie(bridge)) {
		if (bridge->dev_flags & PCI_DEV_FLAG_PCIE_BRIDGE_ALIAS)
			return fn(bridge, below, data);
		return alias_own(bridge, fn, data);
	}
	switch (pci_pcie_type(bridge)) {
	case PCI_EXP_TYPE_PCI_BRIDGE:
		return fn(bridge, below, data);
	case PCI_EXP_TYPE_PCIE_BRIDGE:
		return alias_own(bridge, fn, data);
	}
	return 0;
}

/**
 * viommu_host_bridge - what a PCI device is below
 * @pdev: the device
 * Return: the device of the host bridge, without a reference.
 */
struct device *viommu_host_bridge(struct pci_dev *pdev)
{
	struct pci_bus *bus = pdev->bus;

	while (bus->parent)
		bus = bus->parent;
	return bus->bridge;
}

/**
 * viommu_each_alias - call a function for each ID that stands for a device
 * @pdev: the device
 * @fn: called with the device or bridge that has the ID, the ID and @data
 * @data: for @fn
 * Return: 0, or what @fn returned first that was not 0.
 */
int viommu_each_alias(struct pci_dev *pdev, viommu_alias_fn fn, void *data)
{
	struct pci_bus *bus;
	unsigned int devfn;
	int rc;

	rc = alias_own(pdev, fn, data);
	if (pdev->dma_alias_mask)
		for_each_set_bit(devfn, pdev->dma_alias_mask, ALIAS_DEVFNS)
			rc = rc ?: fn(pdev, PCI_DEVID(pdev->bus->number, devfn),
				      data);
	for (bus = pdev->bus; !rc && !pci_is_root_bus(bus); bus = bus->parent) {
		if (!bus->self)
			continue;
		/* What is above has no part in translating. */
		if (bus->self->dev_flags & PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT)
			break;
		rc = alias_bridge(bus->self, fn, data);
	}
	return rc;
}
