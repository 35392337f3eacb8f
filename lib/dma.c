// SPDX-License-Identifier: LGPL-2.1-only
/* How kernel drivers do DMA to a device, as far as sysfs tells. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define GRANULE_DMA "/sys/kernel/granule-dma"

/*
 * What is known of an IOMMU by the beginning of its name in sysfs. The
 * architectures of VT-d and AMD-Vi have no smallest page but 4K.
 */
static const struct {
	const char *prefix;
	const char *driver;
	__u64 granule;		/* 0: depends */
} kinds[] = {
	{ "dmar", "intel-iommu", 4096 },
	{ "ivhd", "amd-iommu", 4096 },
	{ "smmu3.", "arm-smmu-v3", 0 },
	{ "smmu.", "arm-smmu", 0 },
};

static __u64 dma_number(const struct iommu_sys *sys, long group,
			const char *file)
{
	char buf[32], *end;
	__u64 v;

	if (sys_read(sys, buf, sizeof(buf), GRANULE_DMA "/%ld/%s", group, file))
		return IOMMU_SYS_UNKNOWN;
	v = strtoull(buf, &end, 10);
	return end == buf || *end ? IOMMU_SYS_UNKNOWN : v;
}

int sys_dma_read(const struct iommu_sys *sys, long group,
		 struct iommu_sys_dma **ret)
{
	struct iommu_sys_dma *dma;

	*ret = NULL;
	if (!sys_exists(sys, GRANULE_DMA "/%ld", group))
		return 0;
	dma = calloc(1, sizeof(*dma));
	if (!dma)
		return -ENOMEM;
	dma->granule = dma_number(sys, group, "granule");
	dma->trusted = dma_number(sys, group, "trusted");
	dma->users = dma_number(sys, group, "users");
	dma->direct = dma_number(sys, group, "direct");
	dma->mapped_granules = dma_number(sys, group, "mapped_granules");
	dma->mappings = dma_number(sys, group, "mappings");
	dma->bounce_granules = dma_number(sys, group, "bounce_granules");
	dma->bounced_bytes = dma_number(sys, group, "bounced_bytes");
	dma->failures = dma_number(sys, group, "failures");
	*ret = dma;
	return 0;
}

/*
 * The driver of an IOMMU that is itself a device: virtio on top of a PCI or
 * platform device, or one of these.
 */
static char *iommu_driver(const struct iommu_sys *sys, const char *dev)
{
	char **names, *ret = NULL;
	size_t nr, i;

	if (sys_names(sys, &names, &nr, PCI_DEVICES "/%s/iommu/device", dev))
		return NULL;
	for (i = 0; i < nr && !ret; i++) {
		if (!strncmp(names[i], "virtio", 6))
			sys_link(sys, &ret, PCI_DEVICES
				 "/%s/iommu/device/%s/driver", dev, names[i]);
	}
	sys_names_free(names, nr);
	if (!ret)
		sys_link(sys, &ret, PCI_DEVICES "/%s/iommu/device/driver", dev);
	return ret;
}

/* The rest of the line of @name in @lines, or NULL. */
static const char *find_line(const char *lines, const char *name)
{
	size_t len = strlen(name);
	const char *p = lines;

	while (p && (strncmp(p, name, len) || p[len] != ' ')) {
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return p ? p + len : NULL;
}

/* What our own driver says of an IOMMU, by way of one of its devices. */
static void read_virtio(const struct iommu_sys *sys, const char *dev,
			struct sys_iommu *iommu)
{
	uint64_t granule;
	char buf[8192];

	if (sys_read(sys, buf, sizeof(buf), PCI_DEVICES
		     "/%s/iommu/granule-virtio-iommu/granule", dev))
		return;
	if (sscanf(buf, "%" SCNu64, &granule) == 1)
		iommu->granule = granule;
	if (!sys_read(sys, buf, sizeof(buf), PCI_DEVICES
		      "/%s/iommu/granule-virtio-iommu/endpoints", dev))
		iommu->endpoints = strdup(buf);
}

void sys_iommu_forget(struct iommu_sys *sys)
{
	struct sys_iommu *i;

	while (sys->nr_iommus) {
		i = &sys->iommus[--sys->nr_iommus];
		free(i->name);
		free(i->driver);
		free(i->endpoints);
	}
	free(sys->iommus);
	sys->iommus = NULL;
	sys->late_known = false;
}

/* The IOMMU of @dev; NULL when out of memory. */
static const struct sys_iommu *get_iommu(struct iommu_sys *sys,
					 const struct iommu_sys_device *dev)
{
	struct sys_iommu *i, *more;
	size_t k;

	for (k = sys->nr_iommus; k--; ) {
		if (!strcmp(sys->iommus[k].name, dev->iommu))
			return &sys->iommus[k];
	}
	more = reallocarray(sys->iommus, sys->nr_iommus + 1, sizeof(*more));
	if (!more)
		return NULL;
	sys->iommus = more;
	i = &more[sys->nr_iommus];
	*i = (struct sys_iommu){ .name = strdup(dev->iommu) };
	if (!i->name)
		return NULL;
	sys->nr_iommus++;
	i->driver = iommu_driver(sys, dev->name);
	for (k = 0; k < ARRAY_LEN(kinds); k++) {
		if (strncmp(dev->iommu, kinds[k].prefix,
			    strlen(kinds[k].prefix)))
			continue;
		if (!i->driver)
			i->driver = strdup(kinds[k].driver);
		i->granule = kinds[k].granule;
		return i;
	}
	read_virtio(sys, dev->name, i);
	return i;
}

/*
 * Is there an IOMMU of a kind whose devices the kernel finds out when they get
 * a driver, by VIOT, IORT or devicetree? VT-d and AMD-Vi know all at boot.
 */
static bool late_iommu(const struct iommu_sys *sys)
{
	bool late = false;
	char **names;
	size_t nr, i;

	if (sys_names(sys, &names, &nr, "/sys/class/iommu"))
		return false;
	for (i = 0; i < nr; i++)
		late |= strncmp(names[i], "dmar", 4) &&
			strncmp(names[i], "ivhd", 4);
	sys_names_free(names, nr);
	return late;
}

void sys_iommu_read(struct iommu_sys *sys, struct iommu_sys_device *dev)
{
	__u64 granule = IOMMU_SYS_UNKNOWN;
	const struct sys_iommu *iommu;
	const char *line;
	uint64_t faults;

	dev->iommu_faults = IOMMU_SYS_UNKNOWN;
	if (dev->group < 0 && !dev->driver) {
		if (!sys->late_known)
			sys->late = late_iommu(sys);
		sys->late_known = true;
		dev->iommu_late = sys->late;
	}
	if (!dev->iommu)
		return;
	iommu = get_iommu(sys, dev);
	if (!iommu)
		return;
	if (iommu->driver)
		dev->iommu_driver = strdup(iommu->driver);
	dev->granule = iommu->granule;
	/* "ADDRESS ID PLACE FAULTS" of each device */
	line = iommu->endpoints ? find_line(iommu->endpoints, dev->name) : NULL;
	if (line && sscanf(line, "%*s %*s %" SCNu64, &faults) == 1)
		dev->iommu_faults = faults;
	/* granule-dma is behind no IOMMU whose pages are the CPU's for sure. */
	if (dev->group >= 0 && (!iommu->granule || iommu->endpoints))
		granule = dma_number(sys, dev->group, "granule");
	if (granule != IOMMU_SYS_UNKNOWN)
		dev->granule = granule;
}

__attribute__((format(printf, 4, 5)))
static void state(struct iommu_sys_dma_state *ret, const char *name,
		  const char *by, const char *fmt, ...)
{
	va_list ap;

	ret->name = name;
	ret->by = by;
	va_start(ap, fmt);
	vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
	va_end(ap);
	ret->remedy[0] = 0;
}

__attribute__((format(printf, 2, 3)))
static void remedy(struct iommu_sys_dma_state *ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret->remedy, sizeof(ret->remedy), fmt, ap);
	va_end(ap);
}

/* By granule-dma, which has the say wherever it shows the group. */
static void granule_dma_state(const struct iommu_sys_device *dev,
			      const struct iommu_sys_dma *dma,
			      struct iommu_sys_dma_state *ret)
{
	static const char by[] = "granule-dma";

	if (dma->direct && dma->direct != IOMMU_SYS_UNKNOWN) {
		state(ret, "untranslated", NULL, "a driver had the group before "
		      "granule-dma knew it, so the device reaches all memory");
		remedy(ret, "unbind and bind the driver again in "
		       "/sys/bus/pci/drivers/%s, or load the IOMMU's driver "
		       "from the initramfs",
		       dev->driver ? dev->driver : "DRIVER");
	} else if (!dev->driver) {
		state(ret, "translated", by, "no driver has the device, which "
		      "reaches what is mapped for its group");
	} else if (!dma->trusted) {
		state(ret, "bounced", by, "the device is untrusted, so "
		      "granule-dma copies what is not whole granules through "
		      "granules of its own, and neighbours are not exposed");
	} else {
		state(ret, "translated", by, "the device is trusted, so "
		      "neighbours of a buffer within its granule are exposed");
		remedy(ret, "granule-dma.untrusted=%s prevents it", dev->name);
	}
}

void iommu_sys_dma_state(const struct iommu_sys_device *dev,
			 const struct iommu_sys_group *group,
			 struct iommu_sys_dma_state *ret)
{
	const char *type = group ? group->type : NULL;

	if (dev->iommu_late) {
		state(ret, "unknown", NULL, "whether an IOMMU is in front of "
		      "the device shows when it has a driver");
	} else if (dev->group < 0) {
		state(ret, "untranslated", NULL, "no IOMMU is in front of the "
		      "device, so it reaches all memory");
	} else if (dev->vfio) {
		state(ret, "unused", NULL, "%s has the device, and DMA is "
		      "up to its user", dev->driver ? dev->driver : "VFIO");
	} else if (group && group->dma) {
		granule_dma_state(dev, group->dma, ret);
	} else if (!type) {
		state(ret, "unknown", NULL, "sysfs does not tell the type of "
		      "the group's domain");
	} else if (!strcmp(type, "DMA")) {
		state(ret, "translated", "kernel", "the device reaches "
		      "what its driver has mapped");
	} else if (!strcmp(type, "DMA-FQ")) {
		state(ret, "translated", "kernel", "the device reaches "
		      "what its driver has mapped, and a while longer");
		remedy(ret, "iommu.strict=1 prevents it");
	} else if (!strcmp(type, "identity")) {
		state(ret, "untranslated", NULL, "the group's domain is "
		      "identity, so the device reaches all memory");
	} else if (!strcmp(type, "blocked")) {
		state(ret, "blocked", "kernel", "the IOMMU lets nothing of the "
		      "device pass");
	} else {
		state(ret, "unknown", NULL, "the type of the group's domain "
		      "is %s", type);
	}
}
