// SPDX-License-Identifier: GPL-2.0-only
/* JSON documents: make, read, and print them as JSON or as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* A program that only prints has nothing better to do without memory. */
static void *need(void *p)
{
	if (!p) {
		fputs("iommuctl: out of memory\n", stderr);
		exit(IOMMU_ERROR_OTHER);
	}
	return p;
}

int cli_output_to(struct cli *cli, struct json_object *obj, FILE *f)
{
	if (cli->json)
		fprintf(f, "%s\n", json_object_to_json_string_ext(
			obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			     JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		cli->verb->text(obj, f);
	json_object_put(obj);
	if (f == stdout)
		return cli_flush(cli);
	fflush(f);
	return 0;
}

int cli_output(struct cli *cli, struct json_object *obj)
{
	return cli_output_to(cli, obj, stdout);
}

static enum when colour;

bool set_colour(const char *when)
{
	static const char *const names[] = {
		[WHEN_AUTO] = "auto",
		[WHEN_ALWAYS] = "always",
		[WHEN_NEVER] = "never",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], when))
			continue;
		colour = i;
		return true;
	}
	return false;
}

const char *paint(FILE *f, enum paint paint)
{
	static const char *const codes[] = {
		[PAINT_OFF] = "\033[0m",
		[PAINT_TITLE] = "\033[1m",
		[PAINT_GOOD] = "\033[32m",
		[PAINT_NOTE] = "\033[33m",
		[PAINT_BAD] = "\033[1;31m",
		[PAINT_DIM] = "\033[2m",
		[PAINT_MAPPED] = "\033[36m",
	};
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (colour == WHEN_NEVER)
		return "";
	if (colour == WHEN_AUTO &&
	    ((no && *no) || !term || !strcmp(term, "dumb") ||
	     fileno(f) < 0 || !isatty(fileno(f))))
		return "";
	return codes[paint];
}

struct json_object *new_document(void)
{
	struct json_object *obj = need(json_object_new_object());

	add_number(obj, "version", IOMMU_JSON_VERSION);
	return obj;
}

void add(struct json_object *obj, const char *key, struct json_object *value)
{
	if (json_object_object_add(obj, key, need(value)))
		need(NULL);
}

void add_null(struct json_object *obj, const char *key)
{
	if (json_object_object_add(obj, key, NULL))
		need(NULL);
}

void add_string(struct json_object *obj, const char *key, const char *value)
{
	if (value)
		add(obj, key, json_object_new_string(value));
	else
		add_null(obj, key);
}

void add_number(struct json_object *obj, const char *key, __u64 value)
{
	add(obj, key, json_object_new_uint64(value));
}

struct json_object *add_array(struct json_object *obj, const char *key)
{
	struct json_object *array = json_object_new_array();

	add(obj, key, array);
	return array;
}

void append(struct json_object *array, struct json_object *value)
{
	if (json_object_array_add(array, need(value)))
		need(NULL);
}

char *text_of(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	return need(rc < 0 ? NULL : text);
}

void append_text(struct json_object *array, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	append(array, json_object_new_string(text));
}

struct json_object *get(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? value : NULL;
}

const char *get_string(struct json_object *obj, const char *key)
{
	struct json_object *value = get(obj, key);

	return value ? json_object_get_string(value) : "-";
}

__u64 get_number(struct json_object *obj, const char *key)
{
	return json_object_get_uint64(get(obj, key));
}

bool get_bool(struct json_object *obj, const char *key)
{
	return json_object_get_boolean(get(obj, key));
}

size_t length(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

char *size_text(__u64 size)
{
	static const char units[] = "KMGTPE";
	int unit = -1;

	while (size && !(size & 1023)) {
		size >>= 10;
		unit++;
	}
	return unit < 0 ? text_of("%" PRIu64, (uint64_t)size) :
			  text_of("%" PRIu64 "%c", (uint64_t)size, units[unit]);
}

char *short_size(__u64 size)
{
	static const char units[] = "BKMGTPE";
	double v = size;
	int unit = 0;

	if (!size || size >> __builtin_ctzll(size) / 10 * 10 < 10240)
		return size_text(size);
	for (; v >= 1024; v /= 1024)
		unit++;
	return text_of("~%.1f%c", v, units[unit]);
}

char *get_size(struct json_object *obj, const char *key)
{
	return get(obj, key) ? size_text(get_number(obj, key)) : text_of("-");
}

char *element_string(struct json_object *element)
{
	return text_of("%s", json_object_get_string(element));
}

char *element_size(struct json_object *element)
{
	return size_text(json_object_get_uint64(element));
}

char *join(struct json_object *array, const char *sep,
	   char *(*fn)(struct json_object *element))
{
	char *all = NULL, *one, *more;
	size_t i;

	for (i = 0; i < length(array); i++) {
		one = fn(json_object_array_get_idx(array, i));
		more = all ? text_of("%s%s%s", all, sep, one) :
			     text_of("%s", one);
		free(one);
		free(all);
		all = more;
	}
	return all ? all : text_of("-");
}

static char *cell_of(const struct column *column, struct json_object *row)
{
	struct json_object *value;

	if (column->cell)
		return column->cell(row);
	/* json-c would keep the text of a number for good, with each. */
	value = get(row, column->key);
	if (json_object_is_type(value, json_type_int) &&
	    json_object_get_int64(value) >= 0)
		return text_of("%" PRIu64, json_object_get_uint64(value));
	return need(strdup(get_string(row, column->key)));
}

void print_table(FILE *f, const char *indent, struct json_object *rows,
		 const struct column *columns, size_t nr)
{
	size_t n = length(rows), r, c;
	char **cells = need(calloc((n + 1) * nr, sizeof(*cells)));
	int *width = need(calloc(nr, sizeof(*width)));

	for (r = 0; r <= n; r++) {
		for (c = 0; c < nr; c++) {
			char **cell = &cells[r * nr + c];
			int len;

			*cell = r ? cell_of(&columns[c],
					    json_object_array_get_idx(rows,
								      r - 1)) :
				    text_of("%s", columns[c].title);
			len = strlen(*cell);
			if (len > width[c])
				width[c] = len;
		}
	}
	for (r = 0; r <= n; r++) {
		fputs(indent, f);
		fputs(r ? "" : paint(f, PAINT_TITLE), f);
		for (c = 0; c < nr; c++) {
			/* No blanks at the end of a line. */
			fprintf(f, "%s%-*s", c ? "  " : "",
				c + 1 < nr ? width[c] : 0, cells[r * nr + c]);
			free(cells[r * nr + c]);
		}
		fprintf(f, "%s\n", r ? "" : paint(f, PAINT_OFF));
	}
	free(width);
	free(cells);
}

void print_field(FILE *f, const char *name, const char *fmt, ...)
{
	va_list ap;

	fprintf(f, "%-15s ", name);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\n', f);
}

void print_notes(FILE *f, struct json_object *obj)
{
	struct json_object *notes = get(obj, "notes");
	size_t i;

	for (i = 0; i < length(notes); i++)
		fprintf(f, "note: %s\n",
			json_object_get_string(
				json_object_array_get_idx(notes, i)));
}

char *cell_start(struct json_object *row)
{
	return text_of("%s", get_string(row, get(row, "iova") ? "iova" :
							      "start"));
}

char *cell_size(struct json_object *row)
{
	/* Only the whole 64-bit space has no number. */
	return get(row, "size") ? short_size(get_number(row, "size")) :
				  text_of("16E");
}

char *cell_access(struct json_object *row)
{
	return text_of("%s%s%s", get_bool(row, "read") ? "read" : "",
		       get_bool(row, "read") && get_bool(row, "write") ? " " :
									 "",
		       get_bool(row, "write") ? "write" : "");
}

char *cell_reason(struct json_object *row)
{
	return text_of("%s: %s", get_string(row, "reason"),
		       get_string(row, "text"));
}

char *cell_devices(struct json_object *row)
{
	return join(get(row, "devices"), " ", element_string);
}

char *element_device(struct json_object *element)
{
	return text_of("%s", get_string(element, "device"));
}

void print_ranges(FILE *f, const char *indent, struct json_object *rows)
{
	static const struct column columns[] = {
		{ "START", .cell = cell_start }, { "LAST", .key = "last" },
		{ "SIZE", .cell = cell_size },
	};

	print_table(f, indent, rows, columns, ARRAY_LEN(columns));
}

void print_regions(FILE *f, const char *indent, struct json_object *rows)
{
	static const struct column columns[] = {
		{ "START", .cell = cell_start }, { "LAST", .key = "last" },
		{ "SIZE", .cell = cell_size },
		{ "REASON", .cell = cell_reason },
	};

	print_table(f, indent, rows, columns, ARRAY_LEN(columns));
}
