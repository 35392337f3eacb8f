// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes extents against a plain array.
 */
#include "model_extent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	frames_ops(data, size);
	return 0;
}
