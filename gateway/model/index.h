/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sorted array of pointers: the control thread's way to find an object by key, and to walk a
 * range of them in order. Room is reserved when an index is copied, so that putting cannot fail.
 */
#ifndef GW_MODEL_INDEX_H
#define GW_MODEL_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct gw_index {
	void **at;
	uint32_t n, room;
	int (*cmp)(const void *a, const void *b);
};

/* to: `from` (or nothing, if !contents) with room for `extra` more. False: no memory. */
bool gw_index_copy(struct gw_index *to, const struct gw_index *from, bool contents, uint32_t extra);
void gw_index_fini(struct gw_index *ix);

/* The first position whose object is not below key; n if there is none. */
uint32_t gw_index_lower(const struct gw_index *ix, const void *key);
/* The object with the key of `key`, NULL if there is none. */
void *gw_index_find(const struct gw_index *ix, const void *key);
/* Puts obj, replacing one with the same key. */
void gw_index_put(struct gw_index *ix, void *obj);
/* Takes out what has the key of `key`, if it is there. */
void gw_index_del(struct gw_index *ix, const void *key);

#endif
