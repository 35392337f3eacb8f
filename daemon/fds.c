// SPDX-License-Identifier: GPL-2.0-only
/* SCM_RIGHTS, both ways. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fds.h"
#include "privilege.h"

void fds_attach(struct msghdr *msg, union fds_control *control,
		const int *fds, size_t nr)
{
	size_t bytes = nr * sizeof(int);

	if (!nr)
		return;
	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(bytes);
	control->header.cmsg_level = SOL_SOCKET;
	control->header.cmsg_type = SCM_RIGHTS;
	control->header.cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(&control->header), fds, bytes);
}

ssize_t fds_send(int fd, const struct msghdr *msg, int flags)
{
	ssize_t n = sendmsg(fd, msg, MSG_NOSIGNAL | flags);
	int err;

	if (n >= 0 || errno != ETOOMANYREFS)
		return n;
	if (privilege_raise(CAP_SYS_RESOURCE)) {
		errno = ETOOMANYREFS;
		return n;
	}
	n = sendmsg(fd, msg, MSG_NOSIGNAL | flags);
	err = errno;
	privilege_lower();
	errno = err;
	return n;
}

size_t fds_received(struct msghdr *msg, int *fds)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t bytes;

	if (!c || c->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = c->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(c), bytes);
	return bytes / sizeof(int);
}

void fds_close(const int *fds, size_t *nr)
{
	while (*nr)
		close(fds[--*nr]);
}
