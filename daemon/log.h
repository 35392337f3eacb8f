/* SPDX-License-Identifier: GPL-2.0-only */
/* Log lines: to the journal with fields, to stderr where there is none. */
#ifndef IOMMUD_LOG_H
#define IOMMUD_LOG_H

#include <syslog.h>

/*
 * For who ends soon: the journal does not know whose unit a line is from when
 * the process has gone, but it does know its stderr.
 */
void log_as_stream(void);

/* @device goes to the field IOMMU_DEVICE; NULL where it is about none. */
void log_device(int priority, const char *device, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_device(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_device(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...) log_device(LOG_INFO, NULL, __VA_ARGS__)

/*
 * Something that a client causes at will: at most a few lines a minute, the
 * others are counted and named with the next one.
 */
void log_client(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
