// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains and their mappings.
 *
 * A mapping is one MAP request. The device unmaps whole mappings only, so
 * unmapping the front of one unmaps all of it, and says so by its return value.
 */
#include <linux/interval_tree_generic.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/iommu-driver.h"
#include "private.h"

#define mapping_first(m) ((m)->first)
#define mapping_last(m) ((m)->last)
INTERVAL_TREE_DEFINE(struct viommu_mapping, node, u64, subtree_last,
		     mapping_first, mapping_last, static __maybe_unused, tree)

static struct kmem_cache *viommu_mappings;

/* The first one that ends at @first or after it. */
struct viommu_mapping *viommu_mapping_from(struct viommu_domain *domain,
					   u64 first)
{
	lockdep_assert_held(&domain->lock);
	return tree_iter_first(&domain->mappings, first, U64_MAX);
}

struct viommu_mapping *viommu_mapping_next(struct viommu_mapping *m)
{
	return tree_iter_next(m, m->first, U64_MAX);
}

void viommu_mapping_put(struct viommu_domain *domain, struct viommu_mapping *m)
{
	if (!refcount_dec_and_test(&m->users))
		return;
	if (m->error)
		atomic_dec(&domain->failed);
	kmem_cache_free(viommu_mappings, m);
}

/*
 * A device has answered to a mapping that the IOMMU core asked for. Under that
 * IOMMU's lock, but not the domain's: the mapping may be gone from the tree.
 */
void viommu_mapping_answered(struct viommu_domain *domain,
			     struct viommu_mapping *m, int error)
{
	if (error && !cmpxchg(&m->error, 0, error))
		atomic_inc(&domain->failed);
	viommu_mapping_put(domain, m);
}

static void viommu_mapping_drop(struct viommu_domain *domain,
				struct viommu_mapping *m)
{
	tree_remove(m, &domain->mappings);
	viommu_mapping_put(domain, m);
}

static struct viommu_mapping *viommu_mapping_new(u64 first, u64 last,
						 phys_addr_t paddr, gfp_t gfp)
{
	struct viommu_mapping *m;

	/* Callers say what their memory has to be like; ours need not be. */
	gfp &= ~(__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM | __GFP_COMP |
		 __GFP_ZERO);
	m = kmem_cache_alloc(viommu_mappings, gfp);
	if (!m)
		return NULL;
	m->first = first;
	m->last = last;
	m->paddr = paddr;
	m->flags = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE;
	m->error = 0;
	refcount_set(&m->users, 1);
	return m;
}

static u32 viommu_map_flags(int prot)
{
	return (prot & IOMMU_READ ? VIRTIO_IOMMU_MAP_F_READ : 0) |
	       (prot & IOMMU_WRITE ? VIRTIO_IOMMU_MAP_F_WRITE : 0) |
	       (prot & IOMMU_MMIO ? VIRTIO_IOMMU_MAP_F_MMIO : 0);
}

/* What every one of its IOMMUs can be told. */
static u32 viommu_domain_flags(const struct viommu_domain *domain)
{
	const struct viommu_part *part;
	u32 flags = ~0;

	list_for_each_entry(part, &domain->parts, item)
		flags &= part->viommu->map_flags;
	return flags;
}

/* @batch: see viommu_parts_map(). */
static int viommu_domain_map(struct viommu_domain *domain,
			     struct granule_dma_batch *batch, u64 iova,
			     phys_addr_t paddr, size_t size, int prot,
			     gfp_t gfp)
{
	struct viommu_mapping *m;
	unsigned long irqs;
	int rc = 0;

	m = viommu_mapping_new(iova, iova + size - 1, paddr, gfp);
	if (!m)
		return -ENOMEM;
	m->flags = viommu_map_flags(prot);
	spin_lock_irqsave(&domain->lock, irqs);
	if (m->flags & ~viommu_domain_flags(domain))
		rc = -EINVAL;
	else if (tree_iter_first(&domain->mappings, m->first, m->last))
		rc = -EEXIST;
	if (!rc) {
		tree_insert(m, &domain->mappings);
		rc = viommu_parts_map(domain, m, batch);
		if (rc)
			tree_remove(m, &domain->mappings);
	}
	spin_unlock_irqrestore(&domain->lock, irqs);
	if (rc)
		viommu_mapping_put(domain, m);
	return rc;
}

/* --- of the IOMMU core --- */

static void viommu_domain_sync(struct viommu_domain *domain)
{
	unsigned long irqs;

	spin_lock_irqsave(&domain->lock, irqs);
	viommu_parts_wait(domain);
	spin_unlock_irqrestore(&domain->lock, irqs);
}

/*
 * The first error of the mappings between iova and iova + size - 1. Whoever
 * asked for them then unmaps them all, in all parts.
 */
static int viommu_sync_map(struct iommu_domain *d, unsigned long iova,
			   size_t size)
{
	struct viommu_domain *domain = to_viommu_domain(d);
	u64 last = iova + size - 1;
	struct viommu_mapping *m;
	unsigned long irqs;
	int rc = 0;

	spin_lock_irqsave(&domain->lock, irqs);
	viommu_parts_wait(domain);
	if (atomic_read(&domain->failed))
		for (m = tree_iter_first(&domain->mappings, iova, last);
		     m && !rc; m = tree_iter_next(m, iova, last))
			rc = READ_ONCE(m->error);
	spin_unlock_irqrestore(&domain->lock, irqs);
	return rc;
}

static size_t viommu_unmap_pages(struct iommu_domain *d, unsigned long iova,
				 size_t pgsize, size_t pgcount,
				 struct iommu_iotlb_gather *gather)
{
	struct viommu_domain *domain = to_viommu_domain(d);
	u64 next = iova, last = iova + pgsize * pgcount - 1;
	struct viommu_mapping *m;
	unsigned long irqs;

	spin_lock_irqsave(&domain->lock, irqs);
	do {
		m = tree_iter_first(&domain->mappings, next, next);
		if (!m || m->first != next)
			break;
		next = m->last + 1;
		viommu_mapping_drop(domain, m);
	} while (next && next <= last);
	if (next != iova)
		viommu_parts_unmap(domain, iova, next - 1, false);
	spin_unlock_irqrestore(&domain->lock, irqs);
	return next - iova;
}

static int viommu_map_pages(struct iommu_domain *d, unsigned long iova,
			    phys_addr_t paddr, size_t pgsize, size_t pgcount,
			    int prot, gfp_t gfp, size_t *mapped)
{
	struct viommu_domain *domain = to_viommu_domain(d);
	size_t size = pgsize * pgcount;
	int rc;

	rc = viommu_domain_map(domain, NULL, iova, paddr, size, prot, gfp);
	if (!rc && !COMPAT_SYNC_MAP_REPORTS) {
		rc = viommu_sync_map(d, iova, size);
		if (rc) {
			viommu_unmap_pages(d, iova, pgsize, pgcount, NULL);
			/* Some parts may have it. */
			viommu_domain_sync(domain);
		}
	}
	if (!rc)
		*mapped = size;
	return rc;
}

static void viommu_iotlb_sync(struct iommu_domain *d,
			      struct iommu_iotlb_gather *gather)
{
	viommu_domain_sync(to_viommu_domain(d));
}

static void viommu_flush_iotlb_all(struct iommu_domain *d)
{
	viommu_domain_sync(to_viommu_domain(d));
}

static phys_addr_t viommu_iova_to_phys(struct iommu_domain *d, dma_addr_t iova)
{
	struct viommu_domain *domain = to_viommu_domain(d);
	const struct viommu_mapping *m;
	phys_addr_t paddr = 0;
	unsigned long irqs;

	spin_lock_irqsave(&domain->lock, irqs);
	m = tree_iter_first(&domain->mappings, iova, iova);
	if (m)
		paddr = m->paddr + (iova - m->first);
	spin_unlock_irqrestore(&domain->lock, irqs);
	return paddr;
}

static int viommu_set_pgtable_quirks(struct iommu_domain *d,
				     unsigned long quirks)
{
	struct viommu_domain *domain = to_viommu_domain(d);

	if (quirks != GRANULE_DOMAIN_LARGE_PAGES)
		return -EINVAL;
	guard(mutex)(&viommu_lock);
	if (domain->used)
		return -EBUSY;
	domain->large_pages = true;
	return 0;
}

/* --- of granule-dma --- */

int viommu_dma_map(struct granule_dma_batch *batch, u64 iova, phys_addr_t paddr,
		   size_t size, int prot, gfp_t gfp)
{
	return viommu_domain_map(to_viommu_domain(batch->domain), batch, iova,
				 paddr, size, prot, gfp);
}

/*
 * What a batch counts is the first part's. Others come after it, and if it goes
 * all of its IOMMU is answered.
 */
int viommu_dma_sync(struct granule_dma_batch *batch)
{
	struct viommu_domain *domain = to_viommu_domain(batch->domain);
	struct viommu_part *part;
	unsigned long irqs;

	spin_lock_irqsave(&domain->lock, irqs);
	part = list_first_entry_or_null(&domain->parts, struct viommu_part,
					item);
	if (part) {
		spin_lock(&part->viommu->lock);
		viommu_wait(part->viommu, batch);
		spin_unlock(&part->viommu->lock);
	}
	spin_unlock_irqrestore(&domain->lock, irqs);
	return batch->error;
}

u64 viommu_dma_unmap(struct iommu_domain *d, u64 iova, u64 size)
{
	struct viommu_domain *domain = to_viommu_domain(d);
	u64 last = iova + size - 1, unmapped = 0;
	struct viommu_mapping *m;
	unsigned long irqs;

	spin_lock_irqsave(&domain->lock, irqs);
	while ((m = tree_iter_first(&domain->mappings, iova, last))) {
		unmapped += m->last - m->first + 1;
		viommu_mapping_drop(domain, m);
	}
	if (unmapped)
		viommu_parts_unmap(domain, iova, last, true);
	spin_unlock_irqrestore(&domain->lock, irqs);
	return unmapped;
}

/* --- coming and going --- */

static void viommu_domain_free(struct iommu_domain *d)
{
	viommu_domain_put(to_viommu_domain(d));
}

static const struct iommu_domain_ops viommu_paging_ops = {
	.attach_dev = viommu_attach_paging,
	.map_pages = viommu_map_pages,
	.unmap_pages = viommu_unmap_pages,
	.iova_to_phys = viommu_iova_to_phys,
	COMPAT_IOTLB_SYNC_MAP(viommu_sync_map)
	.iotlb_sync = viommu_iotlb_sync,
	.flush_iotlb_all = viommu_flush_iotlb_all,
	.set_pgtable_quirks = viommu_set_pgtable_quirks,
	.free = viommu_domain_free,
};

/**
 * viommu_paging_alloc - an empty domain
 * @viommu: its first IOMMU; NULL: decided by the first attach
 * Return: the domain, for viommu_domain_put(), or ERR_PTR: -ENOMEM; -ENOSPC,
 * the IOMMU has no more domains.
 */
struct viommu_domain *viommu_paging_alloc(struct viommu *viommu)
{
	struct viommu_domain *domain;
	int rc;

	/* Whoever frees it may do so after the last device went. */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENODEV);
	rc = -ENOMEM;
	domain = kzalloc(sizeof(*domain), GFP_KERNEL);
	if (!domain)
		goto err_module;
	domain->domain.type = IOMMU_DOMAIN_UNMANAGED;
	domain->domain.ops = &viommu_paging_ops;
	spin_lock_init(&domain->lock);
	INIT_LIST_HEAD(&domain->parts);
	domain->mappings = RB_ROOT_CACHED;
	if (viommu) {
		rc = viommu_part_add(domain, viommu);
		if (rc)
			goto err_free;
		viommu_domain_settle(domain, viommu);
	}
	return domain;

err_free:
	kfree(domain);
err_module:
	module_put(THIS_MODULE);
	return ERR_PTR(rc);
}

/* No endpoint is attached, and nobody looks at it any more. */
void viommu_domain_put(struct viommu_domain *domain)
{
	struct viommu_part *part, *after;
	struct viommu_mapping *m, *next;

	/* Answers that are under way are counted in the parts. */
	viommu_domain_sync(domain);
	rbtree_postorder_for_each_entry_safe(m, next,
					     &domain->mappings.rb_root, node)
		viommu_mapping_put(domain, m);
	list_for_each_entry_safe(part, after, &domain->parts, item)
		viommu_part_free(part);
	kfree(domain);
	module_put(THIS_MODULE);
}

/* Map first..last 1:1 in a domain that is not attached. */
int viommu_domain_add(struct viommu_domain *domain, u64 first, u64 last)
{
	struct viommu_mapping *m;
	unsigned long irqs;

	m = viommu_mapping_new(first, last, first, GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	spin_lock_irqsave(&domain->lock, irqs);
	tree_insert(m, &domain->mappings);
	spin_unlock_irqrestore(&domain->lock, irqs);
	return 0;
}

int __init viommu_domains_init(void)
{
	viommu_mappings = KMEM_CACHE(viommu_mapping, 0);
	return viommu_mappings ? 0 : -ENOMEM;
}

void viommu_domains_exit(void)
{
	kmem_cache_destroy(viommu_mappings);
}

/* Of the IOMMU of @dev, for granule-dma. */
struct iommu_domain *viommu_dma_domain_alloc(struct device *dev)
{
	struct viommu_endpoint *ep = dev_iommu_priv_get(dev);
	struct viommu_domain *domain = viommu_paging_alloc(ep->viommu);

	if (IS_ERR(domain))
		return ERR_CAST(domain);
	domain->large_pages = true;
	return &domain->domain;
}
