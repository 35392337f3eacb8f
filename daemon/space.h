/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Named IOASes: memory that the daemon keeps, mapped for devices that share
 * it; see region.h.
 *
 * There is an IOAS in the kernel while a device is attached to it. The child
 * that attaches the first one makes it; the daemon keeps its iommufd, which
 * holds no device, until the last lease on it ends.
 */
#ifndef IOMMUD_SPACE_H
#define IOMMUD_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "region.h"

struct json_object;
struct look;
struct manager;

struct space {
	struct space *next;
	char *name;
	struct region *regions;
	size_t nr_regions;
	int iommufd;		/* -1: no device is attached */
	uint32_t ioas_id;	/* in that */
	struct json_object *shape;	/* see shape.h; NULL: not known */
	struct look *look;		/* the child that asks for it, or NULL */
	/* A child attaches a device to it, or changes it: one at a time. */
	bool making;
	bool edited;		/* by that child: see edit.c */
	unsigned int users;	/* calls under way that need it */
	bool wanted;		/* by the policy */
	bool behind;		/* the policy; it was in use then */
};

bool space_is_leased(struct manager *m, const struct space *space);
/* Does a lease have it, or a call under way? */
bool space_in_use(struct manager *m, const struct space *space);

struct space *space_find(struct manager *m, const char *name);

/* After a (re)load of the policy: make regions, drop what nobody uses. */
void spaces_apply(struct manager *m);

/* A lease has ended: let go of IOASes without devices. */
void spaces_released(struct manager *m);

/* A device is attached: @fd is the iommufd, owned from now on. */
void space_made(struct manager *m, struct space *space, int fd,
		uint32_t ioas_id);

/*
 * A descriptor from an earlier daemon; false when the name is not that of
 * one of ours, or there is one of this name. The memory says how large it is,
 * regions_restore(), which has to follow, all else. Owned when true.
 */
bool spaces_adopt(struct manager *m, const char *name, int fd);
void spaces_done(struct manager *m);

/*
 * Describe the regions of @space, or none when that is NULL, in "regions" of a
 * reply, with copies of their descriptors behind the @nr that @fds has. False:
 * not for all of them.
 */
bool space_give(const struct space *space, struct json_object *reply, int *fds,
		size_t *nr);

/* In a child: map all regions into a new IOAS of @iommufd. */
struct why;
int space_map(const struct space *space, int iommufd, uint32_t *ret_ioas,
	      struct why *why);

/*
 * In a child: the regions were mapped from the memory of a child that has
 * ended, so once no device keeps them pinned they can never be pinned again.
 * Map them anew from here where that is so. @failed: attaching has failed as it
 * does then.
 */
int space_revive(const struct space *space, bool failed, struct why *why);

#endif
