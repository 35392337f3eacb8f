/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libiommu: who uses /dev/iommu, and what happens there (netlink.c, event.c,
 * kernel_log.c). Part of libiommu.h; the same rules hold.
 */
#ifndef LIBIOMMU_WATCH_H
#define LIBIOMMU_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iommu_context_ioas {
	__u32 id;
	__u64 areas;		/* mappings */
	__u64 mapped;		/* bytes */
	__u64 pinned;		/* bytes; shared memory counts in each IOAS */
	__u64 granule;		/* bytes; 0: no device, and none asked for */
	__u64 quota;		/* mappings allowed */
	__u64 faults;		/* where the IOMMU's driver reports them */
};

struct iommu_context_device {
	__u32 id;
	char name[32];
	long group;
	__u32 ioas;		/* 0: not attached */
};

/* An open file of /dev/iommu. */
struct iommu_context {
	__u64 context;		/* its number, never used again */
	pid_t pid;		/* who opened it */
	char task[16];
	uid_t uid;
	pid_t user_pid;		/* who mapped last; 0: nobody that is there */
	char user_task[16];
	uid_t user_uid;		/* its user; -1: not known */
	__u64 refused;		/* mappings, so far */
	__u64 faults;
	__u64 locked;		/* bytes against lock_limit, of user_pid or of */
	__u64 lock_limit;	/* all of its user's; both 2^64-1: not limited */
	struct iommu_context_ioas *ioases;
	size_t nr_ioases;
	struct iommu_context_device *devices;
	size_t nr_devices;
};

/**
 * iommu_contexts - who has /dev/iommu open, and for what
 * @ret: ascending by number; iommu_contexts_free() it
 *
 * Those of the caller's user; with CAP_NET_ADMIN all. Each object is as it was
 * at some moment, not all at one.
 *
 * Return: 0; -ENXIO when the module is not loaded, or another network
 * namespace asks; -ENOMEM, -EIO.
 */
int iommu_contexts(struct iommu_context **ret, size_t *ret_nr);
void iommu_contexts_free(struct iommu_context *contexts, size_t nr);

/* May this process see the contexts of others, and listen (CAP_NET_ADMIN)? */
bool iommu_contexts_all(void);

/* The first ones are those of enum granule_genl_event. */
enum iommu_event_kind {
	IOMMU_EVENT_CONTEXT_OPENED = 1,
	IOMMU_EVENT_CONTEXT_CLOSED = 2,
	IOMMU_EVENT_IOAS_CREATED = 3,
	IOMMU_EVENT_IOAS_DESTROYED = 4,
	IOMMU_EVENT_DEVICE_BOUND = 5,
	IOMMU_EVENT_DEVICE_UNBOUND = 6,
	IOMMU_EVENT_DEVICE_ATTACHED = 7,
	IOMMU_EVENT_DEVICE_DETACHED = 8,
	IOMMU_EVENT_MAP_REFUSED = 9,
	IOMMU_EVENT_LIMIT_REACHED = 10,
	IOMMU_EVENT_FAULT = 11,
	IOMMU_EVENT_LOST = 32,		/* some were, before this one */
	IOMMU_EVENT_MODULE_LOADED = 33,	/* to be joined anew */
	IOMMU_EVENT_MODULE_UNLOADED = 34,
};

/* What is not known is 0, "" or -1. */
struct iommu_event {
	enum iommu_event_kind kind;
	bool from_log;		/* from the kernel's log */
	bool read;		/* of a fault: it wanted to read */
	bool write;		/* ... to write; neither: not known */
	__u64 context;
	__u32 ioas;
	__u32 device_id;
	char device[32];
	long group;
	__u64 addr;		/* IOVA of a fault; of a refusal: the reason's */
	__u32 error;		/* positive errno */
	__u32 reason;		/* enum iommu_reason */
	__u64 limit;
	__u64 usage;
	__u32 suppressed;	/* such events left out before this one */
	pid_t pid;		/* who opened, or asked for the mapping */
	uid_t uid;
	char task[16];
};

/* What to listen to. */
enum iommu_watch_flags {
	IOMMU_WATCH_EVENTS = 1 << 0,	/* all but faults; CAP_NET_ADMIN */
	IOMMU_WATCH_FAULTS = 1 << 1,	/* of contexts; CAP_NET_ADMIN */
	IOMMU_WATCH_LOG = 1 << 2,	/* faults in the kernel's log */
};

struct iommu_watch;

/**
 * iommu_watch_open - be told when the module is loaded and unloaded
 *
 * It need not be loaded. More is told after iommu_watch_join().
 */
int iommu_watch_open(struct iommu_watch **ret);
struct iommu_watch *iommu_watch_close(struct iommu_watch *watch);

/**
 * iommu_watch_join - listen to @what, from now on
 * @what: IOMMU_WATCH_*
 *
 * Events and faults end when the module is unloaded: join anew when it has
 * been loaded. Some IOMMU drivers, VT-d's among them, report faults nowhere
 * but in the kernel's log. A fault that is in both places is told once.
 *
 * Return: 0; -ENXIO when the module is not loaded; -EPERM.
 */
int iommu_watch_join(struct iommu_watch *watch, unsigned int what);

/* For poll(); do not read from it. */
int iommu_watch_fd(const struct iommu_watch *watch);

/* The next event, without waiting; -EAGAIN when there is none. */
int iommu_watch_next(struct iommu_watch *watch, struct iommu_event *ret);

/* Is this line of the kernel's log, without its time, a DMA fault? */
bool iommu_event_from_log(const char *text, struct iommu_event *ret);

/* Short name of a kind, "fault". */
const char *iommu_event_name(enum iommu_event_kind kind);

/**
 * iommu_event_sentence - an event as one sentence
 * @buf: receives it, NUL-terminated, without full stop or newline
 *
 * Return: length of the whole sentence, as snprintf().
 */
int iommu_event_sentence(const struct iommu_event *event, char *buf,
			 size_t len);

#ifdef __cplusplus
}
#endif

#endif
