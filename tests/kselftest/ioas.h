/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of I/O address spaces without a device stand on. */
#ifndef KSELFTEST_IOAS_H
#define KSELFTEST_IOAS_H

#include "utils.h"

#define BASE 0x100000ULL

FIXTURE(ioas)
{
	int fd;
	uint32_t id;
	uint32_t id2;
	uint8_t *mem;	/* 16 pages */
	uint8_t *ro;	/* 4 pages that cannot be written */
};

FIXTURE_SETUP(ioas)
{
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
	{
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	}
	OK(iommu_ioas_alloc(self->fd, &self->id));
	OK(iommu_ioas_alloc(self->fd, &self->id2));
	EXPECT_NE(self->id, self->id2);
	EXPECT_NE(0, self->id);
	self->mem = mem_alloc(16 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	self->ro = mem_alloc(4 * PG, PG);
	ASSERT_NE(NULL, self->ro);
	ASSERT_EQ(0, mprotect(self->ro, 4 * PG, PROT_READ));
}

FIXTURE_TEARDOWN(ioas)
{
	/* Nothing is pinned where no device is. */
	EXPECT_EQ(0, stat_read("pinned_bytes"));
	close(self->fd);
	EXPECT_CLEAN();
}

#define MAP(va, len, prot, iova)					\
	iommu_map_at(self->fd, self->id, va, len, prot, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->id, iova, len)
#define COPY(len, prot, dst, src)					\
	iommu_copy_at(self->fd, self->id, self->id, src, len, prot, dst)
#define COPY2(len, prot, dst, src)					\
	iommu_copy_at(self->fd, self->id2, self->id, src, len, prot, dst)

static inline int count_areas(int fd, uint32_t ioas)
{
	struct iommu_area_info a[64];

	return iommu_list_all(fd, ioas, a, ARRAY_LEN(a), 64);
}

#define AREAS(n) EQ(n, count_areas(self->fd, self->id), "areas")

#endif
