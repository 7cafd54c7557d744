/* SPDX-License-Identifier: BSD-3-Clause */
/* RECEIVE COPY RESULTS, and what the copy manager says of itself. */
#include "tests/unit/scsi/xcopy_bench.h"

#define STATUS_7  "84 00 07 00 00 00 00 00 00 00 00 00 00 ff"
#define DETAILS_7 "84 04 07 00 00 00 00 00 00 00 00 00 00 ff"

START_TEST(status_of_a_copy)
{
	struct rig_cmd *c, *q;

	ck_assert_uint_eq(rig_in(s.a, 1, STATUS_7), SENSE_CDB_FIELD);
	list_simple(0, 1, 3000, 0, 0);
	rig.hold = true;
	c = start(s.a, 1);
	rig_io_one();
	rig_io_one();
	q = rig_do(s.a, 1, STATUS_7, GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(q->cmd.in_len, 12);
	ck_assert_uint_eq(gw_be32(q->buf), 8);
	ck_assert_uint_eq(q->buf[4], 0);
	ck_assert_uint_eq(gw_be32(q->buf + 8), COPY_PIECE);
	rig_free(q);
	/* The identifier is taken, for this nexus and LU only. */
	ck_assert_uint_eq(copy(s.a, 1), SENSE_IN_PROGRESS);
	rig.hold = false;
	ck_assert_uint_eq(copy(s.b, 1), 0);
	ck_assert_uint_eq(end(c), 0);
	q = rig_do(s.a, 1, STATUS_7, GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(q->buf[4], 1);
	ck_assert_uint_eq(gw_be16(q->buf + 5), 1);
	ck_assert_uint_eq(gw_be32(q->buf + 8), 3000 * 512);
	rig_free(q);
	ck_assert_uint_eq(rig_in(s.a, 2, STATUS_7), SENSE_CDB_FIELD);
	/* Whom nobody will ask about. */
	list.b[1] = LIST_ID_DISCARD << 3;
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_uint_eq(rig_in(s.a, 1, STATUS_7), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(details_of_a_failure)
{
	struct rig_cmd *c;
	uint8_t sense[GW_SENSE_MAX];
	unsigned n;

	list_simple(0, 1, 8, 0, 0);
	rig.fail[BE_READ] = BE_EMEDIUM;
	c = start(s.a, 1);
	rig_run();
	n = c->cmd.sense_len;
	memcpy(sense, c->cmd.sense, n);
	rig_free(c);
	/* A part of it, all of it, and then there is no more. */
	c = rig_do(s.a, 1, "84 04 07 00 00 00 00 00 00 00 00 00 00 3c", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(gw_be32(c->buf), 56 + n);
	rig_free(c);
	c = rig_do(s.a, 1, DETAILS_7, GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->cmd.in_len, 60 + n);
	ck_assert_uint_eq(c->buf[56], SAM_CHECK_CONDITION);
	ck_assert_uint_eq(gw_be16(c->buf + 58), n);
	ck_assert_mem_eq(c->buf + 60, sense, n);
	rig_free(c);
	c = rig_do(s.a, 1, DETAILS_7, GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->cmd.in_len, 4);
	ck_assert_uint_eq(gw_be32(c->buf), 0);
	rig_free(c);
}
END_TEST

START_TEST(not_of_an_earlier_unit)
{
	list_simple(0, 1, 8, 0, 0);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_uint_eq(rig_in(s.a, 1, STATUS_7), 0);
	/* As if it had gone, and another were made at its address. */
	s.disk->id += 1000;
	ck_assert_uint_eq(rig_in(s.a, 1, STATUS_7), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(s.a, 1, DETAILS_7), 0);
	s.disk->id -= 1000;
}
END_TEST

START_TEST(what_it_says_of_itself)
{
	struct rig_cmd *c =
	    rig_do(s.a, 1, "84 03 00 00 00 00 00 00 00 00 00 00 00 ff", GW_DIR_IN, 255, NULL);
	unsigned n, seen = 0;

	ck_assert_uint_eq(c->cmd.in_len, gw_be32(c->buf) + 4);
	ck_assert_uint_eq(c->buf[4], 1);
	ck_assert_uint_eq(gw_be16(c->buf + 8), XCOPY_CSCDS);
	ck_assert_uint_eq(gw_be16(c->buf + 10), XCOPY_SEGS);
	ck_assert_uint_eq(c->buf[37], 9);
	ck_assert_uint_eq(c->buf[43], 3);
	ck_assert_mem_eq(c->buf + 44, ((uint8_t[]){0x02, 0x0a, 0xe4}), 3);
	rig_free(c);
	c = rig_do(s.a, 1, "12 00 00 00 60", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[5] & 0x08, 0x08);
	rig_free(c);
	c = rig_do(s.a, 1, "12 01 8f 02 00", GW_DIR_IN, 512, NULL);
	n = gw_be16(c->buf + 2) + 4u;
	ck_assert_uint_eq(c->cmd.in_len, n);
	/* Descriptors fill the page, in order, each a multiple of four. */
	for (unsigned i = 4, last = 0; i < n; i += 4u + gw_be16(c->buf + i + 2), seen++) {
		ck_assert_uint_eq(gw_be16(c->buf + i + 2) % 4, 0);
		ck_assert(i == 4 || gw_be16(c->buf + i) > last);
		last = gw_be16(c->buf + i);
		if (last == 1)
			ck_assert_mem_eq(c->buf + i + 5,
					 ((uint8_t[]){0x83, 3, 0, 0x10, 0x11, 0x84, 4, 0, 3, 4, 7}),
					 11);
	}
	ck_assert_uint_eq(seen, 8);
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/copy_result", setup, teardown, status_of_a_copy, not_of_an_earlier_unit,
	  details_of_a_failure, what_it_says_of_itself)
