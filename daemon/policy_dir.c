// SPDX-License-Identifier: GPL-2.0-only
/* The files that a policy is made from. */
#include <errno.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "policy_read.h"
#include "util.h"

struct paths {
	char **v;
	size_t nr;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_json(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && !strcmp(name + len - 5, ".json");
}

static void add_path(struct paths *p, char *path)
{
	p->v = must_grow(p->v, p->nr + 1, sizeof(*p->v));
	p->v[p->nr++] = path;
}

static void file_error(struct policy_errors *errors, const char *file,
		       const char *text)
{
	policy_error(errors, file, 0, "", "cannot be read: %s", text);
}

/* The files of @dir, and @extra when it is or would be one of them. */
static struct paths list(const char *dir, const char *extra,
			 struct policy_errors *errors)
{
	struct paths p = { 0 };
	bool seen = false;
	struct dirent *ent;
	size_t len = strlen(dir);
	char *path;
	DIR *d = opendir(dir);

	if (!d && errno != ENOENT)
		file_error(errors, dir, strerror(errno));
	while (d && (ent = readdir(d))) {
		if (!is_json(ent->d_name))
			continue;
		path = must_format("%s/%s", dir, ent->d_name);
		seen |= extra && !strcmp(path, extra);
		add_path(&p, path);
	}
	if (d)
		closedir(d);
	if (extra && !seen && !strncmp(extra, dir, len) && extra[len] == '/' &&
	    !strchr(extra + len + 1, '/'))
		add_path(&p, must_dup(extra));
	if (p.nr)
		qsort(p.v, p.nr, sizeof(*p.v), by_name);
	return p;
}

static void add_file(struct policy *policy, const char *path,
		     struct policy_errors *errors)
{
	size_t len;
	char *text;
	int rc = read_file(path, POLICY_FILE_MAX, &text, &len);

	if (rc) {
		file_error(errors, path, strerror(-rc));
		return;
	}
	policy_add(policy, path, text, len, errors);
	free(text);
}

static void add_dir(struct policy *policy, const char *dir, const char *file,
		    const char *text, struct policy_errors *errors)
{
	struct paths p = list(dir, file, errors);
	size_t i;

	for (i = 0; i < p.nr; i++) {
		if (!file || strcmp(p.v[i], file))
			add_file(policy, p.v[i], errors);
		else if (text)
			policy_add(policy, file, text, strlen(text), errors);
		free(p.v[i]);
	}
	free(p.v);
}

static struct policy *load(struct policy *policy, const char *dir,
			   const char *file, const char *text,
			   struct policy_errors *errors)
{
	char *dropins = must_format("%s/iommud.d", dir);

	add_dir(policy, dir, file, text, errors);
	add_dir(policy, dropins, file, text, errors);
	free(dropins);
	if (!errors->nr)
		policy_finish(policy, errors);
	return errors->nr ? policy_free(policy) : policy;
}

struct policy *policy_load(const char *dir, const char *file, const char *text,
			   struct policy_errors *errors)
{
	return load(policy_new(), dir, file, text, errors);
}

struct policy *policy_load_rules(const char *dir, struct policy_errors *errors)
{
	struct policy *policy = policy_new();

	policy->nameless = true;
	return load(policy, dir, NULL, NULL, errors);
}
