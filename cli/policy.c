// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl policy: what iommud is to do, and for whom. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define KINDS "device ioas limit"
#define MAX_TEXT (1U << 20)

static char *cell_file(struct json_object *row)
{
	return text_of("%s:%s", get_string(row, "file"),
		       get_string(row, "line"));
}

static void list_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "KIND", .key = "kind" }, { "NAME", .key = "name" },
		{ "DEVICES", .cell = cell_devices },
		{ "FILE", .cell = cell_file },
	};

	print_table(f, "", get(doc, "definitions"), columns,
		    ARRAY_LEN(columns));
}

static int list(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_show(cli, "ListDefinitions", NULL);
}

/* ---- show ---- */

static void show_text(struct json_object *doc, FILE *f)
{
	fprintf(f, "%s\n", json_object_to_json_string_ext(
			get(doc, "definition"),
			JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* 0 when @kind is one; an error is printed. */
static int check_kind(struct cli *cli, const char *kind)
{
	static const char *const kinds[] = { "device", "ioas", "limit" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!strcmp(kinds[i], kind))
			return 0;
	}
	return cli_usage(cli, "'%s' is none of: " KINDS, kind);
}

int cli_definition(struct cli *cli, const char *kind, const char *name,
		   struct json_object **ret)
{
	struct json_object *reply, *array, *one;
	int rc = cli_call(cli, "ListDefinitions", NULL, &reply);
	size_t i;

	if (rc)
		return rc;
	array = get(reply, "definitions");
	*ret = NULL;
	for (i = 0; i < length(array) && !*ret; i++) {
		one = json_object_array_get_idx(array, i);
		if (!strcmp(get_string(one, "kind"), kind) &&
		    !strcmp(get_string(one, "name"), name))
			*ret = json_object_get(one);
	}
	json_object_put(reply);
	return *ret ? 0 : cli_fail(cli, IOMMU_ERROR_NOT_FOUND, "no %s '%s' is "
				   "defined; 'iommuctl policy list' shows "
				   "what is", kind, name);
}

static int show(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc;
	int rc = check_kind(cli, argv[0]);

	(void)argc;
	if (!rc)
		rc = cli_definition(cli, argv[0], argv[1], &doc);
	if (rc)
		return rc;
	add_number(doc, "version", IOMMU_JSON_VERSION);
	return cli_output(cli, doc);
}

/* ---- check, reload ---- */

static void check_text(struct json_object *doc, FILE *f)
{
	print_errors(get(doc, "errors"), f);
	if (!length(get(doc, "errors")))
		fputs("the files of the policy are right\n", f);
}

static int check(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc = new_document(), *reply;
	int rc = cli_call(cli, "CheckPolicy", NULL, &reply);
	size_t nr;

	(void)argc;
	(void)argv;
	if (rc) {
		json_object_put(doc);
		return rc;
	}
	nr = length(get(reply, "errors"));
	add(doc, "errors", json_object_get(get(reply, "errors")));
	json_object_put(reply);
	rc = cli_output(cli, doc);
	return rc ? rc : nr ? IOMMU_ERROR_REFUSED : IOMMU_ERROR_OK;
}

static int reload(struct cli *cli, int argc, char **argv)
{
	int rc = cli_call(cli, "Reload", NULL, NULL);

	(void)argc;
	(void)argv;
	return rc ? rc : cli_done(cli, "the policy is read again");
}

/* ---- define, undefine ---- */

/* Define, or Undefine without a definition. */
static int change_definition(struct cli *cli, const char *method,
			     const char *kind, const char *name,
			     struct json_object *definition, const char *done)
{
	struct json_object *parameters = new_parameters();
	int rc;

	add_string(parameters, "kind", kind);
	add_string(parameters, "name", name);
	if (definition)
		add(parameters, "definition", definition);
	rc = cli_call(cli, method, parameters, NULL);
	return rc ? rc : cli_done(cli, "%s '%s' is %s", kind, name, done);
}

int cli_define(struct cli *cli, const char *kind, const char *name,
	       struct json_object *definition)
{
	return change_definition(cli, "Define", kind, name, definition,
				 "defined");
}

int cli_undefine(struct cli *cli, const char *kind, const char *name)
{
	return change_definition(cli, "Undefine", kind, name, NULL,
				 "no longer defined");
}

/* All of a file, "-" for standard input; an error is printed. */
static int read_text(struct cli *cli, const char *path, char **ret)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	size_t len;
	int rc = 0;

	if (!f)
		return cli_errno(cli, errno, path);
	*ret = malloc(MAX_TEXT + 1);
	if (!*ret) {
		rc = cli_fail(cli, IOMMU_ERROR_OTHER, "out of memory");
	} else {
		len = fread(*ret, 1, MAX_TEXT + 1, f);
		if (ferror(f))
			rc = cli_errno(cli, errno, path);
		else if (len > MAX_TEXT)
			rc = cli_fail(cli, IOMMU_ERROR_REFUSED, "%s has more "
				      "than 1 MiB", path);
		else
			(*ret)[len] = 0;
		if (rc)
			free(*ret);
	}
	if (f != stdin)
		fclose(f);
	return rc;
}

static int define(struct cli *cli, int argc, char **argv)
{
	enum json_tokener_error err;
	struct json_object *obj;
	char *text = NULL;
	int rc = check_kind(cli, argv[0]);

	(void)argc;
	if (!rc && argv[2][0] != '{')
		rc = read_text(cli, argv[2], &text);
	if (rc)
		return rc;
	obj = json_tokener_parse_verbose(text ? text : argv[2], &err);
	free(text);
	if (!json_object_is_type(obj, json_type_object)) {
		json_object_put(obj);
		return cli_usage(cli, "'%s' is no JSON object (%s)", argv[2],
				 err == json_tokener_success ?
				 "it is something else" :
				 json_tokener_error_desc(err));
	}
	return cli_define(cli, argv[0], argv[1], obj);
}

static int undefine(struct cli *cli, int argc, char **argv)
{
	int rc = check_kind(cli, argv[0]);

	(void)argc;
	return rc ? rc : cli_undefine(cli, argv[0], argv[1]);
}

/* ---- start, stop ---- */

static void changed_text(struct json_object *doc, FILE *f)
{
	struct json_object *devices = get(doc, "devices");
	size_t i;

	done_text(doc, f);
	for (i = 0; i < length(devices); i++)
		fprintf(f, "%s\n", json_object_get_string(
				json_object_array_get_idx(devices, i)));
	print_notes(f, doc);
}

static int change(struct cli *cli, const char *method, const char *name,
		  const char *done)
{
	struct json_object *parameters = new_parameters(), *doc, *reply;
	char *text;
	int rc;

	add_string(parameters, "name", name);
	rc = cli_call(cli, method, parameters, &reply);
	if (rc)
		return rc;
	doc = new_document();
	text = text_of("'%s' is %s", name, done);
	add_string(doc, "done", text);
	free(text);
	add(doc, "devices", json_object_get(get(reply, "devices")));
	if (get(reply, "warnings"))
		add(doc, "notes", json_object_get(get(reply, "warnings")));
	else
		add_array(doc, "notes");
	json_object_put(reply);
	return cli_output(cli, doc);
}

static int start(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return change(cli, "Start", argv[0], "started, its devices are bound");
}

static int stop(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	return change(cli, "Stop", argv[0], "stopped, its devices are the "
					    "host's");
}

const struct verb policy_verbs[] = {
	{
		.object = "policy", .verb = "list",
		.run = list, .text = list_text,
		.help = "List the definitions that are in force",
	}, {
		.object = "policy", .verb = "show",
		.args = "KIND NAME", .min = 2, .max = 2,
		.run = show, .text = show_text,
		.help = "Show a definition",
		.more = "KIND is device, ioas or limit. What is printed can be "
			"given to 'policy define'.",
	}, {
		.object = "policy", .verb = "check",
		.run = check, .text = check_text,
		.help = "Look for errors in the files, use nothing",
	}, {
		.object = "policy", .verb = "reload",
		.run = reload, .text = done_text,
		.help = "Have the daemon read its policy again",
	}, {
		.object = "policy", .verb = "define",
		.args = "KIND NAME FILE", .min = 3, .max = 3,
		.word = WORD_FILE,
		.run = define, .text = done_text,
		.help = "Write a definition, and use it",
		.more = "KIND is device, ioas or limit. FILE has the "
			"definition, '-' is standard input;\nthe JSON itself, "
			"'{...}', does as well. See iommud.conf(5).",
	}, {
		.object = "policy", .verb = "undefine",
		.args = "KIND NAME", .min = 2, .max = 2,
		.run = undefine, .text = done_text,
		.help = "Remove a definition that was made by define",
	}, {
		.object = "policy", .verb = "start",
		.args = "NAME", .min = 1, .max = 1,
		.run = start, .text = changed_text,
		.help = "Bind what a device definition is for",
	}, {
		.object = "policy", .verb = "stop",
		.args = "NAME", .min = 1, .max = 1,
		.run = stop, .text = changed_text,
		.help = "Give its devices back to the host",
	},
	{ 0 },
};
