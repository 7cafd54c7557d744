/* SPDX-License-Identifier: BSD-3-Clause */
/* One target, two initiators that see it by different maps, and how that changes under them. */
#include "gateway/scsi/copy_priv.h"
#include "gateway/scsi/token_priv.h"
#include "tests/unit/scsi/pr.h"

#define TUR   "00"
#define WRITE "2a 00 00 00 00 00 00 00 01"
#define READ  "28 00 00 00 00 00 00 00 01"

#define NAME "iqn.2026-01.example:"
#define MAPS 3
#define LUNS 4

/* A snapshot of the bench's target with maps. */
struct shown {
	struct gw_target t;
	struct gw_lunset map[MAPS];
	struct gw_lun lun[MAPS][LUNS];
	const struct gw_lun *by_lu[MAPS][LUNS];
};

static struct bench s;
static struct shown shown[4];
static struct gw_nexus *a, *b; /* cores 0 and 1 */
static uint8_t block[512];

static void
show_as(unsigned i)
{
	struct shown *v = &shown[i];

	memset(v, 0, sizeof(*v));
	v->t = s.rt.t;
	v->t.map = v->map;
}

/* LUN `lun` of the bench as `own`; ascending. */
static void
put(struct gw_lunset *set, struct gw_lun *lun, const struct gw_lun **by_lu, struct gw_lun entry)
{
	uint32_t at = set->nlun;

	set->lun = lun;
	set->by_lu = by_lu;
	lun[set->nlun] = entry;
	for (; at > 0 && (uintptr_t)by_lu[at - 1]->lu > (uintptr_t)entry.lu; at--)
		by_lu[at] = by_lu[at - 1];
	by_lu[at] = &lun[set->nlun++];
}

/* Text such as "0=0,5=1/ro": by that number the nexus of that name knows that LUN. */
static void
map(unsigned i, const char *who, const char *text)
{
	struct shown *v = &shown[i];
	struct gw_lunset *set = &v->map[v->t.nmap];
	unsigned own, lun;
	int n;

	snprintf(set->who, sizeof(set->who), NAME "%s", who);
	for (; sscanf(text, "%u=%u%n", &own, &lun, &n) == 2; text += *text == ',') {
		struct gw_lun entry = {.lun = own, .lu = s.rt.lun[lun].lu};

		text += n;
		entry.ro = strncmp(text, "/ro", 3) == 0;
		text += entry.ro ? 3 : 0;
		put(set, v->lun[v->t.nmap], v->by_lu[v->t.nmap], entry);
	}
	v->t.nmap++;
}

static void
map_all(unsigned i, const char *who, bool ro)
{
	struct shown *v = &shown[i];

	v->map[v->t.nmap] =
	    (struct gw_lunset){.all = true, .ro = ro, .lun = v->t.lun, .nlun = v->t.nlun};
	snprintf(v->map[v->t.nmap++].who, sizeof(v->map[0].who), NAME "%s", who);
}

static void
retarget(struct gw_nexus *n, unsigned i)
{
	rig.self = n->core;
	ck_assert_int_eq(scsi_nexus_retarget(n, &shown[i].t), 0);
	rig.self = NULL;
}

/* a sees the disk as LUN 5 and nothing else; b sees all, c the other disk, d nothing. */
static void
setup(void)
{
	bench_open(&s);
	bench_name_lus(&s);
	rig_nexus_close(s.a);
	rig_nexus_close(s.b);
	s.a = s.b = NULL;
	show_as(0);
	map(0, "a", "0=0,5=1");
	map(0, "c", "0=0,1=2");
	map(0, "d", "0=0");
	a = pr_nexus(0, &shown[0].t, "a", 1);
	b = pr_nexus(1, &shown[0].t, "b", 1);
}

static void
teardown(void)
{
	rig_nexus_close(a);
	rig_nexus_close(b);
	bench_close(&s);
}

static void
expect_luns(struct gw_nexus *n, const char *hex)
{
	struct rig_cmd *c = rig_do(n, 0, "a0 00 00 00 00 00 00 00 02 00", GW_DIR_IN, 512, NULL);
	uint8_t want[128];
	unsigned len = rig_unhex(hex, want);

	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_uint_eq(c->cmd.in_len, 8 + len);
	ck_assert_uint_eq(gw_be32(c->buf), len);
	ck_assert_mem_eq(c->buf + 8, want, len);
	rig_free(c);
}

static uint32_t
write_to(struct gw_nexus *n, uint64_t lun)
{
	return rig_try(n, lun, WRITE, GW_DIR_OUT, 512, block);
}

/* A WRITE whose data has not come. */
static struct rig_cmd *
waiting(struct gw_nexus *n, uint64_t lun)
{
	struct rig_cmd *c = rig_start(n, lun, WRITE, GW_DIR_OUT, 512);

	BUG(c->refused);
	return c;
}

static uint32_t
ua_of(struct gw_nexus *n, uint64_t lun)
{
	return scsi_itl_find(n, lun)->ua;
}

START_TEST(own_numbers)
{
	struct rig_cmd *c;

	show_as(1);
	map(1, "a", "0=0,5=1,300=2");
	retarget(a, 1);
	expect_luns(a, "0000000000000000 0005000000000000 412c000000000000");
	expect_luns(b, "0000000000000000 0001000000000000 0002000000000000");
	rig_calm(a);
	memset(block, 0x5b, sizeof(block));
	ck_assert_uint_eq(write_to(b, 1), 0);
	c = rig_do(a, 5, READ, GW_DIR_IN, 512, NULL);
	ck_assert_uint_eq(rig_result(c), 0);
	ck_assert_mem_eq(c->buf, block, 512);
	rig_free(c);
	ck_assert_uint_eq(rig_none(a, 300, TUR), 0);
	for (uint64_t lun = 1; lun < 5; lun++)
		ck_assert_uint_eq(rig_none(a, lun, TUR), SENSE_LUN_UNSUPPORTED);
	c = rig_do(a, 1, "12 00 00 00 24", GW_DIR_IN, 36, NULL);
	ck_assert_uint_eq(c->buf[0], 0x7f);
	rig_free(c);
	ck_assert_uint_eq(rig_none(b, 5, TUR), SENSE_LUN_UNSUPPORTED);
}
END_TEST

static uint8_t
device_specific(struct gw_nexus *n, uint64_t lun)
{
	struct rig_cmd *c = rig_do(n, lun, "1a 00 0a 00 40", GW_DIR_IN, 64, NULL);
	uint8_t v = c->buf[2];

	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	return v;
}

START_TEST(read_only_for_one)
{
	show_as(1);
	map(1, "a", "0=0,5=1/ro");
	retarget(a, 1);
	rig_calm(a);
	ck_assert_uint_eq(write_to(a, 5), SENSE_WRITE_PROTECTED);
	ck_assert_uint_eq(rig_in(a, 5, READ), 0);
	ck_assert_uint_eq(device_specific(a, 5), 0x90);
	ck_assert_uint_eq(write_to(b, 1), 0);
	ck_assert_uint_eq(device_specific(b, 1), 0x10);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	show_as(2);
	map_all(2, "a", true);
	retarget(a, 2);
	rig_calm(a);
	for (uint64_t lun = 1; lun < 3; lun++) {
		ck_assert_uint_eq(write_to(a, lun), SENSE_WRITE_PROTECTED);
		ck_assert_uint_eq(device_specific(a, lun), 0x90);
	}
}
END_TEST

/* Write protection that comes or goes is a changed mode parameter, not another LUN. */
START_TEST(protection_changes)
{
	struct rig_cmd *running, *late;

	show_as(1);
	map(1, "a", "0=0,5=1/ro");
	rig.hold = true;
	running = waiting(a, 5);
	rig_exec(running, block, 512);
	late = waiting(a, 5);
	retarget(a, 1);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(running->cmd.status, SAM_GOOD);
	rig_exec(late, block, 512);
	rig_run();
	ck_assert_uint_eq(rig_result(late), SENSE_WRITE_PROTECTED);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	ck_assert_uint_eq(rig_none(a, 5, TUR), UA(0x2a01));
	ck_assert_uint_eq(rig_none(a, 5, TUR), 0);
	ck_assert_uint_eq(rig_none(a, 0, TUR), 0);
	retarget(a, 1);
	ck_assert_uint_eq(rig_none(a, 5, TUR), 0);
	retarget(a, 0);
	ck_assert_uint_eq(rig_none(a, 5, TUR), UA(0x2a01));
	ck_assert_uint_eq(write_to(a, 5), 0);
	rig_free(running);
	rig_free(late);
}
END_TEST

START_TEST(another_map)
{
	struct rig_cmd *hidden, *kept;

	show_as(1);
	map(1, "a", "0=0,1=1,5=2");
	show_as(2);
	map(2, "a", "0=0,1=1,7=2");
	retarget(a, 1);
	rig_calm(a);
	kept = waiting(a, 1);
	hidden = waiting(a, 5);
	retarget(a, 2);
	ck_assert_uint_eq(hidden->responses, 1);
	ck_assert_uint_eq(hidden->cmd.status, SAM_TASK_ABORTED);
	ck_assert_uint_eq(kept->responses, 0);
	rig_exec(kept, block, 512);
	rig_run();
	ck_assert_uint_eq(kept->cmd.status, SAM_GOOD);
	ck_assert_uint_eq(rig_none(a, 5, TUR), SENSE_LUN_UNSUPPORTED);
	ck_assert_uint_eq(rig_none(a, 1, TUR), UA(0x3f0e));
	ck_assert_uint_eq(rig_none(a, 7, TUR), UA(0x2900));
	ck_assert_uint_eq(rig_none(a, 7, TUR), UA(0x3f0e));
	ck_assert_uint_eq(rig_none(b, 1, TUR), 0);
	/* No map any more: everything. */
	show_as(3);
	retarget(a, 3);
	expect_luns(a, "0000000000000000 0001000000000000 0002000000000000");
	rig_free(hidden);
	rig_free(kept);
}
END_TEST

/* The same numbers with the LUs exchanged: what was meant for one reaches not the other. */
START_TEST(exchanged)
{
	struct rig_cmd *c;

	show_as(1);
	map(1, "a", "0=0,1=1,2=2");
	show_as(2);
	map(2, "a", "0=0,1=2,2=1");
	retarget(a, 1);
	rig_calm(a);
	c = waiting(a, 1);
	retarget(a, 2);
	ck_assert_uint_eq(c->cmd.status, SAM_TASK_ABORTED);
	ck_assert_uint_eq(rig_none(a, 1, TUR), UA(0x2900));
	ck_assert_uint_eq(rig_none(a, 2, TUR), UA(0x2900));
	ck_assert_uint_eq(rig_none(a, 0, TUR), UA(0x3f0e));
	ck_assert_ptr_eq(scsi_itl_of(a, s.disk), scsi_itl_find(a, 2));
	ck_assert_ptr_eq(scsi_itl_of(a, s.cd), scsi_itl_find(a, 1));
	rig_free(c);
}
END_TEST

START_TEST(attentions_find_their_number)
{
	struct scsi_lu_conf conf = *scsi_lu_conf(s.disk);
	struct gw_nexus *c = pr_nexus(1, &shown[0].t, "c", 1);

	strcpy(conf.vendor, "OTHER");
	ck_assert_int_eq(scsi_lu_update(s.disk, &conf), 0);
	ck_assert_uint_eq(rig_none(a, 5, TUR), UA(0x3f03));
	ck_assert_uint_eq(rig_none(b, 1, TUR), UA(0x3f03));
	ck_assert_uint_eq(ua_of(a, 0) | ua_of(b, 0) | ua_of(b, 2) | ua_of(c, 1), 0);
	rig_nexus_close(c);
}
END_TEST

START_TEST(a_disc_is_told_under_its_number)
{
	struct scsi_lu *rom = rig_target_rom(&s.rt);
	struct scsi_lu_conf conf = *scsi_lu_conf(rom);

	show_as(1);
	map(1, "a", "0=0,9=3");
	retarget(a, 1);
	retarget(b, 1);
	rig_calm(a);
	conf.online = false;
	ck_assert_int_eq(scsi_lu_update(rom, &conf), 0);
	ck_assert_uint_eq(scsi_itl_find(a, 9)->cd_event, SCSI_CD_REMOVED);
	ck_assert_uint_eq(scsi_itl_find(b, 3)->cd_event, SCSI_CD_REMOVED);
}
END_TEST

START_TEST(lu_reset_by_own_number)
{
	struct rig_cmd *c = waiting(b, 1), *other = waiting(b, 2);
	struct rig_tmf t;

	rig_tmf(&t, a, 1, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_NO_LUN);
	ck_assert_uint_eq(c->responses, 0);
	rig_tmf(&t, a, 5, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_COMPLETE);
	ck_assert_uint_eq(c->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(other->responses, 0);
	ck_assert_uint_eq(rig_none(a, 5, TUR), UA(0x2903));
	ck_assert_uint_eq(rig_none(b, 1, TUR), UA(0x2903));
	ck_assert_uint_eq(ua_of(a, 0) | ua_of(b, 0) | ua_of(b, 2), 0);
	rig_exec(other, block, 512);
	rig_run();
	rig_free(c);
	rig_free(other);
}
END_TEST

START_TEST(target_reset_of_what_it_sees)
{
	struct rig_cmd *c = waiting(b, 1), *other = waiting(b, 2);
	struct rig_tmf t;

	ck_assert_uint_eq(rig_none(b, 1, "16"), 0);
	ck_assert_uint_eq(rig_none(b, 2, "16"), 0);
	rig_tmf(&t, a, 0, GW_TMF_TARGET_WARM_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(c->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(other->responses, 0);
	ck_assert_uint_eq(rig_none(a, 5, TUR), UA(0x2902));
	ck_assert_uint_eq(rig_none(b, 1, TUR), UA(0x2902));
	ck_assert_uint_eq(ua_of(b, 2), 0);
	ck_assert_uint_eq(s.disk->view->holder, 0);
	ck_assert_uint_eq(s.cd->view->holder, b->id);
	rig_exec(other, block, 512);
	rig_run();
	ck_assert_uint_eq(other->cmd.status, SAM_GOOD);
	rig_free(c);
	rig_free(other);
	/* Who sees everything resets everything. */
	rig_tmf(&t, b, 0, GW_TMF_TARGET_WARM_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(s.cd->view->holder, 0);
	ck_assert_uint_eq(rig_none(a, 5, TUR), UA(0x2902));
	ck_assert_uint_eq(rig_none(b, 2, TUR), UA(0x2902));
}
END_TEST

/* A map that changes between two LUNs of a reset brings it no other LUs. */
START_TEST(target_reset_while_the_map_changes)
{
	struct rig_tmf t;

	show_as(1);
	map(1, "a", "0=0,5=1,6=2");
	ck_assert_uint_eq(rig_none(b, 2, "16"), 0);
	rig.hold = true;
	rig_tmf(&t, a, 0, GW_TMF_TARGET_WARM_RESET, NULL);
	retarget(a, 1);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(s.cd->view->holder, b->id);
}
END_TEST

static unsigned
closed_by_cold_reset(struct gw_nexus *n)
{
	struct rig_tmf t;

	rig_closes = 0;
	rig_tmf(&t, n, 0, GW_TMF_TARGET_COLD_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	return rig_closes;
}

START_TEST(cold_reset_ends_those_concerned)
{
	struct gw_nexus *c = pr_nexus(1, &shown[0].t, "c", 1),
			*d = pr_nexus(0, &shown[0].t, "d", 1);

	ck_assert_uint_eq(closed_by_cold_reset(a), 2); /* and b */
	ck_assert_uint_eq(closed_by_cold_reset(c), 2); /* and b */
	ck_assert_uint_eq(closed_by_cold_reset(d), 1);
	ck_assert_uint_eq(closed_by_cold_reset(b), 4);
	rig_nexus_close(c);
	rig_nexus_close(d);
}
END_TEST

/* Reservations are the LU's, whatever its numbers. */
START_TEST(reservations)
{
	uint8_t list[PR_PARAM_SIZE];

	show_as(1);
	map(1, "a", "0=0,1=1");
	map(1, "b", "0=0,4=1");
	retarget(a, 1);
	retarget(b, 1);
	rig_calm(a);
	rig_calm(b);
	ck_assert_uint_eq(rig_none(b, 4, "16"), 0);
	ck_assert_uint_eq(rig_none(a, 1, TUR), CONFLICT);
	ck_assert_uint_eq(rig_none(b, 4, "17"), 0);
	pr_list(list, 0, 7, 0);
	ck_assert_uint_eq(
	    rig_try(b, 4, "5f 00 00 00 00 00 00 00 18", GW_DIR_OUT, PR_PARAM_SIZE, list), 0);
	pr_register(a, 8);
	pr_reserve(a, 8, PR_ACCESS);
	ck_assert_uint_eq(write_to(b, 4), CONFLICT);
	ck_assert_uint_eq(write_to(a, 1), 0);
	ck_assert_uint_eq(pr_out(a, PR_OUT_CLEAR, 0, 8, 0), 0);
	ck_assert_uint_eq(rig_none(b, 4, TUR), UA(0x2a03));
	ck_assert_uint_eq(write_to(b, 4), 0);
}
END_TEST

/* Of an LU that it sees no more a nexus holds nothing that others wait for. */
START_TEST(what_it_held_is_free)
{
	show_as(1);
	map(1, "b", "0=0,5=1");
	show_as(2);
	map(2, "b", "0=0");
	ck_assert_uint_eq(rig_none(b, 2, "1e 00 00 00 01"), 0);
	ck_assert_uint_eq(rig_none(b, 1, "16"), 0);
	retarget(b, 1);
	rig_run();
	ck_assert(!scsi_lu_prevented(s.cd));
	/* It still sees this one, by another number. */
	ck_assert_uint_eq(s.disk->view->holder, b->id);
	retarget(b, 2);
	rig_run();
	ck_assert_uint_eq(s.disk->view->holder, 0);
	ck_assert_uint_eq(s.disk->core[1].pins + s.cd->core[1].pins, 0);
}
END_TEST

START_TEST(what_others_hold_is_theirs)
{
	struct gw_nexus *c = pr_nexus(0, &shown[0].t, "c", 1);

	ck_assert_uint_eq(rig_none(b, 2, "1e 00 00 00 01"), 0);
	ck_assert_uint_eq(rig_none(b, 2, "16"), 0);
	show_as(1);
	map(1, "c", "0=0");
	retarget(c, 1);
	rig_run();
	ck_assert_uint_eq(s.cd->view->holder, b->id);
	ck_assert(scsi_lu_prevented(s.cd));
	rig_nexus_close(c);
}
END_TEST

/* RESERVE and PREVENT on their way to the LU's home core. */
START_TEST(what_it_is_about_to_hold)
{
	struct rig_cmd *c[3];

	c[0] = rig_start(b, 1, "16", GW_DIR_NONE, 0);
	c[1] = rig_start(b, 2, "1e 00 00 00 01", GW_DIR_NONE, 0);
	c[2] = rig_start(a, 5, "16", GW_DIR_NONE, 0);
	rig_exec(c[0], NULL, 0);
	rig_exec(c[1], NULL, 0);
	show_as(1);
	map(1, "b", "0=0");
	retarget(b, 1);
	rig_run();
	ck_assert_uint_eq(s.disk->view->holder, 0);
	ck_assert(!scsi_lu_prevented(s.cd));
	/* This one goes to an LU that stays. */
	rig_exec(c[2], NULL, 0);
	retarget(a, 1);
	rig_run();
	ck_assert_uint_eq(s.disk->view->holder, a->id);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->cmd.status, SAM_TASK_ABORTED);
		rig_free(c[i]);
	}
}
END_TEST

/* EXTENDED COPY from the disk to itself or to the other one. */
static struct rig_cmd *
copy(struct gw_nexus *n, uint64_t lun, uint8_t from, uint8_t to)
{
	uint8_t list[16 + 2 * XCOPY_CSCD_LEN + 28] = {0}, *seg = list + 16 + 2 * XCOPY_CSCD_LEN;
	uint8_t cdb[GW_CDB_MAX] = {0x83};
	struct rig_cmd *c;

	list[3] = 2 * XCOPY_CSCD_LEN;
	list[11] = 28;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *d = list + 16 + i * XCOPY_CSCD_LEN;

		memcpy(d, (uint8_t[]){XCOPY_IDENT, 0, 0, 0, 1, 3, 0, 16, 0x60}, 9);
		memset(d + 9, 0x11, 14);
		d[23] = i ? to : from;
		gw_put_be32(d + 28, 512);
	}
	seg[0] = XCOPY_B2B;
	seg[3] = 24;
	seg[7] = 1;
	gw_put_be16(seg + 10, 4096);
	gw_put_be64(seg + 20, 8192);
	cdb[13] = sizeof(list);
	c = rig_begin_raw(n, lun, cdb, 16, GW_DIR_OUT, sizeof(list));
	if (!c->refused)
		rig_exec(c, list, sizeof(list));
	return c;
}

static uint32_t
copied(struct rig_cmd *c)
{
	uint32_t r;

	rig_run();
	r = rig_result(c);
	rig_free(c);
	return r;
}

START_TEST(copies_stay_within_the_map)
{
	struct rig_cmd *c;

	ck_assert_uint_eq(copied(copy(b, 1, 1, 2)), 0);
	ck_assert_uint_eq(copied(copy(a, 5, 1, 1)), 0);
	ck_assert_uint_eq(copied(copy(a, 5, 1, 2)), SENSE_COPY(COPY_NOT_REACHABLE));
	ck_assert_uint_eq(copied(copy(a, 5, 2, 1)), SENSE_COPY(COPY_NOT_REACHABLE));
	show_as(1);
	map(1, "a", "0=0,5=1,6=2/ro");
	retarget(a, 1);
	rig_calm(a);
	rig.submitted[BE_WRITE] = 0;
	ck_assert_uint_eq(copied(copy(a, 5, 1, 2)), SENSE_COPY(COPY_DEVICE_FAILURE));
	ck_assert_uint_eq(copied(copy(a, 6, 1, 2)), SENSE_COPY(COPY_DEVICE_FAILURE));
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 0);
	ck_assert_uint_eq(copied(copy(a, 6, 2, 1)), 0);
	/* In the middle the other LU goes out of sight, to be written or to be read. */
	show_as(2);
	map(2, "a", "0=0,5=1,6=2");
	for (unsigned i = 0; i < 2; i++) {
		retarget(a, 2);
		rig_calm(a);
		rig.submitted[BE_WRITE] = 0;
		rig.hold = true;
		c = copy(a, 5, i ? 2 : 1, i ? 1 : 2);
		rig_run();
		if (i)
			rig_io_one();
		retarget(a, 0);
		rig.hold = false;
		ck_assert_uint_eq(copied(c), SENSE_COPY(COPY_DEVICE_FAILURE));
		ck_assert_uint_eq(rig.submitted[BE_WRITE], i);
	}
}
END_TEST

/* Sent to an LU that the reset does not reach, it goes on; what it was writing to one is over. */
START_TEST(target_reset_waits_for_a_copy)
{
	struct rig_tmf t;
	struct rig_cmd *c;

	rig_calm(b);
	rig.hold = true;
	c = copy(b, 2, 2, 1);
	rig_run();
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_WRITE], 1);
	rig_tmf(&t, a, 0, GW_TMF_TARGET_WARM_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(c->responses, 0);
	rig.hold = false;
	ck_assert_uint_eq(copied(c), 0);
}
END_TEST

/* A token is of no use to whom its LU is not shown. */
START_TEST(tokens)
{
	uint8_t populate[32] = {0, 30}, use[8 + 16 + TOKEN_LEN + 16] = {0};
	struct rig_cmd *c;

	populate[15] = 16;
	populate[27] = 8;
	c = rig_do(b, 2, "83 10 00 00 00 00 00 00 00 05 00 00 00 20", GW_DIR_OUT, 32, populate);
	ck_assert_uint_eq(rig_result(c), 0);
	rig_free(c);
	gw_put_be16(use, sizeof(use) - 2);
	memcpy(use + 16, s.cd->view->token[0]->key, TOKEN_LEN);
	gw_put_be16(use + 16 + TOKEN_LEN + 6, 16);
	use[16 + TOKEN_LEN + 8 + 11] = 8;
	ck_assert_uint_eq(rig_try(a, 5, "83 11 00 00 00 00 00 00 00 06 00 00 02 28", GW_DIR_OUT,
				  sizeof(use), use),
			  SENSE_TOKEN_UNKNOWN);
	ck_assert_uint_eq(rig_try(b, 1, "83 11 00 00 00 00 00 00 00 06 00 00 02 28", GW_DIR_OUT,
				  sizeof(use), use),
			  0);
}
END_TEST

RIG_SUITE("scsi/mask", setup, teardown, own_numbers, read_only_for_one, protection_changes,
	  another_map, exchanged, attentions_find_their_number, a_disc_is_told_under_its_number,
	  lu_reset_by_own_number, target_reset_of_what_it_sees, target_reset_while_the_map_changes,
	  cold_reset_ends_those_concerned, reservations, what_it_held_is_free,
	  what_others_hold_is_theirs, what_it_is_about_to_hold, copies_stay_within_the_map,
	  target_reset_waits_for_a_copy, tokens)
