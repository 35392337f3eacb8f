// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single mappings: the granules around a piece of memory.
 *
 * A trusted device gets those granules themselves, and with them up to a
 * granule less one byte of what lies beside the piece on either side. An
 * untrusted one gets only granules that are wholly the piece's; bounce.c
 * stands in for the others.
 */
#include <linux/dma-mapping.h>
#include <linux/mm.h>

#include "private.h"

int dma_prot(struct device *dev, enum dma_data_direction dir,
	     unsigned long attrs)
{
	int prot = 0;

	if (dir != DMA_FROM_DEVICE)
		prot |= IOMMU_READ;
	if (dir != DMA_TO_DEVICE)
		prot |= IOMMU_WRITE;
	if (dev_is_dma_coherent(dev))
		prot |= IOMMU_CACHE;
	if (attrs & DMA_ATTR_PRIVILEGED)
		prot |= IOMMU_PRIV;
	return prot;
}

/*
 * dma_map_piece - map what a piece of memory needs
 * @iova: of the piece's first granule
 *
 * Return: 0, or an error after which some of it may be mapped.
 */
int dma_map_piece(struct dma_space *space, struct granule_dma_batch *batch,
		  int prot, u64 iova, phys_addr_t phys,
		  u64 size)
{
	u64 offset = granule_offset(phys, space->granule), span;

	if (space->untrusted)
		return dma_bounce_map(space, batch, prot, iova, phys, size);
	if (granule_up(offset + size, space->granule, &span))
		return -EINVAL;
	return space->provider->map(batch, iova, phys - offset, span,
				    prot, GFP_ATOMIC);
}

/*
 * dma_map_end - wait for a batch, and undo all if any of it failed
 * @iova: of the whole span
 * @granules: mapped in it
 * @rc: what map calls returned so far
 */
int dma_map_end(struct dma_space *space, struct granule_dma_batch *batch,
		u64 iova, u64 span, u64 granules, int rc)
{
	int error = space->provider->sync(batch);

	rc = rc ?: error;
	if (!rc) {
		dma_count(space, DMA_STAT_MAPPINGS, 1);
		dma_count(space, DMA_STAT_MAPPED_GRANULES, granules);
		return 0;
	}
	dma_count(space, DMA_STAT_FAILURES, 1);
	space->provider->unmap(space->domain, iova, span);
	if (space->untrusted)
		dma_bounce_release(space, iova, span, false);
	dma_iova_free(space, iova, span);
	return rc;
}

/*
 * dma_unmap_span - end of a mapping, if dma_space_clean() did not end it before
 */
void dma_unmap_span(struct dma_space *space, u64 iova, u64 span,
		    enum dma_data_direction dir, unsigned long attrs)
{
	u64 size = space->provider->unmap(space->domain, iova, span);

	dma_count(space, DMA_STAT_MAPPED_GRANULES,
		  -(long)(size >> space->shift));
	/* Only now has the device written all that it can. */
	if (space->untrusted)
		dma_bounce_release(space, iova, span,
				   dir != DMA_TO_DEVICE &&
				   !(attrs & DMA_ATTR_SKIP_CPU_SYNC));
	dma_iova_free(space, iova, span);
}

static dma_addr_t dma_map_range(struct device *dev, phys_addr_t phys,
				size_t size, int prot)
{
	struct dma_space *space = dma_space_of(dev);
	struct granule_dma_batch batch = { .domain = space->domain };
	u64 offset = granule_offset(phys, space->granule), span, iova;
	int rc;

	if (!size || check_add_overflow(offset, (u64)size, &span) ||
	    granule_up(span, space->granule, &span))
		goto refuse;
	iova = dma_iova_alloc(space, dev, span, dma_get_mask(dev));
	if (iova == DMA_MAPPING_ERROR)
		goto refuse;
	rc = dma_map_piece(space, &batch, prot, iova, phys, size);
	rc = dma_map_end(space, &batch, iova, span, span >> space->shift, rc);
	return rc ? DMA_MAPPING_ERROR : iova + offset;

refuse:
	dma_count(space, DMA_STAT_FAILURES, 1);
	return DMA_MAPPING_ERROR;
}

dma_addr_t dma_map_page_op(struct device *dev, struct page *page,
			   unsigned long offset, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
	return dma_map_range(dev, page_to_phys(page) + offset, size,
			     dma_prot(dev, dir, attrs));
}

void dma_unmap_page_op(struct device *dev, dma_addr_t addr, size_t size,
		       enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_space *space = dma_space_of(dev);
	u64 offset = granule_offset(addr, space->granule), span;

	span = ALIGN(offset + size, space->granule);
	dma_unmap_span(space, addr - offset, span, dir, attrs);
}

/*
 * Registers of another device have no memory to stand in for what is beside
 * them: an untrusted device gets whole granules or nothing.
 */
dma_addr_t dma_map_resource_op(struct device *dev, phys_addr_t phys,
			       size_t size, enum dma_data_direction dir,
			       unsigned long attrs)
{
	struct dma_space *space = dma_space_of(dev);
	int prot = dma_prot(dev, dir, attrs);

	if (space->untrusted && !granule_aligned(phys | size, space->granule)) {
		dev_err_ratelimited(dev,
				    "granule-dma: registers at %pa, %zu bytes, not mapped: an untrusted device can get multiples of %llu bytes only\n",
				    &phys, size, space->granule);
		dma_count(space, DMA_STAT_FAILURES, 1);
		return DMA_MAPPING_ERROR;
	}
	prot &= ~IOMMU_CACHE;
	return dma_map_range(dev, phys, size, prot | IOMMU_MMIO);
}

void dma_unmap_resource_op(struct device *dev, dma_addr_t addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
	dma_unmap_page_op(dev, addr, size, dir, attrs);
}
