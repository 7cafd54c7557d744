/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completions of one device on one core. While there are some, the queues are looked at once a turn;
 * when there are none their channel is armed, and the core sleeps until the device has something to
 * say. That a response has gone is no reason to wake up: what was sent is armed only while an RDMA
 * Read is under way, a send queue is full or a connection ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "iser/conn.h"
#include "iser/dev.h"

#define ENTRIES 32768u
#define BATCH   32
#define BUDGET  64u /* completions of a turn */
#define ACK     64u  /* events acknowledged at once: that takes a lock */
#define LAZY_MS 2

/* True when there may be more. */
static bool
reap(struct iser_cq *q, enum iser_side side, unsigned budget)
{
	struct ibv_wc wc[BATCH];

	while (budget >= BATCH) {
		int n = ibv_poll_cq(q->cq[side], BATCH, wc);

		for (int i = 0; i < n; i++)
			iser_completed(&wc[i]);
		if (n < BATCH)
			return false;
		budget -= BATCH;
	}
	return true;
}

/* True when there may be more, so that it is not armed or was so in vain. */
static bool
arm(struct iser_cq *q, enum iser_side side)
{
	if (q->armed[side])
		return false;
	if (ibv_req_notify_cq(q->cq[side], 0))
		return true;
	q->armed[side] = true;
	/* What came before it was armed would wake nobody. */
	return reap(q, side, BUDGET);
}

static void
look(struct iser_cq *q)
{
	bool more;

	if (q->stopping || q->dead)
		return;
	q->looked = q->core->now;
	more = reap(q, ISER_SENT, BUDGET);
	more |= reap(q, ISER_RECEIVED, BUDGET);
	if (!more)
		more = arm(q, ISER_RECEIVED);
	if (!more && q->watchers)
		more = arm(q, ISER_SENT);
	if (more)
		gw_at_kick(q->core, &q->again);
	if (!q->waiting) {
		q->waiting = true;
		gw_poll(q->core, &q->op, q->channel->fd, POLLIN);
	}
}

/* Once a turn: what was received has to be answered, and others have work as well. */
static void
again(struct gw_hook *h)
{
	struct iser_cq *q = gw_container(h, struct iser_cq, again);

	if (q->looked == q->core->now)
		gw_at_kick(q->core, h);
	else
		look(q);
}

static void
lazily(struct gw_timer *t)
{
	struct iser_cq *q = gw_container(t, struct iser_cq, lazy);

	look(q);
	if (q->out && !q->stopping && !q->dead)
		gw_timer_start(q->core, t, LAZY_MS);
}

static void
woken(struct iser_cq *q, const struct ibv_cq *cq)
{
	enum iser_side side = cq == q->cq[ISER_SENT] ? ISER_SENT : ISER_RECEIVED;

	q->armed[side] = false;
	if (++q->unacked[side] < ACK)
		return;
	ibv_ack_cq_events(q->cq[side], q->unacked[side]);
	q->unacked[side] = 0;
}

static void
ready(struct gw_op *op, int res)
{
	struct iser_cq *q = gw_container(op, struct iser_cq, op);
	struct ibv_cq *cq;
	void *context;

	(void)res;
	q->waiting = false;
	if (q->stopping)
		return;
	if (ibv_get_cq_event(q->channel, &cq, &context) == 0)
		woken(q, cq);
	else
		q->dead = errno != EAGAIN && errno != EINTR;
	look(q);
}

static bool
open_queues(struct iser_cq *q)
{
	struct ibv_context *verbs = q->dev->verbs;
	/* Spread over the device's interrupts as the connections are over the cores. */
	int vector = (int)(q->core->id % (unsigned)GW_MAX(verbs->num_comp_vectors, 1));

	q->size = GW_MIN(ENTRIES, q->dev->max_cqe);
	q->channel = ibv_create_comp_channel(verbs);
	if (!q->channel)
		return false;
	if (!iser_never_waits(q->channel->fd))
		return false;
	for (unsigned i = 0; i < ISER_SIDES; i++) {
		q->cq[i] = ibv_create_cq(verbs, (int)q->size, q, q->channel, vector);
		if (!q->cq[i])
			return false;
	}
	return true;
}

struct iser_cq *
iser_cq_get(struct iser_dev *dev, struct gw_core *core)
{
	struct iser_cq *q = dev->cq[core->id];

	if (q)
		return q->dead ? NULL : q;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->dev = dev;
	q->core = core;
	q->op.done = ready;
	gw_hook_init(&q->again, again);
	gw_timer_init(&q->lazy, lazily);
	if (!open_queues(q)) {
		gw_log_limited(GW_LOG_ERR, "no completion queue: device=%s why=\"%s\"",
			       ibv_get_device_name(dev->verbs->device), strerror(errno));
		iser_cq_close(q);
		return NULL;
	}
	dev->cq[core->id] = q;
	look(q);
	return q;
}

bool
iser_cq_reserve(struct iser_cq *q, enum iser_side side, uint32_t n)
{
	if (n > q->size - q->reserved[side])
		return false;
	q->reserved[side] += n;
	return true;
}

void
iser_cq_release(struct iser_cq *q, enum iser_side side, uint32_t n)
{
	q->reserved[side] -= n;
}

void
iser_cq_posted(struct iser_cq *q)
{
	q->out++;
	if (!q->lazy.running)
		gw_timer_start(q->core, &q->lazy, LAZY_MS);
}

void
iser_cq_returned(struct iser_cq *q)
{
	q->out--;
}

void
iser_cq_watch_sent(struct iser_cq *q)
{
	q->watchers++;
	if (!q->armed[ISER_SENT])
		gw_at_kick(q->core, &q->again);
}

void
iser_cq_unwatch_sent(struct iser_cq *q)
{
	q->watchers--;
}

void
iser_cq_drain(struct iser_cq *q)
{
	/* No more than there are entries: the caller's work requests cannot complete any more. */
	for (unsigned i = 0; i < ISER_SIDES; i++)
		(void)reap(q, i, q->size);
}

bool
iser_cq_stop(struct iser_cq *q)
{
	q->stopping = true;
	gw_hook_disarm(&q->again);
	gw_timer_stop(&q->lazy);
	if (q->waiting)
		gw_cancel(q->core, &q->op);
	return !q->waiting;
}

void
iser_cq_close(struct iser_cq *q)
{
	for (unsigned i = 0; i < ISER_SIDES; i++) {
		if (!q->cq[i])
			continue;
		ibv_ack_cq_events(q->cq[i], q->unacked[i]);
		ibv_destroy_cq(q->cq[i]);
	}
	if (q->channel) {
		gw_forget_fd(q->core, q->channel->fd);
		ibv_destroy_comp_channel(q->channel);
	}
	free(q);
}
