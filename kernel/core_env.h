/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only kernel things that core/ may use. tests/unit/shim/core_env.h is
 * the other half: the same names in userspace.
 */
#ifndef CORE_ENV_H
#define CORE_ENV_H

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/rbtree_augmented.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/types.h>

#include <asm/barrier.h>

#endif
