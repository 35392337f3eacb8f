// SPDX-License-Identifier: GPL-2.0-only
/* The registers of Apple's DART. See dart_hw.h. */
#include "dart_hw.h"

#define DART_PARAMS1		0x00
#define DART_PARAMS1_SHIFT(v)	((v) >> 24 & 0xf)
#define DART_PARAMS2		0x04
#define DART_PARAMS2_BYPASS	(1U << 0)

/* t8103 and t6000 */
#define DART1_COMMAND		0x20
#define DART1_COMMAND_BUSY	(1U << 2)
#define DART1_COMMAND_FLUSH	(1U << 20)
#define DART1_SELECT		0x34

/* t8110 */
#define DART3_PARAMS3		0x08
#define DART3_PARAMS3_PHYS(v)	((v) >> 24 & 0x3f)
#define DART3_PARAMS3_IOVA(v)	((v) >> 16 & 0x3f)
#define DART3_PARAMS4		0x0c
#define DART3_PARAMS4_STREAMS(v) ((v) & 0x1ff)
#define DART3_COMMAND		0x80
#define DART3_COMMAND_BUSY	(1U << 31)
#define DART3_COMMAND_FLUSH	(1U << 8)
#define DART3_ERROR_MASK	0x104

#define DART_BUSY_TRIES		100	/* about as many microseconds */

/* Which bit of an error register means what; first match. */
struct dart_error_bit {
	u32 bit;
	enum dart_fault fault;
};

struct dart_variant {
	const char *name;
	enum dart_format format;
	unsigned int iova_bits;		/* 0: a register says it */
	unsigned int phys_bits;
	unsigned int streams;
	int (*flush)(struct dart_hw *hw, const struct dart_streams *streams);

	u32 lock;
	u32 lock_bit;
	u32 enable;

	u32 tcr;
	u32 tcr_translate;
	u32 tcr_bypass;

	u32 ttbr;
	unsigned int ttbrs;
	u32 ttbr_valid;
	unsigned int ttbr_field;	/* where the address begins */
	unsigned int ttbr_shift;	/* of the address */

	u32 error;
	u32 error_flag;
	unsigned int error_stream_shift;
	u32 error_stream_mask;
	u32 error_low;
	u32 error_high;
	u32 error_mask;			/* register; 0: none */
	u32 error_streams;		/* a bit a stream; 0: none */
	struct dart_error_bit errors[6];
};

static u32 read_reg(struct dart_hw *hw, u32 offset)
{
	return hw->io.read(hw->io.context, offset);
}

static void write_reg(struct dart_hw *hw, u32 offset, u32 value)
{
	hw->io.write(hw->io.context, offset, value);
}

static int wait_idle(struct dart_hw *hw, u32 offset, u32 busy)
{
	unsigned int i;

	for (i = 0; i < DART_BUSY_TRIES; i++) {
		if (!(read_reg(hw, offset) & busy))
			return 0;
		hw->io.relax(hw->io.context);
	}
	return -ETIMEDOUT;
}

static int dart1_flush(struct dart_hw *hw, const struct dart_streams *streams)
{
	unsigned int i;

	for (i = 0; i * 32 < hw->streams; i++)
		write_reg(hw, DART1_SELECT + 4 * i, streams->word[i]);
	write_reg(hw, DART1_COMMAND, DART1_COMMAND_FLUSH);
	return wait_idle(hw, DART1_COMMAND, DART1_COMMAND_BUSY);
}

static int dart3_flush(struct dart_hw *hw, const struct dart_streams *streams)
{
	unsigned int i;
	int rc;

	for (i = 0; i < hw->streams; i++) {
		if (!dart_streams_has(streams, i))
			continue;
		write_reg(hw, DART3_COMMAND, DART3_COMMAND_FLUSH | i);
		rc = wait_idle(hw, DART3_COMMAND, DART3_COMMAND_BUSY);
		if (rc)
			return rc;
	}
	return 0;
}

#define DART1_REGISTERS							\
	.streams = 16,							\
	.flush = dart1_flush,						\
	.lock = 0x60,							\
	.lock_bit = 1U << 15,						\
	.enable = 0xfc,							\
	.tcr = 0x100,							\
	.tcr_translate = 1U << 7,					\
	.tcr_bypass = 1U << 8 | 1U << 12,				\
	.ttbr = 0x200,							\
	.ttbrs = 4,							\
	.ttbr_valid = 1U << 31,						\
	.ttbr_shift = 12,						\
	.error = 0x40,							\
	.error_flag = 1U << 31,						\
	.error_stream_shift = 24,					\
	.error_stream_mask = 0xf,					\
	.error_low = 0x50,						\
	.error_high = 0x54,						\
	.errors = {							\
		{ 1U << 0, DART_FAULT_TTBR },				\
		{ 1U << 1, DART_FAULT_FIRST },				\
		{ 1U << 2, DART_FAULT_SECOND },				\
		{ 1U << 3, DART_FAULT_WRITE },				\
		{ 1U << 4, DART_FAULT_READ },				\
	}

static const struct dart_variant variants[] = {
	{
		.name = "t8103",
		.format = DART_FORMAT_1,
		.iova_bits = 32,
		.phys_bits = 36,
		DART1_REGISTERS,
	},
	{
		.name = "t6000",
		.format = DART_FORMAT_2,
		.iova_bits = 32,
		.phys_bits = 42,
		DART1_REGISTERS,
	},
	{
		.name = "t8110",
		.format = DART_FORMAT_2,
		.streams = DART_MAX_STREAMS,
		.flush = dart3_flush,
		/* PROTECT; PROTECT_LOCK at 0x208 only says for how long. */
		.lock = 0x200,
		.lock_bit = 1U << 0,
		.enable = 0xc00,
		.tcr = 0x1000,
		.tcr_translate = 1U << 0,
		.tcr_bypass = 1U << 1 | 1U << 2,
		.ttbr = 0x1400,
		.ttbrs = 1,
		.ttbr_valid = 1U << 0,
		.ttbr_field = 2,
		.ttbr_shift = 14,
		.error = 0x100,
		.error_flag = 1U << 31,
		.error_stream_shift = 20,
		.error_stream_mask = 0xff,
		.error_low = 0x170,
		.error_high = 0x174,
		.error_mask = DART3_ERROR_MASK,
		.error_streams = 0x1c0,
		.errors = {
			{ 1U << 0, DART_FAULT_TTBR },
			{ 1U << 1, DART_FAULT_FIRST },
			{ 1U << 2, DART_FAULT_FIRST },
			{ 1U << 3, DART_FAULT_SECOND },
			{ 1U << 4, DART_FAULT_WRITE },
			{ 1U << 5, DART_FAULT_READ },
		},
	},
};

const struct dart_variant *dart_variant_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(variants) / sizeof(*variants); i++)
		if (!strcmp(variants[i].name, name))
			return &variants[i];
	return NULL;
}

int dart_hw_init(struct dart_hw *hw, const struct dart_variant *variant,
		 const struct dart_io *io)
{
	unsigned int reach, ttbrs;
	u32 params;

	*hw = (struct dart_hw){ .variant = variant, .io = *io };
	hw->geometry = (struct dart_geometry){
		.format = variant->format,
		.shift = DART_PARAMS1_SHIFT(read_reg(hw, DART_PARAMS1)),
		.iova_bits = variant->iova_bits,
		.phys_bits = variant->phys_bits,
	};
	hw->bypass = read_reg(hw, DART_PARAMS2) & DART_PARAMS2_BYPASS;
	hw->streams = variant->streams;
	if (!variant->iova_bits) {
		params = read_reg(hw, DART3_PARAMS3);
		hw->geometry.iova_bits = DART3_PARAMS3_IOVA(params);
		hw->geometry.phys_bits = DART3_PARAMS3_PHYS(params);
		hw->streams = DART3_PARAMS4_STREAMS(read_reg(hw,
							     DART3_PARAMS4));
	}
	hw->locked = read_reg(hw, variant->lock) & variant->lock_bit;
	if (!hw->streams || hw->streams > DART_MAX_STREAMS ||
	    (hw->geometry.shift != 12 && hw->geometry.shift != 14))
		return -EINVAL;
	/* Two levels of tables, and as many of the first as there are TTBRs. */
	reach = hw->geometry.shift + 2 * (hw->geometry.shift - 3);
	for (ttbrs = 1; ttbrs < variant->ttbrs; ttbrs *= 2)
		reach++;
	return hw->geometry.iova_bits > reach ? -EINVAL : 0;
}

static u32 tcr_of(const struct dart_hw *hw, unsigned int stream)
{
	return hw->variant->tcr + 4 * stream;
}

static u32 ttbr_of(const struct dart_hw *hw, unsigned int stream,
		   unsigned int index)
{
	return hw->variant->ttbr + 4 * (hw->variant->ttbrs * stream + index);
}

static u32 ttbr_value(const struct dart_hw *hw, u64 phys)
{
	const struct dart_variant *v = hw->variant;

	return phys ? (u32)(phys >> v->ttbr_shift << v->ttbr_field) |
		      v->ttbr_valid : 0;
}

u64 dart_hw_ttbr(struct dart_hw *hw, unsigned int stream, unsigned int index)
{
	const struct dart_variant *v = hw->variant;
	u32 value;

	if (index >= v->ttbrs)
		return 0;
	value = read_reg(hw, ttbr_of(hw, stream, index));
	if (!(value & v->ttbr_valid))
		return 0;
	return (u64)((value & ~v->ttbr_valid) >> v->ttbr_field)
	       << v->ttbr_shift;
}

int dart_hw_flush(struct dart_hw *hw, const struct dart_streams *streams)
{
	int rc;

	hw->io.lock(hw->io.context);
	rc = hw->variant->flush(hw, streams);
	hw->io.unlock(hw->io.context);
	return rc;
}

/* What is cached stays. A locked DART cannot be stopped. */
static void stop(struct dart_hw *hw, const struct dart_streams *streams)
{
	unsigned int i, j;

	for (i = 0; i < hw->streams && !hw->locked; i++) {
		if (!dart_streams_has(streams, i))
			continue;
		write_reg(hw, tcr_of(hw, i), 0);
		for (j = 0; j < hw->variant->ttbrs; j++)
			write_reg(hw, ttbr_of(hw, i, j), 0);
	}
}

void dart_hw_block(struct dart_hw *hw, const struct dart_streams *streams)
{
	stop(hw, streams);
	dart_hw_flush(hw, streams);
}

/* Some DARTs go on to interrupt until their streams are told as well. */
static void acknowledge(struct dart_hw *hw, u32 error)
{
	const struct dart_variant *v = hw->variant;
	unsigned int i;

	write_reg(hw, v->error, error);
	for (i = 0; v->error_streams && i * 32 < hw->streams; i++)
		write_reg(hw, v->error_streams + 4 * i, U32_MAX);
}

int dart_hw_reset(struct dart_hw *hw)
{
	struct dart_streams all = { { 0 } };
	unsigned int i;

	for (i = 0; i < hw->streams; i++)
		dart_streams_add(&all, i);
	stop(hw, &all);
	/* TCR tells them apart; this switch is for all at once. */
	for (i = 0; i * 32 < hw->streams && !hw->locked; i++)
		write_reg(hw, hw->variant->enable + 4 * i, U32_MAX);
	acknowledge(hw, read_reg(hw, hw->variant->error));
	if (hw->variant->error_mask)
		write_reg(hw, hw->variant->error_mask, 0);
	return dart_hw_flush(hw, &all);
}

/* Are all streams translated by these tables? */
static bool translates(struct dart_hw *hw, const struct dart_streams *streams,
		       const u64 *ttbrs)
{
	unsigned int i, j;

	for (i = 0; i < hw->streams; i++) {
		if (!dart_streams_has(streams, i))
			continue;
		if (read_reg(hw, tcr_of(hw, i)) != hw->variant->tcr_translate)
			return false;
		/* What firmware set beyond the tables in use is not reached. */
		for (j = 0; j < hw->variant->ttbrs; j++)
			if ((ttbrs[j] || !hw->locked) &&
			    dart_hw_ttbr(hw, i, j) != ttbrs[j])
				return false;
	}
	return true;
}

int dart_hw_translate(struct dart_hw *hw, const struct dart_streams *streams,
		      const u64 *ttbrs)
{
	unsigned int i, j;
	int rc;

	/* Streams that a device shares with others may be in use. */
	if (translates(hw, streams, ttbrs))
		return dart_hw_flush(hw, streams);
	if (hw->locked)
		return -EACCES;
	/* Never by new tables with what is cached of the old ones. */
	stop(hw, streams);
	for (i = 0; i < hw->streams; i++) {
		if (!dart_streams_has(streams, i))
			continue;
		for (j = 0; j < hw->variant->ttbrs; j++)
			write_reg(hw, ttbr_of(hw, i, j),
				  ttbr_value(hw, ttbrs[j]));
	}
	rc = dart_hw_flush(hw, streams);
	if (rc) {
		dart_hw_block(hw, streams);
		return rc;
	}
	for (i = 0; i < hw->streams; i++)
		if (dart_streams_has(streams, i))
			write_reg(hw, tcr_of(hw, i),
				  hw->variant->tcr_translate);
	/* Firmware may have seen to it that nothing of this was done. */
	if (!translates(hw, streams, ttbrs)) {
		dart_hw_block(hw, streams);
		return -EACCES;
	}
	return 0;
}

int dart_hw_bypass(struct dart_hw *hw, const struct dart_streams *streams)
{
	unsigned int i;

	if (!hw->bypass)
		return -EOPNOTSUPP;
	if (hw->locked)
		return -EACCES;
	dart_hw_block(hw, streams);
	for (i = 0; i < hw->streams; i++)
		if (dart_streams_has(streams, i))
			write_reg(hw, tcr_of(hw, i), hw->variant->tcr_bypass);
	return 0;
}

bool dart_hw_error(struct dart_hw *hw, struct dart_error *error)
{
	const struct dart_variant *v = hw->variant;
	unsigned int i;
	u32 value;

	/* It is the one reader: one handler at a time. */
	value = read_reg(hw, v->error);
	if (!(value & v->error_flag))
		return false;
	*error = (struct dart_error){
		.fault = DART_FAULT_OTHER,
		.stream = value >> v->error_stream_shift & v->error_stream_mask,
		.iova = (u64)read_reg(hw, v->error_high) << 32 |
			read_reg(hw, v->error_low),
		.raw = value,
	};
	for (i = 0; i < sizeof(v->errors) / sizeof(*v->errors); i++)
		if (value & v->errors[i].bit) {
			error->fault = v->errors[i].fault;
			break;
		}
	acknowledge(hw, value);
	return true;
}

const char *dart_fault_text(enum dart_fault fault)
{
	static const char * const texts[] = {
		[DART_FAULT_TTBR] = "no table for this stream",
		[DART_FAULT_FIRST] = "nothing mapped near it",
		[DART_FAULT_SECOND] = "not mapped",
		[DART_FAULT_READ] = "not mapped for reading",
		[DART_FAULT_WRITE] = "not mapped for writing",
		[DART_FAULT_OTHER] = "unknown error",
	};

	return texts[fault <= DART_FAULT_OTHER ? fault : DART_FAULT_OTHER];
}
