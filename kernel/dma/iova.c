// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses for the DMA API: the kernel's IOVA allocator, in granules.
 *
 * It has caches per CPU for small sizes, which in units of the granule cover
 * larger sizes than in units of the CPU's page. It insists on a granule of at
 * most the CPU's page only when it is initialised (seed: "Move IOMMU pagesize
 * check to attach_device"); it counts in whatever its users count in.
 */
#include <linux/pci.h>
#include <linux/slab.h>

#include "private.h"

/* A range that is never handed out. */
struct dma_reserved {
	struct list_head item;
	u64 first;			/* granule */
	u64 last;
};

int dma_iova_init(struct dma_space *space)
{
	const struct iommu_domain_geometry *geometry = &space->domain->geometry;
	struct iova_domain *iovad = &space->iovad;
	u64 first;
	int rc;

	if (granule_up(geometry->aperture_start, space->granule, &first))
		return -EINVAL;
	first >>= space->shift;
	/* The allocator's answer for failure is 0. */
	init_iova_domain(iovad, PAGE_SIZE, max_t(u64, first, 1));
	iovad->granule = space->granule;
	iovad->dma_32bit_pfn = space->shift < 32 ? BIT(32 - space->shift) : 1;
	iovad->max32_alloc_size = iovad->dma_32bit_pfn;
	rc = iova_domain_init_rcaches(iovad);
	if (rc)
		put_iova_domain(iovad);
	return rc;
}

static bool dma_iova_reserved(struct dma_space *space, u64 first, u64 last)
{
	struct dma_reserved *resv;

	list_for_each_entry(resv, &space->reserved, item)
		if (resv->first <= first && last <= resv->last)
			return true;
	return false;
}

/* Keep start..last, which grow outward to granules, from being handed out. */
static int dma_iova_reserve_range(struct dma_space *space, u64 start, u64 last)
{
	struct dma_reserved *resv;
	u64 end = space->domain->geometry.aperture_end;

	if (start > last || start > end)
		return 0;
	start >>= space->shift;
	last = min(last, end) >> space->shift;
	if (dma_iova_reserved(space, start, last))
		return 0;
	/* Somebody may have got such addresses, or a cache may have them. */
	if (atomic_long_read(&space->stats[DMA_STAT_MAPPINGS]))
		return -EBUSY;
	resv = kmalloc(sizeof(*resv), GFP_KERNEL);
	if (!resv)
		return -ENOMEM;
	if (!reserve_iova(&space->iovad, start, last)) {
		kfree(resv);
		return -ENOMEM;
	}
	resv->first = start;
	resv->last = last;
	list_add(&resv->item, &space->reserved);
	return 0;
}

void dma_iova_exit(struct dma_space *space)
{
	struct dma_reserved *resv, *next;

	list_for_each_entry_safe(resv, next, &space->reserved, item) {
		list_del(&resv->item);
		kfree(resv);
	}
	put_iova_domain(&space->iovad);
}

/*
 * Between devices of one host bridge, the addresses of BARs may be routed from
 * one to the other before they reach the IOMMU.
 */
static int dma_iova_reserve_windows(struct dma_space *space,
				    struct pci_host_bridge *bridge)
{
	struct resource_entry *window;
	int rc;

	resource_list_for_each_entry(window, &bridge->windows) {
		if (resource_type(window->res) != IORESOURCE_MEM)
			continue;
		rc = dma_iova_reserve_range(space,
					    window->res->start - window->offset,
					    window->res->end - window->offset);
		if (rc)
			return rc;
	}
	return 0;
}

static bool dma_window_at(struct pci_host_bridge *bridge, u64 at, u64 *last)
{
	struct resource_entry *window;

	resource_list_for_each_entry(window, &bridge->dma_ranges)
		if (window->res->start - window->offset <= at &&
		    at <= window->res->end - window->offset) {
			*last = window->res->end - window->offset;
			return true;
		}
	return false;
}

static u64 dma_next_window(struct pci_host_bridge *bridge, u64 at)
{
	struct resource_entry *window;
	u64 next = U64_MAX;

	resource_list_for_each_entry(window, &bridge->dma_ranges)
		if (window->res->start - window->offset > at)
			next = min_t(u64, next,
				     window->res->start - window->offset);
	return next;
}

/* What the host bridge does not let through, when it says what it does. */
static int dma_iova_reserve_gaps(struct dma_space *space,
				 struct pci_host_bridge *bridge)
{
	u64 at = 0, last;
	int rc;

	if (list_empty(&bridge->dma_ranges))
		return 0;
	for (;;) {
		if (!dma_window_at(bridge, at, &last)) {
			last = dma_next_window(bridge, at);
			if (last != U64_MAX)
				last--;
			rc = dma_iova_reserve_range(space, at, last);
			if (rc)
				return rc;
		}
		if (last == U64_MAX)
			return 0;
		at = last + 1;
	}
}

/*
 * dma_iova_reserve - keep off what a device says it cannot use
 *
 * Return: 0; -ENOMEM; -EBUSY when the space was used already and this one
 * needs more to be kept off.
 */
int dma_iova_reserve(struct dma_space *space, struct device *dev)
{
	const struct iommu_ops *ops = space->provider->ops;
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	int rc = 0;

	if (ops->get_resv_regions)
		ops->get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list) {
		if (region->type == IOMMU_RESV_DIRECT ||
		    region->type == IOMMU_RESV_DIRECT_RELAXABLE) {
			/* Firmware's own DMA: no provider has such regions. */
			rc = -EOPNOTSUPP;
			break;
		}
		if (region->length)
			rc = dma_iova_reserve_range(space, region->start,
						    region->start +
						    region->length - 1);
		if (rc)
			break;
	}
	iommu_put_resv_regions(dev, &regions);
	if (!rc && dev_is_pci(dev)) {
		struct pci_host_bridge *bridge =
			pci_find_host_bridge(to_pci_dev(dev)->bus);

		rc = dma_iova_reserve_windows(space, bridge);
		if (!rc)
			rc = dma_iova_reserve_gaps(space, bridge);
	}
	return rc;
}

/* The last granule of which every byte is within @limit, at least a granule. */
static u64 dma_last_granule(struct dma_space *space, u64 limit)
{
	return (limit - (space->granule - 1)) >> space->shift;
}

/* With what has to stay free after it. */
static u64 dma_iova_granules(struct dma_space *space, u64 size)
{
	return (size >> space->shift) + space->provider->gap;
}

/*
 * dma_iova_alloc - addresses for a mapping of a device
 * @size: bytes, a multiple of the granule
 * @mask: what the device can address
 *
 * Aligned to the next power of two of the size. In any context.
 * Return: the address or DMA_MAPPING_ERROR.
 */
u64 dma_iova_alloc(struct dma_space *space, struct device *dev, u64 size,
		   u64 mask)
{
	u64 limit = min_not_zero(mask, dev->bus_dma_limit), pfn = 0;
	u64 n = dma_iova_granules(space, size);

	limit = min(limit, space->domain->geometry.aperture_end);
	if (limit < space->granule * 2 - 1)
		return DMA_MAPPING_ERROR;
	/*
	 * Devices and their drivers get bits above 32 wrong often enough, and
	 * on PCI they are dearer.
	 */
	if (limit > U32_MAX && dev_is_pci(dev))
		pfn = alloc_iova_fast(&space->iovad, n,
				      dma_last_granule(space, U32_MAX), false);
	if (!pfn)
		pfn = alloc_iova_fast(&space->iovad, n,
				      dma_last_granule(space, limit), true);
	return pfn ? pfn << space->shift : DMA_MAPPING_ERROR;
}

void dma_iova_free(struct dma_space *space, u64 iova, u64 size)
{
	free_iova_fast(&space->iovad, iova >> space->shift,
		       dma_iova_granules(space, size));
}
