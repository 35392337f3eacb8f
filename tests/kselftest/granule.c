// SPDX-License-Identifier: GPL-2.0-only
/*
 * Granules larger than the CPU's page: what can be mapped there, what is
 * refused and why.
 *
 * Each test runs with a granule of at least 16K and 64K. It is the device's own
 * where that is so large already, else it comes from IOMMU_OPTION_IOAS_GRANULE.
 * So both ways are tried by
 *
 *	tools/vm --iommu intel -- build/tests/kselftest/granule
 *	tools/vm --iommu virtio --granule 16k -- build/tests/kselftest/granule
 *	tools/vm --iommu virtio --granule 64k -- build/tests/kselftest/granule
 */
#include <pthread.h>

#include "edu.h"
#include "granule.h"

#define BASE 0x1000000ULL
#define SEED 3
#define MTHP "/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/enabled"
#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

/* -- kinds of memory ---------------------------------------------------- */

/* Put a fresh page in place of the one at @va. The old one stays in use. */
static int page_replace(void *va)
{
	void *p = mmap(va, PG, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p != va)
		return -errno;
	*(volatile uint8_t *)va = 1;
	return 0;
}

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

static uint8_t *mem_thp(size_t size)
{
	uint8_t *p = mem_alloc(size, HUGE);

	if (!p)
		return NULL;
	madvise(p, size, MADV_DONTNEED);
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0x11, size);
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

/* -- set-up ------------------------------------------------------------- */

FIXTURE(granule)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
	uint64_t own;		/* granule of the device */
	uint64_t g;		/* the one in effect once it is attached */
	struct iommu_buffer_alloc b;	/* 64 granules */
	uint8_t *mem;		/* the same; NULL: not mapped */
};

FIXTURE_VARIANT(granule)
{
	uint64_t wish;
};

FIXTURE_VARIANT_ADD(granule, k16) { .wish = K16 };
FIXTURE_VARIANT_ADD(granule, k64) { .wish = K64 };

typedef FIXTURE_DATA(granule) fixture;

static int device_granule(fixture *e, uint64_t *granule)
{
	struct {
		struct iommu_device_info i;
		uint8_t caps[4096];
	} info = { .i = { .argsz = sizeof(info),
			  .dev_cookie = e->edu.dev_id } };
	struct iommu_device_cap_granule *cap;
	uint32_t at;
	int rc;

	rc = try_ioctl(e->fd, IOMMU_DEVICE_GET_INFO, &info);
	if (rc)
		return rc;
	for (at = info.i.cap_offset; at; at = cap->header.next) {
		cap = (void *)((uint8_t *)&info + at);
		if (cap->header.id != IOMMU_DEVICE_CAP_GRANULE)
			continue;
		if (cap->granule != (cap->pgsize_bitmap & -cap->pgsize_bitmap) ||
		    cap->cpu_page_size != PG ||
		    !!(cap->flags & IOMMU_GRANULE_NEEDS_CONTIGUOUS) !=
		    (cap->granule > PG) ||
		    info.i.pgsize_bitmap != cap->pgsize_bitmap)
			return -EPROTO;
		*granule = cap->granule;
		return 0;
	}
	return -ENOENT;
}

static int buffer_new(int fd, uint32_t ioas, uint64_t length, uint64_t granule,
		      struct iommu_buffer_alloc *b, uint8_t **mem)
{
	int rc;

	*b = (struct iommu_buffer_alloc){ .ioas_id = ioas, .length = length,
					  .granule = granule };
	rc = iommu_buffer_alloc(fd, b);
	if (rc)
		return rc;
	*mem = mmap(NULL, b->out_length, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, b->out_mmap_offset);
	if (*mem == MAP_FAILED) {
		*mem = NULL;
		return -errno;
	}
	return 0;
}

static int open_all(fixture *e)
{
	int rc;

	e->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (e->fd < 0)
		return -errno;
	rc = edu_open(&e->edu, 0);
	if (!rc)
		rc = edu_bind(&e->edu, e->fd);
	if (!rc)
		rc = edu_start(&e->edu);
	if (!rc)
		rc = iommu_ioas_alloc(e->fd, &e->ioas);
	return rc ?: device_granule(e, &e->own);
}

FIXTURE_SETUP(granule)
{
	char bdf[32];

	self->fd = self->edu.dev = -1;
	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	OK(open_all(self));
	self->g = self->own > variant->wish ? self->own : variant->wish;
	OK(buffer_new(self->fd, 0, 64 * self->g, self->g, &self->b,
		      &self->mem));
}

FIXTURE_TEARDOWN(granule)
{
	if (self->mem)
		munmap(self->mem, 64 * self->g);
	edu_close(&self->edu);
	if (self->fd >= 0)
		close(self->fd);
	file_put(NR_HUGEPAGES, "0");
	EXPECT_CLEAN();
}

#define MAP(va, len, prot, iova)					\
	iommu_map_at(self->fd, self->ioas, va, len, prot, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->ioas, iova, len)
#define ATTACH() edu_attach(&self->edu, self->ioas)
#define DETACH() edu_detach(&self->edu)
#define PINNED(n) EQ((long long)(n), stat_read("pinned_bytes"), "pinned bytes")
#define AREAS(n) EQ((long long)(n), stat_read("areas"), "areas")
#define SET(v)								\
	iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, self->ioas, v)

/* The option, where the device has no such granule by itself. */
#define WISH() (self->own < self->g ? SET(self->g) : 0)

/* Attached, and the granule in effect. */
#define READY()								\
	do {								\
		OK(WISH());						\
		OK(ATTACH());						\
	} while (0)

/* The granule that the IOAS tells, in each way there is. */
static int tells(fixture *e, uint64_t granule, uint64_t alignment)
{
	struct iommu_iova_range r[32];
	struct ioas_info info;
	uint32_t i, n = ARRAY_LEN(r);
	uint64_t v;
	int rc;

	rc = iommu_option_get(e->fd, IOMMU_OPTION_IOAS_GRANULE, e->ioas, &v);
	if (rc || v != granule)
		return rc ?: -10;
	rc = iommu_ioas_info(e->fd, e->ioas, &info);
	if (rc || info.i.granule != granule ||
	    info.i.iova_alignment != alignment)
		return rc ?: -11;
	rc = iommu_ranges(e->fd, e->ioas, r, &n, &v);
	if (rc || v != alignment)
		return rc ?: -12;
	for (i = 0; i < n; i++)
		if (!ALIGNED(r[i].start, alignment) ||
		    !ALIGNED(r[i].last + 1, alignment))
			return -13;
	return 0;
}

/* -- what fits ---------------------------------------------------------- */

/* Map it, write and read it by DMA at both ends, unmap it. */
static int carry(fixture *e, uint8_t *mem, size_t size)
{
	uint8_t *last = mem + size - PG;
	int rc;

	rc = iommu_map_at(e->fd, e->ioas, mem, size, RW, BASE);
	if (rc)
		return rc;
	if (stat_read("pinned_bytes") != (long long)size)
		return -20;
	pattern_fill(last, PG, SEED);
	rc = edu_load(&e->edu, BASE + size - PG, PG);
	if (!rc) {
		memset(mem, 0x22, 2 * PG);
		rc = edu_store(&e->edu, BASE + 100, PG);
	}
	if (rc)
		return rc;
	if (!bytes_are(mem, 100, 0x22) || !pattern_is(mem + 100, PG, SEED) ||
	    !bytes_are(mem + 100 + PG, PG - 100, 0x22) ||
	    !pattern_is(last, PG, SEED))
		return -21;
	rc = iommu_unmap(e->fd, e->ioas, BASE, size);
	if (!rc && stat_read("pinned_bytes"))
		rc = -22;
	return rc;
}

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

TEST_F(granule, told_everywhere)
{
	const uint64_t own = self->own;

	OK(tells(self, 0, 1));
	OK(ATTACH());
	OK(tells(self, own, own));
	OK(SET(self->g));
	OK(tells(self, self->g, self->g));
	OK(DETACH());
	OK(tells(self, self->g, self->g));
	OK(SET(0));
	OK(tells(self, 0, 1));
	/* Set before anything is attached, and lower than the device's. */
	OK(SET(self->g));
	OK(tells(self, self->g, self->g));
	OK(ATTACH());
	OK(tells(self, self->g, self->g));
	OK(SET(PG));
	OK(tells(self, own, own));
	OK(DETACH());
	OK(tells(self, PG, PG));
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

/* -- changing the granule of an IOAS that is in use --------------------- */

/* What raises the granule: the device that has it, or the option. */
#define RAISE() (self->own >= self->g ? ATTACH() : SET(self->g))

/* All that there is to see of the IOAS, apart from what is pinned. */
static int same(fixture *e, struct iommu_area_info *areas, int n)
{
	struct iommu_area_info seen[8];

	if (iommu_list_all(e->fd, e->ioas, seen, 8, 8) != n)
		return -30;
	return memcmp(seen, areas, n * sizeof(*seen)) ? -31 : 0;
}

TEST_F(granule, raise_misaligned)
{
	const uint64_t g = self->g;
	const struct {
		uint8_t *va;
		uint64_t length, iova;
	} bad[] = {
		{ self->mem, PG, BASE + 4 * g },
		{ self->mem, g, BASE + 4 * g + PG },
		{ self->mem + PG, g, BASE + 4 * g },
		{ self->mem, g + PG, BASE + 4 * g },
		{ self->mem, g / 2, BASE + 4 * g },
	};
	struct iommu_area_info areas[8];
	struct iommu_last_error e;
	size_t i;

	OK(MAP(self->mem + 8 * g, 2 * g, RW, BASE));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		OK(MAP(bad[i].va, bad[i].length, RW, bad[i].iova));
		ASSERT_EQ(2, iommu_list_all(self->fd, self->ioas, areas, 8, 8));
		SAYS(RAISE(), EADDRINUSE, AREA_MISALIGNED);
		EXPECT_EQ(bad[i].iova, e.out_start);
		EXPECT_EQ(bad[i].iova + bad[i].length - 1, e.out_last);
		EXPECT_EQ(g, e.out_limit);
		OK(tells(self, 0, 1));
		OK(same(self, areas, 2));
		PINNED(0);
		/* Work goes on as if it had not been tried. */
		OK(MAP(self->mem, 100, RW, BASE + 32 * g + 12));
		OK(UNMAP(BASE + 32 * g + 12, 100));
		OK(UNMAP(bad[i].iova, bad[i].length));
	}
	OK(RAISE());
	OK(tells(self, g, g));
	OK(ATTACH());
	PINNED(2 * g);
}

/* With memory that is not pinned: attaching finds what is wrong. */
TEST_F(granule, attach_not_contiguous)
{
	struct iommu_area_info areas[8];
	const uint64_t g = self->g;
	struct iommu_last_error e;
	long long told = self->own < g ? g : 0;

	OK(WISH());
	OK(page_replace(self->mem + 10 * g + PG));
	OK(page_replace(self->mem + 11 * g));
	OK(MAP(self->mem, 2 * g, RW, BASE));
	OK(MAP(self->mem + 8 * g, 4 * g, RW, BASE + 8 * g));
	OK(MAP(self->mem + 16 * g, 2 * g, RW, BASE + 16 * g));
	ASSERT_EQ(3, iommu_list_all(self->fd, self->ioas, areas, 8, 8));
	SAYS(ATTACH(), EINVAL, NOT_CONTIGUOUS);
	EXPECT_EQ((uintptr_t)self->mem + 10 * g, e.out_addr);
	EXPECT_EQ(2, e.out_need);
	EXPECT_EQ(4, e.out_usage);
	EXPECT_EQ(g, e.out_limit);
	EXPECT_EQ(BASE + 8 * g, e.out_start);
	EXPECT_EQ(BASE + 12 * g - 1, e.out_last);
	PINNED(0);
	OK(same(self, areas, 3));
	OK(tells(self, told, told ?: 1));
	/* Without the bad one it goes. */
	OK(UNMAP(BASE + 8 * g, 4 * g));
	OK(ATTACH());
	PINNED(4 * g);
	OK(DETACH());
	PINNED(0);
}

/* With memory that is pinned already: the option's business. */
TEST_F(granule, option_not_contiguous)
{
	const uint64_t g = self->own < self->g ? self->g : 2 * self->g;
	struct iommu_last_error e;
	uint8_t *last = self->mem + 3 * g;

	OK(ATTACH());
	if (self->own == PG)
		OK(page_replace(last + PG));
	else
		/* Mapped by granules of the device, in another order. */
		ASSERT_EQ(last, mmap(last, self->own, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, self->fd,
				     self->b.out_mmap_offset));
	OK(MAP(self->mem, 4 * g, RW, BASE));
	PINNED(4 * g);
	SAYS(SET(g), EINVAL, NOT_CONTIGUOUS);
	EXPECT_EQ((uintptr_t)last, e.out_addr);
	EXPECT_EQ(1, e.out_need);
	EXPECT_EQ(4, e.out_usage);
	EXPECT_EQ(g, e.out_limit);
	OK(tells(self, self->own, self->own));
	PINNED(4 * g);
	OK(UNMAP(BASE, 4 * g));
	OK(MAP(self->mem, 3 * g, RW, BASE));
	OK(SET(g));
	OK(tells(self, g, g));
	PINNED(3 * g);
	/* Lowered again, what fits the device fits again. */
	FAILS(EINVAL, MAP(self->mem, g, RW, BASE + 8 * g + self->own));
	OK(SET(0));
	OK(MAP(self->mem, g, RW, BASE + 8 * g + self->own));
}

TEST_F(granule, option_values)
{
	static const uint64_t bad[] = {
		1, 3, 512, PG / 2, PG + 1, 3 * PG, K16 + PG, 2ULL << 30,
		1ULL << 63, UINT64_MAX, UINT64_MAX - PG + 1,
	};
	struct iommu_last_error e;
	uint64_t v, g;
	uint32_t second;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		SAYS(SET(bad[i]), EINVAL, BAD_GRANULE);
		EXPECT_EQ(bad[i], e.out_usage);
		EXPECT_EQ(PG, e.out_need);
		EXPECT_EQ(1ULL << 30, e.out_limit);
		OK(tells(self, 0, 1));
	}
	for (g = PG; g <= 1ULL << 30; g *= 2) {
		OK(SET(g));
		OK(tells(self, g, g));
	}
	/* One IOAS's is not another's. */
	OK(iommu_ioas_alloc(self->fd, &second));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_IOAS_GRANULE, second, &v));
	EXPECT_EQ(0, v);
	FAILS(ENOENT, iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, 0,
				       K16));
	FAILS(ENOENT, iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE,
				       self->edu.dev_id, K16));
	FAILS(ENOENT, iommu_option_get(self->fd, IOMMU_OPTION_IOAS_GRANULE,
				       self->b.out_buffer_id, &v));
	/* HUGE_PAGES off and the granule do not get into each other's way. */
	OK(SET(self->g));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas, 0));
	OK(tells(self, self->g, self->g));
	OK(SET(0));
	OK(tells(self, 0, PG));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas, 1));
	OK(tells(self, 0, 1));
}

/* Ranges that are to stay usable keep a granule from growing over them. */
TEST_F(granule, allowed)
{
	struct iommu_iova_range r[2] = {
		{ .start = BASE, .last = BASE + 16 * self->g - 1 },
		{ .start = MSI_START - 0x20000, .last = MSI_START - 1 },
	};
	uint64_t iova = 0;

	OK(iommu_allow(self->fd, self->ioas, r, 2));
	READY();
	OK(iommu_map(self->fd, self->ioas, self->mem, 2 * self->g, RW, &iova));
	EXPECT_TRUE(iova >= BASE && iova < BASE + 16 * self->g);
	EXPECT_TRUE(ALIGNED(iova, self->g));
	OK(DETACH());
	/* In a granule that is reserved in part. */
	r[1].last = MSI_START + PG - 1;
	OK(SET(0));
	OK(iommu_allow(self->fd, self->ioas, r, 2));
	FAILS(EADDRINUSE, ATTACH());
	PINNED(0);
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

/* -- buffers and devices ------------------------------------------------ */

/* The device goes on with memory that no process has any more. */
TEST_F(granule, buffer_gone)
{
	const uint64_t g = self->g, size = 64 * g;
	uint8_t *mem = mem_thp(HUGE);

	ASSERT_NE(NULL, mem);
	READY();
	OK(MAP(self->mem, size, RW, BASE));
	memset(self->mem, 0x33, size);
	pattern_fill(self->mem + size - PG, PG, SEED);
	OK(iommu_destroy(self->fd, self->b.out_buffer_id));
	EXPECT_EQ(size, stat_read("buffer_bytes"));
	ASSERT_EQ(0, munmap(self->mem, size));
	self->mem = NULL;
	EQ(0, stat_wait("buffer_bytes", 0, PATIENCE), "buffer_bytes");
	PINNED(size);
	/* If these pages were free, now somebody else would have them. */
	memset(mem, 0x44, HUGE);
	OK(edu_load(&self->edu, BASE + size - PG, PG));
	OK(edu_store(&self->edu, BASE, PG));
	OK(iommu_copy_at(self->fd, self->ioas, self->ioas, BASE, g, RW,
			 2 * BASE));
	OK(edu_load(&self->edu, 2 * BASE, PG));
	OK(buffer_new(self->fd, self->ioas, size, 0, &self->b, &self->mem));
	EXPECT_EQ(g, self->b.out_granule);
	OK(MAP(self->mem, size, RW, 3 * BASE));
	OK(edu_store(&self->edu, 3 * BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, SEED));
	EXPECT_TRUE(bytes_are(mem, HUGE, 0x44));
	/* Pinned is pinned: all of it, for as long as a copy has a part. */
	OK(UNMAP(BASE, size));
	PINNED(2 * size);
	OK(UNMAP(2 * BASE, g));
	PINNED(size);
}

/* The file of the buffer is closed before everything else. */
TEST_F(granule, buffer_of_another_file)
{
	struct iommu_buffer_alloc b;
	uint8_t *mem;
	int fd;

	READY();
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	OK(buffer_new(fd, 0, 4 * self->g, self->g, &b, &mem));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(2, stat_read("contexts"));
	OK(carry(self, mem, 4 * self->g));
	OK(MAP(mem, 4 * self->g, RW, BASE));
	ASSERT_EQ(0, munmap(mem, 4 * self->g));
	EQ(1, stat_wait("contexts", 1, PATIENCE), "contexts");
	PINNED(4 * self->g);
	OK(edu_load(&self->edu, BASE, PG));
}

/* A child's pages are the parent's: mapped by either, seen by both. */
TEST_F(granule, buffer_fork)
{
	pid_t pid;

	READY();
	pid = fork();
	if (!pid) {
		memset(self->mem, 0x55, self->g);
		CHECK_RC(0, MAP(self->mem, 2 * self->g, RW, BASE));
		CHECK_RC(0, munmap(self->mem + self->g, 2 * self->g));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_TRUE(bytes_are(self->mem, self->g, 0x55));
	PINNED(2 * self->g);
	pattern_fill(self->mem + self->g, PG, SEED);
	OK(edu_load(&self->edu, BASE + self->g, PG));
	OK(edu_store(&self->edu, BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, SEED));
}

/* Holes and thrown-out pages: what is there is the same memory as before. */
TEST_F(granule, buffer_holes)
{
	const uint64_t g = self->g;
	struct iommu_last_error e;

	READY();
	memset(self->mem, 0x66, 64 * g);
	ASSERT_EQ(0, madvise(self->mem, 16 * g, MADV_DONTNEED));
	OK(MAP(self->mem, 16 * g, RW, BASE));
	EXPECT_TRUE(bytes_are(self->mem, 16 * g, 0x66));
	OK(UNMAP(BASE, 16 * g));
	ASSERT_EQ(0, munmap(self->mem + 20 * g + PG, PG));
	SAYS(MAP(self->mem + 18 * g, 4 * g, RW, BASE), EFAULT, BAD_MEMORY);
	EXPECT_EQ((uintptr_t)self->mem + 20 * g + PG, e.out_addr);
	PINNED(0);
	OK(MAP(self->mem, 20 * g, RW, BASE));
	OK(MAP(self->mem + 21 * g, 43 * g, RW, 2 * BASE));
	/* The page put back is the one that was there. */
	ASSERT_EQ(self->mem + 20 * g + PG,
		  mmap(self->mem + 20 * g + PG, PG, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->fd,
		       self->b.out_mmap_offset + 20 * g + PG));
	OK(MAP(self->mem + 18 * g, 4 * g, RW, 3 * BASE));
	EXPECT_TRUE(bytes_are(self->mem, 64 * g, 0x66));
}

TEST_F(granule, buffer_mprotect)
{
	const uint64_t g = self->g;

	READY();
	memset(self->mem, 0x77, 64 * g);
	ASSERT_EQ(0, mprotect(self->mem, 4 * g, PROT_READ));
	FAILS(EFAULT, MAP(self->mem, 4 * g, RW, BASE));
	OK(MAP(self->mem, 4 * g, RD, BASE));
	OK(UNMAP(BASE, 4 * g));
	ASSERT_EQ(0, mprotect(self->mem, 4 * g, PROT_NONE));
	FAILS(EFAULT, MAP(self->mem, 4 * g, RW, BASE));
	PINNED(0);
	ASSERT_EQ(-1, mprotect(self->mem, g, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, mprotect(self->mem, 4 * g, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(bytes_are(self->mem, 64 * g, 0x77));
	OK(carry(self, self->mem, 64 * g));
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
