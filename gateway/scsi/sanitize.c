/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SANITIZE (SBC-4 5.30, 4.11): the commands, and the state of the LU. While an operation runs, and
 * after it has failed, the view says so and every core refuses what would see the medium.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gateway/base/log.h"
#include "gateway/scsi/sanitize_priv.h"

#define CDB_IMMED 0x80
#define CDB_AUSE  0x20

#define SA_OVERWRITE    0x01
#define SA_BLOCK_ERASE  0x02
#define SA_CRYPTO_ERASE 0x03
#define SA_EXIT         0x1f

#define LIST_HEADER 4
#define LIST_INVERT 0x80
#define LIST_TEST   0x60
#define LIST_COUNT  0x1f

/* What there is. */

static bool
dev_can(const struct be_dev *dev, enum be_sanitize kind)
{
	return dev && dev->sanitize_kinds & 1u << kind;
}

void
scsi_sanitize_derive(struct scsi_view *v)
{
	v->erase = v->lbpme || dev_can(v->dev, BE_SANITIZE_BLOCK);
	v->crypto = dev_can(v->dev, BE_SANITIZE_CRYPTO);
}

/*
 * A device that may come back, or whose successor takes over its data, is not sanitized: an
 * operation that it interrupts has failed.
 */
void
scsi_sanitize_no_dev(struct scsi_view *v, bool for_good)
{
	v->sanitize = for_good || !v->sanitize ? SANITIZE_NONE : SANITIZE_FAILED;
}

/* The command. */

bool
scsi_sanitize_prep(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint32_t len = cmd->data_len, block = 1u << v->shift;

	if (v->medium == MEDIUM_SANITIZING)
		return scsi_check_medium(cmd);
	if (cmd->op->sa == SA_OVERWRITE ? len > LIST_HEADER && len <= LIST_HEADER + block : !len)
		return true;
	scsi_check_cdb(cmd, 7, 7);
	return false;
}

/* The parameter list of OVERWRITE; false: sense is set. */
static bool
list_ok(struct gw_cmd *cmd)
{
	uint32_t block = 1u << scsi_view_of(cmd)->shift, len;
	uint8_t h[LIST_HEADER];

	if (cmd->out_len < cmd->data_len || !scsi_out_get(cmd, 0, h, sizeof(h))) {
		scsi_check(cmd, SENSE_PARAM_LENGTH);
		return false;
	}
	len = gw_be16(h + 2);
	if (h[0] & LIST_TEST) /* vendor specific, all but 0 */
		scsi_check_param(cmd, 0, 6);
	else if (!(h[0] & LIST_COUNT))
		scsi_check_param(cmd, 0, 4);
	else if (h[1])
		scsi_check_param(cmd, 1, 31 - __builtin_clz(h[1]));
	else if (!len || len > block)
		scsi_check_param(cmd, 2, 7);
	else if (LIST_HEADER + len > cmd->data_len)
		scsi_check(cmd, SENSE_PARAM_LENGTH);
	else
		return true;
	return false;
}

static void at_home(struct gw_cmd *cmd);

static void
go_home(struct gw_cmd *cmd)
{
	cmd->luc->sanitizes++;
	scsi_home_begin(cmd, at_home);
}

void
scsi_exec_sanitize(struct gw_cmd *cmd)
{
	if (cmd->op->sa != SA_OVERWRITE || list_ok(cmd))
		go_home(cmd);
	else
		gw_cmd_complete(cmd);
}

void
scsi_exec_exit_failure(struct gw_cmd *cmd)
{
	go_home(cmd);
}

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
		scsi_check(cmd, SENSE_UNSANITIZED);
	}
	scsi_sanitize_give_back(cmd);
}

/* The operation. */

static void
take_list(struct scsi_sanitize *op, const struct gw_cmd *cmd)
{
	uint8_t h[LIST_HEADER];

	if (!scsi_out_get(cmd, 0, h, sizeof(h)))
		return;
	op->passes = h[0] & LIST_COUNT;
	op->invert = h[0] & LIST_INVERT;
	op->pattern_len = (uint16_t)GW_MIN((size_t)gw_be16(h + 2), sizeof(op->pattern));
	scsi_out_get(cmd, LIST_HEADER, op->pattern, op->pattern_len);
}

/* The device's own overwriting is one pass of zeroes. */
static bool
is_plain_zero(const struct scsi_sanitize *op)
{
	for (unsigned i = 0; i < op->pattern_len; i++)
		if (op->pattern[i])
			return false;
	return op->passes == 1;
}

static void
choose(struct scsi_sanitize *op, uint8_t sa)
{
	switch (sa) {
	case SA_OVERWRITE:
		op->kind = BE_SANITIZE_OVERWRITE;
		op->by_dev = is_plain_zero(op) && dev_can(op->dev, op->kind);
		break;
	case SA_BLOCK_ERASE:
		op->kind = BE_SANITIZE_BLOCK;
		op->by_dev = dev_can(op->dev, op->kind);
		op->by_zero = true;
		break;
	case SA_CRYPTO_ERASE:
		op->kind = BE_SANITIZE_CRYPTO;
		op->by_dev = dev_can(op->dev, op->kind);
		break;
	default:
		op->kind = BE_SANITIZE_EXIT;
		op->by_dev = op->lu->dev_failed && dev_can(op->dev, op->kind);
		op->exit = true;
	}
}

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
	if (cmd->op->sa == SA_OVERWRITE)
		take_list(op, cmd);
	return op;
}

static void
op_free(struct scsi_sanitize *op)
{
	free(op->mem);
	free(op);
}

/* SBC-4 4.11.4, 5.30.1: of a failed operation in the restricted mode there is but one way out. */
static bool
may_begin(struct gw_cmd *cmd, const struct scsi_view *v)
{
	bool failed = v->medium == MEDIUM_UNSANITIZED;

	if (!failed && !scsi_check_view(cmd, v))
		return false;
	if (failed && !v->ause && (cmd->cdb[1] & CDB_AUSE)) {
		scsi_check_cdb(cmd, 1, 5);
		return false;
	}
	/* The device is another than when the CDB was checked. */
	if (cmd->op->sa == SA_CRYPTO_ERASE && !v->crypto) {
		scsi_check_cdb(cmd, 1, 4);
		return false;
	}
	return true;
}

static bool
may_exit(struct gw_cmd *cmd, const struct scsi_view *v)
{
	if (v->medium == MEDIUM_SANITIZING)
		return scsi_check_view(cmd, v);
	if (v->sanitize != SANITIZE_FAILED) {
		cmd->status = SAM_GOOD;
		return false;
	}
	if (!v->ause)
		scsi_check_cdb(cmd, 1, 4);
	return v->ause;
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
	struct gw_cmd *cmd = op->cmd;
	uint8_t sa = cmd->op->sa;

	op->dev = next->dev;
	op->nblk = next->nblk;
	choose(op, sa);
	if (!(op->exit ? may_exit(cmd, next) : may_begin(cmd, next))) {
		op->refused = true;
		return false;
	}
	next->sanitize = op->exit && !op->by_dev ? SANITIZE_NONE : SANITIZE_RUNS;
	if (!op->exit)
		next->ause = cmd->cdb[1] & CDB_AUSE;
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

	return names[op->kind];
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
	    "a sanitize operation begins: tid=%u lun=%" PRIu64 " how=%s passes=%u initiator=%s",
	    lu->view->conf.tid, lu->view->conf.lun, name_of(op), op->passes, cmd->nexus->initiator);
	lu->sanitize = op;
	lu->core[lu->home->id].pins++;
	if (!op->exit && (cmd->cdb[1] & CDB_IMMED)) {
		op->cmd = NULL;
		scsi_sanitize_answer(cmd, true);
	}
	scsi_sanitize_run(op);
}

static void
at_home(struct gw_cmd *cmd)
{
	bool aborted = __atomic_load_n(&cmd->aborted, __ATOMIC_RELAXED);
	struct scsi_sanitize *op = aborted ? NULL : op_new(cmd);

	if (!op) {
		cmd->status = SAM_BUSY;
		scsi_sanitize_give_back(cmd);
		return;
	}
	op->ch = (struct scsi_change){.lu = cmd->lu, .edit = edit_begin, .done = begun, .arg = op};
	scsi_change_start(&op->ch);
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

static void
ended(struct scsi_change *ch)
{
	struct scsi_sanitize *op = ch->arg;
	struct scsi_lu *lu = op->lu;
	struct scsi_lu_core *luc = &lu->core[lu->home->id];

	gw_log_limited(op->ok ? GW_LOG_INFO : GW_LOG_WARN,
		       "a sanitize operation %s: tid=%u lun=%" PRIu64 " how=%s",
		       op->ok ? "is complete" : "has failed", lu->view->conf.tid,
		       lu->view->conf.lun, name_of(op));
	if (op->cmd)
		scsi_sanitize_answer(op->cmd, op->ok);
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
