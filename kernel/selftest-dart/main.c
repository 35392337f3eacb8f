// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-dart-test.ko: makes DARTs of the model, devices behind them, and has
 * granule-dart.ko drive it all. The tests run when the module is loaded; what
 * they say is in the kernel's log, as lines of TAP after "granule-dart-test: ".
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/iommu.h>
#include <linux/irq.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "compat/iommu.h"
#include "granule-dart.h"
#include "granule-dma.h"

#define model_broken() panic("granule-dart-test: no hardware would do that")

#include "model.h"

#define SHIFT 14
#define GRANULE (1UL << SHIFT)
#define STREAM 3
#define MASTER "granule-dart-master"

static char *kind = "t8103";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "which DARTs: t8103, t6000 or t8110");

enum {
	FIRST,
	SECOND,
	LOCKED,		/* by "firmware" */
	NO_BYPASS,
	ALIEN,		/* of another kind */
	LATE,		/* comes when devices are there */
	DARTS
};

static struct model_dart *models[DARTS];
static struct platform_device *dart_devices[DARTS];
static struct fwnode_handle *nodes[DARTS];

/* Which DARTs a device is behind, and what uses it. */
enum use {
	IDLE,			/* no driver */
	DRIVEN,
	DRIVEN_BEFORE,		/* by a driver older than what is known of it */
};

enum {
	ONE,
	TWO,
	USERS,			/* behind two as well */
	DISPLAY,		/* behind the locked one */
	UNLIKE_BYPASS,
	UNLIKE_KIND,
	STRICT,
	OLD,
	OLD_STRICT,
};

static const struct place {
	unsigned int darts;	/* a bit for each */
	enum use use;
} places[] = {
	[ONE] = { BIT(FIRST), DRIVEN },
	[TWO] = { BIT(FIRST) | BIT(SECOND), DRIVEN },
	[USERS] = { BIT(FIRST) | BIT(SECOND), IDLE },
	[DISPLAY] = { BIT(LOCKED), DRIVEN },
	[UNLIKE_BYPASS] = { BIT(FIRST) | BIT(NO_BYPASS), DRIVEN },
	[UNLIKE_KIND] = { BIT(FIRST) | BIT(ALIEN), DRIVEN },
	[STRICT] = { BIT(NO_BYPASS), DRIVEN },
	[OLD] = { BIT(FIRST), DRIVEN_BEFORE },
	[OLD_STRICT] = { BIT(NO_BYPASS), DRIVEN_BEFORE },
};
static struct platform_device *masters[ARRAY_SIZE(places)];

/* The line that the first two DARTs share. */
static int irq = -1;

static int number, failures;

static void ok(bool good, const char *what)
{
	pr_info("granule-dart-test: %sok %d - %s %s\n", good ? "" : "not ",
		++number, kind, what);
	failures += !good;
}

/* --- the machine --- */

static void *model_kernel_virt(void *context, u64 phys)
{
	return pfn_valid(PHYS_PFN(phys)) ? phys_to_virt(phys) : NULL;
}

/* The streams of different devices are different. */
static unsigned int stream_of(unsigned int master)
{
	return STREAM + master;
}

static u64 reach(unsigned int dart, unsigned int master, u64 iova, bool write)
{
	return model_access(models[dart], stream_of(master), iova, write);
}

/* What firmware leaves: tables for the locked one's stream. */
static u64 *firmware_first;

static int firmware_boots(struct model_dart *model)
{
	unsigned int stream = stream_of(DISPLAY), i;
	u64 phys;

	firmware_first = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
						  get_order(GRANULE));
	if (!firmware_first)
		return -ENOMEM;
	phys = virt_to_phys(firmware_first);
	for (i = 0; i < (model->t8110 ? 1 : 4); i++)
		model_write(model, model_ttbr(model, stream, i),
			    model->t8110 ? (u32)(phys >> 14 << 2) | 1 :
					   (u32)(phys >> 12) | 1U << 31);
	model_write(model, model_tcr(model, stream),
		    model->t8110 ? 1 : 1 << 7);
	model_lock(model);
	return 0;
}

/* An interrupt of no hardware. */
static int irq_make(void)
{
	/* No owner: who requests it would keep this module. */
	irq = __irq_alloc_descs(-1, 0, 1, NUMA_NO_NODE, NULL, NULL);
	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	return 0;
}

static void interrupt(void)
{
	generic_handle_irq_safe(irq);
	/* The driver handles it in a thread. */
	synchronize_irq(irq);
}

static const char *variant_of(unsigned int dart)
{
	if (dart != ALIEN)
		return kind;
	return strcmp(kind, "t8103") ? "t8103" : "t6000";
}

static int dart_make(unsigned int i)
{
	struct granule_dart_platform data = {
		.variant = variant_of(i),
		.number = i,
	};
	struct resource line = DEFINE_RES_IRQ(irq);
	struct platform_device_info info = {
		.name = "granule-dart",
		.id = i,
		.data = &data,
		.size_data = sizeof(data),
		.res = &line,
		.num_res = i == FIRST || i == SECOND,
	};
	int rc;

	models[i] = kvzalloc(sizeof(*models[i]), GFP_KERNEL);
	if (!models[i])
		return -ENOMEM;
	model_init(models[i], data.variant, SHIFT, i != NO_BYPASS, i + 1,
		   model_kernel_virt, NULL);
	if (i == LOCKED) {
		rc = firmware_boots(models[i]);
		if (rc)
			return rc;
	}
	data.io = (struct dart_io){ model_read, model_write, model_relax,
				    model_take, model_leave, models[i] };
	nodes[i] = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(nodes[i]))
		return PTR_ERR(nodes[i]);
	info.fwnode = nodes[i];
	dart_devices[i] = platform_device_register_full(&info);
	if (IS_ERR(dart_devices[i])) {
		rc = PTR_ERR(dart_devices[i]);
		dart_devices[i] = NULL;
		return rc;
	}
	return dart_devices[i]->dev.driver ? 0 : -ENODEV;
}

static int master_describe(unsigned int i, struct platform_device *pdev)
{
	unsigned int n;
	int rc = 0;

	for (n = 0; n < DARTS && !rc; n++)
		if (places[i].darts & BIT(n))
			rc = granule_dart_describe(&pdev->dev,
						   &dart_devices[n]->dev,
						   stream_of(i));
	return rc;
}

static int master_make(unsigned int i)
{
	bool before = places[i].use == DRIVEN_BEFORE;
	struct platform_device *pdev;
	int rc = 0;

	pdev = platform_device_alloc(places[i].use == IDLE ? MASTER "-idle" :
							     MASTER, i);
	if (!pdev)
		return -ENOMEM;
	pdev->dev.dma_mask = &pdev->dev.coherent_dma_mask;
	pdev->dev.coherent_dma_mask = DMA_BIT_MASK(32);
	if (!before)
		rc = master_describe(i, pdev);
	if (!rc)
		rc = platform_device_add(pdev);
	if (rc) {
		/* The core frees these only of devices that were added. */
		iommu_fwspec_free(&pdev->dev);
		kfree(pdev->dev.iommu);
		pdev->dev.iommu = NULL;
		platform_device_put(pdev);
		return rc;
	}
	masters[i] = pdev;
	/* The core looks at it again when a DART comes. */
	return before ? master_describe(i, pdev) : 0;
}

static int master_probe(struct platform_device *pdev)
{
	return 0;
}

static struct platform_driver master_driver = {
	.driver.name = MASTER,
	.probe = master_probe,
};

/* --- the DMA API --- */

static bool sees(unsigned int master, u64 iova, u64 phys, bool write)
{
	unsigned int n;

	for (n = 0; n < DARTS; n++)
		if (places[master].darts & BIT(n) &&
		    reach(n, master, iova, write) != phys)
			return false;
	return true;
}

static void test_single(unsigned int master)
{
	struct device *dev = &masters[master]->dev;
	void *buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
	dma_addr_t dma;
	u64 phys;

	if (!buffer)
		return ok(false, "memory");
	phys = virt_to_phys(buffer);
	dma = dma_map_single(dev, buffer, PAGE_SIZE, DMA_TO_DEVICE);
	ok(!dma_mapping_error(dev, dma), "4K are mapped");
	ok(dma != phys, "at an address of their own");
	ok(sees(master, dma, phys, false) &&
	   sees(master, dma + PAGE_SIZE - 1, phys + PAGE_SIZE - 1, false),
	   "the device reads them, behind all its DARTs");
	ok(sees(master, dma, U64_MAX, true), "and cannot write them");
	ok(sees(master, ALIGN(dma + 1, GRANULE), U64_MAX, false),
	   "nor reach the next granule");
	dma_unmap_single(dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
	ok(sees(master, dma, U64_MAX, false), "nor them after they are unmapped");
	kfree(buffer);
}

static void test_coherent(unsigned int master)
{
	struct device *dev = &masters[master]->dev;
	const size_t size = 5 * PAGE_SIZE;
	bool good = true;
	dma_addr_t dma;
	size_t at;
	u8 *memory;

	memory = dma_alloc_coherent(dev, size, &dma, GFP_KERNEL);
	if (!memory)
		return ok(false, "coherent memory");
	for (at = 0; at < size; at += PAGE_SIZE)
		good &= sees(master, dma + at,
			     is_vmalloc_addr(memory) ?
			     page_to_phys(vmalloc_to_page(memory + at)) :
			     virt_to_phys(memory + at), true);
	ok(good, "coherent memory is in one piece to the device");
	dma_free_coherent(dev, size, memory, dma);
	ok(sees(master, dma, U64_MAX, true), "until it is freed");
}

/* --- a user's domain --- */

static void test_user(unsigned int master)
{
	struct device *dev = &masters[master]->dev;
	struct iommu_domain *plain, *domain;
	struct page *page;
	u64 phys;

	page = alloc_pages(GFP_KERNEL, SHIFT - PAGE_SHIFT);
	plain = granule_domain_alloc(dev);
	domain = granule_domain_alloc(dev);
	if (!page || IS_ERR(plain) || IS_ERR(domain))
		return ok(false, "memory for domains");
	phys = page_to_phys(page);
	ok(PAGE_SHIFT >= 14 || iommu_attach_device(plain, dev) == -EINVAL,
	   "a user who does not know of large pages is refused");
	ok(!iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES) &&
	   !iommu_attach_device(domain, dev), "one who knows is not");
	ok(sees(master, 5 * GRANULE, U64_MAX, true), "nothing is there");
	ok(!iommu_map(domain, 5 * GRANULE, phys, GRANULE,
			     IOMMU_READ | IOMMU_WRITE, GFP_KERNEL), "a granule is mapped");
	ok(sees(master, 5 * GRANULE + 77, phys + 77, true), "and reached");
	ok(iommu_iova_to_phys(domain, 5 * GRANULE + 77) == phys + 77,
	   "and found");
	ok(iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES) ==
	   -EBUSY, "knowing comes before using");

	/* The second DART stops to answer. */
	models[SECOND]->deaf = true;
	ok(iommu_map(domain, 9 * GRANULE, phys, GRANULE, IOMMU_READ,
			    GFP_KERNEL) != 0,
	   "nothing is mapped for half of a device");
	ok(sees(master, 9 * GRANULE, U64_MAX, false), "by none of its DARTs");
	ok(iommu_unmap(domain, 5 * GRANULE, GRANULE) == GRANULE &&
	   sees(master, 5 * GRANULE, U64_MAX, true),
	   "what is unmapped is out of reach of the deaf one as well");
	iommu_detach_device(domain, dev);
	ok(iommu_attach_device(domain, dev) != 0,
	   "a device is not attached by halves");
	ok(sees(master, 5 * GRANULE, U64_MAX, true), "and is blocked");
	models[SECOND]->deaf = false;
	ok(!iommu_attach_device(domain, dev), "until it answers again");
	iommu_detach_device(domain, dev);
	iommu_domain_free(domain);
	iommu_domain_free(plain);
	__free_pages(page, SHIFT - PAGE_SHIFT);
}

/* --- faults --- */

static struct device *fault_of;
static unsigned long fault_iova;
static int fault_flags;

static int note_fault(struct iommu_domain *domain, struct device *dev,
		      unsigned long iova, int flags, void *unused)
{
	fault_of = dev;
	fault_iova = iova;
	fault_flags = flags;
	return 0;
}

static bool error_waits(unsigned int dart)
{
	return *model_reg(models[dart], models[dart]->t8110 ? 0x100 : 0x40) >>
	       31;
}

/* What the interrupt told about a fault, and that it was acknowledged. */
static bool told(unsigned int dart, unsigned int master, u64 iova, int flags)
{
	fault_of = NULL;
	interrupt();
	return fault_of == &masters[master]->dev && fault_iova == iova &&
	       fault_flags == flags && !error_waits(dart);
}

/* Of a device behind two DARTs, whose interrupts are one. */
static void test_faults(unsigned int master)
{
	struct device *dev = &masters[master]->dev;
	struct iommu_domain *domain = granule_domain_alloc(dev);
	struct page *page = alloc_pages(GFP_KERNEL, SHIFT - PAGE_SHIFT);
	unsigned int stream = stream_of(master), n;
	u32 *ttbr, was;

	if (IS_ERR(domain) || !page)
		return ok(false, "memory for a domain");
	/* The register keeps the first fault until it is read. */
	granule_dart_poll(&dart_devices[FIRST]->dev);
	granule_dart_poll(&dart_devices[SECOND]->dev);
	ok(!error_waits(FIRST) && !error_waits(SECOND),
	   "faults are read and acknowledged");
	iommu_set_fault_handler(domain, note_fault, NULL);
	ok(!iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES) &&
	   !iommu_attach_device(domain, dev) &&
	   !iommu_map(domain, 3 * GRANULE, page_to_phys(page), GRANULE,
		      IOMMU_READ, GFP_KERNEL), "a granule for reading");
	for (n = FIRST; n <= SECOND; n++) {
		reach(n, master, 3 * GRANULE + 4, true);
		ok(error_waits(n) && told(n, master, 3 * GRANULE + 4,
					  IOMMU_FAULT_WRITE),
		   n ? "the second DART's interrupt tells of a write" :
		       "the first DART's interrupt tells of a write");
		reach(n, master, 4 * GRANULE, false);
		ok(error_waits(n) && told(n, master, 4 * GRANULE,
					  IOMMU_FAULT_READ),
		   "and of a read where nothing is mapped");
	}
	/* What the driver never sets up, the hardware may see all the same. */
	ttbr = model_known_ttbr(models[FIRST], stream, 0);
	was = *ttbr;
	*ttbr = 0;
	reach(FIRST, master, 5 * GRANULE, false);
	*ttbr = was;
	ok(error_waits(FIRST) && told(FIRST, master, 5 * GRANULE,
				      IOMMU_FAULT_READ),
	   "a stream that has lost its table");
	model_fault(models[FIRST], stream, 6 * GRANULE, 12);
	ok(error_waits(FIRST) && told(FIRST, master, 6 * GRANULE,
				      IOMMU_FAULT_READ),
	   "an error that nobody knows");
	fault_of = NULL;
	interrupt();
	ok(!fault_of, "an interrupt of somebody else's tells nothing");
	iommu_detach_device(domain, dev);
	iommu_domain_free(domain);
	__free_pages(page, SHIFT - PAGE_SHIFT);
}

/* --- DARTs of a device that cannot be one --- */

static void test_unlike(unsigned int master)
{
	struct device *dev = &masters[master]->dev;

	ok(dev->driver && !device_iommu_mapped(dev),
	   "a device behind DARTs that differ is not translated");
	ok(sees(master, 0x1234000, U64_MAX, true), "and reaches nothing");
}

/* --- drivers that were there first --- */

static void test_before(unsigned int master, bool bypass)
{
	struct device *dev = &masters[master]->dev;
	const u64 at = 0x1234000;

	ok(device_iommu_mapped(dev) && dev->driver,
	   "a DART comes under a device with a driver");
	ok(sees(master, at, bypass ? at : U64_MAX, true),
	   bypass ? "its DMA is as it was" :
		    "its DMA is blocked, as it cannot pass untranslated");
	device_release_driver(dev);
	ok(sees(master, at, U64_MAX, true), "without its driver it is blocked");
	ok(device_attach(dev) == 1, "the driver comes back");
	test_single(master);
}

/* Half of a device is not translated. */
static void test_second_gone(unsigned int driven, unsigned int idle)
{
	struct device *dev = &masters[driven]->dev;
	struct iommu_domain *domain = granule_domain_alloc(&masters[idle]->dev);
	dma_addr_t was, dma;
	void *memory = dma_alloc_coherent(dev, GRANULE, &was, GFP_KERNEL);

	if (IS_ERR(domain) || !memory)
		return ok(false, "memory");
	dma_free_coherent(dev, GRANULE, memory, was);
	ok(!iommu_set_pgtable_quirks(domain, GRANULE_DOMAIN_LARGE_PAGES) &&
	   !iommu_attach_device(domain, &masters[idle]->dev),
	   "a user's device behind two DARTs");
	platform_device_unregister(dart_devices[SECOND]);
	dart_devices[SECOND] = NULL;
	ok(!dev->driver, "a DART goes: the driver of a device goes first");
	iommu_detach_device(domain, &masters[idle]->dev);
	ok(iommu_attach_device(domain, &masters[idle]->dev) == -ENODEV,
	   "and no user gets the other half");
	iommu_domain_free(domain);
	ok(device_attach(dev) == 1, "a driver may come back");
	ok(!dma_alloc_coherent(dev, GRANULE, &dma, GFP_KERNEL) &&
	   reach(0, driven, was, true) == U64_MAX,
	   "but it gets no memory, and the device reaches nothing");
}

static void run_tests(void)
{
	ok(sees(USERS, 0, U64_MAX, false), "a device without a driver is blocked");
	test_single(ONE);
	test_single(TWO);
	test_coherent(ONE);
	test_coherent(TWO);
	test_user(USERS);
	ok(firmware_first[0] == 0, "locked: firmware's table is as it was");
	test_single(DISPLAY);
	test_coherent(DISPLAY);
	test_single(STRICT);
	test_coherent(STRICT);
	test_unlike(UNLIKE_BYPASS);
	test_unlike(UNLIKE_KIND);
	ok(!device_iommu_mapped(&masters[OLD]->dev) && !dart_make(LATE),
	   "one more DART");
	test_before(OLD, true);
	test_before(OLD_STRICT, false);
	test_faults(USERS);
	test_second_gone(TWO, USERS);
}

static void take_down(void)
{
	int i;

	for (i = ARRAY_SIZE(masters) - 1; i >= 0; i--)
		if (masters[i])
			platform_device_unregister(masters[i]);
	platform_driver_unregister(&master_driver);
	for (i = DARTS - 1; i >= 0; i--) {
		if (dart_devices[i])
			platform_device_unregister(dart_devices[i]);
		if (!IS_ERR_OR_NULL(nodes[i]))
			fwnode_remove_software_node(nodes[i]);
		kvfree(models[i]);
	}
	if (irq >= 0)
		irq_free_desc(irq);
	if (firmware_first)
		free_pages((unsigned long)firmware_first, get_order(GRANULE));
}

static int __init test_init(void)
{
	unsigned int i;
	int rc;

	rc = platform_driver_register(&master_driver);
	if (rc)
		return rc;
	rc = irq_make();
	for (i = 0; i < LATE && !rc; i++)
		rc = dart_make(i);
	for (i = 0; i < ARRAY_SIZE(places) && !rc; i++)
		rc = master_make(i);
	if (rc) {
		pr_err("granule-dart-test: the machine cannot be made (%d)\n",
		       rc);
		take_down();
		return rc;
	}
	run_tests();
	pr_info("granule-dart-test: 1..%d\n", number);
	return 0;
}
module_init(test_init);

static void __exit test_exit(void)
{
	take_down();
}
module_exit(test_exit);

MODULE_DESCRIPTION("Tests of granule-dart with a model of the hardware");
MODULE_LICENSE("GPL");
