/* SPDX-License-Identifier: BSD-3-Clause */
/* The PDU being received: who handles it, where its data goes, and what to do while it has to wait. */
#include "iscsi/conn.h"
#include "iscsi/session.h"

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
	c->rx.sink = t->kept ? ISCSI_SINK_IN_PLACE : ISCSI_SINK_TASK;
}

uint8_t *
iscsi_rx_data_at(struct iscsi_conn *c, uint32_t done, uint32_t *room)
{
	struct iscsi_rxq *rx = &c->rx;
	const struct iscsi_task *t = rx->task;
	uint32_t off, end, i;

	*room = rx->len - done;
	if (rx->sink == ISCSI_SINK_FLAT)
		return rx->flat + done;
	if (rx->sink != ISCSI_SINK_TASK || !t || t->sg.n == 0)
		return NULL;
	off = rx->off + done;
	end = GW_MIN(t->want, t->sg.len);
	if (off >= end)
		return NULL;
	i = off / GW_SEG_MAX;
	*room = GW_MIN(*room, end - off);
	*room = GW_MIN(*room, (uint32_t)t->sg.iov[i].iov_len - off % GW_SEG_MAX);
	return (uint8_t *)t->sg.iov[i].iov_base + off % GW_SEG_MAX;
}

void
iscsi_rx_heard(struct iscsi_conn *c, uint32_t bytes)
{
	c->heard = true;
	c->moved += bytes;
	if (c->full)
		c->heard_at = c->core->now;
	gw_stat_add(c->core->stats->rx_bytes, bytes);
	if (c->sess)
		gw_stat_add(c->sess->nexus.stats.rx_bytes, bytes);
}

void
iscsi_rx_reset(struct iscsi_conn *c)
{
	struct iscsi_rxq *rx = &c->rx;

	rx->sink = ISCSI_SINK_DROP;
	rx->task = NULL;
	rx->flat = NULL;
	rx->reject = 0;
	rx->ignore = false;
	gw_buf_put(c->core, &rx->sg);
}

uint32_t
iscsi_rx_dsl_max(const struct iscsi_conn *c)
{
	return c->full ? c->params.max_recv_dsl : ISCSI_LOGIN_DSL;
}

enum iscsi_rx
iscsi_rx_begin(struct iscsi_conn *c)
{
	return c->full ? iscsi_ffp_begin(c) : iscsi_login_begin(c);
}

enum iscsi_rx
iscsi_rx_end(struct iscsi_conn *c)
{
	enum iscsi_rx v = c->full ? iscsi_ffp_end(c) : iscsi_login_end(c);
	struct iscsi_task *t;

	if (v == ISCSI_RX_DEAD)
		return v;
	t = c->rx.task;
	iscsi_rx_reset(c);
	if (t && t->swallow && !t->running)
		iscsi_task_free_data(t); /* aborted while its memory was received into */
	if (t)
		iscsi_task_settle(t); /* not before: the PDU held it */
	return v;
}

static void
go_on(struct gw_hook *h)
{
	struct iscsi_conn *c = gw_container(h, struct iscsi_conn, rx_hook);

	iscsi_task_unpark(c);
	c->rx.stop &= (uint8_t)~ISCSI_STOP_MEM;
	c->wire->go_on(c);
}

void
iscsi_rx_init(struct iscsi_conn *c)
{
	gw_hook_init(&c->rx_hook, go_on);
	iscsi_rx_reset(c);
}
