/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>

#include "tests/unit/core/cores.h"

START_TEST(test_even_spread)
{
	struct gw_core *core;

	cores_start(4, 1, 4);
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 4; k++)
			ck_assert_uint_eq(gw_place()->id, k);
	}
	for (unsigned k = 0; k < 4; k++)
		ck_assert_uint_eq(atomic_load(&gw_core_at(k)->load), 4);
	gw_unplace(gw_core_at(2));
	core = gw_place();
	ck_assert_uint_eq(core->id, 2);
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

SUITE("place", test_even_spread, test_from_several_threads)
