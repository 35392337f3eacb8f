// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting mappings into an IOMMU domain: one call per physically contiguous
 * run, with the largest pages that the domain has.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "compat/iommu.h"
#include "private.h"

static int granule_map_run(struct iommu_domain *domain, u64 iova, u64 phys,
			   u64 length, int prot, u64 step, u64 *done)
{
	u64 n;
	int rc;

	if (granule_should_fail())
		return -ENOMEM;
	while (length) {
		/* Only the smallest pages, or all that fit. */
		n = step ? min(step, length) : length;
		rc = iommu_map(domain, iova, phys, n, prot, GFP_KERNEL_ACCOUNT);
		if (rc)
			return rc;
		iova += n;
		phys += n;
		length -= n;
		*done += n;
	}
	return 0;
}

/*
 * granule_domain_map - map a whole area whose memory is pinned
 * @step: map in pieces of this size; 0: as large as fits
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
	struct extent_iter it;
	struct extent run;
	int rc = 0;

	extent_iter_init(&it, &area->pages->extents, area->offset / PAGE_SIZE,
			 granule_area_pages(area));
	while (left && extent_iter_next(&it, &run)) {
		u64 n = min(run.frames * PAGE_SIZE - skip, left);

		rc = granule_map_run(domain, iova + done,
				     run.pfn * PAGE_SIZE + skip, n, area->prot,
				     step, &done);
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
		if (rc)
			goto err_unmap;
		skip = 0;
		left -= n;
		cond_resched();
	}
	return 0;

err_unmap:
	if (done)
		iommu_unmap(domain, iova, done);
	return granule_fail(why, rc, ERRNO, .out_addr = iova + done);
}

/* The caller syncs @gather before it lets go of the memory. */
void granule_domain_unmap(struct iommu_domain *domain,
			  const struct granule_area *area,
			  struct iommu_iotlb_gather *gather)
{
	u64 length = granule_area_length(area);

	/*
	 * Areas are mapped whole, so no IOMMU page reaches into the next one,
	 * and unmapping whole areas splits none.
	 */
	WARN_ON(iommu_unmap_fast(domain, area->node.iova.start, length,
				 gather) != length);
}
