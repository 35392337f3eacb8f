// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing mappings, a page at a time.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "private.h"

static u32 flags_of_prot(int prot)
{
	return (prot & IOMMU_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (prot & IOMMU_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

#define GRANULE_LIST_AT_ONCE 64

static u32 granule_list_some(struct granule_ioas *ioas, u64 *iova,
			     struct iommu_area_info *info, u32 room, bool *more)
{
	struct granule_area *area;
	u32 n = 0;

	*more = false;
	mutex_lock(&ioas->lock);
	for (area = granule_area_first(ioas, *iova, U64_MAX); area;
	     area = granule_area_next(area, U64_MAX)) {
		if (area->node.kind != GRANULE_NODE_LIVE)
			continue;
		if (n == room) {
			*iova = area->node.iova.start;
			*more = true;
			break;
		}
		info[n++] = (struct iommu_area_info){
			.iova = area->node.iova.start,
			.length = granule_area_length(area),
			.user_va = granule_area_uva(area),
			.flags = flags_of_prot(area->prot),
			.source = IOMMU_AREA_SOURCE_USER,
		};
	}
	mutex_unlock(&ioas->lock);
	return n;
}

int granule_ioas_list_areas(struct granule_call *call)
{
	struct iommu_ioas_list_areas *arg = call->arg;
	struct iommu_area_info __user *to = u64_to_user_ptr(arg->areas);
	struct iommu_area_info *info;
	struct granule_ioas *ioas;
	u32 room = arg->num_areas;
	bool more;
	int rc = 0;

	if (!room)
		return granule_fail(&call->why, -EINVAL, ZERO_LENGTH);
	ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	info = granule_should_fail() ? NULL :
		kmalloc_array(GRANULE_LIST_AT_ONCE, sizeof(*info),
			      GFP_KERNEL_ACCOUNT);
	if (!info) {
		rc = granule_fail(&call->why, -ENOMEM, ERRNO);
		goto out;
	}
	arg->num_areas = 0;
	do {
		u32 n = granule_list_some(ioas, &arg->iova, info,
					  min_t(u32, room,
						GRANULE_LIST_AT_ONCE), &more);

		if (granule_should_fail() ||
		    copy_to_user(to, info, n * sizeof(*info))) {
			rc = granule_fail(&call->why, -EFAULT, BAD_POINTER,
					  .out_addr = (uintptr_t)to);
			goto out;
		}
		to += n;
		room -= n;
		arg->num_areas += n;
		if (fatal_signal_pending(current)) {
			rc = granule_fail(&call->why, -EINTR, ERRNO);
			goto out;
		}
		cond_resched();
	} while (more && room);
	arg->out_more = more;
	rc = granule_call_respond(call, sizeof(*arg));
out:
	kfree(info);
	granule_ioas_put(ioas);
	return rc;
}
