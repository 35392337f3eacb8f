// SPDX-License-Identifier: GPL-2.0-only
/* Real DMA of QEMU's edu device through the IOMMU, and what limits it. */
#include "dma.h"

TEST_F(dma, both_ways)
{
	OK(MAP(self->mem, 2 * PG, RW, BASE));
	PINNED(0);
	OK(ATTACH());
	PINNED(2 * PG);
	pattern_fill(self->mem, PG, 1);
	memset(self->mem + PG, 0x22, PG);
	OK(LOAD(BASE, PG));
	OK(STORE(BASE + PG, PG));
	EXPECT_TRUE(pattern_is(self->mem + PG, PG, 1));
	EXPECT_TRUE(pattern_is(self->mem, PG, 1));
	/* Not from the start of a page, and over the end of one. */
	pattern_fill(self->mem + 1000, PG, 2);
	OK(LOAD(BASE + 1000, PG));
	memset(self->mem, 0x33, 2 * PG);
	OK(STORE(BASE + 2000, PG));
	EXPECT_TRUE(bytes_are(self->mem, 2000, 0x33));
	EXPECT_TRUE(pattern_is(self->mem + 2000, PG, 2));
	EXPECT_TRUE(bytes_are(self->mem + 2000 + PG, PG - 2000, 0x33));
	OK(UNMAP(BASE, 2 * PG));
	PINNED(0);
}

TEST_F(dma, map_while_attached)
{
	uint64_t iova = 0;

	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	PINNED(PG);
	TEACH(3);
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 3));
	OK(UNMAP(BASE, PG));
	PINNED(0);
	/* Placed by the kernel, where this device reaches. */
	OK(iommu_allow_one(self->fd, self->ioas, 0x200000, 0x7ffffff));
	OK(iommu_map(self->fd, self->ioas, self->mem, 2 * PG, RW, &iova));
	EXPECT_LE(0x200000, iova);
	pattern_fill(self->mem, PG, 4);
	OK(LOAD(iova, PG));
	OK(STORE(iova + PG, PG));
	EXPECT_TRUE(pattern_is(self->mem + PG, PG, 4));
}

TEST_F(dma, order_of_pages)
{
	int order[16] = { 7, 2, 15, 0, 9, 4, 12, 1, 14, 3, 8, 11, 6, 10, 5, 13 };
	int i;

	/* Pages in an order that no physical one can follow. */
	OK(ATTACH());
	for (i = 0; i < 16; i++) {
		pattern_fill(self->mem + i * PG, PG, i);
		OK(MAP(self->mem + order[i] * PG, PG, RW, BASE + i * PG));
	}
	OK(iommu_map_at(self->fd, self->ioas, mem_alloc(PG, PG), PG, RW,
			BASE + 0x100000));
	for (i = 0; i < 16; i += 3) {
		OK(LOAD(BASE + i * PG, PG));
		memset(self->mem + order[i] * PG, 0, PG);
		OK(STORE(BASE + i * PG, PG));
		EXPECT_TRUE(pattern_is(self->mem + order[i] * PG, PG,
				       order[i]));
	}
}

TEST_F(dma, blocked_after_unmap)
{
	uint8_t *secret = self->mem + 4 * PG;

	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(secret, PG, RW, BASE + PG));
	/* The translation has been used, so that it is in the IOTLB. */
	OK(LOAD(BASE + PG, PG));
	pattern_fill(secret, PG, SECRET);
	TEACH(OLD);
	OK(UNMAP(BASE + PG, PG));
	OK(STORE(BASE + PG, PG));
	EXPECT_TRUE(pattern_is(secret, PG, SECRET));
	OK(LOAD(BASE + PG, PG));
	ASK();
	EXPECT_FALSE(pattern_is(self->mem, PG, SECRET));
	EXPECT_FALSE(pattern_is(self->mem, 16, SECRET));
}

/* Of a large mapping as well, where the IOMMU may use large pages. */
TEST_F(dma, blocked_after_unmap_huge)
{
	uint8_t *big = mem_alloc(4 * MIB, 2 * MIB);

	ASSERT_NE(NULL, big);
	madvise(big, 4 * MIB, MADV_HUGEPAGE);
	memset(big, 0, 4 * MIB);
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(big, 4 * MIB, RW, 0x2000000));
	PINNED(4 * MIB + PG);
	pattern_fill(big + 3 * MIB, PG, 9);
	OK(LOAD(0x2000000 + 3 * MIB, PG));
	OK(STORE(0x2000000 + MIB, PG));
	EXPECT_TRUE(pattern_is(big + MIB, PG, 9));
	TEACH(OLD);
	OK(UNMAP(0x2000000, 4 * MIB));
	PINNED(PG);
	pattern_fill(big + MIB, PG, SECRET);
	OK(STORE(0x2000000 + MIB, PG));
	EXPECT_TRUE(pattern_is(big + MIB, PG, SECRET));
	OK(LOAD(0x2000000 + MIB, PG));
	ASK();
	EXPECT_FALSE(pattern_is(self->mem, 16, SECRET));
}

TEST_F(dma, blocked_before_attach)
{
	OK(MAP(self->mem, PG, RW, BASE));
	pattern_fill(self->mem, PG, SECRET);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, SECRET));
	/* The page's physical address is nothing special either. */
	OK(LOAD(BASE, PG));
	OK(ATTACH());
	ASK();
	EXPECT_FALSE(pattern_is(self->mem, 16, SECRET));
}

TEST_F(dma, blocked_after_detach)
{
	OK(MAP(self->mem, 2 * PG, RW, BASE));
	OK(ATTACH());
	TEACH(OLD);
	OK(DETACH());
	PINNED(0);
	pattern_fill(self->mem, PG, SECRET);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, SECRET));
	OK(LOAD(BASE, PG));
	OK(ATTACH());
	PINNED(2 * PG);
	OK(STORE(BASE + PG, PG));
	EXPECT_FALSE(pattern_is(self->mem + PG, 16, SECRET));
	/* Detaching twice, or never having been attached, is fine. */
	OK(DETACH());
	OK(DETACH());
}

TEST_F(dma, beside_the_mapping)
{
	/* One page before and behind: memory there is not the device's. */
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(self->mem + 4 * PG, PG, RW, BASE + 4 * PG));
	TEACH(OLD);
	pattern_fill(self->mem + 3 * PG, 3 * PG, SECRET);
	OK(STORE(BASE + 3 * PG, PG));
	OK(STORE(BASE + 5 * PG, PG));
	EXPECT_TRUE(pattern_is(self->mem + 3 * PG, 3 * PG, SECRET));
}

TEST_F(dma, permissions)
{
	uint8_t *ro = self->mem + 2 * PG, *wo = self->mem + 4 * PG;

	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(ro, PG, RD, BASE + PG));
	OK(MAP(wo, PG, WR, BASE + 2 * PG));
	pattern_fill(ro, PG, 6);
	TEACH(OLD);
	/* Not written through a mapping for reading ... */
	OK(STORE(BASE + PG, PG));
	EXPECT_TRUE(pattern_is(ro, PG, 6));
	/* ... which can be read. */
	OK(LOAD(BASE + PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 6));
	/* One for writing takes data ... */
	OK(STORE(BASE + 2 * PG, PG));
	EXPECT_TRUE(pattern_is(wo, PG, 6));
}

/* ... and does not give any, where the IOMMU's page tables can say that. */
TEST_F(dma, write_only)
{
	uint8_t *wo = self->mem + 4 * PG;
	struct iommu_hw_info hw;

	OK(hw_info(self->fd, self->edu.dev_id, NULL, 0, &hw));
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(wo, PG, WR, BASE + 2 * PG));
	TEACH(OLD);
	pattern_fill(wo, PG, SECRET);
	OK(LOAD(BASE + 2 * PG, PG));
	ASK();
	if (hw.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD)
		SKIP(return, "the Intel driver makes every page readable");
	EXPECT_FALSE(pattern_is(self->mem, 16, SECRET));
}

/* -- what can be mapped once a device is there ------------------------- */

TEST_F(dma, ranges)
{
	struct iommu_iova_range r[32];
	uint64_t align = 0, big = 1ULL << 57;
	uint32_t n = 32, i;

	OK(ATTACH());
	OK(iommu_ranges(self->fd, self->ioas, r, &n, &align));
	EXPECT_LE(2, n);
	EXPECT_EQ(PG, align);
	for (i = 0; i < n; i++) {
		EXPECT_LE(r[i].start, r[i].last);
		EXPECT_EQ(0, r[i].start % PG);
		EXPECT_EQ(PG - 1, r[i].last % PG);
		EXPECT_TRUE(r[i].last < MSI_START || r[i].start > MSI_LAST);
		if (i) {
			EXPECT_LT(r[i - 1].last + 1, r[i].start);
		}
		/* Both ends are usable, and the byte beside them is not. */
		if (r[i].start) {
			FAILS(EINVAL, MAP(self->mem, PG, RW, r[i].start - PG));
		}
		OK(MAP(self->mem, PG, RW, r[i].start));
		OK(MAP(self->mem, PG, RW, r[i].last - PG + 1));
		if (r[i].last != UINT64_MAX) {
			FAILS(EINVAL, MAP(self->mem, PG, RW, r[i].last + 1));
			FAILS(EINVAL, MAP(self->mem, 2 * PG, RW,
					  r[i].last - PG + 1));
		}
	}
	PINNED(2 * n * PG);
	EXPECT_GE(big, r[n - 1].last);
	OK(UNMAP(0, WHOLE));
	PINNED(0);
	/* Too small an array gets the first ones. */
	memset(&r[1], 0x5a, sizeof(r[1]));
	n = 1;
	FAILS(EMSGSIZE, iommu_ranges(self->fd, self->ioas, r, &n, &align));
	EXPECT_LE(2, n);
	EXPECT_TRUE(bytes_are(&r[1], sizeof(r[1]), 0x5a));
	OK(DETACH());
	n = 32;
	OK(iommu_ranges(self->fd, self->ioas, r, &n, &align));
	EXPECT_EQ(1, n);
	EXPECT_EQ(UINT64_MAX, r[0].last);
	EXPECT_EQ(1, align);
}

TEST_F(dma, reserved_region)
{
	uint64_t iova = 0;

	OK(ATTACH());
	FAILS(EINVAL, MAP(self->mem, PG, RW, MSI_START));
	FAILS(EINVAL, MAP(self->mem, PG, RW, MSI_LAST + 1 - PG));
	FAILS(EINVAL, MAP(self->mem, 2 * PG, RW, MSI_START - PG));
	FAILS(EINVAL, MAP(self->mem, 2 * PG, RW, MSI_LAST + 1 - PG));
	FAILS(EINVAL, MAP(self->mem, 16 * PG, RW, MSI_START + 0x8000));
	OK(MAP(self->mem, PG, RW, MSI_START - PG));
	OK(MAP(self->mem, PG, RW, MSI_LAST + 1));
	FAILS(EADDRINUSE, iommu_allow_one(self->fd, self->ioas, MSI_START,
					  MSI_START + PG - 1));
	FAILS(EADDRINUSE, iommu_allow_one(self->fd, self->ioas, AROUND_START,
					  0xffffffff));
	OK(iommu_allow_one(self->fd, self->ioas, MSI_START - 0x20000,
			   MSI_START - 1));
	OK(iommu_map(self->fd, self->ioas, self->mem, PG, RW, &iova));
	EXPECT_LE(MSI_START - 0x20000, iova);
	EXPECT_GT(MSI_START - PG, iova);
}

TEST_F(dma, outside_aperture)
{
	OK(ATTACH());
	FAILS(EINVAL, MAP(self->mem, PG, RW, UINT64_MAX - PG + 1));
	FAILS(EINVAL, MAP(self->mem, PG, RW, 1ULL << 63));
	FAILS(EINVAL, MAP(self->mem, PG, RW, 1ULL << 57));
	FAILS(EADDRINUSE, iommu_allow_one(self->fd, self->ioas, 1ULL << 62,
					  (1ULL << 62) + PG - 1));
}

TEST_F(dma, misaligned)
{
	uint64_t off, iova = 0;

	OK(ATTACH());
	for (off = 1; off < PG; off *= 2) {
		FAILS(EINVAL, MAP(self->mem, PG, RW, BASE + off));
		FAILS(EINVAL, MAP(self->mem, off, RW, BASE));
		FAILS(EINVAL, MAP(self->mem, PG + off, RW, BASE));
		FAILS(EINVAL, MAP(self->mem + off, PG, RW, BASE));
		FAILS(EINVAL, MAP(self->mem + off, PG, RW, BASE + off));
		FAILS(EINVAL, iommu_map(self->fd, self->ioas, self->mem, off,
					RW, &iova));
		FAILS(EINVAL, iommu_map(self->fd, self->ioas, self->mem + off,
					PG, RW, &iova));
	}
	OK(MAP(self->mem, 2 * PG, RW, BASE));
	FAILS(EINVAL, iommu_copy_at(self->fd, self->ioas, self->ioas, BASE + 1,
				    PG, RW, BASE + 4 * PG));
	FAILS(EINVAL, iommu_copy_at(self->fd, self->ioas, self->ioas, BASE,
				    PG, RW, BASE + 4 * PG + 1));
	FAILS(EINVAL, iommu_copy_at(self->fd, self->ioas, self->ioas, BASE,
				    17, RW, BASE + 4 * PG));
	PINNED(2 * PG);
	EXPECT_EQ(1, stat_read("areas"));
}

/* -- what the hardware says --------------------------------------------- */

TEST_F(dma, hw_info)
{
	struct iommu_hw_info cmd;
	struct iommu_hw_info_vtd full;
	uint32_t len, have, i;
	uint8_t buf[256];

	OK(hw_info(self->fd, self->edu.dev_id, NULL, 0, &cmd));
	have = cmd.data_len;
	EXPECT_EQ(0, cmd.out_capabilities);
	EXPECT_EQ(0, cmd.out_max_pasid_log2);
	if (cmd.out_data_type == IOMMU_HW_INFO_TYPE_NONE) {
		EXPECT_EQ(0, have);
	} else {
		EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, cmd.out_data_type);
		EXPECT_EQ(sizeof(full), have);
	}
	memset(&full, 0, sizeof(full));
	OK(hw_info(self->fd, self->edu.dev_id, &full, sizeof(full), &cmd));
	if (have) {
		/* Bit 31 of the extended ones is not used; 12..8 is SAGAW. */
		EXPECT_NE(0, full.cap_reg >> 8 & 0x1f);
		EXPECT_EQ(0, full.__reserved);
	}
	for (len = 0; len <= have + 64; len++) {
		memset(buf, 0xa5, sizeof(buf));
		OK(hw_info(self->fd, self->edu.dev_id, buf, len, &cmd));
		EXPECT_EQ(have, cmd.data_len);
		EQ(0, memcmp(buf, &full, len < have ? len : have),
		   "length %u", len);
		for (i = have; i < len; i++)
			EQ(0, buf[i], "length %u, byte %u", len, i);
		EQ(1, bytes_are(buf + len, sizeof(buf) - len, 0xa5),
		   "length %u: written beyond", len);
	}
	FAILS(EFAULT, hw_info(self->fd, self->edu.dev_id, (void *)0x10, 64,
			      &cmd));
	FAILS(EFAULT, hw_info(self->fd, self->edu.dev_id,
			      (void *)0xffff888000000000, 64, &cmd));
	FAILS(ENOENT, hw_info(self->fd, self->ioas, buf, 64, &cmd));
	/* A long buffer that ends early faults, and stops there. */
	FAILS(EFAULT, hw_info(self->fd, self->edu.dev_id, self->mem,
			      UINT32_MAX, &cmd));
}

/* -- copies of mappings ------------------------------------------------- */

TEST_F(dma, copy_keeps_memory)
{
	uint32_t ioas2;
	uint8_t *page = mem_alloc(PG, PG);

	ASSERT_NE(NULL, page);
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(page, PG, RW, BASE + PG));
	OK(iommu_copy_at(self->fd, self->ioas, self->ioas, BASE + PG, PG, RW,
			 BASE + 2 * PG));
	OK(iommu_ioas_alloc(self->fd, &ioas2));
	OK(iommu_copy_at(self->fd, ioas2, self->ioas, BASE + PG, PG, RW,
			 BASE));
	/* Pinned and counted once. */
	PINNED(2 * PG);
	OK(UNMAP(BASE + PG, PG));
	PINNED(2 * PG);
	TEACH(51);
	OK(STORE(BASE + 2 * PG, PG));
	EXPECT_TRUE(pattern_is(page, PG, 51));
	OK(STORE(BASE + PG, PG));
	/* The memory is held even when the process lets it go. */
	munmap(page, PG);
	OK(LOAD(BASE + 2 * PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 51));
	OK(UNMAP(BASE + 2 * PG, PG));
	PINNED(PG);
	/* The copy in an IOAS without a device is lazy; its memory is gone. */
	FAILS(EFAULT, edu_attach(&self->edu, ioas2));
	PINNED(PG);
}

TEST_F(dma, copy_part_read_only)
{
	uint8_t *src = self->mem + 4 * PG;
	int i;

	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	for (i = 0; i < 4; i++)
		pattern_fill(src + i * PG, PG, 60 + i);
	OK(MAP(src, 4 * PG, RW, BASE + 0x100000));
	OK(iommu_copy_at(self->fd, self->ioas, self->ioas,
			 BASE + 0x100000 + 2 * PG, PG, RD, BASE + 0x200000));
	OK(UNMAP(BASE + 0x100000, 4 * PG));
	OK(LOAD(BASE + 0x200000, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 62));
	TEACH(OLD);
	OK(STORE(BASE + 0x200000, PG));
	EXPECT_TRUE(pattern_is(src + 2 * PG, PG, 62));
	OK(UNMAP(BASE + 0x200000, PG));
	PINNED(PG);
}

/* Cut into many overlapping copies and let go in random order. */
TEST_F(dma, copy_many_orders)
{
	uint32_t order[8] = { 3, 0, 7, 5, 1, 6, 2, 4 };
	uint32_t i, k;

	OK(ATTACH());
	for (k = 0; k < 4; k++) {
		OK(MAP(self->mem, 16 * PG, RW, BASE));
		for (i = 0; i < 8; i++)
			OK(iommu_copy_at(self->fd, self->ioas, self->ioas,
					 BASE + i * PG, (1 + i % 3 * 2) * PG,
					 RW, BASE + (i + 1) * 0x100000));
		/* The whole memory stays with the whole mapping. */
		PINNED(16 * PG);
		OK(UNMAP(BASE, 16 * PG));
		for (i = 0; i < 8; i++)
			OK(UNMAP(BASE + (order[(i + k) % 8] + 1) * 0x100000,
				 0x100000));
		PINNED(0);
	}
}

TEST_F(dma, two_ioas)
{
	uint8_t *other = self->mem + 8 * PG;
	uint32_t ioas2;

	/* The same IOVA in both is different memory. */
	OK(iommu_ioas_alloc(self->fd, &ioas2));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_map_at(self->fd, ioas2, other, PG, RW, BASE));
	pattern_fill(other, PG, SECRET);
	OK(ATTACH());
	PINNED(PG);
	TEACH(71);
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 71));
	EXPECT_TRUE(pattern_is(other, PG, SECRET));
	/* Unmapping in the one has nothing to do with the other. */
	OK(iommu_unmap(self->fd, ioas2, BASE, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 71));
}

/* -- two devices -------------------------------------------------------- */

TEST_F(dma, two_devices)
{
	struct edu two;
	char bdf[32];
	uint8_t *p = self->mem + 4 * PG;

	if (edu_find(1, bdf, sizeof(bdf)))
		SKIP(return, "only one edu device (--qemu '-device edu' adds one)");
	OK(edu_open(&two, 1));
	OK(edu_bind(&two, self->fd));
	OK(edu_start(&two));
	EXPECT_EQ(2, stat_read("devices"));
	OK(MAP(self->mem, 16 * PG, RW, BASE));
	OK(ATTACH());
	OK(edu_attach(&two, self->ioas));
	PINNED(16 * PG);
	TEACH(151);
	OK(STORE(BASE + 4 * PG, PG));
	EXPECT_TRUE(pattern_is(p, PG, 151));
	OK(edu_load(&two, BASE + 4 * PG, PG));
	OK(edu_store(&two, BASE + 5 * PG, PG));
	EXPECT_TRUE(pattern_is(p + PG, PG, 151));
	/* The one leaves; the other goes on. */
	OK(DETACH());
	PINNED(16 * PG);
	OK(edu_store(&two, BASE + 6 * PG, PG));
	EXPECT_TRUE(pattern_is(p + 2 * PG, PG, 151));
	memset(p, 0, PG);
	OK(STORE(BASE + 4 * PG, PG));
	EXPECT_TRUE(bytes_are(p, PG, 0));
	edu_close(&two);
	PINNED(0);
}

TEST_HARNESS_MAIN
