// SPDX-License-Identifier: GPL-2.0-only
/* Drop capabilities; raise one. */
#include <errno.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "privilege.h"
#include "util.h"

static const cap_value_t kept[] = { CAP_NET_ADMIN, CAP_SYS_RESOURCE };

static bool is_kept(cap_value_t cap)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(kept); i++)
		if (kept[i] == cap)
			return true;
	return false;
}

static int drop_bounding(void)
{
	cap_value_t cap;

	for (cap = 0; cap < cap_max_bits(); cap++) {
		if (!is_kept(cap) && cap_get_bound(cap) > 0 &&
		    cap_drop_bound(cap))
			return -errno;
	}
	return 0;
}

int privilege_drop(void)
{
	cap_t now = cap_get_proc(), less = cap_init();
	cap_flag_value_t there, setpcap = CAP_CLEAR;
	int rc = 0;
	size_t i;

	if (!now || !less) {
		rc = -errno;
		goto out;
	}
	cap_get_flag(now, CAP_SETPCAP, CAP_EFFECTIVE, &setpcap);
	/*
	 * Where that is not allowed, systemd has done it, or there is nothing
	 * that could be gained by it: no program is ever executed.
	 */
	if (setpcap == CAP_SET)
		rc = drop_bounding();
	cap_reset_ambient();
	for (i = 0; !rc && i < ARRAY_LEN(kept); i++) {
		there = CAP_CLEAR;
		cap_get_flag(now, kept[i], CAP_PERMITTED, &there);
		if (there == CAP_SET &&
		    cap_set_flag(less, CAP_PERMITTED, 1, &kept[i], CAP_SET))
			rc = -errno;
	}
	if (!rc && (cap_set_proc(less) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		rc = -errno;
out:
	cap_free(now);
	cap_free(less);
	return rc;
}

int privilege_raise(cap_value_t cap)
{
	cap_t caps = cap_get_proc();
	int rc = 0;

	if (!caps || cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_SET) ||
	    cap_set_proc(caps))
		rc = -errno;
	cap_free(caps);
	return rc;
}

void privilege_lower(void)
{
	cap_t caps = cap_get_proc();

	/* Less than there is can always be had; without memory, the end. */
	if (!caps || cap_clear_flag(caps, CAP_EFFECTIVE) || cap_set_proc(caps))
		abort();
	cap_free(caps);
}

void privilege_lift_memlock(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	if (!privilege_raise(CAP_SYS_RESOURCE))
		(void)setrlimit(RLIMIT_MEMLOCK, &none);
}
