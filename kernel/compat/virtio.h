/* SPDX-License-Identifier: GPL-2.0-only */
/* <linux/virtio_config.h> as Linux 6.12 has it: finding virtqueues. */
#ifndef COMPAT_VIRTIO_H
#define COMPAT_VIRTIO_H

#include <linux/virtio.h>
#include <linux/virtio_config.h>

#ifndef HAVE_VIRTQUEUE_INFO
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
};

#define COMPAT_MAX_VQS 4

static inline int compat_virtio_find_vqs(struct virtio_device *vdev,
					 unsigned int n,
					 struct virtqueue *vqs[],
					 struct virtqueue_info info[],
					 struct irq_affinity *desc)
{
	vq_callback_t *callbacks[COMPAT_MAX_VQS];
	const char *names[COMPAT_MAX_VQS];
	unsigned int i;

	if (n > COMPAT_MAX_VQS)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		callbacks[i] = info[i].callback;
		names[i] = info[i].name;
	}
	return virtio_find_vqs(vdev, n, vqs, callbacks, names, desc);
}
#define virtio_find_vqs compat_virtio_find_vqs
#endif

#endif
