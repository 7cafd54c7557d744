/* SPDX-License-Identifier: BSD-3-Clause */
/* TransportIDs: what is written is read, and each field that is wrong is found where it is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/bytes.h"
#include "gateway/scsi/transport_id.h"

#define NAME "iqn.2026-01.example:host"

/* One on the heap, so that a byte too far is seen: format, text, ADDITIONAL LENGTH. */
static uint8_t *
id_new(uint8_t format, const char *text, size_t len)
{
	uint8_t *p = calloc(1, 4 + len);

	p[0] = (uint8_t)(format << 6 | 5);
	gw_put_be16(p + 2, (uint16_t)len);
	memcpy(p + 4, text, strlen(text) < len ? strlen(text) : len);
	return p;
}

/* The length that was read; -1 - offset where it is wrong. */
static int
try_id(uint8_t format, const char *text, size_t len, struct transport_id *id)
{
	uint8_t *p = id_new(format, text, len);
	size_t bad = 0, n = transport_id_read(p, 4 + len, id, &bad);

	free(p);
	return n ? (int)n : -1 - (int)bad;
}

START_TEST(both_formats)
{
	static const uint8_t isid[6] = {0x40, 0, 1, 0x37, 0xab, 0xcd};
	struct transport_id id;

	ck_assert_int_eq(try_id(0, NAME, 28, &id), 32);
	ck_assert(!id.port);
	ck_assert_str_eq(id.initiator, NAME);
	ck_assert_int_eq(try_id(1, NAME ",i,0x40000137abcd", 44, &id), 48);
	ck_assert(id.port);
	ck_assert_str_eq(id.initiator, NAME);
	ck_assert_mem_eq(id.isid, isid, 6);
	/* Case does not count, padding may be more than is needed. */
	ck_assert_int_eq(try_id(1, "IQN.2026-01.Example:HOST,i,0x40000137ABCD", 60, &id), 64);
	ck_assert_str_eq(id.initiator, NAME);
	ck_assert_mem_eq(id.isid, isid, 6);
	/* An ISID is a number. */
	ck_assert_int_eq(try_id(1, NAME ",i,0x137abcd", 44, &id), 48);
	ck_assert_mem_eq(id.isid, "\0\0\1\x37\xab\xcd", 6);
}
END_TEST

START_TEST(what_is_written_is_read)
{
	uint8_t buf[TRANSPORT_ID_MAX], isid[6] = {0x80, 1, 2, 3, 4, 5};
	char name[GW_NAME_MAX + 1] = "";

	for (size_t n = 1; n <= GW_NAME_MAX; n++) {
		struct transport_id id;
		size_t len, bad;

		name[n - 1] = (char)('a' + n % 26);
		len = transport_id_write(buf, name, isid);
		ck_assert_uint_le(len, sizeof(buf));
		ck_assert_uint_eq(len % 4, 0);
		ck_assert_uint_ge(len, 24);
		ck_assert_uint_eq(transport_id_read(buf, len, &id, &bad), len);
		ck_assert(id.port);
		ck_assert_str_eq(id.initiator, name);
		ck_assert_mem_eq(id.isid, isid, 6);
	}
}
END_TEST

START_TEST(one_after_the_other)
{
	uint8_t buf[2 * TRANSPORT_ID_MAX];
	struct transport_id id;
	size_t first = transport_id_write(buf, NAME "1", (const uint8_t *)"\1\2\3\4\5\6"), bad;
	size_t second = transport_id_write(buf + first, NAME "2", (const uint8_t *)"\1\2\3\4\5\7");

	ck_assert_uint_eq(transport_id_read(buf, first + second, &id, &bad), first);
	ck_assert_str_eq(id.initiator, NAME "1");
	ck_assert_uint_eq(transport_id_read(buf + first, second, &id, &bad), second);
	ck_assert_str_eq(id.initiator, NAME "2");
}
END_TEST

START_TEST(the_head)
{
	uint8_t *p = id_new(0, NAME, 28);
	struct transport_id id;
	size_t bad;

	for (unsigned b = 0; b < 256; b++) {
		p[0] = (uint8_t)b;
		ck_assert_int_eq(transport_id_read(p, 32, &id, &bad) != 0, b == 5);
		ck_assert(b == 5 || b == 0x45 || bad == 0);
	}
	p[0] = 5;
	for (unsigned len = 0; len < 65536; len++) {
		gw_put_be16(p + 2, (uint16_t)len);
		ck_assert_int_eq(transport_id_read(p, 32, &id, &bad) != 0, len == 28);
		ck_assert(len == 28 || bad == 2 || (len == 24 && bad == 27) ||
			  (len == 20 && bad == 23));
	}
	gw_put_be16(p + 2, 28);
	for (size_t n = 0; n < 32; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, p, n);
		ck_assert_uint_eq(transport_id_read(cut, n, &id, &bad), 0);
		ck_assert_uint_eq(bad, n < 24 ? 0 : 2);
		free(cut);
	}
	free(p);
}
END_TEST

START_TEST(the_text)
{
	struct transport_id id;
	char text[300];

	/* No name, a byte that no name has, no end, something behind the end. */
	ck_assert_int_eq(try_id(0, "", 20, &id), -1 - 4);
	ck_assert_int_eq(try_id(0, "iqn.2026-01.ex ample", 24, &id), -1 - 18);
	ck_assert_int_eq(try_id(0, "iqn.2026-01.ex,i,0x1", 24, &id), -1 - 18);
	ck_assert_int_eq(try_id(0, "iqn.2026-01.example1", 20, &id), -1 - 23);
	memset(text, 0, sizeof(text));
	for (unsigned format = 0; format < 2; format++) {
		uint8_t *p = id_new((uint8_t)format, format ? NAME ",i,0x1" : NAME, 48);
		size_t bad;

		p[51] = 'x';
		ck_assert_uint_eq(transport_id_read(p, 52, &id, &bad), 0);
		ck_assert_uint_eq(bad, 51);
		free(p);
	}
	/* The separator, the digits and their number. */
	ck_assert_int_eq(try_id(1, NAME, 44, &id), -1 - 28);
	ck_assert_int_eq(try_id(1, NAME ",t,0x1", 44, &id), -1 - 28);
	ck_assert_int_eq(try_id(1, NAME ",i,0x", 44, &id), -1 - 33);
	ck_assert_int_eq(try_id(1, NAME ",i,0xg", 44, &id), -1 - 33);
	ck_assert_int_eq(try_id(1, NAME ",i,0x1234567890123", 48, &id), -1 - 45);
	ck_assert_int_eq(try_id(1, "iqn.2026-01.exa,i,0x", 20, &id), -1 - 23);
	ck_assert_int_eq(try_id(1, "iqn.2026-01.exam,i,0", 20, &id), -1 - 20);
	ck_assert_int_eq(try_id(1, "iqn.2026-01.example1", 20, &id), -1 - 23);
	/* The longest name, and one byte more. */
	memset(text, 'x', GW_NAME_MAX);
	ck_assert_int_eq(try_id(0, text, 224, &id), 228);
	text[GW_NAME_MAX] = 'x';
	ck_assert_int_eq(try_id(0, text, 228, &id), -1 - 4 - GW_NAME_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("transport_id");
	TCase *cases = tcase_create("transport_id");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, both_formats);
	tcase_add_test(cases, what_is_written_is_read);
	tcase_add_test(cases, one_after_the_other);
	tcase_add_test(cases, the_head);
	tcase_add_test(cases, the_text);
	tcase_set_timeout(cases, 0);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
