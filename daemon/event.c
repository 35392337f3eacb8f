// SPDX-License-Identifier: GPL-2.0-only
/* Monitor: a stream of events to each client that asks for it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "event.h"
#include "log.h"
#include "manager.h"
#include "util.h"

struct watcher {
	struct watcher *next;
	struct manager *manager;
	struct call *call;
};

static void gone(struct call *call)
{
	struct watcher *w = call->userdata, **at;

	for (at = &w->manager->watchers; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	free(w);
	call_end(call, NULL, NULL, NULL, 0);
}

/* The first reply says that whatever happens from now on is told. */
static void monitor(struct manager *m, struct call *call)
{
	struct watcher *w = must_alloc(sizeof(*w));
	struct json_object *reply = js_object();

	w->manager = m;
	w->call = call;
	w->next = m->watchers;
	m->watchers = w;
	call->userdata = w;
	call->gone = gone;
	js_put(reply, "event", NULL);
	call_continue(call, reply);
}

void event_tell(struct manager *m, const char *kind, const char *device,
		const char *fmt, ...)
{
	struct json_object *event, *reply;
	struct watcher *w;
	struct why text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	log_device(LOG_INFO, device, "%s%s%s", device ? device : "",
		   device ? ": " : "", text.text);
	for (w = m->watchers; w; w = w->next) {
		event = js_object();
		js_string(event, "kind", kind);
		js_string(event, "device", device);
		js_string(event, "message", text.text);
		reply = js_object();
		js_put(reply, "event", event);
		call_continue(w->call, reply);
	}
}

const struct method event_methods[] = {
	{ "Monitor", STREAMS, monitor },
	{ 0 }
};
