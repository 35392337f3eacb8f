/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/dma-map-ops.h> as Linux 6.12 has it. */
#ifndef COMPAT_DMA_H
#define COMPAT_DMA_H

#include <linux/dma-map-ops.h>

#ifndef HAVE_DMA_ALLOC_PAGES_OP
/* A member's name only; later kernels need alloc_pages for a macro. */
#define alloc_pages_op alloc_pages
#endif

#ifdef HAVE_DMA_ALLOC_NONCONTIGUOUS
/* Later kernels have the DMA API make such memory of one dma_alloc_pages(). */
struct sg_table *compat_dma_alloc_noncontiguous(struct device *dev, size_t size,
						enum dma_data_direction dir,
						gfp_t gfp, unsigned long attrs);
void compat_dma_free_noncontiguous(struct device *dev, size_t size,
				   struct sg_table *sgt,
				   enum dma_data_direction dir);
#define COMPAT_NONCONTIGUOUS_OPS					\
	.alloc_noncontiguous = compat_dma_alloc_noncontiguous,		\
	.free_noncontiguous = compat_dma_free_noncontiguous,
#define COMPAT_NONCONTIGUOUS_PIECES true
#else
#define COMPAT_NONCONTIGUOUS_OPS
#define COMPAT_NONCONTIGUOUS_PIECES false
#endif

#endif
