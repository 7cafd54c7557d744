/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands one by one: what they answer, what they move, what they refuse. */
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

#define HOLDS_REST(c, from)                                      \
	for (uint32_t i_ = (from); i_ < (c)->cmd.data_len; i_++) \
	ck_assert_uint_eq((c)->buf[i_], 0xee)

START_TEST(write_then_read)
{
	static uint8_t data[4096];
	static const char *const pairs[][2] = {
	    {"0a 00 00 10 08", "08 00 00 10 08"},
	    {"2a 00 00 00 00 20 00 00 08", "28 00 00 00 00 20 00 00 08"},
	    {"2a 08 00 00 00 28 00 00 08", "28 18 00 00 00 28 00 00 08"},
	    {"aa 00 00 00 00 30 00 00 00 08", "a8 00 00 00 00 30 00 00 00 08"},
	    {"8a 00 00 00 00 00 00 00 00 40 00 00 00 08",
	     "88 00 00 00 00 00 00 00 00 40 00 00 00 08"},
	};

	for (unsigned i = 0; i < GW_ARRAY_LEN(pairs); i++) {
		struct rig_cmd *c;

		memset(data, (int)i + 1, sizeof(data));
		data[0] = 0x55;
		c = rig_do(s.a, 1, pairs[i][0], GW_DIR_OUT, sizeof(data), data);
		ck_assert_uint_eq(rig_result(c), 0);
		ck_assert_uint_eq(c->cmd.moved, sizeof(data));
		rig_free(c);
		c = rig_do(s.b, 1, pairs[i][1], GW_DIR_IN, sizeof(data), NULL);
		ck_assert_uint_eq(rig_result(c), 0);
		ck_assert_uint_eq(c->cmd.in_len, sizeof(data));
		ck_assert_mem_eq(c->buf, data, sizeof(data));
		rig_free(c);
	}
}
END_TEST

START_TEST(fua_and_cache)
{
	uint8_t block[512] = {1};

	ck_assert_uint_eq(rig_try(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512, block), 0);
	ck_assert_uint_eq(rig.last_flags & BE_FUA, 0);
	ck_assert_uint_eq(rig_try(s.a, 1, "2a 08 00 00 00 00 00 00 01", GW_DIR_OUT, 512, block), 0);
	ck_assert_uint_eq(rig.last_flags & BE_FUA, BE_FUA);
	/* A read with FUA sees what is on the medium: the cache is flushed first. */
	ck_assert_uint_eq(rig_in(s.a, 1, "28 08 00 00 00 00 00 00 01"), 0);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 1);
	ck_assert_uint_eq(rig_none(s.a, 1, "35 02"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "91"), 0);
	ck_assert_uint_eq(rig.submitted[BE_FLUSH], 3);
}
END_TEST

START_TEST(zero_lengths)
{
	ck_assert_uint_eq(rig_none(s.a, 1, "28 00 00 00 00 00 00 00 00"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "2a 00 00 00 00 00 00 00 00"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "88"), 0);
	/* At the end an empty range is inside, beyond it is not. */
	ck_assert_uint_eq(rig_none(s.a, 1, "28 00 00 01 00 00 00 00 00"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "28 00 00 01 00 01 00 00 00"), SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig.submitted[BE_READ], 0);
	/* READ(6) 0 means 256. */
	struct rig_cmd *c = rig_do(s.a, 1, "08 00 00 00 00", GW_DIR_IN, 256 * 512, NULL);

	ck_assert_uint_eq(c->cmd.in_len, 256 * 512);
	rig_free(c);
}
END_TEST

START_TEST(extreme_ranges)
{
	static const char *const cdbs[] = {
	    "88 00 ff ff ff ff ff ff ff ff 00 00 00 01",
	    "88 00 00 00 00 01 00 00 00 00 00 00 00 01",
	    "88 00 00 80 00 00 00 00 00 00 00 00 00 01",
	    "88 00 80 00 00 00 00 00 00 00 00 00 00 01",
	    "88 00 7f ff ff ff ff ff ff ff 00 00 00 01",
	    "88 00 00 00 00 00 00 00 ff ff 00 00 00 02",
	    "88 00 00 00 00 00 00 00 00 00 ff ff ff ff",
	    "8a 00 ff ff ff ff ff ff ff ff ff ff ff ff",
	    "8f 02 ff ff ff ff ff ff ff ff 00 00 00 01",
	    "91 00 ff ff ff ff ff ff ff ff 00 00 00 01",
	    "93 00 ff ff ff ff ff ff ff ff 00 00 00 00",
	    "93 00 00 00 00 00 00 00 00 01 ff ff ff ff",
	    "28 00 ff ff ff ff 00 00 01",
	    "a8 00 ff ff ff ff ff ff ff ff",
	    "aa 00 00 00 ff ff 00 00 00 02",
	};

	for (unsigned i = 0; i < GW_ARRAY_LEN(cdbs); i++)
		ck_assert_uint_eq(rig_none(s.a, 1, cdbs[i]), SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig.submitted[BE_READ] + rig.submitted[BE_WRITE] + rig.submitted[BE_ZERO],
			  0);
}
END_TEST

START_TEST(huge_medium)
{
	struct scsi_lu_conf conf = rig_conf(3);
	struct gw_lun lun[1] = {{3, NULL}};
	struct gw_target t = s.rt.t;
	struct gw_nexus *n;
	struct rig_cmd *c;

	/* 2^54 blocks: 2^63 bytes, all that fits an offset. */
	ck_assert_int_eq(scsi_lu_new(&conf, rig_dev_new(1ull << 63, false), &lun[0].lu), 0);
	t.lun = lun;
	t.nlun = 1;
	n = rig_nexus(0, &t);
	rig_calm(n);
	ck_assert_uint_eq(rig_in(n, 3, "88 00 00 3f ff ff ff ff ff ff 00 00 00 01"), 0);
	ck_assert_uint_eq(rig_in(n, 3, "88 00 00 3f ff ff ff ff ff ff 00 00 00 02"),
			  SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig_in(n, 3, "88 00 00 40 00 00 00 00 00 00 00 00 00 01"),
			  SENSE_LBA_RANGE);
	c = rig_do(n, 3, "25", GW_DIR_IN, 8, NULL);
	ck_assert_uint_eq(gw_be32(c->buf), UINT32_MAX);
	rig_free(c);
	/* More than one command may move is refused before a buffer is asked for. */
	ck_assert_uint_eq(rig_in(n, 3, "88 00 00 00 00 00 00 00 00 00 00 00 40 01"),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_in(n, 3, "88 00 00 00 00 00 00 00 00 00 ff ff ff ff"),
			  SENSE_CDB_FIELD);
	rig_nexus_close(n);
	scsi_lu_free(lun[0].lu);
}
END_TEST

START_TEST(short_data_out)
{
	uint8_t data[1024];
	struct rig_cmd *c;
	uint32_t under, over;

	memset(data, 'b', sizeof(data));
	memset(rig_mem(s.disk), 'a', 2048);
	c = rig_do(s.a, 1, "2a 00 00 00 00 00 00 00 03", GW_DIR_OUT, 1024, data);
	ck_assert_uint_eq(rig_result(c), 0);
	gw_cmd_residual(&c->cmd, &under, &over);
	ck_assert_uint_eq(under, 0);
	ck_assert_uint_eq(over, 512);
	ck_assert_uint_eq(rig_mem(s.disk)[1023], 'b');
	ck_assert_uint_eq(rig_mem(s.disk)[1024], 'a');
	rig_free(c);
	/* A piece of a block: nothing is moved. */
	memset(rig_mem(s.disk), 'a', 2048);
	c = rig_do(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 200, data);
	ck_assert_uint_eq(rig_result(c), SENSE_CIU_FIELD);
	gw_cmd_residual(&c->cmd, &under, &over);
	ck_assert_uint_eq(over, 512 - 200);
	ck_assert_uint_eq(rig_mem(s.disk)[0], 'a');
	rig_free(c);
	c = rig_do(s.a, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_NONE, 0, data);
	ck_assert_uint_eq(rig_result(c), 0);
	gw_cmd_residual(&c->cmd, &under, &over);
	ck_assert_uint_eq(over, 512);
	rig_free(c);
	c = rig_do(s.a, 1, "28 00 00 00 00 00 00 00 01", GW_DIR_IN, 10000, data);
	gw_cmd_residual(&c->cmd, &under, &over);
	ck_assert_uint_eq(under, 10000 - 512);
	rig_free(c);
}
END_TEST

START_TEST(backend_errors)
{
	static const struct {
		uint8_t op, st;
		const char *cdb;
		uint32_t sense;
	} cases[] = {
	    {BE_READ, BE_EMEDIUM, "28 00 00 00 00 05 00 00 01", SENSE_READ_ERROR},
	    {BE_WRITE, BE_EMEDIUM, "2a 00 00 00 00 05 00 00 01", SENSE_WRITE_ERROR},
	    {BE_WRITE, BE_ENOSPC, "2a 00 00 00 00 05 00 00 01", SENSE_NO_SPACE},
	    {BE_WRITE, BE_EROFS, "2a 00 00 00 00 05 00 00 01", SENSE_WRITE_PROTECTED},
	    {BE_WRITE, BE_EGONE, "2a 00 00 00 00 05 00 00 01", SENSE_NOT_READY},
	    {BE_READ, BE_ERANGE, "28 00 00 00 00 05 00 00 01", SENSE_LBA_RANGE},
	    {BE_FLUSH, BE_EMEDIUM, "35", SENSE_WRITE_ERROR},
	    {BE_READ, BE_EBUSY, "28 00 00 00 00 05 00 00 01", SAM_BUSY},
	    {BE_ZERO, BE_ENOSPC, "93 01 00 00 00 00 00 00 00 00 00 00 00 01", SENSE_NO_SPACE},
	    {BE_READ, BE_EMEDIUM, "2f 00 00 00 00 05 00 00 01", SENSE_READ_ERROR},
	};
	static uint8_t block[512];

	for (unsigned i = 0; i < GW_ARRAY_LEN(cases); i++) {
		bool out = cases[i].cdb[0] == '2' && cases[i].cdb[1] == 'a';
		struct rig_cmd *c;

		memset(rig.fail, 0, sizeof(rig.fail));
		rig.fail[cases[i].op] = cases[i].st;
		c = rig_do(s.a, 1, cases[i].cdb, out ? GW_DIR_OUT : GW_DIR_IN, 512, block);
		ck_assert_uint_eq(rig_result(c), cases[i].sense);
		ck_assert_uint_eq(c->cmd.in_len, 0);
		ck_assert_uint_eq(c->cmd.moved, 0);
		if (cases[i].st == BE_EMEDIUM && cases[i].op != BE_FLUSH) {
			ck_assert_uint_eq(c->cmd.sense[0], 0xf0);
			ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), 5);
		}
		rig_free(c);
	}
}
END_TEST

START_TEST(verify_compares)
{
	static uint8_t data[300 * 512];
	struct rig_cmd *c;

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	memcpy(rig_mem(s.disk), data, sizeof(data));
	ck_assert_uint_eq(
	    rig_try(s.a, 1, "2f 02 00 00 00 00 00 01 2c", GW_DIR_OUT, sizeof(data), data), 0);
	data[270 * 512 + 3] ^= 1;
	c = rig_do(s.a, 1, "2f 02 00 00 00 00 00 01 2c", GW_DIR_OUT, sizeof(data), data);
	ck_assert_uint_eq(rig_result(c), SENSE_MISCOMPARE);
	ck_assert_uint_eq(gw_be32(c->cmd.sense + 3), 270 * 512 + 3);
	rig_free(c);
	/* BYTCHK 0 reads without data-out. */
	ck_assert_uint_eq(rig_none(s.a, 1, "8f 00 00 00 00 00 00 00 00 00 00 00 01 2c"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "2f 04 00 00 00 00 00 00 01"), SENSE_CDB_FIELD);
	/* BYTCHK 3: one block for all. */
	memset(rig_mem(s.disk), 9, 300 * 512);
	memset(data, 9, 512);
	ck_assert_uint_eq(rig_try(s.a, 1, "af 06 00 00 00 00 00 00 01 2c", GW_DIR_OUT, 512, data),
			  0);
	data[511] = 8;
	ck_assert_uint_eq(rig_try(s.a, 1, "af 06 00 00 00 00 00 00 01 2c", GW_DIR_OUT, 512, data),
			  SENSE_MISCOMPARE);
	ck_assert_uint_le(rig.largest, SCSI_WORK_SIZE);
}
END_TEST

static void
unmap_list(uint8_t *p, unsigned i, uint64_t lba, uint32_t nblk)
{
	gw_put_be16(p, (uint16_t)(6 + 16 * (i + 1)));
	gw_put_be16(p + 2, (uint16_t)(16 * (i + 1)));
	gw_put_be64(p + 8 + 16 * i, lba);
	gw_put_be32(p + 16 + 16 * i, nblk);
}

START_TEST(unmap_lists)
{
	static uint8_t p[8 + 16 * 300];
	char cdb[40];
	uint8_t *mem = rig_mem(s.disk);

	memset(mem, 1, 10 * 512);
	unmap_list(p, 0, 1, 2);
	unmap_list(p, 1, 8, 1);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 28", GW_DIR_OUT, 40, p), 0);
	ck_assert_uint_eq(mem[511], 1);
	ck_assert_uint_eq(mem[512], 0);
	ck_assert_uint_eq(mem[3 * 512], 1);
	ck_assert_uint_eq(mem[8 * 512], 0);
	/* One bad range and nothing is touched. */
	memset(mem, 1, 10 * 512);
	rig.submitted[BE_UNMAP] = 0;
	unmap_list(p, 1, RIG_BLOCKS, 1);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 28", GW_DIR_OUT, 40, p),
			  SENSE_LBA_RANGE);
	unmap_list(p, 1, UINT64_MAX, UINT32_MAX);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 28", GW_DIR_OUT, 40, p),
			  SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig.submitted[BE_UNMAP], 0);
	/* An empty range at the end, an empty list, no list. */
	unmap_list(p, 0, RIG_BLOCKS, 0);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 18", GW_DIR_OUT, 24, p), 0);
	gw_put_be16(p, 6);
	gw_put_be16(p + 2, 0);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 08", GW_DIR_OUT, 8, p), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "42"), 0);
	/* Lengths that lie. */
	unmap_list(p, 0, 0, 1);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 07", GW_DIR_OUT, 7, p),
			  SENSE_PARAM_LENGTH);
	gw_put_be16(p, 0xffff);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 18", GW_DIR_OUT, 24, p),
			  SENSE_PARAM_LENGTH);
	unmap_list(p, 0, 0, 1);
	gw_put_be16(p + 2, 0xfff0);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 18", GW_DIR_OUT, 24, p),
			  SENSE_PARAM_LENGTH);
	unmap_list(p, 299, 0, 1);
	snprintf(cdb, sizeof(cdb), "42 00 00 00 00 00 00 %02x %02x", 4808 >> 8, 4808 & 0xff);
	ck_assert_uint_eq(rig_try(s.a, 1, cdb, GW_DIR_OUT, 4808, p), SENSE_PARAM_FIELD);
	/* The initiator sends less than it says in the CDB. */
	unmap_list(p, 1, 0, 1);
	ck_assert_uint_eq(rig_try(s.a, 1, "42 00 00 00 00 00 00 00 28", GW_DIR_OUT, 24, p),
			  SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig.submitted[BE_UNMAP], 0);
	/* ANCHOR. */
	ck_assert_uint_eq(rig_none(s.a, 1, "42 01"), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(write_same_kinds)
{
	static uint8_t block[1024];
	uint8_t *mem = rig_mem(s.disk);

	memset(mem, 7, 1000 * 512);
	ck_assert_uint_eq(rig_try(s.a, 1, "41 00 00 00 00 01 00 00 02", GW_DIR_OUT, 512, block), 0);
	ck_assert_uint_eq(mem[511], 7);
	ck_assert_uint_eq(mem[512] | mem[3 * 512 - 1], 0);
	ck_assert_uint_eq(mem[3 * 512], 7);
	ck_assert_uint_eq(rig.submitted[BE_ZERO], 1);
	ck_assert_uint_eq(rig.last_flags & BE_MAY_UNMAP, 0);
	ck_assert_uint_eq(
	    rig_try(s.a, 1, "93 08 00 00 00 00 00 00 00 04 00 00 00 01", GW_DIR_OUT, 512, block),
	    0);
	ck_assert_uint_eq(rig.last_flags & BE_MAY_UNMAP, BE_MAY_UNMAP);
	/* A pattern, longer than the work memory. */
	memset(block, 0xa5, 512);
	block[1] = 1;
	ck_assert_uint_eq(
	    rig_try(s.a, 1, "93 00 00 00 00 00 00 00 00 05 00 00 03 00", GW_DIR_OUT, 512, block),
	    0);
	for (unsigned i = 5; i < 5 + 768; i++)
		ck_assert_mem_eq(mem + i * 512, block, 512);
	ck_assert_uint_eq(mem[773 * 512], 7);
	/* NDOB, no data-out. */
	ck_assert_uint_eq(rig_none(s.a, 1, "93 01 00 00 00 00 00 00 00 05 00 00 00 01"), 0);
	ck_assert_uint_eq(mem[5 * 512], 0);
	/* To the end of the medium. */
	mem[RIG_BLOCKS * 512 - 1] = 1;
	ck_assert_uint_eq(rig_none(s.a, 1, "93 01 00 00 00 00 00 00 ff ff 00 00 00 00"), 0);
	ck_assert_uint_eq(mem[RIG_BLOCKS * 512 - 1], 0);
	/* Without BE_ZERO, zeroes are written. */
	rig.fail[BE_ZERO] = BE_ENOTSUP;
	mem[9 * 512] = 1;
	ck_assert_uint_eq(rig_none(s.a, 1, "93 01 00 00 00 00 00 00 00 09 00 00 00 01"), 0);
	ck_assert_uint_eq(mem[9 * 512], 0);
	/* What is refused. */
	ck_assert_uint_eq(rig_none(s.a, 1, "93 11 00 00 00 00 00 00 00 00 00 00 00 01"),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "93 21 00 00 00 00 00 00 00 00 00 00 00 01"),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_try(s.a, 1, "41 00 00 00 00 01 00 00 02", GW_DIR_OUT, 1024, block),
			  SENSE_CIU_FIELD);
	ck_assert_uint_eq(rig_try(s.a, 1, "41 00 00 00 00 01 00 00 02", GW_DIR_OUT, 256, block),
			  SENSE_CIU_FIELD);
}
END_TEST

START_TEST(thin_or_not)
{
	struct scsi_lu_conf conf = rig_conf(1);
	uint8_t block[512] = {0};

	conf.thin = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, "42"), SENSE_INVALID_OPCODE);
	ck_assert_uint_eq(rig_try(s.a, 1, "41 08 00 00 00 01 00 00 02", GW_DIR_OUT, 512, block),
			  SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_try(s.a, 1, "41 00 00 00 00 01 00 00 02", GW_DIR_OUT, 512, block), 0);
}
END_TEST

START_TEST(no_work_memory_left)
{
	enum {
		N = 40
	};
	struct rig_cmd *c[N];

	rig.hold = true;
	for (unsigned i = 0; i < N; i++) {
		c[i] = rig_start(s.a, 1, "2f 00 00 00 00 00 00 00 01", GW_DIR_NONE, 0);
		ck_assert(!c[i]->refused);
		rig_exec(c[i], NULL, 0);
	}
	ck_assert_uint_lt(rig.submitted[BE_READ], N);
	rig.hold = false;
	rig_run();
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(c[i]->responses, 1);
		ck_assert_uint_eq(rig_result(c[i]), 0);
		rig_free(c[i]);
	}
}
END_TEST

START_TEST(allocation_lengths)
{
	static const char *const cdbs[] = {
	    "12 00 00 00",
	    "12 01 83 00",
	    "12 01 00 00",
	    "12 01 b0 00",
	    "03 00 00 00",
	    "03 01 00 00",
	    "1a 00 3f 00",
	    "5a 10 3f 00 00 00 00 00",
	    "a0 00 02 00 00 00 00 00 00",
	    "9e 10 00 00 00 00 00 00 00 00 00 00 00",
	    "a3 0c 00 00 00 00 00 00 00",
	    "a3 0c 81 28 00 00 00 00 00",
	    "a3 0d 80 00 00 00 00 00 00",
	};
	char cdb[80];

	for (unsigned i = 0; i < GW_ARRAY_LEN(cdbs); i++) {
		uint8_t whole[255];
		uint32_t all = 0;

		for (int len = 255; len >= 0; len--) {
			struct rig_cmd *c;

			snprintf(cdb, sizeof(cdb), "%s %02x", cdbs[i], (unsigned)len);
			c = rig_do(s.a, 1, cdb, GW_DIR_IN, 255, NULL);
			ck_assert_uint_eq(rig_result(c), 0);
			if (len == 255) {
				all = c->cmd.in_len;
				memcpy(whole, c->buf, all);
			}
			ck_assert_uint_eq(c->cmd.in_len, GW_MIN(all, (uint32_t)len));
			ck_assert_uint_eq(c->cmd.moved, c->cmd.in_len);
			if (c->buf)
				ck_assert(memcmp(c->buf, whole, c->cmd.in_len) == 0);
			HOLDS_REST(c, c->cmd.in_len);
			rig_free(c);
		}
	}
}
END_TEST

RIG_SUITE("scsi/cmds", setup, teardown, write_then_read, fua_and_cache, zero_lengths,
	  extreme_ranges, huge_medium, short_data_out, backend_errors, verify_compares, unmap_lists,
	  write_same_kinds, thin_or_not, no_work_memory_left, allocation_lengths)
