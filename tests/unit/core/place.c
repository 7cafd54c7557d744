/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>

#include "gateway/core/core_priv.h"
#include "tests/unit/core/cores.h"

START_TEST(test_even_spread)
{
	cores_start(4, 1, 4);
	for (unsigned i = 1; i <= 4; i++) {
		for (unsigned k = 0; k < 4; k++)
			gw_place();
		for (unsigned k = 0; k < 4; k++)
			ck_assert_uint_eq(atomic_load(&gw_core_at(k)->load), i);
	}
	gw_unplace(gw_core_at(2));
	ck_assert_uint_eq(gw_place()->id, 2);
	gw_cores_fini();
}
END_TEST

/* As gw_busy_look() would say it. */
static void
say_busy(unsigned id, uint64_t permille, uint64_t at)
{
	struct gw_busy *b = &gw_core_at(id)->busy;

	atomic_store(&b->at, at);
	atomic_store(&b->permille, permille);
}

START_TEST(test_least_busy_of_equals)
{
	uint64_t now;

	cores_init(4, 1, 4);
	now = gw_clock_ns();
	for (unsigned k = 0; k < 4; k++)
		say_busy(k, k == 3 ? 100 : 900, now);
	ck_assert_uint_eq(gw_core_busy(gw_core_at(3), now), 100);
	ck_assert_uint_eq(gw_place()->id, 3);
	ck_assert_uint_eq(gw_place()->id, 3);
	/* But not more than one beyond the others. */
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_ne(gw_place()->id, 3);
	ck_assert_uint_eq(gw_place()->id, 3);
	gw_cores_fini();
}
END_TEST

START_TEST(test_asleep_is_not_busy)
{
	uint64_t now;

	cores_init(2, 1, 4);
	now = gw_clock_ns();
	say_busy(0, 1000, now - 100000000000ull);
	say_busy(1, 600, now);
	ck_assert_uint_le(gw_core_busy(gw_core_at(0), now), 10);
	ck_assert_uint_eq(gw_place()->id, 0);
	gw_cores_fini();
}
END_TEST

static void *
place_many(void *arg)
{
	for (unsigned i = 0; i < 1000; i++)
		gw_place();
	return NULL;
}

START_TEST(test_from_several_threads)
{
	pthread_t thread[4];

	cores_start(4, 1, 4);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, place_many, NULL);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0, sum = 0; i < 4; i++) {
		unsigned load = atomic_load(&gw_core_at(i)->load);

		sum += load;
		ck_assert_uint_ge(load, 900);
		ck_assert_uint_le(load, 1100);
		ck_assert(i < 3 || sum == 4000);
	}
	gw_cores_fini();
}
END_TEST

SUITE("place", test_even_spread, test_least_busy_of_equals, test_asleep_is_not_busy,
      test_from_several_threads)
