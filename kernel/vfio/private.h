/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of granule-vfio.ko: the side objects that give VFIO
 * devices a character device of their own, and the rules for their locks.
 *
 * "Side mode": the PCI driver that is bound to a device (vfio-pci or a variant
 * of it) stays bound and knows nothing of us. For each such device there is
 * one struct side_device beside the driver's own, found by the device's VFIO
 * index, which is also the minor number of its node.
 *
 * Lock order, outermost first:
 *
 *	device_lock(pdev)	held by the driver core around bind and unbind
 *	vfio_device_set.lock	open and close of the devices of one reset set
 *	sides_lock		the registry; a leaf but for the locks in it
 *
 * What granule.ko takes is inside vfio_device_set.lock. mmap_lock may be taken
 * inside vfio_device_set.lock (copying to the user), never the other way.
 */
#ifndef GRANULE_VFIO_PRIVATE_H
#define GRANULE_VFIO_PRIVATE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/vfio_pci_core.h>
#include <granule/vfio.h>

#include "granule.h"
#include "compat/vfio.h"

struct cdev;
struct class;

/**
 * struct side_device - what we keep beside a driver's vfio_pci_core_device
 * @ref: one for the bound driver, one for each open file that is not revoked
 * @core: the driver's device. Valid while the driver is bound; each of
 *	those files holds a VFIO registration, and unbinding the driver waits
 *	for the last of them, so it is valid as long as this object is
 * @node: the child device that carries the node; made and removed under
 *	device_lock() of the PCI device
 * @gone: the driver is being unbound: no new file may open, no file may bind.
 *	Written under sides_lock; a reader without it may be a moment late,
 *	which only means that it came first
 * @files: those that are neither bound nor revoked, by side_file.link;
 *	protected by sides_lock
 * @gdev: the device in its iommufd context, NULL while no file is bound;
 *	protected by the lock of the device's vfio_device_set
 * @ctx: the context of @gdev, with a reference; set and cleared with it
 * @mmaps: what it takes to revoke BAR mappings on this kernel
 */
struct side_device {
	struct kref ref;
	struct vfio_pci_core_device *core;
	struct device *node;
	bool gone;
	struct list_head files;
	struct granule_device *gdev;
	struct granule_ctx *ctx;
	struct compat_vfio_mmaps mmaps;
};

/**
 * struct side_file - one open of a node
 * @side: the device; the file holds a reference and a VFIO registration. NULL
 *	once it is revoked, for ever. Set to that under the lock of the device's
 *	vfio_device_set and sides_lock; of a bound file it does not change
 * @link: in side->files
 * @bound: this file is the one that bound the device. Set once, under the
 *	lock of the device's vfio_device_set, as the last step of BIND; until
 *	then nothing but BIND works. Read with smp_load_acquire() everywhere
 *	else, so that a reader sees an opened device
 */
struct side_file {
	struct side_device *side;
	struct list_head link;
	bool bound;
};

static inline struct vfio_device *side_vdev(const struct side_device *side)
{
	return &side->core->vdev;
}

/* main.c */
extern dev_t side_devt;
extern struct class *side_class;

/* device.c */
int side_devices_start(void);
void side_devices_stop(void);
int side_file_open(struct side_file *sf, unsigned int index);
struct side_device *side_file_close(struct side_file *sf);
struct side_device *side_file_get(struct side_file *sf);
void side_file_bound(struct side_file *sf);
void side_files_revoke(struct side_device *side);
void side_device_put(struct side_device *side);
struct side_device *side_device_bound(struct vfio_device *vdev);

/* cdev.c */
extern const struct file_operations side_fops;

/* bind.c */
long side_bind(struct file *file, void __user *arg);
void side_unbind(struct side_file *sf);
long side_attach(struct side_file *sf, void __user *arg);
long side_detach(struct side_file *sf, void __user *arg);
long side_revoke(struct side_file *sf, void __user *arg);

/* feature.c */
long side_feature(struct side_file *sf, void __user *arg);

/* kvm.c */
void side_kvm_start(void);
void side_kvm_stop(void);

/* reset.c */
long side_hot_reset_info(struct side_file *sf, void __user *arg);
long side_hot_reset(struct side_file *sf, void __user *arg);

#endif
