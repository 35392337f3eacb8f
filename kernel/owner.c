// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of memory: whose it is, and whose limit on locked memory counts.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "private.h"

static bool granule_owner_is_current(const struct granule_owner *owner)
{
	return owner->mm == current->mm && owner->user == current_user() &&
	       owner->task == current->group_leader;
}

void granule_owner_put(struct granule_owner *owner)
{
	if (!refcount_dec_and_test(&owner->users))
		return;
	mmdrop(owner->mm);
	free_uid(owner->user);
	put_task_struct(owner->task);
	kfree(owner);
}

/*
 * The caller as an owner, or NULL without memory; a file that one process uses
 * has but one.
 */
struct granule_owner *granule_owner_get(struct granule_ctx *ctx)
{
	struct granule_owner *owner, *old;

	spin_lock(&ctx->errors_lock);
	owner = ctx->owner;
	if (owner && granule_owner_is_current(owner)) {
		refcount_inc(&owner->users);
		spin_unlock(&ctx->errors_lock);
		return owner;
	}
	spin_unlock(&ctx->errors_lock);

	owner = granule_should_fail() ? NULL :
		kzalloc(sizeof(*owner), GFP_KERNEL_ACCOUNT);
	if (!owner)
		return NULL;
	refcount_set(&owner->users, 2);	/* the cache's and the caller's */
	owner->mm = current->mm;
	mmgrab(owner->mm);
	owner->account = granule_account_mode(ctx);
	owner->user = get_uid(current_user());
	owner->task = get_task_struct(current->group_leader);

	spin_lock(&ctx->errors_lock);
	old = ctx->owner;
	ctx->owner = owner;
	spin_unlock(&ctx->errors_lock);
	if (old)
		granule_owner_put(old);
	return owner;
}

/* How what the caller asks for now counts. */
enum granule_account granule_account_mode(const struct granule_ctx *ctx)
{
	return capable(CAP_IPC_LOCK) ? GRANULE_ACCOUNT_NONE : ctx->account;
}

/* --- charging --- */

static int granule_charge_mm(struct granule_owner *owner, unsigned long npages,
			     bool add)
{
	int rc;

	/* An address space that is gone has taken its count with it. */
	if (!mmget_not_zero(owner->mm))
		return add ? -EFAULT : 0;
	mmap_write_lock(owner->mm);
	rc = __account_locked_vm(owner->mm, npages, add, owner->task, false);
	mmap_write_unlock(owner->mm);
	mmput(owner->mm);
	return rc;
}

static int granule_charge_user(struct granule_owner *owner,
			       unsigned long npages)
{
	unsigned long limit =
		task_rlimit(owner->task, RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	unsigned long used, sum;

	used = atomic_long_read(&owner->user->locked_vm);
	do {
		if (check_add_overflow(used, npages, &sum) || sum > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&owner->user->locked_vm,
					  (long *)&used, sum));
	return 0;
}

/* Undo granule_charge(). Takes mmap_lock. */
void granule_uncharge(struct granule_owner *owner, enum granule_account mode,
		      unsigned long npages)
{
	if (mode == GRANULE_ACCOUNT_USER)
		atomic_long_sub(npages, &owner->user->locked_vm);
	else if (mode == GRANULE_ACCOUNT_MM)
		granule_charge_mm(owner, npages, false);
	atomic64_sub(npages, &owner->mm->pinned_vm);
}

/*
 * granule_charge - count pages that cannot be swapped out
 * @addr: of the memory in its process, for last-error; 0: in none
 *
 * Return: 0, -ENOMEM over the limit, -EFAULT the process is gone.
 */
int granule_charge(struct granule_owner *owner, enum granule_account mode,
		   unsigned long npages, u64 addr, struct iommu_last_error *why)
{
	u64 used = 0;
	int rc = 0;

	if (granule_should_fail()) {
		rc = -ENOMEM;
	} else if (mode == GRANULE_ACCOUNT_USER) {
		rc = granule_charge_user(owner, npages);
		used = atomic_long_read(&owner->user->locked_vm);
	} else if (mode == GRANULE_ACCOUNT_MM) {
		rc = granule_charge_mm(owner, npages, true);
		used = READ_ONCE(owner->mm->locked_vm);
	}
	if (rc == -ENOMEM)
		return granule_fail(why, rc, MEMLOCK, .out_addr = addr,
				    .out_limit = task_rlimit(owner->task,
							     RLIMIT_MEMLOCK),
				    .out_usage = used << PAGE_SHIFT,
				    .out_need = (u64)npages << PAGE_SHIFT);
	if (rc)
		return granule_fail(why, rc, BAD_MEMORY, .out_addr = addr);
	atomic64_add(npages, &owner->mm->pinned_vm);
	return 0;
}

/*
 * granule_memlock_usage - how far the caller is from its limit
 * @used: bytes counted in the mode of this file
 * @limit: bytes allowed; U64_MAX when not limited
 */
int granule_memlock_usage(struct granule_ctx *ctx, u64 *used, u64 *limit)
{
	unsigned long rlim = rlimit(RLIMIT_MEMLOCK);

	*limit = rlim == RLIM_INFINITY || capable(CAP_IPC_LOCK) ? U64_MAX :
								  rlim;
	if (ctx->account == GRANULE_ACCOUNT_MM)
		*used = (u64)READ_ONCE(current->mm->locked_vm) << PAGE_SHIFT;
	else
		*used = (u64)atomic_long_read(&current_user()->locked_vm)
			<< PAGE_SHIFT;
	return 0;
}
