// SPDX-License-Identifier: LGPL-2.1-only
/* Names of PCI vendors and devices from pci.ids, where it is installed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

#define MAX_SIZE (64L << 20)

/*
 * The file is read, not mapped: one that gets shorter would kill the program.
 * Its pages are taken in one call, as a fault for each of them is most of what
 * "iommuctl device show" would take otherwise.
 */
static void slurp(struct iommu_sys *sys, const char *path)
{
	struct stat st;
	char *text = MAP_FAILED;
	ssize_t n;
	size_t done = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= MAX_SIZE)
		text = mmap(NULL, st.st_size + 1, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (text != MAP_FAILED) {
		sys->pci_ids = text;
		sys->pci_ids_size = st.st_size + 1;
		while (done < (size_t)st.st_size) {
			n = read(fd, text + done, st.st_size - done);
			if (n <= 0)
				break;
			done += n;
		}
	}
	close(fd);
}

/* The line that starts with @key after a newline, up to the next newline. */
static const char *line_of(const char *text, const char *key, const char *end)
{
	const char *p = text;
	size_t len = strlen(key);

	while (p && (!end || p < end)) {
		if (*p == *key && !strncmp(p, key, len))
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

static void search(struct iommu_sys *sys, struct sys_names *names)
{
	const char *vendor, *end, *line;
	char key[16];

	snprintf(key, sizeof(key), "%04x  ", names->vendor);
	vendor = line_of(sys->pci_ids, key, NULL);
	if (!vendor)
		return;
	names->vendor_name = name_of(vendor);
	/* Its devices follow, indented by a tab, up to the next vendor. */
	end = vendor;
	while ((end = strchr(end, '\n'))) {
		end++;
		if (*end != '\t' && *end != '#' && *end != '\n')
			break;
	}
	snprintf(key, sizeof(key), "\t%04x  ", names->device);
	line = line_of(vendor, key, end);
	if (line)
		names->device_name = name_of(line);
}

static void read_ids(struct iommu_sys *sys)
{
	static const char *const places[] = {
		"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids",
	};
	char path[PATH_MAX];
	size_t i;

	for (i = 0; !sys->pci_ids_tried && i < ARRAY_LEN(places); i++) {
		if (!sys->pci_ids && !sys_format(sys, path, "%s", places[i]))
			slurp(sys, path);
	}
	sys->pci_ids_tried = true;
}

void pci_ids_lookup(struct iommu_sys *sys, struct iommu_sys_device *dev)
{
	struct sys_names *n, *more;
	size_t i;

	read_ids(sys);
	if (!sys->pci_ids)
		return;
	/* The latest first: a card's functions follow each other. */
	for (i = sys->nr_ids; i--; ) {
		n = &sys->ids[i];
		if (n->vendor == dev->vendor && n->device == dev->device)
			goto found;
	}
	more = reallocarray(sys->ids, sys->nr_ids + 1, sizeof(*more));
	if (!more)
		return;
	sys->ids = more;
	n = &more[sys->nr_ids++];
	*n = (struct sys_names){ .vendor = dev->vendor, .device = dev->device };
	search(sys, n);
found:
	dev->vendor_name = n->vendor_name ? strdup(n->vendor_name) : NULL;
	dev->device_name = n->device_name ? strdup(n->device_name) : NULL;
}

void pci_ids_forget(struct iommu_sys *sys)
{
	while (sys->nr_ids) {
		free(sys->ids[--sys->nr_ids].vendor_name);
		free(sys->ids[sys->nr_ids].device_name);
	}
	free(sys->ids);
	if (sys->pci_ids)
		munmap(sys->pci_ids, sys->pci_ids_size);
}
