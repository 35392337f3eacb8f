// SPDX-License-Identifier: LGPL-2.1-only
/*
 * Container Device Interface: what a container engine has to add to a
 * container so that a device can be used in it.
 *
 * A device's node has a number that changes when it is bound anew, so the edits
 * name the node as it is now. Major and minor numbers are left out: engines
 * look at the node when the container starts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <json-c/json.h>

#include "private.h"

#define SPEC_VERSION "0.6.0"	/* the first with annotations */
#define VENDOR "granule.org"
#define CLASS "vfio"

/* False when out of memory; @value is taken over. */
static bool put(struct json_object *obj, const char *key,
		struct json_object *value)
{
	if (obj && value && !json_object_object_add(obj, key, value))
		return true;
	json_object_put(value);
	return false;
}

static bool append(struct json_object *array, struct json_object *value)
{
	if (array && value && !json_object_array_add(array, value))
		return true;
	json_object_put(value);
	return false;
}

static bool put_text(struct json_object *obj, const char *key,
		     const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool put_text(struct json_object *obj, const char *key,
		     const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return put(obj, key, json_object_new_string(text));
}

/* {"deviceNodes": [node]}; false when out of memory. */
static bool put_edits(struct json_object *obj, const char *path)
{
	struct json_object *edits = json_object_new_object();
	struct json_object *nodes = json_object_new_array();
	struct json_object *node = json_object_new_object();
	bool good;

	good = put_text(node, "path", "%s", path) &&
	       put_text(node, "type", "c") &&
	       put_text(node, "permissions", "rw");
	good &= append(nodes, node);
	good &= put(edits, "deviceNodes", nodes);
	good &= put(obj, "containerEdits", edits);
	return good;
}

/* "IOMMU_NODE_0000_00_03_0=PATH", so that a program in there finds it. */
static bool put_env(struct json_object *edits,
		    const struct iommu_sys_device *dev)
{
	struct json_object *env = json_object_new_array();
	char text[128], *c;
	bool good;

	snprintf(text, sizeof(text), "IOMMU_NODE_%s=%s", dev->name, dev->node);
	for (c = text; *c != '='; c++) {
		if (*c == ':' || *c == '.')
			*c = '_';
	}
	good = append(env, json_object_new_string(text));
	return put(edits, "env", env) && good;
}

static bool put_annotations(struct json_object *obj,
			    const struct iommu_sys_device *dev)
{
	struct json_object *notes = json_object_new_object();
	bool good;

	good = put_text(notes, VENDOR "/id", "%04x:%04x", dev->vendor,
			dev->device) &&
	       put_text(notes, VENDOR "/class", "%06x", dev->class) &&
	       put_text(notes, VENDOR "/group", "%ld", dev->group);
	if (good && dev->numa_node >= 0)
		good = put_text(notes, VENDOR "/numa-node", "%d",
				dev->numa_node);
	if (good && dev->device_name)
		good = put_text(notes, VENDOR "/name", "%s", dev->device_name);
	return put(obj, "annotations", notes) && good;
}

static struct json_object *make_device(const struct iommu_sys_device *dev)
{
	struct json_object *obj = json_object_new_object(), *edits;

	if (put_text(obj, "name", "%s", dev->name) &&
	    put_annotations(obj, dev) && put_edits(obj, dev->node) &&
	    json_object_object_get_ex(obj, "containerEdits", &edits) &&
	    put_env(edits, dev))
		return obj;
	json_object_put(obj);
	return NULL;
}

int iommu_cdi_spec(struct iommu_sys_device *const *devs, size_t nr,
		   struct json_object **ret)
{
	struct json_object *spec = json_object_new_object();
	struct json_object *array = json_object_new_array();
	bool good = true;
	size_t i;

	*ret = NULL;
	for (i = 0; i < nr && good; i++)
		good = append(array, make_device(devs[i]));
	good &= put_text(spec, "cdiVersion", SPEC_VERSION) &&
		put_text(spec, "kind", VENDOR "/" CLASS);
	good &= put(spec, "devices", array);
	good = good && put_edits(spec, "/dev/iommu");
	if (!good) {
		json_object_put(spec);
		return -ENOMEM;
	}
	*ret = spec;
	return 0;
}

/* Whole or not at all: engines may read it at any moment. */
int iommu_cdi_write(struct json_object *spec, const char *dir, char **ret_path)
{
	const char *text = json_object_to_json_string_ext(spec,
				JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE);
	char *path = NULL, *temporary = NULL;
	int fd = -1, rc = -ENOMEM;
	FILE *f;

	*ret_path = NULL;
	if (!text || asprintf(&path, "%s/" VENDOR "-" CLASS ".json", dir) < 0) {
		path = NULL;
		goto out;
	}
	/* No ".json" at its end: nobody takes it for a spec. */
	if (asprintf(&temporary, "%s/." VENDOR "-XXXXXX", dir) < 0) {
		temporary = NULL;
		goto out;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		rc = -errno;
		if (fd >= 0) {
			close(fd);
			unlink(temporary);
		}
		goto out;
	}
	rc = fprintf(f, "%s\n", text) < 0 || fflush(f) ||
	     fchmod(fd, 0644) || fsync(fd) ? -errno : 0;
	if (fclose(f) && !rc)
		rc = -errno;
	if (!rc && rename(temporary, path))
		rc = -errno;
	if (rc)
		unlink(temporary);
out:
	free(temporary);
	if (rc)
		free(path);
	else
		*ret_path = path;
	return rc;
}
