/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-only */
/*
 * What core/ may use, in userspace. kernel/core_env.h is the other half.
 *
 * The red-black tree comes from the kernel's own tools/include when that is
 * in the include path. Without it, all of core/ but iova_alloc.c compiles:
 * this is how lib/ uses it.
 */
#ifndef CORE_ENV_H
#define CORE_ENV_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<linux/rbtree_augmented.h>)
#include <linux/rbtree_augmented.h>
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX

/* Those that know the kernel's header get the kernel's own. */
#ifndef min
#define min(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); \
		     _a < _b ? _a : _b; })
#define max(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); \
		     _a > _b ? _a : _b; })
#endif

#ifndef min_t
#define min_t(type, a, b) min((type)(a), (type)(b))
#endif

#ifndef check_add_overflow
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#endif

#ifndef WRITE_ONCE
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#endif
#ifndef dma_wmb
#define dma_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

static inline void sort(void *base, size_t num, size_t size,
			int (*cmp)(const void *, const void *),
			void (*swap)(void *, void *, int))
{
	(void)swap;
	qsort(base, num, size, cmp);
}

#endif
