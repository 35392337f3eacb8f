// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions per read from an NVMe disk, where the DMA mapping differs:
 * tests/bench/nvme runs this in machines with different IOMMUs.
 *
 * The machine counts instructions (tools/vm --icount) and has one CPU. While a
 * read is under way that CPU would idle, and the clock would jump; so a process
 * of the lowest priority turns a loop of known length meanwhile, and what it
 * turned is taken off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#define TOTAL (64UL << 20)
#define SIZE (128UL << 10)	/* of a long read */
#define RUNS 9

static volatile uint64_t *turns;	/* of the loop, by the other process */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Two instructions a turn. */
static void spin(void)
{
	__asm__ volatile("1: incq (%0); jmp 1b" : : "r"(turns) : "memory");
}

static pid_t spinner(void)
{
	struct sched_param none = { 0 };
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		if (sched_setscheduler(0, SCHED_IDLE, &none))
			die("SCHED_IDLE");
		spin();
	}
	return pid;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Small, and the same each time. */
static uint32_t next(uint32_t *state)
{
	return *state = *state * 1664525 + 1013904223;
}

static uint64_t once(int fd, void *buffer, size_t size, size_t count,
		     int at_random)
{
	uint64_t start, loops;
	uint32_t state = 1;
	size_t i;

	loops = *turns;
	start = __rdtsc();
	for (i = 0; i < count; i++) {
		size_t at = at_random ? next(&state) % (TOTAL / size) : i;

		if (pread(fd, buffer, size, at * size) != (ssize_t)size)
			die("pread");
	}
	return __rdtsc() - start - 2 * (*turns - loops);
}

static void bench(const char *name, int fd, void *buffer, size_t size,
		  size_t count, int at_random)
{
	uint64_t seen[RUNS];
	int i;

	once(fd, buffer, size, count, at_random);
	for (i = 0; i < RUNS; i++)
		seen[i] = once(fd, buffer, size, count, at_random);
	qsort(seen, RUNS, sizeof(seen[0]), compare);
	printf("%s %llu %llu %llu\n", name,
	       (unsigned long long)(seen[RUNS / 2] / count),
	       (unsigned long long)(seen[0] / count),
	       (unsigned long long)(seen[RUNS - 1] / count));
	fflush(stdout);
}

static void *memory(size_t size, int advice)
{
	size_t align = 2UL << 20, i;
	uint8_t *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	p = (uint8_t *)(((uintptr_t)p + align - 1) & -align);
	if (madvise(p, size, advice))
		die("madvise");
	/* Downwards, so that no page follows the one before. */
	for (i = size; i; i -= 4096)
		p[i - 4096] = 1;
	return p;
}

/* Pages from all over a larger piece of memory take the place of its own. */
static void scatter(uint8_t *p)
{
	uint8_t *from = memory(64 * SIZE, MADV_NOHUGEPAGE);
	uint32_t state = 2;
	size_t i;

	for (i = 0; i < SIZE; i += 4096) {
		/* One of each 64 pages. */
		size_t at = i * 64 + next(&state) % 64 * 4096;

		if (mremap(from + at, 4096, 4096,
			   MREMAP_MAYMOVE | MREMAP_FIXED, p + i) == MAP_FAILED)
			die("mremap");
	}
}

/* How many pieces of physical memory the first bytes are. */
static unsigned int pieces(void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry, before = 0;
	unsigned int n = 0;
	size_t i;

	if (fd < 0)
		die("pagemap");
	for (i = 0; i < SIZE; i += 4096) {
		if (pread(fd, &entry, 8, ((uintptr_t)p + i) / 4096 * 8) != 8)
			die("pagemap");
		entry &= (1ULL << 55) - 1;
		n += entry != before + 1;
		before = entry;
	}
	close(fd);
	return n;
}

int main(int argc, char **argv)
{
	void *small, *huge;
	pid_t pid;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: nvme BLOCKDEVICE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (turns == MAP_FAILED)
		die("mmap");
	*turns = 0;
	/* First: memory that is shared with a child would be copied. */
	pid = spinner();
	small = memory(SIZE, MADV_NOHUGEPAGE);
	scatter(small);
	huge = memory(2 << 20, MADV_HUGEPAGE);
	if (pieces(small) < 30 || pieces(huge) != 1) {
		fprintf(stderr, "nvme: %u and %u pieces of memory, not 30 or more and 1\n",
			pieces(small), pieces(huge));
		kill(pid, SIGKILL);
		return 1;
	}
	bench("128K-scattered", fd, small, SIZE, TOTAL / SIZE, 0);
	bench("128K-one-piece", fd, huge, SIZE, TOTAL / SIZE, 0);
	bench("4K-random", fd, small, 4 << 10, 1024, 1);
	kill(pid, SIGKILL);
	return 0;
}
