/* SPDX-License-Identifier: BSD-3-Clause */
/* Task Management Function Requests (RFC 7143 11.5, 11.6; RFC 7144 4 for functions above 8). */
#include <string.h>

#include "iscsi/conn.h"
#include "iscsi/session.h"

#define FN_MASK        0x7f
#define AT_RSP_INFO    36 /* RFC 7144 4.2: Additional Response Information, 3 bytes */
#define LEVEL_RFC_7144 2  /* iSCSIProtocolLevel from which functions 9 to 12 are legal */

static void
answer(struct iscsi_ctl *ctl, uint8_t rsp)
{
	ctl->bhs[ISCSI_AT_RSP] = rsp;
	iscsi_ctl_send(ctl);
}

static void
done(struct gw_tmf *tmf)
{
	struct iscsi_ctl *ctl = gw_container(tmf, struct iscsi_ctl, tmf);

	memcpy(ctl->bhs + AT_RSP_INFO, tmf->info, sizeof(tmf->info));
	answer(ctl, tmf->rsp);
}

/*
 * 11.6.1: a task that we do not know, whose RefCmdSN is in the window and older than the request,
 * never arrived and never will: its number counts as received, and the abort as done.
 */
static uint8_t
absent_task(struct iscsi_conn *c, const uint8_t *bhs)
{
	uint32_t ref = gw_be32(bhs + ISCSI_AT_REF_CMDSN);

	if (!iscsi_window_has(&c->win, ref) || !gw_sn_lt(ref, gw_be32(bhs + ISCSI_AT_CMDSN)))
		return GW_TMF_NO_TASK;
	if (ref == c->win.exp_cmdsn) {
		c->win.exp_cmdsn++;
		c->win.max_cmdsn++;
	}
	return GW_TMF_COMPLETE;
}

static void
run(struct iscsi_conn *c, struct iscsi_ctl *ctl, const uint8_t *bhs, uint8_t fn)
{
	struct gw_tmf *tmf = &ctl->tmf;

	if (fn == GW_TMF_ABORT_TASK || fn == GW_TMF_QUERY_TASK) {
		struct iscsi_task *t = iscsi_task_find(c, gw_be32(bhs + ISCSI_AT_REF_TASK));

		/* A task whose answer is on its way is no longer in the task set. */
		if (!t || (!t->begun && !t->running)) {
			answer(ctl, fn == GW_TMF_ABORT_TASK && !t ? absent_task(c, bhs)
								  : GW_TMF_NO_TASK);
			return;
		}
		tmf->task = &t->cmd;
	}
	tmf->nexus = &c->sess->nexus;
	tmf->lun = gw_lun_decode(bhs + ISCSI_AT_LUN);
	tmf->fn = fn;
	tmf->done = done;
	scsi_tmf(tmf);
}

enum iscsi_rx
iscsi_tmf_end(struct iscsi_conn *c)
{
	const uint8_t *bhs = c->rx.head;
	uint8_t fn = bhs[ISCSI_AT_FLAGS] & FN_MASK;
	struct iscsi_ctl *ctl;
	enum iscsi_rx v = iscsi_ffp_cmdsn(c);

	if (v != ISCSI_RX_OK || c->rx.ignore)
		return v;
	if (gw_be32(bhs + ISCSI_AT_ITT) == ISCSI_RESERVED_TAG)
		return iscsi_reject(c, ISCSI_REJECT_INVALID_FIELD);
	ctl = iscsi_ctl_get(c, ISCSI_OP_TMF_RSP);
	if (!ctl)
		return iscsi_conn_die(c, "no memory for a task management function");
	memcpy(ctl->bhs + ISCSI_AT_ITT, bhs + ISCSI_AT_ITT, 4);
	ctl->status = true;
	if (fn == GW_TMF_TASK_REASSIGN)
		answer(ctl, GW_TMF_REASSIGN_UNSUPPORTED);
	else if (fn == 0 || fn > GW_TMF_QUERY_ASYNC_EVENT ||
		 (fn > GW_TMF_TASK_REASSIGN && c->params.protocol_level < LEVEL_RFC_7144))
		answer(ctl, GW_TMF_UNSUPPORTED);
	else
		run(c, ctl, bhs, fn);
	return ISCSI_RX_OK;
}
