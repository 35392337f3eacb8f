// SPDX-License-Identifier: GPL-2.0-only
/*
 * A command line with placeholders, "{device}", for what was acquired.
 *
 * A placeholder is one word of letters, digits, ".", "-" and "_" in braces, so
 * JSON and "{}" stay as they are. "{{word}" stands for "{word}".
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define MAX_WORD 64

/* What a placeholder is about. */
enum subject { OF_ALL, OF_DEVICE, OF_REGION };

struct value {
	const struct iommu_acquired *all;
	const struct iommu_acquired_device *device;
	const struct iommu_acquired_region *region;
};

static char *iommufd_of(const struct value *v)
{
	return v->all->iommufd < 0 ? NULL : text_of("%d", v->all->iommufd);
}

static char *device_fd(const struct value *v)
{
	return text_of("%d", v->device->fd);
}

static char *device_name(const struct value *v)
{
	return text_of("%s", v->device->device);
}

static char *device_id(const struct value *v)
{
	return text_of("%" PRIu32, (uint32_t)v->device->dev_id);
}

static char *device_ioas(const struct value *v)
{
	return text_of("%" PRIu32, (uint32_t)v->device->ioas_id);
}

static char *region_fd(const struct value *v)
{
	return text_of("%d", v->region->fd);
}

static char *region_iova(const struct value *v)
{
	return text_of("0x%" PRIx64, (uint64_t)v->region->iova);
}

static char *region_size(const struct value *v)
{
	return text_of("%" PRIu64, (uint64_t)v->region->size);
}

/* Those of devices may have a number, those of regions have a name. */
static const struct placeholder {
	const char *word;
	enum subject subject;
	bool attached;		/* only there is what it stands for */
	char *(*value)(const struct value *v);
} placeholders[] = {
	{ "iommufd", OF_ALL, false, iommufd_of },
	{ "device", OF_DEVICE, false, device_fd },
	{ "address", OF_DEVICE, false, device_name },
	{ "id", OF_DEVICE, true, device_id },
	{ "ioas", OF_DEVICE, true, device_ioas },
	{ "region", OF_REGION, true, region_fd },
	{ "iova", OF_REGION, true, region_iova },
	{ "size", OF_REGION, true, region_size },
};

/* Length of the "{word}" at @at, with its braces; 0: there is none. */
static size_t find_word(const char *at, char word[MAX_WORD])
{
	size_t len = 0;

	if (at[0] != '{' || !isalpha((unsigned char)at[1]))
		return 0;
	for (at++; isalnum((unsigned char)at[len]) ||
		   (at[len] && strchr("._-", at[len])); len++)
		;
	if (at[len] != '}' || len >= MAX_WORD)
		return 0;
	memcpy(word, at, len);
	word[len] = 0;
	return len + 2;
}

/* A word as the table has it, and its number or name in *@rest. */
static const struct placeholder *look_up(const char *word, const char **rest)
{
	const struct placeholder *p;
	size_t i, len, digits;

	for (i = 0; i < ARRAY_LEN(placeholders); i++) {
		p = &placeholders[i];
		len = strlen(p->word);
		if (strncmp(word, p->word, len))
			continue;
		*rest = word + len;
		digits = strspn(*rest, "0123456789");
		if (p->subject == OF_REGION ? **rest == '.' && (*rest)[1] :
		    p->subject == OF_DEVICE ? digits < 5 && !(*rest)[digits] :
					      !**rest)
			return p;
	}
	return NULL;
}

static int unknown(struct cli *cli, const char *word)
{
	return cli_usage(cli, "{%s} is no placeholder; there are {iommufd}, "
			 "{device}, {address}, {id}, {ioas} (and {device1} "
			 "... for further devices), {region.NAME}, "
			 "{iova.NAME}, {size.NAME}; write {{%s} to have it as "
			 "it is", word, word);
}

static int check_word(struct cli *cli, const char *word, size_t nr,
		      bool attached)
{
	const struct placeholder *p;
	const char *rest;

	p = look_up(word, &rest);
	if (!p)
		return unknown(cli, word);
	if (p->attached && !attached)
		return cli_usage(cli, "{%s} is known of devices that are "
				 "attached; add --attach", word);
	if (p->subject == OF_REGION || (nr && p->subject == OF_ALL))
		return 0;
	if (nr && strtoul(rest, NULL, 10) < nr)
		return 0;
	return cli_usage(cli, "{%s}: there are %zu devices, counted from 0",
			 word, nr);
}

int command_check(struct cli *cli, char **command, size_t nr, bool attached)
{
	char word[MAX_WORD];
	const char *at;
	size_t len;
	int rc;

	for (; *command; command++) {
		for (at = *command; *at; at += len ? len : 1) {
			len = find_word(at, word);
			if (at[0] == '{' && at[1] == '{' &&
			    find_word(at + 1, word))
				len = 2;
			else if (len && (rc = check_word(cli, word, nr,
							 attached)))
				return rc;
		}
	}
	return 0;
}

static const struct iommu_acquired_region *
find_region(const struct iommu_acquired *got, const char *name)
{
	size_t i;

	for (i = 0; i < got->nr_regions; i++) {
		if (!strcmp(got->regions[i].name, name))
			return &got->regions[i];
	}
	return NULL;
}

/* The value of a word that has passed check_word(); an exit code. */
static int value_of(struct cli *cli, const char *word,
		    const struct iommu_acquired *got, char **ret)
{
	const struct placeholder *p;
	struct value v = { .all = got };
	const char *rest;

	p = look_up(word, &rest);
	if (p->subject == OF_DEVICE)
		v.device = &got->devices[strtoul(rest, NULL, 10)];
	if (p->subject == OF_REGION) {
		v.region = find_region(got, rest + 1);
		if (!v.region)
			return cli_fail(cli, IOMMU_ERROR_NOT_FOUND, "{%s}: "
					"there is no region '%s'; 'iommuctl "
					"ioas list' shows those there are",
					word, rest + 1);
	}
	*ret = p->value(&v);
	if (*ret)
		return 0;
	return cli_fail(cli, IOMMU_ERROR_REFUSED, "{%s}: the devices are in a "
			"named IOAS, whose iommufd stays with the daemon; use "
			"its regions", word);
}

static int expand(struct cli *cli, const char *at,
		  const struct iommu_acquired *got, char **ret)
{
	char word[MAX_WORD], *text, *all = text_of("%s", "");
	size_t len;
	char *more;
	int rc;

	for (; *at; at += len ? len : 1) {
		len = find_word(at, word);
		text = NULL;
		if (at[0] == '{' && at[1] == '{' && find_word(at + 1, word)) {
			len = 2;
			text = text_of("{");
		} else if (len) {
			rc = value_of(cli, word, got, &text);
			if (rc) {
				free(all);
				return rc;
			}
		}
		more = text ? text_of("%s%s", all, text) :
			      text_of("%s%c", all, *at);
		free(text);
		free(all);
		all = more;
	}
	*ret = all;
	return 0;
}

/* ---- What a command finds in its environment ---- */

static void set_list(const char *name, size_t nr, struct value v,
		     char *(*value)(const struct value *v))
{
	size_t i;

	unsetenv(name);
	for (i = 0; i < nr; i++) {
		v.device = v.all->devices ? &v.all->devices[i] : NULL;
		v.region = v.all->regions ? &v.all->regions[i] : NULL;
		env_add(name, value(&v));
	}
}

static char *zero(const struct value *v)
{
	(void)v;
	return text_of("0");
}

static char *region_name(const struct value *v)
{
	return text_of("%s", v->region->name);
}

/* The same as with 'iommuctl map --exec'. */
static void set_environment(const struct iommu_acquired *got)
{
	bool attached = got->nr_devices && got->devices[0].attached;
	size_t nr = got->nr_devices, regions = got->nr_regions;
	struct value v = { .all = got };

	set_list("IOMMU_FD", got->iommufd >= 0, v, iommufd_of);
	set_list("IOMMU_DEVICE", nr, v, device_name);
	set_list("IOMMU_DEVICE_FD", nr, v, device_fd);
	set_list("IOMMU_DEVICE_ID", attached ? nr : 0, v, device_id);
	set_list("IOMMU_IOAS", attached ? nr : 0, v, device_ioas);
	set_list("IOMMU_REGION", regions, v, region_name);
	set_list("IOMMU_IOVA", regions, v, region_iova);
	set_list("IOMMU_LENGTH", regions, v, region_size);
	set_list("IOMMU_MEMORY_FD", regions, v, region_fd);
	set_list("IOMMU_MEMORY_OFFSET", regions, v, zero);
}

static void free_words(char **words)
{
	char **word;

	for (word = words; *word; word++)
		free(*word);
	free(words);
}

int command_exec(struct cli *cli, char **command,
		 const struct iommu_acquired *got)
{
	size_t i, nr;
	char **words;
	int rc, err;

	for (nr = 0; command[nr]; nr++)
		;
	words = calloc(nr + 1, sizeof(*words));
	if (!words)
		return cli_fail(cli, IOMMU_ERROR_OTHER, "out of memory");
	for (i = 0; i < nr; i++) {
		rc = expand(cli, command[i], got, &words[i]);
		if (rc)
			goto out;
	}
	set_environment(got);
	inherit(got->iommufd);
	for (i = 0; i < got->nr_devices; i++)
		inherit(got->devices[i].fd);
	for (i = 0; i < got->nr_regions; i++)
		inherit(got->regions[i].fd);
	fflush(NULL);
	execvp(words[0], words);
	err = errno;
	cli_fail(cli, IOMMU_ERROR_OTHER, "%s cannot be run: %s", words[0],
		 strerror(err));
	rc = err == ENOENT ? 127 : 126;
out:
	free_words(words);
	return rc;
}
