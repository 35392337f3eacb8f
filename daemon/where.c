// SPDX-License-Identifier: GPL-2.0-only
/* Walk over a JSON text and note the line of each key. */
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "util.h"
#include "where.h"

struct walk {
	const char *at;
	int line;
	struct json_object *where;
	char *twice;
};

static void blank(struct walk *w)
{
	for (; *w->at && strchr(" \t\r\n", *w->at); w->at++)
		w->line += *w->at == '\n';
}

/* Past a string; @ret_len: what is between its quotes. */
static const char *string(struct walk *w, size_t *ret_len)
{
	const char *start = ++w->at;

	while (*w->at && *w->at != '"') {
		if (*w->at == '\\' && w->at[1])
			w->at++;
		w->line += *w->at == '\n';
		w->at++;
	}
	*ret_len = w->at - start;
	if (*w->at)
		w->at++;
	return start;
}

static void note(struct walk *w, const char *path)
{
	struct json_object *line;

	if (json_object_object_get_ex(w->where, path, &line)) {
		if (!w->twice)
			w->twice = must_dup(path);
	}
	js_number(w->where, path, w->line);
}

static void value(struct walk *w, const char *path, int depth);

/* A value and the comma after it; false: it was the last. Frees @path. */
static bool element(struct walk *w, char *path, int depth)
{
	value(w, path, depth);
	free(path);
	blank(w);
	if (*w->at != ',')
		return false;
	w->at++;
	return true;
}

static void object(struct walk *w, const char *path, int depth)
{
	const char *key;
	char *inner;
	size_t len;

	do {
		blank(w);
		if (*w->at != '"')
			return;
		key = string(w, &len);
		inner = must_format("%s%s%.*s", path, *path ? "." : "",
				    (int)len, key);
		note(w, inner);
		blank(w);
		if (*w->at == ':')
			w->at++;
	} while (element(w, inner, depth));
}

static void array(struct walk *w, const char *path, int depth)
{
	char *inner;
	size_t i = 0;

	do {
		blank(w);
		if (!*w->at || *w->at == ']')
			return;
		inner = must_format("%s[%zu]", path, i++);
		note(w, inner);
	} while (element(w, inner, depth));
}

static void value(struct walk *w, const char *path, int depth)
{
	size_t len;

	blank(w);
	if (depth > (int)MESSAGE_DEPTH)
		return;
	if (*w->at == '"') {
		string(w, &len);
	} else if (*w->at == '{') {
		w->at++;
		object(w, path, depth + 1);
		w->at += *w->at == '}';
	} else if (*w->at == '[') {
		w->at++;
		array(w, path, depth + 1);
		w->at += *w->at == ']';
	} else {
		w->at += strcspn(w->at, ",]} \t\r\n");
	}
}

struct json_object *where_scan(const char *text, char **ret_twice)
{
	struct walk w = { .at = text, .line = 1, .where = js_object() };

	value(&w, "", 0);
	*ret_twice = w.twice;
	return w.where;
}

int where_line(struct json_object *where, const char *path)
{
	char *up = must_dup(path), *dot, *bracket;
	uint64_t line = 0;

	while (*up && !(line = js_get_number(where, up))) {
		dot = strrchr(up, '.');
		bracket = strrchr(up, '[');
		if (bracket > dot)
			dot = bracket;
		*(dot ? dot : up) = 0;
	}
	free(up);
	return line ? (int)line : 1;
}
