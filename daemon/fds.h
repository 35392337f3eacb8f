/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptors that go over a socket. */
#ifndef IOMMUD_FDS_H
#define IOMMUD_FDS_H

#include <stddef.h>
#include <sys/socket.h>

/* With one message. */
#define FDS_MAX 64

union fds_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

/* Have @msg carry them, by way of @control. */
void fds_attach(struct msghdr *msg, union fds_control *control,
		const int *fds, size_t nr);
/*
 * The kernel counts descriptors on their way as the sender's: one user that
 * does not receive its own would keep all others from theirs. How many a user
 * can leave there is bounded by its connections.
 */
ssize_t fds_send(int fd, const struct msghdr *msg, int flags);
/* Those that came with @msg, whose room was of FDS_MAX; how many. */
size_t fds_received(struct msghdr *msg, int *fds);

void fds_close(const int *fds, size_t *nr);

#endif
