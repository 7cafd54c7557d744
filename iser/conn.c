/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "iser/xport.h"

/* --- life --- */

static void event(struct iser_conn *ic, enum iser_event ev, const char *why);

static void
drain_late(struct gw_timer *t)
{
	struct iser_conn *ic = gw_container(t, struct iser_conn, drain);

	if (ic->state == ISER_LEAVING) {
		event(ic, ISER_EV_LATE, NULL);
		return;
	}
	gw_log_limited(GW_LOG_WARN, "an RDMA device keeps work requests. peer=%s recvs=%u sends=%u",
		       ic->conn.peer_text, ic->posted, ic->out);
	iscsi_conn_poke(&ic->conn);
}

/* What is out comes back flushed; a device that has gone, or hangs, gets no more than its time. */
static void
disconnect(struct iser_conn *ic)
{
	if (rdma_disconnect(ic->id)) {
		struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

		(void)ibv_modify_qp(ic->id->qp, &attr, IBV_QP_STATE);
	}
	iser_cq_watch_sent(ic->cq);
	gw_timer_start(ic->conn.core, &ic->drain, ISER_DRAIN_MS);
}

/*
 * No completion comes any more: the QP goes first, then what it sent from. What it had received into
 * stays, as commands that still run may have their data there.
 */
static void
release(struct iser_conn *ic)
{
	gw_timer_stop(&ic->drain);
	if (ic->id->qp) {
		rdma_destroy_qp(ic->id);
		ic->cq->nqp--;
	}
	/* Nothing that is counted need be out for that: of a chain the device may take a part only. */
	iser_cq_drain(ic->cq);
	for (unsigned i = 0; i < ISER_SIDES; i++) {
		iser_cq_release(ic->cq, i, ic->reserved[i]);
		ic->reserved[i] = 0;
	}
	iser_tx_close(ic);
}

static void
conn_free(struct iser_conn *ic)
{
	iser_ring_close(ic, &ic->login_ring);
	iser_ring_close(ic, &ic->ring);
	free(ic);
}

static void
event(struct iser_conn *ic, enum iser_event ev, const char *why)
{
	struct iser_step s = iser_step(ic->state, ev);

	if (ic->state != s.next)
		gw_debug("RDMA connection: %s, then %s. peer=%s", iser_state_name(ic->state),
			 iser_state_name(s.next), ic->conn.peer_text);
	ic->state = s.next;
	switch ((enum iser_act)s.act) {
	case ISER_ACT_END:
		iscsi_conn_end(&ic->conn, why);
		break;
	case ISER_ACT_WAIT:
		gw_timer_start(ic->conn.core, &ic->drain, ISER_LEAVE_MS);
		break;
	case ISER_ACT_DISCONNECT:
		disconnect(ic);
		iscsi_conn_poke(&ic->conn);
		break;
	case ISER_ACT_RELEASE:
		iser_cq_unwatch_sent(ic->cq);
		release(ic);
		break;
	case ISER_ACT_NONE:
		break;
	}
}

static void
cm_event(struct iser_cm_owner *o, const struct iser_cm_event *e)
{
	struct iser_conn *ic = gw_container(o, struct iser_conn, owner);

	switch (e->type) {
	case RDMA_CM_EVENT_ESTABLISHED:
		event(ic, ISER_EV_ESTABLISHED, NULL);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		event(ic, ISER_EV_LOST, "the peer closed it");
		break;
	case RDMA_CM_EVENT_UNREACHABLE:
		/* Of a connection that stands, too: the kernel finds its host no more (Linux 5.19). */
		event(ic, ISER_EV_LOST, "its host cannot be reached");
		break;
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_REJECTED:
		event(ic, ISER_EV_LOST, "the RDMA connection was not made");
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		event(ic, ISER_EV_LOST, "its RDMA device was removed");
		break;
	default:
		break;
	}
}

void
iser_conns_end(struct gw_core *core, const struct iser_dev *dev, const void *conn, uint32_t qp,
	       const char *why)
{
	if (!iser_core_of(core))
		return;
	gw_list_each (ic, &iser_core_of(core)->conns, struct iser_conn, node) {
		bool his = !conn || (conn == ic && ic->id->qp && ic->id->qp->qp_num == qp);

		if (ic->cq->dev == dev && his)
			event(ic, ISER_EV_LOST, why);
	}
}

/* --- completions --- */

/* Why a work request failed, to an administrator. */
static const char *
why_of(enum ibv_wc_status st)
{
	switch (st) {
	case IBV_WC_LOC_LEN_ERR:
		return "it sent a message longer than agreed";
	case IBV_WC_REM_ACCESS_ERR:
	case IBV_WC_REM_INV_REQ_ERR:
	case IBV_WC_REM_OP_ERR:
		return "it refused an RDMA operation on memory that it had advertised";
	case IBV_WC_RETRY_EXC_ERR:
	case IBV_WC_RESP_TIMEOUT_ERR:
		return "it does not answer";
	case IBV_WC_RNR_RETRY_EXC_ERR:
		return "it does not receive our answers";
	case IBV_WC_WR_FLUSH_ERR:
		return "the RDMA connection broke";
	default:
		return "an RDMA operation failed";
	}
}

void
iser_completed(const struct ibv_wc *wc)
{
	struct iser_wr *wr = (struct iser_wr *)(uintptr_t)wc->wr_id;
	struct iser_conn *ic = wr->conn;
	bool ok = wc->status == IBV_WC_SUCCESS;

	/* An RDMA Write of the peer with immediate data takes a RECV as well, and has a length of its own. */
	if (ok && wr->kind == ISER_WR_RECV &&
	    (wc->opcode != IBV_WC_RECV || wc->byte_len > ISER_HEAD_LEN + ISER_DATA)) {
		event(ic, ISER_EV_LOST, "it sent what is no message");
		ok = false;
	} else 	if (!ok) {
		if (wc->status != IBV_WC_WR_FLUSH_ERR)
			iser_count(ic, rdma_errors, 1);
		event(ic, ISER_EV_LOST, why_of(wc->status));
	}
	switch ((enum iser_wr_kind)wr->kind) {
	case ISER_WR_RECV:
		ic->posted--;
		if (ok && !ic->conn.dying)
			iser_rx_received(gw_container(wr, struct iser_slot, wr), wc->byte_len);
		break;
	case ISER_WR_SEND:
		iser_tx_sent(gw_container(wr, struct iser_send_wr, wr), ok);
		break;
	case ISER_WR_READ:
		iser_tx_read(gw_container(wr, struct iser_read_wr, wr), ok);
		break;
	case ISER_WR_RDMA:
		break;
	}
	if (ic->state == ISER_DRAINING)
		iscsi_conn_poke(&ic->conn);
}

/* --- struct iscsi_wire --- */

static void
wire_start(struct iscsi_conn *c)
{
	(void)c; /* RECVs are posted before the connection stands, or its first message is lost */
}

/* More places of the send queue, if there are any: with few, answers only wait longer. */
static void
widen(struct iser_conn *ic, uint32_t places)
{
	uint32_t more = GW_MIN(places, ic->cq->dev->max_wr) - ic->reserved[ISER_SENT];

	if (!iser_cq_reserve(ic->cq, ISER_SENT, more))
		return;
	ic->reserved[ISER_SENT] += more;
	ic->room += more;
}

/* A smaller window if memory is short, or the device takes fewer RECVs; none if it is very short. */
static bool
wire_admit(struct iscsi_conn *c, uint32_t *depth)
{
	struct iser_conn *ic = iser_conn_of(c);
	uint32_t room = GW_MIN(ISER_RQ, ic->cq->dev->max_wr), beside = ISER_RQ - ISER_DEPTH_MAX;
	uint32_t n = GW_MIN(*depth, room > beside ? room - beside : 0);

	if (n == 0)
		return false;
	while (!iser_ring_open(ic, &ic->ring, n + ISCSI_UNEXPECTED_PDUS)) {
		if (n <= 1)
			return false;
		n /= 2;
	}
	*depth = n;
	widen(ic, GW_MIN(ISER_SQ, ISER_LOGIN_SQ + 2 * n));
	event(ic, ISER_EV_ADMITTED, NULL);
	return !c->dying;
}

static void
wire_stop(struct iscsi_conn *c, bool bye)
{
	event(iser_conn_of(c), bye ? ISER_EV_BYE : ISER_EV_END, NULL);
}

static bool
wire_busy(struct iscsi_conn *c)
{
	const struct iser_conn *ic = iser_conn_of(c);

	return ic->state == ISER_LEAVING ||
	       (ic->drain.running && (ic->posted > 0 || ic->out > 0));
}

static void
wire_close(struct iscsi_conn *c)
{
	event(iser_conn_of(c), ISER_EV_DRAINED, NULL);
}

static void
wire_free(struct iscsi_conn *c)
{
	struct iser_conn *ic = iser_conn_of(c);

	gw_list_del(&ic->node);
	rdma_destroy_id(ic->id);
	conn_free(ic);
}

static const struct iscsi_wire wire = {
    .xport = &iser_xport,
    .rdma = true,
    .start = wire_start,
    .go_on = iser_rx_go_on,
    .send = iser_tx_send,
    .keep = iser_rx_keep,
    .unkeep = iser_rx_unkeep,
    .solicit = iser_tx_solicit,
    .admit = wire_admit,
    .stop = wire_stop,
    .busy = wire_busy,
    .close = wire_close,
    .free = wire_free,
};

/* --- the beginning --- */

static bool
make_qp(struct iser_conn *ic)
{
	const struct iser_dev *dev = ic->cq->dev;
	struct ibv_qp_init_attr attr = {
	    .qp_context = ic,
	    .send_cq = ic->cq->cq[ISER_SENT],
	    .recv_cq = ic->cq->cq[ISER_RECEIVED],
	    .qp_type = IBV_QPT_RC,
	    .cap = {.max_send_wr = GW_MIN(ISER_SQ, dev->max_wr),
		    .max_recv_wr = GW_MIN(ISER_RQ, dev->max_wr),
		    .max_send_sge = GW_MIN(dev->max_sge, (uint32_t)GW_SG_MAX),
		    .max_recv_sge = 2},
	};

	if (rdma_create_qp(ic->id, dev->pd, &attr))
		return false;
	ic->cq->nqp++;
	return true;
}

/* What those have that never log in, is little. */
static bool
get_memory(struct iser_conn *ic)
{
	if (!iser_cq_reserve(ic->cq, ISER_SENT, ISER_LOGIN_SQ))
		return false;
	ic->reserved[ISER_SENT] = ISER_LOGIN_SQ;
	return iser_tx_open(ic);
}

static bool
accept_it(struct iser_conn *ic, const struct rdma_conn_param *want)
{
	/* Ours are registrations with addresses; SEND with invalidate we take as any other SEND. */
	const struct iser_cm ours = {.no_zbva = true, .no_send_inv = !ic->send_inv};
	uint8_t private_data[ISER_CM_LEN];
	struct rdma_conn_param param = {
	    .private_data = private_data,
	    .private_data_len = sizeof(private_data),
	    .responder_resources = GW_MIN(want->responder_resources, 1),
	    .initiator_depth = ic->ord,
	    .rnr_retry_count = 7,
	};

	iser_cm_put(private_data, ours);
	return rdma_accept(ic->id, &param) == 0;
}

/* For the next one there may be some. */
static const char *
no_memory(struct iser_conn *ic)
{
	iscsi_crowd_yield(ic->conn.ic, &wire);
	return "the connections of its core have all memory that they may";
}

/* NULL, or why it cannot be had. */
static const char *
open_conn(struct iser_conn *ic, const struct rdma_conn_param *want)
{
	if (ic->ord == 0)
		return "RDMA Reads are not to be had on it";
	if (!get_memory(ic))
		return no_memory(ic);
	if (!make_qp(ic))
		return strerror(errno);
	if (!iser_ring_open(ic, &ic->login_ring, ISER_LOGIN_RQ))
		return no_memory(ic);
	if (ic->posted != ISER_LOGIN_RQ)
		return "its queue pair takes no RECVs";
	return accept_it(ic, want) ? NULL : strerror(errno);
}

static void
address(struct sockaddr_storage *to, const struct sockaddr *from)
{
	memset(to, 0, sizeof(*to));
	memcpy(to, from, from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						     : sizeof(struct sockaddr_in));
}

bool
iser_conn_new(struct gw_core *home, struct rdma_cm_id *id, struct iser_cm cm,
	      const struct rdma_conn_param *want, uint16_t tpgt)
{
	struct iser_dev *dev = iser_dev_get(id->verbs);
	struct iser_cq *cq = dev ? iser_cq_get(dev, home) : NULL;
	struct iser_conn *ic = cq ? calloc(1, sizeof(*ic)) : NULL;
	struct sockaddr_storage peer, local;
	const char *why;

	if (!ic) {
		gw_log_limited(GW_LOG_WARN, "RDMA connection refused: its device cannot be used");
		return false;
	}
	ic->owner.event = cm_event;
	ic->id = id;
	ic->cq = cq;
	ic->send_inv = !cm.no_send_inv && dev->can_send_inv;
	ic->ord = (uint8_t)GW_MIN(want->initiator_depth, dev->max_ord);
	gw_list_init(&ic->inq);
	gw_list_init(&ic->taken);
	gw_timer_init(&ic->drain, drain_late);
	address(&peer, rdma_get_peer_addr(id));
	address(&local, rdma_get_local_addr(id));
	iscsi_conn_init(&ic->conn, home, &wire, &peer, &local);
	ic->conn.tpgt = tpgt;
	why = open_conn(ic, want);
	if (why) {
		gw_log_limited(GW_LOG_WARN, "RDMA connection refused: %s. peer=%s", why,
			       ic->conn.peer_text);
		ic->state = ISER_GONE;
		ic->conn.dying = true;
		release(ic);
		conn_free(ic);
		return false;
	}
	id->context = &ic->owner;
	gw_list_add_tail(&iser_core_of(home)->conns, &ic->node);
	iscsi_conn_start(&ic->conn);
	return true;
}
