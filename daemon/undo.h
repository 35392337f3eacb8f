/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Undo records: what a device's driver was before the daemon bound it, in
 * STATE/undo/ADDRESS.json. Written before anything is changed, so that a
 * daemon that is killed in the middle leaves its successor what to undo.
 */
#ifndef IOMMUD_UNDO_H
#define IOMMUD_UNDO_H

struct iommu_sys_device;
struct manager;

/* Before binding @dev to @driver; -errno. */
int undo_begin(struct manager *m, const struct iommu_sys_device *dev,
	       const char *driver);
/* It is bound: the record stays for Unbind. */
void undo_bound(struct manager *m, const char *device);
/* It is as it was before undo_begin(), and so is the record. */
void undo_cancel(struct manager *m, const char *device);
/* Nothing is left to undo. */
void undo_forget(struct manager *m, const char *device);
/* The driver of before, a new string; NULL: none, or not known. */
char *undo_driver(struct manager *m, const char *device);
/* Undo what was begun and not finished: for one device. */
void undo_one(struct manager *m, const char *device);
/* Undo what an earlier daemon began and did not finish. */
void undo_restore(struct manager *m);

#endif
