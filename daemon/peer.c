// SPDX-License-Identifier: GPL-2.0-only
/* Credentials of a peer, and what they are worth. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "util.h"

/* More than setgroups() takes: a number that cannot be. */
#define MAX_GROUPS 65536

unsigned long long process_started(pid_t pid, char *command, size_t len)
{
	unsigned long long started = 0;
	char path[64], *text, *open, *close;
	size_t size;
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	rc = read_file(path, 4096, &text, &size);
	if (rc) {
		errno = rc == -ESRCH ? ENOENT : -rc;
		return 0;
	}
	/*
	 * "PID (COMMAND) STATE ...", with the start time as field 22. Anything
	 * may be in a command, which its process chooses: also ")" and newlines.
	 */
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (open && close) {
		if (command) {
			snprintf(command, len, "%.*s", (int)(close - open - 1),
				 open + 1);
			make_printable(command);
		}
		sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
		       "%*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &started);
	}
	free(text);
	if (!started)
		errno = ENOENT;
	return started;
}

int peer_get(int fd, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct peer peer = { 0 };

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	peer.pid = cred.pid;
	peer.uid = cred.uid;
	peer.gid = cred.gid;
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) &&
	    errno != ERANGE)
		return -errno;
	if (len > MAX_GROUPS * sizeof(gid_t))
		return -E2BIG;
	if (len) {
		peer.groups = must_alloc(len);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups,
			       &len)) {
			free(peer.groups);
			return -errno;
		}
		peer.nr_groups = len / sizeof(gid_t);
	}
	/* A PID comes again, and a connection may outlive who made it. */
	peer.started = process_started(peer.pid, NULL, 0);
	if (!peer.started && errno != ENOENT) {
		free(peer.groups);
		return -errno;
	}
	*ret = peer;
	return 0;
}

void peer_done(struct peer *peer)
{
	free(peer->groups);
	*peer = (struct peer){ 0 };
}

bool peer_in_group(const struct peer *peer, gid_t gid)
{
	size_t i;

	if (peer->gid == gid)
		return true;
	for (i = 0; i < peer->nr_groups; i++) {
		if (peer->groups[i] == gid)
			return true;
	}
	return false;
}

bool peer_is_admin(const struct peer *peer, gid_t admins)
{
	return !peer->uid || peer->uid == geteuid() ||
	       (admins != (gid_t)-1 && peer_in_group(peer, admins));
}

static bool is_number(const char *name, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(name, &end, 10);
	return isdigit((unsigned char)name[0]) && !*end && !errno &&
	       *ret < (uid_t)-1;
}

bool user_by_name(const char *name, uid_t *ret)
{
	struct passwd *pw = getpwnam(name);
	unsigned long number;

	if (!pw && !is_number(name, &number))
		return false;
	*ret = pw ? pw->pw_uid : number;
	return true;
}

bool group_by_name(const char *name, gid_t *ret)
{
	struct group *gr = getgrnam(name);
	unsigned long number;

	if (!gr && !is_number(name, &number))
		return false;
	*ret = gr ? gr->gr_gid : number;
	return true;
}
