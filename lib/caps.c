// SPDX-License-Identifier: LGPL-2.1-only
/* Find and check the capabilities of the info ioctls. */
#include <string.h>

#include "core/capchain.h"
#include "libiommu.h"

/* How a capability is checked: a count at the end of a fixed part. */
struct cap_shape {
	u16 id;
	u16 version;
	u32 fixed;		/* bytes in front of the array */
	u32 count_at;		/* offset of the number of elements; 0: none */
	u32 element;		/* bytes of one */
	bool names;		/* the elements end with a name */
	size_t slot;		/* offset of the pointer to fill in */
};

#define NAME_LEN IOMMU_DEVICE_NAME_LEN

/* A capability without and with an array; T is what @slot points to. */
#define FIXED(caps, ID, T, field) \
	{ .id = ID, .version = 1, .fixed = sizeof(struct T), \
	  .slot = offsetof(struct caps, field) }
#define ARRAY(caps, ID, T, count, array, named, field) \
	{ .id = ID, .version = 1, .fixed = offsetof(struct T, array), \
	  .count_at = offsetof(struct T, count), \
	  .element = sizeof(((struct T *)0)->array[0]), .names = named, \
	  .slot = offsetof(struct caps, field) }

static const struct cap_shape device_shapes[] = {
	ARRAY(iommu_device_caps, IOMMU_DEVICE_CAP_IOVA_RANGE,
	      iommu_device_cap_iova_range, nr_iovas, iova_ranges, false,
	      iova_ranges),
	ARRAY(iommu_device_caps, IOMMU_DEVICE_CAP_RESERVED_REGIONS,
	      iommu_device_cap_reserved_regions, nr_regions, regions, false,
	      reserved),
	FIXED(iommu_device_caps, IOMMU_DEVICE_CAP_GRANULE,
	      iommu_device_cap_granule, granule),
	FIXED(iommu_device_caps, IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH,
	      iommu_device_cap_width, output_width),
	FIXED(iommu_device_caps, IOMMU_DEVICE_CAP_PASID_WIDTH,
	      iommu_device_cap_width, pasid_width),
	ARRAY(iommu_device_caps, IOMMU_DEVICE_CAP_GROUP,
	      iommu_device_cap_group, nr_devices, devices, true, group),
	FIXED(iommu_device_caps, IOMMU_DEVICE_CAP_PT_VTD,
	      iommu_device_cap_pt_vtd, vtd),
};

static const struct cap_shape ioas_shapes[] = {
	ARRAY(iommu_ioas_caps, IOMMU_IOAS_CAP_DEVICES, iommu_ioas_cap_devices,
	      nr_devices, devices, true, devices),
	ARRAY(iommu_ioas_caps, IOMMU_IOAS_CAP_RESERVED_REGIONS,
	      iommu_device_cap_reserved_regions, nr_regions, regions, false,
	      reserved),
};

static int check(const struct capchain_cap *cap, const struct cap_shape *s)
{
	const char *data = cap->data;
	u32 i, n = 0;

	if (cap->size < s->fixed)
		return -EBADMSG;
	if (!s->element)
		return 0;
	memcpy(&n, data + s->count_at, sizeof(n));
	if (n > (cap->size - s->fixed) / s->element)
		return -EBADMSG;
	for (i = 0; s->names && i < n; i++) {
		const char *end = data + s->fixed + (size_t)(i + 1) * s->element;

		if (!memchr(end - NAME_LEN, 0, NAME_LEN))
			return -EBADMSG;
	}
	return 0;
}

static int read_chain(const void *info, u32 size, u32 first,
		      const struct cap_shape *shapes, size_t nr, void *caps)
{
	struct capchain_iter it;
	struct capchain_cap cap;
	size_t i;
	int rc;

	capchain_read(&it, info, size, first);
	while ((rc = capchain_next(&it, &cap)) > 0) {
		for (i = 0; i < nr; i++) {
			/* A newer version is another structure: unknown. */
			if (shapes[i].id != cap.id ||
			    shapes[i].version != cap.version)
				continue;
			rc = check(&cap, &shapes[i]);
			if (rc)
				return rc;
			memcpy((char *)caps + shapes[i].slot, &cap.data,
			       sizeof(cap.data));
		}
	}
	return rc ? -EBADMSG : 0;
}

int iommu_device_caps_read(const struct iommu_device_info *info,
			   struct iommu_device_caps *ret)
{
	*ret = (struct iommu_device_caps){ 0 };
	if (info->argsz < sizeof(*info))
		return -EBADMSG;
	if (!(info->flags & IOMMU_DEVICE_INFO_CAPS))
		return 0;
	return read_chain(info, info->argsz, info->cap_offset, device_shapes,
			  sizeof(device_shapes) / sizeof(device_shapes[0]),
			  ret);
}

int iommu_ioas_caps_read(const struct iommu_ioas_info *info,
			 struct iommu_ioas_caps *ret)
{
	*ret = (struct iommu_ioas_caps){ 0 };
	if (info->argsz < sizeof(*info))
		return -EBADMSG;
	if (!(info->flags & IOMMU_IOAS_INFO_CAPS))
		return 0;
	return read_chain(info, info->argsz, info->cap_offset, ioas_shapes,
			  sizeof(ioas_shapes) / sizeof(ioas_shapes[0]), ret);
}
