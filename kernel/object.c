// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects of a context: numbered, typed, counted.
 *
 *   reserved --publish--> live --remove--> gone --(no users)--> freed
 *      |                                     ^
 *      +--abort--> freed                     |  DESTROY, close: only when the
 *                                               table is the last user;
 *                                               unbinding a device: at once,
 *                                               then it waits for the others
 *
 * reserved: the ID is taken, but lookups do not find it. Whoever creates an
 *	object does everything that can fail, answers the caller, and only
 *	then publishes.
 * live: lookups find it and count a user, under the xarray's lock. So an
 *	object whose only user is the table can be taken out under that lock
 *	and belongs to nobody else.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "private.h"

/* None for devices: only their driver unbinds them. */
static void (*const granule_destructors[GRANULE_NR_OBJECT_TYPES])
	(struct granule_object *obj) = {
	[GRANULE_OBJECT_IOAS] = granule_ioas_destroy,
	[GRANULE_OBJECT_HWPT] = granule_hwpt_destroy,
	[GRANULE_OBJECT_BUFFER] = granule_buffer_destroy,
};

void granule_object_free(struct granule_object *obj)
{
	kfree(obj);
	granule_stat_add(GRANULE_STAT_OBJECTS, -1);
}

/*
 * granule_object_alloc - an object with an ID that nobody can look up yet
 * @size: of the structure that starts with struct granule_object
 * Return: the object, zeroed but for its base; ERR_PTR(-ENOMEM).
 */
void *granule_object_alloc(struct granule_ctx *ctx, size_t size,
			   enum granule_object_type type,
			   struct iommu_last_error *why)
{
	struct granule_object *obj;
	int rc = -ENOMEM;

	obj = granule_should_fail() ? NULL : kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(granule_fail(why, rc, ERRNO));
	obj->type = type;
	refcount_set(&obj->users, 1);
	if (!granule_should_fail())
		rc = xa_alloc(&ctx->objects, &obj->id, XA_ZERO_ENTRY,
			      xa_limit_31b, GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(obj);
		return ERR_PTR(granule_fail(why, rc, ERRNO));
	}
	granule_stat_add(GRANULE_STAT_OBJECTS, 1);
	return obj;
}

static void granule_object_event(struct granule_object *obj,
				 enum granule_genl_event event)
{
	if (obj->type == GRANULE_OBJECT_IOAS)
		granule_event_ioas(container_of(obj, struct granule_ioas, obj),
				   event);
}

/* Let lookups find it. Cannot fail: the entry is there already. */
void granule_object_publish(struct granule_ctx *ctx,
			    struct granule_object *obj)
{
	/* Once it can be found it may be gone again. */
	granule_object_event(obj, GRANULE_EVENT_IOAS_CREATED);
	atomic_inc(&ctx->nr[obj->type]);
	WARN_ON(xa_is_err(xa_store(&ctx->objects, obj->id, obj, GFP_KERNEL)));
}

/* Undo granule_object_alloc() before publishing. */
void granule_object_abort(struct granule_ctx *ctx, struct granule_object *obj)
{
	xa_erase(&ctx->objects, obj->id);
	granule_object_free(obj);
}

/*
 * granule_object_get - find an object and count a user
 * Return: the object, or ERR_PTR(-ENOENT).
 */
struct granule_object *granule_object_get(struct granule_ctx *ctx, u32 id,
					  enum granule_object_type type,
					  struct iommu_last_error *why)
{
	struct granule_object *obj;
	bool found;

	xa_lock(&ctx->objects);
	obj = xa_load(&ctx->objects, id);
	found = obj && (type == GRANULE_OBJECT_ANY || obj->type == type);
	if (found)
		refcount_inc(&obj->users);
	xa_unlock(&ctx->objects);
	if (found)
		return obj;
	if (obj)
		return ERR_PTR(granule_fail(why, -ENOENT, WRONG_TYPE,
					    .out_object_id = id));
	return ERR_PTR(granule_fail(why, -ENOENT, NO_OBJECT,
				    .out_object_id = id));
}

/*
 * Count a user of an object that a list of ours still shows. False when it is
 * not published yet, or on its way out.
 */
bool granule_object_tryget(struct granule_ctx *ctx, struct granule_object *obj)
{
	bool live;

	xa_lock(&ctx->objects);
	live = xa_load(&ctx->objects, obj->id) == obj;
	if (live)
		refcount_inc(&obj->users);
	xa_unlock(&ctx->objects);
	return live;
}

static void granule_object_gone(struct granule_ctx *ctx,
				struct granule_object *obj)
{
	atomic_dec(&ctx->nr[obj->type]);
	granule_object_event(obj, GRANULE_EVENT_IOAS_DESTROYED);
	granule_destructors[obj->type](obj);
	granule_object_free(obj);
}

/* The caller holds no lock that a destructor takes if obj->reap is set. */
void granule_object_put(struct granule_ctx *ctx, struct granule_object *obj)
{
	bool gone;

	if (!obj->reap) {
		/* Pairs with granule_object_remove_wait(); ctx outlives us. */
		if (refcount_dec_and_test(&obj->users))
			wake_up_all(&ctx->idle);
		return;
	}
	xa_lock(&ctx->objects);
	refcount_dec(&obj->users);
	gone = refcount_dec_if_one(&obj->users);
	if (gone)
		__xa_erase(&ctx->objects, obj->id);
	xa_unlock(&ctx->objects);
	if (gone)
		granule_object_gone(ctx, obj);
}

/*
 * Take a live object out of the table and wait until nobody uses it. Only for
 * devices, whose other users are ioctls in progress. The caller frees it.
 */
void granule_object_remove_wait(struct granule_ctx *ctx,
				struct granule_object *obj)
{
	xa_erase(&ctx->objects, obj->id);
	atomic_dec(&ctx->nr[obj->type]);
	if (!refcount_dec_and_test(&obj->users))
		wait_event(ctx->idle, !refcount_read(&obj->users));
}

int granule_object_destroy(struct granule_call *call)
{
	struct iommu_destroy *arg = call->arg;
	struct granule_ctx *ctx = call->ctx;
	struct granule_object *obj;

	xa_lock(&ctx->objects);
	obj = xa_load(&ctx->objects, arg->id);
	if (!obj) {
		xa_unlock(&ctx->objects);
		return granule_fail(&call->why, -ENOENT, NO_OBJECT,
				    .out_object_id = arg->id);
	}
	if (!granule_destructors[obj->type] ||
	    !refcount_dec_if_one(&obj->users)) {
		u64 users = refcount_read(&obj->users) - 1;

		xa_unlock(&ctx->objects);
		return granule_fail(&call->why, -EBUSY, OBJECT_BUSY,
				    .out_object_id = arg->id,
				    .out_usage = users);
	}
	__xa_erase(&ctx->objects, arg->id);
	xa_unlock(&ctx->objects);
	granule_object_gone(ctx, obj);
	return 0;
}

/*
 * The file is being closed for good: no ioctl runs, no device is bound. HWPTs
 * use IOASes, so each round frees what nothing uses any more.
 */
void granule_objects_destroy_all(struct granule_ctx *ctx)
{
	struct granule_object *obj;
	unsigned long index;
	bool progress;

	do {
		progress = false;
		xa_for_each(&ctx->objects, index, obj) {
			if (!refcount_dec_if_one(&obj->users))
				continue;
			xa_erase(&ctx->objects, index);
			granule_object_gone(ctx, obj);
			progress = true;
			cond_resched();
		}
	} while (progress);
	WARN_ON(!xa_empty(&ctx->objects));
}
