// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the reader of policies. What it accepts has to be whole; what it
 * refuses has to have a line that is in the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct policy_error *e, const char *text,
			size_t size)
{
	int lines = 1;

	while (size)
		lines += text[--size] == '\n';
	if (e->line < 1 || e->line > lines || !e->text[0])
		abort();
}

static void check(const struct policy *p)
{
	size_t i, j;

	for (i = 0; i < p->nr_devices; i++) {
		if (!p->devices[i].driver || !p->devices[i].origin.json ||
		    policy_find_device(p, p->devices[i].name) !=
			    &p->devices[i])
			abort();
	}
	for (i = 0; i < p->nr_ioases; i++) {
		for (j = 0; j < p->ioases[i].nr_regions; j++) {
			if (!p->ioases[i].regions[j].size)
				abort();
		}
	}
	if (!policy_limit_of(p, 0) || !p->settings.connections)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = policy_new();
	char *text = malloc(size + 1);
	size_t i;

	memcpy(text, data, size);
	text[size] = 0;
	policy_add(policy, "file", text, size, &errors);
	/* Once more: everything in it is replaced. */
	if (!errors.nr)
		policy_add(policy, "file", text, size, &errors);
	if (!errors.nr)
		policy_finish(policy, &errors);
	if (!errors.nr)
		check(policy);
	for (i = 0; i < errors.nr; i++)
		check_error(&errors.v[i], text, size);
	policy_errors_done(&errors);
	policy_free(policy);
	free(text);
	return 0;
}
