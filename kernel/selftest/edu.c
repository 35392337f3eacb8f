// SPDX-License-Identifier: GPL-2.0-only
/*
 * The edu device of QEMU: it copies up to 4 KiB between memory and a buffer of
 * its own. A copy takes it 100 ms.
 */
#include <linux/delay.h>
#include <linux/io-64-nonatomic-lo-hi.h>

#include "selftest.h"

#define EDU_DMA_SOURCE	0x80
#define EDU_DMA_TARGET	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_COMMAND	0x98
#define EDU_DMA_START	BIT(0)
#define EDU_DMA_TO_RAM	BIT(1)
#define EDU_BUFFER	0x40000

static int edu_copy(struct test_dev *t, u64 from, u64 to, size_t size,
		    u64 command)
{
	int i;

	writeq(from, t->bar + EDU_DMA_SOURCE);
	writeq(to, t->bar + EDU_DMA_TARGET);
	writeq(size, t->bar + EDU_DMA_COUNT);
	writeq(command | EDU_DMA_START, t->bar + EDU_DMA_COMMAND);
	for (i = 0; i < 15000; i++) {
		usleep_range(4000, 5000);
		if (!(readl(t->bar + EDU_DMA_COMMAND) & EDU_DMA_START))
			return 0;
	}
	return -ETIMEDOUT;
}

int edu_read_to(struct test_dev *t, dma_addr_t addr, size_t at, size_t size)
{
	return edu_copy(t, addr, EDU_BUFFER + at, size, 0);
}

int edu_write_from(struct test_dev *t, dma_addr_t addr, size_t at, size_t size)
{
	return edu_copy(t, EDU_BUFFER + at, addr, size, EDU_DMA_TO_RAM);
}

int edu_read(struct test_dev *t, dma_addr_t addr, size_t size)
{
	return edu_read_to(t, addr, 0, size);
}

int edu_write(struct test_dev *t, dma_addr_t addr, size_t size)
{
	return edu_write_from(t, addr, 0, size);
}

int edu_get(struct test_dev *t, void *out, size_t size)
{
	int rc = edu_write(t, t->scratch_dma, size);

	if (!rc)
		memcpy(out, t->scratch, size);
	return rc;
}

int edu_set(struct test_dev *t, const void *in, size_t size)
{
	memcpy(t->scratch, in, size);
	return edu_read(t, t->scratch_dma, size);
}

int edu_init(struct test_dev *t)
{
	t->scratch = dma_alloc_coherent(t->dev, EDU_MAX, &t->scratch_dma,
					GFP_KERNEL);
	return t->scratch ? 0 : -ENOMEM;
}

void edu_exit(struct test_dev *t)
{
	dma_free_coherent(t->dev, EDU_MAX, t->scratch, t->scratch_dma);
}
