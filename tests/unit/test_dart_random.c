// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains over three DARTs at random: what devices reach is what a plain array
 * says, and no DART keeps what is not so any more, after every step. The third
 * DART is locked, and firmware has a picture mapped for one of its streams.
 *
 * GRANULE_DART_STEPS sets the number of steps of each run.
 */
#include "kselftest_harness.h"

#include "core/dart_domain.h"
#include "model_dart.h"

#define PAGE 16384ULL
#define DARTS 3
#define DOMAINS 3
#define WINDOWS 4
#define PAGES 48	/* of a window */
#define SCREEN 0x180000000ULL
#define SCREEN_PAGE 5

/* Windows that cross from one table to the next, and one of firmware's. */
static const u64 windows[WINDOWS] = {
	(32ULL << 20) * 2 - PAGE * 20,
	(32ULL << 20) * 7 - PAGE * 47,
	0,
	(32ULL << 20) * 100 + PAGE * 3,
};
#define FIRMWARE 3	/* of windows */

struct cell {
	u64 phys;
	unsigned int prot;	/* 0: not mapped */
};

/* A device: streams of one DART or of two. */
struct device {
	unsigned int nr;
	struct dart_attach at[2];
	unsigned int dart[2];
	int domain;		/* -1: blocked */
};

#define DEVICES 6
#define STREAMS 8	/* that devices have, of each DART */

enum {
	MAP = 1 << 0,
	UNMAP = 1 << 1,
	ATTACH = 1 << 2,
	DETACH = 1 << 3,
	ANY = MAP | UNMAP | ATTACH | DETACH,
};

/* What one DART does not do of what it is told in some kinds of steps. */
struct mutation {
	unsigned int dart, steps;
	struct model_mistake mistake;
};

struct world {
	struct model_memory memory;
	struct dart_memory ops;
	struct model_dart model[DARTS];
	struct dart_hw hw[DARTS];
	struct dart_domain domain[DOMAINS];
	struct cell want[DOMAINS][WINDOWS][PAGES];
	struct device device[DEVICES];
	struct dart_table firmware[2];
	struct dart_root firmware_root[2];
	u64 random;
	const struct mutation *mutation;	/* or NULL */
	unsigned int wrong;
	char what[200];
};

static u64 below(struct world *w, u64 n)
{
	return random_u64(&w->random) % n;
}

static void wrong(struct world *w, const char *what, u64 a, u64 b)
{
	if (!w->wrong++)
		snprintf(w->what, sizeof(w->what), "%s: %#llx, %#llx", what,
			 (unsigned long long)a, (unsigned long long)b);
}

/* --- the world --- */

static void add_device(struct world *w, unsigned int index, unsigned int nr,
		       unsigned int dart, unsigned int stream,
		       unsigned int dart2, unsigned int stream2)
{
	struct device *d = &w->device[index];

	*d = (struct device){ .nr = nr, .domain = -1,
			      .dart = { dart, dart2 } };
	d->at[0].hw = &w->hw[dart];
	dart_streams_add(&d->at[0].streams, stream);
	d->at[1].hw = &w->hw[dart2];
	dart_streams_add(&d->at[1].streams, stream2);
}

/* Before the lock: every stream of the third DART has tables of firmware. */
static void firmware_boots(struct world *w)
{
	struct dart_hw *hw = &w->hw[2];
	struct dart_io io = model_io(&w->model[2]);
	u64 ttbrs[DART_MAX_TTBRS];
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		struct dart_streams s = { { 0 } };

		if (dart_table_init(&w->firmware[i], &w->ops, &hw->geometry,
				    0) ||
		    dart_root_add(&w->firmware[i], &w->firmware_root[i], NULL,
				  0))
			abort();
		if (!i && dart_table_map(&w->firmware[i], windows[FIRMWARE] +
					 SCREEN_PAGE * PAGE, SCREEN, PAGE,
					 DART_READ, 0))
			abort();
		dart_streams_add(&s, 3 + i);
		for (j = 0; j < DART_MAX_TTBRS; j++)
			ttbrs[j] = dart_root_ttbr(&w->firmware[i],
						  &w->firmware_root[i], j);
		if (dart_hw_translate(hw, &s, ttbrs))
			abort();
	}
	model_lock(&w->model[2]);
	if (dart_hw_init(hw, hw->variant, &io))
		abort();
}

static void world_init(struct world *w, const char *kind, u64 seed,
		       const struct mutation *mutation)
{
	struct dart_io io;
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->random = seed;
	w->mutation = mutation;
	w->memory.shift = 14;
	w->ops = (struct dart_memory){ model_alloc, model_free, model_phys,
				       model_virt, &w->memory };
	for (i = 0; i < DARTS; i++) {
		model_init(&w->model[i], kind, 14, true, seed + i, model_virt,
			   &w->memory);
		io = model_io(&w->model[i]);
		if (dart_hw_init(&w->hw[i], dart_variant_find(kind), &io) ||
		    dart_hw_reset(&w->hw[i]))
			abort();
	}
	firmware_boots(w);
	for (i = 0; i < DOMAINS; i++)
		if (dart_domain_init(&w->domain[i], &w->ops,
				     &w->hw[0].geometry, 0))
			abort();
	add_device(w, 0, 1, 0, 0, 0, 0);
	add_device(w, 1, 2, 0, 1, 1, 1);
	add_device(w, 2, 1, 1, 2, 1, 2);
	dart_streams_add(&w->device[2].at[0].streams, 7);
	add_device(w, 3, 1, 2, 3, 2, 3);	/* sees firmware's picture */
	add_device(w, 4, 2, 0, 4, 2, 4);
	add_device(w, 5, 2, 1, 5, 0, 6);
}

static unsigned int world_exit(struct world *w)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		if (w->device[i].domain >= 0)
			dart_domain_detach(&w->domain[w->device[i].domain],
					   w->device[i].at, w->device[i].nr);
	for (i = 0; i < DOMAINS; i++)
		dart_domain_exit(&w->domain[i]);
	for (i = 0; i < 2; i++) {
		dart_root_remove(&w->firmware[i], &w->firmware_root[i]);
		dart_table_exit(&w->firmware[i]);
	}
	return w->memory.live;
}

/* --- what should be --- */

/* Is the device that sees firmware's picture in this domain? */
static bool firmware_in(const struct world *w, unsigned int domain)
{
	return w->device[3].domain == (int)domain;
}

static bool window_empty(const struct world *w, unsigned int domain,
			 unsigned int window)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		if (w->want[domain][window][i].prot)
			return false;
	return true;
}

static u64 should_reach(const struct world *w, const struct device *d,
			unsigned int part, unsigned int window,
			unsigned int page, bool write)
{
	const struct cell *c;

	if (window == FIRMWARE && d == &w->device[3])
		return page == SCREEN_PAGE && !write ? SCREEN : U64_MAX;
	(void)part;
	if (d->domain < 0)
		return U64_MAX;
	c = &w->want[d->domain][window][page];
	return c->prot & (write ? DART_WRITE : DART_READ) ? c->phys : U64_MAX;
}

/* --- steps --- */

/* Of what kind is what comes now? */
static void step_is(struct world *w, unsigned int kind)
{
	const struct mutation *m = w->mutation;

	if (m)
		w->model[m->dart].mistake =
			m->steps & kind ? m->mistake :
					  (struct model_mistake){ 0 };
}

static void step_map(struct world *w, bool fail)
{
	unsigned int domain = below(w, DOMAINS), window = below(w, WINDOWS);
	unsigned int page = below(w, PAGES), i;
	unsigned int nr = 1 + below(w, min(PAGES - page, 9));
	unsigned int prot = 1 + below(w, 3);
	u64 phys = (0x100000 + below(w, 0x10000)) * PAGE;
	u64 iova = windows[window] + page * PAGE, want = 0;
	u64 before = w->domain[domain].table.mapped;
	int rc;

	for (i = 0; i < nr; i++)
		if (w->want[domain][window][page + i].prot)
			want = -EEXIST;
	if (window == FIRMWARE && firmware_in(w, domain))
		want = -EEXIST;
	step_is(w, MAP);
	w->memory.fail_after = fail ? 1 + below(w, 2) : 0;
	rc = dart_domain_map(&w->domain[domain], iova, phys, nr * PAGE, prot,
			     0);
	if (!(fail && rc == -ENOMEM) && rc != (int)want)
		wrong(w, "map", iova, rc);
	w->memory.fail_after = 0;
	if (rc && w->domain[domain].table.mapped != before)
		wrong(w, "a map that failed", iova, rc);
	for (i = 0; i < nr && !rc; i++)
		w->want[domain][window][page + i] =
			(struct cell){ phys + i * PAGE, prot };
}

static void step_unmap(struct world *w)
{
	unsigned int domain = below(w, DOMAINS), window = below(w, WINDOWS);
	unsigned int page = below(w, PAGES), i;
	unsigned int nr = 1 + below(w, PAGES - page);
	u64 want = 0, got;

	for (i = 0; i < nr; i++) {
		want += w->want[domain][window][page + i].prot ? PAGE : 0;
		w->want[domain][window][page + i].prot = 0;
	}
	step_is(w, UNMAP);
	got = dart_domain_unmap(&w->domain[domain],
				windows[window] + page * PAGE, nr * PAGE);
	if (got != want)
		wrong(w, "unmap", got, want);
}

static void step_attach(struct world *w, bool fail)
{
	struct device *d = &w->device[below(w, DEVICES)];
	unsigned int domain = below(w, DOMAINS);
	int want = 0, rc;

	step_is(w, d->domain >= 0 ? DETACH : ATTACH);
	if (d->domain >= 0) {
		dart_domain_detach(&w->domain[d->domain], d->at, d->nr);
		d->domain = -1;
		return;
	}
	/* Firmware's table reaches from 3200M to 3232M. */
	if (d == &w->device[3] && !window_empty(w, domain, FIRMWARE))
		want = -EEXIST;
	w->memory.fail_after = fail ? 1 : 0;
	rc = dart_domain_attach(&w->domain[domain], d->at, d->nr, 0);
	w->memory.fail_after = 0;
	if (rc != want)
		wrong(w, "attach", d - w->device, rc);
	if (!rc)
		d->domain = domain;
}

/* One of those that a device has at a DART. */
static unsigned int some_stream(struct world *w, const struct dart_attach *at)
{
	unsigned int n = below(w, STREAMS);

	while (!dart_streams_has(&at->streams, n))
		n = (n + 1) % STREAMS;
	return n;
}

static void look(struct world *w)
{
	const struct device *d = &w->device[below(w, DEVICES)];
	unsigned int part = below(w, d->nr), window = below(w, WINDOWS);
	unsigned int page = below(w, PAGES);
	unsigned int stream = some_stream(w, &d->at[part]);
	u64 offset = below(w, PAGE), iova = windows[window] + page * PAGE;
	bool write = below(w, 2);
	u64 want = should_reach(w, d, part, window, page, write);
	struct dart_error error;
	u64 got = model_access(&w->model[d->dart[part]], stream,
			       iova + offset, write);

	if (got != (want == U64_MAX ? want : want + offset))
		wrong(w, "access", got, want);
	if (dart_hw_error(&w->hw[d->dart[part]], &error) &&
	    (error.stream != stream || error.iova != iova + offset ||
	     want != U64_MAX))
		wrong(w, "error", error.iova, iova + offset);
}

static void run(struct world *w, unsigned int steps)
{
	unsigned int i, j;

	for (i = 0; i < steps && !w->wrong; i++) {
		unsigned int n = below(w, 100);

		if (n < 45)
			step_map(w, n < 2);
		else if (n < 80)
			step_unmap(w);
		else
			step_attach(w, n < 82);
		for (j = 0; j < DARTS; j++)
			if (model_stale(&w->model[j]))
				wrong(w, "kept what is not so any more", i, j);
		for (j = 0; j < 4; j++)
			look(w);
	}
}

FIXTURE(random) {
	struct world *world;
};

FIXTURE_VARIANT(random) {
	const char *kind;
};

FIXTURE_VARIANT_ADD(random, t8103) { .kind = "t8103" };
FIXTURE_VARIANT_ADD(random, t6000) { .kind = "t6000" };
FIXTURE_VARIANT_ADD(random, t8110) { .kind = "t8110" };

FIXTURE_SETUP(random)
{
	self->world = malloc(sizeof(*self->world));
}

FIXTURE_TEARDOWN(random)
{
	free(self->world);
}

/* Many steps take longer than the harness waits. */
TEST_F_TIMEOUT(random, devices_reach_what_is_mapped, 1200)
{
	const char *steps = getenv("GRANULE_DART_STEPS");

	world_init(self->world, variant->kind, random_seed(variant->kind),
		   NULL);
	run(self->world, steps ? strtoul(steps, NULL, 0) : 40000);
	EXPECT_EQ(0, self->world->wrong)
		TH_LOG("%s", self->world->what);
	EXPECT_EQ(0, world_exit(self->world));
}

/* --- mutations: it would be seen if something was not forgotten --- */

#define SEED 12345
#define ENOUGH 40000

static bool noticed(struct world *w, const char *kind, unsigned int dart,
		    unsigned int steps, struct model_mistake mistake)
{
	struct mutation m = { dart, steps, mistake };
	unsigned int leaked;

	world_init(w, kind, SEED, &m);
	run(w, ENOUGH);
	leaked = world_exit(w);
	return w->wrong && !leaked;
}

/* The same steps with DARTs that make no mistake. */
TEST_F(random, control)
{
	world_init(self->world, variant->kind, SEED, NULL);
	run(self->world, ENOUGH);
	EXPECT_EQ(0, self->world->wrong)
		TH_LOG("%s", self->world->what);
	EXPECT_EQ(0, world_exit(self->world));
}

TEST_F(random, each_kind_of_flush_is_missed)
{
	static const unsigned int kinds[] = { MAP, UNMAP, ATTACH, DETACH, ANY };
	static const unsigned int every[] = { 1, 2, 3, 10 };
	unsigned int dart, i, j;

	for (dart = 0; dart < DARTS; dart++) {
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			for (j = 0; j < ARRAY_SIZE(every); j++) {
				struct model_mistake m = { .every = every[j] };

				EXPECT_TRUE(noticed(self->world, variant->kind,
						    dart, kinds[i], m))
					TH_LOG("DART %u, steps %#x, every %u",
					       dart, kinds[i], every[j]);
			}
		}
	}
}

static bool stream_used(const struct world *w, unsigned int dart,
			unsigned int stream)
{
	unsigned int i, j;

	for (i = 0; i < DEVICES; i++)
		for (j = 0; j < w->device[i].nr; j++)
			if (w->device[i].dart[j] == dart &&
			    dart_streams_has(&w->device[i].at[j].streams,
					     stream))
				return true;
	return false;
}

/* The other streams of the DART, and of the device, are told. */
TEST_F(random, each_stream_is_missed)
{
	unsigned int dart, stream, used = 0;

	world_init(self->world, variant->kind, SEED, NULL);
	world_exit(self->world);
	for (dart = 0; dart < DARTS; dart++) {
		for (stream = 0; stream < STREAMS; stream++) {
			struct model_mistake m = { 1, true, stream };

			/* What no device has, nobody has to forget. */
			if (!stream_used(self->world, dart, stream))
				continue;
			used++;
			EXPECT_TRUE(noticed(self->world, variant->kind, dart,
					    ANY, m))
				TH_LOG("DART %u, stream %u", dart, stream);
		}
	}
	EXPECT_EQ(10, used);
}

TEST_HARNESS_MAIN
