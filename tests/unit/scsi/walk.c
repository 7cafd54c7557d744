/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A walk over the table of commands, row by row: which bits of the CDB are accepted, which ranges
 * of the medium, and what REPORT SUPPORTED OPERATION CODES says of it, on each kind of LU.
 */
#include "tests/unit/scsi/rows.h"

#define GOLDEN "tests/unit/scsi/opcodes.txt"

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

/*
 * Fields of which some values are not supported, so that a bit of the mask alone may be refused:
 * with a pointer to the field, and only there.
 */
static const struct field {
	uint8_t opcode, sa, byte, mask;
} fields[] = {
    {0x04, 0x00, 1, 0x0f}, /* FORMAT UNIT: what defect list, without FMTDATA */
    {0x12, 0x00, 2, 0xff}, /* INQUIRY: page code, without EVPD */
    {0x1a, 0x00, 2, 0x3f}, /* MODE SENSE(6): page code */
    {0x1a, 0x00, 3, 0xff}, /*  ... and subpage code */
    {0x5a, 0x00, 2, 0x3f}, /* MODE SENSE(10) */
    {0x5a, 0x00, 3, 0xff},
    {0x4d, 0x00, 2, 0x3f}, /* LOG SENSE: page code */
    {0x4d, 0x00, 3, 0xff}, /*  ... subpage code */
    {0x4d, 0x00, 5, 0xff}, /*  ... and parameter pointer */
    {0x4d, 0x00, 6, 0xff},
    {0x1e, 0x00, 4, 0x03}, /* PREVENT ALLOW MEDIUM REMOVAL: obsolete values */
    {0x2f, 0x00, 1, 0x04}, /* VERIFY: BYTCHK 10b */
    {0x8f, 0x00, 1, 0x04},
    {0xaf, 0x00, 1, 0x04},
    {0x84, 0x00, 2, 0xff}, /* RECEIVE COPY STATUS: a list identifier that was used */
    {0x84, 0x07, 2, 0xff}, /* RECEIVE ROD TOKEN INFORMATION: the same in four bytes */
    {0x84, 0x07, 3, 0xff},
    {0x84, 0x07, 4, 0xff},
    {0x84, 0x07, 5, 0xff},
    {0xa0, 0x00, 2, 0xff}, /* REPORT LUNS: SELECT REPORT */
    {0x42, 0x00, 3, 0xff}, /* READ SUB-CHANNEL: format */
    {0x43, 0x00, 2, 0x0f}, /* READ TOC/PMA/ATIP: format */
    {0x43, 0x00, 6, 0xff}, /*  ... track */
    {0x46, 0x00, 1, 0x03}, /* GET CONFIGURATION: RT */
    {0x51, 0x00, 1, 0x07}, /* READ DISC INFORMATION: data type */
    {0x52, 0x00, 1, 0x03}, /* READ TRACK INFORMATION: address type */
    {0xad, 0x00, 1, 0x0f}, /* READ DISC STRUCTURE: media type */
    {0xad, 0x00, 7, 0xff}, /*  ... format */
    {0xa3, 0x0c, 2, 0x07}, /* REPORT SUPPORTED OPERATION CODES: REPORTING OPTIONS */
};

static bool
in_field(const struct scsi_op *op, unsigned byte, unsigned bit)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(fields); i++)
		if (fields[i].opcode == op->opcode && fields[i].sa == op->sa &&
		    fields[i].byte == byte && fields[i].mask >> bit & 1)
			return true;
	return false;
}

static void
expect_reserved(const struct scsi_op *op, unsigned lun, unsigned byte, int bit)
{
	unsigned at_byte = 0, was = rows_changes();
	uint8_t cdb[GW_CDB_MAX];
	struct rig_cmd *c;
	int at_bit = -1;

	rows_cdb(op, cdb);
	cdb[byte] |= (uint8_t)(1 << bit);
	c = rows_begin(&s, lun, cdb, GW_DIR_NONE, 0);
	ck_assert_msg(c->refused && rows_pointer(c, &at_byte, &at_bit) && at_byte == byte &&
			  at_bit == bit,
		      "%s on LUN %u: reserved byte %u bit %d: %#x pointing to byte %u bit %d",
		      op->name, lun, byte, bit, rig_result(c), at_byte, at_bit);
	ck_assert_uint_eq(rows_changes(), was);
	rig_free(c);
}

START_TEST(reserved_bits)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		for (unsigned lun = 0; lun < LUN_MAX; lun++)
			for (unsigned bit = 8; bit < 8u * op->cdb_len; bit++)
				if (scsi_op_has(op, rows_view(&s, lun)) &&
				    !(op->usage[bit / 8] >> bit % 8 & 1))
					expect_reserved(op, lun, bit / 8, (int)(bit % 8));
	}
	for (unsigned lun = 0; lun < LUN_MAX; lun++)
		ck_assert(rows_untouched(&s, lun));
}
END_TEST

/* The command runs, or fails for another reason than the bit. */
static void
expect_allowed(const struct scsi_op *op, unsigned byte, unsigned bit)
{
	uint8_t cdb[GW_CDB_MAX];
	unsigned at_byte = 0;
	struct rig_cmd *c;
	int at_bit = -1;
	bool points;

	rows_cdb(op, cdb);
	cdb[byte] |= (uint8_t)(1 << bit);
	c = rows_do(&s, rows_lun(&s, op), cdb, NULL, 0);
	ck_assert_uint_ne(rig_result(c), SENSE_INVALID_OPCODE);
	points = rows_pointer(c, &at_byte, &at_bit);
	/* A length that is too long points to the first byte of its field. */
	if (points && op->nblk_sz && at_byte == op->nblk_at && byte >= op->nblk_at)
		points = byte == op->nblk_at && at_bit == (int)bit && at_bit != 7;
	else if (points && op->len_sz && at_byte == op->len_at && byte >= op->len_at)
		points = false;
	else
		points = points && at_byte == byte && (at_bit < 0 || at_bit >= (int)bit);
	ck_assert_msg(
	    !points || in_field(op, byte, bit),
	    "%s: byte %u bit %u is in the usage mask, and refused with 5/2400 there. If the "
	    "field has values that are not supported, name it in fields[]",
	    op->name, byte, bit);
	rig_free(c);
}

START_TEST(allowed_bits)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		for (unsigned bit = 8; bit < 8u * op->cdb_len; bit++) {
			if (!(op->usage[bit / 8] >> bit % 8 & 1))
				continue;
			if (op->flags & OP_SA && bit / 8 == 1 && bit % 8 < 5)
				continue;
			expect_allowed(op, bit / 8, bit % 8);
			/* What it did must not matter to the next one. */
			teardown();
			setup();
		}
	}
}
END_TEST

/* Everything that the mask allows at once is no reserved bit. */
START_TEST(whole_masks)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		uint8_t cdb[GW_CDB_MAX] = {0};
		struct rig_cmd *c;
		unsigned byte = 0;
		int bit;

		memcpy(cdb, op->usage, sizeof(op->usage));
		cdb[0] = op->opcode;
		if (op->flags & OP_SA)
			cdb[1] = (uint8_t)((cdb[1] & ~0x1f) | op->sa);
		c = rows_do(&s, rows_lun(&s, op), cdb, NULL, 0);
		ck_assert_msg(!rows_pointer(c, &byte, &bit) || op->usage[byte], "%s: byte %u",
			      op->name, byte);
		rig_free(c);
		teardown();
		setup();
	}
}
END_TEST

/* Ranges. */

static const uint64_t edges[] = {
    0,
    1,
    2,
    ROWS_BLOCKS - 1,
    ROWS_BLOCKS,
    ROWS_BLOCKS + 1,
    1ull << 20,
    1ull << 21,
    1ull << 31,
    UINT32_MAX,
    1ull << 32,
    1ull << 54,
    (1ull << 55) - 1,
    1ull << 55,
    1ull << 63,
    UINT64_MAX - 1,
    UINT64_MAX,
};

/* In the CDB, as far as its fields can hold them. */
static void
expect_range(const struct scsi_op *op, uint64_t lba, uint64_t nblk)
{
	unsigned lun = rows_lun(&s, op), was = rows_changes();
	uint8_t cdb[GW_CDB_MAX];
	struct rig_cmd *c;

	rows_cdb(op, cdb);
	rows_put(cdb, op, op->lba_at, op->lba_sz, lba);
	rows_put(cdb, op, op->nblk_at, op->nblk_sz, nblk);
	lba = rows_get(cdb, op, op->lba_at, op->lba_sz);
	nblk = rows_get(cdb, op, op->nblk_at, op->nblk_sz);
	if (!nblk && op->flags & OP_ZERO_256)
		nblk = 256;
	if (!op->nblk_sz)
		nblk = 1;
	if (gw_range_ok(lba, nblk, rows_blocks(lun)))
		return;
	c = rows_begin(&s, lun, cdb, op->dir, op->dir ? 512 : 0);
	if (!c->refused) {
		rig_exec(c, NULL, 0);
		rows_settle(&s, c);
	}
	ck_assert_msg(rig_result(c) == SENSE_LBA_RANGE, "%s, LBA %#llx, %#llx blocks: %#x",
		      op->name, (unsigned long long)lba, (unsigned long long)nblk, rig_result(c));
	ck_assert_uint_eq(c->cmd.in_len, 0);
	ck_assert_uint_eq(rows_changes(), was);
	rig_free(c);
}

START_TEST(ranges)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];

		for (unsigned k = 0; op->lba_sz && k < GW_ARRAY_LEN(edges); k++)
			for (unsigned l = 0; l < GW_ARRAY_LEN(edges); l++)
				expect_range(op, edges[k], edges[l]);
	}
	for (unsigned lun = 0; lun < LUN_MAX; lun++)
		ck_assert(rows_untouched(&s, lun));
}
END_TEST

/* UNMAP: a good range first, so that a part of the list would show. */
START_TEST(ranges_in_a_list)
{
	static const uint8_t cdb[16] = {0x42, 0, 0, 0, 0, 0, 0, 0, 40};

	for (unsigned k = 0; k < GW_ARRAY_LEN(edges); k++)
		for (unsigned l = 0; l < GW_ARRAY_LEN(edges); l++) {
			uint8_t list[40] = {0, 38, 0, 32};
			struct rig_cmd *c;

			if (gw_range_ok(edges[k], (uint32_t)edges[l], ROWS_BLOCKS))
				continue;
			gw_put_be32(list + 16, 8);
			gw_put_be64(list + 24, edges[k]);
			gw_put_be32(list + 32, (uint32_t)edges[l]);
			c = rows_do(&s, LUN_ALL, cdb, list, sizeof(list));
			ck_assert_uint_eq(rig_result(c), SENSE_LBA_RANGE);
			ck_assert_uint_eq(rows_changes(), 0);
			rig_free(c);
		}
	ck_assert(rows_untouched(&s, LUN_ALL));
}
END_TEST

/* REPORT SUPPORTED OPERATION CODES. */

/* Asks LUN lun; the caller frees the answer. */
static struct rig_cmd *
ask(unsigned lun, uint8_t options, uint8_t opcode, uint16_t sa)
{
	uint8_t cdb[GW_CDB_MAX] = {0xa3,        0x0c, options, opcode, (uint8_t)(sa >> 8),
				   (uint8_t)sa, 0,    0,       0xff,   0xff};

	return rows_do(&s, lun, cdb, NULL, 0);
}

/* What one answer of the LUN says of the row; what it says must be consistent. */
static bool
supported(unsigned lun, const struct scsi_op *op, uint8_t usage[16], uint32_t *seconds)
{
	uint8_t options = op->flags & OP_SA ? 2 : 1;
	struct rig_cmd *c = ask(lun, 0x80 | 3, op->opcode, op->sa);
	struct rig_cmd *other = ask(lun, options, op->opcode, op->sa);
	unsigned len = gw_be16(c->buf + 2);
	bool yes = (c->buf[1] & 7) == 3;

	ck_assert_uint_eq(rig_result(c), 0);
	if (yes) {
		ck_assert_uint_eq(c->buf[1], 0x83);
		ck_assert_uint_eq(c->cmd.in_len, 4 + len + 12);
		ck_assert_uint_eq(len, op->cdb_len);
		memcpy(usage, c->buf + 4, len);
		*seconds = gw_be32(c->buf + 4 + len + 8);
		ck_assert_uint_eq(rig_result(other), 0);
		ck_assert_uint_eq(other->buf[1], 3);
		ck_assert_uint_eq(other->cmd.in_len, 4 + len);
		ck_assert_mem_eq(other->buf + 4, c->buf + 4, len);
	} else {
		ck_assert_uint_eq(c->buf[1], 1);
		ck_assert_uint_eq(c->cmd.in_len, 4);
		if (rig_result(other) == 0)
			ck_assert_uint_eq(other->buf[1], 1);
		else
			ck_assert_uint_eq(rig_result(other), SENSE_CDB_FIELD);
	}
	rig_free(c);
	rig_free(other);
	return yes;
}

/* The row as it is in the golden file. */
static void
describe(const struct scsi_op *op, char *line, size_t size)
{
	char kinds[] = ROWS_LETTERS, code[8], mask[33] = "";
	uint8_t usage[16] = {0};
	uint32_t seconds = 0;

	for (unsigned lun = 0; lun < ROWS_KINDS; lun++) {
		const struct scsi_op *own = scsi_op_row(op->opcode, op->sa, rows_view(&s, lun));
		/* The code may be another command's on another kind of device. */
		bool yes = (!own || own == op) && supported(lun, op, usage, &seconds);

		ck_assert_msg(yes == scsi_op_has(op, rows_view(&s, lun)), "%s on LUN %u", op->name,
			      lun);
		if (!yes)
			kinds[lun] = lun == LUN_ROM ? ' ' : '-';
	}
	snprintf(code, sizeof(code), op->flags & OP_SA ? "%02x/%02x" : "%02x", op->opcode, op->sa);
	for (unsigned i = 0; i < op->cdb_len; i++)
		snprintf(mask + 2 * i, 3, "%02x", usage[i]);
	snprintf(line, size, "%-5s  %s %5u s  %-32s  %s", code, kinds, seconds, mask, op->name);
}

/* The lines of the golden file that are not comments. */
struct golden {
	char line[256][160];
	bool seen[256];
	unsigned n;
};

static void
read_golden(struct golden *g)
{
	FILE *f = fopen(GOLDEN, "r");

	ck_assert_msg(f, "%s: run this test at the top of the tree", GOLDEN);
	memset(g, 0, sizeof(*g));
	while (g->n < GW_ARRAY_LEN(g->line) && fgets(g->line[g->n], sizeof(g->line[0]), f)) {
		char *line = g->line[g->n];

		line[strcspn(line, "\n")] = 0;
		if (line[0] && line[0] != '#')
			g->n++;
	}
	fclose(f);
}

static bool
take(struct golden *g, const char *line)
{
	for (unsigned i = 0; i < g->n; i++)
		if (!g->seen[i] && strcmp(g->line[i], line) == 0)
			return g->seen[i] = true;
	return false;
}

START_TEST(golden_file)
{
	static struct golden g;
	char line[160];
	bool same = true;

	read_golden(&g);
	for (unsigned i = 0; i < scsi_nops; i++) {
		describe(&scsi_ops[i], line, sizeof(line));
		if (take(&g, line))
			continue;
		printf("%s lacks this line; if the command is right, add it:\n%s\n", GOLDEN, line);
		same = false;
	}
	for (unsigned i = 0; i < g.n; i++) {
		if (g.seen[i])
			continue;
		printf("%s has this line, which no LUN says; if that is right, remove it:\n%s\n",
		       GOLDEN, g.line[i]);
		same = false;
	}
	fflush(stdout);
	ck_assert_msg(same, "%s and the commands differ in the lines above", GOLDEN);
}
END_TEST

/* All commands at once, with and without timeouts: what asking for each of them says. */
static void
expect_all(unsigned lun, bool timeouts)
{
	struct rig_cmd *c = ask(lun, timeouts ? 0x80 : 0, 0, 0);
	unsigned rows = 0, step = timeouts ? 20 : 8;
	uint32_t len;

	ck_assert_uint_eq(rig_result(c), 0);
	len = gw_be32(c->buf);
	ck_assert_uint_eq(c->cmd.in_len, len + 4);
	ck_assert_uint_eq(len % step, 0);
	for (uint32_t off = 4; off < len + 4; off += step) {
		const uint8_t *d = c->buf + off;
		const struct scsi_op *op = scsi_op_row(d[0], gw_be16(d + 2), rows_view(&s, lun));

		ck_assert_msg(op, "LUN %u has no %02x/%02x", lun, d[0], gw_be16(d + 2));
		ck_assert_uint_eq(d[5], (timeouts ? 2 : 0) | (op->flags & OP_SA ? 1 : 0));
		ck_assert_uint_eq(gw_be16(d + 6), op->cdb_len);
		ck_assert(!timeouts || (gw_be16(d + 8) == 10 && gw_be32(d + 16) == op->seconds));
	}
	for (unsigned i = 0; i < scsi_nops; i++)
		rows += scsi_op_has(&scsi_ops[i], rows_view(&s, lun));
	ck_assert_uint_eq(len / step, rows);
	rig_free(c);
}

START_TEST(all_commands)
{
	for (unsigned lun = 0; lun < LUN_MAX; lun++) {
		expect_all(lun, false);
		expect_all(lun, true);
	}
}
END_TEST

/* What is not there, and a way of asking that does not exist or does not fit the command. */
START_TEST(asked_wrongly)
{
	static const struct {
		uint8_t options, opcode, sa;
		uint32_t result;
	} cases[] = {
	    {1, 0xc1, 0x00, 0},
	    {2, 0xc1, 0x05, 0},
	    {3, 0xc1, 0x00, 0},
	    {3, 0x9e, 0x1f, 0},
	    {2, 0x9e, 0x1f, 0},
	    {3, 0x28, 0x01, 0},
	    {1, 0x9e, 0x10, SENSE_CDB_FIELD},
	    {2, 0x28, 0x00, SENSE_CDB_FIELD},
	    {4, 0x28, 0x00, SENSE_CDB_FIELD},
	    {7, 0x28, 0x00, SENSE_CDB_FIELD},
	};

	for (unsigned i = 0; i < GW_ARRAY_LEN(cases); i++) {
		struct rig_cmd *c = ask(LUN_PLAIN, cases[i].options, cases[i].opcode, cases[i].sa);

		ck_assert_msg(rig_result(c) == cases[i].result, "case %u: %#x", i, rig_result(c));
		if (!cases[i].result) {
			ck_assert_uint_eq(c->cmd.in_len, 4);
			ck_assert_uint_eq(c->buf[1], 1);
		}
		rig_free(c);
	}
}
END_TEST

RIG_SUITE("scsi/walk", setup, teardown, reserved_bits, allowed_bits, whole_masks, ranges,
	  ranges_in_a_list, golden_file, all_commands, asked_wrongly)
