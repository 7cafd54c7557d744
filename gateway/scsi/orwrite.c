/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ORWRITE(16) (SBC-4 5.10): sets the bits of the medium that are set in the data-out. The whole
 * command is one turn (turn.c), in pieces of half the work memory: one half for the medium, the
 * other for the data, which is memory of the command's own core and only read here.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_FUA 0x08
#define PIECE   (SCSI_WORK_SIZE / 2)

/* scratch[0]: bytes done, [2]: all. */
static uint64_t
piece_len(const struct gw_cmd *cmd)
{
	return GW_MIN(cmd->scratch[2] - cmd->scratch[0], (uint64_t)PIECE);
}

static bool
submit(struct gw_cmd *cmd, uint8_t op, uint8_t flags, void (*done)(struct be_io *io))
{
	uint64_t len = piece_len(cmd);

	cmd->work->iov = (struct iovec){cmd->work->mem, len};
	return scsi_io_start(cmd, op, flags, (cmd->lba << cmd->blk_shift) + cmd->scratch[0], len,
			     &cmd->work->iov, 1, done);
}

static bool read_piece(struct gw_cmd *cmd);

static void
write_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_ok(cmd)) {
		scsi_turn_end(cmd);
		return;
	}
	cmd->scratch[0] += io->len;
	if (cmd->scratch[0] == cmd->scratch[2]) {
		cmd->status = SAM_GOOD;
		cmd->moved = cmd->data_len;
		scsi_turn_end(cmd);
	} else if (scsi_is_aborted(cmd) || !read_piece(cmd)) {
		scsi_turn_end(cmd);
	}
}

static bool
write_piece(struct gw_cmd *cmd)
{
	uint8_t *medium = cmd->work->mem, *data = medium + PIECE;
	uint64_t len = piece_len(cmd);

	if (!scsi_out_get(cmd, cmd->scratch[0], data, len))
		return scsi_check(cmd, SENSE_CIU_FIELD);
	for (uint64_t i = 0; i < len; i++)
		medium[i] |= data[i];
	return submit(cmd, BE_WRITE, cmd->cdb[1] & CDB_FUA ? BE_FUA : 0, write_done);
}

static void
read_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_ok(cmd) || scsi_is_aborted(cmd) || !write_piece(cmd))
		scsi_turn_end(cmd);
}

static bool
read_piece(struct gw_cmd *cmd)
{
	return submit(cmd, BE_READ, 0, read_done);
}

static bool
begin(struct gw_cmd *cmd)
{
	cmd->scratch[0] = 0;
	return read_piece(cmd);
}

void
scsi_exec_orwrite(struct gw_cmd *cmd)
{
	/* What did not arrive changes nothing; the residual says so. */
	cmd->out_len &= ~((1u << cmd->blk_shift) - 1);
	cmd->scratch[2] = cmd->out_len;
	if (!cmd->out_len)
		scsi_good(cmd);
	else
		scsi_turn_begin(cmd, begin);
}
