/* SPDX-License-Identifier: GPL-2.0-only */
/* Files with one definition each, which the daemon writes and people do not. */
#ifndef IOMMUD_DEFINE_H
#define IOMMUD_DEFINE_H

struct call;
struct json_object;
struct manager;
struct policy_errors;

/* The file that is for a definition, and its text; to be freed. */
char *definition_file(const struct manager *m, const char *kind,
		      const char *name);
char *definition_text(const char *kind, const char *name,
		      struct json_object *definition);

/* End a call with InvalidPolicy. */
void call_invalid_policy(struct call *call, const char *message,
			 const struct policy_errors *errors);

#endif
