/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the administrator wrote in /etc/iommud: iommud.conf(5).
 *
 * A policy is made whole from its texts, or not at all. Nothing in it changes
 * afterwards; a reload makes another one.
 */
#ifndef IOMMUD_POLICY_H
#define IOMMUD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct iommu_sys_device;
struct json_object;
struct peer;

/* Of one IOAS: what a message has room for, besides devices. */
#define POLICY_REGIONS_MAX 32
#define POLICY_FILE_MAX (1U << 20)

/* Who may use something, besides administrators. */
struct policy_owners {
	uid_t *users;
	size_t nr_users;
	gid_t *groups;
	size_t nr_groups;
};

/* Where a definition was read. */
struct policy_origin {
	char *file;
	int line;
	struct json_object *json;	/* the definition as it was written */
};

enum policy_start { START_MANUAL, START_BOOT };
enum policy_reset { RESET_ANY, RESET_REQUIRED };
enum policy_accounting { ACCOUNT_USER, ACCOUNT_PROCESS };

/* Devices that a rule is for. */
struct policy_device {
	char *name;
	struct policy_origin origin;
	struct policy_owners owners;
	char *address;		/* NULL: any */
	int64_t vendor, device, class;	/* -1: any */
	char *driver;
	char *ioas;		/* named IOAS to attach to; NULL: its own */
	enum policy_start start;
	enum policy_accounting accounting;
	enum policy_reset reset;
};

struct policy_region {
	char *name;
	uint64_t size;
	uint64_t iova;
	uint64_t huge_pages;	/* their size; 0: ordinary pages */
	bool read, write;	/* of the device */
};

/* An IOAS that the daemon keeps, with memory in it. */
struct policy_ioas {
	char *name;
	struct policy_origin origin;
	struct policy_owners owners;
	struct policy_region *regions;
	size_t nr_regions;
};

/* What one user may have; UINT64_MAX: any amount. */
struct policy_limit {
	char *name;		/* of the user; "*": of all others */
	struct policy_origin origin;
	uid_t uid;
	uint64_t devices;	/* leased at the same time */
	uint64_t memlock;	/* bytes, for its processes with a lease */
};

struct policy_settings {
	unsigned int connections;
	unsigned int connections_per_user;
	unsigned int timeout;	/* seconds */
};

struct policy {
	bool nameless;	/* users and groups are not looked up: owners unknown */
	struct policy_settings settings;
	struct policy_device *devices;
	size_t nr_devices;
	struct policy_ioas *ioases;
	size_t nr_ioases;
	struct policy_limit *limits;
	size_t nr_limits;
};

/* One thing that is wrong. */
struct policy_error {
	char *file;
	int line;
	char *key;	/* "devices.edu.match"; "" for the file */
	char *text;	/* a sentence */
};

struct policy_errors {
	struct policy_error *v;
	size_t nr;
};

void policy_errors_done(struct policy_errors *errors);

/* A policy without definitions, and with the default settings. */
struct policy *policy_new(void);
struct policy *policy_free(struct policy *policy);

/**
 * policy_add - read one text into a policy
 * @file: what errors and origins call it
 *
 * What it defines replaces what had the same name; null takes it away. Errors
 * are appended to @errors, and leave the policy fit only for policy_free().
 */
void policy_add(struct policy *policy, const char *file, const char *text,
		size_t len, struct policy_errors *errors);

/* When all texts are in: does what they name exist? */
void policy_finish(struct policy *policy, struct policy_errors *errors);

/**
 * policy_load - the files of a directory
 * @dir: *.json in it, then *.json in its iommud.d, each sorted by name; a
 *	directory that is missing is empty
 * @file: is or would be one of these files, with @text in it (NULL: no such
 *	file), whatever is there; NULL for none
 *
 * Return: NULL when there are errors; they name everything that is wrong.
 */
struct policy *policy_load(const char *dir, const char *file, const char *text,
			   struct policy_errors *errors);

/**
 * policy_load_rules - the same, only to know which driver a device is to get
 *
 * Users and groups are not looked up: early in a boot, those of a directory
 * service are not known yet. Nobody owns anything by such a policy.
 */
struct policy *policy_load_rules(const char *dir, struct policy_errors *errors);

/* The rule for a device: one that names its address goes first. */
const struct policy_device *
policy_for_device(const struct policy *policy,
		  const struct iommu_sys_device *dev);

const struct policy_device *policy_find_device(const struct policy *policy,
					       const char *name);
const struct policy_ioas *policy_find_ioas(const struct policy *policy,
					   const char *name);
/* Never NULL: "*", or no limit at all. */
const struct policy_limit *policy_limit_of(const struct policy *policy,
					   uid_t uid);

bool policy_is_owner(const struct policy_owners *owners,
		     const struct peer *peer);

#endif
