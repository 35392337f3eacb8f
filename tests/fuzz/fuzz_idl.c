// SPDX-License-Identifier: GPL-2.0-only
/* Fuzzes the reader and the writer of interface definitions. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "idl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *once, *twice;
	struct idl *idl, *again;
	int line = 0;

	memcpy(text, data, size);
	text[size] = 0;
	idl = idl_parse(text, &line);
	if (idl) {
		once = idl_format(idl);
		again = idl_parse(once, &line);
		if (!again)
			abort();
		twice = idl_format(again);
		if (strcmp(once, twice))
			abort();
		free(once);
		free(twice);
		idl_free(again);
	} else if (line < 1) {
		abort();
	}
	idl_free(idl);
	free(text);
	return 0;
}
