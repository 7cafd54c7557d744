/* SPDX-License-Identifier: BSD-3-Clause */
/* Regular files and block devices through the core's engine: channels, dispatch, and their errors.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/uring_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

bool
uring_again(struct uring_io *u, int e)
{
	return (e == EINTR || e == EAGAIN) && u->retries++ < URING_RETRIES;
}

enum be_st
uring_st(const struct be_io *io, int e)
{
	/* A block device says "no space" beyond its end, and so does a thin one that is full. */
	if (e == ENOSPC && uring_dev(io)->block) {
		uint64_t size = uring_block_size(uring_dev(io)->fd);

		if (!gw_range_ok(io->off, io->len, size))
			return size ? BE_ERANGE : BE_EGONE;
	}
	return be_st_of_errno(e);
}

static void
uring_submit(struct be_chan *chan, struct be_io *io)
{
	switch ((enum be_op)io->op) {
	case BE_READ:
	case BE_WRITE:
		if (uring_dev(io)->ram)
			uring_ram_start(io);
		else
			uring_rw_start(io);
		return;
	case BE_FLUSH:
		uring_flush_start(io);
		return;
	case BE_UNMAP:
	case BE_ZERO:
		uring_range_start(io);
		return;
	case BE_EXTENT:
		uring_extent_start(io);
		return;
	case BE_TEMPERATURE: /* wrap.c knows */
	case BE_OP_MAX:
		break;
	}
	BUG(true);
}

static int
uring_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan)
{
	struct uring_dev *ud = dev->priv;
	struct uring_chan *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (!c)
		return -ENOMEM;
	if (ud->direct)
		rc = uring_bounces_init(&c->bounces);
	if (!rc && ud->ram)
		rc = uring_ram_init(c, dev, core);
	if (rc) {
		free(c);
		return rc;
	}
	uring_syncs_init(&c->syncs);
	*chan = &c->chan;
	return 0;
}

static void
uring_chan_close(struct be_chan *chan)
{
	struct uring_chan *c = gw_container(chan, struct uring_chan, chan);
	struct uring_dev *ud = chan->dev->priv;

	gw_forget_fd(chan->core, ud->fd);
	if (ud->fds)
		gw_forget_fd(chan->core, ud->fds[chan->core->id]);
	if (ud->ram)
		uring_ram_fini(c);
	if (ud->direct)
		uring_bounces_fini(&c->bounces);
	free(c);
}

const struct be_ops be_uring_ops = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .chan_open = uring_chan_open,
    .chan_close = uring_chan_close,
    .submit = uring_submit,
    .lends = uring_ram_lends,
    .size_now = uring_size_now,
    .resize = uring_resize,
    .space = uring_space,
};
