/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "gateway/model/model_priv.h"

bool
gw_name_normal(char out[GW_NAME_MAX + 1], const char *name)
{
	size_t n = strnlen(name, GW_NAME_MAX + 1);

	if (n > GW_NAME_MAX)
		return false;
	/* RFC 3722 maps to lower case; beyond ASCII the name is compared as it came. */
	for (size_t i = 0; i <= n; i++)
		out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
	return true;
}

const struct gw_target *
gw_target_by_name(const struct gw_model *m, const char *iqn)
{
	char name[GW_NAME_MAX + 1];
	uint32_t lo = 0, hi = m->ntarget;

	if (!gw_name_normal(name, iqn))
		return NULL;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct gw_target *t = m->target[m->by_name[mid]];
		int c = strcmp(name, t->iqn);

		if (c == 0)
			return t;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct gw_target *
gw_target_by_tid(const struct gw_model *m, uint32_t tid)
{
	uint32_t lo = 0, hi = m->ntarget;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->target[mid]->tid == tid)
			return m->target[mid];
		if (tid < m->target[mid]->tid)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
