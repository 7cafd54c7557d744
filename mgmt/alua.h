/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Access states of a target's portal groups, as the administrator wants them: the member "alua" of
 * a target, ascending by group (docs/control-protocol.md).
 */
#ifndef MGMT_ALUA_H
#define MGMT_ALUA_H

#include <jansson.h>

#include "mgmt/err.h"
#include "mgmt/text.h"

#define MGMT_ALUA_MAX 32 /* groups of a target that have a state */

/* "GROUP=STATE", "GROUP=STATE,preferred" or "GROUP=default"; 0 or -1 with err filled. */
int mgmt_alua_set(json_t *target, const char *value, struct mgmt_err *err);

/* The lines of `target show`; none for groups that nobody has set. */
void mgmt_alua_show(const json_t *target, struct mgmt_text *out);

#endif
