/* SPDX-License-Identifier: BSD-3-Clause */
/* LOG SENSE: the pages there are, byte by byte, and what is refused. */
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

static void
expect(uint64_t lun, const char *cdb, const char *hex)
{
	struct rig_cmd *c = rig_do(s.b, lun, cdb, GW_DIR_IN, 65535, NULL);
	uint8_t want[256];
	unsigned len = rig_unhex(hex, want);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, len);
	if (len > 0)
		ck_assert_mem_eq(c->buf, want, len);
	rig_free(c);
}

/* The byte that the field pointer names. */
static unsigned
refused(const char *cdb)
{
	struct rig_cmd *c = rig_do(s.b, 1, cdb, GW_DIR_IN, 65535, NULL);
	unsigned at = gw_be16(c->cmd.sense + 16);

	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	rig_free(c);
	return at;
}

static struct be_dev *
dev(void)
{
	return scsi_lu_dev(s.rt.lun[1].lu);
}

START_TEST(temperature)
{
	struct rig_tmf t;
	struct rig_cmd *c;

	expect(1, "4d 00 4d 00 00 00 00 00 ff", "0d 00 000c 0000 03 02 00 ff 0001 03 02 00 ff");
	dev()->thermometer = true;
	rig.celsius = 41;
	expect(1, "4d 00 4d 00 00 00 00 00 ff", "0d 00 000c 0000 03 02 00 29 0001 03 02 00 ff");
	expect(1, "4d 00 4d 00 00 00 01 00 ff", "0d 00 0006 0001 03 02 00 ff");
	expect(1, "4d 00 6f 00 00 00 00 00 ff", "2f 00 0008 0000 03 04 00 00 29 00");
	ck_assert_uint_eq(rig.submitted[BE_TEMPERATURE], 3);
	ck_assert_uint_eq(refused("4d 00 4d 00 00 00 02 00 ff"), 5);
	/* An abort while the drive is asked. */
	rig.hold = true;
	c = rig_start(s.b, 1, "4d 00 4d 00 00 00 00 00 ff", GW_DIR_IN, 255);
	rig_exec(c, NULL, 0);
	rig_run();
	ck_assert_uint_eq(c->responses, 0);
	rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	rig_free(c);
}
END_TEST

START_TEST(pages)
{
	expect(1, "4d 00 40 00 00 00 00 00 ff", "00 00 0003 00 0d 2f");
	expect(1, "4d 00 40 ff 00 00 00 00 ff", "40 ff 0008 00 00 00 ff 0d 00 2f 00");
	expect(1, "4d 00 6f 00 00 00 00 00 ff", "2f 00 0008 0000 03 04 00 00 ff 00");
	/* A list is current, whatever values are asked for. */
	expect(1, "4d 00 2f 00 00 00 00 00 ff", "2f 00 0008 0000 03 04 00 00 ff 00");
	expect(0, "4d 00 6f 00 00 00 00 00 ff", "2f 00 0008 0000 03 04 00 00 ff 00");
}
END_TEST

START_TEST(cut)
{
	expect(1, "4d 00 6f 00 00 00 00 00 06", "2f 00 0008 0000");
	expect(1, "4d 00 6f 00 00 00 00 00 01", "2f");
	expect(1, "4d 00 6f 00 00 00 00 00 00", "");
}
END_TEST

START_TEST(what_is_not_there)
{
	ck_assert_uint_eq(refused("4d 01 6f 00 00 00 00 00 ff"), 1); /* SP */
	ck_assert_uint_eq(refused("4d 02 6f 00 00 00 00 00 ff"), 1); /* PPC */
	ck_assert_uint_eq(refused("4d 00 41 00 00 00 00 00 ff"), 2);
	ck_assert_uint_eq(refused("4d 00 7f ff 00 00 00 00 ff"), 2);
	ck_assert_uint_eq(refused("4d 00 6f 01 00 00 00 00 ff"), 3);
	ck_assert_uint_eq(refused("4d 00 6f 00 01 00 00 00 ff"), 4);
	ck_assert_uint_eq(refused("4d 00 6f 00 00 00 01 00 ff"), 5);
	ck_assert_uint_eq(refused("4d 00 40 00 00 01 00 00 ff"), 5);
}
END_TEST

RIG_SUITE("scsi/log", setup, teardown, temperature, pages, cut, what_is_not_there)
