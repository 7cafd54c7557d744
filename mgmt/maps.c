/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/maps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mgmt/names.h"
#include "mgmt/tgt_wire.h"

/* A list while it is read: what each of the initiator's own numbers stands for. */
struct draft {
	struct {
		uint16_t lun;
		bool given, ro;
	} own[MGMT_LUN_MAX + 1];
	bool mapped[MGMT_LUN_MAX + 1]; /* by the target's number */
};

struct range {
	uint32_t first, last;
};

static bool
read_number(const char **s, uint32_t *n)
{
	const char *p = *s;

	for (*n = 0; *p >= '0' && *p <= '9' && *n <= MGMT_LUN_MAX; p++)
		*n = *n * 10 + (uint32_t)(*p - '0');
	if (p == *s || *n > MGMT_LUN_MAX)
		return false;
	*s = p;
	return true;
}

/* "7" or "7-9" */
static bool
read_range(const char **s, struct range *r)
{
	if (!read_number(s, &r->first))
		return false;
	r->last = r->first;
	if (**s != '-')
		return true;
	++*s;
	return read_number(s, &r->last) && r->last >= r->first;
}

/* "OWN=LUN", "OWN=LUN/ro", "OWN-OWN=LUN-LUN" */
static int
read_piece(const char *piece, struct range *own, struct range *lun, bool *ro, struct mgmt_err *err)
{
	const char *s = piece;
	bool ok = read_range(&s, own) && *s++ == '=' && read_range(&s, lun);

	*ro = ok && !strcmp(s, "/ro");
	if (!ok || (*s && !*ro))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" is no mapping: OWN=LUN or OWN=LUN/ro, with numbers or "
				 "ranges from 0 to %d",
				 piece, MGMT_LUN_MAX);
	if (own->last - own->first != lun->last - lun->first)
		return mgmt_fail(err, TGT_E_INVALID, "the ranges of \"%s\" differ in length",
				 piece);
	return 0;
}

/* One LUN under two numbers would be two disks with one identity to the initiator. */
static int
add_piece(struct draft *d, const char *piece, struct mgmt_err *err)
{
	struct range own, lun;
	bool ro;

	if (read_piece(piece, &own, &lun, &ro, err))
		return -1;
	for (uint32_t o = own.first, l = lun.first; o <= own.last; o++, l++) {
		if (d->own[o].given)
			return mgmt_fail(err, TGT_E_INVALID, "number %" PRIu32 " is given twice",
					 o);
		if (d->mapped[l])
			return mgmt_fail(err, TGT_E_INVALID, "LUN %" PRIu32 " is mapped twice", l);
		d->own[o].lun = (uint16_t)l;
		d->own[o].ro = ro;
		d->own[o].given = d->mapped[l] = true;
	}
	return 0;
}

static json_t *
draft_luns(const struct draft *d)
{
	json_t *luns = json_array();

	for (uint32_t o = 0; o <= MGMT_LUN_MAX; o++) {
		if (d->own[o].given &&
		    json_array_append_new(luns, json_pack("[i,i,b]", (int)o, (int)d->own[o].lun,
							  (int)d->own[o].ro))) {
			json_decref(luns);
			return NULL;
		}
	}
	return luns;
}

static json_t *
parse_luns(const char *const *piece, unsigned n, struct mgmt_err *err)
{
	struct draft *d = calloc(1, sizeof(*d));
	json_t *luns = NULL;
	unsigned i;

	if (!d) {
		mgmt_fail(err, TGT_E_NOMEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < n && !add_piece(d, piece[i], err); i++)
		;
	if (i == n && !(luns = draft_luns(d)))
		mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	free(d);
	return luns;
}

json_t *
mgmt_map_parse(const char *name, const char *const *piece, unsigned n, struct mgmt_err *err)
{
	const char *all = NULL;
	json_t *map, *luns;

	for (unsigned i = 0; i < n; i++) {
		bool none = !strcmp(piece[i], "none"), ro = !strcmp(piece[i], "all/ro");

		if (!none && !ro && strcmp(piece[i], "all") != 0)
			continue;
		if (n > 1) {
			mgmt_fail(err, TGT_E_INVALID, "%s stands alone", piece[i]);
			return NULL;
		}
		all = ro ? "ro" : none ? NULL : "rw";
		n = 0; /* nothing is left to be read */
	}
	luns = all ? json_string(all) : parse_luns(piece, n, err);
	if (!luns)
		return NULL;
	map = json_pack("{s:s,s:o}", "name", name, all ? "all" : "luns", luns);
	if (!map)
		mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return map;
}

int
mgmt_map_check(const struct mgmt_model *m, json_int_t tid, const json_t *map, struct mgmt_err *err)
{
	json_t *luns = json_object_get(map, "luns"), *e;
	size_t i;

	json_array_foreach (luns, i, e) {
		json_int_t lun = json_integer_value(json_array_get(e, 1));

		if (mgmt_model_lun(m, tid, (uint64_t)lun))
			continue;
		return mgmt_fail(
		    err, TGT_E_NO_LUN,
		    "target %" JSON_INTEGER_FORMAT " has no LUN %" JSON_INTEGER_FORMAT " to map%s",
		    tid, lun, lun ? "" : "; the controller is everybody's LUN 0 by itself");
	}
	return 0;
}

/* Index of the map of that name, -1 if there is none: iSCSI names have no case (RFC 3722). */
static int
find(const json_t *maps, const char *name)
{
	json_t *map;
	size_t i;

	json_array_foreach (maps, i, map) {
		if (!strcasecmp(mgmt_str(map, "name", ""), name))
			return (int)i;
	}
	return -1;
}

static size_t
count_luns(const json_t *maps)
{
	json_t *map;
	size_t i, n = 0;

	json_array_foreach (maps, i, map)
		n += json_array_size(json_object_get(map, "luns"));
	return n;
}

int
mgmt_map_put(json_t *target, json_t *map, struct mgmt_err *err)
{
	json_t *maps = json_object_get(target, "maps");
	int at, bad;

	if (!maps) {
		maps = json_array();
		json_object_set_new(target, "maps", maps);
	}
	at = find(maps, mgmt_str(map, "name", ""));
	bad =
	    at >= 0 ? json_array_set_new(maps, (size_t)at, map) : json_array_append_new(maps, map);
	if (bad)
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	if (json_array_size(maps) > MGMT_MAPS_MAX)
		return mgmt_fail(err, TGT_E_INVALID, "a target has at most %d maps", MGMT_MAPS_MAX);
	if (count_luns(maps) > MGMT_MAP_LUNS_MAX)
		return mgmt_fail(err, TGT_E_INVALID,
				 "the maps of a target name at most %d LUNs together",
				 MGMT_MAP_LUNS_MAX);
	return 0;
}

bool
mgmt_map_drop(json_t *target, const char *name)
{
	json_t *maps = json_object_get(target, "maps");
	int at = find(maps, name);

	if (at < 0)
		return false;
	json_array_remove(maps, (size_t)at);
	if (!json_array_size(maps))
		json_object_del(target, "maps");
	return true;
}

/* Index of the mapping of the LUN, -1 if the map has none. */
static int
find_lun(const json_t *map, json_int_t lun)
{
	json_t *luns = json_object_get(map, "luns"), *e;
	size_t i;

	json_array_foreach (luns, i, e) {
		if (json_integer_value(json_array_get(e, 1)) == lun)
			return (int)i;
	}
	return -1;
}

bool
mgmt_maps_have(const json_t *target, json_int_t lun)
{
	json_t *maps = json_object_get(target, "maps"), *map;
	size_t i;

	json_array_foreach (maps, i, map) {
		if (find_lun(map, lun) >= 0)
			return true;
	}
	return false;
}

void
mgmt_maps_trim(json_t *target, json_int_t lun)
{
	json_t *maps = json_object_get(target, "maps"), *map;
	size_t i;

	json_array_foreach (maps, i, map) {
		int at = find_lun(map, lun);

		if (at >= 0)
			json_array_remove(json_object_get(map, "luns"), (size_t)at);
	}
}

/* The mapping at index i of the list; false behind its end. */
static bool
mapping(const json_t *luns, size_t i, json_int_t *own, json_int_t *lun, bool *ro)
{
	const json_t *e = json_array_get(luns, i);

	*own = json_integer_value(json_array_get(e, 0));
	*lun = json_integer_value(json_array_get(e, 1));
	*ro = json_is_true(json_array_get(e, 2));
	return e != NULL;
}

/* How many mappings from index i on go up side by side. */
static size_t
run_length(const json_t *luns, size_t i)
{
	json_int_t own, lun, o, l;
	bool ro, r;
	size_t n = 1;

	mapping(luns, i, &own, &lun, &ro);
	while (mapping(luns, i + n, &o, &l, &r) && o == own + (json_int_t)n &&
	       l == lun + (json_int_t)n && r == ro)
		n++;
	return n;
}

void
mgmt_map_print(const json_t *map, struct mgmt_text *out)
{
	const json_t *luns = json_object_get(map, "luns");
	const char *all = mgmt_str(map, "all", NULL);
	json_int_t own, lun;
	size_t n;
	bool ro;

	if (all || !json_array_size(luns))
		mgmt_text_addf(out, !all ? "none" : !strcmp(all, "ro") ? "all/ro" : "all");
	for (size_t i = 0; mapping(luns, i, &own, &lun, &ro); i += n) {
		/* Two neighbours are no longer as they are. */
		n = run_length(luns, i);
		if (n < 3)
			n = 1;
		mgmt_text_addf(out, "%s%" JSON_INTEGER_FORMAT, i ? "," : "", own);
		if (n > 1)
			mgmt_text_addf(out, "-%" JSON_INTEGER_FORMAT, own + (json_int_t)n - 1);
		mgmt_text_addf(out, "=%" JSON_INTEGER_FORMAT, lun);
		if (n > 1)
			mgmt_text_addf(out, "-%" JSON_INTEGER_FORMAT, lun + (json_int_t)n - 1);
		mgmt_text_addf(out, "%s", ro ? "/ro" : "");
	}
}
