// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory: pinning it, and remembering its frames.
 *
 * Memory is described when it is mapped, and pinned while at least one mapping
 * of it is in an IOAS with a hardware page table. It is charged first, all of
 * it, and then pinned, all of it: either both are done or neither. The frames
 * are kept in packed extents, so that nothing ever asks the IOMMU what it maps
 * and unpinning works on whole runs.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/mm.h"
#include "private.h"

static struct kmem_cache *granule_pages_cache;

/* --- extents --- */

static void granule_extents_free(struct granule_pages *pages)
{
	if (pages->extents.v != &pages->run)
		kvfree(pages->extents.v);
	extent_list_init(&pages->extents, &pages->run, 1);
}

static int granule_extents_resize(struct granule_pages *pages, u32 cap)
{
	struct extent_list *list = &pages->extents;
	u64 *v = &pages->run;

	if (cap > 1) {
		v = granule_should_fail() ? NULL :
			kvmalloc_array(cap, sizeof(*v),
				       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!v)
			return -ENOMEM;
	}
	memcpy(v, list->v, list->nr * sizeof(*v));
	if (list->v != &pages->run)
		kvfree(list->v);
	list->v = v;
	list->cap = cap;
	return 0;
}

/* Room for @n more runs, so that appending what is pinned cannot fail. */
static int granule_extents_reserve(struct granule_pages *pages, u32 n)
{
	struct extent_list *list = &pages->extents;

	if (list->cap - list->nr >= n)
		return 0;
	if (list->cap > U32_MAX / 2 - n)
		return -ENOMEM;
	/* kvmalloc() gives no more than INT_MAX bytes. */
	return granule_extents_resize(pages,
				      max(list->nr + n,
					  min_t(u32, list->cap * 2,
						INT_MAX / sizeof(*list->v))));
}

/* Give back what the worst case did not need; keeping it is no error. */
static void granule_extents_trim(struct granule_pages *pages)
{
	struct extent_list *list = &pages->extents;

	if (list->cap > 1 && list->nr < list->cap - list->cap / 8)
		granule_extents_resize(pages, list->nr);
}

static void granule_extents_record(struct granule_pages *pages,
				   struct page **batch, long n)
{
	long i, run;
	u64 done;

	for (i = 0; i < n; i += run) {
		unsigned long pfn = page_to_pfn(batch[i]);

		for (run = 1; i + run < n; run++)
			if (page_to_pfn(batch[i + run]) != pfn + run)
				break;
		WARN_ON(extent_append(&pages->extents, pfn, run, &done));
	}
}

/* --- pinning --- */

/*
 * Page pointers on their way into extents. A small mapping does with those on
 * the stack; for a large one fewer calls are better.
 */
#define GRANULE_BATCH_STACK 8
#define GRANULE_BATCH (PAGE_SIZE / sizeof(struct page *))

/* A run can be a terabyte: let others run in between. */
#define GRANULE_UNPIN_AT_ONCE (1UL << 18)

static void granule_unpin_extents(struct granule_pages *pages)
{
	struct extent_iter it;
	struct extent run;

	extent_iter_init(&it, &pages->extents, 0, pages->extents.frames);
	while (extent_iter_next(&it, &run)) {
		while (run.frames) {
			unsigned long n = min_t(u64, run.frames,
						GRANULE_UNPIN_AT_ONCE);

			unpin_user_page_range_dirty_lock(pfn_to_page(run.pfn),
							 n, pages->writable);
			run.pfn += n;
			run.frames -= n;
			cond_resched();
		}
	}
	granule_extents_free(pages);
}

static long granule_pin_some(struct granule_pages *pages, bool local,
			     unsigned long uva, long n, unsigned int flags,
			     struct page **batch)
{
	struct mm_struct *mm = pages->owner->mm;
	int locked = 1;
	long got;

	if (local)
		return pin_user_pages_fast(uva, n, flags, batch);
	mmap_read_lock(mm);
	got = pin_user_pages_remote(mm, uva, n, flags, batch, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return got;
}

/*
 * Pin for as long as DMA may go on. Memory that is only read is pinned in a
 * way that keeps showing what the process writes there later: on kernels that
 * do not see to that by themselves, by breaking copy-on-write first where the
 * mapping allows it.
 */
static long granule_pin_batch(struct granule_pages *pages, bool local,
			      unsigned long uva, long n, struct page **batch)
{
	long got;

	if (granule_should_fail())
		return -EFAULT;
	if (pages->writable)
		return granule_pin_some(pages, local, uva, n,
					FOLL_LONGTERM | FOLL_WRITE, batch);
	if (GRANULE_PIN_RO_FORCE) {
		got = granule_pin_some(pages, local, uva, n,
				       FOLL_LONGTERM | FOLL_WRITE | FOLL_FORCE,
				       batch);
		if (got != -EFAULT)
			return got;
	}
	return granule_pin_some(pages, local, uva, n, FOLL_LONGTERM, batch);
}

/* Is it the caller's memory, or the machine's? */
static int granule_pin_failed(int rc, unsigned long uva,
			      struct iommu_last_error *why)
{
	if (rc == -ENOMEM || rc == -EINTR || rc == -EAGAIN)
		return granule_fail(why, rc, ERRNO, .out_addr = uva);
	return granule_fail(why, rc, BAD_MEMORY, .out_addr = uva);
}

static int granule_pin_all(struct granule_pages *pages,
			   struct iommu_last_error *why)
{
	struct page *stack[GRANULE_BATCH_STACK], **batch = stack;
	bool local = pages->owner->mm == current->mm;
	unsigned long size = GRANULE_BATCH_STACK;
	unsigned long done = 0;
	int rc = 0;

	if (!local && !mmget_not_zero(pages->owner->mm))
		return granule_fail(why, -EFAULT, BAD_MEMORY,
				    .out_addr = pages->uva);
	if (pages->npages > size) {
		batch = granule_should_fail() ? NULL :
			(struct page **)__get_free_page(GFP_KERNEL);
		size = GRANULE_BATCH;
		if (!batch) {
			rc = granule_fail(why, -ENOMEM, ERRNO);
			goto out_mm;
		}
	}
	while (done < pages->npages) {
		long n = min(pages->npages - done, size);

		if (fatal_signal_pending(current)) {
			rc = granule_fail(why, -EINTR, ERRNO);
			break;
		}
		rc = granule_extents_reserve(pages, n);
		if (rc) {
			granule_fail(why, rc, ERRNO);
			break;
		}
		n = granule_pin_batch(pages, local,
				      pages->uva + done * PAGE_SIZE, n, batch);
		if (n <= 0) {
			rc = granule_pin_failed(n ?: -EFAULT,
						pages->uva + done * PAGE_SIZE,
						why);
			break;
		}
		granule_extents_record(pages, batch, n);
		done += n;
		cond_resched();
	}
	if (rc)
		granule_unpin_extents(pages);
	else
		granule_extents_trim(pages);
	if (batch != stack)
		free_page((unsigned long)batch);
out_mm:
	if (!local)
		mmput(pages->owner->mm);
	return rc;
}

/*
 * granule_pages_pin - keep the memory in place for one more mapping
 *
 * Return: 0, with pages->extents complete; -ENOMEM memory or over the limit,
 * -EFAULT not mapped, not writable, or not ordinary memory, -EINTR killed.
 */
int granule_pages_pin(struct granule_pages *pages, struct iommu_last_error *why)
{
	int rc = 0;

	mutex_lock(&pages->lock);
	if (!pages->pins) {
		rc = granule_charge(pages->owner, pages->account,
				    pages->npages, pages->uva, why);
		if (rc)
			goto out;
		rc = granule_pin_all(pages, why);
		if (rc) {
			granule_uncharge(pages->owner, pages->account,
					 pages->npages);
			goto out;
		}
		granule_stat_add(GRANULE_STAT_PINNED_PAGES, pages->npages);
	}
	pages->pins++;
out:
	mutex_unlock(&pages->lock);
	return rc;
}

/* Undo one granule_pages_pin(), after the IOMMU has forgotten the memory. */
void granule_pages_unpin(struct granule_pages *pages)
{
	mutex_lock(&pages->lock);
	if (!--pages->pins) {
		granule_unpin_extents(pages);
		granule_uncharge(pages->owner, pages->account, pages->npages);
		granule_stat_add(GRANULE_STAT_PINNED_PAGES, -pages->npages);
	}
	mutex_unlock(&pages->lock);
}

/* --- descriptions --- */

/*
 * granule_pages_alloc - describe @length bytes of the caller's memory at @uva
 *
 * Touches nothing yet. Return: the description with one user; ERR_PTR:
 * -EINVAL no length, -EOVERFLOW past the end, -ENOMEM.
 */
struct granule_pages *granule_pages_alloc(struct granule_ctx *ctx, u64 uva,
					  u64 length, bool writable,
					  struct iommu_last_error *why)
{
	struct granule_pages *pages;
	struct iova_range range;

	if (!length)
		return ERR_PTR(granule_fail(why, -EINVAL, ZERO_LENGTH));
	if (iova_range_init(&range, uva, length) || range.last == U64_MAX)
		return ERR_PTR(granule_fail(why, -EOVERFLOW, OVERFLOW,
					    .out_addr = uva,
					    .out_need = length));
	pages = granule_should_fail() ? NULL :
		kmem_cache_alloc(granule_pages_cache, GFP_KERNEL_ACCOUNT);
	if (!pages)
		return ERR_PTR(granule_fail(why, -ENOMEM, ERRNO));
	pages->owner = granule_owner_get(ctx);
	if (!pages->owner) {
		kmem_cache_free(granule_pages_cache, pages);
		return ERR_PTR(granule_fail(why, -ENOMEM, ERRNO));
	}
	refcount_set(&pages->users, 1);
	pages->writable = writable;
	pages->account = granule_account_mode(ctx);
	pages->uva = range.start & PAGE_MASK;
	pages->npages = range.last / PAGE_SIZE - range.start / PAGE_SIZE + 1;
	mutex_init(&pages->lock);
	pages->pins = 0;
	extent_list_init(&pages->extents, &pages->run, 1);
	return pages;
}

void granule_pages_put(struct granule_pages *pages)
{
	if (!refcount_dec_and_test(&pages->users))
		return;
	granule_owner_put(pages->owner);
	kmem_cache_free(granule_pages_cache, pages);
}

int __init granule_pages_init(void)
{
	granule_pages_cache = KMEM_CACHE(granule_pages, 0);
	return granule_pages_cache ? 0 : -ENOMEM;
}

void granule_pages_exit(void)
{
	kmem_cache_destroy(granule_pages_cache);
}
