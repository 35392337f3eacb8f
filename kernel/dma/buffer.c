// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for drivers: coherent, by pages, or of several pieces.
 *
 * It is made of blocks of at least a granule, so that pieces of it lie side by
 * side in the device's view (seed: "Support PAGE_SIZE < iovad->granule
 * allocations"). What a trusted device does not need of the last block is
 * freed at once; an untrusted device's blocks are its own to the last byte.
 */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "private.h"

#define DMA_MAX_ORDER ilog2(MAX_ORDER_NR_PAGES)

static unsigned int dma_block_order(u64 granule)
{
	return ilog2(granule) - PAGE_SHIFT;
}

static struct page *dma_buffer_page(const struct dma_buffer *buffer,
				    unsigned int i)
{
	return buffer->pages ? buffer->pages[i] : buffer->first + i;
}

/* A block of 2^order pages, of which the first @count are kept. */
static struct page *dma_block_alloc(struct device *dev, gfp_t gfp,
				    unsigned int order, unsigned int count)
{
	struct page *page = alloc_pages_node(dev_to_node(dev), gfp, order);
	unsigned int i;

	if (!page)
		return NULL;
	split_page(page, order);
	for (i = count; i < 1U << order; i++)
		__free_page(page + i);
	return page;
}

static void dma_pages_free(struct dma_buffer *buffer)
{
	unsigned int i;

	for (i = 0; i < buffer->count; i++)
		__free_page(dma_buffer_page(buffer, i));
	kvfree(buffer->pages);
}

void dma_buffer_put(struct dma_buffer *buffer)
{
	if (!refcount_dec_and_test(&buffer->users))
		return;
	dma_pages_free(buffer);
	kfree(buffer);
}

/* One contiguous block, if the page allocator has such large ones. */
static int dma_pages_contiguous(struct device *dev, struct dma_buffer *buffer,
				u64 granule, gfp_t gfp)
{
	size_t size = (size_t)buffer->count << PAGE_SHIFT;
	unsigned int order = max_t(unsigned int, dma_block_order(granule),
				   get_order(size));

	if (order > DMA_MAX_ORDER)
		return -ENOMEM;
	buffer->first = dma_block_alloc(dev, gfp, order, buffer->count);
	return buffer->first ? 0 : -ENOMEM;
}

/* Blocks as large as can be had, none smaller than a granule. */
static int dma_pages_scattered(struct device *dev, struct dma_buffer *buffer,
			       u64 granule, gfp_t gfp)
{
	unsigned int least = dma_block_order(granule), order = DMA_MAX_ORDER;
	unsigned int count = buffer->count, i, n;

	buffer->pages = kvcalloc(count, sizeof(*buffer->pages), GFP_KERNEL);
	if (!buffer->pages)
		return -ENOMEM;
	for (buffer->count = 0; buffer->count < count;) {
		gfp_t try = gfp | __GFP_NOWARN;
		struct page *page;

		n = count - buffer->count;
		order = max(least, min(order, (unsigned int)ilog2(n)));
		if (order > least)
			try |= __GFP_NORETRY;
		n = min(n, 1U << order);
		page = dma_block_alloc(dev, try, order, n);
		if (!page && order == least) {
			dma_pages_free(buffer);
			return -ENOMEM;
		}
		if (!page) {
			order--;
			continue;
		}
		for (i = 0; i < n; i++)
			buffer->pages[buffer->count++] = page + i;
	}
	return 0;
}

/*
 * dma_buffer_map - map each run of pages that follow each other
 * @space: of @dev, which need not be the buffer's
 * @span: bytes of IOVAs
 * @iova: where the first one is, unless this fails
 *
 * Runs begin on granules. Return: 0; -ENOMEM, or what the IOMMU says.
 */
int dma_buffer_map(struct dma_space *space, struct device *dev,
		   const struct dma_buffer *buffer, u64 span, int prot,
		   u64 *iova)
{
	struct granule_dma_batch batch = { .domain = space->domain };
	unsigned int i, n;
	int rc = 0;

	*iova = dma_iova_alloc(space, dev, span, dev->coherent_dma_mask);
	if (*iova == DMA_MAPPING_ERROR) {
		dma_count(space, DMA_STAT_FAILURES, 1);
		return -ENOMEM;
	}
	for (i = 0; i < buffer->count && !rc; i += n) {
		phys_addr_t phys = page_to_phys(dma_buffer_page(buffer, i));

		for (n = 1; i + n < buffer->count; n++)
			if (page_to_phys(dma_buffer_page(buffer, i + n)) !=
			    phys + ((u64)n << PAGE_SHIFT))
				break;
		rc = space->provider->map(&batch, *iova + ((u64)i << PAGE_SHIFT),
					  phys,
					  ALIGN((u64)n << PAGE_SHIFT,
						space->granule),
					  prot, GFP_ATOMIC);
	}
	return dma_map_end(space, &batch, *iova, span, span >> space->shift,
			   rc);
}

static void dma_buffer_unmap(struct dma_space *space,
			     const struct dma_buffer *buffer)
{
	dma_unmap_span(space, buffer->iova, buffer->span, DMA_NONE,
		       DMA_ATTR_SKIP_CPU_SYNC);
}

static int dma_buffer_keep(struct dma_space *space, struct dma_buffer *buffer)
{
	unsigned long flags;
	int rc;

	xa_lock_irqsave(&space->buffers, flags);
	rc = xa_err(__xa_store(&space->buffers, buffer->iova >> space->shift,
			       buffer, GFP_ATOMIC));
	xa_unlock_irqrestore(&space->buffers, flags);
	return rc;
}

static int dma_pages_alloc(struct device *dev, struct dma_buffer *buffer,
			   u64 granule, gfp_t gfp, enum dma_pieces pieces)
{
	gfp_t once = gfp;
	int rc = -ENOMEM;

	if (pieces != DMA_PIECES_MANY) {
		if (pieces == DMA_PIECES_ANY && gfpflags_allow_blocking(gfp))
			once |= __GFP_NORETRY | __GFP_NOWARN;
		rc = dma_pages_contiguous(dev, buffer, granule, once);
	}
	if (rc && pieces != DMA_PIECES_ONE && gfpflags_allow_blocking(gfp))
		rc = dma_pages_scattered(dev, buffer, granule, gfp);
	return rc;
}

/*
 * dma_buffer_new - memory that a device sees in one piece
 * @size: bytes, not 0
 * @granule: of what it is made of: at least the space's
 * @pieces: what it may be made of
 * @prot: what the device may do with it
 *
 * The memory is zero. Return: the buffer, without a kernel address, or NULL.
 */
struct dma_buffer *dma_buffer_new(struct device *dev, size_t size, u64 granule,
				  gfp_t gfp, enum dma_pieces pieces, int prot)
{
	struct dma_space *space = dma_space_of(dev);
	struct dma_buffer *buffer;
	u64 span;

	if (!size || granule_up(size, space->granule, &span) ||
	    span >> PAGE_SHIFT > INT_MAX)
		return NULL;
	gfp &= ~(__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM | __GFP_COMP);
	buffer = kzalloc(sizeof(*buffer),
			 gfpflags_allow_blocking(gfp) ? GFP_KERNEL : GFP_ATOMIC);
	if (!buffer)
		return NULL;
	refcount_set(&buffer->users, 1);
	buffer->dev = dev;
	buffer->span = span;
	buffer->count = (space->untrusted ? span : PAGE_ALIGN(size)) >>
			PAGE_SHIFT;
	if (dma_pages_alloc(dev, buffer, granule, gfp | __GFP_ZERO, pieces))
		goto err_buffer;
	if (dma_buffer_map(space, dev, buffer, span, prot, &buffer->iova))
		goto err_pages;
	if (dma_buffer_keep(space, buffer))
		goto err_map;
	return buffer;

err_map:
	dma_buffer_unmap(space, buffer);
err_pages:
	dma_pages_free(buffer);
err_buffer:
	kfree(buffer);
	return NULL;
}

/* The buffer that the device sees at @addr, or NULL. */
struct dma_buffer *dma_buffer_find(struct dma_space *space, dma_addr_t addr)
{
	struct dma_buffer *buffer = xa_load(&space->buffers,
					    addr >> space->shift);

	return buffer && buffer->iova == addr ? buffer : NULL;
}

/* As dma_buffer_find(), for dma_buffer_put(). */
struct dma_buffer *dma_buffer_get(struct dma_space *space, dma_addr_t addr)
{
	struct dma_buffer *buffer;
	unsigned long flags;

	/* Erased under the lock before it is freed. */
	xa_lock_irqsave(&space->buffers, flags);
	buffer = dma_buffer_find(space, addr);
	if (buffer)
		refcount_inc(&buffer->users);
	xa_unlock_irqrestore(&space->buffers, flags);
	return buffer;
}

/* Is the memory made of whole granules, and nobody else's in any of them? */
bool dma_buffer_fits(const struct dma_buffer *buffer, u64 granule)
{
	unsigned int step = granule >> PAGE_SHIFT, i, k;

	if (buffer->count % step)
		return false;
	for (i = 0; i < buffer->count; i += step) {
		phys_addr_t phys = page_to_phys(dma_buffer_page(buffer, i));

		if (!granule_aligned(phys, granule))
			return false;
		for (k = 1; k < step; k++)
			if (page_to_phys(dma_buffer_page(buffer, i + k)) !=
			    phys + ((u64)k << PAGE_SHIFT))
				return false;
	}
	return true;
}

static void dma_buffer_release(struct dma_buffer *buffer)
{
	if (buffer->mapped)
		vunmap(buffer->vaddr);
	dma_buffer_put(buffer);
}

void dma_buffer_free(struct dma_space *space, struct dma_buffer *buffer)
{
	unsigned long flags;

	xa_lock_irqsave(&space->buffers, flags);
	__xa_erase(&space->buffers, buffer->iova >> space->shift);
	xa_unlock_irqrestore(&space->buffers, flags);
	dma_buffer_unmap(space, buffer);
	dma_buffer_release(buffer);
}

/*
 * dma_buffer_take - a driver frees memory: the device loses it
 *
 * That may be long after the driver has let go of the device, and while the
 * device leaves its space: see granule_dma_remove(), which waits for whoever
 * is in here. Return: the buffer, for dma_buffer_release(); NULL: there is no
 * such memory, or no space any more.
 */
static struct dma_buffer *dma_buffer_take(struct device *dev, dma_addr_t addr,
					  const void *vaddr)
{
	struct dma_buffer *buffer = NULL;
	struct dma_space *space;
	unsigned long flags;

	rcu_read_lock();
	space = dma_space_if_any(dev);
	if (space) {
		xa_lock_irqsave(&space->buffers, flags);
		buffer = dma_buffer_find(space, addr);
		if (buffer && buffer->vaddr == vaddr)
			__xa_erase(&space->buffers, addr >> space->shift);
		else
			buffer = NULL;
		xa_unlock_irqrestore(&space->buffers, flags);
	}
	if (buffer)
		dma_buffer_unmap(space, buffer);
	rcu_read_unlock();
	return buffer;
}

/* --- memory of drivers that are gone --- */

/*
 * Buffers whose device has left the IOMMU before its driver freed them, by
 * what the driver calls them. Each keeps the module.
 */
static DEFINE_XARRAY_FLAGS(dma_late_buffers, XA_FLAGS_LOCK_IRQ);

/* How many granules are memory that its drivers have not freed? */
u64 dma_buffers_granules(struct dma_space *space)
{
	struct dma_buffer *buffer;
	unsigned long index, flags;
	u64 granules = 0;

	/* Erased under the lock before it is freed. */
	xa_lock_irqsave(&space->buffers, flags);
	xa_for_each(&space->buffers, index, buffer)
		granules += buffer->span >> space->shift;
	xa_unlock_irqrestore(&space->buffers, flags);
	return granules;
}

/*
 * dma_buffers_outlive - a device leaves its space
 *
 * What its driver has not freed is unmapped and kept until it does.
 */
void dma_buffers_outlive(struct dma_space *space, struct device *dev)
{
	struct dma_buffer *buffer;
	unsigned long index, flags;
	void *old;

	for (;;) {
		xa_lock_irqsave(&space->buffers, flags);
		xa_for_each(&space->buffers, index, buffer)
			if (buffer->dev == dev) {
				__xa_erase(&space->buffers, index);
				break;
			}
		xa_unlock_irqrestore(&space->buffers, flags);
		if (!buffer)
			return;
		dma_buffer_unmap(space, buffer);
		old = xa_store_irq(&dma_late_buffers,
				   (unsigned long)buffer->vaddr, buffer,
				   GFP_KERNEL);
		if (!xa_is_err(old)) {
			__module_get(THIS_MODULE);
			continue;
		}
		/* The memory may still be in use, for ever. */
	}
}

/* Free what has outlived a space; false: @vaddr is no such memory. */
static bool dma_late_free(void *vaddr)
{
	struct dma_buffer *buffer;
	unsigned long flags;

	xa_lock_irqsave(&dma_late_buffers, flags);
	buffer = __xa_erase(&dma_late_buffers, (unsigned long)vaddr);
	xa_unlock_irqrestore(&dma_late_buffers, flags);
	if (!buffer)
		return false;
	dma_buffer_release(buffer);
	module_put(THIS_MODULE);
	return true;
}

/* The free operation of a device that has no space any more. */
void dma_buffers_free_late(struct device *dev, size_t size, void *vaddr,
			   dma_addr_t addr, unsigned long attrs)
{
	dma_late_free(vaddr);
}

/* --- operations --- */

/*
 * dma_coherent_new - memory for a device and the CPU
 * @granule: of what it is made of: at least the space's
 */
struct dma_buffer *dma_coherent_new(struct device *dev, size_t size,
				    u64 granule, gfp_t gfp, unsigned long attrs)
{
	enum dma_pieces pieces = DMA_PIECES_ANY;
	struct dma_buffer *buffer;

	if (attrs & DMA_ATTR_FORCE_CONTIGUOUS)
		pieces = DMA_PIECES_ONE;
	buffer = dma_buffer_new(dev, size, granule, gfp, pieces,
				dma_prot(dev, DMA_BIDIRECTIONAL, attrs));
	if (!buffer)
		return NULL;
	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING) {
		/* A name for the memory, no more. */
		buffer->vaddr = dma_buffer_page(buffer, 0);
	} else if (!buffer->pages) {
		buffer->vaddr = page_address(buffer->first);
	} else {
		buffer->vaddr = vmap(buffer->pages, buffer->count, VM_MAP,
				     PAGE_KERNEL);
		buffer->mapped = true;
		if (!buffer->vaddr) {
			buffer->mapped = false;
			dma_buffer_free(dma_space_of(dev), buffer);
			return NULL;
		}
	}
	return buffer;
}

void *dma_alloc_op(struct device *dev, size_t size, dma_addr_t *addr, gfp_t gfp,
		   unsigned long attrs)
{
	struct dma_buffer *buffer;

	buffer = dma_coherent_new(dev, size, dma_space_of(dev)->granule, gfp,
				  attrs);
	if (!buffer)
		return NULL;
	*addr = buffer->iova;
	return buffer->vaddr;
}

/*
 * The device may have a new space by now, where the same address is somebody
 * else's: memory is what the driver calls it, and where the device saw it.
 */
void dma_free_op(struct device *dev, size_t size, void *vaddr, dma_addr_t addr,
		 unsigned long attrs)
{
	struct dma_buffer *buffer = dma_buffer_take(dev, addr, vaddr);

	if (buffer)
		dma_buffer_release(buffer);
	else if (!dma_late_free(vaddr))
		dev_err(dev, "granule-dma: memory at %pad is freed, but was not allocated here\n",
			&addr);
}

struct page *dma_alloc_pages_op(struct device *dev, size_t size,
				dma_addr_t *addr, enum dma_data_direction dir,
				gfp_t gfp)
{
	struct dma_buffer *buffer;

	buffer = dma_buffer_new(dev, size, dma_space_of(dev)->granule, gfp,
				DMA_PIECES_ONE, dma_prot(dev, dir, 0));
	if (!buffer)
		return NULL;
	buffer->vaddr = page_address(buffer->first);
	*addr = buffer->iova;
	return buffer->first;
}

void dma_free_pages_op(struct device *dev, size_t size, struct page *page,
		       dma_addr_t addr, enum dma_data_direction dir)
{
	dma_free_op(dev, size, page_address(page), addr, 0);
}

int dma_mmap_op(struct device *dev, struct vm_area_struct *vma, void *vaddr,
		dma_addr_t addr, size_t size, unsigned long attrs)
{
	struct dma_buffer *buffer = dma_buffer_find(dma_space_of(dev), addr);
	unsigned long count = PAGE_ALIGN(size) >> PAGE_SHIFT;

	if (!buffer || buffer->vaddr != vaddr || count > buffer->count)
		return -ENXIO;
	if (buffer->pages)
		return vm_map_pages(vma, buffer->pages, count);
	if (vma->vm_pgoff >= count || vma_pages(vma) > count - vma->vm_pgoff)
		return -ENXIO;
	return remap_pfn_range(vma, vma->vm_start,
			       page_to_pfn(buffer->first) + vma->vm_pgoff,
			       vma_pages(vma) << PAGE_SHIFT, vma->vm_page_prot);
}

/*
 * The pieces of memory that came from here. Of any other memory nothing is
 * known, not even whether it has pages: -ENXIO (seed: "Disable get_sgtable").
 */
int dma_get_sgtable_op(struct device *dev, struct sg_table *sgt, void *vaddr,
		       dma_addr_t addr, size_t size, unsigned long attrs)
{
	struct dma_buffer *buffer = dma_buffer_find(dma_space_of(dev), addr);
	size_t count = PAGE_ALIGN(size) >> PAGE_SHIFT;
	int rc;

	if (!buffer || buffer->vaddr != vaddr || !count ||
	    count > buffer->count)
		return -ENXIO;
	if (buffer->pages)
		return sg_alloc_table_from_pages(sgt, buffer->pages, count, 0,
						 count << PAGE_SHIFT,
						 GFP_KERNEL);
	rc = sg_alloc_table(sgt, 1, GFP_KERNEL);
	if (!rc)
		sg_set_page(sgt->sgl, buffer->first, count << PAGE_SHIFT, 0);
	return rc;
}
