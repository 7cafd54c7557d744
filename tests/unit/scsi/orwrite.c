/* SPDX-License-Identifier: BSD-3-Clause */
/* ORWRITE: which bits it sets, and that it takes turns with its kind and with COMPARE AND WRITE. */
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

#define OR_AT_5  "8b 00 00 00 00 00 00 00 00 05 00 00 00 01 00 00"
#define CAW_AT_5 "89 00 00 00 00 00 00 00 00 05 00 00 00 01 00 00"

/* Sets that bit of block 5; given to the SCSI layer. */
static struct rig_cmd *
set_bit(struct gw_nexus *n, unsigned bit)
{
	uint8_t out[512] = {0};
	struct rig_cmd *c = rig_start(n, 1, OR_AT_5, GW_DIR_OUT, sizeof(out));

	BUG(c->refused);
	out[bit / 8] = (uint8_t)(1 << bit % 8);
	rig_exec(c, out, sizeof(out));
	return c;
}

static struct rig_cmd *
swap(struct gw_nexus *n, uint8_t expect, uint8_t put)
{
	uint8_t out[1024] = {expect};
	struct rig_cmd *c = rig_start(n, 1, CAW_AT_5, GW_DIR_OUT, sizeof(out));

	BUG(c->refused);
	out[512] = put;
	rig_exec(c, out, sizeof(out));
	return c;
}

START_TEST(sets_bits_of_many_pieces)
{
	enum {
		LEN = 401 * 512
	};
	static uint8_t out[LEN];
	uint8_t *mem = rig_mem(s.disk);
	struct rig_cmd *c;

	for (unsigned i = 0; i < LEN + 1024; i++)
		mem[i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < LEN; i++)
		out[i] = (uint8_t)(i >> 8);
	c = rig_do(s.b, 1, "8b 10 00 00 00 00 00 00 00 01 00 00 01 91 00 00", GW_DIR_OUT, LEN, out);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, LEN);
	for (unsigned i = 0; i < LEN; i++)
		ck_assert_uint_eq(mem[512 + i], (uint8_t)((i + 512) * 7) | out[i]);
	ck_assert_uint_eq(mem[511], (uint8_t)(511 * 7));
	ck_assert_uint_eq(mem[LEN + 512], (uint8_t)((LEN + 512) * 7));
	ck_assert_uint_eq(rig.last_flags, 0);
	ck_assert_uint_gt(rig.submitted[BE_WRITE], 1);
	rig_free(c);
}
END_TEST

START_TEST(less_data_than_blocks)
{
	uint8_t out[2048], *mem = rig_mem(s.disk) + 5 * 512;
	struct rig_cmd *c;

	memset(out, 0xff, sizeof(out));
	c = rig_do(s.a, 1, "8b 00 00 00 00 00 00 00 00 05 00 00 00 02 00 00", GW_DIR_OUT, 512, out);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, 1024);
	ck_assert_uint_eq(mem[511], 0xff);
	ck_assert_uint_eq(mem[512], 0);
	rig_free(c);
	c = rig_do(s.a, 1, OR_AT_5, GW_DIR_OUT, 0, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, 512);
	rig_free(c);
	ck_assert_uint_eq(rig_try(s.a, 1, OR_AT_5, GW_DIR_OUT, 200, out), SENSE_CIU_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "8b"), 0);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
}
END_TEST

START_TEST(what_is_refused)
{
	struct scsi_lu_conf conf = rig_conf(1);
	uint8_t out[1024] = {0xff};

	/* ORPROTECT; the end of the medium. */
	ck_assert_uint_eq(rig_try(s.a, 1, "8b 20 00 00 00 00 00 00 00 05 00 00 00 01", GW_DIR_OUT,
				  512, out),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_try(s.a, 1, "8b 00 00 00 00 00 00 00 ff ff 00 00 00 02", GW_DIR_OUT,
				  1024, out),
			  SENSE_LBA_RANGE);
	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_try(s.a, 1, OR_AT_5, GW_DIR_OUT, 512, out), SENSE_WRITE_PROTECTED);
	ck_assert_uint_eq(rig.submitted[BE_READ] + rig.submitted[BE_WRITE], 0);
}
END_TEST

START_TEST(fua_and_errors)
{
	const char *fua = "8b 18 00 00 00 00 00 00 00 05 00 00 00 01";
	uint8_t out[512] = {1};

	rig.fail[BE_READ] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 512, out), SENSE_READ_ERROR);
	rig.fail[BE_READ] = BE_OK;
	rig.fail[BE_WRITE] = BE_ENOSPC;
	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 512, out), SENSE_NO_SPACE);
	rig.fail[BE_WRITE] = BE_OK;
	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 512, out), 0);
	ck_assert_uint_eq(rig.last_flags, BE_FUA);
	ck_assert_uint_eq(rig_mem(s.disk)[5 * 512], 1);
}
END_TEST

/* All bits of the block, from two cores at once: none gets lost. */
START_TEST(no_bit_is_lost)
{
	enum {
		AT_ONCE = 32
	};
	const uint8_t *mem = rig_mem(s.disk) + 5 * 512;

	for (unsigned bit = 0; bit < 4096; bit += AT_ONCE) {
		struct rig_cmd *c[AT_ONCE];

		for (unsigned i = 0; i < AT_ONCE; i++)
			c[i] = set_bit(i & 1 ? s.a : s.b, bit + i);
		rig_run();
		for (unsigned i = 0; i < AT_ONCE; i++) {
			ck_assert_uint_eq(c[i]->responses, 1);
			ck_assert_uint_eq(rig_result(c[i]), 0);
			rig_free(c[i]);
		}
	}
	for (unsigned i = 0; i < 512; i++)
		ck_assert_uint_eq(mem[i], 0xff);
}
END_TEST

START_TEST(turns_with_compare_and_write)
{
	struct rig_cmd *first, *second, *third;

	rig.hold = true;
	first = set_bit(s.b, 0);
	rig_run();
	second = swap(s.a, 1, 2);
	third = set_bit(s.b, 7);
	rig_run();
	/* Its read and its write, before anybody else reads. */
	ck_assert_uint_eq(rig.submitted[BE_READ], 1);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_READ], 1);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(rig_result(first) | rig_result(second) | rig_result(third), 0);
	ck_assert_uint_eq(rig_mem(s.disk)[5 * 512], 0x82);
	rig_free(first);
	rig_free(second);
	rig_free(third);
}
END_TEST

/* One in the middle of its pieces and one that waits: the third gets its turn. */
START_TEST(aborted_ones_make_way)
{
	static uint8_t out[300 * 512];
	struct rig_cmd *longer, *waits, *last;
	struct rig_tmf t[2];

	memset(out, 0xff, sizeof(out));
	rig.hold = true;
	longer = rig_start(s.b, 1, "8b 00 00 00 00 00 00 00 00 10 00 00 01 2c 00 00", GW_DIR_OUT,
			   sizeof(out));
	rig_exec(longer, out, sizeof(out));
	rig_run();
	waits = set_bit(s.b, 1);
	last = set_bit(s.a, 2);
	rig_run();
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	rig_tmf(&t[0], s.b, 1, GW_TMF_ABORT_TASK, &longer->cmd);
	rig_tmf(&t[1], s.b, 1, GW_TMF_ABORT_TASK, &waits->cmd);
	rig_run();
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t[0].done + t[1].done, 2);
	ck_assert_uint_eq(longer->responses + waits->responses + last->responses, 3);
	ck_assert_uint_eq(longer->cmd.aborted & waits->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 2);
	ck_assert_uint_eq(rig_mem(s.disk)[5 * 512], 4);
	rig_free(longer);
	rig_free(waits);
	rig_free(last);
}
END_TEST

START_TEST(device_goes_under_it)
{
	struct rig_cmd *c[3];

	rig.hold = true;
	for (unsigned i = 0; i < 3; i++)
		c[i] = set_bit(i & 1 ? s.a : s.b, i);
	rig_run();
	rig.hold = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	ck_assert_uint_eq(rig.chans, 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert(rig_result(c[i]) == 0 || rig_result(c[i]) == SENSE_NO_MEDIUM);
		rig_free(c[i]);
	}
}
END_TEST

RIG_SUITE("scsi/orwrite", setup, teardown, sets_bits_of_many_pieces, less_data_than_blocks,
	  what_is_refused, fua_and_errors, no_bit_is_lost, turns_with_compare_and_write,
	  aborted_ones_make_way, device_goes_under_it)
