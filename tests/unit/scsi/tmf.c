/* SPDX-License-Identifier: BSD-3-Clause */
/* Task management: what is ended, when the answer comes, what state is left. */
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

#define WRITE    "2a 00 00 00 00 00 00 00 01"
#define TUR      "00"
#define UA(ascq) SENSE(6, ascq)

static uint8_t block[512] = {0xbb};

/* A WRITE whose data has not come: state NEW. */
static struct rig_cmd *
waiting(struct gw_nexus *n, uint64_t lun)
{
	struct rig_cmd *c = rig_start(n, lun, WRITE, GW_DIR_OUT, 512);

	BUG(c->refused);
	return c;
}

/* A WRITE that the backend has. */
static struct rig_cmd *
running(struct gw_nexus *n, uint64_t lun)
{
	struct rig_cmd *c = waiting(n, lun);

	rig_exec(c, block, 512);
	BUG(!rig.hold);
	return c;
}

START_TEST(abort_new_at_once)
{
	struct rig_cmd *c = waiting(s.a, 1);
	struct rig_tmf t;

	rig_tmf(&t, s.a, 1, GW_TMF_ABORT_TASK, &c->cmd);
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(c->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(t.done, 0);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_COMPLETE);
	/* It is over: the same again finds no task. */
	rig_tmf(&t, s.a, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_NO_TASK);
	ck_assert_uint_eq(c->responses, 1);
	rig_free(c);
}
END_TEST

START_TEST(abort_running_waits)
{
	struct rig_cmd *first, *second;
	struct rig_tmf t;

	rig.hold = true;
	first = running(s.a, 1);
	second = running(s.a, 1);
	rig_tmf(&t, s.a, 1, GW_TMF_ABORT_TASK, &second->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig_io_one(); /* the first: not the one waited for */
	rig_run();
	ck_assert_uint_eq(first->responses, 1);
	ck_assert_uint_eq(first->cmd.status, SAM_GOOD);
	ck_assert_uint_eq(t.done, 0);
	rig_io_one();
	ck_assert_uint_eq(second->responses, 1);
	ck_assert_uint_eq(t.done, 0);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	rig_free(first);
	rig_free(second);
}
END_TEST

START_TEST(abort_task_set_is_ones_own)
{
	struct rig_cmd *own[2], *other, *elsewhere;
	struct rig_tmf t;

	rig.hold = true;
	own[0] = running(s.a, 1);
	own[1] = waiting(s.a, 1);
	other = running(s.b, 1);
	elsewhere = waiting(s.a, 2);
	rig_tmf(&t, s.a, 1, GW_TMF_ABORT_TASK_SET, NULL);
	ck_assert_uint_eq(own[1]->responses, 1);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(other->responses + elsewhere->responses, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(other->cmd.status, SAM_GOOD);
	rig_exec(elsewhere, block, 512);
	rig_run();
	ck_assert_uint_eq(elsewhere->cmd.status, SAM_GOOD);
	rig_free(own[0]);
	rig_free(own[1]);
	rig_free(other);
	rig_free(elsewhere);
}
END_TEST

/* The answer to a reset comes when the delayed write of another nexus on another core has landed.
 */
START_TEST(lu_reset_waits_on_all_cores)
{
	struct rig_cmd *other, *late;
	struct rig_tmf t;

	rig.hold = true;
	other = running(s.b, 1);
	rig_tmf(&t, s.a, 1, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(other->cmd.aborted, GW_ABORT_QUIET);
	/* A command that comes now is not part of it. */
	ck_assert_uint_eq(rig_none(s.a, 1, TUR), UA(0x2903));
	late = running(s.a, 1);
	rig_run();
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(other->responses, 1);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_COMPLETE);
	ck_assert_uint_eq(late->responses, 0);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(late->cmd.status, SAM_GOOD);
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), UA(0x2903));
	ck_assert_uint_eq(rig_none(s.b, 1, TUR), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), 0);
	rig_free(other);
	rig_free(late);
}
END_TEST

static void
set_state(uint64_t lun)
{
	uint8_t list[] = {0, 0, 0, 0, 0x0a, 0x0a, 0x24, 0x10, 0x08, 0, 0, 0, 0xff, 0xff, 0, 0};

	ck_assert_uint_eq(rig_try(s.b, lun, "15 10 00 00 10", GW_DIR_OUT, 16, list), 0);
	ck_assert_uint_eq(rig_none(s.b, lun, "16"), 0);
}

START_TEST(lu_reset_puts_state_back)
{
	struct rig_tmf t;

	set_state(2);
	ck_assert_uint_eq(rig_none(s.b, 2, "1e 00 00 00 01"), 0);
	rig_calm(s.a);
	rig_tmf(&t, s.a, 2, GW_TMF_LU_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert(!scsi_lu_prevented(s.cd));
	ck_assert_uint_eq(rig_none(s.a, 2, TUR), UA(0x2903));
	/* Not reserved, not write-protected, fixed-format sense. */
	ck_assert_uint_eq(rig_try(s.a, 2, WRITE, GW_DIR_OUT, 512, block), 0);
	ck_assert(!s.cd->view->d_sense);
	ck_assert_uint_eq(rig_none(s.a, 2, "16"), 0);
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), UA(0x2903));
	ck_assert_uint_eq(rig_none(s.b, 2, TUR), SAM_RESERVATION_CONFLICT);
}
END_TEST

START_TEST(target_resets)
{
	struct rig_cmd *c;
	struct rig_tmf t;

	rig.hold = true;
	c = running(s.b, 1);
	set_state(1);
	set_state(2);
	rig_calm(s.a);
	rig_tmf(&t, s.a, 0, GW_TMF_TARGET_WARM_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	rig.hold = false;
	for (uint64_t lun = 0; lun < 3; lun++) {
		ck_assert_uint_eq(rig_none(s.a, lun, TUR), UA(0x2902));
		ck_assert_uint_eq(rig_none(s.b, lun, TUR), UA(0x2902));
	}
	ck_assert_uint_eq(rig_try(s.a, 1, WRITE, GW_DIR_OUT, 512, block), 0);
	ck_assert_uint_eq(rig_try(s.a, 2, WRITE, GW_DIR_OUT, 512, block), 0);
	rig_free(c);
	rig_closes = 0;
	rig_tmf(&t, s.b, 0, GW_TMF_TARGET_COLD_RESET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(rig_closes, 2);
}
END_TEST

START_TEST(the_rest)
{
	static const struct {
		uint8_t fn, rsp;
		uint64_t lun;
	} cases[] = {
	    {GW_TMF_LU_RESET, GW_TMF_NO_LUN, 9},
	    {GW_TMF_ABORT_TASK_SET, GW_TMF_NO_LUN, GW_LUN_BAD},
	    {GW_TMF_CLEAR_ACA, GW_TMF_UNSUPPORTED, 1},
	    {GW_TMF_TASK_REASSIGN, GW_TMF_REASSIGN_UNSUPPORTED, 1},
	    {GW_TMF_ABORT_TASK, GW_TMF_NO_TASK, 1},
	    {GW_TMF_QUERY_TASK, GW_TMF_COMPLETE, 1},
	    {GW_TMF_QUERY_TASK_SET, GW_TMF_COMPLETE, 1},
	    {200, GW_TMF_UNSUPPORTED, 1},
	};
	struct rig_cmd *c;
	struct rig_tmf t;

	for (unsigned i = 0; i < GW_ARRAY_LEN(cases); i++) {
		rig_tmf(&t, s.a, cases[i].lun, cases[i].fn, NULL);
		rig_run();
		ck_assert_uint_eq(t.done, 1);
		ck_assert_uint_eq(t.tmf.rsp, cases[i].rsp);
	}
	c = waiting(s.a, 1);
	rig_tmf(&t, s.a, 1, GW_TMF_QUERY_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_SUCCEEDED);
	rig_tmf(&t, s.a, 1, GW_TMF_QUERY_TASK_SET, NULL);
	rig_run();
	ck_assert_uint_eq(t.tmf.rsp, GW_TMF_SUCCEEDED);
	rig.self = s.a->core;
	scsi_forget(&c->cmd);
	rig.self = NULL;
	ck_assert_uint_eq(c->responses, 0);
	rig_free(c);
}
END_TEST

/* Two resets of one LU and an abort at once: each waits for its own and all end. */
START_TEST(several_at_once)
{
	struct rig_cmd *a, *b;
	struct rig_tmf t[3];

	rig.hold = true;
	a = running(s.a, 1);
	b = running(s.b, 1);
	rig_tmf(&t[0], s.a, 1, GW_TMF_LU_RESET, NULL);
	rig_tmf(&t[1], s.b, 1, GW_TMF_LU_RESET, NULL);
	rig_tmf(&t[2], s.b, 1, GW_TMF_ABORT_TASK, &b->cmd);
	rig_run();
	ck_assert_uint_eq(t[0].done + t[1].done + t[2].done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t[0].done + t[1].done + t[2].done, 0);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t[0].done + t[1].done + t[2].done, 3);
	ck_assert_uint_eq(a->responses + b->responses, 2);
	rig.hold = false;
	rig_free(a);
	rig_free(b);
}
END_TEST

/* A nexus is closed when its commands are back and its functions are done. */
START_TEST(close_waits)
{
	struct rig_cmd *run, *wait;
	unsigned closed = rig_closed_count;
	struct rig_tmf t;

	rig.hold = true;
	run = running(s.a, 1);
	wait = waiting(s.a, 2);
	rig_tmf(&t, s.a, 1, GW_TMF_LU_RESET, NULL);
	rig.self = s.a->core;
	scsi_nexus_close(s.a);
	rig.self = NULL;
	ck_assert_uint_eq(wait->responses, 1);
	ck_assert_uint_eq(wait->cmd.aborted, GW_ABORT_QUIET);
	rig_run();
	ck_assert_uint_eq(rig_closed_count, closed);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(run->responses, 1);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(rig_closed_count, closed + 1);
	free(s.a);
	s.a = NULL;
	rig_free(run);
	rig_free(wait);
}
END_TEST

/* Between two pieces of a long command an abort ends it. */
START_TEST(abort_between_pieces)
{
	struct rig_cmd *c;
	struct rig_tmf t;
	unsigned writes;

	rig.hold = true;
	c = rig_start(s.a, 1, "93 00 00 00 00 00 00 00 00 00 00 00 04 00", GW_DIR_OUT, 512);
	rig_exec(c, block, 512);
	rig_io_one();
	rig_tmf(&t, s.a, 1, GW_TMF_ABORT_TASK, &c->cmd);
	rig.hold = false;
	writes = rig.submitted[BE_WRITE];
	rig_run();
	ck_assert_uint_eq(rig.submitted[BE_WRITE], writes);
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(t.done, 1);
	rig_free(c);
}
END_TEST

RIG_SUITE("scsi/tmf", setup, teardown, abort_new_at_once, abort_running_waits,
	  abort_task_set_is_ones_own, lu_reset_waits_on_all_cores, lu_reset_puts_state_back,
	  target_resets, the_rest, several_at_once, close_waits, abort_between_pieces)
