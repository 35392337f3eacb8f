/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libiommu: /dev/iommu, VFIO device files and what sysfs says about both.
 *
 * The library never logs and never exits. Functions that return int return 0
 * (or a file descriptor) on success and a negative errno otherwise. Addresses
 * and lengths are in bytes; "last" is an inclusive end. Nothing here locks:
 * use an object from one thread at a time. File descriptors may be shared.
 */
#ifndef LIBIOMMU_H
#define LIBIOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <granule/iommu.h>
#include <granule/iommufd.h>
#include <granule/vfio.h>

#include "libiommu-watch.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;
struct iommu_sys_region;

/* Version of the library, "0.1.0". */
const char *iommu_version(void);

/* ---- /dev/iommu: one function per ioctl (uapi.c) ---- */

/**
 * iommu_open - a new context
 * @path: the node; NULL for /dev/iommu
 *
 * Return: file descriptor (close-on-exec), or -ENOENT, -EACCES, ...
 */
int iommu_open(const char *path);

/* Destroy IOAS or HWPT @id. -ENOENT, -EBUSY while used. */
int iommu_destroy(int fd, __u32 id);

/* Create an empty IOAS. */
int iommu_ioas_alloc(int fd, __u32 *ret_id);

/**
 * iommu_ioas_iova_ranges - which IOVAs can be mapped now
 * @ret_ranges: ascending; free() it. NULL with no ranges, and on error
 * @ret_alignment: IOVAs and lengths must be multiples of it; may be NULL
 */
int iommu_ioas_iova_ranges(int fd, __u32 ioas_id,
			   struct iommu_iova_range **ret_ranges,
			   __u32 *ret_nr, __u64 *ret_alignment);

/* Promise that @ranges stay usable; @nr 0 lifts the restriction. */
int iommu_ioas_allow_iovas(int fd, __u32 ioas_id,
			   const struct iommu_iova_range *ranges, __u32 nr);

/**
 * iommu_ioas_map - map @length bytes of the caller's memory at @va
 * @flags: IOMMU_IOAS_MAP_*
 * @iova: in with IOMMU_IOAS_MAP_FIXED_IOVA; out otherwise
 *
 * Return: 0; for an error iommu_map_explain() knows more.
 */
int iommu_ioas_map(int fd, __u32 ioas_id, __u32 flags, const void *va,
		   __u64 length, __u64 *iova);

/* Map once more what is mapped at @src_iova of @src_ioas. */
int iommu_ioas_copy(int fd, __u32 flags, __u32 dst_ioas, __u32 src_ioas,
		    __u64 length, __u64 src_iova, __u64 *dst_iova);

/**
 * iommu_ioas_unmap - remove every mapping inside a range
 * @ret_bytes: how many bytes were mapped there; may be NULL
 */
int iommu_ioas_unmap(int fd, __u32 ioas_id, __u64 iova, __u64 length,
		     __u64 *ret_bytes);

int iommu_option_get(int fd, __u32 option, __u32 object_id, __u64 *ret_value);
int iommu_option_set(int fd, __u32 option, __u32 object_id, __u64 value);

/* Create a page table for device @dev_id that holds the mappings of @pt_id. */
int iommu_hwpt_alloc(int fd, __u32 dev_id, __u32 pt_id, __u32 *ret_id);

/**
 * iommu_get_hw_info - what the IOMMU hardware of a device says of itself
 * @ret_info: type and length of the data, capabilities
 * @data: receives up to @len bytes; NULL when @len is 0
 */
int iommu_get_hw_info(int fd, __u32 dev_id, struct iommu_hw_info *ret_info,
		      void *data, __u32 len);

/**
 * iommu_device_get_info - page sizes, width and capability chain of a device
 * @ret_info: complete, argsz bytes of it; free() it
 *
 * Return: 0; -ENOTTY when /dev/iommu is not Granule's.
 */
int iommu_device_get_info(int fd, __u32 dev_id,
			  struct iommu_device_info **ret_info);

/* The same for an IOAS. */
int iommu_ioas_get_info(int fd, __u32 ioas_id,
			struct iommu_ioas_info **ret_info);

/**
 * iommu_ioas_list_areas - all mappings of an IOAS, ascending by IOVA
 * @ret_areas: free() it; NULL when there are none
 */
int iommu_ioas_list_areas(int fd, __u32 ioas_id,
			  struct iommu_area_info **ret_areas, size_t *ret_nr);

/**
 * iommu_last_error - why the calling thread's latest ioctl on @fd failed
 *
 * Return: 0; -ENOTTY when /dev/iommu is not Granule's.
 */
int iommu_last_error(int fd, struct iommu_last_error *ret);

/**
 * iommu_ioas_granule - smallest page in effect in an IOAS
 * @ret: in bytes; 0 when no device is attached and none was set
 *
 * Return: 0; -EOPNOTSUPP when /dev/iommu is not Granule's.
 */
int iommu_ioas_granule(int fd, __u32 ioas_id, __u64 *ret);

/**
 * iommu_ioas_set_granule - raise the granule of an IOAS on purpose
 * @granule: a power of two from the CPU's page size to 1 GiB; 0 for none
 *
 * IOVAs, lengths and memory addresses have to be multiples of it, and memory
 * physically contiguous within it, as if an IOMMU with such pages were
 * attached. What attached IOMMUs need stays the minimum.
 *
 * Return: 0; -EINVAL no granule, or memory of a mapping is not contiguous;
 * -EADDRINUSE a mapping is not aligned; -EOPNOTSUPP when /dev/iommu is not
 * Granule's.
 */
int iommu_ioas_set_granule(int fd, __u32 ioas_id, __u64 granule);

/**
 * iommu_buffer_alloc - allocate memory of the kernel's that fits a granule
 * @ioas_id: that this IOAS has now; 0 for none
 * @granule: and this one, up to 2 MiB; 0 for none
 * @length: in bytes, rounded up to the granule
 * @ret: out_buffer_id, out_length, out_granule; mmap() @fd at out_mmap_offset
 *	with MAP_SHARED
 *
 * Return: 0; -ENOENT, -EINVAL, -EOVERFLOW, -ENOMEM, for which
 * iommu_last_error() knows more; -ENOTTY when /dev/iommu is not Granule's.
 */
int iommu_buffer_alloc(int fd, __u32 ioas_id, __u64 granule, __u64 length,
		       struct iommu_buffer_alloc *ret);

/* A buffer that is mapped here. */
struct iommu_buffer {
	__u32 id;
	void *va;
	__u64 length;	/* as mapped at @va */
	__u64 granule;	/* this much of it at a time is contiguous */
	__u64 offset;	/* of it, for mmap() of the /dev/iommu file */
};

/**
 * iommu_buffer_get - allocate a buffer and map it, aligned to its granule
 *
 * Arguments and errors are those of iommu_buffer_alloc(). Other processes that
 * have @fd can map it by its offset, with MAP_SHARED.
 */
int iommu_buffer_get(int fd, __u32 ioas_id, __u64 granule, __u64 length,
		     struct iommu_buffer *ret);

/* Unmap it and give it up; what an IOAS has mapped of it stays until unmap. */
void iommu_buffer_put(int fd, struct iommu_buffer *buf);

/* ---- VFIO device files (uapi.c) ---- */

/* Open /dev/vfio/devices/vfioN. It can do nothing before it is bound. */
int iommu_vfio_open(const char *path);

/* Claim the device, and its group's DMA, for @iommufd. close() undoes it. */
int iommu_vfio_bind(int devfd, int iommufd, __u32 *ret_dev_id);

/* Let the device use an IOAS or HWPT; @pt_id becomes the HWPT in use. */
int iommu_vfio_attach(int devfd, __u32 *pt_id);

/* Block the device's DMA again. */
int iommu_vfio_detach(int devfd);

/*
 * Of the file that has bound the device: all others that are open now do
 * nothing any more, for ever; binding them fails with -ESTALE. -ENOTTY where
 * the kernel cannot do it: with upstream's VFIO.
 */
int iommu_vfio_revoke(int devfd);

/* ---- Capability chains (caps.c) ---- */

/* Capabilities of a device; NULL where it has none of that kind. */
struct iommu_device_caps {
	const struct iommu_device_cap_iova_range *iova_ranges;
	const struct iommu_device_cap_reserved_regions *reserved;
	const struct iommu_device_cap_granule *granule;
	const struct iommu_device_cap_width *output_width;
	const struct iommu_device_cap_width *pasid_width;
	const struct iommu_device_cap_group *group;
	const struct iommu_device_cap_pt_vtd *vtd;
};

/**
 * iommu_device_caps_read - find and check the capabilities in @info
 * @ret: points into @info
 *
 * The chain is not trusted: counts are checked against sizes and names are
 * NUL-terminated. Unknown capabilities are skipped.
 *
 * Return: 0; -EBADMSG for a malformed chain.
 */
int iommu_device_caps_read(const struct iommu_device_info *info,
			   struct iommu_device_caps *ret);

struct iommu_ioas_caps {
	const struct iommu_ioas_cap_devices *devices;
	const struct iommu_device_cap_reserved_regions *reserved;
};

int iommu_ioas_caps_read(const struct iommu_ioas_info *info,
			 struct iommu_ioas_caps *ret);

/**
 * iommu_granule_rule - what user memory must be like, as a sentence
 * @granule: smallest IOMMU page in bytes
 * @cpu_page_size: in bytes
 * @buf: receives it, NUL-terminated, without full stop; "" where any memory
 *	will do, because the CPU's page is not smaller
 *
 * Return: length of the whole sentence, as snprintf().
 */
int iommu_granule_rule(__u64 granule, __u64 cpu_page_size, char *buf,
		       size_t len);

/* ---- Errors in words (error.c) ---- */

/* What kind of failure it is: the exit codes of iommuctl. */
enum iommu_error_kind {
	IOMMU_ERROR_OK = 0,
	IOMMU_ERROR_USAGE = 1,
	IOMMU_ERROR_NOT_FOUND = 2,
	IOMMU_ERROR_BUSY = 3,
	IOMMU_ERROR_PERMISSION = 4,
	IOMMU_ERROR_REFUSED = 5,
	IOMMU_ERROR_NO_MODULE = 6,
	IOMMU_ERROR_OTHER = 7,
};

/**
 * iommu_error_sentence - a failure as one English sentence
 * @e: as iommu_last_error() or iommu_map_explain() returned it
 * @device: whose 'iommuctl ranges' the remedy points to; may be NULL
 * @buf: receives it, NUL-terminated, without full stop or newline
 *
 * Return: length of the whole sentence, as snprintf().
 */
int iommu_error_sentence(const struct iommu_last_error *e, const char *device,
			 char *buf, size_t len);

enum iommu_error_kind iommu_error_kind(const struct iommu_last_error *e);

/* The kind that a bare errno (positive or negative) stands for. */
enum iommu_error_kind iommu_errno_kind(int err);

/* Short name of an enum iommu_resv_reason, "msi"; "unknown" for others. */
const char *iommu_resv_reason_name(__u32 reason);

/* What it means, "writes there are interrupts". */
const char *iommu_resv_reason_text(__u32 reason);

/**
 * iommu_map_explain - why iommu_ioas_map() failed
 * @err: what it returned
 * @regions: the device's reserved regions from sysfs, or NULL
 *
 * Asks the kernel; where /dev/iommu is not Granule's, works the reason out
 * from the IOAS's ranges, @regions and the limits. Always fills in @ret.
 */
void iommu_map_explain(int fd, const struct iommu_ioas_map *map, int err,
		       const struct iommu_sys_region *regions,
		       size_t nr_regions, struct iommu_last_error *ret);

/* ---- What sysfs says (sysfs.c) ---- */

/* A place to look at; see iommu_sys_new(). */
struct iommu_sys;

/* A reserved region of a group. */
struct iommu_sys_region {
	__u64 start;
	__u64 last;
	__u32 reason;	/* enum iommu_resv_reason */
};

/* A number that sysfs does not have. */
#define IOMMU_SYS_UNKNOWN ((__u64)-1)

/* A PCI device. Strings are NULL where there is nothing to say. */
struct iommu_sys_device {
	char name[16];		/* 0000:00:03.0 */
	__u16 vendor;
	__u16 device;
	__u32 class;		/* base, sub, interface: 24 bits */
	__u8 revision;
	char *vendor_name;	/* from pci.ids */
	char *device_name;
	char *driver;
	char *driver_override;	/* NULL as well while a user keeps vfio from going */
	char *iommu;		/* dmar0 */
	char *iommu_driver;	/* granule_virtio_iommu */
	__u64 granule;		/* smallest IOMMU page; 0: not in sysfs */
	__u64 iommu_faults;	/* of this device; or IOMMU_SYS_UNKNOWN */
	bool iommu_late;	/* has no driver, and no group before it has */
	char *reset_method;	/* "flr bus" */
	char *vfio;		/* vfio0 */
	char *node;		/* /dev/vfio/devices/vfio0 */
	long group;		/* -1: not behind an IOMMU */
	int numa_node;		/* -1: none */
	bool brief;		/* see IOMMU_SYS_BRIEF */
};

/*
 * How the devices of a group do DMA for kernel drivers, where granule-dma sees
 * to that: files of /sys/kernel/granule-dma/GROUP.
 */
struct iommu_sys_dma {
	__u64 granule;		/* in bytes */
	__u64 trusted;		/* 0: everything is bounced */
	__u64 users;		/* devices whose driver's DMA is translated */
	__u64 direct;		/* and is not */
	__u64 mapped_granules;	/* now */
	__u64 mappings;		/* made so far */
	__u64 bounce_granules;	/* now */
	__u64 bounced_bytes;	/* copied so far */
	__u64 failures;		/* mappings refused so far */
};

/* An IOMMU group: devices that cannot be isolated from each other. */
struct iommu_sys_group {
	long id;
	char *type;		/* of its default domain: DMA, identity, ... */
	struct iommu_sys_dma *dma;	/* NULL: not granule-dma's */
	struct iommu_sys_device **devices;
	size_t nr_devices;
	struct iommu_sys_region *regions;
	size_t nr_regions;
};

/**
 * iommu_sys_new - look at /sys and /dev
 * @root: directory to use in place of /; NULL for that of the environment
 *	variable IOMMU_SYSFS_ROOT, or / when that is not set
 *
 * Return: NULL when out of memory.
 */
struct iommu_sys *iommu_sys_new(const char *root);
struct iommu_sys *iommu_sys_free(struct iommu_sys *sys);

/* @path (absolute) below the root. Valid until the next call. */
const char *iommu_sys_path(struct iommu_sys *sys, const char *path);

/**
 * iommu_sys_device_name - the PCI address of a device
 * @arg: 0000:00:03.0, 00:03.0, vfio0 or /dev/vfio/devices/vfio0
 * @ret: at least 16 bytes
 *
 * Return: 0; -EINVAL when @arg is no device name; -ENODEV when there is no
 * such device.
 */
int iommu_sys_device_name(struct iommu_sys *sys, const char *arg, char *ret);

/* One device, by any name that iommu_sys_device_name() takes. */
int iommu_sys_device_get(struct iommu_sys *sys, const char *arg,
			 struct iommu_sys_device **ret);
struct iommu_sys_device *iommu_sys_device_free(struct iommu_sys_device *dev);

/*
 * Leave out what only a closer look at a device is for: revision, numa_node,
 * reset_method and driver_override are 0, -1 and NULL, and their JSON does not
 * have them. Each is a file, and machines have thousands of devices.
 */
#define IOMMU_SYS_BRIEF (1U << 0)

/*
 * All PCI devices, by address.
 *
 * @flags: IOMMU_SYS_BRIEF or 0
 *
 * Return: 0, also where there is no PCI at all; -EINVAL for another flag;
 * -ENOMEM; an error of reading the directory.
 */
int iommu_sys_devices(struct iommu_sys *sys, unsigned int flags,
		      struct iommu_sys_device ***ret, size_t *ret_nr);
void iommu_sys_devices_free(struct iommu_sys_device **devs, size_t nr);

/* One group; -ENOENT. */
int iommu_sys_group_get(struct iommu_sys *sys, long id,
			struct iommu_sys_group **ret);
struct iommu_sys_group *iommu_sys_group_free(struct iommu_sys_group *group);

/* All groups, by number. */
int iommu_sys_groups(struct iommu_sys *sys, struct iommu_sys_group ***ret,
		     size_t *ret_nr);
void iommu_sys_groups_free(struct iommu_sys_group **groups, size_t nr);

/* Does this device's driver keep its group from being given to a user? */
bool iommu_sys_device_blocks(const struct iommu_sys_device *dev);

/* What becomes of the DMA that a device does for a kernel driver. */
struct iommu_sys_dma_state {
	const char *name;	/* "translated", "bounced", "untranslated",
				 * "blocked", "unused" or "unknown" */
	const char *by;		/* "granule-dma", "kernel"; NULL: nobody does */
	char text[160];		/* what that means */
	char remedy[160];	/* against its drawback; "" where none is */
};

/**
 * iommu_sys_dma_state - is kernel DMA of a device translated, and by whom?
 * @group: the device's group; NULL where it has none
 */
void iommu_sys_dma_state(const struct iommu_sys_device *dev,
			 const struct iommu_sys_group *group,
			 struct iommu_sys_dma_state *ret);

/* ---- Giving devices to vfio-pci and back (driver.c) ---- */

/* Why something failed: one sentence without full stop. */
struct iommu_why {
	char text[512];
};

/**
 * iommu_device_bind - give devices to a VFIO driver
 * @names: PCI addresses
 * @driver: vfio-pci, or another driver on vfio_pci_core
 *
 * All or nothing: after a failure every device has its driver_override and,
 * as far as that takes it back, its driver again. Devices that have the
 * driver already stay as they are. A group that would not be viable afterwards
 * because another of its devices is driven by the host is refused, and so is
 * a device that the host uses: a disk that is mounted, swapped to, or part of
 * something (LVM, md, dm-crypt), a network interface that is up.
 *
 * @flags: IOMMU_BIND_FORCE or 0
 *
 * Return: 0; -ENODEV no such device, or no IOMMU; -EBUSY group not viable, or
 * the device is in use; -ENOENT no such driver; -EACCES; -EIO the driver did
 * not take it; -ETIMEDOUT its vfio-dev entry did not appear within 2 seconds;
 * -EINVAL for another flag.
 */
int iommu_device_bind(struct iommu_sys *sys, const char *const *names,
		      size_t nr, const char *driver, unsigned int flags,
		      struct iommu_why *why);

/* Take devices away from a host that uses them. */
#define IOMMU_BIND_FORCE (1U << 0)

/**
 * iommu_host_uses - what the host would miss without a device's driver
 * @name: PCI address
 * @text: receives what it is, "/dev/nvme0n1p2 is mounted"
 *
 * Return: whether there is anything; not all uses can be seen.
 */
bool iommu_host_uses(struct iommu_sys *sys, const char *name, char *text,
		     size_t len);

/**
 * iommu_device_unbind - give a device back to the host
 *
 * Clears driver_override and lets the kernel look for a driver, which may be
 * none. Refused while a process has the device's VFIO file or its group open,
 * because the kernel would wait for that process.
 *
 * Return: 0; -ENODEV; -EBUSY; -EINVAL not bound to a VFIO driver; -EACCES;
 * -EIO the driver took it again.
 */
int iommu_device_unbind(struct iommu_sys *sys, const char *name,
			struct iommu_why *why);

/* ---- Memory to map (memory.c) ---- */

enum iommu_memory_kind {
	IOMMU_MEMORY_ANONYMOUS,	/* pages of the CPU's size, most likely */
	IOMMU_MEMORY_THP,	/* transparent huge pages; private */
	IOMMU_MEMORY_HUGETLB,	/* reserved huge pages */
	IOMMU_MEMORY_BUFFER,	/* an iommu_buffer */
};

/* "anonymous", "thp", "hugetlb", "buffer" */
const char *iommu_memory_kind_name(enum iommu_memory_kind kind);

/* What memory to get. */
struct iommu_memory_want {
	enum iommu_memory_kind kind;
	__u64 length;		/* in bytes */
	__u64 granule;		/* to align to, a power of two; 0: none */
	__u64 huge;		/* size of hugetlb pages; 0: the default */
	int iommufd;		/* for buffers */
	__u32 ioas_id;		/* for buffers; 0: any */
};

struct iommu_memory {
	enum iommu_memory_kind kind;
	void *va;
	__u64 length;		/* at least what was wanted */
	int fd;			/* to be shared by mmap(); -1: none */
	__u64 offset;		/* there, or of a buffer in the iommufd */
	struct iommu_buffer buffer;	/* id 0 where it is none */
};

/**
 * iommu_memory_get - fresh memory that a device can be given
 *
 * Return: 0; -ENOMEM and others, with @why.
 */
int iommu_memory_get(const struct iommu_memory_want *want,
		     struct iommu_memory *ret, struct iommu_why *why);
/* Give it back. It may have been given back already. */
void iommu_memory_put(int iommufd, struct iommu_memory *mem);

/**
 * iommu_map_aligned - mmap() at an address that is a multiple of @align
 * @align: a power of two; at least a page is meant
 * @flags: MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, ...
 * @ret: NULL on error; munmap() it, @length rounded up to pages
 */
int iommu_map_aligned(__u64 length, __u64 align, int prot, int flags, int fd,
		      __u64 offset, void **ret);

/* ---- Who has a node open (holder.c) ---- */

struct iommu_holder {
	pid_t pid;
	int fd;			/* number in that process */
	char comm[32];		/* printable ASCII, "?" for all else */
};

/**
 * iommu_holders - open files of a node
 * @path: the node, below the root of @sys
 * @pid: only of this process; 0 for all
 * @ret: free() it
 * @ret_hidden: processes that this one may not look into; may be NULL
 *
 * Return: 0; -ENOENT no such node; -ESRCH, -EACCES with @pid.
 */
int iommu_holders(struct iommu_sys *sys, const char *path, pid_t pid,
		  struct iommu_holder **ret, size_t *ret_nr,
		  size_t *ret_hidden);

/* A duplicate of that file, by pidfd_getfd(2): needs ptrace rights. */
int iommu_holder_fd(const struct iommu_holder *holder);

/* ---- The daemon (client.c, acquire.c) ---- */

/*
 * A connection to iommud. Calls block, one at a time; the interface is
 * org.granule.iommud, described in its .varlink file.
 */
struct iommu_client;

/* An answer of the daemon. iommu_reply_done() it, after errors too. */
struct iommu_reply {
	struct json_object *parameters;	/* of errors as well; may be NULL */
	int *fds;		/* that came with it, close-on-exec */
	size_t nr_fds;
	bool continues;		/* of a stream: others follow */
	char error[64];		/* "Busy"; "": none, or not the daemon's */
	enum iommu_error_kind kind;
	struct iommu_why why;	/* the error as a sentence */
};

/**
 * iommu_client_open - connect to iommud
 * @path: its socket; NULL for that of the environment variable IOMMUD_SOCKET,
 *	or /run/iommud/iommud.sock when that is not set
 * @ret: NULL on error
 *
 * Return: 0; -ENOENT or -ECONNREFUSED when there is no daemon; -EACCES;
 * -ETIMEDOUT when it takes no connections for 30 seconds; others, with @why.
 */
int iommu_client_open(const char *path, struct iommu_client **ret,
		      struct iommu_why *why);
struct iommu_client *iommu_client_close(struct iommu_client *client);

/* The socket, for poll(). Do not read from it. */
int iommu_client_fd(const struct iommu_client *client);

/* How long a call may take in milliseconds; -1 for any time. First 30000. */
void iommu_client_set_timeout(struct iommu_client *client, int ms);

/**
 * iommu_client_call - call a method and wait for its only reply
 * @method: "GetStatus", or with its interface, "org.varlink.service.GetInfo"
 * @parameters: an object, or NULL for none; released in any case
 * @ret: always filled in
 *
 * Return: 0; for an error of the daemon's, which @ret names, a negative errno
 * that goes with it: -ENOENT NotFound, -EBUSY Busy, -EPERM PermissionDenied,
 * -EINVAL Refused or InvalidPolicy, -ENXIO NoModule, -EDQUOT LimitReached,
 * -EIO Failed; -EOPNOTSUPP when this daemon has no such method.
 * Without a name of an error: -ETIMEDOUT, -ECONNRESET, -EBADMSG when it is no
 * Varlink, -EMFILE when its files do not fit into this process; then the
 * connection is of no use any more.
 */
int iommu_client_call(struct iommu_client *client, const char *method,
		      struct json_object *parameters, struct iommu_reply *ret);

/* The same, waiting @extra milliseconds longer after iommu_client_send(). */
int iommu_client_answer(struct iommu_client *client, int extra,
			struct iommu_reply *ret);

/**
 * iommu_client_send - send a call without waiting for a reply
 * @more: ask for a stream of replies
 */
int iommu_client_send(struct iommu_client *client, const char *method,
		      struct json_object *parameters, bool more,
		      struct iommu_why *why);

/**
 * iommu_client_receive - the next reply of a stream
 * @timeout: in milliseconds; 0 for what is here already, -1 for any time
 *
 * Descriptors that came since the reply before are in this one. -ETIMEDOUT
 * between two replies leaves the connection as it is.
 */
int iommu_client_receive(struct iommu_client *client, int timeout,
			 struct iommu_reply *ret);

/* Descriptor @index of a reply, the caller's from now on; -EBADMSG. */
int iommu_reply_take_fd(struct iommu_reply *reply, long index);

/* Closes the descriptors that were not taken. */
void iommu_reply_done(struct iommu_reply *reply);

/* What to acquire. */
struct iommu_acquire {
	const char *const *devices;	/* by any name of a device */
	size_t nr;
	bool attach;		/* bound and attached; else only opened */
	unsigned int wait;	/* milliseconds, while one is in use */
};

struct iommu_acquired_device {
	char device[16];
	int fd;
	bool attached;		/* with it: */
	__u32 dev_id;
	__u32 ioas_id;
	__u64 granule;		/* 0: not known */
};

/* Memory in a named IOAS: mmap() @fd with MAP_SHARED. */
struct iommu_acquired_region {
	char name[40];
	int fd;
	__u64 iova;
	__u64 size;
	bool read;		/* what devices may do */
	bool write;
};

struct iommu_acquired {
	int iommufd;		/* -1: the devices are in a named IOAS */
	struct iommu_acquired_device *devices;
	size_t nr_devices;
	struct iommu_acquired_region *regions;
	size_t nr_regions;
};

/**
 * iommu_acquire - get devices from iommud, all of them or none
 * @ret: all descriptors are close-on-exec; iommu_acquired_done() it
 * @kind: of the failure
 *
 * The lease lasts until the last copy of a device's file is closed; one that
 * is not attached, until this process has ended or called Release.
 *
 * Return: as iommu_client_call(), with @why.
 */
int iommu_acquire(struct iommu_client *client, const struct iommu_acquire *want,
		  struct iommu_acquired *ret, enum iommu_error_kind *kind,
		  struct iommu_why *why);

/* The memory of a named IOAS, without a device. */
int iommu_ioas_open(struct iommu_client *client, const char *name,
		    struct iommu_acquired *ret, enum iommu_error_kind *kind,
		    struct iommu_why *why);

/* Closes what it still has: set descriptors that are to stay to -1. */
void iommu_acquired_done(struct iommu_acquired *acquired);

/* ---- Containers (cdi.c) ---- */

/**
 * iommu_cdi_spec - a spec of the Container Device Interface, version 0.6.0
 * @devs: with nodes, each of which becomes a device "granule.org/vfio=NAME"
 * @ret: a new reference
 *
 * Return: 0; -ENOMEM.
 */
int iommu_cdi_spec(struct iommu_sys_device *const *devs, size_t nr,
		   struct json_object **ret);

/**
 * iommu_cdi_write - write a spec to a directory of specs, in place of the last
 * @ret_path: the file; free() it
 *
 * Return: 0; -ENOENT no such directory; -EACCES; others.
 */
int iommu_cdi_write(struct json_object *spec, const char *dir,
		    char **ret_path);

/* ---- JSON (json.c) ---- */

/*
 * One builder per object; each returns a new reference, or NULL when out of
 * memory. Addresses are strings ("0xfee00000"), sizes and counts numbers. The
 * schema is in iommuctl(1).
 */
#define IOMMU_JSON_VERSION 1

struct json_object *iommu_json_device(const struct iommu_sys_device *dev);
struct json_object *iommu_json_group(const struct iommu_sys_group *group);
struct json_object *iommu_json_kernel_dma(const struct iommu_sys_device *dev,
					  const struct iommu_sys_group *group);
struct json_object *iommu_json_device_info(const struct iommu_device_info *info,
					   const struct iommu_device_caps *caps);
struct json_object *iommu_json_ranges(const struct iommu_iova_range *ranges,
				      size_t nr);
struct json_object *iommu_json_regions(const struct iommu_sys_region *regions,
				       size_t nr);
struct json_object *iommu_json_context(const struct iommu_context *context);
struct json_object *iommu_json_event(const struct iommu_event *event);
struct json_object *iommu_json_area(const struct iommu_area_info *area);
struct json_object *iommu_json_ioas(__u32 id,
				    const struct iommu_ioas_info *info,
				    const struct iommu_ioas_caps *caps);

#ifdef __cplusplus
}
#endif

#include "libiommu-report.h"

#endif
