// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl monitor: what happens, as it happens, one event a line. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

#define DAEMON_AGAIN 2000	/* ms between attempts to find the daemon */

/* The daemon's own; those of the library come by iommu_event_name(). */
static const char *const daemon_kinds[] = {
	"added", "removed", "requested", "leased", "returned", "policy",
	"failed",
};

enum { OPT_KIND = 1, OPT_DEVICE, OPT_COUNT };

static const struct option_spec specs[] = {
	{ .id = OPT_KIND, .name = "kind", .arg = "KIND,...",
	  .help = "only these: fault, refused, limit, bound, leased, ..." },
	{ .id = OPT_DEVICE, .name = "device", .arg = "DEVICE",
	  .word = WORD_DEVICE, .help = "only what is about this device" },
	{ .id = OPT_COUNT, .name = "count", .arg = "N",
	  .help = "end after so many events" },
	{ 0 },
};

static struct {
	const char *kinds;	/* by commas; NULL: all */
	const char *device;	/* as given; NULL: all */
	char name[16];		/* of the device */
	__u64 count;		/* 0: no end */
} wanted;

struct monitor {
	struct cli *cli;
	struct iommu_watch *watch;
	struct iommu_client *client;	/* NULL: there is no daemon */
	unsigned int joined;		/* IOMMU_WATCH_* */
	__u64 shown;
};

/* ---- Options ---- */

static bool known_kind(const char *kind, size_t len)
{
	unsigned int i;
	const char *name;

	for (i = 1; i <= IOMMU_EVENT_MODULE_UNLOADED; i++) {
		name = iommu_event_name(i);
		if (strlen(name) == len && !memcmp(name, kind, len) &&
		    strcmp(name, "unknown"))
			return true;
	}
	for (i = 0; i < ARRAY_LEN(daemon_kinds); i++)
		if (strlen(daemon_kinds[i]) == len &&
		    !memcmp(daemon_kinds[i], kind, len))
			return true;
	return false;
}

static int check_kinds(struct cli *cli, const char *kinds)
{
	size_t len;

	for (;; kinds += len + 1) {
		len = strcspn(kinds, ",");
		if (!known_kind(kinds, len))
			return cli_usage(cli, "--kind '%.*s' is none of the "
					 "kinds in iommuctl(1)", (int)len,
					 kinds);
		if (!kinds[len])
			return 0;
	}
}

static int option(struct cli *cli, int id, char **value)
{
	switch (id) {
	case OPT_KIND:
		wanted.kinds = value[0];
		return check_kinds(cli, value[0]);
	case OPT_DEVICE:
		wanted.device = value[0];
		return 0;
	case OPT_COUNT:
		if (parse_number(value[0], UINT32_MAX, &wanted.count) ||
		    !wanted.count)
			return cli_usage(cli, "--count '%s' is no number of "
					 "events", value[0]);
		return 0;
	}
	return 0;
}

static bool is_wanted(const char *kind, const char *device)
{
	const char *k = wanted.kinds;
	size_t len;

	if (wanted.device && strcmp(device, wanted.name))
		return false;
	if (!k)
		return true;
	for (;; k += len + 1) {
		len = strcspn(k, ",");
		if (strlen(kind) == len && !memcmp(k, kind, len))
			return true;
		if (!k[len])
			return false;
	}
}

/* ---- Output ---- */

static enum paint kind_paint(const char *kind)
{
	if (!strcmp(kind, "fault") || !strcmp(kind, "lost") ||
	    !strcmp(kind, "failed"))
		return PAINT_BAD;
	if (!strcmp(kind, "refused") || !strcmp(kind, "limit"))
		return PAINT_NOTE;
	return PAINT_OFF;
}

static void event_text(struct json_object *doc, FILE *f)
{
	const char *kind = get_string(doc, "kind");

	/* 2026-11-21T08:15:42.123Z: the day is known. */
	fprintf(f, "%.12s  %s%-14s%s  %s\n", get_string(doc, "time") + 11,
		paint(f, kind_paint(kind)), kind, paint(f, PAINT_OFF),
		get_string(doc, "message"));
}

static void add_time(struct json_object *doc)
{
	struct timespec ts;
	struct tm tm;
	char text[32];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%FT%T", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03ldZ", ts.tv_nsec / 1000000);
	add_string(doc, "time", text);
}

/* One line, which is out at once. Takes over @event. */
static int show(struct monitor *m, struct json_object *event)
{
	struct json_object *doc = new_document();

	add_time(doc);
	json_object_object_foreach(event, key, value)
		if (json_object_object_add(doc, key, json_object_get(value)))
			add_null(doc, key);
	json_object_put(event);
	if (m->cli->json)
		printf("%s\n", json_object_to_json_string_ext(doc,
				JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		event_text(doc, stdout);
	json_object_put(doc);
	return cli_flush(m->cli);
}

static int show_wanted(struct monitor *m, struct json_object *event)
{
	const char *device = get(event, "device") ?
				     get_string(event, "device") : "";

	if (!is_wanted(get_string(event, "kind"), device)) {
		json_object_put(event);
		return 0;
	}
	m->shown++;
	return show(m, event);
}

/* The first line: what is listened to, and what is missing. */
static int show_start(struct monitor *m)
{
	struct json_object *obj = new_document(), *sources, *notes;
	char *text, *message;
	size_t i;
	int err;

	json_object_object_del(obj, "version");
	add_string(obj, "kind", "started");
	sources = add_array(obj, "sources");
	notes = add_array(obj, "notes");
	err = iommu_watch_join(m->watch, IOMMU_WATCH_EVENTS |
			       IOMMU_WATCH_FAULTS);
	if (!err)
		append_text(sources, "module");
	else if (err == -ENXIO)
		append_text(notes, "the module granule is not loaded: its "
			    "events follow once it is; 'modprobe granule'");
	else
		append_text(notes, "the module's events cannot be seen (%s): "
			    "that needs CAP_NET_ADMIN; ask as root",
			    strerror(-err));
	err = iommu_watch_join(m->watch, IOMMU_WATCH_LOG);
	if (!err)
		append_text(sources, "kernel-log");
	else
		append_text(notes, "faults in the kernel's log cannot be seen "
			    "(%s): that needs CAP_SYSLOG; ask as root",
			    strerror(-err));
	if (m->client)
		append_text(sources, "daemon");
	else
		append_text(notes, "there is no iommud: its events follow "
			    "once it is there");
	text = join(sources, ", ", element_string);
	message = text_of("watching: %s", length(sources) ? text : "nothing yet");
	add_string(obj, "message", message);
	free(message);
	free(text);
	for (i = 0; !m->cli->json && i < length(notes); i++)
		fprintf(stderr, "note: %s\n", json_object_get_string(
				json_object_array_get_idx(notes, i)));
	return show(m, obj);
}

/* ---- Sources ---- */

static struct json_object *plain_event(const char *kind, const char *text)
{
	struct json_object *obj = new_document();

	json_object_object_del(obj, "version");
	add_string(obj, "kind", kind);
	add_string(obj, "source", "daemon");
	add_null(obj, "device");
	add_string(obj, "message", text);
	return obj;
}

/* The module's events; after it has been loaded, from then on. */
static int from_watch(struct monitor *m)
{
	struct iommu_event e;
	struct json_object *obj;
	int rc, err;

	while (!wanted.count || m->shown < wanted.count) {
		err = iommu_watch_next(m->watch, &e);
		if (err == -EAGAIN)
			return 0;
		if (err)
			return cli_errno(m->cli, err, "events cannot be "
					 "received");
		if (e.kind == IOMMU_EVENT_MODULE_LOADED)
			(void)iommu_watch_join(m->watch, IOMMU_WATCH_EVENTS |
					       IOMMU_WATCH_FAULTS);
		obj = iommu_json_event(&e);
		if (!obj)
			return cli_errno(m->cli, -ENOMEM, "an event");
		rc = show_wanted(m, obj);
		if (rc)
			return rc;
	}
	return 0;
}

static void find_daemon(struct monitor *m)
{
	struct iommu_why why;

	if (iommu_client_open(NULL, &m->client, &why))
		return;
	if (iommu_client_send(m->client, "Monitor", NULL, true, &why))
		m->client = iommu_client_close(m->client);
}

/* The module tells these itself, with more in them. */
static bool told_by_module(const char *kind)
{
	return !strcmp(kind, "fault") || !strcmp(kind, "refused") ||
	       !strcmp(kind, "limit");
}

static int from_daemon(struct monitor *m)
{
	struct json_object *event;
	struct iommu_reply reply;
	int rc = 0, err;

	while (m->client && !rc &&
	       (!wanted.count || m->shown < wanted.count)) {
		err = iommu_client_receive(m->client, 0, &reply);
		event = get(reply.parameters, "event");
		if (!err && event && !told_by_module(get_string(event,
								"kind"))) {
			event = json_object_get(event);
			add_string(event, "source", "daemon");
			rc = show_wanted(m, event);
		}
		iommu_reply_done(&reply);
		if (err == -ETIMEDOUT)
			return rc;
		if (err) {
			m->client = iommu_client_close(m->client);
			rc = show_wanted(m, plain_event("lost",
				"iommud has closed the connection; it is "
				"looked for again"));
		}
	}
	return rc;
}

static int run_loop(struct monitor *m)
{
	struct pollfd p[2];
	int rc = 0;

	while (!rc && (!wanted.count || m->shown < wanted.count)) {
		p[0] = (struct pollfd){ iommu_watch_fd(m->watch), POLLIN, 0 };
		p[1] = (struct pollfd){ m->client ?
					iommu_client_fd(m->client) : -1,
					POLLIN, 0 };
		if (poll(p, 2, m->client ? -1 : DAEMON_AGAIN) < 0 &&
		    errno != EINTR)
			return cli_errno(m->cli, -errno, "events cannot be "
					 "waited for");
		if (!m->client)
			find_daemon(m);
		rc = from_watch(m);
		if (!rc)
			rc = from_daemon(m);
	}
	return rc;
}

static int monitor(struct cli *cli, int argc, char **argv)
{
	struct monitor m = { .cli = cli };
	int rc, err;

	(void)argc;
	(void)argv;
	if (wanted.device) {
		snprintf(cli->target, sizeof(cli->target), "%s",
			 wanted.device);
		err = iommu_sys_device_name(cli->sys, wanted.device,
					    wanted.name);
		if (err == -EINVAL)
			return cli_usage(cli, "this is no name of a device");
		if (err)
			return cli_errno(cli, err, "there is no such device");
		cli->target[0] = 0;
	}
	err = iommu_watch_open(&m.watch);
	if (err)
		return cli_errno(cli, err, "netlink cannot be used");
	find_daemon(&m);
	rc = show_start(&m);
	if (!rc)
		rc = run_loop(&m);
	iommu_client_close(m.client);
	iommu_watch_close(m.watch);
	return rc;
}

const struct verb monitor_verbs[] = {
	{
		.verb = "monitor",
		.options = specs, .option = option,
		.run = monitor, .text = event_text,
		.help = "Show events as they happen: faults, limits, devices",
		.more = "Until it is interrupted. With --json one object a "
			"line. The first line says\nwhat is listened to.",
	},
	{ 0 },
};
