/* SPDX-License-Identifier: BSD-3-Clause */
/* The command window of one session (RFC 7143 4.2.2.1). One connection, so commands come in order.
 */
#ifndef ISCSI_SN_H
#define ISCSI_SN_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/base/num.h"

struct iscsi_window {
	uint32_t exp_cmdsn; /* CmdSN that we expect next */
	uint32_t max_cmdsn; /* last CmdSN that the initiator may use; never goes back */
};

static inline void
iscsi_window_init(struct iscsi_window *w, uint32_t cmdsn, uint32_t depth)
{
	w->exp_cmdsn = cmdsn;
	w->max_cmdsn = cmdsn + depth - 1;
}

/* True if cmdsn is within [ExpCmdSN, MaxCmdSN]; a PDU outside is ignored without a word. */
static inline bool
iscsi_window_has(const struct iscsi_window *w, uint32_t cmdsn)
{
	return !gw_sn_lt(cmdsn, w->exp_cmdsn) && !gw_sn_lt(w->max_cmdsn, cmdsn);
}

#endif
