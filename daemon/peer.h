/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is at the other end of a connection. */
#ifndef IOMMUD_PEER_H
#define IOMMUD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As the kernel noted them at connect(). */
struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups;		/* supplementary */
	size_t nr_groups;
	unsigned long long started;	/* of @pid, when it was accepted */
};

/*
 * Start time of a process in clock ticks, and its name. 0 and errno: ENOENT when
 * there is none.
 */
unsigned long long process_started(pid_t pid, char *command, size_t len);

int peer_get(int fd, struct peer *ret);
void peer_done(struct peer *peer);

bool peer_in_group(const struct peer *peer, gid_t gid);

/*
 * May this peer change things? Root may, the user that the daemon runs as, and
 * members of @admins; (gid_t)-1 stands for no group.
 */
bool peer_is_admin(const struct peer *peer, gid_t admins);

/* Numbers of a user or group by name or number; false when there is none. */
bool user_by_name(const char *name, uid_t *ret);
bool group_by_name(const char *name, gid_t *ret);

#endif
