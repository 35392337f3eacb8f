// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault reports: counted, given to the domain's handler, and shown in the log
 * as far as that is of use: a device may report each 4 bytes of a transfer.
 */
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "private.h"

/* What the log gets, at most: so many lines in so long. */
#define VIOMMU_FAULT_LINES 10
#define VIOMMU_FAULT_WINDOW (5 * HZ)

static const char *const viommu_reasons[] = {
	[VIRTIO_IOMMU_FAULT_R_UNKNOWN] = "for a reason the IOMMU does not tell",
	[VIRTIO_IOMMU_FAULT_R_DOMAIN] = "because it is in no domain",
	[VIRTIO_IOMMU_FAULT_R_MAPPING] = "because that is not mapped for it",
};

static const char *viommu_reason(u8 reason)
{
	if (reason >= ARRAY_SIZE(viommu_reasons))
		reason = VIRTIO_IOMMU_FAULT_R_UNKNOWN;
	return viommu_reasons[reason];
}

static const char *viommu_access(u32 flags)
{
	if (flags & VIRTIO_IOMMU_FAULT_F_WRITE)
		return "write";
	if (flags & VIRTIO_IOMMU_FAULT_F_READ)
		return "read";
	return flags & VIRTIO_IOMMU_FAULT_F_EXEC ? "execution" : "access";
}

/* Reports that are dealt with in one go. */
#define VIOMMU_FAULTS_AT_ONCE 256

/* May a line be written? If not, it is counted. */
static bool viommu_may_log(struct viommu *viommu)
{
	if (time_after(jiffies, viommu->event_window + VIOMMU_FAULT_WINDOW)) {
		viommu->event_window = jiffies;
		viommu->event_shown = 0;
	}
	if (viommu->event_shown < VIOMMU_FAULT_LINES) {
		viommu->event_shown++;
		return true;
	}
	atomic_inc(&viommu->event_hidden);
	schedule_delayed_work(&viommu->event_summary, VIOMMU_FAULT_WINDOW);
	return false;
}

void viommu_event_summary(struct work_struct *work)
{
	struct viommu *viommu = container_of(to_delayed_work(work),
					     struct viommu, event_summary);
	int hidden = atomic_xchg(&viommu->event_hidden, 0);

	if (hidden)
		dev_err(&viommu->vdev->dev, "%d more faults, not shown\n",
			hidden);
}

/* A device need not say which access it was: QEMU's does not always. */
static int viommu_fault_flags(u32 flags)
{
	if (flags & VIRTIO_IOMMU_FAULT_F_WRITE)
		return IOMMU_FAULT_WRITE;
	return IOMMU_FAULT_READ |
	       (flags & VIRTIO_IOMMU_FAULT_F_READ ? 0 : GRANULE_FAULT_ANY);
}

static void viommu_fault(struct viommu *viommu,
			 const struct virtio_iommu_fault *fault)
{
	u32 flags = le32_to_cpu(fault->flags), id = le32_to_cpu(fault->endpoint);
	u64 address = le64_to_cpu(fault->address);
	struct device *dev = &viommu->vdev->dev;
	struct viommu_endpoint *ep;
	int rc = -ENOSYS;

	atomic64_inc(&viommu->nr_faults);
	guard(mutex)(&viommu_lock);
	ep = viommu_endpoint_by_id(viommu, id);
	if (ep) {
		dev = ep->dev;
		atomic64_inc(&ep->nr_faults);
		if (ep->part && ep->part->domain)
			rc = report_iommu_fault(&ep->part->domain->domain, dev,
						address,
						viommu_fault_flags(flags));
	}
	if (!rc || !viommu_may_log(viommu))
		return;
	if (flags & VIRTIO_IOMMU_FAULT_F_ADDRESS)
		dev_err(dev,
			"virtio-iommu: %s at %#llx by endpoint %#x denied %s\n",
			viommu_access(flags), address, id,
			viommu_reason(fault->reason));
	else
		dev_err(dev, "virtio-iommu: %s by endpoint %#x denied %s\n",
			viommu_access(flags), id, viommu_reason(fault->reason));
}

static int viommu_event_offer(struct virtqueue *vq,
			      struct virtio_iommu_fault *buffer)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, sizeof(*buffer));
	return virtqueue_add_inbuf(vq, &sg, 1, buffer, GFP_ATOMIC);
}

/*
 * Take one report, and give its buffer back at once. False: there is none.
 * @whole: it is one; a device may return less than a report.
 */
static bool viommu_event_take(struct viommu *viommu,
			      struct virtio_iommu_fault *fault, bool *whole)
{
	struct virtio_iommu_fault *buffer;
	u32 length;

	*whole = false;
	guard(spinlock_irqsave)(&viommu->event_lock);
	buffer = virtqueue_get_buf(viommu->events, &length);
	if (!buffer) {
		virtqueue_kick(viommu->events);
		if (virtqueue_enable_cb(viommu->events))
			return false;
		virtqueue_disable_cb(viommu->events);
		return true;
	}
	*fault = *buffer;
	*whole = length >= sizeof(*buffer);
	/* It had room when it held this very buffer. */
	if (viommu_event_offer(viommu->events, buffer))
		dev_err_ratelimited(&viommu->vdev->dev,
				    "a buffer for fault reports is lost\n");
	return true;
}

void viommu_event_work(struct work_struct *work)
{
	struct viommu *viommu = container_of(work, struct viommu, event_work);
	struct virtio_iommu_fault fault;
	unsigned int n;
	bool whole;

	for (n = 0; n < VIOMMU_FAULTS_AT_ONCE; n++) {
		if (!viommu_event_take(viommu, &fault, &whole))
			return;
		if (whole)
			viommu_fault(viommu, &fault);
		cond_resched();
	}
	/* Others have work for this queue, too. */
	queue_work(system_unbound_wq, &viommu->event_work);
}

void viommu_event_callback(struct virtqueue *vq)
{
	struct viommu *viommu = vq->vdev->priv;

	virtqueue_disable_cb(vq);
	queue_work(system_unbound_wq, &viommu->event_work);
}

/* Before the device is ready. Also after sleep. */
int viommu_events_init(struct viommu *viommu, struct virtqueue *vq)
{
	unsigned int i, n = virtqueue_get_vring_size(vq);
	int rc = 0;

	viommu->buffers = kcalloc(n, sizeof(*viommu->buffers), GFP_KERNEL);
	if (!viommu->buffers)
		return -ENOMEM;
	guard(spinlock_irqsave)(&viommu->event_lock);
	viommu->events = vq;
	for (i = 0; i < n && !rc; i++)
		rc = viommu_event_offer(vq, &viommu->buffers[i]);
	return rc;
}

/* The device is ready. */
void viommu_events_start(struct viommu *viommu)
{
	guard(spinlock_irqsave)(&viommu->event_lock);
	virtqueue_kick(viommu->events);
}

/* The device was reset, and calls back no more. */
void viommu_events_exit(struct viommu *viommu)
{
	cancel_work_sync(&viommu->event_work);
	cancel_delayed_work_sync(&viommu->event_summary);
	viommu_event_summary(&viommu->event_summary.work);
	kfree(viommu->buffers);
	viommu->buffers = NULL;
}
