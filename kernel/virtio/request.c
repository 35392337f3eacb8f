// SPDX-License-Identifier: GPL-2.0-only
/*
 * The request queue. Requests wait in the ring until somebody needs an answer:
 * then one kick is for all of them, and whoever waits collects every answer.
 *
 * Memory for as many requests as the ring can hold is there from the start, so
 * that unmapping never lacks any.
 */
#include <linux/cache.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "private.h"

/* Two descriptors each; more at once would only hold the lock for longer. */
#define VIOMMU_MAX_SLOTS 256u

/* A device that completes nothing for so long is not going to. */
#define VIOMMU_PATIENCE_S 10
/*
 * The most that one look at the queue counts for. If the whole machine was
 * stopped in between, the clock may have gone on without the device.
 */
#define VIOMMU_LOOK_NS NSEC_PER_MSEC

/*
 * What the device reads and what it writes are in cache lines of their own.
 */
struct viommu_slot {
	struct list_head item;
	struct granule_dma_batch *batch;
	struct viommu_domain *domain;	/* of @mapping */
	struct viommu_mapping *mapping;
	struct virtio_iommu_req_tail *answer;
	u32 answer_size;		/* bytes that the device has to write */
	union {
		struct virtio_iommu_req_head head;
		struct virtio_iommu_req_attach attach;
		struct virtio_iommu_req_map map;
		struct virtio_iommu_req_unmap unmap;
	} req ____cacheline_aligned;
	struct virtio_iommu_req_tail tail ____cacheline_aligned;
};

static const int viommu_errors[] = {
	[VIRTIO_IOMMU_S_OK] = 0,
	[VIRTIO_IOMMU_S_IOERR] = -EIO,
	[VIRTIO_IOMMU_S_UNSUPP] = -EOPNOTSUPP,
	[VIRTIO_IOMMU_S_DEVERR] = -EIO,
	[VIRTIO_IOMMU_S_INVAL] = -EINVAL,
	[VIRTIO_IOMMU_S_RANGE] = -ERANGE,
	[VIRTIO_IOMMU_S_NOENT] = -ENOENT,
	[VIRTIO_IOMMU_S_FAULT] = -EFAULT,
	[VIRTIO_IOMMU_S_NOMEM] = -ENOMEM,
};

static int viommu_error(u8 status)
{
	return status < ARRAY_SIZE(viommu_errors) ? viommu_errors[status] :
						    -EIO;
}

/* An unmapping that the device did not do, or could not be asked to do. */
static void viommu_unmap_lost(struct viommu *viommu, u64 first, u64 last,
			      int error)
{
	lockdep_assert_held(&viommu->lock);
	viommu->lost_unmaps++;
	viommu->lost_first = first;
	viommu->lost_last = last;
	viommu->lost_error = error;
	schedule_work(&viommu->report);
}

/*
 * Tell what went wrong. Not where it did: the console may be behind this very
 * IOMMU, and its DMA would need the lock that is held there.
 */
void viommu_report(struct work_struct *work)
{
	struct viommu *viommu = container_of(work, struct viommu, report);
	struct device *dev = &viommu->vdev->dev;
	u64 first, last;
	bool broken, uncut;
	unsigned int n;
	int error;

	spin_lock_irq(&viommu->lock);
	broken = viommu->report_broken;
	viommu->report_broken = false;
	n = viommu->lost_unmaps;
	viommu->lost_unmaps = 0;
	first = viommu->lost_first;
	last = viommu->lost_last;
	error = viommu->lost_error;
	uncut = viommu->lost_uncut;
	viommu->lost_uncut = false;
	spin_unlock_irq(&viommu->lock);
	if (broken)
		dev_err(dev,
			"broken, or without an answer for %u s: no device behind it can be given or denied memory from now on\n",
			VIOMMU_PATIENCE_S);
	if (n)
		dev_err_ratelimited(dev,
				    "%u unmappings failed, the last of %#llx-%#llx (%d): %s\n",
				    n, first, last, error, uncut ?
				    "devices may still reach that memory" :
				    "the devices that could still reach that memory are blocked until they are attached anew");
}

static void viommu_complete(struct viommu *viommu, struct viommu_slot *slot,
			    int error)
{
	lockdep_assert_held(&viommu->lock);
	if (slot->req.head.type == VIRTIO_IOMMU_T_UNMAP) {
		/* The domain went with its last endpoint: so did the mapping. */
		if (error == -ENOENT)
			error = 0;
		if (error)
			viommu_unmap_lost(viommu,
					  le64_to_cpu(slot->req.unmap.virt_start),
					  le64_to_cpu(slot->req.unmap.virt_end),
					  error);
	}
	if (slot->mapping)
		viommu_mapping_answered(slot->domain, slot->mapping, error);
	if (error && !slot->batch->error)
		slot->batch->error = error;
	slot->batch->pending--;
}

static bool viommu_reap(struct viommu *viommu)
{
	struct viommu_slot *slot;
	bool any = false;
	u32 length;

	while ((slot = virtqueue_get_buf(viommu->requests, &length))) {
		list_move(&slot->item, &viommu->idle);
		viommu_complete(viommu, slot,
				length < slot->answer_size ?
				-EIO : viommu_error(slot->answer->status));
		any = true;
	}
	return any;
}

/*
 * The device may go on to use the memory of what it has, so that is never used
 * again, and neither is the device.
 */
static void viommu_give_up(struct viommu *viommu)
{
	struct viommu_slot *slot;

	lockdep_assert_held(&viommu->lock);
	if (!viommu->broken && system_state <= SYSTEM_RUNNING) {
		viommu->report_broken = true;
		schedule_work(&viommu->report);
	}
	viommu->broken = true;
	while ((slot = list_first_entry_or_null(&viommu->busy,
						struct viommu_slot, item))) {
		list_del_init(&slot->item);
		viommu_complete(viommu, slot, -EIO);
	}
}

static void viommu_kick(struct viommu *viommu)
{
	if (!viommu->unkicked)
		return;
	viommu->unkicked = false;
	viommu->nr_kicks++;
	virtqueue_kick(viommu->requests);
}

/* Until @batch is answered; NULL: until a slot is idle. */
static void viommu_wait_for(struct viommu *viommu,
			    const struct granule_dma_batch *batch)
{
	u64 waited = 0, then, now;

	lockdep_assert_held(&viommu->lock);
	if (batch ? !batch->pending : !list_empty(&viommu->idle))
		return;
	viommu_kick(viommu);
	then = ktime_get_mono_fast_ns();
	for (;;) {
		if (viommu_reap(viommu))
			waited = 0;
		if (batch ? !batch->pending : !list_empty(&viommu->idle))
			return;
		now = ktime_get_mono_fast_ns();
		waited += min_t(u64, now - then, VIOMMU_LOOK_NS);
		then = now;
		if (waited > VIOMMU_PATIENCE_S * (u64)NSEC_PER_SEC ||
		    virtqueue_is_broken(viommu->requests)) {
			viommu_give_up(viommu);
			return;
		}
		cpu_relax();
	}
}

/**
 * viommu_wait - until the device has answered all requests of a batch
 * @viommu: its lock is held, so the ring's content bounds the wait
 * @batch: whose requests
 */
void viommu_wait(struct viommu *viommu, const struct granule_dma_batch *batch)
{
	viommu_wait_for(viommu, batch);
}

/* NULL: the device is broken, or asleep. */
static struct viommu_slot *viommu_slot_get(struct viommu *viommu)
{
	lockdep_assert_held(&viommu->lock);
	if (viommu->broken || !viommu->requests)
		return NULL;
	viommu_wait_for(viommu, NULL);
	if (viommu->broken)
		return NULL;
	return list_first_entry(&viommu->idle, struct viommu_slot, item);
}

/* The request is in the slot. Its tail is the device's answer. */
static int viommu_add(struct viommu *viommu, struct viommu_slot *slot,
		      struct granule_dma_batch *batch,
		      void *req, size_t size, void *answer, size_t answer_size)
{
	struct scatterlist out, in, *sgs[] = { &out, &in };
	int rc;

	slot->batch = batch;
	slot->mapping = NULL;
	slot->answer_size = answer_size;
	slot->answer = answer + answer_size - sizeof(*slot->answer);
	slot->answer->status = VIRTIO_IOMMU_S_IOERR;
	sg_init_one(&out, req, size);
	sg_init_one(&in, answer, answer_size);
	rc = virtqueue_add_sgs(viommu->requests, sgs, 1, 1, slot, GFP_ATOMIC);
	if (rc) {
		/* Gone by surprise: nobody would notice otherwise. */
		if (virtqueue_is_broken(viommu->requests))
			viommu_give_up(viommu);
		return rc;
	}
	batch->pending++;
	viommu->unkicked = true;
	viommu->nr_requests++;
	list_move_tail(&slot->item, &viommu->busy);
	return 0;
}

#define viommu_add_small(viommu, slot, batch, type)			\
	viommu_add(viommu, slot, batch, &(slot)->req.type,		\
		   sizeof((slot)->req.type) - sizeof((slot)->tail),	\
		   &(slot)->tail, sizeof((slot)->tail))

/**
 * viommu_add_map - put a MAP request into the ring
 * @viommu: its lock is held
 * @batch: counts it, and gets its error
 * @domain: of @mapping
 * @mapping: is told of the answer; NULL: none is
 * @req: copied
 * Return: 0, -EIO when the device is broken; then @batch has nothing to wait
 * for, and nobody is told.
 */
int viommu_add_map(struct viommu *viommu, struct granule_dma_batch *batch,
		   struct viommu_domain *domain, struct viommu_mapping *mapping,
		   const struct virtio_iommu_req_map *req)
{
	struct viommu_slot *slot = viommu_slot_get(viommu);
	int rc;

	if (!slot)
		return -EIO;
	slot->req.map = *req;
	/* No such domain: the device refuses. */
	if (viommu_should_fail(viommu))
		slot->req.map.domain = ~0;
	rc = viommu_add_small(viommu, slot, batch, map);
	if (!rc) {
		slot->domain = domain;
		slot->mapping = mapping;
	}
	return rc;
}

/**
 * viommu_add_unmap - put an UNMAP request into the ring
 * @viommu: its lock is held
 * @batch: counts it, and gets its error, which is logged as well
 * @id: of the domain
 * @first: IOVA; the start of a mapping
 * @last: IOVA; the end of a mapping
 * Return: 0, -EIO when the device is broken, which is logged as well. After
 * either error the domain's endpoints may reach what they must not.
 */
int viommu_add_unmap(struct viommu *viommu, struct granule_dma_batch *batch,
		     u32 id, u64 first, u64 last)
{
	struct viommu_slot *slot = viommu_slot_get(viommu);
	int rc;

	if (!slot) {
		viommu_unmap_lost(viommu, first, last, -EIO);
		return -EIO;
	}
	slot->req.unmap = (struct virtio_iommu_req_unmap) {
		.head.type = VIRTIO_IOMMU_T_UNMAP,
		.domain = cpu_to_le32(id),
		.virt_start = cpu_to_le64(first),
		.virt_end = cpu_to_le64(last),
	};
	/* Not whole mappings: the device refuses. */
	if (viommu_should_keep(viommu))
		slot->req.unmap.virt_end = slot->req.unmap.virt_start;
	rc = viommu_add_small(viommu, slot, batch, unmap);
	if (rc)
		viommu_unmap_lost(viommu, first, last, rc);
	return rc;
}

/**
 * viommu_ask_attach - attach an endpoint, and wait until it is
 * @viommu: its lock is held
 * @endpoint: its ID
 * @part: where to
 * Return: 0, an error of the device, or -EIO: the device is broken.
 */
int viommu_ask_attach(struct viommu *viommu, u32 endpoint,
		      const struct viommu_part *part)
{
	struct viommu_slot *slot = viommu_slot_get(viommu);
	struct granule_dma_batch batch = {};
	int rc;

	if (!slot)
		return -EIO;
	slot->req.attach = (struct virtio_iommu_req_attach) {
		.head.type = VIRTIO_IOMMU_T_ATTACH,
		.domain = cpu_to_le32(part->id),
		.endpoint = cpu_to_le32(endpoint),
		.flags = cpu_to_le32(part->attach_flags),
	};
	rc = viommu_add_small(viommu, slot, &batch, attach);
	viommu_wait(viommu, &batch);
	return rc ?: batch.error;
}

/**
 * viommu_send_probe - ask for an endpoint's properties
 * @viommu: has a probe_size
 * @req: with room for the properties and a tail after it; kmalloc()ed. The
 * caller leaks it when the device is broken.
 * Return: 0, an error of the device, or -EIO: the device is broken.
 */
int viommu_send_probe(struct viommu *viommu, struct virtio_iommu_req_probe *req)
{
	struct granule_dma_batch batch = {};
	struct viommu_slot *slot;
	unsigned long irqs;
	int rc = -EIO;

	spin_lock_irqsave(&viommu->lock, irqs);
	slot = viommu_slot_get(viommu);
	if (slot) {
		slot->req.head = req->head;
		rc = viommu_add(viommu, slot, &batch, req, sizeof(*req),
				req->properties, viommu->probe_size +
				sizeof(struct virtio_iommu_req_tail));
		viommu_wait(viommu, &batch);
	}
	spin_unlock_irqrestore(&viommu->lock, irqs);
	return rc ?: batch.error;
}

/* Until the device has answered all there is. */
void viommu_drain(struct viommu *viommu)
{
	struct viommu_slot *last;
	unsigned long irqs;

	spin_lock_irqsave(&viommu->lock, irqs);
	while (!list_empty(&viommu->busy)) {
		last = list_last_entry(&viommu->busy, struct viommu_slot, item);
		viommu_wait(viommu, last->batch);
	}
	spin_unlock_irqrestore(&viommu->lock, irqs);
}

/* Also after sleep. */
int viommu_requests_init(struct viommu *viommu, struct virtqueue *vq)
{
	unsigned int i, n = min(virtqueue_get_vring_size(vq) / 2,
				VIOMMU_MAX_SLOTS);
	struct viommu_slot *slots;
	unsigned long irqs;

	if (!n) {
		dev_err(&viommu->vdev->dev,
			"its request queue has room for %u descriptors, 2 are needed\n",
			virtqueue_get_vring_size(vq));
		return -EINVAL;
	}
	slots = kcalloc(n, sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return -ENOMEM;
	spin_lock_irqsave(&viommu->lock, irqs);
	INIT_LIST_HEAD(&viommu->idle);
	INIT_LIST_HEAD(&viommu->busy);
	for (i = 0; i < n; i++)
		list_add_tail(&slots[i].item, &viommu->idle);
	viommu->slots = slots;
	viommu->requests = vq;
	spin_unlock_irqrestore(&viommu->lock, irqs);
	return 0;
}

/* The device was reset. Nobody waits for an answer. */
void viommu_requests_exit(struct viommu *viommu)
{
	unsigned long irqs;

	spin_lock_irqsave(&viommu->lock, irqs);
	viommu->requests = NULL;
	viommu->unkicked = false;
	INIT_LIST_HEAD(&viommu->idle);
	INIT_LIST_HEAD(&viommu->busy);
	spin_unlock_irqrestore(&viommu->lock, irqs);
	kfree(viommu->slots);
	viommu->slots = NULL;
}
