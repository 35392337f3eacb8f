// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl group: what can only be given away together. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli.h"

/* "yes", or who is in the way. */
static char *cell_viable(struct json_object *row)
{
	struct json_object *devices = get(row, "devices"), *dev;
	char *text = text_of("no:"), *more;
	size_t i, nr = 0;

	for (i = 0; i < length(devices); i++) {
		dev = json_object_array_get_idx(devices, i);
		if (!get_bool(dev, "blocks"))
			continue;
		more = text_of("%s%s %s (%s)", text, nr++ ? "," : "",
			       get_string(dev, "device"),
			       get_string(dev, "driver"));
		free(text);
		text = more;
	}
	if (nr)
		return text;
	free(text);
	return text_of("yes");
}

static char *cell_members(struct json_object *row)
{
	return join(get(row, "devices"), " ", element_device);
}

static void list_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "GROUP", .key = "group" }, { "TYPE", .key = "type" },
		{ "DEVICES", .cell = cell_members },
		{ "VIABLE", .cell = cell_viable },
	};

	print_table(f, "", get(doc, "groups"), columns, ARRAY_LEN(columns));
	print_notes(f, doc);
}

static int list(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_group **groups;
	struct json_object *doc, *array, *notes;
	size_t nr, i;
	int rc;

	(void)argc;
	(void)argv;
	rc = iommu_sys_groups(cli->sys, &groups, &nr);
	if (rc)
		return cli_errno(cli, rc, "the groups cannot be listed");
	doc = new_document();
	array = add_array(doc, "groups");
	notes = add_array(doc, "notes");
	for (i = 0; i < nr; i++)
		append(array, iommu_json_group(groups[i]));
	if (!nr)
		append_text(notes, "there is no IOMMU group; switch the IOMMU "
			    "on in the firmware and on the kernel's command "
			    "line (intel_iommu=on)");
	iommu_sys_groups_free(groups, nr);
	return cli_output(cli, doc);
}

static char *cell_blocks(struct json_object *row)
{
	return text_of("%s", get_bool(row, "blocks") ? "yes" : "no");
}

static void show_text(struct json_object *doc, FILE *f)
{
	static const struct column devices[] = {
		{ "DEVICE", .key = "device" }, { "DRIVER", .key = "driver" },
		{ "VFIO", .key = "vfio" }, { "BLOCKS", .cell = cell_blocks },
		{ "NAME", .key = "name" },
	};
	struct json_object *group = get(doc, "group");
	char *viable = cell_viable(group);

	print_field(f, "group", "%s", get_string(group, "group"));
	print_field(f, "type", "%s", get_string(group, "type"));
	print_field(f, "viable", "%s", viable);
	free(viable);
	fputs("devices\n", f);
	print_table(f, "  ", get(group, "devices"), devices,
		    ARRAY_LEN(devices));
	if (length(get(group, "reserved_regions"))) {
		fputs("reserved regions\n", f);
		print_regions(f, "  ", get(group, "reserved_regions"));
	}
	print_notes(f, doc);
}

static int show(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_group *group;
	struct json_object *doc, *notes;
	__u64 id;
	size_t i;
	int rc;

	(void)argc;
	snprintf(cli->target, sizeof(cli->target), "%s", argv[0]);
	if (parse_number(argv[0], INT32_MAX, &id))
		return cli_usage(cli, "this is no number of a group");
	rc = iommu_sys_group_get(cli->sys, id, &group);
	if (rc == -ENOENT)
		return cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				"there is no such IOMMU group; 'iommuctl group "
				"list' shows those there are");
	if (rc)
		return cli_errno(cli, rc, "the group cannot be read");
	doc = new_document();
	add(doc, "group", iommu_json_group(group));
	notes = add_array(doc, "notes");
	for (i = 0; i < group->nr_devices; i++) {
		if (!iommu_sys_device_blocks(group->devices[i]))
			continue;
		append_text(notes, "%s keeps the group from being given to a "
			    "user, because %s drives it; 'iommuctl device bind "
			    "--group %s' takes the whole group",
			    group->devices[i]->name, group->devices[i]->driver,
			    group->devices[i]->name);
	}
	iommu_sys_group_free(group);
	return cli_output(cli, doc);
}

const struct verb group_verbs[] = {
	{
		.object = "group", .verb = "list",
		.run = list, .text = list_text,
		.help = "List IOMMU groups and whether they are viable",
		.more = "A group is viable when none of its devices is driven "
			"by a driver of the host.",
	}, {
		.object = "group", .verb = "show",
		.args = "GROUP", .min = 1, .max = 1, .word = WORD_GROUP,
		.run = show, .text = show_text,
		.help = "Show the devices and reserved regions of a group",
	},
	{ 0 },
};
