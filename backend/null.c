/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * No medium at all, to measure everything else: writes are dropped. Reads are zeroes and not
 * whatever the buffer held, which may be another initiator's data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend_priv.h"

#define NULL_ALIGN  512u
#define NULL_ATOMIC (8u << 20)

/* Never written, so all of it is one page of the kernel's. */
static uint8_t zeroes[1u << 20] __attribute__((aligned(4096)));

struct null_chan {
	struct be_chan chan;
	struct be_queue queue;
	struct be_lender *lender;
};

static bool
null_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags)
{
	return flags & (BE_LEND | BE_LEND_CONST) && len <= sizeof(zeroes);
}

static uint64_t
step(struct be_io *io, uint64_t budget)
{
	struct be_cursor *cur = be_queue_cursor(io);
	uint64_t cost = 0;

	if (io->op != BE_READ) {
		io->moved = io->len;
		return 0;
	}
	if (null_lends(io->chan, io->off, io->len, io->flags)) {
		be_lend(gw_container(io->chan, struct null_chan, chan)->lender, io, zeroes);
		return 0;
	}
	while (cost < budget && io->moved < io->len) {
		struct iovec v = be_cursor_piece(io, cur, budget - cost);

		memset(v.iov_base, 0, v.iov_len);
		cur->off += v.iov_len;
		io->moved += v.iov_len;
		cost += v.iov_len;
	}
	return cost;
}

static void
null_submit(struct be_chan *chan, struct be_io *io)
{
	be_queue_add(&gw_container(chan, struct null_chan, chan)->queue, io);
}

static int
null_chan_open(struct be_dev *dev, struct gw_core *core, struct be_chan **chan)
{
	struct null_chan *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->lender = be_lender_new(NULL);
	if (!c->lender) {
		free(c);
		return -ENOMEM;
	}
	be_queue_init(&c->queue, core, step);
	*chan = &c->chan;
	return 0;
}

static void
null_chan_close(struct be_chan *chan)
{
	struct null_chan *c = gw_container(chan, struct null_chan, chan);

	be_queue_fini(&c->queue);
	be_lender_close(c->lender);
	free(c);
}

static int
null_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size)
{
	struct be_opts o;
	int rc = be_opts_parse(kv, &o, err, err_size);

	if (rc)
		return rc;
	if (!o.size || o.size % NULL_ALIGN)
		return be_refuse(err, err_size, -EINVAL,
				 "a null backing store needs size=, a multiple of %u bytes",
				 NULL_ALIGN);
	dev->size = o.size;
	dev->io_align = NULL_ALIGN;
	dev->dma_align = 1;
	dev->phys_block = 4096;
	dev->unmap_align = 4096;
	dev->unmap_zeroes = true;
	/* What is dropped is dropped as a whole. */
	dev->atomic_max = NULL_ATOMIC;
	dev->atomic_align = dev->atomic_gran = 1;
	dev->ro = o.ro;
	return 0;
}

static void
null_close(struct be_dev *dev)
{
}

static uint64_t
null_size_now(struct be_dev *dev)
{
	return be_dev_size(dev);
}

const struct be_ops be_null_ops = {
    .name = "null",
    .open = null_open,
    .close = null_close,
    .chan_open = null_chan_open,
    .chan_close = null_chan_close,
    .submit = null_submit,
    .lends = null_lends,
    .size_now = null_size_now,
};
