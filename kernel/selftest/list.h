/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A random scatterlist and what is known of it. Made by list.c, played with by
 * play.c, and given to the real device by sample.c.
 */
#ifndef GRANULE_SELFTEST_LIST_H
#define GRANULE_SELFTEST_LIST_H

#include "selftest.h"

#define LIST_MAX 300	/* entries */
/* Room for entries, and for the links between their tables. */
#define LIST_TABLE (2 * LIST_MAX + 8)

struct item {
	const struct block *block;
	phys_addr_t phys;
	u32 length;
	dma_addr_t dma;
};

/* What must not change: an entry as its owner wrote it. */
struct entry {
	unsigned long page_link;
	unsigned int offset, length;
};

struct segment {
	dma_addr_t dma;
	u32 length;
};

struct list {
	struct pool pool;
	struct scatterlist table[LIST_TABLE];
	struct entry entries[LIST_TABLE];
	unsigned int table_nr;
	struct item items[LIST_MAX];
	unsigned int nr;
	u64 bytes, granules;
	struct segment segments[LIST_MAX];
	int segments_nr;
	bool mapped;

	enum dma_data_direction dir;
	unsigned long attrs;
	unsigned int mask_bits;
	u64 boundary;			/* a mask */
	u32 max_segment;
	u64 seed;			/* of what the device writes */
	bool sgtable;			/* through dma_map_sgtable() */
	struct sg_table sgt;
};

#define SAMPLE_PLACES 4

struct place {
	phys_addr_t phys;
	dma_addr_t dma;
	u64 size;
	bool write;		/* by the device; else it reads */
};

struct sample {
	struct place places[SAMPLE_PLACES];
	unsigned int nr;
};

/* The real device uses some places of a list, as its direction allows. */
int sample_mapped(struct run *run, struct list *l, struct sample *s);
/* The list is unmapped: nor can the device use them any more. */
int sample_gone(struct run *run, const struct sample *s);

/* For the CPU, or for the device. */
void list_sync(struct run *run, struct list *l, bool cpu);
/* Is there what the device wrote? */
int check_device(struct run *run, dma_addr_t dma, phys_addr_t phys, u64 length);
/* The limits are set; entries and table follow. */
void list_make(struct run *run, struct list *l);
/* Is the caller's list as it was written? */
int list_check_restored(struct run *run, const struct list *l,
			const char *when);
/* All about a list that something was wrong with. */
void list_describe(struct run *run, const struct list *l);

#endif
