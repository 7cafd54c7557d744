/* SPDX-License-Identifier: BSD-3-Clause */
/* COMPARE AND WRITE: what it compares, and that nobody comes between. Both nexuses, one home core. */
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

#define CAW_AT_5 "89 00 00 00 00 00 00 00 00 05 00 00 00 01"

/* A CAW of block 5 that expects and writes these numbers; given to the SCSI layer. */
static struct rig_cmd *
swap(struct gw_nexus *n, uint64_t expect, uint64_t put)
{
	uint8_t out[1024] = {0};
	struct rig_cmd *c = rig_start(n, 1, CAW_AT_5, GW_DIR_OUT, sizeof(out));

	BUG(c->refused);
	gw_put_be64(out + 100, expect);
	gw_put_be64(out + 512 + 100, put);
	rig_exec(c, out, sizeof(out));
	return c;
}

static uint64_t
number(void)
{
	return gw_be64(rig_mem(s.disk) + 5 * 512 + 100);
}

START_TEST(compares_then_writes)
{
	uint8_t *mem = rig_mem(s.disk);
	struct rig_cmd *c;

	memset(mem + 4 * 512, 9, 512);
	memset(mem + 6 * 512, 9, 512);
	c = swap(s.b, 0, 7);
	rig_run();
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, 1024);
	ck_assert_uint_eq(number(), 7);
	ck_assert_uint_eq(mem[5 * 512 - 1], 9);
	ck_assert_uint_eq(mem[6 * 512], 9);
	ck_assert_uint_eq(rig.last_flags, 0);
	rig_free(c);
	c = swap(s.a, 7, 8);
	rig_run();
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(number(), 8);
	rig_free(c);
}
END_TEST

START_TEST(miscompare_says_where)
{
	static uint8_t out[2 * 128 * 512];
	const char *all = "89 00 00 00 00 00 00 00 00 00 00 00 00 80";
	uint8_t *mem = rig_mem(s.disk);
	struct scsi_lu_conf conf = rig_conf(1);
	struct rig_cmd *c;

	for (unsigned at = 0; at < 128 * 512; at += 1237) {
		mem[at] = 1;
		c = rig_do(s.b, 1, all, GW_DIR_OUT, sizeof(out), out);
		ck_assert_uint_eq(rig_result(c), SENSE_MISCOMPARE);
		ck_assert_uint_eq(c->cmd.sense[0], 0xf0);
		ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), at);
		mem[at] = 0;
		rig_free(c);
	}
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	conf.descriptor_sense = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.b);
	mem[65535] = 1;
	c = rig_do(s.b, 1, all, GW_DIR_OUT, sizeof(out), out);
	ck_assert_uint_eq(rig_result(c), SENSE_MISCOMPARE);
	ck_assert_uint_eq(c->cmd.sense[10], 0x80);
	ck_assert_uint_eq(gw_be64(c->cmd.sense + 12), 65535);
	rig_free(c);
	mem[65535] = 0;
	memset(out + 65536, 0x5a, 65536);
	ck_assert_uint_eq(rig_try(s.b, 1, all, GW_DIR_OUT, sizeof(out), out), 0);
	ck_assert_uint_eq(mem[0] & mem[65535], 0x5a);
	ck_assert_uint_eq(mem[65536], 0);
}
END_TEST

START_TEST(what_is_refused)
{
	struct scsi_lu_conf conf = rig_conf(1);
	uint8_t out[4096] = {0};
	struct rig_cmd *c;

	/* More blocks than announced. */
	c = rig_do(s.a, 1, "89 00 00 00 00 00 00 00 00 05 00 00 00 81", GW_DIR_OUT, 4096, out);
	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	ck_assert_uint_eq(c->cmd.sense[15], 0xcf);
	ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), 13);
	rig_free(c);
	/* WRPROTECT; the end of the medium. */
	ck_assert_uint_eq(rig_try(s.a, 1, "89 20 00 00 00 00 00 00 00 05 00 00 00 01", GW_DIR_OUT,
				  1024, out),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_try(s.a, 1, "89 00 00 00 00 00 00 00 ff ff 00 00 00 02", GW_DIR_OUT,
				  2048, out),
			  SENSE_LBA_RANGE);
	/* Another amount of data, less or more, or none. */
	for (uint32_t edtl = 0; edtl <= 4096; edtl += 512) {
		if (edtl == 1024)
			continue;
		c = rig_do(s.a, 1, CAW_AT_5, GW_DIR_OUT, edtl, out);
		ck_assert_uint_eq(rig_result(c), SENSE_CIU_FIELD);
		ck_assert_uint_eq(c->cmd.moved, 1024);
		rig_free(c);
	}
	/* No blocks is no error, but with data for them it is. */
	ck_assert_uint_eq(rig_try(s.a, 1, "89 00 00 00 00 00 00 00 00 05 00 00 00 00", GW_DIR_OUT,
				  4096, out),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "89 00 00 00 00 00 00 00 00 05 00 00 00 00"), 0);
	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_try(s.a, 1, CAW_AT_5, GW_DIR_OUT, 1024, out), SENSE_WRITE_PROTECTED);
	ck_assert_uint_eq(rig.submitted[BE_READ] + rig.submitted[BE_WRITE], 0);
}
END_TEST

START_TEST(large_blocks_fit_the_work_memory)
{
	static uint8_t out[2 * 32 * 4096];
	struct scsi_lu_conf conf = rig_conf(1);
	struct rig_cmd *c;

	conf.block_size = 4096;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.b);
	c = rig_do(s.b, 1, "12 01 b0 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[5], 32);
	rig_free(c);
	out[sizeof(out) - 1] = 3;
	ck_assert_uint_eq(rig_try(s.b, 1, "89 00 00 00 00 00 00 00 00 01 00 00 00 20", GW_DIR_OUT,
				  sizeof(out), out),
			  0);
	ck_assert_uint_eq(rig_mem(s.disk)[33 * 4096 - 1], 3);
	ck_assert_uint_eq(rig_try(s.b, 1, "89 00 00 00 00 00 00 00 00 01 00 00 00 21", GW_DIR_OUT,
				  sizeof(out), out),
			  SENSE_CDB_FIELD);
}
END_TEST

START_TEST(fua_and_errors)
{
	uint8_t out[1024] = {0};
	const char *fua = "89 18 00 00 00 00 00 00 00 05 00 00 00 01";

	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 1024, out), 0);
	ck_assert_uint_eq(rig.last_flags, BE_FUA);
	rig.fail[BE_READ] = BE_EMEDIUM;
	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 1024, out), SENSE_READ_ERROR);
	rig.fail[BE_READ] = BE_OK;
	rig.fail[BE_WRITE] = BE_ENOSPC;
	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 1024, out), SENSE_NO_SPACE);
	rig.fail[BE_WRITE] = BE_OK;
	ck_assert_uint_eq(rig_try(s.b, 1, fua, GW_DIR_OUT, 1024, out), 0);
}
END_TEST

/* Both add one to what they have read; each round one of them is too late and tries again. */
START_TEST(two_cores_count)
{
	enum {
		EACH = 300
	};
	struct gw_nexus *n[2] = {s.a, s.b};
	unsigned done[2] = {0, 0}, late = 0;

	while (done[0] < EACH || done[1] < EACH) {
		uint64_t seen = number();
		struct rig_cmd *c[2] = {NULL, NULL};
		bool b_first = seen % 3 == 0;

		for (unsigned k = 0; k < 2; k++) {
			unsigned i = b_first ? 1 - k : k;

			if (done[i] < EACH)
				c[i] = swap(n[i], seen, seen + 1);
		}
		rig_run();
		for (unsigned i = 0; i < 2; i++) {
			if (!c[i])
				continue;
			ck_assert_uint_eq(c[i]->responses, 1);
			if (rig_result(c[i]) == 0)
				done[i]++;
			else
				late += rig_result(c[i]) == SENSE_MISCOMPARE;
			rig_free(c[i]);
		}
		ck_assert_uint_eq(number(), seen + 1);
	}
	ck_assert_uint_eq(number(), 2 * EACH);
	ck_assert_uint_gt(late, 0);
	ck_assert_uint_eq(done[0] + done[1], 2 * EACH);
}
END_TEST

START_TEST(one_at_a_time)
{
	struct rig_cmd *c[20];

	rig.hold = true;
	for (unsigned i = 0; i < 20; i++)
		c[i] = swap(i & 1 ? s.b : s.a, i, i + 1);
	rig_run();
	for (unsigned i = 0; i < 20; i++) {
		/* Only the oldest is in the backend: it reads, then it writes. */
		ck_assert_uint_eq(rig.submitted[BE_READ], i + 1);
		ck_assert_uint_eq(rig.submitted[BE_WRITE], i);
		rig_io_one();
		rig_run();
		ck_assert_uint_eq(rig.submitted[BE_WRITE], i + 1);
		rig_io_one();
		rig_run();
	}
	rig.hold = false;
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		rig_free(c[i]);
	}
}
END_TEST

START_TEST(aborted_ones_do_not_write)
{
	struct rig_cmd *first, *second, *third;
	struct rig_tmf t[2];

	rig.hold = true;
	first = swap(s.b, 0, 1);
	rig_run();
	second = swap(s.b, 0, 2);
	third = swap(s.a, 0, 3);
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_READ], 1);
	/* One that reads, and one that waits for it. */
	rig_tmf(&t[0], s.b, 1, GW_TMF_ABORT_TASK, &first->cmd);
	rig_tmf(&t[1], s.b, 1, GW_TMF_ABORT_TASK, &second->cmd);
	rig_run();
	ck_assert_uint_eq(t[0].done + t[1].done, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t[0].done + t[1].done, 2);
	ck_assert_uint_eq(first->cmd.aborted & second->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(first->responses + second->responses + third->responses, 3);
	ck_assert_uint_eq(rig_result(third), 0);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	ck_assert_uint_eq(number(), 3);
	rig_free(first);
	rig_free(second);
	rig_free(third);
}
END_TEST

/* Work memory is used up by VERIFY of the home core: it is waited for, and an abort is seen then. */
START_TEST(waits_for_memory)
{
	struct rig_cmd *v[8], *kept, *gone;
	struct rig_tmf t;

	scsi_lu_dev(s.disk)->volatile_cache = false;
	rig.hold = true;
	for (unsigned i = 0; i < 8; i++) {
		v[i] = rig_start(rig.core[0].id == s.disk->home->id ? s.a : s.b, 1,
				 "2f 00 00 00 00 00 00 00 01", GW_DIR_NONE, 0);
		rig_exec(v[i], NULL, 0);
	}
	gone = swap(s.b, 0, 1);
	kept = swap(s.a, 0, 2);
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_READ], 8);
	rig_tmf(&t, gone->cmd.nexus, 1, GW_TMF_ABORT_TASK, &gone->cmd);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(gone->responses + kept->responses, 2);
	ck_assert_uint_eq(rig_result(kept), 0);
	ck_assert_uint_eq(number(), 2);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_uint_eq(v[i]->responses, 1);
		rig_free(v[i]);
	}
	rig_free(gone);
	rig_free(kept);
}
END_TEST

START_TEST(nexus_closes_under_it)
{
	struct rig_cmd *c[3];

	rig.hold = true;
	for (unsigned i = 0; i < 3; i++)
		c[i] = swap(s.b, 0, 1 + i);
	rig_run();
	rig.hold = false;
	rig_nexus_close(s.b);
	s.b = NULL;
	ck_assert_uint_eq(number(), 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert_uint_eq(c[i]->cmd.aborted, GW_ABORT_QUIET);
		rig_free(c[i]);
	}
}
END_TEST

/* The device goes while one is in the backend, one waits, and one has not arrived at home. */
START_TEST(device_goes_under_it)
{
	struct rig_cmd *c[3];

	rig.hold = true;
	c[0] = swap(s.b, 0, 1);
	c[1] = swap(s.a, 1, 2);
	rig_run();
	c[2] = swap(s.b, 2, 3);
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

START_TEST(unit_goes_under_it)
{
	struct gw_target none = s.rt.t;
	struct rig_cmd *c[4];

	rig.hold = true;
	for (unsigned i = 0; i < 4; i++)
		c[i] = swap(i & 1 ? s.a : s.b, 0, 1);
	rig_run();
	none.nlun = 1;
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &none), 0);
		rig.self = NULL;
	}
	rig.hold = false;
	scsi_lu_free(s.disk);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert_uint_eq(c[i]->cmd.aborted, GW_ABORT_TAS);
		rig_free(c[i]);
	}
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	rig_nexus_close(s.a);
	rig_nexus_close(s.b);
	s.a = s.b = NULL;
	s.rt.lun[1] = s.rt.lun[2];
	s.rt.t.nlun = 2;
}
END_TEST

RIG_SUITE("scsi/compare_write", setup, teardown, compares_then_writes, miscompare_says_where,
	  what_is_refused, large_blocks_fit_the_work_memory, fua_and_errors, two_cores_count,
	  one_at_a_time, aborted_ones_do_not_write, waits_for_memory, nexus_closes_under_it,
	  device_goes_under_it, unit_goes_under_it)
