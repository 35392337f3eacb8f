// SPDX-License-Identifier: LGPL-2.1-only
/* What the host uses of a device: network interfaces that are up, disks. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

struct use {
	const struct iommu_sys *sys;
	char want[32];		/* "/0000:00:03.0/", in paths of its parts */
	char *text;
	size_t len;
};

static __attribute__((format(printf, 2, 3)))
bool say(struct use *u, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(u->text, u->len, fmt, ap);
	va_end(ap);
	return true;
}

/* A driver that never tells of its link leaves an interface "unknown". */
static bool net_is_on(const struct use *u, const char *name)
{
	char flags[32];

	return !sys_read(u->sys, flags, sizeof(flags),
			 "/sys/class/net/%s/flags", name) &&
	       strtoul(flags, NULL, 16) & IFF_UP;
}

static bool net_used(struct use *u, const char *name)
{
	char state[32];

	return !sys_read(u->sys, state, sizeof(state),
			 "/sys/class/net/%s/operstate", name) &&
	       (!strcmp(state, "up") ||
		(!strcmp(state, "unknown") && net_is_on(u, name))) &&
	       say(u, "network interface %s is up", name);
}

/* There is a directory of interfaces as long as there is one. */
static bool is_net_hidden(struct use *u, const char *device, const char *part)
{
	char **names;
	size_t nr;

	if (sys_names(u->sys, &names, &nr, PCI_DEVICES "/%s/%s/net", device,
		      part))
		return false;
	sys_names_free(names, nr);
	return !nr && say(u, "its network interface is in another network "
			  "namespace");
}

/* Of a container, or a virtual machine: sysfs shows only those of ours. */
static bool net_elsewhere(struct use *u, const char *device)
{
	bool found = is_net_hidden(u, device, ".");
	char **names;
	size_t nr, i;

	if (found || sys_names(u->sys, &names, &nr, PCI_DEVICES "/%s", device))
		return found;
	for (i = 0; i < nr && !found; i++)
		found = !strncmp(names[i], "virtio", 6) &&
			is_net_hidden(u, device, names[i]);
	sys_names_free(names, nr);
	return found;
}

/* Is a disk the first word of a line there? */
static bool is_listed(const struct use *u, const char *list, const char *disk)
{
	char path[PATH_MAX], line[512];
	bool found = false;
	FILE *f;

	if (sys_format(u->sys, path, "%s", list))
		return false;
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t")] = 0;
		found = !strncmp(line, "/dev/", 5) && !strcmp(line + 5, disk);
	}
	if (f)
		fclose(f);
	return found;
}

/*
 * By its number: the kernel calls what it mounts itself /dev/root, and a disk
 * may have other names.
 */
static bool is_mounted(const struct use *u, const char *disk)
{
	char path[PATH_MAX], number[32], other[32], *line = NULL;
	bool found = false;
	size_t room = 0;
	FILE *f;

	if (sys_read(u->sys, number, sizeof(number),
		     "/sys/class/block/%s/dev", disk) ||
	    sys_format(u->sys, path, "/proc/self/mountinfo"))
		return false;
	f = fopen(path, "re");
	while (f && !found && getline(&line, &room, f) > 0)
		found = sscanf(line, "%*s %*s %31s", other) == 1 &&
			!strcmp(other, number);
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* Of its disks, btrfs has one in the list, and none by number. */
static bool is_in_btrfs(struct use *u, const char *disk)
{
	static const char dir[] = "/sys/fs/btrfs";
	bool found = false;
	char **names;
	size_t nr, i;

	if (sys_names(u->sys, &names, &nr, "%s", dir))
		return false;
	for (i = 0; i < nr && !found; i++)
		found = sys_exists(u->sys, "%s/%s/devices/%s", dir, names[i],
				   disk) &&
			say(u, "/dev/%s is part of btrfs %s, which is mounted",
			    disk, names[i]);
	sys_names_free(names, nr);
	return found;
}

/* LVM, dm-crypt, md: what is on top may be mounted, or in use so. */
static bool is_part(struct use *u, const char *disk)
{
	char **holders, name[128];
	bool held;
	size_t nr;

	if (sys_names(u->sys, &holders, &nr, "/sys/class/block/%s/holders",
		      disk))
		return false;
	held = nr;
	if (held && sys_read(u->sys, name, sizeof(name),
			     "/sys/class/block/%s/dm/name", holders[0]))
		snprintf(name, sizeof(name), "%s", holders[0]);
	sys_names_free(holders, nr);
	return held && say(u, "/dev/%s is part of %s", disk, name);
}

/*
 * Whoever is not in those lists, as ZFS, has it exclusively. A machine may not
 * let us open it: then that is not known.
 */
static bool is_exclusive(struct use *u, const char *disk)
{
	char path[PATH_MAX];
	int fd, err;

	if (sys_format(u->sys, path, "/dev/%s", disk))
		return false;
	fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	err = errno;
	if (fd >= 0)
		close(fd);
	return fd < 0 && err == EBUSY &&
	       say(u, "/dev/%s is in use exclusively", disk);
}

static bool disk_used(struct use *u, const char *disk)
{
	return ((is_listed(u, "/proc/mounts", disk) || is_mounted(u, disk)) &&
		say(u, "/dev/%s is mounted", disk)) ||
	       (is_listed(u, "/proc/swaps", disk) &&
		say(u, "/dev/%s is swapped to", disk)) ||
	       is_part(u, disk) || is_in_btrfs(u, disk) ||
	       is_exclusive(u, disk);
}

/*
 * A disk that NVMe may reach by several controllers belongs to a subsystem,
 * which has links to them.
 */
static bool by_subsystem(const struct use *u, char *real)
{
	static const char dir[] = "/nvme-subsystem/";
	const char *at = strstr(real, dir);
	char subsystem[64], path[PATH_MAX], **names;
	bool found = false;
	size_t nr, i, len;

	if (!at)
		return false;
	at += sizeof(dir) - 1;
	len = strcspn(at, "/");
	if (len >= sizeof(subsystem))
		return false;
	memcpy(subsystem, at, len);
	subsystem[len] = 0;
	if (sys_names(u->sys, &names, &nr, "/sys/class/nvme-subsystem/%s",
		      subsystem))
		return false;
	for (i = 0; i < nr && !found; i++)
		found = !strncmp(names[i], "nvme", 4) &&
			!sys_format(u->sys, path,
				    "/sys/class/nvme-subsystem/%s/%s",
				    subsystem, names[i]) &&
			realpath(path, real) && strstr(real, u->want);
	sys_names_free(names, nr);
	return found;
}

/* Any of a class that is of the device, and in use. */
static bool any_used(struct use *u, const char *class,
		     bool (*used)(struct use *u, const char *name))
{
	char path[PATH_MAX], real[PATH_MAX];
	bool found = false;
	char **names;
	size_t nr, i;

	if (sys_names(u->sys, &names, &nr, "/sys/class/%s", class))
		return false;
	for (i = 0; i < nr && !found; i++)
		found = !sys_format(u->sys, path, "/sys/class/%s/%s", class,
				    names[i]) && realpath(path, real) &&
			(strstr(real, u->want) || by_subsystem(u, real)) &&
			used(u, names[i]);
	sys_names_free(names, nr);
	return found;
}

bool iommu_host_uses(struct iommu_sys *sys, const char *name, char *text,
		     size_t len)
{
	struct use u = { .sys = sys, .text = text, .len = len };

	snprintf(u.want, sizeof(u.want), "/%s/", name);
	return any_used(&u, "net", net_used) || net_elsewhere(&u, name) ||
	       any_used(&u, "block", disk_used);
}
