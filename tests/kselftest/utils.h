/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of /dev/iommu share: one function per ioctl, the module's
 * counters, memory and privileges. edu.h has a device.
 *
 * Every function that does an ioctl returns 0 or a negative errno, so that a
 * test says OK(iommu_map(...)) or FAILS(EEXIST, iommu_map(...)).
 */
#ifndef KSELFTEST_UTILS_H
#define KSELFTEST_UTILS_H

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <granule/iommu.h>

#include "kselftest_harness.h"

/* Half a minute is short on a busy machine; a silent VM ends after three. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 150

/* ms: for what need not have happened yet. Nobody waits who need not. */
#define PATIENCE 60000

/*
 * The harness' macros are two statements: in a loop or branch without braces
 * only the first would belong to it. These are one.
 */
#define OK(call)							\
	do {								\
		ASSERT_EQ(0, call) TH_LOG("%s", #call);			\
	} while (0)
#define FAILS(err, call)						\
	do {								\
		EXPECT_EQ(-(err), call) TH_LOG("%s", #call);		\
	} while (0)
#define EQ(want, seen, fmt, ...)					\
	do {								\
		EXPECT_EQ(want, seen) TH_LOG(fmt, ##__VA_ARGS__);	\
	} while (0)

#define __unused __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PG 4096UL

/*
 * Where devices write to raise interrupts: never translated, never memory. On
 * arm64 it is the controller of QEMU's "virt".
 */
#ifdef __aarch64__
#define MSI_START 0x8090000UL
#define MSI_LAST 0x809ffffUL
#else
#define MSI_START 0xfee00000UL
#define MSI_LAST 0xfeefffffUL
#endif
/* A range with that within. */
#define AROUND_START (MSI_START - 0xe00000)
#define AROUND_LAST (MSI_START + 0x1fffff)
#define MIB (1UL << 20)
#define WHOLE UINT64_MAX	/* length of UNMAP for everything */

#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA
#define RD IOMMU_IOAS_MAP_READABLE
#define WR IOMMU_IOAS_MAP_WRITEABLE
#define RW (RD | WR)

static inline int try_ioctl(int fd, unsigned int cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

/* -- one function per ioctl --------------------------------------------- */

static inline int iommu_destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return try_ioctl(fd, IOMMU_DESTROY, &cmd);
}

static inline int iommu_ioas_alloc(int fd, uint32_t *ioas)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = try_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!rc)
		*ioas = cmd.out_ioas_id;
	return rc;
}

/* @flags without FIXED: *@iova is output; else input. */
static inline int iommu_map(int fd, uint32_t ioas, const void *va,
			    uint64_t length, uint32_t flags, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = *iova,
	};
	int rc = try_ioctl(fd, IOMMU_IOAS_MAP, &cmd);

	if (!rc)
		*iova = cmd.iova;
	return rc;
}

static inline int iommu_map_at(int fd, uint32_t ioas, const void *va,
			       uint64_t length, uint32_t prot, uint64_t iova)
{
	return iommu_map(fd, ioas, va, length, prot | FIXED, &iova);
}

static inline int iommu_copy(int fd, uint32_t dst, uint32_t src,
			     uint64_t src_iova, uint64_t length,
			     uint32_t flags, uint64_t *dst_iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int rc = try_ioctl(fd, IOMMU_IOAS_COPY, &cmd);

	if (!rc)
		*dst_iova = cmd.dst_iova;
	return rc;
}

static inline int iommu_copy_at(int fd, uint32_t dst, uint32_t src,
				uint64_t src_iova, uint64_t length,
				uint32_t prot, uint64_t dst_iova)
{
	return iommu_copy(fd, dst, src, src_iova, length, prot | FIXED,
			  &dst_iova);
}

/* @unmapped may be NULL. */
static inline int iommu_unmap_n(int fd, uint32_t ioas, uint64_t iova,
				uint64_t length, uint64_t *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};
	int rc = try_ioctl(fd, IOMMU_IOAS_UNMAP, &cmd);

	if (!rc && unmapped)
		*unmapped = cmd.length;
	return rc;
}

static inline int iommu_unmap(int fd, uint32_t ioas, uint64_t iova,
			      uint64_t length)
{
	return iommu_unmap_n(fd, ioas, iova, length, NULL);
}

/* *@n: in: room, out: number of ranges. */
static inline int iommu_ranges(int fd, uint32_t ioas,
			       struct iommu_iova_range *r, uint32_t *n,
			       uint64_t *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = *n,
		.allowed_iovas = (uintptr_t)r,
	};
	int rc = try_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;
	if (alignment)
		*alignment = cmd.out_iova_alignment;
	return rc;
}

static inline int iommu_allow(int fd, uint32_t ioas,
			      const struct iommu_iova_range *r, uint32_t n)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = n,
		.allowed_iovas = (uintptr_t)r,
	};

	return try_ioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static inline int iommu_allow_one(int fd, uint32_t ioas, uint64_t start,
				  uint64_t last)
{
	struct iommu_iova_range r = { .start = start, .last = last };

	return iommu_allow(fd, ioas, &r, 1);
}

static inline int iommu_option(int fd, uint32_t option, uint32_t object,
			       uint16_t op, uint64_t *val)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = op,
		.object_id = object,
		.val64 = *val,
	};
	int rc = try_ioctl(fd, IOMMU_OPTION, &cmd);

	if (!rc)
		*val = cmd.val64;
	return rc;
}

static inline int iommu_option_set(int fd, uint32_t option, uint32_t object,
				   uint64_t val)
{
	return iommu_option(fd, option, object, IOMMU_OPTION_OP_SET, &val);
}

static inline int iommu_option_get(int fd, uint32_t option, uint32_t object,
				   uint64_t *val)
{
	*val = 0x5555555555555555;
	return iommu_option(fd, option, object, IOMMU_OPTION_OP_GET, val);
}

static inline int iommu_hwpt_alloc(int fd, uint32_t dev, uint32_t pt,
				   uint32_t flags, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
	};
	int rc = try_ioctl(fd, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*hwpt = cmd.out_hwpt_id;
	return rc;
}

/* *@b: in: length, granule, ioas_id, flags; out: the answer. */
static inline int iommu_buffer_alloc(int fd, struct iommu_buffer_alloc *b)
{
	b->size = sizeof(*b);
	return try_ioctl(fd, IOMMU_BUFFER_ALLOC, b);
}

/* Room for every answer of IOAS_GET_INFO that the tests can provoke. */
struct ioas_info {
	struct iommu_ioas_info i;
	uint8_t caps[4096];
};

static inline int iommu_ioas_info(int fd, uint32_t ioas, struct ioas_info *info)
{
	memset(info, 0, sizeof(*info));
	info->i.argsz = sizeof(*info);
	info->i.ioas_id = ioas;
	return try_ioctl(fd, IOMMU_IOAS_GET_INFO, info);
}

/* List from *@iova on; *@n: in: room, out: number; @more as the kernel says. */
static inline int iommu_list(int fd, uint32_t ioas, uint64_t *iova,
			     struct iommu_area_info *areas, uint32_t *n,
			     uint32_t *more)
{
	struct iommu_ioas_list_areas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = *iova,
		.num_areas = *n,
		.areas = (uintptr_t)areas,
	};
	int rc = try_ioctl(fd, IOMMU_IOAS_LIST_AREAS, &cmd);

	if (!rc) {
		*n = cmd.num_areas;
		*more = cmd.out_more;
		*iova = cmd.iova;
	}
	return rc;
}

/* All areas, @page at a time; returns their number or a negative errno. */
static inline int iommu_list_all(int fd, uint32_t ioas,
				 struct iommu_area_info *areas, uint32_t room,
				 uint32_t page)
{
	uint32_t n, more = 1, total = 0;
	uint64_t iova = 0;
	int rc;

	while (more) {
		n = page < room - total ? page : room - total;
		if (!n)
			return -ENOSPC;
		rc = iommu_list(fd, ioas, &iova, areas + total, &n, &more);
		if (rc)
			return rc;
		total += n;
		if (more && !n)
			return -ELOOP;
	}
	return total;
}

static inline int iommu_last_error(int fd, struct iommu_last_error *err)
{
	memset(err, 0, sizeof(*err));
	err->size = sizeof(*err);
	return try_ioctl(fd, IOMMU_GET_LAST_ERROR, err);
}

/* Reason of this thread's last failure, or a negative errno. */
static inline int iommu_reason(int fd)
{
	struct iommu_last_error err;
	int rc = iommu_last_error(fd, &err);

	return rc ? rc : (int)err.out_reason;
}

/* -- the module's counters ---------------------------------------------- */

#define STATS_DIR "/sys/class/misc/iommu/stats/"

static const char *const stat_names[] __unused = {
	"contexts", "objects", "areas", "devices", "pinned_bytes",
	"buffer_bytes",
};

/* The counter's value; -1 when it cannot be read. */
static inline long long stat_read(const char *name)
{
	char path[128], buf[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), STATS_DIR "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	return n > 0 ? strtoll(buf, NULL, 10) : -1;
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* Wait for a counter to have a value; returns what it has in the end. */
static inline long long stat_wait(const char *name, long long want,
				  unsigned int ms)
{
	uint64_t end = now_ms() + ms;
	long long v;

	while ((v = stat_read(name)) != want && now_ms() < end)
		usleep(10000);
	return v;
}

/* What the kernel itself says of pages that are pinned, whoever did it. */
static inline long long pins_read(void)
{
	long long v, acquired = -1, released = -1;
	char name[64];
	int fd;
	FILE *f;

	/* Each CPU keeps some of it to itself, for a second or two. */
	fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			fprintf(stderr, "# stat_refresh: errno %d\n", errno);
		close(fd);
	}
	f = fopen("/proc/vmstat", "re");
	if (!f)
		return LLONG_MIN;
	while (fscanf(f, "%63s %lld", name, &v) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = v;
		else if (!strcmp(name, "nr_foll_pin_released"))
			released = v;
	}
	fclose(f);
	return acquired < 0 || released < 0 ? LLONG_MIN : acquired - released;
}

/* Before any test: nothing of ours, but others may pin as well. */
static long long pins_at_start;

static void __attribute__((constructor)) pins_start(void)
{
	pins_at_start = pins_read();
}

/*
 * Wait for no more than that to be pinned. Fewer are, if others let go: but
 * never less than none, as when a page is unpinned twice.
 */
static inline long long pins_wait(unsigned int ms)
{
	uint64_t end = now_ms() + ms;
	long long v;

	while (((v = pins_read()) < 0 || v > pins_at_start) && now_ms() < end)
		usleep(10000);
	return v;
}

/*
 * Nothing open, nothing left: all counters become 0, and as many pages are
 * pinned as before.
 */
#define EXPECT_CLEAN()							\
	do {								\
		long long __pins = pins_wait(PATIENCE);			\
									\
		EQ(1, __pins >= 0 && __pins <= pins_at_start,		\
		   "pinned pages: %lld, at first %lld", __pins,		\
		   pins_at_start);					\
		for (size_t __i = 0; __i < ARRAY_LEN(stat_names); __i++) \
			EQ(0, stat_wait(stat_names[__i], 0, PATIENCE),	\
			   "counter %s", stat_names[__i]);		\
	} while (0)

/* -- files -------------------------------------------------------------- */

static inline int file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* -- memory and privileges ---------------------------------------------- */

/* Anonymous memory aligned to @align (a power of two), touched. */
static inline void *mem_alloc(size_t size, size_t align)
{
	uintptr_t raw, start;

	raw = (uintptr_t)mmap(NULL, size + align, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw == (uintptr_t)MAP_FAILED)
		return NULL;
	start = (raw + align - 1) & ~(align - 1);
	if (start > raw)
		munmap((void *)raw, start - raw);
	if (raw + align > start)
		munmap((void *)(start + size), raw + align - start);
	memset((void *)start, 0x11, size);
	return (void *)start;
}

/* Bytes that differ from page to page and from seed to seed. */
static inline void pattern_fill(void *p, size_t n, unsigned int seed)
{
	uint8_t *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		b[i] = (uint8_t)(i * 7 + (i >> 8) * 31 + seed * 13 + 1);
}

static inline int pattern_is(const void *p, size_t n, unsigned int seed)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		if (b[i] != (uint8_t)(i * 7 + (i >> 8) * 31 + seed * 13 + 1))
			return 0;
	return 1;
}

static inline int bytes_are(const void *p, size_t n, uint8_t value)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		if (b[i] != value)
			return 0;
	return 1;
}

/* Drop capabilities of this process for good. */
static inline int drop_caps(uint32_t mask)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data))
		return -errno;
	data[0].effective &= ~mask;
	data[0].permitted &= ~mask;
	data[0].inheritable &= ~mask;
	return syscall(SYS_capset, &hdr, data) ? -errno : 0;
}

static inline int drop_memlock_caps(void)
{
	return drop_caps(1U << CAP_IPC_LOCK | 1U << CAP_SYS_RESOURCE);
}

static inline int set_memlock(uint64_t bytes)
{
	struct rlimit lim = { .rlim_cur = bytes, .rlim_max = bytes };

	return setrlimit(RLIMIT_MEMLOCK, &lim) ? -errno : 0;
}

/* A line "NAME: N kB" of /proc/self/status, in bytes; -1 if absent. */
static inline long long proc_status_kb(const char *name)
{
	long long v = -1;
	char line[256];
	size_t n = strlen(name);
	FILE *f;

	f = fopen("/proc/self/status", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ':')
			v = strtoll(line + n + 1, NULL, 10) * 1024;
	fclose(f);
	return v;
}

/*
 * Run the rest of a test in a child, which reports with CHECK(): the number
 * of the line that failed is its exit status, as the harness' own assertions
 * must not be used there (they longjmp into the parent's frames).
 */
#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "# %s:%d: failed: %s (errno %d)\n", \
				__FILE__, __LINE__, #cond, errno);	\
			_exit(1);					\
		}							\
	} while (0)

#define CHECK_RC(want, call)						\
	do {								\
		int __rc = (call);					\
									\
		if (__rc != (want)) {					\
			fprintf(stderr, "# %s:%d: %s is %d, not %d\n",	\
				__FILE__, __LINE__, #call, __rc, (want)); \
			_exit(1);					\
		}							\
	} while (0)

/* Wait for a child; 0 when it ended with _exit(0). */
static inline int child_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status;
}

#endif
