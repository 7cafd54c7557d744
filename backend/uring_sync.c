/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What FLUSH and durable writes may claim.
 *
 * When the kernel cannot write back what it had accepted, it says so once to each open file, to the
 * first sync of it that looks, and then takes the pages for clean. So each core has an open
 * file of its own, and hears of every loss whatever the others do. Of two syncs that run on one of
 * them at a time either may be told: the success of one counts only when all that ran beside it
 * have ended without having heard of a loss. A loss is remembered for all cores and for good: the
 * device has to be opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/uring_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/log.h"

void
uring_set_lost(struct uring_dev *ud, int e)
{
	if (!atomic_exchange_explicit(&ud->lost, true, memory_order_relaxed))
		gw_err("writes may be lost, flushes fail until the backing store is opened again: "
		       "path=%s error=\"%s\"",
		       ud->path, strerror(e));
}

static bool
is_lost(const struct be_io *io)
{
	return atomic_load_explicit(&uring_dev(io)->lost, memory_order_relaxed);
}

/* --- one open file for each core; the control thread --- */

static bool
is_same(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino &&
	       x.st_rdev == y.st_rdev;
}

int
uring_sync_open(struct uring_dev *ud, int flags, char *err, unsigned err_size)
{
	unsigned n = gw_ncores();
	int e;

	ud->fds = malloc(n * sizeof(*ud->fds));
	if (!ud->fds)
		return be_refuse(err, err_size, -ENOMEM, "no memory for a backing store");
	for (unsigned i = 0; i < n; i++)
		ud->fds[i] = -1;
	for (unsigned i = 0; i < n; i++) {
		ud->fds[i] = open(ud->path, flags);
		e = errno;
		if (ud->fds[i] >= 0 && is_same(ud->fds[i], ud->fd))
			continue;
		if (ud->fds[i] >= 0)
			be_refuse(err, err_size, -EAGAIN, "%s was replaced while it was opened",
				  ud->path);
		else
			be_refuse(err, err_size, -e, "cannot open %s once for each core: %s",
				  ud->path, strerror(e));
		e = ud->fds[i] >= 0 ? EAGAIN : e;
		uring_sync_close(ud);
		return -e;
	}
	return 0;
}

void
uring_sync_close(struct uring_dev *ud)
{
	for (unsigned i = 0; ud->fds && i < gw_ncores(); i++)
		if (ud->fds[i] >= 0)
			close(ud->fds[i]);
	free(ud->fds);
	ud->fds = NULL;
}

/* --- overlapping syncs of one core --- */

void
uring_syncs_init(struct uring_syncs *s)
{
	gw_list_init(&s->running);
	gw_list_init(&s->held);
	s->seq = 0;
}

static struct uring_syncs *
syncs(const struct be_io *io)
{
	return &gw_container(io->chan, struct uring_chan, chan)->syncs;
}

bool
uring_sync_allowed(struct be_io *io)
{
	if (!is_lost(io))
		return true;
	be_done_later(io, BE_EMEDIUM);
	return false;
}

void
uring_sync_begin(struct be_io *io)
{
	struct uring_syncs *s = syncs(io);

	BUG(uring_io(io)->sync_seq);
	uring_io(io)->sync_seq = ++s->seq;
	gw_list_add_tail(&s->running, &io->node);
}

/* The last done() may close the channel, and s with it. */
static void
release(struct uring_syncs *s)
{
	struct be_io *oldest, *io;
	bool more = true;

	while (more && (io = gw_list_first(&s->held, struct be_io, node))) {
		oldest = gw_list_first(&s->running, struct be_io, node);
		if (oldest && uring_io(oldest)->sync_seq <= uring_io(io)->sync_seq)
			return;
		gw_list_del(&io->node);
		more = !gw_list_empty(&s->held);
		be_done(io, is_lost(io) ? BE_EMEDIUM : BE_OK);
	}
}

void
uring_sync_end(struct be_io *io, enum be_st st)
{
	struct uring_syncs *s = syncs(io);

	gw_list_del(&io->node);
	if (st == BE_OK) {
		/* What begins from now on cannot have heard what this one has not. */
		uring_io(io)->sync_seq = s->seq;
		gw_list_add_tail(&s->held, &io->node);
		release(s);
	} else {
		release(s);
		be_done(io, st);
	}
}

/* --- flushes --- */

static void
call(struct be_io *io)
{
	gw_fdatasync(io->chan->core, &uring_io(io)->op, uring_fd(io));
}

static void
sync_done(struct gw_op *op, int res)
{
	struct be_io *io = uring_be_io(op);

	if (res < 0 && uring_again(uring_io(io), -res)) {
		call(io);
		return;
	}
	if (res < 0 && res != -ECANCELED)
		uring_set_lost(uring_dev(io), -res);
	uring_sync_end(io, res < 0 ? uring_st(io, -res) : BE_OK);
}

void
uring_sync_go(struct be_io *io)
{
	uring_io(io)->op.done = sync_done;
	uring_sync_begin(io);
	call(io);
}

void
uring_flush_start(struct be_io *io)
{
	memset(uring_io(io), 0, sizeof(struct uring_io));
	if (uring_sync_allowed(io))
		uring_sync_go(io);
}
