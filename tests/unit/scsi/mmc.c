/* SPDX-License-Identifier: BSD-3-Clause */
/* The CD/DVD drive: what it says of itself and of its disc, and how discs come and go. */
#include "tests/unit/scsi/rig.h"

#define ROM    3u
#define BLOCKS (RIG_BLOCKS / 4) /* of 2048 bytes */
#define TUR    "00"
#define UA(q)  SENSE(6, q)

/* START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL. */
#define EJECT   "1b 00 00 00 02"
#define LOAD    "1b 00 00 00 03"
#define PREVENT "1e 00 00 00 01"
#define ALLOW   "1e 00 00 00 00"

static struct bench s;

static void
setup(void)
{
	bench_open_rom(&s);
}

static void
teardown(void)
{
	bench_close(&s);
}

/* The answer is that, to the last byte. */
static void
answers(struct gw_nexus *n, const char *cdb, const char *hex)
{
	struct rig_cmd *c = rig_do(n, ROM, cdb, GW_DIR_IN, 65535, NULL);
	uint8_t want[4096];
	unsigned len = rig_unhex(hex, want);

	ck_assert_msg(rig_result(c) == 0, "%s: %#x", cdb, rig_result(c));
	ck_assert_msg(c->cmd.in_len == len, "%s: %u bytes", cdb, c->cmd.in_len);
	for (unsigned i = 0; i < len; i++)
		ck_assert_msg(c->buf[i] == want[i], "%s: byte %u is %02x, not %02x", cdb, i,
			      c->buf[i], want[i]);
	rig_free(c);
}

static void
refuses(const char *cdb, uint32_t sense)
{
	uint32_t got = rig_in(s.a, ROM, cdb);

	ck_assert_msg(got == sense, "%s: %#x", cdb, got);
}

/* Another disc, of so many blocks; without memory it reads as zeroes. */
static void
insert(uint64_t blocks)
{
	ck_assert_int_eq(scsi_lu_set_dev(s.rom, rig_dev_new(blocks * SCSI_CD_BLOCK, false)), 0);
	rig_calm(s.a);
	rig_calm(s.b);
}

START_TEST(identity)
{
	struct rig_cmd *c = rig_do(s.a, ROM, "12 00 00 00 60", GW_DIR_IN, 255, NULL);

	ck_assert_uint_eq(c->buf[0], 0x05);
	ck_assert_uint_eq(c->buf[1], 0x80);
	ck_assert_uint_eq(gw_be16(c->buf + 64), 0x04e0); /* MMC-6 */
	rig_free(c);
	c = rig_do(s.a, ROM, "12 01 00 00 60", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[0], 0x05);
	for (unsigned i = 4; i < c->cmd.in_len; i++)
		ck_assert_uint_lt(c->buf[i], 0xb0); /* those of block devices */
	rig_free(c);
	refuses("12 01 b0 00 60", SENSE_CDB_FIELD);
	answers(s.a, "25", "00003fff 00000800");
	/* No block descriptor, no device-specific parameter. */
	answers(s.a, "1a 00 2a 00 ff",
		"19 00 00 00 2a 14 08 00 00 00 29 00 2260 0000 0000 2260 000000000000");
	answers(s.a, "5a 00 0d 00 00 00 00 00 ff", "000e 00 00 00 00 0000 0d 06 0000 003c 004b");
	answers(s.a, "1a 00 6a 00 ff",
		"19 00 00 00 2a 14 0000000000 0000000000 0000000000 0000000000");
	refuses("1a 00 08 00 ff", SENSE_CDB_FIELD);
	refuses("1a 00 1c 00 ff", SENSE_CDB_FIELD);
	c = rig_do(s.a, ROM, "1a 00 3f 00 ff", GW_DIR_IN, 255, NULL);
	ck_assert_uint_eq(c->buf[4], 0x01);
	ck_assert_uint_eq(c->buf[6], 0x00); /* nothing is reassigned */
	rig_free(c);
	/* The disk next to it keeps what is its own. */
	ck_assert_uint_eq(rig_in(s.a, 1, "1a 08 2a 00 ff"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(s.a, 1, "43 00 00 00 00 00 00 00 0c"), SENSE_INVALID_OPCODE);
}
END_TEST

START_TEST(reads_and_never_writes)
{
	static const char *const writes[] = {
	    "0a 00 00 00 01",
	    "2a 00 00 00 00 00 00 00 01",
	    "aa 00 00 00 00 00 00 00 00 01",
	    "8a",
	    "41 00 00 00 00 00 00 00 01",
	    "48 01",
	    "93",
	    "2f 00 00 00 00 00 00 00 01",
	    "08 00 00 00 01",
	};
	uint8_t *mem = rig_mem(s.rom);
	struct rig_cmd *c;

	for (unsigned i = 0; i < RIG_BLOCKS * 512; i++)
		mem[i] = (uint8_t)(i * 31 >> 7);
	c = rig_do(s.b, ROM, "28 00 00 00 00 05 00 00 03", GW_DIR_IN, 3 * SCSI_CD_BLOCK, NULL);
	ck_assert_uint_eq(c->cmd.in_len, 3 * SCSI_CD_BLOCK);
	ck_assert_mem_eq(c->buf, mem + 5 * SCSI_CD_BLOCK, 3 * SCSI_CD_BLOCK);
	rig_free(c);
	c = rig_do(s.b, ROM, "a8 00 00 00 3f ff 00 00 00 01", GW_DIR_IN, SCSI_CD_BLOCK, NULL);
	ck_assert_mem_eq(c->buf, mem + (BLOCKS - 1) * SCSI_CD_BLOCK, SCSI_CD_BLOCK);
	rig_free(c);
	refuses("28 00 00 00 40 00 00 00 01", SENSE_LBA_RANGE);
	refuses("28 00 00 00 3f ff 00 00 02", SENSE_LBA_RANGE);
	for (unsigned i = 0; i < GW_ARRAY_LEN(writes); i++)
		ck_assert_msg(rig_try(s.a, ROM, writes[i], GW_DIR_OUT, 65536, mem) ==
				  SENSE_INVALID_OPCODE,
			      "%s", writes[i]);
	/* 42h is READ SUB-CHANNEL here, and UNMAP on a disk. */
	ck_assert_uint_eq(rig_try(s.a, 1, "42", GW_DIR_OUT, 0, NULL), 0);
	ck_assert_uint_eq(rig.submitted[BE_WRITE] + rig.submitted[BE_ZERO] +
			      rig.submitted[BE_UNMAP] + rig.submitted[BE_FLUSH],
			  0);
}
END_TEST

START_TEST(read_cd)
{
	uint8_t *mem = rig_mem(s.rom);
	struct rig_cmd *c;

	memset(mem + 7 * SCSI_CD_BLOCK, 0x77, 2 * SCSI_CD_BLOCK);
	/* Expected: mode 1, which is no FUA. */
	c = rig_do(s.a, ROM, "be 08 00 00 00 07 00 00 02 10", GW_DIR_IN, 4096, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, 2 * SCSI_CD_BLOCK);
	ck_assert_mem_eq(c->buf, mem + 7 * SCSI_CD_BLOCK, 2 * SCSI_CD_BLOCK);
	rig_free(c);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 0);
	/* Nothing of the sectors is wanted. */
	answers(s.a, "be 00 00 00 00 07 00 00 02 00", "");
	refuses("be 04 00 00 00 07 00 00 02 10", SENSE_TRACK_MODE); /* CD-DA */
	refuses("be 00 00 00 00 07 00 00 02 f8", SENSE_CDB_FIELD);
	refuses("be 00 00 00 40 00 00 00 01 10", SENSE_LBA_RANGE);
	refuses("be 00 00 00 00 00 ff ff ff 10", SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig_none(s.a, ROM, "2b 00 00 00 3f ff"), 0);
	ck_assert_uint_eq(rig_none(s.a, ROM, "2b 00 00 00 40 00"), SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig_none(s.a, ROM, "bb 00 ff ff ff ff"), 0);
}
END_TEST

/* 16384 blocks end at 03:40:34. */
START_TEST(toc)
{
	answers(s.a, "43 00 00 00 00 00 00 00 ff",
		"0012 01 01 00 14 01 00 00000000 00 14 aa 00 00004000");
	answers(s.a, "43 02 00 00 00 00 01 00 ff",
		"0012 01 01 00 14 01 00 00000200 00 14 aa 00 00032822");
	answers(s.a, "43 00 00 00 00 00 aa 00 ff", "000a 01 01 00 14 aa 00 00004000");
	answers(s.a, "43 00 01 00 00 00 00 00 ff", "000a 01 01 00 14 01 00 00000000");
	answers(s.a, "43 02 01 00 00 00 aa 00 ff", "000a 01 01 00 14 01 00 00000200");
	answers(s.a, "43 00 02 00 00 00 00 00 ff",
		"002e 01 01"
		"01 14 00 a0 00 00 00 00 01 00 00"
		"01 14 00 a1 00 00 00 00 01 00 00"
		"01 14 00 a2 00 00 00 00 03 28 22"
		"01 14 00 01 00 00 00 00 00 02 00");
	/* The header alone; and the format where it was before MMC. */
	answers(s.a, "43 00 00 00 00 00 00 00 04", "0012 01 01");
	answers(s.a, "43 00 00 00 00 00 00 00 0c 40", "000a 01 01 00 14 01 00 00000000");
	refuses("43 00 00 00 00 00 02 00 ff", SENSE_CDB_FIELD);
	refuses("43 00 02 00 00 00 02 00 ff", SENSE_CDB_FIELD);
	refuses("43 00 03 00 00 00 00 00 ff", SENSE_CDB_FIELD);
	refuses("43 00 05 00 00 00 00 00 ff", SENSE_CDB_FIELD);
	/* The last block that has a minute, and one that has none. */
	insert(256 * 60 * 75 - 150 - 1);
	answers(s.a, "43 02 00 00 00 00 aa 00 ff", "000a 01 01 00 14 aa 00 00ff3b4a");
	insert(256 * 60 * 75 - 150 - 2);
	answers(s.a, "43 02 00 00 00 00 aa 00 ff", "000a 01 01 00 14 aa 00 00ff3b49");
	insert(UINT64_C(1) << 33);
	answers(s.a, "43 02 00 00 00 00 aa 00 ff", "000a 01 01 00 14 aa 00 00ff3b4a");
	answers(s.a, "43 00 00 00 00 00 aa 00 ff", "000a 01 01 00 14 aa 00 ffffffff");
}
END_TEST

START_TEST(subchannel)
{
	answers(s.a, "42 00 00 01 00 00 00 00 ff", "00 15 0000");
	answers(s.a, "42 02 40 01 00 00 00 00 ff", "00 15 000c 01 14 01 01 00000200 00000000");
	answers(s.a, "42 00 40 02 00 00 00 00 18",
		"00 15 0014 02 000000 0000000000000000 0000000000000000");
	refuses("42 00 40 00 00 00 00 00 ff", SENSE_CDB_FIELD);
	refuses("42 00 40 04 00 00 00 00 ff", SENSE_CDB_FIELD);
}
END_TEST

START_TEST(disc)
{
	answers(s.a, "51 00 00 00 00 00 00 00 ff",
		"0020 0e 01 01 01 01 20 00000000 0000000000000000 0000000000000000 0000000000 00");
	refuses("51 01 00 00 00 00 00 00 ff", SENSE_CDB_FIELD);
	answers(s.a, "52 01 00 00 00 01 00 00 ff",
		"0022 01 01 00 04 01 00 00000000 00000000 00000000 00000000 00004000 00000000 0000 "
		"0000");
	answers(s.a, "52 00 00 00 3f ff 00 00 04", "0022 01 01");
	refuses("52 00 00 00 40 00 00 00 ff", SENSE_LBA_RANGE);
	refuses("52 01 00 00 00 02 00 00 ff", SENSE_CDB_FIELD);
	refuses("52 02 00 00 00 00 00 00 ff", SENSE_CDB_FIELD);
	refuses("52 03 00 00 00 01 00 00 ff", SENSE_CDB_FIELD);
	answers(s.a, "bd 00 00 00 00 00 00 00 00 08", "0000 000000 00 0000");
	/* Which a CD does not have. */
	refuses("ad 00 00 00 00 00 00 00 ff ff", SENSE_DISC_FORMAT);
	answers(s.a, "ad 00 00 00 00 00 00 ff 00 ff", "000e 0000 00 40 0804 01 40 0008 04 40 0804");
	refuses("ad 01 00 00 00 00 00 00 ff ff", SENSE_CDB_FIELD);
}
END_TEST

START_TEST(dvd)
{
	struct rig_cmd *c;

	insert(80 * 60 * 75 + 1);
	c = rig_do(s.a, ROM, "ad 00 00 00 00 00 00 00 ff ff", GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(c->cmd.in_len, 2052);
	ck_assert_uint_eq(gw_be16(c->buf), 2050);
	ck_assert_uint_eq(c->buf[4], 0x01);
	ck_assert_uint_eq(gw_be24(c->buf + 9), 0x030000);
	ck_assert_uint_eq(gw_be24(c->buf + 13), 0x030000 + 80 * 60 * 75);
	ck_assert_uint_eq(c->buf[2051], 0);
	rig_free(c);
	answers(s.a, "ad 00 00 00 00 00 00 01 ff ff", "0006 0000 00000000");
	refuses("ad 00 00 00 00 00 01 00 ff ff", SENSE_CDB_FIELD);
	refuses("ad 00 00 00 00 00 00 03 ff ff", SENSE_CDB_FIELD);
	insert(1u << 28);
	c = rig_do(s.a, ROM, "ad 00 00 00 00 00 00 00 ff ff", GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(gw_be24(c->buf + 17), 0xffffff);
	rig_free(c);
}
END_TEST

/* How often that feature comes, whether it is current, and the current profile. */
static unsigned
feature(const char *cdb, uint16_t code, bool *current, uint16_t *profile)
{
	struct rig_cmd *c = rig_do(s.a, ROM, cdb, GW_DIR_IN, 65535, NULL);
	uint32_t at = 8, end = gw_be32(c->buf) + 4, last = 0;
	unsigned n = 0;

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, end);
	*profile = gw_be16(c->buf + 6);
	for (; at < end; at += 4u + c->buf[at + 3]) {
		ck_assert_uint_ge(gw_be16(c->buf + at), last);
		last = gw_be16(c->buf + at) + 1;
		if (gw_be16(c->buf + at) != code)
			continue;
		*current = c->buf[at + 2] & 1;
		n++;
	}
	ck_assert_uint_eq(at, end);
	rig_free(c);
	return n;
}

#define CONFIG(rt) "46 0" rt " 00 00 00 00 00 01 00"

START_TEST(configuration)
{
	uint16_t profile;
	bool current;

	answers(s.a, "46 02 00 00 00 00 00 01 00",
		"00000010 0000 0008 0000 03 08 0010 00 00 0008 01 00");
	ck_assert_uint_eq(feature(CONFIG("0"), 0x001f, &current, &profile), 1);
	ck_assert(!current);
	ck_assert_uint_eq(feature(CONFIG("0"), 0x0108, &current, &profile), 1);
	ck_assert_uint_eq(feature(CONFIG("1"), 0x001e, &current, &profile), 1);
	ck_assert_uint_eq(feature(CONFIG("1"), 0x001f, &current, &profile), 0);
	ck_assert_uint_eq(feature("46 00 00 1f 00 00 00 01 00", 0x001e, &current, &profile), 0);
	answers(s.a, "46 02 00 03 00 00 00 01 00", "0000000c 0000 0008 0003 0b 04 39 000000");
	/* Current, but not persistent: it goes with the disc. */
	answers(s.a, "46 02 00 10 00 00 00 01 00",
		"00000010 0000 0008 0010 01 08 00000800 0001 01 00");
	/* A feature that is not there: the header alone. */
	answers(s.a, "46 02 01 06 00 00 00 01 00", "00000004 0000 0008");
	answers(s.a, "46 00 ff ff 00 00 00 01 00", "00000004 0000 0008");
	refuses("46 03 00 00 00 00 00 01 00", SENSE_CDB_FIELD);
	insert(80 * 60 * 75 + 1);
	ck_assert_uint_eq(feature(CONFIG("1"), 0x001f, &current, &profile), 1);
	ck_assert_uint_eq(profile, 0x0010);
	ck_assert_uint_eq(feature(CONFIG("0"), 0x001e, &current, &profile), 1);
	ck_assert(!current);
	/* With no disc there is no profile; and a unit attention waits for who can take it. */
	scsi_ua_raise(scsi_itl_find(s.a, ROM), 1u << UA_BUS_RESET);
	ck_assert_uint_eq(rig_none(s.b, ROM, EJECT), 0);
	ck_assert_uint_eq(feature(CONFIG("0"), 0x0010, &current, &profile), 1);
	ck_assert_uint_eq(profile, 0);
	ck_assert(!current);
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), UA(0x2902));
}
END_TEST

#define EVENT "4a 01 00 00 10 00 00 00 08"

START_TEST(events)
{
	answers(s.a, EVENT, "0006 04 54 00 02 00 00");
	/* Ejected by one: all learn it once, each for itself, without losing a unit attention. */
	ck_assert_uint_eq(rig_none(s.a, ROM, EJECT), 0);
	answers(s.b, EVENT, "0006 04 54 03 01 00 00");
	answers(s.b, EVENT, "0006 04 54 00 01 00 00");
	answers(s.a, EVENT, "0006 04 54 03 01 00 00");
	answers(s.a, "bd 00 00 00 00 00 00 00 00 08", "0010 000000 00 0000");
	ck_assert_uint_eq(rig_none(s.b, ROM, LOAD), 0);
	answers(s.a, "4a 01 00 00 10 00 00 00 04", "0006 04 54");
	answers(s.a, EVENT, "0006 04 54 02 02 00 00");
	answers(s.a, EVENT, "0006 04 54 00 02 00 00");
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), 0);
	/* Who loaded it is told as well. */
	ck_assert_uint_eq(rig_none(s.b, ROM, TUR), UA(0x2800));
	/* Of several classes the one that has an event, else the lowest. */
	answers(s.b, "4a 01 00 00 5e 00 00 00 08", "0006 04 54 02 02 00 00");
	answers(s.b, "4a 01 00 00 5e 00 00 00 08", "0006 02 54 00 01 00 00");
	answers(s.b, "4a 01 00 00 40 00 00 00 08", "0006 06 54 00 00 00 00");
	answers(s.b, "4a 01 00 00 02 00 00 00 08", "0002 80 54");
	refuses("4a 00 00 00 10 00 00 00 08", SENSE_CDB_FIELD);
}
END_TEST

START_TEST(locked)
{
	ck_assert_uint_eq(rig_none(s.a, ROM, PREVENT), 0);
	ck_assert_uint_eq(rig_none(s.b, ROM, EJECT), SENSE_PREVENTED);
	/* Loading what is loaded removes nothing. */
	ck_assert_uint_eq(rig_none(s.b, ROM, LOAD), 0);
	ck_assert_uint_eq(rig_none(s.b, ROM, TUR), 0);
	answers(s.b, EVENT, "0006 04 54 00 02 00 00");
	ck_assert_uint_eq(rig_none(s.a, ROM, ALLOW), 0);
	ck_assert_uint_eq(rig_none(s.b, ROM, EJECT), 0);
	/* A lock on the empty drive keeps nobody from loading it. */
	ck_assert_uint_eq(rig_none(s.a, ROM, PREVENT), 0);
	ck_assert_uint_eq(rig_none(s.b, ROM, LOAD), 0);
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), 0);
	ck_assert_uint_eq(rig_none(s.a, ROM, EJECT), SENSE_PREVENTED);
}
END_TEST

START_TEST(administrator_changes_the_disc)
{
	struct scsi_lu_conf conf = rig_rom_conf(ROM);

	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.rom, &conf), 0);
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), SENSE_NO_DISC);
	refuses("43 00 00 00 00 00 00 00 0c", SENSE_NO_DISC);
	answers(s.a, EVENT, "0006 04 54 03 00 00 00");
	/* Nobody sees the change of a device that is offline. */
	ck_assert_int_eq(scsi_lu_set_dev(s.rom, NULL), 0);
	ck_assert_int_eq(scsi_lu_set_dev(s.rom, rig_dev_new(4096 * 2048, true)), 0);
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), SENSE_NO_DISC);
	answers(s.a, EVENT, "0006 04 54 00 00 00 00");
	conf.online = true;
	ck_assert_int_eq(scsi_lu_update(s.rom, &conf), 0);
	answers(s.a, EVENT, "0006 04 54 02 02 00 00");
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), 0);
	answers(s.a, "25", "00000fff 00000800");
	/* An image that has another size now is another disc. */
	answers(s.b, EVENT, "0006 04 54 02 02 00 00");
	scsi_lu_resize(s.rom, 4000 * 2048);
	ck_assert_uint_eq(rig_none(s.b, ROM, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_none(s.b, ROM, TUR), 0);
	answers(s.b, EVENT, "0006 04 54 02 02 00 00");
}
END_TEST

START_TEST(ejected_comes_back)
{
	struct scsi_lu_conf conf = rig_rom_conf(ROM);

	ck_assert(!scsi_lu_ejected(s.rom));
	ck_assert_uint_eq(rig_none(s.a, ROM, EJECT), 0);
	ck_assert(scsi_lu_ejected(s.rom));
	ck_assert_uint_eq(rig_none(s.b, ROM, TUR), SENSE_TRAY_OPEN);
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.rom, &conf), 0);
	conf.online = true;
	ck_assert_int_eq(scsi_lu_update(s.rom, &conf), 0);
	ck_assert(!scsi_lu_ejected(s.rom));
	ck_assert_uint_eq(rig_none(s.b, ROM, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_in(s.b, ROM, "28 00 00 00 00 00 00 00 01"), 0);
}
END_TEST

/* A device of another size takes the place of one in use. */
START_TEST(swapped)
{
	scsi_lu_swap_dev(s.rom);
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), SAM_BUSY);
	ck_assert_int_eq(scsi_lu_set_dev(s.rom, rig_dev_new(4096 * 2048, true)), 0);
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), UA(0x2800));
	ck_assert_uint_eq(rig_none(s.a, ROM, TUR), 0);
	answers(s.a, EVENT, "0006 04 54 02 02 00 00");
}
END_TEST

/* The event of a nexus stays when its target gets another set of LUNs. */
START_TEST(event_survives_retarget)
{
	ck_assert_uint_eq(rig_none(s.a, ROM, EJECT), 0);
	rig.self = s.b->core;
	ck_assert_int_eq(scsi_nexus_retarget(s.b, s.b->target), 0);
	rig.self = NULL;
	answers(s.b, EVENT, "0006 04 54 03 01 00 00");
}
END_TEST

/* A read that the backend still has when the disc goes ends well; the next one does not begin. */
START_TEST(ejected_under_a_read)
{
	struct rig_cmd *c = rig_start(s.a, ROM, "28 00 00 00 00 00 00 00 01", GW_DIR_IN, 2048);

	rig.hold = true;
	rig_exec(c, NULL, 0);
	ck_assert_uint_eq(rig_none(s.b, ROM, EJECT), 0);
	ck_assert_uint_eq(c->responses, 0);
	refuses("28 00 00 00 00 00 00 00 01", SENSE_TRAY_OPEN);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
}
END_TEST

START_TEST(made_of_what_fits)
{
	struct scsi_lu_conf conf = rig_rom_conf(4);
	struct scsi_lu *lu;

	conf.block_size = 512;
	ck_assert_int_lt(scsi_lu_new(&conf, NULL, &lu), 0);
	conf = rig_rom_conf(4);
	conf.readonly = false;
	ck_assert_int_lt(scsi_lu_new(&conf, NULL, &lu), 0);
	conf = rig_rom_conf(4);
	conf.removable = false;
	ck_assert_int_lt(scsi_lu_new(&conf, NULL, &lu), 0);
	ck_assert_int_lt(scsi_lu_update(s.rom, &conf), 0);
}
END_TEST

RIG_SUITE("scsi/mmc", setup, teardown, identity, reads_and_never_writes, read_cd, toc, subchannel,
	  disc, dvd, configuration, events, locked, administrator_changes_the_disc,
	  ejected_comes_back, swapped, event_survives_retarget, ejected_under_a_read,
	  made_of_what_fits)
