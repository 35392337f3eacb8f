// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capability chains: round trips in every room, garbage, and 32-bit offsets.
 */
#include "kselftest_harness.h"

#include "model_capchain.h"
#include "random.h"

static const struct chain_piece pieces[] = {
	{ .id = 1, .version = 1, .size = 8 },
	{ .id = 2, .version = 7, .size = 9, .fill = 0x11 },
	{ .id = 0xffff, .version = 0xffff, .size = 64, .fill = 0x22 },
	{ .id = 0, .version = 0, .size = 15, .fill = 0x33 },
	{ .id = 2, .version = 1, .size = 17, .fill = 0x44 },
};

TEST(what_is_built_is_read_in_every_room)
{
	u32 n, room, base;

	for (base = 0; base <= 48; base += 8)
		for (n = 0; n <= ARRAY_SIZE(pieces); n++)
			for (room = 0; room < 160; room++)
				chain_round_trip(pieces, n, base, room);
}

TEST(errors_stay)
{
	u64 buf[4];
	struct capchain c;
	u32 size = 77;

	capchain_init(&c, buf, sizeof(buf), 8);
	EXPECT_NE(NULL, capchain_add(&c, 1, 1, 24));
	EXPECT_EQ(NULL, capchain_add(&c, 1, 1, 16));
	EXPECT_EQ(-ENOSPC, capchain_finish(&c, &size));
	/* This one would fit. */
	EXPECT_EQ(NULL, capchain_add(&c, 1, 1, 8));
	EXPECT_EQ(NULL, capchain_add(&c, 1, 1, 0));
	EXPECT_EQ(-ENOSPC, capchain_finish(&c, &size));
	EXPECT_EQ(77, size);

	capchain_init(&c, buf, sizeof(buf), 12);
	EXPECT_EQ(NULL, capchain_add(&c, 1, 1, 8));
	EXPECT_EQ(-EINVAL, capchain_finish(&c, &size));

	capchain_init(&c, buf, sizeof(buf), 0);
	EXPECT_EQ(NULL, capchain_add(&c, 1, 1, 7));
	EXPECT_EQ(-EINVAL, capchain_finish(&c, &size));
}

TEST(offsets_are_32_bits)
{
	struct capchain c;
	u32 size = 77;

	capchain_init(&c, NULL, 0, 0);
	capchain_add(&c, 1, 1, 0xfffffff8);
	ASSERT_EQ(0, capchain_finish(&c, &size));
	EXPECT_EQ(0xfffffff8, size);
	capchain_add(&c, 1, 1, 8);
	EXPECT_EQ(-EOVERFLOW, capchain_finish(&c, &size));

	capchain_init(&c, NULL, 0, 0);
	capchain_add(&c, 1, 1, 0xfffffff9);
	EXPECT_EQ(-EOVERFLOW, capchain_finish(&c, &size));

	capchain_init(&c, NULL, 0, 0xfffffff0);
	capchain_add(&c, 1, 1, 8);
	EXPECT_EQ(0, capchain_finish(&c, &size));
	capchain_add(&c, 1, 1, 8);
	EXPECT_EQ(-EOVERFLOW, capchain_finish(&c, &size));

	capchain_init(&c, NULL, 0, 0xfffffff0);
	capchain_add(&c, 1, 1, 16);
	EXPECT_EQ(-EOVERFLOW, capchain_finish(&c, &size));

	capchain_init(&c, NULL, 0, 0);
	capchain_add(&c, 1, 1, U64_MAX);
	EXPECT_EQ(-EOVERFLOW, capchain_finish(&c, &size));

	capchain_init(&c, NULL, 0, 0);
	capchain_add(&c, 1, 1, 16);
	capchain_add(&c, 1, 1, (1ULL << 32) + 8);
	EXPECT_EQ(-EOVERFLOW, capchain_finish(&c, &size));
}

static int second_link(u32 next, u32 size)
{
	struct capchain_header info[] = {
		{}, { .id = 1, .next = next }, { .id = 2 }, { .id = 3 },
	};
	struct capchain_iter it;
	struct capchain_cap cap;
	u8 *copy = malloc(size);
	int rc;

	/* Just these bytes: what lies behind is for ASan to guard. */
	memcpy(copy, info, size);
	capchain_read(&it, copy, size, 8);
	rc = capchain_next(&it, &cap);
	if (rc == 1)
		rc = cap.size;
	free(copy);
	return rc;
}

TEST(links_that_lie)
{
	EXPECT_EQ(8, second_link(16, 32));
	EXPECT_EQ(16, second_link(24, 32));
	EXPECT_EQ(24, second_link(0, 32));
	/* To itself, backward, into itself, misaligned. */
	EXPECT_EQ(-EINVAL, second_link(8, 32));
	EXPECT_EQ(-EINVAL, second_link(1, 32));
	EXPECT_EQ(-EINVAL, second_link(12, 32));
	EXPECT_EQ(-EINVAL, second_link(20, 32));
	/* Out of the buffer, with or without the header's own bytes. */
	EXPECT_EQ(-EINVAL, second_link(32, 32));
	EXPECT_EQ(-EINVAL, second_link(24, 31));
	EXPECT_EQ(-EINVAL, second_link(0xfffffff8, 32));
	/* The first one. */
	EXPECT_EQ(8, second_link(0, 16));
	EXPECT_EQ(-EINVAL, second_link(0, 15));
	EXPECT_EQ(-EINVAL, second_link(0, 8));
	EXPECT_EQ(-EINVAL, second_link(0, 1));
}

TEST(every_first_offset)
{
	struct chain_piece got[CHAIN_MAX];
	u64 info[4] = {};
	u32 size, first;
	int end;

	for (size = 0; size <= sizeof(info); size++)
		for (first = 0; first <= sizeof(info) + 8; first++) {
			u32 n = chain_read((u8 *)info, size, first, got, &end);
			bool sound = !(first % 8) && first + 8 <= size;

			EXPECT_EQ(first && sound, n);
			EXPECT_EQ(first && !sound ? -EINVAL : 0, end);
		}
	EXPECT_EQ(0, chain_read((u8 *)info, 32, 0xfffffff8, got, &end));
	EXPECT_EQ(-EINVAL, end);
}

TEST(random_against_models)
{
	u64 state = random_seed("capchain");
	u8 bytes[1024];
	int i;

	for (i = 0; i < 3000; i++) {
		random_fill(&state, bytes, sizeof(bytes));
		chain_ops(bytes, sizeof(bytes));
	}
}

TEST_HARNESS_MAIN
