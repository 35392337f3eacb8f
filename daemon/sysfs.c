// SPDX-License-Identifier: GPL-2.0-only
/* Write into files of /sys. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libiommu.h"
#include "sysfs.h"

#define PCI "/sys/bus/pci/"

int pci_write(struct iommu_sys *sys, const char *text, const char *fmt, ...)
{
	char path[PATH_MAX] = PCI;
	int fd, rc;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + strlen(PCI), sizeof(path) - strlen(PCI), fmt, ap);
	va_end(ap);
	fd = open(iommu_sys_path(sys, path), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}
