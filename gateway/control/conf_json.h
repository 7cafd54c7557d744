/* SPDX-License-Identifier: BSD-3-Clause */
/* The params of `apply` and `check` as a struct gw_conf_change. */
#ifndef GW_CONTROL_CONF_JSON_H
#define GW_CONTROL_CONF_JSON_H

#include <jansson.h>

#include "gateway/api/config.h"

/* False with err filled and nothing to free. Else the caller frees with gw_conf_json_free(). */
bool gw_conf_json_read(json_t *params, struct gw_conf_change *chg, struct gw_conf_err *err);
void gw_conf_json_free(struct gw_conf_change *chg);

#endif
