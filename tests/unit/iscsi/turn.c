/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands whose turn has not come: what they may have meanwhile, and that they give it back. */
#include "tests/unit/base/suite.h"
#include "tests/unit/iscsi/ini.h"

#define MIB (1u << 20)

static uint8_t buf[MIB], in[65536];

static struct ini
begin(bool immediate)
{
	struct ini i;

	rig_init();
	rig.target.params.queue_depth = 64;
	rig.params.immediate_data = immediate;
	rig.params.initial_r2t = true;
	ck_assert(ini_login(&i, 'a'));
	ini_fill(buf, sizeof(buf), 3);
	return i;
}

static void
finish(struct ini *i)
{
	rig_hangup(i->end);
	rig_release();
	rig_run();
	ck_assert(rig_clean());
	rig_fini();
}

/* A command that waits; data: so much of a write's comes with it. */
static uint32_t
later(struct ini *i, uint8_t op, uint32_t len, uint32_t data)
{
	uint8_t bhs[ISCSI_BHS_LEN], dir = op == 0x2a ? ISCSI_CMD_W : op == 0x28 ? ISCSI_CMD_R : 0;
	uint32_t itt = ini_cmd(i, bhs, op, ISCSI_FLAG_F | dir, len, 0);

	bhs[ISCSI_AT_CDB + 1] = 2;
	ini_send(i, bhs, buf, data);
	rig_run();
	return itt;
}

static void
tmf(struct ini *i, uint32_t ref)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_TMF_REQ | ISCSI_OP_IMMEDIATE,
				      0x80 | GW_TMF_ABORT_TASK};
	const uint8_t *p, *d;
	uint32_t n;

	gw_put_be32(bhs + ISCSI_AT_ITT, 1);
	gw_put_be32(bhs + ISCSI_AT_REF_TASK, ref);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i->cmdsn);
	ini_send(i, bhs, NULL, 0);
	ck_assert(ini_recv(i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_TMF_RSP);
	ck_assert_uint_eq(p[ISCSI_AT_RSP], GW_TMF_COMPLETE);
	i->stat_sn++;
}

START_TEST(nothing_is_taken_before)
{
	struct ini i = begin(false);
	uint32_t w = later(&i, 0x2a, 8192, 0), r, t;
	const uint8_t *p, *d;
	struct ini_result res = {0};
	uint32_t n;

	ck_assert(!ini_recv(&i, &p, &d, &n)); /* not asked for its data */
	r = later(&i, 0x28, 8192, 0);
	t = later(&i, 0, 0, 0);
	ck_assert_uint_eq(rig.buf_used, 0);
	ck_assert_uint_eq(rig.execs, 0);
	/* Longer than the patience with those who do not send their data. */
	for (unsigned k = 0; k < 8; k++) {
		ini_read(&i, in, 512, 0, &res);
		rig_pass(14000);
	}
	rig_release();
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_R2T);
	ck_assert_uint_eq(gw_be32(p + ISCSI_AT_ITT), w);
	ini_data_out(&i, w, gw_be32(p + ISCSI_AT_TTT), buf, 0, 8192);
	memset(&res, 0, sizeof(res));
	ini_read_finish(&i, r, in, 8192, &res);
	ck_assert_uint_eq(res.got, 8192);
	ini_write_finish(&i, t, buf, 0, 0, &res);
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(gw_be32(p + ISCSI_AT_ITT), w);
	ini_status(&i, p, d, n, &res);
	ck_assert_uint_eq(res.status, SAM_GOOD);
	ck_assert_mem_eq(rig.disk, buf, 8192);
	finish(&i);
}
END_TEST

/* Data that comes with them has a part of the memory, and of the others' data keeps none away. */
START_TEST(data_that_comes_has_its_part)
{
	struct ini i = begin(true);
	struct iscsi_core *ic = rig.core.slot[GW_SLOT_ISCSI];
	struct ini_result r = {0};
	uint32_t itt[16], full;

	ic->mem_max = 2 * MIB;
	for (unsigned k = 0; k < 16; k++)
		itt[k] = later(&i, 0x2a, 65536, 65536);
	ck_assert_uint_eq(rig.buf_used, MIB);
	ck_assert_uint_eq(ic->held, MIB);
	ck_assert_uint_eq(rig.chunks, 0);
	full = later(&i, 0x2a, 65536, 65536);
	ini_write_finish(&i, full, buf, 65536, 65536, &r);
	ck_assert_uint_eq(r.status, SAM_TASK_SET_FULL);
	/* All that there is, without them. */
	rig.buf_limit = 3 * MIB;
	ini_write(&i, buf, MIB, 0, &r);
	ck_assert_uint_eq(r.status, SAM_GOOD);
	ck_assert_uint_eq(rig.buf_used, MIB);
	memset(rig.disk, 0, 65536);
	rig_release();
	ck_assert_uint_eq(ic->held, 0);
	for (unsigned k = 0; k < 16; k++) {
		ini_write_finish(&i, itt[k], buf, 65536, 65536, &r);
		ck_assert_uint_eq(r.status, SAM_GOOD);
	}
	ck_assert_mem_eq(rig.disk, buf, 65536);
	finish(&i);
}
END_TEST

/* All connections together hold no more than one may have. */
START_TEST(together_they_have_a_part)
{
	struct ini i[3] = {begin(true)};
	struct iscsi_core *ic = rig.core.slot[GW_SLOT_ISCSI];
	struct ini_result r = {0};
	uint32_t itt;

	ic->mem_max = MIB;
	ck_assert(ini_login(&i[1], 'b'));
	ck_assert(ini_login(&i[2], 'c'));
	for (unsigned k = 0; k < 16; k++)
		(void)later(&i[k % 2], 0x2a, 65536, 65536);
	itt = later(&i[2], 0x2a, 65536, 65536);
	ini_write_finish(&i[2], itt, buf, 65536, 65536, &r);
	ck_assert_uint_eq(r.status, SAM_TASK_SET_FULL);
	ck_assert_uint_eq(ic->held, MIB);
	rig_hangup(i[0].end);
	rig_run();
	ck_assert_uint_eq(ic->held, MIB / 2);
	rig_hangup(i[1].end);
	finish(&i[2]);
}
END_TEST

/* The turn comes while the command's data does. */
START_TEST(turn_in_the_middle_of_the_data)
{
	struct ini i = begin(true);
	uint8_t bhs[ISCSI_BHS_LEN], pdu[ISCSI_BHS_LEN + 4096];
	uint32_t itt = ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 4096, 0);
	struct ini_result r = {0};

	bhs[ISCSI_AT_CDB + 1] = 2;
	gw_put_be24(bhs + 5, 4096);
	memcpy(pdu, bhs, sizeof(bhs));
	memcpy(pdu + sizeof(bhs), buf, 4096);
	rig_put(i.end, pdu, 1000);
	rig_run();
	ck_assert_uint_eq(rig.begun, 1);
	rig_release();
	rig_run();
	ck_assert_uint_eq(rig.execs, 0);
	rig_put(i.end, pdu + 1000, sizeof(pdu) - 1000);
	ini_write_finish(&i, itt, buf, 4096, 4096, &r);
	ck_assert_uint_eq(r.status, SAM_GOOD);
	ck_assert_mem_eq(rig.disk, buf, 4096);
	finish(&i);
}
END_TEST

START_TEST(aborted)
{
	struct ini i = begin(true);
	struct iscsi_core *ic = rig.core.slot[GW_SLOT_ISCSI];
	uint32_t r = later(&i, 0x28, 8192, 0), w = later(&i, 0x2a, 8192, 8192),
		 part = later(&i, 0x2a, 8192, 512);
	struct ini_result res = {0};

	tmf(&i, w);
	tmf(&i, r);
	tmf(&i, part);
	ck_assert_uint_eq(rig.buf_used, 0);
	ck_assert_uint_eq(ic->held, 0);
	ck_assert_uint_eq(ic->tasks.nfree, ic->tasks.total);
	rig_release();
	ck_assert_uint_eq(rig.execs, 0);
	ini_read(&i, in, 512, 0, &res);
	ck_assert_uint_eq(res.status, SAM_GOOD);
	/* Those of a connection that ends. */
	(void)later(&i, 0x28, 8192, 0);
	(void)later(&i, 0x2a, 8192, 8192);
	(void)later(&i, 0x2a, 8192, 512);
	finish(&i);
}
END_TEST

SUITE("iscsi/turn", nothing_is_taken_before, data_that_comes_has_its_part,
      together_they_have_a_part, turn_in_the_middle_of_the_data, aborted)
