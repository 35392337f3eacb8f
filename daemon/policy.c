// SPDX-License-Identifier: GPL-2.0-only
/* The definitions of a policy. Every rule about their text is in a table. */
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "libiommu.h"
#include "message.h"
#include "peer.h"
#include "policy.h"
#include "policy_read.h"
#include "util.h"

/* ---- What all of them have ---- */

static void origin_set(struct reader *r, const char *path,
		       struct json_object *value, struct policy_origin *ret)
{
	ret->file = must_dup(r->file);
	ret->line = where_line(r->where, path);
	ret->json = json_object_get(value);
}

static void origin_done(struct policy_origin *origin)
{
	free(origin->file);
	json_object_put(origin->json);
}

static void owners_done(struct policy_owners *owners)
{
	free(owners->users);
	free(owners->groups);
}

/*
 * Of @nr definitions in an array, @old goes and @one comes, which are NULL
 * where there is none. Returns the array.
 */
static void *replace(void *array, size_t *nr, size_t size, const void *old,
		     const void *one, void (*done)(void *definition))
{
	size_t at = old ? (size_t)((const char *)old - (char *)array) : 0;
	char *p = (char *)array + at;

	if (old) {
		done(p);
		memmove(p, p + size, --*nr * size - at);
	}
	if (!one)
		return array;
	array = must_grow(array, *nr + 1, size);
	memcpy((char *)array + (*nr)++ * size, one, size);
	return array;
}

/* ---- Devices ---- */

static const struct field match_fields[] = {
	{ "address", read_address, AT(policy_device, address) },
	{ "vendor", read_hex, AT(policy_device, vendor), .max = 0xffff },
	{ "device", read_hex, AT(policy_device, device), .max = 0xffff },
	{ "class", read_hex, AT(policy_device, class), .max = 0xffffff },
	{ 0 }
};

static void read_match(struct reader *r, const char *path,
		       struct json_object *value, const struct field *field,
		       void *target)
{
	struct policy_device *dev = target;

	read_object(r, path, value, field, target);
	/* An object that matches everything is a mistake. */
	if (json_object_is_type(value, json_type_object) &&
	    !json_object_object_length(value))
		bad(r, path, "matches every device; give an address, or vendor "
		    "and device");
	else if (dev->device >= 0 && dev->vendor < 0)
		bad(r, path, "'device' means nothing without 'vendor'");
}

static const struct field device_fields[] = {
	{ "match", read_match, 0, true, .fields = match_fields },
	{ "driver", read_name, AT(policy_device, driver) },
	{ "start", read_choice, AT(policy_device, start),
	  .choices = "manual boot" },
	{ "users", read_owners, AT(policy_device, owners), .max = 0 },
	{ "groups", read_owners, AT(policy_device, owners), .max = 1 },
	{ "ioas", read_name, AT(policy_device, ioas) },
	{ "accounting", read_choice, AT(policy_device, accounting),
	  .choices = "user process" },
	{ "reset", read_choice, AT(policy_device, reset),
	  .choices = "any required" },
	{ 0 }
};

static void device_done(void *definition)
{
	struct policy_device *dev = definition;

	origin_done(&dev->origin);
	owners_done(&dev->owners);
	free(dev->name);
	free(dev->address);
	free(dev->driver);
	free(dev->ioas);
}

static void read_device(struct reader *r, const char *path, const char *name,
			struct json_object *value, void *target)
{
	struct policy_device dev = { .vendor = -1, .device = -1, .class = -1 };
	struct policy *p = r->policy;

	(void)target;
	if (value) {
		dev.name = must_dup(name);
		dev.driver = must_dup("vfio-pci");
		origin_set(r, path, value, &dev.origin);
		read_fields(r, path, value, device_fields, &dev);
	}
	p->devices = replace(p->devices, &p->nr_devices, sizeof(dev),
			     policy_find_device(p, name), value ? &dev : NULL,
			     device_done);
}

static void read_devices(struct reader *r, const char *path,
			 struct json_object *value, const struct field *field,
			 void *target)
{
	(void)field;
	read_map(r, path, value, read_device, false, target);
}

/* ---- IOASes ---- */

static void read_access(struct reader *r, const char *path,
			struct json_object *value, const struct field *field,
			void *target)
{
	struct policy_region *region = target;
	unsigned int choice = 2;

	read_choice(r, path, value, field, &choice);
	region->read = choice != 1;
	region->write = choice != 0;
}

static const struct field region_fields[] = {
	{ "size", read_size, AT(policy_region, size), true,
	  .min = 4096, .max = 1ULL << 46 },
	{ "iova", read_hex, AT(policy_region, iova), true,
	  .max = (1ULL << 62) - 1 },
	{ "access", read_access, 0, .choices = "read write read-write" },
	{ "huge_pages", read_size, AT(policy_region, huge_pages),
	  .min = 4096, .max = 1ULL << 40 },
	{ 0 }
};

static void read_region(struct reader *r, const char *path, const char *name,
			struct json_object *value, void *target)
{
	struct policy_ioas *ioas = target;
	struct policy_region region = { .read = true, .write = true }, *other;
	uint64_t page;
	size_t i;

	region.name = must_dup(name);
	read_fields(r, path, value, region_fields, &region);
	page = region.huge_pages ? region.huge_pages : 4096;
	if (page & (page - 1))
		bad(r, path, "huge pages of %llu bytes: not a power of two",
		    (unsigned long long)page);
	else if (region.size & (page - 1) || region.iova & (page - 1))
		bad(r, path, "size and iova have to be multiples of %llu, the "
		    "size of its pages", (unsigned long long)page);
	for (i = 0; i < ioas->nr_regions; i++) {
		other = &ioas->regions[i];
		if (region.iova < other->iova + other->size &&
		    other->iova < region.iova + region.size)
			bad(r, path, "overlaps region '%s'", other->name);
	}
	if (ioas->nr_regions == POLICY_REGIONS_MAX) {
		bad(r, path, "is one region too many; an IOAS has at most %d",
		    POLICY_REGIONS_MAX);
		free(region.name);
		return;
	}
	ioas->regions = must_grow(ioas->regions, ioas->nr_regions + 1,
				  sizeof(region));
	ioas->regions[ioas->nr_regions++] = region;
}

static void read_regions(struct reader *r, const char *path,
			 struct json_object *value, const struct field *field,
			 void *target)
{
	(void)field;
	read_map(r, path, value, read_region, false, target);
}

static const struct field ioas_fields[] = {
	{ "regions", read_regions, .required = true },
	{ "users", read_owners, AT(policy_ioas, owners), .max = 0 },
	{ "groups", read_owners, AT(policy_ioas, owners), .max = 1 },
	{ 0 }
};

static void ioas_done(void *definition)
{
	struct policy_ioas *ioas = definition;
	size_t i;

	for (i = 0; i < ioas->nr_regions; i++)
		free(ioas->regions[i].name);
	free(ioas->regions);
	origin_done(&ioas->origin);
	owners_done(&ioas->owners);
	free(ioas->name);
}

static void read_ioas(struct reader *r, const char *path, const char *name,
		      struct json_object *value, void *target)
{
	struct policy_ioas ioas = { 0 };
	struct policy *p = r->policy;

	(void)target;
	if (value) {
		ioas.name = must_dup(name);
		origin_set(r, path, value, &ioas.origin);
		read_fields(r, path, value, ioas_fields, &ioas);
	}
	p->ioases = replace(p->ioases, &p->nr_ioases, sizeof(ioas),
			    policy_find_ioas(p, name), value ? &ioas : NULL,
			    ioas_done);
}

static void read_ioases(struct reader *r, const char *path,
			struct json_object *value, const struct field *field,
			void *target)
{
	(void)field;
	read_map(r, path, value, read_ioas, false, target);
}

/* ---- Limits and settings ---- */

static const struct field limit_fields[] = {
	{ "devices", read_number, AT(policy_limit, devices),
	  .max = 1U << 20 },
	{ "memlock", read_size, AT(policy_limit, memlock),
	  .max = 1ULL << 60 },
	{ 0 }
};

static void limit_done(void *definition)
{
	struct policy_limit *limit = definition;

	origin_done(&limit->origin);
	free(limit->name);
}

static const struct policy_limit *find_limit(const struct policy *p, uid_t uid)
{
	size_t i;

	for (i = 0; i < p->nr_limits; i++) {
		if (p->limits[i].uid == uid)
			return &p->limits[i];
	}
	return NULL;
}

/* By the user, who may have been named by a number as well. */
static void read_limit(struct reader *r, const char *path, const char *name,
		       struct json_object *value, void *target)
{
	struct policy_limit limit = {
		.devices = UINT64_MAX, .memlock = UINT64_MAX,
		.uid = (uid_t)-1,
	};
	struct policy *p = r->policy;

	(void)target;
	if (p->nameless)
		return;
	if (strcmp(name, "*") && !user_by_name(name, &limit.uid)) {
		bad(r, path, "there is no user '%s'; \"*\" stands for all "
		    "others", name);
		return;
	}
	if (value) {
		limit.name = must_dup(name);
		origin_set(r, path, value, &limit.origin);
		read_fields(r, path, value, limit_fields, &limit);
	}
	p->limits = replace(p->limits, &p->nr_limits, sizeof(limit),
			    find_limit(p, limit.uid), value ? &limit : NULL,
			    limit_done);
}

static void read_limits(struct reader *r, const char *path,
			struct json_object *value, const struct field *field,
			void *target)
{
	(void)field;
	read_map(r, path, value, read_limit, true, target);
}

static const struct field setting_fields[] = {
	{ "connections", read_count, AT(policy_settings, connections),
	  .min = 1, .max = 65536 },
	{ "connections_per_user", read_count,
	  AT(policy_settings, connections_per_user), .min = 1, .max = 65536 },
	{ "timeout", read_count, AT(policy_settings, timeout),
	  .min = 1, .max = 3600 },
	{ 0 }
};

/* ---- A whole text ---- */

static void read_version(struct reader *r, const char *path,
			 struct json_object *value, const struct field *field,
			 void *target)
{
	uint64_t version;

	(void)target;
	number_of(r, path, value, field, &version);
}

static const struct field top_fields[] = {
	{ "version", read_version, 0, true, .min = 1, .max = 1 },
	{ "settings", read_object, AT(policy, settings),
	  .fields = setting_fields },
	{ "limits", read_limits, .offset = 0 },
	{ "devices", read_devices, .offset = 0 },
	{ "ioases", read_ioases, .offset = 0 },
	{ 0 }
};

struct policy *policy_new(void)
{
	struct policy *policy = must_alloc(sizeof(*policy));

	policy->settings = (struct policy_settings){
		.connections = 512,
		.connections_per_user = 128,
		.timeout = 30,
	};
	return policy;
}

struct policy *policy_free(struct policy *policy)
{
	if (policy) {
		while (policy->nr_devices)
			device_done(&policy->devices[--policy->nr_devices]);
		while (policy->nr_ioases)
			ioas_done(&policy->ioases[--policy->nr_ioases]);
		while (policy->nr_limits)
			limit_done(&policy->limits[--policy->nr_limits]);
		free(policy->devices);
		free(policy->ioases);
		free(policy->limits);
		free(policy);
	}
	return NULL;
}

static int line_of(const char *text, size_t at)
{
	int line = 1;

	while (at)
		line += text[--at] == '\n';
	return line;
}

void policy_add(struct policy *policy, const char *file, const char *text,
		size_t len, struct policy_errors *errors)
{
	struct reader r = { policy, errors, file, NULL };
	struct json_tokener *tok = json_tokener_new_ex(MESSAGE_DEPTH);
	enum json_tokener_error error;
	struct json_object *obj;
	char *twice = NULL;

	if (!tok)
		abort();
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
				    JSON_TOKENER_VALIDATE_UTF8);
	obj = json_tokener_parse_ex(tok, text, len + 1);
	error = json_tokener_get_error(tok);
	if (memchr(text, 0, len) || error != json_tokener_success) {
		size_t end = json_tokener_get_parse_end(tok);

		policy_error(errors, file, line_of(text, end < len ? end : len),
			  "", "is not JSON: %s",
			  error == json_tokener_success ?
				  "a NUL character is in it" :
				  json_tokener_error_desc(error));
		goto out;
	}
	r.where = where_scan(text, &twice);
	if (twice)
		bad(&r, twice, "is there twice");
	read_fields(&r, "", obj, top_fields, policy);
out:
	free(twice);
	json_object_put(r.where);
	json_object_put(obj);
	json_tokener_free(tok);
}

void policy_finish(struct policy *policy, struct policy_errors *errors)
{
	const struct policy_device *dev;
	char *key;
	size_t i;

	for (i = 0; i < policy->nr_devices; i++) {
		dev = &policy->devices[i];
		if (!dev->ioas || policy_find_ioas(policy, dev->ioas))
			continue;
		key = must_format("devices.%s.ioas", dev->name);
		policy_error(errors, dev->origin.file, dev->origin.line, key,
			  "there is no IOAS '%s' in 'ioases'", dev->ioas);
		free(key);
	}
}
