/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/core/watch.h"

#include <dlfcn.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/core/core_priv.h"

void
gw_watch_sleep(struct gw_watch *w)
{
	atomic_store_explicit(&w->awake_since, 0, memory_order_relaxed);
}

void
gw_watch_begin(struct gw_watch *w, uint64_t now_ns)
{
	w->longest = 0;
	w->culprit = 0;
	w->worst = "none";
	w->began_ns = now_ns;
	atomic_store_explicit(&w->awake_since, now_ns, memory_order_relaxed);
}

/* The function as "file+offset", which addr2line(1) turns into its name in a stripped PIE too. */
static void
complain(unsigned core, const struct gw_watch *w, uint64_t took_ns)
{
	const char *file = "?", *slash;
	uintptr_t off = w->culprit;
	Dl_info info;

	if (w->culprit && dladdr((const void *)w->culprit, &info) && info.dli_fname) {
		slash = strrchr(info.dli_fname, '/');
		file = slash ? slash + 1 : info.dli_fname;
		off -= (uintptr_t)info.dli_fbase;
	}
	gw_log_limited(GW_LOG_WARN,
		       "a turn took too long core=%u ms=%llu phase=%s function=%s+0x%lx", core,
		       (unsigned long long)(took_ns / 1000000), w->worst, file, (unsigned long)off);
}

void
gw_watch_end(struct gw_core *core, struct gw_watch *w, uint64_t now_ns)
{
	uint64_t took = now_ns - w->began_ns;

	gw_stat_add(core->stats->turns, 1);
	gw_stat_add(core->stats->busy_ns, took);
	if (now_ns >= core->busy.next)
		gw_busy_look(core, now_ns);
	if (took > GW_TURN_SLOW_NS) {
		gw_stat_add(core->stats->slow_turns, 1);
		complain(core->id, w, took);
	}
}

bool
gw_watch_alive(uint32_t ms)
{
	uint64_t now = gw_clock_ns();

	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_watch *w = &gw_loop_of(gw_core_at(i))->watch;
		uint64_t since = atomic_load_explicit(&w->awake_since, memory_order_relaxed);

		if (since && since < now && now - since > ms * 1000000ull)
			return false;
	}
	return true;
}
