// SPDX-License-Identifier: GPL-2.0-only
/* Memory in named IOASes of the daemon: how it is written, map, unmap. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int bad_region(struct cli *cli, const char *text)
{
	return cli_usage(cli, "--region '%s' is not like "
			 "ring=64K@0x100000[,huge=2M][,access=read]", text);
}

/* The policy knows fewer ways to write one than we do. */
static void add_size(struct json_object *region, const char *key, __u64 size)
{
	char *text = size_text(size);

	add_string(region, key, text);
	free(text);
}

/* What follows the IOVA: "huge=2M", "access=read". */
static int region_extra(struct cli *cli, struct json_object *region,
			const char *text, char *word)
{
	char *equals = strchr(word, '=');
	__u64 size;

	if (!equals || !equals[1])
		return bad_region(cli, text);
	*equals++ = 0;
	if (!strcmp(word, "huge") && !parse_size(equals, &size))
		add_size(region, "huge_pages", size);
	else if (!strcmp(word, "access"))
		add_string(region, "access", equals);
	else
		return bad_region(cli, text);
	return 0;
}

int region_option(struct cli *cli, struct json_object *regions,
		  const char *text)
{
	char *copy = text_of("%s", text), *rest = copy, *name, *size, *iova;
	struct json_object *region = new_parameters();
	__u64 bytes, address;
	int rc = 0;

	name = strsep(&rest, "=");
	size = rest ? strsep(&rest, "@") : NULL;
	iova = rest ? strsep(&rest, ",") : NULL;
	if (!*name || !iova || parse_size(size, &bytes) ||
	    parse_address(iova, &address)) {
		rc = bad_region(cli, text);
	} else if (get(regions, name)) {
		rc = cli_usage(cli, "--region '%s' is there twice", name);
	} else {
		add_size(region, "size", bytes);
		add_string(region, "iova", iova);
		while (rest && !rc)
			rc = region_extra(cli, region, text,
					  strsep(&rest, ","));
		add(regions, name, json_object_get(region));
	}
	json_object_put(region);
	free(copy);
	return rc;
}

/* "ring, rx" */
static char *names_of(struct json_object *regions)
{
	struct json_object *names = json_object_new_array();
	char *text;

	json_object_object_foreach(regions, key, value) {
		(void)value;
		append_text(names, "%s", key);
	}
	text = join(names, ", ", element_string);
	json_object_put(names);
	return text;
}

int region_map(struct cli *cli, const char *ioas, struct json_object *regions)
{
	struct json_object *parameters = new_parameters();
	char *names = names_of(regions);
	int rc;

	snprintf(cli->target, sizeof(cli->target), "%s", ioas);
	add_string(parameters, "ioas", ioas);
	add(parameters, "regions", regions);
	rc = cli_call(cli, "Map", parameters, NULL);
	if (!rc)
		rc = cli_done(cli, "IOAS %s: mapped %s", ioas, names);
	free(names);
	return rc;
}

static int unmap(struct cli *cli, int argc, char **argv)
{
	struct json_object *parameters = new_parameters(), *names;
	char *text;
	int rc;

	names = name_array(argc - 1, argv + 1);
	text = join(names, ", ", element_string);
	snprintf(cli->target, sizeof(cli->target), "%s", argv[0]);
	add_string(parameters, "ioas", argv[0]);
	add(parameters, "regions", names);
	rc = cli_call(cli, "Unmap", parameters, NULL);
	if (!rc)
		rc = cli_done(cli, "IOAS %s: unmapped %s", argv[0], text);
	free(text);
	return rc;
}

const struct verb unmap_verbs[] = {
	{
		.verb = "unmap",
		.args = "IOAS REGION...", .min = 2, .max = INT_MAX,
		.word = WORD_IOAS,
		.run = unmap, .text = done_text,
		.help = "Take memory out of a named IOAS, also while it is used",
		.more = "Devices cannot reach it from then on. Memory that "
			"'iommuctl map DEVICE' holds is\nunmapped when that "
			"ends.",
	},
	{ 0 },
};
