// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/iommu/NAME/granule-virtio-iommu/: what an IOMMU is doing.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "private.h"

#define VIOMMU_STAT(_name, _format, _value)				\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct viommu *viommu = viommu_of(dev);				\
									\
	if (!viommu)							\
		return -ENODEV;						\
	return sysfs_emit(buf, _format "\n", (u64)(_value));		\
}									\
static DEVICE_ATTR_RO(_name)

VIOMMU_STAT(granule, "%llu", 1ULL << __ffs64(viommu->pgsizes));
VIOMMU_STAT(faults, "%llu", atomic64_read(&viommu->nr_faults));
VIOMMU_STAT(requests, "%llu", READ_ONCE(viommu->nr_requests));
VIOMMU_STAT(kicks, "%llu", READ_ONCE(viommu->nr_kicks));

/* The device's configuration; granule.ko, too, reads it here. */
VIOMMU_STAT(page_size_mask, "%#llx", viommu->pgsizes);
VIOMMU_STAT(first_iova, "%#llx", viommu->first);
VIOMMU_STAT(last_iova, "%#llx", viommu->last);
VIOMMU_STAT(first_domain, "%#llx", viommu->first_domain);
VIOMMU_STAT(last_domain, "%#llx", viommu->last_domain);
VIOMMU_STAT(bypass, "%#llx", viommu->has_bypass);

static const char *viommu_place_name(const struct viommu_endpoint *ep)
{
	if (!ep->part)
		return "none";
	if (ep->part == &ep->viommu->blocked || READ_ONCE(ep->part->cut))
		return "blocked";
	if (ep->part == &ep->viommu->bypass ||
	    (ep->identity && ep->part->domain == ep->identity))
		return "untranslated";
	return ep->in_default ? "kernel" : "user";
}

/* A line for each: name, first ID, where it is, number of faults. */
static ssize_t endpoints_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct viommu *viommu = viommu_of(dev);
	struct viommu_endpoint *ep;
	int at = 0;

	if (!viommu)
		return -ENODEV;
	guard(mutex)(&viommu_lock);
	list_for_each_entry(ep, &viommu->endpoints, item)
		at += sysfs_emit_at(buf, at, "%s %#x %s %lld\n",
				    dev_name(ep->dev), ep->ids[0],
				    viommu_place_name(ep),
				    atomic64_read(&ep->nr_faults));
	return at;
}
static DEVICE_ATTR_RO(endpoints);

static struct attribute *viommu_attrs[] = {
	&dev_attr_granule.attr,
	&dev_attr_faults.attr,
	&dev_attr_requests.attr,
	&dev_attr_kicks.attr,
	&dev_attr_page_size_mask.attr,
	&dev_attr_first_iova.attr,
	&dev_attr_last_iova.attr,
	&dev_attr_first_domain.attr,
	&dev_attr_last_domain.attr,
	&dev_attr_bypass.attr,
	&dev_attr_endpoints.attr,
	NULL,
};

static const struct attribute_group viommu_group = {
	.name = "granule-virtio-iommu",
	.attrs = viommu_attrs,
};

const struct attribute_group *viommu_groups[] = {
	&viommu_group, VIOMMU_FAIL_GROUP NULL
};
