// SPDX-License-Identifier: GPL-2.0-only
/* Release: leases that end before the process of their holder does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "device.h"
#include "job.h"
#include "lease.h"
#include "manager.h"
#include "util.h"

struct release {
	struct manager *manager;
	struct call *call;
	struct devices devices;
	struct claim *claim;
};

/* Could its holder bind it again, where the kernel takes no file back? */
static bool lasts(const struct release *rel, const char *device)
{
	const struct lease *lease = lease_of(rel->manager, device);

	return lease && !lease->attached && lease_runs(lease);
}

static void run_release(void *arg, struct job_result *result)
{
	struct release *rel = arg;
	size_t i;

	for (i = 0; i < rel->devices.nr && !result->rc; i++) {
		const struct iommu_sys_device *dev = rel->devices.v[i];

		result->rc = dev->node ? device_take_back(rel->manager->sys,
							  dev->node) : 0;
		if (result->rc == -ENOTTY)
			result->rc = lasts(rel, dev->name) ? -EBUSY : 0;
		if (result->rc)
			why(&result->why, 0, result->rc == -EBUSY ?
			    "%s is still open; close all copies of its file" :
			    "%s cannot be looked at", dev->name);
	}
}

static void release_free(struct release *rel)
{
	claim_free(rel->manager, rel->claim);
	devices_done(&rel->devices);
	free(rel);
}

static void released(struct manager *m, void *arg, struct job_result *result)
{
	struct release *rel = arg;
	struct lease *lease;
	size_t i;

	for (i = 0; i < rel->devices.nr && !result->rc; i++) {
		lease = lease_find(m, rel->devices.v[i]->name);
		if (lease)
			lease_end(lease, "it was released");
	}
	if (result->rc)
		call_why(rel->call, result->rc, &result->why);
	else
		call_reply(rel->call, NULL);
	release_free(rel);
}

static int check_holder(struct release *rel, struct why *w)
{
	const struct peer *peer = call_peer(rel->call);
	const struct lease *lease;
	size_t i;

	for (i = 0; i < rel->devices.nr; i++) {
		lease = lease_of(rel->manager, rel->devices.v[i]->name);
		if (!lease)
			return why(w, -ENOENT, "%s is not leased",
				   rel->devices.v[i]->name);
		if (lease->uid != peer->uid &&
		    !peer_is_admin(peer, rel->manager->admins))
			return why(w, -EPERM, "%s was acquired by user %u; user "
				   "%u may not release it", lease->device,
				   (unsigned int)lease->uid,
				   (unsigned int)peer->uid);
	}
	return 0;
}

static void release(struct manager *m, struct call *call)
{
	struct release *rel = must_alloc(sizeof(*rel));
	struct why w;
	int rc;

	rel->manager = m;
	rel->call = call;
	if (call_devices(m, call, &rel->devices)) {
		free(rel);
		return;
	}
	rc = check_holder(rel, &w);
	if (!rc) {
		rel->claim = claim_new(m, rel->devices.v, rel->devices.nr,
				       "released", &w);
		rc = rel->claim ? 0 : -EBUSY;
	}
	if (!rc && (rc = job_start(m, run_release, rel, released, NULL, 0)))
		why(&w, rc, "no process can be started for it: %s",
		    strerror(-rc));
	if (rc) {
		call_why(call, rc, &w);
		release_free(rel);
	}
}

const struct method release_methods[] = {
	{ "Release", 0, release },
	{ 0 }
};
