// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of the whole module, in /sys/class/misc/iommu/stats/: what exists
 * now. All are zero when nobody uses /dev/iommu.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "private.h"

atomic_long_t granule_stats[GRANULE_NR_STATS];

struct granule_stat_attr {
	struct device_attribute attr;
	enum granule_stat stat;
	unsigned int unit;
};

static ssize_t granule_stat_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct granule_stat_attr *sa =
		container_of(attr, struct granule_stat_attr, attr);
	unsigned long n = atomic_long_read(&granule_stats[sa->stat]);

	return sysfs_emit(buf, "%lu\n", n * sa->unit);
}

#define STAT(_name, _stat, _unit)					\
	static struct granule_stat_attr granule_stat_##_name = {	\
		.attr = __ATTR(_name, 0444, granule_stat_show, NULL),	\
		.stat = _stat,						\
		.unit = _unit,						\
	}

STAT(contexts, GRANULE_STAT_CONTEXTS, 1);
STAT(objects, GRANULE_STAT_OBJECTS, 1);
STAT(devices, GRANULE_STAT_DEVICES, 1);
STAT(areas, GRANULE_STAT_AREAS, 1);
STAT(pinned_bytes, GRANULE_STAT_PINNED_PAGES, PAGE_SIZE);
STAT(buffer_bytes, GRANULE_STAT_BUFFER_PAGES, PAGE_SIZE);

static struct attribute *granule_stat_attrs[] = {
	&granule_stat_contexts.attr.attr,
	&granule_stat_objects.attr.attr,
	&granule_stat_devices.attr.attr,
	&granule_stat_areas.attr.attr,
	&granule_stat_pinned_bytes.attr.attr,
	&granule_stat_buffer_bytes.attr.attr,
	NULL
};

static const struct attribute_group granule_stat_group = {
	.name = "stats",
	.attrs = granule_stat_attrs,
};

const struct attribute_group *granule_stat_groups[] = {
	&granule_stat_group,
	NULL
};
