// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the builder and the reader of capability chains.
 */
#include "model_capchain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	chain_ops(data, size);
	return 0;
}
