// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family, and its dumps of contexts, IOASes and devices.
 * Its events are in event.c.
 *
 * Whoever dumps sees a moment of each object, not one of all. A dump goes on
 * where its latest message ended: contexts by their number, which is never
 * used again, objects by their ID.
 */
#include <linux/cred.h>
#include <linux/iommu.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "netlink.h"

static DEFINE_MUTEX(granule_contexts_lock);
static LIST_HEAD(granule_contexts);	/* granule_contexts_lock; ascending */
static u64 granule_last_context;	/* granule_contexts_lock */

/* --- contexts --- */

void granule_context_add(struct granule_ctx *ctx)
{
	ctx->pid = get_task_pid(current, PIDTYPE_TGID);
	get_task_comm(ctx->task, current->group_leader);
	granule_event_limit_init(&ctx->refused_limit);
	granule_event_limit_init(&ctx->fault_limit);
	mutex_lock(&granule_contexts_lock);
	ctx->id = ++granule_last_context;
	list_add_tail(&ctx->item, &granule_contexts);
	mutex_unlock(&granule_contexts_lock);
}

void granule_context_remove(struct granule_ctx *ctx)
{
	mutex_lock(&granule_contexts_lock);
	list_del(&ctx->item);
	mutex_unlock(&granule_contexts_lock);
	put_pid(ctx->pid);
}

int granule_put_creator(struct sk_buff *skb, struct granule_ctx *ctx)
{
	return nla_put_u32(skb, GRANULE_ATTR_PID, pid_nr(ctx->pid)) ?:
	       nla_put_string(skb, GRANULE_ATTR_TASK, ctx->task) ?:
	       nla_put_u32(skb, GRANULE_ATTR_UID,
			   from_kuid_munged(&init_user_ns,
					    ctx->file->f_cred->uid));
}

/* --- dumps --- */

/* Where a dump is, in netlink_callback.args. */
struct granule_dump {
	u64 next_context;
	u64 only;		/* 0: all */
	unsigned long next_object;
	kuid_t uid;
	bool privileged;
};

/*
 * Who mapped last: where a file was handed to somebody, that is who has it.
 * Under errors_lock the owner stays; the limits are those of this moment.
 */
static int granule_put_user(struct sk_buff *skb, struct granule_ctx *ctx,
			    const struct granule_dump *dump)
{
	enum granule_account account = GRANULE_ACCOUNT_NONE;
	unsigned long used = 0, limit = RLIM_INFINITY;
	struct granule_owner *owner;
	char comm[TASK_COMM_LEN];
	pid_t pid = 0;

	spin_lock(&ctx->errors_lock);
	owner = ctx->owner;
	/* It may be another user than the one whose file it was. */
	if (owner && pid_alive(owner->task) &&
	    (dump->privileged || uid_eq(owner->user->uid, dump->uid))) {
		pid = task_tgid_nr(owner->task);
		get_task_comm(comm, owner->task);
		limit = task_rlimit(owner->task, RLIMIT_MEMLOCK);
		account = owner->account;
		if (account == GRANULE_ACCOUNT_USER)
			used = atomic_long_read(&owner->user->locked_vm);
		else if (account == GRANULE_ACCOUNT_MM)
			used = READ_ONCE(owner->mm->locked_vm);
	}
	spin_unlock(&ctx->errors_lock);
	if (!pid)
		return 0;
	return nla_put_u32(skb, GRANULE_ATTR_USER_PID, pid) ?:
	       nla_put_string(skb, GRANULE_ATTR_USER_TASK, comm) ?:
	       (account == GRANULE_ACCOUNT_NONE ? 0 :
		granule_put_u64(skb, GRANULE_ATTR_LOCKED,
				(u64)used << PAGE_SHIFT) ?:
		granule_put_u64(skb, GRANULE_ATTR_LOCK_LIMIT,
				limit == RLIM_INFINITY ? U64_MAX : limit));
}

static struct granule_dump *granule_dump_of(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct granule_dump) > sizeof(cb->args));
	return (struct granule_dump *)cb->args;
}

static int granule_dump_start(struct netlink_callback *cb)
{
	struct granule_dump *dump = granule_dump_of(cb);
	const struct nlattr *only;

	memset(dump, 0, sizeof(*dump));
	dump->privileged = netlink_capable(cb->skb, CAP_NET_ADMIN);
	dump->uid = current_uid();
	only = nlmsg_find_attr(cb->nlh, GENL_HDRLEN, GRANULE_ATTR_CONTEXT);
	if (only) {
		dump->only = nla_get_u64(only);
		dump->next_context = dump->only;
		if (!dump->only)
			return -EINVAL;
	}
	return 0;
}

static bool granule_dump_shows(const struct granule_dump *dump,
			       const struct granule_ctx *ctx)
{
	if (ctx->id < dump->next_context ||
	    (dump->only && ctx->id != dump->only))
		return false;
	return dump->privileged || uid_eq(ctx->file->f_cred->uid, dump->uid);
}

static void *granule_dump_begin(struct sk_buff *skb,
				struct netlink_callback *cb, u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &granule_family, NLM_F_MULTI, cmd);
}

static int granule_put_context(struct sk_buff *skb, struct granule_ctx *ctx,
			       const struct granule_dump *dump)
{
	return granule_put_u64(skb, GRANULE_ATTR_CONTEXT, ctx->id) ?:
	       granule_put_creator(skb, ctx) ?:
	       granule_put_user(skb, ctx, dump) ?:
	       nla_put_u32(skb, GRANULE_ATTR_IOASES,
			   atomic_read(&ctx->nr[GRANULE_OBJECT_IOAS])) ?:
	       nla_put_u32(skb, GRANULE_ATTR_DEVICES,
			   atomic_read(&ctx->nr[GRANULE_OBJECT_DEVICE])) ?:
	       granule_put_u64(skb, GRANULE_ATTR_REFUSED,
			       atomic64_read(&ctx->refused)) ?:
	       granule_put_u64(skb, GRANULE_ATTR_FAULTS,
			       atomic64_read(&ctx->faults));
}

static int granule_context_dump(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	struct granule_dump *dump = granule_dump_of(cb);
	struct granule_ctx *ctx;
	void *head;

	mutex_lock(&granule_contexts_lock);
	list_for_each_entry(ctx, &granule_contexts, item) {
		if (!granule_dump_shows(dump, ctx))
			continue;
		head = granule_dump_begin(skb, cb, GRANULE_CMD_CONTEXT_GET);
		if (!head || granule_put_context(skb, ctx, dump)) {
			if (head)
				genlmsg_cancel(skb, head);
			break;
		}
		genlmsg_end(skb, head);
		dump->next_context = ctx->id + 1;
	}
	mutex_unlock(&granule_contexts_lock);
	return skb->len;
}

static int granule_put_ioas(struct sk_buff *skb, struct granule_ctx *ctx,
			    struct granule_object *obj)
{
	struct granule_ioas *ioas = container_of(obj, struct granule_ioas, obj);

	return nla_put_u32(skb, GRANULE_ATTR_IOAS, obj->id) ?:
	       granule_put_u64(skb, GRANULE_ATTR_AREAS,
			       READ_ONCE(ioas->nr_areas)) ?:
	       granule_put_u64(skb, GRANULE_ATTR_MAPPED,
			       READ_ONCE(ioas->mapped_bytes)) ?:
	       granule_put_u64(skb, GRANULE_ATTR_PINNED,
			       READ_ONCE(ioas->nr_hwpts) ?
			       READ_ONCE(ioas->held_pages) * PAGE_SIZE : 0) ?:
	       granule_put_u64(skb, GRANULE_ATTR_GRANULE,
			       READ_ONCE(ioas->granule)) ?:
	       granule_put_u64(skb, GRANULE_ATTR_QUOTA,
			       READ_ONCE(ioas->area_quota)) ?:
	       granule_put_u64(skb, GRANULE_ATTR_FAULTS,
			       atomic64_read(&ioas->faults));
}

int granule_put_device(struct sk_buff *skb, struct granule_device *gdev)
{
	u32 ioas = granule_device_ioas(gdev);

	return nla_put_u32(skb, GRANULE_ATTR_DEVICE_ID, gdev->obj.id) ?:
	       nla_put_string(skb, GRANULE_ATTR_DEVICE, dev_name(gdev->dev)) ?:
	       nla_put_u32(skb, GRANULE_ATTR_GROUP,
			   iommu_group_id(gdev->group->iommu)) ?:
	       (ioas ? nla_put_u32(skb, GRANULE_ATTR_IOAS, ioas) : 0);
}

static int granule_put_device_object(struct sk_buff *skb,
				     struct granule_ctx *ctx,
				     struct granule_object *obj)
{
	return granule_put_device(skb, container_of(obj, struct granule_device,
						    obj));
}

static const struct granule_dump_objects {
	u8 cmd;
	enum granule_object_type type;
	int (*put)(struct sk_buff *skb, struct granule_ctx *ctx,
		   struct granule_object *obj);
} granule_dump_ioases = {
	GRANULE_CMD_IOAS_GET, GRANULE_OBJECT_IOAS, granule_put_ioas,
}, granule_dump_devices = {
	GRANULE_CMD_DEVICE_GET, GRANULE_OBJECT_DEVICE,
	granule_put_device_object,
};

/* Objects looked at in one go. */
#define GRANULE_DUMP_AT_ONCE 1024

/*
 * The objects are written with the table's lock held: a user counted on one
 * of them would make DESTROY fail, and unbinding wait.
 */
static bool granule_dump_context_objects(struct sk_buff *skb,
					 struct netlink_callback *cb,
					 struct granule_ctx *ctx,
					 const struct granule_dump_objects *what)
{
	struct granule_dump *dump = granule_dump_of(cb);
	struct granule_object *obj;
	unsigned int seen = 0;
	unsigned long id;
	bool all = true;
	void *head;

	xa_lock(&ctx->objects);
	xa_for_each_start(&ctx->objects, id, obj, dump->next_object) {
		/* Others wait for the lock, and there may be millions. */
		if (!(++seen % GRANULE_DUMP_AT_ONCE)) {
			xa_unlock(&ctx->objects);
			cond_resched();
			xa_lock(&ctx->objects);
			obj = xa_load(&ctx->objects, id);
		}
		if (!obj || obj->type != what->type)
			continue;
		head = granule_dump_begin(skb, cb, what->cmd);
		if (!head ||
		    granule_put_u64(skb, GRANULE_ATTR_CONTEXT, ctx->id) ||
		    what->put(skb, ctx, obj)) {
			if (head)
				genlmsg_cancel(skb, head);
			all = false;
			break;
		}
		genlmsg_end(skb, head);
		dump->next_object = id + 1;
	}
	xa_unlock(&ctx->objects);
	return all;
}

static int granule_objects_dump(struct sk_buff *skb,
				struct netlink_callback *cb,
				const struct granule_dump_objects *what)
{
	struct granule_dump *dump = granule_dump_of(cb);
	struct granule_ctx *ctx;

	mutex_lock(&granule_contexts_lock);
	list_for_each_entry(ctx, &granule_contexts, item) {
		if (!granule_dump_shows(dump, ctx))
			continue;
		/* Objects counted so far were of a context that has gone. */
		if (ctx->id > dump->next_context)
			dump->next_object = 0;
		dump->next_context = ctx->id;
		if (!granule_dump_context_objects(skb, cb, ctx, what))
			break;
		dump->next_context = ctx->id + 1;
		dump->next_object = 0;
	}
	mutex_unlock(&granule_contexts_lock);
	return skb->len;
}

static int granule_ioas_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return granule_objects_dump(skb, cb, &granule_dump_ioases);
}

static int granule_device_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return granule_objects_dump(skb, cb, &granule_dump_devices);
}

/* --- the family --- */

static const struct nla_policy granule_policy[GRANULE_ATTR_CONTEXT + 1] = {
	[GRANULE_ATTR_CONTEXT] = { .type = NLA_U64 },
};

static const struct genl_ops granule_ops[] = {
	{
		.cmd = GRANULE_CMD_CONTEXT_GET,
		.start = granule_dump_start,
		.dumpit = granule_context_dump,
	}, {
		.cmd = GRANULE_CMD_IOAS_GET,
		.start = granule_dump_start,
		.dumpit = granule_ioas_dump,
	}, {
		.cmd = GRANULE_CMD_DEVICE_GET,
		.start = granule_dump_start,
		.dumpit = granule_device_dump,
	},
};

static const struct genl_multicast_group granule_mcgrps[] = {
	[GRANULE_GROUP_EVENTS] = {
		.name = GRANULE_MCGRP_EVENTS,
		.flags = GENL_MCAST_CAP_NET_ADMIN,
	},
	[GRANULE_GROUP_FAULTS] = {
		.name = GRANULE_MCGRP_FAULTS,
		.flags = GENL_MCAST_CAP_NET_ADMIN,
	},
};

struct genl_family granule_family __ro_after_init = {
	.name = GRANULE_GENL_NAME,
	.version = GRANULE_GENL_VERSION,
	.maxattr = ARRAY_SIZE(granule_policy) - 1,
	.policy = granule_policy,
	.ops = granule_ops,
	.n_ops = ARRAY_SIZE(granule_ops),
	.mcgrps = granule_mcgrps,
	.n_mcgrps = ARRAY_SIZE(granule_mcgrps),
	.module = THIS_MODULE,
};

int __init granule_netlink_init(void)
{
	return genl_register_family(&granule_family);
}

void granule_netlink_exit(void)
{
	genl_unregister_family(&granule_family);
}
