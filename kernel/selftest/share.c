// SPDX-License-Identifier: GPL-2.0-only
/*
 * One piece of memory for two devices behind two IOMMUs: granule-share.h.
 *
 * "lend" leaves some shared, "borrow" has the second device read it, "return"
 * ends that: in between a user unbinds one or the other.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "granule-share.h"
#include "selftest.h"

/* What "lend" keeps. */
static struct {
	struct test_dev *owner;		/* until it frees its memory */
	void *cpu;
	dma_addr_t dma, seen;
	struct granule_dma_share *share;
	struct granule_dma_memory *memory;
} lent;

#define LENT_SIZE SZ_128K

/* Of what comes now, the IOMMU of @t refuses the @n'th mapping. */
static int refuse(struct test_dev *t, unsigned int n)
{
	char path[128], text[16];
	struct file *file;
	loff_t at = 0;
	int length;

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/granule-virtio-iommu-test/fail_map",
		 pci_name(t->pdev));
	file = filp_open(path, O_WRONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	length = snprintf(text, sizeof(text), "%u", n);
	length = kernel_write(file, text, length, &at);
	fput(file);
	return length < 0 ? length : 0;
}

/* What one sees at @a the other sees at @b. */
static int same_view(struct run *run, struct test_dev *t, dma_addr_t a,
		     struct test_dev *u, dma_addr_t b, size_t size)
{
	size_t at;

	for (at = 0; at < size; at += PAGE_SIZE)
		if (!view_phys(t, a + at) ||
		    view_phys(t, a + at) != view_phys(u, b + at))
			return wrong(run, "at %#zx one device sees %#llx, the other %#llx",
				     at, (u64)view_phys(t, a + at),
				     (u64)view_phys(u, b + at));
	return 0;
}

/* From the first page, by @t to the last one, by @u to the second. */
static int carry(struct run *run, void *cpu, size_t size, struct test_dev *t,
		 dma_addr_t a, struct test_dev *u, dma_addr_t b)
{
	size_t last = size - PAGE_SIZE;
	int rc;

	memset(cpu, 0, size);
	content_put(cpu, KEY_CPU, a, PAGE_SIZE);
	rc = edu_read(t, a, PAGE_SIZE);
	rc = rc ?: edu_write(t, a + last, PAGE_SIZE);
	rc = rc ?: edu_read(u, b + last, PAGE_SIZE);
	rc = rc ?: edu_write(u, b + PAGE_SIZE, PAGE_SIZE);
	if (rc)
		return wrong(run, "edu says %d", rc);
	if (content_diff(cpu + last, KEY_CPU, a, PAGE_SIZE) >= 0)
		return wrong(run, "the first device did not write what it read");
	if (content_diff(cpu + PAGE_SIZE, KEY_CPU, a, PAGE_SIZE) >= 0)
		return wrong(run, "the second device did not read what the first wrote");
	return 0;
}

static int carry_both(struct run *run, void *cpu, size_t size,
		      struct test_dev *t, dma_addr_t a, struct test_dev *u,
		      dma_addr_t b)
{
	int rc = same_view(run, t, a, u, b, size);

	rc = rc ?: carry(run, cpu, size, t, a, u, b);
	return rc ?: carry(run, cpu, size, u, b, t, a);
}

/* Both devices' counters. */
struct both {
	struct counters t, other;
};

static void both_read(struct run *run, struct both *now)
{
	counters_read(run->t, &now->t);
	counters_read(run->other, &now->other);
}

static int both_check(struct run *run, const struct both *before,
		      const char *when)
{
	struct run second = *run;

	second.t = run->other;
	return counters_check(run, &before->t, when) ?:
	       counters_check(&second, &before->other, when);
}

static int gone(struct run *run, struct test_dev *u, dma_addr_t addr,
		size_t size)
{
	struct run second = *run;

	second.t = u;
	return view_check_gone(&second, addr, size);
}

/* @error: what sharing a buffer of @t of this size with @u is answered. */
static int share_one(struct run *run, struct test_dev *t, struct test_dev *u,
		     size_t size, int error)
{
	struct granule_dma_share *share;
	dma_addr_t dma, seen = 0;
	struct both before;
	void *cpu;
	int rc;

	both_read(run, &before);
	cpu = dma_alloc_coherent(t->dev, size, &dma, GFP_KERNEL);
	if (!cpu)
		return wrong(run, "%#zx bytes are not allocated", size);
	share = granule_dma_share(t->dev, dma, u->dev, DMA_BIDIRECTIONAL,
				  &seen);
	if (error) {
		rc = PTR_ERR_OR_ZERO(share) == error ? 0 :
		     wrong(run, "sharing %#zx bytes says %d, not %d", size,
			   PTR_ERR_OR_ZERO(share), error);
	} else if (IS_ERR(share)) {
		rc = wrong(run, "sharing %#zx bytes says %ld", size,
			   PTR_ERR(share));
	} else {
		rc = seen & (u->granule - 1) ?
		     wrong(run, "%#llx is not a granule's", (u64)seen) :
		     carry_both(run, cpu, size, t, dma, u, seen);
	}
	if (!IS_ERR(share)) {
		granule_dma_unshare(share);
		rc = rc ?: gone(run, u, seen, size);
	}
	dma_free_coherent(t->dev, size, cpu, dma);
	return rc ?: both_check(run, &before, "when all is freed");
}

/* An untrusted owner's memory is made of whole granules of its own. */
static int odd_error(struct test_dev *t, struct test_dev *u)
{
	return !t->trusted && t->granule >= u->granule ? 0 : -EINVAL;
}

static int test_shares(struct run *run)
{
	struct test_dev *t = run->t, *u = run->other;
	u64 coarse = max(t->granule, u->granule);
	int rc;

	rc = share_one(run, t, u, 2 * coarse, 0);
	rc = rc ?: share_one(run, u, t, coarse, 0);
	rc = rc ?: share_one(run, t, u, coarse + PAGE_SIZE, odd_error(t, u));
	rc = rc ?: share_one(run, t, u, PAGE_SIZE, odd_error(t, u));
	return rc ?: share_one(run, u, t, PAGE_SIZE, odd_error(u, t));
}

/* What is not memory of the owner's. */
static int test_foreign(struct run *run)
{
	struct test_dev *t = run->t, *u = run->other;
	struct granule_dma_share *share;
	dma_addr_t dma, seen;
	void *cpu;
	int rc = 0;

	cpu = (void *)__get_free_pages(GFP_KERNEL, get_order(SZ_64K));
	if (!cpu)
		return -ENOMEM;
	dma = dma_map_single(t->dev, cpu, SZ_64K, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(t->dev, dma)) {
		rc = wrong(run, "not mapped");
	} else {
		share = granule_dma_share(t->dev, dma, u->dev,
					  DMA_BIDIRECTIONAL, &seen);
		if (PTR_ERR_OR_ZERO(share) != -ENXIO)
			rc = wrong(run, "sharing a mapping says %d",
				   PTR_ERR_OR_ZERO(share));
		dma_unmap_single(t->dev, dma, SZ_64K, DMA_BIDIRECTIONAL);
	}
	free_pages((unsigned long)cpu, get_order(SZ_64K));
	share = granule_dma_share(t->dev, t->scratch_dma + PAGE_SIZE, u->dev,
				  DMA_BIDIRECTIONAL, &seen);
	if (PTR_ERR_OR_ZERO(share) != -ENXIO)
		rc = wrong(run, "sharing from the middle says %d",
			   PTR_ERR_OR_ZERO(share));
	share = granule_dma_share(t->dev, t->scratch_dma, t->dev->parent,
				  DMA_BIDIRECTIONAL, &seen);
	if (PTR_ERR_OR_ZERO(share) != -ENODEV)
		rc = wrong(run, "sharing with a bridge says %d",
			   PTR_ERR_OR_ZERO(share));
	return rc;
}

static int memory_one(struct run *run, struct test_dev *t, struct test_dev *u,
		      size_t size)
{
	struct device *devs[] = { t->dev, u->dev };
	struct granule_dma_memory *m;
	dma_addr_t seen[2];
	struct both before;
	int rc;

	both_read(run, &before);
	m = granule_dma_memory_alloc(devs, 2, size, GFP_KERNEL);
	if (IS_ERR(m))
		return wrong(run, "%#zx bytes: %ld", size, PTR_ERR(m));
	seen[0] = m->views[0].addr;
	seen[1] = m->views[1].addr;
	size = m->size;
	if (memchr_inv(m->vaddr, 0, size))
		rc = wrong(run, "new memory is not zero");
	else
		rc = carry_both(run, m->vaddr, size, t, seen[0], u, seen[1]);
	granule_dma_memory_free(m);
	rc = rc ?: gone(run, t, seen[0], size);
	rc = rc ?: gone(run, u, seen[1], size);
	return rc ?: both_check(run, &before, "when memory is freed");
}

static int test_memory(struct run *run)
{
	int rc = memory_one(run, run->t, run->other, 1);

	rc = rc ?: memory_one(run, run->other, run->t, SZ_64K + 1);
	/* More than the page allocator has in one piece. */
	return rc ?: memory_one(run, run->t, run->other, SZ_4M + SZ_64K);
}

/* The second IOMMU refuses: nothing is shared, and the first device works. */
static int test_refusals(struct run *run)
{
	struct device *devs[] = { run->t->dev, run->other->dev };
	size_t size = SZ_128K;
	struct granule_dma_share *share;
	struct granule_dma_memory *m;
	struct both before, start;
	dma_addr_t dma, seen;
	void *cpu;
	int rc;

	both_read(run, &start);
	cpu = dma_alloc_coherent(run->t->dev, size, &dma, GFP_KERNEL);
	if (!cpu)
		return wrong(run, "not allocated");
	both_read(run, &before);
	rc = refuse(run->other, 1);
	share = granule_dma_share(run->t->dev, dma, run->other->dev,
				  DMA_BIDIRECTIONAL, &seen);
	if (!IS_ERR(share)) {
		granule_dma_unshare(share);
		rc = wrong(run, "shared, although the IOMMU refused");
	}
	rc = rc ?: both_check(run, &before, "after it could not be shared");
	rc = rc ?: refuse(run->other, 1);
	m = granule_dma_memory_alloc(devs, 2, size, GFP_KERNEL);
	if (!IS_ERR(m)) {
		granule_dma_memory_free(m);
		rc = wrong(run, "allocated, although the IOMMU refused");
	}
	rc = rc ?: both_check(run, &before, "after it could not be allocated");
	rc = rc ?: carry(run, cpu, size, run->t, dma, run->t, dma);
	dma_free_coherent(run->t->dev, size, cpu, dma);
	return rc ?: both_check(run, &start, "when all is freed");
}

/* The owner frees its memory first: the other one still has it. */
static int test_freed(struct run *run)
{
	struct test_dev *t = run->t, *u = run->other;
	size_t size = SZ_64K;
	struct granule_dma_share *share;
	struct both before;
	dma_addr_t dma, seen;
	void *cpu, *more;
	int rc;

	both_read(run, &before);
	cpu = dma_alloc_coherent(t->dev, size, &dma, GFP_KERNEL);
	if (!cpu)
		return wrong(run, "not allocated");
	share = granule_dma_share(t->dev, dma, u->dev, DMA_BIDIRECTIONAL,
				  &seen);
	if (IS_ERR(share)) {
		dma_free_coherent(t->dev, size, cpu, dma);
		return wrong(run, "sharing says %ld", PTR_ERR(share));
	}
	dma_free_coherent(t->dev, size, cpu, dma);
	/* Whoever gets memory now gets other memory. */
	more = kzalloc(size, GFP_KERNEL);
	rc = gone(run, t, dma, size);
	rc = rc ?: carry(run, cpu, size, u, seen, u, seen);
	if (more && memchr_inv(more, 0, size))
		rc = wrong(run, "freed memory is somebody else's by now");
	kfree(more);
	granule_dma_unshare(share);
	rc = rc ?: gone(run, u, seen, size);
	return rc ?: both_check(run, &before, "when it is not shared any more");
}

void test_share(struct run *run)
{
	if (!run->other) {
		result(run, -ENODEV, "share: a second device");
		return;
	}
	say(run->report, "# granules of %llu and %llu, %s and %s",
	    run->t->granule, run->other->granule,
	    run->t->trusted ? "trusted" : "untrusted",
	    run->other->trusted ? "trusted" : "untrusted");
	result(run, test_shares(run), "share: an allocation, with the other device");
	result(run, test_foreign(run), "share: nothing but an allocation");
	result(run, test_memory(run), "share: memory for both");
	result(run, test_refusals(run), "share: for both or for none");
	result(run, test_freed(run), "share: outlives the owner's use");
}

void test_lend(struct run *run)
{
	struct device *devs[] = { run->t->dev, NULL };
	int rc = 0;

	if (!run->other || lent.share || lent.memory) {
		result(run, -EBUSY, "lend");
		return;
	}
	devs[1] = run->other->dev;
	lent.cpu = dma_alloc_coherent(run->t->dev, LENT_SIZE, &lent.dma,
				      GFP_KERNEL);
	if (!lent.cpu) {
		result(run, -ENOMEM, "lend");
		return;
	}
	lent.owner = run->t;
	lent.share = granule_dma_share(run->t->dev, lent.dma, devs[1],
				       DMA_BIDIRECTIONAL, &lent.seen);
	if (IS_ERR(lent.share)) {
		rc = PTR_ERR(lent.share);
		lent.share = NULL;
	}
	lent.memory = granule_dma_memory_alloc(devs, 2, LENT_SIZE, GFP_KERNEL);
	if (IS_ERR(lent.memory)) {
		rc = PTR_ERR(lent.memory);
		lent.memory = NULL;
	}
	if (!rc) {
		content_put(lent.cpu, KEY_CPU, 0, LENT_SIZE);
		content_put(lent.memory->vaddr, KEY_DEVICE, 0, LENT_SIZE);
	}
	result(run, rc, "lend: two pieces");
}

/* A driver frees its memory when it goes. */
void share_drop(struct test_dev *t)
{
	if (lent.owner != t)
		return;
	dma_free_coherent(t->dev, LENT_SIZE, lent.cpu, lent.dma);
	lent.owner = NULL;
}

static int borrow_one(struct run *run, struct test_dev *u, dma_addr_t addr,
		      u64 key)
{
	char *got = kmalloc(PAGE_SIZE, GFP_KERNEL);
	u64 at = LENT_SIZE - PAGE_SIZE;
	int rc;

	if (!got)
		return -ENOMEM;
	rc = edu_read(u, addr + at, PAGE_SIZE);
	rc = rc ?: edu_get(u, got, PAGE_SIZE);
	if (!rc && content_diff(got, key, at, PAGE_SIZE) >= 0)
		rc = wrong(run, "the second device does not read what was lent");
	kfree(got);
	return rc;
}

void test_borrow(struct run *run)
{
	int rc = run->other && lent.share && lent.memory ? 0 : -ENODEV;

	rc = rc ?: borrow_one(run, run->other, lent.seen, KEY_CPU);
	rc = rc ?: borrow_one(run, run->other, lent.memory->views[1].addr,
			      KEY_DEVICE);
	result(run, rc, "borrow: the second device reads both pieces");
}

void test_return(struct run *run)
{
	if (lent.share)
		granule_dma_unshare(lent.share);
	if (lent.memory)
		granule_dma_memory_free(lent.memory);
	lent.share = NULL;
	lent.memory = NULL;
	if (lent.owner)
		share_drop(lent.owner);
	result(run, 0, "return: both pieces");
}
