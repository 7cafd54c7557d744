/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VERIFY (SBC-4 5.36): the medium is read piece by piece into work memory; with BYTCHK it is
 * compared with the data-out, which is either as long as the range (01b) or one block for all of it
 * (11b). What is only in the cache goes to the medium before (SBC-4 4.15). WRITE AND VERIFY (SBC-4
 * 5.50) writes first, through the cache, and knows no 11b. Reading goes the backend's way: with a
 * store that is opened without direct=1 it may end in the kernel's page cache.
 */
#include "gateway/scsi/scsi_priv.h"

enum {
	BYTCHK_NONE,
	BYTCHK_ALL,
	BYTCHK_RESERVED,
	BYTCHK_ONE
};

static unsigned
bytchk(const struct gw_cmd *cmd)
{
	return cmd->cdb[1] >> 1 & 3;
}

bool
scsi_verify_prep(struct gw_cmd *cmd)
{
	uint64_t len = cmd->nblk << cmd->blk_shift;

	cmd->data_len = 0;
	if (bytchk(cmd) == BYTCHK_RESERVED)
		return scsi_check_cdb(cmd, 1, 2);
	/* MAXIMUM TRANSFER LENGTH bounds it also without data-out: it is the work of one command.
	 */
	if (len > GW_XFER_MAX)
		return scsi_check_cdb(cmd, cmd->op->nblk_at, 7);
	if (bytchk(cmd) == BYTCHK_NONE || !len)
		cmd->dir = GW_DIR_NONE;
	else
		cmd->data_len = bytchk(cmd) == BYTCHK_ALL ? (uint32_t)len : 1u << cmd->blk_shift;
	return true;
}

static void verify_piece(struct gw_cmd *cmd);

/* The n bytes at position pos of the range; *at: the first that differs. */
static bool
same(const struct gw_cmd *cmd, uint64_t pos, const uint8_t *medium, size_t n, size_t *at)
{
	bool one = bytchk(cmd) == BYTCHK_ONE;
	size_t step = one ? (size_t)1 << cmd->blk_shift : n;

	/* A piece of the range begins and ends with a block. */
	for (size_t i = 0; i < n; i += step) {
		size_t differs = scsi_out_compare(cmd, one ? 0 : pos, medium + i, step);

		*at = i + differs;
		if (differs < step)
			return false;
	}
	return true;
}

static void
verify_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);
	size_t at;

	if (scsi_io_failed(cmd))
		return;
	if (bytchk(cmd) != BYTCHK_NONE &&
	    !same(cmd, cmd->scratch[0], cmd->work->mem, io->len, &at)) {
		/* SBC-4 4.18.1: INFORMATION is the offset of the first byte that differs. */
		scsi_check_info(cmd, SENSE_MISCOMPARE, cmd->scratch[0] + at);
		gw_cmd_complete(cmd);
		return;
	}
	cmd->scratch[0] += io->len;
	verify_piece(cmd);
}

/* scratch[0]: bytes of the range done, scratch[1]: all of it. */
static void
verify_piece(struct gw_cmd *cmd)
{
	uint64_t len = GW_MIN(cmd->scratch[1] - cmd->scratch[0], (uint64_t)SCSI_WORK_SIZE);

	if (cmd->aborted) {
		gw_cmd_complete(cmd);
		return;
	}
	if (!len) {
		scsi_good(cmd);
		return;
	}
	cmd->work->iov.iov_base = cmd->work->mem;
	cmd->work->iov.iov_len = len;
	scsi_io(cmd, BE_READ, 0, (cmd->lba << cmd->blk_shift) + cmd->scratch[0], len,
		&cmd->work->iov, 1, verify_done);
}

static void
verify_medium(struct gw_cmd *cmd)
{
	if (scsi_work_get(cmd, verify_piece))
		verify_piece(cmd);
}

static void
flush_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_failed(cmd))
		verify_medium(cmd);
}

void
scsi_exec_verify(struct gw_cmd *cmd)
{
	uint64_t len = cmd->nblk << cmd->blk_shift;

	/* What did not arrive is not compared; the residual says so. */
	if (bytchk(cmd) == BYTCHK_ALL)
		len = GW_MIN(len, (uint64_t)cmd->out_len);
	if (bytchk(cmd) == BYTCHK_ONE && cmd->out_len < cmd->data_len)
		len = 0;
	len &= ~((1ull << cmd->blk_shift) - 1);
	cmd->scratch[0] = 0;
	cmd->scratch[1] = len;
	if (!len)
		scsi_good(cmd);
	else if (scsi_view_of(cmd)->dev->volatile_cache)
		scsi_io(cmd, BE_FLUSH, 0, 0, 0, NULL, 0, flush_done);
	else
		verify_medium(cmd);
}

static void
written(struct gw_cmd *cmd)
{
	cmd->scratch[0] = 0;
	cmd->scratch[1] = cmd->out_len;
	verify_medium(cmd);
}

void
scsi_exec_write_verify(struct gw_cmd *cmd)
{
	scsi_write_then(cmd, BE_FUA, written);
}
