/* SPDX-License-Identifier: BSD-3-Clause */
/* PDUs that are right by themselves and wrong where they are: data, numbers, tags, floods. */
#include "tests/vm/raw/attack.h"

#include <string.h>

#define LBA     2048
#define FLOOD   512
#define PUSH_MS 5000
#define PIECE   8192
#define PIECES  4
#define ALL     (PIECE * PIECES)
#define WAIT_MS 60000

static uint8_t data[ALL];

static struct raw_msg
piece(uint32_t itt, uint32_t ttt, uint32_t sn, uint32_t at, uint32_t len, bool final)
{
	return (struct raw_msg){.opcode = RAW_DATA_OUT,
				.flags = final ? RAW_F : 0,
				.itt = itt,
				.w20 = ttt,
				.tail = {0, sn, at, 0},
				.data = data,
				.len = len};
}

struct stray {
	uint32_t itt, ttt;
};

/* Data that nobody asked for, of no command. */
static const char *
stray_data(struct raw_try *t)
{
	const struct stray *s = t->how;
	struct raw_conn *c = raw_attach(t->where, "");
	struct raw_msg m;

	if (!c)
		return "refused";
	m = piece(s->itt, s->ttt, 0, 0, PIECE, true);
	(void)raw_msg_send(c, &m);
	return raw_verdict(t, c, RAW_NONE);
}

/* What comes after a write that announces ALL bytes of unsolicited data. */
struct follow {
	uint32_t sn, at, len;
	bool final, again, none;
};

static const char *
wrong_data(struct raw_try *t)
{
	const struct follow *f = t->how;
	struct raw_conn *c = raw_attach(t->where, "InitialR2T=No\n");
	struct raw_msg m, d;

	if (!c)
		return "refused";
	m = raw_io(c, true, LBA, ALL / RAW_BLOCK);
	m.flags &= (uint8_t)~RAW_F;
	(void)raw_msg_send(c, &m);
	d = piece(m.itt, RAW_NONE, f->sn, f->at, f->len, f->final);
	for (unsigned i = 0; !f->none && i < 1u + f->again; i++)
		(void)raw_msg_send(c, &d);
	return raw_verdict(t, c, f->none ? m.itt : RAW_NONE);
}

/*
 * Not wrong where InitialR2T=No was agreed on: all of it unsolicited, or the last half by RDMA; read
 * back.
 */
static const char *
right_data(struct raw_try *t)
{
	const bool *half = t->how;
	struct raw_conn *c = raw_attach(t->where, "InitialR2T=No\n");
	struct raw_mem mem;
	struct raw_msg m, d;
	unsigned n = *half ? PIECES / 2 : PIECES;

	if (!c || !raw_mem_new(c, &mem, ALL, RAW_BOTH_WAYS))
		return "refused";
	if (c->ask_first) {
		raw_mem_free(&mem);
		raw_note(t, " not agreed");
		return raw_verdict(t, c, RAW_NONE);
	}
	for (unsigned i = 0; i < ALL; i++)
		mem.p[i] = (uint8_t)(i * 5 + i / 511);
	m = raw_io(c, true, LBA, ALL / RAW_BLOCK);
	m.flags &= (uint8_t)~RAW_F;
	if (*half) {
		m.out = raw_name_of(&mem);
		m.out.at += ALL / 2;
	}
	(void)raw_msg_send(c, &m);
	for (unsigned i = 0; i < n; i++) {
		d = piece(m.itt, RAW_NONE, i, i * PIECE, PIECE, i + 1 == n);
		d.data = mem.p + (size_t)i * PIECE;
		(void)raw_msg_send(c, &d);
	}
	if (!raw_wait_itt(c, m.itt, WAIT_MS) || c->pdu.opcode != RAW_RESPONSE)
		return raw_verdict(t, c, RAW_NONE);
	raw_note(t, " write=%#x", c->pdu.status);
	if (c->pdu.status)
		return raw_verdict(t, c, RAW_NONE);
	memcpy(data, mem.p, ALL);
	memset(mem.p, 0, ALL);
	m = raw_io(c, false, LBA, ALL / RAW_BLOCK);
	m.in = raw_name_of(&mem);
	raw_note(t, " read=%#x", (unsigned)raw_run(c, &m, WAIT_MS));
	raw_note(t, memcmp(mem.p, data, ALL) ? " differs" : " equal");
	raw_close(c);
	raw_mem_free(&mem);
	return "done";
}

struct immediate {
	const char *keys;
	uint32_t blocks, len;
};

static const char *
immediate(struct raw_try *t)
{
	const struct immediate *w = t->how;
	struct raw_conn *c = raw_attach(t->where, w->keys);
	struct raw_msg m;

	if (!c)
		return "refused";
	m = raw_io(c, true, LBA, w->blocks);
	m.data = data;
	m.len = w->len;
	(void)raw_msg_send(c, &m);
	return raw_verdict(t, c, m.itt);
}

static struct raw_msg
unit_ready(struct raw_conn *c)
{
	struct raw_msg m = raw_plain(c, RAW_COMMAND, RAW_F | 1);

	m.w20 = 0;
	return m;
}

enum flood {
	PINGS,
	IMMEDIATE_COMMANDS,
	COMMANDS,
	TASK_MANAGEMENT,
	TEXTS
};

static struct raw_msg
drop_of(struct raw_conn *c, enum flood kind)
{
	struct raw_msg m;

	switch (kind) {
	case PINGS:
		m = raw_nop(c);
		m.data = data;
		m.len = 4096;
		return m;
	case IMMEDIATE_COMMANDS:
		m = unit_ready(c);
		m.opcode |= RAW_IMMEDIATE;
		m.cmdsn = --c->cmdsn;
		return m;
	case COMMANDS:
		return unit_ready(c);
	case TASK_MANAGEMENT:
		m = raw_plain(c, RAW_TMF | RAW_IMMEDIATE, RAW_F | 1);
		m.cmdsn = --c->cmdsn;
		return m;
	default:
		m = raw_plain(c, RAW_TEXT, RAW_F);
		m.data = "SendTargets=";
		m.len = 13;
		return m;
	}
}

/*
 * As fast as they can be sent; nothing is read meanwhile but what makes room for the next. Beyond the
 * window the target may run out of RECVs. The rxe of Linux 6.1 then stops in the middle of its send
 * queue until something is posted, and reports that message as sent without the peer having seen it.
 */
static const char *
flood(struct raw_try *t)
{
	const enum flood *kind = t->how;
	struct raw_conn *c = raw_attach(t->where, "");

	if (!c)
		return "refused";
	for (unsigned i = 0; i < FLOOD; i++) {
		struct raw_msg m = drop_of(c, *kind);

		if (!raw_msg_send(c, &m)) {
			raw_note(t, " sent=%u", i);
			break;
		}
	}
	if (!c->ended && !c->failed && !raw_ping(c, PUSH_MS))
		raw_note(t, " first ping lost");
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
one_tag(struct raw_try *t)
{
	struct raw_conn *c = raw_attach(t->where, "");
	struct raw_mem mem;
	const char *word;
	uint32_t itt = 0;

	if (!c || !raw_mem_new(c, &mem, ALL, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE))
		return "refused";
	for (unsigned i = 0; i < 16; i++) {
		struct raw_msg m = raw_io(c, false, LBA, ALL / RAW_BLOCK);

		m.in = raw_name_of(&mem);
		itt = m.itt = i ? itt : m.itt;
		(void)raw_msg_send(c, &m);
	}
	word = raw_verdict(t, c, itt);
	raw_mem_free(&mem);
	return word;
}

static const char *
number(struct raw_try *t)
{
	const int32_t *jump = t->how;
	struct raw_conn *c = raw_attach(t->where, "");
	struct raw_msg m;

	if (!c)
		return "refused";
	c->cmdsn += (uint32_t)*jump;
	m = unit_ready(c);
	(void)raw_msg_send(c, &m);
	c->cmdsn -= (uint32_t)*jump + 1;
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
odd_opcode(struct raw_try *t)
{
	const uint8_t *opcode = t->how;
	struct raw_conn *c = raw_attach(t->where, "");
	struct raw_msg m;

	if (!c)
		return "refused";
	m = raw_plain(c, *opcode, RAW_F);
	(void)raw_msg_send(c, &m);
	return raw_verdict(t, c, RAW_NONE);
}

static const char *
after_logout(struct raw_try *t)
{
	struct raw_conn *c = raw_attach(t->where, "");
	struct raw_msg m;

	if (!c)
		return "refused";
	m = raw_plain(c, RAW_LOGOUT | RAW_IMMEDIATE, RAW_F);
	(void)raw_msg_send(c, &m);
	for (unsigned i = 0; i < 8; i++) {
		m = unit_ready(c);
		(void)raw_msg_send(c, &m);
	}
	return raw_verdict(t, c, RAW_NONE);
}

#define HOW(type, ...) (&(const type){__VA_ARGS__})

const struct raw_attack raw_attacks_order[] = {
    {"stray_data_out", stray_data, HOW(struct stray, .itt = 0x7777, .ttt = RAW_NONE)},
    {"stray_data_out_tag", stray_data, HOW(struct stray, .itt = 0x7777, .ttt = 0x12345)},
    {"stray_data_out_none", stray_data, HOW(struct stray, .itt = RAW_NONE, .ttt = 0)},
    {"data_out_offset", wrong_data, HOW(struct follow, .at = 4096, .len = PIECE)},
    {"data_out_sn", wrong_data, HOW(struct follow, .sn = 3, .len = PIECE)},
    {"data_out_behind", wrong_data, HOW(struct follow, .at = ALL, .len = PIECE, .final = true)},
    {"data_out_wraps", wrong_data, HOW(struct follow, .at = 0xfffff000, .len = PIECE)},
    {"data_out_after_final", wrong_data,
     HOW(struct follow, .len = PIECE, .final = true, .again = true)},
    {"data_out_short", wrong_data, HOW(struct follow, .len = 4096, .final = true)},
    {"data_out_empty", wrong_data, HOW(struct follow, .len = 0, .again = true)},
    {"data_out_right", right_data, HOW(bool, false)},
    {"data_out_half", right_data, HOW(bool, true)},
    {"immediate_longer_than_edtl", immediate, HOW(struct immediate, "", 1, 4096)},
    {"immediate_odd", immediate, HOW(struct immediate, "", 1, 13)},
    {"immediate_not_agreed", immediate, HOW(struct immediate, "ImmediateData=No\n", 8, 4096)},
    {"immediate_longer_than_burst", immediate,
     HOW(struct immediate, "FirstBurstLength=512\n", 8, 4096)},
    {"immediate_half_no_stag", immediate, HOW(struct immediate, "", 16, 4096)},
    {"flood_pings", flood, HOW(enum flood, PINGS)},
    {"flood_immediate_commands", flood, HOW(enum flood, IMMEDIATE_COMMANDS)},
    {"flood_commands", flood, HOW(enum flood, COMMANDS)},
    {"flood_task_management", flood, HOW(enum flood, TASK_MANAGEMENT)},
    {"flood_texts", flood, HOW(enum flood, TEXTS)},
    {"one_tag", one_tag, NULL},
    {"number_ahead", number, HOW(int32_t, 5)},
    {"number_before", number, HOW(int32_t, -1)},
    {"number_far", number, HOW(int32_t, 0x40000000)},
    {"opcode_odd", odd_opcode, HOW(uint8_t, 0x1f)},
    {"opcode_of_target", odd_opcode, HOW(uint8_t, 0x25)},
    {"opcode_snack", odd_opcode, HOW(uint8_t, RAW_SNACK)},
    {"after_logout", after_logout, NULL},
    {"slow_no_data_out", wrong_data, HOW(struct follow, .none = true)},
    {0}};
