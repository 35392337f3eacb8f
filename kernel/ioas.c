// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O address spaces: creating, destroying, and which IOVAs they offer.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "private.h"

/* A list of ranges that a VMM gives has one for each piece of guest memory. */
#define GRANULE_MAX_ALLOWED 65536

int granule_ioas_alloc(struct granule_call *call)
{
	struct iommu_ioas_alloc *arg = call->arg;
	struct granule_ioas *ioas;
	int rc;

	if (arg->flags)
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	ioas = granule_object_alloc(call->ctx, sizeof(*ioas),
				    GRANULE_OBJECT_IOAS, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ioas->ctx = call->ctx;
	init_rwsem(&ioas->domains_rwsem);
	INIT_LIST_HEAD(&ioas->hwpts);
	INIT_LIST_HEAD(&ioas->reserved);
	ioas->alignment = 1;
	mutex_init(&ioas->lock);
	iova_tree_init(&ioas->tree);
	ioas->area_quota = U64_MAX;

	arg->out_ioas_id = ioas->obj.id;
	rc = granule_call_respond(call, sizeof(*arg));
	if (rc)
		granule_object_abort(call->ctx, &ioas->obj);
	else
		granule_object_publish(call->ctx, &ioas->obj);
	return rc;
}

void granule_ioas_destroy(struct granule_object *obj)
{
	struct granule_ioas *ioas = container_of(obj, struct granule_ioas, obj);

	granule_areas_free_all(ioas);
	WARN_ON(!list_empty(&ioas->hwpts));
	WARN_ON(!list_empty(&ioas->reserved));
	kvfree(ioas->allowed);
}

/* --- which IOVAs can be mapped --- */

/* The reserved regions as an array; the caller holds domains_rwsem. */
static struct iova_range *granule_reserved_array(struct granule_ioas *ioas,
						 u32 *nr)
{
	struct granule_reserved *resv;
	struct iova_range *used;
	u32 n = 0;

	list_for_each_entry(resv, &ioas->reserved, item)
		n++;
	used = granule_should_fail() ? NULL :
		kvmalloc_array(max(n, 1U), sizeof(*used), GFP_KERNEL_ACCOUNT);
	if (!used)
		return NULL;
	n = 0;
	list_for_each_entry(resv, &ioas->reserved, item)
		used[n++] = resv->range;
	*nr = iova_ranges_merge(used, n);
	return used;
}

/*
 * The holes between the reserved regions, to be freed with kvfree(). Taken
 * under the lock, copied to the caller without: a fault there may take long.
 */
static struct iova_range *granule_ioas_ranges(struct granule_ioas *ioas,
					      u32 *nr, u64 *alignment)
{
	const struct iova_range all = { .start = 0, .last = U64_MAX };
	struct iova_range *used, *holes = NULL;
	u32 n;

	down_read(&ioas->domains_rwsem);
	*alignment = ioas->alignment;
	used = granule_reserved_array(ioas, &n);
	if (used) {
		holes = granule_should_fail() ? NULL :
			kvmalloc_array(n + 1, sizeof(*holes),
				       GFP_KERNEL_ACCOUNT);
		if (holes)
			*nr = iova_ranges_holes(used, n, &all, *alignment,
						holes, n + 1);
	}
	up_read(&ioas->domains_rwsem);
	kvfree(used);
	return holes;
}

int granule_ioas_iova_ranges(struct granule_call *call)
{
	struct iommu_ioas_iova_ranges *arg = call->arg;
	u32 room = arg->num_iovas, nr = 0;
	struct granule_ioas *ioas;
	struct iova_range *ranges;
	int rc;

	static_assert(sizeof(struct iova_range) ==
		      sizeof(struct iommu_iova_range));

	if (arg->__reserved)
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ranges = granule_ioas_ranges(ioas, &nr, &arg->out_iova_alignment);
	granule_ioas_put(ioas);
	if (!ranges)
		return granule_fail(&call->why, -ENOMEM, ERRNO);
	arg->num_iovas = nr;
	if (granule_should_fail() ||
	    copy_to_user(u64_to_user_ptr(arg->allowed_iovas), ranges,
			 min(room, nr) * sizeof(*ranges)))
		rc = granule_fail(&call->why, -EFAULT, BAD_POINTER,
				  .out_addr = arg->allowed_iovas);
	else
		rc = granule_call_respond(call, sizeof(*arg));
	if (!rc && nr > room)
		rc = granule_fail(&call->why, -EMSGSIZE, ARG_SIZE,
				  .out_need = nr, .out_usage = room);
	kvfree(ranges);
	return rc;
}

/* --- IOVAs that have to stay usable --- */

static int granule_range_cmp(const void *a, const void *b)
{
	const struct iova_range *ra = a, *rb = b;

	return ra->start < rb->start ? -1 : ra->start > rb->start;
}

static int granule_load_allowed(struct granule_call *call,
				struct iova_range **allowed)
{
	struct iommu_ioas_allow_iovas *arg = call->arg;
	struct iova_range *r;
	u32 i;

	*allowed = NULL;
	if (!arg->num_iovas)
		return 0;
	if (arg->num_iovas > GRANULE_MAX_ALLOWED)
		return granule_fail(&call->why, -E2BIG, ARG_SIZE,
				    .out_limit = GRANULE_MAX_ALLOWED,
				    .out_usage = arg->num_iovas);
	r = granule_should_fail() ? NULL :
		kvmalloc_array(arg->num_iovas, sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return granule_fail(&call->why, -ENOMEM, ERRNO);
	*allowed = r;
	if (granule_should_fail() ||
	    copy_from_user(r, u64_to_user_ptr(arg->allowed_iovas),
			   arg->num_iovas * sizeof(*r)))
		return granule_fail(&call->why, -EFAULT, BAD_POINTER,
				    .out_addr = arg->allowed_iovas);
	sort(r, arg->num_iovas, sizeof(*r), granule_range_cmp, NULL);
	for (i = 0; i < arg->num_iovas; i++) {
		if (r[i].start >= r[i].last ||
		    (i && r[i].start <= r[i - 1].last))
			return granule_fail(&call->why, -EINVAL, BAD_RANGE,
					    .out_start = r[i].start,
					    .out_last = r[i].last);
	}
	return 0;
}

/* Is every range of a list free of reserved regions, as they have grown? */
int granule_check_allowed(struct granule_ioas *ioas,
			  const struct iova_range *allowed, u32 nr,
			  struct iommu_last_error *why)
{
	struct granule_reserved *resv;
	u32 i;

	lockdep_assert_held(&ioas->domains_rwsem);
	for (i = 0; i < nr; i++) {
		resv = granule_reserved_at(ioas, allowed[i].start,
					   allowed[i].last);
		if (resv)
			return granule_fail(why, -EADDRINUSE, NOT_REACHABLE,
					    .out_addr = resv->range.start,
					    .out_start = allowed[i].start,
					    .out_last = allowed[i].last,
					    .out_detail = resv->reason);
		if (fatal_signal_pending(current))
			return granule_fail(why, -EINTR, ERRNO);
		cond_resched();
	}
	return 0;
}

static int granule_set_allowed(struct granule_ioas *ioas,
			       struct iova_range **allowed, u32 nr,
			       struct iommu_last_error *why)
{
	int rc;

	/* Regions stay as they are while we check and until we are in. */
	if (down_read_killable(&ioas->domains_rwsem))
		return granule_fail(why, -EINTR, ERRNO);
	rc = granule_check_allowed(ioas, *allowed, nr, why);
	if (!rc) {
		mutex_lock(&ioas->lock);
		swap(ioas->allowed, *allowed);
		ioas->nr_allowed = nr;
		mutex_unlock(&ioas->lock);
	}
	up_read(&ioas->domains_rwsem);
	return rc;
}

int granule_ioas_allow_iovas(struct granule_call *call)
{
	struct iommu_ioas_allow_iovas *arg = call->arg;
	struct iova_range *allowed = NULL;
	struct granule_ioas *ioas;
	int rc;

	if (arg->__reserved)
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = granule_load_allowed(call, &allowed);
	if (!rc)
		rc = granule_set_allowed(ioas, &allowed, arg->num_iovas,
					 &call->why);
	kvfree(allowed);
	granule_ioas_put(ioas);
	return rc;
}
