// SPDX-License-Identifier: GPL-2.0-only
/* Regions of a VFIO device: read, written, mapped, and out of reach. */
#include <setjmp.h>

#include "vfio.h"

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

TEST_HARNESS_MAIN
