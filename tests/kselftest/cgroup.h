/* SPDX-License-Identifier: GPL-2.0-only */
/* A memory control group of the test's own. */
#ifndef KSELFTEST_CGROUP_H
#define KSELFTEST_CGROUP_H

#include <sys/mount.h>

#include "utils.h"

#define CGROUP_TOP "/tmp/granule-cgroup"
#define CGROUP CGROUP_TOP "/granule"

/* NULL, or why there can be none. */
static inline const char *cgroup_begin(void)
{
	mkdir(CGROUP_TOP, 0700);
	if (mount("cgroup", CGROUP_TOP, "cgroup2", 0, NULL))
		return "no cgroup2";
	if (!file_put(CGROUP_TOP "/cgroup.subtree_control", "+memory") &&
	    !mkdir(CGROUP, 0700))
		return NULL;
	umount(CGROUP_TOP);
	return "no memory controller in cgroup2";
}

static inline void cgroup_end(void)
{
	rmdir(CGROUP);
	umount(CGROUP_TOP);
}

/* In a child: from here on it is charged. */
static inline int cgroup_enter(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return file_put(CGROUP "/cgroup.procs", pid);
}

/* A value of memory.stat; -1 if absent. */
static inline long long cgroup_stat(const char *name)
{
	long long v, found = -1;
	char key[64];
	FILE *f;

	f = fopen(CGROUP "/memory.stat", "re");
	if (!f)
		return -1;
	while (fscanf(f, "%63s %lld", key, &v) == 2)
		if (!strcmp(key, name))
			found = v;
	fclose(f);
	return found;
}

#endif
