/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extents: which page frames a piece of memory is made of, packed.
 *
 * One u64 holds a run of up to 4096 consecutive frames: 8 bytes a page when
 * memory is scattered, 8 bytes for 16 MiB when it is not. "Frame" is a CPU
 * page frame number below 2^52.
 */
#ifndef CORE_EXTENT_H
#define CORE_EXTENT_H

#include "core_env.h"

#define EXTENT_MAX_FRAMES 4096U

struct extent_list {
	u64 *v;		/* packed runs; storage belongs to the caller */
	u32 nr;		/* runs in use */
	u32 cap;	/* runs there is room for */
	u64 frames;	/* frames in all */
};

/* A run of consecutive frames. */
struct extent {
	u64 pfn;
	u64 frames;
};

/* Position in a list. Initialise with extent_iter_init(). */
struct extent_iter {
	const struct extent_list *list;
	u32 index;	/* entry */
	u32 skip;	/* frames of it already passed */
	u64 left;	/* frames still to come */
};

static inline void extent_list_init(struct extent_list *l, u64 *storage,
				    u32 cap)
{
	l->v = storage;
	l->nr = 0;
	l->cap = cap;
	l->frames = 0;
}

/**
 * extent_append - add @frames frames from @pfn at the end, merging with the
 * run before where that is possible
 *
 * Return: 0; -ENOSPC when there is no room, with *@done frames (may be 0)
 * appended: move to larger storage, and append the rest; -EINVAL when a frame
 * is not below 2^52, with nothing appended.
 */
int extent_append(struct extent_list *l, u64 pfn, u64 frames, u64 *done);

/*
 * Start at frame number @first of the list, for @frames of them or as many as
 * there are. Counts runs from the nearer end: cheap at either.
 */
void extent_iter_init(struct extent_iter *it, const struct extent_list *l,
		      u64 first, u64 frames);

/* The next run, joined over entries as far as it is consecutive. */
bool extent_iter_next(struct extent_iter *it, struct extent *run);

/**
 * extent_check_granule - may @l be mapped with IOMMU pages of @granule frames?
 * @first: frame of the list that the first granule starts with
 * @frames: a multiple of @granule; those past the end of the list are bad
 * @granule: frames in a granule, a power of two
 * @bad: how many granules are not one aligned, consecutive run
 *
 * Return: index of the first bad granule, or -1 when *@bad is 0.
 */
s64 extent_check_granule(const struct extent_list *l, u64 first, u64 frames,
			 u64 granule, u64 *bad);

#endif
