// SPDX-License-Identifier: GPL-2.0-only
/*
 * What mapping and unmapping cost with a device attached, in instructions, for
 * /dev/iommu and for VFIO's type1 in the same run.
 *
 * Run in a VM that counts instructions, where the TSC is that count:
 *	tools/vm --icount --memory 2048 -- build/tests/bench/map
 *
 * page: one 4K page. scattered: 64M of 4K pages in random physical order, made
 * by touching the memory in random order. huge: 64M of transparent huge pages.
 * The latter two are given for each 4K page.
 */
#include <stdlib.h>
#include <x86intrin.h>

#include "../kselftest/edu.h"

#define PAGE 4096ULL
#define LARGE (64ULL << 20)
#define ROUNDS 101

/* One way to map: what both of them offer. */
struct backend {
	const char *name;
	int (*open)(void);
	void (*map)(void *va, uint64_t length, uint64_t iova);
	void (*unmap)(uint64_t iova, uint64_t length);
	void (*close)(void);
};

static struct edu edu;
static int iommufd, container, group;
static uint32_t ioas;

static void die(const char *what)
{
	fprintf(stderr, "map: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- /dev/iommu --- */

static int granule_open(void)
{
	iommufd = open("/dev/iommu", O_RDWR);
	if (iommufd < 0 || edu_open(&edu, 0) || edu_bind(&edu, iommufd) ||
	    iommu_ioas_alloc(iommufd, &ioas) || edu_attach(&edu, ioas))
		return -1;
	return 0;
}

static void granule_map(void *va, uint64_t length, uint64_t iova)
{
	if (iommu_map_at(iommufd, ioas, va, length,
			 IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
			 iova))
		die("IOMMU_IOAS_MAP");
}

static void granule_unmap(uint64_t iova, uint64_t length)
{
	if (iommu_unmap(iommufd, ioas, iova, length))
		die("IOMMU_IOAS_UNMAP");
}

static void granule_close(void)
{
	edu_close(&edu);
	close(iommufd);
}

/* --- type1 --- */

static int type1_open(void)
{
	char bdf[32], path[128], link[256];
	ssize_t n;

	if (edu_find(0, bdf, sizeof(bdf)))
		return -1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -1;
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0 ||
	    ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -1;
	return 0;
}

static void type1_map(void *va, uint64_t length, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = length,
	};

	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &arg))
		die("VFIO_IOMMU_MAP_DMA");
}

static void type1_unmap(uint64_t iova, uint64_t length)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.iova = iova,
		.size = length,
	};

	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &arg))
		die("VFIO_IOMMU_UNMAP_DMA");
}

static void type1_close(void)
{
	close(group);
	close(container);
}

static const struct backend backends[] = {
	{ "granule", granule_open, granule_map, granule_unmap, granule_close },
	{ "type1", type1_open, type1_map, type1_unmap, type1_close },
};

/* --- memory --- */

static uint8_t *make_memory(int advice)
{
	uint8_t *raw = mmap(NULL, 2 * LARGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *memory = (uint8_t *)(((uintptr_t)raw + LARGE - 1) &
				      ~(LARGE - 1));
	uint64_t i, j, n = LARGE / PAGE, t, *order;

	if (raw == MAP_FAILED || madvise(memory, LARGE, advice))
		die("memory");
	order = calloc(n, sizeof(*order));
	if (!order)
		die("memory");
	for (i = 0; i < n; i++)
		order[i] = i;
	srandom(1);
	for (i = n - 1; i && advice == MADV_NOHUGEPAGE; i--) {
		j = random() % (i + 1);
		t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	for (i = 0; i < n; i++)
		memory[order[i] * PAGE] = 1;
	free(order);
	return memory;
}

/* --- measuring --- */

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void measure(const struct backend *b, uint8_t *memory, uint64_t length,
		    int rounds, uint64_t out[2])
{
	static uint64_t t[2][ROUNDS];
	uint64_t start;
	int i;

	for (i = 0; i < rounds; i++) {
		start = __rdtsc();
		b->map(memory, length, LARGE);
		t[0][i] = __rdtsc() - start;
		start = __rdtsc();
		b->unmap(LARGE, length);
		t[1][i] = __rdtsc() - start;
	}
	for (i = 0; i < 2; i++) {
		qsort(t[i], rounds, sizeof(t[i][0]), compare);
		out[i] = t[i][rounds / 2] / (length / PAGE);
	}
}

int main(void)
{
	static const struct { const char *name; int huge; uint64_t length;
			      int rounds; } cases[] = {
		{ "page", 0, PAGE, ROUNDS },
		{ "scattered", 0, LARGE, 5 },
		{ "huge", 1, LARGE, 5 },
	};
	uint8_t *memory[2] = { make_memory(MADV_NOHUGEPAGE),
			       make_memory(MADV_HUGEPAGE) };
	uint64_t out[3][2][2];
	unsigned int b, c, way;
	char bdf[32];

	if (edu_find(0, bdf, sizeof(bdf)) || edu_bind_driver(bdf))
		die("edu");
	for (b = 0; b < 2; b++) {
		if (backends[b].open())
			die(backends[b].name);
		for (c = 0; c < 3; c++)
			measure(&backends[b], memory[cases[c].huge],
				cases[c].length, cases[c].rounds, out[c][b]);
		backends[b].close();
	}
	printf("%-10s %-6s %10s %10s %8s\n", "memory", "call", "granule",
	       "type1", "ratio");
	for (c = 0; c < 3; c++)
		for (way = 0; way < 2; way++)
			printf("%-10s %-6s %10llu %10llu %8.2f\n",
			       cases[c].name, way ? "unmap" : "map",
			       (unsigned long long)out[c][0][way],
			       (unsigned long long)out[c][1][way],
			       (double)out[c][0][way] / out[c][1][way]);
	return 0;
}
