// SPDX-License-Identifier: GPL-2.0-only
/* Every ioctl of /dev/iommu: sizes, pointers, reserved bits, wrong objects. */
#include "edu.h"

FIXTURE(cmd)
{
	int fd;
	uint32_t ioas;
	struct edu edu;	/* dev_id 0 when there is no such device */
	void *mem;
	void *ranges;	/* where calls of the table may write */
};

FIXTURE_SETUP(cmd)
{
	self->edu.dev = -1;
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
		TH_LOG("/dev/iommu: %s: is granule.ko loaded?", strerror(errno));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	self->mem = mem_alloc(16 * PG, PG);
	ASSERT_NE(NULL, self->mem);
	self->ranges = mem_alloc(2 * PG, PG);
	ASSERT_NE(NULL, self->ranges);
	if (!edu_open(&self->edu, 0))
		OK(edu_bind(&self->edu, self->fd));
}

FIXTURE_TEARDOWN(cmd)
{
	edu_close(&self->edu);
	close(self->fd);
	EXPECT_CLEAN();
}

typedef FIXTURE_DATA(cmd) env;

union arg {
	struct iommu_destroy destroy;
	struct iommu_ioas_alloc alloc;
	struct iommu_ioas_allow_iovas allow;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_iova_ranges ranges;
	struct iommu_ioas_map map;
	struct iommu_ioas_unmap unmap;
	struct iommu_option option;
	struct iommu_hwpt_alloc hwpt;
	struct iommu_hw_info hw;
	struct iommu_device_info dev_info;
	struct iommu_ioas_info ioas_info;
	struct iommu_ioas_list_areas list;
	struct iommu_buffer_alloc buffer;
	struct iommu_last_error last;
	uint32_t size;
	uint8_t bytes[4096];
};

/*
 * Each of these makes an argument with which the call succeeds, however often
 * it has been made before, or return NO_DEVICE where that takes one.
 */
#define NO_DEVICE 1

static int good_destroy(env *e, union arg *a)
{
	return iommu_ioas_alloc(e->fd, &a->destroy.id);
}

static int good_alloc(env *e, union arg *a)
{
	return 0;
}

static int good_allow(env *e, union arg *a)
{
	struct iommu_iova_range *r = e->ranges;

	r[0].start = 0x1000;
	r[0].last = 0xfffff;
	a->allow.ioas_id = e->ioas;
	a->allow.num_iovas = 1;
	a->allow.allowed_iovas = (uintptr_t)r;
	return 0;
}

static int good_map(env *e, union arg *a)
{
	int rc = iommu_unmap(e->fd, e->ioas, 0, WHOLE);

	a->map.flags = FIXED | RW;
	a->map.ioas_id = e->ioas;
	a->map.user_va = (uintptr_t)e->mem;
	a->map.length = 4 * PG;
	a->map.iova = 0x10000;
	return rc;
}

static int good_copy(env *e, union arg *a)
{
	int rc = iommu_unmap(e->fd, e->ioas, 0, WHOLE);

	a->copy.flags = FIXED | RW;
	a->copy.dst_ioas_id = e->ioas;
	a->copy.src_ioas_id = e->ioas;
	a->copy.length = PG;
	a->copy.dst_iova = 0x40000;
	a->copy.src_iova = 0x11000;
	return rc ? rc : iommu_map_at(e->fd, e->ioas, e->mem, 4 * PG, RW,
				      0x10000);
}

static int good_ranges(env *e, union arg *a)
{
	a->ranges.ioas_id = e->ioas;
	a->ranges.num_iovas = 16;
	a->ranges.allowed_iovas = (uintptr_t)e->ranges;
	return 0;
}

static int good_unmap(env *e, union arg *a)
{
	int rc = iommu_unmap(e->fd, e->ioas, 0, WHOLE);

	a->unmap.ioas_id = e->ioas;
	a->unmap.iova = 0x10000;
	a->unmap.length = 4 * PG;
	return rc ? rc : iommu_map_at(e->fd, e->ioas, e->mem, 4 * PG, RW,
				      0x10000);
}

static int good_option(env *e, union arg *a)
{
	a->option.option_id = IOMMU_OPTION_HUGE_PAGES;
	a->option.op = IOMMU_OPTION_OP_GET;
	a->option.object_id = e->ioas;
	return 0;
}

static int good_hwpt(env *e, union arg *a)
{
	a->hwpt.dev_id = e->edu.dev_id;
	a->hwpt.pt_id = e->ioas;
	return e->edu.dev_id ? 0 : NO_DEVICE;
}

static int good_hw(env *e, union arg *a)
{
	a->hw.dev_id = e->edu.dev_id;
	a->hw.data_len = 256;
	a->hw.data_uptr = (uintptr_t)e->ranges;
	return e->edu.dev_id ? 0 : NO_DEVICE;
}

static int good_dev_info(env *e, union arg *a)
{
	a->dev_info.dev_cookie = e->edu.dev_id;
	return e->edu.dev_id ? 0 : NO_DEVICE;
}

static int good_ioas_info(env *e, union arg *a)
{
	a->ioas_info.ioas_id = e->ioas;
	return 0;
}

static int good_list(env *e, union arg *a)
{
	a->list.ioas_id = e->ioas;
	a->list.num_areas = 8;
	a->list.areas = (uintptr_t)e->ranges;
	return 0;
}

static int good_buffer(env *e, union arg *a)
{
	a->buffer.ioas_id = e->ioas;
	a->buffer.length = 16384;
	a->buffer.granule = 16384;
	return 0;
}

static int good_last(env *e, union arg *a)
{
	return 0;
}

struct field {
	uint16_t off;
	uint16_t size;
	uint32_t known;	/* bits with a meaning that this kernel accepts */
};

#define FIELD(s, f) { offsetof(struct s, f), sizeof(((struct s *)0)->f), 0 }
#define FLAGS(s, f, k) { offsetof(struct s, f), sizeof(((struct s *)0)->f), k }

static const struct call {
	const char *name;
	unsigned int nr;
	uint32_t full;	/* bytes of the structure */
	uint32_t min;	/* what the first version of it had */
	int (*good)(env *e, union arg *a);
	int creates;	/* objects more after success */
	uint16_t id_off; /* offset of the ID; 0: there is none */
	uint8_t argsz;	/* the buffer may be longer, its tail is not input */
	uint8_t writes;	/* into the structure, so a read-only one is EFAULT */
	struct field zero[8]; /* EOPNOTSUPP when a bit of it is set */
} calls[] = {
	{ "DESTROY", IOMMU_DESTROY, sizeof(struct iommu_destroy),
	  sizeof(struct iommu_destroy), good_destroy, -1,
	  offsetof(struct iommu_destroy, id), },
	{ "IOAS_ALLOC", IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc),
	  sizeof(struct iommu_ioas_alloc), good_alloc, 1, .writes = 1,
	  .zero = { FIELD(iommu_ioas_alloc, flags) } },
	{ "IOAS_ALLOW_IOVAS", IOMMU_IOAS_ALLOW_IOVAS,
	  sizeof(struct iommu_ioas_allow_iovas),
	  sizeof(struct iommu_ioas_allow_iovas), good_allow, 0,
	  offsetof(struct iommu_ioas_allow_iovas, ioas_id),
	  .zero = { FIELD(iommu_ioas_allow_iovas, __reserved) } },
	{ "IOAS_COPY", IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy),
	  sizeof(struct iommu_ioas_copy), good_copy, 0,
	  offsetof(struct iommu_ioas_copy, dst_ioas_id), .writes = 1,
	  .zero = { FLAGS(iommu_ioas_copy, flags, FIXED | RW) } },
	{ "IOAS_COPY source", IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy),
	  sizeof(struct iommu_ioas_copy), good_copy, 0,
	  offsetof(struct iommu_ioas_copy, src_ioas_id), .writes = 1, },
	{ "IOAS_IOVA_RANGES", IOMMU_IOAS_IOVA_RANGES,
	  sizeof(struct iommu_ioas_iova_ranges),
	  sizeof(struct iommu_ioas_iova_ranges), good_ranges, 0,
	  offsetof(struct iommu_ioas_iova_ranges, ioas_id), .writes = 1,
	  .zero = { FIELD(iommu_ioas_iova_ranges, __reserved) } },
	{ "IOAS_MAP", IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map),
	  sizeof(struct iommu_ioas_map), good_map, 0,
	  offsetof(struct iommu_ioas_map, ioas_id), .writes = 1,
	  .zero = { FLAGS(iommu_ioas_map, flags, FIXED | RW),
		    FIELD(iommu_ioas_map, __reserved) } },
	{ "IOAS_UNMAP", IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap),
	  sizeof(struct iommu_ioas_unmap), good_unmap, 0,
	  offsetof(struct iommu_ioas_unmap, ioas_id), .writes = 1, },
	{ "OPTION", IOMMU_OPTION, sizeof(struct iommu_option),
	  sizeof(struct iommu_option), good_option, 0,
	  offsetof(struct iommu_option, object_id), .writes = 1,
	  .zero = { FIELD(iommu_option, __reserved) } },
	{ "HWPT_ALLOC", IOMMU_HWPT_ALLOC, sizeof(struct iommu_hwpt_alloc),
	  offsetof(struct iommu_hwpt_alloc, data_type), good_hwpt, 1,
	  offsetof(struct iommu_hwpt_alloc, dev_id), .writes = 1,
	  .zero = { FIELD(iommu_hwpt_alloc, flags),
		    FIELD(iommu_hwpt_alloc, __reserved),
		    FIELD(iommu_hwpt_alloc, __reserved2) } },
	{ "GET_HW_INFO", IOMMU_GET_HW_INFO, sizeof(struct iommu_hw_info),
	  offsetof(struct iommu_hw_info, out_capabilities), good_hw, 0,
	  offsetof(struct iommu_hw_info, dev_id), .writes = 1,
	  .zero = { FIELD(iommu_hw_info, flags),
		    { offsetof(struct iommu_hw_info, __reserved), 1, 0 },
		    { offsetof(struct iommu_hw_info, __reserved) + 1, 1, 0 },
		    { offsetof(struct iommu_hw_info, __reserved) + 2, 1, 0 } } },
	{ "DEVICE_GET_INFO", IOMMU_DEVICE_GET_INFO,
	  sizeof(struct iommu_device_info), sizeof(struct iommu_device_info),
	  good_dev_info, 0, offsetof(struct iommu_device_info, dev_cookie),
	  .argsz = 1, .writes = 1, },
	{ "IOAS_GET_INFO", IOMMU_IOAS_GET_INFO, sizeof(struct iommu_ioas_info),
	  sizeof(struct iommu_ioas_info), good_ioas_info, 0,
	  offsetof(struct iommu_ioas_info, ioas_id), .argsz = 1, .writes = 1, },
	{ "IOAS_LIST_AREAS", IOMMU_IOAS_LIST_AREAS,
	  sizeof(struct iommu_ioas_list_areas),
	  sizeof(struct iommu_ioas_list_areas), good_list, 0,
	  offsetof(struct iommu_ioas_list_areas, ioas_id), .writes = 1, },
	{ "BUFFER_ALLOC", IOMMU_BUFFER_ALLOC, sizeof(struct iommu_buffer_alloc),
	  sizeof(struct iommu_buffer_alloc), good_buffer, 1, .writes = 1,
	  .zero = { FIELD(iommu_buffer_alloc, flags) } },
	{ "BUFFER_ALLOC for IOAS", IOMMU_BUFFER_ALLOC,
	  sizeof(struct iommu_buffer_alloc), sizeof(struct iommu_buffer_alloc),
	  good_buffer, 1, .writes = 1,
	  .id_off = offsetof(struct iommu_buffer_alloc, ioas_id) },
	{ "GET_LAST_ERROR", IOMMU_GET_LAST_ERROR,
	  sizeof(struct iommu_last_error), sizeof(struct iommu_last_error),
	  good_last, 0, .writes = 1,
	  .zero = { FIELD(iommu_last_error, flags),
		    FIELD(iommu_last_error, __reserved) } },
};

/* A good argument of full size in @a, or NO_DEVICE. */
static int prepare(env *e, const struct call *c, union arg *a)
{
	memset(a, 0, sizeof(*a));
	a->size = c->full;
	return c->good(e, a);
}

static int run(env *e, const struct call *c, void *a)
{
	return try_ioctl(e->fd, c->nr, a);
}

#define FOR_EACH_CALL(c)						\
	for (const struct call *c = calls; c < calls + ARRAY_LEN(calls); c++)

/* @c's good call, or a hop to the next when it needs a device. */
#define PREPARE(c, a)							\
	({								\
		int __rc = prepare(self, c, a);				\
									\
		if (__rc == NO_DEVICE)					\
			continue;					\
		ASSERT_EQ(0, __rc) TH_LOG("%s", (c)->name);		\
	})

#define EXPECT_CALL(want, c, a, fmt, ...)				\
	EQ(want, run(self, c, a), "%s: " fmt, (c)->name, ##__VA_ARGS__)

/* The table is only as good as its device: say so when there is none. */
TEST_F(cmd, device_present)
{
	if (!self->edu.dev_id)
		SKIP(return, "no edu device behind an IOMMU: HWPT_ALLOC, GET_HW_INFO and DEVICE_GET_INFO are not tried here");
	EXPECT_EQ(1, stat_read("devices"));
}

TEST_F(cmd, good)
{
	long long before;
	union arg a;

	FOR_EACH_CALL(c) {
		PREPARE(c, &a);
		before = stat_read("objects");
		EXPECT_CALL(0, c, &a, "good");
		EQ(before + c->creates, stat_read("objects"), "%s", c->name);
	}
}

static int known(unsigned int nr)
{
	FOR_EACH_CALL(c)
		if (_IOC_NR(c->nr) == nr)
			return 1;
	return 0;
}

TEST_F(cmd, unknown_numbers)
{
	unsigned int nr;
	union arg a;

	memset(&a, 0, sizeof(a));
	a.size = 64;
	for (nr = 0; nr < 256; nr++)
		if (!known(nr))
			EQ(-ENOTTY, try_ioctl(self->fd,
						     _IO(IOMMUFD_TYPE, nr), &a), "number %#x", nr);
	FOR_EACH_CALL(c) {
		nr = _IOC_NR(c->nr);
		PREPARE(c, &a);
		EQ(-ENOTTY, try_ioctl(self->fd, _IO('<', nr), &a), "%s: wrong type", c->name);
		EQ(-ENOTTY, try_ioctl(self->fd,
					     _IOR(IOMMUFD_TYPE, nr, int), &a), "%s: with direction", c->name);
		EQ(-ENOTTY, try_ioctl(self->fd,
					     _IOC(_IOC_NONE, IOMMUFD_TYPE, nr,
						  8), &a), "%s: with size", c->name);
	}
}

TEST_F_TIMEOUT(cmd, sizes_too_short, 150)
{
	uint32_t size;
	union arg a;

	FOR_EACH_CALL(c)
		for (size = 0; size < c->min; size++) {
			PREPARE(c, &a);
			a.size = size;
			EXPECT_CALL(-EINVAL, c, &a, "size %u", size);
		}
}

/* The fields that a short structure lacks are taken as zero. */
TEST_F(cmd, sizes_of_older_versions)
{
	uint32_t size;
	union arg a;

	FOR_EACH_CALL(c)
		for (size = c->min; size <= c->full; size++) {
			if (c->argsz && size < c->full)
				continue;
			PREPARE(c, &a);
			memset(a.bytes + size, 0xff, 64);
			a.size = size;
			EXPECT_CALL(0, c, &a, "size %u", size);
			if (!c->argsz)
				EQ(1, bytes_are(a.bytes + size, 64, 0xff),
				   "%s: size %u: written beyond", c->name,
				   size);
		}
}

TEST_F_TIMEOUT(cmd, sizes_longer_zero, 150)
{
	uint32_t extra;
	union arg a;

	FOR_EACH_CALL(c)
		for (extra = 1; extra <= 64; extra++) {
			PREPARE(c, &a);
			a.size = c->full + extra;
			EXPECT_CALL(0, c, &a, "size +%u", extra);
		}
}

TEST_F_TIMEOUT(cmd, sizes_longer_nonzero, 150)
{
	uint32_t extra, at;
	union arg a;

	FOR_EACH_CALL(c)
		for (extra = 1; extra <= 64; extra++)
			for (at = 0; at < extra; at += extra > 8 ? 7 : 1) {
				PREPARE(c, &a);
				a.size = c->full + extra;
				a.bytes[c->full + at] = 1 << (at & 7);
				EXPECT_CALL(c->argsz ? 0 : -E2BIG, c, &a,
					    "size +%u, byte %u", extra, at);
			}
}

/* No size may make the kernel read or write past the caller's mapping. */
TEST_F(cmd, size_absurd)
{
	static const uint32_t sizes[] = {
		PG, PG + 1, 65536, INT32_MAX, 0x80000000, UINT32_MAX - 7,
		UINT32_MAX,
	};
	/* Where 4G more are still addresses that a process can have. */
	uint8_t *two = mmap((void *)(64UL * MIB), 2 * PG,
			    PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	union arg *a = (void *)two;
	long long before;
	unsigned int i;
	int rc;

	ASSERT_EQ((void *)(64UL * MIB), (void *)two);
	/* Not unmapped: somebody's next mapping could come there. */
	ASSERT_EQ(0, mprotect(two + PG, PG, PROT_NONE));
	FOR_EACH_CALL(c)
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			PREPARE(c, a);
			before = stat_read("objects");
			a->size = sizes[i];
			rc = run(self, c, a);
			if (c->argsz) {
				/* Only as much is written as there is. */
				EQ(0, rc, "%s: %#x", c->name, sizes[i]);
				continue;
			}
			if (sizes[i] == PG) {
				EXPECT_TRUE(rc == 0 || rc == -E2BIG)
					TH_LOG("%s: a page: %d", c->name, rc);
				continue;
			}
			EXPECT_TRUE(rc == -E2BIG || rc == -EFAULT)
				TH_LOG("%s: %#x: %d", c->name, sizes[i], rc);
			EQ(before, stat_read("objects"), "%s: %#x", c->name, sizes[i]);
			a->bytes[c->full] = 1;
			EXPECT_CALL(-E2BIG, c, a, "%#x and not zero", sizes[i]);
		}
}

/* An argument that ends with the page, right before an unmapped one. */
TEST_F(cmd, argument_at_page_end)
{
	uint8_t *two = mem_alloc(2 * PG, PG);
	union arg a;
	void *p;

	ASSERT_NE(NULL, two);
	ASSERT_EQ(0, mprotect(two + PG, PG, PROT_NONE));
	FOR_EACH_CALL(c) {
		PREPARE(c, &a);
		p = two + PG - c->full;
		memcpy(p, &a, c->full);
		EXPECT_CALL(0, c, p, "at the end of a page");
		PREPARE(c, &a);
		p = two + PG - c->full + 4;
		memcpy(p, &a, c->full - 4);
		EXPECT_CALL(-EFAULT, c, p, "four bytes beyond a page");
	}
}

TEST_F(cmd, bad_pointers)
{
	static const uintptr_t bad[] = {
		0, 1, PG, 0x7ffffffff000, 0x800000000000, 0xffff800000000000,
		UINTPTR_MAX & ~7UL, UINTPTR_MAX,
	};
	long long before = stat_read("objects");
	unsigned int i;

	FOR_EACH_CALL(c)
		for (i = 0; i < ARRAY_LEN(bad); i++)
			EXPECT_CALL(-EFAULT, c, (void *)bad[i], "pointer %#lx",
				    (unsigned long)bad[i]);
	EXPECT_EQ(before, stat_read("objects"));
}

/* Where the answer can not be written the call fails and leaves nothing. */
TEST_F(cmd, read_only_argument)
{
	union arg *a = mem_alloc(PG, PG);
	long long objects, areas;

	ASSERT_NE(NULL, a);
	FOR_EACH_CALL(c) {
		PREPARE(c, a);
		objects = stat_read("objects");
		areas = stat_read("areas");
		ASSERT_EQ(0, mprotect(a, PG, PROT_READ));
		EXPECT_CALL(c->writes ? -EFAULT : 0, c, a,
			    "in a read-only page");
		ASSERT_EQ(0, mprotect(a, PG, PROT_READ | PROT_WRITE));
		if (!c->writes)
			continue;
		EQ(objects, stat_read("objects"), "%s", c->name);
		EQ(areas, stat_read("areas"), "%s", c->name);
	}
}

TEST_F_TIMEOUT(cmd, reserved_bits, 150)
{
	const struct field *f;
	unsigned int bit;
	union arg a;

	FOR_EACH_CALL(c)
		for (f = c->zero; f < c->zero + ARRAY_LEN(c->zero) && f->size;
		     f++)
			for (bit = 0; bit < f->size * 8U; bit++) {
				if (bit < 32 && f->known >> bit & 1)
					continue;
				PREPARE(c, &a);
				a.bytes[f->off + bit / 8] |= 1 << bit % 8;
				EXPECT_CALL(-EOPNOTSUPP, c, &a,
					    "offset %u bit %u", f->off, bit);
			}
}

/* @argsz calls ignore their flags on input. */
TEST_F(cmd, info_flags_ignored)
{
	union arg a;

	FOR_EACH_CALL(c) {
		if (!c->argsz)
			continue;
		PREPARE(c, &a);
		memset(a.bytes + 4, 0xff, 4);
		EXPECT_CALL(0, c, &a, "flags set");
	}
}

TEST_F(cmd, unknown_ids)
{
	static const uint32_t ids[] = {
		0, 100000, INT32_MAX, 0x80000000, UINT32_MAX,
	};
	unsigned int i;
	union arg a;

	FOR_EACH_CALL(c)
		for (i = 0; c->id_off && i < ARRAY_LEN(ids); i++) {
			/* A buffer may be for no IOAS. */
			if (!ids[i] && c->nr == IOMMU_BUFFER_ALLOC)
				continue;
			PREPARE(c, &a);
			memcpy(a.bytes + c->id_off, &ids[i], 4);
			EXPECT_CALL(-ENOENT, c, &a, "ID %#x", ids[i]);
		}
}

/* The cookie has 64 bits, an ID only 32: nothing may be cut off. */
TEST_F(cmd, cookie_high_bits)
{
	union arg a;
	int bit;

	FOR_EACH_CALL(c) {
		if (c->nr != IOMMU_DEVICE_GET_INFO)
			continue;
		PREPARE(c, &a);
		for (bit = 32; bit < 64; bit++) {
			prepare(self, c, &a);
			a.dev_info.dev_cookie |= 1ULL << bit;
			EXPECT_CALL(-ENOENT, c, &a, "cookie bit %d", bit);
		}
	}
}

TEST_F(cmd, destroyed_id)
{
	uint32_t gone;
	union arg a;

	OK(iommu_ioas_alloc(self->fd, &gone));
	OK(iommu_destroy(self->fd, gone));
	FAILS(ENOENT, iommu_destroy(self->fd, gone));
	FOR_EACH_CALL(c) {
		/* What DESTROY prepares would be given this very ID. */
		if (!c->id_off || c->nr == IOMMU_DESTROY)
			continue;
		PREPARE(c, &a);
		memcpy(a.bytes + c->id_off, &gone, 4);
		EXPECT_CALL(-ENOENT, c, &a, "destroyed ID");
	}
}

/* IDs mean something in their own file only. */
TEST_F(cmd, id_of_another_file)
{
	uint32_t ids[8];
	unsigned int i;
	int other;
	union arg a;

	other = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, other);
	for (i = 0; i < ARRAY_LEN(ids); i++)
		OK(iommu_ioas_alloc(self->fd, &ids[i]));
	FOR_EACH_CALL(c) {
		if (!c->id_off)
			continue;
		PREPARE(c, &a);
		EQ(-ENOENT, try_ioctl(other, c->nr, &a), "%s", c->name);
	}
	EXPECT_EQ(-ENOENT, iommu_destroy(other, ids[7]));
	for (i = 0; i < ARRAY_LEN(ids); i++)
		OK(iommu_destroy(self->fd, ids[i]));
	close(other);
}

TEST_F(cmd, wrong_type)
{
	uint32_t hwpt;
	union arg a;

	if (!self->edu.dev_id)
		SKIP(return, "no edu device behind an IOMMU");
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &hwpt));
	FOR_EACH_CALL(c) {
		uint32_t wrong[2] = { self->edu.dev_id, hwpt };
		unsigned int i;

		if (!c->id_off || c->nr == IOMMU_DESTROY)
			continue;
		if (c->nr == IOMMU_HWPT_ALLOC || c->nr == IOMMU_GET_HW_INFO ||
		    c->nr == IOMMU_DEVICE_GET_INFO)
			wrong[0] = self->ioas;
		for (i = 0; i < 2; i++) {
			PREPARE(c, &a);
			memcpy(a.bytes + c->id_off, &wrong[i], 4);
			EXPECT_CALL(-ENOENT, c, &a, "ID of another type");
		}
	}
	OK(iommu_destroy(self->fd, hwpt));
}

TEST_F(cmd, destroy_busy)
{
	uint32_t hwpt;

	if (!self->edu.dev_id)
		SKIP(return, "no edu device behind an IOMMU");
	/* A bound device is not destroyed by hand. */
	FAILS(EBUSY, iommu_destroy(self->fd, self->edu.dev_id));
	OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0, &hwpt));
	FAILS(EBUSY, iommu_destroy(self->fd, self->ioas));
	OK(edu_attach(&self->edu, hwpt));
	FAILS(EBUSY, iommu_destroy(self->fd, hwpt));
	FAILS(EBUSY, iommu_destroy(self->fd, self->ioas));
	OK(edu_detach(&self->edu));
	OK(iommu_destroy(self->fd, hwpt));
	FAILS(ENOENT, iommu_destroy(self->fd, hwpt));
	OK(iommu_destroy(self->fd, self->ioas));
	FAILS(ENOENT, iommu_destroy(self->fd, self->ioas));
}

TEST_F(cmd, option_values)
{
	uint64_t v = 0;
	uint32_t id;

	for (id = 2; id < 64; id++)
		FAILS(EOPNOTSUPP, iommu_option_get(self->fd, id, self->ioas,
						   &v));
	for (id = 0x1000; id < 0x1040; id++)
		if (id != IOMMU_OPTION_AREA_QUOTA &&
		    id != IOMMU_OPTION_IOAS_GRANULE)
			FAILS(EOPNOTSUPP, iommu_option_get(self->fd, id,
							   self->ioas, &v));
	FAILS(EOPNOTSUPP, iommu_option_get(self->fd, UINT32_MAX, self->ioas,
					   &v));
	for (id = 2; id < 0x10000; id = id * 2 + 1) {
		v = 0;
		FAILS(EOPNOTSUPP, iommu_option(self->fd,
					       IOMMU_OPTION_HUGE_PAGES,
					       self->ioas, id, &v));
		FAILS(EOPNOTSUPP, iommu_option(self->fd,
					       IOMMU_OPTION_AREA_QUOTA,
					       self->ioas, id, &v));
		FAILS(EOPNOTSUPP, iommu_option(self->fd,
					       IOMMU_OPTION_IOAS_GRANULE,
					       self->ioas, id, &v));
		FAILS(EOPNOTSUPP, iommu_option(self->fd,
					       IOMMU_OPTION_RLIMIT_MODE, 0, id,
					       &v));
	}
	FAILS(EOPNOTSUPP, iommu_option_get(self->fd, IOMMU_OPTION_RLIMIT_MODE,
					   self->ioas, &v));
	FAILS(EINVAL, iommu_option_set(self->fd, IOMMU_OPTION_HUGE_PAGES,
				       self->ioas, 2));
	OK(iommu_option_get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas, &v));
	EXPECT_EQ(1, v);
}

TEST_F(cmd, list_bad_array)
{
	void *next = (uint8_t *)self->ranges + PG;
	uint32_t n, more;
	uint64_t at;
	void *cut;
	int i;

	/* Four do not fit in what is left of the page. */
	munmap(next, PG);
	for (i = 0; i < 4; i++)
		OK(iommu_map_at(self->fd, self->ioas, self->mem, PG, RW,
				i * PG));
	n = 4;
	at = 0;
	FAILS(EFAULT, iommu_list(self->fd, self->ioas, &at, NULL, &n, &more));
	n = 0;
	FAILS(EINVAL, iommu_list(self->fd, self->ioas, &at, self->ranges, &n,
				 &more));
	n = 4;
	at = 0;
	cut = (void *)((uintptr_t)self->ranges + PG - 64);
	FAILS(EFAULT, iommu_list(self->fd, self->ioas, &at, cut, &n, &more));
	/* An array as long as 32 bits can say is no reason to fail. */
	n = UINT32_MAX;
	at = 0;
	OK(iommu_list(self->fd, self->ioas, &at, self->ranges, &n, &more));
	EXPECT_EQ(4, n);
	EXPECT_EQ(0, more);
}

TEST_F(cmd, ranges_bad_array)
{
	struct iommu_iova_range r;
	uint32_t n = 4;

	FAILS(EFAULT, iommu_ranges(self->fd, self->ioas, NULL, &n, NULL));
	FAILS(EFAULT, iommu_ranges(self->fd, self->ioas,
				   (void *)(uintptr_t)0xffff888000000000, &n,
				   NULL));
	n = 0;
	FAILS(EMSGSIZE, iommu_ranges(self->fd, self->ioas, NULL, &n, NULL));
	EXPECT_EQ(1, n);
	n = UINT32_MAX;
	OK(iommu_ranges(self->fd, self->ioas, &r, &n, NULL));
	EXPECT_EQ(1, n);
	FAILS(EFAULT, iommu_allow(self->fd, self->ioas, NULL, 1));
	FAILS(EFAULT, iommu_allow(self->fd, self->ioas,
				  (void *)(uintptr_t)0xffff888000000000, 1));
	/* Nothing is read of an array of none. */
	OK(iommu_allow(self->fd, self->ioas, NULL, 0));
}

/*
 * A list as long as 32 bits can say is refused, or read to its fault, without
 * holding the machine up.
 */
TEST_F(cmd, allow_absurd_count)
{
	static const uint32_t counts[] = { 1U << 20, INT32_MAX, UINT32_MAX };
	struct iommu_iova_range *r = mem_alloc(2 * PG, PG);
	unsigned int i;
	uint64_t t0;
	int rc;

	ASSERT_NE(NULL, r);
	for (i = 0; i < 2 * PG / sizeof(*r); i++) {
		r[i].start = i * 0x1000ULL;
		r[i].last = r[i].start + 0xff;
	}
	for (i = 0; i < ARRAY_LEN(counts); i++) {
		t0 = now_ms();
		rc = iommu_allow(self->fd, self->ioas,
				 r + PG / sizeof(*r), counts[i]);
		EXPECT_NE(0, rc) TH_LOG("count %u", counts[i]);
		EXPECT_GT(PATIENCE, now_ms() - t0) TH_LOG("count %u", counts[i]);
	}
}

/* A 32-bit program has the same structures and pointers. */
TEST_F(cmd, compat_32bit)
{
#if defined(__x86_64__)
	struct iommu_ioas_alloc *a;
	struct iommu_destroy *d;
	struct stat st;
	long rc;

	a = mmap(NULL, PG, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)a);
	/* The kernel says so when it has no 32-bit system calls. */
	if (stat("/proc/sys/abi/vsyscall32", &st) &&
	    stat("/proc/sys/abi", &st))
		SKIP(return, "kernel without 32-bit system calls");
	a->size = sizeof(*a);
	asm volatile("int $0x80"
		     : "=a"(rc)
		     : "a"(54 /* ioctl */), "b"(self->fd),
		       "c"(IOMMU_IOAS_ALLOC), "d"(a)
		     : "r8", "r9", "r10", "r11", "memory");
	if (rc == -ENOSYS)
		SKIP(return, "kernel without 32-bit system calls");
	EXPECT_EQ(0, rc);
	OK(iommu_destroy(self->fd, a->out_ioas_id));
	d = (void *)a;
	d->size = sizeof(*d);
	d->id = self->ioas;
	asm volatile("int $0x80"
		     : "=a"(rc)
		     : "a"(54), "b"(self->fd), "c"(IOMMU_DESTROY), "d"(d)
		     : "r8", "r9", "r10", "r11", "memory");
	EXPECT_EQ(0, rc);
	FAILS(ENOENT, iommu_destroy(self->fd, self->ioas));
#else
	SKIP(return, "not written for this architecture");
#endif
}

/* The file takes ioctls and, for buffers, mmap(). */
TEST_F(cmd, no_other_operations)
{
	char c = 0;

	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PG, PROT_READ, MAP_SHARED, self->fd,
				   0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(cmd, node_mode)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/iommu", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0, st.st_mode & 0007);
}

/* A full object table of one file is no trouble to another, or to close. */
TEST_F_TIMEOUT(cmd, many_objects, 150)
{
	uint32_t id, last = 0;
	int i;

	for (i = 0; i < 5000; i++) {
		OK(iommu_ioas_alloc(self->fd, &id));
		ASSERT_NE(last, id);
		last = id;
	}
	EXPECT_LE(5001, stat_read("objects"));
	OK(iommu_destroy(self->fd, last));
}

TEST_HARNESS_MAIN
