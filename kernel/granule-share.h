/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For drivers: one piece of memory for several devices, which may be behind
 * different IOMMUs with pages of different sizes. Each device sees it in one
 * contiguous block of IOVAs.
 *
 * An IOMMU page cannot be cut, so a device is given whole granules of its IOMMU
 * that are wholly the memory's, and nothing else: trusted or not, it does not
 * see what is beside. Memory of granule_dma_memory_alloc() is made so that
 * this works for all its devices; memory of dma_alloc_coherent() may be too
 * small, or too scattered, for a device with larger pages: then
 * granule_dma_share() refuses.
 *
 * All of it may sleep. "In use" is a device that has a driver, and is behind
 * an IOMMU that granule-dma serves.
 */
#ifndef GRANULE_SHARE_H
#define GRANULE_SHARE_H

#include <linux/dma-mapping.h>

struct granule_dma_share;

/**
 * granule_dma_share - let a device use the memory of another one
 * @owner: the device that it was allocated for, in use
 * @at: the owner's address of it, as dma_alloc_coherent(), dma_alloc_pages() or
 * dma_alloc_noncontiguous() gave it
 * @dev: the other device, in use; its coherent mask counts
 * @dir: what it may do
 * @addr: where it sees it, unless this fails; always from the first byte on,
 * and up to the end in whole pages
 *
 * The memory stays for as long as it is shared, even when its owner frees it
 * or is unbound: that only ends the owner's own use. When the driver of @dev is
 * unbound, or @dev leaves its IOMMU, the device's access ends; the share has to
 * be given back all the same.
 *
 * Return: for granule_dma_unshare(); ERR_PTR: -ENODEV, a device is not in use;
 * -ENXIO, there is no such memory of the owner's; -EINVAL, it is not made of
 * whole granules of the IOMMU of @dev; -ENOMEM, no memory or no IOVAs; or what
 * that IOMMU says. After an error nothing is changed.
 */
struct granule_dma_share *granule_dma_share(struct device *owner, dma_addr_t at,
					    struct device *dev,
					    enum dma_data_direction dir,
					    dma_addr_t *addr);

/* Once this returns the device cannot reach the memory any more. */
void granule_dma_unshare(struct granule_dma_share *share);

/* How one device sees it. */
struct granule_dma_view {
	struct device *dev;
	dma_addr_t addr;
	struct granule_dma_share *share;	/* NULL: the owner, the first */
};

struct granule_dma_memory {
	void *vaddr;		/* as the CPU sees it: contiguous */
	size_t size;		/* bytes; whole granules of all the devices */
	unsigned int nr;
	struct granule_dma_view views[];
};

/**
 * granule_dma_memory_alloc - coherent memory for several devices, or for none
 * @devs: the devices, all in use; the coherent mask of each counts
 * @nr: how many there are, at least 1
 * @size: bytes, not 0
 * @gfp: GFP_KERNEL, with flags
 *
 * It is zero, and each device may read and write it.
 *
 * Return: for granule_dma_memory_free(), also after devices were unbound;
 * ERR_PTR: -ENODEV, one is not in use; -EINVAL, no device or no size; -ENOMEM;
 * or what an IOMMU says. After an error no device has anything of it.
 */
struct granule_dma_memory *
granule_dma_memory_alloc(struct device *const *devs, unsigned int nr,
			 size_t size, gfp_t gfp);

void granule_dma_memory_free(struct granule_dma_memory *memory);

#endif
