// SPDX-License-Identifier: GPL-2.0-only
/* I/O address spaces without a device: mapping, copying, listing, limits. */
#include "cgroup.h"
#include "utils.h"

#define BASE 0x100000ULL

FIXTURE(ioas)
{
	int fd;
	uint32_t id;
	uint32_t id2;
	uint8_t *mem;	/* 16 pages */
	uint8_t *ro;	/* 4 pages that cannot be written */
};

FIXTURE_SETUP(ioas)
{
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
	{
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	}
	OK(iommu_ioas_alloc(self->fd, &self->id));
	OK(iommu_ioas_alloc(self->fd, &self->id2));
	EXPECT_NE(self->id, self->id2);
	EXPECT_NE(0, self->id);
	self->mem = mem_alloc(16 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	self->ro = mem_alloc(4 * PG, PG);
	ASSERT_NE(NULL, self->ro);
	ASSERT_EQ(0, mprotect(self->ro, 4 * PG, PROT_READ));
}

FIXTURE_TEARDOWN(ioas)
{
	/* Nothing is pinned where no device is. */
	EXPECT_EQ(0, stat_read("pinned_bytes"));
	close(self->fd);
	EXPECT_CLEAN();
}

#define MAP(va, len, prot, iova)					\
	iommu_map_at(self->fd, self->id, va, len, prot, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->id, iova, len)

static int count_areas(int fd, uint32_t ioas)
{
	struct iommu_area_info a[64];

	return iommu_list_all(fd, ioas, a, ARRAY_LEN(a), 64);
}

#define AREAS(n) EQ(n, count_areas(self->fd, self->id), "areas")

/* -- map ---------------------------------------------------------------- */

TEST_F(ioas, map_anywhere)
{
	/* The whole 64-bit space may be mapped, at any byte. */
	static const uint64_t iovas[] = {
		0, 1, 2, 511, 4095, 4096, 4097, 0xfee00000, UINT32_MAX,
		1ULL << 32, (1ULL << 47) - 1, 1ULL << 48, 1ULL << 63,
		(1ULL << 63) - 1, UINT64_MAX - 4096, UINT64_MAX - 4095,
		UINT64_MAX - 1,
	};
	static const uint64_t lengths[] = { 1, 2, 3, 511, 4095, 4096, 4097 };
	struct iommu_area_info a;
	unsigned int i, k;
	uint64_t n, at;
	uint32_t num, more;

	for (i = 0; i < ARRAY_LEN(iovas); i++)
		for (k = 0; k < ARRAY_LEN(lengths); k++) {
			if (lengths[k] - 1 > UINT64_MAX - iovas[i]) {
				EQ(-EOVERFLOW, MAP(self->mem + 5, lengths[k],
						   RW, iovas[i]), "%#llx+%llu",
				   (long long)iovas[i], (long long)lengths[k]);
				continue;
			}
			EQ(0, MAP(self->mem + 5, lengths[k], RW, iovas[i]),
			   "%#llx+%llu", (long long)iovas[i],
			   (long long)lengths[k]);
			at = 0;
			num = 1;
			OK(iommu_list(self->fd, self->id, &at, &a, &num,
				      &more));
			EXPECT_EQ(1, num);
			EXPECT_EQ(0, more);
			EXPECT_EQ(iovas[i], a.iova);
			EXPECT_EQ(lengths[k], a.length);
			EXPECT_EQ((uintptr_t)self->mem + 5, a.user_va);
			OK(iommu_unmap_n(self->fd, self->id, iovas[i],
					 lengths[k], &n));
			EXPECT_EQ(lengths[k], n);
		}
	AREAS(0);
}

TEST_F(ioas, map_bad)
{
	FAILS(EINVAL, MAP(self->mem, 0, RW, BASE));
	FAILS(EINVAL, MAP(self->mem, PG, 0, BASE));
	FAILS(EOVERFLOW, MAP(self->mem, 2 * PG, RW, UINT64_MAX - PG + 1));
	FAILS(EOVERFLOW, MAP(self->mem, PG + 1, RW, UINT64_MAX - PG + 1));
	FAILS(EOVERFLOW, MAP((void *)(UINTPTR_MAX - PG + 1), 2 * PG, RW, BASE));
	FAILS(EOVERFLOW, MAP(self->mem, UINT64_MAX, RW, BASE));
	FAILS(EOVERFLOW, MAP(self->mem, UINT64_MAX - PG, RW, BASE));
	FAILS(EOVERFLOW, MAP(self->mem, UINT64_MAX, RW, 0));
	AREAS(0);
	EXPECT_EQ(0, stat_read("areas"));
}

/* The sum of address and length may only wrap where one can see it. */
TEST_F(ioas, map_wrap)
{
	uint64_t len, iova;
	unsigned int shift;
	int rc;

	for (shift = 12; shift < 64; shift++) {
		len = 1ULL << shift;
		EQ(-EOVERFLOW, MAP(self->mem, len, RW, 0 - len + 1),
		   "IOVA, 1 << %u", shift);
		EQ(-EOVERFLOW, MAP((void *)(0 - len + 1), len, RW, 0),
		   "memory, 1 << %u", shift);
		iova = 0;
		rc = iommu_map(self->fd, self->id, (void *)(0 - len + 1), len,
			       RW, &iova);
		EQ(-EOVERFLOW, rc, "automatic, 1 << %u", shift);
	}
	AREAS(0);
}

TEST_F(ioas, map_overlap)
{
	/* BASE + 4 pages, 4 pages long; what hits it, what does not. */
	static const struct {
		int64_t off;
		uint64_t len;
		int rc;
	} t[] = {
		{ 4 * PG, 4 * PG, -EEXIST },
		{ 4 * PG, 1, -EEXIST },
		{ 8 * PG - 1, 1, -EEXIST },
		{ 8 * PG - 1, 2, -EEXIST },
		{ 5 * PG, PG, -EEXIST },
		{ 3 * PG, PG + 1, -EEXIST },
		{ 3 * PG, 2 * PG, -EEXIST },
		{ 3 * PG, 8 * PG, -EEXIST },
		{ 0, 16 * PG, -EEXIST },
		{ 7 * PG, 4 * PG, -EEXIST },
		{ 4 * PG - 1, 1, 0 },
		{ 8 * PG, 1, 0 },
		{ 3 * PG, PG - 1, 0 },
		{ 8 * PG + 1, PG, 0 },
	};
	unsigned int i;

	OK(MAP(self->mem, 4 * PG, RW, BASE + 4 * PG));
	for (i = 0; i < ARRAY_LEN(t); i++)
		EQ(t[i].rc, MAP(self->mem, t[i].len, RW, BASE + t[i].off),
		   "%#llx+%#llx", (long long)t[i].off, (long long)t[i].len);
	AREAS(5);
	OK(UNMAP(0, WHOLE));
	/* At both ends of the space. */
	OK(MAP(self->mem, PG, RW, 0));
	OK(MAP(self->mem, PG, RW, UINT64_MAX - PG + 1));
	FAILS(EEXIST, MAP(self->mem, 1, RW, 0));
	FAILS(EEXIST, MAP(self->mem, 1, RW, PG - 1));
	FAILS(EEXIST, MAP(self->mem, 2, RW, UINT64_MAX - 1));
	FAILS(EEXIST, MAP(self->mem, 2, RW, UINT64_MAX - PG));
	AREAS(2);
}

/* Memory is looked at when it is pinned, and nothing is pinned here. */
TEST_F(ioas, map_lazy)
{
	OK(MAP((void *)0x10000, PG, RW, BASE));
	OK(MAP(self->ro, PG, RW, BASE + PG));
	AREAS(2);
	EXPECT_EQ(0, stat_read("pinned_bytes"));
}

TEST_F(ioas, map_large)
{
	uint64_t n;

	/* No memory is touched, so terabytes are as good as pages. */
	OK(MAP((void *)PG, 1ULL << 46, RD, 1ULL << 50));
	FAILS(EEXIST, MAP(self->mem, PG, RW, (1ULL << 50) + (1ULL << 45)));
	OK(iommu_unmap_n(self->fd, self->id, 0, WHOLE, &n));
	EXPECT_EQ(1ULL << 46, n);
}

/* -- automatic placement ------------------------------------------------ */

TEST_F(ioas, auto_never_zero)
{
	uint64_t iova, lo = UINT64_MAX;
	int i;

	for (i = 0; i < 64; i++) {
		iova = 0;
		OK(iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
		EXPECT_NE(0, iova);
		EXPECT_EQ(0, iova % PG);
		if (iova < lo)
			lo = iova;
	}
	EXPECT_LT(0, lo);
	AREAS(64);
}

static uint64_t pow2_up(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

TEST_F(ioas, auto_alignment)
{
	uint8_t *big = mem_alloc(6 * MIB, 4 * MIB);
	static const uint64_t off[] = {
		0, 1, 16, 512, PG, 2 * PG, 4 * PG, 3 * PG, 16 * PG, 64 * PG,
		MIB, PG + 1, 2 * PG + 17, 2 * MIB,
	};
	static const uint64_t len[] = {
		1, 7, PG, 2 * PG, 3 * PG, 16 * PG, 64 * PG, MIB, 2 * MIB,
		2 * MIB + PG, 3 * MIB,
	};
	uint64_t iova, want, va;
	unsigned int i, k;

	ASSERT_NE(NULL, big);
	/* Something in the way, so that low addresses are not all aligned. */
	OK(MAP(self->mem, PG, RW, PG));
	OK(MAP(self->mem, 3, RW, 5 * PG + 1));
	for (i = 0; i < ARRAY_LEN(off); i++)
		for (k = 0; k < ARRAY_LEN(len); k++) {
			va = (uintptr_t)big + off[i];
			iova = 0;
			OK(iommu_map(self->fd, self->id, (void *)va, len[k],
				     RW, &iova));
			want = va & -va;
			if (want > pow2_up(len[k]))
				want = pow2_up(len[k]);
			if (want > 2 * MIB)
				want = 2 * MIB;
			EQ(0, iova % want, "memory +%#llx, %#llx bytes: %#llx",
			   (long long)off[i], (long long)len[k],
			   (long long)iova);
			EQ(va % PG, iova % PG, "offset in the page");
		}
}

TEST_F(ioas, auto_bad)
{
	uint64_t iova = 0x1234;
	int rc;

	FAILS(EINVAL, iommu_map(self->fd, self->id, self->mem, PG, 0, &iova));
	rc = iommu_map(self->fd, self->id, self->mem, 0, RW, &iova);
	FAILS(EINVAL, rc);
	EXPECT_EQ(0x1234, iova);
	AREAS(0);
}

TEST_F(ioas, auto_allowed)
{
	struct iommu_iova_range r[2] = {
		{ BASE, BASE + 4 * PG - 1 },
		{ BASE + 0x100000, BASE + 0x100000 + 2 * PG - 1 },
	};
	uint64_t iova = 0;
	int i;

	OK(iommu_allow(self->fd, self->id, r, 2));
	/* Three pages have only one place, in whichever order they come. */
	OK(iommu_map(self->fd, self->id, self->mem, 3 * PG, RW, &iova));
	EXPECT_LE(BASE, iova);
	EXPECT_GE(BASE + PG, iova);
	for (i = 0; i < 3; i++) {
		OK(iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
		EXPECT_TRUE((iova >= r[0].start && iova + PG - 1 <= r[0].last) ||
			    (iova >= r[1].start && iova + PG - 1 <= r[1].last));
	}
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, 1, RW, &iova));
	/* Whoever names the place is not bound to the list. */
	OK(MAP(self->mem, PG, RW, BASE + 0x800000));
	AREAS(5);
	OK(UNMAP(0, WHOLE));
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, 5 * PG, RW,
				&iova));
	/* A list replaces the one before; none lifts the restriction. */
	OK(iommu_allow(self->fd, self->id, r + 1, 1));
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, 3 * PG, RW,
				&iova));
	OK(iommu_allow(self->fd, self->id, NULL, 0));
	OK(iommu_map(self->fd, self->id, self->mem, 5 * PG, RW, &iova));
}

TEST_F(ioas, auto_in_the_last_hole)
{
	uint64_t iova = 0, top = UINT64_MAX - 64 * PG + 1;
	int i;

	/*
	 * Only the top of the space is allowed, and one page of it is left:
	 * that one, whatever the arithmetic near 2^64.
	 */
	OK(iommu_allow_one(self->fd, self->id, top, top + 8 * PG - 1));
	for (i = 0; i < 8; i++)
		if (i != 5)
			OK(MAP(self->mem, PG, RW, top + i * PG));
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, 2 * PG, RW,
				&iova));
	OK(iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
	EXPECT_EQ(top + 5 * PG, iova);
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
}

/*
 * Alignment must not carry a request past the end or over what is there
 * (CVE-2024-47719, CVE-2025-38688).
 */
TEST_F(ioas, auto_alignment_overflow)
{
	uint8_t *big = mem_alloc(4 * MIB, 4 * MIB);
	uint64_t iova = 0, top = UINT64_MAX - MIB + 1;
	struct iommu_area_info a[4];
	int rc;

	ASSERT_NE(NULL, big);
	/* The only hole starts behind the last multiple of 2 MiB. */
	OK(iommu_allow_one(self->fd, self->id, top - 2 * MIB,
			   UINT64_MAX));
	OK(MAP(self->mem, PG, RW, top - 2 * MIB));
	OK(MAP((void *)PG, 2 * MIB - 2 * PG, RD, top - 2 * MIB + PG));
	iova = 0;
	rc = iommu_map(self->fd, self->id, big, 2 * MIB, RW, &iova);
	FAILS(ENOSPC, rc);
	rc = iommu_map(self->fd, self->id, big, 4 * MIB, RW, &iova);
	FAILS(ENOSPC, rc);
	/* Whatever is placed there lies within, and hits nothing. */
	rc = iommu_map(self->fd, self->id, big, 64 * PG, RW, &iova);
	if (!rc) {
		EXPECT_LE(top - PG, iova);
		EXPECT_GE(UINT64_MAX - 64 * PG + 1, iova);
	} else {
		FAILS(ENOSPC, rc);
	}
	rc = iommu_list_all(self->fd, self->id, a, 4, 4);
	EXPECT_LE(2, rc);
	EXPECT_GE(3, rc);
	EXPECT_EQ(a[0].iova + a[0].length, a[1].iova);
}

TEST_F(ioas, auto_unaligned_memory_whole_space)
{
	static const uint64_t sizes[] = { 1ULL << 62, 1ULL << 61, 1ULL << 40 };
	uint64_t iova = 0;
	unsigned int i;
	int rc;

	/* Sizes near the whole of it: either placed well, or refused. */
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		iova = 0;
		rc = iommu_map(self->fd, self->id, (void *)PG, sizes[i], RW,
			       &iova);
		if (rc) {
			EQ(1, rc == -ENOSPC || rc == -EOVERFLOW,
			   "%#llx: %d", (long long)sizes[i], rc);
			continue;
		}
		EXPECT_NE(0, iova);
		EXPECT_GE(UINT64_MAX - sizes[i] + 1, iova);
	}
	FAILS(EOVERFLOW, iommu_map(self->fd, self->id, (void *)PG, UINT64_MAX,
				   RW, &iova));
}

/* -- unmap -------------------------------------------------------------- */

TEST_F(ioas, unmap)
{
	uint64_t n;

	FAILS(EINVAL, UNMAP(BASE, 0));
	FAILS(EOVERFLOW, UNMAP(PG, UINT64_MAX));
	FAILS(EOVERFLOW, UNMAP(UINT64_MAX - PG + 1, 2 * PG));
	FAILS(ENOENT, UNMAP(BASE, PG));
	/* Everything of an empty space is nothing, and no error. */
	OK(iommu_unmap_n(self->fd, self->id, 0, WHOLE, &n));
	EXPECT_EQ(0, n);

	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_unmap_n(self->fd, self->id, BASE, PG, &n));
	EXPECT_EQ(PG, n);
	FAILS(ENOENT, UNMAP(BASE, PG));

	/* A range larger than what is in it. */
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(self->mem, 2 * PG, RW, BASE + 8 * PG));
	OK(iommu_unmap_n(self->fd, self->id, BASE - 5, 100 * PG, &n));
	EXPECT_EQ(3 * PG, n);
	AREAS(0);

	OK(MAP(self->mem, PG, RW, 0));
	OK(MAP(self->mem, PG, RW, UINT64_MAX - PG + 1));
	OK(iommu_unmap_n(self->fd, self->id, 0, WHOLE, &n));
	EXPECT_EQ(2 * PG, n);
	AREAS(0);
}

TEST_F(ioas, unmap_partial)
{
	static const struct { int64_t off; uint64_t len; } t[] = {
		{ 0, 1 }, { 0, PG }, { PG, PG }, { 4 * PG - 1, 1 }, { 1, PG },
		{ 0, 4 * PG - 1 }, { 1, 4 * PG - 1 }, { 1, 4 * PG },
		{ -4096, 2 * PG }, { 3 * PG, 2 * PG }, { -1, 4 * PG },
		/* A whole one before or behind the one that is cut. */
		{ -4 * 4096, 5 * PG }, { 3 * PG, 9 * PG }, { -4 * 4096, 12 * PG - 1 },
	};
	unsigned int i;

	OK(MAP(self->mem, 2 * PG, RW, BASE - 3 * PG));
	OK(MAP(self->mem, 4 * PG, RW, BASE));
	OK(MAP(self->mem, 4 * PG, RW, BASE + 5 * PG));
	for (i = 0; i < ARRAY_LEN(t); i++) {
		EQ(-ENOENT, UNMAP(BASE + t[i].off, t[i].len), "%lld+%lld",
		   (long long)t[i].off, (long long)t[i].len);
		AREAS(3);
	}
	OK(UNMAP(BASE, 4 * PG));
	AREAS(2);
}

/* The last bytes of the space, which an exclusive end cannot name. */
TEST_F(ioas, unmap_top)
{
	uint64_t n;

	OK(MAP(self->mem, PG, RW, UINT64_MAX - PG + 1));
	FAILS(ENOENT, UNMAP(UINT64_MAX - PG + 1, PG - 1));
	AREAS(1);
	OK(iommu_unmap_n(self->fd, self->id, UINT64_MAX - PG + 1, PG, &n));
	EXPECT_EQ(PG, n);
	OK(MAP(self->mem, PG, RW, UINT64_MAX - PG + 1));
	OK(iommu_unmap_n(self->fd, self->id, UINT64_MAX - 8 * PG + 1, 8 * PG,
			 &n));
	EXPECT_EQ(PG, n);
	AREAS(0);
}

/* -- copy --------------------------------------------------------------- */

#define COPY(len, prot, dst, src)					\
	iommu_copy_at(self->fd, self->id, self->id, src, len, prot, dst)
#define COPY2(len, prot, dst, src)					\
	iommu_copy_at(self->fd, self->id2, self->id, src, len, prot, dst)

TEST_F(ioas, copy)
{
	struct iommu_area_info a[8];
	uint64_t iova = 0;

	OK(MAP(self->mem, 4 * PG, RW, BASE));
	/* Whole, then a part, to the same and to another IOAS. */
	OK(COPY(4 * PG, RW, 2 * BASE, BASE));
	OK(COPY(PG, RD, 3 * BASE, BASE + PG));
	OK(COPY2(4 * PG, WR, 2 * BASE, BASE));
	OK(COPY2(2 * PG + 17, RW, 3 * BASE, BASE + PG + 5));
	ASSERT_EQ(3, iommu_list_all(self->fd, self->id, a, 8, 8));
	EXPECT_EQ((uintptr_t)self->mem, a[1].user_va);
	EXPECT_EQ(RW, a[1].flags);
	EXPECT_EQ((uintptr_t)self->mem + PG, a[2].user_va);
	EXPECT_EQ(PG, a[2].length);
	EXPECT_EQ(RD, a[2].flags);
	ASSERT_EQ(2, iommu_list_all(self->fd, self->id2, a, 8, 8));
	EXPECT_EQ(WR, a[0].flags);
	EXPECT_EQ((uintptr_t)self->mem + PG + 5, a[1].user_va);
	EXPECT_EQ(2 * PG + 17, a[1].length);
	/* A copy outlives what it was made of. */
	OK(UNMAP(BASE, 4 * PG));
	OK(iommu_copy(self->fd, self->id, self->id2, 2 * BASE, 4 * PG, RW,
		      &iova));
	EXPECT_NE(0, iova);
	OK(UNMAP(iova, 4 * PG));
}

TEST_F(ioas, copy_across)
{
	struct iommu_area_info a[8];
	uint64_t bytes = 0;
	int n, i;

	OK(MAP(self->mem, 2 * PG, RW, BASE));
	OK(MAP(self->mem + 8 * PG, 3 * PG, RW, BASE + 2 * PG));
	OK(MAP(self->mem + 4 * PG, PG, RW, BASE + 6 * PG));
	OK(COPY2(3 * PG, RW, BASE, BASE + PG));
	n = iommu_list_all(self->fd, self->id2, a, 8, 8);
	ASSERT_EQ(2, n);
	EXPECT_EQ(BASE, a[0].iova);
	EXPECT_EQ(PG, a[0].length);
	EXPECT_EQ((uintptr_t)self->mem + PG, a[0].user_va);
	EXPECT_EQ(BASE + PG, a[1].iova);
	EXPECT_EQ(2 * PG, a[1].length);
	EXPECT_EQ((uintptr_t)self->mem + 8 * PG, a[1].user_va);
	/* A hole at the front, in the middle, at the end. */
	FAILS(ENOENT, COPY2(7 * PG, RW, 4 * BASE, BASE));
	FAILS(ENOENT, COPY2(2 * PG, RW, 4 * BASE, BASE - PG));
	FAILS(ENOENT, COPY2(PG + 1, RW, 4 * BASE, BASE - 1));
	FAILS(ENOENT, COPY2(5 * PG + 1, RW, 4 * BASE, BASE));
	FAILS(ENOENT, COPY2(PG, RW, 4 * BASE, 16 * BASE));
	n = iommu_list_all(self->fd, self->id2, a, 8, 8);
	for (i = 0; i < n; i++)
		bytes += a[i].length;
	EXPECT_EQ(3 * PG, bytes);
}

TEST_F(ioas, copy_bad)
{
	uint64_t iova = 0;

	OK(MAP(self->mem, 4 * PG, RW, BASE));
	OK(MAP(self->ro, 4 * PG, RD, 2 * BASE));
	FAILS(EINVAL, COPY(0, RW, 4 * BASE, BASE));
	FAILS(EINVAL, COPY(PG, 0, 4 * BASE, BASE));
	FAILS(EEXIST, COPY(PG, RW, BASE + PG, BASE));
	FAILS(EEXIST, COPY(2 * PG, RW, BASE - PG, BASE));
	FAILS(EEXIST, COPY(4 * PG, RW, BASE, BASE));
	FAILS(EOVERFLOW, COPY(UINT64_MAX, RW, 4 * BASE, BASE));
	FAILS(EOVERFLOW, COPY(2 * PG, RW, UINT64_MAX - PG + 1, BASE));
	FAILS(EOVERFLOW, COPY(2 * PG, RW, 4 * BASE, UINT64_MAX - PG + 1));
	/* Memory that was mapped for reading is not written by a detour. */
	FAILS(EPERM, COPY(PG, RW, 4 * BASE, 2 * BASE));
	FAILS(EPERM, COPY2(PG, WR, 4 * BASE, 2 * BASE));
	FAILS(EPERM, iommu_copy(self->fd, self->id2, self->id, 2 * BASE, PG,
				RW, &iova));
	OK(COPY2(PG, RD, 4 * BASE, 2 * BASE));
	FAILS(EPERM, iommu_copy_at(self->fd, self->id, self->id2, 4 * BASE, PG,
				   RW, 4 * BASE));
	AREAS(2);
	EXPECT_EQ(1, count_areas(self->fd, self->id2));
}

/* A copy of several pieces is all or nothing: one piece is read-only. */
TEST_F(ioas, copy_across_atomic)
{
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(self->ro, PG, RD, BASE + PG));
	OK(MAP(self->mem, PG, RW, BASE + 2 * PG));
	FAILS(EPERM, COPY2(3 * PG, RW, BASE, BASE));
	EXPECT_EQ(0, count_areas(self->fd, self->id2));
	OK(iommu_map_at(self->fd, self->id2, self->mem, PG, RW,
			BASE + 2 * PG));
	FAILS(EEXIST, COPY2(3 * PG, RD, BASE, BASE));
	EXPECT_EQ(1, count_areas(self->fd, self->id2));
	EXPECT_EQ(4, stat_read("areas"));
}

/* -- ranges ------------------------------------------------------------- */

TEST_F(ioas, ranges_whole)
{
	struct iommu_iova_range r[4] = { { 1, 1 }, { 7, 7 } };
	uint64_t align = 0;
	uint32_t n = 4;

	OK(iommu_ranges(self->fd, self->id, r, &n, &align));
	EXPECT_EQ(1, n);
	EXPECT_EQ(0, r[0].start);
	EXPECT_EQ(UINT64_MAX, r[0].last);
	EXPECT_EQ(7, r[1].start);
	EXPECT_EQ(1, align);
	/* Mappings and allowed lists do not change what can be mapped. */
	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_allow_one(self->fd, self->id, BASE, 2 * BASE));
	n = 4;
	OK(iommu_ranges(self->fd, self->id, r, &n, &align));
	EXPECT_EQ(1, n);
	EXPECT_EQ(UINT64_MAX, r[0].last);
	n = 0;
	FAILS(EMSGSIZE, iommu_ranges(self->fd, self->id, r, &n, &align));
	EXPECT_EQ(1, n);
}

TEST_F(ioas, allow_bad)
{
	static const struct iommu_iova_range bad[][2] = {
		{ { 2, 1 }, { 8, 9 } },			/* reversed */
		{ { 0x1000, 0x1fff }, { 0x1fff, 0x2fff } }, /* share a byte */
		{ { 0x1000, 0x1fff }, { 0x1000, 0x1fff } },
		{ { 0x1000, 0x8fff }, { 0x2000, 0x2fff } },
		{ { 0, UINT64_MAX }, { 0x1000, 0x1fff } },
		{ { UINT64_MAX, 0 }, { 0x1000, 0x1fff } },
	};
	struct iommu_iova_range good = { BASE, BASE + PG - 1 };
	uint64_t iova = 0;
	unsigned int i;

	OK(iommu_allow(self->fd, self->id, &good, 1));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EQ(-EINVAL, iommu_allow(self->fd, self->id, bad[i], 2),
		   "list %u", i);
	/* The list before is still in force. */
	OK(iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
	EXPECT_EQ(BASE, iova);
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
}

TEST_F(ioas, allow_many)
{
	struct iommu_iova_range *r = mem_alloc(1024 * sizeof(*r), PG);
	uint64_t iova = 0;
	int i;

	ASSERT_NE(NULL, r);
	for (i = 0; i < 1024; i++) {
		r[i].start = (1024 - i) * 0x10000ULL;
		r[i].last = r[i].start + PG - 1;
	}
	/* In any order. Neighbours may touch. */
	OK(iommu_allow(self->fd, self->id, r, 1024));
	for (i = 0; i < 1024; i++) {
		OK(iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
		ASSERT_EQ(0, iova % 0x10000);
	}
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
	r[0].start = BASE;
	r[0].last = BASE + PG - 1;
	r[1].start = BASE + PG;
	r[1].last = BASE + 2 * PG - 1;
	OK(iommu_allow(self->fd, self->id, r, 2));
}

/* -- options ------------------------------------------------------------ */

TEST_F(ioas, huge_pages_option)
{
	uint64_t v;

	OK(iommu_option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, &v));
	EXPECT_EQ(1, v);
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, 0));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, &v));
	EXPECT_EQ(0, v);
	/* The IOAS beside it has its own. */
	OK(iommu_option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id2, &v));
	EXPECT_EQ(1, v);
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, 0));
	/* Only whole pages from now on. */
	FAILS(EINVAL, MAP(self->mem, 1, RW, BASE));
	FAILS(EINVAL, MAP(self->mem, PG, RW, BASE + 1));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, 1));
	OK(MAP(self->mem, 1, RW, BASE + PG + 1));
	FAILS(EADDRINUSE, iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
					   self->id, 0));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, &v));
	EXPECT_EQ(1, v);
	OK(UNMAP(BASE + PG + 1, 1));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->id, 0));
}

TEST_F(ioas, rlimit_mode)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	uint32_t id;
	uint64_t v;
	pid_t pid;

	ASSERT_LE(0, fd);
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(0, v);
	OK(iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(1, v);
	FAILS(EINVAL, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 2));
	FAILS(EINVAL, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0,
				       1ULL << 32));
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(1, v);
	OK(iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));
	/* Looking needs no capability, setting does. */
	pid = fork();
	if (!pid) {
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(-EPERM, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE,
						  0, 1));
		CHECK_RC(0, iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0,
					     &v));
		CHECK(v == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	OK(iommu_ioas_alloc(fd, &id));
	FAILS(EBUSY, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	FAILS(EBUSY, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(0, v);
	OK(iommu_destroy(fd, id));
	OK(iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	close(fd);
}

TEST_F(ioas, area_quota)
{
	struct ioas_info info;
	uint64_t iova = 0, v;
	int i;

	OK(iommu_ioas_info(self->fd, self->id, &info));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, &v));
	EXPECT_EQ(info.i.area_quota, v);
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 4));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, &v));
	EXPECT_EQ(4, v);
	for (i = 0; i < 4; i++)
		OK(MAP(self->mem, PG, RW, BASE + i * PG));
	FAILS(ENOSPC, MAP(self->mem, PG, RW, 2 * BASE));
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
	FAILS(ENOSPC, COPY(PG, RW, 2 * BASE, BASE));
	AREAS(4);
	FAILS(EBUSY, iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA,
				      self->id, 3));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, &v));
	EXPECT_EQ(4, v);
	/* A copy of many pieces does not go over it in the middle. */
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id2, 3));
	FAILS(ENOSPC, COPY2(4 * PG, RW, BASE, BASE));
	EXPECT_EQ(0, count_areas(self->fd, self->id2));
	OK(COPY2(3 * PG, RW, BASE, BASE));
	/* What is unmapped may be mapped again. */
	OK(UNMAP(BASE, PG));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 5));
	OK(MAP(self->mem, PG, RW, 2 * BASE));
	FAILS(ENOSPC, MAP(self->mem, PG, RW, 3 * BASE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id,
			    UINT64_MAX));
	OK(MAP(self->mem, PG, RW, 3 * BASE));
	OK(UNMAP(0, WHOLE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 0));
	FAILS(ENOSPC, MAP(self->mem, PG, RW, BASE));
}

/* A failed map must not use the quota up. */
TEST_F(ioas, area_quota_after_failures)
{
	int i;

	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 2));
	OK(MAP(self->mem, PG, RW, BASE));
	for (i = 0; i < 100; i++) {
		FAILS(EEXIST, MAP(self->mem, PG, RW, BASE));
		FAILS(EEXIST, COPY(PG, RW, BASE, BASE));
		FAILS(ENOENT, COPY(2 * PG, RW, 2 * BASE, BASE));
		FAILS(EOVERFLOW, MAP(self->mem, 2 * PG, RW,
				     UINT64_MAX - PG + 1));
	}
	OK(MAP(self->mem, PG, RW, 2 * BASE));
}

/* The sum follows the CPUs' parts of it after two seconds. */
static int slab_becomes(long long least, long long most)
{
	uint64_t end = now_ms() + PATIENCE;
	long long v;

	while ((v = cgroup_stat("slab")) < least || v > most) {
		if (now_ms() > end) {
			fprintf(stderr, "# slab: %lld, not %lld to %lld\n", v,
				least, most);
			return -ETIMEDOUT;
		}
		usleep(100000);
	}
	return 0;
}

#define NR_SMALL 20000

/* What one object takes, with all that the kernel's debugging adds; or -1. */
static long long slab_size(const char *cache)
{
	long long v = -1;
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/slab_size", cache);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%lld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

/* Mappings are memory of the kernel's, charged to whoever asks for them. */
TEST_F_TIMEOUT(ioas, control_group, 150)
{
	long long area = slab_size("granule_area");
	long long pages = slab_size("granule_pages");
	long long before, all;
	const char *why;
	pid_t pid;
	int i;

	ASSERT_LT(0, area);
	ASSERT_LT(0, pages);
	/* All but what is on its way into the sum. */
	all = NR_SMALL * (area + pages) * 15 / 16;
	why = cgroup_begin();
	if (why)
		SKIP(return, "%s", why);
	pid = fork();
	if (!pid) {
		CHECK_RC(0, cgroup_enter());
		CHECK_RC(0, MAP(self->mem, PG, RW, BASE));
		/* What is charged by now comes in. */
		sleep(3);
		before = cgroup_stat("slab");
		CHECK(before >= 0);
		for (i = 1; i < NR_SMALL; i++)
			CHECK_RC(0, MAP(self->mem, PG, RW, BASE + 2 * i * PG));
		CHECK_RC(0, slab_becomes(before + all, LLONG_MAX));
		CHECK(stat_read("areas") == NR_SMALL);
		CHECK_RC(0, UNMAP(0, WHOLE));
		CHECK_RC(0, slab_becomes(0, before + MIB));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	cgroup_end();
}

/* -- looking ------------------------------------------------------------ */

TEST_F(ioas, info)
{
	struct ioas_info info;

	OK(MAP(self->mem, 3 * PG, RW, BASE));
	OK(MAP(self->mem, PG, RD, 2 * BASE));
	OK(iommu_ioas_info(self->fd, self->id, &info));
	EXPECT_EQ(0, info.i.granule);
	EXPECT_EQ(1, info.i.iova_alignment);
	EXPECT_EQ(2, info.i.nr_areas);
	EXPECT_EQ(4 * PG, info.i.mapped_bytes);
	EXPECT_EQ(0, info.i.pinned_bytes);
	EXPECT_EQ(self->id, info.i.ioas_id);
	OK(UNMAP(BASE, 3 * PG));
	OK(iommu_ioas_info(self->fd, self->id, &info));
	EXPECT_EQ(1, info.i.nr_areas);
	EXPECT_EQ(PG, info.i.mapped_bytes);
	OK(iommu_ioas_info(self->fd, self->id2, &info));
	EXPECT_EQ(0, info.i.nr_areas);
	EXPECT_EQ(0, info.i.mapped_bytes);
}

TEST_F(ioas, info_memlock)
{
	struct rlimit lim = { 12345678, 23456789 };
	struct ioas_info info;
	pid_t pid;

	/* The limit does not bind who has CAP_IPC_LOCK. */
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	OK(iommu_ioas_info(self->fd, self->id, &info));
	EXPECT_EQ(UINT64_MAX, info.i.memlock_limit);
	pid = fork();
	if (!pid) {
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, iommu_ioas_info(self->fd, self->id, &info));
		CHECK(info.i.memlock_limit == 12345678);
		CHECK(info.i.memlock_used == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	lim.rlim_cur = lim.rlim_max = RLIM_INFINITY;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	pid = fork();
	if (!pid) {
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, iommu_ioas_info(self->fd, self->id, &info));
		CHECK(info.i.memlock_limit == UINT64_MAX);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(ioas, list_pages)
{
	struct iommu_area_info a[12], all[12];
	uint32_t n, more, page;
	uint64_t at;
	int i;

	at = 0;
	n = 12;
	OK(iommu_list(self->fd, self->id, &at, a, &n, &more));
	EXPECT_EQ(0, n);
	EXPECT_EQ(0, more);
	for (i = 0; i < 10; i++)
		OK(MAP(self->mem + i * 16, PG, i & 1 ? RD : RW,
		       BASE + (9 - i) * 2 * PG));
	OK(MAP(self->mem, PG, WR, UINT64_MAX - PG + 1));
	OK(MAP(self->mem, PG, RW, 0));
	for (page = 1; page <= 12; page++) {
		memset(all, 0xee, sizeof(all));
		ASSERT_EQ(12, iommu_list_all(self->fd, self->id, all, 12, page))
			TH_LOG("%u at a time", page);
		EXPECT_EQ(0, all[0].iova);
		EXPECT_EQ(UINT64_MAX - PG + 1, all[11].iova);
		EXPECT_EQ(WR, all[11].flags);
		for (i = 0; i < 10; i++) {
			EXPECT_EQ(BASE + i * 2 * PG, all[i + 1].iova);
			EXPECT_EQ(PG, all[i + 1].length);
			EXPECT_EQ((uintptr_t)self->mem + (9 - i) * 16,
				  all[i + 1].user_va);
			EXPECT_EQ((9 - i) & 1 ? RD : RW, all[i + 1].flags);
			EXPECT_EQ(IOMMU_AREA_SOURCE_USER, all[i + 1].source);
		}
	}
	/* Exactly full is not "more". */
	n = 12;
	at = 0;
	OK(iommu_list(self->fd, self->id, &at, a, &n, &more));
	EXPECT_EQ(12, n);
	EXPECT_EQ(0, more);
	n = 11;
	at = 0;
	OK(iommu_list(self->fd, self->id, &at, a, &n, &more));
	EXPECT_EQ(11, n);
	EXPECT_EQ(1, more);
	EXPECT_LT(BASE + 18 * PG, at);
	EXPECT_GE(UINT64_MAX - PG + 1, at);
	/* From the middle, and beyond the last. */
	n = 12;
	at = BASE + 2 * PG;
	OK(iommu_list(self->fd, self->id, &at, a, &n, &more));
	EXPECT_EQ(10, n);
	EXPECT_EQ(BASE + 2 * PG, a[0].iova);
	OK(UNMAP(UINT64_MAX - PG + 1, PG));
	n = 12;
	at = UINT64_MAX;
	OK(iommu_list(self->fd, self->id, &at, a, &n, &more));
	EXPECT_EQ(0, n);
	EXPECT_EQ(0, more);
}

TEST_HARNESS_MAIN
