// SPDX-License-Identifier: GPL-2.0-only
/* Child processes for work that may take long. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job.h"
#include "log.h"
#include "manager.h"

#define MAX_JOBS 64
/* Of the JSON that comes back. A datagram socket takes more than this. */
#define MAX_RESULT (128U << 10)

struct job {
	struct job *next;
	struct manager *manager;
	sd_event_source *child;
	int fd;
	void (*done)(struct manager *m, void *arg, struct job_result *result);
	void *arg;
};

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Close everything from 3 on that is not in @keep. */
static void close_others(int *keep, size_t nr)
{
	unsigned int from = 3;
	size_t i;

	qsort(keep, nr, sizeof(*keep), by_number);
	for (i = 0; i < nr; i++) {
		if ((unsigned int)keep[i] > from)
			close_range(from, keep[i] - 1, 0);
		if ((unsigned int)keep[i] >= from)
			from = keep[i] + 1;
	}
	close_range(from, ~0U, 0);
}

static void send_result(int fd, const struct job_result *r)
{
	struct json_object *obj = js_object();
	union fds_control control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	js_put(obj, "rc", json_object_new_int(r->rc));
	js_string(obj, "why", r->why.text);
	js_put(obj, "value", r->value);
	iov.iov_base = (char *)json_object_to_json_string(obj);
	iov.iov_len = strlen(iov.iov_base) + 1;
	fds_attach(&msg, &control, r->fds, r->nr_fds);
	if (fds_send(fd, &msg, 0) < 0)
		_exit(1);
}

static void __attribute__((noreturn))
child(pid_t parent, int fd, const int *keep, size_t nr_keep,
      void (*run)(void *arg, struct job_result *result), void *arg)
{
	struct job_result result = { 0 };
	int all[JOB_FDS + 1];
	sigset_t none;

	/*
	 * What a daemon that died has begun its successor undoes, and nobody
	 * else goes on with it.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	/* Signals that the daemon reads as events are signals again. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (nr_keep)
		memcpy(all, keep, nr_keep * sizeof(int));
	all[nr_keep] = fd;
	close_others(all, nr_keep + 1);
	run(arg, &result);
	send_result(fd, &result);
	_exit(0);
}

static void receive_result(int fd, struct job_result *r)
{
	static char text[MAX_RESULT];
	union fds_control control;
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct json_object *obj;

	if (n > 0)
		r->nr_fds = fds_received(&msg, r->fds);
	obj = n > 0 && !text[n - 1] ? json_tokener_parse(text) : NULL;
	/* Fewer descriptors than were sent: as good as none. */
	if (!obj || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fds_close(r->fds, &r->nr_fds);
		r->died = true;
		r->rc = why(&r->why, -EIO, "the process that did the work died, "
			    "or the daemon is out of file descriptors");
	} else {
		r->rc = json_object_get_int(js_get(obj, "rc"));
		why(&r->why, 0, "%s", js_get_string(obj, "why"));
		r->value = json_object_get(js_get(obj, "value"));
	}
	json_object_put(obj);
}

static void job_free(struct job *job)
{
	struct job **at;

	for (at = &job->manager->jobs; *at != job; at = &(*at)->next)
		;
	*at = job->next;
	sd_event_source_disable_unref(job->child);
	close(job->fd);
	free(job);
}

static int on_child(sd_event_source *source, const siginfo_t *info,
		    void *userdata)
{
	struct job *job = userdata;
	struct job_result result = { 0 };
	struct manager *m = job->manager;
	void (*done)(struct manager *m, void *arg,
		     struct job_result *result) = job->done;
	void *arg = job->arg;

	(void)source;
	(void)info;
	receive_result(job->fd, &result);
	job_free(job);
	done(m, arg, &result);
	json_object_put(result.value);
	return 0;
}

int job_start(struct manager *m,
	      void (*run)(void *arg, struct job_result *result), void *arg,
	      void (*done)(struct manager *m, void *arg,
			   struct job_result *result),
	      const int *keep, size_t nr_keep)
{
	struct job *job;
	int pair[2], rc;
	pid_t parent, pid;

	if (m->stopping)
		return -ESHUTDOWN;
	if (jobs_count(m) >= MAX_JOBS || nr_keep > JOB_FDS)
		return -EAGAIN;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	parent = getpid();
	pid = fork();
	if (!pid)
		child(parent, pair[1], keep, nr_keep, run, arg);
	rc = -errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return rc;
	}
	job = must_alloc(sizeof(*job));
	job->manager = m;
	job->fd = pair[0];
	job->done = done;
	job->arg = arg;
	rc = sd_event_add_child(m->event, &job->child, pid, WEXITED, on_child,
				job);
	if (rc < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(pair[0]);
		free(job);
		return rc;
	}
	job->next = m->jobs;
	m->jobs = job;
	return 0;
}

unsigned int jobs_count(const struct manager *m)
{
	const struct job *job;
	unsigned int nr = 0;

	for (job = m->jobs; job; job = job->next)
		nr++;
	return nr;
}

void jobs_done(struct manager *m)
{
	while (m->jobs)
		job_free(m->jobs);
}
