// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random numbers, and memory whose every byte follows from its address.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "selftest.h"

static u64 mix(u64 x)
{
	x = (x ^ x >> 31) * 0x7fb5d329728ea185;
	x = (x ^ x >> 27) * 0x81dadef4bc2dd44d;
	return x ^ x >> 33;
}

u64 random_next(u64 *state)
{
	return mix(*state += 0x9e3779b97f4a7c15);
}

static u64 word_get(const void *at)
{
	__le64 word;

	memcpy(&word, at, sizeof(word));
	return le64_to_cpu(word);
}

static void word_put(void *at, u64 x)
{
	__le64 word = cpu_to_le64(x);

	memcpy(at, &word, sizeof(word));
}

/* Never zero, in no byte: zero is what padding has. */
static u64 content_word(u64 key, phys_addr_t phys)
{
	return mix((phys >> 3) + (key << 48)) | 0x0101010101010101;
}

void content_put(void *at, u64 key, phys_addr_t phys, size_t size)
{
	u8 *to = at;

	for (; size && phys & 7; size--, phys++)
		*to++ = content_word(key, phys) >> 8 * (phys & 7);
	for (; size >= 8; size -= 8, phys += 8, to += 8)
		word_put(to, content_word(key, phys));
	for (; size; size--, phys++)
		*to++ = content_word(key, phys) >> 8 * (phys & 7);
}

static bool byte_is(u8 byte, u64 key, phys_addr_t phys)
{
	return byte == (u8)(content_word(key, phys) >> 8 * (phys & 7));
}

s64 content_diff(const void *at, u64 key, phys_addr_t phys, size_t size)
{
	const u8 *from = at;
	size_t i = 0;

	for (; i < size; i++) {
		while (!((phys + i) & 7) && size - i >= 8 &&
		       word_get(from + i) == content_word(key, phys + i))
			i += 8;
		if (i < size && !byte_is(from[i], key, phys + i))
			return i;
	}
	return -1;
}

/* As many bytes as asked for, in blocks of every order, small ones often. */
int pool_init(struct run *run, struct pool *pool, u64 bytes)
{
	unsigned int max = bytes / PAGE_SIZE / 2 + 16;
	u64 got = 0;

	memset(pool, 0, sizeof(*pool));
	pool->blocks = kvcalloc(max, sizeof(*pool->blocks), GFP_KERNEL);
	if (!pool->blocks)
		return -ENOMEM;
	while (pool->nr < max && got < bytes) {
		struct block *b = &pool->blocks[pool->nr];
		/* Half of the memory is in blocks of no more than 64K. */
		u64 order = got < bytes / 2 ? 10 : 4;

		b->order = random_below(run, order + 1);
		b->page = alloc_pages(GFP_KERNEL | __GFP_NOWARN |
				      (one_in(run, 2) ? __GFP_COMP : 0),
				      b->order);
		if (!b->page && b->order)
			continue;
		if (!b->page) {
			pool_exit(pool);
			return -ENOMEM;
		}
		pool->nr++;
		content_put(page_address(b->page), 0, block_phys(b),
			    block_size(b));
		got += block_size(b);
	}
	return 0;
}

void pool_exit(struct pool *pool)
{
	while (pool->nr--)
		__free_pages(pool->blocks[pool->nr].page,
			     pool->blocks[pool->nr].order);
	kvfree(pool->blocks);
	memset(pool, 0, sizeof(*pool));
}

int block_check(struct run *run, const struct block *b, phys_addr_t phys,
		u64 size)
{
	phys_addr_t start = max(phys, block_phys(b));
	phys_addr_t end = min(phys + size, block_phys(b) + block_size(b));
	s64 bad;

	if (start >= end)
		return 0;
	bad = content_diff(phys_to_virt(start), 0, start, end - start);
	if (bad < 0)
		return 0;
	return wrong(run, "memory at %#llx, outside of what was written, has changed (looked at %#llx..%#llx)",
		     start + bad, (u64)start, (u64)end - 1);
}
