/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UNMAP and ZERO. A range is punched out, or turned into zeroes by the file system, or
 * written with zeroes, whatever is allowed and works first.
 *
 * fallocate(FALLOC_FL_PUNCH_HOLE) leaves zeroes to the byte on files and to the logical block on
 * block devices (there it is "write zeroes, may deallocate, do not fall back to writing"). What a
 * range has of a larger logical block at its edges is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "backend/uring_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

#define ZERO_SEG  (64u << 10)
#define ZERO_SEGS 16

static const uint8_t zeroes[ZERO_SEG] __attribute__((aligned(4096)));
#define Z                                           \
	{                                           \
		(void *)(uintptr_t)zeroes, ZERO_SEG \
	}
static const struct iovec zero_iov[ZERO_SEGS] = {Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z};
#undef Z

static void range_go(struct be_io *io);

/* The cheapest way that is allowed and not known to fail. */
static enum uring_method
choose(const struct be_io *io)
{
	struct uring_dev *ud = uring_dev(io);

	if ((io->op == BE_UNMAP || io->flags & BE_MAY_UNMAP) && io->chan->dev->unmap_align &&
	    !atomic_load_explicit(&ud->no_punch, memory_order_relaxed))
		return URING_PUNCH;
	if (!atomic_load_explicit(&ud->no_zero_range, memory_order_relaxed))
		return URING_ZERO_RANGE;
	return URING_WRITE_ZEROES;
}

/* That way does not exist here: true if there is another one. */
static bool
next_method(struct be_io *io)
{
	struct uring_io *u = uring_io(io);
	struct uring_dev *ud = uring_dev(io);

	if (u->method == URING_WRITE_ZEROES)
		return false;
	atomic_store_explicit(u->method == URING_PUNCH ? &ud->no_punch : &ud->no_zero_range, true,
			      memory_order_relaxed);
	u->method = choose(io);
	return true;
}

static void
range_done(struct gw_op *op, int res)
{
	struct be_io *io = uring_be_io(op);
	struct uring_io *u = uring_io(io);
	bool wrote = u->method == URING_WRITE_ZEROES || u->edge;
	uint64_t n = wrote && res > 0 ? (uint64_t)res : u->piece;

	if (res < 0 && (uring_again(u, -res) ||
			((res == -EOPNOTSUPP || res == -ENOSYS) && !wrote && next_method(io)))) {
		range_go(io);
		return;
	}
	uring_map_forget(uring_dev(io), io->off + io->moved, u->piece);
	if (res < 0) {
		be_done(io, uring_st(io, -res));
		return;
	}
	if (wrote) {
		n &= ~(uint64_t)(io->chan->dev->io_align - 1);
		if (!res || !n) {
			be_done(io, BE_EMEDIUM);
			return;
		}
	}
	BUG(n > io->len - io->moved);
	io->moved += n;
	u->retries = 0;
	if (io->moved < io->len)
		range_go(io);
	else if (u->durable)
		uring_sync_go(io);
	else
		be_done(io, BE_OK);
}

static void
write_zeroes(struct be_io *io, uint64_t left)
{
	struct uring_io *u = uring_io(io);
	const struct iovec *iov = zero_iov;
	unsigned n = (unsigned)GW_MIN(left / ZERO_SEG, (uint64_t)ZERO_SEGS);

	if (!n) {
		u->part = zero_iov[0];
		u->part.iov_len = left;
		iov = &u->part;
		n = 1;
	}
	gw_writev(io->chan->core, &u->op, uring_fd(io), iov, n, io->off + io->moved, 0);
}

/*
 * The kernel drops what its cache holds of a block device's range. Who has the device for himself
 * may, whatever is dirty there; from another open file it can end in EBUSY (truncate_bdev_range of
 * Linux).
 */
static int
range_fd(const struct be_io *io)
{
	return uring_dev(io)->block ? uring_dev(io)->fd : uring_fd(io);
}

/* Bytes at off that are only a part of what fallocate(2) takes; 0 if they can be left to it. */
static uint64_t
edge_at(const struct uring_dev *ud, uint64_t off, uint64_t left)
{
	uint64_t in = off & (ud->range_align - 1);

	if (in)
		return GW_MIN(left, ud->range_align - in);
	return left < ud->range_align ? left : 0;
}

static void
range_go(struct be_io *io)
{
	struct uring_io *u = uring_io(io);
	struct uring_dev *ud = uring_dev(io);
	uint64_t left = io->len - io->moved;
	uint64_t edge = edge_at(ud, io->off + io->moved, left);
	int mode = FALLOC_FL_KEEP_SIZE;

	u->edge = edge > 0;
	if (u->edge || u->method == URING_WRITE_ZEROES) {
		write_zeroes(io, edge ? edge : left);
		return;
	}
	left &= ~(uint64_t)(ud->range_align - 1);
	mode |= u->method == URING_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	u->piece = GW_MIN(left, ud->range_piece);
	uring_map_forget(ud, io->off + io->moved, u->piece);
	gw_fallocate(io->chan->core, &u->op, range_fd(io), mode, io->off + io->moved, u->piece);
}

void
uring_range_start(struct be_io *io)
{
	struct uring_io *u = uring_io(io);
	struct uring_dev *ud = uring_dev(io);

	memset(u, 0, sizeof(*u));
	io->moved = 0;
	if (io->op == BE_UNMAP && !io->chan->dev->unmap_align) {
		be_done_later(io, BE_ENOTSUP);
		return;
	}
	u->op.done = range_done;
	u->durable = ud->sync || io->flags & BE_FUA;
	if (u->durable && !uring_sync_allowed(io))
		return;
	u->method = choose(io);
	range_go(io);
}
