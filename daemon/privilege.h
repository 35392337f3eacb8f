/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon may do as root: nothing but what the owner of files may.
 *
 * Two capabilities stay permitted, and are not in effect. CAP_SYS_RESOURCE: a
 * child raises it for the moment in which it sets limits on locked memory, and
 * it and the daemon for that in which they send descriptors of which the kernel
 * says that too many are on their way. CAP_NET_ADMIN: raised for the moment in which
 * the daemon begins to listen to the kernel module, which may be loaded at any
 * time. Whatever else there is, is dropped at start, also from the bounding
 * set.
 */
#ifndef IOMMUD_PRIVILEGE_H
#define IOMMUD_PRIVILEGE_H

#include <sys/capability.h>

/* -errno; then the daemon must not go on. */
int privilege_drop(void);

/* 0, or -EPERM where it was never there. */
int privilege_raise(cap_value_t cap);

/* None in effect any more. */
void privilege_lower(void);

/*
 * In a child that maps the memory of a named IOAS: the policy says how much of
 * it there is, and it is no user's. Where this is not allowed, mapping will say
 * what is missing.
 */
void privilege_lift_memlock(void);

#endif
