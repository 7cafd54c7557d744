/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <time.h>

#include "gateway/core/timer.h"
#include "tests/unit/core/cores.h"

static unsigned visited[GW_CORES_MAX], nvisited;

static void
note_visit(struct gw_core *on, struct gw_tour *t)
{
	ck_assert_ptr_eq(gw_core_self(), on);
	visited[nvisited++] = on->id;
	gw_tour_next(t);
}

static void
count_call(struct gw_core *on, void *arg)
{
	ck_assert_ptr_eq(gw_core_self(), on);
	++*(unsigned *)arg;
}

START_TEST(test_every_number_of_cores)
{
	static const unsigned counts[] = {1, 2, 3, 7, 16, 64};

	for (unsigned k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		struct gw_tour t;
		unsigned n = 0;

		cores_start(counts[k], 1, 4);
		for (unsigned round = 0; round < 20; round++) {
			nvisited = 0;
			gw_tour_sync(&t, note_visit);
			ck_assert_uint_eq(nvisited, counts[k]);
			for (unsigned i = 0; i < nvisited; i++)
				ck_assert_uint_eq(visited[i], i);
		}
		for (unsigned i = 0; i < gw_ncores(); i++)
			gw_run_sync(gw_core_at(i), count_call, &n);
		ck_assert_uint_eq(n, counts[k]);
		gw_cores_fini();
	}
}
END_TEST

/* A visit that waits for a timer on each core, while other tours pass. */
struct slow_tour {
	struct gw_tour tour;
	struct gw_timer timer;
	unsigned fired;
};

static void
slow_fire(struct gw_timer *timer)
{
	struct slow_tour *s = gw_container(timer, struct slow_tour, timer);

	s->fired++;
	gw_tour_next(&s->tour);
}

static void
slow_visit(struct gw_core *on, struct gw_tour *t)
{
	struct slow_tour *s = gw_container(t, struct slow_tour, tour);

	gw_timer_init(&s->timer, slow_fire);
	gw_timer_start(on, &s->timer, 2);
}

static void *
tour_all_the_time(void *arg)
{
	struct gw_tour t;
	unsigned n = 0;

	for (unsigned i = 0; i < 200; i++) {
		gw_tour_sync(&t, arg);
		gw_run_sync(gw_core_at(i % gw_ncores()), count_call, &n);
	}
	ck_assert_uint_eq(n, 200);
	return NULL;
}

static void
just_next(struct gw_core *on, struct gw_tour *t)
{
	gw_tour_next(t);
}

START_TEST(test_visits_that_wait)
{
	pthread_t thread[2];
	struct slow_tour s = {0};

	cores_start(4, 1, 4);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, tour_all_the_time, just_next);
	for (unsigned i = 0; i < 10; i++)
		gw_tour_sync(&s.tour, slow_visit);
	ck_assert_uint_eq(s.fired, 40);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	gw_cores_fini();
}
END_TEST

/* --- started by a core: done() at home, and no overtaking --- */

#define TOURS 100

static struct gw_tour many[TOURS];
static unsigned seen[GW_CORES_MAX], ndone;
static sem_t all_done;

static void
ordered_visit(struct gw_core *on, struct gw_tour *t)
{
	ck_assert_ptr_eq(t, &many[seen[on->id]]);
	seen[on->id]++;
	gw_tour_next(t);
}

static void
ordered_done(struct gw_tour *t)
{
	ck_assert_uint_eq(gw_core_self()->id, 2);
	ck_assert_ptr_eq(t, &many[ndone]);
	if (++ndone == TOURS)
		sem_post(&all_done);
}

static void
start_tours(struct gw_core *core, void *arg)
{
	for (unsigned i = 0; i < TOURS; i++)
		gw_tour_start(&many[i], ordered_visit, ordered_done);
}

START_TEST(test_order_and_home)
{
	sem_init(&all_done, 0, 0);
	memset(seen, 0, sizeof(seen));
	ndone = 0;
	cores_start(4, 1, 4);
	gw_run_sync(gw_core_at(2), start_tours, NULL);
	sem_wait_whole(&all_done);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(seen[i], TOURS);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("tour", test_every_number_of_cores, test_visits_that_wait, test_order_and_home)
