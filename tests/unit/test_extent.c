// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents: packing, walking, and the granule rule against a plain array.
 */
#include "kselftest_harness.h"

#include "model_extent.h"
#include "random.h"

static struct frames f;

TEST(scattered_pages_take_eight_bytes_each)
{
	u64 i;

	frames_init(&f, FRAMES_RUNS);
	for (i = 0; i < FRAMES_RUNS; i++)
		frames_append(&f, 2 * i, 1);
	EXPECT_EQ(FRAMES_RUNS, f.list.nr);
	/* Full, and unchanged by what does not fit. */
	frames_append(&f, 100, 1);
	frames_append(&f, 0, 1ULL << 40);
	EXPECT_EQ(FRAMES_RUNS, f.list.nr);
	EXPECT_EQ(FRAMES_RUNS, f.list.frames);
	/* What merges with the last run takes no room. */
	frames_append(&f, 2 * FRAMES_RUNS - 1, EXTENT_MAX_FRAMES - 1);
	EXPECT_EQ(FRAMES_RUNS, f.list.nr);
	frames_append(&f, 2 * FRAMES_RUNS - 2 + EXTENT_MAX_FRAMES, 1);
	EXPECT_EQ(FRAMES_RUNS - 1 + EXTENT_MAX_FRAMES, f.list.frames);
	frames_walk(&f, 0, U64_MAX);
}

TEST(runs_fill_up_however_they_come)
{
	u64 step, at;

	for (step = 1; step < 3 * EXTENT_MAX_FRAMES; step = step * 3 + 1) {
		frames_init(&f, 3);
		for (at = 0; at < 3 * EXTENT_MAX_FRAMES; at += step)
			frames_append(&f, 5 + at,
				      min(step, 3 * EXTENT_MAX_FRAMES - at));
		EXPECT_EQ(3, f.list.nr);
		EXPECT_EQ(3 * EXTENT_MAX_FRAMES, f.list.frames);
		frames_walk(&f, 0, U64_MAX);
	}
}

TEST(partial_append_can_go_on)
{
	u64 done;

	frames_init(&f, 2);
	EXPECT_EQ(-ENOSPC, extent_append(&f.list, 7, 10000, &done));
	EXPECT_EQ(2 * EXTENT_MAX_FRAMES, done);
	/* Larger storage: here the same, with more of it. */
	f.list.cap = 3;
	EXPECT_EQ(0, extent_append(&f.list, 7 + done, 10000 - done, &done));
	EXPECT_EQ(10000 - 2 * EXTENT_MAX_FRAMES, done);
	EXPECT_EQ(10000, f.list.frames);
}

TEST(frames_end_at_two_to_the_52)
{
	const u64 end = 1ULL << 52;
	struct extent_iter it;
	struct extent run;
	u64 done = 77;

	frames_init(&f, 4);
	frames_append(&f, end - 3, 3);
	frames_append(&f, end - 1, 2);
	frames_append(&f, end, 1);
	frames_append(&f, 0, end + 1);
	frames_append(&f, U64_MAX, 1);
	frames_append(&f, 1, U64_MAX);
	EXPECT_EQ(-EINVAL, extent_append(&f.list, end - 1, U64_MAX, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(3, f.list.frames);
	extent_iter_init(&it, &f.list, 0, U64_MAX);
	ASSERT_TRUE(extent_iter_next(&it, &run));
	EXPECT_EQ(end - 3, run.pfn);
	EXPECT_EQ(3, run.frames);
	/* The frame after the last is not frame 0. */
	frames_append(&f, 0, 1);
	EXPECT_EQ(2, f.list.nr);
	extent_iter_init(&it, &f.list, 2, U64_MAX);
	ASSERT_TRUE(extent_iter_next(&it, &run));
	EXPECT_EQ(end - 1, run.pfn);
	EXPECT_EQ(1, run.frames);
}

TEST(empty_list)
{
	struct extent_iter it;
	struct extent run;
	u64 bad = 77;

	frames_init(&f, 0);
	frames_append(&f, 3, 0);
	frames_append(&f, 3, 1);
	extent_iter_init(&it, &f.list, 0, U64_MAX);
	EXPECT_FALSE(extent_iter_next(&it, &run));
	extent_iter_init(&it, &f.list, U64_MAX, U64_MAX);
	EXPECT_FALSE(extent_iter_next(&it, &run));
	EXPECT_EQ(-1, extent_check_granule(&f.list, 0, 0, 4, &bad));
	EXPECT_EQ(0, bad);
	EXPECT_EQ(0, extent_check_granule(&f.list, 0, 8, 4, &bad));
	EXPECT_EQ(2, bad);
}

TEST(runs_join_over_entries)
{
	struct extent_iter it;
	struct extent run;
	u64 first;

	frames_init(&f, FRAMES_RUNS);
	frames_append(&f, 64, 10000);
	frames_append(&f, 4, 4);
	for (first = 0; first < 10000; first += 999) {
		extent_iter_init(&it, &f.list, first, U64_MAX);
		ASSERT_TRUE(extent_iter_next(&it, &run));
		EXPECT_EQ(64 + first, run.pfn);
		EXPECT_EQ(10000 - first, run.frames);
		ASSERT_TRUE(extent_iter_next(&it, &run));
		EXPECT_EQ(4, run.pfn);
		EXPECT_EQ(4, run.frames);
		EXPECT_FALSE(extent_iter_next(&it, &run));
	}
}

/* 16K granules of 4K frames. */
TEST(granule_rule)
{
	u64 bad;

	frames_init(&f, FRAMES_RUNS);
	frames_append(&f, 16, 4);
	frames_append(&f, 32, 8);
	EXPECT_EQ(-1, extent_check_granule(&f.list, 0, 12, 4, &bad));
	EXPECT_EQ(0, bad);
	/* From the middle of a granule nothing is aligned. */
	EXPECT_EQ(0, extent_check_granule(&f.list, 1, 8, 4, &bad));
	EXPECT_EQ(2, bad);
	/* 64K: one whole granule in number, not in fact. */
	EXPECT_EQ(0, extent_check_granule(&f.list, 0, 16, 16, &bad));
	EXPECT_EQ(1, bad);
	/* Consecutive, not aligned. */
	frames_append(&f, 49, 4);
	/* Aligned, not consecutive. */
	frames_append(&f, 64, 3);
	frames_append(&f, 68, 1);
	frames_append(&f, 80, 4);
	EXPECT_EQ(3, extent_check_granule(&f.list, 0, 24, 4, &bad));
	EXPECT_EQ(2, bad);
	EXPECT_EQ(0, extent_check_granule(&f.list, 12, 12, 4, &bad));
	EXPECT_EQ(2, bad);
	EXPECT_EQ(-1, extent_check_granule(&f.list, 20, 4, 4, &bad));
	/* The CPU's page as the granule: everything goes. */
	EXPECT_EQ(-1, extent_check_granule(&f.list, 0, 24, 1, &bad));
}

TEST(every_granule)
{
	u64 bad;
	int shift;

	for (shift = 0; shift < 64; shift++) {
		u64 g = 1ULL << shift;

		frames_init(&f, FRAMES_RUNS);
		/* Two granules if they fit, else as much of one as does. */
		frames_append(&f, 0, min(2 * g - (shift == 63),
					 (u64)FRAMES_MAX));
		if (2 * g <= FRAMES_MAX && shift < 63) {
			EXPECT_EQ(-1, extent_check_granule(&f.list, 0, 2 * g, g,
							   &bad));
			EXPECT_EQ(0, bad);
			EXPECT_EQ(1, extent_check_granule(&f.list, g, 2 * g, g,
							  &bad));
			EXPECT_EQ(1, bad);
		} else {
			EXPECT_EQ(0, extent_check_granule(&f.list, 0, g, g,
							  &bad) +
				     (g <= FRAMES_MAX));
			EXPECT_EQ(g > FRAMES_MAX, bad);
		}
	}
}

TEST(random_against_array)
{
	u64 state = random_seed("extent");
	u8 bytes[256];
	int i;

	for (i = 0; i < 400; i++) {
		random_fill(&state, bytes, sizeof(bytes));
		frames_ops(bytes, sizeof(bytes));
	}
}

TEST_HARNESS_MAIN
