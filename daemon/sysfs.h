/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of /sys that the daemon writes by itself. */
#ifndef IOMMUD_SYSFS_H
#define IOMMUD_SYSFS_H

struct iommu_sys;

/* Write a text into "/sys/bus/pci/" and what the format says; -errno. */
int pci_write(struct iommu_sys *sys, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
