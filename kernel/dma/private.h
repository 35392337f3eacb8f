/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures that the files of granule-dma.ko share, and who protects what.
 *
 * Locking order, outermost first:
 *
 *   (the IOMMU core's group mutex, the IOMMU driver's attach lock)
 *   granule_dma_lock
 *   iova_domain's own, xa_lock of bounces and buffers, the IOMMU driver's
 *   queue: innermost, in any context
 */
#ifndef GRANULE_DMA_PRIVATE_H
#define GRANULE_DMA_PRIVATE_H

#include <linux/dma-map-ops.h>
#include <linux/iova.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/xarray.h>

#include "core/granule.h"
#include "core/scatter.h"
#include "granule-dma.h"

/* Lists of providers, spaces and members, and whatever says so below. */
extern struct mutex granule_dma_lock;

/* --- counters (stats.c) --- */

enum dma_stat {
	DMA_STAT_MAPPED_GRANULES,	/* now */
	DMA_STAT_MAPPINGS,		/* made so far */
	DMA_STAT_BOUNCE_GRANULES,	/* now */
	DMA_STAT_BOUNCED_BYTES,		/* copied so far */
	DMA_STAT_FAILURES,		/* mappings refused so far */
	DMA_NR_STATS,
};

/* --- spaces (space.c) --- */

/*
 * The IOVAs that the devices of an IOMMU group share when kernel drivers use
 * them. From the first device's arrival to the last one's leaving.
 */
struct dma_space {
	/*
	 * What a bound device's dma_ops points to, so that a device leads to
	 * its space without a search.
	 */
	struct dma_map_ops ops;
	const struct granule_dma_provider *provider;
	struct iommu_domain *domain;
	struct iommu_group *group;
	u64 granule;
	unsigned int shift;		/* of the granule */
	struct iova_domain iovad;	/* in granules */
	struct list_head reserved;	/* granule_dma_lock */
	bool untrusted;			/* granule_dma_lock; only without users */

	struct list_head item;		/* granule_dma_lock */
	unsigned int members;		/* granule_dma_lock; devices */
	unsigned int users;		/* granule_dma_lock; with our ops */
	unsigned int direct;		/* granule_dma_lock; without */
	struct list_head shares;	/* granule_dma_lock; mapped here */

	struct xarray bounces;		/* IOVA in granules -> dma_bounce */
	spinlock_t pool_lock;
	struct list_head pool;		/* pool_lock; spare bounce granules */
	unsigned int pooled;		/* pool_lock */
	struct xarray buffers;		/* first granule -> dma_buffer */
	struct kobject kobj;		/* in sysfs while it has members */
	atomic_long_t stats[DMA_NR_STATS];
};

struct dma_space *dma_space_get(struct device *dev,
				const struct granule_dma_provider *provider);
void dma_space_put(struct dma_space *space);
void dma_space_clean(struct dma_space *space, struct device *dev);

static inline void dma_count(struct dma_space *space, enum dma_stat stat,
			     long n)
{
	atomic_long_add(n, &space->stats[stat]);
}

extern const struct kobj_type dma_space_ktype;
int __init dma_stats_init(void);
void dma_stats_exit(void);
int dma_stats_add(struct dma_space *space);

/* --- addresses (iova.c) --- */

int dma_iova_init(struct dma_space *space);
void dma_iova_exit(struct dma_space *space);
int dma_iova_reserve(struct dma_space *space, struct device *dev);
u64 dma_iova_alloc(struct dma_space *space, struct device *dev, u64 size,
		   u64 mask);
void dma_iova_free(struct dma_space *space, u64 iova, u64 size);

/* --- devices (member.c) --- */

int __init dma_members_init(void);
void dma_members_exit(void);
struct dma_space *dma_space_in_use(struct device *dev);
struct dma_space *dma_space_of_member(struct device *dev);

/* --- memory of one device, mapped for another (share.c) --- */

void dma_shares_end(struct dma_space *space, struct device *dev);

/* --- the DMA API (ops.c, map.c, sg.c, bounce.c, buffer.c) --- */

extern const struct dma_map_ops dma_trusted_ops, dma_untrusted_ops,
				 dma_refusing_ops;

void dma_free_op(struct device *dev, size_t size, void *vaddr, dma_addr_t addr,
		 unsigned long attrs);

static inline struct dma_space *dma_space_of(struct device *dev)
{
	return container_of(get_dma_ops(dev), struct dma_space, ops);
}

/* The same where the device may be leaving: under rcu_read_lock(), or NULL. */
static inline struct dma_space *dma_space_if_any(struct device *dev)
{
	const struct dma_map_ops *ops = READ_ONCE(dev->dma_ops);

	return ops && ops->free == dma_free_op ?
	       container_of(ops, struct dma_space, ops) : NULL;
}

/*
 * Memory that came from here, by which it is found when it is freed, mapped to
 * user space or put into a list.
 */
struct dma_buffer {
	refcount_t users;		/* the driver, and shares of it */
	struct device *dev;		/* to compare with, no more */
	void *vaddr;			/* what the driver got for it */
	u64 iova;
	u64 span;			/* bytes of IOVAs */
	unsigned int count;		/* pages */
	bool mapped;			/* vaddr is vmap()ed */
	struct page **pages;		/* NULL: contiguous from @first */
	struct page *first;
};

int dma_prot(struct device *dev, enum dma_data_direction dir,
	     unsigned long attrs);
int dma_map_piece(struct dma_space *space, struct granule_dma_batch *batch,
		  int prot, u64 iova, phys_addr_t phys,
		  u64 size);
int dma_map_end(struct dma_space *space, struct granule_dma_batch *batch,
		u64 iova, u64 span, u64 granules, int rc);
void dma_unmap_span(struct dma_space *space, u64 iova, u64 span,
		    enum dma_data_direction dir, unsigned long attrs);

dma_addr_t dma_map_page_op(struct device *dev, struct page *page,
			   unsigned long offset, size_t size,
			   enum dma_data_direction dir, unsigned long attrs);
void dma_unmap_page_op(struct device *dev, dma_addr_t addr, size_t size,
		       enum dma_data_direction dir, unsigned long attrs);
dma_addr_t dma_map_resource_op(struct device *dev, phys_addr_t phys,
			       size_t size, enum dma_data_direction dir,
			       unsigned long attrs);
void dma_unmap_resource_op(struct device *dev, dma_addr_t addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs);
int dma_map_sg_op(struct device *dev, struct scatterlist *sgl, int nents,
		  enum dma_data_direction dir, unsigned long attrs);
void dma_unmap_sg_op(struct device *dev, struct scatterlist *sgl, int nents,
		     enum dma_data_direction dir, unsigned long attrs);

int dma_bounce_map(struct dma_space *space, struct granule_dma_batch *batch,
		   int prot, u64 iova, phys_addr_t phys,
		   u64 size);
void dma_bounce_release(struct dma_space *space, u64 iova, u64 span,
			bool copy);
size_t dma_bounce_max(const struct dma_space *space);
void dma_bounce_fill_pool(struct dma_space *space);
void dma_bounce_exit(struct dma_space *space);
void dma_sync_single_for_cpu_op(struct device *dev, dma_addr_t addr,
				size_t size, enum dma_data_direction dir);
void dma_sync_single_for_device_op(struct device *dev, dma_addr_t addr,
				   size_t size, enum dma_data_direction dir);
void dma_sync_sg_for_cpu_op(struct device *dev, struct scatterlist *sgl,
			    int nents, enum dma_data_direction dir);
void dma_sync_sg_for_device_op(struct device *dev, struct scatterlist *sgl,
			       int nents, enum dma_data_direction dir);

void *dma_alloc_op(struct device *dev, size_t size, dma_addr_t *addr, gfp_t gfp,
		   unsigned long attrs);
struct page *dma_alloc_pages_op(struct device *dev, size_t size,
				dma_addr_t *addr, enum dma_data_direction dir,
				gfp_t gfp);
void dma_free_pages_op(struct device *dev, size_t size, struct page *page,
		       dma_addr_t addr, enum dma_data_direction dir);
enum dma_pieces {
	DMA_PIECES_ONE,		/* contiguous or nothing */
	DMA_PIECES_ANY,		/* contiguous if it can be had */
	DMA_PIECES_MANY,	/* with an array of its pages */
};

struct dma_buffer *dma_buffer_new(struct device *dev, size_t size, u64 granule,
				  gfp_t gfp, enum dma_pieces pieces, int prot);
struct dma_buffer *dma_coherent_new(struct device *dev, size_t size,
				    u64 granule, gfp_t gfp,
				    unsigned long attrs);
struct dma_buffer *dma_buffer_find(struct dma_space *space, dma_addr_t addr);
struct dma_buffer *dma_buffer_get(struct dma_space *space, dma_addr_t addr);
void dma_buffer_put(struct dma_buffer *buffer);
bool dma_buffer_fits(const struct dma_buffer *buffer, u64 granule);
int dma_buffer_map(struct dma_space *space, struct device *dev,
		   const struct dma_buffer *buffer, u64 span, int prot,
		   u64 *iova);
void dma_buffer_free(struct dma_space *space, struct dma_buffer *buffer);
int dma_mmap_op(struct device *dev, struct vm_area_struct *vma, void *vaddr,
		dma_addr_t addr, size_t size, unsigned long attrs);
int dma_get_sgtable_op(struct device *dev, struct sg_table *sgt, void *vaddr,
		       dma_addr_t addr, size_t size, unsigned long attrs);
u64 dma_buffers_granules(struct dma_space *space);
void dma_buffers_outlive(struct dma_space *space, struct device *dev);
void dma_buffers_free_late(struct device *dev, size_t size, void *vaddr,
			   dma_addr_t addr, unsigned long attrs);

#endif
