// SPDX-License-Identifier: GPL-2.0-only
/* Page tables of Apple's DART. See dart_table.h. */
#include "dart_table.h"

#define DART_VALID		(1ULL << 0)
/* In pages of which all is accessible; a field of 12 bits at 40. */
#define DART_SUBPAGE_LAST	(0xfffULL << 40)

#define DART1_ADDRESS		(((1ULL << 36) - 1) & ~0xfffULL)
#define DART1_NO_READ		(1ULL << 8)
#define DART1_NO_WRITE		(1ULL << 7)
#define DART1_WHOLE_PAGE	(1ULL << 1)

/* Bits 41..14 of the address in bits 37..10. */
#define DART2_ADDRESS		(((1ULL << 38) - 1) & ~0x3ffULL)
#define DART2_ADDRESS_SHIFT	4
#define DART2_NO_READ		(1ULL << 3)
#define DART2_NO_WRITE		(1ULL << 2)
#define DART2_NO_CACHE		(1ULL << 1)

/* What differs between the formats. */
static const struct dart_layout {
	unsigned int phys_bits;
	u64 address;
	unsigned int address_shift;
	u64 no_read;
	u64 no_write;
	u64 no_cache;
	u64 leaf;
} layouts[] = {
	[DART_FORMAT_1] = {
		.phys_bits = 36,
		.address = DART1_ADDRESS,
		.no_read = DART1_NO_READ,
		.no_write = DART1_NO_WRITE,
		.leaf = DART_VALID | DART_SUBPAGE_LAST | DART1_WHOLE_PAGE,
	},
	[DART_FORMAT_2] = {
		.phys_bits = 42,
		.address = DART2_ADDRESS,
		.address_shift = DART2_ADDRESS_SHIFT,
		.no_read = DART2_NO_READ,
		.no_write = DART2_NO_WRITE,
		.no_cache = DART2_NO_CACHE,
		.leaf = DART_VALID | DART_SUBPAGE_LAST,
	},
};

static const struct dart_layout *layout_of(const struct dart_table *t)
{
	return &layouts[t->geometry.format];
}

static u64 entry_make(const struct dart_table *t, u64 phys, u64 bits)
{
	const struct dart_layout *l = layout_of(t);

	return ((phys >> l->address_shift) & l->address) | bits;
}

static u64 entry_phys(const struct dart_table *t, u64 entry)
{
	const struct dart_layout *l = layout_of(t);

	return (entry & l->address) << l->address_shift;
}

static u64 entry_leaf(const struct dart_table *t, u64 phys, unsigned int prot)
{
	const struct dart_layout *l = layout_of(t);
	u64 bits = l->leaf;

	if (!(prot & DART_READ))
		bits |= l->no_read;
	if (!(prot & DART_WRITE))
		bits |= l->no_write;
	if (!(prot & DART_CACHE))
		bits |= l->no_cache;
	return entry_make(t, phys, bits);
}

static unsigned int entry_prot(const struct dart_table *t, u64 entry)
{
	const struct dart_layout *l = layout_of(t);

	return (entry & l->no_read ? 0 : DART_READ) |
	       (entry & l->no_write ? 0 : DART_WRITE) |
	       (entry & l->no_cache || !l->no_cache ? 0 : DART_CACHE);
}

/* --- where things are --- */

static u64 page_size(const struct dart_table *t)
{
	return 1ULL << t->geometry.shift;
}

/* Of an index into one table. */
static unsigned int index_bits(const struct dart_table *t)
{
	return t->geometry.shift - 3;
}

/* An IOVA's table of the second level, counted over all TTBRs. */
static u64 second_index(const struct dart_table *t, u64 iova)
{
	return iova >> (t->geometry.shift + index_bits(t));
}

static u64 *second_entry(const struct dart_table *t, u64 iova)
{
	u64 *table = t->second[second_index(t, iova)];

	return table ? table + ((iova >> t->geometry.shift) &
				((1U << index_bits(t)) - 1)) : NULL;
}

/* The entry of the first level for a table of the second. */
static u64 *first_entry(const struct dart_table *t,
			const struct dart_root *root, u64 index)
{
	return root->first[index >> index_bits(t)] +
	       (index & ((1U << index_bits(t)) - 1));
}

static void *table_alloc(const struct dart_table *t, unsigned int gfp)
{
	return t->memory->alloc(t->memory->context, page_size(t), gfp);
}

static void table_free(const struct dart_table *t, void *table)
{
	if (table)
		t->memory->free(t->memory->context, table, page_size(t));
}

static u64 table_entry(const struct dart_table *t, const void *table)
{
	return entry_make(t, t->memory->phys(t->memory->context, table),
			  DART_VALID);
}

/* Where a root has an entry of firmware's. */
static bool root_blocks(const struct dart_table *t,
			const struct dart_root *root, u64 index)
{
	u64 entry = *first_entry(t, root, index);

	return entry && (!t->second[index] ||
			 entry != table_entry(t, t->second[index]));
}

/* Is nothing mapped in a table of the second level? */
static bool second_empty(const struct dart_table *t, u64 index)
{
	const u64 *table = t->second[index];
	unsigned int i;

	for (i = 0; i < 1U << index_bits(t); i++)
		if (table[i])
			return false;
	return true;
}

/* --- tables --- */

static bool geometry_valid(const struct dart_geometry *g)
{
	unsigned int bits = g->shift - 3;

	return (g->format == DART_FORMAT_1 || g->format == DART_FORMAT_2) &&
	       (g->shift == 14 ||
		(g->shift == 12 && g->format == DART_FORMAT_1)) &&
	       g->iova_bits > g->shift + bits &&
	       g->iova_bits <= g->shift + 2 * bits + 2 &&
	       g->phys_bits > g->shift &&
	       g->phys_bits <= layouts[g->format].phys_bits;
}

int dart_table_init(struct dart_table *t, const struct dart_memory *memory,
		    const struct dart_geometry *geometry, unsigned int gfp)
{
	unsigned int one;

	if (!geometry_valid(geometry))
		return -EINVAL;
	*t = (struct dart_table){ .memory = memory, .geometry = *geometry };
	one = geometry->shift + 2 * index_bits(t);
	t->ttbrs = geometry->iova_bits <= one ?
			   1 : 1U << (geometry->iova_bits - one);
	t->seconds = 1U << (geometry->iova_bits - geometry->shift -
			    index_bits(t));
	t->second = memory->alloc(memory->context,
				  t->seconds * sizeof(*t->second), gfp);
	return t->second ? 0 : -ENOMEM;
}

void dart_table_exit(struct dart_table *t)
{
	unsigned int i;

	for (i = 0; i < t->seconds; i++)
		table_free(t, t->second[i]);
	t->memory->free(t->memory->context, t->second,
			t->seconds * sizeof(*t->second));
}

/* --- roots --- */

static void root_free(const struct dart_table *t, struct dart_root *root)
{
	unsigned int i;

	for (i = 0; i < t->ttbrs; i++)
		if (!root->adopted[i])
			table_free(t, root->first[i]);
	*root = (struct dart_root){ 0 };
}

static int root_get_table(const struct dart_table *t, struct dart_root *root,
			  unsigned int i, u64 given, unsigned int gfp)
{
	if (!given) {
		root->first[i] = table_alloc(t, gfp);
		return root->first[i] ? 0 : -ENOMEM;
	}
	if (!granule_aligned(given, page_size(t)) ||
	    given >> t->geometry.phys_bits)
		return -EINVAL;
	root->first[i] = t->memory->virt(t->memory->context, given);
	root->adopted[i] = true;
	return root->first[i] ? 0 : -EINVAL;
}

int dart_root_add(struct dart_table *t, struct dart_root *root,
		  const u64 *given, unsigned int gfp)
{
	unsigned int i;
	int rc = 0;

	*root = (struct dart_root){ 0 };
	for (i = 0; i < t->ttbrs && !rc; i++)
		rc = root_get_table(t, root, i, given ? given[i] : 0, gfp);
	for (i = 0; i < t->seconds && !rc; i++)
		if (t->second[i] && root_blocks(t, root, i) &&
		    !second_empty(t, i))
			rc = -EEXIST;
	if (rc) {
		root_free(t, root);
		return rc;
	}
	for (i = 0; i < t->seconds; i++)
		if (t->second[i] && !*first_entry(t, root, i))
			WRITE_ONCE(*first_entry(t, root, i),
				   table_entry(t, t->second[i]));
	root->next = t->roots;
	t->roots = root;
	return 0;
}

/* Has another root the same table of firmware's for this entry? */
static bool root_shared(const struct dart_table *t,
			const struct dart_root *root, u64 index)
{
	const struct dart_root *other;

	for (other = t->roots; other; other = other->next)
		if (other != root && first_entry(t, other, index) ==
				     first_entry(t, root, index))
			return true;
	return false;
}

void dart_root_remove(struct dart_table *t, struct dart_root *root)
{
	struct dart_root **at;
	unsigned int i;

	for (at = &t->roots; *at != root; at = &(*at)->next)
		;
	*at = root->next;
	for (i = 0; i < t->seconds; i++)
		if (t->second[i] && !root_blocks(t, root, i) &&
		    !root_shared(t, root, i))
			WRITE_ONCE(*first_entry(t, root, i), 0);
	root_free(t, root);
}

u64 dart_root_ttbr(const struct dart_table *t, const struct dart_root *root,
		   unsigned int index)
{
	return index < t->ttbrs ? t->memory->phys(t->memory->context,
						  root->first[index]) : 0;
}

bool dart_root_firmware(const struct dart_table *t,
			const struct dart_root *root, u64 *first, u64 *last)
{
	unsigned int shift = t->geometry.shift + index_bits(t);
	u64 i, end = second_index(t, *last);

	for (i = second_index(t, *first); i <= end; i++)
		if (root_blocks(t, root, i))
			break;
	if (i > end)
		return false;
	*first = max(*first, i << shift);
	while (i < end && root_blocks(t, root, i + 1))
		i++;
	*last = min(*last, (i << shift) | ((1ULL << shift) - 1));
	return true;
}

/* --- mappings --- */

/* A table of the second level that is there in all roots. */
static int second_make(struct dart_table *t, u64 index, unsigned int gfp)
{
	struct dart_root *root;
	void *table;

	for (root = t->roots; root; root = root->next)
		if (root_blocks(t, root, index))
			return -EEXIST;
	if (t->second[index])
		return 0;
	table = table_alloc(t, gfp);
	if (!table)
		return -ENOMEM;
	t->second[index] = table;
	/* It is all zero for the IOMMU before anything points to it. */
	dma_wmb();
	for (root = t->roots; root; root = root->next)
		WRITE_ONCE(*first_entry(t, root, index), table_entry(t, table));
	return 0;
}

static bool range_valid(const struct dart_table *t, u64 iova, u64 size)
{
	u64 last;

	return size && !check_add_overflow(iova, size - 1, &last) &&
	       last <= dart_table_last(t);
}

int dart_table_map(struct dart_table *t, u64 iova, u64 phys, u64 size,
		   unsigned int prot, unsigned int gfp)
{
	u64 page = page_size(t), at, last;
	int rc;

	if (!granule_aligned(iova | phys | size, page) || !size ||
	    !(prot & (DART_READ | DART_WRITE)))
		return -EINVAL;
	if (!range_valid(t, iova, size) ||
	    check_add_overflow(phys, size - 1, &last) ||
	    last >> t->geometry.phys_bits)
		return -ERANGE;
	/*
	 * First what can fail. Tables that were made stay when something else
	 * does: they are empty, and the next mapping finds them.
	 */
	for (at = second_index(t, iova);
	     at <= second_index(t, iova + size - 1); at++) {
		rc = second_make(t, at, gfp);
		if (rc)
			return rc;
	}
	for (at = 0; at < size; at += page)
		if (*second_entry(t, iova + at))
			return -EEXIST;
	for (at = 0; at < size; at += page)
		WRITE_ONCE(*second_entry(t, iova + at),
			   entry_leaf(t, phys + at, prot));
	t->mapped += size;
	return 0;
}

u64 dart_table_unmap(struct dart_table *t, u64 iova, u64 size)
{
	u64 page = page_size(t), at, unmapped = 0, *entry;

	if (!granule_aligned(iova | size, page) || !range_valid(t, iova, size))
		return 0;
	for (at = 0; at < size; at += page) {
		entry = second_entry(t, iova + at);
		if (!entry || !*entry)
			continue;
		WRITE_ONCE(*entry, 0);
		unmapped += page;
	}
	t->mapped -= unmapped;
	return unmapped;
}

u64 dart_table_walk(const struct dart_table *t, u64 iova, unsigned int *prot)
{
	const u64 *entry;

	if (iova > dart_table_last(t))
		return U64_MAX;
	entry = second_entry(t, iova);
	if (!entry || !(*entry & DART_VALID))
		return U64_MAX;
	if (prot)
		*prot = entry_prot(t, *entry);
	return entry_phys(t, *entry) | granule_offset(iova, page_size(t));
}
