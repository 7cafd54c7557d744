/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files. With O_DIRECT they go to kernel AIO, which waits for the device by itself. Through the page
 * cache, io_submit(2) would wait for it instead: what can be had at once is had at once (RWF_NOWAIT,
 * preadv2(2)), all else is for a thread.
 */
#include <errno.h>
#include <fcntl.h>

#include "gateway/core/epoll_priv.h"

static int
learn(struct epoll_fd *f, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	f->flags |= EPOLL_FILE;
	if (flags & O_DIRECT)
		f->flags |= EPOLL_DIRECT;
	return 0;
}

/* True if op has ended. */
static bool
try_now(struct gw_epoll *e, struct epoll_fd *f, struct gw_op *op)
{
	bool read = op->tag == EPOLL_READV;
	uint8_t block = read ? EPOLL_READS_BLOCK : EPOLL_WRITES_BLOCK;
	ssize_t n;

	/* What must be on the medium when it ends, cannot end now. */
	if (f->flags & block || (!read && op->flags))
		return false;
	if (read)
		n = preadv2(op->fd, op->at.iov, (int)op->len, (off_t)op->off, RWF_NOWAIT);
	else
		n = pwritev2(op->fd, op->at.iov, (int)op->len, (off_t)op->off, RWF_NOWAIT);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM)) {
		f->flags |= block;
		return false;
	}
	epoll_end(e, op, n < 0 ? -errno : (int)n);
	return true;
}

void
epoll_file_try(struct gw_epoll *e, struct gw_op *op)
{
	struct epoll_fd *f = epoll_fd(e, op->fd);
	int rc = f ? 0 : -EBADF;

	if (f && !(f->flags & EPOLL_FILE))
		rc = learn(f, op->fd);
	if (rc < 0)
		epoll_end(e, op, rc);
	else if (op->tag == EPOLL_FALLOCATE)
		epoll_work_add(&e->work, op);
	else if (e->aio.ctx && (op->tag == EPOLL_FDATASYNC || f->flags & EPOLL_DIRECT))
		epoll_aio_add(e, op);
	else if (op->tag == EPOLL_FDATASYNC || f->flags & EPOLL_DIRECT || !try_now(e, f, op))
		epoll_work_add(&e->work, op);
}

/* --- the calls of engine.h --- */

void
epoll_readv(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	    uint64_t off)
{
	op->at.iov = iov;
	op->len = niov;
	op->off = off;
	op->flags = 0;
	core->eng->eager = true;
	epoll_todo(core, op, EPOLL_READV);
}

void
epoll_writev(struct gw_core *core, struct gw_op *op, int fd, const struct iovec *iov, unsigned niov,
	     uint64_t off, int rwf)
{
	op->at.iov = iov;
	op->len = niov;
	op->off = off;
	op->flags = rwf;
	core->eng->eager = true;
	epoll_todo(core, op, EPOLL_WRITEV);
}

void
epoll_fdatasync(struct gw_core *core, struct gw_op *op, int fd)
{
	epoll_todo(core, op, EPOLL_FDATASYNC);
}

void
epoll_fallocate(struct gw_core *core, struct gw_op *op, int fd, int mode, uint64_t off,
		uint64_t len)
{
	op->flags = mode;
	op->off = off;
	op->at.range = len;
	epoll_todo(core, op, EPOLL_FALLOCATE);
}
