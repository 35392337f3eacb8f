/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chains: what was built is what is read, in any room; garbage does no harm.
 */
#ifndef TEST_MODEL_CAPCHAIN_H
#define TEST_MODEL_CAPCHAIN_H

#include "core/capchain.h"
#include "model.h"

#define CHAIN_MAX 12U

struct chain_piece {
	u16 id, version;
	u64 size;
	u8 fill;
};

/* Add the pieces up to the first that fails, filled where there is room. */
static void chain_build(struct capchain *c, const struct chain_piece *p, u32 n)
{
	u32 i, x;

	for (i = 0; i < n; i++) {
		u8 *data = capchain_add(c, p[i].id, p[i].version, p[i].size);

		CHECK(!data || !((uintptr_t)data % CAPCHAIN_ALIGN));
		for (x = sizeof(struct capchain_header);
		     data && x < p[i].size; x++) {
			CHECK(!data[x]);
			data[x] = p[i].fill;
		}
	}
}

/* Read whatever is there, to its end or its first fault. */
static u32 chain_read(const u8 *info, u32 size, u32 first,
		      struct chain_piece *out, int *end)
{
	struct capchain_iter it;
	struct capchain_cap cap;
	u32 n = 0;
	int rc;

	capchain_read(&it, info, size, first);
	while ((rc = capchain_next(&it, &cap)) == 1) {
		const u8 *data = cap.data;

		CHECK(data >= info && data <= info + size);
		CHECK(cap.size >= sizeof(struct capchain_header));
		CHECK(cap.size <= info + size - data);
		/* Ascends by 8 at least: this bounds every loop. */
		CHECK(++n <= size / CAPCHAIN_ALIGN);
		if (n <= CHAIN_MAX)
			out[n - 1] = (struct chain_piece){
				.id = cap.id,
				.version = cap.version,
				.size = cap.size,
				.fill = cap.size > 8 ? data[8] : 0,
			};
		/* ASan sees to the bound. */
		CHECK(!memchr(data, 0, 0) && data[cap.size - 1] <= 255);
	}
	CHECK(capchain_next(&it, &cap) == rc);
	*end = rc;
	return n;
}

/* Pieces of small sizes, built behind @base bytes in @room or less. */
static void chain_round_trip(const struct chain_piece *p, u32 n, u32 base,
			     u32 room)
{
	struct chain_piece got[CHAIN_MAX];
	struct capchain c;
	u32 size, need = 0, i, x, at = 0;
	u8 *info;
	int end;

	for (i = 0; i < n; i++)
		need += (p[i].size + 7) / 8 * 8;
	capchain_init(&c, NULL, 0, base);
	chain_build(&c, p, n);
	CHECK(!capchain_finish(&c, &size) && size == need);

	info = malloc(base + room + !(base + room));
	CHECK(info);
	memset(info, 0xa5, base + room);
	capchain_init(&c, info + base, room, base);
	chain_build(&c, p, n);
	for (x = 0; x < base; x++)
		CHECK(info[x] == 0xa5);
	if (room < need) {
		size = 77;
		CHECK(capchain_finish(&c, &size) == -ENOSPC && size == 77);
		CHECK(!capchain_add(&c, 1, 1, sizeof(struct capchain_header)));
		free(info);
		return;
	}
	CHECK(!capchain_finish(&c, &size) && size == need);
	for (x = base + need; x < base + room; x++)
		CHECK(info[x] == 0xa5);

	/* An info structure of no bytes has no room for "none" either. */
	if (base) {
		CHECK(chain_read(info, base + need, n ? base : 0, got, &end) ==
		      n && !end);
		for (i = 0; i < n; i++) {
			u32 padded = (p[i].size + 7) / 8 * 8;

			CHECK(got[i].id == p[i].id);
			CHECK(got[i].version == p[i].version);
			CHECK(got[i].size == padded);
			CHECK(padded == 8 || got[i].fill == p[i].fill);
			for (x = 8; x < padded; x++)
				CHECK(info[base + at + x] ==
				      (x < p[i].size ? p[i].fill : 0));
			at += padded;
		}
	}
	free(info);
}

/* Measuring with sizes and a base from anywhere, against wide arithmetic. */
static void chain_measure(struct input *in)
{
	u64 base = take_edge(in);
	struct capchain c;
	u128 used = 0;
	int expect = base % 8 || base > U32_MAX ? -EINVAL : 0, rc;
	u32 n = take(in, 1) % 5, size = 77;

	if (base > U32_MAX)
		base = (u32)base | 4;
	capchain_init(&c, NULL, 0, base);
	while (n--) {
		u64 piece = take_edge(in);
		u128 padded = ((u128)piece + 7) / 8 * 8;

		CHECK(!capchain_add(&c, 1, 1, piece));
		if (expect)
			continue;
		if (piece < sizeof(struct capchain_header))
			expect = -EINVAL;
		else if (base + used + padded > U32_MAX)
			expect = -EOVERFLOW;
		else
			used += padded;
	}
	rc = capchain_finish(&c, &size);
	CHECK(rc == expect && size == (rc ? 77 : (u32)used));
}

static void chain_garbage(struct input *in)
{
	u32 size = take(in, 1), first = take(in, 1), i;
	struct chain_piece got[CHAIN_MAX];
	u8 *info = malloc(size + !size);
	int end;

	CHECK(info);
	for (i = 0; i < size; i++)
		info[i] = take(in, 1);
	chain_read(info, size, first, got, &end);
	CHECK(!end || end == -EINVAL);
	free(info);
}

/* A sound chain with one byte of a header changed. */
static void chain_damaged(struct input *in)
{
	static const struct chain_piece p[] = {
		{ 1, 1, 8, 0 }, { 2, 1, 21, 9 }, { 3, 2, 40, 7 },
	};
	u64 info[12] = {};
	struct chain_piece got[CHAIN_MAX];
	struct capchain c;
	u32 at = take(in, 1) % sizeof(info);
	int end;

	capchain_init(&c, info + 1, sizeof(info) - 8, 8);
	chain_build(&c, p, 3);
	((u8 *)info)[at] = take(in, 1);
	chain_read((u8 *)info, sizeof(info), 8, got, &end);
	CHECK(!end || end == -EINVAL);
}

static void chain_trip(struct input *in)
{
	struct chain_piece p[CHAIN_MAX];
	u32 n = take(in, 1) % (CHAIN_MAX + 1), need = 0, i;
	u32 base = 8 * (take(in, 1) % 8), room = take(in, 1);

	for (i = 0; i < n; i++) {
		p[i].id = take(in, 2);
		p[i].version = take(in, 2);
		p[i].size = 8 + take(in, 1) % 48;
		p[i].fill = take(in, 1);
		need += (p[i].size + 7) / 8 * 8;
	}
	/* Exactly enough, now and then. */
	chain_round_trip(p, n, base, room & 1 ? need + room / 16 : room);
}

static void chain_ops(const u8 *bytes, size_t size)
{
	static void (*const ops[])(struct input *) = {
		chain_trip,
		chain_measure,
		chain_garbage,
		chain_damaged,
	};
	struct input in = { bytes, size };

	while (in.left)
		ops[take(&in, 1) % 4](&in);
}

#endif
