// SPDX-License-Identifier: GPL-2.0-only
/* Capability chains of DEVICE_GET_INFO and IOAS_GET_INFO, at every size. */
#include "edu.h"

#define ROOM 16384

FIXTURE(caps)
{
	int fd;
	uint32_t ioas;
	struct edu edu;
	uint8_t *buf;	/* ROOM bytes, then an unmapped page */
	uint8_t *ref;	/* the whole answer */
	uint32_t need;	/* its bytes */
};

static int get_info(int fd, void *buf, uint32_t argsz, uint64_t cookie)
{
	struct iommu_device_info *i = buf;

	i->argsz = argsz;
	i->dev_cookie = cookie;
	return try_ioctl(fd, IOMMU_DEVICE_GET_INFO, buf);
}

FIXTURE_SETUP(caps)
{
	char bdf[32];

	self->fd = -1;
	if (edu_find(0, bdf, sizeof(bdf)))
		SKIP(return, "no edu device behind an IOMMU");
	self->buf = mem_alloc(ROOM + PG, PG);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, munmap(self->buf + ROOM, PG));
	self->ref = mem_alloc(ROOM, PG);
	ASSERT_NE(NULL, self->ref);
	OK(edu_open(&self->edu, 0));
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	OK(edu_bind(&self->edu, self->fd));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	memset(self->ref, 0, ROOM);
	OK(get_info(self->fd, self->ref, ROOM, self->edu.dev_id));
	self->need = ((struct iommu_device_info *)self->ref)->argsz;
	ASSERT_LT(sizeof(struct iommu_device_info), self->need);
	ASSERT_GE(ROOM - 128, self->need);
}

FIXTURE_TEARDOWN(caps)
{
	edu_close(&self->edu);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_CLEAN();
}

/* Find a capability in a whole answer; NULL when there is none. */
static const void *find_cap(const uint8_t *info, uint32_t size, uint32_t off,
			    uint16_t id)
{
	const struct iommu_cap_header *h;

	while (off) {
		if (off % 8 || off + sizeof(*h) > size)
			return NULL;
		h = (const void *)(info + off);
		if (h->id == id)
			return h;
		if (h->next && h->next <= off)
			return NULL;
		off = h->next;
	}
	return NULL;
}

#define DEVICE_CAP(type, id)						\
	((const struct type *)find_cap(self->ref, self->need,		\
		((struct iommu_device_info *)self->ref)->cap_offset, id))

/* -- sizes -------------------------------------------------------------- */

TEST_F(caps, every_size)
{
	const uint32_t fixed = sizeof(struct iommu_device_info);
	struct iommu_device_info *i, *ref = (void *)self->ref;
	uint32_t size;
	uint8_t *p;
	int rc;

	EXPECT_TRUE(ref->flags & IOMMU_DEVICE_INFO_CAPS);
	for (size = 0; size <= self->need + 64; size++) {
		/* Once inside the poisoned buffer ... */
		memset(self->buf, 0xa5, ROOM);
		i = (void *)self->buf;
		rc = get_info(self->fd, i, size, self->edu.dev_id);
		EQ(size < fixed ? -EINVAL : 0, rc, "size %u", size);
		if (size < fixed) {
			EQ(size, i->argsz, "size %u: changed", size);
			EQ(1, bytes_are(self->buf + 16, ROOM - 16, 0xa5),
			   "size %u: written to", size);
			continue;
		}
		EQ(self->need, i->argsz, "size %u", size);
		EQ(ref->flags, i->flags, "size %u", size);
		EQ(ref->pgsize_bitmap, i->pgsize_bitmap, "size %u", size);
		EQ(ref->addr_width, i->addr_width, "size %u", size);
		if (size < self->need) {
			EQ(0, i->cap_offset, "size %u", size);
			EQ(1, bytes_are(self->buf + size, ROOM - size, 0xa5),
			   "size %u: written beyond", size);
		} else {
			EQ(0, memcmp(self->buf, self->ref, self->need),
			   "size %u: differs", size);
			EQ(1, bytes_are(self->buf + self->need,
					ROOM - self->need, 0xa5),
			   "size %u: written beyond the chain", size);
		}
		/* ... and once right before an unmapped page. */
		p = self->buf + (ROOM - size) / 8 * 8;
		rc = get_info(self->fd, p, size, self->edu.dev_id);
		EQ(0, rc, "size %u, at the end of a page", size);
	}
}

/* Every byte is given a value: none is left of the stack or the heap. */
TEST_F(caps, every_byte_defined)
{
	uint8_t *other = self->buf;
	int poison;

	for (poison = 0; poison < 256; poison += 51) {
		memset(other, poison, ROOM);
		OK(get_info(self->fd, other, ROOM, self->edu.dev_id));
		EQ(0, memcmp(other, self->ref, self->need), "poison %#x",
		   poison);
	}
}

TEST_F(caps, bad_pointers)
{
	struct iommu_device_info *i = (void *)(self->buf + ROOM - sizeof(*i));

	FAILS(EFAULT, try_ioctl(self->fd, IOMMU_DEVICE_GET_INFO, NULL));
	/* The chain would end in an unmapped page: EFAULT, not a short one. */
	FAILS(EFAULT, get_info(self->fd, i, self->need, self->edu.dev_id));
	OK(get_info(self->fd, i, sizeof(*i), self->edu.dev_id));
	FAILS(ENOENT, get_info(self->fd, self->buf, ROOM, self->ioas));
	FAILS(ENOENT, get_info(self->fd, self->buf, ROOM, 0));
}

/* -- content ------------------------------------------------------------ */

TEST_F(caps, chain)
{
	static const uint16_t expected[] = {
		IOMMU_DEVICE_CAP_IOVA_RANGE, IOMMU_DEVICE_CAP_RESERVED_REGIONS,
		IOMMU_DEVICE_CAP_GRANULE, IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH,
		IOMMU_DEVICE_CAP_GROUP,
	};
	const struct iommu_device_info *i = (void *)self->ref;
	uint32_t off = i->cap_offset, n = 0, seen_low = 0, k;
	const struct iommu_cap_header *h;

	EXPECT_LE(sizeof(*i), off);
	EXPECT_EQ(0, self->need % 8);
	EXPECT_EQ(self->edu.dev_id, i->dev_cookie);
	while (off) {
		ASSERT_EQ(0, off % 8);
		ASSERT_GE(self->need - sizeof(*h), off);
		h = (const void *)(self->ref + off);
		EXPECT_EQ(1, h->version);
		EXPECT_NE(0, h->id);
		if (h->id < 32) {
			EQ(0, seen_low >> h->id & 1, "ID %u twice", h->id);
			seen_low |= 1U << h->id;
		}
		EXPECT_TRUE(!h->next || h->next > off + sizeof(*h) - 1);
		ASSERT_TRUE(!h->next || h->next > off);
		off = h->next;
		ASSERT_GT(64, ++n);
	}
	for (k = 0; k < ARRAY_LEN(expected); k++)
		EQ(1, seen_low >> expected[k] & 1, "no capability %u",
		   expected[k]);
}

/* The smallest page of the device's IOMMU. */
#define GRANULE								\
	({								\
		uint64_t __m = ((struct iommu_device_info *)		\
				self->ref)->pgsize_bitmap;		\
		__m & -__m;						\
	})

/* Memory that fits any granule up to 2 MiB, where there are huge pages. */
static uint8_t *mem_large(void)
{
	uint8_t *p = mem_alloc(2 * MIB, 2 * MIB);

	if (!p)
		return NULL;
	madvise(p, 2 * MIB, MADV_DONTNEED);
	madvise(p, 2 * MIB, MADV_HUGEPAGE);
	memset(p, 0x11, 2 * MIB);
	return p;
}

TEST_F(caps, fixed_part)
{
	const struct iommu_device_info *i = (void *)self->ref;

	EXPECT_TRUE(i->flags & IOMMU_DEVICE_INFO_PGSIZES);
	EXPECT_TRUE(i->flags & IOMMU_DEVICE_INFO_ADDR_WIDTH);
	EXPECT_EQ(0, i->flags & ~0xfU);
	EXPECT_LE(PG, i->pgsize_bitmap & -i->pgsize_bitmap);
	EXPECT_LE(39, i->addr_width);
	EXPECT_GE(64, i->addr_width);
}

TEST_F(caps, iova_ranges)
{
	const struct iommu_device_info *i = (void *)self->ref;
	const struct iommu_device_cap_reserved_regions *resv;
	const struct iommu_device_cap_iova_range *cap;
	uint32_t n, k;

	cap = DEVICE_CAP(iommu_device_cap_iova_range,
			 IOMMU_DEVICE_CAP_IOVA_RANGE);
	resv = DEVICE_CAP(iommu_device_cap_reserved_regions,
			  IOMMU_DEVICE_CAP_RESERVED_REGIONS);
	ASSERT_NE(NULL, cap);
	ASSERT_NE(NULL, resv);
	EXPECT_EQ(0, cap->__reserved);
	EXPECT_LE(2, cap->nr_iovas);
	for (n = 0; n < cap->nr_iovas; n++) {
		const struct iommu_iova_range *r = &cap->iova_ranges[n];

		EXPECT_LT(r->start, r->last);
		EXPECT_EQ(0, r->start % PG);
		EXPECT_EQ(PG - 1, r->last % PG);
		if (n) {
			EXPECT_LT(r[-1].last + 1, r->start);
		}
		for (k = 0; k < resv->nr_regions; k++) {
			const struct iommu_resv_region_info *x =
				&resv->regions[k];

			if (x->reason == IOMMU_RESV_REASON_DIRECT_RELAXABLE)
				continue;
			EQ(1, x->last < r->start || x->start > r->last,
			   "range %u overlaps region %u", n, k);
		}
	}
	/* The last address that the width can say, not the one behind it. */
	EXPECT_EQ(i->addr_width == 64 ? UINT64_MAX :
		  (1ULL << i->addr_width) - 1,
		  cap->iova_ranges[cap->nr_iovas - 1].last);
}

TEST_F(caps, reserved_regions)
{
	const struct iommu_device_cap_reserved_regions *cap;
	uint32_t n, msi = 0;

	cap = DEVICE_CAP(iommu_device_cap_reserved_regions,
			 IOMMU_DEVICE_CAP_RESERVED_REGIONS);
	ASSERT_NE(NULL, cap);
	EXPECT_EQ(0, cap->__reserved);
	for (n = 0; n < cap->nr_regions; n++) {
		const struct iommu_resv_region_info *x = &cap->regions[n];

		EXPECT_LE(x->start, x->last);
		EXPECT_EQ(0, x->__reserved);
		EXPECT_GE(IOMMU_RESV_REASON_APERTURE, x->reason);
		if (n) {
			EXPECT_LE(x[-1].start, x->start);
		}
		if (x->reason == IOMMU_RESV_REASON_MSI ||
		    x->reason == IOMMU_RESV_REASON_SW_MSI)
			msi++;
		if (x->reason == IOMMU_RESV_REASON_MSI &&
		    x->start == MSI_START) {
			EXPECT_EQ(MSI_LAST, x->last);
		}
	}
	EXPECT_EQ(1, msi);
}

TEST_F(caps, granule)
{
	const struct iommu_device_info *i = (void *)self->ref;
	const struct iommu_device_cap_granule *cap;

	cap = DEVICE_CAP(iommu_device_cap_granule, IOMMU_DEVICE_CAP_GRANULE);
	ASSERT_NE(NULL, cap);
	EXPECT_EQ(i->pgsize_bitmap, cap->pgsize_bitmap);
	EXPECT_EQ(GRANULE, cap->granule);
	EXPECT_EQ(sysconf(_SC_PAGESIZE), cap->cpu_page_size);
	/* Only where the IOMMU's page is larger than the CPU's. */
	EXPECT_EQ(GRANULE > PG ? IOMMU_GRANULE_NEEDS_CONTIGUOUS : 0,
		  cap->flags);
	EXPECT_EQ(0, cap->__reserved);
}

TEST_F(caps, widths)
{
	const struct iommu_device_cap_width *cap;

	cap = DEVICE_CAP(iommu_device_cap_width,
			 IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH);
	ASSERT_NE(NULL, cap);
	EXPECT_LE(36, cap->bits);
	EXPECT_GE(64, cap->bits);
	EXPECT_EQ(0, cap->__reserved);
	cap = DEVICE_CAP(iommu_device_cap_width, IOMMU_DEVICE_CAP_PASID_WIDTH);
	if (cap) {
		EXPECT_LE(1, cap->bits);
		EXPECT_GE(20, cap->bits);
	}
}

TEST_F(caps, group)
{
	const struct iommu_device_cap_group *cap;
	char path[300], link[PATH_MAX] = "";
	uint32_t n, self_seen = 0;

	cap = DEVICE_CAP(iommu_device_cap_group, IOMMU_DEVICE_CAP_GROUP);
	ASSERT_NE(NULL, cap);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 self->edu.bdf);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_EQ(atoi(strrchr(link, '/') + 1), (int)cap->group_id);
	EXPECT_LE(1, cap->nr_devices);
	EXPECT_EQ(0, cap->__reserved);
	EXPECT_EQ(0, cap->flags & ~1U);
	for (n = 0; n < cap->nr_devices; n++) {
		const char *name = cap->devices[n];
		size_t len = strnlen(name, IOMMU_DEVICE_NAME_LEN);

		ASSERT_GT(IOMMU_DEVICE_NAME_LEN, len);
		EXPECT_TRUE(bytes_are(name + len, IOMMU_DEVICE_NAME_LEN - len,
				      0));
		self_seen += !strcmp(name, self->edu.bdf);
		snprintf(path, sizeof(path),
			 "/sys/kernel/iommu_groups/%u/devices/%s",
			 cap->group_id, name);
		EQ(0, access(path, F_OK), "%s", path);
	}
	EXPECT_EQ(1, self_seen);
}

/* The VT-d registers say the same as GET_HW_INFO and sysfs. */
TEST_F(caps, vtd)
{
	const struct iommu_device_cap_pt_vtd *cap;
	struct iommu_hw_info_vtd vtd = { 0 };
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->edu.dev_id,
		.data_len = sizeof(vtd),
		.data_uptr = (uintptr_t)&vtd,
	};
	char path[300], text[64] = "";
	int fd;

	OK(try_ioctl(self->fd, IOMMU_GET_HW_INFO, &cmd));
	cap = DEVICE_CAP(iommu_device_cap_pt_vtd, IOMMU_DEVICE_CAP_PT_VTD);
	if (cmd.out_data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD) {
		EXPECT_EQ(NULL, cap);
		SKIP(return, "the IOMMU is not an Intel VT-d");
	}
	ASSERT_NE(NULL, cap);
	EXPECT_EQ(vtd.cap_reg, cap->cap_reg);
	EXPECT_EQ(vtd.ecap_reg, cap->ecap_reg);
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/intel-iommu/cap",
		 self->edu.bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	EXPECT_EQ(strtoull(text, NULL, 16), cap->cap_reg);
}

/* A number of the IOMMU's directory in sysfs; -1 when it is not there. */
static uint64_t virtio_attr(const char *bdf, const char *name)
{
	char path[300], text[64] = "";
	int fd;

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/granule-virtio-iommu/%s", bdf,
		 name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return UINT64_MAX;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtoull(text, NULL, 0);
}

TEST_F(caps, virtio_config)
{
	const struct iommu_device_cap_pt_virtio *cap;
	const struct iommu_device_cap_granule *granule;
	const char *bdf = self->edu.bdf;

	cap = DEVICE_CAP(iommu_device_cap_pt_virtio,
			 IOMMU_DEVICE_CAP_PT_VIRTIO);
	if (virtio_attr(bdf, "page_size_mask") == UINT64_MAX) {
		EXPECT_EQ(NULL, cap);
		SKIP(return, "the IOMMU is not a virtio-iommu of ours");
	}
	granule = DEVICE_CAP(iommu_device_cap_granule,
			     IOMMU_DEVICE_CAP_GRANULE);
	ASSERT_NE(NULL, cap);
	ASSERT_NE(NULL, granule);
	EXPECT_EQ(virtio_attr(bdf, "page_size_mask"), cap->page_size_mask);
	EXPECT_EQ(cap->page_size_mask, granule->pgsize_bitmap);
	EXPECT_EQ(virtio_attr(bdf, "granule"), granule->granule);
	EXPECT_EQ(virtio_attr(bdf, "first_iova"), cap->first_iova);
	EXPECT_EQ(virtio_attr(bdf, "last_iova"), cap->last_iova);
	EXPECT_LT(cap->first_iova, cap->last_iova);
	EXPECT_EQ(virtio_attr(bdf, "first_domain"), cap->first_domain);
	EXPECT_EQ(virtio_attr(bdf, "last_domain"), cap->last_domain);
	EXPECT_LE(cap->first_domain, cap->last_domain);
	EXPECT_EQ(virtio_attr(bdf, "bypass"), cap->flags & IOMMU_VIRTIO_BYPASS);
	EXPECT_EQ(0, cap->flags & ~IOMMU_VIRTIO_BYPASS);
	EXPECT_EQ(0, cap->__reserved);
}

/* Attaching does not change what the device can do. */
TEST_F(caps, same_when_attached)
{
	OK(edu_attach(&self->edu, self->ioas));
	memset(self->buf, 0x77, ROOM);
	OK(get_info(self->fd, self->buf, ROOM, self->edu.dev_id));
	EXPECT_EQ(0, memcmp(self->buf, self->ref, self->need));
}

/* What is promised before attach is what the IOAS then allows. */
TEST_F(caps, ranges_agree)
{
	const struct iommu_device_cap_iova_range *cap;
	struct iommu_iova_range r[64];
	uint32_t n = 64;

	cap = DEVICE_CAP(iommu_device_cap_iova_range,
			 IOMMU_DEVICE_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, cap);
	OK(edu_attach(&self->edu, self->ioas));
	OK(iommu_ranges(self->fd, self->ioas, r, &n, NULL));
	ASSERT_EQ(cap->nr_iovas, n);
	EXPECT_EQ(0, memcmp(r, cap->iova_ranges, n * sizeof(r[0])));
}

/* -- the IOAS ----------------------------------------------------------- */

static int ioas_get(int fd, void *buf, uint32_t argsz, uint32_t ioas)
{
	struct iommu_ioas_info *i = buf;

	i->argsz = argsz;
	i->ioas_id = ioas;
	return try_ioctl(fd, IOMMU_IOAS_GET_INFO, buf);
}

TEST_F(caps, ioas_every_size)
{
	const uint32_t fixed = sizeof(struct iommu_ioas_info);
	struct iommu_ioas_info *i, *ref = (void *)self->ref;
	const uint64_t g = GRANULE;
	uint8_t *mem = mem_large();
	uint32_t size, need;
	int rc, attached;

	ASSERT_NE(NULL, mem);
	for (attached = 0; attached < 2; attached++) {
		if (attached) {
			OK(iommu_map_at(self->fd, self->ioas, mem, g, RD,
					0x100000));
			OK(edu_attach(&self->edu, self->ioas));
		}
		memset(self->ref, 0, ROOM);
		OK(ioas_get(self->fd, ref, ROOM, self->ioas));
		need = ref->argsz;
		ASSERT_LE(fixed, need);
		ASSERT_GT(ROOM - 128, need);
		if (attached) {
			EXPECT_TRUE(ref->flags & IOMMU_IOAS_INFO_CAPS);
		}
		for (size = 0; size <= need + 64; size++) {
			memset(self->buf, 0xa5, ROOM);
			i = (void *)self->buf;
			rc = ioas_get(self->fd, i, size, self->ioas);
			EQ(size < fixed ? -EINVAL : 0, rc, "size %u", size);
			if (size < fixed)
				continue;
			EQ(need, i->argsz, "size %u", size);
			EQ(ref->flags, i->flags, "size %u", size);
			EQ(ref->mapped_bytes, i->mapped_bytes, "size %u",
			   size);
			if (size < need) {
				EQ(0, i->cap_offset, "size %u", size);
				EQ(1, bytes_are(self->buf + size, ROOM - size,
						0xa5),
				   "size %u: written beyond", size);
			} else {
				EQ(0, memcmp(self->buf, ref, need),
				   "size %u: differs", size);
				EQ(1, bytes_are(self->buf + need, ROOM - need,
						0xa5),
				   "size %u: written beyond", size);
			}
		}
	}
}

TEST_F(caps, ioas_devices)
{
	const struct iommu_device_cap_reserved_regions *resv;
	const struct iommu_ioas_cap_devices *devs;
	struct ioas_info info;
	uint32_t pt = self->ioas, n, msi = 0, outside = 0;

	/* None attached: nothing to list. */
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	devs = find_cap((void *)&info, info.i.argsz, info.i.cap_offset,
			IOMMU_IOAS_CAP_DEVICES);
	if (devs) {
		EXPECT_EQ(0, devs->nr_devices);
	}
	OK(edu_attach_pt(&self->edu, &pt));
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	EXPECT_EQ(GRANULE, info.i.granule);
	EXPECT_EQ(GRANULE, info.i.iova_alignment);
	devs = find_cap((void *)&info, info.i.argsz, info.i.cap_offset,
			IOMMU_IOAS_CAP_DEVICES);
	ASSERT_NE(NULL, devs);
	EXPECT_EQ(1, devs->header.version);
	ASSERT_EQ(1, devs->nr_devices);
	EXPECT_EQ(self->edu.dev_id, devs->devices[0].dev_id);
	EXPECT_EQ(pt, devs->devices[0].hwpt_id);
	EXPECT_STREQ(self->edu.bdf, devs->devices[0].name);
	resv = find_cap((void *)&info, info.i.argsz, info.i.cap_offset,
			IOMMU_IOAS_CAP_RESERVED_REGIONS);
	ASSERT_NE(NULL, resv);
	for (n = 0; n < resv->nr_regions; n++) {
		const struct iommu_resv_region_info *x = &resv->regions[n];

		EXPECT_LE(x->start, x->last);
		EXPECT_EQ(0, x->__reserved);
		msi += x->start <= MSI_START && x->last >= MSI_LAST &&
		       x->reason == IOMMU_RESV_REASON_MSI;
		if (x->reason == IOMMU_RESV_REASON_APERTURE) {
			outside++;
			EXPECT_EQ(UINT64_MAX, x->last);
		}
	}
	EXPECT_EQ(1, msi);
	EXPECT_EQ(1, outside);
	OK(edu_detach(&self->edu));
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	EXPECT_EQ(0, info.i.granule);
	EXPECT_EQ(1, info.i.iova_alignment);
}

TEST_F(caps, ioas_every_byte_defined)
{
	uint32_t need;
	int poison;

	OK(edu_attach(&self->edu, self->ioas));
	memset(self->ref, 0, ROOM);
	OK(ioas_get(self->fd, self->ref, ROOM, self->ioas));
	need = ((struct iommu_ioas_info *)self->ref)->argsz;
	for (poison = 0; poison < 256; poison += 51) {
		memset(self->buf, poison, ROOM);
		OK(ioas_get(self->fd, self->buf, ROOM, self->ioas));
		EQ(0, memcmp(self->buf, self->ref, need), "poison %#x", poison);
	}
}

/* Numbers of the IOAS follow the mappings, with and without a device. */
TEST_F(caps, ioas_numbers)
{
	const uint64_t g = GRANULE;
	uint8_t *mem = mem_large();
	struct ioas_info info;
	uint32_t ioas2;

	ASSERT_NE(NULL, mem);
	OK(iommu_ioas_alloc(self->fd, &ioas2));
	OK(iommu_map_at(self->fd, self->ioas, mem, 4 * g, RW, 0x100000));
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	EXPECT_EQ(4 * g, info.i.mapped_bytes);
	EXPECT_EQ(0, info.i.pinned_bytes);
	OK(edu_attach(&self->edu, self->ioas));
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	EXPECT_EQ(4 * g, info.i.pinned_bytes);
	/* "Memory that is mapped more than once is counted in each." */
	OK(iommu_copy_at(self->fd, self->ioas, self->ioas, 0x100000, g, RW,
			 0x200000));
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	EXPECT_EQ(2, info.i.nr_areas);
	EXPECT_EQ(5 * g, info.i.mapped_bytes);
	EXPECT_LE(4 * g, info.i.pinned_bytes);
	OK(iommu_ioas_info(self->fd, ioas2, &info));
	EXPECT_EQ(0, info.i.nr_areas);
	EXPECT_EQ(0, info.i.pinned_bytes);
	OK(iommu_unmap(self->fd, self->ioas, 0, WHOLE));
	OK(iommu_ioas_info(self->fd, self->ioas, &info));
	EXPECT_EQ(0, info.i.nr_areas);
	EXPECT_EQ(0, info.i.mapped_bytes);
	EXPECT_EQ(0, info.i.pinned_bytes);
}

TEST_HARNESS_MAIN
