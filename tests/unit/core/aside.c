/* SPDX-License-Identifier: BSD-3-Clause */
/* What runs on a core's other thread, and how it comes back. */
#include "tests/unit/core/call.h"

#define MANY 300

static struct call call[MANY];
static sem_t go;
static unsigned order;
static bool on_a_core;

static int
in_turn(struct gw_op *op)
{
	struct call *c = gw_container(op, struct call, op);

	on_a_core |= gw_core_self() != NULL;
	return c == &call[order++] ? (int)(c - call) : -EIO;
}

static int
wait_for_go(struct gw_op *op)
{
	sem_wait_whole(&go);
	return in_turn(op);
}

static void
start_one(struct gw_core *core, void *arg)
{
	order = 0;
	call_init(&call[0]);
	gw_aside(core, &call[0].op, wait_for_go);
	/* It cannot be ended early. */
	gw_cancel(core, &call[0].op);
}

static void
start_rest(struct gw_core *core, void *arg)
{
	for (unsigned i = 1; i < MANY; i++) {
		call_init(&call[i]);
		gw_aside(core, &call[i].op, in_turn);
	}
}

/* While one holds the thread up, the core goes on. */
START_TEST(test_in_order)
{
	sem_init(&go, 0, 0);
	cores_start(2, 1, 4);
	for (unsigned core = 0; core < 2; core++) {
		gw_run_sync(gw_core_at(core), start_one, NULL);
		gw_run_sync(gw_core_at(core), start_rest, NULL);
		sem_post(&go);
		for (unsigned i = 0; i < MANY; i++) {
			ck_assert_int_eq(call_wait(&call[i]), (int)i);
			ck_assert_uint_eq(call[i].times, 1);
			ck_assert(!call[i].op.busy);
		}
	}
	ck_assert(!on_a_core);
	gw_cores_fini();
}
END_TEST

START_TEST(test_none_at_all)
{
	cores_start(1, 1, 4);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("aside", test_in_order, test_none_at_all)
