/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a command: checks before data moves, execution, completion. */
#include <string.h>

#include "gateway/core/stats.h"
#include "gateway/scsi/scsi_priv.h"

static uint64_t
cdb_field(const struct gw_cmd *cmd, unsigned at, unsigned size)
{
	const uint8_t *cdb = cmd->cdb + at, *usage = cmd->op->usage + at;
	uint64_t v = 0;

	switch (size) {
	case 8:
		return gw_be64(cdb) & gw_be64(usage);
	case 4:
		return gw_be32(cdb) & gw_be32(usage);
	case 2:
		return gw_be16(cdb) & gw_be16(usage);
	default:
		for (unsigned i = 0; i < size; i++)
			v = v << 8 | (cdb[i] & usage[i]);
		return v;
	}
}

static void
find_lu(struct gw_cmd *cmd)
{
	cmd->itl = scsi_itl_find(cmd->nexus, cmd->lun);
	if (!cmd->itl)
		return;
	cmd->lu = cmd->itl->lu;
	cmd->luc = &cmd->lu->core[cmd->nexus->core->id];
}

/* Without logical unit: SPC-4 6.4.2 and 6.33 say what runs nevertheless. */
static bool
find_op_without_lu(struct gw_cmd *cmd)
{
	bool wlun = cmd->lun == GW_LUN_REPORT, known;
	const struct scsi_op *op = scsi_op_find(cmd->cdb, NULL, &known);

	if (op && (op->flags & (wlun ? OP_WLUN : OP_ANY_LUN))) {
		cmd->op = op;
		return true;
	}
	return scsi_check(cmd, wlun ? SENSE_INVALID_OPCODE : SENSE_LUN_UNSUPPORTED);
}

static bool
find_op(struct gw_cmd *cmd)
{
	uint16_t ua;
	bool known;

	if (!cmd->lu)
		return find_op_without_lu(cmd);
	cmd->op = scsi_op_find(cmd->cdb, scsi_view_of(cmd), &known);
	/* A unit attention comes before everything else (SAM-5 5.14.1). */
	if (cmd->itl->ua && !(cmd->op && (cmd->op->flags & OP_UA))) {
		ua = scsi_ua_take(cmd->itl);
		return scsi_check(cmd, SENSE(6, ua));
	}
	if (cmd->op)
		return true;
	if (known)
		scsi_check_cdb(cmd, 1, 4);
	else
		scsi_check(cmd, SENSE_INVALID_OPCODE);
	return false;
}

/* SAM-5 8: there is never an auto contingent allegiance whose commands these could be. */
static bool
check_attr(struct gw_cmd *cmd)
{
	return cmd->attr <= GW_ATTR_HEAD || scsi_check(cmd, SENSE_MESSAGE);
}

static bool
check_access(struct gw_cmd *cmd)
{
	if (GW_UNLIKELY(cmd->nexus->access >= SCSI_ACCESS_STANDBY) && cmd->lu)
		return scsi_alua_check(cmd);
	return true;
}

static bool
check_reservation(struct gw_cmd *cmd)
{
	if (!cmd->lu || scsi_res_check(cmd))
		return true;
	cmd->status = SAM_RESERVATION_CONFLICT;
	return false;
}

/* No bit is set that may not be, in all of the CDB's first 16 bytes. */
static bool
bits_clean(const struct gw_cmd *cmd)
{
	uint64_t cdb[2], usage[2];

	_Static_assert(sizeof(cmd->op->usage) == sizeof(usage), "an op names 16 bytes");
	memcpy(cdb, cmd->cdb, sizeof(cdb));
	memcpy(usage, cmd->op->usage, sizeof(usage));
	return !((cdb[0] & ~usage[0]) | (cdb[1] & ~usage[1]));
}

/* SPC-4 4.3: reserved bits are zero; the field pointer names the highest wrong bit. */
static bool
check_bits(struct gw_cmd *cmd)
{
	const struct scsi_op *op = cmd->op;

	if (cmd->cdb_len < op->cdb_len)
		return scsi_check(cmd, SENSE_CDB_FIELD);
	if (bits_clean(cmd))
		return true;
	for (unsigned i = 1; i < op->cdb_len; i++) {
		unsigned wrong = cmd->cdb[i] & ~(unsigned)op->usage[i];

		if (wrong)
			return scsi_check_cdb(cmd, i, 31 - __builtin_clz(wrong));
	}
	return true;
}

/* Of reservations that are not known none can be told or changed. */
static bool
needs_medium(const struct gw_cmd *cmd, const struct scsi_view *v)
{
	return cmd->op->flags & OP_MEDIUM || (v->unfenced && cmd->op->res_class == RES_PR);
}

static bool
check_ready(struct gw_cmd *cmd)
{
	return !cmd->lu || (needs_medium(cmd, scsi_view_of(cmd)) ? scsi_check_medium(cmd)
								 : scsi_check_sanitize(cmd));
}

static bool
check_state(struct gw_cmd *cmd)
{
	const struct scsi_view *v;
	uint32_t sense = 0;

	if (!cmd->lu)
		return true;
	v = scsi_view_of(cmd);
	if (!check_ready(cmd))
		return false;
	if (cmd->op->flags & OP_WRITES) {
		if (v->conf.readonly || cmd->itl->ro)
			sense = SENSE_WRITE_PROTECTED;
		else if (v->swp)
			sense = SENSE_SW_PROTECTED;
	}
	if (sense)
		scsi_check(cmd, sense);
	return !sense;
}

/* For what an older command may change still_valid() looks when it has. */
static bool
check_all(struct gw_cmd *cmd)
{
	if (GW_UNLIKELY(scsi_set_holds(cmd)))
		return check_bits(cmd) && check_ready(cmd);
	return check_access(cmd) && check_reservation(cmd) && check_bits(cmd) && check_state(cmd);
}

static bool
check_range(struct gw_cmd *cmd)
{
	const struct scsi_op *op = cmd->op;

	if (!op->lba_sz)
		return true;
	cmd->blk_shift = scsi_view_of(cmd)->shift;
	cmd->lba = cdb_field(cmd, op->lba_at, op->lba_sz);
	cmd->nblk = cdb_field(cmd, op->nblk_at, op->nblk_sz);
	if (!cmd->nblk && (op->flags & OP_ZERO_256))
		cmd->nblk = 256;
	if (gw_range_ok(cmd->lba, cmd->nblk, scsi_view_of(cmd)->nblk))
		return true;
	return scsi_check(cmd, SENSE_LBA_RANGE);
}

static bool
set_length(struct gw_cmd *cmd)
{
	const struct scsi_op *op = cmd->op;
	uint64_t len;

	cmd->dir = op->dir;
	if (op->flags & OP_BLOCKS) {
		/* nblk is at most 2^32 - 1: no overflow. */
		len = cmd->nblk << cmd->blk_shift;
		if (len > GW_XFER_MAX)
			return scsi_check_cdb(cmd, op->nblk_at, 7);
		cmd->data_len = (uint32_t)len;
		if (scsi_view_of(cmd)->dev)
			cmd->dma_align = scsi_view_of(cmd)->dev->dma_align;
	} else if (op->len_sz) {
		len = cdb_field(cmd, op->len_at, op->len_sz);
		if (op->dir == GW_DIR_IN)
			len = GW_MIN(len, (uint64_t)op->in_max);
		cmd->data_len = (uint32_t)len;
	} else {
		cmd->data_len = op->in_max;
	}
	return !op->prep || op->prep(cmd);
}

/*
 * The initiator announced less data than the CDB moves, or none of that direction. Whole blocks are
 * written (the residual tells); a piece of a block is refused, and nothing is moved (FCP-4 9.4.2
 * has the rules that RFC 7143 leaves to SCSI).
 */
static bool
check_announced(struct gw_cmd *cmd)
{
	bool blocks = cmd->op->lba_sz > 0;

	if (cmd->dir != GW_DIR_OUT || !cmd->data_len)
		return true;
	if (!(cmd->edtl && cmd->want_dir != GW_DIR_OUT) &&
	    !(blocks && cmd->edtl < cmd->data_len && cmd->edtl & ((1u << cmd->blk_shift) - 1)))
		return true;
	scsi_check(cmd, SENSE_CIU_FIELD);
	cmd->moved = cmd->data_len;
	return false;
}

static void
reset(struct gw_cmd *cmd)
{
	cmd->dir = GW_DIR_NONE;
	cmd->turn = GW_GO;
	cmd->aborted = GW_ABORT_NONE;
	cmd->abort_seq = 0;
	cmd->data_len = cmd->dma_align = 0;
	cmd->lba = cmd->nblk = 0;
	cmd->blk_shift = 0;
	cmd->op = NULL;
	cmd->lu = NULL;
	cmd->luc = NULL;
	cmd->itl = NULL;
	cmd->iov = NULL;
	cmd->niov = 0;
	cmd->out_len = 0;
	cmd->status = SAM_GOOD;
	cmd->sense_len = 0;
	cmd->in_len = cmd->moved = 0;
	cmd->work = NULL;
	cmd->t_begin = cmd->nexus->core->now;
}

static void
count_error(struct gw_cmd *cmd)
{
	gw_stat_add(cmd->nexus->stats.errors, 1);
	if (cmd->luc)
		gw_stat_add(cmd->luc->errors, 1);
}

static bool
refuse(struct gw_cmd *cmd, uint8_t status)
{
	count_error(cmd);
	cmd->status = status;
	cmd->dir = GW_DIR_NONE;
	cmd->data_len = 0;
	cmd->state = GW_CMD_DONE;
	gw_list_init(&cmd->on_nexus);
	return false;
}

bool
scsi_begin(struct gw_cmd *cmd)
{
	reset(cmd);
	gw_stat_add(cmd->nexus->core->stats->cmds, 1);
	if (NEVER(cmd->nexus->closing))
		return refuse(cmd, SAM_BUSY);
	find_lu(cmd);
	if (find_op(cmd) && check_attr(cmd) && check_all(cmd) && check_range(cmd) &&
	    set_length(cmd) && check_announced(cmd)) {
		cmd->state = GW_CMD_NEW;
		scsi_set_enter(cmd);
		gw_list_add_tail(&cmd->nexus->cmds, &cmd->on_nexus);
		return true;
	}
	return refuse(cmd, cmd->status);
}

/* Whether what scsi_begin() found still holds: data-out may have taken its time. */
static bool
still_valid(struct gw_cmd *cmd)
{
	const struct scsi_view *v;

	if (!cmd->lu)
		return true;
	v = scsi_view_of(cmd);
	if (cmd->op->lba_sz &&
	    (cmd->blk_shift != v->shift || !gw_range_ok(cmd->lba, cmd->nblk, v->nblk))) {
		if (scsi_check_medium(cmd))
			scsi_check(cmd, SENSE_LBA_RANGE);
		return false;
	}
	return check_access(cmd) && check_reservation(cmd) && check_state(cmd);
}

void
scsi_exec(struct gw_cmd *cmd)
{
	BUG(cmd->state != GW_CMD_NEW || cmd->turn != GW_GO);
	cmd->state = GW_CMD_EXEC;
	if (cmd->luc)
		gw_stat_add(cmd->luc->inflight, 1);
	if (still_valid(cmd))
		cmd->op->exec(cmd);
	else
		gw_cmd_complete(cmd);
}

static void
count(struct gw_cmd *cmd)
{
	struct gw_nexus_stats *ns = &cmd->nexus->stats;

	if (cmd->status != SAM_GOOD) {
		count_error(cmd);
	} else if (cmd->luc && cmd->dir == GW_DIR_IN) {
		gw_stat_add(ns->rd_cmds, 1);
		gw_stat_add(ns->rd_bytes, cmd->in_len);
		gw_stat_add(cmd->luc->rd_cmds, 1);
		gw_stat_add(cmd->luc->rd_bytes, cmd->in_len);
	} else if (cmd->luc && cmd->dir == GW_DIR_OUT) {
		gw_stat_add(ns->wr_cmds, 1);
		gw_stat_add(ns->wr_bytes, cmd->out_len);
		gw_stat_add(cmd->luc->wr_cmds, 1);
		gw_stat_add(cmd->luc->wr_bytes, cmd->out_len);
	}
}

void
gw_cmd_complete(struct gw_cmd *cmd)
{
	struct gw_nexus *n = cmd->nexus;
	struct scsi_lu_core *luc = cmd->luc;

	BUG(cmd->state != GW_CMD_EXEC);
	cmd->state = GW_CMD_DONE;
	gw_list_del(&cmd->on_nexus);
	scsi_set_leave(cmd);
	scsi_work_put(cmd);
	if (cmd->aborted) {
		scsi_tmf_cmd_gone(scsi_core_of(n->core), cmd);
		cmd->status = SAM_TASK_ABORTED;
		cmd->sense_len = 0;
		cmd->in_len = cmd->moved = 0;
	}
	count(cmd);
	n->xport->respond(cmd);
	if (luc) {
		gw_stat_add(luc->inflight, (uint32_t)-1);
		scsi_lu_left(luc);
	}
	scsi_nexus_left(n);
}

void
scsi_forget(struct gw_cmd *cmd)
{
	struct gw_nexus *n = cmd->nexus;

	if (NEVER(cmd->state != GW_CMD_NEW))
		return;
	cmd->state = GW_CMD_DONE;
	gw_list_del(&cmd->on_nexus);
	scsi_set_leave(cmd);
	scsi_nexus_left(n);
}
