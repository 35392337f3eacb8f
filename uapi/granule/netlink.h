/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The generic netlink family "granule": who uses /dev/iommu for what, and what
 * happens there.
 *
 * Dumps show the contexts (open files) of the asking user, and those of all
 * users to CAP_NET_ADMIN. The multicast groups need CAP_NET_ADMIN. The family
 * is in the initial network namespace only: contexts belong to the machine.
 */
#ifndef _UAPI_GRANULE_NETLINK_H
#define _UAPI_GRANULE_NETLINK_H

#define GRANULE_GENL_NAME "granule"
#define GRANULE_GENL_VERSION 1

/* Multicast groups. */
#define GRANULE_MCGRP_EVENTS "events"	/* all but faults */
#define GRANULE_MCGRP_FAULTS "faults"

/**
 * enum granule_genl_cmd - messages
 * @GRANULE_CMD_CONTEXT_GET: dump; one message per context with CONTEXT, PID,
 *	TASK, UID, IOASES, DEVICES, REFUSED, FAULTS; once it has mapped also
 *	USER_PID, USER_TASK, and while its locked memory is limited LOCKED,
 *	LOCK_LIMIT
 * @GRANULE_CMD_IOAS_GET: dump; one message per IOAS with CONTEXT, IOAS, AREAS,
 *	MAPPED, PINNED, GRANULE, QUOTA, FAULTS
 * @GRANULE_CMD_DEVICE_GET: dump; one message per bound device with CONTEXT,
 *	DEVICE_ID, DEVICE, GROUP, and if attached IOAS
 * @GRANULE_CMD_EVENT: multicast; EVENT, CONTEXT, and what enum
 *	granule_genl_event says
 *
 * The dumps take CONTEXT as an attribute to show that one only.
 */
enum granule_genl_cmd {
	GRANULE_CMD_UNSPEC = 0,
	GRANULE_CMD_CONTEXT_GET = 1,
	GRANULE_CMD_IOAS_GET = 2,
	GRANULE_CMD_DEVICE_GET = 3,
	GRANULE_CMD_EVENT = 4,
};

/**
 * enum granule_genl_event - what happened
 * @GRANULE_EVENT_CONTEXT_OPENED: PID, TASK, UID
 * @GRANULE_EVENT_CONTEXT_CLOSED: nothing more
 * @GRANULE_EVENT_IOAS_CREATED: IOAS
 * @GRANULE_EVENT_IOAS_DESTROYED: IOAS
 * @GRANULE_EVENT_DEVICE_BOUND: DEVICE_ID, DEVICE, GROUP
 * @GRANULE_EVENT_DEVICE_UNBOUND: the same
 * @GRANULE_EVENT_DEVICE_ATTACHED: the same, and IOAS
 * @GRANULE_EVENT_DEVICE_DETACHED: the same
 * @GRANULE_EVENT_MAP_REFUSED: IOAS, ERRNO, REASON, ADDR, and who asked for the
 *	mapping: USER_PID, USER_TASK
 * @GRANULE_EVENT_LIMIT_REACHED: as MAP_REFUSED, and LIMIT, USAGE: a mapping,
 *	or another call, was refused for a limit on locked memory or mappings;
 *	IOAS where that is known
 * @GRANULE_EVENT_FAULT: DEVICE, IOAS, ADDR (IOVA), and if the IOMMU says it
 *	ACCESS; the device reached for what is not mapped for it
 *
 * MAP_REFUSED and LIMIT_REACHED together, and FAULT, are limited to 20 a second
 * and context; SUPPRESSED counts those left out since the last one. A socket
 * that is too slow, and a kernel without memory, lose events: ENOBUFS.
 */
enum granule_genl_event {
	GRANULE_EVENT_CONTEXT_OPENED = 1,
	GRANULE_EVENT_CONTEXT_CLOSED = 2,
	GRANULE_EVENT_IOAS_CREATED = 3,
	GRANULE_EVENT_IOAS_DESTROYED = 4,
	GRANULE_EVENT_DEVICE_BOUND = 5,
	GRANULE_EVENT_DEVICE_UNBOUND = 6,
	GRANULE_EVENT_DEVICE_ATTACHED = 7,
	GRANULE_EVENT_DEVICE_DETACHED = 8,
	GRANULE_EVENT_MAP_REFUSED = 9,
	GRANULE_EVENT_LIMIT_REACHED = 10,
	GRANULE_EVENT_FAULT = 11,
};

/* Bits of GRANULE_ATTR_ACCESS. */
#define GRANULE_ACCESS_WRITE (1 << 0)

/**
 * enum granule_genl_attr - attributes
 * @GRANULE_ATTR_PAD: for alignment
 * @GRANULE_ATTR_CONTEXT: u64; number of an open file, never used again
 * @GRANULE_ATTR_PID: u32; process that opened it, in the initial namespace
 * @GRANULE_ATTR_TASK: string; its name then
 * @GRANULE_ATTR_UID: u32; its user
 * @GRANULE_ATTR_USER_PID: u32; process that mapped last, if any: the file may
 *	have been handed on
 * @GRANULE_ATTR_USER_TASK: string; its name now
 * @GRANULE_ATTR_IOASES: u32; how many
 * @GRANULE_ATTR_DEVICES: u32; how many are bound
 * @GRANULE_ATTR_REFUSED: u64; mappings refused so far
 * @GRANULE_ATTR_FAULTS: u64; faults of its devices so far, where the IOMMU's
 *	driver reports them
 * @GRANULE_ATTR_IOAS: u32; object ID
 * @GRANULE_ATTR_AREAS: u64; mappings
 * @GRANULE_ATTR_MAPPED: u64; bytes mapped
 * @GRANULE_ATTR_PINNED: u64; bytes of memory pinned for it; what several
 *	IOASes have mapped counts in each
 * @GRANULE_ATTR_GRANULE: u64; bytes; 0: no device attached, none asked for
 * @GRANULE_ATTR_QUOTA: u64; mappings allowed
 * @GRANULE_ATTR_DEVICE_ID: u32; object ID
 * @GRANULE_ATTR_DEVICE: string; name on its bus
 * @GRANULE_ATTR_GROUP: u32; IOMMU group
 * @GRANULE_ATTR_EVENT: u32; of enum granule_genl_event
 * @GRANULE_ATTR_ERRNO: u32
 * @GRANULE_ATTR_REASON: u32; of enum iommu_reason
 * @GRANULE_ATTR_ADDR: u64
 * @GRANULE_ATTR_LIMIT: u64
 * @GRANULE_ATTR_USAGE: u64
 * @GRANULE_ATTR_ACCESS: u32; GRANULE_ACCESS_*
 * @GRANULE_ATTR_SUPPRESSED: u32
 * @GRANULE_ATTR_LOCKED: u64; bytes that count against LOCK_LIMIT, of the
 *	process or of all of its user's, as IOMMU_OPTION_RLIMIT_MODE says
 * @GRANULE_ATTR_LOCK_LIMIT: u64; RLIMIT_MEMLOCK of that process in bytes;
 *	2^64-1: none
 */
enum granule_genl_attr {
	GRANULE_ATTR_UNSPEC = 0,
	GRANULE_ATTR_PAD = 1,
	GRANULE_ATTR_CONTEXT = 2,
	GRANULE_ATTR_PID = 3,
	GRANULE_ATTR_TASK = 4,
	GRANULE_ATTR_UID = 5,
	GRANULE_ATTR_USER_PID = 6,
	GRANULE_ATTR_USER_TASK = 7,
	GRANULE_ATTR_IOASES = 8,
	GRANULE_ATTR_DEVICES = 9,
	GRANULE_ATTR_REFUSED = 10,
	GRANULE_ATTR_FAULTS = 11,
	GRANULE_ATTR_IOAS = 12,
	GRANULE_ATTR_AREAS = 13,
	GRANULE_ATTR_MAPPED = 14,
	GRANULE_ATTR_PINNED = 15,
	GRANULE_ATTR_GRANULE = 16,
	GRANULE_ATTR_QUOTA = 17,
	GRANULE_ATTR_DEVICE_ID = 18,
	GRANULE_ATTR_DEVICE = 19,
	GRANULE_ATTR_GROUP = 20,
	GRANULE_ATTR_EVENT = 21,
	GRANULE_ATTR_ERRNO = 22,
	GRANULE_ATTR_REASON = 23,
	GRANULE_ATTR_ADDR = 24,
	GRANULE_ATTR_LIMIT = 25,
	GRANULE_ATTR_USAGE = 26,
	GRANULE_ATTR_ACCESS = 27,
	GRANULE_ATTR_SUPPRESSED = 28,
	GRANULE_ATTR_LOCKED = 29,
	GRANULE_ATTR_LOCK_LIMIT = 30,
	GRANULE_ATTR_MAX = 30,
};

#endif
