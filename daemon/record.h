/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records: what a successor of this daemon has to know of a device, in
 * STATE/KIND/DEVICE.json. The kinds are "leases" and "undo"; those of "regions"
 * have another name in place of the device's.
 */
#ifndef IOMMUD_RECORD_H
#define IOMMUD_RECORD_H

#include <stdbool.h>

struct json_object;
struct manager;

/* NULL: there is none, or it cannot be read. */
struct json_object *record_load(struct manager *m, const char *kind,
				const char *device);

/* Replace it; -errno, after a log line. */
int record_save(struct manager *m, const char *kind, const char *device,
		struct json_object *obj);

void record_forget(struct manager *m, const char *kind, const char *device);

/*
 * Call @keep for all of a kind. Those for which it returns false are removed, as
 * is all else that is there; @path is for the log.
 */
typedef bool (*record_fn)(struct manager *m, const char *path,
			  struct json_object *obj);
void records_each(struct manager *m, const char *kind, record_fn keep);

#endif
