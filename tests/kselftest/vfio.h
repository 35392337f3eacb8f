/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of VFIO device nodes stand on: one that is open, not bound,
 * and its ioctls with any argument.
 */
#ifndef KSELFTEST_VFIO_H
#define KSELFTEST_VFIO_H

#include <sys/eventfd.h>

#include "edu.h"

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

static inline int bind_raw(int dev, uint32_t argsz, uint32_t flags,
			   int32_t iommufd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = argsz,
		.flags = flags,
		.iommufd = iommufd,
	};

	return try_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

static inline int bind_dev(int dev, int iommufd)
{
	return bind_raw(dev, sizeof(struct vfio_device_bind_iommufd), 0,
			iommufd);
}

static inline int attach_raw(int dev, uint32_t argsz, uint32_t flags,
			     uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = argsz,
		.flags = flags,
		.pt_id = pt_id,
	};

	return try_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static inline int detach_raw(int dev, uint32_t argsz, uint32_t flags)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = argsz,
		.flags = flags,
	};

	return try_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline int revoke_raw(int dev, uint32_t argsz, uint32_t flags)
{
	struct granule_vfio_revoke cmd = { .argsz = argsz, .flags = flags };

	return try_ioctl(dev, GRANULE_VFIO_REVOKE, &cmd);
}

/* A new eventfd that interrupts of this @index come to; -errno. */
static inline int irq_eventfd(int dev, uint32_t index)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};
	int rc = irq.fd < 0 ? -errno :
			      try_ioctl(dev, VFIO_DEVICE_SET_IRQS, &irq);

	if (rc && irq.fd >= 0)
		close(irq.fd);
	return rc ?: irq.fd;
}

/* How many entries <bdf>/vfio-dev/ has; -errno if it does not exist. */
static inline int vfio_dev_entries(const char *bdf)
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

static inline void expect_silence(struct __test_metadata *_metadata, int dev)
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

#endif
