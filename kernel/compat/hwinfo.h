/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What IOMMU hardware says of itself, also where the kernel does not tell: the
 * width that a device's IOMMU really translates, its page sizes, and enforced
 * snooping.
 *
 * The drivers of these kernels allocate a domain without a device, which knows
 * none of that before an attach. For Intel VT-d the registers are public in
 * sysfs, as is the configuration of our virtio-iommu driver's, and the
 * attribute that shows them there shows them here as well.
 */
#ifndef COMPAT_HWINFO_H
#define COMPAT_HWINFO_H

#include <linux/bits.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/kstrtox.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <granule/iommufd.h>

/* A hexadecimal attribute of the IOMMU instance that @dev is behind. */
static inline int granule_iommu_attr(struct device *dev, const char *group,
				     const char *name, u64 *value)
{
	const struct attribute_group **groups, *g;
	struct device_attribute *attr;
	struct attribute **a;
	struct device *iommu;
	ssize_t n;
	char *page;
	int rc;

	if (!dev->iommu || !dev->iommu->iommu_dev ||
	    !dev->iommu->iommu_dev->dev)
		return -ENODEV;
	iommu = dev->iommu->iommu_dev->dev;
	for (groups = iommu->groups; groups && *groups; groups++) {
		g = *groups;
		if (!g->name || strcmp(g->name, group))
			continue;
		for (a = g->attrs; a && *a; a++) {
			if (strcmp((*a)->name, name))
				continue;
			attr = container_of(*a, struct device_attribute, attr);
			page = (char *)get_zeroed_page(GFP_KERNEL);
			if (!page)
				return -ENOMEM;
			n = attr->show(iommu, attr, page);
			rc = n < 0 ? n : kstrtou64(strim(page), 16, value);
			free_page((unsigned long)page);
			return rc;
		}
	}
	return -ENODEV;
}

/* 0 and VT-d's capability registers; -ENODEV for other IOMMUs. */
static inline int granule_vtd_registers(struct device *dev, u64 *cap, u64 *ecap)
{
	int rc = granule_iommu_attr(dev, "intel-iommu", "cap", cap);

	return rc ?: granule_iommu_attr(dev, "intel-iommu", "ecap", ecap);
}

/**
 * struct granule_virtio_config - a virtio-iommu's configuration
 * @page_size_mask: its page sizes
 * @first_iova: what it translates
 * @last_iova: inclusive
 * @first_domain: its address spaces' numbers
 * @last_domain: inclusive
 * @bypass: 1 if devices can go past it
 */
struct granule_virtio_config {
	u64 page_size_mask;
	u64 first_iova, last_iova;
	u64 first_domain, last_domain;
	u64 bypass;
};

/* 0 and the configuration; -ENODEV when another driver drives the IOMMU. */
static inline int granule_virtio_config(struct device *dev,
					struct granule_virtio_config *config)
{
	const struct {
		const char *name;
		u64 *value;
	} fields[] = {
		{ "page_size_mask", &config->page_size_mask },
		{ "first_iova", &config->first_iova },
		{ "last_iova", &config->last_iova },
		{ "first_domain", &config->first_domain },
		{ "last_domain", &config->last_domain },
		{ "bypass", &config->bypass },
	};
	unsigned int i;
	int rc = 0;

	for (i = 0; i < ARRAY_SIZE(fields) && !rc; i++)
		rc = granule_iommu_attr(dev, "granule-virtio-iommu",
					fields[i].name, fields[i].value);
	return rc;
}

/**
 * granule_hw_info - the IOMMU driver's own description of the hardware
 * @length: bytes of it
 * @type: enum iommu_hw_info_type
 * Return: kmalloc()ed data, NULL when there is none, or ERR_PTR.
 */
static inline void *granule_hw_info(struct device *dev, u32 *length, u32 *type)
{
#ifdef HAVE_IOMMU_OPS_HW_INFO
	const struct iommu_ops *ops = dev->iommu->iommu_dev->ops;

	*type = IOMMU_HW_INFO_TYPE_NONE;
	*length = 0;
	return ops->hw_info ? ops->hw_info(dev, length, type) : NULL;
#else
	struct iommu_hw_info_vtd *vtd;
	u64 cap, ecap;

	*type = IOMMU_HW_INFO_TYPE_NONE;
	*length = 0;
	if (granule_vtd_registers(dev, &cap, &ecap))
		return NULL;
	vtd = kzalloc(sizeof(*vtd), GFP_KERNEL);
	if (!vtd)
		return ERR_PTR(-ENOMEM);
	vtd->cap_reg = cap;
	vtd->ecap_reg = ecap;
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	*length = sizeof(*vtd);
	return vtd;
#endif
}

/**
 * granule_table_format - what of page tables differs between IOMMUs of a kind
 *
 * VT-d's driver takes a table that it made for one unit to another one that
 * does not see the CPU's caches when it walks tables, or has fewer large pages.
 * Return: equal where a page table may serve both devices.
 */
static inline u64 granule_table_format(struct device *dev)
{
	u64 cap, ecap;

	if (granule_vtd_registers(dev, &cap, &ecap))
		return 0;
	/* C is bit 0, SMPWC bit 48; SLLPS are bits 34-37, FL1GP is bit 56. */
	return (ecap & (BIT_ULL(0) | BIT_ULL(48))) |
	       (cap & (GENMASK_ULL(37, 34) | BIT_ULL(56)));
}

/* Does the IOMMU make a device's DMA snoop caches whatever it asks for? */
static inline bool granule_device_enforces_snoop(struct device *dev)
{
#ifdef HAVE_IOMMU_CAP_ENFORCE_CACHE_COHERENCY
	return device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
#else
	u64 cap, ecap;

	/* Snoop Control, VT-d specification 11.4.3, bit 7 */
	return !granule_vtd_registers(dev, &cap, &ecap) && ecap & BIT_ULL(7);
#endif
}

/*
 * A first-stage table is as wide as the CPU's, of which the upper half is not
 * addressable, so the driver announces one bit less than the 57 it otherwise
 * starts from.
 */
static inline bool granule_vtd_first_stage(u64 aperture_last)
{
	return fls64(aperture_last) == 56;
}

/**
 * granule_pgsizes - the page sizes of the device's IOMMU
 * @bitmap: those that an unattached domain claims
 * @last: the last IOVA that it claims
 *
 * VT-d's driver adds large pages only when a device is attached. Ours of
 * virtio-iommus cannot tell, on kernels that do not say for which device a
 * domain is, which of several they will be.
 */
static inline u64 granule_pgsizes(struct device *dev, u64 bitmap, u64 last)
{
	struct granule_virtio_config config;
	u64 cap, ecap;

	if (!granule_virtio_config(dev, &config))
		return config.page_size_mask;
	if (granule_vtd_registers(dev, &cap, &ecap))
		return bitmap;
	/* FL1GP is bit 56; SLLPS are bits 34 (2M) and 35 (1G). */
	if (granule_vtd_first_stage(last))
		return bitmap | SZ_2M | (cap & BIT_ULL(56) ? SZ_1G : 0);
	return bitmap | (cap & BIT_ULL(34) ? SZ_2M : 0) |
	       (cap & BIT_ULL(35) ? SZ_1G : 0);
}

/**
 * granule_aperture_last - the last IOVA that the device's IOMMU translates
 * @last: what an unattached domain claims
 *
 * VT-d's driver claims 57 bits until a device is attached, and afterwards as
 * well, but then refuses to map what the hardware cannot translate.
 */
static inline u64 granule_aperture_last(struct device *dev, u64 last)
{
	u64 cap, ecap, width, sagaw;

	if (granule_vtd_registers(dev, &cap, &ecap))
		return last;
	/*
	 * The hardware has the largest page table of its SAGAW field (bits
	 * 8-12: 39, 48, 57 bits from bit 1 on), and no more than MGAW (bits
	 * 16-21, less one) bits are addresses.
	 */
	width = (cap >> 16 & 0x3f) + 1;
	sagaw = cap >> 8 & 0xe;
	/*
	 * Where it could have first-stage tables as well (SMTS, SLTS, FLTS are
	 * bits 43, 46, 47), the driver may make no table that could not be one:
	 * 48 bits, or 57 with FL5LP, bit 60.
	 */
	if (!(~ecap & (BIT_ULL(43) | BIT_ULL(46) | BIT_ULL(47))) &&
	    sagaw & (cap & BIT_ULL(60) ? 0xc : 0x4))
		sagaw &= cap & BIT_ULL(60) ? 0xc : 0x4;
	if (sagaw)
		width = min(width, 30 + 9 * (u64)__fls(sagaw));
	if (granule_vtd_first_stage(last))
		width--;
	return width < 64 ? min(last, BIT_ULL(width) - 1) : last;
}

#endif
