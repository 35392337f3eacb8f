// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts of domains: what one IOMMU knows of a domain, and how several of them
 * are kept in step.
 *
 * A mapping is told to all parts that have an endpoint; when one refuses, those
 * that have it forget it again before anybody hears of the error.
 *
 * Unmapping cannot fail for whoever asks: the memory is somebody else's then.
 * When an IOMMU refuses, its endpoints are blocked before it is said that it is
 * done, and stay blocked until they are attached anew. An IOMMU that is cut off
 * so, or broken, is left out, unless it is the only one: then nothing can be
 * mapped. What is behind a broken one can be given or denied nothing any more.
 */
#include <linux/slab.h>

#include "private.h"

/* Requests of a replay that are sent without letting go of the locks. */
#define VIOMMU_REPLAY_CHUNK 64

/* --- coming and going --- */

/* A part without endpoints. Return: 0, -ENOMEM, -ENOSPC. */
int viommu_part_add(struct viommu_domain *domain, struct viommu *viommu)
{
	struct viommu_part *part = kzalloc(sizeof(*part), GFP_KERNEL);
	unsigned long irqs;
	int id;

	if (!part)
		return -ENOMEM;
	id = ida_alloc_range(&viommu->domain_ids, viommu->first_domain,
			     viommu->last_domain, GFP_KERNEL);
	if (id < 0) {
		kfree(part);
		return id;
	}
	kref_get(&viommu->ref);
	part->viommu = viommu;
	part->domain = domain;
	part->id = id;
	spin_lock_irqsave(&domain->lock, irqs);
	/* Last: see viommu_dma_sync(). */
	list_add_tail(&part->item, &domain->parts);
	spin_unlock_irqrestore(&domain->lock, irqs);
	return 0;
}

/* It is in no list, has no endpoints, and waits for no answer. */
void viommu_part_free(struct viommu_part *part)
{
	ida_free(&part->viommu->domain_ids, part->id);
	viommu_put(part->viommu);
	kfree(part);
}

/* It has no endpoints: it was retired, and all is answered, or never used. */
void viommu_part_drop(struct viommu_part *part)
{
	struct viommu_domain *domain = part->domain;
	unsigned long irqs;

	lockdep_assert_held(&viommu_lock);
	spin_lock_irqsave(&domain->lock, irqs);
	list_del(&part->item);
	spin_unlock_irqrestore(&domain->lock, irqs);
	viommu_part_free(part);
}

/* From now on the domain can do what this IOMMU can. */
void viommu_domain_settle(struct viommu_domain *domain, struct viommu *viommu)
{
	struct iommu_domain *d = &domain->domain;

	if (domain->settled)
		return;
	d->pgsize_bitmap = viommu->pgsizes;
	d->geometry.aperture_start = viommu->first;
	d->geometry.aperture_end = viommu->last;
	d->geometry.force_aperture = true;
	domain->settled = true;
}

/* Can this IOMMU do what the domain says that it can? */
static bool viommu_domain_fits(const struct viommu_domain *domain,
			       const struct viommu *viommu)
{
	const struct iommu_domain *d = &domain->domain;

	if (!domain->settled)
		return true;
	/* Of larger pages it has all multiples. */
	if (__ffs64(viommu->pgsizes) > __ffs64(d->pgsize_bitmap)) {
		dev_dbg(&viommu->vdev->dev,
			"cannot join a domain: its granule is %#llx, the domain's %#lx\n",
			1ULL << __ffs64(viommu->pgsizes),
			d->pgsize_bitmap & -d->pgsize_bitmap);
		return false;
	}
	if (viommu->first > d->geometry.aperture_start ||
	    viommu->last < d->geometry.aperture_end) {
		dev_dbg(&viommu->vdev->dev,
			"cannot join a domain: its IOVAs are %#llx-%#llx, the domain's %#llx-%#llx\n",
			viommu->first, viommu->last,
			(u64)d->geometry.aperture_start,
			(u64)d->geometry.aperture_end);
		return false;
	}
	return true;
}

/**
 * viommu_domain_join - the part of a domain that an IOMMU has
 * @domain: the domain
 * @viommu: the IOMMU; gets a part if it has none
 * Return: the part; ERR_PTR: -EINVAL, its pages are larger or its IOVAs fewer
 * than what the domain promises; -ENOMEM, -ENOSPC.
 */
struct viommu_part *viommu_domain_join(struct viommu_domain *domain,
				       struct viommu *viommu)
{
	struct viommu_part *part, *next;
	int rc;

	lockdep_assert_held(&viommu_lock);
	list_for_each_entry_safe(part, next, &domain->parts, item) {
		if (part->viommu == viommu)
			return part;
		/* Those that are gone would but gather. */
		if (part->viommu->leaving && !part->endpoints)
			viommu_part_drop(part);
	}
	if (!viommu_domain_fits(domain, viommu))
		return ERR_PTR(-EINVAL);
	rc = viommu_part_add(domain, viommu);
	if (rc)
		return ERR_PTR(rc);
	return list_last_entry(&domain->parts, struct viommu_part, item);
}

/* --- one part --- */

/* Does the device have to know what happens at @iova? */
static bool viommu_part_sent(const struct viommu_part *part, u64 iova)
{
	return part->live || iova < part->sent;
}

/* Put a MAP request into the ring; @report: tell the mapping of the answer. */
static int viommu_part_send(struct viommu_part *part, struct viommu_mapping *m,
			    struct granule_dma_batch *batch, bool report)
{
	struct virtio_iommu_req_map req = {
		.head.type = VIRTIO_IOMMU_T_MAP,
		.domain = cpu_to_le32(part->id),
		.virt_start = cpu_to_le64(m->first),
		.virt_end = cpu_to_le64(m->last),
		.phys_start = cpu_to_le64(m->paddr),
		.flags = cpu_to_le32(m->flags),
	};
	int rc;

	if (m->flags & ~part->viommu->map_flags)
		return -EINVAL;
	if (report)
		refcount_inc(&m->users);
	rc = viommu_add_map(part->viommu, batch, part->domain,
			    report ? m : NULL, &req);
	if (rc && report)
		refcount_dec(&m->users);
	return rc;
}

/*
 * @batch: what the request is counted in; NULL: part->pending, for the IOMMU
 * core. A batch can count requests to one IOMMU only, so all but the first
 * part's are waited for here.
 */
static int viommu_part_map(struct viommu_part *part, struct viommu_mapping *m,
			   struct granule_dma_batch *batch)
{
	struct viommu *viommu = part->viommu;
	struct granule_dma_batch own = {};
	int rc;

	spin_lock(&viommu->lock);
	if (!batch) {
		rc = viommu_part_send(part, m, &part->pending, true);
	} else if (list_is_first(&part->item, &part->domain->parts)) {
		rc = viommu_part_send(part, m, batch, false);
	} else {
		rc = viommu_part_send(part, m, &own, false);
		viommu_wait(viommu, &own);
		rc = rc ?: own.error;
	}
	/* For viommu_parts_map(): that is no answer. */
	if (rc && viommu->broken)
		rc = -EPIPE;
	spin_unlock(&viommu->lock);
	return rc;
}

/*
 * The device did not unmap what it had to. Whoever is told that it has will use
 * the memory for something else, so no endpoint may be left there. Others that
 * are on their way to it are turned back: see viommu_id_attach().
 */
static void viommu_part_cut(struct viommu_part *part)
{
	struct viommu *viommu = part->viommu;
	struct viommu_part *at;
	unsigned long id;

	lockdep_assert_held(&part->domain->lock);
	lockdep_assert_held(&viommu->lock);
	part->live = false;
	part->sent = 0;
	part->cut = true;
	xa_for_each(&viommu->attached, id, at)
		if (at == part && viommu_ask_attach(viommu, id,
						    &viommu->blocked))
			viommu->lost_uncut = true;
}

/* @wait: until the device has forgotten it; else count it as the core's. */
static void viommu_part_unmap(struct viommu_part *part, u64 first, u64 last,
			      bool wait)
{
	struct viommu *viommu = part->viommu;
	struct granule_dma_batch own = {};
	int rc;

	spin_lock(&viommu->lock);
	rc = viommu_add_unmap(viommu, wait ? &own : &part->unmaps, part->id,
			      first, last);
	if (wait)
		viommu_wait(viommu, &own);
	if (rc || own.error)
		viommu_part_cut(part);
	spin_unlock(&viommu->lock);
}

/**
 * viommu_part_replay - tell the device all mappings of a domain
 * @part: just got its first endpoint
 *
 * Mappings may come and go meanwhile: what is below part->sent the device
 * knows, whatever is above has its turn yet.
 *
 * Return: 0 or the device's first error; then viommu_part_retire() it.
 */
int viommu_part_replay(struct viommu_part *part)
{
	struct viommu_domain *domain = part->domain;
	struct granule_dma_batch batch = {};
	struct viommu_mapping *m;
	unsigned long irqs;
	unsigned int n;
	int rc = 0;

	if (!domain)
		return 0;
	do {
		spin_lock_irqsave(&domain->lock, irqs);
		spin_lock(&part->viommu->lock);
		m = viommu_mapping_from(domain, part->sent);
		for (n = 0; m && n < VIOMMU_REPLAY_CHUNK && !rc; n++) {
			/* One with an error is about to be unmapped. */
			if (!READ_ONCE(m->error))
				rc = viommu_part_send(part, m, &batch, false);
			part->sent = m->last + 1;
			m = viommu_mapping_next(m);
		}
		if (!m && !rc)
			part->live = true;
		viommu_wait(part->viommu, &batch);
		spin_unlock(&part->viommu->lock);
		spin_unlock_irqrestore(&domain->lock, irqs);
		rc = rc ?: batch.error;
		cond_resched();
	} while (m && !rc);
	return rc;
}

/* It has lost its last endpoint, or is about to: the device forgets. */
void viommu_part_retire(struct viommu_part *part)
{
	struct viommu_domain *domain = part->domain;
	unsigned long irqs;

	if (domain) {
		spin_lock_irqsave(&domain->lock, irqs);
		part->live = false;
		part->sent = 0;
		spin_unlock_irqrestore(&domain->lock, irqs);
	}
	/* Nothing of it may reach the device after what comes next. */
	viommu_drain(part->viommu);
	/* What it did not unmap went with its last endpoint. */
	spin_lock_irqsave(&part->viommu->lock, irqs);
	part->unmaps.error = 0;
	WRITE_ONCE(part->cut, false);
	spin_unlock_irqrestore(&part->viommu->lock, irqs);
}

/* --- all parts --- */

/**
 * viommu_parts_map - tell all parts of a mapping, or none
 * @domain: its lock is held
 * @m: in its tree; flags are those of its IOMMUs
 * @batch: of granule-dma; NULL: the IOMMU core's, whose errors @m gets
 * Return: 0 or the first error. The devices' answers may be under way.
 */
int viommu_parts_map(struct viommu_domain *domain, struct viommu_mapping *m,
		     struct granule_dma_batch *batch)
{
	bool reached = false, lost = false;
	struct viommu_part *part;
	int rc = 0;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry(part, &domain->parts, item) {
		if (READ_ONCE(part->cut))
			lost = true;
		if (!viommu_part_sent(part, m->first))
			continue;
		rc = viommu_part_map(part, m, batch);
		if (rc == -EPIPE) {
			lost = true;
			rc = 0;
			continue;
		}
		if (rc)
			goto err_undo;
		reached = true;
	}
	return lost && !reached ? -EIO : 0;

err_undo:
	list_for_each_entry_continue_reverse(part, &domain->parts, item)
		if (viommu_part_sent(part, m->first))
			viommu_part_unmap(part, m->first, m->last, true);
	return rc;
}

/* Have all parts forget @first..@last, which is whole mappings. */
void viommu_parts_unmap(struct viommu_domain *domain, u64 first, u64 last,
			bool wait)
{
	struct viommu_part *part;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry(part, &domain->parts, item)
		if (viommu_part_sent(part, first))
			viommu_part_unmap(part, first, last, wait);
}

/* Until all that the IOMMU core asked for is answered. */
void viommu_parts_wait(struct viommu_domain *domain)
{
	struct viommu_part *part;

	lockdep_assert_held(&domain->lock);
	list_for_each_entry(part, &domain->parts, item) {
		spin_lock(&part->viommu->lock);
		viommu_wait(part->viommu, &part->pending);
		viommu_wait(part->viommu, &part->unmaps);
		if (part->unmaps.error)
			viommu_part_cut(part);
		part->unmaps.error = 0;
		spin_unlock(&part->viommu->lock);
	}
}
