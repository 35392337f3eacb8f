// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random scatterlists of memory whose content is known by its address.
 */
#include "list.h"

static const char * const dir_names[] = {
	[DMA_BIDIRECTIONAL] = "both ways",
	[DMA_TO_DEVICE] = "to the device",
	[DMA_FROM_DEVICE] = "from the device",
};

/* A length or an offset such as drivers have, up to @max. Not 0. */
static u64 pick_size(struct run *run, u64 max)
{
	u64 granule = run->t->granule, n;

	switch (random_below(run, 8)) {
	case 0:
		n = 1 + random_below(run, 64);
		break;
	case 1:
		n = 512 * (1 + random_below(run, 16));
		break;
	case 2:
	case 3:
		n = PAGE_SIZE * (1 + random_below(run, 4));
		break;
	case 4:
		n = granule * (1 + random_below(run, 3));
		break;
	case 5:
		n = 1 + random_below(run, 2 * granule);
		break;
	case 6:
		n = 1 + random_below(run, 9000);
		break;
	default:
		n = one_in(run, 4) ? max : 1 + random_below(run, max);
	}
	return min(n, max);
}

/* Where in a block an entry begins. */
static u64 pick_start(struct run *run, const struct block *b)
{
	u64 size = block_size(b), start = 0;

	switch (random_below(run, 6)) {
	case 0:
		start = random_below(run, size);
		break;
	case 1:
		start = random_below(run, size) & PAGE_MASK;
		break;
	case 2:
		start = ALIGN(block_phys(b) + random_below(run, size),
			      run->t->granule) - block_phys(b);
		break;
	case 3:
		start = random_below(run, size) & -512ULL;
		break;
	}
	return start < size ? start : 0;
}

static struct block *pick_block(struct run *run, struct list *l)
{
	struct pool *pool = &l->pool;
	unsigned int tries;
	struct block *b;

	for (tries = 0; tries < 20; tries++) {
		b = &pool->blocks[random_below(run, pool->nr)];
		/* A list that is only read may name memory twice. */
		if (b->used != pool->serial ||
		    (l->dir == DMA_TO_DEVICE && one_in(run, 4))) {
			b->used = pool->serial;
			return b;
		}
	}
	return NULL;
}

/* Entries: a few or many, in a row or anywhere. */
static void list_pick(struct run *run, struct list *l)
{
	/* With few addresses large lists are good for running out of them. */
	u64 left = one_in(run, l->mask_bits < 28 ? 3 : 64) ? 16 << 20 :
							    256 << 10;
	unsigned int want, i;
	struct block *b = NULL;
	u64 at = 0;

	want = random_below(run, 16);
	want = want < 10 ? 6 : want < 14 ? 32 : want < 15 ? 128 : LIST_MAX;
	want = 1 + random_below(run, want);
	l->pool.serial++;
	l->nr = 0;
	l->bytes = 0;
	l->granules = 0;
	for (i = 0; i < want && left; i++) {
		struct item *item = &l->items[i];

		if (b && one_in(run, 2)) {
			at += one_in(run, 2) ? 0 :
			      random_below(run, 2 * run->t->granule);
			/* The DMA debugging code tracks cache lines. */
			if (IS_ENABLED(CONFIG_DMA_API_DEBUG))
				at = ALIGN(at, 64);
		} else {
			b = pick_block(run, l);
			at = b ? pick_start(run, b) : 0;
		}
		if (!b)
			break;
		if (at >= block_size(b)) {
			b = NULL;
			i--;
			continue;
		}
		item->block = b;
		item->phys = block_phys(b) + at;
		item->length = min(pick_size(run, block_size(b) - at), left);
		/* Half of them end where something else could be merged. */
		if (one_in(run, 2)) {
			u64 over = (item->phys + item->length) &
				   (run->t->granule - 1);

			if (over < item->length)
				item->length -= over;
		}
		at += item->length;
		left -= item->length;
		l->bytes += item->length;
		l->granules += granules_around(run->t, item->phys,
					       item->length);
		l->nr++;
	}
}

/* Tables of random length, chained. */
static void list_write(struct run *run, struct list *l)
{
	struct scatterlist *table = l->table, *before = NULL;
	unsigned int i = 0, n, before_n = 0, j;

	while (i < l->nr) {
		n = min(1 + (unsigned int)random_below(run, 40), l->nr - i);
		if (one_in(run, 2))
			n = l->nr - i;
		/* Two tables of one entry each take four. */
		if (table - l->table + 2 * (l->nr - i) + 2 > LIST_TABLE)
			n = l->nr - i;
		sg_init_table(table, n + 1);
		if (before)
			sg_chain(before, before_n + 1, table);
		for (j = 0; j < n; j++, i++) {
			u64 start = l->items[i].phys -
				    block_phys(l->items[i].block);
			/* From any page before it. */
			u64 page = random_below(run, (start >> PAGE_SHIFT) + 1);

			if (one_in(run, 2))
				page = start >> PAGE_SHIFT;
			sg_set_page(&table[j], l->items[i].block->page + page,
				    l->items[i].length,
				    start - (page << PAGE_SHIFT));
		}
		if (i == l->nr)
			sg_mark_end(&table[n - 1]);
		before = table;
		before_n = n;
		table += n + 1;
	}
	l->table_nr = table - l->table;
	for (i = 0; i < l->table_nr; i++) {
		l->entries[i] = (struct entry){
			.page_link = l->table[i].page_link,
			.offset = l->table[i].offset,
			.length = l->table[i].length,
		};
		if (sg_is_chain(&l->table[i]))
			continue;
		sg_dma_address(&l->table[i]) = 0x5a5a5a5a;
		sg_dma_len(&l->table[i]) = 0xa5a5;
	}
}

void list_make(struct run *run, struct list *l)
{
	list_pick(run, l);
	list_write(run, l);
	l->sgt = (struct sg_table){ .sgl = l->table, .orig_nents = l->nr };
	l->segments_nr = 0;
}

int list_check_restored(struct run *run, const struct list *l,
			const char *when)
{
	unsigned int i;

	for (i = 0; i < l->table_nr; i++)
		if (l->table[i].page_link != l->entries[i].page_link ||
		    l->table[i].offset != l->entries[i].offset ||
		    l->table[i].length != l->entries[i].length)
			return wrong(run, "the caller's list is changed %s, at %u of %u: offset %#x length %#x, were %#x %#x",
				     when, i, l->table_nr, l->table[i].offset,
				     l->table[i].length, l->entries[i].offset,
				     l->entries[i].length);
	return 0;
}

void list_describe(struct run *run, const struct list *l)
{
	unsigned int i;

	say(run->report, "# list %llu: %u entries, %llu bytes, %s, attrs %#lx, mask %u bits, boundary mask %#llx, largest segment %#x, %d segments",
	    run->lists, l->nr, l->bytes, dir_names[l->dir], l->attrs,
	    l->mask_bits, l->boundary, l->max_segment, l->segments_nr);
	for (i = 0; i < l->nr; i++)
		say(run->report, "#   entry %u: %#llx+%#x at %#llx", i,
		    (u64)l->items[i].phys, l->items[i].length,
		    l->segments_nr ? (u64)l->items[i].dma : 0);
	for (i = 0; i < l->segments_nr; i++)
		say(run->report, "#   segment %u: %#llx+%#x", i,
		    (u64)l->segments[i].dma, l->segments[i].length);
}
