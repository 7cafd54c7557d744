/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of engine.h as submission queue entries. */
#include <errno.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/core/uring_priv.h"

/* The kernel moves no more in one call (MAX_RW_COUNT). */
#define RW_MAX 0x7ffff000u

static void
take(struct gw_core *core, struct gw_op *op, int fd)
{
	BUG(op->busy || gw_core_self() != core);
	op->busy = true;
	op->ending = false;
	op->chunk = NULL;
	op->fd = fd;
	op->node.next = NULL;
	op->node.prev = NULL;
	op->tag = TAG_OP;
}

/* Takes op; the caller goes on to fill the entry by an io_uring_prep_*() call and then named(). */
static struct io_uring_sqe *
begin(struct gw_core *core, struct gw_op *op, int fd)
{
	take(core, op, fd);
	return uring_sqe(core->eng);
}

static void
named(struct io_uring_sqe *sqe, const struct gw_op *op)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)op | op->tag);
}

void
uring_prep_chunk(struct gw_engine *e, struct gw_op *op)
{
	struct io_uring_sqe *sqe = uring_sqe(e);

	op->node.next = NULL;
	io_uring_prep_recv(sqe, op->fd, NULL, op->len, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_SHELF_GROUP;
	named(sqe, op);
}

void
gw_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max)
{
	take(core, op, fd);
	op->tag = TAG_CHUNK;
	op->len = max;
	uring_prep_chunk(core->eng, op);
}

void
gw_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);

	io_uring_prep_recv(sqe, fd, buf, len, 0);
	named(sqe, op);
}

void
gw_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);

	io_uring_prep_sendmsg(sqe, fd, msg, MSG_NOSIGNAL);
	named(sqe, op);
}

void
gw_accept(struct gw_core *core, struct gw_op *op, int fd)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	named(sqe, op);
}

/* The registration that holds all of the piece, or -1. */
static int
fixed_index(const struct gw_engine *e, const struct iovec *iov)
{
	uint64_t off = (uintptr_t)iov->iov_base - (uintptr_t)e->fixed;

	if (!e->fixed || (uintptr_t)iov->iov_base < (uintptr_t)e->fixed ||
	    !gw_range_ok(off, iov->iov_len, e->fixed_len) || iov->iov_len == 0 ||
	    off >> URING_FIXED_SHIFT != (off + iov->iov_len - 1) >> URING_FIXED_SHIFT)
		return -1;
	return (int)(off >> URING_FIXED_SHIFT);
}

void
gw_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	 uint64_t off)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);
	struct gw_engine *e = core->eng;
	unsigned len = (unsigned)GW_MIN(iov->iov_len, (size_t)RW_MAX);
	int fixed = fixed_index(e, iov);

	if (niov != 1)
		io_uring_prep_readv(sqe, fd, iov, niov, off);
	else if (fixed >= 0)
		io_uring_prep_read_fixed(sqe, fd, iov->iov_base, len, off, fixed);
	else
		io_uring_prep_read(sqe, fd, iov->iov_base, len, off);
	named(sqe, op);
	e->eager = true;
}

void
gw_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	  uint64_t off, int rwf)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);
	struct gw_engine *e = core->eng;
	unsigned len = (unsigned)GW_MIN(iov->iov_len, (size_t)RW_MAX);
	int fixed = fixed_index(e, iov);

	if (niov != 1)
		io_uring_prep_writev(sqe, fd, iov, niov, off);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, fd, iov->iov_base, len, off, fixed);
	else
		io_uring_prep_write(sqe, fd, iov->iov_base, len, off);
	sqe->rw_flags = rwf;
	named(sqe, op);
	e->eager = true;
}

void
gw_fdatasync(struct gw_core *core, struct gw_op *op, int fd)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	named(sqe, op);
}

void
gw_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off, uint64_t len)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);

	io_uring_prep_fallocate(sqe, fd, mode, (off_t)off, (off_t)len);
	named(sqe, op);
}

void
gw_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events)
{
	struct io_uring_sqe *sqe = begin(core, op, fd);

	io_uring_prep_poll_add(sqe, fd, events);
	named(sqe, op);
}

void
gw_cancel(struct gw_core *core, struct gw_op *op)
{
	struct gw_engine *e = core->eng;
	struct io_uring_sqe *sqe;

	BUG(gw_core_self() != core);
	if (!op->busy || op->ending)
		return;
	op->ending = true;
	if (op->node.next) {
		gw_list_del(&op->node);
		gw_list_add_tail(&e->ended, &op->node);
		return;
	}
	sqe = uring_sqe(e);
	io_uring_prep_cancel64(sqe, (uintptr_t)op | op->tag, 0);
	io_uring_sqe_set_data64(sqe, TAG_NOBODY);
}
