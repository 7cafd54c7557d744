/* SPDX-License-Identifier: BSD-3-Clause */
/* WRITE AND VERIFY: durable, read again, and compared if it should be. */
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

#define PLAIN_AT_5   "2e 00 00 00 00 05 00 00 01 00"
#define COMPARE_AT_5 "2e 02 00 00 00 05 00 00 01 00"

static uint8_t *
block5(void)
{
	return rig_mem(s.disk) + 5 * 512;
}

START_TEST(writes_through_and_reads)
{
	static const char *const cdbs[] = {PLAIN_AT_5, COMPARE_AT_5,
					   "2e 12 00 00 00 05 00 00 01 00",
					   "ae 02 00 00 00 05 00 00 00 01 00 00",
					   "8e 02 00 00 00 00 00 00 00 05 00 00 00 01 00 00"};
	uint8_t out[512];

	for (unsigned i = 0; i < GW_ARRAY_LEN(cdbs); i++) {
		struct rig_cmd *c;

		memset(out, (int)i + 1, sizeof(out));
		c = rig_do(i & 1 ? s.a : s.b, 1, cdbs[i], GW_DIR_OUT, 512, out);
		ck_assert_uint_eq(rig_result(c), 0);
		ck_assert_uint_eq(c->cmd.moved, 512);
		ck_assert_uint_eq(block5()[0] & block5()[511], i + 1);
		ck_assert_uint_eq(rig.submitted[BE_WRITE], i + 1);
		ck_assert_uint_eq(rig.submitted[BE_READ], i + 1);
		rig_free(c);
	}
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 0);
}
END_TEST

START_TEST(the_write_is_durable)
{
	uint8_t out[512] = {1};
	struct rig_cmd *c = rig_start(s.a, 1, PLAIN_AT_5, GW_DIR_OUT, 512);

	rig.hold = true;
	rig_exec(c, out, 512);
	rig_run();
	ck_assert_uint_eq(rig.last_flags, BE_FUA);
	ck_assert_uint_eq(rig.submitted[BE_READ], 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
}
END_TEST

/* The medium does not hold what was written: only who compares can know. */
static struct rig_cmd *
with_a_flaw(const char *cdb, uint32_t len, uint32_t at)
{
	static uint8_t out[1 << 20];
	struct rig_cmd *c = rig_start(s.b, 1, cdb, GW_DIR_OUT, len);

	memset(out, 0x55, sizeof(out));
	rig.hold = true;
	rig_exec(c, out, len);
	rig_run();
	rig_io_one();
	rig_run();
	block5()[at] ^= 0x10;
	rig.hold = false;
	rig_run();
	return c;
}

START_TEST(a_flaw_is_found)
{
	const char *large = "8e 02 00 00 00 00 00 00 00 05 00 00 03 84 00 00"; /* 900 blocks */
	static const uint32_t at[] = {0, 511, 512, 131071, 131072, 900 * 512 - 1};
	struct rig_cmd *c = with_a_flaw(COMPARE_AT_5, 512, 77);

	ck_assert_uint_eq(rig_result(c), SENSE_MISCOMPARE);
	ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), 77);
	rig_free(c);
	c = with_a_flaw(PLAIN_AT_5, 512, 77);
	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	for (unsigned i = 0; i < GW_ARRAY_LEN(at); i++) {
		c = with_a_flaw(large, 900 * 512, at[i]);
		ck_assert_uint_eq(rig_result(c), SENSE_MISCOMPARE);
		ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), at[i]);
		rig_free(c);
	}
}
END_TEST

START_TEST(less_data_than_blocks)
{
	const char *two = "2e 02 00 00 00 05 00 00 02 00";
	uint8_t out[1024];
	struct rig_cmd *c;

	memset(out, 7, sizeof(out));
	c = rig_do(s.a, 1, two, GW_DIR_OUT, 512, out);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, 1024);
	ck_assert_uint_eq(block5()[511], 7);
	ck_assert_uint_eq(block5()[512], 0);
	rig_free(c);
	c = rig_do(s.a, 1, two, GW_DIR_OUT, 0, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, 1024);
	rig_free(c);
	ck_assert_uint_eq(rig_try(s.a, 1, two, GW_DIR_OUT, 600, out), SENSE_CIU_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "2e 02 00 00 00 05"), 0);
}
END_TEST

START_TEST(what_is_refused)
{
	static const char *const with_bit_2[] = {"2e 04 00 00 00 05 00 00 01",
						 "2e 06 00 00 00 05 00 00 01", "ae 06", "8e 06"};
	struct scsi_lu_conf conf = rig_conf(1);
	uint8_t out[512] = {1};

	for (unsigned i = 0; i < GW_ARRAY_LEN(with_bit_2); i++) {
		struct rig_cmd *c = rig_do(s.a, 1, with_bit_2[i], GW_DIR_OUT, 512, out);

		ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
		ck_assert_uint_eq(c->cmd.sense[15], 0xca);
		ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), 1);
		rig_free(c);
	}
	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_try(s.a, 1, PLAIN_AT_5, GW_DIR_OUT, 512, out), SENSE_WRITE_PROTECTED);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
}
END_TEST

START_TEST(errors_of_both_halves)
{
	uint8_t out[512] = {1};
	struct rig_cmd *c;

	rig.fail[BE_WRITE] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_try(s.b, 1, PLAIN_AT_5, GW_DIR_OUT, 512, out), SENSE_WRITE_ERROR);
	ck_assert_uint_eq(rig.submitted[BE_READ], 0);
	rig.fail[BE_WRITE] = BE_OK;
	rig.fail[BE_READ] = BE_EMEDIUM;
	c = rig_do(s.b, 1, PLAIN_AT_5, GW_DIR_OUT, 512, out);
	ck_assert_uint_eq(rig_result(c), SENSE_READ_ERROR);
	ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), 5);
	rig_free(c);
}
END_TEST

START_TEST(aborted_between_the_halves)
{
	uint8_t out[512] = {1};
	struct rig_cmd *c = rig_start(s.b, 1, COMPARE_AT_5, GW_DIR_OUT, 512);
	struct rig_tmf t;

	rig.hold = true;
	rig_exec(c, out, 512);
	rig_run();
	rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig.submitted[BE_READ], 0);
	rig_free(c);
}
END_TEST

START_TEST(the_device_goes_between_the_halves)
{
	uint8_t out[512] = {1};
	struct rig_cmd *c = rig_start(s.b, 1, COMPARE_AT_5, GW_DIR_OUT, 512);

	rig.hold = true;
	rig_exec(c, out, 512);
	rig_run();
	rig.hold = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_result(c), SENSE_NO_MEDIUM);
	ck_assert_uint_eq(rig.chans, 0);
	rig_free(c);
}
END_TEST

/* SBC-4 4.15: a plain VERIFY does not trust what is only in the cache. */
START_TEST(verify_flushes_first)
{
	const char *verify = "2f 00 00 00 00 05 00 00 01";

	ck_assert_uint_eq(rig_none(s.a, 1, verify), 0);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 1);
	rig.fail[BE_FLUSH] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_none(s.a, 1, verify), SENSE_WRITE_ERROR);
	ck_assert_uint_eq(rig.submitted[BE_READ], 1);
	rig.fail[BE_FLUSH] = BE_OK;
	scsi_lu_dev(s.disk)->volatile_cache = false;
	ck_assert_uint_eq(rig_none(s.a, 1, verify), 0);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 2);
}
END_TEST

RIG_SUITE("scsi/write_verify", setup, teardown, writes_through_and_reads, the_write_is_durable,
	  a_flaw_is_found, less_data_than_blocks, what_is_refused, errors_of_both_halves,
	  aborted_between_the_halves, the_device_goes_between_the_halves, verify_flushes_first)
