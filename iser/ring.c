/* SPDX-License-Identifier: BSD-3-Clause */
/* The RECV ring: its memory, and what is posted of it. */
#include <stdlib.h>

#include "iser/conn.h"

#define HEAD_ROOM 128u /* for a header, in cache lines of its own */

_Static_assert(ISER_HEAD_LEN <= HEAD_ROOM, "a header fits");
_Static_assert(GW_SEG_MAX % ISER_DATA == 0, "no data segment lies in two pieces of memory");
_Static_assert((uint64_t)ISER_RQ * HEAD_ROOM <= GW_SEG_MAX, "all headers lie in one piece");
_Static_assert((uint64_t)ISER_RQ * ISER_DATA <= GW_XFER_MAX, "all data lies in one buffer");

static void
slot_init(struct iser_conn *ic, const struct iser_ring *r, uint32_t i)
{
	struct iser_slot *s = &r->slot[i];
	uint32_t at = i * ISER_DATA;

	s->wr = (struct iser_wr){ISER_WR_RECV, ic};
	gw_list_init(&s->node);
	s->head = (uint8_t *)r->heads.iov[0].iov_base + (size_t)i * HEAD_ROOM;
	s->data = (uint8_t *)r->data.iov[at / GW_SEG_MAX].iov_base + at % GW_SEG_MAX;
}

bool
iser_mem_get(struct iser_conn *ic, uint32_t len, struct gw_sg *sg)
{
	struct iser_core *k = iser_core_of(ic->conn.core);

	if (k->mem + len > gw_buf_total(k->core) / 2 || !gw_buf_get(k->core, len, sg))
		return false;
	k->mem += len;
	return true;
}

void
iser_mem_put(struct iser_conn *ic, struct gw_sg *sg)
{
	if (sg->n)
		iser_core_of(ic->conn.core)->mem -= sg->len;
	gw_buf_put(ic->conn.core, sg);
}

bool
iser_ring_open(struct iser_conn *ic, struct iser_ring *r, uint32_t n)
{
	r->slot = calloc(n, sizeof(*r->slot));
	if (!r->slot)
		return false;
	if (!iser_mem_get(ic, n * HEAD_ROOM, &r->heads) ||
	    !iser_mem_get(ic, n * ISER_DATA, &r->data) ||
	    !iser_cq_reserve(ic->cq, ISER_RECEIVED, n)) {
		iser_ring_close(ic, r);
		return false;
	}
	r->n = n;
	ic->reserved[ISER_RECEIVED] += n;
	for (uint32_t i = 0; i < n; i++) {
		slot_init(ic, r, i);
		iser_ring_post(&r->slot[i]);
	}
	return true;
}

void
iser_ring_close(struct iser_conn *ic, struct iser_ring *r)
{
	iser_mem_put(ic, &r->heads);
	iser_mem_put(ic, &r->data);
	free(r->slot);
	r->slot = NULL;
	r->n = 0;
}

void
iser_ring_post(struct iser_slot *s)
{
	struct iser_conn *ic = s->wr.conn;
	uint32_t key = ic->cq->dev->mr->lkey;
	struct ibv_sge sge[2] = {{(uintptr_t)s->head, ISER_HEAD_LEN, key},
				 {(uintptr_t)s->data, ISER_DATA, key}};
	struct ibv_recv_wr wr = {
	    .wr_id = (uintptr_t)&s->wr, .sg_list = sge, .num_sge = 2}, *bad;

	if (ic->conn.dying)
		return;
	if (ibv_post_recv(ic->id->qp, &wr, &bad)) {
		/* Before it serves, who makes it counts them. */
		if (ic->conn.state != ISCSI_S1_FREE)
			iscsi_conn_end(&ic->conn, "its queue pair takes no more RECVs");
		return;
	}
	ic->posted++;
}
