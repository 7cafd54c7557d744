/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An RDMA device, a connection manager and initiators made of stubs, on the core, engine and SCSI
 * layer of tests/unit/iscsi/rig.h. The device keeps account, and aborts the test where a real one
 * would fail or destroy something: each work request has its room in its queue and, should all that
 * is out complete, in the completion queue; its memory is registered, lies in one buffer, and is
 * not given back while it is out; nothing is posted to what was destroyed; ids and queue pairs go
 * once, ids without an event that is not acknowledged. Whatever a test wants to go wrong is a field
 * of `vb`, or vb_fail().
 */
#ifndef TESTS_UNIT_ISER_VERBS_H
#define TESTS_UNIT_ISER_VERBS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <rdma/rdma_cma.h>

#include "iser/conn.h"
#include "iser/xport.h"
#include "tests/unit/iscsi/rig.h"

#undef ibv_reg_mr

#define VB_QPS   16
#define VB_WRS   1024 /* a power of two */
#define VB_SGES  (GW_SG_MAX + 2)
#define VB_MEMS  64
#define VB_LKEY  0x1cfeu
#define VB_ARENA (1u << 20)

#define VB_CHECK(ok, what)                                                               \
	do {                                                                             \
		if (!(ok)) {                                                             \
			fprintf(stderr, "verbs: %s:%d: %s\n", __FILE__, __LINE__, what); \
			abort();                                                         \
		}                                                                        \
	} while (0)

struct vb_peer;

struct vb_wr {
	struct ibv_send_wr wr;
	struct ibv_sge sge[VB_SGES];
	bool done;
	enum ibv_wc_status st;
};

struct vb_recv {
	uint64_t wr_id;
	struct ibv_sge sge[VB_SGES];
	int nsge;
};

/* Positions only grow: free <= cqe <= tail; what lies before `free` is the owner's again. */
struct vb_qp {
	struct ibv_qp qp;
	bool used, err;
	struct ibv_qp_cap cap;
	struct vb_peer *peer;
	unsigned sq_free, sq_cqe, sq_tail, rq_free, rq_cqe, rq_tail;
	struct vb_wr sq[VB_WRS];
	struct vb_recv rq[VB_WRS];
};

struct vb_cqe {
	struct ibv_wc wc;
	struct vb_qp *qp; /* NULL: destroyed since */
	struct rdma_cm_id *id;
	unsigned free_to;
	bool recv;
};

struct vb_cq {
	struct ibv_cq cq;
	struct vb_cqe *e;
	unsigned size, at, n;
	bool armed;
	unsigned events, got, acked;
	struct vb_cq *next;
};

struct vb_event {
	struct rdma_cm_event ev; /* first: the product has its address */
	uint8_t private_data[256];
	bool taken;
	struct vb_event *next;
};

struct vb_id {
	struct rdma_cm_id id; /* first */
	struct vb_peer *peer; /* NULL: a listener */
	unsigned unacked;
	bool listening;
	struct vb_id *next;
};

/* What the target has sent to an initiator. */
struct vb_msg {
	struct vb_msg *next;
	uint32_t n, inv;
	bool has_inv, fence;
	unsigned nth; /* among all that the device has done for this peer */
	uint8_t data[];
};

/* Memory that an initiator has advertised. */
struct vb_mem {
	bool valid, out; /* out: may be read */
	uint32_t stag;
	uint64_t at;
	uint8_t *p;
	uint32_t n;
};

/* The initiator's end of a connection; outlives ours. */
struct vb_peer {
	struct vb_id *id; /* NULL: destroyed */
	struct vb_qp *qp;
	bool accepted, rejected, established, disconnected;
	struct rdma_conn_param param; /* what accept said */
	uint8_t private_data[8];
	struct vb_msg *inbox, **inbox_tail;
	struct vb_msg *pend, **pend_tail; /* sent, no RECV for it yet */
	unsigned done;
	struct vb_mem mem[VB_MEMS];
	struct vb_peer *next;
};

static struct {
	struct ibv_device device;
	struct ibv_context context;
	struct ibv_device_attr attr;
	struct ibv_pd pd;
	struct ibv_mr mr;
	struct vb_cq *cqs;
	struct vb_id *ids, *listener;
	struct vb_event *events;
	struct vb_peer *peers;
	unsigned npd, nmr, nqp, nid, nchannel, ncm;
	uint32_t qp_num;
	uint64_t posts;    /* calls of post_send */
	unsigned nodevice; /* rdma_get_devices finds none */

	bool hold_reads;  /* RDMA Reads are under way and stay so */
	bool hold_sends;  /* nothing that is sent is begun */
	bool slow;        /* one thing a turn */
	bool never_flush; /* what is out when a QP breaks, stays out */
	bool flush_late;  /* ... until the QP is destroyed */
	bool late;        /* ESTABLISHED is not said by itself */
	int fail_op;      /* the next work request of that opcode fails (-1: none) */
	enum ibv_wc_status fail_st;
	const char *fail; /* that call fails */
	unsigned fail_in; /* ... the how manyeth time, from 1 */
	struct ibv_async_event async[4];
	unsigned nasync;

	/* of the last operations, for the tests */
	struct ibv_send_wr last[64];
	struct ibv_sge last_sge[64];
	unsigned nlast;
	struct gw_portal portal;
	uint8_t arena[VB_ARENA]; /* not cleared, nor what follows */
	struct vb_qp qp[VB_QPS];
} vb;

static void
vb_fail(const char *call, unsigned nth)
{
	vb.fail = call;
	vb.fail_in = nth;
}

static bool
vb_fails(const char *call, int with)
{
	if (!vb.fail || strcmp(vb.fail, call) != 0 || --vb.fail_in > 0)
		return false;
	vb.fail = NULL;
	errno = with;
	return true;
}

static int
vb_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	VB_CHECK(fd >= 0, "a descriptor");
	return fd;
}

void
gw_arena_region(uint8_t **base, uint64_t *len)
{
	*base = vb.arena;
	*len = sizeof(vb.arena);
}

void
gw_devices_set(gw_devices_fn *fn)
{
	(void)fn;
}

/* --- devices --- */

struct ibv_context **
rdma_get_devices(int *n)
{
	struct ibv_context **list = calloc(2, sizeof(*list));

	*n = vb.nodevice ? 0 : 1;
	list[0] = &vb.context;
	return list;
}

void
rdma_free_devices(struct ibv_context **list)
{
	free(list);
}

const char *
ibv_get_device_name(struct ibv_device *device)
{
	(void)device;
	return "stub0";
}

int
ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	(void)context;
	if (vb_fails("ibv_query_device", EIO))
		return EIO;
	*attr = vb.attr;
	return 0;
}

struct ibv_pd *
ibv_alloc_pd(struct ibv_context *context)
{
	if (vb_fails("ibv_alloc_pd", ENOMEM))
		return NULL;
	vb.pd.context = context;
	vb.npd++;
	return &vb.pd;
}

int
ibv_dealloc_pd(struct ibv_pd *pd)
{
	VB_CHECK(pd == &vb.pd && vb.npd == 1 && vb.nmr == 0 && vb.nqp == 0, "a PD in use goes");
	vb.npd--;
	return 0;
}

struct ibv_mr *
ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
{
	if (vb_fails("ibv_reg_mr", ENOMEM))
		return NULL;
	VB_CHECK(addr == vb.arena && length == VB_ARENA, "all buffer memory is registered");
	VB_CHECK(access == IBV_ACCESS_LOCAL_WRITE, "no peer may touch our memory");
	vb.mr = (struct ibv_mr){
	    .context = pd->context, .pd = pd, .addr = addr, .length = length, .lkey = VB_LKEY};
	vb.nmr++;
	return &vb.mr;
}

struct ibv_mr *
ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned int access)
{
	VB_CHECK(iova == (uintptr_t)addr, "addresses are our own");
	return ibv_reg_mr(pd, addr, length, (int)access);
}

int
ibv_dereg_mr(struct ibv_mr *mr)
{
	VB_CHECK(mr == &vb.mr && vb.nmr == 1 && vb.nqp == 0, "memory of a QP goes");
	vb.nmr--;
	return 0;
}

int
ibv_get_async_event(struct ibv_context *context, struct ibv_async_event *event)
{
	(void)context;
	if (vb.nasync == 0) {
		errno = EAGAIN;
		return -1;
	}
	*event = vb.async[--vb.nasync];
	return 0;
}

void
ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
}

const char *
ibv_event_type_str(enum ibv_event_type event)
{
	(void)event;
	return "event";
}

/* --- completion queues --- */

struct ibv_comp_channel *
ibv_create_comp_channel(struct ibv_context *context)
{
	struct ibv_comp_channel *ch;

	if (vb_fails("ibv_create_comp_channel", EMFILE))
		return NULL;
	ch = calloc(1, sizeof(*ch));
	ch->context = context;
	ch->fd = vb_fd();
	vb.nchannel++;
	return ch;
}

int
ibv_destroy_comp_channel(struct ibv_comp_channel *ch)
{
	for (struct vb_cq *q = vb.cqs; q; q = q->next)
		VB_CHECK(q->cq.channel != ch, "the channel of a completion queue goes");
	close(ch->fd);
	free(ch);
	vb.nchannel--;
	return 0;
}

struct ibv_cq *
ibv_create_cq(struct ibv_context *context, int cqe, void *cq_context,
	      struct ibv_comp_channel *channel, int vector)
{
	struct vb_cq *q;

	if (vb_fails("ibv_create_cq", ENOMEM))
		return NULL;
	VB_CHECK(cqe > 0 && cqe <= vb.attr.max_cqe, "a completion queue has no more entries");
	VB_CHECK(vector >= 0 && vector < context->num_comp_vectors, "there is no such vector");
	q = calloc(1, sizeof(*q));
	q->cq.context = context;
	q->cq.channel = channel;
	q->cq.cq_context = cq_context;
	q->size = (unsigned)cqe;
	q->e = calloc(q->size, sizeof(*q->e));
	q->next = vb.cqs;
	vb.cqs = q;
	return &q->cq;
}

int
ibv_destroy_cq(struct ibv_cq *cq)
{
	struct vb_cq **p = &vb.cqs, *q;

	while (*p && &(*p)->cq != cq)
		p = &(*p)->next;
	q = *p;
	VB_CHECK(q, "a completion queue goes twice");
	VB_CHECK(q->got == q->acked, "its events are not acknowledged");
	for (unsigned i = 0; i < VB_QPS; i++)
		VB_CHECK(!vb.qp[i].used || (vb.qp[i].qp.send_cq != cq && vb.qp[i].qp.recv_cq != cq),
			 "the completion queue of a QP goes");
	*p = q->next;
	free(q->e);
	free(q);
	return 0;
}

int
ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context)
{
	for (struct vb_cq *q = vb.cqs; q; q = q->next) {
		if (q->cq.channel != channel || q->events == 0)
			continue;
		q->events--;
		q->got++;
		*cq = &q->cq;
		*cq_context = q->cq.cq_context;
		return 0;
	}
	errno = EAGAIN;
	return -1;
}

void
ibv_ack_cq_events(struct ibv_cq *cq, unsigned int n)
{
	struct vb_cq *q = (struct vb_cq *)cq;

	q->acked += n;
	VB_CHECK(q->acked <= q->got, "more events are acknowledged than came");
}

static void
vb_complete(struct vb_qp *qp, bool recv, uint64_t wr_id, enum ibv_wc_status st, uint32_t len,
	    unsigned free_to)
{
	struct vb_cq *q = (struct vb_cq *)(recv ? qp->qp.recv_cq : qp->qp.send_cq);

	VB_CHECK(q->n < q->size, "a completion queue overflows");
	q->e[(q->at + q->n++) % q->size] =
	    (struct vb_cqe){.wc = {.wr_id = wr_id,
				   .status = st,
				   .byte_len = len,
				   .qp_num = qp->qp.qp_num,
				   .opcode = recv ? IBV_WC_RECV : IBV_WC_SEND},
			    .qp = qp,
			    .id = &qp->peer->id->id,
			    .recv = recv,
			    .free_to = free_to};
	if (q->armed) {
		q->armed = false;
		q->events++;
	}
}

static int
vb_poll_cq(struct ibv_cq *cq, int max, struct ibv_wc *wc)
{
	struct vb_cq *q = (struct vb_cq *)cq;
	int n = 0;

	for (; n < max && q->n > 0; n++) {
		struct vb_cqe *e = &q->e[q->at];

		wc[n] = e->wc;
		if (e->qp && e->recv)
			e->qp->rq_free = e->free_to;
		else if (e->qp)
			e->qp->sq_free = e->free_to;
		q->at = (q->at + 1) % q->size;
		q->n--;
	}
	return n;
}

static int
vb_req_notify_cq(struct ibv_cq *cq, int solicited_only)
{
	VB_CHECK(!solicited_only, "all completions count");
	((struct vb_cq *)cq)->armed = true;
	return 0;
}

/* --- queue pairs --- */

/* All that is out on that queue, should each complete, and what has. */
static void
vb_account(const struct ibv_cq *cq)
{
	const struct vb_cq *q = (const struct vb_cq *)cq;
	unsigned n = q->n;

	for (unsigned i = 0; i < VB_QPS; i++) {
		const struct vb_qp *qp = &vb.qp[i];

		if (qp->used && qp->qp.send_cq == cq)
			n += qp->sq_tail - qp->sq_cqe;
		if (qp->used && qp->qp.recv_cq == cq)
			n += qp->rq_tail - qp->rq_cqe;
	}
	VB_CHECK(n <= q->size, "more is posted than completions have room for");
}

static void
vb_check_sge(const struct ibv_sge *s)
{
	VB_CHECK(s->lkey == VB_LKEY, "a wrong key");
	for (unsigned i = 0; i < rig_ext.nseg; i++) {
		uintptr_t p = (uintptr_t)rig_ext.seg[i].p;

		if (s->addr >= p && s->addr - p + s->length <= rig_ext.seg[i].n)
			return;
	}
	VB_CHECK(false, "memory that is not registered");
}

static bool
vb_overlaps(const struct ibv_sge *s, int n, const uint8_t *p, uint32_t len)
{
	for (int i = 0; i < n; i++) {
		if (s[i].addr < (uintptr_t)p + len && s[i].addr + s[i].length > (uintptr_t)p)
			return true;
	}
	return false;
}

/* rig_ext.buf_gone */
static void
vb_buf_gone(const uint8_t *p, uint32_t len)
{
	for (unsigned i = 0; i < VB_QPS; i++) {
		const struct vb_qp *qp = &vb.qp[i];

		if (!qp->used)
			continue;
		for (unsigned k = qp->sq_free; k != qp->sq_tail; k++) {
			const struct vb_wr *w = &qp->sq[k % VB_WRS];

			VB_CHECK(!vb_overlaps(w->sge, w->wr.num_sge, p, len),
				 "memory of a send request that is out is given back");
		}
		for (unsigned k = qp->rq_free; k != qp->rq_tail; k++) {
			const struct vb_recv *r = &qp->rq[k % VB_WRS];

			VB_CHECK(!vb_overlaps(r->sge, r->nsge, p, len),
				 "memory of a RECV that is out is given back");
		}
	}
}

static int
vb_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct vb_qp *qp = (struct vb_qp *)ibqp;

	VB_CHECK(qp->used, "a destroyed QP is posted to");
	vb.posts++;
	for (; wr; wr = wr->next) {
		struct vb_wr *w = &qp->sq[qp->sq_tail % VB_WRS];

		if (vb_fails("ibv_post_send", ENOMEM)) {
			*bad = wr;
			return ENOMEM;
		}
		VB_CHECK(qp->sq_tail - qp->sq_free < qp->cap.max_send_wr,
			 "the send queue overflows");
		VB_CHECK(wr->num_sge > 0 && (uint32_t)wr->num_sge <= qp->cap.max_send_sge,
			 "too many pieces");
		VB_CHECK(wr->opcode != IBV_WR_RDMA_READ || wr->num_sge <= vb.attr.max_sge_rd,
			 "too many pieces of an RDMA Read");
		*w = (struct vb_wr){.wr = *wr};
		for (int i = 0; i < wr->num_sge; i++) {
			vb_check_sge(&wr->sg_list[i]);
			w->sge[i] = wr->sg_list[i];
		}
		w->wr.next = NULL;
		vb.last[vb.nlast % 64] = w->wr;
		vb.last_sge[vb.nlast++ % 64] = w->sge[0];
		qp->sq_tail++;
		vb_account(qp->qp.send_cq);
	}
	return 0;
}

static int
vb_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct vb_qp *qp = (struct vb_qp *)ibqp;

	VB_CHECK(qp->used, "a destroyed QP is posted to");
	for (; wr; wr = wr->next) {
		struct vb_recv *r = &qp->rq[qp->rq_tail % VB_WRS];

		if (vb_fails("ibv_post_recv", ENOMEM)) {
			*bad = wr;
			return ENOMEM;
		}
		VB_CHECK(qp->rq_tail - qp->rq_free < qp->cap.max_recv_wr,
			 "the receive queue overflows");
		VB_CHECK(wr->num_sge > 0 && (uint32_t)wr->num_sge <= qp->cap.max_recv_sge,
			 "too many pieces");
		r->wr_id = wr->wr_id;
		r->nsge = wr->num_sge;
		for (int i = 0; i < wr->num_sge; i++) {
			vb_check_sge(&wr->sg_list[i]);
			r->sge[i] = wr->sg_list[i];
		}
		qp->rq_tail++;
		vb_account(qp->qp.recv_cq);
	}
	return 0;
}

int
rdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct vb_qp *qp = vb.qp;
	const struct ibv_qp_cap *cap = &attr->cap;

	VB_CHECK(!id->qp && pd == &vb.pd, "a QP is made twice");
	if (vb_fails("rdma_create_qp", ENOMEM))
		return -1;
	if ((int)cap->max_send_wr > vb.attr.max_qp_wr ||
	    (int)cap->max_recv_wr > vb.attr.max_qp_wr || (int)cap->max_send_sge > vb.attr.max_sge ||
	    (int)cap->max_recv_sge > vb.attr.max_sge) {
		errno = EINVAL;
		return -1;
	}
	while (qp < vb.qp + VB_QPS && qp->used)
		qp++;
	VB_CHECK(qp < vb.qp + VB_QPS, "enough QPs for the test");
	memset(qp, 0, offsetof(struct vb_qp, sq));
	qp->used = true;
	qp->cap = *cap;
	qp->qp.context = &vb.context;
	qp->qp.pd = pd;
	qp->qp.qp_context = attr->qp_context;
	qp->qp.send_cq = attr->send_cq;
	qp->qp.recv_cq = attr->recv_cq;
	qp->qp.qp_num = ++vb.qp_num;
	qp->peer = ((struct vb_id *)id)->peer;
	qp->peer->qp = qp;
	id->qp = &qp->qp;
	vb.nqp++;
	return 0;
}

/* --- what the device does --- */

static void
vb_break(struct vb_qp *qp)
{
	qp->err = true;
}

static void
vb_flush(struct vb_qp *qp)
{
	for (; qp->sq_cqe != qp->sq_tail; qp->sq_cqe++)
		vb_complete(qp, false, qp->sq[qp->sq_cqe % VB_WRS].wr.wr_id, IBV_WC_WR_FLUSH_ERR, 0,
			    qp->sq_cqe + 1);
	for (; qp->rq_cqe != qp->rq_tail; qp->rq_cqe++)
		vb_complete(qp, true, qp->rq[qp->rq_cqe % VB_WRS].wr_id, IBV_WC_WR_FLUSH_ERR, 0,
			    qp->rq_cqe + 1);
}

void
rdma_destroy_qp(struct rdma_cm_id *id)
{
	struct vb_qp *qp = (struct vb_qp *)id->qp;

	VB_CHECK(qp && qp->used, "a QP goes twice");
	if (vb.flush_late)
		vb_flush(qp);
	for (struct vb_cq *q = vb.cqs; q; q = q->next) {
		for (unsigned i = 0; i < q->n; i++) {
			struct vb_cqe *e = &q->e[(q->at + i) % q->size];

			if (e->qp == qp)
				e->qp = NULL;
		}
	}
	qp->used = false;
	qp->peer->qp = NULL;
	id->qp = NULL;
	vb.nqp--;
}

static int
vb_modify(struct vb_qp *qp)
{
	vb_break(qp);
	return 0;
}

int
ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	VB_CHECK(mask == IBV_QP_STATE && attr->qp_state == IBV_QPS_ERR, "only to break it");
	return vb_modify((struct vb_qp *)qp);
}

static struct vb_mem *
vb_mem_find(struct vb_peer *p, uint32_t stag, uint64_t at, uint64_t n)
{
	for (unsigned i = 0; i < VB_MEMS; i++) {
		struct vb_mem *m = &p->mem[i];

		if (m->valid && m->stag == stag && at >= m->at && at - m->at <= m->n &&
		    n <= m->n - (at - m->at))
			return m;
	}
	return NULL;
}

static enum ibv_wc_status
vb_rdma(struct vb_qp *qp, const struct vb_wr *w)
{
	bool read = w->wr.opcode == IBV_WR_RDMA_READ;
	uint64_t at = w->wr.wr.rdma.remote_addr, n = 0;
	struct vb_mem *m;

	for (int i = 0; i < w->wr.num_sge; i++)
		n += w->sge[i].length;
	m = vb_mem_find(qp->peer, w->wr.wr.rdma.rkey, at, n);
	if (!m || m->out != read)
		return IBV_WC_REM_ACCESS_ERR;
	for (int i = 0; i < w->wr.num_sge; i++) {
		uint8_t *ours = (uint8_t *)(uintptr_t)w->sge[i].addr;
		uint8_t *theirs = m->p + (at - m->at);

		memcpy(read ? ours : theirs, read ? theirs : ours, w->sge[i].length);
		at += w->sge[i].length;
	}
	return IBV_WC_SUCCESS;
}

static enum ibv_wc_status
vb_send_msg(struct vb_qp *qp, const struct vb_wr *w)
{
	struct vb_peer *p = qp->peer;
	uint32_t n = 0;
	struct vb_msg *m;

	for (int i = 0; i < w->wr.num_sge; i++)
		n += w->sge[i].length;
	m = calloc(1, sizeof(*m) + n);
	for (int i = 0; i < w->wr.num_sge; i++) {
		memcpy(m->data + m->n, (void *)(uintptr_t)w->sge[i].addr, w->sge[i].length);
		m->n += w->sge[i].length;
	}
	m->nth = p->done;
	m->fence = w->wr.send_flags & IBV_SEND_FENCE;
	m->has_inv = w->wr.opcode == IBV_WR_SEND_WITH_INV;
	m->inv = m->has_inv ? w->wr.invalidate_rkey : 0;
	for (unsigned i = 0; m->has_inv && i < VB_MEMS; i++) {
		if (p->mem[i].stag == m->inv)
			p->mem[i].valid = false;
	}
	*p->inbox_tail = m;
	p->inbox_tail = &m->next;
	return IBV_WC_SUCCESS;
}

/* Work requests begin in order; an RDMA Read may take its time, which only a fence waits for. */
static bool
vb_execute(struct vb_qp *qp)
{
	bool any = false, reading = false;

	for (unsigned k = qp->sq_cqe; k != qp->sq_tail && !qp->err; k++) {
		struct vb_wr *w = &qp->sq[k % VB_WRS];

		if (w->done)
			continue;
		if (reading && w->wr.send_flags & IBV_SEND_FENCE)
			break;
		if (w->wr.opcode == IBV_WR_RDMA_READ && vb.hold_reads) {
			reading = true;
			continue;
		}
		if ((int)w->wr.opcode == vb.fail_op) {
			vb.fail_op = -1;
			w->st = vb.fail_st;
		} else if (w->wr.opcode == IBV_WR_RDMA_READ || w->wr.opcode == IBV_WR_RDMA_WRITE) {
			w->st = vb_rdma(qp, w);
		} else {
			VB_CHECK(w->wr.opcode == IBV_WR_SEND ||
				     w->wr.opcode == IBV_WR_SEND_WITH_INV,
				 "an opcode that is not ours");
			w->st = vb_send_msg(qp, w);
		}
		w->done = true;
		qp->peer->done++;
		any = true;
		if (w->st != IBV_WC_SUCCESS || vb.slow)
			break;
	}
	return any;
}

static bool
vb_finish(struct vb_qp *qp)
{
	bool any = false;

	for (; qp->sq_cqe != qp->sq_tail && qp->sq[qp->sq_cqe % VB_WRS].done; qp->sq_cqe++) {
		const struct vb_wr *w = &qp->sq[qp->sq_cqe % VB_WRS];

		if (w->st != IBV_WC_SUCCESS || w->wr.send_flags & IBV_SEND_SIGNALED)
			vb_complete(qp, false, w->wr.wr_id, w->st, 0, qp->sq_cqe + 1);
		any = true;
		if (w->st != IBV_WC_SUCCESS) {
			vb_break(qp);
			qp->sq_cqe++;
			break;
		}
	}
	if (!qp->err || vb.never_flush || vb.flush_late)
		return any;
	any |= qp->sq_cqe != qp->sq_tail || qp->rq_cqe != qp->rq_tail;
	vb_flush(qp);
	return any;
}

/* The next message of the initiator lands in the next RECV. */
static bool
vb_land(struct vb_qp *qp)
{
	struct vb_peer *p = qp->peer;
	struct vb_msg *m = p->pend;
	const struct vb_recv *r = &qp->rq[qp->rq_cqe % VB_WRS];
	uint32_t done = 0, room = 0;

	if (!m || qp->err || qp->rq_cqe == qp->rq_tail)
		return false;
	p->pend = m->next;
	if (!p->pend)
		p->pend_tail = &p->pend;
	for (int i = 0; i < r->nsge; i++) {
		uint32_t n = GW_MIN(m->n - done, r->sge[i].length);

		memcpy((void *)(uintptr_t)r->sge[i].addr, m->data + done, n);
		done += n;
		room += r->sge[i].length;
	}
	qp->rq_cqe++;
	vb_complete(qp, true, r->wr_id, m->n > room ? IBV_WC_LOC_LEN_ERR : IBV_WC_SUCCESS, done,
		    qp->rq_cqe);
	if (m->n > room)
		vb_break(qp);
	free(m);
	return true;
}

/* --- the connection manager --- */

static void
vb_event(struct vb_id *id, enum rdma_cm_event_type type, const struct rdma_conn_param *param)
{
	struct vb_event *e = calloc(1, sizeof(*e)), **p = &vb.events;

	e->ev.id = &id->id;
	e->ev.event = type;
	if (param) {
		e->ev.param.conn = *param;
		if (param->private_data) {
			memcpy(e->private_data, param->private_data, param->private_data_len);
			e->ev.param.conn.private_data = e->private_data;
		}
	}
	while (*p)
		p = &(*p)->next;
	*p = e;
}

struct rdma_event_channel *
rdma_create_event_channel(void)
{
	struct rdma_event_channel *ch;

	if (vb_fails("rdma_create_event_channel", ENODEV))
		return NULL;
	ch = calloc(1, sizeof(*ch));
	ch->fd = vb_fd();
	vb.ncm++;
	return ch;
}

void
rdma_destroy_event_channel(struct rdma_event_channel *ch)
{
	for (struct vb_id *id = vb.ids; id; id = id->next)
		VB_CHECK(id->id.channel != ch, "the channel of an id goes");
	close(ch->fd);
	free(ch);
	vb.ncm--;
}

static struct vb_id *
vb_id_new(struct rdma_event_channel *channel, void *context)
{
	struct vb_id *id = calloc(1, sizeof(*id));

	id->id.channel = channel;
	id->id.context = context;
	id->next = vb.ids;
	vb.ids = id;
	vb.nid++;
	return id;
}

int
rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context,
	       enum rdma_port_space ps)
{
	VB_CHECK(ps == RDMA_PS_TCP, "a port as TCP has them");
	if (vb_fails("rdma_create_id", ENOMEM))
		return -1;
	*id = &vb_id_new(channel, context)->id;
	return 0;
}

int
rdma_destroy_id(struct rdma_cm_id *ib)
{
	struct vb_id *id = (struct vb_id *)ib, **p = &vb.ids;
	struct vb_event **e = &vb.events;

	VB_CHECK(!ib->qp, "an id goes before its QP");
	VB_CHECK(id->unacked == 0, "an id goes with an event that is not acknowledged");
	while (*p && *p != id)
		p = &(*p)->next;
	VB_CHECK(*p, "an id goes twice");
	*p = id->next;
	while (*e) {
		struct vb_event *gone = *e;

		if (gone->ev.id != ib) {
			e = &gone->next;
			continue;
		}
		*e = gone->next;
		free(gone);
	}
	for (struct vb_cq *q = vb.cqs; q; q = q->next) {
		for (unsigned i = 0; i < q->n; i++)
			VB_CHECK(q->e[(q->at + i) % q->size].id != ib,
				 "a connection goes before its completions");
	}
	if (id->peer)
		id->peer->id = NULL;
	if (vb.listener == id)
		vb.listener = NULL;
	vb.nid--;
	free(id);
	return 0;
}

int
rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *addr)
{
	if (vb_fails("rdma_bind_addr", EADDRNOTAVAIL))
		return -1;
	memcpy(&id->route.addr.src_addr, addr, sizeof(struct sockaddr_in));
	return 0;
}

int
rdma_listen(struct rdma_cm_id *id, int backlog)
{
	VB_CHECK(backlog > 0, "there is a backlog");
	if (vb_fails("rdma_listen", EADDRINUSE))
		return -1;
	vb.listener = (struct vb_id *)id;
	return 0;
}

int
rdma_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event)
{
	for (struct vb_event **p = &vb.events; *p; p = &(*p)->next) {
		struct vb_event *e = *p;

		if (e->ev.id->channel != channel)
			continue;
		*p = e->next;
		e->taken = true;
		((struct vb_id *)e->ev.id)->unacked++;
		*event = &e->ev;
		return 0;
	}
	errno = EAGAIN;
	return -1;
}

int
rdma_ack_cm_event(struct rdma_cm_event *event)
{
	struct vb_event *e = (struct vb_event *)event;

	VB_CHECK(e->taken, "an event is acknowledged that was not had");
	((struct vb_id *)event->id)->unacked--;
	free(e);
	return 0;
}

const char *
rdma_event_str(enum rdma_cm_event_type event)
{
	(void)event;
	return "event";
}

int
rdma_migrate_id(struct rdma_cm_id *id, struct rdma_event_channel *channel)
{
	VB_CHECK(((struct vb_id *)id)->unacked == 0, "an id moves with an event");
	if (vb_fails("rdma_migrate_id", ENODEV))
		return -1;
	id->channel = channel;
	return 0;
}

int
rdma_accept(struct rdma_cm_id *ib, struct rdma_conn_param *param)
{
	struct vb_peer *p = ((struct vb_id *)ib)->peer;

	VB_CHECK(p && !p->accepted && !p->rejected, "it is accepted twice");
	VB_CHECK(p->qp && p->qp->rq_tail > 0, "RECVs are posted before it can send");
	VB_CHECK(param->initiator_depth > 0, "RDMA Reads can be had");
	if (vb_fails("rdma_accept", ECONNREFUSED))
		return -1;
	p->accepted = true;
	p->param = *param;
	memcpy(p->private_data, param->private_data, GW_MIN(param->private_data_len, 8));
	return 0;
}

int
rdma_reject(struct rdma_cm_id *ib, const void *private_data, uint8_t len)
{
	struct vb_peer *p = ((struct vb_id *)ib)->peer;

	(void)private_data;
	(void)len;
	VB_CHECK(!p->accepted && !p->rejected, "it is rejected after an answer");
	p->rejected = true;
	return 0;
}

int
rdma_disconnect(struct rdma_cm_id *ib)
{
	struct vb_id *id = (struct vb_id *)ib;

	VB_CHECK(ib->qp, "a QP to disconnect");
	if (vb_fails("rdma_disconnect", EINVAL))
		return -1;
	vb_break((struct vb_qp *)ib->qp);
	if (!id->peer->disconnected)
		vb_event(id, RDMA_CM_EVENT_DISCONNECTED, NULL);
	id->peer->disconnected = true;
	return 0;
}

/* --- the loop --- */

/* rig_ext.readable */
static bool
vb_readable(int fd)
{
	for (const struct vb_cq *q = vb.cqs; q; q = q->next) {
		if (q->cq.channel->fd == fd && q->events > 0)
			return true;
	}
	for (const struct vb_event *e = vb.events; e; e = e->next) {
		if (e->ev.id->channel->fd == fd)
			return true;
	}
	return vb.context.async_fd == fd && vb.nasync > 0;
}

/* rig_ext.turn */
static bool
vb_turn(void)
{
	bool any = false;

	rig.core.now++; /* each turn has its own */
	for (struct vb_peer *p = vb.peers; p; p = p->next) {
		if (p->accepted && !p->established && !vb.late && p->id) {
			p->established = any = true;
			vb_event(p->id, RDMA_CM_EVENT_ESTABLISHED, NULL);
		}
	}
	for (unsigned i = 0; i < VB_QPS && !(any && vb.slow); i++) {
		struct vb_qp *qp = &vb.qp[i];

		if (!qp->used || !qp->peer->accepted)
			continue;
		any |= !vb.hold_sends && vb_execute(qp);
		if (!(any && vb.slow))
			any |= vb_finish(qp);
		if (!(any && vb.slow))
			any |= vb_land(qp);
	}
	return any;
}

static void
vb_listen(void)
{
	char err[128] = "";

	vb.portal = (struct gw_portal){.host = "192.0.2.1", .port = 3260};
	if (iser_listen(&vb.portal, err, sizeof(err)) != 0 || !vb.listener) {
		fprintf(stderr, "verbs: %s\n", err);
		abort();
	}
	iser_accept(&vb.portal);
	rig_run();
}

/* A device as they are today; change vb.attr before vb_listen(). */
static void
vb_init(void)
{
	rig_init();
	memset(&vb, 0, offsetof(__typeof__(vb), arena));
	for (unsigned i = 0; i < VB_QPS; i++)
		vb.qp[i].used = false;
	rig_ext.buf_gone = vb_buf_gone;
	rig_ext.readable = vb_readable;
	rig_ext.turn = vb_turn;
	rig_ext.round = 3; /* padding is sent from behind the data */
	vb.fail_op = -1;
	vb.device.transport_type = IBV_TRANSPORT_IB;
	vb.context.device = &vb.device;
	vb.context.num_comp_vectors = 1;
	vb.context.async_fd = vb_fd();
	vb.context.ops.poll_cq = vb_poll_cq;
	vb.context.ops.req_notify_cq = vb_req_notify_cq;
	vb.context.ops.post_send = vb_post_send;
	vb.context.ops.post_recv = vb_post_recv;
	vb.attr = (struct ibv_device_attr){
	    .device_cap_flags = IBV_DEVICE_MEM_MGT_EXTENSIONS,
	    .max_sge = 32,
	    .max_sge_rd = 32,
	    .max_qp_wr = 16384,
	    .max_cqe = 32768,
	    .max_qp_init_rd_atom = 16,
	};
	rig.params.max_recv_dsl = rig.params.max_xmit_dsl = ISCSI_LOGIN_DSL;
	rig.params.initial_r2t = true;
	rig.params.first_burst = ISCSI_LOGIN_DSL;
	rig.params.rdma_extensions = true;
}

static void
vb_free_msgs(struct vb_msg *m)
{
	while (m) {
		struct vb_msg *next = m->next;

		free(m);
		m = next;
	}
}

static void
vb_peers_free(void)
{
	while (vb.peers) {
		struct vb_peer *p = vb.peers;

		vb.peers = p->next;
		vb_free_msgs(p->inbox);
		vb_free_msgs(p->pend);
		for (unsigned i = 0; i < VB_MEMS; i++)
			free(p->mem[i].p);
		free(p);
	}
}

/* No connection is left: the core has all of its own back, and the device nothing but the portal.
 */
static bool
vb_clean(void)
{
	bool ok = rig_clean() && vb.nqp == 0 && vb.nid == (vb.listener ? 1 : 0) && !vb.events;

	for (const struct vb_cq *q = vb.cqs; q; q = q->next)
		ok &= q->n == 0;
	for (const struct iser_dev *dev = iser_devs(); dev; dev = dev->next) {
		const struct iser_cq *q = dev->cq[0];

		ok &= (!q || (q->reserved[0] == 0 && q->reserved[1] == 0 && q->watchers == 0 &&
			      q->out == 0));
	}
	if (!ok)
		fprintf(stderr, "verbs: qps=%u ids=%u events=%d\n", vb.nqp, vb.nid, !!vb.events);
	return ok;
}

/* Closes all; nothing is left. */
static bool
vb_fini(void)
{
	bool ok;

	iser_unlisten(&vb.portal);
	iser_stop();
	iser_fini();
	ok = vb.npd == 0 && vb.nmr == 0 && vb.nqp == 0 && vb.nid == 0 && vb.nchannel == 0 &&
	     vb.ncm == 0 && !vb.cqs && !vb.events;
	if (!ok)
		fprintf(stderr, "verbs: pds=%u mrs=%u qps=%u ids=%u channels=%u %u\n", vb.npd,
			vb.nmr, vb.nqp, vb.nid, vb.nchannel, vb.ncm);
	close(vb.context.async_fd);
	vb_peers_free();
	rig_fini();
	return ok;
}

/* --- the initiator's end --- */

/* Asks to connect; reads: how many RDMA Reads it serves at once. */
static struct vb_peer *
vb_connect_as(uint8_t reads, const void *private_data, uint8_t len)
{
	struct vb_peer *p = calloc(1, sizeof(*p));
	struct vb_id *id = vb_id_new(vb.listener->id.channel, vb.listener->id.context);
	const struct rdma_conn_param param = {.private_data = private_data,
					      .private_data_len = len,
					      .responder_resources = 1,
					      .initiator_depth = reads};
	struct sockaddr_in *to = &id->id.route.addr.src_sin, *from = &id->id.route.addr.dst_sin;

	from->sin_family = to->sin_family = AF_INET;
	inet_pton(AF_INET, "192.0.2.1", &to->sin_addr);
	inet_pton(AF_INET, "192.0.2.7", &from->sin_addr);
	id->id.verbs = &vb.context;
	id->peer = p;
	p->id = id;
	p->inbox_tail = &p->inbox;
	p->pend_tail = &p->pend;
	p->next = vb.peers;
	vb.peers = p;
	vb_event(id, RDMA_CM_EVENT_CONNECT_REQUEST, &param);
	return p;
}

/* As Linux's initiator does: no zero-based addresses, SEND with invalidate. */
static struct vb_peer *
vb_connect(void)
{
	static const uint8_t hello[4] = {0x80};

	return vb_connect_as(16, hello, sizeof(hello));
}

static void
vb_put(struct vb_peer *p, const void *data, uint32_t n)
{
	struct vb_msg *m = calloc(1, sizeof(*m) + n);

	memcpy(m->data, data, n);
	m->n = n;
	*p->pend_tail = m;
	p->pend_tail = &m->next;
}

/* The next message that came, the caller's to free; NULL: none. */
static struct vb_msg *
vb_get(struct vb_peer *p)
{
	struct vb_msg *m = p->inbox;

	if (!m)
		return NULL;
	p->inbox = m->next;
	if (!p->inbox)
		p->inbox_tail = &p->inbox;
	return m;
}

/* n bytes of memory under that name, which begin at `at`. */
static struct vb_mem *
vb_mem(struct vb_peer *p, uint32_t stag, uint64_t at, uint32_t n, bool out)
{
	struct vb_mem *m = p->mem;

	while (m < p->mem + VB_MEMS && m->valid && m->stag != stag)
		m++;
	VB_CHECK(m < p->mem + VB_MEMS, "memory for the test");
	free(m->p);
	*m = (struct vb_mem){
	    .valid = true, .out = out, .stag = stag, .at = at, .p = calloc(1, n + 1), .n = n};
	return m;
}

/* The initiator goes away. */
static void
vb_hangup(struct vb_peer *p)
{
	if (p->id && p->accepted && !p->disconnected) {
		p->disconnected = true;
		vb_event(p->id, RDMA_CM_EVENT_DISCONNECTED, NULL);
	}
}

#endif
