/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eight levels of 64 slots. A timer hangs in the level of the highest base-64 digit in which its
 * due time differs from `at`, in the slot of that digit; when the wheel gets to the slot, it moves
 * down or fires. So all timers of a level are due before those of the level above, and the first
 * slot in use of the first level in use says when the wheel has something to do next.
 */
#include "gateway/core/timer.h"

#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/core/core_priv.h"

#define DIGIT     6
#define SLOTS     (1u << DIGIT)
#define LEVELS    8
#define NS_PER_MS 1000000u
/* Callbacks of one turn; what is due beyond it waits for the next turn. */
#define FIRE_BUDGET 1024

struct gw_wheel {
	uint64_t at;           /* ms up to which all slots have been emptied */
	uint64_t used[LEVELS]; /* a bit for each slot that may hold timers */
	struct gw_list due;    /* to be fired */
	struct gw_list slot[LEVELS][SLOTS];
};

struct gw_wheel *
gw_wheel_new(uint64_t now_ns, int node)
{
	struct gw_wheel *w = gw_local_alloc(node, sizeof(*w));

	if (!w)
		return NULL;
	w->at = now_ns / NS_PER_MS;
	gw_list_init(&w->due);
	for (unsigned i = 0; i < LEVELS * SLOTS; i++)
		gw_list_init(&w->slot[i / SLOTS][i % SLOTS]);
	return w;
}

void
gw_wheel_free(struct gw_wheel *wheel)
{
	gw_local_free(wheel, sizeof(*wheel));
}

static void
hang(struct gw_wheel *w, struct gw_timer *t)
{
	unsigned level, slot;

	if (t->due <= w->at) {
		gw_list_add_tail(&w->due, &t->node);
		return;
	}
	level = (63 - (unsigned)__builtin_clzll(t->due ^ w->at)) / DIGIT;
	level = GW_MIN(level, LEVELS - 1u);
	slot = (unsigned)(t->due >> (level * DIGIT)) % SLOTS;
	w->used[level] |= 1ull << slot;
	gw_list_add_tail(&w->slot[level][slot], &t->node);
}

/* The first slot that holds timers, and when its turn comes (ms). Forgets slots that were emptied.
 */
static bool
first_slot(struct gw_wheel *w, unsigned *level, unsigned *slot, uint64_t *when)
{
	for (*level = 0; *level < LEVELS; (*level)++) {
		unsigned shift = *level * DIGIT;

		while (w->used[*level]) {
			*slot = (unsigned)__builtin_ctzll(w->used[*level]);
			if (!gw_list_empty(&w->slot[*level][*slot])) {
				*when = (w->at >> shift >> DIGIT << DIGIT | *slot) << shift;
				return true;
			}
			w->used[*level] &= w->used[*level] - 1;
		}
	}
	return false;
}

static void
advance(struct gw_wheel *w, uint64_t now_ms)
{
	struct gw_list moving;
	unsigned level, slot;
	struct gw_timer *t;
	uint64_t when;

	while (first_slot(w, &level, &slot, &when) && when <= now_ms) {
		w->at = when;
		w->used[level] &= ~(1ull << slot);
		gw_list_init(&moving);
		gw_list_splice_tail(&moving, &w->slot[level][slot]);
		while ((t = gw_list_first(&moving, struct gw_timer, node))) {
			gw_list_del(&t->node);
			hang(w, t);
		}
	}
	w->at = now_ms;
}

void
gw_wheel_tick(struct gw_core *core)
{
	struct gw_watch *watch = &gw_loop_of(core)->watch;
	struct gw_wheel *w = core->wheel;
	struct gw_timer *t;
	uintptr_t fn;

	if (core->now / NS_PER_MS > w->at)
		advance(w, core->now / NS_PER_MS);
	for (unsigned i = 0; i < FIRE_BUDGET; i++) {
		t = gw_list_first(&w->due, struct gw_timer, node);
		if (!t)
			return;
		gw_list_del(&t->node);
		t->running = false;
		fn = (uintptr_t)t->fire;
		t->fire(t);
		gw_watch_called(watch, fn);
	}
}

uint64_t
gw_wheel_next(struct gw_wheel *wheel)
{
	unsigned level, slot;
	uint64_t when;

	if (!gw_list_empty(&wheel->due))
		return 0;
	return first_slot(wheel, &level, &slot, &when) ? when * NS_PER_MS : GW_NEVER_DUE;
}

void
gw_timer_init(struct gw_timer *t, void (*fire)(struct gw_timer *))
{
	gw_list_init(&t->node);
	t->fire = fire;
	t->due = 0;
	t->running = false;
}

/* The clock is read anew: counted from the start of a long turn, a timer would fire early. */
void
gw_timer_start(struct gw_core *core, struct gw_timer *t, uint32_t ms)
{
	gw_timer_stop(t);
	t->due = (gw_clock_ns() + NS_PER_MS - 1) / NS_PER_MS + GW_MAX(ms, 1u);
	t->running = true;
	hang(core->wheel, t);
}

void
gw_timer_stop(struct gw_timer *t)
{
	if (!t->running)
		return;
	gw_list_del(&t->node);
	t->running = false;
}
