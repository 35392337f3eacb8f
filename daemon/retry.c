// SPDX-License-Identifier: GPL-2.0-only
/* Try again to bind what the policy wants bound. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind.h"
#include "manager.h"
#include "retry.h"
#include "util.h"

/* From one try to the next, in milliseconds. */
static const unsigned int delays[] = { 500, 2000, 5000, 15000, 60000 };

struct retry {
	struct retry *next;
	struct manager *manager;
	char device[16];
	unsigned int tries;
	sd_event_source *timer;
};

static void retry_free(struct retry *r)
{
	struct retry **at;

	for (at = &r->manager->retries; *at != r; at = &(*at)->next)
		;
	*at = r->next;
	sd_event_source_disable_unref(r->timer);
	free(r);
}

static struct retry *find(struct manager *m, const char *device)
{
	struct retry *r;

	for (r = m->retries; r && strcmp(r->device, device); r = r->next)
		;
	return r;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct retry *r = userdata;
	char device[sizeof(r->device)];

	(void)source;
	(void)usec;
	/* It may be gone afterwards. */
	strcpy(device, r->device);
	bind_hotplug(r->manager, device);
	return 0;
}

unsigned int retry_later(struct manager *m, const char *device)
{
	struct retry *r = find(m, device);
	unsigned int ms;

	if (!r) {
		if (strlen(device) >= sizeof(r->device))
			return 0;
		r = must_alloc(sizeof(*r));
		r->manager = m;
		strcpy(r->device, device);
		r->next = m->retries;
		m->retries = r;
	}
	if (r->tries == ARRAY_LEN(delays)) {
		retry_free(r);
		return 0;
	}
	ms = delays[r->tries++];
	if (r->timer) {
		sd_event_source_set_time_relative(r->timer, ms * 1000ULL);
		sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_add_time_relative(m->event, &r->timer,
					   CLOCK_MONOTONIC, ms * 1000ULL,
					   10000, on_time, r);
	}
	return ms;
}

void retry_forget(struct manager *m, const char *device)
{
	struct retry *r = find(m, device);

	if (r)
		retry_free(r);
}

void retries_done(struct manager *m)
{
	while (m->retries)
		retry_free(m->retries);
}
