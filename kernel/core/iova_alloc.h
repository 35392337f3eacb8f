/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An IOVA space: disjoint ranges in use, and the holes between them.
 *
 * A red-black tree by address in which every node knows the hole in front of
 * it and the largest such hole in its subtree. Finding what is at an address,
 * inserting, erasing, and finding a hole of a size are O(log n).
 *
 * The caller brings the nodes and the locking; nothing here allocates.
 */
#ifndef CORE_IOVA_ALLOC_H
#define CORE_IOVA_ALLOC_H

#include "core_env.h"
#include "core/iova_range.h"

struct iova_node {
	struct rb_node rb;
	u64 start;
	u64 last;	/* inclusive */
	u64 hole;	/* free bytes between the node before (or 0) and start */
	u64 max_hole;	/* largest hole in the subtree */
};

struct iova_tree {
	struct rb_root root;
};

/**
 * struct iova_request - what iova_tree_find_hole() looks for
 * @length: bytes; at least 1
 * @align: power of two; the IOVA found is a multiple of it plus @offset
 * @offset: less than @align; 0 for an aligned IOVA
 * @bounds: the range found lies within
 */
struct iova_request {
	u64 length;
	u64 align;
	u64 offset;
	struct iova_range bounds;
};

void iova_tree_init(struct iova_tree *tree);

static inline bool iova_tree_empty(const struct iova_tree *tree)
{
	return !tree->root.rb_node;
}

/* The lowest node that intersects start..last, or NULL. O(log n). */
struct iova_node *iova_tree_first(const struct iova_tree *tree, u64 start,
				  u64 last);

/* The node after @node if it starts at or before @last, else NULL. */
struct iova_node *iova_tree_next(struct iova_node *node, u64 last);

/**
 * iova_tree_insert - add @node; its start and last are set by the caller
 * Return: 0; -EEXIST when it overlaps one that is there; -EINVAL when its last
 * is below its start. Nothing changes then.
 */
int iova_tree_insert(struct iova_tree *tree, struct iova_node *node);

/* Take out @node, which is in @tree. Cannot fail. */
void iova_tree_erase(struct iova_tree *tree, struct iova_node *node);

/**
 * iova_tree_find_hole - find a free place, as low as is cheap to find
 *
 * Finds one whenever there is one. O(log n) unless only few of the holes that
 * are large enough fit with the alignment, where it is linear in those.
 *
 * Return: 0 and *@iova; -EINVAL for a malformed request; -ENOSPC.
 */
int iova_tree_find_hole(const struct iova_tree *tree,
			const struct iova_request *req, u64 *iova);

/* Do all invariants hold? For tests and fuzzers: O(n). */
bool iova_tree_check(const struct iova_tree *tree);

#endif
