// SPDX-License-Identifier: GPL-2.0-only
/* Leases: kept, ended, and found again after a restart. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "claim.h"
#include "event.h"
#include "job.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "peer.h"
#include "record.h"
#include "shape.h"
#include "space.h"
#include "util.h"

#define RECORDS "leases"

/*
 * When the kernel is asked after a hint, in milliseconds from one try to the
 * next. It may still be resetting the device, which takes seconds for some.
 */
static const unsigned int tries[] = { 0, 5, 20, 50, 200, 500, 2000, 10000,
				      30000 };

/* From one try to watch a process to the next, in microseconds. */
#define WATCH_AGAIN 1000000ULL

struct lease *lease_find(struct manager *m, const char *device)
{
	struct lease *lease;

	for (lease = m->leases; lease && strcmp(lease->device, device);
	     lease = lease->next)
		;
	return lease;
}

struct lease *lease_of_node(struct manager *m, const char *node)
{
	struct lease *lease;

	for (lease = m->leases; lease && strcmp(lease->node, node);
	     lease = lease->next)
		;
	return lease;
}

const struct lease *lease_of(struct manager *m, const char *device)
{
	return lease_find(m, device);
}

size_t lease_count(struct manager *m, uid_t uid)
{
	const struct lease *lease;
	size_t nr = 0;

	for (lease = m->leases; lease; lease = lease->next)
		nr += lease->uid == uid;
	return nr;
}

bool lease_runs(const struct lease *lease)
{
	return lease->exited || lease->unwatched;
}

const char *lease_holder(const struct lease *lease, struct why *w)
{
	why(w, 0, "process %d (%s) of user %u %s", (int)lease->pid,
	    lease->command, (unsigned int)lease->uid, lease_runs(lease) ?
	    "has it" : "acquired it and has ended, and another process has "
	    "its file");
	return w->text;
}

struct json_object *lease_to_json(const struct lease *lease)
{
	struct json_object *obj = js_object();

	js_string(obj, "device", lease->device);
	if (lease->group < 0)
		js_put(obj, "group", NULL);
	else
		js_number(obj, "group", lease->group);
	js_number(obj, "user", lease->uid);
	js_number(obj, "process", lease->pid);
	js_string(obj, "command", lease->command);
	js_number(obj, "since", lease->since);
	js_bool(obj, "connected", lease->conn != NULL);
	js_bool(obj, "running", lease_runs(lease));
	js_bool(obj, "attached", lease->attached);
	js_string(obj, "ioas", lease->ioas);
	js_number(obj, "faults", lease->faults);
	js_number(obj, "refused", lease->refused);
	return obj;
}

/* What a restart has to know of it. */
static void save(const struct lease *lease)
{
	struct json_object *obj = lease_to_json(lease);

	js_number(obj, "started", lease->started);
	js_string(obj, "node", lease->node);
	(void)record_save(lease->manager, RECORDS, lease->device, obj);
	json_object_put(obj);
}

/* ---- Asking the kernel ---- */

/* The lease may be gone when the answer comes, so it is known by number. */
struct question {
	struct iommu_sys *sys;
	unsigned long id;
	char node[64];
};

static void ask(void *arg, struct job_result *result)
{
	const struct question *q = arg;

	result->rc = device_take_back(q->sys, q->node);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);

/* The next try of the series, if there is one. */
static void try_later(struct lease *lease)
{
	uint64_t usec;

	if (lease->tries >= ARRAY_LEN(tries))
		return;
	usec = tries[lease->tries++] * 1000ULL;
	if (lease->timer) {
		sd_event_source_set_time_relative(lease->timer, usec);
		sd_event_source_set_enabled(lease->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_add_time_relative(lease->manager->event,
					   &lease->timer, CLOCK_MONOTONIC,
					   usec, 1000, on_time, lease);
	}
}

static void answered(struct manager *m, void *arg, struct job_result *result)
{
	struct question *q = arg;
	struct lease *lease;

	for (lease = m->leases; lease && lease->id != q->id;
	     lease = lease->next)
		;
	free(q);
	if (!lease)
		return;
	lease->asked = false;
	if (!result->rc || result->rc == -ENOTTY)
		lease_end(lease, "its file was closed");
	else if (result->rc == -ENOENT || result->rc == -ENXIO ||
		 result->rc == -ENODEV)
		lease_leaving(lease);
	else
		try_later(lease);
}

/*
 * Is there nothing left that the kernel could wait for? Without a driver the
 * device may be on its way, or have been on it before we were started: then
 * only the holder's process tells.
 */
static bool has_left(struct lease *lease)
{
	struct manager *m = lease->manager;
	struct iommu_sys_device *dev;
	bool left;

	if (iommu_sys_device_get(m->sys, lease->device, &dev))
		return true;
	left = dev->driver && (!dev->vfio || dev->node);
	iommu_sys_device_free(dev);
	return left || (!lease_runs(lease) &&
			(lease->restored || !m->hotplug));
}

void lease_leaving(struct lease *lease)
{
	struct why who;

	if (has_left(lease)) {
		lease_end(lease, "the device is gone, or has a new driver");
		return;
	}
	if (lease->leaving)
		return;
	lease->leaving = true;
	event_tell(lease->manager, "requested", lease->device, "it is to go, "
		   "and the kernel waits: %s", lease_holder(lease, &who));
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct lease *lease = userdata;
	struct iommu_sys_device dev = { .group = lease->group };
	struct question *q;

	(void)source;
	(void)usec;
	if (lease->leaving) {
		if (has_left(lease))
			lease_end(lease, "the device is gone");
		else
			try_later(lease);
		return 0;
	}
	strcpy(dev.name, lease->device);
	/* Who works on the group finds out by itself. */
	if (is_claimed(lease->manager, &dev)) {
		try_later(lease);
		return 0;
	}
	q = must_alloc(sizeof(*q));
	q->sys = lease->manager->sys;
	q->id = lease->id;
	strcpy(q->node, lease->node);
	lease->asked = !job_start(lease->manager, ask, q, answered, NULL, 0);
	if (!lease->asked) {
		free(q);
		try_later(lease);
	}
	return 0;
}

bool lease_in_doubt(const struct lease *lease)
{
	return lease->asked || (lease->tries && lease->tries < 7);
}

void lease_hint(struct lease *lease)
{
	/* See the head of lease.h: its process must have ended. */
	if (!lease->attached && lease_runs(lease) && !lease->leaving)
		return;
	lease->tries = 0;
	/* Who waits for the device finds out as well, and has it then. */
	acquires_wake();
	if (!lease->asked)
		try_later(lease);
}

/* ---- Hints ---- */

static int on_closed(sd_event_source *source, const struct inotify_event *event,
		     void *userdata)
{
	struct lease *lease = userdata;

	(void)source;
	if (event->mask & (IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF |
			   IN_IGNORED))
		lease_hint(lease);
	return 0;
}

static int on_exited(sd_event_source *source, int fd, uint32_t events,
		     void *userdata)
{
	struct lease *lease = userdata;

	(void)source;
	(void)fd;
	(void)events;
	lease->exited = sd_event_source_disable_unref(lease->exited);
	lease_hint(lease);
	return 0;
}

/* A file that tells when the process ends; -ESRCH: it has. */
static int open_process(pid_t pid, unsigned long long started)
{
	int fd = syscall(SYS_pidfd_open, pid, 0), rc;
	unsigned long long now;

	if (fd < 0)
		return -errno;
	now = process_started(pid, NULL, 0);
	if (now == started)
		return fd;
	/* Whatever has this PID since is not the holder. */
	rc = now || errno == ENOENT ? -ESRCH : -errno;
	close(fd);
	return rc;
}

static int watch_process(struct lease *lease)
{
	int fd = open_process(lease->pid, lease->started), rc;

	if (fd < 0)
		return fd;
	rc = sd_event_add_io(lease->manager->event, &lease->exited, fd, EPOLLIN,
			     on_exited, lease);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	sd_event_source_set_io_fd_own(lease->exited, 1);
	return 0;
}

/* Of an earlier daemon: it cannot be refused any more, so try again. */
static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct lease *lease = userdata;
	int rc = watch_process(lease);

	(void)usec;
	if (rc && rc != -ESRCH) {
		sd_event_source_set_time_relative(source, WATCH_AGAIN);
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
		return 0;
	}
	lease->unwatched = false;
	lease_hint(lease);
	return 0;
}

static void watch_later(struct lease *lease, int rc)
{
	log_device(LOG_WARNING, lease->device, "%s: process %d cannot be "
		   "watched: %s; the lease stays", lease->device,
		   (int)lease->pid, strerror(-rc));
	lease->unwatched = true;
	(void)sd_event_add_time_relative(lease->manager->event, &lease->again,
					 CLOCK_MONOTONIC, WATCH_AGAIN, 1000,
					 on_again, lease);
}

/* 0, or why its end would not be known; -ESRCH: its process has ended. */
static int watch(struct lease *lease)
{
	struct manager *m = lease->manager;
	const char *node = iommu_sys_path(m->sys, lease->node);
	int rc;

	/* Its closing is a hint that comes sooner than the others. */
	rc = sd_event_add_inotify(m->event, &lease->closed, node,
				  IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF,
				  on_closed, lease);
	if (rc < 0)
		log_device(LOG_WARNING, lease->device, "%s cannot be watched: "
			   "%s", node, strerror(-rc));
	return watch_process(lease);
}

/* ---- Beginning and end ---- */

static void lease_free(struct lease *lease)
{
	struct lease **at;

	for (at = &lease->manager->leases; *at != lease; at = &(*at)->next)
		;
	*at = lease->next;
	sd_event_source_disable_unref(lease->closed);
	sd_event_source_disable_unref(lease->exited);
	sd_event_source_disable_unref(lease->again);
	sd_event_source_disable_unref(lease->timer);
	free(lease->ioas);
	free(lease);
}

static struct lease *lease_new(struct manager *m)
{
	struct lease *lease = must_alloc(sizeof(*lease));
	static unsigned long ids;

	lease->manager = m;
	lease->id = ++ids;
	lease->next = m->leases;
	m->leases = lease;
	return lease;
}

void lease_end(struct lease *lease, const char *how)
{
	struct manager *m = lease->manager;
	char device[sizeof(lease->device)];
	char *ioas = must_dup(lease->ioas);
	struct space *s;

	strcpy(device, lease->device);
	record_forget(m, RECORDS, device);
	lease_free(lease);
	spaces_released(m);
	/* What this one reserved its other devices may have now. */
	s = ioas ? space_find(m, ioas) : NULL;
	if (s)
		shape_look(m, s);
	free(ioas);
	event_tell(m, "returned", device, "free again: %s", how);
	acquires_wake();
}

int lease_begin(struct manager *m, const struct iommu_sys_device *dev,
		const struct lease_holder *holder, bool attached,
		const char *ioas, struct why *w)
{
	struct lease *lease = lease_find(m, dev->name);
	int rc;

	if (lease)
		lease_end(lease, "it has been acquired anew");
	lease = lease_new(m);
	strcpy(lease->device, dev->name);
	lease->group = dev->group;
	snprintf(lease->node, sizeof(lease->node), "%s", dev->node);
	lease->uid = holder->uid;
	lease->pid = holder->pid;
	lease->started = holder->started;
	strcpy(lease->command, holder->command);
	lease->conn = holder->conn;
	lease->since = time(NULL);
	lease->attached = attached;
	lease->ioas = must_dup(ioas);
	rc = watch(lease);
	/* Who has ended may have left its connection, and its file, to others. */
	if (rc && (rc != -ESRCH || !attached)) {
		lease_free(lease);
		return why(w, rc, "%s is not handed over, as process %d cannot "
			   "be watched: %s", dev->name, (int)holder->pid,
			   strerror(-rc));
	}
	save(lease);
	event_tell(m, "leased", lease->device, "process %d (%s) of user %u "
		   "has it", (int)lease->pid, lease->command,
		   (unsigned int)lease->uid);
	/* It may have ended before anybody watched. */
	if (rc)
		lease_hint(lease);
	return 0;
}

void leases_disconnect(struct manager *m, const void *conn)
{
	struct lease *lease, *next;

	for (lease = m->leases; lease; lease = next) {
		next = lease->next;
		if (lease->conn != conn)
			continue;
		lease->conn = NULL;
		lease_hint(lease);
	}
}

/* ---- Over a restart ---- */

static bool restore(struct manager *m, const char *path,
		    struct json_object *obj)
{
	const char *device = js_get_string(obj, "device");
	const char *node = js_get_string(obj, "node");
	const char *command = js_get_string(obj, "command");
	struct lease *lease;
	int rc;

	if (!device || !node || !command ||
	    strlen(device) >= sizeof(lease->device) ||
	    strlen(node) >= sizeof(lease->node)) {
		log_warning("%s: not a lease; removed", path);
		return false;
	}
	lease = lease_new(m);
	strcpy(lease->device, device);
	strcpy(lease->node, node);
	snprintf(lease->command, sizeof(lease->command), "%s", command);
	make_printable(lease->command);
	lease->group = js_get(obj, "group") ?
			       (long)js_get_number(obj, "group") : -1;
	lease->uid = js_get_number(obj, "user");
	lease->pid = js_get_number(obj, "process");
	lease->started = js_get_number(obj, "started");
	lease->since = js_get_number(obj, "since");
	lease->attached = js_get_bool(obj, "attached");
	lease->ioas = must_dup(js_get_string(obj, "ioas"));
	lease->restored = true;
	rc = watch(lease);
	if (rc && rc != -ESRCH)
		watch_later(lease, rc);
	log_device(LOG_INFO, lease->device, "%s: leased by process %d (%s) "
		   "before this start", lease->device, (int)lease->pid,
		   lease->command);
	/* What happened meanwhile nobody has told. */
	lease_hint(lease);
	return true;
}

void leases_restore(struct manager *m)
{
	records_each(m, RECORDS, restore);
}

void leases_done(struct manager *m)
{
	while (m->leases)
		lease_free(m->leases);
}

/* ---- Methods ---- */

static void list_leases(struct manager *m, struct call *call)
{
	struct json_object *reply = js_object(), *array = js_array();
	const struct lease *lease;

	for (lease = m->leases; lease; lease = lease->next)
		js_append(array, lease_to_json(lease));
	js_put(reply, "leases", array);
	call_reply(call, reply);
}

const struct method lease_methods[] = {
	{ "ListLeases", 0, list_leases },
	{ 0 }
};
