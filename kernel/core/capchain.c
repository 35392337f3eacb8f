// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only
/*
 * Capability chains: the builder, and the reader that trusts nothing.
 */
#include "core/capchain.h"
#include "core/granule.h"

static_assert(sizeof(struct capchain_header) == 8, "as in the uAPI");

void capchain_init(struct capchain *c, void *buf, u32 room, u32 base)
{
	c->buf = buf;
	c->room = room;
	c->base = base;
	c->used = 0;
	c->last = 0;
	c->err = granule_aligned(base, CAPCHAIN_ALIGN) ? 0 : -EINVAL;
}

static struct capchain_header *header_at(const struct capchain *c, u32 offset)
{
	return (void *)(c->buf + offset);
}

void *capchain_add(struct capchain *c, u16 id, u16 version, u64 size)
{
	struct capchain_header *header;
	u64 padded;
	u32 at = c->used;

	if (c->err)
		return NULL;
	if (size < sizeof(*header)) {
		c->err = -EINVAL;
		return NULL;
	}
	/* Offsets are u32, from the start of the info structure. */
	if (granule_up(size, CAPCHAIN_ALIGN, &padded) ||
	    padded > U32_MAX - c->base || at > U32_MAX - c->base - padded) {
		c->err = -EOVERFLOW;
		return NULL;
	}
	if (c->buf && (at > c->room || padded > c->room - at)) {
		c->err = -ENOSPC;
		return NULL;
	}
	c->used = at + padded;
	if (!c->buf)
		return NULL;

	if (at)
		header_at(c, c->last)->next = c->base + at;
	c->last = at;
	header = header_at(c, at);
	memset(header, 0, padded);
	header->id = id;
	header->version = version;
	return header;
}

int capchain_finish(const struct capchain *c, u32 *size)
{
	if (c->err)
		return c->err;
	*size = c->used;
	return 0;
}

void capchain_read(struct capchain_iter *it, const void *info, u32 size,
		   u32 first)
{
	it->info = info;
	it->size = size;
	it->next = first;
}

/* May a header be at @offset? */
static bool header_fits(const struct capchain_iter *it, u32 offset)
{
	return granule_aligned(offset, CAPCHAIN_ALIGN) &&
	       it->size >= sizeof(struct capchain_header) &&
	       offset <= it->size - sizeof(struct capchain_header);
}

int capchain_next(struct capchain_iter *it, struct capchain_cap *cap)
{
	struct capchain_header header;
	u32 at = it->next;

	if (!at)
		return 0;
	if (!header_fits(it, at))
		return -EINVAL;
	memcpy(&header, it->info + at, sizeof(header));
	/* The next one bounds this one, so it is judged here. */
	if (header.next && (header.next <= at || !header_fits(it, header.next)))
		return -EINVAL;

	cap->id = header.id;
	cap->version = header.version;
	cap->size = (header.next ? header.next : it->size) - at;
	cap->data = it->info + at;
	it->next = header.next;
	return 1;
}
