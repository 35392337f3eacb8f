// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers about devices and address spaces, as capability chains.
 *
 * Everything is collected first, then the chain is measured, built whole in
 * zeroed memory, and copied to the caller at once.
 */
#include <linux/device.h>
#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/hwinfo.h"
#include "compat/iommu.h"
#include "core/capchain.h"
#include "private.h"

static_assert(sizeof(struct capchain_header) == sizeof(struct iommu_cap_header));

/* --- building --- */

/*
 * granule_respond_chain - answer with an info structure and a chain behind it
 * @head: the structure: argsz first, then flags; 8-aligned size
 * @fill: appends all capabilities; called twice
 * @source: for @fill
 * @caps_flag: set in flags when there is a chain
 * @cap_offset: the structure's field
 */
static int granule_respond_chain(struct granule_call *call, u32 *head,
				 u32 head_size,
				 void (*fill)(struct capchain *chain,
					      const void *source),
				 const void *source, u32 caps_flag,
				 u32 *cap_offset)
{
	struct capchain chain;
	u32 size;
	u8 *buf;
	int rc;

	capchain_init(&chain, NULL, 0, head_size);
	fill(&chain, source);
	rc = capchain_finish(&chain, &size);
	if (rc)
		return granule_fail(&call->why, rc, ERRNO);
	head[0] = head_size + size;
	*cap_offset = 0;
	if (size)
		head[1] |= caps_flag;
	if (!size || call->user_size < head_size + size)
		return granule_call_respond(call, head_size);

	buf = granule_should_fail() ? NULL :
		kvzalloc(head_size + size, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return granule_fail(&call->why, -ENOMEM, ERRNO);
	*cap_offset = head_size;
	memcpy(buf, head, head_size);
	capchain_init(&chain, buf + head_size, size, head_size);
	fill(&chain, source);
	rc = capchain_finish(&chain, &size);
	if (rc)
		granule_fail(&call->why, rc, ERRNO);
	else if (granule_should_fail() ||
		 copy_to_user(call->uarg, buf, head_size + size))
		rc = granule_fail(&call->why, -EFAULT, BAD_POINTER,
				  .out_addr = (uintptr_t)call->uarg);
	kvfree(buf);
	return rc;
}

static void granule_fill_width(struct capchain *chain, u16 id, u32 bits)
{
	struct iommu_device_cap_width *cap =
		capchain_add(chain, id, 1, sizeof(*cap));

	if (cap)
		cap->bits = bits;
}

static void granule_fill_regions(struct capchain *chain, u16 id,
				 const struct list_head *regions)
{
	struct iommu_device_cap_reserved_regions *cap;
	const struct granule_reserved *resv;
	u32 n = 0;

	list_for_each_entry(resv, regions, item)
		n++;
	cap = capchain_add(chain, id, 1, struct_size(cap, regions, n));
	if (!cap)
		return;
	cap->nr_regions = n;
	n = 0;
	list_for_each_entry(resv, regions, item) {
		cap->regions[n].start = resv->range.start;
		cap->regions[n].last = resv->range.last;
		cap->regions[n++].reason = resv->reason;
	}
}

/* --- devices --- */

struct granule_device_source {
	u64 pgsizes;
	u64 granule;
	struct iova_range *ranges;
	u32 nr_ranges;
	struct list_head regions;	/* granule_reserved, ascending */
	u32 output_bits;
	u32 pasid_bits;
	u32 group_id;
	u32 group_flags;
	u32 nr_devices, room_devices;
	char (*devices)[IOMMU_DEVICE_NAME_LEN];
	bool vtd, virtio;
	u64 vtd_cap, vtd_ecap;
	struct granule_virtio_config virtio_config;
};

static void granule_fill_iova_range(struct capchain *chain,
				    const struct granule_device_source *src)
{
	struct iommu_device_cap_iova_range *cap;
	u32 i;

	cap = capchain_add(chain, IOMMU_DEVICE_CAP_IOVA_RANGE, 1,
			   struct_size(cap, iova_ranges, src->nr_ranges));
	if (!cap)
		return;
	cap->nr_iovas = src->nr_ranges;
	for (i = 0; i < src->nr_ranges; i++) {
		cap->iova_ranges[i].start = src->ranges[i].start;
		cap->iova_ranges[i].last = src->ranges[i].last;
	}
}

static void granule_fill_reserved(struct capchain *chain,
				  const struct granule_device_source *src)
{
	granule_fill_regions(chain, IOMMU_DEVICE_CAP_RESERVED_REGIONS,
			     &src->regions);
}

static void granule_fill_granule(struct capchain *chain,
				 const struct granule_device_source *src)
{
	struct iommu_device_cap_granule *cap =
		capchain_add(chain, IOMMU_DEVICE_CAP_GRANULE, 1, sizeof(*cap));

	if (!cap)
		return;
	cap->pgsize_bitmap = src->pgsizes;
	cap->granule = src->granule;
	cap->cpu_page_size = PAGE_SIZE;
	if (src->granule > PAGE_SIZE)
		cap->flags |= IOMMU_GRANULE_NEEDS_CONTIGUOUS;
}

static void granule_fill_output(struct capchain *chain,
				const struct granule_device_source *src)
{
	granule_fill_width(chain, IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH,
			   src->output_bits);
}

static void granule_fill_pasid(struct capchain *chain,
			       const struct granule_device_source *src)
{
	if (src->pasid_bits)
		granule_fill_width(chain, IOMMU_DEVICE_CAP_PASID_WIDTH,
				   src->pasid_bits);
}

static void granule_fill_group(struct capchain *chain,
			       const struct granule_device_source *src)
{
	struct iommu_device_cap_group *cap;

	cap = capchain_add(chain, IOMMU_DEVICE_CAP_GROUP, 1,
			   struct_size(cap, devices, src->nr_devices));
	if (!cap)
		return;
	cap->group_id = src->group_id;
	cap->flags = src->group_flags;
	cap->nr_devices = src->nr_devices;
	memcpy(cap->devices, src->devices,
	       src->nr_devices * sizeof(*src->devices));
}

static void granule_fill_vtd(struct capchain *chain,
			     const struct granule_device_source *src)
{
	struct iommu_device_cap_pt_vtd *cap;

	if (!src->vtd)
		return;
	cap = capchain_add(chain, IOMMU_DEVICE_CAP_PT_VTD, 1, sizeof(*cap));
	if (!cap)
		return;
	cap->cap_reg = src->vtd_cap;
	cap->ecap_reg = src->vtd_ecap;
}

static void granule_fill_virtio(struct capchain *chain,
				const struct granule_device_source *src)
{
	const struct granule_virtio_config *config = &src->virtio_config;
	struct iommu_device_cap_pt_virtio *cap;

	if (!src->virtio)
		return;
	cap = capchain_add(chain, IOMMU_DEVICE_CAP_PT_VIRTIO, 1, sizeof(*cap));
	if (!cap)
		return;
	cap->page_size_mask = config->page_size_mask;
	cap->first_iova = config->first_iova;
	cap->last_iova = config->last_iova;
	cap->first_domain = config->first_domain;
	cap->last_domain = config->last_domain;
	if (config->bypass)
		cap->flags |= IOMMU_VIRTIO_BYPASS;
}

static void (*const granule_device_caps[])(struct capchain *chain,
		const struct granule_device_source *src) = {
	granule_fill_iova_range,
	granule_fill_reserved,
	granule_fill_granule,
	granule_fill_output,
	granule_fill_pasid,
	granule_fill_group,
	granule_fill_vtd,
	granule_fill_virtio,
};

static void granule_fill_device(struct capchain *chain, const void *source)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granule_device_caps); i++)
		granule_device_caps[i](chain, source);
}

static int granule_count_device(struct device *dev, void *data)
{
	struct granule_device_source *src = data;

	src->room_devices++;
	return 0;
}

static int granule_name_device(struct device *dev, void *data)
{
	struct granule_device_source *src = data;

	if (src->nr_devices < src->room_devices)
		strscpy(src->devices[src->nr_devices++], dev_name(dev),
			IOMMU_DEVICE_NAME_LEN);
	return 0;
}

/* Devices may join or leave between counting and naming: names win. */
static int granule_collect_group(struct granule_group *group,
				 struct granule_device_source *src)
{
	iommu_group_for_each_dev(group->iommu, src, granule_count_device);
	src->devices = granule_should_fail() ? NULL :
		kvcalloc(max(src->room_devices, 1U), sizeof(*src->devices),
			 GFP_KERNEL_ACCOUNT);
	if (!src->devices)
		return -ENOMEM;
	iommu_group_for_each_dev(group->iommu, src, granule_name_device);
	src->group_id = iommu_group_id(group->iommu);
	if (granule_group_has_isolated_msi(group->iommu))
		src->group_flags |= IOMMU_GROUP_ISOLATED_MSI;
	return 0;
}

static int granule_region_cmp(void *priv, const struct list_head *a,
			      const struct list_head *b)
{
	const struct granule_reserved *ra =
		list_entry(a, struct granule_reserved, item);
	const struct granule_reserved *rb =
		list_entry(b, struct granule_reserved, item);

	return ra->range.start > rb->range.start;
}

/* Aperture less what is reserved, in whole granules. */
static int granule_collect_ranges(struct granule_group *group,
				  struct granule_device_source *src)
{
	struct granule_reserved *resv;
	struct iova_range *used;
	phys_addr_t sw_msi;
	u32 n = 0;
	int rc;

	rc = granule_group_regions(group, NULL, &src->regions, &sw_msi, true);
	if (rc)
		return rc;
	list_sort(NULL, &src->regions, granule_region_cmp);
	list_for_each_entry(resv, &src->regions, item)
		n++;
	used = granule_should_fail() ? NULL :
		kvmalloc_array(max(n, 1U), sizeof(*used), GFP_KERNEL_ACCOUNT);
	src->ranges = granule_should_fail() ? NULL :
		kvmalloc_array(n + 1, sizeof(*src->ranges),
			       GFP_KERNEL_ACCOUNT);
	if (!used || !src->ranges) {
		kvfree(used);
		return -ENOMEM;
	}
	n = 0;
	list_for_each_entry(resv, &src->regions, item)
		if (resv->reason != IOMMU_RESV_REASON_DIRECT_RELAXABLE)
			used[n++] = resv->range;
	n = iova_ranges_merge(used, n);
	src->nr_ranges = iova_ranges_holes(used, n, &group->aperture,
					   src->granule, src->ranges, n + 1);
	kvfree(used);
	return 0;
}

static u32 granule_pasid_bits(struct device *dev)
{
	int max = dev_is_pci(dev) ? pci_max_pasids(to_pci_dev(dev)) : 0;

	return max > 0 ? ilog2(max) : 0;
}

static u32 granule_output_bits(void)
{
#ifdef CONFIG_X86
	return boot_cpu_data.x86_phys_bits;
#else
	return fls64(PHYS_ADDR_MAX >> 1) < MAX_PHYSMEM_BITS ?
		       fls64(PHYS_ADDR_MAX) : MAX_PHYSMEM_BITS;
#endif
}

static int granule_collect_device(struct granule_device *gdev,
				  struct granule_device_source *src)
{
	struct granule_group *group = gdev->group;
	int rc;

	src->pgsizes = group->pgsizes;
	src->granule = granule_of_bitmap(group->pgsizes);
	src->output_bits = granule_output_bits();
	src->pasid_bits = granule_pasid_bits(gdev->dev);
	src->vtd = !granule_vtd_registers(gdev->dev, &src->vtd_cap,
					  &src->vtd_ecap);
	src->virtio = !granule_virtio_config(gdev->dev, &src->virtio_config);
	rc = granule_collect_group(group, src);
	return rc ?: granule_collect_ranges(group, src);
}

int granule_device_get_info(struct granule_call *call)
{
	struct iommu_device_info *arg = call->arg;
	struct granule_device_source src = {};
	struct granule_device *gdev;
	int rc;

	INIT_LIST_HEAD(&src.regions);
	if (arg->dev_cookie > U32_MAX)
		return granule_fail(&call->why, -ENOENT, NO_OBJECT);
	gdev = granule_device_get(call->ctx, arg->dev_cookie, &call->why);
	if (IS_ERR(gdev))
		return PTR_ERR(gdev);
	rc = granule_collect_device(gdev, &src);
	arg->flags = IOMMU_DEVICE_INFO_PGSIZES | IOMMU_DEVICE_INFO_ADDR_WIDTH;
	if (granule_device_enforces_snoop(gdev->dev))
		arg->flags |= IOMMU_DEVICE_INFO_ENFORCE_SNOOP;
	arg->pgsize_bitmap = src.pgsizes;
	arg->addr_width = fls64(gdev->group->aperture.last);
	/* The device may go while the caller's memory is written to. */
	granule_object_put(call->ctx, &gdev->obj);
	if (rc)
		granule_fail(&call->why, rc, ERRNO);
	else
		rc = granule_respond_chain(call, (u32 *)arg, sizeof(*arg),
					   granule_fill_device, &src,
					   IOMMU_DEVICE_INFO_CAPS,
					   &arg->cap_offset);
	granule_reserved_free(&src.regions);
	kvfree(src.ranges);
	kvfree(src.devices);
	return rc;
}

/*
 * granule_get_hw_info - IOMMU_GET_HW_INFO
 *
 * The data come from the IOMMU driver. No PASID can be attached, so none is
 * offered here; IOMMU_DEVICE_CAP_PASID_WIDTH says what the device has.
 */
int granule_get_hw_info(struct granule_call *call)
{
	struct iommu_hw_info *arg = call->arg;
	u8 __user *to = u64_to_user_ptr(arg->data_uptr);
	struct granule_device *gdev;
	u32 length, n;
	void *data;
	int rc = 0;

	if (arg->flags || memchr_inv(arg->__reserved, 0,
				     sizeof(arg->__reserved)))
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	gdev = granule_device_get(call->ctx, arg->dev_id, &call->why);
	if (IS_ERR(gdev))
		return PTR_ERR(gdev);
	data = granule_should_fail() ? ERR_PTR(-ENOMEM) :
		granule_hw_info(gdev->dev, &length, &arg->out_data_type);
	granule_object_put(call->ctx, &gdev->obj);
	if (IS_ERR(data))
		return granule_fail(&call->why, PTR_ERR(data), ERRNO);
	n = min(length, arg->data_len);
	if (granule_should_fail() || copy_to_user(to, data, n) ||
	    clear_user(to + n, arg->data_len - n))
		rc = granule_fail(&call->why, -EFAULT, BAD_POINTER,
				  .out_addr = arg->data_uptr);
	kfree(data);
	if (rc)
		return rc;
	arg->data_len = length;
	arg->out_capabilities = 0;
	arg->out_max_pasid_log2 = 0;
	return granule_call_respond(call, sizeof(*arg));
}

/* --- address spaces --- */

struct granule_ioas_source {
	struct iommu_ioas_device *devices;
	u32 nr_devices;
	struct list_head regions;	/* granule_reserved, ascending */
};

static void granule_fill_ioas(struct capchain *chain, const void *source)
{
	const struct granule_ioas_source *src = source;
	struct iommu_ioas_cap_devices *cap;

	cap = capchain_add(chain, IOMMU_IOAS_CAP_DEVICES, 1,
			   struct_size(cap, devices, src->nr_devices));
	if (cap) {
		cap->nr_devices = src->nr_devices;
		memcpy(cap->devices, src->devices,
		       src->nr_devices * sizeof(*src->devices));
	}
	granule_fill_regions(chain, IOMMU_IOAS_CAP_RESERVED_REGIONS,
			     &src->regions);
}

/* A copy of the regions; each once, however many devices reserve it. */
static int granule_collect_regions(struct granule_ioas *ioas,
				   struct list_head *to)
{
	struct granule_reserved *resv, *seen, *copy;
	int rc = 0;

	lockdep_assert_held(&ioas->domains_rwsem);
	list_for_each_entry(resv, &ioas->reserved, item) {
		bool known = false;

		list_for_each_entry(seen, to, item)
			if (seen->range.start == resv->range.start &&
			    seen->range.last == resv->range.last &&
			    seen->reason == resv->reason)
				known = true;
		if (known)
			continue;
		copy = granule_reserved_new(NULL, resv->range.start,
					    resv->range.last, resv->reason);
		if (!copy)
			return -ENOMEM;
		list_add_tail(&copy->item, to);
	}
	return rc;
}

static int granule_collect_ioas(struct granule_ioas *ioas,
				struct iommu_ioas_info *info,
				struct granule_ioas_source *src)
{
	int rc;

	src->nr_devices = granule_ioas_devices(ioas, NULL, 0);
	src->devices = granule_should_fail() ? NULL :
		kvcalloc(src->nr_devices + 1, sizeof(*src->devices),
			 GFP_KERNEL_ACCOUNT);
	if (!src->devices)
		return -ENOMEM;
	src->nr_devices = min(src->nr_devices,
			      granule_ioas_devices(ioas, src->devices,
						   src->nr_devices));
	down_read(&ioas->domains_rwsem);
	info->granule = ioas->granule;
	info->iova_alignment = ioas->alignment;
	mutex_lock(&ioas->lock);
	info->nr_areas = ioas->nr_areas;
	info->mapped_bytes = ioas->mapped_bytes;
	info->pinned_bytes = ioas->nr_hwpts ? ioas->held_pages << PAGE_SHIFT :
					      0;
	info->area_quota = ioas->area_quota;
	mutex_unlock(&ioas->lock);
	rc = granule_collect_regions(ioas, &src->regions);
	up_read(&ioas->domains_rwsem);
	return rc;
}

int granule_ioas_get_info(struct granule_call *call)
{
	struct iommu_ioas_info *arg = call->arg;
	struct granule_ioas_source src = {};
	struct granule_ioas *ioas;
	int rc;

	INIT_LIST_HEAD(&src.regions);
	ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = granule_collect_ioas(ioas, arg, &src);
	granule_ioas_put(ioas);
	arg->flags = 0;
	granule_memlock_usage(call->ctx, &arg->memlock_used,
			      &arg->memlock_limit);
	if (rc)
		granule_fail(&call->why, rc, ERRNO);
	else
		rc = granule_respond_chain(call, (u32 *)arg, sizeof(*arg),
					   granule_fill_ioas, &src,
					   IOMMU_IOAS_INFO_CAPS,
					   &arg->cap_offset);
	granule_reserved_free(&src.regions);
	kvfree(src.devices);
	return rc;
}
