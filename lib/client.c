// SPDX-License-Identifier: LGPL-2.1-only
/* A client of iommud: Varlink over a Unix socket, file descriptors included. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "private.h"

#define SOCKET "/run/iommud/iommud.sock"
#define TIMEOUT 30000		/* ms */
#define MAX_FDS 253		/* of one message, by the kernel's SCM_MAX_FD */
#define MAX_REPLY (64U << 20)	/* some 30,000 devices */
#define MAX_DEPTH 32
#define CHUNK 65536U

struct iommu_client {
	int fd;
	int timeout;		/* ms; -1: none */
	bool broken;		/* what comes next could be anything */
	char *data;		/* bytes of replies not taken yet */
	size_t room, len;
	size_t seen;		/* no NUL before it */
	int fds[MAX_FDS];	/* came with those bytes */
	size_t nr_fds;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static __attribute__((format(printf, 3, 4)))
int say(struct iommu_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return err;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static long long until(int timeout)
{
	return timeout < 0 ? -1 : now_ms() + timeout;
}

/* Milliseconds that are left, for poll(). */
static int left(long long deadline)
{
	long long ms = deadline < 0 ? -1 : deadline - now_ms();

	return deadline >= 0 && ms < 0 ? 0 : (int)ms;
}

static int wait_for(const struct iommu_client *c, short events,
		    long long deadline)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int rc;

	do
		rc = poll(&p, 1, left(deadline));
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc ? 0 : -ETIMEDOUT;
}

static void close_all(int *fds, size_t *nr)
{
	while (*nr) {
		--*nr;
		if (fds[*nr] >= 0)
			close(fds[*nr]);
	}
}

/* ---- Connections ---- */

struct iommu_client *iommu_client_close(struct iommu_client *c)
{
	if (!c)
		return NULL;
	close_all(c->fds, &c->nr_fds);
	if (c->fd >= 0)
		close(c->fd);
	free(c->data);
	free(c);
	return NULL;
}

/* A full queue of connections is a busy daemon: EAGAIN comes at once. */
static int connect_patiently(struct iommu_client *c,
			     const struct sockaddr_un *addr)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	long long deadline = until(c->timeout);

	while (connect(c->fd, (const struct sockaddr *)addr, sizeof(*addr))) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (!left(deadline))
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int iommu_client_open(const char *path, struct iommu_client **ret,
		      struct iommu_why *why)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct iommu_client *c;
	int rc;

	*ret = NULL;
	if (!path)
		path = secure_getenv("IOMMUD_SOCKET");
	if (!path)
		path = SOCKET;
	if (strlen(path) >= sizeof(addr.sun_path))
		return say(why, -ENAMETOOLONG, "%.200s is too long for the "
			   "path of a socket", path);
	c = calloc(1, sizeof(*c));
	if (!c)
		return say(why, -ENOMEM, "out of memory");
	strcpy(addr.sun_path, path);
	strcpy(c->path, path);
	c->timeout = TIMEOUT;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = c->fd < 0 ? -errno : connect_patiently(c, &addr);
	if (rc) {
		iommu_client_close(c);
		return say(why, rc, "iommud does not answer at %s: %s%s", path,
			   strerror(-rc),
			   rc == -ENOENT || rc == -ECONNREFUSED ?
			   "; start it ('systemctl start iommud.socket')" : "");
	}
	*ret = c;
	return 0;
}

int iommu_client_fd(const struct iommu_client *c)
{
	return c->fd;
}

void iommu_client_set_timeout(struct iommu_client *c, int ms)
{
	c->timeout = ms;
}

/* ---- Calls ---- */

static int send_all(struct iommu_client *c, const char *text, size_t len)
{
	long long deadline = until(c->timeout);
	ssize_t n;
	int rc;

	while (len) {
		n = send(c->fd, text, len, MSG_NOSIGNAL);
		if (n >= 0) {
			text += n;
			len -= n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		rc = wait_for(c, POLLOUT, deadline);
		if (rc)
			return rc;
	}
	return 0;
}

/* The call as text; a method without a dot is one of iommud's. */
static struct json_object *make_call(const char *method,
				     struct json_object *parameters, bool more)
{
	struct json_object *call = json_object_new_object();
	char name[128];
	int rc;

	snprintf(name, sizeof(name), "%s%s",
		 strchr(method, '.') ? "" : "org.granule.iommud.", method);
	rc = !call || json_object_object_add(call, "method",
					     json_object_new_string(name));
	if (!rc && more)
		rc = json_object_object_add(call, "more",
					    json_object_new_boolean(true));
	if (!rc && parameters)
		rc = json_object_object_add(call, "parameters",
					    json_object_get(parameters));
	if (rc) {
		json_object_put(call);
		return NULL;
	}
	return call;
}

int iommu_client_send(struct iommu_client *c, const char *method,
		      struct json_object *parameters, bool more,
		      struct iommu_why *why)
{
	struct json_object *call = make_call(method, parameters, more);
	const char *text;
	size_t len;
	int rc;

	json_object_put(parameters);
	if (!call)
		return say(why, -ENOMEM, "out of memory");
	if (c->broken) {
		json_object_put(call);
		return say(why, -EPIPE, "the connection to iommud has failed "
			   "before; make a new one");
	}
	text = json_object_to_json_string_length(call, JSON_C_TO_STRING_PLAIN,
						 &len);
	/* With its NUL, which ends the message. */
	rc = text ? send_all(c, text, len + 1) : -ENOMEM;
	json_object_put(call);
	if (!rc)
		return 0;
	c->broken = true;
	return say(why, rc, "iommud at %s cannot be asked: %s", c->path,
		   strerror(-rc));
}

/* ---- Replies ---- */

static void keep_fds(struct iommu_client *c, struct msghdr *msg, bool *lost)
{
	struct cmsghdr *cmsg;
	size_t n, i;
	int fd;

	*lost = msg->msg_flags & MSG_CTRUNC;
	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd),
			       sizeof(fd));
			if (c->nr_fds < MAX_FDS)
				c->fds[c->nr_fds++] = fd;
			else
				close(fd);
		}
	}
}

static int make_room(struct iommu_client *c)
{
	size_t room = c->room ? c->room * 2 : CHUNK;
	char *more;

	if (c->room - c->len >= CHUNK / 2)
		return 0;
	if (room > MAX_REPLY)
		return -EMSGSIZE;
	more = realloc(c->data, room);
	if (!more)
		return -ENOMEM;
	c->data = more;
	c->room = room;
	return 0;
}

static int receive_some(struct iommu_client *c, long long deadline)
{
	union {
		char buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	bool lost;
	ssize_t n;
	int rc;

	rc = make_room(c);
	if (!rc)
		rc = wait_for(c, POLLIN, deadline);
	if (rc)
		return rc;
	iov.iov_base = c->data + c->len;
	iov.iov_len = c->room - c->len;
	n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	keep_fds(c, &msg, &lost);
	if (lost)
		return -EMFILE;
	if (!n)
		return -ECONNRESET;
	c->len += n;
	return 0;
}

/* The next whole message as an object; -EBADMSG. */
static int parse_message(struct iommu_client *c, size_t len,
			 struct json_object **ret)
{
	struct json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);

	if (!tok)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	*ret = json_tokener_parse_ex(tok, c->data, len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    !json_object_is_type(*ret, json_type_object)) {
		json_object_put(*ret);
		*ret = NULL;
	}
	json_tokener_free(tok);
	len++;
	memmove(c->data, c->data + len, c->len - len);
	c->len -= len;
	c->seen = 0;
	return *ret ? 0 : -EBADMSG;
}

static int next_message(struct iommu_client *c, long long deadline,
			struct json_object **ret)
{
	char *end;
	int rc;

	for (;;) {
		end = c->len > c->seen ?
			      memchr(c->data + c->seen, 0, c->len - c->seen) :
			      NULL;
		if (end)
			return parse_message(c, end - c->data, ret);
		c->seen = c->len;
		rc = receive_some(c, deadline);
		if (rc)
			return rc;
	}
}

/* The errors of org.granule.iommud, and what they mean here. */
static const struct {
	const char *name;
	enum iommu_error_kind kind;
	int err;
} errors[] = {
	{ "NotFound", IOMMU_ERROR_NOT_FOUND, ENOENT },
	{ "Busy", IOMMU_ERROR_BUSY, EBUSY },
	{ "PermissionDenied", IOMMU_ERROR_PERMISSION, EPERM },
	{ "Refused", IOMMU_ERROR_REFUSED, EINVAL },
	{ "NoModule", IOMMU_ERROR_NO_MODULE, ENXIO },
	{ "LimitReached", IOMMU_ERROR_REFUSED, EDQUOT },
	{ "InvalidPolicy", IOMMU_ERROR_REFUSED, EINVAL },
	{ "Failed", IOMMU_ERROR_OTHER, EIO },
	/* Of org.varlink.service: the daemon is of another version. */
	{ "MethodNotFound", IOMMU_ERROR_OTHER, EOPNOTSUPP },
	{ "InvalidParameter", IOMMU_ERROR_USAGE, EINVAL },
};

static int read_error(struct iommu_reply *r, const char *name)
{
	const char *dot = strrchr(name, '.'), *word = NULL;
	struct json_object *value;
	size_t i;

	snprintf(r->error, sizeof(r->error), "%s", dot ? dot + 1 : name);
	if (json_object_object_get_ex(r->parameters, "message", &value) ||
	    json_object_object_get_ex(r->parameters, "parameter", &value) ||
	    json_object_object_get_ex(r->parameters, "method", &value))
		word = json_object_get_string(value);
	if (word && !strcmp(r->error, "InvalidParameter"))
		say(&r->why, 0, "iommud does not take the value of '%s'", word);
	else if (word && !strcmp(r->error, "MethodNotFound"))
		say(&r->why, 0, "this iommud has no method %s; it is older "
		    "than this program", word);
	else
		say(&r->why, 0, "%s", word ? word : r->error);
	r->kind = IOMMU_ERROR_OTHER;
	for (i = 0; i < ARRAY_LEN(errors); i++) {
		if (strcmp(errors[i].name, r->error))
			continue;
		r->kind = errors[i].kind;
		return -errors[i].err;
	}
	return -EIO;
}

/* From the object to the reply; the descriptors go with it. */
static int read_reply(struct iommu_client *c, struct json_object *obj,
		      struct iommu_reply *r)
{
	struct json_object *value;
	const char *error = NULL;

	if (json_object_object_get_ex(obj, "parameters", &value) && value) {
		if (!json_object_is_type(value, json_type_object))
			return -EBADMSG;
		r->parameters = json_object_get(value);
	} else {
		r->parameters = json_object_new_object();
	}
	if (c->nr_fds) {
		r->fds = malloc(c->nr_fds * sizeof(*r->fds));
		if (!r->fds)
			return -ENOMEM;
		memcpy(r->fds, c->fds, c->nr_fds * sizeof(*r->fds));
		r->nr_fds = c->nr_fds;
		c->nr_fds = 0;
	}
	if (json_object_object_get_ex(obj, "continues", &value))
		r->continues = json_object_get_boolean(value);
	if (json_object_object_get_ex(obj, "error", &value))
		error = json_object_get_string(value);
	return error ? read_error(r, error) : 0;
}

static const char *transport_text(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "no answer in time";
	case -ECONNRESET:
		return "it has closed the connection";
	case -EBADMSG:
		return "its answer is not Varlink";
	case -EMFILE:
		return "more files came than this process may open; raise "
		       "its limit (ulimit -n)";
	}
	return strerror(-err);
}

int iommu_client_receive(struct iommu_client *c, int timeout,
			 struct iommu_reply *ret)
{
	struct json_object *obj = NULL;
	int rc;

	*ret = (struct iommu_reply){ 0 };
	rc = c->broken ? -EPIPE : next_message(c, until(timeout), &obj);
	if (!rc)
		rc = read_reply(c, obj, ret);
	json_object_put(obj);
	if (!rc || ret->error[0])
		return rc;
	/* A stream may be silent for any time, if no message is half here. */
	if (rc != -ETIMEDOUT || c->len || c->nr_fds)
		c->broken = true;
	iommu_reply_done(ret);
	ret->kind = rc == -ECONNRESET || rc == -EPIPE ?
			    IOMMU_ERROR_NO_MODULE : IOMMU_ERROR_OTHER;
	return say(&ret->why, rc, "iommud at %s: %s", c->path,
		   transport_text(rc));
}

int iommu_client_answer(struct iommu_client *c, int extra,
			struct iommu_reply *ret)
{
	int timeout = c->timeout < 0 ? -1 : c->timeout + extra, rc;

	rc = iommu_client_receive(c, timeout, ret);
	/* The answer to this call is not to be taken for that to another. */
	if (rc == -ETIMEDOUT)
		c->broken = true;
	return rc;
}

int iommu_client_call(struct iommu_client *c, const char *method,
		      struct json_object *parameters, struct iommu_reply *ret)
{
	int rc;

	*ret = (struct iommu_reply){ 0 };
	rc = iommu_client_send(c, method, parameters, false, &ret->why);
	if (!rc)
		return iommu_client_answer(c, 0, ret);
	ret->kind = rc == -ENOMEM ? IOMMU_ERROR_OTHER : IOMMU_ERROR_NO_MODULE;
	return rc;
}

int iommu_reply_take_fd(struct iommu_reply *r, long index)
{
	int fd;

	if (index < 0 || (size_t)index >= r->nr_fds || r->fds[index] < 0)
		return -EBADMSG;
	fd = r->fds[index];
	r->fds[index] = -1;
	return fd;
}

void iommu_reply_done(struct iommu_reply *r)
{
	json_object_put(r->parameters);
	close_all(r->fds, &r->nr_fds);
	free(r->fds);
	*r = (struct iommu_reply){ 0 };
}
