/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the files of the library share. */
#ifndef LIBIOMMU_PRIVATE_H
#define LIBIOMMU_PRIVATE_H

#include <limits.h>

#include "libiommu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PCI_DEVICES "/sys/bus/pci/devices"
#define PCI_DRIVERS "/sys/bus/pci/drivers"
#define GROUPS "/sys/kernel/iommu_groups"

/* What is the same for all devices of an IOMMU. */
struct sys_iommu {
	char *name;		/* dmar0 */
	char *driver;
	char *endpoints;	/* granule-virtio-iommu's list of devices */
	__u64 granule;		/* 0: not in sysfs */
};

/* Names by pci.ids, which is long and has to be searched. */
struct sys_names {
	__u16 vendor, device;
	char *vendor_name, *device_name;
};

/* A VFIO device, by its link in the class of all of them. */
struct sys_vfio {
	char device[16];	/* 0000:00:03.0 */
	char name[32];		/* vfio0 */
	bool node;		/* has one in /dev/vfio/devices */
};

struct iommu_sys {
	char *root;		/* "" for / */
	char path[PATH_MAX];	/* of iommu_sys_path() */
	char *pci_ids;		/* the text, NUL-terminated; read on first use */
	size_t pci_ids_size;	/* of its mapping */
	bool pci_ids_tried;
	struct sys_names *ids;	/* found so far; pci.ids does not change */
	size_t nr_ids;
	/* Read once for the devices of one call, and forgotten before another. */
	struct sys_iommu *iommus;
	size_t nr_iommus;
	bool late, late_known;
	/* During a call that reads all devices; sorted by device. */
	struct sys_vfio *vfios;
	size_t nr_vfios;
	bool vfios_known;
};

/* The path below the root, printf style; -ENAMETOOLONG. */
int sys_format(const struct iommu_sys *sys, char path[PATH_MAX],
	       const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* One line of a file without its newline; -E2BIG when longer than @len. */
int sys_read(const struct iommu_sys *sys, char *buf, size_t len,
	     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Write to a sysfs file that exists. */
int sys_write(const struct iommu_sys *sys, const char *text, const char *fmt,
	      ...) __attribute__((format(printf, 3, 4)));

/* Last component of a symbolic link's target, into a new string. */
int sys_link(const struct iommu_sys *sys, char **ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

bool sys_exists(const struct iommu_sys *sys, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Sorted names in a directory, dot files left out; sys_names_free(). */
int sys_names(const struct iommu_sys *sys, char ***ret, size_t *ret_nr,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void sys_names_free(char **names, size_t nr);

/* What granule-dma says of a group; NULL where it does not know it. */
int sys_dma_read(const struct iommu_sys *sys, long group,
		 struct iommu_sys_dma **ret);

/* Fill in the IOMMU's driver and granule, as far as they are known. */
void sys_iommu_read(struct iommu_sys *sys, struct iommu_sys_device *dev);
/* Read IOMMUs anew from here on. */
void sys_iommu_forget(struct iommu_sys *sys);

/*
 * Fill in vfio and node: by way of @dir, the device's directory, or between
 * sys_vfio_list() and sys_vfio_forget() by what those have read at once.
 */
void sys_vfio_read(const struct iommu_sys *sys, int dir,
		   struct iommu_sys_device *dev);
void sys_vfio_list(struct iommu_sys *sys);
void sys_vfio_forget(struct iommu_sys *sys);

/* Fill in the vendor's and the device's name, as far as they are known. */
void pci_ids_lookup(struct iommu_sys *sys, struct iommu_sys_device *dev);
void pci_ids_forget(struct iommu_sys *sys);

/*
 * Somebody who has the device's own file open, or that of its group, and the
 * @node that it is; false: nobody, or nobody who can be seen.
 */
bool sys_holder(struct iommu_sys *sys, const struct iommu_sys_device *dev,
		struct iommu_holder *ret, char *node, size_t len);

/*
 * The name of a process, which that chooses, for other people's terminals and
 * JSON: "?" for all but printable ASCII.
 */
void sys_printable(char *text);

/*
 * What a preflight has found so far (doctor*.c). Out of memory, findings go
 * to @spare and @failed is set: who adds one need not check.
 */
struct doctor {
	struct iommu_sys *sys;
	const struct iommu_doctor_want *want;
	struct iommu_finding *findings;
	size_t nr;
	bool failed;
	struct iommu_finding spare;
	char release[80];	/* of the kernel */
	char cmdline[2048];	/* the kernel's, with a blank at both ends */
	bool no_iommu;		/* so that devices need not say it again */
	__u64 granule;		/* the largest of the devices; 0: not known */
};

/* A new finding about @object; its texts are filled in with SAY(). */
struct iommu_finding *doctor_add(struct doctor *d,
				 enum iommu_finding_level level,
				 const char *check, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* snprintf() into a text of a finding, cut off where it is too long. */
void doctor_say(char *text, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define SAY(f, member, ...) \
	doctor_say((f)->member, sizeof((f)->member), __VA_ARGS__)

/* Is @word one of the kernel's command line? */
bool doctor_cmdline(const struct doctor *d, const char *word);
/* May this process open @path for reading and writing? A finding says. */
void doctor_node(struct doctor *d, const char *path);

void doctor_memory(struct doctor *d);
void doctor_device(struct doctor *d, const char *arg);

/* The kernel's log from now on; -EPERM. The next fault in it; -EAGAIN, -EPIPE. */
int kernel_log_open(void);
int kernel_log_next(int fd, struct iommu_event *ret);

#endif
