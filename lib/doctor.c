// SPDX-License-Identifier: LGPL-2.1-only
/* What keeps this machine from giving devices to users, and the remedies. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"

#define TABLES "/sys/firmware/acpi/tables"
#define MODULE "/sys/module"

const char *iommu_finding_level_name(enum iommu_finding_level level)
{
	static const char *const names[] = { "ok", "note", "problem" };

	return (unsigned int)level < ARRAY_LEN(names) ? names[level] :
							"unknown";
}

void doctor_say(char *text, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, len, fmt, ap);
	va_end(ap);
}

struct iommu_finding *doctor_add(struct doctor *d,
				 enum iommu_finding_level level,
				 const char *check, const char *fmt, ...)
{
	struct iommu_finding *more, *f = &d->spare;
	va_list ap;

	more = reallocarray(d->findings, d->nr + 1, sizeof(*more));
	if (more) {
		d->findings = more;
		f = &more[d->nr++];
	} else {
		d->failed = true;
	}
	*f = (struct iommu_finding){ .level = level, .check = check };
	va_start(ap, fmt);
	vsnprintf(f->object, sizeof(f->object), fmt, ap);
	va_end(ap);
	return f;
}

bool doctor_cmdline(const struct doctor *d, const char *word)
{
	const char *p = d->cmdline;
	size_t len = strlen(word);

	while ((p = strstr(p, word))) {
		if (p[-1] == ' ' && p[len] == ' ')
			return true;
		p += len;
	}
	return false;
}

static void read_kernel(struct doctor *d)
{
	char line[sizeof(d->cmdline) - 3];
	char *p;

	if (sys_read(d->sys, d->release, sizeof(d->release),
		     "/proc/sys/kernel/osrelease"))
		strcpy(d->release, "$(uname -r)");
	if (sys_read(d->sys, line, sizeof(line), "/proc/cmdline"))
		line[0] = 0;
	for (p = line; (p = strchr(p, '\t')); p++)
		*p = ' ';
	snprintf(d->cmdline, sizeof(d->cmdline), " %s ", line);
}

/* The firmware's tables that describe an IOMMU, one for each kind. */
static const struct table {
	const char *name;
	const char *off;	/* what switches it off on the command line */
	const char *on;		/* what switches it on, where it is off */
	const char *module;	/* what has to be loaded for it */
} tables[] = {
	{ "DMAR", "intel_iommu=off", "intel_iommu=on", NULL },
	{ "IVRS", "amd_iommu=off", "amd_iommu=on", NULL },
	{ "VIOT", NULL, NULL, "granule-virtio-iommu" },
	{ "IORT", NULL, NULL, NULL },
};

static const struct table *find_table(const struct doctor *d)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(tables); i++) {
		if (sys_exists(d->sys, TABLES "/%s", tables[i].name))
			return &tables[i];
	}
	return NULL;
}

static void no_table(struct doctor *d)
{
	struct iommu_finding *f = doctor_add(d, IOMMU_FINDING_PROBLEM, "iommu",
					     "IOMMU");
	char vendor[64];

	SAY(f, value, "none: the firmware has no table of one (DMAR, IVRS, "
	    "VIOT or IORT)");
	SAY(f, rule, "a device can be given away only behind an IOMMU that the "
	    "firmware tells the kernel of");
	if (!sys_read(d->sys, vendor, sizeof(vendor),
		      "/sys/class/dmi/id/sys_vendor") &&
	    !strncmp(vendor, "QEMU", 4))
		SAY(f, remedy, "qemu-system-x86_64 -M q35 -device intel-iommu,"
		    "intremap=on ...  # start this virtual machine so");
	else
		SAY(f, remedy, "systemctl reboot --firmware-setup  # switch on "
		    "VT-d, AMD-Vi or SMMU there; a machine without has none");
}

/* The kernel knows of an IOMMU and does not use it. */
static void switched_off(struct doctor *d, const struct table *t)
{
	const char *off = t->off && doctor_cmdline(d, t->off) ? t->off :
			  doctor_cmdline(d, "iommu=off") ? "iommu=off" : NULL;
	struct iommu_finding *f = doctor_add(d, IOMMU_FINDING_PROBLEM, "iommu",
					     "IOMMU");

	if (off) {
		SAY(f, value, "off: the firmware has a table %s, and the "
		    "kernel's command line says %s", t->name, off);
		SAY(f, rule, "the IOMMU has to be on for devices to be in "
		    "groups");
		SAY(f, remedy, "sed -i 's/ *\\b%s\\b//' /etc/default/grub && "
		    "update-grub && reboot", off);
	} else if (t->module) {
		SAY(f, value, "off: the firmware has a table %s, and no driver "
		    "of its IOMMU is loaded", t->name);
		SAY(f, rule, "the IOMMU's driver has to be there before those "
		    "of the devices behind it");
		SAY(f, remedy, "modprobe %s", t->module);
	} else {
		SAY(f, value, "off: the firmware has a table %s, and no device "
		    "is in a group", t->name);
		SAY(f, rule, "the kernel switches the IOMMU on when it is built "
		    "or told to");
		SAY(f, remedy, "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&%s /' "
		    "/etc/default/grub && update-grub && reboot",
		    t->on ? t->on : "iommu.passthrough=0");
	}
}

static void check_iommu(struct doctor *d)
{
	char **iommus = NULL, **groups = NULL;
	size_t nr = 0, nr_groups = 0;
	const struct table *t = find_table(d);
	struct iommu_finding *f;

	sys_names(d->sys, &iommus, &nr, "/sys/class/iommu");
	sys_names(d->sys, &groups, &nr_groups, GROUPS);
	d->no_iommu = !nr && !nr_groups;
	if (!d->no_iommu) {
		f = doctor_add(d, IOMMU_FINDING_OK, "iommu", "IOMMU");
		SAY(f, value, "on: %s%s, %zu groups", nr ? iommus[0] : "",
		    nr > 1 ? " and others" : "", nr_groups);
	} else if (t) {
		switched_off(d, t);
	} else {
		no_table(d);
	}
	sys_names_free(iommus, nr);
	sys_names_free(groups, nr_groups);
}

static bool is_yes(const struct doctor *d, const char *path)
{
	char text[16];

	return !sys_read(d->sys, text, sizeof(text), "%s", path) &&
	       (text[0] == 'Y' || text[0] == '1');
}

static void unsafe(struct doctor *d, enum iommu_finding_level level,
		   const char *object, const char *value, const char *rule,
		   const char *path)
{
	struct iommu_finding *f = doctor_add(d, level, "unsafe", "%s", object);

	SAY(f, value, "%s", value);
	SAY(f, rule, "%s", rule);
	SAY(f, remedy, "echo N >%s", path);
}

/* What somebody has switched off for a test, and left so. */
static void check_unsafe(struct doctor *d)
{
	static const char *const interrupts[][2] = {
		{ "granule", MODULE "/granule/parameters/"
		  "allow_unsafe_interrupts" },
		{ "iommufd", MODULE "/iommufd/parameters/"
		  "allow_unsafe_interrupts" },
		{ "vfio_iommu_type1", MODULE "/vfio_iommu_type1/parameters/"
		  "allow_unsafe_interrupts" },
	};
	static const char noiommu[] =
		MODULE "/vfio/parameters/enable_unsafe_noiommu_mode";
	size_t i;

	for (i = 0; i < ARRAY_LEN(interrupts); i++) {
		if (is_yes(d, interrupts[i][1]))
			unsafe(d, IOMMU_FINDING_NOTE, interrupts[i][0],
			       "allow_unsafe_interrupts is on", "a device may "
			       "send interrupts as if another had; users of "
			       "devices have to be trusted",
			       interrupts[i][1]);
	}
	if (is_yes(d, noiommu))
		unsafe(d, IOMMU_FINDING_PROBLEM, "vfio",
		       "enable_unsafe_noiommu_mode is on", "a device without "
		       "an IOMMU reaches all memory; no user may have one",
		       noiommu);
	if (doctor_cmdline(d, "intremap=off")) {
		struct iommu_finding *f = doctor_add(d, IOMMU_FINDING_PROBLEM,
						     "unsafe", "interrupts");

		SAY(f, value, "intremap=off is on the kernel's command line");
		SAY(f, rule, "without interrupt remapping a device can send "
		    "any interrupt, and is refused to users");
		SAY(f, remedy, "sed -i 's/ *\\bintremap=off\\b//' "
		    "/etc/default/grub && update-grub && reboot");
	}
}

/* Does a list of files of the kernel's modules have NAME.ko? */
static bool in_list(const struct doctor *d, const char *list, const char *name)
{
	char path[PATH_MAX], line[4096], file[64];
	bool found = false;
	char *p;
	FILE *f;

	if (sys_format(d->sys, path, "/lib/modules/%s/%s", d->release, list))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	snprintf(file, sizeof(file), "/%s.ko", name);
	while (!found && fgets(line, sizeof(line), f)) {
		/* "path/name.ko.xz: what it depends on" */
		line[strcspn(line, ":\n")] = 0;
		p = strrchr(line, '/');
		found = p && !strncmp(p, file, strlen(file));
	}
	fclose(f);
	return found;
}

static bool loaded(const struct doctor *d, const char *module)
{
	return sys_exists(d->sys, MODULE "/%s", module);
}

/* @name is the module's file, @module what it is called in sysfs. */
static void check_module(struct doctor *d, const char *name,
			 const char *module, const char *rule)
{
	bool ours = !strncmp(name, "granule", 7);
	struct iommu_finding *f;

	if (loaded(d, module)) {
		f = doctor_add(d, IOMMU_FINDING_OK, "module", "%s", name);
		SAY(f, value, "loaded");
	} else if (in_list(d, "modules.builtin", name)) {
		f = doctor_add(d, IOMMU_FINDING_OK, "module", "%s", name);
		SAY(f, value, "built into the kernel");
	} else if (in_list(d, "modules.dep", name)) {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "module", "%s", name);
		SAY(f, value, "installed for %s, not loaded", d->release);
		SAY(f, rule, "%s", rule);
		SAY(f, remedy, "modprobe %s", name);
	} else {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "module", "%s", name);
		SAY(f, value, "not loaded, and not installed for %s",
		    d->release);
		SAY(f, rule, "%s", rule);
		if (ours)
			SAY(f, remedy, "tools/kbuild /lib/modules/%s/build out "
			    "&& insmod out/%s.ko  # in Granule's source",
			    d->release, name);
		else
			SAY(f, remedy, "modprobe %s  # of a kernel with "
			    "CONFIG_VFIO_PCI", name);
	}
}

/* Will the kernel load a module that its builder has not signed? */
static void check_signature(struct doctor *d)
{
	static const char efi[] = "/sys/firmware/efi/efivars/SecureBoot-"
				  "8be4df61-93ca-11d2-aa0d-00e098032b8c";
	char lockdown[80] = "", efivar[16] = "";
	const char *by = NULL;
	struct iommu_finding *f;

	sys_read(d->sys, lockdown, sizeof(lockdown),
		 "/sys/kernel/security/lockdown");
	sys_read(d->sys, efivar, sizeof(efivar), efi);
	if (strstr(lockdown, "[integrity]") ||
	    strstr(lockdown, "[confidentiality]"))
		by = "the kernel is locked down";
	else if (is_yes(d, MODULE "/module/parameters/sig_enforce"))
		by = "module.sig_enforce is on";
	if (!by) {
		f = doctor_add(d, IOMMU_FINDING_OK, "signature",
			       "module signatures");
		SAY(f, value, "not asked for%s", efivar[4] == 1 ?
		    ", though Secure Boot is on" : "");
		return;
	}
	f = doctor_add(d, IOMMU_FINDING_PROBLEM, "signature",
		       "module signatures");
	SAY(f, value, "asked for: %s", by);
	SAY(f, rule, "Granule's modules have to be signed with a key that the "
	    "machine's owner has enrolled");
	SAY(f, remedy, "mokutil --import MOK.der && /lib/modules/%s/build/"
	    "scripts/sign-file sha256 MOK.priv MOK.der granule.ko  # and "
	    "granule-vfio.ko, then reboot", d->release);
}

static void check_modules(struct doctor *d)
{
	bool granule = loaded(d, "granule");
	struct iommu_finding *f;

	if (!granule && (loaded(d, "iommufd") ||
			 in_list(d, "modules.builtin", "iommufd"))) {
		f = doctor_add(d, IOMMU_FINDING_OK, "module", "iommufd");
		SAY(f, value, "this kernel has a /dev/iommu of its own");
		SAY(f, rule, "Granule is not needed; page sizes before the "
		    "attach, reasons of failures and 'maps' are not known");
	} else if (!granule && in_list(d, "modules.dep", "iommufd")) {
		check_module(d, "iommufd", "iommufd", "this kernel has a "
			     "/dev/iommu of its own, as a module");
	} else {
		check_module(d, "granule", "granule", "it is /dev/iommu, which "
			     "this kernel does not have");
		if (!granule)
			check_signature(d);
	}
	if (sys_exists(d->sys, "/sys/bus/pci/drivers/vfio-pci")) {
		f = doctor_add(d, IOMMU_FINDING_OK, "module", "vfio-pci");
		SAY(f, value, "loaded");
	} else {
		check_module(d, "vfio-pci", "vfio_pci", "it is the driver that "
			     "devices have while users have them");
	}
	if (granule)
		check_module(d, "granule-vfio", "granule_vfio", "it makes the "
			     "nodes in /dev/vfio/devices");
}

/* The name of @gid, or its number, in @buf. */
static const char *group_name(gid_t gid, char *buf, size_t len)
{
	struct group *g = getgrgid(gid);

	snprintf(buf, len, "%u", (unsigned int)gid);
	return g ? g->gr_name : buf;
}

static const char *user_name(uid_t uid, char *buf, size_t len)
{
	struct passwd *p = getpwuid(uid);

	snprintf(buf, len, "%u", (unsigned int)uid);
	return p ? p->pw_name : buf;
}

static bool daemon_runs(struct doctor *d)
{
	struct iommu_client *client;
	struct iommu_why why;

	if (iommu_client_open(secure_getenv("IOMMUD_SOCKET") ? NULL :
			      iommu_sys_path(d->sys, "/run/iommud/iommud.sock"),
			      &client, &why))
		return false;
	iommu_client_close(client);
	return true;
}

void doctor_node(struct doctor *d, const char *node)
{
	char path[PATH_MAX], owner[64], group[64], me[64];
	struct iommu_finding *f;
	struct stat st;
	const char *by;

	if (sys_format(d->sys, path, "%s", node) || stat(path, &st)) {
		f = doctor_add(d, IOMMU_FINDING_PROBLEM, "node", "%s", node);
		SAY(f, value, "is not there");
		SAY(f, rule, "programs open it");
		SAY(f, remedy, "udevadm trigger --subsystem-match=misc && "
		    "udevadm settle  # if the module is loaded");
		return;
	}
	/* The process's real rights, capabilities included. */
	if (!faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS)) {
		f = doctor_add(d, IOMMU_FINDING_OK, "node", "%s", node);
		SAY(f, value, "can be opened by this user");
		return;
	}
	by = group_name(st.st_gid, group, sizeof(group));
	f = doctor_add(d, daemon_runs(d) ? IOMMU_FINDING_NOTE :
					   IOMMU_FINDING_PROBLEM,
		       "node", "%s", node);
	SAY(f, value, "is %s:%s %04o, and %s may not open it",
	    user_name(st.st_uid, owner, sizeof(owner)), by,
	    (unsigned int)(st.st_mode & 07777),
	    user_name(geteuid(), me, sizeof(me)));
	SAY(f, rule, "it is opened by root and its group; iommud(8) hands "
	    "devices to users that its policy names");
	if (f->level == IOMMU_FINDING_NOTE)
		SAY(f, remedy, "iommuctl run DEVICE -- COMMAND");
	else if ((st.st_mode & 0060) == 0060 && st.st_gid)
		SAY(f, remedy, "usermod -aG %s %s  # as root; then log in "
		    "again", by, user_name(geteuid(), me, sizeof(me)));
	else
		SAY(f, remedy, "systemctl enable --now iommud.socket  # as "
		    "root; its udev rules give nodes to group iommu");
}

static void check_daemon(struct doctor *d)
{
	bool runs = daemon_runs(d);
	struct iommu_finding *f;

	f = doctor_add(d, runs ? IOMMU_FINDING_OK : IOMMU_FINDING_NOTE,
		       "daemon", "iommud");
	if (runs) {
		SAY(f, value, "runs");
		return;
	}
	SAY(f, value, "does not answer on /run/iommud/iommud.sock");
	SAY(f, rule, "policies, unprivileged users and named address spaces "
	    "are its work; the rest goes without it");
	SAY(f, remedy, "systemctl enable --now iommud.socket");
}

int iommu_doctor(struct iommu_sys *sys, const struct iommu_doctor_want *want,
		 struct iommu_finding **ret, size_t *ret_nr)
{
	struct doctor d = { .sys = sys, .want = want };
	size_t i;

	*ret = NULL;
	*ret_nr = 0;
	read_kernel(&d);
	check_iommu(&d);
	check_unsafe(&d);
	check_modules(&d);
	if (loaded(&d, "granule") || sys_exists(sys, "/dev/iommu"))
		doctor_node(&d, "/dev/iommu");
	check_daemon(&d);
	for (i = 0; i < want->nr; i++)
		doctor_device(&d, want->devices[i]);
	doctor_memory(&d);
	if (d.failed) {
		free(d.findings);
		return -ENOMEM;
	}
	*ret = d.findings;
	*ret_nr = d.nr;
	return 0;
}
