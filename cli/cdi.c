// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl cdi: devices for container engines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { OPT_ALL = 1, OPT_OUTPUT };

static const struct option_spec specs[] = {
	{ OPT_ALL, "all", NULL, WORD_TEXT, NULL,
	  "all devices that VFIO has a node for" },
	{ OPT_OUTPUT, "output", "DIR", WORD_FILE, NULL,
	  "write it there, for example /etc/cdi, instead of printing it" },
	{ 0 },
};

static struct {
	bool all;
	const char *output;
} opts;

static int option(struct cli *cli, int id, char **value)
{
	(void)cli;
	if (id == OPT_ALL)
		opts.all = true;
	else
		opts.output = value[0];
	return 0;
}

/* Devices that go into the spec. */
struct list {
	struct iommu_sys_device **v;
	size_t nr;
};

static void list_done(struct list *list)
{
	while (list->nr)
		iommu_sys_device_free(list->v[--list->nr]);
	free(list->v);
}

static bool is_in(const struct list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (!strcmp(list->v[i]->name, name))
			return true;
	}
	return false;
}

static int add_named(struct cli *cli, struct list *list, const char *arg)
{
	struct iommu_sys_device *dev;
	int rc = cli_device(cli, arg, &dev);

	if (rc)
		return rc;
	if (!dev->node)
		rc = cli_fail(cli, IOMMU_ERROR_REFUSED, dev->vfio ?
			      "the device has no node in /dev/vfio/devices; "
			      "load the module ('modprobe granule-vfio')" :
			      "the device is not bound to a VFIO driver; "
			      "'iommuctl device bind %s' does that", dev->name);
	if (rc || is_in(list, dev->name))
		iommu_sys_device_free(dev);
	else
		list->v[list->nr++] = dev;
	return rc;
}

static int add_all(struct cli *cli, struct list *list)
{
	struct iommu_sys_device **devs;
	size_t nr, i;
	int rc = iommu_sys_devices(cli->sys, IOMMU_SYS_BRIEF, &devs, &nr);

	if (rc)
		return cli_errno(cli, rc, "the devices cannot be listed");
	free(list->v);
	list->v = devs;
	for (i = 0; i < nr; i++) {
		if (devs[i]->node)
			devs[list->nr++] = devs[i];
		else
			iommu_sys_device_free(devs[i]);
	}
	if (list->nr)
		return 0;
	return cli_fail(cli, IOMMU_ERROR_NOT_FOUND, "no device is bound to a "
			"VFIO driver; 'iommuctl device bind' does that");
}

/* Devices that come with one of these, or nobody can use it. */
static void note_groups(struct cli *cli, const struct list *list,
			struct json_object *notes)
{
	struct iommu_sys_group *group;
	const struct iommu_sys_device *dev;
	size_t i, j;

	for (i = 0; i < list->nr; i++) {
		dev = list->v[i];
		if (dev->group < 0 ||
		    iommu_sys_group_get(cli->sys, dev->group, &group))
			continue;
		for (j = 0; j < group->nr_devices; j++) {
			if (!group->devices[j]->node ||
			    !strcmp(group->devices[j]->name, dev->name))
				continue;
			append_text(notes, "%s is in group %ld with %s: only "
				    "one container can use the two of them",
				    dev->name, dev->group,
				    group->devices[j]->name);
		}
		iommu_sys_group_free(group);
	}
}

/* The spec alone, so that it can be written to a file. */
static void text(struct json_object *doc, FILE *f)
{
	struct json_object *notes = get(doc, "notes");
	size_t i;

	if (get(doc, "file"))
		fprintf(f, "%s\n", get_string(doc, "file"));
	else
		fprintf(f, "%s\n", json_object_to_json_string_ext(
				get(doc, "spec"), JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE));
	for (i = 0; i < length(notes); i++)
		fprintf(stderr, "note: %s\n", json_object_get_string(
				json_object_array_get_idx(notes, i)));
}

static int output(struct cli *cli, const struct list *list)
{
	struct json_object *doc = new_document(), *spec;
	char *path = NULL;
	int rc;

	rc = iommu_cdi_spec(list->v, list->nr, &spec);
	if (!rc && opts.output)
		rc = iommu_cdi_write(spec, opts.output, &path);
	if (rc) {
		json_object_put(spec);
		json_object_put(doc);
		return cli_errno(cli, rc, opts.output ? opts.output :
							"the spec");
	}
	add(doc, "spec", spec);
	add_string(doc, "file", path);
	free(path);
	note_groups(cli, list, add_array(doc, "notes"));
	return cli_output(cli, doc);
}

static int cdi(struct cli *cli, int argc, char **argv)
{
	struct list list = { 0 };
	int rc = 0, i;

	if (opts.all == !!argc)
		return cli_usage(cli, opts.all ? "--all and names of devices "
				 "exclude each other" :
				 "it needs names of devices, or --all");
	list.v = calloc(argc + 1, sizeof(*list.v));
	if (!list.v)
		return cli_fail(cli, IOMMU_ERROR_OTHER, "out of memory");
	for (i = 0; i < argc && !rc; i++)
		rc = add_named(cli, &list, argv[i]);
	if (opts.all)
		rc = add_all(cli, &list);
	if (!rc) {
		cli->target[0] = 0;
		rc = output(cli, &list);
	}
	list_done(&list);
	return rc;
}

const struct verb cdi_verbs[] = {
	{
		.verb = "cdi",
		.args = "DEVICE...|--all", .min = 0, .max = INT_MAX,
		.word = WORD_DEVICE,
		.options = specs, .option = option,
		.run = cdi, .text = text,
		.help = "Describe devices for container engines",
		.more = "A spec of the Container Device Interface: 'podman run "
			"--device\ngranule.org/vfio=0000:00:03.0' gives a "
			"container /dev/iommu and the device's node.",
	},
	{ 0 },
};
