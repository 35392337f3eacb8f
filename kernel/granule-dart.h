/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How granule-dart.ko is told of a DART that is not in a devicetree: platform
 * data of a platform device named "granule-dart". A model of the hardware is
 * driven this way.
 */
#ifndef GRANULE_DART_H
#define GRANULE_DART_H

#include <linux/device.h>

#include "core/dart_hw.h"

struct granule_dart_platform {
	const char *variant;	/* of dart_variant_find() */
	/* lock() and unlock() may be NULL: there is a lock around them. */
	struct dart_io io;
	/*
	 * Devices are told which DART and stream they have by the IDs of
	 * their iommu_fwspec: GRANULE_DART_ID.
	 */
	unsigned int number;
};

#define GRANULE_DART_ID(number, stream) ((number) << 16 | (stream))

/**
 * granule_dart_describe - tell a device its place where no firmware does
 * @dev: not added yet
 * @dart: a DART, bound to the driver
 * @stream: one of its streams
 *
 * May be called for several streams, and for two DARTs.
 * Return: 0; -EINVAL, -ENOMEM; -ENODEV when @dart is none of ours.
 */
int granule_dart_describe(struct device *dev, struct device *dart,
			  unsigned int stream);

/* Look for an error, as the interrupt does. From a context that may sleep. */
void granule_dart_poll(struct device *dart);

#endif
