/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel module tells of leased devices: faults, refused mappings. */
#ifndef IOMMUD_WATCH_H
#define IOMMUD_WATCH_H

#include <stdbool.h>

struct manager;
struct watch;

/*
 * Listen, now if the module is loaded, else once it is. Without that all else
 * goes on: -errno after a log line.
 */
int watch_start(struct manager *m);
void watch_done(struct manager *m);

/* Is the module listened to? */
bool watch_listens(const struct manager *m);

#endif
