// SPDX-License-Identifier: GPL-2.0-only
/* Limits on locked memory: what counts, for whom, and until when. */
#include "edu.h"

#define BASE 0x1000000ULL

FIXTURE(memlock)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
	uint8_t *mem;	/* 64 pages */
};

FIXTURE_VARIANT(memlock)
{
	int mode;	/* IOMMU_OPTION_RLIMIT_MODE */
	int uid;	/* of the process that maps; 0: root without caps */
};

FIXTURE_VARIANT_ADD(memlock, user_root) { .mode = 0, .uid = 0 };
FIXTURE_VARIANT_ADD(memlock, user_nobody) { .mode = 0, .uid = 65534 };
FIXTURE_VARIANT_ADD(memlock, process_root) { .mode = 1, .uid = 0 };
FIXTURE_VARIANT_ADD(memlock, process_nobody) { .mode = 1, .uid = 65534 };

FIXTURE_SETUP(memlock)
{
	char bdf[32];

	self->fd = -1;
	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	self->mem = mem_alloc(64 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	OK(edu_open(&self->edu, 0));
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	if (variant->mode)
		OK(iommu_option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0,
				    variant->mode));
	OK(edu_bind(&self->edu, self->fd));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	OK(edu_attach(&self->edu, self->ioas));
}

FIXTURE_TEARDOWN(memlock)
{
	edu_close(&self->edu);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_CLEAN();
}

/* Become somebody whom a limit of @pages binds. */
static void become_limited(int uid, unsigned long pages)
{
	CHECK_RC(0, set_memlock(pages * PG));
	if (uid)
		CHECK_RC(0, setresuid(uid, uid, uid));
	else
		CHECK_RC(0, drop_memlock_caps());
}

static uint64_t memlock_used(int fd, uint32_t ioas)
{
	struct ioas_info info;

	CHECK_RC(0, iommu_ioas_info(fd, ioas, &info));
	return info.i.memlock_used;
}

#define CMAP(va, pages, iova)						\
	iommu_map_at(self->fd, self->ioas, va, (pages) * PG, RW, iova)
#define CUNMAP(iova, pages)						\
	iommu_unmap(self->fd, self->ioas, iova, (pages) * PG)

/* To the page: as much as the limit says, not one more, and all of it again. */
TEST_F(memlock, exact)
{
	const char *counter = variant->mode ? "VmLck" : NULL;
	struct ioas_info info;
	pid_t pid;
	int i;

	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		CHECK_RC(-ENOMEM, CMAP(self->mem, 17, BASE));
		CHECK(stat_read("pinned_bytes") == 0);
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		for (i = 0; i < 20; i++) {
			CHECK_RC(0, CMAP(self->mem, 16, BASE));
			CHECK(memlock_used(self->fd, self->ioas) == 16 * PG);
			if (counter)
				CHECK(proc_status_kb(counter) ==
				      (long long)(16 * PG));
			CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 2 * BASE));
			CHECK_RC(0, CUNMAP(BASE, 16));
			CHECK(memlock_used(self->fd, self->ioas) == 0);
		}
		for (i = 0; i < 16; i++)
			CHECK_RC(0, CMAP(self->mem + i * PG, 1, BASE + i * PG));
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 2 * BASE));
		CHECK_RC(0, CUNMAP(BASE + 7 * PG, 1));
		CHECK_RC(-ENOMEM, CMAP(self->mem, 2, 2 * BASE));
		CHECK_RC(0, CMAP(self->mem, 1, 2 * BASE));
		/* The same memory at another IOVA counts again. */
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 3 * BASE));
		/* A copy does not. */
		CHECK_RC(0, iommu_copy_at(self->fd, self->ioas, self->ioas,
					  2 * BASE, PG, RW, 3 * BASE));
		CHECK_RC(0, iommu_ioas_info(self->fd, self->ioas, &info));
		CHECK(info.i.memlock_limit == 16 * PG);
		CHECK(info.i.memlock_used == 16 * PG);
		CHECK_RC(0, iommu_unmap(self->fd, self->ioas, 0, WHOLE));
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		if (counter)
			CHECK(proc_status_kb(counter) == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* Failed maps must not creep up on the limit (bad memory, then good). */
TEST_F(memlock, failures_are_free)
{
	pid_t pid;
	int i;

	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK(munmap(self->mem + 12 * PG, PG) == 0);
		for (i = 0; i < 50; i++) {
			CHECK_RC(-EFAULT, CMAP(self->mem, 14, BASE));
			CHECK_RC(-EINVAL, CMAP(self->mem, 8, MSI_START));
			CHECK_RC(-ENOMEM, CMAP(self->mem + 16 * PG, 20, BASE));
		}
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		CHECK_RC(0, CMAP(self->mem + 16 * PG, 16, BASE));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* What the child mapped is still there, and goes with the file. */
	EXPECT_EQ(16 * PG, stat_read("pinned_bytes"));
}

/* A limit of zero; a limit that is taken back below what is used. */
TEST_F(memlock, small_limits)
{
	pid_t pid;

	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK_RC(0, CMAP(self->mem, 16, BASE));
		CHECK_RC(0, set_memlock(0));
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 2 * BASE));
		CHECK_RC(0, CUNMAP(BASE, 16));
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, BASE));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, stat_read("pinned_bytes"));
}

/*
 * Without a device nothing counts; attaching counts it all or fails. The
 * limit is that of the process that mapped.
 */
TEST_F(memlock, attach_over_limit)
{
	uint32_t lazy, hwpt;
	pid_t pid;

	OK(iommu_ioas_alloc(self->fd, &lazy));
	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK_RC(0, iommu_map_at(self->fd, lazy, self->mem, 10 * PG,
					 RW, BASE));
		CHECK_RC(0, iommu_map_at(self->fd, lazy, self->mem, 10 * PG,
					 RW, 2 * BASE));
		CHECK(memlock_used(self->fd, lazy) == 0);
		CHECK_RC(-ENOMEM, edu_attach(&self->edu, lazy));
		CHECK_RC(-ENOMEM, iommu_hwpt_alloc(self->fd, self->edu.dev_id,
						   lazy, 0, &hwpt));
		CHECK(stat_read("pinned_bytes") == 0);
		CHECK(memlock_used(self->fd, lazy) == 0);
		CHECK_RC(0, iommu_unmap(self->fd, lazy, 2 * BASE, 10 * PG));
		CHECK_RC(0, edu_attach(&self->edu, lazy));
		CHECK(memlock_used(self->fd, lazy) == 10 * PG);
		CHECK_RC(0, edu_detach(&self->edu));
		CHECK(memlock_used(self->fd, lazy) == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* CAP_IPC_LOCK lifts the limit, and what is mapped with it never counts. */
TEST_F(memlock, privileged)
{
	pid_t pid;

	pid = fork();
	if (!pid) {
		CHECK_RC(0, set_memlock(2 * PG));
		CHECK_RC(0, CMAP(self->mem, 32, BASE));
		become_limited(variant->uid, 2);
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		CHECK_RC(0, CMAP(self->mem, 2, 2 * BASE));
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 3 * BASE));
		/* Unmapped by one who is limited: must not underflow. */
		CHECK_RC(0, CUNMAP(BASE, 32));
		CHECK(memlock_used(self->fd, self->ioas) == 2 * PG);
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 3 * BASE));
		CHECK_RC(0, CUNMAP(2 * BASE, 2));
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/*
 * Whoever unmaps, the one who mapped is credited, even after exec has given
 * the process another address space, or after it has ended (CVE-2023-53171).
 */
TEST_F(memlock, credited_after_exit)
{
	long long own = proc_status_kb("VmLck");
	pid_t pid;

	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK_RC(0, CMAP(self->mem, 16, BASE));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(16 * PG, stat_read("pinned_bytes"));
	OK(CUNMAP(BASE, 16));
	EXPECT_EQ(0, stat_read("pinned_bytes"));
	EXPECT_EQ(own, proc_status_kb("VmLck"));
	/* The user has all of the limit again. */
	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		CHECK_RC(0, CMAP(self->mem, 16, BASE));
		CHECK_RC(0, CUNMAP(BASE, 16));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* A child shares the file and its mappings, not the parent's account. */
TEST_F(memlock, fork_unmaps)
{
	pid_t pid, grandchild;

	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK_RC(0, CMAP(self->mem, 16, BASE));
		grandchild = fork();
		if (!grandchild) {
			CHECK_RC(0, CUNMAP(BASE, 16));
			CHECK(proc_status_kb("VmLck") == 0);
			_exit(0);
		}
		CHECK_RC(0, child_wait(grandchild));
		CHECK(memlock_used(self->fd, self->ioas) == 0);
		CHECK(proc_status_kb("VmLck") == 0);
		CHECK_RC(0, CMAP(self->mem, 16, BASE));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* With "exec" as its argument this program is the other half of that test. */
static int after_exec(int argc, char **argv)
{
	int fd, uid, mode;
	uint32_t ioas;
	uint8_t *mem;

	CHECK(argc == 6);
	fd = atoi(argv[2]);
	ioas = atoi(argv[3]);
	mode = atoi(argv[4]);
	uid = atoi(argv[5]);
	mem = mem_alloc(16 * PG, PG);
	CHECK(mem != NULL);
	CHECK(stat_read("pinned_bytes") == (long long)(16 * PG));
	if (mode) {
		/* Another address space: its account is empty. */
		CHECK(memlock_used(fd, ioas) == 0);
	} else {
		CHECK(memlock_used(fd, ioas) == 16 * PG);
		CHECK_RC(-ENOMEM, iommu_map_at(fd, ioas, mem, PG, RW,
					       2 * BASE));
	}
	CHECK_RC(0, iommu_unmap(fd, ioas, BASE, 16 * PG));
	CHECK(stat_read("pinned_bytes") == 0);
	CHECK(memlock_used(fd, ioas) == 0);
	CHECK(proc_status_kb("VmLck") == 0);
	CHECK_RC(0, iommu_map_at(fd, ioas, mem, 16 * PG, RW, 2 * BASE));
	CHECK_RC(-ENOMEM, iommu_map_at(fd, ioas, mem, PG, RW, 3 * BASE));
	CHECK_RC(0, iommu_unmap(fd, ioas, 0, WHOLE));
	CHECK(uid >= 0);
	return 0;
}

TEST_F(memlock, exec_unmaps)
{
	char fd[16], ioas[16], mode[16], uid[16];
	pid_t pid;

	snprintf(fd, sizeof(fd), "%d", self->fd);
	snprintf(ioas, sizeof(ioas), "%u", self->ioas);
	snprintf(mode, sizeof(mode), "%d", variant->mode);
	snprintf(uid, sizeof(uid), "%d", variant->uid);
	pid = fork();
	if (!pid) {
		char *argv[] = { (char *)"memlock", (char *)"exec", fd, ioas, mode,
				 uid, NULL };
		int self_exe = open("/proc/self/exe", O_RDONLY);

		CHECK(self_exe >= 0);
		/* Root's exec gives all capabilities back, unless asked not. */
		CHECK(prctl(PR_SET_SECUREBITS, 1 /* NOROOT */, 0, 0, 0) == 0);
		become_limited(variant->uid, 16);
		CHECK(fcntl(self->fd, F_SETFD, 0) == 0);
		CHECK_RC(0, CMAP(self->mem, 16, BASE));
		fexecve(self_exe, argv, environ);
		CHECK(!"exec");
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, stat_read("pinned_bytes"));
}

/* A vfork child maps in its parent's memory; threads share one account. */
TEST_F(memlock, mlock_shares_the_limit)
{
	pid_t pid;

	if (!variant->mode)
		SKIP(return, "mlock counts per process: not shared with the user's");
	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK(mlock(self->mem + 32 * PG, 8 * PG) == 0);
		CHECK_RC(-ENOMEM, CMAP(self->mem, 9, BASE));
		CHECK_RC(0, CMAP(self->mem, 8, BASE));
		CHECK(mlock(self->mem + 40 * PG, PG) == -1);
		CHECK(munlock(self->mem + 32 * PG, 8 * PG) == 0);
		CHECK_RC(0, CMAP(self->mem, 8, 2 * BASE));
		CHECK_RC(-ENOMEM, CMAP(self->mem, 1, 3 * BASE));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* Two processes of one user share its limit; two address spaces do not. */
TEST_F(memlock, two_processes)
{
	pid_t pid, other;

	pid = fork();
	if (!pid) {
		become_limited(variant->uid, 16);
		CHECK_RC(0, CMAP(self->mem, 10, BASE));
		other = fork();
		if (!other) {
			int over = CMAP(self->mem, 7, 2 * BASE);

			CHECK_RC(variant->mode ? 0 : -ENOMEM, over);
			CHECK_RC(variant->mode ? -ENOMEM : 0,
				 CMAP(self->mem, variant->mode ? 10 : 6,
				      3 * BASE));
			_exit(0);
		}
		CHECK_RC(0, child_wait(other));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(variant->mode ? 17 * PG : 16 * PG,
		  stat_read("pinned_bytes"));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "exec"))
		return after_exec(argc, argv);
	return test_harness_run(argc, argv);
}
