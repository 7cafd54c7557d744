/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WRITE ATOMIC(16) (SBC-4 5.45): offered where the device promises that a write is done as a whole
 * or not at all. One command is one atomic write and one I/O, whatever pieces its data is in; an
 * ATOMIC BOUNDARY, which would allow several, is refused as a reserved field.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_FUA 0x08

void
scsi_atomic_derive(struct scsi_view *v)
{
	const struct be_dev *dev = v->dev;
	uint32_t block = 1u << v->shift, max, gran;

	v->atomic_max = v->atomic_align = v->atomic_gran = v->atomic_boundary = 0;
	if (!dev || !dev->atomic_max)
		return;
	/* All but max are powers of two (boundary as well wherever one is known). */
	gran = GW_MAX(dev->atomic_gran, block);
	max = GW_MIN(dev->atomic_max, (uint32_t)GW_XFER_MAX);
	if (dev->atomic_boundary) {
		if (dev->atomic_boundary & (block - 1))
			return;
		max = GW_MIN(max, dev->atomic_boundary);
	}
	v->atomic_max = (max & ~(gran - 1)) >> v->shift;
	v->atomic_align = GW_MAX(dev->atomic_align, block) >> v->shift;
	v->atomic_gran = gran >> v->shift;
	v->atomic_boundary = dev->atomic_boundary >> v->shift;
}

/* SBC-4 4.29: what the device cannot do as a whole is an invalid field. */
static bool
is_atomic(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint64_t first = cmd->lba, last = cmd->lba + cmd->nblk - 1;

	if (!cmd->nblk)
		return true;
	if (cmd->nblk > v->atomic_max || cmd->nblk & (v->atomic_gran - 1)) {
		scsi_check_cdb(cmd, cmd->op->nblk_at, 7);
	} else if (first & (v->atomic_align - 1)) {
		scsi_check_cdb(cmd, cmd->op->lba_at, 7);
	} else if (v->atomic_boundary && first / v->atomic_boundary != last / v->atomic_boundary) {
		/* No field of VPD B0 tells where: writes aligned to their length never do this. */
		scsi_check_cdb(cmd, cmd->op->lba_at, 7);
	} else {
		return true;
	}
	return false;
}

bool
scsi_write_atomic_prep(struct gw_cmd *cmd)
{
	return is_atomic(cmd);
}

static void
write_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_failed(cmd))
		scsi_good(cmd);
}

void
scsi_exec_write_atomic(struct gw_cmd *cmd)
{
	if (!cmd->nblk) {
		scsi_good(cmd);
	} else if (cmd->out_len < cmd->data_len) {
		/* A part of it is not what was asked for. */
		scsi_check(cmd, SENSE_CIU_FIELD);
		cmd->moved = cmd->data_len;
		gw_cmd_complete(cmd);
	} else if (!is_atomic(cmd)) {
		/* The device is another than when the CDB was checked. */
		gw_cmd_complete(cmd);
	} else {
		scsi_io(cmd, BE_WRITE, BE_ATOMIC | (cmd->cdb[1] & CDB_FUA ? BE_FUA : 0),
			cmd->lba << cmd->blk_shift, cmd->data_len, cmd->iov, cmd->niov, write_done);
	}
}
