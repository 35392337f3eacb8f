// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_BIND_IOMMUFD, ATTACH_IOMMUFD_PT and DETACH_IOMMUFD_PT, and
 * GRANULE_VFIO_REVOKE.
 *
 * Who holds the device decides the group's DMA ownership, which granule.ko
 * claims at bind: a VFIO group that sits in a container owns it, so bind fails
 * then, and while a file is bound no container can take the group.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "private.h"

/*
 * A virtual function of a device that a user drives, and such a device while
 * its functions are in use, ask for a secret token. BIND carries none, so who
 * demands one is refused: without this the check could be passed by.
 */
static int side_check_token(struct vfio_device *vdev)
{
	char name[32];
	int ret;

	if (!vdev->ops->match)
		return 0;
	strscpy(name, dev_name(vdev->dev), sizeof(name));
	ret = vdev->ops->match(vdev, name);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ENODEV;
}

/* The lock of the set is held, and this file is the first to get here. */
static int side_open_device(struct side_device *side, struct granule_ctx *ctx,
			    u32 *id)
{
	struct vfio_device *vdev = side_vdev(side);
	struct granule_device *gdev;
	int ret;

	ret = side_check_token(vdev);
	if (ret)
		return ret;
	if (!try_module_get(vdev->dev->driver->owner))
		return -ENODEV;

	gdev = granule_device_bind(ctx, vdev->dev, VFIO_DEVICE_BIND_IOMMUFD,
				   id);
	if (IS_ERR(gdev)) {
		ret = PTR_ERR(gdev);
		goto err_module;
	}

	/* Drivers count on 1 in open_device(), and until close_device() ends */
	vdev->open_count++;
	if (vdev->ops->open_device) {
		ret = granule_should_fail() ? -ENOMEM :
					      vdev->ops->open_device(vdev);
		if (ret)
			goto err_unbind;
	}
	side->gdev = gdev;
	side->ctx = ctx;
	return 0;

err_unbind:
	vdev->open_count--;
	granule_device_unbind(gdev);
err_module:
	module_put(vdev->dev->driver->owner);
	return ret;
}

/* The inverse; the reference on the context is the caller's to drop. */
static void side_close_device(struct side_device *side)
{
	struct vfio_device *vdev = side_vdev(side);

	if (vdev->ops->close_device)
		vdev->ops->close_device(vdev);
	granule_device_unbind(side->gdev);
	side->gdev = NULL;
	side->ctx = NULL;
	vdev->open_count--;
	module_put(vdev->dev->driver->owner);
}

/* With a reference on @side of the caller's own. */
static int side_bind_file(struct file *file, struct side_device *side,
			  int iommufd, u32 __user *out_devid)
{
	struct side_file *sf = file->private_data;
	struct vfio_device *vdev = side_vdev(side);
	struct granule_ctx *ctx;
	u32 id;
	int ret;

	mutex_lock(&vdev->dev_set->lock);
	/* Revoked while it waited for the lock? */
	if (!sf->side) {
		ret = -ESTALE;
		goto out_unlock;
	}
	if (sf->bound) {
		ret = -EINVAL;
		goto out_unlock;
	}
	ctx = granule_ctx_get_fd(iommufd);
	if (IS_ERR(ctx)) {
		ret = PTR_ERR(ctx);
		goto out_unlock;
	}
	if (vdev->open_count) {
		ret = -EINVAL;
		goto err_ctx;
	}
	if (READ_ONCE(side->gone)) {
		ret = -ENODEV;
		goto err_ctx;
	}
	ret = side_open_device(side, ctx, &id);
	if (ret)
		goto err_ctx;
	if (granule_should_fail() || put_user(id, out_devid)) {
		ret = -EFAULT;
		goto err_close;
	}

	side_file_bound(sf);
	/* Not before: a file that can be revoked must not point into @side */
	compat_vfio_mmaps_open(&side->mmaps, side->core, file);
	/* Pairs with smp_load_acquire() in side_file_vdev() */
	smp_store_release(&sf->bound, true);
	mutex_unlock(&vdev->dev_set->lock);
	return 0;

err_close:
	side_close_device(side);
err_ctx:
	granule_ctx_put(ctx);
out_unlock:
	mutex_unlock(&vdev->dev_set->lock);
	return ret;
}

/*
 * VFIO_DEVICE_BIND_IOMMUFD. Returns 0; -EINVAL for wrong fields, and when this
 * file or another user of the device is bound already; -EBADF, -EBADFD for
 * what is no /dev/iommu; -ENODEV while the driver is being unbound; -EACCES
 * when the device demands a VF token; -ESTALE when the file was revoked; what
 * granule_device_bind() and the driver's open return.
 */
long side_bind(struct file *file, void __user *arg)
{
	struct vfio_device_bind_iommufd __user *ubind = arg;
	struct vfio_device_bind_iommufd bind;
	struct side_device *side;
	int ret;

	if (copy_from_user(&bind, ubind, sizeof(bind)))
		return -EFAULT;
	if (bind.argsz < sizeof(bind) || bind.flags || bind.iommufd < 0)
		return -EINVAL;

	side = side_file_get(file->private_data);
	if (!side)
		return -ESTALE;
	ret = side_bind_file(file, side, bind.iommufd, &ubind->out_devid);
	side_device_put(side);
	return ret;
}

/* When the file is released: nobody else has it any more. */
void side_unbind(struct side_file *sf)
{
	struct side_device *side = sf->side;
	struct mutex *lock = &side_vdev(side)->dev_set->lock;
	struct granule_ctx *ctx;

	if (!sf->bound)
		return;
	mutex_lock(lock);
	ctx = side->ctx;
	side_close_device(side);
	mutex_unlock(lock);
	/* May close the iommufd, and with it everything mapped there */
	granule_ctx_put(ctx);
}

/*
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT. When the answer can no longer be written, the
 * device ends detached, as upstream.
 */
long side_attach(struct side_file *sf, void __user *arg)
{
	struct vfio_device_attach_iommufd_pt __user *uattach = arg;
	struct vfio_device_attach_iommufd_pt attach;
	struct mutex *lock = &side_vdev(sf->side)->dev_set->lock;
	int ret;

	if (copy_from_user(&attach, uattach, sizeof(attach)))
		return -EFAULT;
	if (attach.argsz < sizeof(attach) || attach.flags)
		return -EINVAL;

	/* Before anything is done: can the answer be written? */
	if (granule_should_fail() || put_user(attach.pt_id, &uattach->pt_id))
		return -EFAULT;

	mutex_lock(lock);
	ret = granule_device_attach(sf->side->gdev,
				    VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				    &attach.pt_id);
	if (!ret && put_user(attach.pt_id, &uattach->pt_id)) {
		granule_device_detach(sf->side->gdev);
		ret = -EFAULT;
	}
	mutex_unlock(lock);
	return ret;
}

/* VFIO_DEVICE_DETACH_IOMMUFD_PT; also 0 when the device is not attached. */
long side_detach(struct side_file *sf, void __user *arg)
{
	struct vfio_device_detach_iommufd_pt detach;
	struct mutex *lock = &side_vdev(sf->side)->dev_set->lock;

	if (copy_from_user(&detach, arg, sizeof(detach)))
		return -EFAULT;
	if (detach.argsz < sizeof(detach) || detach.flags)
		return -EINVAL;

	mutex_lock(lock);
	granule_device_detach(sf->side->gdev);
	mutex_unlock(lock);
	return 0;
}

/* GRANULE_VFIO_REVOKE, of the file that has bound the device. */
long side_revoke(struct side_file *sf, void __user *arg)
{
	struct granule_vfio_revoke revoke;
	struct mutex *lock = &side_vdev(sf->side)->dev_set->lock;

	if (copy_from_user(&revoke, arg, sizeof(revoke)))
		return -EFAULT;
	if (revoke.argsz < sizeof(revoke) || revoke.flags)
		return -EINVAL;

	mutex_lock(lock);
	side_files_revoke(sf->side);
	mutex_unlock(lock);
	return 0;
}
