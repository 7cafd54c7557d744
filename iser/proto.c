/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/proto.h"

#include <string.h>

#include "gateway/base/bytes.h"
#include "gateway/base/num.h"
#include "iscsi/pdu.h"

/* RFC 7145 9.1, 9.2: places in the header, and bits of its first byte. */
enum {
	AT_FLAGS = 0,
	AT_VERSIONS = 1, /* Hello: MaxVer and MinVer, or CurVer */
	AT_DEPTH = 2,    /* ... iSER-IRD, or iSER-ORD */
	AT_WRITE_STAG = 4,
	AT_WRITE_BASE = 8,
	AT_READ_STAG = 16,
	AT_READ_BASE = 20
};

#define OPCODE_MASK  0xf0
#define OPCODE_ISCSI 0x10
#define OPCODE_HELLO 0x20
#define OPCODE_REPLY 0x30
#define REPLY_REJECT 0x01
#define WRITE_VALID  0x08
#define READ_VALID   0x04

#define CM_NO_ZBVA     0x80
#define CM_NO_SEND_INV 0x40

static struct iscsi_remote
memory(const uint8_t *p, bool valid, unsigned stag, unsigned base)
{
	struct iscsi_remote m = {0};

	if (valid)
		m = (struct iscsi_remote){true, gw_be32(p + stag), gw_be64(p + base)};
	return m;
}

const char *
iser_send_parse(const uint8_t *head, const uint8_t *rest, uint32_t n, struct iser_send *s)
{
	const uint8_t *bhs = head + ISER_HEADER_LEN;
	uint32_t ahs;

	*s = (struct iser_send){0};
	if (n < ISER_HELLO_LEN)
		return "a message is shorter than an iSER header";
	if ((head[AT_FLAGS] & OPCODE_MASK) == OPCODE_HELLO) {
		s->hello = true;
		s->max_ver = head[AT_VERSIONS] >> 4;
		s->min_ver = head[AT_VERSIONS] & 0x0f;
		s->ird = gw_be16(head + AT_DEPTH);
		return NULL;
	}
	if ((head[AT_FLAGS] & OPCODE_MASK) != OPCODE_ISCSI)
		return "a message has an unknown iSER opcode";
	if (n < ISER_HEAD_LEN)
		return "a message is shorter than its headers";
	ahs = iscsi_ahs_len(bhs);
	if (!gw_range_ok(ahs, iscsi_dsl(bhs), n - ISER_HEAD_LEN))
		return "a message is shorter than its iSCSI header says";
	s->out = memory(head, head[AT_FLAGS] & WRITE_VALID, AT_WRITE_STAG, AT_WRITE_BASE);
	s->in = memory(head, head[AT_FLAGS] & READ_VALID, AT_READ_STAG, AT_READ_BASE);
	s->bhs = bhs;
	s->ahs = rest;
	s->data = rest + ahs;
	s->len = iscsi_dsl(bhs);
	return NULL;
}

void
iser_header_put(uint8_t *p)
{
	memset(p, 0, ISER_HEADER_LEN);
	p[AT_FLAGS] = OPCODE_ISCSI;
}

bool
iser_hello_reply_put(uint8_t *p, const struct iser_send *hello, uint16_t ord)
{
	bool ok = hello->min_ver <= ISER_VERSION && hello->max_ver >= ISER_VERSION;

	memset(p, 0, ISER_HEADER_LEN);
	p[AT_FLAGS] = OPCODE_REPLY | (ok ? 0 : REPLY_REJECT);
	p[AT_VERSIONS] = ISER_VERSION << 4 | ISER_VERSION;
	gw_put_be16(p + AT_DEPTH, ord);
	return ok;
}

struct iser_cm
iser_cm_parse(const uint8_t *p, uint32_t n)
{
	uint8_t flags = n >= ISER_CM_LEN ? p[0] : CM_NO_ZBVA | CM_NO_SEND_INV;

	return (struct iser_cm){flags & CM_NO_ZBVA, flags & CM_NO_SEND_INV};
}

void
iser_cm_put(uint8_t *p, struct iser_cm cm)
{
	memset(p, 0, ISER_CM_LEN);
	p[0] = (cm.no_zbva ? CM_NO_ZBVA : 0) | (cm.no_send_inv ? CM_NO_SEND_INV : 0);
}
