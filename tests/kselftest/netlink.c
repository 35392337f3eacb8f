// SPDX-License-Identifier: GPL-2.0-only
/* The netlink family: dumps, who may see what, events and their limits. */
#include <pthread.h>
#include <sys/un.h>

#include "edu.h"
#include "nl.h"

#define BASE 0x1000000ULL
#define OTHER_USER 1234

FIXTURE(nl)
{
	struct gnl nl;
	struct rows rows;
	int fd;
	uint64_t ctx;		/* the number of fd's context */
	struct edu edu;
	uint8_t *mem;		/* 64 pages */
};

FIXTURE_SETUP(nl)
{
	self->edu.dev = -1;
	OK(gnl_open(&self->nl));
	self->fd = open_node();
	ASSERT_LE(0, self->fd);
	self->ctx = latest(&self->nl);
	ASSERT_NE(0, self->ctx);
	self->mem = mem_alloc(64 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	OK(edu_open(&self->edu, 0));
}

FIXTURE_TEARDOWN(nl)
{
	rows_free(&self->rows);
	edu_close(&self->edu);
	close(self->fd);
	gnl_close(&self->nl);
	EXPECT_CLEAN();
}

/* ---- Dumps ---- */

TEST_F(nl, context)
{
	struct row *r;
	uint32_t ioas[3];
	char comm[17] = "";

	prctl(PR_GET_NAME, comm);
	DUMP(CONTEXT, self->ctx);
	ASSERT_EQ(1, self->rows.n);
	r = &self->rows.v[0];
	EXPECT_EQ(GRANULE_CMD_CONTEXT_GET, r->cmd);
	EXPECT_EQ(self->ctx, V(r, CONTEXT));
	EXPECT_EQ(getpid(), V(r, PID));
	EXPECT_EQ(0, V(r, UID));
	EXPECT_STREQ(comm, TEXT(r, TASK));
	EXPECT_EQ(0, V(r, IOASES));
	EXPECT_EQ(0, V(r, DEVICES));
	EXPECT_EQ(0, V(r, REFUSED));
	EXPECT_EQ(0, V(r, FAULTS));
	EXPECT_FALSE(HAS(r, USER_PID));

	for (size_t i = 0; i < ARRAY_LEN(ioas); i++)
		OK(iommu_ioas_alloc(self->fd, &ioas[i]));
	OK(iommu_destroy(self->fd, ioas[1]));
	OK(edu_bind(&self->edu, self->fd));
	OK(iommu_map_at(self->fd, ioas[0], self->mem, PG, RW, BASE));
	FAILS(EEXIST, iommu_map_at(self->fd, ioas[0], self->mem, PG, RW, BASE));
	DUMP(CONTEXT, self->ctx);
	ASSERT_EQ(1, self->rows.n);
	r = &self->rows.v[0];
	EXPECT_EQ(2, V(r, IOASES));
	EXPECT_EQ(1, V(r, DEVICES));
	EXPECT_EQ(1, V(r, REFUSED));
	EXPECT_EQ(getpid(), V(r, USER_PID));
	EXPECT_STREQ(comm, TEXT(r, USER_TASK));
	/* This one has CAP_IPC_LOCK: there is no limit to tell. */
	EXPECT_FALSE(HAS(r, LOCKED));
	EXPECT_FALSE(HAS(r, LOCK_LIMIT));
	edu_close(&self->edu);
	EXPECT_EQ(0, stat_wait("devices", 0, PATIENCE));
	DUMP(CONTEXT, self->ctx);
	ASSERT_EQ(1, self->rows.n);
	EXPECT_EQ(0, V(&self->rows.v[0], DEVICES));
}

TEST_F(nl, ioas)
{
	struct row *r;
	uint32_t a, b, pt;

	OK(iommu_ioas_alloc(self->fd, &a));
	OK(iommu_ioas_alloc(self->fd, &b));
	OK(iommu_map_at(self->fd, a, self->mem, 4 * PG, RW, BASE));
	OK(iommu_map_at(self->fd, a, self->mem, PG, RD, BASE + MIB));
	DUMP(IOAS, self->ctx);
	ASSERT_EQ(2, self->rows.n);
	r = rows_find(&self->rows, GRANULE_ATTR_IOAS, a);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(self->ctx, V(r, CONTEXT));
	EXPECT_EQ(2, V(r, AREAS));
	EXPECT_EQ(5 * PG, V(r, MAPPED));
	EXPECT_EQ(0, V(r, PINNED));
	EXPECT_EQ(0, V(r, GRANULE));
	EXPECT_NE(0, V(r, QUOTA));
	EXPECT_EQ(0, V(r, FAULTS));
	r = rows_find(&self->rows, GRANULE_ATTR_IOAS, b);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(0, V(r, AREAS));
	EXPECT_EQ(0, V(r, MAPPED));

	OK(edu_bind(&self->edu, self->fd));
	pt = a;
	OK(edu_attach_pt(&self->edu, &pt));
	DUMP(IOAS, self->ctx);
	/* A HWPT is an object, but no IOAS. */
	ASSERT_EQ(2, self->rows.n);
	r = rows_find(&self->rows, GRANULE_ATTR_IOAS, a);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(5 * PG, V(r, PINNED));
	EXPECT_EQ(PG, V(r, GRANULE));
	DUMP(DEVICE, self->ctx);
	ASSERT_EQ(1, self->rows.n);
	r = &self->rows.v[0];
	EXPECT_STREQ(self->edu.bdf, TEXT(r, DEVICE));
	EXPECT_EQ(self->edu.dev_id, V(r, DEVICE_ID));
	EXPECT_EQ(a, V(r, IOAS));
	EXPECT_TRUE(HAS(r, GROUP));
	OK(edu_detach(&self->edu));
	DUMP(DEVICE, self->ctx);
	ASSERT_EQ(1, self->rows.n);
	EXPECT_FALSE(HAS(&self->rows.v[0], IOAS));
	DUMP(IOAS, self->ctx);
	EXPECT_EQ(0, V(rows_find(&self->rows, GRANULE_ATTR_IOAS, a), PINNED));
}

TEST_F(nl, filter)
{
	uint64_t second;
	uint32_t ioas;
	int fd = open_node();

	ASSERT_LE(0, fd);
	second = latest(&self->nl);
	ASSERT_LT(self->ctx, second);
	OK(iommu_ioas_alloc(self->fd, &ioas));
	OK(iommu_ioas_alloc(fd, &ioas));
	DUMP(IOAS, 0);
	EXPECT_LE(2, self->rows.n);
	DUMP(IOAS, second);
	ASSERT_EQ(1, self->rows.n);
	EXPECT_EQ(second, V(&self->rows.v[0], CONTEXT));
	DUMP(CONTEXT, second);
	EXPECT_EQ(1, self->rows.n);
	DUMP(DEVICE, second);
	EXPECT_EQ(0, self->rows.n);
	DUMP(CONTEXT, second + 1000);
	EXPECT_EQ(0, self->rows.n);
	close(fd);
	EXPECT_EQ(1, stat_wait("contexts", 1, PATIENCE));
	DUMP(CONTEXT, second);
	EXPECT_EQ(0, self->rows.n);
}

TEST_F(nl, malformed)
{
	struct rows rows = { 0 };
	struct nl_msg *msg;

#define ANSWERS(err, fill)						\
	do {								\
		msg = gnl_message(&self->nl, GRANULE_CMD_CONTEXT_GET,	\
				 NLM_F_DUMP);				\
		fill;							\
		FAILS(err, gnl_ask(&self->nl, msg, &rows));		\
		EXPECT_EQ(0, rows.n);					\
		rows_free(&rows);					\
	} while (0)
	ANSWERS(EINVAL, nla_put_u64(msg, GRANULE_ATTR_CONTEXT, 0));
	ANSWERS(EINVAL, nla_put_u32(msg, GRANULE_ATTR_CONTEXT, 1));
	ANSWERS(EINVAL, nla_put_string(msg, GRANULE_ATTR_CONTEXT, ""));
	ANSWERS(EINVAL, nla_put_u32(msg, GRANULE_ATTR_IOAS, 1));
	ANSWERS(EINVAL, nla_put_u32(msg, GRANULE_ATTR_MAX + 9, 1));
	ANSWERS(EINVAL, genlmsg_hdr(nlmsg_hdr(msg))->reserved = 1);
	ANSWERS(EOPNOTSUPP, genlmsg_hdr(nlmsg_hdr(msg))->cmd =
		GRANULE_CMD_EVENT);
	ANSWERS(EOPNOTSUPP, genlmsg_hdr(nlmsg_hdr(msg))->cmd = 0);
	ANSWERS(EOPNOTSUPP, genlmsg_hdr(nlmsg_hdr(msg))->cmd = 200);
	/* There is nothing to get but as a dump. */
	msg = gnl_message(&self->nl, GRANULE_CMD_CONTEXT_GET, NLM_F_REQUEST);
	FAILS(EOPNOTSUPP, gnl_ask(&self->nl, msg, &rows));
	/* And all is well afterwards. */
	DUMP(CONTEXT, self->ctx);
	EXPECT_EQ(1, self->rows.n);
}

/* ---- Who may see what ---- */

/* What a user of @uid sees of @theirs and of a context of its own. */
static void look_as(uid_t uid, uint64_t theirs, bool sees)
{
	struct rows rows;
	uint32_t ioas;
	struct gnl nl;
	uint64_t own;
	size_t i;
	int fd;

	if (uid)
		CHECK(!setgid(uid) && !setuid(uid));
	else
		CHECK_RC(0, drop_caps(1U << CAP_NET_ADMIN));
	CHECK_RC(0, gnl_open(&nl));
	fd = open_node();
	CHECK(fd >= 0);
	CHECK_RC(0, iommu_ioas_alloc(fd, &ioas));
	own = latest(&nl);
	CHECK(own > theirs);
	CHECK_RC(0, gnl_dump(&nl, GRANULE_CMD_CONTEXT_GET, 0, &rows));
	CHECK(rows_find(&rows, GRANULE_ATTR_CONTEXT, own));
	CHECK(!!rows_find(&rows, GRANULE_ATTR_CONTEXT, theirs) == sees);
	for (i = 0; i < rows.n; i++)
		CHECK(V(&rows.v[i], UID) == uid);
	CHECK_RC(0, gnl_dump(&nl, GRANULE_CMD_IOAS_GET, 0, &rows));
	CHECK(rows_find(&rows, GRANULE_ATTR_CONTEXT, own));
	CHECK(!!rows_find(&rows, GRANULE_ATTR_CONTEXT, theirs) == sees);
	CHECK_RC(0, gnl_dump(&nl, GRANULE_CMD_CONTEXT_GET, theirs, &rows));
	CHECK(rows.n == sees);
	CHECK_RC(0, gnl_dump(&nl, GRANULE_CMD_DEVICE_GET, theirs, &rows));
	CHECK(rows.n == sees);
	CHECK_RC(-EPERM, gnl_join(&nl, GRANULE_MCGRP_EVENTS));
	CHECK_RC(-EPERM, gnl_join(&nl, GRANULE_MCGRP_FAULTS));
	_exit(0);
}

TEST_F(nl, users)
{
	uint32_t ioas;
	pid_t pid;

	OK(iommu_ioas_alloc(self->fd, &ioas));
	OK(edu_bind(&self->edu, self->fd));
	ASSERT_EQ(0, chmod(NODE, 0666));
	pid = fork();
	if (!pid)
		look_as(OTHER_USER, self->ctx, false);
	EXPECT_EQ(0, child_wait(pid));
	/* Root without the capability is a user like any other. */
	pid = fork();
	if (!pid)
		look_as(0, self->ctx, true);
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, chmod(NODE, 0660));
}

TEST_F(nl, users_all)
{
	int ready[2], go[2];
	struct row *r;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, chmod(NODE, 0666));
	pid = fork();
	if (!pid) {
		uint32_t ioas;
		int fd;

		CHECK(!setgid(OTHER_USER) && !setuid(OTHER_USER));
		CHECK_RC(0, set_memlock(4 * MIB));
		fd = open_node();
		CHECK_RC(0, iommu_ioas_alloc(fd, &ioas));
		CHECK_RC(0, iommu_map_at(fd, ioas, self->mem, PG, RW, BASE));
		CHECK(write(ready[1], "x", 1) == 1);
		CHECK(read(go[0], &c, 1) == 1);
		_exit(0);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	DUMP(CONTEXT, 0);
	EXPECT_NE(NULL, rows_find(&self->rows, GRANULE_ATTR_CONTEXT,
				  self->ctx));
	r = rows_find(&self->rows, GRANULE_ATTR_UID, OTHER_USER);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(pid, V(r, PID));
	EXPECT_EQ(pid, V(r, USER_PID));
	EXPECT_TRUE(HAS(r, LOCKED));
	EXPECT_EQ(4 * MIB, V(r, LOCK_LIMIT));
	EXPECT_EQ(1, write(go[1], "x", 1));
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, chmod(NODE, 0660));
}

/* A file that was handed on: who opened it, and who maps with it. */
TEST_F(nl, handed_on)
{
	struct row *r;
	int done[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(done));
	pid = fork();
	if (!pid) {
		uint32_t ioas;

		prctl(PR_SET_NAME, "borrower");
		CHECK_RC(0, iommu_ioas_alloc(self->fd, &ioas));
		CHECK_RC(0, iommu_map_at(self->fd, ioas, self->mem, PG, RW,
					 BASE));
		CHECK(write(done[1], "x", 1) == 1);
		pause();
	}
	ASSERT_EQ(1, read(done[0], &c, 1));
	DUMP(CONTEXT, self->ctx);
	ASSERT_EQ(1, self->rows.n);
	r = &self->rows.v[0];
	EXPECT_EQ(getpid(), V(r, PID));
	EXPECT_EQ(pid, V(r, USER_PID));
	EXPECT_STREQ("borrower", TEXT(r, USER_TASK));
	kill(pid, SIGKILL);
	child_wait(pid);
	DUMP(CONTEXT, self->ctx);
	EXPECT_FALSE(HAS(&self->rows.v[0], USER_PID));
}

TEST_F(nl, other_network)
{
	pid_t pid = fork();

	if (!pid) {
		struct gnl nl;

		CHECK(!unshare(CLONE_NEWNET));
		CHECK_RC(-ENOENT, gnl_open(&nl));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* Root of a user namespace of its own is nobody here. */
	pid = fork();
	if (!pid) {
		struct gnl nl;

		CHECK(!setgid(OTHER_USER) && !setuid(OTHER_USER));
		CHECK(!unshare(CLONE_NEWUSER));
		CHECK_RC(0, gnl_open(&nl));
		CHECK_RC(-EPERM, gnl_join(&nl, GRANULE_MCGRP_FAULTS));
		CHECK_RC(0, gnl_dump(&nl, GRANULE_CMD_CONTEXT_GET, 0,
				    &(struct rows){ 0 }));
		CHECK(!latest(&nl));
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
}

/* ---- While others come and go ---- */

#define STEADY 300
#define STEADY_IOASES 3

static volatile bool churn_stop;

static void *churn(void *arg)
{
	uint32_t ioas[8];
	int i, fd;

	while (!churn_stop) {
		fd = open_node();
		if (fd < 0)
			return "open";
		for (i = 0; i < 8; i++)
			if (iommu_ioas_alloc(fd, &ioas[i]))
				return "alloc";
		for (i = 0; i < 8; i += 2)
			if (iommu_destroy(fd, ioas[i]))
				return "destroy";
		close(fd);
	}
	return NULL;
}

/* Each steady one is there as often as it is; nothing is there twice. */
static const char *check_dump(struct rows *rows, const uint64_t *steady,
			      unsigned int each)
{
	size_t i, n = 0;

	for (i = 0; i < rows->n; i++) {
		const struct row *r = &rows->v[i], *before = r - 1;

		if (i && V(r, CONTEXT) < V(before, CONTEXT))
			return "not ascending";
		if (i && V(r, CONTEXT) == V(before, CONTEXT) &&
		    V(r, IOAS) <= V(before, IOAS))
			return "twice";
		while (n < STEADY * each &&
		       steady[n / each] < V(r, CONTEXT))
			return "left out";
		if (n < STEADY * each && steady[n / each] == V(r, CONTEXT))
			n++;
	}
	return n == STEADY * each ? NULL : "left out at the end";
}

TEST_F(nl, churn)
{
	uint64_t end = now_ms() + 3000, *steady;
	unsigned int rounds = 0;
	const char *wrong;
	pthread_t t[3];
	void *failed;
	int *fd;

	steady = calloc(STEADY, sizeof(*steady));
	fd = calloc(STEADY, sizeof(*fd));
	for (int i = 0; i < STEADY; i++) {
		uint32_t ioas;

		fd[i] = open_node();
		ASSERT_LE(0, fd[i]);
		steady[i] = i ? steady[i - 1] + 1 : latest(&self->nl);
		for (int k = 0; k < STEADY_IOASES; k++)
			OK(iommu_ioas_alloc(fd[i], &ioas));
	}
	churn_stop = false;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, churn, NULL));
	while (now_ms() < end || rounds < 5) {
		DUMP(CONTEXT, 0);
		wrong = check_dump(&self->rows, steady, 1);
		ASSERT_EQ(NULL, wrong) TH_LOG("contexts: %s", wrong);
		DUMP(IOAS, 0);
		wrong = check_dump(&self->rows, steady, STEADY_IOASES);
		ASSERT_EQ(NULL, wrong) TH_LOG("IOASes: %s", wrong);
		/* One that has gone before it is asked for. */
		DUMP(IOAS, latest(&self->nl));
		rounds++;
	}
	churn_stop = true;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &failed);
		EXPECT_EQ(NULL, failed) TH_LOG("%s", (char *)failed);
	}
	for (int i = 0; i < STEADY; i++)
		close(fd[i]);
	free(steady);
	free(fd);
}

/* ---- Events ---- */

/* The next event of this context; it has to be of that kind. */
#define EVENT(kind)							\
	({								\
		struct row *__r;					\
									\
		do							\
			__r = gnl_event(&self->nl, PATIENCE);		\
		while (__r && V(__r, CONTEXT) != ctx);			\
		ASSERT_NE(NULL, __r) TH_LOG("no %s", #kind);		\
		EXPECT_EQ(GRANULE_EVENT_##kind, V(__r, EVENT));		\
		EXPECT_EQ(GRANULE_CMD_EVENT, __r->cmd);			\
		__r;							\
	})

#define IS_EDU(event)							\
	do {								\
		struct row *__edu = (event);				\
									\
		EXPECT_STREQ(self->edu.bdf, TEXT(__edu, DEVICE));	\
		EXPECT_EQ(id, V(__edu, DEVICE_ID));			\
		EXPECT_TRUE(HAS(__edu, GROUP));				\
	} while (0)

TEST_F(nl, events)
{
	uint32_t id, ioas, pt;
	struct row *r;
	uint64_t ctx;
	int fd;

	OK(gnl_join(&self->nl, GRANULE_MCGRP_EVENTS));
	fd = open_node();
	ASSERT_LE(0, fd);
	r = gnl_event(&self->nl, PATIENCE);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(GRANULE_EVENT_CONTEXT_OPENED, V(r, EVENT));
	EXPECT_EQ(getpid(), V(r, PID));
	EXPECT_EQ(0, V(r, UID));
	EXPECT_TRUE(HAS(r, TASK));
	ctx = V(r, CONTEXT);
	EXPECT_LT(self->ctx, ctx);

	OK(iommu_ioas_alloc(fd, &ioas));
	EXPECT_EQ(ioas, V(EVENT(IOAS_CREATED), IOAS));
	OK(edu_bind(&self->edu, fd));
	id = self->edu.dev_id;
	IS_EDU(EVENT(DEVICE_BOUND));
	pt = ioas;
	OK(edu_attach_pt(&self->edu, &pt));
	r = EVENT(DEVICE_ATTACHED);
	IS_EDU(r);
	EXPECT_EQ(ioas, V(r, IOAS));

	OK(iommu_map_at(fd, ioas, self->mem, PG, RW, BASE));
	FAILS(EEXIST, iommu_map_at(fd, ioas, self->mem, PG, RW, BASE));
	r = EVENT(MAP_REFUSED);
	EXPECT_EQ(ioas, V(r, IOAS));
	EXPECT_EQ(EEXIST, V(r, ERRNO));
	EXPECT_EQ(IOMMU_REASON_OVERLAP, V(r, REASON));
	EXPECT_EQ(BASE, V(r, ADDR));
	EXPECT_EQ(getpid(), V(r, USER_PID));
	EXPECT_TRUE(HAS(r, USER_TASK));
	EXPECT_FALSE(HAS(r, SUPPRESSED));

	OK(iommu_option_set(fd, IOMMU_OPTION_AREA_QUOTA, ioas, 1));
	FAILS(ENOSPC, iommu_map_at(fd, ioas, self->mem, PG, RW, BASE + MIB));
	r = EVENT(LIMIT_REACHED);
	EXPECT_EQ(IOMMU_REASON_QUOTA, V(r, REASON));
	EXPECT_EQ(1, V(r, LIMIT));
	EXPECT_EQ(1, V(r, USAGE));
	EXPECT_EQ(ioas, V(r, IOAS));

	OK(edu_detach(&self->edu));
	r = EVENT(DEVICE_DETACHED);
	IS_EDU(r);
	EXPECT_EQ(ioas, V(r, IOAS));
	edu_close(&self->edu);
	IS_EDU(EVENT(DEVICE_UNBOUND));
	OK(iommu_unmap(fd, ioas, 0, WHOLE));
	OK(iommu_destroy(fd, ioas));
	EXPECT_EQ(ioas, V(EVENT(IOAS_DESTROYED), IOAS));
	/* Closing destroys what is left, first. */
	OK(iommu_ioas_alloc(fd, &ioas));
	EVENT(IOAS_CREATED);
	close(fd);
	EVENT(IOAS_DESTROYED);
	EVENT(CONTEXT_CLOSED);
	EXPECT_EQ(0, self->nl.lost);
}

TEST_F(nl, limit)
{
	pid_t pid;

	OK(gnl_join(&self->nl, GRANULE_MCGRP_EVENTS));
	pid = fork();
	if (!pid) {
		uint32_t ioas, pt;
		struct row *r;

		CHECK_RC(0, drop_memlock_caps());
		CHECK_RC(0, set_memlock(8 * PG));
		CHECK_RC(0, iommu_ioas_alloc(self->fd, &ioas));
		CHECK_RC(0, edu_bind(&self->edu, self->fd));
		pt = ioas;
		CHECK_RC(0, edu_attach_pt(&self->edu, &pt));
		CHECK_RC(0, iommu_map_at(self->fd, ioas, self->mem, 4 * PG, RW,
					 BASE));
		CHECK_RC(-ENOMEM, iommu_map_at(self->fd, ioas, self->mem,
					       5 * PG, RW, BASE + MIB));
		r = gnl_event_of(&self->nl, GRANULE_EVENT_LIMIT_REACHED,
				 PATIENCE);
		CHECK(r && V(r, REASON) == IOMMU_REASON_MEMLOCK);
		CHECK(V(r, LIMIT) == 8 * PG && V(r, USAGE) == 4 * PG);
		CHECK(V(r, IOAS) == ioas && V(r, ERRNO) == ENOMEM);
		/* Attaching pins what is mapped: the same limit, told too. */
		CHECK_RC(0, edu_detach(&self->edu));
		CHECK_RC(0, iommu_map_at(self->fd, ioas, self->mem, 5 * PG, RW,
					 BASE + MIB));
		pt = ioas;
		CHECK_RC(-ENOMEM, edu_attach_pt(&self->edu, &pt));
		r = gnl_event_of(&self->nl, GRANULE_EVENT_LIMIT_REACHED,
				 PATIENCE);
		CHECK(r && V(r, REASON) == IOMMU_REASON_MEMLOCK);
		CHECK(V(r, IOAS) == ioas);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* A refused attach is not a refused mapping. */
	gnl_close(&self->nl);
	OK(gnl_open(&self->nl));
	DUMP(CONTEXT, self->ctx);
	EXPECT_EQ(1, V(&self->rows.v[0], REFUSED));
}

#define REFUSALS 400

TEST_F(nl, rate)
{
	uint64_t told = 0, hidden = 0, late = 0;
	uint32_t ioas;
	struct row *r;

	OK(iommu_ioas_alloc(self->fd, &ioas));
	OK(iommu_map_at(self->fd, ioas, self->mem, PG, RW, BASE));
	OK(gnl_join(&self->nl, GRANULE_MCGRP_EVENTS));
	for (int i = 0; i < REFUSALS; i++)
		FAILS(EEXIST, iommu_map_at(self->fd, ioas, self->mem, PG, RW,
					   BASE));
	/* The next one after a second says how many there were. */
	while (told + hidden < REFUSALS + late && late < 40) {
		usleep(300000);
		FAILS(EEXIST, iommu_map_at(self->fd, ioas, self->mem, PG, RW,
					   BASE));
		late++;
		while ((r = gnl_event_of(&self->nl, GRANULE_EVENT_MAP_REFUSED,
					 100))) {
			EXPECT_EQ(self->ctx, V(r, CONTEXT));
			told++;
			hidden += V(r, SUPPRESSED);
		}
	}
	EXPECT_LE(20, told);
	EXPECT_LT(0, hidden);
	EXPECT_EQ(REFUSALS + late, told + hidden);
	EXPECT_EQ(0, self->nl.lost);
	gnl_close(&self->nl);
	OK(gnl_open(&self->nl));
	DUMP(CONTEXT, self->ctx);
	EXPECT_EQ(REFUSALS + late, V(&self->rows.v[0], REFUSED));
}

/* A slow listener loses events, is told so, and hears what comes later. */
TEST_F(nl, slow)
{
	struct row *r;
	int size = 4096, fd = -1;

	ASSERT_EQ(0, setsockopt(nl_socket_get_fd(self->nl.sk), SOL_SOCKET,
				SO_RCVBUF, &size, sizeof(size)));
	OK(gnl_join(&self->nl, GRANULE_MCGRP_EVENTS));
	for (int i = 0; i < 200; i++) {
		fd = open_node();
		ASSERT_LE(0, fd);
		close(fd);
	}
	while (gnl_event(&self->nl, 100))
		;
	EXPECT_LT(0, self->nl.lost);
	fd = open_node();
	r = gnl_event(&self->nl, PATIENCE);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(GRANULE_EVENT_CONTEXT_OPENED, V(r, EVENT));
	close(fd);
}

TEST_HARNESS_MAIN
