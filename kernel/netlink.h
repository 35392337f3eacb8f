/* SPDX-License-Identifier: GPL-2.0-only */
/* What netlink.c and event.c share: the family, and attributes of both. */
#ifndef GRANULE_KERNEL_NETLINK_H
#define GRANULE_KERNEL_NETLINK_H

#include <net/genetlink.h>

#include "private.h"

enum { GRANULE_GROUP_EVENTS, GRANULE_GROUP_FAULTS };

extern struct genl_family granule_family;

static inline int granule_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, GRANULE_ATTR_PAD);
}

int granule_put_creator(struct sk_buff *skb, struct granule_ctx *ctx);
int granule_put_device(struct sk_buff *skb, struct granule_device *gdev);

#endif
