/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine for where io_uring is forbidden: sockets by epoll, files by RWF_NOWAIT, kernel AIO and
 * a few threads. An operation is tried when its turn is submitted; what would block waits for an
 * event of its descriptor, which is registered once, edge-triggered, for all that can happen to it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/core/epoll_priv.h"

#define FDS_MAX (1u << 20)
/* Events that are no descriptor's of an operation. */
#define EVENT_WAKE UINT64_MAX
#define EVENT_AIO  (UINT64_MAX - 1)
/* While there is work at hand, only each third wait looks for events. */
#define SKIPS 2

/* --- life --- */

/* One place for each descriptor that this process can have; memory is taken as it is touched. */
static int
fds_open(struct gw_epoll *e)
{
	struct rlimit lim = {.rlim_cur = FDS_MAX};
	void *p;

	(void)getrlimit(RLIMIT_NOFILE, &lim);
	e->nfds = (uint32_t)GW_MIN(lim.rlim_cur, (rlim_t)FDS_MAX);
	p = mmap(NULL, e->nfds * sizeof(*e->fds), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	e->fds = p;
	return 0;
}

static int
watch_fd(struct gw_epoll *e, int fd, uint64_t data)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = data};

	return epoll_ctl(e->fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int
set_open(struct gw_epoll *e)
{
	int rc;

	e->fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->fd < 0)
		return -errno;
	rc = watch_fd(e, gw_mailbox_fd(e->base.core->mailbox), EVENT_WAKE);
	if (rc == 0)
		rc = epoll_aio_open(&e->aio);
	if (rc == 0 && e->aio.ctx)
		rc = watch_fd(e, e->aio.eventfd, EVENT_AIO);
	return rc;
}

static void
engine_close(struct gw_core *core)
{
	struct gw_epoll *e = epoll_of(core);

	epoll_aio_close(&e->aio);
	epoll_work_fini(&e->work);
	if (e->fd >= 0)
		close(e->fd);
	if (e->fds)
		munmap(e->fds, e->nfds * sizeof(*e->fds));
	gw_chunks_fini(&e->base.chunks);
	free(e);
	core->eng = NULL;
}

static int
engine_open(struct gw_core *core, uint32_t nchunks, char *err, unsigned err_size)
{
	struct gw_epoll *e = aligned_alloc(GW_CACHELINE, sizeof(*e));
	int rc;

	if (!e) {
		snprintf(err, err_size, "no memory for core %u", core->id);
		return -ENOMEM;
	}
	memset(e, 0, sizeof(*e));
	gw_engine_init(&e->base, &gw_engine_epoll, core);
	core->eng = &e->base;
	e->fd = e->aio.eventfd = -1;
	gw_list_init(&e->todo);
	gw_list_init(&e->aio.waiting);
	epoll_work_init(&e->work, core);
	rc = gw_chunks_init(&e->base.chunks, core, nchunks);
	if (rc == 0)
		rc = fds_open(e);
	if (rc == 0)
		rc = set_open(e);
	if (rc < 0) {
		snprintf(err, err_size, "cannot set up epoll for core %u: %s", core->id,
			 strerror(-rc));
		engine_close(core);
	}
	return rc;
}

static int
engine_start(struct gw_core *core)
{
	return epoll_work_start(&epoll_of(core)->work);
}

static void
engine_stop(struct gw_core *core)
{
	epoll_work_stop(&epoll_of(core)->work);
}

/* --- operations --- */

void
epoll_todo(struct gw_core *core, struct gw_op *op, enum epoll_tag tag)
{
	op->tag = (uint8_t)tag;
	gw_list_add_tail(&epoll_of(core)->todo, &op->node);
}

void
epoll_end(struct gw_epoll *e, struct gw_op *op, int res)
{
	op->res = res;
	op->ending = true;
	gw_list_add_tail(&e->base.ended, &op->node);
}

void
epoll_unlist(struct gw_op *op)
{
	gw_list_del(&op->node);
	op->node.next = NULL;
}

static void
submit(struct gw_epoll *e)
{
	struct gw_op *op;
	int res;

	epoll_sock_feed(e);
	while ((op = gw_list_first(&e->todo, struct gw_op, node))) {
		epoll_unlist(op);
		if (op->tag >= EPOLL_READV) {
			epoll_file_try(e, op);
			continue;
		}
		res = epoll_sock_try(e, op);
		if (res != -EINPROGRESS)
			epoll_end(e, op, res);
	}
	epoll_aio_submit(e);
}

/* What is with the kernel or a thread goes its way to the end. */
static void
engine_cancel(struct gw_core *core, struct gw_op *op)
{
}

static void
engine_forget(struct gw_core *core, int fd)
{
	struct epoll_fd *f = epoll_fd(epoll_of(core), fd);

	if (!f)
		return;
	BUG(f->waiting.next && !gw_list_empty(&f->waiting));
	f->flags = 0;
}

/* --- events --- */

static void
fetch(struct gw_epoll *e, int ms)
{
	int n = epoll_wait(e->fd, e->event, EPOLL_EVENTS, ms);

	gw_stat_add(e->base.core->stats->enters, 1);
	if (n < 0 && errno != EINTR)
		gw_log_limited(GW_LOG_ERR, "waiting for the kernel failed core=%u: %s",
			       e->base.core->id, strerror(errno));
	e->nevents = n > 0 ? (unsigned)n : 0;
	e->skipped = 0;
}

/* Not before `ns` have passed: a timer is never early. */
static int
milliseconds(uint64_t ns)
{
	uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);

	return ns == GW_NEVER_DUE ? -1 : (int)GW_MIN(ms, (uint64_t)INT_MAX);
}

static void
engine_wait(struct gw_core *core, uint64_t ns)
{
	struct gw_epoll *e = epoll_of(core);
	bool eager = e->base.eager;

	e->base.eager = false;
	submit(e);
	if (e->nevents)
		return;
	if (!gw_list_empty(&e->base.ended)) {
		eager = true;
		ns = 0;
	}
	if (ns == 0 && eager && e->skipped < SKIPS)
		e->skipped++;
	else
		fetch(e, milliseconds(ns));
}

static bool
engine_ready(struct gw_core *core)
{
	struct gw_epoll *e = epoll_of(core);

	if (e->nevents == 0 && gw_list_empty(&e->base.ended))
		fetch(e, 0);
	return e->nevents || !gw_list_empty(&e->base.ended);
}

static void
engine_reap(struct gw_core *core)
{
	struct gw_epoll *e = epoll_of(core);

	for (unsigned i = 0; i < e->nevents; i++) {
		const struct epoll_event *ev = &e->event[i];

		if (ev->data.u64 == EVENT_AIO)
			epoll_aio_reap(e);
		else if (ev->data.u64 != EVENT_WAKE)
			epoll_sock_event(e, (int)ev->data.u64, ev->events);
	}
	e->nevents = 0;
}

/* Whoever starves is fed before the loop sleeps. */
static void
engine_chunk_back(struct gw_core *core)
{
}

const struct gw_engine_ops gw_engine_epoll = {
    .name = "epoll",
    .open = engine_open,
    .close = engine_close,
    .start = engine_start,
    .stop = engine_stop,
    .wait = engine_wait,
    .ready = engine_ready,
    .reap = engine_reap,
    .chunk_back = engine_chunk_back,
    .recv_chunk = epoll_recv_chunk,
    .recv = epoll_recv,
    .sendmsg = epoll_sendmsg,
    .accept = epoll_accept,
    .readv = epoll_readv,
    .writev = epoll_writev,
    .fdatasync = epoll_fdatasync,
    .fallocate = epoll_fallocate,
    .poll = epoll_poll,
    .cancel = engine_cancel,
    .forget = engine_forget,
};
