// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the real device gets at around a small buffer.
 */
#include <linux/slab.h>

#include "selftest.h"

#define BUFFER_SIZE 500
#define WINDOW 2048
#define ENDS 8

struct neighbourhood {
	struct page *page;
	unsigned int order;
	phys_addr_t phys;	/* of the buffer, in the midst of a granule */
	dma_addr_t dma;
	u8 *seen;		/* what edu has read: WINDOW bytes */
};

/* WINDOW bytes of the device's, around the buffer. */
static int read_around(struct run *run, struct neighbourhood *n)
{
	phys_addr_t from = n->phys - WINDOW / 4;
	size_t before = WINDOW / 4, after = WINDOW - before - BUFFER_SIZE;
	u8 *seen = n->seen, *end = seen + before + BUFFER_SIZE;
	int rc;

	memset(seen, 0x77, WINDOW);
	rc = edu_set(run->t, seen, WINDOW) ?:
	     edu_read(run->t, n->dma - before, WINDOW) ?:
	     edu_get(run->t, seen, WINDOW);
	if (rc)
		return rc;
	if (content_diff(seen + before, KEY_POOL, n->phys, BUFFER_SIZE) >= 0)
		return wrong(run, "edu does not read the buffer");
	if (!run->t->trusted) {
		if (memchr_inv(seen, 0, before) || memchr_inv(end, 0, after))
			return wrong(run, "beside the buffer edu reads something");
		return 0;
	}
	if (content_diff(seen, KEY_POOL, from, WINDOW) >= 0)
		return wrong(run, "of a trusted device's granule only a part is there");
	return 0;
}

/* Of all that edu writes, only the buffer's bytes may arrive. */
static int write_around(struct run *run, struct neighbourhood *n)
{
	u64 granule = run->t->granule, size = PAGE_SIZE << n->order;
	phys_addr_t start = page_to_phys(n->page), from = n->phys - WINDOW / 4;
	struct block b = { .page = n->page, .order = n->order };
	int rc;

	content_put(n->seen, KEY_DEVICE, from, WINDOW);
	rc = edu_set(run->t, n->seen, WINDOW) ?:
	     edu_write(run->t, n->dma - WINDOW / 4, WINDOW);
	if (rc)
		return rc;
	dma_unmap_single(run->t->dev, n->dma, BUFFER_SIZE, DMA_BIDIRECTIONAL);
	n->dma = DMA_MAPPING_ERROR;
	if (content_diff(phys_to_virt(n->phys), KEY_DEVICE, n->phys,
			 BUFFER_SIZE) >= 0)
		return wrong(run, "what edu wrote into the buffer did not arrive");
	if (run->t->trusted) {
		if (content_diff(phys_to_virt(from), KEY_DEVICE, from,
				 WINDOW) >= 0)
			return wrong(run, "a trusted device wrote only a part");
		return 0;
	}
	content_put(phys_to_virt(n->phys), KEY_POOL, n->phys, BUFFER_SIZE);
	rc = block_check(run, &b, start, size);
	if (rc)
		wrong(run, "edu wrote beside its buffer, granule %#llx",
		      granule);
	return rc;
}

/* The next granule, whatever is in it, is out of reach. */
static int read_beyond(struct run *run, struct neighbourhood *n, dma_addr_t at)
{
	phys_addr_t phys = n->phys + (at - n->dma);
	int rc;

	if (view_phys(run->t, at))
		return wrong(run, "%#llx, outside of the granule, is mapped",
			     (u64)at);
	memset(n->seen, 0x77, 64);
	rc = edu_set(run->t, n->seen, 64) ?: edu_read(run->t, at, 64) ?:
	     edu_get(run->t, n->seen, 64);
	if (!rc && content_diff(n->seen, KEY_POOL, phys, 64) < 0)
		return wrong(run, "edu reads outside of the granule");
	return rc;
}

/* Of 4 KiB in the midst of a granule: how much else does the device see? */
static u64 exposed(struct run *run, struct neighbourhood *n)
{
	u64 granule = run->t->granule, at, bytes = 0;
	phys_addr_t phys = page_to_phys(n->page) + granule +
			   (granule > PAGE_SIZE ? PAGE_SIZE : 0);
	dma_addr_t dma = dma_map_single(run->t->dev, phys_to_virt(phys),
					PAGE_SIZE, DMA_TO_DEVICE), base;

	if (dma_mapping_error(run->t->dev, dma))
		return 0;
	base = dma & -granule;
	for (at = 0; at < granule; at++)
		if (view_phys(run->t, base + at) ==
		    (phys & -granule) + at)
			bytes++;
	dma_unmap_single(run->t->dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
	return bytes > PAGE_SIZE ? bytes - PAGE_SIZE : 0;
}

void test_neighbours(struct run *run)
{
	u64 granule = run->t->granule, bytes = 0;
	struct neighbourhood n = {
		.order = get_order(4 * granule),
		.seen = kmalloc(EDU_MAX, GFP_KERNEL),
		.dma = DMA_MAPPING_ERROR,
	};
	int rc = -ENOMEM;

	n.page = alloc_pages(GFP_KERNEL, n.order);
	if (!n.page || !n.seen)
		goto out;
	content_put(page_address(n.page), KEY_POOL, page_to_phys(n.page),
		    PAGE_SIZE << n.order);
	/* WINDOW bytes around it are in the same granule, of any size. */
	n.phys = page_to_phys(n.page) + granule + granule / 2 - WINDOW / 4;
	n.dma = dma_map_single(run->t->dev, phys_to_virt(n.phys), BUFFER_SIZE,
			       DMA_BIDIRECTIONAL);
	rc = dma_mapping_error(run->t->dev, n.dma);
	if (rc) {
		n.dma = DMA_MAPPING_ERROR;
		goto out;
	}
	rc = read_around(run, &n);
	rc = rc ?: read_beyond(run, &n, (n.dma & -granule) + granule);
	rc = rc ?: read_beyond(run, &n, (n.dma & -granule) - 64);
	rc = rc ?: write_around(run, &n);
	if (!rc)
		bytes = exposed(run, &n);
	if (!rc && !run->t->trusted && bytes)
		rc = wrong(run, "%llu bytes of others are exposed", bytes);
out:
	if (!dma_mapping_error(run->t->dev, n.dma))
		dma_unmap_single(run->t->dev, n.dma, BUFFER_SIZE,
				 DMA_BIDIRECTIONAL);
	if (n.page)
		__free_pages(n.page, n.order);
	kfree(n.seen);
	result(run, rc, "neighbours: with 4 KiB mapped, %s device is exposed to %llu KiB of others' in a granule of %llu KiB",
	       run->t->trusted ? "a trusted" : "an untrusted", bytes >> 10,
	       granule >> 10);
}

/* A byte at the end of a granule, and what is mapped after it. */
struct end {
	phys_addr_t phys;
	dma_addr_t byte, after;
	enum dma_data_direction dir;	/* of what is after it */
};

static int end_map(struct run *run, struct end *end)
{
	struct device *dev = run->t->dev;

	end->after = dma_map_single(dev, phys_to_virt(end->phys + 1),
				    run->t->granule, end->dir);
	end->byte = dma_map_single(dev, phys_to_virt(end->phys), 1,
				   DMA_TO_DEVICE);
	return dma_mapping_error(dev, end->after) ?:
	       dma_mapping_error(dev, end->byte);
}

static void end_unmap(struct run *run, struct end *end)
{
	struct device *dev = run->t->dev;

	if (end->after && !dma_mapping_error(dev, end->after))
		dma_unmap_single(dev, end->after, run->t->granule, end->dir);
	if (end->byte && !dma_mapping_error(dev, end->byte))
		dma_unmap_single(dev, end->byte, 1, DMA_TO_DEVICE);
}

static int end_read(struct run *run, const struct end *end)
{
	u8 seen = 0;
	int rc = edu_set(run->t, &seen, 1) ?: edu_read(run->t, end->byte, 1) ?:
		 edu_get(run->t, &seen, 1);

	if (!rc && content_diff(&seen, KEY_POOL, end->phys, 1) >= 0)
		rc = wrong(run, "the byte at %#llx is another one to the device",
			   (u64)end->byte);
	return rc;
}

/*
 * The last byte of a mapping is read from there, whatever may be mapped next to
 * it: IOMMUs were seen that mistake it for the next one's.
 */
void test_ends(struct run *run)
{
	unsigned int order = get_order(2 * ENDS * run->t->granule), i;
	struct page *page = alloc_pages(GFP_KERNEL, order);
	struct end ends[ENDS] = {};
	int rc = page ? 0 : -ENOMEM;

	if (page)
		content_put(page_address(page), KEY_POOL, page_to_phys(page),
			    PAGE_SIZE << order);
	for (i = 0; i < ENDS && !rc; i++) {
		ends[i].phys = page_to_phys(page) +
			       (2 * i + 1) * run->t->granule - 1;
		ends[i].dir = i % 2 ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
		rc = end_map(run, &ends[i]);
	}
	for (i = 0; i < ENDS && !rc; i++)
		rc = end_read(run, &ends[i]);
	for (i = 0; i < ENDS; i++)
		end_unmap(run, &ends[i]);
	if (page)
		__free_pages(page, order);
	result(run, rc, "ends: %u last bytes of mappings, each with a neighbour",
	       ENDS);
}
