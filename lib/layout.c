// SPDX-License-Identifier: LGPL-2.1-only
/* An IOVA space from end to end: what is mapped, free, reserved, outside. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "private.h"

const char *iommu_segment_name(enum iommu_segment_kind kind)
{
	static const char *const names[] = {
		[IOMMU_SEGMENT_FREE] = "free",
		[IOMMU_SEGMENT_MAPPED] = "mapped",
		[IOMMU_SEGMENT_MIXED] = "mixed",
		[IOMMU_SEGMENT_RESERVED] = "reserved",
		[IOMMU_SEGMENT_OUTSIDE] = "outside",
		[IOMMU_SEGMENT_UNKNOWN] = "unknown",
	};

	return (unsigned int)kind < ARRAY_LEN(names) ? names[kind] : "unknown";
}

/* What is taken from the three lists next; all ascending. */
struct sweep {
	const struct iommu_space *space;
	struct iommu_sys_region *regions;	/* sorted copy */
	size_t range, region, area;
	struct iommu_segment *out;
	size_t nr, room;
};

static int by_start(const void *a, const void *b)
{
	const struct iommu_sys_region *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static struct iommu_segment *new_segment(struct sweep *s)
{
	struct iommu_segment *more;

	if (s->nr == s->room) {
		s->room = s->room ? s->room * 2 : 16;
		more = reallocarray(s->out, s->room, sizeof(*more));
		if (!more)
			return NULL;
		s->out = more;
	}
	s->out[s->nr] = (struct iommu_segment){ 0 };
	return &s->out[s->nr++];
}

/* Describe what is at @pos, and how far that goes. */
static void describe(struct sweep *s, __u64 pos, struct iommu_segment *seg)
{
	const struct iommu_space *p = s->space;
	const struct iommu_area_info *area;
	const struct iommu_sys_region *region;
	const struct iommu_iova_range *range;
	__u64 next = UINT64_MAX;

	while (s->area < p->nr_areas && p->areas[s->area].iova +
	       (p->areas[s->area].length - 1) < pos)
		s->area++;
	while (s->region < p->nr_regions && s->regions[s->region].last < pos)
		s->region++;
	while (s->range < p->nr_ranges && p->ranges[s->range].last < pos)
		s->range++;
	area = s->area < p->nr_areas ? &p->areas[s->area] : NULL;
	region = s->region < p->nr_regions ? &s->regions[s->region] : NULL;
	range = s->range < p->nr_ranges ? &p->ranges[s->range] : NULL;

	seg->start = pos;
	if (area && area->iova <= pos) {
		seg->kind = IOMMU_SEGMENT_MAPPED;
		seg->last = area->iova + (area->length - 1);
		seg->flags = area->flags;
		seg->areas = 1;
		seg->mapped = seg->last - pos + 1;
		return;
	}
	if (area)
		next = area->iova - 1;
	if (region && region->start <= pos) {
		seg->kind = IOMMU_SEGMENT_RESERVED;
		seg->reason = region->reason;
		seg->last = region->last < next ? region->last : next;
		return;
	}
	if (region && region->start - 1 < next)
		next = region->start - 1;
	if (range && range->start <= pos) {
		seg->kind = IOMMU_SEGMENT_FREE;
		seg->last = range->last < next ? range->last : next;
		return;
	}
	if (range && range->start - 1 < next)
		next = range->start - 1;
	seg->kind = p->ranges_known ? IOMMU_SEGMENT_OUTSIDE :
				      IOMMU_SEGMENT_UNKNOWN;
	seg->last = next;
}

int iommu_layout(const struct iommu_space *space, struct iommu_segment **ret,
		 size_t *ret_nr)
{
	struct sweep s = { .space = space };
	struct iommu_segment *seg;
	__u64 pos = 0;
	size_t i;

	*ret = NULL;
	*ret_nr = 0;
	s.regions = calloc(space->nr_regions + 1, sizeof(*s.regions));
	if (!s.regions)
		return -ENOMEM;
	for (i = 0; i < space->nr_regions; i++)
		s.regions[i] = space->regions[i];
	qsort(s.regions, space->nr_regions, sizeof(*s.regions), by_start);
	do {
		seg = new_segment(&s);
		if (!seg) {
			free(s.out);
			free(s.regions);
			return -ENOMEM;
		}
		describe(&s, pos, seg);
		pos = seg->last + 1;
	} while (pos);
	free(s.regions);
	*ret = s.out;
	*ret_nr = s.nr;
	return 0;
}

/* A hole between mappings, by which a busy space can be cut. */
struct hole {
	__u64 size;
	size_t index;
};

static int by_size(const void *a, const void *b)
{
	const struct hole *x = a, *y = b;

	return x->size > y->size ? -1 : x->size < y->size;
}

static bool is_mapped(const struct iommu_segment *seg)
{
	return seg->kind == IOMMU_SEGMENT_MAPPED ||
	       seg->kind == IOMMU_SEGMENT_MIXED;
}

static void join_segments(struct iommu_segment *to,
			  const struct iommu_segment *from)
{
	if (to->kind != from->kind || to->flags != from->flags)
		to->kind = IOMMU_SEGMENT_MIXED;
	to->flags |= from->flags;
	to->last = from->last;
	to->areas += from->areas;
	to->mapped += from->mapped;
}

/* Mappings without a hole between them, and with the same rights, are one. */
static size_t join_neighbours(struct iommu_segment *segs, size_t nr)
{
	size_t i, n = 0;

	for (i = 0; i < nr; i++) {
		if (n && is_mapped(&segs[i]) && is_mapped(&segs[n - 1]) &&
		    segs[i].flags == segs[n - 1].flags)
			join_segments(&segs[n - 1], &segs[i]);
		else
			segs[n++] = segs[i];
	}
	return n;
}

int iommu_layout_fold(struct iommu_segment *segs, size_t *nr, size_t max)
{
	struct hole *holes;
	size_t i, n = 0, keep, nr_holes = 0;
	bool *kept;

	*nr = join_neighbours(segs, *nr);
	if (*nr <= max)
		return 0;
	holes = calloc(*nr, sizeof(*holes));
	kept = calloc(*nr, sizeof(*kept));
	if (!holes || !kept) {
		free(holes);
		free(kept);
		return -ENOMEM;
	}
	for (i = 1; i + 1 < *nr; i++) {
		if (segs[i].kind == IOMMU_SEGMENT_FREE &&
		    is_mapped(&segs[i - 1]) && is_mapped(&segs[i + 1]))
			holes[nr_holes++] = (struct hole){
				segs[i].last - segs[i].start, i };
	}
	qsort(holes, nr_holes, sizeof(*holes), by_size);
	/* A hole that stays costs two segments: itself, and what follows. */
	keep = *nr - max < 2 * nr_holes ? nr_holes - (*nr - max + 1) / 2 : 0;
	for (i = 0; i < keep; i++)
		kept[holes[i].index] = true;
	for (i = 0; i < *nr; i++) {
		bool joins = n && is_mapped(&segs[n - 1]) &&
			     (is_mapped(&segs[i]) ||
			      (segs[i].kind == IOMMU_SEGMENT_FREE && !kept[i] &&
			       i + 1 < *nr && is_mapped(&segs[i + 1])));

		if (joins)
			join_segments(&segs[n - 1], &segs[i]);
		else
			segs[n++] = segs[i];
	}
	*nr = n;
	free(holes);
	free(kept);
	return 0;
}

unsigned int iommu_segment_weight(const struct iommu_segment *seg)
{
	__u64 pages = (seg->last - seg->start) >> 12;
	unsigned int weight = 2;	/* of a page */

	for (; pages; pages >>= 1)
		weight++;
	return weight;
}
