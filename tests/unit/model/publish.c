/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/model/stubs.h"

#define NCORES 3

static struct gw_conf_err err;
static struct gw_nexus nexus[NCORES];

static void
add_nexus(struct gw_core *core, void *arg)
{
	struct gw_nexus *n = arg;

	memset(n, 0, sizeof(*n));
	n->core = core;
	n->xport = &stub_xport;
	n->target = gw_target_by_tid(gw_model_of(core), 1);
	gw_list_add_tail(gw_nexus_list(core), &n->node);
}

static void
del_nexus(struct gw_core *core, void *arg)
{
	struct gw_nexus *n = arg;

	gw_list_del(&n->node);
}

static void
set_target(uint32_t tid, const char *iqn)
{
	struct gw_conf_target t = stub_target(tid, iqn);
	struct gw_conf_change chg = {.target = &t, .ntarget = 1};

	ck_assert_int_eq(gw_conf_apply(&chg, &err), 0);
}

static int
del_target(bool force)
{
	struct gw_conf_key key = {.kind = GW_KEY_TARGET, .tid = 1};
	struct gw_conf_change chg = {.force = force, .del = &key, .ndel = 1};

	return gw_conf_apply(&chg, &err);
}

static void
start_with_sessions(void)
{
	stub_start(NCORES);
	set_target(1, "iqn.2026-01.example:one");
	stub_closed = stub_retargeted = 0;
	stub_linger = false;
	for (unsigned i = 0; i < NCORES; i++)
		gw_run_sync(gw_core_at(i), add_nexus, &nexus[i]);
}

static void
look(struct gw_core *core, void *arg)
{
	const struct gw_target *t = gw_target_by_tid(gw_model_of(core), 1);

	ck_assert_ptr_eq(nexus[core->id].target, t);
	ck_assert_str_eq(t->iqn, arg);
}

START_TEST(test_sessions_go_on_with_the_new_snapshot)
{
	start_with_sessions();
	set_target(1, "iqn.2026-01.example:renamed");
	ck_assert_uint_eq(stub_retargeted, NCORES);
	for (unsigned i = 0; i < NCORES; i++)
		gw_run_sync(gw_core_at(i), look, (char[]){"iqn.2026-01.example:renamed"});
	/* What does not concern the target does not touch its sessions. */
	set_target(2, "iqn.2026-01.example:two");
	ck_assert_uint_eq(stub_retargeted, NCORES);
	ck_assert_uint_eq(stub_closed, 0);
	ck_assert_int_eq(del_target(true), 0);
	stub_stop();
}
END_TEST

START_TEST(test_target_with_sessions_needs_force)
{
	start_with_sessions();
	ck_assert_int_eq(del_target(false), -1);
	ck_assert_int_eq(err.tgt_err, 19);
	ck_assert_uint_eq(stub_closed, 0);
	ck_assert_int_eq(del_target(true), 0);
	ck_assert_uint_eq(stub_closed, NCORES);
	stub_stop();
}
END_TEST

START_TEST(test_old_snapshot_waits_for_the_last_session)
{
	unsigned lus;

	start_with_sessions();
	lus = stub_lus;
	stub_linger = true;
	ck_assert_int_eq(del_target(true), 0);
	ck_assert_uint_eq(stub_closed, NCORES);
	ck_assert_uint_eq(stub_lus, lus);
	ck_assert_str_eq(nexus[1].target->iqn, "iqn.2026-01.example:one");
	/* A new target of that number is not theirs. */
	set_target(1, "iqn.2026-01.example:other");
	ck_assert_str_eq(nexus[1].target->iqn, "iqn.2026-01.example:one");
	for (unsigned i = 0; i < NCORES; i++)
		gw_run_sync(gw_core_at(i), del_nexus, &nexus[i]);
	gw_conf_tick();
	ck_assert(gw_list_empty(&gw_conf_now.graves));
	ck_assert_uint_eq(stub_lus, 1);
	stub_stop();
}
END_TEST

/* A session that is closing sees what there was when it last looked, however often that changes. */
START_TEST(test_lun_waits_for_older_snapshots)
{
	char path[] = "path=/a", *kv[] = {path, NULL};
	struct gw_conf_lun l = stub_lun(1, 1, kv);
	struct gw_conf_change add = {.lun = &l, .nlun = 1};
	struct gw_conf_key key = {.kind = GW_KEY_LUN, .tid = 1, .lun = 1};
	struct gw_conf_change del = {.del = &key, .ndel = 1};
	unsigned lus;

	start_with_sessions();
	ck_assert_int_eq(gw_conf_apply(&add, &err), 0);
	lus = stub_lus;
	nexus[1].closing = true;
	set_target(1, "iqn.2026-01.example:renamed");
	ck_assert_int_eq(gw_conf_apply(&del, &err), 0);
	ck_assert_uint_eq(nexus[1].target->nlun, 2);
	ck_assert_uint_eq(stub_lus, lus);
	gw_conf_tick();
	ck_assert_uint_eq(stub_lus, lus);
	gw_run_sync(gw_core_at(1), del_nexus, &nexus[1]);
	gw_conf_tick();
	ck_assert_uint_eq(stub_lus, lus - 1);
	ck_assert(gw_list_empty(&gw_conf_now.graves));
	stub_stop();
}
END_TEST

SUITE("publish", test_sessions_go_on_with_the_new_snapshot, test_target_with_sessions_needs_force,
      test_old_snapshot_waits_for_the_last_session, test_lun_waits_for_older_snapshots)
