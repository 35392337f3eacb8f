// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interface definitions: the daemon's own survive being read and written, and
 * wrong ones and wrong values are told from right ones. Prints TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "idl.h"
#include "interfaces.h"
#include "util.h"

static int count, failed;

__attribute__((format(printf, 2, 0)))
static void ok(bool good, const char *fmt, const char *what)
{
	char text[200], *p;

	count++;
	failed += !good;
	printf("%sok %d - ", good ? "" : "not ", count);
	snprintf(text, sizeof(text), fmt, what);
	/* One line each, and no "#", which would be a directive. */
	for (p = text; *p; p++)
		*p = *p == '\n' || *p == '#' ? ' ' : *p;
	puts(text);
}

static void round_trip(const char *name, const char *text)
{
	int line = 0;
	struct idl *idl = idl_parse(text, &line), *again;
	char *written, *twice;

	if (!idl) {
		printf("# line %d\n", line);
		ok(false, "%s is read", name);
		return;
	}
	written = idl_format(idl);
	ok(!strcmp(written, text), "%s is written as it was read", name);
	again = idl_parse(written, &line);
	twice = again ? idl_format(again) : NULL;
	ok(twice && !strcmp(twice, written), "%s: and again", name);
	free(twice);
	free(written);
	idl_free(again);
	idl_free(idl);
}

#define HEAD "interface a.b\n"

/* Definitions that are wrong, and in which line. */
static const struct {
	const char *text;
	int line;
} wrong[] = {
	{ "", 1 },
	{ "interface", 1 },
	{ "interface a", 1 },
	{ "interfaces a.b", 1 },
	{ "interface a.b x", 1 },
	{ HEAD "method M()", 2 },
	{ HEAD "method M() ->", 2 },
	{ HEAD "method m() -> ()", 2 },
	{ HEAD "method M() -> ()\nmethod M() -> ()", 3 },
	{ HEAD "type T ()\nerror T ()", 3 },
	{ HEAD "type T", 2 },
	{ HEAD "type T (", 2 },
	{ HEAD "type T (a: int", 2 },
	{ HEAD "type T (a: int,)", 2 },
	{ HEAD "type T (a: int, a: int)", 2 },
	{ HEAD "type T (a: int, b)", 2 },
	{ HEAD "type T (a, b: int)", 2 },
	{ HEAD "type T (a: ??int)", 2 },
	{ HEAD "type T (a: integer)", 2 },
	{ HEAD "type T (a: Unknown)", 2 },
	{ HEAD "type T (a: [int]int)", 2 },
	{ HEAD "type T (1a: int)", 2 },
	{ HEAD "type T (a_: int)", 2 },
	{ HEAD "error E (a, b)", 2 },
	{ HEAD "method M(a, b) -> ()", 2 },
	{ HEAD "type T ()\n# a comment of nothing", 3 },
	{ HEAD "type T (a: [][][][][][][][][][][][][][][][][][][][]int)", 2 },
};

static void test_wrong(void)
{
	struct idl *idl;
	size_t i;
	int line;

	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		line = 0;
		idl = idl_parse(wrong[i].text, &line);
		if (!idl && line != wrong[i].line)
			printf("# line %d, not %d\n", line, wrong[i].line);
		ok(!idl && line == wrong[i].line, "wrong: %s",
		   strchr(wrong[i].text, '\n') ? strchr(wrong[i].text, '\n') + 1
					       : wrong[i].text);
		idl_free(idl);
	}
}

static const char types[] =
	HEAD
	"type T (\n"
	"  b: ?bool, i: ?int, f: ?float, s: ?string, o: ?object,\n"
	"  e: ?(one, two), n: ?T, a: ?[]int, m: ?[string]int,\n"
	"  st: ?(x: int, y: ?int)\n"
	")\n";

/* Values of that type; where one is wrong, or NULL. */
static const struct {
	const char *json;
	const char *at;
} values[] = {
	{ "{}", NULL },
	{ "{\"b\": true, \"i\": 1, \"f\": 1.5, \"s\": \"\", \"o\": {\"x\": []}}",
	  NULL },
	{ "{\"f\": 2, \"e\": \"two\", \"a\": [], \"m\": {\"k\": 1}}", NULL },
	{ "{\"n\": {\"n\": {\"n\": {\"i\": 1}}}}", NULL },
	{ "{\"st\": {\"x\": 1}}", NULL },
	{ "{\"b\": null}", NULL },
	{ "[]", "" },
	{ "{\"b\": 1}", "b" },
	{ "{\"i\": 1.0}", "i" },
	{ "{\"i\": \"1\"}", "i" },
	{ "{\"f\": \"1\"}", "f" },
	{ "{\"s\": 1}", "s" },
	{ "{\"s\": \"a\\u0000b\"}", "s" },
	{ "{\"o\": []}", "o" },
	{ "{\"e\": \"three\"}", "e" },
	{ "{\"e\": 1}", "e" },
	{ "{\"a\": [1, 2, \"3\"]}", "a[2]" },
	{ "{\"a\": {}}", "a" },
	{ "{\"m\": {\"k\": \"v\"}}", "m.k" },
	{ "{\"m\": []}", "m" },
	{ "{\"n\": {\"n\": {\"n\": {\"i\": true}}}}", "n.n.n.i" },
	{ "{\"st\": {}}", "st.x" },
	{ "{\"st\": {\"x\": null}}", "st.x" },
	{ "{\"st\": {\"x\": 1, \"z\": 1}}", "st.z" },
	{ "{\"q\": 1}", "q" },
};

static void test_values(void)
{
	struct json_object *value;
	struct idl *idl;
	char path[64];
	size_t i;
	int line = 0;
	bool good;

	idl = idl_parse(types, &line);
	ok(idl, "%s is read", "a type of all types");
	for (i = 0; idl && i < ARRAY_LEN(values); i++) {
		value = json_tokener_parse(values[i].json);
		strcpy(path, "?");
		good = idl_check(idl, idl->members[0].in, value, path,
				 sizeof(path));
		if (values[i].at ? strcmp(path, values[i].at) : !good)
			printf("# at '%s'\n", path);
		ok(values[i].at ? !good && !strcmp(path, values[i].at) : good,
		   "value: %s", values[i].json);
		json_object_put(value);
	}
	/* Where there is little room for the place, it is cut short. */
	value = json_tokener_parse("{\"n\": {\"n\": {\"i\": true}}}");
	good = idl && idl_check(idl, idl->members[0].in, value, path, 4);
	ok(!good && !strcmp(path, "n.n"), "%s", "a place that is too long");
	json_object_put(value);
	idl_free(idl);
}

int main(void)
{
	round_trip("org.varlink.service", org_varlink_service);
	round_trip("org.granule.iommud", org_granule_iommud);
	test_wrong();
	test_values();
	printf("1..%d\n", count);
	return failed > 0;
}
