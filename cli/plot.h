/* SPDX-License-Identifier: GPL-2.0-only */
/* What the text and the picture of a plot share. */
#ifndef PLOT_H
#define PLOT_H

#include "cli.h"

#define PLOT_MIN_WIDTH 40
#define PLOT_ROWS 24		/* parts that are shown */

/* The segments of a document, folded to about @max; free() them. */
int plot_fold(struct json_object *doc, size_t max, struct iommu_segment **ret,
	      size_t *ret_nr);

/* New strings: what it is about; what a part is; how large it is. */
char *plot_title(struct json_object *doc);
char *plot_label(const struct iommu_segment *seg);
char *plot_size(const struct iommu_segment *seg);

#endif
