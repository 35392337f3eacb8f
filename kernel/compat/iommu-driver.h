/* SPDX-License-Identifier: GPL-2.0-only */
/* What drivers of IOMMUs do differently on older kernels than on 6.12. */
#ifndef COMPAT_IOMMU_DRIVER_H
#define COMPAT_IOMMU_DRIVER_H

#ifdef CONFIG_ARM_AMBA
#include <linux/amba/bus.h>
#endif
#ifdef CONFIG_FSL_MC_BUS
#include <linux/fsl/mc.h>
#endif
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

/*
 * Can iotlb_sync_map() fail? If not, it is no use: map_pages() has to know
 * what became of the mapping when it returns.
 */
#ifdef HAVE_IOTLB_SYNC_MAP_INT
#define COMPAT_SYNC_MAP_REPORTS true
#define COMPAT_IOTLB_SYNC_MAP(fn) .iotlb_sync_map = (fn),
#else
#define COMPAT_SYNC_MAP_REPORTS false
#define COMPAT_IOTLB_SYNC_MAP(fn)
#endif

/* Older cores ask domain_alloc() for paging domains as well, without device. */
#ifdef HAVE_DOMAIN_ALLOC_PAGING
#define COMPAT_DOMAIN_ALLOC_PAGING(fn) .domain_alloc_paging = (fn),
#else
#define COMPAT_DOMAIN_ALLOC_PAGING(fn)
#endif

#ifdef HAVE_OF_XLATE_CONST
#define OF_XLATE_CONST const
#else
#define OF_XLATE_CONST
#endif

/*
 * Newer ones find the driver by the node. Older ones take a reference of nodes
 * of a devicetree only, and put one of any.
 */
static inline int compat_fwspec_init(struct device *dev,
				     struct fwnode_handle *node,
				     const struct iommu_ops *ops)
{
#ifdef HAVE_FWSPEC_INIT_OPS
	bool is_new = !dev_iommu_fwspec_get(dev);
	int rc = iommu_fwspec_init(dev, node, ops);

	if (!rc && is_new && !is_of_node(node))
		fwnode_handle_get(node);
	return rc;
#else
	return iommu_fwspec_init(dev, node);
#endif
}

/* For a time there were two, until the one without a result had both names. */
#ifdef HAVE_PLATFORM_REMOVE_NEW
#define COMPAT_PLATFORM_REMOVE(fn) .remove_new = (fn),
#else
#define COMPAT_PLATFORM_REMOVE(fn) .remove = (fn),
#endif

/*
 * Where a bus type knows its IOMMU driver, unregistering leaves it there:
 * then no driver, not even the same, can be registered any more.
 */
#ifdef HAVE_BUS_IOMMU_OPS
static inline void compat_iommu_ops_forget(const struct iommu_ops *ops)
{
	struct bus_type *const buses[] = {
		&platform_bus_type,
#ifdef CONFIG_PCI
		&pci_bus_type,
#endif
#ifdef CONFIG_ARM_AMBA
		&amba_bustype,
#endif
#ifdef CONFIG_FSL_MC_BUS
		&fsl_mc_bus_type,
#endif
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(buses); i++)
		if (buses[i]->iommu_ops == ops)
			buses[i]->iommu_ops = NULL;
}
#else
static inline void compat_iommu_ops_forget(const struct iommu_ops *ops)
{
}
#endif

#endif
