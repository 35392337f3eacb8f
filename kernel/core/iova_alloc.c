// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOVA space as a red-black tree that knows its holes.
 *
 * Every node owns the hole in front of it, so a hole is at most 2^64 - 1 bytes
 * and its size fits. The hole behind the last node, which can be all of the
 * space, belongs to nobody: it is worked out from the last node when needed.
 */
#include "core/granule.h"
#include "core/iova_alloc.h"

/* A test counts steps here. */
#ifndef CORE_VISIT
#define CORE_VISIT() do { } while (0)
#endif

/* Lowest holes to try before settling for one that fits for certain. */
#define FIRST_FIT_TRIES 8

static struct iova_node *to_node(const struct rb_node *rb)
{
	CORE_VISIT();
	return rb ? rb_entry(rb, struct iova_node, rb) : NULL;
}

static u64 max_hole(const struct rb_node *rb)
{
	return rb ? rb_entry(rb, struct iova_node, rb)->max_hole : 0;
}

/* Returns true when nothing changed and the nodes above need no look. */
static bool update_max(struct iova_node *node, bool stop_early)
{
	u64 largest = max(node->hole, max(max_hole(node->rb.rb_left),
					  max_hole(node->rb.rb_right)));

	CORE_VISIT();
	if (stop_early && node->max_hole == largest)
		return true;
	node->max_hole = largest;
	return false;
}

RB_DECLARE_CALLBACKS(static, hole_callbacks, struct iova_node, rb, max_hole,
		     update_max)

static void set_hole(struct iova_node *node, u64 hole)
{
	node->hole = hole;
	hole_callbacks_propagate(&node->rb, NULL);
}

void iova_tree_init(struct iova_tree *tree)
{
	tree->root = RB_ROOT;
}

struct iova_node *iova_tree_first(const struct iova_tree *tree, u64 start,
				  u64 last)
{
	struct iova_node *node = to_node(tree->root.rb_node);
	struct iova_node *found = NULL;

	/* The lowest that ends at or after start, wherever it starts. */
	while (node) {
		if (node->last >= start) {
			found = node;
			node = to_node(node->rb.rb_left);
		} else {
			node = to_node(node->rb.rb_right);
		}
	}
	return found && found->start <= last ? found : NULL;
}

struct iova_node *iova_tree_next(struct iova_node *node, u64 last)
{
	struct iova_node *next = to_node(rb_next(&node->rb));

	return next && next->start <= last ? next : NULL;
}

int iova_tree_insert(struct iova_tree *tree, struct iova_node *node)
{
	struct rb_node **link = &tree->root.rb_node;
	struct iova_node *before = NULL, *after = NULL;
	struct rb_node *parent = NULL;

	if (node->last < node->start)
		return -EINVAL;
	while (*link) {
		struct iova_node *here = to_node(*link);

		parent = *link;
		if (node->last < here->start) {
			after = here;
			link = &parent->rb_left;
		} else if (node->start > here->last) {
			before = here;
			link = &parent->rb_right;
		} else {
			return -EEXIST;
		}
	}

	node->hole = node->start - (before ? before->last + 1 : 0);
	node->max_hole = node->hole;
	rb_link_node(&node->rb, parent, link);
	hole_callbacks_propagate(parent, NULL);
	rb_insert_augmented(&node->rb, &tree->root, &hole_callbacks);
	if (after)
		set_hole(after, after->start - node->last - 1);
	return 0;
}

void iova_tree_erase(struct iova_tree *tree, struct iova_node *node)
{
	struct iova_node *after = to_node(rb_next(&node->rb));

	rb_erase_augmented(&node->rb, &tree->root, &hole_callbacks);
	/* after->start bounds the sum, and so it fits. */
	if (after)
		set_hole(after, after->hole + (node->last - node->start + 1) +
				node->hole);
}

/* The lowest node in the subtree of @node, which has one, with such a hole. */
static struct iova_node *lowest_with_hole(struct iova_node *node, u64 size)
{
	for (;;) {
		if (max_hole(node->rb.rb_left) >= size)
			node = to_node(node->rb.rb_left);
		else if (node->hole >= size)
			return node;
		else
			node = to_node(node->rb.rb_right);
	}
}

/* The next node after @node with a hole of at least @size. O(log n). */
static struct iova_node *next_with_hole(struct iova_node *node, u64 size)
{
	if (max_hole(node->rb.rb_right) >= size)
		return lowest_with_hole(to_node(node->rb.rb_right), size);
	for (;;) {
		struct rb_node *rb = &node->rb;

		node = to_node(rb_parent(rb));
		if (!node)
			return NULL;
		if (rb != node->rb.rb_left)
			continue;
		if (node->hole >= size)
			return node;
		if (max_hole(node->rb.rb_right) >= size)
			return lowest_with_hole(to_node(node->rb.rb_right),
						size);
	}
}

/* The lowest node beyond @iova with a hole of at least @size. O(log n). */
static struct iova_node *first_with_hole(const struct iova_tree *tree,
					 u64 iova, u64 size)
{
	struct iova_node *node = to_node(tree->root.rb_node);
	struct iova_node *found = NULL;

	while (node) {
		if (node->start > iova) {
			found = node;
			node = to_node(node->rb.rb_left);
		} else {
			node = to_node(node->rb.rb_right);
		}
	}
	if (!found || found->hole >= size)
		return found;
	return next_with_hole(found, size);
}

/* The lowest place in the hole start..last, cut to the bounds. */
static bool fit(const struct iova_request *req, u64 start, u64 last, u64 *iova)
{
	u64 end, at = max(start, req->bounds.start);

	last = min(last, req->bounds.last);
	if (check_add_overflow(at, granule_offset(req->offset - at, req->align),
			       &at) ||
	    check_add_overflow(at, req->length - 1, &end) || end > last)
		return false;
	*iova = at;
	return true;
}

/*
 * Walk up the holes of at least @size bytes, at most @tries of them, to the
 * first that fits.
 */
static bool fit_between(const struct iova_tree *tree,
			const struct iova_request *req, u64 size,
			unsigned int tries, u64 *iova)
{
	struct iova_node *node;

	for (node = first_with_hole(tree, req->bounds.start, size);
	     node && tries && node->start - node->hole <= req->bounds.last;
	     node = next_with_hole(node, size), tries--) {
		if (fit(req, node->start - node->hole, node->start - 1, iova))
			return true;
	}
	return false;
}

/* The hole behind the last node. */
static bool fit_behind(const struct iova_tree *tree,
		       const struct iova_request *req, u64 *iova)
{
	struct rb_node *rb = tree->root.rb_node;
	u64 start = 0;

	while (rb) {
		start = to_node(rb)->last + 1;
		if (!start)
			return false;
		rb = rb->rb_right;
	}
	return fit(req, start, U64_MAX, iova);
}

int iova_tree_find_hole(const struct iova_tree *tree,
			const struct iova_request *req, u64 *iova)
{
	u64 roomy;

	if (!req->length || !granule_valid(req->align) ||
	    req->offset >= req->align || req->bounds.last < req->bounds.start)
		return -EINVAL;

	/* Low and cheap. */
	if (fit_between(tree, req, req->length, FIRST_FIT_TRIES, iova))
		return 0;
	/*
	 * Too many that the alignment spoils? A hole this size cannot be
	 * spoilt but by the bounds, which cut no more than the two outermost:
	 * the walk takes three steps.
	 */
	if (!check_add_overflow(req->length, req->align - 1, &roomy) &&
	    fit_between(tree, req, roomy, UINT_MAX, iova))
		return 0;
	if (fit_behind(tree, req, iova))
		return 0;
	/* Nearly full: look at every hole that is large enough. */
	if (fit_between(tree, req, req->length, UINT_MAX, iova))
		return 0;
	return -ENOSPC;
}

bool iova_tree_check(const struct iova_tree *tree)
{
	const struct iova_node *before = NULL;
	const struct rb_node *rb;

	for (rb = rb_first(&tree->root); rb; rb = rb_next(rb)) {
		const struct iova_node *node = to_node(rb);
		u64 free_from = before ? before->last + 1 : 0;
		u64 largest = max(node->hole, max(max_hole(rb->rb_left),
						  max_hole(rb->rb_right)));

		if (node->last < node->start)
			return false;
		if (before && node->start <= before->last)
			return false;
		if (node->hole != node->start - free_from)
			return false;
		if (node->max_hole != largest)
			return false;
		before = node;
	}
	return true;
}
