/* SPDX-License-Identifier: BSD-3-Clause */
/* What an LU says about itself, byte by byte: INQUIRY, VPD, capacity, LUNs. */
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
expect(struct gw_nexus *n, uint64_t lun, const char *cdb, const char *hex)
{
	struct rig_cmd *c = rig_do(n, lun, cdb, GW_DIR_IN, 65535, NULL);
	uint8_t want[1024];
	unsigned len = rig_unhex(hex, want);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, len);
	ck_assert_mem_eq(c->buf, want, len);
	rig_free(c);
}

#define ZEROES_16 "00000000 00000000 00000000 00000000 "

START_TEST(standard_inquiry)
{
	expect(s.a, 1, "12 00 00 00 ff",
	       "00 00 06 12 5b 38 10 02 4c49434847415445 5649525455414c2d4449534b20202020 30303031"
	       "0000000000000000000000000000000000000000 0000"
	       "00a0 0960 0460 04c0" ZEROES_16 "00000000 00000000 00000000 0000");
	expect(s.b, 2, "12 00 00 00 05", "00 80 06 12 5b");
	expect(s.a, 0, "12 00 00 00 05", "0c 00 06 12 5b");
	expect(s.a, 77, "12 00 00 00 05", "7f 00 06 12 5b");
	expect(s.a, GW_LUN_BAD, "12 00 00 00 05", "7f 00 06 12 5b");
	expect(s.a, GW_LUN_REPORT, "12 00 00 00 05", "1e 00 06 12 5b");
	ck_assert_uint_eq(rig_in(s.a, 1, "12 00 01 00 ff"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(s.a, 1, "12 01 b3 00 ff"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(s.a, 0, "12 01 b0 00 ff"), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(vpd_pages)
{
	expect(s.a, 1, "12 01 00 00 ff", "00 00 000a 00 80 83 86 87 88 8f b0 b1 b2");
	expect(s.a, 0, "12 01 00 00 ff", "0c 00 0006 00 80 83 86 87 88");
	expect(s.a, 9, "12 01 00 00 ff", "7f 00 0001 00");
	expect(s.a, 1, "12 01 80 00 ff", "00 80 0006 626561663131");
	expect(s.a, 1, "12 01 83 01 ff",
	       "00 83 0091"
	       "01 03 00 10 60111111111111111111111111111111"
	       "02 01 00 15 4c49434847415445 4c4943482030303031303030 31 "
	       "53 98 00 2c 69716e2e323032362d30312e6578616d706c652e6c696368676174653a7431 "
	       "2c742c307830303031 "
	       "00 00 00 00"
	       "51 94 00 04 00000001"
	       "51 95 00 04 00000001"
	       "53 a8 00 20 69716e2e323032362d30312e6578616d706c652e6c696368676174653a7431 00");
	expect(s.a, 1, "12 01 86 00 ff",
	       "00 86 003c 00 07 01 00 00 00 0000 00 20" ZEROES_16 ZEROES_16 "0000000000000000"
	       "0000000000000000 0000");
	expect(s.a, 1, "12 01 87 00 ff", "00 87 0004 3f ff 00 00");
	expect(s.a, 1, "12 01 88 00 ff",
	       "00 88 003c 0000 0001 0000 0000 0000 0030 53 98 00 2c"
	       "69716e2e323032362d30312e6578616d706c652e6c696368676174653a7431 2c742c307830303031"
	       "00 00 00 00");
	expect(
	    s.a, 1, "12 01 b0 00 ff",
	    "00 b0 003c 00 80 0008 00004000 00000800 00000000 ffffffff 00000100 00000008 80000000"
	    "000000000000ffff 00000080 00000000 00000000 00000000 00000000");
	expect(s.a, 1, "12 01 b1 00 08", "00 b1 003c 0000 0050");
	expect(s.a, 1, "12 01 b2 00 ff", "00 b2 0004 00 e4 02 00");
}
END_TEST

START_TEST(capacity)
{
	expect(s.a, 1, "25", "0000ffff 00000200");
	expect(s.a, 1, "9e 10 00 00 00 00 00 00 00 00 00 00 00 20",
	       "000000000000ffff 00000200 00 03 c000 " ZEROES_16);
}
END_TEST

START_TEST(luns)
{
	expect(s.a, 0, "a0 00 00 00 00 00 00 00 01 00",
	       "00000018 00000000 0000000000000000 0001000000000000 0002000000000000");
	expect(s.a, GW_LUN_REPORT, "a0 00 01 00 00 00 00 00 01 00",
	       "00000008 00000000 c101000000000000");
	expect(s.a, 5, "a0 00 02 00 00 00 00 00 01 00",
	       "00000020 00000000 0000000000000000 0001000000000000 0002000000000000 "
	       "c101000000000000");
	expect(s.a, 0, "a0 00 10 00 00 00 00 00 01 00", "00000000 00000000");
	ck_assert_uint_eq(rig_in(s.a, 0, "a0 00 03 00 00 00 00 00 01 00"), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(lun_codes)
{
	static const struct {
		const char *hex;
		uint64_t n;
	} codes[] = {
	    {"0000000000000000", 0},          {"00ff000000000000", 255},
	    {"4100000000000000", 256},        {"7fff000000000000", 16383},
	    {"4001000000000000", 1},          {"0100000000000000", GW_LUN_BAD},
	    {"8001000000000000", GW_LUN_BAD}, {"0001000100000000", GW_LUN_BAD},
	    {"0001000000000001", GW_LUN_BAD}, {"c101000000000000", GW_LUN_REPORT},
	    {"c102000000000000", GW_LUN_BAD}, {"ffffffffffffffff", GW_LUN_BAD},
	};
	uint8_t b[8];

	for (unsigned i = 0; i < GW_ARRAY_LEN(codes); i++) {
		rig_unhex(codes[i].hex, b);
		ck_assert_uint_eq(gw_lun_decode(b), codes[i].n);
	}
	for (uint64_t n = 0; n <= GW_LUN_MAX; n++) {
		gw_lun_encode(n, b);
		ck_assert_uint_eq(gw_lun_decode(b), n);
	}
}
END_TEST

START_TEST(luns_that_are_not_there)
{
	struct rig_cmd *c;

	ck_assert_uint_eq(rig_none(s.a, 9, "00"), SENSE_LUN_UNSUPPORTED);
	ck_assert_uint_eq(rig_in(s.a, 9, "28 00 00 00 00 00 00 00 01"), SENSE_LUN_UNSUPPORTED);
	ck_assert_uint_eq(rig_none(s.a, GW_LUN_BAD, "00"), SENSE_LUN_UNSUPPORTED);
	ck_assert_uint_eq(rig_none(s.a, 9, "c1"), SENSE_LUN_UNSUPPORTED);
	ck_assert_uint_eq(rig_none(s.a, GW_LUN_REPORT, "00"), 0);
	ck_assert_uint_eq(rig_in(s.a, GW_LUN_REPORT, "25"), SENSE_INVALID_OPCODE);
	c = rig_do(s.a, 9, "03 00 00 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->buf[0], 0x70);
	ck_assert_uint_eq(c->buf[2], 5);
	ck_assert_uint_eq(gw_be16(c->buf + 12), 0x2500);
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/identity", setup, teardown, standard_inquiry, vpd_pages, capacity, luns, lun_codes,
	  luns_that_are_not_there)
