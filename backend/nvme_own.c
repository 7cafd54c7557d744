/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring for NVMe commands beside the core's own. It is entered once a turn, in the kick phase: that
 * submits what the turn has prepared and fetches what is done. When the core sleeps, its engine
 * watches the ring's descriptor, armed only while there is something in flight and not told yet.
 *
 * A polled ring has nobody to wake the core: while something is in flight it asks to be kicked
 * again, which keeps the core awake.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "backend/nvme_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"

#define SQ_ENTRIES 256

/* --- life --- */

int
nvme_own_setup(struct io_uring *ring, unsigned entries, bool polled)
{
	struct io_uring_params p;

	return gw_uring_setup(ring, entries, GW_MAX(entries, (unsigned)NVME_COMMANDS) * 2,
			      polled ? IORING_SETUP_IOPOLL : 0, &p);
}

static void
told(struct gw_op *op, int res)
{
	struct nvme_ring *r = gw_container(op, struct nvme_ring, watch);

	if (*r->home != r) {
		nvme_ring_free(r);
		return;
	}
	r->told = true;
	gw_at_kick(r->core, &r->hook);
}

int
nvme_own_open(struct nvme_ring *r)
{
	int rc = nvme_own_setup(&r->own, SQ_ENTRIES, r->polled);

	if (rc < 0)
		return rc;
	r->ring = &r->own;
	r->watch.done = told;
	io_uring_register_ring_fd(&r->own);
	io_uring_register_files_sparse(&r->own, GW_URING_FILES);
	io_uring_register_buffers_sparse(&r->own, GW_URING_BUFFERS_MAX);
	return 0;
}

void
nvme_own_close(struct nvme_ring *r)
{
	gw_forget_fd(r->core, r->own.ring_fd);
	io_uring_queue_exit(&r->own);
}

void
nvme_own_retire(struct nvme_ring *r)
{
	if (r->watch.busy)
		gw_cancel(r->core, &r->watch);
	else
		nvme_ring_free(r);
}

/* --- submission --- */

static void
enter(struct nvme_ring *r)
{
	int rc = io_uring_submit_and_get_events(&r->own);

	gw_stat_add(r->core->stats->enters, 1);
	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		gw_log_limited(GW_LOG_WARN, "the kernel takes no NVMe commands core=%u: %s",
			       r->core->id, strerror(-rc));
}

/* There are half as many entries as commands. */
struct io_uring_sqe *
nvme_own_sqe(struct nvme_ring *r, struct nvme_cmd *cmd)
{
	struct io_uring_sqe *sqe;

	while (GW_UNLIKELY(!(sqe = io_uring_get_sqe(&r->own))))
		enter(r);
	memset(sqe, 0, GW_URING_SQE_SIZE);
	sqe->user_data = (uintptr_t)cmd;
	r->inflight++;
	gw_at_kick(r->core, &r->hook);
	return sqe;
}

/* --- completion --- */

/* No more than were there at the beginning: what callbacks cause, comes with the next round. */
static void
reap(struct nvme_ring *r)
{
	unsigned n = io_uring_cq_ready(&r->own);

	gw_stat_add(r->core->stats->completions, n);
	for (; n > 0; n--) {
		/* Entries are of twice the size. */
		unsigned at = (*r->own.cq.khead & r->own.cq.ring_mask) << 1;
		const struct io_uring_cqe *cqe = &r->own.cq.cqes[at];
		struct nvme_cmd *cmd = (void *)(uintptr_t)cqe->user_data;
		int res = cqe->res;

		io_uring_cq_advance(&r->own, 1);
		r->inflight--;
		nvme_cmd_done(cmd, res);
	}
}

/* The kernel has, or may have, completions that it posts only when it is entered. */
static bool
held_back(const struct nvme_ring *r)
{
	return r->polled || r->told ||
	       IO_URING_READ_ONCE(*r->own.sq.kflags) &
		   (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

void
nvme_own_kick(struct nvme_ring *r)
{
	if (io_uring_sq_ready(&r->own) || (r->inflight && held_back(r)))
		enter(r);
	r->told = false;
	reap(r);
	if (!r->inflight)
		return;
	if (r->polled || io_uring_sq_ready(&r->own) || io_uring_cq_ready(&r->own))
		gw_at_kick(r->core, &r->hook);
	else if (!r->watch.busy)
		gw_poll(r->core, &r->watch, r->own.ring_fd, POLLIN);
}
