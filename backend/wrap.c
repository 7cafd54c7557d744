/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The border between the SCSI layer and a backend, checked on both sides: what is submitted is well
 * formed, and what was submitted is done once, on its core, and never from inside submit.
 */
#include <limits.h>

#include "backend/backend_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

static const uint8_t flags_of[BE_OP_MAX] = {
    [BE_READ] = BE_LEND | BE_LEND_CONST,
    [BE_WRITE] = BE_FUA | BE_ATOMIC,
    [BE_ZERO] = BE_FUA | BE_MAY_UNMAP,
};

bool
be_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags)
{
	const struct be_ops *ops = chan->dev->ops;

	return flags && ops->lends && ops->lends(chan, off, len, flags);
}

static void
check_atomic(const struct be_dev *dev, const struct be_io *io)
{
	BUG(io->len > dev->atomic_max);
	BUG(io->off & (dev->atomic_align - 1) || io->len & (dev->atomic_gran - 1));
	BUG(dev->atomic_boundary && io->off / dev->atomic_boundary !=
					(io->off + io->len - 1) / dev->atomic_boundary);
}

static void
check(const struct be_chan *chan, const struct be_io *io)
{
	uint64_t sum = 0;

	BUG(gw_core_self() != chan->core);
	BUG(!io->done);
	BUG(io->op >= BE_OP_MAX);
	BUG(io->flags & ~flags_of[io->op]);
	if (io->op == BE_FLUSH)
		return;
	BUG(io->op == BE_TEMPERATURE && !chan->dev->thermometer);
	if (io->op == BE_TEMPERATURE)
		return;
	BUG(!io->len);
	BUG((io->off | io->len) & (chan->dev->io_align - 1));
	BUG(io->op == BE_EXTENT && !chan->dev->extents);
	if (io->op != BE_READ && io->op != BE_WRITE)
		return;
	if (io->flags & BE_ATOMIC)
		check_atomic(chan->dev, io);
	/* It was asked for a moment ago; another core's UNMAP may have changed the answer since. */
	if (!io->iov && io->flags & (BE_LEND | BE_LEND_CONST) && chan->dev->ops->lends)
		return;
	BUG(!io->iov || !io->niov || io->niov > IOV_MAX);
	for (unsigned i = 0; i < io->niov; i++)
		BUG(!gw_add_u64(sum, io->iov[i].iov_len, &sum));
	BUG(sum != io->len);
}

/* Not our layers' mistake: the device may have shrunk since the range was checked. */
static enum be_st
refusal(const struct be_dev *dev, const struct be_io *io)
{
	if (io->op == BE_FLUSH || io->op == BE_TEMPERATURE)
		return BE_OK;
	if (dev->ro && io->op != BE_READ && io->op != BE_EXTENT)
		return BE_EROFS;
	return gw_range_ok(io->off, io->len, be_dev_size(dev)) ? BE_OK : BE_ERANGE;
}

void
be_submit(struct be_chan *chan, struct be_io *io)
{
	enum be_st st;

	check(chan, io);
	io->chan = chan;
	io->give_back = NULL;
	io->extent = 0;
	chan->inflight++;
	st = refusal(chan->dev, io);
	if (st != BE_OK) {
		be_done_later(io, st);
		return;
	}
	chan->submitting = true;
	if (io->op == BE_TEMPERATURE)
		be_thermometer_read(io);
	else
		chan->dev->ops->submit(chan, io);
	chan->submitting = false;
}

void
be_done(struct be_io *io, enum be_st st)
{
	struct be_chan *chan = io->chan;

	/* A second completion of the same I/O finds no channel. */
	BUG(!chan || !chan->inflight);
	BUG(chan->submitting);
	BUG(gw_core_self() != chan->core);
	BUG(st >= BE_ST_MAX);
	BUG(io->op == BE_EXTENT && st == BE_OK && (!io->extent || io->extent > io->len));
	chan->inflight--;
	io->chan = NULL;
	io->st = (uint8_t)st;
	io->done(io);
}

void
be_done_later(struct be_io *io, enum be_st st)
{
	BUG(!io->chan);
	io->st = (uint8_t)st;
	gw_list_add_tail(&io->chan->later, &io->node);
	gw_at_kick(io->chan->core, &io->chan->hook);
}

static void
run_later(struct gw_hook *hook)
{
	struct be_chan *chan = gw_container(hook, struct be_chan, hook);
	struct gw_list due;

	/* done() may submit again: that is for the next round. */
	gw_list_init(&due);
	gw_list_splice_tail(&due, &chan->later);
	while (!gw_list_empty(&due)) {
		struct be_io *io = gw_list_first(&due, struct be_io, node);

		gw_list_del(&io->node);
		be_done(io, io->st);
	}
}

int
be_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan)
{
	int rc = dev->ops->chan_open(dev, core, chan);

	if (rc)
		return rc;
	(*chan)->dev = dev;
	(*chan)->core = core;
	(*chan)->inflight = 0;
	(*chan)->submitting = false;
	gw_list_init(&(*chan)->later);
	gw_hook_init(&(*chan)->hook, run_later);
	return 0;
}

void
be_chan_close(struct be_chan *chan)
{
	BUG(chan->inflight);
	gw_hook_disarm(&chan->hook);
	chan->dev->ops->chan_close(chan);
}
