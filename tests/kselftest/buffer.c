// SPDX-License-Identifier: GPL-2.0-only
/* The memory of IOMMU_BUFFER_ALLOC: by itself, and mapped for a device. */
#include <signal.h>

#include "cgroup.h"
#include "granule.h"

FIXTURE(buffer)
{
	int fd;
	struct iommu_buffer_alloc b;
};

FIXTURE_SETUP(buffer)
{
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
	{
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	}
}

FIXTURE_TEARDOWN(buffer)
{
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_CLEAN();
}

#define ALLOC(_length, _granule)					\
	({								\
		self->b = (struct iommu_buffer_alloc){			\
			.length = _length, .granule = _granule };	\
		iommu_buffer_alloc(self->fd, &self->b);			\
	})
#define MMAP(addr, len, prot, flags, off)				\
	mmap(addr, len, prot, flags, self->fd, off)
#define SHOW(len, off)							\
	MMAP(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, off)
#define NO_MMAP(err, addr, len, prot, flags, off)			\
	do {								\
		errno = 0;						\
		EXPECT_EQ(MAP_FAILED, MMAP(addr, len, prot, flags, off)) \
			TH_LOG("%s", #off);				\
		EQ(err, errno, "%s", #off);				\
	} while (0)
#define BUFFERS(n)							\
	EQ((long long)(n), stat_wait("buffer_bytes", n, PATIENCE),	\
	   "buffer_bytes")

TEST_F(buffer, contiguous)
{
	static const uint64_t granules[] = { PG, K16, 32768, K64, MIB, HUGE };
	const uint8_t *first;
	uint8_t *mem;
	size_t i;

	for (i = 0; i < ARRAY_LEN(granules); i++) {
		OK(ALLOC(5 * granules[i] - 1, granules[i]));
		EXPECT_EQ(granules[i], self->b.out_granule);
		EXPECT_EQ(5 * granules[i], self->b.out_length);
		BUFFERS(5 * granules[i]);
		mem = SHOW(5 * granules[i], self->b.out_mmap_offset);
		ASSERT_NE(MAP_FAILED, mem);
		EXPECT_TRUE(ALIGNED(mem, granules[i]));
		EXPECT_TRUE(bytes_are(mem, 5 * granules[i], 0));
		EXPECT_EQ(0, bad_granules(mem, 5 * granules[i], granules[i],
					  &first));
		OK(munmap(mem, 5 * granules[i]));
		OK(iommu_destroy(self->fd, self->b.out_buffer_id));
		BUFFERS(0);
	}
}

TEST_F(buffer, zeroed)
{
	uint8_t *mem;
	int i;

	for (i = 0; i < 8; i++) {
		OK(ALLOC(16 * MIB, K16 << i % 3));
		mem = SHOW(16 * MIB, self->b.out_mmap_offset);
		ASSERT_NE(MAP_FAILED, mem);
		EXPECT_TRUE(bytes_are(mem, 16 * MIB, 0));
		memset(mem, 0xee, 16 * MIB);
		OK(munmap(mem, 16 * MIB));
		OK(iommu_destroy(self->fd, self->b.out_buffer_id));
	}
}

TEST_F(buffer, arguments)
{
	static const uint64_t bad[] = {
		1, 3, PG / 2, PG + 1, 3 * PG, 2 * HUGE, 1ULL << 40, 1ULL << 63,
		UINT64_MAX,
	};
	struct iommu_last_error e;
	uint32_t ioas;
	size_t i;

	SAYS(ALLOC(0, K16), EINVAL, ZERO_LENGTH);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		SAYS(ALLOC(PG, bad[i]), EINVAL, BAD_GRANULE);
		EXPECT_EQ(bad[i], e.out_usage);
		EXPECT_EQ(PG, e.out_need);
		EXPECT_EQ(HUGE, e.out_limit);
	}
	SAYS(ALLOC(UINT64_MAX, K16), EOVERFLOW, OVERFLOW);
	EXPECT_EQ(UINT64_MAX, e.out_need);
	SAYS(ALLOC(UINT64_MAX - K16 + 2, K16), EOVERFLOW, OVERFLOW);
	SAYS(ALLOC(UINT64_MAX - K16 + 1, K16), ENOMEM, NO_MEMORY);
	SAYS(ALLOC(1ULL << 50, K64), ENOMEM, NO_MEMORY);
	EXPECT_EQ(1ULL << 50, e.out_need);
	EXPECT_EQ(K64, e.out_limit);
	EXPECT_EQ(0, e.out_usage);
	BUFFERS(0);
	/* The larger of what is asked for and what the IOAS needs. */
	OK(iommu_ioas_alloc(self->fd, &ioas));
	self->b = (struct iommu_buffer_alloc){ .length = 1, .ioas_id = ioas };
	OK(iommu_buffer_alloc(self->fd, &self->b));
	EXPECT_EQ(PG, self->b.out_granule);
	OK(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, ioas, K64));
	OK(iommu_buffer_alloc(self->fd, &self->b));
	EXPECT_EQ(K64, self->b.out_granule);
	EXPECT_EQ(K64, self->b.out_length);
	self->b.granule = K16;
	OK(iommu_buffer_alloc(self->fd, &self->b));
	EXPECT_EQ(K64, self->b.out_granule);
	self->b.granule = 2 * K64;
	OK(iommu_buffer_alloc(self->fd, &self->b));
	EXPECT_EQ(2 * K64, self->b.out_granule);
	self->b.granule = 3;
	SAYS(iommu_buffer_alloc(self->fd, &self->b), EINVAL, BAD_GRANULE);
	self->b.granule = 0;
	OK(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, ioas,
			    2 * HUGE));
	SAYS(iommu_buffer_alloc(self->fd, &self->b), EINVAL, BAD_GRANULE);
	EXPECT_EQ(2 * HUGE, e.out_usage);
	BUFFERS(PG + 4 * K64);
	/* An ID of any object but an IOAS. */
	self->b.ioas_id = self->b.out_buffer_id;
	SAYS(iommu_buffer_alloc(self->fd, &self->b), ENOENT, WRONG_TYPE);
	/* And the other way round. */
	FAILS(ENOENT, iommu_map_at(self->fd, self->b.out_buffer_id, &e, PG,
				   RW, BASE));
}

TEST_F(buffer, mmap_bounds)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct iommu_buffer_alloc first;
	uint8_t *p, *room = mem_alloc(8 * K16, K16);
	uint64_t off, end;

	NO_MMAP(EINVAL, NULL, PG, rw, MAP_SHARED, 0);
	OK(ALLOC(4 * K16, K16));
	first = self->b;
	OK(ALLOC(4 * K16, K16));
	off = first.out_mmap_offset;
	end = off + 4 * K16;
	NO_MMAP(EINVAL, NULL, PG, rw, MAP_SHARED, 0);
	NO_MMAP(EINVAL, NULL, PG, rw, MAP_SHARED, off - PG);
	NO_MMAP(EINVAL, NULL, 2 * PG, rw, MAP_SHARED, off - PG);
	NO_MMAP(EINVAL, NULL, 4 * K16 + PG, rw, MAP_SHARED, off);
	NO_MMAP(EINVAL, NULL, 2 * PG, rw, MAP_SHARED, end - PG);
	NO_MMAP(EINVAL, NULL, 8 * K16, rw, MAP_SHARED, off);
	NO_MMAP(EINVAL, NULL, PG, rw, MAP_SHARED, 1ULL << 62);
	NO_MMAP(EINVAL, NULL, PG, rw, MAP_SHARED, (1ULL << 63) - PG);
	NO_MMAP(EOVERFLOW, NULL, PG, rw, MAP_SHARED, -4096ULL);
	NO_MMAP(EINVAL, NULL, PG, rw, MAP_PRIVATE, off);
	NO_MMAP(EINVAL, NULL, PG, PROT_READ, MAP_PRIVATE, off);
	NO_MMAP(EINVAL, NULL, PG, rw | PROT_EXEC, MAP_SHARED, off);
	/* Each page of it, by itself, and any piece. */
	for (; off < end; off += PG) {
		p = SHOW(end - off, off);
		ASSERT_NE(MAP_FAILED, p);
		EQ(off % K16, (uintptr_t)p % K16, "address");
		*p = off / PG;
		OK(munmap(p, end - off));
		p = SHOW(PG, off);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ((uint8_t)(off / PG), *p);
		OK(munmap(p, PG));
	}
	OK(iommu_destroy(self->fd, first.out_buffer_id));
	NO_MMAP(EINVAL, NULL, PG, rw, MAP_SHARED, first.out_mmap_offset);
	p = SHOW(4 * K16, self->b.out_mmap_offset);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(bytes_are(p, 4 * K16, 0));
	/* It neither grows nor lets others grow into it, but moves. */
	EXPECT_EQ(MAP_FAILED, mremap(p, 2 * K16, 4 * K16 + PG, MREMAP_MAYMOVE));
	p[K16] = 9;
	p = mremap(p, 4 * K16, 4 * K16, MREMAP_MAYMOVE | MREMAP_FIXED,
		   room);
	ASSERT_EQ(room, p);
	EXPECT_EQ(9, p[K16]);
	OK(munmap(p, 4 * K16));
}

/* Addresses: aligned, the wish where it can be had, or exactly what was said. */
TEST_F(buffer, mmap_address)
{
	const int rw = PROT_READ | PROT_WRITE;
	uint8_t *room, *p, *q;
	int i;

	room = mem_alloc(8 * K64, HUGE);
	ASSERT_NE(NULL, room);
	OK(munmap(room, 8 * K64));
	OK(ALLOC(2 * K64, K64));
	p = MMAP(room + PG, 2 * K64, rw, MAP_SHARED, self->b.out_mmap_offset);
	EXPECT_EQ(room, p);
	q = MMAP(room + K64, 2 * K64, rw, MAP_SHARED, self->b.out_mmap_offset);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_TRUE(ALIGNED(q, K64));
	EXPECT_NE(room + K64, q);
	OK(munmap(q, 2 * K64));
	q = MMAP(room + K64 + PG, K64, rw, MAP_SHARED | MAP_FIXED,
		 self->b.out_mmap_offset);
	EXPECT_EQ(room + K64 + PG, q);
	q[0] = 5;
	EXPECT_EQ(5, p[0]);
	OK(munmap(room, 3 * K64));
	/* Large ones have the alignment of the IOMMU's large pages. */
	for (i = 0; i < 3; i++) {
		OK(ALLOC(3 * HUGE + K16, K16));
		p = SHOW(3 * HUGE + K16, self->b.out_mmap_offset);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_TRUE(ALIGNED(p, HUGE));
		OK(munmap(p, 3 * HUGE + K16));
	}
	BUFFERS(2 * K64 + 3 * (3 * HUGE + K16));
}

/* In whatever order it is given up, it is there until the last. */
TEST_F(buffer, lifetimes)
{
	uint8_t *p, *q;

	OK(ALLOC(4 * K16, K16));
	p = SHOW(4 * K16, self->b.out_mmap_offset);
	q = SHOW(K16, self->b.out_mmap_offset + K16);
	ASSERT_TRUE(p != MAP_FAILED && q != MAP_FAILED);
	OK(iommu_destroy(self->fd, self->b.out_buffer_id));
	FAILS(ENOENT, iommu_destroy(self->fd, self->b.out_buffer_id));
	EQ(0, stat_read("objects"), "objects");
	BUFFERS(4 * K16);
	memset(p, 0xab, 4 * K16);
	OK(munmap(p, K16));
	OK(munmap(p + 3 * K16, K16));
	ASSERT_EQ(0, madvise(p + 2 * K16, K16, MADV_DONTNEED));
	EXPECT_TRUE(bytes_are(p + K16, 2 * K16, 0xab));
	OK(munmap(p + K16, 2 * K16));
	BUFFERS(4 * K16);
	EXPECT_TRUE(bytes_are(q, K16, 0xab));
	/* The file, too, stays until then. */
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(1, stat_read("contexts"));
	EXPECT_TRUE(bytes_are(q, K16, 0xab));
	OK(munmap(q, K16));
	BUFFERS(0);
	EQ(0, stat_wait("contexts", 0, PATIENCE), "contexts");
}

/* Closed with the buffer and its mapping: the last one of three goes. */
TEST_F(buffer, fork_and_exit)
{
	int go[2];
	pid_t pid;
	uint8_t *p;
	char c;

	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	OK(ALLOC(64 * K16, K16));
	p = SHOW(64 * K16, self->b.out_mmap_offset);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	pid = fork();
	if (!pid) {
		CHECK(p[0] == 1);
		p[K16] = 2;
		/* Thrown out here, not there. */
		CHECK(!madvise(p, 64 * K16, MADV_DONTNEED));
		CHECK(p[K16] == 2);
		CHECK(!munmap(p, K16));
		kill(getpid(), SIGKILL);
	}
	EXPECT_EQ(SIGKILL, child_wait(pid));
	EXPECT_EQ(2, p[K16]);
	/* The other way round: the child outlives the parent's mapping. */
	pid = fork();
	if (!pid) {
		close(self->fd);
		CHECK(read(go[0], &c, 1) == 1);
		CHECK(p[K16] == 2);
		_exit(0);
	}
	OK(munmap(p, 64 * K16));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(64 * K16, stat_read("buffer_bytes"));
	EXPECT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(0, child_wait(pid));
	BUFFERS(0);
}

/* The count follows by a worker when the last mapping goes. */
static bool status_becomes(const char *what, long wanted)
{
	uint64_t end = now_ms() + PATIENCE;

	while ((long)proc_status_kb(what) != wanted && now_ms() < end)
		usleep(10000);
	return (long)proc_status_kb(what) == wanted;
}

/* Counted for as long as it exists, and refused when it is too much. */
TEST_F(buffer, memlock)
{
	struct iommu_buffer_alloc extra = { .length = 1 };
	struct iommu_last_error e;
	uint32_t id;
	pid_t pid;
	int mode;
	void *p;

	for (mode = 0; mode < 2; mode++) {
		pid = fork();
		if (pid) {
			EXPECT_EQ(0, child_wait(pid));
			BUFFERS(0);
			continue;
		}
		close(self->fd);
		self->fd = open("/dev/iommu", O_RDWR);
		CHECK_RC(0, iommu_option_set(self->fd,
					     IOMMU_OPTION_RLIMIT_MODE, 0,
					     mode));
		CHECK_RC(0, set_memlock(10 * K16 + 100));
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, ALLOC(6 * K16, K16));
		id = self->b.out_buffer_id;
		CHECK(proc_status_kb("VmPin") == 6 * K16);
		CHECK(!mode || proc_status_kb("VmLck") == 6 * K16);
		CHECK_RC(-ENOMEM, ALLOC(5 * K16, K16));
		CHECK_RC(0, iommu_last_error(self->fd, &e));
		CHECK(e.out_reason == IOMMU_REASON_MEMLOCK);
		CHECK(e.out_cmd == IOMMU_BUFFER_ALLOC);
		CHECK(e.out_usage == 6 * K16);
		CHECK(e.out_need == 5 * K16);
		CHECK(e.out_limit == 10 * K16 + 100);
		CHECK(stat_read("buffer_bytes") == 6 * K16);
		CHECK_RC(0, ALLOC(4 * K16, K16));
		/* A mapping keeps it, and the count, after DESTROY. */
		p = SHOW(4 * K16, self->b.out_mmap_offset);
		CHECK(p != MAP_FAILED);
		CHECK_RC(-ENOMEM, iommu_buffer_alloc(self->fd, &extra));
		CHECK_RC(0, iommu_destroy(self->fd, self->b.out_buffer_id));
		CHECK_RC(-ENOMEM, iommu_buffer_alloc(self->fd, &extra));
		CHECK(!munmap(p, 4 * K16));
		CHECK(stat_wait("buffer_bytes", 6 * K16, PATIENCE) == 6 * K16);
		CHECK(status_becomes("VmPin", 6 * K16));
		CHECK_RC(0, ALLOC(4 * K16, K16));
		CHECK_RC(0, iommu_destroy(self->fd, self->b.out_buffer_id));
		CHECK_RC(0, iommu_destroy(self->fd, id));
		CHECK(status_becomes("VmPin", 0));
		CHECK(!mode || status_becomes("VmLck", 0));
		/* Nothing at all when it is refused for another reason. */
		CHECK_RC(-EINVAL, ALLOC(K16, 3));
		CHECK_RC(0, ALLOC(10 * K16, K16));
		_exit(0);
	}
}

/* The memory control group's limit holds, and nobody is killed for it. */
TEST_F(buffer, control_group)
{
	const char *why = cgroup_begin();
	struct iommu_last_error e;
	pid_t pid;

	if (why)
		SKIP(return, "%s", why);
	OK(file_put(CGROUP "/memory.max", "33554432"));
	pid = fork();
	if (!pid) {
		CHECK_RC(0, cgroup_enter());
		CHECK_RC(0, ALLOC(16 * MIB, K16));
		CHECK_RC(-ENOMEM, ALLOC(24 * MIB, K16));
		CHECK_RC(0, iommu_last_error(self->fd, &e));
		CHECK(e.out_reason == IOMMU_REASON_NO_MEMORY);
		CHECK(e.out_need == 24 * MIB);
		CHECK(e.out_usage < 24 * MIB);
		CHECK(e.out_limit == K16);
		CHECK(stat_read("buffer_bytes") == 16 * MIB);
		CHECK_RC(0, ALLOC(8 * MIB, K16));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(24 * MIB, stat_read("buffer_bytes"));
	close(self->fd);
	self->fd = -1;
	BUFFERS(0);
	cgroup_end();
}

/* Killed anywhere in the middle: nothing stays behind. */
TEST_F_TIMEOUT(buffer, killed, 150)
{
	unsigned int delay;
	uint8_t *p;
	pid_t pid;

	for (delay = 500; delay < 200000; delay = delay * 3 / 2) {
		pid = fork();
		if (!pid) {
			for (;;) {
				if (ALLOC(128 * MIB, K16))
					_exit(1);
				p = SHOW(128 * MIB, self->b.out_mmap_offset);
				if (p == MAP_FAILED)
					_exit(2);
				p[128 * MIB - 1] = 1;
				iommu_destroy(self->fd, self->b.out_buffer_id);
				munmap(p, 128 * MIB);
			}
		}
		usleep(delay);
		kill(pid, SIGKILL);
		EQ(SIGKILL, child_wait(pid), "after %u us", delay);
	}
	/* What a child left behind as an object belongs to the file. */
	close(self->fd);
	self->fd = -1;
	BUFFERS(0);
}

TEST_F(buffer, many)
{
	uint32_t ids[200];
	uint64_t off[200];
	uint8_t *p;
	int i, j;

	for (i = 0; i < 200; i++) {
		OK(ALLOC((i % 5 + 1) * K16, i % 3 ? K16 : K64));
		ids[i] = self->b.out_buffer_id;
		off[i] = self->b.out_mmap_offset;
		EXPECT_TRUE(ALIGNED(off[i], self->b.out_granule));
		for (j = 0; j < i; j++)
			EXPECT_NE(off[j], off[i]);
		p = SHOW(PG, off[i]);
		ASSERT_NE(MAP_FAILED, p);
		p[0] = i;
		OK(munmap(p, PG));
	}
	/* Every other one goes, the rest keeps its place and contents. */
	for (i = 0; i < 200; i += 2)
		OK(iommu_destroy(self->fd, ids[i]));
	for (i = 1; i < 200; i += 2) {
		p = SHOW(PG, off[i]);
		ASSERT_NE(MAP_FAILED, p);
		EQ((uint8_t)i, p[0], "buffer %d", i);
		OK(munmap(p, PG));
	}
	EXPECT_EQ(100, stat_read("objects"));
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

TEST_HARNESS_MAIN
