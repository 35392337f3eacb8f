// SPDX-License-Identifier: GPL-2.0-only
/* Breaks the kernel in a chosen way, to see that tools/vm notices. */
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/reboot.h>
#include <linux/slab.h>

static char *what = "nothing";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "nothing, warn, use-after-free, lockup or shutdown");

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

static int provoke_at_shutdown(struct notifier_block *nb, unsigned long action,
			       void *data)
{
	WARN(1, "provoked at shutdown\n");
	return NOTIFY_DONE;
}

/* The module has to stay for it. */
static void provoke_shutdown(void)
{
	static struct notifier_block nb = {
		.notifier_call = provoke_at_shutdown,
	};

	__module_get(THIS_MODULE);
	register_reboot_notifier(&nb);
}

static const struct {
	const char *name;
	void (*fn)(void);
} provocations[] = {
	{ "warn", provoke_warn },
	{ "use-after-free", provoke_use_after_free },
	{ "lockup", provoke_lockup },
	{ "shutdown", provoke_shutdown },
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
