// SPDX-License-Identifier: GPL-2.0-only
/*
 * How scatterlists lie in granules, drawn and at random.
 *
 * Drawings: a letter is a quarter of a granule, capital where a segment
 * starts; "-" is what is beside a piece in its granules, "." a hole.
 */
#include "kselftest_harness.h"

#include "model_scatter.h"
#include "random.h"

#define GRANULE 16384ULL
#define QUARTER (GRANULE / 4)
#define LONG 256

/* Quarters @first.. of memory, @n of them. */
struct piece {
	u64 first, n;
};

static void draw(struct layout *l, const struct piece *pieces, size_t nr,
		 char *out)
{
	struct scatter_place place;
	char letter = 'a';
	size_t i;
	u64 at;

	memset(out, 0, LONG);
	for (; nr--; pieces++, letter++) {
		CHECK(!layout_add(l, pieces->first * QUARTER,
				  pieces->n * QUARTER, &place));
		CHECK(l->s.span / QUARTER < LONG);
		for (i = 0; i < place.start / QUARTER; i++)
			if (!out[i])
				out[i] = '.';
		at = place.start / QUARTER;
		memset(out + at, '-', place.length / QUARTER);
		at += place.offset / QUARTER;
		memset(out + at, letter, pieces->n);
		if (!place.merged)
			out[at] += 'A' - 'a';
	}
}

#define EXPECT_DRAWING(drawing, mask, max, ...) do {			\
	const struct piece pieces[] = { __VA_ARGS__ };			\
	struct layout l;						\
	char out[LONG];							\
	layout_init(&l, GRANULE, mask, max);				\
	draw(&l, pieces, sizeof(pieces) / sizeof(pieces[0]), out);	\
	EXPECT_STREQ(drawing, out);					\
} while (0)

TEST(one_piece)
{
	EXPECT_DRAWING("Aaaa", U64_MAX, U64_MAX, { 4, 4 });
	EXPECT_DRAWING("A---", U64_MAX, U64_MAX, { 4, 1 });
	EXPECT_DRAWING("-Aa-", U64_MAX, U64_MAX, { 5, 2 });
	EXPECT_DRAWING("---Aaaaaa---", U64_MAX, U64_MAX, { 7, 6 });
}

TEST(pieces_that_meet_on_a_granule_are_one_segment)
{
	EXPECT_DRAWING("Aaaabbbbcc--", U64_MAX, U64_MAX,
		       { 4, 4 }, { 40, 4 }, { 80, 2 });
	/* Only the first may begin, and only the last end, elsewhere. */
	EXPECT_DRAWING("--Aabbbbcccccccc", U64_MAX, U64_MAX,
		       { 6, 2 }, { 20, 4 }, { 40, 8 });
	EXPECT_DRAWING("Aaa-Bbbb", U64_MAX, U64_MAX, { 4, 3 }, { 40, 4 });
	EXPECT_DRAWING("Aaaa-Bbb", U64_MAX, U64_MAX, { 4, 4 }, { 41, 3 });
}

TEST(neighbours_in_memory_need_a_granule_each)
{
	EXPECT_DRAWING("A----B----C----D", U64_MAX, U64_MAX,
		       { 4, 1 }, { 5, 1 }, { 6, 1 }, { 7, 1 });
}

TEST(segments_have_a_length)
{
	EXPECT_DRAWING("AaaabbbbCccc", U64_MAX, 2 * GRANULE,
		       { 4, 4 }, { 40, 4 }, { 80, 4 });
	EXPECT_DRAWING("AaaaBbbbCccc", U64_MAX, 2 * GRANULE - 1,
		       { 4, 4 }, { 40, 4 }, { 80, 4 });
	/* What is too long alone stays alone. */
	EXPECT_DRAWING("AaaaBbbbbbbbbbbbCccc", U64_MAX, 2 * GRANULE,
		       { 4, 4 }, { 40, 12 }, { 80, 4 });
	EXPECT_DRAWING("AaaaBbbb", U64_MAX, 1, { 4, 4 }, { 40, 4 });
	EXPECT_DRAWING("AaaaBbbb", U64_MAX, 0, { 4, 4 }, { 40, 4 });
}

TEST(segments_do_not_cross_a_boundary)
{
	EXPECT_DRAWING("AaaabbbbCccc", 2 * GRANULE - 1, U64_MAX,
		       { 4, 4 }, { 40, 4 }, { 80, 4 });
	EXPECT_DRAWING("Aaaa....Bbbbbbbb", 2 * GRANULE - 1, U64_MAX,
		       { 4, 4 }, { 40, 8 });
	EXPECT_DRAWING("Aaaa-Bbbbbb-", 4 * GRANULE - 1, U64_MAX,
		       { 4, 4 }, { 41, 6 });
	EXPECT_DRAWING("Aaaa............-Bbbbbbbbbbbbbb-", 4 * GRANULE - 1,
		       U64_MAX, { 4, 4 }, { 41, 14 });
	/* What fits nowhere crosses, with nothing added to it. */
	EXPECT_DRAWING("Aaaa....BbbbbbbbbbbbCccc", 2 * GRANULE - 1, U64_MAX,
		       { 4, 4 }, { 40, 12 }, { 80, 4 });
}

TEST(boundaries_no_larger_than_a_granule)
{
	EXPECT_DRAWING("AaaaBbbb", GRANULE - 1, U64_MAX, { 4, 4 }, { 40, 4 });
	EXPECT_DRAWING("AaaaBbbb", QUARTER - 1, U64_MAX, { 4, 4 }, { 40, 4 });
	EXPECT_DRAWING("-Aa-Bb--", 2 * QUARTER - 1, U64_MAX,
		       { 5, 2 }, { 40, 2 });
	EXPECT_DRAWING("AaaaBbbb", 0, U64_MAX, { 4, 4 }, { 40, 4 });
}

TEST(ends_of_the_numbers)
{
	struct scatter_place place;
	struct layout l;
	int shift;

	for (shift = 0; shift < 64; shift++) {
		u64 g = 1ULL << shift, top = 0 - g;

		layout_init(&l, g, U64_MAX, U64_MAX);
		EXPECT_EQ(-EINVAL, layout_add(&l, 0, 0, &place));
		EXPECT_EQ(0, layout_add(&l, 0, 1, &place));
		EXPECT_EQ(g, place.length);
		EXPECT_EQ(-EOVERFLOW, layout_add(&l, U64_MAX, 2, &place));
		layout_add(&l, U64_MAX, 1, &place);
		layout_add(&l, top, g, &place);
		layout_add(&l, 0, top, &place);
		layout_add(&l, 0, U64_MAX, &place);
		layout_add(&l, 1, U64_MAX, &place);
		layout_add(&l, 0, top - g, &place);
		layout_add(&l, 0, g, &place);
	}
}

TEST(random_against_rules)
{
	u64 state = random_seed("scatter");
	u8 bytes[256];
	int i;

	for (i = 0; i < 20000; i++) {
		random_fill(&state, bytes, sizeof(bytes));
		layout_ops(bytes, 16 + i % 240);
	}
}

TEST_HARNESS_MAIN
