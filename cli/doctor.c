// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl doctor: what keeps devices from being given away, and remedies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { OPT_SIZE = 1 };

static const struct option_spec specs[] = {
	{ OPT_SIZE, "size", "SIZE", WORD_TEXT, NULL,
	  "memory that devices are to be given; K, M, G, T may follow" },
	{ 0 },
};

static __u64 size;

static int option(struct cli *cli, int id, char **value)
{
	int rc = parse_size(value[0], &size);

	(void)id;
	if (rc == -ERANGE)
		return cli_usage(cli, "--size %s does not fit into 64 bits",
				 value[0]);
	if (rc)
		return cli_usage(cli, "--size '%s' is no size; give a number "
				 "of bytes that K, M, G or T may follow",
				 value[0]);
	if (!size)
		return cli_usage(cli, "--size is 0, and that is no memory");
	return 0;
}

static enum paint paint_of(const char *level)
{
	return !strcmp(level, "ok") ? PAINT_GOOD :
	       !strcmp(level, "note") ? PAINT_NOTE : PAINT_BAD;
}

static void doctor_text(struct json_object *doc, FILE *f)
{
	struct json_object *findings = get(doc, "findings"), *o;
	__u64 problems = get_number(doc, "problems");
	__u64 notes = get_number(doc, "notes");
	const char *level;
	size_t i;

	for (i = 0; i < length(findings); i++) {
		o = json_object_array_get_idx(findings, i);
		level = get_string(o, "level");
		fprintf(f, "%s%-8s%s %-10s %s: %s\n",
			paint(f, paint_of(level)), level,
			paint(f, PAINT_OFF), get_string(o, "check"),
			get_string(o, "object"), get_string(o, "value"));
		if (get(o, "rule"))
			fprintf(f, "%-20srule: %s\n", "",
				get_string(o, "rule"));
		if (get(o, "remedy"))
			fprintf(f, "%-20sremedy: %s%s%s\n", "",
				paint(f, PAINT_TITLE), get_string(o, "remedy"),
				paint(f, PAINT_OFF));
	}
	fprintf(f, "%llu problem%s, %llu note%s\n",
		(unsigned long long)problems, problems == 1 ? "" : "s",
		(unsigned long long)notes, notes == 1 ? "" : "s");
}

static int doctor(struct cli *cli, int argc, char **argv)
{
	const struct iommu_doctor_want want = {
		.devices = (const char *const *)argv,
		.nr = argc,
		.size = size,
	};
	struct iommu_finding *findings;
	struct json_object *doc, *array;
	size_t nr, i, problems = 0, notes = 0;
	int rc;

	rc = iommu_doctor(cli->sys, &want, &findings, &nr);
	if (rc)
		return cli_errno(cli, rc, "the machine cannot be looked at");
	doc = new_document();
	array = add_array(doc, "findings");
	for (i = 0; i < nr; i++) {
		append(array, iommu_json_finding(&findings[i]));
		problems += findings[i].level == IOMMU_FINDING_PROBLEM;
		notes += findings[i].level == IOMMU_FINDING_NOTE;
	}
	free(findings);
	add_number(doc, "problems", problems);
	add_number(doc, "notes", notes);
	rc = cli_output(cli, doc);
	return rc ? rc : problems ? IOMMU_ERROR_REFUSED : 0;
}

const struct verb doctor_verbs[] = {
	{
		.verb = "doctor",
		.args = "[DEVICE...]", .min = 0, .max = INT_MAX,
		.word = WORD_DEVICE,
		.options = specs, .option = option,
		.run = doctor, .text = doctor_text,
		.help = "Find what keeps devices from users, and how to cure it",
		.more = "Exits with 5 where there is a problem; a note is "
			"none.",
	},
	{ 0 },
};
