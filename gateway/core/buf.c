/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A buddy allocator over each core's region of the arena: pieces of 4 KiB to 1 MiB in powers of
 * two. What is put back goes onto a stack of its size first and is handed out again from there,
 * still warm in the cache; buddies are joined only when a size has run out. All bookkeeping lies
 * outside of the buffers.
 */
#include "gateway/core/buf.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/base/poison.h"
#include "gateway/core/core_priv.h"

#define PAGE_SHIFT 12
#define PAGE       (1u << PAGE_SHIFT)
#define ORDERS     9 /* 4 KiB << 0 .. 8 */
#define HUGE_PAGE  (2u << 20)
#define NONE       UINT32_MAX

static_assert(PAGE << (ORDERS - 1) == GW_SEG_MAX, "the largest order is the largest piece");

enum state {
	INSIDE,
	TAKEN,
	STACKED,
	JOINED
};

/* One page; of the pages of a piece the first one speaks, the others are INSIDE. */
struct page {
	uint32_t next, prev; /* pages; prev is kept for JOINED only */
	uint8_t order, state;
};

struct gw_bufs {
	struct gw_core *core;
	uint8_t *base;
	struct page *page;
	uint32_t npages;
	uint32_t stack[ORDERS]; /* recently used, not joined with their buddies */
	uint32_t whole[ORDERS]; /* the buddy system's free pieces */
	struct gw_list waiters;
	struct gw_hook wake;
	bool waking, freed; /* freed: something came back since a get failed */
	_Atomic uint64_t used;
};

static struct {
	uint8_t *base;
	uint64_t len, each;
} arena;

int
gw_arena_init(unsigned ncores, uint64_t bytes_each)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint64_t len;
	void *p;

	bytes_each = GW_MAX(bytes_each, (uint64_t)GW_XFER_MAX);
	if (bytes_each > (uint64_t)NONE * PAGE / 2)
		return -ENOMEM;
	arena.each = gw_round_up(bytes_each, HUGE_PAGE);
	if (__builtin_mul_overflow(arena.each, ncores, &len) || len > SIZE_MAX - HUGE_PAGE)
		return -ENOMEM;
	p = mmap(NULL, len, prot, flags | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, -1, 0);
	if (p == MAP_FAILED) {
		p = mmap(NULL, len, prot, flags | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return -ENOMEM;
		madvise(p, len, MADV_HUGEPAGE);
	}
	arena.base = p;
	arena.len = len;
	return 0;
}

void
gw_arena_fini(void)
{
	if (!arena.base)
		return;
	gw_unpoison(arena.base, arena.len);
	munmap(arena.base, arena.len);
	arena.base = NULL;
}

static void
push(struct gw_bufs *b, uint32_t *list, uint32_t i, enum state state)
{
	struct page *pg = &b->page[i];

	pg->state = state;
	pg->prev = NONE;
	pg->next = *list;
	if (*list != NONE)
		b->page[*list].prev = i;
	*list = i;
}

static uint32_t
pop(struct gw_bufs *b, uint32_t *list)
{
	uint32_t i = *list;

	if (i != NONE) {
		*list = b->page[i].next;
		if (*list != NONE)
			b->page[*list].prev = NONE;
		b->page[i].state = TAKEN;
	}
	return i;
}

static void
unlink_whole(struct gw_bufs *b, uint32_t i)
{
	struct page *pg = &b->page[i];

	if (pg->prev != NONE)
		b->page[pg->prev].next = pg->next;
	else
		b->whole[pg->order] = pg->next;
	if (pg->next != NONE)
		b->page[pg->next].prev = pg->prev;
}

static void
join(struct gw_bufs *b, uint32_t i)
{
	unsigned order = b->page[i].order;

	while (order < ORDERS - 1) {
		uint32_t buddy = i ^ 1u << order;
		struct page *pg = &b->page[buddy];

		if (buddy >= b->npages || pg->state != JOINED || pg->order != order)
			break;
		unlink_whole(b, buddy);
		b->page[GW_MAX(i, buddy)].state = INSIDE;
		i = GW_MIN(i, buddy);
		order++;
	}
	b->page[i].order = (uint8_t)order;
	push(b, &b->whole[order], i, JOINED);
}

static void
join_stacks(struct gw_bufs *b)
{
	uint32_t i;

	for (unsigned order = 0; order < ORDERS; order++) {
		while ((i = pop(b, &b->stack[order])) != NONE)
			join(b, i);
	}
}

/* A whole piece of this order or half of the next larger one, and so on. */
static uint32_t
split(struct gw_bufs *b, unsigned order)
{
	unsigned from = order;
	uint32_t i;

	while (from < ORDERS && b->whole[from] == NONE)
		from++;
	if (from == ORDERS)
		return NONE;
	i = pop(b, &b->whole[from]);
	while (from > order) {
		uint32_t half = i + (1u << --from);

		b->page[half].order = (uint8_t)from;
		push(b, &b->whole[from], half, JOINED);
	}
	b->page[i].order = (uint8_t)order;
	return i;
}

static void *
piece_get(struct gw_bufs *b, uint32_t len)
{
	unsigned order = len <= PAGE ? 0 : 32 - (unsigned)__builtin_clz((len - 1) >> PAGE_SHIFT);
	uint32_t i = pop(b, &b->stack[order]);

	if (i == NONE)
		i = split(b, order);
	if (GW_UNLIKELY(i == NONE)) {
		join_stacks(b);
		i = split(b, order);
		if (i == NONE)
			return NULL;
	}
	gw_stat_add(b->used, (uint64_t)PAGE << order);
	gw_unpoison(b->base + ((uint64_t)i << PAGE_SHIFT), (size_t)PAGE << order);
	return b->base + ((uint64_t)i << PAGE_SHIFT);
}

static void
piece_put(struct gw_bufs *b, const void *p)
{
	uint64_t off = (uintptr_t)p - (uintptr_t)b->base;
	uint32_t i = (uint32_t)(off >> PAGE_SHIFT);
	unsigned order;

	BUG((uintptr_t)p < (uintptr_t)b->base || off >> PAGE_SHIFT >= b->npages ||
	    off % PAGE != 0 || b->page[i].state != TAKEN);
	order = b->page[i].order;
	gw_stat_add(b->used, -((uint64_t)PAGE << order));
	gw_poison(p, (size_t)PAGE << order);
	push(b, &b->stack[order], i, STACKED);
}

static void
give_back(struct gw_bufs *b, struct gw_sg *sg)
{
	for (unsigned i = 0; i < sg->n; i++)
		piece_put(b, sg->iov[i].iov_base);
	sg->n = 0;
	sg->len = 0;
}

bool
gw_buf_get(struct gw_core *core, uint32_t len, struct gw_sg *sg)
{
	struct gw_bufs *b = core->bufs;
	uint32_t left = len;

	sg->n = 0;
	sg->len = 0;
	if (NEVER(len == 0 || len > GW_XFER_MAX))
		return false;
	if (GW_UNLIKELY(!gw_list_empty(&b->waiters) && !b->waking))
		goto none;
	while (left > 0) {
		uint32_t part = GW_MIN(left, GW_SEG_MAX);
		void *p = piece_get(b, part);

		if (GW_UNLIKELY(!p)) {
			give_back(b, sg);
			goto none;
		}
		sg->iov[sg->n++] = (struct iovec){p, part};
		left -= part;
	}
	sg->len = len;
	return true;
none:
	b->freed = false;
	gw_stat_add(core->stats->buf_waits, 1);
	return false;
}

void
gw_buf_put(struct gw_core *core, struct gw_sg *sg)
{
	struct gw_bufs *b = core->bufs;

	if (sg->n == 0)
		return;
	give_back(b, sg);
	b->freed = true;
	if (GW_UNLIKELY(!gw_list_empty(&b->waiters)))
		gw_at_kick(core, &b->wake);
}

void
gw_buf_wait(struct gw_core *core, struct gw_waiter *w)
{
	struct gw_bufs *b = core->bufs;

	if (w->waiting)
		return;
	w->waiting = true;
	w->core = core;
	if (b->waking)
		gw_list_add_head(&b->waiters, &w->node);
	else
		gw_list_add_tail(&b->waiters, &w->node);
	if (b->freed)
		gw_at_kick(core, &b->wake);
}

/* Who leaves may have wanted more than the next one does. */
void
gw_buf_unwait(struct gw_waiter *w)
{
	if (!w->waiting)
		return;
	w->waiting = false;
	gw_list_del(&w->node);
	if (!gw_list_empty(&w->core->bufs->waiters))
		gw_at_kick(w->core, &w->core->bufs->wake);
}

/* Ends with the first who finds too little, or who waits again without having tried. */
static void
wake_waiters(struct gw_hook *h)
{
	struct gw_bufs *b = gw_container(h, struct gw_bufs, wake);
	struct gw_waiter *w;

	b->waking = true;
	do {
		w = gw_list_first(&b->waiters, struct gw_waiter, node);
		if (!w)
			break;
		w->waiting = false;
		gw_list_del(&w->node);
		b->freed = true;
		w->wake(w);
	} while (b->freed && gw_list_first(&b->waiters, struct gw_waiter, node) != w);
	b->waking = false;
}

uint64_t
gw_buf_used(const struct gw_core *core)
{
	return gw_stat_get(core->bufs->used);
}

uint64_t
gw_buf_total(const struct gw_core *core)
{
	return (uint64_t)core->bufs->npages << PAGE_SHIFT;
}

struct gw_usage
gw_bufs_usage(struct gw_core *core)
{
	return (struct gw_usage){gw_buf_used(core), gw_buf_total(core)};
}

struct gw_bufs *
gw_bufs_new(struct gw_core *core)
{
	struct gw_bufs *b = gw_local_alloc(core->node, sizeof(*b));
	const uint32_t step = 1u << (ORDERS - 1);

	if (!b)
		return NULL;
	b->core = core;
	b->base = arena.base + core->id * arena.each;
	b->npages = (uint32_t)(arena.each >> PAGE_SHIFT);
	b->page = gw_local_alloc(core->node, b->npages * sizeof(*b->page));
	if (!b->page) {
		gw_local_free(b, sizeof(*b));
		return NULL;
	}
	for (unsigned order = 0; order < ORDERS; order++)
		b->stack[order] = b->whole[order] = NONE;
	for (uint32_t i = b->npages; i > 0; i -= step) {
		b->page[i - step].order = ORDERS - 1;
		push(b, &b->whole[ORDERS - 1], i - step, JOINED);
	}
	gw_list_init(&b->waiters);
	gw_hook_init(&b->wake, wake_waiters);
	gw_poison(b->base, (size_t)b->npages << PAGE_SHIFT);
	return b;
}

void
gw_bufs_free(struct gw_bufs *bufs)
{
	if (!bufs)
		return;
	gw_local_free(bufs->page, bufs->npages * sizeof(*bufs->page));
	gw_local_free(bufs, sizeof(*bufs));
}

void
gw_arena_region(uint8_t **base, uint64_t *len)
{
	*base = arena.base;
	*len = arena.len;
}

void
gw_buf_region(const struct gw_core *core, uint8_t **base, uint64_t *len)
{
	*base = core->bufs->base;
	*len = (uint64_t)core->bufs->npages << PAGE_SHIFT;
}
