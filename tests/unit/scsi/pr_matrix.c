/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands x reservations x {holder, registrant, stranger}, executed, comparing the medium: the
 * tables of SPC-4 5.12.1 and SBC-4 4.17, written down here once more.
 */
#include "tests/unit/scsi/pr.h"

#define BLOCKS 64
#define SIZE   (BLOCKS * 512)

enum access {
	FREE,     /* never a conflict */
	QUERY,    /* conflicts with RESERVE alone */
	READS,    /* the medium, or what belongs to it */
	WRITES,   /* the same */
	MODIFIES, /* writes and is seen on the medium */
};

struct command {
	const char *hex;
	uint8_t dir;
	uint32_t len; /* data-out: bytes; data-in: room */
	enum access access;
};

/* Block 7 where there is one. Data-out is 0x11 .. for the whole length but where fill() says. */
static const struct command commands[] = {
    {"0a 00 00 07 01", GW_DIR_OUT, 512, MODIFIES},
    {"2a 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"aa 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"8a 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"2e 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"ae 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"8e 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"8b 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"89 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 1024, MODIFIES},
    {"9c 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"41 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"93 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_OUT, 512, MODIFIES},
    {"93 01 00 00 00 00 00 00 00 08 00 00 00 08", GW_DIR_NONE, 0, MODIFIES},
    {"42 00 00 00 00 00 00 00 18", GW_DIR_OUT, 24, MODIFIES},
    {"48 01 00 00 00 00 00 00 08", GW_DIR_OUT, 8, MODIFIES},
    {"35 00", GW_DIR_NONE, 0, WRITES},
    {"91 00", GW_DIR_NONE, 0, WRITES},
    {"15 10", GW_DIR_NONE, 0, WRITES},
    {"55 10", GW_DIR_NONE, 0, WRITES},
    {"1d 04", GW_DIR_NONE, 0, WRITES},
    {"1b 00 00 00 04", GW_DIR_NONE, 0, WRITES},
    {"1b 00 00 00 11", GW_DIR_NONE, 0, WRITES},
    {"1b 00 00 00 01", GW_DIR_NONE, 0, QUERY},
    {"08 00 00 07 01", GW_DIR_IN, 512, READS},
    {"28 00 00 00 00 07 00 00 01", GW_DIR_IN, 512, READS},
    {"a8 00 00 00 00 07 00 00 00 01", GW_DIR_IN, 512, READS},
    {"88 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_IN, 512, READS},
    {"2f 00 00 00 00 07 00 00 01", GW_DIR_NONE, 0, READS},
    {"af 00 00 00 00 07 00 00 00 01", GW_DIR_NONE, 0, READS},
    {"8f 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_NONE, 0, READS},
    {"34 00 00 00 00 07 00 00 01", GW_DIR_NONE, 0, READS},
    {"90 00 00 00 00 00 00 00 00 07 00 00 00 01", GW_DIR_NONE, 0, READS},
    {"1a 00 3f 00 ff", GW_DIR_IN, 255, READS},
    {"5a 00 3f 00 00 00 00 00 ff", GW_DIR_IN, 255, READS},
    {"a3 0c 00 00 00 00 00 00 10 00", GW_DIR_IN, 4096, READS},
    {"a3 0d 00 00 00 00 00 00 00 10", GW_DIR_IN, 16, READS},
    {"00", GW_DIR_NONE, 0, QUERY},
    {"25", GW_DIR_IN, 8, QUERY},
    {"9e 10 00 00 00 00 00 00 00 00 00 00 00 20", GW_DIR_IN, 32, QUERY},
    {"12 00 00 00 ff", GW_DIR_IN, 255, FREE},
    {"03 00 00 00 ff", GW_DIR_IN, 255, FREE},
    {"a0 00 00 00 00 00 00 00 00 ff", GW_DIR_IN, 255, FREE},
};

enum {
	NOTHING,
	SPC2,
	REGISTERED,
	TYPES
};
static const uint8_t types[] = {PR_WRITE,     PR_ACCESS,   PR_WRITE_RO,
				PR_ACCESS_RO, PR_WRITE_AR, PR_ACCESS_AR};
#define WAYS (TYPES + GW_ARRAY_LEN(types))

enum {
	HOLDER,
	REGISTRANT,
	STRANGER
};

static struct gw_target t;
static struct gw_lun lun;
static struct gw_nexus *who[3]; /* on cores 0, 1, 1 */
static uint8_t before[SIZE];

static void
setup(void)
{
	static const char *const names[] = {"holder", "registrant", "stranger"};
	struct scsi_lu_conf conf = rig_conf(1);

	rig_init();
	lun.lun = 1;
	BUG(scsi_lu_new(&conf, rig_dev_new(SIZE, true), &lun.lu));
	t = (struct gw_target){.tid = 1, .iqn = RIG_IQN, .alua = rig_alua, .lun = &lun, .nlun = 1};
	for (unsigned i = 0; i < 3; i++)
		who[i] = pr_nexus(i > 0, &t, names[i], 1);
}

static void
teardown(void)
{
	for (unsigned i = 0; i < 3; i++)
		rig_nexus_close(who[i]);
	scsi_lu_free(lun.lu);
	BUG(rig.chans);
	scsi_fini();
}

static uint8_t *
medium(void)
{
	return rig_mem(lun.lu);
}

static void
reserve(unsigned way)
{
	if (way == SPC2)
		ck_assert_uint_eq(rig_none(who[HOLDER], 1, "16"), 0);
	if (way < REGISTERED)
		return;
	pr_register(who[HOLDER], 1);
	pr_register(who[REGISTRANT], 2);
	if (way >= TYPES)
		pr_reserve(who[HOLDER], 1, types[way - TYPES]);
}

static void
unreserve(unsigned way)
{
	for (unsigned i = 0; i < 3; i++)
		rig_calm(who[i]);
	if (way == SPC2)
		ck_assert_uint_eq(rig_none(who[HOLDER], 1, "17"), 0);
	if (way >= REGISTERED)
		ck_assert_uint_eq(pr_out(who[HOLDER], PR_OUT_CLEAR, 0, 1, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		rig_calm(who[i]);
}

/* What the standards say. */
static bool
may(enum access access, unsigned way, unsigned role)
{
	uint8_t type = way >= TYPES ? types[way - TYPES] : PR_NONE;

	if (way == NOTHING || way == REGISTERED || access == FREE)
		return true;
	if (way == SPC2)
		return role == HOLDER;
	if (access == QUERY)
		return true;
	switch (type) {
	case PR_WRITE:
		return access == READS || role == HOLDER;
	case PR_ACCESS:
		return role == HOLDER;
	case PR_WRITE_RO:
	case PR_WRITE_AR:
		return access == READS || role != STRANGER;
	default:
		return role != STRANGER;
	}
}

static void
fill(const struct command *cmd, uint8_t *out)
{
	memset(out, 0x11, cmd->len);
	if (memcmp(cmd->hex, "89", 2) == 0) /* compares with what is there */
		memcpy(out, before + 7 * 512, 512);
	if (memcmp(cmd->hex, "42", 2) == 0) {
		memset(out, 0, cmd->len);
		out[1] = 22;
		out[3] = 16;
		out[15] = 8; /* LBA 8, 8 blocks */
		out[19] = 8;
	}
	if (memcmp(cmd->hex, "48", 2) == 0) {
		memset(out, 0, cmd->len);
		out[0] = 1; /* one pass of a pattern of four bytes */
		out[3] = 4;
	}
}

static void
settle(void)
{
	rig_run();
	scsi_lu_tick(lun.lu);
	rig_tick();
}

static void
one(const struct command *cmd, unsigned way, unsigned role)
{
	uint8_t out[1024] = {0};
	struct rig_cmd *c;
	bool same;

	for (unsigned i = 0; i < SIZE; i++)
		medium()[i] = before[i] = (uint8_t)(0x40 + i % 13);
	reserve(way);
	for (unsigned i = 0; i < 3; i++)
		rig_calm(who[i]);
	if (cmd->dir == GW_DIR_OUT)
		fill(cmd, out);
	c = rig_do(who[role], 1, cmd->hex, cmd->dir, cmd->len, out);
	settle();
	same = memcmp(medium(), before, SIZE) == 0;
	if (may(cmd->access, way, role)) {
		ck_assert_msg(rig_result(c) == 0 && same == (cmd->access != MODIFIES),
			      "%s way %u role %u: %#x, medium %s", cmd->hex, way, role,
			      rig_result(c), same ? "the same" : "changed");
		if (cmd->dir == GW_DIR_IN)
			ck_assert_uint_gt(c->cmd.in_len, 0);
	} else {
		ck_assert_msg(rig_result(c) == CONFLICT && same && c->refused && !c->cmd.in_len,
			      "%s way %u role %u: %#x, medium %s", cmd->hex, way, role,
			      rig_result(c), same ? "the same" : "changed");
	}
	rig_free(c);
	unreserve(way);
}

START_TEST(whole_matrix)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(commands); i++)
		for (unsigned way = 0; way < WAYS; way++)
			for (unsigned role = 0; role < 3; role++)
				one(&commands[i], way, role);
}
END_TEST

/* The data took its time, and the reservation came before them. */
START_TEST(reserved_before_the_data_came)
{
	uint8_t out[512] = {1};

	for (unsigned way = SPC2; way < WAYS; way++) {
		struct rig_cmd *c;

		if (way == REGISTERED)
			continue;
		memset(medium(), 0, SIZE);
		c = rig_start(who[STRANGER], 1, "2a 00 00 00 00 07 00 00 01", GW_DIR_OUT, 512);
		ck_assert(!c->refused);
		reserve(way);
		rig_exec(c, out, sizeof(out));
		rig_run();
		ck_assert_uint_eq(rig_result(c), CONFLICT);
		ck_assert_uint_eq(medium()[7 * 512], 0);
		rig_free(c);
		unreserve(way);
	}
}
END_TEST

/* Rows that nobody has named above: what writes keeps strangers out, and what returns blocks. */
START_TEST(every_row)
{
	for (unsigned way = TYPES; way < WAYS; way++) {
		bool access = types[way - TYPES] == PR_ACCESS ||
			      types[way - TYPES] == PR_ACCESS_RO ||
			      types[way - TYPES] == PR_ACCESS_AR;

		reserve(way);
		for (unsigned i = 0; i < scsi_nops; i++) {
			const struct scsi_op *op = &scsi_ops[i];
			uint8_t cdb[16] = {op->opcode};
			struct rig_cmd *c;

			if (!(op->flags & OP_WRITES) && !(access && (op->flags & OP_BLOCKS)))
				continue;
			if (!scsi_op_has(op, lun.lu->view))
				continue;
			if (op->flags & OP_SA)
				cdb[1] = op->sa;
			c = rig_begin_raw(who[STRANGER], 1, cdb, 16, GW_DIR_NONE, 0);
			ck_assert_msg(rig_result(c) == CONFLICT, "%s: %#x", op->name,
				      rig_result(c));
			rig_free(c);
		}
		unreserve(way);
	}
}
END_TEST

/* The call for commands that reach other LUs says the same as the check of each command. */
START_TEST(copy_destinations)
{
	for (unsigned way = 0; way < WAYS; way++) {
		reserve(way);
		for (unsigned role = 0; role < 3; role++) {
			const struct scsi_view *v = lun.lu->core[who[role]->core->id].view;

			ck_assert_int_eq(scsi_reservation_allows(who[role], v, RES_WRITE),
					 may(WRITES, way, role));
			ck_assert_int_eq(scsi_reservation_allows(who[role], v, RES_READ),
					 may(READS, way, role));
		}
		unreserve(way);
	}
}
END_TEST

RIG_SUITE("scsi/pr_matrix", setup, teardown, whole_matrix, reserved_before_the_data_came, every_row,
	  copy_destinations)
