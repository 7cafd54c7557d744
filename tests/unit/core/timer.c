/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers through the loop, on the real clock. */
#include <time.h>
#include <unistd.h>

#include "gateway/core/stats.h"
#include "gateway/core/timer.h"
#include "tests/unit/core/cores.h"

static struct gw_timer timer;
static uint64_t started, fired;
static sem_t done;

static uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
fire(struct gw_timer *t)
{
	fired = clock_ns();
	sem_post(&done);
}

static void
start(struct gw_core *core, void *arg)
{
	gw_timer_init(&timer, fire);
	started = clock_ns();
	gw_timer_start(core, &timer, *(uint32_t *)arg);
}

START_TEST(test_never_early)
{
	static uint32_t ms[] = {1, 2, 10, 70};

	sem_init(&done, 0, 0);
	cores_start(1, 1, 4);
	for (unsigned i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		gw_run_sync(gw_core_at(0), start, &ms[i]);
		sem_wait_whole(&done);
		ck_assert_uint_ge(fired - started, ms[i] * 1000000ull);
	}
	gw_cores_fini();
}
END_TEST

/* Turns are caused by events, not by time: a loop with one timer far away makes hardly any. */
START_TEST(test_idle_loop_does_not_tick)
{
	uint32_t far = 200, turns;

	sem_init(&done, 0, 0);
	cores_start(1, 1, 4);
	gw_run_sync(gw_core_at(0), start, &far);
	turns = (uint32_t)gw_stat_get(gw_core_at(0)->stats->turns);
	sem_wait_whole(&done);
	ck_assert_uint_le(gw_stat_get(gw_core_at(0)->stats->turns) - turns, 20);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("timer", test_never_early, test_idle_loop_does_not_tick)
