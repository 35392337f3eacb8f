/* SPDX-License-Identifier: GPL-2.0-only */
/* Short names for what tests do with the fd, ioas and edu of their fixture. */
#ifndef KSELFTEST_SELF_H
#define KSELFTEST_SELF_H

#include "edu.h"

#define MAP(va, len, prot, iova)					\
	iommu_map_at(self->fd, self->ioas, va, len, prot, iova)
#define UNMAP(iova, len) iommu_unmap(self->fd, self->ioas, iova, len)
#define ATTACH() edu_attach(&self->edu, self->ioas)
#define DETACH() edu_detach(&self->edu)
#define PINNED(n) EQ((long long)(n), stat_read("pinned_bytes"), "pinned bytes")

#endif
