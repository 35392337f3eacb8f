// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO device nodes: what works before and after BIND, who excludes whom,
 * what a driver's unbind, a module's unload and a close at any moment leave.
 */
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "edu.h"

#define NO_ID 0x7ffffff0U	/* an object that does not exist */

FIXTURE(vfio)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
	char node[PATH_MAX];
};

FIXTURE_SETUP(vfio)
{
	char bdf[32];

	self->edu.dev = -1;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	OK(edu_open(&self->edu, 0));
	OK(edu_cdev(self->edu.bdf, self->node, sizeof(self->node)));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
}

FIXTURE_TEARDOWN(vfio)
{
	edu_close(&self->edu);
	close(self->fd);
	EXPECT_CLEAN();
}

static int bind_raw(int dev, uint32_t argsz, uint32_t flags, int32_t iommufd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = argsz,
		.flags = flags,
		.iommufd = iommufd,
	};

	return try_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

static int bind_dev(int dev, int iommufd)
{
	return bind_raw(dev, sizeof(struct vfio_device_bind_iommufd), 0,
			iommufd);
}

static int attach_raw(int dev, uint32_t argsz, uint32_t flags, uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = argsz,
		.flags = flags,
		.pt_id = pt_id,
	};

	return try_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int detach_raw(int dev, uint32_t argsz, uint32_t flags)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = argsz,
		.flags = flags,
	};

	return try_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static int revoke_raw(int dev, uint32_t argsz, uint32_t flags)
{
	struct granule_vfio_revoke cmd = { .argsz = argsz, .flags = flags };

	return try_ioctl(dev, GRANULE_VFIO_REVOKE, &cmd);
}

/* How many entries <bdf>/vfio-dev/ has; -errno if it does not exist. */
static int vfio_dev_entries(const char *bdf)
{
	DIR *h = edu_vfio_dev(bdf);
	struct dirent *d;
	int n = 0;

	if (!h)
		return -errno;
	while ((d = readdir(h)))
		n += d->d_name[0] != '.';
	closedir(h);
	return n;
}

/* Every ioctl that a device file knows, and two that it does not. */
static const unsigned int all_cmds[] = {
	VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
	VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_RESET,
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET,
	VFIO_DEVICE_IOEVENTFD, VFIO_DEVICE_FEATURE,
	VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT,
	GRANULE_VFIO_REVOKE,
	_IO(VFIO_TYPE, VFIO_BASE + 99), _IO('x', 1),
};

static void expect_silence(struct __test_metadata *_metadata, int dev)
{
	uint32_t arg[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(all_cmds); i++) {
		memset(arg, 0, sizeof(arg));
		arg[0] = sizeof(arg);
		EQ(-EINVAL, try_ioctl(dev, all_cmds[i], arg), "ioctl %#x",
		   all_cmds[i]);
		EQ(-EINVAL, try_ioctl(dev, all_cmds[i], NULL),
		   "ioctl %#x, no argument", all_cmds[i]);
	}
	EQ(-1, pread(dev, arg, 4, 0), "pread");
	EQ(EINVAL, errno, "pread: %d", errno);
	EQ(-1, pwrite(dev, arg, 4, 0), "pwrite");
	EQ(EINVAL, errno, "pwrite: %d", errno);
	EQ(-1, read(dev, arg, 4), "read");
	EQ(EINVAL, errno, "read: %d", errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PG, PROT_READ, MAP_SHARED, dev, 0));
	EQ(EINVAL, errno, "mmap: %d", errno);
}

TEST_F(vfio, sysfs_and_node)
{
	char path[512], text[32] = "", want[32];
	struct stat st;
	int fd;

	EQ(1, vfio_dev_entries(self->edu.bdf), "entries in vfio-dev/");
	ASSERT_EQ(0, stat(self->node, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EQ(0660, st.st_mode & 07777, "mode of %s", self->node);
	EQ(0, st.st_uid, "owner of %s", self->node);

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/%s/dev",
		 self->edu.bdf, strrchr(self->node, '/') + 1);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd) TH_LOG("%s: %s", path, strerror(errno));
	EXPECT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	snprintf(want, sizeof(want), "%u:%u\n", major(st.st_rdev),
		 minor(st.st_rdev));
	EXPECT_STREQ(want, text);

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	EXPECT_EQ(0, access(path, F_OK));
}

TEST_F(vfio, silent_before_bind)
{
	expect_silence(_metadata, self->edu.dev);
	/* A bind that fails changes nothing of that */
	FAILS(EBADF, bind_dev(self->edu.dev, 9999));
	expect_silence(_metadata, self->edu.dev);

	OK(edu_bind(&self->edu, self->fd));
	FAILS(ENOTTY, try_ioctl(self->edu.dev, _IO(VFIO_TYPE, VFIO_BASE + 99),
				NULL));
}

TEST_F(vfio, bind_arguments)
{
	const uint32_t size = sizeof(struct vfio_device_bind_iommufd);
	struct vfio_device_bind_iommufd *cmd;
	int dev = self->edu.dev, null, pipes[2], i;
	static const uint32_t sizes[] = { 0, 1, 8, 12, 15 };

	for (i = 0; i < (int)ARRAY_LEN(sizes); i++)
		EQ(-EINVAL, bind_raw(dev, sizes[i], 0, self->fd), "argsz %u",
		   sizes[i]);
	for (i = 0; i < 32; i++)
		EQ(-EINVAL, bind_raw(dev, size, 1U << i, self->fd),
		   "flag bit %d", i);
	FAILS(EINVAL, bind_raw(dev, size, 0, -1));
	FAILS(EINVAL, bind_raw(dev, size, 0, INT_MIN));
	FAILS(EBADF, bind_raw(dev, size, 0, INT_MAX));
	FAILS(EBADF, bind_raw(dev, size, 0, 9999));

	null = open("/dev/null", O_RDWR);
	ASSERT_LE(0, null);
	FAILS(EBADFD, bind_dev(dev, null));
	ASSERT_EQ(0, pipe(pipes));
	FAILS(EBADFD, bind_dev(dev, pipes[0]));
	FAILS(EBADFD, bind_dev(dev, dev));
	close(null);
	close(pipes[0]);
	close(pipes[1]);

	FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	cmd = mem_alloc(2 * PG, PG);
	ASSERT_NE(NULL, cmd);
	ASSERT_EQ(0, munmap((char *)cmd + PG, PG));
	FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD,
				(char *)cmd + PG - 8));

	/* The answer cannot be written: all of it is undone */
	memset(cmd, 0, sizeof(*cmd));
	cmd->argsz = size;
	cmd->iommufd = self->fd;
	ASSERT_EQ(0, mprotect(cmd, PG, PROT_READ));
	for (i = 0; i < 3; i++)
		FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, cmd));
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices after a failed bind");
	expect_silence(_metadata, dev);

	/* Nor has any of this hurt. A longer argument is one of the future. */
	OK(bind_raw(dev, size + 64, 0, self->fd));
	EQ(1, stat_read("devices"), "devices");
}

TEST_F(vfio, bind_gives_an_id)
{
	OK(edu_bind(&self->edu, self->fd));
	EXPECT_NE(0, self->edu.dev_id);
	EXPECT_NE(self->ioas, self->edu.dev_id);
	FAILS(EBUSY, iommu_destroy(self->fd, self->edu.dev_id));
}

TEST_F(vfio, one_bind_per_device)
{
	int other, second, fd2;

	second = open(self->node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, second);
	fd2 = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd2);

	OK(edu_bind(&self->edu, self->fd));
	FAILS(EINVAL, bind_dev(self->edu.dev, self->fd));
	FAILS(EINVAL, bind_dev(self->edu.dev, fd2));
	FAILS(EINVAL, bind_dev(second, self->fd));
	FAILS(EINVAL, bind_dev(second, fd2));
	FAILS(EBADF, bind_dev(second, 9999));
	/* Who did not bind gets nothing from who did */
	expect_silence(_metadata, second);
	other = open(self->node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, other);
	expect_silence(_metadata, other);
	close(other);

	/* Nor does the failed bind matter to the first one, or its close */
	OK(edu_attach(&self->edu, self->ioas));
	edu_close(&self->edu);
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
	OK(bind_dev(second, fd2));
	close(second);
	close(fd2);
}

/* Who had the device, or has had it open, is left with nothing. */
TEST_F(vfio, revoke)
{
	const uint32_t size = sizeof(struct granule_vfio_revoke);
	int old[2], copy, later, i;

	for (i = 0; i < 2; i++) {
		old[i] = open(self->node, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, old[i]);
	}
	FAILS(EINVAL, revoke_raw(self->edu.dev, size, 0));
	OK(edu_bind(&self->edu, self->fd));
	for (i = 0; i < (int)size; i++)
		FAILS(EINVAL, revoke_raw(self->edu.dev, i, 0));
	for (i = 0; i < 32; i++)
		FAILS(EINVAL, revoke_raw(self->edu.dev, size, 1U << i));
	FAILS(EFAULT, try_ioctl(self->edu.dev, GRANULE_VFIO_REVOKE, NULL));
	FAILS(EINVAL, revoke_raw(old[0], size, 0));
	/* None of that has revoked anything */
	FAILS(EINVAL, bind_dev(old[0], self->fd));
	copy = dup(old[1]);
	ASSERT_LE(0, copy);
	close(old[1]);

	OK(revoke_raw(self->edu.dev, size + 64, 0));
	OK(revoke_raw(self->edu.dev, size, 0));
	later = open(self->node, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, later);
	FAILS(ESTALE, bind_dev(old[0], self->fd));
	FAILS(ESTALE, bind_dev(copy, self->fd));
	FAILS(EINVAL, bind_dev(later, self->fd));
	expect_silence(_metadata, old[0]);
	expect_silence(_metadata, copy);
	/* The one that did it goes on */
	OK(edu_start(&self->edu));
	OK(edu_attach(&self->edu, self->ioas));
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)self->edu.bar);
	edu_close(&self->edu);
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices");

	/* And it was for ever */
	FAILS(ESTALE, bind_dev(old[0], self->fd));
	FAILS(EINVAL, bind_raw(old[0], 0, 0, self->fd));
	OK(bind_dev(later, self->fd));
	FAILS(ESTALE, bind_dev(copy, self->fd));
	close(later);
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
	FAILS(ESTALE, bind_dev(copy, self->fd));

	/* The driver does not wait for such files, and may come back */
	OK(driver_write("unbind", self->edu.bdf));
	FAILS(ESTALE, bind_dev(copy, self->fd));
	close(copy);
	OK(driver_write("bind", self->edu.bdf));
	FAILS(ESTALE, bind_dev(old[0], self->fd));
	expect_silence(_metadata, old[0]);
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
	close(old[0]);
}

TEST_F(vfio, attach_arguments)
{
	const uint32_t size = sizeof(struct vfio_device_attach_iommufd_pt);
	struct vfio_device_attach_iommufd_pt *cmd;
	static const uint32_t sizes[] = { 0, 4, 8, 11 };
	int dev = self->edu.dev, i;
	uint32_t pt, hwpt;

	OK(edu_bind(&self->edu, self->fd));
	for (i = 0; i < (int)ARRAY_LEN(sizes); i++)
		EQ(-EINVAL, attach_raw(dev, sizes[i], 0, self->ioas),
		   "argsz %u", sizes[i]);
	for (i = 0; i < 32; i++)
		EQ(-EINVAL, attach_raw(dev, size, 1U << i, self->ioas),
		   "flag bit %d", i);
	FAILS(ENOENT, attach_raw(dev, size, 0, 0));
	FAILS(ENOENT, attach_raw(dev, size, 0, NO_ID));
	FAILS(ENOENT, attach_raw(dev, size, 0, UINT32_MAX));
	FAILS(EINVAL, attach_raw(dev, size, 0, self->edu.dev_id));
	FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));

	/* An answer that cannot be written leaves the device detached */
	cmd = mem_alloc(PG, PG);
	ASSERT_NE(NULL, cmd);
	cmd->argsz = size;
	cmd->flags = 0;
	cmd->pt_id = self->ioas;
	ASSERT_EQ(0, mprotect(cmd, PG, PROT_READ));
	FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, cmd));
	OK(iommu_destroy(self->fd, self->ioas));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));

	OK(attach_raw(dev, size + 100, 0, self->ioas));
	FAILS(EBUSY, iommu_destroy(self->fd, self->ioas));

	/* The answer is the page table, and as good as the IOAS */
	pt = self->ioas;
	OK(edu_attach_pt(&self->edu, &pt));
	EXPECT_NE(self->ioas, pt);
	hwpt = pt;
	OK(edu_attach_pt(&self->edu, &pt));
	EXPECT_EQ(hwpt, pt);
}

TEST_F(vfio, detach_arguments)
{
	const uint32_t size = sizeof(struct vfio_device_detach_iommufd_pt);
	int dev = self->edu.dev, i;

	OK(edu_bind(&self->edu, self->fd));
	/* Also when there is nothing to detach, and again */
	OK(detach_raw(dev, size, 0));
	OK(detach_raw(dev, size + 8, 0));
	FAILS(EINVAL, detach_raw(dev, 0, 0));
	FAILS(EINVAL, detach_raw(dev, 7, 0));
	for (i = 0; i < 32; i++)
		EQ(-EINVAL, detach_raw(dev, size, 1U << i), "flag bit %d", i);
	FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));

	OK(edu_attach(&self->edu, self->ioas));
	FAILS(EINVAL, detach_raw(dev, 7, 0));
	FAILS(EBUSY, iommu_destroy(self->fd, self->ioas));
	OK(detach_raw(dev, size, 0));
	OK(iommu_destroy(self->fd, self->ioas));
}

TEST_F(vfio, attach_replaces)
{
	const uint32_t size = sizeof(struct vfio_device_attach_iommufd_pt);
	uint32_t ioas2;
	uint8_t *mem;

	mem = mem_alloc(2 * PG, PG);
	ASSERT_NE(NULL, mem);
	OK(iommu_ioas_alloc(self->fd, &ioas2));
	OK(iommu_map_at(self->fd, self->ioas, mem, PG, RW, 0x100000));
	OK(iommu_map_at(self->fd, ioas2, mem + PG, PG, RW, 0x100000));
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));

	OK(edu_attach(&self->edu, self->ioas));
	pattern_fill(mem, PG, 1);
	OK(edu_load(&self->edu, 0x100000, PG));
	/* The same address now means other memory */
	OK(edu_attach(&self->edu, ioas2));
	OK(edu_store(&self->edu, 0x100000, PG));
	EXPECT_TRUE(pattern_is(mem + PG, PG, 1));
	OK(iommu_destroy(self->fd, self->ioas));

	/* Refused: stays where it is */
	FAILS(ENOENT, attach_raw(self->edu.dev, size, 0, self->ioas));
	memset(mem + PG, 0, PG);
	OK(edu_store(&self->edu, 0x100000, PG));
	EXPECT_TRUE(pattern_is(mem + PG, PG, 1));

	/* Detached: blocked, and allowed again */
	OK(edu_detach(&self->edu));
	memset(mem + PG, 0, PG);
	OK(edu_store(&self->edu, 0x100000, PG));
	EXPECT_TRUE(bytes_are(mem + PG, PG, 0));
	OK(edu_attach(&self->edu, ioas2));
	OK(edu_store(&self->edu, 0x100000, PG));
	EXPECT_TRUE(pattern_is(mem + PG, PG, 1));
	self->ioas = ioas2;
}

/* The group file of the device; -errno if there is none. */
static int group_open(const char *bdf)
{
	char path[300], link[PATH_MAX] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 bdf);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

TEST_F(vfio, group_excludes_node_and_back)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int group, container;

	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, container) TH_LOG("/dev/vfio/vfio: %s", strerror(errno));
	group = group_open(self->edu.bdf);
	ASSERT_LE(0, group) TH_LOG("group file: %s", strerror(-group));

	/* Bound by the node: the group cannot get into a container */
	OK(edu_bind(&self->edu, self->fd));
	FAILS(EPERM, try_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	EXPECT_GT(0, ioctl(group, VFIO_GROUP_GET_DEVICE_FD, self->edu.bdf));
	edu_close(&self->edu);

	/* Free again */
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
	OK(try_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	OK(try_ioctl(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_TRUE(status.flags & VFIO_GROUP_FLAGS_VIABLE);

	/* In a container: the node can be opened, not bound */
	OK(edu_open(&self->edu, 0));
	FAILS(EPERM, bind_dev(self->edu.dev, self->fd));
	expect_silence(_metadata, self->edu.dev);
	OK(try_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	OK(edu_bind(&self->edu, self->fd));
	close(group);
	close(container);
}

TEST_F(vfio, regions)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	uint16_t command, id[2];
	uint32_t i;

	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	ASSERT_LE(VFIO_PCI_NUM_REGIONS, info.num_regions);
	ASSERT_LE(VFIO_PCI_NUM_IRQS, info.num_irqs);

	for (i = 0; i < info.num_regions; i++) {
		memset(&region, 0, sizeof(region));
		region.argsz = sizeof(region);
		region.index = i;
		/* The VGA region is not there when the device has none */
		EQ(i == VFIO_PCI_VGA_REGION_INDEX ? -EINVAL : 0,
		   try_ioctl(self->edu.dev, VFIO_DEVICE_GET_REGION_INFO,
			     &region), "region %u", i);
		if (i == VFIO_PCI_BAR0_REGION_INDEX) {
			EXPECT_EQ(EDU_BAR_SIZE, region.size);
			EXPECT_TRUE(region.flags & VFIO_REGION_INFO_FLAG_MMAP);
		}
	}
	region.index = info.num_regions;
	FAILS(EINVAL, try_ioctl(self->edu.dev, VFIO_DEVICE_GET_REGION_INFO,
				&region));

	ASSERT_EQ(4, pread(self->edu.dev, id, 4, self->edu.config));
	EXPECT_EQ(0x1234, id[0]);
	EXPECT_EQ(0x11e8, id[1]);
	ASSERT_EQ(2, pread(self->edu.dev, &command, 2, self->edu.config + 4));
	EQ(6, command & 6, "command register");
	command &= ~4;
	ASSERT_EQ(2, pwrite(self->edu.dev, &command, 2, self->edu.config + 4));
	ASSERT_EQ(2, pread(self->edu.dev, &command, 2, self->edu.config + 4));
	EQ(2, command & 6, "command register");
	EXPECT_EQ(0, pread(self->edu.dev, id, 0, self->edu.config));
	EXPECT_EQ(-1, pread(self->edu.dev, id, 4,
			    (uint64_t)info.num_regions << 40));
}

TEST_F(vfio, bar_access)
{
	volatile uint32_t *bar;
	uint32_t val;
	int dev;

	dev = self->edu.dev;
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	bar = (volatile uint32_t *)self->edu.bar;
	EXPECT_EQ(EDU_ID, bar[0]);
	ASSERT_EQ(4, pread(dev, &val, 4, self->edu.bar_off));
	EXPECT_EQ(EDU_ID, val);
	/* Two ways to the same register */
	bar[EDU_LIVENESS / 4] = 0x12345678;
	ASSERT_EQ(4, pread(dev, &val, 4, self->edu.bar_off + EDU_LIVENESS));
	EXPECT_EQ(~0x12345678U, val);
	val = 0xcafef00d;
	ASSERT_EQ(4, pwrite(dev, &val, 4, self->edu.bar_off + EDU_LIVENESS));
	EXPECT_EQ(~0xcafef00dU, bar[EDU_LIVENESS / 4]);

	EXPECT_EQ(MAP_FAILED, mmap(NULL, PG, PROT_READ, MAP_PRIVATE, dev,
				   self->edu.bar_off));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * PG, PROT_READ, MAP_SHARED, dev,
				   self->edu.bar_off + EDU_BAR_SIZE - PG));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PG, PROT_READ, MAP_SHARED, dev,
				   self->edu.config));
}

static sigjmp_buf fault_jmp;

static void on_fault(int sig)
{
	siglongjmp(fault_jmp, sig);
}

/* Read a register; false when that raises SIGBUS. */
static int bar_reads(volatile uint32_t *reg, uint32_t *val)
{
	if (sigsetjmp(fault_jmp, 1))
		return 0;
	*val = *reg;
	return 1;
}

static int config_memory(struct edu *edu, int on)
{
	uint16_t command;

	if (pread(edu->dev, &command, 2, edu->config + 4) != 2)
		return -EIO;
	command = on ? command | 2 : command & ~2;
	return pwrite(edu->dev, &command, 2, edu->config + 4) == 2 ? 0 : -EIO;
}

/*
 * Mappings are revoked when the device's memory is switched off, all of them
 * and however they came about, and come back with it.
 */
TEST_F(vfio, mappings_follow_the_device)
{
	volatile uint32_t *bar, *second, *split;
	uint32_t val = 0;
	pid_t pid;
	int i;

	signal(SIGBUS, on_fault);
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	bar = (volatile uint32_t *)self->edu.bar;
	second = mmap(NULL, EDU_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      self->edu.dev, self->edu.bar_off);
	ASSERT_NE(MAP_FAILED, (void *)second);
	split = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_SHARED,
		     self->edu.dev, self->edu.bar_off);
	ASSERT_NE(MAP_FAILED, (void *)split);
	ASSERT_TRUE(bar_reads(split, &val));
	/* A hole, and what is left on both sides of it */
	ASSERT_EQ(0, munmap((char *)split + 4 * PG, 4 * PG));
	ASSERT_TRUE(bar_reads(split, &val));
	ASSERT_TRUE(bar_reads(split + 8 * PG / 4, &val));

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(bar_reads(bar, &val));
		EXPECT_EQ(EDU_ID, val);
		ASSERT_TRUE(bar_reads(second, &val));
		OK(config_memory(&self->edu, 0));
		EXPECT_FALSE(bar_reads(bar, &val));
		EXPECT_FALSE(bar_reads(second, &val));
		EXPECT_FALSE(bar_reads(split, &val));
		EXPECT_FALSE(bar_reads(split + 8 * PG / 4, &val));
		OK(config_memory(&self->edu, 1));
		EXPECT_TRUE(bar_reads(split, &val));
		EXPECT_EQ(EDU_ID, val);
	}

	/* A child has the mappings too, also after the parent dropped them */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(bar_reads(bar, &val) && val == EDU_ID);
		CHECK_RC(0, config_memory(&self->edu, 0));
		CHECK(!bar_reads(bar, &val));
		CHECK(!bar_reads(second, &val));
		CHECK_RC(0, config_memory(&self->edu, 1));
		CHECK(bar_reads(second, &val) && val == EDU_ID);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_TRUE(bar_reads(bar, &val));
	EXPECT_EQ(EDU_ID, val);

	/* The file is closed, the mapping holds it all up */
	munmap((void *)second, EDU_BAR_SIZE);
	close(self->edu.dev);
	self->edu.dev = -1;
	EXPECT_TRUE(bar_reads(bar, &val));
	EQ(1, stat_read("devices"), "devices while the BAR is mapped");
	munmap((void *)split, 16 * PG);
}

TEST_F(vfio, interrupts)
{
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_MSI_IRQ_INDEX,
	};
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = 1,
		},
	};
	struct pollfd p = { .events = POLLIN };

	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EQ(1, info.count, "MSI vectors");
	p.fd = irq.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, irq.fd);
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_SET_IRQS, &irq));
	/* Register 0x60 raises an interrupt */
	*(volatile uint32_t *)(self->edu.bar + 0x60) = 1;
	EQ(1, poll(&p, 1, PATIENCE), "no interrupt in 5 s");
	close(irq.fd);
}

TEST_F(vfio, features)
{
	struct {
		struct vfio_device_feature f;
		uint8_t data[64];
	} a = {};
	static const uint32_t core[] = { 1, 2, 6, 7, 8, 9 };
	static const uint32_t ways[] = {
		VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_PROBE,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			VFIO_DEVICE_FEATURE_SET,
	};
	int dev = self->edu.dev;
	size_t i, j;

	OK(edu_bind(&self->edu, self->fd));
	a.f.argsz = sizeof(a);
	for (i = 0; i < ARRAY_LEN(core); i++)
		for (j = 0; j < ARRAY_LEN(ways); j++) {
			a.f.flags = core[i] | ways[j];
			EQ(-ENOTTY, try_ioctl(dev, VFIO_DEVICE_FEATURE, &a),
			   "feature %u, flags %#x", core[i], ways[j]);
		}
	a.f.flags = 0xffff | VFIO_DEVICE_FEATURE_PROBE;
	FAILS(ENOTTY, try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));

	/* Low power is the driver's to answer */
	a.f.flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT |
		    VFIO_DEVICE_FEATURE_PROBE;
	OK(try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));
	a.f.flags |= VFIO_DEVICE_FEATURE_SET;
	OK(try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));
	a.f.flags |= VFIO_DEVICE_FEATURE_GET;
	FAILS(EINVAL, try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));
	a.f.flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT |
		    VFIO_DEVICE_FEATURE_SET;
	OK(try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));

	/* What the header may not say */
	a.f.flags |= VFIO_DEVICE_FEATURE_GET;
	FAILS(EINVAL, try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));
	for (i = 19; i < 32; i++) {
		a.f.flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT |
			    VFIO_DEVICE_FEATURE_PROBE | 1U << i;
		EQ(-EINVAL, try_ioctl(dev, VFIO_DEVICE_FEATURE, &a),
		   "flag bit %zu", i);
	}
	a.f.flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT |
		    VFIO_DEVICE_FEATURE_PROBE;
	a.f.argsz = 7;
	FAILS(EINVAL, try_ioctl(dev, VFIO_DEVICE_FEATURE, &a));
	FAILS(EFAULT, try_ioctl(dev, VFIO_DEVICE_FEATURE, NULL));
}

/* In low power, registers are out of reach until an ioctl wakes the device. */
TEST_F(vfio, low_power)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY |
			 VFIO_DEVICE_FEATURE_SET,
	};
	uint32_t val = 0;

	signal(SIGBUS, on_fault);
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	ASSERT_TRUE(bar_reads((volatile uint32_t *)self->edu.bar, &val));
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_FEATURE, &f));
	EXPECT_FALSE(bar_reads((volatile uint32_t *)self->edu.bar, &val));
	f.flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET;
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_FEATURE, &f));
	EXPECT_TRUE(bar_reads((volatile uint32_t *)self->edu.bar, &val));
	EXPECT_EQ(EDU_ID, val);
}

/* -- things that go away ------------------------------------------------ */

TEST_F(vfio, close_while_attached)
{
	void *mem = mem_alloc(16 * PG, PG);

	ASSERT_NE(NULL, mem);
	OK(iommu_map_at(self->fd, self->ioas, mem, 16 * PG, RW, 0x200000));
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_attach(&self->edu, self->ioas));
	EXPECT_LE(16 * PG, stat_read("pinned_bytes"));

	/* The iommufd first: the device file keeps the context */
	close(self->fd);
	EQ(1, stat_read("contexts"), "contexts");
	OK(edu_start(&self->edu));
	pattern_fill(mem, PG, 9);
	OK(edu_load(&self->edu, 0x200000, PG));
	OK(edu_store(&self->edu, 0x201000, PG));
	EXPECT_TRUE(pattern_is((char *)mem + PG, PG, 9));
	edu_close(&self->edu);
	EXPECT_CLEAN();

	/* And the other way round */
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	OK(iommu_map_at(self->fd, self->ioas, mem, 16 * PG, RW, 0x200000));
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_attach(&self->edu, self->ioas));
	edu_close(&self->edu);
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
	EQ(0, stat_wait("pinned_bytes", 0, PATIENCE), "pinned_bytes");
	OK(iommu_destroy(self->fd, self->ioas));
}

TEST_F_TIMEOUT(vfio, cycles, 300)
{
	void *mem = mem_alloc(PG, PG);
	int i;

	ASSERT_NE(NULL, mem);
	OK(iommu_map_at(self->fd, self->ioas, mem, PG, RW, 0x300000));
	edu_close(&self->edu);
	for (i = 0; i < 200; i++) {
		OK(edu_open(&self->edu, 0));
		OK(edu_bind(&self->edu, self->fd));
		OK(edu_attach(&self->edu, self->ioas));
		if (i & 1)
			OK(edu_detach(&self->edu));
		edu_close(&self->edu);
	}
	EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
	EQ(0, stat_wait("pinned_bytes", 0, PATIENCE), "pinned_bytes");
	OK(iommu_unmap(self->fd, self->ioas, 0, WHOLE));
	OK(iommu_destroy(self->fd, self->ioas));
	EQ(0, stat_read("objects"), "objects");
}

/*
 * The driver is unbound while the device is in use: nobody can come in any
 * more, who is in is asked to leave and can go on until it does, then the
 * driver goes.
 */
TEST_F(vfio, driver_unbinds)
{
	const char *made = "/dev/granule-test-node";
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
	};
	struct pollfd p = { .events = POLLIN };
	struct stat st;
	int idle, i;
	pid_t pid;

	/* A node that udev does not take away */
	ASSERT_EQ(0, stat(self->node, &st));
	unlink(made);
	ASSERT_EQ(0, mknod(made, S_IFCHR | 0600, st.st_rdev));
	idle = open(made, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, idle) TH_LOG("%s: %s", made, strerror(errno));

	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	OK(edu_attach(&self->edu, self->ioas));
	p.fd = irq.fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, irq.fd);
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_SET_IRQS, &irq));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Not the files of the test: only its parent closes them */
		close(idle);
		edu_close(&self->edu);
		_exit(driver_write("unbind", self->edu.bdf) ? 1 : 0);
	}
	EQ(1, poll(&p, 1, PATIENCE), "the device was not asked for");
	EXPECT_EQ(-1, access(self->node, F_OK));
	EXPECT_EQ(-1, open(made, O_RDWR));
	EQ(ENODEV, errno, "open while unbinding: %s", strerror(errno));
	FAILS(EINVAL, bind_dev(idle, self->fd));
	EQ(0, waitpid(pid, NULL, WNOHANG), "unbind did not wait");

	/* In use as ever */
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)self->edu.bar);
	OK(edu_detach(&self->edu));
	OK(edu_attach(&self->edu, self->ioas));
	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		usleep(10000);
		EQ(0, waitpid(pid, NULL, WNOHANG), "an open file is left");
	}
	/* Free to be bound, were the driver not going */
	FAILS(ENODEV, bind_dev(idle, self->fd));
	expect_silence(_metadata, idle);
	close(idle);
	EXPECT_EQ(0, child_wait(pid));

	EXPECT_GE(0, vfio_dev_entries(self->edu.bdf));
	EXPECT_EQ(-1, open(made, O_RDWR));
	EQ(ENODEV, errno, "open after unbind: %s", strerror(errno));
	unlink(made);
	close(irq.fd);

	OK(driver_write("bind", self->edu.bdf));
	EQ(1, vfio_dev_entries(self->edu.bdf), "entries in vfio-dev/");
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
}

TEST_F_TIMEOUT(vfio, driver_comes_and_goes, 150)
{
	int i;

	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		OK(driver_write("unbind", self->edu.bdf));
		EXPECT_GE(0, vfio_dev_entries(self->edu.bdf));
		OK(driver_write("bind", self->edu.bdf));
		EQ(1, vfio_dev_entries(self->edu.bdf), "entries");
		OK(edu_open(&self->edu, 0));
		if (i & 1)
			OK(edu_bind(&self->edu, self->fd));
		edu_close(&self->edu);
	}
}

static int module_unload(void)
{
	return syscall(SYS_delete_module, "granule_vfio", O_NONBLOCK) ?
		-errno : 0;
}

/* The module cannot go while a file is open, and comes back as it was. */
TEST_F_TIMEOUT(vfio, module_unloads, 150)
{
	int i;

	FAILS(EAGAIN, module_unload());
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	FAILS(EAGAIN, module_unload());
	/* A mapping counts as an open file */
	close(self->edu.dev);
	self->edu.dev = -1;
	FAILS(EAGAIN, module_unload());
	edu_close(&self->edu);

	for (i = 0; i < 5; i++) {
		OK(module_unload());
		EXPECT_EQ(-1, access(self->node, F_OK));
		/* The driver is there all the same */
		EQ(1, vfio_dev_entries(self->edu.bdf), "entries");
		if (i & 1) {
			/* Bound before the module comes, and after */
			OK(driver_write("unbind", self->edu.bdf));
			OK(driver_write("bind", self->edu.bdf));
		}
		ASSERT_EQ(0, system("modprobe granule-vfio"));
		OK(edu_open(&self->edu, 0));
		OK(edu_bind(&self->edu, self->fd));
		edu_close(&self->edu);
	}
}

/* -- everything at once -------------------------------------------------- */

struct chaos {
	const char *node;
	int dev, fd;
	uint32_t ioas[2];
	volatile int stop;
	unsigned int odd;	/* answers that no order of calls explains */
};

static void chaos_judge(struct chaos *c, int rc, const char *what)
{
	static const int fine[] = {
		0, -EINVAL, -EBUSY, -EINTR, -ESTALE,
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(fine); i++)
		if (rc == fine[i])
			return;
	fprintf(stderr, "# %s: %s\n", what, strerror(-rc));
	__atomic_add_fetch(&c->odd, 1, __ATOMIC_SEQ_CST);
}

/* All that can be done to one file that others are busy with. */
static void *chaos_file(void *arg)
{
	struct chaos *c = arg;
	unsigned int n = 0;
	uint32_t buf[64];

	while (!c->stop) {
		memset(buf, 0, sizeof(buf));
		switch (n++ % 7) {
		case 0:
			chaos_judge(c, bind_dev(c->dev, c->fd), "bind");
			break;
		case 1:
			chaos_judge(c, attach_raw(c->dev, 12, 0, c->ioas[0]),
				    "attach");
			break;
		case 2:
			chaos_judge(c, attach_raw(c->dev, 12, 0, c->ioas[1]),
				    "replace");
			break;
		case 3:
			chaos_judge(c, detach_raw(c->dev, 8, 0), "detach");
			break;
		case 4:
			buf[0] = sizeof(struct vfio_device_info);
			chaos_judge(c, try_ioctl(c->dev, VFIO_DEVICE_GET_INFO,
						 buf), "info");
			break;
		case 5:
			if (pread(c->dev, buf, 4,
				  (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)
			    != 4)
				chaos_judge(c, -errno, "config");
			break;
		case 6:
			chaos_judge(c, revoke_raw(c->dev, 8, 0), "revoke");
			break;
		}
	}
	return NULL;
}

/* Others come by their own files: open, try to bind, go. */
static void *chaos_opener(void *arg)
{
	struct chaos *c = arg;
	int dev;

	while (!c->stop) {
		dev = open(c->node, O_RDWR | O_CLOEXEC);
		if (dev < 0) {
			chaos_judge(c, -errno, "open");
			continue;
		}
		chaos_judge(c, bind_dev(dev, c->fd), "bind another");
		chaos_judge(c, attach_raw(dev, 12, 0, c->ioas[0]),
			    "attach another");
		close(dev);
	}
	return NULL;
}

TEST_F_TIMEOUT(vfio, threads, 150)
{
	struct chaos c = { .node = self->node, .fd = self->fd };
	pthread_t threads[6];
	size_t i, round;
	void *mem = mem_alloc(PG, PG);

	ASSERT_NE(NULL, mem);
	c.ioas[0] = self->ioas;
	OK(iommu_ioas_alloc(self->fd, &c.ioas[1]));
	OK(iommu_map_at(self->fd, c.ioas[0], mem, PG, RW, 0x100000));
	OK(iommu_map_at(self->fd, c.ioas[1], mem, PG, RW, 0x400000));
	edu_close(&self->edu);
	for (round = 0; round < 4; round++) {
		c.dev = open(self->node, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, c.dev);
		c.stop = 0;
		for (i = 0; i < ARRAY_LEN(threads); i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    i < 4 ? chaos_file :
							    chaos_opener, &c));
		usleep(700000);
		c.stop = 1;
		for (i = 0; i < ARRAY_LEN(threads); i++)
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
		close(c.dev);
		EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
		EQ(0, stat_wait("pinned_bytes", 0, PATIENCE), "pinned_bytes");
	}
	EQ(0, c.odd, "answers that make no sense");
}

/* Killed at any moment, a process leaves nothing bound. */
TEST_F_TIMEOUT(vfio, killed, 150)
{
	struct chaos c = { .node = self->node };
	void *mem = mem_alloc(PG, PG);
	pid_t pid;
	int i;

	ASSERT_NE(NULL, mem);
	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			c.fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
			CHECK_RC(0, iommu_ioas_alloc(c.fd, &c.ioas[0]));
			CHECK_RC(0, iommu_ioas_alloc(c.fd, &c.ioas[1]));
			CHECK_RC(0, iommu_map_at(c.fd, c.ioas[0], mem, PG, RW,
						 0x100000));
			c.dev = open(self->node, O_RDWR | O_CLOEXEC);
			CHECK(c.dev >= 0);
			chaos_file(&c);
			_exit(1);
		}
		usleep(1000 + 7000 * (i % 10));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, child_wait(pid));
		EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
		EQ(0, stat_wait("pinned_bytes", 0, PATIENCE), "pinned_bytes");
	}
}

TEST_HARNESS_MAIN
