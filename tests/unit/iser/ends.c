/* SPDX-License-Identifier: BSD-3-Clause */
/* How connections over RDMA fail and end: whatever goes wrong and whenever, all is given back. */
#include "tests/unit/base/suite.h"
#include "tests/unit/iser/ini.h"

/* Its end without more ado: nothing that it had is left. */
static void
gone(const struct vi *i)
{
	vi_settle();
	ck_assert_ptr_null(i->p->id);
	ck_assert(i->p->disconnected);
	ck_assert(vb_clean());
}

/* --- refused --- */

static void
refused(struct vb_peer *p)
{
	vi_settle();
	ck_assert(p->rejected && !p->accepted);
	ck_assert_ptr_null(p->id);
	ck_assert_uint_eq(vb.nqp, rig.placed);
	ck_assert(rig.placed > 0 || vb_clean());
}

/* A connection and what of it is needed can fail at each step. */
START_TEST(test_refused)
{
	static const struct {
		const char *call;
		unsigned nth;
	} fails[] = {{"ibv_create_comp_channel", 1}, {"ibv_create_cq", 1}, {"ibv_create_cq", 2},
		     {"rdma_create_qp", 1},          {"ibv_post_recv", 1}, {"ibv_post_recv", 2},
		     {"ibv_post_recv", 4},           {"rdma_accept", 1}};
	struct vi i;

	vi_up();
	for (unsigned k = 0; k < GW_ARRAY_LEN(fails); k++) {
		vb_fail(fails[k].call, fails[k].nth);
		refused(vb_connect());
		ck_assert_ptr_null(vb.fail);
	}
	refused(vb_connect_as(0, NULL, 0));
	/* Memory for sending, for headers, for data. */
	for (uint32_t mem = 0; mem < 64u << 10; mem += 16u << 10) {
		rig.buf_limit = mem;
		refused(vb_connect());
	}
	rig.buf_limit = (32u << 10) + 600;
	refused(vb_connect());
	rig.buf_limit = 64u << 20;
	vi_login(&i, 'a');
	vi_leave(&i);
	vi_down();
}
END_TEST

/* A message in one piece is header and data in one: too little for us. */
START_TEST(test_refused_by_small_devices)
{
	vb_init();
	vb.attr.max_sge = 1;
	vb_listen();
	refused(vb_connect());
	vi_down();
}
END_TEST

/* A completion queue holds what can be posted: two connections, no third until one has gone. */
START_TEST(test_refused_without_completions)
{
	struct vi i, j;

	vb_init();
	vb.attr.max_cqe = 100;
	vb_listen();
	vi_login(&i, 'a');
	vi_login(&j, 'b');
	refused(vb_connect());
	vi_leave(&i);
	vi_login(&i, 'c');
	vi_good(&i, vi_read(&i, vi_mem(&i, 1, 512, false), 0, false));
	vi_leave(&i);
	vi_leave(&j);
	vi_down();
}
END_TEST

/* When memory is short who has not logged in makes room; what cannot be served anyway costs nobody. */
START_TEST(test_who_makes_room)
{
	struct vb_peer *p;
	struct vi i;

	vi_up();
	vi_login(&i, 'a');
	p = vb_connect();
	rig_run();
	ck_assert(p->accepted);
	refused(vb_connect_as(0, NULL, 0));
	vb_fail("rdma_create_qp", 1);
	refused(vb_connect());
	ck_assert_ptr_nonnull(p->id);
	rig.buf_limit = rig.buf_used;
	refused(vb_connect());
	ck_assert_ptr_null(p->id);
	ck_assert_ptr_nonnull(i.p->id);
	rig.buf_limit = 64u << 20;
	vi_good(&i, vi_read(&i, vi_mem(&i, 1, 512, false), 0, false));
	vi_leave(&i);
	vi_down();
}
END_TEST

START_TEST(test_refused_when_crowded)
{
	struct iscsi_core *ic;
	struct vb_peer *p;
	struct vi i, j;

	vi_up();
	ic = rig.core.slot[GW_SLOT_ISCSI];
	gw_stat_add(rig.stats.conns_live, 16384);
	p = vb_connect();
	rig_run();
	gw_stat_add(rig.stats.conns_live, -16384ull);
	refused(p);
	/* Too many that have not logged in: the oldest goes for the new one. */
	vi_login(&i, 'a');
	p = vb_connect();
	rig_run();
	ck_assert(p->accepted);
	ic->nconn += 4096;
	vi_begin(&j, vb_connect());
	vi_settle();
	ic->nconn -= 4096;
	ck_assert_ptr_null(p->id);
	ck_assert(j.p->accepted && j.p->id && i.p->id);
	vi_leave(&i);
	vi_leave(&j);
	vi_down();
}
END_TEST

/* --- what a hostile initiator sends --- */

static void
raw(struct vi *i, uint8_t flags, uint8_t ahs, uint32_t dsl, uint32_t n, uint8_t opcode)
{
	uint8_t *m = calloc(1, n + ISER_HEAD_LEN);

	m[0] = flags;
	m[ISER_HEADER_LEN] = opcode;
	m[ISER_HEADER_LEN + 1] = 0x81;
	m[ISER_HEADER_LEN + ISCSI_AT_AHSLEN] = ahs;
	gw_put_be24(m + ISER_HEADER_LEN + ISCSI_AT_DSL, dsl);
	gw_put_be32(m + ISER_HEADER_LEN + ISCSI_AT_CMDSN, i->cmdsn);
	vb_put(i->p, m, n);
	free(m);
}

START_TEST(test_bad_messages)
{
	static const struct {
		uint8_t flags, ahs;
		uint32_t dsl, n;
	} bad[] = {
	    {0x10, 0, 0, 0},                                /* nothing */
	    {0x10, 0, 0, 3},                                /* less than an iSER header */
	    {0x10, 0, 0, ISER_HEADER_LEN},                  /* no PDU */
	    {0x10, 0, 0, ISER_HEAD_LEN - 1},                /* not all of it */
	    {0x10, 0, 1, ISER_HEAD_LEN},                    /* data that is not there */
	    {0x10, 0, 0xffffff, ISER_HEAD_LEN + 8192},      /* ... a lot */
	    {0x10, 1, 0, ISER_HEAD_LEN + 3},                /* additional headers that are not */
	    {0x10, 255, 8192 - 1020, ISER_HEAD_LEN + 8191}, /* ... by one byte */
	    {0x10, 255, 0xffffff, ISER_HEAD_LEN + 8192},    /* both */
	    {0x00, 0, 0, ISER_HEAD_LEN},                    /* opcodes of iSER */
	    {0x30, 0, 0, ISER_HEAD_LEN},
	    {0x40, 0, 0, ISER_HEAD_LEN},
	    {0xf0, 0, 0, ISER_HEAD_LEN},
	    {0x20, 0, 0, 4},                       /* Hello, not agreed on */
	    {0x10, 0, 8193, ISER_HEAD_LEN + 8193}, /* longer than a RECV */
	    {0x10, 0, 100, ISER_HEAD_LEN + 100000},
	    {0x10, 0, 4097, ISER_HEAD_LEN + 4097}, /* longer than negotiated */
	};

	for (unsigned k = 0; k < GW_ARRAY_LEN(bad); k++) {
		struct vi i;

		vi_up();
		rig.params.max_recv_dsl = 4096;
		vi_login(&i, 'a');
		raw(&i, bad[k].flags, bad[k].ahs, bad[k].dsl, bad[k].n, 0);
		gone(&i);
		/* Before the login, all but the last are as bad; that one is no login. */
		vi_begin(&i, vb_connect());
		raw(&i, bad[k].flags, bad[k].ahs, bad[k].dsl, bad[k].n, 0);
		gone(&i);
		vi_down();
	}
}
END_TEST

/* Without memory for its data a command ends the connection, unless there is no data. */
START_TEST(test_no_memory_advertised)
{
	uint8_t bhs[ISCSI_BHS_LEN], data[512] = {0};
	struct vi i;
	uint32_t itt;
	unsigned before;

	vi_up();
	vi_login(&i, 'a');
	itt = vi_cmd(&i, bhs, 0x2a, ISCSI_CMD_W, sizeof(data), 0);
	vi_put(&i, bhs, NULL, 0, NULL, data, sizeof(data));
	vi_good(&i, itt);
	itt = vi_cmd(&i, bhs, 0x00, 0, 0, 0);
	vi_put(&i, bhs, NULL, 0, NULL, NULL, 0);
	vi_good(&i, itt);
	before = vb.nlast;
	(void)vi_cmd(&i, bhs, 0x28, ISCSI_CMD_R, 4096, 0);
	vi_put(&i, bhs, NULL, 0, NULL, NULL, 0);
	gone(&i);
	ck_assert_uint_eq(vb.nlast, before);
	vi_login(&i, 'b');
	(void)vi_cmd(&i, bhs, 0x2a, ISCSI_CMD_W, 4096, 0);
	vi_put(&i, bhs, NULL, 0, NULL, data, sizeof(data));
	gone(&i);
	/* Each has the other's. */
	vi_login(&i, 'c');
	(void)vi_cmd(&i, bhs, 0x28, ISCSI_CMD_R, 4096, 0);
	vi_put(&i, bhs, vi_mem(&i, 1, 4096, true), VI_BASE, NULL, NULL, 0);
	gone(&i);
	vi_login(&i, 'd');
	(void)vi_cmd(&i, bhs, 0x2a, ISCSI_CMD_W, 4096, 0);
	vi_put(&i, bhs, NULL, 0, vi_mem(&i, 1, 4096, false), NULL, 0);
	gone(&i);
	vi_down();
}
END_TEST

/* It says that it has memory, and has not: its device says no, and nobody else's data is harmed. */
START_TEST(test_memory_that_is_not_there)
{
	struct vi i, other;
	struct vb_mem *m;

	vi_up();
	vi_login(&other, 'z');
	for (unsigned k = 0; k < 6; k++) {
		bool out = k & 1;

		vi_login(&i, 'a');
		m = vi_mem(&i, 1, 10000, out);
		if (k < 2)
			m->at += 1; /* the last byte is beyond */
		if (out)
			(void)vi_write(&i, m, 0, 0, false);
		else
			(void)vi_read(&i, m, 0, false);
		if (k < 2)
			m->n--;
		else if (k < 4)
			m->valid = false;
		else
			m->out = !out;
		vi_settle();
		ck_assert_ptr_null(i.p->id);
	}
	vi_good(&other, vi_read(&other, vi_mem(&other, 1, 512, false), 0, false));
	vi_leave(&other);
	vi_down();
}
END_TEST

/* --- aborts --- */

/*
 * A task whose data is being read keeps its memory, and the answer to its abort waits behind the
 * RDMA Read: by then nobody touches the initiator's memory any more.
 */
START_TEST(test_abort_while_read)
{
	struct vi i;
	struct vb_msg *m;
	uint64_t used;
	uint32_t itt;

	vi_up();
	vi_login(&i, 'a');
	used = rig.buf_used;
	vb.hold_reads = true;
	itt = vi_write(&i, vi_mem(&i, 1, 50000, true), 0, 0, false);
	rig_run();
	ck_assert_uint_eq(rig.buf_used, used + 50000);
	/* What has nothing to do with it is not held up. */
	vi_good(&i, vi_read(&i, vi_mem(&i, 2, 512, false), 0, false));
	vi_tmf_abort(&i, itt);
	vi_settle();
	ck_assert_uint_eq(rig.buf_used, used + 50000 + 512);
	ck_assert_ptr_null(i.p->inbox);
	ck_assert_uint_eq(rig.execs, 1);
	vb.hold_reads = false;
	m = vi_get(&i, ISCSI_OP_TMF_RSP);
	ck_assert(m->fence);
	ck_assert_uint_eq(m->data[ISER_HEADER_LEN + ISCSI_AT_RSP], 0);
	free(m);
	vi_settle();
	ck_assert_uint_eq(rig.buf_used, used);
	ck_assert_ptr_null(i.p->inbox);
	ck_assert_uint_eq(rig.execs, 1);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* Its tag is used anew before its RDMA Read has ended; and then the connection ends. */
START_TEST(test_tag_of_a_task_that_is_read)
{
	for (unsigned k = 0; k < 4; k++) {
		struct vi i;
		uint32_t itt;

		vi_up();
		vi_login(&i, 'a');
		vb.hold_reads = true;
		itt = vi_write(&i, vi_mem(&i, 1, 50000, true), 0, 0, false);
		rig_run();
		vi_tmf_abort(&i, itt);
		rig_run();
		i.itt = itt;
		(void)vi_read(&i, vi_mem(&i, 2, 512, false), 0, false);
		rig_run();
		vb.hold_reads = k & 1;
		vb.never_flush = k == 2;
		vb.flush_late = k == 3;
		if (k)
			vb_hangup(i.p);
		rig_run();
		rig_pass(ISER_DRAIN_MS);
		if (!k)
			vi_leave(&i);
		gone(&i);
		vi_down();
	}
}
END_TEST

/* A command that is aborted while its data lies in the ring gives the RECV back. */
START_TEST(test_abort_in_place)
{
	struct vi i;
	uint32_t itt, all;

	vi_up();
	vi_login(&i, 'a');
	vi_settle();
	all = vi_conn(&i)->posted;
	itt = vi_write(&i, vi_mem(&i, 1, 4096, true), 4096, 0, true);
	rig_run();
	ck_assert_uint_eq(vi_conn(&i)->posted, all - 1);
	vi_tmf_abort(&i, itt);
	free(vi_get(&i, ISCSI_OP_TMF_RSP));
	vi_settle();
	ck_assert_uint_eq(vi_conn(&i)->posted, all);
	vi_leave(&i);
	vi_down();
}
END_TEST

/* --- the end --- */

/* Commands in all states, none of them at its end. */
static void
work(struct vi *i)
{
	(void)vi_write(i, vi_mem(i, 1, 4096, true), 4096, 0, true);
	(void)vi_write(i, vi_mem(i, 2, 3 << 20, true), 100, 0, false);
	(void)vi_read(i, vi_mem(i, 3, 3 << 20, false), 0, false);
	(void)vi_read(i, vi_mem(i, 4, 5000, false), 0, true);
	(void)vi_write(i, vi_mem(i, 5, 7000, true), 0, 0, true);
	vi_tmf_abort(i, i->itt - 1);
	(void)vi_read(i, vi_mem(i, 6, 512, false), 0, false);
}

/* The backend goes on with data that lies in the ring of a connection that has ended. */
START_TEST(test_in_place_beyond_the_end)
{
	struct vi i;
	struct vb_mem *m;
	struct ibv_sge data;

	vi_up();
	rig.tmf_slow = true;
	vi_login(&i, 'a');
	m = vi_mem(&i, 1, 4096, true);
	(void)vi_write(&i, m, 4096, 700, true);
	rig_run();
	memset(rig.disk + 700, 0, 4096);
	vb_hangup(i.p);
	/* As far as the wire's end, before its nexus is closed. */
	for (unsigned k = 0; k < 1000 && vb.nqp > 0; k++)
		(void)rig_turn();
	ck_assert_uint_eq(vb.nqp, 0);
	ck_assert_uint_eq(rig.nheld, 1);
	data = (struct ibv_sge){(uintptr_t)rig.held[0]->iov[0].iov_base, 4096, VB_LKEY};
	vb_check_sge(&data);
	rig_release();
	ck_assert(memcmp(rig.disk + 700, m->p, 4096) == 0);
	gone(&i);
	vi_down();
}
END_TEST

/* A device that never gives back what is out: after its time the QP goes, and then all memory. */
START_TEST(test_device_that_does_not_flush)
{
	for (unsigned late = 0; late < 2; late++) {
		struct vi i;

		vb_init();
		vb.attr.max_sge_rd = 1;
		vb_listen();
		vi_login(&i, 'a');
		vb.hold_sends = true;
		work(&i);
		rig_run();
		ck_assert_uint_gt(vi_conn(&i)->out, 0);
		vb.never_flush = !late;
		vb.flush_late = late;
		vb_hangup(i.p);
		rig_run();
		rig_pass(ISER_DRAIN_MS - 1);
		ck_assert_uint_eq(vb.nqp, 1);
		ck_assert_uint_gt(rig.buf_used, 0);
		ck_assert_ptr_nonnull(i.p->id);
		rig_pass(1);
		gone(&i);
		vi_down();
	}
}
END_TEST

static void
kill_it(struct vi *i, unsigned how)
{
	switch (how) {
	case 0:
		vb_hangup(i->p);
		break;
	case 1: /* the way to it is broken */
		if (i->p->qp)
			vb_break(i->p->qp);
		break;
	case 2: /* the device goes */
		if (i->p->id)
			vb_event(i->p->id, RDMA_CM_EVENT_DEVICE_REMOVAL, NULL);
		break;
	case 3: /* no connection manager to speak with */
		vb_fail("rdma_disconnect", 1);
		vb_hangup(i->p);
		break;
	case 4: /* and the queue pair does not come back */
		vb.never_flush = true;
		vb_hangup(i->p);
		break;
	case 5: /* its other end goes, and nothing is flushed before the queue pair does */
		vb.flush_late = true;
		vb_hangup(i->p);
		break;
	}
}

/* One session, with its end after k things have happened; false: it had ended before. */
static bool
session(unsigned k, unsigned how)
{
	struct vi i;
	bool more = true;

	vb_init();
	vb.slow = true;
	vb.attr.max_sge = 2;
	vb.attr.max_sge_rd = 1;
	vb_listen();
	vi_begin(&i, vb_connect());
	vi_login_put(&i, 'a', "");
	work(&i);
	for (unsigned n = 0; n < k && more; n++) {
		more = rig_turn() || rig.nheld > 0;
		if (more && n == 2 * k / 3)
			rig_release();
	}
	kill_it(&i, how);
	rig_run();
	/* What did not end by that, ends now. */
	vb_hangup(i.p);
	vi_settle();
	rig_release();
	vi_settle();
	rig_pass(ISER_DRAIN_MS);
	rig_pass(5);
	/* A request that was refused, or had not been seen, or one that took all. */
	ck_assert_ptr_null(i.p->id);
	vi_down();
	return more;
}

START_TEST(test_end_at_every_step)
{
	for (unsigned how = 0; how < 6; how++) {
		unsigned k = 0;

		while (session(k, how))
			k++;
		ck_assert_uint_gt(k, 30);
	}
}
END_TEST

/* A queue pair that takes no more work requests, wherever in a chain. */
/*
 * What happens when the nth call of a function fails that work() makes: the connection ends and leaves
 * nothing. False when there were fewer than n calls, and all went well.
 */
static bool
work_to_the_end(struct vi *i)
{
	bool failed;

	work(i);
	vi_settle();
	rig_release();
	vi_settle();
	failed = !vb.fail;
	vb.fail = NULL;
	if (failed)
		gone(i);
	else
		vi_leave(i);
	vi_down();
	return failed;
}

START_TEST(test_post_fails)
{
	for (unsigned nth = 1; nth < 40; nth++) {
		struct vi i;

		vb_init();
		vb.attr.max_sge = 2;
		vb.attr.max_sge_rd = 1;
		vb_listen();
		vi_login(&i, 'a');
		vb_fail("ibv_post_send", nth);
		if (work_to_the_end(&i))
			continue;
		ck_assert_uint_gt(nth, 8);
		break;
	}
}
END_TEST

START_TEST(test_recv_fails)
{
	for (unsigned nth = 1; nth < 60; nth++) {
		struct vi i;

		vi_up();
		vi_begin(&i, vb_connect());
		rig_run();
		vb_fail("ibv_post_recv", nth);
		vi_login_put(&i, 'a', "");
		if (work_to_the_end(&i))
			continue;
		ck_assert_uint_gt(nth, 30);
		break;
	}
}
END_TEST

/* --- devices --- */

START_TEST(test_device_events)
{
	struct vi i, j;

	vi_up();
	vi_login(&i, 'a');
	vi_login(&j, 'b');
	vb.async[0] = (struct ibv_async_event){.event_type = IBV_EVENT_QP_ACCESS_ERR,
					       .element.qp = &i.p->qp->qp};
	vb.nasync = 1;
	vi_settle();
	ck_assert_ptr_null(i.p->id);
	ck_assert_ptr_nonnull(j.p->id);
	vb.async[0] = (struct ibv_async_event){.event_type = IBV_EVENT_PORT_ACTIVE};
	vb.nasync = 1;
	vi_settle();
	ck_assert_ptr_nonnull(j.p->id);
	vi_good(&j, vi_read(&j, vi_mem(&j, 1, 512, false), 0, false));
	vi_login(&i, 'a');
	vb.async[0] = (struct ibv_async_event){.event_type = IBV_EVENT_DEVICE_FATAL};
	vb.nasync = 1;
	vi_settle();
	gone(&i);
	gone(&j);
	vi_down();
}
END_TEST

/* A portal waits for its device to come back. */
START_TEST(test_portal_of_a_device_that_goes)
{
	struct vi i;

	vi_up();
	vb_event(vb.listener, RDMA_CM_EVENT_DEVICE_REMOVAL, NULL);
	rig_run();
	ck_assert_ptr_null(vb.listener);
	vb_fail("rdma_bind_addr", 1);
	rig_pass(1000);
	ck_assert_ptr_null(vb.fail);
	ck_assert_ptr_null(vb.listener);
	rig_pass(1000);
	ck_assert_ptr_nonnull(vb.listener);
	vi_login(&i, 'a');
	vi_leave(&i);
	/* It goes for good while it is waited for. */
	vb_event(vb.listener, RDMA_CM_EVENT_DEVICE_REMOVAL, NULL);
	rig_run();
	iser_unlisten(&vb.portal);
	ck_assert(gw_list_empty(&rig.timers));
	vi_down();
}
END_TEST

START_TEST(test_listen)
{
	static const struct {
		const char *call, *says;
		int rc;
	} bad[] = {
	    {"ibv_query_device", "no RDMA device", -ENODEV},
	    {"ibv_alloc_pd", "no RDMA device", -ENODEV},
	    {"ibv_reg_mr", "no RDMA device", -ENODEV},
	    {"rdma_create_event_channel", "connection manager", -ENODEV},
	    {"rdma_create_id", "cannot listen", -ENOMEM},
	    {"rdma_bind_addr", "has the address 192.0.2.1", -EADDRNOTAVAIL},
	    {"rdma_listen", "in use", -EADDRINUSE},
	};
	struct gw_portal *p = &vb.portal;
	struct vb_peer *peer;
	char err[128];

	for (unsigned k = 0; k < GW_ARRAY_LEN(bad) + 2; k++) {
		vb_init();
		*p = (struct gw_portal){.host = "192.0.2.1", .port = 3260};
		if (k < GW_ARRAY_LEN(bad))
			vb_fail(bad[k].call, 1);
		else if (k == GW_ARRAY_LEN(bad))
			vb.nodevice = true;
		else
			strcpy(p->host, "host");
		err[0] = 0;
		ck_assert_int_eq(iser_listen(p, err, sizeof(err)), k < GW_ARRAY_LEN(bad) ? bad[k].rc
								   : k == GW_ARRAY_LEN(bad)
								       ? -ENODEV
								       : -EINVAL);
		ck_assert_ptr_nonnull(strstr(err, k < GW_ARRAY_LEN(bad)    ? bad[k].says
						  : k == GW_ARRAY_LEN(bad) ? "no RDMA device"
									   : "not a numeric"));
		ck_assert_ptr_null(p->priv);
		rig_run();
		ck_assert(vb_fini());
	}
	/* Before the model is there nobody is let in. */
	vb_init();
	*p = (struct gw_portal){.host = "192.0.2.1", .port = 3260};
	ck_assert_int_eq(iser_listen(p, err, sizeof(err)), 0);
	peer = vb_connect();
	rig_run();
	ck_assert(peer->rejected);
	ck_assert(vb_fini());
	/* Sessions outlive their portal; another can come in its place. */
	vi_up();
	iser_unlisten(&vb.portal);
	ck_assert_ptr_null(vb.portal.priv);
	vb_listen();
	vi_down();
}
END_TEST

SUITE("iser/ends", test_refused, test_refused_by_small_devices, test_refused_without_completions,
      test_who_makes_room, test_refused_when_crowded, test_bad_messages, test_no_memory_advertised,
      test_memory_that_is_not_there, test_abort_while_read, test_tag_of_a_task_that_is_read,
      test_abort_in_place, test_in_place_beyond_the_end, test_device_that_does_not_flush,
      test_end_at_every_step, test_post_fails, test_recv_fails, test_device_events,
      test_portal_of_a_device_that_goes, test_listen)
