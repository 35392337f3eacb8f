// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents: runs of page frames, 52 bits of frame number over 12 of length.
 */
#include "core/extent.h"
#include "core/granule.h"

#define LENGTH_BITS 12
#define LENGTH_MASK (EXTENT_MAX_FRAMES - 1)
#define PFN_END (1ULL << (64 - LENGTH_BITS))

static_assert(EXTENT_MAX_FRAMES == 1 << LENGTH_BITS, "runs fill their field");

/* Length is stored less one: an empty run has no use. */
static u64 pack(u64 pfn, u64 frames)
{
	return pfn << LENGTH_BITS | (frames - 1);
}

static u64 pfn_of(u64 packed)
{
	return packed >> LENGTH_BITS;
}

static u64 frames_of(u64 packed)
{
	return (packed & LENGTH_MASK) + 1;
}

int extent_append(struct extent_list *l, u64 pfn, u64 frames, u64 *done)
{
	u64 left = frames;

	*done = 0;
	if (pfn >= PFN_END || frames > PFN_END - pfn)
		return -EINVAL;

	if (left && l->nr) {
		u64 *newest = &l->v[l->nr - 1];
		u64 have = frames_of(*newest);

		if (pfn == pfn_of(*newest) + have) {
			u64 more = min(left, EXTENT_MAX_FRAMES - have);

			*newest += more;
			pfn += more;
			left -= more;
		}
	}
	while (left && l->nr < l->cap) {
		u64 run = min_t(u64, left, EXTENT_MAX_FRAMES);

		l->v[l->nr++] = pack(pfn, run);
		pfn += run;
		left -= run;
	}
	*done = frames - left;
	l->frames += *done;
	return left ? -ENOSPC : 0;
}

void extent_iter_init(struct extent_iter *it, const struct extent_list *l,
		      u64 first, u64 frames)
{
	u64 at;

	it->list = l;
	it->index = 0;
	it->skip = 0;
	it->left = 0;
	if (first >= l->frames)
		return;
	it->left = min(frames, l->frames - first);

	/* at: frames in front of it->index. Count from the nearer end. */
	if (first <= l->frames / 2) {
		at = 0;
		while (first - at >= frames_of(l->v[it->index]))
			at += frames_of(l->v[it->index++]);
	} else {
		at = l->frames;
		it->index = l->nr;
		while (at > first)
			at -= frames_of(l->v[--it->index]);
	}
	it->skip = first - at;
}

bool extent_iter_next(struct extent_iter *it, struct extent *run)
{
	const u64 *v = it->list->v;

	if (!it->left)
		return false;
	run->pfn = pfn_of(v[it->index]) + it->skip;
	run->frames = 0;
	while (it->left && pfn_of(v[it->index]) + it->skip ==
			   run->pfn + run->frames) {
		u64 rest = frames_of(v[it->index]) - it->skip;
		u64 take = min(rest, it->left);

		run->frames += take;
		it->left -= take;
		if (take < rest) {
			it->skip += take;
			break;
		}
		it->skip = 0;
		it->index++;
	}
	return true;
}

s64 extent_check_granule(const struct extent_list *l, u64 first, u64 frames,
			 u64 granule, u64 *bad)
{
	u64 total = frames / granule, good = 0, prefix = 0, at = 0;
	struct extent_iter it;
	struct extent run;

	extent_iter_init(&it, l, first, frames);
	for (; extent_iter_next(&it, &run); at += run.frames) {
		u64 begin, end = granule_down(at + run.frames, granule);

		/*
		 * A granule that is cut by the end of a run is bad. Of those
		 * wholly in a run, all are aligned or none is.
		 */
		if (!granule_aligned(run.pfn - at, granule) ||
		    granule_up(at, granule, &begin) || begin >= end)
			continue;
		good += (end - begin) / granule;
		/* Good ones ascend: the first gap has the first bad one. */
		if (begin / granule == prefix)
			prefix = end / granule;
	}
	*bad = total - good;
	return *bad ? (s64)prefix : -1;
}
