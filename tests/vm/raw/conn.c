/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/vm/raw/raw.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IS_SEND    (1ull << 32)
#define IS_RDMA    (1ull << 33)
#define RESOLVE_MS 5000
#define CONNECT_MS 60000
#define SLOT_MS    60000

unsigned raw_connections;
uint16_t raw_port;

uint64_t
raw_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct raw_conn *
raw_new(void)
{
	struct raw_conn *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->event = -1;
	c->reads = 16;
	c->recvs = RAW_RECVS;
	c->sends = RAW_SENDS;
	c->events = rdma_create_event_channel();
	if (!c->events || rdma_create_id(c->events, &c->id, c, RDMA_PS_TCP)) {
		perror("rdma_cm");
		exit(2);
	}
	fcntl(c->events->fd, F_SETFL, fcntl(c->events->fd, F_GETFL) | O_NONBLOCK);
	return c;
}

bool
raw_mem_new(struct raw_conn *c, struct raw_mem *m, size_t len, int access)
{
	void *p;

	if (posix_memalign(&p, 4096, len))
		abort();
	memset(p, 0, len);
	*m = (struct raw_mem){.p = p, .len = len};
	m->mr = ibv_reg_mr(c->id->pd, p, len, access);
	return m->mr;
}

void
raw_mem_free(struct raw_mem *m)
{
	if (m->mr)
		ibv_dereg_mr(m->mr);
	free(m->p);
	*m = (struct raw_mem){0};
}

static bool
post_recv(struct raw_conn *c, unsigned slot)
{
	struct ibv_sge sge = {(uintptr_t)(c->recv.p + (size_t)slot * RAW_RECV_SLOT), RAW_RECV_SLOT,
			      c->recv.mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = slot, .sg_list = &sge, .num_sge = 1}, *bad;

	return ibv_post_recv(c->id->qp, &wr, &bad) == 0;
}

static bool
make_queues(struct raw_conn *c)
{
	struct ibv_qp_init_attr attr = {.qp_type = IBV_QPT_RC, .sq_sig_all = 1};

	c->wake = ibv_create_comp_channel(c->id->verbs);
	if (!c->wake)
		return false;
	c->cq = ibv_create_cq(c->id->verbs, 2 * (RAW_RECVS + RAW_SENDS), NULL, c->wake, 0);
	if (!c->cq)
		return false;
	attr.send_cq = attr.recv_cq = c->cq;
	attr.cap = (struct ibv_qp_cap){.max_send_wr = RAW_SENDS,
				       .max_recv_wr = RAW_RECVS,
				       .max_send_sge = 1,
				       .max_recv_sge = 1};
	if (rdma_create_qp(c->id, NULL, &attr))
		return false;
	if (!raw_mem_new(c, &c->recv, (size_t)c->recvs * RAW_RECV_SLOT, IBV_ACCESS_LOCAL_WRITE) ||
	    !raw_mem_new(c, &c->send, (size_t)c->sends * RAW_SEND_SLOT, IBV_ACCESS_LOCAL_WRITE))
		return false;
	for (unsigned i = 0; i < c->recvs; i++) {
		if (!post_recv(c, i))
			return false;
	}
	return true;
}

/* One event of the connection manager, if there is one. */
static bool
take_event(struct raw_conn *c)
{
	struct rdma_cm_event *ev;

	if (rdma_get_cm_event(c->events, &ev))
		return false;
	c->event = ev->event;
	switch (ev->event) {
	case RDMA_CM_EVENT_ESTABLISHED:
		c->up = true;
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_REJECTED:
		c->refused = true;
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		c->ended = true;
		break;
	default:
		break;
	}
	rdma_ack_cm_event(ev);
	return true;
}

static enum raw_got
take_recv(struct raw_conn *c, unsigned slot, uint32_t n)
{
	memcpy(c->in, c->recv.p + (size_t)slot * RAW_RECV_SLOT, n);
	if (!c->deaf)
		(void)post_recv(c, slot);
	return raw_pdu_parse(c, n) ? RAW_PDU : RAW_OTHER;
}

static enum raw_got
take_completion(struct raw_conn *c)
{
	struct ibv_wc wc;

	if (!c->cq || ibv_poll_cq(c->cq, 1, &wc) <= 0)
		return RAW_NOTHING;
	if (wc.wr_id & IS_SEND)
		c->busy &= ~(1ull << (wc.wr_id & 63));
	if (wc.status != IBV_WC_SUCCESS) {
		if (!c->failed)
			c->failed = wc.status;
		return RAW_OTHER;
	}
	if (wc.wr_id & IS_RDMA)
		c->rdma_done++;
	if (wc.wr_id & (IS_SEND | IS_RDMA))
		return RAW_OTHER;
	return take_recv(c, (unsigned)wc.wr_id, wc.byte_len);
}

enum raw_got
raw_step(struct raw_conn *c, uint64_t until)
{
	enum raw_got got;
	uint64_t now;

	for (;;) {
		struct pollfd fds[2] = {{.fd = c->events->fd, .events = POLLIN},
					{.fd = c->wake ? c->wake->fd : -1, .events = POLLIN}};

		if (c->cq && ibv_req_notify_cq(c->cq, 0))
			return RAW_NOTHING;
		if ((got = take_completion(c)))
			return got;
		if (take_event(c))
			return RAW_OTHER;
		now = raw_now_ms();
		if (now >= until)
			return RAW_NOTHING;
		if (poll(fds, 2, (int)(until - now)) <= 0)
			continue;
		if (fds[1].revents) {
			struct ibv_cq *cq;
			void *context;

			if (ibv_get_cq_event(c->wake, &cq, &context) == 0)
				ibv_ack_cq_events(cq, 1);
		}
	}
}

static bool
wait_event(struct raw_conn *c, int event)
{
	uint64_t until = raw_now_ms() + CONNECT_MS;

	while (c->event != event && !c->refused && raw_step(c, until) != RAW_NOTHING)
		;
	return c->event == event;
}

bool
raw_open(struct raw_conn *c, const struct raw_where *w)
{
	struct sockaddr_in addr = w->addr, own = {.sin_family = AF_INET};

	c->lun = w->lun;
	own.sin_port = htons((uint16_t)(raw_port + raw_connections));
	if (raw_port && rdma_bind_addr(c->id, (struct sockaddr *)&own))
		return false;
	return rdma_resolve_addr(c->id, NULL, (struct sockaddr *)&addr, RESOLVE_MS) == 0 &&
	       wait_event(c, RDMA_CM_EVENT_ADDR_RESOLVED) &&
	       rdma_resolve_route(c->id, RESOLVE_MS) == 0 &&
	       wait_event(c, RDMA_CM_EVENT_ROUTE_RESOLVED) && make_queues(c);
}

bool
raw_request(struct raw_conn *c, const void *private_data, uint8_t len)
{
	struct rdma_conn_param param = {.private_data = private_data,
					.private_data_len = len,
					.responder_resources = c->reads,
					.initiator_depth = 16,
					.retry_count = 7,
					.rnr_retry_count = 7};

	raw_connections++;
	return rdma_connect(c->id, &param) == 0;
}

bool
raw_connect(struct raw_conn *c, const struct raw_where *w)
{
	const uint8_t private_data[4] = {c->able ? 0x80 : 0xc0};

	if (!raw_open(c, w) || !raw_request(c, private_data, sizeof(private_data)) ||
	    !wait_event(c, RDMA_CM_EVENT_ESTABLISHED))
		return false;
	c->port = ntohs(rdma_get_src_port(c->id));
	return true;
}

bool
raw_send(struct raw_conn *c, const void *p, uint32_t n)
{
	uint64_t until = raw_now_ms() + SLOT_MS;
	struct ibv_sge sge = {.length = n, .lkey = c->send.mr->lkey};
	struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = n > 0, .opcode = IBV_WR_SEND}, *bad;
	unsigned slot;

	while (__builtin_popcountll(c->busy) == c->sends) {
		if (c->ended || c->failed || raw_step(c, until) == RAW_NOTHING)
			return false;
	}
	slot = (unsigned)__builtin_ctzll(~c->busy);
	sge.addr = (uintptr_t)(c->send.p + (size_t)slot * RAW_SEND_SLOT);
	if (n)
		memcpy(c->send.p + (size_t)slot * RAW_SEND_SLOT, p, n);
	wr.wr_id = IS_SEND | slot;
	if (ibv_post_send(c->id->qp, &wr, &bad))
		return false;
	c->busy |= 1ull << slot;
	return true;
}

bool
raw_rdma(struct raw_conn *c, enum ibv_wr_opcode op, struct raw_mem *m, uint32_t rkey, uint64_t at)
{
	struct ibv_sge sge = {(uintptr_t)m->p, (uint32_t)m->len, m->mr->lkey};
	struct ibv_send_wr wr = {.wr_id = IS_RDMA,
				 .sg_list = &sge,
				 .num_sge = 1,
				 .opcode = op,
				 .wr.rdma = {.remote_addr = at, .rkey = rkey}},
			   *bad;

	return ibv_post_send(c->id->qp, &wr, &bad) == 0;
}

void
raw_drop(struct raw_conn *c)
{
	if (!c)
		return;
	if (c->id && c->id->qp)
		rdma_destroy_qp(c->id);
	raw_mem_free(&c->recv);
	raw_mem_free(&c->send);
	if (c->cq)
		ibv_destroy_cq(c->cq);
	if (c->wake)
		ibv_destroy_comp_channel(c->wake);
	if (c->id)
		rdma_destroy_id(c->id);
	if (c->events)
		rdma_destroy_event_channel(c->events);
	free(c);
}

void
raw_close(struct raw_conn *c)
{
	if (c && c->up)
		rdma_disconnect(c->id);
	raw_drop(c);
}
