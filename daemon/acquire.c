// SPDX-License-Identifier: GPL-2.0-only
/*
 * Acquire: open devices in a child, hand them over, keep no copy. If anything
 * fails on the way, closing what was opened gives everything back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acquire.h"
#include "claim.h"
#include "device.h"
#include "job.h"
#include "lease.h"
#include "manager.h"
#include "shape.h"
#include "space.h"
#include "util.h"

#define MAX_WAIT 60000		/* ms */
/* ms; until the next child, when nothing hints that the device may be free. */
#define CHILD_PAUSE 250
/* Who asks for a device that has just been closed need not ask twice. */
#define CLOSING 1500		/* ms */

/*
 * Not ended yet, in the order of their arrival. Of those that want the same
 * group only the first one tries.
 */
static struct acquire *pending;

static void acquire_free(struct acquire *a)
{
	struct acquire **at;

	for (at = &pending; *at != a; at = &(*at)->next)
		;
	*at = a->next;
	if (a->making)
		a->space->making = false;
	if (a->space)
		a->space->users--;
	claim_free(a->manager, a->claim);
	sd_event_source_disable_unref(a->timer);
	devices_done(&a->devices);
	spaces_released(a->manager);
	free(a);
	acquires_wake();
}

static void acquire_fail(struct acquire *a, int rc, const struct why *w)
{
	call_why(a->call, rc, w);
	acquire_free(a);
}

/* Whose is it? More than the child could know. */
static void name_holder(const struct acquire *a, struct why *w)
{
	const struct lease *lease;
	struct why who;
	size_t i;

	for (i = 0; i < a->devices.nr; i++) {
		lease = lease_of(a->manager, a->devices.v[i]->name);
		if (!lease)
			continue;
		why(w, 0, "%s is in use: %s", lease->device,
		    lease_holder(lease, &who));
		return;
	}
}

/* The daemon keeps the iommufd of a named IOAS: the others move up. */
static void keep_iommufd(struct acquire *a, struct job_result *r,
			 struct json_object *devices)
{
	size_t i;

	if (a->space->iommufd < 0)
		space_made(a->manager, a->space, r->fds[0],
			   js_get_number(r->value, "ioas_id"));
	else
		close(r->fds[0]);
	shape_set(a->space, json_object_get(js_get(r->value, "shape")));
	memmove(r->fds, r->fds + 1, --r->nr_fds * sizeof(int));
	for (i = 0; i < js_length(devices); i++)
		js_number(json_object_array_get_idx(devices, i), "fd", i);
}

static void begin(struct acquire *a);

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	begin(userdata);
	return 0;
}

static void begin_later(struct acquire *a, uint64_t ms)
{
	a->asleep = ms > ACQUIRE_POLL;
	if (a->timer) {
		sd_event_source_set_time_relative(a->timer, ms * 1000);
		sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_add_time_relative(a->manager->event, &a->timer,
					   CLOCK_MONOTONIC, ms * 1000, 1000,
					   on_time, a);
	}
}

static bool same_group(const struct acquire *a, const struct acquire *b)
{
	size_t i, j;

	for (i = 0; i < a->devices.nr; i++) {
		for (j = 0; j < b->devices.nr; j++) {
			if (a->devices.v[i]->group == b->devices.v[j]->group)
				return true;
		}
	}
	return false;
}

/* Who came first goes first. */
static bool has_to_queue(const struct acquire *a)
{
	const struct acquire *other;

	for (other = pending; other != a; other = other->next) {
		if (same_group(a, other))
			return true;
	}
	return false;
}

void acquires_wake(void)
{
	struct acquire *a;

	for (a = pending; a; a = a->next) {
		if (a->asleep && !has_to_queue(a))
			begin_later(a, 0);
	}
}

/* All of the devices, or none. */
static int lease_all(struct acquire *a, struct why *w)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < a->devices.nr && !rc; i++)
		rc = lease_begin(a->manager, a->devices.v[i], &a->holder,
				 a->attach, a->space ? a->space->name : NULL,
				 w);
	/* The last one is none. */
	for (i = rc ? i - 1 : 0; i; i--)
		lease_end(lease_find(a->manager, a->devices.v[i - 1]->name),
			  "it was not handed over");
	return rc;
}

static void done(struct manager *m, void *arg, struct job_result *r)
{
	struct acquire *a = arg;
	struct json_object *reply, *devices;
	int rc;

	if (r->rc == -EBUSY && a->call->conn && now_ms() < a->until) {
		fds_close(r->fds, &r->nr_fds);
		a->claim = claim_free(m, a->claim);
		if (a->making)
			a->making = a->space->making = false;
		begin_later(a, CHILD_PAUSE);
		return;
	}
	if (r->rc == -EBUSY)
		name_holder(a, &r->why);
	if (r->rc || !a->call->conn) {
		/* Nobody is left to give it to: it is given back. */
		fds_close(r->fds, &r->nr_fds);
		acquire_fail(a, r->rc ? r->rc : -EPIPE, &r->why);
		return;
	}
	reply = js_object();
	devices = json_object_get(js_get(r->value, "devices"));
	if (a->space) {
		keep_iommufd(a, r, devices);
		js_put(reply, "iommufd", NULL);
	} else {
		js_number(reply, "iommufd", 0);
	}
	js_put(reply, "devices", devices);
	if (!space_give(a->space, reply, r->fds, &r->nr_fds)) {
		fds_close(r->fds, &r->nr_fds);
		json_object_put(reply);
		why(&r->why, 0, "the daemon is out of file descriptors");
		acquire_fail(a, -EMFILE, &r->why);
		return;
	}
	rc = lease_all(a, &r->why);
	if (rc) {
		fds_close(r->fds, &r->nr_fds);
		json_object_put(reply);
		acquire_fail(a, rc, &r->why);
		return;
	}
	call_reply_fds(a->call, reply, r->fds, r->nr_fds);
	acquire_free(a);
}

/*
 * Who was given a device unbound has not perhaps bound it yet: it is in use
 * while that process lives, whatever the kernel would say. And where a child
 * asks the kernel, which takes back files that are open, none is opened.
 */
static bool is_held(const struct acquire *a)
{
	const struct lease *lease;
	size_t i;

	for (i = 0; i < a->devices.nr; i++) {
		lease = lease_of(a->manager, a->devices.v[i]->name);
		if (lease && (lease->asked ||
			      (!lease->attached && lease_runs(lease))))
			return true;
	}
	return false;
}

static int check_rules(struct acquire *a, struct why *w);
static int check_limit(struct acquire *a, struct why *w);

/* While it waited, devices may have been bound anew, and the policy read. */
static int check_again(struct acquire *a, struct why *w)
{
	struct iommu_sys_device *now;
	size_t i;
	int rc;

	for (i = 0; i < a->devices.nr; i++) {
		rc = iommu_sys_device_get(a->manager->sys,
					  a->devices.v[i]->name, &now);
		if (rc)
			return why(w, rc, "%s has gone",
				   a->devices.v[i]->name);
		iommu_sys_device_free(a->devices.v[i]);
		a->devices.v[i] = now;
	}
	if (a->space)
		a->space->users--;
	a->space = NULL;
	rc = check_rules(a, w);
	return rc ? rc : check_limit(a, w);
}

/* Claim the groups and start the child; or try again while there is time. */
static void begin(struct acquire *a)
{
	struct why w = { "an IOAS of this name is just being made; try again" };
	int keep[JOB_FDS], rc = -EBUSY;
	bool queue = has_to_queue(a);
	uint64_t now = now_ms(), ms = ACQUIRE_POLL;
	size_t i, nr = 0;

	a->asleep = false;
	if (!a->call->conn) {
		acquire_fail(a, -EPIPE, &w);
		return;
	}
	if (queue) {
		why(&w, 0, "others are waiting for %s",
		    a->devices.v[0]->name);
		name_holder(a, &w);
		ms = a->until > now ? a->until - now : 0;
	} else if (is_held(a)) {
		name_holder(a, &w);
		ms = CHILD_PAUSE;
	} else if (!a->space || !a->space->making) {
		a->claim = claim_new(a->manager, a->devices.v, a->devices.nr,
				     "acquired", &w);
	}
	if (a->claim && a->timer) {
		int err = check_again(a, &w);

		if (err) {
			acquire_fail(a, err, &w);
			return;
		}
		/* It may belong into another one by now. */
		if (a->space && a->space->making)
			a->claim = claim_free(a->manager, a->claim);
	}
	if (a->claim) {
		if (a->space) {
			a->making = a->space->making = true;
			if (a->space->iommufd >= 0)
				keep[nr++] = a->space->iommufd;
			for (i = 0; i < a->space->nr_regions; i++)
				keep[nr++] = a->space->regions[i].fd;
		}
		rc = job_start(a->manager, acquire_run, a, done, keep, nr);
		if (!rc)
			return;
		if (a->making)
			a->making = a->space->making = false;
		a->claim = claim_free(a->manager, a->claim);
		why(&w, rc, "no process can be started for it: %s",
		    strerror(-rc));
	}
	if ((rc == -EBUSY || rc == -EAGAIN) && now < a->until) {
		begin_later(a, ms);
		return;
	}
	acquire_fail(a, rc == -EAGAIN ? -EBUSY : rc, &w);
}

static int check_owner(struct acquire *a, const struct iommu_sys_device *dev,
		       const struct policy_device *rule, struct why *w)
{
	const struct peer *peer = call_peer(a->call);

	if (peer_is_admin(peer, a->manager->admins) ||
	    (rule && policy_is_owner(&rule->owners, peer)))
		return 0;
	if (!rule)
		return why(w, -EPERM, "user %u may not acquire %s: no "
			   "definition in %s is for this device; ask root to "
			   "add one that names you",
			   (unsigned int)peer->uid, dev->name,
			   a->manager->options.config);
	return why(w, -EPERM, "user %u may not acquire %s: definition '%s' "
		   "(%s:%d) names other owners; ask root to add you",
		   (unsigned int)peer->uid, dev->name, rule->name,
		   rule->origin.file, rule->origin.line);
}

static int check_device(const struct iommu_sys_device *dev, struct why *w)
{
	if (dev->group < 0)
		return why(w, -EINVAL, "%s is not behind an IOMMU; switch it "
			   "on in the firmware and on the kernel's command "
			   "line (intel_iommu=on)", dev->name);
	if (!dev->vfio)
		return why(w, -EINVAL, "%s is driven by %s; bind it to "
			   "vfio-pci first ('iommuctl device bind %s')",
			   dev->name, dev->driver ? dev->driver : "nothing",
			   dev->name);
	if (!dev->node)
		return why(w, -ENXIO, "%s has no node in /dev/vfio/devices; "
			   "load the module ('modprobe granule-vfio')",
			   dev->name);
	return 0;
}

/* What the rules of all its devices say, which has to be the same. */
static int check_rules(struct acquire *a, struct why *w)
{
	const struct policy_device *rule, *first = NULL;
	const struct iommu_sys_device *dev;
	const char *ioas, *other;
	size_t i;
	int rc;

	for (i = 0; i < a->devices.nr; i++) {
		dev = a->devices.v[i];
		rule = policy_for_device(a->manager->policy, dev);
		rc = check_owner(a, dev, rule, w);
		if (!rc)
			rc = check_device(dev, w);
		if (rc)
			return rc;
		if (!i)
			first = rule;
		ioas = rule && rule->ioas ? rule->ioas : "";
		other = first && first->ioas ? first->ioas : "";
		if (strcmp(ioas, other) ||
		    (rule ? rule->accounting : ACCOUNT_USER) !=
		    (first ? first->accounting : ACCOUNT_USER))
			return why(w, -EINVAL, "%s and %s cannot be acquired in "
				   "one call: their definitions differ in "
				   "'ioas' or 'accounting'",
				   a->devices.v[0]->name, dev->name);
	}
	a->per_process = first && first->accounting == ACCOUNT_PROCESS;
	if (!first || !first->ioas)
		return 0;
	if (a->attach)
		a->space = space_find(a->manager, first->ioas);
	if (!a->space)
		return why(w, -EINVAL, "%s belongs into the named IOAS '%s', "
			   "so it is only handed over attached to that",
			   a->devices.v[0]->name, first->ioas);
	a->space->users++;
	return 0;
}

static int check_limit(struct acquire *a, struct why *w)
{
	const struct policy_limit *limit =
		policy_limit_of(a->manager->policy, a->holder.uid);
	const struct acquire *other;
	size_t nr = lease_count(a->manager, a->holder.uid), i;

	for (other = pending; other; other = other->next) {
		if (other->holder.uid == a->holder.uid)
			nr += other->devices.nr;
	}
	/* What is being given back, to get it again, is counted once. */
	for (i = 0; i < a->devices.nr; i++)
		nr -= lease_of(a->manager, a->devices.v[i]->name) &&
		      lease_of(a->manager, a->devices.v[i]->name)->uid ==
			      a->holder.uid;
	if (nr > limit->devices)
		return why(w, -EDQUOT, "user %u would have %zu devices, and "
			   "the limit is %llu (%s:%d)",
			   (unsigned int)a->holder.uid, nr,
			   (unsigned long long)limit->devices,
			   limit->origin.file, limit->origin.line);
	a->memlock = limit->memlock;
	return 0;
}

/* Who waited is not in anybody's way any more; a child ends by itself. */
static void gone(struct call *call)
{
	struct acquire *a = call->userdata;

	if (!a->claim)
		begin_later(a, 0);
}

static void acquire(struct manager *m, struct call *call)
{
	struct json_object *attach = js_get(call->msg.parameters, "attach");
	uint64_t wait = js_get_number(call->msg.parameters, "wait");
	const struct peer *peer = call_peer(call);
	struct acquire *a, **at;
	struct devices devices;
	struct lease *lease;
	struct why w;
	size_t i;
	int rc;

	if (call_devices(m, call, &devices))
		return;
	a = must_alloc(sizeof(*a));
	a->manager = m;
	a->call = call;
	call->userdata = a;
	call->gone = gone;
	a->devices = devices;
	a->attach = !attach || json_object_get_boolean(attach);
	a->holder.uid = peer->uid;
	a->holder.pid = peer->pid;
	a->holder.conn = call->conn;
	a->holder.started = peer->started;
	/* Not the name of whoever has its PID by now. */
	if (process_started(peer->pid, a->holder.command,
			    sizeof(a->holder.command)) != peer->started)
		a->holder.command[0] = 0;
	for (at = &pending; *at; at = &(*at)->next)
		;
	*at = a;
	for (i = 0; i < devices.nr; i++) {
		lease = lease_find(m, devices.v[i]->name);
		if (lease && lease_in_doubt(lease) && wait < CLOSING)
			wait = CLOSING;
	}
	a->until = now_ms() + (wait < MAX_WAIT ? wait : MAX_WAIT);
	rc = devices.nr >= JOB_FDS / 2 ?
	     why(&w, -E2BIG, "more than %d devices in one call",
		 JOB_FDS / 2 - 1) : 0;
	if (!rc)
		rc = check_rules(a, &w);
	if (!rc)
		rc = check_limit(a, &w);
	if (rc)
		acquire_fail(a, rc, &w);
	else
		begin(a);
}

const struct method acquire_methods[] = {
	{ "Acquire", 0, acquire },
	{ 0 }
};
