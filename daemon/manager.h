/* SPDX-License-Identifier: GPL-2.0-only */
/* The whole state of the daemon. */
#ifndef IOMMUD_MANAGER_H
#define IOMMUD_MANAGER_H

#include <sys/types.h>
#include <systemd/sd-device.h>
#include <systemd/sd-event.h>

#include "libiommu.h"
#include "policy.h"
#include "server.h"
#include "service.h"

struct claim;
struct job;
struct lease;
struct retry;
struct space;
struct watch;
struct watcher;

struct options {
	const char *socket;	/* path; NULL: only what systemd passes */
	const char *config;	/* directory of policies */
	const char *state;	/* directory that is empty after a boot */
	const char *root;	/* in place of / for sysfs and /dev */
	const char *group;	/* of administrators */
};

struct manager {
	struct options options;
	sd_event *event;
	sd_device_monitor *hotplug;	/* NULL: there is no udev */
	struct iommu_sys *sys;
	struct service *service;
	struct server server;
	bool stopping;			/* no new jobs, and soon the end */
	gid_t admins;			/* (gid_t)-1: there is no such group */
	struct policy *policy;
	bool no_policy;			/* none has been read: errors at start */
	struct policy_errors errors;	/* of the latest load that failed */
	struct job *jobs;		/* list: children at work */
	struct retry *retries;		/* list: devices to be bound later */
	struct claim *claims;		/* list: groups that jobs work on */
	struct lease *leases;		/* list */
	struct space *spaces;		/* list: named IOASes */
	struct watch *watch;		/* NULL: not of the kernel module */
	struct watcher *watchers;	/* list: calls of Monitor */
};

/* Reads the policy, opens the sockets; -errno, after a log line. */
int manager_start(struct manager *m);
/* Until SIGTERM or SIGINT. */
int manager_run(struct manager *m);
void manager_done(struct manager *m);

/* Read the policy again. With m->errors the old one stays; -EBADMSG. */
int manager_reload(struct manager *m);

/* Use @policy from now on; taken over. */
void manager_apply(struct manager *m, struct policy *policy);
/* The same, while the files have errors, which are remembered. */
void manager_use(struct manager *m, struct policy *policy);

/* Print errors, one a line: "file:line: key: text". */
void print_errors(const struct policy_errors *errors);
struct json_object *errors_to_json(const struct policy_errors *errors);

#endif
