/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCSI Data-In PDUs (RFC 7143 11.7): a read's data in pieces of the initiator's
 * MaxRecvDataSegmentLength and sequences of MaxBurstLength. GOOD status rides in the last one
 * (11.7.3).
 */
#include "iscsi/session.h"
#include "iscsi/tcp_conn.h"

bool
iscsi_data_in_collapsed(const struct iscsi_task *t)
{
	return t->send_len > 0 && t->cmd.status == SAM_GOOD;
}

static void
put_status(struct iscsi_conn *c, struct iscsi_task *t, uint8_t *bhs)
{
	uint32_t under, over;

	iscsi_task_answered(t);
	gw_cmd_residual(&t->cmd, &under, &over);
	bhs[ISCSI_AT_FLAGS] |=
	    ISCSI_DATAIN_S | (over ? ISCSI_RSP_O : 0) | (under ? ISCSI_RSP_U : 0);
	bhs[ISCSI_AT_STATUS] = t->cmd.status;
	gw_put_be32(bhs + ISCSI_AT_STATSN, c->stat_sn++);
	gw_put_be32(bhs + ISCSI_AT_RESIDUAL, under + over);
}

static void
one(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_task *t, uint32_t len)
{
	uint8_t *bhs = tcp_batch_head(b);
	uint32_t end = t->sent + len;

	bhs[ISCSI_AT_OPCODE] = ISCSI_OP_DATA_IN;
	if (end == t->send_len || end % c->params.max_burst == 0)
		bhs[ISCSI_AT_FLAGS] = ISCSI_FLAG_F;
	if (end == t->send_len && iscsi_data_in_collapsed(t))
		put_status(c, t, bhs);
	gw_put_be32(bhs + ISCSI_AT_ITT, t->itt);
	gw_put_be32(bhs + ISCSI_AT_TTT, ISCSI_RESERVED_TAG);
	iscsi_tx_window(c, bhs);
	gw_put_be32(bhs + ISCSI_AT_DATASN, t->in_sn++);
	gw_put_be32(bhs + ISCSI_AT_BUFOFF, t->sent);
	tcp_batch_seal(b, bhs, t->cmd.iov, t->sent, len, c->hdig, c->ddig);
	t->sent = end;
	gw_stat_add(c->sess->nexus.stats.datain_pdus, 1);
}

bool
iscsi_data_in_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_task *t)
{
	while (t->sent < t->send_len) {
		uint32_t burst = c->params.max_burst - t->sent % c->params.max_burst;
		uint32_t len = GW_MIN(burst, t->send_len - t->sent);

		if (!tcp_batch_room(b))
			return false;
		one(c, b, t, GW_MIN(len, c->params.max_xmit_dsl));
	}
	return true;
}
