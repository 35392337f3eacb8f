/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the models have in common. A model_*.h plays a list of operations,
 * given as bytes, on one part of core/ and on a simple model of it, and aborts
 * where they differ. Unit tests feed it random bytes, fuzzers their own.
 */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "core_env.h"

/* Stays when NDEBUG removes assert(). */
#define CHECK(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "# %s:%d: %s: %s does not hold\n",	\
			__FILE__, __LINE__, __func__, #condition);	\
		abort();						\
	}								\
} while (0)

/* Wide enough for every sum of two u64. */
typedef unsigned __int128 u128;

struct input {
	const u8 *bytes;
	size_t left;
};

/* Zero when the input is used up. */
static inline u64 take(struct input *in, unsigned int bytes)
{
	u64 x = 0;

	for (; bytes && in->left; bytes--, in->left--)
		x = x << 8 | *in->bytes++;
	return x;
}

/* A number near 0, near 2^64, near a power of two, or any other. */
static inline u64 take_edge(struct input *in)
{
	u8 kind = take(in, 1);
	u64 near = (s64)(signed char)take(in, 1);

	if (kind & 0x80)
		return take(in, 8);
	return kind & 0x40 ? near : (1ULL << (kind & 63)) + near;
}

#endif
