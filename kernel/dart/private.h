/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures that the files of granule-dart.ko share, and who protects what.
 *
 * Locking order, outermost first:
 *
 *   (the IOMMU core's group mutex)
 *   dart_lock: which DARTs and endpoints there are, what is attached where
 *   granule-dma's locks
 *   dart_paging.lock: tables, and the list of what translates by them
 *   dart.lock: registers; innermost, in any context
 */
#ifndef GRANULE_DART_PRIVATE_H
#define GRANULE_DART_PRIVATE_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "core/dart_domain.h"
#include "granule-dart.h"
#include "granule-dma.h"

/* A device may be behind two of them, for two kinds of access. */
#define DART_MAX_PER_DEVICE 2

extern struct mutex dart_lock;
extern struct list_head darts;
extern struct list_head dart_endpoints;

/* One instance of the hardware. */
struct dart {
	struct device *dev;
	struct list_head item;		/* dart_lock; of darts */
	struct iommu_device iommu;
	unsigned int number;		/* in IDs: GRANULE_DART_ID */
	struct dart_hw hw;
	spinlock_t lock;		/* registers */
	unsigned long irqs;		/* lock; of who has it */
	void __iomem *regs;
	const struct dart_io *given;	/* instead of regs; or NULL */
	struct clk_bulk_data *clocks;
	int nr_clocks;
	atomic_long_t faults;
	bool leaving;			/* dart_lock */
};

/* A paging domain: of a user, or of granule-dma. */
struct dart_paging {
	struct iommu_domain domain;
	spinlock_t lock;
	struct dart_domain core;	/* lock */
	unsigned int endpoints;		/* dart_lock */
	bool large_pages;		/* its user knows; before it is used */
	bool used;			/* dart_lock */
};

enum dart_place {
	DART_BLOCKED,
	DART_BYPASSED,
	DART_TRANSLATED,
};

/* A device, from the core's probing it to its releasing it. */
struct dart_endpoint {
	struct device *dev;
	struct list_head item;		/* dart_lock; of dart_endpoints */
	unsigned int nr;		/* dart_lock; DARTs that are there */
	struct dart *dart[DART_MAX_PER_DEVICE];
	struct dart_attach at[DART_MAX_PER_DEVICE];
	struct device_link *link[DART_MAX_PER_DEVICE];
	enum dart_place place;		/* dart_lock */
	struct dart_paging *paging;	/* dart_lock; when translated */
	bool in_default;		/* dart_lock; the core chose so */
	bool crippled;			/* dart_lock; a DART of it has gone */
	bool uncounted;			/* dart_lock; see dart_count_users() */
	bool untrusted;			/* constant */
};

static inline struct dart_paging *to_dart_paging(struct iommu_domain *d)
{
	return container_of(d, struct dart_paging, domain);
}

/* --- domain.c --- */

struct dart_paging *dart_paging_alloc(const struct dart_geometry *geometry);
int dart_dma_map(struct granule_dma_batch *batch, u64 iova, phys_addr_t paddr,
		 size_t size, int prot, gfp_t gfp);
int dart_dma_sync(struct granule_dma_batch *batch);
u64 dart_dma_unmap(struct iommu_domain *d, u64 iova, u64 size);
struct iommu_domain *dart_dma_domain_alloc(struct device *dev);

/* --- attach.c --- */

void dart_leave(struct dart_endpoint *ep);
int dart_settle(struct device *dev);
int dart_attach_paging(struct iommu_domain *d, struct device *dev);
struct iommu_domain *dart_token_alloc(unsigned int type);

/* --- endpoint.c --- */

struct iommu_device *dart_probe_device(struct device *dev);
void dart_probe_finalize(struct device *dev);
void dart_release_device(struct device *dev);
void dart_get_resv_regions(struct device *dev, struct list_head *list);
bool dart_untrusted(struct device *dev);
struct dart_endpoint *dart_endpoint_of(struct device *dev);
struct iommu_group *dart_device_group(struct device *dev);
void dart_count_users(void);
void dart_unbind_users(struct dart *dart);
void dart_forget(struct dart *dart);

#endif
