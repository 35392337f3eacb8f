/* SPDX-License-Identifier: GPL-2.0-only */
/* Small things that every file of the daemon uses. */
#ifndef IOMMUD_UTIL_H
#define IOMMUD_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Memory whose size no client chooses. Without it the daemon ends: DMA goes
 * on, and its successor finds leases and regions as they were.
 */
void *must_alloc(size_t size);	/* zeroed */
void *must_grow(void *old, size_t nr, size_t size);
char *must_dup(const char *text);
char *must_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* JSON objects, out of such memory; a NULL string is null. */
struct json_object *js_object(void);
struct json_object *js_array(void);
void js_put(struct json_object *obj, const char *key,
	    struct json_object *value);
void js_string(struct json_object *obj, const char *key, const char *value);
void js_number(struct json_object *obj, const char *key, uint64_t value);
void js_address(struct json_object *obj, const char *key, uint64_t value);
void js_bool(struct json_object *obj, const char *key, bool value);
void js_append(struct json_object *array, struct json_object *value);
void js_append_string(struct json_object *array, const char *value);

/* Read them; NULL, 0 or false where missing or null. */
struct json_object *js_get(struct json_object *obj, const char *key);
const char *js_get_string(struct json_object *obj, const char *key);
uint64_t js_get_number(struct json_object *obj, const char *key);
bool js_get_bool(struct json_object *obj, const char *key);
size_t js_length(struct json_object *array);
const char *js_at_string(struct json_object *array, size_t i);

/* A sentence: what is wrong, the rule, the remedy. */
struct why {
	char text[512];
};

int why(struct why *w, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What users choose goes to other users' terminals and to the log: "?" for all
 * but printable ASCII.
 */
void make_printable(char *text);

/* Letters, digits, "-" and "_", at most 32: fit for file and fd names. */
bool is_name(const char *text);

/* Replace a file such that readers see the old or the new one; -errno. */
int write_file(const char *path, const char *text);

/* The whole of a small file, NUL-terminated; -EFBIG when over @max bytes. */
int read_file(const char *path, size_t max, char **ret, size_t *ret_len);

#endif
