// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver with a domain of its own, as graphics and networking drivers have:
 * whoever does not say that he knows of large pages is refused.
 */
#include "compat/iommu.h"
#include "granule-dma.h"
#include "selftest.h"

#define IOVA (1ULL << 30)	/* a granule's multiple */

/* Does the device still reach what the driver has by the DMA API? */
static int dma_api_works(struct run *run)
{
	u8 in[64], out[64];
	int rc;

	memset(in, run->rng, sizeof(in));
	rc = edu_set(run->t, in, sizeof(in));
	rc = rc ?: edu_get(run->t, out, sizeof(out));
	return rc ?: memcmp(in, out, sizeof(in)) ? -EBADMSG : 0;
}

static void domain_refused(struct run *run, struct iommu_domain *domain)
{
	struct iommu_domain *before = iommu_get_domain_for_dev(run->t->dev);
	int rc = iommu_attach_device(domain, run->t->dev);

	result(run, rc == -EINVAL ? 0 : rc ?: -EBADMSG,
	       "a domain of a driver that does not know of large pages is refused");
	if (!rc)
		iommu_detach_device(domain, run->t->dev);
	result(run, iommu_get_domain_for_dev(run->t->dev) == before ?
	       dma_api_works(run) : -EBADMSG, "and the device is where it was");
}

/* The device reads from the page that is mapped in @domain. */
static int attached_work(struct run *run, struct iommu_domain *domain,
			 struct page *page)
{
	struct test_dev *t = run->t;
	u8 in[64], out[64];
	int rc;

	memset(in, 0x77, sizeof(in));
	memcpy(page_address(page), in, sizeof(in));
	rc = iommu_attach_device(domain, t->dev);
	if (rc)
		return rc;
	rc = iommu_map(domain, IOVA, page_to_phys(page), t->granule, IOMMU_READ,
		       GFP_KERNEL);
	rc = rc ?: edu_read(t, IOVA, sizeof(in));
	if (!rc && iommu_unmap(domain, IOVA, t->granule) != t->granule)
		rc = -EBADMSG;
	iommu_detach_device(domain, t->dev);
	rc = rc ?: edu_get(t, out, sizeof(out));
	return rc ?: memcmp(in, out, sizeof(in)) ? -EBADMSG : 0;
}

static void domain_known(struct run *run, struct iommu_domain *domain,
			 struct page *page)
{
	int rc;

	result(run, iommu_set_pgtable_quirks(domain, ~0UL) == -EINVAL ? 0 :
	       -EBADMSG, "nothing else can be known");
	rc = iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES);
	/* That it was refused is no use. */
	result(run, rc ?: attached_work(run, domain, page),
	       "the same domain, when its driver says that it knows, is not");
	rc = iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES);
	result(run, rc == -EBUSY ? 0 : rc ?: -EBADMSG,
	       "knowing comes before using");
	result(run, dma_api_works(run), "the DMA API works again afterwards");
}

void test_domain(struct run *run)
{
	unsigned int order = get_order(run->t->granule);
	struct iommu_domain *domain = granule_domain_alloc(run->t->dev);
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);

	if (IS_ERR(domain) || !page) {
		result(run, -ENOMEM, "memory for a domain");
	} else {
		if (run->t->granule > PAGE_SIZE)
			domain_refused(run, domain);
		domain_known(run, domain, page);
	}
	if (!IS_ERR(domain))
		iommu_domain_free(domain);
	if (page)
		__free_pages(page, order);
}
