/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only */
/*
 * Ranges of IOVAs, both ends inclusive, so that the whole 64-bit space is a
 * range like any other and nothing overflows.
 */
#ifndef CORE_IOVA_RANGE_H
#define CORE_IOVA_RANGE_H

#include "core_env.h"

struct iova_range {
	u64 start;
	u64 last;	/* >= start, always */
};

static inline bool iova_range_overlaps(const struct iova_range *a,
				       const struct iova_range *b)
{
	return a->start <= b->last && b->start <= a->last;
}

static inline bool iova_range_contains(const struct iova_range *outer,
				       const struct iova_range *inner)
{
	return outer->start <= inner->start && inner->last <= outer->last;
}

/**
 * iova_range_init - the range of @length bytes at @start
 * Return: 0; -EINVAL when @length is 0; -EOVERFLOW past the end of u64.
 */
int iova_range_init(struct iova_range *r, u64 start, u64 length);

/**
 * iova_range_clip - the same of what ends where it may: it is cut at 2^64 - 1
 * Return: false when @length is 0; @r is unchanged then.
 */
bool iova_range_clip(struct iova_range *r, u64 start, u64 length);

/**
 * iova_range_shrink - pull both ends inward to multiples of @granule
 * Return: true when something is left; else @r is unchanged.
 */
bool iova_range_shrink(struct iova_range *r, u64 granule);

/* Push both ends outward to multiples of @granule; saturates at 2^64 - 1. */
void iova_range_grow(struct iova_range *r, u64 granule);

/**
 * iova_ranges_merge - sort @r ascending, join those that touch or overlap
 * Return: how many are left, at the front of the array.
 */
u32 iova_ranges_merge(struct iova_range *r, u32 n);

/**
 * iova_ranges_holes - what @used leaves of @bounds, in whole granules
 * @used: sorted, disjoint (as iova_ranges_merge() makes them)
 * @bounds: where to look
 * @granule: holes shrink inward to it; a granule that is used in part is used
 * @out: the first @max holes, ascending; may be NULL when @max is 0
 *
 * Return: number of holes there are, which may be more than @max. At most
 * @n + 1.
 */
u32 iova_ranges_holes(const struct iova_range *used, u32 n,
		      const struct iova_range *bounds, u64 granule,
		      struct iova_range *out, u32 max);

#endif
