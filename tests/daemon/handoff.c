// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients of iommud by the dozen, as users write them: libiommu, no Python.
 *
 *	handoff SOCKET UID cycles COUNT DEVICE
 *		acquire the device, map memory, be killed; over and over
 *	handoff SOCKET UID crowd CLIENTS ROUNDS DEVICE...
 *		all at once, each wants any of the devices again and again
 *
 * Prints one line of JSON with milliseconds; exits with 1 on any failure.
 * tests/daemon/handoff.py starts it, in the VM.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "libiommu.h"

#define SIZE 65536
#define IOVA 0x1000000ULL
#define PATIENCE 60000.0	/* ms until a device has to be free again */

static const char *socket_path;
static uid_t uid;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void nap(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "handoff: %s: %s\n", what, why);
	exit(1);
}

static struct iommu_client *connect_daemon(void)
{
	struct iommu_client *client;
	struct iommu_why why;

	if (iommu_client_open(socket_path, &client, &why))
		die("connect", why.text);
	return client;
}

static void become_user(void)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		die("setresuid", strerror(errno));
}

static void acquire(struct iommu_client *client, const char *device,
		    unsigned int wait, struct iommu_acquired *ret)
{
	struct iommu_acquire want = {
		.devices = &device, .nr = 1, .attach = true, .wait = wait,
	};
	enum iommu_error_kind kind;
	struct iommu_why why;

	if (iommu_acquire(client, &want, ret, &kind, &why))
		die(device, why.text);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(double *ms, size_t nr, double total)
{
	qsort(ms, nr, sizeof(*ms), by_value);
	printf("{\"count\": %zu, \"quarter\": %.2f, \"median\": %.2f, "
	       "\"p99\": %.2f, \"max\": %.2f, \"total\": %.0f}\n", nr,
	       ms[nr / 4], ms[nr / 2], ms[(nr * 99 + 99) / 100 - 1], ms[nr - 1],
	       total);
}

/* ---- cycles ---- */

/* The victim: it has the device, memory is mapped and pinned, it waits. */
static void hold(const char *device, int out)
{
	struct iommu_acquired got;
	__u64 iova = IOVA;
	void *va;
	int rc;

	become_user();
	acquire(connect_daemon(), device, 60000, &got);
	va = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (va == MAP_FAILED)
		die("mmap", strerror(errno));
	rc = iommu_ioas_map(got.iommufd, got.devices[0].ioas_id,
			    IOMMU_IOAS_MAP_FIXED_IOVA |
				    IOMMU_IOAS_MAP_READABLE |
				    IOMMU_IOAS_MAP_WRITEABLE, va, SIZE, &iova);
	if (rc)
		die("map", strerror(-rc));
	if (write(out, "x", 1) != 1)
		exit(1);
	for (;;)
		pause();
}

static size_t leases(struct iommu_client *client)
{
	struct json_object *array;
	struct iommu_reply reply;
	size_t nr;

	if (iommu_client_call(client, "ListLeases", NULL, &reply))
		die("ListLeases", reply.why.text);
	json_object_object_get_ex(reply.parameters, "leases", &array);
	nr = json_object_array_length(array);
	iommu_reply_done(&reply);
	return nr;
}

static void cycle(struct iommu_client *client, const char *device, double *ms)
{
	double start;
	int pipes[2];
	pid_t pid;
	char c;

	if (pipe(pipes))
		die("pipe", strerror(errno));
	pid = fork();
	if (!pid) {
		close(pipes[0]);
		hold(device, pipes[1]);
	}
	close(pipes[1]);
	if (pid < 0 || read(pipes[0], &c, 1) != 1)
		die("a client", "it has not got the device");
	close(pipes[0]);
	start = now();
	kill(pid, SIGKILL);
	while (leases(client)) {
		if (now() - start > PATIENCE)
			die("SIGKILL", "the device is not free");
		nap();
	}
	*ms = now() - start;
	waitpid(pid, NULL, 0);
}

static int cycles(int argc, char **argv)
{
	struct iommu_client *client = connect_daemon();
	size_t nr = strtoul(argv[0], NULL, 10), i;
	double *ms = calloc(nr, sizeof(*ms)), start = now();

	if (argc != 2 || !nr || !ms)
		return 2;
	for (i = 0; i < nr; i++)
		cycle(client, argv[1], &ms[i]);
	report(ms, nr, now() - start);
	free(ms);
	iommu_client_close(client);
	return 0;
}

/* ---- crowd ---- */

static void take_turns(int go, int out, unsigned int seed, size_t rounds,
		       char **devices, size_t nr)
{
	struct iommu_acquired got;
	struct iommu_client *client;
	double ms;
	char c;

	become_user();
	/* Nobody writes: it is closed when all are there. */
	if (read(go, &c, 1))
		exit(1);
	while (rounds--) {
		const char *device = devices[rand_r(&seed) % nr];

		ms = now();
		client = connect_daemon();
		acquire(client, device, 60000, &got);
		ms = now() - ms;
		iommu_acquired_done(&got);
		iommu_client_close(client);
		if (write(out, &ms, sizeof(ms)) != sizeof(ms))
			exit(1);
	}
	exit(0);
}

static int crowd(int argc, char **argv)
{
	size_t clients = strtoul(argv[0], NULL, 10), i;
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	size_t nr = clients * rounds;
	double *ms = calloc(nr, sizeof(*ms)), start;
	int go[2], out[2], status, rc = 0;

	if (argc < 3 || !nr || !ms || pipe(go) || pipe(out))
		return 2;
	for (i = 0; i < clients; i++) {
		switch (fork()) {
		case -1:
			die("fork", strerror(errno));
			break;
		case 0:
			close(go[1]);
			close(out[0]);
			take_turns(go[0], out[1], i, rounds, argv + 2,
				   argc - 2);
		}
	}
	close(out[1]);
	start = now();
	close(go[1]);
	for (i = 0; i < nr; i++) {
		if (read(out[0], &ms[i], sizeof(*ms)) != sizeof(*ms))
			break;
	}
	start = now() - start;
	while (wait(&status) > 0)
		rc |= status;
	if (rc || i != nr)
		return 1;
	report(ms, nr, start);
	free(ms);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	socket_path = argv[1];
	uid = strtoul(argv[2], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(argv[3], "cycles"))
		return cycles(argc - 4, argv + 4);
	if (!strcmp(argv[3], "crowd"))
		return crowd(argc - 4, argv + 4);
	return 2;
}
