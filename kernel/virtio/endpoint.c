// SPDX-License-Identifier: GPL-2.0-only
/*
 * Endpoints: the devices behind an IOMMU, from the core's probing them to its
 * releasing them.
 */
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "private.h"

/* Add to what is collected. -EXDEV: that is another IOMMU's. */
int viommu_ids_add(struct viommu_ids *ids, struct viommu *viommu, u32 id)
{
	unsigned int i;
	u32 *more;

	if (ids->viommu && ids->viommu != viommu)
		return -EXDEV;
	ids->viommu = viommu;
	for (i = 0; i < ids->count; i++)
		if (ids->ids[i] == id)
			return 0;
	more = krealloc(ids->ids, (ids->count + 1) * sizeof(*more), GFP_KERNEL);
	if (!more)
		return -ENOMEM;
	more[ids->count++] = id;
	ids->ids = more;
	return 0;
}

/* From what the kernel found in firmware's tables or the devicetree. */
static int viommu_fwspec_find(struct device *dev, struct viommu_ids *ids)
{
	struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(dev);
	struct viommu *viommu;
	unsigned int i;
	int rc = 0;

	if (!fwspec || !fwspec->iommu_fwnode)
		return 0;
	list_for_each_entry(viommu, &viommus, item)
		if (dev_fwnode(viommu->vdev->dev.parent) ==
		    fwspec->iommu_fwnode)
			for (i = 0; i < fwspec->num_ids && !rc; i++)
				rc = viommu_ids_add(ids, viommu,
						    fwspec->ids[i]);
	return rc;
}

/**
 * viommu_find - does a device have an IOMMU of ours, with which IDs?
 * @dev: any device
 * @ids: empty; its @ids.ids are to be freed in any case
 * Return: 0; -ENODEV: no, or it is an IOMMU itself; -ENOMEM, -EXDEV, -EINVAL.
 */
int viommu_find(struct device *dev, struct viommu_ids *ids)
{
	struct viommu *viommu;
	int rc;

	lockdep_assert_held(&viommu_lock);
	list_for_each_entry(viommu, &viommus, item)
		if (dev == viommu->vdev->dev.parent)
			return -ENODEV;
	rc = viommu_fwspec_find(dev, ids);
	if (!rc && !ids->count)
		rc = viommu_viot_find(dev, ids);
	if (!rc && !ids->count)
		rc = viommu_dt_find(dev, ids);
	if (!rc && (!ids->count || ids->viommu->leaving))
		rc = -ENODEV;
	return rc;
}

struct viommu_endpoint *viommu_endpoint_of(struct device *dev)
{
	struct viommu_endpoint *ep;
	struct viommu *viommu;

	lockdep_assert_held(&viommu_lock);
	list_for_each_entry(viommu, &viommus, item)
		list_for_each_entry(ep, &viommu->endpoints, item)
			if (ep->dev == dev)
				return ep;
	return NULL;
}

struct viommu_endpoint *viommu_endpoint_by_id(struct viommu *viommu, u32 id)
{
	struct viommu_endpoint *ep;
	unsigned int i;

	lockdep_assert_held(&viommu_lock);
	list_for_each_entry(ep, &viommu->endpoints, item)
		for (i = 0; i < ep->nr_ids; i++)
			if (ep->ids[i] == id)
				return ep;
	return NULL;
}

/*
 * See granule_dma_provider. The core refuses to probe an untrusted device that
 * has to be in IOMMU_DOMAIN_IDENTITY, so meanwhile pci_dev does not say it.
 */
bool viommu_untrusted(struct device *dev)
{
	struct viommu_endpoint *ep = dev_iommu_priv_get(dev);

	return ep->untrusted;
}

static void viommu_endpoint_free(struct viommu_endpoint *ep)
{
	iommu_put_resv_regions(ep->dev, &ep->reserved);
	if (ep->identity)
		viommu_domain_put(ep->identity);
	viommu_put(ep->viommu);
	kfree(ep->ids);
	kfree(ep);
}

static struct viommu_endpoint *viommu_endpoint_new(struct device *dev)
{
	struct viommu_ids ids = {};
	struct viommu_endpoint *ep;
	int rc;

	ep = kzalloc(sizeof(*ep), GFP_KERNEL);
	if (!ep)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&viommu_lock);
	rc = viommu_find(dev, &ids);
	if (!rc)
		kref_get(&ids.viommu->ref);
	mutex_unlock(&viommu_lock);
	if (rc) {
		kfree(ids.ids);
		kfree(ep);
		return ERR_PTR(rc);
	}
	ep->dev = dev;
	ep->viommu = ids.viommu;
	ep->ids = ids.ids;
	ep->nr_ids = ids.count;
	INIT_LIST_HEAD(&ep->reserved);
	if (granule_dma_driver_bound(dev))
		ep->bound_before = VIOMMU_BOUND;
	else if (dev->driver)
		ep->bound_before = VIOMMU_BINDING;
	rc = viommu_properties_read(ep);
	if (rc) {
		viommu_endpoint_free(ep);
		return ERR_PTR(rc);
	}
	return ep;
}

struct iommu_device *viommu_probe_device(struct device *dev)
{
	struct viommu_endpoint *ep = viommu_endpoint_new(dev);

	if (IS_ERR(ep)) {
		if (PTR_ERR(ep) != -ENODEV)
			dev_err(dev,
				"virtio-iommu: will not be translated (%ld)\n",
				PTR_ERR(ep));
		/* Any other error would end the probing of all devices. */
		return ERR_PTR(-ENODEV);
	}
	/* At shutdown and in sleep the IOMMU goes last. */
	ep->linked = device_link_add(dev, &ep->viommu->vdev->dev,
				     DL_FLAG_STATELESS);
	if (!ep->linked)
		dev_warn(dev,
			 "virtio-iommu: not linked to %s, which may go to sleep first\n",
			 dev_name(&ep->viommu->vdev->dev));
	if (dev_is_pci(dev) && to_pci_dev(dev)->untrusted) {
		ep->untrusted = true;
		to_pci_dev(dev)->untrusted = false;
	}
	dev_iommu_priv_set(dev, ep);
	mutex_lock(&viommu_lock);
	list_add_tail(&ep->item, &ep->viommu->endpoints);
	mutex_unlock(&viommu_lock);
	return &ep->viommu->iommu;
}

static void viommu_tell_trust(struct viommu_endpoint *ep)
{
	if (ep->untrusted)
		to_pci_dev(ep->dev)->untrusted = true;
}

void viommu_probe_finalize(struct device *dev)
{
	viommu_tell_trust(dev_iommu_priv_get(dev));
}

/* Also when probing fails later on, or the device is gone. */
void viommu_release_device(struct device *dev)
{
	struct viommu_endpoint *ep = dev_iommu_priv_get(dev);

	mutex_lock(&viommu_lock);
	viommu_detach(ep);
	list_del(&ep->item);
	mutex_unlock(&viommu_lock);
	granule_dma_remove(dev);
	mutex_lock(&viommu_priv_lock);
	dev_iommu_priv_set(dev, NULL);
	mutex_unlock(&viommu_priv_lock);
	viommu_tell_trust(ep);
	if (ep->linked)
		device_link_remove(dev, &ep->viommu->vdev->dev);
	viommu_endpoint_free(ep);
}

/* --- drivers that are bound --- */

/* Call @fn for each device there is now, without a lock. */
static void viommu_visit_devices(struct viommu *viommu,
				 void (*fn)(struct device *dev,
					    enum viommu_bound before))
{
	enum viommu_bound before;
	struct viommu_endpoint *ep;
	struct device *dev;

	mutex_lock(&viommu_lock);
	list_for_each_entry(ep, &viommu->endpoints, item)
		ep->todo = true;
again:
	list_for_each_entry(ep, &viommu->endpoints, item) {
		if (!ep->todo)
			continue;
		ep->todo = false;
		before = ep->bound_before;
		dev = get_device(ep->dev);
		mutex_unlock(&viommu_lock);
		fn(dev, before);
		put_device(dev);
		mutex_lock(&viommu_lock);
		goto again;
	}
	mutex_unlock(&viommu_lock);
}

static bool viommu_group_in_use(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool used = group && iommu_group_dma_owner_claimed(group);

	iommu_group_put(group);
	return used;
}

static void viommu_own(struct device *dev, enum viommu_bound before)
{
	int rc = 0;

	if (before == VIOMMU_UNBOUND)
		return;
	device_lock(dev);
	/*
	 * A driver that was about to be bound then may have been counted by
	 * now. In a group where somebody was, that is taken to be so.
	 */
	if (granule_dma_driver_bound(dev) && !granule_dma_driver_managed(dev) &&
	    dev->bus->dma_configure &&
	    (before == VIOMMU_BOUND || !viommu_group_in_use(dev)))
		rc = dev->bus->dma_configure(dev);
	device_unlock(dev);
	if (rc)
		dev_warn(dev,
			 "virtio-iommu: its driver is not counted as a user of its group (%d)\n",
			 rc);
}

/*
 * The driver core counts the users of a group when it binds drivers, and the
 * IOMMU core warns when one leaves that was not counted. So drivers that were
 * bound when there was no group yet are counted now, as the driver core would.
 */
void viommu_own_bound(struct viommu *viommu)
{
	viommu_visit_devices(viommu, viommu_own);
}

static void viommu_unbind(struct device *dev)
{
	dev_warn(dev,
		 "virtio-iommu: the IOMMU is being removed: unbinding the driver\n");
	device_release_driver(dev);
}

/* Waits for a driver that is probing. One that binds later gets no DMA. */
static void viommu_unbind_user(struct device *dev, enum viommu_bound before)
{
	if (READ_ONCE(dev->driver) && !granule_dma_driver_managed(dev))
		viommu_unbind(dev);
}

static void viommu_unbind_owner(struct device *dev, enum viommu_bound before)
{
	if (READ_ONCE(dev->driver) && viommu_group_in_use(dev))
		viommu_unbind(dev);
}

/*
 * The IOMMU goes, and nobody can stop it. Drivers whose DMA goes through it
 * have to go first: then those that own a group for their users, as vfio-pci.
 */
void viommu_unbind_users(struct viommu *viommu)
{
	viommu_visit_devices(viommu, viommu_unbind_user);
	viommu_visit_devices(viommu, viommu_unbind_owner);
}
