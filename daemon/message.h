/* SPDX-License-Identifier: GPL-2.0-only */
/* Varlink's wire format: JSON objects, a NUL after each. */
#ifndef IOMMUD_MESSAGE_H
#define IOMMUD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/* The largest call; ours are a few hundred bytes, and a policy some thousand. */
#define MESSAGE_MAX (256U << 10)
/* The deepest; parsing recurses in what reads the result. */
#define MESSAGE_DEPTH 24

/* Bytes on their way in. All zero is an empty one. */
struct inbox {
	char *data;
	size_t room;	/* of @data */
	size_t len;	/* received */
	size_t begin;	/* of the first message not taken yet */
	size_t seen;	/* no NUL between @begin and here */
};

/**
 * inbox_space - where to receive the next bytes
 * @ret_len: how many fit, more than 0
 *
 * Return: NULL when a message would be larger than MESSAGE_MAX, or out of
 * memory.
 */
char *inbox_space(struct inbox *in, size_t *ret_len);

/* @n bytes have been received there. */
void inbox_received(struct inbox *in, size_t n);

/* The next whole message, NUL-terminated until inbox_space(); or NULL. */
char *inbox_take(struct inbox *in, size_t *ret_len);

/* Are there bytes of a message that is not complete? */
bool inbox_partial(const struct inbox *in);
void inbox_done(struct inbox *in);

/* A call as it came. */
struct message {
	char *method;
	struct json_object *parameters;	/* never NULL: {} if there were none */
	bool more, oneway, upgrade;
};

/**
 * message_parse - read a call
 *
 * Return: 0; -EBADMSG when it is not a call: no JSON object, too deep, an
 * unknown member or one of a wrong type, no method. There is no Varlink error
 * for that, so the connection is to be closed.
 */
int message_parse(const char *text, size_t len, struct message *ret);
void message_done(struct message *msg);

/**
 * message_reply - a reply as bytes
 * @error: name of the error, or NULL
 * @parameters: of the reply or error; NULL for none; not taken over
 * @ret_len: without the NUL at the end, which belongs to the message
 */
char *message_reply(const char *error, struct json_object *parameters,
		    bool continues, size_t *ret_len);

#endif
