/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What writes, on LUs that must not be written: every row of the table, against an LU that is
 * read-only for all or for this initiator, write protected by software, ejected or offline, or
 * becomes so while the data is on its way. The status must say so and the medium must not change.
 */
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

#define Z8  "0000000000000000"
#define Z64 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8

/*
 * Commands that change a medium full of ROWS_FILL. All but these name a range in the CDB and write
 * data-out of another byte to it.
 */
static const struct command {
	uint8_t opcode, sa;
	const char *cdb, *out;
	const char *elsewhere; /* too much to build here: the test that has it */
} commands[] = {
    {.opcode = 0x42,
     .cdb = "42 00 00 00 00 00 00 00 18 00",
     .out = "0016 0010 00000000 0000000000000008 00000008 00000000"},
    {.opcode = 0x48, .sa = 0x01, .cdb = "48 01 00 00 00 00 00 00 08", .out = "01 00 0004 11223344"},
    {.opcode = 0x48, .sa = 0x02, .cdb = "48 02"},
    {.opcode = 0x48, .sa = 0x03, .cdb = "48 03"},
    {.opcode = 0x83,
     .sa = 0x11, /* the token that stands for zeroes */
     .cdb = "83 11 00 00 00 00 00 00 00 01 00 00 02 28",
     .out = "0226 000000000000" Z8
	    "ffff0001 0000 01f8" Z64 Z64 Z64 Z64 Z64 Z64 Z64 Z8 Z8 Z8 Z8 Z8 Z8 Z8
	    "000000000000 0010 0000000000000008 00000008 00000000"},
};

static const struct command *
command_of(const struct scsi_op *op)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(commands); i++)
		if (commands[i].opcode == op->opcode && commands[i].sa == op->sa)
			return &commands[i];
	return NULL;
}

/* Its CDB, and data-out in `out`; the length of what is there. */
static uint32_t
build(const struct scsi_op *op, uint8_t *cdb, uint8_t *out)
{
	const struct command *c = command_of(op);

	memset(out, 0x11, 8192);
	rows_cdb(op, cdb);
	if (c && c->cdb) {
		memset(cdb, 0, GW_CDB_MAX);
		rig_unhex(c->cdb, cdb);
		return c->out ? rig_unhex(c->out, out) : 0;
	}
	if (op->lba_sz)
		rows_put(cdb, op, op->lba_at, op->lba_sz, 8);
	if (op->nblk_sz)
		rows_put(cdb, op, op->nblk_at, op->nblk_sz, 1);
	/* COMPARE AND WRITE: what to compare with comes first. */
	if (op->opcode == 0x89)
		memset(out, ROWS_FILL, 512);
	return 8192;
}

static struct rig_cmd *
run(const struct scsi_op *op, unsigned lun)
{
	uint8_t cdb[GW_CDB_MAX], out[8192];
	uint32_t len = build(op, cdb, out);

	return rows_do(&s, lun, cdb, out, len);
}

static bool
is_tried(const struct scsi_op *op)
{
	const struct command *c = command_of(op);

	return op->flags & OP_WRITES && !(c && c->elsewhere);
}

/* Without this the others would show nothing. */
START_TEST(all_of_them_write)
{
	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		struct rig_cmd *c;

		if (!is_tried(op))
			continue;
		c = run(op, rows_lun(&s, op));
		ck_assert_msg(
		    rig_result(c) == 0 && rows_changes() > 0,
		    "%s: %#x, and nothing written. Give it a line in commands[] of protect.c "
		    "that writes, or one that names the test that has one",
		    op->name, rig_result(c));
		rig_free(c);
		teardown();
		setup();
	}
}
END_TEST

/* States. */

static void
readonly(unsigned lun)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.lun[lun].lu);

	conf.readonly = true;
	ck_assert_int_eq(scsi_lu_update(s.lun[lun].lu, &conf), 0);
}

/* For this initiator alone; the LU is as it was. */
static void
masked(unsigned lun)
{
	static struct gw_lunset set;
	static struct gw_target t;

	t = s.t;
	set = (struct gw_lunset){.all = true, .ro = true, .lun = t.lun, .nlun = t.nlun};
	strcpy(set.who, s.n->initiator);
	t.map = &set;
	t.nmap = 1;
	rig.self = s.n->core;
	ck_assert_int_eq(scsi_nexus_retarget(s.n, &t), 0);
	rig.self = NULL;
}

static void protected(unsigned lun)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.lun[lun].lu);

	conf.swp = true;
	ck_assert_int_eq(scsi_lu_update(s.lun[lun].lu, &conf), 0);
}

static void
offline(unsigned lun)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.lun[lun].lu);

	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(s.lun[lun].lu, &conf), 0);
}

static void
eject(unsigned lun)
{
	static const uint8_t cdb[16] = {0x1b, 0, 0, 0, 0x02};
	struct rig_cmd *c = rows_do(&s, lun, cdb, NULL, 0);

	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
}

static const struct state {
	const char *name;
	void (*enter)(unsigned lun);
	uint32_t sense, removable; /* if another one with removable medium */
} states[] = {
    {"read-only", readonly, SENSE_WRITE_PROTECTED, 0},
    {"read-only for this initiator", masked, SENSE_WRITE_PROTECTED, 0},
    {"write protected", protected, SENSE_SW_PROTECTED, 0},
    {"offline", offline, SENSE_MANUAL, SENSE_NO_MEDIUM},
    {"ejected", eject, 0, SENSE_TRAY_OPEN},
};

/* The sense of a refusal on that LUN; 0: it cannot be in that state. */
static uint32_t
sense_of(const struct state *st, unsigned lun)
{
	return s.lun[lun].lu->view->conf.removable && st->removable ? st->removable : st->sense;
}

static void
expect_refused(const struct state *st, const struct scsi_op *op, unsigned lun, struct rig_cmd *c)
{
	ck_assert_msg(rig_result(c) == sense_of(st, lun), "%s, LUN %u %s: %#x", op->name, lun,
		      st->name, rig_result(c));
	ck_assert_uint_eq(rows_changes(), 0);
	ck_assert(rows_untouched(&s, lun));
	rig_free(c);
}

/* fn for each row that writes, on each LUN that has it, in each state that it can have. */
static void
each(void (*fn)(const struct state *, const struct scsi_op *, unsigned))
{
	for (unsigned i = 0; i < scsi_nops; i++)
		for (unsigned lun = 0; lun < LUN_MAX; lun++)
			for (unsigned k = 0; k < GW_ARRAY_LEN(states); k++) {
				const struct scsi_op *op = &scsi_ops[i];

				if (!is_tried(op) || !scsi_op_has(op, rows_view(&s, lun)) ||
				    !sense_of(&states[k], lun))
					continue;
				fn(&states[k], op, lun);
				teardown();
				setup();
			}
}

static void
refused_before(const struct state *st, const struct scsi_op *op, unsigned lun)
{
	st->enter(lun);
	rig_calm(s.n);
	expect_refused(st, op, lun, run(op, lun));
}

START_TEST(refused)
{
	each(refused_before);
}
END_TEST

static void
refused_after(const struct state *st, const struct scsi_op *op, unsigned lun)
{
	uint8_t cdb[GW_CDB_MAX], out[8192];
	uint32_t len = build(op, cdb, out);
	struct rig_cmd *c = rows_begin(&s, lun, cdb, GW_DIR_NONE, 0);

	ck_assert_msg(!c->refused, "%s: %#x", op->name, rig_result(c));
	c->cmd.edtl = c->cmd.data_len;
	st->enter(lun);
	rig_exec(c, out, len);
	rows_settle(&s, c);
	expect_refused(st, op, lun, c);
}

START_TEST(refused_while_data_comes)
{
	each(refused_after);
}
END_TEST

/* A command that writes and does not say so in its row would be seen here. */
START_TEST(nothing_else_writes)
{
	for (unsigned i = 0; i < scsi_nops; i++)
		for (unsigned lun = 0; lun < LUN_MAX; lun++) {
			const struct scsi_op *op = &scsi_ops[i];

			if (lun == LUN_CTL || !scsi_op_has(op, rows_view(&s, lun)))
				continue;
			readonly(lun);
			rig_calm(s.n);
			rig_free(run(op, lun));
			ck_assert_msg(!rows_changes() && rows_untouched(&s, lun),
				      "%s writes to a read-only LUN", op->name);
			teardown();
			setup();
		}
}
END_TEST

RIG_SUITE("scsi/protect", setup, teardown, all_of_them_write, refused, refused_while_data_comes,
	  nothing_else_writes)
