/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Listening sockets and connections. Nothing here blocks, and what a client
 * can make the daemon hold is bounded: connections, bytes and time.
 *
 * A connection works on one call at a time, and takes the next one when the
 * reply has left; so a client that does not read stops itself. Users take turns:
 * a call of each, however many connections they have.
 */
#ifndef IOMMUD_SERVER_H
#define IOMMUD_SERVER_H

#include <systemd/sd-event.h>

#include "message.h"
#include "peer.h"

struct conn;
struct server;
struct tenant;

/* A call whose reply is owed; of the connection until call_*() ends it. */
struct call {
	struct server *server;
	struct conn *conn;		/* NULL: the client has gone */
	struct message msg;
	const struct idl *idl;		/* of the interface */
	const struct idl_member *spec;	/* of the method */
	void *userdata;			/* of who answers */
	/* Told when the client goes before the last reply; may be NULL. */
	void (*gone)(struct call *call);
};

struct server_limits {
	unsigned int connections;	/* in all */
	unsigned int per_user;
	unsigned int timeout;		/* seconds, see conn.c */
};

struct server {
	sd_event *event;
	struct server_limits limits;
	/* A new call; @userdata of server_init(). */
	void (*handle)(struct call *call, void *userdata);
	/* A connection is closed: whoever knows it by address forgets it. */
	void (*closed)(const struct conn *conn, void *userdata);
	void *userdata;

	sd_event_source *listeners[4];
	size_t nr_listeners;
	struct conn *conns;		/* list */
	struct tenant *tenants;		/* list, one per user with connections */
	struct tenant *turns;		/* users whose calls wait, next one first */
	sd_event_source *turn;		/* enabled while there are any */
	unsigned int nr_conns;
	size_t bytes;			/* that all connections hold */
	int spare;			/* a descriptor for when there is none */
};

/* Fill in handle, closed and userdata, and call it before all others. */
int server_init(struct server *s, sd_event *event);

/* A socket of our own at @path, for everybody; what is there is replaced. */
int server_listen(struct server *s, const char *path);

/* A listening socket from elsewhere; owned from now on, also on failure. */
int server_adopt(struct server *s, int fd);

/* Closes all connections, after one try to send what waits to be sent. */
void server_done(struct server *s);

/* Who called; only while call->conn. */
const struct peer *call_peer(const struct call *call);

/*
 * The last reply: the call is gone afterwards. @parameters are taken over,
 * NULL are none. The descriptors @fds are closed when they have been sent, or
 * cannot be.
 */
void call_end(struct call *call, const char *error,
	      struct json_object *parameters, const int *fds, size_t nr_fds);

/* One of several replies, before the last. */
void call_continue(struct call *call, struct json_object *parameters);

#endif
