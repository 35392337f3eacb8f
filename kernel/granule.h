/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What granule.ko offers to the modules that bring devices to it
 * (granule-vfio.ko).
 *
 * A device driver calls, in this order and with its own lock around each
 * device: granule_ctx_get_fd(), granule_device_bind(), then any number of
 * granule_device_attach() and granule_device_detach(), and at the end
 * granule_device_unbind() and granule_ctx_put(). All may sleep. Every failing
 * call that knows the context also records why, for IOMMU_GET_LAST_ERROR.
 */
#ifndef GRANULE_H
#define GRANULE_H

#include <linux/types.h>

struct device;
struct iommu_group;
struct granule_ctx;
struct granule_device;

/**
 * granule_ctx_get_fd - the context behind a file descriptor of /dev/iommu
 * Return: the context with a reference on its file; ERR_PTR(-EBADF) for no
 * open file, ERR_PTR(-EBADFD) for any other kind of file.
 */
struct granule_ctx *granule_ctx_get_fd(int fd);
void granule_ctx_put(struct granule_ctx *ctx);

/**
 * granule_device_bind - put a device under a context's control
 * @ctx: the context; the device holds a reference of its own on it
 * @dev: the device; its driver has driver_managed_dma set
 * @cmd: ioctl number to name in IOMMU_GET_LAST_ERROR
 * @id: the device's ID in the context
 *
 * Claims the DMA of the whole IOMMU group. DMA of the device is blocked until
 * granule_device_attach().
 *
 * Return: the device, or an error: -ENODEV no IOMMU, -EPERM a device of the
 * group belongs to somebody else, or interrupts are not isolated, -EINVAL not
 * cache-coherent, -ENOMEM.
 */
struct granule_device *granule_device_bind(struct granule_ctx *ctx,
					   struct device *dev,
					   unsigned int cmd, u32 *id);

/* Detaches if attached, releases the group. Cannot fail. */
void granule_device_unbind(struct granule_device *gdev);

/**
 * granule_device_attach - let the device use an IOAS or HWPT, or another one
 * @pt_id: in: ID of an IOAS or HWPT; out: of the HWPT in use
 *
 * Return: 0, or an error with the device where it was: -ENOENT, -EINVAL,
 * -EADDRINUSE (a mapping or an allowed range collides with what the device
 * reserves), -ENOMEM, -EFAULT (memory cannot be pinned any more), -EINTR.
 */
int granule_device_attach(struct granule_device *gdev, unsigned int cmd,
			  u32 *pt_id);

/* Blocks the device's DMA; nothing happens when it is not attached. */
void granule_device_detach(struct granule_device *gdev);

/* The device's ID in its context. */
u32 granule_device_id(const struct granule_device *gdev);

/* Is some device of this group bound to @ctx? */
bool granule_ctx_has_group(struct granule_ctx *ctx, struct iommu_group *group);

/* Failure injection, in builds for testing only: shall this point fail? */
#ifdef GRANULE_SELFTEST
bool granule_should_fail(void);
#else
static inline bool granule_should_fail(void)
{
	return false;
}
#endif

#endif
