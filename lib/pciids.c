// SPDX-License-Identifier: LGPL-2.1-only
/* Names of PCI vendors and devices from pci.ids, where it is installed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

#define MAX_SIZE (64L << 20)

static char *slurp(const char *path)
{
	struct stat st;
	char *text = NULL;
	ssize_t n;
	size_t done = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= MAX_SIZE)
		text = malloc(st.st_size + 1);
	while (text && done < (size_t)st.st_size) {
		n = read(fd, text + done, st.st_size - done);
		if (n <= 0)
			break;
		done += n;
	}
	if (text)
		text[done] = 0;
	close(fd);
	return text;
}

/* The line that starts with @key after a newline, up to the next newline. */
static const char *line_of(const char *text, const char *key, const char *end)
{
	const char *p = text;
	size_t len = strlen(key);

	while (p && (!end || p < end)) {
		if (!strncmp(p, key, len))
			return p + len;
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return NULL;
}

static char *name_of(const char *p)
{
	while (*p == ' ')
		p++;
	return strndup(p, strcspn(p, "\n"));
}

void pci_ids_lookup(struct iommu_sys *sys, struct iommu_sys_device *dev)
{
	static const char *const places[] = {
		"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids",
	};
	const char *vendor, *end, *line;
	char path[PATH_MAX], key[16];
	size_t i;

	for (i = 0; !sys->pci_ids_tried && i < ARRAY_LEN(places); i++) {
		if (!sys->pci_ids && !sys_format(sys, path, "%s", places[i]))
			sys->pci_ids = slurp(path);
	}
	sys->pci_ids_tried = true;
	if (!sys->pci_ids)
		return;
	snprintf(key, sizeof(key), "%04x  ", dev->vendor);
	vendor = line_of(sys->pci_ids, key, NULL);
	if (!vendor)
		return;
	dev->vendor_name = name_of(vendor);
	/* Its devices follow, indented by a tab, up to the next vendor. */
	end = vendor;
	while ((end = strchr(end, '\n'))) {
		end++;
		if (*end != '\t' && *end != '#' && *end != '\n')
			break;
	}
	snprintf(key, sizeof(key), "\t%04x  ", dev->device);
	line = line_of(vendor, key, end);
	if (line)
		dev->device_name = name_of(line);
}
