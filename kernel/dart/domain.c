// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains: page tables in the kernel's memory, by core/dart_table.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/iommu-driver.h"
#include "private.h"

/* --- memory for tables --- */

/* An IOMMU page, which may be several of the CPU's, aligned to itself. */
static void *dart_memory_alloc(void *context, u64 size, unsigned int gfp)
{
	return (void *)__get_free_pages((__force gfp_t)gfp | __GFP_ZERO |
					__GFP_NOWARN, get_order(size));
}

static void dart_memory_free(void *context, void *table, u64 size)
{
	free_pages((unsigned long)table, get_order(size));
}

static u64 dart_memory_phys(void *context, const void *table)
{
	return virt_to_phys((void *)table);
}

/* Tables of firmware's have to be in memory that the kernel has mapped. */
static void *dart_memory_virt(void *context, u64 phys)
{
	return pfn_valid(PHYS_PFN(phys)) ? phys_to_virt(phys) : NULL;
}

static const struct dart_memory dart_memory = {
	.alloc = dart_memory_alloc,
	.free = dart_memory_free,
	.phys = dart_memory_phys,
	.virt = dart_memory_virt,
};

static unsigned int dart_prot(int prot)
{
	return (prot & IOMMU_READ ? DART_READ : 0) |
	       (prot & IOMMU_WRITE ? DART_WRITE : 0) |
	       (prot & IOMMU_CACHE ? DART_CACHE : 0);
}

static unsigned int dart_gfp(gfp_t gfp)
{
	return (__force unsigned int)gfp;
}

/* Under a spinlock, whatever the caller would allow. */
static int dart_map(struct dart_paging *p, u64 iova, phys_addr_t paddr,
		    u64 size, int prot)
{
	unsigned long irqs;
	int rc;

	spin_lock_irqsave(&p->lock, irqs);
	rc = dart_table_map(&p->core.table, iova, paddr, size, dart_prot(prot),
			    dart_gfp(GFP_ATOMIC));
	spin_unlock_irqrestore(&p->lock, irqs);
	return rc;
}

static u64 dart_unmap(struct dart_paging *p, u64 iova, u64 size)
{
	unsigned long irqs;
	u64 unmapped;

	spin_lock_irqsave(&p->lock, irqs);
	unmapped = dart_table_unmap(&p->core.table, iova, size);
	spin_unlock_irqrestore(&p->lock, irqs);
	return unmapped;
}

static int dart_sync(struct dart_paging *p)
{
	unsigned long irqs;
	int rc;

	spin_lock_irqsave(&p->lock, irqs);
	rc = dart_domain_sync(&p->core);
	spin_unlock_irqrestore(&p->lock, irqs);
	if (rc)
		pr_err_ratelimited("granule-dart: a DART does not answer (%d): its devices are blocked\n",
				   rc);
	return rc;
}

/* --- of the IOMMU core --- */

static __maybe_unused int dart_sync_map(struct iommu_domain *d, unsigned long iova,
			 size_t size)
{
	return dart_sync(to_dart_paging(d));
}

static void dart_iotlb_sync(struct iommu_domain *d,
			    struct iommu_iotlb_gather *gather)
{
	dart_sync(to_dart_paging(d));
}

static void dart_flush_iotlb_all(struct iommu_domain *d)
{
	dart_sync(to_dart_paging(d));
}

static size_t dart_unmap_pages(struct iommu_domain *d, unsigned long iova,
			       size_t pgsize, size_t pgcount,
			       struct iommu_iotlb_gather *gather)
{
	return dart_unmap(to_dart_paging(d), iova, pgsize * pgcount);
}

static int dart_map_pages(struct iommu_domain *d, unsigned long iova,
			  phys_addr_t paddr, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	struct dart_paging *p = to_dart_paging(d);
	size_t size = pgsize * pgcount;
	int rc;

	rc = dart_map(p, iova, paddr, size, prot);
	if (!rc && !COMPAT_SYNC_MAP_REPORTS) {
		rc = dart_sync(p);
		if (rc)
			dart_unmap(p, iova, size);
	}
	if (!rc)
		*mapped = size;
	return rc;
}

static phys_addr_t dart_iova_to_phys(struct iommu_domain *d, dma_addr_t iova)
{
	struct dart_paging *p = to_dart_paging(d);
	unsigned long irqs;
	u64 phys;

	spin_lock_irqsave(&p->lock, irqs);
	phys = dart_table_walk(&p->core.table, iova, NULL);
	spin_unlock_irqrestore(&p->lock, irqs);
	return phys == U64_MAX ? 0 : phys;
}

static int dart_set_pgtable_quirks(struct iommu_domain *d, unsigned long quirks)
{
	struct dart_paging *p = to_dart_paging(d);

	if (quirks != GRANULE_DOMAIN_LARGE_PAGES)
		return -EINVAL;
	guard(mutex)(&dart_lock);
	if (p->used)
		return -EBUSY;
	p->large_pages = true;
	return 0;
}

static void dart_paging_free(struct iommu_domain *d)
{
	struct dart_paging *p = to_dart_paging(d);

	dart_domain_exit(&p->core);
	kfree(p);
	module_put(THIS_MODULE);
}

static const struct iommu_domain_ops dart_paging_ops = {
	.attach_dev = dart_attach_paging,
	.map_pages = dart_map_pages,
	.unmap_pages = dart_unmap_pages,
	.iova_to_phys = dart_iova_to_phys,
	COMPAT_IOTLB_SYNC_MAP(dart_sync_map)
	.iotlb_sync = dart_iotlb_sync,
	.flush_iotlb_all = dart_flush_iotlb_all,
	.set_pgtable_quirks = dart_set_pgtable_quirks,
	.free = dart_paging_free,
};

/**
 * dart_paging_alloc - an empty domain
 * @geometry: of the DARTs that it is for
 * Return: the domain, to be freed by its ops, or ERR_PTR.
 */
struct dart_paging *dart_paging_alloc(const struct dart_geometry *geometry)
{
	struct dart_paging *p;
	int rc;

	/* Whoever frees it may do so after the last device went. */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENODEV);
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	rc = p ? dart_domain_init(&p->core, &dart_memory, geometry,
				  dart_gfp(GFP_KERNEL)) : -ENOMEM;
	if (rc) {
		kfree(p);
		module_put(THIS_MODULE);
		return ERR_PTR(rc);
	}
	spin_lock_init(&p->lock);
	p->domain.type = IOMMU_DOMAIN_UNMANAGED;
	p->domain.ops = &dart_paging_ops;
	p->domain.pgsize_bitmap = 1UL << geometry->shift;
	p->domain.geometry.aperture_end = dart_table_last(&p->core.table);
	p->domain.geometry.force_aperture = true;
	return p;
}

/* --- of granule-dma --- */

struct iommu_domain *dart_dma_domain_alloc(struct device *dev)
{
	struct dart_endpoint *ep = dev_iommu_priv_get(dev);
	struct dart_paging *p = dart_paging_alloc(&ep->dart[0]->hw.geometry);

	if (IS_ERR(p))
		return ERR_CAST(p);
	p->large_pages = true;
	return &p->domain;
}

int dart_dma_map(struct granule_dma_batch *batch, u64 iova, phys_addr_t paddr,
		 size_t size, int prot, gfp_t gfp)
{
	return dart_map(to_dart_paging(batch->domain), iova, paddr, size, prot);
}

int dart_dma_sync(struct granule_dma_batch *batch)
{
	return dart_sync(to_dart_paging(batch->domain));
}

u64 dart_dma_unmap(struct iommu_domain *d, u64 iova, u64 size)
{
	struct dart_paging *p = to_dart_paging(d);
	u64 last = dart_table_last(&p->core.table), unmapped;

	/* The range may be all there is, and more. */
	if (iova > last)
		return 0;
	size = min(size, last - iova + 1);
	unmapped = dart_unmap(p, iova, size);
	if (unmapped)
		dart_sync(p);
	return unmapped;
}
