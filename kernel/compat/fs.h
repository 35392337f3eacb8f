/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/file.h> as Linux 6.12 has it: struct fd is opaque. */
#ifndef COMPAT_FS_H
#define COMPAT_FS_H

#include <linux/file.h>
#include <linux/fs.h>

#ifndef fd_file
#define fd_file(f) ((f).file)
#endif

#endif
