// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of one device, mapped for another one. See granule-share.h.
 */
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "granule-share.h"
#include "private.h"

struct granule_dma_share {
	struct list_head item;		/* granule_dma_lock; space->shares */
	struct dma_space *space;	/* granule_dma_lock; NULL: has ended */
	struct device *dev;		/* to compare with, no more */
	struct dma_buffer *buffer;	/* until it ends */
	u64 iova, span;
};

static struct granule_dma_share *dma_share_new(struct dma_space *space,
					       struct device *dev,
					       struct dma_buffer *buffer,
					       enum dma_data_direction dir)
{
	struct granule_dma_share *share;
	int rc;

	lockdep_assert_held(&granule_dma_lock);
	if (!dma_buffer_fits(buffer, space->granule)) {
		dev_dbg(dev,
			"granule-dma: memory of %u pages is not made of whole granules of %llu bytes\n",
			buffer->count, space->granule);
		return ERR_PTR(-EINVAL);
	}
	share = kzalloc(sizeof(*share), GFP_KERNEL);
	if (!share)
		return ERR_PTR(-ENOMEM);
	share->span = (u64)buffer->count << PAGE_SHIFT;
	rc = dma_buffer_map(space, dev, buffer, share->span,
			    dma_prot(dev, dir, 0), &share->iova);
	if (rc) {
		kfree(share);
		return ERR_PTR(rc);
	}
	refcount_inc(&buffer->users);
	share->buffer = buffer;
	share->space = space;
	share->dev = dev;
	list_add(&share->item, &space->shares);
	return share;
}

static void dma_share_end(struct granule_dma_share *share)
{
	lockdep_assert_held(&granule_dma_lock);
	dma_unmap_span(share->space, share->iova, share->span, DMA_NONE,
		       DMA_ATTR_SKIP_CPU_SYNC);
	list_del(&share->item);
	share->space = NULL;
	dma_buffer_put(share->buffer);
}

/* A device is no longer used: so is what others shared with it. */
void dma_shares_end(struct dma_space *space, struct device *dev)
{
	struct granule_dma_share *share, *next;

	list_for_each_entry_safe(share, next, &space->shares, item)
		if (share->dev == dev)
			dma_share_end(share);
}

struct granule_dma_share *granule_dma_share(struct device *owner, dma_addr_t at,
					    struct device *dev,
					    enum dma_data_direction dir,
					    dma_addr_t *addr)
{
	struct granule_dma_share *share;
	struct dma_space *from, *to;
	struct dma_buffer *buffer;

	guard(mutex)(&granule_dma_lock);
	from = dma_space_in_use(owner);
	to = dma_space_in_use(dev);
	if (!from || !to)
		return ERR_PTR(-ENODEV);
	buffer = dma_buffer_get(from, at);
	if (!buffer)
		return ERR_PTR(-ENXIO);
	share = dma_share_new(to, dev, buffer, dir);
	dma_buffer_put(buffer);
	if (!IS_ERR(share))
		*addr = share->iova;
	return share;
}
EXPORT_SYMBOL_GPL(granule_dma_share);

void granule_dma_unshare(struct granule_dma_share *share)
{
	mutex_lock(&granule_dma_lock);
	if (share->space)
		dma_share_end(share);
	mutex_unlock(&granule_dma_lock);
	kfree(share);
}
EXPORT_SYMBOL_GPL(granule_dma_unshare);

/* --- for several at once --- */

/* The largest granule among devices; 0: one of them is not in use. */
static u64 dma_coarsest(struct device *const *devs, unsigned int nr)
{
	struct dma_space *space;
	u64 granule = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		space = dma_space_in_use(devs[i]);
		if (!space)
			return 0;
		granule = max(granule, space->granule);
	}
	return granule;
}

static void dma_views_end(struct granule_dma_memory *memory)
{
	unsigned int i;

	for (i = 0; i < memory->nr; i++) {
		if (memory->views[i].share)
			granule_dma_unshare(memory->views[i].share);
		put_device(memory->views[i].dev);
	}
	kfree(memory);
}

/* Under granule_dma_lock. On failure those that are there are kept in it. */
static int dma_memory_fill(struct granule_dma_memory *memory,
			   struct device *const *devs, unsigned int nr,
			   struct dma_buffer *buffer)
{
	struct granule_dma_share *share = NULL;
	struct granule_dma_view *view;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (i) {
			share = dma_share_new(dma_space_in_use(devs[i]),
					      devs[i], buffer,
					      DMA_BIDIRECTIONAL);
			if (IS_ERR(share))
				return PTR_ERR(share);
		}
		view = &memory->views[memory->nr++];
		view->dev = get_device(devs[i]);
		view->share = share;
		view->addr = share ? share->iova : buffer->iova;
	}
	memory->vaddr = buffer->vaddr;
	return 0;
}

struct granule_dma_memory *
granule_dma_memory_alloc(struct device *const *devs, unsigned int nr,
			 size_t size, gfp_t gfp)
{
	struct granule_dma_memory *memory;
	struct dma_buffer *buffer;
	u64 granule, whole;
	int rc = -ENOMEM;

	if (!nr || !size)
		return ERR_PTR(-EINVAL);
	memory = kzalloc(struct_size(memory, views, nr), GFP_KERNEL);
	if (!memory)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&granule_dma_lock);
	granule = dma_coarsest(devs, nr);
	if (!granule) {
		rc = -ENODEV;
		goto err_unlock;
	}
	if (granule_up(size, granule, &whole))
		goto err_unlock;
	memory->size = whole;
	buffer = dma_coherent_new(devs[0], whole, granule, gfp, 0);
	if (!buffer)
		goto err_unlock;
	rc = dma_memory_fill(memory, devs, nr, buffer);
	if (rc)
		dma_buffer_free(dma_space_of(devs[0]), buffer);
err_unlock:
	mutex_unlock(&granule_dma_lock);
	if (!rc)
		return memory;
	dma_views_end(memory);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_GPL(granule_dma_memory_alloc);

/* By now the owner may have any operations, or have left its IOMMU. */
static void dma_memory_release(struct device *owner, size_t size, void *vaddr,
			       dma_addr_t addr)
{
	struct dma_buffer *buffer = NULL;
	struct dma_space *space;

	mutex_lock(&granule_dma_lock);
	space = dma_space_of_member(owner);
	if (space)
		buffer = dma_buffer_find(space, addr);
	if (buffer && buffer->vaddr == vaddr)
		dma_buffer_free(space, buffer);
	else
		dma_buffers_free_late(owner, size, vaddr, addr, 0);
	mutex_unlock(&granule_dma_lock);
}

void granule_dma_memory_free(struct granule_dma_memory *memory)
{
	struct granule_dma_view owner = memory->views[0];
	size_t size = memory->size;
	void *vaddr = memory->vaddr;

	get_device(owner.dev);
	dma_views_end(memory);
	dma_memory_release(owner.dev, size, vaddr, owner.addr);
	put_device(owner.dev);
}
EXPORT_SYMBOL_GPL(granule_dma_memory_free);
