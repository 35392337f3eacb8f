// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that maps for a device is killed in the middle of it, a hundred
 * times: nothing stays pinned, and the device is free at once.
 */
#include <pthread.h>
#include <signal.h>

#include "edu.h"

#define ROUNDS 100
#define THREADS 4
#define SIZE (16 * MIB)
#define BASE 0x1000000ULL

FIXTURE(kill)
{
	int *ready;	/* shared with the children */
};

FIXTURE_SETUP(kill)
{
	char bdf[32];

	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	OK(edu_bind_driver(bdf));
	self->ready = mmap(NULL, PG, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->ready);
	EXPECT_CLEAN();
}

FIXTURE_TEARDOWN(kill)
{
	EXPECT_CLEAN();
}

struct victim {
	int fd, index;
	uint32_t ioas;
	uint8_t *mem;
	struct edu *edu;
	int *ready;
};

/* Map and unmap, large and small, until the end. */
static void *map_forever(void *arg)
{
	struct victim *v = arg;
	uint64_t iova = BASE + v->index * 0x2000000ULL, at = 0;
	uint8_t *mem = v->mem;
	unsigned int i;

	for (i = 0;; i++) {
		__atomic_add_fetch(v->ready, 1, __ATOMIC_RELAXED);
		if (iommu_map_at(v->fd, v->ioas, mem, SIZE, RW, iova))
			continue;
		iommu_copy_at(v->fd, v->ioas, v->ioas, iova, SIZE / 2, RD,
			      iova + SIZE);
		at = 0;
		iommu_map(v->fd, v->ioas, mem, 4 * PG, RW, &at);
		if (i % 3 == 0)
			iommu_unmap(v->fd, v->ioas, 0, WHOLE);
		else
			iommu_unmap(v->fd, v->ioas, iova, 2 * SIZE);
	}
	return NULL;
}

static void *attach_forever(void *arg)
{
	struct victim *v = arg;

	for (;;) {
		__atomic_add_fetch(v->ready, 1, __ATOMIC_RELAXED);
		edu_attach(v->edu, v->ioas);
		usleep(3000);
		edu_detach(v->edu);
	}
	return NULL;
}

static void victim(int round, int *ready)
{
	struct victim v[THREADS];
	pthread_t thread;
	struct edu edu;
	uint32_t ioas;
	int fd, i;

	/* Never outlive the test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_RC(0, edu_open(&edu, 0));
	CHECK_RC(0, edu_bind(&edu, fd));
	CHECK_RC(0, iommu_ioas_alloc(fd, &ioas));
	CHECK_RC(0, edu_attach(&edu, ioas));
	for (i = 0; i < THREADS; i++) {
		v[i] = (struct victim){ fd, i, ioas, NULL, &edu, ready };
		v[i].mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(v[i].mem != MAP_FAILED);
		CHECK(!pthread_create(&thread, NULL,
				      i == 0 && round % 4 == 0 ?
				      attach_forever : map_forever, &v[i]));
	}
	for (;;)
		pause();
}

/* The device can be bound again, and works, right after. */
static int bind_again(void)
{
	struct edu edu;
	int fd, rc;

	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = edu_open(&edu, 0);
	if (!rc)
		rc = edu_bind(&edu, fd);
	edu_close(&edu);
	close(fd);
	return rc;
}

TEST_F_TIMEOUT(kill, hundred_times, 1200)
{
	unsigned long long slowest = 0;
	uint64_t t0, ms;
	int round, status, busy = 0;
	pid_t pid;

	srand(12345);
	for (round = 0; round < ROUNDS; round++) {
		*self->ready = 0;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			victim(round, self->ready);
		/* Wait until it is at it, then strike at a random moment. */
		t0 = now_ms();
		while (__atomic_load_n(self->ready, __ATOMIC_RELAXED) < THREADS &&
		       now_ms() - t0 < PATIENCE &&
		       waitpid(pid, &status, WNOHANG) == 0)
			usleep(1000);
		ASSERT_LE(THREADS, *self->ready)
			TH_LOG("round %d: the child did not get there", round);
		usleep(rand() % 60000);
		busy += stat_read("pinned_bytes") > 0;
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		t0 = now_ms();
		ASSERT_EQ(0, stat_wait("devices", 0, PATIENCE));
		ASSERT_EQ(0, stat_wait("pinned_bytes", 0, PATIENCE));
		ASSERT_EQ(0, stat_wait("areas", 0, PATIENCE));
		ASSERT_EQ(0, stat_wait("objects", 0, PATIENCE));
		ASSERT_EQ(0, stat_wait("contexts", 0, PATIENCE));
		ms = now_ms() - t0;
		if (ms > slowest)
			slowest = ms;
		ASSERT_EQ(0, bind_again()) TH_LOG("round %d", round);
	}
	TH_LOG("%d rounds, %d of them with memory pinned, clean after %llu ms at most",
	       ROUNDS, busy, slowest);
	/* Or else it was not in the middle of anything. */
	EXPECT_LT(ROUNDS / 4, busy);
}

TEST_HARNESS_MAIN
