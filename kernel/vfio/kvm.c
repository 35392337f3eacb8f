// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's VFIO device takes our files.
 *
 * A VMM tells KVM of each device's file before it binds it, and gives the
 * device up if KVM refuses. KVM asks vfio.ko whether a file is VFIO's, and
 * vfio.ko goes by the file's operations, which in a kernel without device
 * files of its own none of ours can have. So its functions that are asked about
 * files are led to ours when the file is one of these nodes, by kprobes at their
 * first instruction: nothing of theirs has run by then.
 *
 * A file that is asked about is held by whoever asks, and holds this module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>

#include "compat/hwinfo.h"
#include "private.h"

static bool kvm = true;
module_param(kvm, bool, 0444);
MODULE_PARM_DESC(kvm, "have KVM's VFIO device accept the device files (on)");

#ifdef CONFIG_KPROBES

/* Is it VFIO's? */
static bool side_kvm_valid(struct file *file)
{
	return true;
}

/*
 * Does all of its DMA snoop caches? Also asked before it is bound. A device
 * that is taken back does no DMA.
 */
static bool side_kvm_coherent(struct file *file)
{
	struct side_device *side = side_file_get(file->private_data);
	bool coherent;

	if (!side)
		return true;
	coherent = granule_device_enforces_snoop(side_vdev(side)->dev);
	side_device_put(side);
	return coherent;
}

/* Which virtual machine has it. No PCI device's driver wants to know. */
static void side_kvm_set(struct file *file, struct kvm *vm)
{
}

static int side_kvm_ask(struct kprobe *probe, struct pt_regs *regs);

/*
 * The one that says whether a file is VFIO's is the last, and the first to go:
 * the others take what it has let pass for vfio.ko's own.
 */
static struct {
	struct kprobe probe;
	void *answer;
} side_kvm_probes[] = {
	{ { .symbol_name = "vfio_file_set_kvm" }, side_kvm_set },
	{ { .symbol_name = "vfio_file_enforced_coherent" }, side_kvm_coherent },
	{ { .symbol_name = COMPAT_VFIO_FILE_CHECK }, side_kvm_valid },
};

static bool side_kvm_registered;

/* At the first instruction, with the file as the first argument. */
static int side_kvm_ask(struct kprobe *probe, struct pt_regs *regs)
{
	struct file *file = (void *)regs_get_kernel_argument(regs, 0);
	void *answer = container_of(probe, typeof(side_kvm_probes[0]),
				    probe)->answer;

	if (file->f_op != &side_fops)
		return 0;
	instruction_pointer_set(regs, (unsigned long)answer);
	return 1;
}

static void side_kvm_unregister(unsigned int n)
{
	while (n--)
		unregister_kprobe(&side_kvm_probes[n].probe);
}

void side_kvm_start(void)
{
	unsigned int i;
	int rc;

	if (!kvm)
		return;
	for (i = 0; i < ARRAY_SIZE(side_kvm_probes); i++) {
		side_kvm_probes[i].probe.pre_handler = side_kvm_ask;
		rc = register_kprobe(&side_kvm_probes[i].probe);
		if (rc) {
			pr_notice("KVM will not accept the device files: no kprobe at %s (%d)\n",
				  side_kvm_probes[i].probe.symbol_name, rc);
			side_kvm_unregister(i);
			return;
		}
	}
	side_kvm_registered = true;
}

void side_kvm_stop(void)
{
	if (side_kvm_registered)
		side_kvm_unregister(ARRAY_SIZE(side_kvm_probes));
}

#else

void side_kvm_start(void)
{
	if (kvm)
		pr_notice("KVM will not accept the device files: this kernel has no kprobes\n");
}

void side_kvm_stop(void)
{
}

#endif
