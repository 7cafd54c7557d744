/* SPDX-License-Identifier: BSD-3-Clause */
/* NVMe commands under way: a pool of them per ring, sent at once or later for another try. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/nvme_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

#define NS_PER_MS 1000000u

static void
done(struct gw_op *op, int res)
{
	nvme_cmd_done(gw_container(op, struct nvme_cmd, op), res);
}

struct nvme_cmd *
nvme_cmd_get(struct nvme_chan *chan)
{
	struct nvme_cmd *cmd = gw_list_first(&chan->ring->free, struct nvme_cmd, node);

	if (GW_UNLIKELY(!cmd))
		return NULL;
	gw_list_del(&cmd->node);
	cmd->chan = chan;
	cmd->io = NULL;
	cmd->len = 0;
	cmd->niov = 0;
	cmd->tries = 0;
	memset(&cmd->c, 0, sizeof(cmd->c));
	cmd->c.nsid = nvme_cmd_dev(cmd)->nsid;
	return cmd;
}

void
nvme_cmd_put(struct nvme_cmd *cmd)
{
	struct nvme_ring *r = cmd->chan->ring;
	struct be_io *io = gw_list_first(&r->starved, struct be_io, node);

	gw_list_add_head(&r->free, &cmd->node);
	if (GW_UNLIKELY(io)) {
		gw_list_del(&io->node);
		nvme_io_go(io);
	}
}

void
nvme_cmd_wait(struct nvme_chan *chan, struct be_io *io)
{
	gw_list_add_tail(&chan->ring->starved, &io->node);
}

void
nvme_prep(struct io_uring_sqe *sqe, const struct nvme_uring_cmd *c, bool vec, int fixed)
{
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->cmd_op = vec ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO;
	if (fixed >= 0) {
		sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
		sqe->buf_index = (uint16_t)fixed;
	}
	memcpy(sqe->cmd, c, sizeof(*c));
}

void
nvme_cmd_send(struct nvme_cmd *cmd)
{
	const struct nvme_dev *nd = nvme_cmd_dev(cmd);
	const struct nvme_chan *chan = cmd->chan;
	struct nvme_ring *r = cmd->niov ? chan->ring : chan->bare;
	int file = cmd->niov ? chan->file : chan->bare_file;
	struct io_uring_sqe *sqe =
	    nvme_ring_is_own(r) ? nvme_own_sqe(r, cmd) : gw_uring_sqe(r->core, &cmd->op);
	int fixed = -1;

	if (cmd->niov == 1 && nd->fixed) {
		fixed = gw_fixed_index(&r->page, cmd->c.addr, cmd->c.data_len);
		if (fixed < 0)
			fixed = gw_fixed_index(&r->piece, cmd->c.addr, cmd->c.data_len);
	}
	nvme_prep(sqe, &cmd->c, cmd->niov > 1, fixed);
	if (file >= 0) {
		sqe->fd = file;
		sqe->flags = IOSQE_FIXED_FILE;
	} else {
		sqe->fd = nd->fd;
	}
}

/* --- another try --- */

static void
start_timer(struct nvme_ring *r, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	gw_list_each (cmd, &r->later, struct nvme_cmd, node)
		first = GW_MIN(first, cmd->due);
	if (first != UINT64_MAX)
		gw_timer_start(r->core, &r->timer,
			       first > now ? (uint32_t)((first - now) / NS_PER_MS) + 1 : 1);
}

void
nvme_cmd_send_later(struct nvme_cmd *cmd, uint32_t ms)
{
	struct nvme_ring *r = cmd->chan->ring;

	cmd->due = r->core->now + (uint64_t)ms * NS_PER_MS;
	gw_list_add_tail(&r->later, &cmd->node);
	start_timer(r, r->core->now);
}

static void
try_again(struct gw_timer *timer)
{
	struct nvme_ring *r = gw_container(timer, struct nvme_ring, timer);

	gw_list_each_safe (cmd, &r->later, struct nvme_cmd, node) {
		if (cmd->due > r->core->now)
			continue;
		gw_list_del(&cmd->node);
		nvme_cmd_send(cmd);
	}
	start_timer(r, r->core->now);
}

/* --- the pool --- */

int
nvme_cmds_init(struct nvme_ring *r)
{
	r->cmds = calloc(NVME_COMMANDS, sizeof(*r->cmds));
	if (!r->cmds)
		return -ENOMEM;
	gw_list_init(&r->free);
	gw_list_init(&r->later);
	gw_list_init(&r->starved);
	gw_timer_init(&r->timer, try_again);
	for (unsigned i = 0; i < NVME_COMMANDS; i++) {
		r->cmds[i].op.done = done;
		gw_list_add_tail(&r->free, &r->cmds[i].node);
	}
	return 0;
}

void
nvme_cmds_fini(struct nvme_ring *r)
{
	gw_timer_stop(&r->timer);
	free(r->cmds);
}
