/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "iscsi/name.h"
#include "iscsi/text.h"
#include "tests/unit/base/suite.h"

/* Reads len bytes of s and writes what was understood as "key:value;"; '!' ends what is malformed.
 */
static const char *
pairs(const char *s, size_t len)
{
	static char got[4096];
	char *buf = malloc(len + 1);
	struct iscsi_text_in in;
	const char *key, *value;
	enum iscsi_text_next next;

	memcpy(buf, s, len);
	got[0] = '\0';
	iscsi_text_in_init(&in, buf, len);
	while ((next = iscsi_text_next(&in, &key, &value)) == ISCSI_TEXT_PAIR)
		sprintf(got + strlen(got), "%s:%s;", key, value);
	if (next == ISCSI_TEXT_BAD)
		strcat(got, "!");
	free(buf);
	return got;
}
#define PAIRS(literal) pairs(literal, sizeof(literal) - 1)

START_TEST(test_pairs)
{
	char key[80];

	ck_assert_str_eq(PAIRS(""), "");
	ck_assert_str_eq(PAIRS("\0\0"), "");
	ck_assert_str_eq(PAIRS("A=1\0B=2\0"), "A:1;B:2;");
	ck_assert_str_eq(PAIRS("A=1\0B=2"), "A:1;B:2;");     /* last NUL missing */
	ck_assert_str_eq(PAIRS("A=1\0\0\0B=\0"), "A:1;B:;"); /* padding within */
	ck_assert_str_eq(PAIRS("A=b=c\0"), "A:b=c;");
	ck_assert_str_eq(PAIRS("X-com.example.a/b@c=1\0"), "X-com.example.a/b@c:1;");
	ck_assert_str_eq(PAIRS("X#Node=1\0"), "X#Node:1;");
	ck_assert_str_eq(PAIRS("A\0"), "!");
	ck_assert_str_eq(PAIRS("=1\0"), "!");
	ck_assert_str_eq(PAIRS("A b=1\0"), "!");
	ck_assert_str_eq(PAIRS("A=1\0\xff=2\0"), "A:1;!");
	ck_assert_str_eq(PAIRS("A=1\0B"), "A:1;!");

	memset(key, 'k', sizeof(key));
	key[63] = '=';
	ck_assert_int_eq(pairs(key, 64)[63], ':');
	key[63] = 'k';
	key[64] = '=';
	ck_assert_str_eq(pairs(key, 65), "!");
}
END_TEST

START_TEST(test_builder_is_bounded)
{
	char buf[20];
	struct iscsi_text_out out;

	memset(buf, '~', sizeof(buf));
	iscsi_text_out_init(&out, buf, 16);
	iscsi_text_add(&out, "Key", "value");
	ck_assert_uint_eq(out.len, 10);
	ck_assert_mem_eq(buf, "Key=value", 10);
	iscsi_text_add(&out, "K", "1234"); /* 7 bytes: one too many */
	ck_assert(out.full);
	ck_assert_uint_eq(out.len, 10);
	out.full = false;
	iscsi_text_add_u32(&out, "K", 123); /* 6 bytes: exactly */
	ck_assert(!out.full);
	ck_assert_uint_eq(out.len, 16);
	iscsi_text_add(&out, "", "");
	ck_assert(out.full);
	ck_assert_mem_eq(buf + 16, "~~~~", 4);

	iscsi_text_out_init(&out, buf, sizeof(buf));
	iscsi_text_add_bin(&out, "R", (const uint8_t *)"\x00\xff\x1a", 3);
	ck_assert_str_eq(buf, "R=0x00ff1a");
	iscsi_text_out_init(&out, buf, 0);
	iscsi_text_add(&out, "K", "");
	ck_assert(out.full);
}
END_TEST

START_TEST(test_numbers)
{
	static const char *const bad[] = {"",    "-1",   "1 ",         " 1",
					  "0x",  "x1",   "4294967296", "99999999999999999999",
					  "1.0", "0b01", "Yes"};
	uint32_t v = 7;
	bool b;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!iscsi_text_u32(bad[i], 0, UINT32_MAX, &v), "%s", bad[i]);
	ck_assert_uint_eq(v, 7);
	ck_assert(iscsi_text_u32("4294967295", 0, UINT32_MAX, &v) && v == UINT32_MAX);
	ck_assert(iscsi_text_u32("0xFf", 0, 255, &v) && v == 255);
	ck_assert(!iscsi_text_u32("256", 0, 255, &v));
	ck_assert(!iscsi_text_u32("511", 512, 1024, &v));
	ck_assert(iscsi_text_u32("512", 512, 1024, &v) && v == 512);

	ck_assert(iscsi_text_bool("Yes", &b) && b);
	ck_assert(iscsi_text_bool("No", &b) && !b);
	ck_assert(!iscsi_text_bool("yes", &b));
	ck_assert(!iscsi_text_bool("", &b));
	ck_assert(iscsi_text_is_reply("Irrelevant"));
	ck_assert(!iscsi_text_is_reply("None"));
}
END_TEST

START_TEST(test_lists)
{
	const char *list = "CRC32C,,None", *item;
	size_t n;

	ck_assert(iscsi_text_item(&list, &item, &n));
	ck_assert(iscsi_text_item_is(item, n, "CRC32C"));
	ck_assert(!iscsi_text_item_is(item, n, "CRC32"));
	ck_assert(iscsi_text_item(&list, &item, &n) && n == 0);
	ck_assert(iscsi_text_item(&list, &item, &n));
	ck_assert(iscsi_text_item_is(item, n, "None"));
	ck_assert(!iscsi_text_item(&list, &item, &n));
	list = "";
	ck_assert(iscsi_text_item(&list, &item, &n) && n == 0);
	ck_assert(!iscsi_text_item(&list, &item, &n));
}
END_TEST

START_TEST(test_binary)
{
	static const struct {
		const char *text;
		int n;
		const char *bytes;
	} rows[] = {
	    {"0x00", 1, "\0"},
	    {"0XfF01", 2, "\xff\x01"},
	    {"0bAAA=", 2, "\0\0"},
	    {"0bQUJD", 3, "ABC"},
	    {"0BQUI=", 2, "AB"},
	    {"0bQQ==", 1, "A"},
	    {"0b+/+/", 3, "\xfb\xff\xbf"},
	    {"0x", -1, NULL},
	    {"0x0", -1, NULL},
	    {"0x123", -1, NULL},
	    {"0xgg", -1, NULL},
	    {"0b", -1, NULL},
	    {"0bA", -1, NULL},
	    {"0bQUJ", -1, NULL},
	    {"0bQUI", -1, NULL},
	    {"0bQ===", -1, NULL},
	    {"0b====", -1, NULL},
	    {"0bQQ=A", -1, NULL},
	    {"0b=QQQ", -1, NULL},
	    {"0bQR==", -1, NULL},
	    {"0bQUJ=", -1, NULL},
	    {"0bQU D", -1, NULL},
	    {"1234", -1, NULL},
	    {"", -1, NULL},
	    {"0", -1, NULL},
	    {"0q1234", -1, NULL},
	    {"0x0102030405", -1, NULL},
	    {"0bQUJDREU=", -1, NULL}, /* five bytes where four fit */
	};
	uint8_t out[5];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(out, 0x55, sizeof(out));
		ck_assert_msg(iscsi_text_bin(rows[i].text, out, 4) == rows[i].n, "%s",
			      rows[i].text);
		if (rows[i].n > 0)
			ck_assert_mem_eq(out, rows[i].bytes, (size_t)rows[i].n);
		ck_assert_uint_eq(out[4], 0x55);
	}
}
END_TEST

START_TEST(test_names)
{
	char dst[GW_NAME_MAX + 1], longest[GW_NAME_MAX + 2];

	ck_assert(iscsi_name_copy(dst, "IQN.2026-01.Org.Example:X_1"));
	ck_assert_str_eq(dst, "iqn.2026-01.org.example:x_1");
	ck_assert(!iscsi_name_copy(dst, ""));
	ck_assert(!iscsi_name_copy(dst, "iqn.2026-01.org,x"));
	ck_assert_str_eq(dst, "");
	ck_assert(!iscsi_name_copy(dst, "iqn. x"));
	ck_assert(!iscsi_name_copy(dst, "iqn.\xc3\xa4"));
	memset(longest, 'a', sizeof(longest));
	longest[GW_NAME_MAX + 1] = '\0';
	ck_assert(!iscsi_name_copy(dst, longest));
	longest[GW_NAME_MAX] = '\0';
	ck_assert(iscsi_name_copy(dst, longest));

	ck_assert(iscsi_name_typed("iqn.2001-04.com.example"));
	ck_assert(iscsi_name_typed("eui.02004567a425678d"));
	ck_assert(iscsi_name_typed("naa.52004567ba64678d"));
	ck_assert(iscsi_name_typed("naa.62004567ba64678d0123456789abcdef"));
	ck_assert(!iscsi_name_typed("iqn."));
	ck_assert(!iscsi_name_typed("eui.02004567a425678"));
	ck_assert(!iscsi_name_typed("naa.52004567ba64678d0"));
	ck_assert(!iscsi_name_typed("host"));
	ck_assert(!iscsi_name_typed("eu"));
}
END_TEST

SUITE("iscsi text", test_pairs, test_builder_is_bounded, test_numbers, test_lists, test_binary,
      test_names)
