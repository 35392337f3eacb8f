/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A DART at the level of its registers: it walks the tables in memory as the
 * device would, caches what it found, and what it did not find, until it is
 * told to forget it. Until then it also goes by the TTBR that it knows. The
 * same bits as in core/dart_table.c and core/dart_hw.c, written down a second
 * time, so that a mistake has to be made twice.
 *
 * For unit tests, and for granule-dart-test.ko. Whoever includes it defines
 * model_broken(), which does not return: the driver has done what no hardware
 * would bear.
 */
#ifndef SELFTEST_DART_MODEL_H
#define SELFTEST_DART_MODEL_H

#include "core/dart_hw.h"

/* --- a DART --- */

#define MODEL_CACHED 512

struct model_cached {
	bool valid;
	unsigned int stream;
	u64 page;		/* IOVA >> shift */
	u64 entry;		/* 0: nothing is there */
};

/* Of what DARTs are told to forget, what this one keeps: tests notice it. */
struct model_mistake {
	unsigned int every;	/* ignores every Nth FLUSH; 0: none */
	bool one_stream;	/* and only what concerns this one: */
	unsigned int stream;
};

#define MODEL_TTBRS 64		/* of all streams */

struct model_dart {
	/* A table in memory; NULL: there is none, or not any more. */
	void *(*virt)(void *context, u64 phys);
	void *context;
	bool t8110, format_2;
	unsigned int shift, iova_bits, streams;
	u64 random;

	u32 regs[0x6000 / 4];
	bool lock;		/* TCR and TTBR are read-only */
	bool taken;
	bool deaf;		/* never idle again */
	unsigned int busy;	/* reads until it is */
	struct model_mistake mistake;
	struct model_cached cached[MODEL_CACHED];
	u32 ttbrs[MODEL_TTBRS];	/* as they were at the last FLUSH */
	unsigned int flushes;
};

/* A Weyl sequence, mixed. */
static inline u64 model_random(struct model_dart *d)
{
	u64 x = d->random += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static inline u32 *model_reg(struct model_dart *d, u32 offset)
{
	if (offset % 4 || offset >= sizeof(d->regs))
		model_broken();
	return &d->regs[offset / 4];
}

static inline u32 model_command(const struct model_dart *d)
{
	return d->t8110 ? 0x80 : 0x20;
}

static inline u32 model_tcr(const struct model_dart *d, unsigned int stream)
{
	return (d->t8110 ? 0x1000 : 0x100) + 4 * stream;
}

static inline u32 model_ttbr(const struct model_dart *d, unsigned int stream,
		      unsigned int index)
{
	return d->t8110 ? 0x1400 + 4 * stream :
			  0x200 + 16 * stream + 4 * index;
}

/* The registers that a stream has, and where the model keeps what they said. */
static inline unsigned int model_ttbrs(const struct model_dart *d)
{
	return d->t8110 ? 1 : 4;
}

static inline u32 *model_known_ttbr(struct model_dart *d, unsigned int stream,
				    unsigned int index)
{
	return &d->ttbrs[stream * model_ttbrs(d) + index];
}

static inline bool model_ignores(const struct model_dart *d,
				 unsigned int stream)
{
	const struct model_mistake *m = &d->mistake;

	return m->every && d->flushes % m->every == 0 &&
	       (!m->one_stream || m->stream == stream);
}

static inline void model_forget(struct model_dart *d, unsigned int stream)
{
	unsigned int i;

	if (model_ignores(d, stream))
		return;
	for (i = 0; i < MODEL_CACHED; i++)
		if (d->cached[i].stream == stream)
			d->cached[i].valid = false;
	for (i = 0; i < model_ttbrs(d); i++)
		*model_known_ttbr(d, stream, i) =
			*model_reg(d, model_ttbr(d, stream, i));
}

static inline void model_obey(struct model_dart *d, u32 value)
{
	unsigned int i;

	if (!d->taken)
		model_broken();
	d->flushes++;
	d->busy = model_random(d) % 4;
	if (d->t8110 && (value >> 8 & 7) == 1) {
		model_forget(d, value & 0xff);
	} else if (!d->t8110 && value & 1U << 20) {
		for (i = 0; i < d->streams; i++)
			if (*model_reg(d, 0x34) >> i & 1)
				model_forget(d, i);
	} else {
		model_broken();
	}
}

static inline u32 model_read(void *context, u32 offset)
{
	struct model_dart *d = context;
	u32 value = *model_reg(d, offset);

	if (offset == model_command(d)) {
		value = d->deaf || d->busy ? d->t8110 ? 1U << 31 : 1U << 2 : 0;
		d->busy -= !!d->busy;
	}
	return value;
}

static inline void model_write(void *context, u32 offset, u32 value)
{
	struct model_dart *d = context;
	bool guarded = offset >= model_tcr(d, 0) &&
		       offset < model_ttbr(d, d->streams, 0);
	u32 error = d->t8110 ? 0x100 : 0x40;

	if (guarded && d->lock)
		return;
	if (offset == model_command(d) && !d->deaf)
		model_obey(d, value);
	if (offset == error ||
	    (d->t8110 && offset >= 0x1c0 && offset < 0x1c0 + d->streams / 8))
		*model_reg(d, offset) &= ~value;	/* acknowledged */
	else
		*model_reg(d, offset) = value;
}

static inline void model_relax(void *context)
{
	(void)context;
}

/* Nobody takes it twice, and nobody forgets it. */
static inline void model_take(void *context)
{
	struct model_dart *d = context;

	if (d->taken)
		model_broken();
	d->taken = true;
}

static inline void model_leave(void *context)
{
	struct model_dart *d = context;

	if (!d->taken)
		model_broken();
	d->taken = false;
}

static inline void model_init(struct model_dart *d, const char *kind,
			      unsigned int shift, bool bypass, u64 seed,
			      void *(*virt)(void *context, u64 phys),
			      void *context)
{
	memset(d, 0, sizeof(*d));
	d->virt = virt;
	d->context = context;
	d->t8110 = !strcmp(kind, "t8110");
	d->format_2 = strcmp(kind, "t8103");
	d->shift = shift;
	d->iova_bits = d->t8110 ? 36 : 32;
	d->streams = d->t8110 ? 64 : 16;
	d->random = seed;
	*model_reg(d, 0x00) = d->shift << 24;
	*model_reg(d, 0x04) = bypass;
	if (d->t8110) {
		*model_reg(d, 0x08) = 42U << 24 | d->iova_bits << 16;
		*model_reg(d, 0x0c) = d->streams;
	}
}

static inline struct dart_io model_io(struct model_dart *d)
{
	return (struct dart_io){ model_read, model_write, model_relax,
				 model_take, model_leave, d };
}

static inline void model_lock(struct model_dart *d)
{
	d->lock = true;
	if (d->t8110)
		*model_reg(d, 0x200) |= 1;
	else
		*model_reg(d, 0x60) |= 1U << 15;
}

/* --- what a device does --- */

static inline void model_fault(struct model_dart *d, unsigned int stream, u64 iova,
			unsigned int bit)
{
	u32 *error = model_reg(d, d->t8110 ? 0x100 : 0x40);

	/* The first one stays until it is acknowledged. */
	if (*error >> 31)
		return;
	*error = 1U << 31 | stream << (d->t8110 ? 20 : 24) | 1U << bit;
	if (d->t8110)
		*model_reg(d, 0x1c0 + stream / 32 * 4) |= 1U << stream % 32;
	*model_reg(d, d->t8110 ? 0x170 : 0x50) = (u32)iova;
	*model_reg(d, d->t8110 ? 0x174 : 0x54) = iova >> 32;
}

static inline u64 model_entry_phys(const struct model_dart *d, u64 entry)
{
	if (d->format_2)
		return (entry >> 10 & ((1ULL << 28) - 1)) << 14;
	return (entry >> 12 & ((1ULL << 24) - 1)) << 12;
}

/* Does it want to interrupt? */
static inline bool model_interrupts(struct model_dart *d)
{
	unsigned int i;

	for (i = 0; d->t8110 && i < d->streams / 32; i++)
		if (*model_reg(d, 0x1c0 + 4 * i))
			return true;
	return *model_reg(d, d->t8110 ? 0x100 : 0x40) >> 31;
}

/* Which of a stream's TTBRs. */
static inline unsigned int model_index(const struct model_dart *d, u64 iova)
{
	return iova >> (d->shift + 2 * (d->shift - 3));
}

/*
 * The second-level entry, by what a TTBR says; *level: how far it came when
 * there is none.
 */
static inline u64 model_walk(struct model_dart *d, u32 ttbr, u64 iova,
			     unsigned int *level)
{
	unsigned int bits = d->shift - 3, mask = (1U << bits) - 1;
	u64 *table, entry;

	*level = 0;
	if (d->t8110 ? !(ttbr & 1) : !(ttbr >> 31))
		return 0;
	table = d->virt(d->context,
			   d->t8110 ? (u64)(ttbr >> 2) << 14 :
				      (u64)(ttbr & ~(1U << 31)) << 12);
	if (!table)
		model_broken();
	*level = 1;
	entry = table[iova >> (d->shift + bits) & mask];
	if (!(entry & 1))
		return 0;
	table = d->virt(d->context, model_entry_phys(d, entry));
	if (!table)
		model_broken();
	*level = 2;
	return table[iova >> d->shift & mask];
}

/*
 * A device reads or writes at an IOVA. Returns where it came, or U64_MAX.
 */
static inline u64 model_access(struct model_dart *d, unsigned int stream,
			       u64 iova, bool write)
{
	u32 tcr = *model_reg(d, model_tcr(d, stream));
	unsigned int level = 2, no_read, no_write;
	struct model_cached *c = NULL;
	u64 page = iova >> d->shift;
	unsigned int i;

	if (tcr & (d->t8110 ? 1U << 1 : 1U << 8))
		return iova;
	if (!(tcr & (d->t8110 ? 1U << 0 : 1U << 7)))
		return U64_MAX;
	if (iova >> d->iova_bits)
		return U64_MAX;
	for (i = 0; i < MODEL_CACHED && !c; i++)
		if (d->cached[i].valid && d->cached[i].stream == stream &&
		    d->cached[i].page == page)
			c = &d->cached[i];
	if (!c) {
		c = &d->cached[model_random(d) % MODEL_CACHED];
		*c = (struct model_cached){
			true, stream, page,
			model_walk(d, *model_known_ttbr(d, stream,
							model_index(d, iova)),
				   iova, &level)
		};
	}
	no_read = d->format_2 ? 3 : 8;
	no_write = d->format_2 ? 2 : 7;
	if (!(c->entry & 1)) {
		/* TTBR, first level (two bits on t8110), second level */
		model_fault(d, stream, iova,
			    d->t8110 && level ? level + 1 : level);
		return U64_MAX;
	}
	/* Parts of pages are not used here: all of it is open. */
	if (c->entry >> 52 || (c->entry >> 40 & 0xfff) != 0xfff)
		model_broken();
	if (c->entry >> (write ? no_write : no_read) & 1) {
		model_fault(d, stream, iova, (write ? 3 : 4) + d->t8110);
		return U64_MAX;
	}
	return model_entry_phys(d, c->entry) | (iova & ((1ULL << d->shift) - 1));
}

/*
 * Does it keep what is not so any more? It should have been told to forget it,
 * be the stream blocked or not. After a DART's driver has done something.
 */
static inline bool model_stale(struct model_dart *d)
{
	const struct model_cached *c;
	unsigned int i, j, level;
	u32 ttbr;
	u64 iova;

	for (i = 0; i < d->streams; i++)
		for (j = 0; j < model_ttbrs(d); j++)
			if (*model_known_ttbr(d, i, j) !=
			    *model_reg(d, model_ttbr(d, i, j)))
				return true;
	for (c = d->cached; c < d->cached + MODEL_CACHED; c++) {
		if (!c->valid)
			continue;
		iova = c->page << d->shift;
		ttbr = *model_reg(d, model_ttbr(d, c->stream,
						model_index(d, iova)));
		if (model_walk(d, ttbr, iova, &level) != c->entry)
			return true;
	}
	return false;
}

#endif
