// SPDX-License-Identifier: GPL-2.0-only
/*
 * How far a long map has come, on standard error.
 *
 * The kernel is in one call meanwhile, so a thread watches: pages come into
 * this process's memory as they are pinned. Signals are left to the thread that
 * maps; one that ends the program ends the call, and the kernel takes all back.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define STEP_MS 250
#define PATIENCE_MS 1000	/* shorter maps say nothing on a terminal */

static struct {
	pthread_t thread;
	pthread_mutex_t lock;	/* of what follows */
	pthread_cond_t stopped;
	bool runs, stop, shown;
	bool lines;		/* a line each time: asked for, no terminal */
	__u64 total, before, done;	/* bytes; before: in memory at start */
	struct timespec start;
} p = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.stopped = PTHREAD_COND_INITIALIZER,
};

static __u64 in_memory(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib, sum = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmRSS: %llu", &kib) == 1 ||
		    sscanf(line, "HugetlbPages: %llu", &kib) == 1)
			sum += kib << 10;
	}
	if (f)
		fclose(f);
	return sum;
}

static double elapsed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - p.start.tv_sec +
	       (now.tv_nsec - p.start.tv_nsec) / 1e9;
}

static void show(void)
{
	__u64 now = in_memory(), have = now > p.before ? now - p.before : 0;
	char *some, *all, left[40] = "";
	double seconds = elapsed();

	have = have < p.done ? p.done : have > p.total ? p.total : have;
	if (have > p.total / 100)
		snprintf(left, sizeof(left), ", about %.0f s left",
			 seconds * (p.total - have) / have);
	some = short_size(have & -4096ULL);
	all = short_size(p.total);
	fprintf(stderr, "%smapping: %s of %s pinned, %d%%%s%s",
		p.lines ? "" : "\r", some, all,
		(int)(100.0 * have / p.total), left,
		p.lines ? "\n" : "\033[K");
	fflush(stderr);
	free(some);
	free(all);
	p.shown = true;
}

static void *watch(void *arg)
{
	struct timespec until;

	(void)arg;
	pthread_mutex_lock(&p.lock);
	while (!p.stop) {
		if (p.lines || elapsed() * 1000 >= PATIENCE_MS)
			show();
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += STEP_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		while (!p.stop && !pthread_cond_timedwait(&p.stopped, &p.lock,
							  &until))
			;
	}
	pthread_mutex_unlock(&p.lock);
	return NULL;
}

void progress_start(__u64 total, bool wanted)
{
	bool terminal = isatty(STDERR_FILENO);
	sigset_t all, before;

	if (!total || (!wanted && !terminal))
		return;
	p.total = total;
	p.before = in_memory();
	p.lines = !terminal;
	clock_gettime(CLOCK_MONOTONIC, &p.start);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Without the thread it works as well, and says nothing. */
	p.runs = !pthread_create(&p.thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void progress_done(__u64 bytes)
{
	pthread_mutex_lock(&p.lock);
	p.done += bytes;
	pthread_mutex_unlock(&p.lock);
}

void progress_stop(void)
{
	char *size;

	if (!p.runs)
		return;
	pthread_mutex_lock(&p.lock);
	p.stop = true;
	pthread_cond_signal(&p.stopped);
	pthread_mutex_unlock(&p.lock);
	pthread_join(p.thread, NULL);
	p.runs = false;
	if (!p.lines && p.shown)
		fputs("\r\033[K", stderr);
	if (p.done == p.total && (p.lines || p.shown)) {
		size = short_size(p.total);
		fprintf(stderr, "mapped: %s pinned in %.1f s\n", size,
			elapsed());
		free(size);
	}
}
