/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/bytes.h"
#include "tests/unit/base/suite.h"

static const uint8_t b[9] = {0xee, 1, 2, 3, 4, 5, 6, 7, 0x88};

START_TEST(test_read_at_odd_addresses)
{
	ck_assert_uint_eq(gw_be16(b + 1), 0x0102);
	ck_assert_uint_eq(gw_be24(b + 1), 0x010203);
	ck_assert_uint_eq(gw_be32(b + 1), 0x01020304);
	ck_assert_uint_eq(gw_be64(b + 1), 0x0102030405060788ull);
	ck_assert_uint_eq(gw_be24(b), 0xee0102);
}
END_TEST

START_TEST(test_write_only_its_bytes)
{
	uint8_t w[10];

	memset(w, 0xcc, sizeof(w));
	gw_put_be16(w + 1, 0x0102);
	ck_assert_mem_eq(w, "\xcc\x01\x02\xcc", 4);
	gw_put_be24(w + 1, 0xff010203);
	ck_assert_mem_eq(w, "\xcc\x01\x02\x03\xcc", 5);
	gw_put_be32(w + 1, 0x01020304);
	ck_assert_mem_eq(w, "\xcc\x01\x02\x03\x04\xcc", 6);
	gw_put_be64(w + 1, 0x0102030405060788ull);
	ck_assert_mem_eq(w, "\xcc\x01\x02\x03\x04\x05\x06\x07\x88\xcc", 10);
}
END_TEST

SUITE("bytes", test_read_at_odd_addresses, test_write_only_its_bytes)
