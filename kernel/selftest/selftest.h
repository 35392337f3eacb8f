/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of granule-dma-test.ko share. The module plays a driver: it
 * uses the DMA API of an edu device as any driver would, and checks what the
 * device gets to see by asking the domain for each translation.
 */
#ifndef GRANULE_SELFTEST_H
#define GRANULE_SELFTEST_H

#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>

enum counter {
	MAPPED_GRANULES,
	BOUNCE_GRANULES,
	NR_COUNTERS,
};

/* The device under test. */
struct test_dev {
	struct pci_dev *pdev;
	struct device *dev;
	void __iomem *bar;
	struct iommu_domain *domain;	/* NULL: not translated */
	u64 granule;
	bool ours;			/* granule-dma's, not the core's */
	bool trusted;
	struct file *counters[NR_COUNTERS];	/* NULL: there are none */
	struct file *faults;		/* of its IOMMU; NULL: not counted */
	struct mutex lock;		/* one command at a time */

	/* A page that edu may read and write (edu.c). */
	void *scratch;
	dma_addr_t scratch_dma;

	/* A coherent buffer for a user to map: "hold" (alloc.c). */
	void *held;
	dma_addr_t held_dma;
	size_t held_size;
	unsigned long held_attrs;
};

/* What a command says. Grows until it is full, then says so. */
struct report {
	spinlock_t lock;
	char *text;
	size_t size, length;
};

/* One command, or one thread of it. */
struct run {
	struct test_dev *t, *other;
	struct report *report;
	u64 seed, rng;
	u64 count;
	u64 least;		/* lists, or there was no time for a test */
	unsigned int ms;	/* 0: no limit */
	u64 size;
	unsigned long attrs;
	unsigned int threads;
	/* Nobody else maps: counters and forgotten addresses tell something. */
	bool alone;
	/* Of what was seen, so that a test that met nothing fails. */
	u64 lists, segments, entries, merged, bounced, refused, samples;
	u64 samples_gone;	/* of what was not mapped any more */
	unsigned long sampling;	/* jiffies that it took */
};

/* --- report.c --- */
__printf(2, 3) void say(struct report *report, const char *fmt, ...);
/* A line "# ..." about what is wrong; returns -EBADMSG. */
__printf(2, 3) int wrong(struct run *run, const char *fmt, ...);
/* A line "ok - ..." or "not ok - ...". */
__printf(3, 4) void result(struct run *run, int rc, const char *fmt, ...);

/* --- pool.c: random numbers, and memory whose content is known --- */
u64 random_next(u64 *state);
static inline u64 random_below(struct run *run, u64 n)
{
	return random_next(&run->rng) % n;
}
static inline bool one_in(struct run *run, u64 n)
{
	return !random_below(run, n);
}

/* Each byte follows from where it is and a key. */
enum content_key {
	KEY_POOL,	/* what a pool's memory has */
	KEY_CPU,	/* what the CPU writes later */
	KEY_DEVICE,	/* what the device writes */
};

void content_put(void *at, u64 key, phys_addr_t phys, size_t size);
/* The index of the first byte that is different, or -1. */
s64 content_diff(const void *at, u64 key, phys_addr_t phys, size_t size);

struct block {
	struct page *page;
	unsigned int order;
	u64 used;		/* by which list, for those that must not share */
};

struct pool {
	struct block *blocks;
	unsigned int nr;
	u64 serial;
};

int pool_init(struct run *run, struct pool *pool, u64 bytes);
void pool_exit(struct pool *pool);
static inline phys_addr_t block_phys(const struct block *b)
{
	return page_to_phys(b->page);
}
static inline u64 block_size(const struct block *b)
{
	return (u64)PAGE_SIZE << b->order;
}
/* Has the block its content from phys on, for size bytes as far as it goes? */
int block_check(struct run *run, const struct block *b, phys_addr_t phys,
		u64 size);

/* --- view.c: memory as the device sees it --- */
int view_init(struct test_dev *t);
void view_exit(struct test_dev *t);
phys_addr_t view_phys(struct test_dev *t, dma_addr_t addr);
/* Not past the end of a granule. NULL: not mapped. */
void *view_at(struct test_dev *t, dma_addr_t addr);

enum view_flags {
	VIEW_STALE = 1,		/* bounced bytes may still be zero */
	VIEW_PARTIAL = 2,	/* ends are not the mapping's: no padding */
};

/*
 * Check that the device sees at addr what is at phys, of that key, and nothing
 * else that it must not see.
 */
int view_check(struct run *run, dma_addr_t addr, phys_addr_t phys, u64 size,
	       u64 key, unsigned int flags);
/* Check that no granule of addr..addr+size-1 is mapped. */
int view_check_gone(struct run *run, dma_addr_t addr, u64 size);
static inline u64 bytes_to_border(struct test_dev *t, u64 at, u64 size)
{
	return min(size, t->granule - (at & (t->granule - 1)));
}
/* Granules that contain addr..addr+size-1. */
static inline u64 granules_around(struct test_dev *t, u64 at, u64 size)
{
	u64 last = at + size - 1;

	return last / t->granule - at / t->granule + 1;
}
/* -1 when there is no such counter. */
s64 counter_read(struct test_dev *t, enum counter counter);
struct counters {
	s64 v[NR_COUNTERS];
};
/* How many accesses its IOMMU has denied; -1 when nobody counts. */
s64 faults_read(struct test_dev *t);
void counters_read(struct test_dev *t, struct counters *now);
int counters_check(struct run *run, const struct counters *before,
		   const char *when);

/* --- edu.c: the real device --- */
#define EDU_MAX 4096
int edu_init(struct test_dev *t);
void edu_exit(struct test_dev *t);
int edu_read(struct test_dev *t, dma_addr_t addr, size_t size);
int edu_write(struct test_dev *t, dma_addr_t addr, size_t size);
/* Into, or from, edu's own memory at @at. */
int edu_read_to(struct test_dev *t, dma_addr_t addr, size_t at, size_t size);
int edu_write_from(struct test_dev *t, dma_addr_t addr, size_t at, size_t size);
/* What edu_read() got; what edu_write() is to write. */
int edu_get(struct test_dev *t, void *out, size_t size);
int edu_set(struct test_dev *t, const void *in, size_t size);

/* --- the tests --- */
static inline bool reads(enum dma_data_direction dir)
{
	return dir != DMA_FROM_DEVICE;
}
static inline bool writes(enum dma_data_direction dir)
{
	return dir != DMA_TO_DEVICE;
}

int list_play(struct run *run, u64 pool_bytes);
int single_play(struct run *run, u64 pool_bytes);
void test_lists(struct run *run);
void test_singles(struct run *run);
void test_resource(struct run *run);
void test_space(struct run *run);
void test_limits(struct run *run);
void test_allocs(struct run *run);
void test_hold(struct run *run);
void test_domain(struct run *run);
void test_drop(struct run *run);
void test_neighbours(struct run *run);
void test_ends(struct run *run);
void test_threads(struct run *run);
int alloc_play(struct run *run);
void alloc_drop(struct test_dev *t);
void test_share(struct run *run);
void test_lend(struct run *run);
void test_borrow(struct run *run);
void test_return(struct run *run);
void share_drop(struct test_dev *t);

#endif
