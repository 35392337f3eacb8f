/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An IOVA space against a bitmap: 256 bytes of it, at either end or inside.
 */
#ifndef TEST_MODEL_ALLOC_H
#define TEST_MODEL_ALLOC_H

#include "core/iova_alloc.h"
#include "model.h"

#define SPACE_SLOTS 256U

enum space_window { SPACE_BOTTOM, SPACE_MIDDLE, SPACE_TOP, SPACE_WINDOWS };

struct space {
	struct iova_tree tree;
	u64 base;
	/* By first slot. A byte is in use when its owner is not NULL. */
	struct iova_node nodes[SPACE_SLOTS];
	struct iova_node *owner[SPACE_SLOTS];
};

static void space_init(struct space *s, enum space_window where)
{
	static const u64 base[SPACE_WINDOWS] = {
		[SPACE_BOTTOM] = 0,
		[SPACE_MIDDLE] = 0x7fffffffffffff80,
		[SPACE_TOP] = 0 - (u64)SPACE_SLOTS,
	};

	memset(s, 0, sizeof(*s));
	s->base = base[where];
	iova_tree_init(&s->tree);
}

static bool space_free(const struct space *s, u64 slot, u64 last)
{
	for (; slot <= last; slot++)
		if (s->owner[slot])
			return false;
	return true;
}

/* The tree holds what the bitmap holds, in order. */
static void space_check(const struct space *s)
{
	const struct iova_node *before = NULL;
	struct iova_node *node;
	u32 slot;

	CHECK(iova_tree_check(&s->tree));
	node = iova_tree_first(&s->tree, 0, U64_MAX);
	for (slot = 0; slot < SPACE_SLOTS; slot++) {
		if (!s->owner[slot] || s->owner[slot] == before)
			continue;
		before = s->owner[slot];
		CHECK(node == before && node->start == s->base + slot);
		node = iova_tree_next(node, U64_MAX);
	}
	CHECK(!node);
	CHECK(iova_tree_empty(&s->tree) == !before);
}

static void space_insert(struct space *s, u64 slot, u64 last)
{
	struct iova_node *node = &s->nodes[slot], other;
	bool free = space_free(s, slot, last);
	int rc;

	/* A node in the tree is not to be touched, not even to be refused. */
	if (s->owner[slot] == node)
		node = &other;
	node->start = s->base + slot;
	node->last = s->base + last;
	rc = iova_tree_insert(&s->tree, node);
	CHECK(rc == (free ? 0 : -EEXIST));
	for (; !rc && slot <= last; slot++)
		s->owner[slot] = node;
}

static void space_erase(struct space *s, u64 slot)
{
	struct iova_node *node = s->owner[slot];
	u64 x;

	if (!node)
		return;
	iova_tree_erase(&s->tree, node);
	for (x = node->start - s->base; x <= node->last - s->base; x++)
		s->owner[x] = NULL;
}

static void space_lookup(const struct space *s, u64 slot, u64 last)
{
	struct iova_node *node = iova_tree_first(&s->tree, s->base + slot,
						 s->base + last);
	const struct iova_node *before = NULL;

	for (; slot <= last; slot++) {
		if (!s->owner[slot] || s->owner[slot] == before)
			continue;
		before = s->owner[slot];
		CHECK(node == before);
		node = iova_tree_next(node, s->base + last);
	}
	CHECK(!node);
}

/* Is @at an answer to @req? Everything outside of the window is free. */
static bool space_fits(const struct space *s, const struct iova_request *req,
		       u64 at)
{
	u64 x;

	if (at < req->bounds.start || at > req->bounds.last ||
	    req->length - 1 > req->bounds.last - at ||
	    (at & (req->align - 1)) != req->offset)
		return false;
	for (x = 0; x < SPACE_SLOTS; x++)
		if (s->owner[x] && s->base + x >= at &&
		    s->base + x - at < req->length)
			return false;
	return true;
}

/* Bounds of @req are inside of the window. */
static int space_find(const struct space *s, const struct iova_request *req,
		      u64 *iova)
{
	int rc = iova_tree_find_hole(&s->tree, req, iova);
	u64 at = req->bounds.start;

	for (;; at++) {
		if (space_fits(s, req, at))
			break;
		if (at == req->bounds.last) {
			CHECK(rc == -ENOSPC);
			return rc;
		}
	}
	CHECK(!rc);
	CHECK(space_fits(s, req, *iova));
	/* Nothing but alignment is a reason not to take the lowest. */
	if (req->align == 1)
		CHECK(*iova == at);
	return 0;
}

static void space_find_op(struct space *s, struct input *in, u64 a, u64 b)
{
	struct iova_request req = {
		.bounds = { s->base + min(a, b), s->base + max(a, b) },
	};
	u8 shift = take(in, 1), flags = take(in, 1);
	u64 iova;

	/* Small alignments mostly, all of them sometimes. */
	req.align = 1ULL << (shift & 0x80 ? shift & 63 : shift % 6);
	req.offset = (flags & 1 ? req.bounds.start + (flags >> 1)
				: (u64)flags >> 1) & (req.align - 1);
	req.length = 1 + take(in, 1) % (flags & 2 ? 256 : 12);
	if (flags & 4) {
		/* In all of the space there is room. */
		req.bounds = (struct iova_range){ 0, U64_MAX };
		if (!iova_tree_find_hole(&s->tree, &req, &iova))
			CHECK(space_fits(s, &req, iova));
		else
			CHECK(req.align > U64_MAX / 4);
		return;
	}
	if (!space_find(s, &req, &iova))
		space_insert(s, iova - s->base,
			     iova - s->base + (req.length - 1));
}

static void space_ops(enum space_window where, const u8 *bytes, size_t size)
{
	struct input in = { bytes, size };
	static struct space s;

	space_init(&s, where);
	while (in.left) {
		u8 op = take(&in, 1);
		u64 a = take(&in, 1), b = take(&in, 1);

		switch (op % 8) {
		case 0:
			space_insert(&s, min(a, b), max(a, b));
			break;
		case 1:
		case 2:
		case 3:
			space_insert(&s, a, min(a + b % 8,
						(u64)SPACE_SLOTS - 1));
			break;
		case 4:
			space_erase(&s, a);
			break;
		case 5:
			space_lookup(&s, min(a, b), max(a, b));
			break;
		default:
			space_find_op(&s, &in, a, b);
		}
		space_check(&s);
	}
}

#endif
