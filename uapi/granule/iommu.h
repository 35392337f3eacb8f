/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What Granule's /dev/iommu offers beyond upstream's <linux/iommufd.h>.
 *
 * The numbers start at 0xc0, away from those that upstream gives out.
 * IOMMU_DEVICE_GET_INFO and its capability chain come from Liu Yi L's RFC
 * "iommu/iommufd: Report iova range to userspace" (2021-09-19).
 */
#ifndef _UAPI_GRANULE_IOMMU_H
#define _UAPI_GRANULE_IOMMU_H

#include <granule/iommufd.h>

enum {
	IOMMU_GRANULE_CMD_BASE = 0xc0,
	IOMMU_GRANULE_CMD_DEVICE_GET_INFO = IOMMU_GRANULE_CMD_BASE,
	IOMMU_GRANULE_CMD_IOAS_GET_INFO = 0xc1,
	IOMMU_GRANULE_CMD_IOAS_LIST_AREAS = 0xc2,
	IOMMU_GRANULE_CMD_BUFFER_ALLOC = 0xc3,
	IOMMU_GRANULE_CMD_GET_LAST_ERROR = 0xc4,
};

/**
 * struct iommu_cap_header - start of every capability of a chain
 * @id: of enum iommu_device_cap or enum iommu_ioas_cap
 * @version: of this capability's structure
 * @next: offset of the next header from the start of the info structure, a
 *	multiple of 8 and larger than this one's own offset; 0 at the end
 *
 * The layout is that of VFIO's struct vfio_info_cap_header.
 */
struct iommu_cap_header {
	__u16 id;
	__u16 version;
	__u32 next;
};

/**
 * struct iommu_device_info - ioctl(IOMMU_DEVICE_GET_INFO)
 * @argsz: in: bytes of the buffer that starts with this structure, at least
 *	sizeof(struct iommu_device_info) (EINVAL); out: bytes needed for all
 * @flags: out: IOMMU_DEVICE_INFO_*; ignored on input
 * @dev_cookie: in: the device, the ID that VFIO_DEVICE_BIND_IOMMUFD returned
 * @pgsize_bitmap: out: page sizes of the device's IOMMU, one bit each; valid
 *	with IOMMU_DEVICE_INFO_PGSIZES
 * @addr_width: out: width of IOVAs in bits; valid with
 *	IOMMU_DEVICE_INFO_ADDR_WIDTH
 * @cap_offset: out: offset of the first capability, or 0 when the buffer is
 *	too small for the chain
 *
 * What a device's IOMMU can do. Works from bind on, before any attach. When
 * the buffer is too small the call succeeds, @argsz says what is needed,
 * IOMMU_DEVICE_INFO_CAPS is set and @cap_offset is 0: call again with more.
 * ENOENT: no such device.
 */
struct iommu_device_info {
	__u32 argsz;
	__u32 flags;
#define IOMMU_DEVICE_INFO_ENFORCE_SNOOP (1 << 0) /* IOMMU enforces snooping */
#define IOMMU_DEVICE_INFO_PGSIZES (1 << 1) /* pgsize_bitmap is valid */
#define IOMMU_DEVICE_INFO_ADDR_WIDTH (1 << 2) /* addr_width is valid */
#define IOMMU_DEVICE_INFO_CAPS (1 << 3) /* there is a capability chain */
	__aligned_u64 dev_cookie;
	__aligned_u64 pgsize_bitmap;
	__u32 addr_width;
	__u32 cap_offset;
};
#define IOMMU_DEVICE_GET_INFO \
	_IO(IOMMUFD_TYPE, IOMMU_GRANULE_CMD_DEVICE_GET_INFO)

/**
 * enum iommu_device_cap - capabilities of IOMMU_DEVICE_GET_INFO
 * @IOMMU_DEVICE_CAP_IOVA_RANGE: struct iommu_device_cap_iova_range
 * @IOMMU_DEVICE_CAP_RESERVED_REGIONS: struct iommu_device_cap_reserved_regions
 * @IOMMU_DEVICE_CAP_GRANULE: struct iommu_device_cap_granule
 * @IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH: struct iommu_device_cap_width
 * @IOMMU_DEVICE_CAP_PASID_WIDTH: struct iommu_device_cap_width; absent when
 *	the device has no PASIDs
 * @IOMMU_DEVICE_CAP_GROUP: struct iommu_device_cap_group
 * @IOMMU_DEVICE_CAP_PT_VTD: struct iommu_device_cap_pt_vtd; page-table format
 *	of Intel VT-d
 * @IOMMU_DEVICE_CAP_PT_VIRTIO: struct iommu_device_cap_pt_virtio; of a
 *	virtio-iommu
 *
 * A program skips those it does not know.
 */
enum iommu_device_cap {
	IOMMU_DEVICE_CAP_IOVA_RANGE = 1,
	IOMMU_DEVICE_CAP_RESERVED_REGIONS = 2,
	IOMMU_DEVICE_CAP_GRANULE = 3,
	IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH = 4,
	IOMMU_DEVICE_CAP_PASID_WIDTH = 5,
	IOMMU_DEVICE_CAP_GROUP = 6,
	IOMMU_DEVICE_CAP_PT_VTD = 0x100,
	IOMMU_DEVICE_CAP_PT_VIRTIO = 0x101,
};

/**
 * struct iommu_device_cap_iova_range - IOVAs that the device can use
 * @header: id IOMMU_DEVICE_CAP_IOVA_RANGE, version 1
 * @nr_iovas: number of ranges
 * @__reserved: 0
 * @iova_ranges: ascending; aperture less reserved regions, shrunk to granules
 *
 * The layout is that of VFIO type1's vfio_iommu_type1_info_cap_iova_range.
 */
struct iommu_device_cap_iova_range {
	struct iommu_cap_header header;
	__u32 nr_iovas;
	__u32 __reserved;
	struct iommu_iova_range iova_ranges[];
};

/**
 * enum iommu_resv_reason - why a region is reserved
 * @IOMMU_RESV_REASON_DIRECT: firmware needs it mapped 1:1
 * @IOMMU_RESV_REASON_DIRECT_RELAXABLE: firmware asked for it, but it can be
 *	given to a user; does not narrow the IOVA ranges
 * @IOMMU_RESV_REASON_RESERVED: the platform or the bus uses these addresses
 * @IOMMU_RESV_REASON_MSI: writes there are interrupts
 * @IOMMU_RESV_REASON_SW_MSI: the kernel maps the MSI doorbell there
 * @IOMMU_RESV_REASON_APERTURE: the IOMMU does not translate these addresses
 */
enum iommu_resv_reason {
	IOMMU_RESV_REASON_DIRECT = 0,
	IOMMU_RESV_REASON_DIRECT_RELAXABLE = 1,
	IOMMU_RESV_REASON_RESERVED = 2,
	IOMMU_RESV_REASON_MSI = 3,
	IOMMU_RESV_REASON_SW_MSI = 4,
	IOMMU_RESV_REASON_APERTURE = 5,
};

/**
 * struct iommu_resv_region_info - a reserved region
 * @start: first IOVA
 * @last: last IOVA, inclusive
 * @reason: of enum iommu_resv_reason
 * @__reserved: 0
 */
struct iommu_resv_region_info {
	__aligned_u64 start;
	__aligned_u64 last;
	__u32 reason;
	__u32 __reserved;
};

/**
 * struct iommu_device_cap_reserved_regions - reserved regions, with reasons
 * @header: id IOMMU_DEVICE_CAP_RESERVED_REGIONS, version 1
 * @nr_regions: number of regions
 * @__reserved: 0
 * @regions: ascending by start, as the IOMMU driver reports them
 */
struct iommu_device_cap_reserved_regions {
	struct iommu_cap_header header;
	__u32 nr_regions;
	__u32 __reserved;
	struct iommu_resv_region_info regions[];
};

/**
 * struct iommu_device_cap_granule - page sizes
 * @header: id IOMMU_DEVICE_CAP_GRANULE, version 1
 * @pgsize_bitmap: IOMMU page sizes, one bit each
 * @granule: the smallest of them
 * @cpu_page_size: the CPU's page size
 * @flags: IOMMU_GRANULE_*
 * @__reserved: 0
 */
struct iommu_device_cap_granule {
	struct iommu_cap_header header;
	__aligned_u64 pgsize_bitmap;
	__aligned_u64 granule;
	__aligned_u64 cpu_page_size;
	__u32 flags;
	/* User memory must be physically contiguous within each granule. */
#define IOMMU_GRANULE_NEEDS_CONTIGUOUS (1 << 0)
	__u32 __reserved;
};

/**
 * struct iommu_device_cap_width - a width in bits
 * @header: id IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH (of the physical addresses
 *	that page tables can hold) or IOMMU_DEVICE_CAP_PASID_WIDTH, version 1
 * @bits: the width
 * @__reserved: 0
 */
struct iommu_device_cap_width {
	struct iommu_cap_header header;
	__u32 bits;
	__u32 __reserved;
};

#define IOMMU_DEVICE_NAME_LEN 32

/**
 * struct iommu_device_cap_group - the IOMMU group of the device
 * @header: id IOMMU_DEVICE_CAP_GROUP, version 1
 * @group_id: number of the group, as in sysfs
 * @flags: IOMMU_GROUP_*
 * @nr_devices: number of devices in the group
 * @__reserved: 0
 * @devices: their names (PCI addresses), NUL-terminated
 *
 * Devices of one group cannot be isolated from each other: they are claimed
 * together and share one IOAS.
 */
struct iommu_device_cap_group {
	struct iommu_cap_header header;
	__u32 group_id;
	__u32 flags;
#define IOMMU_GROUP_ISOLATED_MSI (1 << 0) /* interrupts are remapped */
	__u32 nr_devices;
	__u32 __reserved;
	char devices[][IOMMU_DEVICE_NAME_LEN];
};

/**
 * struct iommu_device_cap_pt_vtd - Intel VT-d registers
 * @header: id IOMMU_DEVICE_CAP_PT_VTD, version 1
 * @cap_reg: capability register (VT-d specification 11.4.2)
 * @ecap_reg: extended capability register (11.4.3)
 */
struct iommu_device_cap_pt_vtd {
	struct iommu_cap_header header;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * struct iommu_device_cap_pt_virtio - configuration of a virtio-iommu
 * @header: id IOMMU_DEVICE_CAP_PT_VIRTIO, version 1
 * @page_size_mask: page sizes, one bit each
 * @first_iova: IOVAs that it translates: from here
 * @last_iova: to here, inclusive
 * @first_domain: numbers of its address spaces: from here
 * @last_domain: to here, inclusive
 * @flags: IOMMU_VIRTIO_*
 * @__reserved: 0
 *
 * There are no page tables in memory that could be shared with it: mappings
 * are requests of the virtio-iommu protocol (virtio specification 5.13).
 * Absent when the kernel's own driver drives it.
 */
struct iommu_device_cap_pt_virtio {
	struct iommu_cap_header header;
	__aligned_u64 page_size_mask;
	__aligned_u64 first_iova;
	__aligned_u64 last_iova;
	__u32 first_domain;
	__u32 last_domain;
	__u32 flags;
#define IOMMU_VIRTIO_BYPASS (1 << 0) /* devices can go past it */
	__u32 __reserved;
};

/**
 * struct iommu_ioas_info - ioctl(IOMMU_IOAS_GET_INFO)
 * @argsz: as in struct iommu_device_info
 * @flags: out: IOMMU_IOAS_INFO_*; ignored on input
 * @ioas_id: in: the IOAS
 * @cap_offset: out: offset of the first capability, or 0
 * @granule: out: the largest of the attached IOMMUs' smallest pages and
 *	IOMMU_OPTION_IOAS_GRANULE; 0 with neither
 * @iova_alignment: out: what IOVAs and lengths must be a multiple of
 * @nr_areas: out: number of mappings
 * @mapped_bytes: out: bytes mapped
 * @pinned_bytes: out: bytes of memory held by mappings here; memory that is
 *	mapped more than once is counted in each
 * @area_quota: out: largest number of mappings, 2^64-1 when not limited
 * @memlock_limit: out: the caller's RLIMIT_MEMLOCK in bytes, 2^64-1 when not
 *	limited; CAP_IPC_LOCK lifts the limit
 * @memlock_used: out: bytes counted against it in the file's RLIMIT_MODE
 */
struct iommu_ioas_info {
	__u32 argsz;
	__u32 flags;
#define IOMMU_IOAS_INFO_CAPS (1 << 0) /* there is a capability chain */
	__u32 ioas_id;
	__u32 cap_offset;
	__aligned_u64 granule;
	__aligned_u64 iova_alignment;
	__aligned_u64 nr_areas;
	__aligned_u64 mapped_bytes;
	__aligned_u64 pinned_bytes;
	__aligned_u64 area_quota;
	__aligned_u64 memlock_limit;
	__aligned_u64 memlock_used;
};
#define IOMMU_IOAS_GET_INFO \
	_IO(IOMMUFD_TYPE, IOMMU_GRANULE_CMD_IOAS_GET_INFO)

/**
 * enum iommu_ioas_cap - capabilities of IOMMU_IOAS_GET_INFO
 * @IOMMU_IOAS_CAP_DEVICES: struct iommu_ioas_cap_devices
 * @IOMMU_IOAS_CAP_RESERVED_REGIONS: struct iommu_device_cap_reserved_regions
 *	with this id: what the attached devices reserve in this IOAS, and what
 *	lies outside their apertures
 */
enum iommu_ioas_cap {
	IOMMU_IOAS_CAP_DEVICES = 1,
	IOMMU_IOAS_CAP_RESERVED_REGIONS = 2,
};

/**
 * struct iommu_ioas_device - a device attached to an IOAS
 * @dev_id: its ID in this file
 * @hwpt_id: ID of the HWPT that it uses
 * @name: its name, NUL-terminated
 */
struct iommu_ioas_device {
	__u32 dev_id;
	__u32 hwpt_id;
	char name[IOMMU_DEVICE_NAME_LEN];
};

/**
 * struct iommu_ioas_cap_devices - devices attached to an IOAS
 * @header: id IOMMU_IOAS_CAP_DEVICES, version 1
 * @nr_devices: number of devices
 * @__reserved: 0
 * @devices: the devices
 */
struct iommu_ioas_cap_devices {
	struct iommu_cap_header header;
	__u32 nr_devices;
	__u32 __reserved;
	struct iommu_ioas_device devices[];
};

/**
 * enum iommu_area_source - what memory a mapping is of
 * @IOMMU_AREA_SOURCE_USER: memory of a process, by address
 */
enum iommu_area_source {
	IOMMU_AREA_SOURCE_USER = 1,
};

/**
 * struct iommu_area_info - one mapping
 * @iova: its start
 * @length: its bytes
 * @user_va: address of the memory in the process that mapped it
 * @flags: IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE
 * @source: of enum iommu_area_source
 */
struct iommu_area_info {
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 user_va;
	__u32 flags;
	__u32 source;
};

/**
 * struct iommu_ioas_list_areas - ioctl(IOMMU_IOAS_LIST_AREAS)
 * @size: sizeof(struct iommu_ioas_list_areas)
 * @ioas_id: the IOAS
 * @iova: in: list mappings from here on; out: where to go on, when there are
 *	more
 * @num_areas: in: room at @areas; out: mappings written there
 * @out_more: 1 when there are more, else 0
 * @areas: user pointer to an array of struct iommu_area_info
 *
 * List mappings, ascending by IOVA, a page at a time. A mapping made or
 * removed meanwhile may or may not be seen. EINVAL when @num_areas is 0.
 */
struct iommu_ioas_list_areas {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__u32 num_areas;
	__u32 out_more;
	__aligned_u64 areas;
};
#define IOMMU_IOAS_LIST_AREAS \
	_IO(IOMMUFD_TYPE, IOMMU_GRANULE_CMD_IOAS_LIST_AREAS)

/**
 * struct iommu_buffer_alloc - ioctl(IOMMU_BUFFER_ALLOC)
 * @size: sizeof(struct iommu_buffer_alloc)
 * @flags: must be 0
 * @ioas_id: the buffer fits the granule that this IOAS has now; 0: of none
 * @out_buffer_id: the new object, for IOMMU_DESTROY
 * @length: bytes wanted; rounded up to the granule
 * @granule: the buffer fits this granule as well: a power of two from the
 *	CPU's page size to 2 MiB; 0: no wish
 * @out_length: bytes there are
 * @out_granule: every so many bytes from the start are one physically
 *	contiguous, aligned piece
 * @out_mmap_offset: offset for mmap() of this file
 *
 * Allocate memory that can be mapped where an IOMMU's smallest page is larger
 * than the CPU's, for programs that cannot get huge pages. It is zeroed, never
 * moved and never swapped out, and counts against RLIMIT_MEMLOCK (in the
 * file's RLIMIT_MODE) for as long as the buffer or a mapping of it in a
 * process exists; being pinned by IOMMU_IOAS_MAP counts once more, as with
 * any memory.
 *
 * mmap() it, or part of it, with MAP_SHARED and without PROT_EXEC. Without
 * MAP_FIXED the kernel picks an address that is congruent to the offset in the
 * buffer; IOMMU_IOAS_MAP takes it like any other memory. IOMMU_DESTROY gives
 * up the ID and the offset: mappings in processes and IOASes stay, and what is
 * neither mapped nor pinned any more is freed. A mapping in a process also
 * keeps the file open.
 *
 * ENOENT: no such IOAS. EINVAL: @length is 0, the granule is none or too
 * large. EOVERFLOW: @length rounded up passes 2^64. ENOMEM: the limit on
 * locked memory, or no such memory is left.
 */
struct iommu_buffer_alloc {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 out_buffer_id;
	__aligned_u64 length;
	__aligned_u64 granule;
	__aligned_u64 out_length;
	__aligned_u64 out_granule;
	__aligned_u64 out_mmap_offset;
};
#define IOMMU_BUFFER_ALLOC \
	_IO(IOMMUFD_TYPE, IOMMU_GRANULE_CMD_BUFFER_ALLOC)

/**
 * enum iommu_reason - why an ioctl failed
 * @IOMMU_REASON_NONE: no ioctl of this thread on this file failed
 * @IOMMU_REASON_ERRNO: nothing more to say than the errno
 * @IOMMU_REASON_ARG_SIZE: a size is wrong; usage: what was given, need: least,
 *	limit: most
 * @IOMMU_REASON_ARG_FLAGS: unknown flag, or reserved field not zero
 * @IOMMU_REASON_NO_OBJECT: no object object_id
 * @IOMMU_REASON_WRONG_TYPE: object_id is of another type
 * @IOMMU_REASON_OBJECT_BUSY: object_id is used by others
 * @IOMMU_REASON_ZERO_LENGTH: length is 0
 * @IOMMU_REASON_OVERFLOW: addr plus need bytes passes the end
 * @IOMMU_REASON_MISALIGNED: addr is not a multiple of limit; detail: of enum
 *	iommu_reason_field
 * @IOMMU_REASON_RESERVED: addr is in the reserved region start..last; detail:
 *	of enum iommu_resv_reason, IOMMU_RESV_REASON_APERTURE when outside what
 *	the IOMMU translates
 * @IOMMU_REASON_OVERLAP: addr is in the mapping start..last
 * @IOMMU_REASON_NO_IOVA: no free range of need bytes, aligned to limit
 * @IOMMU_REASON_BAD_MEMORY: the memory at addr cannot be pinned: not mapped,
 *	not writable, or a device's
 * @IOMMU_REASON_MEMLOCK: need bytes more than usage pass RLIMIT_MEMLOCK limit
 * @IOMMU_REASON_QUOTA: limit mappings are allowed, usage are there
 * @IOMMU_REASON_NOT_CONTIGUOUS: the granule of limit bytes at addr, in the
 *	process, is not one physically contiguous, aligned piece; start..last:
 *	the mapping; need: how many such granules it has, usage: of how many
 * @IOMMU_REASON_PARTIAL: the range cuts the mapping start..last
 * @IOMMU_REASON_NOT_MAPPED: nothing is mapped at addr
 * @IOMMU_REASON_IN_PROGRESS: another thread is changing the mapping
 *	start..last
 * @IOMMU_REASON_READ_ONLY: the memory was mapped read-only
 * @IOMMU_REASON_PRIVILEGE: needs the capability number detail
 * @IOMMU_REASON_TOO_LATE: must come before any object is created
 * @IOMMU_REASON_NOT_REACHABLE: start..last was to stay allowed, and
 *	the reserved region at addr (detail: of enum iommu_resv_reason) is in it
 * @IOMMU_REASON_AREA_UNREACHABLE: the mapping start..last is in the way: the
 *	device reserves addr (detail: of enum iommu_resv_reason)
 * @IOMMU_REASON_NO_IOMMU: the device is not behind an IOMMU
 * @IOMMU_REASON_GROUP_BUSY: a device of group object_id belongs to another
 *	driver or user
 * @IOMMU_REASON_UNSAFE_INTERRUPTS: no interrupt remapping
 * @IOMMU_REASON_NOT_COHERENT: DMA of the device is not cache-coherent
 * @IOMMU_REASON_INCOMPATIBLE: the page table does not fit the device's IOMMU
 * @IOMMU_REASON_GROUP_ATTACHED: another device of group object_id is attached
 *	elsewhere
 * @IOMMU_REASON_AREA_MISALIGNED: the mapping start..last is not aligned to
 *	limit, which the device needs
 * @IOMMU_REASON_BAD_POINTER: a user pointer of the argument is bad
 * @IOMMU_REASON_BAD_RANGE: the range start..last of a list is empty, reversed,
 *	or overlaps the one before it in ascending order
 * @IOMMU_REASON_BAD_GRANULE: the granule usage is not a power of two from need
 *	to limit
 * @IOMMU_REASON_NO_MEMORY: of need bytes the kernel found usage before it had
 *	no contiguous pieces of limit bytes any more
 */
enum iommu_reason {
	IOMMU_REASON_NONE = 0,
	IOMMU_REASON_ERRNO = 1,
	IOMMU_REASON_ARG_SIZE = 2,
	IOMMU_REASON_ARG_FLAGS = 3,
	IOMMU_REASON_NO_OBJECT = 4,
	IOMMU_REASON_WRONG_TYPE = 5,
	IOMMU_REASON_OBJECT_BUSY = 6,
	IOMMU_REASON_ZERO_LENGTH = 7,
	IOMMU_REASON_OVERFLOW = 8,
	IOMMU_REASON_MISALIGNED = 9,
	IOMMU_REASON_RESERVED = 10,
	IOMMU_REASON_OVERLAP = 11,
	IOMMU_REASON_NO_IOVA = 12,
	IOMMU_REASON_BAD_MEMORY = 13,
	IOMMU_REASON_MEMLOCK = 14,
	IOMMU_REASON_QUOTA = 15,
	IOMMU_REASON_NOT_CONTIGUOUS = 16,
	IOMMU_REASON_PARTIAL = 17,
	IOMMU_REASON_NOT_MAPPED = 18,
	IOMMU_REASON_IN_PROGRESS = 19,
	IOMMU_REASON_READ_ONLY = 20,
	IOMMU_REASON_PRIVILEGE = 21,
	IOMMU_REASON_TOO_LATE = 22,
	IOMMU_REASON_NOT_REACHABLE = 23,
	IOMMU_REASON_AREA_UNREACHABLE = 24,
	IOMMU_REASON_NO_IOMMU = 25,
	IOMMU_REASON_GROUP_BUSY = 26,
	IOMMU_REASON_UNSAFE_INTERRUPTS = 27,
	IOMMU_REASON_NOT_COHERENT = 28,
	IOMMU_REASON_INCOMPATIBLE = 29,
	IOMMU_REASON_GROUP_ATTACHED = 30,
	IOMMU_REASON_AREA_MISALIGNED = 31,
	IOMMU_REASON_BAD_POINTER = 32,
	IOMMU_REASON_BAD_RANGE = 33,
	IOMMU_REASON_BAD_GRANULE = 34,
	IOMMU_REASON_NO_MEMORY = 35,
};

/**
 * enum iommu_reason_field - what is misaligned (IOMMU_REASON_MISALIGNED)
 * @IOMMU_REASON_FIELD_IOVA: the IOVA
 * @IOMMU_REASON_FIELD_USER_VA: the offset of the memory within a granule is
 *	not that of the IOVA
 * @IOMMU_REASON_FIELD_LENGTH: the length
 */
enum iommu_reason_field {
	IOMMU_REASON_FIELD_IOVA = 1,
	IOMMU_REASON_FIELD_USER_VA = 2,
	IOMMU_REASON_FIELD_LENGTH = 3,
};

/**
 * struct iommu_last_error - ioctl(IOMMU_GET_LAST_ERROR)
 * @size: sizeof(struct iommu_last_error)
 * @flags: must be 0
 * @out_cmd: number of the ioctl that failed, as passed to ioctl(2); of the
 *	VFIO device for binding and attaching
 * @out_errno: its errno, positive
 * @out_reason: of enum iommu_reason; the others' meaning depends on it
 * @out_object_id: an object
 * @out_detail: see the reason
 * @__reserved: must be 0
 * @out_addr: an address
 * @out_start: start of a range
 * @out_last: last byte of that range
 * @out_limit: a limit
 * @out_usage: what is used of it
 * @out_need: what was asked for
 *
 * Why the calling thread's latest failing ioctl on this file failed. As with
 * errno, an ioctl that succeeds changes nothing here, nor does this one. Of
 * many threads that fail, the kernel remembers the latest 32.
 */
struct iommu_last_error {
	__u32 size;
	__u32 flags;
	__u32 out_cmd;
	__u32 out_errno;
	__u32 out_reason;
	__u32 out_object_id;
	__u32 out_detail;
	__u32 __reserved;
	__aligned_u64 out_addr;
	__aligned_u64 out_start;
	__aligned_u64 out_last;
	__aligned_u64 out_limit;
	__aligned_u64 out_usage;
	__aligned_u64 out_need;
};
#define IOMMU_GET_LAST_ERROR \
	_IO(IOMMUFD_TYPE, IOMMU_GRANULE_CMD_GET_LAST_ERROR)

/**
 * enum iommu_granule_option - options of IOMMU_OPTION beyond upstream's
 * @IOMMU_OPTION_IOAS_GRANULE: of an IOAS: treat it as if an IOMMU with pages
 *	of this size were attached: a power of two from the CPU's page size to
 *	1 GiB (EINVAL), or 0 for none. IOVAs, lengths and addresses of memory
 *	have to be aligned to it, and memory contiguous within it, which is
 *	checked whenever memory is pinned. EADDRINUSE: a mapping is not aligned,
 *	or an allowed range would touch a reserved region, which have to grow;
 *	EINVAL: pinned memory of a mapping is not contiguous; nothing changes
 *	then. Reading it gives the granule in effect, which attached IOMMUs may
 *	make larger; 0 when there is none.
 * @IOMMU_OPTION_AREA_QUOTA: of an IOAS: largest number of mappings; EBUSY when
 *	there are more already. Further ones are then refused (ENOSPC).
 */
enum iommu_granule_option {
	IOMMU_OPTION_IOAS_GRANULE = 0x1000,
	IOMMU_OPTION_AREA_QUOTA = 0x1001,
};

#endif
