// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl ranges: which IOVAs a device can use, and why not the others. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static char *cell_use(struct json_object *row)
{
	return get(row, "reason") ? cell_reason(row) : text_of("usable");
}

static int by_start(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	__u64 s = strtoull(get_string(*x, "start"), NULL, 16);
	__u64 t = strtoull(get_string(*y, "start"), NULL, 16);

	return s < t ? -1 : s > t;
}

static void print_granule(FILE *f, struct json_object *doc)
{
	char *granule = get_size(doc, "granule");
	char *page = get_size(doc, "cpu_page_size");
	char *alignment = get_size(doc, "alignment");

	if (get(doc, "granule")) {
		print_field(f, "granule", "%s (CPU page %s)", granule, page);
		print_field(f, "alignment", "%s, of IOVAs and lengths",
			    alignment);
	}
	if (get(doc, "rule"))
		print_field(f, "user memory", "%s", get_string(doc, "rule"));
	free(granule);
	free(page);
	free(alignment);
}

/* One view of the whole space, in ascending order. */
static void ranges_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "START", .cell = cell_start }, { "LAST", .key = "last" },
		{ "SIZE", .cell = cell_size }, { "USE", .cell = cell_use },
	};
	static const char *const keys[] = { "iova_ranges", "reserved_regions" };
	struct json_object *rows = json_object_new_array(), *array;
	size_t k, i;

	print_granule(f, doc);
	for (k = 0; rows && k < ARRAY_LEN(keys); k++) {
		array = get(doc, keys[k]);
		for (i = 0; i < length(array); i++)
			append(rows, json_object_get(
					     json_object_array_get_idx(array,
								       i)));
	}
	if (length(rows)) {
		json_object_array_sort(rows, by_start);
		print_table(f, "", rows, columns, ARRAY_LEN(columns));
	}
	json_object_put(rows);
	print_notes(f, doc);
}

/* Move a member from one object to another. */
static void take(struct json_object *to, struct json_object *from,
		 const char *key)
{
	struct json_object *value = get(from, key);

	if (value)
		add(to, key, json_object_get(value));
	else
		add_null(to, key);
}

static int ranges(struct cli *cli, int argc, char **argv)
{
	static const char *const members[] = {
		"granule", "cpu_page_size", "needs_contiguous", "alignment",
		"rule", "iova_ranges", "reserved_regions",
	};
	struct json_object *doc, *all, *info;
	struct iommu_sys_group *group;
	struct iommu_sys_device *dev;
	size_t i;
	int rc;

	(void)argc;
	rc = cli_device_group(cli, argv[0], &dev, &group);
	if (rc)
		return rc;
	all = new_document();
	rc = add_device_info(cli, all, dev, group);
	iommu_sys_group_free(group);
	if (!rc) {
		doc = new_document();
		add_string(doc, "device", dev->name);
		take(doc, all, "source");
		info = get(all, "info");
		for (i = 0; i < ARRAY_LEN(members); i++)
			take(doc, info, members[i]);
		take(doc, all, "notes");
		rc = cli_output(cli, doc);
	}
	iommu_sys_device_free(dev);
	json_object_put(all);
	return rc;
}

const struct verb ranges_verbs[] = {
	{
		.verb = "ranges",
		.args = "DEVICE", .min = 1, .max = 1, .word = WORD_DEVICE,
		.run = ranges, .text = ranges_text,
		.help = "Show which IOVAs a device can use, and why not others",
	},
	{ 0 },
};
