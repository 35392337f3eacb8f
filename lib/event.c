// SPDX-License-Identifier: LGPL-2.1-only
/* Events in words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "private.h"

static const char *const names[] = {
	[IOMMU_EVENT_CONTEXT_OPENED] = "opened",
	[IOMMU_EVENT_CONTEXT_CLOSED] = "closed",
	[IOMMU_EVENT_IOAS_CREATED] = "ioas-created",
	[IOMMU_EVENT_IOAS_DESTROYED] = "ioas-destroyed",
	[IOMMU_EVENT_DEVICE_BOUND] = "bound",
	[IOMMU_EVENT_DEVICE_UNBOUND] = "unbound",
	[IOMMU_EVENT_DEVICE_ATTACHED] = "attached",
	[IOMMU_EVENT_DEVICE_DETACHED] = "detached",
	[IOMMU_EVENT_MAP_REFUSED] = "refused",
	[IOMMU_EVENT_LIMIT_REACHED] = "limit",
	[IOMMU_EVENT_FAULT] = "fault",
	[IOMMU_EVENT_LOST] = "lost",
	[IOMMU_EVENT_MODULE_LOADED] = "module-loaded",
	[IOMMU_EVENT_MODULE_UNLOADED] = "module-unloaded",
};

const char *iommu_event_name(enum iommu_event_kind kind)
{
	return kind < ARRAY_LEN(names) && names[kind] ? names[kind] :
							"unknown";
}

/* Why a mapping is refused. What else there is has its errno. */
static const char *const reasons[] = {
	[IOMMU_REASON_NO_OBJECT] = "there is no such IOAS",
	[IOMMU_REASON_WRONG_TYPE] = "that object is no IOAS",
	[IOMMU_REASON_ARG_FLAGS] = "unknown flags",
	[IOMMU_REASON_ZERO_LENGTH] = "nothing to map",
	[IOMMU_REASON_OVERFLOW] = "the range ends past 2^64",
	[IOMMU_REASON_MISALIGNED] = "not aligned",
	[IOMMU_REASON_RESERVED] = "reserved or out of reach",
	[IOMMU_REASON_OVERLAP] = "something is mapped there",
	[IOMMU_REASON_NO_IOVA] = "no IOVAs are left",
	[IOMMU_REASON_BAD_MEMORY] = "the memory cannot be pinned",
	[IOMMU_REASON_MEMLOCK] = "locked memory",
	[IOMMU_REASON_QUOTA] = "mappings of the IOAS",
	[IOMMU_REASON_NOT_CONTIGUOUS] = "the memory is not contiguous",
	[IOMMU_REASON_NOT_MAPPED] = "nothing is mapped at its source",
	[IOMMU_REASON_PARTIAL] = "it cuts a mapping of its source",
	[IOMMU_REASON_IN_PROGRESS] = "a mapping there is in the making",
	[IOMMU_REASON_READ_ONLY] = "its source may not be written",
	[IOMMU_REASON_BAD_POINTER] = "the answer could not be written",
};

static const char *why(const struct iommu_event *e)
{
	if (e->reason < ARRAY_LEN(reasons) && reasons[e->reason])
		return reasons[e->reason];
	return strerror(e->error);
}

/* "VMM (4711)", or nothing. */
static const char *who(const struct iommu_event *e, char buf[48])
{
	buf[0] = 0;
	if (e->pid)
		snprintf(buf, 48, "%s (%d)", e->task[0] ? e->task : "process",
			 (int)e->pid);
	return buf;
}

static int limit_text(const struct iommu_event *e, char *buf, size_t len,
		      const char *by)
{
	const char *unit = e->reason == IOMMU_REASON_QUOTA ? "" : " bytes";

	return snprintf(buf, len, "context %" PRIu64 ": %s reached the limit "
			"on %s: %" PRIu64 " of %" PRIu64 "%s in use",
			(uint64_t)e->context, by[0] ? by : "it", why(e),
			(uint64_t)e->usage, (uint64_t)e->limit, unit);
}

static int refused_text(const struct iommu_event *e, char *buf, size_t len,
			const char *by)
{
	return snprintf(buf, len, "context %" PRIu64 ", IOAS %u: %s%sa mapping "
			"was refused at 0x%" PRIx64 ": %s",
			(uint64_t)e->context, e->ioas, by, by[0] ? ": " : "",
			(uint64_t)e->addr, why(e));
}

static int fault_text(const struct iommu_event *e, char *buf, size_t len)
{
	char where[48] = "";

	if (e->context)
		snprintf(where, sizeof(where), " in IOAS %u of context %" PRIu64,
			 e->ioas, (uint64_t)e->context);
	return snprintf(buf, len, "%s: DMA fault: %s at IOVA 0x%" PRIx64
			"%s, which it may not", e->device,
			e->write ? "write" : e->read ? "read" : "access",
			(uint64_t)e->addr, where);
}

static int device_text(const struct iommu_event *e, char *buf, size_t len)
{
	if (e->kind == IOMMU_EVENT_DEVICE_BOUND ||
	    e->kind == IOMMU_EVENT_DEVICE_UNBOUND)
		return snprintf(buf, len, "%s: %s context %" PRIu64, e->device,
				e->kind == IOMMU_EVENT_DEVICE_BOUND ?
					"bound to" : "unbound from",
				(uint64_t)e->context);
	return snprintf(buf, len, "%s: %s IOAS %u of context %" PRIu64,
			e->device, e->kind == IOMMU_EVENT_DEVICE_ATTACHED ?
					   "attached to" : "detached from",
			e->ioas, (uint64_t)e->context);
}

static int text(const struct iommu_event *e, char *buf, size_t len)
{
	char by[48];

	switch (e->kind) {
	case IOMMU_EVENT_CONTEXT_OPENED:
		return snprintf(buf, len, "context %" PRIu64 " opened by %s, "
				"user %u", (uint64_t)e->context, who(e, by),
				e->uid);
	case IOMMU_EVENT_CONTEXT_CLOSED:
		return snprintf(buf, len, "context %" PRIu64 " closed",
				(uint64_t)e->context);
	case IOMMU_EVENT_IOAS_CREATED:
	case IOMMU_EVENT_IOAS_DESTROYED:
		return snprintf(buf, len, "context %" PRIu64 ": IOAS %u %s",
				(uint64_t)e->context, e->ioas,
				e->kind == IOMMU_EVENT_IOAS_CREATED ?
					"created" : "destroyed");
	case IOMMU_EVENT_DEVICE_BOUND:
	case IOMMU_EVENT_DEVICE_UNBOUND:
	case IOMMU_EVENT_DEVICE_ATTACHED:
	case IOMMU_EVENT_DEVICE_DETACHED:
		return device_text(e, buf, len);
	case IOMMU_EVENT_MAP_REFUSED:
		return refused_text(e, buf, len, who(e, by));
	case IOMMU_EVENT_LIMIT_REACHED:
		return limit_text(e, buf, len, who(e, by));
	case IOMMU_EVENT_FAULT:
		return fault_text(e, buf, len);
	case IOMMU_EVENT_LOST:
		return snprintf(buf, len, "events came faster than they were "
				"read, and some are lost");
	case IOMMU_EVENT_MODULE_LOADED:
		return snprintf(buf, len, "the module granule was loaded");
	case IOMMU_EVENT_MODULE_UNLOADED:
		return snprintf(buf, len, "the module granule was unloaded");
	}
	return snprintf(buf, len, "unknown event %d", e->kind);
}

int iommu_event_sentence(const struct iommu_event *e, char *buf, size_t len)
{
	int n = text(e, buf, len);

	if (!e->suppressed)
		return n;
	return n + snprintf((size_t)n < len ? buf + n : NULL,
			    (size_t)n < len ? len - n : 0,
			    " (%u before it were not told)", e->suppressed);
}
