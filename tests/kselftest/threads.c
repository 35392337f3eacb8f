// SPDX-License-Identifier: GPL-2.0-only
/* Many threads on one file: every operation at once, and close at any time. */
#include <pthread.h>

#include "edu.h"

#define NR_IOAS 4
#define NR_THREADS 8
#define WINDOW 64	/* pages of IOVA that the threads fight for */
#define BASE 0x1000000ULL

struct shared {
	int fd;
	struct edu *edu;	/* NULL: no device */
	uint8_t *mem;		/* WINDOW pages */
	uint32_t ioas[NR_IOAS];	/* 0 while there is none */
	int destroy;		/* may IOASes be destroyed? */
	int rounds;
	int foreign;		/* does some memory belong to other processes? */
	volatile int stop;
};

struct worker {
	pthread_t thread;
	struct shared *s;
	uint64_t rng;
	long bad;	/* calls with an errno that none may return */
	int bad_rc, bad_op;
	long ok;
};

FIXTURE(threads)
{
	struct shared s;
	struct edu edu;
};

FIXTURE_VARIANT(threads)
{
	int device;
	int destroy;
};

FIXTURE_VARIANT_ADD(threads, no_device) { .device = 0, .destroy = 1 };
FIXTURE_VARIANT_ADD(threads, device) { .device = 1, .destroy = 1 };
FIXTURE_VARIANT_ADD(threads, device_keep) { .device = 1, .destroy = 0 };

FIXTURE_SETUP(threads)
{
	struct shared *s = &self->s;
	char bdf[32];
	int i;

	self->edu.dev = -1;
	s->fd = -1;
	if (variant->device && edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	s->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, s->fd)
	{
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	}
	s->mem = mem_alloc(WINDOW * PG, PG);
	ASSERT_NE(NULL, s->mem);
	for (i = 0; i < NR_IOAS; i++)
		OK(iommu_ioas_alloc(s->fd, &s->ioas[i]));
	s->destroy = variant->destroy;
	s->rounds = 1500;
	if (variant->device) {
		OK(edu_open(&self->edu, 0));
		OK(edu_bind(&self->edu, s->fd));
		s->edu = &self->edu;
	}
}

FIXTURE_TEARDOWN(threads)
{
	edu_close(&self->edu);
	if (self->s.fd >= 0)
		close(self->s.fd);
	EXPECT_CLEAN();
}

static uint32_t rng(struct worker *w, uint32_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 16) % below;
}

enum op {
	OP_MAP, OP_AUTO, OP_UNMAP, OP_UNMAP_ALL, OP_COPY, OP_LIST, OP_RANGES,
	OP_INFO, OP_HUGE, OP_ALLOW, OP_RECREATE, OP_ATTACH, OP_DETACH, OP_HWPT,
	OP_HW_INFO, OP_DEV_INFO, OP_DEV_DESTROY, OP_LAST, NR_OPS,
};

#define E(err) (1ULL << (err))

/*
 * What each may answer when others work on the same things. An IOAS may be
 * gone at any time, so that ENOENT is right for all; EADDRINUSE does not fit
 * in the mask and is checked apart.
 */
static const struct {
	uint64_t errnos;
	int weight;
} ops[NR_OPS] = {
	[OP_MAP] = { E(EEXIST) | E(EINVAL), 8 },
	[OP_AUTO] = { E(ENOSPC) | E(EBUSY), 4 },
	[OP_UNMAP] = { E(EBUSY), 6 },
	[OP_UNMAP_ALL] = { E(EBUSY), 1 },
	[OP_COPY] = { E(EEXIST) | E(EPERM) | E(EBUSY), 4 },
	[OP_LIST] = { 0, 2 },
	[OP_RANGES] = { 0, 2 },
	[OP_INFO] = { 0, 2 },
	[OP_HUGE] = { 0, 1 },
	[OP_ALLOW] = { 0, 1 },
	[OP_RECREATE] = { E(EBUSY), 2 },
	[OP_ATTACH] = { E(EBUSY), 2 },
	[OP_DETACH] = { 0, 1 },
	[OP_HWPT] = { E(EBUSY), 1 },
	[OP_HW_INFO] = { 0, 1 },
	[OP_DEV_INFO] = { 0, 1 },
	[OP_DEV_DESTROY] = { E(EBUSY), 2 },
	[OP_LAST] = { 0, 1 },
};

static int do_op(struct worker *w, enum op op)
{
	struct shared *s = w->s;
	int k = rng(w, NR_IOAS), k2 = rng(w, NR_IOAS), at = rng(w, WINDOW - 4);
	uint32_t id = __atomic_load_n(&s->ioas[k], __ATOMIC_RELAXED), n, more;
	uint32_t id2 = __atomic_load_n(&s->ioas[k2], __ATOMIC_RELAXED);
	uint64_t len = (1 + rng(w, 4)) * PG, iova = BASE + at * PG;
	uint32_t prot = rng(w, 4) ? RW : RD;
	struct iommu_area_info areas[16];
	struct iommu_iova_range r[16];
	struct iommu_device_info dev;
	struct iommu_last_error e;
	struct ioas_info info;
	uint8_t hw[64];
	int rc;

	switch (op) {
	case OP_MAP:
		return iommu_map_at(s->fd, id, s->mem + at * PG, len, prot,
				    iova);
	case OP_AUTO:
		rc = iommu_map(s->fd, id, s->mem + at * PG, len, prot, &iova);
		if (!rc && rng(w, 8))
			rc = iommu_unmap(s->fd, id, iova, len);
		return rc;
	case OP_UNMAP:
		return iommu_unmap(s->fd, id, iova, (1 + rng(w, 12)) * PG);
	case OP_UNMAP_ALL:
		return iommu_unmap(s->fd, id, 0, WHOLE);
	case OP_COPY:
		return iommu_copy_at(s->fd, id2, id, iova, len, prot,
				     BASE + rng(w, WINDOW - 4) * PG);
	case OP_LIST:
		n = 1 + rng(w, 16);
		iova = rng(w, 2) ? 0 : iova;
		return iommu_list(s->fd, id, &iova, areas, &n, &more);
	case OP_RANGES:
		n = 16;
		return iommu_ranges(s->fd, id, r, &n, NULL);
	case OP_INFO:
		return iommu_ioas_info(s->fd, id, &info);
	case OP_HUGE:
		return iommu_option_set(s->fd, IOMMU_OPTION_HUGE_PAGES, id,
					rng(w, 2));
	case OP_ALLOW:
		return iommu_allow_one(s->fd, id, BASE,
				       BASE + 4 * WINDOW * PG - 1);
	case OP_RECREATE:
		if (!s->destroy)
			return 0;
		rc = iommu_destroy(s->fd, id);
		if (!rc && !iommu_ioas_alloc(s->fd, &id))
			__atomic_store_n(&s->ioas[k], id, __ATOMIC_RELAXED);
		return rc;
	case OP_ATTACH:
		return s->edu ? edu_attach(s->edu, id) : 0;
	case OP_DETACH:
		return s->edu ? edu_detach(s->edu) : 0;
	case OP_HWPT:
		if (!s->edu)
			return 0;
		rc = iommu_hwpt_alloc(s->fd, s->edu->dev_id, id, 0, &id2);
		if (rc)
			return rc;
		if (rng(w, 2))
			edu_attach(s->edu, id2);
		rc = iommu_destroy(s->fd, id2);
		while (rc == -EBUSY && !s->stop) {
			/* Attached, by this thread or another. */
			edu_detach(s->edu);
			rc = iommu_destroy(s->fd, id2);
		}
		return rc;
	case OP_HW_INFO: {
		struct iommu_hw_info cmd = {
			.size = sizeof(cmd),
			.dev_id = s->edu ? s->edu->dev_id : 0,
			.data_len = sizeof(hw),
			.data_uptr = (uintptr_t)hw,
		};

		return s->edu ? try_ioctl(s->fd, IOMMU_GET_HW_INFO, &cmd) : 0;
	}
	case OP_DEV_INFO:
		dev.argsz = sizeof(dev);
		dev.dev_cookie = s->edu ? s->edu->dev_id : 0;
		return s->edu ? try_ioctl(s->fd, IOMMU_DEVICE_GET_INFO, &dev) :
				0;
	case OP_DEV_DESTROY:
		/* Only its own file lets go of a device. */
		return s->edu ? iommu_destroy(s->fd, s->edu->dev_id) ?: -EIO :
				0;
	case OP_LAST:
		return iommu_last_error(s->fd, &e);
	default:
		return 0;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int total = 0, i, op, pick, rc;

	for (op = 0; op < NR_OPS; op++)
		total += ops[op].weight;
	for (i = 0; i < w->s->rounds && !w->s->stop; i++) {
		pick = rng(w, total);
		for (op = 0; pick >= ops[op].weight; op++)
			pick -= ops[op].weight;
		rc = do_op(w, op);
		if (!rc) {
			w->ok++;
			continue;
		}
		if (rc == -ENOENT || rc == -EADDRINUSE ||
		    (rc > -64 && (ops[op].errnos & E(-rc))))
			continue;
		/* That of a process that has ended cannot be pinned. */
		if (w->s->foreign && rc == -EFAULT &&
		    (op == OP_ATTACH || op == OP_HWPT || op == OP_COPY))
			continue;
		/* After a close other errors are right. */
		if (w->s->stop)
			break;
		if (!w->bad++) {
			w->bad_rc = rc;
			w->bad_op = op;
		}
	}
	return NULL;
}

static int start(struct worker *w, struct shared *s, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		w[i] = (struct worker){ .s = s, .rng = 0x9e3779b97f4a7c15 * (i + 1) };
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			return -EAGAIN;
	}
	return 0;
}

static void finish(struct worker *w, int n)
{
	int i;

	for (i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
}

TEST_F_TIMEOUT(threads, everything, 300)
{
	struct worker w[NR_THREADS];
	struct shared *s = &self->s;
	uint64_t iova = BASE;
	int i, rc, n = 0;
	uint32_t id;
	long ok = 0;

	OK(start(w, s, NR_THREADS));
	finish(w, NR_THREADS);
	for (i = 0; i < NR_THREADS; i++) {
		EQ(0, w[i].bad, "thread %d: operation %d returned %d", i,
		   w[i].bad_op, w[i].bad_rc);
		ok += w[i].ok;
	}
	EXPECT_LT(NR_THREADS * s->rounds / 10, ok);
	/* Everything still works, and all of it can be taken apart. */
	if (s->edu)
		OK(edu_detach(s->edu));
	EXPECT_EQ(0, stat_read("pinned_bytes"));
	/*
	 * Two threads that destroy the IOAS of one slot, of which one gets the
	 * other's new ID, leave a slot without and an IOAS without a slot: go
	 * by the IDs.
	 */
	for (id = 1; id < 1000; id++) {
		rc = iommu_unmap(s->fd, id, 0, WHOLE);
		if (rc) {
			EQ(-ENOENT, rc, "ID %u", id);
			continue;
		}
		n++;
		OK(iommu_map_at(s->fd, id, s->mem, PG, RW, iova));
		OK(iommu_destroy(s->fd, id));
	}
	EXPECT_LE(1, n);
	EXPECT_EQ(0, stat_read("areas"));
	EXPECT_EQ(s->edu ? 1 : 0, stat_read("objects"));
}

/* The files are closed while every thread is busy on them. */
TEST_F_TIMEOUT(threads, close_in_the_middle, 300)
{
	struct worker w[NR_THREADS];
	struct shared *s = &self->s;
	int round, i;

	s->rounds = 1000000;
	for (round = 0; round < 10; round++) {
		s->stop = 0;
		OK(start(w, s, NR_THREADS));
		usleep(20000 + round * 7000);
		s->stop = 1;
		/* No new call begins; those under way hold the file. */
		if (round & 1) {
			close(s->fd);
			edu_close(&self->edu);
		} else {
			edu_close(&self->edu);
			close(s->fd);
		}
		finish(w, NR_THREADS);
		EXPECT_CLEAN();
		s->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, s->fd);
		for (i = 0; i < NR_IOAS; i++)
			OK(iommu_ioas_alloc(s->fd, &s->ioas[i]));
		if (variant->device) {
			OK(edu_open(&self->edu, 0));
			OK(edu_bind(&self->edu, s->fd));
		}
	}
}

/* The process ends (exit_group) with every thread inside the kernel. */
TEST_F_TIMEOUT(threads, exit_in_the_middle, 300)
{
	struct worker w[NR_THREADS];
	struct shared *s = &self->s;
	int round;
	pid_t pid;

	s->rounds = 1000000;
	for (round = 0; round < 10; round++) {
		pid = fork();
		if (!pid) {
			CHECK_RC(0, start(w, s, NR_THREADS));
			usleep(20000 + round * 9000);
			_exit(0);
		}
		ASSERT_EQ(0, child_wait(pid));
	}
	/*
	 * The parent's file is as usable as before, with all that the children
	 * left in it.
	 */
	if (s->edu)
		OK(edu_detach(s->edu));
	EXPECT_EQ(1, stat_read("contexts"));
	EXPECT_LT(0, stat_read("objects"));
	OK(iommu_ioas_alloc(s->fd, &s->ioas[0]));
	OK(iommu_map_at(s->fd, s->ioas[0], s->mem, PG, RW, BASE));
	if (s->edu)
		OK(edu_attach(s->edu, s->ioas[0]));
}

/* Parent and child work on the same file at once. */
TEST_F_TIMEOUT(threads, fork, 300)
{
	struct worker w[NR_THREADS / 2];
	struct shared *s = &self->s;
	pid_t pid;
	int i;

	s->rounds = 800;
	/* Each would have its own idea of which IOASes there are. */
	s->destroy = 0;
	s->foreign = 1;
	pid = fork();
	if (!pid) {
		CHECK_RC(0, start(w, s, NR_THREADS / 2));
		finish(w, NR_THREADS / 2);
		for (i = 0; i < NR_THREADS / 2; i++)
			CHECK(!w[i].bad);
		_exit(0);
	}
	OK(start(w, s, NR_THREADS / 2));
	finish(w, NR_THREADS / 2);
	for (i = 0; i < NR_THREADS / 2; i++)
		EQ(0, w[i].bad, "thread %d: operation %d returned %d", i,
		   w[i].bad_op, w[i].bad_rc);
	EXPECT_EQ(0, child_wait(pid));
}

/* -- one race at a time ------------------------------------------------- */

struct racer {
	pthread_t thread;
	int fd, rounds, which;
	uint32_t *id;
	uint8_t *mem;
	int won, other;
	/* Of those who make one call at the same time, again and again: */
	pthread_barrier_t *start;
	int (*call)(struct racer *r);
	uint64_t lost;		/* the errors of those who are too late */
};

static void *call_racer(void *arg)
{
	struct racer *r = arg;
	int i, rc;

	for (i = 0; i < r->rounds; i++) {
		pthread_barrier_wait(r->start);
		rc = r->call(r);
		if (!rc)
			r->won++;
		else if (rc < -63 || !(r->lost & E(-rc)))
			r->other++;
		pthread_barrier_wait(r->start);
	}
	return NULL;
}

#define NR_RACERS 4

struct race {
	pthread_barrier_t start;
	struct racer r[NR_RACERS];
	int won;		/* in all rounds */
};

/* NR_RACERS like @one. */
static int race_start(struct race *race, const struct racer *one)
{
	int i, rc = 0;

	race->won = 0;
	pthread_barrier_init(&race->start, NULL, NR_RACERS + 1);
	for (i = 0; i < NR_RACERS && !rc; i++) {
		race->r[i] = *one;
		race->r[i].start = &race->start;
		race->r[i].which = i;
		rc = pthread_create(&race->r[i].thread, NULL, call_racer,
				    &race->r[i]);
	}
	return -rc;
}

/* How many have won this round. */
static int race_round(struct race *race)
{
	int i, before = race->won;

	pthread_barrier_wait(&race->start);
	pthread_barrier_wait(&race->start);
	for (race->won = 0, i = 0; i < NR_RACERS; i++)
		race->won += race->r[i].won;
	return race->won - before;
}

/* After the last round: how many errors there were that nobody may get. */
static int race_end(struct race *race)
{
	int i, other = 0;

	for (i = 0; i < NR_RACERS; i++) {
		pthread_join(race->r[i].thread, NULL);
		other += race->r[i].other;
	}
	pthread_barrier_destroy(&race->start);
	return other;
}

static int call_destroy(struct racer *r)
{
	return iommu_destroy(r->fd, *r->id);
}

/* Destroying one object from many threads succeeds once. */
TEST_F_TIMEOUT(threads, destroy_once, 150)
{
	uint32_t id;
	struct racer one = { .fd = self->s.fd, .id = &id, .rounds = 200,
			     .call = call_destroy,
			     .lost = E(ENOENT) | E(EBUSY) };
	struct race race;
	int won, round;

	if (variant->device)
		SKIP(return, "does not depend on a device");
	ASSERT_EQ(0, race_start(&race, &one));
	for (round = 0; round < one.rounds; round++) {
		EXPECT_EQ(0, iommu_ioas_alloc(self->s.fd, &id));
		won = race_round(&race);
		/* EBUSY to all of them is possible, twice a success is not. */
		EXPECT_GE(1, won);
		if (!won) {
			EXPECT_EQ(0, iommu_destroy(self->s.fd, id));
		}
	}
	EXPECT_EQ(0, race_end(&race));
	EXPECT_EQ(NR_IOAS, stat_read("objects"));
}

/* They overlap in the middle, not in the first page only. */
static int call_map(struct racer *r)
{
	return iommu_map_at(r->fd, *r->id, r->mem, 16 * PG, RW,
			    BASE + r->which * PG);
}

/* Mapping the same IOVA from many threads succeeds once. */
TEST_F_TIMEOUT(threads, map_once, 150)
{
	struct racer one = { .fd = self->s.fd, .id = &self->s.ioas[0],
			     .mem = self->s.mem, .rounds = 200,
			     .call = call_map, .lost = E(EEXIST) };
	struct race race;
	int round;

	if (self->s.edu)
		OK(edu_attach(self->s.edu, self->s.ioas[0]));
	ASSERT_EQ(0, race_start(&race, &one));
	for (round = 0; round < one.rounds; round++) {
		EXPECT_EQ(1, race_round(&race));
		if (self->s.edu) {
			EXPECT_EQ(16 * PG, stat_read("pinned_bytes"));
		}
		EXPECT_EQ(0, iommu_unmap(self->s.fd, self->s.ioas[0], 0,
					 WHOLE));
	}
	EXPECT_EQ(0, race_end(&race));
}

static int call_unmap(struct racer *r)
{
	return iommu_unmap(r->fd, *r->id, BASE, 16 * PG);
}

/* Unmapping a mapping from many threads succeeds once, and unpins once. */
TEST_F_TIMEOUT(threads, unmap_once, 150)
{
	struct racer one = { .fd = self->s.fd, .id = &self->s.ioas[0],
			     .rounds = 200, .call = call_unmap,
			     .lost = E(ENOENT) | E(EBUSY) };
	struct race race;
	int round;

	if (self->s.edu)
		OK(edu_attach(self->s.edu, self->s.ioas[0]));
	ASSERT_EQ(0, race_start(&race, &one));
	for (round = 0; round < one.rounds; round++) {
		EXPECT_EQ(0, iommu_map_at(self->s.fd, self->s.ioas[0],
					  self->s.mem, 16 * PG, RW, BASE));
		EXPECT_EQ(1, race_round(&race));
		EXPECT_EQ(0, stat_read("pinned_bytes"));
		EXPECT_EQ(0, stat_read("areas"));
	}
	EXPECT_EQ(0, race_end(&race));
}

/*
 * DESTROY of a device's ID looks at it, and at who uses it, while its file goes
 * and other calls still use it. It never takes it away.
 */
static void *device_racer(void *arg)
{
	struct iommu_device_info info = { .argsz = sizeof(info) };
	struct racer *r = arg;
	int rc;

	do {
		rc = 0;
		if (r->which) {
			info.argsz = sizeof(info);
			info.dev_cookie = *r->id;
			rc = try_ioctl(r->fd, IOMMU_DEVICE_GET_INFO, &info);
			if (rc && rc != -ENOENT)
				r->other++;
		} else {
			rc = iommu_destroy(r->fd, *r->id);
			if (!rc)
				r->won++;
			else if (rc != -EBUSY && rc != -ENOENT)
				r->other++;
		}
		if (rc != -ENOENT)
			__atomic_add_fetch(&r->rounds, 1, __ATOMIC_RELAXED);
	} while (rc != -ENOENT);
	return NULL;
}

TEST_F_TIMEOUT(threads, device_destroy_and_close, 150)
{
	struct shared *s = &self->s;
	struct racer r[4];
	int round, i;
	uint32_t id;

	if (!s->edu)
		SKIP(return, "of a device");
	for (round = 0; round < 40; round++) {
		id = s->edu->dev_id;
		OK(edu_attach(s->edu, s->ioas[0]));
		for (i = 0; i < 4; i++) {
			r[i] = (struct racer){ .fd = s->fd, .id = &id,
					       .which = i & 1 };
			ASSERT_EQ(0, pthread_create(&r[i].thread, NULL,
						    device_racer, &r[i]));
		}
		/* All are at it. */
		for (i = 0; i < 4; i++)
			while (!__atomic_load_n(&r[i].rounds, __ATOMIC_RELAXED))
				usleep(100);
		usleep(round * 50);
		edu_close(s->edu);
		/* They end as it is not there any more. */
		for (i = 0; i < 4; i++) {
			pthread_join(r[i].thread, NULL);
			EQ(0, r[i].won, "DESTROY of a device");
			EQ(0, r[i].other, "racer %d: another error", i);
		}
		EXPECT_EQ(0, stat_read("devices"));
		EXPECT_EQ(NR_IOAS, stat_read("objects"));
		OK(edu_open(s->edu, 0));
		OK(edu_bind(s->edu, s->fd));
	}
}

/* IDs are handed out once, and a guessed one is whole or not there. */
static void *guess_racer(void *arg)
{
	struct racer *r = arg;
	struct iommu_area_info a;
	uint32_t n, more, id;
	uint64_t at;
	int i, rc;

	for (i = 0; i < r->rounds; i++) {
		if (r->which) {
			if (iommu_ioas_alloc(r->fd, &id)) {
				r->other++;
				continue;
			}
			rc = iommu_destroy(r->fd, id);
			/* The guesser may be looking at it, or be faster. */
			while (rc == -EBUSY)
				rc = iommu_destroy(r->fd, id);
			if (rc && rc != -ENOENT)
				r->other++;
		} else {
			for (id = 1; id < 12; id++) {
				n = 1;
				at = 0;
				rc = iommu_list(r->fd, id, &at, &a, &n, &more);
				if (rc && rc != -ENOENT)
					r->other++;
			}
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, guessed_ids, 150)
{
	struct racer r[4];
	int i;

	if (variant->device)
		SKIP(return, "does not depend on a device");
	for (i = 0; i < 4; i++) {
		r[i] = (struct racer){ .fd = self->s.fd, .rounds = 1000,
				       .which = i & 1 };
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, guess_racer,
					    &r[i]));
	}
	for (i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		EXPECT_EQ(0, r[i].other);
	}
	EXPECT_EQ(NR_IOAS, stat_read("objects"));
}

/*
 * The memory changes under the mapping calls: another thread unmaps and maps
 * it anew all the time. Either result is right, a leak is not.
 */
static void *memory_racer(void *arg)
{
	struct racer *r = arg;
	int i;

	for (i = 0; i < r->rounds; i++) {
		munmap(r->mem + 8 * PG, 8 * PG);
		mmap(r->mem + 8 * PG, 8 * PG, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, memory_races, 150)
{
	struct shared *s = &self->s;
	struct racer r = { .rounds = 4000, .mem = s->mem };
	int i, rc;

	if (!s->edu)
		SKIP(return, "nothing is pinned without a device");
	OK(edu_attach(s->edu, s->ioas[0]));
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, memory_racer, &r));
	for (i = 0; i < 300; i++) {
		rc = iommu_map_at(s->fd, s->ioas[0], s->mem, 16 * PG, RW, BASE);
		EQ(1, rc == 0 || rc == -EFAULT, "map: %d", rc);
		EQ(rc ? 0LL : 16LL * PG, stat_read("pinned_bytes"), "pinned");
		if (!rc)
			EQ(0, iommu_unmap(s->fd, s->ioas[0], BASE, 16 * PG),
			   "unmap");
	}
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, stat_read("pinned_bytes"));
}

TEST_HARNESS_MAIN
