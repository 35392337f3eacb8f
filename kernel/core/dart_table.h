/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables of Apple's DART, in memory that somebody else hands out.
 *
 *   IOVA   | TTBR | first-level index | second-level index | offset |
 *            0..2   11 bits (9)         11 bits (9)          14 (12)
 *
 * A table is one IOMMU page of 64-bit entries: 2048 of them for pages of 16K,
 * 512 for 4K. Tables of the first level hang on TTBR registers. All pages have
 * one size; entries of the first level only point to tables.
 *
 *   root A (one DART, or several)     root B (a locked DART: read-only TTBR)
 *   [ . | x | . ]                     [ f | x | . ]     f: firmware's own
 *         |                                 |
 *         +---------> second level <--------+
 *
 * Mappings are made in tables of the second level, which all roots of a
 * dart_table share: a mapping is there for all of its DARTs or for none. What
 * differs is the first level. A locked DART's is firmware's and stays as it is
 * but for the entries that mappings need; where firmware has an entry, nothing
 * can be mapped.
 *
 * One caller at a time changes things; the IOMMU may read meanwhile, so that an
 * entry is written whole and after what it points to. No table of the second
 * level is freed before dart_table_exit(): the IOMMU may have cached where it
 * is. The bits are those that Linux's driver for the same hardware uses.
 */
#ifndef CORE_DART_TABLE_H
#define CORE_DART_TABLE_H

#include "granule.h"

#define DART_MAX_TTBRS 4

enum dart_format {
	DART_FORMAT_1,	/* t8103: 36-bit physical addresses */
	DART_FORMAT_2,	/* t6000, t8110: 42 bits, and a bit for caches */
};

#define DART_READ	(1U << 0)
#define DART_WRITE	(1U << 1)
#define DART_CACHE	(1U << 2)	/* format 2 only; format 1 ignores it */

/* What DARTs have to have in common to share tables. */
struct dart_geometry {
	enum dart_format format;
	unsigned int shift;		/* of a page, which a table is, too */
	unsigned int iova_bits;		/* that the hardware takes */
	unsigned int phys_bits;		/* that it can reach */
};

/* Where tables live. */
struct dart_memory {
	/* A zeroed table of @size bytes, aligned to that; NULL: no memory. */
	void *(*alloc)(void *context, u64 size, unsigned int gfp);
	void (*free)(void *context, void *table, u64 size);
	u64 (*phys)(void *context, const void *table);
	/* NULL: not memory that the CPU can see. */
	void *(*virt)(void *context, u64 phys);
	void *context;
};

/* First-level tables, of one DART or of several that are set alike. */
struct dart_root {
	struct dart_root *next;
	u64 *first[DART_MAX_TTBRS];
	bool adopted[DART_MAX_TTBRS];	/* firmware's: not ours to free */
};

struct dart_table {
	const struct dart_memory *memory;
	struct dart_geometry geometry;
	unsigned int ttbrs;		/* registers in use */
	struct dart_root *roots;
	void **second;			/* tables, by index of both levels */
	unsigned int seconds;		/* how many there can be */
	u64 mapped;			/* bytes */
};

/**
 * dart_table_init - page tables with nothing mapped and no root
 * @geometry: copied
 *
 * Return: 0; -EINVAL for what no DART can be; -ENOMEM.
 */
int dart_table_init(struct dart_table *t, const struct dart_memory *memory,
		    const struct dart_geometry *geometry, unsigned int gfp);

/* Free it. It has no roots any more. */
void dart_table_exit(struct dart_table *t);

/**
 * dart_root_add - first-level tables for a DART
 * @given: for each TTBR, the physical address of the table that its read-only
 * register points to, or 0; NULL: all are ours to set
 *
 * All that is mapped is mapped there, too.
 * Return: 0; -ENOMEM; -EINVAL when @given cannot be such tables; -EEXIST when
 * firmware has an entry where something is mapped. Nothing has changed then.
 */
int dart_root_add(struct dart_table *t, struct dart_root *root,
		  const u64 *given, unsigned int gfp);

/*
 * The IOMMU does not walk the root any more; or, where it is firmware's, it is
 * told to forget what it has cached after this and before dart_table_exit().
 */
void dart_root_remove(struct dart_table *t, struct dart_root *root);

/* What a TTBR register is to point to; 0: nothing. */
u64 dart_root_ttbr(const struct dart_table *t, const struct dart_root *root,
		   unsigned int index);

/* The highest IOVA there is. */
static inline u64 dart_table_last(const struct dart_table *t)
{
	return U64_MAX >> (64 - t->geometry.iova_bits);
}

/**
 * dart_table_map - map @size bytes
 * @prot: DART_READ, DART_WRITE or both, and DART_CACHE
 *
 * All or nothing. Return: 0; -EINVAL for what is not aligned or has no access;
 * -ERANGE for what the hardware cannot take or reach; -EEXIST where something
 * is mapped, by firmware too; -ENOMEM.
 */
int dart_table_map(struct dart_table *t, u64 iova, u64 phys, u64 size,
		   unsigned int prot, unsigned int gfp);

/**
 * dart_table_unmap - unmap what is mapped in a range, aligned to pages
 *
 * What firmware has mapped stays.
 * Return: bytes unmapped. The IOMMU may have them cached.
 */
u64 dart_table_unmap(struct dart_table *t, u64 iova, u64 size);

/**
 * dart_table_walk - what an IOVA leads to
 * @prot: set to what may be done there; or NULL
 *
 * Return: a physical address, or U64_MAX where nothing of ours is mapped.
 */
u64 dart_table_walk(const struct dart_table *t, u64 iova, unsigned int *prot);

/* The parts of a range of IOVAs where firmware has tables of its own. */
bool dart_root_firmware(const struct dart_table *t,
			const struct dart_root *root, u64 *first, u64 *last);

#endif
