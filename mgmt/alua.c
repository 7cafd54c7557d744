/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/alua.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "mgmt/model.h"
#include "mgmt/tgt_wire.h"

struct wish {
	uint64_t group;
	const char *state; /* NULL: default */
	bool preferred;
};

static const char *const states[] = {"active-optimized", "active-non-optimized", "standby",
				     "unavailable", "offline"};

/* "STATE", "STATE,preferred" or "default". */
static bool
parse_state(const char *text, struct wish *w)
{
	size_t n = strcspn(text, ",");

	w->preferred = text[n] != '\0';
	if (w->preferred && strcmp(text + n, ",preferred") != 0)
		return false;
	w->state = NULL;
	for (size_t i = 0; i < GW_ARRAY_LEN(states) && !w->state; i++) {
		if (strlen(states[i]) == n && strncmp(states[i], text, n) == 0)
			w->state = states[i];
	}
	return w->state || strcmp(text, "default") == 0;
}

static int
parse(const char *value, struct wish *w, struct mgmt_err *err)
{
	const char *eq = strchr(value, '=');
	char group[8];
	size_t n = eq ? (size_t)(eq - value) : 0;

	snprintf(group, sizeof(group), "%.*s", (int)n, value);
	if (!eq || n >= sizeof(group) || !gw_str_u64(group, &w->group) || w->group < 1 ||
	    w->group > UINT16_MAX)
		return mgmt_fail(err, TGT_E_INVALID,
				 "alua is GROUP=STATE with a portal group from 1 to 65535, "
				 "not \"%s\"",
				 value);
	if (!parse_state(eq + 1, w))
		return mgmt_fail(err, TGT_E_INVALID,
				 "the state of a portal group is active-optimized, "
				 "active-non-optimized, standby, unavailable or offline, with "
				 ",preferred or without, or default, not \"%s\"",
				 eq + 1);
	return 0;
}

/* Where the group is, or would be; true if it is there. */
static bool
find(const json_t *list, uint64_t group, size_t *at)
{
	for (*at = 0; *at < json_array_size(list); ++*at) {
		uint64_t g = (uint64_t)mgmt_int(json_array_get(list, *at), "tpgt", 0);

		if (g >= group)
			return g == group;
	}
	return false;
}

static int
keep(json_t *target, const struct wish *w, struct mgmt_err *err)
{
	json_t *list = json_object_get(target, "alua");
	size_t at;

	if (!list && json_object_set_new(target, "alua", list = json_array()))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	if (find(list, w->group, &at))
		json_array_remove(list, at);
	else if (json_array_size(list) >= MGMT_ALUA_MAX)
		return mgmt_fail(err, TGT_E_INVALID,
				 "a target has states for at most %d portal groups", MGMT_ALUA_MAX);
	if (json_array_insert_new(list, at,
				  json_pack("{s:I,s:s,s:b}", "tpgt", (json_int_t)w->group, "state",
					    w->state, "preferred", w->preferred)))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}

static void
drop(json_t *target, uint64_t group)
{
	json_t *list = json_object_get(target, "alua");
	size_t at;

	if (find(list, group, &at))
		json_array_remove(list, at);
	if (json_array_size(list) == 0)
		json_object_del(target, "alua");
}

int
mgmt_alua_set(json_t *target, const char *value, struct mgmt_err *err)
{
	struct wish w;

	if (parse(value, &w, err))
		return -1;
	if (w.state)
		return keep(target, &w, err);
	drop(target, w.group);
	return 0;
}

void
mgmt_alua_show(const json_t *target, struct mgmt_text *out)
{
	const json_t *g;
	size_t i;

	json_array_foreach (json_object_get(target, "alua"), i, g)
		mgmt_text_addf(out, "        Portal group %" JSON_INTEGER_FORMAT ": %s%s\n",
			       mgmt_int(g, "tpgt", 0), mgmt_str(g, "state", ""),
			       mgmt_bool(g, "preferred", false) ? ", preferred" : "");
}
