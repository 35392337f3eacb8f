// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device says of an endpoint: the addresses that are not for memory.
 */
#include <linux/cleanup.h>
#include <linux/list_sort.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "private.h"

/* Where doorbells may be mapped if the device has no place for them. */
#define VIOMMU_SW_MSI_BASE 0x8000000
#define VIOMMU_SW_MSI_SIZE 0x100000

/* x86 has interrupts at an address of the CPU's, never translated. */
#define VIOMMU_NEEDS_MSI_WINDOW !IS_ENABLED(CONFIG_X86)

#define VIOMMU_MSI_PROT (IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO)

static int viommu_reserve(struct viommu_endpoint *ep, u64 first, u64 size,
			  enum iommu_resv_type type)
{
	int prot = type == IOMMU_RESV_RESERVED ? 0 : VIOMMU_MSI_PROT;
	struct iommu_resv_region *region;

	/* Each of the endpoint's IDs may have it. */
	list_for_each_entry(region, &ep->reserved, list)
		if (region->start == first && region->length == size &&
		    region->type == type)
			return 0;
	region = iommu_alloc_resv_region(first, size, prot, type, GFP_KERNEL);
	if (!region)
		return -ENOMEM;
	list_add_tail(&region->list, &ep->reserved);
	return 0;
}

static int viommu_read_resv_mem(struct viommu_endpoint *ep, const void *prop,
				size_t size)
{
	const struct virtio_iommu_probe_resv_mem *mem = prop;
	enum iommu_resv_type type = IOMMU_RESV_RESERVED;
	u64 first, last;

	if (size < sizeof(*mem)) {
		dev_err(ep->dev,
			"virtio-iommu: reserved memory described by %zu bytes, %zu are needed\n",
			size, sizeof(*mem));
		return -EINVAL;
	}
	first = le64_to_cpu(mem->start);
	last = le64_to_cpu(mem->end);
	if (first > last || last - first == U64_MAX) {
		dev_err(ep->dev,
			"virtio-iommu: reserved memory %#llx-%#llx is none, or all\n",
			first, last);
		return -EINVAL;
	}
	if (mem->subtype == VIRTIO_IOMMU_RESV_MEM_T_MSI)
		type = IOMMU_RESV_MSI;
	else if (mem->subtype != VIRTIO_IOMMU_RESV_MEM_T_RESERVED)
		dev_warn(ep->dev,
			 "virtio-iommu: %#llx-%#llx is reserved for a purpose (%u) that is not known\n",
			 first, last, mem->subtype);
	return viommu_reserve(ep, first, last - first + 1, type);
}

/* A list of properties ends with one of type 0, or with the room for it. */
static int viommu_read_list(struct viommu_endpoint *ep, const u8 *list,
			    size_t size)
{
	const struct virtio_iommu_probe_property *prop;
	size_t at = 0, length;
	u16 type;
	int rc;

	while (size - at >= sizeof(*prop)) {
		prop = (const void *)(list + at);
		type = le16_to_cpu(prop->type) & VIRTIO_IOMMU_PROBE_T_MASK;
		if (type == VIRTIO_IOMMU_PROBE_T_NONE)
			break;
		length = sizeof(*prop) + le16_to_cpu(prop->length);
		if (length > size - at) {
			dev_err(ep->dev,
				"virtio-iommu: property of %zu bytes, %zu are left\n",
				length, size - at);
			return -EINVAL;
		}
		if (type == VIRTIO_IOMMU_PROBE_T_RESV_MEM) {
			rc = viommu_read_resv_mem(ep, prop, length);
			if (rc)
				return rc;
		} else {
			dev_info(ep->dev,
				 "virtio-iommu: property %#x is not known\n",
				 type);
		}
		at += length;
	}
	return 0;
}

static int viommu_region_order(void *unused, const struct list_head *a,
			       const struct list_head *b)
{
	return list_entry(a, struct iommu_resv_region, list)->start >
	       list_entry(b, struct iommu_resv_region, list)->start;
}

static int viommu_add_msi_window(struct viommu_endpoint *ep)
{
	struct iommu_resv_region *region;

	if (!VIOMMU_NEEDS_MSI_WINDOW)
		return 0;
	list_for_each_entry(region, &ep->reserved, list)
		if (region->type == IOMMU_RESV_MSI)
			return 0;
	return viommu_reserve(ep, VIOMMU_SW_MSI_BASE, VIOMMU_SW_MSI_SIZE,
			      IOMMU_RESV_SW_MSI);
}

/**
 * viommu_properties_read - fill an endpoint's list of reserved regions
 * @ep: a new endpoint
 * Return: 0; -ENODEV if the device knows none of its IDs; -EINVAL if it says
 * what cannot be; -ENOMEM; or an error of the request.
 */
int viommu_properties_read(struct viommu_endpoint *ep)
{
	struct viommu *viommu = ep->viommu;
	struct virtio_iommu_req_probe *req;
	unsigned int i, known = 0;
	int rc = 0;

	if (!viommu->probe_size)
		return viommu_add_msi_window(ep);
	req = kzalloc(sizeof(*req) + viommu->probe_size +
		      sizeof(struct virtio_iommu_req_tail), GFP_KERNEL);
	if (!req)
		return -ENOMEM;
	for (i = 0; i < ep->nr_ids && !rc; i++) {
		memset(req, 0, sizeof(*req) + viommu->probe_size);
		req->head.type = VIRTIO_IOMMU_T_PROBE;
		req->endpoint = cpu_to_le32(ep->ids[i]);
		rc = viommu_send_probe(viommu, req);
		if (rc == -ENOENT) {
			rc = 0;
			continue;
		}
		if (!rc)
			rc = viommu_read_list(ep, req->properties,
					      viommu->probe_size);
		known++;
	}
	/* A broken device may still write there. */
	if (!READ_ONCE(viommu->broken))
		kfree(req);
	if (!rc && !known) {
		dev_info(ep->dev,
			 "virtio-iommu: %s does not know endpoint %#x: not translated\n",
			 dev_name(&viommu->vdev->dev), ep->ids[0]);
		rc = -ENODEV;
	}
	if (!rc)
		rc = viommu_add_msi_window(ep);
	list_sort(NULL, &ep->reserved, viommu_region_order);
	return rc;
}

/*
 * Older kernels release a device before it leaves its group, and whoever asks
 * for the group's regions may find it there until then.
 */
DEFINE_MUTEX(viommu_priv_lock);

void viommu_get_resv_regions(struct device *dev, struct list_head *list)
{
	struct iommu_resv_region *region, *copy;
	struct viommu_endpoint *ep;

	guard(mutex)(&viommu_priv_lock);
	ep = dev_iommu_priv_get(dev);
	if (!ep)
		return;
	list_for_each_entry(region, &ep->reserved, list) {
		copy = iommu_alloc_resv_region(region->start, region->length,
					       region->prot, region->type,
					       GFP_KERNEL);
		if (!copy) {
			dev_err(dev,
				"virtio-iommu: no memory to tell its reserved regions\n");
			return;
		}
		list_add_tail(&copy->list, list);
	}
}
