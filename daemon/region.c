// SPDX-License-Identifier: GPL-2.0-only
/* The memory in named IOASes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <systemd/sd-daemon.h>

#include "kernel_why.h"
#include "manager.h"
#include "record.h"
#include "region.h"
#include "space.h"
#include "util.h"

/*
 * Names in systemd's store: "region.SPACE.REGION". Names of ours have no dot.
 * Where a region is, its record says: "SPACE.REGION".
 */
#define RECORDS "regions"
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

void store(const char *name, int fd)
{
	char *state = must_format("FDSTORE=1\nFDNAME=%s", name);

	(void)sd_pid_notify_with_fds(0, 0, state, &fd, 1);
	free(state);
}

void unstore(const char *name)
{
	(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

int region_make(const struct policy_region *p, const struct space *space,
		struct why *w)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, rc;

	if (p->huge_pages > 4096)
		flags |= MFD_HUGETLB | (unsigned int)__builtin_ctzll(
				p->huge_pages) << MAP_HUGE_SHIFT;
	fd = memfd_create(p->name, flags);
	/* Whoever maps it must not lose it to somebody's truncate(). */
	if (fd >= 0 && !ftruncate(fd, p->size) &&
	    !fcntl(fd, F_ADD_SEALS, SEALS))
		return fd;
	rc = why(w, -errno, "region %s of IOAS %s cannot be made: %s%s",
		 p->name, space->name, strerror(errno),
		 errno == ENOMEM && flags & MFD_HUGETLB ?
		 "; reserve huge pages (vm.nr_hugepages)" : "");
	if (fd >= 0)
		close(fd);
	return rc;
}

bool region_is_made_of(const struct region *r, const struct policy_region *p)
{
	uint64_t huge = p->huge_pages > 4096 ? p->huge_pages : 0;
	struct statfs fs;
	struct stat st;

	return !fstat(r->fd, &st) && (uint64_t)st.st_size == p->size &&
	       !fstatfs(r->fd, &fs) &&
	       ((unsigned int)fs.f_type == HUGETLBFS_MAGIC ?
			(uint64_t)fs.f_bsize : 0) == huge;
}

bool region_is(const struct region *r, const struct policy_region *p)
{
	return r->known && r->size == p->size && r->iova == p->iova &&
	       r->read == p->read && r->write == p->write;
}

struct region *region_find(const struct space *space, const char *name)
{
	size_t i;

	for (i = 0; i < space->nr_regions; i++) {
		if (!strcmp(space->regions[i].name, name))
			return &space->regions[i];
	}
	return NULL;
}

struct region *region_add(struct space *space, const struct region *r)
{
	space->regions = must_grow(space->regions, space->nr_regions + 1,
				   sizeof(*r));
	space->regions[space->nr_regions] = *r;
	return &space->regions[space->nr_regions++];
}

struct region *region_new(struct space *space, const char *name, int fd)
{
	struct region r = { .name = must_dup(name), .fd = fd };

	return region_add(space, &r);
}

void region_place(struct manager *m, const struct space *space,
		  struct region *r, const struct policy_region *p)
{
	char *name = must_format("region.%s.%s", space->name, r->name);
	struct json_object *obj = js_object();

	if (!r->known)
		store(name, r->fd);
	r->size = p->size;
	r->iova = p->iova;
	r->read = p->read;
	r->write = p->write;
	r->known = true;
	js_string(obj, "ioas", space->name);
	js_string(obj, "region", r->name);
	js_number(obj, "iova", r->iova);
	js_bool(obj, "read", r->read);
	js_bool(obj, "write", r->write);
	(void)record_save(m, RECORDS, name + strlen("region."), obj);
	json_object_put(obj);
	free(name);
}

void region_forget(struct manager *m, const struct space *space,
		   struct region *r)
{
	char *name = must_format("region.%s.%s", space->name, r->name);

	unstore(name);
	record_forget(m, RECORDS, name + strlen("region."));
	free(name);
	close(r->fd);
	free(r->name);
}

void region_drop(struct manager *m, struct space *space, struct region *r)
{
	region_forget(m, space, r);
	*r = space->regions[--space->nr_regions];
}

static bool restore(struct manager *m, const char *path,
		    struct json_object *obj)
{
	const char *ioas = js_get_string(obj, "ioas");
	const char *name = js_get_string(obj, "region");
	struct space *s = ioas ? space_find(m, ioas) : NULL;
	struct region *r = s && name ? region_find(s, name) : NULL;

	(void)path;
	if (!r)
		return false;
	r->iova = js_get_number(obj, "iova");
	r->read = js_get_bool(obj, "read");
	r->write = js_get_bool(obj, "write");
	r->known = true;
	return true;
}

void regions_restore(struct manager *m)
{
	records_each(m, RECORDS, restore);
}

int region_map(const struct region *r, const struct space *space, int iommufd,
	       uint32_t ioas, struct why *w)
{
	__u32 flags = IOMMU_IOAS_MAP_FIXED_IOVA |
		      (r->read ? IOMMU_IOAS_MAP_READABLE : 0) |
		      (r->write ? IOMMU_IOAS_MAP_WRITEABLE : 0);
	__u64 iova = r->iova;
	char subject[64];
	void *va;
	int rc;

	va = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (va == MAP_FAILED)
		return why(w, -errno, "region %s: its memory cannot be mapped: "
			   "%s", r->name, strerror(errno));
	/* It stays mapped here, so that the kernel can pin it at attach. */
	rc = iommu_ioas_map(iommufd, ioas, flags, va, r->size, &iova);
	if (!rc)
		return 0;
	snprintf(subject, sizeof(subject), "region %s", r->name);
	return kernel_why(w, iommufd, rc, subject, space->name, "mapped");
}
