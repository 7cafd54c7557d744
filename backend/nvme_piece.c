/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes into one command. A device that wants its data in whole pages (PRPs, Base 4.1.1) takes
 * memory as it is where only the first piece begins, and only the last one ends, inside a page; the
 * kernel copies what lies otherwise (blk_rq_map_user_iov() of Linux), so a command ends there.
 */
#include <string.h>

#include "backend/nvme_priv.h"
#include "gateway/base/num.h"

#define PAGE 4096u

void
nvme_set_range(struct nvme_uring_cmd *c, uint64_t off, uint64_t len, uint8_t shift)
{
	uint64_t lba = off >> shift;

	c->cdw10 = (uint32_t)lba;
	c->cdw11 = (uint32_t)(lba >> 32);
	c->cdw12 = (c->cdw12 & 0xffff0000u) | (uint32_t)((len >> shift) - 1);
}

static uintptr_t
end_of(const struct iovec *v)
{
	return (uintptr_t)v->iov_base + v->iov_len;
}

/* Takes bytes off the end. */
static void
trim(struct nvme_cmd *cmd, size_t n)
{
	while (n) {
		struct iovec *last = &cmd->iov[cmd->niov - 1];
		size_t cut = GW_MIN(n, last->iov_len);

		last->iov_len -= cut;
		n -= cut;
		if (!last->iov_len)
			cmd->niov--;
	}
}

/* Adds the memory at c; false if it is too many pieces, or would be copied where it need not be. */
static bool
add(struct nvme_cmd *cmd, struct iovec v, size_t sum, uint32_t block)
{
	struct iovec *last;

	if (!cmd->niov) {
		cmd->iov[cmd->niov++] = v;
		return true;
	}
	last = &cmd->iov[cmd->niov - 1];
	if (end_of(last) == (uintptr_t)v.iov_base) {
		last->iov_len += v.iov_len;
		return true;
	}
	if ((end_of(last) | (uintptr_t)v.iov_base) & (PAGE - 1) && sum % block == 0)
		return false;
	if (cmd->niov == NVME_IOVS)
		return false;
	cmd->iov[cmd->niov++] = v;
	return true;
}

static void
set_data(struct nvme_cmd *cmd, size_t sum)
{
	cmd->len = sum;
	if (cmd->niov == 1) {
		cmd->c.addr = (uintptr_t)cmd->iov[0].iov_base;
		cmd->c.data_len = (uint32_t)sum;
	} else {
		cmd->c.addr = (uintptr_t)cmd->iov;
		cmd->c.data_len = cmd->niov;
	}
}

/* An atomic write is one command, however its memory lies; its iovec stays until it is done. */
static bool
whole(struct nvme_cmd *cmd, const struct be_io *io)
{
	cmd->len = io->len;
	cmd->niov = io->niov;
	if (io->niov == 1) {
		cmd->c.addr = (uintptr_t)io->iov[0].iov_base;
		cmd->c.data_len = (uint32_t)io->len;
	} else {
		cmd->c.addr = (uintptr_t)io->iov;
		cmd->c.data_len = io->niov;
	}
	return true;
}

bool
nvme_piece(struct nvme_cmd *cmd, const struct be_io *io, struct be_cursor *cur, uint64_t at,
	   uint32_t max, uint32_t block)
{
	struct be_cursor c = *cur;
	uint64_t left = GW_MIN(io->len - at, (uint64_t)max);
	size_t sum = 0;

	cmd->niov = 0;
	if (io->flags & BE_ATOMIC && io->op == BE_WRITE)
		return whole(cmd, io);
	while (sum < left) {
		struct iovec v = be_cursor_piece(io, &c, left - sum);

		if (!add(cmd, v, sum, block))
			break;
		c.off += v.iov_len;
		sum += v.iov_len;
	}
	trim(cmd, sum % block);
	sum -= sum % block;
	if (!sum)
		return false;
	be_cursor_move(io, cur, sum);
	set_data(cmd, sum);
	return true;
}
