// SPDX-License-Identifier: GPL-2.0-only
/* Real DMA of QEMU's edu device through the IOMMU, and what limits it. */
#include <signal.h>

#include "edu.h"

#define BASE 0x1000000ULL
#define SECRET 77	/* pattern that must never reach the device */
#define OLD 5		/* what the device's buffer holds before that */

FIXTURE(dma)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
	uint8_t *mem;	/* 16 pages */
};

static int dma_open(FIXTURE_DATA(dma) *self)
{
	int rc;

	self->fd = -1;
	rc = edu_open(&self->edu, 0);
	if (rc)
		return rc;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (self->fd < 0)
		return -errno;
	rc = edu_bind(&self->edu, self->fd);
	if (!rc)
		rc = edu_start(&self->edu);
	if (!rc)
		rc = iommu_ioas_alloc(self->fd, &self->ioas);
	return rc;
}

FIXTURE_SETUP(dma)
{
	char bdf[32];

	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	self->mem = mem_alloc(16 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	OK(dma_open(self));
}

FIXTURE_TEARDOWN(dma)
{
	edu_close(&self->edu);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_CLEAN();
}

#define MAP(va, len, prot, iova)					\
	iommu_map_at(self->fd, self->ioas, va, len, prot, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->ioas, iova, len)
#define ATTACH() edu_attach(&self->edu, self->ioas)
#define DETACH() edu_detach(&self->edu)
#define LOAD(iova, n) edu_load(&self->edu, iova, n)
#define STORE(iova, n) edu_store(&self->edu, iova, n)
#define PINNED(n) EQ((long long)(n), stat_read("pinned_bytes"), "pinned bytes")

/* Put a pattern into the device by way of a mapping that stays at BASE. */
#define TEACH(seed)							\
	do {								\
		pattern_fill(self->mem, PG, seed);			\
		OK(LOAD(BASE, PG));					\
		memset(self->mem, 0x11, PG);				\
	} while (0)

/* What the device holds, in self->mem. */
#define ASK()								\
	do {								\
		memset(self->mem, 0x11, PG);				\
		OK(STORE(BASE, PG));					\
	} while (0)

static int hw_info(int fd, uint32_t dev, void *data, uint32_t len,
		   struct iommu_hw_info *cmd)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->size = sizeof(*cmd);
	cmd->dev_id = dev;
	cmd->data_len = len;
	cmd->data_uptr = (uintptr_t)data;
	return try_ioctl(fd, IOMMU_GET_HW_INFO, cmd);
}

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

/* -- memory that cannot be pinned --------------------------------------- */

TEST_F(dma, read_only_memory)
{
	uint8_t *ro = mem_alloc(4 * PG, PG);

	ASSERT_NE(NULL, ro);
	pattern_fill(ro, PG, 8);
	ASSERT_EQ(0, mprotect(ro, 4 * PG, PROT_READ));
	OK(ATTACH());
	FAILS(EFAULT, MAP(ro, PG, RW, BASE));
	FAILS(EFAULT, MAP(ro, PG, WR, BASE));
	PINNED(0);
	OK(MAP(ro, PG, RD, BASE + PG));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(LOAD(BASE + PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 8));
	PINNED(2 * PG);
	/* The last of many pages: what was pinned before it is let go. */
	ASSERT_EQ(0, mprotect(ro, 3 * PG, PROT_READ | PROT_WRITE));
	FAILS(EFAULT, MAP(ro, 4 * PG, RW, BASE + 0x10000));
	PINNED(2 * PG);
	EXPECT_EQ(2, stat_read("areas"));
}

/*
 * A private file mapping opened for reading: writing needs a copy of the
 * page, reading must not hand out the page cache for writing.
 */
TEST_F(dma, private_file_memory)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t *p;

	ASSERT_LE(0, file);
	p = mmap(NULL, PG, PROT_READ, MAP_PRIVATE, file, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	OK(ATTACH());
	FAILS(EFAULT, MAP(p, PG, RW, BASE));
	OK(MAP(p, PG, RD, BASE + PG));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(LOAD(BASE + PG, PG));
	ASK();
	EXPECT_EQ(0, memcmp(self->mem, p, PG));
	close(file);
}

TEST_F(dma, unmapped_memory)
{
	uint8_t *hole = mem_alloc(4 * PG, PG);

	ASSERT_NE(NULL, hole);
	ASSERT_EQ(0, munmap(hole + 2 * PG, PG));
	OK(ATTACH());
	FAILS(EFAULT, MAP((void *)0x10000, PG, RW, BASE));
	FAILS(EFAULT, MAP(NULL, PG, RD, BASE));
	FAILS(EFAULT, MAP(hole + 2 * PG, PG, RW, BASE));
	FAILS(EFAULT, MAP(hole, 4 * PG, RW, BASE));
	FAILS(EFAULT, MAP(hole + PG, 2 * PG, RD, BASE));
	FAILS(EFAULT, MAP((void *)0x7ffffffff000, PG, RW, BASE));
	FAILS(EFAULT, MAP((void *)0xffff888000000000, PG, RW, BASE));
	FAILS(EFAULT, MAP((void *)0xffffffff81000000, PG, RD, BASE));
	FAILS(EFAULT, MAP((void *)0x800000000000, PG, RD, BASE));
	PINNED(0);
	EXPECT_EQ(0, stat_read("areas"));
	OK(MAP(hole, 2 * PG, RW, BASE));
	PINNED(2 * PG);
}

/* A huge length over little memory must fail soon, and without a trace. */
TEST_F(dma, absurd_length)
{
	uint64_t t0 = now_ms(), len;
	int rc;

	OK(ATTACH());
	for (len = 1ULL << 28; len < 1ULL << 47; len <<= 3) {
		rc = MAP(self->mem, len, RD, 0x100000000);
		/* Not memory, or beyond the aperture. */
		EQ(1, rc == -EFAULT || rc == -EINVAL || rc == -ENOMEM,
		   "%#llx bytes: %d", (long long)len, rc);
	}
	EXPECT_GT(20000, now_ms() - t0);
	PINNED(0);
	EXPECT_EQ(0, stat_read("areas"));
}

TEST_F(dma, device_memory)
{
	/* The device's own registers are no memory to pin. */
	OK(ATTACH());
	FAILS(EFAULT, MAP((void *)self->edu.bar, PG, RW, BASE));
	FAILS(EFAULT, MAP((void *)self->edu.bar, 16 * PG, RD, BASE));
	PINNED(0);
}

/*
 * Pages never touched: the shared zero page must neither be written nor lose
 * its references (fix of type1: 873aefb376bb).
 */
TEST_F(dma, untouched_memory)
{
	uint8_t *zero, *other;
	int i;

	zero = mmap(NULL, 64 * PG, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)zero);
	other = mmap(NULL, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)other);
	EXPECT_TRUE(bytes_are(zero, 64 * PG, 0));
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	for (i = 0; i < 200; i++) {
		OK(MAP(zero, 64 * PG, RD, BASE + 0x100000));
		OK(UNMAP(BASE + 0x100000, 64 * PG));
	}
	PINNED(PG);
	OK(MAP(zero, 64 * PG, RW, BASE + 0x100000));
	TEACH(SECRET);
	OK(STORE(BASE + 0x100000, PG));
	EXPECT_TRUE(pattern_is(zero, PG, SECRET));
	EXPECT_TRUE(bytes_are(other, PG, 0));
	EXPECT_TRUE(bytes_are(zero + PG, 63 * PG, 0));
}

/*
 * Memory mapped for reading stays the process's own: what it writes later is
 * what the device sees, also where nothing had been written before, and after
 * a fork.
 */
TEST_F(dma, read_only_follows_writes)
{
	uint8_t *fresh, *used = self->mem + 8 * PG;
	int done[2];
	pid_t pid;
	char c;

	fresh = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)fresh);
	/* Two pages are read, so that they are the zero page; two are not. */
	EXPECT_TRUE(bytes_are(fresh, 2 * PG, 0));
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(fresh, 4 * PG, RD, BASE + 0x100000));
	OK(MAP(used, PG, RD, BASE + 0x200000));
	pattern_fill(fresh + PG, PG, 171);
	pattern_fill(fresh + 3 * PG, PG, 172);
	OK(LOAD(BASE + 0x100000 + PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 171));
	OK(LOAD(BASE + 0x100000 + 3 * PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 172));
	ASSERT_EQ(0, pipe2(done, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		/* Not what the child writes ... */
		pattern_fill(used, PG, SECRET);
		CHECK(write(done[1], "x", 1) == 1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(done[0], &c, 1));
	/* ... but what this process does. */
	pattern_fill(used, PG, 173);
	OK(LOAD(BASE + 0x200000, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 173));
	kill(pid, SIGKILL);
	child_wait(pid);
}

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

/* -- large and huge ----------------------------------------------------- */

TEST_F_TIMEOUT(dma, large, 150)
{
	const uint64_t size = 64 * MIB;
	uint8_t *big = mem_alloc(size, PG);
	uint64_t n = 0;

	ASSERT_NE(NULL, big);
	OK(ATTACH());
	OK(MAP(big, size, RW, BASE));
	PINNED(size);
	pattern_fill(big, PG, 81);
	OK(LOAD(BASE, PG));
	OK(STORE(BASE + size - PG, PG));
	EXPECT_TRUE(pattern_is(big + size - PG, PG, 81));
	EXPECT_TRUE(bytes_are(big + size - 2 * PG, PG, 0x11));
	OK(STORE(BASE + size / 2 + 123, 1000));
	EXPECT_TRUE(pattern_is(big + size / 2 + 123, 1000, 81));
	OK(iommu_unmap_n(self->fd, self->ioas, BASE, size, &n));
	EXPECT_EQ(size, n);
	PINNED(0);
}

TEST_F(dma, huge_pages_off)
{
	uint8_t *big = mem_alloc(4 * MIB, 2 * MIB);

	ASSERT_NE(NULL, big);
	OK(iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas, 0));
	OK(ATTACH());
	OK(MAP(big, 4 * MIB, RW, BASE));
	pattern_fill(big, PG, 91);
	OK(LOAD(BASE, PG));
	OK(STORE(BASE + 4 * MIB - PG, PG));
	EXPECT_TRUE(pattern_is(big + 4 * MIB - PG, PG, 91));
	OK(UNMAP(BASE, 4 * MIB));
	PINNED(0);
}

TEST_F(dma, hugetlb)
{
	uint8_t *p;

	file_put("/proc/sys/vm/nr_hugepages", "4");
	p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		SKIP(return, "no huge pages to be had");
	memset(p, 0, 4 * MIB);
	OK(ATTACH());
	OK(MAP(p, 4 * MIB, RW, 0x2000000));
	PINNED(4 * MIB);
	pattern_fill(p + 2 * MIB - PG, 2 * PG, 101);
	OK(LOAD(0x2000000 + 2 * MIB - 2048, PG));
	OK(STORE(0x2000000 + 3 * MIB, PG));
	EXPECT_EQ(0, memcmp(p + 3 * MIB, p + 2 * MIB - 2048, PG));
	/* A part of a huge page, alone. */
	OK(MAP(p + 5 * PG, 3 * PG, RD, BASE));
	OK(UNMAP(0x2000000, 4 * MIB));
	PINNED(3 * PG);
	munmap(p, 4 * MIB);
	OK(UNMAP(BASE, 3 * PG));
	PINNED(0);
	file_put("/proc/sys/vm/nr_hugepages", "0");
}

TEST_F(dma, shared_memory)
{
	int file = memfd_create("granule-test", MFD_CLOEXEC);
	uint8_t *p, *q;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, 4 * PG));
	p = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	q = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	OK(ATTACH());
	OK(MAP(p, 4 * PG, RW, BASE));
	pattern_fill(q, PG, 111);
	OK(LOAD(BASE, PG));
	OK(STORE(BASE + 3 * PG, PG));
	EXPECT_TRUE(pattern_is(q + 3 * PG, PG, 111));
	/* Past the end of the file there is no memory. */
	ASSERT_EQ(0, ftruncate(file, 2 * PG));
	FAILS(EFAULT, MAP(q, 4 * PG, RW, BASE + 0x100000));
	PINNED(4 * PG);
	close(file);
}

/* -- lifetimes of the files --------------------------------------------- */

/* The device holds the context: closing /dev/iommu does not stop it. */
TEST_F(dma, close_iommufd_first)
{
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(1, stat_read("contexts"));
	TEACH(121);
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 121));
	OK(DETACH());
	PINNED(0);
}

TEST_F(dma, close_device_first)
{
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	PINNED(PG);
	edu_close(&self->edu);
	EXPECT_EQ(0, stat_read("devices"));
	PINNED(0);
	/* The mapping is still there; the IOAS is anybody's again. */
	EXPECT_EQ(1, stat_read("areas"));
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	OK(ATTACH());
	PINNED(PG);
	TEACH(131);
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 131));
}

TEST_F(dma, device_id_gone_after_close)
{
	struct iommu_hw_info cmd;
	uint32_t id = self->edu.dev_id;

	edu_close(&self->edu);
	FAILS(ENOENT, hw_info(self->fd, id, NULL, 0, &cmd));
	FAILS(ENOENT, iommu_destroy(self->fd, id));
}

/* A second process has the same file open: the device lives until both end. */
TEST_F(dma, close_with_child)
{
	int go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	pid = fork();
	if (!pid) {
		CHECK(read(go[0], &c, 1) == 1);
		CHECK(stat_read("devices") == 1);
		CHECK(stat_read("pinned_bytes") == (long long)PG);
		_exit(0);
	}
	edu_close(&self->edu);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(0, child_wait(pid));
}

/* The memory's process ends; the device still may not reach other memory. */
TEST_F(dma, mapper_exits)
{
	uint8_t *page = mem_alloc(PG, PG);
	pid_t pid;

	ASSERT_NE(NULL, page);
	OK(ATTACH());
	OK(MAP(self->mem, PG, RW, BASE));
	pid = fork();
	if (!pid) {
		pattern_fill(page, PG, 141);
		CHECK_RC(0, MAP(page, PG, RW, BASE + PG));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	PINNED(2 * PG);
	OK(LOAD(BASE + PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 141));
	EXPECT_TRUE(bytes_are(page, PG, 0x11));
	OK(UNMAP(BASE + PG, PG));
	PINNED(PG);
}

/* Memory of a living process is pinned for it, whoever attaches. */
TEST_F(dma, attach_pins_others_memory)
{
	uint8_t *pages = mem_alloc(32 * PG, PG);
	int go[2], done[2];
	pid_t pid;
	char c;

	ASSERT_NE(NULL, pages);
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(done, O_CLOEXEC));
	OK(MAP(self->mem, PG, RW, BASE));
	pid = fork();
	if (!pid) {
		close(done[1]);
		pattern_fill(pages, 32 * PG, 161);
		CHECK_RC(0, MAP(pages, 32 * PG, RW, BASE + PG));
		CHECK(write(go[1], "x", 1) == 1);
		CHECK(read(done[0], &c, 1) == 1);
		/* The device wrote to this process, not to the parent. */
		CHECK(pattern_is(pages + 8 * PG, PG, 162));
		_exit(0);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	OK(ATTACH());
	PINNED(33 * PG);
	OK(LOAD(BASE + PG, PG));
	ASK();
	EXPECT_TRUE(pattern_is(self->mem, PG, 161));
	TEACH(162);
	OK(STORE(BASE + 9 * PG, PG));
	EXPECT_TRUE(bytes_are(pages, 32 * PG, 0x11));
	ASSERT_EQ(1, write(done[1], "x", 1));
	EXPECT_EQ(0, child_wait(pid));
	/* It stays pinned without its process, until it is let go. */
	PINNED(33 * PG);
	OK(DETACH());
	PINNED(0);
	/* Once let go, it cannot be pinned again. */
	FAILS(EFAULT, ATTACH());
	PINNED(0);
	OK(UNMAP(BASE + PG, 32 * PG));
	OK(ATTACH());
}

/* -- binding ------------------------------------------------------------ */

TEST_F(dma, bind_bad)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->fd,
	};
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct edu edu;
	uint8_t byte;
	int null;

	/* Bound already. */
	FAILS(EINVAL, edu_bind(&self->edu, self->fd));
	edu_close(&self->edu);
	EXPECT_EQ(0, stat_read("devices"));

	OK(edu_open(&edu, 0));
	/* Silent before bind. */
	FAILS(EINVAL, try_ioctl(edu.dev, VFIO_DEVICE_GET_INFO, &info));
	FAILS(EINVAL, try_ioctl(edu.dev, VFIO_DEVICE_RESET, NULL));
	FAILS(EINVAL, edu_attach(&edu, self->ioas));
	FAILS(EINVAL, edu_detach(&edu));
	EXPECT_EQ(-1, pread(edu.dev, &byte, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(edu.dev, &byte, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PG, PROT_READ, MAP_SHARED, edu.dev,
				   0));
	EXPECT_EQ(EINVAL, errno);
	/* Bad arguments. */
	bind.iommufd = -1;
	EXPECT_GT(0, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.iommufd = 1000;
	FAILS(EBADF, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bind.iommufd = null;
	FAILS(EBADFD, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.iommufd = edu.dev;
	FAILS(EBADFD, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.iommufd = self->fd;
	bind.flags = 1;
	FAILS(EINVAL, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.flags = 0;
	bind.argsz = sizeof(bind) - 1;
	FAILS(EINVAL, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	FAILS(EFAULT, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(0, stat_read("devices"));
	EXPECT_EQ(1, stat_read("contexts"));
	bind.argsz = sizeof(bind);
	OK(try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_NE(0, bind.out_devid);
	OK(try_ioctl(edu.dev, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	close(null);
	edu_close(&edu);
	/* Where the ID cannot be written, nothing is bound. */
	OK(edu_open(&edu, 0));
	ASSERT_EQ(0, mprotect(self->mem, PG, PROT_READ | PROT_WRITE));
	memcpy(self->mem, &bind, sizeof(bind));
	ASSERT_EQ(0, mprotect(self->mem, PG, PROT_READ));
	FAILS(EFAULT, try_ioctl(edu.dev, VFIO_DEVICE_BIND_IOMMUFD, self->mem));
	EXPECT_EQ(0, stat_read("devices"));
	OK(edu_bind(&edu, self->fd));
	edu_close(&edu);
}

/* One owner at a time, and the next one after that. */
TEST_F(dma, second_opener)
{
	struct edu edu;
	int fd;

	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	if (!edu_open(&edu, 0)) {
		FAILS(EINVAL, edu_bind(&edu, fd));
		FAILS(EINVAL, edu_bind(&edu, self->fd));
	}
	edu_close(&self->edu);
	OK(edu_bind(&edu, fd));
	EXPECT_EQ(1, stat_read("devices"));
	edu_close(&edu);
	close(fd);
}

TEST_F(dma, rebind_many)
{
	int i;

	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		OK(edu_open(&self->edu, 0));
		OK(edu_bind(&self->edu, self->fd));
		if (i & 1)
			OK(ATTACH());
		EXPECT_EQ(1, stat_read("devices"));
		edu_close(&self->edu);
		EXPECT_EQ(0, stat_read("devices"));
	}
}

/* A file that was only opened leaves nothing (CVE-2023-54174). */
TEST_F(dma, open_without_bind)
{
	struct edu edu;
	int i;

	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		OK(edu_open(&edu, 0));
		edu_close(&edu);
	}
	EXPECT_EQ(0, stat_read("devices"));
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
