// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings: placing them, filling them in, taking them out, copying.
 *
 * Whoever maps or unmaps holds domains_rwsem for reading throughout. The tree
 * is changed under ioas->lock, which is never held while memory is pinned: a
 * mapping in the making stands in the tree as BUSY, so that its IOVAs are
 * taken, and becomes LIVE when nothing can fail any more. One that goes is
 * BUSY again until the IOMMU has forgotten it.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "private.h"

static struct kmem_cache *granule_area_cache;

/*
 * Large memory is placed so that the IOMMU's large pages fit: the alignment
 * that the memory has is kept, up to this.
 */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define GRANULE_MAX_AUTO_ALIGN HPAGE_PMD_SIZE
#else
#define GRANULE_MAX_AUTO_ALIGN PAGE_SIZE
#endif

static inline struct granule_area *to_area(struct iova_node *node)
{
	return container_of(node, struct granule_area, node.iova);
}

static inline u8 kind_of(struct iova_node *node)
{
	return container_of(node, struct granule_node, iova)->kind;
}

/* The first mapping, made or in the making, that intersects start..last. */
struct granule_area *granule_area_first(struct granule_ioas *ioas, u64 start,
					u64 last)
{
	struct iova_node *node = iova_tree_first(&ioas->tree, start, last);

	while (node && kind_of(node) == GRANULE_NODE_RESERVED)
		node = iova_tree_next(node, last);
	return node ? to_area(node) : NULL;
}

struct granule_area *granule_area_next(struct granule_area *area, u64 last)
{
	struct iova_node *node = iova_tree_next(&area->node.iova, last);

	while (node && kind_of(node) == GRANULE_NODE_RESERVED)
		node = iova_tree_next(node, last);
	return node ? to_area(node) : NULL;
}

static int prot_of_flags(u32 flags)
{
	/*
	 * A device must be cache-coherent to be bound: there is no way to
	 * flush caches from user space.
	 */
	int prot = IOMMU_CACHE;

	if (flags & IOMMU_IOAS_MAP_READABLE)
		prot |= IOMMU_READ;
	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		prot |= IOMMU_WRITE;
	return prot;
}

static void granule_area_free(struct granule_area *area)
{
	granule_pages_put(area->pages);
	kmem_cache_free(granule_area_cache, area);
	granule_stat_add(GRANULE_STAT_AREAS, -1);
}

/* Takes over the caller's reference on @pages when it succeeds. */
static struct granule_area *granule_area_new(struct granule_pages *pages,
					     u64 offset, int prot)
{
	struct granule_area *area;

	area = granule_should_fail() ? NULL :
		kmem_cache_alloc(granule_area_cache, GFP_KERNEL_ACCOUNT);
	if (!area)
		return NULL;
	area->node.kind = GRANULE_NODE_BUSY;
	area->prot = prot;
	area->offset = offset;
	area->pages = pages;
	area->next = NULL;
	granule_stat_add(GRANULE_STAT_AREAS, 1);
	return area;
}

static void granule_areas_free(struct granule_area *list)
{
	while (list) {
		struct granule_area *area = list;

		list = area->next;
		granule_area_free(area);
		cond_resched();
	}
}

/* --- placing --- */

/* What a new mapping asks for. A copy can consist of several areas. */
struct granule_placement {
	struct granule_area *areas;	/* chain, ascending, with offsets set */
	u64 *lengths;			/* of each, ascending */
	u64 length;			/* of all */
	u64 iova;			/* in: when fixed; out */
	bool fixed;
};

static int granule_check_aligned(u64 value, u64 alignment, u32 field,
				 struct iommu_last_error *why)
{
	if (granule_aligned(value, alignment))
		return 0;
	return granule_fail(why, -EINVAL, MISALIGNED, .out_addr = value,
			    .out_limit = alignment, .out_detail = field);
}

/* Is start..last free? Say what is there if not. */
static int granule_check_free(struct granule_ioas *ioas, u64 start, u64 last,
			      struct iommu_last_error *why)
{
	struct granule_reserved *resv;
	struct granule_area *area;

	if (!iova_tree_first(&ioas->tree, start, last))
		return 0;
	resv = granule_reserved_at(ioas, start, last);
	if (resv)
		return granule_fail(why, -EINVAL, RESERVED,
				    .out_addr = max(start, resv->range.start),
				    .out_start = resv->range.start,
				    .out_last = resv->range.last,
				    .out_detail = resv->reason);
	area = granule_area_first(ioas, start, last);
	return granule_fail(why, -EEXIST, OVERLAP,
			    .out_addr = max(start, area->node.iova.start),
			    .out_start = area->node.iova.start,
			    .out_last = area->node.iova.last);
}

/*
 * The alignment that automatic placement gives: what the memory has, but no
 * more than its length is worth.
 */
static u64 granule_auto_align(const struct granule_ioas *ioas, u64 uva,
			      u64 length)
{
	u64 align = uva ? granule_of_bitmap(uva) : GRANULE_MAX_AUTO_ALIGN;

	if (length < GRANULE_MAX_AUTO_ALIGN)
		align = min_t(u64, align, roundup_pow_of_two(length));
	align = clamp_t(u64, align, PAGE_SIZE, GRANULE_MAX_AUTO_ALIGN);
	return max(align, ioas->alignment);
}

static int granule_place_auto(struct granule_ioas *ioas,
			      struct granule_placement *p,
			      struct iommu_last_error *why)
{
	u64 uva = granule_area_uva(p->areas);
	struct iova_request req = {
		.length = p->length,
		.align = granule_auto_align(ioas, uva, p->length),
	};
	u32 i = 0;

	/* Keep the place within the page; the IOMMU maps whole ones. */
	req.offset = uva & ~PAGE_MASK;
	do {
		/* 0 is never given out: too many programs mean "none" by it. */
		req.bounds.start = PAGE_SIZE;
		req.bounds.last = U64_MAX - PAGE_SIZE;
		if (ioas->nr_allowed) {
			req.bounds.start = max_t(u64, PAGE_SIZE,
						 ioas->allowed[i].start);
			req.bounds.last = min(req.bounds.last,
					      ioas->allowed[i].last);
			if (req.bounds.start > req.bounds.last)
				continue;
		}
		if (!iova_tree_find_hole(&ioas->tree, &req, &p->iova))
			return 0;
	} while (++i < ioas->nr_allowed);
	return granule_fail(why, -ENOSPC, NO_IOVA, .out_need = p->length,
			    .out_limit = req.align);
}

/* Find the IOVAs and take them. */
static int granule_place(struct granule_ioas *ioas,
			 struct granule_placement *p,
			 struct iommu_last_error *why)
{
	struct granule_area *area;
	struct iova_range range;
	u32 n = 0;
	u64 iova;
	int rc;

	lockdep_assert_held(&ioas->domains_rwsem);
	lockdep_assert_held(&ioas->lock);

	if (p->fixed) {
		rc = granule_check_aligned(p->iova, ioas->alignment,
					   IOMMU_REASON_FIELD_IOVA, why);
		if (rc)
			return rc;
	}
	rc = granule_check_aligned(p->length, ioas->alignment,
				   IOMMU_REASON_FIELD_LENGTH, why);
	if (rc)
		return rc;
	for (area = p->areas; area; area = area->next, n++) {
		rc = granule_check_aligned(granule_area_uva(area),
					   ioas->alignment,
					   IOMMU_REASON_FIELD_USER_VA, why);
		if (!rc)
			rc = granule_check_aligned(p->lengths[n],
						   ioas->alignment,
						   IOMMU_REASON_FIELD_LENGTH,
						   why);
		if (rc)
			return rc;
	}
	if (n > ioas->area_quota || ioas->nr_areas > ioas->area_quota - n)
		return granule_fail(why, -ENOSPC, QUOTA,
				    .out_object_id = ioas->obj.id,
				    .out_limit = ioas->area_quota,
				    .out_usage = ioas->nr_areas,
				    .out_need = n);
	if (p->fixed) {
		rc = iova_range_init(&range, p->iova, p->length);
		if (rc)
			return granule_fail(why, -EOVERFLOW, OVERFLOW,
					    .out_addr = p->iova,
					    .out_need = p->length);
		rc = granule_check_free(ioas, range.start, range.last, why);
	} else {
		rc = granule_place_auto(ioas, p, why);
	}
	if (rc)
		return rc;

	iova = p->iova;
	n = 0;
	for (area = p->areas; area; area = area->next) {
		area->node.iova.start = iova;
		area->node.iova.last = iova + p->lengths[n] - 1;
		iova += p->lengths[n++];
		ioas->held_pages += granule_area_pages(area);
		WARN_ON(iova_tree_insert(&ioas->tree, &area->node.iova));
		cond_resched();
	}
	ioas->nr_areas += n;
	ioas->mapped_bytes += p->length;
	return 0;
}

/* Free the IOVAs of a chain of BUSY areas. */
static void granule_displace(struct granule_ioas *ioas,
			     struct granule_area *list)
{
	mutex_lock(&ioas->lock);
	for (; list; list = list->next) {
		iova_tree_erase(&ioas->tree, &list->node.iova);
		ioas->nr_areas--;
		ioas->held_pages -= granule_area_pages(list);
		ioas->mapped_bytes -= granule_area_length(list);
		cond_resched();
	}
	mutex_unlock(&ioas->lock);
}

/* --- filling in --- */

/*
 * granule_area_check_granule - do IOMMU pages of @granule fit its memory?
 *
 * Every granule has to be one aligned, contiguous piece of the caller's own
 * pages. The page around it is never mapped instead: the rest of it is
 * somebody else's memory. @area's memory is pinned.
 */
int granule_area_check_granule(const struct granule_area *area, u64 granule,
			       struct iommu_last_error *why)
{
	u64 length = granule_area_length(area), bad;
	s64 first;

	if (granule <= PAGE_SIZE)
		return 0;
	first = extent_check_granule(&area->pages->extents,
				     area->offset >> PAGE_SHIFT,
				     length >> PAGE_SHIFT,
				     granule >> PAGE_SHIFT, &bad);
	if (first < 0)
		return 0;
	return granule_fail(why, -EINVAL, NOT_CONTIGUOUS,
			    .out_addr = granule_area_uva(area) +
					first * granule,
			    .out_start = area->node.iova.start,
			    .out_last = area->node.iova.last,
			    .out_limit = granule, .out_need = bad,
			    .out_usage = length / granule);
}

static void granule_unfill(struct granule_ioas *ioas,
			   struct granule_area *list,
			   struct granule_area *end)
{
	struct granule_unmap unmap;
	struct granule_area *area;
	struct granule_hwpt *hwpt;

	if (!ioas->nr_hwpts)
		return;
	list_for_each_entry(hwpt, &ioas->hwpts, item) {
		granule_unmap_start(&unmap, hwpt);
		for (area = list; area != end; area = area->next) {
			granule_unmap_area(&unmap, area);
			cond_resched();
		}
		/* Nothing is unpinned before the IOMMU has forgotten it. */
		granule_unmap_sync(&unmap);
	}
	for (area = list; area != end; area = area->next) {
		granule_pages_unpin(area->pages);
		cond_resched();
	}
}

static int granule_fill_one(struct granule_ioas *ioas,
			    struct granule_area *area,
			    struct iommu_last_error *why)
{
	struct granule_hwpt *hwpt, *done;
	struct granule_unmap unmap;
	int rc;

	rc = granule_pages_pin(area->pages, why);
	if (rc)
		return rc;
	rc = granule_area_check_granule(area, ioas->granule, why);
	if (rc)
		goto err_unpin;
	list_for_each_entry(hwpt, &ioas->hwpts, item) {
		rc = granule_domain_map(hwpt->domain, area,
					ioas->small_pages ? hwpt->granule : 0,
					why);
		if (rc)
			goto err_unmap;
	}
	return 0;

err_unmap:
	list_for_each_entry(done, &ioas->hwpts, item) {
		if (done == hwpt)
			break;
		granule_unmap_start(&unmap, done);
		granule_unmap_area(&unmap, area);
		granule_unmap_sync(&unmap);
	}
err_unpin:
	granule_pages_unpin(area->pages);
	return rc;
}

static int granule_fill(struct granule_ioas *ioas, struct granule_area *list,
			struct iommu_last_error *why)
{
	struct granule_area *area;
	int rc;

	if (!ioas->nr_hwpts)
		return 0;
	for (area = list; area; area = area->next) {
		rc = granule_fill_one(ioas, area, why);
		if (rc) {
			granule_unfill(ioas, list, area);
			return rc;
		}
	}
	return 0;
}

/*
 * Place, fill in, answer, and only then show the mapping: a caller that cannot
 * be told where its memory went has not mapped it. @out_iova is the field of
 * the argument that takes the answer. The areas belong to the IOAS when this
 * returns 0, else still to the caller.
 */
static int granule_map_areas(struct granule_call *call, size_t arg_size,
			     u64 *out_iova, struct granule_ioas *ioas,
			     struct granule_placement *p)
{
	struct granule_area *area;
	int rc;

	if (down_read_killable(&ioas->domains_rwsem))
		return granule_fail(&call->why, -EINTR, ERRNO);
	mutex_lock(&ioas->lock);
	rc = granule_place(ioas, p, &call->why);
	mutex_unlock(&ioas->lock);
	if (rc)
		goto out;
	rc = granule_fill(ioas, p->areas, &call->why);
	if (rc)
		goto err_displace;
	*out_iova = p->iova;
	rc = granule_call_respond(call, arg_size);
	if (rc)
		goto err_unfill;
	mutex_lock(&ioas->lock);
	for (area = p->areas; area; area = area->next) {
		area->node.kind = GRANULE_NODE_LIVE;
		cond_resched();
	}
	mutex_unlock(&ioas->lock);
	goto out;

err_unfill:
	granule_unfill(ioas, p->areas, NULL);
err_displace:
	granule_displace(ioas, p->areas);
out:
	up_read(&ioas->domains_rwsem);
	return rc;
}

static int granule_check_flags(u32 flags, u32 reserved,
			       struct iommu_last_error *why)
{
	if (flags & ~(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
		      IOMMU_IOAS_MAP_READABLE) || reserved)
		return granule_fail(why, -EOPNOTSUPP, ARG_FLAGS);
	if (!(flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return granule_fail(why, -EINVAL, ARG_FLAGS);
	return 0;
}

int granule_ioas_map(struct granule_call *call)
{
	struct iommu_ioas_map *arg = call->arg;
	struct granule_placement p = {
		.length = arg->length,
		.iova = arg->iova,
		.fixed = arg->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
	};
	struct granule_pages *pages;
	struct granule_ioas *ioas;
	u64 length = arg->length;
	int rc;

	rc = granule_check_flags(arg->flags, arg->__reserved, &call->why);
	if (rc)
		return rc;
	if (arg->iova == U64_MAX || arg->length == U64_MAX)
		return granule_fail(&call->why, -EOVERFLOW, OVERFLOW,
				    .out_addr = arg->iova,
				    .out_need = arg->length);
	ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	pages = granule_pages_alloc(call->ctx, arg->user_va, arg->length,
				    arg->flags & IOMMU_IOAS_MAP_WRITEABLE,
				    &call->why);
	if (IS_ERR(pages)) {
		rc = PTR_ERR(pages);
		goto out;
	}
	p.lengths = &length;
	p.areas = granule_area_new(pages, arg->user_va & ~PAGE_MASK,
				   prot_of_flags(arg->flags));
	if (!p.areas) {
		granule_pages_put(pages);
		rc = granule_fail(&call->why, -ENOMEM, ERRNO);
		goto out;
	}
	rc = granule_map_areas(call, sizeof(*arg), &arg->iova, ioas, &p);
	if (rc)
		granule_area_free(p.areas);
out:
	granule_ioas_put(ioas);
	return rc;
}

/* --- copying --- */

/* Collect what is mapped in start..last, as areas that are not placed yet. */
static int granule_collect(struct granule_ioas *ioas, struct iova_range range,
			   int prot, struct granule_placement *p,
			   struct iommu_last_error *why)
{
	struct granule_area *area, *copy, **tail = &p->areas;
	u64 at = range.start;
	u32 n = 0, room = 1;
	int rc = 0;

	/* The first length is the caller's variable; more need an array. */
	lockdep_assert_held(&ioas->lock);
	area = granule_area_first(ioas, range.start, range.last);
	while (area && area->node.kind == GRANULE_NODE_LIVE &&
	       area->node.iova.start <= at) {
		u64 last = min(area->node.iova.last, range.last);
		u64 skip = at - area->node.iova.start;

		if ((prot & IOMMU_WRITE) && !area->pages->writable && !rc)
			rc = granule_fail(why, -EPERM, READ_ONLY,
					  .out_addr = at,
					  .out_start = area->node.iova.start,
					  .out_last = area->node.iova.last);
		if (n == room) {
			u64 *more = granule_should_fail() ? NULL :
				kvmalloc_array(room * 2, sizeof(*more),
					       GFP_KERNEL_ACCOUNT |
						       __GFP_NOWARN);

			if (!more)
				return granule_fail(why, -ENOMEM, ERRNO);
			memcpy(more, p->lengths, n * sizeof(*more));
			if (room > 1)
				kvfree(p->lengths);
			p->lengths = more;
			room *= 2;
		}
		copy = granule_area_new(area->pages, area->offset + skip, prot);
		if (!copy)
			return granule_fail(why, -ENOMEM, ERRNO);
		refcount_inc(&area->pages->users);
		*tail = copy;
		tail = &copy->next;
		p->lengths[n++] = last - at + 1;
		if (last == range.last)
			return rc;
		at = last + 1;
		area = granule_area_next(area, range.last);
		cond_resched();
		if (fatal_signal_pending(current))
			return granule_fail(why, -EINTR, ERRNO);
	}
	if (area && area->node.kind == GRANULE_NODE_BUSY &&
	    area->node.iova.start <= at)
		return granule_fail(why, -EBUSY, IN_PROGRESS,
				    .out_start = area->node.iova.start,
				    .out_last = area->node.iova.last);
	return granule_fail(why, -ENOENT, NOT_MAPPED, .out_addr = at);
}

int granule_ioas_copy(struct granule_call *call)
{
	struct iommu_ioas_copy *arg = call->arg;
	struct granule_placement p = {
		.length = arg->length,
		.iova = arg->dst_iova,
		.fixed = arg->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
	};
	struct granule_ioas *src, *dst;
	struct iova_range range;
	u64 length;
	int rc;

	rc = granule_check_flags(arg->flags, 0, &call->why);
	if (rc)
		return rc;
	if (arg->length == U64_MAX || arg->src_iova == U64_MAX ||
	    arg->dst_iova == U64_MAX)
		return granule_fail(&call->why, -EOVERFLOW, OVERFLOW,
				    .out_addr = arg->src_iova,
				    .out_need = arg->length);
	rc = iova_range_init(&range, arg->src_iova, arg->length);
	if (rc == -EINVAL)
		return granule_fail(&call->why, rc, ZERO_LENGTH);
	if (rc)
		return granule_fail(&call->why, rc, OVERFLOW,
				    .out_addr = arg->src_iova,
				    .out_need = arg->length);
	src = granule_ioas_get(call->ctx, arg->src_ioas_id, &call->why);
	if (IS_ERR(src))
		return PTR_ERR(src);
	dst = granule_ioas_get(call->ctx, arg->dst_ioas_id, &call->why);
	if (IS_ERR(dst)) {
		rc = PTR_ERR(dst);
		goto out_src;
	}
	p.lengths = &length;
	mutex_lock(&src->lock);
	rc = granule_collect(src, range, prot_of_flags(arg->flags), &p,
			     &call->why);
	mutex_unlock(&src->lock);
	if (!rc)
		rc = granule_map_areas(call, sizeof(*arg), &arg->dst_iova, dst,
				       &p);
	if (rc)
		granule_areas_free(p.areas);
	if (p.lengths != &length)
		kvfree(p.lengths);
	granule_ioas_put(dst);
out_src:
	granule_ioas_put(src);
	return rc;
}

/* --- unmapping --- */

/*
 * Take every mapping inside start..last for removal, or none: *@list becomes
 * a chain of them, BUSY, ascending.
 */
static int granule_take(struct granule_ioas *ioas, u64 start, u64 last,
			struct granule_area **list, u64 *bytes,
			struct iommu_last_error *why)
{
	struct granule_area *area, **tail = list;

	lockdep_assert_held(&ioas->lock);
	*list = NULL;
	*bytes = 0;
	for (area = granule_area_first(ioas, start, last); area;
	     area = granule_area_next(area, last)) {
		if (area->node.iova.start < start ||
		    area->node.iova.last > last)
			return granule_fail(why, -ENOENT, PARTIAL,
					    .out_start = area->node.iova.start,
					    .out_last = area->node.iova.last);
		if (area->node.kind != GRANULE_NODE_LIVE)
			return granule_fail(why, -EBUSY, IN_PROGRESS,
					    .out_start = area->node.iova.start,
					    .out_last = area->node.iova.last);
		cond_resched();
	}
	for (area = granule_area_first(ioas, start, last); area;
	     area = granule_area_next(area, last)) {
		area->node.kind = GRANULE_NODE_BUSY;
		*tail = area;
		tail = &area->next;
		*bytes += granule_area_length(area);
		cond_resched();
	}
	*tail = NULL;
	return 0;
}

static void granule_give_back(struct granule_ioas *ioas,
			      struct granule_area *list)
{
	mutex_lock(&ioas->lock);
	for (; list; list = list->next) {
		list->node.kind = GRANULE_NODE_LIVE;
		cond_resched();
	}
	mutex_unlock(&ioas->lock);
}

/*
 * The answer is given while everything is still mapped: a caller that cannot
 * be told has unmapped nothing. @all: nothing to unmap is no error.
 */
static int granule_unmap_range(struct granule_call *call,
			       struct granule_ioas *ioas,
			       struct iova_range range, bool all)
{
	struct iommu_ioas_unmap *arg = call->arg;
	struct granule_area *list;
	u64 bytes;
	int rc;

	down_read(&ioas->domains_rwsem);
	mutex_lock(&ioas->lock);
	rc = granule_take(ioas, range.start, range.last, &list, &bytes,
			  &call->why);
	mutex_unlock(&ioas->lock);
	if (rc)
		goto out;
	if (!list && !all) {
		rc = granule_fail(&call->why, -ENOENT, NOT_MAPPED,
				  .out_addr = range.start);
		goto out;
	}
	arg->length = bytes;
	rc = granule_call_respond(call, sizeof(*arg));
	if (rc) {
		granule_give_back(ioas, list);
	} else if (list) {
		granule_unfill(ioas, list, NULL);
		granule_displace(ioas, list);
	}
out:
	up_read(&ioas->domains_rwsem);
	if (!rc)
		granule_areas_free(list);
	return rc;
}

int granule_ioas_unmap(struct granule_call *call)
{
	struct iommu_ioas_unmap *arg = call->arg;
	bool all = !arg->iova && arg->length == U64_MAX;
	struct iova_range range = { .start = 0, .last = U64_MAX };
	struct granule_ioas *ioas;
	int rc;

	if (!all) {
		if (arg->iova == U64_MAX || arg->length == U64_MAX)
			rc = -EOVERFLOW;
		else
			rc = iova_range_init(&range, arg->iova, arg->length);
		if (rc == -EINVAL)
			return granule_fail(&call->why, rc, ZERO_LENGTH);
		if (rc)
			return granule_fail(&call->why, rc, OVERFLOW,
					    .out_addr = arg->iova,
					    .out_need = arg->length);
	}
	ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = granule_unmap_range(call, ioas, range, all);
	granule_ioas_put(ioas);
	return rc;
}

/* The IOAS goes: nobody else sees it, and no HWPT uses it. */
void granule_areas_free_all(struct granule_ioas *ioas)
{
	struct granule_area *area;

	while ((area = granule_area_first(ioas, 0, U64_MAX))) {
		iova_tree_erase(&ioas->tree, &area->node.iova);
		granule_area_free(area);
		cond_resched();
	}
}

int __init granule_areas_init(void)
{
	granule_area_cache = KMEM_CACHE(granule_area, 0);
	return granule_area_cache ? 0 : -ENOMEM;
}

void granule_areas_exit(void)
{
	kmem_cache_destroy(granule_area_cache);
}
