// SPDX-License-Identifier: GPL-2.0-only
/* The file operations of /dev/vfio/devices/vfioN. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "private.h"

static int side_open(struct inode *inode, struct file *file)
{
	struct side_file *sf;
	int ret;

	sf = kzalloc(sizeof(*sf), GFP_KERNEL_ACCOUNT);
	if (!sf)
		return -ENOMEM;
	ret = side_file_open(sf, iminor(inode));
	if (ret) {
		kfree(sf);
		return ret;
	}
	file->private_data = sf;
	return 0;
}

static int side_release(struct inode *inode, struct file *file)
{
	struct side_file *sf = file->private_data;
	struct side_device *side = side_file_close(sf);

	if (side) {
		side_unbind(sf);
		side_device_put(side);
	}
	kfree(sf);
	return 0;
}

/* The device behind a file that has bound it, else NULL. */
static struct vfio_device *side_file_vdev(struct file *file)
{
	struct side_file *sf = file->private_data;

	/* Pairs with smp_store_release() in side_bind_file() */
	if (!smp_load_acquire(&sf->bound))
		return NULL;
	return side_vdev(sf->side);
}

/* As vfio.ko: devices of drivers without power management stay as they are. */
static bool side_has_pm(struct device *dev)
{
	return dev->driver && dev->driver->pm;
}

static int side_pm_get(struct device *dev)
{
	if (side_has_pm(dev) && pm_runtime_resume_and_get(dev) < 0)
		return -EIO;
	return 0;
}

static void side_pm_put(struct device *dev)
{
	if (side_has_pm(dev))
		pm_runtime_put(dev);
}

/* What the driver cannot answer, because it does not know about this file. */
static const struct side_ioctl {
	unsigned int cmd;
	long (*fn)(struct side_file *sf, void __user *arg);
} side_ioctls[] = {
	{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, side_attach },
	{ VFIO_DEVICE_DETACH_IOMMUFD_PT, side_detach },
	{ VFIO_DEVICE_FEATURE, side_feature },
	{ VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, side_hot_reset_info },
	{ VFIO_DEVICE_PCI_HOT_RESET, side_hot_reset },
	{ GRANULE_VFIO_REVOKE, side_revoke },
};

static long side_dispatch(struct side_file *sf, unsigned int cmd,
			  unsigned long arg)
{
	struct vfio_device *vdev = side_vdev(sf->side);
	int i;

	for (i = 0; i < ARRAY_SIZE(side_ioctls); i++)
		if (side_ioctls[i].cmd == cmd)
			return side_ioctls[i].fn(sf, (void __user *)arg);

	if (cmd == VFIO_DEVICE_GET_REGION_INFO)
		return compat_vfio_region_info(vdev, arg);
	if (!vdev->ops->ioctl)
		return -EINVAL;
	return vdev->ops->ioctl(vdev, cmd, arg);
}

static long side_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct side_file *sf = file->private_data;
	struct vfio_device *vdev;
	long ret;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return side_bind(file, (void __user *)arg);

	vdev = side_file_vdev(file);
	if (!vdev)
		return -EINVAL;
	ret = side_pm_get(vdev->dev);
	if (ret)
		return ret;
	ret = side_dispatch(sf, cmd, arg);
	side_pm_put(vdev->dev);
	return ret;
}

/* read and write: vfio_pci_core does its own power management in these. */
static ssize_t side_read(struct file *file, char __user *buf, size_t count,
			 loff_t *ppos)
{
	struct vfio_device *vdev = side_file_vdev(file);

	if (!vdev || !vdev->ops->read)
		return -EINVAL;
	return vdev->ops->read(vdev, buf, count, ppos);
}

static ssize_t side_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	struct vfio_device *vdev = side_file_vdev(file);

	if (!vdev || !vdev->ops->write)
		return -EINVAL;
	return vdev->ops->write(vdev, buf, count, ppos);
}

static int side_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct side_file *sf = file->private_data;
	struct vfio_device *vdev = side_file_vdev(file);

	if (!vdev || !vdev->ops->mmap)
		return -EINVAL;
	return compat_vfio_mmaps_mmap(&sf->side->mmaps, sf->side->core, vma);
}

const struct file_operations side_fops = {
	.owner = THIS_MODULE,
	.open = side_open,
	.release = side_release,
	.unlocked_ioctl = side_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.read = side_read,
	.write = side_write,
	.mmap = side_mmap,
};
