// SPDX-License-Identifier: GPL-2.0-only
/* Where the kernel places mappings, and where it is allowed to. */
#include "ioas.h"

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

TEST_HARNESS_MAIN
