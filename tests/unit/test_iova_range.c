// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges of IOVAs: both ends of u64, every granule, sets against a bitmap.
 */
#include "kselftest_harness.h"

#include "model_range.h"
#include "random.h"

TEST(length_zero_is_refused)
{
	struct iova_range r = { 5, 6 };

	EXPECT_EQ(-EINVAL, iova_range_init(&r, 0, 0));
	EXPECT_EQ(-EINVAL, iova_range_init(&r, U64_MAX, 0));
	EXPECT_EQ(5, r.start);
	EXPECT_EQ(6, r.last);
}

TEST(end_of_space)
{
	struct iova_range r;

	EXPECT_EQ(0, iova_range_init(&r, U64_MAX, 1));
	EXPECT_EQ(U64_MAX, r.start);
	EXPECT_EQ(U64_MAX, r.last);
	EXPECT_EQ(0, iova_range_init(&r, 1, U64_MAX));
	EXPECT_EQ(U64_MAX, r.last);
	EXPECT_EQ(-EOVERFLOW, iova_range_init(&r, 2, U64_MAX));
	EXPECT_EQ(-EOVERFLOW, iova_range_init(&r, U64_MAX, 2));
	EXPECT_EQ(-EOVERFLOW, iova_range_init(&r, U64_MAX - 4095, 4097));
	EXPECT_EQ(0, iova_range_init(&r, U64_MAX - 4095, 4096));
	EXPECT_EQ(U64_MAX, r.last);
}

TEST(clipped_at_the_end)
{
	struct iova_range r = { 5, 6 };

	EXPECT_FALSE(iova_range_clip(&r, 0, 0));
	EXPECT_FALSE(iova_range_clip(&r, U64_MAX, 0));
	EXPECT_EQ(5, r.start);
	EXPECT_EQ(6, r.last);
	EXPECT_TRUE(iova_range_clip(&r, 0x1000, 0x2000));
	EXPECT_EQ(0x1000, r.start);
	EXPECT_EQ(0x2fff, r.last);
	EXPECT_TRUE(iova_range_clip(&r, U64_MAX - 4095, 4096));
	EXPECT_EQ(U64_MAX - 4095, r.start);
	EXPECT_EQ(U64_MAX, r.last);
	EXPECT_TRUE(iova_range_clip(&r, U64_MAX - 4095, 4097));
	EXPECT_EQ(U64_MAX - 4095, r.start);
	EXPECT_EQ(U64_MAX, r.last);
	EXPECT_TRUE(iova_range_clip(&r, U64_MAX, U64_MAX));
	EXPECT_EQ(U64_MAX, r.start);
	EXPECT_EQ(U64_MAX, r.last);
}

TEST(every_granule)
{
	int shift;

	for (shift = 0; shift < 64; shift++) {
		u64 g = 1ULL << shift;
		struct iova_range whole = { 0, U64_MAX };
		struct iova_range low = { 1, g }, high = { U64_MAX, U64_MAX };
		struct iova_range below = { 0, g - 1 };

		EXPECT_TRUE(iova_range_shrink(&whole, g));
		EXPECT_EQ(0, whole.start);
		EXPECT_EQ(U64_MAX, whole.last);
		iova_range_grow(&whole, g);
		EXPECT_EQ(0, whole.start);
		EXPECT_EQ(U64_MAX, whole.last);

		EXPECT_TRUE(iova_range_shrink(&below, g));
		EXPECT_EQ(g - 1, below.last);

		/* Two parts of granules, and no whole one, but for g == 1. */
		EXPECT_EQ(g == 1, iova_range_shrink(&low, g));
		EXPECT_EQ(1, low.start);
		EXPECT_EQ(g, low.last);
		iova_range_grow(&low, g);
		EXPECT_EQ(g == 1, low.start);
		EXPECT_EQ(g == 1 ? 1 : 2 * g - 1, low.last);

		EXPECT_EQ(g == 1, iova_range_shrink(&high, g));
		EXPECT_EQ(U64_MAX, high.start);
		iova_range_grow(&high, g);
		EXPECT_EQ(~(g - 1), high.start);
		EXPECT_EQ(U64_MAX, high.last);
	}
}

TEST(merge_touching_at_the_top)
{
	struct iova_range r[] = {
		{ U64_MAX, U64_MAX }, { 0, 0 }, { 1, U64_MAX - 1 },
	};
	struct iova_range whole[] = { { 0, U64_MAX }, { 0, 0 }, { 7, 9 } };
	struct iova_range apart[] = { { 4, 4 }, { 2, 2 }, { 0, 0 } };

	EXPECT_EQ(1, iova_ranges_merge(r, 3));
	EXPECT_EQ(0, r[0].start);
	EXPECT_EQ(U64_MAX, r[0].last);
	EXPECT_EQ(1, iova_ranges_merge(whole, 3));
	EXPECT_EQ(U64_MAX, whole[0].last);
	EXPECT_EQ(3, iova_ranges_merge(apart, 3));
	EXPECT_EQ(2, apart[1].start);
	EXPECT_EQ(0, iova_ranges_merge(NULL, 0));
}

TEST(holes_of_the_whole_space)
{
	const struct iova_range whole = { 0, U64_MAX };
	struct iova_range out[2];
	/* The interrupt window of x86, which every granule up to 1M clears. */
	const struct iova_range msi = { 0xfee00000, 0xfeefffff };
	int shift;

	EXPECT_EQ(0, iova_ranges_holes(&whole, 1, &whole, 1, out, 2));
	for (shift = 0; shift < 64; shift++) {
		u64 g = 1ULL << shift;

		EXPECT_EQ(1, iova_ranges_holes(NULL, 0, &whole, g, out, 2));
		EXPECT_EQ(0, out[0].start);
		EXPECT_EQ(U64_MAX, out[0].last);
	}
	for (shift = 0; shift <= 20; shift++) {
		EXPECT_EQ(2, iova_ranges_holes(&msi, 1, &whole, 1ULL << shift,
					       out, 2));
		EXPECT_EQ(0, out[0].start);
		EXPECT_EQ(0xfedfffff, out[0].last);
		EXPECT_EQ(0xfef00000, out[1].start);
		EXPECT_EQ(U64_MAX, out[1].last);
	}
	EXPECT_EQ(1, iova_ranges_holes(&msi, 1, &whole, 1ULL << 32, out, 2));
	EXPECT_EQ(1ULL << 32, out[0].start);
	EXPECT_EQ(1, iova_ranges_holes(&msi, 1, &whole, 1ULL << 63, out, 2));
	EXPECT_EQ(1ULL << 63, out[0].start);
	EXPECT_EQ(U64_MAX, out[0].last);
}

TEST(holes_beyond_max_are_counted)
{
	const struct iova_range used[] = { { 16, 31 }, { 64, 79 } };
	const struct iova_range bounds = { 3, 200 };
	struct iova_range out[3] = {};

	EXPECT_EQ(2, iova_ranges_holes(used, 2, &bounds, 16, out, 1));
	EXPECT_EQ(32, out[0].start);
	EXPECT_EQ(63, out[0].last);
	EXPECT_EQ(0, out[1].last);
	EXPECT_EQ(2, iova_ranges_holes(used, 2, &bounds, 16, out, 3));
	EXPECT_EQ(80, out[1].start);
	EXPECT_EQ(191, out[1].last);
	EXPECT_EQ(3, iova_ranges_holes(used, 2, &bounds, 1, out, 3));
	EXPECT_EQ(3, out[0].start);
	EXPECT_EQ(15, out[0].last);
	EXPECT_EQ(200, out[2].last);
}

TEST(random_against_models)
{
	u64 state = random_seed("iova_range");
	u8 bytes[512];
	int i;

	for (i = 0; i < 4000; i++) {
		random_fill(&state, bytes, sizeof(bytes));
		range_ops(bytes, sizeof(bytes));
	}
}

TEST_HARNESS_MAIN
