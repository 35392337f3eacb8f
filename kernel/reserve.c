// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOVAs that cannot be mapped: what devices reserve, and what lies outside the
 * IOMMU's aperture.
 *
 * Regions of several owners may overlap. In the tree of the IOAS, where
 * everything is disjoint, each connected run of them is one node: the one
 * embedded in the run's first region. Nodes are grown to the granule.
 */
#include <linux/list_sort.h>
#include <linux/slab.h>

#include "private.h"

struct granule_reserved *granule_reserved_new(const void *owner, u64 start,
					      u64 last, u32 reason)
{
	struct granule_reserved *resv;

	resv = granule_should_fail() ? NULL :
		kzalloc(sizeof(*resv), GFP_KERNEL_ACCOUNT);
	if (!resv)
		return NULL;
	resv->node.kind = GRANULE_NODE_RESERVED;
	resv->owner = owner;
	resv->range.start = start;
	resv->range.last = last;
	resv->reason = reason;
	return resv;
}

void granule_reserved_free(struct list_head *regions)
{
	struct granule_reserved *resv, *next;

	list_for_each_entry_safe(resv, next, regions, item) {
		list_del(&resv->item);
		kfree(resv);
	}
}

static int granule_reserved_cmp(void *priv, const struct list_head *a,
				const struct list_head *b)
{
	const struct granule_reserved *ra =
		list_entry(a, struct granule_reserved, item);
	const struct granule_reserved *rb =
		list_entry(b, struct granule_reserved, item);

	return ra->range.start < rb->range.start ? -1 :
	       ra->range.start > rb->range.start;
}

static struct iova_range granule_reserved_grown(const struct granule_ioas *ioas,
						const struct granule_reserved *r)
{
	struct iova_range range = r->range;

	iova_range_grow(&range, ioas->alignment);
	return range;
}

/*
 * Bring the tree in line with the list and the granule. Cannot fail: the
 * caller has made sure that no mapping is in the way.
 */
void granule_reserved_rebuild(struct granule_ioas *ioas)
{
	struct granule_reserved *resv, *head = NULL;

	lockdep_assert_held_write(&ioas->domains_rwsem);
	mutex_lock(&ioas->lock);
	list_for_each_entry(resv, &ioas->reserved, item) {
		if (resv->head)
			iova_tree_erase(&ioas->tree, &resv->node.iova);
		resv->head = false;
	}
	list_sort(NULL, &ioas->reserved, granule_reserved_cmp);
	list_for_each_entry(resv, &ioas->reserved, item) {
		struct iova_range range = granule_reserved_grown(ioas, resv);

		if (head && (head->node.iova.last == U64_MAX ||
			     range.start <= head->node.iova.last + 1)) {
			head->node.iova.last = max(head->node.iova.last,
						   range.last);
			continue;
		}
		if (head)
			WARN_ON(iova_tree_insert(&ioas->tree,
						 &head->node.iova));
		head = resv;
		head->head = true;
		head->node.iova.start = range.start;
		head->node.iova.last = range.last;
	}
	if (head)
		WARN_ON(iova_tree_insert(&ioas->tree, &head->node.iova));
	mutex_unlock(&ioas->lock);
}

/* A region, grown, that intersects start..last; NULL if none. */
struct granule_reserved *granule_reserved_at(struct granule_ioas *ioas,
					     u64 start, u64 last)
{
	struct iova_range want = { .start = start, .last = last };
	struct granule_reserved *resv;

	lockdep_assert_held(&ioas->domains_rwsem);
	list_for_each_entry(resv, &ioas->reserved, item) {
		struct iova_range range = granule_reserved_grown(ioas, resv);

		if (iova_range_overlaps(&range, &want))
			return resv;
	}
	return NULL;
}

/* Would this region hit something that has to stay usable? */
static int granule_reserve_check(struct granule_ioas *ioas,
				 const struct granule_reserved *resv,
				 struct iommu_last_error *why)
{
	struct iova_range range = granule_reserved_grown(ioas, resv);
	struct granule_area *area;
	u32 i;

	area = granule_area_first(ioas, range.start, range.last);
	if (area)
		return granule_fail(why, -EADDRINUSE, AREA_UNREACHABLE,
				    .out_addr = resv->range.start,
				    .out_start = area->node.iova.start,
				    .out_last = area->node.iova.last,
				    .out_detail = resv->reason);
	for (i = 0; i < ioas->nr_allowed; i++)
		if (iova_range_overlaps(&range, &ioas->allowed[i]))
			return granule_fail(why, -EADDRINUSE, NOT_REACHABLE,
					    .out_addr = resv->range.start,
					    .out_start = ioas->allowed[i].start,
					    .out_last = ioas->allowed[i].last,
					    .out_detail = resv->reason);
	return 0;
}

/*
 * granule_reserve - reserve @regions in @ioas, all or none
 *
 * The list is empty when this returns 0; else it is as before, and so is the
 * IOAS. Return: -EADDRINUSE when a mapping or an allowed range is in the way.
 */
int granule_reserve(struct granule_ioas *ioas, const void *owner,
		    struct list_head *regions, struct iommu_last_error *why)
{
	struct granule_reserved *resv;
	int rc = 0;

	lockdep_assert_held_write(&ioas->domains_rwsem);
	mutex_lock(&ioas->lock);
	list_for_each_entry(resv, regions, item) {
		rc = granule_reserve_check(ioas, resv, why);
		if (rc)
			break;
	}
	mutex_unlock(&ioas->lock);
	if (rc)
		return rc;
	list_splice_init(regions, &ioas->reserved);
	granule_reserved_rebuild(ioas);
	return 0;
}

/* Drop the regions of @owner. Cannot fail. */
void granule_unreserve(struct granule_ioas *ioas, const void *owner)
{
	struct granule_reserved *resv, *next;
	LIST_HEAD(gone);

	lockdep_assert_held_write(&ioas->domains_rwsem);
	mutex_lock(&ioas->lock);
	list_for_each_entry_safe(resv, next, &ioas->reserved, item) {
		if (resv->owner != owner)
			continue;
		if (resv->head)
			iova_tree_erase(&ioas->tree, &resv->node.iova);
		list_move(&resv->item, &gone);
	}
	mutex_unlock(&ioas->lock);
	granule_reserved_free(&gone);
	granule_reserved_rebuild(ioas);
}
