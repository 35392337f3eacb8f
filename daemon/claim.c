// SPDX-License-Identifier: GPL-2.0-only
/* Which groups are being worked on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "manager.h"
#include "util.h"

struct claim {
	struct claim *next;
	const char *what;
	size_t nr;
	struct member {
		char name[16];
		long group;
	} v[];
};

static bool holds(const struct claim *c, const struct iommu_sys_device *dev)
{
	size_t i;

	for (i = 0; i < c->nr; i++) {
		if (!strcmp(c->v[i].name, dev->name) ||
		    (dev->group >= 0 && c->v[i].group == dev->group))
			return true;
	}
	return false;
}

static const struct claim *find(struct manager *m,
				const struct iommu_sys_device *dev)
{
	const struct claim *c;

	for (c = m->claims; c && !holds(c, dev); c = c->next)
		;
	return c;
}

bool is_claimed(struct manager *m, const struct iommu_sys_device *dev)
{
	return find(m, dev) != NULL;
}

struct claim *claim_new(struct manager *m,
			struct iommu_sys_device *const *devs, size_t nr,
			const char *what, struct why *w)
{
	const struct claim *other;
	struct claim *claim;
	size_t i;

	for (i = 0; i < nr; i++) {
		other = find(m, devs[i]);
		if (!other)
			continue;
		why(w, -EBUSY, "%s, or a device of its group, is just being "
		    "%s; try again", devs[i]->name, other->what);
		return NULL;
	}
	claim = must_alloc(sizeof(*claim) + nr * sizeof(claim->v[0]));
	claim->what = what;
	claim->nr = nr;
	for (i = 0; i < nr; i++) {
		strcpy(claim->v[i].name, devs[i]->name);
		claim->v[i].group = devs[i]->group;
	}
	claim->next = m->claims;
	m->claims = claim;
	return claim;
}

struct claim *claim_free(struct manager *m, struct claim *claim)
{
	struct claim **at;

	if (!claim)
		return NULL;
	for (at = &m->claims; *at != claim; at = &(*at)->next)
		;
	*at = claim->next;
	free(claim);
	return NULL;
}
