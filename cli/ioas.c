// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl ioas: named IOASes of the daemon, and the memory in them. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- list, show ---- */

static char *element_name(struct json_object *row)
{
	return text_of("%s", get_string(row, "name"));
}

static char *cell_regions(struct json_object *row)
{
	return join(get(row, "regions"), " ", element_name);
}

static char *cell_total(struct json_object *row)
{
	struct json_object *regions = get(row, "regions");
	__u64 size = 0;
	size_t i;

	for (i = 0; i < length(regions); i++)
		size += get_number(json_object_array_get_idx(regions, i),
				   "size");
	return short_size(size);
}

static void list_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "NAME", .key = "name" }, { "SIZE", .cell = cell_total },
		{ "REGIONS", .cell = cell_regions },
		{ "DEVICES", .cell = cell_devices },
	};

	print_table(f, "", get(doc, "ioases"), columns, ARRAY_LEN(columns));
}

static int list(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_show(cli, "ListIoases", NULL);
}

static void show_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "REGION", .key = "name" }, { "IOVA", .cell = cell_start },
		{ "SIZE", .cell = cell_size },
		{ "ACCESS", .cell = cell_access },
		{ "HUGE PAGES", .key = "huge_pages" },
	};
	struct json_object *ioas = get(doc, "ioas");
	char *devices = cell_devices(ioas);
	char *users = join(get(ioas, "users"), " ", element_string);
	char *groups = join(get(ioas, "groups"), " ", element_string);

	print_field(f, "IOAS", "%s", get_string(ioas, "name"));
	print_field(f, "devices", "%s", devices);
	print_field(f, "users", "%s", users);
	print_field(f, "groups", "%s", groups);
	print_field(f, "defined in", "%s:%s", get_string(ioas, "file"),
		    get_string(ioas, "line"));
	print_table(f, "", get(ioas, "regions"), columns, ARRAY_LEN(columns));
	free(devices);
	free(users);
	free(groups);
}

static struct json_object *find(struct json_object *array, const char *name)
{
	size_t i;

	for (i = 0; i < length(array); i++) {
		struct json_object *one = json_object_array_get_idx(array, i);

		if (!strcmp(get_string(one, "name"), name))
			return one;
	}
	return NULL;
}

/* What only the definition has: the pages of regions, and the owners. */
static void add_definition(struct json_object *ioas, struct json_object *def)
{
	struct json_object *d = get(def, "definition"), *pages, *region;
	struct json_object *regions = get(ioas, "regions");
	static const char *const owners[] = { "users", "groups" };
	size_t i;

	for (i = 0; i < length(regions); i++) {
		region = json_object_array_get_idx(regions, i);
		pages = get(get(get(d, "regions"), get_string(region, "name")),
			    "huge_pages");
		add_string(region, "huge_pages",
			   pages ? json_object_get_string(pages) : NULL);
	}
	for (i = 0; i < ARRAY_LEN(owners); i++) {
		if (get(d, owners[i]))
			add(ioas, owners[i], json_object_get(get(d,
								 owners[i])));
		else
			add_array(ioas, owners[i]);
	}
	add_string(ioas, "file", get_string(def, "file"));
	add_number(ioas, "line", get_number(def, "line"));
}

int cli_ioas(struct cli *cli, const char *name, struct json_object **ret)
{
	struct json_object *reply = NULL;
	int rc = cli_call(cli, "ListIoases", NULL, &reply);

	*ret = rc ? NULL : json_object_get(find(get(reply, "ioases"), name));
	json_object_put(reply);
	if (!rc && !*ret)
		rc = cli_fail(cli, IOMMU_ERROR_NOT_FOUND, "the daemon has no "
			      "IOAS '%s'; 'iommuctl ioas list' shows those "
			      "there are", name);
	return rc;
}

static int show(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc, *def, *ioas;
	int rc;

	(void)argc;
	rc = cli_definition(cli, "ioas", argv[0], &def);
	if (rc)
		return rc;
	rc = cli_ioas(cli, argv[0], &ioas);
	if (!rc) {
		add_definition(ioas, def);
		doc = new_document();
		add(doc, "ioas", ioas);
		rc = cli_output(cli, doc);
	}
	json_object_put(def);
	return rc;
}

/* ---- create, destroy ---- */

enum { OPT_REGION = 1, OPT_USER, OPT_GROUP };

static const struct option_spec create_specs[] = {
	{ OPT_REGION, "region", "REGION", WORD_TEXT, NULL,
	  "NAME=SIZE@IOVA[,huge=SIZE][,access=WHAT]; repeat it for more" },
	{ OPT_USER, "user", "NAME", WORD_TEXT, NULL,
	  "who may open the memory; repeat it for more" },
	{ OPT_GROUP, "group", "NAME", WORD_TEXT, NULL,
	  "a group that may; repeat it for more" },
	{ 0 },
};

/* The definition, as it grows. */
static struct json_object *created;

static struct json_object *part_of_created(const char *key, bool array)
{
	struct json_object *part;

	if (!created)
		created = new_parameters();
	part = get(created, key);
	if (part)
		return part;
	if (array)
		return add_array(created, key);
	part = new_parameters();
	add(created, key, part);
	return part;
}

static int create_option(struct cli *cli, int id, char **value)
{
	switch (id) {
	case OPT_REGION:
		return region_option(cli, part_of_created("regions", false),
				     value[0]);
	case OPT_USER:
		append_text(part_of_created("users", true), "%s", value[0]);
		return 0;
	case OPT_GROUP:
		append_text(part_of_created("groups", true), "%s", value[0]);
		return 0;
	}
	return 0;
}

static int create(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	if (!created || !get(created, "regions"))
		return cli_usage(cli, "it needs memory: --region "
				 "NAME=SIZE@IOVA");
	return cli_define(cli, "ioas", argv[0], created);
}

static int destroy(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return cli_undefine(cli, "ioas", argv[0]);
}

/* ---- open ---- */

static int open_memory(struct cli *cli, int argc, char **argv)
{
	enum iommu_error_kind kind;
	struct iommu_client *client;
	struct iommu_acquired got;
	struct iommu_why why;
	int rc;

	(void)argc;
	rc = command_check(cli, cli->command, 0, true);
	if (!rc)
		rc = cli_connect(cli, &client);
	if (rc)
		return rc;
	if (iommu_ioas_open(client, argv[0], &got, &kind, &why))
		rc = cli_fail(cli, kind, "%s", why.text);
	else
		rc = command_exec(cli, cli->command, &got);
	iommu_acquired_done(&got);
	iommu_client_close(client);
	return rc;
}

const struct verb ioas_verbs[] = {
	{
		.object = "ioas", .verb = "list",
		.run = list, .text = list_text,
		.help = "List the daemon's named IOASes",
	}, {
		.object = "ioas", .verb = "show",
		.args = "NAME", .min = 1, .max = 1, .word = WORD_IOAS,
		.run = show, .text = show_text,
		.help = "Show a named IOAS, its memory and its devices",
	}, {
		.object = "ioas", .verb = "create",
		.args = "NAME", .min = 1, .max = 1,
		.options = create_specs, .option = create_option,
		.run = create, .text = done_text,
		.help = "Have the daemon keep an IOAS with memory",
		.more = "Devices are attached to it whose definition in the "
			"policy has \"ioas\": NAME.\nWHAT is read, write or "
			"read-write.",
	}, {
		.object = "ioas", .verb = "destroy",
		.args = "NAME", .min = 1, .max = 1, .word = WORD_IOAS,
		.run = destroy, .text = done_text,
		.help = "Give up an IOAS that was made by create",
	}, {
		.object = "ioas", .verb = "open",
		.args = "NAME -- CMD...", .min = 1, .max = 1,
		.command = true, .word = WORD_IOAS,
		.run = open_memory, .text = done_text,
		.help = "Run a program with the memory of a named IOAS",
		.more = "In CMD, {region.NAME} stands for the file descriptor "
			"of a region, {iova.NAME} and\n{size.NAME} for where "
			"devices find it and how large it is.",
	},
	{ 0 },
};
