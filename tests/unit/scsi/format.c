/* SPDX-License-Identifier: BSD-3-Clause */
/* FORMAT UNIT: what it leaves, what it refuses, and what others see. sanitize.c has the rest. */
#include "tests/unit/scsi/rig.h"

#define MEDIUM_SIZE (RIG_BLOCKS * 512)

#define FORMAT          "04"
#define WITH_LIST       "04 10"
#define WITH_LONG_LIST  "04 30"
#define TEST_UNIT_READY "00"
#define READ_0          "28 00 00 00 00 00 00 00 01 00"
#define MODE_SENSE      "1a 00 3f 00 ff 00"
#define BLOCK_ERASE     "48 02"

static struct bench s;

static void
setup(void)
{
	bench_open(&s);
	memset(rig_mem(s.disk), 0xd5, MEDIUM_SIZE);
}

static void
teardown(void)
{
	bench_close(&s);
}

static bool
is_all(uint8_t byte)
{
	const uint8_t *mem = rig_mem(s.disk);

	return mem[0] == byte && !memcmp(mem, mem + 1, MEDIUM_SIZE - 1);
}

/* A FORMAT UNIT with IMMED of which the backend holds what it got first. */
static void
format_held(void)
{
	static const uint8_t immed[4] = {0, 2};

	rig.hold = true;
	ck_assert_uint_eq(rig_try(s.a, 1, WITH_LIST, GW_DIR_OUT, 4, immed), 0);
	ck_assert(!gw_list_empty(&rig.pending));
}

static void
let_go(void)
{
	rig.hold = false;
	rig_run();
	rig_tick();
}

/* What REQUEST SENSE tells; *progress is 0 if it tells none. */
static uint32_t
request_sense(struct gw_nexus *n, uint16_t *progress)
{
	struct rig_cmd *c = rig_do(n, 1, "03 00 00 00 fc 00", GW_DIR_IN, 252, NULL);
	uint32_t r = SENSE(c->buf[2] & 0xf, gw_be16(c->buf + 12));

	ck_assert_uint_eq(rig_result(c), 0);
	*progress = c->buf[15] & 0x80 ? gw_be16(c->buf + 16) : 0;
	rig_free(c);
	return r;
}

START_TEST(leaves_zeroes)
{
	struct scsi_lu_conf conf = rig_conf(1);

	ck_assert_uint_eq(rig_none(s.b, 1, FORMAT), 0);
	ck_assert(is_all(0));
	ck_assert_uint_eq(rig.submitted[BE_ZERO], 1);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 1);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	/* Blocks are given back on a thin LU only. */
	for (unsigned thin = 0; thin < 2; thin++) {
		conf.thin = thin;
		ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
		rig_calm(s.a);
		format_held();
		ck_assert_uint_eq(rig.last_flags, thin ? BE_MAY_UNMAP : 0);
		let_go();
		ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	}
	memset(rig_mem(s.disk), 0xd5, MEDIUM_SIZE);
	rig.fail[BE_ZERO] = BE_ENOTSUP;
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), 0);
	ck_assert(is_all(0));
	ck_assert_uint_eq(rig.submitted[BE_WRITE], MEDIUM_SIZE / (256 << 10));
}
END_TEST

START_TEST(lists_that_ask_for_nothing)
{
	static const uint8_t lists[][8] = {{0, 0}, {0, 2}, {0, 0x80}, {0, 0xf0}, {0, 0xa2}};

	for (unsigned i = 0; i < GW_ARRAY_LEN(lists); i++) {
		struct rig_cmd *c = rig_do(s.a, 1, WITH_LIST, GW_DIR_OUT, 4, lists[i]);

		ck_assert_uint_eq(rig_result(c), 0);
		ck_assert_uint_eq(c->cmd.moved, 4);
		rig_free(c);
		rig_tick();
		/* A complete list of none, in any format that there is. */
		ck_assert_uint_eq(rig_try(s.a, 1, "04 3d", GW_DIR_OUT, 8, lists[i]), 0);
		rig_tick();
	}
	ck_assert(is_all(0));
}
END_TEST

START_TEST(lists_that_are_refused)
{
	static const struct {
		uint8_t list[8];
		bool longer;
		uint8_t byte, bit;
	} wrong[] = {
	    {{0x01}, false, 0, 0},
	    {{0x80}, true, 0, 7},
	    {{0, 0x01}, false, 1, 0},
	    {{0, 0x04}, false, 1, 2},
	    {{0, 0x40}, false, 1, 6},
	    {{0, 0x30}, false, 1, 5},
	    {{0, 0x88}, true, 1, 3},
	    {{0, 0, 0, 4}, false, 2, 7},
	    {{0, 0, 1, 0}, false, 2, 7},
	    {{0, 0, 1, 0}, true, 2, 0},
	    {{0, 0, 0, 0x10}, true, 3, 7},
	    {{0, 0, 0, 0x01}, true, 3, 3},
	    {{0, 0, 0, 0, 0, 0, 0, 1}, true, 4, 7},
	    {{0, 0, 0, 0, 0x80}, true, 4, 7},
	};
	uint8_t none[8] = {0};

	for (unsigned i = 0; i < GW_ARRAY_LEN(wrong); i++) {
		struct rig_cmd *c = rig_do(s.a, 1, wrong[i].longer ? WITH_LONG_LIST : WITH_LIST,
					   GW_DIR_OUT, wrong[i].longer ? 8 : 4, wrong[i].list);

		ck_assert_uint_eq(rig_result(c), SENSE_PARAM_FIELD);
		ck_assert_uint_eq(c->cmd.sense[15], 0x88 | wrong[i].bit);
		ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), wrong[i].byte);
		rig_free(c);
	}
	ck_assert_uint_eq(rig_try(s.a, 1, WITH_LIST, GW_DIR_OUT, 3, none), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_try(s.a, 1, WITH_LONG_LIST, GW_DIR_OUT, 4, none), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_none(s.a, 1, WITH_LIST), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_none(s.a, 1, "04 08"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "04 05"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_try(s.a, 1, "04 16", GW_DIR_OUT, 4, none), SENSE_CDB_FIELD);
	/* Protection information; fast formats. */
	ck_assert_uint_eq(rig_none(s.a, 1, "04 80"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "04 00 00 00 01"), SENSE_CDB_FIELD);
	ck_assert(is_all(0xd5));
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
}
END_TEST

START_TEST(others_are_kept_out)
{
	static const char *const out[] = {TEST_UNIT_READY, READ_0,  MODE_SENSE, FORMAT,
					  BLOCK_ERASE,     "48 1f", "1d 04"};
	uint16_t progress;

	rig.fail[BE_ZERO] = BE_ENOTSUP;
	format_held();
	rig_io_one();
	rig_run();
	rig_tick();
	while (rig.submitted[BE_WRITE] < 64) {
		rig_io_one();
		rig_run();
	}
	for (unsigned i = 0; i < GW_ARRAY_LEN(out); i++) {
		struct rig_cmd *c = rig_start(i & 1 ? s.a : s.b, 1, out[i], GW_DIR_NONE, 0);

		if (!c->refused) {
			rig_exec(c, NULL, 0);
			rig_run();
		}
		ck_assert_msg(rig_result(c) == SENSE_FORMATTING, "%s", out[i]);
		ck_assert_uint_eq(c->cmd.sense[15], 0x80);
		rig_free(c);
	}
	ck_assert_uint_eq(rig_in(s.b, 1, "12 00 00 00 60 00"), 0);
	ck_assert_uint_eq(rig_in(s.b, 1, "a0 00 00 00 00 00 00 00 01 00 00 00"), 0);
	ck_assert_uint_eq(request_sense(s.b, &progress), SENSE_FORMATTING);
	ck_assert_uint_gt(progress, 0x4000);
	ck_assert_uint_lt(progress, 0xc000);
	let_go();
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE(6, 0x2800));
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	request_sense(s.b, &progress);
	ck_assert_uint_eq(progress, 0);
	ck_assert(is_all(0));
}
END_TEST

static void
fail_once(void)
{
	rig.fail[BE_ZERO] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), SENSE_UNFORMATTED);
	rig.fail[BE_ZERO] = BE_OK;
}

START_TEST(failure)
{
	uint16_t progress;

	fail_once();
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNFORMATTED);
	ck_assert_uint_eq(rig_in(s.b, 1, READ_0), SENSE_UNFORMATTED);
	ck_assert_uint_eq(request_sense(s.b, &progress), SENSE_UNFORMATTED);
	ck_assert_uint_eq(rig_in(s.b, 1, MODE_SENSE), 0);
	/* It is not left by what leaves a failed SANITIZE, but by a format, or by a SANITIZE. */
	ck_assert_uint_eq(rig_none(s.b, 1, "48 1f"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), SENSE_UNFORMATTED);
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	ck_assert(is_all(0));
	fail_once();
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
}
END_TEST

/* SBC-4 4.11.4: FORMAT UNIT is no way out of a failed SANITIZE. */
START_TEST(not_after_a_failed_sanitize)
{
	rig.fail[BE_ZERO] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_none(s.a, 1, BLOCK_ERASE), SENSE_UNSANITIZED);
	rig.fail[BE_ZERO] = BE_OK;
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), SENSE_UNSANITIZED);
	ck_assert(is_all(0xd5));
}
END_TEST

START_TEST(another_device_meanwhile)
{
	struct scsi_lu_conf conf = rig_conf(1);

	format_held();
	rig.hold = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(MEDIUM_SIZE, true)), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE_UNFORMATTED);
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
	/* Taken away for good. */
	format_held();
	rig.hold = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), SENSE_NO_MEDIUM);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(MEDIUM_SIZE, true)), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, TEST_UNIT_READY), 0);
}
END_TEST

START_TEST(aborts_and_resets)
{
	struct rig_tmf t[2];
	struct rig_cmd *c;

	/* Before it arrives at home nothing has happened; later it goes on by itself. */
	c = rig_start(s.b, 1, FORMAT, GW_DIR_NONE, 0);
	rig_exec(c, NULL, 0);
	rig_tmf(&t[0], s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t[0].done, 1);
	ck_assert(is_all(0xd5));
	rig_free(c);
	rig.hold = true;
	c = rig_start(s.b, 1, FORMAT, GW_DIR_NONE, 0);
	rig_exec(c, NULL, 0);
	rig_run();
	rig_tmf(&t[1], s.a, 1, GW_TMF_LU_RESET, NULL);
	rig_run();
	rig_tick();
	ck_assert_uint_eq(t[1].done, 1);
	ck_assert_uint_eq(c->responses, 1);
	rig_free(c);
	let_go();
	rig_calm(s.b);
	ck_assert_uint_eq(rig_none(s.b, 1, TEST_UNIT_READY), 0);
	ck_assert(is_all(0));
}
END_TEST

START_TEST(who_may_not)
{
	struct scsi_lu_conf conf = rig_conf(1);

	ck_assert_uint_eq(rig_none(s.b, 1, "16"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), SAM_RESERVATION_CONFLICT);
	ck_assert_uint_eq(rig_none(s.b, 1, "17"), 0);
	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), SENSE_WRITE_PROTECTED);
	conf.online = false;
	conf.readonly = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, FORMAT), SENSE_MANUAL);
	ck_assert(is_all(0xd5));
}
END_TEST

RIG_SUITE("scsi/format", setup, teardown, leaves_zeroes, lists_that_ask_for_nothing,
	  lists_that_are_refused, others_are_kept_out, failure, not_after_a_failed_sanitize,
	  another_device_meanwhile, aborts_and_resets, who_may_not)
