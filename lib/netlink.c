// SPDX-License-Identifier: LGPL-2.1-only
/*
 * Who uses /dev/iommu, and what happens there: the kernel module's netlink
 * family. It may come and go; nlctrl tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <netlink/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include <granule/netlink.h>

#include "private.h"

/* Faults that came by netlink, and may come by the kernel's log once more. */
#define RECENT 64
/* Room for bursts: an event takes less than a kilobyte of it. */
#define RECEIVE_BUFFER (1 << 20)

struct iommu_watch {
	struct nl_sock *sk;
	int family;		/* -1: the module is not loaded */
	int kmsg;		/* -1: not wanted, or not allowed */
	int epoll;		/* of both */
	struct iommu_event *queue;	/* received, not taken yet */
	size_t nr, taken, room;
	bool failed;		/* no memory for the queue: some are lost */
	struct {
		char device[32];
		__u64 addr;
	} recent[RECENT];
	unsigned int next_recent;
};

static int from_nl(int rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENXIO;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_AF_NOSUPPORT:
	case NLE_PROTO_MISMATCH:
		return -EPROTONOSUPPORT;
	default:
		return -EIO;
	}
}

/* ---- Messages ---- */

static __u64 number(struct nlattr **attr, int which, __u64 none)
{
	struct nlattr *a = attr[which];

	return !a ? none : nla_len(a) >= 8 ? nla_get_u64(a) :
	       nla_len(a) >= 4 ? nla_get_u32(a) : none;
}

static void string(struct nlattr **attr, int which, char *buf, size_t len)
{
	buf[0] = 0;
	if (attr[which])
		nla_strlcpy(buf, attr[which], len);
	/* A process is called what it likes to be called. */
	sys_printable(buf);
}

#define NUMBER(name, none) number(attr, GRANULE_ATTR_##name, none)
#define STRING(name, buf) string(attr, GRANULE_ATTR_##name, buf, sizeof(buf))

static bool parse(struct nl_msg *msg, struct nlattr **attr)
{
	return !genlmsg_parse(nlmsg_hdr(msg), 0, attr, GRANULE_ATTR_MAX, NULL);
}

static void queue(struct iommu_watch *w, const struct iommu_event *e)
{
	struct iommu_event *more;

	if (w->nr == w->room) {
		more = realloc(w->queue, (w->room * 2 + 16) * sizeof(*more));
		if (!more) {
			w->failed = true;
			return;
		}
		w->queue = more;
		w->room = w->room * 2 + 16;
	}
	w->queue[w->nr++] = *e;
}

static void queue_plain(struct iommu_watch *w, enum iommu_event_kind kind)
{
	struct iommu_event e = { .kind = kind, .group = -1 };

	queue(w, &e);
}

static void on_event(struct iommu_watch *w, struct nl_msg *msg)
{
	struct nlattr *attr[GRANULE_ATTR_MAX + 1];
	struct iommu_event e = { 0 };

	if (genlmsg_hdr(nlmsg_hdr(msg))->cmd != GRANULE_CMD_EVENT ||
	    !parse(msg, attr))
		return;
	e.kind = NUMBER(EVENT, 0);
	/* What a newer module may add is nothing to us. */
	if (!e.kind || e.kind > IOMMU_EVENT_FAULT)
		return;
	e.context = NUMBER(CONTEXT, 0);
	e.ioas = NUMBER(IOAS, 0);
	e.device_id = NUMBER(DEVICE_ID, 0);
	STRING(DEVICE, e.device);
	e.group = (long)NUMBER(GROUP, (__u64)-1);
	e.addr = NUMBER(ADDR, 0);
	e.write = NUMBER(ACCESS, 0) & GRANULE_ACCESS_WRITE;
	e.read = attr[GRANULE_ATTR_ACCESS] && !e.write;
	e.error = NUMBER(ERRNO, 0);
	e.reason = NUMBER(REASON, 0);
	e.limit = NUMBER(LIMIT, 0);
	e.usage = NUMBER(USAGE, 0);
	e.suppressed = NUMBER(SUPPRESSED, 0);
	e.uid = NUMBER(UID, (__u64)-1);
	if (attr[GRANULE_ATTR_USER_PID]) {
		e.pid = NUMBER(USER_PID, 0);
		STRING(USER_TASK, e.task);
	} else {
		e.pid = NUMBER(PID, 0);
		STRING(TASK, e.task);
	}
	if (e.kind == IOMMU_EVENT_FAULT) {
		unsigned int i = w->next_recent++ % RECENT;

		memcpy(w->recent[i].device, e.device, sizeof(e.device));
		w->recent[i].addr = e.addr;
	}
	queue(w, &e);
}

/* nlctrl: families that come and go. */
static void on_control(struct iommu_watch *w, struct nl_msg *msg)
{
	struct nlattr *attr[CTRL_ATTR_MAX + 1];
	int cmd = genlmsg_hdr(nlmsg_hdr(msg))->cmd;

	if ((cmd != CTRL_CMD_NEWFAMILY && cmd != CTRL_CMD_DELFAMILY) ||
	    genlmsg_parse(nlmsg_hdr(msg), 0, attr, CTRL_ATTR_MAX, NULL) ||
	    !attr[CTRL_ATTR_FAMILY_NAME] || !attr[CTRL_ATTR_FAMILY_ID] ||
	    nla_strcmp(attr[CTRL_ATTR_FAMILY_NAME], GRANULE_GENL_NAME))
		return;
	if (cmd == CTRL_CMD_NEWFAMILY) {
		w->family = nla_get_u16(attr[CTRL_ATTR_FAMILY_ID]);
		queue_plain(w, IOMMU_EVENT_MODULE_LOADED);
	} else {
		w->family = -1;
		queue_plain(w, IOMMU_EVENT_MODULE_UNLOADED);
	}
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct iommu_watch *w = arg;
	int type = nlmsg_hdr(msg)->nlmsg_type;

	if (type == GENL_ID_CTRL)
		on_control(w, msg);
	else if (type == w->family)
		on_event(w, msg);
	return NL_OK;
}

/* ---- The watch ---- */

/* A socket for questions; the one that listens has other things to say. */
static int ask_open(struct nl_sock **ret)
{
	struct nl_sock *sk = nl_socket_alloc();
	int rc;

	*ret = NULL;
	if (!sk)
		return -ENOMEM;
	rc = genl_connect(sk);
	if (rc) {
		nl_socket_free(sk);
		return from_nl(rc);
	}
	*ret = sk;
	return 0;
}

static int family_of(struct nl_sock *sk)
{
	int id = genl_ctrl_resolve(sk, GRANULE_GENL_NAME);

	return id < 0 ? from_nl(id) : id;
}

static int add_fd(struct iommu_watch *w, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int watch_start(struct iommu_watch *w)
{
	struct nl_sock *ask;
	int rc;

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return -errno;
	w->sk = nl_socket_alloc();
	if (!w->sk)
		return -ENOMEM;
	nl_socket_disable_seq_check(w->sk);
	nl_socket_modify_cb(w->sk, NL_CB_VALID, NL_CB_CUSTOM, on_message, w);
	rc = genl_connect(w->sk);
	if (!rc)
		rc = nl_socket_set_nonblocking(w->sk);
	if (rc)
		return from_nl(rc);
	/* Less is what there is when that is not allowed. */
	(void)nl_socket_set_buffer_size(w->sk, RECEIVE_BUFFER, 0);
	/* Listen first, look then: a module that comes now is told twice. */
	rc = nl_socket_add_membership(w->sk, GENL_ID_CTRL);
	if (rc)
		return from_nl(rc);
	rc = ask_open(&ask);
	if (rc)
		return rc;
	w->family = family_of(ask);
	nl_socket_free(ask);
	if (w->family < 0 && w->family != -ENXIO)
		return w->family;
	return add_fd(w, nl_socket_get_fd(w->sk));
}

int iommu_watch_open(struct iommu_watch **ret)
{
	struct iommu_watch *w = calloc(1, sizeof(*w));
	int rc;

	*ret = NULL;
	if (!w)
		return -ENOMEM;
	w->kmsg = -1;
	w->epoll = -1;
	rc = watch_start(w);
	if (rc) {
		iommu_watch_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

struct iommu_watch *iommu_watch_close(struct iommu_watch *w)
{
	if (!w)
		return NULL;
	if (w->sk)
		nl_socket_free(w->sk);
	if (w->kmsg >= 0)
		close(w->kmsg);
	if (w->epoll >= 0)
		close(w->epoll);
	free(w->queue);
	free(w);
	return NULL;
}

int iommu_watch_fd(const struct iommu_watch *w)
{
	return w->epoll;
}

int iommu_watch_join(struct iommu_watch *w, unsigned int what)
{
	static const struct {
		unsigned int bit;
		const char *group;
	} groups[] = {
		{ IOMMU_WATCH_EVENTS, GRANULE_MCGRP_EVENTS },
		{ IOMMU_WATCH_FAULTS, GRANULE_MCGRP_FAULTS },
	};
	struct nl_sock *ask;
	size_t i;
	int rc, id;

	if (what & IOMMU_WATCH_LOG && w->kmsg < 0) {
		w->kmsg = kernel_log_open();
		rc = w->kmsg < 0 ? w->kmsg : add_fd(w, w->kmsg);
		if (rc)
			return rc;
	}
	if (!(what & (IOMMU_WATCH_EVENTS | IOMMU_WATCH_FAULTS)))
		return 0;
	rc = ask_open(&ask);
	for (i = 0; !rc && i < ARRAY_LEN(groups); i++) {
		if (!(what & groups[i].bit))
			continue;
		id = genl_ctrl_resolve_grp(ask, GRANULE_GENL_NAME,
					   groups[i].group);
		rc = id < 0 ? from_nl(id) :
			      from_nl(nl_socket_add_membership(w->sk, id));
	}
	nl_socket_free(ask);
	return rc;
}

/* Was this fault told by netlink just now? It is only told once. */
static bool told(struct iommu_watch *w, const struct iommu_event *e)
{
	unsigned int i;

	for (i = 0; i < RECENT; i++) {
		if (w->recent[i].addr != e->addr ||
		    strcmp(w->recent[i].device, e->device))
			continue;
		w->recent[i].device[0] = 0;
		return true;
	}
	return false;
}

/* Take what has come into the queue. */
static int receive(struct iommu_watch *w)
{
	int rc = nl_recvmsgs_default(w->sk);

	/* libnl's name for ENOBUFS as well. */
	if (rc == -NLE_NOMEM) {
		queue_plain(w, IOMMU_EVENT_LOST);
		rc = 0;
	}
	return rc < 0 ? from_nl(rc) : 0;
}

int iommu_watch_next(struct iommu_watch *w, struct iommu_event *ret)
{
	int rc = 0;

	if (w->taken == w->nr) {
		w->taken = w->nr = 0;
		rc = receive(w);
	}
	if (w->failed) {
		w->failed = false;
		*ret = (struct iommu_event){ .kind = IOMMU_EVENT_LOST,
					     .group = -1 };
		return 0;
	}
	if (w->taken < w->nr) {
		*ret = w->queue[w->taken++];
		return 0;
	}
	if (rc && rc != -EAGAIN)
		return rc;
	if (w->kmsg < 0)
		return -EAGAIN;
	do {
		rc = kernel_log_next(w->kmsg, ret);
	} while (!rc && told(w, ret));
	if (rc == -EPIPE) {
		*ret = (struct iommu_event){ .kind = IOMMU_EVENT_LOST,
					     .group = -1, .from_log = true };
		rc = 0;
	}
	return rc;
}

/* ---- Dumps ---- */

struct dump {
	struct iommu_context *contexts;
	size_t nr, room;
	int rc;			/* of ours; then the rest is skipped */
};

/* Room for one more than @nr; NULL and d->rc when there is no memory. */
static void *grow(struct dump *d, void *array, size_t nr, size_t size)
{
	/* Powers of two: no count of room is kept. */
	if (nr & (nr - 1))
		return array;
	array = realloc(array, (nr ? nr * 2 : 1) * size);
	if (!array)
		d->rc = -ENOMEM;
	return array;
}

static struct iommu_context *dumped(struct dump *d, struct nlattr **attr)
{
	__u64 id = NUMBER(CONTEXT, 0);
	size_t low = 0, high = d->nr, mid;

	/* Ascending, as the kernel tells them. */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (d->contexts[mid].context < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < d->nr && d->contexts[low].context == id ?
		       &d->contexts[low] : NULL;
}

static uid_t uid_of(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return pid && !stat(path, &st) ? st.st_uid : (uid_t)-1;
}

static void add_context(struct dump *d, struct nlattr **attr)
{
	struct iommu_context *more, c = { 0 };

	c.context = NUMBER(CONTEXT, 0);
	c.pid = NUMBER(PID, 0);
	STRING(TASK, c.task);
	c.uid = NUMBER(UID, (__u64)-1);
	c.user_pid = NUMBER(USER_PID, 0);
	STRING(USER_TASK, c.user_task);
	c.user_uid = uid_of(c.user_pid);
	c.refused = NUMBER(REFUSED, 0);
	c.faults = NUMBER(FAULTS, 0);
	c.locked = NUMBER(LOCKED, (__u64)-1);
	c.lock_limit = NUMBER(LOCK_LIMIT, (__u64)-1);
	more = grow(d, d->contexts, d->nr, sizeof(*more));
	if (!more)
		return;
	d->contexts = more;
	d->contexts[d->nr++] = c;
}

/* What was opened after the dump of contexts is left to the next one. */
static void add_ioas(struct dump *d, struct nlattr **attr)
{
	struct iommu_context *c = dumped(d, attr);
	struct iommu_context_ioas *more;

	if (!c)
		return;
	more = grow(d, c->ioases, c->nr_ioases, sizeof(*more));
	if (!more)
		return;
	c->ioases = more;
	more[c->nr_ioases++] = (struct iommu_context_ioas){
		.id = NUMBER(IOAS, 0),
		.areas = NUMBER(AREAS, 0),
		.mapped = NUMBER(MAPPED, 0),
		.pinned = NUMBER(PINNED, 0),
		.granule = NUMBER(GRANULE, 0),
		.quota = NUMBER(QUOTA, (__u64)-1),
		.faults = NUMBER(FAULTS, 0),
	};
}

static void add_device(struct dump *d, struct nlattr **attr)
{
	struct iommu_context *c = dumped(d, attr);
	struct iommu_context_device *more;

	if (!c)
		return;
	more = grow(d, c->devices, c->nr_devices, sizeof(*more));
	if (!more)
		return;
	c->devices = more;
	more += c->nr_devices++;
	memset(more, 0, sizeof(*more));
	more->id = NUMBER(DEVICE_ID, 0);
	STRING(DEVICE, more->name);
	more->group = (long)NUMBER(GROUP, (__u64)-1);
	more->ioas = NUMBER(IOAS, 0);
}

static int on_dumped(struct nl_msg *msg, void *arg)
{
	struct nlattr *attr[GRANULE_ATTR_MAX + 1];
	struct dump *d = arg;

	if (d->rc || !parse(msg, attr) || !attr[GRANULE_ATTR_CONTEXT])
		return NL_OK;
	switch (genlmsg_hdr(nlmsg_hdr(msg))->cmd) {
	case GRANULE_CMD_CONTEXT_GET:
		add_context(d, attr);
		break;
	case GRANULE_CMD_IOAS_GET:
		add_ioas(d, attr);
		break;
	case GRANULE_CMD_DEVICE_GET:
		add_device(d, attr);
		break;
	}
	return NL_OK;
}

void iommu_contexts_free(struct iommu_context *contexts, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		free(contexts[i].ioases);
		free(contexts[i].devices);
	}
	free(contexts);
}

bool iommu_contexts_all(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	return !syscall(SYS_capget, &header, data) &&
	       data[0].effective & (1U << CAP_NET_ADMIN);
}

int iommu_contexts(struct iommu_context **ret, size_t *ret_nr)
{
	static const int cmds[] = {
		GRANULE_CMD_CONTEXT_GET, GRANULE_CMD_IOAS_GET,
		GRANULE_CMD_DEVICE_GET,
	};
	struct dump d = { 0 };
	struct nl_sock *sk;
	size_t i;
	int rc, family;

	*ret = NULL;
	*ret_nr = 0;
	rc = ask_open(&sk);
	if (rc)
		return rc;
	family = family_of(sk);
	rc = family < 0 ? family : 0;
	nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_dumped, &d);
	for (i = 0; i < ARRAY_LEN(cmds) && !rc; i++) {
		rc = genl_send_simple(sk, family, cmds[i],
				      GRANULE_GENL_VERSION, NLM_F_DUMP);
		rc = rc < 0 ? from_nl(rc) : from_nl(nl_recvmsgs_default(sk));
		rc = rc ? rc : d.rc;
	}
	nl_socket_free(sk);
	if (rc) {
		iommu_contexts_free(d.contexts, d.nr);
		return rc;
	}
	*ret = d.contexts;
	*ret_nr = d.nr;
	return 0;
}
