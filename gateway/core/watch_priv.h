/* SPDX-License-Identifier: BSD-3-Clause */
/* How the loop keeps track of what takes its time. Private to core/. */
#ifndef GW_CORE_WATCH_PRIV_H
#define GW_CORE_WATCH_PRIV_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "gateway/core/watch.h"

struct gw_watch {
	uint64_t mark;                /* ticks when the last call returned */
	uint64_t longest;             /* ticks of the longest call of this turn */
	uintptr_t culprit;            /* the function of that call */
	const char *phase;            /* running now */
	const char *worst;            /* phase of the longest call */
	uint64_t began_ns;            /* this turn */
	_Atomic uint64_t awake_since; /* ns; 0: asleep. Read by gw_watch_alive() */
};

/* A clock that is cheap enough to read after each call; its unit does not matter. */
static inline uint64_t
gw_watch_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

static inline void
gw_watch_phase(struct gw_watch *w, const char *phase)
{
	w->phase = phase;
	w->mark = gw_watch_ticks();
}

/* fn, a callback, has just returned. */
static inline void
gw_watch_called(struct gw_watch *w, uintptr_t fn)
{
	uint64_t now = gw_watch_ticks(), took = now - w->mark;

	w->mark = now;
	if (took > w->longest) {
		w->longest = took;
		w->culprit = fn;
		w->worst = w->phase;
	}
}

void gw_watch_sleep(struct gw_watch *w);
void gw_watch_begin(struct gw_watch *w, uint64_t now_ns);
/* Accounts the turn and complains if it was slow. */
void gw_watch_end(struct gw_core *core, struct gw_watch *w, uint64_t now_ns);

#endif
