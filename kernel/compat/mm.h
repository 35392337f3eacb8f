/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/mm.h> as Linux 6.12 has it: pinning of user memory. */
#ifndef COMPAT_MM_H
#define COMPAT_MM_H

#include <linux/mm.h>

#ifndef HAVE_PIN_WITHOUT_VMAS
static inline long compat_pin_user_pages(unsigned long start,
					 unsigned long nr_pages,
					 unsigned int gup_flags,
					 struct page **pages)
{
	return pin_user_pages(start, nr_pages, gup_flags, pages, NULL);
}

static inline long compat_pin_user_pages_remote(struct mm_struct *mm,
						unsigned long start,
						unsigned long nr_pages,
						unsigned int gup_flags,
						struct page **pages,
						int *locked)
{
	/* With FOLL_LONGTERM the lock was not dropped, nor was it to be. */
	return pin_user_pages_remote(mm, start, nr_pages, gup_flags, pages,
				     NULL,
				     gup_flags & FOLL_LONGTERM ? NULL : locked);
}

#define pin_user_pages compat_pin_user_pages
#define pin_user_pages_remote compat_pin_user_pages_remote
#endif

/*
 * 1 when a long-term pin for reading does not break copy-on-write by itself:
 * a private page that was only read so far, the zero page included, would be
 * replaced under the device at the process's first write. Such a pin has to
 * ask for FOLL_WRITE | FOLL_FORCE.
 */
#ifdef HAVE_PIN_RO_LONGTERM
#define GRANULE_PIN_RO_FORCE 0
#else
#define GRANULE_PIN_RO_FORCE 1
#endif

#endif
