/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layout of a scatterlist against its rules, one by one, in numbers that
 * cannot overflow.
 */
#ifndef TEST_MODEL_SCATTER_H
#define TEST_MODEL_SCATTER_H

#include "core/scatter.h"
#include "model.h"

struct layout {
	struct scatter s;
	u64 granule;
	u128 boundary;		/* 2^64 when there is none */
	u64 max;
	u128 span;		/* end of the last piece's granules */
	u128 end;		/* of the last piece */
	u128 segment;		/* start of the segment it is in */
	u64 pieces;
};

static void layout_init(struct layout *l, u64 granule, u64 boundary_mask,
			u64 max)
{
	*l = (struct layout){
		.granule = granule,
		.boundary = (u128)boundary_mask + 1,
		.max = max,
	};
	scatter_init(&l->s, granule, boundary_mask, max);
}

static bool layout_crosses(const struct layout *l, u128 first, u128 end)
{
	return first / l->boundary != (end - 1) / l->boundary;
}

/* Is there any place where the piece does not cross the boundary? */
static bool layout_fits(const struct layout *l, u64 offset, u64 length)
{
	/* Where a boundary would be no place for a granule to start. */
	if (l->boundary < l->granule)
		return !layout_crosses(l, offset, (u128)offset + length);
	return (u128)offset + length <= l->boundary;
}

/* Wherever the span is put, as long as that is aligned. */
static void layout_check_moved(const struct layout *l, u128 first, u128 end)
{
	u128 align = 1, k;

	while (align < l->span)
		align *= 2;
	for (k = 1; k < 4; k++)
		CHECK(layout_crosses(l, first, end) ==
		      layout_crosses(l, first + k * align, end + k * align));
}

static int layout_add(struct layout *l, u64 phys, u64 length,
		      struct scatter_place *place)
{
	u64 offset = phys % l->granule;
	u128 granules, start = l->span, hole;
	struct scatter before = l->s;
	bool crosses, merged;
	int rc;

	memset(place, 0x5a, sizeof(*place));
	rc = scatter_add(&l->s, phys, length, place);
	if (rc) {
		CHECK(l->s.span == before.span &&
		      l->s.segment == before.segment &&
		      l->s.open == before.open);
		if (!length) {
			CHECK(rc == -EINVAL);
			return rc;
		}
		CHECK(rc == -EOVERFLOW);
	}

	granules = ((u128)offset + length + l->granule - 1) / l->granule *
		   l->granule;
	crosses = layout_crosses(l, start + offset, start + offset + length);
	if (crosses && l->boundary > l->granule)
		start = (start + l->boundary - 1) / l->boundary * l->boundary;
	/* 2^64 is an end that none of this can have. */
	if ((u128)phys + length - 1 > U64_MAX || granules > U64_MAX ||
	    start + granules > U64_MAX) {
		CHECK(rc);
		return rc;
	}
	CHECK(!rc);
	CHECK(place->offset == offset && place->length == granules);
	CHECK(place->start % l->granule == 0 && place->start >= l->span);
	hole = place->start - l->span;
	/* No hole without need, and none larger than the boundary. */
	CHECK(!hole || (crosses && hole < l->boundary));
	CHECK(place->start == start);
	CHECK(!layout_fits(l, offset, length) ||
	      !layout_crosses(l, start + offset, start + offset + length));

	merged = l->pieces && start + offset == l->end &&
		 l->end % l->granule == 0 &&
		 start + offset + length - l->segment <= l->max &&
		 !layout_crosses(l, l->segment, start + offset + length);
	CHECK(place->merged == merged);
	if (!merged)
		l->segment = start + offset;
	l->end = start + offset + length;
	l->span = start + granules;
	l->pieces++;
	CHECK(l->s.span == l->span && l->s.segment == l->end - l->segment);
	if (l->span <= 1ULL << 62)
		layout_check_moved(l, l->segment, l->end);
	return 0;
}

static void layout_ops(const u8 *bytes, size_t size)
{
	struct input in = { bytes, size };
	struct scatter_place place;
	u8 granule = take(&in, 1), boundary = take(&in, 1), max = take(&in, 1);
	u64 phys = 0, unit;
	struct layout l;

	/* Mostly such that bytes reach over all of it. */
	granule = granule < 250 ? granule % 15 : granule % 64;
	boundary = boundary < 250 ? granule + boundary % 12 - 3 : boundary;
	if (boundary > 64)
		boundary = boundary % 65;
	unit = 1ULL << granule;
	layout_init(&l, unit,
		    boundary == 64 ? U64_MAX : (1ULL << boundary) - 1,
		    max < 200 ? (max + 1) * unit / 2 + max % 3 :
		    max < 250 ? U32_MAX : U64_MAX);
	while (in.left) {
		u8 op = take(&in, 1);
		u64 length = take(&in, 1);

		switch (op % 8) {
		case 0:
			phys = take_edge(&in);
			length = take_edge(&in);
			break;
		case 1:
			phys = take(&in, 6);
			break;
		case 2:
			/* Anywhere, up to the end of a granule. */
			phys = take(&in, 4);
			length = length % 8 * unit + unit - phys % unit;
			break;
		case 3:
		case 4:
			/* Whole granules. */
			phys = take(&in, 2) * unit;
			length = length % 16 * unit;
			break;
		case 5:
			length *= unit / 16 + 1;
			break;
		case 6:
			phys -= length;
			length = take(&in, 2);
			break;
		}
		layout_add(&l, phys, length, &place);
		phys += length;
	}
}

#endif
