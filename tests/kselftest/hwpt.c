// SPDX-License-Identifier: GPL-2.0-only
/* Page tables of devices: attached, replaced, made by hand. */
#include "dma.h"

/* -- attaching to what is mapped already -------------------------------- */

TEST_F(dma, attach_pins)
{
	OK(MAP(self->mem, 4 * PG, RW, BASE));
	OK(MAP(self->mem + 8 * PG, PG, RD, BASE + 0x100000));
	PINNED(0);
	OK(ATTACH());
	PINNED(5 * PG);
	TEACH(11);
	OK(STORE(BASE + 2 * PG, PG));
	EXPECT_TRUE(pattern_is(self->mem + 2 * PG, PG, 11));
	OK(DETACH());
	PINNED(0);
}

TEST_F(dma, attach_bad_memory)
{
	long long objects = stat_read("objects");

	OK(MAP(self->mem, 4 * PG, RW, BASE));
	OK(MAP((void *)0x10000, PG, RW, BASE + 0x100000));
	FAILS(EFAULT, ATTACH());
	PINNED(0);
	EXPECT_EQ(objects, stat_read("objects"));
	/* DMA is still blocked. */
	pattern_fill(self->mem, PG, SECRET);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, SECRET));
	OK(UNMAP(BASE + 0x100000, PG));
	OK(ATTACH());
	PINNED(4 * PG);
}

TEST_F(dma, attach_conflicts)
{
	long long objects = stat_read("objects");
	struct iommu_iova_range r[2];
	uint32_t n = 2;

	/* A mapping where interrupts go. */
	OK(MAP(self->mem, 2 * PG, RW, MSI_START - PG));
	FAILS(EADDRINUSE, ATTACH());
	OK(UNMAP(0, WHOLE));
	/* A mapping that the IOMMU cannot reach. */
	OK(MAP(self->mem, PG, RW, UINT64_MAX - PG + 1));
	FAILS(EADDRINUSE, ATTACH());
	OK(UNMAP(0, WHOLE));
	/* An IOVA, a length, an offset that is no multiple of a page. */
	OK(MAP(self->mem, PG, RW, BASE + 16));
	FAILS(EADDRINUSE, ATTACH());
	OK(UNMAP(0, WHOLE));
	OK(MAP(self->mem, PG + 16, RW, BASE));
	FAILS(EADDRINUSE, ATTACH());
	OK(UNMAP(0, WHOLE));
	OK(MAP(self->mem + 16, PG, RW, BASE));
	FAILS(EADDRINUSE, ATTACH());
	OK(UNMAP(0, WHOLE));
	/* A promise that this device would break. */
	OK(iommu_allow_one(self->fd, self->ioas, AROUND_START, AROUND_LAST));
	FAILS(EADDRINUSE, ATTACH());
	OK(iommu_allow_one(self->fd, self->ioas, 1ULL << 62,
			   (1ULL << 62) + PG - 1));
	FAILS(EADDRINUSE, ATTACH());
	/* None of that has left anything behind. */
	EXPECT_EQ(objects, stat_read("objects"));
	PINNED(0);
	OK(iommu_ranges(self->fd, self->ioas, r, &n, NULL));
	EXPECT_EQ(1, n);
	EXPECT_EQ(UINT64_MAX, r[0].last);
	OK(iommu_allow(self->fd, self->ioas, NULL, 0));
	OK(ATTACH());
}

TEST_F(dma, attach_bad)
{
	uint32_t id;

	FAILS(ENOENT, edu_attach(&self->edu, 0));
	FAILS(ENOENT, edu_attach(&self->edu, 12345));
	id = self->edu.dev_id;
	EXPECT_NE(0, edu_attach(&self->edu, id));
	OK(ATTACH());
	/* The same again changes nothing. */
	OK(ATTACH());
	EXPECT_EQ(1, stat_read("devices"));
	FAILS(ENOENT, edu_attach(&self->edu, 12345));
	OK(MAP(self->mem, PG, RW, BASE));
	TEACH(1);
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 1));
}

TEST_F(dma, replace)
{
	uint8_t *other = self->mem + 8 * PG;
	uint32_t ioas2, bad;

	OK(iommu_ioas_alloc(self->fd, &ioas2));
	OK(iommu_ioas_alloc(self->fd, &bad));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_map_at(self->fd, ioas2, other, PG, RW, BASE));
	OK(iommu_map_at(self->fd, bad, (void *)0x10000, PG, RW, BASE));
	OK(ATTACH());
	TEACH(21);
	OK(edu_attach(&self->edu, ioas2));
	PINNED(PG);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(pattern_is(other, PG, 21));
	EXPECT_TRUE(bytes_are(self->mem, PG, 0x11));
	/* An IOAS that refuses leaves the device where it was. */
	FAILS(EFAULT, edu_attach(&self->edu, bad));
	PINNED(PG);
	pattern_fill(other, PG, 22);
	OK(LOAD(BASE, PG));
	memset(other, 0, PG);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(pattern_is(other, PG, 22));
	FAILS(EBUSY, iommu_destroy(self->fd, ioas2));
	OK(iommu_destroy(self->fd, bad));
	/* And back. */
	OK(ATTACH());
	OK(iommu_destroy(self->fd, ioas2));
	PINNED(PG);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(pattern_is(self->mem, PG, 22));
	FAILS(EBUSY, iommu_destroy(self->fd, self->ioas));
	OK(DETACH());
	OK(iommu_destroy(self->fd, self->ioas));
}

/* Replacing within one IOAS keeps every mapping and pin. */
TEST_F(dma, replace_same_ioas)
{
	uint32_t a, b, pt;

	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &a));
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &b));
	EXPECT_NE(a, b);
	pt = a;
	OK(edu_attach_pt(&self->edu, &pt));
	EXPECT_EQ(a, pt);
	TEACH(31);
	pt = b;
	OK(edu_attach_pt(&self->edu, &pt));
	EXPECT_EQ(b, pt);
	PINNED(PG);
	OK(iommu_destroy(self->fd, a));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 31));
	pt = self->ioas;
	OK(edu_attach_pt(&self->edu, &pt));
	EXPECT_NE(self->ioas, pt);
	OK(DETACH());
	OK(iommu_destroy(self->fd, b));
	OK(iommu_destroy(self->fd, self->ioas));
}

/* -- page tables made by hand ------------------------------------------- */

static int hwpt_try(int fd, struct iommu_hwpt_alloc *cmd)
{
	cmd->size = sizeof(*cmd);
	return try_ioctl(fd, IOMMU_HWPT_ALLOC, cmd);
}

TEST_F(dma, hwpt_bad)
{
	struct iommu_hwpt_alloc good = {
		.dev_id = self->edu.dev_id,
		.pt_id = self->ioas,
	}, c;
	long long objects = stat_read("objects");
	int bit;

#define TRY(err, field, value)						\
	do {								\
		c = good;						\
		c.field = value;					\
		EQ(-(err), hwpt_try(self->fd, &c), #field " = " #value); \
	} while (0)
	TRY(ENOENT, dev_id, 0);
	TRY(ENOENT, dev_id, 4711);
	TRY(ENOENT, dev_id, self->ioas);
	for (bit = 0; bit < 32; bit++) {
		TRY(EOPNOTSUPP, flags, 1U << bit);
		TRY(EOPNOTSUPP, __reserved, 1U << bit);
		TRY(EOPNOTSUPP, __reserved2, 1U << bit);
	}
	TRY(EINVAL, data_len, 1);
	/* Neither an unknown ID nor that of a device is an IOAS. */
	c = good;
	c.pt_id = 4711;
	EXPECT_NE(0, hwpt_try(self->fd, &c));
	c.pt_id = self->edu.dev_id;
	EXPECT_NE(0, hwpt_try(self->fd, &c));
	c = good;
	c.data_type = 7;
	EXPECT_NE(0, hwpt_try(self->fd, &c));
	c.data_len = 16;
	c.data_uptr = (uintptr_t)self->mem;
	EXPECT_NE(0, hwpt_try(self->fd, &c));
	c = good;
	c.data_uptr = 1;
	EXPECT_NE(0, hwpt_try(self->fd, &c));
	c = good;
	c.fault_id = 1;
	EXPECT_NE(0, hwpt_try(self->fd, &c));
#undef TRY
	EXPECT_EQ(objects, stat_read("objects"));
	OK(hwpt_try(self->fd, &good));
	OK(iommu_destroy(self->fd, good.out_hwpt_id));
}

/* A table without a device attached holds the mappings as well. */
TEST_F(dma, hwpt_pins)
{
	uint32_t hwpt;

	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &hwpt));
	PINNED(PG);
	OK(MAP(self->mem + PG, PG, RW, BASE + PG));
	PINNED(2 * PG);
	FAILS(EINVAL, MAP(self->mem, 16, RW, BASE + 2 * PG));
	/* What cannot be pinned fails the creation, and leaves no table. */
	OK(iommu_destroy(self->fd, hwpt));
	PINNED(0);
	OK(MAP((void *)0x10000, PG, RW, BASE + 2 * PG));
	FAILS(EFAULT, iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas,
				       0, &hwpt));
	PINNED(0);
	EXPECT_EQ(2, stat_read("objects"));
}

/* Two tables on one IOAS pin once, and hold the same mappings. */
TEST_F(dma, hwpt_two_tables)
{
	uint32_t a, b;

	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &a));
	OK(MAP(self->mem, 2 * PG, RW, BASE));
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &b));
	PINNED(2 * PG);
	OK(edu_attach(&self->edu, b));
	TEACH(41);
	OK(edu_attach(&self->edu, a));
	OK(MAP(self->mem + 4 * PG, PG, RW, BASE + 4 * PG));
	OK(STORE(BASE + 4 * PG, PG));
	EXPECT_TRUE(pattern_is(self->mem + 4 * PG, PG, 41));
	OK(iommu_destroy(self->fd, b));
	OK(UNMAP(BASE, 2 * PG));
	PINNED(PG);
	OK(STORE(BASE, PG));
	EXPECT_TRUE(bytes_are(self->mem, PG, 0x11));
}

TEST_HARNESS_MAIN
