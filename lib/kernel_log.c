// SPDX-License-Identifier: LGPL-2.1-only
/*
 * Faults in the kernel's log: VT-d's driver, and those of devices that the
 * kernel drives, are told nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

/* "00:10.0" or "0000:00:10.0" at @text, as a device's name; its length or 0. */
static int read_device(const char *text, char name[32])
{
	unsigned int domain = 0, bus, slot, fn;
	int n = 0;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &fn,
		   &n) != 4 || !n) {
		domain = 0;
		n = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &fn, &n) != 3 ||
		    !n)
			return 0;
	}
	if (slot > 31 || fn > 7)
		return 0;
	snprintf(name, 32, "%04x:%02x:%02x.%x", domain, bus, slot, fn);
	return n;
}

/* Hex digits, with or without 0x, right behind @key. */
static bool read_hex(const char *text, const char *key, __u64 *ret)
{
	const char *at = strstr(text, key);
	char *end;

	if (!at)
		return false;
	at += strlen(key);
	errno = 0;
	*ret = strtoull(at, &end, 16);
	return end != at && *at != '-' && *at != ' ' && !errno;
}

/*
 * DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault addr 0x1100000
 * [fault reason 0x06] PTE Read access is not set
 */
static bool read_vtd(const char *text, struct iommu_event *ret)
{
	const char *device = strstr(text, "Request device [");
	const char *type = strstr(text, "[DMA ");

	if (!type || !device ||
	    !read_device(device + strlen("Request device ["), ret->device) ||
	    !read_hex(device, "fault addr ", &ret->addr))
		return false;
	ret->write = !strncmp(type, "[DMA Write", strlen("[DMA Write"));
	ret->read = !ret->write;
	return true;
}

#define AMD_WRITE (1 << 5)	/* RW of an IO_PAGE_FAULT */
#define AMD_INTERRUPT (1 << 3)	/* it is none of DMA */

/*
 * edu 0000:00:10.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000f
 * address=0x1100000 flags=0x0000], or, of a device that is not there,
 * AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:10.0 domain=...
 */
static bool read_amd(const char *text, const char *fault,
		     struct iommu_event *ret)
{
	const char *device = strstr(fault, "device=");
	const char *at = strstr(text, ": AMD-Vi:");
	__u64 flags;

	if (device) {
		device += strlen("device=");
	} else {
		if (!at)
			return false;
		while (at > text && at[-1] != ' ')
			at--;
		device = at;
	}
	if (!read_device(device, ret->device) ||
	    !read_hex(fault, "address=", &ret->addr) ||
	    !read_hex(fault, "flags=", &flags) || flags & AMD_INTERRUPT)
		return false;
	ret->write = flags & AMD_WRITE;
	ret->read = !ret->write;
	return true;
}

bool iommu_event_from_log(const char *text, struct iommu_event *ret)
{
	const char *fault = strstr(text, "[IO_PAGE_FAULT ");

	memset(ret, 0, sizeof(*ret));
	ret->kind = IOMMU_EVENT_FAULT;
	ret->group = -1;
	ret->from_log = true;
	if (!strncmp(text, "DMAR: ", 6))
		return read_vtd(text, ret);
	return fault && strstr(text, "AMD-Vi: ") && read_amd(text, fault, ret);
}

int kernel_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	/* What has been is not what happens. */
	if (lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* 0 and a fault; -EAGAIN no more now; -EPIPE some lines were lost. */
int kernel_log_next(int fd, struct iommu_event *ret)
{
	char record[2048], *text, *end;
	ssize_t n;

	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EINTR)
			continue;
		/* A record that is too long for us is no fault. */
		if (n < 0 && errno == EINVAL)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EAGAIN;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = 0;
		/* Only the kernel's own: facility 0 of syslog. */
		if (strtoul(record, NULL, 10) >> 3)
			continue;
		if (iommu_event_from_log(text, ret))
			return 0;
	}
}
