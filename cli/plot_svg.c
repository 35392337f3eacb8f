// SPDX-License-Identifier: GPL-2.0-only
/* A plot as SVG: one self-contained file, without scripts or fonts. */
#include <stdlib.h>

#include "plot.h"

#define WIDTH 1000
#define MARGIN 24
#define TOP 116			/* of the first row */
#define ROW 26
#define BAR_X 330
#define BAR_WIDTH 260		/* of the heaviest segment */
#define LABEL_X (BAR_X + BAR_WIDTH + 14)
#define HEAVIEST 55
#define STRIP_Y 56
#define STRIP_HEIGHT 22

static const struct look {
	const char *fill;
	const char *stroke;
} looks[] = {
	[IOMMU_SEGMENT_FREE] = { "#e8f1e4", "#7a9a6c" },
	[IOMMU_SEGMENT_MAPPED] = { "#2f6fb2", "#1d4a7a" },
	[IOMMU_SEGMENT_MIXED] = { "#8fb8de", "#1d4a7a" },
	[IOMMU_SEGMENT_RESERVED] = { "#d9534f", "#8c2b28" },
	[IOMMU_SEGMENT_OUTSIDE] = { "#e4e4e4", "#9a9a9a" },
	[IOMMU_SEGMENT_UNKNOWN] = { "#fdf0c8", "#b59b45" },
};

/* Text of a process's making: it could have anything in it. */
static void escape(FILE *f, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		default:
			fputc((unsigned char)*text < ' ' ? '?' : *text, f);
		}
	}
}

static void rect(FILE *f, double x, double y, double w, double h,
		 const struct iommu_segment *seg, const char *label)
{
	fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
		"fill=\"%s\" stroke=\"%s\"><title>0x%llx-0x%llx ", x, y, w, h,
		looks[seg->kind].fill, looks[seg->kind].stroke,
		(unsigned long long)seg->start, (unsigned long long)seg->last);
	escape(f, label);
	fputs("</title></rect>\n", f);
}

static void row(FILE *f, const struct iommu_segment *seg, int y)
{
	char *label = plot_label(seg), *size = plot_size(seg);

	fprintf(f, "<text class=\"n\" x=\"%d\" y=\"%d\">0x%llx</text>\n"
		"<text class=\"n e\" x=\"%d\" y=\"%d\">%s</text>\n",
		MARGIN, y + 16, (unsigned long long)seg->start,
		BAR_X - 14, y + 16, size);
	rect(f, BAR_X, y + 4,
	     (double)BAR_WIDTH * iommu_segment_weight(seg) / HEAVIEST, ROW - 9,
	     seg, label);
	fprintf(f, "<text x=\"%d\" y=\"%d\">", LABEL_X, y + 16);
	escape(f, label);
	fputs("</text>\n", f);
	free(label);
	free(size);
}

/* The whole space in one line. */
static void strip(FILE *f, const struct iommu_segment *segs, size_t nr)
{
	double x = MARGIN, width, total = 0;
	char *label;
	size_t i;

	for (i = 0; i < nr; i++)
		total += iommu_segment_weight(&segs[i]);
	for (i = 0; i < nr; i++) {
		width = (WIDTH - 2 * MARGIN) *
			iommu_segment_weight(&segs[i]) / total;
		label = plot_label(&segs[i]);
		rect(f, x, STRIP_Y, width, STRIP_HEIGHT, &segs[i], label);
		free(label);
		x += width;
	}
}

void plot_svg(struct json_object *doc, FILE *f)
{
	char *title = plot_title(doc);
	struct iommu_segment *segs;
	int height;
	size_t nr, i;

	if (plot_fold(doc, PLOT_ROWS, &segs, &nr)) {
		fputs("iommuctl: out of memory\n", stderr);
		exit(IOMMU_ERROR_OTHER);
	}
	height = TOP + ROW * (nr + 1) + 34;
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-labelledby=\"t d\">\n<title id=\"t\">", WIDTH, height,
		WIDTH, height);
	escape(f, title);
	fprintf(f, "</title>\n<desc id=\"d\">%zu parts of the 64-bit space, "
		"by ascending address.</desc>\n", nr);
	fputs("<style>text { font: 14px sans-serif; fill: #222 } "
	      ".h { font-size: 19px; font-weight: bold } "
	      ".n { font-family: monospace; font-size: 13px } "
	      ".e { text-anchor: end } .s { font-size: 12px; fill: #666 }"
	      "</style>\n", f);
	fprintf(f, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
		"<text class=\"h\" x=\"%d\" y=\"34\">", WIDTH, height, MARGIN);
	escape(f, title);
	fputs("</text>\n", f);
	strip(f, segs, nr);
	fprintf(f, "<text class=\"s\" x=\"%d\" y=\"%d\">start</text>\n"
		"<text class=\"s e\" x=\"%d\" y=\"%d\">size</text>\n"
		"<text class=\"s\" x=\"%d\" y=\"%d\">about as large</text>\n"
		"<text class=\"s\" x=\"%d\" y=\"%d\">use</text>\n",
		MARGIN, TOP - 8, BAR_X - 14, TOP - 8, BAR_X, TOP - 8, LABEL_X,
		TOP - 8);
	for (i = 0; i < nr; i++)
		row(f, &segs[i], TOP + ROW * (int)i);
	fprintf(f, "<text class=\"n\" x=\"%d\" y=\"%d\">0x%llx</text>\n",
		MARGIN, TOP + ROW * (int)nr + 16,
		(unsigned long long)segs[nr - 1].last);
	fprintf(f, "<text class=\"s\" x=\"%d\" y=\"%d\">Widths grow with the "
		"logarithm of the size: a page and 2^48 bytes can both be "
		"seen.</text>\n</svg>\n", MARGIN, height - 14);
	free(title);
	free(segs);
}
