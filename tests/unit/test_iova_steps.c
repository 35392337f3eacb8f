// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the IOVA space costs: steps, counted, which may grow with the logarithm
 * of the number of nodes and no faster. Time would depend on the machine.
 */
#include "kselftest_harness.h"

static unsigned long steps;

#define CORE_VISIT() (steps++)
#include "core/iova_alloc.c"

#include "random.h"

#define PAGE 4096ULL
#define MOST 1000000U

/*
 * A red-black tree is at most 2 log2(n + 1) high. Every operation goes up or
 * down it a few times: this many steps for each doubling of n, of which 7.5
 * have been seen.
 */
#define STEPS_PER_LOG2 10

struct pattern {
	const char *name;
	u64 stride;	/* pages from one node to the next; a node has one */
};

static const struct pattern patterns[] = {
	{ "dense", 1 },
	{ "every other", 2 },
};

static struct iova_node *nodes;
static struct iova_tree tree;
static unsigned int limit;
static unsigned long worst;

static unsigned int log2_of(unsigned int n)
{
	return 32 - __builtin_clz(n);
}

/* Ends the count that began with steps = 0. */
static bool within_limit(const char *what)
{
	if (steps > worst)
		worst = steps;
	if (steps <= limit)
		return true;
	printf("# %s: %lu steps, %u allowed\n", what, steps, limit);
	return false;
}

static bool search_in(const char *what, u64 length, u64 align, u64 offset,
		      u64 start, u64 last, int expect)
{
	struct iova_request req = {
		.length = length,
		.align = align,
		.offset = offset,
		.bounds = { start, last },
	};
	u64 iova;
	int rc;

	steps = 0;
	rc = iova_tree_find_hole(&tree, &req, &iova);
	return within_limit(what) && rc == expect && (rc || iova >= start);
}

static bool search(const char *what, u64 length, u64 align, u64 offset,
		   u64 start, int expect)
{
	return search_in(what, length, align, offset, start, U64_MAX, expect);
}

static bool searches(u64 end)
{
	/* Past three quarters of all holes. */
	u64 high = end / 4 * 3;

	return search("4K", PAGE, PAGE, 0, 0, 0) &&
	       search("8K", 2 * PAGE, PAGE, 0, 0, 0) &&
	       search("4K at 8K", PAGE, 2 * PAGE, 0, 0, 0) &&
	       search("4K at 8K, odd", PAGE, 2 * PAGE, PAGE, 0, 0) &&
	       search("8K at 8K", 2 * PAGE, 2 * PAGE, 0, 0, 0) &&
	       search("16K at 16K", 4 * PAGE, 4 * PAGE, 0, 0, 0) &&
	       search("1G at 1G", 1 << 30, 1 << 30, 0, 0, 0) &&
	       search("1 byte at 2^63", 1, 1ULL << 63, 0, 0, 0) &&
	       search("4K, high", PAGE, PAGE, 0, high, 0) &&
	       search("8K, high", 2 * PAGE, PAGE, 0, high, 0) &&
	       search("4K at 8K, high", PAGE, 2 * PAGE, 0, high, 0) &&
	       search("everything", U64_MAX, 1, 0, 0, -ENOSPC) &&
	       /* In vain, and so in every hole there is: few in the bounds. */
	       search_in("4K at 8K, low", PAGE, 2 * PAGE, 0, 0, 8 * PAGE - 1,
			 -ENOSPC) &&
	       search_in("4K at 8K, between", PAGE, 2 * PAGE, 0, high,
			 high + 8 * PAGE - 1, -ENOSPC) &&
	       search("4K, behind", PAGE, PAGE, 0, end + PAGE, 0);
}

/* Take a node out and put it back, and look for it. */
static bool replace(struct iova_node *node)
{
	struct iova_node *found;
	int rc;

	steps = 0;
	iova_tree_erase(&tree, node);
	if (!within_limit("erase"))
		return false;
	steps = 0;
	found = iova_tree_first(&tree, node->start, node->last);
	if (!within_limit("lookup of nothing") || found)
		return false;
	steps = 0;
	rc = iova_tree_insert(&tree, node);
	if (!within_limit("insert") || rc)
		return false;
	steps = 0;
	found = iova_tree_first(&tree, node->start, node->last);
	return within_limit("lookup") && found == node;
}

static bool measure(const struct pattern *p, unsigned int n, u64 *state)
{
	unsigned int i;

	iova_tree_init(&tree);
	limit = STEPS_PER_LOG2 * log2_of(n);
	worst = 0;
	/* Dense first, so that "every other" is what freeing leaves. */
	for (i = 0; i < n * p->stride; i++) {
		nodes[i].start = i * PAGE;
		nodes[i].last = i * PAGE + PAGE - 1;
		steps = 0;
		if (iova_tree_insert(&tree, &nodes[i]) ||
		    !within_limit("first insert"))
			return false;
	}
	for (i = 0; i < n * p->stride; i++) {
		if (!(i % p->stride))
			continue;
		steps = 0;
		iova_tree_erase(&tree, &nodes[i]);
		if (!within_limit("first erase"))
			return false;
	}
	if (!iova_tree_check(&tree) || !searches(n * p->stride * PAGE))
		return false;
	for (i = 0; i < 1000; i++)
		if (!replace(&nodes[random_u64(state) % n * p->stride]))
			return false;
	printf("# %s, %u nodes: %lu steps at most, %u allowed\n", p->name, n,
	       worst, limit);
	return true;
}

FIXTURE(steps)
{
	u64 state;
};

FIXTURE_VARIANT(steps)
{
	unsigned int n;
};

FIXTURE_VARIANT_ADD(steps, 1k) { .n = 1000 };
FIXTURE_VARIANT_ADD(steps, 10k) { .n = 10000 };
FIXTURE_VARIANT_ADD(steps, 100k) { .n = 100000 };
FIXTURE_VARIANT_ADD(steps, 1M) { .n = MOST };

FIXTURE_SETUP(steps)
{
	self->state = random_seed("steps");
	nodes = calloc(2 * (size_t)variant->n, sizeof(*nodes));
	ASSERT_NE(NULL, nodes);
}

FIXTURE_TEARDOWN(steps)
{
	free(nodes);
}

TEST_F_TIMEOUT(steps, grow_with_the_logarithm, 120)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(patterns); i++)
		EXPECT_TRUE(measure(&patterns[i], variant->n, &self->state));
}

TEST_HARNESS_MAIN
