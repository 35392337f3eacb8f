// SPDX-License-Identifier: GPL-2.0-only
/* DART's tables, registers and domains, against a model of the hardware. */
#include "kselftest_harness.h"

#include "core/dart_domain.h"
#include "model_dart.h"

#define PAGE 16384ULL
#define RW (DART_READ | DART_WRITE)
#define DATA 0x100000000ULL	/* physical, not a table */

FIXTURE(dart) {
	struct model_memory memory;
	struct dart_memory ops;
	struct model_dart model[3];
	struct dart_hw hw[3];
	struct dart_domain domain;
};

FIXTURE_VARIANT(dart) {
	const char *kind;
};

FIXTURE_VARIANT_ADD(dart, t8103) { .kind = "t8103" };
FIXTURE_VARIANT_ADD(dart, t6000) { .kind = "t6000" };
FIXTURE_VARIANT_ADD(dart, t8110) { .kind = "t8110" };

FIXTURE_SETUP(dart)
{
	struct dart_io io;
	int i;

	memset(&self->memory, 0, sizeof(self->memory));
	self->memory.shift = 14;
	self->ops = (struct dart_memory){ model_alloc, model_free, model_phys,
					  model_virt, &self->memory };
	for (i = 0; i < 3; i++) {
		model_init(&self->model[i], variant->kind, 14, i, i + 1,
			   model_virt, &self->memory);
		io = model_io(&self->model[i]);
		ASSERT_EQ(0, dart_hw_init(&self->hw[i],
					  dart_variant_find(variant->kind),
					  &io));
		ASSERT_EQ(0, dart_hw_reset(&self->hw[i]));
	}
	ASSERT_EQ(0, dart_domain_init(&self->domain, &self->ops,
				      &self->hw[0].geometry, 0));
}

FIXTURE_TEARDOWN(dart)
{
	dart_domain_exit(&self->domain);
	EXPECT_EQ(0, self->memory.live);
}

static struct dart_attach streams_of(struct dart_hw *hw, unsigned int first,
				     unsigned int nr)
{
	struct dart_attach a = { .hw = hw };

	while (nr--)
		dart_streams_add(&a.streams, first + nr);
	return a;
}

TEST_F(dart, what_is_mapped_is_reached)
{
	struct dart_attach a = streams_of(&self->hw[0], 2, 2);
	struct model_dart *d = &self->model[0];
	u64 last = dart_table_last(&self->domain.table) - PAGE + 1;

	ASSERT_EQ(U64_MAX, model_access(d, 2, PAGE, false));
	ASSERT_EQ(0, dart_domain_attach(&self->domain, &a, 1, 0));
	/* That there is nothing gets cached. */
	ASSERT_EQ(U64_MAX, model_access(d, 2, PAGE, false));
	ASSERT_EQ(0, dart_domain_map(&self->domain, PAGE, DATA, PAGE, RW, 0));
	EXPECT_EQ(DATA + 5, model_access(d, 2, PAGE + 5, false));
	EXPECT_EQ(DATA + 5, model_access(d, 3, PAGE + 5, true));
	EXPECT_EQ(U64_MAX, model_access(d, 4, PAGE + 5, true));
	EXPECT_EQ(U64_MAX, model_access(d, 2, PAGE * 2, true));
	EXPECT_EQ(DATA + 7, dart_table_walk(&self->domain.table, PAGE + 7, NULL));
	ASSERT_EQ(0, dart_domain_map(&self->domain, last, DATA, PAGE, RW, 0));
	EXPECT_EQ(DATA, model_access(d, 2, last, true));
	EXPECT_EQ(PAGE, dart_domain_unmap(&self->domain, PAGE, PAGE * 2));
	EXPECT_EQ(U64_MAX, model_access(d, 2, PAGE + 5, false));
	dart_domain_detach(&self->domain, &a, 1);
	EXPECT_EQ(U64_MAX, model_access(d, 2, last, true));
}

TEST_F(dart, access_is_what_was_asked_for)
{
	struct dart_attach a = streams_of(&self->hw[0], 0, 1);
	struct model_dart *d = &self->model[0];
	struct dart_error error;
	unsigned int prot;

	ASSERT_EQ(0, dart_domain_attach(&self->domain, &a, 1, 0));
	ASSERT_EQ(0, dart_domain_map(&self->domain, 0, DATA, PAGE, DART_READ,
				     0));
	ASSERT_EQ(0, dart_domain_map(&self->domain, PAGE, DATA, PAGE,
				     DART_WRITE, 0));
	EXPECT_EQ(DATA, model_access(d, 0, 0, false));
	EXPECT_EQ(U64_MAX, model_access(d, 0, 4, true));
	ASSERT_TRUE(dart_hw_error(&self->hw[0], &error));
	EXPECT_EQ(DART_FAULT_WRITE, error.fault);
	EXPECT_EQ(4, error.iova);
	EXPECT_EQ(DATA, model_access(d, 0, PAGE, true));
	EXPECT_EQ(U64_MAX, model_access(d, 0, PAGE + 4, false));
	ASSERT_TRUE(dart_hw_error(&self->hw[0], &error));
	EXPECT_EQ(DART_FAULT_READ, error.fault);
	EXPECT_EQ(PAGE + 4, error.iova);
	EXPECT_FALSE(dart_hw_error(&self->hw[0], &error));
	EXPECT_EQ(DATA, dart_table_walk(&self->domain.table, 0, &prot));
	EXPECT_EQ(DART_READ, prot);
	dart_domain_detach(&self->domain, &a, 1);
}

TEST_F(dart, faults_say_where)
{
	struct dart_attach a = streams_of(&self->hw[0], 9, 1);
	struct model_dart *d = &self->model[0];
	struct dart_error error;

	ASSERT_EQ(0, dart_domain_attach(&self->domain, &a, 1, 0));
	ASSERT_EQ(0, dart_domain_map(&self->domain, PAGE * 3, DATA, PAGE, RW,
				     0));
	model_access(d, 9, PAGE * 4 + 12, true);
	/* One that nobody has seen hides those that follow. */
	model_access(d, 9, 0x70000000, true);
	ASSERT_TRUE(dart_hw_error(&self->hw[0], &error));
	EXPECT_EQ(DART_FAULT_SECOND, error.fault);
	EXPECT_EQ(9, error.stream);
	EXPECT_EQ(PAGE * 4 + 12, error.iova);
	EXPECT_STREQ("not mapped", dart_fault_text(error.fault));
	model_access(d, 9, 0x78000010, true);
	ASSERT_TRUE(dart_hw_error(&self->hw[0], &error));
	EXPECT_EQ(DART_FAULT_FIRST, error.fault);
	EXPECT_EQ(0x78000010, error.iova);
	dart_domain_detach(&self->domain, &a, 1);
}

/* Every bit of the register that means something, and one that does not. */
TEST_F(dart, faults_are_told_apart)
{
	static const enum dart_fault kinds[] = {
		DART_FAULT_TTBR, DART_FAULT_FIRST, DART_FAULT_SECOND,
		DART_FAULT_WRITE, DART_FAULT_READ, DART_FAULT_OTHER,
	};
	static const enum dart_fault kinds_t8110[] = {
		DART_FAULT_TTBR, DART_FAULT_FIRST, DART_FAULT_FIRST,
		DART_FAULT_SECOND, DART_FAULT_WRITE, DART_FAULT_READ,
		DART_FAULT_OTHER,
	};
	struct model_dart *d = &self->model[0];
	const enum dart_fault *want = d->t8110 ? kinds_t8110 : kinds;
	unsigned int i, nr = d->t8110 ? 7 : 6, stream = d->streams - 1;
	struct dart_error error;

	for (i = 0; i < nr; i++) {
		model_fault(d, stream, 0x123456789ULL + i, i);
		ASSERT_TRUE(dart_hw_error(&self->hw[0], &error));
		EXPECT_EQ(want[i], error.fault) TH_LOG("bit %u", i);
		EXPECT_EQ(stream, error.stream);
		EXPECT_EQ(0x123456789ULL + i, error.iova);
		EXPECT_EQ(1U << i, error.raw & ((1U << nr) - 1));
		EXPECT_FALSE(model_interrupts(d));
		EXPECT_FALSE(dart_hw_error(&self->hw[0], &error));
	}
	EXPECT_STREQ("no table for this stream",
		     dart_fault_text(DART_FAULT_TTBR));
	EXPECT_STREQ("unknown error", dart_fault_text(DART_FAULT_OTHER));
	EXPECT_STREQ("unknown error", dart_fault_text(DART_FAULT_OTHER + 1));
}

/* Translated, but no register says by what. */
TEST_F(dart, stream_without_a_table)
{
	struct dart_attach a = streams_of(&self->hw[0], 6, 1);
	u64 none[DART_MAX_TTBRS] = { 0 };
	struct dart_error error;

	ASSERT_EQ(0, dart_hw_translate(a.hw, &a.streams, none));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 6, 77, false));
	ASSERT_TRUE(dart_hw_error(&self->hw[0], &error));
	EXPECT_EQ(DART_FAULT_TTBR, error.fault);
	EXPECT_EQ(77, error.iova);
}

/* One domain cannot be in both of two that differ. */
TEST_F(dart, another_geometry_is_refused)
{
	struct dart_attach a[2] = { streams_of(&self->hw[0], 1, 1),
				    streams_of(&self->hw[1], 1, 1) };
	struct dart_geometry *g = &self->hw[1].geometry, good = *g;
	int i;

	ASSERT_EQ(0, dart_domain_map(&self->domain, 0, DATA, PAGE, RW, 0));
	for (i = 0; i < 4; i++) {
		*g = good;
		if (i == 0)
			g->format = !g->format;
		else if (i == 1)
			g->shift -= 2;
		else if (i == 2)
			g->iova_bits--;
		else
			g->phys_bits--;
		EXPECT_EQ(-EINVAL, dart_domain_attach(&self->domain, a, 2, 0));
		EXPECT_TRUE(self->domain.attached == NULL);
		EXPECT_EQ(U64_MAX, model_access(&self->model[0], 1, 0, false));
	}
	*g = good;
	EXPECT_EQ(0, dart_domain_attach(&self->domain, a, 2, 0));
	EXPECT_EQ(DATA, model_access(&self->model[0], 1, 0, false));
	dart_domain_detach(&self->domain, a, 2);
}

TEST_F(dart, bad_maps_change_nothing)
{
	struct dart_domain *d = &self->domain;
	u64 end = dart_table_last(&d->table) + 1;
	u64 phys_end = 1ULL << d->table.geometry.phys_bits;

	ASSERT_EQ(0, dart_domain_map(d, PAGE * 10, DATA, PAGE, RW, 0));
	EXPECT_EQ(-EINVAL, dart_domain_map(d, 4096, DATA, PAGE, RW, 0));
	EXPECT_EQ(-EINVAL, dart_domain_map(d, 0, DATA + 4096, PAGE, RW, 0));
	EXPECT_EQ(-EINVAL, dart_domain_map(d, 0, DATA, 4096, RW, 0));
	EXPECT_EQ(-EINVAL, dart_domain_map(d, 0, DATA, 0, RW, 0));
	EXPECT_EQ(-EINVAL, dart_domain_map(d, 0, DATA, PAGE, DART_CACHE, 0));
	EXPECT_EQ(-ERANGE, dart_domain_map(d, end, DATA, PAGE, RW, 0));
	EXPECT_EQ(-ERANGE, dart_domain_map(d, end - PAGE, DATA, PAGE * 2, RW,
					   0));
	EXPECT_EQ(-ERANGE, dart_domain_map(d, 0 - PAGE, DATA, PAGE * 2, RW, 0));
	EXPECT_EQ(-ERANGE, dart_domain_map(d, 0, phys_end - PAGE, PAGE * 2, RW,
					   0));
	EXPECT_EQ(-EEXIST, dart_domain_map(d, PAGE * 8, DATA, PAGE * 4, RW, 0));
	EXPECT_EQ(PAGE, d->table.mapped);
	EXPECT_EQ(PAGE, dart_domain_unmap(d, 0, end));
}

TEST_F(dart, short_memory_leaves_nothing)
{
	struct dart_attach a = streams_of(&self->hw[0], 0, 1);
	struct dart_domain *d = &self->domain;
	u64 iova = (32ULL << 20) * 5 - PAGE;	/* two tables */
	unsigned int n;

	ASSERT_EQ(0, dart_domain_attach(d, &a, 1, 0));
	for (n = 1; n < 3; n++) {
		self->memory.fail_after = n;
		EXPECT_EQ(-ENOMEM, dart_domain_map(d, iova, DATA, PAGE * 2, RW,
						   0));
		EXPECT_EQ(0, d->table.mapped);
		EXPECT_EQ(U64_MAX, model_access(&self->model[0], 0, iova,
						false));
		self->memory.fail_after = 0;
		/* The first table stays when the second cannot be had. */
		if (n == 1)
			iova += 32ULL << 20;
	}
	EXPECT_EQ(0, dart_domain_map(d, iova, DATA, PAGE * 2, RW, 0));
	EXPECT_EQ(DATA + PAGE, model_access(&self->model[0], 0, iova + PAGE,
					    false));
	dart_domain_detach(d, &a, 1);
}

TEST_F(dart, bypass_where_the_hardware_has_it)
{
	struct dart_attach a = streams_of(&self->hw[0], 0, 1);

	EXPECT_EQ(-EOPNOTSUPP, dart_hw_bypass(&self->hw[0], &a.streams));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 0, 5, false));
	EXPECT_EQ(0, dart_hw_bypass(&self->hw[1], &a.streams));
	EXPECT_EQ(5, model_access(&self->model[1], 0, 5, false));
	EXPECT_EQ(U64_MAX, model_access(&self->model[1], 1, 5, false));
	dart_hw_block(&self->hw[1], &a.streams);
	EXPECT_EQ(U64_MAX, model_access(&self->model[1], 0, 5, false));
}

TEST_F(dart, all_of_a_device_or_nothing)
{
	struct dart_attach a[2] = { streams_of(&self->hw[0], 1, 1),
				    streams_of(&self->hw[1], 7, 1) };
	struct dart_domain *d = &self->domain;

	ASSERT_EQ(0, dart_domain_map(d, 0, DATA, PAGE, RW, 0));
	self->model[1].deaf = true;
	EXPECT_EQ(-ETIMEDOUT, dart_domain_attach(d, a, 2, 0));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 1, 0, false));
	EXPECT_EQ(U64_MAX, model_access(&self->model[1], 7, 0, false));
	EXPECT_TRUE(d->attached == NULL);
	self->model[1].deaf = false;
	self->hw[1].geometry.iova_bits--;
	EXPECT_EQ(-EINVAL, dart_domain_attach(d, a, 2, 0));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 1, 0, false));
	self->hw[1].geometry.iova_bits++;
	ASSERT_EQ(0, dart_domain_attach(d, a, 2, 0));
	EXPECT_EQ(DATA, model_access(&self->model[0], 1, 0, false));
	EXPECT_EQ(DATA, model_access(&self->model[1], 7, 0, false));

	/* One that does not answer any more is cut off. */
	self->model[1].deaf = true;
	EXPECT_EQ(PAGE, dart_domain_unmap(d, 0, PAGE));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 1, 0, false));
	EXPECT_EQ(U64_MAX, model_access(&self->model[1], 7, 0, false));
	/* And nothing is mapped for half of a device. */
	EXPECT_EQ(-ETIMEDOUT, dart_domain_map(d, 0, DATA, PAGE, RW, 0));
	EXPECT_EQ(0, d->table.mapped);
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 1, 0, false));
	dart_domain_detach(d, a, 2);
}

/* One page at @iova, in tables of their own. */
static void one_page(struct dart_table *t, struct dart_root *root,
		     const struct dart_memory *ops, const struct dart_hw *hw,
		     u64 iova, u64 *ttbrs)
{
	unsigned int i;

	if (dart_table_init(t, ops, &hw->geometry, 0) ||
	    dart_root_add(t, root, NULL, 0) ||
	    dart_table_map(t, iova, DATA, PAGE, RW, 0))
		abort();
	for (i = 0; i < DART_MAX_TTBRS; i++)
		ttbrs[i] = dart_root_ttbr(t, root, i);
}

/* From one place to another, without being blocked in between. */
TEST_F(dart, nothing_cached_comes_along)
{
	struct dart_attach a = streams_of(&self->hw[1], 4, 2);
	struct model_dart *d = &self->model[1];
	u64 ttbrs[2][DART_MAX_TTBRS];
	struct dart_table table[2];
	struct dart_root root[2];
	int i;

	for (i = 0; i < 2; i++)
		one_page(&table[i], &root[i], &self->ops, a.hw, PAGE * i,
			 ttbrs[i]);
	ASSERT_EQ(0, dart_hw_translate(a.hw, &a.streams, ttbrs[0]));
	EXPECT_EQ(DATA, model_access(d, 4, 0, true));
	EXPECT_EQ(U64_MAX, model_access(d, 5, PAGE, true));
	ASSERT_EQ(0, dart_hw_translate(a.hw, &a.streams, ttbrs[1]));
	EXPECT_FALSE(model_stale(d));
	EXPECT_EQ(U64_MAX, model_access(d, 4, 0, true));
	EXPECT_EQ(DATA, model_access(d, 5, PAGE, true));
	/* To where it is already: what its tables are now is what counts. */
	EXPECT_EQ(PAGE, dart_table_unmap(&table[1], PAGE, PAGE));
	ASSERT_EQ(0, dart_hw_translate(a.hw, &a.streams, ttbrs[1]));
	EXPECT_EQ(U64_MAX, model_access(d, 5, PAGE, true));
	/* Who has left the tables is not told what becomes of them. */
	ASSERT_EQ(0, dart_hw_bypass(a.hw, &a.streams));
	EXPECT_EQ(PAGE, model_access(d, 5, PAGE, true));
	EXPECT_EQ(0, dart_table_map(&table[1], PAGE, DATA, PAGE, RW, 0));
	EXPECT_FALSE(model_stale(d));
	ASSERT_EQ(0, dart_hw_translate(a.hw, &a.streams, ttbrs[0]));
	EXPECT_EQ(DATA, model_access(d, 4, 0, true));
	dart_hw_block(a.hw, &a.streams);
	EXPECT_FALSE(model_stale(d));
	for (i = 0; i < 2; i++) {
		dart_root_remove(&table[i], &root[i]);
		dart_table_exit(&table[i]);
	}
}

/* Whatever was there before the driver. */
TEST_F(dart, reset_forgets)
{
	struct dart_attach a = streams_of(&self->hw[0], 4, 1);
	struct model_dart *d = &self->model[0];
	u64 ttbrs[DART_MAX_TTBRS];
	struct dart_table table;
	struct dart_root root;

	one_page(&table, &root, &self->ops, a.hw, 0, ttbrs);
	ASSERT_EQ(0, dart_hw_translate(a.hw, &a.streams, ttbrs));
	EXPECT_EQ(DATA, model_access(d, 4, 0, true));
	EXPECT_EQ(0, dart_hw_reset(a.hw));
	EXPECT_EQ(U64_MAX, model_access(d, 4, 0, true));
	EXPECT_FALSE(model_stale(d));
	d->deaf = true;
	EXPECT_EQ(-ETIMEDOUT, dart_hw_reset(a.hw));
	dart_root_remove(&table, &root);
	dart_table_exit(&table);
}

/* --- locked by firmware --- */

#define FIRMWARE (32ULL << 20)	/* an IOVA */
#define SCREEN 0x180000000ULL	/* where it leads */

/* Firmware has a stream scan out a picture, and has locked the DART. */
static void boot_locked(struct model_dart *model, struct dart_hw *hw,
			unsigned int stream, struct dart_table *firmware,
			struct dart_root *root, const struct dart_memory *ops)
{
	struct dart_streams s = { { 0 } };
	struct dart_io io = model_io(model);
	u64 ttbrs[DART_MAX_TTBRS];
	unsigned int i;

	if (dart_table_init(firmware, ops, &hw->geometry, 0) ||
	    dart_root_add(firmware, root, NULL, 0) ||
	    dart_table_map(firmware, FIRMWARE, SCREEN, PAGE * 4, DART_READ, 0))
		abort();
	dart_streams_add(&s, stream);
	for (i = 0; i < DART_MAX_TTBRS; i++)
		ttbrs[i] = dart_root_ttbr(firmware, root, i);
	if (dart_hw_translate(hw, &s, ttbrs))
		abort();
	model_lock(model);
	if (dart_hw_init(hw, hw->variant, &io) || dart_hw_reset(hw))
		abort();
}

TEST_F(dart, locked_keeps_what_firmware_set_up)
{
	struct model_dart *d = &self->model[2];
	struct dart_table firmware;
	struct dart_root root;
	struct dart_attach a[2] = { streams_of(&self->hw[2], 3, 1),
				    streams_of(&self->hw[0], 3, 1) };
	u64 first = 0, last = dart_table_last(&self->domain.table);

	boot_locked(d, &self->hw[2], 3, &firmware, &root, &self->ops);
	EXPECT_TRUE(self->hw[2].locked);
	EXPECT_EQ(SCREEN, model_access(d, 3, FIRMWARE, false));
	EXPECT_EQ(-EACCES, dart_hw_bypass(&self->hw[2], &a[0].streams));

	/* Mapped before and after, for both; firmware's place is taken. */
	ASSERT_EQ(0, dart_domain_map(&self->domain, 0, DATA, PAGE, RW, 0));
	ASSERT_EQ(0, dart_domain_attach(&self->domain, a, 2, 0));
	ASSERT_EQ(0, dart_domain_map(&self->domain, FIRMWARE * 3, DATA, PAGE,
				     RW, 0));
	EXPECT_EQ(DATA, model_access(d, 3, 0, true));
	EXPECT_EQ(DATA, model_access(d, 3, FIRMWARE * 3, true));
	EXPECT_EQ(DATA, model_access(&self->model[0], 3, FIRMWARE * 3, true));
	EXPECT_EQ(SCREEN + PAGE, model_access(d, 3, FIRMWARE + PAGE, false));
	EXPECT_EQ(-EEXIST, dart_domain_map(&self->domain, FIRMWARE + PAGE * 9,
					   DATA, PAGE, RW, 0));
	EXPECT_EQ(0, dart_domain_unmap(&self->domain, FIRMWARE, FIRMWARE));
	EXPECT_EQ(SCREEN, model_access(d, 3, FIRMWARE, false));
	EXPECT_TRUE(dart_root_firmware(&self->domain.table, &a[0].root, &first,
				       &last));
	EXPECT_EQ(FIRMWARE, first);
	EXPECT_EQ(FIRMWARE * 2 - 1, last);

	dart_domain_detach(&self->domain, a, 2);
	EXPECT_EQ(U64_MAX, model_access(d, 3, 0, true));
	EXPECT_EQ(SCREEN, model_access(d, 3, FIRMWARE, false));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 3, 0, true));

	/* What is mapped already cannot be hidden by firmware's. */
	ASSERT_EQ(0, dart_domain_map(&self->domain, FIRMWARE, DATA, PAGE, RW,
				     0));
	EXPECT_EQ(-EEXIST, dart_domain_attach(&self->domain, a, 2, 0));
	EXPECT_EQ(SCREEN, model_access(d, 3, FIRMWARE, false));
	EXPECT_EQ(U64_MAX, model_access(&self->model[0], 3, 0, true));
	dart_domain_unmap(&self->domain, FIRMWARE, PAGE);
	EXPECT_EQ(0, dart_domain_attach(&self->domain, a, 2, 0));
	EXPECT_EQ(-EEXIST, dart_domain_map(&self->domain, FIRMWARE, DATA, PAGE,
					   RW, 0));
	dart_domain_detach(&self->domain, a, 2);

	dart_root_remove(&firmware, &root);
	dart_table_exit(&firmware);
}

/* Two devices that firmware gave one table: neither takes from the other. */
TEST_F(dart, locked_table_of_two_devices)
{
	struct model_dart *d = &self->model[2];
	struct dart_table firmware;
	struct dart_root root;
	struct dart_attach a = streams_of(&self->hw[2], 3, 1),
			   b = streams_of(&self->hw[2], 3, 1);

	boot_locked(d, &self->hw[2], 3, &firmware, &root, &self->ops);
	ASSERT_EQ(0, dart_domain_attach(&self->domain, &a, 1, 0));
	ASSERT_EQ(0, dart_domain_map(&self->domain, 0, DATA, PAGE, RW, 0));
	ASSERT_EQ(0, dart_domain_attach(&self->domain, &b, 1, 0));
	EXPECT_EQ(DATA, model_access(d, 3, 0, true));
	dart_domain_detach(&self->domain, &b, 1);
	EXPECT_EQ(DATA, model_access(d, 3, 0, true));
	EXPECT_EQ(SCREEN, model_access(d, 3, FIRMWARE, false));
	dart_domain_detach(&self->domain, &a, 1);
	EXPECT_EQ(U64_MAX, model_access(d, 3, 0, true));

	dart_root_remove(&firmware, &root);
	dart_table_exit(&firmware);
}

/* Firmware locked it, and no register says so: what was written is looked at. */
TEST_F(dart, locked_in_secret)
{
	struct dart_attach a = streams_of(&self->hw[2], 3, 1);

	self->model[2].lock = true;
	EXPECT_FALSE(self->hw[2].locked);
	EXPECT_EQ(-EACCES, dart_domain_attach(&self->domain, &a, 1, 0));
}

TEST_F(dart, locked_without_tables_is_refused)
{
	struct dart_attach a = streams_of(&self->hw[2], 3, 1);
	struct dart_io io = model_io(&self->model[2]);

	model_lock(&self->model[2]);
	ASSERT_EQ(0, dart_hw_init(&self->hw[2], self->hw[2].variant, &io));
	EXPECT_EQ(-EACCES, dart_domain_attach(&self->domain, &a, 1, 0));
}

TEST(no_such_hardware)
{
	struct model_memory memory = { .shift = 14 };
	struct dart_memory ops = { model_alloc, model_free, model_phys,
				   model_virt, &memory };
	struct dart_geometry good = { DART_FORMAT_1, 14, 32, 36 }, g;
	struct model_dart model;
	struct dart_table table;
	struct dart_hw hw;
	struct dart_io io = model_io(&model);

	EXPECT_TRUE(dart_variant_find("t9999") == NULL);
	model_init(&model, "t8103", 14, true, 1, model_virt, &memory);
	*model_reg(&model, 0) = 16 << 24;
	EXPECT_EQ(-EINVAL, dart_hw_init(&hw, dart_variant_find("t8103"), &io));
	model_init(&model, "t8110", 14, true, 1, model_virt, &memory);
	*model_reg(&model, 0x0c) = 0;
	EXPECT_EQ(-EINVAL, dart_hw_init(&hw, dart_variant_find("t8110"), &io));
	/* More bits than two levels of tables reach. */
	model_init(&model, "t8110", 14, true, 1, model_virt, &memory);
	*model_reg(&model, 0x08) = 42U << 24 | 37 << 16;
	EXPECT_EQ(-EINVAL, dart_hw_init(&hw, dart_variant_find("t8110"), &io));
	g = good;
	g.shift = 16;
	EXPECT_EQ(-EINVAL, dart_table_init(&table, &ops, &g, 0));
	g = good;
	g.iova_bits = 40;
	EXPECT_EQ(-EINVAL, dart_table_init(&table, &ops, &g, 0));
	g = good;
	g.phys_bits = 37;
	EXPECT_EQ(-EINVAL, dart_table_init(&table, &ops, &g, 0));
	memory.fail_after = 1;
	EXPECT_EQ(-ENOMEM, dart_table_init(&table, &ops, &good, 0));
	EXPECT_EQ(0, memory.live);
}

TEST_HARNESS_MAIN
