/* SPDX-License-Identifier: GPL-2.0-only */
/* What server.c does with connections. */
#ifndef IOMMUD_CONN_H
#define IOMMUD_CONN_H

struct server;

/* Once, before all others; -errno. */
int conns_init(struct server *s);

/* A client has come. @fd is owned from now on. */
void conn_new(struct server *s, int fd);

/* Close all of them, after one try to send what waits to be sent. */
void conns_done(struct server *s);

#endif
