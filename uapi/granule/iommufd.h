/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The part of /dev/iommu that is binary compatible with upstream's iommufd.
 *
 * Numbers, layouts and errno meanings are those of <linux/iommufd.h>; a
 * program built against either header runs on either implementation. The two
 * headers share a guard, so that including both is harmless. What Granule adds
 * is in <granule/iommu.h>.
 *
 * Vocabulary: an IOVA is the address that a device puts on the bus. An IOAS is
 * an I/O address space, a set of IOVA-to-memory mappings. A HWPT is a hardware
 * page table that holds the mappings of one IOAS for one kind of IOMMU. "last"
 * is always an inclusive end. All addresses and lengths are in bytes.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMUFD_TYPE (';')

/*
 * Every argument starts with its own size in bytes, so that structures can
 * grow. Bytes past what the kernel knows must be zero. The errnos that every
 * ioctl may return:
 *
 *  ENOTTY      this number is not known at all
 *  E2BIG       the structure is longer than known, and not zero there
 *  EOPNOTSUPP  a known field holds an unknown flag or value, or a reserved
 *              field is not zero
 *  EINVAL      the structure is too short, or a field's value is wrong
 *  ENOENT      no object with this ID (or not of the wanted type), or nothing
 *              is mapped at this IOVA
 *  EFAULT      a user pointer cannot be read or written
 *  ENOMEM      out of memory, or over the limit on locked memory
 *  EOVERFLOW   an address plus a length passes the end of the address space
 *
 * IOMMU_GET_LAST_ERROR of <granule/iommu.h> says more than an errno can.
 */
enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
};

/**
 * struct iommu_destroy - ioctl(IOMMU_DESTROY)
 * @size: sizeof(struct iommu_destroy)
 * @id: ID of an IOAS or HWPT of this file
 *
 * Destroy an object. EBUSY while another object or a device uses it, or while
 * another thread is in an ioctl on it. A bound device is never destroyed this
 * way (EBUSY): closing its VFIO file unbinds it.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/**
 * struct iommu_ioas_alloc - ioctl(IOMMU_IOAS_ALLOC)
 * @size: sizeof(struct iommu_ioas_alloc)
 * @flags: must be 0
 * @out_ioas_id: ID of the new IOAS
 *
 * Create an empty I/O address space. Memory may be mapped into it before any
 * device is attached; it is pinned while at least one is.
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - a range of IOVAs
 * @start: first IOVA
 * @last: last IOVA, inclusive
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - ioctl(IOMMU_IOAS_IOVA_RANGES)
 * @size: sizeof(struct iommu_ioas_iova_ranges)
 * @ioas_id: the IOAS
 * @num_iovas: in: room in @allowed_iovas, in ranges; out: ranges there are
 * @__reserved: must be 0
 * @allowed_iovas: user pointer to an array of struct iommu_iova_range
 * @out_iova_alignment: IOVAs and lengths of mappings must be multiples of it
 *
 * Which IOVAs can be mapped now: what every attached device and its IOMMU can
 * reach. With no device attached, everything. Attaching narrows the ranges,
 * detaching widens them.
 *
 * EMSGSIZE when the array is too small; @num_iovas then says how many ranges
 * there are, and the array holds as many of the first as fit.
 *
 * Unlike upstream's, @out_iova_alignment can be larger than the CPU's page
 * where the IOMMU's smallest page (its granule) is.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - ioctl(IOMMU_IOAS_ALLOW_IOVAS)
 * @size: sizeof(struct iommu_ioas_allow_iovas)
 * @ioas_id: the IOAS
 * @num_iovas: number of ranges in @allowed_iovas; 0 removes the restriction
 * @__reserved: must be 0
 * @allowed_iovas: user pointer to an array of struct iommu_iova_range
 *
 * Promise that these IOVAs stay usable, and let automatic placement use no
 * others. Replaces the list given before. A device that cannot reach all of
 * them is then refused at attach (EADDRINUSE); EADDRINUSE also when some of
 * them cannot be reached already, EINVAL when a range is reversed, a single
 * byte, or overlaps another of the list, E2BIG for more than 65536 ranges.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/**
 * enum iommufd_ioas_map_flags - flags of IOMMU_IOAS_MAP and IOMMU_IOAS_COPY
 * @IOMMU_IOAS_MAP_FIXED_IOVA: map at the given IOVA; else the kernel picks one
 * @IOMMU_IOAS_MAP_WRITEABLE: the device may write to this memory
 * @IOMMU_IOAS_MAP_READABLE: the device may read this memory
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - ioctl(IOMMU_IOAS_MAP)
 * @size: sizeof(struct iommu_ioas_map)
 * @flags: of enum iommufd_ioas_map_flags; at least one of the two permissions
 * @ioas_id: the IOAS
 * @__reserved: must be 0
 * @user_va: start of the caller's memory
 * @length: bytes to map
 * @iova: where it is mapped; input with IOMMU_IOAS_MAP_FIXED_IOVA, else output
 *
 * Map memory of the caller. With a device attached the memory is pinned, and
 * counted against RLIMIT_MEMLOCK unless the caller has CAP_IPC_LOCK.
 *
 * EINVAL: misaligned, zero length, in a reserved region, no permission asked
 * for. EEXIST: overlaps a mapping. EFAULT: no such memory, or not
 * writable but mapped so. ENOMEM: memory, or over RLIMIT_MEMLOCK. ENOSPC: no
 * free range of this size. EOVERFLOW: past the end of either address space.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_copy - ioctl(IOMMU_IOAS_COPY)
 * @size: sizeof(struct iommu_ioas_copy)
 * @flags: as of IOMMU_IOAS_MAP
 * @dst_ioas_id: the IOAS to map into
 * @src_ioas_id: the IOAS to take mappings from; may be the same
 * @length: bytes to copy
 * @dst_iova: as @iova of IOMMU_IOAS_MAP
 * @src_iova: start of the mapped range to copy
 *
 * Map memory that is mapped already once more. The memory is pinned and
 * counted once. The whole source range must be mapped (ENOENT). EPERM when
 * write permission is asked for memory that was mapped read-only.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - ioctl(IOMMU_IOAS_UNMAP)
 * @size: sizeof(struct iommu_ioas_unmap)
 * @ioas_id: the IOAS
 * @iova: start of the range
 * @length: in: bytes of the range; out: bytes that were mapped in it
 *
 * Remove every mapping inside the range. Mappings are removed whole: one that
 * is only partly inside is ENOENT and nothing changes, as is a range that
 * holds none. @iova 0 with @length 2^64-1 removes all, also when that is none.
 * EBUSY when another thread is mapping or unmapping inside the range.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * enum iommufd_option - options of IOMMU_OPTION
 * @IOMMU_OPTION_RLIMIT_MODE: of the file, object_id 0. 0 (default): pinned
 *	memory counts against the user's locked memory. 1: against the
 *	process's. Setting needs CAP_SYS_RESOURCE (EPERM) and comes before any
 *	object is created (EBUSY).
 * @IOMMU_OPTION_HUGE_PAGES: of an IOAS. 1 (default): use the largest IOMMU
 *	pages that fit. 0: only the smallest; EADDRINUSE when a mapping is not
 *	aligned to the CPU's page. Affects later mappings and attaches.
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - operations of IOMMU_OPTION
 * @IOMMU_OPTION_OP_SET: set the value
 * @IOMMU_OPTION_OP_GET: return the value
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - ioctl(IOMMU_OPTION)
 * @size: sizeof(struct iommu_option)
 * @option_id: which option, of enum iommufd_option or of <granule/iommu.h>
 * @op: of enum iommufd_option_ops
 * @__reserved: must be 0
 * @object_id: the object that the option belongs to, or 0
 * @val64: value, in or out
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_hwpt_alloc_flags - flags of IOMMU_HWPT_ALLOC
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: not supported (EOPNOTSUPP)
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: not supported (EOPNOTSUPP)
 * @IOMMU_HWPT_FAULT_ID_VALID: not supported (EOPNOTSUPP)
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
};

/**
 * enum iommu_hwpt_data_type - what @data_uptr of IOMMU_HWPT_ALLOC points to
 * @IOMMU_HWPT_DATA_NONE: nothing; an ordinary kernel-managed page table
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
};

/**
 * struct iommu_hwpt_alloc - ioctl(IOMMU_HWPT_ALLOC)
 * @size: sizeof(struct iommu_hwpt_alloc)
 * @flags: must be 0; see enum iommufd_hwpt_alloc_flags
 * @dev_id: the bound device whose IOMMU it is for
 * @pt_id: the IOAS whose mappings it holds
 * @out_hwpt_id: ID of the new HWPT
 * @__reserved: must be 0
 * @data_type: must be IOMMU_HWPT_DATA_NONE
 * @data_len: must be 0
 * @data_uptr: must be 0
 * @fault_id: must be 0
 * @__reserved2: must be 0
 *
 * Create a hardware page table by hand; attaching a device to an IOAS makes
 * one by itself where needed. It lives until IOMMU_DESTROY or close.
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/**
 * struct iommu_hw_info_vtd - IOMMU_HW_INFO_TYPE_INTEL_VTD
 * @flags: errata that concern nested translation
 * @__reserved: 0
 * @cap_reg: capability register (VT-d specification 11.4.2)
 * @ecap_reg: extended capability register (11.4.3)
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * enum iommu_hw_info_type - type of the data of IOMMU_GET_HW_INFO
 * @IOMMU_HW_INFO_TYPE_NONE: the driver reports none
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
};

/**
 * enum iommufd_hw_capabilities - bits of @out_capabilities
 * @IOMMU_HW_CAP_DIRTY_TRACKING: dirty tracking; never set by Granule
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
};

/**
 * struct iommu_hw_info - ioctl(IOMMU_GET_HW_INFO)
 * @size: sizeof(struct iommu_hw_info)
 * @flags: must be 0
 * @dev_id: a bound device
 * @data_len: in: bytes at @data_uptr; out: bytes that the kernel has
 * @data_uptr: user pointer for the data; may be 0 when @data_len is
 * @out_data_type: of enum iommu_hw_info_type
 * @out_max_pasid_log2: width of PASIDs in bits; 0 when there are none
 * @__reserved: must be 0
 * @out_capabilities: of enum iommufd_hw_capabilities
 *
 * What the IOMMU hardware of a device says of itself. A buffer that is longer
 * than the data is filled up with zeroes; a shorter one gets its beginning.
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 out_data_type;
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

#endif
