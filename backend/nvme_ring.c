/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passthrough commands need entries of twice the size (SQE128, CQE32), which nobody else on a core
 * wants to pay for: so there is a second ring, one per core for all namespaces. It is entered once
 * a turn, in the kick phase: that submits what the turn has prepared and fetches what is done. When
 * the core sleeps, its engine watches the ring's descriptor, armed only while there is something in
 * flight and not told yet.
 *
 * A ring for polled namespaces (IOPOLL) has nobody to wake the core: while something is in flight
 * it asks to be kicked again, which keeps the core awake.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/nvme_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/core/buf.h"

#define SQ_ENTRIES 256
#define COMMANDS   512 /* under way: fewer than the completion queue holds */
#define FILES      512
#define FIXED_MAX  16384 /* registrations of a ring (IORING_MAX_REG_BUFFERS of Linux) */
#define NS_PER_MS  1000000u

struct nvme_ring {
	struct io_uring ring;
	struct gw_core *core;
	struct nvme_ring **home;
	struct gw_hook hook;
	struct gw_op watch; /* of the ring's descriptor by the core's engine */
	struct gw_timer timer;
	struct gw_list free, later, starved;
	struct nvme_cmd *cmds;
	unsigned users, inflight;
	bool polled, told;
	uint8_t *fixed; /* registered memory, NULL: none */
	uint64_t fixed_len;
	bool file[FILES], files;
};

/* By core and kind; each written by its core only. */
static struct nvme_ring *rings[GW_CORES_MAX][2];

/* --- life --- */

int
nvme_ring_setup(struct io_uring *ring, unsigned entries, bool polled)
{
	/* As the core's own ring: completions run when they are asked for, on the core's thread. */
	static const unsigned wishes[] = {
	    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	    0,
	};
	const unsigned always = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE |
				(polled ? IORING_SETUP_IOPOLL : 0);
	struct io_uring_params p;
	unsigned i = 0;
	int rc;

	do {
		memset(&p, 0, sizeof(p));
		p.flags = always | wishes[i];
		p.cq_entries = GW_MAX(entries, (unsigned)COMMANDS) * 2;
		rc = io_uring_queue_init_params(entries, ring, &p);
	} while (rc == -EINVAL && ++i < GW_ARRAY_LEN(wishes));
	return rc;
}

static void
register_memory(struct nvme_ring *r)
{
	struct iovec *iov;
	uint64_t len, left;
	uint8_t *base;
	unsigned n = 0;

	gw_buf_region(r->core, &base, &len);
	len = GW_MIN(len, (uint64_t)FIXED_MAX << NVME_FIXED_SHIFT);
	iov = calloc((len >> NVME_FIXED_SHIFT) + 1, sizeof(*iov));
	if (!iov)
		return;
	for (left = len; left; n++) {
		iov[n].iov_base = base + (len - left);
		iov[n].iov_len = GW_MIN(left, (uint64_t)1 << NVME_FIXED_SHIFT);
		left -= iov[n].iov_len;
	}
	if (io_uring_register_buffers(&r->ring, iov, n) == 0) {
		r->fixed = base;
		r->fixed_len = len;
	} else if (r->core->id == 0) {
		gw_info("the buffers cannot be registered for NVMe, which costs some speed; raise "
			"the limit of locked memory (RLIMIT_MEMLOCK)");
	}
	free(iov);
}

static void
ring_free(struct nvme_ring *r)
{
	gw_timer_stop(&r->timer);
	gw_hook_disarm(&r->hook);
	gw_forget_fd(r->core, r->ring.ring_fd);
	io_uring_queue_exit(&r->ring);
	free(r->cmds);
	free(r);
}

/* Nobody uses it any more. From the loop: that may come to pass in a completion of its own. */
static void
retire(struct nvme_ring *r)
{
	if (*r->home == r)
		*r->home = NULL;
	if (r->watch.busy)
		gw_cancel(r->core, &r->watch);
	else
		ring_free(r);
}

static void kick(struct gw_hook *hook);
static void try_again(struct gw_timer *timer);

static void
told(struct gw_op *op, int res)
{
	struct nvme_ring *r = gw_container(op, struct nvme_ring, watch);

	if (*r->home != r) {
		ring_free(r);
		return;
	}
	r->told = true;
	gw_at_kick(r->core, &r->hook);
}

static int
ring_new(struct gw_core *core, bool polled, struct nvme_ring **home)
{
	struct nvme_ring *r = calloc(1, sizeof(*r));
	int rc = -ENOMEM;

	if (!r)
		return rc;
	r->cmds = calloc(COMMANDS, sizeof(*r->cmds));
	if (!r->cmds)
		goto out_ring;
	rc = nvme_ring_setup(&r->ring, SQ_ENTRIES, polled);
	if (rc < 0)
		goto out_cmds;
	r->core = core;
	r->home = home;
	r->polled = polled;
	gw_list_init(&r->free);
	gw_list_init(&r->later);
	gw_list_init(&r->starved);
	for (unsigned i = 0; i < COMMANDS; i++)
		gw_list_add_tail(&r->free, &r->cmds[i].node);
	gw_hook_init(&r->hook, kick);
	gw_timer_init(&r->timer, try_again);
	r->watch.done = told;
	io_uring_register_ring_fd(&r->ring);
	r->files = io_uring_register_files_sparse(&r->ring, FILES) == 0;
	register_memory(r);
	*home = r;
	return 0;

out_cmds:
	free(r->cmds);
out_ring:
	free(r);
	return rc;
}

int
nvme_ring_get(struct gw_core *core, bool polled, struct nvme_ring **ring)
{
	struct nvme_ring **home = &rings[core->id][polled];
	int rc = *home ? 0 : ring_new(core, polled, home);

	if (rc)
		return rc;
	(*home)->users++;
	*ring = *home;
	return 0;
}

void
nvme_ring_put(struct nvme_ring *r)
{
	BUG(!r->users);
	if (--r->users == 0)
		gw_at_kick(r->core, &r->hook);
}

int
nvme_ring_add_file(struct nvme_ring *r, int fd)
{
	for (int i = 0; r->files && i < FILES; i++) {
		if (r->file[i])
			continue;
		if (io_uring_register_files_update(&r->ring, (unsigned)i, &fd, 1) != 1)
			return -1;
		r->file[i] = true;
		return i;
	}
	return -1;
}

void
nvme_ring_del_file(struct nvme_ring *r, int file)
{
	int none = -1;

	if (file < 0)
		return;
	io_uring_register_files_update(&r->ring, (unsigned)file, &none, 1);
	r->file[file] = false;
}

/* --- commands --- */

struct nvme_cmd *
nvme_cmd_get(struct nvme_chan *chan)
{
	struct nvme_cmd *cmd = gw_list_first(&chan->ring->free, struct nvme_cmd, node);

	if (GW_UNLIKELY(!cmd))
		return NULL;
	gw_list_del(&cmd->node);
	cmd->chan = chan;
	cmd->io = NULL;
	cmd->len = 0;
	cmd->niov = 0;
	cmd->tries = 0;
	memset(&cmd->c, 0, sizeof(cmd->c));
	cmd->c.nsid = nvme_cmd_dev(cmd)->nsid;
	return cmd;
}

void
nvme_cmd_put(struct nvme_cmd *cmd)
{
	struct nvme_ring *r = cmd->chan->ring;
	struct be_io *io = gw_list_first(&r->starved, struct be_io, node);

	gw_list_add_head(&r->free, &cmd->node);
	if (GW_UNLIKELY(io)) {
		gw_list_del(&io->node);
		nvme_io_go(io);
	}
}

void
nvme_ring_wait(struct nvme_ring *r, struct be_io *io)
{
	gw_list_add_tail(&r->starved, &io->node);
}

/* The registration that holds all of the memory, or -1. */
static int
fixed_index(const struct nvme_ring *r, const struct nvme_cmd *cmd)
{
	uint64_t off = cmd->c.addr - (uintptr_t)r->fixed;

	if (cmd->niov != 1 || !r->fixed || !nvme_cmd_dev(cmd)->fixed ||
	    cmd->c.addr < (uintptr_t)r->fixed || !gw_range_ok(off, cmd->c.data_len, r->fixed_len) ||
	    off >> NVME_FIXED_SHIFT != (off + cmd->c.data_len - 1) >> NVME_FIXED_SHIFT)
		return -1;
	return (int)(off >> NVME_FIXED_SHIFT);
}

void
nvme_prep(struct io_uring_sqe *sqe, const struct nvme_uring_cmd *c, bool vec, int fixed)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->cmd_op = vec ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO;
	if (fixed >= 0) {
		sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
		sqe->buf_index = (uint16_t)fixed;
	}
	memcpy(sqe->cmd, c, sizeof(*c));
}

static void
enter(struct nvme_ring *r)
{
	int rc = io_uring_submit_and_get_events(&r->ring);

	gw_stat_add(r->core->stats->enters, 1);
	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		gw_log_limited(GW_LOG_WARN, "the kernel takes no NVMe commands core=%u: %s",
			       r->core->id, strerror(-rc));
}

/* There are half as many entries as commands. */
static struct io_uring_sqe *
next_sqe(struct nvme_ring *r)
{
	struct io_uring_sqe *sqe;

	while (GW_UNLIKELY(!(sqe = io_uring_get_sqe(&r->ring))))
		enter(r);
	return sqe;
}

void
nvme_cmd_send(struct nvme_cmd *cmd)
{
	struct nvme_ring *r = cmd->chan->ring;
	struct io_uring_sqe *sqe = next_sqe(r);

	nvme_prep(sqe, &cmd->c, cmd->niov > 1, fixed_index(r, cmd));
	if (cmd->chan->file >= 0) {
		sqe->fd = cmd->chan->file;
		sqe->flags = IOSQE_FIXED_FILE;
	} else {
		sqe->fd = nvme_cmd_dev(cmd)->fd;
	}
	sqe->user_data = (uintptr_t)cmd;
	r->inflight++;
	gw_at_kick(r->core, &r->hook);
}

/* --- another try --- */

static void
start_timer(struct nvme_ring *r, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	gw_list_each (cmd, &r->later, struct nvme_cmd, node)
		first = GW_MIN(first, cmd->due);
	if (first != UINT64_MAX)
		gw_timer_start(r->core, &r->timer,
			       first > now ? (uint32_t)((first - now) / NS_PER_MS) + 1 : 1);
}

void
nvme_cmd_send_later(struct nvme_cmd *cmd, uint32_t ms)
{
	struct nvme_ring *r = cmd->chan->ring;

	cmd->due = r->core->now + (uint64_t)ms * NS_PER_MS;
	gw_list_add_tail(&r->later, &cmd->node);
	start_timer(r, r->core->now);
}

static void
try_again(struct gw_timer *timer)
{
	struct nvme_ring *r = gw_container(timer, struct nvme_ring, timer);

	gw_list_each_safe (cmd, &r->later, struct nvme_cmd, node) {
		if (cmd->due > r->core->now)
			continue;
		gw_list_del(&cmd->node);
		nvme_cmd_send(cmd);
	}
	start_timer(r, r->core->now);
}

/* --- completion --- */

/* No more than were there at the beginning: what callbacks cause, comes with the next round. */
static void
reap(struct nvme_ring *r)
{
	unsigned n = io_uring_cq_ready(&r->ring);

	gw_stat_add(r->core->stats->completions, n);
	for (; n > 0; n--) {
		/* Entries are of twice the size. */
		unsigned at = (*r->ring.cq.khead & r->ring.cq.ring_mask) << 1;
		const struct io_uring_cqe *cqe = &r->ring.cq.cqes[at];
		struct nvme_cmd *cmd = (void *)(uintptr_t)cqe->user_data;
		int res = cqe->res;

		io_uring_cq_advance(&r->ring, 1);
		r->inflight--;
		nvme_cmd_done(cmd, res);
	}
}

/* The kernel has, or may have, completions that it posts only when it is entered. */
static bool
held_back(const struct nvme_ring *r)
{
	return r->polled || r->told ||
	       IO_URING_READ_ONCE(*r->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static void
kick(struct gw_hook *hook)
{
	struct nvme_ring *r = gw_container(hook, struct nvme_ring, hook);

	if (!r->users) {
		retire(r);
		return;
	}
	if (io_uring_sq_ready(&r->ring) || (r->inflight && held_back(r)))
		enter(r);
	r->told = false;
	reap(r);
	if (!r->inflight)
		return;
	if (r->polled || io_uring_sq_ready(&r->ring) || io_uring_cq_ready(&r->ring))
		gw_at_kick(r->core, &r->hook);
	else if (!r->watch.busy)
		gw_poll(r->core, &r->watch, r->ring.ring_fd, POLLIN);
}
