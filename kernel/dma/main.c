// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-dma.ko: the kernel's DMA API for devices behind IOMMUs whose pages
 * may be larger than the CPU's. See docs/granule.md.
 */
#include <linux/iova.h>
#include <linux/module.h>

#include "private.h"

static int __init granule_dma_init(void)
{
	int rc;

	rc = iova_cache_get();
	if (rc)
		return rc;
	rc = dma_stats_init();
	if (rc)
		goto err_iova;
	rc = dma_members_init();
	if (rc)
		goto err_stats;
	return 0;

err_stats:
	dma_stats_exit();
err_iova:
	iova_cache_put();
	return rc;
}

static void __exit granule_dma_exit(void)
{
	dma_members_exit();
	dma_stats_exit();
	iova_cache_put();
}

module_init(granule_dma_init);
module_exit(granule_dma_exit);

MODULE_DESCRIPTION("DMA API over IOMMU pages of any size");
MODULE_LICENSE("GPL");
