// SPDX-License-Identifier: GPL-2.0-only
/* Listening sockets. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn.h"
#include "log.h"
#include "server.h"
#include "util.h"

/* No descriptor is left for a client: take it with the spare one, hang up. */
static void shed(struct server *s, int listener)
{
	int fd;

	close(s->spare);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_client("a client disconnected: out of file descriptors");
}

static int on_accept(sd_event_source *source, int listener, uint32_t events,
		     void *userdata)
{
	struct server *s = userdata;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)events;
	if (fd >= 0)
		conn_new(s, fd);
	else if (errno == EMFILE || errno == ENFILE)
		shed(s, listener);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		log_client("accept: %s", strerror(errno));
	return 0;
}

int server_init(struct server *s, sd_event *event)
{
	s->event = event;
	s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->spare < 0)
		return -errno;
	return conns_init(s);
}

int server_adopt(struct server *s, int fd)
{
	int rc;

	if (s->nr_listeners == ARRAY_LEN(s->listeners)) {
		close(fd);
		return -E2BIG;
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	rc = sd_event_add_io(s->event, &s->listeners[s->nr_listeners], fd,
			     EPOLLIN, on_accept, s);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	sd_event_source_set_io_fd_own(s->listeners[s->nr_listeners++], 1);
	return 0;
}

/* Remove the socket of a daemon that was killed, not of one that listens. */
static int remove_stale(int fd, const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return 0;
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
	    errno == EAGAIN)
		return -EADDRINUSE;
	return unlink(addr->sun_path) ? -errno : 0;
}

int server_listen(struct server *s, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = remove_stale(fd, &addr);
	if (!rc && (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
		    chmod(path, 0666) || listen(fd, SOMAXCONN)))
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return server_adopt(s, fd);
}

void server_done(struct server *s)
{
	size_t i;

	for (i = 0; i < s->nr_listeners; i++)
		sd_event_source_disable_unref(s->listeners[i]);
	s->nr_listeners = 0;
	conns_done(s);
	if (s->spare >= 0)
		close(s->spare);
	s->spare = -1;
}
