/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region: memory in a named IOAS. It is a memfd, which outlives clients, and
 * a restart of the daemon by way of systemd's store of descriptors.
 */
#ifndef IOMMUD_REGION_H
#define IOMMUD_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;
struct manager;
struct policy_region;
struct space;
struct why;

/* Where a region is in a named IOAS, and its memory. */
struct region {
	char *name;
	uint64_t size, iova;
	bool read, write;
	bool known;		/* iova, read and write are */
	int fd;			/* memfd */
};

/* A descriptor into systemd's store, and out of it. */
void store(const char *name, int fd);
void unstore(const char *name);

/* The memory that @p describes, as a descriptor; -errno, with @w. */
int region_make(const struct policy_region *p, const struct space *space,
		struct why *w);

/* Is the memory what region_make() would make? And where it is to be? */
bool region_is_made_of(const struct region *r, const struct policy_region *p);
bool region_is(const struct region *r, const struct policy_region *p);

struct region *region_find(const struct space *space, const char *name);

/* Into @space, which owns what it has from now on. */
struct region *region_add(struct space *space, const struct region *r);

/* A new one into @space; @fd is owned from now on. Nothing else is known of it yet. */
struct region *region_new(struct space *space, const char *name, int fd);

/*
 * Where it is, and how it may be accessed, also for a successor, which has
 * only the memory otherwise.
 */
void region_place(struct manager *m, const struct space *space,
		  struct region *r, const struct policy_region *p);

/* Give up its memory: of one that is not in @space, or to be taken out. */
void region_forget(struct manager *m, const struct space *space,
		   struct region *r);
/* And take it out. */
void region_drop(struct manager *m, struct space *space, struct region *r);

/* Records of an earlier daemon, for regions that spaces_adopt() has made. */
void regions_restore(struct manager *m);

/* In a child: map it in the kernel. @space names it in errors. */
int region_map(const struct region *r, const struct space *space, int iommufd,
	       uint32_t ioas, struct why *w);

#endif
