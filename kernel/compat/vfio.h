/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * <linux/vfio_pci_core.h> as Linux 6.12 has it, for who opens its devices by
 * other ways than a group: how BAR mappings are found and revoked, and what
 * later kernels moved out of the drivers' ioctl().
 */
#ifndef COMPAT_VFIO_H
#define COMPAT_VFIO_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/vfio_pci_core.h>

#if defined(CONFIG_VFIO_DEVICE_CDEV) || defined(CONFIG_IOMMUFD)
#error "this kernel makes VFIO device nodes itself, granule-vfio would clash"
#endif

/* What KVM asks to know whether a file is VFIO's. */
#ifdef HAVE_VFIO_FILE_IS_VALID
#define COMPAT_VFIO_FILE_CHECK "vfio_file_is_valid"
#else
#define COMPAT_VFIO_FILE_CHECK "vfio_file_is_group"
#endif

/*
 * The BAR mappings of one device.
 *
 * vfio_pci_core revokes them before the device's memory goes away (a reset, a
 * driver's or user's doing), holding its memory_lock for writing, so that who
 * touches one faults and waits. It finds them
 * - in 6.12: in the address space of vdev->inode; files have to map there;
 * - in 6.1: in core->vma_list, to which its fault handler adds each VMA that
 *   it has filled. The entries are private to it, and while a VMA has one the
 *   handler does not fill it again. Revoking mappings from outside, as a hot
 *   reset must, thus needs the entries removed, but the only one who knows
 *   them is the close() of the VMA, which removes the entry of its VMA and
 *   does nothing else. So VMAs get operations of ours around the core's: the
 *   fault handler remembers the VMA, and revoking calls the core's close() for
 *   all that are remembered, then empties the page tables by the address space
 *   of an inode of ours. No layout of the core is needed, and what the core
 *   itself revokes by its list works as ever.
 */
#ifdef HAVE_VFIO_PCI_VMA_LIST

/**
 * struct compat_vfio_mmaps - the BAR mappings of one device
 * @inode: whose address space all of them are in
 * @lock: protects @vmas, and held while one is filled; inside mmap_lock,
 *	outside the core's vma_lock and memory_lock
 * @vmas: those filled since the last revoking, or more
 * @core_ops: the core's operations; set by the first mmap
 * @ops: @core_ops with ours in place of some; set with it
 */
struct compat_vfio_mmaps {
	struct inode *inode;
	struct mutex lock;
	struct list_head vmas;
	const struct vm_operations_struct *core_ops;
	struct vm_operations_struct ops;
};

int compat_vfio_init(void);
void compat_vfio_exit(void);
int compat_vfio_mmaps_init(struct compat_vfio_mmaps *mmaps);
void compat_vfio_mmaps_exit(struct compat_vfio_mmaps *mmaps);
int compat_vfio_mmaps_mmap(struct compat_vfio_mmaps *mmaps,
			   struct vfio_pci_core_device *core,
			   struct vm_area_struct *vma);
bool compat_vfio_mmaps_zap_lock(struct compat_vfio_mmaps *mmaps,
				struct vfio_pci_core_device *core);

/* For each file of the device, when it has bound it. */
static inline void compat_vfio_mmaps_open(struct compat_vfio_mmaps *mmaps,
					  struct vfio_pci_core_device *core,
					  struct file *file)
{
	file->f_mapping = mmaps->inode->i_mapping;
}

#else

struct compat_vfio_mmaps {
};

static inline int compat_vfio_init(void)
{
	return 0;
}

static inline void compat_vfio_exit(void)
{
}

static inline int compat_vfio_mmaps_init(struct compat_vfio_mmaps *mmaps)
{
	return 0;
}

static inline void compat_vfio_mmaps_exit(struct compat_vfio_mmaps *mmaps)
{
}

static inline void compat_vfio_mmaps_open(struct compat_vfio_mmaps *mmaps,
					  struct vfio_pci_core_device *core,
					  struct file *file)
{
	file->f_mapping = core->vdev.inode->i_mapping;
}

/* The driver's mmap(), so that the mapping can be revoked. */
static inline int compat_vfio_mmaps_mmap(struct compat_vfio_mmaps *mmaps,
					 struct vfio_pci_core_device *core,
					 struct vm_area_struct *vma)
{
	return core->vdev.ops->mmap(&core->vdev, vma);
}

/*
 * Take the device's memory_lock for writing and revoke all BAR mappings; who
 * touches one waits for the lock. @mmaps is NULL for a device that nobody has
 * bound. False, and no lock held, when the lock is contended.
 */
static inline bool compat_vfio_mmaps_zap_lock(struct compat_vfio_mmaps *mmaps,
					      struct vfio_pci_core_device *core)
{
	const loff_t start =
		VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX);
	const loff_t end = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_ROM_REGION_INDEX);

	if (!down_write_trylock(&core->memory_lock))
		return false;
	unmap_mapping_range(core->vdev.inode->i_mapping, start, end - start,
			    true);
	return true;
}

#endif

/*
 * Does something besides mappings let others reach the device's memory, such
 * that a reset must not pull it away? The core of later kernels can revoke
 * its dma-bufs, but keeps that to itself.
 */
static inline bool compat_vfio_pins_mmio(struct vfio_pci_core_device *core)
{
#ifdef HAVE_VFIO_PCI_DMABUFS
	return !list_empty(&core->dmabufs);
#else
	return false;
#endif
}

/* VFIO_DEVICE_GET_REGION_INFO, in later kernels by an operation of its own. */
#ifdef HAVE_VFIO_REGION_INFO_CAPS
long compat_vfio_region_info(struct vfio_device *vdev, unsigned long arg);
#else
static inline long compat_vfio_region_info(struct vfio_device *vdev,
					   unsigned long arg)
{
	if (!vdev->ops->ioctl)
		return -EINVAL;
	return vdev->ops->ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO, arg);
}
#endif

#endif
