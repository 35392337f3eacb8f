// SPDX-License-Identifier: LGPL-2.1-only
/* Fresh memory of several kinds, aligned for an IOMMU's granule. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

/* Sizes of hugetlb pages as in <linux/memfd.h>: log2 << 26. */
#define HUGE_SHIFT 26
/* Where the kernel does not tell; 2M on x86 and on arm64 with 4K pages. */
#define THP_SIZE (2ULL << 20)

/* A power of two from 1K on: "2M". */
#define SIZE_FMT "%u%c"
#define SIZE_ARGS(size) \
	1U << __builtin_ctzll(size) % 10, \
	"BKMGTPE"[__builtin_ctzll(size) / 10]

static const char *const names[] = {
	[IOMMU_MEMORY_ANONYMOUS] = "anonymous",
	[IOMMU_MEMORY_THP] = "thp",
	[IOMMU_MEMORY_HUGETLB] = "hugetlb",
	[IOMMU_MEMORY_BUFFER] = "buffer",
};

const char *iommu_memory_kind_name(enum iommu_memory_kind kind)
{
	return (unsigned int)kind < ARRAY_LEN(names) ? names[kind] : "unknown";
}

__attribute__((format(printf, 3, 4)))
static int fail(struct iommu_why *why, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return rc;
}

static int no_memory(struct iommu_why *why, int rc, __u64 length)
{
	return fail(why, rc, "%" PRIu64 " bytes of memory cannot be had: %s",
		    (uint64_t)length, strerror(-rc));
}

static bool is_power(__u64 v)
{
	return v && !(v & (v - 1));
}

/* @v up to a multiple of @align, a power of two; false when past 2^64. */
static bool round_up(__u64 *v, __u64 align)
{
	if (__builtin_add_overflow(*v, align - 1, v))
		return false;
	*v &= -align;
	return true;
}

int iommu_map_aligned(__u64 length, __u64 align, int prot, int flags, int fd,
		      __u64 offset, void **ret)
{
	__u64 page = sysconf(_SC_PAGESIZE), room;
	uintptr_t base, va;
	void *p;
	int rc;

	*ret = NULL;
	if (align < page)
		align = page;
	if (!length || !is_power(align))
		return -EINVAL;
	if (!round_up(&length, page) ||
	    __builtin_add_overflow(length, align - page, &room) ||
	    room > SIZE_MAX || offset > INT64_MAX)
		return -ENOMEM;
	p = mmap(NULL, room, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	base = (uintptr_t)p;
	va = (base + align - 1) & -align;
	p = mmap((void *)va, length, prot, flags | MAP_FIXED, fd, offset);
	if (p == MAP_FAILED) {
		rc = -errno;
		munmap((void *)base, room);
		return rc;
	}
	/* What alignment took in front and behind. */
	if (va > base)
		munmap((void *)base, va - base);
	if (base + room > va + length)
		munmap((void *)(va + length), base + room - va - length);
	*ret = p;
	return 0;
}

static __u64 thp_size(void)
{
	char buf[32] = "";
	__u64 size = 0;
	FILE *f;

	f = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "re");
	if (f) {
		if (fgets(buf, sizeof(buf), f))
			size = strtoull(buf, NULL, 10);
		fclose(f);
	}
	return is_power(size) ? size : THP_SIZE;
}

static int get_file(struct iommu_memory *mem, unsigned int flags, __u64 align,
		    struct iommu_why *why)
{
	struct stat st;
	int rc;

	mem->fd = memfd_create("libiommu", MFD_CLOEXEC | flags);
	if (mem->fd < 0)
		return no_memory(why, -errno, mem->length);
	/* Of hugetlb, this is the size of a page. */
	if (fstat(mem->fd, &st))
		return no_memory(why, -errno, mem->length);
	if (is_power(st.st_blksize) && align < (__u64)st.st_blksize)
		align = st.st_blksize;
	if (!round_up(&mem->length, st.st_blksize) ||
	    mem->length > INT64_MAX)
		return no_memory(why, -EFBIG, mem->length);
	if (ftruncate(mem->fd, mem->length))
		return no_memory(why, -errno, mem->length);
	rc = iommu_map_aligned(mem->length, align, PROT_READ | PROT_WRITE,
			       MAP_SHARED, mem->fd, 0, &mem->va);
	if (rc && flags & MFD_HUGETLB)
		return fail(why, rc, "%" PRIu64 " huge pages of " SIZE_FMT
			    " are not free: %s; reserve them in "
			    "/sys/kernel/mm/hugepages",
			    (uint64_t)(mem->length / st.st_blksize),
			    SIZE_ARGS(st.st_blksize), strerror(-rc));
	return rc ? no_memory(why, rc, mem->length) : 0;
}

static int get_anonymous(struct iommu_memory *mem,
			 const struct iommu_memory_want *want,
			 struct iommu_why *why)
{
	/* So that the IOMMU can use large pages where the CPU does. */
	__u64 align = mem->length >= THP_SIZE ? THP_SIZE : 0;

	return get_file(mem, 0, align > want->granule ? align : want->granule,
			why);
}

static int get_hugetlb(struct iommu_memory *mem,
		       const struct iommu_memory_want *want,
		       struct iommu_why *why)
{
	unsigned int flags = MFD_HUGETLB;
	int rc;

	if (want->huge) {
		if (!is_power(want->huge))
			return fail(why, -EINVAL, "%" PRIu64 " is no size of "
				    "huge pages, which are powers of two",
				    (uint64_t)want->huge);
		flags |= (unsigned int)__builtin_ctzll(want->huge)
			 << HUGE_SHIFT;
	}
	rc = get_file(mem, flags, want->granule, why);
	if (rc && mem->fd < 0 && want->huge)
		return fail(why, rc, "this kernel has no huge pages of "
			    SIZE_FMT ": %s", SIZE_ARGS(want->huge),
			    strerror(-rc));
	return rc;
}

/*
 * A whole huge page even for less than one: smaller contiguous pieces cannot
 * be asked for, and what is not touched costs nothing where the kernel has
 * smaller ones by itself (mTHP).
 */
static int get_thp(struct iommu_memory *mem,
		   const struct iommu_memory_want *want, struct iommu_why *why)
{
	__u64 huge = thp_size(), wanted = mem->length, align;
	int rc;

	align = huge > want->granule ? huge : want->granule;
	if (!round_up(&mem->length, huge))
		return no_memory(why, -ENOMEM, wanted);
	rc = iommu_map_aligned(mem->length, align, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &mem->va);
	if (rc)
		return no_memory(why, rc, mem->length);
	if (madvise(mem->va, mem->length, MADV_HUGEPAGE))
		return fail(why, -errno, "this kernel has no transparent huge "
			    "pages: %s", strerror(errno));
	/* Written to, or a mapping for reading would find the zero page. */
	if (madvise(mem->va, wanted, MADV_POPULATE_WRITE) && errno != EINVAL)
		return no_memory(why, -errno, wanted);
	return 0;
}

static int get_buffer(struct iommu_memory *mem,
		      const struct iommu_memory_want *want,
		      struct iommu_why *why)
{
	int rc = iommu_buffer_get(want->iommufd, want->ioas_id, want->granule,
				  mem->length, &mem->buffer);
	struct iommu_last_error e;

	if (rc == -ENOTTY)
		return fail(why, rc, "this /dev/iommu has no buffers, it is "
			    "not Granule's");
	if (rc && !iommu_last_error(want->iommufd, &e) &&
	    (int)e.out_errno == -rc && e.out_reason > IOMMU_REASON_ERRNO) {
		iommu_error_sentence(&e, NULL, why->text, sizeof(why->text));
		return rc;
	}
	if (rc)
		return no_memory(why, rc, mem->length);
	mem->va = mem->buffer.va;
	mem->length = mem->buffer.length;
	mem->offset = mem->buffer.offset;
	return 0;
}

int iommu_memory_get(const struct iommu_memory_want *want,
		     struct iommu_memory *ret, struct iommu_why *why)
{
	static int (*const fns[])(struct iommu_memory *mem,
				  const struct iommu_memory_want *want,
				  struct iommu_why *why) = {
		[IOMMU_MEMORY_ANONYMOUS] = get_anonymous,
		[IOMMU_MEMORY_THP] = get_thp,
		[IOMMU_MEMORY_HUGETLB] = get_hugetlb,
		[IOMMU_MEMORY_BUFFER] = get_buffer,
	};
	struct iommu_memory mem = {
		.kind = want->kind,
		.length = want->length,
		.fd = -1,
	};
	int rc;

	*ret = (struct iommu_memory){ .fd = -1 };
	if ((unsigned int)want->kind >= ARRAY_LEN(fns) || !want->length ||
	    (want->granule && !is_power(want->granule)))
		return fail(why, -EINVAL, "no such memory: the kind is "
			    "unknown, the length 0, or the granule no power "
			    "of two");
	rc = fns[want->kind](&mem, want, why);
	if (rc) {
		iommu_memory_put(want->iommufd, &mem);
		return rc;
	}
	*ret = mem;
	return 0;
}

void iommu_memory_put(int iommufd, struct iommu_memory *mem)
{
	if (mem->buffer.id)
		iommu_buffer_put(iommufd, &mem->buffer);
	else if (mem->va)
		munmap(mem->va, mem->length);
	if (mem->fd >= 0)
		close(mem->fd);
	*mem = (struct iommu_memory){ .fd = -1 };
}
