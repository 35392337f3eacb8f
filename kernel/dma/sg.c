// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scatterlists: one span of IOVAs, laid out by core/scatter, one batch for the
 * IOMMU. Only the DMA fields of the caller's list are written.
 */
#include <linux/dma-mapping.h>
#include <linux/memremap.h>
#include <linux/scatterlist.h>

#include "private.h"

#ifndef CONFIG_NEED_SG_DMA_LENGTH
#error "granule-dma: DMA segments need lengths of their own"
#endif

/* Neighbours in memory and in the span, on their way to one request. */
struct dma_run {
	u64 iova;
	phys_addr_t phys;
	u64 length;
};

static void dma_scatter_init(struct scatter *s, struct dma_space *space,
			     struct device *dev)
{
	scatter_init(s, space->granule, dma_get_seg_boundary(dev),
		     dma_get_max_seg_size(dev));
}

static int dma_run_flush(struct dma_space *space,
			 struct granule_dma_batch *batch,
			 int prot, struct dma_run *run)
{
	int rc = 0;

	if (run->length)
		rc = space->provider->map(batch, run->iova, run->phys,
					  run->length, prot, GFP_ATOMIC);
	run->length = 0;
	return rc;
}

/* Trusted devices: whole granules, as few requests as possible. */
static int dma_run_add(struct dma_space *space, struct granule_dma_batch *batch,
		       int prot, struct dma_run *run,
		       u64 iova, phys_addr_t phys, u64 length)
{
	int rc = 0;

	if (run->length && run->iova + run->length == iova &&
	    run->phys + run->length == phys) {
		run->length += length;
		return 0;
	}
	rc = dma_run_flush(space, batch, prot, run);
	run->iova = iova;
	run->phys = phys;
	run->length = length;
	return rc;
}

/* How long a span a list needs. */
static int dma_sg_measure(struct dma_space *space, struct device *dev,
			  struct scatterlist *sgl, int nents, u64 *span)
{
	struct scatter_place place;
	struct scatterlist *sg;
	struct scatter s;
	int i, rc;

	dma_scatter_init(&s, space, dev);
	for_each_sg(sgl, sg, nents, i) {
		if (!sg->length)
			continue;
		/* Between two devices, the IOMMU may not be on the way. */
		if (is_pci_p2pdma_page(sg_page(sg)))
			return -EREMOTEIO;
		rc = scatter_add(&s, sg_phys(sg), sg->length, &place);
		if (rc)
			return -EINVAL;
	}
	*span = s.span;
	return s.span ? 0 : -EINVAL;
}

static void dma_sg_invalidate(struct scatterlist *sgl, int nents)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		sg_dma_address(sg) = DMA_MAPPING_ERROR;
		sg_dma_len(sg) = 0;
	}
}

/* Returns the number of segments, or an error with some of it mapped. */
static int dma_sg_fill(struct dma_space *space, struct granule_dma_batch *batch,
		       int prot, struct device *dev,
		       struct scatterlist *sgl, int nents, u64 iova,
		       u64 *granules)
{
	struct scatterlist *sg, *segment = NULL;
	struct scatter_place place;
	struct dma_run run = {};
	int i, rc, count = 0;
	struct scatter s;

	dma_scatter_init(&s, space, dev);
	for_each_sg(sgl, sg, nents, i) {
		phys_addr_t phys = sg_phys(sg);
		u64 length = sg->length;

		/* A segment of no length would look like the end. */
		if (!length)
			continue;
		rc = scatter_add(&s, phys, length, &place);
		if (rc)
			return -EINVAL;
		if (space->untrusted)
			rc = dma_bounce_map(space, batch, prot,
					    iova + place.start, phys, length);
		else
			rc = dma_run_add(space, batch, prot, &run,
					 iova + place.start,
					 phys - place.offset, place.length);
		if (rc)
			return rc;
		*granules += place.length >> space->shift;
		/* Segments are never ahead of the pieces they are made of. */
		if (place.merged) {
			sg_dma_len(segment) += length;
			continue;
		}
		segment = segment ? sg_next(segment) : sgl;
		sg_dma_address(segment) = iova + place.start + place.offset;
		sg_dma_len(segment) = length;
		count++;
	}
	rc = dma_run_flush(space, batch, prot, &run);
	if (rc)
		return rc;
	if (count < nents)
		dma_sg_invalidate(sg_next(segment), 1);
	return count;
}

/*
 * Returns the number of segments; -EINVAL for a list that cannot be, -EREMOTEIO
 * for one with another device's memory, -ENOMEM for want of addresses or
 * memory, -EIO when the IOMMU did not do it.
 */
int dma_map_sg_op(struct device *dev, struct scatterlist *sgl, int nents,
		  enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_space *space = dma_space_of(dev);
	struct granule_dma_batch batch = { .domain = space->domain };
	u64 span, iova, granules = 0;
	int rc, count;

	rc = dma_sg_measure(space, dev, sgl, nents, &span);
	if (rc)
		goto refuse;
	iova = dma_iova_alloc(space, dev, span, dma_get_mask(dev));
	if (iova == DMA_MAPPING_ERROR) {
		rc = -ENOMEM;
		goto refuse;
	}
	count = dma_sg_fill(space, &batch, dma_prot(dev, dir, attrs), dev, sgl,
			    nents, iova, &granules);
	rc = dma_map_end(space, &batch, iova, span, granules, min(count, 0));
	if (!rc)
		return count;
	dma_sg_invalidate(sgl, nents);
	return rc == -ENOMEM || rc == -EINVAL ? rc : -EIO;

refuse:
	dma_count(space, DMA_STAT_FAILURES, 1);
	dma_sg_invalidate(sgl, nents);
	return rc;
}

void dma_unmap_sg_op(struct device *dev, struct scatterlist *sgl, int nents,
		     enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_space *space = dma_space_of(dev);
	struct scatterlist *sg;
	u64 iova, end = 0;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		end = ALIGN(sg_dma_address(sg) + sg_dma_len(sg),
			    space->granule);
	}
	if (!end)
		return;
	iova = granule_down(sg_dma_address(sgl), space->granule);
	dma_unmap_span(space, iova, end - iova, dir, attrs);
}
