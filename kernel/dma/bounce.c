// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounce blocks: what an untrusted device sees instead of granules that are
 * only partly its own. Its part is copied to the same place of a block of
 * ours; the rest is zero.
 *
 *   memory   |nnnnn|ddddddd|ddddddd|dd|nnnn|      n: neighbours, d: the device's
 *   device   |00000|ddddddd|ddddddd|dd|0000|
 *             bounce         itself  bounce
 *
 * A short piece is copied as a whole, into one contiguous block: that is one
 * request instead of three, and there are device models that transfer a
 * fragment only from memory that is contiguous.
 *
 * swiotlb is of no help: its slots are aligned to the CPU's page at best.
 */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "private.h"

/* In space->bounces at each of its granules; owned by the mapping. */
struct dma_bounce {
	struct page *page;
	phys_addr_t phys;	/* of the memory that is stood in for */
	u64 index;		/* first granule */
	u32 granules;
	u32 offset;		/* of the memory's part in the block */
	u32 length;
};

/* Up to here a piece is copied as a whole. */
static u64 dma_bounce_whole(const struct dma_space *space)
{
	return max_t(u64, SZ_64K, 2 * space->granule);
}

/* --- the pool --- */

/*
 * Spare granules, so that contiguous memory is there when it is needed: a
 * driver that asks for the same mapping again and again has to get it at last.
 * max_mapping_size() tells it how much that is, in pages each of which needs a
 * granule.
 */
#define DMA_POOL_BYTES SZ_4M

size_t dma_bounce_max(const struct dma_space *space)
{
	return ((DMA_POOL_BYTES >> space->shift) - 1) * PAGE_SIZE;
}

static unsigned int dma_granule_order(const struct dma_space *space)
{
	return space->shift - PAGE_SHIFT;
}

static struct page *dma_pool_get(struct dma_space *space)
{
	struct page *page;
	unsigned long flags;

	spin_lock_irqsave(&space->pool_lock, flags);
	page = list_first_entry_or_null(&space->pool, struct page, lru);
	if (page) {
		list_del(&page->lru);
		space->pooled--;
	}
	spin_unlock_irqrestore(&space->pool_lock, flags);
	return page ?: alloc_pages(GFP_ATOMIC | __GFP_NOWARN,
				   dma_granule_order(space));
}

static void dma_pool_put(struct dma_space *space, struct page *page)
{
	bool full;
	unsigned long flags;

	spin_lock_irqsave(&space->pool_lock, flags);
	full = space->pooled >= DMA_POOL_BYTES >> space->shift;
	if (!full) {
		list_add(&page->lru, &space->pool);
		space->pooled++;
	}
	spin_unlock_irqrestore(&space->pool_lock, flags);
	if (full)
		__free_pages(page, dma_granule_order(space));
}

void dma_bounce_fill_pool(struct dma_space *space)
{
	while (READ_ONCE(space->pooled) < DMA_POOL_BYTES >> space->shift) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_NOWARN,
						dma_granule_order(space));

		if (!page)
			break;
		dma_pool_put(space, page);
	}
}

void dma_bounce_exit(struct dma_space *space)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &space->pool, lru) {
		list_del(&page->lru);
		__free_pages(page, dma_granule_order(space));
	}
	xa_destroy(&space->bounces);
}

/* --- blocks --- */

static unsigned int dma_block_order(const struct dma_space *space, u32 granules)
{
	return dma_granule_order(space) + order_base_2(granules);
}

static struct page *dma_block_get(struct dma_space *space, u32 granules)
{
	if (granules == 1)
		return dma_pool_get(space);
	return alloc_pages(GFP_ATOMIC | __GFP_NOWARN | __GFP_NORETRY,
			   dma_block_order(space, granules));
}

static void dma_block_put(struct dma_space *space, struct page *page,
			  u32 granules)
{
	if (granules == 1)
		dma_pool_put(space, page);
	else
		__free_pages(page, dma_block_order(space, granules));
}

/* Copy bytes at..at+length-1 of a block, which are of its memory's part. */
static void dma_bounce_copy(struct dma_space *space,
			    const struct dma_bounce *bounce, u32 at, u32 length,
			    bool to_device)
{
	void *memory = phys_to_virt(bounce->phys + (at - bounce->offset));
	void *block = page_address(bounce->page) + at;

	if (to_device)
		memcpy(block, memory, length);
	else
		memcpy(memory, block, length);
	dma_count(space, DMA_STAT_BOUNCED_BYTES, length);
}

/* Take the first @n granules of a bounce out of the index. */
static void dma_bounce_erase(struct dma_space *space,
			     const struct dma_bounce *bounce, u32 n)
{
	unsigned long flags;

	xa_lock_irqsave(&space->bounces, flags);
	while (n--)
		__xa_erase(&space->bounces, bounce->index + n);
	xa_unlock_irqrestore(&space->bounces, flags);
}

static int dma_bounce_insert(struct dma_space *space, struct dma_bounce *bounce)
{
	unsigned long flags;
	int rc = 0;
	u32 n;

	xa_lock_irqsave(&space->bounces, flags);
	for (n = 0; n < bounce->granules && !rc; n++)
		rc = xa_err(__xa_store(&space->bounces, bounce->index + n,
				       bounce, GFP_ATOMIC | __GFP_NOWARN));
	xa_unlock_irqrestore(&space->bounces, flags);
	if (rc)
		dma_bounce_erase(space, bounce, n);
	return rc;
}

static void dma_bounce_free(struct dma_space *space, struct dma_bounce *bounce)
{
	dma_block_put(space, bounce->page, bounce->granules);
	kfree(bounce);
}

/* A block with a copy of the memory at @phys, or NULL: there is no memory. */
static struct dma_bounce *dma_bounce_new(struct dma_space *space, u64 iova,
					 phys_addr_t phys, u32 length)
{
	u32 offset = granule_offset(phys, space->granule), size;
	struct dma_bounce *bounce;
	void *block;

	bounce = kmalloc(sizeof(*bounce), GFP_ATOMIC | __GFP_NOWARN);
	if (!bounce)
		return NULL;
	size = ALIGN(offset + length, space->granule);
	*bounce = (struct dma_bounce){
		.page = dma_block_get(space, size >> space->shift),
		.phys = phys,
		.index = iova >> space->shift,
		.granules = size >> space->shift,
		.offset = offset,
		.length = length,
	};
	if (!bounce->page) {
		kfree(bounce);
		return NULL;
	}
	/*
	 * Copied in whatever the direction and the attributes: what a device
	 * does not write has to be there when all of it is copied back.
	 */
	block = page_address(bounce->page);
	memset(block, 0, offset);
	dma_bounce_copy(space, bounce, offset, length, true);
	memset(block + offset + length, 0, size - offset - length);
	if (dma_bounce_insert(space, bounce)) {
		dma_bounce_free(space, bounce);
		return NULL;
	}
	dma_count(space, DMA_STAT_BOUNCE_GRANULES, bounce->granules);
	return bounce;
}

/* --- mapping --- */

static int dma_bounce_one(struct dma_space *space,
			  struct granule_dma_batch *batch, int prot, u64 iova,
			  phys_addr_t phys, u32 length)
{
	struct dma_bounce *bounce = dma_bounce_new(space, iova, phys, length);

	if (!bounce)
		return -ENOMEM;
	return space->provider->map(batch, iova, page_to_phys(bounce->page),
				    (u64)bounce->granules << space->shift, prot,
				    GFP_ATOMIC);
}

/*
 * dma_bounce_map - map a piece of memory exactly
 * @iova: of its first granule
 *
 * Return: 0, or an error after which some of it may be mapped and bounced:
 * dma_bounce_release() takes that back.
 */
int dma_bounce_map(struct dma_space *space, struct granule_dma_batch *batch,
		   int prot, u64 iova, phys_addr_t phys, u64 size)
{
	struct dma_bounce *bounce = NULL;
	int rc = 0;

	if (!granule_aligned(phys | size, space->granule) &&
	    granule_offset(phys, space->granule) + size <=
	    dma_bounce_whole(space))
		bounce = dma_bounce_new(space, iova, phys, size);
	if (bounce)
		return space->provider->map(batch, iova,
					    page_to_phys(bounce->page),
					    (u64)bounce->granules <<
					    space->shift, prot, GFP_ATOMIC);
	while (size && !rc) {
		u64 offset = granule_offset(phys, space->granule), n;

		if (!offset && size >= space->granule) {
			n = granule_down(size, space->granule);
			rc = space->provider->map(batch, iova, phys, n, prot,
						  GFP_ATOMIC);
		} else {
			n = min(size, space->granule - offset);
			rc = dma_bounce_one(space, batch, prot, iova, phys, n);
		}
		iova += offset + n;
		phys += n;
		size -= n;
	}
	return rc;
}

/*
 * dma_bounce_release - let go of the bounce blocks of a span
 * @copy: what the device wrote goes to where it belongs
 *
 * The IOMMU has forgotten the span.
 */
void dma_bounce_release(struct dma_space *space, u64 iova, u64 span, bool copy)
{
	unsigned long index = iova >> space->shift;
	unsigned long last = (iova + span - 1) >> space->shift;
	struct dma_bounce *bounce;

	while ((bounce = xa_find(&space->bounces, &index, last, XA_PRESENT))) {
		dma_bounce_erase(space, bounce, bounce->granules);
		if (copy)
			dma_bounce_copy(space, bounce, bounce->offset,
					bounce->length, false);
		dma_count(space, DMA_STAT_BOUNCE_GRANULES,
			  -(long)bounce->granules);
		dma_bounce_free(space, bounce);
	}
}

/* --- synchronising --- */

/* Copy what addr..addr+size-1 has in common with bounced memory. */
static void dma_bounce_sync(struct dma_space *space, u64 addr, u64 size,
			    bool to_device)
{
	unsigned long index = addr >> space->shift, last;
	struct dma_bounce *bounce;
	u64 part, start, end;

	if (!size)
		return;
	last = (addr + size - 1) >> space->shift;
	while ((bounce = xa_find(&space->bounces, &index, last, XA_PRESENT))) {
		part = (bounce->index << space->shift) + bounce->offset;
		start = max(addr, part);
		end = min(addr + size, part + bounce->length);
		if (start < end)
			dma_bounce_copy(space, bounce,
					start - part + bounce->offset,
					end - start, to_device);
		index = bounce->index + bounce->granules;
		if (index > last)
			break;
	}
}

void dma_sync_single_for_cpu_op(struct device *dev, dma_addr_t addr,
				size_t size, enum dma_data_direction dir)
{
	if (dir != DMA_TO_DEVICE)
		dma_bounce_sync(dma_space_of(dev), addr, size, false);
}

void dma_sync_single_for_device_op(struct device *dev, dma_addr_t addr,
				   size_t size, enum dma_data_direction dir)
{
	if (dir != DMA_FROM_DEVICE)
		dma_bounce_sync(dma_space_of(dev), addr, size, true);
}

void dma_sync_sg_for_cpu_op(struct device *dev, struct scatterlist *sgl,
			    int nents, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		dma_sync_single_for_cpu_op(dev, sg_dma_address(sg),
					   sg_dma_len(sg), dir);
	}
}

void dma_sync_sg_for_device_op(struct device *dev, struct scatterlist *sgl,
			       int nents, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		dma_sync_single_for_device_op(dev, sg_dma_address(sg),
					      sg_dma_len(sg), dir);
	}
}
