// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO device nodes: what works before and after BIND, who excludes whom, what
 * a close leaves.
 */
#include <poll.h>
#include <sys/sysmacros.h>

#include "vfio.h"

#define NO_ID 0x7ffffff0U	/* an object that does not exist */

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

TEST_F(vfio, interrupts)
{
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_MSI_IRQ_INDEX,
	};
	struct pollfd p = { .events = POLLIN };

	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
	OK(try_ioctl(self->edu.dev, VFIO_DEVICE_GET_IRQ_INFO, &info));
	EQ(1, info.count, "MSI vectors");
	p.fd = irq_eventfd(self->edu.dev, VFIO_PCI_MSI_IRQ_INDEX);
	ASSERT_LE(0, p.fd);
	/* Register 0x60 raises an interrupt */
	*(volatile uint32_t *)(self->edu.bar + 0x60) = 1;
	EQ(1, poll(&p, 1, PATIENCE), "no interrupt in 5 s");
	close(p.fd);
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

TEST_HARNESS_MAIN
