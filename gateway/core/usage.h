/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of what a core has is in use: buffers, chunks, and the pools of the folders above; and what
 * devices that only some machines have count on it. Each owner registers a function per kind; reports
 * call all of them, on the core's thread.
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

struct gw_counter {
	const char *name; /* constant */
	uint64_t value;
};

#define GW_COUNTERS_MAX 16 /* of a device on a core, or of a session */

/*
 * Counters of the i-th device, its name in *device, GW_COUNTERS_MAX of them at most; how many there
 * are, 0: there is no such device. Own core.
 */
typedef unsigned gw_devices_fn(const struct gw_core *core, unsigned i, const char **device,
			       struct gw_counter *out);

/* Main thread, before the cores start. */
void gw_devices_set(gw_devices_fn *fn);
unsigned gw_device_counters(const struct gw_core *core, unsigned i, const char **device,
			    struct gw_counter *out);

#endif
