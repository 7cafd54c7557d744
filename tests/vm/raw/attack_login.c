/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to a session: connections that are odd, left, or never log in. */
#include "tests/vm/raw/attack.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define KEYS_MAX     4096
#define LEAVERS      20
#define CROWD        200
#define PIECES       200
#define STAGE_END_MS 90000
/* All that the connection manager passes on; InfiniBand's message has no more room. */
#define PRIVATE_MAX 56

struct private_data {
	const uint8_t *p;
	uint8_t len;
};

static const uint8_t ones[PRIVATE_MAX] = {[0 ... PRIVATE_MAX - 1] = 0xff};
static const uint8_t zeros[4];
static const struct private_data no_private = {NULL, 0};
static const struct private_data short_private = {ones, 1};
static const struct private_data long_private = {ones, PRIVATE_MAX};
static const struct private_data able_private = {zeros, sizeof(zeros)};

static struct raw_conn *
connected(struct raw_try *t)
{
	struct raw_conn *c = raw_new();

	/* There are many of them, and they have little to say. */
	c->recvs = c->sends = 4;
	if (raw_connect(c, t->where)) {
		c->cmdsn = 1;
		return c;
	}
	raw_note(t, " event=%d", c->event);
	raw_drop(c);
	return NULL;
}

static const char *
odd_private_data(struct raw_try *t)
{
	const struct private_data *d = t->how;
	struct raw_conn *c = raw_new();
	uint64_t until = raw_now_ms() + STAGE_END_MS;

	if (!raw_open(c, t->where) || !raw_request(c, d->p, d->len)) {
		raw_drop(c);
		return "refused";
	}
	while (!c->up && !c->refused && raw_step(c, until) != RAW_NOTHING)
		;
	c->port = ntohs(rdma_get_src_port(c->id));
	if (!c->up || raw_login(c, t->where, "")) {
		raw_note(t, " event=%d", c->event);
		raw_close(c);
		return "refused";
	}
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
say_nothing(struct raw_try *t)
{
	struct raw_conn *c = connected(t);
	uint64_t until = raw_now_ms() + STAGE_END_MS;

	if (!c)
		return "refused";
	while (!c->ended && raw_step(c, until) != RAW_NOTHING)
		;
	until = c->ended;
	raw_close(c);
	return until ? "ended" : "silent";
}

static const char *
leave_at_once(struct raw_try *t)
{
	for (unsigned i = 0; i < LEAVERS; i++) {
		struct raw_conn *c = connected(t);

		if (!c)
			return "refused";
		raw_close(c);
	}
	return "left";
}

/* Gone before the reply is there. */
static const char *
leave_while_connecting(struct raw_try *t)
{
	for (unsigned i = 0; i < LEAVERS; i++) {
		struct raw_conn *c = raw_new();

		if (!raw_open(c, t->where) || !raw_request(c, zeros, sizeof(zeros))) {
			raw_drop(c);
			return "refused";
		}
		if (i & 1)
			(void)raw_step(c, raw_now_ms() + 1);
		raw_drop(c);
	}
	return "left";
}

/* It takes no RDMA Read, so no write could ever get its data. */
static const char *
no_reads(struct raw_try *t)
{
	struct raw_conn *c = raw_new();

	c->reads = 0;
	c = raw_begin(c, t->where, "");
	return c ? raw_verdict(t, c, RAW_NONE) : "refused";
}

/* The reply is not looked at for longer than a login may take: nothing confirms the connection. */
static const char *
never_confirm(struct raw_try *t)
{
	struct raw_conn *c = raw_new();
	const struct timespec long_time = {40, 0};

	if (!raw_open(c, t->where) || !raw_request(c, zeros, sizeof(zeros))) {
		raw_drop(c);
		return "refused";
	}
	nanosleep(&long_time, NULL);
	raw_drop(c);
	return "left";
}

static bool
send_login(struct raw_try *t, struct raw_conn *c, const char *more, uint8_t flags)
{
	char text[KEYS_MAX];
	uint32_t n = raw_login_keys(t->where, more, text, sizeof(text));
	struct raw_msg m = raw_login_msg(c, text, n);

	if (flags)
		m.flags = flags;
	return raw_msg_send(c, &m);
}

static const char *
leave_in_login(struct raw_try *t)
{
	for (unsigned i = 0; i < LEAVERS; i++) {
		struct raw_conn *c = connected(t);

		if (!c)
			return "refused";
		(void)send_login(t, c, "", 0);
		if (i & 1)
			(void)raw_step(c, raw_now_ms() + i);
		raw_close(c);
	}
	return "left";
}

/* Stays in the operational stage: T is not set. */
static const char *
half_login(struct raw_try *t)
{
	struct raw_conn *c = connected(t);
	uint64_t until = raw_now_ms() + STAGE_END_MS;

	if (!c)
		return "refused";
	(void)send_login(t, c, "", 0x04);
	while (!c->ended && raw_step(c, until) != RAW_NOTHING)
		;
	until = c->ended;
	raw_close(c);
	return until ? "ended" : "silent";
}

/* Keys that go on and on: C is set. */
static const char *
endless_keys(struct raw_try *t)
{
	struct raw_conn *c = connected(t);
	char text[8000];
	unsigned i;

	if (!c)
		return "refused";
	memset(text, 'a', sizeof(text));
	for (i = 0; i < PIECES && !c->ended; i++) {
		struct raw_msg m = raw_login_msg(c, text, sizeof(text));

		m.flags = 0x44;
		if (!raw_msg_send(c, &m) || !raw_wait_itt(c, m.itt, STAGE_END_MS) || c->pdu.bhs[36])
			break;
	}
	raw_note(t, " pieces=%u", i);
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
two_at_once(struct raw_try *t)
{
	struct raw_conn *c = connected(t);

	if (!c)
		return "refused";
	for (unsigned i = 0; i < 8; i++)
		(void)send_login(t, c, "", 0);
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
twice(struct raw_try *t)
{
	struct raw_conn *c = raw_attach(t->where, "");

	if (!c)
		return "refused";
	(void)send_login(t, c, "", 0);
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
odd_keys(struct raw_try *t)
{
	struct raw_conn *c = connected(t);
	int status;

	if (!c)
		return "refused";
	status = raw_login(c, t->where, t->how);
	raw_note(t, " login=%#x", (unsigned)status);
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
other_first(struct raw_try *t)
{
	struct raw_conn *c = connected(t);
	const uint8_t *opcode = t->how;
	struct raw_msg m;

	if (!c)
		return "refused";
	m = raw_plain(c, *opcode, RAW_F);
	(void)raw_msg_send(c, &m);
	return raw_verdict(t, c, RAW_NONE);
}

/* Connections that never log in, or not to the end, all at once. */
static const char *
crowd(struct raw_try *t)
{
	const bool *half = t->how;
	struct raw_conn *all[CROWD];
	unsigned up = 0, ended = 0;
	uint64_t until;

	for (unsigned i = 0; i < CROWD; i++) {
		all[i] = connected(t);
		up += all[i] != NULL;
		if (all[i] && *half)
			(void)send_login(t, all[i], "", 0x04);
	}
	until = raw_now_ms() + STAGE_END_MS;
	for (unsigned i = 0; i < CROWD; i++) {
		if (!all[i])
			continue;
		while (!all[i]->ended && raw_step(all[i], until) != RAW_NOTHING)
			;
		ended += all[i]->ended;
		raw_close(all[i]);
	}
	t->said[0] = '\0';
	raw_note(t, " up=%u ended=%u", up, ended);
	return up == ended ? "ended" : "silent";
}

static const uint8_t nop = RAW_NOP_OUT | RAW_IMMEDIATE, command = RAW_COMMAND, text = RAW_TEXT,
		     data_out = RAW_DATA_OUT, logout = RAW_LOGOUT, odd = 0x1e, of_target = 0x23;

const struct raw_attack raw_attacks_login[] = {
    {"no_private_data", odd_private_data, &no_private},
    {"short_private_data", odd_private_data, &short_private},
    {"long_private_data", odd_private_data, &long_private},
    {"able_private_data", odd_private_data, &able_private},
    {"takes_no_reads", no_reads, NULL},
    {"leave_at_once", leave_at_once, NULL},
    {"leave_while_connecting", leave_while_connecting, NULL},
    {"leave_in_login", leave_in_login, NULL},
    {"endless_keys", endless_keys, NULL},
    {"two_logins_at_once", two_at_once, NULL},
    {"login_twice", twice, NULL},
    {"rdma_extensions_no", odd_keys, "RDMAExtensions=No\n"},
    {"small_segments", odd_keys,
     "InitiatorRecvDataSegmentLength=512\nTargetRecvDataSegmentLength=512\n"},
    {"zero_segments", odd_keys,
     "InitiatorRecvDataSegmentLength=0\nTargetRecvDataSegmentLength=4294967295\n"},
    {"hello_wanted", odd_keys, "iSERHelloRequired=Yes\n"},
    {"many_unexpected", odd_keys, "MaxOutstandingUnexpectedPDUs=4294967295\n"},
    {"digests", odd_keys, "HeaderDigest=CRC32C\nDataDigest=CRC32C\n"},
    {"nop_first", other_first, &nop},
    {"command_first", other_first, &command},
    {"text_first", other_first, &text},
    {"data_out_first", other_first, &data_out},
    {"logout_first", other_first, &logout},
    {"odd_opcode_first", other_first, &odd},
    {"target_opcode_first", other_first, &of_target},
    {"slow_say_nothing", say_nothing, NULL},
    {"slow_half_login", half_login, NULL},
    {"slow_never_confirm", never_confirm, NULL},
    {"slow_crowd", crowd, &(const bool){false}},
    {"slow_half_crowd", crowd, &(const bool){true}},
    {0}};
