// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommu_error_sentence() for every reason and every detail. With an argument
 * it prints the sentences, for the comparison with golden/sentences.txt;
 * without, it checks what must hold for all of them (TAP).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>

#include "libiommu.h"

#define LAST_REASON IOMMU_REASON_NO_MEMORY

static int nr, bad;

static void ok(bool good, const char *what, int reason)
{
	nr++;
	bad += !good;
	printf("%sok %d - %s, reason %d\n", good ? "" : "not ", nr, what,
	       reason);
}

/* Numbers that are all different, so that a mix-up shows. */
static struct iommu_last_error make(int reason, int detail)
{
	return (struct iommu_last_error){
		.size = sizeof(struct iommu_last_error),
		.out_cmd = IOMMU_IOAS_MAP,
		.out_errno = EINVAL,
		.out_reason = reason,
		.out_object_id = 7,
		.out_detail = detail,
		.out_addr = 0xfee01800,
		.out_start = 0xfee00000,
		.out_last = 0xfeefffff,
		.out_limit = 0x10000,
		.out_usage = 0x8000,
		.out_need = 0x3000,
	};
}

/* Values of detail that this reason tells apart. */
static int details(int reason, int *d)
{
	int i;

	switch (reason) {
	case IOMMU_REASON_MISALIGNED:
		d[0] = IOMMU_REASON_FIELD_IOVA;
		d[1] = IOMMU_REASON_FIELD_USER_VA;
		d[2] = IOMMU_REASON_FIELD_LENGTH;
		return 3;
	case IOMMU_REASON_RESERVED:
	case IOMMU_REASON_NOT_REACHABLE:
	case IOMMU_REASON_AREA_UNREACHABLE:
		for (i = 0; i <= IOMMU_RESV_REASON_APERTURE; i++)
			d[i] = i;
		return IOMMU_RESV_REASON_APERTURE + 1;
	case IOMMU_REASON_PRIVILEGE:
		d[0] = CAP_SYS_RESOURCE;
		d[1] = CAP_IPC_LOCK;
		return 2;
	}
	d[0] = 0;
	return 1;
}

static void check(const struct iommu_last_error *e)
{
	char text[600], small[20], none[1] = { 'x' };
	int reason = e->out_reason;
	int len = iommu_error_sentence(e, "0000:00:03.0", text, sizeof(text));

	ok(len == (int)strlen(text) && len > 20 && len < 400,
	   "length is right", reason);
	ok(!strpbrk(text, "{}\n%") && !strstr(text, "  "),
	   "nothing is left to fill in", reason);
	ok(strstr(text, "; ") && text[len - 1] != '.',
	   "rule; remedy without full stop", reason);
	ok(iommu_error_sentence(e, "0000:00:03.0", small, sizeof(small)) ==
		   len && strlen(small) == sizeof(small) - 1 &&
		   !strncmp(small, text, sizeof(small) - 1),
	   "a short buffer gets the beginning", reason);
	ok(iommu_error_sentence(e, "0000:00:03.0", none, 0) == len &&
		   none[0] == 'x',
	   "no buffer is left alone", reason);
	ok(iommu_error_kind(e) > IOMMU_ERROR_OK &&
		   iommu_error_kind(e) <= IOMMU_ERROR_OTHER,
	   "it has a kind", reason);
}

int main(int argc, char **argv)
{
	char texts[LAST_REASON + 1][600];
	struct iommu_last_error e;
	int reason, other, i, n, d[16];
	bool same;

	for (reason = 0; reason <= LAST_REASON; reason++) {
		n = details(reason, d);
		for (i = 0; i < n; i++) {
			e = make(reason, d[i]);
			iommu_error_sentence(&e, i & 1 ? NULL : "0000:00:03.0",
					     texts[reason],
					     sizeof(texts[reason]));
			if (argc > 1)
				printf("%d.%d (%d): %s\n", reason, d[i],
				       iommu_error_kind(&e), texts[reason]);
			else
				check(&e);
		}
	}
	if (argc > 1)
		return argv[1] ? 0 : 1;
	for (reason = 0; reason <= LAST_REASON; reason++) {
		same = false;
		for (other = 0; other < reason; other++)
			same |= !strcmp(texts[other], texts[reason]);
		ok(!same, "its sentence is its own", reason);
	}
	e = make(LAST_REASON + 1, 0);
	iommu_error_sentence(&e, NULL, texts[0], sizeof(texts[0]));
	ok(strstr(texts[0], "Invalid argument"),
	   "a newer kernel's reason gives the errno", LAST_REASON + 1);
	printf("1..%d\n", nr);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
