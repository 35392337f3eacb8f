// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's type1 on an IOMMU with pages larger than the CPU's: refused, once and
 * with a reason, and the device is as good as before. Where the pages are not
 * larger the same steps have to work.
 *
 *	tools/vm --iommu virtio --granule 16k -- build/tests/kselftest/type1
 */
#include <linux/vfio.h>
#include <sys/wait.h>

#include "edu.h"

#define UNSAFE "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
#define BASE 0x1000000ULL

/* The kernel's log from now on. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* Lines since then with all of the words in them; @all: how many in total. */
static int log_count(int fd, const char *const words[], int *all)
{
	char record[2048];
	int found = 0, i;
	ssize_t n;

	*all = 0;
	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return found;
		record[n] = '\0';
		/* What follows the line is for machines. */
		record[strcspn(record, "\n")] = '\0';
		++*all;
		for (i = 0; words[i] && strstr(record, words[i]); i++)
			;
		found += !words[i];
	}
}

FIXTURE(type1)
{
	char bdf[32];
	uint64_t granule;
	int container, group, log;
};

/* The granule of the IOMMU, told by its driver; the CPU's page for others. */
static uint64_t iommu_granule(void)
{
	char name[PATH_MAX], buf[32] = "";
	struct dirent *d;
	uint64_t granule = PG;
	DIR *h = opendir("/sys/class/iommu");
	int fd;

	while (h && (d = readdir(h))) {
		snprintf(name, sizeof(name),
			 "/sys/class/iommu/%s/granule-virtio-iommu/granule",
			 d->d_name);
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, buf, sizeof(buf) - 1) > 0)
			granule = strtoull(buf, NULL, 10);
		close(fd);
	}
	if (h)
		closedir(h);
	return granule;
}

static int group_open(const char *bdf)
{
	char path[PATH_MAX], link[PATH_MAX] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 bdf);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int modprobe(const char *name)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execlp("modprobe", "modprobe", name, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

FIXTURE_SETUP(type1)
{
	self->container = self->group = self->log = -1;
	if (edu_find(0, self->bdf, sizeof(self->bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	self->granule = iommu_granule();
	OK(modprobe("vfio_iommu_type1"));
	/* There is no interrupt remapping to be had. */
	OK(file_put(UNSAFE, "1"));
	OK(edu_bind_driver(self->bdf));
	self->log = log_open();
	ASSERT_GE(self->log, 0);
	self->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->container, 0);
	self->group = group_open(self->bdf);
	ASSERT_GE(self->group, 0);
	OK(try_ioctl(self->group, VFIO_GROUP_SET_CONTAINER, &self->container));
}

FIXTURE_TEARDOWN(type1)
{
	if (self->group >= 0)
		close(self->group);
	if (self->container >= 0)
		close(self->container);
	if (self->log >= 0)
		close(self->log);
}

static int set_iommu(int container, unsigned long type)
{
	return ioctl(container, VFIO_SET_IOMMU, type) < 0 ? -errno : 0;
}

/* What SET_IOMMU says, and what the log. */
TEST_F(type1, set_iommu)
{
	const char *const any[] = { "virtio-iommu", NULL };
	char text[32];
	int all, rc;

	rc = set_iommu(self->container, VFIO_TYPE1v2_IOMMU);
	if (self->granule <= PG) {
		OK(rc);
		EQ(0, log_count(self->log, any, &all), "lines in the log");
		return;
	}
	EQ(-EINVAL, rc, "SET_IOMMU");
	snprintf(text, sizeof(text), "%#llx",
		 (unsigned long long)self->granule);
	EQ(1, log_count(self->log, (const char *const[]){
		self->bdf, "not attached", text, "0x1000", "/dev/iommu", NULL },
		&all), "lines that say why");
	EQ(1, all, "lines in the log, in all");
	/* Again: refused again, and nothing worse. */
	FAILS(EINVAL, set_iommu(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_NE(0, ioctl(self->container, VFIO_IOMMU_MAP_DMA, NULL));
}

/* Mapping through type1 where its pages are the CPU's. */
TEST_F(type1, map)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = BASE,
		.size = PG,
	};
	void *mem = mmap(NULL, PG, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	map.vaddr = (uintptr_t)mem;
	if (self->granule <= PG) {
		OK(set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
		OK(try_ioctl(self->container, VFIO_IOMMU_MAP_DMA, &map));
	} else {
		/* Without an IOMMU a container maps nothing. */
		FAILS(EINVAL, set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
		EXPECT_NE(0, try_ioctl(self->container, VFIO_IOMMU_MAP_DMA,
				       &map));
	}
	munmap(mem, PG);
}

/* After the refusal the device is used by way of /dev/iommu. */
TEST_F(type1, granule_afterwards)
{
	struct iommu_buffer_alloc b = { .length = 1 << 16 };
	uint64_t iova = BASE;
	struct edu edu;
	uint32_t ioas;
	uint8_t *mem;
	int fd;

	set_iommu(self->container, VFIO_TYPE1v2_IOMMU);
	close(self->group);
	close(self->container);
	self->group = self->container = -1;

	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	OK(edu_open(&edu, 0));
	OK(edu_bind(&edu, fd));
	OK(edu_start(&edu));
	OK(iommu_ioas_alloc(fd, &ioas));
	OK(edu_attach(&edu, ioas));
	b.granule = self->granule;
	OK(iommu_buffer_alloc(fd, &b));
	mem = mmap(NULL, b.out_length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   b.out_mmap_offset);
	ASSERT_NE(MAP_FAILED, mem);
	OK(iommu_map(fd, ioas, mem, b.out_length, RW | FIXED, &iova));
	pattern_fill(mem, PG, 7);
	OK(edu_load(&edu, BASE, PG));
	OK(edu_store(&edu, BASE + b.out_length - PG, PG));
	EXPECT_TRUE(pattern_is(mem + b.out_length - PG, PG, 7));
	munmap(mem, b.out_length);
	edu_close(&edu);
	close(fd);
	EQ(0LL, stat_wait("pinned_bytes", 0, PATIENCE), "pinned bytes");
}

TEST_HARNESS_MAIN
