/* SPDX-License-Identifier: BSD-3-Clause */
/* LUN maps: copies of them, the sets of LUNs that the cores see, and whose each set is. */
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/model/model_priv.h"

/* --- copies --- */

bool
m_maps_copy(struct gw_conf_target *t)
{
	const struct gw_conf_map *from = t->map;
	uint32_t n = t->nmap;

	t->nmap = 0;
	t->map = calloc(n + 1, sizeof(*t->map));
	for (; t->map && t->nmap < n; t->nmap++) {
		struct gw_conf_map *to = &t->map[t->nmap];

		*to = from[t->nmap];
		gw_name_normal(to->name, from[t->nmap].name);
		to->lun = calloc(to->nlun + 1, sizeof(*to->lun));
		if (!to->lun)
			return false;
		if (to->nlun)
			memcpy(to->lun, from[t->nmap].lun, to->nlun * sizeof(*to->lun));
	}
	return t->map != NULL;
}

void
m_maps_free(struct gw_conf_target *t)
{
	for (uint32_t i = 0; i < t->nmap; i++)
		free(t->map[i].lun);
	free(t->map);
}

static bool
map_equal(const struct gw_conf_map *a, const struct gw_conf_map *b)
{
	if (strcmp(a->name, b->name) != 0 || a->all != b->all || a->ro != b->ro ||
	    a->nlun != b->nlun)
		return false;
	for (uint32_t i = 0; i < a->nlun; i++) {
		if (a->lun[i].own != b->lun[i].own || a->lun[i].lun != b->lun[i].lun ||
		    a->lun[i].ro != b->lun[i].ro)
			return false;
	}
	return true;
}

bool
m_maps_equal(const struct gw_conf_target *a, const struct gw_conf_target *b)
{
	if (a->nmap != b->nmap)
		return false;
	for (uint32_t i = 0; i < a->nmap; i++) {
		if (!map_equal(&a->map[i], &b->map[i]))
			return false;
	}
	return true;
}

/* --- what the cores see --- */

static int
by_number(const void *a, const void *b)
{
	const struct gw_lun *x = a, *y = b;

	return (x->lun > y->lun) - (x->lun < y->lun);
}

static int
by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)(*(const struct gw_lun *const *)a)->lu;
	uintptr_t y = (uintptr_t)(*(const struct gw_lun *const *)b)->lu;

	return (x > y) - (x < y);
}

/* NULL where the target has no such LUN, be it yet or any more. */
static struct scsi_lu *
lu_of(const struct gw_target *t, const struct m_target *m, uint64_t number)
{
	struct gw_lun key = {.lun = number};
	const struct gw_lun *l = bsearch(&key, t->lun, t->nlun, sizeof(key), by_number);

	return l && l->lu != m->ctl ? l->lu : NULL;
}

/* Room for each LUN of the map and LUN 0. */
static bool
fill_set(struct gw_lunset *s, const struct gw_target *t, const struct m_target *m,
	 const struct gw_conf_map *map)
{
	bool zero = false;

	s->lun = calloc(map->nlun + 1, sizeof(*s->lun));
	s->by_lu = calloc(map->nlun + 1, sizeof(*s->by_lu));
	if (!s->lun || !s->by_lu)
		return false;
	for (uint32_t i = 0; i < map->nlun; i++) {
		const struct gw_conf_map_lun *e = &map->lun[i];
		struct scsi_lu *lu = lu_of(t, m, e->lun);

		if (!lu)
			continue;
		s->lun[s->nlun++] = (struct gw_lun){.lun = e->own, .lu = lu, .ro = e->ro};
		zero |= e->own == 0;
	}
	if (!zero)
		s->lun[s->nlun++] = (struct gw_lun){.lun = 0, .lu = m->ctl};
	qsort(s->lun, s->nlun, sizeof(*s->lun), by_number);
	for (uint32_t i = 0; i < s->nlun; i++)
		s->by_lu[i] = &s->lun[i];
	qsort(s->by_lu, s->nlun, sizeof(const struct gw_lun *), by_address);
	return true;
}

static bool
is_pattern(const char *name)
{
	return strpbrk(name, "*?") != NULL;
}

static bool
add_sets(struct gw_target *t, const struct m_target *m, bool patterns)
{
	for (uint32_t i = 0; i < m->conf.nmap; i++) {
		const struct gw_conf_map *map = &m->conf.map[i];
		struct gw_lunset *s = &t->map[t->nmap];

		if (is_pattern(map->name) != patterns)
			continue;
		t->nmap++;
		memcpy(s->who, map->name, sizeof(s->who));
		s->all = map->all;
		s->ro = map->ro;
		if (map->all) {
			s->lun = t->lun;
			s->nlun = t->nlun;
		} else if (!fill_set(s, t, m, map)) {
			return false;
		}
	}
	return true;
}

bool
m_maps_build(struct gw_target *t, const struct m_target *m)
{
	if (!m->conf.nmap)
		return true;
	t->map = calloc(m->conf.nmap, sizeof(*t->map));
	return t->map && add_sets(t, m, false) && add_sets(t, m, true);
}

void
m_maps_unbuild(struct gw_target *t)
{
	for (uint32_t i = 0; i < t->nmap; i++) {
		if (t->map[i].all)
			continue;
		free(t->map[i].lun);
		free((void *)(uintptr_t)t->map[i].by_lu);
	}
	free(t->map);
}

/* Initiators choose their names: none becomes another's by bearing a pattern. */
const struct gw_lunset *
gw_lunset_of(const struct gw_target *t, const char *initiator)
{
	char name[GW_NAME_MAX + 1];

	if (!t->nmap)
		return NULL;
	BUG(!gw_name_normal(name, initiator));
	for (uint32_t i = 0; i < t->nmap; i++) {
		const struct gw_lunset *s = &t->map[i];

		if (is_pattern(s->who) ? gw_name_matches(s->who, name) : !strcmp(s->who, name))
			return s;
	}
	return NULL;
}
