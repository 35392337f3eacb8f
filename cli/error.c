// SPDX-License-Identifier: GPL-2.0-only
/* One sentence on stderr, and the exit code that goes with it. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli.h"

static void say(const struct cli *cli, const char *fmt, va_list ap)
{
	fputs("iommuctl: ", stderr);
	if (cli->verb)
		fprintf(stderr, "%s%s%s: ", verb_name(cli->verb),
			cli->target[0] ? " " : "", cli->target);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int cli_fail(const struct cli *cli, enum iommu_error_kind kind,
	     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(cli, fmt, ap);
	va_end(ap);
	return kind;
}

int cli_errno(const struct cli *cli, int err, const char *what)
{
	return cli_fail(cli, iommu_errno_kind(err), "%s: %s", what,
			strerror(err < 0 ? -err : err));
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(cli, fmt, ap);
	va_end(ap);
	if (cli->verb)
		fprintf(stderr, "See 'iommuctl %s --help'.\n",
			verb_name(cli->verb));
	else
		fputs("See 'iommuctl --help'.\n", stderr);
	return IOMMU_ERROR_USAGE;
}

int cli_flush(const struct cli *cli)
{
	bool bad = ferror(stdout);

	if (!fflush(stdout) && !bad)
		return 0;
	return cli_fail(cli, IOMMU_ERROR_OTHER,
			"standard output cannot be written: %s",
			strerror(errno));
}

int cli_device(struct cli *cli, const char *arg, struct iommu_sys_device **ret)
{
	int rc = iommu_sys_device_get(cli->sys, arg, ret);

	snprintf(cli->target, sizeof(cli->target), "%s",
		 rc ? arg : (*ret)->name);
	if (rc == -EINVAL)
		return cli_usage(cli, "this is no device; give an address like "
				 "0000:00:03.0 or a name like vfio0");
	if (rc == -ENODEV)
		return cli_fail(cli, IOMMU_ERROR_NOT_FOUND,
				"there is no such device; 'iommuctl device "
				"list' shows those there are");
	return rc ? cli_errno(cli, rc, "the device cannot be read") : 0;
}

int cli_device_group(struct cli *cli, const char *arg,
		     struct iommu_sys_device **ret,
		     struct iommu_sys_group **ret_group)
{
	int rc = cli_device(cli, arg, ret);

	*ret_group = NULL;
	if (!rc && (*ret)->group >= 0)
		(void)iommu_sys_group_get(cli->sys, (*ret)->group, ret_group);
	return rc;
}
