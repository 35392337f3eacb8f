/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of granules and of buffers share: what memory really is. */
#ifndef KSELFTEST_GRANULE_H
#define KSELFTEST_GRANULE_H

#include "utils.h"

#define K16 (16UL << 10)
#define K64 (64UL << 10)
#define HUGE (2 * MIB)
#define ALIGNED(x, a) (!((uint64_t)(x) % (a)))

/* The call fails with @err for the reason @why, told in e. */
#define SAYS(call, err, why)						\
	do {								\
		FAILS(err, call);					\
		OK(iommu_last_error(self->fd, &e));			\
		EQ(IOMMU_REASON_##why, e.out_reason, "%s: reason", #call); \
		EQ(err, e.out_errno, "%s: errno", #call);		\
	} while (0)

/* Frame number of the page at @va, which is present; 0 when it is not. */
static inline uint64_t frame_of(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t e = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &e, 8, (uintptr_t)va / PG * 8) != 8)
		e = 0;
	close(fd);
	return e >> 63 ? e & ((1ULL << 55) - 1) : 0;
}

/* Is the granule at @va one aligned, contiguous piece? */
static inline bool granule_is_good(const uint8_t *va, size_t granule)
{
	uint64_t first = frame_of(va);
	size_t i;

	if (!first || first % (granule / PG))
		return false;
	for (i = 1; i < granule / PG; i++)
		if (frame_of(va + i * PG) != first + i)
			return false;
	return true;
}

/* How many are not; @first: the first of them. */
static inline size_t bad_granules(const uint8_t *va, size_t size,
				  size_t granule, const uint8_t **first)
{
	size_t i, n = 0;

	*first = NULL;
	for (i = 0; i < size; i += granule) {
		if (granule_is_good(va + i, granule))
			continue;
		if (!n++)
			*first = va + i;
	}
	return n;
}

#endif
