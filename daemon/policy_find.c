// SPDX-License-Identifier: GPL-2.0-only
/* Which definition of a policy is for what. */
#include <string.h>

#include "libiommu.h"
#include "peer.h"
#include "policy.h"

static bool matches(const struct policy_device *rule,
		    const struct iommu_sys_device *dev)
{
	return (!rule->address || !strcasecmp(rule->address, dev->name)) &&
	       (rule->vendor < 0 || rule->vendor == dev->vendor) &&
	       (rule->device < 0 || rule->device == dev->device) &&
	       (rule->class < 0 || rule->class == (int64_t)dev->class);
}

const struct policy_device *
policy_for_device(const struct policy *policy,
		  const struct iommu_sys_device *dev)
{
	const struct policy_device *best = NULL, *rule;
	size_t i;

	for (i = 0; i < policy->nr_devices; i++) {
		rule = &policy->devices[i];
		if (!matches(rule, dev))
			continue;
		if (!best || (rule->address && !best->address) ||
		    (!rule->address == !best->address &&
		     strcmp(rule->name, best->name) < 0))
			best = rule;
	}
	return best;
}

const struct policy_device *policy_find_device(const struct policy *policy,
					       const char *name)
{
	size_t i;

	for (i = 0; i < policy->nr_devices; i++) {
		if (!strcmp(policy->devices[i].name, name))
			return &policy->devices[i];
	}
	return NULL;
}

const struct policy_ioas *policy_find_ioas(const struct policy *policy,
					   const char *name)
{
	size_t i;

	for (i = 0; i < policy->nr_ioases; i++) {
		if (!strcmp(policy->ioases[i].name, name))
			return &policy->ioases[i];
	}
	return NULL;
}

const struct policy_limit *policy_limit_of(const struct policy *policy,
					   uid_t uid)
{
	static const struct policy_limit none = {
		.devices = UINT64_MAX, .memlock = UINT64_MAX,
	};
	const struct policy_limit *others = &none;
	size_t i;

	for (i = 0; i < policy->nr_limits; i++) {
		if (policy->limits[i].uid == uid)
			return &policy->limits[i];
		if (policy->limits[i].uid == (uid_t)-1)
			others = &policy->limits[i];
	}
	return others;
}

bool policy_is_owner(const struct policy_owners *owners,
		     const struct peer *peer)
{
	size_t i;

	for (i = 0; i < owners->nr_users; i++) {
		if (owners->users[i] == peer->uid)
			return true;
	}
	for (i = 0; i < owners->nr_groups; i++) {
		if (peer_in_group(peer, owners->groups[i]))
			return true;
	}
	return false;
}
