/* SPDX-License-Identifier: BSD-3-Clause */
/* Busy polling: when it stops being tried, what brings it back, and that it hears of work. */
#include "gateway/core/core_priv.h"
#include "tests/unit/core/cores.h"

#define MAX_NS 50000u

START_TEST(test_gives_up_by_halves)
{
	struct gw_spin s;

	gw_spin_init(&s, MAX_NS);
	ck_assert_uint_eq(s.window_ns, MAX_NS);
	gw_spin_slept(&s, MAX_NS + 1);
	ck_assert_uint_eq(s.window_ns, MAX_NS / 2);
	for (int i = 0; i < 10; i++)
		gw_spin_slept(&s, 1000000);
	ck_assert_uint_eq(s.window_ns, 0);
}
END_TEST

START_TEST(test_short_sleep_brings_it_back)
{
	struct gw_spin s;

	gw_spin_init(&s, MAX_NS);
	for (int i = 0; i < 10; i++)
		gw_spin_slept(&s, UINT64_MAX);
	gw_spin_slept(&s, MAX_NS);
	ck_assert_uint_eq(s.window_ns, MAX_NS);
}
END_TEST

START_TEST(test_off_stays_off)
{
	struct gw_spin s;

	gw_spin_init(&s, 0);
	gw_spin_slept(&s, 1);
	gw_spin_slept(&s, 0);
	ck_assert_uint_eq(s.window_ns, 0);
}
END_TEST

static void
count(struct gw_core *on, void *arg)
{
	++*(unsigned *)arg;
}

/* Some messages meet a core that looks, some one that sleeps or is about to. */
START_TEST(test_messages_are_heard)
{
	struct gw_core_conf conf = {
	    .engine = cores_engine, .buf_bytes = 1, .chunks = 4, .poll_us = 20};
	char err[256] = "";
	unsigned n = 0;

	ck_assert_msg(gw_cores_init(&conf, err, sizeof(err)) == 0, "%s", err);
	ck_assert_int_eq(gw_cores_start(), 0);
	for (unsigned i = 0; i < 3000; i++)
		gw_run_sync(gw_core_at(0), count, &n);
	ck_assert_uint_eq(n, 3000);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("spin", test_gives_up_by_halves, test_short_sleep_brings_it_back, test_off_stays_off,
	    test_messages_are_heard)
