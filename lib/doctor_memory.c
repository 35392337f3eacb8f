// SPDX-License-Identifier: LGPL-2.1-only
/* Is there as much memory as is to be mapped, and may it be locked? */
#include <inttypes.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "private.h"

#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB"
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define HUGE_SHIFT 21

static void size_text(__u64 size, char *buf, size_t len)
{
	static const char units[] = "KMGTPE";
	int unit = -1;

	while (size && !(size & 1023)) {
		size >>= 10;
		unit++;
	}
	snprintf(buf, len, unit < 0 ? "%" PRIu64 " bytes" : "%" PRIu64 "%c",
		 (uint64_t)size, unit < 0 ? 0 : units[unit]);
}

static bool may_lock_all(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	/* The kernel asks for it in the first user namespace, as we do. */
	return !syscall(SYS_capget, &head, data) &&
	       data[CAP_IPC_LOCK / 32].effective & 1U << CAP_IPC_LOCK % 32;
}

/* The systemd unit of this process that is a service, or "". */
static void service(const struct doctor *d, char *ret, size_t len)
{
	char line[512], *slash, *unit = NULL, *p;

	ret[0] = 0;
	if (sys_read(d->sys, line, sizeof(line), "/proc/self/cgroup"))
		return;
	/* With cgroup v1 there are several lines, and systemd's is one. */
	p = strstr(line, "name=systemd:");
	if (!p)
		p = strstr(line, "0::");
	if (!p)
		return;
	p[strcspn(p, "\n")] = 0;
	while ((slash = strrchr(p, '/'))) {
		if (strlen(slash) > 8 &&
		    !strcmp(slash + strlen(slash) - 8, ".service")) {
			unit = slash + 1;
			break;
		}
		*slash = 0;
	}
	/* user@1000.service starts what the user logs in with. */
	if (unit)
		doctor_say(ret, len, "%s", unit);
}

/* Does a file of limits.conf(5) say something of memlock? */
static bool says_memlock(const struct doctor *d, const char *path)
{
	char real[PATH_MAX], line[256], item[32];
	bool found = false;
	FILE *f;

	if (sys_format(d->sys, real, "%s", path))
		return false;
	f = fopen(real, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = line[0] != '#' &&
			sscanf(line, "%*s %*s %31s", item) == 1 &&
			!strcmp(item, "memlock");
	if (f)
		fclose(f);
	return found;
}

/* The last file that sets it is the one that counts. */
static bool limits_file(const struct doctor *d, char *ret, size_t len)
{
	static const char main_file[] = "/etc/security/limits.conf";
	bool found = says_memlock(d, main_file);
	char path[PATH_MAX], **names;
	size_t nr, i;

	if (found)
		doctor_say(ret, len, "%s", main_file);
	if (sys_names(d->sys, &names, &nr, "/etc/security/limits.d"))
		return found;
	for (i = 0; i < nr; i++) {
		doctor_say(path, sizeof(path), "/etc/security/limits.d/%s",
			   names[i]);
		if (says_memlock(d, path)) {
			doctor_say(ret, len, "%s", path);
			found = true;
		}
	}
	sys_names_free(names, nr);
	return found;
}

static void too_low(struct doctor *d, const struct rlimit *r, __u64 need)
{
	char limit[32], hard[32], size[32], unit[128], file[128];
	uint64_t kib = (need >> 10) + !!(need & 1023);
	struct passwd *user = getpwuid(getuid());
	struct iommu_finding *f;

	size_text(r->rlim_cur, limit, sizeof(limit));
	size_text(r->rlim_max, hard, sizeof(hard));
	size_text(need, size, sizeof(size));
	service(d, unit, sizeof(unit));
	f = doctor_add(d, IOMMU_FINDING_PROBLEM, "memlock", "RLIMIT_MEMLOCK");
	SAY(f, rule, "%s are to be mapped and stay in memory; each address "
	    "space counts what it maps", size);
	if (r->rlim_max == RLIM_INFINITY || r->rlim_max >= need) {
		SAY(f, value, "%s, which this shell may raise", limit);
		SAY(f, remedy, "ulimit -l %" PRIu64, kib);
	} else if (unit[0] && strncmp(unit, "user@", 5)) {
		SAY(f, value, "%s, hard limit %s, set by LimitMEMLOCK of %s",
		    limit, hard, unit);
		SAY(f, remedy, "systemctl edit %s  # [Service] LimitMEMLOCK=%"
		    PRIu64 "K, then restart it", unit, kib);
	} else {
		bool found = limits_file(d, file, sizeof(file));

		SAY(f, value, "%s, hard limit %s, %s%s", limit, hard,
		    found ? "set by " : "which systemd sets for logins",
		    found ? file : "");
		if (!found)
			doctor_say(file, sizeof(file),
				   "/etc/security/limits.d/99-iommu.conf");
		SAY(f, remedy, "echo '%s - memlock %" PRIu64 "' >>%s  # as "
		    "root; then log in again",
		    user ? user->pw_name : "*", kib, file);
	}
}

static void check_memlock(struct doctor *d)
{
	struct iommu_finding *f;
	char limit[32];
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r))
		return;
	if (!may_lock_all() && r.rlim_cur != RLIM_INFINITY &&
	    d->want->size > r.rlim_cur) {
		too_low(d, &r, d->want->size);
		return;
	}
	f = doctor_add(d, IOMMU_FINDING_OK, "memlock", "RLIMIT_MEMLOCK");
	size_text(r.rlim_cur, limit, sizeof(limit));
	if (may_lock_all())
		SAY(f, value, "does not count: this process has CAP_IPC_LOCK");
	else
		SAY(f, value, "%s", r.rlim_cur == RLIM_INFINITY ? "unlimited" :
								  limit);
}

static __u64 read_number(const struct doctor *d, const char *path)
{
	char buf[32];

	return sys_read(d->sys, buf, sizeof(buf), "%s", path) ?
	       IOMMU_SYS_UNKNOWN : strtoull(buf, NULL, 10);
}

static void check_huge(struct doctor *d)
{
	__u64 free_pages = read_number(d, HUGEPAGES "/free_hugepages");
	__u64 need = (d->want->size >> HUGE_SHIFT) +
		     !!(d->want->size & ((1 << HUGE_SHIFT) - 1));
	__u64 page = sysconf(_SC_PAGESIZE);
	enum iommu_finding_level level;
	struct iommu_finding *f;
	char thp[80] = "";
	bool never;

	sys_read(d->sys, thp, sizeof(thp), THP);
	never = strstr(thp, "[never]") || !thp[0];
	if (free_pages == IOMMU_SYS_UNKNOWN) {
		if (!thp[0])
			return;
		free_pages = 0;
	}
	level = !never || (free_pages && free_pages >= need) ?
			IOMMU_FINDING_OK :
		d->granule > page ? IOMMU_FINDING_PROBLEM : IOMMU_FINDING_NOTE;
	f = doctor_add(d, level, "hugepages", "huge pages");
	SAY(f, value, "%" PRIu64 " of 2M free, transparent ones %s",
	    (uint64_t)free_pages, never ? "never" :
	    strstr(thp, "[always]") ? "always" : "where advised");
	if (level == IOMMU_FINDING_OK)
		return;
	SAY(f, rule, "%s", level == IOMMU_FINDING_PROBLEM ?
	    "memory for this IOMMU has to be contiguous in its pages, and "
	    "plain memory seldom is" :
	    "mapping is faster with them, and the IOMMU's tables smaller");
	if (need)
		SAY(f, remedy, "echo %" PRIu64 " >/proc/sys/vm/nr_hugepages",
		    (uint64_t)need);
	else
		SAY(f, remedy, "echo madvise >" THP);
}

/* What of MemTotal a machine can give away is for its owner to say. */
static void check_total(struct doctor *d)
{
	char buf[4096], size[32], *p;
	struct iommu_finding *f;
	uint64_t total;

	if (!d->want->size ||
	    sys_read(d->sys, buf, sizeof(buf), "/proc/meminfo"))
		return;
	p = strstr(buf, "MemTotal:");
	if (!p || sscanf(p, "MemTotal: %" SCNu64, &total) != 1 ||
	    d->want->size >> 10 <= total)
		return;
	size_text(d->want->size, size, sizeof(size));
	f = doctor_add(d, IOMMU_FINDING_PROBLEM, "memory", "memory");
	SAY(f, value, "the machine has %" PRIu64 "M, and %s are to be mapped",
	    total >> 10, size);
	SAY(f, rule, "what a device may reach stays in memory");
	SAY(f, remedy, "iommuctl doctor --size %" PRIu64 "M  # map less",
	    total >> 11);
}

void doctor_memory(struct doctor *d)
{
	check_total(d);
	check_memlock(d);
	check_huge(d);
}
