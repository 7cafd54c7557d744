/* SPDX-License-Identifier: BSD-3-Clause */
/* One io_uring per core: its life, its submissions, its completions. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/base/poison.h"
#include "gateway/core/uring_priv.h"

#define SQ_ENTRIES     512
#define SQ_ENTRIES_MIN 32
#define CQ_PER_SQ      8
#define FIXED_SHIFT    30 /* the most that one registration covers */
/* Few enough to stay in the cache while they go round, enough for the receives of one turn. */
#define SHELF_MAX 64

/* --- life --- */

int
gw_uring_setup(struct io_uring *ring, unsigned sq, unsigned cq, unsigned more,
	       struct io_uring_params *p)
{
	/* Completions run when the loop asks for them, on the loop's thread. Kernel 6.1. */
	static const unsigned wishes[] = {
	    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	    0,
	};
	/* Large entries, for commands to drivers: one ring for all costs less than two. */
	const unsigned always = IORING_SETUP_CQSIZE | IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
	unsigned i = 0;
	int rc;

	do {
		memset(p, 0, sizeof(*p));
		p->flags = always | more | wishes[i];
		p->cq_entries = cq;
		rc = io_uring_queue_init_params(sq, ring, p);
	} while (rc == -EINVAL && ++i < GW_ARRAY_LEN(wishes));
	return rc;
}

static int
ring_open(struct gw_uring *e)
{
	const unsigned more =
	    IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP;
	const unsigned needs = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE;
	struct io_uring_params p;
	unsigned sq = SQ_ENTRIES;
	int rc;

	/* Rings count as locked memory: where little is allowed, small ones do. */
	do {
		rc = gw_uring_setup(&e->ring, sq, sq * CQ_PER_SQ, more, &p);
		sq /= 2;
	} while (rc == -ENOMEM && sq >= SQ_ENTRIES_MIN);
	if (rc < 0)
		return rc;
	if ((p.features & needs) != needs) {
		io_uring_queue_exit(&e->ring);
		return -ENOSYS;
	}
	if (e->base.core->id == 0)
		gw_debug("io_uring is in use flags=0x%x features=0x%x sq=%u cq=%u", p.flags,
			 p.features, p.sq_entries, p.cq_entries);
	return 0;
}

static int
shelf_open(struct gw_uring *e)
{
	struct io_uring_buf_reg reg = {.bgid = URING_SHELF_GROUP};
	void *p;
	int rc;

	e->shelf_size = 1;
	while (e->shelf_size < GW_MIN(e->base.chunks.total, (uint32_t)SHELF_MAX))
		e->shelf_size *= 2;
	p = mmap(NULL, e->shelf_size * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	e->shelf = p;
	io_uring_buf_ring_init(e->shelf);
	reg.ring_addr = (uintptr_t)p;
	reg.ring_entries = e->shelf_size;
	rc = io_uring_register_buf_ring(&e->ring, &reg, 0);
	return rc < 0 ? rc : 0;
}

static void
uring_close(struct gw_core *core)
{
	struct gw_uring *e = uring_of(core);

	io_uring_queue_exit(&e->ring);
	if (e->shelf)
		munmap(e->shelf, e->shelf_size * sizeof(struct io_uring_buf));
	gw_chunks_fini(&e->base.chunks);
	gw_local_free(e, sizeof(*e));
	core->eng = NULL;
}

static int
uring_open(struct gw_core *core, uint32_t nchunks, char *err, unsigned err_size)
{
	struct gw_uring *e = gw_local_alloc(core->node, sizeof(*e));
	int rc;

	if (!e) {
		snprintf(err, err_size, "no memory for core %u", core->id);
		return -ENOMEM;
	}
	gw_engine_init(&e->base, &gw_engine_uring, core);
	rc = ring_open(e);
	if (rc < 0) {
		snprintf(err, err_size,
			 rc == -ENOMEM
			     ? "io_uring gets too little locked memory for core %u, raise "
			       "RLIMIT_MEMLOCK (ulimit -l): %s"
			     : "io_uring is not to be had for core %u, it needs Linux 6.1 "
			       "and permission (kernel.io_uring_disabled, containers): %s",
			 core->id, strerror(-rc));
		gw_local_free(e, sizeof(*e));
		return rc;
	}
	core->eng = &e->base;
	rc = gw_chunks_init(&e->base.chunks, core, nchunks);
	if (rc == 0)
		rc = shelf_open(e);
	if (rc < 0) {
		snprintf(err, err_size, "cannot set up the receive memory of core %u: %s", core->id,
			 strerror(-rc));
		uring_close(core);
	}
	return rc;
}

/* Without registered memory each disk operation pins its pages anew: slower, not wrong. */
static void
register_memory(struct gw_uring *e)
{
	int rc = io_uring_register_buffers_sparse(&e->ring, GW_URING_BUFFERS_MAX);

	if (rc == 0)
		rc = gw_fixed_add(&e->fixed, &e->ring, e->base.core, FIXED_SHIFT, 0,
				  GW_URING_BUFFERS);
	if (rc < 0 && e->base.core->id == 0)
		gw_info("the buffers cannot be registered with the kernel, which costs some speed; "
			"raise the limit of locked memory (RLIMIT_MEMLOCK): %s",
			strerror(-rc));
}

static void
listen_to_mailbox(struct gw_uring *e)
{
	struct io_uring_sqe *sqe = uring_sqe(e);

	io_uring_prep_poll_multishot(sqe, gw_mailbox_fd(e->base.core->mailbox), POLLIN);
	io_uring_sqe_set_data64(sqe, TAG_WAKE);
}

static void
fill_shelf(struct gw_uring *e)
{
	struct gw_chunk *c;
	int n = 0;

	while (e->on_shelf < e->shelf_size &&
	       (c = gw_list_first(&e->base.chunks.spare, struct gw_chunk, node))) {
		gw_list_del(&c->node);
		io_uring_buf_ring_add(e->shelf, c->data, c->size, c->id,
				      io_uring_buf_ring_mask(e->shelf_size), n++);
		e->on_shelf++;
	}
	if (n)
		io_uring_buf_ring_advance(e->shelf, n);
}

/*
 * The ring's one submitter is the thread that enables it. liburing 2.3 declares
 * io_uring_enable_rings() and does not export it.
 */
static int
uring_start(struct gw_core *core)
{
	struct gw_uring *e = uring_of(core);

	if (syscall(__NR_io_uring_register, e->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		    0) < 0)
		return -errno;
	io_uring_register_ring_fd(&e->ring);
	io_uring_register_files_sparse(&e->ring, GW_URING_FILES);
	register_memory(e);
	fill_shelf(e);
	listen_to_mailbox(e);
	return 0;
}

static void
uring_stop(struct gw_core *core)
{
	io_uring_unregister_ring_fd(&uring_of(core)->ring);
}

/* --- submission --- */

struct io_uring_sqe *
uring_sqe(struct gw_uring *e)
{
	struct io_uring_sqe *sqe;
	int rc;

	while (GW_UNLIKELY(!(sqe = io_uring_get_sqe(&e->ring)))) {
		rc = io_uring_submit(&e->ring);
		gw_stat_add(e->base.core->stats->enters, 1);
		/* The kernel is out of memory: an operation that was taken cannot be refused. */
		if (rc < 0 && rc != -EINTR) {
			gw_log_limited(GW_LOG_WARN, "the kernel takes no operations core=%u: %s",
				       e->base.core->id, strerror(-rc));
			sched_yield();
		}
	}
	return sqe;
}

static struct io_uring *
uring_ring(struct gw_core *core)
{
	return &uring_of(core)->ring;
}

/* The kernel has completions that it posts only when it is entered. */
static bool
held_back(struct gw_uring *e)
{
	return IO_URING_READ_ONCE(*e->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static void
uring_wait(struct gw_core *core, uint64_t ns)
{
	struct __kernel_timespec ts = {(long long)(ns / 1000000000u),
				       (long long)(ns % 1000000000u)};
	struct gw_uring *e = uring_of(core);
	struct io_uring_cqe *cqe;
	int rc;

	e->base.eager = false;
	if (ns == 0) {
		if (!io_uring_sq_ready(&e->ring) && !held_back(e))
			return;
		rc = io_uring_submit_and_get_events(&e->ring);
	} else {
		rc = io_uring_submit_and_wait_timeout(&e->ring, &cqe, 1,
						      ns == GW_NEVER_DUE ? NULL : &ts, NULL);
	}
	gw_stat_add(core->stats->enters, 1);
	if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		gw_log_limited(GW_LOG_ERR, "waiting for the kernel failed core=%u: %s", core->id,
			       strerror(-rc));
}

static bool
uring_ready(struct gw_core *core)
{
	struct gw_uring *e = uring_of(core);

	return io_uring_cq_ready(&e->ring) || held_back(e);
}

/* --- completion --- */

static void
uring_chunk_back(struct gw_core *core)
{
	struct gw_uring *e = uring_of(core);
	struct gw_op *op;

	fill_shelf(e);
	op = gw_list_first(&e->base.starving, struct gw_op, node);
	if (op) {
		gw_list_del(&op->node);
		uring_prep_chunk(e, op);
	}
}

/*
 * The kernel found no chunk. By now there may be some again, and nobody will tell; else the
 * operation waits for the next that is put back.
 */
static void
starve(struct gw_uring *e, struct gw_op *op)
{
	if (op->ending) {
		gw_engine_finish(&e->base, op, -ECANCELED);
	} else if (e->on_shelf > 0) {
		uring_prep_chunk(e, op);
	} else {
		gw_stat_add(e->base.core->stats->chunk_waits, 1);
		gw_list_add_tail(&e->base.starving, &op->node);
	}
}

static void
received(struct gw_uring *e, struct gw_op *op, int res, unsigned flags)
{
	struct gw_chunk *c = NULL;

	if (flags & IORING_CQE_F_BUFFER) {
		c = &e->base.chunks.chunk[flags >> IORING_CQE_BUFFER_SHIFT];
		c->refs = 1;
		gw_unpoison(c->data, c->size);
		e->on_shelf--;
		e->base.chunks.lent++;
		fill_shelf(e);
	}
	if (res == -ENOBUFS) {
		starve(e, op);
		return;
	}
	/* At the end of the stream the kernel may have picked a chunk for nothing. */
	if (c && res <= 0)
		gw_chunk_put(c);
	else
		op->chunk = c;
	gw_engine_finish(&e->base, op, res);
}

static void
completed(struct gw_uring *e, uint64_t data, int res, unsigned flags)
{
	struct gw_op *op = (struct gw_op *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);

	switch (data & TAG_MASK) {
	case TAG_OP:
		gw_engine_finish(&e->base, op, res);
		break;
	case TAG_CHUNK:
		received(e, op, res, flags);
		break;
	case TAG_WAKE:
		if (!(flags & IORING_CQE_F_MORE))
			listen_to_mailbox(e);
		break;
	}
}

/* No more than were there at the beginning: what callbacks cause, comes with the next turn. */
static void
uring_reap(struct gw_core *core)
{
	struct gw_uring *e = uring_of(core);

	for (unsigned n = io_uring_cq_ready(&e->ring); n > 0; n--) {
		/* Entries are of twice the size. */
		unsigned at = (*e->ring.cq.khead & e->ring.cq.ring_mask) << 1;
		const struct io_uring_cqe *cqe = &e->ring.cq.cqes[at];
		uint64_t data = cqe->user_data;
		unsigned flags = cqe->flags;
		int res = cqe->res;

		io_uring_cq_advance(&e->ring, 1);
		completed(e, data, res, flags);
	}
}

const struct gw_engine_ops gw_engine_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .start = uring_start,
    .stop = uring_stop,
    .wait = uring_wait,
    .ready = uring_ready,
    .reap = uring_reap,
    .chunk_back = uring_chunk_back,
    .recv_chunk = uring_recv_chunk,
    .recv = uring_recv,
    .sendmsg = uring_sendmsg,
    .accept = uring_accept,
    .readv = uring_readv,
    .writev = uring_writev,
    .fdatasync = uring_fdatasync,
    .fallocate = uring_fallocate,
    .poll = uring_poll,
    .ring = uring_ring,
    .sqe = uring_entry,
    .cancel = uring_cancel,
};
