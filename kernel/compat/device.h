/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/device.h> as Linux 6.12 has it: classes. */
#ifndef COMPAT_DEVICE_H
#define COMPAT_DEVICE_H

#include <linux/device.h>
#include <linux/module.h>

#ifndef HAVE_CLASS_CREATE_NAME
#undef class_create
/* A macro: every caller needs a lockdep key of its own. */
#define class_create(name)						\
({									\
	static struct lock_class_key compat_key;			\
	__class_create(THIS_MODULE, name, &compat_key);			\
})
#endif

/*
 * What the devnode callbacks of a class and of a device type take:
 * char *x_devnode(DEVNODE_CONST struct device *dev, ...).
 */
#ifdef HAVE_DEVNODE_CONST
#define DEVNODE_CONST const
#else
#define DEVNODE_CONST
#endif

#endif
