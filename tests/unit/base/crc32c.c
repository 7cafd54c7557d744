/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "gateway/base/crc32c.h"
#include "tests/unit/base/suite.h"

static void
expect(const void *p, size_t n, const char *wire)
{
	uint32_t crc = gw_crc32c(p, n);

	ck_assert_mem_eq(&crc, wire, 4);
	/* The same in two parts, at every split. */
	for (size_t i = 0; i <= n; i++) {
		crc = gw_crc32c_add(GW_CRC32C_INIT, p, i);
		crc = gw_crc32c_end(gw_crc32c_add(crc, (const char *)p + i, n - i));
		ck_assert_mem_eq(&crc, wire, 4);
	}
}

/* RFC 7143 appendix A.4 (RFC 3720 B.4). */
START_TEST(test_rfc_vectors)
{
	static const uint8_t pdu[48] = {
	    0x01,        0xc0,        [16] = 0x14, [22] = 0x04,
	    [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
	};
	uint8_t b[32];

	memset(b, 0, sizeof(b));
	expect(b, sizeof(b), "\xaa\x36\x91\x8a");
	memset(b, 0xff, sizeof(b));
	expect(b, sizeof(b), "\x43\xab\xa8\x62");
	for (unsigned i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	expect(b, sizeof(b), "\x4e\x79\xdd\x46");
	for (unsigned i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	expect(b, sizeof(b), "\x5c\xdb\x3f\x11");
	expect(pdu, sizeof(pdu), "\x56\x3a\x96\xd9");
}
END_TEST

START_TEST(test_check_value)
{
	ck_assert_uint_eq(gw_crc32c("123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(gw_crc32c("", 0), 0);
}
END_TEST

/* Bit by bit, polynomial 0x1edc6f41 reflected. */
static uint32_t
slow(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	while (n--) {
		crc ^= *p++;
		for (unsigned i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* Short and long ones take different ways. */
START_TEST(test_every_length)
{
	uint8_t b[1100];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 167 + (i >> 8));
	for (size_t n = 0; n <= 1024; n++)
		ck_assert_uint_eq(gw_crc32c(b + n % 67, n), slow(b + n % 67, n));
}
END_TEST

SUITE("crc32c", test_rfc_vectors, test_check_value, test_every_length)
