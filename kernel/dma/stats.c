// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/granule-dma/<group>/: what kernel drivers have mapped.
 */
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "private.h"

static struct kobject *dma_kobj;

struct dma_attr {
	struct attribute attr;
	ssize_t (*show)(struct dma_space *space, int stat, char *buf);
	int stat;
};

static ssize_t dma_show_stat(struct dma_space *space, int stat, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&space->stats[stat]));
}

static ssize_t dma_show_granule(struct dma_space *space, int unused, char *buf)
{
	return sysfs_emit(buf, "%llu\n", space->granule);
}

static ssize_t dma_show_trusted(struct dma_space *space, int unused, char *buf)
{
	return sysfs_emit(buf, "%d\n", !READ_ONCE(space->untrusted));
}

static ssize_t dma_show_users(struct dma_space *space, int unused, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(space->users));
}

static ssize_t dma_show_direct(struct dma_space *space, int unused, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(space->direct));
}

#define DMA_ATTR(_name, _show, _stat)					\
	static struct dma_attr dma_attr_##_name = {			\
		.attr = { .name = #_name, .mode = 0444 },		\
		.show = _show,						\
		.stat = _stat,						\
	}

DMA_ATTR(granule, dma_show_granule, 0);
DMA_ATTR(trusted, dma_show_trusted, 0);
DMA_ATTR(users, dma_show_users, 0);
DMA_ATTR(direct, dma_show_direct, 0);
DMA_ATTR(mapped_granules, dma_show_stat, DMA_STAT_MAPPED_GRANULES);
DMA_ATTR(mappings, dma_show_stat, DMA_STAT_MAPPINGS);
DMA_ATTR(bounce_granules, dma_show_stat, DMA_STAT_BOUNCE_GRANULES);
DMA_ATTR(bounced_bytes, dma_show_stat, DMA_STAT_BOUNCED_BYTES);
DMA_ATTR(failures, dma_show_stat, DMA_STAT_FAILURES);

static struct attribute *dma_attrs[] = {
	&dma_attr_granule.attr,
	&dma_attr_trusted.attr,
	&dma_attr_users.attr,
	&dma_attr_direct.attr,
	&dma_attr_mapped_granules.attr,
	&dma_attr_mappings.attr,
	&dma_attr_bounce_granules.attr,
	&dma_attr_bounced_bytes.attr,
	&dma_attr_failures.attr,
	NULL
};
ATTRIBUTE_GROUPS(dma);

static ssize_t dma_attr_show(struct kobject *kobj, struct attribute *attr,
			     char *buf)
{
	struct dma_attr *da = container_of(attr, struct dma_attr, attr);

	return da->show(container_of(kobj, struct dma_space, kobj), da->stat,
			buf);
}

static const struct sysfs_ops dma_sysfs_ops = {
	.show = dma_attr_show,
};

static void dma_space_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct dma_space, kobj));
}

const struct kobj_type dma_space_ktype = {
	.sysfs_ops = &dma_sysfs_ops,
	.default_groups = dma_groups,
	.release = dma_space_release,
};

int dma_stats_add(struct dma_space *space)
{
	return kobject_add(&space->kobj, dma_kobj, "%d",
			   iommu_group_id(space->group));
}

int __init dma_stats_init(void)
{
	dma_kobj = kobject_create_and_add("granule-dma", kernel_kobj);
	return dma_kobj ? 0 : -ENOMEM;
}

void dma_stats_exit(void)
{
	kobject_put(dma_kobj);
}
