/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "gateway/base/log.h"
#include "gateway/core/stats.h"
#include "gateway/core/watch.h"
#include "tests/unit/core/cores.h"

static sem_t begun, go;

static void
block(struct gw_core *core, struct gw_msg *msg)
{
	struct timespec ts = {0, 20 * 1000 * 1000};

	sem_post(&begun);
	while (nanosleep(&ts, &ts) < 0)
		ck_assert_int_eq(errno, EINTR);
	sem_wait_whole(&go);
}

static void
nothing(struct gw_core *core, void *arg)
{
}

START_TEST(test_a_blocked_core_is_noticed)
{
	struct gw_msg msg = {.fn = block};
	uint64_t slow;

	gw_log_level_set(GW_LOG_ERR);
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	cores_start(2, 1, 4);
	slow = gw_stat_get(gw_core_at(1)->stats->slow_turns);
	gw_send(gw_core_at(1), &msg);
	sem_wait_whole(&begun);
	while (gw_watch_alive(10))
		sched_yield();
	sem_post(&go);
	/* Answered a turn later, when the slow one has been counted. */
	gw_run_sync(gw_core_at(1), nothing, NULL);
	gw_run_sync(gw_core_at(1), nothing, NULL);
	ck_assert_uint_ge(gw_stat_get(gw_core_at(1)->stats->slow_turns), slow + 1);
	ck_assert_uint_ge(gw_stat_get(gw_core_at(1)->stats->busy_ns), 20000000);
	gw_cores_fini();
	gw_log_level_set(GW_LOG_INFO);
}
END_TEST

/* Asleep is alive, for however long. */
START_TEST(test_sleepers_are_alive)
{
	cores_start(2, 1, 4);
	for (unsigned i = 0; i < 2; i++)
		gw_run_sync(gw_core_at(i), nothing, NULL);
	while (!gw_watch_alive(0))
		sched_yield();
	gw_cores_fini();
}
END_TEST

CORES_SUITE("watch", test_a_blocked_core_is_noticed, test_sleepers_are_alive)
