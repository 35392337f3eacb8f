/* SPDX-License-Identifier: GPL-2.0-only */
/* In which line of a JSON text a key is: json-c does not tell. */
#ifndef IOMMUD_WHERE_H
#define IOMMUD_WHERE_H

struct json_object;

/**
 * where_scan - lines of all keys and elements
 * @text: JSON that json-c accepts
 * @ret_twice: the path of a key that its object has twice, or NULL; free() it
 *
 * Return: an object from "devices.edu.users[0]" to the line.
 */
struct json_object *where_scan(const char *text, char **ret_twice);

/* The line of @path, or of what it is in; 1 for the whole. */
int where_line(struct json_object *where, const char *path);

#endif
