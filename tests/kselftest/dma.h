/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of DMA stand on: a device that is bound and started, but not
 * attached, an empty IOAS, and memory.
 */
#ifndef KSELFTEST_DMA_H
#define KSELFTEST_DMA_H

#include "self.h"

#define BASE 0x1000000ULL
#define SECRET 77	/* pattern that must never reach the device */
#define OLD 5		/* what the device's buffer holds before that */

FIXTURE(dma)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
	uint8_t *mem;	/* 16 pages */
};

static inline int dma_open(FIXTURE_DATA(dma) *self)
{
	int rc;

	self->fd = -1;
	rc = edu_open(&self->edu, 0);
	if (rc)
		return rc;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (self->fd < 0)
		return -errno;
	rc = edu_bind(&self->edu, self->fd);
	if (!rc)
		rc = edu_start(&self->edu);
	if (!rc)
		rc = iommu_ioas_alloc(self->fd, &self->ioas);
	return rc;
}

FIXTURE_SETUP(dma)
{
	char bdf[32];

	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	self->mem = mem_alloc(16 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	OK(dma_open(self));
}

FIXTURE_TEARDOWN(dma)
{
	edu_close(&self->edu);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_CLEAN();
}

#define LOAD(iova, n) edu_load(&self->edu, iova, n)
#define STORE(iova, n) edu_store(&self->edu, iova, n)

/* Put a pattern into the device by way of a mapping that stays at BASE. */
#define TEACH(seed)							\
	do {								\
		pattern_fill(self->mem, PG, seed);			\
		OK(LOAD(BASE, PG));					\
		memset(self->mem, 0x11, PG);				\
	} while (0)

/* What the device holds, in self->mem. */
#define ASK()								\
	do {								\
		memset(self->mem, 0x11, PG);				\
		OK(STORE(BASE, PG));					\
	} while (0)

static inline int hw_info(int fd, uint32_t dev, void *data, uint32_t len,
			  struct iommu_hw_info *cmd)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->size = sizeof(*cmd);
	cmd->dev_id = dev;
	cmd->data_len = len;
	cmd->data_uptr = (uintptr_t)data;
	return try_ioctl(fd, IOMMU_GET_HW_INFO, cmd);
}

#endif
