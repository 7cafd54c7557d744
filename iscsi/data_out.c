/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCSI Data-Out PDUs (RFC 7143 11.7). Order within and between sequences is negotiated to Yes
 * (13.18, 13.19), so the next byte of a task is the only one that may come.
 */
#include <string.h>

#include "gateway/base/log.h"
#include "iscsi/conn.h"
#include "iscsi/session.h"

static struct iscsi_task *
task_of(struct iscsi_conn *c, const uint8_t *bhs)
{
	uint32_t itt = gw_be32(bhs + ISCSI_AT_ITT), ttt = gw_be32(bhs + ISCSI_AT_TTT);
	struct iscsi_task *t;

	if (ttt == ISCSI_RESERVED_TAG) {
		t = iscsi_task_find(c, itt);
		return t && t->unsol ? t : NULL;
	}
	t = iscsi_r2t_find(c, ttt);
	return t && t->itt == itt ? t : NULL;
}

/*
 * 7.9: at ERL 0 a sequence that is out of order ends its task, not the session: the rest of what
 * was announced or asked for is dropped up to its final PDU, then the status goes out.
 */
static void
break_task(struct iscsi_task *t, const char *why)
{
	struct gw_cmd *cmd = &t->cmd;

	gw_log_limited(GW_LOG_WARN, "write ended: %s. peer=%s initiator=%s", why,
		       t->conn->peer_text, t->conn->sess->nexus.initiator);
	if (t->begun) {
		t->begun = false;
		scsi_forget(cmd);
		cmd->status = SAM_CHECK_CONDITION;
		cmd->sense_len = 18;
		memset(cmd->sense, 0, sizeof(cmd->sense));
		cmd->sense[0] = 0x70; /* fixed format, SPC-4 4.5.3 */
		cmd->sense[2] = 0x0b; /* ABORTED COMMAND */
		cmd->sense[7] = 10;
		cmd->sense[12] = 0x4b; /* DATA PHASE ERROR */
		t->answer = true;
	}
	t->swallow = true;
	t->broken = true;
	iscsi_r2t_abort(t);
	iscsi_task_free_data(t);
}

/* A broken task is over when all sequences that it has to expect have ended. */
static void
broken_end(struct iscsi_conn *c, struct iscsi_task *t)
{
	if (!(c->rx.head[ISCSI_AT_FLAGS] & ISCSI_FLAG_F))
		return;
	if (!t->unsol && ++t->r2t_done < t->r2t_sent)
		return;
	t->unsol = false;
	iscsi_r2t_end(t);
	t->asked = t->got;
	iscsi_task_advance(t);
	iscsi_task_unpark(c);
}

/* Why the PDU does not fit its sequence; NULL if it does. */
static const char *
check(const struct iscsi_task *t, const uint8_t *bhs, uint32_t len)
{
	bool final = bhs[ISCSI_AT_FLAGS] & ISCSI_FLAG_F;

	if (gw_be32(bhs + ISCSI_AT_DATASN) != t->data_sn)
		return "a Data-Out is out of order";
	if (gw_be32(bhs + ISCSI_AT_BUFOFF) != t->got)
		return "a Data-Out has a wrong buffer offset";
	if (len > t->seq_end - t->got)
		return "a Data-Out has more data than allowed";
	/* 11.7.1: F ends a sequence; one that was asked for ends where the R2T said. */
	if (!t->unsol && final != (t->got + len == t->seq_end))
		return "a Data-Out sequence has not the length asked for";
	return NULL;
}

enum iscsi_rx
iscsi_data_out_begin(struct iscsi_conn *c)
{
	enum iscsi_rx v = iscsi_ctl_ready(c);
	struct iscsi_task *t;
	const char *why;

	if (v != ISCSI_RX_OK)
		return v;
	t = task_of(c, c->rx.head);
	if (!t) {
		c->rx.reject = ISCSI_REJECT_INVALID_FIELD;
		return ISCSI_RX_OK;
	}
	why = t->broken ? NULL : check(t, c->rx.head, c->rx.len);
	if (why)
		break_task(t, why);
	iscsi_rx_to_task(c, t, t->got);
	if (t->broken)
		c->rx.sink = ISCSI_SINK_DROP;
	return ISCSI_RX_OK;
}

enum iscsi_rx
iscsi_data_out_end(struct iscsi_conn *c)
{
	struct iscsi_task *t = c->rx.task;

	gw_stat_add(c->sess->nexus.stats.dataout_pdus, 1);
	if (t->broken) {
		broken_end(c, t);
		return ISCSI_RX_OK;
	}
	t->got += c->rx.len;
	t->data_sn++;
	if (c->rx.len > 0)
		t->stamp = c->core->now;
	if (!t->unsol)
		iscsi_r2t_arrived(t, c->rx.len);
	if (c->rx.head[ISCSI_AT_FLAGS] & ISCSI_FLAG_F) {
		t->data_sn = 0;
		if (t->unsol) {
			/* Less than FirstBurstLength is taken as it is; the rest is solicited. */
			t->unsol = false;
			t->asked = t->got;
		} else {
			iscsi_r2t_sequence_done(t);
		}
		iscsi_task_advance(t);
		iscsi_task_unpark(c);
	}
	return ISCSI_RX_OK;
}
