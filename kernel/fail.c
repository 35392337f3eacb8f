// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failure injection, in builds for testing: the N-th point of a thread that
 * can fail does.
 *
 * Write a thread's number to the module parameter fail_thread and N to
 * fail_nth; fail_nth counts down and is 0 once the failure has happened.
 */
#include <linux/module.h>
#include <linux/sched.h>

#include "private.h"

static int fail_thread;
module_param(fail_thread, int, 0600);
MODULE_PARM_DESC(fail_thread, "thread that failures are injected into");

static int fail_nth;
module_param(fail_nth, int, 0600);
MODULE_PARM_DESC(fail_nth, "which of its points fails; 0: none");

bool granule_should_fail(void)
{
	/* Only that one thread gets past the first test, so no lock. */
	if (likely(READ_ONCE(fail_thread) != current->pid) || fail_nth <= 0)
		return false;
	return !--fail_nth;
}
EXPORT_SYMBOL_GPL(granule_should_fail);
