/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * READ and WRITE (SBC-4 5.11, 5.41). The whole transfer is one I/O from the transport's buffer;
 * only a WRITE whose initiator sent fewer blocks than the CDB says goes piece by piece, because the
 * buffer's description does not fit it.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_FUA 0x08

static void
read_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (scsi_io_failed(cmd))
		return;
	if (io->give_back) {
		cmd->iov = &io->lent;
		cmd->niov = 1;
	}
	scsi_in_done(cmd, cmd->data_len);
}

static void
read_medium(struct gw_cmd *cmd)
{
	scsi_io(cmd, BE_READ, cmd->lend, cmd->lba << cmd->blk_shift,
		cmd->data_len, cmd->iov, cmd->niov, read_done);
}

static void
flush_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_failed(cmd))
		read_medium(cmd);
}

static bool
wants_fua(const struct gw_cmd *cmd)
{
	/* In READ CD the bit is one of the expected sector type (MMC-6 6.16.2.1). */
	return cmd->op->cdb_len > 6 && cmd->op->opcode != 0xbe && (cmd->cdb[1] & CDB_FUA);
}

bool
scsi_lends(const struct gw_cmd *cmd)
{
	struct be_chan *chan = cmd->luc ? cmd->luc->chan : NULL;

	return chan && cmd->op->exec == scsi_exec_read && cmd->data_len && !wants_fua(cmd) &&
	       chan->dev == scsi_view_of(cmd)->dev &&
	       be_lends(chan, cmd->lba << cmd->blk_shift, cmd->data_len, cmd->lend);
}

void
scsi_exec_read(struct gw_cmd *cmd)
{
	/* FUA: what is only in the cache goes to the medium before it is read (SBC-4 4.15). */
	if (!cmd->data_len)
		scsi_good(cmd);
	else if (wants_fua(cmd) && scsi_view_of(cmd)->dev->volatile_cache)
		scsi_io(cmd, BE_FLUSH, 0, 0, 0, NULL, 0, flush_done);
	else
		read_medium(cmd);
}

static void write_piece(struct gw_cmd *cmd);

static void
write_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (scsi_io_failed(cmd))
		return;
	cmd->scratch[0] += io->len;
	if (cmd->scratch[0] < cmd->out_len)
		write_piece(cmd);
	else
		((void (*)(struct gw_cmd *))(uintptr_t)cmd->scratch[2])(cmd);
}

/*
 * scratch[0]: bytes of out_len that are written, a multiple of the block size, as out_len is; [1]:
 * flags; [2]: what follows.
 */
static void
write_piece(struct gw_cmd *cmd)
{
	uint64_t done = cmd->scratch[0], skip = done, len;
	unsigned i = 0;

	while (i < cmd->niov && skip >= cmd->iov[i].iov_len)
		skip -= cmd->iov[i++].iov_len;
	if (i == cmd->niov) {
		scsi_fail(cmd, SENSE_CIU_FIELD);
		return;
	}
	len = GW_MIN(cmd->iov[i].iov_len - skip, cmd->out_len - done);
	cmd->io_iov[0].iov_base = (uint8_t *)cmd->iov[i].iov_base + skip;
	cmd->io_iov[0].iov_len = len;
	scsi_io(cmd, BE_WRITE, (uint8_t)cmd->scratch[1], (cmd->lba << cmd->blk_shift) + done, len,
		cmd->io_iov, 1, write_done);
}

void
scsi_write_then(struct gw_cmd *cmd, uint8_t flags, void (*then)(struct gw_cmd *cmd))
{
	cmd->scratch[0] = 0;
	cmd->scratch[1] = flags;
	cmd->scratch[2] = (uint64_t)(uintptr_t)then;
	/* Data that did not come although it was announced must not become a short write. */
	cmd->out_len &= ~((1u << cmd->blk_shift) - 1);
	if (!cmd->out_len)
		scsi_good(cmd);
	else if (cmd->out_len < cmd->data_len)
		write_piece(cmd);
	else
		scsi_io(cmd, BE_WRITE, flags, cmd->lba << cmd->blk_shift, cmd->data_len, cmd->iov,
			cmd->niov, write_done);
}

void
scsi_exec_write(struct gw_cmd *cmd)
{
	scsi_write_then(cmd, wants_fua(cmd) ? BE_FUA : 0, scsi_good);
}
