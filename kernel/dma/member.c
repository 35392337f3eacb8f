// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: which of them are translated, and when they get their operations.
 *
 * A driver that was bound before the device's IOMMU was known has handed out
 * physical addresses. Its device, and all that share IOMMU IDs with it, that
 * is its group, bypass the IOMMU until the last such driver has let go.
 */
#include <linux/dma-mapping.h>
#include <linux/kernfs.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "private.h"

enum dma_use {
	DMA_USE_NONE,		/* no driver that uses the DMA API */
	DMA_USE_TRANSLATED,
	DMA_USE_DIRECT,
};

/* A device of a registered provider. All under granule_dma_lock. */
struct dma_member {
	struct list_head item;
	struct device *dev;
	struct dma_space *space;
	enum dma_use use;
	bool unsettled;
};

static LIST_HEAD(dma_members);
static LIST_HEAD(dma_providers);
DEFINE_MUTEX(granule_dma_lock);

/* --- providers --- */

struct dma_provider_item {
	struct list_head item;
	const struct granule_dma_provider *provider;
};

static const struct granule_dma_provider *dma_provider_of(struct device *dev)
{
	struct dma_provider_item *p;

	lockdep_assert_held(&granule_dma_lock);
	if (!dev->iommu || !dev->iommu->iommu_dev)
		return NULL;
	list_for_each_entry(p, &dma_providers, item)
		if (p->provider->ops == dev->iommu->iommu_dev->ops)
			return p->provider;
	return NULL;
}

int granule_dma_register(const struct granule_dma_provider *provider)
{
	struct dma_provider_item *new, *p;

	new = kmalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	new->provider = provider;
	mutex_lock(&granule_dma_lock);
	list_for_each_entry(p, &dma_providers, item)
		if (p->provider == provider) {
			mutex_unlock(&granule_dma_lock);
			kfree(new);
			return -EEXIST;
		}
	list_add(&new->item, &dma_providers);
	mutex_unlock(&granule_dma_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(granule_dma_register);

void granule_dma_unregister(const struct granule_dma_provider *provider)
{
	struct dma_provider_item *p, *next;

	mutex_lock(&granule_dma_lock);
	list_for_each_entry_safe(p, next, &dma_providers, item)
		if (p->provider == provider) {
			list_del(&p->item);
			kfree(p);
		}
	mutex_unlock(&granule_dma_lock);
}
EXPORT_SYMBOL_GPL(granule_dma_unregister);

/* --- what is known of a device --- */

static char *untrusted;
module_param(untrusted, charp, 0444);
MODULE_PARM_DESC(untrusted,
		 "PCI addresses (0000:00:1f.0,...) of devices to be trusted with nothing but the bytes they are given");

/* Is @name one of the names in a list that commas separate? */
static bool dma_listed(const char *list, const char *name)
{
	size_t length = strlen(name), n;

	for (; list && *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == length && !strncasecmp(list, name, n))
			return true;
	}
	return false;
}

static bool dma_untrusted(struct device *dev,
			  const struct granule_dma_provider *provider)
{
	if (dma_listed(untrusted, dev_name(dev)))
		return true;
	if (provider && provider->untrusted)
		return provider->untrusted(dev);
	return dev_is_pci(dev) && to_pci_dev(dev)->untrusted;
}

bool granule_dma_untrusted(struct device *dev)
{
	bool is;

	mutex_lock(&granule_dma_lock);
	is = dma_untrusted(dev, dma_provider_of(dev));
	mutex_unlock(&granule_dma_lock);
	return is;
}
EXPORT_SYMBOL_GPL(granule_dma_untrusted);

bool granule_dma_driver_managed(struct device *dev)
{
	struct device_driver *driver = READ_ONCE(dev->driver);

	if (!driver)
		return false;
	if (dev_is_pci(dev))
		return to_pci_driver(driver)->driver_managed_dma;
	if (dev->bus == &platform_bus_type)
		return to_platform_driver(driver)->driver_managed_dma;
	return false;
}
EXPORT_SYMBOL_GPL(granule_dma_driver_managed);

/* --- members --- */

static struct dma_member *dma_member_find(struct device *dev)
{
	struct dma_member *m;

	lockdep_assert_held(&granule_dma_lock);
	list_for_each_entry(m, &dma_members, item)
		if (m->dev == dev)
			return m;
	return NULL;
}

/* A space is trusted as much as the least trusted of its devices. */
static int dma_member_check_trust(struct dma_member *m)
{
	struct dma_space *space = m->space;

	if (space->untrusted || !dma_untrusted(m->dev, space->provider))
		return 0;
	if (space->users) {
		dev_err(m->dev,
			"granule-dma: untrusted, but trusted devices of its group are in use: blocked\n");
		return -EBUSY;
	}
	space->untrusted = true;
	space->ops = dma_untrusted_ops;
	return 0;
}

/*
 * Has a driver begun to use the device? When it is about to probe there is a
 * driver already, but nothing in sysfs points to it; BIND_DRIVER comes between.
 */
static bool dma_driver_works(struct device *dev)
{
	struct kernfs_node *link;

	if (granule_dma_driver_bound(dev))
		return true;
	if (!READ_ONCE(dev->driver))
		return false;
	link = kernfs_find_and_get(dev->kobj.sd, "driver");
	kernfs_put(link);
	return link;
}

static struct dma_member *dma_member_add(struct device *dev)
{
	const struct granule_dma_provider *provider = dma_provider_of(dev);
	struct dma_member *m;
	int rc;

	if (!provider)
		return ERR_PTR(-ENODEV);
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return ERR_PTR(-ENOMEM);
	m->dev = dev;
	m->space = dma_space_get(dev, provider);
	if (IS_ERR(m->space)) {
		rc = PTR_ERR(m->space);
		kfree(m);
		return ERR_PTR(rc);
	}
	rc = dma_iova_reserve(m->space, dev);
	if (!rc)
		rc = dma_member_check_trust(m);
	if (rc) {
		dma_space_put(m->space);
		kfree(m);
		return ERR_PTR(rc);
	}
	if (dma_driver_works(dev) && !granule_dma_driver_managed(dev)) {
		m->use = DMA_USE_DIRECT;
		m->space->direct++;
		dev_info(dev,
			 "granule-dma: untranslated until its driver is unbound\n");
	}
	list_add(&m->item, &dma_members);
	return m;
}

struct iommu_domain *granule_dma_domain(struct device *dev)
{
	struct iommu_domain *domain;
	struct dma_member *m;

	mutex_lock(&granule_dma_lock);
	m = dma_member_find(dev) ?: dma_member_add(dev);
	if (IS_ERR(m))
		domain = ERR_CAST(m);
	else
		domain = m->space->direct ? NULL : m->space->domain;
	mutex_unlock(&granule_dma_lock);
	return domain;
}
EXPORT_SYMBOL_GPL(granule_dma_domain);

/* The space of a device whose driver works by it; NULL: there is none. */
struct dma_space *dma_space_in_use(struct device *dev)
{
	struct dma_member *m = dma_member_find(dev);

	return m && m->use == DMA_USE_TRANSLATED &&
	       get_dma_ops(dev) == &m->space->ops ? m->space : NULL;
}

/* The space of a device, in use or not; NULL: it has left its IOMMU. */
struct dma_space *dma_space_of_member(struct device *dev)
{
	struct dma_member *m = dma_member_find(dev);

	return m ? m->space : NULL;
}

/* A device is no longer used. */
static void dma_member_leave(struct dma_member *m)
{
	struct dma_space *space = m->space;

	lockdep_assert_held(&granule_dma_lock);
	if (m->use == DMA_USE_TRANSLATED) {
		dma_shares_end(space, m->dev);
		if (!--space->users)
			dma_space_clean(space, m->dev);
	}
	if (m->use == DMA_USE_DIRECT)
		space->direct--;
	m->use = DMA_USE_NONE;
}

void granule_dma_remove(struct device *dev)
{
	struct dma_member *m;

	mutex_lock(&granule_dma_lock);
	m = dma_member_find(dev);
	if (m) {
		/* Its driver should be gone; if not, it gets nothing more. */
		if (get_dma_ops(dev) == &m->space->ops)
			set_dma_ops(dev, &dma_refusing_ops);
		/* Memory may be being freed by those that it had. */
		synchronize_rcu();
		dma_member_leave(m);
		dma_buffers_outlive(m->space, dev);
		list_del(&m->item);
		dma_space_put(m->space);
		kfree(m);
	}
	mutex_unlock(&granule_dma_lock);
}
EXPORT_SYMBOL_GPL(granule_dma_remove);

/* --- drivers come and go --- */

static const struct granule_dma_provider *
dma_provider_find(struct device *dev)
{
	const struct granule_dma_provider *provider;

	mutex_lock(&granule_dma_lock);
	provider = dma_provider_of(dev);
	mutex_unlock(&granule_dma_lock);
	return provider;
}

/* Move every device of a space to where it belongs now. */
static void dma_settle_all(const struct granule_dma_provider *provider,
			   struct dma_space *space)
{
	struct dma_member *m;

	mutex_lock(&granule_dma_lock);
	list_for_each_entry(m, &dma_members, item)
		if (m->space == space)
			m->unsettled = true;
again:
	list_for_each_entry(m, &dma_members, item) {
		struct device *dev = m->dev;

		if (!m->unsettled || m->space != space)
			continue;
		m->unsettled = false;
		get_device(dev);
		mutex_unlock(&granule_dma_lock);
		provider->settle(dev);
		put_device(dev);
		mutex_lock(&granule_dma_lock);
		goto again;
	}
	mutex_unlock(&granule_dma_lock);
}

/* A driver is about to probe: what will its DMA API be? */
static const struct dma_map_ops *dma_member_enter(struct device *dev)
{
	const struct dma_map_ops *ops = &dma_refusing_ops;
	struct dma_member *m;

	mutex_lock(&granule_dma_lock);
	m = dma_member_find(dev);
	if (!m || m->use != DMA_USE_NONE) {
		dev_err(dev, "granule-dma: no address space for it: its driver cannot do DMA\n");
	} else if (!m->space->direct) {
		m->use = DMA_USE_TRANSLATED;
		m->space->users++;
		ops = &m->space->ops;
		if (m->space->untrusted)
			dma_bounce_fill_pool(m->space);
	} else if (!dma_untrusted(dev, m->space->provider)) {
		m->use = DMA_USE_DIRECT;
		m->space->direct++;
		ops = NULL;
		dev_info(dev, "granule-dma: untranslated, as are others of its group\n");
	}
	mutex_unlock(&granule_dma_lock);
	return ops;
}

/* There is no way for a module to flush caches on every architecture. */
static bool dma_coherent(struct device *dev)
{
	if (dev_is_dma_coherent(dev))
		return true;
	dev_err(dev, "granule-dma: not cache-coherent: its driver cannot do DMA\n");
	return false;
}

/*
 * The driver is gone, and so is all that it left to devres. The operations
 * stay until another driver binds: some free memory later still (nvme, when
 * the last file on the disk is closed).
 */
static void dma_driver_left(void *data)
{
	struct device *dev = data;
	struct dma_member *m;

	mutex_lock(&granule_dma_lock);
	m = dma_member_find(dev);
	if (m && m->use == DMA_USE_TRANSLATED)
		dma_member_leave(m);
	mutex_unlock(&granule_dma_lock);
	module_put(THIS_MODULE);
}

static void dma_driver_binds(struct device *dev)
{
	const struct granule_dma_provider *provider = dma_provider_find(dev);
	const struct dma_map_ops *ops = &dma_refusing_ops;

	if (!provider && get_dma_ops(dev) == &dma_refusing_ops)
		set_dma_ops(dev, NULL);
	if (!provider || granule_dma_driver_managed(dev))
		return;
	/*
	 * The operations have to stay until devres has freed what the driver
	 * got by them, after a failed probe as well. No notification comes
	 * that late; but what is first in devres is released last.
	 */
	__module_get(THIS_MODULE);
	if (devm_add_action(dev, dma_driver_left, dev)) {
		module_put(THIS_MODULE);
		set_dma_ops(dev, &dma_refusing_ops);
		return;
	}
	/* Makes it a member if memory was short when it appeared. */
	if (!provider->settle(dev) && dma_coherent(dev))
		ops = dma_member_enter(dev);
	set_dma_ops(dev, ops);
	/* Has the kernel look at them: does anything need synchronising? */
	if (ops)
		dma_set_mask(dev, dma_get_mask(dev));
}

/*
 * A driver has let go of its device, or will not have it. What is untranslated
 * has no operations to lose: it may be translated from now on.
 */
static void dma_driver_gone(struct device *dev)
{
	const struct granule_dma_provider *provider = NULL;
	struct dma_space *space = NULL;
	struct dma_member *m;

	mutex_lock(&granule_dma_lock);
	m = dma_member_find(dev);
	/* Taken away before that by some kernels: see dma_driver_binds(). */
	if (m && m->use == DMA_USE_NONE && !get_dma_ops(dev))
		set_dma_ops(dev, &m->space->ops);
	if (m && m->use == DMA_USE_DIRECT) {
		dma_member_leave(m);
		if (!m->space->direct) {
			space = m->space;
			provider = space->provider;
		}
	}
	mutex_unlock(&granule_dma_lock);
	if (space)
		dma_settle_all(provider, space);
}

static int dma_bus_notify(struct notifier_block *nb, unsigned long action,
			  void *data)
{
	switch (action) {
	case BUS_NOTIFY_BIND_DRIVER:
		dma_driver_binds(data);
		break;
	case BUS_NOTIFY_UNBOUND_DRIVER:
	case BUS_NOTIFY_DRIVER_NOT_BOUND:
		dma_driver_gone(data);
		break;
	}
	return NOTIFY_OK;
}

/* A notifier block can be in one chain only. */
static struct notifier_block dma_pci_nb = { .notifier_call = dma_bus_notify };
static struct notifier_block dma_platform_nb = {
	.notifier_call = dma_bus_notify,
};

int __init dma_members_init(void)
{
	int rc;

	rc = bus_register_notifier(&pci_bus_type, &dma_pci_nb);
	if (rc)
		return rc;
	rc = bus_register_notifier(&platform_bus_type, &dma_platform_nb);
	if (rc)
		bus_unregister_notifier(&pci_bus_type, &dma_pci_nb);
	return rc;
}

/* No driver has our operations now, and no device may keep them. */
static int dma_forget_ops(struct device *dev, void *unused)
{
	if (get_dma_ops(dev) == &dma_refusing_ops)
		set_dma_ops(dev, NULL);
	return 0;
}

void dma_members_exit(void)
{
	bus_unregister_notifier(&platform_bus_type, &dma_platform_nb);
	bus_unregister_notifier(&pci_bus_type, &dma_pci_nb);
	bus_for_each_dev(&pci_bus_type, NULL, NULL, dma_forget_ops);
	bus_for_each_dev(&platform_bus_type, NULL, NULL, dma_forget_ops);
}
