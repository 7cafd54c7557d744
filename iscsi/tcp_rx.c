/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes to PDUs (RFC 7143 11.2). Received chunks are parsed in place; a header is copied once,
 * because it must outlive its chunk when its data does not fit. Data goes from the chunk to where
 * the opcode's handler wants it; what has not arrived with the chunk is received straight into that
 * memory.
 */
#include <string.h>

#include "gateway/base/crc32c.h"
#include "gateway/base/log.h"
#include "iscsi/conn.h"
#include "iscsi/session.h"

#define DIRECT_MIN 4096u        /* bytes still to come that are worth an operation of their own */
#define LARGE_R2T  (32u * 1024) /* solicited bytes from which headers are received alone */

enum iscsi_rx
iscsi_rx_wait(struct iscsi_conn *c, uint8_t why)
{
	c->rx.stop |= why;
	if (why & ISCSI_STOP_BUF) {
		gw_buf_wait(c->core, &c->buf_waiter);
		iscsi_famine(c->ic);
	}
	if ((why & ISCSI_STOP_POOL) && gw_list_empty(&c->pool_wait))
		gw_list_add_tail(&c->ic->waiters, &c->pool_wait);
	return ISCSI_RX_WAIT;
}

void
iscsi_rx_resume(struct iscsi_conn *c, uint8_t why)
{
	if (!(c->rx.stop & why))
		return;
	c->rx.stop &= (uint8_t)~why;
	if (!c->rx.stop && !c->rx.running)
		gw_at_kick(c->core, &c->rx_hook);
}

void
iscsi_rx_to_flat(struct iscsi_conn *c, uint8_t *flat)
{
	c->rx.sink = ISCSI_SINK_FLAT;
	c->rx.flat = flat;
}

enum iscsi_rx
iscsi_rx_to_buf(struct iscsi_conn *c)
{
	if (c->rx.len == 0)
		return ISCSI_RX_OK;
	if (c->rx.len > GW_SEG_MAX)
		return iscsi_conn_die(c, "a control PDU is too long");
	if (!gw_buf_get(c->core, c->rx.len, &c->rx.sg))
		return iscsi_rx_wait(c, ISCSI_STOP_BUF);
	iscsi_rx_to_flat(c, c->rx.sg.iov[0].iov_base);
	return ISCSI_RX_OK;
}

void
iscsi_rx_to_task(struct iscsi_conn *c, struct iscsi_task *t, uint32_t off)
{
	c->rx.task = t;
	c->rx.off = off;
	c->rx.sink = t->chunk ? ISCSI_SINK_IN_PLACE : ISCSI_SINK_TASK;
}

/* Where the next data byte goes, and how many more fit there in one piece; NULL: nowhere. */
static uint8_t *
sink_at(struct iscsi_conn *c, uint32_t *room)
{
	struct iscsi_rxq *rx = &c->rx;
	uint32_t done = rx->len - rx->left, off, end, i;
	const struct iscsi_task *t = rx->task;

	*room = rx->left;
	if (rx->sink == ISCSI_SINK_FLAT)
		return rx->flat + done;
	if (rx->sink != ISCSI_SINK_TASK || !t || t->sg.n == 0)
		return NULL;
	off = rx->off + done;
	end = GW_MIN(t->want, t->sg.len);
	if (off >= end)
		return NULL;
	i = off / GW_SEG_MAX;
	*room = GW_MIN(rx->left, end - off);
	*room = GW_MIN(*room, (uint32_t)t->sg.iov[i].iov_len - off % GW_SEG_MAX);
	return (uint8_t *)t->sg.iov[i].iov_base + off % GW_SEG_MAX;
}

static void
head_reset(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;

	rx->state = ISCSI_AT_HEAD;
	rx->have = 0;
	rx->need = ISCSI_BHS_LEN;
	rx->sink = ISCSI_SINK_DROP;
	rx->task = NULL;
	rx->flat = NULL;
	rx->reject = 0;
	rx->ignore = false;
	gw_buf_put(c->core, &rx->sg);
}

/* Longest data segment that this connection has been promised, 13.12. */
static uint32_t
dsl_max(const struct iscsi_conn *c)
{
	return c->full ? c->params.max_recv_dsl : ISCSI_LOGIN_DSL;
}

static enum iscsi_rx
head_done(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;

	if (c->hdig) {
		uint32_t n = rx->need - ISCSI_DIGEST_LEN, sent;

		memcpy(&sent, rx->head + n, sizeof(sent));
		if (gw_crc32c(rx->head, n) != sent) {
			/* 7.7: no byte behind it can be trusted. */
			gw_stat_add(c->core->stats->digest_errors, 1);
			return iscsi_conn_die(c, "header digest error");
		}
	}
	rx->len = rx->left = iscsi_dsl(rx->head);
	if (rx->len > dsl_max(c))
		return iscsi_conn_die(c, "a data segment is longer than negotiated");
	rx->tail_have = 0;
	rx->tail_need = rx->len ? iscsi_pad(rx->len) + (c->ddig ? ISCSI_DIGEST_LEN : 0) : 0;
	rx->crc = GW_CRC32C_INIT;
	rx->state = ISCSI_AT_BEGIN;
	return ISCSI_RX_OK;
}

/* True when a header is complete in rx.head. */
static bool
head_take(struct iscsi_conn *c, enum iscsi_rx *v)
{
	struct iscsi_rxq *rx = &c->rx;

	for (;;) {
		uint32_t n = GW_MIN(rx->need - rx->have, rx->end - rx->at);

		memcpy(rx->head + rx->have, rx->chunk ? rx->chunk->data + rx->at : rx->head, n);
		rx->have += n;
		rx->at += n;
		if (rx->have < rx->need)
			return false;
		if (rx->need == ISCSI_BHS_LEN)
			rx->need += iscsi_ahs_len(rx->head) + (c->hdig ? ISCSI_DIGEST_LEN : 0);
		if (rx->have == rx->need)
			break;
	}
	*v = head_done(c);
	return true;
}

/* Moves data from the chunk; false when more has to come. */
static bool
data_take(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;

	while (rx->left > 0 && rx->at < rx->end) {
		uint32_t room, n;
		uint8_t *to = sink_at(c, &room);
		const uint8_t *from = rx->chunk->data + rx->at;

		n = GW_MIN(room, rx->end - rx->at);
		if (to)
			memcpy(to, from, n);
		if (c->ddig)
			rx->crc = gw_crc32c_add(rx->crc, from, n);
		rx->at += n;
		rx->left -= n;
	}
	return rx->left == 0;
}

static bool
tail_take(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;
	uint32_t n = GW_MIN(rx->tail_need - rx->tail_have, rx->end - rx->at);

	if (n > 0)
		memcpy(rx->tail + rx->tail_have, rx->chunk->data + rx->at, n);
	rx->tail_have += n;
	rx->at += n;
	return rx->tail_have == rx->tail_need;
}

static bool
data_digest_ok(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;
	uint32_t pad, sent;

	if (!c->ddig || rx->len == 0)
		return true;
	pad = iscsi_pad(rx->len);
	memcpy(&sent, rx->tail + pad, sizeof(sent));
	return gw_crc32c_end(gw_crc32c_add(rx->crc, rx->tail, pad)) == sent;
}

static enum iscsi_rx
pdu_done(struct iscsi_conn *c)
{
	struct iscsi_task *t;
	enum iscsi_rx v;

	if (!data_digest_ok(c)) {
		/* 7.8: Reject; at ERL 0 the task cannot be saved, so the session ends. */
		gw_stat_add(c->core->stats->digest_errors, 1);
		return iscsi_reject_close(c, ISCSI_REJECT_DATA_DIGEST, "data digest error");
	}
	v = c->full ? iscsi_ffp_end(c) : iscsi_login_end(c);
	if (v == ISCSI_RX_DEAD)
		return v;
	t = c->rx.task;
	head_reset(c);
	if (t && t->swallow && !t->running)
		iscsi_task_free_data(t); /* aborted while its memory was received into */
	if (t)
		iscsi_task_settle(t); /* not before: the PDU held it */
	return v;
}

/* One step of the parser: OK when it moved on, WAIT when it cannot. */
static enum iscsi_rx
step(struct iscsi_conn *c, unsigned *budget)
{
	struct iscsi_rxq *rx = &c->rx;
	enum iscsi_rx v = ISCSI_RX_OK;

	switch (rx->state) {
	case ISCSI_AT_HEAD:
		return head_take(c, &v) ? v : ISCSI_RX_WAIT;
	case ISCSI_AT_BEGIN:
		v = c->full ? iscsi_ffp_begin(c) : iscsi_login_begin(c);
		if (v == ISCSI_RX_OK)
			rx->state = ISCSI_AT_DATA;
		return v;
	case ISCSI_AT_DATA:
		if (!data_take(c))
			return ISCSI_RX_WAIT;
		rx->state = ISCSI_AT_TAIL;
		return ISCSI_RX_OK;
	default:
		if (!tail_take(c))
			return ISCSI_RX_WAIT;
		(*budget)--;
		return pdu_done(c);
	}
}

/*
 * How much to receive: while large solicited data is on its way, no more than the next header, so
 * that the data behind it can be received into its buffer. During login a PDU's header and then the
 * rest: who waits for a login's memory must not keep a chunk, of which established sessions live.
 */
static uint32_t
recv_max(const struct iscsi_conn *c)
{
	const struct iscsi_rxq *rx = &c->rx;
	uint32_t head = ISCSI_BHS_LEN + (c->hdig ? ISCSI_DIGEST_LEN : 0);

	if (c->full && c->r2t_bytes < LARGE_R2T)
		return 0;
	if (!c->full && rx->state != ISCSI_AT_HEAD)
		return rx->left + rx->tail_need - rx->tail_have;
	if (rx->state == ISCSI_AT_HEAD)
		return rx->have ? rx->need - rx->have : head;
	if (rx->state == ISCSI_AT_TAIL)
		return rx->tail_need - rx->tail_have + head;
	return rx->left + rx->tail_need + head;
}

static void
receive(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;
	uint32_t room = 0;
	uint8_t *to = NULL;

	rx->busy = true;
	rx->direct = false;
	if (rx->state == ISCSI_AT_DATA && rx->left >= DIRECT_MIN)
		to = sink_at(c, &room);
	if (to && room >= DIRECT_MIN) {
		rx->direct = true;
		gw_recv(c->core, &rx->op, c->fd, to, room);
	} else {
		gw_recv_chunk(c->core, &rx->op, c->fd, recv_max(c));
	}
}

static void
chunk_done(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;

	if (rx->chunk && rx->at == rx->end) {
		gw_chunk_put(rx->chunk);
		rx->chunk = NULL;
		rx->at = rx->end = 0;
	}
}

static void
run(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;
	unsigned budget = ISCSI_RX_BUDGET;
	enum iscsi_rx v = ISCSI_RX_OK;

	if (rx->running || rx->busy || rx->stop || c->dying)
		return;
	rx->running = true;
	while (v == ISCSI_RX_OK && budget > 0 && !rx->stop)
		v = step(c, &budget);
	rx->running = false;
	chunk_done(c);
	if (c->dying || rx->stop)
		return;
	if (rx->chunk || rx->state == ISCSI_AT_BEGIN)
		gw_at_kick(c->core, &c->rx_hook);
	else
		receive(c);
}

static void
rx_hook(struct gw_hook *h)
{
	struct iscsi_conn *c = gw_container(h, struct iscsi_conn, rx_hook);

	iscsi_task_unpark(c);
	c->rx.stop &= (uint8_t)~ISCSI_STOP_MEM;
	run(c);
}

static void
received(struct gw_op *op, int res)
{
	struct iscsi_conn *c = gw_container(op, struct iscsi_conn, rx.op);
	struct iscsi_rxq *rx = &c->rx;

	rx->busy = false;
	if (!rx->direct && op->chunk) {
		rx->chunk = op->chunk;
		op->chunk = NULL;
		rx->at = 0;
		rx->end = (uint32_t)res;
	}
	if (c->dying) {
		iscsi_conn_poke(c);
		return;
	}
	if (res <= 0) {
		iscsi_conn_end(c, res == 0 ? "the peer closed it" : "the transport failed");
		return;
	}
	c->heard = true;
	c->moved += (uint32_t)res;
	if (c->full)
		c->heard_at = c->core->now;
	gw_stat_add(c->core->stats->rx_bytes, (uint32_t)res);
	if (c->sess)
		gw_stat_add(c->sess->nexus.stats.rx_bytes, (uint32_t)res);
	if (rx->direct) {
		uint32_t room;
		const uint8_t *at = sink_at(c, &room);

		if (c->ddig)
			rx->crc = gw_crc32c_add(rx->crc, at, (uint32_t)res);
		rx->left -= (uint32_t)res;
		if (rx->task)
			rx->task->stamp = c->core->now;
	}
	run(c);
}

void
iscsi_rx_start(struct iscsi_conn *c)
{
	c->rx.op.done = received;
	gw_hook_init(&c->rx_hook, rx_hook);
	head_reset(c);
	receive(c);
}
