// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces: the IOMMU domain and the IOVAs of a group of devices, for as long as
 * the group has devices.
 */
#include <linux/slab.h>

#include "private.h"

LIST_HEAD(dma_spaces);

static void dma_space_free(struct dma_space *space)
{
	dma_bounce_exit(space);
	xa_destroy(&space->buffers);
	dma_iova_exit(space);
	space->domain->ops->free(space->domain);
	iommu_group_put(space->group);
	kobject_put(&space->kobj);
}

static struct dma_space *
dma_space_new(struct device *dev, struct iommu_group *group,
	      const struct granule_dma_provider *provider)
{
	struct dma_space *space;
	int rc;

	space = kzalloc(sizeof(*space), GFP_KERNEL);
	if (!space)
		return ERR_PTR(-ENOMEM);
	kobject_init(&space->kobj, &dma_space_ktype);
	xa_init_flags(&space->bounces, XA_FLAGS_LOCK_IRQ);
	xa_init_flags(&space->buffers, XA_FLAGS_LOCK_IRQ);
	INIT_LIST_HEAD(&space->reserved);
	INIT_LIST_HEAD(&space->shares);
	INIT_LIST_HEAD(&space->pool);
	spin_lock_init(&space->pool_lock);
	space->provider = provider;
	space->ops = dma_trusted_ops;
	space->domain = provider->domain_alloc(dev);
	if (IS_ERR(space->domain)) {
		rc = PTR_ERR(space->domain);
		goto err_kobj;
	}
	space->granule = granule_of_bitmap(space->domain->pgsize_bitmap);
	/* Less than the CPU's page would be correct, but gains nothing. */
	space->granule = max_t(u64, space->granule, PAGE_SIZE);
	space->shift = ilog2(space->granule);
	rc = dma_iova_init(space);
	if (rc)
		goto err_domain;
	space->group = iommu_group_ref_get(group);
	rc = dma_stats_add(space);
	if (rc) {
		dma_space_free(space);
		return ERR_PTR(rc);
	}
	list_add(&space->item, &dma_spaces);
	return space;

err_domain:
	space->domain->ops->free(space->domain);
err_kobj:
	kobject_put(&space->kobj);
	return ERR_PTR(rc);
}

/*
 * dma_space_get - the space of a device's group, made if there is none
 *
 * Every member holds it once. Under granule_dma_lock.
 */
struct dma_space *dma_space_get(struct device *dev,
				const struct granule_dma_provider *provider)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct dma_space *space;

	lockdep_assert_held(&granule_dma_lock);
	if (!group)
		return ERR_PTR(-ENODEV);
	list_for_each_entry(space, &dma_spaces, item)
		if (space->group == group)
			goto found;
	space = dma_space_new(dev, group, provider);
found:
	iommu_group_put(group);
	if (!IS_ERR(space))
		space->members++;
	return space;
}

void dma_space_put(struct dma_space *space)
{
	lockdep_assert_held(&granule_dma_lock);
	if (--space->members)
		return;
	list_del(&space->item);
	kobject_del(&space->kobj);
	dma_space_free(space);
}

/*
 * dma_space_clean - take away what a driver did not unmap
 * @dev: its device
 *
 * Called when nobody uses the space any more. The addresses stay taken: to
 * whom they belong is not known, and some drivers give them back later.
 */
void dma_space_clean(struct dma_space *space, struct device *dev)
{
	long left = atomic_long_read(&space->stats[DMA_STAT_MAPPED_GRANULES]);
	long memory = dma_buffers_granules(space);
	u64 start = space->granule, size;

	lockdep_assert_held(&granule_dma_lock);
	if (!left)
		return;
	if (left > memory)
		dev_err(dev,
			"granule-dma: its driver left %ld granules of %llu bytes mapped: unmapped now\n",
			left - memory, space->granule);
	if (memory)
		dev_info(dev,
			 "granule-dma: its driver has not freed its memory yet: %ld granules of %llu bytes, taken from the device\n",
			 memory, space->granule);
	start = max_t(u64, start, space->domain->geometry.aperture_start);
	size = space->provider->unmap(space->domain, start,
				      granule_down(space->domain->geometry.aperture_end,
						   space->granule) -
				      start + space->granule);
	dma_count(space, DMA_STAT_MAPPED_GRANULES,
		  -(long)(size >> space->shift));
	dma_bounce_release(space, start, U64_MAX - start + 1, false);
}
