/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Login Phase on a connection (RFC 7143 6): PDUs to and from the engine of login.h, the session
 * that a finished login makes, and the step into Full Feature Phase. The engine's memory comes from
 * a pool of few: who finds none waits unread, at most login_timeout.
 */
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "iscsi/conn.h"
#include "iscsi/session.h"

#define DEPTH_MAX       1024u
#define DISCOVERY_DEPTH 8u

void
iscsi_login_free(struct iscsi_conn *c)
{
	struct iscsi_login_work *w = c->work;

	if (!w)
		return;
	c->work = NULL;
	iscsi_login_fini(&w->login);
	gw_buf_put(c->core, &w->out);
	gw_pool_put(&c->ic->logins, w);
	iscsi_core_wake(c->ic);
}

static void
work_init(struct iscsi_conn *c)
{
	struct iscsi_login_env env = {
	    .model = gw_model_of(c->core),
	    .peer = c->peer,
	    .local = c->local,
	    .tpgt = c->tpgt,
	    .iser = c->wire->rdma,
	    .max_recv_dsl = c->wire->rdma ? ISCSI_LOGIN_DSL : ISCSI_RECV_DSL,
	};

	c->work->out.n = 0;
	iscsi_login_init(&c->work->login, &env);
}

enum iscsi_rx
iscsi_login_begin(struct iscsi_conn *c)
{
	enum iscsi_rx v;

	/* 6.3: nothing but Login Requests before Full Feature Phase. */
	if (iscsi_opcode(c->rx.head) != ISCSI_OP_LOGIN_REQ)
		return iscsi_conn_die(c, "it did not begin with a login");
	/* One request, one response: what is sent ahead has to wait. */
	if (c->nctl > 0)
		return iscsi_rx_wait(c, ISCSI_STOP_CTL);
	v = iscsi_ctl_ready(c);
	if (v != ISCSI_RX_OK)
		return v;
	if (!c->work) {
		c->work = gw_pool_get(&c->ic->logins);
		if (!c->work) {
			iscsi_famine(c->ic);
			return iscsi_rx_wait(c, ISCSI_STOP_POOL);
		}
		c->heard_at = c->core->now;
		work_init(c);
	}
	if (!c->work->out.n && !gw_buf_get(c->core, ISCSI_LOGIN_DSL, &c->work->out))
		return iscsi_rx_wait(c, ISCSI_STOP_BUF);
	iscsi_rx_to_flat(c, c->work->data);
	return iscsi_conn_event(c, ISCSI_EV_LOGIN) ? ISCSI_RX_OK : ISCSI_RX_DEAD;
}

/* The engine's response goes out; false if there is no memory for it. */
static bool
answer(struct iscsi_conn *c, bool last)
{
	struct iscsi_login_work *w = c->work;
	struct iscsi_login *l = &w->login;
	struct iscsi_ctl *ctl = iscsi_ctl_get(c, ISCSI_OP_LOGIN_RSP);

	if (!ctl || l->data_len > ISCSI_LOGIN_DSL) {
		iscsi_conn_end(c, "no memory for a Login Response");
		if (ctl)
			iscsi_ctl_put(ctl);
		return false;
	}
	memcpy(ctl->bhs, l->bhs, ISCSI_BHS_LEN);
	ctl->raw = true;
	ctl->close = last;
	ctl->len = l->data_len;
	if (l->data_len > 0) {
		memcpy(w->out.iov[0].iov_base, l->data, l->data_len);
		ctl->sg = w->out;
		w->out.n = 0;
	}
	iscsi_ctl_send(ctl);
	return true;
}

static enum iscsi_rx
refused(struct iscsi_conn *c)
{
	gw_stat_add(c->core->stats->login_failures, 1);
	gw_log_limited(GW_LOG_WARN, "login refused: %s. peer=%s initiator=%s target=%s",
		       c->work->login.why, c->peer_text,
		       c->work->login.initiator[0] ? c->work->login.initiator : "-",
		       c->work->login.target_name[0] ? c->work->login.target_name : "-");
	c->why = "login refused";
	c->rx.stop |= ISCSI_STOP_CLOSE;
	(void)answer(c, true);
	return ISCSI_RX_DEAD;
}

static uint32_t
depth_of(const struct iscsi_login *l)
{
	uint32_t depth;

	if (!l->target)
		return DISCOVERY_DEPTH;
	depth = GW_MAX(l->target->params.queue_depth, 1u);
	return GW_MIN(depth, DEPTH_MAX);
}

static void nexus_closed(struct gw_nexus *n);

/* The model may have changed while the session waited for its turn: the target is looked up again.
 */
static enum iscsi_login_status
open_nexus(struct iscsi_conn *c, uint16_t tsih)
{
	struct iscsi_session *s = c->sess;
	const struct iscsi_login *l = &c->work->login;
	const struct gw_model *m = gw_model_of(c->core);
	const struct gw_target *t = gw_target_by_tid(m, s->key.tid);
	struct gw_nexus *n = &s->nexus;

	if (!t || strcmp(t->iqn, l->target_name) != 0)
		return ISCSI_LOGIN_TARGET_REMOVED;
	if (!m->ready || !t->ready)
		return ISCSI_LOGIN_UNAVAILABLE;
	if (!gw_acl_admits(t, l->initiator, (const struct sockaddr *)&c->peer))
		return ISCSI_LOGIN_FORBIDDEN;
	n->core = c->core;
	n->xport = c->wire->xport;
	n->target = t;
	gw_str_copy(n->initiator, sizeof(n->initiator), l->initiator);
	gw_str_copy(n->alias, sizeof(n->alias), l->alias);
	memcpy(n->isid, l->isid, sizeof(n->isid));
	n->tsih = tsih;
	n->cid = l->cid;
	n->tpgt = s->key.tpgt;
	gw_str_copy(n->peer, sizeof(n->peer), c->peer_text);
	n->closed = nexus_closed;
	if (scsi_nexus_open(n)) {
		n->target = NULL;
		return ISCSI_LOGIN_NO_RESOURCES;
	}
	s->open = true;
	return ISCSI_LOGIN_OK;
}

static void
nexus_closed(struct gw_nexus *n)
{
	struct iscsi_session *s = iscsi_session_of(n);
	struct iscsi_conn *c = s->conn;

	s->open = false;
	n->target = NULL; /* nobody keeps it current any more */
	if (!c)
		return;
	if (c->dying)
		iscsi_conn_poke(c);
	else if (c->logout)
		iscsi_logout_go(c);
	else
		iscsi_conn_end(c, "its nexus was closed");
}

static void
full_feature(struct iscsi_conn *c)
{
	struct iscsi_login *l = &c->work->login;

	c->params = l->params;
	c->hdig = l->params.header_digest;
	c->ddig = l->params.data_digest;
	c->stat_sn = l->stat_sn;
	c->discovery = l->discovery;
	c->full = true;
	c->heard_at = c->core->now;
	c->heard = true;
	gw_timer_stop(&c->login_timer);
	gw_timer_start(c->core, &c->tick, iscsi_conn_tick_ms(c));
	iscsi_core_sessions(c->ic, 1);
	gw_stat_add(c->core->stats->logins, 1);
	if (l->discovery)
		iscsi_conn_unplace(c);
	else
		gw_log_limited(
		    GW_LOG_INFO, "session opened: peer=%s initiator=%s target=%s tsih=%u core=%u",
		    c->peer_text, l->initiator, l->target_name, c->sess->nexus.tsih, c->core->id);
	iscsi_login_free(c);
}

static void
finish(struct iscsi_conn *c, enum iscsi_login_status st, uint16_t tsih)
{
	struct iscsi_login *l = &c->work->login;
	uint32_t depth = c->depth;

	iscsi_window_init(&c->win, l->cmd_sn, depth);
	if (iscsi_login_granted(l, st, tsih, c->win.max_cmdsn) != ISCSI_LOGIN_MORE) {
		(void)refused(c);
		return;
	}
	if (!iscsi_conn_event(c, ISCSI_EV_LOGGED_IN) || !answer(c, false))
		return;
	full_feature(c);
	iscsi_rx_resume(c, ISCSI_STOP_GRANT);
}

void
iscsi_login_claimed(struct iscsi_conn *c, enum iscsi_login_status st, uint16_t tsih)
{
	if (c->dying) {
		iscsi_conn_poke(c);
		return;
	}
	c->work->login.env.model = gw_model_of(c->core);
	if (st == ISCSI_LOGIN_OK)
		st = open_nexus(c, tsih);
	finish(c, st, tsih);
}

static enum iscsi_rx
grant(struct iscsi_conn *c)
{
	struct iscsi_login *l = &c->work->login;

	c->depth = depth_of(l);
	c->rx.stop |= ISCSI_STOP_GRANT;
	if (!c->wire->admit || c->wire->admit(c, &c->depth))
		c->sess = iscsi_session_new(c, l, c->depth);
	if (!c->sess) {
		finish(c, ISCSI_LOGIN_NO_RESOURCES, 0);
	} else if (l->discovery) {
		if (++c->ic->discovery_tsih == 0)
			c->ic->discovery_tsih = 1;
		c->sess->tsih = c->ic->discovery_tsih;
		finish(c, ISCSI_LOGIN_OK, c->sess->tsih);
	} else {
		iscsi_session_claim(c->sess);
	}
	return ISCSI_RX_OK;
}

enum iscsi_rx
iscsi_login_end(struct iscsi_conn *c)
{
	struct iscsi_login *l = &c->work->login;

	c->heard_at = c->core->now;
	l->env.model = gw_model_of(c->core);
	switch (iscsi_login_rx(l, c->rx.head, c->work->data, c->rx.len)) {
	case ISCSI_LOGIN_MORE:
		return answer(c, false) ? ISCSI_RX_OK : ISCSI_RX_DEAD;
	case ISCSI_LOGIN_GRANT:
		return grant(c);
	case ISCSI_LOGIN_REFUSE:
		return refused(c);
	case ISCSI_LOGIN_DROP:
		break;
	}
	gw_stat_add(c->core->stats->login_failures, 1);
	gw_log_limited(GW_LOG_WARN, "login dropped: %s. peer=%s", l->why, c->peer_text);
	return iscsi_conn_die(c, "not a login");
}
