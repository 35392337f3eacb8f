// SPDX-License-Identifier: GPL-2.0-only
/* Breaks the kernel in a chosen way, to see that tools/vm notices. */
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/slab.h>

static char *what = "nothing";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "nothing, warn, use-after-free or lockup");

static void provoke_warn(void)
{
	WARN(1, "provoked\n");
}

/* Noticed by slub_debug's poison when the cache is validated. */
static void provoke_use_after_free(void)
{
	char *object = kmalloc(1000, GFP_KERNEL);
	char *stale = object;

	OPTIMIZER_HIDE_VAR(stale);
	kfree(object);
	if (stale)
		WRITE_ONCE(stale[500], 1);
}

static void provoke_lockup(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static const struct {
	const char *name;
	void (*fn)(void);
} provocations[] = {
	{ "warn", provoke_warn },
	{ "use-after-free", provoke_use_after_free },
	{ "lockup", provoke_lockup },
};

static int __init provoke_init(void)
{
	size_t i;

	if (!strcmp(what, "nothing"))
		return 0;
	for (i = 0; i < ARRAY_SIZE(provocations); i++) {
		if (!strcmp(what, provocations[i].name)) {
			provocations[i].fn();
			return 0;
		}
	}
	return -EINVAL;
}
module_init(provoke_init);

static void __exit provoke_exit(void)
{
}
module_exit(provoke_exit);

MODULE_DESCRIPTION("Provokes what tools/vm has to notice");
MODULE_LICENSE("GPL");
