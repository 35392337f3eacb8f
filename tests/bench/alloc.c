// SPDX-License-Identifier: GPL-2.0-only
/*
 * What automatic IOVA placement costs as an IOAS fills up, in instructions.
 *
 * Run in a VM that counts instructions, where the TSC is that count:
 *	tools/vm --icount --memory 2048 -- build/tests/bench/alloc
 *
 * dense: N mappings of 4K side by side, one more of 4K.
 * every other: every second of them removed, and 8K asked for, which fits in
 * none of the holes.
 *
 * The memory is never pinned (no device is attached), so that a call costs
 * its system call, its bookkeeping, and the search.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include <granule/iommu.h>

#define PAGE 4096ULL
#define ROUNDS 201

static int fd;
static uint32_t ioas;
static uint8_t *memory;

static void die(const char *what)
{
	fprintf(stderr, "alloc: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t map(uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
	};

	if (ioctl(fd, IOMMU_IOAS_MAP, &arg))
		die("map");
	return arg.iova;
}

static void unmap(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	if (ioctl(fd, IOMMU_IOAS_UNMAP, &arg))
		die("unmap");
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Median instructions of one map, and of the unmap that undoes it. */
static void measure(const char *pattern, unsigned long areas, uint64_t length)
{
	static uint64_t in[ROUNDS], out[ROUNDS];
	uint64_t start, middle, iova;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		start = __rdtsc();
		iova = map(length);
		middle = __rdtsc();
		unmap(iova, length);
		out[i] = __rdtsc() - middle;
		in[i] = middle - start;
	}
	qsort(in, ROUNDS, sizeof(*in), compare);
	qsort(out, ROUNDS, sizeof(*out), compare);
	printf("%-12s %8lu %10llu %10llu\n", pattern, areas,
	       (unsigned long long)in[ROUNDS / 2],
	       (unsigned long long)out[ROUNDS / 2]);
	fflush(stdout);
}

static void run(unsigned long areas)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	uint64_t *iova = calloc(areas, sizeof(*iova));
	unsigned long i;

	if (!iova || ioctl(fd, IOMMU_IOAS_ALLOC, &alloc))
		die("IOAS");
	ioas = alloc.out_ioas_id;
	for (i = 0; i < areas; i++)
		iova[i] = map(PAGE);
	measure("dense", areas, PAGE);
	for (i = 0; i < areas; i += 2)
		unmap(iova[i], PAGE);
	measure("every other", areas, 2 * PAGE);
	destroy.id = ioas;
	if (ioctl(fd, IOMMU_DESTROY, &destroy))
		die("destroy");
	free(iova);
}

int main(void)
{
	static const unsigned long areas[] = { 1000, 10000, 100000, 1000000 };
	unsigned int i;

	fd = open("/dev/iommu", O_RDWR);
	if (fd < 0)
		die("/dev/iommu");
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	memset(memory, 1, 2 * PAGE);
	printf("%-12s %8s %10s %10s\n", "pattern", "areas", "map", "unmap");
	for (i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
		run(areas[i]);
	return 0;
}
