/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * VFIO device files that are bound to /dev/iommu: the part of upstream's
 * <linux/vfio.h> that Debian 12's headers (6.1) lack.
 *
 * The files are /dev/vfio/devices/vfioN. Until VFIO_DEVICE_BIND_IOMMUFD has
 * succeeded, every other operation on them is refused with EINVAL.
 */
#ifndef _UAPI_GRANULE_VFIO_H
#define _UAPI_GRANULE_VFIO_H

#include <linux/vfio.h>

#ifndef VFIO_DEVICE_BIND_IOMMUFD

/**
 * struct vfio_device_bind_iommufd - ioctl(VFIO_DEVICE_BIND_IOMMUFD)
 * @argsz: sizeof(struct vfio_device_bind_iommufd), or more
 * @flags: must be 0
 * @iommufd: file descriptor of /dev/iommu
 * @out_devid: the device's ID in that file
 *
 * Claim the device, and the DMA of its whole IOMMU group, for the iommufd.
 * Undone by closing the device file. Until a successful attach the device's
 * DMA is blocked.
 *
 * EINVAL: this file or another is bound already, or a field is wrong. EBADF,
 * EBADFD: not a file, not /dev/iommu. EPERM: another driver or user owns a
 * device of the group, or interrupts are not remapped. ESTALE: this file was
 * revoked, see GRANULE_VFIO_REVOKE.
 */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

/**
 * struct vfio_device_attach_iommufd_pt - ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT)
 * @argsz: sizeof(struct vfio_device_attach_iommufd_pt), or more
 * @flags: must be 0
 * @pt_id: in: an IOAS or a HWPT; out: the HWPT that is used
 *
 * Let the device use an address space. A device that is attached already
 * moves to the new one; DMA is blocked in between, and if the new one refuses
 * the device stays where it was.
 */
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

/**
 * struct vfio_device_detach_iommufd_pt - ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT)
 * @argsz: sizeof(struct vfio_device_detach_iommufd_pt), or more
 * @flags: must be 0
 *
 * Block the device's DMA again. Succeeds also when it was not attached.
 */
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID (1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
#define VFIO_PCI_DEVID_OWNED 0
#define VFIO_PCI_DEVID_NOT_OWNED -1

#endif
/**
 * struct granule_vfio_revoke - ioctl(GRANULE_VFIO_REVOKE)
 * @argsz: sizeof(struct granule_vfio_revoke), or more
 * @flags: must be 0
 *
 * For the file that has bound the device: all others that are open now do
 * nothing any more, for ever. They cannot be bound (ESTALE), and do not keep
 * the device's driver from going. Who had the device before, or handed it on
 * without binding it, thus has nothing left of it. Files that are opened later
 * are as good as any.
 *
 * EINVAL: the file is not bound, or a field is wrong. ENOTTY: upstream's VFIO,
 * which cannot do it.
 */
struct granule_vfio_revoke {
	__u32 argsz;
	__u32 flags;
};
#define GRANULE_VFIO_REVOKE _IO(VFIO_TYPE, 0xd0)

#endif
