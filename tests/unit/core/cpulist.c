/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/core/core_priv.h"
#include "tests/unit/core/cores.h"

static int cpu[GW_CORES_MAX];
static char err[256];

static int
parse(const char *list)
{
	err[0] = '\0';
	return gw_cpulist_parse(list, cpu, GW_CORES_MAX, err, sizeof(err));
}

/* Some CPU that this process may use. */
static int
usable(void)
{
	ck_assert_int_ge(parse(NULL), 1);
	return cpu[0];
}

START_TEST(test_all_by_default)
{
	cpu_set_t set;
	int n = parse(NULL);

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	ck_assert_int_eq(n, CPU_COUNT(&set) < GW_CORES_MAX ? CPU_COUNT(&set) : GW_CORES_MAX);
	for (int i = 0; i < n; i++)
		ck_assert(CPU_ISSET(cpu[i], &set));
}
END_TEST

START_TEST(test_lists)
{
	int c = usable();
	char list[64];

	snprintf(list, sizeof(list), "%d", c);
	ck_assert_int_eq(parse(list), 1);
	snprintf(list, sizeof(list), "%d,%d-%d", c, c, c);
	ck_assert_int_eq(parse(list), 2);
	ck_assert_int_eq(cpu[0], c);
	ck_assert_int_eq(cpu[1], c);
	snprintf(list, sizeof(list), "%d-%d:2", c, c + 1);
	ck_assert_int_eq(parse(list), 1);
}
END_TEST

START_TEST(test_nonsense_is_explained)
{
	static const char *const bad[] = {"",    ",",   "x",     "0,",         "-1",
					  "1-",  "3-2", "0-1:",  "0-1:0",      "0 ",
					  "0;1", "0x1", "0-1-2", "99999999999"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(parse(bad[i]) == -EINVAL, "'%s'", bad[i]);
		ck_assert_msg(err[0] != '\0', "'%s'", bad[i]);
	}
}
END_TEST

START_TEST(test_forbidden_cpu)
{
	ck_assert_int_eq(parse("1023"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "CPU 1023"));
}
END_TEST

START_TEST(test_too_many)
{
	int c = usable();
	char list[1024] = "";

	for (unsigned i = 0; i < GW_CORES_MAX + 1; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%d", i ? "," : "", c);
	ck_assert_int_eq(parse(list), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "64"));
}
END_TEST

SUITE("cpulist", test_all_by_default, test_lists, test_nonsense_is_explained, test_forbidden_cpu,
      test_too_many)
