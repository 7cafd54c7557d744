/* SPDX-License-Identifier: BSD-3-Clause */
/* Asymmetric access: what groups there are, how their states change, and what runs in each. */
#include "gateway/scsi/alua_priv.h"
#include "tests/unit/scsi/rig.h"

static struct bench s;

#define REPORT "a3 0a 00 00 00 00 00 00 ff ff"
#define TUR    "00"
#define SET    SENSE(6, 0x2a06)

/* Nexus a is at the port of group 1, b at that of group 7; group 3 has nobody. */
static void
setup(void)
{
	bench_open(&s);
	rig_model.ngroup = 3;
	rig_groups[1] = 3;
	rig_groups[2] = 7;
	rig_nexus_close(s.b);
	s.b = rig_nexus(1, &s.rt.t);
	s.b->tpgt = 7;
	rig_calm(s.b);
}

static void
teardown(void)
{
	bench_close(&s);
}

static void
expect(struct gw_nexus *n, const char *cdb, const char *hex)
{
	struct rig_cmd *c = rig_do(n, 1, cdb, GW_DIR_IN, 65535, NULL);
	uint8_t want[1024];
	unsigned len = rig_unhex(hex, want);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, len);
	ck_assert_mem_eq(c->buf, want, len);
	rig_free(c);
}

static struct rig_cmd *
set_list(struct gw_nexus *n, uint64_t lun, const char *list)
{
	uint8_t out[512] = {0};
	unsigned len = rig_unhex(list, out);
	char cdb[64];

	snprintf(cdb, sizeof(cdb), "a4 0a 00 00 00 00 00 00 %02x %02x", len >> 8, len & 0xff);
	return rig_do(n, lun, cdb, GW_DIR_OUT, len, out);
}

static uint32_t
set(struct gw_nexus *n, uint64_t lun, const char *list)
{
	struct rig_cmd *c = set_list(n, lun, list);
	uint32_t r = rig_result(c);

	rig_free(c);
	return r;
}

static void
administer(uint16_t tag, uint8_t state, bool preferred)
{
	struct scsi_alua_set one = {.tpgt = tag, .state = state, .preferred = preferred};

	scsi_alua_set(rig_alua, &one, 1);
}

/* Every group's one port has its number. */
START_TEST(groups)
{
	expect(s.a, REPORT,
	       "00000024 00 4f 0001 00 00 00 01 0000 0001 00 4f 0003 00 00 00 01 0000 0003"
	       "00 4f 0007 00 00 00 01 0000 0007");
	expect(s.a, "a3 2a 00 00 00 00 00 00 ff ff",
	       "00000028 10 00 0000 00 4f 0001 00 00 00 01 0000 0001"
	       "00 4f 0003 00 00 00 01 0000 0003 00 4f 0007 00 00 00 01 0000 0007");
	expect(s.a, "a3 0a 00 00 00 00 00 00 00 06", "00000024 00 4f");
	/* A portal that is gone: its port stays for those who are at it. */
	rig_model.ngroup = 2;
	expect(s.b, "a3 0a 00 00 00 00 00 00 00 04", "00000024");
	expect(s.a, "a3 0a 00 00 00 00 00 00 00 04", "00000018");
	rig_model.ngroup = 0;
	expect(s.b, REPORT, "0000000c 00 4f 0007 00 00 00 01 0000 0007");
	/* Formats are 0 and 1. */
	ck_assert_uint_eq(rig_in(s.a, 1, "a3 4a 00 00 00 00 00 00 ff ff"), SENSE_CDB_FIELD);
	/* The controller has no access states. */
	ck_assert_uint_eq(rig_in(s.a, 0, REPORT), SENSE_CDB_FIELD);
}
END_TEST

START_TEST(ports_of_the_target)
{
	uint16_t tag[SCSI_PORTS_MAX];
	struct rig_cmd *c;
	unsigned at = 4;

	s.b->tpgt = 5;
	ck_assert_uint_eq(scsi_ports(s.b, tag), 4);
	ck_assert_uint_eq(tag[0] | tag[1] << 4 | tag[2] << 8 | tag[3] << 12, 0x7531);
	ck_assert_uint_eq(scsi_ports(s.a, tag), 3);
	c = rig_do(s.a, 1, "12 01 88 ff ff", GW_DIR_IN, 65535, NULL);
	for (unsigned i = 0; i < 3; i++) {
		char name[64];

		ck_assert_uint_eq(gw_be16(c->buf + at + 2), tag[i]);
		snprintf(name, sizeof(name), "%s,t,0x%04x", RIG_IQN, tag[i]);
		ck_assert_str_eq((const char *)c->buf + at + 16, name);
		at += 12 + gw_be16(c->buf + at + 10);
	}
	ck_assert_uint_eq(at, c->cmd.in_len);
	ck_assert_uint_eq(at, 4u + gw_be16(c->buf + 2));
	rig_free(c);
	/* As many as there can be, with the longest name. */
	memset(s.rt.t.iqn, 'x', GW_NAME_MAX);
	rig_model.ngroup = GW_GROUPS_MAX;
	for (unsigned i = 0; i < GW_GROUPS_MAX; i++)
		rig_groups[i] = (uint16_t)(100 + i);
	c = rig_do(s.a, 1, "12 01 88 ff ff", GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(c->cmd.in_len, 4 + 33 * (12 + 4 + 236));
	rig_free(c);
	c = rig_do(s.a, 1, REPORT, GW_DIR_IN, 65535, NULL);
	ck_assert_uint_eq(c->cmd.in_len, 4 + 33 * 12);
	rig_free(c);
}
END_TEST

START_TEST(set_by_an_initiator)
{
	ck_assert_uint_eq(set(s.a, 1, "00000000 01 00 0001 02 00 0007"), 0);
	expect(s.a, REPORT,
	       "00000024 01 4f 0001 00 01 00 01 0000 0001 00 4f 0003 00 00 00 01 0000 0003"
	       "02 4f 0007 00 01 00 01 0000 0007");
	/* All but who has asked, where it has asked, are told. */
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), SET);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SET);
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), SET);
	ck_assert_uint_eq(rig_none(s.b, 0, TUR), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SENSE_STANDBY);
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), 0);
	/* From the group that is in standby, back. */
	ck_assert_uint_eq(set(s.b, 1, "00000000 00 00 0007"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), SET);
	rig_calm(s.a);
	rig_calm(s.b);
	/* Nothing new: nobody is told. */
	ck_assert_uint_eq(set(s.a, 1, "00000000 00 00 0007 01 00 0001"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	ck_assert_uint_eq(set(s.a, 1, "00000000"), 0);
	ck_assert_uint_eq(set(s.a, 1, ""), 0);
	/* A session that begins now begins so. */
	ck_assert_uint_eq(set(s.a, 1, "00000000 03 00 0001"), 0);
	rig_nexus_close(s.b);
	s.b = rig_nexus(1, &s.rt.t);
	rig_calm(s.b);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SENSE_UNAVAILABLE);
}
END_TEST

/* The byte of the parameter list that is wrong, and its highest bit. */
static unsigned
wrong(const char *list)
{
	struct rig_cmd *c = set_list(s.a, 1, list);
	unsigned at = gw_be16(c->cmd.sense + 16), bit = c->cmd.sense[15] & 7;

	ck_assert_uint_eq(rig_result(c), SENSE_PARAM_FIELD);
	ck_assert_uint_eq(c->cmd.sense[15] & 0xc8, 0x88);
	rig_free(c);
	return at * 10 + bit;
}

START_TEST(lists_that_are_wrong)
{
	ck_assert_uint_eq(wrong("00000000 04 00 0001"), 43);
	ck_assert_uint_eq(wrong("00000000 0e 00 0001"), 43);
	ck_assert_uint_eq(wrong("00000000 0f 00 0001"), 43);
	ck_assert_uint_eq(wrong("00000000 80 00 0001"), 47);
	ck_assert_uint_eq(wrong("00000000 02 00 0001 00 00 0002"), 107);
	ck_assert_uint_eq(wrong("00000000 02 00 0001 00 00 0000"), 107);
	/* None of it counts. */
	expect(s.a, "a3 0a 00 00 00 00 00 00 00 10", "00000024 00 4f 0001 00 00 00 01 0000 0001");
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	ck_assert_uint_eq(set(s.a, 1, "00000000 01 00 00"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(set(s.a, 1, "000000"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_none(s.a, 1, "a4 0a 00 00 00 00 00 00 00 8c"), SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_none(s.a, 1, "a4 0a 00 00 00 00 ff ff ff fc"), SENSE_PARAM_LENGTH);
	/* Less arrives than the list is long. */
	ck_assert_uint_eq(
	    rig_try(s.a, 1, "a4 0a 00 00 00 00 00 00 00 0c", GW_DIR_OUT, 8, "\0\0\0\0\1\0\0\1"),
	    SENSE_PARAM_LENGTH);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
}
END_TEST

START_TEST(set_by_the_administrator)
{
	administer(7, SCSI_ACCESS_UNAVAILABLE, false);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), SET);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SET);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SENSE_UNAVAILABLE);
	ck_assert_uint_eq(rig_none(s.b, 0, TUR), 0);
	administer(7, SCSI_ACCESS_UNAVAILABLE, false);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
	/* The preference alone is a difference, too. */
	administer(7, SCSI_ACCESS_UNAVAILABLE, true);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), SET);
	/* One group more, one that has no port at all, and one less. */
	scsi_alua_set(rig_alua,
		      (struct scsi_alua_set[]){{7, SCSI_ACCESS_OFFLINE, true},
					       {3, SCSI_ACCESS_NON_OPTIMIZED, true},
					       {900, SCSI_ACCESS_STANDBY, false}},
		      3);
	rig_calm(s.a);
	expect(s.a, REPORT,
	       "00000024 00 4f 0001 00 00 00 01 0000 0001 81 4f 0003 00 02 00 01 0000 0003"
	       "8e 4f 0007 00 02 00 01 0000 0007");
	administer(3, SCSI_ACCESS_NON_OPTIMIZED, true);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SET);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	rig_calm(s.a);
	expect(s.a, "a3 0a 00 00 00 00 00 00 00 28",
	       "00000024 00 4f 0001 00 00 00 01 0000 0001 81 4f 0003 00 02 00 01 0000 0003"
	       "00 4f 0007 00 02 00 01 0000 0007");
	scsi_alua_set(rig_alua, NULL, 0);
	rig_calm(s.a);
	rig_calm(s.b);
	scsi_alua_set(rig_alua, NULL, 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
}
END_TEST

/* What the administrator has set, initiators do not change. */
START_TEST(administrator_wins)
{
	/* It was theirs before. */
	ck_assert_uint_eq(set(s.a, 1, "00000000 02 00 0007"), 0);
	administer(7, SCSI_ACCESS_NON_OPTIMIZED, true);
	rig_calm(s.a);
	rig_calm(s.b);
	ck_assert_uint_eq(wrong("00000000 00 00 0007"), 43);
	ck_assert_uint_eq(wrong("00000000 02 00 0001 02 00 0007"), 83);
	expect(s.a, REPORT,
	       "00000024 00 4f 0001 00 00 00 01 0000 0001 00 4f 0003 00 00 00 01 0000 0003"
	       "81 4f 0007 00 02 00 01 0000 0007");
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	/* To ask for what is there is no change; other groups are theirs. */
	ck_assert_uint_eq(set(s.a, 1, "00000000 01 00 0007"), 0);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	ck_assert_uint_eq(set(s.b, 1, "00000000 02 00 0001 01 00 0007"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), SET);
	expect(s.a, "a3 0a 00 00 00 00 00 00 00 10", "00000024 02 4f 0001 00 01 00 01 0000 0001");
	/* The administrator's list says nothing of that one, so it stays. */
	administer(7, SCSI_ACCESS_OPTIMIZED, false);
	rig_calm(s.a);
	rig_calm(s.b);
	expect(s.b, "a3 0a 00 00 00 00 00 00 00 10", "00000024 02 4f 0001 00 01 00 01 0000 0001");
	ck_assert_uint_eq(wrong("00000000 02 00 0007"), 43);
	/* Given up: nothing is different, but for what may be set. */
	scsi_alua_set(rig_alua, NULL, 0);
	ck_assert_uint_eq(set(s.b, 1, "00000000 02 00 0007"), 0);
	scsi_alua_set(rig_alua, NULL, 0);
	rig_calm(s.b);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SENSE_STANDBY);
	/* The state is the same, and then it is the administrator's. */
	administer(7, SCSI_ACCESS_STANDBY, false);
	rig_calm(s.b);
	ck_assert_uint_eq(set(s.b, 1, "00000000 00 00 0007"), SENSE_PARAM_FIELD);
}
END_TEST

/* The administrator is faster than a command that is already on its way. */
START_TEST(administrator_in_between)
{
	struct rig_cmd *c = rig_start(s.b, 1, "a4 0a 00 00 00 00 00 00 00 08", GW_DIR_OUT, 8);

	administer(1, SCSI_ACCESS_NON_OPTIMIZED, false);
	rig_exec(c, "\0\0\0\0\2\0\0\1", 8);
	rig_run();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_result(c), SENSE_PARAM_FIELD);
	rig_free(c);
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
}
END_TEST

/* As many groups as there can be, all with a state, and none of them with a portal. */
START_TEST(administrator_fills_all)
{
	struct scsi_alua_set all[GW_GROUPS_MAX];

	rig_model.ngroup = GW_GROUPS_MAX;
	for (unsigned i = 0; i < GW_GROUPS_MAX; i++) {
		rig_groups[i] = (uint16_t)(1 + i);
		all[i] = (struct scsi_alua_set){
		    .tpgt = (uint16_t)(1000 + i), .state = SCSI_ACCESS_STANDBY, .preferred = true};
	}
	for (unsigned round = 0; round < 3; round++) {
		char list[32];

		scsi_alua_set(rig_alua, all, GW_GROUPS_MAX);
		rig_calm(s.a);
		for (unsigned i = 0; i < GW_GROUPS_MAX; i++) {
			snprintf(list, sizeof(list), "00000000 01 00 %04x", 1 + i);
			ck_assert_uint_eq(set(s.a, 1, list), 0);
		}
		rig_calm(s.a);
		/* Those of the portals and those without: each has its own. */
		for (unsigned i = 0; i < GW_GROUPS_MAX; i++) {
			ck_assert_uint_eq(scsi_alua_group(rig_alua, (uint16_t)(1 + i)).state, 1);
			ck_assert(!scsi_alua_group(rig_alua, (uint16_t)(1 + i)).held);
			ck_assert(scsi_alua_group(rig_alua, all[i].tpgt).held);
			ck_assert(scsi_alua_group(rig_alua, all[i].tpgt).preferred);
			all[i].tpgt = (uint16_t)(all[i].tpgt + GW_GROUPS_MAX);
		}
	}
}
END_TEST

/* What SPC-4 5.15.2.4.4 and 5.15.2.4.5 name runs, all else is refused. */
START_TEST(what_runs_where)
{
	static const struct {
		const char *cdb;
		bool standby, unavailable;
	} rows[] = {
	    {"12 00 00 00 ff", true, true},
	    {"12 01 83 00 ff", true, true},
	    {"03 00 00 00 ff", true, true},
	    {"a0 00 00 00 00 00 00 00 ff ff", true, true},
	    {REPORT, true, true},
	    {"a3 0c 00 00 00 00 00 00 ff ff", true, false},
	    {"1a 00 3f 00 ff", true, false},
	    {"5a 00 3f 00 00 00 00 ff ff", true, false},
	    {"4d 00 40 00 00 00 00 00 ff", true, false},
	    {"25", true, false},
	    {"9e 10 00 00 00 00 00 00 00 00 00 00 00 20", true, false},
	    {"28 00 00 00 00 00 00 00 01", false, false},
	    {"88 00 00 00 00 00 00 00 00 00 00 00 00 01", false, false},
	    {"08 00 00 00 01", false, false},
	    {"2f 00 00 00 00 00 00 00 01", false, false},
	    {"35", false, false},
	    {TUR, false, false},
	    {"1b 00 00 00 01", false, false},
	    {"16", false, false},
	};
	static const uint8_t states[] = {0, 1, 2, 3, SCSI_ACCESS_OFFLINE};
	static const uint32_t sense[] = {0, 0, SENSE(2, 0x040b), SENSE(2, 0x040c),
					 SENSE(2, 0x0412)};

	for (unsigned state = 0; state < GW_ARRAY_LEN(states); state++) {
		administer(7, states[state], false);
		rig_calm(s.b);
		for (unsigned i = 0; i < GW_ARRAY_LEN(rows); i++) {
			bool runs =
			    state < 2 || (state == 2 ? rows[i].standby : rows[i].unavailable);
			uint32_t r = rig_in(s.b, 1, rows[i].cdb);

			ck_assert_msg(r == (runs ? 0u : sense[state]), "state %u: %s gave %x",
				      state, rows[i].cdb, r);
			rig_none(s.b, 1, "17");
		}
	}
	/* LUNs that are not there are told of as ever. */
	ck_assert_uint_eq(rig_none(s.b, 9, TUR), SENSE_LUN_UNSUPPORTED);
	/* The other group is not concerned. */
	rig_calm(s.a);
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), 0);
}
END_TEST

/* The state changes while the data of a write is on its way. */
START_TEST(data_comes_late)
{
	struct rig_cmd *c = rig_start(s.b, 1, "2a 00 00 00 00 00 00 00 01", GW_DIR_OUT, 512);
	uint8_t fill[512];

	memset(fill, 0x77, sizeof(fill));
	administer(7, SCSI_ACCESS_STANDBY, false);
	rig_exec(c, fill, sizeof(fill));
	rig_run();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(rig_result(c), SENSE_STANDBY);
	ck_assert_uint_ne(rig_mem(s.disk)[0], 0x77);
	rig_free(c);
}
END_TEST

/* Words of groups whose portals are gone are taken over; there are always enough. */
START_TEST(tags_come_and_go)
{
	for (unsigned i = 0; i < 300; i++) {
		char list[32];

		rig_groups[1] = (uint16_t)(1000 + i);
		snprintf(list, sizeof(list), "00000000 02 00 %04x", 1000 + i);
		ck_assert_uint_eq(set(s.a, 1, list), 0);
		ck_assert_uint_eq(rig_none(s.b, 1, TUR), SET);
	}
	ck_assert_uint_eq(set(s.a, 1, "00000000 03 00 0007"), 0);
	rig_calm(s.b);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), SENSE_UNAVAILABLE);
}
END_TEST

/* The command is aborted while it goes round the cores. */
START_TEST(aborted_on_the_way)
{
	struct rig_cmd *c = rig_start(s.b, 1, "a4 0a 00 00 00 00 00 00 00 08", GW_DIR_OUT, 8);
	struct rig_tmf t;

	rig_exec(c, "\0\0\0\0\2\0\0\1", 8);
	rig_tmf(&t, s.b, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(c->cmd.status, SAM_TASK_ABORTED);
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/alua", setup, teardown, groups, ports_of_the_target, set_by_an_initiator,
	  lists_that_are_wrong, set_by_the_administrator, administrator_wins,
	  administrator_in_between, administrator_fills_all, what_runs_where, data_comes_late,
	  tags_come_and_go, aborted_on_the_way)
