// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommuctl run: acquire devices from iommud and become the program that uses
 * them.
 *
 * Nothing of ours stays: the process that has the lease is the program itself,
 * so signals and its exit status are its own, and its end is that of the lease.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli.h"

#define MAX_WAIT 60		/* seconds, the daemon's limit */

enum { OPT_ATTACH = 1, OPT_NO_ATTACH, OPT_WAIT, OPT_MEMLOCK, OPT_QUIET };

static const struct option_spec specs[] = {
	{ OPT_ATTACH, "attach", NULL, WORD_TEXT, NULL,
	  "bind the devices, and attach them to address spaces" },
	{ OPT_NO_ATTACH, "no-attach", NULL, WORD_TEXT, NULL,
	  "only open them; CMD binds them by itself (default)" },
	{ OPT_WAIT, "wait", "SECONDS", WORD_TEXT, NULL,
	  "while a device is in use, wait so long (at most 60)" },
	{ OPT_MEMLOCK, "memlock", "SIZE", WORD_TEXT, NULL,
	  "refuse to run if less memory may be locked" },
	{ OPT_QUIET, "quiet", NULL, WORD_TEXT, NULL,
	  "do not tell what was acquired" },
	{ 0 },
};

static struct {
	bool attach, quiet;
	__u64 wait;		/* seconds */
	__u64 memlock;		/* bytes; 0: whatever there is */
} opts;

static int option(struct cli *cli, int id, char **value)
{
	switch (id) {
	case OPT_ATTACH:
	case OPT_NO_ATTACH:
		opts.attach = id == OPT_ATTACH;
		return 0;
	case OPT_QUIET:
		opts.quiet = true;
		return 0;
	case OPT_WAIT:
		if (parse_number(value[0], MAX_WAIT, &opts.wait))
			return cli_usage(cli, "--wait '%s' is no number of "
					 "seconds from 0 to %d", value[0],
					 MAX_WAIT);
		return 0;
	case OPT_MEMLOCK:
		if (parse_size(value[0], &opts.memlock) || !opts.memlock)
			return cli_usage(cli, "--memlock '%s' is no size; give "
					 "a number of bytes that K, M, G or T "
					 "may follow", value[0]);
		return 0;
	}
	return 0;
}

/* As far as this process may: all that it has, or more for who is allowed. */
static int raise_memlock(struct cli *cli, __u64 *ret)
{
	struct rlimit limit;
	char *want, *have;
	int rc = 0;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return cli_errno(cli, errno, "the limit on locked memory");
	if (limit.rlim_max < opts.memlock) {
		struct rlimit more = { opts.memlock, opts.memlock };

		if (!setrlimit(RLIMIT_MEMLOCK, &more))
			limit = more;
	}
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	}
	*ret = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
	if (*ret >= opts.memlock)
		return 0;
	want = size_text(opts.memlock);
	have = size_text(*ret);
	rc = cli_fail(cli, IOMMU_ERROR_REFUSED, "%s of locked memory are "
		      "needed and %s allowed; raise the user's limit in the "
		      "policy ('iommuctl policy define limit USER "
		      "\'{\"memlock\": \"%s\"}\''), or LimitMEMLOCK= of its "
		      "systemd unit", want, have, want);
	free(want);
	free(have);
	return rc;
}

/* ---- What was acquired, on standard error ---- */

static void run_text(struct json_object *doc, FILE *f)
{
	struct json_object *devices = get(doc, "devices");
	struct json_object *regions = get(doc, "regions");
	char *memlock = get_size(doc, "memlock"), *size;
	size_t i;

	for (i = 0; i < length(devices); i++) {
		struct json_object *d = json_object_array_get_idx(devices, i);

		fprintf(f, "%s: file %s", get_string(d, "device"),
			get_string(d, "fd"));
		if (get(doc, "iommufd"))
			fprintf(f, ", iommufd %s", get_string(doc, "iommufd"));
		if (get(d, "ioas"))
			fprintf(f, ", attached to IOAS %s",
				get_string(d, "ioas"));
		fprintf(f, ", locked memory %s%s\n", get(doc, "memlock") ?
			"up to " : "not limited", get(doc, "memlock") ?
						  memlock : "");
	}
	for (i = 0; i < length(regions); i++) {
		struct json_object *r = json_object_array_get_idx(regions, i);

		size = get_size(r, "size");
		fprintf(f, "region %s: file %s, %s at %s\n",
			get_string(r, "name"), get_string(r, "fd"), size,
			get_string(r, "iova"));
		free(size);
	}
	free(memlock);
}

static void add_region(struct json_object *array,
		       const struct iommu_acquired_region *r)
{
	struct json_object *obj = new_parameters();
	char *iova = text_of("0x%llx", (unsigned long long)r->iova);

	append(array, obj);
	add_string(obj, "name", r->name);
	add_number(obj, "fd", r->fd);
	add_string(obj, "iova", iova);
	add_number(obj, "size", r->size);
	add(obj, "read", json_object_new_boolean(r->read));
	add(obj, "write", json_object_new_boolean(r->write));
	free(iova);
}

static void add_device(struct json_object *array,
		       const struct iommu_acquired_device *dev)
{
	struct json_object *obj = new_parameters();

	append(array, obj);
	add_string(obj, "device", dev->device);
	add_number(obj, "fd", dev->fd);
	if (dev->attached) {
		add_number(obj, "id", dev->dev_id);
		add_number(obj, "ioas", dev->ioas_id);
	} else {
		add_null(obj, "id");
		add_null(obj, "ioas");
	}
	if (dev->granule)
		add_number(obj, "granule", dev->granule);
	else
		add_null(obj, "granule");
}

static int tell(struct cli *cli, const struct iommu_acquired *got,
		__u64 memlock)
{
	struct json_object *doc = new_document(), *array;
	size_t i;

	add_number(doc, "pid", getpid());
	if (got->iommufd >= 0)
		add_number(doc, "iommufd", got->iommufd);
	else
		add_null(doc, "iommufd");
	array = add_array(doc, "devices");
	for (i = 0; i < got->nr_devices; i++)
		add_device(array, &got->devices[i]);
	array = add_array(doc, "regions");
	for (i = 0; i < got->nr_regions; i++)
		add_region(array, &got->regions[i]);
	if (memlock != UINT64_MAX)
		add_number(doc, "memlock", memlock);
	else
		add_null(doc, "memlock");
	/* Standard output is the command's. */
	return cli_output_to(cli, doc, stderr);
}

/* However it is written: {device1} would be none of them. */
static int check_once(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_device *a, *b;
	bool same = false;
	int i, j;

	for (i = 0; i < argc && !same; i++) {
		if (iommu_sys_device_get(cli->sys, argv[i], &a))
			continue;
		for (j = 0; j < i && !same; j++) {
			if (iommu_sys_device_get(cli->sys, argv[j], &b))
				continue;
			same = !strcmp(a->name, b->name);
			iommu_sys_device_free(b);
		}
		iommu_sys_device_free(a);
	}
	return same ? cli_usage(cli, "device %s is there twice", argv[i - 1]) :
		      0;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct iommu_acquire want = {
		.devices = (const char *const *)argv,
		.nr = argc,
		.attach = opts.attach,
		.wait = opts.wait * 1000,
	};
	enum iommu_error_kind kind;
	struct iommu_client *client;
	struct iommu_acquired got;
	struct iommu_why why;
	__u64 memlock = 0;
	int rc;

	rc = command_check(cli, cli->command, argc, opts.attach);
	if (!rc)
		rc = check_once(cli, argc, argv);
	if (!rc)
		rc = cli_connect(cli, &client);
	if (rc)
		return rc;
	if (iommu_acquire(client, &want, &got, &kind, &why)) {
		iommu_client_close(client);
		return cli_fail(cli, kind, "%s", why.text);
	}
	rc = raise_memlock(cli, &memlock);
	if (!rc && !opts.quiet)
		rc = tell(cli, &got, memlock);
	if (!rc)
		rc = command_exec(cli, cli->command, &got);
	iommu_acquired_done(&got);
	iommu_client_close(client);
	return rc;
}

const struct verb run_verbs[] = {
	{
		.verb = "run",
		.args = "DEVICE... -- CMD...", .min = 1, .max = INT_MAX,
		.command = true, .word = WORD_DEVICE,
		.options = specs, .option = option,
		.run = run, .text = run_text,
		.help = "Acquire devices and run a program with them",
		.more = "In CMD, {iommufd} and {device} stand for file "
			"descriptors, {device1} for that of the\nnext device. "
			"The program takes the place of iommuctl: when it "
			"ends, the devices\nare free.",
	},
	{ 0 },
};
