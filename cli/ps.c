// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl ps: who has /dev/iommu open, and for what. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>

#include "cli.h"

/* ---- Text: a row for each IOAS, and for devices that are in none ---- */

static struct json_object *context_of(struct json_object *row)
{
	return get(row, "context");
}

/* Who uses it; where nobody has mapped yet, who opened it. */
static struct json_object *holder(struct json_object *row)
{
	struct json_object *used = get(context_of(row), "used_by");

	return used ? used : get(context_of(row), "opened_by");
}

/* The first row of a context says what is true of all of it. */
static char *of_context(struct json_object *row, char *text)
{
	if (get_bool(row, "first"))
		return text;
	free(text);
	return text_of("%s", "");
}

static char *cell_context(struct json_object *row)
{
	return of_context(row, text_of("%s", get_string(context_of(row),
							"context")));
}

static char *cell_process(struct json_object *row)
{
	struct json_object *p = holder(row);

	return of_context(row, p ? text_of("%s (%s)", get_string(p, "comm"),
					   get_string(p, "pid")) :
				   text_of("-"));
}

static char *cell_user(struct json_object *row)
{
	struct json_object *p = holder(row);
	struct passwd *pw = NULL;

	if (p && get(p, "user"))
		pw = getpwuid(get_number(p, "user"));
	return of_context(row, pw ? text_of("%s", pw->pw_name) :
				    text_of("%s", p ? get_string(p, "user") :
						      "-"));
}

static char *cell_ioas(struct json_object *row)
{
	return text_of("%s", get_string(get(row, "ioas"), "ioas"));
}

static char *cell_areas(struct json_object *row)
{
	return text_of("%s", get_string(get(row, "ioas"), "nr_areas"));
}

static char *size_of(struct json_object *row, const char *key)
{
	struct json_object *ioas = get(row, "ioas");

	return ioas ? short_size(get_number(ioas, key)) : text_of("-");
}

static char *cell_mapped(struct json_object *row)
{
	return size_of(row, "mapped_bytes");
}

static char *cell_pinned(struct json_object *row)
{
	return size_of(row, "pinned_bytes");
}

static char *cell_memlock(struct json_object *row)
{
	struct json_object *c = context_of(row);
	char *used, *limit, *text;

	if (!get(c, "memlock_used"))
		return of_context(row, text_of("-"));
	used = short_size(get_number(c, "memlock_used"));
	limit = get(c, "memlock_limit") ?
			short_size(get_number(c, "memlock_limit")) :
			text_of("any");
	text = text_of("%s of %s", used, limit);
	free(used);
	free(limit);
	return of_context(row, text);
}

static char *cell_faults(struct json_object *row)
{
	return text_of("%s", get_string(get(row, "ioas"), "faults"));
}

static char *cell_bound(struct json_object *row)
{
	struct json_object *devices = get(context_of(row), "devices");
	struct json_object *ioas = get(get(row, "ioas"), "ioas"), *in;
	char *text = text_of("%s", ""), *more;
	size_t i;

	for (i = 0; i < length(devices); i++) {
		struct json_object *d = json_object_array_get_idx(devices, i);

		in = get(d, "ioas");
		if (ioas ? !in || json_object_get_int64(in) !=
					  json_object_get_int64(ioas) :
			   !!in)
			continue;
		more = text_of("%s%s%s", text, *text ? " " : "",
			       get_string(d, "device"));
		free(text);
		text = more;
	}
	if (*text)
		return text;
	free(text);
	return text_of("-");
}

static void add_row(struct json_object *rows, struct json_object *context,
		    struct json_object *ioas, bool first)
{
	struct json_object *row = new_document();

	add(row, "context", json_object_get(context));
	if (ioas)
		add(row, "ioas", json_object_get(ioas));
	else
		add_null(row, "ioas");
	add(row, "first", json_object_new_boolean(first));
	append(rows, row);
}

/* Is a device bound, but in no IOAS? Then it is in none of the other rows. */
static bool has_idle(struct json_object *context)
{
	struct json_object *devices = get(context, "devices");
	size_t i;

	for (i = 0; i < length(devices); i++)
		if (!get(json_object_array_get_idx(devices, i), "ioas"))
			return true;
	return false;
}

static void ps_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "CONTEXT", .cell = cell_context },
		{ "PROCESS", .cell = cell_process },
		{ "USER", .cell = cell_user }, { "IOAS", .cell = cell_ioas },
		{ "AREAS", .cell = cell_areas },
		{ "MAPPED", .cell = cell_mapped },
		{ "PINNED", .cell = cell_pinned },
		{ "MEMLOCK", .cell = cell_memlock },
		{ "FAULTS", .cell = cell_faults },
		{ "DEVICES", .cell = cell_bound },
	};
	struct json_object *contexts = get(doc, "contexts"), *rows;
	size_t i, k;

	rows = json_object_new_array();
	for (i = 0; i < length(contexts); i++) {
		struct json_object *c = json_object_array_get_idx(contexts, i);
		struct json_object *ioases = get(c, "ioas");

		for (k = 0; k < length(ioases); k++)
			add_row(rows, c, json_object_array_get_idx(ioases, k),
				!k);
		if (!length(ioases) || has_idle(c))
			add_row(rows, c, NULL, !length(ioases));
	}
	if (length(rows))
		print_table(f, "", rows, columns, ARRAY_LEN(columns));
	else
		fputs(length(get(doc, "notes")) ? "no context is to be seen\n" :
		      "nobody has /dev/iommu open\n", f);
	json_object_put(rows);
	print_notes(f, doc);
}

/* ---- What is asked ---- */

/* Without the family: the processes that have the node open. */
static int add_holders(struct cli *cli, struct json_object *array,
		       struct json_object *notes)
{
	struct iommu_holder *holders;
	size_t nr, hidden, i;
	int rc = iommu_holders(cli->sys, "/dev/iommu", 0, &holders, &nr,
			       &hidden);

	if (rc == -ENOENT) {
		append_text(notes, "there is no /dev/iommu; load the module "
			    "granule: 'modprobe granule'");
		return 0;
	}
	if (rc)
		return cli_errno(cli, rc, "who has /dev/iommu open cannot be "
				 "seen");
	append_text(notes, "only who has /dev/iommu open is known: it is not "
		    "that of the module granule, or this is another network "
		    "namespace");
	for (i = 0; i < nr; i++) {
		struct iommu_context c = {
			.user_pid = holders[i].pid,
			.user_uid = (uid_t)-1,
			.locked = IOMMU_SYS_UNKNOWN,
			.lock_limit = IOMMU_SYS_UNKNOWN,
		};
		struct json_object *obj;

		snprintf(c.user_task, sizeof(c.user_task), "%.15s",
			 holders[i].comm);
		obj = iommu_json_context(&c);
		add_null(obj, "context");
		append(array, obj);
	}
	if (hidden)
		append_text(notes, "%zu processes cannot be looked into: ask "
			    "as root", hidden);
	free(holders);
	return 0;
}

static int ps(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc = new_document(), *array, *notes;
	struct iommu_context *contexts;
	size_t nr, i;
	int rc;

	(void)argc;
	(void)argv;
	array = add_array(doc, "contexts");
	notes = add_array(doc, "notes");
	rc = iommu_contexts(&contexts, &nr);
	if (rc == -ENXIO) {
		rc = add_holders(cli, array, notes);
		if (rc) {
			json_object_put(doc);
			return rc;
		}
		return cli_output(cli, doc);
	}
	if (rc) {
		json_object_put(doc);
		return cli_errno(cli, rc, "who uses /dev/iommu cannot be "
				 "asked");
	}
	for (i = 0; i < nr; i++)
		append(array, iommu_json_context(&contexts[i]));
	iommu_contexts_free(contexts, nr);
	if (!iommu_contexts_all())
		append_text(notes, "contexts of other users are not shown: "
			    "that needs CAP_NET_ADMIN; ask as root");
	return cli_output(cli, doc);
}

const struct verb ps_verbs[] = {
	{
		.verb = "ps",
		.run = ps, .text = ps_text,
		.help = "Show who uses /dev/iommu, with IOASes and devices",
		.more = "A row for each IOAS. PINNED is memory that cannot be "
			"swapped; MEMLOCK is what\ncounts against the "
			"process's limit on locked memory.",
	},
	{ 0 },
};
