/* SPDX-License-Identifier: GPL-2.0-only */
/* Why the kernel refused something, as a sentence. */
#ifndef IOMMUD_KERNEL_WHY_H
#define IOMMUD_KERNEL_WHY_H

struct why;

/**
 * kernel_why - the kernel's reason for the latest failure, if it gave one
 * @rc: the failure, -errno
 * @subject: what could not be done with it, "region ring"
 * @target: of "iommuctl ranges", which the sentence may point to
 * @what: was to be done, "mapped"
 *
 * Return: an errno for service.h's errors, negative.
 */
int kernel_why(struct why *w, int iommufd, int rc, const char *subject,
	       const char *target, const char *what);

#endif
