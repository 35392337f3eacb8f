/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's edu device, given to vfio-pci: a source of real DMA. */
#ifndef KSELFTEST_EDU_H
#define KSELFTEST_EDU_H

#include <dirent.h>
#include <limits.h>

#include <granule/vfio.h>

#include "utils.h"

#define EDU_ID 0x010000edU	/* register 0 */
#define EDU_LIVENESS 4		/* reads as the inverse of what was written */
#define EDU_SRC 0x80
#define EDU_DST 0x88
#define EDU_COUNT 0x90
#define EDU_CMD 0x98
#define EDU_CMD_START 1ULL
#define EDU_CMD_TO_RAM 2ULL
#define EDU_BUF 0x40000
#define EDU_BUF_SIZE 4096
#define EDU_BAR_SIZE (1 << 20)
#define EDU_IOVA_LAST ((1ULL << 28) - 1)	/* its default DMA mask */

struct edu {
	char bdf[32];
	int dev;		/* VFIO device file */
	uint32_t dev_id;	/* in the iommufd; 0 when not bound */
	uint64_t config;	/* offset of the config space in dev */
	uint64_t bar_off;
	volatile uint8_t *bar;
};

static inline unsigned long pci_attr(const char *bdf, const char *attr)
{
	char path[512], buf[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, attr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = 0;
	close(fd);
	return strtoul(buf, NULL, 0);
}

/* An edu that an IOMMU translates for. */
static inline int edu_filter(const struct dirent *d)
{
	char path[512];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 d->d_name);
	return pci_attr(d->d_name, "vendor") == 0x1234 &&
	       pci_attr(d->d_name, "device") == 0x11e8 && !access(path, F_OK);
}

/* The @index'th edu behind an IOMMU; -ENODEV when there are fewer. */
static inline int edu_find(int index, char *bdf, size_t size)
{
	struct dirent **list = NULL;
	int n, i;

	n = scandir("/sys/bus/pci/devices", &list, edu_filter, alphasort);
	if (n < 0)
		return -errno;
	if (index < n &&
	    snprintf(bdf, size, "%s", list[index]->d_name) >= (int)size)
		index = n;
	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return index < n ? 0 : -ENODEV;
}

/*
 * A machine with a virtio-iommu has no interrupt remapping: say that this is
 * fine, as its administrator has to.
 */
static inline int edu_trust_interrupts(void)
{
	DIR *h = opendir("/sys/bus/virtio/drivers/granule_virtio_iommu");

	if (!h)
		return 0;
	closedir(h);
	return file_put("/sys/module/granule/parameters/allow_unsafe_interrupts",
			"1");
}

/* Give the device to vfio-pci, unless it is there already. */
static inline int edu_bind_driver(const char *bdf)
{
	char path[300], link[PATH_MAX] = "";
	int rc = edu_trust_interrupts();

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	if (readlink(path, link, sizeof(link) - 1) > 0) {
		if (strstr(link, "/vfio-pci"))
			return 0;
		snprintf(path, sizeof(path),
			 "/sys/bus/pci/devices/%s/driver/unbind", bdf);
		rc = file_put(path, bdf);
		if (rc)
			return rc;
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override",
		 bdf);
	rc = file_put(path, "vfio-pci");
	if (rc)
		return rc;
	return file_put("/sys/bus/pci/drivers_probe", bdf);
}

/* Ask vfio-pci to "bind" or "unbind" a device. */
static inline int driver_write(const char *what, const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", what);
	return file_put(path, bdf);
}

/* Where the name of a device's VFIO file is; NULL and errno without one. */
static inline DIR *edu_vfio_dev(const char *bdf)
{
	char dir[300];

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	return opendir(dir);
}

/* Path of the device's VFIO file. */
static inline int edu_cdev(const char *bdf, char *path, size_t size)
{
	DIR *h = edu_vfio_dev(bdf);
	struct dirent *d;
	int rc = -ENOENT;

	if (!h)
		return -errno;
	while ((d = readdir(h)))
		if (!strncmp(d->d_name, "vfio", 4)) {
			snprintf(path, size, "/dev/vfio/devices/%s",
				 d->d_name);
			rc = 0;
		}
	closedir(h);
	return rc;
}

/* Open the VFIO file; it is not bound to any iommufd yet. */
static inline int edu_open(struct edu *edu, int index)
{
	char path[PATH_MAX];
	int rc;

	memset(edu, 0, sizeof(*edu));
	edu->dev = -1;
	rc = edu_find(index, edu->bdf, sizeof(edu->bdf));
	if (rc)
		return rc;
	rc = edu_bind_driver(edu->bdf);
	if (rc)
		return rc;
	rc = edu_cdev(edu->bdf, path, sizeof(path));
	if (rc)
		return rc;
	edu->dev = open(path, O_RDWR | O_CLOEXEC);
	return edu->dev < 0 ? -errno : 0;
}

static inline int edu_bind(struct edu *edu, int iommufd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int rc = try_ioctl(edu->dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!rc)
		edu->dev_id = cmd.out_devid;
	return rc;
}

/* *@pt_id: in: an IOAS or HWPT; out: the HWPT. */
static inline int edu_attach_pt(struct edu *edu, uint32_t *pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = *pt_id,
	};
	int rc = try_ioctl(edu->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (!rc)
		*pt_id = cmd.pt_id;
	return rc;
}

static inline int edu_attach(struct edu *edu, uint32_t pt_id)
{
	return edu_attach_pt(edu, &pt_id);
}

static inline int edu_detach(struct edu *edu)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return try_ioctl(edu->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline int edu_region(struct edu *edu, uint32_t index, uint64_t *offset,
			     uint64_t *size)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	int rc = try_ioctl(edu->dev, VFIO_DEVICE_GET_REGION_INFO, &info);

	if (!rc) {
		*offset = info.offset;
		*size = info.size;
	}
	return rc;
}

/* Map the registers and let the device be bus master; needs a bound device. */
static inline int edu_start(struct edu *edu)
{
	uint64_t size;
	uint16_t cmd;
	void *bar;
	int rc;

	rc = edu_region(edu, VFIO_PCI_CONFIG_REGION_INDEX, &edu->config, &size);
	if (rc)
		return rc;
	if (pread(edu->dev, &cmd, 2, edu->config + 4) != 2)
		return -EIO;
	cmd |= 6; /* memory space, bus master */
	if (pwrite(edu->dev, &cmd, 2, edu->config + 4) != 2)
		return -EIO;
	rc = edu_region(edu, VFIO_PCI_BAR0_REGION_INDEX, &edu->bar_off, &size);
	if (rc)
		return rc;
	if (size != EDU_BAR_SIZE)
		return -ENXIO;
	bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, edu->dev,
		   edu->bar_off);
	if (bar == MAP_FAILED)
		return -errno;
	edu->bar = bar;
	return 0;
}

static inline void edu_close(struct edu *edu)
{
	if (edu->bar)
		munmap((void *)edu->bar, EDU_BAR_SIZE);
	if (edu->dev >= 0)
		close(edu->dev);
	edu->bar = NULL;
	edu->dev = -1;
	edu->dev_id = 0;
}

static inline void edu_write(struct edu *edu, unsigned int reg, uint64_t val)
{
	*(volatile uint64_t *)(edu->bar + reg) = val;
}

static inline uint64_t edu_read(struct edu *edu, unsigned int reg)
{
	return *(volatile uint64_t *)(edu->bar + reg);
}

/* A DMA that begins 100 ms from now. Refuses what would stop QEMU. */
static inline int edu_dma_begin(struct edu *edu, uint64_t iova, uint32_t count,
				int to_ram)
{
	if (!count || count > EDU_BUF_SIZE || iova > EDU_IOVA_LAST)
		return -ERANGE;
	edu_write(edu, EDU_SRC, to_ram ? EDU_BUF : iova);
	edu_write(edu, EDU_DST, to_ram ? iova : EDU_BUF);
	edu_write(edu, EDU_COUNT, count);
	edu_write(edu, EDU_CMD, EDU_CMD_START | (to_ram ? EDU_CMD_TO_RAM : 0));
	return 0;
}

static inline int edu_dma_end(struct edu *edu)
{
	uint64_t end = now_ms() + PATIENCE;

	while (edu_read(edu, EDU_CMD) & EDU_CMD_START) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

/*
 * One DMA and the wait for its end. The device does not say whether the IOMMU
 * let it through: look at the memory.
 */
static inline int edu_dma(struct edu *edu, uint64_t iova, uint32_t count,
			  int to_ram)
{
	int rc = edu_dma_begin(edu, iova, count, to_ram);

	return rc ?: edu_dma_end(edu);
}

/* The device reads @count bytes at @iova into its buffer. */
static inline int edu_load(struct edu *edu, uint64_t iova, uint32_t count)
{
	return edu_dma(edu, iova, count, 0);
}

/* The device writes its buffer to @iova. */
static inline int edu_store(struct edu *edu, uint64_t iova, uint32_t count)
{
	return edu_dma(edu, iova, count, 1);
}

#endif
