/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/mm.h> as Linux 6.12 has it: pinning of user memory, and mmap(). */
#ifndef COMPAT_MM_H
#define COMPAT_MM_H

#include <linux/mm.h>
#include <linux/sched/mm.h>

#ifndef HAVE_PIN_WITHOUT_VMAS
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

#define pin_user_pages_remote compat_pin_user_pages_remote
#endif

#ifndef HAVE_VM_FLAGS_SET
/* Flags were changed in place, with mmap_lock held for writing as well. */
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef HAVE_MM_GET_UNMAPPED_AREA
static inline unsigned long
mm_get_unmapped_area(struct mm_struct *mm, struct file *file,
		     unsigned long addr, unsigned long len,
		     unsigned long pgoff, unsigned long flags)
{
	return mm->get_unmapped_area(file, addr, len, pgoff, flags);
}
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
