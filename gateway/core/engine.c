/* SPDX-License-Identifier: BSD-3-Clause */
/* What all engines have in common: who owns an operation, and how it ends early. */
#include "gateway/core/engine.h"

#include <errno.h>

#include "gateway/base/bug.h"
#include "gateway/core/engine_priv.h"

void
gw_engine_init(struct gw_engine *e, const struct gw_engine_ops *ops, struct gw_core *core)
{
	e->ops = ops;
	e->core = core;
	gw_list_init(&e->starving);
	gw_list_init(&e->ended);
}

void
gw_engine_tell(struct gw_core *core)
{
	struct gw_engine *e = core->eng;
	struct gw_list ended;
	struct gw_op *op;

	if (GW_UNLIKELY(!gw_list_empty(&e->ended))) {
		gw_list_init(&ended);
		gw_list_splice_tail(&ended, &e->ended);
		while ((op = gw_list_first(&ended, struct gw_op, node))) {
			gw_list_del(&op->node);
			gw_engine_finish(e, op, op->res);
		}
	}
}

void
gw_engine_reap(struct gw_core *core)
{
	gw_engine_tell(core);
	core->eng->ops->reap(core);
}

static const struct gw_engine_ops *
take(struct gw_core *core, struct gw_op *op, int fd)
{
	BUG(op->busy || gw_core_self() != core);
	op->busy = true;
	op->ending = false;
	op->chunk = NULL;
	op->fd = fd;
	op->node.next = NULL;
	op->node.prev = NULL;
	return core->eng->ops;
}

void
gw_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max)
{
	take(core, op, fd)->recv_chunk(core, op, fd, max);
}

void
gw_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len)
{
	take(core, op, fd)->recv(core, op, fd, buf, len);
}

void
gw_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg)
{
	take(core, op, fd)->sendmsg(core, op, fd, msg);
}

void
gw_accept(struct gw_core *core, struct gw_op *op, int fd)
{
	take(core, op, fd)->accept(core, op, fd);
}

void
gw_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	 uint64_t off)
{
	take(core, op, fd)->readv(core, op, fd, iov, niov, off);
}

void
gw_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	  uint64_t off, int rwf)
{
	take(core, op, fd)->writev(core, op, fd, iov, niov, off, rwf);
}

void
gw_fdatasync(struct gw_core *core, struct gw_op *op, int fd)
{
	take(core, op, fd)->fdatasync(core, op, fd);
}

void
gw_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off, uint64_t len)
{
	take(core, op, fd)->fallocate(core, op, fd, mode, off, len);
}

void
gw_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events)
{
	take(core, op, fd)->poll(core, op, fd, events);
}

void
gw_aside(struct gw_core *core, struct gw_op *op, int (*fn)(struct gw_op *op))
{
	take(core, op, -1);
	op->at.fn = fn;
	gw_aside_add(core, op);
}

struct io_uring *
gw_uring(struct gw_core *core)
{
	return core->eng->ops->ring ? core->eng->ops->ring(core) : NULL;
}

struct io_uring_sqe *
gw_uring_sqe(struct gw_core *core, struct gw_op *op)
{
	return take(core, op, -1)->sqe(core, op);
}

void
gw_cancel(struct gw_core *core, struct gw_op *op)
{
	BUG(gw_core_self() != core);
	if (!op->busy || op->ending)
		return;
	op->ending = true;
	if (op->node.next) {
		gw_list_del(&op->node);
		op->res = -ECANCELED;
		gw_list_add_tail(&core->eng->ended, &op->node);
		return;
	}
	core->eng->ops->cancel(core, op);
}

void
gw_forget_fd(struct gw_core *core, int fd)
{
	if (core->eng->ops->forget)
		core->eng->ops->forget(core, fd);
}
