// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes ranges against wide arithmetic and a bitmap.
 */
#include "model_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	range_ops(data, size);
	return 0;
}
