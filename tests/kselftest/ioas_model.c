// SPDX-License-Identifier: GPL-2.0-only
/* Random calls on I/O address spaces against a model that knows the answers. */
#include "utils.h"

#define SLOTS 96
#define UNIT 512ULL
#define MAX_AREAS SLOTS

struct model_area {
	int slot, len;	/* in units; len 0: unused */
	uint64_t va;
	uint32_t flags;
	int writable;	/* as the memory was mapped at first */
};

struct model {
	uint32_t id;
	uint64_t base;
	struct model_area area[MAX_AREAS];
	int owner[SLOTS];	/* index + 1 */
};

/* A set of the errnos of which any is right. */
#define E(err) (1ULL << (err))

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (uint32_t)(rng_state >> 16) % below;
}

static int model_free(const struct model *m, int slot, int len)
{
	for (; len; slot++, len--)
		if (m->owner[slot])
			return 0;
	return 1;
}

static void model_add(struct model *m, int slot, int len, uint64_t va,
		      uint32_t flags, int writable)
{
	int i, k;

	for (i = 0; m->area[i].len; i++)
		;
	m->area[i] = (struct model_area){ slot, len, va, flags, writable };
	for (k = 0; k < len; k++)
		m->owner[slot + k] = i + 1;
}

/* Bytes unmapped, or 0 when that is refused. */
static int model_unmap(struct model *m, int slot, int len)
{
	int i, k, units = 0;

	for (i = 0; i < MAX_AREAS; i++) {
		const struct model_area *a = &m->area[i];

		if (!a->len || a->slot >= slot + len ||
		    a->slot + a->len <= slot)
			continue;
		if (a->slot < slot || a->slot + a->len > slot + len)
			return 0;
		units += a->len;
	}
	for (i = 0; units && i < MAX_AREAS; i++) {
		struct model_area *a = &m->area[i];

		if (!a->len || a->slot < slot || a->slot + a->len > slot + len)
			continue;
		for (k = 0; k < a->len; k++)
			m->owner[a->slot + k] = 0;
		a->len = 0;
	}
	return units;
}

static uint64_t model_copy(struct model *dst, struct model *src, int from,
			   int to, int len, uint32_t flags)
{
	struct { int len; uint64_t va; int writable; } piece[SLOTS];
	int i, n = 0, pos = from;
	uint64_t e = 0;

	while (pos < from + len) {
		const struct model_area *a;

		if (!src->owner[pos])
			return E(ENOENT);
		a = &src->area[src->owner[pos] - 1];
		piece[n].va = a->va + (pos - a->slot) * UNIT;
		piece[n].len = a->slot + a->len - pos;
		if (piece[n].len > from + len - pos)
			piece[n].len = from + len - pos;
		piece[n].writable = a->writable;
		if ((flags & WR) && !a->writable)
			e |= E(EPERM);
		pos += piece[n++].len;
	}
	if (!model_free(dst, to, len))
		e |= E(EEXIST);
	for (i = 0; !e && i < n; i++) {
		model_add(dst, to, piece[i].len, piece[i].va, flags,
			  piece[i].writable);
		to += piece[i].len;
	}
	return e;
}

static int model_compare(int fd, const struct model *m)
{
	struct iommu_area_info list[SLOTS + 1];
	int n, i, slot = 0;

	n = iommu_list_all(fd, m->id, list, SLOTS + 1, 1 + rng(SLOTS));
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		const struct model_area *a;

		while (slot < SLOTS && !m->owner[slot])
			slot++;
		if (slot == SLOTS)
			return -1000 - i;
		a = &m->area[m->owner[slot] - 1];
		if (list[i].iova != m->base + a->slot * UNIT ||
		    list[i].length != a->len * UNIT ||
		    list[i].user_va != a->va || list[i].flags != a->flags)
			return -2000 - i;
		slot += a->len;
	}
	while (slot < SLOTS && !m->owner[slot])
		slot++;
	return slot == SLOTS ? 0 : -3000;
}

FIXTURE(model)
{
	int fd;
};

FIXTURE_VARIANT(model)
{
	uint64_t base;
	uint64_t seed;
};

FIXTURE_VARIANT_ADD(model, at_zero) { .base = 0, .seed = 11 };
FIXTURE_VARIANT_ADD(model, at_4g) {
	.base = (1ULL << 32) - 32 * UNIT, .seed = 222,
};
FIXTURE_VARIANT_ADD(model, odd) { .base = 0x123456789abcd, .seed = 3333 };
FIXTURE_VARIANT_ADD(model, at_the_end) {
	.base = 0 - SLOTS * UNIT, .seed = 44444,
};

FIXTURE_SETUP(model)
{
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(model)
{
	close(self->fd);
	EXPECT_CLEAN();
}

/*
 * Thousands of random calls on two IOASes against an array that knows what
 * each must do. The seed is fixed; SEED in the environment gives another.
 */
TEST_F_TIMEOUT(model, random, 150)
{
	static struct model m[2];
	uint8_t *mem = mem_alloc(SLOTS * UNIT, PG);
	const char *seed = getenv("SEED");
	uint64_t want, va, iova, got;
	int step, rc, slot, len, to, units;
	uint32_t prot;

	ASSERT_NE(NULL, mem);
	rng_state = seed ? strtoull(seed, NULL, 0) | 1 : variant->seed;
	TH_LOG("SEED=%llu", (unsigned long long)rng_state);
	memset(m, 0, sizeof(m));
	for (step = 0; step < 2; step++) {
		m[step].base = variant->base;
		OK(iommu_ioas_alloc(self->fd, &m[step].id));
	}
	for (step = 0; step < 20000; step++) {
		struct model *a = &m[rng(2)], *b = &m[rng(2)];

		slot = rng(SLOTS);
		len = 1 + rng(rng(4) ? 6 : SLOTS);
		if (len > SLOTS - slot)
			len = SLOTS - slot;
		prot = rng(4) ? RW : rng(2) ? RD : WR;
		iova = a->base + slot * UNIT;
		want = 0;
		switch (rng(8)) {
		case 0: case 1: case 2:
			va = (uintptr_t)mem + rng(PG);
			rc = iommu_map_at(self->fd, a->id, (void *)va,
					  len * UNIT, prot, iova);
			if (!model_free(a, slot, len))
				want = E(EEXIST);
			else
				model_add(a, slot, len, va, prot,
					  !!(prot & WR));
			break;
		case 3: case 4:
			got = 0;
			rc = iommu_unmap_n(self->fd, a->id, iova, len * UNIT,
					   &got);
			units = model_unmap(a, slot, len);
			if (!units)
				want = E(ENOENT);
			ASSERT_EQ(units * UNIT, got) TH_LOG("step %d", step);
			break;
		case 5:
			/* Exactly one that is there. */
			if (!a->owner[slot])
				continue;
			slot = a->area[a->owner[slot] - 1].slot;
			len = a->area[a->owner[slot] - 1].len;
			rc = iommu_unmap(self->fd, a->id,
					 a->base + slot * UNIT, len * UNIT);
			model_unmap(a, slot, len);
			break;
		default:
			to = rng(SLOTS);
			if (len > SLOTS - to)
				len = SLOTS - to;
			rc = iommu_copy_at(self->fd, b->id, a->id, iova,
					   len * UNIT, prot,
					   b->base + to * UNIT);
			want = model_copy(b, a, slot, to, len, prot);
			break;
		}
		if (want) {
			ASSERT_TRUE(rc < 0 && rc > -64 && (want & E(-rc)))
				TH_LOG("step %d: %d", step, rc);
		} else {
			ASSERT_EQ(0, rc) TH_LOG("step %d", step);
		}
		if (step % 16 == 0) {
			ASSERT_EQ(0, model_compare(self->fd, a))
				TH_LOG("step %d", step);
			ASSERT_EQ(0, model_compare(self->fd, b))
				TH_LOG("step %d", step);
		}
		if (rng(400) == 0) {
			OK(iommu_unmap(self->fd, a->id, 0, WHOLE));
			memset(a->owner, 0, sizeof(a->owner));
			memset(a->area, 0, sizeof(a->area));
		}
	}
}

/* Automatic placement against the same kind of model: it never overlaps. */
TEST_F_TIMEOUT(model, placement, 150)
{
	static struct model m;
	uint64_t iova, first, last;
	uint8_t *mem = mem_alloc(PG, PG);
	int i, slot, len, largest, run, rc;

	ASSERT_NE(NULL, mem);
	memset(&m, 0, sizeof(m));
	rng_state = variant->seed;
	/* Address 0 and the last page are never chosen; offsets as mem's. */
	first = (variant->base + PG) & ~(PG - 1);
	if (!variant->base)
		first = PG;
	last = first + 8 * PG - 1;
	if (last < first || last > UINT64_MAX - PG)
		first = last = (UINT64_MAX - 16 * PG) & ~(PG - 1);
	last = first + 8 * PG - 1;
	m.base = first;
	OK(iommu_ioas_alloc(self->fd, &m.id));
	OK(iommu_allow_one(self->fd, m.id, first, last));
	for (i = 0; i < 4000; i++) {
		len = 1 + rng(3);
		if (rng(3)) {
			iova = 0;
			rc = iommu_map(self->fd, m.id, mem, len * PG, RW,
				       &iova);
			for (slot = largest = run = 0; slot < 8; slot++) {
				run = m.owner[slot] ? 0 : run + 1;
				if (run > largest)
					largest = run;
			}
			/* One page fits wherever one is free. */
			if (len == 1) {
				ASSERT_EQ(largest ? 0 : -ENOSPC, rc);
			}
			if (rc) {
				ASSERT_EQ(-ENOSPC, rc);
				/* Alignment costs at most len - 1 pages. */
				ASSERT_GT(2 * len, largest);
				continue;
			}
			ASSERT_LE(first, iova);
			ASSERT_GE(last, iova + len * PG - 1);
			ASSERT_EQ(0, iova % PG);
			slot = (iova - first) / PG;
			ASSERT_EQ(1, model_free(&m, slot, len));
			model_add(&m, slot, len, 0, RW, 1);
		} else {
			slot = rng(8);
			if (!m.owner[slot])
				continue;
			slot = m.area[m.owner[slot] - 1].slot;
			len = m.area[m.owner[slot] - 1].len;
			OK(iommu_unmap(self->fd, m.id, first + slot * PG,
				       len * PG));
			model_unmap(&m, slot, len);
		}
	}
}

TEST_HARNESS_MAIN
