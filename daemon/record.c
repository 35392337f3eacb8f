// SPDX-License-Identifier: GPL-2.0-only
/* Records in the state directory. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "manager.h"
#include "record.h"
#include "util.h"

#define MAX_SIZE 65536

static char *path_of(struct manager *m, const char *kind, const char *device)
{
	return must_format("%s/%s/%s.json", m->options.state, kind, device);
}

/* NULL in @ret: it is not JSON. */
static int load(const char *path, struct json_object **ret)
{
	size_t len;
	char *text;
	int rc = read_file(path, MAX_SIZE, &text, &len);

	*ret = NULL;
	if (rc)
		return rc;
	*ret = json_tokener_parse(text);
	free(text);
	return 0;
}

struct json_object *record_load(struct manager *m, const char *kind,
				const char *device)
{
	char *path = path_of(m, kind, device);
	struct json_object *obj;

	(void)load(path, &obj);
	free(path);
	return obj;
}

int record_save(struct manager *m, const char *kind, const char *device,
		struct json_object *obj)
{
	char *path = path_of(m, kind, device);
	int rc = write_file(path, json_object_to_json_string(obj));

	if (rc)
		log_device(LOG_WARNING, device, "%s cannot be written (%s): a "
			   "restart will not know what is in it", path,
			   strerror(-rc));
	free(path);
	return rc;
}

void record_forget(struct manager *m, const char *kind, const char *device)
{
	char *path = path_of(m, kind, device);

	unlink(path);
	free(path);
}

static void visit(struct manager *m, const char *path, record_fn keep)
{
	struct json_object *obj;
	int rc = load(path, &obj);

	if (rc)
		log_warning("%s: %s", path, strerror(-rc));
	else if (!keep(m, path, obj))
		unlink(path);
	json_object_put(obj);
}

void records_each(struct manager *m, const char *kind, record_fn keep)
{
	char *dir = must_format("%s/%s", m->options.state, kind), *path;
	struct dirent *ent;
	DIR *d = opendir(dir);

	while (d && (ent = readdir(d))) {
		const char *end = strrchr(ent->d_name, '.');

		if (ent->d_name[0] == '.')
			continue;
		path = must_format("%s/%s", dir, ent->d_name);
		/* write_file() was interrupted: it was never a record. */
		if (!end || strcmp(end, ".json"))
			unlink(path);
		else
			visit(m, path, keep);
		free(path);
	}
	if (d)
		closedir(d);
	free(dir);
}
