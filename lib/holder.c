// SPDX-License-Identifier: LGPL-2.1-only
/* Which processes have a node open, and their files. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "private.h"

struct found {
	struct iommu_holder *v;
	size_t nr;
};

static bool same_node(const struct stat *a, const struct stat *b)
{
	if (S_ISCHR(a->st_mode) && S_ISCHR(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

void sys_printable(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

static int add(struct found *f, pid_t pid, int fd)
{
	struct iommu_holder *more, *h;
	char path[64];
	size_t len;
	FILE *comm;

	more = reallocarray(f->v, f->nr + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	f->v = more;
	h = &f->v[f->nr++];
	*h = (struct iommu_holder){ .pid = pid, .fd = fd };
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	comm = fopen(path, "re");
	if (comm) {
		len = fread(h->comm, 1, sizeof(h->comm) - 1, comm);
		/* The last newline is the kernel's. */
		h->comm[len ? len - 1 : 0] = 0;
		sys_printable(h->comm);
		fclose(comm);
	}
	return 0;
}

static int scan(struct found *f, pid_t pid, const struct stat *node)
{
	char path[300];
	struct dirent *ent;
	struct stat st;
	int rc = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!rc && (ent = readdir(dir))) {
		if (!isdigit((unsigned char)ent->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid,
			 ent->d_name);
		if (!stat(path, &st) && same_node(&st, node))
			rc = add(f, pid, atoi(ent->d_name));
	}
	closedir(dir);
	return rc;
}

int iommu_holders(struct iommu_sys *sys, const char *path, pid_t pid,
		  struct iommu_holder **ret, size_t *ret_nr,
		  size_t *ret_hidden)
{
	struct found f = { 0 };
	char node[PATH_MAX];
	struct dirent *ent;
	size_t hidden = 0;
	struct stat st;
	int rc;
	DIR *dir;

	*ret = NULL;
	*ret_nr = 0;
	rc = sys_format(sys, node, "%s", path);
	if (rc)
		return rc;
	if (stat(node, &st))
		return -errno;
	if (pid) {
		rc = scan(&f, pid, &st);
		goto out;
	}
	dir = opendir("/proc");
	if (!dir)
		return -errno;
	while ((ent = readdir(dir))) {
		if (!isdigit((unsigned char)ent->d_name[0]))
			continue;
		rc = scan(&f, atoi(ent->d_name), &st);
		hidden += rc == -EACCES || rc == -EPERM;
		if (rc == -ENOMEM)
			break;
		rc = 0;		/* a process that ends is no failure */
	}
	closedir(dir);
out:
	if (rc) {
		free(f.v);
		return rc;
	}
	*ret = f.v;
	*ret_nr = f.nr;
	if (ret_hidden)
		*ret_hidden = hidden;
	return 0;
}

int iommu_holder_fd(const struct iommu_holder *holder)
{
	int fd, pidfd = syscall(SYS_pidfd_open, holder->pid, 0);

	if (pidfd < 0)
		return -errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, holder->fd, 0);
	if (fd < 0)
		fd = -errno;
	close(pidfd);
	return fd;
}

bool sys_holder(struct iommu_sys *sys, const struct iommu_sys_device *dev,
		struct iommu_holder *ret, char *node, size_t len)
{
	struct iommu_holder *holders = NULL;
	bool found = false;
	size_t nr, i;

	for (i = 0; i < 2 && !found; i++) {
		/* VFIO's legacy interface has a file for each group. */
		if (i ? dev->group < 0 : !dev->node)
			continue;
		if (i)
			snprintf(node, len, "/dev/vfio/%ld", dev->group);
		else
			snprintf(node, len, "%s", dev->node);
		if (iommu_holders(sys, node, 0, &holders, &nr, NULL))
			continue;
		found = nr;
		if (found)
			*ret = holders[0];
		free(holders);
	}
	return found;
}
