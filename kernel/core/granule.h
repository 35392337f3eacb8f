/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only */
/*
 * Granule arithmetic: alignment to a power of two, checked at both ends of u64.
 *
 * A granule is the smallest page of an IOMMU (of an IOAS: the largest such
 * among the attached ones). Nothing here is tied to the CPU's page size.
 */
#ifndef CORE_GRANULE_H
#define CORE_GRANULE_H

#include "core_env.h"

/* Is @g a granule at all: a power of two? */
static inline bool granule_valid(u64 g)
{
	return g && !(g & (g - 1));
}

/* The granule of an IOMMU with these page sizes; 0 when there are none. */
static inline u64 granule_of_bitmap(u64 pgsize_bitmap)
{
	return pgsize_bitmap & (~pgsize_bitmap + 1);
}

static inline bool granule_aligned(u64 x, u64 g)
{
	return !(x & (g - 1));
}

/* Offset of @x in its granule. */
static inline u64 granule_offset(u64 x, u64 g)
{
	return x & (g - 1);
}

/* @x rounded down; cannot overflow. */
static inline u64 granule_down(u64 x, u64 g)
{
	return x & ~(g - 1);
}

/* @x rounded up into @out; -EOVERFLOW when that is 2^64. */
static inline int granule_up(u64 x, u64 g, u64 *out)
{
	if (check_add_overflow(x, g - 1, out))
		return -EOVERFLOW;
	*out = granule_down(*out, g);
	return 0;
}

/**
 * granule_piece - how much of a range one size of page covers
 * @pgsize_bitmap: the sizes there are; the range is aligned to the smallest
 * @iova: start of the range
 * @length: bytes of it, not 0
 * @page: is set to that size
 *
 * The largest page that is aligned and fits is taken, as often as it fits, up
 * to where a larger one would be aligned and fit.
 *
 * Return: bytes, at least one page.
 */
static inline u64 granule_piece(u64 pgsize_bitmap, u64 iova, u64 length,
				u64 *page)
{
	u64 size = granule_of_bitmap(pgsize_bitmap), rest, next, gap;

	for (rest = pgsize_bitmap & (pgsize_bitmap - 1); rest;
	     rest &= rest - 1) {
		next = granule_of_bitmap(rest);
		if (next > length)
			break;
		gap = granule_offset(0 - iova, next);
		if (gap && next > length - gap)
			continue;
		*page = size;
		if (gap)
			return gap;
		size = next;
	}
	*page = size;
	return granule_down(length, size);
}

/* Of these page sizes, those that can lead from @iova to @phys. */
static inline u64 granule_congruent(u64 pgsize_bitmap, u64 iova, u64 phys)
{
	u64 differ = granule_of_bitmap(iova ^ phys);

	return differ ? pgsize_bitmap & (differ | (differ - 1)) : pgsize_bitmap;
}

#endif
