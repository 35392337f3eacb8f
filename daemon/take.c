// SPDX-License-Identifier: GPL-2.0-only
/* Acquire, in its child: open devices, bind and attach them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "acquire.h"
#include "kernel_why.h"
#include "manager.h"
#include "privilege.h"
#include "shape.h"
#include "space.h"

/*
 * A child that waits for a device keeps its group from others, so it gives up
 * soon, and the daemon starts another one.
 */
#define CHILD_WAIT 100		/* ms */

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* ---- Files that are left ---- */

int device_take_back(struct iommu_sys *sys, const char *node)
{
	int rc, device, iommufd;
	bool bound;
	__u32 id;

	iommufd = iommu_open(iommu_sys_path(sys, "/dev/iommu"));
	if (iommufd < 0)
		return iommufd;
	/*
	 * For reading, which is enough to bind: closing it is then another
	 * inotify event than closing a user's file.
	 */
	device = open(iommu_sys_path(sys, node), O_RDONLY | O_CLOEXEC);
	rc = device < 0 ? -errno : iommu_vfio_bind(device, iommufd, &id);
	bound = !rc;
	if (bound)
		rc = iommu_vfio_revoke(device);
	if (device >= 0)
		close(device);
	close(iommufd);
	if (bound)
		return rc;
	/* EINVAL: the kernel's word for "bound already"; EPERM: its group is. */
	return rc == -EINVAL || rc == -EPERM ? -EBUSY : rc;
}

/* ---- What a call asks for ---- */

static int open_iommufd(const struct acquire *a, struct why *w)
{
	int rc, fd = iommu_open(iommu_sys_path(a->manager->sys, "/dev/iommu"));

	if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
		return why(w, -ENXIO, "there is no /dev/iommu; load the module "
			   "('modprobe granule')");
	if (fd < 0)
		return why(w, fd, "/dev/iommu cannot be opened: %s",
			   strerror(-fd));
	if (a->per_process) {
		rc = privilege_raise(CAP_SYS_RESOURCE);
		if (!rc)
			rc = iommu_option_set(fd, IOMMU_OPTION_RLIMIT_MODE, 0,
					      1);
		if (rc) {
			close(fd);
			return why(w, rc, "locked memory cannot be counted per "
				   "process: %s; the daemon needs "
				   "CAP_SYS_RESOURCE for that", strerror(-rc));
		}
	}
	return fd;
}

static int set_memlock(const struct acquire *a, struct why *w)
{
	struct rlimit limit = { a->memlock, a->memlock };
	int rc;

	if (a->memlock == UINT64_MAX)
		return 0;
	rc = privilege_raise(CAP_SYS_RESOURCE);
	if (!rc && (!a->holder.started ||
		    process_started(a->holder.pid, NULL, 0) !=
			    a->holder.started))
		rc = -ESRCH;
	if (!rc && prlimit(a->holder.pid, RLIMIT_MEMLOCK, &limit, NULL))
		rc = -errno;
	if (rc)
		return why(w, rc, "the limit on locked memory of process %d "
			   "cannot be set: %s", (int)a->holder.pid,
			   strerror(-rc));
	return 0;
}

/* Nodes are numbered anew: is this one still that of the device? */
static bool is_node_of(const struct acquire *a, const char *node,
		       const char *device)
{
	struct iommu_sys_device *now;
	bool same;

	if (iommu_sys_device_get(a->manager->sys, device, &now))
		return false;
	same = now->node && !strcmp(now->node, node);
	iommu_sys_device_free(now);
	return same;
}

static int open_node(const struct acquire *a,
		     const struct iommu_sys_device *dev, struct why *w)
{
	int fd = iommu_vfio_open(iommu_sys_path(a->manager->sys, dev->node));

	if (fd < 0)
		return why(w, fd, "%s cannot be opened: %s", dev->node,
			   strerror(-fd));
	if (is_node_of(a, dev->node, dev->name))
		return fd;
	close(fd);
	return why(w, -ENODEV, "%s has been bound anew meanwhile; try again",
		   dev->name);
}

static bool wait_more(uint64_t until)
{
	struct timespec ts = { .tv_nsec = ACQUIRE_POLL * 1000000 };

	if (now_ms() >= until)
		return false;
	nanosleep(&ts, NULL);
	return true;
}

/*
 * Open a device, and bind it if it is to be. EINVAL is what the kernel says
 * when somebody else has it bound.
 */
static int take(const struct acquire *a, const struct iommu_sys_device *dev,
		int iommufd, __u32 *ret_id, int *ret_fd, struct why *w)
{
	uint64_t until = now_ms() + CHILD_WAIT;
	int rc;

	if (until > a->until)
		until = a->until;
	for (;;) {
		rc = a->attach ? 0 :
				 device_take_back(a->manager->sys, dev->node);
		if (!rc || rc == -ENOTTY) {
			*ret_fd = open_node(a, dev, w);
			if (*ret_fd < 0 || !a->attach)
				return *ret_fd < 0 ? *ret_fd : 0;
			rc = iommu_vfio_bind(*ret_fd, iommufd, ret_id);
			if (!rc) {
				/* From who had it and left no lease. */
				(void)iommu_vfio_revoke(*ret_fd);
				return 0;
			}
			close(*ret_fd);
		}
		/* ESTALE: it was taken back between opening and binding. */
		if (rc != -EINVAL && rc != -EBUSY && rc != -ESTALE)
			return kernel_why(w, iommufd, rc, dev->name,
					  dev->name, "claimed");
		if (!wait_more(until))
			return why(w, -EBUSY, "%s is in use by a process that "
				   "did not get it from iommud", dev->name);
	}
}

/* IOVAs of mappings are multiples of it; 0: not known. */
static uint64_t granule_of(int iommufd, uint32_t ioas)
{
	struct iommu_iova_range *ranges;
	__u64 alignment;
	__u32 nr;

	if (iommu_ioas_iova_ranges(iommufd, ioas, &ranges, &nr, &alignment))
		return 0;
	free(ranges);
	return alignment;
}

/* What one device has become. */
struct taken {
	int fd;
	__u32 id;
	uint32_t ioas;
};

/* The IOAS of @i: the named one, that of its group, or a new one. */
static int pick_ioas(const struct acquire *a, size_t i, int iommufd,
		     struct taken *taken, uint32_t named, struct why *w)
{
	size_t j;
	int rc;

	if (a->space) {
		taken[i].ioas = named;
		return 0;
	}
	for (j = 0; j < i; j++) {
		if (a->devices.v[j]->group != a->devices.v[i]->group)
			continue;
		taken[i].ioas = taken[j].ioas;
		return 0;
	}
	rc = iommu_ioas_alloc(iommufd, &taken[i].ioas);
	return rc ? why(w, rc, "no IOAS can be created: %s", strerror(-rc)) : 0;
}

/*
 * The last device of a named IOAS may leave until the very moment of attaching,
 * so look twice.
 */
static int attach(const struct acquire *a, const struct taken *t, int iommufd,
		  const char *device, struct why *w)
{
	bool kept = a->space && a->space->iommufd >= 0, failed = false;
	__u32 pt;
	int rc;

	for (;;) {
		rc = kept ? space_revive(a->space, failed, w) : 0;
		if (rc)
			return rc;
		pt = t->ioas;
		rc = iommu_vfio_attach(t->fd, &pt);
		if (rc != -EFAULT || !kept || failed)
			break;
		failed = true;
	}
	return rc ? kernel_why(w, iommufd, rc, device, device, "attached") : 0;
}

static struct json_object *describe(const struct acquire *a, size_t i,
				    const struct taken *t, int iommufd,
				    size_t index)
{
	struct json_object *obj = js_object();
	uint64_t granule = a->attach ? granule_of(iommufd, t->ioas) : 0;

	js_string(obj, "device", a->devices.v[i]->name);
	js_number(obj, "fd", index);
	if (a->attach) {
		js_number(obj, "dev_id", t->id);
		js_number(obj, "ioas_id", t->ioas);
	} else {
		js_put(obj, "dev_id", NULL);
		js_put(obj, "ioas_id", NULL);
	}
	if (granule)
		js_number(obj, "granule", granule);
	else
		js_put(obj, "granule", NULL);
	return obj;
}

/* Descriptor 0 is the iommufd, and the devices follow. */
void acquire_run(void *arg, struct job_result *r)
{
	const struct acquire *a = arg;
	struct taken taken[JOB_FDS] = { 0 };
	struct json_object *array = js_array();
	uint32_t named = 0;
	int iommufd, rc;
	size_t i;

	rc = iommufd = a->space && a->space->iommufd >= 0 ?
			       a->space->iommufd : open_iommufd(a, &r->why);
	if (rc >= 0)
		rc = set_memlock(a, &r->why);
	if (!rc && a->space) {
		named = a->space->ioas_id;
		privilege_lift_memlock();
		if (a->space->iommufd < 0)
			rc = space_map(a->space, iommufd, &named, &r->why);
	}
	r->fds[r->nr_fds++] = iommufd;
	for (i = 0; i < a->devices.nr && !rc; i++) {
		const struct iommu_sys_device *dev = a->devices.v[i];

		rc = take(a, dev, iommufd, &taken[i].id, &taken[i].fd, &r->why);
		if (rc)
			break;
		r->fds[r->nr_fds++] = taken[i].fd;
		if (!a->attach) {
			js_append(array, describe(a, i, &taken[i], iommufd,
						  r->nr_fds - 1));
			continue;
		}
		rc = pick_ioas(a, i, iommufd, taken, named, &r->why);
		if (!rc)
			rc = attach(a, &taken[i], iommufd, dev->name, &r->why);
		js_append(array, describe(a, i, &taken[i], iommufd,
					  r->nr_fds - 1));
	}
	r->rc = rc;
	if (rc)
		r->nr_fds = 0;
	r->value = js_object();
	js_put(r->value, "devices", array);
	js_number(r->value, "ioas_id", named);
	if (!rc && a->space)
		js_put(r->value, "shape", shape_ask(iommufd, named));
}
