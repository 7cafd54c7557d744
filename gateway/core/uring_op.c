/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations of engine.h as submission queue entries. */
#include <errno.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/core/uring_priv.h"

/* The kernel moves no more in one call (MAX_RW_COUNT). */
#define RW_MAX 0x7ffff000u

/* The caller goes on to fill the entry by an io_uring_prep_*() call and then named(). */
static struct io_uring_sqe *
begin(struct gw_core *core, struct gw_op *op)
{
	op->tag = TAG_OP;
	return uring_sqe(uring_of(core));
}

static void
named(struct io_uring_sqe *sqe, const struct gw_op *op)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)op | op->tag);
}

void
uring_prep_chunk(struct gw_uring *e, struct gw_op *op)
{
	struct io_uring_sqe *sqe = uring_sqe(e);

	op->node.next = NULL;
	io_uring_prep_recv(sqe, op->fd, NULL, op->len, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_SHELF_GROUP;
	named(sqe, op);
}

void
uring_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max)
{
	op->tag = TAG_CHUNK;
	op->len = max;
	uring_prep_chunk(uring_of(core), op);
}

void
uring_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len)
{
	struct io_uring_sqe *sqe = begin(core, op);

	io_uring_prep_recv(sqe, fd, buf, len, 0);
	named(sqe, op);
}

/*
 * Answers mostly fit into the socket: then they have gone when this returns, and the turn ends
 * asleep. As an entry in the ring they would wake it at once, to be told what it could know.
 */
void
uring_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg)
{
	struct gw_engine *e = core->eng;
	struct io_uring_sqe *sqe;
	ssize_t n = sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
		op->res = n >= 0 ? (int)n : -errno;
		gw_list_add_tail(&e->ended, &op->node);
		return;
	}
	sqe = begin(core, op);
	io_uring_prep_sendmsg(sqe, fd, msg, MSG_NOSIGNAL);
	named(sqe, op);
}

void
uring_accept(struct gw_core *core, struct gw_op *op, int fd)
{
	struct io_uring_sqe *sqe = begin(core, op);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	named(sqe, op);
}

void
uring_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	    uint64_t off)
{
	struct io_uring_sqe *sqe = begin(core, op);
	struct gw_uring *e = uring_of(core);
	unsigned len = (unsigned)GW_MIN(iov->iov_len, (size_t)RW_MAX);
	int fixed = gw_fixed_index(&e->fixed, (uintptr_t)iov->iov_base, iov->iov_len);

	if (niov != 1)
		io_uring_prep_readv(sqe, fd, iov, niov, off);
	else if (fixed >= 0)
		io_uring_prep_read_fixed(sqe, fd, iov->iov_base, len, off, fixed);
	else
		io_uring_prep_read(sqe, fd, iov->iov_base, len, off);
	named(sqe, op);
	e->base.eager = true;
}

void
uring_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	     uint64_t off, int rwf)
{
	struct io_uring_sqe *sqe = begin(core, op);
	struct gw_uring *e = uring_of(core);
	unsigned len = (unsigned)GW_MIN(iov->iov_len, (size_t)RW_MAX);
	int fixed = gw_fixed_index(&e->fixed, (uintptr_t)iov->iov_base, iov->iov_len);

	if (niov != 1)
		io_uring_prep_writev(sqe, fd, iov, niov, off);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, fd, iov->iov_base, len, off, fixed);
	else
		io_uring_prep_write(sqe, fd, iov->iov_base, len, off);
	sqe->rw_flags = rwf;
	named(sqe, op);
	e->base.eager = true;
}

void
uring_fdatasync(struct gw_core *core, struct gw_op *op, int fd)
{
	struct io_uring_sqe *sqe = begin(core, op);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	named(sqe, op);
}

void
uring_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off,
		uint64_t len)
{
	struct io_uring_sqe *sqe = begin(core, op);

	io_uring_prep_fallocate(sqe, fd, mode, (off_t)off, (off_t)len);
	named(sqe, op);
}

void
uring_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events)
{
	struct io_uring_sqe *sqe = begin(core, op);

	io_uring_prep_poll_add(sqe, fd, events);
	named(sqe, op);
}

struct io_uring_sqe *
uring_entry(struct gw_core *core, struct gw_op *op)
{
	struct io_uring_sqe *sqe = begin(core, op);

	memset(sqe, 0, GW_URING_SQE_SIZE);
	named(sqe, op);
	return sqe;
}

void
uring_cancel(struct gw_core *core, struct gw_op *op)
{
	struct io_uring_sqe *sqe = uring_sqe(uring_of(core));

	io_uring_prep_cancel64(sqe, (uintptr_t)op | op->tag, 0);
	io_uring_sqe_set_data64(sqe, TAG_NOBODY);
}
