// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the layout of scatterlists against its rules.
 */
#include "model_scatter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	layout_ops(data, size);
	return 0;
}
