/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/num.h"
#include "tests/unit/base/suite.h"

START_TEST(test_add)
{
	uint64_t v;

	ck_assert(gw_add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
	ck_assert(!gw_add_u64(UINT64_MAX, 1, &v));
}
END_TEST

START_TEST(test_shift)
{
	uint64_t v;

	ck_assert(gw_shl_u64(1, 63, &v) && v == 1ull << 63);
	ck_assert(gw_shl_u64(0, 63, &v) && v == 0);
	ck_assert(!gw_shl_u64(2, 63, &v));
	ck_assert(!gw_shl_u64(UINT64_MAX, 9, &v));
}
END_TEST

START_TEST(test_range)
{
	ck_assert(gw_range_ok(0, 10, 10));
	ck_assert(gw_range_ok(10, 0, 10));
	ck_assert(gw_range_ok(9, 1, 10));
	ck_assert(!gw_range_ok(10, 1, 10));
	ck_assert(!gw_range_ok(11, 0, 10));
	ck_assert(!gw_range_ok(UINT64_MAX, 2, 10));
	ck_assert(!gw_range_ok(2, UINT64_MAX, 10));
	ck_assert(gw_range_ok(0, 0, 0));
}
END_TEST

START_TEST(test_small_ones)
{
	int i = 0;

	ck_assert_int_eq(GW_MIN(3, 2), 2);
	ck_assert_int_eq(GW_MAX(3, 2), 3);
	ck_assert_int_eq(GW_MIN(GW_MAX(1, 5), 4), 4);
	ck_assert_int_eq(GW_MIN(i++, 5), 0);
	ck_assert_int_eq(i, 1);
	ck_assert_uint_eq(gw_round_up(1, 512), 512);
	ck_assert_uint_eq(gw_round_up(512, 512), 512);
	ck_assert_uint_eq(gw_round_up(0, 512), 0);
}
END_TEST

START_TEST(test_serial_numbers)
{
	ck_assert(gw_sn_lt(1, 2));
	ck_assert(!gw_sn_lt(2, 1));
	ck_assert(!gw_sn_lt(2, 2));
	ck_assert(gw_sn_lt(UINT32_MAX, 0));
	ck_assert(!gw_sn_lt(0, UINT32_MAX));
}
END_TEST

SUITE("num", test_add, test_shift, test_range, test_small_ones, test_serial_numbers)
