/* SPDX-License-Identifier: BSD-3-Clause */
/* PRE-FETCH, READ DEFECT DATA, the diagnostic commands and the timestamp. */
#include "tests/unit/scsi/rig.h"

static struct bench s;

static void
setup(void)
{
	bench_open(&s);
}

static void
teardown(void)
{
	bench_close(&s);
}

static unsigned
all_io(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BE_OP_MAX; i++)
		n += rig.submitted[i];
	return n;
}

static void
expect_pointer(struct rig_cmd *c, uint32_t sense, unsigned byte, unsigned bit)
{
	ck_assert_uint_eq(rig_result(c), sense);
	ck_assert_uint_eq(c->cmd.sense[15] & 0x0f, 8 | bit);
	ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), byte);
	rig_free(c);
}

START_TEST(prefetch_moves_nothing)
{
	static const char *const good[] = {"34",
					   "34 02 00 00 ff ff 00 00 01",
					   "34 02 00 00 00 05 3f 00 00",
					   "34 00 00 00 00 00 00 ff ff",
					   "90",
					   "90 02 00 00 00 00 00 00 ff ff 00 00 00 01 3f",
					   "90 00 00 00 00 00 00 00 00 00 00 01 00 00"};

	for (unsigned i = 0; i < GW_ARRAY_LEN(good); i++)
		ck_assert_uint_eq(rig_none(s.b, 1, good[i]), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, "34 00 00 00 ff ff 00 00 02"), SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig_none(s.b, 1, "90 00 00 00 00 00 00 01 00 00"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, "90 00 00 00 00 00 00 01 00 01"), SENSE_LBA_RANGE);
	ck_assert_uint_eq(all_io(), 0);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, "34"), SENSE_NO_MEDIUM);
}
END_TEST

START_TEST(defect_lists_are_empty)
{
	char cdb[64];
	struct rig_cmd *c;

	for (unsigned asked = 0; asked < 0x20; asked++) {
		bool bad = (asked & 7) > 5;

		snprintf(cdb, sizeof(cdb), "37 00 %02x 00 00 00 00 00 ff", asked);
		c = rig_do(s.a, 1, cdb, GW_DIR_IN, 255, NULL);
		ck_assert_uint_eq(rig_result(c), bad ? SENSE_CDB_FIELD : 0);
		if (!bad) {
			ck_assert_uint_eq(c->cmd.in_len, 4);
			ck_assert_uint_eq(gw_be32(c->buf), asked << 16);
		}
		rig_free(c);
		snprintf(cdb, sizeof(cdb), "b7 %02x 00 00 00 07 00 00 00 ff", asked);
		c = rig_do(s.a, 1, cdb, GW_DIR_IN, 255, NULL);
		if (bad) {
			expect_pointer(c, SENSE_CDB_FIELD, 1, 2);
			continue;
		}
		ck_assert_uint_eq(rig_result(c), 0);
		ck_assert_uint_eq(c->cmd.in_len, 8);
		ck_assert_uint_eq(gw_be64(c->buf), (uint64_t)asked << 48);
		rig_free(c);
	}
	c = rig_do(s.a, 1, "37 00 18 00 00 00 00 00 03", GW_DIR_IN, 3, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, 3);
	rig_free(c);
}
END_TEST

START_TEST(self_test_reads)
{
	struct scsi_lu_conf conf = rig_conf(1);

	ck_assert_uint_eq(rig_none(s.a, 1, "1d"), 0);
	ck_assert_uint_eq(all_io(), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "1d 04"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, "1d 07"), 0);
	ck_assert_uint_eq(rig.submitted[BE_READ], 2);
	ck_assert_uint_eq(rig.largest, 512);
	rig.fail[BE_READ] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_none(s.a, 1, "1d 04"), SENSE_SELF_TEST);
	rig.fail[BE_READ] = BE_EBUSY;
	ck_assert_uint_eq(rig_none(s.a, 1, "1d 04"), SAM_BUSY);
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, "1d 04"), SENSE_MANUAL);
	ck_assert_uint_eq(rig_none(s.a, 0, "1d 04"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "1d 20"), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(aborted_self_test)
{
	struct rig_cmd *c = rig_start(s.b, 1, "1d 04", GW_DIR_NONE, 0);
	struct rig_tmf t;

	rig.hold = true;
	rig_exec(c, NULL, 0);
	rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig.fail[BE_READ] = BE_EMEDIUM;
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(c->cmd.status, SAM_TASK_ABORTED);
	rig_free(c);
}
END_TEST

START_TEST(the_list_of_pages_is_the_only_page)
{
	uint8_t page[8] = {0};
	struct rig_cmd *c;

	ck_assert_uint_eq(rig_try(s.a, 1, "1d 10 00 00 04", GW_DIR_OUT, 4, page), 0);
	c = rig_do(s.a, 1, "1c 01 00 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, 5);
	ck_assert_mem_eq(c->buf, "\0\0\0\1\0", 5);
	rig_free(c);
	ck_assert_uint_eq(rig_in(s.a, 1, "1c 00 3f 00 ff"), 0);
	ck_assert_uint_eq(rig_in(s.a, 0, "1c 01 00 00 ff"), 0);
	expect_pointer(rig_do(s.a, 1, "1c 01 3f 00 ff", GW_DIR_IN, 255, NULL), SENSE_CDB_FIELD, 2,
		       7);
	expect_pointer(rig_do(s.a, 1, "1d 00 00 00 04", GW_DIR_OUT, 4, page), SENSE_CDB_FIELD, 1,
		       4);
	expect_pointer(rig_do(s.a, 1, "1d 14 00 00 04", GW_DIR_OUT, 4, page), SENSE_CDB_FIELD, 3,
		       7);
	expect_pointer(rig_do(s.a, 1, "1d 10 00 00 08", GW_DIR_OUT, 8, page), SENSE_CDB_FIELD, 3,
		       7);
	page[0] = 0x3f;
	expect_pointer(rig_do(s.a, 1, "1d 10 00 00 04", GW_DIR_OUT, 4, page), SENSE_PARAM_FIELD, 0,
		       5);
	page[0] = 0;
	page[3] = 1;
	expect_pointer(rig_do(s.a, 1, "1d 10 00 00 04", GW_DIR_OUT, 4, page), SENSE_PARAM_FIELD, 3,
		       0);
	ck_assert_uint_eq(rig_try(s.a, 1, "1d 10 00 00 04", GW_DIR_OUT, 3, page),
			  SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_try(s.a, 1, "1d 10 00 00 02", GW_DIR_OUT, 2, page),
			  SENSE_PARAM_LENGTH);
}
END_TEST

/* The timestamp that the LU tells that nexus. */
static uint64_t
told(struct gw_nexus *n, unsigned *origin)
{
	struct rig_cmd *c = rig_do(n, 1, "a3 0f 00 00 00 00 00 00 00 ff", GW_DIR_IN, 255, NULL);
	uint64_t ms = (uint64_t)gw_be16(c->buf + 4) << 32 | gw_be32(c->buf + 6);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, 12);
	ck_assert_uint_eq(gw_be16(c->buf), 10);
	*origin = c->buf[2];
	rig_free(c);
	return ms;
}

static uint32_t
tell(struct gw_nexus *n, uint64_t ms)
{
	uint8_t out[12] = {0};

	gw_put_be16(out + 4, (uint16_t)(ms >> 32));
	gw_put_be32(out + 6, (uint32_t)ms);
	return rig_try(n, 1, "a4 0f 00 00 00 00 00 00 00 0c", GW_DIR_OUT, 12, out);
}

static void
pass_ms(uint64_t ms)
{
	for (unsigned i = 0; i < RIG_CORES; i++)
		rig.core[i].now += ms * 1000000;
}

START_TEST(timestamp_is_the_hosts_until_set)
{
	const uint64_t year_2020 = 1577836800000;
	uint8_t out[16] = {0};
	unsigned origin;

	ck_assert_uint_gt(told(s.a, &origin), year_2020);
	ck_assert_uint_eq(origin, 3);
	pass_ms(5000);
	ck_assert_uint_eq(tell(s.b, 0xfedcba987654), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "00"), SENSE(6, 0x2a10));
	ck_assert_uint_eq(rig_none(s.b, 1, "00"), 0);
	ck_assert_uint_eq(told(s.a, &origin), 0xfedcba987654);
	ck_assert_uint_eq(origin, 2);
	pass_ms(1234);
	ck_assert_uint_eq(told(s.b, &origin), 0xfedcba987654 + 1234);
	/* Earlier than the gateway's start is a time as well; it wraps as the field does. */
	ck_assert_uint_eq(tell(s.b, 1), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "00"), SENSE(6, 0x2a10));
	ck_assert_uint_eq(told(s.a, &origin), 1);
	ck_assert_uint_eq(tell(s.b, 0xffffffffffff), 0);
	pass_ms(2);
	rig_calm(s.a);
	ck_assert_uint_eq(told(s.a, &origin), 1);
	/* No list, a short one, a long one, reserved bytes. */
	ck_assert_uint_eq(rig_none(s.b, 1, "a4 0f"), 0);
	ck_assert_uint_eq(rig_try(s.b, 1, "a4 0f 00 00 00 00 00 00 00 0b", GW_DIR_OUT, 11, out),
			  SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_try(s.b, 1, "a4 0f 00 00 00 00 00 00 00 0c", GW_DIR_OUT, 4, out),
			  SENSE_PARAM_LENGTH);
	expect_pointer(rig_do(s.b, 1, "a4 0f 00 00 00 00 ff ff ff ff", GW_DIR_OUT, 16, out),
		       SENSE_CDB_FIELD, 6, 7);
	out[11] = 0x40;
	expect_pointer(rig_do(s.b, 1, "a4 0f 00 00 00 00 00 00 00 0c", GW_DIR_OUT, 12, out),
		       SENSE_PARAM_FIELD, 11, 6);
	ck_assert_uint_eq(told(s.a, &origin), 1);
}
END_TEST

RIG_SUITE("scsi/minor", setup, teardown, prefetch_moves_nothing, defect_lists_are_empty,
	  self_test_reads, aborted_self_test, the_list_of_pages_is_the_only_page,
	  timestamp_is_the_hosts_until_set)
