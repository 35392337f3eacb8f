/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that come and go, as udev tells it. */
#ifndef IOMMUD_HOTPLUG_H
#define IOMMUD_HOTPLUG_H

struct manager;

/* Without udev (in a container, in tests) there is just no hotplug. */
void hotplug_start(struct manager *m);

#endif
