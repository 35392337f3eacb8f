// SPDX-License-Identifier: GPL-2.0-only
/* Start, reload, run and stop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "bind.h"
#include "event.h"
#include "hotplug.h"
#include "job.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "peer.h"
#include "privilege.h"
#include "retry.h"
#include "shape.h"
#include "space.h"
#include "undo.h"
#include "util.h"
#include "watch.h"

/* For work that is going on when the daemon is to end, in microseconds. */
#define STOP_TIME (10 * 1000000ULL)

extern const struct method acquire_methods[], bind_methods[],
			   define_methods[], device_methods[], edit_methods[],
			   event_methods[], lease_methods[], release_methods[],
			   space_methods[];

const struct method *const method_tables[] = {
	acquire_methods, bind_methods, define_methods, device_methods,
	edit_methods, event_methods, lease_methods, release_methods,
	space_methods, NULL,
};

/* ---- Errors of a policy ---- */

void print_errors(const struct policy_errors *errors)
{
	const struct policy_error *e;
	size_t i;

	for (i = 0; i < errors->nr; i++) {
		e = &errors->v[i];
		log_error("%s:%d: %s%s%s", e->file, e->line, e->key,
			  *e->key ? ": " : "", e->text);
	}
}

struct json_object *errors_to_json(const struct policy_errors *errors)
{
	struct json_object *array = js_array(), *obj;
	size_t i;

	for (i = 0; i < errors->nr; i++) {
		obj = js_object();
		js_string(obj, "file", errors->v[i].file);
		js_number(obj, "line", errors->v[i].line);
		js_string(obj, "key", errors->v[i].key);
		js_string(obj, "message", errors->v[i].text);
		js_append(array, obj);
	}
	return array;
}

/* ---- Policy ---- */

/* Each connection is a descriptor; leave some for all else. */
static unsigned int possible_connections(unsigned int wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 128 ||
	    limit.rlim_cur - 64 > wanted)
		return wanted;
	return limit.rlim_cur - 64;
}

void manager_use(struct manager *m, struct policy *policy)
{
	policy_free(m->policy);
	m->policy = policy;
	m->server.limits = (struct server_limits){
		.connections = possible_connections(
				policy->settings.connections),
		.per_user = policy->settings.connections_per_user,
		.timeout = policy->settings.timeout,
	};
	/* Groups may be made while we run. */
	if (!group_by_name(m->options.group, &m->admins))
		m->admins = (gid_t)-1;
	spaces_apply(m);
}

static void say_status(struct manager *m)
{
	if (m->errors.nr)
		(void)sd_notifyf(0, "STATUS=The policy has errors and is not "
				 "in force: %s:%d: %s", m->errors.v[0].file,
				 m->errors.v[0].line, m->errors.v[0].text);
	else
		(void)sd_notifyf(0, "STATUS=%zu device definitions in force",
				 m->policy->nr_devices);
}

void manager_apply(struct manager *m, struct policy *policy)
{
	policy_errors_done(&m->errors);
	m->no_policy = false;
	manager_use(m, policy);
	bind_boot(m);
	say_status(m);
}

int manager_reload(struct manager *m)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = policy_load(m->options.config, NULL, NULL,
					    &errors);

	if (policy) {
		manager_apply(m, policy);
		event_tell(m, "policy", NULL, "read: %zu device definitions",
			   policy->nr_devices);
	} else {
		print_errors(&errors);
		policy_errors_done(&m->errors);
		m->errors = errors;
		event_tell(m, "policy", NULL, "it has errors, so it is not in "
			   "force");
		say_status(m);
	}
	return policy ? 0 : -EBADMSG;
}

/* ---- Events from outside ---- */

static int on_reload(sd_event_source *source,
		     const struct signalfd_siginfo *info, void *userdata)
{
	struct timespec ts;

	(void)source;
	(void)info;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
			 ts.tv_sec * 1000000LL + ts.tv_nsec / 1000);
	(void)manager_reload(userdata);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int on_stopped(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)usec;
	(void)userdata;
	log_warning("ends while devices are worked on; what was begun is undone "
		    "at the next start");
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int after_event(sd_event_source *source, void *userdata)
{
	struct manager *m = userdata;

	if (m->jobs)
		return 0;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* Bindings are done or undone before the end, if that is soon. */
static int on_stop(sd_event_source *source,
		   const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *m = userdata;

	(void)source;
	(void)info;
	if (m->stopping)
		return 0;
	m->stopping = true;
	(void)sd_notify(0, "STOPPING=1");
	if (!m->jobs)
		return sd_event_exit(m->event, 0);
	if (sd_event_add_post(m->event, NULL, after_event, m) < 0 ||
	    sd_event_add_time_relative(m->event, NULL, CLOCK_MONOTONIC,
				       STOP_TIME, 0, on_stopped, m) < 0)
		return sd_event_exit(m->event, 0);
	return 0;
}

static int add_signals(struct manager *m)
{
	static const struct {
		int signal;
		sd_event_signal_handler_t handler;
	} signals[] = {
		{ SIGHUP, on_reload }, { SIGTERM, on_stop },
		{ SIGINT, on_stop },
	};
	sigset_t set;
	size_t i;
	int rc = 0;

	/* Blocked, as sd-event wants it; children unblock them again. */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i].signal);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	for (i = 0; i < ARRAY_LEN(signals) && rc >= 0; i++)
		rc = sd_event_add_signal(m->event, NULL, signals[i].signal,
					 signals[i].handler, m);
	return rc < 0 ? rc : 0;
}

/* ---- Start ---- */

static int make_directory(const char *path, mode_t mode)
{
	if (!mkdir(path, mode) || errno == EEXIST)
		return 0;
	log_error("%s: %s", path, strerror(errno));
	return -errno;
}

/* What is in it is believed: only we may have written it. */
static int check_state(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	if (S_ISDIR(st.st_mode) && (!st.st_uid || st.st_uid == geteuid()) &&
	    !(st.st_mode & 022))
		return 0;
	log_error("%s: has to be a directory that nobody but its owner, root, "
		  "can write to", path);
	return -EPERM;
}

static int make_state(struct manager *m)
{
	static const char *const below[] = { "leases", "regions", "undo" };
	int rc = make_directory(m->options.state, 0755);
	char *path;
	size_t i;

	if (!rc)
		rc = check_state(m->options.state);

	for (i = 0; i < ARRAY_LEN(below) && !rc; i++) {
		path = must_format("%s/%s", m->options.state, below[i]);
		rc = make_directory(path, 0755);
		if (!rc)
			rc = check_state(path);
		free(path);
	}
	return rc;
}

static bool is_there(struct manager *m, const char *path)
{
	return !access(iommu_sys_path(m->sys, path), F_OK);
}

/*
 * systemd opens to us the devices whose modules were loaded when it started us.
 * Where some were not, a file says so, and udev has us restarted when a node
 * appears: 60-iommud.rules.
 */
static void tell_udev(struct manager *m)
{
	char *path = must_format("%s/incomplete", m->options.state);

	if (is_there(m, "/dev/iommu") && (is_there(m, "/sys/module/iommufd") ||
					  is_there(m, "/sys/module/granule_vfio")))
		unlink(path);
	else if (write_file(path, ""))
		log_warning("%s cannot be written; restart iommud when the "
			    "modules granule and granule-vfio are loaded",
			    path);
	free(path);
}

/* What systemd passed: listening sockets, and memory of named IOASes. */
static int adopt(struct manager *m)
{
	char **names = NULL;
	int i, rc = 0, nr = sd_listen_fds_with_names(1, &names);

	for (i = 0; i < nr; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0) {
			rc = rc ? rc : server_adopt(&m->server, fd);
		} else if (!spaces_adopt(m, names[i], fd)) {
			log_warning("descriptor %d (%s) is not one of ours",
				    fd, names[i]);
			close(fd);
		}
		free(names[i]);
	}
	free(names);
	if (nr < 0)
		return nr;
	if (!rc && !m->server.nr_listeners)
		rc = server_listen(&m->server, m->options.socket);
	if (rc)
		log_error("%s: no socket to listen on: %s", m->options.socket,
			  strerror(-rc));
	return rc;
}

static void closed(const struct conn *conn, void *userdata)
{
	struct service *service = userdata;

	leases_disconnect(service_manager(service), conn);
}

int manager_start(struct manager *m)
{
	int rc = sd_event_default(&m->event);

	if (rc < 0)
		return rc;
	m->sys = iommu_sys_new(m->options.root);
	m->service = service_new(m);
	if (!m->sys || !m->service)
		return -ENOMEM;
	rc = add_signals(m);
	if (!rc)
		rc = make_state(m);
	if (rc)
		return rc;
	tell_udev(m);
	m->server.handle = service_handle;
	m->server.closed = closed;
	m->server.userdata = m->service;
	rc = server_init(&m->server, m->event);
	if (rc)
		return rc;
	m->policy = policy_new();
	m->no_policy = true;
	rc = adopt(m);
	if (rc)
		return rc;
	rc = privilege_drop();
	if (rc) {
		log_error("capabilities cannot be dropped: %s", strerror(-rc));
		return rc;
	}
	regions_restore(m);
	leases_restore(m);
	undo_restore(m);
	hotplug_start(m);
	(void)watch_start(m);
	if (manager_reload(m)) {
		/* Nothing is bound or allowed that nobody wrote down. */
		manager_use(m, policy_new());
		log_error("going on without any policy");
	}
	shapes_restore(m);
	(void)sd_event_set_watchdog(m->event, 1);
	(void)sd_notify(0, "READY=1");
	return 0;
}

int manager_run(struct manager *m)
{
	return sd_event_loop(m->event);
}

void manager_done(struct manager *m)
{
	if (m->server.event)
		server_done(&m->server);
	leases_done(m);
	jobs_done(m);
	retries_done(m);
	spaces_done(m);
	watch_done(m);
	sd_device_monitor_unref(m->hotplug);
	policy_errors_done(&m->errors);
	m->policy = policy_free(m->policy);
	m->service = service_free(m->service);
	m->sys = iommu_sys_free(m->sys);
	m->event = sd_event_unref(m->event);
}
