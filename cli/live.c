// SPDX-License-Identifier: GPL-2.0-only
/* Open a device for a moment, and say what its IOMMU can do. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

__attribute__((format(printf, 3, 4)))
static int refuse(struct live_error *err, enum iommu_error_kind kind,
		  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->kind = kind;
	return -1;
}

void live_why(const struct live *live, int err, const char *device,
	      struct live_error *ret)
{
	struct iommu_last_error e;

	if (iommu_last_error(live->iommufd, &e) || (int)e.out_errno != -err ||
	    e.out_reason <= IOMMU_REASON_ERRNO) {
		ret->kind = iommu_errno_kind(err);
		snprintf(ret->text, sizeof(ret->text), "%s", strerror(-err));
		return;
	}
	ret->kind = iommu_error_kind(&e);
	iommu_error_sentence(&e, device, ret->text, sizeof(ret->text));
}

static int open_context(struct cli *cli, struct live_error *err)
{
	int fd = iommu_open(iommu_sys_path(cli->sys, "/dev/iommu"));

	if (fd >= 0)
		return fd;
	if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
		return refuse(err, IOMMU_ERROR_NO_MODULE,
			      "there is no /dev/iommu; load the module "
			      "('modprobe granule')");
	return refuse(err, iommu_errno_kind(fd),
		      "/dev/iommu cannot be opened: %s%s", strerror(-fd),
		      fd == -EACCES || fd == -EPERM ?
			      "; run as root, or join the group that owns it" :
			      "");
}

static int open_node(struct cli *cli, const struct iommu_sys_device *dev,
		     struct live_error *err)
{
	int fd = iommu_vfio_open(iommu_sys_path(cli->sys, dev->node));

	if (fd >= 0)
		return fd;
	return refuse(err, iommu_errno_kind(fd), "%s cannot be opened: %s%s",
		      dev->node, strerror(-fd),
		      fd == -EACCES || fd == -EPERM ?
			      "; run as root, or join the group that owns it" :
		      fd == -ENOENT ? "; udev has not made it" : "");
}

/* Name another process that has the device, if that is why. */
static bool in_use(struct cli *cli, const struct iommu_sys_device *dev,
		   struct live_error *err)
{
	struct iommu_holder *holders;
	size_t nr, i;
	bool found = false;

	if (iommu_holders(cli->sys, dev->node, 0, &holders, &nr, NULL))
		return false;
	for (i = 0; i < nr && !found; i++) {
		if (holders[i].pid == getpid())
			continue;
		found = true;
		refuse(err, IOMMU_ERROR_BUSY,
		       "the device is in use by process %d (%s)",
		       (int)holders[i].pid, holders[i].comm);
	}
	free(holders);
	return found;
}

int live_open(struct cli *cli, const struct iommu_sys_device *dev,
	      struct live *live, struct live_error *err)
{
	int rc;

	*live = (struct live){ .iommufd = -1, .devfd = -1 };
	if (dev->group < 0 && !dev->iommu_late)
		return refuse(err, IOMMU_ERROR_REFUSED,
			      "the device is not behind an IOMMU; switch the "
			      "IOMMU on in the firmware and on the kernel's "
			      "command line (intel_iommu=on)");
	if (!dev->vfio && dev->driver)
		return refuse(err, IOMMU_ERROR_BUSY,
			      "the device is driven by %s; give it to vfio-pci "
			      "with 'iommuctl device bind %s'", dev->driver,
			      dev->name);
	if (!dev->vfio)
		return refuse(err, IOMMU_ERROR_REFUSED,
			      "the device has no driver; give it to vfio-pci "
			      "with 'iommuctl device bind %s'", dev->name);
	if (!dev->node)
		return refuse(err, IOMMU_ERROR_NO_MODULE,
			      "%s has no node in /dev/vfio/devices; load the "
			      "module ('modprobe granule-vfio')", dev->vfio);
	live->iommufd = open_context(cli, err);
	if (live->iommufd < 0)
		return -1;
	live->devfd = open_node(cli, dev, err);
	if (live->devfd < 0)
		goto err;
	rc = iommu_vfio_bind(live->devfd, live->iommufd, &live->dev_id);
	if (!rc)
		return 0;
	/* The kernel says EINVAL for a device that is bound already. */
	if (!in_use(cli, dev, err)) {
		struct live_error why;

		live_why(live, rc, dev->name, &why);
		refuse(err, why.kind, "the device cannot be claimed: %.500s",
		       why.text);
	}
err:
	live_close(live);
	return -1;
}

void live_close(struct live *live)
{
	if (live->devfd >= 0)
		close(live->devfd);
	if (live->iommufd >= 0)
		close(live->iommufd);
	live->devfd = live->iommufd = -1;
}

/* The smallest IOMMU page, and what follows from it, without a capability. */
static void add_granule(struct json_object *info, __u64 granule)
{
	__u64 page = sysconf(_SC_PAGESIZE);
	char rule[200];

	add_number(info, "granule", granule);
	add_number(info, "cpu_page_size", page);
	add(info, "needs_contiguous", json_object_new_boolean(granule > page));
	add_number(info, "alignment", granule);
	add_string(info, "rule", iommu_granule_rule(granule, page, rule,
						    sizeof(rule)) ? rule :
								    NULL);
}

/* What a /dev/iommu that is not Granule's can say: ranges, once attached. */
static int add_ranges(struct live *live, struct json_object *info,
		      struct live_error *err)
{
	struct iommu_iova_range *ranges;
	__u64 alignment;
	__u32 ioas, pt, nr;
	int rc;

	rc = iommu_ioas_alloc(live->iommufd, &ioas);
	if (!rc) {
		pt = ioas;
		rc = iommu_vfio_attach(live->devfd, &pt);
	}
	if (!rc)
		rc = iommu_ioas_iova_ranges(live->iommufd, ioas, &ranges, &nr,
					    &alignment);
	if (rc) {
		live_why(live, rc, NULL, err);
		return rc;
	}
	add(info, "iova_ranges", iommu_json_ranges(ranges, nr));
	add_granule(info, alignment);
	free(ranges);
	return 0;
}

/* Info in which nothing is known but what sysfs says. */
static struct json_object *sysfs_info(const struct iommu_sys_device *dev,
				      const struct iommu_sys_group *group)
{
	struct iommu_device_info none = { .argsz = sizeof(none) };
	struct iommu_device_caps caps = { 0 };
	struct json_object *info = iommu_json_device_info(&none, &caps);

	if (!info)
		return NULL;
	add_null(info, "enforce_snoop");
	if (dev->granule)
		add_granule(info, dev->granule);
	if (group)
		add(info, "reserved_regions",
		    iommu_json_regions(group->regions, group->nr_regions));
	return info;
}

int add_device_info(struct cli *cli, struct json_object *doc,
		    const struct iommu_sys_device *dev,
		    const struct iommu_sys_group *group)
{
	struct iommu_device_info *raw = NULL;
	struct iommu_device_caps caps;
	struct json_object *info = NULL, *notes;
	struct live_error err;
	struct live live;
	const char *source = "sysfs";
	int rc;

	notes = json_object_new_array();
	if (!notes)
		return cli_fail(cli, IOMMU_ERROR_OTHER, "out of memory");
	if (live_open(cli, dev, &live, &err)) {
		info = sysfs_info(dev, group);
		append_text(notes, "page sizes, widths and IOVA ranges are not "
			    "known: %s", err.text);
		goto done;
	}
	rc = iommu_device_get_info(live.iommufd, live.dev_id, &raw);
	if (!rc) {
		rc = iommu_device_caps_read(raw, &caps);
		if (!rc) {
			info = iommu_json_device_info(raw, &caps);
			source = "device-info";
		}
		free(raw);
	}
	if (rc == -ENOTTY) {
		info = sysfs_info(dev, group);
		append_text(notes, "page sizes and widths are not known: this "
			    "/dev/iommu is not Granule's");
		if (!info || !add_ranges(&live, info, &err))
			source = "iova-ranges";
		else
			append_text(notes, "IOVA ranges are not known: %s",
				    err.text);
	} else if (rc) {
		live_why(&live, rc, dev->name, &err);
		live_close(&live);
		json_object_put(notes);
		return cli_fail(cli, err.kind,
				"the kernel's answer about the device cannot "
				"be read: %s", err.text);
	}
	live_close(&live);
done:
	add_string(doc, "source", source);
	add(doc, "info", info);
	add(doc, "notes", notes);
	return 0;
}
