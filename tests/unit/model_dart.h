/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a DART, and memory for its tables that knows what is freed.
 */
#ifndef MODEL_DART_H
#define MODEL_DART_H

#include <stdio.h>

#include "random.h"

#define model_broken() abort()

#include "selftest-dart/model.h"

/* --- memory that DARTs can see --- */

#define MODEL_TABLES 4096
#define MODEL_PHYS 0x840000000ULL	/* near the end of 36 bits */

struct model_memory {
	void *table[MODEL_TABLES];
	u64 size[MODEL_TABLES];
	unsigned int live;
	unsigned int fail_after;	/* allocations; 0: never */
	unsigned int shift;
};

static void *model_alloc(void *context, u64 size, unsigned int gfp)
{
	struct model_memory *m = context;
	unsigned int i;

	(void)gfp;
	if (m->fail_after && !--m->fail_after)
		return NULL;
	for (i = 0; i < MODEL_TABLES; i++)
		if (!m->table[i])
			break;
	if (i == MODEL_TABLES)
		abort();
	m->table[i] = aligned_alloc(1UL << m->shift,
				    (size + (1UL << m->shift) - 1) >>
					    m->shift << m->shift);
	memset(m->table[i], 0, size);
	m->size[i] = size;
	m->live++;
	return m->table[i];
}

static void model_free(void *context, void *table, u64 size)
{
	struct model_memory *m = context;
	unsigned int i;

	for (i = 0; i < MODEL_TABLES; i++)
		if (m->table[i] == table)
			break;
	if (i == MODEL_TABLES || m->size[i] != size)
		abort();
	free(table);
	m->table[i] = NULL;
	m->live--;
}

static u64 model_phys(void *context, const void *table)
{
	struct model_memory *m = context;
	unsigned int i;

	for (i = 0; i < MODEL_TABLES; i++)
		if (m->table[i] == table)
			return MODEL_PHYS + ((u64)i << m->shift);
	abort();
}

static void *model_virt(void *context, u64 phys)
{
	struct model_memory *m = context;
	u64 i = (phys - MODEL_PHYS) >> m->shift;

	return phys >= MODEL_PHYS && i < MODEL_TABLES ? m->table[i] : NULL;
}

#endif
