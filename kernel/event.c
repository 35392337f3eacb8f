// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events for who listens to the netlink family, in the order in which they
 * happen to an object. Whoever misses one gets ENOBUFS from its socket.
 */
#include <linux/iommu.h>
#include <linux/pid.h>
#include <linux/sched.h>

#include "granule-dma.h"
#include "netlink.h"

/* Room for the attributes of any event, with the longest name of a device. */
#define GRANULE_EVENT_SIZE 512

/* Suppressed ones are counted and told, not printed. */
void granule_event_limit_init(struct granule_event_limit *limit)
{
	ratelimit_state_init(&limit->rate, HZ, 20);
	ratelimit_set_flags(&limit->rate, RATELIMIT_MSG_ON_RELEASE);
}

static bool granule_event_wanted(unsigned int group)
{
	return genl_has_listeners(&granule_family, &init_net, group);
}

/* A message to @group, or NULL: nobody listens, or there is no memory. */
static struct sk_buff *granule_event_begin(struct granule_ctx *ctx,
					   unsigned int group,
					   enum granule_genl_event event,
					   void **head)
{
	struct sk_buff *skb;

	if (!granule_event_wanted(group))
		return NULL;
	/* Faults are reported in any context. */
	skb = genlmsg_new(GRANULE_EVENT_SIZE, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb) {
		genl_set_err(&granule_family, &init_net, 0, group, -ENOBUFS);
		return NULL;
	}
	*head = genlmsg_put(skb, 0, 0, &granule_family, 0, GRANULE_CMD_EVENT);
	if (!*head || nla_put_u32(skb, GRANULE_ATTR_EVENT, event) ||
	    granule_put_u64(skb, GRANULE_ATTR_CONTEXT, ctx->id)) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

/* @failed: the message did not fit. It is not sent then. */
static void granule_event_end(struct sk_buff *skb, void *head,
			      unsigned int group, int failed)
{
	if (WARN_ON_ONCE(failed)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, head);
	genlmsg_multicast(&granule_family, skb, 0, group,
			  GFP_ATOMIC | __GFP_NOWARN);
}

void granule_event_context(struct granule_ctx *ctx,
			   enum granule_genl_event event)
{
	struct sk_buff *skb;
	void *head;
	int rc = 0;

	skb = granule_event_begin(ctx, GRANULE_GROUP_EVENTS, event, &head);
	if (!skb)
		return;
	if (event == GRANULE_EVENT_CONTEXT_OPENED)
		rc = granule_put_creator(skb, ctx);
	granule_event_end(skb, head, GRANULE_GROUP_EVENTS, rc);
}

void granule_event_ioas(struct granule_ioas *ioas,
			enum granule_genl_event event)
{
	struct sk_buff *skb;
	void *head;

	skb = granule_event_begin(ioas->ctx, GRANULE_GROUP_EVENTS, event,
				  &head);
	if (skb)
		granule_event_end(skb, head, GRANULE_GROUP_EVENTS,
				  nla_put_u32(skb, GRANULE_ATTR_IOAS,
					      ioas->obj.id));
}

void granule_event_device(struct granule_device *gdev,
			  enum granule_genl_event event)
{
	struct sk_buff *skb;
	void *head;

	skb = granule_event_begin(gdev->ctx, GRANULE_GROUP_EVENTS, event,
				  &head);
	if (skb)
		granule_event_end(skb, head, GRANULE_GROUP_EVENTS,
				  granule_put_device(skb, gdev));
}

/* Too many of them from this context lately? Counts those that are. */
static bool granule_event_limited(struct granule_event_limit *limit)
{
	if (__ratelimit(&limit->rate))
		return false;
	atomic_inc(&limit->suppressed);
	return true;
}

static int granule_put_suppressed(struct sk_buff *skb,
				  struct granule_event_limit *limit)
{
	u32 n = atomic_xchg(&limit->suppressed, 0);

	return n ? nla_put_u32(skb, GRANULE_ATTR_SUPPRESSED, n) : 0;
}

static int granule_put_caller(struct sk_buff *skb)
{
	char comm[TASK_COMM_LEN];

	get_task_comm(comm, current->group_leader);
	return nla_put_u32(skb, GRANULE_ATTR_USER_PID,
			   task_tgid_nr(current)) ?:
	       nla_put_string(skb, GRANULE_ATTR_USER_TASK, comm);
}

/*
 * granule_event_refused - the caller did not get what it asked for
 * @mapping: that was a mapping; otherwise it is told when it is for a limit
 * @ioas: where it was to be; 0: not known
 */
void granule_event_refused(struct granule_ctx *ctx, bool mapping, u32 ioas,
			   const struct iommu_last_error *why)
{
	bool limit = why->out_reason == IOMMU_REASON_MEMLOCK ||
		     why->out_reason == IOMMU_REASON_QUOTA;
	struct sk_buff *skb;
	void *head;
	int rc;

	if (mapping)
		atomic64_inc(&ctx->refused);
	if ((!mapping && !limit) ||
	    !granule_event_wanted(GRANULE_GROUP_EVENTS) ||
	    granule_event_limited(&ctx->refused_limit))
		return;
	skb = granule_event_begin(ctx, GRANULE_GROUP_EVENTS,
				  limit ? GRANULE_EVENT_LIMIT_REACHED :
					  GRANULE_EVENT_MAP_REFUSED, &head);
	if (!skb)
		return;
	rc = (ioas ? nla_put_u32(skb, GRANULE_ATTR_IOAS, ioas) : 0) ?:
	     granule_put_caller(skb) ?:
	     nla_put_u32(skb, GRANULE_ATTR_ERRNO, why->out_errno) ?:
	     nla_put_u32(skb, GRANULE_ATTR_REASON, why->out_reason) ?:
	     granule_put_u64(skb, GRANULE_ATTR_ADDR, why->out_addr) ?:
	     granule_put_suppressed(skb, &ctx->refused_limit);
	if (!rc && limit)
		rc = granule_put_u64(skb, GRANULE_ATTR_LIMIT,
				     why->out_limit) ?:
		     granule_put_u64(skb, GRANULE_ATTR_USAGE, why->out_usage);
	granule_event_end(skb, head, GRANULE_GROUP_EVENTS, rc);
}

/*
 * For iommu_set_fault_handler(), in any context. The IOMMU's driver uses the
 * domain meanwhile, so its HWPT is there. -ENOSYS lets the driver log it too.
 */
int granule_event_fault(struct iommu_domain *domain, struct device *dev,
			unsigned long iova, int flags, void *token)
{
	struct granule_hwpt *hwpt = token;
	struct granule_ctx *ctx = hwpt->ctx;
	struct sk_buff *skb;
	void *head;
	int rc;

	atomic64_inc(&ctx->faults);
	atomic64_inc(&hwpt->ioas->faults);
	if (!granule_event_wanted(GRANULE_GROUP_FAULTS) ||
	    granule_event_limited(&ctx->fault_limit))
		return -ENOSYS;
	skb = granule_event_begin(ctx, GRANULE_GROUP_FAULTS,
				  GRANULE_EVENT_FAULT, &head);
	if (!skb)
		return -ENOSYS;
	rc = nla_put_string(skb, GRANULE_ATTR_DEVICE, dev_name(dev)) ?:
	     nla_put_u32(skb, GRANULE_ATTR_IOAS, hwpt->ioas->obj.id) ?:
	     granule_put_u64(skb, GRANULE_ATTR_ADDR, iova) ?:
	     (flags & GRANULE_FAULT_ANY ? 0 :
	      nla_put_u32(skb, GRANULE_ATTR_ACCESS,
			  flags & IOMMU_FAULT_WRITE ?
			  GRANULE_ACCESS_WRITE : 0)) ?:
	     granule_put_suppressed(skb, &ctx->fault_limit);
	granule_event_end(skb, head, GRANULE_GROUP_FAULTS, rc);
	return -ENOSYS;
}
