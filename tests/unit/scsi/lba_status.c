/* SPDX-License-Identifier: BSD-3-Clause */
/* GET LBA STATUS: descriptors that follow each other, whatever the buffer and the blocks. */
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

static struct rig_cmd *
ask(uint64_t lba, uint32_t len)
{
	char cdb[64];

	snprintf(cdb, sizeof(cdb), "9e 12 %016llx %08x 00 00", (unsigned long long)lba, len);
	return rig_do(s.b, 1, cdb, GW_DIR_IN, 65535, NULL);
}

static void
expect(uint64_t lba, uint32_t len, const char *hex)
{
	struct rig_cmd *c = ask(lba, len);
	uint8_t want[8192];
	unsigned n = rig_unhex(hex, want);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, n);
	if (n)
		ck_assert_mem_eq(c->buf, want, n);
	rig_free(c);
}

static void
fill(uint64_t block, uint64_t n)
{
	memset(rig_mem(s.disk) + block * 512, 1, n * 512);
}

START_TEST(mapped_or_not)
{
	expect(0, 24, "00000014 00000000  0000000000000000 00010000 01 000000");
	fill(8, 16);
	expect(0, 65535,
	       "00000034 00000000  0000000000000000 00000008 01 000000"
	       "0000000000000008 00000010 00 000000  0000000000000018 0000ffe8 01 000000");
	/* From the middle of one. */
	expect(9, 24, "00000014 00000000  0000000000000009 0000000f 00 000000");
	expect(0xffff, 100, "00000014 00000000  000000000000ffff 00000001 01 000000");
	/* What was unmapped is no longer there. */
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 18", GW_DIR_OUT, 24,
				  "\x00\x16\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
				  "\x00\x00\x00\x08\x00\x00\x00"),
			  0);
	expect(8, 40,
	       "00000024 00000000  0000000000000008 00000008 00 000000"
	       "0000000000000010 0000fff0 01 000000");
}
END_TEST

START_TEST(buffers_of_any_size)
{
	fill(8, 8);
	expect(0, 0, "");
	expect(0, 3, "000000");
	expect(0, 8, "00000014 00000000");
	expect(0, 20, "00000014 00000000  0000000000000000 00000008");
	expect(0, 25, "00000024 00000000  0000000000000000 00000008 01 000000 00");
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
}
END_TEST

/* A checkerboard: no more than fit, and no gap between one answer and the next. */
START_TEST(many_descriptors)
{
	struct rig_cmd *c;

	for (unsigned i = 0; i < 4096; i++)
		fill(i * 16, 8);
	c = ask(0, 65535);
	ck_assert_uint_eq(c->cmd.in_len, 8 + 256 * 16);
	ck_assert_uint_eq(gw_be32(c->buf), 4 + 256 * 16);
	for (unsigned i = 0; i < 256; i++) {
		const uint8_t *d = c->buf + 8 + i * 16;

		ck_assert_uint_eq(gw_be64(d), i * 8);
		ck_assert_uint_eq(gw_be32(d + 8), 8);
		ck_assert_uint_eq(d[12], i & 1);
	}
	rig_free(c);
	ck_assert_uint_le(rig.submitted[BE_EXTENT], 257);
}
END_TEST

START_TEST(where_all_is_mapped)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct be_dev *dev;

	conf.thin = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.b);
	expect(5, 65535, "00000014 00000000  0000000000000005 0000fffb 00 000000");
	/* Thin, but nobody knows; and more than one descriptor can name. */
	conf.thin = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	dev = rig_dev_new(0x280000000ull * 512, false);
	dev->extents = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, dev), 0);
	rig_calm(s.b);
	expect(0, 40,
	       "00000024 00000000  0000000000000000 ffffffff 00 000000"
	       "00000000ffffffff ffffffff 00 000000");
	expect(0x1ffffffff, 40, "00000014 00000000  00000001ffffffff 80000001 00 000000");
	ck_assert_uint_eq(rig.submitted[BE_EXTENT], 0);
}
END_TEST

START_TEST(refused)
{
	struct rig_cmd *c =
	    rig_start(s.b, 1, "9e 12 00 00 00 00 00 00 00 00 00 00 00 18 01 00", GW_DIR_IN, 24);

	/* REPORT TYPE */
	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), 14);
	rig_free(c);
	c = ask(RIG_BLOCKS, 24);
	ck_assert_uint_eq(rig_result(c), SENSE_LBA_RANGE);
	rig_free(c);
	c = ask(UINT64_MAX, 24);
	ck_assert_uint_eq(rig_result(c), SENSE_LBA_RANGE);
	rig_free(c);
	rig.fail[BE_EXTENT] = BE_EMEDIUM;
	c = ask(0, 24);
	ck_assert_uint_eq(rig_result(c), SENSE_READ_ERROR);
	rig_free(c);
}
END_TEST

START_TEST(aborted_or_shrunk_meanwhile)
{
	struct rig_cmd *c;
	struct rig_tmf t;

	rig.hold = true;
	fill(8, 8);
	c = rig_start(s.b, 1, "9e 12 00 00 00 00 00 00 00 00 00 00 10 00 00 00", GW_DIR_IN, 4096);
	rig_exec(c, NULL, 0);
	rig_run();
	rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(c->responses + t.done, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(rig.submitted[BE_EXTENT], 1);
	rig_free(c);
	/* The medium shrinks before it is executed. */
	c = rig_start(s.b, 1, "9e 12 00 00 00 00 00 00 ff 00 00 00 10 00 00 00", GW_DIR_IN, 4096);
	ck_assert(!c->refused);
	scsi_lu_resize(s.disk, 0xff00 * 512);
	rig_exec(c, NULL, 0);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_LBA_RANGE);
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/lba_status", setup, teardown, mapped_or_not, buffers_of_any_size, many_descriptors,
	  where_all_is_mapped, refused, aborted_or_shrunk_meanwhile)
