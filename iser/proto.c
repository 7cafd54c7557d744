/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/proto.h"

#include <string.h>

#include "gateway/base/bytes.h"
#include "gateway/base/num.h"
#include "iscsi/pdu.h"

/* RFC 7145 9.1, 9.2: places in the header, and bits of its first byte. */
enum {
	AT_FLAGS = 0,
	AT_WRITE_STAG = 4,
	AT_WRITE_BASE = 8,
	AT_READ_STAG = 16,
	AT_READ_BASE = 20
};

#define OPCODE_MASK  0xf0
#define OPCODE_ISCSI 0x10
#define OPCODE_HELLO 0x20
#define WRITE_VALID  0x08
#define READ_VALID   0x04

#define CM_NO_ZBVA     0x80
#define CM_NO_SEND_INV 0x40

static struct iser_memory
memory(const uint8_t *p, bool valid, unsigned stag, unsigned base)
{
	struct iser_memory m = {0};

	if (valid)
		m = (struct iser_memory){true, gw_be32(p + stag), gw_be64(p + base)};
	return m;
}

const char *
iser_send_parse(const uint8_t *p, uint32_t n, struct iser_send *s)
{
	const uint8_t *bhs = p + ISER_HEADER_LEN;
	uint32_t head;

	if (n < ISER_HEADER_LEN)
		return "a message is shorter than an iSER header";
	if ((p[AT_FLAGS] & OPCODE_MASK) == OPCODE_HELLO)
		return "it sent an iSER Hello, which was not negotiated";
	if ((p[AT_FLAGS] & OPCODE_MASK) != OPCODE_ISCSI)
		return "a message has an unknown iSER opcode";
	n -= ISER_HEADER_LEN;
	if (n < ISCSI_BHS_LEN)
		return "a message is shorter than an iSCSI header";
	head = ISCSI_BHS_LEN + iscsi_ahs_len(bhs);
	if (!gw_range_ok(head, iscsi_dsl(bhs), n))
		return "a message is shorter than its iSCSI header says";
	s->out = memory(p, p[AT_FLAGS] & WRITE_VALID, AT_WRITE_STAG, AT_WRITE_BASE);
	s->in = memory(p, p[AT_FLAGS] & READ_VALID, AT_READ_STAG, AT_READ_BASE);
	s->bhs = bhs;
	s->data = bhs + head;
	s->len = iscsi_dsl(bhs);
	return NULL;
}

void
iser_header_put(uint8_t *p)
{
	memset(p, 0, ISER_HEADER_LEN);
	p[AT_FLAGS] = OPCODE_ISCSI;
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
