// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small /dev/iommu and VFIO in the process, in place of ioctl(2), for fds
 * that are regular files; other fds get the real one.
 *
 * One device and one IOAS, 4K pages, 39 bits, the MSI region of x86. Areas are
 * kept in the file that stands for /dev/iommu, so that other processes see
 * them. The variable MOCK chooses a variation:
 *   upstream   no ioctl of Granule's own
 *   badchain   a capability chain that leaves the buffer
 *   busy       the device is bound by somebody else
 *   16k        pages of 16K: memory is contiguous where it is advised to be
 *              of huge pages, or a buffer
 *   16k-nothp  the same without huge pages
 *   16k-none   nor buffers
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/capchain.h"
#include "libiommu.h"

#define PAGE 4096ULL
#define APERTURE_LAST ((1ULL << 39) - 1)
#define MSI_START 0xfee00000ULL
#define MSI_LAST 0xfeefffffULL
#define IOAS_ID 2
#define DEV_ID 1
#define HWPT_ID 3
#define BUFFER_ID 4

int ioctl(int fd, unsigned long cmd, ...);

static const struct iommu_iova_range usable[] = {
	{ 0, MSI_START - 1 },
	{ MSI_LAST + 1, APERTURE_LAST },
};

static struct iommu_last_error last;
static uint64_t raised;		/* IOMMU_OPTION_IOAS_GRANULE */
static uint64_t buffers;	/* bytes of them in the file */

static bool mode(const char *name)
{
	const char *mock = getenv("MOCK");

	return mock && !strcmp(mock, name);
}

static uint64_t device_granule(void)
{
	const char *mock = getenv("MOCK");

	return mock && !strncmp(mock, "16k", 3) ? 16384 : PAGE;
}

static uint64_t granule(void)
{
	return raised > device_granule() ? raised : device_granule();
}

static int no(unsigned long cmd, int err, struct iommu_last_error why)
{
	last = why;
	last.size = sizeof(last);
	last.out_cmd = cmd;
	last.out_errno = err;
	errno = err;
	return -1;
}

/* Areas in the file: IOAS_ALLOC empties it. */
static size_t load(int fd, struct iommu_area_info *areas, size_t max)
{
	ssize_t n = pread(fd, areas, max * sizeof(*areas), 0);
	size_t nr = 0;

	while (n > 0 && nr < n / sizeof(*areas) && areas[nr].length)
		nr++;
	return nr;
}

/* Whether a mapping's flags in smaps have @flag, or its file is @file. */
static bool memory_has(uint64_t va, const char *flag, const char *file)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool here = false, found = false;
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			here = va >= start && va < end;
			found |= here && file && strstr(line, file);
		} else if (here && !strncmp(line, "VmFlags:", 8)) {
			found |= flag && strstr(line, flag);
		}
	}
	if (f)
		fclose(f);
	return found;
}

static bool contiguous(const struct iommu_ioas_map *m)
{
	return granule() == PAGE || memory_has(m->user_va, NULL, "/dev/iommu") ||
	       (!mode("16k-nothp") && !mode("16k-none") &&
		memory_has(m->user_va, " hg", NULL));
}

static int map(int fd, struct iommu_ioas_map *m)
{
	struct iommu_area_info areas[64], new;
	size_t nr = load(fd, areas, 64), i;
	struct rlimit memlock;
	uint64_t end, used = 0;

	if ((m->iova | m->length) & (granule() - 1))
		return no(IOMMU_IOAS_MAP, EINVAL, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_MISALIGNED,
			.out_detail = m->iova & (granule() - 1) ?
				IOMMU_REASON_FIELD_IOVA :
				IOMMU_REASON_FIELD_LENGTH,
			.out_addr = m->iova & (granule() - 1) ? m->iova :
								m->length,
			.out_limit = granule() });
	if (m->user_va & (granule() - 1))
		return no(IOMMU_IOAS_MAP, EINVAL, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_MISALIGNED,
			.out_detail = IOMMU_REASON_FIELD_USER_VA,
			.out_addr = m->user_va, .out_limit = granule() });
	for (i = 0; i < nr; i++) {
		used += areas[i].length;
		if (!(m->flags & IOMMU_IOAS_MAP_FIXED_IOVA))
			m->iova = areas[i].iova + areas[i].length;
	}
	if (__builtin_add_overflow(m->iova, m->length - 1, &end))
		return no(IOMMU_IOAS_MAP, EOVERFLOW, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_OVERFLOW,
			.out_addr = m->iova, .out_need = m->length });
	if (end > APERTURE_LAST)
		return no(IOMMU_IOAS_MAP, EINVAL, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_RESERVED,
			.out_detail = IOMMU_RESV_REASON_APERTURE,
			.out_addr = end, .out_start = APERTURE_LAST + 1,
			.out_last = UINT64_MAX });
	if (m->iova <= MSI_LAST && end >= MSI_START)
		return no(IOMMU_IOAS_MAP, EINVAL, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_RESERVED,
			.out_detail = IOMMU_RESV_REASON_MSI,
			.out_addr = m->iova > MSI_START ? m->iova : MSI_START,
			.out_start = MSI_START, .out_last = MSI_LAST });
	for (i = 0; i < nr; i++) {
		if (m->iova < areas[i].iova + areas[i].length &&
		    end >= areas[i].iova)
			return no(IOMMU_IOAS_MAP, EEXIST,
				  (struct iommu_last_error){
				.out_reason = IOMMU_REASON_OVERLAP,
				.out_addr = m->iova,
				.out_start = areas[i].iova,
				.out_last = areas[i].iova +
					    areas[i].length - 1 });
	}
	getrlimit(RLIMIT_MEMLOCK, &memlock);
	if (getenv("MOCK_MEMLOCK") && used + m->length > memlock.rlim_cur)
		return no(IOMMU_IOAS_MAP, ENOMEM, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_MEMLOCK,
			.out_limit = memlock.rlim_cur, .out_usage = used,
			.out_need = m->length });
	if (!contiguous(m))
		return no(IOMMU_IOAS_MAP, EINVAL, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_NOT_CONTIGUOUS,
			.out_addr = m->user_va + granule(),
			.out_start = m->iova, .out_last = end,
			.out_limit = granule(),
			.out_need = m->length / granule() - 1,
			.out_usage = m->length / granule() });
	new = (struct iommu_area_info){
		.iova = m->iova, .length = m->length, .user_va = m->user_va,
		.flags = m->flags & ~IOMMU_IOAS_MAP_FIXED_IOVA,
		.source = IOMMU_AREA_SOURCE_USER,
	};
	if (pwrite(fd, &new, sizeof(new), nr * sizeof(new)) != sizeof(new))
		abort();
	return 0;
}

static int ranges(struct iommu_ioas_iova_ranges *r)
{
	u32 room = r->num_iovas;

	if (r->ioas_id != IOAS_ID)
		return no(IOMMU_IOAS_IOVA_RANGES, ENOENT,
			  (struct iommu_last_error){
				.out_reason = IOMMU_REASON_NO_OBJECT,
				.out_object_id = r->ioas_id });
	r->num_iovas = 2;
	r->out_iova_alignment = granule();
	if (room < 2) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy((void *)(uintptr_t)r->allowed_iovas, usable, sizeof(usable));
	return 0;
}

static void regions(struct capchain *c, u16 id)
{
	struct iommu_device_cap_reserved_regions *cap;

	cap = capchain_add(c, id, 1, sizeof(*cap) + sizeof(cap->regions[0]));
	if (!cap)
		return;
	cap->nr_regions = 1;
	cap->regions[0] = (struct iommu_resv_region_info){
		.start = MSI_START, .last = MSI_LAST,
		.reason = IOMMU_RESV_REASON_MSI };
}

static uint64_t page_sizes(void)
{
	return device_granule() > PAGE ? 0x2004000 : 0x40201000;
}

static void device_caps(struct capchain *c)
{
	struct iommu_device_cap_iova_range *iovas;
	struct iommu_device_cap_granule *granule;
	struct iommu_device_cap_width *width;
	struct iommu_device_cap_group *group;

	iovas = capchain_add(c, IOMMU_DEVICE_CAP_IOVA_RANGE, 1,
			     sizeof(*iovas) + sizeof(usable));
	if (iovas) {
		iovas->nr_iovas = mode("badchain") ? 1000 : 2;
		memcpy(iovas->iova_ranges, usable, sizeof(usable));
	}
	regions(c, IOMMU_DEVICE_CAP_RESERVED_REGIONS);
	granule = capchain_add(c, IOMMU_DEVICE_CAP_GRANULE, 1,
			       sizeof(*granule));
	if (granule) {
		granule->pgsize_bitmap = page_sizes();
		granule->granule = device_granule();
		granule->cpu_page_size = PAGE;
		if (device_granule() > PAGE)
			granule->flags = IOMMU_GRANULE_NEEDS_CONTIGUOUS;
	}
	width = capchain_add(c, IOMMU_DEVICE_CAP_OUTPUT_ADDR_WIDTH, 1,
			     sizeof(*width));
	if (width)
		width->bits = 46;
	group = capchain_add(c, IOMMU_DEVICE_CAP_GROUP, 1,
			     sizeof(*group) + sizeof(group->devices[0]));
	if (group) {
		group->group_id = 3;
		group->flags = IOMMU_GROUP_ISOLATED_MSI;
		group->nr_devices = 1;
		strcpy(group->devices[0], "0000:00:03.0");
	}
	/* One that no program knows: to be skipped. */
	capchain_add(c, 0x7fff, 1, 24);
}

static void ioas_caps(struct capchain *c)
{
	struct iommu_ioas_cap_devices *cap;

	cap = capchain_add(c, IOMMU_IOAS_CAP_DEVICES, 1,
			   sizeof(*cap) + sizeof(cap->devices[0]));
	if (cap) {
		cap->nr_devices = 1;
		cap->devices[0] = (struct iommu_ioas_device){
			.dev_id = DEV_ID, .hwpt_id = HWPT_ID,
			.name = "0000:00:03.0" };
	}
	regions(c, IOMMU_IOAS_CAP_RESERVED_REGIONS);
}

/* Fill in the chain behind a head of @head bytes; 0 where there is no room. */
static u32 chain(void *info, u32 head, u32 *argsz,
		 void (*fill)(struct capchain *))
{
	struct capchain c;
	u32 size, room = *argsz;

	capchain_init(&c, NULL, 0, head);
	fill(&c);
	capchain_finish(&c, &size);
	*argsz = head + size;
	if (room < head + size)
		return 0;
	memset((char *)info + head, 0, size);
	capchain_init(&c, (char *)info + head, size, head);
	fill(&c);
	capchain_finish(&c, &size);
	return head;
}

static int device_info(struct iommu_device_info *info)
{
	info->flags = IOMMU_DEVICE_INFO_PGSIZES |
		      IOMMU_DEVICE_INFO_ADDR_WIDTH | IOMMU_DEVICE_INFO_CAPS |
		      IOMMU_DEVICE_INFO_ENFORCE_SNOOP;
	info->pgsize_bitmap = page_sizes();
	info->addr_width = 39;
	info->cap_offset = chain(info, sizeof(*info), &info->argsz,
				 device_caps);
	return 0;
}

static int ioas_info(int fd, struct iommu_ioas_info *info)
{
	struct iommu_area_info areas[64];
	size_t i;

	if (info->ioas_id != IOAS_ID)
		return no(IOMMU_IOAS_GET_INFO, ENOENT,
			  (struct iommu_last_error){
				.out_reason = IOMMU_REASON_NO_OBJECT,
				.out_object_id = info->ioas_id });
	info->flags = IOMMU_IOAS_INFO_CAPS;
	info->granule = info->iova_alignment = granule();
	info->nr_areas = load(fd, areas, 64);
	info->mapped_bytes = 0;
	for (i = 0; i < info->nr_areas; i++)
		info->mapped_bytes += areas[i].length;
	info->pinned_bytes = info->memlock_used = info->mapped_bytes;
	info->area_quota = info->memlock_limit = UINT64_MAX;
	info->cap_offset = chain(info, sizeof(*info), &info->argsz, ioas_caps);
	return 0;
}

/* One area a call, so that the caller has to go on. */
static int list_areas(int fd, struct iommu_ioas_list_areas *l)
{
	struct iommu_area_info areas[64], *found = NULL;
	size_t nr = load(fd, areas, 64), i, left = 0;

	for (i = 0; i < nr; i++) {
		if (areas[i].iova < l->iova)
			continue;
		left++;
		if (!found || areas[i].iova < found->iova)
			found = &areas[i];
	}
	l->num_areas = !!found;
	l->out_more = left > 1;
	if (found) {
		memcpy((void *)(uintptr_t)l->areas, found, sizeof(*found));
		l->iova = found->iova + found->length;
	}
	return 0;
}

static int option(struct iommu_option *o)
{
	if (o->option_id != IOMMU_OPTION_IOAS_GRANULE || mode("upstream")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (o->op == IOMMU_OPTION_OP_GET) {
		o->val64 = granule();
		return 0;
	}
	if (o->val64 < PAGE || o->val64 > 1 << 30)
		return no(IOMMU_OPTION, EINVAL, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_BAD_GRANULE,
			.out_usage = o->val64, .out_need = PAGE,
			.out_limit = 1 << 30 });
	raised = o->val64;
	return 0;
}

/* Pieces of the file, behind the areas. */
static int buffer(int fd, struct iommu_buffer_alloc *b)
{
	uint64_t g = b->granule > granule() ? b->granule : granule();

	if (mode("16k-none"))
		return no(IOMMU_BUFFER_ALLOC, ENOMEM, (struct iommu_last_error){
			.out_reason = IOMMU_REASON_NO_MEMORY,
			.out_need = b->length, .out_limit = g });
	b->out_length = (b->length + g - 1) & -g;
	b->out_granule = g;
	b->out_buffer_id = BUFFER_ID;
	b->out_mmap_offset = (1 << 20) + buffers;
	buffers += b->out_length;
	return ftruncate(fd, (1 << 20) + buffers);
}

static int granule_ioctl(int fd, unsigned long cmd, void *arg)
{
	switch (cmd) {
	case IOMMU_DEVICE_GET_INFO:
		return device_info(arg);
	case IOMMU_IOAS_GET_INFO:
		return ioas_info(fd, arg);
	case IOMMU_IOAS_LIST_AREAS:
		return list_areas(fd, arg);
	case IOMMU_BUFFER_ALLOC:
		return buffer(fd, arg);
	case IOMMU_DESTROY:
		return 0;
	case IOMMU_GET_LAST_ERROR:
		memcpy(arg, &last, sizeof(last));
		return 0;
	}
	errno = ENOTTY;
	return -1;
}

int ioctl(int fd, unsigned long cmd, ...)
{
	struct stat st;
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return syscall(SYS_ioctl, fd, cmd, arg);
	switch (cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		if (mode("busy")) {
			errno = EINVAL;
			return -1;
		}
		((struct vfio_device_bind_iommufd *)arg)->out_devid = DEV_ID;
		return 0;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		((struct vfio_device_attach_iommufd_pt *)arg)->pt_id = HWPT_ID;
		return 0;
	case IOMMU_IOAS_ALLOC:
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = IOAS_ID;
		return ftruncate(fd, 0);
	case IOMMU_IOAS_IOVA_RANGES:
		return ranges(arg);
	case IOMMU_IOAS_MAP:
		return map(fd, arg);
	case IOMMU_OPTION:
		return option(arg);
	}
	if (!mode("upstream"))
		return granule_ioctl(fd, cmd, arg);
	errno = ENOTTY;
	return -1;
}
