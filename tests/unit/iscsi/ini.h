/* SPDX-License-Identifier: BSD-3-Clause */
/* A small initiator on top of rig.h: commands, their data, their answers, with every number
 * checked. */
#ifndef TESTS_UNIT_ISCSI_INI_H
#define TESTS_UNIT_ISCSI_INI_H

#include <check.h>

#include "tests/unit/iscsi/rig.h"

struct ini {
	int end;
	uint32_t cmdsn, stat_sn, itt;
	bool hdig, ddig;
	struct iscsi_params p;
};

struct ini_result {
	uint8_t status, flags;
	uint32_t residual, got;
	uint32_t sense_len;
	uint8_t sense[64];
};

static bool
ini_login(struct ini *i, char isid)
{
	memset(i, 0, sizeof(*i));
	i->end = rig_login(isid);
	i->cmdsn = 1;
	i->stat_sn = 2;
	i->itt = 100;
	i->p = rig.params;
	i->hdig = rig.params.header_digest;
	i->ddig = rig.params.data_digest;
	return i->end >= 0;
}

static void
ini_send(struct ini *i, uint8_t *bhs, const void *data, uint32_t len)
{
	rig_pdu(i->end, bhs, data, len, i->hdig, i->ddig);
}

static bool
ini_recv(struct ini *i, const uint8_t **bhs, const uint8_t **data, uint32_t *len)
{
	rig_run();
	return rig_get(i->end, bhs, data, len, i->hdig, i->ddig);
}

/* Header of a command; ITT and CmdSN are counted. */
static uint32_t
ini_cmd(struct ini *i, uint8_t *bhs, uint8_t op, uint8_t flags, uint32_t len, uint32_t off)
{
	memset(bhs, 0, ISCSI_BHS_LEN);
	bhs[0] = ISCSI_OP_SCSI_CMD;
	bhs[1] = flags | 1;
	gw_put_be32(bhs + ISCSI_AT_ITT, i->itt);
	gw_put_be32(bhs + ISCSI_AT_EDTL, len);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i->cmdsn++);
	gw_put_be32(bhs + ISCSI_AT_EXPSTATSN, i->stat_sn);
	bhs[ISCSI_AT_CDB] = op;
	gw_put_be32(bhs + ISCSI_AT_CDB + 2, len);
	gw_put_be32(bhs + ISCSI_AT_CDB + 6, off);
	return i->itt++;
}

/* One sequence of Data-Outs. */
static void
ini_data_out(struct ini *i, uint32_t itt, uint32_t ttt, const uint8_t *buf, uint32_t off,
	     uint32_t len)
{
	uint32_t sn = 0, end = off + len;

	while (off < end) {
		uint32_t n = GW_MIN(end - off, i->p.max_recv_dsl);
		uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_DATA_OUT};

		bhs[1] = off + n == end ? ISCSI_FLAG_F : 0;
		gw_put_be32(bhs + ISCSI_AT_ITT, itt);
		gw_put_be32(bhs + ISCSI_AT_TTT, ttt);
		gw_put_be32(bhs + ISCSI_AT_DATASN, sn++);
		gw_put_be32(bhs + ISCSI_AT_BUFOFF, off);
		ini_send(i, bhs, buf + off, n);
		off += n;
	}
}

/* Sends a WRITE with all data that may go unasked; returns how much that was. */
static uint32_t
ini_write_start(struct ini *i, const uint8_t *buf, uint32_t len, uint32_t off, uint32_t *itt)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t first = GW_MIN(len, i->p.first_burst), imm = 0;
	bool more;

	if (i->p.immediate_data)
		imm = GW_MIN(first, i->p.max_recv_dsl);
	more = !i->p.initial_r2t && imm < first;
	*itt = ini_cmd(i, bhs, 0x2a, ISCSI_CMD_W | (more ? 0 : ISCSI_FLAG_F), len, off);
	ini_send(i, bhs, buf, imm);
	if (!more)
		return imm;
	ini_data_out(i, *itt, ISCSI_RESERVED_TAG, buf, imm, first - imm);
	return first;
}

static void
ini_status(struct ini *i, const uint8_t *bhs, const uint8_t *data, uint32_t len,
	   struct ini_result *r)
{
	ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_STATSN), i->stat_sn);
	i->stat_sn++;
	ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_EXPCMDSN), i->cmdsn);
	r->status = bhs[ISCSI_AT_STATUS];
	r->flags = bhs[1];
	r->residual = gw_be32(bhs + ISCSI_AT_RESIDUAL);
	if (len > 2 && bhs[0] == ISCSI_OP_SCSI_RSP) {
		r->sense_len = gw_be16(data);
		ck_assert_uint_eq(r->sense_len + 2, len);
		memcpy(r->sense, data + 2, r->sense_len);
	}
}

/* Answers R2Ts until the response comes. */
static void
ini_write_finish(struct ini *i, uint32_t itt, const uint8_t *buf, uint32_t len, uint32_t sent,
		 struct ini_result *r)
{
	const uint8_t *bhs, *data;
	uint32_t n, r2tsn = 0;

	for (;;) {
		ck_assert(ini_recv(i, &bhs, &data, &n));
		ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_ITT), itt);
		if (bhs[0] != ISCSI_OP_R2T)
			break;
		ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_BUFOFF), sent);
		ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_DATASN), r2tsn++);
		n = gw_be32(bhs + ISCSI_AT_DDTL);
		ck_assert_uint_le(n, i->p.max_burst);
		ck_assert_uint_gt(n, 0);
		ck_assert_uint_le(sent + n, len);
		ini_data_out(i, itt, gw_be32(bhs + ISCSI_AT_TTT), buf, sent, n);
		sent += n;
	}
	ck_assert_uint_eq(bhs[0], ISCSI_OP_SCSI_RSP);
	ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_DATASN), r2tsn);
	ini_status(i, bhs, data, n, r);
}

static void
ini_write(struct ini *i, const uint8_t *buf, uint32_t len, uint32_t off, struct ini_result *r)
{
	uint32_t itt, sent = ini_write_start(i, buf, len, off, &itt);

	memset(r, 0, sizeof(*r));
	ini_write_finish(i, itt, buf, len, sent, r);
}

static void
ini_read_finish(struct ini *i, uint32_t itt, uint8_t *buf, uint32_t max, struct ini_result *r)
{
	const uint8_t *bhs, *data;
	uint32_t n, sn = 0;

	for (;;) {
		ck_assert(ini_recv(i, &bhs, &data, &n));
		ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_ITT), itt);
		if (bhs[0] == ISCSI_OP_SCSI_RSP) {
			ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_DATASN), sn);
			break;
		}
		ck_assert_uint_eq(bhs[0], ISCSI_OP_DATA_IN);
		ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_DATASN), sn++);
		ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_BUFOFF), r->got);
		ck_assert_uint_le(n, i->p.max_xmit_dsl);
		ck_assert_uint_le(r->got + n, max);
		memcpy(buf + r->got, data, n);
		r->got += n;
		if (r->got % i->p.max_burst == 0)
			ck_assert(bhs[1] & ISCSI_FLAG_F);
		if (bhs[1] & ISCSI_DATAIN_S) {
			ck_assert(bhs[1] & ISCSI_FLAG_F);
			break;
		}
	}
	ini_status(i, bhs, data, n, r);
}

static void
ini_read(struct ini *i, uint8_t *buf, uint32_t len, uint32_t off, struct ini_result *r)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt = ini_cmd(i, bhs, 0x28, ISCSI_FLAG_F | ISCSI_CMD_R, len, off);

	memset(r, 0, sizeof(*r));
	ini_send(i, bhs, NULL, 0);
	ini_read_finish(i, itt, buf, len, r);
}

static void
ini_fill(uint8_t *buf, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((i * 131 + (i >> 8) * 17 + seed) ^ (seed >> 3));
}

/* The next PDU must be a Reject with that reason. */
static void
ini_expect_reject(struct ini *i, uint8_t reason)
{
	const uint8_t *bhs, *data;
	uint32_t n;

	ck_assert(ini_recv(i, &bhs, &data, &n));
	ck_assert_uint_eq(bhs[0], ISCSI_OP_REJECT);
	ck_assert_uint_eq(bhs[ISCSI_AT_RSP], reason);
	ck_assert_uint_eq(n, ISCSI_BHS_LEN);
	ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_STATSN), i->stat_sn);
	i->stat_sn++;
}

/* The connection has been closed by the target. */
static bool
ini_closed(void)
{
	const struct iscsi_core *ic = rig.core.slot[GW_SLOT_ISCSI];

	rig_run();
	return ic->nconn == 0;
}

#endif
