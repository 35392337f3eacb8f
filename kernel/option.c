// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options of a file and of an IOAS.
 */
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "private.h"

/* The largest page that an IOMMU is likely to have, and hugetlb memory too. */
#define GRANULE_MAX_WISH SZ_1G

static int granule_option_rlimit_mode(struct granule_call *call,
				      struct iommu_option *arg)
{
	struct granule_ctx *ctx = call->ctx;
	int rc = 0;

	if (arg->object_id)
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	if (arg->op == IOMMU_OPTION_OP_GET) {
		arg->val64 = READ_ONCE(ctx->account) == GRANULE_ACCOUNT_MM;
		return 0;
	}
	if (!capable(CAP_SYS_RESOURCE))
		return granule_fail(&call->why, -EPERM, PRIVILEGE,
				    .out_detail = CAP_SYS_RESOURCE);
	if (arg->val64 > 1)
		return granule_fail(&call->why, -EINVAL, ERRNO);
	xa_lock(&ctx->objects);
	if (xa_empty(&ctx->objects))
		ctx->account = arg->val64 ? GRANULE_ACCOUNT_MM :
					    GRANULE_ACCOUNT_USER;
	else
		rc = -EBUSY;
	xa_unlock(&ctx->objects);
	return rc ? granule_fail(&call->why, rc, TOO_LATE) : 0;
}

/*
 * Change what the alignment follows from, if everything that is there fits.
 * Small pages are the CPU's at least, so mappings have to fit those.
 */
static int granule_set_pages(struct granule_ioas *ioas,
			     const struct iommu_option *arg,
			     struct iommu_last_error *why)
{
	u64 min_granule, granule;
	bool small_pages;
	int rc;

	if (down_write_killable(&ioas->domains_rwsem))
		return granule_fail(why, -EINTR, ERRNO);
	small_pages = ioas->small_pages;
	min_granule = ioas->min_granule;
	granule = ioas->granule;
	if (arg->option_id == IOMMU_OPTION_HUGE_PAGES)
		ioas->small_pages = !arg->val64;
	else
		ioas->min_granule = arg->val64;
	granule_ioas_measure(ioas);
	rc = granule_ioas_check(ioas, why);
	if (!rc && ioas->granule > granule)
		rc = granule_ioas_check_pinned(ioas, why);
	if (rc) {
		ioas->small_pages = small_pages;
		ioas->min_granule = min_granule;
		granule_ioas_measure(ioas);
	}
	granule_reserved_rebuild(ioas);
	up_write(&ioas->domains_rwsem);
	return rc;
}

static int granule_option_huge_pages(struct granule_ioas *ioas,
				     struct iommu_option *arg,
				     struct iommu_last_error *why)
{
	if (arg->op == IOMMU_OPTION_OP_GET) {
		arg->val64 = !READ_ONCE(ioas->small_pages);
		return 0;
	}
	if (arg->val64 > 1)
		return granule_fail(why, -EINVAL, ERRNO);
	return granule_set_pages(ioas, arg, why);
}

static int granule_option_granule(struct granule_ioas *ioas,
				  struct iommu_option *arg,
				  struct iommu_last_error *why)
{
	if (arg->op == IOMMU_OPTION_OP_GET) {
		arg->val64 = granule_ioas_granule(ioas);
		return 0;
	}
	if (arg->val64 && (!granule_valid(arg->val64) ||
			   arg->val64 < PAGE_SIZE ||
			   arg->val64 > GRANULE_MAX_WISH))
		return granule_fail(why, -EINVAL, BAD_GRANULE,
				    .out_usage = arg->val64,
				    .out_need = PAGE_SIZE,
				    .out_limit = GRANULE_MAX_WISH);
	return granule_set_pages(ioas, arg, why);
}

static int granule_option_area_quota(struct granule_ioas *ioas,
				     struct iommu_option *arg,
				     struct iommu_last_error *why)
{
	int rc = 0;

	mutex_lock(&ioas->lock);
	if (arg->op == IOMMU_OPTION_OP_GET)
		arg->val64 = ioas->area_quota;
	else if (ioas->nr_areas > arg->val64)
		rc = granule_fail(why, -EBUSY, QUOTA,
				  .out_object_id = ioas->obj.id,
				  .out_limit = arg->val64,
				  .out_usage = ioas->nr_areas);
	else
		ioas->area_quota = arg->val64;
	mutex_unlock(&ioas->lock);
	return rc;
}

static const struct granule_ioas_option {
	u32 id;
	int (*fn)(struct granule_ioas *ioas, struct iommu_option *arg,
		  struct iommu_last_error *why);
} granule_ioas_options[] = {
	{ IOMMU_OPTION_HUGE_PAGES, granule_option_huge_pages },
	{ IOMMU_OPTION_IOAS_GRANULE, granule_option_granule },
	{ IOMMU_OPTION_AREA_QUOTA, granule_option_area_quota },
};

static int granule_option_ioas(struct granule_call *call,
			       struct iommu_option *arg)
{
	struct granule_ioas *ioas;
	unsigned int i;
	int rc;

	for (i = 0; i < ARRAY_SIZE(granule_ioas_options); i++)
		if (granule_ioas_options[i].id == arg->option_id)
			break;
	if (i == ARRAY_SIZE(granule_ioas_options))
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	ioas = granule_ioas_get(call->ctx, arg->object_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = granule_ioas_options[i].fn(ioas, arg, &call->why);
	granule_ioas_put(ioas);
	return rc;
}

int granule_option(struct granule_call *call)
{
	struct iommu_option *arg = call->arg;
	int rc;

	if (arg->__reserved || (arg->op != IOMMU_OPTION_OP_GET &&
				arg->op != IOMMU_OPTION_OP_SET))
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	if (arg->option_id == IOMMU_OPTION_RLIMIT_MODE)
		rc = granule_option_rlimit_mode(call, arg);
	else
		rc = granule_option_ioas(call, arg);
	/* Setting has nothing to tell, so it cannot fail after it is done. */
	if (rc || arg->op == IOMMU_OPTION_OP_SET)
		return rc;
	return granule_call_respond(call, sizeof(*arg));
}
