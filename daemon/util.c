// SPDX-License-Identifier: GPL-2.0-only
/* Memory, JSON objects, sentences and small files. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

static void *must(void *p)
{
	if (!p) {
		fputs("iommud: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *must_alloc(size_t size)
{
	return must(calloc(1, size));
}

void *must_grow(void *old, size_t nr, size_t size)
{
	return must(reallocarray(old, nr, size));
}

char *must_dup(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

char *must_format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return must(n < 0 ? NULL : text);
}

struct json_object *js_object(void)
{
	return must(json_object_new_object());
}

struct json_object *js_array(void)
{
	return must(json_object_new_array());
}

void js_put(struct json_object *obj, const char *key,
	    struct json_object *value)
{
	if (json_object_object_add(obj, key, value))
		must(NULL);
}

void js_string(struct json_object *obj, const char *key, const char *value)
{
	js_put(obj, key, value ? must(json_object_new_string(value)) : NULL);
}

void js_number(struct json_object *obj, const char *key, uint64_t value)
{
	js_put(obj, key, must(json_object_new_uint64(value)));
}

void js_address(struct json_object *obj, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	js_string(obj, key, text);
}

void js_bool(struct json_object *obj, const char *key, bool value)
{
	js_put(obj, key, must(json_object_new_boolean(value)));
}

void js_append(struct json_object *array, struct json_object *value)
{
	if (json_object_array_add(array, value))
		must(NULL);
}

void js_append_string(struct json_object *array, const char *value)
{
	js_append(array, must(json_object_new_string(value)));
}

struct json_object *js_get(struct json_object *obj, const char *key)
{
	struct json_object *value;

	if (!obj || !json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, key, &value))
		return NULL;
	return value;
}

const char *js_get_string(struct json_object *obj, const char *key)
{
	struct json_object *value = js_get(obj, key);

	return json_object_is_type(value, json_type_string) ?
		       json_object_get_string(value) : NULL;
}

uint64_t js_get_number(struct json_object *obj, const char *key)
{
	return json_object_get_uint64(js_get(obj, key));
}

bool js_get_bool(struct json_object *obj, const char *key)
{
	return json_object_get_boolean(js_get(obj, key));
}

size_t js_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ?
		       json_object_array_length(array) : 0;
}

const char *js_at_string(struct json_object *array, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(array, i));
}

int why(struct why *w, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->text, sizeof(w->text), fmt, ap);
	va_end(ap);
	return err;
}

void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

bool is_name(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789-_");

	return n && n <= 32 && !text[n];
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text), done = 0;
	ssize_t n;

	while (done < len) {
		n = write(fd, text + done, len - done);
		if (n < 0)
			return -errno;
		done += n;
	}
	return fsync(fd) ? -errno : 0;
}

int write_file(const char *path, const char *text)
{
	char *tmp = must_format("%s.XXXXXX", path);
	int fd, rc;

	fd = mkostemp(tmp, O_CLOEXEC);
	rc = fd < 0 ? -errno : 0;
	if (rc)
		goto out;
	rc = fchmod(fd, 0644) ? -errno : write_all(fd, text);
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc)
		unlink(tmp);
out:
	free(tmp);
	return rc;
}

int read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
	int fd, rc = 0;
	size_t len = 0;
	ssize_t n;
	char *text;

	/* Not to hang on a FIFO that somebody put there. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	text = must_alloc(max + 2);
	while (len <= max && (n = read(fd, text + len, max + 1 - len))) {
		if (n < 0) {
			rc = -errno;
			break;
		}
		len += n;
	}
	close(fd);
	if (!rc && len > max)
		rc = -EFBIG;
	if (rc) {
		free(text);
		return rc;
	}
	text[len] = 0;
	*ret = text;
	*ret_len = len;
	return 0;
}
