// SPDX-License-Identifier: GPL-2.0-only
/*
 * The side objects: which devices get one, when it comes and goes, and what
 * of it shows in sysfs and /dev.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "private.h"

/*
 * Protects sides, stopping, and the lookup in side_file_open(): while it is
 * held no side_device is freed. An entry stays until the last reference is
 * gone, not only until its driver is unbound: a file that is still open keeps
 * its device bound, and a reset of its neighbour must find it.
 */
static DEFINE_MUTEX(sides_lock);
static DEFINE_XARRAY(sides);
static bool stopping;

/* <bdf>/vfio-dev/vfioN/dev, where clients look for the node's number. */
static ssize_t dev_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	struct vfio_device *vdev = container_of(dev, struct vfio_device,
						device);

	return sysfs_emit(buf, "%u:%u\n", MAJOR(side_devt), vdev->index);
}
static DEVICE_ATTR_RO(dev);

/*
 * The vfio_pci_core device of a PCI device that has one which can have a
 * node, or NULL. All drivers on vfio_pci_core, also those with error handlers
 * of their own, leave this one to it.
 */
static struct vfio_pci_core_device *side_core(struct device *dev)
{
	const struct pci_error_handlers *handlers;
	struct vfio_pci_core_device *core;

	device_lock_assert(dev);

	if (!dev->driver)
		return NULL;
	handlers = to_pci_driver(dev->driver)->err_handler;
	if (!handlers ||
	    handlers->error_detected != vfio_pci_core_aer_err_detected)
		return NULL;
	core = dev_get_drvdata(dev);
	if (!core || core->vdev.dev != dev)
		return NULL;
	/* A kernel that makes these nodes itself needs none of ours */
	if (core->vdev.device.devt)
		return NULL;
	/* As upstream, no node for a device that no IOMMU translates */
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return NULL;
	return core;
}

/* Last reference; kref_put_mutex() took sides_lock. */
static void side_device_free(struct kref *ref)
{
	struct side_device *side = container_of(ref, struct side_device, ref);

	xa_erase(&sides, side_vdev(side)->index);
	mutex_unlock(&sides_lock);
	compat_vfio_mmaps_exit(&side->mmaps);
	kfree(side);
}

static void side_device_unref(struct side_device *side)
{
	kref_put_mutex(&side->ref, side_device_free, &sides_lock);
}

/* Caller holds device_lock(); called again for the same device, does nothing */
static int side_device_add(struct device *dev)
{
	struct vfio_pci_core_device *core = side_core(dev);
	struct side_device *side;
	struct vfio_device *vdev;
	int ret;

	if (!core)
		return 0;
	vdev = &core->vdev;

	side = kzalloc(sizeof(*side), GFP_KERNEL);
	if (!side)
		return -ENOMEM;
	kref_init(&side->ref);
	INIT_LIST_HEAD(&side->files);
	side->core = core;
	ret = compat_vfio_mmaps_init(&side->mmaps);
	if (ret)
		goto err_free;

	/*
	 * Nobody can reach the object before it has a node, but a node that is
	 * left from an earlier load of this module finds it at once.
	 */
	mutex_lock(&sides_lock);
	ret = stopping ? -EBUSY :
			 xa_insert(&sides, vdev->index, side, GFP_KERNEL);
	mutex_unlock(&sides_lock);
	if (ret)
		goto err_mmaps;

	/* The attribute first: who hears of the node may look for it */
	ret = device_create_file(&vdev->device, &dev_attr_dev);
	if (ret)
		goto err_put;
	side->node = device_create(side_class, &vdev->device,
				   MKDEV(MAJOR(side_devt), vdev->index), NULL,
				   "vfio%u", vdev->index);
	if (IS_ERR(side->node)) {
		ret = PTR_ERR(side->node);
		goto err_attr;
	}
	return 0;

err_attr:
	device_remove_file(&vdev->device, &dev_attr_dev);
err_put:
	mutex_lock(&sides_lock);
	side->gone = true;
	mutex_unlock(&sides_lock);
	side_device_unref(side);
	return ret;
err_mmaps:
	compat_vfio_mmaps_exit(&side->mmaps);
err_free:
	kfree(side);
	/* It has one already, or shall have none: nothing to complain about */
	return ret == -EBUSY ? 0 : ret;
}

/* Caller holds device_lock(); files that are open live on */
static void side_device_remove(struct device *dev)
{
	struct vfio_pci_core_device *core = side_core(dev);
	struct side_device *side;

	if (!core)
		return;

	/*
	 * Before anything else: the driver's remove() waits for the files to
	 * close, and must not be kept waiting by new ones.
	 */
	mutex_lock(&sides_lock);
	side = xa_load(&sides, core->vdev.index);
	if (!side || side->gone) {
		mutex_unlock(&sides_lock);
		return;
	}
	side->gone = true;
	mutex_unlock(&sides_lock);

	device_unregister(side->node);
	device_remove_file(&core->vdev.device, &dev_attr_dev);
	side_device_unref(side);
}

/*
 * A reference, and a VFIO registration with it: unbinding the driver waits for
 * side_device_put(). Under sides_lock; false when the driver is on its way out.
 */
static bool side_device_get(struct side_device *side)
{
	lockdep_assert_held(&sides_lock);

	if (!refcount_inc_not_zero(&side_vdev(side)->refcount))
		return false;
	kref_get(&side->ref);
	return true;
}

/* What side_device_get() took; the device may be gone right after. */
void side_device_put(struct side_device *side)
{
	struct vfio_device *vdev = side_vdev(side);

	side_device_unref(side);
	/* Last: the driver's remove() goes on from here and frees @vdev */
	if (refcount_dec_and_test(&vdev->refcount))
		complete(&vdev->comp);
}

/**
 * side_file_open - find the device behind a node, for a new file
 * @sf: zeroed
 * @index: the VFIO index, which is the minor number
 *
 * Return: 0, or -ENODEV when there is none or it is on its way out.
 */
int side_file_open(struct side_file *sf, unsigned int index)
{
	struct side_device *side;
	int ret = -ENODEV;

	mutex_lock(&sides_lock);
	side = xa_load(&sides, index);
	if (side && !side->gone && side_device_get(side)) {
		sf->side = side;
		list_add(&sf->link, &side->files);
		ret = 0;
	}
	mutex_unlock(&sides_lock);
	return ret;
}

/**
 * side_file_close - a file is released
 * @sf: the file, which nobody uses any more
 *
 * Return: the device with the file's reference, which is the caller's to drop,
 * or NULL for a file that was revoked.
 */
struct side_device *side_file_close(struct side_file *sf)
{
	struct side_device *side;

	mutex_lock(&sides_lock);
	side = sf->side;
	if (side)
		list_del_init(&sf->link);
	mutex_unlock(&sides_lock);
	return side;
}

/**
 * side_file_get - the device of a file
 * @sf: the file; it may be revoked at any time
 *
 * Return: the device with a reference of its own, for side_device_put(); NULL
 * when the file was revoked.
 */
struct side_device *side_file_get(struct side_file *sf)
{
	struct side_device *side;

	mutex_lock(&sides_lock);
	side = sf->side;
	if (side && !side_device_get(side))
		side = NULL;
	mutex_unlock(&sides_lock);
	return side;
}

/* The file has bound its device: from now on nobody can revoke it. */
void side_file_bound(struct side_file *sf)
{
	lockdep_assert_held(&side_vdev(sf->side)->dev_set->lock);

	mutex_lock(&sides_lock);
	list_del_init(&sf->link);
	mutex_unlock(&sides_lock);
}

/**
 * side_files_revoke - take the device from all files that have not bound it
 * @side: the device; the caller has a reference of its own, and the lock of
 *	its vfio_device_set, so that no BIND is under way
 */
void side_files_revoke(struct side_device *side)
{
	struct side_file *sf, *next;
	unsigned int nr = 0;

	lockdep_assert_held(&side_vdev(side)->dev_set->lock);

	mutex_lock(&sides_lock);
	list_for_each_entry_safe(sf, next, &side->files, link) {
		list_del_init(&sf->link);
		sf->side = NULL;
		nr++;
	}
	mutex_unlock(&sides_lock);
	while (nr--)
		side_device_put(side);
}

/**
 * side_device_bound - the side object of a device that a file has bound
 * @vdev: the device; the lock of its vfio_device_set is held
 *
 * Return: the object, which stays bound while the lock is held, or NULL.
 */
struct side_device *side_device_bound(struct vfio_device *vdev)
{
	struct side_device *side;

	lockdep_assert_held(&vdev->dev_set->lock);

	mutex_lock(&sides_lock);
	side = xa_load(&sides, vdev->index);
	if (side && (side_vdev(side) != vdev || !side->gdev))
		side = NULL;
	mutex_unlock(&sides_lock);
	return side;
}

static void side_device_announce(struct device *dev)
{
	int ret = side_device_add(dev);

	if (ret)
		dev_warn(dev, "no VFIO device node: error %d; unbind and bind the driver to try again\n",
			 ret);
}

static int side_notify(struct notifier_block *nb, unsigned long action,
		       void *data)
{
	switch (action) {
	case BUS_NOTIFY_BOUND_DRIVER:
		side_device_announce(data);
		break;
	case BUS_NOTIFY_UNBIND_DRIVER:
		side_device_remove(data);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block side_notifier = {
	.notifier_call = side_notify,
};

/*
 * A driver that waits for its user in remove() has the lock for as long as
 * that takes, so whoever loads the module may lose patience.
 */
static int side_scan_add(struct device *dev, void *unused)
{
	if (device_lock_interruptible(dev)) {
		dev_warn(dev, "skipped: interrupted while another task holds the device\n");
		return 0;
	}
	side_device_announce(dev);
	device_unlock(dev);
	return 0;
}

static bool side_device_exists(struct device *dev)
{
	struct side_device *side;
	unsigned long index;
	bool found = false;

	mutex_lock(&sides_lock);
	xa_for_each(&sides, index, side)
		if (!side->gone && side_vdev(side)->dev == dev)
			found = true;
	mutex_unlock(&sides_lock);
	return found;
}

static int side_scan_remove(struct device *dev, void *unused)
{
	if (!side_device_exists(dev))
		return 0;
	device_lock(dev);
	side_device_remove(dev);
	device_unlock(dev);
	return 0;
}

/*
 * Drivers may bind and unbind all the while. From here on the notifier sees
 * that; device_lock() orders it and the scan for each device. Once the first
 * node is there a file may be open, and loading must not fail any more.
 */
int side_devices_start(void)
{
	int ret;

	ret = bus_register_notifier(&pci_bus_type, &side_notifier);
	if (ret)
		return ret;
	bus_for_each_dev(&pci_bus_type, NULL, NULL, side_scan_add);
	return 0;
}

/*
 * The notifier goes last: until a device is removed here, it is the notifier
 * that must see its driver go.
 */
void side_devices_stop(void)
{
	mutex_lock(&sides_lock);
	stopping = true;
	mutex_unlock(&sides_lock);

	bus_for_each_dev(&pci_bus_type, NULL, NULL, side_scan_remove);
	bus_unregister_notifier(&pci_bus_type, &side_notifier);
	WARN_ON(!xa_empty(&sides));
}
