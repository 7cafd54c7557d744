/* SPDX-License-Identifier: BSD-3-Clause */
/* A small initiator on top of verbs.h: messages, commands with memory for their data, their
 * answers. */
#ifndef TESTS_UNIT_ISER_INI_H
#define TESTS_UNIT_ISER_INI_H

#include <check.h>

#include "tests/unit/iser/verbs.h"

#define VI_STAG   0x5a5a0000u
#define VI_BASE   0x7fff00001000u
#define VI_BESIDE (ISER_LOGIN_RQ + ISCSI_UNEXPECTED_PDUS) /* RECVs beyond the window */

struct vi {
	struct vb_peer *p;
	uint32_t cmdsn, itt;
};

/* A gateway that listens, and its end: nothing of what it took is left. */
static void
vi_up(void)
{
	vb_init();
	vb_listen();
}

static void
vi_down(void)
{
	ck_assert(vb_clean());
	ck_assert(vb_fini());
}

/* A PDU with the memory that its iSER header advertises; NULL: none. */
static void
vi_put(struct vi *i, uint8_t *bhs, const struct vb_mem *out, uint64_t out_at,
       const struct vb_mem *in, const void *data, uint32_t len)
{
	uint8_t *m = calloc(1, ISER_HEAD_LEN + len);

	m[0] = (uint8_t)(0x10 | (out ? 0x08 : 0) | (in ? 0x04 : 0));
	if (out) {
		gw_put_be32(m + 4, out->stag);
		gw_put_be64(m + 8, out_at);
	}
	if (in) {
		gw_put_be32(m + 16, in->stag);
		gw_put_be64(m + 20, in->at);
	}
	gw_put_be24(bhs + ISCSI_AT_DSL, len);
	memcpy(m + ISER_HEADER_LEN, bhs, ISCSI_BHS_LEN);
	if (len > 0)
		memcpy(m + ISER_HEAD_LEN, data, len);
	vb_put(i->p, m, ISER_HEAD_LEN + len);
	free(m);
}

static void
vi_login_put(struct vi *i, char isid, const char *text)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_LOGIN_REQ | ISCSI_OP_IMMEDIATE, 0x87};

	bhs[ISCSI_AT_ISID + 5] = (uint8_t)isid;
	gw_put_be16(bhs + ISCSI_AT_CID, 1);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, 1);
	vi_put(i, bhs, NULL, 0, NULL, text, (uint32_t)strlen(text));
}

static void
vi_begin(struct vi *i, struct vb_peer *p)
{
	*i = (struct vi){.p = p, .cmdsn = 1, .itt = 100};
}

/* The next message's header must have that opcode; the caller's to free. */
static struct vb_msg *
vi_get(struct vi *i, uint8_t opcode)
{
	struct vb_msg *m;
	uint32_t len;

	rig_run();
	m = vb_get(i->p);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_ge(m->n, ISER_HEAD_LEN);
	ck_assert_uint_eq(m->data[0], 0x10);
	ck_assert_uint_eq(m->data[ISER_HEADER_LEN], opcode);
	len = iscsi_dsl(m->data + ISER_HEADER_LEN);
	ck_assert_uint_eq(len + iscsi_pad(len), m->n - ISER_HEAD_LEN);
	return m;
}

/* The window that the login allows, 0 if it was refused. */
static uint32_t
vi_login_on(struct vi *i, struct vb_peer *p, char isid, const char *text)
{
	struct vb_msg *m;
	const uint8_t *bhs;
	uint32_t depth;

	vi_begin(i, p);
	vi_login_put(i, isid, text);
	m = vi_get(i, ISCSI_OP_LOGIN_RSP);
	bhs = m->data + ISER_HEADER_LEN;
	depth = gw_be16(bhs + ISCSI_AT_LOGIN_STATUS)
		    ? 0
		    : gw_be32(bhs + ISCSI_AT_MAXCMDSN) - gw_be32(bhs + ISCSI_AT_EXPCMDSN) + 1;
	free(m);
	return depth;
}

static void
vi_login(struct vi *i, char isid)
{
	ck_assert_uint_gt(vi_login_on(i, vb_connect(), isid, ""), 0);
}

static uint32_t
vi_cmd(struct vi *i, uint8_t *bhs, uint8_t op, uint8_t flags, uint32_t len, uint32_t off)
{
	memset(bhs, 0, ISCSI_BHS_LEN);
	bhs[0] = ISCSI_OP_SCSI_CMD;
	bhs[1] = flags | ISCSI_FLAG_F | 1;
	gw_put_be32(bhs + ISCSI_AT_ITT, i->itt);
	gw_put_be32(bhs + ISCSI_AT_EDTL, len);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i->cmdsn++);
	bhs[ISCSI_AT_CDB] = op;
	gw_put_be32(bhs + ISCSI_AT_CDB + 2, len);
	gw_put_be32(bhs + ISCSI_AT_CDB + 6, off);
	return i->itt++;
}

/* Sends a read of all that m holds; hold: until rig_release(). */
static uint32_t
vi_read(struct vi *i, const struct vb_mem *m, uint32_t off, bool hold)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt = vi_cmd(i, bhs, 0x28, ISCSI_CMD_R, m->n, off);

	bhs[ISCSI_AT_CDB + 1] = hold;
	vi_put(i, bhs, NULL, 0, m, NULL, 0);
	return itt;
}

/* A write of all that m holds, the first imm bytes with the command. */
static uint32_t
vi_write(struct vi *i, const struct vb_mem *m, uint32_t imm, uint32_t off, bool hold)
{
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t itt = vi_cmd(i, bhs, 0x2a, ISCSI_CMD_W, m->n, off);

	bhs[ISCSI_AT_CDB + 1] = hold;
	/* 8.3.1: the base of what is not sent with the command. */
	vi_put(i, bhs, imm < m->n ? m : NULL, m->at + imm, NULL, m->p, imm);
	return itt;
}

/* A response with GOOD status must be the next message. */
static void
vi_good(struct vi *i, uint32_t itt)
{
	struct vb_msg *m = vi_get(i, ISCSI_OP_SCSI_RSP);
	const uint8_t *bhs = m->data + ISER_HEADER_LEN;

	ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_ITT), itt);
	ck_assert_uint_eq(bhs[ISCSI_AT_STATUS], SAM_GOOD);
	ck_assert_uint_eq(gw_be32(bhs + ISCSI_AT_RESIDUAL), 0);
	free(m);
}

static void
vi_tmf_abort(struct vi *i, uint32_t ref)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_OP_TMF_REQ | ISCSI_OP_IMMEDIATE, 0x81};

	gw_put_be32(bhs + ISCSI_AT_ITT, i->itt++);
	gw_put_be32(bhs + ISCSI_AT_REF_TASK, ref);
	gw_put_be32(bhs + ISCSI_AT_CMDSN, i->cmdsn);
	vi_put(i, bhs, NULL, 0, NULL, NULL, 0);
}

static void
vi_fill(uint8_t *p, uint32_t n, uint32_t seed)
{
	for (uint32_t k = 0; k < n; k++)
		p[k] = (uint8_t)((k * 131 + (k >> 8) * 17 + seed) ^ (seed >> 3));
}

static struct vb_mem *
vi_mem(struct vi *i, unsigned nth, uint32_t n, bool out)
{
	struct vb_mem *m = vb_mem(i->p, VI_STAG + nth, VI_BASE + nth * 0x1000000ull, n, out);

	if (out)
		vi_fill(m->p, n, nth);
	return m;
}

/* Our end of the connection; NULL: it has gone. */
static struct iser_conn *
vi_conn(const struct vi *i)
{
	return i->p->id ? gw_container((struct iser_cm_owner *)i->p->id->id.context,
				       struct iser_conn, owner)
			: NULL;
}

/* Time for what is not waited for to be looked at. */
static void
vi_settle(void)
{
	rig_run();
	rig_pass(5);
}

/* The initiator leaves, and all is given back. */
static void
vi_leave(struct vi *i)
{
	vb_hangup(i->p);
	vi_settle();
	rig_release();
	vi_settle();
	ck_assert_ptr_null(i->p->id);
}

#endif
