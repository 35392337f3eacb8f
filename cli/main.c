// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl: find the verb, read its options, run it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const struct verb *const verb_tables[] = {
	device_verbs, group_verbs, ranges_verbs, map_verbs, unmap_verbs,
	maps_verbs, run_verbs, ioas_verbs, policy_verbs, daemon_verbs, cdi_verbs,
	ps_verbs, monitor_verbs, plot_verbs, doctor_verbs, meta_verbs, NULL,
};

#define for_each_verb(t, v) \
	for (t = verb_tables; *t; t++) \
		for (v = *t; v->verb; v++)

const char *verb_name(const struct verb *v)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s%s%s", v->object ? v->object : "",
		 v->object ? " " : "", v->verb);
	return name;
}

const struct verb *find_verb(const char *object, const char *verb)
{
	const struct verb *const *t, *v;

	for_each_verb(t, v) {
		if (!strcmp(v->verb, verb) &&
		    (object ? v->object && !strcmp(v->object, object) :
			      !v->object))
			return v;
	}
	return NULL;
}

bool is_object(const char *name)
{
	const struct verb *const *t, *v;

	for_each_verb(t, v) {
		if (v->object && !strcmp(v->object, name))
			return true;
	}
	return false;
}

static int name_width(const struct verb *v)
{
	return strlen(verb_name(v)) + (v->args ? strlen(v->args) + 1 : 0);
}

void print_help(FILE *f, const char *object)
{
	const struct verb *const *t, *v;
	int width;

	fputs("Usage: iommuctl OBJECT VERB [ARGUMENTS] [OPTIONS]\n\n", f);
	for_each_verb(t, v) {
		if (object && (!v->object || strcmp(v->object, object)))
			continue;
		width = 28 - name_width(v);
		fprintf(f, "  %s%s%s%*s  %s\n", verb_name(v),
			v->args ? " " : "", v->args ? v->args : "",
			width > 0 ? width : 0, "", v->help);
	}
	fputs("\nEvery verb takes --json, --color and --help. A DEVICE is "
	      "0000:00:03.0, 00:03.0, vfio0\nor /dev/vfio/devices/vfio0. "
	      "More in iommuctl(1).\n", f);
}

void print_verb_help(FILE *f, const struct verb *v)
{
	const struct option_spec *o;
	char left[64];

	fprintf(f, "Usage: iommuctl %s%s%s [OPTIONS]\n\n%s.\n", verb_name(v),
		v->args ? " " : "", v->args ? v->args : "", v->help);
	if (v->more)
		fprintf(f, "%s\n", v->more);
	fputs("\nOptions:\n", f);
	for (o = v->options; o && o->name; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name,
			 o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(f, "  %-22s  %s\n", left, o->help);
	}
	fprintf(f, "  %-22s  %s\n", "--json", "print JSON");
	fprintf(f, "  %-22s  %s\n", "--color WHEN",
		"auto, always or never");
	fprintf(f, "  %-22s  %s\n", "--help", "print this help");
}

void print_verbs(FILE *f)
{
	const struct verb *const *t, *v;

	for_each_verb(t, v)
		fprintf(f, "%s\n", verb_name(v));
}

static const struct option_spec *find_option(const struct verb *v,
					     const char *name, size_t len)
{
	const struct option_spec *o;

	for (o = v->options; o && o->name; o++) {
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	}
	return NULL;
}

/* Is @value one of the words of @choices? */
static bool is_choice(const char *choices, const char *value)
{
	size_t len;

	for (; *choices; choices += len + (choices[len] == ' ')) {
		len = strcspn(choices, " ");
		if (strlen(value) == len && !memcmp(choices, value, len))
			return true;
	}
	return false;
}

/* Read one option at @argv; returns an exit code, sets *@used to its words. */
static int read_option(struct cli *cli, char **argv, int *used, bool *help)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *o;
	char *value[2] = { NULL, NULL };

	*used = 1;
	if (!strcmp(name, "json")) {
		cli->json = true;
		return 0;
	}
	if (!strcmp(name, "help")) {
		*help = true;
		return 0;
	}
	if (len == 5 && !memcmp(name, "color", len)) {
		value[0] = equals ? argv[0] + 2 + len + 1 : argv[1];
		*used += !equals && argv[1];
		if (!value[0] || !set_colour(value[0]))
			return cli_usage(cli, "--color '%s' is none of: auto "
					 "always never",
					 value[0] ? value[0] : "");
		return 0;
	}
	o = find_option(cli->verb, name, len);
	if (!o)
		return cli_usage(cli, "there is no option --%.*s", (int)len,
				 name);
	if (!o->arg) {
		if (equals)
			return cli_usage(cli, "--%s takes no value", o->name);
		return cli->verb->option(cli, o->id, value);
	}
	if (o->word == WORD_COMMAND) {
		if (equals || !argv[1])
			return cli_usage(cli, "--%s takes the words that "
					 "follow it, and there are none",
					 o->name);
		while (argv[*used])
			(*used)++;
		return cli->verb->option(cli, o->id, argv + 1);
	}
	if (equals)
		value[0] = argv[0] + 2 + len + 1;
	else if (argv[1])
		value[0] = argv[(*used)++];
	else
		return cli_usage(cli, "--%s needs a value: %s", o->name,
				 o->arg);
	if (o->choices && !is_choice(o->choices, value[0]))
		return cli_usage(cli, "--%s '%s' is none of: %s", o->name,
				 value[0], o->choices);
	return cli->verb->option(cli, o->id, value);
}

/* Options and arguments may come in any order; "--" ends the options. */
static int run_verb(struct cli *cli, int argc, char **argv)
{
	bool help = false, ended = false;
	int i, used, rc, nr = 0;
	char **args;

	args = calloc(argc + 1, sizeof(*args));
	if (!args)
		return cli_fail(cli, IOMMU_ERROR_OTHER, "out of memory");
	for (i = 0; i < argc; i += used) {
		used = 1;
		if (ended || strncmp(argv[i], "-", 1) || !argv[i][1]) {
			args[nr++] = argv[i];
		} else if (!strcmp(argv[i], "--")) {
			ended = true;
			if (cli->verb->command) {
				cli->command = argv + i + 1;
				break;
			}
		} else if (!strcmp(argv[i], "-h")) {
			help = true;
		} else if (argv[i][1] != '-') {
			rc = cli_usage(cli, "there is no option %s", argv[i]);
			goto out;
		} else {
			rc = read_option(cli, argv + i, &used, &help);
			if (rc)
				goto out;
		}
		if (help) {
			print_verb_help(stdout, cli->verb);
			rc = cli_flush(cli);
			goto out;
		}
	}
	if (nr < cli->verb->min)
		rc = cli_usage(cli, "it needs %s", cli->verb->args);
	else if (nr > cli->verb->max)
		rc = cli_usage(cli, "'%s' is one argument too many",
			       args[cli->verb->max]);
	else if (cli->verb->command && (!cli->command || !*cli->command))
		rc = cli_usage(cli, "it needs '--' and a command");
	else
		rc = cli->verb->run(cli, nr, args);
out:
	free(args);
	return rc;
}

/* What comes in place of a verb. */
static int run_global(struct cli *cli, const char *option)
{
	if (!strcmp(option, "--help") || !strcmp(option, "-h"))
		print_help(stdout, NULL);
	else if (!strcmp(option, "--list-verbs"))
		print_verbs(stdout);
	else if (!strcmp(option, "--version"))
		printf("iommuctl %s\n", iommu_version());
	else
		return cli_usage(cli, "there is no option %s", option);
	return cli_flush(cli);
}

static int find_and_run(struct cli *cli, int argc, char **argv)
{
	if (argc && !strcmp(argv[0], "--json")) {
		cli->json = true;
		argc--;
		argv++;
	}
	if (!argc) {
		print_help(stderr, NULL);
		return IOMMU_ERROR_USAGE;
	}
	if (argv[0][0] == '-')
		return run_global(cli, argv[0]);
	if (!is_object(argv[0])) {
		cli->verb = find_verb(NULL, argv[0]);
		if (!cli->verb)
			return cli_usage(cli, "there is no '%s'", argv[0]);
		return run_verb(cli, argc - 1, argv + 1);
	}
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		print_help(stdout, argv[0]);
		return cli_flush(cli);
	}
	if (argc < 2)
		return cli_usage(cli, "'%s' needs a verb", argv[0]);
	cli->verb = find_verb(argv[0], argv[1]);
	if (!cli->verb)
		return cli_usage(cli, "there is no '%s %s'", argv[0], argv[1]);
	return run_verb(cli, argc - 2, argv + 2);
}

/*
 * Where somebody closed them, the next files would take their places: a message
 * on "standard error" would go to a device's registers.
 */
static bool have_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int main(int argc, char **argv)
{
	struct cli cli = { .sys = iommu_sys_new(NULL) };
	int rc;

	if (!have_standard_files())
		return IOMMU_ERROR_OTHER;
	if (!cli.sys)
		return cli_fail(&cli, IOMMU_ERROR_OTHER, "out of memory");
	rc = find_and_run(&cli, argc - 1, argv + 1);
	iommu_sys_free(cli.sys);
	return rc;
}
