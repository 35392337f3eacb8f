// SPDX-License-Identifier: LGPL-2.1-only
/* Devices and IOMMU groups as sysfs shows them, below an injectable root. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

struct iommu_sys *iommu_sys_new(const char *root)
{
	struct iommu_sys *sys = calloc(1, sizeof(*sys));
	size_t len;

	if (!sys)
		return NULL;
	if (!root)
		root = secure_getenv("IOMMU_SYSFS_ROOT");
	sys->root = strdup(root ? root : "");
	if (!sys->root) {
		free(sys);
		return NULL;
	}
	len = strlen(sys->root);
	while (len && sys->root[len - 1] == '/')
		sys->root[--len] = 0;
	return sys;
}

struct iommu_sys *iommu_sys_free(struct iommu_sys *sys)
{
	if (sys) {
		free(sys->root);
		pci_ids_forget(sys);
		sys_iommu_forget(sys);
		free(sys);
	}
	return NULL;
}

static int format(const struct iommu_sys *sys, char path[PATH_MAX],
		  const char *fmt, va_list ap)
{
	int root = snprintf(path, PATH_MAX, "%s", sys->root);
	int n;

	if (root >= PATH_MAX)
		return -ENAMETOOLONG;
	n = vsnprintf(path + root, PATH_MAX - root, fmt, ap);
	return n < 0 || n >= PATH_MAX - root ? -ENAMETOOLONG : 0;
}

/* The variable arguments of the caller, formatted into @path. */
#define FORMAT(sys, path, fmt) ({					\
	va_list _ap;							\
	int _rc;							\
	va_start(_ap, fmt);						\
	_rc = format(sys, path, fmt, _ap);				\
	va_end(_ap);							\
	_rc; })

int sys_format(const struct iommu_sys *sys, char path[PATH_MAX],
	       const char *fmt, ...)
{
	return FORMAT(sys, path, fmt);
}

const char *iommu_sys_path(struct iommu_sys *sys, const char *path)
{
	if (sys_format(sys, sys->path, "%s", path))
		sys->path[0] = 0;
	return sys->path;
}

int sys_read(const struct iommu_sys *sys, char *buf, size_t len,
	     const char *fmt, ...)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, rc = FORMAT(sys, path, fmt);

	if (rc)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len);
	rc = n < 0 ? -errno : 0;
	close(fd);
	if (rc)
		return rc;
	if ((size_t)n == len)
		return -E2BIG;
	while (n && isspace((unsigned char)buf[n - 1]))
		n--;
	buf[n] = 0;
	return 0;
}

int sys_write(const struct iommu_sys *sys, const char *text, const char *fmt,
	      ...)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, rc = FORMAT(sys, path, fmt);

	if (rc)
		return rc;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	rc = n < 0 ? -errno : 0;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

int sys_link(const struct iommu_sys *sys, char **ret, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;
	int rc = FORMAT(sys, path, fmt);

	*ret = NULL;
	if (rc)
		return rc;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	base = strrchr(target, '/');
	*ret = strdup(base ? base + 1 : target);
	return *ret ? 0 : -ENOMEM;
}

bool sys_exists(const struct iommu_sys *sys, const char *fmt, ...)
{
	char path[PATH_MAX];
	struct stat st;

	return !FORMAT(sys, path, fmt) && !stat(path, &st);
}

/* PCI addresses are in hex, and only their domain has no fixed length. */
static int by_name(const void *a, const void *b)
{
	const char *s = *(char *const *)a, *t = *(char *const *)b;

	if (!strchr(s, ':') || !strchr(t, ':'))
		return strverscmp(s, t);
	if (strlen(s) != strlen(t))
		return strlen(s) < strlen(t) ? -1 : 1;
	return strcmp(s, t);
}

void sys_names_free(char **names, size_t nr)
{
	while (nr)
		free(names[--nr]);
	free(names);
}

int sys_names(const struct iommu_sys *sys, char ***ret, size_t *ret_nr,
	      const char *fmt, ...)
{
	char path[PATH_MAX], **names = NULL, **more;
	size_t nr = 0;
	struct dirent *ent;
	int rc = FORMAT(sys, path, fmt);
	DIR *dir;

	*ret = NULL;
	*ret_nr = 0;
	if (rc)
		return rc;
	dir = opendir(path);
	if (!dir)
		return -errno;
	for (;;) {
		errno = 0;
		ent = readdir(dir);
		if (!ent) {
			rc = -errno;
			break;
		}
		if (ent->d_name[0] == '.')
			continue;
		more = reallocarray(names, nr + 1, sizeof(*names));
		if (more)
			names = more;
		if (!more || !(names[nr] = strdup(ent->d_name))) {
			rc = -ENOMEM;
			break;
		}
		nr++;
	}
	closedir(dir);
	if (rc) {
		sys_names_free(names, nr);
		return rc;
	}
	if (nr)
		qsort(names, nr, sizeof(*names), by_name);
	*ret = names;
	*ret_nr = nr;
	return 0;
}

/*
 * The files of a device are read by way of its directory, which spares the
 * kernel most of each path: machines have thousands of devices.
 */
static bool read_at(int dir, const char *file, char *buf, size_t len)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return false;
	while (n && isspace((unsigned char)buf[n - 1]))
		n--;
	buf[n] = 0;
	return true;
}

/* A small text attribute; NULL where it is missing, empty or "(null)". */
static char *attr(int dir, const char *file)
{
	char buf[256];

	if (!read_at(dir, file, buf, sizeof(buf)))
		return NULL;
	return buf[0] && strcmp(buf, "(null)") ? strdup(buf) : NULL;
}

static long attr_number(int dir, const char *file, long missing)
{
	char buf[64], *end;
	long v;

	if (!read_at(dir, file, buf, sizeof(buf)))
		return missing;
	v = strtol(buf, &end, 0);
	return end == buf || *end ? missing : v;
}

/* Last component of a link's target, or NULL. */
static char *link_at(int dir, const char *file)
{
	char target[PATH_MAX];
	const char *base;
	ssize_t n = readlinkat(dir, file, target, sizeof(target) - 1);

	if (n < 0)
		return NULL;
	target[n] = 0;
	base = strrchr(target, '/');
	return strdup(base ? base + 1 : target);
}

static bool parse_address(const char *arg, char *ret)
{
	unsigned int domain = 0, bus, slot, fn;
	int end = 0;

	if (sscanf(arg, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &fn,
		   &end) != 4 || arg[end]) {
		domain = 0;
		end = 0;
		if (sscanf(arg, "%2x:%2x.%1x%n", &bus, &slot, &fn, &end) != 3 ||
		    arg[end])
			return false;
	}
	if (slot > 31 || fn > 7)
		return false;
	/* scanf would take blanks and signs, too. */
	if (strspn(arg, "0123456789abcdefABCDEF:.") != strlen(arg))
		return false;
	return snprintf(ret, 16, "%04x:%02x:%02x.%x", domain, bus, slot, fn) <
	       16;
}

int iommu_sys_device_name(struct iommu_sys *sys, const char *arg, char *ret)
{
	static const char dir[] = "/dev/vfio/devices/";
	const char *vfio = arg;
	char **names;
	size_t nr, i;
	int rc;

	if (parse_address(arg, ret))
		return sys_exists(sys, PCI_DEVICES "/%s", ret) ? 0 : -ENODEV;
	if (!strncmp(vfio, dir, sizeof(dir) - 1))
		vfio += sizeof(dir) - 1;
	if (strncmp(vfio, "vfio", 4) || !vfio[4] ||
	    strspn(vfio + 4, "0123456789") != strlen(vfio + 4))
		return -EINVAL;
	rc = sys_names(sys, &names, &nr, PCI_DEVICES);
	if (rc)
		return rc == -ENOENT ? -ENODEV : rc;
	rc = -ENODEV;
	for (i = 0; i < nr; i++) {
		if (strlen(names[i]) < 16 &&
		    sys_exists(sys, PCI_DEVICES "/%s/vfio-dev/%s", names[i],
			       vfio)) {
			strcpy(ret, names[i]);
			rc = 0;
			break;
		}
	}
	sys_names_free(names, nr);
	return rc;
}

/* One file has what three others have. */
static void read_identity(int dir, struct iommu_sys_device *dev)
{
	unsigned int vendor, device, base, sub, interface;
	char buf[128];

	if (read_at(dir, "modalias", buf, sizeof(buf)) &&
	    sscanf(buf, "pci:v%8xd%8xsv%*8xsd%*8xbc%2xsc%2xi%2x", &vendor,
		   &device, &base, &sub, &interface) == 5) {
		dev->vendor = vendor;
		dev->device = device;
		dev->class = base << 16 | sub << 8 | interface;
		return;
	}
	dev->vendor = attr_number(dir, "vendor", 0xffff);
	dev->device = attr_number(dir, "device", 0xffff);
	dev->class = attr_number(dir, "class", 0);
}

static void read_details(int dir, struct iommu_sys_device *dev)
{
	dev->revision = attr_number(dir, "revision", 0);
	dev->numa_node = attr_number(dir, "numa_node", -1);
	dev->reset_method = attr(dir, "reset_method");
	/*
	 * A VFIO device without a driver is on its way out: the kernel waits
	 * for whoever has it open, and some kernels (6.1) have the device
	 * locked meanwhile, which reading this one waits for.
	 */
	if (dev->driver || !dev->vfio)
		dev->driver_override = attr(dir, "driver_override");
}

/* @name is a directory of PCI_DEVICES. */
static int read_device(struct iommu_sys *sys, const char *name,
		       unsigned int flags, struct iommu_sys_device **ret)
{
	struct iommu_sys_device *dev;
	char path[PATH_MAX];
	char *group;
	int dir;

	if (strlen(name) >= sizeof(dev->name) ||
	    sys_format(sys, path, PCI_DEVICES "/%s", name))
		return -ENODEV;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == EMFILE || errno == ENFILE ? -errno : -ENODEV;
	dev = calloc(1, sizeof(*dev));
	if (!dev) {
		close(dir);
		return -ENOMEM;
	}
	strcpy(dev->name, name);
	read_identity(dir, dev);
	dev->numa_node = -1;
	dev->driver = link_at(dir, "driver");
	dev->iommu = link_at(dir, "iommu");
	group = link_at(dir, "iommu_group");
	dev->group = group ? strtol(group, NULL, 10) : -1;
	free(group);
	sys_vfio_read(sys, dir, dev);
	dev->brief = flags & IOMMU_SYS_BRIEF;
	if (!dev->brief)
		read_details(dir, dev);
	close(dir);
	sys_iommu_read(sys, dev);
	pci_ids_lookup(sys, dev);
	*ret = dev;
	return 0;
}

int iommu_sys_device_get(struct iommu_sys *sys, const char *arg,
			 struct iommu_sys_device **ret)
{
	char name[16];
	int rc;

	*ret = NULL;
	sys_iommu_forget(sys);
	rc = iommu_sys_device_name(sys, arg, name);
	return rc ? rc : read_device(sys, name, 0, ret);
}

struct iommu_sys_device *iommu_sys_device_free(struct iommu_sys_device *dev)
{
	if (dev) {
		free(dev->vendor_name);
		free(dev->device_name);
		free(dev->driver);
		free(dev->driver_override);
		free(dev->iommu);
		free(dev->iommu_driver);
		free(dev->reset_method);
		free(dev->vfio);
		free(dev->node);
		free(dev);
	}
	return NULL;
}

void iommu_sys_devices_free(struct iommu_sys_device **devs, size_t nr)
{
	while (nr)
		iommu_sys_device_free(devs[--nr]);
	free(devs);
}

/* Read the devices called @names; one that has gone meanwhile is left out. */
static int read_devices(struct iommu_sys *sys, char **names, size_t nr,
			unsigned int flags,
			struct iommu_sys_device ***ret, size_t *ret_nr)
{
	struct iommu_sys_device **devs = calloc(nr + 1, sizeof(*devs));
	size_t i, n = 0;
	int rc;

	if (!devs)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		rc = read_device(sys, names[i], flags, &devs[n]);
		if (rc && rc != -ENODEV) {
			iommu_sys_devices_free(devs, n);
			return rc;
		}
		n += !rc;
	}
	*ret = devs;
	*ret_nr = n;
	return 0;
}

int iommu_sys_devices(struct iommu_sys *sys, unsigned int flags,
		      struct iommu_sys_device ***ret, size_t *ret_nr)
{
	char **names;
	size_t nr;
	int rc;

	*ret = NULL;
	*ret_nr = 0;
	if (flags & ~IOMMU_SYS_BRIEF)
		return -EINVAL;
	sys_iommu_forget(sys);
	rc = sys_names(sys, &names, &nr, PCI_DEVICES);
	if (rc == -ENOENT)	/* no PCI at all */
		return 0;
	if (rc)
		return rc;
	sys_vfio_list(sys);
	rc = read_devices(sys, names, nr, flags, ret, ret_nr);
	sys_vfio_forget(sys);
	sys_names_free(names, nr);
	return rc;
}

/* What the kernel calls them; "msi" stands for both kinds there. */
static int region_reason(const char *name, __u32 *ret)
{
	__u32 r;

	for (r = 0; r <= IOMMU_RESV_REASON_APERTURE; r++) {
		if (!strcmp(name, iommu_resv_reason_name(r))) {
			*ret = r;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_regions(const struct iommu_sys *sys, long id,
			struct iommu_sys_region **ret, size_t *ret_nr)
{
	struct iommu_sys_region *regions = NULL, *more, r;
	char path[PATH_MAX], line[128], name[32];
	uint64_t start, last;
	size_t nr = 0;
	FILE *f;
	int rc = 0;

	if (sys_format(sys, path, GROUPS "/%ld/reserved_regions", id))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %31s", &start, &last,
			   name) != 3 || region_reason(name, &r.reason))
			continue;
		r.start = start;
		r.last = last;
		more = reallocarray(regions, nr + 1, sizeof(*regions));
		if (!more) {
			rc = -ENOMEM;
			break;
		}
		regions = more;
		regions[nr++] = r;
	}
	fclose(f);
	*ret = regions;
	*ret_nr = nr;
	return rc;
}

static int read_group(struct iommu_sys *sys, long id,
		      struct iommu_sys_group **ret)
{
	struct iommu_sys_group *group;
	char **names, type[64];
	size_t nr;
	int rc;

	*ret = NULL;
	rc = sys_names(sys, &names, &nr, GROUPS "/%ld/devices", id);
	if (rc)
		return rc;
	group = calloc(1, sizeof(*group));
	if (!group) {
		sys_names_free(names, nr);
		return -ENOMEM;
	}
	group->id = id;
	if (!sys_read(sys, type, sizeof(type), GROUPS "/%ld/type", id))
		group->type = strdup(type);
	rc = read_devices(sys, names, nr, 0, &group->devices,
			  &group->nr_devices);
	if (!rc)
		rc = read_regions(sys, id, &group->regions, &group->nr_regions);
	if (!rc)
		rc = sys_dma_read(sys, id, &group->dma);
	sys_names_free(names, nr);
	if (rc) {
		iommu_sys_group_free(group);
		return rc;
	}
	*ret = group;
	return 0;
}

int iommu_sys_group_get(struct iommu_sys *sys, long id,
			struct iommu_sys_group **ret)
{
	sys_iommu_forget(sys);
	return read_group(sys, id, ret);
}

struct iommu_sys_group *iommu_sys_group_free(struct iommu_sys_group *group)
{
	if (group) {
		free(group->type);
		free(group->dma);
		iommu_sys_devices_free(group->devices, group->nr_devices);
		free(group->regions);
		free(group);
	}
	return NULL;
}

void iommu_sys_groups_free(struct iommu_sys_group **groups, size_t nr)
{
	while (nr)
		iommu_sys_group_free(groups[--nr]);
	free(groups);
}

int iommu_sys_groups(struct iommu_sys *sys, struct iommu_sys_group ***ret,
		     size_t *ret_nr)
{
	struct iommu_sys_group **groups;
	char **names;
	size_t nr, i, n = 0;
	int rc;

	*ret = NULL;
	*ret_nr = 0;
	sys_iommu_forget(sys);
	rc = sys_names(sys, &names, &nr, GROUPS);
	if (rc == -ENOENT)	/* no IOMMU */
		return 0;
	if (rc)
		return rc;
	groups = calloc(nr + 1, sizeof(*groups));
	rc = groups ? 0 : -ENOMEM;
	sys_vfio_list(sys);
	for (i = 0; i < nr && !rc; i++) {
		rc = read_group(sys, strtol(names[i], NULL, 10), &groups[n]);
		if (rc == -ENOENT)	/* gone meanwhile */
			rc = 0;
		else if (!rc)
			n++;
	}
	sys_vfio_forget(sys);
	sys_names_free(names, nr);
	if (rc) {
		iommu_sys_groups_free(groups, n);
		return rc;
	}
	*ret = groups;
	*ret_nr = n;
	return 0;
}

/*
 * Drivers that leave DMA to the user of the group. The kernel asks for a flag
 * in the driver, which sysfs does not show: VFIO's drivers are known by their
 * vfio-dev entry, the others by name.
 */
bool iommu_sys_device_blocks(const struct iommu_sys_device *dev)
{
	static const char *const harmless[] = { "pcieport", "pci-stub" };
	size_t i;

	if (!dev->driver || dev->vfio || strstr(dev->driver, "vfio"))
		return false;
	for (i = 0; i < ARRAY_LEN(harmless); i++) {
		if (!strcmp(dev->driver, harmless[i]))
			return false;
	}
	return true;
}
