// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl plot: a whole IOVA space, in the terminal and as a picture. */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "plot.h"

#define WIDE 100		/* columns from which on ends are shown, too */
#define HEAVIEST 55		/* of iommu_segment_weight() */

enum { OPT_SVG = 10, OPT_WIDTH, OPT_ASCII };

static const struct option_spec specs[] = {
	{ MAPS_OPT_PID, "pid", "PID", WORD_TEXT, NULL,
	  "the address space of this process" },
	{ MAPS_OPT_FD, "fd", "N", WORD_TEXT, NULL,
	  "that behind a file descriptor that was passed" },
	{ MAPS_OPT_IOAS, "ioas", "ID", WORD_TEXT, NULL,
	  "which one, where a process has several" },
	{ OPT_SVG, "svg", "FILE", WORD_FILE, NULL,
	  "write a picture instead; - for standard output" },
	{ OPT_WIDTH, "width", "N", WORD_TEXT, NULL,
	  "columns to use (default: those of the terminal, or 80)" },
	{ OPT_ASCII, "ascii", NULL, WORD_TEXT, NULL,
	  "no characters but ASCII, whatever the locale" },
	{ 0 },
};

static struct {
	struct maps_want want;
	const char *svg;
	__u64 width;
	bool ascii;
} opts;

static int option(struct cli *cli, int id, char **value)
{
	switch (id) {
	case OPT_SVG:
		opts.svg = value[0];
		return 0;
	case OPT_ASCII:
		opts.ascii = true;
		return 0;
	case OPT_WIDTH:
		if (parse_number(value[0], 1000, &opts.width) ||
		    opts.width < PLOT_MIN_WIDTH)
			return cli_usage(cli, "--width '%s' is no number of "
					 "columns from %d to 1000", value[0],
					 PLOT_MIN_WIDTH);
		return 0;
	}
	return maps_option(cli, &opts.want, id, value[0]);
}

static __u64 address(struct json_object *obj, const char *key)
{
	return strtoull(get_string(obj, key), NULL, 16);
}

static void *array_for(struct json_object *array, size_t size)
{
	void *p = calloc(length(array) + 1, size);

	if (!p) {
		fputs("iommuctl: out of memory\n", stderr);
		exit(IOMMU_ERROR_OTHER);
	}
	return p;
}

static __u32 reason_of(const char *name)
{
	__u32 r;

	for (r = 0; r <= IOMMU_RESV_REASON_APERTURE; r++) {
		if (!strcmp(name, iommu_resv_reason_name(r)))
			break;
	}
	return r;
}

/* Lay out what three arrays of JSON say; any may be NULL. */
static int add_segments(struct json_object *doc, struct json_object *ranges,
			struct json_object *regions, struct json_object *areas)
{
	struct iommu_iova_range *g = array_for(ranges, sizeof(*g));
	struct iommu_sys_region *r = array_for(regions, sizeof(*r));
	struct iommu_area_info *a = array_for(areas, sizeof(*a));
	const struct iommu_space space = {
		.ranges_known = ranges,
		.ranges = g, .nr_ranges = length(ranges),
		.regions = r, .nr_regions = length(regions),
		.areas = a, .nr_areas = length(areas),
	};
	struct json_object *list = add_array(doc, "segments"), *o;
	struct iommu_segment *segs;
	size_t i, nr;
	int rc;

	for (i = 0; i < length(ranges); i++) {
		o = json_object_array_get_idx(ranges, i);
		g[i].start = address(o, "start");
		g[i].last = address(o, "last");
	}
	for (i = 0; i < length(regions); i++) {
		o = json_object_array_get_idx(regions, i);
		r[i].start = address(o, "start");
		r[i].last = address(o, "last");
		r[i].reason = reason_of(get_string(o, "reason"));
	}
	for (i = 0; i < length(areas); i++) {
		o = json_object_array_get_idx(areas, i);
		a[i].iova = address(o, "iova");
		a[i].length = get_number(o, "size");
		a[i].flags = (get_bool(o, "read") ?
			      IOMMU_IOAS_MAP_READABLE : 0) |
			     (get_bool(o, "write") ?
			      IOMMU_IOAS_MAP_WRITEABLE : 0);
	}
	rc = iommu_layout(&space, &segs, &nr);
	for (i = 0; !rc && i < nr; i++)
		append(list, iommu_json_segment(&segs[i]));
	if (!rc)
		free(segs);
	free(g);
	free(r);
	free(a);
	return rc;
}

int plot_fold(struct json_object *doc, size_t max, struct iommu_segment **ret,
	      size_t *ret_nr)
{
	struct json_object *list = get(doc, "segments"), *o;
	struct iommu_segment *segs = array_for(list, sizeof(*segs));
	size_t i, nr = length(list);
	enum iommu_segment_kind k;

	for (i = 0; i < nr; i++) {
		o = json_object_array_get_idx(list, i);
		for (k = 0; strcmp(iommu_segment_name(k),
				   get_string(o, "kind")); k++)
			;
		segs[i] = (struct iommu_segment){
			.start = address(o, "start"),
			.last = address(o, "last"),
			.kind = k,
			.reason = reason_of(get_string(o, "reason")),
			.flags = (get_bool(o, "read") ?
				  IOMMU_IOAS_MAP_READABLE : 0) |
				 (get_bool(o, "write") ?
				  IOMMU_IOAS_MAP_WRITEABLE : 0),
			.areas = get_number(o, "areas"),
			.mapped = get_number(o, "mapped_bytes"),
		};
	}
	*ret = segs;
	*ret_nr = nr;
	return iommu_layout_fold(segs, ret_nr, max);
}

char *plot_title(struct json_object *doc)
{
	struct json_object *process = get(doc, "process");
	char *title, *more;

	title = get(doc, "device") ?
		text_of("IOVA space of %s", get_string(doc, "device")) :
		text_of("IOVA space");
	if (get(doc, "ioas")) {
		more = text_of("%s, IOAS %s", title, get_string(doc, "ioas"));
		free(title);
		title = more;
	}
	if (process) {
		more = text_of("%s of %s (process %s)", title,
			       get_string(process, "comm"),
			       get_string(process, "pid"));
		free(title);
		title = more;
	}
	return title;
}

char *plot_label(const struct iommu_segment *seg)
{
	const char *rights = !(seg->flags & IOMMU_IOAS_MAP_READABLE) ?
		"write" : seg->flags & IOMMU_IOAS_MAP_WRITEABLE ?
		"read write" : "read";
	char *size, *text;

	switch (seg->kind) {
	case IOMMU_SEGMENT_RESERVED:
		return text_of("reserved, %s: %s",
			       iommu_resv_reason_name(seg->reason),
			       iommu_resv_reason_text(seg->reason));
	case IOMMU_SEGMENT_OUTSIDE:
		return text_of("outside, the IOMMU does not translate it");
	case IOMMU_SEGMENT_UNKNOWN:
		return text_of("not reserved; more is not known");
	case IOMMU_SEGMENT_MAPPED:
	case IOMMU_SEGMENT_MIXED:
		break;
	default:
		return text_of("free");
	}
	if (seg->areas == 1)
		return text_of("mapped, %s", rights);
	size = short_size(seg->mapped);
	text = text_of("%s, %llu mappings of %s",
		       seg->kind == IOMMU_SEGMENT_MIXED ? "mapped in parts" :
							  "mapped",
		       (unsigned long long)seg->areas, size);
	free(size);
	return text;
}

char *plot_size(const struct iommu_segment *seg)
{
	__u64 size = seg->last - seg->start + 1;

	return size ? short_size(size) : text_of("16E");
}

static const struct {
	const char *unicode, *ascii;
	enum paint paint;
} looks[] = {
	[IOMMU_SEGMENT_FREE] = { "░", ".", PAINT_DIM },
	[IOMMU_SEGMENT_MAPPED] = { "█", "#", PAINT_MAPPED },
	[IOMMU_SEGMENT_MIXED] = { "▓", "%", PAINT_MAPPED },
	[IOMMU_SEGMENT_RESERVED] = { "╳", "x", PAINT_BAD },
	[IOMMU_SEGMENT_OUTSIDE] = { "┄", "-", PAINT_DIM },
	[IOMMU_SEGMENT_UNKNOWN] = { "?", "?", PAINT_NOTE },
};

static bool unicode(void)
{
	if (opts.ascii)
		return false;
	setlocale(LC_CTYPE, "");
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static int terminal_width(FILE *f)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	__u64 n;

	if (opts.width)
		return opts.width;
	if (!ioctl(fileno(f), TIOCGWINSZ, &size) &&
	    size.ws_col >= PLOT_MIN_WIDTH)
		return size.ws_col;
	if (columns && !parse_number(columns, 1000, &n) && n >= PLOT_MIN_WIDTH)
		return n;
	return 80;
}

static void bar(FILE *f, const struct iommu_segment *seg, int n, bool uni)
{
	fputs(paint(f, looks[seg->kind].paint), f);
	while (n-- > 0)
		fputs(uni ? looks[seg->kind].unicode : looks[seg->kind].ascii,
		      f);
	fputs(paint(f, PAINT_OFF), f);
}

/* The whole space in one line, each part as wide as it is heavy. */
static void strip(FILE *f, const struct iommu_segment *segs, size_t nr,
		  int width, bool uni)
{
	unsigned int total = 0, before = 0;
	size_t i;
	int from = 0, to;

	for (i = 0; i < nr; i++)
		total += iommu_segment_weight(&segs[i]);
	for (i = 0; i < nr; i++) {
		before += iommu_segment_weight(&segs[i]);
		to = (long)width * before / total;
		/* Each can be seen, as long as there is room. */
		if (to <= from && from + (int)(nr - i) <= width)
			to = from + 1;
		bar(f, &segs[i], to - from, uni);
		from = to > from ? to : from;
	}
	fputc('\n', f);
}

/* How the columns of a table of segments are laid out. */
struct columns {
	int start, last, bar;	/* widths; last 0: not shown */
};

static struct columns lay_columns(const struct iommu_segment *segs, size_t nr,
				  int width)
{
	struct columns c = { .last = width >= WIDE ? 18 : 0 };
	size_t i;
	int n;

	for (i = 0; i < nr; i++) {
		n = snprintf(NULL, 0, "0x%llx",
			     (unsigned long long)segs[i].start);
		c.start = n > c.start ? n : c.start;
	}
	/* What is left beside a size and the longest of common labels. */
	c.bar = width - c.start - 2 - 8 - 2 - 2 - 42 -
		(c.last ? c.last + 2 : 0);
	c.bar = c.bar < 6 ? 6 : c.bar > 27 ? 27 : c.bar;
	return c;
}

static void print_row(FILE *f, const struct columns *c, const char *start,
		      const char *last, const char *size)
{
	fprintf(f, "%-*s  ", c->start, start);
	if (c->last)
		fprintf(f, "%-*s  ", c->last, last);
	fprintf(f, "%-8s  ", size);
}

static void plot_text(struct json_object *doc, FILE *f)
{
	char *title = plot_title(doc), *size, *label, start[24], last[24];
	int width = terminal_width(f), n;
	bool uni = unicode();
	struct iommu_segment *segs;
	struct columns c;
	size_t nr, i;

	if (plot_fold(doc, PLOT_ROWS, &segs, &nr)) {
		fputs("iommuctl: out of memory\n", stderr);
		exit(IOMMU_ERROR_OTHER);
	}
	fprintf(f, "%s%s%s\n", paint(f, PAINT_TITLE), title,
		paint(f, PAINT_OFF));
	free(title);
	strip(f, segs, nr, width, uni);
	c = lay_columns(segs, nr, width);
	fputs(paint(f, PAINT_TITLE), f);
	print_row(f, &c, "START", "LAST", "SIZE");
	fprintf(f, "%-*s  USE%s\n", c.bar, "ABOUT", paint(f, PAINT_OFF));
	for (i = 0; i < nr; i++) {
		n = (int)iommu_segment_weight(&segs[i]) * c.bar / HEAVIEST;
		n = n ? n : 1;
		snprintf(start, sizeof(start), "0x%llx",
			 (unsigned long long)segs[i].start);
		snprintf(last, sizeof(last), "0x%llx",
			 (unsigned long long)segs[i].last);
		size = plot_size(&segs[i]);
		label = plot_label(&segs[i]);
		print_row(f, &c, start, last, size);
		bar(f, &segs[i], n, uni);
		fprintf(f, "%*s  %s\n", c.bar - n, "", label);
		free(size);
		free(label);
	}
	fputs("Bars grow with the logarithm of the size.\n", f);
	print_notes(f, doc);
	free(segs);
}

/* The address space in @list that @device is attached to, or the only one. */
static struct json_object *find_ioas(struct json_object *list,
				     const char *device,
				     struct json_object **context, size_t *nr)
{
	struct json_object *c, *spaces, *ioas, *devices, *found = NULL;
	size_t i, j, k;

	*nr = 0;
	for (i = 0; i < length(list); i++) {
		c = json_object_array_get_idx(list, i);
		spaces = get(c, "ioas");
		for (j = 0; j < length(spaces); j++) {
			ioas = json_object_array_get_idx(spaces, j);
			devices = get(ioas, "devices");
			for (k = 0; device && k < length(devices); k++) {
				if (!strcmp(get_string(
					json_object_array_get_idx(devices, k),
					"device"), device))
					break;
			}
			if (device && k == length(devices))
				continue;
			(*nr)++;
			found = ioas;
			*context = c;
		}
	}
	return found;
}

static int from_ioas(struct cli *cli, struct json_object *doc,
		     const char *device, struct json_object *ioas,
		     struct json_object *context)
{
	struct json_object *processes = get(context, "processes");
	struct json_object *process = length(processes) ?
		json_object_array_get_idx(processes, 0) : NULL;
	int rc;

	add_string(doc, "device", device);
	if (process)
		add(doc, "process", json_object_get(process));
	else
		add_null(doc, "process");
	add_number(doc, "ioas", get_number(ioas, "ioas"));
	add_string(doc, "source", "ioas");
	rc = add_segments(doc, get(ioas, "iova_ranges"),
			  get(ioas, "reserved_regions"), get(ioas, "areas"));
	return rc ? cli_errno(cli, rc, "the space cannot be laid out") : 0;
}

/* A device that nobody has: what could be mapped. */
static int from_device(struct cli *cli, struct json_object *doc,
		       const struct iommu_sys_device *dev,
		       const struct iommu_sys_group *group)
{
	struct json_object *all = new_document(), *info;
	int rc = add_device_info(cli, all, dev, group);

	if (!rc) {
		info = get(all, "info");
		add_string(doc, "device", dev->name);
		add_null(doc, "process");
		add_null(doc, "ioas");
		add_string(doc, "source", get_string(all, "source"));
		rc = add_segments(doc, get(info, "iova_ranges"),
				  get(info, "reserved_regions"), NULL);
		if (rc)
			rc = cli_errno(cli, rc, "the space cannot be laid out");
		add(doc, "notes", json_object_get(get(all, "notes")));
	}
	json_object_put(all);
	return rc;
}

static int plot_device(struct cli *cli, struct json_object *doc,
		       const char *arg)
{
	struct json_object *list, *notes, *ioas = NULL, *context = NULL;
	struct maps_want want = { 0 };
	struct iommu_sys_group *group;
	struct iommu_sys_device *dev;
	size_t nr;
	int rc;

	rc = cli_device_group(cli, arg, &dev, &group);
	if (rc)
		return rc;
	list = json_object_new_array();
	notes = json_object_new_array();
	/* Who cannot look into others sees what could be mapped. */
	if (dev->node && !access(iommu_sys_path(cli->sys, "/dev/iommu"),
				 F_OK) &&
	    !maps_collect(cli, &want, list, notes))
		ioas = find_ioas(list, dev->name, &context, &nr);
	if (ioas) {
		rc = from_ioas(cli, doc, dev->name, ioas, context);
		add(doc, "notes", json_object_new_array());
	} else {
		rc = from_device(cli, doc, dev, group);
	}
	json_object_put(list);
	json_object_put(notes);
	iommu_sys_group_free(group);
	iommu_sys_device_free(dev);
	return rc;
}

static int plot_process(struct cli *cli, struct json_object *doc)
{
	struct json_object *list = json_object_new_array();
	struct json_object *notes = json_object_new_array();
	struct json_object *ioas, *context;
	size_t nr;
	int rc;

	rc = maps_collect(cli, &opts.want, list, notes);
	if (!rc) {
		ioas = find_ioas(list, NULL, &context, &nr);
		if (!ioas)
			rc = cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				      "it has no address space (IOAS)");
		else if (nr > 1)
			rc = cli_usage(cli, "there are %zu address spaces; "
				       "choose one with --pid and --ioas, "
				       "'iommuctl maps' lists them", nr);
		else
			rc = from_ioas(cli, doc, NULL, ioas, context);
	}
	add(doc, "notes", notes);
	json_object_put(list);
	return rc;
}

/* The file is whole or not there: who looks may be a browser. */
static int write_svg(struct cli *cli, struct json_object *doc)
{
	bool out = !strcmp(opts.svg, "-");
	mode_t mask = umask(0);
	char *temporary;
	FILE *f = NULL;
	int fd, rc = 0;

	umask(mask);

	if (out) {
		plot_svg(doc, stdout);
		return cli_flush(cli);
	}
	temporary = text_of("%s.XXXXXX", opts.svg);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		rc = errno;
		goto out;
	}
	f = fdopen(fd, "w");
	if (f)
		plot_svg(doc, f);
	if (!f || ferror(f) || fflush(f) || fchmod(fd, 0666 & ~mask))
		rc = errno ? errno : EIO;
	if (f)
		fclose(f);
	else
		close(fd);
	if (!rc && rename(temporary, opts.svg))
		rc = errno;
	if (rc)
		unlink(temporary);
out:
	if (rc)
		rc = cli_fail(cli, iommu_errno_kind(rc), "%s cannot be "
			      "written: %s", opts.svg, strerror(rc));
	free(temporary);
	return rc;
}

static int plot(struct cli *cli, int argc, char **argv)
{
	bool other = opts.want.has_fd || opts.want.has_pid ||
		     opts.want.has_ioas;
	struct json_object *doc;
	int rc;

	if (argc && other)
		return cli_usage(cli, "give a device, or --pid, --fd and "
				 "--ioas, but not both");
	if (!argc && !other)
		return cli_usage(cli, "it needs a device, or --pid, --fd or "
				 "--ioas");
	doc = new_document();
	rc = argc ? plot_device(cli, doc, argv[0]) : plot_process(cli, doc);
	if (!rc && opts.svg)
		rc = write_svg(cli, doc);
	if (rc || (opts.svg && !cli->json)) {
		json_object_put(doc);
		return rc;
	}
	return cli_output(cli, doc);
}

const struct verb plot_verbs[] = {
	{
		.verb = "plot",
		.args = "[DEVICE]", .min = 0, .max = 1, .word = WORD_DEVICE,
		.options = specs, .option = option,
		.run = plot, .text = plot_text,
		.help = "Draw an IOVA space: mapped, free, reserved",
		.more = "Of a device that is in use, the address space it is "
			"attached to; else what could\nbe mapped for it.",
	},
	{ 0 },
};
