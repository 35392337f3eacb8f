/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ranges against 128-bit arithmetic and against a bitmap.
 */
#ifndef TEST_MODEL_RANGE_H
#define TEST_MODEL_RANGE_H

#include "core/iova_range.h"
#include "model.h"

#define RANGE_SLOTS 256U	/* bytes in the window of the bitmap */
#define RANGE_MAX 24U

static void range_check_init(struct input *in)
{
	u64 start = take_edge(in), length = take_edge(in);
	struct iova_range r = { 1, 2 };
	u128 end = (u128)start + length;
	int rc = iova_range_init(&r, start, length);

	if (!length) {
		CHECK(rc == -EINVAL);
	} else if (end >> 64 && end != (u128)1 << 64) {
		CHECK(rc == -EOVERFLOW);
	} else {
		CHECK(!rc && r.start == start && r.last == (u64)(end - 1));
		return;
	}
	CHECK(r.start == 1 && r.last == 2);
}

static void range_check_round(struct input *in)
{
	u64 a = take_edge(in), b = take_edge(in);
	u64 granule = 1ULL << take(in, 1) % 64;
	struct iova_range r = { min(a, b), max(a, b) }, was = r, s;
	u128 from = ((u128)r.start + granule - 1) / granule * granule;
	u128 end = ((u128)r.last + 1) / granule * granule;

	if (iova_range_shrink(&r, granule)) {
		CHECK(from < end);
		CHECK(r.start == (u64)from && r.last == (u64)(end - 1));
		CHECK(iova_range_contains(&was, &r));
		s = r;
		iova_range_grow(&s, granule);
		CHECK(s.start == r.start && s.last == r.last);
	} else {
		CHECK(from >= end);
		CHECK(r.start == was.start && r.last == was.last);
	}

	r = was;
	iova_range_grow(&r, granule);
	CHECK(r.start == was.start / granule * granule);
	CHECK(r.last == (u64)(((u128)was.last / granule + 1) * granule - 1));
	s = r;
	CHECK(iova_range_shrink(&s, granule));
	CHECK(s.start == r.start && s.last == r.last);
}

static u64 range_window(struct input *in)
{
	switch (take(in, 1) % 3) {
	case 0:
		return 0;
	case 1:
		return 0x7fffffffffffff00;
	default:
		return 0 - (u64)RANGE_SLOTS;
	}
}

static struct iova_range range_take(struct input *in, u64 base)
{
	u64 a = take(in, 1), b = take(in, 1);

	return (struct iova_range){ base + min(a, b), base + max(a, b) };
}

static void range_check_set(struct input *in)
{
	u64 base = range_window(in), granule = 1ULL << take(in, 1) % 9;
	struct iova_range bounds = range_take(in, base);
	struct iova_range r[RANGE_MAX], holes[RANGE_MAX + 1];
	struct iova_range expected[RANGE_SLOTS];
	bool used[RANGE_SLOTS] = {}, seen[RANGE_SLOTS] = {};
	u32 n = take(in, 1) % (RANGE_MAX + 1), nr = 0, i, max;
	bool open = false;
	u64 x, y;

	for (i = 0; i < n; i++) {
		u64 a = take(in, 1), b = take(in, 1) % 16;

		b = min(a + b, (u64)RANGE_SLOTS - 1);
		r[i] = (struct iova_range){ base + a, base + b };
		for (x = a; x <= b; x++)
			used[x] = true;
	}
	for (i = 1; i < n; i++) {
		bool common = false;

		for (x = r[i].start - base; x <= r[i].last - base; x++)
			common |= x >= r[0].start - base &&
				  x <= r[0].last - base;
		CHECK(iova_range_overlaps(&r[0], &r[i]) == common);
		CHECK(iova_range_overlaps(&r[i], &r[0]) == common);
	}

	/* Merged: the same bytes, ascending, a gap between any two. */
	n = iova_ranges_merge(r, n);
	for (i = 0; i < n; i++) {
		CHECK(r[i].start <= r[i].last);
		CHECK(!i || (r[i].start > r[i - 1].last &&
			     r[i].start - r[i - 1].last > 1));
		for (x = r[i].start - base; x <= r[i].last - base; x++)
			seen[x] = true;
	}
	CHECK(!memcmp(used, seen, sizeof(used)));

	/* Holes: granules inside the bounds without a used byte, joined. */
	for (x = 0; x < RANGE_SLOTS; x += granule) {
		bool free = base + x >= bounds.start &&
			    base + x + (granule - 1) <= bounds.last;

		for (y = x; y < x + granule; y++)
			free &= !used[y];
		if (free && open)
			expected[nr - 1].last += granule;
		else if (free)
			expected[nr++] = (struct iova_range){
				base + x, base + x + (granule - 1) };
		open = free;
	}
	CHECK(iova_ranges_holes(r, n, &bounds, granule, NULL, 0) == nr);
	CHECK(nr <= n + 1);
	max = take(in, 1) % (RANGE_MAX + 2);
	memset(holes, 0x5a, sizeof(holes));
	CHECK(iova_ranges_holes(r, n, &bounds, granule, holes, max) == nr);
	for (i = 0; i < RANGE_MAX + 1; i++) {
		if (i < min(nr, max))
			CHECK(holes[i].start == expected[i].start &&
			      holes[i].last == expected[i].last);
		else
			CHECK(holes[i].start == 0x5a5a5a5a5a5a5a5a);
	}
}

static void range_ops(const u8 *bytes, size_t size)
{
	static void (*const ops[])(struct input *) = {
		range_check_init,
		range_check_round,
		range_check_set,
	};
	struct input in = { bytes, size };

	while (in.left)
		ops[take(&in, 1) % 3](&in);
}

#endif
