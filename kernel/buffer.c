// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: kernel memory in contiguous granules, for programs that cannot get
 * huge pages.
 *
 * A process maps a buffer by mmap() of /dev/iommu; from then on it is memory
 * like any other to IOMMU_IOAS_MAP. The memory is charged, and held, for as
 * long as the object or a mapping in a process exists, whichever goes last.
 * It consists of single pages, each with its own references: one that is still
 * pinned when the rest is let go of lives until it is unpinned.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat/mm.h"
#include "private.h"

/*
 * Memory is taken in pieces of this size while there are any, for IOMMUs and
 * their caches do better with larger pages. No granule is larger.
 */
#define GRANULE_BUFFER_PIECE SZ_2M

/* Pages put into a process' page tables between two looks at its signals. */
#define GRANULE_INSERT_AT_ONCE 4096UL

/* The memory of a buffer; does not change once the buffer has an offset. */
struct granule_memory {
	refcount_t users;	/* the object's, and one for each VMA */
	u8 account;		/* enum granule_account */
	struct granule_owner *owner;
	unsigned long first;	/* mmap() offset in pages */
	unsigned long npages;	/* of @pages; charged */
	unsigned long filled;	/* how many of @pages there are */
	struct page **pages;
	struct work_struct work;
};

struct granule_buffer {
	struct granule_object obj;
	struct granule_ctx *ctx;
	struct iova_node place;	/* in ctx->buffers; its lock */
	u64 align;		/* of the offset and of addresses */
	struct granule_memory *memory;
};

static struct workqueue_struct *granule_buffers_wq;

/* --- memory --- */

static void granule_memory_free(struct granule_memory *memory)
{
	unsigned long i;

	for (i = 0; i < memory->filled; i++) {
		put_page(memory->pages[i]);
		if (!(i % 512))
			cond_resched();
	}
	kvfree(memory->pages);
	granule_stat_add(GRANULE_STAT_BUFFER_PAGES, -memory->npages);
	granule_uncharge(memory->owner, memory->account, memory->npages);
	granule_owner_put(memory->owner);
	kfree(memory);
}

static void granule_memory_put(struct granule_memory *memory)
{
	if (refcount_dec_and_test(&memory->users))
		granule_memory_free(memory);
}

static void granule_memory_work(struct work_struct *work)
{
	granule_memory_free(container_of(work, struct granule_memory, work));
}

/*
 * Contiguous blocks of at least @granule. Nobody is killed for memory, and
 * what is larger than needed is not worth any effort.
 */
static int granule_memory_fill(struct granule_memory *memory, u64 granule,
			       struct iommu_last_error *why)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	unsigned int order = get_order(GRANULE_BUFFER_PIECE);
	unsigned int i, least = get_order(granule);
	struct page *page;

	while (memory->filled < memory->npages) {
		while (order > least &&
		       1UL << order > memory->npages - memory->filled)
			order--;
		if (fatal_signal_pending(current))
			return granule_fail(why, -EINTR, ERRNO);
		page = granule_should_fail() ? NULL :
			alloc_pages(gfp | (order > least ?
						   __GFP_NORETRY :
						   __GFP_RETRY_MAYFAIL), order);
		if (!page && order > least) {
			order--;
			continue;
		}
		if (!page)
			return granule_fail(why, -ENOMEM, NO_MEMORY,
					    .out_need = (u64)memory->npages
							<< PAGE_SHIFT,
					    .out_usage = (u64)memory->filled
							 << PAGE_SHIFT,
					    .out_limit = granule);
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			memory->pages[memory->filled++] = page + i;
		cond_resched();
	}
	return 0;
}

static struct granule_memory *granule_memory_new(struct granule_ctx *ctx,
						 unsigned long npages,
						 u64 granule,
						 struct iommu_last_error *why)
{
	struct granule_memory *memory;
	int rc;

	memory = granule_should_fail() ? NULL :
		kzalloc(sizeof(*memory), GFP_KERNEL_ACCOUNT);
	if (!memory)
		return ERR_PTR(granule_fail(why, -ENOMEM, ERRNO));
	refcount_set(&memory->users, 1);
	INIT_WORK(&memory->work, granule_memory_work);
	memory->npages = npages;
	memory->account = granule_account_mode(ctx);
	memory->owner = granule_owner_get(ctx);
	if (!memory->owner) {
		rc = granule_fail(why, -ENOMEM, ERRNO);
		goto err_free;
	}
	rc = granule_charge(memory->owner, memory->account, npages, 0, why);
	if (rc)
		goto err_owner;
	granule_stat_add(GRANULE_STAT_BUFFER_PAGES, npages);
	memory->pages = granule_should_fail() ? NULL :
		kvmalloc_array(npages, sizeof(*memory->pages),
			       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	rc = memory->pages ? granule_memory_fill(memory, granule, why) :
			     granule_fail(why, -ENOMEM, ERRNO);
	if (rc) {
		granule_memory_put(memory);
		return ERR_PTR(rc);
	}
	return memory;

err_owner:
	granule_owner_put(memory->owner);
err_free:
	kfree(memory);
	return ERR_PTR(rc);
}

/* --- buffers --- */

/* Give the buffer an offset. The lowest is not 0, which means "none" to many. */
static int granule_buffer_place(struct granule_buffer *buffer)
{
	struct granule_memory *memory = buffer->memory;
	struct granule_ctx *ctx = buffer->ctx;
	struct iova_request req = {
		.length = (u64)memory->npages << PAGE_SHIFT,
		.align = buffer->align,
		.bounds = { .start = GRANULE_BUFFER_PIECE, .last = S64_MAX },
	};
	int rc;

	spin_lock(&ctx->buffers_lock);
	rc = iova_tree_find_hole(&ctx->buffers, &req, &buffer->place.start);
	if (!rc) {
		buffer->place.last = buffer->place.start + req.length - 1;
		memory->first = buffer->place.start >> PAGE_SHIFT;
		WARN_ON(iova_tree_insert(&ctx->buffers, &buffer->place));
	}
	spin_unlock(&ctx->buffers_lock);
	return rc;
}

/* Nobody else sees the object any more. */
void granule_buffer_destroy(struct granule_object *obj)
{
	struct granule_buffer *buffer =
		container_of(obj, struct granule_buffer, obj);
	struct granule_ctx *ctx = buffer->ctx;

	spin_lock(&ctx->buffers_lock);
	iova_tree_erase(&ctx->buffers, &buffer->place);
	spin_unlock(&ctx->buffers_lock);
	granule_memory_put(buffer->memory);
}

/* What the buffer has to fit: the IOAS, and the caller's wish. */
static int granule_buffer_granule(struct granule_call *call, u64 *granule)
{
	struct iommu_buffer_alloc *arg = call->arg;
	struct granule_ioas *ioas;

	*granule = arg->granule ?: PAGE_SIZE;
	if (arg->ioas_id) {
		ioas = granule_ioas_get(call->ctx, arg->ioas_id, &call->why);
		if (IS_ERR(ioas))
			return PTR_ERR(ioas);
		if (granule_valid(*granule))
			*granule = max(*granule, granule_ioas_granule(ioas));
		granule_ioas_put(ioas);
	}
	if (granule_valid(*granule) && *granule >= PAGE_SIZE &&
	    *granule <= GRANULE_BUFFER_PIECE)
		return 0;
	return granule_fail(&call->why, -EINVAL, BAD_GRANULE,
			    .out_usage = *granule, .out_need = PAGE_SIZE,
			    .out_limit = GRANULE_BUFFER_PIECE);
}

/* Bytes in whole granules, and not more than the machine could ever have. */
static int granule_buffer_length(u64 wanted, u64 granule, u64 *length,
				 struct iommu_last_error *why)
{
	if (!wanted)
		return granule_fail(why, -EINVAL, ZERO_LENGTH);
	if (granule_up(wanted, granule, length))
		return granule_fail(why, -EOVERFLOW, OVERFLOW,
				    .out_need = wanted);
	if (*length >> PAGE_SHIFT > totalram_pages())
		return granule_fail(why, -ENOMEM, NO_MEMORY,
				    .out_need = *length, .out_limit = granule);
	return 0;
}

int granule_buffer_alloc(struct granule_call *call)
{
	struct iommu_buffer_alloc *arg = call->arg;
	struct granule_buffer *buffer;
	u64 granule, length;
	int rc;

	if (arg->flags)
		return granule_fail(&call->why, -EOPNOTSUPP, ARG_FLAGS);
	rc = granule_buffer_granule(call, &granule);
	if (!rc)
		rc = granule_buffer_length(arg->length, granule, &length,
					   &call->why);
	if (rc)
		return rc;
	buffer = granule_object_alloc(call->ctx, sizeof(*buffer),
				      GRANULE_OBJECT_BUFFER, &call->why);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	buffer->ctx = call->ctx;
	buffer->align = max_t(u64, granule,
			      min_t(u64, rounddown_pow_of_two(length),
				    GRANULE_BUFFER_PIECE));
	buffer->memory = granule_memory_new(call->ctx, length >> PAGE_SHIFT,
					    granule, &call->why);
	if (IS_ERR(buffer->memory)) {
		rc = PTR_ERR(buffer->memory);
		goto err_abort;
	}
	rc = granule_buffer_place(buffer);
	if (rc) {
		granule_fail(&call->why, rc, ERRNO);
		granule_memory_put(buffer->memory);
		goto err_abort;
	}
	arg->out_buffer_id = buffer->obj.id;
	arg->out_length = length;
	arg->out_granule = granule;
	arg->out_mmap_offset = buffer->place.start;
	rc = granule_call_respond(call, sizeof(*arg));
	if (rc) {
		granule_buffer_destroy(&buffer->obj);
		goto err_abort;
	}
	granule_object_publish(call->ctx, &buffer->obj);
	return 0;

err_abort:
	granule_object_abort(call->ctx, &buffer->obj);
	return rc;
}

/* --- mapping into processes --- */

/* The buffer that all of these pages are in; the caller holds buffers_lock. */
static struct granule_buffer *granule_buffer_at(struct granule_ctx *ctx,
						unsigned long pgoff,
						unsigned long npages)
{
	struct iova_range range;
	struct iova_node *node;

	if (iova_range_init(&range, (u64)pgoff << PAGE_SHIFT,
			    (u64)npages << PAGE_SHIFT))
		return NULL;
	node = iova_tree_first(&ctx->buffers, range.start, range.last);
	if (!node || node->start > range.start || node->last < range.last)
		return NULL;
	return container_of(node, struct granule_buffer, place);
}

static void granule_buffer_open(struct vm_area_struct *vma)
{
	struct granule_memory *memory = vma->vm_private_data;

	refcount_inc(&memory->users);
}

/* mmap_lock is held, which uncharging takes, of this or another process. */
static void granule_buffer_close(struct vm_area_struct *vma)
{
	struct granule_memory *memory = vma->vm_private_data;

	if (refcount_dec_and_test(&memory->users))
		queue_work(granule_buffers_wq, &memory->work);
}

/* For pages that the process has thrown out of its page tables. */
static vm_fault_t granule_buffer_fault(struct vm_fault *vmf)
{
	struct granule_memory *memory = vmf->vma->vm_private_data;
	unsigned long i = vmf->pgoff - memory->first;

	if (i >= memory->npages)
		return VM_FAULT_SIGBUS;
	get_page(memory->pages[i]);
	vmf->page = memory->pages[i];
	return 0;
}

static const struct vm_operations_struct granule_buffer_vm_ops = {
	.open = granule_buffer_open,
	.close = granule_buffer_close,
	.fault = granule_buffer_fault,
};

/* All of it at once: pinning would else fault in each page by itself. */
static int granule_buffer_insert(struct vm_area_struct *vma,
				 struct granule_memory *memory)
{
	struct page **pages = memory->pages + (vma->vm_pgoff - memory->first);
	unsigned long addr = vma->vm_start, n, left;
	int rc;

	while (addr < vma->vm_end) {
		n = min(vma_pages(vma) - (addr - vma->vm_start) / PAGE_SIZE,
			GRANULE_INSERT_AT_ONCE);
		left = n;
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = granule_should_fail() ? -ENOMEM :
					     vm_insert_pages(vma, addr, pages,
							     &left);
		if (rc)
			return rc;
		addr += n * PAGE_SIZE;
		pages += n;
		cond_resched();
	}
	return 0;
}

int granule_buffer_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct granule_ctx *ctx = file->private_data;
	struct granule_memory *memory = NULL;
	struct granule_buffer *buffer;
	int rc;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC)
		return -EINVAL;
	spin_lock(&ctx->buffers_lock);
	buffer = granule_buffer_at(ctx, vma->vm_pgoff, vma_pages(vma));
	if (buffer) {
		memory = buffer->memory;
		refcount_inc(&memory->users);
	}
	spin_unlock(&ctx->buffers_lock);
	if (!memory)
		return -EINVAL;
	vm_flags_clear(vma, VM_MAYEXEC);
	vm_flags_set(vma, VM_DONTEXPAND);
	rc = granule_buffer_insert(vma, memory);
	if (rc) {
		/* The caller takes out what is in; mmap_lock is held. */
		vma->vm_private_data = memory;
		granule_buffer_close(vma);
		vma->vm_private_data = NULL;
		return rc;
	}
	vma->vm_private_data = memory;
	vma->vm_ops = &granule_buffer_vm_ops;
	return 0;
}

/*
 * An address for mmap(), congruent to the offset as far as that is aligned: so
 * memory that is contiguous in the buffer is aligned in the process.
 */
unsigned long granule_buffer_address(struct file *file, unsigned long addr,
				     unsigned long len, unsigned long pgoff,
				     unsigned long flags)
{
	struct granule_ctx *ctx = file->private_data;
	unsigned long align = PAGE_SIZE, offset, room, found;
	struct granule_buffer *buffer;

	if (flags & MAP_FIXED)
		return addr;
	spin_lock(&ctx->buffers_lock);
	buffer = granule_buffer_at(ctx, pgoff, len >> PAGE_SHIFT);
	if (buffer)
		align = buffer->align;
	spin_unlock(&ctx->buffers_lock);
	offset = granule_offset(pgoff << PAGE_SHIFT, align);
	if (addr) {
		addr = granule_down(addr, align) + offset;
		found = mm_get_unmapped_area(current->mm, NULL, addr, len, 0,
					     flags);
		if (found == addr)
			return found;
	}
	if (check_add_overflow(len, align - PAGE_SIZE, &room))
		return -ENOMEM;
	found = mm_get_unmapped_area(current->mm, NULL, addr, room, 0, flags);
	if (IS_ERR_VALUE(found))
		return found;
	return found + granule_offset(offset - found, align);
}

int __init granule_buffers_init(void)
{
	granule_buffers_wq = alloc_workqueue("granule-buffers", WQ_UNBOUND, 0);
	return granule_buffers_wq ? 0 : -ENOMEM;
}

/* Memory may still be on its way out when the last file is closed. */
void granule_buffers_exit(void)
{
	destroy_workqueue(granule_buffers_wq);
}
