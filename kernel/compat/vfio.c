// SPDX-License-Identifier: GPL-2.0-only
/* The parts of compat/vfio.h that are too long to be inline. */
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/vfio.h"

#ifdef HAVE_VFIO_PCI_VMA_LIST

/* A VMA that the core may have an entry for. */
struct compat_vma {
	struct list_head link;
	struct vm_area_struct *vma;
};

static struct vfsmount *compat_mount;

static int compat_fs_init(struct fs_context *fc)
{
	/* "gvfi", in nobody's way: the file system is never listed */
	return init_pseudo(fc, 0x67766669) ? 0 : -ENOMEM;
}

/*
 * The mount lives as long as the module, so the type has no owner: it would
 * keep the module loaded for ever.
 */
static struct file_system_type compat_fs = {
	.name = "granule-vfio",
	.init_fs_context = compat_fs_init,
	.kill_sb = kill_anon_super,
};

int compat_vfio_init(void)
{
	compat_mount = kern_mount(&compat_fs);
	return PTR_ERR_OR_ZERO(compat_mount);
}

void compat_vfio_exit(void)
{
	kern_unmount(compat_mount);
}

int compat_vfio_mmaps_init(struct compat_vfio_mmaps *mmaps)
{
	mmaps->inode = alloc_anon_inode(compat_mount->mnt_sb);
	if (IS_ERR(mmaps->inode))
		return PTR_ERR(mmaps->inode);
	mutex_init(&mmaps->lock);
	INIT_LIST_HEAD(&mmaps->vmas);
	return 0;
}

/* No file is open any more, and a mapping would hold one. */
void compat_vfio_mmaps_exit(struct compat_vfio_mmaps *mmaps)
{
	WARN_ON(!list_empty(&mmaps->vmas));
	mutex_destroy(&mmaps->lock);
	iput(mmaps->inode);
}

static struct compat_vfio_mmaps *compat_mmaps(struct vm_area_struct *vma)
{
	return container_of(vma->vm_ops, struct compat_vfio_mmaps, ops);
}

static struct compat_vma *compat_vma_find(struct compat_vfio_mmaps *mmaps,
					  struct vm_area_struct *vma)
{
	struct compat_vma *known;

	lockdep_assert_held(&mmaps->lock);

	list_for_each_entry(known, &mmaps->vmas, link)
		if (known->vma == vma)
			return known;
	return NULL;
}

static void compat_vma_forget(struct compat_vma *known)
{
	list_del(&known->link);
	kfree(known);
}

static vm_fault_t compat_vma_fault(struct vm_fault *vmf)
{
	struct compat_vfio_mmaps *mmaps = compat_mmaps(vmf->vma);
	struct compat_vma *known;
	vm_fault_t ret;

	mutex_lock(&mmaps->lock);
	if (!compat_vma_find(mmaps, vmf->vma)) {
		known = kmalloc(sizeof(*known), GFP_KERNEL_ACCOUNT);
		if (!known) {
			ret = VM_FAULT_OOM;
			goto out_unlock;
		}
		known->vma = vmf->vma;
		list_add(&known->link, &mmaps->vmas);
	}
	ret = mmaps->core_ops->fault(vmf);
out_unlock:
	mutex_unlock(&mmaps->lock);
	return ret;
}

static void compat_vma_close(struct vm_area_struct *vma)
{
	struct compat_vfio_mmaps *mmaps = compat_mmaps(vma);
	struct compat_vma *known;

	mutex_lock(&mmaps->lock);
	known = compat_vma_find(mmaps, vma);
	if (known)
		compat_vma_forget(known);
	mmaps->core_ops->close(vma);
	mutex_unlock(&mmaps->lock);
}

/* The driver's mmap(), so that the mapping can be revoked. */
int compat_vfio_mmaps_mmap(struct compat_vfio_mmaps *mmaps,
			   struct vfio_pci_core_device *core,
			   struct vm_area_struct *vma)
{
	const struct vm_operations_struct *ops;
	int ret;

	ret = core->vdev.ops->mmap(&core->vdev, vma);
	if (ret)
		return ret;

	/*
	 * Only the core's own: regions of drivers and what drivers map by
	 * themselves are not on its list.
	 */
	ops = vma->vm_ops;
	if (vma->vm_private_data != core || !ops || !ops->fault || !ops->close)
		return 0;

	mutex_lock(&mmaps->lock);
	if (!mmaps->core_ops) {
		mmaps->core_ops = ops;
		mmaps->ops = *ops;
		mmaps->ops.fault = compat_vma_fault;
		mmaps->ops.close = compat_vma_close;
	}
	if (mmaps->core_ops == ops)
		vma->vm_ops = &mmaps->ops;
	mutex_unlock(&mmaps->lock);
	return 0;
}

/*
 * Take the device's memory_lock for writing and revoke all BAR mappings; who
 * touches one waits for the lock. @mmaps is NULL for a device that nobody has
 * bound. False, and no lock held, when the lock is contended.
 */
bool compat_vfio_mmaps_zap_lock(struct compat_vfio_mmaps *mmaps,
				struct vfio_pci_core_device *core)
{
	struct compat_vma *known, *next;
	bool locked;

	if (!mmaps)
		return down_write_trylock(&core->memory_lock);

	/* Nothing is filled until memory_lock is ours */
	mutex_lock(&mmaps->lock);
	list_for_each_entry_safe(known, next, &mmaps->vmas, link) {
		mmaps->core_ops->close(known->vma);
		compat_vma_forget(known);
	}
	unmap_mapping_range(mmaps->inode->i_mapping, 0, 0, true);
	locked = down_write_trylock(&core->memory_lock);
	mutex_unlock(&mmaps->lock);
	return locked;
}

#endif

#ifdef HAVE_VFIO_REGION_INFO_CAPS
long compat_vfio_region_info(struct vfio_device *vdev, unsigned long arg)
{
	struct vfio_region_info __user *uinfo = (void __user *)arg;
	struct vfio_info_cap caps = {};
	struct vfio_region_info info = {};
	const size_t size = offsetofend(struct vfio_region_info, offset);
	long ret;

	if (!vdev->ops->get_region_info_caps)
		return -EINVAL;
	if (copy_from_user(&info, uinfo, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	ret = vdev->ops->get_region_info_caps(vdev, &info, &caps);
	if (ret)
		goto out;

	if (caps.size) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = 0;
		if (info.argsz < sizeof(info) + caps.size) {
			info.argsz = sizeof(info) + caps.size;
		} else {
			vfio_info_cap_shift(&caps, sizeof(info));
			ret = -EFAULT;
			if (copy_to_user(uinfo + 1, caps.buf, caps.size))
				goto out;
			info.cap_offset = sizeof(info);
		}
	}
	ret = copy_to_user(uinfo, &info, size) ? -EFAULT : 0;
out:
	kfree(caps.buf);
	return ret;
}
#endif
