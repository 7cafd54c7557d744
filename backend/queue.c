/* SPDX-License-Identifier: BSD-3-Clause */
/* Work of backends without system calls, done by the core in its kick phase within a budget. */
#include "backend/backend_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

/* Bytes copied in one run: well under a millisecond, far below what the turn watchdog minds. */
#define RUN_BUDGET (1u << 20)
/* What an I/O costs besides its bytes, in the same currency. */
#define IO_COST 1024u
/* A step this large is not cut because of where it comes in a run. */
#define STEP_MIN (256u << 10)

static void
run(struct gw_hook *hook)
{
	struct be_queue *q = gw_container(hook, struct be_queue, hook);
	uint64_t budget = RUN_BUDGET, cost;
	struct be_io *io;
	bool last = false;

	/* The last done() may close the channel, and q with it. */
	while (!last && (io = gw_list_first(&q->ios, struct be_io, node))) {
		if (!budget) {
			gw_at_kick(q->core, &q->hook);
			return;
		}
		cost = IO_COST;
		if (io->op != BE_FLUSH) {
			cost += q->step(io, GW_MAX(budget, STEP_MIN));
			BUG(io->moved > io->len);
		}
		budget -= GW_MIN(budget, cost);
		if (io->op != BE_FLUSH && io->st == BE_OK && io->moved < io->len)
			continue;
		gw_list_del(&io->node);
		last = gw_list_empty(&q->ios);
		be_done(io, io->st);
	}
}

void
be_queue_init(struct be_queue *q, struct gw_core *core,
	      uint64_t (*step)(struct be_io *io, uint64_t budget))
{
	gw_list_init(&q->ios);
	gw_hook_init(&q->hook, run);
	q->core = core;
	q->step = step;
}

void
be_queue_add(struct be_queue *q, struct be_io *io)
{
	io->moved = 0;
	io->st = BE_OK;
	*be_queue_cursor(io) = (struct be_cursor){0};
	gw_list_add_tail(&q->ios, &io->node);
	gw_at_kick(q->core, &q->hook);
}

void
be_queue_fini(struct be_queue *q)
{
	BUG(!gw_list_empty(&q->ios));
	gw_hook_disarm(&q->hook);
}
