/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LUN maps: what an initiator that is named sees of a target. They are the member "maps" of a
 * target object (docs/control-protocol.md), which is not there while there is no map. Every LUN
 * that a map names exists.
 */
#ifndef MGMT_MAPS_H
#define MGMT_MAPS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "mgmt/err.h"
#include "mgmt/model.h"
#include "mgmt/text.h"

#define MGMT_MAPS_MAX     1024  /* of a target */
#define MGMT_MAP_LUNS_MAX 16384 /* in all maps of a target */

/*
 * A new map for `name` from the n pieces between the commas of its list: OWN=LUN, both of which may
 * be ranges of one length (OWN-OWN=LUN-LUN), with /ro behind it or not; or one piece "all",
 * "all/ro", "none". NULL with err.
 */
json_t *mgmt_map_parse(const char *name, const char *const *piece, unsigned n,
		       struct mgmt_err *err);
/* 0 if the target has every LUN that the map names, or -1 with err. */
int mgmt_map_check(const struct mgmt_model *m, json_int_t tid, const json_t *map,
		   struct mgmt_err *err);
/*
 * Gives the edited target the map, in the place of the one of the same name or behind all others.
 * Takes the reference. 0, or -1 with err.
 */
int mgmt_map_put(json_t *target, json_t *map, struct mgmt_err *err);
/* False if there is no map of that name. */
bool mgmt_map_drop(json_t *target, const char *name);

/* Does a map of the target name the LUN? */
bool mgmt_maps_have(const json_t *target, json_int_t lun);
/* The LUN goes: no map of the edited target names it any more. */
void mgmt_maps_trim(json_t *target, json_int_t lun);

/* Adds the list as mgmt_map_parse() takes it, ascending, neighbours as ranges. */
void mgmt_map_print(const json_t *map, struct mgmt_text *out);

#endif
