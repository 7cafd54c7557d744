/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PDUs to bytes: at the end of a turn all that waits is laid out in a batch, headers and digests in
 * its arena, data where it lies, and leaves in one sendmsg. One batch of a connection is under way
 * at a time; what answers meanwhile, waits for the next.
 */
#include <errno.h>
#include <string.h>

#include "gateway/base/crc32c.h"
#include "iscsi/session.h"
#include "iscsi/tcp_conn.h"

#define BATCH_PDUS  128
#define BATCH_IOV   320
#define BATCH_ARENA 9216
#define BATCH_BYTES (1u << 20)
/* Header, header digest, sense data segment, padding, data digest. */
#define PDU_ARENA (ISCSI_BHS_LEN + ISCSI_DIGEST_LEN + 2 + GW_SENSE_MAX + 3 + ISCSI_DIGEST_LEN)

struct tcp_batch {
	struct gw_list done; /* entries that end in this batch */
	struct msghdr msg;
	uint32_t niov, npdu, used, first;
	uint32_t small; /* bytes of the small segment of the PDU being laid out */
	uint64_t bytes;
	struct iovec iov[BATCH_IOV];
	uint8_t arena[BATCH_ARENA];
};

size_t
tcp_batch_size(void)
{
	return sizeof(struct tcp_batch);
}

bool
tcp_batch_room(const struct tcp_batch *b)
{
	return b->npdu < BATCH_PDUS && b->niov + GW_SG_MAX + 3 <= BATCH_IOV &&
	       b->used + PDU_ARENA <= BATCH_ARENA && b->bytes < BATCH_BYTES;
}

static void
batch_put(struct tcp_batch *b, void *p, uint32_t len)
{
	struct iovec *last = b->niov > 0 ? &b->iov[b->niov - 1] : NULL;

	b->bytes += len;
	if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += len;
		return;
	}
	b->iov[b->niov++] = (struct iovec){p, len};
}

uint8_t *
tcp_batch_head(struct tcp_batch *b)
{
	uint8_t *bhs = b->arena + b->used;

	memset(bhs, 0, ISCSI_BHS_LEN);
	b->used += ISCSI_BHS_LEN;
	b->npdu++;
	b->small = 0;
	return bhs;
}

uint8_t *
tcp_batch_small(struct tcp_batch *b, uint32_t len)
{
	b->small = len;
	/* The header digest comes first; seal() knows by then whether there is one. */
	return b->arena + b->used + ISCSI_DIGEST_LEN;
}

static uint32_t
put_data(struct tcp_batch *b, const struct iovec *iov, uint32_t off, uint32_t len, bool ddig)
{
	uint32_t crc = GW_CRC32C_INIT;

	for (; off >= iov->iov_len; iov++)
		off -= (uint32_t)iov->iov_len;
	while (len > 0) {
		uint32_t n = GW_MIN(len, (uint32_t)iov->iov_len - off);
		uint8_t *p = (uint8_t *)iov->iov_base + off;

		batch_put(b, p, n);
		if (ddig)
			crc = gw_crc32c_add(crc, p, n);
		len -= n;
		off = 0;
		iov++;
	}
	return crc;
}

void
tcp_batch_seal(struct tcp_batch *b, uint8_t *bhs, const struct iovec *iov, uint32_t off,
		 uint32_t len, bool hdig, bool ddig)
{
	uint32_t crc = GW_CRC32C_INIT, pad = iscsi_pad(len), small = b->small;
	uint8_t *at;

	gw_put_be24(bhs + ISCSI_AT_DSL, len);
	if (hdig) {
		uint32_t h = gw_crc32c(bhs, ISCSI_BHS_LEN);

		memcpy(b->arena + b->used, &h, sizeof(h));
		b->used += ISCSI_DIGEST_LEN;
		batch_put(b, bhs, ISCSI_BHS_LEN + ISCSI_DIGEST_LEN);
	} else {
		batch_put(b, bhs, ISCSI_BHS_LEN);
	}
	if (len == 0)
		return;
	if (small > 0) {
		at = b->arena + b->used;
		if (!hdig)
			memmove(at, at + ISCSI_DIGEST_LEN, small);
		b->used += small;
		batch_put(b, at, small);
		if (ddig)
			crc = gw_crc32c_add(crc, at, small);
	} else {
		crc = put_data(b, iov, off, len, ddig);
	}
	at = b->arena + b->used;
	memset(at, 0, pad);
	if (ddig) {
		crc = gw_crc32c_end(gw_crc32c_add(crc, at, pad));
		memcpy(at + pad, &crc, sizeof(crc));
		pad += ISCSI_DIGEST_LEN;
	}
	if (pad > 0)
		batch_put(b, at, pad);
	b->used += pad;
}

static bool
ctl_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_ctl *ctl)
{
	struct iovec one = {iscsi_ctl_data(ctl), ctl->len};
	uint8_t *bhs;

	if (!tcp_batch_room(b))
		return false;
	bhs = tcp_batch_head(b);
	iscsi_ctl_head(c, ctl, bhs);
	tcp_batch_seal(b, bhs, &one, 0, ctl->len, !ctl->raw && c->hdig, !ctl->raw && c->ddig);
	return true;
}

/* The status, unless it went with the last Data-In. */
static bool
response_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_task *t)
{
	uint8_t sense[ISCSI_SENSE_SEGMENT];
	uint8_t *bhs;
	uint32_t len;

	if (iscsi_data_in_collapsed(t))
		return true;
	if (!tcp_batch_room(b))
		return false;
	bhs = tcp_batch_head(b);
	iscsi_response_head(c, t, bhs);
	len = iscsi_response_sense(&t->cmd, sense);
	if (len > 0)
		memcpy(tcp_batch_small(b, len), sense, len);
	tcp_batch_seal(b, bhs, NULL, 0, len, c->hdig, c->ddig);
	return true;
}

static bool
entry_build(struct iscsi_conn *c, struct tcp_batch *b, struct iscsi_tx *tx)
{
	switch (tx->kind) {
	case ISCSI_TX_CTL:
		return ctl_build(c, b, gw_container(tx, struct iscsi_ctl, tx));
	case ISCSI_TX_R2T:
		return iscsi_r2t_build(c, b, gw_container(tx, struct iscsi_task, tx));
	default:
		return iscsi_data_in_build(c, b, gw_container(tx, struct iscsi_task, tx)) &&
		       response_build(c, b, gw_container(tx, struct iscsi_task, tx));
	}
}

static void
batch_fill(struct iscsi_conn *c, struct tcp_batch *b)
{
	for (;;) {
		struct iscsi_tx *tx = gw_list_first(&c->txq, struct iscsi_tx, node);

		if (!tx || !entry_build(c, b, tx))
			return;
		gw_list_del(&tx->node);
		if (tx->kind == ISCSI_TX_R2T)
			tx->queued = false; /* nothing of the task is in the batch */
		else
			gw_list_add_tail(&b->done, &tx->node);
	}
}

static void
send_rest(struct tcp_conn *tc)
{
	struct iscsi_conn *c = &tc->conn;
	struct tcp_batch *b = tc->batch;

	memset(&b->msg, 0, sizeof(b->msg));
	b->msg.msg_iov = b->iov + b->first;
	b->msg.msg_iovlen = b->niov - b->first;
	c->tx_busy = c->tx_full = true;
	c->tx_stamp = c->core->now;
	gw_sendmsg(c->core, &tc->tx_op, tc->fd, &b->msg);
}

void
tcp_tx_send(struct iscsi_conn *c)
{
	struct tcp_conn *tc = tcp_conn_of(c);
	struct tcp_batch *b;

	if (tc->batch)
		return;
	b = gw_pool_get(&c->ic->batches);
	if (!b) {
		c->tx_hungry = true;
		if (gw_list_empty(&c->pool_wait))
			gw_list_add_tail(&c->ic->waiters, &c->pool_wait);
		return;
	}
	gw_list_init(&b->done);
	b->niov = b->npdu = b->used = b->first = b->small = 0;
	b->bytes = 0;
	tc->batch = b;
	batch_fill(c, b);
	if (b->npdu == 0) {
		tc->batch = NULL;
		gw_pool_put(&c->ic->batches, b);
		return;
	}
	send_rest(tc);
}

static void
batch_done(struct tcp_conn *tc)
{
	struct iscsi_conn *c = &tc->conn;
	struct tcp_batch *b = tc->batch;

	tc->batch = NULL;
	gw_list_each_safe (tx, &b->done, struct iscsi_tx, node)
		iscsi_tx_sent(c, tx);
	gw_pool_put(&c->ic->batches, b);
	iscsi_core_wake(c->ic);
}

/* True when all of the batch has gone. */
static bool
batch_advance(struct tcp_batch *b, uint64_t n)
{
	while (b->first < b->niov && n >= b->iov[b->first].iov_len)
		n -= b->iov[b->first++].iov_len;
	if (b->first == b->niov)
		return true;
	b->iov[b->first].iov_base = (uint8_t *)b->iov[b->first].iov_base + n;
	b->iov[b->first].iov_len -= n;
	return false;
}

/* Memory that a backend has lent is gone: it is told, so that the next read finds out what it is. */
static void
blame(struct tcp_conn *tc)
{
	struct iscsi_tx *part = gw_list_first(&tc->conn.txq, struct iscsi_tx, node);

	gw_list_each (tx, &tc->batch->done, struct iscsi_tx, node)
		if (tx->kind == ISCSI_TX_RSP)
			gw_container(tx, struct iscsi_task, tx)->cmd.io.st = BE_EMEDIUM;
	if (part && part->kind == ISCSI_TX_RSP)
		gw_container(part, struct iscsi_task, tx)->cmd.io.st = BE_EMEDIUM;
}

static void
sent(struct gw_op *op, int res)
{
	struct tcp_conn *tc = gw_container(op, struct tcp_conn, tx_op);
	struct iscsi_conn *c = &tc->conn;

	c->tx_busy = c->tx_full = false;
	if (c->dying) {
		iscsi_conn_poke(c);
		return;
	}
	if (res <= 0) {
		if (res == -EFAULT)
			blame(tc);
		iscsi_conn_end(c, "the transport failed");
		return;
	}
	c->moved += (uint32_t)res;
	gw_stat_add(c->core->stats->tx_bytes, (uint32_t)res);
	if (c->sess)
		gw_stat_add(c->sess->nexus.stats.tx_bytes, (uint32_t)res);
	if (!batch_advance(tc->batch, (uint64_t)res)) {
		send_rest(tc);
		return;
	}
	batch_done(tc);
	if (!c->dying && !gw_list_empty(&c->txq))
		gw_at_flush(c->core, &c->tx_hook);
}

void
tcp_tx_start(struct tcp_conn *tc)
{
	tc->tx_op.done = sent;
}

void
tcp_tx_close(struct tcp_conn *tc)
{
	struct tcp_batch *b = tc->batch;

	if (!b)
		return;
	tc->batch = NULL;
	gw_list_each_safe (tx, &b->done, struct iscsi_tx, node)
		iscsi_tx_drop(tx);
	gw_pool_put(&tc->conn.ic->batches, b);
	iscsi_core_wake(tc->conn.ic);
}
