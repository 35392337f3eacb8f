// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of DMA, told by the netlink family: where the IOMMU's driver reports
 * them, behind a virtio-iommu.
 */
#include "edu.h"
#include "nl.h"

#define BASE 0x1000000ULL

static bool faults_are_reported(void)
{
	return !access("/sys/bus/virtio/drivers/granule_virtio_iommu", F_OK);
}

FIXTURE(fault)
{
	struct gnl nl;
	struct rows rows;
	int fd;
	uint64_t ctx;
	uint32_t ioas;
	struct edu edu;
	uint8_t *mem;
};

FIXTURE_SETUP(fault)
{
	self->edu.dev = -1;
	self->fd = -1;
	if (!faults_are_reported())
		SKIP(return, "VT-d's driver reports faults to nobody");
	OK(gnl_open(&self->nl));
	self->fd = open_node();
	ASSERT_LE(0, self->fd);
	self->ctx = latest(&self->nl);
	self->mem = mem_alloc(16 * PG, PG);
	OK(edu_open(&self->edu, 0));
	OK(edu_bind(&self->edu, self->fd));
	OK(iommu_ioas_alloc(self->fd, &self->ioas));
	OK(edu_attach(&self->edu, self->ioas));
	OK(iommu_map_at(self->fd, self->ioas, self->mem, PG, RD, BASE));
	OK(edu_start(&self->edu));
}

FIXTURE_TEARDOWN(fault)
{
	if (!self->nl.sk)
		return;
	edu_close(&self->edu);
	close(self->fd);
	rows_free(&self->rows);
	gnl_close(&self->nl);
	EXPECT_CLEAN();
}

TEST_F(fault, told)
{
	struct row *r;

	OK(gnl_join(&self->nl, GRANULE_MCGRP_FAULTS));
	OK(edu_load(&self->edu, BASE, 64));
	EXPECT_EQ(NULL, gnl_event(&self->nl, 200));
	OK(edu_load(&self->edu, BASE + MIB, 64));
	r = gnl_event(&self->nl, PATIENCE);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(GRANULE_EVENT_FAULT, V(r, EVENT));
	EXPECT_EQ(self->ctx, V(r, CONTEXT));
	EXPECT_STREQ(self->edu.bdf, TEXT(r, DEVICE));
	EXPECT_EQ(self->ioas, V(r, IOAS));
	EXPECT_EQ(BASE + MIB, V(r, ADDR));
	/* QEMU does not say what it was where nothing is mapped. */
	EXPECT_FALSE(HAS(r, ACCESS));
	/* It may read there, and no more. */
	OK(edu_store(&self->edu, BASE + 16, 8));
	do
		r = gnl_event(&self->nl, PATIENCE);
	while (r && V(r, ADDR) >= BASE + MIB);
	ASSERT_NE(NULL, r);
	EXPECT_EQ(BASE + 16, V(r, ADDR));
	EXPECT_EQ(GRANULE_ACCESS_WRITE, V(r, ACCESS));
	gnl_close(&self->nl);
	OK(gnl_open(&self->nl));
	DUMP(CONTEXT, self->ctx);
	EXPECT_LE(2, V(&self->rows.v[0], FAULTS));
	EXPECT_EQ(0, V(&self->rows.v[0], REFUSED));
	DUMP(IOAS, self->ctx);
	EXPECT_LE(2, V(&self->rows.v[0], FAULTS));
}

/* How many faults there were, once no more come. */
static uint64_t faults_settled(struct gnl *look, uint64_t ctx)
{
	uint64_t n = 0, before, quiet = now_ms();
	struct rows rows;

	while (now_ms() < quiet + 3000) {
		before = n;
		if (gnl_dump(look, GRANULE_CMD_CONTEXT_GET, ctx, &rows) ||
		    rows.n != 1)
			return 0;
		n = V(&rows.v[0], FAULTS);
		rows_free(&rows);
		if (n != before)
			quiet = now_ms();
		usleep(100000);
	}
	return n;
}

/* Refusals do not hide faults; all of which are counted, if not told. */
TEST_F(fault, rate)
{
	uint64_t told = 0, hidden = 0, all;
	struct gnl look;
	struct row *r;

	OK(gnl_open(&look));
	OK(gnl_join(&self->nl, GRANULE_MCGRP_FAULTS));
	OK(gnl_join(&self->nl, GRANULE_MCGRP_EVENTS));
	for (int i = 0; i < 100; i++)
		FAILS(EEXIST, iommu_map_at(self->fd, self->ioas, self->mem, PG,
					   RD, BASE));
	for (int i = 0; i < 60; i++)
		OK(edu_load(&self->edu, BASE + MIB + i * PG, 8));
	EXPECT_LE(60, faults_settled(&look, self->ctx));
	OK(edu_load(&self->edu, BASE + MIB, 8));
	all = faults_settled(&look, self->ctx);
	while ((r = gnl_event_of(&self->nl, GRANULE_EVENT_FAULT, 100))) {
		told++;
		hidden += V(r, SUPPRESSED);
	}
	EXPECT_LE(20, told);
	EXPECT_EQ(all, told + hidden);
	EXPECT_EQ(0, self->nl.lost);
	gnl_close(&look);
}

/*
 * The page table goes while a fault in it is being told, a little before, or a
 * little after: what is told is of here, or not told at all.
 */
TEST_F_TIMEOUT(fault, page_table_goes, 150)
{
	uint64_t told = 0, before;
	struct gnl look;
	struct row *r;
	uint32_t hwpt;
	int i;

	OK(gnl_open(&look));
	OK(gnl_join(&self->nl, GRANULE_MCGRP_FAULTS));
	OK(edu_detach(&self->edu));
	for (i = 0; i < 50; i++) {
		OK(iommu_hwpt_alloc(self->fd, self->edu.dev_id, self->ioas, 0,
				    &hwpt));
		OK(edu_attach(&self->edu, hwpt));
		OK(edu_dma_begin(&self->edu, BASE + MIB, PG, i & 1));
		usleep(80000 + i * 1500);
		OK(edu_detach(&self->edu));
		OK(iommu_destroy(self->fd, hwpt));
		OK(edu_dma_end(&self->edu));
		while ((r = gnl_event(&self->nl, 0))) {
			told++;
			EXPECT_EQ(GRANULE_EVENT_FAULT, V(r, EVENT));
			EXPECT_EQ(self->ctx, V(r, CONTEXT));
			EXPECT_EQ(self->ioas, V(r, IOAS));
			EXPECT_LE(BASE + MIB, V(r, ADDR));
			EXPECT_GT(BASE + MIB + PG, V(r, ADDR));
			EXPECT_STREQ(self->edu.bdf, TEXT(r, DEVICE));
		}
	}
	/* Some came in time; nothing is told of what came too late. */
	EXPECT_LT(0, told);
	before = faults_settled(&look, self->ctx);
	EXPECT_LE(told, before);
	OK(edu_load(&self->edu, BASE + MIB, 64));
	EXPECT_EQ(before, faults_settled(&look, self->ctx));
	EXPECT_EQ(NULL, gnl_event(&self->nl, 0));
	/* And it goes on. */
	OK(edu_attach(&self->edu, self->ioas));
	OK(edu_load(&self->edu, BASE + MIB, 64));
	EXPECT_NE(NULL, gnl_event(&self->nl, PATIENCE));
	gnl_close(&look);
}

TEST_HARNESS_MAIN
