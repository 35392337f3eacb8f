// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/iommu/NAME/granule-virtio-iommu-test/, in builds for testing:
 *
 *   fail_map	write N, and of the MAP requests from then on the device refuses
 *		the Nth
 *   fail_unmap	the same for UNMAP: what was to be unmapped stays mapped
 *
 * Each counts down, and is 0 once that has happened.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "private.h"

bool viommu_should_fail(struct viommu *viommu)
{
	lockdep_assert_held(&viommu->lock);
	return viommu->fail_map && !--viommu->fail_map;
}

bool viommu_should_keep(struct viommu *viommu)
{
	lockdep_assert_held(&viommu->lock);
	return viommu->fail_unmap && !--viommu->fail_unmap;
}

#define VIOMMU_FAIL(_name)						\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct viommu *viommu = viommu_of(dev);				\
									\
	if (!viommu)							\
		return -ENODEV;						\
	return sysfs_emit(buf, "%u\n", READ_ONCE(viommu->_name));	\
}									\
									\
static ssize_t _name##_store(struct device *dev,			\
			     struct device_attribute *attr,		\
			     const char *buf, size_t size)		\
{									\
	struct viommu *viommu = viommu_of(dev);				\
	unsigned long irqs;						\
	unsigned int n;							\
	int rc;								\
									\
	if (!viommu)							\
		return -ENODEV;						\
	rc = kstrtouint(buf, 0, &n);					\
	if (rc)								\
		return rc;						\
	spin_lock_irqsave(&viommu->lock, irqs);				\
	viommu->_name = n;						\
	spin_unlock_irqrestore(&viommu->lock, irqs);			\
	return size;							\
}									\
static DEVICE_ATTR_RW(_name)

VIOMMU_FAIL(fail_map);
VIOMMU_FAIL(fail_unmap);

static struct attribute *viommu_fail_attrs[] = {
	&dev_attr_fail_map.attr,
	&dev_attr_fail_unmap.attr,
	NULL,
};

const struct attribute_group viommu_fail_group = {
	.name = "granule-virtio-iommu-test",
	.attrs = viommu_fail_attrs,
};
