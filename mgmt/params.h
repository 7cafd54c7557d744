/* SPDX-License-Identifier: BSD-3-Clause */
/* The iSCSI keys of a target (RFC 7143 13) as tgtadm names, shows and changes them. */
#ifndef MGMT_PARAMS_H
#define MGMT_PARAMS_H

#include <jansson.h>

#include "mgmt/err.h"
#include "mgmt/text.h"

/* Checks and stores one key in the target object. 0, or -1 with err. Names in any case. */
int mgmt_param_set(json_t *target, const char *name, const char *value, struct mgmt_err *err);
/* "Key=Value" lines of all keys, in tgt's order. */
void mgmt_params_show(const json_t *target, struct mgmt_text *out);
/* New object with the keys and their effective values as text. */
json_t *mgmt_params_json(const json_t *target);
/* nop_interval or nop_count. */
json_int_t mgmt_param_int(const json_t *target, const char *name);

#endif
