/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/bug.h"
#include "gateway/core/core_priv.h"

struct gw_core *
gw_place(void)
{
	struct gw_core *best;
	unsigned least, load;

	do {
		best = gw_core_at(0);
		least = atomic_load_explicit(&best->load, memory_order_relaxed);
		for (unsigned i = 1; i < gw_ncores() && least > 0; i++) {
			load = atomic_load_explicit(&gw_core_at(i)->load, memory_order_relaxed);
			if (load < least) {
				best = gw_core_at(i);
				least = load;
			}
		}
	} while (!atomic_compare_exchange_weak(&best->load, &least, least + 1));
	return best;
}

void
gw_unplace(struct gw_core *core)
{
	BUG(atomic_fetch_sub(&core->load, 1) == 0);
}
