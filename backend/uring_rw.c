/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads and writes: short transfers are continued, durable writes carry RWF_DSYNC.
 *
 * A durable write that fails has two possible reasons. The write itself may have failed: then its
 * initiator is told and that is all. Or the cache could not be written back: then the kernel has
 * now reported, once, that earlier writes are lost too, and no later flush may succeed. To tell
 * them apart the same write is tried again without RWF_DSYNC; if that succeeds, it was the cache.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "backend/uring_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

static void
finish(struct be_io *io, enum be_st st)
{
	uring_bounce_put(io);
	if (uring_io(io)->sync_seq)
		uring_sync_end(io, st);
	else
		be_done(io, st);
}

static void
transfer(struct be_io *io, const struct iovec *iov, unsigned niov)
{
	struct uring_io *u = uring_io(io);
	struct gw_core *core = io->chan->core;
	int fd = uring_fd(io);

	if (io->op == BE_READ)
		gw_readv(core, &u->op, fd, iov, niov, io->off + io->moved);
	else
		gw_writev(core, &u->op, fd, iov, niov, io->off + io->moved,
			  u->durable && !u->first_errno ? RWF_DSYNC : 0);
}

void
uring_rw_go(struct be_io *io)
{
	struct uring_io *u = uring_io(io);

	if (u->durable && !u->sync_seq)
		uring_sync_begin(io);
	if (u->bounce) {
		u->part.iov_base = u->bounce->mem;
		u->part.iov_len = GW_MIN(io->len - io->moved, (uint64_t)URING_BOUNCE_SIZE);
		if (io->op == BE_WRITE)
			be_cursor_gather(io, u->cur, u->part.iov_base, u->part.iov_len);
		transfer(io, &u->part, 1);
		return;
	}
	u->part = be_cursor_piece(io, &u->cur, SIZE_MAX);
	if (u->cur.off)
		transfer(io, &u->part, 1);
	else
		transfer(io, io->iov + u->cur.seg, io->niov - u->cur.seg);
}

static void
failed(struct be_io *io, int e)
{
	struct uring_io *u = uring_io(io);

	if (uring_again(u, e)) {
		uring_rw_go(io);
	} else if (u->durable && !u->first_errno && e != ECANCELED) {
		u->first_errno = e;
		uring_rw_go(io);
	} else {
		finish(io, uring_st(io, e));
	}
}

static void
rw_done(struct gw_op *op, int res)
{
	struct be_io *io = uring_be_io(op);
	struct uring_io *u = uring_io(io);
	size_t n;

	if (res < 0) {
		failed(io, -res);
		return;
	}
	if (u->first_errno) {
		uring_set_lost(uring_dev(io), u->first_errno);
		finish(io, uring_st(io, u->first_errno));
		return;
	}
	n = (size_t)res;
	BUG(n > io->len - io->moved);
	/* O_DIRECT goes on at a block's edge; what is left of a torn block is moved again. */
	if (uring_dev(io)->direct)
		n &= ~(size_t)(io->chan->dev->io_align - 1);
	if (!n) {
		/* The file ends here: it has shrunk since its size was last looked at. */
		finish(io, io->op == BE_READ ? BE_ERANGE : BE_EMEDIUM);
		return;
	}
	if (u->bounce && io->op == BE_READ)
		be_cursor_scatter(io, u->cur, u->bounce->mem, n);
	be_cursor_move(io, &u->cur, n);
	io->moved += n;
	u->retries = 0;
	if (io->moved == io->len)
		finish(io, BE_OK);
	else
		uring_rw_go(io);
}

void
uring_rw_start(struct be_io *io)
{
	struct uring_io *u = uring_io(io);
	struct uring_dev *ud = uring_dev(io);

	memset(u, 0, sizeof(*u));
	io->moved = 0;
	u->op.done = rw_done;
	u->durable = io->op == BE_WRITE && (ud->sync || io->flags & BE_FUA);
	if (u->durable && !uring_sync_allowed(io))
		return;
	if (ud->direct && !uring_is_aligned(io) && !uring_bounce_get(io))
		return;
	uring_rw_go(io);
}
