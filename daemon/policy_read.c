// SPDX-License-Identifier: GPL-2.0-only
/* Read values and objects of a policy's text, as tables say. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "peer.h"
#include "policy.h"
#include "policy_read.h"
#include "util.h"

/* More than that is not read by anybody. */
#define MAX_ERRORS 50

void policy_error(struct policy_errors *errors, const char *file, int line,
		  const char *key, const char *fmt, ...)
{
	struct policy_error *e;
	va_list ap;
	struct why text;

	if (errors->nr == MAX_ERRORS)
		return;
	va_start(ap, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	errors->v = must_grow(errors->v, errors->nr + 1, sizeof(*errors->v));
	e = &errors->v[errors->nr++];
	e->file = must_dup(file);
	e->line = line;
	e->key = must_dup(key);
	e->text = must_dup(text.text);
}

void policy_errors_done(struct policy_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->nr; i++) {
		free(errors->v[i].file);
		free(errors->v[i].key);
		free(errors->v[i].text);
	}
	free(errors->v);
	*errors = (struct policy_errors){ 0 };
}

/* ---- Values ---- */

/* The text of a string value; what is expected otherwise is said. */
static const char *text_of(struct reader *r, const char *path,
			   struct json_object *value, const char *expected)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string)) {
		bad(r, path, "has to be %s", expected);
		return NULL;
	}
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value)) {
		bad(r, path, "has a NUL character in it");
		return NULL;
	}
	return text;
}

void read_address(struct reader *r, const char *path,
		  struct json_object *value, const struct field *field,
		  void *target)
{
	static const char shape[] = "xxxx:xx:xx.x";
	const char *text = text_of(r, path, value, "a PCI address");
	size_t i, skip;

	(void)field;
	if (!text)
		return;
	/* Domains may have more digits. */
	skip = strlen(text) == 13 && isxdigit((unsigned char)text[0]);
	for (i = 0; text[skip + i] && i < sizeof(shape); i++) {
		if (shape[i] == 'x' ? !isxdigit((unsigned char)text[skip + i]) :
				      text[skip + i] != shape[i])
			break;
	}
	if (i != sizeof(shape) - 1 || text[skip + i]) {
		bad(r, path, "'%s' is no PCI address; it looks like 0000:00:03.0",
		    text);
		return;
	}
	free(*(char **)target);
	*(char **)target = must_dup(text);
}

void read_hex(struct reader *r, const char *path,
	      struct json_object *value, const struct field *field,
	      void *target)
{
	const char *text = text_of(r, path, value,
				   "a hexadecimal number as a string");
	unsigned long long number;
	char *end;

	if (!text)
		return;
	errno = 0;
	number = strtoull(text, &end, 16);
	if (strncmp(text, "0x", 2) || !isxdigit((unsigned char)text[2]) ||
	    *end || errno || number > field->max) {
		bad(r, path, "'%s' is no number from 0x0 to 0x%llx", text,
		    (unsigned long long)field->max);
		return;
	}
	*(int64_t *)target = number;
}

bool number_of(struct reader *r, const char *path,
	       struct json_object *value, const struct field *field,
	       uint64_t *ret)
{
	int64_t number;

	if (!json_object_is_type(value, json_type_int)) {
		bad(r, path, "has to be a number");
		return false;
	}
	number = json_object_get_int64(value);
	if (number < 0 || (uint64_t)number < field->min ||
	    (uint64_t)number > field->max) {
		bad(r, path, "%lld is not from %llu to %llu",
		    (long long)number, (unsigned long long)field->min,
		    (unsigned long long)field->max);
		return false;
	}
	*ret = number;
	return true;
}

void read_count(struct reader *r, const char *path,
		struct json_object *value, const struct field *field,
		void *target)
{
	uint64_t number;

	if (number_of(r, path, value, field, &number))
		*(unsigned int *)target = number;
}

void read_number(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target)
{
	number_of(r, path, value, field, target);
}

/* 65536 or "64K". */
void read_size(struct reader *r, const char *path,
	       struct json_object *value, const struct field *field,
	       void *target)
{
	static const char units[] = "KMGT";
	const char *text, *unit;
	unsigned long long number;
	unsigned int shift = 0;
	char *end;

	if (json_object_is_type(value, json_type_int)) {
		number_of(r, path, value, field, target);
		return;
	}
	text = text_of(r, path, value, "a size, as 65536 or \"64K\"");
	if (!text)
		return;
	errno = 0;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)text[0]) || *end || errno ||
	    number > UINT64_MAX >> shift || number << shift < field->min ||
	    number << shift > field->max) {
		bad(r, path, "'%s' is no size from %llu to %llu bytes; "
		    "K, M, G and T are understood", text,
		    (unsigned long long)field->min,
		    (unsigned long long)field->max);
		return;
	}
	*(uint64_t *)target = number << shift;
}

void read_name(struct reader *r, const char *path,
	       struct json_object *value, const struct field *field,
	       void *target)
{
	const char *text = text_of(r, path, value, "a name");

	(void)field;
	if (!text)
		return;
	if (!is_name(text)) {
		bad(r, path, "'%s' is no name: 1 to 32 letters, digits, "
		    "'-' and '_'", text);
		return;
	}
	free(*(char **)target);
	*(char **)target = must_dup(text);
}

void read_choice(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target)
{
	const char *text = text_of(r, path, value, "a word"), *c;
	unsigned int i;
	size_t len;

	if (!text)
		return;
	for (i = 0, c = field->choices; *c; i++, c += len + (c[len] == ' ')) {
		len = strcspn(c, " ");
		if (strlen(text) == len && !memcmp(c, text, len)) {
			*(unsigned int *)target = i;
			return;
		}
	}
	bad(r, path, "'%s' is none of: %s", text, field->choices);
}

/* Names or numbers of users (@max 0) or groups (1). */
void read_owners(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target)
{
	struct policy_owners *owners = target;
	bool groups = field->max;
	const char *name;
	char at[PATH_MAX];
	size_t i;
	uid_t id;

	if (!json_object_is_type(value, json_type_array)) {
		bad(r, path, "has to be a list of names");
		return;
	}
	for (i = 0; i < js_length(value); i++) {
		snprintf(at, sizeof(at), "%s[%zu]", path, i);
		name = text_of(r, at, json_object_array_get_idx(value, i),
			       "a name, or a number in quotes");
		if (!name || r->policy->nameless)
			continue;
		if (groups ? !group_by_name(name, &id) :
			     !user_by_name(name, &id)) {
			bad(r, at, "there is no %s '%s'",
			    groups ? "group" : "user", name);
			continue;
		}
		if (groups) {
			owners->groups = must_grow(owners->groups,
						   owners->nr_groups + 1,
						   sizeof(gid_t));
			owners->groups[owners->nr_groups++] = id;
		} else {
			owners->users = must_grow(owners->users,
						  owners->nr_users + 1,
						  sizeof(uid_t));
			owners->users[owners->nr_users++] = id;
		}
	}
}

/* ---- Objects ---- */

static const struct field *find_field(const struct field *fields,
				      const char *key)
{
	for (; fields->key; fields++) {
		if (!strcmp(fields->key, key))
			return fields;
	}
	return NULL;
}

static void join(char path[PATH_MAX], const char *up, const char *key)
{
	snprintf(path, PATH_MAX, "%s%s%s", up, *up ? "." : "", key);
}

/* "match, driver and start" */
static void list_fields(const struct field *fields, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = 0;
	for (; fields->key && at < len; fields++)
		at += snprintf(buf + at, len - at, "%s%s", at ? ", " : "",
			       fields->key);
}

void read_fields(struct reader *r, const char *path,
		 struct json_object *value, const struct field *fields,
		 void *target)
{
	char at[PATH_MAX], known[256];
	struct json_object_iter it;
	const struct field *f;

	if (!json_object_is_type(value, json_type_object)) {
		bad(r, path, "has to be an object, {...}");
		return;
	}
	json_object_object_foreachC(value, it) {
		join(at, path, it.key);
		f = find_field(fields, it.key);
		if (f) {
			f->read(r, at, it.val, f, (char *)target + f->offset);
			continue;
		}
		list_fields(fields, known, sizeof(known));
		bad(r, at, "'%s' is not known here; there are: %s", it.key,
		    known);
	}
	for (f = fields; f->key; f++) {
		if (f->required &&
		    !json_object_object_get_ex(value, f->key, NULL))
			bad(r, path, "'%s' is missing", f->key);
	}
}

void read_object(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target)
{
	read_fields(r, path, value, field->fields, target);
}

void read_map(struct reader *r, const char *path, struct json_object *value,
	      read_named_fn read, bool any_name, void *target)
{
	struct json_object_iter it;
	char at[PATH_MAX];

	if (!json_object_is_type(value, json_type_object)) {
		bad(r, path, "has to be an object, {...}");
		return;
	}
	json_object_object_foreachC(value, it) {
		join(at, path, it.key);
		if (!any_name && !is_name(it.key))
			bad(r, at, "'%s' is no name: 1 to 32 letters, digits, "
			    "'-' and '_'", it.key);
		else
			read(r, at, it.key, it.val, target);
	}
}
