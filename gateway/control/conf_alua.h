/* SPDX-License-Identifier: BSD-3-Clause */
/* The member "alua" of a target: what the administrator has set of its portal groups. */
#ifndef GW_CONTROL_CONF_ALUA_H
#define GW_CONTROL_CONF_ALUA_H

#include "gateway/control/member.h"

/* member.read for a struct gw_conf_target. */
bool gw_conf_alua_read(const struct member_ctx *ctx, const char *name, json_t *v, void *obj);

#endif
