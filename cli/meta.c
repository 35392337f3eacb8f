// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl version, help, completion: what the program says of itself. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void version_text(struct json_object *doc, FILE *f)
{
	fprintf(f, "iommuctl %s\n", get_string(doc, "iommuctl"));
}

static int version(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc = new_document();

	(void)argc;
	(void)argv;
	add_string(doc, "iommuctl", iommu_version());
	return cli_output(cli, doc);
}

static void add_verb(struct json_object *array, const struct verb *v)
{
	struct json_object *obj = json_object_new_object(), *options;
	const struct option_spec *o;

	append(array, obj);
	add_string(obj, "verb", verb_name(v));
	add_string(obj, "args", v->args);
	add_string(obj, "help", v->help);
	options = add_array(obj, "options");
	for (o = v->options; o && o->name; o++)
		append_text(options, "--%s", o->name);
}

/* The text is that of print_help(), which has the same tables. */
static void help_text(struct json_object *doc, FILE *f)
{
	const struct verb *v = NULL;
	struct json_object *verbs = get(doc, "verbs");
	char name[64], *blank;

	if (!get(doc, "topic")) {
		print_help(f, NULL);
		return;
	}
	if (length(verbs) == 1) {
		snprintf(name, sizeof(name), "%s",
			 get_string(json_object_array_get_idx(verbs, 0),
				    "verb"));
		blank = strchr(name, ' ');
		if (blank)
			*blank = 0;
		v = blank ? find_verb(name, blank + 1) : find_verb(NULL, name);
	}
	if (v)
		print_verb_help(f, v);
	else
		print_help(f, get_string(doc, "topic"));
}

static int help(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc, *array;
	const struct verb *const *t, *v, *only = NULL;

	if (argc == 2)
		only = find_verb(argv[0], argv[1]);
	else if (argc == 1 && !is_object(argv[0]))
		only = find_verb(NULL, argv[0]);
	if (!only && (argc == 2 || (argc == 1 && !is_object(argv[0]))))
		return cli_usage(cli, "there is no '%s%s%s'", argv[0],
				 argc == 2 ? " " : "",
				 argc == 2 ? argv[1] : "");
	doc = new_document();
	add_string(doc, "topic", argc ? argv[0] : NULL);
	array = add_array(doc, "verbs");
	for (t = verb_tables; *t; t++) {
		for (v = *t; v->verb; v++) {
			if (only ? v == only :
			    !argc || (v->object && !strcmp(v->object, argv[0])))
				add_verb(array, v);
		}
	}
	return cli_output(cli, doc);
}

/* Bash words that a kind of word completes to. */
static const char *const words[] = {
	[WORD_TEXT] = "",
	[WORD_DEVICE] = "$(_iommuctl_devices)",
	[WORD_GROUP] = "$(_iommuctl_groups)",
	[WORD_IOAS] = "$(_iommuctl_ioases)",
	[WORD_SPACE] = "$(_iommuctl_devices; _iommuctl_ioases)",
	[WORD_FILE] = "$(compgen -f -- \"$cur\")",
	[WORD_SHELL] = "bash",
	[WORD_VERB] = "$(_iommuctl_words)",
	[WORD_COMMAND] = "",
};

static void print_options(FILE *f, const struct verb *v)
{
	const struct option_spec *o;

	fprintf(f, "\t'%s')\n\t\tcase $prev in\n", verb_name(v));
	for (o = v->options; o && o->name; o++) {
		if (!o->arg || o->word == WORD_COMMAND)
			continue;
		if (o->word == WORD_FILE)
			fprintf(f, "\t\t--%s) COMPREPLY=($(compgen -f -- "
				"\"$cur\")); return ;;\n", o->name);
		else
			fprintf(f, "\t\t--%s) words='%s' ;;\n", o->name,
				o->choices ? o->choices : "");
	}
	fprintf(f, "\t\t--color) words='auto always never' ;;\n"
		"\t\t*) words=\"%s --json --color --help%s", words[v->word],
		v->command ? " --" : "");
	for (o = v->options; o && o->name; o++)
		fprintf(f, " --%s", o->name);
	fputs("\" ;;\n\t\tesac ;;\n", f);
}

static const char head[] =
"# bash completion for iommuctl, made by 'iommuctl completion bash'\n"
"_iommuctl_devices() {\n"
"\tlocal d\n"
"\tfor d in /sys/bus/pci/devices/* /dev/vfio/devices/*; do\n"
"\t\t[ -e \"$d\" ] && echo \"${d##*/}\"\n"
"\tdone\n"
"}\n"
"_iommuctl_groups() {\n"
"\tlocal d\n"
"\tfor d in /sys/kernel/iommu_groups/*; do\n"
"\t\t[ -e \"$d\" ] && echo \"${d##*/}\"\n"
"\tdone\n"
"}\n"
"_iommuctl_ioases() {\n"
"\tlocal name rest\n"
"\tiommuctl ioas list 2>/dev/null | while read -r name rest; do\n"
"\t\t[ \"$name\" = NAME ] || echo \"$name\"\n"
"\tdone\n"
"}\n";

/* PCI addresses have colons, at which bash splits words. */
static const char tail[] =
"\tesac\n"
"\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
"\tcase $cur in\n"
"\t*:*)\n"
"\t\tcase $COMP_WORDBREAKS in\n"
"\t\t*:*) COMPREPLY=(\"${COMPREPLY[@]#\"${cur%\"${cur##*:}\"}\"}\") ;;\n"
"\t\tesac ;;\n"
"\tesac\n"
"}\n"
"complete -F _iommuctl iommuctl\n";

static const char body[] =
"_iommuctl() {\n"
"\tlocal line=${COMP_LINE:0:COMP_POINT} words='' cur prev verb w\n"
"\tlocal -a all\n"
"\tread -r -a all <<<\"$line\"\n"
"\tcase $line in *[[:space:]]) all+=('') ;; esac\n"
"\tcur=${all[-1]} prev=${all[-2]}\n"
"\tCOMPREPLY=()\n"
"\tif [ ${#all[@]} -le 2 ]; then\n"
"\t\tverb=''\n"
"\telse\n"
"\t\tverb=${all[1]}\n"
"\t\tcase $verb in ";

static const char choose[] =
")\n"
"\t\t\tif [ ${#all[@]} -le 3 ]; then verb=\"$verb ?\"; "
"else verb=\"$verb ${all[2]}\"; fi ;;\n"
"\t\tesac\n"
"\tfi\n"
"\tfor w in \"${all[@]:2:${#all[@]}-3}\"; do\n"
"\t\tif [ \"$w\" = --exec ] || [ \"$w\" = -- ]; then\n"
"\t\t\tCOMPREPLY=($(compgen -c -f -- \"$cur\"))\n"
"\t\t\treturn\n"
"\t\tfi\n"
"\tdone\n"
"\tcase $verb in\n";

/* @object's verbs, or with NULL what may come first. */
static void print_words(FILE *f, const char *object)
{
	const struct verb *const *t, *v;
	const char *last = "";

	for (t = verb_tables; *t; t++) {
		for (v = *t; v->verb; v++) {
			const char *w = object ? v->verb :
					v->object ? v->object : v->verb;

			if (object && (!v->object || strcmp(v->object, object)))
				continue;
			if (strcmp(w, last))
				fprintf(f, "%s%s", *last ? " " : "", w);
			last = w;
		}
	}
}

static void completion_text(struct json_object *doc, FILE *f)
{
	const struct verb *const *t, *v;
	const char *last = "";

	(void)doc;
	fputs(head, f);
	fputs("_iommuctl_words() {\n\techo '", f);
	print_words(f, NULL);
	fputs("'\n}\n", f);
	fputs(body, f);
	for (t = verb_tables; *t; t++) {
		for (v = *t; v->verb; v++) {
			if (!v->object || !strcmp(v->object, last))
				continue;
			fprintf(f, "%s%s", *last ? "|" : "", v->object);
			last = v->object;
		}
	}
	fputs(choose, f);
	fputs("\t'') words=\"$(_iommuctl_words) --help --version "
	      "--list-verbs\" ;;\n", f);
	last = "";
	for (t = verb_tables; *t; t++) {
		for (v = *t; v->verb; v++) {
			if (!v->object || !strcmp(v->object, last))
				continue;
			last = v->object;
			fprintf(f, "\t'%s ?') words='", last);
			print_words(f, last);
			fputs("' ;;\n", f);
		}
	}
	for (t = verb_tables; *t; t++)
		for (v = *t; v->verb; v++)
			print_options(f, v);
	fputs(tail, f);
}

static int completion(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc;
	char *script = NULL;
	size_t size;
	FILE *f;

	(void)argc;
	if (strcmp(argv[0], "bash"))
		return cli_usage(cli, "there is no completion for '%s', only "
				 "for bash", argv[0]);
	doc = new_document();
	add_string(doc, "shell", argv[0]);
	if (cli->json) {
		f = open_memstream(&script, &size);
		if (f) {
			completion_text(doc, f);
			fclose(f);
		}
		add_string(doc, "script", script);
		free(script);
	}
	return cli_output(cli, doc);
}

const struct verb meta_verbs[] = {
	{
		.verb = "version",
		.run = version, .text = version_text,
		.help = "Print the version",
	}, {
		.verb = "help",
		.args = "[OBJECT] [VERB]", .min = 0, .max = 2,
		.word = WORD_VERB,
		.run = help, .text = help_text,
		.help = "Show what there is, or how one verb is used",
	}, {
		.verb = "completion",
		.args = "bash", .min = 1, .max = 1, .word = WORD_SHELL,
		.run = completion, .text = completion_text,
		.help = "Print a script that completes command lines",
	},
	{ 0 },
};
