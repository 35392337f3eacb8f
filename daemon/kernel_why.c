// SPDX-License-Identifier: GPL-2.0-only
/* Why the kernel refused something, as a sentence. */
#include <errno.h>
#include <string.h>

#include "kernel_why.h"
#include "libiommu.h"
#include "util.h"

static const int errno_of_kind[] = {
	[IOMMU_ERROR_USAGE] = EINVAL, [IOMMU_ERROR_NOT_FOUND] = ENOENT,
	[IOMMU_ERROR_BUSY] = EBUSY, [IOMMU_ERROR_PERMISSION] = EPERM,
	[IOMMU_ERROR_REFUSED] = EINVAL, [IOMMU_ERROR_NO_MODULE] = ENXIO,
	[IOMMU_ERROR_OTHER] = EIO,
};

int kernel_why(struct why *w, int iommufd, int rc, const char *subject,
	       const char *target, const char *what)
{
	struct iommu_last_error e;
	char text[400];

	if (iommu_last_error(iommufd, &e) || (int)e.out_errno != -rc ||
	    e.out_reason <= IOMMU_REASON_ERRNO)
		return why(w, rc, "%s cannot be %s: %s", subject, what,
			   strerror(-rc));
	iommu_error_sentence(&e, target, text, sizeof(text));
	return why(w, -errno_of_kind[iommu_error_kind(&e)],
		   "%s cannot be %s: %s", subject, what, text);
}
