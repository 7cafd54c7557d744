/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to PDUs: in order, each where its handler wants it. */
#include <string.h>

#include "iser/conn.h"

/* The header may be looked at more than once: a handler can have to wait. */
static enum iscsi_rx
begin(struct iser_conn *ic, struct iser_slot *s, const struct iser_send *m)
{
	struct iscsi_conn *c = &ic->conn;
	enum iscsi_rx v;

	if (m->len > iscsi_rx_dsl_max(c))
		return iscsi_conn_die(c, "a data segment is longer than negotiated");
	memcpy(c->rx.head, m->bhs, ISCSI_BHS_LEN);
	memcpy(c->rx.head + ISCSI_BHS_LEN, m->ahs, iscsi_ahs_len(m->bhs));
	c->rx.len = m->len;
	ic->slot = m->data == s->data ? s : NULL;
	v = iscsi_rx_begin(c);
	ic->slot = NULL;
	return v;
}

/* What the command said of its memory, for those who move its data. */
static void
note_memory(struct iscsi_conn *c, const struct iser_send *m)
{
	struct iscsi_task *t = c->rx.task;

	if (t && iscsi_opcode(m->bhs) == ISCSI_OP_SCSI_CMD)
		t->remote = t->cmd.want_dir == GW_DIR_IN ? m->in : m->out;
}

static void
take_data(struct iscsi_conn *c, const struct iser_send *m)
{
	for (uint32_t done = 0, room; done < m->len; done += room) {
		uint8_t *to = iscsi_rx_data_at(c, done, &room);

		if (to)
			memcpy(to, m->data + done, room);
	}
}

/* RFC 7145 6.10: if it wants to, the initiator says Hello before anything else. */
static enum iscsi_rx
hello(struct iser_conn *ic, struct iser_slot *s, const struct iser_send *m)
{
	struct iscsi_conn *c = &ic->conn;

	if (!c->full || !c->params.iser_hello || ic->greeted)
		return iscsi_conn_die(c, "it sent an iSER Hello that was not agreed on");
	ic->greeted = true;
	gw_list_del(&s->node);
	iser_tx_hello(ic, m);
	iser_ring_post(s);
	return c->dying ? ISCSI_RX_DEAD : ISCSI_RX_OK;
}

static enum iscsi_rx
message(struct iser_conn *ic, struct iser_slot *s)
{
	struct iscsi_conn *c = &ic->conn;
	struct iser_send m;
	const char *wrong = iser_send_parse(s->head, s->data, s->len, &m);
	enum iscsi_rx v;

	if (wrong)
		return iscsi_conn_die(c, wrong);
	if (m.hello)
		return hello(ic, s, &m);
	if (c->full && c->params.iser_hello && !ic->greeted)
		return iscsi_conn_die(c, "it did not say the iSER Hello that it asked for");
	v = begin(ic, s, &m);
	if (v != ISCSI_RX_OK)
		return v;
	note_memory(c, &m);
	take_data(c, &m);
	gw_list_del(&s->node);
	s->handled = true;
	v = iscsi_rx_end(c);
	s->handled = false;
	if (!s->kept)
		iser_ring_post(s);
	return v;
}

void
iser_rx_go_on(struct iscsi_conn *c)
{
	struct iser_conn *ic = iser_conn_of(c);
	struct iscsi_rxq *rx = &c->rx;
	unsigned budget = ISCSI_RX_BUDGET;
	enum iscsi_rx v = ISCSI_RX_OK;

	if (rx->running || rx->stop || c->dying)
		return;
	rx->running = true;
	while (v == ISCSI_RX_OK && budget-- > 0 && !rx->stop && !gw_list_empty(&ic->inq))
		v = message(ic, gw_list_first(&ic->inq, struct iser_slot, node));
	rx->running = false;
	if (!c->dying && !rx->stop && !gw_list_empty(&ic->inq))
		gw_at_kick(c->core, &c->rx_hook);
}

void
iser_rx_received(struct iser_slot *s, uint32_t len)
{
	struct iser_conn *ic = s->wr.conn;

	s->len = len;
	gw_list_add_tail(&ic->inq, &s->node);
	iscsi_rx_heard(&ic->conn, len);
	iser_count(ic, recvs, 1);
	iser_rx_go_on(&ic->conn);
}

bool
iser_rx_keep(struct iscsi_conn *c, struct iscsi_task *t)
{
	struct iser_slot *s = iser_conn_of(c)->slot;

	/* Data lies at a page's begin, unless additional headers came before it. */
	if (!s || ((uintptr_t)s->data & (GW_MAX(t->cmd.dma_align, 1u) - 1)))
		return false;
	s->kept = true;
	t->kept = s;
	t->kept_iov = (struct iovec){s->data, c->rx.len};
	return true;
}

void
iser_rx_unkeep(struct iscsi_task *t)
{
	struct iser_slot *s = t->kept;

	s->kept = false;
	if (!s->handled)
		iser_ring_post(s);
}
