// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is attached where: a user's paging domain, no DMA at all, or the default
 * domain, of which granule-dma decides what it means.
 */
#include <linux/device.h>
#include <linux/module.h>

#include "private.h"

static void dart_block(struct dart_endpoint *ep)
{
	unsigned int i;

	for (i = 0; i < ep->nr; i++)
		dart_hw_block(ep->at[i].hw, &ep->at[i].streams);
}

/* Have @ep leave the streams alone that a device of its group needs. */
static void dart_spare_shared(struct dart_endpoint *ep)
{
	const struct dart_endpoint *other;
	unsigned int i, j, n;

	list_for_each_entry(other, &dart_endpoints, item) {
		if (other == ep || other->place == DART_BLOCKED)
			continue;
		for (i = 0; i < ep->nr; i++)
			for (j = 0; j < other->nr; j++)
				for (n = 0; n < DART_STREAM_WORDS &&
				     ep->at[i].hw == other->at[j].hw; n++)
					ep->at[i].streams.word[n] &=
						~other->at[j].streams.word[n];
	}
}

/* From wherever it is to blocked. */
void dart_leave(struct dart_endpoint *ep)
{
	struct dart_streams all[DART_MAX_PER_DEVICE];
	struct dart_paging *p = ep->paging;
	unsigned long irqs;
	unsigned int i;

	lockdep_assert_held(&dart_lock);
	for (i = 0; i < ep->nr; i++)
		all[i] = ep->at[i].streams;
	dart_spare_shared(ep);
	if (ep->place == DART_TRANSLATED) {
		spin_lock_irqsave(&p->lock, irqs);
		dart_domain_detach(&p->core, ep->at, ep->nr);
		spin_unlock_irqrestore(&p->lock, irqs);
		p->endpoints--;
	} else {
		dart_block(ep);
	}
	for (i = 0; i < ep->nr; i++)
		ep->at[i].streams = all[i];
	ep->paging = NULL;
	ep->place = DART_BLOCKED;
}

static int dart_translate(struct dart_endpoint *ep, struct dart_paging *p)
{
	unsigned long irqs;
	int rc;

	spin_lock_irqsave(&p->lock, irqs);
	rc = dart_domain_attach(&p->core, ep->at, ep->nr,
				(__force unsigned int)GFP_ATOMIC);
	spin_unlock_irqrestore(&p->lock, irqs);
	if (rc)
		return rc;
	p->endpoints++;
	p->used = true;
	ep->paging = p;
	ep->place = DART_TRANSLATED;
	return 0;
}

static int dart_bypass(struct dart_endpoint *ep)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < ep->nr && !rc; i++)
		rc = dart_hw_bypass(ep->at[i].hw, &ep->at[i].streams);
	if (rc)
		dart_block(ep);
	else
		ep->place = DART_BYPASSED;
	return rc;
}

/* After an error it is where it was, or blocked if that fails as well. */
static int dart_move(struct dart_endpoint *ep, enum dart_place place,
		     struct dart_paging *p)
{
	struct dart_paging *old = ep->paging;
	enum dart_place was = ep->place;
	int rc = 0, back = 0;

	lockdep_assert_held(&dart_lock);
	if (was == place && old == p)
		return 0;
	if (ep->crippled && place != DART_BLOCKED)
		return -ENODEV;
	dart_leave(ep);
	if (place == DART_TRANSLATED)
		rc = dart_translate(ep, p);
	else if (place == DART_BYPASSED)
		rc = dart_bypass(ep);
	if (!rc)
		return 0;
	if (was == DART_TRANSLATED)
		back = dart_translate(ep, old);
	else if (was == DART_BYPASSED)
		back = dart_bypass(ep);
	if (back)
		dev_err(ep->dev,
			"granule-dart: could not be moved (%d), nor back (%d): blocked\n",
			rc, back);
	return rc;
}

/* --- the default domain --- */

static int dart_place_default(struct dart_endpoint *ep)
{
	struct iommu_domain *d = granule_dma_domain(ep->dev);
	int rc;

	if (IS_ERR(d))
		rc = PTR_ERR(d);
	else if (d)
		rc = dart_move(ep, DART_TRANSLATED, to_dart_paging(d));
	else if (granule_dma_untrusted(ep->dev))
		rc = -EPERM;
	else
		rc = dart_move(ep, DART_BYPASSED, NULL);
	if (rc) {
		dev_err(ep->dev,
			"granule-dart: its DMA cannot be %s (%d): blocked\n",
			d ? "translated" : "let pass untranslated", rc);
		dart_move(ep, DART_BLOCKED, NULL);
	}
	return rc;
}

/* See granule_dma_provider. */
int dart_settle(struct device *dev)
{
	struct dart_endpoint *ep;

	guard(mutex)(&dart_lock);
	ep = dart_endpoint_of(dev);
	if (!ep || ep->dart[0]->leaving)
		return -ENODEV;
	return ep->in_default ? dart_place_default(ep) : 0;
}

/* --- what the IOMMU core attaches --- */

static int dart_attach_default(struct iommu_domain *d, struct device *dev)
{
	struct dart_endpoint *ep;

	guard(mutex)(&dart_lock);
	ep = dart_endpoint_of(dev);
	if (!ep)
		return -ENODEV;
	ep->in_default = true;
	/* Failing would make the core give up the group, or all groups. */
	dart_place_default(ep);
	return 0;
}

static int dart_attach_blocked(struct iommu_domain *d, struct device *dev)
{
	struct dart_endpoint *ep;

	guard(mutex)(&dart_lock);
	ep = dart_endpoint_of(dev);
	if (!ep)
		return -ENODEV;
	ep->in_default = false;
	return dart_move(ep, DART_BLOCKED, NULL);
}

int dart_attach_paging(struct iommu_domain *d, struct device *dev)
{
	struct dart_paging *p = to_dart_paging(d);
	struct dart_endpoint *ep;
	unsigned long granule = p->domain.pgsize_bitmap;
	int rc;

	/* The core's own DMA API would end in a BUG() for large pages. */
	if (d->type != IOMMU_DOMAIN_UNMANAGED)
		return -EINVAL;

	guard(mutex)(&dart_lock);
	ep = dart_endpoint_of(dev);
	if (!ep)
		return -ENODEV;
	if (granule > PAGE_SIZE && !p->large_pages) {
		/* Whoever has a group file can repeat it. */
		dev_err_ratelimited(dev,
				    "granule-dart: not attached: the IOMMU's page is %#lx, the CPU's %#lx, and the domain's user did not say that it knows; use Granule's /dev/iommu instead of VFIO type1\n",
				    granule, PAGE_SIZE);
		return -EINVAL;
	}
	rc = dart_move(ep, DART_TRANSLATED, p);
	if (!rc)
		ep->in_default = false;
	return rc;
}

/* Nothing but a choice: one of each is enough for all devices. */
static void dart_token_free(struct iommu_domain *d)
{
	/* What it points to is in here. */
	module_put(THIS_MODULE);
}

static const struct iommu_domain_ops dart_default_ops = {
	.attach_dev = dart_attach_default,
	.free = dart_token_free,
};

static const struct iommu_domain_ops dart_blocked_ops = {
	.attach_dev = dart_attach_blocked,
	.free = dart_token_free,
};

static struct iommu_domain dart_default_token = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &dart_default_ops,
};

static struct iommu_domain dart_blocked_token = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &dart_blocked_ops,
};

/* NULL: no such type. */
struct iommu_domain *dart_token_alloc(unsigned int type)
{
	struct iommu_domain *token;

	if (type == IOMMU_DOMAIN_IDENTITY)
		token = &dart_default_token;
	else if (type == IOMMU_DOMAIN_BLOCKED)
		token = &dart_blocked_token;
	else
		return NULL;
	return try_module_get(THIS_MODULE) ? token : NULL;
}
