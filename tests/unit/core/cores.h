/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts and stops real cores for a test; waiting for them is by semaphore, never by time. */
#ifndef TESTS_UNIT_CORE_CORES_H
#define TESTS_UNIT_CORE_CORES_H

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/core.h"
#include "tests/unit/base/suite.h"

static const char *cores_engine; /* of the tests that run now */

/* n cores whose threads do not run, on whatever CPUs there are, several on one if need be. */
static inline void
cores_init(unsigned n, uint64_t buf_bytes, uint32_t chunks)
{
	struct gw_core_conf conf = {
	    .engine = cores_engine, .buf_bytes = buf_bytes, .chunks = chunks};
	char list[GW_CORES_MAX * 5] = "", err[256] = "";
	unsigned used = 0;
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int cpu = 0; used < n; cpu = (cpu + 1) % CPU_SETSIZE) {
		if (CPU_ISSET(cpu, &set))
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%d",
				 used++ ? "," : "", cpu);
	}
	conf.cores = list;
	ck_assert_msg(gw_cores_init(&conf, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(gw_ncores(), n);
}

static inline void
cores_start(unsigned n, uint64_t buf_bytes, uint32_t chunks)
{
	cores_init(n, buf_bytes, chunks);
	ck_assert_int_eq(gw_cores_start(), 0);
}

static inline void
cores_uring(void)
{
	cores_engine = "uring";
}

static inline void
cores_epoll(void)
{
	cores_engine = "epoll";
}

/* Each test on each engine, all in this process. */
static inline int
cores_run(const char *name, const TTest *const *tests, unsigned n)
{
	static const struct {
		const char *name;
		void (*use)(void);
	} engine[] = {{"uring", cores_uring}, {"epoll", cores_epoll}};
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	for (unsigned i = 0; i < 2; i++) {
		TCase *cases = tcase_create(engine[i].name);

		tcase_add_unchecked_fixture(cases, engine[i].use, NULL);
		for (unsigned k = 0; k < n; k++)
			tcase_add_test(cases, tests[k]);
		tcase_set_timeout(cases, 0);
		suite_add_tcase(suite, cases);
	}
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* main() of a test program whose tests depend on the engine. */
#define CORES_SUITE(name, ...)                                                   \
	int main(void)                                                           \
	{                                                                        \
		const TTest *const tests[] = {__VA_ARGS__};                      \
		return cores_run(name, tests, sizeof(tests) / sizeof(tests[0])); \
	}

static inline void
sem_wait_whole(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		ck_assert_int_eq(errno, EINTR);
}

#endif
