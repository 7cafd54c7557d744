/* SPDX-License-Identifier: BSD-3-Clause */
/* What commands share: their data buffer, their end, and their I/O to the backend. */
#include "gateway/scsi/scsi_priv.h"

void
scsi_in_put(const struct gw_cmd *cmd, uint64_t off, const void *src, size_t n)
{
	const uint8_t *p = src;

	for (unsigned i = 0; i < cmd->niov && n > 0; i++) {
		const struct iovec *v = &cmd->iov[i];
		size_t part;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		part = GW_MIN(n, (size_t)(v->iov_len - off));
		memcpy((uint8_t *)v->iov_base + off, p, part);
		p += part;
		n -= part;
		off = 0;
	}
}

void
scsi_in_done(struct gw_cmd *cmd, uint64_t avail)
{
	cmd->status = SAM_GOOD;
	cmd->in_len = (uint32_t)GW_MIN(avail, (uint64_t)cmd->data_len);
	cmd->moved = cmd->in_len;
	gw_cmd_complete(cmd);
}

void
scsi_in(struct gw_cmd *cmd, const void *src, size_t n)
{
	scsi_in_put(cmd, 0, src, GW_MIN(n, (size_t)cmd->data_len));
	scsi_in_done(cmd, n);
}

bool
scsi_out_get(const struct gw_cmd *cmd, uint64_t off, void *dst, size_t n)
{
	uint8_t *p = dst;

	if (!gw_range_ok(off, n, cmd->out_len))
		return false;
	for (unsigned i = 0; i < cmd->niov && n > 0; i++) {
		const struct iovec *v = &cmd->iov[i];
		size_t part;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		part = GW_MIN(n, (size_t)(v->iov_len - off));
		memcpy(p, (const uint8_t *)v->iov_base + off, part);
		p += part;
		n -= part;
		off = 0;
	}
	return n == 0;
}

size_t
scsi_out_compare(const struct gw_cmd *cmd, uint64_t off, const void *what, size_t n)
{
	const uint8_t *p = what;
	size_t at = 0;

	for (unsigned i = 0; i < cmd->niov && at < n; i++) {
		const uint8_t *data = cmd->iov[i].iov_base;
		size_t part;

		if (off >= cmd->iov[i].iov_len) {
			off -= cmd->iov[i].iov_len;
			continue;
		}
		data += off;
		part = GW_MIN(n - at, (size_t)(cmd->iov[i].iov_len - off));
		if (memcmp(data, p + at, part) != 0) {
			while (*data++ == p[at])
				at++;
			return at;
		}
		at += part;
		off = 0;
	}
	return at;
}

void
scsi_good(struct gw_cmd *cmd)
{
	cmd->status = SAM_GOOD;
	cmd->in_len = 0;
	cmd->moved = cmd->dir == GW_DIR_OUT ? cmd->data_len : 0;
	gw_cmd_complete(cmd);
}

void
scsi_fail(struct gw_cmd *cmd, uint32_t sense)
{
	scsi_check(cmd, sense);
	gw_cmd_complete(cmd);
}

bool
scsi_chan_open(struct scsi_lu_core *luc, struct be_dev *dev)
{
	if (luc->chan)
		return true;
	if (!be_chan_open(dev, scsi_luc_core(luc), &luc->chan))
		return true;
	luc->chan = NULL;
	return false;
}

static bool
open_chan(struct gw_cmd *cmd, struct be_dev *dev)
{
	if (scsi_chan_open(cmd->luc, dev))
		return true;
	cmd->status = SAM_BUSY;
	return false;
}

bool
scsi_io_start(struct gw_cmd *cmd, uint8_t op, uint8_t flags, uint64_t off, uint64_t len,
	      const struct iovec *iov, unsigned niov, void (*done)(struct be_io *io))
{
	const struct scsi_view *v = scsi_view_of(cmd);
	struct be_io *io = &cmd->io;

	/* The view may have changed since the CDB was checked. */
	if (!scsi_check_medium(cmd))
		return false;
	if (!gw_range_ok(off, len, v->nblk << v->shift))
		return scsi_check(cmd, SENSE_LBA_RANGE);
	if (!open_chan(cmd, v->dev))
		return false;
	if (!v->wce && (op == BE_WRITE || op == BE_ZERO))
		flags |= BE_FUA;
	if (op == BE_WRITE || op == BE_ZERO || op == BE_UNMAP)
		scsi_tokens_written(cmd->luc, off, len);
	io->op = op;
	io->flags = flags;
	io->off = off;
	io->len = len;
	io->iov = iov;
	io->niov = (uint16_t)niov;
	io->st = BE_OK;
	io->done = done;
	be_submit(cmd->luc->chan, io);
	return true;
}

bool
scsi_io(struct gw_cmd *cmd, uint8_t op, uint8_t flags, uint64_t off, uint64_t len,
	const struct iovec *iov, unsigned niov, void (*done)(struct be_io *io))
{
	if (scsi_io_start(cmd, op, flags, off, len, iov, niov, done))
		return true;
	gw_cmd_complete(cmd);
	return false;
}

bool
scsi_io_temperature(struct gw_cmd *cmd, void (*done)(struct be_io *io))
{
	const struct scsi_view *v = scsi_view_of(cmd);

	if (!v->dev || !v->dev->thermometer || v->medium == MEDIUM_SWAP ||
	    !scsi_chan_open(cmd->luc, v->dev))
		return false;
	cmd->io.op = BE_TEMPERATURE;
	cmd->io.flags = 0;
	cmd->io.off = cmd->io.len = 0;
	cmd->io.niov = 0;
	cmd->io.done = done;
	be_submit(cmd->luc->chan, &cmd->io);
	return true;
}

bool
scsi_io_ok(struct gw_cmd *cmd)
{
	struct be_io *io = &cmd->io;

	if (io->st != BE_OK)
		scsi_check_be(cmd, io->op, io->st, io->off >> cmd->blk_shift);
	return io->st == BE_OK;
}

bool
scsi_io_failed(struct gw_cmd *cmd)
{
	if (scsi_io_ok(cmd) && !cmd->aborted)
		return false;
	gw_cmd_complete(cmd);
	return true;
}
