/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs Check tests in this process: forks would hide leaks and threads from the sanitizers. */
#ifndef TESTS_UNIT_BASE_SUITE_H
#define TESTS_UNIT_BASE_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int
suite_run(const char *name, const TTest *const *tests, unsigned n)
{
	Suite *suite = suite_create(name);
	TCase *cases = tcase_create(name);
	SRunner *runner;
	int failed;

	for (unsigned i = 0; i < n; i++)
		tcase_add_test(cases, tests[i]);
	tcase_set_timeout(cases, 0);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* main() of a test program: its name, then its tests. */
#define SUITE(name, ...)                                                         \
	int main(void)                                                           \
	{                                                                        \
		const TTest *const tests[] = {__VA_ARGS__};                      \
		return suite_run(name, tests, sizeof(tests) / sizeof(tests[0])); \
	}

#endif
