// SPDX-License-Identifier: GPL-2.0-only
/*
 * granule-virtio-iommu.ko: virtio-iommu devices with pages of any size. Coming
 * and going; everything else is in the file of its noun.
 *
 * Unloading. The IOMMU core holds the module for each device that it probed,
 * with a driver or without, on every kernel: "modprobe -r" alone says that the
 * module is in use. The references go with the devices (remove them by sysfs,
 * or unplug them), or with the IOMMU: unbind its transport,
 *
 *	echo 0000:00:02.0 >/sys/bus/pci/drivers/virtio-pci/unbind
 *
 * or remove it. Nobody can refuse that, so drivers whose DMA goes through the
 * IOMMU are unbound first, and wait for their users as they do when they are
 * unbound by hand. Then the module can be unloaded, another one loaded, and
 * the transport bound again. What this driver was bound to directly cannot be
 * unbound (suppress_bind_attrs): that would be an accident.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "compat/iommu-driver.h"
#include "compat/virtio.h"
#include "private.h"

/* More than that about one endpoint is not credible. */
#define VIOMMU_MAX_PROBE_SIZE (64 * 1024)

DEFINE_MUTEX(viommu_lock);
LIST_HEAD(viommus);

/* --- operations that are not a file's own --- */

static bool viommu_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static struct iommu_group *viommu_device_group(struct device *dev)
{
	return dev_is_pci(dev) ? pci_device_group(dev) :
				 generic_device_group(dev);
}

/* What that means is decided by viommu_place(). */
static int viommu_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static int viommu_of_xlate(struct device *dev,
			   OF_XLATE_CONST struct of_phandle_args *args)
{
	u32 id = args->args[0];

	if (args->args_count != 1)
		return -EINVAL;
	return iommu_fwspec_add_ids(dev, &id, 1);
}

/*
 * Which IOMMUs it is for shows when it is attached. Until then it says what
 * holds for all of them.
 */
static struct iommu_domain *viommu_unassigned_alloc(void)
{
	struct viommu_domain *domain = viommu_paging_alloc(NULL);
	struct iommu_domain_geometry *g;
	struct viommu *viommu;

	if (IS_ERR(domain))
		return NULL;
	g = &domain->domain.geometry;
	g->aperture_end = ~(dma_addr_t)0;
	g->force_aperture = true;
	domain->domain.pgsize_bitmap = ~0UL;
	guard(mutex)(&viommu_lock);
	list_for_each_entry(viommu, &viommus, item) {
		domain->domain.pgsize_bitmap &= viommu->pgsizes;
		g->aperture_start = max_t(u64, g->aperture_start,
					  viommu->first);
		g->aperture_end = min_t(u64, g->aperture_end, viommu->last);
	}
	return &domain->domain;
}

/* NULL is for "no such domain" and "no memory", with every core. */
struct iommu_domain *viommu_domain_alloc(unsigned int type)
{
	return type == IOMMU_DOMAIN_UNMANAGED ? viommu_unassigned_alloc() :
						viommu_token_alloc(type);
}

static __maybe_unused struct iommu_domain *
viommu_domain_alloc_paging(struct device *dev)
{
	struct viommu_domain *domain;
	struct viommu_endpoint *ep;

	if (!dev)
		return viommu_unassigned_alloc();
	ep = dev_iommu_priv_get(dev);
	domain = viommu_paging_alloc(ep->viommu);
	return IS_ERR(domain) ? ERR_CAST(domain) : &domain->domain;
}

struct iommu_ops viommu_ops = {
	.capable = viommu_capable,
	.domain_alloc = viommu_domain_alloc,
	COMPAT_DOMAIN_ALLOC_PAGING(viommu_domain_alloc_paging)
	.probe_device = viommu_probe_device,
	.probe_finalize = viommu_probe_finalize,
	.release_device = viommu_release_device,
	.device_group = viommu_device_group,
	.get_resv_regions = viommu_get_resv_regions,
	.def_domain_type = viommu_def_domain_type,
	.of_xlate = viommu_of_xlate,
	.owner = THIS_MODULE,
};

static const struct granule_dma_provider viommu_provider = {
	.owner = THIS_MODULE,
	.ops = &viommu_ops,
	/*
	 * QEMU (up to 10 at least) looks for two bytes where one is accessed:
	 * what begins with a mapping's last byte may be led to the mapping
	 * that follows it.
	 */
	.gap = 1,
	.domain_alloc = viommu_dma_domain_alloc,
	.settle = viommu_settle,
	.untrusted = viommu_untrusted,
	.map = viommu_dma_map,
	.sync = viommu_dma_sync,
	.unmap = viommu_dma_unmap,
};

/* --- a device --- */

static void viommu_free(struct kref *ref)
{
	struct viommu *viommu = container_of(ref, struct viommu, ref);

	flush_work(&viommu->report);
	xa_destroy(&viommu->attached);
	ida_destroy(&viommu->domain_ids);
	put_device(&viommu->vdev->dev);
	kfree(viommu);
}

void viommu_put(struct viommu *viommu)
{
	kref_put(&viommu->ref, viommu_free);
}

static struct viommu *viommu_new(struct virtio_device *vdev)
{
	struct viommu *viommu = kzalloc(sizeof(*viommu), GFP_KERNEL);

	if (!viommu)
		return NULL;
	get_device(&vdev->dev);
	viommu->vdev = vdev;
	kref_init(&viommu->ref);
	INIT_LIST_HEAD(&viommu->item);
	INIT_LIST_HEAD(&viommu->endpoints);
	INIT_LIST_HEAD(&viommu->idle);
	INIT_LIST_HEAD(&viommu->busy);
	ida_init(&viommu->domain_ids);
	xa_init_flags(&viommu->attached, XA_FLAGS_LOCK_IRQ);
	spin_lock_init(&viommu->lock);
	spin_lock_init(&viommu->event_lock);
	INIT_WORK(&viommu->event_work, viommu_event_work);
	INIT_WORK(&viommu->report, viommu_report);
	INIT_DELAYED_WORK(&viommu->event_summary, viommu_event_summary);
	viommu->event_window = jiffies;
	return viommu;
}

static void viommu_read_config(struct viommu *viommu)
{
	struct virtio_device *vdev = viommu->vdev;

	viommu->last = U64_MAX;
	viommu->last_domain = U32_MAX;
	virtio_cread_le(vdev, struct virtio_iommu_config, page_size_mask,
			&viommu->pgsizes);
	virtio_cread_le_feature(vdev, VIRTIO_IOMMU_F_INPUT_RANGE,
				struct virtio_iommu_config, input_range.start,
				&viommu->first);
	virtio_cread_le_feature(vdev, VIRTIO_IOMMU_F_INPUT_RANGE,
				struct virtio_iommu_config, input_range.end,
				&viommu->last);
	virtio_cread_le_feature(vdev, VIRTIO_IOMMU_F_DOMAIN_RANGE,
				struct virtio_iommu_config, domain_range.start,
				&viommu->first_domain);
	virtio_cread_le_feature(vdev, VIRTIO_IOMMU_F_DOMAIN_RANGE,
				struct virtio_iommu_config, domain_range.end,
				&viommu->last_domain);
	virtio_cread_le_feature(vdev, VIRTIO_IOMMU_F_PROBE,
				struct virtio_iommu_config, probe_size,
				&viommu->probe_size);
	viommu->has_bypass = virtio_has_feature(vdev,
						VIRTIO_IOMMU_F_BYPASS_CONFIG);
	viommu->map_flags = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE;
	if (virtio_has_feature(vdev, VIRTIO_IOMMU_F_MMIO))
		viommu->map_flags |= VIRTIO_IOMMU_MAP_F_MMIO;
}

static int viommu_check_config(const struct viommu *viommu)
{
	struct device *dev = &viommu->vdev->dev;
	u64 granule;

	if (!(unsigned long)viommu->pgsizes) {
		dev_err(dev, "page_size_mask is %#llx: no page of a size for this CPU\n",
			viommu->pgsizes);
		return -EINVAL;
	}
	granule = 1ULL << __ffs64(viommu->pgsizes);
	if (viommu->first > viommu->last ||
	    viommu->last - viommu->first < granule - 1) {
		dev_err(dev, "input_range %#llx-%#llx has no room for a page of %#llx\n",
			viommu->first, viommu->last, granule);
		return -EINVAL;
	}
	/* Two are for devices that are blocked, or not translated. */
	if (viommu->first_domain > INT_MAX ||
	    viommu->first_domain > viommu->last_domain ||
	    viommu->last_domain - viommu->first_domain < 2) {
		dev_err(dev, "domain_range %u-%u: 3 domains below 2^31 are needed\n",
			viommu->first_domain, viommu->last_domain);
		return -EINVAL;
	}
	if (viommu->probe_size > VIOMMU_MAX_PROBE_SIZE) {
		dev_err(dev, "probe_size is %u, %u is the most that is believed\n",
			viommu->probe_size, VIOMMU_MAX_PROBE_SIZE);
		return -EINVAL;
	}
	return 0;
}

/* Domains of the IOMMU's own, for all its devices. */
static int viommu_own_domain(struct viommu *viommu, struct viommu_part *part,
			     u32 flags)
{
	int id = ida_alloc_range(&viommu->domain_ids, viommu->first_domain,
				 viommu->last_domain, GFP_KERNEL);

	if (id < 0)
		return id;
	part->viommu = viommu;
	part->id = id;
	part->attach_flags = flags;
	return 0;
}

static int viommu_own_domains(struct viommu *viommu)
{
	int rc = viommu_own_domain(viommu, &viommu->blocked, 0);

	if (!rc && viommu->has_bypass)
		rc = viommu_own_domain(viommu, &viommu->bypass,
				       VIRTIO_IOMMU_ATTACH_F_BYPASS);
	return rc;
}

static void viommu_stop(struct viommu *viommu)
{
	virtio_reset_device(viommu->vdev);
	viommu_events_exit(viommu);
	viommu_requests_exit(viommu);
	viommu->vdev->config->del_vqs(viommu->vdev);
}

static int viommu_start(struct viommu *viommu)
{
	enum { REQUEST, EVENT, NR };
	struct virtqueue_info info[NR] = {
		[REQUEST] = { "request" },
		[EVENT] = { "event", viommu_event_callback },
	};
	struct virtqueue *vqs[NR];
	int rc;

	rc = virtio_find_vqs(viommu->vdev, NR, vqs, info, NULL);
	if (rc)
		return rc;
	rc = viommu_requests_init(viommu, vqs[REQUEST]);
	if (rc)
		goto err_vqs;
	rc = viommu_events_init(viommu, vqs[EVENT]);
	if (rc)
		goto err_stop;
	virtio_device_ready(viommu->vdev);
	viommu_events_start(viommu);
	return 0;

err_stop:
	viommu_stop(viommu);
	return rc;
err_vqs:
	viommu->vdev->config->del_vqs(viommu->vdev);
	return rc;
}

static void viommu_unlist(struct viommu *viommu)
{
	guard(mutex)(&viommu_lock);
	list_del(&viommu->item);
	if (list_empty(&viommus))
		compat_iommu_ops_forget(&viommu_ops);
}

static int viommu_validate(struct virtio_device *vdev)
{
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ||
	    !virtio_has_feature(vdev, VIRTIO_IOMMU_F_MAP_UNMAP)) {
		dev_err(&vdev->dev, "too old: VIRTIO_F_VERSION_1 and VIRTIO_IOMMU_F_MAP_UNMAP are needed\n");
		return -EINVAL;
	}
	/* Would cost an allocation for each request. */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}

static int viommu_probe(struct virtio_device *vdev)
{
	struct viommu *viommu = viommu_new(vdev);
	int rc;

	if (!viommu)
		return -ENOMEM;
	vdev->priv = viommu;
	viommu_read_config(viommu);
	rc = viommu_check_config(viommu);
	if (!rc)
		rc = viommu_own_domains(viommu);
	if (rc)
		goto err_put;
	rc = viommu_start(viommu);
	if (rc)
		goto err_put;
	rc = iommu_device_sysfs_add(&viommu->iommu, &vdev->dev, viommu_groups,
				    "%s", virtio_bus_name(vdev));
	if (rc)
		goto err_stop;
	mutex_lock(&viommu_lock);
	list_add_tail(&viommu->item, &viommus);
	mutex_unlock(&viommu_lock);
	dev_info(&vdev->dev, "granule %#llx, IOVAs %#llx-%#llx%s\n",
		 1ULL << __ffs64(viommu->pgsizes), viommu->first, viommu->last,
		 viommu->has_bypass ? "" : ", no bypass");
	rc = iommu_device_register(&viommu->iommu, &viommu_ops,
				   vdev->dev.parent);
	if (rc) {
		dev_err(&vdev->dev, "not registered as an IOMMU (%d)%s\n", rc,
			rc == -EBUSY ? ": there is another kind" : "");
		goto err_unlist;
	}
	viommu_own_bound(viommu);
	viommu_introduce_all();
	return 0;

err_unlist:
	viommu_unlist(viommu);
	iommu_device_sysfs_remove(&viommu->iommu);
err_stop:
	viommu_stop(viommu);
err_put:
	viommu_put(viommu);
	return rc;
}

static void viommu_remove(struct virtio_device *vdev)
{
	struct viommu *viommu = vdev->priv;

	mutex_lock(&viommu_lock);
	viommu->leaving = true;
	mutex_unlock(&viommu_lock);
	viommu_unbind_users(viommu);
	/* In this order: the first unlinks devices from what the second frees. */
	iommu_device_unregister(&viommu->iommu);
	iommu_device_sysfs_remove(&viommu->iommu);
	viommu_unlist(viommu);
	viommu_stop(viommu);
	viommu_put(viommu);
}

#ifdef CONFIG_PM_SLEEP
/* The devices behind it are asleep. Mapping and unmapping wait for the replay. */
static int viommu_freeze(struct virtio_device *vdev)
{
	struct viommu *viommu = vdev->priv;
	struct viommu_endpoint *ep;

	mutex_lock(&viommu_lock);
	list_for_each_entry(ep, &viommu->endpoints, item)
		if (ep->part)
			viommu_part_retire(ep->part);
	mutex_unlock(&viommu_lock);
	viommu_stop(viommu);
	return 0;
}

static int viommu_restore(struct virtio_device *vdev)
{
	struct viommu *viommu = vdev->priv;
	int rc;

	rc = viommu_start(viommu);
	if (rc)
		return rc;
	mutex_lock(&viommu_lock);
	viommu_reattach_all(viommu);
	mutex_unlock(&viommu_lock);
	return 0;
}
#endif

static const struct virtio_device_id viommu_ids[] = {
	{ VIRTIO_ID_IOMMU, VIRTIO_DEV_ANY_ID },
	{ }
};
MODULE_DEVICE_TABLE(virtio, viommu_ids);

static const unsigned int viommu_features[] = {
	VIRTIO_IOMMU_F_INPUT_RANGE,
	VIRTIO_IOMMU_F_DOMAIN_RANGE,
	VIRTIO_IOMMU_F_MAP_UNMAP,
	VIRTIO_IOMMU_F_PROBE,
	VIRTIO_IOMMU_F_MMIO,
	VIRTIO_IOMMU_F_BYPASS_CONFIG,
};

static struct virtio_driver viommu_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.driver.suppress_bind_attrs = true,
	.id_table = viommu_ids,
	.feature_table = viommu_features,
	.feature_table_size = ARRAY_SIZE(viommu_features),
	.validate = viommu_validate,
	.probe = viommu_probe,
	.remove = viommu_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = viommu_freeze,
	.restore = viommu_restore,
#endif
};

static int __init viommu_init(void)
{
	int rc;

	rc = viommu_domains_init();
	if (rc)
		return rc;
	rc = granule_dma_register(&viommu_provider);
	if (rc)
		goto err_domains;
	rc = viommu_arrivals_init();
	if (rc)
		goto err_dma;
	rc = register_virtio_driver(&viommu_driver);
	if (rc)
		goto err_arrivals;
	return 0;

err_arrivals:
	viommu_arrivals_exit();
err_dma:
	granule_dma_unregister(&viommu_provider);
err_domains:
	viommu_domains_exit();
	return rc;
}
module_init(viommu_init);

static void __exit viommu_exit(void)
{
	unregister_virtio_driver(&viommu_driver);
	viommu_arrivals_exit();
	granule_dma_unregister(&viommu_provider);
	viommu_domains_exit();
}
module_exit(viommu_exit);

MODULE_DESCRIPTION("virtio-iommu with IOMMU pages larger than the CPU's");
MODULE_LICENSE("GPL");
