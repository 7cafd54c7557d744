/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections over RDMA while all goes well: what is posted, and where data goes. */
#include "tests/unit/base/suite.h"
#include "tests/unit/iser/ini.h"

#define MIB (1u << 20)

/* The work request that was posted `ago` before the last. */
static const struct ibv_send_wr *
posted(unsigned ago)
{
	return &vb.last[(vb.nlast - 1 - ago) % 64];
}

/* One call posts the data and the response behind it. */
static void
read_one(struct vi *i, bool inv)
{
	struct vb_mem *m = vi_mem(i, 1, 5000, false);
	struct vb_msg *rsp;
	uint64_t posts = vb.posts;
	unsigned n = vb.nlast;

	vi_fill(rig.disk + 300, 5000, 9);
	(void)vi_read(i, m, 300, false);
	rsp = vi_get(i, ISCSI_OP_SCSI_RSP);
	ck_assert_uint_eq(vb.posts, posts + 1);
	ck_assert_uint_eq(vb.nlast, n + 2);
	ck_assert_int_eq(posted(1)->opcode, IBV_WR_RDMA_WRITE);
	ck_assert_uint_eq(posted(1)->wr.rdma.rkey, VI_STAG + 1);
	ck_assert_uint_eq(posted(1)->wr.rdma.remote_addr, m->at);
	ck_assert(!(posted(1)->send_flags & IBV_SEND_SIGNALED));
	ck_assert_int_eq(posted(0)->opcode, inv ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND);
	ck_assert(posted(0)->send_flags & IBV_SEND_SIGNALED);
	ck_assert(memcmp(m->p, rig.disk + 300, 5000) == 0);
	ck_assert_int_eq(rsp->has_inv, inv);
	if (inv)
		ck_assert_uint_eq(rsp->inv, VI_STAG + 1);
	ck_assert_int_eq(m->valid, !inv);
	free(rsp);
}

START_TEST(test_read)
{
	static const uint8_t no_inv[4] = {0x40};
	struct vi i;

	vi_up();
	vi_login(&i, 'a');
	ck_assert_uint_eq(i.p->private_data[0], 0x80);
	read_one(&i, true);
	vi_leave(&i);
	ck_assert_uint_gt(vi_login_on(&i, vb_connect_as(16, no_inv, 4), 'a', ""), 0);
	ck_assert_uint_eq(i.p->private_data[0], 0xc0);
	read_one(&i, false);
	vi_leave(&i);
	/* Who says nothing of it cannot. */
	ck_assert_uint_gt(vi_login_on(&i, vb_connect_as(16, NULL, 0), 'a', ""), 0);
	read_one(&i, false);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* Data that came with its command is used where it is, and its RECV is not posted meanwhile. */
START_TEST(test_write_in_place)
{
	struct vi i;
	struct vb_mem *m;
	uint32_t itt, all;
	uint8_t *used;

	vi_up();
	vi_login(&i, 'a');
	all = vi_conn(&i)->posted;
	ck_assert_uint_eq(all, rig.target.params.queue_depth + VI_BESIDE);
	m = vi_mem(&i, 1, 4096, true);
	itt = vi_write(&i, m, 4096, 1000, true);
	rig_run();
	ck_assert_uint_eq(rig.nheld, 1);
	ck_assert_uint_eq(vi_conn(&i)->posted, all - 1);
	used = rig.held[0]->iov[0].iov_base;
	ck_assert_uint_eq(rig.held[0]->iov[0].iov_len, 4096);
	for (unsigned k = 0; k < all; k++)
		ck_assert_ptr_ne((void *)(uintptr_t)i.p->qp->rq[k].sge[1].addr, NULL);
	ck_assert(memcmp(used, m->p, 4096) == 0);
	rig_release();
	vi_good(&i, itt);
	vi_settle();
	ck_assert_uint_eq(vi_conn(&i)->posted, all);
	ck_assert(memcmp(rig.disk + 1000, m->p, 4096) == 0);
	/* Without memory of its own: all that was taken lies in the ring. */
	ck_assert_uint_eq(vi_conn(&i)->conn.mem, 0);
	/* Where it does not lie as the backend wants it, it is copied, and the RECV is free. */
	rig.dma_align = 2 * MIB;
	itt = vi_write(&i, m, 4096, 9000, true);
	rig_run();
	ck_assert_uint_eq(rig.nheld, 1);
	ck_assert_uint_eq(vi_conn(&i)->posted, all);
	rig_release();
	vi_good(&i, itt);
	ck_assert(memcmp(rig.disk + 9000, m->p, 4096) == 0);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* What did not come with the command is read, from where its memory begins. */
static void
write_rest(struct vi *i, uint32_t len, uint32_t imm, uint32_t off)
{
	struct vb_mem *m = vi_mem(i, 2, len, true);
	uint32_t itt = vi_write(i, m, imm, off, false);
	unsigned before = vb.nlast;

	vi_good(i, itt);
	ck_assert(memcmp(rig.disk + off, m->p, len) == 0);
	ck_assert_int_eq(vb.last[before % 64].opcode, IBV_WR_RDMA_READ);
	ck_assert_uint_eq(vb.last[before % 64].wr.rdma.remote_addr, VI_BASE + 0x2000000 + imm);
	ck_assert_uint_eq(vb.last[before % 64].wr.rdma.rkey, VI_STAG + 2);
}

START_TEST(test_write_by_rdma_read)
{
	struct vi i;

	vi_up();
	vi_login(&i, 'a');
	write_rest(&i, 20000, 0, 5);
	write_rest(&i, 20000, 4096, 70000);
	write_rest(&i, 20000, 8192, 0);
	write_rest(&i, 3 * MIB + 77, 1, 100);
	write_rest(&i, 3 * MIB, 8192, 1);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* Devices that take few pieces get several work requests. */
START_TEST(test_few_pieces)
{
	struct vi i;
	struct vb_mem *m;
	uint32_t itt;
	unsigned before;

	vb_init();
	vb.attr.max_sge = 2;
	vb.attr.max_sge_rd = 1;
	vb_listen();
	vi_login(&i, 'a');
	m = vi_mem(&i, 1, 3 * MIB, true);
	before = vb.nlast;
	itt = vi_write(&i, m, 0, 0, false);
	vi_good(&i, itt);
	ck_assert_uint_eq(vb.nlast, before + 4);
	for (unsigned k = 0; k < 3; k++) {
		const struct ibv_send_wr *w = &vb.last[(before + k) % 64];

		ck_assert_int_eq(w->opcode, IBV_WR_RDMA_READ);
		ck_assert_int_eq(w->num_sge, 1);
		ck_assert_uint_eq(w->wr.rdma.remote_addr, m->at + k * MIB);
		/* The last alone completes. */
		ck_assert_int_eq(!!(w->send_flags & IBV_SEND_SIGNALED), k == 2);
	}
	ck_assert(memcmp(rig.disk, m->p, 3 * MIB) == 0);
	m = vi_mem(&i, 2, 3 * MIB, false);
	before = vb.nlast;
	itt = vi_read(&i, m, 0, false);
	vi_good(&i, itt);
	ck_assert_uint_eq(vb.nlast, before + 3);
	ck_assert(memcmp(rig.disk, m->p, 3 * MIB) == 0);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* Several commands of a turn leave in one post. */
START_TEST(test_batching)
{
	struct vi i;
	uint32_t itt = 0;
	uint64_t posts;

	vi_up();
	vi_login(&i, 'a');
	for (unsigned k = 0; k < 12; k++)
		itt = vi_read(&i, vi_mem(&i, k, 512, false), k * 512, true);
	rig_run();
	posts = vb.posts;
	rig_release();
	rig_run();
	ck_assert_uint_eq(vb.posts, posts + 1);
	for (unsigned k = 0; k < 12; k++)
		vi_good(&i, itt - 11 + k);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* Answers for which the send queue has no room wait until some have gone. */
static void
send_queue_full(uint32_t n, unsigned places)
{
	struct vi i;
	struct vb_mem *m;
	uint32_t first;
	unsigned before;

	vb_init();
	vb.attr.max_qp_wr = (int)places;
	rig.target.params.queue_depth = n;
	vb_listen();
	vi_login(&i, 'a');
	vi_settle();
	m = vi_mem(&i, 1, 512, false);
	i.p->mem[0].valid = true;
	vb.hold_sends = true;
	before = vb.nlast;
	first = i.itt;
	for (unsigned k = 0; k < n; k++)
		(void)vi_read(&i, m, 0, false);
	rig_run();
	ck_assert_uint_gt(vb.nlast - before, GW_MIN(ISER_SQ, places) - 2 * (GW_SG_MAX + 1));
	ck_assert_uint_lt(vb.nlast - before, 2 * n);
	ck_assert(vi_conn(&i)->conn.tx_full);
	ck_assert_uint_gt(vi_conn(&i)->stats.full, 0);
	/* Each invalidates the memory that all use. */
	vi_conn(&i)->send_inv = false;
	for (unsigned k = 0; k < VB_WRS; k++) {
		if (i.p->qp->sq[k].wr.opcode == IBV_WR_SEND_WITH_INV)
			i.p->qp->sq[k].wr.opcode = IBV_WR_SEND;
	}
	vb.hold_sends = false;
	for (unsigned k = 0; k < n; k++)
		vi_good(&i, first + k);
	ck_assert(!vi_conn(&i)->conn.tx_full);
	vi_leave(&i);
	vi_down();
}

START_TEST(test_send_queue_full)
{
	send_queue_full(200, 16384);
	/* A short one: here it is the places that are short, not the SENDs. */
	send_queue_full(44, 64);
}
END_TEST

/* RECVs for all credits, before the answer that grants them. */
START_TEST(test_ring_has_the_window)
{
	static const uint32_t depth[] = {1, 16, 128, 512, 1000};

	for (unsigned k = 0; k < GW_ARRAY_LEN(depth); k++) {
		uint32_t want = GW_MIN(depth[k], ISER_DEPTH_MAX);
		struct vi i;

		vb_init();
		rig.target.params.queue_depth = depth[k];
		vb_listen();
		ck_assert_uint_eq(vi_login_on(&i, vb_connect(), 'a', ""), want);
		ck_assert_uint_eq(i.p->qp->rq_tail - i.p->qp->rq_cqe, want + VI_BESIDE);
		vi_leave(&i);
		vi_down();
	}
}
END_TEST

START_TEST(test_ring_of_small_devices)
{
	static const int wr[] = {10000, 300, 256, 100};

	for (unsigned k = 0; k < GW_ARRAY_LEN(wr); k++) {
		struct vi i;

		vb_init();
		vb.attr.max_qp_wr = wr[k];
		rig.target.params.queue_depth = 512;
		vb_listen();
		ck_assert_uint_eq(vi_login_on(&i, vb_connect(), 'a', ""),
				  GW_MIN(512, wr[k] - (int)VI_BESIDE));
		vi_leave(&i);
		vi_down();
	}
}
END_TEST

START_TEST(test_ring_when_memory_is_short)
{
	struct vi i;
	struct vb_peer *p;

	vb_init();
	rig.target.params.queue_depth = 64;
	vb_listen();
	p = vb_connect();
	rig_run();
	ck_assert(p->accepted);
	/* The login's own, and slots for half a half of the window. */
	rig.buf_limit = rig.buf_used + ISCSI_LOGIN_DSL + 40 * (ISER_DATA + 128);
	ck_assert_uint_eq(vi_login_on(&i, p, 'a', ""), 16);
	vi_leave(&i);
	ck_assert(vb_clean());
	/* Not even for one command: refused, with an answer. */
	rig.buf_limit = 64u << 20;
	p = vb_connect();
	rig_run();
	rig.buf_limit = rig.buf_used + ISCSI_LOGIN_DSL + 10 * (ISER_DATA + 128);
	ck_assert_uint_eq(vi_login_on(&i, p, 'a', ""), 0);
	vi_settle();
	ck_assert_ptr_null(p->id);
	vi_down();
}
END_TEST

/* The first message may be here before the connection is known to stand. */
START_TEST(test_first_message_before_established)
{
	struct vi i;

	vi_up();
	vb.late = true;
	vi_login(&i, 'a');
	ck_assert_int_eq(vi_conn(&i)->state, ISER_LIVE);
	vb.late = false;
	rig_run();
	ck_assert(i.p->established);
	ck_assert_int_eq(vi_conn(&i)->state, ISER_LIVE);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* Control PDUs: short and long data, both ways. */
START_TEST(test_text_and_nop)
{
	struct vi i;
	struct vb_msg *m;
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_NOP_OUT, 0x80}, data[8000];

	vi_up();
	vi_login(&i, 'a');
	vi_fill(data, sizeof(data), 3);
	gw_put_be32(bhs + ISCSI_AT_ITT, 7);
	gw_put_be32(bhs + ISCSI_AT_TTT, ISCSI_RESERVED_TAG);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn++);
	vi_put(&i, bhs, NULL, 0, NULL, data, sizeof(data));
	m = vi_get(&i, ISCSI_OP_NOP_IN);
	ck_assert_uint_eq(m->n, ISER_HEAD_LEN + sizeof(data));
	ck_assert(memcmp(m->data + ISER_HEAD_LEN, data, sizeof(data)) == 0);
	free(m);
	/* Padded to whole words (RFC 7143 11.2.3). */
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn++);
	vi_put(&i, bhs, NULL, 0, NULL, data, 4093);
	m = vi_get(&i, ISCSI_OP_NOP_IN);
	ck_assert_uint_eq(m->n, ISER_HEAD_LEN + 4096);
	ck_assert(memcmp(m->data + ISER_HEAD_LEN + 4093, "\0\0\0", 3) == 0);
	free(m);
	/* Refused: the header comes back as the data of a Reject. */
	bhs[0] = 0x1c;
	vi_put(&i, bhs, NULL, 0, NULL, NULL, 0);
	m = vi_get(&i, ISCSI_OP_REJECT);
	ck_assert_uint_eq(m->n, ISER_HEAD_LEN + ISCSI_BHS_LEN);
	ck_assert(memcmp(m->data + ISER_HEAD_LEN, bhs, 1) == 0);
	free(m);
	vi_leave(&i);
	vi_down();
}
END_TEST

static void
hello_put(struct vi *i, uint8_t versions, uint16_t ird)
{
	uint8_t m[ISER_HEADER_LEN] = {0x20, versions};

	gw_put_be16(m + 2, ird);
	vb_put(i->p, m, sizeof(m));
}

START_TEST(test_hello)
{
	struct vi i;
	struct vb_msg *m;

	vb_init();
	rig.params.iser_hello = true;
	vb_listen();
	vi_login(&i, 'a');
	hello_put(&i, 0xaa, 3);
	rig_run();
	m = vb_get(i.p);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->n, ISER_HEADER_LEN);
	ck_assert_uint_eq(m->data[0], 0x30);
	ck_assert_uint_eq(gw_be16(m->data + 2), 3);
	free(m);
	read_one(&i, true);
	/* A second one ends it. */
	hello_put(&i, 0xaa, 3);
	vi_settle();
	ck_assert_ptr_null(i.p->id);
	/* Agreed on, and not said. */
	vi_login(&i, 'b');
	(void)vi_read(&i, vi_mem(&i, 1, 512, false), 0, false);
	vi_settle();
	ck_assert_ptr_null(i.p->id);
	/* Of another version. */
	vi_login(&i, 'c');
	hello_put(&i, 0x99, 3);
	vi_settle();
	m = vb_get(i.p);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->data[0], 0x31);
	free(m);
	ck_assert_ptr_null(i.p->id);
	/* Before the login. */
	vi_begin(&i, vb_connect());
	hello_put(&i, 0xaa, 3);
	vi_settle();
	ck_assert_ptr_null(i.p->id);
	/* Not agreed on. */
	rig.params.iser_hello = false;
	vi_login(&i, 'd');
	hello_put(&i, 0xaa, 3);
	vi_settle();
	ck_assert_ptr_null(i.p->id);
	vi_down();
}
END_TEST

/* What the connection has counted is what it did. */
START_TEST(test_statistics)
{
	struct vi i;
	const struct iser_stats *s;

	vi_up();
	vi_login(&i, 'a');
	vi_good(&i, vi_read(&i, vi_mem(&i, 1, 5000, false), 0, false));
	vi_good(&i, vi_write(&i, vi_mem(&i, 2, 7000, true), 1000, 0, false));
	vi_settle();
	s = &vi_conn(&i)->stats;
	ck_assert_uint_eq(s->recvs, 3);
	ck_assert_uint_eq(s->sends, 3);
	ck_assert_uint_eq(s->rdma_writes, 1);
	ck_assert_uint_eq(s->rdma_write_bytes, 5000);
	ck_assert_uint_eq(s->rdma_reads, 1);
	ck_assert_uint_eq(s->rdma_read_bytes, 6000);
	ck_assert_uint_eq(s->posts, 4);
	ck_assert_uint_eq(s->rdma_errors, 0);
	vi_leave(&i);
	vi_down();
}
END_TEST

SUITE("iser/conn", test_read, test_write_in_place, test_write_by_rdma_read, test_few_pieces,
      test_batching, test_send_queue_full, test_ring_has_the_window, test_ring_of_small_devices,
      test_ring_when_memory_is_short, test_first_message_before_established, test_text_and_nop,
      test_hello, test_statistics)
