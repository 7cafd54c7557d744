/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an I/O to NVMe commands and back. A transfer is cut to what one command can move, several of
 * them under way at a time; zeroes are made by whatever the device knows, and written where it
 * knows nothing.
 */
#include <stdio.h>
#include <string.h>

#include "backend/nvme_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"

#define RW_FUA    (1u << 30) /* of CDW12, NVM 3.2.4, 3.2.6, 3.2.8 */
#define ZERO_DEAC (1u << 25)
#define ZERO_SEG  (64u << 10)

static const uint8_t zeroes[ZERO_SEG] __attribute__((aligned(4096)));

/* The cheapest way to zeroes that is allowed and not known to fail. */
static enum nvme_step
zero_step(const struct be_io *io)
{
	const struct nvme_dev *nd = nvme_dev(io);

	if ((io->op == BE_UNMAP || io->flags & BE_MAY_UNMAP) && nd->id.zero_deallocates &&
	    !atomic_load_explicit(&nd->no_deallocate, memory_order_relaxed))
		return NVME_ZERO_DEALLOCATE;
	if (nd->id.zero && !atomic_load_explicit(&nd->no_zero, memory_order_relaxed))
		return NVME_ZERO;
	return NVME_ZERO_WRITE;
}

/* The device does not know how: true if there is another way. */
static bool
next_way(struct be_io *io)
{
	struct nvme_dev *nd = nvme_dev(io);

	switch (nvme_io(io)->step) {
	case NVME_ZERO_DEALLOCATE:
		atomic_store_explicit(&nd->no_deallocate, true, memory_order_relaxed);
		return true;
	case NVME_ZERO:
		atomic_store_explicit(&nd->no_zero, true, memory_order_relaxed);
		return true;
	default:
		return false;
	}
}

static void
zero_write(struct nvme_cmd *cmd, uint64_t left, uint32_t max)
{
	max = GW_MIN(max, NVME_IOVS * ZERO_SEG);
	cmd->len = GW_MIN(left, (uint64_t)max);
	cmd->c.opcode = NVME_WRITE;
	for (left = cmd->len; left; left -= cmd->iov[cmd->niov++].iov_len)
		cmd->iov[cmd->niov] =
		    (struct iovec){(void *)(uintptr_t)zeroes, GW_MIN(left, (uint64_t)ZERO_SEG)};
	cmd->c.addr = cmd->niov == 1 ? (uintptr_t)zeroes : (uintptr_t)cmd->iov;
	cmd->c.data_len = cmd->niov == 1 ? (uint32_t)cmd->len : cmd->niov;
}

/* The next command of io. False: it cannot be put into one. */
static bool
prepare(struct nvme_cmd *cmd, struct be_io *io)
{
	const struct nvme_dev *nd = nvme_dev(io);
	struct nvme_io *x = nvme_io(io);
	uint64_t left = io->len - x->next;

	cmd->io = io;
	cmd->c.cdw12 = x->fua ? RW_FUA : 0;
	switch (x->step) {
	case NVME_MOVE:
		cmd->c.opcode = io->op == BE_READ ? NVME_READ : NVME_WRITE;
		if (!nvme_piece(cmd, io, &x->cur, x->next, nd->piece, 1u << nd->id.shift))
			return false;
		break;
	case NVME_ZERO_DEALLOCATE:
		cmd->c.cdw12 |= ZERO_DEAC;
		__attribute__((fallthrough));
	case NVME_ZERO:
		cmd->c.opcode = NVME_WRITE_ZEROES;
		cmd->len = GW_MIN(left, (uint64_t)nd->id.zero_max << nd->id.shift);
		break;
	default:
		zero_write(cmd, left, nd->piece);
	}
	nvme_set_range(&cmd->c, io->off + x->next, cmd->len, nd->id.shift);
	return true;
}

static void
flush_go(struct be_io *io)
{
	struct nvme_chan *chan = nvme_chan(io->chan);
	struct nvme_cmd *cmd = nvme_cmd_get(chan);

	if (!cmd) {
		nvme_cmd_wait(chan, io);
		return;
	}
	cmd->io = io;
	cmd->c.opcode = NVME_FLUSH;
	nvme_io(io)->out++;
	nvme_cmd_send(cmd);
}

static void
parts_go(struct be_io *io)
{
	struct nvme_chan *chan = nvme_chan(io->chan);
	struct nvme_io *x = nvme_io(io);

	while (x->next < io->len && x->out < NVME_WINDOW) {
		struct nvme_cmd *cmd = nvme_cmd_get(chan);

		if (!cmd) {
			if (!x->out)
				nvme_cmd_wait(chan, io);
			return;
		}
		if (!prepare(cmd, io)) {
			nvme_cmd_put(cmd);
			x->st = BE_ENOTSUP;
			if (!x->out)
				be_done_later(io, BE_ENOTSUP);
			return;
		}
		x->next += cmd->len;
		x->out++;
		nvme_cmd_send(cmd);
	}
}

void
nvme_io_go(struct be_io *io)
{
	switch (nvme_io(io)->step) {
	case NVME_SYNC:
		flush_go(io);
		return;
	case NVME_DEALLOCATE:
		nvme_dsm_start(io);
		return;
	default:
		parts_go(io);
	}
}

void
nvme_io_start(struct be_io *io)
{
	const struct nvme_dev *nd = nvme_dev(io);
	struct nvme_io *x = nvme_io(io);

	memset(x, 0, sizeof(*x));
	io->moved = 0;
	x->fua = io->op != BE_READ && (nd->sync || io->flags & BE_FUA);
	switch ((enum be_op)io->op) {
	case BE_READ:
	case BE_WRITE:
		x->step = NVME_MOVE;
		break;
	case BE_FLUSH:
		x->step = NVME_SYNC;
		break;
	case BE_UNMAP:
		x->step = nd->hints ? NVME_DEALLOCATE : zero_step(io);
		x->flush = nd->hints && nd->sync;
		break;
	default:
		x->step = zero_step(io);
	}
	if (io->op == BE_UNMAP && !io->chan->dev->unmap_align)
		be_done_later(io, BE_ENOTSUP);
	else if (io->op == BE_FLUSH && atomic_load_explicit(&nd->lost, memory_order_relaxed))
		be_done_later(io, BE_EMEDIUM);
	else if (io->op == BE_FLUSH && !nd->id.flushes)
		be_done_later(io, BE_OK);
	else
		nvme_io_go(io);
}

/* The device has said that what it had cached is not on the medium. */
static void
set_lost(struct nvme_dev *nd)
{
	if (!atomic_exchange_explicit(&nd->lost, true, memory_order_relaxed))
		gw_err("writes may be lost, flushes fail until the backing store is opened again: "
		       "path=%s",
		       nd->path);
}

void
nvme_io_end(struct be_io *io)
{
	struct nvme_io *x = nvme_io(io);

	if (x->st == BE_OK && x->flush) {
		x->flush = false;
		x->step = NVME_SYNC;
		flush_go(io);
		return;
	}
	if (x->step == NVME_SYNC && x->st == BE_EMEDIUM)
		set_lost(nvme_dev(io));
	be_done(io, x->st);
}

static void
part_done(struct be_io *io, enum be_st st, uint64_t len)
{
	struct nvme_io *x = nvme_io(io);

	x->out--;
	if (st == BE_OK)
		io->moved += len;
	else if (st == BE_ENOTSUP && next_way(io))
		x->again = true;
	else if (x->st == BE_OK)
		x->st = (uint8_t)st;
	if (x->again || x->st != BE_OK) {
		if (x->out)
			return;
		if (x->st == BE_OK) {
			x->again = false;
			x->next = io->moved = 0;
			x->step = (uint8_t)zero_step(io);
			nvme_io_go(io);
			return;
		}
	} else if (x->step != NVME_SYNC && x->next < io->len) {
		nvme_io_go(io);
		return;
	}
	if (!x->out)
		nvme_io_end(io);
}

static void
tell(const struct nvme_cmd *cmd, int res)
{
	char why[64];

	if (res < 0)
		snprintf(why, sizeof(why), "%s", strerror(-res));
	else
		snprintf(why, sizeof(why), "NVMe status 0x%x", (unsigned)res);
	gw_log_limited(GW_LOG_WARN,
		       "an NVMe command failed path=%s opcode=0x%02x lba=%llu tries=%u: %s",
		       nvme_cmd_dev(cmd)->path, cmd->c.opcode,
		       (unsigned long long)(cmd->c.cdw10 | (uint64_t)cmd->c.cdw11 << 32),
		       cmd->tries + 1u, why);
}

void
nvme_cmd_done(struct nvme_cmd *cmd, int res)
{
	struct nvme_verdict v = nvme_verdict(res);
	struct be_io *io = cmd->io;
	uint64_t len = cmd->len;
	uint32_t ms;

	if (GW_UNLIKELY(v.st != BE_OK)) {
		if (nvme_gone(nvme_cmd_dev(cmd)))
			v = (struct nvme_verdict){BE_EGONE, NVME_NO_RETRY};
		ms = nvme_retry_ms(v.retry, cmd->tries);
		if (ms) {
			cmd->tries++;
			nvme_cmd_send_later(cmd, ms);
			return;
		}
		if (v.st != BE_ENOTSUP)
			tell(cmd, res);
	}
	if (!io) {
		nvme_dsm_done(cmd, v.st);
		return;
	}
	nvme_cmd_put(cmd);
	part_done(io, v.st, len);
}
