// SPDX-License-Identifier: GPL-2.0-only
/* What devices leave of a named IOAS. See shape.h. */
#include <stdlib.h>

#include "job.h"
#include "libiommu.h"
#include "manager.h"
#include "shape.h"
#include "space.h"

/* A child that asks. Of a space there is one at most. */
struct look {
	struct space *space;	/* NULL: nobody wants to know any more */
	bool again;		/* devices came or went meanwhile */
	int iommufd;
	uint32_t ioas;
};

struct json_object *shape_ask(int iommufd, uint32_t ioas)
{
	struct json_object *shape, *array, *one;
	struct iommu_iova_range *ranges;
	__u64 granule = 0;
	__u32 nr, i;

	if (iommu_ioas_iova_ranges(iommufd, ioas, &ranges, &nr, NULL))
		return NULL;
	array = js_array();
	for (i = 0; i < nr; i++) {
		one = js_object();
		js_address(one, "start", ranges[i].start);
		js_address(one, "last", ranges[i].last);
		js_append(array, one);
	}
	free(ranges);
	shape = js_object();
	js_put(shape, "iova_ranges", array);
	/* Where /dev/iommu is not Granule's, it does not say. */
	if (!iommu_ioas_granule(iommufd, ioas, &granule) && granule)
		js_number(shape, "granule", granule);
	return shape;
}

/* In the child. */
static void run(void *arg, struct job_result *r)
{
	const struct look *look = arg;

	r->value = shape_ask(look->iommufd, look->ioas);
}

static void done(struct manager *m, void *arg, struct job_result *r)
{
	struct look *look = arg;
	struct space *s = look->space;
	bool again = look->again;

	free(look);
	if (!s)
		return;
	s->look = NULL;
	if (again)
		shape_look(m, s);
	else
		shape_set(s, json_object_get(r->value));
}

void shape_look(struct manager *m, struct space *s)
{
	struct look *look = s->look;

	if (s->iommufd < 0)
		return;
	if (look) {
		look->again = true;
		return;
	}
	look = must_alloc(sizeof(*look));
	*look = (struct look){ .space = s, .iommufd = s->iommufd,
			       .ioas = s->ioas_id };
	if (job_start(m, run, look, done, &s->iommufd, 1)) {
		free(look);
		/* Rather nothing than what was. */
		shape_set(s, NULL);
		return;
	}
	s->look = look;
}

void shapes_restore(struct manager *m)
{
	struct space *s;

	for (s = m->spaces; s; s = s->next)
		shape_look(m, s);
}

void shape_set(struct space *s, struct json_object *shape)
{
	if (s->look)
		s->look->again = true;
	json_object_put(s->shape);
	s->shape = shape;
}

void shape_forget(struct space *s)
{
	shape_set(s, NULL);
	if (s->look)
		s->look->space = NULL;
	s->look = NULL;
}

void shape_put(const struct space *s, struct json_object *obj)
{
	js_put(obj, "granule", json_object_get(js_get(s->shape, "granule")));
	js_put(obj, "iova_ranges",
	       json_object_get(js_get(s->shape, "iova_ranges")));
}
