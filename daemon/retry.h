/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that the policy wants bound and that could not be, or not yet: what
 * is in the way may go by itself, as when a driver is just being loaded.
 */
#ifndef IOMMUD_RETRY_H
#define IOMMUD_RETRY_H

struct manager;

/* Try again in so many milliseconds, which grow; 0: that was the last try. */
unsigned int retry_later(struct manager *m, const char *device);
/* It is bound, has gone, or is not wanted any more. */
void retry_forget(struct manager *m, const char *device);
void retries_done(struct manager *m);

#endif
