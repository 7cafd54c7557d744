/* SPDX-License-Identifier: BSD-3-Clause */
/* NOP-Out, answered with its data, and NOP-In, by which we see whether a peer lives (11.18, 11.19).
 */
#include <string.h>

#include "iscsi/conn.h"
#include "iscsi/session.h"

enum iscsi_rx
iscsi_nop_begin(struct iscsi_conn *c)
{
	enum iscsi_rx v = iscsi_ctl_ready(c);

	/* An answer to our NOP-In: its data is of no use. */
	if (v != ISCSI_RX_OK || gw_be32(c->rx.head + ISCSI_AT_ITT) == ISCSI_RESERVED_TAG)
		return v;
	return iscsi_rx_to_buf(c);
}

enum iscsi_rx
iscsi_nop_end(struct iscsi_conn *c)
{
	const uint8_t *bhs = c->rx.head;
	struct iscsi_ctl *ctl;
	enum iscsi_rx v = iscsi_ffp_cmdsn(c);

	if (v != ISCSI_RX_OK || c->rx.ignore)
		return v;
	if (gw_be32(bhs + ISCSI_AT_ITT) == ISCSI_RESERVED_TAG)
		return ISCSI_RX_OK;
	ctl = iscsi_ctl_get(c, ISCSI_OP_NOP_IN);
	if (!ctl)
		return iscsi_conn_die(c, "no memory for a NOP-In");
	memcpy(ctl->bhs + ISCSI_AT_ITT, bhs + ISCSI_AT_ITT, 4);
	gw_put_be32(ctl->bhs + ISCSI_AT_TTT, ISCSI_RESERVED_TAG);
	ctl->status = true;
	/* 11.18: no more than the initiator can take. */
	ctl->len = GW_MIN(c->rx.len, c->params.max_xmit_dsl);
	ctl->sg = c->rx.sg;
	c->rx.sg.n = 0;
	iscsi_ctl_send(ctl);
	return ISCSI_RX_OK;
}

/* Best effort: a connection with that many answers under way is busy enough. */
void
iscsi_nop_ping(struct iscsi_conn *c)
{
	struct iscsi_ctl *ctl;

	if (c->nctl >= ISCSI_CTL_MAX)
		return;
	ctl = iscsi_ctl_get(c, ISCSI_OP_NOP_IN);
	if (!ctl)
		return;
	c->nop_ttt = (c->nop_ttt + 1) & 0x7fffffff;
	gw_put_be32(ctl->bhs + ISCSI_AT_ITT, ISCSI_RESERVED_TAG);
	gw_put_be32(ctl->bhs + ISCSI_AT_TTT, c->nop_ttt);
	iscsi_ctl_send(ctl);
}
