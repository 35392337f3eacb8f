// SPDX-License-Identifier: GPL-2.0-only
/* Varlink's wire format, both ways. No sockets here: fuzzed as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "message.h"
#include "util.h"

#define FIRST_ROOM 4096U

char *inbox_space(struct inbox *in, size_t *ret_len)
{
	size_t room;
	char *more;

	if (in->begin) {
		memmove(in->data, in->data + in->begin, in->len - in->begin);
		in->len -= in->begin;
		in->seen -= in->begin;
		in->begin = 0;
	}
	/* An empty one gives back what a large message took. */
	if (!in->len && in->room > FIRST_ROOM)
		inbox_done(in);
	if (in->len == in->room) {
		if (in->room >= MESSAGE_MAX)
			return NULL;
		room = in->room ? in->room * 4 : FIRST_ROOM;
		if (room > MESSAGE_MAX)
			room = MESSAGE_MAX;
		more = realloc(in->data, room);
		if (!more)
			return NULL;
		in->data = more;
		in->room = room;
	}
	*ret_len = in->room - in->len;
	return in->data + in->len;
}

void inbox_received(struct inbox *in, size_t n)
{
	in->len += n;
}

char *inbox_take(struct inbox *in, size_t *ret_len)
{
	char *message, *end;

	if (in->seen == in->len)
		return NULL;
	end = memchr(in->data + in->seen, 0, in->len - in->seen);
	if (!end) {
		in->seen = in->len;
		return NULL;
	}
	message = in->data + in->begin;
	*ret_len = end - message;
	in->begin = in->seen = end + 1 - in->data;
	return message;
}

bool inbox_partial(const struct inbox *in)
{
	return in->len > in->begin;
}

void inbox_done(struct inbox *in)
{
	free(in->data);
	*in = (struct inbox){ 0 };
}

static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(MESSAGE_DEPTH);
	struct json_object *obj;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
				    JSON_TOKENER_VALIDATE_UTF8);
	/* With its NUL, so that a number at the end is complete. */
	obj = json_tokener_parse_ex(tok, text, len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(obj);
		obj = NULL;
	}
	json_tokener_free(tok);
	return obj;
}

/* Where a member of the call goes. */
static const struct {
	const char *key;
	enum json_type type;
	size_t flag;	/* offset of the bool; 0: not a flag */
} members[] = {
	{ "method", json_type_string, 0 },
	{ "parameters", json_type_object, 0 },
	{ "more", json_type_boolean, offsetof(struct message, more) },
	{ "oneway", json_type_boolean, offsetof(struct message, oneway) },
	{ "upgrade", json_type_boolean, offsetof(struct message, upgrade) },
};

static int read_member(const char *key, struct json_object *value,
		       struct message *msg)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(members); i++) {
		if (strcmp(members[i].key, key))
			continue;
		if (!value)	/* null: as if it were missing */
			return 0;
		if (!json_object_is_type(value, members[i].type))
			return -EBADMSG;
		if (members[i].flag)
			*(bool *)((char *)msg + members[i].flag) =
				json_object_get_boolean(value);
		return 0;
	}
	return -EBADMSG;
}

int message_parse(const char *text, size_t len, struct message *ret)
{
	struct json_object_iterator it, end;
	struct json_object *obj = parse(text, len), *parameters;
	struct message msg = { 0 };
	const char *method;
	int rc = -EBADMSG;

	if (!json_object_is_type(obj, json_type_object))
		goto out;
	it = json_object_iter_begin(obj);
	end = json_object_iter_end(obj);
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		if (read_member(json_object_iter_peek_name(&it),
				json_object_iter_peek_value(&it), &msg))
			goto out;
	}
	method = js_get_string(obj, "method");
	/* Either an answer is wanted, several, or none. */
	if (!method || (msg.oneway && (msg.more || msg.upgrade)))
		goto out;
	parameters = js_get(obj, "parameters");
	msg.method = must_dup(method);
	msg.parameters = parameters ? json_object_get(parameters) :
				      js_object();
	*ret = msg;
	rc = 0;
out:
	json_object_put(obj);
	return rc;
}

void message_done(struct message *msg)
{
	free(msg->method);
	json_object_put(msg->parameters);
	*msg = (struct message){ 0 };
}

/* Bytes of the UTF-8 character at @s; 0: it is none. */
static size_t utf8_length(const unsigned char *s)
{
	/*
	 * The first byte, the number of those that follow, and what the next
	 * one has to be in: no long forms, surrogates, or beyond U+10FFFF.
	 */
	static const struct {
		unsigned char first, last, more, low, high;
	} forms[] = {
		{ 0x01, 0x7f, 0, 0, 0 },
		{ 0xc2, 0xdf, 1, 0x80, 0xbf },
		{ 0xe0, 0xe0, 2, 0xa0, 0xbf }, { 0xe1, 0xec, 2, 0x80, 0xbf },
		{ 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf },
		{ 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf },
		{ 0xf4, 0xf4, 3, 0x80, 0x8f },
	};
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(forms); i++) {
		if (*s < forms[i].first || *s > forms[i].last)
			continue;
		if (forms[i].more && (s[1] < forms[i].low ||
				      s[1] > forms[i].high))
			return 0;
		for (n = 2; n <= forms[i].more; n++) {
			if ((s[n] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].more + 1;
	}
	return 0;
}

/*
 * What is not UTF-8 is not JSON: names of files, and sentences that were cut in
 * the middle of a character. "?" stands for each such byte.
 */
static void repair_utf8(char *text)
{
	unsigned char *s = (unsigned char *)text;
	size_t n;

	for (; *s; s += n) {
		n = utf8_length(s);
		if (n)
			continue;
		*s = '?';
		n = 1;
	}
}

char *message_reply(const char *error, struct json_object *parameters,
		    bool continues, size_t *ret_len)
{
	struct json_object *obj = js_object();
	char *text;

	if (error)
		js_string(obj, "error", error);
	js_put(obj, "parameters", parameters ? json_object_get(parameters) :
					       js_object());
	if (continues)
		js_bool(obj, "continues", true);
	text = must_dup(json_object_to_json_string_ext(obj,
			JSON_C_TO_STRING_PLAIN |
			JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(obj);
	repair_utf8(text);
	*ret_len = strlen(text);
	return text;
}
