// SPDX-License-Identifier: GPL-2.0-only
/*
 * The devicetree's "iommu-map" of PCI host bridges. The kernel reads it when a
 * driver is bound; a device that never had one has endpoint IDs as well.
 */
#include <linux/of.h>
#include <linux/pci.h>

#include "private.h"

struct viommu_dt_search {
	struct device_node *bridge;
	struct viommu_ids *ids;
};

static int viommu_dt_find_id(struct pci_dev *pdev, u16 id, void *data)
{
	struct viommu_dt_search *search = data;
	struct device_node *node = NULL;
	struct viommu *viommu;
	int rc = 0;
	u32 out;

	/* What is wrong with a map has been said by the kernel. */
	if (of_map_id(search->bridge, id, "iommu-map", "iommu-map-mask", &node,
		      &out) || !node)
		return 0;
	list_for_each_entry(viommu, &viommus, item)
		if (viommu->vdev->dev.parent->of_node == node && !rc)
			rc = viommu_ids_add(search->ids, viommu, out);
	of_node_put(node);
	return rc;
}

/**
 * viommu_dt_bridge - the host bridge of a PCI device in the devicetree
 * @pdev: the device
 * Return: its node, without a reference; NULL: there is none.
 */
struct device_node *viommu_dt_bridge(struct pci_dev *pdev)
{
	struct device *parent = viommu_host_bridge(pdev)->parent;

	return parent ? parent->of_node : NULL;
}

/**
 * viommu_dt_find - what the devicetree says of a PCI device
 * @dev: any device
 * @ids: gets its IOMMU and the endpoint IDs of it and its aliases; unchanged
 * if the devicetree does not have them
 * Return: 0, -ENOMEM; -EXDEV, it has several IOMMUs.
 */
int viommu_dt_find(struct device *dev, struct viommu_ids *ids)
{
	struct viommu_dt_search search = { .ids = ids };

	lockdep_assert_held(&viommu_lock);
	if (!dev_is_pci(dev))
		return 0;
	search.bridge = viommu_dt_bridge(to_pci_dev(dev));
	if (!search.bridge)
		return 0;
	return viommu_each_alias(to_pci_dev(dev), viommu_dt_find_id, &search);
}
