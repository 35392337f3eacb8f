// SPDX-License-Identifier: LGPL-2.1-only
/* Acquire: devices from iommud as open files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "private.h"

static struct json_object *member(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? value : NULL;
}

static const char *text(struct json_object *obj, const char *key)
{
	const char *s = json_object_get_string(member(obj, key));

	return s ? s : "";
}

static size_t count(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ?
		       json_object_array_length(array) : 0;
}

/* The descriptor that @key is the index of. */
static int take_fd(struct iommu_reply *r, struct json_object *obj,
		   const char *key, int *ret)
{
	struct json_object *index = member(obj, key);

	*ret = -1;
	if (!json_object_is_type(index, json_type_int))
		return -EBADMSG;
	*ret = iommu_reply_take_fd(r, json_object_get_int64(index));
	return *ret < 0 ? *ret : 0;
}

static int read_device(struct iommu_reply *r, struct json_object *obj,
		       struct iommu_acquired_device *dev)
{
	struct json_object *id = member(obj, "dev_id");

	snprintf(dev->device, sizeof(dev->device), "%s", text(obj, "device"));
	dev->attached = id != NULL;
	dev->dev_id = json_object_get_int64(id);
	dev->ioas_id = json_object_get_int64(member(obj, "ioas_id"));
	dev->granule = json_object_get_uint64(member(obj, "granule"));
	return take_fd(r, obj, "fd", &dev->fd);
}

static int read_region(struct iommu_reply *r, struct json_object *obj,
		       struct iommu_acquired_region *region)
{
	snprintf(region->name, sizeof(region->name), "%s", text(obj, "name"));
	region->iova = strtoull(text(obj, "iova"), NULL, 16);
	region->size = json_object_get_uint64(member(obj, "size"));
	region->read = json_object_get_boolean(member(obj, "read"));
	region->write = json_object_get_boolean(member(obj, "write"));
	return take_fd(r, obj, "fd", &region->fd);
}

static int read_regions(struct iommu_reply *r, struct iommu_acquired *ret)
{
	struct json_object *array = member(r->parameters, "regions");
	size_t i, n = count(array);
	int rc = 0;

	ret->regions = calloc(n + 1, sizeof(*ret->regions));
	if (!ret->regions)
		return -ENOMEM;
	for (i = 0; i < n && !rc; i++, ret->nr_regions++)
		rc = read_region(r, json_object_array_get_idx(array, i),
				 &ret->regions[i]);
	return rc;
}

static int read_acquired(struct iommu_reply *r, size_t nr,
			 struct iommu_acquired *ret)
{
	struct json_object *array = member(r->parameters, "devices");
	size_t i, n = count(array);
	int rc = 0;

	if (n != nr)
		return -EBADMSG;
	if (member(r->parameters, "iommufd"))
		rc = take_fd(r, r->parameters, "iommufd", &ret->iommufd);
	if (rc)
		return rc;
	ret->devices = calloc(n + 1, sizeof(*ret->devices));
	if (!ret->devices)
		return -ENOMEM;
	for (i = 0; i < n && !rc; i++, ret->nr_devices++)
		rc = read_device(r, json_object_array_get_idx(array, i),
				 &ret->devices[i]);
	return rc ? rc : read_regions(r, ret);
}

static int failed(struct iommu_reply *r, int rc, enum iommu_error_kind *kind,
		  struct iommu_why *why)
{
	if (!r->why.text[0]) {
		snprintf(r->why.text, sizeof(r->why.text), rc == -ENOMEM ?
			 "out of memory" : "iommud's answer is not complete; "
			 "it may be older than this program");
		r->kind = IOMMU_ERROR_OTHER;
	}
	*kind = r->kind;
	*why = r->why;
	iommu_reply_done(r);
	return rc;
}

static int put(struct json_object *obj, const char *key,
	       struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	return json_object_object_add(obj, key, value) ? -ENOMEM : 0;
}

/* The parameters of the call; NULL when out of memory. */
static struct json_object *make_parameters(const struct iommu_acquire *want)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *names = json_object_new_array();
	size_t i;
	int rc;

	rc = put(obj, "devices", names);
	for (i = 0; i < want->nr && !rc; i++)
		rc = json_object_array_add(names, json_object_new_string(
						   want->devices[i]));
	if (!rc)
		rc = put(obj, "attach", json_object_new_boolean(want->attach));
	if (!rc && want->wait)
		rc = put(obj, "wait", json_object_new_int64(want->wait));
	if (!rc)
		return obj;
	json_object_put(obj);
	return NULL;
}

int iommu_acquire(struct iommu_client *c, const struct iommu_acquire *want,
		  struct iommu_acquired *ret, enum iommu_error_kind *kind,
		  struct iommu_why *why)
{
	struct json_object *parameters = make_parameters(want);
	struct iommu_reply reply = { 0 };
	int rc;

	*ret = (struct iommu_acquired){ .iommufd = -1 };
	if (!parameters)
		return failed(&reply, -ENOMEM, kind, why);
	rc = iommu_client_send(c, "Acquire", parameters, false, &reply.why);
	if (rc) {
		reply.kind = IOMMU_ERROR_NO_MODULE;
		return failed(&reply, rc, kind, why);
	}
	rc = iommu_client_answer(c, want->wait, &reply);
	if (!rc)
		rc = read_acquired(&reply, want->nr, ret);
	if (rc) {
		iommu_acquired_done(ret);
		return failed(&reply, rc, kind, why);
	}
	iommu_reply_done(&reply);
	return 0;
}

int iommu_ioas_open(struct iommu_client *c, const char *name,
		    struct iommu_acquired *ret, enum iommu_error_kind *kind,
		    struct iommu_why *why)
{
	struct json_object *parameters = json_object_new_object();
	struct iommu_reply reply = { 0 };
	int rc;

	*ret = (struct iommu_acquired){ .iommufd = -1 };
	rc = put(parameters, "name", json_object_new_string(name));
	if (rc) {
		json_object_put(parameters);
		return failed(&reply, rc, kind, why);
	}
	rc = iommu_client_call(c, "OpenIoas", parameters, &reply);
	if (!rc)
		rc = read_regions(&reply, ret);
	if (rc) {
		iommu_acquired_done(ret);
		return failed(&reply, rc, kind, why);
	}
	iommu_reply_done(&reply);
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void iommu_acquired_done(struct iommu_acquired *a)
{
	close_fd(a->iommufd);
	while (a->nr_devices)
		close_fd(a->devices[--a->nr_devices].fd);
	while (a->nr_regions)
		close_fd(a->regions[--a->nr_regions].fd);
	free(a->devices);
	free(a->regions);
	*a = (struct iommu_acquired){ .iommufd = -1 };
}
