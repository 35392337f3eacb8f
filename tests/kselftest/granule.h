/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of granules and of buffers stand on: what memory really is, and
 * a device with a granule.
 *
 * Each test runs with a granule of at least 16K and 64K. It is the device's own
 * where that is so large already, else it comes from IOMMU_OPTION_IOAS_GRANULE.
 * So both ways are tried by
 *
 *	tools/vm --iommu intel -- build/tests/kselftest/granule
 *	tools/vm --iommu virtio --granule 16k -- build/tests/kselftest/granule
 *	tools/vm --iommu virtio --granule 64k -- build/tests/kselftest/granule
 */
#ifndef KSELFTEST_GRANULE_H
#define KSELFTEST_GRANULE_H

#include "self.h"

#define BASE 0x1000000ULL
#define SEED 3
#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"
#define K16 (16UL << 10)
#define K64 (64UL << 10)
#define HUGE (2 * MIB)
#define ALIGNED(x, a) (!((uint64_t)(x) % (a)))

/* The call fails with @err for the reason @why, told in e. */
#define SAYS(call, err, why)						\
	do {								\
		FAILS(err, call);					\
		OK(iommu_last_error(self->fd, &e));			\
		EQ(IOMMU_REASON_##why, e.out_reason, "%s: reason", #call); \
		EQ(err, e.out_errno, "%s: errno", #call);		\
	} while (0)

/* Frame number of the page at @va, which is present; 0 when it is not. */
static inline uint64_t frame_of(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t e = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &e, 8, (uintptr_t)va / PG * 8) != 8)
		e = 0;
	close(fd);
	return e >> 63 ? e & ((1ULL << 55) - 1) : 0;
}

/* Is the granule at @va one aligned, contiguous piece? */
static inline bool granule_is_good(const uint8_t *va, size_t granule)
{
	uint64_t first = frame_of(va);
	size_t i;

	if (!first || first % (granule / PG))
		return false;
	for (i = 1; i < granule / PG; i++)
		if (frame_of(va + i * PG) != first + i)
			return false;
	return true;
}

/* How many are not; @first: the first of them. */
static inline size_t bad_granules(const uint8_t *va, size_t size,
				  size_t granule, const uint8_t **first)
{
	size_t i, n = 0;

	*first = NULL;
	for (i = 0; i < size; i += granule) {
		if (granule_is_good(va + i, granule))
			continue;
		if (!n++)
			*first = va + i;
	}
	return n;
}

/* Put a fresh page in place of the one at @va. The old one stays in use. */
static inline int page_replace(void *va)
{
	void *p = mmap(va, PG, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p != va)
		return -errno;
	*(volatile uint8_t *)va = 1;
	return 0;
}

static inline uint8_t *mem_thp(size_t size)
{
	uint8_t *p = mem_alloc(size, HUGE);

	if (!p)
		return NULL;
	madvise(p, size, MADV_DONTNEED);
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0x11, size);
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

static inline int device_granule(fixture *e, uint64_t *granule)
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

static inline int buffer_new(int fd, uint32_t ioas, uint64_t length,
			     uint64_t granule, struct iommu_buffer_alloc *b,
			     uint8_t **mem)
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

static inline int open_all(fixture *e)
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
static inline int tells(fixture *e, uint64_t granule, uint64_t alignment)
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

/* Map it, write and read it by DMA at both ends, unmap it. */
static inline int carry(fixture *e, uint8_t *mem, size_t size)
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

#endif
