/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registers of Apple's DART.
 *
 * A DART tells the devices behind it apart by stream numbers; for each it has
 * a control register (TCR: blocked, translated, bypassed) and pointers to
 * tables (TTBR). It caches translations until it is told to forget those of a
 * stream. Firmware may have locked it: TTBR and TCR are read-only then until
 * the next reset, and what can still be changed is the tables.
 *
 * Everything goes by way of struct dart_io, so that a model can stand in for
 * the hardware. Each function here takes the DART's lock; the caller sees to it
 * that nobody else changes the same streams.
 */
#ifndef CORE_DART_HW_H
#define CORE_DART_HW_H

#include "dart_table.h"

#define DART_MAX_STREAMS 256
#define DART_STREAM_WORDS (DART_MAX_STREAMS / 32)

/* A set of streams. */
struct dart_streams {
	u32 word[DART_STREAM_WORDS];
};

struct dart_io {
	u32 (*read)(void *context, u32 offset);
	void (*write)(void *context, u32 offset, u32 value);
	/* Let about a microsecond pass. */
	void (*relax)(void *context);
	/* Around commands, which take more than one register. */
	void (*lock)(void *context);
	void (*unlock)(void *context);
	void *context;
};

struct dart_variant;

/* Known ones: "t8103", "t6000", "t8110". NULL: no such. */
const struct dart_variant *dart_variant_find(const char *name);

struct dart_hw {
	const struct dart_variant *variant;
	struct dart_io io;
	struct dart_geometry geometry;
	unsigned int streams;
	bool bypass;		/* it can let a stream pass untranslated */
	bool locked;
};

enum dart_fault {
	DART_FAULT_TTBR,	/* no first-level table */
	DART_FAULT_FIRST,	/* no entry in it */
	DART_FAULT_SECOND,	/* no entry in the second-level table */
	DART_FAULT_READ,	/* mapped, but not for reading */
	DART_FAULT_WRITE,	/* mapped, but not for writing */
	DART_FAULT_OTHER,
};

struct dart_error {
	enum dart_fault fault;
	unsigned int stream;
	u64 iova;
	u32 raw;		/* the register, for people */
};

/**
 * dart_hw_init - learn what a DART can do; changes nothing
 * Return: 0; -EINVAL when it says what cannot be.
 */
int dart_hw_init(struct dart_hw *hw, const struct dart_variant *variant,
		 const struct dart_io *io);

/**
 * dart_hw_reset - block all streams, forget all that is cached
 *
 * A locked DART keeps what firmware has set up.
 * Return: 0; -ETIMEDOUT when it does not answer.
 */
int dart_hw_reset(struct dart_hw *hw);

/**
 * dart_hw_translate - have streams translated by these tables
 * @ttbrs: DART_MAX_TTBRS of them; 0: none
 *
 * Return: 0; -EACCES when the DART is locked and a register says otherwise;
 * -ETIMEDOUT, and the streams are blocked.
 */
int dart_hw_translate(struct dart_hw *hw, const struct dart_streams *streams,
		      const u64 *ttbrs);

/**
 * dart_hw_bypass - let streams pass untranslated
 * Return: 0; -EOPNOTSUPP when it cannot; -EACCES when it is locked.
 */
int dart_hw_bypass(struct dart_hw *hw, const struct dart_streams *streams);

/*
 * Stop all DMA of streams. Of a locked DART nothing is stopped but what its
 * tables do not have any more. The first answer counts even if forgetting what
 * is cached fails: nothing is translated any more.
 */
void dart_hw_block(struct dart_hw *hw, const struct dart_streams *streams);

/**
 * dart_hw_flush - forget what is cached for streams
 * Return: 0; -ETIMEDOUT: what was unmapped may still be in reach.
 */
int dart_hw_flush(struct dart_hw *hw, const struct dart_streams *streams);

/* The TTBR of a locked DART's stream, as dart_root_add() takes it. */
u64 dart_hw_ttbr(struct dart_hw *hw, unsigned int stream, unsigned int index);

/* Is there an error? It is acknowledged: the next one can be seen. */
bool dart_hw_error(struct dart_hw *hw, struct dart_error *error);

const char *dart_fault_text(enum dart_fault fault);

static inline void dart_streams_add(struct dart_streams *s, unsigned int n)
{
	s->word[n / 32] |= 1U << n % 32;
}

static inline bool dart_streams_has(const struct dart_streams *s,
				    unsigned int n)
{
	return s->word[n / 32] >> n % 32 & 1;
}

#endif
