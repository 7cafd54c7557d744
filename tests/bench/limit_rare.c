/* SPDX-License-Identifier: BSD-3-Clause */
/* What an initiator asks once: login keys, INQUIRY, capacity, mode pages. */
#include "tests/bench/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bytes.h"
#include "gateway/base/num.h"
#include "iscsi/proto.h"

#define MRDSL (1u << 20)

static uint32_t
say(struct conn *c, uint32_t at, const char *key, const char *value)
{
	int n = snprintf((char *)c->text + at, sizeof(c->text) - at, "%s=%s", key, value);

	return GW_MIN(at + (uint32_t)n + 1, (uint32_t)sizeof(c->text));
}

/* What the offer of a key is answered with; NULL: it is a declaration. */
static const char *
answer(struct conn *c, const char *key, const char *v)
{
	static const char *const echo[] = {
	    "MaxBurstLength",     "FirstBurstLength", "InitialR2T",     "DefaultTime2Wait",
	    "DefaultTime2Retain", "ImmediateData",    "DataPDUInOrder", "DataSequenceInOrder"};
	uint32_t n = (uint32_t)strtoul(v, NULL, 0);

	if (strcmp(key, "MaxRecvDataSegmentLength") == 0 && n >= LIMIT_BLOCK)
		c->mrdsl = n & ~3u;
	if (strcmp(key, "MaxBurstLength") == 0 && n >= LIMIT_BLOCK)
		c->max_burst = n & ~3u;
	for (unsigned i = 0; i < GW_ARRAY_LEN(echo); i++)
		if (strcmp(key, echo[i]) == 0)
			return v;
	if (strcmp(key, "MaxConnections") == 0 || strcmp(key, "MaxOutstandingR2T") == 0)
		return "1";
	if (strcmp(key, "ErrorRecoveryLevel") == 0)
		return "0";
	if (strstr(key, "Digest") || strcmp(key, "AuthMethod") == 0)
		return "None";
	return strncmp(key, "Initiator", 9) && strncmp(key, "Target", 6) &&
		       strcmp(key, "SessionType") && strcmp(key, "MaxRecvDataSegmentLength")
		   ? "NotUnderstood"
		   : NULL;
}

void
rare_login(struct conn *c, const uint8_t *bhs, const uint8_t *data, uint32_t len)
{
	uint8_t next = bhs[ISCSI_AT_FLAGS] & ISCSI_LOGIN_NSG, *h;
	bool go = bhs[ISCSI_AT_FLAGS] & ISCSI_LOGIN_T;
	char text[4096], *at = text, number[16];
	uint32_t n = 0;

	len = GW_MIN(len, (uint32_t)sizeof(text) - 1);
	memcpy(text, data, len);
	text[len] = '\0';
	while (at < text + len) {
		char *end = at + strlen(at) + 1, *v = strchr(at, '=');
		const char *a;

		if (v) {
			*v++ = '\0';
			a = answer(c, at, v);
			if (a)
				n = say(c, n, at, a);
		}
		at = end;
	}
	if (go && next == ISCSI_STAGE_FULL) {
		snprintf(number, sizeof(number), "%u", MRDSL);
		n = say(c, n, "MaxRecvDataSegmentLength", number);
		n = say(c, n, "TargetPortalGroupTag", "1");
		c->full_feature = true;
	}
	c->cmdsn = gw_be32(bhs + ISCSI_AT_CMDSN);
	h = conn_head(
	    c, ISCSI_OP_LOGIN_RSP,
	    (uint8_t)((bhs[ISCSI_AT_FLAGS] & ISCSI_LOGIN_CSG) | (go ? ISCSI_LOGIN_T | next : 0)),
	    bhs);
	memcpy(h + ISCSI_AT_ISID, bhs + ISCSI_AT_ISID, 6);
	gw_put_be16(h + ISCSI_AT_TSIH, 1);
	conn_data(c, h, c->text, n);
	c->statsn++;
}

static uint32_t
inquiry(const uint8_t *cdb, uint8_t *out)
{
	if (cdb[1] & 1) {
		/* Page 0: the only page is itself. */
		out[1] = cdb[2];
		out[3] = cdb[2] == 0 ? 1 : 0;
		return 4u + out[3];
	}
	out[2] = 6;
	out[3] = 2;
	out[4] = 91;
	memcpy(out + 8, "LIMIT   LOOPBACK        1   ", 28);
	return 96;
}

uint32_t
rare_command(struct conn *c, const uint8_t *cdb, uint8_t *out)
{
	uint64_t last = c->l->size / LIMIT_BLOCK - 1;

	memset(out, 0, 256);
	switch (cdb[0]) {
	case 0x12:
		return inquiry(cdb, out);
	case 0x25:
		gw_put_be32(out, (uint32_t)GW_MIN(last, (uint64_t)UINT32_MAX));
		gw_put_be32(out + 4, LIMIT_BLOCK);
		return 8;
	case 0x9e:
		gw_put_be64(out, last);
		gw_put_be32(out + 8, LIMIT_BLOCK);
		return 32;
	case 0xa0: /* LUNs 0 and 1 are the same one */
		gw_put_be32(out, 16);
		out[8 + 8 + 1] = 1;
		return 24;
	case 0x1a:
		out[0] = 3;
		return 4;
	case 0x5a:
		gw_put_be16(out, 6);
		return 8;
	default: /* GOOD, whatever it was */
		return 0;
	}
}
