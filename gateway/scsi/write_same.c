/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WRITE SAME (SBC-4 5.49). A block of zeroes becomes BE_ZERO; any other block is repeated in work
 * memory and written piece by piece. With UNMAP the range is deallocated and reads as zeroes, as
 * for UNMAP, whatever the block holds: initiators and conformance tests expect it of a device with
 * LBPRZ. ANCHOR is not in the usage mask: ANC_SUP is 0.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_UNMAP 0x08
#define CDB_NDOB  0x01

static bool
no_data_out(const struct gw_cmd *cmd)
{
	return cmd->op->cdb_len == 16 && (cmd->cdb[1] & CDB_NDOB);
}

bool
scsi_write_same_prep(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);

	if ((cmd->cdb[1] & CDB_UNMAP) && !v->lbpme)
		return scsi_check_cdb(cmd, 1, 3);
	/* WSNZ is 0: no length means up to the last block. */
	if (!cmd->nblk)
		cmd->nblk = v->nblk - cmd->lba;
	if (cmd->nblk > SCSI_WS_BLOCKS_MAX)
		return scsi_check_cdb(cmd, cmd->op->nblk_at, 7);
	if (no_data_out(cmd)) {
		cmd->dir = GW_DIR_NONE;
		return true;
	}
	cmd->data_len = 1u << v->shift;
	/* The data-out is one block, whatever the range: another amount is a mistake. */
	if (cmd->edtl && cmd->edtl != cmd->data_len) {
		scsi_check(cmd, SENSE_CIU_FIELD);
		cmd->moved = cmd->data_len;
		return false;
	}
	return true;
}

static bool
wants_zero(const struct gw_cmd *cmd)
{
	uint8_t b[512];

	if (no_data_out(cmd) || (cmd->cdb[1] & CDB_UNMAP))
		return true;
	for (uint64_t off = 0; off < cmd->data_len; off += sizeof(b)) {
		scsi_out_get(cmd, off, b, sizeof(b));
		if (b[0] || memcmp(b, b + 1, sizeof(b) - 1) != 0)
			return false;
	}
	return true;
}

static void zero_step(struct gw_cmd *cmd);
static void pattern_get(struct gw_cmd *cmd);

/* scratch[0]: bytes of the range done, [1]: all of it. */
static void
zero_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (io->st == BE_ENOTSUP && !cmd->aborted) {
		pattern_get(cmd);
		return;
	}
	if (scsi_io_failed(cmd))
		return;
	cmd->scratch[0] += io->len;
	zero_step(cmd);
}

static void
zero_step(struct gw_cmd *cmd)
{
	uint64_t len = cmd->scratch[1] - cmd->scratch[0];

	if (!len)
		scsi_good(cmd);
	else
		scsi_io(cmd, BE_ZERO, cmd->cdb[1] & CDB_UNMAP ? BE_MAY_UNMAP : 0,
			(cmd->lba << cmd->blk_shift) + cmd->scratch[0],
			GW_MIN(len, SCSI_RANGE_STEP), NULL, 0, zero_done);
}

static void pattern_step(struct gw_cmd *cmd);

static void
pattern_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (scsi_io_failed(cmd))
		return;
	cmd->scratch[0] += io->len;
	pattern_step(cmd);
}

static void
pattern_step(struct gw_cmd *cmd)
{
	uint64_t len = GW_MIN(cmd->scratch[1] - cmd->scratch[0], (uint64_t)SCSI_WORK_SIZE);

	if (!len) {
		scsi_good(cmd);
		return;
	}
	cmd->work->iov.iov_base = cmd->work->mem;
	cmd->work->iov.iov_len = len;
	scsi_io(cmd, BE_WRITE, 0, (cmd->lba << cmd->blk_shift) + cmd->scratch[0], len,
		&cmd->work->iov, 1, pattern_done);
}

static void
pattern_start(struct gw_cmd *cmd)
{
	size_t block = (size_t)1 << cmd->blk_shift;

	if (cmd->aborted) {
		gw_cmd_complete(cmd);
		return;
	}
	if (wants_zero(cmd))
		memset(cmd->work->mem, 0, block);
	else
		scsi_out_get(cmd, 0, cmd->work->mem, block);
	for (size_t n = block; n < SCSI_WORK_SIZE; n *= 2)
		memcpy(cmd->work->mem + n, cmd->work->mem, n);
	pattern_step(cmd);
}

static void
pattern_get(struct gw_cmd *cmd)
{
	if (scsi_work_get(cmd, pattern_start))
		pattern_start(cmd);
}

void
scsi_exec_write_same(struct gw_cmd *cmd)
{
	cmd->scratch[0] = 0;
	cmd->scratch[1] = cmd->nblk << cmd->blk_shift;
	/* Without its block there is nothing to write; the residual says so. */
	if (cmd->out_len < cmd->data_len || !cmd->nblk)
		scsi_good(cmd);
	else if (wants_zero(cmd))
		zero_step(cmd);
	else
		pattern_get(cmd);
}
