/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extents against a plain array with a frame number in every element.
 */
#ifndef TEST_MODEL_EXTENT_H
#define TEST_MODEL_EXTENT_H

#include "core/extent.h"
#include "model.h"

#define FRAMES_RUNS 12U
#define FRAMES_MAX (FRAMES_RUNS * EXTENT_MAX_FRAMES)

struct frames {
	struct extent_list list;
	u64 runs[FRAMES_RUNS];
	u64 pfn[FRAMES_MAX];
	u64 nr;
	u32 nr_runs;	/* that the list must have, no more and no fewer */
	u64 in_run;	/* frames in the last of them */
};

static void frames_init(struct frames *f, u32 cap)
{
	f->nr = 0;
	f->nr_runs = 0;
	f->in_run = 0;
	extent_list_init(&f->list, f->runs, cap);
}

static void frames_append(struct frames *f, u64 pfn, u64 frames)
{
	u64 done = 77, i;
	int rc = extent_append(&f->list, pfn, frames, &done);

	if (pfn >= 1ULL << 52 || frames > (1ULL << 52) - pfn) {
		CHECK(rc == -EINVAL && !done);
		frames = 0;
	} else {
		CHECK(done <= frames);
		CHECK(rc == (done < frames ? -ENOSPC : 0));
	}
	for (i = 0; i < frames; i++) {
		if (!f->nr || pfn + i != f->pfn[f->nr - 1] + 1 ||
		    f->in_run == EXTENT_MAX_FRAMES) {
			if (f->nr_runs == f->list.cap)
				break;
			f->nr_runs++;
			f->in_run = 0;
		}
		f->in_run++;
		f->pfn[f->nr++] = pfn + i;
	}
	CHECK(done == i);
	CHECK(f->list.frames == f->nr && f->list.nr == f->nr_runs);
}

static void frames_walk(const struct frames *f, u64 first, u64 frames)
{
	struct extent_iter it;
	struct extent run;
	u64 i, at = first;

	extent_iter_init(&it, &f->list, first, frames);
	while (extent_iter_next(&it, &run)) {
		CHECK(run.frames && at < f->nr && run.frames <= f->nr - at);
		for (i = 0; i < run.frames; i++)
			CHECK(f->pfn[at + i] == run.pfn + i);
		/* As long as can be. */
		CHECK(at == first || run.pfn != f->pfn[at - 1] + 1);
		at += run.frames;
	}
	CHECK(at - first == (first < f->nr ? min(frames, f->nr - first) : 0));
	CHECK(!extent_iter_next(&it, &run));
}

static void frames_granule(const struct frames *f, u64 first, u64 count,
			   u64 granule)
{
	u64 bad = 77, expect_bad = 0, g, i;
	s64 expect = -1;

	for (g = 0; g < count; g++) {
		u64 at = first + g * granule;
		bool good = at < f->nr && granule <= f->nr - at &&
			    !(f->pfn[at] & (granule - 1));

		for (i = 1; good && i < granule; i++)
			good = f->pfn[at + i] == f->pfn[at] + i;
		if (good)
			continue;
		if (!expect_bad++)
			expect = g;
	}
	CHECK(extent_check_granule(&f->list, first, count * granule, granule,
				   &bad) == expect);
	CHECK(bad == expect_bad);
}

static void frames_ops(const u8 *bytes, size_t size)
{
	struct input in = { bytes, size };
	static struct frames f;

	frames_init(&f, take(&in, 1) % (FRAMES_RUNS + 1));
	while (in.left) {
		u8 op = take(&in, 1);
		u64 a = take(&in, 2), b = take(&in, 1);
		u64 next = f.nr ? f.pfn[f.nr - 1] + 1 : 0;

		switch (op % 8) {
		case 0:
			frames_append(&f, take_edge(&in), a);
			break;
		case 1:
			frames_append(&f, next, a % 5000);
			break;
		case 2:
			frames_append(&f, next + b % 3, b % 9);
			break;
		case 3:
			/* An aligned run, as of a huge page. */
			frames_append(&f, a << b % 10, 1ULL << b % 10);
			break;
		case 4:
			frames_append(&f, (1ULL << 52) - b, a % 300);
			break;
		case 5:
			if (f.nr)
				a %= f.nr + 2;
			frames_walk(&f, a, b & 1 ? take_edge(&in) : b);
			break;
		case 6:
			frames_granule(&f, a % 64, b % 64, 1ULL << b % 7);
			break;
		default:
			if (f.nr)
				a %= f.nr;
			frames_granule(&f, a, 1 + op / 64, 1ULL << b % 60);
		}
	}
	frames_walk(&f, 0, U64_MAX);
}

#endif
