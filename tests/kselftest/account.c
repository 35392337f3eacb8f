// SPDX-License-Identifier: GPL-2.0-only
/* What mappings count against: limits, quotas, control groups; what is told. */
#include "cgroup.h"
#include "ioas.h"

TEST_F(ioas, rlimit_mode)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	uint32_t id;
	uint64_t v;
	pid_t pid;

	ASSERT_LE(0, fd);
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(0, v);
	OK(iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(1, v);
	FAILS(EINVAL, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 2));
	FAILS(EINVAL, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0,
				       1ULL << 32));
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(1, v);
	OK(iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));
	/* Looking needs no capability, setting does. */
	pid = fork();
	if (!pid) {
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(-EPERM, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE,
						  0, 1));
		CHECK_RC(0, iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0,
					     &v));
		CHECK(v == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	OK(iommu_ioas_alloc(fd, &id));
	FAILS(EBUSY, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	FAILS(EBUSY, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));
	OK(iommu_option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &v));
	EXPECT_EQ(0, v);
	OK(iommu_destroy(fd, id));
	OK(iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	close(fd);
}

TEST_F(ioas, area_quota)
{
	struct ioas_info info;
	uint64_t iova = 0, v;
	int i;

	OK(iommu_ioas_info(self->fd, self->id, &info));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, &v));
	EXPECT_EQ(info.i.area_quota, v);
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 4));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, &v));
	EXPECT_EQ(4, v);
	for (i = 0; i < 4; i++)
		OK(MAP(self->mem, PG, RW, BASE + i * PG));
	FAILS(ENOSPC, MAP(self->mem, PG, RW, 2 * BASE));
	FAILS(ENOSPC, iommu_map(self->fd, self->id, self->mem, PG, RW, &iova));
	FAILS(ENOSPC, COPY(PG, RW, 2 * BASE, BASE));
	AREAS(4);
	FAILS(EBUSY, iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA,
				      self->id, 3));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, &v));
	EXPECT_EQ(4, v);
	/* A copy of many pieces does not go over it in the middle. */
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id2, 3));
	FAILS(ENOSPC, COPY2(4 * PG, RW, BASE, BASE));
	EXPECT_EQ(0, count_areas(self->fd, self->id2));
	OK(COPY2(3 * PG, RW, BASE, BASE));
	/* What is unmapped may be mapped again. */
	OK(UNMAP(BASE, PG));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 5));
	OK(MAP(self->mem, PG, RW, 2 * BASE));
	FAILS(ENOSPC, MAP(self->mem, PG, RW, 3 * BASE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id,
			    UINT64_MAX));
	OK(MAP(self->mem, PG, RW, 3 * BASE));
	OK(UNMAP(0, WHOLE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 0));
	FAILS(ENOSPC, MAP(self->mem, PG, RW, BASE));
}

/* A failed map must not use the quota up. */
TEST_F(ioas, area_quota_after_failures)
{
	int i;

	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->id, 2));
	OK(MAP(self->mem, PG, RW, BASE));
	for (i = 0; i < 100; i++) {
		FAILS(EEXIST, MAP(self->mem, PG, RW, BASE));
		FAILS(EEXIST, COPY(PG, RW, BASE, BASE));
		FAILS(ENOENT, COPY(2 * PG, RW, 2 * BASE, BASE));
		FAILS(EOVERFLOW, MAP(self->mem, 2 * PG, RW,
				     UINT64_MAX - PG + 1));
	}
	OK(MAP(self->mem, PG, RW, 2 * BASE));
}

/* The sum follows the CPUs' parts of it after two seconds. */
static int slab_becomes(long long least, long long most)
{
	uint64_t end = now_ms() + PATIENCE;
	long long v;

	while ((v = cgroup_stat("slab")) < least || v > most) {
		if (now_ms() > end) {
			fprintf(stderr, "# slab: %lld, not %lld to %lld\n", v,
				least, most);
			return -ETIMEDOUT;
		}
		usleep(100000);
	}
	return 0;
}

#define NR_SMALL 20000

/* What one object takes, with all that the kernel's debugging adds; or -1. */
static long long slab_size(const char *cache)
{
	long long v = -1;
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/slab_size", cache);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%lld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

/* Mappings are memory of the kernel's, charged to whoever asks for them. */
TEST_F_TIMEOUT(ioas, control_group, 150)
{
	long long area = slab_size("granule_area");
	long long pages = slab_size("granule_pages");
	long long before, all;
	const char *why;
	pid_t pid;
	int i;

	ASSERT_LT(0, area);
	ASSERT_LT(0, pages);
	/* All but what is on its way into the sum. */
	all = NR_SMALL * (area + pages) * 15 / 16;
	why = cgroup_begin();
	if (why)
		SKIP(return, "%s", why);
	pid = fork();
	if (!pid) {
		CHECK_RC(0, cgroup_enter());
		CHECK_RC(0, MAP(self->mem, PG, RW, BASE));
		/* What is charged by now comes in. */
		sleep(3);
		before = cgroup_stat("slab");
		CHECK(before >= 0);
		for (i = 1; i < NR_SMALL; i++)
			CHECK_RC(0, MAP(self->mem, PG, RW, BASE + 2 * i * PG));
		CHECK_RC(0, slab_becomes(before + all, LLONG_MAX));
		CHECK(stat_read("areas") == NR_SMALL);
		CHECK_RC(0, UNMAP(0, WHOLE));
		CHECK_RC(0, slab_becomes(0, before + MIB));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	cgroup_end();
}

TEST_F(ioas, info)
{
	struct ioas_info info;

	OK(MAP(self->mem, 3 * PG, RW, BASE));
	OK(MAP(self->mem, PG, RD, 2 * BASE));
	OK(iommu_ioas_info(self->fd, self->id, &info));
	EXPECT_EQ(0, info.i.granule);
	EXPECT_EQ(1, info.i.iova_alignment);
	EXPECT_EQ(2, info.i.nr_areas);
	EXPECT_EQ(4 * PG, info.i.mapped_bytes);
	EXPECT_EQ(0, info.i.pinned_bytes);
	EXPECT_EQ(self->id, info.i.ioas_id);
	OK(UNMAP(BASE, 3 * PG));
	OK(iommu_ioas_info(self->fd, self->id, &info));
	EXPECT_EQ(1, info.i.nr_areas);
	EXPECT_EQ(PG, info.i.mapped_bytes);
	OK(iommu_ioas_info(self->fd, self->id2, &info));
	EXPECT_EQ(0, info.i.nr_areas);
	EXPECT_EQ(0, info.i.mapped_bytes);
}

TEST_F(ioas, info_memlock)
{
	struct rlimit lim = { 12345678, 23456789 };
	struct ioas_info info;
	pid_t pid;

	/* The limit does not bind who has CAP_IPC_LOCK. */
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	OK(iommu_ioas_info(self->fd, self->id, &info));
	EXPECT_EQ(UINT64_MAX, info.i.memlock_limit);
	pid = fork();
	if (!pid) {
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, iommu_ioas_info(self->fd, self->id, &info));
		CHECK(info.i.memlock_limit == 12345678);
		CHECK(info.i.memlock_used == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	lim.rlim_cur = lim.rlim_max = RLIM_INFINITY;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	pid = fork();
	if (!pid) {
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, iommu_ioas_info(self->fd, self->id, &info));
		CHECK(info.i.memlock_limit == UINT64_MAX);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

TEST_HARNESS_MAIN
