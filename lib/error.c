// SPDX-License-Identifier: LGPL-2.1-only
/* Failures in words: a table from reason to rule and remedy. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <linux/capability.h>

#include "core/iova_range.h"
#include "private.h"

/*
 * A sentence is "rule; remedy", with these words filled in:
 *
 *  {addr} {start} {last}  in hex      {limit.x}  a power of two in hex
 *  {limit} {usage} {need} as sizes    {limit.n} {usage.n} {need.n} as numbers
 *  {object} {cmd} {errno} {cap}       {resv}     a reserved region's reason
 *  {down}   {addr} rounded down to {limit}       {total} usage + need
 *  {kib}    {total} in KiB, rounded up         {bounds} {need} to {limit}
 *  {of}     " of {usage.n}" where that is known  {are} for {need.n}
 *  {ranges} ", see 'iommuctl ranges DEVICE'" where a device is given
 */
struct sentence {
	enum iommu_error_kind kind;	/* OK: what the errno says */
	const char *rule;
	const char *remedy;
};

#define REASON_LAST IOMMU_REASON_NO_MEMORY

static const struct sentence sentences[] = {
	[IOMMU_REASON_NONE] = {
		IOMMU_ERROR_OTHER,
		"the kernel recorded no failure of this thread on this file",
		"ask in the thread that failed, before it calls again" },
	[IOMMU_REASON_ERRNO] = {
		IOMMU_ERROR_OK,
		"{cmd} failed: {errno}",
		"the kernel gave no further reason, see its log" },
	[IOMMU_REASON_ARG_SIZE] = {
		IOMMU_ERROR_OTHER,
		"the argument of {cmd} has a wrong size or number of elements, "
		"{usage.n} where this kernel module wants {bounds}",
		"use a program and a module of the same version, or give room "
		"for all" },
	[IOMMU_REASON_ARG_FLAGS] = {
		IOMMU_ERROR_OTHER,
		"{cmd} was given a flag or a reserved field that this kernel "
		"module does not know",
		"use a newer module, or a program that asks for less" },
	[IOMMU_REASON_NO_OBJECT] = {
		IOMMU_ERROR_NOT_FOUND,
		"there is no object {object} in this context",
		"use an ID that this context gave out and that is not "
		"destroyed" },
	[IOMMU_REASON_WRONG_TYPE] = {
		IOMMU_ERROR_NOT_FOUND,
		"object {object} is not of the type that {cmd} works on",
		"give the ID of an object of the right type" },
	[IOMMU_REASON_OBJECT_BUSY] = {
		IOMMU_ERROR_BUSY,
		"object {object} is still used by a device, by another object "
		"or by another thread",
		"detach or destroy its users first" },
	[IOMMU_REASON_ZERO_LENGTH] = {
		IOMMU_ERROR_REFUSED,
		"the length is 0 and a mapping has at least one page",
		"give a length" },
	[IOMMU_REASON_OVERFLOW] = {
		IOMMU_ERROR_REFUSED,
		"{need} from {addr} on pass the end of the address space",
		"choose a lower address or a smaller length" },
	[IOMMU_REASON_MISALIGNED] = {
		IOMMU_ERROR_REFUSED,
		"{addr} is not a multiple of {limit.x}, the IOMMU's smallest "
		"page here",
		"{down} is" },
	[IOMMU_REASON_RESERVED] = {
		IOMMU_ERROR_REFUSED,
		"IOVA {addr} is in the reserved region {start}-{last} ({resv})",
		"choose another IOVA{ranges}" },
	[IOMMU_REASON_OVERLAP] = {
		IOMMU_ERROR_REFUSED,
		"IOVA {addr} is in use by the mapping {start}-{last}",
		"choose another IOVA, or unmap that one first" },
	[IOMMU_REASON_NO_IOVA] = {
		IOMMU_ERROR_REFUSED,
		"no free range of {need} aligned to {limit.x} is left in the "
		"IOVA space",
		"map less, or unmap something first{ranges}" },
	[IOMMU_REASON_BAD_MEMORY] = {
		IOMMU_ERROR_REFUSED,
		"the memory at {addr} cannot be pinned, because it is not "
		"mapped in the process, not writable, or a device's",
		"give ordinary memory, or map it for reading only" },
	[IOMMU_REASON_MEMLOCK] = {
		IOMMU_ERROR_REFUSED,
		"the limit on locked memory (RLIMIT_MEMLOCK) is {limit}, "
		"{usage} are used and {need} more are needed",
		"raise it to at least {kib} KiB ('ulimit -l {kib}', or "
		"LimitMEMLOCK={kib}K in a systemd unit), or run with "
		"CAP_IPC_LOCK" },
	[IOMMU_REASON_QUOTA] = {
		IOMMU_ERROR_REFUSED,
		"{usage.n} mappings are there and at most {limit.n} are "
		"allowed",
		"unmap some, map larger pieces, or raise "
		"IOMMU_OPTION_AREA_QUOTA" },
	[IOMMU_REASON_NOT_CONTIGUOUS] = {
		IOMMU_ERROR_REFUSED,
		"{need.n}{of} granules of {limit} of the memory {are} not "
		"physically contiguous and aligned, the first at {addr} in "
		"the process, and the IOMMU has no smaller page here",
		"use huge pages (hugetlb, or THP by madvise), mTHP of {limit}, "
		"or a buffer (IOMMU_BUFFER_ALLOC)" },
	[IOMMU_REASON_PARTIAL] = {
		IOMMU_ERROR_REFUSED,
		"the range cuts the mapping {start}-{last}, and mappings go "
		"only as a whole",
		"give a range that holds all of it" },
	[IOMMU_REASON_NOT_MAPPED] = {
		IOMMU_ERROR_NOT_FOUND,
		"nothing is mapped at IOVA {addr}",
		"give the IOVA of a mapping, 'iommuctl maps' lists them" },
	[IOMMU_REASON_IN_PROGRESS] = {
		IOMMU_ERROR_BUSY,
		"another thread is changing the mapping {start}-{last}",
		"try again when it is done" },
	[IOMMU_REASON_READ_ONLY] = {
		IOMMU_ERROR_REFUSED,
		"the memory was mapped for reading only and a writable copy "
		"of it is asked for",
		"copy it for reading only, or map it writable in the first "
		"place" },
	[IOMMU_REASON_PRIVILEGE] = {
		IOMMU_ERROR_PERMISSION,
		"{cmd} needs {cap} here",
		"run it as root or with that capability" },
	[IOMMU_REASON_TOO_LATE] = {
		IOMMU_ERROR_BUSY,
		"{cmd} must come before any object is created in a context",
		"open /dev/iommu anew and set the option first" },
	[IOMMU_REASON_NOT_REACHABLE] = {
		IOMMU_ERROR_REFUSED,
		"the IOVAs {start}-{last} are to stay usable, but {addr} in "
		"them is reserved ({resv})",
		"leave that region out of the allowed ranges{ranges}" },
	[IOMMU_REASON_AREA_UNREACHABLE] = {
		IOMMU_ERROR_REFUSED,
		"the mapping {start}-{last} is in the way, because the device "
		"cannot use IOVA {addr} ({resv})",
		"unmap it, or attach the device to another IOAS{ranges}" },
	[IOMMU_REASON_NO_IOMMU] = {
		IOMMU_ERROR_REFUSED,
		"the device is not behind an IOMMU, so its DMA cannot be "
		"confined",
		"switch the IOMMU on in the firmware and on the kernel's "
		"command line (intel_iommu=on)" },
	[IOMMU_REASON_GROUP_BUSY] = {
		IOMMU_ERROR_BUSY,
		"a device of IOMMU group {object} belongs to another driver "
		"or user",
		"see 'iommuctl group show {object}' for which, and bind or "
		"unbind it" },
	[IOMMU_REASON_UNSAFE_INTERRUPTS] = {
		IOMMU_ERROR_REFUSED,
		"the platform does not remap interrupts, so the device could "
		"forge them",
		"switch interrupt remapping on in the firmware and on the "
		"kernel's command line, or trust the device with that ('echo "
		"Y >/sys/module/granule/parameters/allow_unsafe_interrupts')" },
	[IOMMU_REASON_NOT_COHERENT] = {
		IOMMU_ERROR_REFUSED,
		"the device's DMA is not cache-coherent, which user mappings "
		"need",
		"use a device that the platform makes coherent" },
	[IOMMU_REASON_INCOMPATIBLE] = {
		IOMMU_ERROR_REFUSED,
		"the page table does not fit the device's IOMMU",
		"attach the device to the IOAS, or make a page table for this "
		"device" },
	[IOMMU_REASON_GROUP_ATTACHED] = {
		IOMMU_ERROR_BUSY,
		"another device of IOMMU group {object} is attached to another "
		"address space, and a group shares one",
		"attach both to the same, or detach the other device" },
	[IOMMU_REASON_AREA_MISALIGNED] = {
		IOMMU_ERROR_REFUSED,
		"the mapping {start}-{last} is not aligned to {limit.x}, the "
		"smallest page of the device's IOMMU",
		"unmap it, or attach the device to another IOAS" },
	[IOMMU_REASON_BAD_POINTER] = {
		IOMMU_ERROR_OTHER,
		"the argument of {cmd} points to memory that cannot be read "
		"or written",
		"pass a valid pointer" },
	[IOMMU_REASON_BAD_RANGE] = {
		IOMMU_ERROR_OTHER,
		"the range {start}-{last} of the list is empty, reversed, or "
		"overlaps another one",
		"pass disjoint ranges, each with start below last" },
	[IOMMU_REASON_BAD_GRANULE] = {
		IOMMU_ERROR_REFUSED,
		"a granule of {usage} was asked for, and it has to be a power "
		"of two from {need} to {limit}",
		"give one of these" },
	[IOMMU_REASON_NO_MEMORY] = {
		IOMMU_ERROR_REFUSED,
		"the kernel has only {usage} of the {need} of memory asked for "
		"in contiguous pieces of {limit}",
		"ask for less, or let the kernel join what is free ('echo 1 "
		">/proc/sys/vm/compact_memory')" },
};

/* Sentences that depend on out_detail too; looked up first. */
static const struct {
	enum iommu_reason reason;
	__u32 detail;
	struct sentence s;
} details[] = {
	{ IOMMU_REASON_RESERVED, IOMMU_RESV_REASON_APERTURE, {
		IOMMU_ERROR_REFUSED,
		"IOVA {addr} is outside the aperture, the IOMMU does not "
		"translate {start}-{last}",
		"choose a lower IOVA{ranges}" } },
	{ IOMMU_REASON_MISALIGNED, IOMMU_REASON_FIELD_IOVA, {
		IOMMU_ERROR_REFUSED,
		"IOVA {addr} is not a multiple of {limit.x}, the IOMMU's "
		"smallest page here",
		"{down} is" } },
	{ IOMMU_REASON_MISALIGNED, IOMMU_REASON_FIELD_USER_VA, {
		IOMMU_ERROR_REFUSED,
		"the memory at {addr} does not lie within {limit.x}, the "
		"IOMMU's smallest page here, as the IOVA does",
		"align the memory like the IOVA" } },
	{ IOMMU_REASON_MISALIGNED, IOMMU_REASON_FIELD_LENGTH, {
		IOMMU_ERROR_REFUSED,
		"length {addr} is not a multiple of {limit.x}, the IOMMU's "
		"smallest page here",
		"round it up" } },
};

_Static_assert(ARRAY_LEN(sentences) == REASON_LAST + 1,
	       "every reason has its sentence");

/*
 * Compile-time nets: a reason that the uAPI adds is an error here (-Wswitch),
 * and then one in the assertion above.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"
static const struct sentence *find(__u32 reason, __u32 detail)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(details); i++) {
		if (details[i].reason == reason && details[i].detail == detail)
			return &details[i].s;
	}
	switch ((enum iommu_reason)reason) {
	case IOMMU_REASON_NONE:
	case IOMMU_REASON_ERRNO:
	case IOMMU_REASON_ARG_SIZE:
	case IOMMU_REASON_ARG_FLAGS:
	case IOMMU_REASON_NO_OBJECT:
	case IOMMU_REASON_WRONG_TYPE:
	case IOMMU_REASON_OBJECT_BUSY:
	case IOMMU_REASON_ZERO_LENGTH:
	case IOMMU_REASON_OVERFLOW:
	case IOMMU_REASON_MISALIGNED:
	case IOMMU_REASON_RESERVED:
	case IOMMU_REASON_OVERLAP:
	case IOMMU_REASON_NO_IOVA:
	case IOMMU_REASON_BAD_MEMORY:
	case IOMMU_REASON_MEMLOCK:
	case IOMMU_REASON_QUOTA:
	case IOMMU_REASON_NOT_CONTIGUOUS:
	case IOMMU_REASON_PARTIAL:
	case IOMMU_REASON_NOT_MAPPED:
	case IOMMU_REASON_IN_PROGRESS:
	case IOMMU_REASON_READ_ONLY:
	case IOMMU_REASON_PRIVILEGE:
	case IOMMU_REASON_TOO_LATE:
	case IOMMU_REASON_NOT_REACHABLE:
	case IOMMU_REASON_AREA_UNREACHABLE:
	case IOMMU_REASON_NO_IOMMU:
	case IOMMU_REASON_GROUP_BUSY:
	case IOMMU_REASON_UNSAFE_INTERRUPTS:
	case IOMMU_REASON_NOT_COHERENT:
	case IOMMU_REASON_INCOMPATIBLE:
	case IOMMU_REASON_GROUP_ATTACHED:
	case IOMMU_REASON_AREA_MISALIGNED:
	case IOMMU_REASON_BAD_POINTER:
	case IOMMU_REASON_BAD_RANGE:
	case IOMMU_REASON_BAD_GRANULE:
	case IOMMU_REASON_NO_MEMORY:
		return &sentences[reason];
	}
	/* A newer kernel's. */
	return &sentences[IOMMU_REASON_ERRNO];
}
#pragma GCC diagnostic pop

static const struct {
	const char *name;
	const char *text;
} resv_reasons[] = {
	[IOMMU_RESV_REASON_DIRECT] = {
		"direct", "firmware needs it mapped 1:1" },
	[IOMMU_RESV_REASON_DIRECT_RELAXABLE] = {
		"direct-relaxable",
		"firmware asked for it but a user may have it" },
	[IOMMU_RESV_REASON_RESERVED] = {
		"reserved", "the platform or the bus uses these addresses" },
	[IOMMU_RESV_REASON_MSI] = {
		"msi", "writes there are interrupts" },
	[IOMMU_RESV_REASON_SW_MSI] = {
		"sw-msi", "the kernel maps the MSI doorbell there" },
	[IOMMU_RESV_REASON_APERTURE] = {
		"aperture", "the IOMMU does not translate these addresses" },
};

const char *iommu_resv_reason_name(__u32 reason)
{
	return reason < ARRAY_LEN(resv_reasons) ? resv_reasons[reason].name :
						  "unknown";
}

const char *iommu_resv_reason_text(__u32 reason)
{
	return reason < ARRAY_LEN(resv_reasons) ?
		       resv_reasons[reason].text :
		       "this program does not know the reason";
}

static const struct {
	__u32 cmd;
	const char *name;
} commands[] = {
	{ IOMMU_BUFFER_ALLOC, "IOMMU_BUFFER_ALLOC" },
	{ IOMMU_DESTROY, "IOMMU_DESTROY" },
	{ IOMMU_DEVICE_GET_INFO, "IOMMU_DEVICE_GET_INFO" },
	{ IOMMU_GET_HW_INFO, "IOMMU_GET_HW_INFO" },
	{ IOMMU_GET_LAST_ERROR, "IOMMU_GET_LAST_ERROR" },
	{ IOMMU_HWPT_ALLOC, "IOMMU_HWPT_ALLOC" },
	{ IOMMU_IOAS_ALLOC, "IOMMU_IOAS_ALLOC" },
	{ IOMMU_IOAS_ALLOW_IOVAS, "IOMMU_IOAS_ALLOW_IOVAS" },
	{ IOMMU_IOAS_COPY, "IOMMU_IOAS_COPY" },
	{ IOMMU_IOAS_GET_INFO, "IOMMU_IOAS_GET_INFO" },
	{ IOMMU_IOAS_IOVA_RANGES, "IOMMU_IOAS_IOVA_RANGES" },
	{ IOMMU_IOAS_LIST_AREAS, "IOMMU_IOAS_LIST_AREAS" },
	{ IOMMU_IOAS_MAP, "IOMMU_IOAS_MAP" },
	{ IOMMU_IOAS_UNMAP, "IOMMU_IOAS_UNMAP" },
	{ IOMMU_OPTION, "IOMMU_OPTION" },
	{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, "VFIO_DEVICE_ATTACH_IOMMUFD_PT" },
	{ VFIO_DEVICE_BIND_IOMMUFD, "VFIO_DEVICE_BIND_IOMMUFD" },
	{ VFIO_DEVICE_DETACH_IOMMUFD_PT, "VFIO_DEVICE_DETACH_IOMMUFD_PT" },
};

static const struct {
	__u32 number;
	const char *name;
} capabilities[] = {
	{ CAP_IPC_LOCK, "CAP_IPC_LOCK" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
	{ CAP_SYS_RAWIO, "CAP_SYS_RAWIO" },
	{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE" },
};

/* Output of at most @room bytes that goes on counting past them. */
struct out {
	char *buf;
	size_t room;
	size_t used;
};

__attribute__((format(printf, 2, 3)))
static void put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->used < o->room ? o->buf + o->used : NULL,
		      o->used < o->room ? o->room - o->used : 0, fmt, ap);
	va_end(ap);
	if (n > 0)
		o->used += n;
}

/* "64 KiB" where that is exact, else bytes. */
static void put_size(struct out *o, __u64 v)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	int i = -1;

	if (v == UINT64_MAX) {
		put(o, "unlimited");
		return;
	}
	while (v && !(v & 1023) && i < (int)ARRAY_LEN(units) - 1) {
		v >>= 10;
		i++;
	}
	put(o, "%" PRIu64 " %s", (uint64_t)v,
	    i >= 0 ? units[i] : v == 1 ? "byte" : "bytes");
}

static void put_hex(struct out *o, __u64 v)
{
	put(o, "0x%" PRIx64, (uint64_t)v);
}

static void put_number(struct out *o, __u64 v)
{
	put(o, "%" PRIu64, (uint64_t)v);
}

static void put_cmd(struct out *o, __u32 cmd)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].cmd == cmd) {
			put(o, "%s", commands[i].name);
			return;
		}
	}
	put(o, "ioctl 0x%x", cmd);
}

static void put_cap(struct out *o, __u32 cap)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (capabilities[i].number == cap) {
			put(o, "%s", capabilities[i].name);
			return;
		}
	}
	put(o, "capability %u", cap);
}

/* A bound that the kernel leaves 0 does not count. */
static void put_bounds(struct out *o, const struct iommu_last_error *e)
{
	if (e->out_need && e->out_limit)
		put(o, "%" PRIu64 " to %" PRIu64, (uint64_t)e->out_need,
		    (uint64_t)e->out_limit);
	else if (e->out_limit)
		put(o, "at most %" PRIu64, (uint64_t)e->out_limit);
	else
		put(o, "at least %" PRIu64, (uint64_t)e->out_need);
}

/* Words that are one of the structure's 64-bit fields. */
static const struct {
	const char *word;
	size_t field;
	void (*fn)(struct out *o, __u64 v);
} fields[] = {
#define FIELD(word, name, fn) \
	{ word, offsetof(struct iommu_last_error, name), fn }
	FIELD("addr", out_addr, put_hex),
	FIELD("start", out_start, put_hex),
	FIELD("last", out_last, put_hex),
	FIELD("limit", out_limit, put_size),
	FIELD("usage", out_usage, put_size),
	FIELD("need", out_need, put_size),
	FIELD("limit.x", out_limit, put_hex),
	FIELD("limit.n", out_limit, put_number),
	FIELD("usage.n", out_usage, put_number),
	FIELD("need.n", out_need, put_number),
};

static bool is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

static void put_word(struct out *o, const char *word, size_t len,
		     const struct iommu_last_error *e, const char *device)
{
	__u64 total, v;
	size_t i;

	for (i = 0; i < ARRAY_LEN(fields); i++) {
		if (!is(word, len, fields[i].word))
			continue;
		memcpy(&v, (const char *)e + fields[i].field, sizeof(v));
		fields[i].fn(o, v);
		return;
	}
	if (__builtin_add_overflow(e->out_usage, e->out_need, &total))
		total = UINT64_MAX;
	if (is(word, len, "object"))
		put_number(o, e->out_object_id);
	else if (is(word, len, "cmd"))
		put_cmd(o, e->out_cmd);
	else if (is(word, len, "errno"))
		put(o, "%s", strerror(e->out_errno));
	else if (is(word, len, "cap"))
		put_cap(o, e->out_detail);
	else if (is(word, len, "resv"))
		put(o, "%s: %s", iommu_resv_reason_name(e->out_detail),
		    iommu_resv_reason_text(e->out_detail));
	else if (is(word, len, "down"))
		put_hex(o, e->out_limit ? e->out_addr & -e->out_limit :
					  e->out_addr);
	else if (is(word, len, "bounds"))
		put_bounds(o, e);
	else if (is(word, len, "of") && e->out_usage)
		put(o, " of %" PRIu64, (uint64_t)e->out_usage);
	else if (is(word, len, "are"))
		put(o, "%s", e->out_need == 1 ? "is" : "are");
	else if (is(word, len, "total"))
		put_size(o, total);
	else if (is(word, len, "kib"))
		put_number(o, total / 1024 + !!(total % 1024));
	else if (is(word, len, "ranges") && device)
		put(o, ", see 'iommuctl ranges %s'", device);
}

static void put_template(struct out *o, const char *t,
			 const struct iommu_last_error *e, const char *device)
{
	const char *open, *close;

	while ((open = strchr(t, '{')) && (close = strchr(open, '}'))) {
		put(o, "%.*s", (int)(open - t), t);
		put_word(o, open + 1, close - open - 1, e, device);
		t = close + 1;
	}
	put(o, "%s", t);
}

int iommu_granule_rule(__u64 granule, __u64 cpu_page_size, char *buf,
		       size_t len)
{
	struct out o = { .buf = buf, .room = len };

	if (len)
		buf[0] = 0;
	if (granule <= cpu_page_size)
		return 0;
	put(&o, "every ");
	put_size(&o, granule);
	put(&o, " must be one physically contiguous, aligned piece: use huge "
	    "pages (hugetlb, THP), mTHP of ");
	put_size(&o, granule);
	put(&o, ", or a buffer");
	return o.used;
}

int iommu_error_sentence(const struct iommu_last_error *e, const char *device,
			 char *buf, size_t len)
{
	const struct sentence *s = find(e->out_reason, e->out_detail);
	struct out o = { .buf = buf, .room = len };

	if (len)
		buf[0] = 0;
	put_template(&o, s->rule, e, device);
	put(&o, "; ");
	put_template(&o, s->remedy, e, device);
	return o.used;
}

enum iommu_error_kind iommu_errno_kind(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return IOMMU_ERROR_OK;
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case ESRCH:
		return IOMMU_ERROR_NOT_FOUND;
	case EBUSY:
	case ETXTBSY:
		return IOMMU_ERROR_BUSY;
	case EPERM:
	case EACCES:
		return IOMMU_ERROR_PERMISSION;
	case EADDRINUSE:
	case EDQUOT:
	case EEXIST:
	case EFAULT:
	case ENOMEM:
	case ENOSPC:
	case EOVERFLOW:
		return IOMMU_ERROR_REFUSED;
	default:
		return IOMMU_ERROR_OTHER;
	}
}

enum iommu_error_kind iommu_error_kind(const struct iommu_last_error *e)
{
	enum iommu_error_kind kind = find(e->out_reason, e->out_detail)->kind;

	return kind != IOMMU_ERROR_OK ? kind :
	       e->out_errno ? iommu_errno_kind(e->out_errno) :
			      IOMMU_ERROR_OTHER;
}

/* Is @map in a reserved region of the device, or in a hole of the IOAS? */
static void explain_range(int fd, const struct iommu_ioas_map *map,
			  const struct iommu_sys_region *regions,
			  size_t nr_regions, struct iommu_last_error *ret)
{
	static const struct iova_range all = { 0, UINT64_MAX };
	struct iommu_iova_range *allowed = NULL;
	struct iova_range *holes = NULL, want;
	__u64 alignment;
	__u32 nr, i;
	size_t r;

	if (iova_range_init(&want, map->iova, map->length)) {
		ret->out_reason = map->length ? IOMMU_REASON_OVERFLOW :
						IOMMU_REASON_ZERO_LENGTH;
		ret->out_addr = map->iova;
		ret->out_need = map->length;
		return;
	}
	for (r = 0; r < nr_regions; r++) {
		const struct iommu_sys_region *reg = &regions[r];

		if (reg->reason == IOMMU_RESV_REASON_DIRECT_RELAXABLE ||
		    reg->start > want.last || reg->last < want.start)
			continue;
		ret->out_reason = IOMMU_REASON_RESERVED;
		ret->out_detail = reg->reason;
		ret->out_addr = reg->start > want.start ? reg->start :
							  want.start;
		ret->out_start = reg->start;
		ret->out_last = reg->last;
		return;
	}
	if (iommu_ioas_iova_ranges(fd, map->ioas_id, &allowed, &nr,
				   &alignment))
		return;
	if (alignment && ((map->iova | map->length) & (alignment - 1))) {
		bool iova = map->iova & (alignment - 1);

		ret->out_reason = IOMMU_REASON_MISALIGNED;
		ret->out_detail = iova ? IOMMU_REASON_FIELD_IOVA :
					 IOMMU_REASON_FIELD_LENGTH;
		ret->out_addr = iova ? map->iova : map->length;
		ret->out_limit = alignment;
		goto out;
	}
	/* The holes are what the allowed ranges leave of everything. */
	holes = calloc((size_t)nr * 2 + 1, sizeof(*holes));
	if (!holes)
		goto out;
	for (i = 0; i < nr; i++) {
		holes[nr + 1 + i].start = allowed[i].start;
		holes[nr + 1 + i].last = allowed[i].last;
	}
	nr = iova_ranges_holes(holes + nr + 1, nr, &all, 1, holes, nr + 1);
	for (i = 0; i < nr; i++) {
		if (!iova_range_overlaps(&holes[i], &want))
			continue;
		ret->out_reason = IOMMU_REASON_RESERVED;
		ret->out_detail = IOMMU_RESV_REASON_APERTURE;
		ret->out_addr = holes[i].start > want.start ? holes[i].start :
							      want.start;
		ret->out_start = holes[i].start;
		ret->out_last = holes[i].last;
		break;
	}
out:
	free(holes);
	free(allowed);
}

void iommu_map_explain(int fd, const struct iommu_ioas_map *map, int err,
		       const struct iommu_sys_region *regions,
		       size_t nr_regions, struct iommu_last_error *ret)
{
	struct rlimit memlock;

	err = err < 0 ? -err : err;
	if (!iommu_last_error(fd, ret) && ret->out_cmd == IOMMU_IOAS_MAP &&
	    (int)ret->out_errno == err)
		return;
	*ret = (struct iommu_last_error){
		.size = sizeof(*ret),
		.out_cmd = IOMMU_IOAS_MAP,
		.out_errno = err,
		.out_reason = IOMMU_REASON_ERRNO,
		.out_object_id = map->ioas_id,
	};
	switch (err) {
	case EINVAL:
	case EOVERFLOW:
		if (map->flags & IOMMU_IOAS_MAP_FIXED_IOVA)
			explain_range(fd, map, regions, nr_regions, ret);
		break;
	case EEXIST:
		/* Which mapping it hits is not known: name what was asked. */
		ret->out_reason = IOMMU_REASON_OVERLAP;
		ret->out_addr = map->iova;
		ret->out_start = map->iova;
		ret->out_last = map->iova + map->length - 1;
		break;
	case EFAULT:
		ret->out_reason = IOMMU_REASON_BAD_MEMORY;
		ret->out_addr = map->user_va;
		break;
	case ENOSPC:
		ret->out_reason = IOMMU_REASON_NO_IOVA;
		ret->out_need = map->length;
		ret->out_limit = 1;
		break;
	case ENOMEM:
		/* Usage is not known, so only the plain case is sure. */
		if (!getrlimit(RLIMIT_MEMLOCK, &memlock) &&
		    memlock.rlim_cur < map->length) {
			ret->out_reason = IOMMU_REASON_MEMLOCK;
			ret->out_limit = memlock.rlim_cur;
			ret->out_need = map->length;
		}
		break;
	}
}
