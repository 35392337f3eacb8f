/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libiommu: reports for people, of a whole IOVA space and of what is wrong with
 * a machine. Included by libiommu.h, whose rules hold here.
 */
#ifndef LIBIOMMU_REPORT_H
#define LIBIOMMU_REPORT_H

#include "libiommu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- An IOVA space as a whole (layout.c) ---- */

enum iommu_segment_kind {
	IOMMU_SEGMENT_FREE,	/* could be mapped */
	IOMMU_SEGMENT_MAPPED,
	IOMMU_SEGMENT_MIXED,	/* mapped with holes, or with several rights */
	IOMMU_SEGMENT_RESERVED,
	IOMMU_SEGMENT_OUTSIDE,	/* the IOMMU does not translate it */
	IOMMU_SEGMENT_UNKNOWN,	/* not reserved; else not known */
};

/* "free", "mapped", "mixed", "reserved", "outside", "unknown" */
const char *iommu_segment_name(enum iommu_segment_kind kind);

/* A part of the space that is of one kind. */
struct iommu_segment {
	__u64 start;
	__u64 last;
	enum iommu_segment_kind kind;
	__u32 reason;		/* of reserved: enum iommu_resv_reason */
	__u32 flags;		/* of mapped and mixed: IOMMU_IOAS_MAP_* */
	__u64 areas;		/* how many mappings */
	__u64 mapped;		/* bytes of them */
};

/* What is known of a space. Ranges and areas have to be ascending. */
struct iommu_space {
	bool ranges_known;
	const struct iommu_iova_range *ranges;
	size_t nr_ranges;
	const struct iommu_sys_region *regions;
	size_t nr_regions;
	const struct iommu_area_info *areas;
	size_t nr_areas;
};

/**
 * iommu_layout - cut the 64-bit space into segments
 * @ret: from 0 to 2^64-1 without gaps; free() it
 *
 * Return: 0; -ENOMEM.
 */
int iommu_layout(const struct iommu_space *space, struct iommu_segment **ret,
		 size_t *ret_nr);

/**
 * iommu_layout_fold - make segments fewer, for people to look at
 * @nr: how many there are; receives how many remain
 * @max: at most so many, as far as mappings alone make them too many
 *
 * Adjacent mappings become one, and then mappings with the smallest holes
 * between them, of the kind IOMMU_SEGMENT_MIXED.
 */
int iommu_layout_fold(struct iommu_segment *segs, size_t *nr, size_t max);

/*
 * How large a segment is to be drawn, so that a page and 2^48 bytes can both be
 * seen: about the logarithm of its size. 2 to 55.
 */
unsigned int iommu_segment_weight(const struct iommu_segment *seg);

/* ---- Preflight (doctor.c, doctor_device.c, doctor_memory.c) ---- */

enum iommu_finding_level {
	IOMMU_FINDING_OK,
	IOMMU_FINDING_NOTE,	/* works, with a drawback, or is not known */
	IOMMU_FINDING_PROBLEM,	/* assigning a device will not work, or not
				 * safely */
};

/* "ok", "note", "problem" */
const char *iommu_finding_level_name(enum iommu_finding_level level);

/* One thing that was looked at. Texts are "" where there is nothing to say. */
struct iommu_finding {
	enum iommu_finding_level level;
	const char *check;	/* which check it was: "iommu", "group", ... */
	char object[64];	/* what it is about: "0000:00:03.0" */
	char value[320];	/* how it is */
	char rule[320];		/* how it has to be, and why */
	char remedy[320];	/* a command line for sh, with a # comment */
};

struct iommu_doctor_want {
	const char *const *devices;	/* by any name of a device */
	size_t nr;
	__u64 size;		/* bytes that are to be mapped; 0: not known */
};

/**
 * iommu_doctor - find out what keeps devices from being given to a user
 * @want: devices to look at too, and how much they are to be given
 * @ret: in the order in which they should be cured; free() it
 *
 * Looks at sysfs, /proc, firmware tables and nodes below the root of @sys, and
 * at limits, capabilities and groups of the calling process. Changes nothing,
 * and needs no privileges: what cannot be seen is a note.
 *
 * Return: 0; -ENOMEM. A device that does not exist is a finding.
 */
int iommu_doctor(struct iommu_sys *sys, const struct iommu_doctor_want *want,
		 struct iommu_finding **ret, size_t *ret_nr);

/* ---- JSON (json.c), as in libiommu.h ---- */

struct json_object *iommu_json_finding(const struct iommu_finding *finding);
struct json_object *iommu_json_segment(const struct iommu_segment *seg);

#ifdef __cplusplus
}
#endif

#endif
