// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which lines of the kernel's log are DMA faults, and of what.
 *
 * VT-d's lines are from machines with 6.1 and 6.12 under QEMU; AMD's follow
 * the text of their drivers, as QEMU's AMD IOMMU reports no faults.
 */
#include <stdio.h>
#include <string.h>

#include "libiommu.h"

static const struct {
	const char *line;
	const char *device;	/* NULL: it is no fault */
	__u64 addr;
	bool write;
} lines[] = {
	{ "DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault addr "
	  "0x1010000 [fault reason 0x06] PTE Read access is not set",
	  "0000:00:10.0", 0x1010000, false },
	{ "DMAR: [DMA Write NO_PASID] Request device [00:10.0] fault addr "
	  "0x1010000 [fault reason 0x05] PTE Write access is not set",
	  "0000:00:10.0", 0x1010000, true },
	{ "DMAR: [DMA Write NO_PASID] Request device [01:00.1] fault addr "
	  "0xffffffffffff0000 [fault reason 0x02] Present bit in context entry "
	  "is clear", "0000:01:00.1", 0xffffffffffff0000, true },
	{ "DMAR: [DMA Read PASID 0x1] Request device [6b:01.0] fault addr "
	  "0x7f3b25a00000 [fault reason 0x5a] SM: Read/Write permission error",
	  "0000:6b:01.0", 0x7f3b25a00000, false },
	{ "edu 0000:00:10.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
	  "domain=0x0011 address=0x1010000 flags=0x0000]",
	  "0000:00:10.0", 0x1010000, false },
	{ "vfio-pci 0001:41:00.3: AMD-Vi: Event logged [IO_PAGE_FAULT "
	  "domain=0x000f address=0xfdf8020200 flags=0x0020]",
	  "0001:41:00.3", 0xfdf8020200, true },
	{ "AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:02:00.0 "
	  "domain=0x000e address=0x80000000 flags=0x0050]",
	  "0000:02:00.0", 0x80000000, false },
	{ "AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x000e "
	  "address=0x80000000 flags=0x0030]",
	  "0000:02:00.0", 0x80000000, true },
	{ .line = "DMAR: DRHD: handling fault status reg 2" },
	{ .line = "DMAR: [INTR-REMAP] Request device [f0:1f.7] fault "
	  "index 0x0 [fault "
	  "reason 0x25] Blocked a compatibility format interrupt request" },
	{ .line = "DMAR: Host address width 39" },
	{ .line = "AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 "
	  "domain=0x000e "
	  "address=0x80000000 flags=0x0008]" },
	{ .line = "edu 0000:00:10.0: AMD-Vi: Event logged "
	  "[INVALID_DEVICE_REQUEST "
	  "address=0x1010000 flags=0x0000]" },
	{ .line = "DMAR: [DMA Read NO_PASID] Request device [00:30.0] fault "
	  "addr "
	  "0x1010000 [fault reason 0x06] no such slot" },
	{ .line = "DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault "
	  "addr" },
	{ .line = "DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault "
	  "addr -1" },
	{ .line = "DMAR: [DMA Read NO_PASID] Request device [] fault addr "
	  "0x1" },
	{ .line = "DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault "
	  "addr "
	  "0x11111111111111111 [fault reason 0x06] more than 64 bits" },
	{ .line = "DMAR: " },
	{ .line = "AMD-Vi: Event logged [IO_PAGE_FAULT " },
	{ .line = ": AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0011 "
	  "address=0x1 "
	  "flags=0x0000]" },
	{ .line = "edu 0000:00:10.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
	  "domain=0x11 "
	  "address=0x1010000]" },
	{ .line = "usb 1-1: DMAR: [DMA Read NO_PASID] Request device "
	  "[00:10.0] fault "
	  "addr 0x1010000" },
	{ .line = "" },
};

static bool good(size_t i)
{
	struct iommu_event e;
	char text[200];

	if (!iommu_event_from_log(lines[i].line, &e))
		return !lines[i].device;
	iommu_event_sentence(&e, text, sizeof(text));
	printf("# %s\n", text);
	return lines[i].device && !strcmp(e.device, lines[i].device) &&
	       e.addr == lines[i].addr && e.write == lines[i].write &&
	       e.read == !e.write &&
	       e.kind == IOMMU_EVENT_FAULT && e.from_log && !e.context;
}

int main(void)
{
	size_t i, nr = sizeof(lines) / sizeof(lines[0]);
	int failed = 0;

	printf("1..%zu\n", nr);
	for (i = 0; i < nr; i++) {
		bool fine = good(i);

		failed |= !fine;
		printf("%sok %zu - %.60s\n", fine ? "" : "not ", i + 1,
		       lines[i].line);
	}
	return failed;
}
