// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-vfio.ko: VFIO device nodes for /dev/iommu, without rebinding a
 * driver. Loading and unloading; everything else is in the file of its noun.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/module.h>

#include "compat/device.h"
#include "private.h"

/* The minor of a node is the device's VFIO index, which vfio.ko keeps below */
#define SIDE_MINORS (MINORMASK + 1)

dev_t side_devt;
struct class *side_class;
static struct cdev side_cdev;

static char *side_devnode(DEVNODE_CONST struct device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0660;
	return kasprintf(GFP_KERNEL, "vfio/devices/%s", dev_name(dev));
}

static int __init side_init(void)
{
	int ret;

	ret = compat_vfio_init();
	if (ret)
		return ret;

	ret = alloc_chrdev_region(&side_devt, 0, SIDE_MINORS, "granule-vfio");
	if (ret)
		goto err_compat;

	side_class = class_create("granule-vfio");
	if (IS_ERR(side_class)) {
		ret = PTR_ERR(side_class);
		goto err_region;
	}
	side_class->devnode = side_devnode;

	cdev_init(&side_cdev, &side_fops);
	side_cdev.owner = THIS_MODULE;
	ret = cdev_add(&side_cdev, side_devt, SIDE_MINORS);
	if (ret)
		goto err_class;

	side_kvm_start();
	ret = side_devices_start();
	if (ret)
		goto err_kvm;
	return 0;

err_kvm:
	side_kvm_stop();
	cdev_del(&side_cdev);
err_class:
	class_destroy(side_class);
err_region:
	unregister_chrdev_region(side_devt, SIDE_MINORS);
err_compat:
	compat_vfio_exit();
	return ret;
}

/* Every open file holds the module, so there is none by now. */
static void __exit side_exit(void)
{
	side_devices_stop();
	side_kvm_stop();
	cdev_del(&side_cdev);
	class_destroy(side_class);
	unregister_chrdev_region(side_devt, SIDE_MINORS);
	compat_vfio_exit();
}

module_init(side_init);
module_exit(side_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO device nodes for /dev/iommu, beside vfio-pci");
