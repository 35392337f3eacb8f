/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Leases: which devices were handed over, to whom.
 *
 * The daemon keeps no copy of a device's file, as that would keep the device
 * bound. Whether a device is in use is the kernel's to say; a lease only knows
 * who has it. When something hints that it may be over (the file was closed,
 * the process ended, the connection was closed), a child tries to bind the
 * device: that succeeds when, and only when, nobody has it bound. It revokes all
 * other files of the device then, so that whoever had it, or was handed it
 * unbound, has nothing left.
 *
 * When the device's driver is to go (unplugged, or unbound by hand), its node
 * goes first, and the kernel waits for the holder. Then there is nothing to
 * try; the kernel says when the driver has gone.
 *
 * A lease that was handed over unbound cannot be asked about like this while
 * its process lives: the try could meet the process's own.
 */
#ifndef IOMMUD_LEASE_H
#define IOMMUD_LEASE_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct iommu_sys;
struct iommu_sys_device;
struct json_object;
struct manager;
struct why;

struct lease {
	struct lease *next;
	struct manager *manager;
	unsigned long id;		/* in this process */
	char device[16];
	long group;
	char node[64];
	uid_t uid;
	pid_t pid;
	unsigned long long started;	/* of the process: a PID comes again */
	char command[32];
	time_t since;
	bool attached;
	char *ioas;			/* named; or NULL */
	const void *conn;		/* that acquired it; NULL: gone */
	unsigned long long faults;	/* told by the kernel module */
	unsigned long long refused;	/* mappings; the same */
	bool leaving;			/* the kernel waits for its holder */
	bool restored;			/* of an earlier daemon */
	bool asked;			/* a child is asking the kernel */
	unsigned int tries;		/* of the series that a hint started */
	sd_event_source *closed;	/* inotify on the node */
	bool unwatched;			/* it cannot be told whether it has */
	sd_event_source *exited;	/* the process; NULL: it has */
	sd_event_source *again;		/* try once more to watch it */
	sd_event_source *timer;		/* of the next try */
};

/* Who acquires: filled in from the peer of a call. */
struct lease_holder {
	uid_t uid;
	pid_t pid;
	unsigned long long started;
	char command[32];
	const void *conn;
};

const struct lease *lease_of(struct manager *m, const char *device);
struct lease *lease_find(struct manager *m, const char *device);
size_t lease_count(struct manager *m, uid_t uid);
/* "process 12 (qemu) of user 1000 has it", or has passed it on; its text. */
const char *lease_holder(const struct lease *lease, struct why *w);
struct json_object *lease_to_json(const struct lease *lease);

/*
 * A device is to be handed over. A lease that was left of it is over: two cannot
 * have it bound. -errno when nothing would tell its end: not to be handed over.
 */
int lease_begin(struct manager *m, const struct iommu_sys_device *dev,
		const struct lease_holder *holder, bool attached,
		const char *ioas, struct why *w);

/* May the process that acquired it be alive? */
bool lease_runs(const struct lease *lease);

/* It is over; @how completes "is free again: ". */
void lease_end(struct lease *lease, const char *how);

/* Is the kernel being asked whether it is over? */
bool lease_in_doubt(const struct lease *lease);

/* Its node has gone: the kernel wants the device back, and waits for it. */
void lease_leaving(struct lease *lease);

/* The lease of the device with this node, or NULL. */
struct lease *lease_of_node(struct manager *m, const char *node);

/* Something hints that it may be over. */
void lease_hint(struct lease *lease);

/* acquire.c: who waits for a device may try again. */
void acquires_wake(void);

/* The leases of a connection lose it. */
void leases_disconnect(struct manager *m, const void *conn);

/* Those in the state directory, of an earlier daemon. */
void leases_restore(struct manager *m);
void leases_done(struct manager *m);

/*
 * In a child: 0 when nobody has the device bound, and nobody can bind a file of
 * it any more that was open. -ENOTTY: nobody has it bound, but this kernel, with
 * VFIO's own files, takes none back. -EBUSY: somebody has it bound. Another
 * error when that cannot be found out.
 */
int device_take_back(struct iommu_sys *sys, const char *node);

#endif
