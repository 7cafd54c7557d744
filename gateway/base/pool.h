/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fixed-size objects of one core. gw_pool_init() and gw_pool_grow() take address space for all of them;
 * get and put only move an object between a free list and its user. What was put back last is handed
 * out first, and an object that has never been handed out has not been touched: a pool costs the memory
 * of as many objects as were in use at once. Objects are not cleared; free ones may not be touched, which
 * AddressSanitizer watches.
 */
#ifndef GW_BASE_POOL_H
#define GW_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/base/poison.h"

struct gw_slab;

struct gw_pool {
	void *free;	 /* singly linked through the first word of each free object */
	size_t size;	 /* bytes of an object, a multiple of 64 */
	uint32_t total;	 /* objects owned */
	uint32_t nfree;	 /* of them free */
	struct gw_slab *fresh;	     /* private: has objects that were never handed out; NULL: none */
	struct gw_slab *first, *last; /* private: oldest and newest */
};

/* 0 or -ENOMEM. size is rounded up to a cache line. */
int gw_pool_init(struct gw_pool *p, size_t size, uint32_t count);
/* Adds count objects: 0 or -ENOMEM. Not in the data path. */
int gw_pool_grow(struct gw_pool *p, uint32_t count);
/* Gives back what gw_pool_grow() added, if no object is in use; else does nothing. Not in the data path. */
void gw_pool_trim(struct gw_pool *p);
/* All objects must have been put back. */
void gw_pool_fini(struct gw_pool *p);

/* Private: an object from a slab that still has some. */
void *gw_pool_fresh(struct gw_pool *p);

static inline void *
gw_pool_get(struct gw_pool *p)
{
	void *o = p->free;

	if (!o)
		return gw_pool_fresh(p);
	gw_unpoison((char *)o + sizeof(void *), p->size - sizeof(void *));
	p->free = *(void **)o;
	p->nfree--;
	return o;
}

static inline void
gw_pool_put(struct gw_pool *p, void *o)
{
	*(void **)o = p->free;
	gw_poison((char *)o + sizeof(void *), p->size - sizeof(void *));
	p->free = o;
	p->nfree++;
}

#endif
