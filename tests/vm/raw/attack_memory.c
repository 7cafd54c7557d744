/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that lie about the memory that their data comes from or goes to. */
#include "tests/vm/raw/attack.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/base/bytes.h"

#define BLOCKS 64
#define BYTES  (BLOCKS * RAW_BLOCK)
#define SMALL  4096
#define GUARD  0xa5
/* Where this may write: what the steady session uses lies elsewhere. */
#define LBA 1024

enum kind {
	GOOD,
	MISSING,
	BAD_STAG,
	STALE,
	WRONG_SIDE,
	BOTH_SIDES,
	TOO_SMALL,
	BEFORE,
	BEHIND,
	LAST_BYTE,
	WRAPS,
	NO_RIGHT
};

struct lie {
	bool write;
	enum kind kind;
	uint32_t edtl; /* in place of the true one, unless 0 */
	uint8_t flags; /* in place of the true ones, unless 0 */
	bool zero_edtl;
};

/* Three times as long as what is registered: the middle third is. */
struct area {
	uint8_t *p;
	struct raw_mem mem;
};

static bool
make_area(struct raw_conn *c, struct area *a, const struct lie *l)
{
	int access = RAW_BOTH_WAYS;
	void *p;

	if (posix_memalign(&p, 4096, (size_t)3 * BYTES))
		abort();
	a->p = p;
	memset(a->p, GUARD, (size_t)3 * BYTES);
	if (l->kind == NO_RIGHT)
		access = IBV_ACCESS_LOCAL_WRITE |
			 (l->write ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ);
	a->mem.p = a->p + BYTES;
	a->mem.len = l->kind == TOO_SMALL ? SMALL : BYTES;
	if (l->zero_edtl || (l->edtl && l->edtl < BYTES))
		a->mem.len = l->edtl ? l->edtl : 1;
	a->mem.mr = ibv_reg_mr(c->id->pd, a->mem.p, a->mem.len, access);
	return a->mem.mr;
}

/* Nobody wrote where nothing was registered. */
static bool
untouched(const struct area *a)
{
	for (size_t i = 0; i < (size_t)3 * BYTES; i++) {
		if ((i < BYTES || i >= BYTES + a->mem.len) && a->p[i] != GUARD)
			return false;
	}
	return true;
}

static struct raw_name
named(struct area *a, enum kind kind)
{
	struct raw_name n = raw_name_of(&a->mem);

	if (kind == BAD_STAG)
		n.stag ^= 0x5a5a5a;
	else if (kind == BEFORE)
		n.at -= BYTES / 2;
	else if (kind == BEHIND)
		n.at += a->mem.len + 4096;
	else if (kind == LAST_BYTE)
		n.at += 1;
	else if (kind == WRAPS)
		n.at = 0 - (uint64_t)RAW_BLOCK;
	return n;
}

static struct raw_msg
lying_io(struct raw_conn *c, struct area *a, const struct lie *l)
{
	struct raw_msg m = raw_io(c, l->write, LBA, BLOCKS);
	struct raw_name n = named(a, l->kind);
	bool out = l->write != (l->kind == WRONG_SIDE);

	if (l->kind != MISSING) {
		m.out = out || l->kind == BOTH_SIDES ? n : m.out;
		m.in = !out || l->kind == BOTH_SIDES ? n : m.in;
	}
	if (l->edtl || l->zero_edtl)
		m.w20 = l->edtl;
	if (l->edtl > BYTES)
		gw_put_be16(m.cdb + 7, 1);
	if (l->flags)
		m.flags = l->flags;
	return m;
}

static const char *
lie(struct raw_try *t)
{
	struct raw_conn *c = raw_attach(t->where, "");
	const struct lie *l = t->how;
	const char *word;
	struct area a = {0};
	struct raw_msg m;

	if (!c || !make_area(c, &a, l))
		return "refused";
	m = lying_io(c, &a, l);
	if (l->kind == STALE) {
		ibv_dereg_mr(a.mem.mr);
		a.mem.mr = NULL;
	}
	(void)raw_msg_send(c, &m);
	word = raw_verdict(t, c, m.itt);
	if (!untouched(&a))
		raw_note(t, " overwritten");
	if (a.mem.mr)
		ibv_dereg_mr(a.mem.mr);
	free(a.p);
	return word;
}

/* Not a lie: half of the data comes with the command, the tag is for the rest (as Linux does it).
 */
static const char *
partly_immediate(struct raw_try *t)
{
	const struct lie l = {.write = true};
	struct raw_conn *c = raw_attach(t->where, "");
	uint8_t now[BYTES];
	struct area a = {0};
	struct raw_msg m;
	int status;

	if (!c || !make_area(c, &a, &l))
		return "refused";
	for (uint32_t i = 0; i < BYTES; i++)
		a.mem.p[i] = (uint8_t)(i * 7 + i / 509);
	memcpy(now, a.mem.p, BYTES);
	m = lying_io(c, &a, &l);
	m.data = a.mem.p;
	m.len = 8192;
	m.out.at += m.len;
	status = raw_run(c, &m, 60000);
	memset(a.mem.p, 0, BYTES);
	m = raw_io(c, false, LBA, BLOCKS);
	m.in = raw_name_of(&a.mem);
	raw_note(t, " write=%#x", (unsigned)status);
	raw_note(t, " read=%#x", (unsigned)raw_run(c, &m, 60000));
	raw_note(t, memcmp(now, a.mem.p, BYTES) ? " differs" : " equal");
	raw_close(c);
	ibv_dereg_mr(a.mem.mr);
	free(a.p);
	return "done";
}

/* A tag that nobody needs, and that is to be invalidated with the answer. */
static const char *
invalidate(struct raw_try *t)
{
	struct raw_conn *c = raw_new();
	struct raw_msg m;

	c->able = true;
	c = raw_begin(c, t->where, "");
	if (!c)
		return "refused";
	m = raw_plain(c, RAW_COMMAND, RAW_F | 1);
	m.w20 = 0;
	m.in = m.out = (struct raw_name){true, 0x123456, 0};
	(void)raw_msg_send(c, &m);
	return raw_verdict(t, c, m.itt);
}

/* The task is under way when the memory goes. */
static const char *
pull_away(struct raw_try *t)
{
	const struct lie *l = t->how;
	struct raw_conn *c = raw_attach(t->where, "");
	struct area a = {0};
	const char *word;
	struct raw_msg m;

	if (!c || !make_area(c, &a, l))
		return "refused";
	for (unsigned i = 0; i < 32; i++) {
		m = lying_io(c, &a, l);
		(void)raw_msg_send(c, &m);
	}
	ibv_dereg_mr(a.mem.mr);
	word = raw_verdict(t, c, m.itt);
	if (!untouched(&a))
		raw_note(t, " overwritten");
	free(a.p);
	return word;
}

/* Each of ours goes to memory of theirs, if they have any for us. */
static const char *
guess(struct raw_try *t)
{
	const enum ibv_wr_opcode op = *(const enum ibv_wr_opcode *)t->how;
	unsigned ended = 0, exposed = 0, all = 0;

	for (unsigned k = 0; k < t->nkey; k++) {
		for (unsigned i = 0; i < t->nplace; i++) {
			struct raw_conn *c = raw_attach(t->where, "");
			struct raw_mem m;
			uint64_t until;

			if (!c || !raw_mem_new(c, &m, SMALL, IBV_ACCESS_LOCAL_WRITE))
				return "refused";
			memset(m.p, GUARD, SMALL);
			all++;
			until = raw_now_ms() + 60000;
			if (raw_rdma(c, op, &m, t->keys[k], t->places[i])) {
				while (!c->ended && !c->rdma_done &&
				       raw_step(c, until) != RAW_NOTHING)
					;
			}
			exposed += c->rdma_done > 0;
			ended += c->ended;
			raw_close(c);
			raw_mem_free(&m);
		}
	}
	raw_note(t, " tried=%u ended=%u exposed=%u", all, ended, exposed);
	return exposed ? "exposed" : ended == all ? "ended" : "broken";
}

/* clang-format off */
#define LIE(name, ...) \
	{"read_" name, lie, &(const struct lie){__VA_ARGS__}}, \
	{"write_" name, lie, &(const struct lie){.write = true, __VA_ARGS__}}
/* clang-format on */

const struct raw_attack raw_attacks_memory[] = {
    LIE("honest", .kind = GOOD),
    LIE("no_stag", .kind = MISSING),
    LIE("bad_stag", .kind = BAD_STAG),
    LIE("stale_stag", .kind = STALE),
    LIE("other_side", .kind = WRONG_SIDE),
    LIE("both_sides", .kind = BOTH_SIDES),
    LIE("too_small", .kind = TOO_SMALL),
    LIE("before", .kind = BEFORE),
    LIE("behind", .kind = BEHIND),
    LIE("one_byte_on", .kind = LAST_BYTE),
    LIE("wraps", .kind = WRAPS),
    LIE("no_right", .kind = NO_RIGHT),
    LIE("edtl_less", .edtl = RAW_BLOCK),
    LIE("edtl_odd", .edtl = 1000),
    LIE("edtl_more", .edtl = 2 * BYTES),
    LIE("edtl_max", .edtl = RAW_NONE),
    LIE("edtl_zero", .zero_edtl = true),
    LIE("no_flags", .flags = RAW_F | 1),
    LIE("both_flags", .flags = RAW_F | RAW_R | RAW_W | 1),
    LIE("both_flags_sides", .kind = BOTH_SIDES, .flags = RAW_F | RAW_R | RAW_W | 1),
    {"write_partly_immediate", partly_immediate, NULL},
    {"slow_invalidate", invalidate, NULL},
    {"read_pulled_away", pull_away, &(const struct lie){.kind = GOOD}},
    {"write_pulled_away", pull_away, &(const struct lie){.write = true}},
    {"guess_read", guess, &(const enum ibv_wr_opcode){IBV_WR_RDMA_READ}},
    {"guess_write", guess, &(const enum ibv_wr_opcode){IBV_WR_RDMA_WRITE}},
    {0}};
