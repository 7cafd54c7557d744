/* SPDX-License-Identifier: BSD-3-Clause */
/* The LUN maps of a target: member "maps" of docs/control-protocol.md. */
#ifndef GW_CONTROL_CONF_MAPS_H
#define GW_CONTROL_CONF_MAPS_H

#include "gateway/control/member.h"

/* As member.read, of a struct gw_conf_target. What was read of it is freed even if it is false. */
bool gw_conf_maps_read(const struct member_ctx *ctx, const char *name, json_t *v, void *obj);
void gw_conf_maps_free(struct gw_conf_target *t);

#endif
