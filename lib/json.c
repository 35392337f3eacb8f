// SPDX-License-Identifier: LGPL-2.1-only
/* One JSON builder per object; what programs print is rendered from these. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "core/granule.h"
#include "private.h"

/* A new object, and whether memory ran out on the way. */
struct builder {
	struct json_object *obj;
	bool failed;
};

/* Keys are words of this file, each once in an object: nothing to copy. */
static int add(struct json_object *obj, const char *key,
	       struct json_object *value)
{
	return json_object_object_add_ex(obj, key, value,
					 JSON_C_OBJECT_ADD_KEY_IS_NEW |
					 JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/* Takes over @value; NULL means that it could not be made. */
static void put(struct builder *b, const char *key, struct json_object *value)
{
	if (!value || !b->obj || add(b->obj, key, value)) {
		json_object_put(value);
		b->failed = true;
	}
}

static void put_null(struct builder *b, const char *key)
{
	if (!b->obj || add(b->obj, key, NULL))
		b->failed = true;
}

static void put_string(struct builder *b, const char *key, const char *value)
{
	if (value)
		put(b, key, json_object_new_string(value));
	else
		put_null(b, key);
}

static void put_number(struct builder *b, const char *key, uint64_t value)
{
	put(b, key, json_object_new_uint64(value));
}

static void put_bool(struct builder *b, const char *key, bool value)
{
	put(b, key, json_object_new_boolean(value));
}

__attribute__((format(printf, 3, 4)))
static void put_format(struct builder *b, const char *key, const char *fmt,
		       ...)
{
	char buf[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	put_string(b, key, buf);
}

static void put_address(struct builder *b, const char *key, uint64_t value)
{
	put_format(b, key, "0x%" PRIx64, value);
}

/* 2^64-1 stands for "not limited", or "not known". */
static void put_limit(struct builder *b, const char *key, uint64_t value)
{
	if (value == UINT64_MAX)
		put_null(b, key);
	else
		put_number(b, key, value);
}

/* start, last and size; the size of the whole space has no number: null. */
static void put_range(struct builder *b, uint64_t start, uint64_t last)
{
	put_address(b, "start", start);
	put_address(b, "last", last);
	put_limit(b, "size", last - start == UINT64_MAX ?
				     UINT64_MAX : last - start + 1);
}

/* What user memory must be like; null where any will do. */
static void put_rule(struct builder *b, uint64_t granule, uint64_t page)
{
	char rule[200];

	put_string(b, "rule", iommu_granule_rule(granule, page, rule,
						 sizeof(rule)) ? rule : NULL);
}

static struct builder object(void)
{
	return (struct builder){ .obj = json_object_new_object() };
}

static struct json_object *finish(struct builder *b)
{
	if (b->failed) {
		json_object_put(b->obj);
		b->obj = NULL;
	}
	return b->obj;
}

/* Takes over both; frees the array and returns NULL when either is missing. */
static struct json_object *append(struct json_object *array,
				  struct json_object *value)
{
	if (array && value && !json_object_array_add(array, value))
		return array;
	json_object_put(value);
	json_object_put(array);
	return NULL;
}

static struct json_object *words(const char *text)
{
	struct json_object *array = json_object_new_array_ext(4);
	size_t len;

	while (text && array && *(text += strspn(text, " "))) {
		len = strcspn(text, " ");
		array = append(array, json_object_new_string_len(text, len));
		text += len;
	}
	return array;
}

static struct json_object *page_sizes(uint64_t bitmap)
{
	struct json_object *array = json_object_new_array();

	for (; bitmap && array; bitmap &= bitmap - 1)
		array = append(array, json_object_new_uint64(
					      granule_of_bitmap(bitmap)));
	return array;
}

struct json_object *iommu_json_device(const struct iommu_sys_device *dev)
{
	struct builder b = object();

	put_string(&b, "device", dev->name);
	put_format(&b, "vendor_id", "0x%04x", dev->vendor);
	put_format(&b, "device_id", "0x%04x", dev->device);
	put_format(&b, "class", "0x%06x", dev->class);
	if (!dev->brief)
		put_number(&b, "revision", dev->revision);
	put_string(&b, "vendor_name", dev->vendor_name);
	put_string(&b, "device_name", dev->device_name);
	put_string(&b, "driver", dev->driver);
	if (!dev->brief)
		put_string(&b, "driver_override", dev->driver_override);
	put_string(&b, "iommu", dev->iommu);
	put_string(&b, "iommu_driver", dev->iommu_driver);
	if (dev->granule)
		put_number(&b, "granule", dev->granule);
	else
		put_null(&b, "granule");
	put_limit(&b, "iommu_faults", dev->iommu_faults);
	put_bool(&b, "iommu_late", dev->iommu_late);
	if (dev->group < 0)
		put_null(&b, "group");
	else
		put_number(&b, "group", dev->group);
	put_string(&b, "vfio", dev->vfio);
	put_string(&b, "node", dev->node);
	if (dev->brief)
		return finish(&b);
	put(&b, "reset_methods", words(dev->reset_method));
	if (dev->numa_node < 0)
		put_null(&b, "numa_node");
	else
		put_number(&b, "numa_node", dev->numa_node);
	return finish(&b);
}

static struct json_object *region(uint64_t start, uint64_t last,
				  uint32_t reason)
{
	struct builder b = object();

	put_range(&b, start, last);
	put_string(&b, "reason", iommu_resv_reason_name(reason));
	put_string(&b, "text", iommu_resv_reason_text(reason));
	return finish(&b);
}

struct json_object *iommu_json_regions(const struct iommu_sys_region *regions,
				       size_t nr)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < nr && array; i++)
		array = append(array, region(regions[i].start, regions[i].last,
					     regions[i].reason));
	return array;
}

static struct json_object *
cap_regions(const struct iommu_device_cap_reserved_regions *cap)
{
	struct json_object *array = json_object_new_array();
	__u32 i;

	for (i = 0; cap && i < cap->nr_regions && array; i++)
		array = append(array, region(cap->regions[i].start,
					     cap->regions[i].last,
					     cap->regions[i].reason));
	return array;
}

struct json_object *iommu_json_ranges(const struct iommu_iova_range *ranges,
				      size_t nr)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < nr && array; i++) {
		struct builder b = object();

		put_range(&b, ranges[i].start, ranges[i].last);
		array = append(array, finish(&b));
	}
	return array;
}

/* A device of a group: enough to see why the group is not viable. */
static struct json_object *member(const struct iommu_sys_device *dev)
{
	struct builder b = object();

	put_string(&b, "device", dev->name);
	put_string(&b, "driver", dev->driver);
	put_string(&b, "vfio", dev->vfio);
	put_bool(&b, "blocks", iommu_sys_device_blocks(dev));
	put_string(&b, "name", dev->device_name);
	return finish(&b);
}

struct json_object *iommu_json_group(const struct iommu_sys_group *group)
{
	struct builder b = object();
	struct json_object *devices = json_object_new_array();
	bool viable = true;
	size_t i;

	for (i = 0; i < group->nr_devices; i++) {
		viable &= !iommu_sys_device_blocks(group->devices[i]);
		if (devices)
			devices = append(devices, member(group->devices[i]));
	}
	put_number(&b, "group", group->id);
	put_string(&b, "type", group->type);
	put_bool(&b, "viable", viable);
	put(&b, "devices", devices);
	put(&b, "reserved_regions",
	    iommu_json_regions(group->regions, group->nr_regions));
	return finish(&b);
}

struct json_object *iommu_json_kernel_dma(const struct iommu_sys_device *dev,
					  const struct iommu_sys_group *group)
{
	static const struct iommu_sys_dma none = {
		.granule = IOMMU_SYS_UNKNOWN,
		.trusted = IOMMU_SYS_UNKNOWN,
		.mapped_granules = IOMMU_SYS_UNKNOWN,
		.mappings = IOMMU_SYS_UNKNOWN,
		.bounce_granules = IOMMU_SYS_UNKNOWN,
		.bounced_bytes = IOMMU_SYS_UNKNOWN,
		.failures = IOMMU_SYS_UNKNOWN,
	};
	const struct iommu_sys_dma *dma = group && group->dma ? group->dma :
								&none;
	struct builder b = object();
	struct iommu_sys_dma_state s;

	iommu_sys_dma_state(dev, group, &s);
	put_string(&b, "state", s.name);
	put_string(&b, "by", s.by);
	put_string(&b, "text", s.text);
	put_string(&b, "remedy", s.remedy[0] ? s.remedy : NULL);
	put_limit(&b, "granule", dma->granule);
	if (dma->trusted == IOMMU_SYS_UNKNOWN)
		put_null(&b, "trusted");
	else
		put_bool(&b, "trusted", dma->trusted);
	put_limit(&b, "mapped_granules", dma->mapped_granules);
	put_limit(&b, "mappings", dma->mappings);
	put_limit(&b, "bounce_granules", dma->bounce_granules);
	put_limit(&b, "bounced_bytes", dma->bounced_bytes);
	put_limit(&b, "failures", dma->failures);
	return finish(&b);
}

struct json_object *iommu_json_device_info(const struct iommu_device_info *info,
					   const struct iommu_device_caps *caps)
{
	const struct iommu_device_cap_granule *granule = caps->granule;
	struct builder b = object();

	if (info->flags & IOMMU_DEVICE_INFO_PGSIZES)
		put(&b, "page_sizes", page_sizes(info->pgsize_bitmap));
	else
		put_null(&b, "page_sizes");
	if (granule) {
		put_number(&b, "granule", granule->granule);
		put_number(&b, "cpu_page_size", granule->cpu_page_size);
		put_bool(&b, "needs_contiguous",
			 granule->flags & IOMMU_GRANULE_NEEDS_CONTIGUOUS);
		put_number(&b, "alignment", granule->granule);
		put_rule(&b, granule->granule, granule->cpu_page_size);
	} else {
		put_null(&b, "granule");
		put_null(&b, "cpu_page_size");
		put_null(&b, "needs_contiguous");
		put_null(&b, "alignment");
		put_null(&b, "rule");
	}
	if (info->flags & IOMMU_DEVICE_INFO_ADDR_WIDTH)
		put_number(&b, "address_width", info->addr_width);
	else
		put_null(&b, "address_width");
	if (caps->output_width)
		put_number(&b, "output_width", caps->output_width->bits);
	else
		put_null(&b, "output_width");
	if (caps->pasid_width)
		put_number(&b, "pasid_width", caps->pasid_width->bits);
	else
		put_null(&b, "pasid_width");
	put_bool(&b, "enforce_snoop",
		 info->flags & IOMMU_DEVICE_INFO_ENFORCE_SNOOP);
	if (caps->group)
		put_bool(&b, "isolated_msi",
			 caps->group->flags & IOMMU_GROUP_ISOLATED_MSI);
	else
		put_null(&b, "isolated_msi");
	if (caps->vtd) {
		put_address(&b, "vtd_cap", caps->vtd->cap_reg);
		put_address(&b, "vtd_ecap", caps->vtd->ecap_reg);
	}
	if (caps->iova_ranges)
		put(&b, "iova_ranges",
		    iommu_json_ranges(caps->iova_ranges->iova_ranges,
				      caps->iova_ranges->nr_iovas));
	else
		put_null(&b, "iova_ranges");
	put(&b, "reserved_regions", cap_regions(caps->reserved));
	return finish(&b);
}

struct json_object *iommu_json_segment(const struct iommu_segment *seg)
{
	bool reserved = seg->kind == IOMMU_SEGMENT_RESERVED;
	struct builder b = object();

	put_range(&b, seg->start, seg->last);
	put_string(&b, "kind", iommu_segment_name(seg->kind));
	put_string(&b, "reason", reserved ?
		   iommu_resv_reason_name(seg->reason) : NULL);
	put_string(&b, "text", reserved ?
		   iommu_resv_reason_text(seg->reason) : NULL);
	put_bool(&b, "read", seg->flags & IOMMU_IOAS_MAP_READABLE);
	put_bool(&b, "write", seg->flags & IOMMU_IOAS_MAP_WRITEABLE);
	put_number(&b, "areas", seg->areas);
	put_number(&b, "mapped_bytes", seg->mapped);
	return finish(&b);
}

static const char *some(const char *text)
{
	return text[0] ? text : NULL;
}

struct json_object *iommu_json_finding(const struct iommu_finding *finding)
{
	struct builder b = object();

	put_string(&b, "level", iommu_finding_level_name(finding->level));
	put_string(&b, "check", finding->check);
	put_string(&b, "object", finding->object);
	put_string(&b, "value", finding->value);
	put_string(&b, "rule", some(finding->rule));
	put_string(&b, "remedy", some(finding->remedy));
	return finish(&b);
}

struct json_object *iommu_json_area(const struct iommu_area_info *area)
{
	struct builder b = object();

	put_address(&b, "iova", area->iova);
	put_address(&b, "last", area->iova + area->length - 1);
	put_number(&b, "size", area->length);
	put_bool(&b, "read", area->flags & IOMMU_IOAS_MAP_READABLE);
	put_bool(&b, "write", area->flags & IOMMU_IOAS_MAP_WRITEABLE);
	put_string(&b, "source", area->source == IOMMU_AREA_SOURCE_USER ?
					 "user" : "unknown");
	put_address(&b, "user_va", area->user_va);
	return finish(&b);
}

static struct json_object *
attached(const struct iommu_ioas_cap_devices *cap)
{
	struct json_object *array = json_object_new_array();
	__u32 i;

	for (i = 0; cap && i < cap->nr_devices && array; i++) {
		struct builder b = object();

		put_string(&b, "device", cap->devices[i].name);
		put_number(&b, "id", cap->devices[i].dev_id);
		put_number(&b, "hwpt", cap->devices[i].hwpt_id);
		array = append(array, finish(&b));
	}
	return array;
}

struct json_object *iommu_json_ioas(__u32 id,
				    const struct iommu_ioas_info *info,
				    const struct iommu_ioas_caps *caps)
{
	struct builder b = object();

	put_number(&b, "ioas", id);
	put_number(&b, "granule", info->granule);
	put_number(&b, "alignment", info->iova_alignment);
	put_number(&b, "nr_areas", info->nr_areas);
	put_number(&b, "mapped_bytes", info->mapped_bytes);
	put_number(&b, "pinned_bytes", info->pinned_bytes);
	put_limit(&b, "area_quota", info->area_quota);
	put_limit(&b, "memlock_limit", info->memlock_limit);
	put_number(&b, "memlock_used", info->memlock_used);
	put(&b, "devices", attached(caps->devices));
	put(&b, "reserved_regions", cap_regions(caps->reserved));
	return finish(&b);
}

static struct json_object *context_ioas(const struct iommu_context_ioas *ioas)
{
	struct builder b = object();

	put_number(&b, "ioas", ioas->id);
	put_number(&b, "granule", ioas->granule);
	put_number(&b, "nr_areas", ioas->areas);
	put_number(&b, "mapped_bytes", ioas->mapped);
	put_number(&b, "pinned_bytes", ioas->pinned);
	put_limit(&b, "area_quota", ioas->quota);
	put_number(&b, "faults", ioas->faults);
	return finish(&b);
}

static struct json_object *
context_device(const struct iommu_context_device *device)
{
	struct builder b = object();

	put_string(&b, "device", device->name);
	put_number(&b, "id", device->id);
	put_number(&b, "group", device->group);
	if (device->ioas)
		put_number(&b, "ioas", device->ioas);
	else
		put_null(&b, "ioas");
	return finish(&b);
}

/* A process by number and name; null where there is none. */
static void put_process(struct builder *b, const char *key, pid_t pid,
			const char *task, uid_t uid)
{
	struct builder p;

	if (!pid) {
		put_null(b, key);
		return;
	}
	p = object();
	put_number(&p, "pid", pid);
	put_string(&p, "comm", task);
	put_limit(&p, "user", uid == (uid_t)-1 ? UINT64_MAX : uid);
	put(b, key, finish(&p));
}

struct json_object *iommu_json_context(const struct iommu_context *c)
{
	struct json_object *ioases = json_object_new_array();
	struct json_object *devices = json_object_new_array();
	__u64 areas = 0, mapped = 0, pinned = 0;
	struct builder b = object();
	size_t i;

	for (i = 0; i < c->nr_ioases; i++) {
		areas += c->ioases[i].areas;
		mapped += c->ioases[i].mapped;
		pinned += c->ioases[i].pinned;
		ioases = ioases ? append(ioases, context_ioas(&c->ioases[i])) :
				  NULL;
	}
	for (i = 0; i < c->nr_devices; i++)
		devices = devices ? append(devices,
					   context_device(&c->devices[i])) :
				    NULL;
	put_number(&b, "context", c->context);
	put_process(&b, "opened_by", c->pid, c->task, c->uid);
	put_process(&b, "used_by", c->user_pid, c->user_task, c->user_uid);
	put_number(&b, "nr_areas", areas);
	put_number(&b, "mapped_bytes", mapped);
	put_number(&b, "pinned_bytes", pinned);
	put_limit(&b, "memlock_used", c->locked);
	put_limit(&b, "memlock_limit", c->lock_limit);
	put_number(&b, "refused", c->refused);
	put_number(&b, "faults", c->faults);
	put(&b, "ioas", ioases);
	put(&b, "devices", devices);
	return finish(&b);
}

struct json_object *iommu_json_event(const struct iommu_event *e)
{
	bool refusal = e->kind == IOMMU_EVENT_MAP_REFUSED ||
		       e->kind == IOMMU_EVENT_LIMIT_REACHED;
	bool fault = e->kind == IOMMU_EVENT_FAULT;
	struct builder b = object();
	char text[400];

	iommu_event_sentence(e, text, sizeof(text));
	put_string(&b, "kind", iommu_event_name(e->kind));
	put_string(&b, "source", e->from_log ? "kernel-log" : "module");
	put_string(&b, "device", e->device[0] ? e->device : NULL);
	put_limit(&b, "context", e->context ? e->context : UINT64_MAX);
	put_limit(&b, "ioas", e->ioas ? e->ioas : UINT64_MAX);
	put_process(&b, "process", e->pid, e->task, e->uid);
	if (fault) {
		put_address(&b, "iova", e->addr);
		put_string(&b, "access", e->write ? "write" :
					 e->read ? "read" : NULL);
	}
	if (refusal) {
		put_address(&b, "address", e->addr);
		put_number(&b, "reason", e->reason);
		put_number(&b, "errno", e->error);
	}
	if (e->kind == IOMMU_EVENT_LIMIT_REACHED) {
		put_number(&b, "limit", e->limit);
		put_number(&b, "usage", e->usage);
	}
	put_number(&b, "suppressed", e->suppressed);
	put_string(&b, "message", text);
	return finish(&b);
}
