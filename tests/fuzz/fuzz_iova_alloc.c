// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the IOVA space against a bitmap; the first byte says where.
 */
#include "model_alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size)
		space_ops(data[0] % SPACE_WINDOWS, data + 1, size - 1);
	return 0;
}
