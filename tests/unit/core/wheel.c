/* SPDX-License-Identifier: BSD-3-Clause */
/* The wheel alone, on a clock that the test turns: no thread, no waiting. */
#include "gateway/core/core_priv.h"
#include "gateway/core/timer.h"
#include "tests/unit/base/suite.h"

#define MS 1000000ull

static struct gw_loop loop;
static struct gw_core *core = &loop.core;
static struct gw_core_stats stats;

struct alarm {
	struct gw_timer timer;
	uint64_t fired_ms; /* of the test's clock */
	unsigned times;
};

static uint64_t last_fired;

static void
fire(struct gw_timer *t)
{
	struct alarm *a = gw_container(t, struct alarm, timer);

	ck_assert(!t->running);
	ck_assert_uint_ge(t->due, last_fired);
	last_fired = t->due;
	a->fired_ms = core->now / MS;
	a->times++;
}

static void
begin(void)
{
	core->stats = &stats;
	core->now = gw_clock_ns();
	core->wheel = gw_wheel_new(core->now, core->node);
	ck_assert_ptr_nonnull(core->wheel);
	last_fired = 0;
}

static void
end(void)
{
	gw_wheel_free(core->wheel);
	core->wheel = NULL;
}

/* Goes from event to event as the loop does, up to `ms`; the number of stops. */
static unsigned
run_until(uint64_t ms)
{
	unsigned stops = 0;
	uint64_t next;

	while ((next = gw_wheel_next(core->wheel)) <= ms * MS) {
		core->now = next > core->now ? next : core->now;
		gw_wheel_tick(core);
		stops++;
	}
	core->now = ms * MS;
	gw_wheel_tick(core);
	return stops;
}

START_TEST(test_empty_wheel_is_never_due)
{
	begin();
	ck_assert_uint_eq(gw_wheel_next(core->wheel), GW_NEVER_DUE);
	end();
}
END_TEST

START_TEST(test_one_timer_exactly_once)
{
	static const uint32_t ms[] = {1,    2,    62,     63,     64,     65,       127,     4095,
				      4096, 4097, 100000, 262143, 262144, 16777216, 1u << 31};

	for (unsigned i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		struct alarm a = {0};
		uint64_t due;

		begin();
		gw_timer_init(&a.timer, fire);
		gw_timer_start(core, &a.timer, ms[i]);
		due = a.timer.due;
		ck_assert_uint_ge(due * MS, core->now + ms[i] * MS);
		run_until(due - 1);
		ck_assert_uint_eq(a.times, 0);
		ck_assert(a.timer.running);
		/* An idle loop wakes a few times on the way, not each millisecond. */
		ck_assert_uint_le(run_until(due + 10), 8);
		ck_assert_uint_eq(a.times, 1);
		ck_assert_uint_eq(a.fired_ms, due);
		ck_assert_uint_eq(gw_wheel_next(core->wheel), GW_NEVER_DUE);
		end();
	}
}
END_TEST

START_TEST(test_late_loop_fires_all_in_order)
{
	static struct alarm a[5000];
	unsigned seed = 7;

	begin();
	for (unsigned i = 0; i < 5000; i++) {
		seed = seed * 1103515245u + 12345u;
		a[i] = (struct alarm){0};
		gw_timer_init(&a[i].timer, fire);
		gw_timer_start(core, &a[i].timer, 1 + (seed >> 8) % 300000);
	}
	core->now += 400000 * MS;
	/* The budget of a turn is smaller than what is due; the loop may not sleep meanwhile. */
	while (gw_wheel_next(core->wheel) != GW_NEVER_DUE) {
		gw_wheel_tick(core);
		ck_assert(gw_wheel_next(core->wheel) == 0 ||
			  gw_wheel_next(core->wheel) == GW_NEVER_DUE);
	}
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_uint_eq(a[i].times, 1);
	end();
}
END_TEST

START_TEST(test_in_bulk)
{
	const unsigned n = 100000;
	struct alarm *a = calloc(n, sizeof(*a));
	uint64_t horizon = 0;
	unsigned seed = 3;

	begin();
	for (unsigned i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		gw_timer_init(&a[i].timer, fire);
		gw_timer_start(core, &a[i].timer, 1 + (seed >> 4) % 5000000);
		horizon = a[i].timer.due > horizon ? a[i].timer.due : horizon;
	}
	for (unsigned i = 0; i < n; i += 2)
		gw_timer_stop(&a[i].timer);
	for (unsigned i = 0; i < n; i += 4)
		gw_timer_start(core, &a[i].timer, 77);
	run_until(horizon + 100);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(a[i].times, i % 2 == 1 || i % 4 == 0);
		if (a[i].times)
			ck_assert_uint_eq(a[i].fired_ms, a[i].timer.due);
	}
	ck_assert_uint_eq(gw_wheel_next(core->wheel), GW_NEVER_DUE);
	end();
	free(a);
}
END_TEST

START_TEST(test_stop_and_restart)
{
	struct alarm a = {0};

	begin();
	gw_timer_init(&a.timer, fire);
	gw_timer_stop(&a.timer);
	gw_timer_start(core, &a.timer, 10);
	gw_timer_start(core, &a.timer, 500);
	gw_timer_stop(&a.timer);
	gw_timer_stop(&a.timer);
	ck_assert(!a.timer.running);
	ck_assert_uint_eq(gw_wheel_next(core->wheel), GW_NEVER_DUE);
	gw_timer_start(core, &a.timer, 0);
	run_until(a.timer.due);
	ck_assert_uint_eq(a.times, 1);
	end();
}
END_TEST

/* --- what fire() may do --- */

static struct alarm other;

static void
fire_and_stop_other(struct gw_timer *t)
{
	fire(t);
	gw_timer_stop(&other.timer);
}

START_TEST(test_stop_another_due_at_the_same_time)
{
	struct alarm a = {0};

	begin();
	other = (struct alarm){0};
	gw_timer_init(&a.timer, fire_and_stop_other);
	gw_timer_init(&other.timer, fire);
	gw_timer_start(core, &a.timer, 5);
	gw_timer_start(core, &other.timer, 5);
	run_until(other.timer.due + 5);
	ck_assert_uint_eq(a.times, 1);
	ck_assert_uint_eq(other.times, 0);
	end();
}
END_TEST

static void
fire_and_start_again(struct gw_timer *t)
{
	struct alarm *a = gw_container(t, struct alarm, timer);

	fire(t);
	if (a->times < 3)
		gw_timer_start(core, t, 100);
}

START_TEST(test_start_again_from_fire)
{
	struct alarm a = {0};

	begin();
	gw_timer_init(&a.timer, fire_and_start_again);
	gw_timer_start(core, &a.timer, 1);
	while (a.timer.running)
		run_until(a.timer.due);
	ck_assert_uint_eq(a.times, 3);
	ck_assert(!a.timer.running);
	end();
}
END_TEST

SUITE("wheel", test_empty_wheel_is_never_due, test_one_timer_exactly_once,
      test_late_loop_fires_all_in_order, test_in_bulk, test_stop_and_restart,
      test_stop_another_due_at_the_same_time, test_start_again_from_fire)
