// SPDX-License-Identifier: GPL-2.0-only
/* Read, write and apply Varlink's interface definitions. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idl.h"
#include "util.h"

#define MAX_DEPTH 16
#define MAX_WIDTH 80

/* ---- Reading ---- */

struct scanner {
	const char *at;
	int line;
	char *doc;	/* comment lines since the last token */
	bool failed;
};

static void add_line(char **doc, const char *line, size_t len)
{
	char *more = must_format("%s%.*s\n", *doc ? *doc : "", (int)len, line);

	free(*doc);
	*doc = more;
}

static void skip(struct scanner *s)
{
	size_t len;

	for (;;) {
		if (*s->at == '\n')
			s->line++;
		if (isspace((unsigned char)*s->at)) {
			s->at++;
		} else if (*s->at == '#') {
			len = strcspn(s->at, "\n");
			add_line(&s->doc, s->at, len);
			s->at += len;
		} else {
			return;
		}
	}
}

static char *take_doc(struct scanner *s)
{
	char *doc;

	skip(s);
	doc = s->doc;
	s->doc = NULL;
	return doc;
}

static bool peek(struct scanner *s, const char *token)
{
	size_t len = strlen(token);

	skip(s);
	if (strncmp(s->at, token, len))
		return false;
	/* "in" is not the beginning of "int". */
	return !isalnum((unsigned char)token[0]) ||
	       !(isalnum((unsigned char)s->at[len]) || s->at[len] == '_');
}

static bool accept(struct scanner *s, const char *token)
{
	if (s->failed || !peek(s, token))
		return false;
	s->at += strlen(token);
	return true;
}

static void expect(struct scanner *s, const char *token)
{
	if (!accept(s, token))
		s->failed = true;
}

/* A word of letters and digits, and of @more within. */
static char *word(struct scanner *s, const char *more)
{
	const char *start;

	skip(s);
	start = s->at;
	if (!isalpha((unsigned char)*s->at)) {
		s->failed = true;
		return must_dup("");
	}
	while (isalnum((unsigned char)*s->at) ||
	       (*s->at && strchr(more, *s->at) &&
		isalnum((unsigned char)s->at[1])))
		s->at++;
	return must_format("%.*s", (int)(s->at - start), start);
}

static char *member_name(struct scanner *s)
{
	char *name = word(s, "");

	if (!isupper((unsigned char)name[0]))
		s->failed = true;
	return name;
}

static struct idl_type *new_type(enum idl_kind kind)
{
	struct idl_type *type = must_alloc(sizeof(*type));

	type->kind = kind;
	return type;
}

static void free_type(struct idl_type *type)
{
	size_t i;

	if (!type)
		return;
	for (i = 0; i < type->nr_fields; i++) {
		free(type->fields[i].doc);
		free(type->fields[i].name);
		free_type(type->fields[i].type);
	}
	free(type->fields);
	free_type(type->element);
	free(type->name);
	free(type);
}

static struct idl_type *read_type(struct scanner *s, int depth);

static bool has_field(const struct idl_type *type, const char *name)
{
	size_t i;

	for (i = 0; i < type->nr_fields; i++) {
		if (!strcmp(type->fields[i].name, name))
			return true;
	}
	return false;
}

/* The first field decides: with a type it is a struct, else an enum. */
static struct idl_type *read_struct(struct scanner *s, int depth)
{
	struct idl_type *type = new_type(IDL_STRUCT);
	struct idl_field field;

	expect(s, "(");
	if (accept(s, ")"))
		return type;
	do {
		field = (struct idl_field){ .doc = take_doc(s) };
		field.name = word(s, "_");
		if (has_field(type, field.name))
			s->failed = true;
		if (!type->nr_fields && !peek(s, ":"))
			type->kind = IDL_ENUM;
		if (type->kind == IDL_STRUCT) {
			expect(s, ":");
			field.type = read_type(s, depth + 1);
		}
		type->fields = must_grow(type->fields, type->nr_fields + 1,
					 sizeof(field));
		type->fields[type->nr_fields++] = field;
	} while (accept(s, ","));
	expect(s, ")");
	return type;
}

static struct idl_type *read_wrapped(struct scanner *s, enum idl_kind kind,
				     int depth)
{
	struct idl_type *type = new_type(kind);

	type->element = read_type(s, depth + 1);
	return type;
}

static struct idl_type *read_type(struct scanner *s, int depth)
{
	static const struct {
		const char *word;
		enum idl_kind kind;
	} simple[] = {
		{ "bool", IDL_BOOL }, { "int", IDL_INT },
		{ "float", IDL_FLOAT }, { "string", IDL_STRING },
		{ "object", IDL_OBJECT },
	};
	struct idl_type *type;
	size_t i;

	if (depth > MAX_DEPTH)
		s->failed = true;
	if (s->failed)
		return new_type(IDL_OBJECT);
	if (accept(s, "?")) {
		type = read_wrapped(s, IDL_MAYBE, depth);
		if (type->element->kind == IDL_MAYBE)
			s->failed = true;
		return type;
	}
	if (accept(s, "[]"))
		return read_wrapped(s, IDL_ARRAY, depth);
	if (accept(s, "[string]"))
		return read_wrapped(s, IDL_MAP, depth);
	if (peek(s, "("))
		return read_struct(s, depth);
	for (i = 0; i < ARRAY_LEN(simple); i++) {
		if (accept(s, simple[i].word))
			return new_type(simple[i].kind);
	}
	type = new_type(IDL_NAMED);
	type->name = member_name(s);
	return type;
}

static struct idl_member read_member(struct scanner *s)
{
	struct idl_member m = { .doc = take_doc(s) };

	if (accept(s, "method"))
		m.role = IDL_METHOD;
	else if (accept(s, "error"))
		m.role = IDL_ERROR;
	else
		expect(s, "type");
	m.name = member_name(s);
	m.in = read_struct(s, 0);
	/* What goes over the wire is always an object. */
	if (m.role != IDL_TYPE && m.in->kind == IDL_ENUM)
		s->failed = true;
	if (m.role == IDL_METHOD) {
		expect(s, "->");
		m.out = read_struct(s, 0);
		if (m.out->kind == IDL_ENUM)
			s->failed = true;
	}
	return m;
}

static bool names_known(const struct idl *idl, const struct idl_type *type)
{
	size_t i;

	if (!type)
		return true;
	if (type->kind == IDL_NAMED && !idl_find(idl, IDL_TYPE, type->name))
		return false;
	for (i = 0; i < type->nr_fields; i++) {
		if (!names_known(idl, type->fields[i].type))
			return false;
	}
	return names_known(idl, type->element);
}

static bool is_known(const struct idl *idl, const char *name)
{
	return idl_find(idl, IDL_TYPE, name) ||
	       idl_find(idl, IDL_METHOD, name) ||
	       idl_find(idl, IDL_ERROR, name);
}

struct idl *idl_parse(const char *text, int *ret_line)
{
	struct scanner s = { .at = text, .line = 1 };
	struct idl *idl = must_alloc(sizeof(*idl));
	struct idl_member m;
	size_t i;

	idl->doc = take_doc(&s);
	expect(&s, "interface");
	idl->name = word(&s, ".-");
	if (!strchr(idl->name, '.'))
		s.failed = true;
	while (skip(&s), *s.at && !s.failed) {
		m = read_member(&s);
		if (is_known(idl, m.name))
			s.failed = true;
		idl->members = must_grow(idl->members, idl->nr_members + 1,
					 sizeof(m));
		idl->members[idl->nr_members++] = m;
	}
	/* A comment after the last member belongs to nothing. */
	if (s.doc)
		s.failed = true;
	free(s.doc);
	for (i = 0; i < idl->nr_members && !s.failed; i++) {
		if (!names_known(idl, idl->members[i].in) ||
		    !names_known(idl, idl->members[i].out))
			s.failed = true;
	}
	if (s.failed) {
		*ret_line = s.line;
		return idl_free(idl);
	}
	return idl;
}

struct idl *idl_free(struct idl *idl)
{
	size_t i;

	if (idl) {
		for (i = 0; i < idl->nr_members; i++) {
			free(idl->members[i].doc);
			free(idl->members[i].name);
			free_type(idl->members[i].in);
			free_type(idl->members[i].out);
		}
		free(idl->members);
		free(idl->doc);
		free(idl->name);
		free(idl);
	}
	return NULL;
}

const struct idl_member *idl_find(const struct idl *idl, enum idl_role role,
				  const char *name)
{
	size_t i;

	for (i = 0; i < idl->nr_members; i++) {
		if (idl->members[i].role == role &&
		    !strcmp(idl->members[i].name, name))
			return &idl->members[i];
	}
	return NULL;
}

/* ---- Writing ---- */

static void put_doc(FILE *f, const char *doc, const char *indent)
{
	size_t len;

	for (; doc && *doc; doc += len + 1) {
		len = strcspn(doc, "\n");
		fprintf(f, "%s%.*s\n", indent, (int)len, doc);
	}
}

static void put_type(FILE *f, const struct idl_type *type);

static void put_field(FILE *f, const struct idl_field *field)
{
	fputs(field->name, f);
	if (field->type) {
		fputs(": ", f);
		put_type(f, field->type);
	}
}

static void put_inline(FILE *f, const struct idl_type *type)
{
	size_t i;

	fputc('(', f);
	for (i = 0; i < type->nr_fields; i++) {
		fputs(i ? ", " : "", f);
		put_field(f, &type->fields[i]);
	}
	fputc(')', f);
}

static void put_lines(FILE *f, const struct idl_type *type)
{
	size_t i;

	fputs("(\n", f);
	for (i = 0; i < type->nr_fields; i++) {
		put_doc(f, type->fields[i].doc, "  ");
		fputs("  ", f);
		put_field(f, &type->fields[i]);
		fputs(i + 1 < type->nr_fields ? ",\n" : "\n", f);
	}
	fputc(')', f);
}

static void put_type(FILE *f, const struct idl_type *type)
{
	static const char *const words[] = {
		[IDL_BOOL] = "bool", [IDL_INT] = "int", [IDL_FLOAT] = "float",
		[IDL_STRING] = "string", [IDL_OBJECT] = "object",
		[IDL_ARRAY] = "[]", [IDL_MAP] = "[string]", [IDL_MAYBE] = "?",
	};

	switch (type->kind) {
	case IDL_BOOL:
	case IDL_INT:
	case IDL_FLOAT:
	case IDL_STRING:
	case IDL_OBJECT:
		fputs(words[type->kind], f);
		break;
	case IDL_ARRAY:
	case IDL_MAP:
	case IDL_MAYBE:
		fputs(words[type->kind], f);
		put_type(f, type->element);
		break;
	case IDL_NAMED:
		fputs(type->name, f);
		break;
	case IDL_STRUCT:
	case IDL_ENUM:
		put_inline(f, type);
		break;
	}
}

static bool has_docs(const struct idl_type *type)
{
	size_t i;

	for (i = 0; type && i < type->nr_fields; i++) {
		if (type->fields[i].doc)
			return true;
	}
	return false;
}

static void put_struct(FILE *f, const struct idl_type *type, bool lines)
{
	if (lines && type->nr_fields)
		put_lines(f, type);
	else
		put_inline(f, type);
}

static char *member_text(const struct idl_member *m, bool in_lines,
			 bool out_lines)
{
	static const char *const words[] = {
		[IDL_TYPE] = "type", [IDL_METHOD] = "method",
		[IDL_ERROR] = "error",
	};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	fprintf(f, "%s %s%s", words[m->role], m->name,
		m->role == IDL_METHOD ? "" : " ");
	put_struct(f, m->in, in_lines);
	if (m->out) {
		fputs(" -> ", f);
		put_struct(f, m->out, out_lines);
	}
	fclose(f);
	return text;
}

/* On one line if that is short enough, else what is given back on several. */
static void put_member(FILE *f, const struct idl_member *m)
{
	bool in = has_docs(m->in), out = has_docs(m->out);
	char *text = member_text(m, in, out);

	if (strcspn(text, "\n") > MAX_WIDTH && m->out && !out) {
		free(text);
		text = member_text(m, in, true);
	}
	if (strcspn(text, "\n") > MAX_WIDTH) {
		free(text);
		text = member_text(m, true, true);
	}
	fputc('\n', f);
	put_doc(f, m->doc, "");
	fprintf(f, "%s\n", text);
	free(text);
}

char *idl_format(const struct idl *idl)
{
	char *text = NULL;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	put_doc(f, idl->doc, "");
	fprintf(f, "interface %s\n", idl->name);
	for (i = 0; i < idl->nr_members; i++)
		put_member(f, &idl->members[i]);
	fclose(f);
	return text;
}

/* ---- Checking ---- */

/* Where in the value the check is; the text is made when it fails. */
struct place {
	const struct place *up;
	const char *key;	/* NULL: element @i */
	size_t i;
};

static size_t print_place(const struct place *p, char *path, size_t len)
{
	size_t at;

	if (!p->up)
		return 0;
	at = print_place(p->up, path, len);
	if (at >= len)
		return at;
	if (p->key)
		return at + snprintf(path + at, len - at, "%s%s",
				     at ? "." : "", p->key);
	return at + snprintf(path + at, len - at, "[%zu]", p->i);
}

struct check {
	const struct idl *idl;
	char *path;
	size_t len;
};

static bool wrong(const struct check *c, const struct place *p)
{
	if (c->len)
		c->path[0] = 0;
	print_place(p, c->path, c->len);
	return false;
}

static bool check(const struct check *c, const struct idl_type *type,
		  struct json_object *value, const struct place *p);

static bool check_struct(const struct check *c, const struct idl_type *type,
			 struct json_object *value, const struct place *p)
{
	struct json_object_iterator it, end;
	struct json_object *field;
	size_t i;

	if (!json_object_is_type(value, json_type_object))
		return wrong(c, p);
	for (i = 0; i < type->nr_fields; i++) {
		struct place in = { .up = p, .key = type->fields[i].name };

		field = NULL;
		json_object_object_get_ex(value, in.key, &field);
		if (!check(c, type->fields[i].type, field, &in))
			return false;
	}
	it = json_object_iter_begin(value);
	end = json_object_iter_end(value);
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		struct place in = {
			.up = p, .key = json_object_iter_peek_name(&it),
		};

		if (!has_field(type, in.key))
			return wrong(c, &in);
	}
	return true;
}

static bool check_map(const struct check *c, const struct idl_type *type,
		      struct json_object *value, const struct place *p)
{
	struct json_object_iterator it, end;

	if (!json_object_is_type(value, json_type_object))
		return wrong(c, p);
	it = json_object_iter_begin(value);
	end = json_object_iter_end(value);
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		struct place in = {
			.up = p, .key = json_object_iter_peek_name(&it),
		};

		if (!check(c, type->element, json_object_iter_peek_value(&it),
			   &in))
			return false;
	}
	return true;
}

static bool check_array(const struct check *c, const struct idl_type *type,
			struct json_object *value, const struct place *p)
{
	struct place in = { .up = p };

	if (!json_object_is_type(value, json_type_array))
		return wrong(c, p);
	for (; in.i < json_object_array_length(value); in.i++) {
		if (!check(c, type->element,
			   json_object_array_get_idx(value, in.i), &in))
			return false;
	}
	return true;
}

static bool is_text(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) ==
		       (size_t)json_object_get_string_len(value);
}

static bool check(const struct check *c, const struct idl_type *type,
		  struct json_object *value, const struct place *p)
{
	const struct idl_member *named;
	bool good = false;

	switch (type->kind) {
	case IDL_BOOL:
		good = json_object_is_type(value, json_type_boolean);
		break;
	case IDL_INT:
		good = json_object_is_type(value, json_type_int);
		break;
	case IDL_FLOAT:
		good = json_object_is_type(value, json_type_double) ||
		       json_object_is_type(value, json_type_int);
		break;
	case IDL_STRING:
		good = is_text(value);
		break;
	case IDL_OBJECT:
		good = json_object_is_type(value, json_type_object);
		break;
	case IDL_ENUM:
		good = is_text(value) &&
		       has_field(type, json_object_get_string(value));
		break;
	case IDL_NAMED:
		named = idl_find(c->idl, IDL_TYPE, type->name);
		return check(c, named->in, value, p);
	case IDL_STRUCT:
		return check_struct(c, type, value, p);
	case IDL_ARRAY:
		return check_array(c, type, value, p);
	case IDL_MAP:
		return check_map(c, type, value, p);
	case IDL_MAYBE:
		return !value || check(c, type->element, value, p);
	}
	return good || wrong(c, p);
}

bool idl_check(const struct idl *idl, const struct idl_type *type,
	       struct json_object *value, char *path, size_t path_len)
{
	const struct check c = { idl, path, path_len };
	const struct place top = { 0 };

	return check(&c, type, value, &top);
}
