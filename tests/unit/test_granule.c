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

/*
 * However a range was mapped, with any of the sizes wherever one is aligned
 * and fits: no page may reach over the end of a piece.
 */
TEST(piece)
{
	static const u64 bitmaps[] = {
		0x1, 0x3, 0x9, 0x11, 0x7, 0xff, 0x15, 0x80, 0x88,
	};
	u64 start, length, at, n, size, page, used;
	unsigned int i;

	for (i = 0; i < sizeof(bitmaps) / sizeof(bitmaps[0]); i++) {
		u64 unit = granule_of_bitmap(bitmaps[i]);

		for (start = 0; start < 260; start += unit)
		for (length = unit; length < 400; length += unit)
		for (at = start; at < start + length; at += n) {
			n = granule_piece(bitmaps[i], at, start + length - at,
					  &used);
			ASSERT_TRUE(used & bitmaps[i]);
			ASSERT_TRUE(granule_aligned(at | n, used));
			ASSERT_LT(0, n);
			ASSERT_LE(n, start + length - at);
			ASSERT_EQ(0, n % unit);
			for (size = unit; size <= 0x80; size *= 2) {
				if (!(size & bitmaps[i]))
					continue;
				/* The page that holds the last byte. */
				page = granule_down(at + n - 1, size);
				if (page < start ||
				    page + size > start + length)
					continue;
				ASSERT_LE(page + size, at + n)
					TH_LOG("%llx %llx+%llx at %llx",
					       (unsigned long long)bitmaps[i],
					       (unsigned long long)start,
					       (unsigned long long)length,
					       (unsigned long long)at);
			}
		}
	}
	/* At the end of the space, and with the sizes of VT-d. */
	ASSERT_EQ(0x1000, granule_piece(0x40201000, 0 - 0x1000ULL, 0x1000,
					&page));
	ASSERT_EQ(0x1ff000, granule_piece(0x40201000, 0x1000, 0x400000, &page));
	ASSERT_EQ(0x1000, page);
	ASSERT_EQ(0x3fe00000, granule_piece(0x40201000, 0x200000, 0x80000000,
					    &page));
	ASSERT_EQ(0x200000, page);
	ASSERT_EQ(0x40000000, granule_piece(0x40201000, 0, 0x40000000, &page));
	ASSERT_EQ(0x40000000, page);
}

/* A page leads from an address to one with the same low bits. */
TEST(congruent)
{
	ASSERT_EQ(0x40201000, granule_congruent(0x40201000, 0x5000, 0x5000));
	ASSERT_EQ(0x40201000, granule_congruent(0x40201000, 0, 1ULL << 63));
	ASSERT_EQ(0x201000, granule_congruent(0x40201000, 0, 0x200000));
	ASSERT_EQ(0x1000, granule_congruent(0x40201000, 0x1000, 0x200000));
	ASSERT_EQ(0x4000, granule_congruent(0xc000, 0x4000, 0x8000));
	ASSERT_EQ(0xc000, granule_congruent(0xc000, 0x4000, 0xc000));
}

TEST_HARNESS_MAIN
