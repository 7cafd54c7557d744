/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "gateway/base/str.h"
#include "tests/unit/base/suite.h"

START_TEST(test_copy)
{
	char d[4] = "zzz";

	ck_assert(gw_str_copy(d, sizeof(d), "abc"));
	ck_assert_str_eq(d, "abc");
	ck_assert(!gw_str_copy(d, sizeof(d), "abcd"));
	ck_assert_str_eq(d, "");
	ck_assert(gw_str_copy(d, 1, ""));
	ck_assert(!gw_str_copy(d, 0, ""));
}
END_TEST

START_TEST(test_pad)
{
	char d[6] = "zzzzzz";

	gw_str_pad(d, 5, "ab");
	ck_assert_mem_eq(d, "ab   z", 6);
	gw_str_pad(d, 5, "abcdefgh");
	ck_assert_mem_eq(d, "abcdez", 6);
	gw_str_pad(d, 5, "");
	ck_assert_mem_eq(d, "     z", 6);
}
END_TEST

START_TEST(test_u64)
{
	static const char *const bad[] = {"",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "1k",
					  "0x",
					  "0xg",
					  "1.",
					  "1a",
					  "18446744073709551616",
					  "0x10000000000000000"};
	uint64_t v;

	ck_assert(gw_str_u64("0", &v) && v == 0);
	ck_assert(gw_str_u64("0123", &v) && v == 123);
	ck_assert(gw_str_u64("18446744073709551615", &v) && v == UINT64_MAX);
	ck_assert(gw_str_u64("0xFfFfFfFfFfFfFfFf", &v) && v == UINT64_MAX);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v = 42;
		ck_assert_msg(!gw_str_u64(bad[i], &v), "%s", bad[i]);
		ck_assert_uint_eq(v, 42);
	}
}
END_TEST

START_TEST(test_size)
{
	static const char *const bad[] = {"", "k", "1kk", "1b", "1k ", "16777216t", "1\v", "1+"};
	uint64_t v;

	ck_assert(gw_str_size("512", &v) && v == 512);
	ck_assert(gw_str_size("1k", &v) && v == 1024);
	ck_assert(gw_str_size("3M", &v) && v == 3u << 20);
	ck_assert(gw_str_size("2g", &v) && v == 2ull << 30);
	ck_assert(gw_str_size("0x10T", &v) && v == 16ull << 40);
	ck_assert(gw_str_size("16777215t", &v) && v == 16777215ull << 40);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!gw_str_size(bad[i], &v), "%s", bad[i]);
}
END_TEST

START_TEST(test_hex)
{
	uint8_t b[3] = {0x00, 0xa5, 0xff}, back[3];
	char s[7];

	gw_str_hex(s, b, 3);
	ck_assert_str_eq(s, "00a5ff");
	ck_assert(gw_str_unhex(back, 3, "00A5fF"));
	ck_assert_mem_eq(back, b, 3);
	ck_assert(!gw_str_unhex(back, 3, "00a5f"));
	ck_assert(!gw_str_unhex(back, 3, "00a5ff0"));
	ck_assert(!gw_str_unhex(back, 3, "00a5fg"));
	ck_assert(gw_str_unhex(back, 0, ""));
}
END_TEST

SUITE("str", test_copy, test_pad, test_u64, test_size, test_hex)
