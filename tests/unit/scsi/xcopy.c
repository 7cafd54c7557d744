/* SPDX-License-Identifier: BSD-3-Clause */
/* EXTENDED COPY(LID1): two LUs, two cores, and what happens meanwhile. */
#include "tests/unit/scsi/xcopy_bench.h"

static uint8_t *
at(struct scsi_lu *lu, uint64_t lba)
{
	return rig_mem(lu) + lba * 512;
}

static void
fill(struct scsi_lu *lu)
{
	uint32_t x = 1;

	for (uint64_t i = 0; i < RIG_BLOCKS * 128; i++) {
		x = x * 1664525 + 1013904223;
		memcpy(rig_mem(lu) + i * 4, &x, 4);
	}
}

static void
expect_idle(void)
{
	for (unsigned i = 0; i < RIG_CORES; i++) {
		struct scsi_copy_core *cc = scsi_core_of(&rig.core[i])->copy;

		ck_assert(gw_list_empty(&cc->active) && gw_list_empty(&cc->waits));
		if (s.disk)
			ck_assert_uint_eq(s.disk->core[i].inflight, 0);
		if (s.cd)
			ck_assert_uint_eq(s.cd->core[i].inflight, 0);
	}
}

/* Copying. */

START_TEST(between_two_units)
{
	struct scsi_lu_stats st;

	fill(s.disk);
	/* More than a piece, and not a multiple of one; by either LU, on either core. */
	list_simple(0, 1, 5000, 100, 200);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_mem_eq(at(s.cd, 200), at(s.disk, 100), 5000 * 512);
	ck_assert_uint_eq(at(s.cd, 200)[-1], 0);
	ck_assert_uint_eq(at(s.cd, 5200)[0], 0);
	ck_assert_uint_eq(rig.largest, COPY_PIECE);
	ck_assert_uint_eq(rig.submitted[BE_READ], 5);
	scsi_lu_stats(s.cd, &st);
	ck_assert_uint_eq(st.wr_bytes, 5000 * 512);
	list_simple(0, 1, 1, 0, 65535);
	ck_assert_uint_eq(copy(s.b, 2), 0);
	ck_assert_mem_eq(at(s.cd, 65535), at(s.disk, 0), 512);
	expect_idle();
}
END_TEST

START_TEST(many_segments)
{
	fill(s.disk);
	list_begin(0, LIST_ID_NONE);
	list_cscd_naa(2);
	list_cscd_naa(1);
	for (unsigned i = 0; i < XCOPY_SEGS; i++)
		list_segment(1, 0, (uint16_t)(i % 3 ? i : 0), i * 100, 60000 - i * 100);
	ck_assert_uint_eq(copy(s.b, 1), 0);
	for (unsigned i = 0; i < XCOPY_SEGS; i++)
		if (i % 3)
			ck_assert_mem_eq(at(s.cd, 60000 - i * 100), at(s.disk, i * 100), i * 512);
	/* The LU that got the command, without a descriptor. */
	list_begin(0, LIST_ID_NONE);
	list_segment(0xffff, 0xffff, 3, 10, 20);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_mem_eq(at(s.disk, 20), at(s.disk, 10), 3 * 512);
	expect_idle();
}
END_TEST

START_TEST(overlap)
{
	static const struct {
		unsigned n, from, to;
	} cases[] = {{5000, 1000, 1001}, {5000, 1001, 1000}, {5000, 1000, 2024},
		     {5000, 2024, 1000}, {5000, 1000, 1000}, {5000, 1000, 5999},
		     {5000, 5999, 1000}, {5000, 1000, 6000}};
	uint8_t *was = malloc(5000 * 512);

	for (unsigned i = 0; i < GW_ARRAY_LEN(cases); i++) {
		fill(s.disk);
		memcpy(was, at(s.disk, cases[i].from), 5000 * 512);
		list_simple(0, 0, 5000, cases[i].from, cases[i].to);
		ck_assert_uint_eq(copy(s.a, 1), 0);
		ck_assert_mem_eq(at(s.disk, cases[i].to), was, 5000 * 512);
	}
	free(was);
}
END_TEST

START_TEST(bytes)
{
	uint8_t *d;

	fill(s.disk);
	list_begin(7, LIST_ID_DISCARD);
	list_cscd_naa(1);
	list_cscd_naa(2);
	d = list_segment(0, 1, 0, 5, 6);
	d[0] = XCOPY_B2B_OFF;
	gw_put_be16(d + 2, 28);
	gw_put_be32(d + 8, 1024);
	list.len += 4;
	list.b[11] += 4;
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_mem_eq(at(s.cd, 6), at(s.disk, 5), 1024);
	gw_put_be32(d + 8, 1023);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_COPY(COPY_GRANULARITY));
	gw_put_be32(d + 8, XCOPY_SEG_MAX + 512);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_COPY(COPY_GRANULARITY));
	gw_put_be32(d + 8, 512);
	d[31] = 1;
	ck_assert_uint_eq(copy(s.a, 1), SENSE_COPY(COPY_GRANULARITY));
	expect_idle();
}
END_TEST

START_TEST(other_block_sizes)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.cd);
	uint8_t *d;

	conf.block_size = 4096;
	ck_assert_int_eq(scsi_lu_update(s.cd, &conf), 0);
	rig_calm(s.a);
	fill(s.disk);
	list_begin(7, LIST_ID_HOLD);
	list_cscd_naa(1);
	gw_put_be32(list_cscd_naa(2) + 28, 4096);
	d = list_segment(0, 1, 16, 8, 1);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_mem_eq(at(s.cd, 8), at(s.disk, 8), 16 * 512);
	/* DC: the count is of the destination's blocks. */
	d[1] = 2;
	d[11] = 2;
	gw_put_be64(d + 20, 10);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_mem_eq(at(s.cd, 80), at(s.disk, 8), 16 * 512);
	ck_assert_uint_eq(at(s.cd, 96)[0], 0);
	/* A piece of a block. */
	d[1] = 0;
	d[11] = 15;
	ck_assert_uint_eq(copy(s.a, 1), SENSE_COPY(COPY_INEXACT));
	/* A CSCD descriptor with another block size than the LU's. */
	list_simple(0, 1, 8, 0, 0);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_FIELD);
	expect_idle();
}
END_TEST

/* What is refused. */

static void
expect_segment(uint16_t ascq, unsigned seg, unsigned byte)
{
	struct rig_cmd *c = start(s.a, 1);

	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_COPY(ascq));
	ck_assert_uint_eq(c->cmd.sense_len, 18);
	ck_assert_uint_eq(gw_be32(c->cmd.sense + 8), seg);
	ck_assert_uint_eq(c->cmd.sense[15], 0xa0);
	ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), byte);
	rig_free(c);
	expect_idle();
}

START_TEST(whom_it_may_not_name)
{
	uint8_t *d;

	list_simple(0, 2, 1, 0, 0);
	expect_segment(COPY_UNREACHABLE_ID, 0, 6);
	list_simple(0xc000, 1, 1, 0, 0);
	expect_segment(COPY_UNREACHABLE_ID, 0, 4);
	/* No LU of that name; after a segment that is right. */
	list_begin(7, LIST_ID_HOLD);
	list_cscd_naa(1);
	list_cscd_naa(9);
	list_segment(0, 0, 1, 0, 1);
	list_segment(0, 1, 1, 0, 0);
	expect_segment(COPY_NOT_REACHABLE, 1, 6);
	/* A name of another kind, a null device, another device type. */
	for (unsigned i = 0; i < 5; i++) {
		static const uint8_t byte[] = {1, 4, 5, 7, 1}, value[] = {0x20, 2, 1, 8, 0x01};

		list_begin(7, LIST_ID_HOLD);
		d = list_cscd_naa(1);
		list_segment(0, 0, 1, 0, 1);
		d[byte[i]] = value[i];
		expect_segment(i == 4 ? COPY_WRONG_TYPE : COPY_NOT_REACHABLE, 0, 4);
	}
	/* The controller is no disk. */
	struct scsi_lu_conf conf = *scsi_lu_conf(s.rt.lun[0].lu);

	conf.naa[15] = 3;
	ck_assert_int_eq(scsi_lu_update(s.rt.lun[0].lu, &conf), 0);
	rig_calm(s.a);
	list_begin(7, LIST_ID_HOLD);
	list_cscd_naa(3);
	list_segment(0, 0, 1, 0, 1);
	expect_segment(COPY_NOT_REACHABLE, 0, 4);
	/* Two of one name. */
	conf = *scsi_lu_conf(s.cd);
	conf.naa[15] = 1;
	ck_assert_int_eq(scsi_lu_update(s.cd, &conf), 0);
	rig_calm(s.a);
	list_simple(0, 0, 1, 0, 1);
	expect_segment(COPY_NOT_REACHABLE, 0, 4);
}
END_TEST

/* An LU of another target, which the session does not see. */
START_TEST(other_targets_are_out_of_reach)
{
	struct gw_target t = s.rt.t;
	struct gw_nexus *n;

	t.nlun = 2;
	n = rig_nexus(0, &t);
	rig_calm(n);
	fill(s.cd);
	list_simple(1, 0, 8, 0, 0);
	ck_assert_uint_eq(copy(n, 1), SENSE_COPY(COPY_NOT_REACHABLE));
	list_simple(0, 1, 8, 0, 0);
	ck_assert_uint_eq(copy(n, 1), SENSE_COPY(COPY_NOT_REACHABLE));
	ck_assert_uint_eq(rig.submitted[BE_READ] + rig.submitted[BE_WRITE], 0);
	rig_nexus_close(n);
}
END_TEST

START_TEST(ranges)
{
	static const uint64_t bad[] = {65530,      65536,      1ull << 32,
				       1ull << 55, 1ull << 63, UINT64_MAX};

	for (unsigned i = 0; i < GW_ARRAY_LEN(bad); i++) {
		list_simple(0, 1, 8, bad[i], 0);
		expect_segment(COPY_NO_MORE, 0, 12);
		list_simple(0, 1, 8, 0, bad[i]);
		expect_segment(COPY_NO_MORE, 0, 20);
	}
	list_simple(0, 1, 0, 65536, 65536);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_uint_eq(rig.submitted[BE_READ] + rig.submitted[BE_WRITE], 0);
}
END_TEST

/* Every length of the list, and of the CDB, that is too short. */
START_TEST(truncated)
{
	unsigned full;

	list_simple(0, 1, 1, 0, 0);
	full = list.len;
	for (unsigned n = 1; n < full; n++) {
		ck_assert_uint_eq(end(start_len(s.a, 1, n, n)), SENSE_PARAM_LENGTH);
		ck_assert_uint_eq(end(start_len(s.a, 1, full, n)), SENSE_PARAM_LENGTH);
	}
	ck_assert_uint_eq(end(start_len(s.a, 1, 0, 0)), 0);
	ck_assert_uint_eq(end(start_len(s.a, 1, full, 0)), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(end(start_len(s.a, 1, 1u << 20, full)), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(end(start_len(s.a, 1, UINT32_MAX, full)), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig.submitted[BE_READ], 0);
	/* More than the list is not an error. */
	ck_assert_uint_eq(end(start_len(s.a, 1, full + 5, full + 5)), 0);
}
END_TEST

START_TEST(hostile_lists)
{
	uint8_t *d;

	/* Lengths that add up beyond what fits anywhere. */
	list_simple(0, 1, 1, 0, 0);
	gw_put_be32(list.b + 8, UINT32_MAX);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_LENGTH);
	list_simple(0, 1, 1, 0, 0);
	gw_put_be32(list.b + 12, UINT32_MAX);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_INLINE_EXCEEDED);
	/* Parts of descriptors. */
	for (unsigned n = 33; n < 64; n++) {
		list_simple(0, 1, 1, 0, 0);
		gw_put_be16(list.b + 2, (uint16_t)n);
		ck_assert_uint_ne(copy(s.a, 1), 0);
	}
	for (unsigned n = 1; n < 28; n++) {
		list_simple(0, 1, 1, 0, 0);
		gw_put_be32(list.b + 8, n);
		ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_FIELD);
	}
	/* Types, and a wrong length. */
	for (unsigned type = 0; type < 256; type++) {
		list_simple(0, 1, 1, 0, 0);
		list.b[16] = (uint8_t)type;
		if (type != XCOPY_IDENT)
			ck_assert_uint_eq(copy(s.a, 1), SENSE_CSCD_TYPE);
		list_simple(0, 1, 1, 0, 0);
		list.b[80] = (uint8_t)type;
		if (type != XCOPY_B2B && type != XCOPY_B2B_OFF)
			ck_assert_uint_eq(copy(s.a, 1), SENSE_SEGMENT_TYPE);
	}
	list_simple(0, 1, 1, 0, 0);
	list.b[83] = 23;
	ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_FIELD);
	/* FCO. */
	list_simple(0, 1, 1, 0, 0);
	list.b[81] = 0x04;
	ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_FIELD);
	/* Too many. */
	list_begin(0, LIST_ID_NONE);
	for (unsigned i = 0; i <= XCOPY_CSCDS; i++)
		list_cscd_naa(1);
	list_segment(0, 0, 1, 0, 1);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_MANY_CSCDS);
	list_begin(0, LIST_ID_NONE);
	d = list_cscd_naa(1);
	ck_assert_uint_eq(d[0], XCOPY_IDENT);
	for (unsigned i = 0; i <= XCOPY_SEGS; i++)
		list_segment(0, 0, 1, 0, 1);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_MANY_SEGMENTS);
	/* List identifiers. */
	list_simple(0, 1, 1, 0, 0);
	list.b[1] = LIST_ID_RESERVED << 3;
	ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_FIELD);
	list.b[1] = LIST_ID_NONE << 3;
	ck_assert_uint_eq(copy(s.a, 1), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	expect_idle();
}
END_TEST

/* Errors. */

/* The sense data of the LU that failed, as it was forwarded in fixed format. */
static void
expect_forwarded(struct rig_cmd *c, bool dst, uint8_t status, uint32_t sense)
{
	const uint8_t *b = c->cmd.sense;

	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_COPY(COPY_DEVICE_FAILURE));
	ck_assert_uint_eq(b[8], dst ? 0 : 18);
	ck_assert_uint_eq(b[9], dst ? 18 : 0);
	ck_assert_uint_eq(b[7] + 8, c->cmd.sense_len);
	ck_assert_uint_eq(b[18], status);
	if (sense)
		ck_assert_uint_eq(SENSE(b[21] & 0xf, gw_be16(b + 31)), sense);
	else
		ck_assert_uint_eq(c->cmd.sense_len, 19);
	rig_free(c);
	expect_idle();
}

START_TEST(errors_of_either_end)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.cd);
	struct rig_cmd *c;

	list_simple(0, 1, 3000, 0, 0);
	rig.fail[BE_READ] = BE_EMEDIUM;
	expect_forwarded(start(s.a, 1), false, SAM_CHECK_CONDITION, SENSE_READ_ERROR);
	rig.fail[BE_READ] = BE_OK;
	rig.fail[BE_WRITE] = BE_ENOSPC;
	expect_forwarded(start(s.a, 1), true, SAM_CHECK_CONDITION, SENSE_NO_SPACE);
	/* Later: what the initiator is told counts. */
	rig.fail[BE_WRITE] = BE_OK;
	rig.hold = true;
	c = start(s.a, 1);
	rig_io_one();
	rig_io_one();
	rig.fail[BE_READ] = BE_EBUSY;
	rig.hold = false;
	expect_forwarded(c, false, SAM_BUSY, 0);
	c = rig_do(s.a, 1, "84 00 07 00 00 00 00 00 00 00 00 00 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[4], 2);
	ck_assert_uint_eq(gw_be16(c->buf + 5), 0);
	ck_assert_uint_eq(gw_be32(c->buf + 8), COPY_PIECE);
	rig_free(c);
	/* Nothing has happened yet: again is enough. */
	ck_assert_uint_eq(copy(s.a, 1), SAM_BUSY);
	rig.fail[BE_READ] = BE_OK;
	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.cd, &conf), 0);
	rig_calm(s.a);
	expect_forwarded(start(s.a, 1), true, SAM_CHECK_CONDITION, SENSE_WRITE_PROTECTED);
	conf.readonly = false;
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.cd, &conf), 0);
	rig_calm(s.a);
	expect_forwarded(start(s.a, 1), true, SAM_CHECK_CONDITION, SENSE_NO_MEDIUM);
	/* As a source it is not read either. */
	list_simple(1, 0, 8, 0, 0);
	expect_forwarded(start(s.a, 1), false, SAM_CHECK_CONDITION, SENSE_NO_MEDIUM);
}
END_TEST

START_TEST(descriptor_sense)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.disk);
	struct rig_cmd *c;

	conf.descriptor_sense = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	list_simple(0, 1, 8, 3, 0);
	rig.fail[BE_READ] = BE_EMEDIUM;
	c = start(s.a, 1);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_COPY(COPY_DEVICE_FAILURE));
	ck_assert_uint_eq(c->cmd.sense[8], 1);
	ck_assert_uint_eq(c->cmd.sense[20], 0x0c);
	ck_assert_uint_eq(c->cmd.sense[22], 1);
	ck_assert_uint_eq(c->cmd.sense[23], SAM_CHECK_CONDITION);
	ck_assert_uint_eq(c->cmd.sense[24], 0x72);
	ck_assert_uint_eq(gw_be64(c->cmd.sense + 24 + 12), 3);
	ck_assert_uint_eq(c->cmd.sense_len, 8 + c->cmd.sense[7]);
	rig_free(c);
	list_simple(0, 1, 8, 65535, 0);
	c = start(s.a, 1);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_COPY(COPY_NO_MORE));
	ck_assert_uint_eq(c->cmd.sense[8], 2);
	ck_assert_uint_eq(c->cmd.sense[12], 0xa0);
	ck_assert_uint_eq(c->cmd.sense[16], 1);
	rig_free(c);
}
END_TEST

START_TEST(reservations_of_others)
{
	fill(s.disk);
	ck_assert_uint_eq(rig_none(s.b, 2, "16 00"), 0);
	list_simple(0, 1, 8, 0, 0);
	expect_forwarded(start(s.a, 1), true, SAM_RESERVATION_CONFLICT, 0);
	list_simple(1, 0, 8, 0, 0);
	expect_forwarded(start(s.a, 1), false, SAM_RESERVATION_CONFLICT, 0);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	list_simple(0, 1, 8, 0, 0);
	ck_assert_uint_eq(copy(s.b, 1), 0);
	/* It comes while the copy is under way. */
	ck_assert_uint_eq(rig_none(s.b, 2, "17 00"), 0);
	list_simple(0, 1, 3000, 0, 0);
	rig.hold = true;
	struct rig_cmd *c = start(s.a, 1), *r = rig_start(s.b, 2, "16 00", GW_DIR_NONE, 0);

	rig_exec(r, NULL, 0);
	rig_run();
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(rig_result(r), 0);
	rig_free(r);
	expect_forwarded(c, true, SAM_RESERVATION_CONFLICT, 0);
}
END_TEST

START_TEST(without_cache)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.cd);

	list_simple(0, 1, 8, 0, 0);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_uint_eq(rig.last_flags, 0);
	conf.write_cache = false;
	ck_assert_int_eq(scsi_lu_update(s.cd, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_uint_eq(rig.last_flags, BE_FUA);
	list_simple(1, 0, 8, 0, 0);
	ck_assert_uint_eq(copy(s.a, 1), 0);
	ck_assert_uint_eq(rig.last_flags, 0);
}
END_TEST

/* Meanwhile. */

static void
release(struct gw_timer *t)
{
	rig.hold = false;
}

/* The backend goes on only when all cores have heard of what the control thread does now. */
static void
release_later(void)
{
	static struct gw_timer t;

	gw_timer_init(&t, release);
	rig.self = &rig.core[0];
	gw_timer_start(rig.self, &t, 1);
	rig.self = NULL;
}

START_TEST(aborted)
{
	struct rig_cmd *c;
	struct rig_tmf t;

	fill(s.disk);
	list_simple(0, 1, 3000, 0, 0);
	for (unsigned ios = 0; ios < 4; ios++) {
		memset(at(s.cd, 0), 0, 3000 * 512);
		rig.hold = true;
		c = start(s.b, 1);
		rig_run();
		for (unsigned i = 0; i < ios; i++)
			rig_io_one();
		rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
		rig_run();
		ck_assert_uint_eq(t.done, 0);
		/* What is in the backend comes back; nothing follows. */
		rig_io_one();
		ck_assert_uint_eq(c->responses, 1);
		rig_run();
		ck_assert_uint_eq(t.done, 1);
		ck_assert(gw_list_empty(&rig.pending));
		ck_assert_uint_eq(c->cmd.aborted, GW_ABORT_QUIET);
		ck_assert_uint_eq(at(s.cd, 2048)[0], 0);
		rig_free(c);
		rig.hold = false;
		expect_idle();
	}
}
END_TEST

static void
expect_reset(unsigned ios)
{
	struct rig_tmf t;
	struct rig_cmd *c;

	list_simple(0, 1, 3000, 0, 0);
	rig.hold = true;
	c = start(s.a, 1);
	rig_run();
	for (unsigned i = 0; i < ios; i++)
		rig_io_one();
	/* Of the destination, by the other session: a piece that is read is none that is written.
	 */
	rig_tmf(&t, s.b, 2, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, ios % 2 == 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	/* The copy is not this LU's to abort. */
	ck_assert_uint_eq(c->responses, 0);
	rig.hold = false;
	ck_assert_uint_eq(end(c), 0);
	ck_assert_mem_eq(at(s.cd, 0), at(s.disk, 0), 3000 * 512);
	expect_idle();
}

/* A reset is done when nothing that was being written before can reach the medium any more. */
START_TEST(destination_is_reset)
{
	fill(s.disk);
	for (unsigned ios = 0; ios < 4; ios++)
		expect_reset(ios);
}
END_TEST

/* Pieces that begin after a reset are not its business, nor is a reset of the source. */
START_TEST(resets_in_a_row)
{
	struct rig_tmf t[3];
	struct rig_cmd *c, *d;

	fill(s.disk);
	list_simple(0, 1, 3000, 0, 0);
	rig.hold = true;
	c = start(s.a, 1);
	d = start(s.a, 2);
	rig_run();
	rig_io_one();
	rig_io_one();
	rig_tmf(&t[0], s.b, 2, GW_TMF_LU_RESET, NULL);
	rig_run();
	/* The one that was sent to it is aborted; both write. */
	rig_tmf(&t[1], s.b, 2, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t[0].done | t[1].done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t[0].done | t[1].done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t[0].done & t[1].done, 1);
	ck_assert_uint_eq(d->responses, 1);
	ck_assert_uint_eq(d->cmd.aborted, GW_ABORT_QUIET);
	rig_io_one();
	/* It writes again; this one waits for it. */
	rig_tmf(&t[2], s.b, 2, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t[2].done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t[2].done, 1);
	rig.hold = false;
	ck_assert_uint_eq(end(c), 0);
	rig_free(d);
	expect_idle();
}
END_TEST

START_TEST(nexus_closes_under_it)
{
	struct rig_cmd *c[COPY_BUFS + 3];

	list_begin(0, LIST_ID_NONE);
	list_cscd_naa(1);
	list_cscd_naa(2);
	list_segment(0, 1, 3000, 0, 0);
	rig.hold = true;
	for (unsigned i = 0; i < GW_ARRAY_LEN(c); i++)
		c[i] = start(s.b, 1);
	rig_run();
	rig.hold = false;
	rig_nexus_close(s.b);
	s.b = NULL;
	for (unsigned i = 0; i < GW_ARRAY_LEN(c); i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert_uint_eq(c[i]->cmd.aborted, GW_ABORT_QUIET);
		rig_free(c[i]);
	}
	expect_idle();
}
END_TEST

/* Neither the device of the source nor that of the destination goes while it is used. */
START_TEST(device_goes_under_it)
{
	for (unsigned i = 1; i < 3; i++) {
		struct rig_cmd *c;

		list_simple(0, 1, 3000, 0, 0);
		rig.hold = true;
		c = start(s.b, i == 1 ? 2 : 1);
		rig_run();
		rig_io_one();
		rig_run();
		release_later();
		ck_assert_int_eq(scsi_lu_set_dev(s.rt.lun[i].lu, NULL), 0);
		expect_forwarded(c, i == 2, SAM_CHECK_CONDITION, SENSE_NO_MEDIUM);
		ck_assert_int_eq(
		    scsi_lu_set_dev(s.rt.lun[i].lu, rig_dev_new(RIG_BLOCKS * 512, true)), 0);
		rig_calm(s.b);
	}
	/* A device that makes way: BUSY, but not after half of the work. */
	struct rig_cmd *c;

	rig.hold = true;
	c = start(s.b, 1);
	rig_run();
	rig_io_one();
	rig_io_one();
	release_later();
	scsi_lu_swap_dev(s.cd);
	expect_forwarded(c, true, SAM_BUSY, 0);
	ck_assert_uint_eq(copy(s.b, 1), SAM_BUSY);
	ck_assert_int_eq(scsi_lu_set_dev(s.cd, rig_dev_new(RIG_BLOCKS * 512, true)), 0);
	ck_assert_uint_eq(copy(s.b, 1), 0);
}
END_TEST

/* The LU that is copied from, or to, is deleted; the command belongs to the other. */
START_TEST(unit_goes_under_it)
{
	struct gw_target none = s.rt.t;
	struct rig_cmd *c[3];

	list_begin(0, LIST_ID_NONE);
	list_cscd_naa(1);
	list_cscd_naa(2);
	list_segment(0, 1, 3000, 0, 0);
	rig.hold = true;
	for (unsigned i = 0; i < 3; i++)
		c[i] = start(i & 1 ? s.a : s.b, 1);
	rig_run();
	rig_io_one();
	none.nlun = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &none), 0);
		rig.self = NULL;
	}
	release_later();
	scsi_lu_free(s.cd);
	s.cd = NULL;
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert_uint_eq(rig_result(c[i]), SENSE_COPY(COPY_DEVICE_FAILURE));
		rig_free(c[i]);
	}
	expect_idle();
	rig_calm(s.a);
	ck_assert_uint_eq(copy(s.a, 1), SENSE_COPY(COPY_NOT_REACHABLE));
	rig_nexus_close(s.a);
	rig_nexus_close(s.b);
	s.a = s.b = NULL;
	s.rt.t.nlun = 2;
}
END_TEST

/* A sanitize operation of the destination waits for the copy, and the copy ends soon. */
START_TEST(sanitize_waits)
{
	struct rig_cmd *c, *z;

	fill(s.disk);
	list_simple(0, 1, 3000, 0, 0);
	rig.hold = true;
	c = start(s.a, 1);
	rig_run();
	rig_io_one();
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	z = rig_start(s.b, 2, "48 82", GW_DIR_NONE, 0);
	ck_assert(!z->refused);
	rig_exec(z, NULL, 0);
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_ZERO], 0);
	rig.hold = false;
	expect_forwarded(c, true, SAM_CHECK_CONDITION, SENSE_SANITIZING);
	for (unsigned i = 0; i < 5; i++)
		rig_tick();
	ck_assert_uint_gt(rig.submitted[BE_ZERO], 0);
	ck_assert_uint_eq(at(s.cd, 0)[0], 0);
	rig_free(z);
}
END_TEST

/* Many at once: each gets its turn, and all end; more than that are told to come again. */
START_TEST(many_at_once)
{
	struct rig_cmd *c[COPY_JOBS + 1];
	unsigned moved = 0;

	fill(s.disk);
	list_begin(0, LIST_ID_NONE);
	list_cscd_naa(1);
	list_cscd_naa(2);
	uint8_t *d = list_segment(0, 1, 1100, 0, 0);

	rig.hold = true;
	for (unsigned i = 0; i <= COPY_JOBS; i++) {
		gw_put_be64(d + 20, i * 1000);
		gw_put_be16(d + 10, i < COPY_BUFS ? 20000 : 1000);
		c[i] = start(s.a, 1);
	}
	ck_assert_uint_eq(rig_result(c[COPY_JOBS]), SAM_BUSY);
	ck_assert_uint_eq(c[COPY_JOBS]->responses, 1);
	ck_assert_uint_eq(rig.submitted[BE_READ], COPY_BUFS);
	/* Long ones come first, and do not keep the others waiting. */
	while (!c[COPY_JOBS - 1]->responses) {
		rig_io_one();
		rig_run();
		moved++;
	}
	for (unsigned i = 0; i < COPY_BUFS; i++)
		ck_assert_uint_eq(c[i]->responses, 0);
	ck_assert_uint_lt(moved, 4 * COPY_JOBS);
	rig.hold = false;
	rig_run();
	for (unsigned i = 0; i < COPY_JOBS; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert_uint_eq(rig_result(c[i]), 0);
		if (i >= 28)
			ck_assert_mem_eq(at(s.cd, i * 1000), at(s.disk, 0), 1000 * 512);
	}
	for (unsigned i = 0; i <= COPY_JOBS; i++)
		rig_free(c[i]);
	expect_idle();
}
END_TEST

RIG_SUITE("scsi/xcopy", setup, teardown, between_two_units, many_segments, overlap, bytes,
	  other_block_sizes, whom_it_may_not_name, other_targets_are_out_of_reach, ranges,
	  truncated, hostile_lists, errors_of_either_end, descriptor_sense, reservations_of_others,
	  without_cache, aborted, destination_is_reset, resets_in_a_row, nexus_closes_under_it,
	  device_goes_under_it, unit_goes_under_it, sanitize_waits, many_at_once)
