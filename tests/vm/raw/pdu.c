/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/vm/raw/raw.h"

#include <string.h>

#include "gateway/base/bytes.h"

#define OPCODE_ISCSI 0x10
#define WRITE_VALID  0x08
#define READ_VALID   0x04
#define SIMPLE       1

struct raw_name
raw_name_of(const struct raw_mem *m)
{
	return (struct raw_name){true, m->mr->rkey, (uintptr_t)m->p};
}

/* RFC 7145 9.2. */
static void
put_iser(const struct raw_msg *m, uint8_t *p)
{
	p[0] = OPCODE_ISCSI | (m->out.valid ? WRITE_VALID : 0) | (m->in.valid ? READ_VALID : 0);
	if (m->iser)
		p[0] = m->iser;
	gw_put_be32(p + 4, m->out.stag);
	gw_put_be64(p + 8, m->out.at);
	gw_put_be32(p + 16, m->in.stag);
	gw_put_be64(p + 20, m->in.at);
}

uint32_t
raw_msg_put(const struct raw_conn *c, const struct raw_msg *m, uint8_t *p)
{
	uint8_t *bhs = p + RAW_ISER;

	memset(p, 0, RAW_HEAD);
	put_iser(m, p);
	bhs[0] = m->opcode;
	bhs[1] = m->flags;
	gw_put_be32(bhs + 4, m->lie ? m->dsl : m->len);
	bhs[4] = m->ahs_words;
	if (m->opcode != RAW_TEXT && (m->opcode & ~RAW_IMMEDIATE) != RAW_LOGOUT)
		gw_put_be16(bhs + 8, (uint16_t)c->lun);
	gw_put_be32(bhs + 16, m->itt);
	gw_put_be32(bhs + 20, m->w20);
	gw_put_be32(bhs + 24, m->cmdsn);
	gw_put_be32(bhs + 28, c->exp_statsn);
	for (unsigned i = 0; i < 4; i++)
		gw_put_be32(bhs + 32 + 4 * i, m->tail[i]);
	if ((m->opcode & ~RAW_IMMEDIATE) == RAW_COMMAND)
		memcpy(bhs + 32, m->cdb, 16);
	if (m->len)
		memcpy(p + RAW_HEAD, m->data, m->len);
	return RAW_HEAD + m->len;
}

bool
raw_msg_send(struct raw_conn *c, const struct raw_msg *m)
{
	uint8_t p[RAW_SEND_SLOT];

	return raw_send(c, p, raw_msg_put(c, m, p));
}

/* A ping is answered with its own tag (RFC 7143 11.18). */
static void
answer(struct raw_conn *c, uint32_t ttt)
{
	struct raw_msg m = {.opcode = RAW_NOP_OUT | RAW_IMMEDIATE,
			    .flags = RAW_F,
			    .itt = RAW_NONE,
			    .w20 = ttt,
			    .cmdsn = c->cmdsn};

	(void)raw_msg_send(c, &m);
}

bool
raw_pdu_parse(struct raw_conn *c, uint32_t n)
{
	const uint8_t *bhs = c->in + RAW_ISER;
	struct raw_pdu *p = &c->pdu;

	if (n < RAW_HEAD || (c->in[0] & 0xf0) != OPCODE_ISCSI)
		return false;
	*p = (struct raw_pdu){.opcode = bhs[0] & 0x3f,
			      .flags = bhs[1],
			      .response = bhs[2],
			      .status = bhs[3],
			      .itt = gw_be32(bhs + 16),
			      .w20 = gw_be32(bhs + 20),
			      .bhs = bhs,
			      .data = c->in + RAW_HEAD,
			      .len = gw_be32(bhs + 4) & 0xffffff};
	if (p->len > n - RAW_HEAD)
		return false;
	c->exp_statsn = gw_be32(bhs + 24) + (p->opcode != RAW_NOP_IN || p->itt != RAW_NONE);
	c->max_cmdsn = gw_be32(bhs + 32);
	if (p->opcode == RAW_NOP_IN && p->w20 != RAW_NONE) {
		if (!c->mute)
			answer(c, p->w20);
		return false;
	}
	return true;
}

struct raw_msg
raw_plain(struct raw_conn *c, uint8_t opcode, uint8_t flags)
{
	return (struct raw_msg){.opcode = opcode,
				.flags = flags,
				.itt = c->itt++,
				.w20 = RAW_NONE,
				.cmdsn = c->cmdsn++};
}

struct raw_msg
raw_io(struct raw_conn *c, bool write, uint32_t lba, uint32_t blocks)
{
	struct raw_msg m = raw_plain(c, RAW_COMMAND, RAW_F | SIMPLE | (write ? RAW_W : RAW_R));

	m.w20 = blocks * RAW_BLOCK;
	m.cdb[0] = write ? 0x2a : 0x28;
	gw_put_be32(m.cdb + 2, lba);
	gw_put_be16(m.cdb + 7, (uint16_t)blocks);
	return m;
}

struct raw_msg
raw_nop(struct raw_conn *c)
{
	return (struct raw_msg){.opcode = RAW_NOP_OUT | RAW_IMMEDIATE,
				.flags = RAW_F,
				.itt = c->itt++,
				.w20 = RAW_NONE,
				.cmdsn = c->cmdsn};
}
