/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/model/index.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"

bool
gw_index_copy(struct gw_index *to, const struct gw_index *from, bool contents, uint32_t extra)
{
	uint32_t n = contents ? from->n : 0;

	to->room = n + extra;
	to->n = n;
	to->cmp = from->cmp;
	to->at = calloc(to->room ? to->room : 1, sizeof(*to->at));
	if (!to->at)
		return false;
	if (n)
		memcpy(to->at, from->at, n * sizeof(*to->at));
	return true;
}

void
gw_index_fini(struct gw_index *ix)
{
	free(ix->at);
	ix->at = NULL;
	ix->n = ix->room = 0;
}

uint32_t
gw_index_lower(const struct gw_index *ix, const void *key)
{
	uint32_t lo = 0, hi = ix->n;

	/* Configurations come in order: most searches end here. */
	if (hi && ix->cmp(ix->at[hi - 1], key) < 0)
		return hi;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ix->cmp(ix->at[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void *
gw_index_find(const struct gw_index *ix, const void *key)
{
	uint32_t i = gw_index_lower(ix, key);

	return i < ix->n && ix->cmp(ix->at[i], key) == 0 ? ix->at[i] : NULL;
}

void
gw_index_put(struct gw_index *ix, void *obj)
{
	uint32_t i = gw_index_lower(ix, obj);

	if (i == ix->n || ix->cmp(ix->at[i], obj) != 0) {
		BUG(ix->n == ix->room);
		memmove(&ix->at[i + 1], &ix->at[i], (ix->n - i) * sizeof(*ix->at));
		ix->n++;
	}
	ix->at[i] = obj;
}

void
gw_index_del(struct gw_index *ix, const void *key)
{
	uint32_t i = gw_index_lower(ix, key);

	if (i == ix->n || ix->cmp(ix->at[i], key) != 0)
		return;
	ix->n--;
	memmove(&ix->at[i], &ix->at[i + 1], (ix->n - i) * sizeof(*ix->at));
}
