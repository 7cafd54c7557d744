/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files whose pages are memory (tmpfs, ramfs, hugetlbfs): the core reads and writes them itself.
 *
 * io_uring hands every transfer of such a file to a worker thread, because these file systems do
 * not promise to support a transfer that may not block; waking the worker costs several times what
 * the copy does. The copy has no device to wait for. It can wait in two cases: when the machine is
 * out of memory, as any page fault of this process would, and when a page was swapped out, which is
 * the reason not to put LUNs on a tmpfs that is larger than the memory; and a write waits for
 * another one of the same file while that copies, which a step's budget bounds. Whatever holds the
 * file for longer (holes, zeroes: uring_range.c) goes in small pieces.
 *
 * What of the file is known to be there is copied from and to a mapping, or is lent to be sent from
 * where it lies (uring_map.c). The rest goes by system calls: a write through a mapping ends in
 * SIGBUS where there is no space, and so does a read when somebody else has cut the file (guard.c).
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend/uring_priv.h"
#include "gateway/base/num.h"

bool
uring_ram_fs(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
}

static bool
is_durable(const struct be_io *io)
{
	return io->op == BE_WRITE && (uring_dev(io)->sync || io->flags & BE_FUA);
}

static ssize_t
transfer(const struct be_io *io, const struct iovec *iov, unsigned niov)
{
	const struct uring_dev *ud = uring_dev(io);
	off_t off = (off_t)(io->off + io->moved);

	if (io->op == BE_READ)
		return niov == 1 ? pread(ud->fd, iov->iov_base, iov->iov_len, off)
				 : preadv(ud->fd, iov, (int)niov, off);
	if (is_durable(io))
		return pwritev2(ud->fd, iov, (int)niov, off, RWF_DSYNC);
	return niov == 1 ? pwrite(ud->fd, iov->iov_base, iov->iov_len, off)
			 : pwritev(ud->fd, iov, (int)niov, off);
}

bool
uring_ram_lends(struct be_chan *chan, uint64_t off, uint64_t len, uint8_t flags)
{
	return flags & BE_LEND && uring_map_at(chan->dev->priv, off, len);
}

/* Is the data all there to be sent from where it lies? Without a buffer it was a moment ago. */
static bool
lend(struct be_io *io)
{
	void *p;

	if (io->op != BE_READ)
		return false;
	p = io->iov ? uring_map_at(uring_dev(io), io->off, io->len)
		    : uring_dev(io)->map->base + io->off;
	if (!p)
		return false;
	be_lend(gw_container(io->chan, struct uring_chan, chan)->lender, io, p);
	return true;
}

/* One piece from or to the mapping: its bytes, or 0: the kernel has to be asked. */
static uint64_t
copy_some(struct be_io *io, uint64_t budget)
{
	struct be_cursor *cur = be_queue_cursor(io);
	struct iovec v = be_cursor_piece(io, cur, budget);
	uint8_t *p = uring_map_at(uring_dev(io), io->off + io->moved, v.iov_len);
	bool ok;

	if (!p)
		return 0;
	ok = io->op == BE_READ ? be_guard_load(v.iov_base, p, v.iov_len)
			       : be_guard_store(p, v.iov_base, v.iov_len);
	if (!ok) {
		uring_map_forget(uring_dev(io), io->off + io->moved, v.iov_len);
		return 0;
	}
	cur->off += v.iov_len;
	io->moved += v.iov_len;
	return v.iov_len;
}

static uint64_t
step(struct be_io *io, uint64_t budget)
{
	struct be_cursor *cur = be_queue_cursor(io);
	uint64_t left = io->len - io->moved, copied;
	struct iovec piece;
	ssize_t n;

	if (io->flags & BE_LEND && !io->moved && lend(io))
		return 0;
	if (!is_durable(io) && (copied = copy_some(io, budget)) > 0)
		return copied;
	if (!cur->off && left <= budget) {
		n = transfer(io, io->iov + cur->seg, io->niov - cur->seg);
	} else {
		piece = be_cursor_piece(io, cur, budget);
		n = transfer(io, &piece, 1);
	}
	if (n > 0) {
		io->moved += (uint64_t)n;
		if (io->moved < io->len)
			be_cursor_move(io, cur, (size_t)n);
		return (uint64_t)n;
	}
	/* The file ends here: it has shrunk since its size was last looked at. */
	if (n == 0)
		io->st = io->op == BE_READ ? BE_ERANGE : BE_EMEDIUM;
	else if (errno != EINTR)
		io->st = (uint8_t)be_st_of_errno(errno);
	return 0;
}

void
uring_ram_start(struct be_io *io)
{
	struct uring_chan *c = gw_container(io->chan, struct uring_chan, chan);

	if (!is_durable(io) || uring_sync_allowed(io))
		be_queue_add(&c->inline_rw, io);
}

static void
unreadable(void *dev, const struct be_io *io)
{
	uring_map_forget(dev, io->off, io->len);
}

int
uring_ram_init(struct uring_chan *c, struct be_dev *dev, struct gw_core *core)
{
	struct uring_dev *ud = dev->priv;

	c->lender = be_lender_new(ud->map);
	if (!c->lender)
		return -ENOMEM;
	c->lender->unreadable = unreadable;
	c->lender->dev = ud;
	be_queue_init(&c->inline_rw, core, step);
	return 0;
}

void
uring_ram_fini(struct uring_chan *c)
{
	be_queue_fini(&c->inline_rw);
	be_lender_close(c->lender);
}
