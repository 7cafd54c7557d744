/* SPDX-License-Identifier: BSD-3-Clause */
/* Every command that writes, on a store that is full: 7/2707, and nothing has changed. */
#include "tests/unit/scsi/rows.h"

static struct rows s;

static void
setup(void)
{
	rows_open(&s);
}

static void
teardown(void)
{
	rows_close(&s);
}

static void
full(uint8_t st)
{
	rig.fail[BE_WRITE] = rig.fail[BE_ZERO] = rig.fail[BE_UNMAP] = st;
}

/* What the command wants of the first block, in out; its bytes. */
static uint32_t
parameters(const struct scsi_op *op, uint8_t *cdb, uint8_t *out)
{
	static const uint8_t pattern[5] = {1, 0, 0, 1, 0x11};

	memset(out, 0x11, 1024);
	if (op->lba_sz)
		rows_put(cdb, op, op->nblk_at, op->nblk_sz, 1);
	switch (op->opcode) {
	case 0x89: /* COMPARE AND WRITE: what is there */
		memset(out, ROWS_FILL, 512);
		return 1024;
	case 0x42: /* UNMAP */
		memset(out, 0, 24);
		gw_put_be16(out, 22);
		gw_put_be16(out + 2, 16);
		gw_put_be32(out + 16, 1);
		rows_put(cdb, op, 7, 2, 24);
		return 24;
	case 0x83: /* WRITE USING TOKEN: the one for zeroes */
		memset(out, 0, 552);
		gw_put_be16(out, 550);
		gw_put_be32(out + 16, 0xffff0001);
		gw_put_be16(out + 22, 504);
		gw_put_be16(out + 534, 16);
		gw_put_be32(out + 544, 1);
		rows_put(cdb, op, 10, 4, 552);
		return 552;
	case 0x48: /* SANITIZE */
		if (op->sa != 1)
			return 0;
		memcpy(out, pattern, sizeof(pattern));
		rows_put(cdb, op, 7, 2, sizeof(pattern));
		return sizeof(pattern);
	default:
		return op->lba_sz ? 512 : 0;
	}
}

static uint32_t
write_one(uint8_t byte)
{
	uint8_t cdb[GW_CDB_MAX] = {0x2a, [8] = 1}, block[512];
	struct rig_cmd *c;
	uint32_t r;

	memset(block, byte, sizeof(block));
	c = rows_do(&s, LUN_ALL, cdb, block, sizeof(block));
	r = rig_result(c);
	rig_free(c);
	return r;
}

static void
refused(const struct scsi_op *op, uint8_t bits, bool zeroes)
{
	uint8_t cdb[GW_CDB_MAX], out[1024];
	struct rig_cmd *c;
	uint32_t len;

	rows_cdb(op, cdb);
	len = parameters(op, cdb, out);
	cdb[1] |= bits;
	if (zeroes)
		memset(out, 0, sizeof(out));
	full(BE_ENOSPC);
	c = rows_do(&s, LUN_ALL, cdb, out, len);
	ck_assert_msg(rig_result(c) == SENSE_NO_SPACE, "%s: %05x", op->name, rig_result(c));
	ck_assert_msg(c->cmd.moved == 0, "%s", op->name);
	ck_assert_msg(rows_untouched(&s, LUN_ALL), "%s", op->name);
	rig_free(c);
	full(BE_OK);
}

/* Those after whose failure the LU is out of service until it is tried again. */
static bool
erases(const struct scsi_op *op)
{
	return op->opcode == 0x04 || op->opcode == 0x48;
}

START_TEST(every_one)
{
	unsigned n = 0;

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		/* CRYPTOGRAPHIC ERASE takes no space. */
		if (!(op->flags & OP_WRITES) || (op->opcode == 0x48 && op->sa == 3))
			continue;
		refused(op, 0, false);
		if (!erases(op)) {
			ck_assert_uint_eq(write_one(0x22), 0);
			ck_assert_uint_eq(rig_mem(s.lun[LUN_ALL].lu)[511], 0x22);
		}
		teardown();
		setup();
		n++;
	}
	ck_assert_uint_ge(n, 16);
}
END_TEST

START_TEST(write_same)
{
	static const uint8_t code[] = {0x41, 0x93};

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (op->opcode != code[0] && op->opcode != code[1])
			continue;
		refused(op, 0, true);
		refused(op, 0x08, true);
	}
}
END_TEST

/* The device itself goes on as before: a later attempt is another one. */
START_TEST(an_erasure_may_be_tried_again)
{
	uint8_t tur[GW_CDB_MAX] = {0}, erase[GW_CDB_MAX] = {0x48, 2};
	struct rig_cmd *c;

	full(BE_ENOSPC);
	c = rows_do(&s, LUN_ALL, erase, NULL, 0);
	ck_assert_uint_eq(rig_result(c), SENSE_NO_SPACE);
	rig_free(c);
	c = rows_do(&s, LUN_ALL, tur, NULL, 0);
	ck_assert_uint_eq(rig_result(c), SENSE_UNSANITIZED);
	rig_free(c);
	full(BE_OK);
	c = rows_do(&s, LUN_ALL, erase, NULL, 0);
	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	ck_assert_uint_eq(write_one(0x33), 0);
}
END_TEST

RIG_SUITE("scsi/no_space", setup, teardown, every_one, write_same, an_erasure_may_be_tried_again)
