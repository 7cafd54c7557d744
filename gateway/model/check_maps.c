/* SPDX-License-Identifier: BSD-3-Clause */
/* LUN maps of one target: names, numbers, and that nothing is said twice. */
#include <inttypes.h>
#include <string.h>

#include "gateway/model/model_priv.h"

enum {
	TGT_INVALID = 17
};

struct seen {
	uint64_t bits[(GW_LUN_MAX + 1) / 64];
};

/* True if the number was there before. */
static bool
seen_put(struct seen *s, uint64_t n)
{
	uint64_t bit = 1ull << (n % 64), was = s->bits[n / 64] & bit;

	s->bits[n / 64] |= bit;
	return was != 0;
}

static int
check_entries(const struct gw_conf_map *map, const char *key, struct gw_conf_err *err)
{
	struct seen own = {{0}}, lun = {{0}};

	for (uint32_t i = 0; i < map->nlun; i++) {
		const struct gw_conf_map_lun *e = &map->lun[i];

		if (e->own > GW_LUN_MAX || e->lun > GW_LUN_MAX)
			return conf_fail(err, TGT_INVALID, key,
					 "%s: the map of %s has a number beyond %d", key, map->name,
					 GW_LUN_MAX);
		if (seen_put(&own, e->own))
			return conf_fail(err, TGT_INVALID, key,
					 "%s: the map of %s has number %" PRIu64 " twice", key,
					 map->name, e->own);
		/* An LU has one number for a nexus (SAM-5 4.7.1). */
		if (seen_put(&lun, e->lun))
			return conf_fail(err, TGT_INVALID, key,
					 "%s: the map of %s has LUN %" PRIu64 " twice", key,
					 map->name, e->lun);
	}
	return 0;
}

static bool
same_name(const struct gw_conf_map *a, const struct gw_conf_map *b)
{
	char x[GW_NAME_MAX + 1], y[GW_NAME_MAX + 1];

	return gw_name_normal(x, a->name) && gw_name_normal(y, b->name) && !strcmp(x, y);
}

int
check_maps(const struct gw_conf_target *t, const char *key, struct gw_conf_err *err)
{
	uint64_t entries = 0;

	if (t->nmap > GW_MAPS_MAX)
		return conf_fail(err, TGT_INVALID, key, "%s: more than %d LUN maps", key,
				 GW_MAPS_MAX);
	for (uint32_t i = 0; i < t->nmap; i++) {
		const struct gw_conf_map *map = &t->map[i];

		if (!check_name(map->name, ".:-_*?"))
			return conf_fail(err, TGT_INVALID, key,
					 "%s: \"%s\" is not an initiator name", key, map->name);
		for (uint32_t k = 0; k < i; k++) {
			if (same_name(map, &t->map[k]))
				return conf_fail(err, TGT_INVALID, key, "%s: %s has two LUN maps",
						 key, map->name);
		}
		entries += map->nlun;
		if (check_entries(map, key, err))
			return -1;
	}
	if (entries > GW_MAP_ENTRIES_MAX)
		return conf_fail(err, TGT_INVALID, key,
				 "%s: its LUN maps have more than %d entries", key,
				 GW_MAP_ENTRIES_MAX);
	return 0;
}
