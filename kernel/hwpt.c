// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware page tables: an IOMMU domain that holds the mappings of an IOAS.
 *
 * An IOAS has one for each kind of IOMMU that its devices are behind. Linking
 * it to the IOAS fills it in; from then on every mapping goes into it too.
 * Memory is pinned while an IOAS has at least one.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "compat/hwinfo.h"
#include "compat/iommu.h"
#include "granule-dma.h"
#include "private.h"

/* The granule in effect: not one that is only being tried. */
u64 granule_ioas_granule(struct granule_ioas *ioas)
{
	u64 granule;

	down_read(&ioas->domains_rwsem);
	granule = ioas->granule;
	up_read(&ioas->domains_rwsem);
	return granule;
}

/* Largest granule and the alignment that follows, for what there is. */
void granule_ioas_measure(struct granule_ioas *ioas)
{
	struct granule_hwpt *hwpt;

	lockdep_assert_held_write(&ioas->domains_rwsem);
	ioas->granule = ioas->min_granule;
	list_for_each_entry(hwpt, &ioas->hwpts, item)
		ioas->granule = max(ioas->granule, hwpt->granule);
	ioas->alignment = max_t(u64, ioas->granule ?: 1,
				ioas->small_pages ? PAGE_SIZE : 1);
}

/* Does what is there fit the alignment, as just measured? */
int granule_ioas_check(struct granule_ioas *ioas, struct iommu_last_error *why)
{
	struct granule_area *area;

	for (area = granule_area_first(ioas, 0, U64_MAX); area;
	     area = granule_area_next(area, U64_MAX)) {
		if (!granule_aligned(area->node.iova.start |
				     granule_area_length(area) |
				     granule_area_uva(area), ioas->alignment))
			return granule_fail(why, -EADDRINUSE, AREA_MISALIGNED,
					    .out_start = area->node.iova.start,
					    .out_last = area->node.iova.last,
					    .out_limit = ioas->alignment);
		cond_resched();
	}
	/* Reserved regions grow with the granule. */
	return granule_check_allowed(ioas, ioas->allowed, ioas->nr_allowed,
				     why);
}

/* Does all memory fit the granule, as just measured? Until it is pinned, yes. */
int granule_ioas_check_pinned(struct granule_ioas *ioas,
			      struct iommu_last_error *why)
{
	struct granule_area *area;
	int rc;

	lockdep_assert_held_write(&ioas->domains_rwsem);
	if (!ioas->nr_hwpts)
		return 0;
	for (area = granule_area_first(ioas, 0, U64_MAX); area;
	     area = granule_area_next(area, U64_MAX)) {
		rc = granule_area_check_granule(area, ioas->granule, why);
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

/* Take every mapping before @end out of the domain. */
static void granule_hwpt_empty(struct granule_hwpt *hwpt,
			       struct granule_area *end, bool unpin)
{
	struct granule_ioas *ioas = hwpt->ioas;
	struct granule_unmap unmap;
	struct granule_area *area;

	granule_unmap_start(&unmap, hwpt);
	for (area = granule_area_first(ioas, 0, U64_MAX); area != end;
	     area = granule_area_next(area, U64_MAX)) {
		granule_unmap_area(&unmap, area);
		cond_resched();
	}
	granule_unmap_sync(&unmap);
	if (!unpin)
		return;
	for (area = granule_area_first(ioas, 0, U64_MAX); area != end;
	     area = granule_area_next(area, U64_MAX)) {
		granule_pages_unpin(area->pages);
		cond_resched();
	}
}

static int granule_hwpt_fill(struct granule_hwpt *hwpt, bool pin,
			     struct iommu_last_error *why)
{
	struct granule_ioas *ioas = hwpt->ioas;
	struct granule_area *area;
	int rc;

	for (area = granule_area_first(ioas, 0, U64_MAX); area;
	     area = granule_area_next(area, U64_MAX)) {
		if (pin) {
			rc = granule_pages_pin(area->pages, why);
			if (rc)
				goto err;
		}
		rc = granule_area_check_granule(area, ioas->granule, why);
		if (!rc)
			rc = granule_domain_map(hwpt->domain, area,
						ioas->small_pages ?
							hwpt->granule : 0,
						why);
		if (rc) {
			if (pin)
				granule_pages_unpin(area->pages);
			goto err;
		}
		cond_resched();
	}
	return 0;

err:
	granule_hwpt_empty(hwpt, area, pin);
	return rc;
}

/*
 * granule_hwpt_link - fill in the mappings of its IOAS, and keep up with them
 *
 * Return: 0, or an error with nothing changed: -EADDRINUSE a mapping or an
 * allowed range is not for this IOMMU, or what pinning and mapping return.
 */
int granule_hwpt_link(struct granule_hwpt *hwpt, struct iommu_last_error *why)
{
	struct granule_ioas *ioas = hwpt->ioas;
	LIST_HEAD(regions);
	int rc;

	rc = granule_aperture_regions(&hwpt->aperture, hwpt, &regions);
	if (rc) {
		granule_fail(why, rc, ERRNO);
		goto out;
	}
	if (down_write_killable(&ioas->domains_rwsem)) {
		rc = granule_fail(why, -EINTR, ERRNO);
		goto out;
	}
	/* Two devices may be attaching to a new one at the same time. */
	if (hwpt->linked)
		goto out_unlock;
	hwpt->granule = granule_of_bitmap(hwpt->domain->pgsize_bitmap);
	list_add_tail(&hwpt->item, &ioas->hwpts);
	granule_ioas_measure(ioas);
	rc = granule_ioas_check(ioas, why);
	if (!rc)
		rc = granule_reserve(ioas, hwpt, &regions, why);
	if (!rc) {
		rc = granule_hwpt_fill(hwpt, !ioas->nr_hwpts, why);
		if (rc)
			granule_unreserve(ioas, hwpt);
	}
	if (rc) {
		list_del(&hwpt->item);
		granule_ioas_measure(ioas);
		granule_reserved_rebuild(ioas);
	} else {
		ioas->nr_hwpts++;
		hwpt->linked = true;
	}
out_unlock:
	up_write(&ioas->domains_rwsem);
out:
	granule_reserved_free(&regions);
	return rc;
}

/*
 * granule_hwpt_settle - a device has been attached to its domain
 *
 * Some drivers know the page sizes only now. Mappings that are there already
 * were made for the coarsest that the driver has, so theirs can but be finer;
 * should they be coarser, the device must not stay. The caller holds
 * domains_rwsem for writing. Return: 0 or -EINVAL.
 */
int granule_hwpt_settle(struct granule_hwpt *hwpt)
{
	u64 granule = granule_of_bitmap(hwpt->domain->pgsize_bitmap);

	lockdep_assert_held_write(&hwpt->ioas->domains_rwsem);
	if (!hwpt->linked || granule == hwpt->granule)
		return 0;
	if (granule > hwpt->granule)
		return -EINVAL;
	hwpt->granule = granule;
	granule_ioas_measure(hwpt->ioas);
	granule_reserved_rebuild(hwpt->ioas);
	return 0;
}

static void granule_hwpt_unlink(struct granule_hwpt *hwpt)
{
	struct granule_ioas *ioas = hwpt->ioas;

	down_write(&ioas->domains_rwsem);
	hwpt->linked = false;
	ioas->nr_hwpts--;
	granule_hwpt_empty(hwpt, NULL, !ioas->nr_hwpts);
	list_del(&hwpt->item);
	granule_ioas_measure(ioas);
	granule_unreserve(ioas, hwpt);
	up_write(&ioas->domains_rwsem);
}

void granule_hwpt_destroy(struct granule_object *obj)
{
	struct granule_hwpt *hwpt = container_of(obj, struct granule_hwpt, obj);

	if (hwpt->linked)
		granule_hwpt_unlink(hwpt);
	iommu_domain_free(hwpt->domain);
	granule_ioas_put(hwpt->ioas);
}

/* Undo granule_hwpt_new() before publishing. */
void granule_hwpt_abort(struct granule_hwpt *hwpt)
{
	granule_hwpt_destroy(&hwpt->obj);
	granule_object_abort(hwpt->ctx, &hwpt->obj);
}

/*
 * granule_hwpt_new - an empty HWPT for the IOMMU of a device
 * @automatic: goes by itself when nothing is attached any more
 *
 * Neither linked nor published yet. Uses @ioas until it is destroyed.
 */
struct granule_hwpt *granule_hwpt_new(struct granule_ioas *ioas,
				      struct granule_device *gdev,
				      bool automatic,
				      struct iommu_last_error *why)
{
	struct granule_hwpt *hwpt;
	struct iommu_domain *domain;

	hwpt = granule_object_alloc(ioas->ctx, sizeof(*hwpt),
				    GRANULE_OBJECT_HWPT, why);
	if (IS_ERR(hwpt))
		return hwpt;
	domain = granule_should_fail() ? ERR_PTR(-ENOMEM) :
					 granule_domain_alloc(gdev->dev);
	if (IS_ERR(domain)) {
		granule_object_abort(ioas->ctx, &hwpt->obj);
		return ERR_PTR(granule_fail(why, PTR_ERR(domain), ERRNO));
	}
	/*
	 * We know of granules. A driver that does not know the flag refuses
	 * it, and decides by itself when a device is attached.
	 */
	if (granule_of_bitmap(domain->pgsize_bitmap) > PAGE_SIZE)
		iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES);
	hwpt->obj.reap = automatic;
	hwpt->ctx = ioas->ctx;
	hwpt->ioas = ioas;
	refcount_inc(&ioas->obj.users);
	hwpt->domain = domain;
	hwpt->aperture = gdev->group->aperture;
	hwpt->format = gdev->group->format;
	mutex_init(&hwpt->msi_lock);
	iommu_set_fault_handler(domain, granule_event_fault, hwpt);
	/* For the device at hand: it must not be able to leave caches stale. */
	if (granule_device_enforces_snoop(gdev->dev) &&
	    domain->ops->enforce_cache_coherency)
		domain->ops->enforce_cache_coherency(domain);
	return hwpt;
}

int granule_hwpt_alloc_ioctl(struct granule_call *call)
{
	struct iommu_hwpt_alloc *arg = call->arg;
	struct granule_device *gdev;
	struct granule_hwpt *hwpt;
	struct granule_ioas *ioas;
	int rc;

	if (arg->flags || arg->__reserved || arg->data_type ||
	    arg->fault_id || arg->__reserved2)
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	if (arg->data_len || arg->data_uptr)
		return granule_fail(&call->why, -EINVAL, ARG_FLAGS);
	gdev = granule_device_get(call->ctx, arg->dev_id, &call->why);
	if (IS_ERR(gdev))
		return PTR_ERR(gdev);
	ioas = granule_ioas_get(call->ctx, arg->pt_id, &call->why);
	if (IS_ERR(ioas)) {
		granule_object_put(call->ctx, &gdev->obj);
		return PTR_ERR(ioas);
	}
	hwpt = granule_hwpt_new(ioas, gdev, false, &call->why);
	granule_ioas_put(ioas);
	/* Filling in can take long, and unbinding waits for us to let go. */
	granule_object_put(call->ctx, &gdev->obj);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	rc = granule_hwpt_link(hwpt, &call->why);
	if (!rc) {
		arg->out_hwpt_id = hwpt->obj.id;
		rc = granule_call_respond(call, sizeof(*arg));
	}
	if (rc)
		granule_hwpt_abort(hwpt);
	else
		granule_object_publish(call->ctx, &hwpt->obj);
	return rc;
}
