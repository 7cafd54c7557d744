/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"

#define ALIGN 64

/* A slab begins with one cache line that links it; its objects follow. */
struct slab {
	struct slab *next;
};

int
gw_pool_init(struct gw_pool *p, size_t size, uint32_t count)
{
	if (size == 0 || size > SIZE_MAX - ALIGN)
		return -ENOMEM;
	*p = (struct gw_pool){.size = (size_t)gw_round_up(size, ALIGN)};
	return gw_pool_grow(p, count);
}

int
gw_pool_grow(struct gw_pool *p, uint32_t count)
{
	struct slab *slab;
	size_t bytes;
	char *object;

	if (count == 0)
		return 0;
	if (count > UINT32_MAX - p->total || __builtin_mul_overflow(p->size, count, &bytes) ||
	    bytes > SIZE_MAX - ALIGN)
		return -ENOMEM;
	slab = aligned_alloc(ALIGN, bytes + ALIGN);
	if (!slab)
		return -ENOMEM;
	slab->next = p->slabs;
	p->slabs = slab;
	p->total += count;
	/* Last first, so that the objects are handed out in the order of their addresses. */
	object = (char *)slab + ALIGN + bytes;
	for (uint32_t i = 0; i < count; i++) {
		object -= p->size;
		gw_pool_put(p, object);
	}
	return 0;
}

void
gw_pool_fini(struct gw_pool *p)
{
	struct slab *slab, *next;

	BUG(p->nfree != p->total);
	for (slab = p->slabs; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
	*p = (struct gw_pool){0};
}
