// SPDX-License-Identifier: GPL-2.0-only
/* What iommuctl asks iommud, its status, and its leases. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

int cli_connect(struct cli *cli, struct iommu_client **ret)
{
	struct iommu_why why;
	int rc = iommu_client_open(NULL, ret, &why);

	if (!rc)
		return 0;
	return cli_fail(cli, rc == -ENOENT || rc == -ECONNREFUSED ?
			     IOMMU_ERROR_NO_MODULE : iommu_errno_kind(rc),
			"%s", why.text);
}

void print_errors(struct json_object *errors, FILE *f)
{
	size_t i;

	for (i = 0; i < length(errors); i++) {
		struct json_object *e = json_object_array_get_idx(errors, i);
		const char *key = get_string(e, "key");

		fprintf(f, "%s:%s: %s%s%s\n", get_string(e, "file"),
			get_string(e, "line"), key, *key ? ": " : "",
			get_string(e, "message"));
	}
}

int cli_call(struct cli *cli, const char *method,
	     struct json_object *parameters, struct json_object **ret)
{
	struct iommu_client *client;
	struct iommu_reply reply;
	int rc = cli_connect(cli, &client);

	if (rc) {
		json_object_put(parameters);
		return rc;
	}
	if (iommu_client_call(client, method, parameters, &reply)) {
		rc = cli_fail(cli, reply.kind, "%s", reply.why.text);
		print_errors(get(reply.parameters, "errors"), stderr);
	} else if (ret) {
		*ret = json_object_get(reply.parameters);
	}
	iommu_reply_done(&reply);
	iommu_client_close(client);
	return rc;
}

struct json_object *new_parameters(void)
{
	struct json_object *obj = new_document();

	json_object_object_del(obj, "version");
	return obj;
}

struct json_object *name_array(int argc, char **argv)
{
	struct json_object *obj = new_parameters(), *array;
	int i;

	array = add_array(obj, "devices");
	for (i = 0; i < argc; i++)
		append_text(array, "%s", argv[i]);
	array = json_object_get(array);
	json_object_put(obj);
	return array;
}

int cli_show(struct cli *cli, const char *method,
	     struct json_object *parameters)
{
	struct json_object *doc = new_document(), *reply;
	int rc = cli_call(cli, method, parameters, &reply);

	if (rc) {
		json_object_put(doc);
		return rc;
	}
	json_object_object_foreach(reply, key, value)
		if (json_object_object_add(doc, key, json_object_get(value)))
			add_null(doc, key);
	json_object_put(reply);
	return cli_output(cli, doc);
}

int cli_done(struct cli *cli, const char *fmt, ...)
{
	struct json_object *doc = new_document();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_string(doc, "done", text);
	return cli_output(cli, doc);
}

void done_text(struct json_object *doc, FILE *f)
{
	fprintf(f, "%s\n", get_string(doc, "done"));
}

/* ---- status ---- */

static void status_text(struct json_object *doc, FILE *f)
{
	struct json_object *daemon = get(doc, "daemon");
	size_t nr = length(get(daemon, "policy_errors"));

	print_field(f, "iommud", "%s", get_string(daemon, "version"));
	if (nr)
		print_field(f, "policy", "%zu errors; an older one is in "
			    "force, or none", nr);
	else
		print_field(f, "policy", "in force, %s definitions",
			    get_string(daemon, "definitions"));
	print_field(f, "leases", "%s", get_string(daemon, "leases"));
	print_field(f, "connections", "%s, this one included",
		    get_string(daemon, "connections"));
	print_field(f, "jobs", "%s under way", get_string(daemon, "jobs"));
	print_errors(get(daemon, "policy_errors"), f);
}

static int status(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc, *reply = NULL;
	int rc = cli_call(cli, "GetStatus", NULL, &reply);

	(void)argc;
	(void)argv;
	if (rc)
		return rc;
	doc = new_document();
	add(doc, "daemon", reply);
	return cli_output(cli, doc);
}

/* ---- lease ---- */

static char *cell_since(struct json_object *row)
{
	time_t since = get_number(row, "since");
	struct tm tm;
	char text[32] = "-";

	if (localtime_r(&since, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	return text_of("%s", text);
}

static char *cell_how(struct json_object *row)
{
	return text_of("%s", get_bool(row, "attached") ? "attached" : "opened");
}

static void list_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "DEVICE", .key = "device" }, { "USER", .key = "user" },
		{ "PROCESS", .key = "process" },
		{ "COMMAND", .key = "command" },
		{ "SINCE", .cell = cell_since }, { "AS", .cell = cell_how },
		{ "IOAS", .key = "ioas" },
	};

	print_table(f, "", get(doc, "leases"), columns, ARRAY_LEN(columns));
}

static int list(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_show(cli, "ListLeases", NULL);
}

static void release_text(struct json_object *doc, FILE *f)
{
	struct json_object *devices = get(doc, "devices");
	size_t i;

	for (i = 0; i < length(devices); i++)
		fprintf(f, "%s: released\n", json_object_get_string(
				json_object_array_get_idx(devices, i)));
}

static int release(struct cli *cli, int argc, char **argv)
{
	struct json_object *parameters = new_parameters(), *doc;
	int rc;

	add(parameters, "devices", name_array(argc, argv));
	rc = cli_call(cli, "Release", parameters, NULL);
	if (rc)
		return rc;
	doc = new_document();
	add(doc, "devices", name_array(argc, argv));
	return cli_output(cli, doc);
}

const struct verb daemon_verbs[] = {
	{
		.verb = "status",
		.run = status, .text = status_text,
		.help = "Show how the daemon is",
	}, {
		.object = "lease", .verb = "list",
		.run = list, .text = list_text,
		.help = "List who has acquired which device",
	}, {
		.object = "lease", .verb = "release",
		.args = "DEVICE...", .min = 1, .max = INT_MAX,
		.word = WORD_DEVICE,
		.run = release, .text = release_text,
		.help = "End leases of devices whose files are closed",
	},
	{ 0 },
};
