// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists as the real device sees them. What else is checked goes by the record
 * that the IOMMU's driver keeps. Here edu is asked, and so the IOMMU itself: at
 * a few places of a list that is mapped, and at the same places once it is not.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include "list.h"

/*
 * Parts of edu's memory: for the places while they are mapped, for the same
 * when they are not, and for what is not allowed at all.
 */
#define SLOT (EDU_MAX / 16)
#define SLOT_GONE SAMPLE_PLACES
#define SLOT_FORBIDDEN (2 * SAMPLE_PLACES)
/* QEMU tells of a fault every 4 bytes. */
#define DENIED_MAX 64
/* Fewer bytes could be the right ones by chance. */
#define TELLING 9

/* In an entry: at its start, at its end, or between. */
static bool place_pick(struct run *run, struct list *l, struct place *p)
{
	struct item *item = &l->items[random_below(run, l->nr)];
	u64 size = min_t(u64, 1 + random_below(run, SLOT), item->length);
	u64 at = one_in(run, 3) ? 0 : one_in(run, 2) ? item->length - size :
		 random_below(run, item->length - size + 1);

	p->phys = item->phys + at;
	p->dma = item->dma + at;
	p->size = size;
	p->write = writes(l->dir) && (!reads(l->dir) || one_in(run, 2));
	/* QEMU may take what is mapped next for it: docs/granule.md. */
	if (!(~p->dma & (run->t->granule - 1)))
		return false;
	return p->dma + size <= BIT_ULL(40);
}

static int place_try(struct run *run, const struct place *p, unsigned int slot,
		     bool write, u64 size)
{
	return write ? edu_write_from(run->t, p->dma, slot * SLOT, size) :
		       edu_read_to(run->t, p->dma, slot * SLOT, size);
}

/* The IOMMU says that it let nothing through, where that is counted. */
static int place_denied(struct run *run, const struct place *p,
			unsigned int slot, bool write)
{
	u64 size = min_t(u64, p->size, DENIED_MAX);
	s64 before = faults_read(run->t);
	int rc = place_try(run, p, slot, write, size), i;

	if (rc || before < 0)
		return rc;
	/* It does so by an interrupt; a busy host's guest may wait for that. */
	for (i = 0; i < 3000 && faults_read(run->t) == before; i++)
		msleep(20);
	return i < 3000 ? 0 :
	       wrong(run, "the device's %s at %#llx+%#llx is not denied",
		     write ? "write" : "read", (u64)p->dma, size);
}

/* Did a read that was denied bring what is there? */
static int place_unread(struct run *run, const struct place *p, const u8 *got)
{
	u64 size = min_t(u64, p->size, DENIED_MAX);

	if (size < TELLING || content_diff(got, KEY_POOL, p->phys, size) >= 0)
		return 0;
	return wrong(run, "the device can read at %#llx+%#llx", (u64)p->dma,
		     size);
}

/* As the device; of the view it is known by now that it is the right one. */
static int place_restore(struct run *run, const struct place *p)
{
	u64 at, n;

	for (at = 0; at < p->size; at += n) {
		void *to = view_at(run->t, p->dma + at);

		n = bytes_to_border(run->t, p->dma + at, p->size - at);
		if (!to)
			return wrong(run, "%#llx has gone", (u64)p->dma + at);
		content_put(to, KEY_POOL, p->phys + at, n);
	}
	return 0;
}

/* What the list's direction does not allow. */
static int sample_forbidden(struct run *run, struct list *l,
			    const struct place *p)
{
	u64 size = min_t(u64, p->size, DENIED_MAX);
	int rc;

	/* Behind QEMU's VT-d, what may be written can be read. */
	if (l->dir == DMA_BIDIRECTIONAL || !run->t->ours)
		return 0;
	rc = place_denied(run, p, SLOT_FORBIDDEN, !p->write);
	if (rc || p->write)
		return rc;
	if (view_check(run, p->dma, p->phys, size, KEY_POOL, VIEW_PARTIAL))
		return wrong(run, "the device can write at %#llx+%#llx",
			     (u64)p->dma, size);
	return 0;
}

static int sample_written(struct run *run, struct list *l,
			  const struct sample *s)
{
	unsigned int i;
	int rc = 0;

	list_sync(run, l, true);
	for (i = 0; i < s->nr && !rc; i++)
		if (s->places[i].write)
			rc = check_device(run, s->places[i].dma,
					  s->places[i].phys, s->places[i].size);
	for (i = 0; i < s->nr && !rc; i++)
		if (s->places[i].write)
			rc = place_restore(run, &s->places[i]);
	list_sync(run, l, true);
	return rc;
}

static int sample_read(struct run *run, struct list *l, const struct sample *s,
		       u8 *buf)
{
	unsigned int i;
	int rc = edu_get(run->t, buf, EDU_MAX);

	for (i = 0; i < s->nr && !rc; i++) {
		const struct place *p = &s->places[i];

		if (!p->write &&
		    content_diff(buf + i * SLOT, KEY_POOL, p->phys, p->size) >= 0)
			rc = wrong(run, "the device reads something else at %#llx+%#llx",
				   (u64)p->dma, p->size);
	}
	if (!rc && l->dir == DMA_FROM_DEVICE && run->t->ours)
		rc = place_unread(run, &s->places[0],
				  buf + SLOT_FORBIDDEN * SLOT);
	return rc;
}

int sample_mapped(struct run *run, struct list *l, struct sample *s)
{
	unsigned int i;
	u8 *buf;
	int rc;

	s->nr = 0;
	for (i = 0; i < 4 * SAMPLE_PLACES && s->nr < SAMPLE_PLACES; i++)
		s->nr += place_pick(run, l, &s->places[s->nr]);
	if (!s->nr)
		return 0;
	buf = kzalloc(EDU_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < s->nr; i++) {
		struct place *p = &s->places[i];

		content_put(buf + i * SLOT, KEY_DEVICE, p->phys, SLOT);
		content_put(buf + (SLOT_GONE + i) * SLOT, KEY_DEVICE, p->phys,
			    SLOT);
	}
	content_put(buf + SLOT_FORBIDDEN * SLOT, KEY_DEVICE, s->places[0].phys,
		    SLOT);
	rc = edu_set(run->t, buf, EDU_MAX);
	/* A mapping that is only bounced at a sync has old content till then. */
	if (reads(l->dir))
		list_sync(run, l, false);
	rc = rc ?: sample_forbidden(run, l, &s->places[0]);
	/* Reads come first: places may overlap. */
	for (i = 0; i < s->nr && !rc; i++)
		if (!s->places[i].write)
			rc = place_try(run, &s->places[i], i, false,
				       s->places[i].size);
	for (i = 0; i < s->nr && !rc; i++)
		if (s->places[i].write)
			rc = place_try(run, &s->places[i], i, true,
				       s->places[i].size);
	rc = rc ?: sample_read(run, l, s, buf);
	if (!rc && writes(l->dir))
		rc = sample_written(run, l, s);
	kfree(buf);
	run->samples += s->nr;
	return rc;
}

int sample_gone(struct run *run, const struct sample *s)
{
	unsigned int i;
	u8 *buf;
	int rc = 0;

	if (!s->nr || !run->t->domain)
		return 0;
	buf = kmalloc(EDU_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < s->nr && !rc; i++)
		rc = place_denied(run, &s->places[i], SLOT_GONE + i,
				  s->places[i].write);
	rc = rc ?: edu_get(run->t, buf, EDU_MAX);
	for (i = 0; i < s->nr && !rc; i++) {
		const struct place *p = &s->places[i];

		if (!p->write)
			rc = place_unread(run, p, buf + (SLOT_GONE + i) * SLOT);
		else if (content_diff(phys_to_virt(p->phys), KEY_POOL, p->phys,
				      p->size) >= 0)
			rc = wrong(run, "the device can write at %#llx+%#llx",
				   (u64)p->dma, p->size);
	}
	kfree(buf);
	if (rc)
		wrong(run, "... after it was unmapped");
	run->samples_gone += s->nr;
	return rc;
}
