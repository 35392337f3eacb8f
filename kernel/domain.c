// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting mappings into an IOMMU domain: physically contiguous runs, with the
 * largest pages that the domain has, and one sync for a mapping.
 *
 * Pages are mapped by the driver's own operation, as iommu_map() would. That
 * would sync after every run, and let a call of the driver span page tables:
 * see granule_map_at_once().
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "compat/iommu.h"
#include "private.h"

/*
 * A domain's page tables have at least this many entries: memory of fewer
 * granules cannot fill one, so unmapping it frees none.
 */
#define GRANULE_TABLE_ENTRIES 512

/*
 * One call of an IOMMU driver ends at a multiple of this at the latest: a call
 * is as long as it has entries to write, without a chance to stop. And VT-d's
 * driver drops the root table when it is told to unmap all there is.
 */
#define GRANULE_CALL_LIMIT (8ULL << 30)

static u64 granule_at_once(u64 iova, u64 length)
{
	return min(length, GRANULE_CALL_LIMIT -
			   granule_offset(iova, GRANULE_CALL_LIMIT));
}

/*
 * Drivers differ in what they tell of a call that fails in its middle: VT-d's
 * leaves what it has mapped, and says that it is nothing. That would stay when
 * the memory is let go of. All that can fail is to get a page table, so no
 * call needs more than one.
 */
static u64 granule_map_at_once(u64 bitmap, u64 iova, u64 phys, u64 length,
			       u64 *page)
{
	u64 n, table;

	n = granule_piece(granule_congruent(bitmap, iova, phys), iova,
			  granule_at_once(iova, length), page);
	table = *page * GRANULE_TABLE_ENTRIES;
	return min(n, table - granule_offset(iova, table));
}

/* *@done: bytes mapped, also when this fails. */
static int granule_map_run(struct iommu_domain *domain, u64 bitmap, u64 iova,
			   u64 phys, u64 length, int prot, u64 *done)
{
	u64 n, page;
	size_t mapped;
	int rc;

	while (length) {
		if (granule_should_fail())
			return -ENOMEM;
		n = granule_map_at_once(bitmap, iova, phys, length, &page);
		mapped = 0;
		rc = granule_map_pages(domain, iova, phys, page, n / page, prot,
				       &mapped);
		*done += mapped;
		if (rc)
			return rc;
		if (WARN_ON(!mapped))
			return -EIO;
		iova += mapped;
		phys += mapped;
		length -= mapped;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/*
 * Unmap what one call of the IOMMU driver can, and sync, until all is gone.
 *
 * A driver that is called for a second range with the same gather may sync the
 * first range only, and free the page-table pages of the second before the
 * IOMMU has forgotten them (VT-d's does). The IOMMU core calls it once for
 * each size of page that a range needs, so a range is cut where that changes.
 */
static void granule_unmap_pieces(struct iommu_domain *domain, u64 iova,
				 u64 length)
{
	while (length) {
		u64 page, n = granule_at_once(iova,
					      granule_piece(domain->pgsize_bitmap,
							    iova, length,
							    &page));
		size_t done = iommu_unmap(domain, iova, n);

		/* virtio-iommu forgets what was mapped at once, and says so. */
		if (!WARN_ON(done < n || done > length))
			n = done;
		iova += n;
		length -= n;
		cond_resched();
	}
}

/*
 * granule_domain_map - map a whole area whose memory is pinned
 * @step: map pages of this size; 0: as large as fits
 *
 * Return: 0; or an error with nothing of the area mapped: -EINTR, or what the
 * IOMMU driver says.
 */
int granule_domain_map(struct iommu_domain *domain,
		       const struct granule_area *area, u64 step,
		       struct iommu_last_error *why)
{
	u64 iova = area->node.iova.start, left = granule_area_length(area);
	u64 skip = area->offset & ~PAGE_MASK, done = 0;
	u64 bitmap = step ?: domain->pgsize_bitmap;
	struct extent_iter it;
	struct extent run;
	int rc = 0;

	extent_iter_init(&it, &area->pages->extents, area->offset / PAGE_SIZE,
			 granule_area_pages(area));
	while (left && extent_iter_next(&it, &run)) {
		u64 n = min(run.frames * PAGE_SIZE - skip, left);

		rc = granule_map_run(domain, bitmap, iova + done,
				     run.pfn * PAGE_SIZE + skip, n, area->prot,
				     &done);
		if (rc)
			goto err_unmap;
		skip = 0;
		left -= n;
	}
	rc = granule_map_sync(domain, iova, done);
	if (rc)
		goto err_unmap;
	return 0;

err_unmap:
	granule_unmap_pieces(domain, iova, done);
	return granule_fail(why, rc, ERRNO, .out_addr = iova + done);
}

/* --- unmapping --- */

void granule_unmap_start(struct granule_unmap *unmap, struct granule_hwpt *hwpt)
{
	unmap->domain = hwpt->domain;
	unmap->no_table = hwpt->granule * GRANULE_TABLE_ENTRIES;
	unmap->pending = false;
	iommu_iotlb_gather_init(&unmap->gather);
}

void granule_unmap_sync(struct granule_unmap *unmap)
{
	if (!unmap->pending)
		return;
	iommu_iotlb_sync(unmap->domain, &unmap->gather);
	iommu_iotlb_gather_init(&unmap->gather);
	unmap->pending = false;
}

/*
 * Take an area out of the domain. Nothing of its memory may be let go of
 * before granule_unmap_sync().
 *
 * Areas are mapped whole, so no IOMMU page reaches into the next one, and
 * unmapping whole areas splits none.
 */
void granule_unmap_area(struct granule_unmap *unmap,
			const struct granule_area *area)
{
	u64 length = granule_area_length(area);

	if (length >= unmap->no_table) {
		granule_unmap_sync(unmap);
		granule_unmap_pieces(unmap->domain, area->node.iova.start,
				     length);
		return;
	}
	unmap->pending = true;
	WARN_ON(iommu_unmap_fast(unmap->domain, area->node.iova.start, length,
				 &unmap->gather) != length);
}
