/* SPDX-License-Identifier: GPL-2.0-only */
/* The netlink family as tests see it: dumps as tables, events as a queue. */
#ifndef KSELFTEST_NL_H
#define KSELFTEST_NL_H

#include <poll.h>
#include <netlink/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include <granule/netlink.h>

#include "utils.h"

#define NODE "/dev/iommu"

/* The attributes of one message. */
struct row {
	uint8_t cmd;
	uint64_t v[GRANULE_ATTR_MAX + 1];
	bool has[GRANULE_ATTR_MAX + 1];
	char text[GRANULE_ATTR_MAX + 1][32];
};

#define V(row, name) ((row)->v[GRANULE_ATTR_##name])
#define HAS(row, name) ((row)->has[GRANULE_ATTR_##name])
#define TEXT(row, name) ((row)->text[GRANULE_ATTR_##name])

struct rows {
	struct row *v;
	size_t n, room;
};

static inline void rows_free(struct rows *rows)
{
	free(rows->v);
	memset(rows, 0, sizeof(*rows));
}

/* By the type's length: what is neither u32 nor u64 is a string here. */
static inline void row_read(struct row *row, struct nlmsghdr *h)
{
	struct nlattr *attr[GRANULE_ATTR_MAX + 1];
	int i;

	memset(row, 0, sizeof(*row));
	row->cmd = genlmsg_hdr(h)->cmd;
	if (genlmsg_parse(h, 0, attr, GRANULE_ATTR_MAX, NULL))
		return;
	for (i = 1; i <= GRANULE_ATTR_MAX; i++) {
		if (!attr[i])
			continue;
		row->has[i] = true;
		if (i == GRANULE_ATTR_TASK || i == GRANULE_ATTR_USER_TASK ||
		    i == GRANULE_ATTR_DEVICE)
			nla_strlcpy(row->text[i], attr[i],
				    sizeof(row->text[i]));
		else if (nla_len(attr[i]) == 8)
			row->v[i] = nla_get_u64(attr[i]);
		else
			row->v[i] = nla_get_u32(attr[i]);
	}
}

static inline int rows_add(struct nl_msg *msg, void *arg)
{
	struct rows *rows = arg;

	if (rows->n == rows->room) {
		rows->room = rows->room * 2 + 16;
		rows->v = realloc(rows->v, rows->room * sizeof(*rows->v));
		if (!rows->v)
			abort();
	}
	row_read(&rows->v[rows->n++], nlmsg_hdr(msg));
	return NL_OK;
}

struct gnl {
	struct nl_sock *sk;
	int family;
	struct rows got;
	size_t taken;
	unsigned int lost;	/* times that events were lost */
};

static inline int gnl_get_error(struct sockaddr_nl *from, struct nlmsgerr *e,
			       void *arg)
{
	*(int *)arg = e->error;
	return NL_STOP;
}

static inline int gnl_get_end(struct nl_msg *msg, void *arg)
{
	*(int *)arg = 1;
	return NL_STOP;
}

/* 0, or -ENOENT when there is no such family here. */
static inline int gnl_open(struct gnl *nl)
{
	memset(nl, 0, sizeof(*nl));
	nl->sk = nl_socket_alloc();
	if (!nl->sk)
		return -ENOMEM;
	nl_socket_disable_seq_check(nl->sk);
	if (genl_connect(nl->sk))
		return -EIO;
	/* libnl's own room is for some 50 events. */
	nl_socket_set_buffer_size(nl->sk, 1 << 20, 0);
	nl->family = genl_ctrl_resolve(nl->sk, GRANULE_GENL_NAME);
	if (nl->family >= 0) {
		nl_socket_modify_cb(nl->sk, NL_CB_VALID, NL_CB_CUSTOM,
				    rows_add, &nl->got);
		return 0;
	}
	nl_socket_free(nl->sk);
	nl->sk = NULL;
	return -ENOENT;
}

static inline void gnl_close(struct gnl *nl)
{
	rows_free(&nl->got);
	nl_socket_free(nl->sk);
	nl->sk = NULL;
}

/* Send @msg and take all that is answered; the kernel's errno, negative. */
static inline int gnl_ask(struct gnl *nl, struct nl_msg *msg, struct rows *rows)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int done = 0, rc;

	memset(rows, 0, sizeof(*rows));
	nl_cb_err(cb, NL_CB_CUSTOM, gnl_get_error, &done);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, gnl_get_end, &done);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, gnl_get_end, &done);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, rows_add, rows);
	rc = nl_send_auto(nl->sk, msg);
	nlmsg_free(msg);
	while (rc >= 0 && !done)
		rc = nl_recvmsgs(nl->sk, cb);
	nl_cb_put(cb);
	return done < 0 ? done : rc < 0 ? -EIO : 0;
}

static inline struct nl_msg *gnl_message(struct gnl *nl, uint8_t cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, cmd,
		    GRANULE_GENL_VERSION);
	return msg;
}

/* @context: 0 for all. */
static inline int gnl_dump(struct gnl *nl, uint8_t cmd, uint64_t context,
			  struct rows *rows)
{
	struct nl_msg *msg = gnl_message(nl, cmd, NLM_F_DUMP);

	if (context)
		nla_put_u64(msg, GRANULE_ATTR_CONTEXT, context);
	return gnl_ask(nl, msg, rows);
}

/* Listen to a group, as the caller may: 0 or -errno. */
static inline int gnl_join(struct gnl *nl, const char *group)
{
	int id = genl_ctrl_resolve_grp(nl->sk, GRANULE_GENL_NAME, group);

	if (id < 0)
		return -ENOENT;
	nl_socket_set_nonblocking(nl->sk);
	return setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK,
			  NETLINK_ADD_MEMBERSHIP, &id, sizeof(id)) ?
		       -errno : 0;
}

/* The next event within @ms, or NULL. */
static inline struct row *gnl_event(struct gnl *nl, int ms)
{
	struct pollfd p = { nl_socket_get_fd(nl->sk), POLLIN };
	int rc;

	while (nl->taken == nl->got.n) {
		nl->taken = nl->got.n = 0;
		if (poll(&p, 1, ms) <= 0)
			return NULL;
		rc = nl_recvmsgs_default(nl->sk);
		if (rc == -NLE_NOMEM)
			nl->lost++;
		else if (rc < 0)
			return NULL;
	}
	return &nl->got.v[nl->taken++];
}

/* The same, of kind @event only; others are left out. */
static inline struct row *gnl_event_of(struct gnl *nl, uint32_t event, int ms)
{
	uint64_t end = now_ms() + ms, now;
	struct row *row;

	/* What is there already is looked through, however long that takes. */
	do {
		now = now_ms();
		row = gnl_event(nl, now < end ? end - now : 0);
	} while (row && V(row, EVENT) != event);
	return row;
}

static inline struct row *rows_find(struct rows *rows, int attr, uint64_t value)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (rows->v[i].has[attr] && rows->v[i].v[attr] == value)
			return &rows->v[i];
	return NULL;
}

static inline int open_node(void)
{
	return open(NODE, O_RDWR | O_CLOEXEC);
}

/* The number of the latest context: numbers only grow. */
static inline uint64_t latest(struct gnl *nl)
{
	struct rows rows;
	uint64_t id = 0;
	size_t i;

	if (gnl_dump(nl, GRANULE_CMD_CONTEXT_GET, 0, &rows))
		return 0;
	for (i = 0; i < rows.n; i++)
		if (V(&rows.v[i], CONTEXT) > id)
			id = V(&rows.v[i], CONTEXT);
	rows_free(&rows);
	return id;
}

/* Rows of a dump of a context, in self->rows. */
#define DUMP(cmd, context)						\
	do {								\
		rows_free(&self->rows);					\
		OK(gnl_dump(&self->nl, GRANULE_CMD_##cmd##_GET, context,	\
			   &self->rows));				\
	} while (0)

#endif
