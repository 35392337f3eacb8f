// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-dart.ko: Apple's DART IOMMUs with 16K pages under CPU pages of any
 * size. Coming and going, interrupts; the rest is in the file of its noun.
 *
 * Written against Linux's driver for the same hardware, and run against a
 * model of it (kernel/selftest-dart/model.h); not on hardware.
 */
#include <linux/clk.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "compat/iommu-driver.h"
#include "private.h"

DEFINE_MUTEX(dart_lock);
LIST_HEAD(darts);

/* --- registers, or what stands for them --- */

static u32 dart_read(void *context, u32 offset)
{
	struct dart *dart = context;

	return dart->given ? dart->given->read(dart->given->context, offset) :
			     readl(dart->regs + offset);
}

static void dart_write(void *context, u32 offset, u32 value)
{
	struct dart *dart = context;

	if (dart->given)
		dart->given->write(dart->given->context, offset, value);
	else
		writel(value, dart->regs + offset);
}

static void dart_relax(void *context)
{
	udelay(1);
}

/* DMA is mapped in interrupts, too. */
static void dart_take(void *context)
{
	struct dart *dart = context;
	unsigned long irqs;

	spin_lock_irqsave(&dart->lock, irqs);
	dart->irqs = irqs;
	if (dart->given && dart->given->lock)
		dart->given->lock(dart->given->context);
}

static void dart_release(void *context)
{
	struct dart *dart = context;

	if (dart->given && dart->given->unlock)
		dart->given->unlock(dart->given->context);
	spin_unlock_irqrestore(&dart->lock, dart->irqs);
}

/* --- errors --- */

static void dart_report(struct dart *dart, const struct dart_error *error)
{
	struct dart_endpoint *ep;
	struct device *dev = NULL;
	unsigned int i;

	atomic_long_inc(&dart->faults);
	guard(mutex)(&dart_lock);
	list_for_each_entry(ep, &dart_endpoints, item)
		for (i = 0; i < ep->nr; i++)
			if (ep->dart[i] == dart &&
			    dart_streams_has(&ep->at[i].streams,
					     error->stream)) {
				dev = ep->dev;
				if (ep->paging)
					report_iommu_fault(&ep->paging->domain,
							   dev, error->iova,
							   error->fault ==
							   DART_FAULT_WRITE ?
							   IOMMU_FAULT_WRITE :
							   IOMMU_FAULT_READ);
			}
	dev_err_ratelimited(dart->dev,
			    "DMA of %s (stream %u) to %#llx stopped: %s (%#x)\n",
			    dev ? dev_name(dev) : "a device", error->stream,
			    error->iova, dart_fault_text(error->fault),
			    error->raw);
}

static irqreturn_t dart_irq(int irq, void *data)
{
	struct dart *dart = data;
	struct dart_error error;

	/* Others may share the line. */
	if (!dart_hw_error(&dart->hw, &error))
		return IRQ_NONE;
	dart_report(dart, &error);
	return IRQ_HANDLED;
}

void granule_dart_poll(struct device *dev)
{
	dart_irq(0, dev_get_drvdata(dev));
}
EXPORT_SYMBOL_GPL(granule_dart_poll);

/* --- operations that are not a file's own --- */

static bool dart_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

/* What that means is decided by granule-dma, at attach. */
static int dart_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static const struct iommu_ops dart_ops;

static int dart_of_xlate(struct device *dev,
			 OF_XLATE_CONST struct of_phandle_args *args)
{
	struct dart *dart;
	u32 id;

	if (args->args_count != 1 || args->args[0] >= DART_MAX_STREAMS)
		return -EINVAL;
	guard(mutex)(&dart_lock);
	list_for_each_entry(dart, &darts, item)
		if (dart->dev->of_node == args->np) {
			id = GRANULE_DART_ID(dart->number, args->args[0]);
			return iommu_fwspec_add_ids(dev, &id, 1);
		}
	return -EPROBE_DEFER;
}

int granule_dart_describe(struct device *dev, struct device *to,
			  unsigned int stream)
{
	struct dart *dart;
	int rc = -ENODEV;
	u32 id;

	guard(mutex)(&dart_lock);
	list_for_each_entry(dart, &darts, item) {
		if (dart->dev != to)
			continue;
		if (stream >= dart->hw.streams)
			return -EINVAL;
		id = GRANULE_DART_ID(dart->number, stream);
		rc = compat_fwspec_init(dev, dev_fwnode(to), &dart_ops);
		return rc ?: iommu_fwspec_add_ids(dev, &id, 1);
	}
	return rc;
}
EXPORT_SYMBOL_GPL(granule_dart_describe);

/* Without a device: for whatever the first DART is. */
static struct iommu_domain *dart_unassigned_alloc(void)
{
	struct dart_geometry geometry;
	struct dart_paging *p;

	mutex_lock(&dart_lock);
	if (list_empty(&darts)) {
		mutex_unlock(&dart_lock);
		return NULL;
	}
	geometry = list_first_entry(&darts, struct dart, item)->hw.geometry;
	mutex_unlock(&dart_lock);
	p = dart_paging_alloc(&geometry);
	return IS_ERR(p) ? NULL : &p->domain;
}

/* NULL is for "no such domain" and "no memory", with every core. */
static struct iommu_domain *dart_domain_alloc(unsigned int type)
{
	return type == IOMMU_DOMAIN_UNMANAGED ? dart_unassigned_alloc() :
						dart_token_alloc(type);
}

static __maybe_unused struct iommu_domain *
dart_domain_alloc_paging(struct device *dev)
{
	struct dart_endpoint *ep;
	struct dart_paging *p;

	if (!dev)
		return dart_unassigned_alloc();
	ep = dev_iommu_priv_get(dev);
	p = dart_paging_alloc(&ep->dart[0]->hw.geometry);
	return IS_ERR(p) ? ERR_CAST(p) : &p->domain;
}

static const struct iommu_ops dart_ops = {
	.capable = dart_capable,
	.domain_alloc = dart_domain_alloc,
	COMPAT_DOMAIN_ALLOC_PAGING(dart_domain_alloc_paging)
	.probe_device = dart_probe_device,
	.probe_finalize = dart_probe_finalize,
	.get_resv_regions = dart_get_resv_regions,
	.release_device = dart_release_device,
	.device_group = dart_device_group,
	.def_domain_type = dart_def_domain_type,
	.of_xlate = dart_of_xlate,
	.owner = THIS_MODULE,
};

static const struct granule_dma_provider dart_provider = {
	.owner = THIS_MODULE,
	.ops = &dart_ops,
	.domain_alloc = dart_dma_domain_alloc,
	.settle = dart_settle,
	.untrusted = dart_untrusted,
	.map = dart_dma_map,
	.sync = dart_dma_sync,
	.unmap = dart_dma_unmap,
};

/* --- a DART --- */

static void dart_clocks_off(void *data)
{
	struct dart *dart = data;

	clk_bulk_disable_unprepare(dart->nr_clocks, dart->clocks);
}

static int dart_clocks_on(struct dart *dart)
{
	int rc = devm_clk_bulk_get_all(dart->dev, &dart->clocks);

	if (rc <= 0)
		return rc;
	dart->nr_clocks = rc;
	rc = clk_bulk_prepare_enable(dart->nr_clocks, dart->clocks);
	return rc ?: devm_add_action_or_reset(dart->dev, dart_clocks_off, dart);
}

/* Returns the name of the variant. */
static const char *dart_find_hardware(struct platform_device *pdev,
				      struct dart *dart)
{
	const struct granule_dart_platform *given = dev_get_platdata(&pdev->dev);
	static unsigned int described;
	int rc;

	if (given) {
		dart->given = &given->io;
		dart->number = given->number;
		return given->variant;
	}
	dart->number = 0x8000 + described++;
	dart->regs = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(dart->regs))
		return ERR_CAST(dart->regs);
	rc = dart_clocks_on(dart);
	return rc ? ERR_PTR(rc) : of_device_get_match_data(&pdev->dev);
}

static void dart_unlist(struct dart *dart)
{
	guard(mutex)(&dart_lock);
	list_del(&dart->item);
	if (list_empty(&darts))
		compat_iommu_ops_forget(&dart_ops);
}

static int dart_init_hardware(struct dart *dart, const char *name)
{
	const struct dart_io io = { dart_read, dart_write, dart_relax,
				    dart_take, dart_release, dart };
	const struct dart_variant *variant = name ? dart_variant_find(name) :
						    NULL;
	int rc;

	if (!variant)
		return -ENODEV;
	rc = dart_hw_init(&dart->hw, variant, &io);
	return rc ?: dart_hw_reset(&dart->hw);
}

static int dart_probe(struct platform_device *pdev)
{
	const char *variant;
	struct dart *dart;
	int rc, irq;

	dart = devm_kzalloc(&pdev->dev, sizeof(*dart), GFP_KERNEL);
	if (!dart)
		return -ENOMEM;
	dart->dev = &pdev->dev;
	spin_lock_init(&dart->lock);
	platform_set_drvdata(pdev, dart);
	variant = dart_find_hardware(pdev, dart);
	if (IS_ERR(variant))
		return PTR_ERR(variant);
	rc = dart_init_hardware(dart, variant);
	if (rc)
		return dev_err_probe(&pdev->dev, rc, "does not do as a %s should\n",
				     variant);
	irq = platform_get_irq_optional(pdev, 0);
	if (irq >= 0) {
		rc = devm_request_threaded_irq(&pdev->dev, irq, NULL, dart_irq,
					       IRQF_SHARED | IRQF_ONESHOT,
					       dev_name(&pdev->dev), dart);
		if (rc)
			return rc;
	}
	rc = iommu_device_sysfs_add(&dart->iommu, &pdev->dev, NULL, "dart.%s",
				    dev_name(&pdev->dev));
	if (rc)
		return rc;
	mutex_lock(&dart_lock);
	list_add_tail(&dart->item, &darts);
	mutex_unlock(&dart_lock);
	dev_info(&pdev->dev, "%s: granule %#x, IOVAs of %u bits, %u streams%s%s\n",
		 variant, 1U << dart->hw.geometry.shift,
		 dart->hw.geometry.iova_bits, dart->hw.streams,
		 dart->hw.bypass ? "" : ", no bypass",
		 dart->hw.locked ? ", locked" : "");
	rc = iommu_device_register(&dart->iommu, &dart_ops, &pdev->dev);
	if (!rc) {
		dart_count_users();
		return 0;
	}
	dart_unlist(dart);
	iommu_device_sysfs_remove(&dart->iommu);
	return rc;
}

static void dart_stop(struct platform_device *pdev)
{
	struct dart *dart = platform_get_drvdata(pdev);

	mutex_lock(&dart_lock);
	dart->leaving = true;
	mutex_unlock(&dart_lock);
	dart_unbind_users(dart);
	iommu_device_unregister(&dart->iommu);
	iommu_device_sysfs_remove(&dart->iommu);
	dart_forget(dart);
	dart_unlist(dart);
	dart_hw_reset(&dart->hw);
}

static const struct of_device_id dart_of_match[] = {
	{ .compatible = "apple,t8103-dart", .data = "t8103" },
	{ .compatible = "apple,t6000-dart", .data = "t6000" },
	{ .compatible = "apple,t8110-dart", .data = "t8110" },
	{ }
};
MODULE_DEVICE_TABLE(of, dart_of_match);

static struct platform_driver dart_driver = {
	.driver.name = "granule-dart",
	.driver.of_match_table = dart_of_match,
	/* What is behind it would be without an IOMMU. */
	.driver.suppress_bind_attrs = true,
	.probe = dart_probe,
	COMPAT_PLATFORM_REMOVE(dart_stop)
};

static int __init dart_init(void)
{
	int rc = granule_dma_register(&dart_provider);

	if (rc)
		return rc;
	rc = platform_driver_register(&dart_driver);
	if (rc)
		granule_dma_unregister(&dart_provider);
	return rc;
}
module_init(dart_init);

static void __exit dart_exit(void)
{
	platform_driver_unregister(&dart_driver);
	granule_dma_unregister(&dart_provider);
}
module_exit(dart_exit);

MODULE_DESCRIPTION("Apple DART with IOMMU pages larger than the CPU's");
MODULE_LICENSE("GPL");
