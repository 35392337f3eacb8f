// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the way of a client's bytes: framing, parsing, checking against the
 * daemon's interface, and the reply. The first byte says in which portions
 * they arrive.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "idl.h"
#include "interfaces.h"
#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct idl *idl;

static void call(char *text, size_t len)
{
	const struct idl_member *method;
	struct message msg;
	char path[32], *dot, *reply;
	size_t reply_len;

	if (strlen(text) != len)
		abort();
	if (message_parse(text, len, &msg))
		return;
	dot = strrchr(msg.method, '.');
	method = idl_find(idl, IDL_METHOD, dot ? dot + 1 : msg.method);
	if (method && idl_check(idl, method->in, msg.parameters, path,
				sizeof(path)) &&
	    !json_object_is_type(msg.parameters, json_type_object))
		abort();
	reply = message_reply(NULL, msg.parameters, msg.more, &reply_len);
	if (strlen(reply) != reply_len)
		abort();
	free(reply);
	message_done(&msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inbox in = { 0 };
	size_t portion, room, n, len, calls = 0, nuls = 0, i;
	char *space, *text;
	int line;

	if (!idl)
		idl = idl_parse(org_granule_iommud, &line);
	if (!size)
		return 0;
	portion = 1 + *data++ * 16;
	for (size--; size; size -= n, data += n) {
		space = inbox_space(&in, &room);
		if (!space)
			break;
		n = size < portion ? size : portion;
		n = n < room ? n : room;
		memcpy(space, data, n);
		for (i = 0; i < n; i++)
			nuls += !data[i];
		inbox_received(&in, n);
		while ((text = inbox_take(&in, &len))) {
			call(text, len);
			calls++;
		}
		if (calls != nuls || in.len > MESSAGE_MAX)
			abort();
	}
	inbox_done(&in);
	return 0;
}
