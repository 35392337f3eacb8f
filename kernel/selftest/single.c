// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single buffers: dma_map_page(), dma_map_single(), dma_map_resource(), what a
 * device's limits say, and an address space that is full.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "selftest.h"

#define SINGLE_MAX (1 << 20)

struct single {
	const struct block *block;
	phys_addr_t phys;
	u64 size;
	dma_addr_t dma;
	enum dma_data_direction dir;
	unsigned long attrs;
	bool page;		/* by dma_map_page() */
};

/* Every class of offset and length in a granule comes up. */
static void single_pick(struct run *run, struct pool *pool, struct single *s)
{
	u64 granule = run->t->granule, start, max;

	s->block = &pool->blocks[random_below(run, pool->nr)];
	start = random_below(run, block_size(s->block));
	switch (random_below(run, 5)) {
	case 0:
		start = 0;
		break;
	case 1:
		start &= PAGE_MASK;
		break;
	case 2:
		start &= -granule;
		break;
	}
	s->phys = block_phys(s->block) + start;
	max = min_t(u64, block_size(s->block) - start, SINGLE_MAX);
	switch (random_below(run, 5)) {
	case 0:
		s->size = max;
		break;
	case 1:
		s->size = PAGE_SIZE;
		break;
	case 2:
		/* Up to, or a byte around, the end of a granule. */
		s->size = granule - (s->phys & (granule - 1)) +
			  random_below(run, 3) - 1;
		break;
	case 3:
		s->size = 1 + random_below(run, max);
		break;
	default:
		s->size = 1 + random_below(run, 3000);
	}
	s->size = clamp(s->size, 1ULL, max);
	s->dir = one_in(run, 3) ? DMA_BIDIRECTIONAL :
		 one_in(run, 2) ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	s->attrs = DMA_ATTR_NO_WARN;
	if (one_in(run, 5))
		s->attrs |= DMA_ATTR_SKIP_CPU_SYNC;
	s->page = one_in(run, 2);
}

static void single_map(struct run *run, struct single *s)
{
	u64 start = s->phys - block_phys(s->block);
	u64 first = random_below(run, (start >> PAGE_SHIFT) + 1);

	if (s->page)
		s->dma = dma_map_page_attrs(run->t->dev,
					    s->block->page + first,
					    start - (first << PAGE_SHIFT),
					    s->size, s->dir, s->attrs);
	else
		s->dma = dma_map_single_attrs(run->t->dev,
					      phys_to_virt(s->phys), s->size,
					      s->dir, s->attrs);
}

static void single_unmap(struct run *run, struct single *s)
{
	if (s->page)
		dma_unmap_page_attrs(run->t->dev, s->dma, s->size, s->dir,
				     s->attrs);
	else
		dma_unmap_single_attrs(run->t->dev, s->dma, s->size, s->dir,
				       s->attrs);
}

static int device_put(struct run *run, const struct single *s, u64 from,
		      u64 to, u64 key)
{
	u64 n;

	for (; from < to; from += n) {
		void *at = view_at(run->t, s->dma + from);

		n = bytes_to_border(run->t, s->dma + from, to - from);
		if (!at)
			return wrong(run, "%#llx is not mapped",
				     (u64)s->dma + from);
		content_put(at, key, s->phys + from, n);
	}
	return 0;
}

static int memory_check(struct run *run, const struct single *s, u64 from,
			u64 to, u64 key, const char *when)
{
	s64 bad = content_diff(phys_to_virt(s->phys + from), key,
			       s->phys + from, to - from);

	if (bad < 0)
		return 0;
	return wrong(run, "%s: memory at %#llx is not what it has to be",
		     when, (u64)s->phys + from + bad);
}

/* A part of the buffer changes hands, both ways. */
static int single_sync(struct run *run, struct single *s)
{
	u64 from = one_in(run, 3) ? 0 : random_below(run, s->size);
	u64 to = one_in(run, 3) ? s->size :
		 from + 1 + random_below(run, s->size - from);
	struct device *dev = run->t->dev;
	void *at = phys_to_virt(s->phys + from);
	int rc;

	if (reads(s->dir)) {
		content_put(at, KEY_CPU, s->phys + from, to - from);
		dma_sync_single_for_device(dev, s->dma + from, to - from,
					   s->dir);
		rc = view_check(run, s->dma + from, s->phys + from, to - from,
				KEY_CPU, VIEW_PARTIAL);
		content_put(at, KEY_POOL, s->phys + from, to - from);
		dma_sync_single_for_device(dev, s->dma + from, to - from,
					   s->dir);
		if (rc)
			return rc;
	}
	if (writes(s->dir)) {
		rc = device_put(run, s, from, to, KEY_DEVICE);
		dma_sync_single_for_cpu(dev, s->dma + from, to - from, s->dir);
		rc = rc ?: memory_check(run, s, from, to, KEY_DEVICE,
					"after a sync for the CPU");
		rc = rc ?: device_put(run, s, from, to, KEY_POOL);
		dma_sync_single_for_cpu(dev, s->dma + from, to - from, s->dir);
		if (rc)
			return rc;
	}
	return 0;
}

static int single_one(struct run *run, struct single *s)
{
	bool skip = s->attrs & DMA_ATTR_SKIP_CPU_SYNC, quiet = one_in(run, 4);
	u64 granules = granules_around(run->t, s->phys, s->size), from, to;
	struct device *dev = run->t->dev;
	struct counters before;
	unsigned long flags = 0;
	int rc;

	if (run->alone)
		counters_read(run->t, &before);
	if (quiet)
		local_irq_save(flags);
	single_map(run, s);
	if (quiet)
		local_irq_restore(flags);
	if (dma_mapping_error(dev, s->dma))
		return wrong(run, "not mapped");
	if (s->dma + s->size - 1 > *dev->dma_mask)
		return wrong(run, "not below the device's mask");
	if (run->alone && before.v[MAPPED_GRANULES] >= 0 &&
	    counter_read(run->t, MAPPED_GRANULES) !=
	    before.v[MAPPED_GRANULES] + granules)
		return wrong(run, "%lld granules are mapped, %llu are needed",
			     counter_read(run->t, MAPPED_GRANULES) -
			     before.v[MAPPED_GRANULES], granules);
	rc = view_check(run, s->dma, s->phys, s->size, KEY_POOL,
			skip ? VIEW_STALE : 0);
	if (rc)
		return rc;
	/* From here on it has its content. */
	if (skip && reads(s->dir))
		dma_sync_single_for_device(dev, s->dma, s->size, s->dir);
	if (!skip && one_in(run, 2)) {
		rc = single_sync(run, s);
		if (rc)
			return rc;
	}

	from = random_below(run, s->size);
	to = from + 1 + random_below(run, s->size - from);
	if (writes(s->dir)) {
		rc = device_put(run, s, from, to, KEY_DEVICE);
		if (rc)
			return rc;
		if (skip)
			dma_sync_single_for_cpu(dev, s->dma + from, to - from,
						s->dir);
	}
	if (quiet)
		local_irq_save(flags);
	single_unmap(run, s);
	if (quiet)
		local_irq_restore(flags);
	if (writes(s->dir)) {
		rc = memory_check(run, s, from, to, KEY_DEVICE,
				  "after unmapping");
		content_put(phys_to_virt(s->phys + from), KEY_POOL,
			    s->phys + from, to - from);
	}
	rc = rc ?: block_check(run, s->block, s->phys - run->t->granule,
			       run->t->granule + min(s->size, 9000ULL));
	rc = rc ?: block_check(run, s->block,
			       s->phys + s->size - min(s->size, 600ULL),
			       run->t->granule);
	rc = rc ?: view_check_gone(run, s->dma, s->size);
	if (!rc && run->alone)
		rc = counters_check(run, &before, "after unmapping");
	return rc;
}

int single_play(struct run *run, u64 pool_bytes)
{
	unsigned long end = jiffies + msecs_to_jiffies(run->ms);
	struct single s = {};
	struct pool pool;
	int rc = pool_init(run, &pool, pool_bytes);

	for (; !rc && run->lists < run->count; run->lists++) {
		single_pick(run, &pool, &s);
		rc = single_one(run, &s);
		if (rc == -EBADMSG)
			say(run->report, "# buffer %llu: %#llx+%#llx at %#llx, direction %d, attrs %#lx, by %s",
			    run->lists, (u64)s.phys, s.size, (u64)s.dma, s.dir,
			    s.attrs, s.page ? "page" : "address");
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
		if (run->ms && run->lists && time_after(jiffies, end))
			break;
		cond_resched();
	}
	if (pool.blocks)
		pool_exit(&pool);
	return rc;
}

void test_singles(struct run *run)
{
	int rc = single_play(run, 16 << 20);

	if (!rc && !run->t->trusted && !run->bounced)
		rc = wrong(run, "nothing was ever bounced");
	result(run, rc, "singles: %llu buffers, %llu pieces bounced",
	       run->lists, run->bounced);
}

/* The registers of another edu, or else of our own. */
static struct pci_dev *resource_owner(struct run *run)
{
	struct pci_dev *pdev = NULL;

	while ((pdev = pci_get_device(0x1234, 0x11e8, pdev)))
		if (pdev != run->t->pdev)
			return pdev;
	return pci_dev_get(run->t->pdev);
}

static int resource_one(struct run *run, phys_addr_t phys, u64 size)
{
	u64 mask = run->t->granule - 1;
	bool exact = !((phys | size) & mask);
	struct device *dev = run->t->dev;
	struct counters before;
	dma_addr_t dma;
	u64 at;

	/* The DMA debugging code keeps what was refused as if it was mapped. */
	if (IS_ENABLED(CONFIG_DMA_API_DEBUG) && !run->t->trusted && !exact)
		return 0;
	counters_read(run->t, &before);
	dma = dma_map_resource(dev, phys, size, DMA_BIDIRECTIONAL, 0);
	if (dma_mapping_error(dev, dma)) {
		if (run->t->trusted || exact)
			return wrong(run, "%#llx+%#llx is not mapped",
				     (u64)phys, size);
		return counters_check(run, &before, "after a refusal");
	}
	if (run->t->ours && !run->t->trusted && !exact)
		return wrong(run, "an untrusted device gets what is around %#llx+%#llx",
			     (u64)phys, size);
	for (at = 0; at < size; at += min(run->t->granule, size - at))
		if (view_phys(run->t, dma + at) != phys + at)
			return wrong(run, "%#llx leads to %#llx, not to %#llx",
				     (u64)dma + at,
				     (u64)view_phys(run->t, dma + at),
				     (u64)phys + at);
	dma_unmap_resource(dev, dma, size, DMA_BIDIRECTIONAL, 0);
	return view_check_gone(run, dma, size) ?:
	       counters_check(run, &before, "after unmapping a resource");
}

/* The real device reads a register of the other one. */
static int resource_read(struct run *run, struct pci_dev *other,
			 phys_addr_t phys)
{
	struct device *dev = run->t->dev;
	u64 size = run->t->granule;
	u16 command;
	dma_addr_t dma;
	u32 id = 0;
	int rc;

	pci_read_config_word(other, PCI_COMMAND, &command);
	pci_write_config_word(other, PCI_COMMAND,
			      command | PCI_COMMAND_MEMORY);
	dma = dma_map_resource(dev, phys, size, DMA_TO_DEVICE, 0);
	if (dma_mapping_error(dev, dma)) {
		rc = wrong(run, "%#llx+%#llx is not mapped", (u64)phys, size);
	} else {
		rc = edu_read(run->t, dma, sizeof(id)) ?:
		     edu_get(run->t, &id, sizeof(id));
		dma_unmap_resource(dev, dma, size, DMA_TO_DEVICE, 0);
		if (!rc && id != 0x010000ed)
			rc = wrong(run, "edu reads %#x from the other's first register",
				   id);
	}
	pci_write_config_word(other, PCI_COMMAND, command);
	return rc;
}

void test_resource(struct run *run)
{
	static const u64 starts[] = {
		0, 0x1000, 0x4000, 0x10000, 0x800, 0x3ffc,
	}, sizes[] = {
		0x1000, 0x4000, 0x10000, 0x40000, 4, 0x5000,
	};
	struct pci_dev *other = resource_owner(run);
	phys_addr_t phys = pci_resource_start(other, 0);
	int i, j, rc = 0;

	for (i = 0; i < ARRAY_SIZE(starts) && !rc; i++)
		for (j = 0; j < ARRAY_SIZE(sizes) && !rc; j++)
			rc = resource_one(run, phys + starts[i], sizes[j]);
	if (!rc && other != run->t->pdev)
		rc = resource_read(run, other, phys);
	result(run, rc, "resource: parts of the registers of %s%s",
	       pci_name(other), other == run->t->pdev ? "" :
	       ", and its first one read by edu");
	pci_dev_put(other);
}

/*
 * 16 MiB of addresses, in pieces of 1 MiB till none is left. A list that needs
 * two pieces must leave nothing behind when there is one.
 */
#define SPACE_PIECES 16

static int space_fill(struct run *run, struct page *page, dma_addr_t *dma,
		      unsigned int *n)
{
	struct device *dev = run->t->dev;
	struct scatterlist sg[2], *s;
	struct counters full;
	unsigned int hole;
	int i, nr;

	for (*n = 0; *n <= SPACE_PIECES; (*n)++) {
		dma[*n] = dma_map_page_attrs(dev, page, 0, SZ_1M,
					     DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
		if (dma_mapping_error(dev, dma[*n]))
			break;
	}
	/* Each may take twice its size, for a gap; none is at 0. */
	if (*n > SPACE_PIECES || *n < SPACE_PIECES / 2 - 1)
		return wrong(run, "%u MiB in an address space of 16 MiB", *n);
	hole = random_below(run, *n);
	dma_unmap_page(dev, dma[hole], SZ_1M, DMA_TO_DEVICE);
	dma[hole] = dma[--*n];
	counters_read(run->t, &full);
	sg_init_table(sg, 2);
	for_each_sg(sg, s, 2, i)
		sg_set_page(s, page, SZ_1M, 0);
	nr = dma_map_sg_attrs(dev, sg, 2, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	if (nr)
		return wrong(run, "2 MiB where 1 MiB is free");
	if (sg_dma_len(&sg[0]) || sg_dma_len(&sg[1]))
		return wrong(run, "not mapped, but with a DMA length");
	if (counters_check(run, &full, "after a failure"))
		return -EBADMSG;
	if (dma_map_sg_attrs(dev, sg, 1, DMA_TO_DEVICE,
			     DMA_ATTR_NO_WARN) != 1)
		return wrong(run, "no 1 MiB where 1 MiB is free");
	dma_unmap_sg(dev, sg, 1, DMA_TO_DEVICE);
	return counters_check(run, &full, "after 1 MiB more");
}

void test_space(struct run *run)
{
	struct page *page = alloc_pages(GFP_KERNEL, get_order(SZ_1M));
	struct device *dev = run->t->dev;
	dma_addr_t dma[SPACE_PIECES + 1];
	struct counters before;
	unsigned int i, n = 0;
	int rc = page ? dma_set_mask(dev, DMA_BIT_MASK(24)) : -ENOMEM;

	if (!rc) {
		counters_read(run->t, &before);
		rc = space_fill(run, page, dma, &n);
		for (i = 0; i < n; i++)
			dma_unmap_page(dev, dma[i], SZ_1M, DMA_TO_DEVICE);
		rc = rc ?: counters_check(run, &before, "when all is unmapped");
	}
	dma_set_mask(dev, DMA_BIT_MASK(40));
	if (page)
		__free_pages(page, get_order(SZ_1M));
	result(run, rc, "space: a device of 24 bits has %u MiB at most", n + 1);
}

/* What a driver is told to go by. */
void test_limits(struct run *run)
{
	struct device *dev = run->t->dev;
	size_t max = dma_max_mapping_size(dev), opt = dma_opt_mapping_size(dev);
	unsigned long merge = dma_get_merge_boundary(dev);
	size_t size = min_t(size_t, max, SZ_2M);
	struct page *page = alloc_pages(GFP_KERNEL, get_order(SZ_2M));
	dma_addr_t dma;
	int rc = page ? 0 : -ENOMEM;

	if (!rc && (max < PAGE_SIZE || opt > max))
		rc = wrong(run, "dma_max_mapping_size() %zu, dma_opt_mapping_size() %zu",
			   max, opt);
	if (!rc && run->t->domain && merge != run->t->granule - 1)
		rc = wrong(run, "dma_get_merge_boundary() %#lx at a granule of %#llx",
			   merge, run->t->granule);
	if (!rc) {
		dma = dma_map_page(dev, page, 0, size, DMA_TO_DEVICE);
		if (dma_mapping_error(dev, dma))
			rc = wrong(run, "dma_max_mapping_size() is %zu, but %zu are refused",
				   max, size);
		else
			dma_unmap_page(dev, dma, size, DMA_TO_DEVICE);
	}
	if (page)
		__free_pages(page, get_order(SZ_2M));
	result(run, rc, "limits: mappings up to %#zx, best up to %#zx, merged by %#lx",
	       max, opt, merge);
}
