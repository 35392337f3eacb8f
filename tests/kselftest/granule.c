// SPDX-License-Identifier: GPL-2.0-only
/*
 * Granules larger than the CPU's page: what can be mapped there, what is
 * refused and why.
 */
#include <pthread.h>

#include "granule.h"

#define MTHP "/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/enabled"

/* -- kinds of memory ---------------------------------------------------- */

/* Memory in small pages, of which no two are in the order of addresses. */
static uint8_t *mem_small(size_t size, size_t align)
{
	uint8_t *p = mem_alloc(size, align);
	size_t i, n = size / PG;

	if (!p)
		return NULL;
	madvise(p, size, MADV_NOHUGEPAGE);
	madvise(p, size, MADV_DONTNEED);
	for (i = n; i; i--)
		p[(i - 1) * 7 % n * PG] = 1;
	return p;
}

/* NULL when the pool cannot be filled. */
static uint8_t *mem_hugetlb(size_t size)
{
	char n[32];
	void *p;

	snprintf(n, sizeof(n), "%zu", size / HUGE);
	if (file_put(NR_HUGEPAGES, n))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	memset(p, 0x11, size);
	return p;
}

/* Transparent huge pages of @size each; NULL when the kernel has none. */
static uint8_t *mem_mthp(size_t total, size_t size)
{
	char path[128];
	uint8_t *p;

	snprintf(path, sizeof(path), MTHP, size >> 10);
	if (file_put(path, "madvise"))
		return NULL;
	p = mem_alloc(total, size);
	if (!p)
		return NULL;
	madvise(p, total, MADV_NOHUGEPAGE);
	madvise(p, total, MADV_DONTNEED);
	/* Not through THP of 2M: the area is smaller than that, or off. */
	madvise(p, total, MADV_HUGEPAGE);
	memset(p, 0x11, total);
	file_put(path, "never");
	return p;
}

/* -- what fits ---------------------------------------------------------- */

TEST_F(granule, hugetlb)
{
	uint8_t *mem = mem_hugetlb(2 * HUGE);

	if (!mem)
		SKIP(return, "no hugetlb pages to be had");
	READY();
	OK(carry(self, mem, 2 * HUGE));
	/* Not from the start of a huge page, and over the end of one. */
	OK(carry(self, mem + HUGE - self->g, 2 * self->g));
	munmap(mem, 2 * HUGE);
}

TEST_F(granule, thp)
{
	uint8_t *mem = mem_thp(2 * HUGE);
	const uint8_t *first;

	ASSERT_NE(NULL, mem);
	if (bad_granules(mem, 2 * HUGE, self->g, &first))
		SKIP(return, "no transparent huge pages to be had");
	READY();
	OK(carry(self, mem, 2 * HUGE));
	OK(carry(self, mem + HUGE - self->g, 2 * self->g));
}

TEST_F(granule, mthp)
{
	uint8_t *mem = mem_mthp(8 * self->g, self->g);
	const uint8_t *first;

	if (!mem)
		SKIP(return, "this kernel has no mTHP of %lluK",
		     (unsigned long long)self->g >> 10);
	if (bad_granules(mem, 8 * self->g, self->g, &first))
		SKIP(return, "no mTHP of %lluK to be had",
		     (unsigned long long)self->g >> 10);
	READY();
	OK(carry(self, mem, 8 * self->g));
	OK(carry(self, mem + 3 * self->g, self->g));
}

TEST_F(granule, buffer)
{
	READY();
	OK(carry(self, self->mem, 64 * self->g));
	OK(carry(self, self->mem + 5 * self->g, self->g));
	OK(carry(self, self->mem + 31 * self->g, 33 * self->g));
}

/* Pages of the smallest size only, which is the granule then. */
TEST_F(granule, buffer_small_pages)
{
	READY();
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas, 0));
	OK(carry(self, self->mem, 64 * self->g));
}

/* Both ends of each range that is told can be used, in whole granules. */
TEST_F(granule, ranges)
{
	struct iommu_iova_range r[32];
	const uint64_t g = self->g;
	uint32_t n = 32, i;
	uint64_t align;

	READY();
	OK(iommu_ranges(self->fd, self->ioas, r, &n, &align));
	EXPECT_EQ(g, align);
	EXPECT_LE(2, n);
	for (i = 0; i < n; i++) {
		EXPECT_TRUE(r[i].last < MSI_START || r[i].start > MSI_LAST);
		OK(MAP(self->mem, g, RW, r[i].start));
		OK(MAP(self->mem, g, RW, r[i].last - g + 1));
		if (r[i].last != UINT64_MAX)
			FAILS(EINVAL, MAP(self->mem, g, RW, r[i].last + 1));
	}
	PINNED(2 * n * g);
}

TEST_F(granule, automatic)
{
	uint64_t iova[3] = { 0 };
	int i;

	READY();
	for (i = 0; i < 3; i++) {
		OK(iommu_map(self->fd, self->ioas, self->mem + i * self->g,
			     (i + 1) * self->g, RW, &iova[i]));
		EXPECT_TRUE(ALIGNED(iova[i], self->g));
		EXPECT_NE(0, iova[i]);
	}
	/* One that knows nothing of granules stays as it was. */
	OK(UNMAP(0, WHOLE));
	PINNED(0);
}

/* -- what does not fit -------------------------------------------------- */

/* Plain memory: the kernel's judgement is that of /proc/self/pagemap. */
TEST_F(granule, plain)
{
	const size_t size = 16 * self->g;
	uint8_t *mem = mem_small(size, self->g);
	struct iommu_last_error e;
	const uint8_t *first;
	size_t bad;

	ASSERT_NE(NULL, mem);
	/* Whatever it was before, now there is a bad one. */
	OK(page_replace(mem + 9 * self->g));
	OK(page_replace(mem + 9 * self->g + PG));
	READY();
	bad = bad_granules(mem, size, self->g, &first);
	ASSERT_LT(0, bad);
	SAYS(MAP(mem, size, RW, BASE), EINVAL, NOT_CONTIGUOUS);
	EXPECT_EQ((uintptr_t)first, e.out_addr);
	EXPECT_EQ(bad, e.out_need);
	EXPECT_EQ(16, e.out_usage);
	EXPECT_EQ(self->g, e.out_limit);
	EXPECT_EQ(BASE, e.out_start);
	EXPECT_EQ(BASE + size - 1, e.out_last);
	PINNED(0);
	AREAS(0);
	OK(WISH());
	OK(tells(self, self->g, self->g));
}

/* Bad in any one place, at the start, in between, at the end. */
TEST_F(granule, each_index)
{
	struct iommu_last_error e;
	uint8_t *at;
	int i;

	READY();
	OK(MAP(self->mem, 64 * self->g, RW, BASE));
	OK(UNMAP(BASE, 64 * self->g));
	for (i = 63; i >= 0; i--) {
		/* A different page of the granule each time. */
		at = self->mem + i * self->g;
		OK(page_replace(at + i * PG % self->g));
		SAYS(MAP(self->mem, 64 * self->g, RW, BASE), EINVAL,
		     NOT_CONTIGUOUS);
		EQ((uintptr_t)at, e.out_addr, "granule %d", i);
		EQ(64 - i, e.out_need, "granule %d", i);
		EQ(64, e.out_usage, "granule %d", i);
		EQ(self->g, e.out_limit, "granule %d", i);
		/* What is in front of it is as good as before. */
		if (i)
			OK(MAP(self->mem, i * self->g, RW, BASE));
		PINNED(i * self->g);
		AREAS(i > 0);
		if (i)
			OK(UNMAP(BASE, i * self->g));
	}
	/* From somewhere else: the address is that of the granule. */
	SAYS(MAP(self->mem + 7 * self->g, 3 * self->g, RW, BASE), EINVAL,
	     NOT_CONTIGUOUS);
	EXPECT_EQ((uintptr_t)self->mem + 7 * self->g, e.out_addr);
	EXPECT_EQ(3, e.out_need);
	EXPECT_EQ(3, e.out_usage);
	PINNED(0);
}

/* Contiguous but not aligned: two pieces of the right size, shifted. */
TEST_F(granule, shifted)
{
	struct iommu_last_error e;
	uint8_t *shifted, *room;

	room = mem_alloc(8 * self->g, self->g);
	ASSERT_NE(NULL, room);
	shifted = mmap(room, 4 * self->g, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->fd,
		       self->b.out_mmap_offset + PG);
	ASSERT_EQ(room, shifted);
	READY();
	SAYS(MAP(shifted, 4 * self->g, RW, BASE), EINVAL, NOT_CONTIGUOUS);
	EXPECT_EQ((uintptr_t)shifted, e.out_addr);
	EXPECT_EQ(4, e.out_need);
	PINNED(0);
	munmap(room, 8 * self->g);
}

TEST_F(granule, misaligned)
{
	struct iommu_last_error e;
	const uint64_t g = self->g;
	uint64_t off, iova = 0;

	READY();
	for (off = 1; off < g; off *= 2) {
		SAYS(MAP(self->mem, g, RW, BASE + off), EINVAL, MISALIGNED);
		EXPECT_EQ(IOMMU_REASON_FIELD_IOVA, e.out_detail);
		EXPECT_EQ(BASE + off, e.out_addr);
		EXPECT_EQ(g, e.out_limit);
		SAYS(MAP(self->mem, g + off, RW, BASE), EINVAL, MISALIGNED);
		EXPECT_EQ(IOMMU_REASON_FIELD_LENGTH, e.out_detail);
		EXPECT_EQ(g + off, e.out_addr);
		SAYS(MAP(self->mem, off, RW, BASE), EINVAL, MISALIGNED);
		EXPECT_EQ(IOMMU_REASON_FIELD_LENGTH, e.out_detail);
		SAYS(MAP(self->mem + off, g, RW, BASE), EINVAL, MISALIGNED);
		EXPECT_EQ(IOMMU_REASON_FIELD_USER_VA, e.out_detail);
		EXPECT_EQ((uintptr_t)self->mem + off, e.out_addr);
		SAYS(MAP(self->mem + off, g, RW, BASE + off), EINVAL,
		     MISALIGNED);
		SAYS(iommu_map(self->fd, self->ioas, self->mem + off, g, RW,
			       &iova), EINVAL, MISALIGNED);
		EXPECT_EQ(IOMMU_REASON_FIELD_USER_VA, e.out_detail);
	}
	PINNED(0);
	AREAS(0);
	/* Part of a mapping, of less than a granule, is no mapping. */
	OK(MAP(self->mem, 2 * g, RW, BASE));
	FAILS(ENOENT, UNMAP(BASE, PG));
	FAILS(ENOENT, UNMAP(BASE, g));
	PINNED(2 * g);
}

/* -- several IOASes and HWPTs ------------------------------------------- */

TEST_F(granule, copy)
{
	const uint64_t g = self->g;
	uint32_t fine, coarse;
	struct iommu_last_error e;

	OK(iommu_ioas_alloc(self->fd, &fine));
	OK(iommu_ioas_alloc(self->fd, &coarse));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, coarse,
			    2 * g));
	READY();
	OK(iommu_map_at(self->fd, fine, self->mem, 8 * g, RW, BASE));
	OK(iommu_map_at(self->fd, fine, self->mem + 9 * g, PG, RW, 2 * BASE));
	/* Up: whole granules of it, at a granule's address. */
	OK(iommu_copy_at(self->fd, self->ioas, fine, BASE + g, 4 * g, RW,
			 BASE));
	PINNED(8 * g);
	SAYS(iommu_copy_at(self->fd, self->ioas, fine, BASE + PG, g, RW,
			   2 * BASE), EINVAL, MISALIGNED);
	EXPECT_EQ(IOMMU_REASON_FIELD_USER_VA, e.out_detail);
	SAYS(iommu_copy_at(self->fd, self->ioas, fine, BASE, PG, RW, 2 * BASE),
	     EINVAL, MISALIGNED);
	EXPECT_EQ(IOMMU_REASON_FIELD_LENGTH, e.out_detail);
	SAYS(iommu_copy_at(self->fd, self->ioas, fine, BASE, g, RW,
			   2 * BASE + PG), EINVAL, MISALIGNED);
	EXPECT_EQ(IOMMU_REASON_FIELD_IOVA, e.out_detail);
	SAYS(iommu_copy_at(self->fd, self->ioas, fine, 2 * BASE, PG, RW,
			   2 * BASE), EINVAL, MISALIGNED);
	/* Down: any piece of it. */
	OK(iommu_copy_at(self->fd, fine, self->ioas, BASE + 100, 200, RW,
			 3 * BASE + 1));
	/* Further up: not in the middle of the larger granule. */
	OK(iommu_copy_at(self->fd, coarse, fine, BASE + 2 * g, 4 * g, RW,
			 BASE));
	SAYS(iommu_copy_at(self->fd, coarse, fine, BASE + g, 4 * g, RW,
			   2 * BASE), EINVAL, MISALIGNED);
	EXPECT_EQ(2 * g, e.out_limit);
	/* What was copied is the memory that it says. */
	pattern_fill(self->mem + 4 * g, PG, SEED);
	OK(edu_load(&self->edu, BASE + 3 * g, PG));
	memset(self->mem + 4 * g, 0, PG);
	OK(edu_store(&self->edu, BASE + 3 * g, PG));
	EXPECT_TRUE(pattern_is(self->mem + 4 * g, PG, SEED));
	OK(UNMAP(BASE, 4 * g));
	PINNED(0);
}

/* Memory that another IOAS has pinned is looked at in the same way. */
TEST_F(granule, copy_not_contiguous)
{
	const uint64_t g = self->g;
	struct iommu_last_error e;
	uint32_t fine;

	OK(iommu_ioas_alloc(self->fd, &fine));
	READY();
	OK(page_replace(self->mem + 3 * g + PG));
	OK(iommu_map_at(self->fd, fine, self->mem, 8 * g, RW, BASE));
	SAYS(iommu_copy_at(self->fd, self->ioas, fine, BASE + 2 * g, 4 * g, RW,
			   BASE), EINVAL, NOT_CONTIGUOUS);
	EXPECT_EQ((uintptr_t)self->mem + 3 * g, e.out_addr);
	EXPECT_EQ(1, e.out_need);
	EXPECT_EQ(4, e.out_usage);
	PINNED(0);
	AREAS(1);
	OK(iommu_copy_at(self->fd, self->ioas, fine, BASE + 4 * g, 4 * g, RW,
			 BASE));
}

/* What iommufd's users do: a page table made by hand, then attached. */
TEST_F(granule, hwpt)
{
	const uint64_t g = self->g;
	uint32_t hwpt, second;

	OK(WISH());
	OK(MAP(self->mem, 4 * g, RW, BASE));
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &hwpt));
	PINNED(4 * g);
	OK(tells(self, g, g));
	FAILS(EINVAL, MAP(self->mem, PG, RW, BASE + 8 * g));
	OK(edu_attach(&self->edu, hwpt));
	OK(tells(self, g, g));
	pattern_fill(self->mem + 2 * g, PG, SEED);
	OK(edu_load(&self->edu, BASE + 2 * g, PG));
	/* Moved to another one of the same IOAS, it sees the same. */
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0,
			    &second));
	OK(edu_attach(&self->edu, second));
	OK(iommu_destroy(self->fd, hwpt));
	OK(edu_store(&self->edu, BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, SEED));
	OK(DETACH());
	OK(iommu_destroy(self->fd, second));
	PINNED(0);
	/* After the last HWPT the granule is what the option says. */
	OK(SET(0));
	OK(tells(self, 0, 1));
}

/* A page table that cannot be filled in is not made. */
TEST_F(granule, hwpt_refused)
{
	struct iommu_last_error e;
	uint32_t hwpt = 0;

	OK(WISH());
	OK(page_replace(self->mem + PG));
	OK(MAP(self->mem, self->g, RW, BASE));
	SAYS(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0,
			      &hwpt), EINVAL, NOT_CONTIGUOUS);
	PINNED(0);
	EQ(3, stat_read("objects"), "objects");
}

/*
 * Moved to an IOAS that does not fit, the device stays where it was.
 */
TEST_F(granule, replace_refused)
{
	const uint64_t g = self->g;
	struct iommu_last_error e;
	uint32_t second;

	OK(iommu_ioas_alloc(self->fd, &second));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, second, g));
	OK(page_replace(self->mem + 8 * g + PG));
	OK(iommu_map_at(self->fd, second, self->mem + 8 * g, g, RW, BASE));
	READY();
	OK(MAP(self->mem, 2 * g, RW, BASE));
	SAYS(edu_attach(&self->edu, second), EINVAL, NOT_CONTIGUOUS);
	PINNED(2 * g);
	pattern_fill(self->mem, PG, SEED);
	OK(edu_load(&self->edu, BASE, PG));
	OK(edu_store(&self->edu, BASE + g, PG));
	EXPECT_TRUE(pattern_is(self->mem + g, PG, SEED));
}

/* -- all at once -------------------------------------------------------- */

struct racer {
	fixture *e;
	int (*step)(struct racer *r);
	unsigned int nr, done;
	int rc;
	pthread_t thread;
};

static volatile bool race_over;

static void *race(void *arg)
{
	struct racer *r = arg;

	while (!race_over && !r->rc) {
		r->rc = r->step(r);
		r->done++;
	}
	return NULL;
}

/* Either it fits the granule of the moment, or that is the reason. */
static int race_map(struct racer *r)
{
	fixture *e = r->e;
	uint64_t iova = BASE + r->nr * 0x100000;
	/* Odd ones map what is right only at the device's own granule. */
	uint64_t at = r->nr % 2 && e->own < e->g ? e->own : 0;
	int rc;

	rc = iommu_map_at(e->fd, e->ioas, e->mem + r->nr * 4 * e->g + at,
			  e->g, RW, iova + at);
	if (!rc)
		return iommu_unmap(e->fd, e->ioas, iova + at, e->g);
	return rc == -EINVAL && at ? 0 : rc;
}

static int race_option(struct racer *r)
{
	int rc = iommu_option_set(r->e->fd, IOMMU_OPTION_IOAS_GRANULE,
				  r->e->ioas, r->done % 2 ? 0 : r->e->g);

	return rc == -EADDRINUSE ? 0 : rc;
}

static int race_attach(struct racer *r)
{
	int rc = edu_attach(&r->e->edu, r->e->ioas);

	if (rc == -EADDRINUSE)
		return 0;
	return rc ?: edu_detach(&r->e->edu);
}

static int race_buffer(struct racer *r)
{
	struct iommu_buffer_alloc b;
	uint8_t *mem, *again;
	int rc;

	rc = buffer_new(r->e->fd, r->e->ioas, 3 * r->e->g, r->e->g, &b, &mem);
	if (rc)
		return rc;
	mem[r->e->g] = r->nr;
	rc = iommu_destroy(r->e->fd, b.out_buffer_id);
	if (!rc && mem[r->e->g] != r->nr)
		rc = -EIO;
	munmap(mem, 3 * r->e->g);
	/* Somebody else's by now, or nobody's. */
	again = mmap(NULL, PG, PROT_READ, MAP_SHARED, r->e->fd,
		     b.out_mmap_offset);
	if (again != MAP_FAILED)
		munmap(again, PG);
	return rc;
}

TEST_F_TIMEOUT(granule, threads, 150)
{
	int (*const steps[])(struct racer *r) = {
		race_map, race_map, race_map, race_option, race_attach,
		race_buffer, race_buffer,
	};
	struct racer r[ARRAY_LEN(steps)];
	size_t i;

	race_over = false;
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		r[i] = (struct racer){ .e = self, .step = steps[i], .nr = i };
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, race, &r[i]));
	}
	sleep(4);
	race_over = true;
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		pthread_join(r[i].thread, NULL);
		EQ(0, r[i].rc, "thread %zu, round %u", i, r[i].done);
	}
	AREAS(0);
	PINNED(0);
	OK(SET(0));
	OK(tells(self, 0, 1));
}

TEST_HARNESS_MAIN
