/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel AIO (io_submit(2)) by its system calls: four of them need no library. All operations of a
 * turn go with one call; RWF_NOWAIT keeps it from waiting for the file system or the device's queue,
 * and what the kernel will not take that way is for a thread. Flushes are carried out by the
 * kernel's own threads.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway/core/epoll_priv.h"

#define REAP_MAX 64

int
epoll_aio_open(struct epoll_aio *a)
{
	/* Forbidden, not compiled in, or the system's places (fs.aio-max-nr) are taken. */
	if (syscall(__NR_io_setup, EPOLL_AIO_MAX, &a->ctx) < 0) {
		a->ctx = 0;
		return 0;
	}
	a->eventfd = eventfd(0, EFD_CLOEXEC);
	return a->eventfd < 0 ? -errno : 0;
}

void
epoll_aio_close(struct epoll_aio *a)
{
	if (a->ctx)
		syscall(__NR_io_destroy, a->ctx);
	if (a->eventfd >= 0)
		close(a->eventfd);
}

static uint16_t
opcode(const struct gw_op *op)
{
	switch ((enum epoll_tag)op->tag) {
	case EPOLL_READV:
		return IOCB_CMD_PREADV;
	case EPOLL_WRITEV:
		return IOCB_CMD_PWRITEV;
	default:
		return IOCB_CMD_FDSYNC;
	}
}

static void
prepare(struct epoll_aio *a, const struct gw_op *op)
{
	struct iocb *cb = &a->batch[a->nbatch++];

	memset(cb, 0, sizeof(*cb));
	cb->aio_data = (uintptr_t)op;
	cb->aio_lio_opcode = opcode(op);
	cb->aio_fildes = (uint32_t)op->fd;
	cb->aio_flags = IOCB_FLAG_RESFD;
	cb->aio_resfd = (uint32_t)a->eventfd;
	if (op->tag == EPOLL_FDATASYNC)
		return;
	cb->aio_rw_flags = op->flags | RWF_NOWAIT;
	cb->aio_buf = (uintptr_t)op->at.iov;
	cb->aio_nbytes = op->len;
	cb->aio_offset = (int64_t)op->off;
}

static struct gw_op *
op_of(uint64_t data)
{
	return (struct gw_op *)(uintptr_t)data;
}

static void
submit_batch(struct gw_epoll *e)
{
	struct epoll_aio *a = &e->aio;
	struct iocb *list[EPOLL_AIO_TURN];
	unsigned at = 0, n = a->nbatch;
	long taken;

	for (unsigned i = 0; i < n; i++)
		list[i] = &a->batch[i];
	a->nbatch = 0;
	while (at < n) {
		taken = syscall(__NR_io_submit, a->ctx, (long)(n - at), list + at);
		gw_stat_add(e->base.core->stats->enters, 1);
		if (taken > 0) {
			at += (unsigned)taken;
			a->inflight += (unsigned)taken;
		} else {
			/* The first one is refused; a thread finds out why, or does it. */
			epoll_work_add(&e->work, op_of(list[at++]->aio_data));
		}
	}
}

void
epoll_aio_add(struct gw_epoll *e, struct gw_op *op)
{
	struct epoll_aio *a = &e->aio;

	if (a->inflight + a->nbatch >= EPOLL_AIO_MAX) {
		gw_list_add_tail(&a->waiting, &op->node);
		return;
	}
	op->ending = true;
	prepare(a, op);
	if (a->nbatch == EPOLL_AIO_TURN)
		submit_batch(e);
}

void
epoll_aio_submit(struct gw_epoll *e)
{
	struct epoll_aio *a = &e->aio;
	struct gw_op *op;

	while (a->inflight + a->nbatch < EPOLL_AIO_MAX &&
	       (op = gw_list_first(&a->waiting, struct gw_op, node))) {
		epoll_unlist(op);
		epoll_aio_add(e, op);
	}
	if (a->nbatch)
		submit_batch(e);
}

static void
completed(struct gw_epoll *e, struct gw_op *op, int64_t res)
{
	e->aio.inflight--;
	/* "Not without waiting", or from a device that cannot say so: some of the device mapper's. */
	if ((res == -EAGAIN || res == -EOPNOTSUPP) && op->tag != EPOLL_FDATASYNC)
		epoll_work_add(&e->work, op);
	else
		gw_engine_finish(&e->base, op, (int)res);
}

/* The event comes once for all that have ended by now. */
void
epoll_aio_reap(struct gw_epoll *e)
{
	struct timespec none = {0, 0};
	struct io_event ev[REAP_MAX];
	long n;

	do {
		n = syscall(__NR_io_getevents, e->aio.ctx, 0L, (long)REAP_MAX, ev, &none);
		for (long i = 0; i < n; i++)
			completed(e, op_of(ev[i].data), ev[i].res);
	} while (n == REAP_MAX);
}
