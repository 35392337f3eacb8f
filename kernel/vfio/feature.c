// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_FEATURE: what vfio.ko does before a driver sees the request. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/uaccess.h>

#include "private.h"

#ifndef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#endif

#define SIDE_FEATURE_FLAGS                                            \
	(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET |         \
	 VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE)

/*
 * Migration and DMA logging are not the drivers' to answer: vfio.ko keeps
 * their state machine, and neither exports it nor knows of our files. No
 * device behind one of our nodes can migrate, as if its driver could not.
 */
static const u32 side_core_features[] = {
	VFIO_DEVICE_FEATURE_MIGRATION,
	VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
	VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
};

long side_feature(struct side_file *sf, void __user *arg)
{
	struct vfio_device_feature __user *ufeature = arg;
	struct vfio_device *vdev = side_vdev(sf->side);
	struct vfio_device_feature feature;
	u32 flags;
	int i;

	if (copy_from_user(&feature, ufeature, sizeof(feature)))
		return -EFAULT;
	if (feature.argsz < sizeof(feature))
		return -EINVAL;

	flags = feature.flags;
	if (flags & ~SIDE_FEATURE_FLAGS)
		return -EINVAL;
	/* Both at once make sense only as a question */
	if (!(flags & VFIO_DEVICE_FEATURE_PROBE) &&
	    (flags & VFIO_DEVICE_FEATURE_GET) &&
	    (flags & VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;

	for (i = 0; i < ARRAY_SIZE(side_core_features); i++)
		if ((flags & VFIO_DEVICE_FEATURE_MASK) == side_core_features[i])
			return -ENOTTY;

	if (!vdev->ops->device_feature)
		return -ENOTTY;
	return vdev->ops->device_feature(vdev, flags, ufeature->data,
					 feature.argsz - sizeof(feature));
}
