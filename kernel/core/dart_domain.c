// SPDX-License-Identifier: GPL-2.0-only
/* Domains over one or more DARTs. See dart_domain.h. */
#include "dart_domain.h"

int dart_domain_init(struct dart_domain *d, const struct dart_memory *memory,
		     const struct dart_geometry *geometry, unsigned int gfp)
{
	int rc;

	d->attached = NULL;
	rc = dart_table_init(&d->table, memory, geometry, gfp);
	if (rc)
		return rc;
	rc = dart_root_add(&d->table, &d->root, NULL, gfp);
	if (rc)
		dart_table_exit(&d->table);
	return rc;
}

void dart_domain_exit(struct dart_domain *d)
{
	dart_root_remove(&d->table, &d->root);
	dart_table_exit(&d->table);
}

static bool same_geometry(const struct dart_geometry *a,
			  const struct dart_geometry *b)
{
	return a->format == b->format && a->shift == b->shift &&
	       a->iova_bits == b->iova_bits && a->phys_bits == b->phys_bits;
}

static int locked_root(struct dart_domain *d, struct dart_attach *a,
		       unsigned int gfp)
{
	u64 given[DART_MAX_TTBRS];
	unsigned int i, stream;

	for (stream = 0; stream < a->hw->streams; stream++)
		if (dart_streams_has(&a->streams, stream))
			break;
	for (i = 0; i < DART_MAX_TTBRS; i++) {
		given[i] = dart_hw_ttbr(a->hw, stream, i);
		/* Without a table there is none that could be used. */
		if (i < d->table.ttbrs && !given[i])
			return -EACCES;
	}
	return dart_root_add(&d->table, &a->root, given, gfp);
}

static int attach_one(struct dart_domain *d, struct dart_attach *a,
		      unsigned int gfp)
{
	const struct dart_root *root = a->hw->locked ? &a->root : &d->root;
	u64 ttbrs[DART_MAX_TTBRS];
	unsigned int i;
	int rc;

	if (!same_geometry(&a->hw->geometry, &d->table.geometry))
		return -EINVAL;
	if (a->hw->locked) {
		rc = locked_root(d, a, gfp);
		if (rc)
			return rc;
	}
	for (i = 0; i < DART_MAX_TTBRS; i++)
		ttbrs[i] = dart_root_ttbr(&d->table, root, i);
	rc = dart_hw_translate(a->hw, &a->streams, ttbrs);
	if (rc && a->hw->locked)
		dart_root_remove(&d->table, &a->root);
	if (rc) {
		dart_hw_block(a->hw, &a->streams);
		return rc;
	}
	a->next = d->attached;
	d->attached = a;
	return 0;
}

int dart_domain_attach(struct dart_domain *d, struct dart_attach *streams,
		       unsigned int nr, unsigned int gfp)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nr && !rc; i++)
		rc = attach_one(d, &streams[i], gfp);
	if (rc)
		/* The one that failed is not attached. */
		dart_domain_detach(d, streams, i - 1);
	for (i = 0; rc && i < nr; i++)
		dart_hw_block(streams[i].hw, &streams[i].streams);
	return rc;
}

void dart_domain_detach(struct dart_domain *d, struct dart_attach *streams,
			unsigned int nr)
{
	struct dart_attach **at;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		for (at = &d->attached; *at != &streams[i]; at = &(*at)->next)
			;
		*at = streams[i].next;
		if (streams[i].hw->locked)
			dart_root_remove(&d->table, &streams[i].root);
		dart_hw_block(streams[i].hw, &streams[i].streams);
	}
}

int dart_domain_sync(struct dart_domain *d)
{
	struct dart_attach *a;
	int rc, first = 0;

	for (a = d->attached; a; a = a->next) {
		rc = dart_hw_flush(a->hw, &a->streams);
		if (!rc)
			continue;
		dart_hw_block(a->hw, &a->streams);
		first = first ?: rc;
	}
	return first;
}

int dart_domain_map(struct dart_domain *d, u64 iova, u64 phys, u64 size,
		    unsigned int prot, unsigned int gfp)
{
	int rc = dart_table_map(&d->table, iova, phys, size, prot, gfp);

	if (rc)
		return rc;
	/* That nothing was there may be cached as well. */
	rc = dart_domain_sync(d);
	if (rc)
		dart_domain_unmap(d, iova, size);
	return rc;
}

u64 dart_domain_unmap(struct dart_domain *d, u64 iova, u64 size)
{
	u64 unmapped = dart_table_unmap(&d->table, iova, size);

	if (unmapped)
		dart_domain_sync(d);
	return unmapped;
}
