// SPDX-License-Identifier: GPL-2.0-only
/* VFIO device nodes, all at once: by many threads, and killed in the middle. */
#include <pthread.h>

#include "vfio.h"

struct chaos {
	const char *node;
	int dev, fd;
	uint32_t ioas[2];
	volatile int stop;
	unsigned int odd;	/* answers that no order of calls explains */
};

static void chaos_judge(struct chaos *c, int rc, const char *what)
{
	static const int fine[] = {
		0, -EINVAL, -EBUSY, -EINTR, -ESTALE,
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(fine); i++)
		if (rc == fine[i])
			return;
	fprintf(stderr, "# %s: %s\n", what, strerror(-rc));
	__atomic_add_fetch(&c->odd, 1, __ATOMIC_SEQ_CST);
}

/* All that can be done to one file that others are busy with. */
static void *chaos_file(void *arg)
{
	struct chaos *c = arg;
	unsigned int n = 0;
	uint32_t buf[64];

	while (!c->stop) {
		memset(buf, 0, sizeof(buf));
		switch (n++ % 7) {
		case 0:
			chaos_judge(c, bind_dev(c->dev, c->fd), "bind");
			break;
		case 1:
			chaos_judge(c, attach_raw(c->dev, 12, 0, c->ioas[0]),
				    "attach");
			break;
		case 2:
			chaos_judge(c, attach_raw(c->dev, 12, 0, c->ioas[1]),
				    "replace");
			break;
		case 3:
			chaos_judge(c, detach_raw(c->dev, 8, 0), "detach");
			break;
		case 4:
			buf[0] = sizeof(struct vfio_device_info);
			chaos_judge(c, try_ioctl(c->dev, VFIO_DEVICE_GET_INFO,
						 buf), "info");
			break;
		case 5:
			if (pread(c->dev, buf, 4,
				  (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)
			    != 4)
				chaos_judge(c, -errno, "config");
			break;
		case 6:
			chaos_judge(c, revoke_raw(c->dev, 8, 0), "revoke");
			break;
		}
	}
	return NULL;
}

/* Others come by their own files: open, try to bind, go. */
static void *chaos_opener(void *arg)
{
	struct chaos *c = arg;
	int dev;

	while (!c->stop) {
		dev = open(c->node, O_RDWR | O_CLOEXEC);
		if (dev < 0) {
			chaos_judge(c, -errno, "open");
			continue;
		}
		chaos_judge(c, bind_dev(dev, c->fd), "bind another");
		chaos_judge(c, attach_raw(dev, 12, 0, c->ioas[0]),
			    "attach another");
		close(dev);
	}
	return NULL;
}

TEST_F_TIMEOUT(vfio, threads, 150)
{
	struct chaos c = { .node = self->node, .fd = self->fd };
	pthread_t threads[6];
	size_t i, round;
	void *mem = mem_alloc(PG, PG);

	ASSERT_NE(NULL, mem);
	c.ioas[0] = self->ioas;
	OK(iommu_ioas_alloc(self->fd, &c.ioas[1]));
	OK(iommu_map_at(self->fd, c.ioas[0], mem, PG, RW, 0x100000));
	OK(iommu_map_at(self->fd, c.ioas[1], mem, PG, RW, 0x400000));
	edu_close(&self->edu);
	for (round = 0; round < 4; round++) {
		c.dev = open(self->node, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, c.dev);
		c.stop = 0;
		for (i = 0; i < ARRAY_LEN(threads); i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    i < 4 ? chaos_file :
							    chaos_opener, &c));
		usleep(700000);
		c.stop = 1;
		for (i = 0; i < ARRAY_LEN(threads); i++)
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
		close(c.dev);
		EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
		EQ(0, stat_wait("pinned_bytes", 0, PATIENCE), "pinned_bytes");
	}
	EQ(0, c.odd, "answers that make no sense");
}

/* Killed at any moment, a process leaves nothing bound. */
TEST_F_TIMEOUT(vfio, killed, 150)
{
	struct chaos c = { .node = self->node };
	void *mem = mem_alloc(PG, PG);
	pid_t pid;
	int i;

	ASSERT_NE(NULL, mem);
	edu_close(&self->edu);
	for (i = 0; i < 20; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			c.fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
			CHECK_RC(0, iommu_ioas_alloc(c.fd, &c.ioas[0]));
			CHECK_RC(0, iommu_ioas_alloc(c.fd, &c.ioas[1]));
			CHECK_RC(0, iommu_map_at(c.fd, c.ioas[0], mem, PG, RW,
						 0x100000));
			c.dev = open(self->node, O_RDWR | O_CLOEXEC);
			CHECK(c.dev >= 0);
			chaos_file(&c);
			_exit(1);
		}
		usleep(1000 + 7000 * (i % 10));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, child_wait(pid));
		EQ(0, stat_wait("devices", 0, PATIENCE), "devices");
		EQ(0, stat_wait("pinned_bytes", 0, PATIENCE), "pinned_bytes");
	}
}

TEST_HARNESS_MAIN
