/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fixed-size objects of one core. All memory is taken by gw_pool_init() and gw_pool_grow(); get and
 * put only move an object between a free list and its user. Objects are not cleared; free ones may not
 * be touched, which AddressSanitizer watches.
 */
#ifndef GW_BASE_POOL_H
#define GW_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/base/poison.h"

struct gw_pool {
	void *free;	 /* singly linked through the first word of each free object */
	size_t size;	 /* bytes of an object, a multiple of 64 */
	uint32_t total;	 /* objects owned */
	uint32_t nfree;	 /* of them free */
	void *slabs;	 /* private */
};

/* 0 or -ENOMEM. size is rounded up to a cache line. */
int gw_pool_init(struct gw_pool *p, size_t size, uint32_t count);
/* Adds count objects: 0 or -ENOMEM. Not in the data path. */
int gw_pool_grow(struct gw_pool *p, uint32_t count);
/* All objects must have been put back. */
void gw_pool_fini(struct gw_pool *p);

static inline void *
gw_pool_get(struct gw_pool *p)
{
	void *o = p->free;

	if (o) {
		gw_unpoison((char *)o + sizeof(void *), p->size - sizeof(void *));
		p->free = *(void **)o;
		p->nfree--;
	}
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
