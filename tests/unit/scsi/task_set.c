/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Task attributes (SAM-5 8): who waits for whom, and that nobody waits for ever. The backend keeps
 * its I/O, so that what has begun can be told from what has to wait.
 */
#include "tests/unit/scsi/rig.h"

static struct bench s;

static void
setup(void)
{
	bench_open(&s);
	rig.hold = true;
}

static void
teardown(void)
{
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(s.a ? s.a->tagged : 0, 0);
	ck_assert_uint_eq(s.b ? s.b->tagged : 0, 0);
	bench_close(&s);
}

#define WRITE "2a 00 00 00 00 00 00 00 01"
#define TUR   "00"
#define U     GW_ATTR_UNTAGGED
#define S     GW_ATTR_SIMPLE
#define O     GW_ATTR_ORDERED
#define H     GW_ATTR_HEAD

static uint8_t block[512] = {0xbb};

static struct rig_cmd *
start(struct gw_nexus *n, uint64_t lun, uint8_t attr, const char *cdb, uint32_t len)
{
	struct rig_cmd *c;

	rig.attr = attr;
	c = rig_start(n, lun, cdb, GW_DIR_OUT, len);
	rig.attr = U;
	return c;
}

/* A WRITE whose data has not come. */
static struct rig_cmd *
begin(struct gw_nexus *n, uint64_t lun, uint8_t attr)
{
	struct rig_cmd *c = start(n, lun, attr, WRITE, 512);

	BUG(c->refused);
	return c;
}

/* ... with its data. */
static struct rig_cmd *
give(struct gw_nexus *n, uint64_t lun, uint8_t attr)
{
	struct rig_cmd *c = begin(n, lun, attr);

	rig_exec(c, block, 512);
	rig_run();
	return c;
}

static bool
runs(const struct rig_cmd *c)
{
	return c->cmd.state == GW_CMD_EXEC;
}

static bool
waits(const struct rig_cmd *c)
{
	return c->cmd.state == GW_CMD_NEW && c->cmd.turn == GW_WAITS && !c->responses;
}

/* The backend ends that one. */
static void
end(struct rig_cmd *c)
{
	ck_assert(runs(c));
	gw_list_del(&c->cmd.io.node);
	gw_list_add_head(&rig.pending, &c->cmd.io.node);
	BUG(!rig_io_one());
	rig_run();
	ck_assert_uint_eq(c->responses, 1);
	ck_assert_uint_eq(c->cmd.status, SAM_GOOD);
	rig_free(c);
}

static uint8_t
abort_task(struct rig_cmd *c)
{
	struct rig_tmf t;

	rig_tmf(&t, c->cmd.nexus, c->cmd.lun, GW_TMF_ABORT_TASK, &c->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	return t.tmf.rsp;
}

START_TEST(simple_ones_do_not_wait)
{
	static const uint8_t attr[] = {U, S, S, U};
	struct rig_cmd *c[4];

	for (unsigned i = 0; i < 4; i++) {
		c[i] = give(s.a, 1, attr[i]);
		ck_assert(runs(c[i]));
		ck_assert_uint_eq(c[i]->turns, 0);
	}
	for (unsigned i = 4; i-- > 0;)
		end(c[i]);
}
END_TEST

START_TEST(ordered_waits_and_is_waited_for)
{
	struct rig_cmd *s1 = give(s.a, 1, S), *s2 = give(s.a, 1, U), *o1 = give(s.a, 1, O),
		       *s3 = give(s.a, 1, S), *s4 = give(s.a, 1, U), *o2 = give(s.a, 1, O),
		       *o3 = give(s.a, 1, O), *s5 = give(s.a, 1, S);

	ck_assert(runs(s1) && runs(s2));
	ck_assert(waits(o1) && waits(s3) && waits(s4) && waits(o2) && waits(o3) && waits(s5));
	end(s2);
	ck_assert(waits(o1));
	end(s1);
	ck_assert(runs(o1) && waits(s3) && waits(s4) && waits(o2) && waits(o3) && waits(s5));
	ck_assert_uint_eq(o1->turns, 1);
	end(o1);
	ck_assert(runs(s3) && runs(s4) && waits(o2) && waits(o3) && waits(s5));
	end(s4);
	ck_assert(waits(o2));
	end(s3);
	ck_assert(runs(o2) && waits(o3) && waits(s5));
	end(o2);
	ck_assert(runs(o3) && waits(s5));
	end(o3);
	ck_assert(runs(s5));
	end(s5);
}
END_TEST

START_TEST(head_passes)
{
	struct rig_cmd *s1 = give(s.a, 1, S), *o1 = give(s.a, 1, O), *s2 = give(s.a, 1, S),
		       *h1 = give(s.a, 1, H), *h2 = give(s.a, 1, H), *s3;

	ck_assert(runs(h1) && runs(h2) && waits(o1) && waits(s2));
	end(s1);
	ck_assert(waits(o1));
	end(h1);
	ck_assert(waits(o1));
	end(h2);
	ck_assert(runs(o1) && waits(s2));
	/* What runs goes on; what does not, waits for it, too. */
	h1 = give(s.a, 1, H);
	ck_assert(runs(h1) && runs(o1));
	end(o1);
	ck_assert(waits(s2));
	s3 = give(s.a, 1, S);
	ck_assert(waits(s3));
	end(h1);
	ck_assert(runs(s2) && runs(s3));
	h1 = give(s.a, 1, H);
	o1 = give(s.a, 1, O);
	end(h1);
	ck_assert(waits(o1));
	end(s3);
	end(s2);
	ck_assert(runs(o1));
	end(o1);
}
END_TEST

START_TEST(alone_nothing_waits)
{
	static const uint8_t attr[] = {O, H};

	for (unsigned i = 0; i < 2; i++) {
		struct rig_cmd *c = begin(s.a, 1, attr[i]);

		ck_assert_uint_eq(c->cmd.turn, GW_GO);
		rig_exec(c, block, 512);
		end(c);
		ck_assert_uint_eq(s.a->tagged, 0);
	}
}
END_TEST

/* Each nexus has its own task set at each LU. */
START_TEST(others_are_not_asked)
{
	struct rig_cmd *s1 = give(s.a, 1, S), *o1 = give(s.a, 1, O), *lun2 = give(s.a, 2, S),
		       *lun2_o, *b = give(s.b, 1, O), *h = give(s.b, 1, H), *s2 = give(s.a, 2, S);

	ck_assert(waits(o1) && runs(lun2) && runs(b) && runs(h) && runs(s2));
	end(s2);
	lun2_o = give(s.a, 2, O);
	ck_assert(waits(lun2_o));
	end(s1);
	ck_assert(runs(o1) && waits(lun2_o));
	end(lun2);
	ck_assert(runs(lun2_o));
	end(o1);
	end(lun2_o);
	end(b);
	end(h);
}
END_TEST

/* The order is that of arrival, whoever's data comes first; whose turn it is, may ask for its. */
START_TEST(data_comes_late)
{
	struct rig_cmd *s1 = begin(s.a, 1, S), *o1 = begin(s.a, 1, O), *s2 = give(s.a, 1, S);

	ck_assert(waits(o1) && waits(s2));
	ck_assert_uint_eq(s1->cmd.turn, GW_GO);
	rig_exec(s1, block, 512);
	end(s1);
	ck_assert_uint_eq(o1->turns, 1);
	ck_assert_uint_eq(o1->cmd.turn, GW_GO);
	ck_assert(!runs(o1) && waits(s2));
	rig_exec(o1, block, 512);
	ck_assert(waits(s2));
	end(o1);
	ck_assert(runs(s2));
	end(s2);
}
END_TEST

START_TEST(given_up)
{
	struct rig_cmd *o1 = begin(s.a, 1, O), *o2 = begin(s.a, 1, O), *s1 = give(s.a, 1, S);

	rig.self = s.a->core;
	scsi_forget(&o2->cmd);
	rig.self = NULL;
	rig_run();
	ck_assert(waits(s1));
	rig.self = s.a->core;
	scsi_forget(&o1->cmd);
	rig.self = NULL;
	ck_assert(!runs(s1)); /* not from inside that call */
	rig_run();
	ck_assert(runs(s1));
	ck_assert_uint_eq(o1->responses + o2->responses + o1->turns + o2->turns, 0);
	end(s1);
	rig_free(o1);
	rig_free(o2);
}
END_TEST

/* Held back is nowhere: an abort ends it at once. In the backend it can still reach the medium. */
START_TEST(aborts)
{
	struct rig_cmd *s1 = give(s.a, 1, S), *o1 = give(s.a, 1, O), *s2 = give(s.a, 1, S),
		       *o2 = give(s.a, 1, O), *s3 = give(s.a, 1, S);
	struct rig_tmf t;

	ck_assert_uint_eq(abort_task(s2), GW_TMF_COMPLETE);
	ck_assert_uint_eq(s2->responses, 1);
	ck_assert_uint_eq(s2->cmd.aborted, GW_ABORT_QUIET);
	ck_assert_uint_eq(abort_task(s2), GW_TMF_NO_TASK);
	ck_assert_uint_eq(abort_task(o1), GW_TMF_COMPLETE);
	ck_assert(waits(o2) && waits(s3));
	end(s1);
	ck_assert(runs(o2) && waits(s3));
	rig_tmf(&t, s.a, 1, GW_TMF_ABORT_TASK, &o2->cmd);
	rig_run();
	ck_assert_uint_eq(t.done, 0);
	ck_assert(waits(s3));
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(o2->responses, 1);
	ck_assert(runs(s3));
	end(s3);
	rig_free(s2);
	rig_free(o1);
	rig_free(o2);
}
END_TEST

/* Between its turn and the news of it. */
START_TEST(abort_of_one_called)
{
	struct rig_cmd *o1 = begin(s.a, 1, O), *s1 = give(s.a, 1, S), *s2 = give(s.a, 1, S);

	rig.self = s.a->core;
	scsi_cmd_abort(&o1->cmd, GW_ABORT_QUIET);
	ck_assert_uint_eq(s.a->tagged, 0);
	ck_assert_uint_eq(s1->cmd.turn, GW_CALLED);
	scsi_cmd_abort(&s1->cmd, GW_ABORT_QUIET);
	rig.self = NULL;
	ck_assert_uint_eq(s1->responses, 1);
	rig_run();
	ck_assert_uint_eq(s1->turns, 0);
	ck_assert(runs(s2));
	end(s2);
	rig_free(o1);
	rig_free(s1);
}
END_TEST

/* All of it goes, in whatever order; nothing that was held back comes near the medium. */
START_TEST(functions_on_task_sets)
{
	static const uint8_t fns[] = {GW_TMF_ABORT_TASK_SET, GW_TMF_CLEAR_TASK_SET,
				      GW_TMF_LU_RESET};

	for (unsigned i = 0; i < GW_ARRAY_LEN(fns); i++) {
		struct gw_nexus *by = fns[i] == GW_TMF_LU_RESET ? s.b : s.a;
		struct rig_cmd *c[] = {begin(s.a, 1, S), begin(s.a, 1, O), give(s.a, 1, S),
				       give(s.a, 1, O),  begin(s.a, 1, H), give(s.a, 1, S)};
		struct rig_cmd *other = give(s.b, 2, O);
		unsigned writes = rig.submitted[BE_WRITE];
		struct rig_tmf t;

		rig_tmf(&t, by, 1, fns[i], NULL);
		rig_run();
		ck_assert_uint_eq(t.done, 1);
		ck_assert_uint_eq(t.tmf.rsp, GW_TMF_COMPLETE);
		ck_assert_uint_eq(rig.submitted[BE_WRITE], writes);
		ck_assert_uint_eq(s.a->tagged, 0);
		for (unsigned k = 0; k < GW_ARRAY_LEN(c); k++) {
			ck_assert_uint_eq(c[k]->responses, 1);
			ck_assert_uint_eq(c[k]->cmd.aborted, GW_ABORT_QUIET);
			rig_free(c[k]);
		}
		end(other);
		rig_calm(s.a);
		rig_calm(s.b);
	}
}
END_TEST

START_TEST(clear_task_set_is_ones_own)
{
	struct rig_cmd *mine = begin(s.a, 1, O), *other = give(s.b, 1, O);
	struct rig_tmf t;

	rig_tmf(&t, s.a, 1, GW_TMF_CLEAR_TASK_SET, NULL);
	rig_run();
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(mine->responses, 1);
	ck_assert(runs(other) && !other->cmd.aborted);
	end(other);
	ck_assert_uint_eq(s.a->itl[1].ua | s.b->itl[1].ua, 0);
	rig_free(mine);
}
END_TEST

START_TEST(nexus_ends)
{
	struct rig_cmd *s1 = give(s.a, 1, S), *o1 = give(s.a, 1, O), *s2 = give(s.a, 1, S),
		       *o2 = begin(s.a, 2, O), *s3 = give(s.a, 2, S);
	unsigned closed = rig_closed_count, writes = rig.submitted[BE_WRITE];

	rig.self = s.a->core;
	scsi_nexus_close(s.a);
	rig.self = NULL;
	ck_assert_uint_eq(o1->responses + s2->responses + o2->responses + s3->responses, 4);
	rig_run();
	ck_assert_uint_eq(rig_closed_count, closed);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(rig_closed_count, closed + 1);
	ck_assert_uint_eq(s1->responses, 1);
	ck_assert_uint_eq(rig.submitted[BE_WRITE], writes);
	free(s.a);
	s.a = NULL;
	rig_free(s1);
	rig_free(o1);
	rig_free(s2);
	rig_free(o2);
	rig_free(s3);
}
END_TEST

/* Another list of LUNs: the set of one that stays goes along, all of one that goes ends. */
START_TEST(luns_come_and_go)
{
	struct rig_cmd *s1 = give(s.a, 1, S), *o1 = give(s.a, 1, O), *s2 = give(s.a, 1, S),
		       *r2 = give(s.a, 2, S), *o2 = give(s.a, 2, O), *w2 = give(s.a, 2, S),
		       *h2 = begin(s.a, 2, H);
	struct gw_target less = s.rt.t;

	less.nlun = 2;
	rig_run();
	rig.self = s.a->core;
	ck_assert_int_eq(scsi_nexus_retarget(s.a, &less), 0);
	rig.self = NULL;
	rig_run();
	ck_assert_uint_eq(o2->responses + w2->responses + h2->responses, 3);
	ck_assert_uint_eq(w2->cmd.aborted, GW_ABORT_TAS);
	ck_assert_uint_eq(s.a->tagged, 1);
	ck_assert(runs(s1) && waits(o1) && waits(s2) && runs(r2));
	end(s1);
	ck_assert(runs(o1) && waits(s2));
	rig.self = s.a->core;
	ck_assert_int_eq(scsi_nexus_retarget(s.a, &s.rt.t), 0);
	rig.self = NULL;
	end(o1);
	ck_assert(runs(s2));
	end(s2);
	rig_io_one();
	rig_run();
	ck_assert_uint_eq(r2->responses, 1);
	rig_free(r2);
	rig_free(o2);
	rig_free(w2);
	rig_free(h2);
}
END_TEST

static void
see(const struct gw_target *t)
{
	rig.self = s.a->core;
	ck_assert_int_eq(scsi_nexus_retarget(s.a, t), 0);
	rig.self = NULL;
	rig_run();
}

/* The LUN goes and comes back while one of its commands is in the backend: it is a new task set. */
START_TEST(what_a_lun_left_behind)
{
	static const uint8_t attr[] = {S, O, H};
	struct gw_target less = s.rt.t;

	less.nlun = 2;
	for (unsigned i = 0; i < 3; i++) {
		struct rig_cmd *was = give(s.a, 2, attr[i]), *o1, *o2, *s1;

		see(&less);
		see(&s.rt.t);
		rig_calm(s.a);
		o1 = give(s.a, 2, O);
		ck_assert(runs(o1));
		rig_io_one();
		rig_run();
		ck_assert_uint_eq(was->responses, 1);
		rig_free(was);
		o2 = give(s.a, 2, O);
		s1 = give(s.a, 2, S);
		ck_assert(runs(o1) && waits(o2) && waits(s1));
		end(o1);
		ck_assert(runs(o2) && waits(s1));
		end(o2);
		end(s1);
		ck_assert_uint_eq(s.a->tagged, 0);
	}
}
END_TEST

static struct rig_cmd *
select_swp(uint8_t attr, bool on)
{
	uint8_t list[16] = {0, 0, 0, 0, 0x0a, 0x0a, 0x20, 0x10, on ? 0x08 : 0, 0, 0, 0, 0xff, 0xff};
	struct rig_cmd *c = start(s.a, 1, attr, "15 10 00 00 10", 16);

	BUG(c->refused);
	rig_exec(c, list, 16);
	return c;
}

/* What older ones change is seen by those that waited for them. */
START_TEST(state_is_that_of_ones_turn)
{
	struct rig_cmd *on = select_swp(O, true), *o1 = begin(s.a, 1, O), *late = begin(s.a, 1, S),
		       *off, *after;

	rig_exec(o1, block, 512);
	rig_exec(late, block, 512);
	rig_run();
	ck_assert_uint_eq(on->cmd.status, SAM_GOOD);
	ck_assert_uint_eq(rig_result(o1), SENSE_SW_PROTECTED);
	ck_assert_uint_eq(rig_result(late), SENSE_SW_PROTECTED);
	off = select_swp(O, false);
	after = begin(s.a, 1, S);
	rig_exec(after, block, 512);
	rig_run();
	ck_assert_uint_eq(off->cmd.status, SAM_GOOD);
	end(after);
	rig_free(on);
	rig_free(o1);
	rig_free(late);
	rig_free(off);
}
END_TEST

/* An LU that takes turns itself, and commands that need no backend. */
START_TEST(all_kinds_of_commands)
{
	uint8_t pair[1024] = {0};
	struct rig_cmd *caw = start(s.b, 1, O, "89 00 00 00 00 00 00 00 00 05 00 00 00 01", 1024),
		       *tur = start(s.b, 1, S, TUR, 0), *head = start(s.b, 1, H, TUR, 0),
		       *write = begin(s.b, 1, S);

	rig_exec(caw, pair, 1024);
	rig_exec(tur, NULL, 0);
	rig_exec(write, block, 512);
	rig_run();
	ck_assert(runs(caw) && waits(tur) && waits(write));
	rig_exec(head, NULL, 0);
	ck_assert_uint_eq(head->responses, 1);
	rig.hold = false;
	rig_run();
	ck_assert_uint_eq(caw->cmd.status | tur->cmd.status | write->cmd.status, SAM_GOOD);
	ck_assert_uint_eq(caw->responses + tur->responses + write->responses, 3);
	rig_free(caw);
	rig_free(tur);
	rig_free(head);
	rig_free(write);
	/* No LU, no task set; and none of what is refused. */
	rig.attr = O;
	ck_assert_uint_eq(rig_in(s.a, GW_LUN_REPORT, "a0 00 00 00 00 00 00 00 10 00"), 0);
	ck_assert_uint_eq(rig_in(s.a, 9, "12 00 00 00 ff"), 0);
	ck_assert_uint_eq(rig_none(s.a, 1, "ff"), SENSE_INVALID_OPCODE);
	ck_assert_uint_eq(rig_none(s.a, 1, "35 00 ff ff ff ff 00 00 00"), SENSE_LBA_RANGE);
	ck_assert_uint_eq(s.a->tagged, 0);
	rig.attr = U;
}
END_TEST

START_TEST(aca_is_refused)
{
	for (uint8_t attr = GW_ATTR_ACA; attr < 8; attr++) {
		rig.attr = attr;
		ck_assert_uint_eq(rig_none(s.a, 1, TUR), SENSE(5, 0x4900));
		ck_assert_uint_eq(rig_in(s.a, 9, "12 00 00 00 ff"), SENSE(5, 0x4900));
		ck_assert_uint_eq(s.a->tagged, 0);
	}
	rig.attr = U;
	/* NACA is a bit that may not be set. */
	ck_assert_uint_eq(rig_none(s.a, 1, "00 00 00 00 00 04"), SENSE_CDB_FIELD);
}
END_TEST

/* More than are called in one go. */
START_TEST(many)
{
	enum {
		N = 300
	};
	static struct rig_cmd *c[N];
	struct rig_cmd *o = begin(s.a, 1, O);

	for (unsigned i = 0; i < N; i++)
		c[i] = give(s.a, 1, S);
	ck_assert(waits(c[0]) && waits(c[N - 1]));
	rig_exec(o, block, 512);
	end(o);
	for (unsigned i = 0; i < N; i++)
		end(c[i]);
}
END_TEST

/* Against the rules themselves, with whatever happens in whatever order. */

enum {
	LIVE = 24
};
static struct {
	struct rig_cmd *c;
	bool had; /* its turn has come */
} live[LIVE];     /* in order of arrival */
static unsigned nlive;

/* SAM-5 8: is there what that one would have to wait for? */
static bool
must_wait(unsigned which)
{
	uint8_t attr = live[which].c->cmd.attr;
	bool wait = false;

	for (unsigned i = 0; i < nlive && attr != H; i++) {
		uint8_t other = live[i].c->cmd.attr;

		if (i != which)
			wait |= other == H || (i < which && (attr == O || other == O));
	}
	return wait;
}

static void
forget_ended(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nlive; i++) {
		if (live[i].c->responses)
			rig_free(live[i].c);
		else
			live[n++] = live[i];
	}
	nlive = n;
}

/* Nobody waits without need, and nobody's turn has come who had to wait at that moment. */
static void
check_rules(void)
{
	for (unsigned i = 0; i < nlive; i++) {
		if (live[i].c->cmd.turn == GW_WAITS)
			ck_assert(must_wait(i));
		else if (!live[i].had)
			ck_assert(!must_wait(i));
		live[i].had = live[i].c->cmd.turn != GW_WAITS;
	}
}

static void
step(unsigned what, unsigned which)
{
	struct rig_cmd *c = nlive ? live[which % nlive].c : NULL;

	if (what < 8 && nlive < LIVE) {
		static const uint8_t attr[8] = {U, S, S, S, S, O, O, H};

		live[nlive].had = false;
		live[nlive++].c = begin(s.a, 1, attr[what]);
	} else if (c && what == 8) {
		rig.self = s.a->core;
		scsi_cmd_abort(&c->cmd, GW_ABORT_QUIET);
		rig.self = NULL;
	} else if (c && what < 14 && c->cmd.state == GW_CMD_NEW && !c->ready) {
		rig_exec(c, block, 512);
	} else if (!gw_list_empty(&rig.pending)) {
		rig_io_one();
	}
}

START_TEST(any_order)
{
	unsigned n = 0, ended = 0;

	srand(7);
	for (; n < 20000 || nlive; n++) {
		unsigned what = n < 20000 ? (unsigned)rand() % 20 : 9 + (unsigned)rand() % 11;

		step(what, (unsigned)rand());
		forget_ended();
		check_rules();
		if (rand() % 3)
			rig_run();
		ended += n >= 20000;
		ck_assert_uint_lt(ended, 20000);
	}
	ck_assert_uint_eq(s.a->tagged, 0);
}
END_TEST

RIG_SUITE("scsi/task_set", setup, teardown, simple_ones_do_not_wait,
	  ordered_waits_and_is_waited_for, head_passes, alone_nothing_waits, others_are_not_asked,
	  data_comes_late, given_up, aborts, abort_of_one_called, functions_on_task_sets,
	  clear_task_set_is_ones_own, nexus_ends, luns_come_and_go, what_a_lun_left_behind,
	  state_is_that_of_ones_turn, all_kinds_of_commands, aca_is_refused, many, any_order)
