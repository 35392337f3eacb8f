// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random scatterlists through dma_map_sg(), several alive at a time.
 *
 * Memory is known by its address (pool.c), so the device sees a list as it is
 * if, in order, each byte of each segment is what the list has there. What the
 * device writes is played by writing through the translations.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "list.h"

#define LISTS_ALIVE 4

static void list_limits(struct run *run, struct list *l)
{
	struct device *dev = run->t->dev;

	if (run->alone && one_in(run, 4)) {
		unsigned int bits = one_in(run, 4) ? 24 + random_below(run, 5) :
				    one_in(run, 2) ? 32 :
				    33 + random_below(run, 32);

		if (dma_set_mask(dev, DMA_BIT_MASK(bits)))
			dma_set_mask(dev, DMA_BIT_MASK(32));
		dma_set_seg_boundary(dev, one_in(run, 2) ? 0xffffffff :
				     (4096UL << random_below(run, 21)) - 1);
		dma_set_max_seg_size(dev, one_in(run, 2) ? UINT_MAX :
				     one_in(run, 2) ? 65536 :
				     4096 + random_below(run, 1 << 20));
	}
	l->mask_bits = fls64(*dev->dma_mask);
	l->boundary = dma_get_seg_boundary(dev);
	l->max_segment = dma_get_max_seg_size(dev);
}

/* How much IOVA space the list may take, holes and all. */
static u64 list_span(struct run *run, const struct list *l)
{
	u64 span = l->granules * run->t->granule;

	if (l->boundary + 1 > run->t->granule)
		span += l->nr * min(l->boundary + 1, span);
	return roundup_pow_of_two(span);
}

static bool crosses(const struct list *l, u64 at, u64 length)
{
	return (at & l->boundary) + length - 1 > l->boundary;
}

/* May the entry cross the boundary, since there is no place where it fits? */
static bool must_cross(struct run *run, const struct list *l,
		       const struct item *item)
{
	u64 offset = item->phys & (run->t->granule - 1);

	return crosses(l, offset & l->boundary, item->length);
}

static int check_limits(struct run *run, const struct list *l, int nr,
			const struct item *first, unsigned int items)
{
	const struct segment *s = &l->segments[nr];
	u64 end = s->dma + s->length, granule = run->t->granule;

	if (s->dma + s->length - 1 > DMA_BIT_MASK(l->mask_bits))
		return wrong(run, "segment %d is not below the device's mask",
			     nr);
	/* The core's own code lets others join what was too long alone. */
	if (s->length > l->max_segment && items > 1 &&
	    (run->t->ours || first->length <= l->max_segment))
		return wrong(run, "segment %d of %u entries is longer than the device takes",
			     nr, items);
	/* The core's own code goes on where an entry had to cross. */
	if (crosses(l, s->dma, s->length) &&
	    !(must_cross(run, l, first) && (items == 1 || !run->t->ours)))
		return wrong(run, "segment %d of %u entries crosses the device's boundary",
			     nr, items);
	if (!run->t->ours || first + items == l->items + l->nr)
		return 0;
	/* What could be one has to be. */
	first += items;
	if (!(end & (granule - 1)) && !(first->phys & (granule - 1)) &&
	    s[1].dma == end &&
	    (u64)s->length + first->length <= l->max_segment &&
	    !crosses(l, s->dma, s->length + first->length))
		return wrong(run, "segments %d and %d meet at %#llx and are not merged",
			     nr, nr + 1, end);
	return 0;
}

static int list_check_mapped(struct run *run, struct list *l, int nr)
{
	unsigned int i = 0, first;
	struct scatterlist *sg;
	u64 length = 0, at;
	int s, rc;

	if (nr < 1 || nr > l->nr)
		return wrong(run, "%u entries became %d segments", l->nr, nr);
	/* First all that a description shows. */
	for_each_sg(l->table, sg, nr, s) {
		l->segments[s].dma = sg_dma_address(sg);
		l->segments[s].length = sg_dma_len(sg);
		length += sg_dma_len(sg);
	}
	l->segments_nr = nr;
	for (s = 0; s < nr && i < l->nr; s++)
		for (at = 0; at < l->segments[s].length && i < l->nr; i++) {
			l->items[i].dma = l->segments[s].dma + at;
			at += l->items[i].length;
		}
	if (length != l->bytes)
		return wrong(run, "segments have %llu bytes, the list %llu",
			     length, l->bytes);
	for (s = 0, i = 0; s < nr; s++) {
		first = i;
		at = 0;
		while (at < l->segments[s].length && i < l->nr)
			at += l->items[i++].length;
		if (at != l->segments[s].length || first == i)
			return wrong(run, "segment %d ends within entry %u", s,
				     i - 1);
		run->merged += i - first - 1;
		rc = check_limits(run, l, s, &l->items[first], i - first);
		if (rc)
			return rc;
	}
	return 0;
}

static int list_view(struct run *run, struct list *l, u64 key,
		     unsigned int flags)
{
	unsigned int i;
	int rc;

	for (i = 0; i < l->nr; i++) {
		rc = view_check(run, l->items[i].dma, l->items[i].phys,
				l->items[i].length, key, flags);
		if (rc)
			return rc;
	}
	return 0;
}

/* Is it no wonder that there was no room? */
static bool may_fail(struct run *run, struct list *lists, struct list *l)
{
	u64 taken = list_span(run, l);
	int i;

	for (i = 0; i < LISTS_ALIVE; i++)
		if (lists[i].mapped)
			taken += list_span(run, &lists[i]);
	/* Each at a multiple of its size, so that half may be lost. */
	return run->alone && taken > BIT_ULL(min(l->mask_bits, 40U)) / 4;
}

static int list_map(struct run *run, struct list *lists, struct list *l)
{
	struct device *dev = run->t->dev;
	struct counters before;
	struct scatterlist *sg;
	unsigned long flags = 0;
	bool quiet;
	int nr, i, rc;

	l->dir = random_below(run, 8) < 3 ? DMA_TO_DEVICE :
		 one_in(run, 3) ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
	l->attrs = DMA_ATTR_NO_WARN;
	if (one_in(run, 6))
		l->attrs |= DMA_ATTR_SKIP_CPU_SYNC;
	if (one_in(run, 16))
		l->attrs |= DMA_ATTR_WEAK_ORDERING;
	if (one_in(run, 16))
		l->attrs |= DMA_ATTR_PRIVILEGED;
	l->sgtable = one_in(run, 2);
	l->seed = random_next(&run->rng);
	list_limits(run, l);
	list_make(run, l);

	if (run->alone)
		counters_read(run->t, &before);
	quiet = one_in(run, 4);
	if (quiet)
		local_irq_save(flags);
	if (l->sgtable) {
		rc = dma_map_sgtable(dev, &l->sgt, l->dir, l->attrs);
		nr = rc ? 0 : l->sgt.nents;
	} else {
		nr = dma_map_sg_attrs(dev, l->table, l->nr, l->dir, l->attrs);
		rc = nr ? 0 : -ENOMEM;
	}
	if (quiet)
		local_irq_restore(flags);

	if (rc) {
		run->refused++;
		if (!may_fail(run, lists, l))
			return wrong(run, "not mapped (%d), though there is room",
				     rc);
		if (rc != -ENOMEM)
			return wrong(run, "no room, but error %d", rc);
		for_each_sg(l->table, sg, l->nr, i)
			if (sg_dma_len(sg))
				return wrong(run, "not mapped, but entry %d has a DMA length of %#x",
					     i, sg_dma_len(sg));
		rc = counters_check(run, &before, "after a failure to map");
		return rc ?: list_check_restored(run, l, "by a failure to map");
	}

	l->mapped = true;
	rc = list_check_mapped(run, l, nr);
	if (rc)
		return rc;
	if (run->alone && before.v[MAPPED_GRANULES] >= 0) {
		s64 now = counter_read(run->t, MAPPED_GRANULES);

		if (now != before.v[MAPPED_GRANULES] + l->granules)
			return wrong(run, "%lld granules are mapped, %llu are needed",
				     now - before.v[MAPPED_GRANULES],
				     l->granules);
	}
	run->segments += nr;
	run->entries += l->nr;
	rc = list_check_restored(run, l, "by mapping it");
	return rc ?: list_view(run, l, 0, l->attrs & DMA_ATTR_SKIP_CPU_SYNC ?
			       VIEW_STALE : 0);
}

/*
 * Calls @fn for each part of the list that the device happens to write; the
 * same parts each time.
 */
static int each_written(struct run *run, struct list *l,
			int (*fn)(struct run *run, dma_addr_t dma,
				  phys_addr_t phys, u64 length))
{
	u64 rng = l->seed, at, n, r, from, length;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < l->nr; i++) {
		const struct item *item = &l->items[i];

		for (at = 0; at < item->length && !rc; at += n) {
			n = bytes_to_border(run->t, item->dma + at,
					    item->length - at);
			r = random_next(&rng);
			from = at;
			length = n;
			switch (r & 7) {
			case 0:
				continue;
			case 1:
				from += (r >> 8) % n;
				length = 1 + (r >> 32) % (at + n - from);
				break;
			}
			if (length <= 2048) {
				rc = fn(run, item->dma + from,
					item->phys + from, length);
				continue;
			}
			rc = fn(run, item->dma + from, item->phys + from, 300);
			from += length - 300;
			rc = rc ?: fn(run, item->dma + from, item->phys + from,
				      300);
		}
	}
	return rc;
}

static int write_device(struct run *run, dma_addr_t dma, phys_addr_t phys,
			u64 length)
{
	void *at = view_at(run->t, dma);

	if (!at)
		return wrong(run, "%#llx has gone", (u64)dma);
	content_put(at, KEY_DEVICE, phys, length);
	return 0;
}

int check_device(struct run *run, dma_addr_t dma, phys_addr_t phys, u64 length)
{
	s64 bad = content_diff(phys_to_virt(phys), KEY_DEVICE, phys, length);

	if (bad < 0)
		return 0;
	return wrong(run, "%#llx does not have what the device wrote to %#llx",
		     (u64)phys + bad, (u64)dma + bad);
}

static int write_back(struct run *run, dma_addr_t dma, phys_addr_t phys,
		      u64 length)
{
	content_put(phys_to_virt(phys), 0, phys, length);
	return 0;
}

/* Entries and what is around them: nothing of it has changed. */
static int list_check_memory(struct run *run, const struct list *l)
{
	u64 around = one_in(run, 8) ? run->t->granule : 600;
	unsigned int i;
	int rc;

	for (i = 0; i < l->nr; i++) {
		const struct item *item = &l->items[i];
		phys_addr_t end = item->phys + item->length;

		rc = block_check(run, item->block, item->phys - around,
				 around + min(item->length, 9000U));
		rc = rc ?: block_check(run, item->block,
				       end - min(item->length, 600U),
				       min(item->length, 600U) + around);
		if (rc)
			return rc;
	}
	return 0;
}

static void list_fill(struct list *l, u64 key)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		content_put(phys_to_virt(l->items[i].phys), key,
			    l->items[i].phys, l->items[i].length);
}

void list_sync(struct run *run, struct list *l, bool cpu)
{
	struct device *dev = run->t->dev;

	if (l->sgtable && cpu)
		dma_sync_sgtable_for_cpu(dev, &l->sgt, l->dir);
	else if (l->sgtable)
		dma_sync_sgtable_for_device(dev, &l->sgt, l->dir);
	else if (cpu)
		dma_sync_sg_for_cpu(dev, l->table, l->nr, l->dir);
	else
		dma_sync_sg_for_device(dev, l->table, l->nr, l->dir);
}

/* The CPU writes while the list is mapped, and hands it over. */
static int list_rewrite(struct run *run, struct list *l)
{
	int rc;

	if (!reads(l->dir) || l->bytes > 64 << 10)
		return 0;
	list_fill(l, KEY_CPU);
	list_sync(run, l, false);
	rc = list_view(run, l, KEY_CPU, 0);
	list_fill(l, 0);
	list_sync(run, l, false);
	return rc ?: list_view(run, l, 0, 0);
}

static int list_unmap(struct run *run, struct list *l)
{
	struct device *dev = run->t->dev;
	bool written = writes(l->dir), skip, quiet;
	struct counters before;
	unsigned long flags = 0;
	int i, rc = 0;

	skip = l->attrs & DMA_ATTR_SKIP_CPU_SYNC;
	if (written && !skip && one_in(run, 3)) {
		rc = each_written(run, l, write_device);
		list_sync(run, l, true);
		rc = rc ?: each_written(run, l, check_device);
	} else if (written) {
		if (skip && reads(l->dir))
			list_sync(run, l, false);
		rc = each_written(run, l, write_device);
		if (skip)
			list_sync(run, l, true);
	}
	if (rc)
		return rc;

	if (run->alone)
		counters_read(run->t, &before);
	quiet = one_in(run, 4);
	if (quiet)
		local_irq_save(flags);
	if (l->sgtable)
		dma_unmap_sgtable(dev, &l->sgt, l->dir, l->attrs);
	else
		dma_unmap_sg_attrs(dev, l->table, l->nr, l->dir, l->attrs);
	if (quiet)
		local_irq_restore(flags);
	l->mapped = false;

	if (written) {
		/* Without a first copy, what is not written is not defined. */
		rc = each_written(run, l, check_device);
		each_written(run, l, write_back);
		if (skip && !reads(l->dir))
			list_fill(l, 0);
	}
	rc = rc ?: list_check_memory(run, l);
	rc = rc ?: list_check_restored(run, l, "by unmapping it");
	for (i = 0; i < l->segments_nr && !rc; i++)
		rc = view_check_gone(run, l->segments[i].dma,
				     l->segments[i].length);
	if (!rc && run->alone && before.v[MAPPED_GRANULES] >= 0) {
		s64 now = counter_read(run->t, MAPPED_GRANULES);

		if (now != before.v[MAPPED_GRANULES] - l->granules)
			rc = wrong(run, "%lld granules were unmapped, %llu were mapped",
				   before.v[MAPPED_GRANULES] - now,
				   l->granules);
	}
	return rc;
}

/* Mapped, and all is as it has to be. The last that is done with it. */
static int list_finish(struct run *run, struct list *l, bool sample)
{
	unsigned long start = jiffies;
	struct sample s = {};
	int rc = sample ? sample_mapped(run, l, &s) : 0;

	run->sampling += jiffies - start;
	rc = rc ?: list_view(run, l, 0, l->attrs & DMA_ATTR_SKIP_CPU_SYNC ?
			     VIEW_STALE : 0);
	if (!rc && one_in(run, 3))
		rc = list_rewrite(run, l);
	rc = rc ?: list_unmap(run, l);
	start = jiffies;
	rc = rc ?: sample_gone(run, &s);
	run->sampling += jiffies - start;
	return rc;
}

/* One step with one of the lists. */
static int list_step(struct run *run, struct list *lists, bool sample)
{
	struct list *l = &lists[random_below(run, LISTS_ALIVE)];
	int rc;

	if (l->mapped) {
		rc = list_finish(run, l, sample);
	} else {
		run->lists++;
		rc = list_map(run, lists, l);
	}
	if (rc)
		list_describe(run, l);
	return rc;
}

/* A sample takes more than a second; on a busy host several. */
static u64 samples_least(unsigned int ms)
{
	return SAMPLE_PLACES + ms / 10000;
}

/*
 * Is its time over? A busy host gets five times as much, as far as it takes for
 * what is checked of the number of lists and samples.
 */
static bool list_over(struct run *run, unsigned long start)
{
	unsigned int ms = jiffies_to_msecs(jiffies - start);
	/* The end takes time, too. */
	u64 least = samples_least(ms + 10000);

	if (!run->ms || ms <= run->ms || !run->lists)
		return false;
	return !run->alone || ms > 5 * run->ms ||
	       (run->lists >= run->least && run->samples >= least &&
		(!run->t->domain || run->samples_gone >= least));
}

int list_play(struct run *run, u64 pool_bytes)
{
	unsigned long start = jiffies;
	struct counters before;
	struct list *lists;
	int i, rc = 0;

	lists = kvcalloc(LISTS_ALIVE, sizeof(*lists), GFP_KERNEL);
	if (!lists)
		return -ENOMEM;
	for (i = 0; i < LISTS_ALIVE && !rc; i++)
		rc = pool_init(run, &lists[i].pool, pool_bytes / LISTS_ALIVE);
	if (run->alone)
		counters_read(run->t, &before);
	while (!rc && run->lists < run->count) {
		/* The real device is slow: it gets a quarter of the time. */
		unsigned long quarter = (jiffies - start) / 4;

		rc = list_step(run, lists, run->alone &&
			       run->sampling <= quarter);
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
		if (list_over(run, start))
			break;
		cond_resched();
	}
	for (i = 0; i < LISTS_ALIVE; i++) {
		if (!rc && lists[i].mapped) {
			rc = list_unmap(run, &lists[i]);
			if (rc)
				list_describe(run, &lists[i]);
		} else if (lists[i].mapped) {
			dma_unmap_sg_attrs(run->t->dev, lists[i].table,
					   lists[i].nr, lists[i].dir,
					   lists[i].attrs);
		}
	}
	if (!rc && run->alone)
		rc = counters_check(run, &before, "when all is unmapped");
	for (i = 0; i < LISTS_ALIVE; i++)
		if (lists[i].pool.blocks)
			pool_exit(&lists[i].pool);
	kvfree(lists);
	return rc;
}

static int check_samples(struct run *run, unsigned int ms)
{
	u64 least = samples_least(ms);

	if (run->samples < least)
		return wrong(run, "%llu samples by edu in %u ms: too few",
			     run->samples, ms);
	if (run->t->domain && run->samples_gone < least)
		return wrong(run, "%llu samples of what was unmapped in %u ms: too few",
			     run->samples_gone, ms);
	return 0;
}

void test_lists(struct run *run)
{
	unsigned long start = jiffies;
	struct device *dev = run->t->dev;
	int rc = list_play(run, 64 << 20);
	unsigned int ms = jiffies_to_msecs(jiffies - start);

	dma_set_mask(dev, DMA_BIT_MASK(40));
	dma_set_seg_boundary(dev, 0xffffffff);
	dma_set_max_seg_size(dev, UINT_MAX);
	if (!rc && run->count > 500 && !run->merged)
		rc = wrong(run, "no two entries were ever merged");
	if (!rc && run->count > 500 && !run->t->trusted && !run->bounced)
		rc = wrong(run, "nothing was ever bounced");
	if (!rc && run->count > 500)
		rc = check_samples(run, ms);
	if (!rc && run->lists < run->least)
		rc = wrong(run, "%llu lists in %u ms: fewer than %llu",
			   run->lists, ms, run->least);
	result(run, rc, "lists: %llu lists in %u ms: %llu entries in %llu segments, %llu merged, %llu had no room, %llu pieces bounced; by edu in %u ms %llu samples, %llu of what was unmapped",
	       run->lists, ms, run->entries, run->segments, run->merged,
	       run->refused, run->bounced, jiffies_to_msecs(run->sampling),
	       run->samples, run->samples_gone);
}
