/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sanitize operation or a format: the state of the LU. While it runs, and after it has failed,
 * the view says so and every core refuses what would see the medium.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gateway/base/log.h"
#include "gateway/scsi/sanitize_priv.h"

static bool
is_format(const struct gw_cmd *cmd)
{
	return cmd->op->exec == scsi_exec_format;
}

/* The command. */

static void
came_back(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_cmd *cmd = gw_container(msg, struct gw_cmd, msg);

	cmd->luc = &cmd->lu->core[on->id];
	cmd->luc->sanitizes--;
	gw_cmd_complete(cmd);
}

void
scsi_sanitize_give_back(struct gw_cmd *cmd)
{
	cmd->msg.fn = came_back;
	gw_send(cmd->nexus->core, &cmd->msg);
}

void
scsi_sanitize_answer(struct gw_cmd *cmd, bool ok)
{
	if (ok) {
		cmd->status = SAM_GOOD;
		cmd->moved = cmd->data_len;
	} else {
		scsi_check(cmd, is_format(cmd) ? SENSE_UNFORMATTED : SENSE_UNSANITIZED);
	}
	scsi_sanitize_give_back(cmd);
}

/* The begin. */

static struct scsi_sanitize *
op_new(struct gw_cmd *cmd)
{
	struct scsi_sanitize *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->mem = aligned_alloc(4096, SANITIZE_MEM);
	if (!op->mem) {
		free(op);
		return NULL;
	}
	op->lu = cmd->lu;
	op->cmd = cmd;
	op->nexus = cmd->nexus->id;
	op->passes = op->pattern_len = 1;
	op->format = is_format(cmd);
	return op;
}

static void
op_free(struct scsi_sanitize *op)
{
	free(op->mem);
	free(op);
}

/* The medium is there again, with other contents. */
static void
tell_all(struct scsi_change *ch, const struct scsi_view *next, const struct scsi_sanitize *op)
{
	ch->but = op->nexus;
	if (next->medium != MEDIUM_READY)
		return;
	ch->ua = 1u << UA_MEDIUM;
	if (next->nblk == op->nblk)
		return;
	ch->ua |= 1u << UA_CAPACITY;
	ch->but = 0;
}

static bool
edit_begin(struct scsi_change *ch, struct scsi_view *next)
{
	struct scsi_sanitize *op = ch->arg;

	op->dev = next->dev;
	op->nblk = next->nblk;
	if (!(op->format ? scsi_format_prepare(op, next) : scsi_sanitize_prepare(op, next))) {
		op->refused = true;
		return false;
	}
	next->sanitize = op->exit && !op->by_dev ? SANITIZE_NONE : SANITIZE_RUNS;
	next->format = op->format;
	next->ause = op->ause;
	scsi_view_derive(next, next->nblk << next->shift);
	if (!next->sanitize)
		tell_all(ch, next, op);
	else
		atomic_store_explicit(&op->lu->progress, 0, memory_order_relaxed);
	return true;
}

static const char *
name_of(const struct scsi_sanitize *op)
{
	static const char *const names[BE_SANITIZE_MAX] = {
	    [BE_SANITIZE_BLOCK] = "block-erase",
	    [BE_SANITIZE_CRYPTO] = "crypto-erase",
	    [BE_SANITIZE_OVERWRITE] = "overwrite",
	    [BE_SANITIZE_EXIT] = "exit",
	};

	return op->format ? "format" : names[op->kind];
}

static void
begun(struct scsi_change *ch)
{
	struct scsi_sanitize *op = ch->arg;
	struct scsi_lu *lu = op->lu;
	struct gw_cmd *cmd = op->cmd;

	if (op->refused || (op->exit && !op->by_dev)) {
		if (op->refused)
			scsi_sanitize_give_back(cmd);
		else
			scsi_sanitize_answer(cmd, true);
		op_free(op);
		return;
	}
	gw_log_limited(
	    GW_LOG_INFO,
	    "erasing the medium begins: tid=%u lun=%" PRIu64 " how=%s passes=%u initiator=%s",
	    lu->view->conf.tid, lu->view->conf.lun, name_of(op), op->passes, cmd->nexus->initiator);
	lu->sanitize = op;
	lu->core[lu->home->id].pins++;
	if (op->immed) {
		op->cmd = NULL;
		scsi_sanitize_answer(cmd, true);
	}
	scsi_sanitize_run(op);
}

static void
at_home(struct gw_cmd *cmd)
{
	struct scsi_sanitize *op = scsi_is_aborted(cmd) ? NULL : op_new(cmd);

	if (!op) {
		cmd->status = SAM_BUSY;
		scsi_sanitize_give_back(cmd);
		return;
	}
	op->ch = (struct scsi_change){.lu = cmd->lu, .edit = edit_begin, .done = begun, .arg = op};
	scsi_change_start(&op->ch);
}

void
scsi_sanitize_go(struct gw_cmd *cmd)
{
	cmd->luc->sanitizes++;
	scsi_home_begin(cmd, at_home);
}

/* The end. */

/* What became of the LU or its device meanwhile has said already what state it is in. */
static bool
edit_end(struct scsi_change *ch, struct scsi_view *next)
{
	struct scsi_sanitize *op = ch->arg;

	if (next->dev != op->dev || next->last || next->sanitize != SANITIZE_RUNS) {
		op->ok = false;
		return false;
	}
	next->sanitize = op->ok ? SANITIZE_NONE : SANITIZE_FAILED;
	op->lu->dev_failed = !op->ok && (op->by_dev || op->lu->dev_failed);
	scsi_view_derive(next, next->nblk << next->shift);
	if (op->ok)
		tell_all(ch, next, op);
	return true;
}

/* SBC-4 4.7.3.6.1: what failed for want of space says so, once; then the state of the LU counts. */
static void
answer_end(struct scsi_sanitize *op)
{
	if (op->ok || !op->no_space) {
		scsi_sanitize_answer(op->cmd, op->ok);
		return;
	}
	scsi_check(op->cmd, SENSE_NO_SPACE);
	scsi_sanitize_give_back(op->cmd);
}

static void
ended(struct scsi_change *ch)
{
	struct scsi_sanitize *op = ch->arg;
	struct scsi_lu *lu = op->lu;
	struct scsi_lu_core *luc = &lu->core[lu->home->id];

	gw_log_limited(op->ok ? GW_LOG_INFO : GW_LOG_WARN,
		       "erasing the medium %s: tid=%u lun=%" PRIu64 " how=%s",
		       op->ok         ? "is complete"
		       : op->no_space ? "has failed for want of space"
				      : "has failed",
		       lu->view->conf.tid, lu->view->conf.lun, name_of(op));
	if (op->cmd)
		answer_end(op);
	lu->sanitize = NULL;
	op_free(op);
	luc->pins--;
	scsi_lu_left(luc);
}

void
scsi_sanitize_end(struct scsi_sanitize *op)
{
	op->ch = (struct scsi_change){.lu = op->lu, .edit = edit_end, .done = ended, .arg = op};
	scsi_change_start(&op->ch);
}
