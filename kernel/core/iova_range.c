// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only
/*
 * Ranges of IOVAs: bounds, granules, and what a set of them leaves free.
 */
#include "core/granule.h"
#include "core/iova_range.h"

int iova_range_init(struct iova_range *r, u64 start, u64 length)
{
	u64 last;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	r->start = start;
	r->last = last;
	return 0;
}

bool iova_range_clip(struct iova_range *r, u64 start, u64 length)
{
	if (!length)
		return false;
	r->start = start;
	if (check_add_overflow(start, length - 1, &r->last))
		r->last = U64_MAX;
	return true;
}

bool iova_range_shrink(struct iova_range *r, u64 granule)
{
	/* last + 1 may wrap to 0: 2^64 is a multiple of every granule. */
	u64 cut = granule_offset(r->last + 1, granule);
	u64 start;

	if (r->last < cut || granule_up(r->start, granule, &start))
		return false;
	if (start > r->last - cut)
		return false;
	r->start = start;
	r->last -= cut;
	return true;
}

void iova_range_grow(struct iova_range *r, u64 granule)
{
	r->start = granule_down(r->start, granule);
	r->last |= granule - 1;
}

static int compare_start(const void *a, const void *b)
{
	const struct iova_range *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

u32 iova_ranges_merge(struct iova_range *r, u32 n)
{
	u32 i, kept = 0;

	if (!n)
		return 0;
	sort(r, n, sizeof(*r), compare_start, NULL);
	for (i = 1; i < n; i++) {
		struct iova_range *newest = &r[kept];

		/* The first test keeps the second from wrapping. */
		if (r[i].start <= newest->last ||
		    r[i].start == newest->last + 1)
			newest->last = max(newest->last, r[i].last);
		else
			r[++kept] = r[i];
	}
	return kept + 1;
}

/* Shrink start..last to granules, and say how many holes that leaves. */
static u32 put_hole(u64 start, u64 last, u64 granule, struct iova_range *slot)
{
	struct iova_range hole = { .start = start, .last = last };

	if (!iova_range_shrink(&hole, granule))
		return 0;
	if (slot)
		*slot = hole;
	return 1;
}

u32 iova_ranges_holes(const struct iova_range *used, u32 n,
		      const struct iova_range *bounds, u64 granule,
		      struct iova_range *out, u32 max)
{
	u64 from = bounds->start;
	u32 i, found = 0;

	for (i = 0; i < n; i++) {
		const struct iova_range *u = &used[i];

		if (u->last < from)
			continue;
		if (u->start > bounds->last)
			break;
		if (u->start > from)
			found += put_hole(from, u->start - 1, granule,
					  found < max ? &out[found] : NULL);
		if (u->last >= bounds->last)
			return found;
		from = u->last + 1;
	}
	return found + put_hole(from, bounds->last, granule,
				found < max ? &out[found] : NULL);
}
