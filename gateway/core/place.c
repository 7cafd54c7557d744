/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a new connection goes. A connection never moves, and an idle one may become busy: so the
 * numbers are kept even, and how busy the cores are decides among those that have about the fewest.
 */
#include <limits.h>
#include <time.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/core/core_priv.h"

#define SECOND_NS 1000000000ull
/* Differences below a quarter of a core come and go. */
#define BUSY_STEP 250u

static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

void
gw_busy_look(struct gw_core *core, uint64_t now_ns)
{
	struct gw_busy *b = &core->busy;
	uint64_t cpu = cpu_ns(), took = now_ns - gw_stat_get(b->at);

	if (b->cpu_ns)
		gw_stat_set(b->permille,
			    GW_MIN((cpu - b->cpu_ns) * 1000 / GW_MAX(took, 1ull), 1000ull));
	gw_stat_set(b->at, now_ns);
	b->cpu_ns = cpu;
	b->next = now_ns + SECOND_NS;
}

uint32_t
gw_core_busy(const struct gw_core *core, uint64_t now_ns)
{
	uint64_t at = gw_stat_get(core->busy.at), busy = gw_stat_get(core->busy.permille);

	/* One that has slept ever since has not looked again. */
	if (now_ns > at + 2 * SECOND_NS)
		busy = busy * SECOND_NS / (now_ns - at);
	return (uint32_t)busy;
}

static unsigned
load_of(unsigned id)
{
	return atomic_load_explicit(&gw_core_at(id)->load, memory_order_relaxed);
}

static unsigned
least_load(void)
{
	unsigned least = UINT_MAX;

	for (unsigned i = 0; i < gw_ncores(); i++)
		least = GW_MIN(least, load_of(i));
	return least;
}

/* Others may place at the same time: then the numbers are even within what was under way. */
static struct gw_core *
choose(unsigned first)
{
	unsigned least = least_load(), best_load = 0, best_busy = 0;
	uint64_t now = gw_clock_ns();
	struct gw_core *best = NULL;

	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at((first + i) % gw_ncores());
		unsigned load = load_of(core->id), busy = gw_core_busy(core, now) / BUSY_STEP;

		if (best && load > least + 1 + least / 16)
			continue;
		if (best && best_load <= least + 1 + least / 16 &&
		    (busy > best_busy || (busy == best_busy && load >= best_load)))
			continue;
		best = core;
		best_busy = busy;
		best_load = load;
	}
	return best;
}

struct gw_core *
gw_place(void)
{
	/* Among equals the turn goes round: what leaves at once must not pile up on one core. */
	static atomic_uint turn;
	unsigned first = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % gw_ncores();
	struct gw_core *core = choose(first);

	atomic_fetch_add(&core->load, 1);
	return core;
}

void
gw_unplace(struct gw_core *core)
{
	BUG(atomic_fetch_sub(&core->load, 1) == 0);
}
