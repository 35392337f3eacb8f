// SPDX-License-Identifier: GPL-2.0-only
/* Hot reset of a VFIO device's bus: who is on it, who may, what comes back. */
#include <linux/vfio.h>
#include <pthread.h>

#include "edu.h"

#define MAX_DEPENDENT 256

struct reset_info {
	struct vfio_pci_hot_reset_info i;
	struct vfio_pci_dependent_device devices[MAX_DEPENDENT];
};

static int reset_info(int dev, uint32_t argsz, struct reset_info *info)
{
	memset(info, 0xa5, sizeof(*info));
	info->i.argsz = argsz;
	return try_ioctl(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

static int hot_reset(int dev, uint32_t argsz, uint32_t flags, uint32_t count)
{
	struct {
		struct vfio_pci_hot_reset r;
		int32_t fds[4];
	} a = {
		.r = { .argsz = argsz, .flags = flags, .count = count },
	};

	return try_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, &a);
}

/* "0000:02:00.0" to what struct vfio_pci_dependent_device says. */
static int is_device(const struct vfio_pci_dependent_device *d,
		     const char *bdf)
{
	char text[32];

	snprintf(text, sizeof(text), "%04x:%02x:%02x.%x", d->segment, d->bus,
		 d->devfn >> 3, d->devfn & 7);
	return !strcmp(text, bdf);
}

/* Index of the first edu on a bus of its own that can be reset, or -1. */
static int edu_below_port(void)
{
	char bdf[32], path[300], link[PATH_MAX];
	int i;
	ssize_t n;

	for (i = 0; !edu_find(i, bdf, sizeof(bdf)); i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = 0;
		/* .../pci0000:00/<port>/<device> */
		if (!strstr(strstr(link, "/pci") ?: "", bdf))
			continue;
		*strrchr(link, '/') = 0;
		if (strncmp(strrchr(link, '/'), "/pci", 4))
			return i;
	}
	return -1;
}

/* -- below a port ------------------------------------------------------- */

FIXTURE(reset)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
};

FIXTURE_SETUP(reset)
{
	int index = edu_below_port(), i;
	char bdf[32];

	self->edu.dev = -1;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	if (index < 0)
		SKIP(return, "no edu device below a port, where buses can be reset");
	/* All of the bus has to be vfio-pci's */
	for (i = 0; !edu_find(i, bdf, sizeof(bdf)); i++)
		OK(edu_bind_driver(bdf));
	OK(edu_open(&self->edu, index));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	OK(edu_bind(&self->edu, self->fd));
	OK(edu_start(&self->edu));
}

FIXTURE_TEARDOWN(reset)
{
	edu_close(&self->edu);
	close(self->fd);
	EXPECT_CLEAN();
}

TEST_F(reset, info_at_every_size)
{
	const size_t head = offsetof(struct reset_info, devices);
	const size_t one = sizeof(struct vfio_pci_dependent_device);
	static struct reset_info info;
	uint32_t count, size, i, seen;

	for (size = 0; size < head; size++)
		EQ(-EINVAL, reset_info(self->edu.dev, size, &info), "argsz %u",
		   size);
	ASSERT_EQ(-ENOSPC, reset_info(self->edu.dev, head, &info));
	count = info.i.count;
	ASSERT_LE(1, count);
	ASSERT_GE(MAX_DEPENDENT, count);
	for (; size < head + count * one; size++) {
		EQ(-ENOSPC, reset_info(self->edu.dev, size, &info), "argsz %u",
		   size);
		EQ(count, info.i.count, "argsz %u", size);
		EQ(0, info.i.flags, "argsz %u", size);
		EQ(0xa5, *(uint8_t *)info.devices, "argsz %u: written to",
		   size);
	}
	for (; size <= head + count * one + 9; size++) {
		OK(reset_info(self->edu.dev, size, &info));
		EQ(count, info.i.count, "argsz %u", size);
		EQ(0xa5, *(uint8_t *)&info.devices[count],
		   "argsz %u: written behind the last device", size);
	}
	/* A size beyond belief is not believed */
	OK(reset_info(self->edu.dev, UINT32_MAX, &info));
	EXPECT_EQ(count, info.i.count);

	EXPECT_TRUE(info.i.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	for (i = 0, seen = 0; i < count; i++) {
		/* group_id is the device's ID in the iommufd */
		if (is_device(&info.devices[i], self->edu.bdf)) {
			EXPECT_EQ(self->edu.dev_id, info.devices[i].group_id);
			seen++;
		} else if (info.devices[i].group_id ==
			   (uint32_t)VFIO_PCI_DEVID_NOT_OWNED) {
			EXPECT_FALSE(info.i.flags &
				     VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED);
		}
	}
	EQ(1, seen, "entries of the device itself");
	FAILS(EFAULT, try_ioctl(self->edu.dev,
				VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL));
}

TEST_F(reset, arguments)
{
	FAILS(EINVAL, hot_reset(self->edu.dev, 0, 0, 0));
	FAILS(EINVAL, hot_reset(self->edu.dev, 11, 0, 0));
	FAILS(EINVAL, hot_reset(self->edu.dev, 64, 1, 0));
	/* Group files are for devices that were opened by a group */
	FAILS(EINVAL, hot_reset(self->edu.dev, 64, 0, 1));
	FAILS(EINVAL, hot_reset(self->edu.dev, 64, 0, UINT32_MAX));
	FAILS(EFAULT, try_ioctl(self->edu.dev, VFIO_DEVICE_PCI_HOT_RESET,
				NULL));
}

struct toucher {
	volatile uint32_t *reg;
	volatile int stop;
	unsigned long reads, wrong;
};

/* Read a register until told to stop; it must never be anything else. */
static void *touch(void *arg)
{
	struct toucher *t = arg;

	while (!t->stop) {
		t->wrong += *t->reg != EDU_ID;
		t->reads++;
	}
	return NULL;
}

/*
 * While the bus is reset, who touches a register waits, and sees the device
 * again afterwards: neither SIGBUS, nor all ones, nor a fault for ever.
 */
TEST_F_TIMEOUT(reset, with_registers_mapped, 150)
{
	volatile uint32_t *live;
	static struct reset_info info;
	struct toucher t = {};
	int i, rc, done = 0;
	pthread_t thread;

	OK(reset_info(self->edu.dev, sizeof(info), &info));
	if (!(info.i.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED)) {
		/* Not FAILS: a skip would cover up what that reports */
		ASSERT_EQ(-EINVAL, hot_reset(self->edu.dev, 12, 0, 0));
		SKIP(return, "the bus has a device that is not ours: refused");
	}
	OK(edu_attach(&self->edu, self->ioas));
	live = (volatile uint32_t *)(self->edu.bar + EDU_LIVENESS);
	*live = 0x1111;
	t.reg = (volatile uint32_t *)self->edu.bar;
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch, &t));
	for (i = 0; i < 20; i++) {
		rc = hot_reset(self->edu.dev, 12, 0, 0);
		/* Another thread is faulting in a register just now */
		if (rc != -EBUSY)
			ASSERT_EQ(0, rc);
		done += !rc;
	}
	t.stop = 1;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_LT(0, done);
	EXPECT_LT(0, t.reads);
	EQ(0, t.wrong, "%lu of %lu reads", t.wrong, t.reads);
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)self->edu.bar);
	OK(hot_reset(self->edu.dev, 12, 0, 0));
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)self->edu.bar);
}

/* A neighbour on the bus that somebody else has, or nobody, or we have. */
TEST_F(reset, neighbour)
{
	static struct reset_info info;
	struct edu next = { .dev = -1 };
	char bdf[32];
	int fd2, index;
	uint32_t i, owned;

	for (index = 0; !edu_find(index, bdf, sizeof(bdf)); index++)
		if (strcmp(bdf, self->edu.bdf) &&
		    !strncmp(bdf, self->edu.bdf, 8))
			break;
	if (edu_find(index, bdf, sizeof(bdf)))
		SKIP(return, "no second edu device on the same bus");

	OK(edu_open(&next, index));
	owned = VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
		VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;

	/* Not opened: its group is ours, so it is */
	OK(reset_info(self->edu.dev, sizeof(info), &info));
	EXPECT_EQ(2, info.i.count);
	for (i = 0; i < info.i.count; i++)
		if (is_device(&info.devices[i], bdf))
			EXPECT_EQ(VFIO_PCI_DEVID_OWNED,
				  info.devices[i].group_id);
	EXPECT_EQ(owned, info.i.flags);
	OK(hot_reset(self->edu.dev, 12, 0, 0));

	/* Ours as well: by its ID */
	OK(edu_bind(&next, self->fd));
	OK(reset_info(self->edu.dev, sizeof(info), &info));
	for (i = 0; i < info.i.count; i++)
		if (is_device(&info.devices[i], bdf))
			EXPECT_EQ(next.dev_id, info.devices[i].group_id);
	EXPECT_EQ(owned, info.i.flags);
	OK(edu_start(&next));
	OK(hot_reset(self->edu.dev, 12, 0, 0));
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)next.bar);
	EXPECT_EQ(EDU_ID, *(volatile uint32_t *)self->edu.bar);
	edu_close(&next);

	/* The group is ours: nobody else can have it */
	OK(edu_open(&next, index));
	fd2 = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd2);
	FAILS(EPERM, edu_bind(&next, fd2));
	close(fd2);

	/* Out of the driver's hands: who would tell its new owner? */
	edu_close(&next);
	OK(driver_write("unbind", bdf));
	OK(reset_info(self->edu.dev, sizeof(info), &info));
	for (i = 0; i < info.i.count; i++)
		if (is_device(&info.devices[i], bdf))
			EXPECT_EQ((uint32_t)VFIO_PCI_DEVID_NOT_OWNED,
				  info.devices[i].group_id);
	EXPECT_EQ(VFIO_PCI_HOT_RESET_FLAG_DEV_ID, info.i.flags);
	FAILS(EINVAL, hot_reset(self->edu.dev, 12, 0, 0));
	OK(driver_write("bind", bdf));
}

/* -- on the root bus, which cannot be reset ----------------------------- */

FIXTURE(root)
{
	int fd;
	struct edu edu;
};

FIXTURE_SETUP(root)
{
	char bdf[32];

	self->edu.dev = -1;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	if (edu_below_port() == 0)
		SKIP(return, "the first edu is not on the root bus");
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
}

FIXTURE_TEARDOWN(root)
{
	edu_close(&self->edu);
	close(self->fd);
	EXPECT_CLEAN();
}

TEST_F(root, refused)
{
	struct reset_info info;

	FAILS(EINVAL, reset_info(self->edu.dev, 11, &info));
	FAILS(ENODEV, reset_info(self->edu.dev, 12, &info));
	FAILS(ENODEV, reset_info(self->edu.dev, sizeof(info), &info));
	FAILS(ENODEV, hot_reset(self->edu.dev, 12, 0, 0));
	FAILS(EINVAL, hot_reset(self->edu.dev, 11, 0, 0));
	FAILS(EINVAL, hot_reset(self->edu.dev, 12, 1, 0));
}

TEST_HARNESS_MAIN
