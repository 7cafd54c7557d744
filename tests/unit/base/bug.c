/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/base/bug.h"
#include "tests/unit/base/suite.h"

static bool
seldom(bool c)
{
	return NEVER(c);
}

START_TEST(test_never_counts_each_time)
{
	unsigned long before = atomic_load(&gw_never_count);

	ck_assert(!seldom(false));
	ck_assert(seldom(true));
	ck_assert(seldom(true));
	ck_assert_uint_eq(atomic_load(&gw_never_count), before + 2);
}
END_TEST

START_TEST(test_bug_aborts)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		BUG(1 + 1 == 2);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

START_TEST(test_bug_lets_truth_pass)
{
	int n = 0;

	BUG(n++ != 0);
	ck_assert_int_eq(n, 1);
}
END_TEST

SUITE("bug", test_never_counts_each_time, test_bug_aborts, test_bug_lets_truth_pass)
