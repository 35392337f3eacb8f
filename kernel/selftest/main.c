// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-dma-test.ko: a driver for edu whose work is to try the DMA API.
 *
 * /dev/granule-dma-test: write one line, "NAME [KEY=VALUE]..."; when the write
 * returns the work is done, and reading gives lines "ok - ..." and
 * "not ok - ...", with what was wrong in lines "# ..." before them. A run is
 * repeated by its seed. tests/kselftest/dmaapi.py goes through all of it.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "selftest.h"

#define REPORT_SIZE (256 << 10)

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "how many edu devices to bind, 1 or 2");

/*
 * The first ones that were bound, by address; the lock is for coming and
 * going.
 */
static struct test_dev *test_devs[2];
static DEFINE_MUTEX(test_lock);

static void test_info(struct run *run)
{
	struct test_dev *t = run->t;
	bool counters = faults_read(t) >= 0;
	int i;

	for (i = 0; i < NR_COUNTERS; i++)
		counters &= counter_read(t, i) >= 0;
	say(run->report, "# device %s, translated by %s, granule %llu, %s, counters %s",
	    pci_name(t->pdev), t->ours ? "granule-dma" : t->domain ?
	    "the kernel's own code" : "nobody", t->granule,
	    t->trusted ? "trusted" : "untrusted",
	    counters ? "yes" : "no");
}

static const struct command {
	const char *name;
	void (*fn)(struct run *run);
} commands[] = {
	{ "allocs", test_allocs },
	{ "borrow", test_borrow },
	{ "domain", test_domain },
	{ "drop", test_drop },
	{ "ends", test_ends },
	{ "hold", test_hold },
	{ "info", test_info },
	{ "lend", test_lend },
	{ "limits", test_limits },
	{ "lists", test_lists },
	{ "neighbours", test_neighbours },
	{ "resource", test_resource },
	{ "return", test_return },
	{ "share", test_share },
	{ "singles", test_singles },
	{ "space", test_space },
	{ "threads", test_threads },
};

static int parse_word(struct run *run, char *word)
{
	char *value = strchr(word, '=');
	u64 n;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (kstrtou64(value, 0, &n))
		return -EINVAL;
	if (!strcmp(word, "seed"))
		run->seed = n;
	else if (!strcmp(word, "count"))
		run->count = n;
	else if (!strcmp(word, "least"))
		run->least = n;
	else if (!strcmp(word, "ms"))
		run->ms = n;
	else if (!strcmp(word, "size"))
		run->size = n;
	else if (!strcmp(word, "attrs"))
		run->attrs = n;
	else if (!strcmp(word, "threads"))
		run->threads = n;
	else
		return -EINVAL;
	return 0;
}

static int run_line(struct report *report, char *line)
{
	struct run run = {
		.t = test_devs[0] ?: test_devs[1],
		.other = test_devs[1],
		.report = report,
		.seed = 1,
		.count = U32_MAX,
		.alone = true,
		.threads = 4,
	};
	char *name, *word;
	int i, rc;

	line = strim(line);
	name = strsep(&line, " ");
	while ((word = strsep(&line, " "))) {
		rc = parse_word(&run, word);
		if (rc)
			return rc;
	}
	run.rng = run.seed;
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		commands[i].fn(&run);
		return 0;
	}
	return -EINVAL;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct report *report = kzalloc(sizeof(*report), GFP_KERNEL);

	if (!report)
		return -ENOMEM;
	spin_lock_init(&report->lock);
	report->size = REPORT_SIZE;
	report->text = kvzalloc(report->size, GFP_KERNEL);
	if (!report->text) {
		kfree(report);
		return -ENOMEM;
	}
	file->private_data = report;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct report *report = file->private_data;

	kvfree(report->text);
	kfree(report);
	return 0;
}

static ssize_t test_write(struct file *file, const char __user *user,
			  size_t size, loff_t *at)
{
	struct report *report = file->private_data;
	char *line;
	int rc = -ENODEV;

	if (size > 200)
		return -EINVAL;
	line = memdup_user_nul(user, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&test_lock);
	report->length = 0;
	*at = 0;
	if (test_devs[0] || test_devs[1])
		rc = run_line(report, line);
	mutex_unlock(&test_lock);
	kfree(line);
	return rc ?: size;
}

static ssize_t test_read(struct file *file, char __user *user, size_t size,
			 loff_t *at)
{
	struct report *report = file->private_data;

	return simple_read_from_buffer(user, size, at, report->text,
				       report->length);
}

static int test_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct test_dev *t;
	int rc = -ENODEV;

	/* Commands read counters, which takes mmap_lock within this one. */
	if (!mutex_trylock(&test_lock))
		return -EBUSY;
	t = test_devs[0];
	if (t && t->held)
		rc = dma_mmap_attrs(t->dev, vma, t->held, t->held_dma,
				    t->held_size, t->held_attrs);
	mutex_unlock(&test_lock);
	return rc;
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.read = test_read,
	.write = test_write,
	.mmap = test_mmap,
};

static struct miscdevice test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "granule-dma-test",
	.fops = &test_fops,
};

static int test_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct test_dev *t, **slot;
	int rc;

	mutex_lock(&test_lock);
	rc = -EBUSY;
	slot = test_devs[0] ? &test_devs[1] : &test_devs[0];
	if (*slot || slot - test_devs >= devices)
		goto unlock;
	rc = -ENOMEM;
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		goto unlock;
	t->pdev = pdev;
	t->dev = &pdev->dev;
	rc = pci_enable_device(pdev);
	if (rc)
		goto err_free;
	pci_set_master(pdev);
	rc = -ENOMEM;
	t->bar = pci_iomap(pdev, 0, 0);
	if (!t->bar)
		goto err_disable;
	/* As tools/vm has it: dma_mask=0xffffffffff. */
	rc = dma_set_mask_and_coherent(t->dev, DMA_BIT_MASK(40));
	if (rc)
		goto err_unmap;
	dma_set_max_seg_size(t->dev, UINT_MAX);
	rc = view_init(t);
	if (rc)
		goto err_view;
	rc = edu_init(t);
	if (rc)
		goto err_view;
	pci_set_drvdata(pdev, t);
	*slot = t;
	if (test_devs[0] && test_devs[1] &&
	    pci_dev_id(test_devs[0]->pdev) > pci_dev_id(test_devs[1]->pdev))
		swap(test_devs[0], test_devs[1]);
	mutex_unlock(&test_lock);
	return 0;

err_view:
	view_exit(t);
err_unmap:
	pci_iounmap(pdev, t->bar);
err_disable:
	pci_disable_device(pdev);
err_free:
	kfree(t);
unlock:
	mutex_unlock(&test_lock);
	return rc;
}

static void test_remove(struct pci_dev *pdev)
{
	struct test_dev *t = pci_get_drvdata(pdev);

	mutex_lock(&test_lock);
	test_devs[t == test_devs[1]] = NULL;
	alloc_drop(t);
	share_drop(t);
	edu_exit(t);
	view_exit(t);
	pci_iounmap(pdev, t->bar);
	pci_disable_device(pdev);
	kfree(t);
	mutex_unlock(&test_lock);
}

static const struct pci_device_id test_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
/* No MODULE_DEVICE_TABLE: nobody but a test loads it. */

static struct pci_driver test_driver = {
	.name = "granule-dma-test",
	.id_table = test_ids,
	.probe = test_probe,
	.remove = test_remove,
};

static int __init test_init(void)
{
	int rc = misc_register(&test_misc);

	if (rc)
		return rc;
	rc = pci_register_driver(&test_driver);
	if (rc)
		misc_deregister(&test_misc);
	return rc;
}

static void __exit test_exit(void)
{
	pci_unregister_driver(&test_driver);
	misc_deregister(&test_misc);
}

module_init(test_init);
module_exit(test_exit);
MODULE_DESCRIPTION("Tests of the kernel's DMA API over large IOMMU pages");
MODULE_LICENSE("GPL");
