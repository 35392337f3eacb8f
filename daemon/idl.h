/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Varlink's interface definitions: read, written, and checked against.
 *
 * The text of an interface is its specification; parameters are checked
 * against it, so that no method checks types by itself.
 */
#ifndef IOMMUD_IDL_H
#define IOMMUD_IDL_H

#include <stdbool.h>
#include <stddef.h>
#include <json-c/json.h>

enum idl_kind {
	IDL_BOOL, IDL_INT, IDL_FLOAT, IDL_STRING, IDL_OBJECT,
	IDL_NAMED, IDL_STRUCT, IDL_ENUM, IDL_ARRAY, IDL_MAP, IDL_MAYBE,
};

struct idl_type {
	enum idl_kind kind;
	char *name;			/* NAMED */
	struct idl_type *element;	/* ARRAY, MAP, MAYBE */
	struct idl_field *fields;	/* STRUCT, ENUM */
	size_t nr_fields;
};

struct idl_field {
	char *doc;			/* comment lines, or NULL */
	char *name;
	struct idl_type *type;		/* NULL in an ENUM */
};

enum idl_role { IDL_TYPE, IDL_METHOD, IDL_ERROR };

struct idl_member {
	enum idl_role role;
	char *doc;
	char *name;
	struct idl_type *in;		/* of a type or error: itself */
	struct idl_type *out;		/* METHOD */
};

struct idl {
	char *doc;
	char *name;
	struct idl_member *members;
	size_t nr_members;
};

/**
 * idl_parse - read an interface definition
 * @ret_line: where it is wrong
 *
 * Return: NULL when it is: syntax, a name given twice or not at all.
 */
struct idl *idl_parse(const char *text, int *ret_line);
struct idl *idl_free(struct idl *idl);

/* The definition as canonical text, a new string. */
char *idl_format(const struct idl *idl);

const struct idl_member *idl_find(const struct idl *idl, enum idl_role role,
				  const char *name);

/**
 * idl_check - is @value of this type?
 * @path: receives where it is not, "devices[2]"
 *
 * Every field that is not marked "?" has to be there, and no other. Strings
 * with a NUL in them are refused.
 */
bool idl_check(const struct idl *idl, const struct idl_type *type,
	       struct json_object *value, char *path, size_t path_len);

#endif
