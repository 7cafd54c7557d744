/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Identities of deleted logical units. Reload scripts of tgt delete a target and make it anew; the
 * same LUN number of the same target on the same backing store is the same disk to its initiators.
 * Kept as objects "former:IQN/LUN" that the gateway never sees, the last MGMT_FORMER_MAX of them.
 */
#ifndef MGMT_FORMER_H
#define MGMT_FORMER_H

#include "mgmt/mgmt.h"

#define MGMT_FORMER_MAX    1000
#define MGMT_FORMER_PREFIX "former:"

/* Adds to the change that deletes the LUN. 0 or -ENOMEM. */
int mgmt_former_keep(const struct mgmt *m, struct mgmt_change *c, const json_t *lun);
/* After the last keep: deletes the oldest ones that are too many now. 0 or -ENOMEM. */
int mgmt_former_trim(const struct mgmt *m, struct mgmt_change *c);
/* Gives a new LUN object the identity that it had before, if it had one. 0 or -ENOMEM. */
int mgmt_former_use(const struct mgmt *m, struct mgmt_change *c, json_t *lun);

#endif
