/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "gateway/base/log.h"
#include "iscsi/conn.h"
#include "iscsi/session.h"

#define LOGIN_MS_MIN 1000u

static void
peer_text(char *dst, size_t size, const struct sockaddr_storage *ss)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)ss;

		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof(host));
			snprintf(dst, size, "%s:%u", host, ntohs(in6->sin6_port));
		} else {
			inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
			snprintf(dst, size, "[%s]:%u", host, ntohs(in6->sin6_port));
		}
	} else if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)ss;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(dst, size, "%s:%u", host, ntohs(in->sin_port));
	} else {
		snprintf(dst, size, "local");
	}
}

void
iscsi_conn_init(struct iscsi_conn *c, struct gw_core *home, const struct iscsi_wire *wire,
		const struct sockaddr_storage *peer, const struct sockaddr_storage *local)
{
	c->placed = true;
	c->core = home;
	c->ic = home->slot[GW_SLOT_ISCSI];
	c->wire = wire;
	c->state = ISCSI_S1_FREE;
	c->peer = *peer;
	c->local = *local;
	peer_text(c->peer_text, sizeof(c->peer_text), peer);
}

static void
login_late(struct gw_timer *t)
{
	struct iscsi_conn *c = gw_container(t, struct iscsi_conn, login_timer);

	iscsi_conn_end(c, "the login took too long");
}

static bool
data_out_late(const struct iscsi_conn *c)
{
	gw_list_each (t, &c->awaiting, struct iscsi_task, node) {
		if (c->core->now - t->stamp > ISCSI_DATA_OUT_MS * 1000000ull)
			return true;
	}
	return false;
}

/*
 * An aborted task whose data does not come is not the connection's end: initiators stop sending
 * what they have aborted (11.5.1 lets them, once the abort is answered).
 */
static void
bury_old(struct iscsi_conn *c)
{
	gw_list_each_safe (t, &c->awaiting, struct iscsi_task, node) {
		if (iscsi_task_is_ghost(t) &&
		    c->core->now - t->stamp > ISCSI_DATA_OUT_MS * 1000000ull)
			iscsi_task_bury(t);
	}
}

uint32_t
iscsi_conn_tick_ms(const struct iscsi_conn *c)
{
	const struct gw_target *t = c->sess ? c->sess->nexus.target : NULL;
	uint32_t s = t && t->params.nop_interval ? t->params.nop_interval : 15;

	return GW_MIN(s, 3600u) * 1000u;
}

/* Liveness of the peer: NOP-In (11.19), data that does not come, answers that it does not take. */
static void
tick(struct gw_timer *timer)
{
	struct iscsi_conn *c = gw_container(timer, struct iscsi_conn, tick);
	const struct gw_target *t = c->sess ? c->sess->nexus.target : NULL;

	if (c->dying)
		return;
	bury_old(c);
	if (data_out_late(c)) {
		iscsi_conn_end(c, "it did not send the data of a write");
		return;
	}
	if (c->tx_busy && c->core->now - c->tx_stamp > ISCSI_TX_STALL_MS * 1000000ull) {
		iscsi_conn_end(c, "it does not read our answers");
		return;
	}
	if (c->logout_by && c->core->now > c->logout_by) {
		iscsi_conn_end(c, "it did not log out when asked to");
		return;
	}
	if (c->discovery && c->core->now - c->heard_at > ISCSI_DISCOVERY_MS * 1000000ull) {
		iscsi_conn_end(c, "a discovery session did nothing for long");
		return;
	}
	if (t && t->params.nop_interval && c->full && !c->discovery) {
		/* What is not read because of us says nothing about the peer. */
		if (c->heard || c->rx.stop)
			c->unanswered = 0;
		else if (c->unanswered >= t->params.nop_count) {
			iscsi_conn_end(c, "it does not answer NOP-In");
			return;
		}
		if (!c->heard) {
			c->unanswered++;
			iscsi_nop_ping(c);
		}
		c->heard = false;
	}
	gw_timer_start(c->core, &c->tick, iscsi_conn_tick_ms(c));
}

static void close_step(struct gw_hook *h);

static void
buf_wake(struct gw_waiter *w)
{
	struct iscsi_conn *c = gw_container(w, struct iscsi_conn, buf_waiter);

	iscsi_task_unpark(c);
	iscsi_rx_resume(c, ISCSI_STOP_BUF);
}

void
iscsi_conn_start(struct iscsi_conn *c)
{
	const struct gw_model *m = gw_model_of(c->core);

	gw_list_init(&c->awaiting);
	gw_list_init(&c->parked);
	iscsi_r2t_init(c);
	gw_list_init(&c->pool_wait);
	gw_list_init(&c->buf_waiter.node);
	c->buf_waiter.wake = buf_wake;
	gw_timer_init(&c->login_timer, login_late);
	gw_timer_init(&c->tick, tick);
	gw_hook_init(&c->close_hook, close_step);
	iscsi_rx_init(c);
	iscsi_tx_init(c);
	gw_list_add_tail(&c->ic->conns, &c->node);
	c->ic->nconn++;
	gw_stat_add(c->core->stats->conns, 1);
	gw_stat_add(c->core->stats->conns_live, 1);
	iscsi_conn_event(c, ISCSI_EV_ACCEPTED);
	gw_timer_start(c->core, &c->login_timer, GW_MAX(m->login_timeout_ms, LOGIN_MS_MIN));
	c->wire->start(c);
}

void
iscsi_conn_unplace(struct iscsi_conn *c)
{
	if (c->placed)
		gw_unplace(c->core);
	c->placed = false;
}

bool
iscsi_conn_event(struct iscsi_conn *c, enum iscsi_ev ev)
{
	struct iscsi_step s = iscsi_conn_step(c->state, ev);

	if (s.act == ISCSI_ACT_CLOSE && s.t == 0) {
		gw_log_limited(GW_LOG_WARN, "event %d in state %s: closing. peer=%s", (int)ev,
			       iscsi_cs_name(c->state), c->peer_text);
		iscsi_conn_end(c, "its state does not allow that");
		return false;
	}
	c->state = s.next;
	return true;
}

void
iscsi_conn_end(struct iscsi_conn *c, const char *why)
{
	bool bye = c->state == ISCSI_S1_FREE;

	if (c->dying)
		return;
	c->dying = true;
	c->why = why;
	iscsi_conn_unplace(c);
	if (!bye)
		(void)iscsi_conn_event(c, ISCSI_EV_LOST);
	gw_timer_stop(&c->login_timer);
	gw_timer_stop(&c->tick);
	c->rx.stop |= ISCSI_STOP_CLOSE;
	c->wire->stop(c, bye);
	iscsi_conn_poke(c);
}

enum iscsi_rx
iscsi_conn_die(struct iscsi_conn *c, const char *why)
{
	iscsi_conn_end(c, why);
	return ISCSI_RX_DEAD;
}

void
iscsi_conn_poke(struct iscsi_conn *c)
{
	if (c->dying)
		gw_at_kick(c->core, &c->close_hook);
}

/* Gives up a task that has not been executed, and all memory of it. */
static void
drop(struct iscsi_task *t)
{
	if (t->begun) {
		t->begun = false;
		scsi_forget(&t->cmd);
	}
	if (t->parked) {
		t->parked = false;
		gw_list_del(&t->node);
	}
	iscsi_task_await(t, false);
	iscsi_r2t_end(t);
	t->answer = false;
	t->swallow = true; /* an RDMA Read may be under way: its end is the task's, not the command's begin */
	iscsi_task_free_data(t);
	iscsi_task_settle(t);
}

void
iscsi_tasks_drop(struct iscsi_conn *c)
{
	gw_list_each_safe (t, &c->awaiting, struct iscsi_task, node)
		drop(t);
	gw_list_each_safe (t, &c->parked, struct iscsi_task, node)
		drop(t);
	gw_list_each_safe (t, &c->unasked, struct iscsi_task, node)
		drop(t);
}

/* No operation is under way: the wire and all memory go, waiting commands are given up. */
static void
take_down(struct iscsi_conn *c)
{
	struct iscsi_task *cut = c->rx.task;

	c->down = true;
	gw_hook_disarm(&c->rx_hook);
	gw_hook_disarm(&c->tx_hook);
	gw_buf_unwait(&c->buf_waiter);
	gw_list_del(&c->pool_wait);
	c->rx.task = NULL;
	/* The task of a PDU that is cut off may be on no list: refused, or aborted by another. */
	if (cut)
		drop(cut);
	c->wire->close(c);
	gw_buf_put(c->core, &c->rx.sg);
	iscsi_login_free(c);
	if (c->logout)
		iscsi_ctl_put(c->logout);
	c->logout = NULL;
	iscsi_tx_purge(c);
	iscsi_tasks_drop(c);
	/* Who has discovered what there is, often leaves without a word. */
	gw_log_limited(c->state == ISCSI_S1_FREE || c->discovery ? GW_LOG_INFO : GW_LOG_WARN,
		       "connection closed: %s. peer=%s initiator=%s tid=%u", c->why, c->peer_text,
		       c->sess ? c->sess->nexus.initiator : "-", c->sess ? c->sess->key.tid : 0);
}

static void
conn_free(struct iscsi_conn *c)
{
	struct iscsi_core *ic = c->ic;

	if (c->sess) {
		if (c->full)
			iscsi_core_sessions(ic, -1);
		iscsi_session_end(c->sess);
	}
	gw_hook_disarm(&c->close_hook);
	gw_list_del(&c->node);
	ic->nconn--;
	if (ic->nconn == 0)
		gw_timer_stop(&ic->famine);
	c->wire->free(c);
	gw_stat_add(ic->core->stats->conns_live, -1ull);
}

static void
close_step(struct gw_hook *h)
{
	struct iscsi_conn *c = gw_container(h, struct iscsi_conn, close_hook);
	struct iscsi_session *s = c->sess;

	if (c->wire->busy(c))
		return;
	if (!c->down)
		take_down(c);
	if (s && s->open) {
		if (!s->closing) {
			s->closing = true;
			scsi_nexus_close(&s->nexus);
		}
		if (s->open)
			return;
	}
	if (c->ntask || c->nctl)
		return;
	conn_free(c);
}
