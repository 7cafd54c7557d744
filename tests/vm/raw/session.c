/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/vm/raw/raw.h"

#include <stdio.h>
#include <string.h>

#include "gateway/base/bytes.h"

#define LOGIN_MS        60000
#define CSG_OPER        0x04
#define NSG_FULL        0x03
#define CHECK_CONDITION 0x02

static const char usual[] =
    "SessionType=Normal\nHeaderDigest=None\nDataDigest=None\nRDMAExtensions=Yes\n"
    "InitiatorRecvDataSegmentLength=8192\nTargetRecvDataSegmentLength=8192\n"
    "InitialR2T=Yes\nImmediateData=Yes\nMaxBurstLength=262144\n"
    "FirstBurstLength=65536\nMaxConnections=1\nErrorRecoveryLevel=0\n"
    "DefaultTime2Wait=2\nDefaultTime2Retain=20\nMaxOutstandingR2T=1\n";

uint32_t
raw_login_keys(const struct raw_where *w, const char *more, char *text, uint32_t room)
{
	/* A line of `more` stands in for the usual one of the same key. */
	int n = snprintf(text, room, "InitiatorName=iqn.2026-11.test:raw\nTargetName=%s\n", w->iqn);

	for (const char *line = usual; *line; line = strchr(line, '\n') + 1) {
		char key[64];

		snprintf(key, sizeof(key), "%.*s=", (int)strcspn(line, "="), line);
		if (!strstr(more, key))
			n += snprintf(text + n, room - (uint32_t)n, "%.*s\n",
				      (int)strcspn(line, "\n"), line);
	}
	n += snprintf(text + n, room - (uint32_t)n, "%s", more);
	for (int i = 0; i < n; i++) {
		if (text[i] == '\n')
			text[i] = '\0';
	}
	return (uint32_t)n;
}

struct raw_msg
raw_login_msg(struct raw_conn *c, const char *text, uint32_t len)
{
	struct raw_msg m = {.opcode = RAW_LOGIN | RAW_IMMEDIATE,
			    .flags = RAW_F | CSG_OPER | NSG_FULL,
			    .itt = 0x10,
			    .cmdsn = c->cmdsn,
			    .data = text,
			    .len = len};

	return m;
}

/* The ISID lies where other PDUs have the LUN: one that no other connection of ours has. */
static bool
send_login(struct raw_conn *c, const struct raw_msg *m)
{
	uint8_t p[RAW_SEND_SLOT], *bhs = p + RAW_ISER;
	uint32_t n = raw_msg_put(c, m, p);

	bhs[8] = 0x80;
	gw_put_be16(bhs + 9, 0x1234);
	bhs[11] = 0x56;
	gw_put_be16(bhs + 12, c->port);
	return raw_send(c, p, n);
}

bool
raw_wait_itt(struct raw_conn *c, uint32_t itt, unsigned ms)
{
	uint64_t until = raw_now_ms() + ms;
	enum raw_got got;

	while (!c->ended && (got = raw_step(c, until)) != RAW_NOTHING) {
		if (got == RAW_PDU && c->pdu.itt == itt)
			return true;
	}
	return false;
}

int
raw_login(struct raw_conn *c, const struct raw_where *w, const char *more)
{
	char text[4096];
	uint32_t len = raw_login_keys(w, more, text, sizeof(text));
	struct raw_msg m;
	int status;

	c->cmdsn = 1;
	c->itt = 0x100;
	m = raw_login_msg(c, text, len);
	/* A target that has more to say is asked on, with nothing of ours. */
	for (unsigned turn = 0; turn < 4; turn++) {
		if (!send_login(c, &m) || !raw_wait_itt(c, m.itt, LOGIN_MS) ||
		    c->pdu.opcode != RAW_LOGIN_RSP)
			return -1;
		status = c->pdu.bhs[36] << 8 | c->pdu.bhs[37];
		c->ask_first |= memmem(c->pdu.data, c->pdu.len, "InitialR2T=Yes", 14) != NULL;
		if (status || c->pdu.flags & RAW_F)
			return status;
		m = raw_login_msg(c, NULL, 0);
	}
	return -1;
}

/* The first command of a session may hear of what happened before it. */
static void
hear_attention(struct raw_conn *c)
{
	for (unsigned i = 0; i < 4; i++) {
		struct raw_msg m = raw_plain(c, RAW_COMMAND, RAW_F | 1);

		m.w20 = 0;
		if (raw_run(c, &m, LOGIN_MS) != CHECK_CONDITION)
			return;
	}
}

struct raw_conn *
raw_begin(struct raw_conn *c, const struct raw_where *w, const char *more)
{
	int status;

	if (!raw_connect(c, w)) {
		fprintf(stderr, "no connection, event=%d\n", c->event);
		raw_drop(c);
		return NULL;
	}
	status = raw_login(c, w, more);
	if (status) {
		fprintf(stderr, "no login, status=%#x ended=%d failed=%d\n", (unsigned)status,
			c->ended, c->failed);
		raw_close(c);
		return NULL;
	}
	hear_attention(c);
	return c;
}

struct raw_conn *
raw_attach(const struct raw_where *w, const char *more)
{
	return raw_begin(raw_new(), w, more);
}

bool
raw_logout(struct raw_conn *c, unsigned ms)
{
	uint64_t until = raw_now_ms() + ms;
	struct raw_msg m = raw_plain(c, RAW_LOGOUT | RAW_IMMEDIATE, RAW_F);

	m.w20 = 0;
	m.cmdsn = --c->cmdsn;
	if (!raw_msg_send(c, &m) || !raw_wait_itt(c, m.itt, ms) || c->pdu.opcode != RAW_LOGOUT_RSP)
		return false;
	while (!c->ended && raw_step(c, until) != RAW_NOTHING)
		;
	return true;
}

bool
raw_ping(struct raw_conn *c, unsigned ms)
{
	struct raw_msg m = raw_nop(c);

	return raw_msg_send(c, &m) && raw_wait_itt(c, m.itt, ms) && c->pdu.opcode == RAW_NOP_IN;
}

int
raw_run(struct raw_conn *c, const struct raw_msg *m, unsigned ms)
{
	if (!raw_msg_send(c, m) || !raw_wait_itt(c, m->itt, ms) || c->pdu.opcode != RAW_RESPONSE ||
	    c->pdu.response)
		return -1;
	return c->pdu.status;
}
