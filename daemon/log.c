// SPDX-License-Identifier: GPL-2.0-only
/* Log lines for the journal, or for people at a terminal. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "log.h"

#define BURST 20
#define INTERVAL 60	/* seconds */

static bool stream;

void log_as_stream(void)
{
	stream = true;
}

static void put(int priority, const char *device, const char *text)
{
	static int journal = -1;

	if (journal < 0)
		journal = getenv("JOURNAL_STREAM") != NULL;
	if (journal && stream) {
		fprintf(stderr, "<%d>%s\n", priority, text);
		return;
	}
	if (journal && !sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i",
					priority, device ?
					"IOMMU_DEVICE=%s" : NULL, device,
					NULL))
		return;
	fprintf(stderr, "iommud: %s\n", text);
}

void log_device(int priority, const char *device, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(priority, device, text);
}

void log_client(const char *fmt, ...)
{
	static struct timespec begun;
	static unsigned int lines, suppressed;
	struct timespec now;
	char text[512];
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!lines || now.tv_sec - begun.tv_sec >= INTERVAL) {
		if (suppressed)
			log_info("%u more lines about clients left out",
				 suppressed);
		begun = now;
		lines = suppressed = 0;
	}
	if (lines >= BURST) {
		suppressed++;
		return;
	}
	lines++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(LOG_INFO, NULL, text);
}
