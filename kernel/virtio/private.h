/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures that the files of granule-virtio-iommu.ko share, and who protects
 * what.
 *
 * Locking order, outermost first:
 *
 *   (the IOMMU core's locks)
 *   viommu_lock: which IOMMUs and endpoints there are, and what is attached
 *     where. granule-dma's locks are taken within.
 *   viommu_priv_lock: what leads from a device to its endpoint, for those who
 *     look without viommu_lock. Also within granule-dma's locks.
 *   viommu_domain.lock: its mappings, and which IOMMUs know them. In any
 *     context. No two at once.
 *   viommu.lock: the request queue. In any context. No two at once: a domain's
 *     IOMMUs are told one after the other. Answers are collected under it, of
 *     whichever domain, so nothing there may need a domain's lock.
 *   viommu.attached's own: nothing is taken within.
 */
#ifndef GRANULE_VIRTIO_PRIVATE_H
#define GRANULE_VIRTIO_PRIVATE_H

#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <uapi/linux/virtio_iommu.h>

#include "granule-dma.h"

struct pci_dev;
struct viommu_mapping;
struct viommu_slot;

/*
 * A domain of the IOMMU core, or of granule-dma. Devices behind several IOMMUs
 * may be attached to it: each IOMMU has a part of it, and a mapping is in all
 * parts or in none.
 *
 * A device forgets a domain's mappings with its last endpoint, so they are
 * kept here, and sent again when the next one comes.
 */
struct viommu_domain {
	struct iommu_domain domain;
	bool large_pages;		/* viommu_lock; its user knows */
	bool used;			/* viommu_lock; was attached once */
	/* Is what @domain says of page sizes and IOVAs for ever? */
	bool settled;			/* viommu_lock */

	spinlock_t lock;
	/* To look: lock or viommu_lock; to change: both, unless being freed. */
	struct list_head parts;
	struct rb_root_cached mappings;	/* lock */
	atomic_t failed;		/* mappings with an error */
};

/*
 * A domain as one of its IOMMUs knows it. It stays when its endpoints leave.
 * Only what it says of @viommu changes when that one breaks: nobody is told.
 */
struct viommu_part {
	struct list_head item;		/* domain->parts */
	struct viommu_domain *domain;	/* NULL: of the IOMMU's own, and empty */
	struct viommu *viommu;		/* referenced if @domain is there */
	u32 id;
	u32 attach_flags;
	unsigned int endpoints;		/* viommu_lock; IDs attached now */
	bool live;			/* domain->lock; it has all mappings... */
	u64 sent;			/* ...or those below this address */
	/*
	 * viommu->lock; it did not unmap what it had to, so its endpoints are
	 * blocked, whatever else says where they are, until all have left it.
	 */
	bool cut;
	/* The IOMMU core's requests; errors go to the mappings. */
	struct granule_dma_batch pending;	/* viommu->lock */
	struct granule_dma_batch unmaps;	/* viommu->lock */
};

/* A virtio-iommu device. */
struct viommu {
	struct iommu_device iommu;
	struct virtio_device *vdev;
	struct kref ref;		/* the driver's, endpoints', parts' */
	struct list_head item;		/* viommu_lock; in viommus */
	struct list_head endpoints;	/* viommu_lock */
	bool leaving;			/* viommu_lock */
	/* To look: viommu_lock or lock; to change: both. ID -> viommu_part */
	struct xarray attached;

	/* What the device can do; constant. */
	u64 pgsizes;
	u64 first, last;		/* IOVAs */
	u32 first_domain, last_domain;
	u32 probe_size;			/* bytes of properties; 0: no PROBE */
	u32 map_flags;
	bool has_bypass;

	struct ida domain_ids;
	struct viommu_part blocked;
	struct viommu_part bypass;	/* if has_bypass */

	spinlock_t lock;
	struct virtqueue *requests;	/* lock; NULL: asleep or gone */
	struct viommu_slot *slots;
	struct list_head idle;		/* lock; slots */
	struct list_head busy;		/* lock; slots */
	bool unkicked;			/* lock; since the last kick */
	bool broken;			/* lock; for ever */
	u64 nr_requests, nr_kicks;	/* lock */
	unsigned int fail_map, fail_unmap;	/* lock; see fail.c */
	/* For the log, which may be written by a device behind this IOMMU. */
	struct work_struct report;
	bool report_broken;		/* lock */
	unsigned int lost_unmaps;	/* lock; since the last report */
	u64 lost_first, lost_last;	/* lock; the latest one */
	int lost_error;			/* lock */
	bool lost_uncut;		/* lock; and endpoints are not blocked */

	spinlock_t event_lock;
	struct virtqueue *events;	/* event_lock */
	struct virtio_iommu_fault *buffers;
	struct work_struct event_work;
	struct delayed_work event_summary;
	atomic64_t nr_faults;
	/* For the log; of the work only, which does not run twice at a time. */
	unsigned long event_window;
	unsigned int event_shown;
	atomic_t event_hidden;
};

/* Was a driver there when the IOMMU's driver first saw the device? */
enum viommu_bound {
	VIOMMU_UNBOUND,
	VIOMMU_BINDING,
	VIOMMU_BOUND,
};

/* A device behind a virtio-iommu. */
struct viommu_endpoint {
	struct list_head item;		/* viommu_lock */
	struct device *dev;
	struct viommu *viommu;
	struct viommu_part *part;	/* viommu_lock; where it is attached */
	/* 1:1 mappings for devices without bypass. Made when first needed. */
	struct viommu_domain *identity;	/* viommu_lock */
	bool in_default;		/* viommu_lock; the core's last choice */
	bool todo;			/* viommu_lock */
	enum viommu_bound bound_before;	/* constant */
	bool untrusted;			/* constant */
	bool linked;			/* shuts down before the IOMMU */
	struct list_head reserved;	/* constant; iommu_resv_region */
	atomic64_t nr_faults;
	unsigned int nr_ids;		/* constant */
	u32 *ids;
};

/* --- IOMMUs (main.c) --- */

extern struct mutex viommu_lock;
extern struct list_head viommus;	/* viommu_lock */
extern struct iommu_ops viommu_ops;

void viommu_put(struct viommu *viommu);
struct iommu_domain *viommu_domain_alloc(unsigned int type);

/* --- requests (request.c) --- */

/*
 * Adding and waiting are done with viommu->lock held. What is added is counted
 * in the batch until the device has answered. @mapping: viommu_mapping_answered()
 * is called for it then; may be NULL.
 */
int viommu_requests_init(struct viommu *viommu, struct virtqueue *vq);
void viommu_requests_exit(struct viommu *viommu);
int viommu_add_map(struct viommu *viommu, struct granule_dma_batch *batch,
		   struct viommu_domain *domain, struct viommu_mapping *mapping,
		   const struct virtio_iommu_req_map *req);
int viommu_add_unmap(struct viommu *viommu, struct granule_dma_batch *batch,
		     u32 id, u64 first, u64 last);
void viommu_wait(struct viommu *viommu, const struct granule_dma_batch *batch);

/* Send one and wait. */
int viommu_ask_attach(struct viommu *viommu, u32 endpoint,
		      const struct viommu_part *part);
/* These take the lock themselves. */
int viommu_send_probe(struct viommu *viommu, struct virtio_iommu_req_probe *req);
void viommu_drain(struct viommu *viommu);
void viommu_report(struct work_struct *work);

/* --- domains (domain.c) --- */

#define to_viommu_domain(d) container_of(d, struct viommu_domain, domain)

int __init viommu_domains_init(void);
void viommu_domains_exit(void);
struct viommu_domain *viommu_paging_alloc(struct viommu *viommu);
void viommu_domain_put(struct viommu_domain *domain);
int viommu_domain_add(struct viommu_domain *domain, u64 first, u64 last);
void viommu_mapping_answered(struct viommu_domain *domain,
			     struct viommu_mapping *m, int error);

int viommu_dma_map(struct granule_dma_batch *batch, u64 iova, phys_addr_t paddr,
		   size_t size, int prot, gfp_t gfp);
int viommu_dma_sync(struct granule_dma_batch *batch);
u64 viommu_dma_unmap(struct iommu_domain *domain, u64 iova, u64 size);
struct iommu_domain *viommu_dma_domain_alloc(struct device *dev);

/* --- a domain's parts (part.c) --- */

struct viommu_mapping {
	struct rb_node node;
	u64 first, last, subtree_last;
	phys_addr_t paddr;
	u32 flags;
	int error;			/* what a device said to it */
	refcount_t users;		/* its domain, and requests under way */
};

struct viommu_mapping *viommu_mapping_from(struct viommu_domain *domain,
					   u64 first);
struct viommu_mapping *viommu_mapping_next(struct viommu_mapping *m);
void viommu_mapping_put(struct viommu_domain *domain, struct viommu_mapping *m);

int viommu_part_add(struct viommu_domain *domain, struct viommu *viommu);
void viommu_part_free(struct viommu_part *part);
void viommu_part_drop(struct viommu_part *part);
struct viommu_part *viommu_domain_join(struct viommu_domain *domain,
				       struct viommu *viommu);
void viommu_domain_settle(struct viommu_domain *domain, struct viommu *viommu);
int viommu_part_replay(struct viommu_part *part);
void viommu_part_retire(struct viommu_part *part);

/* With the domain's lock held. */
int viommu_parts_map(struct viommu_domain *domain, struct viommu_mapping *m,
		     struct granule_dma_batch *batch);
void viommu_parts_unmap(struct viommu_domain *domain, u64 first, u64 last,
			bool wait);
void viommu_parts_wait(struct viommu_domain *domain);

/* --- what is attached where (attach.c); with viommu_lock held --- */

int viommu_attach(struct viommu_endpoint *ep, struct viommu_part *part);
void viommu_detach(struct viommu_endpoint *ep);
int viommu_place(struct viommu_endpoint *ep);
void viommu_reattach_all(struct viommu *viommu);
/* Without it. */
int viommu_settle(struct device *dev);
int viommu_attach_paging(struct iommu_domain *domain, struct device *dev);
struct iommu_domain *viommu_token_alloc(unsigned int type);

/* --- endpoints (endpoint.c) --- */

struct viommu_endpoint *viommu_endpoint_of(struct device *dev);
struct viommu_endpoint *viommu_endpoint_by_id(struct viommu *viommu, u32 id);
bool viommu_untrusted(struct device *dev);
struct iommu_device *viommu_probe_device(struct device *dev);
void viommu_probe_finalize(struct device *dev);
void viommu_release_device(struct device *dev);
void viommu_own_bound(struct viommu *viommu);
void viommu_unbind_users(struct viommu *viommu);

/* The IOMMU and the endpoint IDs of a device, while they are collected. */
struct viommu_ids {
	struct viommu *viommu;		/* not referenced: viommu_lock */
	u32 *ids;
	unsigned int count;
};

int viommu_ids_add(struct viommu_ids *ids, struct viommu *viommu, u32 id);
int viommu_find(struct device *dev, struct viommu_ids *ids);

/* --- devices that nobody has told the IOMMU core of (arrival.c) --- */

int __init viommu_arrivals_init(void);
void viommu_arrivals_exit(void);
void viommu_introduce_all(void);

/* --- what the device says of an endpoint (property.c) --- */

extern struct mutex viommu_priv_lock;
int viommu_properties_read(struct viommu_endpoint *ep);
void viommu_get_resv_regions(struct device *dev, struct list_head *list);

/* --- fault reports (event.c) --- */

int viommu_events_init(struct viommu *viommu, struct virtqueue *vq);
void viommu_events_start(struct viommu *viommu);
void viommu_events_exit(struct viommu *viommu);
void viommu_event_callback(struct virtqueue *vq);
void viommu_event_work(struct work_struct *work);
void viommu_event_summary(struct work_struct *work);

/* --- IDs of PCI devices (alias.c) --- */

typedef int (*viommu_alias_fn)(struct pci_dev *pdev, u16 id, void *data);

int viommu_each_alias(struct pci_dev *pdev, viommu_alias_fn fn, void *data);
struct device *viommu_host_bridge(struct pci_dev *pdev);

/* --- firmware's table (viot.c) --- */

#ifdef CONFIG_ACPI
int viommu_viot_find(struct device *dev, struct viommu_ids *ids);
#else
static inline int viommu_viot_find(struct device *dev, struct viommu_ids *ids)
{
	return 0;
}
#endif

/* --- the devicetree (devicetree.c) --- */

struct device_node *viommu_dt_bridge(struct pci_dev *pdev);
int viommu_dt_find(struct device *dev, struct viommu_ids *ids);

/* --- failure injection, in builds for testing (fail.c) --- */

#ifdef GRANULE_SELFTEST
bool viommu_should_fail(struct viommu *viommu);
bool viommu_should_keep(struct viommu *viommu);
extern const struct attribute_group viommu_fail_group;
#define VIOMMU_FAIL_GROUP &viommu_fail_group,
#else
static inline bool viommu_should_fail(struct viommu *viommu)
{
	return false;
}

static inline bool viommu_should_keep(struct viommu *viommu)
{
	return false;
}

#define VIOMMU_FAIL_GROUP
#endif

/* The one whose directory in sysfs it is; NULL while it comes or goes. */
static inline struct viommu *viommu_of(struct device *dev)
{
	struct iommu_device *iommu = dev_get_drvdata(dev);

	return iommu ? container_of(iommu, struct viommu, iommu) : NULL;
}

/* --- sysfs (stats.c) --- */

extern const struct attribute_group *viommu_groups[];

#endif
