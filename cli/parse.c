// SPDX-License-Identifier: GPL-2.0-only
/* Numbers from the command line: all of the text, in range, or an error. */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int parse(const char *text, int base, const char **end, __u64 *ret)
{
	char *stop;

	/* strtoull would take blanks and signs. */
	if (!isxdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &stop, base);
	if (errno)
		return -ERANGE;
	*end = stop;
	return stop == text ? -EINVAL : 0;
}

int parse_size(const char *text, __u64 *ret)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	int shift, rc;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	rc = parse(text, !strncasecmp(text, "0x", 2) ? 16 : 10, &end, ret);
	if (rc)
		return rc;
	if (!*end)
		return 0;
	unit = strchr(units, toupper((unsigned char)*end));
	if (!unit || end[1])
		return -EINVAL;
	shift = 10 * (int)(unit - units + 1);
	if (*ret > UINT64_MAX >> shift)
		return -ERANGE;
	*ret <<= shift;
	return 0;
}

int parse_address(const char *text, __u64 *ret)
{
	const char *end;
	int rc;

	/* Without the prefix it is not clear what is meant. */
	if (strncasecmp(text, "0x", 2) || !isxdigit((unsigned char)text[2]))
		return -EINVAL;
	rc = parse(text, 16, &end, ret);
	return rc ? rc : *end ? -EINVAL : 0;
}

int parse_number(const char *text, __u64 max, __u64 *ret)
{
	const char *end;
	int rc;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	rc = parse(text, 10, &end, ret);
	return rc ? rc : *end ? -EINVAL : *ret > max ? -ERANGE : 0;
}
