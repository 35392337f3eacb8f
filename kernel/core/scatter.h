/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only */
/*
 * How the pieces of a scatterlist lie in one span of IOVAs when the IOMMU's
 * page, the granule, may be larger than the pieces.
 *
 *   memory     |..aaa|bbbbb|  |..ccc|        | = granule boundary
 *   span       |..aaa|bbbbb|..ccc|
 *
 * Each piece keeps its offset in the granule and occupies the granules around
 * it. Pieces that meet on a granule boundary become one DMA segment, as far as
 * the device's limits allow; where a piece would cross the device's boundary a
 * hole is left. (Seed: "Support granule > PAGE_SIZE in dma_map_sg".)
 *
 * The same pieces in the same order give the same places, so a list is gone
 * over twice, once for the length of the span, and nothing has to be stored.
 */
#ifndef CORE_SCATTER_H
#define CORE_SCATTER_H

#include "granule.h"

struct scatter {
	u64 granule;
	u64 boundary;		/* a power of two; 0: none */
	u64 max_segment;	/* bytes */
	u64 span;		/* bytes of the pieces so far, in granules */
	u64 segment;		/* bytes of the segment that is growing */
	bool open;		/* it ends on a granule boundary, at span */
};

struct scatter_place {
	u64 start;	/* in the span: of the first granule */
	u64 length;	/* of its granules */
	u64 offset;	/* of the piece in the first granule */
	bool merged;	/* continues the previous piece's segment */
};

/**
 * scatter_init - begin with an empty span
 * @granule: a power of two
 * @boundary_mask: dma_get_seg_boundary(): a power of two minus one
 * @max_segment: bytes that a segment may have; a longer piece is a segment by
 * itself
 *
 * The span's IOVA has to be aligned to the next power of two of its length.
 */
static inline void scatter_init(struct scatter *s, u64 granule,
				u64 boundary_mask, u64 max_segment)
{
	*s = (struct scatter){
		.granule = granule,
		.boundary = boundary_mask + 1,
		.max_segment = max_segment,
	};
}

/**
 * scatter_add - place the next piece
 * @phys: its physical address
 * @length: bytes, not 0
 *
 * Return: 0; -EINVAL for a length of 0; -EOVERFLOW past the end of u64. After
 * an error the span is as it was.
 */
int scatter_add(struct scatter *s, u64 phys, u64 length,
		struct scatter_place *out);

#endif
