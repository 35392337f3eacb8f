// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl ranges: which IOVAs a device or an IOAS can use, and why not others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static char *cell_use(struct json_object *row)
{
	return get(row, "reason") ? cell_reason(row) : text_of("usable");
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

static __u64 address(struct json_object *row, const char *key)
{
	return strtoull(get_string(row, key), NULL, 16);
}

static int by_start(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	__u64 s = address(*x, "start"), t = address(*y, "start");

	return s < t ? -1 : s > t;
}

static char *cell_segment(struct json_object *row)
{
	return get(row, "region") ? text_of("mapped: region %s",
					    get_string(row, "region")) :
				    text_of("free");
}

static struct json_object *new_range(__u64 start, __u64 last)
{
	struct iommu_iova_range range = { .start = start, .last = last };
	struct json_object *one = iommu_json_ranges(&range, 1), *row;

	row = json_object_get(json_object_array_get_idx(one, 0));
	json_object_put(one);
	return row;
}

static void add_segment(struct json_object *rows, __u64 start, __u64 last,
			const char *region)
{
	struct json_object *row = new_range(start, last);

	add_string(row, "region", region);
	append(rows, row);
}

/* @range around the regions in it, both ascending. */
static void split(struct json_object *rows, struct json_object *range,
		  struct json_object *regions)
{
	__u64 pos = address(range, "start"), last = address(range, "last");
	__u64 iova, end;
	size_t i;

	for (i = 0; i < length(regions); i++) {
		struct json_object *r = json_object_array_get_idx(regions, i);

		iova = address(r, "iova");
		end = iova + get_number(r, "size") - 1;
		if (iova < pos || end > last)
			continue;
		if (iova > pos)
			add_segment(rows, pos, iova - 1, NULL);
		add_segment(rows, iova, end, get_string(r, "name"));
		if (end == last)
			return;
		pos = end + 1;
	}
	add_segment(rows, pos, last, NULL);
}

static int by_iova(const void *a, const void *b)
{
	__u64 s = address(*(struct json_object *const *)a, "iova");
	__u64 t = address(*(struct json_object *const *)b, "iova");

	return s < t ? -1 : s > t;
}

static void ioas_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "START", .cell = cell_start }, { "LAST", .key = "last" },
		{ "SIZE", .cell = cell_size }, { "USE", .cell = cell_segment },
	};
	struct json_object *rows = json_object_new_array();
	struct json_object *ranges = get(doc, "iova_ranges");
	char *granule = get_size(doc, "granule");
	size_t i;

	if (get(doc, "granule"))
		print_field(f, "granule", "%s", granule);
	free(granule);
	for (i = 0; rows && i < length(ranges); i++)
		split(rows, json_object_array_get_idx(ranges, i),
		      get(doc, "regions"));
	if (length(rows))
		print_table(f, "", rows, columns, ARRAY_LEN(columns));
	json_object_put(rows);
	print_notes(f, doc);
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

	if (get(doc, "ioas")) {
		json_object_put(rows);
		ioas_text(doc, f);
		return;
	}
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

/* What the daemon takes for one: a word. */
static bool is_ioas_name(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_")];
}

/* A named IOAS, as the daemon has it. */
static int ioas_ranges(struct cli *cli, const char *name)
{
	struct json_object *doc, *notes, *ioas, *ranges, *all;
	int rc = cli_ioas(cli, name, &ioas);
	size_t i;

	if (rc)
		return rc;
	doc = new_document();
	add_string(doc, "ioas", name);
	take(doc, ioas, "granule");
	ranges = get(ioas, "iova_ranges");
	if (ranges) {
		all = add_array(doc, "iova_ranges");
		for (i = 0; i < length(ranges); i++) {
			struct json_object *one =
				json_object_array_get_idx(ranges, i);

			append(all, new_range(address(one, "start"),
					      address(one, "last")));
		}
	} else {
		add_null(doc, "iova_ranges");
	}
	take(doc, ioas, "regions");
	json_object_array_sort(get(doc, "regions"), by_iova);
	notes = add_array(doc, "notes");
	if (!ranges && length(get(ioas, "devices")))
		append_text(notes, "the daemon has not heard yet what its "
			    "devices leave it; ask again");
	else if (!ranges)
		append_text(notes, "no device is attached to it, so nothing "
			    "limits its IOVAs yet; 'iommuctl ranges DEVICE' "
			    "tells what a device will");
	json_object_put(ioas);
	return cli_output(cli, doc);
}

static int ranges(struct cli *cli, int argc, char **argv)
{
	char name[16];
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
	if (iommu_sys_device_name(cli->sys, argv[0], name) == -EINVAL &&
	    is_ioas_name(argv[0]))
		return ioas_ranges(cli, argv[0]);
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
		.args = "DEVICE|IOAS", .min = 1, .max = 1, .word = WORD_SPACE,
		.run = ranges, .text = ranges_text,
		.help = "Show which IOVAs a device can use, and why not others",
		.more = "Of a named IOAS: what its devices leave it, and what "
			"is free of that.",
	},
	{ 0 },
};
