// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot reset, which hits every device of a bus or slot, and the question which
 * devices that would be.
 *
 * vfio_pci_core answers both for groups only, so both are ours: a device is
 * named by its ID in the caller's iommufd, and the reset is allowed if each
 * device that it hits belongs to that iommufd. The work is done in the order
 * of vfio_pci_core, whose locks keep users off the devices meanwhile.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "private.h"

#define for_each_core(core, set) \
	list_for_each_entry(core, &(set)->device_list, vdev.dev_set_list)

/**
 * struct reset_walk - one walk over the devices that a hot reset hits
 * @slot: visit only what is in or below this slot; NULL: the whole bus
 * @set: look up owners among these, its lock is held; NULL: count only
 * @ctx: whose devices are "owned"
 * @entries: where to describe the devices, or NULL
 * @max: room in @entries
 * @count: devices visited
 * @owned: all of them belong to @ctx
 */
struct reset_walk {
	struct pci_slot *slot;
	struct vfio_device_set *set;
	struct granule_ctx *ctx;
	struct vfio_pci_dependent_device *entries;
	u32 max;
	u32 count;
	bool owned;
};

/* The device as @ctx knows it: its ID there, or a VFIO_PCI_DEVID_ constant. */
static u32 reset_devid(struct vfio_device *vdev, struct granule_ctx *ctx)
{
	struct side_device *side = side_device_bound(vdev);
	struct iommu_group *group;
	bool owned;

	if (side && side->ctx == ctx)
		return granule_device_id(side->gdev);

	/*
	 * One context owns the DMA of a whole group, so a device that nobody
	 * has opened belongs to who has bound another of its group.
	 */
	group = iommu_group_get(vdev->dev);
	if (!group)
		return VFIO_PCI_DEVID_NOT_OWNED;
	owned = granule_ctx_has_group(ctx, group);
	iommu_group_put(group);
	return owned ? VFIO_PCI_DEVID_OWNED : VFIO_PCI_DEVID_NOT_OWNED;
}

static bool reset_below_slot(struct pci_dev *pdev, struct pci_slot *slot)
{
	while (pdev && pdev->bus != slot->bus)
		pdev = pdev->bus->self;
	return pdev && pdev->slot == slot;
}

static int reset_visit(struct pci_dev *pdev, void *data)
{
	struct vfio_pci_dependent_device *entry;
	u32 devid = VFIO_PCI_DEVID_NOT_OWNED;
	struct reset_walk *walk = data;
	struct vfio_device *vdev;

	if (walk->slot && !reset_below_slot(pdev, walk->slot))
		return 0;
	walk->count++;
	if (!walk->set)
		return 0;

	/* Whoever is outside of the set would not hear of the reset */
	list_for_each_entry(vdev, &walk->set->device_list, dev_set_list) {
		if (vdev->dev == &pdev->dev) {
			devid = reset_devid(vdev, walk->ctx);
			break;
		}
	}
	if (devid == VFIO_PCI_DEVID_NOT_OWNED)
		walk->owned = false;

	if (!walk->entries)
		return 0;
	if (walk->count > walk->max)
		return -EAGAIN;
	entry = &walk->entries[walk->count - 1];
	/* Newer headers call the same word devid */
	entry->group_id = devid;
	entry->segment = pci_domain_nr(pdev->bus);
	entry->bus = pdev->bus->number;
	entry->devfn = pdev->devfn;
	return 0;
}

static void reset_walk(struct side_device *side, struct reset_walk *walk)
{
	walk->count = 0;
	walk->owned = true;
	pci_walk_bus(side->core->pdev->bus, reset_visit, walk);
}

/* Find out whether a slot or a bus is reset, or that neither can be. */
static int reset_probe(struct pci_dev *pdev, struct reset_walk *walk)
{
	if (!pci_probe_reset_slot(pdev->slot)) {
		walk->slot = pdev->slot;
		return 0;
	}
	return pci_probe_reset_bus(pdev->bus) ? -ENODEV : 0;
}

/*
 * VFIO_DEVICE_GET_PCI_HOT_RESET_INFO. Returns 0; -ENODEV when there is no such
 * reset for the device; -ENOSPC when the buffer is too small, with the count
 * that there is; -EAGAIN when a device came up meanwhile.
 */
long side_hot_reset_info(struct side_file *sf, void __user *arg)
{
	struct vfio_device_set *set = side_vdev(sf->side)->dev_set;
	struct vfio_pci_hot_reset_info __user *uinfo = arg;
	struct vfio_pci_hot_reset_info info;
	struct reset_walk walk = {};
	size_t room;
	int ret;

	if (copy_from_user(&info, uinfo, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	room = (info.argsz - sizeof(info)) / sizeof(*walk.entries);

	ret = reset_probe(sf->side->core->pdev, &walk);
	if (ret)
		return ret;
	/* What there is sizes the memory, never what the user says */
	reset_walk(sf->side, &walk);
	info.flags = 0;
	info.count = walk.count;
	if (walk.count > room)
		return copy_to_user(uinfo, &info, sizeof(info)) ? -EFAULT :
								  -ENOSPC;

	walk.max = walk.count;
	walk.entries = kcalloc(walk.max, sizeof(*walk.entries), GFP_KERNEL);
	if (!walk.entries)
		return -ENOMEM;
	walk.set = set;
	mutex_lock(&set->lock);
	walk.ctx = sf->side->ctx;
	reset_walk(sf->side, &walk);
	mutex_unlock(&set->lock);

	ret = -EAGAIN;
	if (walk.count > walk.max)
		goto out;
	info.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	if (walk.owned)
		info.flags |= VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	info.count = walk.count;
	ret = -EFAULT;
	if (copy_to_user(uinfo->devices, walk.entries,
			 walk.count * sizeof(*walk.entries)) ||
	    copy_to_user(uinfo, &info, sizeof(info)))
		goto out;
	ret = 0;
out:
	kfree(walk.entries);
	return ret;
}

/* Wake up all devices of the set, or none. */
static int reset_pm_get(struct vfio_device_set *set)
{
	struct vfio_pci_core_device *core;
	int ret;

	for_each_core(core, set) {
		ret = pm_runtime_resume_and_get(&core->pdev->dev);
		if (ret < 0)
			goto err_put;
	}
	return 0;

err_put:
	list_for_each_entry_continue_reverse(core, &set->device_list,
					     vdev.dev_set_list)
		pm_runtime_put(&core->pdev->dev);
	return ret;
}

static void reset_pm_put(struct vfio_device_set *set)
{
	struct vfio_pci_core_device *core;

	for_each_core(core, set)
		pm_runtime_put(&core->pdev->dev);
}

/*
 * Keep users off the devices: take each memory_lock, with no BAR mapped. As in
 * vfio_pci_core, who meets contention gives up: several of these locks have no
 * order among them.
 */
static int reset_lock(struct vfio_device_set *set, struct granule_ctx *ctx)
{
	struct vfio_pci_core_device *core;
	struct side_device *side;
	int ret;

	for_each_core(core, set) {
		ret = -EINVAL;
		if (reset_devid(&core->vdev, ctx) ==
		    (u32)VFIO_PCI_DEVID_NOT_OWNED)
			goto err_unlock;
		ret = -EBUSY;
		if (compat_vfio_pins_mmio(core))
			goto err_unlock;
		/* Only a file maps, and only the file that has bound */
		side = side_device_bound(&core->vdev);
		if (!compat_vfio_mmaps_zap_lock(side ? &side->mmaps : NULL,
						core))
			goto err_unlock;
	}
	return 0;

err_unlock:
	list_for_each_entry_continue_reverse(core, &set->device_list,
					     vdev.dev_set_list)
		up_write(&core->memory_lock);
	return ret;
}

static void reset_unlock(struct vfio_device_set *set)
{
	struct vfio_pci_core_device *core;

	for_each_core(core, set)
		up_write(&core->memory_lock);
}

/*
 * The reset itself would wake a sleeping device too, but one that loses its
 * state by that wants it back from where vfio_pci_core put it.
 */
static void reset_wake(struct vfio_pci_core_device *core)
{
	struct pci_dev *pdev = core->pdev;
	bool restore = core->needs_pm_restore &&
		       pdev->current_state >= PCI_D3hot;

	if (!pci_set_power_state(pdev, PCI_D0) && restore) {
		pci_load_and_free_saved_state(pdev, &core->pm_save);
		pci_restore_state(pdev);
	}
}

/*
 * VFIO_DEVICE_PCI_HOT_RESET. Returns 0; -EINVAL for wrong fields, group files
 * among them, and when a device that would be hit belongs to somebody else;
 * -ENODEV when there is no such reset; -EBUSY when a device is being accessed
 * right now.
 */
long side_hot_reset(struct side_file *sf, void __user *arg)
{
	struct vfio_device_set *set = side_vdev(sf->side)->dev_set;
	struct pci_dev *pdev = sf->side->core->pdev;
	struct vfio_pci_core_device *core;
	struct vfio_pci_hot_reset reset;
	struct reset_walk walk = {};
	int ret;

	if (copy_from_user(&reset, arg, sizeof(reset)))
		return -EFAULT;
	if (reset.argsz < sizeof(reset) || reset.flags || reset.count)
		return -EINVAL;
	ret = reset_probe(pdev, &walk);
	if (ret)
		return ret;

	mutex_lock(&set->lock);
	walk.set = set;
	walk.ctx = sf->side->ctx;
	reset_walk(sf->side, &walk);
	if (!walk.owned) {
		ret = -EINVAL;
		goto out_unlock;
	}
	ret = reset_pm_get(set);
	if (ret)
		goto out_unlock;
	ret = reset_lock(set, walk.ctx);
	if (ret)
		goto out_pm;

	for_each_core(core, set)
		reset_wake(core);
	ret = pci_reset_bus(pdev);

	reset_unlock(set);
out_pm:
	reset_pm_put(set);
out_unlock:
	mutex_unlock(&set->lock);
	return ret;
}
