/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/core/usage.h"

#include <string.h>

#include "gateway/base/bug.h"

static struct {
	const char *name;
	gw_usage_fn *fn;
} kinds[GW_USAGES_MAX];
static unsigned nkinds;
static gw_devices_fn *devices;

void
gw_usage_add(const char *name, gw_usage_fn *fn)
{
	for (unsigned i = 0; i < nkinds; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return;
	}
	BUG(nkinds == GW_USAGES_MAX);
	kinds[nkinds].name = name;
	kinds[nkinds].fn = fn;
	nkinds++;
}

unsigned
gw_usages(void)
{
	return nkinds;
}

const char *
gw_usage_name(unsigned i)
{
	return kinds[i].name;
}

struct gw_usage
gw_usage_get(struct gw_core *core, unsigned i)
{
	return kinds[i].fn(core);
}

void
gw_devices_set(gw_devices_fn *fn)
{
	devices = fn;
}

unsigned
gw_device_counters(const struct gw_core *core, unsigned i, const char **device,
		   struct gw_counter *out)
{
	return devices ? devices(core, i, device, out) : 0;
}
