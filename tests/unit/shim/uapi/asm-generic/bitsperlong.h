/* SPDX-License-Identifier: GPL-2.0-only */
/* The one header that tools/include wants from outside of it. */
#ifndef SHIM_BITSPERLONG_H
#define SHIM_BITSPERLONG_H

#define __BITS_PER_LONG (__SIZEOF_LONG__ * __CHAR_BIT__)

#endif
