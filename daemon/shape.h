/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What its devices leave of a named IOAS: its granule and IOVA ranges. The
 * kernel says so, but makes who asks wait for as long as others attach, or let
 * go of much memory. So children ask, and the daemon remembers.
 */
#ifndef IOMMUD_SHAPE_H
#define IOMMUD_SHAPE_H

#include <stdint.h>

struct json_object;
struct manager;
struct space;

/* In a child: as the kernel says; NULL when it does not. */
struct json_object *shape_ask(int iommufd, uint32_t ioas);

/* A device was attached, and @shape, which is taken over, is what is left. */
void shape_set(struct space *space, struct json_object *shape);

/* Devices have gone: find out. */
void shape_look(struct manager *m, struct space *space);

/* The same, of all that an earlier daemon left. */
void shapes_restore(struct manager *m);

/* No device is attached any more. */
void shape_forget(struct space *space);

/* Into the description of an IOAS; null what is not known. */
void shape_put(const struct space *space, struct json_object *obj);

#endif
