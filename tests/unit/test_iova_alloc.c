// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOVA space: known traps, every small case, and random operations
 * against a bitmap at both ends of u64.
 */
#include "kselftest_harness.h"

#include "model_alloc.h"
#include "random.h"

static const struct iova_range whole = { 0, U64_MAX };

static int insert(struct iova_tree *tree, struct iova_node *node, u64 start,
		  u64 last)
{
	node->start = start;
	node->last = last;
	return iova_tree_insert(tree, node);
}

static int find(const struct iova_tree *tree, u64 length, u64 align, u64 offset,
		const struct iova_range *bounds, u64 *iova)
{
	struct iova_request req = {
		.length = length,
		.align = align,
		.offset = offset,
		.bounds = *bounds,
	};

	return iova_tree_find_hole(tree, &req, iova);
}

TEST(malformed_requests)
{
	const struct iova_range backward = { 2, 1 };
	struct iova_tree tree;
	u64 iova = 77;

	iova_tree_init(&tree);
	EXPECT_EQ(-EINVAL, find(&tree, 0, 1, 0, &whole, &iova));
	EXPECT_EQ(-EINVAL, find(&tree, 1, 0, 0, &whole, &iova));
	EXPECT_EQ(-EINVAL, find(&tree, 1, 3, 0, &whole, &iova));
	EXPECT_EQ(-EINVAL, find(&tree, 1, U64_MAX, 0, &whole, &iova));
	EXPECT_EQ(-EINVAL, find(&tree, 1, 1, 1, &whole, &iova));
	EXPECT_EQ(-EINVAL, find(&tree, 1, 8, 8, &whole, &iova));
	EXPECT_EQ(-EINVAL, find(&tree, 1, 1, 0, &backward, &iova));
	EXPECT_EQ(77, iova);
}

/* CVE-2023-52455: a reserved region without length corrupts the tree. */
TEST(insert_without_length)
{
	struct iova_node a, b;
	struct iova_tree tree;

	iova_tree_init(&tree);
	EXPECT_EQ(-EINVAL, insert(&tree, &a, 4096, 4095));
	EXPECT_EQ(-EINVAL, insert(&tree, &a, U64_MAX, 0));
	EXPECT_TRUE(iova_tree_empty(&tree));
	ASSERT_EQ(0, insert(&tree, &a, 4096, 8191));
	EXPECT_EQ(-EINVAL, insert(&tree, &b, 8192, 8191));
	EXPECT_EQ(-EINVAL, insert(&tree, &b, 5000, 4999));
	EXPECT_TRUE(iova_tree_check(&tree));
	EXPECT_EQ(&a, iova_tree_first(&tree, 0, U64_MAX));
	EXPECT_EQ(NULL, iova_tree_next(&a, U64_MAX));
}

TEST(node_that_is_all_of_the_space)
{
	struct iova_node all, other;
	struct iova_tree tree;
	u64 iova = 77;

	iova_tree_init(&tree);
	EXPECT_EQ(0, find(&tree, U64_MAX, 1, 0, &whole, &iova));
	EXPECT_EQ(0, iova);
	ASSERT_EQ(0, insert(&tree, &all, 0, U64_MAX));
	EXPECT_TRUE(iova_tree_check(&tree));
	EXPECT_EQ(-ENOSPC, find(&tree, 1, 1, 0, &whole, &iova));
	EXPECT_EQ(-EEXIST, insert(&tree, &other, 0, 0));
	EXPECT_EQ(-EEXIST, insert(&tree, &other, U64_MAX, U64_MAX));
	EXPECT_EQ(&all, iova_tree_first(&tree, U64_MAX, U64_MAX));
	EXPECT_EQ(&all, iova_tree_first(&tree, 0, 0));
	EXPECT_EQ(NULL, iova_tree_next(&all, U64_MAX));
	iova_tree_erase(&tree, &all);
	EXPECT_TRUE(iova_tree_empty(&tree));
	EXPECT_EQ(NULL, iova_tree_first(&tree, 0, U64_MAX));
}

TEST(nodes_at_both_ends)
{
	struct iova_node low, high;
	struct iova_tree tree;
	u64 iova;

	iova_tree_init(&tree);
	ASSERT_EQ(0, insert(&tree, &high, U64_MAX, U64_MAX));
	EXPECT_EQ(U64_MAX, high.hole);
	EXPECT_EQ(0, find(&tree, U64_MAX, 1, 0, &whole, &iova));
	EXPECT_EQ(0, iova);
	ASSERT_EQ(0, insert(&tree, &low, 0, 0));
	EXPECT_EQ(U64_MAX - 1, high.hole);
	EXPECT_EQ(-ENOSPC, find(&tree, U64_MAX, 1, 0, &whole, &iova));
	EXPECT_EQ(0, find(&tree, U64_MAX - 1, 1, 0, &whole, &iova));
	EXPECT_EQ(1, iova);
	EXPECT_EQ(-ENOSPC, find(&tree, U64_MAX - 1, 2, 0, &whole, &iova));
	iova_tree_erase(&tree, &low);
	EXPECT_EQ(U64_MAX, high.hole);
	EXPECT_TRUE(iova_tree_check(&tree));
	ASSERT_EQ(0, insert(&tree, &low, 0, 0));
	iova_tree_erase(&tree, &high);
	EXPECT_TRUE(iova_tree_check(&tree));
	EXPECT_EQ(0, find(&tree, U64_MAX, 1, 0, &whole, &iova));
	EXPECT_EQ(1, iova);
}

/*
 * CVE-2024-47719, CVE-2025-38688: the only hole ends at 2^64 - 1, and rounding
 * its start up wraps to 0, which is in use.
 */
TEST(alignment_past_the_end_does_not_wrap)
{
	struct iova_node low, gap;
	struct iova_tree tree;
	u64 iova = 77;
	int shift;

	iova_tree_init(&tree);
	ASSERT_EQ(0, insert(&tree, &low, 0, U64_MAX - 4096));
	for (shift = 0; shift <= 12; shift++) {
		EXPECT_EQ(0, find(&tree, 1ULL << shift, 1ULL << shift, 0,
				  &whole, &iova));
		EXPECT_EQ(U64_MAX - 4095, iova);
	}
	iova = 77;
	for (; shift < 64; shift++) {
		EXPECT_EQ(-ENOSPC, find(&tree, 1, 1ULL << shift, 0, &whole,
					&iova));
		EXPECT_EQ(-ENOSPC, find(&tree, 1, 1ULL << shift, 4095, &whole,
					&iova));
		EXPECT_EQ(-ENOSPC, find(&tree, 4097, 1, 0, &whole, &iova));
		EXPECT_EQ(-ENOSPC, find(&tree, U64_MAX, 1ULL << shift, 0,
					&whole, &iova));
	}
	EXPECT_EQ(77, iova);

	/* The same with the hole in front of a node. */
	ASSERT_EQ(0, insert(&tree, &gap, U64_MAX, U64_MAX));
	EXPECT_EQ(4095, gap.hole);
	for (shift = 13; shift < 64; shift++)
		EXPECT_EQ(-ENOSPC, find(&tree, 1, 1ULL << shift, 0, &whole,
					&iova));
	EXPECT_EQ(0, find(&tree, 1, 4096, 4094, &whole, &iova));
	EXPECT_EQ(U64_MAX - 1, iova);
	EXPECT_EQ(-ENOSPC, find(&tree, 1, 4096, 4095, &whole, &iova));
}

/* CVE-2023-52910: a retry past the end of the domain succeeds. */
TEST(longer_than_the_space)
{
	const struct iova_range bounds = { 4096, 8191 };
	const struct iova_range top = { U64_MAX - 4095, U64_MAX };
	struct iova_tree tree;
	u64 iova = 77;
	int shift;

	iova_tree_init(&tree);
	for (shift = 13; shift < 64; shift++) {
		EXPECT_EQ(-ENOSPC, find(&tree, 1ULL << shift, 1, 0, &bounds,
					&iova));
		EXPECT_EQ(-ENOSPC, find(&tree, 1ULL << shift, 1, 0, &top,
					&iova));
		EXPECT_EQ(-ENOSPC, find(&tree, 1, 1ULL << shift, 0, &bounds,
					&iova));
		EXPECT_EQ(0, find(&tree, 1, 1ULL << shift, 5000, &bounds,
				  &iova));
		EXPECT_EQ(5000, iova);
		iova = 77;
	}
	EXPECT_EQ(-ENOSPC, find(&tree, 4097, 1, 0, &bounds, &iova));
	EXPECT_EQ(-ENOSPC, find(&tree, 4097, 1, 0, &top, &iova));
	EXPECT_EQ(-ENOSPC, find(&tree, U64_MAX, 1ULL << 63, 1ULL << 62, &top,
				&iova));
	EXPECT_EQ(77, iova);
	EXPECT_EQ(0, find(&tree, 4096, 1, 0, &top, &iova));
	EXPECT_EQ(U64_MAX - 4095, iova);
}

TEST(alignment_with_offset)
{
	struct iova_node low;
	struct iova_tree tree;
	u64 iova;
	int shift;

	iova_tree_init(&tree);
	ASSERT_EQ(0, insert(&tree, &low, 0, 99));
	EXPECT_EQ(0, find(&tree, 8, 64, 36, &whole, &iova));
	EXPECT_EQ(100, iova);
	EXPECT_EQ(0, find(&tree, 8, 64, 35, &whole, &iova));
	EXPECT_EQ(163, iova);
	for (shift = 7; shift < 64; shift++) {
		EXPECT_EQ(0, find(&tree, 8, 1ULL << shift, 100, &whole, &iova));
		EXPECT_EQ(100, iova);
		/* 1 is in use; in the top half there is no next one. */
		EXPECT_EQ(0, find(&tree, 8, 1ULL << shift, 1, &whole, &iova));
		EXPECT_EQ((1ULL << shift) + 1, iova);
	}
}

/* A hole that fits among more misfits than are tried cheaply. */
TEST(found_among_many_misfits)
{
	const struct iova_range bounds = { 0, 16 * 101 - 1 };
	static struct iova_node nodes[101];
	struct iova_tree tree;
	u64 iova;
	int i;

	iova_tree_init(&tree);
	for (i = 0; i < 101; i++) {
		u64 base = 16 * i;

		/* Free: 9..15, but for number 77: 8..14. */
		if (i == 77) {
			ASSERT_EQ(0, insert(&tree, &nodes[i], base, base + 7));
		} else if (i == 78) {
			ASSERT_EQ(0, insert(&tree, &nodes[i], base - 1,
					    base + 8));
		} else {
			ASSERT_EQ(0, insert(&tree, &nodes[i], base, base + 8));
		}
	}
	EXPECT_TRUE(iova_tree_check(&tree));
	EXPECT_EQ(0, find(&tree, 7, 8, 0, &bounds, &iova));
	EXPECT_EQ(77 * 16 + 8, iova);
	EXPECT_EQ(-ENOSPC, find(&tree, 8, 1, 0, &bounds, &iova));
	/* Without bounds, what lies behind the last node is nearest. */
	EXPECT_EQ(0, find(&tree, 7, 8, 0, &whole, &iova));
	EXPECT_EQ(101 * 16, iova);

	/* A hole that fits however it lies is nearer: 7 + 8 - 1 bytes. */
	iova_tree_erase(&tree, &nodes[60]);
	ASSERT_EQ(0, insert(&tree, &nodes[60], 16 * 60 + 7, 16 * 60 + 8));
	EXPECT_EQ(14, nodes[60].hole);
	EXPECT_EQ(0, find(&tree, 7, 8, 0, &whole, &iova));
	EXPECT_EQ(60 * 16, iova);
}

/* Bounds cut the holes that they end in, on either side. */
TEST(bounds_cut_holes)
{
	struct iova_range bounds = { 10, 40 };
	struct iova_node a, b;
	struct iova_tree tree;
	u64 iova;

	iova_tree_init(&tree);
	ASSERT_EQ(0, insert(&tree, &a, 20, 29));
	ASSERT_EQ(0, insert(&tree, &b, 50, 59));
	EXPECT_EQ(0, find(&tree, 10, 1, 0, &bounds, &iova));
	EXPECT_EQ(10, iova);
	EXPECT_EQ(0, find(&tree, 11, 1, 0, &bounds, &iova));
	EXPECT_EQ(30, iova);
	EXPECT_EQ(-ENOSPC, find(&tree, 12, 1, 0, &bounds, &iova));
	EXPECT_EQ(0, find(&tree, 12, 1, 0, &whole, &iova));
	EXPECT_EQ(0, iova);
	bounds = (struct iova_range){ 22, 25 };
	EXPECT_EQ(-ENOSPC, find(&tree, 1, 1, 0, &bounds, &iova));
	bounds = (struct iova_range){ 59, 60 };
	EXPECT_EQ(0, find(&tree, 1, 1, 0, &bounds, &iova));
	EXPECT_EQ(60, iova);
}

/* Can the check see what it is there for? */
TEST(check_sees_damage)
{
	struct iova_node n[3];
	struct iova_tree tree;

	iova_tree_init(&tree);
	EXPECT_TRUE(iova_tree_check(&tree));
	ASSERT_EQ(0, insert(&tree, &n[1], 20, 29));
	ASSERT_EQ(0, insert(&tree, &n[0], 5, 9));
	ASSERT_EQ(0, insert(&tree, &n[2], 40, 49));
	EXPECT_TRUE(iova_tree_check(&tree));
	n[0].hole++;
	EXPECT_FALSE(iova_tree_check(&tree));
	n[0].hole--;
	n[1].max_hole++;
	EXPECT_FALSE(iova_tree_check(&tree));
	n[1].max_hole--;
	n[0].last = 20;
	EXPECT_FALSE(iova_tree_check(&tree));
	n[0].last = 3;
	EXPECT_FALSE(iova_tree_check(&tree));
	n[0].last = 9;
	EXPECT_TRUE(iova_tree_check(&tree));
	/* Overlap by one and by more, with holes that agree with it. */
	n[2].start = 29;
	n[2].hole = 29 - 30;
	n[2].max_hole = n[2].hole;
	n[1].max_hole = n[2].hole;
	EXPECT_FALSE(iova_tree_check(&tree));
	n[2].start = 25;
	n[2].hole = 25 - 30;
	n[2].max_hole = n[2].hole;
	n[1].max_hole = n[2].hole;
	EXPECT_FALSE(iova_tree_check(&tree));
}

#define SMALL 6

/* Every length, alignment and offset in bounds of @req. */
static void every_request(const struct space *s, struct iova_request req)
{
	u64 iova;

	for (req.length = 1; req.length <= SMALL; req.length++)
		for (req.align = 1; req.align <= 4; req.align *= 2)
			for (req.offset = 0; req.offset < req.align;
			     req.offset++)
				space_find(s, &req, &iova);
}

/* Six bytes: every pattern of them, every request there is. */
TEST(every_small_space)
{
	u32 where, pattern, a, b, x;
	static struct space s;

	for (where = 0; where < SPACE_WINDOWS; where++) {
		/* At the top, the last six bytes and not the first. */
		u32 at = where == SPACE_TOP ? SPACE_SLOTS - SMALL : 0;

		for (pattern = 0; pattern < 1 << SMALL; pattern++) {
			space_init(&s, where);
			for (x = 0; x < SMALL; x++)
				if (pattern & 1 << x)
					space_insert(&s, at + x, at + x);
			space_check(&s);
			for (a = 0; a < SMALL; a++)
				for (b = a; b < SMALL; b++) {
					struct iova_request req = {
						.bounds = { s.base + at + a,
							    s.base + at + b },
					};

					space_lookup(&s, at + a, at + b);
					every_request(&s, req);
				}
		}
	}
}

static void random_ops(enum space_window where, u64 *state)
{
	u8 bytes[1024];
	int i;

	for (i = 0; i < 150; i++) {
		random_fill(state, bytes, sizeof(bytes));
		space_ops(where, bytes, sizeof(bytes));
	}
}

TEST(random_against_bitmap_at_zero)
{
	u64 state = random_seed("bottom");

	random_ops(SPACE_BOTTOM, &state);
}

TEST(random_against_bitmap_in_the_middle)
{
	u64 state = random_seed("middle");

	random_ops(SPACE_MIDDLE, &state);
}

TEST(random_against_bitmap_at_the_top)
{
	u64 state = random_seed("top");

	random_ops(SPACE_TOP, &state);
}

TEST_HARNESS_MAIN
