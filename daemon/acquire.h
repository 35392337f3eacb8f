/* SPDX-License-Identifier: GPL-2.0-only */
/* One call of Acquire: the daemon's part and the child's. */
#ifndef IOMMUD_ACQUIRE_H
#define IOMMUD_ACQUIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "device.h"
#include "job.h"
#include "lease.h"

struct call;
struct claim;
struct manager;
struct space;

#define ACQUIRE_POLL 10		/* ms, between tries of something busy */

struct acquire {
	struct acquire *next;
	struct manager *manager;
	struct call *call;
	struct devices devices;
	struct claim *claim;
	struct lease_holder holder;
	struct space *space;	/* NULL: IOASes of its own */
	bool making;		/* we are the one in space->making */
	bool attach;
	bool per_process;	/* accounting of locked memory */
	uint64_t memlock;
	uint64_t until;		/* CLOCK_MONOTONIC, ms */
	sd_event_source *timer;	/* of the next try */
	bool asleep;		/* and that is some time away */
};

uint64_t now_ms(void);		/* CLOCK_MONOTONIC */

/* In the child: descriptor 0 of the result is the iommufd, devices follow. */
void acquire_run(void *arg, struct job_result *result);

#endif
