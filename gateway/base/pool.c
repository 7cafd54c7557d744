/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"

#define ALIGN 64

/* A slab begins with one cache line of its own; its objects follow. */
struct gw_slab {
	struct gw_slab *next; /* made later */
	uint32_t count, used; /* objects; of them handed out at least once */
};

int
gw_pool_init(struct gw_pool *p, size_t size, uint32_t count)
{
	if (size == 0 || size > SIZE_MAX - ALIGN)
		return -ENOMEM;
	*p = (struct gw_pool){.size = (size_t)gw_round_up(size, ALIGN)};
	return gw_pool_grow(p, count);
}

static char *
slab_object(const struct gw_pool *p, struct gw_slab *slab, uint32_t i)
{
	return (char *)slab + ALIGN + i * p->size;
}

int
gw_pool_grow(struct gw_pool *p, uint32_t count)
{
	struct gw_slab *slab;
	size_t bytes;

	if (count == 0)
		return 0;
	if (count > UINT32_MAX - p->total || __builtin_mul_overflow(p->size, count, &bytes) ||
	    bytes > SIZE_MAX - ALIGN)
		return -ENOMEM;
	slab = aligned_alloc(ALIGN, bytes + ALIGN);
	if (!slab)
		return -ENOMEM;
	*slab = (struct gw_slab){.count = count};
	gw_poison(slab_object(p, slab, 0), bytes);
	if (p->last)
		p->last->next = slab;
	else
		p->first = slab;
	p->last = slab;
	if (!p->fresh)
		p->fresh = slab;
	p->total += count;
	p->nfree += count;
	return 0;
}

void *
gw_pool_fresh(struct gw_pool *p)
{
	struct gw_slab *slab = p->fresh;
	char *o;

	if (!slab)
		return NULL;
	o = slab_object(p, slab, slab->used++);
	if (slab->used == slab->count)
		p->fresh = slab->next;
	p->nfree--;
	gw_unpoison(o, p->size);
	return o;
}

static void
slabs_free(struct gw_slab *slab)
{
	struct gw_slab *next;

	for (; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
}

void
gw_pool_trim(struct gw_pool *p)
{
	struct gw_slab *first = p->first;

	if (p->nfree != p->total || !first || !first->next)
		return;
	slabs_free(first->next);
	first->next = NULL;
	first->used = 0;
	gw_poison(slab_object(p, first, 0), first->count * p->size);
	p->free = NULL;
	p->last = p->fresh = first;
	p->total = p->nfree = first->count;
}

void
gw_pool_fini(struct gw_pool *p)
{
	BUG(p->nfree != p->total);
	slabs_free(p->first);
	*p = (struct gw_pool){0};
}
