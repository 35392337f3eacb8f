// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices behind two IOMMUs with pages of different sizes: one IOAS for
 * both, and one buffer in an IOAS of each. See tests/vm/two.sh; the modules are
 * those built for testing, in which an IOMMU can be made to refuse.
 */
#include <linux/memfd.h>
#include <pthread.h>
#include <sys/mman.h>

#include "edu.h"

#define K16 (16UL << 10)
#define K64 (64UL << 10)
#define HUGE (2 * MIB)
/* No page has this size, so that mapping it takes two requests. */
#define LONG (HUGE + K64)
#define SIZE (4 * HUGE)
#define BASE 0x2000000ULL
#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

enum { FINE, COARSE };

FIXTURE(two)
{
	int fd, memfd;
	uint32_t ioas;
	uint32_t pt[2];
	struct edu edu[2];
	uint8_t *mem;
	unsigned int seed;
};

/* Which device is attached first. The coarse one's domain is for both. */
FIXTURE_VARIANT(two)
{
	int first;
};

FIXTURE_VARIANT_ADD(two, one_domain) { .first = COARSE };
FIXTURE_VARIANT_ADD(two, a_domain_each) { .first = FINE };

typedef FIXTURE_DATA(two) fixture;

static int iommu_put(const char *bdf, const char *attr, unsigned int value)
{
	char path[256], text[16];

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/granule-virtio-iommu-test/%s",
		 bdf, attr);
	snprintf(text, sizeof(text), "%u", value);
	return file_put(path, text);
}

/* Of what comes now, the IOMMU of this device refuses the @n'th mapping. */
static int refuse(fixture *e, int which, unsigned int n)
{
	return iommu_put(e->edu[which].bdf, "fail_map", n);
}

/* It refuses the @n'th unmapping: what it has to forget stays in reach. */
static int keep(fixture *e, int which, unsigned int n)
{
	return iommu_put(e->edu[which].bdf, "fail_unmap", n);
}

static int open_device(fixture *e, int which)
{
	int rc = edu_open(&e->edu[which], which);

	rc = rc ?: edu_bind(&e->edu[which], e->fd);
	return rc ?: edu_start(&e->edu[which]);
}

static int open_all(fixture *e)
{
	void *p;
	int rc;

	e->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (e->fd < 0)
		return -errno;
	rc = file_put(NR_HUGEPAGES, "4");
	if (rc)
		return rc;
	e->memfd = memfd_create("two", MFD_CLOEXEC | MFD_HUGETLB);
	if (e->memfd < 0 || ftruncate(e->memfd, SIZE))
		return -errno;
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e->memfd, 0);
	if (p == MAP_FAILED)
		return -errno;
	e->mem = p;
	memset(p, 0, SIZE);
	rc = open_device(e, FINE);
	rc = rc ?: open_device(e, COARSE);
	return rc ?: iommu_ioas_alloc(e->fd, &e->ioas);
}

FIXTURE_SETUP(two)
{
	char bdf[32];

	self->fd = self->memfd = self->edu[0].dev = self->edu[1].dev = -1;
	if (edu_find(1, bdf, sizeof(bdf)))
		SKIP(return, "no two edu devices behind IOMMUs");
	OK(open_all(self));
}

FIXTURE_TEARDOWN(two)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (self->edu[i].dev < 0)
			continue;
		EXPECT_EQ(0, refuse(self, i, 0));
		EXPECT_EQ(0, keep(self, i, 0));
		edu_close(&self->edu[i]);
	}
	if (self->mem)
		munmap(self->mem, SIZE);
	if (self->memfd >= 0)
		close(self->memfd);
	if (self->fd >= 0)
		close(self->fd);
	file_put(NR_HUGEPAGES, "0");
	EXPECT_CLEAN();
}

static int attach(fixture *e, int which)
{
	e->pt[which] = e->ioas;
	return edu_attach_pt(&e->edu[which], &e->pt[which]);
}

/*
 * What @from writes @to reads: from the first page at @at, by way of the second,
 * to the third.
 */
static int carry(struct edu *from, uint64_t from_at, struct edu *to,
		 uint64_t to_at, uint8_t *mem, unsigned int seed)
{
	int rc;

	memset(mem, 0, 3 * PG);
	pattern_fill(mem, PG, seed);
	rc = edu_load(from, from_at, PG);
	rc = rc ?: edu_store(from, from_at + PG, PG);
	rc = rc ?: edu_load(to, to_at + PG, PG);
	rc = rc ?: edu_store(to, to_at + 2 * PG, PG);
	if (rc)
		return rc;
	if (!pattern_is(mem + PG, PG, seed))
		return -EIO;
	return pattern_is(mem + 2 * PG, PG, seed) ? 0 : -EBADMSG;
}

/* Both see the memory that is mapped at @iova. */
static int both(fixture *e, uint64_t iova, uint8_t *mem)
{
	return carry(&e->edu[FINE], iova, &e->edu[COARSE], iova, mem,
		     ++e->seed);
}

/* Does this device not reach the memory at @iova? */
static int denied(struct edu *edu, uint64_t iova, uint8_t *mem)
{
	int rc;

	memset(mem, 0x5a, PG);
	rc = edu_store(edu, iova, 64);
	return rc ?: bytes_are(mem, PG, 0x5a) ? 0 : -EEXIST;
}

static int both_denied(fixture *e, uint64_t iova, uint8_t *mem)
{
	return denied(&e->edu[FINE], iova, mem) ?:
	       denied(&e->edu[COARSE], iova, mem);
}

#define MAP(va, len, iova) iommu_map_at(self->fd, self->ioas, va, len, RW, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->ioas, iova, len)
#define PINNED(n) EQ((long long)(n), stat_read("pinned_bytes"), "pinned bytes")
#define AREAS(n) EQ((long long)(n), stat_read("areas"), "areas")

TEST_F(two, attached)
{
	int second = !variant->first;

	OK(attach(self, variant->first));
	OK(MAP(self->mem, HUGE, BASE));
	OK(attach(self, second));
	EQ(variant->first == COARSE, self->pt[FINE] == self->pt[COARSE],
	   "one domain for both");
	OK(both(self, BASE, self->mem));
	/* Each sees what comes now, until it goes. */
	OK(MAP(self->mem + HUGE, LONG, BASE + HUGE));
	OK(both(self, BASE + HUGE, self->mem + HUGE));
	OK(UNMAP(BASE + HUGE, LONG));
	OK(both_denied(self, BASE + HUGE, self->mem + HUGE));
	/* A device that leaves takes nothing from the other. */
	OK(edu_detach(&self->edu[variant->first]));
	OK(denied(&self->edu[variant->first], BASE, self->mem));
	OK(MAP(self->mem + HUGE, LONG, BASE + HUGE));
	OK(UNMAP(BASE, HUGE));
	OK(carry(&self->edu[second], BASE + HUGE, &self->edu[second],
		 BASE + HUGE, self->mem + HUGE, 77));
	OK(attach(self, variant->first));
	OK(both(self, BASE + HUGE, self->mem + HUGE));
}

/* Whichever of the two refuses, and whichever part of a mapping. */
TEST_F(two, map_is_in_both_or_in_none)
{
	unsigned int n;
	int which;

	OK(attach(self, variant->first));
	OK(attach(self, !variant->first));
	OK(MAP(self->mem, HUGE, BASE));
	for (which = FINE; which <= COARSE; which++) {
		for (n = 1; n <= 2; n++) {
			OK(refuse(self, which, n));
			EXPECT_NE(0, MAP(self->mem + HUGE, LONG, BASE + HUGE))
				TH_LOG("device %d, request %u", which, n);
			PINNED(HUGE);
			AREAS(1);
		}
		/* What comes before the last request was there for a while. */
		OK(both_denied(self, BASE + HUGE, self->mem + HUGE));
	}
	OK(both(self, BASE, self->mem));
	OK(MAP(self->mem + HUGE, LONG, BASE + HUGE));
	OK(both(self, BASE + HUGE, self->mem + HUGE));
}

/*
 * An IOMMU keeps what is unmapped: before UNMAP returns, the device behind it is
 * cut off, from all that is mapped. The other one goes on, alone if need be.
 */
TEST_F(two, what_is_not_unmapped_is_cut_off)
{
	struct edu *cut, *other;
	int which;

	OK(attach(self, variant->first));
	OK(attach(self, !variant->first));
	OK(MAP(self->mem + 2 * HUGE, HUGE, BASE + 4 * HUGE));
	for (which = FINE; which <= COARSE; which++) {
		cut = &self->edu[which];
		other = &self->edu[!which];
		OK(MAP(self->mem, HUGE, BASE));
		OK(both(self, BASE, self->mem));
		OK(keep(self, which, 1));
		OK(UNMAP(BASE, HUGE));
		PINNED(HUGE);
		AREAS(1);
		OK(denied(cut, BASE, self->mem));
		OK(denied(cut, BASE + 4 * HUGE, self->mem + 2 * HUGE));
		OK(denied(other, BASE, self->mem));
		OK(carry(other, BASE + 4 * HUGE, other, BASE + 4 * HUGE,
			 self->mem + 2 * HUGE, 30));
		/* A page table of that IOMMU alone can have nothing new. */
		EQ(self->pt[FINE] == self->pt[COARSE] ? 0 : -EIO,
		   MAP(self->mem, HUGE, BASE), "map");
		if (self->pt[FINE] == self->pt[COARSE]) {
			OK(carry(other, BASE, other, BASE, self->mem, 31));
			OK(denied(cut, BASE, self->mem));
			OK(UNMAP(BASE, HUGE));
		}
		OK(edu_detach(cut));
		OK(MAP(self->mem, HUGE, BASE));
		OK(denied(cut, BASE, self->mem));
		OK(attach(self, which));
		OK(both(self, BASE, self->mem));
		OK(both(self, BASE + 4 * HUGE, self->mem + 2 * HUGE));
		OK(UNMAP(BASE, HUGE));
		OK(both_denied(self, BASE, self->mem));
	}
}

/* One that nobody shares, which refuses the last part of what is unmapped. */
TEST_F(two, alone_and_cut_off)
{
	struct edu *edu = &self->edu[variant->first];
	unsigned int n;

	OK(attach(self, variant->first));
	OK(MAP(self->mem, HUGE, BASE));
	for (n = 1; n <= 2; n++) {
		OK(MAP(self->mem + HUGE, HUGE, BASE + HUGE));
		OK(MAP(self->mem + 2 * HUGE, HUGE, BASE + 3 * HUGE));
		OK(keep(self, variant->first, n));
		OK(UNMAP(BASE + HUGE, 3 * HUGE));
		PINNED(HUGE);
		OK(denied(edu, BASE + HUGE, self->mem + HUGE));
		OK(denied(edu, BASE + 3 * HUGE, self->mem + 2 * HUGE));
		OK(denied(edu, BASE, self->mem));
		FAILS(EIO, MAP(self->mem + HUGE, HUGE, BASE + HUGE));
		PINNED(HUGE);
		OK(edu_detach(edu));
		OK(attach(self, variant->first));
		OK(carry(edu, BASE, edu, BASE, self->mem, 32));
		OK(denied(edu, BASE + HUGE, self->mem + HUGE));
	}
}

/* The second IOMMU refuses one of the mappings that are there. */
TEST_F(two, attach_changes_nothing_when_it_fails)
{
	int first = variant->first, second = !variant->first;
	unsigned int n;

	OK(attach(self, first));
	OK(MAP(self->mem, HUGE, BASE));
	OK(MAP(self->mem + HUGE, LONG, BASE + HUGE));
	for (n = 1; n <= 3; n++) {
		OK(refuse(self, second, n));
		EXPECT_NE(0, attach(self, second)) TH_LOG("request %u", n);
	}
	OK(denied(&self->edu[second], BASE, self->mem));
	OK(carry(&self->edu[first], BASE, &self->edu[first], BASE, self->mem,
		 9));
	OK(carry(&self->edu[first], BASE + HUGE, &self->edu[first],
		 BASE + HUGE, self->mem + HUGE, 10));
	OK(attach(self, second));
	OK(both(self, BASE + HUGE, self->mem + HUGE));
}

/* Somebody who keeps looking at an IOMMU, through a file that stays open. */
struct reader {
	pthread_t thread;
	char path[300];
	int stop;
	unsigned int seen, gone, other;
};

static void *read_endpoints(void *arg)
{
	struct reader *r = arg;
	char buf[4096];
	ssize_t n;
	int fd = -1;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		if (fd < 0)
			fd = open(r->path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : pread(fd, buf, sizeof(buf) - 1, 0);
		if (n > 0) {
			buf[n] = 0;
			__atomic_add_fetch(&r->seen, 1, __ATOMIC_RELAXED);
			/* What is shown is whole. */
			if (buf[n - 1] != '\n' || strncmp(buf, "0000:", 5))
				r->other++;
		} else if (!n || errno == ENODEV || errno == ENOENT) {
			__atomic_add_fetch(&r->gone, 1, __ATOMIC_RELAXED);
			if (fd >= 0)
				close(fd);
			fd = -1;
		} else {
			r->other++;
		}
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* Wait for it to have had another result of a kind. */
static int reader_wait(const unsigned int *count)
{
	unsigned int before = __atomic_load_n(count, __ATOMIC_RELAXED);
	uint64_t end = now_ms() + PATIENCE;

	while (__atomic_load_n(count, __ATOMIC_RELAXED) == before) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

/* An IOMMU is taken away under an IOAS of both; it comes again. */
TEST_F(two, iommu_goes)
{
	struct edu *stays = &self->edu[COARSE];
	char link[PATH_MAX] = "", path[128], remove[128], *name;
	struct reader r = {};

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu",
		 self->edu[FINE].bdf);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	name = strrchr(link, '/') + 1;
	snprintf(r.path, sizeof(r.path),
		 "/sys/class/iommu/%s/granule-virtio-iommu/endpoints", name);
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, read_endpoints, &r));
	OK(reader_wait(&r.seen));
	OK(attach(self, variant->first));
	OK(attach(self, !variant->first));
	OK(MAP(self->mem, HUGE, BASE));
	edu_close(&self->edu[FINE]);
	OK(file_put("/sys/bus/platform/drivers/virtio-mmio/unbind", name));
	OK(reader_wait(&r.gone));
	OK(MAP(self->mem + HUGE, LONG, BASE + HUGE));
	OK(UNMAP(BASE, HUGE));
	OK(carry(stays, BASE + HUGE, stays, BASE + HUGE, self->mem + HUGE, 5));
	OK(denied(stays, BASE, self->mem));
	OK(file_put("/sys/bus/platform/drivers/virtio-mmio/bind", name));
	/* What it knew of its place it forgot with the IOMMU. */
	snprintf(remove, sizeof(remove), "/sys/bus/pci/devices/%s/remove",
		 self->edu[FINE].bdf);
	OK(file_put(remove, "1"));
	OK(file_put("/sys/bus/pci/rescan", "1"));
	OK(reader_wait(&r.seen));
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, r.other);
	OK(open_device(self, FINE));
	OK(attach(self, FINE));
	OK(both(self, BASE + HUGE, self->mem + HUGE));
}

/* One file's memory, mapped once, copied to where pages are larger. */
TEST_F(two, copy_to_another_granule)
{
	struct edu *from = &self->edu[variant->first];
	struct edu *to = &self->edu[!variant->first];
	uint64_t there = BASE * 2;
	uint32_t other;

	OK(iommu_ioas_alloc(self->fd, &other));
	OK(edu_attach(from, self->ioas));
	OK(edu_attach(to, other));
	OK(MAP(self->mem, HUGE, BASE));
	/* A piece of 16K at 16K is none of 64K; the other way is. */
	EQ(variant->first == COARSE ? 0 : -EINVAL,
	   iommu_copy_at(self->fd, other, self->ioas, BASE + K64,
			 variant->first == COARSE ? K64 : K16, RW, there),
	   "a small copy");
	if (variant->first == COARSE)
		OK(iommu_unmap(self->fd, other, there, K64));
	FAILS(EINVAL, iommu_copy_at(self->fd, other, self->ioas, BASE, HUGE, RW,
				    there + PG));
	PINNED(HUGE);
	AREAS(1);
	OK(denied(to, there, self->mem));
	OK(refuse(self, !variant->first, 1));
	EXPECT_NE(0, iommu_copy_at(self->fd, other, self->ioas, BASE, HUGE, RW,
				   there));
	AREAS(1);
	OK(denied(to, there, self->mem));
	OK(iommu_copy_at(self->fd, other, self->ioas, BASE, HUGE, RW, there));
	/* Pinned and counted once. */
	PINNED(HUGE);
	AREAS(2);
	OK(carry(from, BASE, to, there, self->mem, 21));
	OK(carry(to, there, from, BASE, self->mem, 22));
	OK(UNMAP(BASE, HUGE));
	PINNED(HUGE);
	OK(denied(from, BASE, self->mem));
	OK(carry(to, there, to, there, self->mem, 23));
}

TEST_HARNESS_MAIN
