// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every point at which a call can fail fails once: the call says so, has
 * changed nothing, and works when it is made again.
 *
 *	tools/vm --selftest -- build/tests/kselftest/fail
 *
 * The modules have points of their own then. On a kernel with fault injection
 * (tools/debug-kernel) and with ordinary modules it is the kernel's: each
 * allocation and each access to the caller's memory.
 */
#include <sys/mount.h>

#include "edu.h"

#define BASE 0x1000000ULL
#define PLACE 0x8000000ULL
#define SCATTERED 3000
#define THP_SIZE (4 * MIB)
#define ROOM 16
#define GRANULE (16UL << 10)
#define BUFFER_SIZE (2 * MIB + GRANULE)
#define SEED 7		/* of the pattern that the device holds */

#define PARAM_DIR "/sys/module/granule/parameters/"
#define KERNEL_NTH "/proc/thread-self/fail-nth"
#define DEBUG_DIR "/sys/kernel/debug/"

FIXTURE(fail)
{
	int nth;		/* file that says which point fails; 0: none */
	bool kernels;		/* the kernel's points, not the modules' own */
	int fd, other;
	uint32_t ioas, second;	/* three mappings each, from BASE on */
	uint32_t hwpt, id;
	uint64_t iova;
	struct edu edu;
	uint8_t *mem;		/* pages 0..2: of ioas, 4..6: of second */
	uint8_t *scattered, *thp, *shown;
	struct iommu_buffer_alloc buffer;
};

typedef FIXTURE_DATA(fail) fixture;

struct sequence {
	bool attached;		/* the device, to ioas, before the call */
	int least;		/* points there are at least; -1: none */
	int (*before)(fixture *e);	/* every time, before the call */
	int (*call)(fixture *e);
	int (*undo)(fixture *e);	/* after it succeeded */
	int (*unchanged)(fixture *e);	/* after it failed: what else to see */
	bool opens;		/* or closes the device */
};

/* -- injection ---------------------------------------------------------- */

static int param_put(const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	return file_put(name, text);
}

static int arm(fixture *e, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	return pwrite(e->nth, text, len, 0) == len ? 0 : -errno;
}

/* What is left of the number, which is 0 afterwards. */
static int disarm(fixture *e)
{
	char text[16] = "";
	ssize_t n = pread(e->nth, text, sizeof(text) - 1, 0);

	/* Reading has points of its own, and may have met the one. */
	if (n < 0 && errno == EFAULT && e->kernels)
		return 1;
	if (n < 0)
		return -1;
	if (arm(e, 0) && (errno != EFAULT || !e->kernels || arm(e, 0)))
		return -1;
	return atoi(text);
}

/* Open self->nth; 0 when there is no injection. */
static int open_injection(fixture *e)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	size_t i;
	int rc;

	if (!access(PARAM_DIR "fail_nth", F_OK)) {
		e->nth = open(PARAM_DIR "fail_nth", O_RDWR | O_CLOEXEC);
		rc = param_put(PARAM_DIR "fail_thread", syscall(SYS_gettid));
		return e->nth < 0 ? -errno : rc ?: 1;
	}
	if (access(KERNEL_NTH, F_OK))
		return 0;
	e->kernels = true;
	e->nth = open(KERNEL_NTH, O_RDWR | O_CLOEXEC);
	if (e->nth < 0)
		return -errno;
	if (access(DEBUG_DIR "failslab", F_OK) &&
	    mount("debugfs", DEBUG_DIR, "debugfs", 0, NULL))
		return -errno;
	for (i = 0; i < ARRAY_LEN(settings); i++) {
		snprintf(path, sizeof(path), DEBUG_DIR "%s", settings[i][0]);
		rc = file_put(path, settings[i][1]);
		if (rc)
			return rc;
	}
	return 1;
}

/* -- what a failing call must not change -------------------------------- */

struct view {
	long long stats[ARRAY_LEN(stat_names)];
	struct {
		struct iommu_area_info areas[ROOM];
		struct iommu_iova_range ranges[ROOM];
		struct ioas_info info;
		uint64_t alignment;
		uint32_t nr_ranges;
		int nr_areas;
	} ioas[2];
};

static int look(fixture *e, struct view *v)
{
	uint32_t id[2] = { e->ioas, e->second };
	size_t i;
	int rc;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < ARRAY_LEN(stat_names); i++)
		v->stats[i] = stat_read(stat_names[i]);
	for (i = 0; i < 2; i++) {
		v->ioas[i].nr_areas = iommu_list_all(e->fd, id[i],
						     v->ioas[i].areas, ROOM,
						     ROOM);
		if (v->ioas[i].nr_areas < 0)
			return v->ioas[i].nr_areas;
		v->ioas[i].nr_ranges = ROOM;
		rc = iommu_ranges(e->fd, id[i], v->ioas[i].ranges,
				  &v->ioas[i].nr_ranges,
				  &v->ioas[i].alignment);
		if (!rc)
			rc = iommu_ioas_info(e->fd, id[i], &v->ioas[i].info);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * The device reaches exactly the memory that it did: ioas' first page when
 * attached, and never second's.
 */
static int dma_as_before(fixture *e, bool attached)
{
	uint8_t *own = e->mem, *alien = e->mem + 4 * PG;
	int rc;

	if (!e->edu.bar)
		return 0;
	memset(own, 0x11, PG);
	memset(alien, 0x11, PG);
	rc = edu_store(&e->edu, BASE, PG);
	if (rc)
		return rc;
	if (attached ? !pattern_is(own, PG, SEED) : !bytes_are(own, PG, 0x11))
		return -EIO;
	return bytes_are(alien, PG, 0x11) ? 0 : -EXDEV;
}

/* -- the sweep ---------------------------------------------------------- */

/* All of a few, the first and last of many, and ever fewer in between. */
static int next_point(int n, int total)
{
	int step = n < 40 || n >= total - 16 ? 1 : n / 6;

	return n < total - 16 && n + step > total - 16 ? total - 16 : n + step;
}

#define BEFORE() OK(s->before ? s->before(self) : 0)
#define UNDO() OK(s->undo ? s->undo(self) : 0)

static void sweep(struct __test_metadata *_metadata, fixture *self,
		  const struct sequence *s)
{
	struct view first, before, after;
	int n, rc, rest, total, tried = 0, failed = 0, least = s->least;

	/* More where something is copied, and fewer of other kinds. */
	if (self->kernels)
		least = least > 0;
	BEFORE();
	OK(look(self, &first));
	OK(arm(self, INT_MAX));
	rc = s->call(self);
	total = INT_MAX - disarm(self);
	ASSERT_EQ(0, rc);
	UNDO();
	if (least < 0) {
		EQ(0, total, "failure points of a call that cannot fail");
	} else {
		EXPECT_LE(least, total);
	}

	for (n = 1;; n = next_point(n, total)) {
		BEFORE();
		OK(look(self, &before));
		OK(arm(self, n));
		rc = s->call(self);
		rest = disarm(self);
		ASSERT_LE(0, rest);
		if (rest) {
			/* Past the last one. */
			ASSERT_EQ(0, rc) TH_LOG("point %d", n);
			UNDO();
			break;
		}
		tried++;
		if (!rc) {
			/* A failure that the call makes do with. */
			UNDO();
			continue;
		}
		failed++;
		EXPECT_TRUE(rc == -ENOMEM || rc == -EFAULT)
			TH_LOG("point %d: %d", n, rc);
		OK(look(self, &after));
		EQ(0, memcmp(&before, &after, sizeof(before)),
		   "point %d (%d): something changed", n, rc);
		for (size_t i = 0; i < ARRAY_LEN(stat_names); i++)
			EQ(before.stats[i], after.stats[i],
			   "point %d: counter %s", n, stat_names[i]);
		EQ(0, dma_as_before(self, s->attached), "point %d: DMA", n);
		EQ(0, s->unchanged ? s->unchanged(self) : 0, "point %d", n);
		rc = s->call(self);
		ASSERT_EQ(0, rc) TH_LOG("again after point %d", n);
		UNDO();
	}
	BEFORE();
	OK(look(self, &after));
	EQ(0, memcmp(first.stats, after.stats, sizeof(after.stats)),
	   "a counter after the sweep");
	EQ(0, dma_as_before(self, s->attached), "DMA after the sweep");
	TH_LOG("%d failure points, %d tried, %d of them failed the call",
	       total, tried, failed);
	EXPECT_TRUE(least < 0 || failed >= (least < 20 ? least : 20));
}

/* -- set-up ------------------------------------------------------------- */

static int three_areas(fixture *e, uint32_t ioas, uint8_t *mem)
{
	int i, rc = 0;

	for (i = 0; i < 3 && !rc; i++)
		rc = iommu_map_at(e->fd, ioas, mem + i * PG, PG, RW,
				  BASE + i * PG);
	return rc;
}

/* Touched in an order that few neighbours share a physical neighbourhood. */
static uint8_t *mem_scattered(unsigned int npages)
{
	uint8_t *p = mmap(NULL, npages * PG, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, npages * PG, MADV_NOHUGEPAGE);
	/* 1009 is prime, so this visits each page once. */
	for (i = 0; i < npages; i++)
		p[(uint64_t)i * 1009 % npages * PG] = 1;
	return p;
}

static int bind_device(fixture *e)
{
	int rc = edu_open(&e->edu, 0);

	if (!rc)
		rc = edu_bind(&e->edu, e->fd);
	return rc ?: edu_start(&e->edu);
}

static int set_up(fixture *e)
{
	int rc;

	e->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (e->fd < 0)
		return -errno;
	rc = bind_device(e);
	if (!rc)
		rc = iommu_ioas_alloc(e->fd, &e->ioas);
	if (!rc)
		rc = iommu_ioas_alloc(e->fd, &e->second);
	if (!rc)
		rc = three_areas(e, e->ioas, e->mem);
	if (!rc)
		rc = three_areas(e, e->second, e->mem + 4 * PG);
	if (!rc)
		rc = edu_attach(&e->edu, e->ioas);
	pattern_fill(e->mem, PG, SEED);
	return rc ?: edu_load(&e->edu, BASE, PG);
}

FIXTURE_SETUP(fail)
{
	char bdf[32];
	int rc;

	self->fd = self->other = self->nth = self->edu.dev = -1;
	rc = open_injection(self);
	if (!rc)
		SKIP(return, "no failure injection: run tools/vm --selftest");
	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	ASSERT_EQ(1, rc) TH_LOG("failure injection cannot be set up");
	OK(arm(self, 0));
	self->mem = mem_alloc(8 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	OK(set_up(self));
}

FIXTURE_TEARDOWN(fail)
{
	if (self->nth >= 0) {
		arm(self, 0);
		close(self->nth);
		if (!self->kernels)
			param_put(PARAM_DIR "fail_thread", 0);
	}
	edu_close(&self->edu);
	if (self->other >= 0)
		close(self->other);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_CLEAN();
}

/*
 * One test. Without injection the set-up has skipped it, and the harness does
 * not come here.
 */
#define SWEEP(_name, ...)						\
	TEST_F_TIMEOUT(fail, _name, 300)				\
	{								\
		const struct sequence s = { __VA_ARGS__ };		\
									\
		/* A use after free in there would end the whole run. */ \
		if (self->kernels && s.opens)				\
			SKIP(return, "Linux' own ACPI interpreter does not survive failing allocations"); \
		if (!s.attached)					\
			OK(edu_detach(&self->edu));			\
		sweep(_metadata, self, &s);				\
	}

/* -- the file and its objects ------------------------------------------- */

static int call_open(fixture *e)
{
	e->other = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	return e->other < 0 ? -errno : 0;
}

static int undo_open(fixture *e)
{
	int rc = close(e->other) ? -errno : 0;

	e->other = -1;
	return rc;
}

SWEEP(open, true, 1, NULL, call_open, undo_open)

static int call_alloc(fixture *e)
{
	return iommu_ioas_alloc(e->fd, &e->id);
}

static int undo_alloc(fixture *e)
{
	return iommu_destroy(e->fd, e->id);
}

SWEEP(ioas_alloc, true, 3, NULL, call_alloc, undo_alloc)
SWEEP(destroy, true, -1, call_alloc, undo_alloc)

/* -- MAP ---------------------------------------------------------------- */

static int before_first(fixture *e)
{
	int rc = call_open(e);

	return rc ?: iommu_ioas_alloc(e->other, &e->id);
}

static int call_first(fixture *e)
{
	return iommu_map_at(e->other, e->id, e->mem, PG, RW, BASE);
}

/* The sweep's last round prepares a call that is not made. */
static int before_first_again(fixture *e)
{
	if (e->other >= 0)
		undo_open(e);
	return before_first(e);
}

SWEEP(map_first, true, 4, before_first_again, call_first, undo_open)

static int call_map_auto(fixture *e)
{
	e->iova = 0;
	return iommu_map(e->fd, e->ioas, e->mem, PG, RW, &e->iova);
}

static int call_map_fixed(fixture *e)
{
	e->iova = PLACE;
	return iommu_map_at(e->fd, e->ioas, e->mem, PG, RW, PLACE);
}

static int call_map_read(fixture *e)
{
	e->iova = PLACE;
	return iommu_map_at(e->fd, e->ioas, e->mem, PG, RD, PLACE);
}

static int undo_map(fixture *e)
{
	return iommu_unmap(e->fd, e->ioas, e->iova, PG);
}

SWEEP(map_auto, false, 3, NULL, call_map_auto, undo_map)
SWEEP(map_fixed, false, 3, NULL, call_map_fixed, undo_map)
SWEEP(map_auto_attached, true, 6, NULL, call_map_auto, undo_map)
SWEEP(map_fixed_attached, true, 6, NULL, call_map_fixed, undo_map)
SWEEP(map_read_attached, true, 6, NULL, call_map_read, undo_map)

static int before_scattered(fixture *e)
{
	if (!e->scattered)
		e->scattered = mem_scattered(SCATTERED);
	return e->scattered ? 0 : -ENOMEM;
}

static int call_scattered(fixture *e)
{
	return iommu_map_at(e->fd, e->ioas, e->scattered, SCATTERED * PG, RW,
			    PLACE);
}

static int undo_scattered(fixture *e)
{
	return iommu_unmap(e->fd, e->ioas, PLACE, SCATTERED * PG);
}

SWEEP(map_scattered, false, 3, before_scattered, call_scattered, undo_scattered)
SWEEP(map_scattered_attached, true, 500, before_scattered, call_scattered,
      undo_scattered)

static int before_thp(fixture *e)
{
	if (e->thp)
		return 0;
	e->thp = mem_alloc(THP_SIZE, 2 * MIB);
	if (!e->thp)
		return -ENOMEM;
	/* Filled anew, as huge pages where the kernel has any. */
	madvise(e->thp, THP_SIZE, MADV_DONTNEED);
	madvise(e->thp, THP_SIZE, MADV_HUGEPAGE);
	memset(e->thp, 0x11, THP_SIZE);
	return 0;
}

static int call_thp(fixture *e)
{
	return iommu_map_at(e->fd, e->ioas, e->thp, THP_SIZE, RW, PLACE);
}

static int undo_thp(fixture *e)
{
	return iommu_unmap(e->fd, e->ioas, PLACE, THP_SIZE);
}

SWEEP(map_thp, false, 3, before_thp, call_thp, undo_thp)
SWEEP(map_thp_attached, true, 8, before_thp, call_thp, undo_thp)

/* -- COPY, UNMAP -------------------------------------------------------- */

static int call_copy_one(fixture *e)
{
	e->iova = 0;
	return iommu_copy(e->fd, e->ioas, e->second, BASE, PG, RW, &e->iova);
}

static int call_copy_three(fixture *e)
{
	return iommu_copy_at(e->fd, e->ioas, e->second, BASE, 3 * PG, RW,
			     PLACE);
}

/* Memory that the attached IOAS has pinned already. */
static int call_copy_same(fixture *e)
{
	return iommu_copy_at(e->fd, e->ioas, e->ioas, BASE, 3 * PG, RW, PLACE);
}

static int undo_copy_three(fixture *e)
{
	return iommu_unmap(e->fd, e->ioas, PLACE, 3 * PG);
}

SWEEP(copy_one, false, 2, NULL, call_copy_one, undo_map)
SWEEP(copy_three, false, 6, NULL, call_copy_three, undo_copy_three)
SWEEP(copy_one_attached, true, 5, NULL, call_copy_one, undo_map)
SWEEP(copy_three_attached, true, 15, NULL, call_copy_three, undo_copy_three)
SWEEP(copy_same_attached, true, 9, NULL, call_copy_same, undo_copy_three)

static int call_unmap(fixture *e)
{
	uint64_t bytes = 0;
	int rc = iommu_unmap_n(e->fd, e->ioas, BASE, 3 * PG, &bytes);

	return rc || bytes == 3 * PG ? rc : -ERANGE;
}

static int call_unmap_all(fixture *e)
{
	return iommu_unmap(e->fd, e->ioas, 0, WHOLE);
}

static int undo_unmap(fixture *e)
{
	return three_areas(e, e->ioas, e->mem);
}

SWEEP(unmap, false, 1, NULL, call_unmap, undo_unmap)
SWEEP(unmap_attached, true, 1, NULL, call_unmap, undo_unmap)
SWEEP(unmap_all, true, 1, NULL, call_unmap_all, undo_unmap)

/* -- rules and answers -------------------------------------------------- */

static int allow(fixture *e, uint64_t at)
{
	struct iommu_iova_range r[2] = {
		{ .start = at + MIB, .last = at + 2 * MIB - 1 },
		{ .start = at, .last = at + PG - 1 },
	};

	return iommu_allow(e->fd, e->ioas, r, 2);
}

static int before_allow(fixture *e)
{
	return allow(e, PLACE);
}

static int call_allow(fixture *e)
{
	return allow(e, 2 * PLACE);
}

/* Automatic placement still follows the list given before. */
static int unchanged_allow(fixture *e)
{
	uint64_t iova = 0;
	int rc = iommu_map(e->fd, e->ioas, e->mem, 2 * PG, RW, &iova);

	if (rc)
		return rc;
	rc = iommu_unmap(e->fd, e->ioas, iova, 2 * PG);
	return rc || (iova >= PLACE && iova < 2 * PLACE) ? rc : -ERANGE;
}

SWEEP(allow_iovas, false, 2, before_allow, call_allow, NULL, unchanged_allow)
SWEEP(allow_iovas_attached, true, 2, before_allow, call_allow, NULL,
      unchanged_allow)

static int call_option_get(fixture *e)
{
	uint64_t value;

	return iommu_option_get(e->fd, IOMMU_OPTION_HUGE_PAGES, e->ioas,
				&value);
}

static int call_option_set(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_HUGE_PAGES, e->ioas, 0);
}

static int undo_option_set(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_HUGE_PAGES, e->ioas, 1);
}

static int call_quota(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_AREA_QUOTA, e->ioas, 5);
}

static int undo_quota(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_AREA_QUOTA, e->ioas,
				UINT64_MAX);
}

SWEEP(option_get, true, 1, NULL, call_option_get)
SWEEP(option_set, true, -1, NULL, call_option_set, undo_option_set)
SWEEP(option_quota, true, -1, NULL, call_quota, undo_quota)

static int call_granule(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_IOAS_GRANULE, e->ioas, PG);
}

static int undo_granule(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_IOAS_GRANULE, e->ioas, 0);
}

SWEEP(option_granule, true, -1, NULL, call_granule, undo_granule)

static int call_ranges(fixture *e)
{
	struct iommu_iova_range r[ROOM];
	uint32_t n = ROOM;

	return iommu_ranges(e->fd, e->ioas, r, &n, NULL);
}

static int call_list(fixture *e)
{
	struct iommu_area_info areas[ROOM];
	int n = iommu_list_all(e->fd, e->ioas, areas, ROOM, ROOM);

	return n < 0 ? n : n == 3 ? 0 : -ERANGE;
}

static int call_ioas_info(fixture *e)
{
	struct ioas_info info;

	return iommu_ioas_info(e->fd, e->ioas, &info);
}

static int call_device_info(fixture *e)
{
	union {
		struct iommu_device_info i;
		uint8_t room[4096];
	} info = { .i = { .argsz = sizeof(info),
			  .dev_cookie = e->edu.dev_id } };

	return try_ioctl(e->fd, IOMMU_DEVICE_GET_INFO, &info);
}

static int call_hw_info(fixture *e)
{
	struct iommu_hw_info_vtd data;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = e->edu.dev_id,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	return try_ioctl(e->fd, IOMMU_GET_HW_INFO, &cmd);
}

SWEEP(iova_ranges, true, 4, NULL, call_ranges)
SWEEP(list_areas, true, 3, NULL, call_list)
SWEEP(ioas_get_info, true, 5, NULL, call_ioas_info)
SWEEP(device_get_info, true, 6, NULL, call_device_info)
SWEEP(get_hw_info, true, 3, NULL, call_hw_info)

/* -- devices ------------------------------------------------------------ */

static int before_bind(fixture *e)
{
	edu_close(&e->edu);
	return edu_open(&e->edu, 0);
}

static int call_bind(fixture *e)
{
	return edu_bind(&e->edu, e->fd);
}

/* Bound for the call that was made again as for any other. */
static int undo_bind(fixture *e)
{
	int rc = edu_start(&e->edu);

	if (!rc)
		rc = edu_attach(&e->edu, e->ioas);
	return rc ?: dma_as_before(e, true);
}

SWEEP(bind, false, 7, before_bind, call_bind, undo_bind, .opens = true)

static int call_attach(fixture *e)
{
	return edu_attach(&e->edu, e->ioas);
}

static int undo_attach(fixture *e)
{
	int rc = dma_as_before(e, true);

	return rc ?: edu_detach(&e->edu);
}

SWEEP(attach, false, 16, NULL, call_attach, undo_attach)

static int call_detach(fixture *e)
{
	return edu_detach(&e->edu);
}

SWEEP(detach, true, -1, call_attach, call_detach)

static int before_hwpt(fixture *e)
{
	return e->hwpt ? 0 : iommu_hwpt_alloc(e->fd, e->edu.dev_id, e->ioas, 0,
					      &e->hwpt);
}

static int before_hwpt_second(fixture *e)
{
	return e->hwpt ? 0 : iommu_hwpt_alloc(e->fd, e->edu.dev_id, e->second,
					      0, &e->hwpt);
}

static int call_attach_hwpt(fixture *e)
{
	return edu_attach(&e->edu, e->hwpt);
}

/* Attaching to the IOAS would keep a HWPT of it that is in use. */
static int undo_replace(fixture *e)
{
	int rc = edu_detach(&e->edu);

	return rc ?: edu_attach(&e->edu, e->ioas);
}

static int call_replace(fixture *e)
{
	return edu_attach(&e->edu, e->second);
}

SWEEP(attach_hwpt, false, 4, before_hwpt, call_attach_hwpt, undo_attach)
SWEEP(replace, true, 16, NULL, call_replace, undo_replace)
SWEEP(replace_by_hwpt, true, 4, before_hwpt_second, call_attach_hwpt,
      undo_replace)
SWEEP(replace_in_ioas, true, 2, before_hwpt, call_attach_hwpt, undo_replace)

static int call_hwpt_alloc(fixture *e)
{
	return iommu_hwpt_alloc(e->fd, e->edu.dev_id, e->ioas, 0, &e->id);
}

SWEEP(hwpt_alloc, false, 14, NULL, call_hwpt_alloc, undo_alloc)
SWEEP(hwpt_alloc_attached, true, 7, NULL, call_hwpt_alloc, undo_alloc)
SWEEP(hwpt_destroy, true, -1, call_hwpt_alloc, undo_alloc)

/* -- granules and buffers ----------------------------------------------- */

/* A third IOAS, of a larger granule, with a mapping that fits it. */
static int before_coarse(fixture *e)
{
	int rc;

	if (e->id)
		return 0;
	rc = before_thp(e);
	if (!rc)
		rc = iommu_ioas_alloc(e->fd, &e->id);
	if (!rc)
		rc = iommu_option_set(e->fd, IOMMU_OPTION_IOAS_GRANULE, e->id,
				      GRANULE);
	return rc ?: iommu_map_at(e->fd, e->id, e->thp, 2 * GRANULE, RW, PLACE);
}

static int call_attach_coarse(fixture *e)
{
	return edu_attach(&e->edu, e->id);
}

static int undo_attach_coarse(fixture *e)
{
	return edu_detach(&e->edu);
}

static int before_coarse_attached(fixture *e)
{
	int rc = before_coarse(e);

	return rc ?: edu_attach(&e->edu, e->id);
}

static int call_map_coarse(fixture *e)
{
	return iommu_map_at(e->fd, e->id, e->thp + MIB, 3 * GRANULE, RW,
			    2 * PLACE);
}

static int undo_map_coarse(fixture *e)
{
	return iommu_unmap(e->fd, e->id, 2 * PLACE, 3 * GRANULE);
}

static int call_raise(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_IOAS_GRANULE, e->id,
				2 * GRANULE);
}

static int undo_raise(fixture *e)
{
	return iommu_option_set(e->fd, IOMMU_OPTION_IOAS_GRANULE, e->id,
				GRANULE);
}

SWEEP(attach_coarse, false, 10, before_coarse, call_attach_coarse,
      undo_attach_coarse)
SWEEP(map_coarse, false, 6, before_coarse_attached, call_map_coarse,
      undo_map_coarse)
SWEEP(option_raise, false, -1, before_coarse_attached, call_raise, undo_raise)

static int call_buffer(fixture *e)
{
	e->buffer.length = BUFFER_SIZE;
	e->buffer.granule = GRANULE;
	return iommu_buffer_alloc(e->fd, &e->buffer);
}

static int undo_buffer(fixture *e)
{
	return iommu_destroy(e->fd, e->buffer.out_buffer_id);
}

static int before_show(fixture *e)
{
	return e->buffer.size ? 0 : call_buffer(e);
}

static int call_show(fixture *e)
{
	e->shown = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			e->fd, e->buffer.out_mmap_offset);
	return e->shown == MAP_FAILED ? -errno : 0;
}

static int undo_show(fixture *e)
{
	return munmap(e->shown, BUFFER_SIZE) ? -errno : 0;
}

SWEEP(buffer_alloc, true, 6, NULL, call_buffer, undo_buffer)
SWEEP(buffer_mmap, true, 1, before_show, call_show, undo_show)
SWEEP(buffer_destroy, true, -1, call_buffer, undo_buffer)

/* -- closing ------------------------------------------------------------ */

static int call_close_device(fixture *e)
{
	edu_close(&e->edu);
	return 0;
}

static int undo_close_device(fixture *e)
{
	int rc = bind_device(e);

	return rc ?: edu_attach(&e->edu, e->ioas);
}

SWEEP(close_device, true, -1, NULL, call_close_device, undo_close_device,
      .opens = true)
SWEEP(close, true, -1, before_first_again, undo_open)

TEST_HARNESS_MAIN
