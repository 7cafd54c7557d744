/* SPDX-License-Identifier: BSD-3-Clause */
/* WRITE ATOMIC(16): offered where the device promises it, within what it promises, in one piece. */
#include "tests/unit/scsi/rig.h"

static struct bench s;
static uint8_t out[65536];

static void
setup(void)
{
	bench_open(&s);
	memset(out, 0x5a, sizeof(out));
}

static void
teardown(void)
{
	bench_close(&s);
}

/* Gives LUN 1 a device with these promises, in bytes. */
static void
promise(uint32_t max, uint32_t align, uint32_t gran, uint32_t boundary)
{
	struct be_dev *dev = rig_dev_new(RIG_BLOCKS * 512, true);

	dev->atomic_max = max;
	dev->atomic_align = align;
	dev->atomic_gran = gran;
	dev->atomic_boundary = boundary;
	ck_assert_int_eq(scsi_lu_set_dev(s.disk, dev), 0);
	rig_calm(s.a);
	rig_calm(s.b);
}

static struct rig_cmd *
atomic(struct gw_nexus *n, uint32_t lba, uint16_t nblk, uint32_t edtl)
{
	char cdb[64];

	snprintf(cdb, sizeof(cdb), "9c 00 00 00 00 00 %08x 00 00 %04x 00 00", lba, nblk);
	return rig_do(n, 1, cdb, GW_DIR_OUT, edtl, out);
}

static uint32_t
try(uint32_t lba, uint16_t nblk)
{
	struct rig_cmd *c = atomic(s.b, lba, nblk, nblk * 512u);
	uint32_t r = rig_result(c);

	if (r == SENSE_CDB_FIELD)
		r = gw_be16(c->cmd.sense + 16);
	rig_free(c);
	return r;
}

static struct rig_cmd *
limits(void)
{
	return rig_do(s.a, 1, "12 01 b0 00 ff", GW_DIR_IN, 255, NULL);
}

START_TEST(one_piece_or_nothing)
{
	struct rig_cmd *c;

	promise(65536, 512, 512, 0);
	c = atomic(s.b, 7, 128, 65536);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.moved, 65536);
	rig_free(c);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	ck_assert_uint_eq(rig.last_flags, BE_ATOMIC);
	ck_assert(!memcmp(rig_mem(s.disk) + 7 * 512, out, 65536));
	ck_assert_uint_eq(rig_mem(s.disk)[7 * 512 - 1], 0);
	ck_assert_uint_eq(rig_mem(s.disk)[7 * 512 + 65536], 0);
	/* Less data than announced does not become a shorter write. */
	c = atomic(s.b, 300, 8, 2048);
	ck_assert_uint_eq(rig_result(c), SENSE_CIU_FIELD);
	ck_assert_uint_eq(c->cmd.moved, 4096);
	rig_free(c);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	/* No blocks are no error, beyond the end they are. */
	ck_assert_uint_eq(try(0, 0), 0);
	ck_assert_uint_eq(try(RIG_BLOCKS + 1, 0), SENSE_LBA_RANGE);
	ck_assert_uint_eq(try(RIG_BLOCKS - 1, 2), SENSE_LBA_RANGE);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
}
END_TEST

START_TEST(durable_where_asked)
{
	struct scsi_lu_conf conf = rig_conf(1);

	promise(65536, 512, 512, 0);
	ck_assert_uint_eq(rig_try(s.a, 1, "9c 08 00 00 00 00 00 00 00 00 00 00 00 01 00 00",
				  GW_DIR_OUT, 512, out),
			  0);
	ck_assert_uint_eq(rig.last_flags, BE_ATOMIC | BE_FUA);
	conf.write_cache = false;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.b);
	ck_assert_uint_eq(try(0, 1), 0);
	ck_assert_uint_eq(rig.last_flags, BE_ATOMIC | BE_FUA);
	/* ATOMIC BOUNDARY. */
	ck_assert_uint_eq(rig_try(s.b, 1, "9c 00 00 00 00 00 00 00 00 00 00 08 00 08 00 00",
				  GW_DIR_OUT, 4096, out),
			  SENSE_CDB_FIELD);
}
END_TEST

START_TEST(within_the_promise)
{
	struct rig_cmd *c;

	promise(32768, 4096, 2048, 16384);
	c = limits();
	ck_assert_uint_eq(gw_be32(c->buf + 44), 32); /* no more than from boundary to boundary */
	ck_assert_uint_eq(gw_be32(c->buf + 48), 8);
	ck_assert_uint_eq(gw_be32(c->buf + 52), 4);
	ck_assert_uint_eq(gw_be64(c->buf + 56), 0);
	rig_free(c);
	ck_assert_uint_eq(try(0, 32), 0);
	ck_assert_uint_eq(try(32, 32), 0);
	ck_assert_uint_eq(try(8, 4), 0);
	ck_assert_uint_eq(try(8, 24), 0);
	/* What is wrong is named. */
	ck_assert_uint_eq(try(0, 36), 12);
	ck_assert_uint_eq(try(0, 31), 12);
	ck_assert_uint_eq(try(0, 2), 12);
	ck_assert_uint_eq(try(4, 4), 2);
	ck_assert_uint_eq(try(24, 16), 2);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 4);
	/* More than one command may move. */
	promise(UINT32_MAX & ~4095u, 512, 512, 0);
	c = limits();
	ck_assert_uint_eq(gw_be32(c->buf + 44), GW_XFER_MAX / 512);
	ck_assert_uint_eq(gw_be32(c->buf + 48), 0);
	ck_assert_uint_eq(gw_be32(c->buf + 52), 0);
	rig_free(c);
	ck_assert_uint_eq(try(0, 0xffff), 12);
}
END_TEST

START_TEST(not_offered_without_a_promise)
{
	struct scsi_lu_conf conf = rig_conf(1);
	struct rig_cmd *c;

	promise(0, 1, 1, 0);
	ck_assert_uint_eq(try(0, 1), SENSE_INVALID_OPCODE);
	c = limits();
	ck_assert_uint_eq(gw_be32(c->buf + 44) | gw_be32(c->buf + 48) | gw_be32(c->buf + 52), 0);
	rig_free(c);
	c = rig_do(s.a, 1, "a3 0c 01 9c 00 00 00 00 ff ff", GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(c->buf[1], 1);
	rig_free(c);
	/* Less than a block. */
	promise(2048, 512, 512, 0);
	ck_assert_uint_eq(try(0, 4), 0);
	conf.block_size = 4096;
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	rig_calm(s.b);
	ck_assert_uint_eq(try(0, 1), SENSE_INVALID_OPCODE);
}
END_TEST

START_TEST(another_device_meanwhile)
{
	struct rig_cmd *c;

	promise(65536, 512, 512, 0);
	c = rig_start(s.b, 1, "9c 00 00 00 00 00 00 00 00 01 00 00 00 08 00 00", GW_DIR_OUT, 4096);
	ck_assert(!c->refused);
	promise(65536, 4096, 4096, 0);
	rig_exec(c, out, 4096);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	rig_free(c);
	promise(65536, 512, 512, 0);
	c = rig_start(s.b, 1, "9c 00 00 00 00 00 00 00 00 01 00 00 00 08 00 00", GW_DIR_OUT, 4096);
	promise(0, 0, 0, 0);
	rig_exec(c, out, 4096);
	rig_run();
	ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/write_atomic", setup, teardown, one_piece_or_nothing, durable_where_asked,
	  within_the_promise, not_offered_without_a_promise, another_device_meanwhile)
