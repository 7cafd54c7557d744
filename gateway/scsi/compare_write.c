/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * COMPARE AND WRITE (SBC-4 5.3): one turn of the LU (turn.c). The data-out is memory of the
 * command's own core: it is only read here, and what is to be written is copied to work memory of
 * the home core.
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

static bool
submit(struct gw_cmd *cmd, uint8_t op, uint8_t flags, void (*done)(struct be_io *io))
{
	cmd->work->iov.iov_base = cmd->work->mem;
	cmd->work->iov.iov_len = half(cmd);
	return scsi_io_start(cmd, op, flags, cmd->lba << cmd->blk_shift, half(cmd), &cmd->work->iov,
			     1, done);
}

static void
write_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (scsi_io_ok(cmd)) {
		cmd->status = SAM_GOOD;
		cmd->moved = cmd->data_len;
	}
	scsi_turn_end(cmd);
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

	if (!scsi_io_ok(cmd) || scsi_is_aborted(cmd) || !write_medium(cmd))
		scsi_turn_end(cmd);
}

static bool
read_medium(struct gw_cmd *cmd)
{
	return submit(cmd, BE_READ, 0, read_done);
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
		scsi_turn_begin(cmd, read_medium);
	}
}
