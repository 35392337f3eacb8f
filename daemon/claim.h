/* SPDX-License-Identifier: GPL-2.0-only */
/* IOMMU groups that a job works on: one at a time. */
#ifndef IOMMUD_CLAIM_H
#define IOMMUD_CLAIM_H

#include <stdbool.h>

struct iommu_sys_device;
struct manager;
struct why;

/* A set of groups; what has no group is a set of its own by name. */
struct claim;

/*
 * Claim the groups of all @devs, or none: NULL, with @why naming what is done
 * with which device.
 */
struct claim *claim_new(struct manager *m,
			struct iommu_sys_device *const *devs, size_t nr,
			const char *what, struct why *why);
struct claim *claim_free(struct manager *m, struct claim *claim);

bool is_claimed(struct manager *m, const struct iommu_sys_device *dev);

#endif
