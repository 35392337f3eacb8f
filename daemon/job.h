/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work that may take long, in a child process each: binding drivers, opening
 * devices (which resets them), waiting for the kernel. What a child opens dies
 * with it unless it hands it back, so a failure leaves nothing behind.
 */
#ifndef IOMMUD_JOB_H
#define IOMMUD_JOB_H

#include <stddef.h>
#include <json-c/json.h>

#include "fds.h"
#include "util.h"

struct manager;

#define JOB_FDS FDS_MAX

/* What comes back from a child. */
struct job_result {
	int rc;				/* -errno, with @why */
	bool died;			/* before it could answer; rc is -EIO */
	struct why why;
	struct json_object *value;	/* may be NULL */
	int fds[JOB_FDS];
	size_t nr_fds;
};

/**
 * job_start - run a function in a child
 * @run: in the child; what it puts into fds[] is handed over
 * @done: in the daemon, when the child has ended. It owns fds[], and frees
 *	@arg if that is to be freed
 * @keep: descriptors that the child needs; all others are closed there
 *
 * Return: 0; -EAGAIN when there are too many, -ESHUTDOWN when the daemon is
 * about to end, -errno of fork(): then @done is not called.
 */
int job_start(struct manager *m,
	      void (*run)(void *arg, struct job_result *result), void *arg,
	      void (*done)(struct manager *m, void *arg,
			   struct job_result *result),
	      const int *keep, size_t nr_keep);

/* How many children are at work. */
unsigned int jobs_count(const struct manager *m);

/* Forget all; children that are stuck are left to themselves. */
void jobs_done(struct manager *m);

#endif
