// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl maps: what is mapped in the contexts of other processes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"

/*
 * IDs are given out from 1 on, and no ioctl lists them: ask for each, until
 * that many in a row do not exist.
 */
#define MAX_GAP 1024

enum {
	OPT_FD = MAPS_OPT_FD, OPT_PID = MAPS_OPT_PID, OPT_IOAS = MAPS_OPT_IOAS,
};

static const struct option_spec specs[] = {
	{ OPT_FD, "fd", "N", WORD_TEXT, NULL,
	  "the context behind a file descriptor that was passed" },
	{ OPT_PID, "pid", "PID", WORD_TEXT, NULL,
	  "only the contexts of this process" },
	{ OPT_IOAS, "ioas", "ID", WORD_TEXT, NULL,
	  "only this address space" },
	{ 0 },
};

static struct maps_want opts;

int maps_option(struct cli *cli, struct maps_want *want, int id,
		const char *value)
{
	switch (id) {
	case OPT_FD:
		want->has_fd = true;
		if (parse_number(value, INT32_MAX, &want->fd))
			return cli_usage(cli, "--fd '%s' is no file descriptor",
					 value);
		return 0;
	case OPT_PID:
		want->has_pid = true;
		if (parse_number(value, INT32_MAX, &want->pid) || !want->pid)
			return cli_usage(cli, "--pid '%s' is no process",
					 value);
		return 0;
	case OPT_IOAS:
		want->has_ioas = true;
		if (parse_number(value, UINT32_MAX, &want->ioas))
			return cli_usage(cli, "--ioas '%s' is no ID", value);
		return 0;
	}
	return 0;
}

static int option(struct cli *cli, int id, char **value)
{
	return maps_option(cli, &opts, id, value[0]);
}

/* A context, and the processes that have it open. */
struct context {
	int fd;
	struct json_object *obj;
	struct json_object *processes;
};

/* One address space into @array. 0, or negative errno: -ENOENT none. */
static int add_ioas(int fd, __u32 id, struct json_object *array)
{
	struct iommu_iova_range *ranges;
	struct iommu_area_info *areas;
	struct iommu_ioas_info *info;
	struct iommu_ioas_caps caps;
	struct json_object *obj, *list;
	size_t nr, i;
	__u64 alignment;
	__u32 n;
	int rc;

	rc = iommu_ioas_get_info(fd, id, &info);
	if (rc == -ENOTTY) {
		/* Not Granule's: it can only say what could be mapped. */
		rc = iommu_ioas_iova_ranges(fd, id, &ranges, &n, &alignment);
		if (rc)
			return rc;
		obj = json_object_new_object();
		append(array, obj);
		add_number(obj, "ioas", id);
		add_number(obj, "alignment", alignment);
		add(obj, "iova_ranges", iommu_json_ranges(ranges, n));
		add_null(obj, "areas");
		free(ranges);
		return 0;
	}
	if (rc)
		return rc;
	rc = iommu_ioas_caps_read(info, &caps);
	if (!rc)
		rc = iommu_ioas_list_areas(fd, id, &areas, &nr);
	if (rc) {
		free(info);
		return rc;
	}
	obj = iommu_json_ioas(id, info, &caps);
	append(array, obj);
	if (iommu_ioas_iova_ranges(fd, id, &ranges, &n, NULL)) {
		add_null(obj, "iova_ranges");
	} else {
		add(obj, "iova_ranges", iommu_json_ranges(ranges, n));
		free(ranges);
	}
	list = add_array(obj, "areas");
	for (i = 0; i < nr; i++)
		append(list, iommu_json_area(&areas[i]));
	free(areas);
	free(info);
	return 0;
}

/* Every address space of a context. */
static int add_all(int fd, struct json_object *array)
{
	__u32 id, gap = 0;
	int rc;

	if (opts.has_ioas)
		return add_ioas(fd, opts.ioas, array);
	for (id = 1; gap < MAX_GAP; id++) {
		rc = add_ioas(fd, id, array);
		if (rc && rc != -ENOENT)
			return rc;
		gap = rc ? gap + 1 : 0;
	}
	return 0;
}

static bool same_file(int a, int b)
{
	enum { KIND_FILE = 0 };		/* KCMP_FILE */

	return !syscall(SYS_kcmp, getpid(), getpid(), KIND_FILE, a, b);
}

static struct json_object *process_json(const struct iommu_holder *h)
{
	struct json_object *obj = json_object_new_object();

	if (obj) {
		add_number(obj, "pid", h->pid);
		add_number(obj, "fd", h->fd);
		add_string(obj, "comm", h->comm);
	}
	return obj;
}

static void open_context(struct context *c, int fd, struct json_object *list)
{
	c->fd = fd;
	c->obj = json_object_new_object();
	append(list, c->obj);
	c->processes = add_array(c->obj, "processes");
}

/* What went wrong for one context of many is a note. */
static void note(struct json_object *notes, const struct iommu_holder *h,
		 int err)
{
	append_text(notes, "process %d (%s), fd %d cannot be looked into: %s%s",
		    (int)h->pid, h->comm, h->fd, strerror(-err),
		    err == -EPERM || err == -EACCES ?
			    "; it needs root or the right to ptrace it" : "");
}

static int add_holders(struct cli *cli, struct json_object *list,
		       struct json_object *notes,
		       const struct iommu_holder *holders, size_t nr)
{
	struct context *contexts = calloc(nr + 1, sizeof(*contexts));
	size_t i, j, n = 0;
	int fd, rc, bad = 0;

	if (!contexts)
		return cli_fail(cli, IOMMU_ERROR_OTHER, "out of memory");
	for (i = 0; i < nr; i++) {
		fd = iommu_holder_fd(&holders[i]);
		if (fd < 0) {
			bad = fd;
			note(notes, &holders[i], fd);
			continue;
		}
		for (j = 0; j < n && !same_file(fd, contexts[j].fd); j++)
			;
		if (j < n)
			close(fd);
		else
			open_context(&contexts[n++], fd, list);
		append(contexts[j].processes, process_json(&holders[i]));
		if (j + 1 < n || length(contexts[j].processes) > 1)
			continue;
		rc = add_all(fd, add_array(contexts[j].obj, "ioas"));
		if (rc && rc != -ENOENT)
			note(notes, &holders[i], rc);
	}
	for (j = 0; j < n; j++)
		close(contexts[j].fd);
	free(contexts);
	/* Asked for one process and not allowed: an error, not a note. */
	if (opts.has_pid && !n && bad == -ESRCH)
		return cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				"the process has ended");
	if (opts.has_pid && !n && bad)
		return cli_fail(cli, iommu_errno_kind(bad),
				"the context cannot be looked into: %s; it "
				"needs root or the right to ptrace the process",
				strerror(-bad));
	return 0;
}

/* An ID that was asked for must be somewhere. */
static int check_found(struct cli *cli, struct json_object *list)
{
	size_t i, nr = 0;

	for (i = 0; i < length(list); i++)
		nr += length(get(json_object_array_get_idx(list, i), "ioas"));
	if (nr || !opts.has_ioas)
		return 0;
	return cli_fail(cli, IOMMU_ERROR_NOT_FOUND, "there is no IOAS %" PRIu64
			"; without --ioas all are shown", (uint64_t)opts.ioas);
}

static int maps_of_fd(struct cli *cli, struct json_object *list)
{
	struct context c;
	int rc;

	snprintf(cli->target, sizeof(cli->target), "fd %d", (int)opts.fd);
	if (fcntl(opts.fd, F_GETFD) < 0)
		return cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				"it is not open here; pass it to this process");
	open_context(&c, opts.fd, list);
	add_number(c.obj, "fd", opts.fd);
	rc = add_all(opts.fd, add_array(c.obj, "ioas"));
	if (rc == -ENOTTY)
		return cli_fail(cli, IOMMU_ERROR_REFUSED,
				"it is not a file of /dev/iommu");
	if (rc && rc != -ENOENT)
		return cli_errno(cli, rc, "the context cannot be read");
	return 0;
}

static int maps_of_processes(struct cli *cli, struct json_object *list,
			     struct json_object *notes)
{
	struct iommu_holder *holders;
	size_t nr, hidden = 0;
	int rc;

	if (opts.has_pid)
		snprintf(cli->target, sizeof(cli->target), "process %d",
			 (int)opts.pid);
	rc = iommu_holders(cli->sys, "/dev/iommu", opts.pid, &holders, &nr,
			   &hidden);
	if (rc == -ENOENT)
		return cli_fail(cli, IOMMU_ERROR_NO_MODULE,
				"there is no /dev/iommu; load the module "
				"('modprobe granule')");
	if (rc == -ESRCH)
		return cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				"there is no such process");
	if (rc == -EACCES || rc == -EPERM)
		return cli_fail(cli, IOMMU_ERROR_PERMISSION,
				"its files cannot be seen; this needs root, or "
				"to be the same user");
	if (rc)
		return cli_errno(cli, rc, "/proc cannot be read");
	if (opts.has_pid && !nr) {
		free(holders);
		return cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				"it does not have /dev/iommu open");
	}
	rc = add_holders(cli, list, notes, holders, nr);
	free(holders);
	if (!rc && hidden)
		append_text(notes, "%zu processes of other users were not "
			    "looked into; run as root to see all", hidden);
	return rc;
}

static char *element_process(struct json_object *row)
{
	return text_of("%s (process %s, fd %s)", get_string(row, "comm"),
		       get_string(row, "pid"), get_string(row, "fd"));
}

static void ioas_text(struct json_object *ioas, FILE *f)
{
	static const struct column columns[] = {
		{ "IOVA", .cell = cell_start }, { "LAST", .key = "last" },
		{ "SIZE", .cell = cell_size },
		{ "ACCESS", .cell = cell_access },
		{ "SOURCE", .key = "source" }, { "ADDRESS", .key = "user_va" },
	};
	char *mapped, *pinned, *devices;

	if (!get(ioas, "areas")) {
		fprintf(f, "  IOAS %s: this /dev/iommu cannot list mappings; "
			"usable are\n", get_string(ioas, "ioas"));
		print_ranges(f, "    ", get(ioas, "iova_ranges"));
		return;
	}
	mapped = get_size(ioas, "mapped_bytes");
	pinned = get_size(ioas, "pinned_bytes");
	devices = join(get(ioas, "devices"), " ", element_device);
	fprintf(f, "  IOAS %s: mappings %s, mapped %s, pinned %s, devices %s\n",
		get_string(ioas, "ioas"), get_string(ioas, "nr_areas"), mapped,
		pinned, devices);
	free(mapped);
	free(pinned);
	free(devices);
	if (length(get(ioas, "areas")))
		print_table(f, "    ", get(ioas, "areas"), columns,
			    ARRAY_LEN(columns));
}

static void maps_text(struct json_object *doc, FILE *f)
{
	struct json_object *list = get(doc, "contexts"), *c, *ioas;
	size_t i, j;

	for (i = 0; i < length(list); i++) {
		c = json_object_array_get_idx(list, i);
		if (get(c, "fd")) {
			fprintf(f, "fd %s\n", get_string(c, "fd"));
		} else {
			char *who = join(get(c, "processes"), ", ",
					 element_process);

			fprintf(f, "%s\n", who);
			free(who);
		}
		ioas = get(c, "ioas");
		for (j = 0; j < length(ioas); j++)
			ioas_text(json_object_array_get_idx(ioas, j), f);
		if (!length(ioas))
			fputs("  no IOAS\n", f);
	}
	if (!length(list))
		fputs("no process has /dev/iommu open\n", f);
	print_notes(f, doc);
}

int maps_collect(struct cli *cli, const struct maps_want *want,
		 struct json_object *list, struct json_object *notes)
{
	int rc;

	opts = *want;
	if (opts.has_fd && opts.has_pid)
		return cli_usage(cli, "--fd and --pid exclude each other");
	rc = opts.has_fd ? maps_of_fd(cli, list) :
			   maps_of_processes(cli, list, notes);
	return rc ? rc : check_found(cli, list);
}

static int maps(struct cli *cli, int argc, char **argv)
{
	struct json_object *doc, *list, *notes;
	struct maps_want want = opts;
	int rc;

	(void)argc;
	(void)argv;
	doc = new_document();
	list = add_array(doc, "contexts");
	notes = add_array(doc, "notes");
	rc = maps_collect(cli, &want, list, notes);
	if (!rc)
		return cli_output(cli, doc);
	json_object_put(doc);
	return rc;
}

const struct verb maps_verbs[] = {
	{
		.verb = "maps",
		.options = specs, .option = option,
		.run = maps, .text = maps_text,
		.help = "List what is mapped, by process",
		.more = "Without options, of all processes that have "
			"/dev/iommu open.",
	},
	{ 0 },
};
