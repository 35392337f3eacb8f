// SPDX-License-Identifier: GPL-2.0-only
/* iommud: options, then the manager. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "early.h"
#include "manager.h"
#include "util.h"

static const char usage[] =
"Usage: iommud [OPTIONS]\n\n"
"Gives devices behind an IOMMU to programs in user space: iommud(8).\n\n"
"  --config DIR   read the policy from DIR (/etc/iommud)\n"
"  --state DIR    keep leases and undo records in DIR (/run/iommud)\n"
"  --socket PATH  listen on PATH when systemd passes no socket\n"
"                 (/run/iommud/iommud.sock)\n"
"  --group NAME   members may change things (iommu)\n"
"  --root DIR     use DIR in place of / for /sys and /dev\n"
"  --early        set driver_override of all devices that the policy wants from\n"
"                 the start, before drivers are loaded, and exit\n"
"  --check        check the policy, print what is wrong, and exit\n"
"  --udev DEVICE  print which driver the policy wants for a device that has\n"
"                 just appeared, as a udev property, and exit\n"
"  --interface    print the Varlink interface and exit\n"
"  --version      print the version and exit\n"
"  --help         print this and exit\n";

enum { CHECK = 256, EARLY, UDEV, SHOW_INTERFACE, SHOW_VERSION, HELP, CONFIG, STATE,
       SOCKET, GROUP, ROOT };

static const struct option long_options[] = {
	{ "check", no_argument, NULL, CHECK },
	{ "config", required_argument, NULL, CONFIG },
	{ "early", no_argument, NULL, EARLY },
	{ "group", required_argument, NULL, GROUP },
	{ "help", no_argument, NULL, HELP },
	{ "interface", no_argument, NULL, SHOW_INTERFACE },
	{ "root", required_argument, NULL, ROOT },
	{ "socket", required_argument, NULL, SOCKET },
	{ "state", required_argument, NULL, STATE },
	{ "udev", required_argument, NULL, UDEV },
	{ "version", no_argument, NULL, SHOW_VERSION },
	{ 0 }
};

static int check(const struct options *o)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = policy_load(o->config, NULL, NULL, &errors);
	bool good = policy;

	print_errors(&errors);
	policy_errors_done(&errors);
	policy_free(policy);
	return good ? 0 : 1;
}

static int run(const struct options *o)
{
	struct manager m = { .options = *o, .admins = (gid_t)-1 };
	int rc = manager_start(&m);

	if (!rc)
		rc = manager_run(&m);
	else
		fprintf(stderr, "iommud: not started: %s\n", strerror(-rc));
	manager_done(&m);
	return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.socket = "/run/iommud/iommud.sock",
		.config = "/etc/iommud",
		.state = "/run/iommud",
		.group = "iommu",
	};
	const char *device = NULL;
	int opt, what = 0;

	while ((opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (opt) {
		case CONFIG:
			o.config = optarg;
			break;
		case GROUP:
			o.group = optarg;
			break;
		case ROOT:
			o.root = optarg;
			break;
		case SOCKET:
			o.socket = optarg;
			break;
		case STATE:
			o.state = optarg;
			break;
		case UDEV:
			device = optarg;
			what = opt;
			break;
		case 'h':
			what = HELP;
			break;
		case '?':
			return 2;
		default:
			what = opt;
			break;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "iommud: '%s': there are no arguments\n",
			argv[optind]);
		return 2;
	}
	switch (what) {
	case HELP:
		fputs(usage, stdout);
		return 0;
	case SHOW_VERSION:
		printf("iommud %s\n", iommu_version());
		return 0;
	case SHOW_INTERFACE:
		fputs(interface_text(INTERFACE), stdout);
		return 0;
	case CHECK:
		return check(&o);
	case EARLY:
		return early_all(&o);
	case UDEV:
		return early_one(&o, device);
	default:
		return run(&o);
	}
}
