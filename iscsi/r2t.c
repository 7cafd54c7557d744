/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ready To Transfer (RFC 7143 11.8): asks for a write's data, MaxBurstLength at a time and
 * MaxOutstandingR2T at once. A Target Transfer Tag is slot, generation and R2TSN; slots are few,
 * and tasks beyond them wait, which bounds what a connection may hold for data that does not come.
 *
 * No more than a window of data is asked for at a time: buffers that go round in the cache cost half
 * of those that don't. Where the data comes slowly that matters little and the way may be long, so
 * there the window grows.
 */
#include "iscsi/session.h"
#include "iscsi/tcp_conn.h"

#define TTT_SN     0xffffu
#define WINDOW_MIN (1u << 20)
#define WINDOW_MAX (16u << 20)
/* A window in this time is a quarter of a gigabyte per second. */
#define SLOW_NS(window) ((uint64_t)(window)*4)

static uint32_t
ttt_of(const struct iscsi_conn *c, const struct iscsi_task *t, uint32_t sn)
{
	return (uint32_t)t->slot << 24 | (uint32_t)c->sess->slot[t->slot].gen << 16 | (sn & TTT_SN);
}

static uint32_t
r2t_off(const struct iscsi_task *t, uint32_t sn)
{
	uint64_t off = t->r2t_base + (uint64_t)sn * t->conn->params.max_burst;

	return (uint32_t)GW_MIN(off, (uint64_t)t->want);
}

struct iscsi_task *
iscsi_r2t_find(struct iscsi_conn *c, uint32_t ttt)
{
	uint32_t i = ttt >> 24;
	struct iscsi_task *t;

	if (i >= ISCSI_SLOTS)
		return NULL;
	t = c->sess->slot[i].task;
	if (!t || c->sess->slot[i].gen != (uint8_t)(ttt >> 16))
		return NULL;
	/* In order: only the oldest R2T that is out can be answered. */
	if (t->r2t_done == t->r2t_sent || (t->r2t_done & TTT_SN) != (ttt & TTT_SN))
		return NULL;
	return t;
}

static bool
slot_get(struct iscsi_conn *c, struct iscsi_task *t)
{
	struct iscsi_session *s = c->sess;

	for (unsigned i = 0; i < ISCSI_SLOTS; i++) {
		if (s->slot[i].task)
			continue;
		s->slot[i].task = t;
		s->nslot++;
		t->slot = (int16_t)i;
		return true;
	}
	return false;
}

/* Decides on as many R2Ts as may be out, and queues them. */
static void
ask(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;
	uint32_t max = GW_MAX(c->params.max_outstanding_r2t, 1u), n = 0;

	while (t->asked < t->want && t->r2t_due - t->r2t_done < max) {
		t->r2t_due++;
		n += r2t_off(t, t->r2t_due) - t->asked;
		t->asked = r2t_off(t, t->r2t_due);
	}
	c->r2t_bytes += n;
	c->due += n;
	t->due += n;
	t->asked_at = c->core->now;
	t->seq_end = r2t_off(t, t->r2t_done + 1);
	if (t->r2t_sent < t->r2t_due && !t->tx.queued) {
		t->tx.kind = ISCSI_TX_R2T;
		iscsi_tx_queue(c, &t->tx);
	}
}

void
iscsi_r2t_init(struct iscsi_conn *c)
{
	gw_list_init(&c->unasked);
	c->window = WINDOW_MIN;
}

/* n bytes less are due of a task. */
static void
undue(struct iscsi_task *t, uint32_t n)
{
	n = GW_MIN(n, t->due);
	t->due -= n;
	t->conn->due -= n;
}

void
iscsi_r2t_arrived(struct iscsi_task *t, uint32_t n)
{
	t->conn->r2t_bytes -= n;
	undue(t, n);
}

/* All of a sequence is here: was the window too small for the way, or larger than it need be? */
static void
adapt(struct iscsi_conn *c, const struct iscsi_task *t)
{
	uint64_t took = c->core->now - t->asked_at;

	if (gw_list_empty(&c->unasked))
		return;
	if (took > SLOW_NS(c->window))
		c->window = GW_MIN(c->window * 2, WINDOW_MAX);
	else if (took < SLOW_NS(c->window) / 4)
		c->window = GW_MAX(c->window / 2, WINDOW_MIN);
}

void
iscsi_r2t_go_on(struct iscsi_conn *c)
{
	struct iscsi_task *t;

	while (c->due < c->window && !c->dying &&
	       (t = gw_list_first(&c->unasked, struct iscsi_task, node))) {
		gw_list_del(&t->node);
		t->parked = false;
		iscsi_task_advance(t);
	}
}

static void
wait_turn(struct iscsi_task *t)
{
	iscsi_task_await(t, false);
	t->parked = true;
	gw_list_add_tail(&t->conn->unasked, &t->node);
}

bool
iscsi_r2t_start(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;

	if (t->slot < 0) {
		if (c->due >= c->window) {
			wait_turn(t);
			return true;
		}
		/* An aborted task with R2Ts out keeps its slot only while nobody needs it. */
		while (c->sess->nslot == ISCSI_SLOTS)
			if (!iscsi_task_bury_one(c))
				return false;
		if (!iscsi_task_need_buf(t))
			return false;
		if (!slot_get(c, t))
			return false;
		t->r2t_base = t->got;
		t->data_sn = 0;
	}
	iscsi_task_await(t, true);
	ask(t);
	return true;
}

void
iscsi_r2t_sequence_done(struct iscsi_task *t)
{
	t->r2t_done++;
	adapt(t->conn, t);
	if (!t->swallow)
		ask(t);
	else
		t->seq_end = r2t_off(t, t->r2t_done + 1);
}

void
iscsi_r2t_abort(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;
	uint32_t out;

	if (t->tx.queued && t->tx.kind == ISCSI_TX_R2T)
		(void)iscsi_tx_unqueue(c, &t->tx);
	undue(t, t->due);
	iscsi_task_freed(c);
	if (t->slot < 0)
		return;
	out = r2t_off(t, t->r2t_sent);
	c->r2t_bytes -= t->asked - out;
	t->asked = out;
	t->r2t_due = t->r2t_sent;
}

void
iscsi_r2t_end(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;

	if (t->tx.queued && t->tx.kind == ISCSI_TX_R2T)
		(void)iscsi_tx_unqueue(c, &t->tx);
	undue(t, t->due);
	if (t->slot < 0)
		return;
	c->r2t_bytes -= t->asked - t->got;
	c->sess->slot[t->slot].task = NULL;
	c->sess->slot[t->slot].gen++;
	c->sess->nslot--;
	t->slot = -1;
	t->asked = t->got;
	iscsi_task_freed(c);
}

bool
iscsi_r2t_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_task *t)
{
	while (t->r2t_sent < t->r2t_due) {
		uint32_t off = r2t_off(t, t->r2t_sent);
		uint8_t *bhs;

		if (!tcp_batch_room(b))
			return false;
		bhs = tcp_batch_head(b);
		bhs[ISCSI_AT_OPCODE] = ISCSI_OP_R2T;
		bhs[ISCSI_AT_FLAGS] = ISCSI_FLAG_F;
		gw_lun_encode(t->cmd.lun, bhs + ISCSI_AT_LUN);
		gw_put_be32(bhs + ISCSI_AT_ITT, t->itt);
		gw_put_be32(bhs + ISCSI_AT_TTT, ttt_of(c, t, t->r2t_sent));
		gw_put_be32(bhs + ISCSI_AT_STATSN, c->stat_sn);
		iscsi_tx_window(c, bhs);
		gw_put_be32(bhs + ISCSI_AT_DATASN, t->r2t_sent);
		gw_put_be32(bhs + ISCSI_AT_BUFOFF, off);
		gw_put_be32(bhs + ISCSI_AT_DDTL, r2t_off(t, t->r2t_sent + 1) - off);
		tcp_batch_seal(b, bhs, NULL, 0, 0, c->hdig, false);
		t->r2t_sent++;
	}
	return true;
}
