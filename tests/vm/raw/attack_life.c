/* SPDX-License-Identifier: BSD-3-Clause */
/* Initiators that go, or stay and do not take what they asked for. */
#include "tests/vm/raw/attack.h"

#include <stdio.h>
#include <string.h>

#define DEPTH   32
#define IO      (256 * 1024)
#define LBA     4096
#define DEAF_MS 180000

struct load {
	bool write;
	enum {
		DESTROY,
		FAIL,
		DISCONNECT,
		DEAF,
		CARRY_ON
	} then;
};

static bool
fill(struct raw_conn *c, const struct load *l, const struct raw_mem *mem)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		struct raw_msg m = raw_io(c, l->write, LBA, IO / RAW_BLOCK);

		if (l->write)
			m.out = raw_name_of(mem);
		else
			m.in = raw_name_of(mem);
		if (!raw_msg_send(c, &m))
			return false;
	}
	return true;
}

/* Forever, for the test to kill this process. */
static void
carry_on(struct raw_conn *c, const struct load *l, const struct raw_mem *mem)
{
	uint32_t back = 0;

	printf("armed\n");
	fflush(stdout);
	while (!c->ended && !c->failed) {
		if (raw_step(c, raw_now_ms() + DEAF_MS) == RAW_PDU && ++back % DEPTH == 0)
			(void)fill(c, l, mem);
	}
}

static bool
wait_end(struct raw_conn *c)
{
	uint64_t until = raw_now_ms() + DEAF_MS;

	while (!c->ended && raw_step(c, until) != RAW_NOTHING)
		;
	return c->ended;
}

/* Its answers find no receive buffer, and with so many of them, no end. */
static bool
deaf(struct raw_conn *c, const struct load *l, const struct raw_mem *mem)
{
	c->deaf = c->mute = true;
	for (unsigned i = 0; i < RAW_RECVS / DEPTH + 1 && !c->ended && !c->failed; i++)
		(void)fill(c, l, mem);
	return wait_end(c);
}

static const char *
in_the_middle(struct raw_try *t)
{
	const struct load *l = t->how;
	struct raw_conn *c = raw_attach(t->where, "");
	struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};
	const char *word = "left";
	struct raw_mem mem;

	if (!c || !raw_mem_new(c, &mem, IO, RAW_BOTH_WAYS))
		return "refused";
	if (l->then == DEAF) {
		word = deaf(c, l, &mem) ? "ended" : "silent";
	} else if (!fill(c, l, &mem)) {
		word = "unsent";
	} else if (l->then == CARRY_ON) {
		carry_on(c, l, &mem);
		word = "ended";
	} else if (l->then == DESTROY) {
		rdma_destroy_qp(c->id);
		ibv_destroy_cq(c->cq);
		c->cq = NULL;
		word = wait_end(c) ? "ended" : "silent";
	} else if (l->then == FAIL) {
		ibv_modify_qp(c->id->qp, &error, IBV_QP_STATE);
		word = wait_end(c) ? "ended" : "silent";
	}
	raw_note(t, " event=%d failed=%d", c->event, c->failed);
	raw_close(c);
	raw_mem_free(&mem);
	return word;
}

/* clang-format off */
#define LOAD(name, what) \
	{name "reads", in_the_middle, &(const struct load){false, what}}, \
	{name "writes", in_the_middle, &(const struct load){true, what}}

const struct raw_attack raw_attacks_life[] = {
	LOAD("disconnect_in_", DISCONNECT),
	LOAD("slow_destroy_queue_in_", DESTROY),
	LOAD("slow_fail_queue_in_", FAIL),
	LOAD("hold_", CARRY_ON),
	LOAD("slow_deaf_", DEAF),
	{0}
};
/* clang-format on */
