// SPDX-License-Identifier: LGPL-2.1-only
/* VFIO's devices of PCI devices: vfio0 of 0000:00:03.0. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

#define CLASS "/sys/class/vfio-dev"

/* Without granule-vfio there is a vfio device but no node for it. */
static void set_node(struct iommu_sys_device *dev, bool node)
{
	if (dev->vfio && node &&
	    asprintf(&dev->node, "/dev/vfio/devices/%s", dev->vfio) < 0)
		dev->node = NULL;
}

/* That of one device: the only entry of its vfio-dev/. */
static void read_one(int dir, struct iommu_sys_device *dev)
{
	int fd = openat(dir, "vfio-dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	char path[300];

	if (!entries) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((ent = readdir(entries)) && ent->d_name[0] == '.')
		;
	if (ent)
		dev->vfio = strdup(ent->d_name);
	closedir(entries);
	if (!dev->vfio)
		return;
	snprintf(path, sizeof(path), "vfio-dev/%s/dev", dev->vfio);
	set_node(dev, !faccessat(dir, path, F_OK, 0));
}

static int by_device(const void *a, const void *b)
{
	const struct sys_vfio *s = a, *t = b;

	return strcmp(s->device, t->device);
}

void sys_vfio_read(const struct iommu_sys *sys, int dir,
		   struct iommu_sys_device *dev)
{
	const struct sys_vfio *found;
	struct sys_vfio key;

	if (!sys->vfios_known) {
		read_one(dir, dev);
		return;
	}
	if (!sys->nr_vfios)
		return;
	strcpy(key.device, dev->name);
	found = bsearch(&key, sys->vfios, sys->nr_vfios, sizeof(key),
			by_device);
	if (!found)
		return;
	dev->vfio = strdup(found->name);
	set_node(dev, found->node);
}

/* A link of the class: ".../0000:00:03.0/vfio-dev/vfio0" */
static bool parse(char *target, const char *name, struct sys_vfio *ret)
{
	char *end = strstr(target, "/vfio-dev/"), *device;

	if (!end)
		return false;
	*end = 0;
	device = strrchr(target, '/');
	device = device ? device + 1 : target;
	if (strlen(device) >= sizeof(ret->device) ||
	    strlen(name) >= sizeof(ret->name))
		return false;
	strcpy(ret->device, device);
	strcpy(ret->name, name);
	return true;
}

void sys_vfio_list(struct iommu_sys *sys)
{
	char path[PATH_MAX], target[PATH_MAX], node[300];
	struct sys_vfio *more, v;
	struct dirent *ent;
	ssize_t n;
	DIR *dir;

	sys_vfio_forget(sys);
	if (sys_format(sys, path, CLASS))
		return;
	dir = opendir(path);
	/*
	 * Without the class, which vfio.ko makes, there are none. If it cannot
	 * be read, as without descriptors, devices are looked at one by one.
	 */
	sys->vfios_known = dir || errno == ENOENT;
	while (dir && (ent = readdir(dir))) {
		n = readlinkat(dirfd(dir), ent->d_name, target,
			       sizeof(target) - 1);
		if (n < 0)	/* gone meanwhile, or "." */
			continue;
		target[n] = 0;
		if (!parse(target, ent->d_name, &v))
			continue;
		snprintf(node, sizeof(node), "%s/dev", ent->d_name);
		v.node = !faccessat(dirfd(dir), node, F_OK, 0);
		more = reallocarray(sys->vfios, sys->nr_vfios + 1, sizeof(v));
		if (!more) {
			/* What is missing would look unbound: one by one. */
			sys_vfio_forget(sys);
			break;
		}
		sys->vfios = more;
		sys->vfios[sys->nr_vfios++] = v;
	}
	if (dir)
		closedir(dir);
	if (sys->nr_vfios)
		qsort(sys->vfios, sys->nr_vfios, sizeof(v), by_device);
}

void sys_vfio_forget(struct iommu_sys *sys)
{
	free(sys->vfios);
	sys->vfios = NULL;
	sys->nr_vfios = 0;
	sys->vfios_known = false;
}
