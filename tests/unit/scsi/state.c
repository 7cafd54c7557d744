/* SPDX-License-Identifier: BSD-3-Clause */
/* What all initiators share: unit attentions, mode parameters, medium, reservations, LUN lists. */
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

#define UA(ascq) SENSE(6, ascq)
#define TUR      "00"

START_TEST(attentions_in_order)
{
	static const uint16_t order[] = {0x2900, 0x2f00, 0x2800, 0x2a01, 0x2a06,
					 0x2a09, 0x2a10, 0x3807, 0x3f03, 0x3f0e};
	struct scsi_itl *itl = scsi_itl_find(s.a, 1);
	struct rig_cmd *c;

	for (unsigned i = 0; i < UA_MAX; i++)
		if (i != UA_RES_PREEMPTED && i != UA_RES_RELEASED && i != UA_REG_PREEMPTED)
			scsi_ua_raise(itl, 1u << i);
	/* INQUIRY does not see them; REPORT LUNS takes its own. */
	ck_assert_uint_eq(rig_in(s.a, 1, "12 00 00 00 ff"), 0);
	for (unsigned i = 0; i < GW_ARRAY_LEN(order); i++)
		ck_assert_uint_eq(rig_none(s.a, 1, i & 1 ? "c1" : TUR), UA(order[i]));
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	scsi_ua_raise(itl, 1u << UA_LUNS | 1u << UA_MODE);
	ck_assert_uint_eq(rig_in(s.a, 0, "a0 00 00 00 00 00 00 00 01 00"), 0);
	/* REQUEST SENSE returns and clears. */
	c = rig_do(s.a, 1, "03 01 00 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[0], 0x72);
	ck_assert_uint_eq(gw_be16(c->buf + 2), 0x2a01);
	rig_free(c);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	/* A command without LU has none. */
	scsi_ua_raise(itl, 1u << UA_MODE);
	ck_assert_uint_eq(rig_none(s.a, 9, TUR), SENSE_LUN_UNSUPPORTED);
	ck_assert_uint_eq(rig_none(s.a, 0, TUR), 0);
}
END_TEST

START_TEST(new_nexus_sees_power_on)
{
	struct gw_nexus *n = rig_nexus(1, &s.rt.t);

	ck_assert_uint_eq(rig_none(n, 1, TUR), UA(0x2900));
	ck_assert_uint_eq(rig_none(n, 1, TUR), 0);
	ck_assert_uint_eq(rig_none(n, 2, TUR), UA(0x2900));
	rig_nexus_close(n);
}
END_TEST

static uint8_t
mode_byte(struct gw_nexus *n, const char *cdb, unsigned at)
{
	struct rig_cmd *c = rig_do(n, 1, cdb, GW_DIR_IN, 255, NULL);
	uint8_t v = c->buf[at];

	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	return v;
}

START_TEST(mode_sense)
{
	struct rig_cmd *c = rig_do(s.a, 1, "5a 10 3f 00 00 00 00 00 ff", GW_DIR_IN, 255, NULL);

	ck_assert_uint_eq(gw_be16(c->buf), c->cmd.in_len - 2);
	ck_assert_uint_eq(c->buf[3], 0x10);
	ck_assert_uint_eq(c->buf[4], 1);
	ck_assert_uint_eq(gw_be16(c->buf + 6), 16);
	ck_assert_uint_eq(gw_be64(c->buf + 8), RIG_BLOCKS);
	ck_assert_uint_eq(gw_be32(c->buf + 20), 512);
	rig_free(c);
	ck_assert_uint_eq(mode_byte(s.a, "1a 08 08 00 ff", 6), 0x04); /* WCE */
	ck_assert_uint_eq(mode_byte(s.a, "1a 08 48 00 ff", 6), 0x04); /* changeable */
	ck_assert_uint_eq(mode_byte(s.a, "1a 08 4a 00 ff", 8), 0x08); /* SWP changeable */
	ck_assert_uint_eq(rig_in(s.a, 1, "1a 08 c8 00 ff"), SENSE_NO_SAVING);
	ck_assert_uint_eq(rig_in(s.a, 1, "1a 08 09 00 ff"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(s.a, 1, "1a 08 0a 01 ff"), SENSE_CDB_FIELD);
}
END_TEST

static uint32_t
mode_select(struct gw_nexus *n, const char *list)
{
	uint8_t p[256];
	unsigned len = rig_unhex(list, p);
	char cdb[32];

	snprintf(cdb, sizeof(cdb), "15 10 00 00 %02x", len);
	return rig_try(n, 1, cdb, GW_DIR_OUT, len, p);
}

#define HEADER6       "00 00 00 00 "
#define CACHING(x)    "08 12 " x " 00 00000000 00000000 00000000 00000000 "
#define CONTROL(a, b) "0a 0a " a " 10 " b " 00 0000 ffff 0000 "

START_TEST(mode_select_takes_effect)
{
	uint8_t block[512] = {0};
	struct rig_cmd *c;

	ck_assert_uint_eq(mode_select(s.a, HEADER6 CACHING("00")), 0);
	ck_assert_uint_eq(mode_byte(s.a, "1a 08 08 00 ff", 6), 0);
	/* The other nexus learns it, on the other core, and only once; the own one does not. */
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	/* Without write cache each write reaches the medium. */
	ck_assert_uint_eq(rig_try(s.b, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512, block), 0);
	ck_assert_uint_eq(rig.last_flags & BE_FUA, BE_FUA);
	/* Descriptor sense. */
	ck_assert_uint_eq(mode_select(s.a, HEADER6 CONTROL("24", "00")), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	c = rig_do(s.b, 1, "12 00 01 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->cmd.sense[0], 0x72);
	ck_assert_uint_eq(c->cmd.sense_len, 16);
	ck_assert_uint_eq(c->cmd.sense[8], 2);
	ck_assert_uint_eq(c->cmd.sense[12], 0xcf);
	ck_assert_uint_eq(gw_be16(c->cmd.sense + 13), 2);
	rig_free(c);
	/* Software write protection. */
	ck_assert_uint_eq(mode_select(s.a, HEADER6 CONTROL("24", "08")), 0);
	ck_assert_uint_eq(rig_try(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512, block),
			  SENSE_SW_PROTECTED);
	ck_assert_uint_eq(mode_byte(s.a, "1a 08 0a 00 ff", 2), 0x90);
	/* The same again changes nothing, and nobody is told. */
	rig_calm(s.b);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 CONTROL("24", "08")), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
}
END_TEST

START_TEST(mode_select_refuses_whole)
{
	/* The first page is right, the second is not: nothing changes. */
	ck_assert_uint_eq(mode_select(s.a, HEADER6 CACHING("00") CONTROL("24", "09")),
			  SENSE_PARAM_FIELD);
	ck_assert_uint_eq(mode_byte(s.a, "1a 08 08 00 ff", 6), 0x04);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 "08 11 00"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 "08 12 00"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 "08"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, "00 00 00"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 "3f 00"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 "48 12"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, HEADER6 "48 00 00 12"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(mode_select(s.a, "00 00 00 08 00010000 00 000400"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(mode_select(s.a, "00 00 00 07 00010000 00 000200"), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(mode_select(s.a, "00 00 00 08 00010000 00 0002"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(mode_select(s.a, "00 00 00 08 00010000 00 000200" CACHING("04")), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "15 11 00 00 00"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "15 10 00 00 00"), 0);
}
END_TEST

#define READ "28 00 00 00 00 00 00 00 01"

START_TEST(eject_and_prevent)
{
	/* The LU's home is core 1; nexus a is on core 0. */
	ck_assert_ptr_eq(s.cd->home, &rig.core[1]);
	ck_assert_uint_eq(rig_none(s.a, 2, "1b 00 00 00 02"), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), SENSE_TRAY_OPEN);
	ck_assert_uint_eq(rig_in(s.b, 2, READ), SENSE_TRAY_OPEN);
	ck_assert_uint_eq(rig_none(s.b, 2, "1b 00 00 00 03"), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), 0);
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_in(s.a, 2, READ), 0);
	/* Power conditions eject nothing. */
	ck_assert_uint_eq(rig_none(s.a, 2, "1b 01 00 00 12"), 0);
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), 0);
	ck_assert_uint_eq(rig_none(s.a, 2, "1e 00 00 00 01"), 0);
	ck_assert(scsi_lu_prevented(s.cd));
	ck_assert_uint_eq(rig_none(s.b, 2, "1b 00 00 00 02"), SENSE_PREVENTED);
	/* Allowing by another nexus does not help. */
	ck_assert_uint_eq(rig_none(s.b, 2, "1e 00 00 00 00"), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, "1b 00 00 00 02"), SENSE_PREVENTED);
	/* The one that prevents goes away. */
	rig_nexus_close(s.a);
	s.a = NULL;
	ck_assert(!scsi_lu_prevented(s.cd));
	ck_assert_uint_eq(rig_none(s.b, 2, "1b 00 00 00 02"), 0);
	/* What is out stays out. */
	ck_assert_uint_eq(rig_none(s.b, 2, "1e 00 00 00 01"), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, "1b 00 00 00 03"), SENSE_PREVENTED);
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), SENSE_TRAY_OPEN);
	ck_assert_uint_eq(rig_none(s.b, 2, "1e 00 00 00 00"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, "1b 00 00 00 02"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.b, 1, "1b 00 00 00 00"), 0);
}
END_TEST

START_TEST(reservations)
{
	uint8_t block[512] = {0};

	for (uint64_t lun = 1; lun <= 2; lun++) {
		ck_assert_uint_eq(rig_none(s.a, lun, "16"), 0);
		ck_assert_uint_eq(rig_none(s.a, lun, "56"), 0);
		ck_assert_uint_eq(rig_none(s.b, lun, "16"), SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(rig_in(s.b, lun, READ), SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(
		    rig_try(s.b, lun, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512, block),
		    SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(rig_in(s.b, lun, "1a 00 3f 00 ff"), SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(rig_none(s.b, lun, TUR), SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(rig_in(s.b, lun, "12 00 00 00 ff"), 0);
		ck_assert_uint_eq(rig_in(s.b, lun, "03 00 00 00 ff"), 0);
		ck_assert_uint_eq(rig_none(s.b, lun, "17"), 0);
		ck_assert_uint_eq(rig_none(s.b, lun, TUR), SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(rig_in(s.a, lun, READ), 0);
		ck_assert_uint_eq(rig_none(s.a, lun, "17"), 0);
		ck_assert_uint_eq(rig_none(s.b, lun, "56"), 0);
		ck_assert_uint_eq(rig_none(s.a, lun, TUR), SAM_RESERVATION_CONFLICT);
		ck_assert_uint_eq(rig_none(s.b, lun, "57"), 0);
		ck_assert_uint_eq(rig_none(s.a, lun, TUR), 0);
	}
	/* Both LUs are held when the nexus goes. */
	ck_assert_uint_eq(rig_none(s.a, 1, "16"), 0);
	ck_assert_uint_eq(rig_none(s.a, 2, "16"), 0);
	rig_nexus_close(s.a);
	s.a = NULL;
	ck_assert_uint_eq(rig_none(s.b, 1, "16"), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, "16"), 0);
	ck_assert_uint_eq(rig_in(s.b, 1, READ), 0);
}
END_TEST

/* Two who reserve in the same moment: one wins, and never both. */
START_TEST(reservation_race)
{
	struct rig_cmd *a = rig_start(s.a, 1, "16", GW_DIR_NONE, 0);
	struct rig_cmd *b = rig_start(s.b, 1, "16", GW_DIR_NONE, 0);

	rig_exec(a, NULL, 0);
	rig_exec(b, NULL, 0);
	rig_run();
	ck_assert_uint_eq(rig_result(a) + rig_result(b), SAM_RESERVATION_CONFLICT);
	rig_free(a);
	rig_free(b);
}
END_TEST

/* Data was on its way when another nexus reserved: the write does not happen. */
START_TEST(reserved_while_data_came)
{
	uint8_t block[512] = {7};
	struct rig_cmd *w = rig_start(s.b, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512);

	ck_assert(!w->refused);
	ck_assert_uint_eq(rig_none(s.a, 1, "16"), 0);
	rig_exec(w, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(w), SAM_RESERVATION_CONFLICT);
	ck_assert_uint_eq(rig_mem(s.disk)[0], 0);
	rig_free(w);
}
END_TEST

START_TEST(administrator)
{
	struct scsi_lu_conf conf = rig_conf(1);
	uint8_t block[512] = {0};
	struct rig_cmd *w;

	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_try(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512, block),
			  SENSE_WRITE_PROTECTED);
	conf = rig_conf(1);
	strcpy(conf.product, "OTHER");
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x3f03));
	/* Smaller while data is on its way. */
	rig_calm(s.a);
	rig_calm(s.b);
	w = rig_start(s.a, 1, "2a 00 00 00 ff ff 00 00 01", GW_DIR_OUT, 512);
	ck_assert(!w->refused);
	scsi_lu_resize(s.disk, 1000 * 512 + 100);
	ck_assert_uint_eq(scsi_lu_size(s.disk), 1000 * 512);
	rig_exec(w, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(w), SENSE_LBA_RANGE);
	rig_free(w);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2a09));
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.b);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SENSE_MANUAL);
	conf.block_size = 700;
	ck_assert_int_lt(scsi_lu_update(s.disk, &conf), 0);
}
END_TEST

START_TEST(device_comes_and_goes)
{
	struct rig_cmd *w;
	uint8_t block[512] = {1};
	unsigned closes = rig.dev_closes;

	ck_assert_uint_eq(rig_in(s.a, 1, READ), 0);
	ck_assert_uint_eq(rig_in(s.b, 1, READ), 0);
	ck_assert_uint_eq(rig.chans, 2);
	w = rig_start(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	ck_assert_uint_eq(rig.chans, 0);
	ck_assert_uint_eq(rig.dev_closes, closes + 1);
	rig_exec(w, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(w), SENSE_NO_MEDIUM);
	rig_free(w);
	ck_assert_uint_eq(rig_in(s.a, 1, "25"), SENSE_NO_MEDIUM);
	ck_assert_uint_eq(rig_in(s.a, 1, "1a 00 3f 00 ff"), 0);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(512 * 100, true)), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_in(s.a, 1, READ), 0);
	ck_assert_uint_eq(scsi_lu_size(s.disk), 51200);
}
END_TEST

/* Another device under running commands: BUSY meanwhile, and nothing else. */
START_TEST(device_is_swapped)
{
	struct scsi_lu_conf conf = rig_conf(1);
	uint8_t block[512] = {1};
	struct rig_cmd *w, *r;
	struct be_dev *dev;

	ck_assert_uint_eq(rig_in(s.b, 1, READ), 0);
	w = rig_start(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512);
	rig.hold = true;
	r = rig_start(s.b, 1, READ, GW_DIR_IN, 512);
	rig_exec(r, NULL, 0);
	rig.hold = false;
	scsi_lu_swap_dev(s.disk);
	ck_assert_ptr_null(scsi_lu_dev(s.disk));
	ck_assert_uint_eq(rig.chans, 0);
	ck_assert_uint_eq(rig_result(r), 0);
	rig_exec(w, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(w), SAM_BUSY);
	ck_assert_uint_eq(rig_in(s.b, 1, READ), SAM_BUSY);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SAM_BUSY);
	ck_assert_uint_eq(rig_in(s.b, 1, "25"), SAM_BUSY);
	ck_assert_uint_eq(rig_in(s.b, 1, "12 01 b0 00 ff"), 0);
	/* Settings in between are not shown yet. */
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	conf.online = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SAM_BUSY);
	dev = rig_dev_new(RIG_BLOCKS * 512, true);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, dev), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	ck_assert_uint_eq(rig_in(s.b, 1, READ), 0);
	/* One of another size tells so; one without cache does. */
	scsi_lu_swap_dev(s.disk);
	dev = rig_dev_new(51200, true);
	dev->volatile_cache = false;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, dev), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a09));
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	/* None comes. */
	scsi_lu_swap_dev(s.disk);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, NULL), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), SENSE_NO_MEDIUM);
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, rig_dev_new(51200, true)), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2800));
	scsi_lu_swap_dev(s.disk);
	conf.gone = true;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), SENSE_NOT_READY);
	rig_free(w);
	rig_free(r);
}
END_TEST

START_TEST(retarget)
{
	struct rig_target next = s.rt;
	struct scsi_lu_conf conf = rig_conf(3);
	uint8_t block[512] = {1};
	struct rig_cmd *stays, *goes;

	/* LUN 2 goes, LUN 3 comes. */
	next.t.lun = next.lun;
	next.lun[2].lun = 3;
	ck_assert_int_eq(scsi_lu_new(&conf, rig_dev_new(51200, true), &next.lun[2].lu), 0);
	stays = rig_start(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512);
	goes = rig_start(s.a, 2, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512);
	scsi_ua_raise(scsi_itl_find(s.a, 1), 1u << UA_MODE);
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &next.t), 0);
		rig.self = NULL;
	}
	ck_assert_uint_eq(goes->responses, 1);
	ck_assert_uint_eq(goes->cmd.aborted, GW_ABORT_TAS);
	ck_assert_uint_eq(goes->cmd.status, SAM_TASK_ABORTED);
	ck_assert_uint_eq(stays->responses, 0);
	rig_exec(stays, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(stays), 0);
	rig_free(stays);
	rig_free(goes);
	scsi_lu_free(s.cd);
	/* What was pending stays, and the new list is announced until REPORT LUNS. */
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x3f0e));
	ck_assert_uint_eq(rig_none(s.a, 3, TUR), UA(0x2900));
	ck_assert_uint_eq(rig_in(s.a, 0, "a0 00 00 00 00 00 00 00 01 00"), 0);
	ck_assert_uint_eq(rig_none(s.a, 3, TUR), 0);
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), SENSE_LUN_UNSUPPORTED);
	s.rt = next;
	s.rt.t.lun = s.rt.lun;
	s.a->target = s.b->target = &s.rt.t;
}
END_TEST

/* An LU with I/O in the backend ends only when that is back. */
START_TEST(free_waits)
{
	struct gw_target none = s.rt.t;
	struct rig_cmd *r;

	none.nlun = 1;
	rig.hold = true;
	r = rig_start(s.a, 2, READ, GW_DIR_IN, 512);
	rig_exec(r, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &none), 0);
		rig.self = NULL;
	}
	ck_assert_uint_eq(r->responses, 0);
	rig.hold = false;
	scsi_lu_free(s.cd);
	ck_assert_uint_eq(r->responses, 1);
	rig_free(r);
	s.rt.t.nlun = 2;
	s.a->target = s.b->target = &none;
	rig_nexus_close(s.a);
	rig_nexus_close(s.b);
	s.a = s.b = NULL;
}
END_TEST

/* Many at once: some with I/O in the backend, some reserved, some with channels on both cores. */
START_TEST(many_end_at_once)
{
	enum {
		N = 50
	};
	struct gw_target many = s.rt.t, none = s.rt.t;
	struct gw_lun lun[N + 1];
	struct scsi_lu *lus[N];
	struct rig_cmd *r[N];

	lun[0] = s.rt.lun[0];
	for (unsigned i = 0; i < N; i++) {
		struct scsi_lu_conf conf = rig_conf(i + 1);

		ck_assert_int_eq(scsi_lu_new(&conf, rig_dev_new(51200, true), &lus[i]), 0);
		lun[i + 1] = (struct gw_lun){i + 1, lus[i]};
	}
	many.lun = lun;
	many.nlun = N + 1;
	none.nlun = 1;
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &many), 0);
		rig.self = NULL;
		rig_calm(n);
	}
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(rig_in(s.a, i + 1, READ), 0);
		if (i % 3 == 0)
			ck_assert_uint_eq(rig_none(s.b, i + 1, "16"), 0);
	}
	rig.hold = true;
	for (unsigned i = 0; i < N; i++) {
		r[i] = rig_start(s.b, i + 1, READ, GW_DIR_IN, 512);
		rig_exec(r[i], NULL, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct gw_nexus *n = i ? s.b : s.a;

		rig.self = n->core;
		ck_assert_int_eq(scsi_nexus_retarget(n, &none), 0);
		rig.self = NULL;
	}
	rig.hold = false;
	scsi_lus_free(lus, N);
	ck_assert_uint_eq(rig.chans, 0);
	ck_assert_uint_eq(rig.dev_closes, N);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(r[i]->responses, 1);
		rig_free(r[i]);
	}
	rig_nexus_close(s.a);
	rig_nexus_close(s.b);
	s.a = s.b = NULL;
}
END_TEST

RIG_SUITE("scsi/state", setup, teardown, attentions_in_order, new_nexus_sees_power_on, mode_sense,
	  mode_select_takes_effect, mode_select_refuses_whole, eject_and_prevent, reservations,
	  reservation_race, reserved_while_data_came, administrator, device_comes_and_goes,
	  device_is_swapped, retarget, free_waits, many_end_at_once)
