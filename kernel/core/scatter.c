// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only
/*
 * Laying out a scatterlist in granules. See scatter.h.
 */
#include "scatter.h"

/* Would bytes at..at+length-1 of the span cross the device's boundary? */
static bool crosses(const struct scatter *s, u64 at, u64 length)
{
	return s->boundary &&
	       length > s->boundary - granule_offset(at, s->boundary);
}

int scatter_add(struct scatter *s, u64 phys, u64 length,
		struct scatter_place *out)
{
	u64 offset = granule_offset(phys, s->granule), granules, start, end;
	u64 unused;
	bool merged;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(phys, length - 1, &unused) ||
	    check_add_overflow(offset, length, &granules) ||
	    granule_up(granules, s->granule, &granules))
		return -EOVERFLOW;
	start = s->span;
	/*
	 * Within a granule, addresses keep their low bits: a boundary that is
	 * no larger is crossed if the caller's memory crosses it.
	 */
	if (s->boundary > s->granule && crosses(s, start + offset, length) &&
	    granule_up(start, s->boundary, &start))
		return -EOVERFLOW;
	if (check_add_overflow(start, granules, &end))
		return -EOVERFLOW;

	merged = s->open && !offset && start == s->span &&
		 length <= s->max_segment &&
		 s->segment <= s->max_segment - length &&
		 (!s->boundary || granule_offset(start, s->boundary)) &&
		 !crosses(s, start, length);
	s->segment = merged ? s->segment + length : length;
	/* Nothing more on what crosses already, since it fits nowhere. */
	s->open = granule_aligned(offset + length, s->granule) &&
		  !crosses(s, start + offset, length);
	s->span = end;
	*out = (struct scatter_place){
		.start = start,
		.length = granules,
		.offset = offset,
		.merged = merged,
	};
	return 0;
}
