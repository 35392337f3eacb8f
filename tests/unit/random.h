/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random bytes for the property tests. Every run has another seed and prints
 * it; GRANULE_SEED=<number> repeats a run.
 */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A Weyl sequence, mixed: every seed is a good one. */
static inline uint64_t random_u64(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static inline uint64_t random_seed(const char *what)
{
	const char *env = getenv("GRANULE_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (env)
		seed = strtoull(env, NULL, 0);
	printf("# %s: GRANULE_SEED=%#llx\n", what, (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

static inline void random_fill(uint64_t *state, uint8_t *buf, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		buf[i] = random_u64(state) >> 24;
}

#endif
