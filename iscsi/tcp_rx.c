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
#include "iscsi/session.h"
#include "iscsi/tcp_conn.h"

#define DIRECT_MIN 4096u        /* bytes still to come that are worth an operation of their own */
#define LARGE_R2T  (32u * 1024) /* solicited bytes from which headers are received alone */

static void
head_next(struct tcp_stream *in)
{
	in->state = TCP_AT_HEAD;
	in->have = 0;
	in->need = ISCSI_BHS_LEN;
}

static enum iscsi_rx
head_done(struct tcp_conn *tc)
{
	struct iscsi_conn *c = &tc->conn;
	struct tcp_stream *in = &tc->in;
	struct iscsi_rxq *rx = &c->rx;

	if (c->hdig) {
		uint32_t n = in->need - ISCSI_DIGEST_LEN, sent;

		memcpy(&sent, rx->head + n, sizeof(sent));
		if (gw_crc32c(rx->head, n) != sent) {
			/* 7.7: no byte behind it can be trusted. */
			gw_stat_add(c->core->stats->digest_errors, 1);
			return iscsi_conn_die(c, "header digest error");
		}
	}
	rx->len = in->left = iscsi_dsl(rx->head);
	if (rx->len > iscsi_rx_dsl_max(c))
		return iscsi_conn_die(c, "a data segment is longer than negotiated");
	in->tail_have = 0;
	in->tail_need = rx->len ? iscsi_pad(rx->len) + (c->ddig ? ISCSI_DIGEST_LEN : 0) : 0;
	in->crc = GW_CRC32C_INIT;
	in->state = TCP_AT_BEGIN;
	return ISCSI_RX_OK;
}

/* True when a header is complete in rx.head. */
static bool
head_take(struct tcp_conn *tc, enum iscsi_rx *v)
{
	struct tcp_stream *in = &tc->in;
	uint8_t *head = tc->conn.rx.head;

	for (;;) {
		uint32_t n = GW_MIN(in->need - in->have, in->end - in->at);

		memcpy(head + in->have, in->chunk ? in->chunk->data + in->at : head, n);
		in->have += n;
		in->at += n;
		if (in->have < in->need)
			return false;
		if (in->need == ISCSI_BHS_LEN)
			in->need += iscsi_ahs_len(head) + (tc->conn.hdig ? ISCSI_DIGEST_LEN : 0);
		if (in->have == in->need)
			break;
	}
	*v = head_done(tc);
	return true;
}

/* Where the next data byte goes, and how many more fit there in one piece; NULL: nowhere. */
static uint8_t *
data_at(struct tcp_conn *tc, uint32_t *room)
{
	return iscsi_rx_data_at(&tc->conn, tc->conn.rx.len - tc->in.left, room);
}

/* Moves data from the chunk; false when more has to come. */
static bool
data_take(struct tcp_conn *tc)
{
	struct tcp_stream *in = &tc->in;

	while (in->left > 0 && in->at < in->end) {
		uint32_t room, n;
		uint8_t *to = data_at(tc, &room);
		const uint8_t *from = in->chunk->data + in->at;

		n = GW_MIN(room, in->end - in->at);
		if (to)
			memcpy(to, from, n);
		if (tc->conn.ddig)
			in->crc = gw_crc32c_add(in->crc, from, n);
		in->at += n;
		in->left -= n;
	}
	return in->left == 0;
}

static bool
tail_take(struct tcp_stream *in)
{
	uint32_t n = GW_MIN(in->tail_need - in->tail_have, in->end - in->at);

	if (n > 0)
		memcpy(in->tail + in->tail_have, in->chunk->data + in->at, n);
	in->tail_have += n;
	in->at += n;
	return in->tail_have == in->tail_need;
}

static bool
data_digest_ok(const struct tcp_conn *tc)
{
	const struct tcp_stream *in = &tc->in;
	uint32_t pad, sent, len = tc->conn.rx.len;

	if (!tc->conn.ddig || len == 0)
		return true;
	pad = iscsi_pad(len);
	memcpy(&sent, in->tail + pad, sizeof(sent));
	return gw_crc32c_end(gw_crc32c_add(in->crc, in->tail, pad)) == sent;
}

static enum iscsi_rx
pdu_done(struct tcp_conn *tc)
{
	struct iscsi_conn *c = &tc->conn;
	enum iscsi_rx v;

	if (!data_digest_ok(tc)) {
		/* 7.8: Reject; at ERL 0 the task cannot be saved, so the session ends. */
		gw_stat_add(c->core->stats->digest_errors, 1);
		return iscsi_reject_close(c, ISCSI_REJECT_DATA_DIGEST, "data digest error");
	}
	v = iscsi_rx_end(c);
	if (v != ISCSI_RX_DEAD)
		head_next(&tc->in);
	return v;
}

/* One step of the parser: OK when it moved on, WAIT when it cannot. */
static enum iscsi_rx
step(struct tcp_conn *tc, unsigned *budget)
{
	struct tcp_stream *in = &tc->in;
	enum iscsi_rx v = ISCSI_RX_OK;

	switch (in->state) {
	case TCP_AT_HEAD:
		return head_take(tc, &v) ? v : ISCSI_RX_WAIT;
	case TCP_AT_BEGIN:
		v = iscsi_rx_begin(&tc->conn);
		if (v == ISCSI_RX_OK)
			in->state = TCP_AT_DATA;
		return v;
	case TCP_AT_DATA:
		if (!data_take(tc))
			return ISCSI_RX_WAIT;
		in->state = TCP_AT_TAIL;
		return ISCSI_RX_OK;
	default:
		if (!tail_take(in))
			return ISCSI_RX_WAIT;
		(*budget)--;
		return pdu_done(tc);
	}
}

/*
 * How much to receive: while large solicited data is on its way, no more than the next header, so
 * that the data behind it can be received into its buffer. During login a PDU's header and then the
 * rest: who waits for a login's memory must not keep a chunk, of which established sessions live.
 */
static uint32_t
recv_max(const struct tcp_conn *tc)
{
	const struct iscsi_conn *c = &tc->conn;
	const struct tcp_stream *in = &tc->in;
	uint32_t head = ISCSI_BHS_LEN + (c->hdig ? ISCSI_DIGEST_LEN : 0);

	if (c->full && c->r2t_bytes < LARGE_R2T)
		return 0;
	if (!c->full && in->state != TCP_AT_HEAD)
		return in->left + in->tail_need - in->tail_have;
	if (in->state == TCP_AT_HEAD)
		return in->have ? in->need - in->have : head;
	if (in->state == TCP_AT_TAIL)
		return in->tail_need - in->tail_have + head;
	return in->left + in->tail_need + head;
}

static void
receive(struct tcp_conn *tc)
{
	struct tcp_stream *in = &tc->in;
	struct gw_core *core = tc->conn.core;
	uint32_t room = 0;
	uint8_t *to = NULL;

	in->busy = true;
	in->direct = false;
	if (in->state == TCP_AT_DATA && in->left >= DIRECT_MIN)
		to = data_at(tc, &room);
	if (to && room >= DIRECT_MIN) {
		in->direct = true;
		gw_recv(core, &in->op, tc->fd, to, room);
	} else {
		gw_recv_chunk(core, &in->op, tc->fd, recv_max(tc));
	}
}

static void
chunk_done(struct tcp_stream *in)
{
	if (in->chunk && in->at == in->end) {
		gw_chunk_put(in->chunk);
		in->chunk = NULL;
		in->at = in->end = 0;
	}
}

void
tcp_rx_go_on(struct iscsi_conn *c)
{
	struct tcp_conn *tc = tcp_conn_of(c);
	struct tcp_stream *in = &tc->in;
	struct iscsi_rxq *rx = &c->rx;
	unsigned budget = ISCSI_RX_BUDGET;
	enum iscsi_rx v = ISCSI_RX_OK;

	if (rx->running || in->busy || rx->stop || c->dying)
		return;
	rx->running = true;
	while (v == ISCSI_RX_OK && budget > 0 && !rx->stop)
		v = step(tc, &budget);
	rx->running = false;
	chunk_done(in);
	if (c->dying || rx->stop)
		return;
	if (in->chunk || in->state == TCP_AT_BEGIN)
		gw_at_kick(c->core, &c->rx_hook);
	else
		receive(tc);
}

static void
received(struct gw_op *op, int res)
{
	struct tcp_conn *tc = gw_container(op, struct tcp_conn, in.op);
	struct tcp_stream *in = &tc->in;
	struct iscsi_conn *c = &tc->conn;

	in->busy = false;
	if (!in->direct && op->chunk) {
		in->chunk = op->chunk;
		op->chunk = NULL;
		in->at = 0;
		in->end = (uint32_t)res;
	}
	if (c->dying) {
		iscsi_conn_poke(c);
		return;
	}
	if (res <= 0) {
		iscsi_conn_end(c, res == 0 ? "the peer closed it" : "the transport failed");
		return;
	}
	iscsi_rx_heard(c, (uint32_t)res);
	if (in->direct) {
		uint32_t room;
		const uint8_t *at = data_at(tc, &room);

		if (c->ddig)
			in->crc = gw_crc32c_add(in->crc, at, (uint32_t)res);
		in->left -= (uint32_t)res;
		if (c->rx.task)
			c->rx.task->stamp = c->core->now;
	}
	tcp_rx_go_on(c);
}

bool
tcp_rx_keep(struct iscsi_conn *c, struct iscsi_task *t)
{
	const struct tcp_stream *in = &tcp_conn_of(c)->in;
	uint32_t align = t->cmd.dma_align > 1 ? t->cmd.dma_align : 1, len = c->rx.len;
	uint8_t *at;

	if (in->end - in->at < len || gw_chunks_low(c->core))
		return false;
	at = in->chunk->data + in->at;
	if ((uintptr_t)at & (align - 1))
		return false;
	gw_chunk_ref(in->chunk);
	t->kept = in->chunk;
	t->kept_iov = (struct iovec){at, len};
	return true;
}

void
tcp_rx_unkeep(struct iscsi_task *t)
{
	gw_chunk_put(t->kept);
}

void
tcp_rx_start(struct tcp_conn *tc)
{
	tc->in.op.done = received;
	head_next(&tc->in);
	receive(tc);
}

void
tcp_rx_close(struct tcp_conn *tc)
{
	if (tc->in.chunk)
		gw_chunk_put(tc->in.chunk);
	tc->in.chunk = NULL;
}
