// SPDX-License-Identifier: GPL-2.0-only
/* iommuctl device: PCI devices and who drives them. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

static char *cell_id(struct json_object *row)
{
	return text_of("%.4s:%.4s", get_string(row, "vendor_id") + 2,
		       get_string(row, "device_id") + 2);
}

static char *cell_class(struct json_object *row)
{
	return text_of("%s", get_string(row, "class") + 2);
}

static char *cell_granule(struct json_object *row)
{
	return get_size(row, "granule");
}

static char *cell_vfio(struct json_object *row)
{
	/* In brackets: known to VFIO, but there is no node to open. */
	return text_of(get(row, "vfio") && !get(row, "node") ? "(%s)" : "%s",
		       get_string(row, "vfio"));
}

static char *cell_name(struct json_object *row)
{
	if (!get(row, "device_name"))
		return text_of("%s", get_string(row, "vendor_name"));
	return text_of("%s %s", get_string(row, "vendor_name"),
		       get_string(row, "device_name"));
}

static void list_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "DEVICE", .key = "device" }, { "ID", .cell = cell_id },
		{ "CLASS", .cell = cell_class }, { "GROUP", .key = "group" },
		{ "GRANULE", .cell = cell_granule },
		{ "DRIVER", .key = "driver" }, { "VFIO", .cell = cell_vfio },
		{ "NAME", .cell = cell_name },
	};

	print_table(f, "", get(doc, "devices"), columns, ARRAY_LEN(columns));
}

static int list(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_device **devs;
	struct json_object *doc, *array;
	size_t nr, i;
	int rc;

	(void)argc;
	(void)argv;
	/* The table does not have what a brief look leaves out. */
	rc = iommu_sys_devices(cli->sys, cli->json ? 0 : IOMMU_SYS_BRIEF,
			       &devs, &nr);
	if (rc)
		return cli_errno(cli, rc, "the devices cannot be listed");
	doc = new_document();
	array = add_array(doc, "devices");
	/* One gives its memory to the next: new pages cost more than this. */
	for (i = 0; i < nr; i++) {
		append(array, iommu_json_device(devs[i]));
		iommu_sys_device_free(devs[i]);
	}
	free(devs);
	return cli_output(cli, doc);
}

static char *element_member(struct json_object *row)
{
	return text_of("%s (%s)", get_string(row, "device"),
		       get(row, "driver") ? get_string(row, "driver") :
					    "no driver");
}

static void field_text(FILE *f, const char *name, char *text)
{
	print_field(f, name, "%s", text);
	free(text);
}

static char *bits(struct json_object *info, const char *key)
{
	return get(info, key) ? text_of("%s bits", get_string(info, key)) :
				text_of("-");
}

static void show_info(FILE *f, struct json_object *info)
{

	field_text(f, "page sizes",
		   join(get(info, "page_sizes"), " ", element_size));
	field_text(f, "granule", get_size(info, "granule"));
	field_text(f, "CPU page", get_size(info, "cpu_page_size"));
	if (get_bool(info, "needs_contiguous"))
		print_field(f, "user memory", "%s", get_string(info, "rule"));
	field_text(f, "address width", bits(info, "address_width"));
	field_text(f, "output width", bits(info, "output_width"));
	if (get(info, "pasid_width"))
		field_text(f, "PASID width", bits(info, "pasid_width"));
	if (get(info, "enforce_snoop"))
		print_field(f, "enforce snoop", "%s",
			    get_bool(info, "enforce_snoop") ? "yes" : "no");
	if (get(info, "isolated_msi"))
		print_field(f, "isolated MSI", "%s",
			    get_bool(info, "isolated_msi") ? "yes" : "no");
	if (get(info, "vtd_cap"))
		print_field(f, "VT-d", "capability %s, extended %s",
			    get_string(info, "vtd_cap"),
			    get_string(info, "vtd_ecap"));
	if (get(info, "iova_ranges")) {
		fputs("IOVA ranges\n", f);
		print_ranges(f, "  ", get(info, "iova_ranges"));
	} else {
		print_field(f, "IOVA ranges", "-");
	}
	if (length(get(info, "reserved_regions"))) {
		fputs("reserved regions\n", f);
		print_regions(f, "  ", get(info, "reserved_regions"));
	} else {
		print_field(f, "reserved", "none");
	}
}

/* "~1.9M", of a number of granules or of bytes; "-" where it is not known. */
static char *bytes(struct json_object *obj, const char *key, __u64 unit)
{
	__u64 size;

	if (!get(obj, key) || !unit ||
	    __builtin_mul_overflow(get_number(obj, key), unit, &size))
		return text_of("-");
	return short_size(size);
}

static void show_kernel_dma(FILE *f, struct json_object *dma)
{
	__u64 granule = get_number(dma, "granule");
	char *mapped, *bounced, *copied, *size;

	print_field(f, "kernel DMA", "%s%s%s: %s%s%s", get_string(dma, "state"),
		    get(dma, "by") ? " by " : "",
		    get(dma, "by") ? get_string(dma, "by") : "",
		    get_string(dma, "text"), get(dma, "remedy") ? "; " : "",
		    get(dma, "remedy") ? get_string(dma, "remedy") : "");
	if (!granule)
		return;
	size = get_size(dma, "granule");
	mapped = bytes(dma, "mapped_granules", granule);
	bounced = bytes(dma, "bounce_granules", granule);
	copied = bytes(dma, "bounced_bytes", 1);
	print_field(f, "DMA mapped", "%s granules of %s (%s) now; %s mappings "
		    "so far, %s refused", get_string(dma, "mapped_granules"),
		    size, mapped, get_string(dma, "mappings"),
		    get_string(dma, "failures"));
	if (!get_bool(dma, "trusted"))
		print_field(f, "DMA bounced", "%s granules (%s) now; %s copied "
			    "so far", get_string(dma, "bounce_granules"),
			    bounced, copied);
	free(size);
	free(mapped);
	free(bounced);
	free(copied);
}

static void show_text(struct json_object *doc, FILE *f)
{
	struct json_object *dev = get(doc, "device");
	struct json_object *group = get(doc, "group");
	char *id = cell_id(dev), *members;

	print_field(f, "device", "%s", get_string(dev, "device"));
	print_field(f, "id", "%s, class %s, revision %s", id,
		    get_string(dev, "class"), get_string(dev, "revision"));
	free(id);
	field_text(f, "name", cell_name(dev));
	if (get(dev, "driver_override"))
		print_field(f, "driver", "%s (override %s)",
			    get_string(dev, "driver"),
			    get_string(dev, "driver_override"));
	else
		print_field(f, "driver", "%s", get_string(dev, "driver"));
	if (get(dev, "iommu_faults"))
		print_field(f, "IOMMU", "%s (%s), %s faults of the device",
			    get_string(dev, "iommu"),
			    get_string(dev, "iommu_driver"),
			    get_string(dev, "iommu_faults"));
	else if (get(dev, "iommu_driver"))
		print_field(f, "IOMMU", "%s (%s)", get_string(dev, "iommu"),
			    get_string(dev, "iommu_driver"));
	else
		print_field(f, "IOMMU", "%s", get_string(dev, "iommu"));
	if (group) {
		members = join(get(group, "devices"), ", ", element_member);
		print_field(f, "group", "%s: %s", get_string(group, "group"),
			    members);
		free(members);
	} else {
		print_field(f, "group", "-");
	}
	if (get(dev, "node"))
		print_field(f, "VFIO", "%s, %s", get_string(dev, "vfio"),
			    get_string(dev, "node"));
	else
		print_field(f, "VFIO", "%s", get_string(dev, "vfio"));
	field_text(f, "reset", join(get(dev, "reset_methods"), " ",
				    element_string));
	if (get(dev, "numa_node"))
		print_field(f, "NUMA node", "%s", get_string(dev, "numa_node"));
	show_kernel_dma(f, get(doc, "kernel_dma"));
	show_info(f, get(doc, "info"));
	print_notes(f, doc);
}

static int show(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_device *dev;
	struct iommu_sys_group *group;
	struct json_object *doc;
	int rc;

	(void)argc;
	rc = cli_device_group(cli, argv[0], &dev, &group);
	if (rc)
		return rc;
	doc = new_document();
	add(doc, "device", iommu_json_device(dev));
	if (group)
		add(doc, "group", iommu_json_group(group));
	else
		add_null(doc, "group");
	add(doc, "kernel_dma", iommu_json_kernel_dma(dev, group));
	rc = add_device_info(cli, doc, dev, group);
	iommu_sys_group_free(group);
	iommu_sys_device_free(dev);
	if (rc) {
		json_object_put(doc);
		return rc;
	}
	return cli_output(cli, doc);
}

enum { OPT_DRIVER = 1, OPT_GROUP, OPT_DAEMON, OPT_DIRECT, OPT_FORCE };

static struct {
	const char *driver;	/* NULL: vfio-pci, or what the policy says */
	bool group, daemon, direct, force;
} bind_options;

#define BY_SPECS \
	{ OPT_DAEMON, "daemon", NULL, WORD_TEXT, NULL, \
	  "have iommud do it (default if it is there and you are not root)" }, \
	{ OPT_DIRECT, "direct", NULL, WORD_TEXT, NULL, \
	  "do it without iommud (default for root)" }

static const struct option_spec bind_specs[] = {
	{ OPT_DRIVER, "driver", "NAME", WORD_TEXT, NULL,
	  "VFIO driver to use (default vfio-pci)" },
	{ OPT_GROUP, "group", NULL, WORD_TEXT, NULL,
	  "bind all of the IOMMU group, but no idle bridges" },
	{ OPT_FORCE, "force", NULL, WORD_TEXT, NULL,
	  "also what the host uses: mounted disks, network interfaces" },
	BY_SPECS,
	{ 0 },
};

static const struct option_spec unbind_specs[] = { BY_SPECS, { 0 } };

static int bind_option(struct cli *cli, int id, char **value)
{
	switch (id) {
	case OPT_DRIVER:
		if (!value[0][0] || strchr(value[0], '/'))
			return cli_usage(cli, "'%s' is no name of a driver",
					 value[0]);
		bind_options.driver = value[0];
		return 0;
	case OPT_GROUP:
		bind_options.group = true;
		return 0;
	case OPT_FORCE:
		bind_options.force = true;
		return 0;
	case OPT_DAEMON:
		bind_options.daemon = true;
		break;
	case OPT_DIRECT:
		bind_options.direct = true;
		break;
	}
	if (bind_options.daemon && bind_options.direct)
		return cli_usage(cli, "--daemon and --direct exclude each "
				 "other");
	return 0;
}

/*
 * Root needs nobody for it. Whoever is not root asks the daemon, if there is
 * one: without it the kernel would refuse anyway, and say less.
 */
static bool by_daemon(struct cli *cli)
{
	struct iommu_client *client;
	struct iommu_why why;

	if (bind_options.daemon || bind_options.direct)
		return bind_options.daemon;
	/* A daemon of this host knows nothing of a tree elsewhere. */
	if (!geteuid() || (strcmp(iommu_sys_path(cli->sys, "/"), "/") &&
			   !getenv("IOMMUD_SOCKET")))
		return false;
	if (iommu_client_open(NULL, &client, &why))
		return false;
	iommu_client_close(client);
	return true;
}

/* Load the driver's module; whether that worked is seen in sysfs. */
static void load_module(const char *name)
{
	const char *argv[] = { "modprobe", "--quiet", "--", name,
			       NULL };
	int status;
	pid_t pid;

	if (!posix_spawnp(&pid, "modprobe", NULL, NULL, (char *const *)argv,
			  environ))
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
}

/* The names to bind: those given, and with --group all of their groups. */
struct names {
	char **v;
	size_t nr;
};

static void add_name(struct names *names, const char *name)
{
	char **more;
	size_t i;

	for (i = 0; i < names->nr; i++) {
		if (!strcmp(names->v[i], name))
			return;
	}
	more = reallocarray(names->v, names->nr + 1, sizeof(*more));
	if (!more) {
		fputs("iommuctl: out of memory\n", stderr);
		exit(IOMMU_ERROR_OTHER);
	}
	names->v = more;
	names->v[names->nr++] = text_of("%s", name);
}

static void add_group(struct cli *cli, struct names *names, long id)
{
	struct iommu_sys_group *group;
	size_t i;

	if (id < 0 || iommu_sys_group_get(cli->sys, id, &group))
		return;
	for (i = 0; i < group->nr_devices; i++) {
		/* A bridge (class 06) stays unless its driver is in the way. */
		if (group->devices[i]->class >> 16 != 0x06 ||
		    iommu_sys_device_blocks(group->devices[i]))
			add_name(names, group->devices[i]->name);
	}
	iommu_sys_group_free(group);
}

static void free_names(struct names *names)
{
	while (names->nr)
		free(names->v[--names->nr]);
	free(names->v);
}

/* What both verbs print: the devices as they are now. */
static int output_devices(struct cli *cli, const struct names *names,
			  struct json_object *warnings)
{
	struct json_object *doc = new_document();
	struct json_object *array = add_array(doc, "devices");
	struct json_object *notes = add_array(doc, "notes");
	struct iommu_sys_device *dev;
	size_t i;

	for (i = 0; i < names->nr; i++) {
		if (iommu_sys_device_get(cli->sys, names->v[i], &dev))
			continue;
		append(array, iommu_json_device(dev));
		if (dev->vfio && !dev->node)
			append_text(notes, "%s has no node in /dev/vfio/devices"
				    "; load the module ('modprobe "
				    "granule-vfio')", dev->name);
		iommu_sys_device_free(dev);
	}
	for (i = 0; i < length(warnings); i++)
		append(notes, json_object_get(
				      json_object_array_get_idx(warnings, i)));
	return cli_output(cli, doc);
}

/* Bind or Unbind of the daemon. */
static int ask_daemon(struct cli *cli, const char *method,
		      const struct names *names)
{
	struct json_object *parameters = new_parameters(), *reply;
	int rc;

	add(parameters, "devices", name_array(names->nr, names->v));
	if (bind_options.driver)
		add_string(parameters, "driver", bind_options.driver);
	if (bind_options.force)
		add(parameters, "force", json_object_new_boolean(true));
	rc = cli_call(cli, method, parameters, &reply);
	if (rc)
		return rc;
	rc = output_devices(cli, names, get(reply, "warnings"));
	json_object_put(reply);
	return rc;
}

static void changed_text(struct json_object *doc, FILE *f)
{
	struct json_object *devices = get(doc, "devices");
	size_t i;

	for (i = 0; i < length(devices); i++) {
		struct json_object *dev = json_object_array_get_idx(devices, i);

		fprintf(f, "%s: ", get_string(dev, "device"));
		if (get(dev, "driver"))
			fprintf(f, "driver %s", get_string(dev, "driver"));
		else
			fputs("no driver", f);
		if (get(dev, "group"))
			fprintf(f, ", group %s", get_string(dev, "group"));
		if (get(dev, "node"))
			fprintf(f, ", %s", get_string(dev, "node"));
		fputc('\n', f);
	}
	print_notes(f, doc);
}

static void set_target(struct cli *cli, const struct names *names)
{
	snprintf(cli->target, sizeof(cli->target), "%s%s",
		 names->nr ? names->v[0] : "", names->nr > 1 ? " ..." : "");
}

static int bind_directly(struct cli *cli, const struct names *names)
{
	const char *driver = bind_options.driver ? bind_options.driver :
						   "vfio-pci";
	struct iommu_why why;
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	if (!strcmp(iommu_sys_path(cli->sys, "/"), "/") && access(path, F_OK))
		load_module(driver);
	rc = iommu_device_bind(cli->sys, (const char *const *)names->v,
			       names->nr, driver,
			       bind_options.force ? IOMMU_BIND_FORCE : 0,
			       &why);
	if (rc)
		return cli_fail(cli, rc == -ENOENT ? IOMMU_ERROR_NO_MODULE :
				     rc == -EINVAL ? IOMMU_ERROR_REFUSED :
				     iommu_errno_kind(rc), "%s", why.text);
	return output_devices(cli, names, NULL);
}

static int bind(struct cli *cli, int argc, char **argv)
{
	struct names names = { 0 };
	struct iommu_sys_device *dev;
	int rc = 0, i;

	for (i = 0; i < argc && !rc; i++) {
		rc = cli_device(cli, argv[i], &dev);
		if (rc)
			break;
		add_name(&names, dev->name);
		if (bind_options.group)
			add_group(cli, &names, dev->group);
		iommu_sys_device_free(dev);
	}
	if (rc)
		goto out;
	set_target(cli, &names);
	rc = by_daemon(cli) ? ask_daemon(cli, "Bind", &names) :
			      bind_directly(cli, &names);
out:
	free_names(&names);
	return rc;
}

static int unbind(struct cli *cli, int argc, char **argv)
{
	struct names names = { 0 };
	struct iommu_sys_device *dev;
	struct iommu_why why;
	int rc = 0, i;

	/* All names first: a wrong one changes nothing. */
	for (i = 0; i < argc; i++) {
		rc = cli_device(cli, argv[i], &dev);
		if (rc)
			goto out;
		add_name(&names, dev->name);
		iommu_sys_device_free(dev);
	}
	if (by_daemon(cli)) {
		set_target(cli, &names);
		rc = ask_daemon(cli, "Unbind", &names);
		goto out;
	}
	for (i = 0; i < (int)names.nr; i++) {
		snprintf(cli->target, sizeof(cli->target), "%s", names.v[i]);
		rc = iommu_device_unbind(cli->sys, names.v[i], &why);
		if (rc) {
			rc = cli_fail(cli, rc == -EINVAL ? IOMMU_ERROR_REFUSED :
					   iommu_errno_kind(rc), "%s",
				      why.text);
			goto out;
		}
	}
	rc = output_devices(cli, &names, NULL);
out:
	free_names(&names);
	return rc;
}

const struct verb device_verbs[] = {
	{
		.object = "device", .verb = "list",
		.run = list, .text = list_text,
		.help = "List PCI devices, their groups and drivers",
	}, {
		.object = "device", .verb = "show",
		.args = "DEVICE", .min = 1, .max = 1, .word = WORD_DEVICE,
		.run = show, .text = show_text,
		.help = "Show what a device and its IOMMU can do",
		.more = "Page sizes, widths and IOVA ranges come from the "
			"kernel and need a device that is\nbound to vfio-pci "
			"and not in use. Without that, what sysfs says is "
			"shown.",
	}, {
		.object = "device", .verb = "bind",
		.args = "DEVICE...", .min = 1, .max = INT_MAX,
		.word = WORD_DEVICE,
		.options = bind_specs, .option = bind_option,
		.run = bind, .text = changed_text,
		.help = "Give devices to vfio-pci, all or none",
	}, {
		.object = "device", .verb = "unbind",
		.args = "DEVICE...", .min = 1, .max = INT_MAX,
		.word = WORD_DEVICE,
		.options = unbind_specs, .option = bind_option,
		.run = unbind, .text = changed_text,
		.help = "Give devices back to the host's drivers",
	},
	{ 0 },
};
