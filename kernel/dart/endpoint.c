// SPDX-License-Identifier: GPL-2.0-only
/*
 * Endpoints: devices behind one DART or two, from the core's probing them to
 * its releasing them. Which, and with which streams, their iommu_fwspec says.
 */
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "private.h"

LIST_HEAD(dart_endpoints);

static struct dart *dart_by_number(unsigned int number)
{
	struct dart *dart;

	lockdep_assert_held(&dart_lock);
	list_for_each_entry(dart, &darts, item)
		if (dart->number == number)
			return dart;
	return NULL;
}

struct dart_endpoint *dart_endpoint_of(struct device *dev)
{
	struct dart_endpoint *ep;

	lockdep_assert_held(&dart_lock);
	list_for_each_entry(ep, &dart_endpoints, item)
		if (ep->dev == dev)
			return ep;
	return NULL;
}

/* One domain has to do for all DARTs of a device, and so have its rules. */
static bool dart_alike(const struct dart *a, const struct dart *b)
{
	const struct dart_geometry *g = &a->hw.geometry, *h = &b->hw.geometry;

	return g->format == h->format && g->shift == h->shift &&
	       g->iova_bits == h->iova_bits && g->phys_bits == h->phys_bits &&
	       a->hw.bypass == b->hw.bypass;
}

static int dart_endpoint_add(struct dart_endpoint *ep, struct dart *dart,
			     unsigned int stream)
{
	unsigned int i;

	if (stream >= dart->hw.streams)
		return -EINVAL;
	for (i = 0; i < ep->nr; i++)
		if (ep->dart[i] == dart)
			break;
	if (i == DART_MAX_PER_DEVICE)
		return -E2BIG;
	if (i && !dart_alike(ep->dart[0], dart)) {
		dev_err(ep->dev,
			"granule-dart: %s and %s differ in page size, addresses or bypass: no domain can be in both\n",
			dev_name(ep->dart[0]->dev), dev_name(dart->dev));
		return -EINVAL;
	}
	ep->dart[i] = dart;
	ep->at[i].hw = &dart->hw;
	dart_streams_add(&ep->at[i].streams, stream);
	ep->nr = max(ep->nr, i + 1);
	return 0;
}

static int dart_endpoint_read(struct dart_endpoint *ep)
{
	struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(ep->dev);
	struct dart *dart;
	unsigned int i;
	int rc = 0;

	lockdep_assert_held(&dart_lock);
	for (i = 0; fwspec && i < fwspec->num_ids && !rc; i++) {
		dart = dart_by_number(fwspec->ids[i] >> 16);
		if (!dart || dart->leaving)
			return -ENODEV;
		rc = dart_endpoint_add(ep, dart, fwspec->ids[i] & 0xffff);
	}
	return rc ?: ep->nr ? 0 : -ENODEV;
}

struct iommu_device *dart_probe_device(struct device *dev)
{
	struct dart_endpoint *ep;
	unsigned int i;
	int rc;

	ep = kzalloc(sizeof(*ep), GFP_KERNEL);
	if (!ep)
		return ERR_PTR(-ENODEV);
	ep->dev = dev;
	ep->uncounted = granule_dma_driver_bound(dev);
	mutex_lock(&dart_lock);
	rc = dart_endpoint_read(ep);
	if (!rc)
		list_add_tail(&ep->item, &dart_endpoints);
	mutex_unlock(&dart_lock);
	if (rc) {
		if (rc != -ENODEV)
			dev_err(dev, "granule-dart: will not be translated (%d)\n",
				rc);
		kfree(ep);
		/* Any other error would end the probing of all devices. */
		return ERR_PTR(-ENODEV);
	}
	/* Whose registers are asleep cannot be told anything. */
	for (i = 0; i < ep->nr; i++)
		ep->link[i] = device_link_add(dev, ep->dart[i]->dev,
					      DL_FLAG_STATELESS |
					      DL_FLAG_PM_RUNTIME);
	/*
	 * The core refuses to probe an untrusted device that has to be in
	 * IOMMU_DOMAIN_IDENTITY, so meanwhile pci_dev does not say it.
	 */
	if (dev_is_pci(dev) && to_pci_dev(dev)->untrusted) {
		ep->untrusted = true;
		to_pci_dev(dev)->untrusted = false;
	}
	dev_iommu_priv_set(dev, ep);
	return &ep->dart[0]->iommu;
}

static void dart_tell_trust(struct dart_endpoint *ep)
{
	if (ep->untrusted)
		to_pci_dev(ep->dev)->untrusted = true;
}

void dart_probe_finalize(struct device *dev)
{
	dart_tell_trust(dev_iommu_priv_get(dev));
}

/* See granule_dma_provider. */
bool dart_untrusted(struct device *dev)
{
	struct dart_endpoint *ep = dev_iommu_priv_get(dev);

	return ep->untrusted;
}

/* What PCI devices write there is taken for interrupts before it gets here. */
#define DART_MSI_DOORBELL 0xfffff000

void dart_get_resv_regions(struct device *dev, struct list_head *list)
{
	struct iommu_resv_region *region;

	if (!dev_is_pci(dev))
		return;
	region = iommu_alloc_resv_region(DART_MSI_DOORBELL, PAGE_SIZE,
					 IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO,
					 IOMMU_RESV_MSI, GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, list);
	else
		dev_err(dev, "granule-dart: no memory to tell its reserved region\n");
}

/* Also when probing fails later on, or the device is gone. */
void dart_release_device(struct device *dev)
{
	struct dart_endpoint *ep = dev_iommu_priv_get(dev);
	unsigned int i;

	mutex_lock(&dart_lock);
	dart_leave(ep);
	list_del(&ep->item);
	mutex_unlock(&dart_lock);
	granule_dma_remove(dev);
	dart_tell_trust(ep);
	for (i = 0; i < ep->nr; i++)
		if (ep->link[i])
			device_link_remove(dev, ep->dart[i]->dev);
	kfree(ep);
}

static bool dart_shares_stream(const struct dart_endpoint *a,
			       const struct dart_endpoint *b)
{
	unsigned int i, j, n;

	for (i = 0; i < a->nr; i++)
		for (j = 0; j < b->nr; j++)
			for (n = 0; n < DART_STREAM_WORDS &&
			     a->dart[i] == b->dart[j]; n++)
				if (a->at[i].streams.word[n] &
				    b->at[j].streams.word[n])
					return true;
	return false;
}

/* Devices that share a stream cannot be told apart. */
struct iommu_group *dart_device_group(struct device *dev)
{
	struct dart_endpoint *ep = dev_iommu_priv_get(dev), *other;
	struct iommu_group *group = NULL;

	mutex_lock(&dart_lock);
	list_for_each_entry(other, &dart_endpoints, item)
		if (!group && other != ep && dart_shares_stream(ep, other))
			group = iommu_group_get(other->dev);
	mutex_unlock(&dart_lock);
	if (group)
		return group;
	return dev_is_pci(dev) ? pci_device_group(dev) :
				 generic_device_group(dev);
}

static void dart_count_user(struct device *dev)
{
	int rc = 0;

	device_lock(dev);
	if (granule_dma_driver_bound(dev) && !granule_dma_driver_managed(dev) &&
	    dev->bus->dma_configure)
		rc = dev->bus->dma_configure(dev);
	device_unlock(dev);
	if (rc)
		dev_warn(dev,
			 "granule-dart: its driver is not counted as a user of its group (%d)\n",
			 rc);
}

/*
 * The driver core counts the users of a group when it binds drivers, and the
 * IOMMU core warns when one leaves that was not counted. So drivers that were
 * bound when there was no group yet are counted now, as the driver core would.
 */
void dart_count_users(void)
{
	struct dart_endpoint *ep;
	struct device *dev;

again:
	mutex_lock(&dart_lock);
	list_for_each_entry(ep, &dart_endpoints, item)
		if (ep->uncounted) {
			ep->uncounted = false;
			dev = get_device(ep->dev);
			goto found;
		}
	mutex_unlock(&dart_lock);
	return;

found:
	mutex_unlock(&dart_lock);
	dart_count_user(dev);
	put_device(dev);
	goto again;
}

static bool dart_is_of(const struct dart *dart, const struct dart_endpoint *ep)
{
	unsigned int i;

	for (i = 0; i < ep->nr; i++)
		if (ep->dart[i] == dart)
			return true;
	return false;
}

/*
 * A DART goes, and nobody can stop it: drivers whose DMA goes through it have
 * to go first.
 */
void dart_unbind_users(struct dart *dart)
{
	struct dart_endpoint *ep;
	struct device *dev;

again:
	mutex_lock(&dart_lock);
	list_for_each_entry(ep, &dart_endpoints, item)
		if (dart_is_of(dart, ep) && READ_ONCE(ep->dev->driver)) {
			dev = get_device(ep->dev);
			goto found;
		}
	mutex_unlock(&dart_lock);
	return;

found:
	mutex_unlock(&dart_lock);
	dev_warn(dev, "granule-dart: the IOMMU is being removed: unbinding the driver\n");
	device_release_driver(dev);
	put_device(dev);
	goto again;
}

/*
 * A DART has gone. The core has released the devices that it knew to be behind
 * it; to those that had it second it knows the first one only. They are
 * blocked: half of a device is not translated, and nobody may touch registers
 * that are not there.
 */
void dart_forget(struct dart *dart)
{
	struct dart_endpoint *ep;

	guard(mutex)(&dart_lock);
	list_for_each_entry(ep, &dart_endpoints, item) {
		if (!dart_is_of(dart, ep))
			continue;
		dart_leave(ep);
		ep->crippled = true;
		/* It is the last: the first one's device would be released. */
		ep->nr--;
		if (ep->link[ep->nr])
			device_link_remove(ep->dev, dart->dev);
		ep->link[ep->nr] = NULL;
	}
}
