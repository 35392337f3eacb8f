// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU groups: the devices that cannot be isolated from each other. A group
 * is claimed whole, for one context, and attached whole, to one HWPT.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/hwinfo.h"
#include "compat/iommu.h"
#include "private.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Give out devices on platforms without interrupt remapping, where they can raise any interrupt (default: no)");

static DEFINE_MUTEX(granule_groups_lock);
static LIST_HEAD(granule_groups);	/* granule_groups_lock */

/*
 * What is attached where, for those who only look: a group's own lock is held
 * while a stranger's memory is pinned, which can take as long as he likes.
 * Writers hold that one as well.
 */
static DEFINE_SPINLOCK(granule_attached_lock);

static void granule_group_set_hwpt(struct granule_group *group,
				   struct granule_hwpt *hwpt)
{
	spin_lock(&granule_attached_lock);
	group->hwpt = hwpt;
	spin_unlock(&granule_attached_lock);
}

/* Put a device on the list of those attached, or take it off. */
void granule_group_list(struct granule_device *gdev, bool attached)
{
	lockdep_assert_held(&gdev->group->lock);
	if (gdev->attached == attached)
		return;
	spin_lock(&granule_attached_lock);
	gdev->attached = attached;
	if (attached)
		list_add_tail(&gdev->item, &gdev->group->attached);
	else
		list_del(&gdev->item);
	spin_unlock(&granule_attached_lock);
}

/* Page sizes and aperture, from a domain that nothing is attached to. */
static int granule_group_measure(struct granule_group *group,
				 struct device *dev,
				 struct iommu_last_error *why)
{
	struct iommu_domain *domain;

	domain = granule_should_fail() ? ERR_PTR(-ENOMEM) :
					 granule_domain_alloc(dev);
	if (IS_ERR(domain))
		return granule_fail(why, PTR_ERR(domain), ERRNO);
	group->pgsizes = granule_pgsizes(dev, domain->pgsize_bitmap,
					 domain->geometry.aperture_end);
	group->format = granule_table_format(dev);
	group->aperture.start = domain->geometry.aperture_start;
	group->aperture.last =
		granule_aperture_last(dev, domain->geometry.aperture_end);
	iommu_domain_free(domain);
	return 0;
}

static struct granule_group *granule_group_new(struct granule_ctx *ctx,
					       struct iommu_group *iommu,
					       struct device *dev,
					       struct iommu_last_error *why)
{
	struct granule_group *group;
	int rc;

	group = granule_should_fail() ? NULL :
		kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return ERR_PTR(granule_fail(why, -ENOMEM, ERRNO));
	mutex_init(&group->lock);
	INIT_LIST_HEAD(&group->attached);
	group->iommu = iommu;
	group->ctx = ctx;
	rc = granule_group_measure(group, dev, why);
	if (rc)
		goto err_free;
	rc = granule_should_fail() ? -ENOMEM :
				     iommu_group_claim_dma_owner(iommu, ctx);
	if (rc) {
		granule_fail(why, rc, GROUP_BUSY,
			     .out_object_id = iommu_group_id(iommu));
		goto err_free;
	}
	return group;

err_free:
	kfree(group);
	return ERR_PTR(rc);
}

/*
 * granule_group_claim - the group of @dev, claimed for @ctx
 *
 * The kernel keeps no count of claims by the same owner, so we do. Undone by
 * granule_group_release(), as often as it was called.
 */
struct granule_group *granule_group_claim(struct granule_ctx *ctx,
					  struct device *dev,
					  struct iommu_last_error *why)
{
	struct iommu_group *iommu = iommu_group_get(dev);
	struct granule_group *group;

	if (!iommu)
		return ERR_PTR(granule_fail(why, -ENODEV, NO_IOMMU));
	if (!granule_group_has_isolated_msi(iommu) &&
	    !READ_ONCE(allow_unsafe_interrupts)) {
		iommu_group_put(iommu);
		return ERR_PTR(granule_fail(why, -EPERM, UNSAFE_INTERRUPTS));
	}
	mutex_lock(&granule_groups_lock);
	list_for_each_entry(group, &granule_groups, item) {
		if (group->iommu != iommu)
			continue;
		if (group->ctx == ctx)
			group->bound++;
		else
			group = ERR_PTR(granule_fail(why, -EPERM, GROUP_BUSY,
						     .out_object_id =
						     iommu_group_id(iommu)));
		iommu_group_put(iommu);
		goto out;
	}
	group = granule_group_new(ctx, iommu, dev, why);
	if (IS_ERR(group)) {
		iommu_group_put(iommu);
	} else {
		group->bound = 1;
		list_add(&group->item, &granule_groups);
	}
out:
	mutex_unlock(&granule_groups_lock);
	return group;
}

void granule_group_release(struct granule_group *group)
{
	mutex_lock(&granule_groups_lock);
	if (!--group->bound) {
		WARN_ON(group->hwpt);
		list_del(&group->item);
		iommu_group_release_dma_owner(group->iommu);
		iommu_group_put(group->iommu);
		kfree(group);
	}
	mutex_unlock(&granule_groups_lock);
}

bool granule_ctx_has_group(struct granule_ctx *ctx, struct iommu_group *iommu)
{
	struct granule_group *group;
	bool found = false;

	mutex_lock(&granule_groups_lock);
	list_for_each_entry(group, &granule_groups, item)
		if (group->iommu == iommu && group->ctx == ctx)
			found = true;
	mutex_unlock(&granule_groups_lock);
	return found;
}
EXPORT_SYMBOL_GPL(granule_ctx_has_group);

/* --- reserved regions --- */

/* The kernel's reasons are ours by number. */
static_assert((int)IOMMU_RESV_DIRECT == (int)IOMMU_RESV_REASON_DIRECT);
static_assert((int)IOMMU_RESV_DIRECT_RELAXABLE ==
	      (int)IOMMU_RESV_REASON_DIRECT_RELAXABLE);
static_assert((int)IOMMU_RESV_RESERVED == (int)IOMMU_RESV_REASON_RESERVED);
static_assert((int)IOMMU_RESV_MSI == (int)IOMMU_RESV_REASON_MSI);
static_assert((int)IOMMU_RESV_SW_MSI == (int)IOMMU_RESV_REASON_SW_MSI);

static int granule_region_add(struct list_head *regions, const void *owner,
			      u64 start, u64 last, u32 reason)
{
	struct granule_reserved *resv =
		granule_reserved_new(owner, start, last, reason);

	if (!resv)
		return -ENOMEM;
	list_add_tail(&resv->item, regions);
	return 0;
}

/* What an IOMMU does not translate, as regions; -ENOMEM leaves some. */
int granule_aperture_regions(const struct iova_range *aperture,
			     const void *owner, struct list_head *regions)
{
	int rc = 0;

	if (aperture->start)
		rc = granule_region_add(regions, owner, 0, aperture->start - 1,
					IOMMU_RESV_REASON_APERTURE);
	if (!rc && aperture->last != U64_MAX)
		rc = granule_region_add(regions, owner, aperture->last + 1,
					U64_MAX, IOMMU_RESV_REASON_APERTURE);
	return rc;
}

/*
 * granule_group_regions - what the devices of a group reserve
 * @regions: they are appended here; also when this fails
 * @sw_msi: where the kernel wants to map the MSI doorbell; PHYS_ADDR_MAX if
 *	it does not
 * @all: also regions that do not keep a user from mapping there
 */
int granule_group_regions(struct granule_group *group, const void *owner,
			  struct list_head *regions, phys_addr_t *sw_msi,
			  bool all)
{
	struct iommu_resv_region *region, *next;
	struct iova_range range;
	LIST_HEAD(list);
	int rc;

	*sw_msi = PHYS_ADDR_MAX;
	rc = iommu_get_group_resv_regions(group->iommu, &list);
	list_for_each_entry_safe(region, next, &list, list) {
		if (region->type == IOMMU_RESV_SW_MSI)
			*sw_msi = region->start;
		/*
		 * An IOMMU's driver is trusted with what it translates, not
		 * with sums: one too long is reserved up to the end, as DMA
		 * to what it means would go astray.
		 */
		if (!rc &&
		    (all || region->type != IOMMU_RESV_DIRECT_RELAXABLE) &&
		    iova_range_clip(&range, region->start, region->length))
			rc = granule_region_add(regions, owner, range.start,
						range.last, region->type);
		list_del(&region->list);
		kfree(region);
	}
	return rc;
}

/* --- attaching --- */

static int granule_group_reserve(struct granule_group *group,
				 struct granule_ioas *ioas, phys_addr_t *sw_msi,
				 struct iommu_last_error *why)
{
	LIST_HEAD(regions);
	int rc;

	rc = granule_group_regions(group, group, &regions, sw_msi, false);
	if (!rc)
		rc = granule_aperture_regions(&group->aperture, group,
					      &regions);
	if (rc) {
		granule_fail(why, rc, ERRNO);
	} else if (down_write_killable(&ioas->domains_rwsem)) {
		rc = granule_fail(why, -EINTR, ERRNO);
	} else {
		rc = granule_reserve(ioas, group, &regions, why);
		up_write(&ioas->domains_rwsem);
	}
	granule_reserved_free(&regions);
	return rc;
}

static void granule_group_unreserve(struct granule_group *group,
				    struct granule_ioas *ioas)
{
	down_write(&ioas->domains_rwsem);
	granule_unreserve(ioas, group);
	up_write(&ioas->domains_rwsem);
}

/* A domain takes one MSI window, once. */
static int granule_hwpt_setup_msi(struct granule_hwpt *hwpt, phys_addr_t base)
{
	int rc = 0;

	mutex_lock(&hwpt->msi_lock);
	if (base != PHYS_ADDR_MAX && !hwpt->msi_cookie) {
		rc = iommu_get_msi_cookie(hwpt->domain, base);
		hwpt->msi_cookie = !rc;
	}
	mutex_unlock(&hwpt->msi_lock);
	return rc;
}

/*
 * Attaching can change a page table under those who map into it: VT-d's
 * driver fits its depth to the device's IOMMU there, and frees what it takes
 * off, without a lock. So attaching and detaching exclude mapping and
 * unmapping.
 */
static int granule_domain_attach(struct granule_group *group,
				 struct granule_hwpt *hwpt)
{
	int rc;

	down_write(&hwpt->ioas->domains_rwsem);
	rc = iommu_attach_group(hwpt->domain, group->iommu);
	if (!rc) {
		rc = granule_hwpt_settle(hwpt);
		if (rc)
			iommu_detach_group(hwpt->domain, group->iommu);
	}
	up_write(&hwpt->ioas->domains_rwsem);
	return rc;
}

static void granule_domain_detach(struct granule_group *group,
				  struct granule_hwpt *hwpt)
{
	down_write(&hwpt->ioas->domains_rwsem);
	iommu_detach_group(hwpt->domain, group->iommu);
	up_write(&hwpt->ioas->domains_rwsem);
}

/*
 * A page table is as deep as its IOMMU wants it, and made the way that it reads
 * tables. VT-d's driver would make it shallower for the second one, under the
 * eyes of the first.
 */
static int granule_group_check(const struct granule_group *group,
			       const struct granule_hwpt *hwpt,
			       struct iommu_last_error *why)
{
	if (group->aperture.start == hwpt->aperture.start &&
	    group->aperture.last == hwpt->aperture.last &&
	    group->format == hwpt->format)
		return 0;
	return granule_fail(why, -EINVAL, INCOMPATIBLE,
			    .out_object_id = hwpt->obj.id);
}

static int granule_group_enter(struct granule_group *group,
			       struct granule_hwpt *hwpt, phys_addr_t sw_msi,
			       struct iommu_last_error *why)
{
	int rc = granule_should_fail() ? -ENOMEM :
					 granule_hwpt_setup_msi(hwpt, sw_msi);

	if (!rc)
		rc = granule_domain_attach(group, hwpt);
	/* How drivers of different kernels say that it does not fit. */
	if (rc == -EINVAL || rc == -EOPNOTSUPP || rc == -EFAULT || rc == -ENXIO)
		return granule_fail(why, -EINVAL, INCOMPATIBLE,
				    .out_object_id = hwpt->obj.id);
	return rc ? granule_fail(why, rc, ERRNO,
				 .out_object_id = hwpt->obj.id) : 0;
}

/*
 * granule_group_attach - attach a group that is attached to nothing
 *
 * A HWPT that is not linked yet is filled in afterwards: some IOMMU drivers
 * settle the page table's format only when a device is attached.
 */
int granule_group_attach(struct granule_group *group, struct granule_hwpt *hwpt,
			 struct iommu_last_error *why)
{
	phys_addr_t sw_msi;
	int rc;

	lockdep_assert_held(&group->lock);
	rc = granule_group_check(group, hwpt, why);
	if (!rc)
		rc = granule_group_reserve(group, hwpt->ioas, &sw_msi, why);
	if (rc)
		return rc;
	group->sw_msi = sw_msi;
	rc = granule_group_enter(group, hwpt, sw_msi, why);
	if (rc)
		goto err_unreserve;
	rc = granule_hwpt_link(hwpt, why);
	if (rc)
		goto err_detach;
	refcount_inc(&hwpt->obj.users);
	granule_group_set_hwpt(group, hwpt);
	return 0;

err_detach:
	granule_domain_detach(group, hwpt);
err_unreserve:
	granule_group_unreserve(group, hwpt->ioas);
	return rc;
}

/*
 * granule_group_replace - move an attached group to another HWPT
 *
 * The new one is complete before it comes in. DMA is blocked between the two,
 * for no device may see a mixture. When the new one refuses, the group goes
 * back to the old one.
 */
int granule_group_replace(struct granule_group *group,
			  struct granule_hwpt *hwpt,
			  struct iommu_last_error *why)
{
	struct granule_hwpt *old = group->hwpt;
	bool same_ioas = old->ioas == hwpt->ioas;
	phys_addr_t sw_msi = group->sw_msi;
	int rc;

	lockdep_assert_held(&group->lock);
	rc = granule_group_check(group, hwpt, why);
	if (!rc)
		rc = granule_hwpt_link(hwpt, why);
	if (rc)
		return rc;
	if (!same_ioas) {
		rc = granule_group_reserve(group, hwpt->ioas, &sw_msi, why);
		if (rc)
			return rc;
	}
	granule_domain_detach(group, old);
	rc = granule_group_enter(group, hwpt, sw_msi, why);
	if (rc) {
		if (granule_domain_attach(group, old))
			pr_warn("granule: group %d: neither the new nor the old page table could be attached; its DMA stays blocked until it is detached\n",
				iommu_group_id(group->iommu));
		if (!same_ioas)
			granule_group_unreserve(group, hwpt->ioas);
		return rc;
	}
	refcount_inc(&hwpt->obj.users);
	granule_group_set_hwpt(group, hwpt);
	if (!same_ioas)
		granule_group_unreserve(group, old->ioas);
	granule_object_put(group->ctx, &old->obj);
	return 0;
}

/* Block the group's DMA. Cannot fail. */
void granule_group_detach(struct granule_group *group)
{
	struct granule_hwpt *hwpt = group->hwpt;

	lockdep_assert_held(&group->lock);
	granule_domain_detach(group, hwpt);
	granule_group_set_hwpt(group, NULL);
	granule_group_unreserve(group, hwpt->ioas);
	granule_object_put(group->ctx, &hwpt->obj);
}

/* The ID of the IOAS that a device is attached to; 0: none. */
u32 granule_device_ioas(const struct granule_device *gdev)
{
	u32 id = 0;

	spin_lock(&granule_attached_lock);
	if (gdev->attached)
		id = gdev->group->hwpt->ioas->obj.id;
	spin_unlock(&granule_attached_lock);
	return id;
}

/* The devices attached to @ioas: how many there are; the first @room of them. */
u32 granule_ioas_devices(struct granule_ioas *ioas,
			 struct iommu_ioas_device *devices, u32 room)
{
	struct granule_device *gdev;
	struct granule_group *group;
	u32 n = 0;

	mutex_lock(&granule_groups_lock);
	spin_lock(&granule_attached_lock);
	list_for_each_entry(group, &granule_groups, item) {
		if (!group->hwpt || group->hwpt->ioas != ioas)
			continue;
		list_for_each_entry(gdev, &group->attached, item) {
			if (n < room) {
				devices[n].dev_id = gdev->obj.id;
				devices[n].hwpt_id = group->hwpt->obj.id;
				strscpy(devices[n].name, dev_name(gdev->dev),
					IOMMU_DEVICE_NAME_LEN);
			}
			n++;
		}
	}
	spin_unlock(&granule_attached_lock);
	mutex_unlock(&granule_groups_lock);
	return n;
}
