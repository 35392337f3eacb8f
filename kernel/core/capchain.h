/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only */
/*
 * Capability chains: variable-length answers made of typed, linked pieces.
 *
 * Built whole in a zeroed buffer, so no padding byte is ever undefined. A
 * builder without a buffer only measures. The reader trusts nothing.
 */
#ifndef CORE_CAPCHAIN_H
#define CORE_CAPCHAIN_H

#include "core_env.h"

#define CAPCHAIN_ALIGN 8U

/* As struct iommu_cap_header of the uAPI and struct vfio_info_cap_header. */
struct capchain_header {
	u16 id;
	u16 version;
	u32 next;
};

struct capchain {
	u8 *buf;	/* NULL: measure only */
	u32 room;	/* bytes at buf */
	u32 base;	/* offset of buf in the info structure */
	u32 used;	/* bytes, a multiple of CAPCHAIN_ALIGN */
	u32 last;	/* offset in buf of the newest header */
	int err;	/* sticky: -EINVAL, -ENOSPC, -EOVERFLOW */
};

/**
 * capchain_init - start a chain
 * @buf: where, 8-aligned; NULL to measure
 * @room: its bytes
 * @base: bytes of the info structure in front of it, a multiple of 8
 */
void capchain_init(struct capchain *c, void *buf, u32 room, u32 base);

/**
 * capchain_add - append a capability of @size bytes, header included
 *
 * Return: where to fill it in, zeroed but for the header; NULL when only
 * measuring, or after an error (which capchain_finish() returns): -ENOSPC, it
 * does not fit in the room; -EOVERFLOW, its offset does not fit in u32;
 * -EINVAL, @size is less than the header, or the base not a multiple of 8.
 */
void *capchain_add(struct capchain *c, u16 id, u16 version, u64 size);

/* Return: bytes of the whole chain into *@size, or the first error. */
int capchain_finish(const struct capchain *c, u32 *size);

/* Position of a reader. Initialise with capchain_read(). */
struct capchain_iter {
	const u8 *info;
	u32 size;
	u32 next;
};

/* A capability as found: @data points to its header, @size to its bound. */
struct capchain_cap {
	u16 id;
	u16 version;
	u32 size;
	const void *data;
};

/**
 * capchain_read - start reading
 * @info: the info structure, 8-aligned
 * @size: bytes of it that are valid
 * @first: offset of the first header; 0 for an empty chain
 */
void capchain_read(struct capchain_iter *it, const void *info, u32 size,
		   u32 first);

/**
 * capchain_next - the next capability
 *
 * Its size reaches to the next header, or to the end of the buffer.
 *
 * Return: 1 and *@cap; 0 at the end; -EINVAL for a chain that leaves the
 * buffer, is misaligned, or does not ascend (so it cannot loop).
 */
int capchain_next(struct capchain_iter *it, struct capchain_cap *cap);

#endif
