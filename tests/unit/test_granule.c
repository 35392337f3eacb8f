// SPDX-License-Identifier: GPL-2.0-only
/*
 * Granule arithmetic, for every granule there is.
 */
#include "kselftest_harness.h"

#include "core/granule.h"

TEST(only_powers_of_two_are_granules)
{
	int shift;

	EXPECT_FALSE(granule_valid(0));
	EXPECT_FALSE(granule_valid(U64_MAX));
	for (shift = 0; shift < 64; shift++) {
		EXPECT_TRUE(granule_valid(1ULL << shift));
		if (shift > 1)
			EXPECT_FALSE(granule_valid((1ULL << shift) - 1));
		if (shift)
			EXPECT_FALSE(granule_valid((1ULL << shift) + 1));
	}
}

TEST(granule_is_the_smallest_page)
{
	int shift;

	EXPECT_EQ(0, granule_of_bitmap(0));
	EXPECT_EQ(1, granule_of_bitmap(U64_MAX));
	EXPECT_EQ(0x4000, granule_of_bitmap(0x2004000));
	for (shift = 0; shift < 64; shift++) {
		u64 g = 1ULL << shift;

		EXPECT_EQ(g, granule_of_bitmap(g));
		EXPECT_EQ(g, granule_of_bitmap(g | 1ULL << 63));
		EXPECT_EQ(g, granule_of_bitmap(~(g - 1)));
	}
}

TEST(rounding_at_both_ends)
{
	int shift;

	for (shift = 0; shift < 64; shift++) {
		u64 g = 1ULL << shift, top = ~(g - 1), up;

		EXPECT_EQ(0, granule_down(0, g));
		EXPECT_EQ(0, granule_down(g - 1, g));
		EXPECT_EQ(g, granule_down(g, g));
		EXPECT_EQ(top, granule_down(U64_MAX, g));
		EXPECT_EQ(g - 1, granule_offset(U64_MAX, g));
		EXPECT_EQ(0, granule_offset(top, g));
		EXPECT_TRUE(granule_aligned(0, g));
		EXPECT_TRUE(granule_aligned(top, g));
		EXPECT_EQ(g == 1, granule_aligned(U64_MAX, g));

		EXPECT_EQ(0, granule_up(0, g, &up));
		EXPECT_EQ(0, up);
		EXPECT_EQ(0, granule_up(1, g, &up));
		EXPECT_EQ(g, up);
		EXPECT_EQ(0, granule_up(top, g, &up));
		EXPECT_EQ(top, up);
		if (g == 1)
			continue;
		EXPECT_EQ(-EOVERFLOW, granule_up(top + 1, g, &up));
		EXPECT_EQ(-EOVERFLOW, granule_up(U64_MAX, g, &up));
	}
}

TEST_HARNESS_MAIN
