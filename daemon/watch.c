// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel module's events: what is about a leased device becomes an event
 * of ours, and counts in its lease.
 *
 * Faults name the device. Refused mappings name the context (open file of
 * /dev/iommu), so it is kept which device is bound to which.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "event.h"
#include "lease.h"
#include "log.h"
#include "manager.h"
#include "privilege.h"
#include "util.h"
#include "watch.h"

/* Events that are dealt with before others have their turn. */
#define AT_ONCE 64

/* A device that is bound to a context. */
struct bound {
	struct bound *next;
	char device[32];
	unsigned long long context;
};

struct watch {
	struct iommu_watch *events;
	sd_event_source *source;
	sd_event_source *more;	/* when one turn was not enough */
	struct bound *bound;	/* list */
	bool listens;
};

/* ---- Which device is bound to which context ---- */

static void unbound(struct watch *w, const char *device)
{
	struct bound **at, *b;

	for (at = &w->bound; (b = *at); at = &b->next) {
		if (strcmp(b->device, device))
			continue;
		*at = b->next;
		free(b);
		return;
	}
}

static void bound(struct watch *w, const char *device,
		  unsigned long long context)
{
	struct bound *b;

	unbound(w, device);
	b = must_alloc(sizeof(*b));
	snprintf(b->device, sizeof(b->device), "%s", device);
	b->context = context;
	b->next = w->bound;
	w->bound = b;
}

static void forget_all(struct watch *w)
{
	while (w->bound)
		unbound(w, w->bound->device);
}

/* What was bound before we listened, or while events were lost. */
static void look(struct watch *w)
{
	struct iommu_context *contexts;
	size_t nr, i, k;

	forget_all(w);
	if (iommu_contexts(&contexts, &nr))
		return;
	for (i = 0; i < nr; i++)
		for (k = 0; k < contexts[i].nr_devices; k++)
			bound(w, contexts[i].devices[k].name,
			      contexts[i].context);
	iommu_contexts_free(contexts, nr);
}

/* ---- Events ---- */

static void join(struct manager *m)
{
	struct watch *w = m->watch;
	int rc = privilege_raise(CAP_NET_ADMIN);

	if (!rc) {
		rc = iommu_watch_join(w->events, IOMMU_WATCH_EVENTS |
				      IOMMU_WATCH_FAULTS);
		if (!rc)
			look(w);
		privilege_lower();
	}
	w->listens = !rc;
	/* Without a module there are no events. */
	if (rc && rc != -ENXIO)
		log_warning("no events of faults and refused mappings: %s",
			    strerror(-rc));
}

static void fault(struct manager *m, const struct iommu_event *e)
{
	struct lease *lease = lease_find(m, e->device);
	char text[400];

	if (!lease)
		return;
	lease->faults += 1 + e->suppressed;
	iommu_event_sentence(e, text, sizeof(text));
	/* "0000:00:10.0: " stands before it already. */
	event_tell(m, "fault", e->device, "%s", text + strlen(e->device) + 2);
}

static void refused(struct manager *m, const struct iommu_event *e)
{
	const struct bound *b;
	struct lease *lease;
	char text[400];

	iommu_event_sentence(e, text, sizeof(text));
	for (b = m->watch->bound; b; b = b->next) {
		lease = b->context == e->context ?
				lease_find(m, b->device) : NULL;
		if (!lease)
			continue;
		lease->refused += 1 + e->suppressed;
		event_tell(m, e->kind == IOMMU_EVENT_LIMIT_REACHED ?
				      "limit" : "refused",
			   b->device, "%s", text);
	}
}

static void lost(struct manager *m)
{
	log_warning("events of the kernel module are lost: they came too fast");
	if (!privilege_raise(CAP_NET_ADMIN)) {
		look(m->watch);
		privilege_lower();
	}
}

static void handle(struct manager *m, const struct iommu_event *e)
{
	struct watch *w = m->watch;

	switch (e->kind) {
	case IOMMU_EVENT_DEVICE_BOUND:
		bound(w, e->device, e->context);
		break;
	case IOMMU_EVENT_DEVICE_UNBOUND:
		unbound(w, e->device);
		break;
	case IOMMU_EVENT_FAULT:
		fault(m, e);
		break;
	case IOMMU_EVENT_MAP_REFUSED:
	case IOMMU_EVENT_LIMIT_REACHED:
		refused(m, e);
		break;
	case IOMMU_EVENT_LOST:
		lost(m);
		break;
	case IOMMU_EVENT_MODULE_LOADED:
		join(m);
		break;
	case IOMMU_EVENT_MODULE_UNLOADED:
		w->listens = false;
		forget_all(w);
		break;
	case IOMMU_EVENT_CONTEXT_OPENED:
	case IOMMU_EVENT_CONTEXT_CLOSED:
	case IOMMU_EVENT_IOAS_CREATED:
	case IOMMU_EVENT_IOAS_DESTROYED:
	case IOMMU_EVENT_DEVICE_ATTACHED:
	case IOMMU_EVENT_DEVICE_DETACHED:
		break;
	}
}

static int on_events(sd_event_source *source, int fd, uint32_t revents,
		     void *userdata)
{
	struct manager *m = userdata;
	struct iommu_event e;
	unsigned int n;
	int rc;

	(void)source;
	(void)fd;
	(void)revents;
	for (n = 0; n < AT_ONCE; n++) {
		rc = iommu_watch_next(m->watch->events, &e);
		if (rc == -EAGAIN)
			return 0;
		if (rc) {
			log_error("the kernel module's events: %s",
				  strerror(-rc));
			watch_done(m);
			return 0;
		}
		handle(m, &e);
	}
	/* The library has some left, which the file does not show. */
	return sd_event_source_set_enabled(m->watch->more, SD_EVENT_ONESHOT);
}

static int on_more(sd_event_source *source, void *userdata)
{
	(void)source;
	return on_events(NULL, -1, 0, userdata);
}

int watch_start(struct manager *m)
{
	struct watch *w = must_alloc(sizeof(*w));
	int rc;

	m->watch = w;
	rc = iommu_watch_open(&w->events);
	if (!rc)
		rc = sd_event_add_io(m->event, &w->source,
				     iommu_watch_fd(w->events), EPOLLIN,
				     on_events, m);
	if (rc >= 0)
		rc = sd_event_add_defer(m->event, &w->more, on_more, m);
	/* sd-event would have it go before all files otherwise. */
	if (rc >= 0)
		rc = sd_event_source_set_priority(w->more,
						  SD_EVENT_PRIORITY_IDLE);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(w->more, SD_EVENT_OFF);
	if (rc < 0) {
		log_warning("no events of the kernel module: %s",
			    strerror(-rc));
		watch_done(m);
		return rc;
	}
	join(m);
	return 0;
}

void watch_done(struct manager *m)
{
	struct watch *w = m->watch;

	if (!w)
		return;
	m->watch = NULL;
	sd_event_source_disable_unref(w->source);
	sd_event_source_disable_unref(w->more);
	iommu_watch_close(w->events);
	forget_all(w);
	free(w);
}

bool watch_listens(const struct manager *m)
{
	return m->watch && m->watch->listens;
}
