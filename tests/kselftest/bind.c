// SPDX-License-Identifier: GPL-2.0-only
/* A device's file bound to /dev/iommu: by whom, how often, until when. */
#include "dma.h"

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

TEST_HARNESS_MAIN
