// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as the device sees it: through the translations of its domain.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "granule-dma.h"
#include "selftest.h"

static const char * const counter_names[] = {
	"mapped_granules", "bounce_granules",
};

static struct file *file_open(const char *path)
{
	struct file *file = filp_open(path, O_RDONLY, 0);

	return IS_ERR(file) ? NULL : file;
}

static struct file *attribute_open(int group, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/granule-dma/%d/%s", group,
		 name);
	return file_open(path);
}

static struct file *faults_open(struct test_dev *t)
{
	char path[96];

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/granule-virtio-iommu/faults",
		 pci_name(t->pdev));
	return file_open(path);
}

static s64 attribute_read(struct file *file)
{
	char text[32] = "";
	loff_t at = 0;
	s64 value;

	if (!file || kernel_read(file, text, sizeof(text) - 1, &at) <= 0 ||
	    kstrtos64(strim(text), 0, &value))
		return -1;
	return value;
}

s64 counter_read(struct test_dev *t, enum counter counter)
{
	return attribute_read(t->counters[counter]);
}

s64 faults_read(struct test_dev *t)
{
	return attribute_read(t->faults);
}

void counters_read(struct test_dev *t, struct counters *now)
{
	int i;

	for (i = 0; i < NR_COUNTERS; i++)
		now->v[i] = counter_read(t, i);
}

int counters_check(struct run *run, const struct counters *before,
		   const char *when)
{
	struct counters now;
	int i;

	counters_read(run->t, &now);
	for (i = 0; i < NR_COUNTERS && run->t->ours; i++)
		if (now.v[i] < 0)
			return wrong(run, "%s: %s cannot be read", when,
				     counter_names[i]);
	for (i = 0; i < NR_COUNTERS; i++)
		if (now.v[i] != before->v[i])
			return wrong(run, "%s: %s is %lld, was %lld", when,
				     counter_names[i], now.v[i], before->v[i]);
	return 0;
}

/*
 * The core knows the domain of its own DMA API; of ours it knows only that the
 * device is in its default domain, which is an identity domain by name.
 */
int view_init(struct test_dev *t)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(t->dev);
	struct iommu_group *group = iommu_group_get(t->dev);
	typeof(&granule_dma_domain) ask;
	struct file *trusted;
	int i;

	if (!group)
		return 0;
	t->trusted = true;
	t->granule = PAGE_SIZE;
	if (domain && domain->type & __IOMMU_DOMAIN_PAGING) {
		t->domain = domain;
	} else {
		ask = symbol_get(granule_dma_domain);
		if (ask) {
			domain = ask(t->dev);
			symbol_put(granule_dma_domain);
			if (IS_ERR(domain)) {
				iommu_group_put(group);
				return PTR_ERR(domain);
			}
			t->domain = domain;
			t->ours = domain;
		}
	}
	if (t->domain)
		t->granule = t->domain->pgsize_bitmap &
			     -t->domain->pgsize_bitmap;
	if (t->ours) {
		for (i = 0; i < NR_COUNTERS; i++)
			t->counters[i] = attribute_open(iommu_group_id(group),
							counter_names[i]);
		t->faults = faults_open(t);
		trusted = attribute_open(iommu_group_id(group), "trusted");
		t->trusted = attribute_read(trusted) == 1;
		if (trusted)
			fput(trusted);
	}
	iommu_group_put(group);
	return 0;
}

void view_exit(struct test_dev *t)
{
	int i;

	for (i = 0; i < NR_COUNTERS; i++)
		if (t->counters[i])
			fput(t->counters[i]);
	if (t->faults)
		fput(t->faults);
}

phys_addr_t view_phys(struct test_dev *t, dma_addr_t addr)
{
	if (!t->domain)
		return addr;
	return t->domain->ops->iova_to_phys(t->domain, addr);
}

void *view_at(struct test_dev *t, dma_addr_t addr)
{
	phys_addr_t phys = view_phys(t, addr);

	return phys && pfn_valid(PHYS_PFN(phys)) ? phys_to_virt(phys) : NULL;
}

/* One granule, or a part of it, that is a copy of ours. */
static int check_bounced(struct run *run, dma_addr_t addr, phys_addr_t phys,
			 u64 size, u64 key, unsigned int flags,
			 phys_addr_t seen)
{
	u64 granule = run->t->granule, offset = addr & (granule - 1);
	const u8 *base = phys_to_virt(seen - offset), *bad;
	s64 diff;

	run->bounced++;
	if ((seen ^ addr) & (granule - 1))
		return wrong(run, "%#llx is bounced to %#llx: not a granule's start",
			     (u64)addr, (u64)seen);
	diff = content_diff(base + offset, key, phys, size);
	if (diff >= 0 && (!(flags & VIEW_STALE) ||
			  memchr_inv(base + offset, 0, size)))
		return wrong(run, "at %#llx the device sees %#x, which is not what is at %#llx",
			     (u64)addr + diff, base[offset + diff],
			     (u64)phys + diff);
	if (flags & VIEW_PARTIAL)
		return 0;
	bad = memchr_inv(base, 0, offset);
	if (!bad)
		bad = memchr_inv(base + offset + size, 0,
				 granule - offset - size);
	if (bad)
		return wrong(run, "beside %#llx+%#llx the device sees %#x at %#llx: not zero",
			     (u64)addr, size, *bad,
			     (u64)addr - offset + (bad - base));
	return 0;
}

int view_check(struct run *run, dma_addr_t addr, phys_addr_t phys, u64 size,
	       u64 key, unsigned int flags)
{
	struct test_dev *t = run->t;
	phys_addr_t seen, last;
	u64 at, n;
	s64 diff;
	int rc;

	if (t->domain && (addr ^ phys) & (t->granule - 1))
		return wrong(run, "%#llx became %#llx: another offset in the granule",
			     (u64)phys, (u64)addr);
	for (at = 0; at < size; at += n) {
		n = bytes_to_border(t, addr + at, size - at);
		seen = view_phys(t, addr + at);
		last = view_phys(t, addr + at + n - 1);
		if (!seen || last != seen + n - 1)
			return wrong(run, "%#llx leads to %#llx, %#llx to %#llx",
				     (u64)addr + at, (u64)seen,
				     (u64)addr + at + n - 1, (u64)last);
		if (seen == phys + at) {
			if (!t->trusted && n < t->granule &&
			    !(flags & VIEW_PARTIAL))
				return wrong(run, "at %#llx+%#llx an untrusted device sees the memory beside it",
					     (u64)addr + at, n);
			diff = content_diff(phys_to_virt(seen), key, phys + at,
					    min(n, 64ULL));
			if (diff >= 0)
				return wrong(run, "memory at %#llx has changed",
					     (u64)seen + diff);
			continue;
		}
		if (t->trusted)
			return wrong(run, "%#llx leads to %#llx, not to %#llx",
				     (u64)addr + at, (u64)seen, (u64)phys + at);
		/* Short pieces may be copied as a whole. */
		if (n == t->granule && !(flags & VIEW_PARTIAL) &&
		    (phys & (t->granule - 1)) + size >
		    max_t(u64, SZ_64K, 2 * t->granule))
			return wrong(run, "the whole granule at %#llx is bounced",
				     (u64)addr + at);
		rc = check_bounced(run, addr + at, phys + at, n, key, flags,
				   seen);
		if (rc)
			return rc;
	}
	return 0;
}

int view_check_gone(struct run *run, dma_addr_t addr, u64 size)
{
	struct test_dev *t = run->t;
	u64 i, at = addr & -t->granule;

	if (!t->domain || !run->alone)
		return 0;
	for (i = granules_around(t, addr, size); i; i--, at += t->granule)
		if (view_phys(t, at))
			return wrong(run, "%#llx+%#llx was unmapped, but %#llx leads to %#llx",
				     (u64)addr, size, at,
				     (u64)view_phys(t, at));
	return 0;
}
