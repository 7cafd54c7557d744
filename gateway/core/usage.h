/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of what a core has is in use: buffers, chunks, and the pools of the folders above. Each owner
 * registers a function per kind; reports call all of them, on the core's thread.
 */
#ifndef GW_CORE_USAGE_H
#define GW_CORE_USAGE_H

#include "gateway/core/core.h"

#define GW_USAGES_MAX 16

struct gw_usage {
	uint64_t used, total; /* bytes or objects, as the name says */
};

typedef struct gw_usage gw_usage_fn(struct gw_core *core);

/* Main thread, before the cores start. name is a constant; the same name again changes nothing. */
void gw_usage_add(const char *name, gw_usage_fn *fn);

unsigned gw_usages(void);
const char *gw_usage_name(unsigned i);
/* Own core. */
struct gw_usage gw_usage_get(struct gw_core *core, unsigned i);

#endif
