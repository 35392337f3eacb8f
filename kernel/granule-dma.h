/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What granule-dma.ko, the kernel's DMA API over IOMMU pages of any size, and
 * the driver of an IOMMU (granule-virtio-iommu.ko) are for each other.
 *
 * To the IOMMU core, the default domain of every device behind such an IOMMU
 * is IOMMU_DOMAIN_IDENTITY: the core's own DMA API code cannot have pages
 * larger than the CPU's. What "default" means is then up to the two of us:
 * when the core attaches the default domain, the driver asks
 * granule_dma_domain() where the device really goes.
 *
 * Locking, outermost first: (the IOMMU core's group mutex) - the driver's
 * lock around attaching - granule-dma's locks - the driver's locks in map(),
 * sync() and unmap().
 */
#ifndef GRANULE_DMA_H
#define GRANULE_DMA_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/types.h>

/*
 * Declares with iommu_set_pgtable_quirks(), before the domain's first attach,
 * that its user knows that the IOMMU's smallest page may be larger than the
 * CPU's. Drivers of such IOMMUs refuse to attach a paging domain without it
 * (seed: __IOMMU_DOMAIN_LP). No quirk of <linux/io-pgtable.h> has this bit.
 */
#define GRANULE_DOMAIN_LARGE_PAGES BIT(30)

/*
 * Among the flags of report_iommu_fault(): which access it was is not known.
 * No IOMMU_FAULT_* has this bit, and 0 would be a read.
 */
#define GRANULE_FAULT_ANY BIT(16)

/*
 * Mappings on their way to the IOMMU. On its maker's stack, between map() and
 * sync(); the driver counts what is under way in @pending and keeps the first
 * error, both under its own lock.
 */
struct granule_dma_batch {
	struct iommu_domain *domain;
	unsigned int pending;
	int error;
};

/*
 * The driver of an IOMMU. map(), sync() and unmap() are called in any context
 * and do not sleep; the ranges are multiples of the domain's smallest page.
 */
struct granule_dma_provider {
	struct module *owner;
	const struct iommu_ops *ops;	/* of the devices it drives */

	/* Granules that have to stay free after each mapping: 0 or 1. */
	unsigned int gap;

	/*
	 * An empty paging domain for the IOMMU of @dev, unknown to the IOMMU
	 * core; pgsize_bitmap, geometry and ops are final.
	 * domain->ops->free() frees it. May sleep. Returns ERR_PTR.
	 */
	struct iommu_domain *(*domain_alloc)(struct device *dev);

	/*
	 * If @dev is in its default domain: ask granule_dma_domain() anew and
	 * move it there. May sleep. Called with no lock of granule-dma held.
	 */
	int (*settle)(struct device *dev);

	/*
	 * Does firmware, or whoever describes the machine, call @dev untrusted?
	 * NULL: pci_dev.untrusted says it.
	 */
	bool (*untrusted)(struct device *dev);

	/*
	 * Start to map iova..iova+size-1, where nothing is mapped. May return
	 * before the IOMMU knows. An error here is of this call alone.
	 */
	int (*map)(struct granule_dma_batch *batch, u64 iova, phys_addr_t paddr,
		   size_t size, int prot, gfp_t gfp);

	/*
	 * Wait for all of a batch. Returns 0 or its first error; the caller
	 * then unmaps the whole range, whatever of it was mapped.
	 */
	int (*sync)(struct granule_dma_batch *batch);

	/*
	 * Forget whatever is mapped between iova and iova+size-1; holes are
	 * no error, and no mapping reaches over the ends. When this returns
	 * the IOMMU has forgotten it. Cannot fail. Returns how many bytes were
	 * mapped.
	 */
	u64 (*unmap)(struct iommu_domain *domain, u64 iova, u64 size);
};

/**
 * granule_dma_register - start to serve the devices of an IOMMU driver
 * @provider: stays until granule_dma_unregister()
 * Return: 0, -EEXIST if it was registered already, -ENOMEM.
 *
 * To be called before the driver registers its first IOMMU.
 */
int granule_dma_register(const struct granule_dma_provider *provider);

/* No device of the provider is left: all went by granule_dma_remove(). */
void granule_dma_unregister(const struct granule_dma_provider *provider);

/**
 * granule_dma_domain - where a device in its default domain belongs now
 * @dev: a device of a registered provider, in an IOMMU group
 *
 * All devices of a group share one domain for the kernel's DMA API.
 *
 * Return: that domain; or NULL when the device is used untranslated, because
 * its driver was bound before granule-dma knew the device: let it bypass the
 * IOMMU until the driver is unbound, unless the device is untrusted; or
 * ERR_PTR when there cannot be one (no memory, an untrusted device in a group
 * with trusted ones): block it. May sleep.
 */
struct iommu_domain *granule_dma_domain(struct device *dev);

/* The IOMMU core releases the device; it is detached already. */
void granule_dma_remove(struct device *dev);

/*
 * Is the device not to be trusted with more than it is given? Its provider, or
 * the module parameter "untrusted", says so.
 */
bool granule_dma_untrusted(struct device *dev);

/* Has a driver finished probing the device, and not left it since? */
static inline bool granule_dma_driver_bound(struct device *dev)
{
	/* device_is_bound() is not for modules on every kernel. */
	return READ_ONCE(dev->links.status) == DL_DEV_DRIVER_BOUND;
}

/* Does the device's driver see to its DMA itself, as vfio-pci does? */
bool granule_dma_driver_managed(struct device *dev);

#endif
