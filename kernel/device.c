// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: binding to a context, attaching to an address space.
 */
#include <linux/device.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/iommu.h"
#include "private.h"

/* Look up a device for an ioctl. Undone by granule_object_put(). */
struct granule_device *granule_device_get(struct granule_ctx *ctx, u32 id,
					  struct iommu_last_error *why)
{
	struct granule_object *obj =
		granule_object_get(ctx, id, GRANULE_OBJECT_DEVICE, why);

	return IS_ERR(obj) ? ERR_CAST(obj) :
			     container_of(obj, struct granule_device, obj);
}

static struct granule_device *granule_device_new(struct granule_ctx *ctx,
						 struct device *dev,
						 struct iommu_last_error *why)
{
	struct granule_device *gdev;
	struct granule_group *group;

	if (!device_iommu_mapped(dev))
		return ERR_PTR(granule_fail(why, -ENODEV, NO_IOMMU));
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return ERR_PTR(granule_fail(why, -EINVAL, NOT_COHERENT));
	gdev = granule_object_alloc(ctx, sizeof(*gdev), GRANULE_OBJECT_DEVICE,
				    why);
	if (IS_ERR(gdev))
		return gdev;
	group = granule_group_claim(ctx, dev, why);
	if (IS_ERR(group)) {
		granule_object_abort(ctx, &gdev->obj);
		return ERR_CAST(group);
	}
	gdev->ctx = ctx;
	gdev->dev = dev;
	gdev->group = group;
	return gdev;
}

struct granule_device *granule_device_bind(struct granule_ctx *ctx,
					   struct device *dev,
					   unsigned int cmd, u32 *id)
{
	struct iommu_last_error why = {};
	struct granule_device *gdev = granule_device_new(ctx, dev, &why);

	if (IS_ERR(gdev)) {
		granule_error_record(ctx, cmd, PTR_ERR(gdev), &why);
		return gdev;
	}
	get_file(ctx->file);
	granule_stat_add(GRANULE_STAT_DEVICES, 1);
	*id = gdev->obj.id;
	granule_object_publish(ctx, &gdev->obj);
	granule_event_device(gdev, GRANULE_EVENT_DEVICE_BOUND);
	return gdev;
}
EXPORT_SYMBOL_GPL(granule_device_bind);

void granule_device_unbind(struct granule_device *gdev)
{
	struct granule_ctx *ctx = gdev->ctx;

	/* After this no ioctl has a pointer to it. */
	granule_object_remove_wait(ctx, &gdev->obj);
	granule_device_detach(gdev);
	granule_event_device(gdev, GRANULE_EVENT_DEVICE_UNBOUND);
	granule_group_release(gdev->group);
	granule_object_free(&gdev->obj);
	granule_stat_add(GRANULE_STAT_DEVICES, -1);
	fput(ctx->file);
}
EXPORT_SYMBOL_GPL(granule_device_unbind);

/* --- attaching --- */

/*
 * Attach to @hwpt. A group that is in the same IOAS already through another
 * HWPT may stay there when @hwpt is but a choice of ours. *@pt_id: which one
 * it is.
 */
static int granule_attach_hwpt(struct granule_device *gdev,
			       struct granule_hwpt *hwpt, u32 *pt_id,
			       struct iommu_last_error *why)
{
	struct granule_group *group = gdev->group;
	int rc = 0;

	mutex_lock(&group->lock);
	if (!group->hwpt)
		rc = granule_group_attach(group, hwpt, why);
	else if (group->hwpt == hwpt ||
		 (hwpt->obj.reap && group->hwpt->ioas == hwpt->ioas))
		rc = 0;
	else if (gdev->attached)
		rc = granule_group_replace(group, hwpt, why);
	else
		rc = granule_fail(why, -EINVAL, GROUP_ATTACHED,
				  .out_object_id =
					  iommu_group_id(group->iommu));
	if (!rc) {
		*pt_id = group->hwpt->obj.id;
		granule_group_list(gdev, true);
	}
	mutex_unlock(&group->lock);
	return rc;
}

/* The automatic HWPTs of an IOAS, each with a user counted. */
static struct granule_hwpt **granule_auto_hwpts(struct granule_ioas *ioas,
						u32 *nr)
{
	struct granule_hwpt **list, *hwpt;

	*nr = 0;
	down_read(&ioas->domains_rwsem);
	list = granule_should_fail() ? NULL :
		kvcalloc(ioas->nr_hwpts + 1, sizeof(*list), GFP_KERNEL_ACCOUNT);
	if (list)
		list_for_each_entry(hwpt, &ioas->hwpts, item)
			if (hwpt->obj.reap &&
			    granule_object_tryget(ioas->ctx, &hwpt->obj))
				list[(*nr)++] = hwpt;
	up_read(&ioas->domains_rwsem);
	return list;
}

/* Make a new automatic HWPT, and attach to that. */
static int granule_attach_new(struct granule_device *gdev,
			      struct granule_ioas *ioas, u32 *pt_id,
			      struct iommu_last_error *why)
{
	struct granule_hwpt *hwpt = granule_hwpt_new(ioas, gdev, true, why);
	int rc;

	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	/* From here on it goes by itself when we, too, let go of it. */
	refcount_inc(&hwpt->obj.users);
	granule_object_publish(gdev->ctx, &hwpt->obj);
	rc = granule_attach_hwpt(gdev, hwpt, pt_id, why);
	granule_object_put(gdev->ctx, &hwpt->obj);
	return rc;
}

/* A group that is in @ioas already stays with the HWPT that it has. */
static bool granule_attach_stay(struct granule_device *gdev,
				struct granule_ioas *ioas, u32 *pt_id)
{
	struct granule_group *group = gdev->group;
	bool there;

	mutex_lock(&group->lock);
	there = group->hwpt && group->hwpt->ioas == ioas;
	if (there) {
		*pt_id = group->hwpt->obj.id;
		granule_group_list(gdev, true);
	}
	mutex_unlock(&group->lock);
	return there;
}

/*
 * Devices behind the same kind of IOMMU share an automatic HWPT: any that the
 * IOMMU driver accepts is as good as another.
 */
static int granule_attach_ioas(struct granule_device *gdev,
			       struct granule_ioas *ioas, u32 *pt_id,
			       struct iommu_last_error *why)
{
	struct granule_hwpt **list;
	bool next = true;
	int rc = 0;
	u32 i, nr;

	if (granule_attach_stay(gdev, ioas, pt_id))
		return 0;
	list = granule_auto_hwpts(ioas, &nr);
	if (!list)
		return granule_fail(why, -ENOMEM, ERRNO);
	for (i = 0; i < nr; i++) {
		if (next) {
			rc = granule_attach_hwpt(gdev, list[i], pt_id, why);
			next = rc == -EINVAL &&
			       why->out_reason == IOMMU_REASON_INCOMPATIBLE;
		}
		granule_object_put(ioas->ctx, &list[i]->obj);
	}
	kvfree(list);
	return next ? granule_attach_new(gdev, ioas, pt_id, why) : rc;
}

int granule_device_attach(struct granule_device *gdev, unsigned int cmd,
			  u32 *pt_id)
{
	struct iommu_last_error why = {};
	struct granule_object *obj;
	u32 ioas = 0;
	int rc;

	obj = granule_object_get(gdev->ctx, *pt_id, GRANULE_OBJECT_ANY, &why);
	if (IS_ERR(obj)) {
		rc = PTR_ERR(obj);
		goto out;
	}
	if (obj->type == GRANULE_OBJECT_IOAS)
		ioas = obj->id;
	else if (obj->type == GRANULE_OBJECT_HWPT)
		ioas = container_of(obj, struct granule_hwpt,
				    obj)->ioas->obj.id;
	if (obj->type == GRANULE_OBJECT_IOAS)
		rc = granule_attach_ioas(gdev, container_of(obj,
				struct granule_ioas, obj), pt_id, &why);
	else if (obj->type == GRANULE_OBJECT_HWPT)
		rc = granule_attach_hwpt(gdev, container_of(obj,
				struct granule_hwpt, obj), pt_id, &why);
	else
		rc = granule_fail(&why, -EINVAL, WRONG_TYPE,
				  .out_object_id = *pt_id);
	granule_object_put(gdev->ctx, obj);
out:
	if (rc) {
		granule_error_record(gdev->ctx, cmd, rc, &why);
		granule_event_refused(gdev->ctx, false, ioas, &why);
	} else {
		granule_event_device(gdev, GRANULE_EVENT_DEVICE_ATTACHED);
	}
	return rc;
}
EXPORT_SYMBOL_GPL(granule_device_attach);

void granule_device_detach(struct granule_device *gdev)
{
	struct granule_group *group = gdev->group;

	mutex_lock(&group->lock);
	if (gdev->attached) {
		granule_event_device(gdev, GRANULE_EVENT_DEVICE_DETACHED);
		granule_group_list(gdev, false);
		if (list_empty(&group->attached))
			granule_group_detach(group);
	}
	mutex_unlock(&group->lock);
}
EXPORT_SYMBOL_GPL(granule_device_detach);

u32 granule_device_id(const struct granule_device *gdev)
{
	return gdev->obj.id;
}
EXPORT_SYMBOL_GPL(granule_device_id);
