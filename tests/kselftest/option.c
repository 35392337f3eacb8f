// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU_OPTION_IOAS_GRANULE: what it may be, where it is told, and what there is
 * to say when an IOAS is in use.
 */
#include "granule.h"

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

TEST_HARNESS_MAIN
