/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains: page tables, and the DARTs that translate by them.
 *
 * A device may be behind two DARTs, and a domain may have devices of several.
 * All translate by the same tables of the second level, so that a mapping is
 * there for all or for none. DARTs that are not locked share one root; each
 * locked one has firmware's.
 *
 * Whoever calls has the domain and all DARTs of it to himself.
 */
#ifndef CORE_DART_DOMAIN_H
#define CORE_DART_DOMAIN_H

#include "dart_hw.h"

/* Streams of one DART. The storage is the caller's, while it is attached. */
struct dart_attach {
	struct dart_hw *hw;
	struct dart_streams streams;
	struct dart_attach *next;	/* of the domain */
	struct dart_root root;		/* of a locked DART */
};

struct dart_domain {
	struct dart_table table;
	struct dart_root root;		/* of all that are not locked */
	struct dart_attach *attached;
};

/* As dart_table_init(). */
int dart_domain_init(struct dart_domain *d, const struct dart_memory *memory,
		     const struct dart_geometry *geometry, unsigned int gfp);

/* Nothing is attached any more. */
void dart_domain_exit(struct dart_domain *d);

/**
 * dart_domain_attach - translate all of @streams by this domain, or none
 * @nr: how many elements @streams has
 *
 * They are blocked, or their domain is left by this. Return: 0; -EINVAL when a
 * DART's geometry is another; -EEXIST when firmware has mapped in a locked
 * DART what is mapped here; -EACCES; -ENOMEM; -ETIMEDOUT. After an error all
 * of them are blocked.
 */
int dart_domain_attach(struct dart_domain *d, struct dart_attach *streams,
		       unsigned int nr, unsigned int gfp);

/* Block them. Of a locked DART, firmware's mappings stay. */
void dart_domain_detach(struct dart_domain *d, struct dart_attach *streams,
			unsigned int nr);

/**
 * dart_domain_sync - have all DARTs see what the tables are now
 *
 * After dart_table_map(), as it may be cached that nothing was there; and after
 * dart_table_unmap(), before the memory is used for anything else.
 * Return: 0; -ETIMEDOUT: a DART does not answer. Its streams are blocked, so
 * that what was unmapped is out of reach all the same, unless it is locked.
 */
int dart_domain_sync(struct dart_domain *d);

/* dart_table_map() and dart_domain_sync(): for all DARTs or for none. */
int dart_domain_map(struct dart_domain *d, u64 iova, u64 phys, u64 size,
		    unsigned int prot, unsigned int gfp);

/* dart_table_unmap() and dart_domain_sync(). */
u64 dart_domain_unmap(struct dart_domain *d, u64 iova, u64 size);

#endif
