// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is attached where.
 *
 * The IOMMU core chooses between a user's paging domain, no DMA at all, and
 * the default domain, which to the core means "untranslated". What it really
 * means is granule-dma's decision, and changes with the device's driver.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "private.h"

/*
 * Devices behind a bridge may share an ID, so the device's state is kept per
 * ID. Attaching one again to where it is would have the device forget the
 * domain in between.
 */
static int viommu_id_attach(struct viommu *viommu, u32 id,
			    struct viommu_part *to)
{
	struct viommu_part *from = xa_load(&viommu->attached, id);
	unsigned long irqs;
	int rc;

	if (from == to)
		return 0;
	/* So that noting it cannot fail. */
	rc = xa_reserve_irq(&viommu->attached, id, GFP_KERNEL);
	if (rc)
		return rc;
	/* For viommu_part_cut(), it is noted while nobody else can ask. */
	spin_lock_irqsave(&viommu->lock, irqs);
	rc = viommu_ask_attach(viommu, id, to->cut ? &viommu->blocked : to);
	if (!rc && to->cut)
		rc = -EIO;
	/* After an error it may be anywhere but in the domain that it was in. */
	if (rc)
		xa_erase(&viommu->attached, id);
	else
		xa_store(&viommu->attached, id, to, GFP_ATOMIC);
	spin_unlock_irqrestore(&viommu->lock, irqs);
	/* Until here, what was unmapped had to be unmapped in the device. */
	if (from && !--from->endpoints)
		viommu_part_retire(from);
	if (rc)
		return rc;
	return to->endpoints++ ? 0 : viommu_part_replay(to);
}

/*
 * An endpoint that is attached nowhere may bypass the IOMMU, so one that we
 * let go of is left where nothing is mapped. The device may be gone already.
 */
static void viommu_id_abandon(struct viommu *viommu, u32 id)
{
	struct viommu_part *from = xa_load(&viommu->attached, id);
	unsigned long irqs;
	int rc;

	if (!from)
		return;
	spin_lock_irqsave(&viommu->lock, irqs);
	rc = viommu_ask_attach(viommu, id, &viommu->blocked);
	xa_erase(&viommu->attached, id);
	spin_unlock_irqrestore(&viommu->lock, irqs);
	if (rc)
		dev_dbg(&viommu->vdev->dev,
			"endpoint %#x is not left blocked (%d)\n", id, rc);
	if (!--from->endpoints)
		viommu_part_retire(from);
}

/* Does an endpoint other than @ep have this ID, and is it attached? */
static bool viommu_id_shared(struct viommu_endpoint *ep, u32 id)
{
	struct viommu_endpoint *other;
	unsigned int i;

	list_for_each_entry(other, &ep->viommu->endpoints, item) {
		if (other == ep || !other->part)
			continue;
		for (i = 0; i < other->nr_ids; i++)
			if (other->ids[i] == id)
				return true;
	}
	return false;
}

/* An ID of a bridge's aliases need not exist. Some ID has to. */
static int viommu_enter(struct viommu_endpoint *ep, struct viommu_part *part)
{
	unsigned int i, known = 0;
	int rc;

	for (i = 0; i < ep->nr_ids; i++) {
		rc = viommu_id_attach(ep->viommu, ep->ids[i], part);
		if (!rc)
			known++;
		else if (rc != -ENOENT)
			return rc;
	}
	if (!known)
		return -ENOENT;
	ep->part = part;
	return 0;
}

static void viommu_leave(struct viommu_endpoint *ep)
{
	unsigned int i;

	ep->part = NULL;
	for (i = 0; i < ep->nr_ids; i++)
		if (!viommu_id_shared(ep, ep->ids[i]))
			viommu_id_abandon(ep->viommu, ep->ids[i]);
}

/**
 * viommu_attach - move an endpoint
 * @ep: the endpoint
 * @part: of its IOMMU; if that was cut off, and the endpoint is the only one
 * there, it is there again
 * Return: 0; or the device's error, the endpoint being where it was, or
 * blocked when it could not be moved back, which is logged.
 */
int viommu_attach(struct viommu_endpoint *ep, struct viommu_part *part)
{
	struct viommu_part *old = ep->part;
	struct viommu_part *blocked = &ep->viommu->blocked;
	int rc, back;

	lockdep_assert_held(&viommu_lock);
	if (part == old) {
		if (!READ_ONCE(part->cut))
			return 0;
		rc = viommu_enter(ep, blocked);
		if (rc)
			return rc;
		old = blocked;
	}
	rc = viommu_enter(ep, part);
	if (!rc)
		return 0;
	if (!old) {
		viommu_leave(ep);
		return rc;
	}
	back = viommu_enter(ep, old);
	if (!back)
		return rc;
	if (old != blocked && part != blocked && !viommu_enter(ep, blocked)) {
		dev_err(ep->dev,
			"virtio-iommu: could not be moved to domain %u (%d) nor back to domain %u (%d): blocked\n",
			part->id, rc, old->id, back);
	} else {
		viommu_leave(ep);
		dev_err(ep->dev,
			"virtio-iommu: could not be moved to domain %u (%d) nor back to domain %u (%d) nor blocked\n",
			part->id, rc, old->id, back);
	}
	return rc;
}

void viommu_detach(struct viommu_endpoint *ep)
{
	lockdep_assert_held(&viommu_lock);
	if (ep->part)
		viommu_leave(ep);
}

/*
 * Move an endpoint to a domain, which its IOMMU may not know yet. When that
 * fails the domain is as it was.
 */
static int viommu_attach_domain(struct viommu_endpoint *ep,
				struct viommu_domain *domain)
{
	struct viommu_part *part = viommu_domain_join(domain, ep->viommu);
	int rc;

	if (IS_ERR(part))
		return PTR_ERR(part);
	rc = viommu_attach(ep, part);
	if (!rc)
		viommu_domain_settle(domain, ep->viommu);
	else if (!part->endpoints)
		viommu_part_drop(part);
	return rc;
}

/* --- the default domain --- */

/* The aperture 1:1, without what is reserved, in whole granules. */
static int viommu_identity_fill(struct viommu_endpoint *ep,
				struct viommu_domain *domain)
{
	struct viommu *viommu = ep->viommu;
	u64 granule = 1ULL << __ffs64(viommu->pgsizes);
	u64 first = ALIGN(viommu->first, granule);
	/* One less than a multiple, which may be 2^64. */
	u64 last = ALIGN_DOWN(viommu->last + 1, granule) - 1;
	struct iommu_resv_region *region;
	u64 hole, after;
	int rc;

	/* They are sorted; some may overlap. */
	list_for_each_entry(region, &ep->reserved, list) {
		if (region->type == IOMMU_RESV_SW_MSI)
			continue;
		hole = ALIGN_DOWN(region->start, granule);
		after = ALIGN(region->start + region->length, granule);
		if (hole > last)
			break;
		if (hole > first) {
			rc = viommu_domain_add(domain, first, hole - 1);
			if (rc)
				return rc;
		}
		if (!after || after > last)
			return 0;
		first = max(first, after);
	}
	return first <= last ? viommu_domain_add(domain, first, last) : 0;
}

/* To where memory is what the device says it is. */
static int viommu_attach_untranslated(struct viommu_endpoint *ep)
{
	struct viommu_domain *domain;
	int rc;

	if (ep->viommu->has_bypass)
		return viommu_attach(ep, &ep->viommu->bypass);
	if (!ep->identity) {
		domain = viommu_paging_alloc(ep->viommu);
		if (IS_ERR(domain))
			return PTR_ERR(domain);
		rc = viommu_identity_fill(ep, domain);
		if (rc) {
			viommu_domain_put(domain);
			return rc;
		}
		ep->identity = domain;
	}
	return viommu_attach_domain(ep, ep->identity);
}

static int viommu_attach_chosen(struct viommu_endpoint *ep)
{
	struct iommu_domain *d = granule_dma_domain(ep->dev);

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d)
		return viommu_attach_domain(ep, to_viommu_domain(d));
	if (ep->untrusted || granule_dma_untrusted(ep->dev))
		return -EPERM;
	return viommu_attach_untranslated(ep);
}

/**
 * viommu_place - put an endpoint in what its default domain means now
 * @ep: the endpoint
 * Return: 0; or why it is blocked instead, which is logged.
 */
int viommu_place(struct viommu_endpoint *ep)
{
	int rc;

	lockdep_assert_held(&viommu_lock);
	rc = viommu_attach_chosen(ep);
	if (!rc)
		return 0;
	if (rc == -EPERM)
		dev_err(ep->dev,
			"virtio-iommu: untrusted, but its driver was there before the IOMMU's: DMA is blocked until it is unbound\n");
	else
		dev_err(ep->dev,
			"virtio-iommu: its DMA cannot be translated (%d): blocked\n",
			rc);
	if (viommu_attach(ep, &ep->viommu->blocked)) {
		dev_err(ep->dev, "virtio-iommu: cannot be blocked either\n");
		/* Where it was may be freed when we have returned. */
		viommu_detach(ep);
	}
	return rc;
}

/* See granule_dma_provider. */
int viommu_settle(struct device *dev)
{
	struct viommu_endpoint *ep;

	guard(mutex)(&viommu_lock);
	ep = viommu_endpoint_of(dev);
	if (!ep || ep->viommu->leaving)
		return -ENODEV;
	return ep->in_default ? viommu_place(ep) : 0;
}

/* The device was asleep and has forgotten everything. */
void viommu_reattach_all(struct viommu *viommu)
{
	struct viommu_endpoint *ep;
	struct viommu_part *part;
	unsigned long id;
	int rc;

	lockdep_assert_held(&viommu_lock);
	xa_for_each(&viommu->attached, id, part)
		part->endpoints = 0;
	xa_destroy(&viommu->attached);
	list_for_each_entry(ep, &viommu->endpoints, item) {
		part = ep->part;
		if (!part)
			continue;
		ep->part = NULL;
		rc = viommu_attach(ep, part);
		if (!rc)
			continue;
		dev_err(ep->dev,
			"virtio-iommu: cannot be attached to domain %u again (%d): blocked\n",
			part->id, rc);
		viommu_attach(ep, &viommu->blocked);
	}
}

/* --- what the IOMMU core attaches --- */

static int viommu_attach_default(struct iommu_domain *d, struct device *dev)
{
	struct viommu_endpoint *ep;

	guard(mutex)(&viommu_lock);
	ep = viommu_endpoint_of(dev);
	if (!ep)
		return -ENODEV;
	ep->in_default = true;
	/* Failing would make the core give up the group, or all groups. */
	viommu_place(ep);
	return 0;
}

static int viommu_attach_blocked(struct iommu_domain *d, struct device *dev)
{
	struct viommu_endpoint *ep;
	int rc;

	guard(mutex)(&viommu_lock);
	ep = viommu_endpoint_of(dev);
	if (!ep)
		return -ENODEV;
	rc = viommu_attach(ep, &ep->viommu->blocked);
	if (!rc)
		ep->in_default = false;
	return rc;
}

int viommu_attach_paging(struct iommu_domain *d, struct device *dev)
{
	struct viommu_domain *domain = to_viommu_domain(d);
	struct viommu_endpoint *ep;
	u64 granule;
	int rc;

	/* The core's own DMA API would end in a BUG() for large pages. */
	if (d->type != IOMMU_DOMAIN_UNMANAGED)
		return -EINVAL;

	guard(mutex)(&viommu_lock);
	ep = viommu_endpoint_of(dev);
	if (!ep)
		return -ENODEV;
	granule = 1ULL << __ffs64(ep->viommu->pgsizes);
	if (granule > PAGE_SIZE && !domain->large_pages) {
		/* Whoever has a group file can repeat it. */
		dev_err_ratelimited(dev,
				    "virtio-iommu: not attached: the IOMMU's smallest page is %#llx, the CPU's %#lx, and the domain's user did not say that it knows; use Granule's /dev/iommu instead of VFIO type1\n",
				    granule, PAGE_SIZE);
		return -EINVAL;
	}
	rc = viommu_attach_domain(ep, domain);
	if (rc)
		return rc;
	domain->used = true;
	ep->in_default = false;
	return 0;
}

/*
 * The core's default and blocking domains: nothing but a choice, so one of
 * each is enough for all devices.
 */
static void viommu_token_free(struct iommu_domain *d)
{
	/* What it points to is in here. */
	module_put(THIS_MODULE);
}

static const struct iommu_domain_ops viommu_default_ops = {
	.attach_dev = viommu_attach_default,
	.free = viommu_token_free,
};

static const struct iommu_domain_ops viommu_blocked_ops = {
	.attach_dev = viommu_attach_blocked,
	.free = viommu_token_free,
};

static struct iommu_domain viommu_default_token = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &viommu_default_ops,
};

static struct iommu_domain viommu_blocked_token = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &viommu_blocked_ops,
};

/* NULL: no such type. */
struct iommu_domain *viommu_token_alloc(unsigned int type)
{
	struct iommu_domain *token;

	if (type == IOMMU_DOMAIN_IDENTITY)
		token = &viommu_default_token;
	else if (type == IOMMU_DOMAIN_BLOCKED)
		token = &viommu_blocked_token;
	else
		return NULL;
	return try_module_get(THIS_MODULE) ? token : NULL;
}
