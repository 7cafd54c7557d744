/* SPDX-License-Identifier: BSD-3-Clause */
/* How full the pool of a thin LU is: what tells it, and the threshold. */
#include "tests/unit/scsi/rig.h"

#define TUR   "00 00 00 00 00 00"
#define UA(x) SENSE(6, x)
#define MIB   (1ull << 20)
#define POOL  (1000 * MIB)

static struct bench s;

static void
fill_pool(uint64_t avail, uint64_t used)
{
	rig.space = (struct be_space){.used = used, .avail = avail, .total = POOL};
}

static void
setup(void)
{
	rig_init();
	fill_pool(900 * MIB, 10 * MIB);
	rig_target(&s.rt);
	bench_enter(&s);
}

static void
teardown(void)
{
	bench_close(&s);
}

static void
set_threshold(unsigned percent)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.disk);

	conf.thin_threshold = (uint8_t)percent;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
}

static void
set_thin(bool thin)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.disk);

	conf.thin = thin;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
}

/* So much is available when the control thread looks next. */
static void
left(uint64_t avail)
{
	fill_pool(avail, 10 * MIB);
	scsi_lu_look_at_space(s.disk);
}

static void
expect(const char *cdb, const char *hex)
{
	struct rig_cmd *c = rig_do(s.b, 1, cdb, GW_DIR_IN, 255, NULL);
	uint8_t want[256];
	unsigned len = rig_unhex(hex, want);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, len);
	ck_assert_mem_eq(c->buf, want, len);
	rig_free(c);
}

static uint8_t
byte_of(const char *cdb, unsigned at)
{
	struct rig_cmd *c = rig_do(s.b, 1, cdb, GW_DIR_IN, 255, NULL);
	uint8_t v = c->buf[at];

	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	return v;
}

static uint32_t
mode_select(struct gw_nexus *n, const char *list)
{
	uint8_t p[64];
	unsigned len = rig_unhex(list, p);
	char cdb[32];

	snprintf(cdb, sizeof(cdb), "15 10 00 00 %02x", len);
	return rig_try(n, 1, cdb, GW_DIR_OUT, len, p);
}

#define SENSE_LBP   "1a 08 1c 02 ff"
#define HEADER      "00 00 00 00 "
#define LBP(de)     "5c 02 00 14 00 00000000 00000000 000000" de
#define RECOVERY(x) "01 0a 80 00 00 00 00 " x " 00 00 00 00"

START_TEST(what_is_told)
{
	/* THRESHOLD EXPONENT: sets of 2^11 blocks, a MiB. */
	expect("12 01 b2 00 ff", "00 b2 0004 0b e4 02 00");
	expect("4d 00 40 00 00 00 00 00 ff", "00 00 0004 00 0c 0d 2f");
	expect("4d 00 40 ff 00 00 00 00 ff", "40 ff 000a 00 00 00 ff 0c 00 0d 00 2f 00");
	expect("4d 00 4c 00 00 00 00 00 ff",
	       "8c 00 0018 0001 03 08 00000384 02 000000 0002 03 08 0000000a 01 000000");
	expect("4d 00 4c 00 00 00 02 00 ff", "8c 00 000c 0002 03 08 0000000a 01 000000");
	ck_assert_uint_eq(rig_in(s.b, 1, "4d 00 4c 00 00 00 03 00 ff"), SENSE_CDB_FIELD);
	left(5 * MIB + 1);
	expect("4d 00 4c 00 00 00 00 00 10", "8c 00 0018 0001 03 08 00000005 02 000000");
	/* The page is there, its threshold is not enabled. */
	expect(SENSE_LBP, "1b 00 10 00" LBP("0001000000000000"));
	ck_assert_uint_eq(byte_of("1a 08 01 00 ff", 4 + 7), 0);
	ck_assert_uint_eq(byte_of("1a 08 41 00 ff", 4 + 7), 0);
}
END_TEST

START_TEST(the_threshold)
{
	set_threshold(80);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	expect(SENSE_LBP, "1b 00 10 00" LBP("8001 0000 000000c8"));
	expect("1a 08 9c 02 ff", "1b 00 10 00" LBP("8001 0000 000000c8"));
	expect("1a 08 5c 02 ff", "1b 00 10 00" LBP("0000 0000 00000000"));
	/* All subpages of a page. */
	ck_assert_uint_eq(byte_of("1a 08 1c ff ff", 0), 3 + 12 + 24);
	ck_assert_uint_eq(byte_of("1a 08 1c 00 ff", 0), 3 + 12);
	ck_assert_uint_eq(rig_in(s.b, 1, "1a 08 1c 01 ff"), SENSE_CDB_FIELD);
	/* LBPERE: on, and an initiator may switch it off. */
	for (unsigned pc = 0; pc < 3; pc++) {
		char cdb[32];

		snprintf(cdb, sizeof(cdb), "1a 08 %02x 00 ff", 1 | pc << 6);
		ck_assert_uint_eq(byte_of(cdb, 4 + 7), 0x80);
	}
	set_threshold(0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(byte_of("1a 08 41 00 ff", 4 + 7), 0);
}
END_TEST

/* INFORMATION is where the descriptor is in the mode page. */
static void
expect_reached(struct gw_nexus *n)
{
	struct rig_cmd *c = rig_do(n, 1, TUR, GW_DIR_NONE, 0, NULL);

	ck_assert_uint_eq(rig_result(c), SENSE_THRESHOLD);
	ck_assert_uint_eq(c->cmd.sense[0], 0xf0);
	ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), 16);
	rig_free(c);
	ck_assert_uint_eq(rig_none(n, 1, TUR), 0);
}

static void
expect_silence(void)
{
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
}

START_TEST(crossing)
{
	struct rig_cmd *c;

	set_threshold(80);
	rig_calm(s.a);
	rig_calm(s.b);
	left(201 * MIB);
	expect_silence();
	left(200 * MIB);
	expect_reached(s.a);
	expect_reached(s.b);
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), 0);
	/* Once, also when it moves a little to and fro. */
	left(100 * MIB);
	left(209 * MIB);
	left(199 * MIB);
	expect_silence();
	/* There was enough again. */
	left(211 * MIB);
	expect_silence();
	left(10 * MIB);
	expect_reached(s.a);
	c = rig_do(s.b, 1, "03 00 00 00 20", GW_DIR_IN, 32, NULL);
	ck_assert_uint_eq(c->buf[2], 6);
	ck_assert_uint_eq(gw_be16(c->buf + 12), 0x3807);
	ck_assert_uint_eq(gw_be32(c->buf + 3), 16);
	rig_free(c);
	expect_silence();
}
END_TEST

START_TEST(another_threshold)
{
	left(100 * MIB);
	expect_silence();
	/* It is crossed already when it is set. */
	set_threshold(80);
	scsi_lu_look_at_space(s.disk);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	expect_reached(s.a);
	/* A lower one is no news. */
	set_threshold(70);
	scsi_lu_look_at_space(s.disk);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	/* A higher one is below again, and crossed later. */
	set_threshold(95);
	scsi_lu_look_at_space(s.disk);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	left(0);
	expect_reached(s.a);
	set_threshold(0);
	scsi_lu_look_at_space(s.disk);
	rig_calm(s.a);
	left(0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
}
END_TEST

START_TEST(switched_off)
{
	set_threshold(80);
	rig_calm(s.a);
	rig_calm(s.b);
	ck_assert_uint_eq(mode_select(s.a, HEADER RECOVERY("00")), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(byte_of("1a 08 01 00 ff", 4 + 7), 0);
	ck_assert_uint_eq(byte_of("1a 08 81 00 ff", 4 + 7), 0x80);
	left(0);
	expect_silence();
	ck_assert_uint_eq(mode_select(s.a, HEADER RECOVERY("80")), 0);
	rig_calm(s.b);
	left(900 * MIB);
	left(0);
	expect_reached(s.a);
	expect_reached(s.b);
}
END_TEST

static unsigned
refused_at(const char *list)
{
	uint8_t p[64];
	unsigned len = rig_unhex(list, p), at;
	struct rig_cmd *c;
	char cdb[32];

	snprintf(cdb, sizeof(cdb), "15 10 00 00 %02x", len);
	c = rig_do(s.a, 1, cdb, GW_DIR_OUT, len, p);
	ck_assert_uint_eq(rig_result(c), SENSE_PARAM_FIELD);
	at = gw_be16(c->cmd.sense + 16);
	rig_free(c);
	return at;
}

START_TEST(mode_select_of_a_subpage)
{
	set_threshold(80);
	rig_calm(s.a);
	ck_assert_uint_eq(mode_select(s.a, HEADER LBP("8001 0000 000000c8")), 0);
	/* Of another page behind it. */
	ck_assert_uint_eq(mode_select(s.a, HEADER LBP("8001 0000 000000c8") RECOVERY("80")), 0);
	/* What is the administrator's stays so: the count, SITUA, ENABLED. */
	ck_assert_uint_eq(refused_at(HEADER LBP("8001 0000 000000c9")), 4 + 23);
	ck_assert_uint_eq(refused_at(HEADER LBP("0001 0000 000000c8")), 4 + 16);
	ck_assert_uint_eq(refused_at(HEADER "5c 02 00 14 01"
					    "0000000000000000000000"
					    "8001 0000 000000c8"),
			  4 + 4);
	/* Neither header for the other kind of page, no other length, nothing that is cut. */
	ck_assert_uint_eq(refused_at(HEADER "1c 14 00 00"), 4 + 1);
	ck_assert_uint_eq(refused_at(HEADER "5c 00 00 0a"), 4);
	ck_assert_uint_eq(refused_at(HEADER "5c 03 00 14"), 4);
	ck_assert_uint_eq(refused_at(HEADER "5c 02 00 15"), 4 + 2);
	ck_assert_uint_eq(mode_select(s.a, HEADER "5c 02 00"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, HEADER "5c 02 00 14 00"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, HEADER "5c"), SENSE_PARAM_LENGTH);
}
END_TEST

static void
expect_nothing(void)
{
	ck_assert_uint_eq(byte_of("12 01 b2 00 ff", 4), 0);
	expect("4d 00 40 00 00 00 00 00 ff", "00 00 0003 00 0d 2f");
	ck_assert_uint_eq(rig_in(s.b, 1, "4d 00 4c 00 00 00 00 00 ff"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(s.b, 1, SENSE_LBP), SENSE_CDB_FIELD);
	ck_assert_uint_eq(refused_at(HEADER LBP("8001 0000 000000c8")), 4);
	ck_assert_uint_eq(byte_of("1a 08 41 00 ff", 4 + 7), 0);
	left(0);
	expect_silence();
}

START_TEST(who_is_not_thin)
{
	set_threshold(80);
	set_thin(false);
	rig_calm(s.a);
	rig_calm(s.b);
	expect_nothing();
	set_thin(true);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x3f03));
	scsi_lu_look_at_space(s.disk);
	expect_reached(s.a);
}
END_TEST

START_TEST(who_cannot_tell)
{
	memset(&rig.space, 0, sizeof(rig.space));
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(RIG_BLOCKS * 512, true)), 0);
	set_threshold(80);
	rig_calm(s.a);
	rig_calm(s.b);
	expect_nothing();
	/* A device that did, and fails to for a while, keeps what it said. */
	fill_pool(900 * MIB, 0);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(RIG_BLOCKS * 512, true)), 0);
	rig_calm(s.a);
	rig_calm(s.b);
	memset(&rig.space, 0, sizeof(rig.space));
	scsi_lu_look_at_space(s.disk);
	expect("4d 00 4c 00 00 00 00 00 10", "8c 00 0018 0001 03 08 00000384 02 000000");
	expect(SENSE_LBP, "1b 00 10 00" LBP("8001 0000 000000c8"));
	expect_silence();
}
END_TEST

START_TEST(the_pool_grows)
{
	set_threshold(80);
	rig_calm(s.a);
	rig_calm(s.b);
	/* Not by what is but rounding. */
	rig.space.total = POOL + 2 * MIB;
	scsi_lu_look_at_space(s.disk);
	expect_silence();
	rig.space.total = 2 * POOL;
	scsi_lu_look_at_space(s.disk);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	expect(SENSE_LBP, "1b 00 10 00" LBP("8001 0000 00000190"));
	left(400 * MIB);
	rig_calm(s.b);
}
END_TEST

RIG_SUITE("scsi/space", setup, teardown, what_is_told, the_threshold, crossing, another_threshold,
	  switched_off, mode_select_of_a_subpage, who_is_not_thin, who_cannot_tell, the_pool_grows)
