/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/iommu.h> as Linux 6.12 has it, and two helpers over what differs. */
#ifndef COMPAT_IOMMU_H
#define COMPAT_IOMMU_H

#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/irqdomain.h>

#ifndef HAVE_IOMMU_MAP_GFP
/* Page tables were allocated with GFP_KERNEL, uncharged, whoever asked. */
static inline int compat_iommu_map(struct iommu_domain *domain,
				   unsigned long iova, phys_addr_t paddr,
				   size_t size, int prot, gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp))
		return iommu_map_atomic(domain, iova, paddr, size, prot);
	return iommu_map(domain, iova, paddr, size, prot);
}
#define iommu_map compat_iommu_map
#endif

/**
 * granule_map_pages - have a domain's driver map pages of one size
 * @domain: a paging domain; the arguments are aligned to @page
 * @page: one of its page sizes
 * @mapped: 0; is set to bytes mapped, also when this fails
 * Return: 0, though it may be fewer than asked for, or the driver's error.
 * Nothing is there for devices to use before granule_map_sync().
 */
static inline int granule_map_pages(struct iommu_domain *domain, u64 iova,
				    phys_addr_t phys, size_t page, size_t count,
				    int prot, size_t *mapped)
{
	/* Some drivers of older kernels ignore whom to charge. */
	return domain->ops->map_pages(domain, iova, phys, page, count, prot,
				      GFP_KERNEL_ACCOUNT, mapped);
}

/* What was mapped one after the other; on failure the caller unmaps it. */
static inline int granule_map_sync(struct iommu_domain *domain, u64 iova,
				   size_t length)
{
	int rc = 0;

	if (!domain->ops->iotlb_sync_map)
		return 0;
#ifdef HAVE_IOTLB_SYNC_MAP_INT
	rc = domain->ops->iotlb_sync_map(domain, iova, length);
#else
	domain->ops->iotlb_sync_map(domain, iova, length);
#endif
	return rc;
}

/**
 * granule_domain_alloc - an empty page table for a device's IOMMU
 * @dev: any device behind the IOMMU
 * Return: the domain, or ERR_PTR: -ENODEV no IOMMU, -EOPNOTSUPP the driver has
 * no such domains, or cannot map several pages at once, -ENOMEM (older kernels say only that it failed).
 */
static inline struct iommu_domain *granule_domain_alloc(struct device *dev)
{
	struct iommu_domain *domain;

#ifdef HAVE_IOMMU_PAGING_DOMAIN_ALLOC
	domain = iommu_paging_domain_alloc(dev);
	if (IS_ERR(domain))
		return domain;
#else
	if (!device_iommu_mapped(dev))
		return ERR_PTR(-ENODEV);
	domain = iommu_domain_alloc(dev->bus);
	if (!domain)
		return ERR_PTR(-ENOMEM);
#endif
	/* Old drivers of small machines map a page a call. */
	if (!domain->ops->map_pages) {
		iommu_domain_free(domain);
		return ERR_PTR(-EOPNOTSUPP);
	}
	return domain;
}

#ifndef HAVE_IOMMU_GROUP_HAS_ISOLATED_MSI
static inline int compat_lacks_intr_remap(struct device *dev, void *unused)
{
	return !device_iommu_capable(dev, IOMMU_CAP_INTR_REMAP);
}
#endif

/* Is no device of the group able to raise another one's interrupts? */
static inline bool granule_group_has_isolated_msi(struct iommu_group *group)
{
#ifdef HAVE_IOMMU_GROUP_HAS_ISOLATED_MSI
	return iommu_group_has_isolated_msi(group);
#else
	/* Either the interrupt controller isolates or the IOMMU does. */
	return irq_domain_check_msi_remap() ||
	       !iommu_group_for_each_dev(group, NULL, compat_lacks_intr_remap);
#endif
}

#endif
