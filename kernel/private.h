/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures that the files of granule.ko share, and who protects what.
 *
 * Locking order, outermost first:
 *
 *   (the VFIO device set's lock, held by the caller of granule_device_*)
 *   granule_groups_lock
 *   granule_group.lock
 *   granule_ioas.domains_rwsem
 *   granule_ioas.lock
 *   granule_pages.lock
 *   mmap_lock
 *
 * xa_lock of granule_ctx.objects, granule_ctx.errors_lock,
 * granule_ctx.buffers_lock and granule_attached_lock are innermost; the last
 * one also within the first. granule_contexts_lock is taken with nothing held.
 * Two IOASes are never locked at once.
 */
#ifndef GRANULE_PRIVATE_H
#define GRANULE_PRIVATE_H

#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <granule/iommu.h>
#include <granule/netlink.h>

#include "core/extent.h"
#include "core/granule.h"
#include "core/iova_alloc.h"
#include "core/iova_range.h"
#include "granule.h"

/* --- context (main.c) --- */

enum granule_account {
	GRANULE_ACCOUNT_NONE,	/* the caller has CAP_IPC_LOCK */
	GRANULE_ACCOUNT_USER,	/* user_struct.locked_vm */
	GRANULE_ACCOUNT_MM,	/* mm_struct.locked_vm */
};

struct granule_errors;
struct granule_owner;

enum granule_object_type {
	GRANULE_OBJECT_ANY,
	GRANULE_OBJECT_IOAS,
	GRANULE_OBJECT_HWPT,
	GRANULE_OBJECT_BUFFER,
	GRANULE_OBJECT_DEVICE,
	GRANULE_NR_OBJECT_TYPES,
};

/* Events that somebody could flood us with: some a second are told. */
struct granule_event_limit {
	struct ratelimit_state rate;
	atomic_t suppressed;		/* since the last one that was told */
};

/*
 * One open file. It lives as long as the file, on which every bound device
 * holds a reference: a VMM that closes /dev/iommu keeps its DMA.
 */
struct granule_ctx {
	struct file *file;
	struct xarray objects;		/* id -> granule_object; own lock */
	wait_queue_head_t idle;		/* an object lost its last user */
	enum granule_account account;	/* xa_lock; fixed once objects exist */
	spinlock_t errors_lock;
	struct granule_errors *errors;	/* errors_lock; NULL until needed */
	struct granule_owner *owner;	/* errors_lock; latest mapper, cached */
	spinlock_t buffers_lock;
	struct iova_tree buffers;	/* buffers_lock; by mmap() offset */

	/* For who looks: see netlink.c. */
	u64 id;
	struct list_head item;		/* granule_contexts_lock */
	struct pid *pid;		/* of the process that opened it */
	char task[TASK_COMM_LEN];
	atomic_t nr[GRANULE_NR_OBJECT_TYPES];	/* published ones */
	atomic64_t refused;		/* mappings */
	atomic64_t faults;
	/* Apart: a user cannot hide what its device does. */
	struct granule_event_limit refused_limit;
	struct granule_event_limit fault_limit;
};

/* One ioctl in progress. */
struct granule_call {
	struct granule_ctx *ctx;
	void __user *uarg;
	u32 user_size;			/* bytes the caller gave */
	void *arg;			/* copy of the argument */
	struct iommu_last_error why;	/* valid once out_reason is set */
};

int granule_call_respond(struct granule_call *call, size_t size);

/* --- errors (error.c) --- */

/*
 * Say why something fails, and return @err. The further arguments initialise
 * fields of struct iommu_last_error.
 */
#define granule_fail(why, err, reason, ...)				\
({									\
	int fail_err = (err);						\
									\
	*(why) = (struct iommu_last_error){				\
		.out_errno = -fail_err,					\
		.out_reason = IOMMU_REASON_##reason, __VA_ARGS__ };	\
	fail_err;							\
})

void granule_error_record(struct granule_ctx *ctx, unsigned int cmd, int err,
			  struct iommu_last_error *why);
int granule_error_get(struct granule_call *call);
void granule_errors_free(struct granule_ctx *ctx);

/* --- counters (stats.c) --- */

enum granule_stat {
	GRANULE_STAT_CONTEXTS,
	GRANULE_STAT_OBJECTS,
	GRANULE_STAT_DEVICES,
	GRANULE_STAT_AREAS,
	GRANULE_STAT_PINNED_PAGES,
	GRANULE_STAT_BUFFER_PAGES,
	GRANULE_NR_STATS,
};

extern atomic_long_t granule_stats[GRANULE_NR_STATS];
extern const struct attribute_group *granule_stat_groups[];

static inline void granule_stat_add(enum granule_stat stat, long n)
{
	atomic_long_add(n, &granule_stats[stat]);
}

/* --- objects (object.c) --- */

struct granule_object {
	enum granule_object_type type;
	u32 id;
	bool reap;		/* goes when only the table still uses it */
	refcount_t users;	/* the table's one, and others */
};

void *granule_object_alloc(struct granule_ctx *ctx, size_t size,
			   enum granule_object_type type,
			   struct iommu_last_error *why);
void granule_object_publish(struct granule_ctx *ctx,
			    struct granule_object *obj);
void granule_object_abort(struct granule_ctx *ctx, struct granule_object *obj);
struct granule_object *granule_object_get(struct granule_ctx *ctx, u32 id,
					  enum granule_object_type type,
					  struct iommu_last_error *why);
bool granule_object_tryget(struct granule_ctx *ctx, struct granule_object *obj);
void granule_object_put(struct granule_ctx *ctx, struct granule_object *obj);
void granule_object_remove_wait(struct granule_ctx *ctx,
				struct granule_object *obj);
void granule_object_free(struct granule_object *obj);
int granule_object_destroy(struct granule_call *call);
void granule_objects_destroy_all(struct granule_ctx *ctx);

/* --- who pays (owner.c) --- */

/*
 * Whose memory it is and whose limits count. Shared by all mappings that one
 * process makes through one file.
 */
struct granule_owner {
	refcount_t users;
	struct mm_struct *mm;		/* mmgrab()ed: pinned remotely */
	struct user_struct *user;
	struct task_struct *task;	/* group leader, for its rlimits */
	enum granule_account account;	/* when it came; for who looks */
};

struct granule_owner *granule_owner_get(struct granule_ctx *ctx);
void granule_owner_put(struct granule_owner *owner);
enum granule_account granule_account_mode(const struct granule_ctx *ctx);
int granule_charge(struct granule_owner *owner, enum granule_account mode,
		   unsigned long npages, u64 addr,
		   struct iommu_last_error *why);
void granule_uncharge(struct granule_owner *owner, enum granule_account mode,
		      unsigned long npages);
int granule_memlock_usage(struct granule_ctx *ctx, u64 *used, u64 *limit);

/* --- memory (pages.c) --- */

/*
 * A piece of user memory, and the frames that it is made of while it is
 * pinned. Several mappings, in several IOASes, may use one (IOMMU_IOAS_COPY).
 */
struct granule_pages {
	refcount_t users;
	bool writable;
	u8 account;			/* enum granule_account */
	unsigned long uva;		/* of the first page */
	unsigned long npages;
	struct granule_owner *owner;
	struct mutex lock;
	u32 pins;			/* lock; mappings that need it pinned */
	struct extent_list extents;	/* lock to change; stable while pinned */
	u64 run;			/* storage for a single run */
};

struct granule_pages *granule_pages_alloc(struct granule_ctx *ctx, u64 uva,
					  u64 length, bool writable,
					  struct iommu_last_error *why);
void granule_pages_put(struct granule_pages *pages);
int granule_pages_pin(struct granule_pages *pages,
		      struct iommu_last_error *why);
void granule_pages_unpin(struct granule_pages *pages);

int __init granule_pages_init(void);
void granule_pages_exit(void);

/* --- buffers (buffer.c) --- */

int granule_buffer_alloc(struct granule_call *call);
void granule_buffer_destroy(struct granule_object *obj);
int granule_buffer_mmap(struct file *file, struct vm_area_struct *vma);
unsigned long granule_buffer_address(struct file *file, unsigned long addr,
				     unsigned long len, unsigned long pgoff,
				     unsigned long flags);

int __init granule_buffers_init(void);
void granule_buffers_exit(void);

/* --- address spaces (ioas.c, area.c, reserve.c) --- */

enum granule_node_kind {
	GRANULE_NODE_BUSY,	/* a mapping being made or removed */
	GRANULE_NODE_LIVE,	/* a mapping */
	GRANULE_NODE_RESERVED,	/* head of a run of granule_reserved */
};

/* Anything that occupies IOVAs. */
struct granule_node {
	struct iova_node iova;
	u8 kind;		/* BUSY and LIVE change under ioas->lock */
};

/*
 * A mapping. Between BUSY and LIVE it belongs to the thread that makes or
 * removes it, which holds domains_rwsem for reading; while domains_rwsem is
 * held for writing there are none in that state.
 */
struct granule_area {
	struct granule_node node;
	int prot;			/* IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE */
	u64 offset;			/* bytes into pages */
	struct granule_pages *pages;
	struct granule_area *next;	/* chain of the thread that owns it */
};

/*
 * A region that cannot be mapped, for @owner's sake. Regions may overlap and
 * touch; the first of each connected run stands in the tree for all of it, so
 * that removing regions never needs memory.
 */
struct granule_reserved {
	struct granule_node node;
	struct list_head item;
	const void *owner;		/* a granule_group or a granule_hwpt */
	u32 reason;			/* enum iommu_resv_reason */
	bool head;			/* node is in the tree */
	struct iova_range range;	/* as reported, not grown */
};

struct granule_ioas {
	struct granule_object obj;
	struct granule_ctx *ctx;

	/*
	 * For reading: mapping and unmapping. For writing: adding and removing
	 * HWPTs and reserved regions, and attaching groups to HWPTs.
	 */
	struct rw_semaphore domains_rwsem;
	struct list_head hwpts;
	unsigned int nr_hwpts;
	struct list_head reserved;	/* granule_reserved; by range.start */
	u64 alignment;			/* of IOVA, length, memory offset */
	u64 granule;			/* largest of HWPTs and option, or 0 */
	u64 min_granule;		/* option IOAS_GRANULE; 0: none */
	bool small_pages;		/* option HUGE_PAGES is off */

	struct mutex lock;		/* short; never held while pinning */
	struct iova_tree tree;		/* lock, or domains_rwsem to write */
	u64 nr_areas;
	u64 mapped_bytes;
	u64 held_pages;			/* by mappings, each page in each */
	u64 area_quota;
	atomic64_t faults;
	struct iova_range *allowed;	/* ascending; NULL: everything */
	u32 nr_allowed;
};

int granule_ioas_alloc(struct granule_call *call);
int granule_ioas_allow_iovas(struct granule_call *call);
int granule_ioas_iova_ranges(struct granule_call *call);
int granule_ioas_map(struct granule_call *call);
int granule_ioas_copy(struct granule_call *call);
int granule_ioas_unmap(struct granule_call *call);
int granule_ioas_list_areas(struct granule_call *call);
void granule_ioas_destroy(struct granule_object *obj);
int granule_check_allowed(struct granule_ioas *ioas,
			  const struct iova_range *allowed, u32 nr,
			  struct iommu_last_error *why);

static inline struct granule_ioas *
granule_ioas_get(struct granule_ctx *ctx, u32 id, struct iommu_last_error *why)
{
	struct granule_object *obj =
		granule_object_get(ctx, id, GRANULE_OBJECT_IOAS, why);

	return IS_ERR(obj) ? ERR_CAST(obj) :
			     container_of(obj, struct granule_ioas, obj);
}

static inline void granule_ioas_put(struct granule_ioas *ioas)
{
	granule_object_put(ioas->ctx, &ioas->obj);
}

struct granule_area *granule_area_first(struct granule_ioas *ioas, u64 start,
					u64 last);
struct granule_area *granule_area_next(struct granule_area *area, u64 last);
void granule_areas_free_all(struct granule_ioas *ioas);
int granule_area_check_granule(const struct granule_area *area, u64 granule,
			       struct iommu_last_error *why);

static inline u64 granule_area_length(const struct granule_area *area)
{
	return area->node.iova.last - area->node.iova.start + 1;
}

/* Where in its process the memory of a mapping begins. */
static inline u64 granule_area_uva(const struct granule_area *area)
{
	return area->pages->uva + area->offset;
}

/* Kernel pages that a mapping holds, wholly or partly. */
static inline u64 granule_area_pages(const struct granule_area *area)
{
	u64 head = area->offset & ~PAGE_MASK;

	return (head + granule_area_length(area) - 1) / PAGE_SIZE + 1;
}

int __init granule_areas_init(void);
void granule_areas_exit(void);

/* The region of a node that an IOVA hit, for messages. */
struct granule_reserved *granule_reserved_at(struct granule_ioas *ioas,
					     u64 iova, u64 last);
int granule_reserve(struct granule_ioas *ioas, const void *owner,
		    struct list_head *regions, struct iommu_last_error *why);
void granule_unreserve(struct granule_ioas *ioas, const void *owner);
void granule_reserved_rebuild(struct granule_ioas *ioas);
struct granule_reserved *granule_reserved_new(const void *owner,
					      u64 start, u64 last, u32 reason);
void granule_reserved_free(struct list_head *regions);

/* --- hardware page tables (hwpt.c, domain.c) --- */

struct granule_hwpt {
	struct granule_object obj;
	struct granule_ctx *ctx;
	struct granule_ioas *ioas;	/* holds a user of it */
	struct iommu_domain *domain;
	struct iova_range aperture;
	u64 format;			/* see granule_table_format() */
	u64 granule;			/* once linked */
	bool linked;			/* in ioas->hwpts; its domains_rwsem */
	struct list_head item;		/* ioas->hwpts */
	struct mutex msi_lock;
	bool msi_cookie;		/* msi_lock */
};

u64 granule_ioas_granule(struct granule_ioas *ioas);
void granule_ioas_measure(struct granule_ioas *ioas);
int granule_ioas_check(struct granule_ioas *ioas, struct iommu_last_error *why);
int granule_ioas_check_pinned(struct granule_ioas *ioas,
			      struct iommu_last_error *why);
int granule_hwpt_alloc_ioctl(struct granule_call *call);
struct granule_hwpt *granule_hwpt_new(struct granule_ioas *ioas,
				      struct granule_device *gdev,
				      bool automatic,
				      struct iommu_last_error *why);
int granule_hwpt_link(struct granule_hwpt *hwpt, struct iommu_last_error *why);
int granule_hwpt_settle(struct granule_hwpt *hwpt);
void granule_hwpt_abort(struct granule_hwpt *hwpt);
void granule_hwpt_destroy(struct granule_object *obj);

int granule_domain_map(struct iommu_domain *domain,
		       const struct granule_area *area, u64 step,
		       struct iommu_last_error *why);

/* Areas on their way out of a domain. */
struct granule_unmap {
	struct iommu_domain *domain;
	u64 no_table;		/* shorter areas than this free no table */
	bool pending;		/* gather has something to sync */
	struct iommu_iotlb_gather gather;
};

void granule_unmap_start(struct granule_unmap *unmap,
			 struct granule_hwpt *hwpt);
void granule_unmap_area(struct granule_unmap *unmap,
			const struct granule_area *area);
void granule_unmap_sync(struct granule_unmap *unmap);

/* --- devices and their groups (device.c, group.c) --- */

/*
 * An IOMMU group that is claimed for one context. Global, since the kernel
 * lets a group be claimed only once.
 */
struct granule_group {
	struct list_head item;		/* granule_groups_lock */
	struct iommu_group *iommu;
	struct granule_ctx *ctx;
	unsigned int bound;		/* granule_groups_lock */
	u64 pgsizes;
	u64 format;			/* see granule_table_format() */
	struct iova_range aperture;

	struct mutex lock;
	phys_addr_t sw_msi;		/* lock; where MSIs go when attached */
	/* What the group is attached to; lock and granule_attached_lock. */
	struct granule_hwpt *hwpt;
	struct list_head attached;	/* the same; granule_device.item */
};

struct granule_device {
	struct granule_object obj;
	struct granule_ctx *ctx;
	struct device *dev;
	struct granule_group *group;
	bool attached;			/* as group->attached */
	struct list_head item;		/* group->attached */
};

struct granule_group *granule_group_claim(struct granule_ctx *ctx,
					  struct device *dev,
					  struct iommu_last_error *why);
void granule_group_release(struct granule_group *group);
int granule_group_regions(struct granule_group *group, const void *owner,
			  struct list_head *regions, phys_addr_t *sw_msi,
			  bool all);
int granule_group_attach(struct granule_group *group, struct granule_hwpt *hwpt,
			 struct iommu_last_error *why);
int granule_group_replace(struct granule_group *group,
			  struct granule_hwpt *hwpt,
			  struct iommu_last_error *why);
void granule_group_detach(struct granule_group *group);
void granule_group_list(struct granule_device *gdev, bool attached);
u32 granule_device_ioas(const struct granule_device *gdev);
int granule_aperture_regions(const struct iova_range *aperture,
			     const void *owner, struct list_head *regions);
u32 granule_ioas_devices(struct granule_ioas *ioas,
			 struct iommu_ioas_device *devices, u32 room);

/* --- answers about devices and IOASes (info.c) --- */

struct granule_device *granule_device_get(struct granule_ctx *ctx, u32 id,
					  struct iommu_last_error *why);
int granule_device_get_info(struct granule_call *call);
int granule_ioas_get_info(struct granule_call *call);
int granule_get_hw_info(struct granule_call *call);

/* --- who looks (netlink.c, event.c) --- */

void granule_context_add(struct granule_ctx *ctx);
void granule_context_remove(struct granule_ctx *ctx);
void granule_event_limit_init(struct granule_event_limit *limit);
void granule_event_context(struct granule_ctx *ctx,
			   enum granule_genl_event event);
void granule_event_ioas(struct granule_ioas *ioas,
			enum granule_genl_event event);
void granule_event_device(struct granule_device *gdev,
			  enum granule_genl_event event);
void granule_event_refused(struct granule_ctx *ctx, bool mapping, u32 ioas,
			   const struct iommu_last_error *why);
int granule_event_fault(struct iommu_domain *domain, struct device *dev,
			unsigned long iova, int flags, void *token);
int __init granule_netlink_init(void);
void granule_netlink_exit(void);

/* --- options (option.c) --- */

int granule_option(struct granule_call *call);

#endif
