// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the DMA API allocates: coherent, pages, and not contiguous.
 */
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/dma.h"
#include "selftest.h"

static const size_t alloc_sizes[] = {
	1, 512, 4095, 4096, 4097, 3 * 4096, 16384, 16385, 65536, 65537,
	SZ_1M, SZ_4M, SZ_4M + SZ_4K, SZ_16M, 33 * SZ_1M,
};

/* A buffer of any kind; one of cpu and pages may be missing. */
struct buffer {
	void *cpu;
	dma_addr_t dma;
	size_t size;
	unsigned long attrs;
};

/* Where the device sees byte @at, as the content of which address. */
static int buffer_seen(struct run *run, const struct buffer *b, bool put,
		       u64 key)
{
	u64 at, n;
	void *seen;
	s64 bad;

	for (at = 0; at < b->size; at += n) {
		n = bytes_to_border(run->t, b->dma + at, b->size - at);
		seen = view_at(run->t, b->dma + at);
		if (!seen || view_at(run->t, b->dma + at + n - 1) !=
			     seen + n - 1)
			return wrong(run, "%#llx+%#llx is not mapped",
				     (u64)b->dma + at, n);
		if (put) {
			content_put(seen, key, b->dma + at, n);
			continue;
		}
		bad = content_diff(seen, key, b->dma + at, n);
		if (bad >= 0)
			return wrong(run, "the device does not see at %#llx what the CPU wrote",
				     (u64)b->dma + at + bad);
	}
	return 0;
}

/* What else is in the first and last granule: nothing. */
static int buffer_beside(struct run *run, const struct buffer *b)
{
	u64 granule = run->t->granule, offset = b->dma & (granule - 1);
	u64 end = b->dma + b->size, left = -end & (granule - 1);
	u8 *seen = view_at(run->t, b->dma), *bad = NULL;

	if (run->t->trusted)
		return 0;
	if (offset)
		bad = memchr_inv(seen - offset, 0, offset);
	seen = view_at(run->t, end - 1);
	if (!bad && left)
		bad = memchr_inv(seen + 1, 0, left);
	if (bad)
		return wrong(run, "an untrusted device sees %#x beside its buffer",
			     *bad);
	return 0;
}

/* Writes all of it, by the CPU and as the device. */
static int buffer_check(struct run *run, const struct buffer *b)
{
	u64 align = PAGE_SIZE << get_order(b->size), at, n;
	u8 *bad;
	s64 diff;
	int rc;

	if (b->dma & (align - 1))
		return wrong(run, "%#llx is not aligned to %#llx", (u64)b->dma,
			     align);
	if (b->dma + b->size - 1 > run->t->dev->coherent_dma_mask)
		return wrong(run, "%#llx is not below the device's mask",
			     (u64)b->dma);
	if (!b->cpu) {
		rc = buffer_seen(run, b, true, KEY_DEVICE);
		rc = rc ?: buffer_seen(run, b, false, KEY_DEVICE);
		return rc ?: buffer_beside(run, b);
	}
	if (!PAGE_ALIGNED(b->cpu))
		return wrong(run, "the CPU's address is not a page's");
	bad = memchr_inv(b->cpu, 0, b->size);
	if (bad)
		return wrong(run, "new memory has %#x at %#zx", *bad,
			     (size_t)(bad - (u8 *)b->cpu));
	content_put(b->cpu, KEY_CPU, b->dma, b->size);
	rc = buffer_seen(run, b, false, KEY_CPU);
	rc = rc ?: buffer_beside(run, b);
	rc = rc ?: buffer_seen(run, b, true, KEY_DEVICE);
	if (rc)
		return rc;
	for (at = 0; at < b->size; at += n) {
		n = min_t(u64, b->size - at, SZ_64K);
		diff = content_diff(b->cpu + at, KEY_DEVICE, b->dma + at, n);
		if (diff >= 0)
			return wrong(run, "the CPU does not see what the device wrote at %#llx",
				     (u64)b->dma + at + diff);
	}
	return 0;
}

static int buffer_contiguous(struct run *run, const struct buffer *b)
{
	phys_addr_t first = view_phys(run->t, b->dma);
	u64 at;

	for (at = 0; at < b->size; at += PAGE_SIZE)
		if (view_phys(run->t, b->dma + at) != first + at)
			return wrong(run, "not contiguous at %#llx", at);
	return 0;
}

/* What belongs to the buffer, by get_sgtable(), is what the device sees. */
static int buffer_sgtable(struct run *run, const struct buffer *b)
{
	struct sg_table sgt;
	struct scatterlist *sg;
	u64 at = 0, n;
	int i, rc;

	rc = dma_get_sgtable_attrs(run->t->dev, &sgt, b->cpu, b->dma, b->size,
				   b->attrs);
	if (rc)
		return wrong(run, "dma_get_sgtable() says %d", rc);
	for_each_sgtable_sg(&sgt, sg, i)
		for (n = 0; n < sg->length && at < b->size && !rc;
		     n += PAGE_SIZE, at += PAGE_SIZE)
			if (view_phys(run->t, b->dma + at) != sg_phys(sg) + n)
				rc = wrong(run, "dma_get_sgtable() tells of other memory at %#llx",
					   at);
	if (!rc && at < b->size)
		rc = wrong(run, "dma_get_sgtable() ends at %#llx of %#zx", at,
			   b->size);
	sg_free_table(&sgt);
	return rc;
}

static bool buffer_alloc(struct run *run, struct buffer *b, size_t size,
			 gfp_t gfp, unsigned long attrs)
{
	b->size = size;
	b->attrs = attrs | DMA_ATTR_NO_WARN;
	b->cpu = dma_alloc_attrs(run->t->dev, size, &b->dma, gfp, b->attrs);
	return b->cpu;
}

static void buffer_free(struct run *run, struct buffer *b)
{
	dma_free_attrs(run->t->dev, b->size, b->cpu, b->dma, b->attrs);
	b->cpu = NULL;
}

/* As many as it needs: what was left over of its blocks is not there. */
static int coherent_granules(struct run *run, const struct buffer *b,
			     const struct counters *before)
{
	s64 mapped = counter_read(run->t, MAPPED_GRANULES) -
		     before->v[MAPPED_GRANULES];
	u64 need = granules_around(run->t, b->dma, b->size);

	if (!run->t->ours || mapped == need)
		return 0;
	return wrong(run, "%lld granules are mapped for %zu bytes, %llu are needed",
		     mapped, b->size, need);
}

static int coherent_one(struct run *run, size_t size, gfp_t gfp)
{
	struct counters before;
	struct buffer b;
	int rc;

	counters_read(run->t, &before);
	if (!buffer_alloc(run, &b, size, gfp, 0))
		return wrong(run, "not allocated");
	rc = coherent_granules(run, &b, &before);
	rc = rc ?: buffer_check(run, &b);
	rc = rc ?: buffer_sgtable(run, &b);
	buffer_free(run, &b);
	rc = rc ?: view_check_gone(run, b.dma, size);
	rc = rc ?: counters_check(run, &before, "after freeing");
	if (rc)
		say(run->report, "# size %#zx gfp %#x at %#llx", size,
		    (__force unsigned int)gfp, (u64)b.dma);
	return rc;
}

static int test_coherent(struct run *run)
{
	int i, rc = 0;

	for (i = 0; i < ARRAY_SIZE(alloc_sizes) && !rc; i++)
		rc = coherent_one(run, alloc_sizes[i], GFP_KERNEL);
	for (i = 0; i < 9 && !rc; i++)
		rc = coherent_one(run, alloc_sizes[i], GFP_ATOMIC);
	return rc;
}

/* Freed in another order than they were made in. */
static int test_order(struct run *run)
{
	const size_t n = 24;
	struct buffer *b = kcalloc(n, sizeof(*b), GFP_KERNEL);
	struct counters before;
	unsigned int i, left;
	int rc = b ? 0 : -ENOMEM;

	counters_read(run->t, &before);
	for (i = 0; i < n && !rc; i++) {
		size_t size = alloc_sizes[random_below(run, 11)];

		if (!buffer_alloc(run, &b[i], size, GFP_KERNEL, 0))
			rc = wrong(run, "buffer %u of %#zx is not allocated", i,
				   size);
		rc = rc ?: buffer_check(run, &b[i]);
	}
	for (left = i; left;) {
		i = random_below(run, n);
		if (!b[i].cpu)
			continue;
		/* Nobody else has written into it. */
		if (!rc && content_diff(b[i].cpu, KEY_DEVICE, b[i].dma,
					b[i].size) >= 0)
			rc = wrong(run, "two buffers share memory");
		buffer_free(run, &b[i]);
		left--;
	}
	kfree(b);
	return rc ?: counters_check(run, &before, "when all is freed");
}

static int test_attrs(struct run *run)
{
	static const struct {
		unsigned long attrs;
		size_t size;
		bool may_fail;
	} cases[] = {
		{ DMA_ATTR_NO_KERNEL_MAPPING, 5000 },
		{ DMA_ATTR_NO_KERNEL_MAPPING, SZ_4M + SZ_4K },
		{ DMA_ATTR_FORCE_CONTIGUOUS, 3 * SZ_4K },
		{ DMA_ATTR_FORCE_CONTIGUOUS, SZ_1M },
		/* More than the page allocator has in one piece. */
		{ DMA_ATTR_FORCE_CONTIGUOUS, SZ_16M, true },
		{ DMA_ATTR_ALLOC_SINGLE_PAGES, SZ_1M },
		{ DMA_ATTR_WRITE_COMBINE, SZ_64K },
		{ DMA_ATTR_WEAK_ORDERING, SZ_16K },
		{ DMA_ATTR_PRIVILEGED, SZ_16K },
	};
	struct counters before;
	struct buffer b;
	int i, rc = 0;

	counters_read(run->t, &before);
	for (i = 0; i < ARRAY_SIZE(cases) && !rc; i++) {
		void *cookie;

		/* The kernel's own code has the page allocator warn. */
		if (cases[i].may_fail && !run->t->ours)
			continue;
		if (!buffer_alloc(run, &b, cases[i].size, GFP_KERNEL,
				  cases[i].attrs)) {
			if (!cases[i].may_fail)
				rc = wrong(run, "not allocated");
			goto next;
		}
		cookie = b.cpu;
		/* Not an address then, only good for giving it back. */
		if (cases[i].attrs & DMA_ATTR_NO_KERNEL_MAPPING)
			b.cpu = NULL;
		rc = buffer_check(run, &b);
		if (!rc && cases[i].attrs & DMA_ATTR_FORCE_CONTIGUOUS)
			rc = buffer_contiguous(run, &b);
		b.cpu = cookie;
		rc = rc ?: buffer_sgtable(run, &b);
		buffer_free(run, &b);
next:
		rc = rc ?: counters_check(run, &before, "after freeing");
		if (rc)
			say(run->report, "# attrs %#lx size %#zx",
			    cases[i].attrs, cases[i].size);
	}
	return rc;
}

/* One piece of memory, whichever way it is used. */
static int test_pages(struct run *run)
{
	struct device *dev = run->t->dev;
	struct counters before;
	struct buffer b = {};
	struct page *page;
	int i, rc = 0;

	counters_read(run->t, &before);
	for (i = 0; alloc_sizes[i] <= SZ_1M && !rc; i++) {
		enum dma_data_direction dir = i % 3;

		b.size = alloc_sizes[i];
		page = dma_alloc_pages(dev, b.size, &b.dma, dir, GFP_KERNEL);
		if (!page) {
			rc = wrong(run, "no pages for %zu bytes", b.size);
			break;
		}
		b.cpu = page_address(page);
		/* Not promised here. */
		if (b.dma & (PAGE_SIZE - 1))
			rc = wrong(run, "%#llx is not a page's", (u64)b.dma);
		if (!rc && memchr_inv(b.cpu, 0, b.size))
			rc = wrong(run, "new pages are not zero");
		content_put(b.cpu, KEY_CPU, b.dma, b.size);
		dma_sync_single_for_device(dev, b.dma, b.size, dir);
		rc = rc ?: buffer_seen(run, &b, false, KEY_CPU);
		rc = rc ?: buffer_contiguous(run, &b);
		rc = rc ?: buffer_beside(run, &b);
		rc = rc ?: buffer_seen(run, &b, true, KEY_DEVICE);
		dma_sync_single_for_cpu(dev, b.dma, b.size, dir);
		if (!rc && content_diff(b.cpu, KEY_DEVICE, b.dma, b.size) >= 0)
			rc = wrong(run, "the CPU does not see what the device wrote");
		dma_free_pages(dev, b.size, page, b.dma, dir);
		rc = rc ?: counters_check(run, &before, "after freeing pages");
		if (rc)
			say(run->report, "# size %#zx", b.size);
	}
	return rc;
}

static int noncontiguous_one(struct run *run, size_t size)
{
	struct device *dev = run->t->dev;
	enum dma_data_direction dir = DMA_BIDIRECTIONAL;
	struct buffer b = { .size = size };
	struct counters before;
	struct scatterlist *sg;
	struct sg_table *sgt;
	u64 at = 0, n;
	int i, rc = 0;

	counters_read(run->t, &before);
	sgt = dma_alloc_noncontiguous(dev, size, dir, GFP_KERNEL, 0);
	/* Some kernels want one piece from all but their own code. */
	if (!sgt && size > SZ_4M && run->t->ours &&
	    !COMPAT_NONCONTIGUOUS_PIECES)
		return counters_check(run, &before, "after a failure");
	if (!sgt)
		return wrong(run, "%#zx bytes are not allocated", size);
	b.dma = sg_dma_address(sgt->sgl);
	if (sgt->nents != 1 || sg_dma_len(sgt->sgl) < size)
		rc = wrong(run, "%u DMA segments, the first of %#x", sgt->nents,
			   sg_dma_len(sgt->sgl));
	for_each_sgtable_sg(sgt, sg, i)
		for (n = 0; n < sg->length && at < size && !rc;
		     n += PAGE_SIZE, at += PAGE_SIZE)
			if (view_phys(run->t, b.dma + at) != sg_phys(sg) + n)
				rc = wrong(run, "the list tells of other memory at %#llx",
					   at);
	if (!rc && at < size)
		rc = wrong(run, "the list ends at %#llx", at);
	b.cpu = dma_vmap_noncontiguous(dev, size, sgt);
	if (!b.cpu) {
		rc = rc ?: wrong(run, "no CPU address");
	} else {
		/* The core's own code does not clear them in 6.1. */
		if (!run->t->ours)
			memset(b.cpu, 0, size);
		rc = rc ?: buffer_check(run, &b);
		dma_sync_sgtable_for_device(dev, sgt, dir);
		dma_sync_sgtable_for_cpu(dev, sgt, dir);
		if (!rc && content_diff(b.cpu, KEY_DEVICE, b.dma, size) >= 0)
			rc = wrong(run, "a sync changes the memory");
		dma_vunmap_noncontiguous(dev, b.cpu);
	}
	dma_free_noncontiguous(dev, size, sgt, dir);
	rc = rc ?: view_check_gone(run, b.dma, size);
	rc = rc ?: counters_check(run, &before, "after freeing");
	if (rc)
		say(run->report, "# size %#zx", size);
	return rc;
}

static int test_noncontiguous(struct run *run)
{
	int i, rc = 0;

	for (i = 0; i < ARRAY_SIZE(alloc_sizes) && !rc; i++)
		rc = noncontiguous_one(run, alloc_sizes[i]);
	return rc;
}

/* Memory that is not the allocator's has no table. */
static int test_foreign(struct run *run)
{
	struct device *dev = run->t->dev;
	struct sg_table sgt;
	dma_addr_t dma;
	void *cpu;
	int rc;

	cpu = (void *)__get_free_pages(GFP_KERNEL, get_order(SZ_64K));
	if (!cpu)
		return -ENOMEM;
	dma = dma_map_single(dev, cpu, SZ_64K, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, dma)) {
		rc = wrong(run, "not mapped");
	} else {
		rc = dma_get_sgtable(dev, &sgt, cpu, dma, SZ_64K);
		if (!rc)
			sg_free_table(&sgt);
		rc = rc == -ENXIO ? 0 :
		     wrong(run, "dma_get_sgtable() of foreign memory: %d", rc);
		dma_unmap_single(dev, dma, SZ_64K, DMA_BIDIRECTIONAL);
	}
	free_pages((unsigned long)cpu, get_order(SZ_64K));
	return rc;
}

/* Nor is there more of a buffer than was made. */
static int test_too_much(struct run *run)
{
	struct sg_table sgt;
	struct buffer b;
	int rc;

	if (!buffer_alloc(run, &b, SZ_64K, GFP_KERNEL, 0))
		return wrong(run, "not allocated");
	rc = dma_get_sgtable(run->t->dev, &sgt, b.cpu, b.dma, SZ_128K);
	if (!rc)
		sg_free_table(&sgt);
	buffer_free(run, &b);
	return rc == -ENXIO ? 0 :
	       wrong(run, "dma_get_sgtable() of twice the buffer: %d", rc);
}

void test_allocs(struct run *run)
{
	result(run, test_coherent(run), "allocs: coherent memory of %zu sizes, 1 byte to 33 MiB",
	       ARRAY_SIZE(alloc_sizes));
	result(run, test_order(run), "allocs: freed in any order");
	result(run, test_attrs(run), "allocs: attributes");
	result(run, test_pages(run), "allocs: dma_alloc_pages()");
	result(run, test_noncontiguous(run), "allocs: dma_alloc_noncontiguous()");
	if (!run->t->ours)
		return;
	result(run, test_foreign(run), "allocs: no table for memory of another allocator");
	result(run, test_too_much(run), "allocs: no table for more than there is");
}

/* Beside others. */
int alloc_play(struct run *run)
{
	unsigned long end = jiffies + msecs_to_jiffies(run->ms);
	struct buffer b;
	int rc = 0;

	for (; !rc && run->lists < run->count; run->lists++) {
		size_t size = alloc_sizes[random_below(run, 11)];
		gfp_t gfp = one_in(run, 3) ? GFP_ATOMIC : GFP_KERNEL;

		if (gfp == GFP_ATOMIC)
			size = min_t(size_t, size, SZ_16K);
		if (buffer_alloc(run, &b, size, gfp, 0)) {
			rc = buffer_check(run, &b);
			buffer_free(run, &b);
		} else if (gfp != GFP_ATOMIC) {
			rc = wrong(run, "no %#zx bytes", size);
		}
		if (fatal_signal_pending(current) ||
		    (run->ms && run->lists && time_after(jiffies, end)))
			break;
		cond_resched();
	}
	return rc;
}

/* A buffer for a user to map, read and turn around: mmap() is in main.c. */
void test_hold(struct run *run)
{
	struct test_dev *t = run->t;
	struct buffer b;
	int rc = 0;

	if (t->held)
		rc = wrong(run, "one is held already");
	else if (!buffer_alloc(run, &b, run->size, GFP_KERNEL, run->attrs))
		rc = wrong(run, "not allocated");
	if (!rc) {
		t->held = b.cpu;
		t->held_dma = b.dma;
		t->held_size = b.size;
		t->held_attrs = b.attrs;
		/* As the device would, in units that a user can tell. */
		rc = buffer_seen(run, &b, true, KEY_DEVICE);
	}
	result(run, rc, "hold: %llu bytes, attrs %#lx, at %#llx", run->size,
	       run->attrs, rc ? 0 : (u64)b.dma);
}

void alloc_drop(struct test_dev *t)
{
	if (t->held)
		dma_free_attrs(t->dev, t->held_size, t->held, t->held_dma,
			       t->held_attrs);
	t->held = NULL;
}

/* The user has inverted every byte. */
void test_drop(struct run *run)
{
	struct test_dev *t = run->t;
	u64 at, n, i;
	int rc = t->held ? 0 : wrong(run, "nothing is held");

	for (at = 0; !rc && at < t->held_size; at += n) {
		u8 *seen = view_at(t, t->held_dma + at);

		n = bytes_to_border(t, t->held_dma + at, t->held_size - at);
		if (!seen) {
			rc = wrong(run, "%#llx is not mapped", at);
			break;
		}
		for (i = 0; i < n; i++)
			seen[i] = ~seen[i];
		if (content_diff(seen, KEY_DEVICE, t->held_dma + at, n) >= 0)
			rc = wrong(run, "the device does not see what the user wrote around %#llx",
				   at);
	}
	alloc_drop(t);
	result(run, rc, "drop: the device sees what the user wrote");
}
