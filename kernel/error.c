// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why an ioctl failed, for the thread that asks afterwards.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "private.h"

#define GRANULE_NR_ERRORS 32

/*
 * Threads are told apart by number and start time, so that a later thread
 * with the same number is not told about a failure that is not its own.
 */
struct granule_error {
	pid_t tid;
	u64 start_time;
	u64 age;
	struct iommu_last_error why;
};

struct granule_errors {
	u64 clock;
	struct granule_error slot[GRANULE_NR_ERRORS];
};

static bool granule_error_is_mine(const struct granule_error *e)
{
	return e->age && e->tid == current->pid &&
	       e->start_time == current->start_time;
}

/* The slot of this thread, else the one that has been there longest. */
static struct granule_error *granule_error_slot(struct granule_errors *errors)
{
	struct granule_error *oldest = &errors->slot[0];
	unsigned int i;

	for (i = 0; i < GRANULE_NR_ERRORS; i++) {
		if (granule_error_is_mine(&errors->slot[i]))
			return &errors->slot[i];
		if (errors->slot[i].age < oldest->age)
			oldest = &errors->slot[i];
	}
	return oldest;
}

/*
 * granule_error_record - remember a failure of the calling thread
 * @err: the negative errno that the caller gets
 * @why: as filled in by granule_fail(), or with reason NONE
 */
void granule_error_record(struct granule_ctx *ctx, unsigned int cmd, int err,
			  struct iommu_last_error *why)
{
	struct granule_errors *fresh = NULL;
	struct granule_error *e;

	if (!why->out_reason)
		granule_fail(why, err, ERRNO);
	why->out_cmd = cmd;
	why->out_errno = -err;
	if (!READ_ONCE(ctx->errors)) {
		fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
		if (!fresh)
			return;
	}
	spin_lock(&ctx->errors_lock);
	if (!ctx->errors) {
		WRITE_ONCE(ctx->errors, fresh);
		fresh = NULL;
	}
	e = granule_error_slot(ctx->errors);
	e->tid = current->pid;
	e->start_time = current->start_time;
	e->age = ++ctx->errors->clock;
	e->why = *why;
	spin_unlock(&ctx->errors_lock);
	kfree(fresh);
}

int granule_error_get(struct granule_call *call)
{
	struct iommu_last_error *arg = call->arg;
	struct granule_ctx *ctx = call->ctx;
	struct iommu_last_error found = {};
	unsigned int i;

	if (arg->flags || arg->__reserved)
		return -EOPNOTSUPP;
	spin_lock(&ctx->errors_lock);
	for (i = 0; ctx->errors && i < GRANULE_NR_ERRORS; i++)
		if (granule_error_is_mine(&ctx->errors->slot[i]))
			found = ctx->errors->slot[i].why;
	spin_unlock(&ctx->errors_lock);
	found.size = arg->size;
	*arg = found;
	return granule_call_respond(call, sizeof(*arg));
}

void granule_errors_free(struct granule_ctx *ctx)
{
	kfree(ctx->errors);
}
