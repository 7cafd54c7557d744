/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk over the table of commands: what holds for every row. */
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

START_TEST(rows_are_sane)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		ck_assert_msg(op->exec && op->name && op->seconds, "row %u", i);
		ck_assert_uint_eq(op->cdb_len, rig_cdb_len(op->opcode));
		ck_assert_uint_eq(op->usage[0], 0xff);
		ck_assert_uint_eq(op->usage[op->cdb_len - 1], 0);
		for (unsigned b = op->cdb_len; b < sizeof(op->usage); b++)
			ck_assert_uint_eq(op->usage[b], 0);
		ck_assert_uint_lt(op->lba_at + op->lba_sz, op->cdb_len);
		ck_assert_uint_lt(op->nblk_at + op->nblk_sz, op->cdb_len);
		ck_assert_uint_lt(op->len_at + op->len_sz, op->cdb_len);
		ck_assert(op->flags & (OP_DISK | OP_CTL));
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
			ck_assert_uint_lt(scsi_ops[i - 1].sa, op->sa);
		ck_assert_ptr_eq(scsi_op_row(op->opcode, op->sa, NULL), op);
	}
}
END_TEST

START_TEST(each_reserved_bit_is_refused)
{
	uint8_t cdb[GW_CDB_MAX];

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		struct rig_cmd *c;

		fill(op, cdb);
		c = begin(cdb);
		if (rig_result(c) == SENSE_CDB_FIELD)
			ck_assert_msg(op->prep || op->opcode == 0x12, "%s: plain CDB", op->name);
		rig_free(c);
		for (unsigned byte = 1; byte < op->cdb_len; byte++) {
			for (int bit = 0; bit < 8; bit++) {
				if (op->usage[byte] >> bit & 1)
					continue;
				fill(op, cdb);
				cdb[byte] |= (uint8_t)(1 << bit);
				c = begin(cdb);
				ck_assert_msg(c->refused, "%s: byte %u bit %d", op->name, byte,
					      bit);
				ck_assert_uint_eq(rig_result(c), SENSE_CDB_FIELD);
				ck_assert_uint_eq(c->cmd.sense_len, 18);
				ck_assert_uint_eq(c->cmd.sense[15], 0xc8 | bit);
				ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), byte);
				rig_free(c);
			}
		}
	}
}
END_TEST

/* The bits that the table allows never are a reserved-bit error: pointers only come from prep. */
START_TEST(allowed_bits_pass)
{
	uint8_t cdb[GW_CDB_MAX];

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		for (unsigned byte = 1; byte < op->cdb_len; byte++) {
			for (int bit = 0; bit < 8; bit++) {
				struct rig_cmd *c;

				if (!(op->usage[byte] >> bit & 1))
					continue;
				if (byte == 1 && (op->flags & OP_SA))
					continue;
				fill(op, cdb);
				cdb[byte] |= (uint8_t)(1 << bit);
				c = begin(cdb);
				if (rig_result(c) == SENSE_CDB_FIELD && !op->prep)
					ck_assert_uint_eq(gw_be16(c->cmd.sense + 16), op->nblk_at);
				rig_free(c);
			}
		}
	}
}
END_TEST

static void
put(uint8_t *cdb, const struct scsi_op *op, unsigned at, unsigned size, uint64_t v)
{
	for (unsigned i = at + size; i-- > at; v >>= 8)
		cdb[i] |= (uint8_t)v & op->usage[i];
}

START_TEST(ranges)
{
	static const uint64_t lbas[] = {RIG_BLOCKS, RIG_BLOCKS + 1, 1ull << 20,    UINT32_MAX,
					1ull << 32, 1ull << 54,     1ull << 55,    (1ull << 55) - 1,
					1ull << 63, UINT64_MAX,     UINT64_MAX - 1};

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		if (!op->lba_sz)
			continue;
		for (unsigned k = 0; k < GW_ARRAY_LEN(lbas); k++) {
			uint64_t mask = op->lba_sz == 8   ? UINT64_MAX
					: op->lba_sz == 4 ? UINT32_MAX
							  : 0x1fffff;
			uint8_t cdb[GW_CDB_MAX];
			struct rig_cmd *c;

			if ((lbas[k] & mask) < RIG_BLOCKS)
				continue;
			fill(op, cdb);
			put(cdb, op, op->lba_at, op->lba_sz, lbas[k]);
			put(cdb, op, op->nblk_at, op->nblk_sz, 1);
			c = begin(cdb);
			ck_assert_msg(c->refused, "%s lba %#llx", op->name,
				      (unsigned long long)lbas[k]);
			ck_assert_uint_eq(rig_result(c), SENSE_LBA_RANGE);
			ck_assert_uint_eq(c->cmd.data_len, 0);
			rig_free(c);
			/* The largest length from the last block. */
			fill(op, cdb);
			put(cdb, op, op->lba_at, op->lba_sz, RIG_BLOCKS - 1);
			put(cdb, op, op->nblk_at, op->nblk_sz, UINT64_MAX);
			c = begin(cdb);
			ck_assert_uint_eq(rig_result(c), SENSE_LBA_RANGE);
			rig_free(c);
		}
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

START_TEST(reported_as_they_are)
{
	struct rig_cmd *all =
	    rig_do(s.b, 2, "a3 0c 80 00 00 00 00 00 ff ff", GW_DIR_IN, 65535, NULL);
	uint32_t len = gw_be32(all->buf);
	unsigned rows = 0;

	ck_assert_uint_eq(all->cmd.in_len, len + 4);
	for (uint32_t off = 4; off < len + 4; off += 20, rows++) {
		const uint8_t *d = all->buf + off;
		bool sa = d[5] & 1;
		const struct scsi_op *op = scsi_op_row(d[0], gw_be16(d + 2), NULL);
		char cdb[64];
		struct rig_cmd *c;

		ck_assert_ptr_nonnull(op);
		ck_assert_uint_eq(d[5] & 2, 2);
		ck_assert_uint_eq(gw_be16(d + 6), op->cdb_len);
		ck_assert_uint_eq(gw_be16(d + 8), 10);
		snprintf(cdb, sizeof(cdb), "a3 0c %02x %02x %02x %02x 00 00 ff ff", sa ? 2 : 1,
			 d[0], d[2], d[3]);
		c = rig_do(s.b, 2, cdb, GW_DIR_IN, 65535, NULL);
		ck_assert_uint_eq(rig_result(c), 0);
		ck_assert_uint_eq(c->buf[1], 3);
		ck_assert_uint_eq(c->cmd.in_len, 4u + op->cdb_len);
		ck_assert_uint_eq(c->buf[4], op->opcode);
		if (sa)
			ck_assert_uint_eq(c->buf[5] & 0x1f, op->sa);
		rig_free(c);
		/* The other way of asking is an error. */
		snprintf(cdb, sizeof(cdb), "a3 0c %02x %02x %02x %02x 00 00 ff ff", sa ? 1 : 2,
			 d[0], d[2], d[3]);
		ck_assert_uint_eq(rig_in(s.b, 2, cdb), SENSE_CDB_FIELD);
	}
	ck_assert_uint_eq(rows, scsi_nops);
	rig_free(all);
	/* What is not there, and what this LU does not have. */
	all = rig_do(s.b, 2, "a3 0c 01 c1 00 00 00 00 ff ff", GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(all->buf[1], 1);
	ck_assert_uint_eq(all->cmd.in_len, 4);
	rig_free(all);
	all = rig_do(s.a, 1, "a3 0c 01 1e 00 00 00 00 ff ff", GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(all->buf[1], 1);
	rig_free(all);
	ck_assert_uint_eq(rig_in(s.b, 2, "a3 0c 04 00 00 00 00 00 ff ff"), SENSE_CDB_FIELD);
}
END_TEST

RIG_SUITE("scsi/table", setup, teardown, rows_are_sane, each_reserved_bit_is_refused,
	  allowed_bits_pass, ranges, opcodes_that_are_not_there, controller_has_few,
	  reported_as_they_are)
