// SPDX-License-Identifier: GPL-2.0-only
/*
 * Noncontiguous DMA memory, for kernels that leave it to the DMA operations.
 */
#include "dma.h"

#ifdef HAVE_DMA_ALLOC_NONCONTIGUOUS

#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "../dma/private.h"

struct sg_table *compat_dma_alloc_noncontiguous(struct device *dev, size_t size,
						enum dma_data_direction dir,
						gfp_t gfp, unsigned long attrs)
{
	struct dma_sgt_handle *handle;
	struct dma_buffer *buffer;
	unsigned long count = PAGE_ALIGN(size) >> PAGE_SHIFT;

	handle = kmalloc(sizeof(*handle), GFP_KERNEL);
	if (!handle)
		return NULL;
	buffer = dma_buffer_new(dev, size, dma_space_of(dev)->granule, gfp,
				DMA_PIECES_MANY,
				dma_prot(dev, dir, attrs));
	if (!buffer)
		goto err_handle;
	if (sg_alloc_table_from_pages(&handle->sgt, buffer->pages, count, 0,
				      count << PAGE_SHIFT, GFP_KERNEL))
		goto err_buffer;
	handle->sgt.sgl->dma_address = buffer->iova;
	handle->sgt.sgl->dma_length = count << PAGE_SHIFT;
	/* Without its space the kernel frees it as pages, by this name. */
	buffer->vaddr = page_address(buffer->pages[0]);
	/* What dma_vmap_noncontiguous() and the like look at. */
	handle->pages = buffer->pages;
	return &handle->sgt;

err_buffer:
	dma_buffer_free(dma_space_of(dev), buffer);
err_handle:
	kfree(handle);
	return NULL;
}

void compat_dma_free_noncontiguous(struct device *dev, size_t size,
				   struct sg_table *sgt,
				   enum dma_data_direction dir)
{
	dma_free_op(dev, size, page_address(sg_page(sgt->sgl)),
		    sgt->sgl->dma_address, 0);
	sg_free_table(sgt);
	kfree(sgt_handle(sgt));
}

#endif
