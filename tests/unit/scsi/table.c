/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of commands: what holds of the rows, and what is not in it. walk.c tries all of it. */
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

static bool
has_prep_of_its_own(const struct scsi_op *op)
{
	return op->prep != NULL;
}

/* A CDB of that row that is right, with no data: SA set, everything else zero. */
static void
fill(const struct scsi_op *op, uint8_t *cdb)
{
	memset(cdb, 0, GW_CDB_MAX);
	cdb[0] = op->opcode;
	if (op->flags & OP_SA)
		cdb[1] = op->sa;
}

/* The removable disk has every command. */
static struct rig_cmd *
begin(const uint8_t *cdb)
{
	struct rig_cmd *c = rig_begin_raw(s.b, 2, cdb, 16, GW_DIR_NONE, 0);

	if (!c->refused) {
		rig.self = s.b->core;
		scsi_forget(&c->cmd);
		rig.self = NULL;
	}
	return c;
}

#define KINDS (OP_DISK | OP_CTL | OP_CD)

/* Two rows of one opcode: by service action, and what is there twice is so for different devices.
 */
static void
expect_order(const struct scsi_op *first, const struct scsi_op *then)
{
	ck_assert_uint_le(first->sa, then->sa);
	if (first->sa == then->sa)
		ck_assert_uint_eq(first->flags & then->flags & KINDS, 0);
	ck_assert_uint_eq(first->flags & OP_SA, then->flags & OP_SA);
}

START_TEST(rows_are_sane)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		ck_assert_msg(op->exec && op->name && op->seconds, "row %u", i);
		ck_assert_uint_eq(op->cdb_len, rig_cdb_len(op->opcode));
		ck_assert_uint_eq(op->usage[0], 0xff);
		/* READ TOC has two vendor-specific bits in CONTROL. */
		ck_assert_uint_eq(op->usage[op->cdb_len - 1], op->opcode == 0x43 ? 0xc0 : 0);
		for (unsigned b = op->cdb_len; b < sizeof(op->usage); b++)
			ck_assert_uint_eq(op->usage[b], 0);
		ck_assert_uint_lt(op->lba_at + op->lba_sz, op->cdb_len);
		ck_assert_uint_lt(op->nblk_at + op->nblk_sz, op->cdb_len);
		ck_assert_uint_lt(op->len_at + op->len_sz, op->cdb_len);
		ck_assert(op->flags & KINDS);
		if (op->flags & OP_BLOCKS)
			ck_assert(op->lba_sz && op->nblk_sz && (op->flags & OP_MEDIUM));
		if ((op->flags & OP_WRITES))
			ck_assert_uint_eq(op->res_class, RES_WRITE);
		if (op->dir == GW_DIR_IN && !(op->flags & OP_BLOCKS) && !has_prep_of_its_own(op))
			ck_assert_uint_gt(op->in_max, 0);
		/* Rows of one opcode are neighbours, and none is there twice. */
		if (i > 0)
			ck_assert_uint_le(scsi_ops[i - 1].opcode, op->opcode);
		if (i > 0 && scsi_ops[i - 1].opcode == op->opcode)
			expect_order(op - 1, op);
		ck_assert_uint_eq(scsi_op_row(op->opcode, op->sa, NULL)->sa, op->sa);
	}
}
END_TEST

START_TEST(opcodes_that_are_not_there)
{
	for (unsigned op = 0; op < 256; op++) {
		uint8_t cdb[GW_CDB_MAX] = {(uint8_t)op};
		struct rig_cmd *c;
		bool known;

		scsi_op_find(cdb, s.cd->view, &known);
		if (known)
			continue;
		c = begin(cdb);
		ck_assert_uint_eq(rig_result(c), SENSE_INVALID_OPCODE);
		rig_free(c);
	}
	/* A service action that is not there is a wrong field, not a wrong opcode. */
	ck_assert_uint_eq(rig_none(s.a, 1, "9e 1f"), SENSE_CDB_FIELD);
	ck_assert_uint_eq(rig_none(s.a, 1, "a3 00"), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(controller_has_few)
{
	ck_assert_uint_eq(rig_none(s.a, 0, "00"), 0);
	ck_assert_uint_eq(rig_in(s.a, 0, "12 00 00 00 60"), 0);
	ck_assert_uint_eq(rig_in(s.a, 0, "1a 00 3f 00 ff"), 0);
	for (unsigned i = 0; i < scsi_nops; i++) {
		uint8_t cdb[GW_CDB_MAX];
		struct rig_cmd *c;

		if (scsi_ops[i].flags & OP_CTL)
			continue;
		fill(&scsi_ops[i], cdb);
		c = rig_begin_raw(s.a, 0, cdb, 16, GW_DIR_NONE, 0);
		ck_assert_msg(c->refused, "%s", scsi_ops[i].name);
		ck_assert(rig_result(c) == SENSE_INVALID_OPCODE ||
			  rig_result(c) == SENSE_CDB_FIELD);
		rig_free(c);
	}
}
END_TEST

RIG_SUITE("scsi/table", setup, teardown, rows_are_sane, opcodes_that_are_not_there,
	  controller_has_few)
