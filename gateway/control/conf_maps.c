/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/conf_maps.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/base/str.h"

enum {
	TGT_INVALID = 17
};

/* [OWN, LUN, READ_ONLY] */
static bool
read_entry(json_t *v, struct gw_conf_map_lun *e)
{
	json_t *own = json_array_get(v, 0), *lun = json_array_get(v, 1), *ro = json_array_get(v, 2);

	if (json_array_size(v) != 3 || !json_is_integer(own) || !json_is_integer(lun) ||
	    !json_is_boolean(ro) || json_integer_value(own) < 0 || json_integer_value(lun) < 0 ||
	    json_integer_value(own) > GW_LUN_MAX || json_integer_value(lun) > GW_LUN_MAX)
		return false;
	*e = (struct gw_conf_map_lun){
	    .own = (uint64_t)json_integer_value(own),
	    .lun = (uint64_t)json_integer_value(lun),
	    .ro = json_is_true(ro),
	};
	return true;
}

static bool
read_luns(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_map *map = obj;
	size_t i, n = json_array_size(v);
	json_t *entry;

	if (!json_is_array(v) || n > GW_MAP_ENTRIES_MAX)
		return member_fail(ctx, TGT_INVALID, "%s is not a list of at most %d entries", name,
				   GW_MAP_ENTRIES_MAX);
	map->lun = calloc(n + 1, sizeof(*map->lun));
	if (!map->lun)
		return member_fail(ctx, 2, "out of memory");
	json_array_foreach (v, i, entry) {
		if (!read_entry(entry, &map->lun[i]))
			return member_fail(ctx, TGT_INVALID,
					   "%s has an entry that is not [0..%d, 0..%d, BOOL]", name,
					   GW_LUN_MAX, GW_LUN_MAX);
		map->nlun++;
	}
	return true;
}

static bool
read_all(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_map *map = obj;
	const char *s = json_string_value(v);

	if (!s || (strcmp(s, "rw") != 0 && strcmp(s, "ro") != 0))
		return member_fail(ctx, TGT_INVALID, "%s is neither \"rw\" nor \"ro\"", name);
	map->all = true;
	map->ro = s[1] == 'o';
	return true;
}

static bool
read_map(const struct member_ctx *ctx, json_t *v, struct gw_conf_map *map)
{
	static const struct member table[] = {
	    {.name = "name",
	     .kind = MEMBER_STR,
	     .required = true,
	     MEMBER_AT(struct gw_conf_map, name)},
	    {.name = "luns", .kind = MEMBER_READ, .read = read_luns},
	    {.name = "all", .kind = MEMBER_READ, .read = read_all},
	};

	if (!member_read_all(ctx, v, table, GW_ARRAY_LEN(table), map))
		return false;
	return map->all == !map->lun ||
	       member_fail(ctx, TGT_INVALID, "the map of \"%.64s\" has not one of luns and all",
			   map->name);
}

bool
gw_conf_maps_read(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_target *t = obj;
	size_t i, n = json_array_size(v);
	json_t *map;

	if (!json_is_array(v) || n > GW_MAPS_MAX)
		return member_fail(ctx, TGT_INVALID, "%s is not a list of at most %d maps", name,
				   GW_MAPS_MAX);
	t->map = calloc(n + 1, sizeof(*t->map));
	if (!t->map)
		return member_fail(ctx, 2, "out of memory");
	json_array_foreach (v, i, map) {
		t->nmap++;
		if (!read_map(ctx, map, &t->map[i]))
			return false;
	}
	return true;
}

void
gw_conf_maps_free(struct gw_conf_target *t)
{
	for (uint32_t i = 0; i < t->nmap; i++)
		free(t->map[i].lun);
	free(t->map);
}
