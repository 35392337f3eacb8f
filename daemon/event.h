/* SPDX-License-Identifier: GPL-2.0-only */
/* What happens, told to everybody who called Monitor. */
#ifndef IOMMUD_EVENT_H
#define IOMMUD_EVENT_H

struct manager;

/*
 * @kind: of the interface's EventKind; @device: NULL where it is about none.
 * Goes to the log as well.
 */
void event_tell(struct manager *m, const char *kind, const char *device,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
