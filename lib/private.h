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

struct iommu_sys {
	char *root;		/* "" for / */
	char path[PATH_MAX];	/* of iommu_sys_path() */
	char *pci_ids;		/* the text, NUL-terminated; read on first use */
	bool pci_ids_tried;
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

/* Fill in the vendor's and the device's name, as far as they are known. */
void pci_ids_lookup(struct iommu_sys *sys, struct iommu_sys_device *dev);

#endif
