// SPDX-License-Identifier: GPL-2.0-only
/* Kinds of memory, by real DMA: what can be pinned, what not, and for whom. */
#include <signal.h>

#include "dma.h"

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

/* -- other processes' --------------------------------------------------- */

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

TEST_HARNESS_MAIN
