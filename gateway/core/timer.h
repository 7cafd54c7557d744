/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timer wheel of one core, resolution 1 ms (a timer fires up to 1 ms late, never early). Start and
 * stop cost O(1). Own core only.
 */
#ifndef GW_CORE_TIMER_H
#define GW_CORE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/core/core.h"

struct gw_timer {
	struct gw_list node;
	void (*fire)(struct gw_timer *t);
	uint64_t due; /* private: ms */
	bool running;
};

void gw_timer_init(struct gw_timer *t, void (*fire)(struct gw_timer *));
/* (Re)starts t; fire() runs once, ms (1 .. 2^31) from now, and may start it again. */
void gw_timer_start(struct gw_core *core, struct gw_timer *t, uint32_t ms);
void gw_timer_stop(struct gw_timer *t);

#endif
