/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/proto.h"

#include <string.h>

#include "gateway/base/bytes.h"
#include "iscsi/proto.h"
#include "tests/unit/base/suite.h"

#define BHS ISER_HEADER_LEN

static uint8_t pdu[1024];
static struct iser_send s;

/* A SCSI Command with data of n bytes behind `ahs` words of additional header. */
static uint32_t
make(uint8_t flags, uint8_t ahs, uint32_t n)
{
	memset(pdu, 0, sizeof(pdu));
	pdu[0] = flags;
	gw_put_be32(pdu + 4, 0x11223344);
	gw_put_be64(pdu + 8, 0x0102030405060708);
	gw_put_be32(pdu + 16, 0x55667788);
	gw_put_be64(pdu + 20, 0xf1f2f3f4f5f6f7f8);
	pdu[BHS + ISCSI_AT_OPCODE] = ISCSI_OP_SCSI_CMD;
	pdu[BHS + ISCSI_AT_AHSLEN] = ahs;
	gw_put_be24(pdu + BHS + ISCSI_AT_DSL, n);
	return BHS + ISCSI_BHS_LEN + ahs * 4u + n;
}

START_TEST(test_no_memory)
{
	uint32_t n = make(0x10, 0, 0);

	ck_assert_ptr_null(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s));
	ck_assert(!s.out.valid && !s.in.valid);
	ck_assert_ptr_eq(s.bhs, pdu + BHS);
	ck_assert_uint_eq(s.len, 0);
}
END_TEST

START_TEST(test_write_and_read)
{
	uint32_t n = make(0x18, 0, 0);

	ck_assert_ptr_null(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s));
	ck_assert(s.out.valid && !s.in.valid);
	ck_assert_uint_eq(s.out.stag, 0x11223344);
	ck_assert_uint_eq(s.out.at, 0x0102030405060708);
	n = make(0x14, 0, 0);
	ck_assert_ptr_null(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s));
	ck_assert(!s.out.valid && s.in.valid);
	ck_assert_uint_eq(s.in.stag, 0x55667788);
	ck_assert_uint_eq(s.in.at, 0xf1f2f3f4f5f6f7f8);
}
END_TEST

START_TEST(test_data_behind_additional_header)
{
	uint32_t n = make(0x18, 3, 100);

	ck_assert_ptr_null(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s));
	ck_assert_ptr_eq(s.ahs, pdu + BHS + ISCSI_BHS_LEN);
	ck_assert_ptr_eq(s.data, pdu + BHS + ISCSI_BHS_LEN + 12);
	ck_assert_uint_eq(s.len, 100);
	/* Padding may follow, as over TCP. */
	ck_assert_ptr_null(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n + 3, &s));
	ck_assert_uint_eq(s.len, 100);
}
END_TEST

START_TEST(test_every_shorter_message_is_refused)
{
	uint32_t n = make(0x1c, 2, 64);

	ck_assert_ptr_null(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s));
	for (uint32_t i = 0; i < n; i++)
		ck_assert_ptr_nonnull(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, i, &s));
	gw_put_be24(pdu + BHS + ISCSI_AT_DSL, 0xffffff);
	ck_assert_ptr_nonnull(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s));
}
END_TEST

START_TEST(test_other_opcodes_are_refused)
{
	uint32_t n = make(0x10, 0, 0);

	for (unsigned op = 0; op < 16; op++) {
		pdu[0] = (uint8_t)(op << 4);
		ck_assert_int_eq(iser_send_parse(pdu, pdu + ISER_HEAD_LEN, n, &s) == NULL,
				 op == 1 || op == 2);
	}
}
END_TEST

START_TEST(test_hello)
{
	uint8_t p[ISER_HEAD_LEN] = {0x20, 0xa1, 0, 16}, back[ISER_HEADER_LEN];

	ck_assert_ptr_nonnull(iser_send_parse(p, NULL, ISER_HELLO_LEN - 1, &s));
	ck_assert_ptr_null(iser_send_parse(p, NULL, ISER_HEADER_LEN, &s));
	ck_assert(s.hello);
	ck_assert_uint_eq(s.max_ver, 10);
	ck_assert_uint_eq(s.min_ver, 1);
	ck_assert_uint_eq(s.ird, 16);
	ck_assert(iser_hello_reply_put(back, &s, 7));
	ck_assert_mem_eq(back, "\x30\xaa\0\x07", 4);
	for (unsigned i = 4; i < sizeof(back); i++)
		ck_assert_uint_eq(back[i], 0);
	/* 9.4: versions that do not meet. */
	p[1] = 0x91;
	ck_assert_ptr_null(iser_send_parse(p, NULL, ISER_HEADER_LEN, &s));
	ck_assert(!iser_hello_reply_put(back, &s, 7));
	ck_assert_uint_eq(back[0], 0x31);
	p[1] = 0xfb;
	ck_assert_ptr_null(iser_send_parse(p, NULL, ISER_HEADER_LEN, &s));
	ck_assert(!iser_hello_reply_put(back, &s, 7));
}
END_TEST

START_TEST(test_our_header)
{
	uint8_t head[ISER_HEADER_LEN + ISCSI_BHS_LEN] = {0};

	memset(head, 0xee, ISER_HEADER_LEN);
	iser_header_put(head);
	ck_assert_uint_eq(head[0], 0x10);
	for (unsigned i = 1; i < ISER_HEADER_LEN; i++)
		ck_assert_uint_eq(head[i], 0);
	ck_assert_ptr_null(iser_send_parse(head, NULL, sizeof(head), &s));
}
END_TEST

START_TEST(test_private_data)
{
	uint8_t p[ISER_CM_LEN];
	struct iser_cm cm;

	for (unsigned i = 0; i < 4; i++) {
		iser_cm_put(p, (struct iser_cm){i & 1, i & 2});
		ck_assert_uint_eq(p[0], (i & 1 ? 0x80 : 0) | (i & 2 ? 0x40 : 0));
		cm = iser_cm_parse(p, sizeof(p));
		ck_assert_int_eq(cm.no_zbva, (i & 1) != 0);
		ck_assert_int_eq(cm.no_send_inv, (i & 2) != 0);
	}
	cm = iser_cm_parse(NULL, 0);
	ck_assert(cm.no_zbva && cm.no_send_inv);
	cm = iser_cm_parse(p, ISER_CM_LEN - 1);
	ck_assert(cm.no_zbva && cm.no_send_inv);
}
END_TEST

SUITE("proto", test_no_memory, test_write_and_read, test_data_behind_additional_header,
      test_every_shorter_message_is_refused, test_other_opcodes_are_refused, test_hello,
      test_our_header, test_private_data)
