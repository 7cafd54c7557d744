/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a command: what goes back for it (RFC 7143 11.4), and what becomes of an aborted one.
 */
#include <string.h>

#include "iscsi/session.h"

/*
 * Aborted: data that was announced or asked for may still come and is swallowed; R2Ts that are not
 * out stay in. 4.2.3.2: the initiator goes on answering what it has been asked for.
 */
static void
abort_data(struct iscsi_task *t)
{
	iscsi_r2t_abort(t);
	iscsi_task_free_data(t);
	t->swallow = true;
	t->answer = false;
	if (t->awaiting && !t->unsol && t->got >= t->asked) {
		iscsi_task_await(t, false);
		iscsi_r2t_end(t);
	}
}

static bool
wants_answer(const struct iscsi_task *t)
{
	return !t->conn->dying && !t->conn->logout && t->cmd.aborted != GW_ABORT_QUIET;
}

/*
 * An aborted task does not keep the window shut for data that its initiator, having aborted it, often
 * does not send (FastAbort of open-iscsi). How many of them live beside the window is bounded.
 */
static void
give_place(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;

	iscsi_task_answered(t);
	if (c->ntask > c->depth + ISCSI_GHOSTS_MAX)
		(void)iscsi_task_bury_one(c);
}

/* What there is, as far as the initiator wants it. */
static uint32_t
send_len(const struct iscsi_task *t)
{
	const struct gw_cmd *cmd = &t->cmd;
	uint32_t room = cmd->io.give_back ? (uint32_t)cmd->io.lent.iov_len : t->sg.len;
	uint32_t len = GW_MIN(cmd->edtl, cmd->in_len);

	return GW_MIN(len, room);
}

void
iscsi_respond(struct gw_cmd *cmd)
{
	struct iscsi_task *t = gw_container(cmd, struct iscsi_task, cmd);
	struct iscsi_conn *c = t->conn;

	t->begun = false;
	t->running = false;
	if (t->parked) {
		t->parked = false;
		gw_list_del(&t->node);
	}
	if (cmd->aborted)
		abort_data(t);
	if (!wants_answer(t)) {
		iscsi_task_free_data(t);
		give_place(t);
		iscsi_task_settle(t);
		return;
	}
	if (cmd->aborted == GW_ABORT_TAS) {
		cmd->status = SAM_TASK_ABORTED;
		cmd->sense_len = 0;
		cmd->in_len = cmd->moved = 0;
	}
	if (cmd->want_dir == GW_DIR_IN && cmd->dir == GW_DIR_IN)
		t->send_len = send_len(t);
	if (t->send_len == 0)
		iscsi_task_free_data(t);
	t->tx.kind = ISCSI_TX_RSP;
	iscsi_tx_queue(c, &t->tx);
}

/* 11.4.7: the sense data follows its length. */
uint32_t
iscsi_response_sense(const struct gw_cmd *cmd, uint8_t *p)
{
	if (cmd->status != SAM_CHECK_CONDITION || cmd->sense_len == 0)
		return 0;
	gw_put_be16(p, cmd->sense_len);
	memcpy(p + 2, cmd->sense, cmd->sense_len);
	return 2u + cmd->sense_len;
}

void
iscsi_response_head(struct iscsi_conn *c, struct iscsi_task *t, uint8_t *bhs)
{
	const struct gw_cmd *cmd = &t->cmd;
	uint32_t under, over;

	iscsi_task_answered(t);
	gw_cmd_residual(cmd, &under, &over);
	bhs[ISCSI_AT_OPCODE] = ISCSI_OP_SCSI_RSP;
	bhs[ISCSI_AT_FLAGS] = ISCSI_FLAG_F | (over ? ISCSI_RSP_O : 0) | (under ? ISCSI_RSP_U : 0);
	bhs[ISCSI_AT_STATUS] = cmd->status;
	gw_put_be32(bhs + ISCSI_AT_ITT, t->itt);
	gw_put_be32(bhs + ISCSI_AT_STATSN, c->stat_sn++);
	iscsi_tx_window(c, bhs);
	/* 11.4.8: ExpDataSN counts the Data-In and R2T PDUs of the command. */
	gw_put_be32(bhs + ISCSI_AT_DATASN, t->in_sn + t->r2t_sent);
	gw_put_be32(bhs + ISCSI_AT_RESIDUAL, under + over);
	gw_stat_add(c->sess->nexus.stats.rsp_pdus, 1);
}
