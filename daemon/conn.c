// SPDX-License-Identifier: GPL-2.0-only
/* Connections, and the calls that come on them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>

#include "conn.h"
#include "fds.h"
#include "log.h"
#include "server.h"
#include "util.h"

/*
 * Bytes that wait to be sent, of one connection: room for a list of some ten
 * thousand devices. Bytes in both directions of one user, and of all.
 */
#define OUT_MAX (8U << 20)
#define TENANT_MAX (16U << 20)
#define TOTAL_MAX (64U << 20)
/* Descriptors of one user that wait to be sent. */
#define TENANT_FDS 256
/* Replies of a stream that wait: the reader is slow, or has stopped. */
#define STREAM_MAX (256U << 10)

/* A reply on its way. Its descriptors go with its first byte. */
struct chunk {
	struct chunk *next;
	char *data;
	size_t len, sent;
	int *fds;
	size_t nr_fds;
};

/* A user, and what all of its connections hold. */
struct tenant {
	struct tenant *next;
	uid_t uid;
	unsigned int conns;
	size_t bytes, fds;
	struct conn *ready;	/* whose calls wait for a turn, oldest first */
	struct tenant *next_turn;
};

/*
 * What a connection is timed for: @limits.timeout seconds from the first byte
 * of a call to its last, and from one byte of a reply to the next.
 */
enum wait { WAIT_NOTHING, WAIT_CALL, WAIT_READER };

struct conn {
	struct server *server;
	struct conn *next, *prev;
	struct tenant *tenant;
	struct peer peer;
	int fd;
	sd_event_source *io, *timer, *again;
	enum wait wait;
	struct inbox in;
	char *text;		/* a call in it that waits for a turn */
	size_t text_len;
	struct conn *next_ready;
	struct chunk *out, **out_end;
	size_t out_bytes, out_fds;
	size_t charged;		/* of ours in tenant->bytes, server->bytes */
	size_t charged_fds;	/* the same, in tenant->fds */
	struct call *call;	/* being worked on */
	bool finished;		/* the client sends no more */
	bool broken;		/* to be closed */
};

/* ---- What a user holds ---- */

static struct tenant *tenant_get(struct server *s, uid_t uid)
{
	struct tenant *t;

	for (t = s->tenants; t; t = t->next) {
		if (t->uid == uid)
			return t;
	}
	t = must_alloc(sizeof(*t));
	t->uid = uid;
	t->next = s->tenants;
	s->tenants = t;
	return t;
}

static void tenant_put(struct server *s, struct tenant *t)
{
	struct tenant **at;

	if (t->conns)
		return;
	for (at = &s->tenants; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	free(t);
}

/* ---- Whose turn it is ---- */

/* The user's turn comes when those of all others have been. */
static void turn_add(struct server *s, struct tenant *t)
{
	struct tenant **at;

	for (at = &s->turns; *at; at = &(*at)->next_turn)
		;
	t->next_turn = NULL;
	*at = t;
	sd_event_source_set_enabled(s->turn, SD_EVENT_ON);
}

static void turn_remove(struct server *s, struct tenant *t)
{
	struct tenant **at;

	for (at = &s->turns; *at != t; at = &(*at)->next_turn)
		;
	*at = t->next_turn;
	if (!s->turns)
		sd_event_source_set_enabled(s->turn, SD_EVENT_OFF);
}

static void conn_line_up(struct conn *c)
{
	struct conn **at;

	if (!c->tenant->ready)
		turn_add(c->server, c->tenant);
	for (at = &c->tenant->ready; *at; at = &(*at)->next_ready)
		;
	c->next_ready = NULL;
	*at = c;
}

static void conn_leave_line(struct conn *c)
{
	struct conn **at;

	if (!c->text)
		return;
	for (at = &c->tenant->ready; *at != c; at = &(*at)->next_ready)
		;
	*at = c->next_ready;
	c->text = NULL;
	if (!c->tenant->ready)
		turn_remove(c->server, c->tenant);
}

/* Bring the accounts up to date. */
static bool conn_charge(struct conn *c)
{
	size_t now = c->in.room + c->out_bytes;

	c->tenant->bytes += now - c->charged;
	c->server->bytes += now - c->charged;
	c->charged = now;
	c->tenant->fds += c->out_fds - c->charged_fds;
	c->charged_fds = c->out_fds;
	return c->out_bytes <= OUT_MAX && c->tenant->bytes <= TENANT_MAX &&
	       c->tenant->fds <= TENANT_FDS &&
	       (c->server->bytes <= TOTAL_MAX || !c->peer.uid);
}

/* ---- One connection ---- */

static void chunk_free(struct chunk *chunk)
{
	fds_close(chunk->fds, &chunk->nr_fds);
	free(chunk->fds);
	free(chunk->data);
	free(chunk);
}

static void call_free(struct call *call)
{
	message_done(&call->msg);
	free(call);
}

static void conn_free(struct conn *c)
{
	struct server *s = c->server;
	struct call *call = c->call;
	struct chunk *chunk;

	if (call) {
		/* Who works on it will end it, or hears that it is over. */
		call->conn = NULL;
		c->call = NULL;
		if (call->gone)
			call->gone(call);
	}
	s->closed(c, s->userdata);
	conn_leave_line(c);
	while ((chunk = c->out)) {
		c->out = chunk->next;
		chunk_free(chunk);
	}
	inbox_done(&c->in);
	c->out_bytes = c->out_fds = 0;
	conn_charge(c);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timer);
	sd_event_source_disable_unref(c->again);
	if (c->fd >= 0)
		close(c->fd);
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	s->nr_conns--;
	c->tenant->conns--;
	tenant_put(s, c->tenant);
	peer_done(&c->peer);
	free(c);
}

/* Look at it again soon, from the event loop. */
static void conn_kick(struct conn *c)
{
	sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

/* Close it for something the client did. */
static void conn_refuse(struct conn *c, const char *what)
{
	log_client("process %d of user %u disconnected: %s",
		   (int)c->peer.pid, (unsigned int)c->peer.uid, what);
	c->broken = true;
}

/* Something went on: what is waited for next has its own time. */
static void conn_progress(struct conn *c)
{
	c->wait = WAIT_NOTHING;
	if (c->timer)
		sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

/* Send what the socket takes. */
static void conn_write(struct conn *c)
{
	union fds_control control;
	struct chunk *chunk;
	ssize_t n;

	while ((chunk = c->out) && !c->broken) {
		struct iovec iov = { chunk->data + chunk->sent,
				     chunk->len - chunk->sent };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

		fds_attach(&msg, &control, chunk->fds, chunk->nr_fds);
		n = fds_send(c->fd, &msg, MSG_DONTWAIT);
		if (n < 0) {
			/* Nothing will tell when that ends. */
			if (errno == ETOOMANYREFS)
				conn_refuse(c, "too many descriptors are not received");
			else if (errno != EAGAIN && errno != EINTR)
				c->broken = true;
			if (errno != EINTR)
				return;
			continue;
		}
		conn_progress(c);
		c->out_fds -= chunk->nr_fds;
		fds_close(chunk->fds, &chunk->nr_fds);
		chunk->sent += n;
		if (chunk->sent < chunk->len)
			continue;
		c->out = chunk->next;
		if (!c->out)
			c->out_end = &c->out;
		c->out_bytes -= chunk->len;
		chunk_free(chunk);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);
static int on_again(sd_event_source *source, void *userdata);

static void conn_time(struct conn *c)
{
	enum wait wait = c->out ? WAIT_READER :
			 !c->call && !c->text && inbox_partial(&c->in) ?
			 WAIT_CALL :
			 WAIT_NOTHING;
	uint64_t usec = c->server->limits.timeout * 1000000ULL;

	if (wait == c->wait)
		return;
	c->wait = wait;
	if (wait == WAIT_NOTHING) {
		conn_progress(c);
	} else if (!c->timer) {
		if (sd_event_add_time_relative(c->server->event, &c->timer,
					       CLOCK_MONOTONIC, usec, 0,
					       on_timer, c) < 0)
			c->broken = true;
	} else {
		sd_event_source_set_time_relative(c->timer, usec);
		sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
	}
}

static void conn_dispatch(struct conn *c, char *text, size_t len)
{
	struct call *call = must_alloc(sizeof(*call));

	if (message_parse(text, len, &call->msg)) {
		free(call);
		conn_refuse(c, "what it sent is not a Varlink call");
		return;
	}
	call->server = c->server;
	call->conn = c;
	c->call = call;
	c->server->handle(call, c->server->userdata);
}

static bool is_idle(const struct conn *c)
{
	return !c->call && !c->out && !c->text;
}

/*
 * After anything has happened: send, have the next call wait for its turn, and
 * wait for what can come next.
 */
static void conn_go_on(struct conn *c)
{
	bool idle;

	conn_write(c);
	if (!c->broken && is_idle(c)) {
		c->text = inbox_take(&c->in, &c->text_len);
		if (c->text) {
			conn_progress(c);
			conn_line_up(c);
		}
	}
	if (!c->broken && !conn_charge(c))
		conn_refuse(c, "it makes the daemon hold too much");
	idle = is_idle(c);
	if (c->finished && idle)
		c->broken = true;
	if (c->broken) {
		conn_free(c);
		return;
	}
	conn_time(c);
	sd_event_source_set_io_events(c->io,
				      (idle && !c->finished ? EPOLLIN : 0) |
				      (c->out ? EPOLLOUT : 0));
}

/* One call, so that everything else that has happened gets its turn as well. */
static int on_turn(sd_event_source *source, int fd, uint32_t events,
		   void *userdata)
{
	struct server *s = userdata;
	struct tenant *t = s->turns;
	struct conn *c;
	char *text;

	(void)source;
	(void)fd;
	(void)events;
	c = t->ready;
	text = c->text;
	turn_remove(s, t);
	t->ready = c->next_ready;
	c->text = NULL;
	if (t->ready)
		turn_add(s, t);
	conn_dispatch(c, text, c->text_len);
	conn_go_on(c);
	return 0;
}

static int on_again(sd_event_source *source, void *userdata)
{
	(void)source;
	conn_go_on(userdata);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct conn *c = userdata;

	(void)source;
	(void)usec;
	conn_refuse(c, c->wait == WAIT_CALL ?
			       "the rest of its call did not come" :
			       "it does not read its replies");
	conn_free(c);
	return 0;
}

static void conn_read(struct conn *c)
{
	struct iovec iov;
	/* Without room for them the kernel drops descriptors, and says so. */
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	iov.iov_base = inbox_space(&c->in, &iov.iov_len);
	if (!iov.iov_base) {
		conn_refuse(c, "its call is too long");
		return;
	}
	n = recvmsg(c->fd, &msg, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			c->broken = true;
	} else if (msg.msg_flags & MSG_CTRUNC) {
		conn_refuse(c, "it sent descriptors, which no method takes");
	} else if (!n) {
		if (inbox_partial(&c->in))
			c->broken = true;
		c->finished = true;
	} else {
		inbox_received(&c->in, n);
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t events,
		 void *userdata)
{
	struct conn *c = userdata;

	(void)source;
	(void)fd;
	/* Nobody is left to read a reply. */
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		c->broken = true;
	if (events & EPOLLIN && !c->broken)
		conn_read(c);
	conn_go_on(c);
	return 0;
}

void conn_new(struct server *s, int fd)
{
	struct conn *c;
	struct peer peer;

	if (peer_get(fd, &peer)) {
		close(fd);
		return;
	}
	c = must_alloc(sizeof(*c));
	c->server = s;
	c->fd = fd;
	c->peer = peer;
	c->out_end = &c->out;
	c->tenant = tenant_get(s, peer.uid);
	c->tenant->conns++;
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->nr_conns++;
	/* Root gets in when users, who may have many IDs, have taken it all. */
	if ((s->nr_conns > s->limits.connections && peer.uid) ||
	    c->tenant->conns > s->limits.per_user) {
		conn_refuse(c, "too many connections");
		conn_free(c);
		return;
	}
	if (sd_event_add_io(s->event, &c->io, fd, EPOLLIN, on_io, c) < 0 ||
	    sd_event_add_defer(s->event, &c->again, on_again, c) < 0)
		conn_free(c);
}

/* ---- Calls ---- */

const struct peer *call_peer(const struct call *call)
{
	return &call->conn->peer;
}

static void conn_queue(struct conn *c, char *data, size_t len,
		       const int *fds, size_t nr_fds)
{
	struct chunk *chunk = must_alloc(sizeof(*chunk));

	chunk->data = data;
	chunk->len = len;
	if (nr_fds) {
		chunk->fds = must_alloc(nr_fds * sizeof(int));
		memcpy(chunk->fds, fds, nr_fds * sizeof(int));
		chunk->nr_fds = nr_fds;
	}
	*c->out_end = chunk;
	c->out_end = &chunk->next;
	c->out_bytes += len;
	c->out_fds += nr_fds;
}

static void conn_reply(struct conn *c, const char *error,
		       struct json_object *parameters, bool continues,
		       const int *fds, size_t nr_fds)
{
	size_t len;
	char *data = message_reply(error, parameters, continues, &len);

	conn_queue(c, data, len + 1, fds, nr_fds);
	if (continues && c->out_bytes > STREAM_MAX)
		conn_refuse(c, "it does not read its replies");
}

void call_end(struct call *call, const char *error,
	      struct json_object *parameters, const int *fds, size_t nr_fds)
{
	struct conn *c = call->conn;

	if (c) {
		c->call = NULL;
		if (call->msg.oneway) {
			fds_close(fds, &nr_fds);
		} else {
			conn_reply(c, error, parameters, false, fds, nr_fds);
		}
		/* Who replies may be in the middle of something: send later. */
		conn_kick(c);
	} else {
		fds_close(fds, &nr_fds);
	}
	json_object_put(parameters);
	call_free(call);
}

void call_continue(struct call *call, struct json_object *parameters)
{
	if (call->conn && !call->msg.oneway) {
		conn_reply(call->conn, NULL, parameters, true, NULL, 0);
		conn_kick(call->conn);
	}
	json_object_put(parameters);
}

/* ---- All of them ---- */

int conns_init(struct server *s)
{
	int fd, rc;

	/*
	 * A file that can always be read: sd-event lets it wait in line with
	 * all other files, while a deferred source would go before them.
	 */
	fd = eventfd(1, EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = sd_event_add_io(s->event, &s->turn, fd, EPOLLIN, on_turn, s);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	sd_event_source_set_io_fd_own(s->turn, 1);
	rc = sd_event_source_set_enabled(s->turn, SD_EVENT_OFF);
	return rc < 0 ? rc : 0;
}

void conns_done(struct server *s)
{
	while (s->conns) {
		conn_write(s->conns);
		conn_free(s->conns);
	}
	s->turn = sd_event_source_disable_unref(s->turn);
}
