/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UNMAP by Dataset Management with the Deallocate attribute (NVM 3.2.3): a hint, which a device may
 * ignore. What is unmapped in one turn goes to the device together, because the cost of such a
 * command is hardly that of its ranges.
 */
#include <endian.h>

#include "backend/nvme_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

#define DSM_DEALLOCATE (1u << 2)

uint64_t
nvme_dsm_add(struct nvme_cmd *cmd, unsigned *n, uint64_t *total, uint64_t off, uint64_t len,
	     const struct nvme_identity *id)
{
	uint64_t lba = off >> id->shift, left = len >> id->shift, done = 0;

	while (left && *n < id->dsm_ranges && *total < id->dsm_max) {
		uint64_t nblk = GW_MIN(left, (uint64_t)id->dsm_range_max);

		nblk = GW_MIN(nblk, id->dsm_max - *total);
		cmd->range[(*n)++] = (struct nvme_dsm_range){.nblk = htole32((uint32_t)nblk),
							     .slba = htole64(lba + done)};
		*total += nblk;
		done += nblk;
		left -= nblk;
	}
	return done << id->shift;
}

/* Moves as many of the waiting as fit into cmd; the last one perhaps in part. */
static unsigned
gather(struct nvme_chan *chan, struct nvme_cmd *cmd)
{
	const struct nvme_identity *id = &nvme_cmd_dev(cmd)->id;
	struct be_io *io;
	uint64_t total = 0;
	unsigned n = 0;

	while ((io = gw_list_first(&chan->unmaps, struct be_io, node))) {
		struct nvme_io *x = nvme_io(io);
		uint64_t fits =
		    nvme_dsm_add(cmd, &n, &total, io->off + x->next, io->len - x->next, id);

		if (!fits)
			break;
		x->next += fits;
		gw_list_del(&io->node);
		gw_list_add_tail(&cmd->ios, &io->node);
		if (x->next < io->len)
			break;
	}
	return n;
}

/* Who finds no free command, starts again when there is one. */
static void
all_wait(struct nvme_chan *chan)
{
	struct be_io *io;

	while ((io = gw_list_first(&chan->unmaps, struct be_io, node))) {
		gw_list_del(&io->node);
		nvme_cmd_wait(chan, io);
	}
}

void
nvme_dsm_kick(struct gw_hook *hook)
{
	struct nvme_chan *chan = gw_container(hook, struct nvme_chan, hook);

	while (!gw_list_empty(&chan->unmaps)) {
		struct nvme_cmd *cmd = nvme_cmd_get(chan);
		unsigned n;

		if (!cmd) {
			all_wait(chan);
			return;
		}
		gw_list_init(&cmd->ios);
		n = gather(chan, cmd);
		BUG(!n);
		cmd->c.opcode = NVME_DSM;
		cmd->c.cdw10 = n - 1;
		cmd->c.cdw11 = DSM_DEALLOCATE;
		cmd->c.addr = (uintptr_t)cmd->range;
		cmd->c.data_len = n * (uint32_t)sizeof(cmd->range[0]);
		cmd->niov = 1;
		nvme_cmd_send(cmd);
	}
}

void
nvme_dsm_start(struct be_io *io)
{
	struct nvme_chan *chan = nvme_chan(io->chan);

	gw_list_add_tail(&chan->unmaps, &io->node);
	gw_at_kick(chan->chan.core, &chan->hook);
}

void
nvme_dsm_done(struct nvme_cmd *cmd, enum be_st st)
{
	struct gw_list ios;
	struct be_io *io;

	gw_list_init(&ios);
	gw_list_splice_tail(&ios, &cmd->ios);
	nvme_cmd_put(cmd);
	while ((io = gw_list_first(&ios, struct be_io, node))) {
		struct nvme_io *x = nvme_io(io);

		gw_list_del(&io->node);
		if (st == BE_OK && x->next < io->len) {
			nvme_dsm_start(io);
			continue;
		}
		x->st = (uint8_t)st;
		io->moved = x->next;
		nvme_io_end(io);
	}
}
