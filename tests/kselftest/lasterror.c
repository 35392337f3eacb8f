// SPDX-License-Identifier: GPL-2.0-only
/* IOMMU_GET_LAST_ERROR: the reason and its fields for all that can go wrong. */
#include <pthread.h>

#include "edu.h"

#define BASE 0x1000000ULL

FIXTURE(last)
{
	int fd;
	uint32_t ioas;
	struct edu edu;	/* dev_id 0 when there is none */
	uint8_t *mem;	/* 64 pages */
};

FIXTURE_SETUP(last)
{
	self->edu.dev = -1;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
	{
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	}
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	self->mem = mem_alloc(64 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	if (!edu_open(&self->edu, 0))
		OK(edu_bind(&self->edu, self->fd));
}

FIXTURE_TEARDOWN(last)
{
	edu_close(&self->edu);
	close(self->fd);
	EXPECT_CLEAN();
}

#define NEED_EDU()							\
	do {								\
		if (!self->edu.dev_id)					\
			SKIP(return, "no edu device behind an IOMMU");	\
	} while (0)

#define MAP(va, len, prot, iova)					\
	iommu_map_at(self->fd, self->ioas, va, len, prot, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->ioas, iova, len)

/* The call fails with @err, and that is what the kernel says of it, in e. */
#define SAYS(call, num, err, why)					\
	do {								\
		FAILS(err, call);					\
		OK(iommu_last_error(self->fd, &e));			\
		EQ((unsigned int)(num), e.out_cmd, "%s: cmd", #call);	\
		EQ(err, e.out_errno, "%s: errno", #call);		\
		EQ(why, e.out_reason, "%s: reason", #call);		\
		EXPECT_EQ(0, e.__reserved);				\
	} while (0)

TEST_F(last, none)
{
	struct iommu_last_error e;
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	OK(iommu_last_error(fd, &e));
	EXPECT_EQ(IOMMU_REASON_NONE, e.out_reason);
	EXPECT_EQ(0, e.out_errno);
	EXPECT_EQ(0, e.out_cmd);
	/* Success is nothing to speak of, failure on another file neither. */
	OK(MAP(self->mem, PG, RW, BASE));
	FAILS(EEXIST, MAP(self->mem, PG, RW, BASE));
	OK(iommu_last_error(fd, &e));
	EXPECT_EQ(IOMMU_REASON_NONE, e.out_reason);
	close(fd);
}

/* Success does not clear it; asking for it, even wrongly, does not either. */
TEST_F(last, persistent)
{
	struct iommu_last_error e, bad = { .size = 4 };
	int i;

	SAYS(MAP(self->mem, 0, RW, BASE), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_ZERO_LENGTH);
	for (i = 0; i < 10; i++) {
		OK(MAP(self->mem, PG, RW, BASE));
		OK(UNMAP(BASE, PG));
		OK(iommu_last_error(self->fd, &e));
		EXPECT_EQ(IOMMU_REASON_ZERO_LENGTH, e.out_reason);
	}
	FAILS(EINVAL, try_ioctl(self->fd, IOMMU_GET_LAST_ERROR, &bad));
	bad.size = sizeof(bad);
	bad.flags = 1;
	FAILS(EOPNOTSUPP, try_ioctl(self->fd, IOMMU_GET_LAST_ERROR, &bad));
	FAILS(EFAULT, try_ioctl(self->fd, IOMMU_GET_LAST_ERROR, NULL));
	OK(iommu_last_error(self->fd, &e));
	EXPECT_EQ(IOMMU_REASON_ZERO_LENGTH, e.out_reason);
	EXPECT_EQ(IOMMU_IOAS_MAP, e.out_cmd);
	/* The next failure replaces it. */
	SAYS(UNMAP(BASE, PG), IOMMU_IOAS_UNMAP, ENOENT,
	     IOMMU_REASON_NOT_MAPPED);
}

TEST_F(last, argument)
{
	struct iommu_ioas_map map = { .size = sizeof(map) - 1 };
	struct {
		struct iommu_ioas_alloc cmd;
		uint32_t tail;
	} big = { .cmd = { .size = sizeof(big) }, .tail = 1 };
	struct iommu_last_error e;
	void *ro = mem_alloc(PG, PG);

	ASSERT_NE(NULL, ro);
	SAYS(try_ioctl(self->fd, IOMMU_IOAS_MAP, &map), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_ARG_SIZE);
	EXPECT_EQ(sizeof(map), e.out_need);
	EXPECT_EQ(sizeof(map), e.out_limit);
	SAYS(try_ioctl(self->fd, IOMMU_IOAS_ALLOC, &big), IOMMU_IOAS_ALLOC,
	     E2BIG, IOMMU_REASON_ARG_SIZE);
	EXPECT_EQ(sizeof(big.cmd), e.out_need);
	EXPECT_EQ(sizeof(big.cmd), e.out_limit);
	map.size = sizeof(map);
	map.flags = 1U << 31;
	map.ioas_id = self->ioas;
	SAYS(try_ioctl(self->fd, IOMMU_IOAS_MAP, &map), IOMMU_IOAS_MAP,
	     EOPNOTSUPP, IOMMU_REASON_ARG_FLAGS);
	SAYS(try_ioctl(self->fd, IOMMU_IOAS_MAP, NULL), IOMMU_IOAS_MAP, EFAULT,
	     IOMMU_REASON_BAD_POINTER);
	*(struct iommu_ioas_alloc *)ro = (struct iommu_ioas_alloc){
		.size = sizeof(struct iommu_ioas_alloc),
	};
	ASSERT_EQ(0, mprotect(ro, PG, PROT_READ));
	SAYS(try_ioctl(self->fd, IOMMU_IOAS_ALLOC, ro), IOMMU_IOAS_ALLOC,
	     EFAULT, IOMMU_REASON_BAD_POINTER);
	SAYS(iommu_allow(self->fd, self->ioas, NULL, 1),
	     IOMMU_IOAS_ALLOW_IOVAS, EFAULT, IOMMU_REASON_BAD_POINTER);
}

TEST_F(last, objects)
{
	struct iommu_last_error e;
	uint32_t hwpt;

	SAYS(iommu_destroy(self->fd, 4711), IOMMU_DESTROY, ENOENT,
	     IOMMU_REASON_NO_OBJECT);
	EXPECT_EQ(4711, e.out_object_id);
	SAYS(iommu_map_at(self->fd, 815, self->mem, PG, RW, BASE),
	     IOMMU_IOAS_MAP, ENOENT, IOMMU_REASON_NO_OBJECT);
	EXPECT_EQ(815, e.out_object_id);
	NEED_EDU();
	SAYS(iommu_map_at(self->fd, self->edu.dev_id, self->mem, PG, RW, BASE),
	     IOMMU_IOAS_MAP, ENOENT, IOMMU_REASON_WRONG_TYPE);
	EXPECT_EQ(self->edu.dev_id, e.out_object_id);
	SAYS(iommu_hwpt_alloc(self->fd, self->ioas, self->ioas, 0, &hwpt),
	     IOMMU_HWPT_ALLOC, ENOENT, IOMMU_REASON_WRONG_TYPE);
	EXPECT_EQ(self->ioas, e.out_object_id);
	SAYS(iommu_destroy(self->fd, self->edu.dev_id), IOMMU_DESTROY, EBUSY,
	     IOMMU_REASON_OBJECT_BUSY);
	EXPECT_EQ(self->edu.dev_id, e.out_object_id);
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &hwpt));
	SAYS(iommu_destroy(self->fd, self->ioas), IOMMU_DESTROY, EBUSY,
	     IOMMU_REASON_OBJECT_BUSY);
	EXPECT_EQ(self->ioas, e.out_object_id);
}

TEST_F(last, ranges)
{
	struct iommu_last_error e;
	uint64_t iova = 0;

	SAYS(MAP(self->mem, 0, RW, BASE), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_ZERO_LENGTH);
	SAYS(UNMAP(BASE, 0), IOMMU_IOAS_UNMAP, EINVAL,
	     IOMMU_REASON_ZERO_LENGTH);
	SAYS(iommu_copy_at(self->fd, self->ioas, self->ioas, BASE, 0, RW,
			   2 * BASE),
	     IOMMU_IOAS_COPY, EINVAL, IOMMU_REASON_ZERO_LENGTH);
	SAYS(MAP(self->mem, 2 * PG, RW, UINT64_MAX - PG + 1), IOMMU_IOAS_MAP,
	     EOVERFLOW, IOMMU_REASON_OVERFLOW);
	EXPECT_EQ(UINT64_MAX - PG + 1, e.out_addr);
	EXPECT_EQ(2 * PG, e.out_need);
	SAYS(UNMAP(UINT64_MAX - PG + 1, 2 * PG), IOMMU_IOAS_UNMAP, EOVERFLOW,
	     IOMMU_REASON_OVERFLOW);
	EXPECT_EQ(UINT64_MAX - PG + 1, e.out_addr);
	EXPECT_EQ(2 * PG, e.out_need);

	OK(MAP(self->mem, 4 * PG, RW, BASE));
	SAYS(MAP(self->mem, 4 * PG, RW, BASE - 2 * PG), IOMMU_IOAS_MAP, EEXIST,
	     IOMMU_REASON_OVERLAP);
	EXPECT_EQ(BASE, e.out_start);
	EXPECT_EQ(BASE + 4 * PG - 1, e.out_last);
	EXPECT_LE(BASE, e.out_addr);
	EXPECT_GE(BASE + 4 * PG - 1, e.out_addr);
	SAYS(iommu_copy_at(self->fd, self->ioas, self->ioas, BASE, PG, RW,
			   BASE + 3 * PG),
	     IOMMU_IOAS_COPY, EEXIST, IOMMU_REASON_OVERLAP);
	EXPECT_EQ(BASE, e.out_start);
	EXPECT_EQ(BASE + 4 * PG - 1, e.out_last);

	SAYS(UNMAP(BASE, 2 * PG), IOMMU_IOAS_UNMAP, ENOENT,
	     IOMMU_REASON_PARTIAL);
	EXPECT_EQ(BASE, e.out_start);
	EXPECT_EQ(BASE + 4 * PG - 1, e.out_last);
	SAYS(UNMAP(2 * BASE, PG), IOMMU_IOAS_UNMAP, ENOENT,
	     IOMMU_REASON_NOT_MAPPED);
	EXPECT_EQ(2 * BASE, e.out_addr);
	SAYS(iommu_copy_at(self->fd, self->ioas, self->ioas, BASE + 2 * PG,
			   3 * PG, RW, 2 * BASE),
	     IOMMU_IOAS_COPY, ENOENT, IOMMU_REASON_NOT_MAPPED);
	EXPECT_EQ(BASE + 4 * PG, e.out_addr);

	OK(MAP(self->mem, PG, RD, 3 * BASE));
	SAYS(iommu_copy_at(self->fd, self->ioas, self->ioas, 3 * BASE, PG, RW,
			   4 * BASE),
	     IOMMU_IOAS_COPY, EPERM, IOMMU_REASON_READ_ONLY);

	OK(iommu_allow_one(self->fd, self->ioas, 5 * BASE, 5 * BASE + PG - 1));
	SAYS(iommu_map(self->fd, self->ioas, self->mem, 2 * PG, RW, &iova),
	     IOMMU_IOAS_MAP, ENOSPC, IOMMU_REASON_NO_IOVA);
	EXPECT_EQ(2 * PG, e.out_need);
	EXPECT_LE(PG, e.out_limit);
	EXPECT_GE(2 * PG, e.out_limit);
}

/* More of this is in granule.c, where memory of all kinds is at hand. */
TEST_F(last, granule)
{
	const uint64_t k16 = 16384;
	struct iommu_buffer_alloc b = { .granule = k16 };
	struct iommu_last_error e;

	SAYS(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, self->ioas,
			      3 * PG),
	     IOMMU_OPTION, EINVAL, IOMMU_REASON_BAD_GRANULE);
	EXPECT_EQ(3 * PG, e.out_usage);
	EXPECT_EQ(PG, e.out_need);
	EXPECT_EQ(1ULL << 30, e.out_limit);
	OK(MAP(self->mem, PG, RW, BASE + PG));
	SAYS(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, self->ioas,
			      k16),
	     IOMMU_OPTION, EADDRINUSE, IOMMU_REASON_AREA_MISALIGNED);
	EXPECT_EQ(BASE + PG, e.out_start);
	EXPECT_EQ(BASE + 2 * PG - 1, e.out_last);
	EXPECT_EQ(k16, e.out_limit);
	OK(UNMAP(0, WHOLE));
	OK(iommu_option_set(self->fd, IOMMU_OPTION_IOAS_GRANULE, self->ioas,
			    k16));
	SAYS(MAP(self->mem, k16, RW, BASE + PG), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_MISALIGNED);
	EXPECT_EQ(BASE + PG, e.out_addr);
	EXPECT_EQ(k16, e.out_limit);
	EXPECT_EQ(IOMMU_REASON_FIELD_IOVA, e.out_detail);

	SAYS(iommu_buffer_alloc(self->fd, &b), IOMMU_BUFFER_ALLOC, EINVAL,
	     IOMMU_REASON_ZERO_LENGTH);
	b.length = UINT64_MAX;
	SAYS(iommu_buffer_alloc(self->fd, &b), IOMMU_BUFFER_ALLOC, EOVERFLOW,
	     IOMMU_REASON_OVERFLOW);
	EXPECT_EQ(UINT64_MAX, e.out_need);
	b.length = 1ULL << 48;
	SAYS(iommu_buffer_alloc(self->fd, &b), IOMMU_BUFFER_ALLOC, ENOMEM,
	     IOMMU_REASON_NO_MEMORY);
	EXPECT_EQ(1ULL << 48, e.out_need);
	EXPECT_EQ(0, e.out_usage);
	EXPECT_EQ(k16, e.out_limit);
	b.granule = 4 * MIB;
	SAYS(iommu_buffer_alloc(self->fd, &b), IOMMU_BUFFER_ALLOC, EINVAL,
	     IOMMU_REASON_BAD_GRANULE);
	EXPECT_EQ(4 * MIB, e.out_usage);
	EXPECT_EQ(2 * MIB, e.out_limit);
	b.flags = 1;
	SAYS(iommu_buffer_alloc(self->fd, &b), IOMMU_BUFFER_ALLOC, EOPNOTSUPP,
	     IOMMU_REASON_ARG_FLAGS);
}

TEST_F(last, quota)
{
	struct iommu_last_error e;

	OK(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->ioas, 3));
	OK(MAP(self->mem, PG, RW, BASE));
	OK(MAP(self->mem, PG, RW, BASE + PG));
	OK(MAP(self->mem, PG, RW, BASE + 2 * PG));
	SAYS(MAP(self->mem, PG, RW, BASE + 3 * PG), IOMMU_IOAS_MAP, ENOSPC,
	     IOMMU_REASON_QUOTA);
	EXPECT_EQ(3, e.out_limit);
	EXPECT_EQ(3, e.out_usage);
	SAYS(iommu_option_set(self->fd, IOMMU_OPTION_AREA_QUOTA, self->ioas, 2),
	     IOMMU_OPTION, EBUSY, IOMMU_REASON_QUOTA);
	EXPECT_EQ(3, e.out_usage);
}

TEST_F(last, option)
{
	struct iommu_last_error e;
	pid_t pid;

	SAYS(iommu_option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1),
	     IOMMU_OPTION, EBUSY, IOMMU_REASON_TOO_LATE);
	pid = fork();
	if (!pid) {
		int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

		CHECK(fd >= 0);
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(-EPERM, iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE,
						  0, 1));
		CHECK_RC(0, iommu_last_error(fd, &e));
		CHECK(e.out_reason == IOMMU_REASON_PRIVILEGE);
		CHECK(e.out_errno == EPERM);
		CHECK(e.out_cmd == IOMMU_OPTION);
		CHECK(e.out_detail == CAP_SYS_RESOURCE);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* Reasons that only a device brings. */
TEST_F(last, device)
{
	struct iommu_last_error e;

	NEED_EDU();
	OK(edu_attach(&self->edu, self->ioas));
	SAYS(MAP(self->mem, PG, RW, BASE + 16), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_MISALIGNED);
	EXPECT_EQ(BASE + 16, e.out_addr);
	EXPECT_EQ(PG, e.out_limit);
	EXPECT_EQ(IOMMU_REASON_FIELD_IOVA, e.out_detail);
	SAYS(MAP(self->mem, PG + 16, RW, BASE), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_MISALIGNED);
	EXPECT_EQ(PG + 16, e.out_addr);
	EXPECT_EQ(PG, e.out_limit);
	EXPECT_EQ(IOMMU_REASON_FIELD_LENGTH, e.out_detail);
	SAYS(MAP(self->mem + 16, PG, RW, BASE), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_MISALIGNED);
	EXPECT_EQ((uintptr_t)self->mem + 16, e.out_addr);
	EXPECT_EQ(PG, e.out_limit);
	EXPECT_EQ(IOMMU_REASON_FIELD_USER_VA, e.out_detail);

	SAYS(MAP(self->mem, 2 * PG, RW, MSI_START - PG), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_RESERVED);
	EXPECT_EQ(MSI_START, e.out_start);
	EXPECT_EQ(MSI_LAST, e.out_last);
	EXPECT_EQ(MSI_START, e.out_addr);
	EXPECT_EQ(IOMMU_RESV_REASON_MSI, e.out_detail);
	SAYS(MAP(self->mem, PG, RW, 1ULL << 62), IOMMU_IOAS_MAP, EINVAL,
	     IOMMU_REASON_RESERVED);
	EXPECT_EQ(1ULL << 62, e.out_addr);
	EXPECT_EQ(UINT64_MAX, e.out_last);
	EXPECT_EQ(IOMMU_RESV_REASON_APERTURE, e.out_detail);

	ASSERT_EQ(0, mprotect(self->mem + 8 * PG, PG, PROT_READ));
	SAYS(MAP(self->mem + 7 * PG, 3 * PG, RW, BASE), IOMMU_IOAS_MAP, EFAULT,
	     IOMMU_REASON_BAD_MEMORY);
	EXPECT_EQ((uintptr_t)self->mem + 8 * PG, e.out_addr);
	ASSERT_EQ(0, munmap(self->mem + 12 * PG, PG));
	SAYS(MAP(self->mem + 10 * PG, 6 * PG, RD, BASE), IOMMU_IOAS_MAP,
	     EFAULT, IOMMU_REASON_BAD_MEMORY);
	EXPECT_EQ((uintptr_t)self->mem + 12 * PG, e.out_addr);

	SAYS(iommu_allow_one(self->fd, self->ioas, AROUND_START, AROUND_LAST),
	     IOMMU_IOAS_ALLOW_IOVAS, EADDRINUSE, IOMMU_REASON_NOT_REACHABLE);
	EXPECT_EQ(AROUND_START, e.out_start);
	EXPECT_EQ(AROUND_LAST, e.out_last);
	EXPECT_EQ(MSI_START, e.out_addr);
	EXPECT_EQ(IOMMU_RESV_REASON_MSI, e.out_detail);
}

TEST_F(last, attach)
{
	const unsigned int cmd = VFIO_DEVICE_ATTACH_IOMMUFD_PT;
	struct iommu_last_error e;

	NEED_EDU();
	SAYS(edu_attach(&self->edu, 4711), cmd, ENOENT,
	     IOMMU_REASON_NO_OBJECT);
	EXPECT_EQ(4711, e.out_object_id);

	OK(MAP(self->mem, 2 * PG, RW, MSI_START - PG));
	SAYS(edu_attach(&self->edu, self->ioas), cmd, EADDRINUSE,
	     IOMMU_REASON_AREA_UNREACHABLE);
	EXPECT_EQ(MSI_START - PG, e.out_start);
	EXPECT_EQ(MSI_START + PG - 1, e.out_last);
	EXPECT_EQ(MSI_START, e.out_addr);
	EXPECT_EQ(IOMMU_RESV_REASON_MSI, e.out_detail);
	OK(UNMAP(0, WHOLE));

	OK(MAP(self->mem, PG, RW, 1ULL << 62));
	SAYS(edu_attach(&self->edu, self->ioas), cmd, EADDRINUSE,
	     IOMMU_REASON_AREA_UNREACHABLE);
	EXPECT_EQ(1ULL << 62, e.out_start);
	EXPECT_EQ((1ULL << 62) + PG - 1, e.out_last);
	EXPECT_EQ(IOMMU_RESV_REASON_APERTURE, e.out_detail);
	OK(UNMAP(0, WHOLE));

	OK(iommu_allow_one(self->fd, self->ioas, AROUND_START, AROUND_LAST));
	SAYS(edu_attach(&self->edu, self->ioas), cmd, EADDRINUSE,
	     IOMMU_REASON_NOT_REACHABLE);
	EXPECT_EQ(AROUND_START, e.out_start);
	EXPECT_EQ(AROUND_LAST, e.out_last);
	EXPECT_EQ(MSI_START, e.out_addr);
	EXPECT_EQ(IOMMU_RESV_REASON_MSI, e.out_detail);
	OK(iommu_allow(self->fd, self->ioas, NULL, 0));

	OK(MAP(self->mem, 100, RW, BASE));
	SAYS(edu_attach(&self->edu, self->ioas), cmd, EADDRINUSE,
	     IOMMU_REASON_AREA_MISALIGNED);
	EXPECT_EQ(BASE, e.out_start);
	EXPECT_EQ(BASE + 99, e.out_last);
	EXPECT_EQ(PG, e.out_limit);
	OK(UNMAP(0, WHOLE));

	OK(MAP((void *)0x10000, PG, RW, BASE));
	SAYS(edu_attach(&self->edu, self->ioas), cmd, EFAULT,
	     IOMMU_REASON_BAD_MEMORY);
	EXPECT_EQ(0x10000, e.out_addr);
}

TEST_F(last, memlock)
{
	struct iommu_last_error e;
	pid_t pid;

	NEED_EDU();
	OK(edu_attach(&self->edu, self->ioas));
	pid = fork();
	if (!pid) {
		CHECK_RC(0, set_memlock(16 * PG + 100));
		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, MAP(self->mem, 10 * PG, RW, BASE));
		CHECK_RC(-ENOMEM, MAP(self->mem, 7 * PG, RW, 2 * BASE));
		CHECK_RC(0, iommu_last_error(self->fd, &e));
		CHECK(e.out_reason == IOMMU_REASON_MEMLOCK);
		CHECK(e.out_errno == ENOMEM);
		CHECK(e.out_cmd == IOMMU_IOAS_MAP);
		CHECK(e.out_usage == 10 * PG);
		CHECK(e.out_need == 7 * PG);
		CHECK(e.out_limit == 16 * PG || e.out_limit == 16 * PG + 100);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* The group belongs to somebody: VFIO's own way of using it. */
TEST_F(last, group_busy)
{
	char path[300], link[PATH_MAX] = "";
	struct iommu_last_error e;
	int container, group, id;

	NEED_EDU();
	edu_close(&self->edu);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 self->edu.bdf);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	id = atoi(strrchr(link, '/') + 1);
	snprintf(path, sizeof(path), "/dev/vfio/%d", id);
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (container < 0 || group < 0)
		SKIP(return, "no VFIO container or group file");
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		SKIP(return, "VFIO refuses the group: %s", strerror(errno));
	OK(edu_open(&self->edu, 0));
	SAYS(edu_bind(&self->edu, self->fd), VFIO_DEVICE_BIND_IOMMUFD, EPERM,
	     IOMMU_REASON_GROUP_BUSY);
	EXPECT_EQ(id, e.out_object_id);
	EXPECT_EQ(0, stat_read("devices"));
	close(group);
	close(container);
	OK(edu_bind(&self->edu, self->fd));
	/* And the other way round. */
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group >= 0) {
		EXPECT_EQ(-1, ioctl(group, VFIO_GROUP_SET_CONTAINER,
				    &container));
		close(group);
	}
	close(container);
}

/* -- threads ------------------------------------------------------------ */

#define THREADS 40
#define REMEMBERED 32

struct worker {
	pthread_t thread;
	pthread_barrier_t *failed, *asked;
	int fd, index;
	int rc;
	struct iommu_last_error e;
};

static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_cond = PTHREAD_COND_INITIALIZER;
static int turn;

/* Fail in order of the index, each with an ID of its own; then all ask. */
static void *worker_run(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&turn_lock);
	while (turn != w->index)
		pthread_cond_wait(&turn_cond, &turn_lock);
	w->rc = iommu_destroy(w->fd, 100000 + w->index);
	turn++;
	pthread_cond_broadcast(&turn_cond);
	pthread_mutex_unlock(&turn_lock);
	pthread_barrier_wait(w->failed);
	iommu_last_error(w->fd, &w->e);
	pthread_barrier_wait(w->asked);
	return NULL;
}

TEST_F(last, per_thread)
{
	static const int counts[] = { 2, REMEMBERED, THREADS };
	pthread_barrier_t failed, asked;
	struct worker w[THREADS];
	unsigned int c;
	int i, n;

	for (c = 0; c < ARRAY_LEN(counts); c++) {
		int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

		ASSERT_LE(0, fd);
		n = counts[c];
		turn = 0;
		pthread_barrier_init(&failed, NULL, n);
		pthread_barrier_init(&asked, NULL, n);
		for (i = 0; i < n; i++) {
			w[i] = (struct worker){ .failed = &failed,
						.asked = &asked,
						.fd = fd, .index = i };
			ASSERT_EQ(0, pthread_create(&w[i].thread, NULL,
						    worker_run, &w[i]));
		}
		for (i = 0; i < n; i++)
			pthread_join(w[i].thread, NULL);
		for (i = 0; i < n; i++) {
			EXPECT_EQ(-ENOENT, w[i].rc);
			if (i < n - REMEMBERED) {
				EQ(IOMMU_REASON_NONE, w[i].e.out_reason,
				   "thread %d of %d: forgotten", i, n);
				continue;
			}
			EQ(IOMMU_REASON_NO_OBJECT, w[i].e.out_reason,
			   "thread %d of %d", i, n);
			EQ(100000 + i, w[i].e.out_object_id,
			   "thread %d of %d: another's", i, n);
		}
		pthread_barrier_destroy(&failed);
		pthread_barrier_destroy(&asked);
		close(fd);
	}
}

/* Another process with the same file has failures of its own. */
TEST_F(last, per_process)
{
	struct iommu_last_error e;
	pid_t pid;

	FAILS(ENOENT, iommu_destroy(self->fd, 5001));
	pid = fork();
	if (!pid) {
		CHECK_RC(0, iommu_last_error(self->fd, &e));
		CHECK(e.out_reason == IOMMU_REASON_NONE);
		CHECK_RC(-ENOENT, iommu_destroy(self->fd, 5002));
		CHECK_RC(0, iommu_last_error(self->fd, &e));
		CHECK(e.out_object_id == 5002);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	OK(iommu_last_error(self->fd, &e));
	EXPECT_EQ(5001, e.out_object_id);
}

TEST_F(last, unknown_number)
{
	/* Whatever is not named here is 0. */
	struct iommu_last_error e, want = {
		.size = sizeof(want),
		.out_cmd = _IO(IOMMUFD_TYPE, 0xfe),
		.out_errno = ENOTTY,
		.out_reason = IOMMU_REASON_ERRNO,
	};
	uint32_t arg[16] = { sizeof(arg) };

	/* Something to be left in the record, and on the kernel's stack. */
	OK(MAP(self->mem, PG, RW, BASE));
	SAYS(MAP(self->mem, 2 * PG, RW, BASE), IOMMU_IOAS_MAP, EEXIST,
	     IOMMU_REASON_OVERLAP);
	EXPECT_NE(0, e.out_addr);
	EXPECT_NE(0, e.out_start);
	EXPECT_NE(0, e.out_last);
	FAILS(ENOTTY, try_ioctl(self->fd, _IO(IOMMUFD_TYPE, 0xfe), arg));
	OK(iommu_last_error(self->fd, &e));
	EXPECT_EQ(want.out_errno, e.out_errno);
	EXPECT_EQ(want.out_cmd, e.out_cmd);
	EXPECT_EQ(want.out_reason, e.out_reason);
	EXPECT_EQ(0, memcmp(&want, &e, sizeof(e)));
}

TEST_HARNESS_MAIN
