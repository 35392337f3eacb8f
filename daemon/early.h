/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Before the daemon runs: keep the host's drivers from devices that the policy
 * wants from the start. A driver takes all devices that match it the moment it
 * is loaded, so what udev decides device by device is too late for the second
 * one: --early goes before all that, --udev is for devices that come later.
 */
#ifndef IOMMUD_EARLY_H
#define IOMMUD_EARLY_H

struct options;

/* --early; returns the exit status. */
int early_all(const struct options *o);
/* --udev: print IOMMUD_DRIVER=... for udev; returns the exit status. */
int early_one(const struct options *o, const char *name);

#endif
