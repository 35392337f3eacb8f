// SPDX-License-Identifier: GPL-2.0-only
/* I/O address spaces without a device: mapping, copying, listing. */
#include "ioas.h"

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

/* -- looking ------------------------------------------------------------ */

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
