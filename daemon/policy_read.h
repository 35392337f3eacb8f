/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The texts of policies are read by tables: which keys an object has, how the
 * value of each is read, and where it goes. Here is what tables are made of;
 * policy.c has them.
 */
#ifndef IOMMUD_POLICY_READ_H
#define IOMMUD_POLICY_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "where.h"

struct json_object;
struct policy;
struct policy_errors;

/* One text on its way into a policy. */
struct reader {
	struct policy *policy;
	struct policy_errors *errors;
	const char *file;
	struct json_object *where;
};

struct field;

/* How a value is read; an error is said and the target is left alone. */
typedef void (*read_fn)(struct reader *r, const char *path,
			struct json_object *value, const struct field *field,
			void *target);

struct field {
	const char *key;
	read_fn read;
	size_t offset;		/* of the target in the structure */
	bool required;
	uint64_t min, max;	/* of numbers */
	const char *choices;	/* by blanks; the target gets the index */
	const struct field *fields;	/* of an object inside */
};

#define AT(type, member) .offset = offsetof(struct type, member)

/* Only so many are kept. @line 0: the whole file is meant. */
__attribute__((format(printf, 5, 6)))
void policy_error(struct policy_errors *errors, const char *file, int line,
		  const char *key, const char *fmt, ...);

#define bad(r, path, ...) \
	policy_error((r)->errors, (r)->file, where_line((r)->where, path), \
		     path, __VA_ARGS__)

/* ---- For @read of a field ---- */

/* A PCI address; the target is a char *. */
void read_address(struct reader *r, const char *path,
		  struct json_object *value, const struct field *field,
		  void *target);
/* Letters, digits, "-" and "_"; a char *. */
void read_name(struct reader *r, const char *path,
	       struct json_object *value, const struct field *field,
	       void *target);
/* "0x8086", up to @max; an int64_t. */
void read_hex(struct reader *r, const char *path,
	      struct json_object *value, const struct field *field,
	      void *target);
/* A number from @min to @max; an unsigned int. */
void read_count(struct reader *r, const char *path,
		struct json_object *value, const struct field *field,
		void *target);
/* The same; a uint64_t. */
void read_number(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target);
/* 65536 or "64K", from @min to @max; a uint64_t. */
void read_size(struct reader *r, const char *path,
	       struct json_object *value, const struct field *field,
	       void *target);
/* The index of one of @choices; an unsigned int. */
void read_choice(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target);
/* Users (@max 0) or groups (1); a struct policy_owners. */
void read_owners(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target);
/* An object inside; its @fields have offsets from here. */
void read_object(struct reader *r, const char *path,
		 struct json_object *value, const struct field *field,
		 void *target);

/* ---- For readers of their own ---- */

/* A whole number from @min to @max of @field; false after an error. */
bool number_of(struct reader *r, const char *path,
	       struct json_object *value, const struct field *field,
	       uint64_t *ret);
/* The keys of an object, each as its field says; all others are errors. */
void read_fields(struct reader *r, const char *path,
		 struct json_object *value, const struct field *fields,
		 void *target);

/* One of several definitions in an object; NULL takes it away. */
typedef void (*read_named_fn)(struct reader *r, const char *path,
			      const char *name, struct json_object *value,
			      void *target);

/* All of them; with @any_name they are not names as is_name() knows them. */
void read_map(struct reader *r, const char *path, struct json_object *value,
	      read_named_fn read, bool any_name, void *target);

#endif
