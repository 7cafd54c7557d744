/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PDUs to work requests. All that waits at the end of a turn is laid out in chains, each posted with one
 * call: a user-space queue pair of some devices takes a system call for that. A SEND or the last RDMA
 * Read of a command is signaled and gives back the places of what was posted with it, as work requests
 * complete in order.
 */
#include <string.h>

#include "iscsi/session.h"
#include "iser/conn.h"

#define SEND_MEM  256u /* for headers and a short data segment */
#define CHAIN     64u
#define CHAIN_SGE 160u
/* What one entry may take: the RDMA of the longest transfer in its pieces, and a SEND. */
#define ENTRY     (GW_SG_MAX + 1u)
#define ENTRY_SGE (GW_SG_MAX + 2u)

_Static_assert(ISER_HEAD_LEN + ISCSI_SENSE_SEGMENT + 3 <= SEND_MEM, "a response fits");
_Static_assert(ISER_HEAD_LEN + ISCSI_BHS_LEN <= SEND_MEM, "a Reject fits");
_Static_assert((uint64_t)ISER_SENDS * SEND_MEM <= GW_SEG_MAX, "all lie in one piece");

struct chain {
	struct iser_conn *ic;
	unsigned nwr, nsge;
	unsigned own; /* work requests since the last signaled one */
	struct ibv_send_wr wr[CHAIN];
	struct ibv_sge sge[CHAIN_SGE];
};

bool
iser_tx_open(struct iser_conn *ic)
{
	uint8_t *mem;

	if (!iser_mem_get(ic, ISER_SENDS * SEND_MEM, &ic->send_mem))
		return false;
	mem = ic->send_mem.iov[0].iov_base;
	ic->room = ISER_LOGIN_SQ;
	ic->rdma_wr = (struct iser_wr){ISER_WR_RDMA, ic};
	for (unsigned i = 0; i < ISER_SENDS; i++) {
		struct iser_send_wr *s = &ic->send[i];

		s->wr = (struct iser_wr){ISER_WR_SEND, ic};
		s->mem = mem + (size_t)i * SEND_MEM;
		s->next = ic->free_send;
		ic->free_send = s;
	}
	for (unsigned i = 0; i < ISER_READS; i++) {
		struct iser_read_wr *r = &ic->read[i];

		r->wr = (struct iser_wr){ISER_WR_READ, ic};
		r->next = ic->free_read;
		ic->free_read = r;
	}
	return true;
}

/* --- chains --- */

static struct ibv_send_wr *
add(struct chain *ch, enum ibv_wr_opcode opcode, const struct iser_wr *of)
{
	struct ibv_send_wr *wr = &ch->wr[ch->nwr];

	memset(wr, 0, sizeof(*wr));
	wr->wr_id = (uintptr_t)of;
	wr->opcode = opcode;
	wr->sg_list = &ch->sge[ch->nsge];
	if (ch->nwr > 0)
		ch->wr[ch->nwr - 1].next = wr;
	ch->nwr++;
	ch->own++;
	return wr;
}

static void
add_sge(struct chain *ch, struct ibv_send_wr *wr, const void *p, uint32_t len)
{
	ch->sge[ch->nsge++] = (struct ibv_sge){(uintptr_t)p, len, ch->ic->cq->dev->mr->lkey};
	wr->num_sge++;
}

/* This one's completion is that of all since the last. Returns how many places they have. */
static uint32_t
seal(struct chain *ch, struct ibv_send_wr *wr)
{
	uint32_t n = ch->own;

	wr->send_flags |= IBV_SEND_SIGNALED;
	ch->own = 0;
	ch->ic->room -= n;
	iser_cq_posted(ch->ic->cq);
	if (ch->ic->out++ == 0) {
		ch->ic->conn.tx_busy = true;
		ch->ic->conn.tx_stamp = ch->ic->conn.core->now;
	}
	return n;
}

/*
 * len bytes at off of iov, from or to the initiator's memory at `at`; returns the last request. None of
 * them is signaled yet, and one that is not completes only in error.
 */
static struct ibv_send_wr *
add_rdma(struct chain *ch, enum ibv_wr_opcode opcode, const struct iovec *iov, uint32_t off,
	 uint32_t len, const struct iscsi_remote *mem, uint64_t at)
{
	const struct iser_dev *dev = ch->ic->cq->dev;
	int max = (int)GW_MIN(opcode == IBV_WR_RDMA_READ ? dev->max_read_sge : dev->max_sge,
			      (uint32_t)GW_SG_MAX);
	struct ibv_send_wr *wr = NULL;

	for (; off >= iov->iov_len; iov++)
		off -= (uint32_t)iov->iov_len;
	while (len > 0) {
		uint32_t n = GW_MIN(len, (uint32_t)iov->iov_len - off);

		if (!wr || wr->num_sge == max) {
			wr = add(ch, opcode, &ch->ic->rdma_wr);
			wr->wr.rdma.rkey = mem->stag;
			wr->wr.rdma.remote_addr = at;
		}
		add_sge(ch, wr, (const uint8_t *)iov->iov_base + off, n);
		at += n;
		len -= n;
		off = 0;
		iov++;
	}
	return wr;
}

static void
failed(const struct ibv_send_wr *wr)
{
	for (; wr; wr = wr->next) {
		struct ibv_wc wc = {.wr_id = wr->wr_id, .status = IBV_WC_WR_FLUSH_ERR};

		if (wr->send_flags & IBV_SEND_SIGNALED)
			iser_completed(&wc);
	}
}

static void
post(struct chain *ch)
{
	struct ibv_send_wr *bad = NULL;

	if (ch->nwr == 0)
		return;
	iser_count(ch->ic, posts, 1);
	if (ibv_post_send(ch->ic->id->qp, ch->wr, &bad)) {
		iscsi_conn_end(&ch->ic->conn, "its queue pair takes no more work requests");
		failed(bad);
	}
	ch->nwr = ch->nsge = 0;
}

/* --- what is sent --- */

static struct iser_send_wr *
send_get(struct iser_conn *ic, struct iscsi_tx *tx)
{
	struct iser_send_wr *s = ic->free_send;

	ic->free_send = s->next;
	s->tx = tx;
	iser_header_put(s->mem);
	memset(s->mem + ISER_HEADER_LEN, 0, ISCSI_BHS_LEN);
	return s;
}

/*
 * `len` bytes of data follow the header: at data, if that is memory which the device knows, else behind
 * the header already. `gone`: memory of the initiator that nobody needs any more.
 */
static struct ibv_send_wr *
add_send(struct chain *ch, struct iser_send_wr *s, uint8_t *data, uint32_t len,
	 const struct iscsi_remote *gone)
{
	bool inv = ch->ic->send_inv && gone && gone->valid;
	uint32_t pad = iscsi_pad(len);
	struct ibv_send_wr *wr = add(ch, inv ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND, &s->wr);

	gw_put_be24(s->mem + ISER_HEADER_LEN + ISCSI_AT_DSL, len);
	if (inv)
		wr->invalidate_rkey = gone->stag;
	/* Either memory goes on for as long as that. */
	memset((data ? data : s->mem + ISER_HEAD_LEN) + len, 0, pad);
	add_sge(ch, wr, s->mem, ISER_HEAD_LEN + (data ? 0 : len + pad));
	if (data && len > 0)
		add_sge(ch, wr, data, len + pad);
	s->nwr = seal(ch, wr);
	return wr;
}

/*
 * An initiator that is told that its task was aborted takes the task's memory back: RDMA Reads of it
 * have to be over by then, which is what the fence waits for.
 */
static void
control(struct chain *ch, struct iscsi_ctl *ctl)
{
	struct iser_send_wr *s = send_get(ch->ic, &ctl->tx);
	struct ibv_send_wr *wr;

	iscsi_ctl_head(&ch->ic->conn, ctl, s->mem + ISER_HEADER_LEN);
	if (!ctl->sg.n)
		memcpy(s->mem + ISER_HEAD_LEN, ctl->small, ctl->len);
	wr = add_send(ch, s, ctl->sg.n ? iscsi_ctl_data(ctl) : NULL, ctl->len, NULL);
	wr->send_flags |= IBV_SEND_FENCE;
}

/* 7.3.4: the data is in the initiator's memory when the response is there. */
static void
response(struct chain *ch, struct iscsi_task *t)
{
	struct iser_conn *ic = ch->ic;
	struct iser_send_wr *s;
	struct ibv_send_wr *wr;
	uint32_t len;

	if (t->send_len > 0) {
		if (!t->remote.valid) {
			iscsi_conn_end(&ic->conn, "a read came without memory for its data");
			return;
		}
		(void)add_rdma(ch, IBV_WR_RDMA_WRITE, t->cmd.iov, 0, t->send_len, &t->remote,
			       t->remote.at);
		iser_count(ic, rdma_writes, 1);
		iser_count(ic, rdma_write_bytes, t->send_len);
	}
	s = send_get(ic, &t->tx);
	iscsi_response_head(&ic->conn, t, s->mem + ISER_HEADER_LEN);
	len = iscsi_response_sense(&t->cmd, s->mem + ISER_HEAD_LEN);
	wr = add_send(ch, s, NULL, len, &t->remote);
	if (t->moving)
		wr->send_flags |= IBV_SEND_FENCE;
}

/* 7.3.6: an R2T is an RDMA Read. Its memory begins where the unsolicited data ends (8.3.1). */
static void
fetch(struct chain *ch, struct iscsi_task *t)
{
	struct iser_conn *ic = ch->ic;
	struct iser_read_wr *r = ic->free_read;
	struct ibv_send_wr *wr;

	ic->free_read = r->next;
	r->task = t;
	t->moving = true;
	t->asked = t->want;
	wr = add_rdma(ch, IBV_WR_RDMA_READ, t->sg.iov, t->got, t->want - t->got, &t->remote,
		      t->remote.at);
	wr->wr_id = (uintptr_t)&r->wr;
	r->nwr = seal(ch, wr);
	iser_cq_watch_sent(ic->cq);
}

bool
iser_tx_solicit(struct iscsi_task *t)
{
	struct iscsi_conn *c = t->conn;

	if (!t->remote.valid) {
		iscsi_task_await(t, true); /* with the connection's end it is dropped */
		iscsi_conn_end(c, "a write came without memory to take its data from");
		return true;
	}
	if (!iscsi_task_need_buf(t))
		return false;
	iscsi_task_await(t, true);
	t->tx.kind = ISCSI_TX_R2T;
	iscsi_tx_queue(c, &t->tx);
	return true;
}

static bool
has_room(const struct iser_conn *ic, const struct chain *ch)
{
	return ic->room >= ch->own + ENTRY && ic->free_send && ic->free_read;
}

/* Takes the entry from txq. */
static void
entry(struct chain *ch, struct iscsi_tx *tx)
{
	struct iser_conn *ic = ch->ic;

	gw_list_del(&tx->node);
	if (tx->kind == ISCSI_TX_R2T) {
		tx->queued = false;
		fetch(ch, gw_container(tx, struct iscsi_task, tx));
		return;
	}
	gw_list_add_tail(&ic->taken, &tx->node);
	if (tx->kind == ISCSI_TX_CTL)
		control(ch, gw_container(tx, struct iscsi_ctl, tx));
	else
		response(ch, gw_container(tx, struct iscsi_task, tx));
}

void
iser_tx_send(struct iscsi_conn *c)
{
	struct iser_conn *ic = iser_conn_of(c);
	struct chain ch;
	struct iscsi_tx *tx;

	ch.ic = ic;
	ch.nwr = ch.nsge = ch.own = 0;
	while (!c->dying && (tx = gw_list_first(&c->txq, struct iscsi_tx, node))) {
		if (!has_room(ic, &ch)) {
			c->tx_full = true;
			iser_cq_watch_sent(ic->cq);
			iser_count(ic, full, 1);
			break;
		}
		if (ch.nwr + ENTRY > CHAIN || ch.nsge + ENTRY_SGE > CHAIN_SGE)
			post(&ch);
		else
			entry(&ch, tx);
	}
	post(&ch);
}

void
iser_tx_hello(struct iser_conn *ic, const struct iser_send *hello)
{
	struct iser_send_wr *s;
	struct ibv_send_wr *wr;
	struct chain ch;

	ch.ic = ic;
	ch.nwr = ch.nsge = ch.own = 0;
	if (!has_room(ic, &ch)) {
		iscsi_conn_end(&ic->conn, "no room to answer its iSER Hello");
		return;
	}
	s = send_get(ic, NULL);
	ic->ord = (uint8_t)GW_MIN((uint16_t)ic->ord, hello->ird);
	s->last = !iser_hello_reply_put(s->mem, hello, ic->ord);
	wr = add(&ch, IBV_WR_SEND, &s->wr);
	add_sge(&ch, wr, s->mem, ISER_HEADER_LEN);
	s->nwr = seal(&ch, wr);
	post(&ch);
}

/* --- what became of it --- */

static void
gone(struct iser_conn *ic, uint32_t nwr)
{
	struct iscsi_conn *c = &ic->conn;

	ic->room += nwr;
	ic->out--;
	iser_cq_returned(ic->cq);
	c->tx_busy = ic->out > 0;
	c->tx_stamp = c->core->now;
	if (!c->tx_full)
		return;
	c->tx_full = false;
	iser_cq_unwatch_sent(ic->cq);
	if (!c->dying)
		gw_at_flush(c->core, &c->tx_hook);
}

static void
moved(struct iscsi_conn *c, _Atomic uint64_t *bytes, _Atomic uint64_t *session, uint64_t n)
{
	c->moved += n;
	gw_stat_add(*bytes, n);
	if (session)
		gw_stat_add(*session, n);
}

void
iser_tx_sent(struct iser_send_wr *s, bool ok)
{
	struct iser_conn *ic = s->wr.conn;
	struct iscsi_conn *c = &ic->conn;
	struct iscsi_tx *tx = s->tx;
	uint64_t n = ISER_HEAD_LEN;

	s->tx = NULL;
	s->next = ic->free_send;
	ic->free_send = s;
	gone(ic, s->nwr);
	iser_count(ic, sends, 1);
	/* What the peer has not got, goes back with the connection. */
	if (!ok || c->dying)
		return;
	if (!tx) {
		if (s->last)
			iscsi_conn_end(c, "it speaks another version of iSER");
		return;
	}
	if (tx->kind == ISCSI_TX_RSP)
		n += gw_container(tx, struct iscsi_task, tx)->send_len;
	moved(c, &c->core->stats->tx_bytes, c->sess ? &c->sess->nexus.stats.tx_bytes : NULL, n);
	iscsi_tx_sent(c, tx);
}

/* It is dropped with the connection, or now: an aborted one whose tag another has is on no list. */
static void
give_back(struct iscsi_task *t)
{
	t->moving = false;
	iscsi_task_settle(t);
}

void
iser_tx_read(struct iser_read_wr *r, bool ok)
{
	struct iser_conn *ic = r->wr.conn;
	struct iscsi_conn *c = &ic->conn;
	struct iscsi_task *t = r->task;
	uint32_t n = t->asked - t->got;

	r->task = NULL;
	r->next = ic->free_read;
	ic->free_read = r;
	iser_cq_unwatch_sent(ic->cq);
	gone(ic, r->nwr);
	if (!ok || c->dying) {
		give_back(t);
		return;
	}
	iser_count(ic, rdma_reads, 1);
	iser_count(ic, rdma_read_bytes, n);
	moved(c, &c->core->stats->rx_bytes, &c->sess->nexus.stats.rx_bytes, n);
	iscsi_task_moved(t);
	iscsi_task_unpark(c);
}

/* What a device never gave back: it can do nothing with it any more, as the queue pair has gone. */
static void
give_up(struct iser_conn *ic)
{
	for (unsigned i = 0; i < ISER_READS; i++) {
		struct iser_read_wr *r = &ic->read[i];

		if (!r->task)
			continue;
		give_back(r->task);
		r->task = NULL;
		iser_cq_unwatch_sent(ic->cq);
	}
	for (; ic->out > 0; ic->out--)
		iser_cq_returned(ic->cq);
	if (ic->conn.tx_full)
		iser_cq_unwatch_sent(ic->cq);
	ic->conn.tx_full = ic->conn.tx_busy = false;
}

void
iser_tx_close(struct iser_conn *ic)
{
	give_up(ic);
	gw_list_each_safe (tx, &ic->taken, struct iscsi_tx, node)
		iscsi_tx_drop(tx);
	iser_mem_put(ic, &ic->send_mem);
}
