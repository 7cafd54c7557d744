/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * COMPARE AND WRITE (SBC-4 5.3). They run on the LU's home core, one at a time, so none sees the
 * medium between another's read and write, whichever nexus and core it comes from. The data-out is
 * memory of the command's own core: it is only read here, and what is to be written is copied to
 * work memory of the home core.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_FUA 0x08

bool
scsi_caw_prep(struct gw_cmd *cmd)
{
	/* Data for no blocks: the count did not fit into its byte. */
	if (cmd->nblk > scsi_caw_max(cmd->blk_shift) || (!cmd->nblk && cmd->edtl))
		return scsi_check_cdb(cmd, cmd->op->nblk_at, 7);
	if (!cmd->nblk) {
		cmd->dir = GW_DIR_NONE;
		return true;
	}
	/* What to compare with, and what to write. */
	cmd->data_len = (uint32_t)(2 * cmd->nblk << cmd->blk_shift);
	/* Where one half ends follows from the length: another amount is a mistake. */
	if (cmd->edtl && cmd->edtl != cmd->data_len) {
		scsi_check(cmd, SENSE_CIU_FIELD);
		cmd->moved = cmd->data_len;
		return false;
	}
	return true;
}

static uint64_t
half(const struct gw_cmd *cmd)
{
	return cmd->data_len / 2;
}

/* Task management marks the command on its own core. */
static bool
is_aborted(const struct gw_cmd *cmd)
{
	return __atomic_load_n(&cmd->aborted, __ATOMIC_RELAXED) != GW_ABORT_NONE;
}

static void
finish(struct gw_cmd *cmd)
{
	struct scsi_lu_core *luc = cmd->luc;

	luc->lu->caw = NULL;
	scsi_work_put(cmd);
	scsi_home_end(cmd);
	luc->pins--;
	scsi_lu_left(luc);
}

static bool
submit(struct gw_cmd *cmd, uint8_t op, uint8_t flags, void (*done)(struct be_io *io))
{
	cmd->work->iov.iov_base = cmd->work->mem;
	cmd->work->iov.iov_len = half(cmd);
	return scsi_io_start(cmd, op, flags, cmd->lba << cmd->blk_shift, half(cmd), &cmd->work->iov,
			     1, done);
}

static void next(struct scsi_lu *lu);

static void
write_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);
	struct scsi_lu *lu = cmd->lu;

	if (scsi_io_ok(cmd)) {
		cmd->status = SAM_GOOD;
		cmd->moved = cmd->data_len;
	}
	finish(cmd);
	next(lu);
}

/* True if the write is under way. */
static bool
write_medium(struct gw_cmd *cmd)
{
	size_t at = scsi_out_compare(cmd, 0, cmd->work->mem, half(cmd));

	if (at < half(cmd)) {
		/* SBC-4 5.3: INFORMATION is the offset of the first byte that differs. */
		scsi_check_info(cmd, SENSE_MISCOMPARE, at);
		return false;
	}
	scsi_out_get(cmd, half(cmd), cmd->work->mem, half(cmd));
	return submit(cmd, BE_WRITE, cmd->cdb[1] & CDB_FUA ? BE_FUA : 0, write_done);
}

static void
read_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);
	struct scsi_lu *lu = cmd->lu;

	if (!scsi_io_ok(cmd) || is_aborted(cmd) || !write_medium(cmd))
		finish(cmd);
	next(lu);
}

static void
read_medium(struct gw_cmd *cmd)
{
	if (is_aborted(cmd) || !submit(cmd, BE_READ, 0, read_done))
		finish(cmd);
}

static void
work_came(struct gw_cmd *cmd)
{
	struct scsi_lu *lu = cmd->lu;

	read_medium(cmd);
	next(lu);
}

/* Those that end at once make way in this loop, not by calling each other. */
static void
next(struct scsi_lu *lu)
{
	struct gw_cmd *cmd;

	while (!lu->caw && (cmd = gw_list_first(&lu->caws, struct gw_cmd, io.node))) {
		gw_list_del(&cmd->io.node);
		lu->caw = cmd;
		if (is_aborted(cmd))
			finish(cmd);
		else if (scsi_work_get(cmd, work_came))
			read_medium(cmd);
	}
}

/* The pin keeps the channel here open: the command counts as in flight on its own core only. */
static void
queue_at_home(struct gw_cmd *cmd)
{
	cmd->luc->pins++;
	gw_list_add_tail(&cmd->lu->caws, &cmd->io.node);
	next(cmd->lu);
}

void
scsi_exec_caw(struct gw_cmd *cmd)
{
	if (!cmd->nblk) {
		scsi_good(cmd);
	} else if (cmd->out_len < cmd->data_len) {
		scsi_check(cmd, SENSE_CIU_FIELD);
		cmd->moved = cmd->data_len;
		gw_cmd_complete(cmd);
	} else {
		scsi_home_begin(cmd, queue_at_home);
	}
}
