/* SPDX-License-Identifier: BSD-3-Clause */
/* Lives and deaths: hostile PDUs, aborts, timers, reinstatement, hang-ups at every byte; no leaks.
 */
#include "tests/unit/iscsi/ini.h"

static uint8_t buf[RIG_DISK];

static struct ini
begin(void)
{
	struct ini i;

	rig_init();
	ck_assert(ini_login(&i, 'a'));
	return i;
}

static void
finish(struct ini *i)
{
	if (i)
		rig_hangup(i->end);
	ck_assert(rig_clean());
	rig_fini();
}

static void
alive(struct ini *i)
{
	struct ini_result r;

	ini_fill(buf, 5000, 77);
	ini_write(i, buf, 5000, 0, &r);
	ck_assert_uint_eq(r.status, SAM_GOOD);
}

/* --- headers that are refused and leave the connection alive -------------------------------------
 */

struct bad {
	uint8_t op, flags, reason;
	uint32_t itt, edtl, len;
};

static const struct bad bad[] = {
    {ISCSI_OP_SCSI_CMD, 0xe1, ISCSI_REJECT_INVALID_FIELD, 1, 512, 0},          /* R and W */
    {ISCSI_OP_SCSI_CMD, 0xc5, ISCSI_REJECT_INVALID_FIELD, 1, 512, 0},          /* attribute 5 */
    {ISCSI_OP_SCSI_CMD, 0x41, ISCSI_REJECT_PROTOCOL, 1, 512, 0},               /* R, F = 0 */
    {ISCSI_OP_SCSI_CMD, 0xc1, ISCSI_REJECT_PROTOCOL, 1, 512, 100},             /* R with data */
    {ISCSI_OP_SCSI_CMD, 0xa1, ISCSI_REJECT_PROTOCOL, 1, 512, 513},             /* more than EDTL */
    {ISCSI_OP_SCSI_CMD, 0xa1, ISCSI_REJECT_PROTOCOL, 1, 100000, 70000},        /* over FirstBurst */
    {ISCSI_OP_SCSI_CMD, 0xc1, ISCSI_REJECT_INVALID_FIELD, 0xffffffff, 512, 0}, /* reserved ITT */
    {ISCSI_OP_SNACK, 0x80, ISCSI_REJECT_SNACK, 1, 0, 0},
    {ISCSI_OP_LOGIN_REQ, 0x87, ISCSI_REJECT_PROTOCOL, 1, 0, 30},
    {0x1c, 0x80, ISCSI_REJECT_UNSUPPORTED, 1, 0, 44},
    {ISCSI_OP_SCSI_RSP, 0x80, ISCSI_REJECT_UNSUPPORTED, 1, 0, 0},
    {ISCSI_OP_DATA_OUT, 0x80, ISCSI_REJECT_INVALID_FIELD, 9, 0xffffffff, 512}, /* unknown task */
    {ISCSI_OP_DATA_OUT, 0x80, ISCSI_REJECT_INVALID_FIELD, 9, 0x00000000, 512}, /* unknown TTT */
    {ISCSI_OP_DATA_OUT, 0x80, ISCSI_REJECT_INVALID_FIELD, 9, 0xfe000000, 0},
    {ISCSI_OP_TEXT_REQ, 0x80, ISCSI_REJECT_PROTOCOL, 1, 0, 9000}, /* too long */
    {ISCSI_OP_TMF_REQ, 0x81, ISCSI_REJECT_INVALID_FIELD, 0xffffffff, 0, 0},
};

START_TEST(refused_headers)
{
	const struct bad *b = &bad[_i];
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN] = {b->op, b->flags};

	bhs[ISCSI_AT_CDB] = b->flags & ISCSI_CMD_W ? 0x2a : 0x28;
	gw_put_be32(bhs + ISCSI_AT_CDB + 2, b->edtl);
	gw_put_be32(bhs + ISCSI_AT_ITT, b->itt);
	gw_put_be32(bhs + ISCSI_AT_EDTL, b->edtl);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn);
	ini_send(&i, bhs, buf, b->len);
	ini_expect_reject(&i, b->reason);
	/* A command that was rejected has used its number, a text that was not looked at has not.
	 */
	if (b->op == ISCSI_OP_SCSI_CMD || b->op == ISCSI_OP_TMF_REQ)
		i.cmdsn++;
	alive(&i);
	finish(&i);
}
END_TEST

START_TEST(outside_window_is_ignored)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN];
	const uint8_t *p, *d;
	uint32_t n;
	static const int32_t by[] = {-1, -1000, 16, 100000};

	for (unsigned k = 0; k < GW_ARRAY_LEN(by); k++) {
		ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 512, 0);
		i.cmdsn--;
		gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn + (uint32_t)by[k]);
		ini_send(&i, bhs, buf, 512);
		ck_assert(!ini_recv(&i, &p, &d, &n));
	}
	ck_assert_uint_eq(rig.begun, 0);
	alive(&i);
	finish(&i);
}
END_TEST

START_TEST(fatal)
{
	struct ini i;
	uint8_t bhs[ISCSI_BHS_LEN] = {0};

	rig_init();
	rig.params.header_digest = rig.params.data_digest = _i == 2 || _i == 3;
	ck_assert(ini_login(&i, 'a'));
	ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 512, 0);
	switch (_i) {
	case 0: /* longer than MaxRecvDataSegmentLength */
		gw_put_be24(bhs + ISCSI_AT_DSL, 262145);
		rig_put(i.end, bhs, sizeof(bhs));
		break;
	case 1:
		gw_put_be24(bhs + ISCSI_AT_DSL, 0xffffff);
		rig_put(i.end, bhs, sizeof(bhs));
		break;
	case 2: /* header digest */
		ini_send(&i, bhs, buf, 512);
		rig.end[i.end].in[rig.end[i.end].in_at + 20] ^= 1;
		break;
	case 3: /* data digest */
		ini_send(&i, bhs, buf, 512);
		rig.end[i.end].in[rig.end[i.end].in_at + 100] ^= 1;
		ini_expect_reject(&i, ISCSI_REJECT_DATA_DIGEST);
		ck_assert_uint_eq(rig.execs, 0);
		break;
	case 4: /* a hole in CmdSN */
		gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn);
		ini_send(&i, bhs, buf, 512);
		break;
	}
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

/* --- Data-Outs that do not fit --- */

static void
data_out_pdu(struct ini *i, uint32_t itt, uint32_t ttt, uint32_t sn, uint32_t off, uint32_t len,
	     bool f)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_DATA_OUT, f ? ISCSI_FLAG_F : 0};

	gw_put_be32(bhs + ISCSI_AT_ITT, itt);
	gw_put_be32(bhs + ISCSI_AT_TTT, ttt);
	gw_put_be32(bhs + ISCSI_AT_DATASN, sn);
	gw_put_be32(bhs + ISCSI_AT_BUFOFF, off);
	ini_send(i, bhs, buf + off % 4096, len);
}

/* A write of 8192 bytes, of which all is solicited; its TTT. */
static uint32_t
solicit(struct ini *i, uint32_t *itt)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	const uint8_t *p, *d;
	uint32_t n;

	*itt = ini_cmd(i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 8192, 0);
	ini_send(i, bhs, NULL, 0);
	ck_assert(ini_recv(i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_R2T);
	ck_assert_uint_eq(gw_be32(p + ISCSI_AT_DDTL), 8192);
	return gw_be32(p + ISCSI_AT_TTT);
}

START_TEST(wrong_data_out)
{
	struct ini i = begin();
	struct ini_result r = {0};
	const uint8_t *p, *d;
	uint32_t n, itt, ttt = solicit(&i, &itt);

	switch (_i) {
	case 0: /* DataSN */
		data_out_pdu(&i, itt, ttt, 27, 0, 4096, false);
		break;
	case 1: /* the same DataSN twice */
		data_out_pdu(&i, itt, ttt, 0, 0, 4096, false);
		data_out_pdu(&i, itt, ttt, 0, 4096, 4096, true);
		break;
	case 2: /* offset */
		data_out_pdu(&i, itt, ttt, 0, 512, 512, false);
		break;
	case 3: /* beyond the end */
		data_out_pdu(&i, itt, ttt, 0, 0, 8196, true);
		break;
	case 4: /* offset that wraps */
		data_out_pdu(&i, itt, ttt, 0, 0xfffffffc, 8, false);
		break;
	case 5: /* too short */
		data_out_pdu(&i, itt, ttt, 0, 0, 4096, true);
		break;
	case 6: /* whole, but not final */
		data_out_pdu(&i, itt, ttt, 0, 0, 8192, false);
		break;
	}
	if (_i != 1 && _i != 3 && _i != 5) {
		ck_assert(!ini_recv(&i, &p, &d, &n));
		ck_assert_uint_eq(rig.buf_used, 0);
		data_out_pdu(&i, itt, ttt, 99, 12345, 0,
			     true); /* the final one, whatever it says */
	}
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_SCSI_RSP);
	ini_status(&i, p, d, n, &r);
	ck_assert_uint_eq(r.status, SAM_CHECK_CONDITION);
	ck_assert_uint_eq(r.sense[2], 0x0b);
	ck_assert_uint_eq(rig.execs, 0);
	ck_assert_uint_eq(rig.forgotten, 1);
	ck_assert_uint_eq(rig.buf_used, 0);
	alive(&i);
	finish(&i);
}
END_TEST

/* Tags of a finished write, of another task, and unsolicited data for a solicited write. */
START_TEST(stale_tags)
{
	struct ini i = begin();
	struct ini_result r = {0};
	uint32_t itt, ttt = solicit(&i, &itt);

	data_out_pdu(&i, itt + 1, ttt, 0, 0, 8192, true);
	ini_expect_reject(&i, ISCSI_REJECT_INVALID_FIELD);
	data_out_pdu(&i, itt, ttt + 1, 0, 0, 8192, true);
	ini_expect_reject(&i, ISCSI_REJECT_INVALID_FIELD);
	data_out_pdu(&i, itt, ttt ^ 0x10000, 0, 0, 8192, true);
	ini_expect_reject(&i, ISCSI_REJECT_INVALID_FIELD);
	data_out_pdu(&i, itt, ISCSI_RESERVED_TAG, 0, 0, 512, true);
	ini_expect_reject(&i, ISCSI_REJECT_INVALID_FIELD);
	data_out_pdu(&i, itt, ttt, 0, 0, 8192, true);
	{
		const uint8_t *p, *d;
		uint32_t n;

		ck_assert(ini_recv(&i, &p, &d, &n));
		ini_status(&i, p, d, n, &r);
	}
	ck_assert_uint_eq(r.status, SAM_GOOD);
	data_out_pdu(&i, itt, ttt, 0, 0, 8192, true);
	ini_expect_reject(&i, ISCSI_REJECT_INVALID_FIELD);
	alive(&i);
	finish(&i);
}
END_TEST

/* --- task management --- */

static void
tmf(struct ini *i, uint8_t fn, uint32_t ref, uint32_t ref_cmdsn)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_TMF_REQ | ISCSI_OP_IMMEDIATE, (uint8_t)(0x80 | fn)};

	gw_put_be32(bhs + ISCSI_AT_ITT, 0x70000 + i->itt++);
	gw_put_be32(bhs + ISCSI_AT_REF_TASK, ref);
	gw_put_be32(bhs + ISCSI_AT_REF_CMDSN, ref_cmdsn);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i->cmdsn);
	ini_send(i, bhs, NULL, 0);
}

static uint8_t
tmf_rsp(struct ini *i)
{
	const uint8_t *p, *d;
	uint32_t n;

	ck_assert(ini_recv(i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_TMF_RSP);
	ck_assert_uint_eq(gw_be32(p + ISCSI_AT_STATSN), i->stat_sn);
	i->stat_sn++;
	return p[ISCSI_AT_RSP];
}

START_TEST(abort_in_r2t)
{
	struct ini i = begin();
	struct iscsi_core *ic = rig.core.slot[GW_SLOT_ISCSI];
	uint32_t itt, ttt = solicit(&i, &itt);
	const uint8_t *p, *d;
	uint32_t n;

	if (_i & 1)
		data_out_pdu(&i, itt, ttt, 0, 0, 4096, false);
	tmf(&i, GW_TMF_ABORT_TASK, itt, i.cmdsn - 1);
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_COMPLETE);
	ck_assert_uint_eq(rig.buf_used, 0);
	ck_assert_uint_eq(rig.live, 0);
	if (_i & 2) { /* the data comes nevertheless, and is swallowed */
		if (!(_i & 1))
			data_out_pdu(&i, itt, ttt, 0, 0, 4096, false);
		data_out_pdu(&i, itt, ttt, 1, 4096, 4096, true);
		ck_assert(!ini_recv(&i, &p, &d, &n));
	} else { /* it never comes: forgotten, and the connection lives */
		for (unsigned k = 0; k < 6; k++) {
			uint8_t nop[ISCSI_BHS_LEN] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

			gw_put_be32(nop + ISCSI_AT_ITT, ISCSI_RESERVED_TAG);
			ini_send(&i, nop, NULL, 0);
			rig_run();
			rig_pass(15000);
			while (ini_recv(&i, &p, &d, &n))
				ck_assert_uint_eq(p[0], ISCSI_OP_NOP_IN);
		}
	}
	ck_assert_uint_eq(ic->tasks.nfree, ic->tasks.total);
	alive(&i);
	finish(&i);
}
END_TEST

/* Reset while the last Data-Out is half here: its buffer stays until the PDU has passed. */
START_TEST(abort_in_pdu)
{
	struct ini i;
	struct ini_result r = {0};
	uint32_t itt, ttt;
	const uint8_t *p, *d;
	uint32_t n;
	size_t at;

	rig_init();
	rig.params.max_burst = 65536;
	ck_assert(ini_login(&i, 'a'));
	{
		uint8_t bhs[ISCSI_BHS_LEN];

		itt = ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 65536, 0);
		ini_send(&i, bhs, NULL, 0);
		ck_assert(ini_recv(&i, &p, &d, &n));
		ttt = gw_be32(p + ISCSI_AT_TTT);
	}
	ini_fill(buf, 65536, 3);
	ini_data_out(&i, itt, ttt, buf, 0, 65536);
	at = rig.end[i.end].in_len;
	rig.end[i.end].in_len -= 20000;
	rig_run();
	gw_list_each (nx, &rig.nexuses, struct gw_nexus, node) {
		gw_list_each_safe (cmd, &nx->cmds, struct gw_cmd, on_nexus)
			rig_abort(cmd, _i ? GW_ABORT_TAS : GW_ABORT_QUIET);
	}
	if (_i) {
		ck_assert(ini_recv(&i, &p, &d, &n));
		ini_status(&i, p, d, n, &r);
		ck_assert_uint_eq(r.status, SAM_TASK_ABORTED);
	}
	rig.end[i.end].in_len = at;
	ck_assert(!ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(rig.buf_used, 0);
	rig.params.max_burst = 262144;
	alive(&i);
	finish(&i);
}
END_TEST

START_TEST(tmf_answers)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN];
	const uint8_t *p, *d;
	uint32_t itt, n;

	tmf(&i, GW_TMF_ABORT_TASK, 4711, i.cmdsn - 1);
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_NO_TASK);
	tmf(&i, GW_TMF_TASK_REASSIGN, 1, 1);
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_REASSIGN_UNSUPPORTED);
	tmf(&i, 99, 1, 1);
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_UNSUPPORTED);
	tmf(&i, GW_TMF_QUERY_TASK, 1, 1); /* RFC 7144 was not negotiated */
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_UNSUPPORTED);
	/* A command that never arrived: its number counts as received, 11.6.1. */
	i.cmdsn++;
	tmf(&i, GW_TMF_ABORT_TASK, 4712, i.cmdsn - 1);
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_COMPLETE);
	alive(&i);
	/* A command that runs. */
	itt = ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 512, 0);
	bhs[ISCSI_AT_CDB + 1] = 1;
	ini_send(&i, bhs, NULL, 0);
	ck_assert(!ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(rig.nheld, 1);
	tmf(&i, GW_TMF_ABORT_TASK, itt, i.cmdsn - 1);
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_COMPLETE);
	/* With TAS the status comes before the function's response. */
	itt = ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 512, 0);
	bhs[ISCSI_AT_CDB + 1] = 1;
	ini_send(&i, bhs, NULL, 0);
	tmf(&i, GW_TMF_LU_RESET, ISCSI_RESERVED_TAG, 0);
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_SCSI_RSP);
	ck_assert_uint_eq(p[ISCSI_AT_STATUS], SAM_TASK_ABORTED);
	i.stat_sn++;
	ck_assert_uint_eq(tmf_rsp(&i), GW_TMF_COMPLETE);
	alive(&i);
	finish(&i);
}
END_TEST

/* --- NOP, text, logout --- */

START_TEST(nop_and_text)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_NOP_OUT, 0x80};
	const uint8_t *p, *d;
	uint32_t n;

	ini_fill(buf, 9001, 9);
	gw_put_be32(bhs + ISCSI_AT_ITT, 5);
	gw_put_be32(bhs + ISCSI_AT_TTT, ISCSI_RESERVED_TAG);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn++);
	ini_send(&i, bhs, buf, 9001);
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_NOP_IN);
	ck_assert_uint_eq(n, 9001);
	ck_assert(memcmp(d, buf, n) == 0);
	ck_assert_uint_eq(gw_be32(p + ISCSI_AT_MAXCMDSN) - gw_be32(p + ISCSI_AT_EXPCMDSN), 15);
	i.stat_sn++;
	bhs[0] = ISCSI_OP_TEXT_REQ;
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn++);
	ini_send(&i, bhs, "SendTargets=All", 16);
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_TEXT_RSP);
	ck_assert_str_eq((const char *)d, "SendTargets=All");
	i.stat_sn++;
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn++);
	ini_send(&i, bhs, "X", 1);
	ini_expect_reject(&i, ISCSI_REJECT_PROTOCOL);
	alive(&i);
	finish(&i);
}
END_TEST

static uint8_t
logout(struct ini *i, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_LOGOUT_REQ, (uint8_t)(0x80 | reason)};
	const uint8_t *p, *d;
	uint32_t n;

	gw_put_be32(bhs + ISCSI_AT_ITT, 6);
	gw_put_be16(bhs + 20, cid);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i->cmdsn++);
	ini_send(i, bhs, NULL, 0);
	ck_assert(ini_recv(i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_LOGOUT_RSP);
	i->stat_sn++;
	return p[ISCSI_AT_RSP];
}

START_TEST(logouts)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt;

	ck_assert_uint_eq(logout(&i, 2, 1), 2);
	ck_assert_uint_eq(logout(&i, 1, 77), 1);
	alive(&i);
	(void)solicit(&i, &itt);
	ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 512, 0);
	bhs[ISCSI_AT_CDB + 1] = 1;
	ini_send(&i, bhs, NULL, 0);
	rig_run();
	ck_assert_uint_eq(logout(&i, (uint8_t)_i, 1), 0);
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

START_TEST(async_logout)
{
	struct ini i = begin();
	const uint8_t *p, *d;
	uint32_t n;

	tcp_xport.ask_logout(gw_list_first(&rig.nexuses, struct gw_nexus, node));
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_ASYNC);
	ck_assert_uint_eq(p[36], ISCSI_ASYNC_LOGOUT);
	i.stat_sn++;
	alive(&i);
	if (_i)
		ck_assert_uint_eq(logout(&i, 0, 1), 0);
	else
		rig_pass(30000);
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

/* --- time --- */

START_TEST(silent_peers)
{
	struct ini i;
	uint32_t itt;

	switch (_i) {
	case 0: /* never logs in */
		rig_init();
		rig_connect();
		rig_pass(14000);
		ck_assert(!ini_closed());
		rig_pass(2000);
		break;
	case 1: /* half a login PDU */
		rig_init();
		rig_put(rig_connect(), "\x43\x87", 2);
		rig_pass(16000);
		break;
	case 2: /* does not answer NOP-In */
		i = begin();
		rig_pass(31000);
		ck_assert(!ini_closed());
		rig_pass(60000);
		break;
	case 3: /* does not send the data of its write, but says something */
		i = begin();
		rig.target.params.nop_count = 100;
		(void)solicit(&i, &itt);
		rig_pass(45000);
		ck_assert(!ini_closed());
		rig_pass(45000);
		break;
	case 4: /* does not read */
		i = begin();
		rig.end[i.end].tx_stuck = true;
		rig.target.params.nop_interval = 0;
		tmf(&i, 99, 1, 1);
		rig_pass(45000);
		ck_assert(!ini_closed());
		rig_pass(45000);
		break;
	}
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

/* A peer that asks and asks and takes no answer is not read from. */
START_TEST(asks_without_reading)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};
	const uint8_t *p, *d;
	uint32_t n, answers = 0;

	rig.end[i.end].tx_stuck = true;
	for (uint32_t k = 0; k < 2000; k++) {
		gw_put_be32(bhs + ISCSI_AT_ITT, k);
		ini_send(&i, bhs, buf, 4096);
	}
	rig_run();
	ck_assert_uint_le(rig.buf_used, (ISCSI_CTL_MAX + 1) * 4096);
	ck_assert_uint_gt(rig.end[i.end].in_len - rig.end[i.end].in_at, 1000 * 4096);
	rig.end[i.end].tx_stuck = false;
	while (ini_recv(&i, &p, &d, &n)) {
		ck_assert_uint_eq(gw_be32(p + ISCSI_AT_ITT), answers);
		answers++;
	}
	ck_assert_uint_eq(answers, 2000);
	finish(&i);
}
END_TEST

/* --- memory --------------------------------------------------------------------------------------
 */

static struct iscsi_core *
rig_tcp(void)
{
	return rig.core.slot[GW_SLOT_ISCSI];
}

/* Writes with a little data each, whose rest does not come. */
START_TEST(writes_take_a_share)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN];
	const uint8_t *p, *d;
	uint32_t n, full = 0, r2t = 0;

	rig_tcp()->mem_max = 2u << 20;
	for (unsigned k = 0; k < 10; k++) {
		ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 1u << 20, 0);
		ini_send(&i, bhs, buf, _i ? 512 : 0);
	}
	while (ini_recv(&i, &p, &d, &n)) {
		r2t += p[0] == ISCSI_OP_R2T;
		full += p[0] == ISCSI_OP_SCSI_RSP && p[ISCSI_AT_STATUS] == SAM_TASK_SET_FULL;
	}
	ck_assert_uint_eq(rig.buf_used, _i ? 4u << 20 : 2u << 20);
	ck_assert_uint_eq(r2t, _i ? 4 : 2);
	ck_assert_uint_eq(full, _i ? 6 : 0);
	ck_assert(gw_list_empty(&rig.buf_waiters));
	finish(&i);
}
END_TEST

START_TEST(reads_take_a_share)
{
	struct ini i = begin();
	uint8_t bhs[ISCSI_BHS_LEN];
	const uint8_t *p, *d;
	uint32_t n, good = 0;

	rig_tcp()->mem_max = 2u << 20;
	rig.end[i.end].tx_stuck = true;
	for (unsigned k = 0; k < 10; k++) {
		ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 1u << 20, 0);
		ini_send(&i, bhs, NULL, 0);
	}
	/* Its data goes first where there is only one such command; it waits unread for memory. */
	ini_cmd(&i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 20000, 0);
	ini_send(&i, bhs, buf, 20000);
	rig_run();
	ck_assert_uint_eq(rig.buf_used, 2u << 20);
	ck_assert(gw_list_empty(&rig.buf_waiters));
	rig.end[i.end].tx_stuck = false;
	while (ini_recv(&i, &p, &d, &n)) {
		good += p[0] == ISCSI_OP_SCSI_RSP && p[ISCSI_AT_STATUS] == SAM_GOOD;
		good += p[0] == ISCSI_OP_DATA_IN && p[1] & ISCSI_DATAIN_S;
	}
	ck_assert_uint_eq(good, 11);
	finish(&i);
}
END_TEST

/* Four that do not read or send hold all there is: the fifth gets its turn, they do not. */
START_TEST(idle_holders_make_room)
{
	struct ini hog[4], slow, i = begin();
	const uint8_t *p, *d;
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t n, got = 0;

	rig.buf_limit = 9u << 20;
	rig_tcp()->mem_max = 2u << 20;
	ck_assert(ini_login(&slow, 's'));
	rig.end[slow.end].tx_stuck = true;
	ini_cmd(&slow, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 1u << 20, 0);
	ini_send(&slow, bhs, NULL, 0);
	for (unsigned k = 0; k < 4; k++) {
		ck_assert(ini_login(&hog[k], (char)('0' + k)));
		rig.end[hog[k].end].tx_stuck = _i == 0;
		ini_cmd(&hog[k], bhs, _i ? 0x2a : 0x28,
			ISCSI_FLAG_F | (_i ? ISCSI_CMD_W : ISCSI_CMD_R), 2u << 20, 0);
		ini_send(&hog[k], bhs, buf, _i ? 512 : 0);
		rig_run();
	}
	ck_assert_uint_eq(rig.buf_used, 9u << 20);
	ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 1u << 20, 0);
	ini_send(&i, bhs, NULL, 0);
	rig_run();
	for (unsigned k = 0; k < 20; k++) {
		/* One goes on, if slowly. */
		rig.end[slow.end].tx_stuck = false;
		rig.send_max = 10000;
		if (rig.end[slow.end].tx)
			rig_take(&rig.end[slow.end]);
		rig.send_max = 0;
		rig.end[slow.end].tx_stuck = true;
		rig_pass(1000);
	}
	ck_assert(rig.end[slow.end].rx || rig.end[slow.end].tx);
	while (ini_recv(&i, &p, &d, &n))
		got += n;
	ck_assert_uint_eq(got, 1u << 20);
	ck_assert(!rig.end[hog[0].end].rx);
	ck_assert_uint_lt(rig.buf_used, 9u << 20);
	rig.end[slow.end].tx_stuck = false;
	rig_hangup(slow.end);
	for (unsigned k = 0; k < 4; k++)
		rig_hangup(hog[k].end);
	finish(&i);
}
END_TEST

/* --- sessions --- */

static uint16_t
login_status(int end, uint16_t *tsih)
{
	const uint8_t *p, *d;
	uint32_t n;

	rig_run();
	if (!rig_get(end, &p, &d, &n, false, false))
		return 0xffff;
	if (tsih)
		*tsih = gw_be16(p + ISCSI_AT_TSIH);
	return gw_be16(p + ISCSI_AT_LOGIN_STATUS);
}

START_TEST(reinstatement)
{
	uint16_t t1, t2, t3;
	int a, b, c;
	struct ini i = begin();

	rig_hangup(i.end);
	a = rig_connect();
	rig_login_pdu(a, 'x', 0, 1, "");
	ck_assert_uint_eq(login_status(a, &t1), 0);
	ck_assert_uint_ne(t1, 0);
	b = rig_connect();
	rig_login_pdu(b, 'y', 0, 1, "");
	ck_assert_uint_eq(login_status(b, &t2), 0);
	ck_assert_uint_ne(t1, t2);
	ck_assert_uint_eq(iscsi_registry_count(), 2);
	/* The same name: the old one goes. */
	c = rig_connect();
	rig_login_pdu(c, 'x', 0, 1, "");
	ck_assert_uint_eq(login_status(c, &t3), 0);
	ck_assert_uint_ne(t3, 0);
	ck_assert_uint_eq(iscsi_registry_count(), 2);
	ck_assert(rig.end[a].rx == NULL);
	rig.end[a].used = false;
	/* By TSIH: unknown, another connection, the same connection. */
	a = rig_connect();
	rig_login_pdu(a, 'x', (uint16_t)(t3 + 100), 1, "");
	ck_assert_uint_eq(login_status(a, NULL), ISCSI_LOGIN_NO_SESSION);
	rig_hangup(a);
	a = rig_connect();
	rig_login_pdu(a, 'y', t3, 1, "");
	ck_assert_uint_eq(login_status(a, NULL), ISCSI_LOGIN_NO_SESSION);
	rig_hangup(a);
	a = rig_connect();
	rig_login_pdu(a, 'x', t3, 2, "");
	ck_assert_uint_eq(login_status(a, NULL), ISCSI_LOGIN_TOO_MANY_CONNS);
	rig_hangup(a);
	a = rig_connect();
	rig_login_pdu(a, 'x', t3, 1, "");
	ck_assert_uint_eq(login_status(a, &t1), 0);
	ck_assert_uint_eq(t1, t3);
	ck_assert_uint_eq(iscsi_registry_count(), 2);
	ck_assert(rig.end[c].rx == NULL);
	rig_hangup(a);
	rig_hangup(b);
	finish(NULL);
}
END_TEST

/* Who meant a session by its TSIH does not get the TSIH when that session has long gone. */
START_TEST(late_heir)
{
	uint16_t old, heir;
	int a, b, c;
	struct ini i = begin();

	rig_hangup(i.end);
	a = rig_connect();
	rig_login_pdu(a, 'x', 0, 1, "");
	ck_assert_uint_eq(login_status(a, &old), 0);
	b = rig_connect();
	rig_login_pdu(b, 'x', 0, 1, "");
	c = rig_connect();
	rig_login_pdu(c, 'x', old, 1, "");
	ck_assert_uint_eq(login_status(b, &heir), 0);
	ck_assert_uint_ne(heir, old);
	ck_assert_uint_eq(login_status(c, NULL), ISCSI_LOGIN_NO_SESSION);
	rig.end[a].used = false;
	rig_hangup(b);
	rig_hangup(c);
	finish(NULL);
}
END_TEST

START_TEST(idle_discovery)
{
	int e;

	rig_init();
	e = rig_connect();
	rig_login_pdu(e, 'a', 0, 1, "D");
	ck_assert_uint_eq(login_status(e, NULL), 0);
	rig_pass(ISCSI_DISCOVERY_MS);
	ck_assert(!ini_closed());
	rig_pass(30000);
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

/* The same name again and again, each cut off somewhere. */
START_TEST(endless_reconnects)
{
	rig_init();
	for (unsigned n = 0; n < 2000; n++) {
		int e = rig_connect();

		rig_login_pdu(e, (char)(n % 3), 0, 1, "");
		for (unsigned k = 0; k < n % 7; k++)
			rig_turn();
		rig.end[e].eof = n % 2;
		if (n % 5 == 0)
			rig_run();
		if (n % 20 == 19) { /* what is left is hung up */
			for (int k = 0; k < RIG_FDS; k++) {
				if (rig.end[k].used)
					rig_hangup(k);
			}
		}
	}
	rig_run();
	finish(NULL);
}
END_TEST

START_TEST(before_login)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {(uint8_t)_i};
	int e;

	if (_i == ISCSI_OP_LOGIN_REQ)
		return;
	rig_init();
	e = rig_connect();
	rig_put(e, bhs, sizeof(bhs));
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

START_TEST(refused_and_discovery)
{
	struct ini i;
	const uint8_t *p, *d;
	uint32_t n;
	uint8_t bhs[ISCSI_BHS_LEN];

	rig_init();
	i.end = rig_connect();
	rig_login_pdu(i.end, 'a', 0, 1, "R");
	ck_assert_uint_eq(login_status(i.end, NULL), 0x0200);
	ck_assert(ini_closed());
	memset(&i, 0, sizeof(i));
	i.end = rig_connect();
	rig_login_pdu(i.end, 'a', 0, 1, "D");
	ck_assert_uint_eq(login_status(i.end, NULL), 0);
	ck_assert_uint_eq(iscsi_registry_count(), 0);
	i.cmdsn = 1;
	i.stat_sn = 2;
	ini_cmd(&i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 512, 0);
	ini_send(&i, bhs, NULL, 0);
	ini_expect_reject(&i, ISCSI_REJECT_PROTOCOL);
	i.cmdsn--;
	memset(bhs, 0, sizeof(bhs));
	bhs[0] = ISCSI_OP_TEXT_REQ;
	bhs[1] = 0x80;
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i.cmdsn++);
	ini_send(&i, bhs, "SendTargets=All", 16);
	ck_assert(ini_recv(&i, &p, &d, &n));
	ck_assert_uint_eq(p[0], ISCSI_OP_TEXT_RSP);
	ck_assert_uint_eq(logout(&i, 0, 1), 0);
	ck_assert(ini_closed());
	finish(NULL);
}
END_TEST

/* --- hang-up at every byte --- */

/* A login and commands of all kinds, as one stream. */
static void
record(struct ini *i)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt;

	rig_login_pdu(i->end, 'h', 0, 1, "");
	i->cmdsn = 1;
	itt = ini_cmd(i, bhs, 0x2a, ISCSI_CMD_W, 20000, 0);
	ini_send(i, bhs, buf, 100);
	data_out_pdu(i, itt, ISCSI_RESERVED_TAG, 0, 100, 400, true);
	ini_cmd(i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 3000, 0);
	ini_send(i, bhs, NULL, 0);
	ini_cmd(i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, 300, 0);
	bhs[ISCSI_AT_CDB + 1] = 1;
	ini_send(i, bhs, NULL, 0);
	ini_cmd(i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 200, 0);
	ini_send(i, bhs, buf, 200);
	ini_cmd(i, bhs, 0x2a, ISCSI_FLAG_F | ISCSI_CMD_W, 512, 0);
	bhs[ISCSI_AT_CDB + 1] = 1;
	ini_send(i, bhs, buf, 512);
	data_out_pdu(i, itt, 0, 0, 500, 4096,
		     false); /* the R2T's tag is known: slot 0, generation 0 */
	tmf(i, GW_TMF_LU_RESET, ISCSI_RESERVED_TAG, 0);
	memset(bhs, 0, sizeof(bhs));
	bhs[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	ini_send(i, bhs, buf, 64);
	bhs[0] = ISCSI_OP_LOGOUT_REQ | ISCSI_OP_IMMEDIATE;
	bhs[1] = 0x80;
	ini_send(i, bhs, NULL, 0);
}

START_TEST(hang_up_anywhere)
{
	size_t all, cut;

	for (cut = 0;; cut += 1 + (cut > 700 && cut < 5000) * 37) {
		struct ini i = {0};

		rig_init();
		rig.split = _i == 1 ? 7 : 0;
		rig.tmf_slow = _i == 2;
		rig.end[0].tx_stuck = _i == 3;
		i.end = rig_connect();
		record(&i);
		all = rig.end[i.end].in_len;
		if (cut > all) {
			rig_hangup(i.end);
			rig_fini();
			break;
		}
		rig.end[i.end].in_len = cut;
		rig_run();
		if (_i == 3)
			rig.end[i.end].tx_stuck = true;
		rig_hangup(i.end);
		finish(NULL);
	}
}
END_TEST

static void
add(Suite *s)
{
	TCase *t = tcase_create("conn");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, refused_headers, 0, (int)GW_ARRAY_LEN(bad));
	tcase_add_test(t, outside_window_is_ignored);
	tcase_add_loop_test(t, fatal, 0, 5);
	tcase_add_loop_test(t, wrong_data_out, 0, 7);
	tcase_add_test(t, stale_tags);
	tcase_add_loop_test(t, abort_in_r2t, 0, 4);
	tcase_add_loop_test(t, abort_in_pdu, 0, 2);
	tcase_add_test(t, tmf_answers);
	tcase_add_test(t, nop_and_text);
	tcase_add_loop_test(t, logouts, 0, 2);
	tcase_add_loop_test(t, async_logout, 0, 2);
	tcase_add_loop_test(t, silent_peers, 0, 5);
	tcase_add_test(t, asks_without_reading);
	tcase_add_loop_test(t, writes_take_a_share, 0, 2);
	tcase_add_test(t, reads_take_a_share);
	tcase_add_loop_test(t, idle_holders_make_room, 0, 2);
	tcase_add_test(t, idle_discovery);
	tcase_add_test(t, late_heir);
	tcase_add_test(t, reinstatement);
	tcase_add_test(t, endless_reconnects);
	tcase_add_loop_test(t, before_login, 0, 64);
	tcase_add_test(t, refused_and_discovery);
	tcase_add_loop_test(t, hang_up_anywhere, 0, 4);
	suite_add_tcase(s, t);
}

int
main(void)
{
	Suite *s = suite_create("iscsi/conn");
	SRunner *r;
	int failed;

	add(s);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
