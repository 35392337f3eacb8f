// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tables of operations, and what they say of limits.
 *
 * A trusted device has none for synchronising: it sees the driver's own
 * memory. A device whose space could not be made has all refused.
 */
#include "compat/dma.h"
#include "private.h"

static u64 dma_limit(struct dma_space *space, struct device *dev, u64 mask)
{
	return min3(mask, min_not_zero(mask, dev->bus_dma_limit),
		    (u64)space->domain->geometry.aperture_end);
}

/* The least that a mapping takes: a granule and the gap, aligned to both. */
static u64 dma_least(struct dma_space *space)
{
	return space->granule * (1 + space->provider->gap);
}

static int dma_supported_op(struct device *dev, u64 mask)
{
	struct dma_space *space = dma_space_of(dev);
	u64 limit = dma_limit(space, dev, mask), least = dma_least(space);

	/* Granule 0 is never used. */
	return limit >= least * 2 - 1 &&
	       limit - least * 2 + 1 >= space->domain->geometry.aperture_start;
}

/*
 * A span is aligned to its size rounded up to a power of two, and 0 is not
 * used: at best it is the upper half. The gap is taken from that, and a granule
 * for memory that does not begin on one.
 */
static size_t dma_max_mapping_size_op(struct device *dev)
{
	struct dma_space *space = dma_space_of(dev);
	u64 limit = dma_limit(space, dev, dma_get_mask(dev));

	if (limit < dma_least(space) * 4 - 1)
		return PAGE_SIZE;
	limit = (limit == U64_MAX ? BIT_ULL(63) :
				    rounddown_pow_of_two(limit + 1) / 2) -
		dma_least(space);
	if (space->untrusted)
		limit = min_t(u64, limit, dma_bounce_max(space));
	return limit;
}

/* What the allocator of addresses has caches for, at the smallest granule. */
static size_t dma_opt_mapping_size_op(void)
{
	return 32 * PAGE_SIZE;
}

/* Pieces that meet on such a boundary become one segment. */
static unsigned long dma_get_merge_boundary_op(struct device *dev)
{
	return dma_space_of(dev)->granule - 1;
}

#define DMA_COMMON_OPS							\
	.alloc = dma_alloc_op,						\
	.free = dma_free_op,						\
	.alloc_pages_op = dma_alloc_pages_op,				\
	.free_pages = dma_free_pages_op,				\
	COMPAT_NONCONTIGUOUS_OPS					\
	.mmap = dma_mmap_op,						\
	.get_sgtable = dma_get_sgtable_op,				\
	.map_page = dma_map_page_op,					\
	.unmap_page = dma_unmap_page_op,				\
	.map_sg = dma_map_sg_op,					\
	.unmap_sg = dma_unmap_sg_op,					\
	.map_resource = dma_map_resource_op,				\
	.unmap_resource = dma_unmap_resource_op,			\
	.dma_supported = dma_supported_op,				\
	.max_mapping_size = dma_max_mapping_size_op,			\
	.opt_mapping_size = dma_opt_mapping_size_op,			\
	.get_merge_boundary = dma_get_merge_boundary_op

const struct dma_map_ops dma_trusted_ops = {
	DMA_COMMON_OPS,
};

const struct dma_map_ops dma_untrusted_ops = {
	DMA_COMMON_OPS,
	.sync_single_for_cpu = dma_sync_single_for_cpu_op,
	.sync_single_for_device = dma_sync_single_for_device_op,
	.sync_sg_for_cpu = dma_sync_sg_for_cpu_op,
	.sync_sg_for_device = dma_sync_sg_for_device_op,
};

/* --- nothing goes --- */

static void *dma_refuse_alloc(struct device *dev, size_t size,
			      dma_addr_t *addr, gfp_t gfp, unsigned long attrs)
{
	return NULL;
}

static struct page *dma_refuse_alloc_pages(struct device *dev, size_t size,
					   dma_addr_t *addr,
					   enum dma_data_direction dir,
					   gfp_t gfp)
{
	return NULL;
}

static dma_addr_t dma_refuse_map_page(struct device *dev, struct page *page,
				      unsigned long offset, size_t size,
				      enum dma_data_direction dir,
				      unsigned long attrs)
{
	return DMA_MAPPING_ERROR;
}

static int dma_refuse_map_sg(struct device *dev, struct scatterlist *sgl,
			     int nents, enum dma_data_direction dir,
			     unsigned long attrs)
{
	return -EIO;
}

static dma_addr_t dma_refuse_map_resource(struct device *dev, phys_addr_t phys,
					  size_t size,
					  enum dma_data_direction dir,
					  unsigned long attrs)
{
	return DMA_MAPPING_ERROR;
}

/* For what outlived its device's IOMMU: that has forgotten all. */
static void dma_refuse_unmap(struct device *dev, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir, unsigned long attrs)
{
}

static void dma_refuse_unmap_sg(struct device *dev, struct scatterlist *sgl,
				int nents, enum dma_data_direction dir,
				unsigned long attrs)
{
}

static void dma_free_pages_late(struct device *dev, size_t size,
				struct page *page, dma_addr_t addr,
				enum dma_data_direction dir)
{
	dma_buffers_free_late(dev, size, page_address(page), addr, 0);
}

static int dma_refuse_mask(struct device *dev, u64 mask)
{
	return 0;
}

const struct dma_map_ops dma_refusing_ops = {
	.alloc = dma_refuse_alloc,
	.free = dma_buffers_free_late,
	.alloc_pages_op = dma_refuse_alloc_pages,
	.free_pages = dma_free_pages_late,
	.map_page = dma_refuse_map_page,
	.unmap_page = dma_refuse_unmap,
	.map_sg = dma_refuse_map_sg,
	.unmap_sg = dma_refuse_unmap_sg,
	.map_resource = dma_refuse_map_resource,
	.unmap_resource = dma_refuse_unmap,
	.dma_supported = dma_refuse_mask,
};
