/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/conf_alua.h"

#include <string.h>

#include "gateway/base/num.h"

enum {
	TGT_INVALID = 17
};

static bool
read_state(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	static const struct {
		const char *name;
		enum scsi_access state;
	} row[] = {
	    {"active-optimized", SCSI_ACCESS_OPTIMIZED},
	    {"active-non-optimized", SCSI_ACCESS_NON_OPTIMIZED},
	    {"standby", SCSI_ACCESS_STANDBY},
	    {"unavailable", SCSI_ACCESS_UNAVAILABLE},
	    {"offline", SCSI_ACCESS_OFFLINE},
	};
	const char *text = json_string_value(v);

	for (size_t i = 0; text && i < GW_ARRAY_LEN(row); i++) {
		if (strcmp(text, row[i].name) == 0) {
			((struct scsi_alua_set *)obj)->state = (uint8_t)row[i].state;
			return true;
		}
	}
	return member_fail(ctx, TGT_INVALID, "%s is not a state of a portal group", name);
}

bool
gw_conf_alua_read(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	static const struct member table[] = {
	    {.name = "tpgt",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct scsi_alua_set, tpgt),
	     .min = 1,
	     .max = 65535},
	    {.name = "state", .kind = MEMBER_READ, .required = true, .read = read_state},
	    {.name = "preferred", .kind = MEMBER_BOOL, MEMBER_AT(struct scsi_alua_set, preferred)},
	};
	struct gw_conf_target *t = obj;
	size_t i;
	json_t *group;

	if (!json_is_array(v) || json_array_size(v) > GW_GROUPS_MAX)
		return member_fail(ctx, TGT_INVALID, "%s is not a list of at most %d groups", name,
				   GW_GROUPS_MAX);
	json_array_foreach (v, i, group) {
		if (!member_read_all(ctx, group, table, GW_ARRAY_LEN(table), &t->alua[i]))
			return false;
	}
	t->nalua = (uint32_t)i;
	return true;
}
