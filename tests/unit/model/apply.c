/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/model/stubs.h"

static char *kv_a[] = {(char[]){"path=/a"}, (char[]){"size=1048576"}, NULL};
static char *kv_a_direct[] = {(char[]){"path=/a"}, (char[]){"direct=1"}, NULL};
static char *kv_a_big[] = {(char[]){"path=/a"}, (char[]){"size=2097152"}, NULL};
static char *kv_a_small[] = {(char[]){"path=/a"}, (char[]){"size=4096"}, NULL};
static char *kv_large[] = {(char[]){"path=/large"}, (char[]){"size=4096"}, NULL};
static char *kv_b[] = {(char[]){"path=/b"}, NULL};
static char *kv_c[] = {(char[]){"path=/c"}, NULL};
static char *kv_missing[] = {(char[]){"path=/missing"}, NULL};
static char *kv_4k[] = {(char[]){"path=/4k"}, NULL};
static char *kv_none[] = {NULL};

static struct gw_conf_err err;

static int
apply(struct gw_conf_change chg)
{
	return gw_conf_apply(&chg, &err);
}

/* Target 1 with LUN 1 on /a and LUN 2 on /b; a portal on every address. */
static void
base_config(void)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:One");
	struct gw_conf_lun l[] = {stub_lun(1, 1, kv_a), stub_lun(1, 2, kv_b)};
	struct gw_conf_portal p = {.host = "::", .port = 3260, .tpgt = 1};
	struct gw_account a = {.name = "user", .secret = "secret"};

	ck_assert_int_eq(apply((struct gw_conf_change){.full = true,
						       .target = &t,
						       .ntarget = 1,
						       .lun = l,
						       .nlun = 2,
						       .portal = &p,
						       .nportal = 1,
						       .account = &a,
						       .naccount = 1}),
			 0);
}

START_TEST(test_apply_full_then_the_same_changes_nothing)
{
	const struct gw_target *t;
	uint64_t generation;

	stub_start(1);
	base_config();
	generation = gw_conf_generation();
	t = gw_target_by_name(gw_conf_now.model, "IQN.2026-01.Example:ONE");
	ck_assert_ptr_nonnull(t);
	ck_assert_uint_eq(t->nlun, 3);
	ck_assert_uint_eq(t->lun[0].lun, 0);
	ck_assert_int_eq(t->lun[0].lu->conf.kind, SCSI_KIND_CONTROLLER);
	ck_assert_uint_eq(stub_devs, 2);
	ck_assert_uint_eq(stub_listeners, 1);
	stub_step = 0;
	base_config();
	ck_assert_uint_eq(stub_step, 0);
	ck_assert_uint_eq(gw_conf_generation(), generation + 1);
	ck_assert_ptr_eq(gw_target_by_tid(gw_conf_now.model, 1), t);
	stub_stop();
}
END_TEST

/* Tags ascend, each once; more than GW_GROUPS_MAX are refused. */
START_TEST(test_portal_groups)
{
	struct gw_conf_portal p[GW_GROUPS_MAX + 1] = {{.port = 1, .tpgt = 9},
						      {.port = 2, .tpgt = 65535},
						      {.port = 3, .tpgt = 9},
						      {.port = 4, .tpgt = 2}};
	struct gw_conf_change full = {.full = true, .portal = p, .nportal = 4};
	const struct gw_model *m;

	for (unsigned i = 0; i < GW_ARRAY_LEN(p); i++)
		strcpy(p[i].host, "::");
	stub_start(1);
	ck_assert_int_eq(apply(full), 0);
	m = gw_conf_now.model;
	ck_assert_uint_eq(m->ngroup, 3);
	ck_assert_uint_eq(m->group[0], 2);
	ck_assert_uint_eq(m->group[1], 9);
	ck_assert_uint_eq(m->group[2], 65535);
	for (unsigned i = 0; i < GW_ARRAY_LEN(p); i++)
		p[i].port = p[i].tpgt = (uint16_t)(i + 1);
	full.nportal = GW_GROUPS_MAX + 1;
	ck_assert_int_eq(apply(full), -1);
	ck_assert_uint_eq(gw_conf_now.model->ngroup, 3);
	p[GW_GROUPS_MAX].tpgt = 1;
	ck_assert_int_eq(apply(full), 0);
	ck_assert_uint_eq(gw_conf_now.model->ngroup, GW_GROUPS_MAX);
	stub_stop();
}
END_TEST

static const struct scsi_alua *
alua_of(uint32_t tid)
{
	return gw_target_by_tid(gw_conf_now.model, tid)->alua;
}

/* What the administrator wants of portal groups: there with the target, told when it changes. */
START_TEST(test_access_states)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:one");
	struct gw_conf_change full = {.full = true, .target = &t, .ntarget = 1};

	stub_start(2);
	t.alua[0] = (struct scsi_alua_set){.tpgt = 7, .state = SCSI_ACCESS_STANDBY};
	t.nalua = 1;
	ck_assert_int_eq(apply(full), 0);
	ck_assert_uint_eq(alua_of(1)->calls, 1);
	ck_assert_uint_eq(alua_of(1)->n, 1);
	ck_assert_uint_eq(alua_of(1)->set[0].tpgt, 7);
	ck_assert_uint_eq(alua_of(1)->set[0].state, SCSI_ACCESS_STANDBY);
	/* The same again, or another change: nobody hears of it. */
	ck_assert_int_eq(apply(full), 0);
	strcpy(t.alias, "other");
	ck_assert_int_eq(apply(full), 0);
	ck_assert_uint_eq(alua_of(1)->calls, 1);
	t.alua[0].preferred = true;
	ck_assert_int_eq(apply(full), 0);
	ck_assert_uint_eq(alua_of(1)->calls, 2);
	ck_assert(alua_of(1)->set[0].preferred);
	t.alua[1] = (struct scsi_alua_set){.tpgt = 7, .state = SCSI_ACCESS_OFFLINE};
	t.nalua = 2;
	ck_assert_int_eq(apply(full), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "portal group 7 has two states"));
	t.alua[1].tpgt = 0;
	ck_assert_int_eq(apply(full), -1);
	t.alua[1] = (struct scsi_alua_set){.tpgt = 8, .state = 4};
	ck_assert_int_eq(apply(full), -1);
	t.nalua = GW_GROUPS_MAX + 1;
	ck_assert_int_eq(apply(full), -1);
	ck_assert_uint_eq(alua_of(1)->calls, 2);
	t.nalua = 0;
	ck_assert_int_eq(apply(full), 0);
	ck_assert_uint_eq(alua_of(1)->calls, 3);
	ck_assert_uint_eq(alua_of(1)->n, 0);
	stub_stop();
}
END_TEST

/* A change that uses every step: moves a store, changes options, grows, listens, adds. */
static int
big_change(void)
{
	struct gw_conf_target t[] = {stub_target(1, "iqn.2026-01.example:renamed"),
				     stub_target(2, "iqn.2026-01.example:two")};
	struct gw_conf_lun l[] = {stub_lun(1, 1, kv_a_direct), stub_lun(2, 0, kv_c),
				  stub_lun(2, 5, kv_b)};
	struct gw_conf_portal p[] = {{.host = "192.0.2.1", .port = 3260, .tpgt = 1},
				     {.host = "192.0.2.1", .port = 3261, .tpgt = 1}};
	struct gw_conf_key del[] = {{.kind = GW_KEY_LUN, .tid = 1, .lun = 2},
				    {.kind = GW_KEY_PORTAL, .name = "[::]:3260"}};

	return apply((struct gw_conf_change){.target = t,
					     .ntarget = 2,
					     .lun = l,
					     .nlun = 3,
					     .portal = p,
					     .nportal = 2,
					     .del = del,
					     .ndel = 2});
}

static bool
store_open(const char *path, const char *direct)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(stub_dev); i++) {
		const struct stub_store *s = stub_dev[i] ? stub_dev[i]->priv : NULL;

		if (s && !strcmp(s->path, path) && !strcmp(s->opts, direct))
			return true;
	}
	return false;
}

START_TEST(test_apply_is_all_or_nothing_at_each_step)
{
	unsigned fail = 0;

	stub_start(2);
	base_config();
	for (;;) {
		const struct gw_model *m = gw_conf_now.model;

		stub_step = 0;
		stub_fail_at = ++fail;
		if (big_change() == 0)
			break;
		stub_fail_at = 0;
		ck_assert_str_ne(err.text, "");
		ck_assert_ptr_eq(gw_conf_now.model, m);
		ck_assert_uint_eq(gw_conf_now.state.lun.n, 2);
		ck_assert_uint_eq(gw_conf_now.state.target.n, 1);
		ck_assert_uint_eq(stub_devs, 2);
		ck_assert(store_open("/a", "") && store_open("/b", ""));
		ck_assert_uint_eq(stub_lus, 3);
		ck_assert_uint_eq(stub_listeners, 1);
		ck_assert_str_eq(stub_ports[0], ":::3260");
		ck_assert_uint_eq(gw_conf_now.ndegraded, 0);
	}
	/* Two opens that succeed at once or late for each of three stores, two portals, four LUs.
	 */
	ck_assert_uint_ge(fail, 8);
	stub_fail_at = 0;
	ck_assert(store_open("/a", "1") && store_open("/b", "") && store_open("/c", ""));
	ck_assert_uint_eq(stub_devs, 3);
	ck_assert_uint_eq(stub_listeners, 2);
	ck_assert_uint_eq(gw_target_by_tid(gw_conf_now.model, 1)->nlun, 2);
	ck_assert_uint_eq(gw_target_by_tid(gw_conf_now.model, 2)->nlun, 2);
	ck_assert_ptr_null(gw_target_by_name(gw_conf_now.model, "iqn.2026-01.example:one"));
	stub_stop();
}
END_TEST

START_TEST(test_apply_size_grows_in_place)
{
	struct gw_conf_lun l = stub_lun(1, 1, kv_a_big);
	struct be_dev *dev;
	struct scsi_lu *lu;

	stub_start(1);
	base_config();
	lu = gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu;
	dev = lu->dev;
	stub_resized = 0;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &l, .nlun = 1}), 0);
	ck_assert_ptr_eq(lu->dev, dev);
	ck_assert_uint_eq(lu->size, 2097152);
	ck_assert_uint_eq(stub_resized, 1);
	l.kv = kv_a_small;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &l, .nlun = 1}), -1);
	ck_assert_uint_eq(lu->size, 2097152);
	stub_stop();
}
END_TEST

/* Whoever asked for the growth died before it was kept: the old size is wanted again. */
START_TEST(test_apply_full_leaves_a_grown_store)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:One");
	struct gw_conf_lun l[] = {stub_lun(1, 1, kv_a_big), stub_lun(1, 2, kv_b)};
	struct gw_conf_change full = {
	    .full = true, .target = &t, .ntarget = 1, .lun = l, .nlun = 2};
	struct gw_conf_change one = {.lun = &l[1], .nlun = 1};
	struct scsi_lu *lu;

	stub_start(1);
	base_config();
	lu = gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), 0);
	l[0].kv = kv_a;
	ck_assert_int_eq(apply(full), 0);
	ck_assert_uint_eq(lu->size, 2097152);
	ck_assert_ptr_null(gw_conf_lun_trouble(1, 1));
	l[0].kv = kv_a_big;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), 0);

	/* A new gateway finds the grown store; as a new LUN it would be a mistake. */
	l[1].kv = kv_large;
	ck_assert_int_eq(apply(one), -1);
	ck_assert_int_eq(apply(full), 0);
	ck_assert_ptr_null(gw_conf_lun_trouble(1, 2));
	ck_assert_uint_eq(gw_target_by_tid(gw_conf_now.model, 1)->lun[2].lu->size, 1 << 20);
	stub_stop();
}
END_TEST

START_TEST(test_apply_settings_keep_the_store)
{
	struct gw_conf_lun l = stub_lun(1, 1, kv_a);
	struct be_dev *dev;
	struct scsi_lu *lu;

	stub_start(1);
	base_config();
	lu = gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu;
	dev = lu->dev;
	l.scsi.readonly = true;
	stub_updated = 0;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &l, .nlun = 1}), 0);
	ck_assert_ptr_eq(lu->dev, dev);
	ck_assert(lu->conf.readonly);
	ck_assert_uint_eq(stub_updated, 1);
	stub_stop();
}
END_TEST

START_TEST(test_block_size_and_store_change_together)
{
	struct gw_conf_lun l = stub_lun(1, 1, kv_4k);
	struct scsi_lu *lu;

	stub_start(1);
	base_config();
	lu = gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &l, .nlun = 1}), -1);
	ck_assert_str_eq(err.key, "lun:1/1");
	ck_assert(store_open("/a", ""));
	ck_assert_uint_eq(stub_devs, 2);
	l.scsi.block_size = 4096;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &l, .nlun = 1}), 0);
	ck_assert(store_open("/4k", "") && !store_open("/a", ""));
	ck_assert_uint_eq(lu->conf.block_size, 4096);
	/* Smaller blocks are refused while that store stays. */
	l.scsi.block_size = 512;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &l, .nlun = 1}), -1);
	ck_assert_uint_eq(lu->conf.block_size, 4096);
	stub_stop();
}
END_TEST

static unsigned
count_degraded(void)
{
	return gw_conf_now.ndegraded;
}

START_TEST(test_apply_full_accepts_what_is_missing)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:one");
	struct gw_conf_lun l[] = {stub_lun(1, 1, kv_missing), stub_lun(1, 2, kv_b)};
	struct gw_conf_portal p = {.host = "192.0.2.99", .port = 3260, .tpgt = 1};
	struct gw_conf_change chg = {.full = true,
				     .target = &t,
				     .ntarget = 1,
				     .lun = l,
				     .nlun = 2,
				     .portal = &p,
				     .nportal = 1};

	stub_start(1);
	ck_assert_int_eq(apply(chg), 0);
	ck_assert_uint_eq(count_degraded(), 2);
	ck_assert_ptr_nonnull(gw_conf_lun_trouble(1, 1));
	ck_assert_ptr_null(gw_conf_lun_trouble(1, 2));
	ck_assert(gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu->conf.gone);
	/* The same in a change that is not full is refused. */
	l[0].lun = 7;
	l[0].scsi.naa[15] = 7;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), -1);
	ck_assert_str_eq(err.key, "lun:1/7");
	ck_assert_uint_eq(count_degraded(), 2);
	stub_stop();
}
END_TEST

static bool
listens(const char *name)
{
	for (unsigned i = 0; i < GW_ARRAY_LEN(stub_ports); i++) {
		if (strcmp(stub_ports[i], name) == 0)
			return stub_accepting[i];
	}
	return false;
}

static struct gw_conf_portal
portal_over(enum gw_transport t, const char *host, const char *advertise)
{
	struct gw_conf_portal p = {.port = 3260, .tpgt = 1, .transport = t};

	snprintf(p.host, sizeof(p.host), "%s", host);
	snprintf(p.advertise, sizeof(p.advertise), "%s", advertise);
	return p;
}

static int
portal_set(enum gw_transport t, const char *host, const char *advertise, const char *del)
{
	struct gw_conf_portal p = portal_over(t, host, advertise);
	struct gw_conf_key k = {.kind = GW_KEY_PORTAL};

	snprintf(k.name, sizeof(k.name), "%s", del ? del : "");
	return apply((struct gw_conf_change){.portal = &p, .nportal = 1, .del = &k, .ndel = !!del});
}

START_TEST(test_portals_differ_by_transport)
{
	struct gw_conf_key del = {.kind = GW_KEY_PORTAL, .name = "[::]:3260/iser"};
	struct gw_conf_portal twice[] = {portal_over(GW_TRANSPORT_ISER, "192.0.2.9", ""),
					 portal_over(GW_TRANSPORT_ISER, "192.0.2.9", "x:1")};

	stub_start(1);
	base_config();
	ck_assert_int_eq(portal_set(GW_TRANSPORT_ISER, "::", "", NULL), 0);
	ck_assert_uint_eq(gw_conf_now.model->nportal, 2);
	ck_assert(listens(":::3260") && listens("iser :::3260"));
	/* A change of one leaves the other alone; so does the port that it gives up. */
	stub_step = 0;
	ck_assert_int_eq(portal_set(GW_TRANSPORT_ISER, "::", "gw:1", NULL), 0);
	ck_assert_uint_eq(stub_step, 1);
	ck_assert_int_eq(portal_set(GW_TRANSPORT_TCP, "192.0.2.1", "", "[::]:3260"), 0);
	ck_assert(listens("192.0.2.1:3260") && !listens(":::3260") && listens("iser :::3260"));
	stub_step = 0;
	ck_assert_int_eq(portal_set(GW_TRANSPORT_TCP, "192.0.2.2", "", "[::]:3260/iser"), -1);
	ck_assert_uint_eq(stub_step, 0);
	ck_assert(listens("192.0.2.1:3260") && listens("iser :::3260"));
	ck_assert_int_eq(apply((struct gw_conf_change){.portal = twice, .nportal = 2}), -1);
	ck_assert_str_eq(err.key, "portal:192.0.2.9:3260/iser");
	ck_assert_int_eq(apply((struct gw_conf_change){.del = &del, .ndel = 1}), 0);
	ck_assert(listens("192.0.2.1:3260") && !listens("iser :::3260"));
	ck_assert_int_eq(apply((struct gw_conf_change){.del = &del, .ndel = 1}), -1);
	ck_assert_uint_eq(stub_listeners, 1);
	stub_stop();
}
END_TEST

static void
is_iser_trouble(const char *key, const char *reason, void *arg)
{
	ck_assert_str_eq(key, "portal:[::]:3260/iser");
	ck_assert_ptr_nonnull(strstr(reason, arg));
}

/* What is stored with RDMA and comes up without: iSER waits, TCP is served. */
static void
comes_up_without(const char *why)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:one");
	struct gw_conf_portal p[] = {portal_over(GW_TRANSPORT_ISER, "::", ""),
				     portal_over(GW_TRANSPORT_TCP, "::", "")};
	char reason[100];

	snprintf(reason, sizeof(reason), "%s", why);
	ck_assert_int_eq(apply((struct gw_conf_change){
			     .full = true, .target = &t, .ntarget = 1, .portal = p, .nportal = 2}),
			 0);
	ck_assert(listens(":::3260") && !listens("iser :::3260"));
	ck_assert_uint_eq(count_degraded(), 1);
	gw_conf_each_degraded(is_iser_trouble, reason);
	for (int i = 0; i < 4; i++)
		gw_conf_tick();
	ck_assert_uint_eq(count_degraded(), 1);
	/* A new one is refused, and a change of anything else is not. */
	ck_assert_int_eq(portal_set(GW_TRANSPORT_ISER, "192.0.2.1", "", NULL), -1);
	ck_assert_ptr_nonnull(strstr(err.text, why));
	ck_assert_str_eq(err.key, "portal:192.0.2.1:3260/iser");
	t.ready = false;
	ck_assert_int_eq(apply((struct gw_conf_change){.target = &t, .ntarget = 1}), 0);
	ck_assert_uint_eq(count_degraded(), 1);
}

START_TEST(test_iser_waits_for_a_device)
{
	stub_start(1);
	stub_no_rdma = true;
	comes_up_without("no RDMA device");
	stub_no_rdma = false;
	for (int i = 0; i < 4; i++)
		gw_conf_tick();
	ck_assert_uint_eq(count_degraded(), 0);
	ck_assert(listens(":::3260") && listens("iser :::3260"));
	stub_stop();
}
END_TEST

START_TEST(test_iser_is_not_built_in)
{
	struct gw_conf_key del = {.kind = GW_KEY_PORTAL, .name = "[::]:3260/iser"};

	stub_start(1);
	gw_conf_xports(&stub_xport, NULL);
	comes_up_without("this program was built without RDMA");
	ck_assert_int_eq(apply((struct gw_conf_change){.del = &del, .ndel = 1}), 0);
	ck_assert_uint_eq(count_degraded(), 0);
	stub_stop();
}
END_TEST

START_TEST(test_tick_heals_and_notices)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:one");
	struct gw_conf_lun l = stub_lun(1, 1, kv_b);
	struct scsi_lu *lu;

	stub_start(1);
	stub_missing = true;
	ck_assert_int_eq(apply((struct gw_conf_change){
			     .full = true, .target = &t, .ntarget = 1, .lun = &l, .nlun = 1}),
			 0);
	lu = gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu;
	for (int i = 0; i < 4; i++)
		gw_conf_tick();
	ck_assert_ptr_null(lu->dev);
	stub_missing = false;
	for (int i = 0; i < 4; i++)
		gw_conf_tick();
	ck_assert_ptr_nonnull(lu->dev);
	ck_assert(!lu->conf.gone);
	ck_assert_uint_eq(count_degraded(), 0);
	/* Its file grows, then it is gone. */
	((struct stub_store *)lu->dev->priv)->bytes = 5 << 20;
	gw_conf_tick();
	ck_assert_uint_eq(lu->size, 5 << 20);
	((struct stub_store *)lu->dev->priv)->bytes = 0;
	stub_missing = true;
	gw_conf_tick();
	ck_assert_ptr_null(lu->dev);
	ck_assert(lu->conf.gone);
	ck_assert_uint_eq(count_degraded(), 1);
	stub_missing = false;
	stub_stop();
}
END_TEST

static struct gw_conf_lun
drive(uint64_t lun, char **kv)
{
	struct gw_conf_lun l = stub_lun(1, lun, kv);

	l.scsi.kind = SCSI_KIND_CD;
	l.scsi.block_size = SCSI_CD_BLOCK;
	l.scsi.removable = l.scsi.readonly = true;
	return l;
}

/* Under the same number, with the same store: a new LU that initiators are told of. */
START_TEST(test_another_device_type_is_another_lun)
{
	struct gw_conf_lun cd = drive(1, kv_a), disk = stub_lun(1, 1, kv_a);
	const struct gw_target *t;

	stub_start(1);
	base_config();
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &cd, .nlun = 1}), 0);
	t = gw_target_by_tid(gw_conf_now.model, 1);
	ck_assert_uint_eq(t->nlun, 3);
	ck_assert_int_eq(t->lun[1].lu->conf.kind, SCSI_KIND_CD);
	ck_assert_ptr_nonnull(t->lun[1].lu->dev);
	ck_assert_uint_eq(stub_lus, 4 - 1);
	ck_assert_uint_eq(stub_devs, 2);
	stub_updated = 0;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &cd, .nlun = 1}), 0);
	ck_assert_uint_eq(stub_updated, 0);
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = &disk, .nlun = 1}), 0);
	t = gw_target_by_tid(gw_conf_now.model, 1);
	ck_assert_int_eq(t->lun[1].lu->conf.kind, SCSI_KIND_DISK);
	ck_assert_ptr_nonnull(t->lun[1].lu->dev);
	ck_assert_uint_eq(stub_devs, 2);
	stub_stop();
}
END_TEST

/* Each row is refused by its number, and nothing changes. */
START_TEST(test_apply_refusals)
{
	struct gw_conf_target one = stub_target(1, "iqn.2026-01.example:one");
	struct gw_conf_target same_name = stub_target(2, "iqn.2026-01.EXAMPLE:one");
	struct gw_conf_target bad_name = stub_target(2, "iqn with blanks");
	struct gw_conf_target in = stub_target(2, "iqn.2026-01.example:two");
	struct gw_conf_target depth = stub_target(2, "iqn.2026-01.example:two");
	char *nobody[] = {(char[]){"nobody"}};
	struct gw_conf_lun orphan = stub_lun(9, 1, kv_c), same_naa = stub_lun(1, 3, kv_c);
	struct gw_conf_lun block = stub_lun(1, 3, kv_c), busy = stub_lun(1, 3, kv_b);
	struct gw_conf_lun cd_block = drive(3, kv_c), cd_written = drive(3, kv_c);
	struct gw_conf_lun twice[] = {stub_lun(1, 3, kv_none), stub_lun(1, 3, kv_none)};
	struct gw_conf_portal host = {.host = "localhost", .port = 3260, .tpgt = 1};
	struct gw_conf_key no_lun = {.kind = GW_KEY_LUN, .tid = 1, .lun = 9};
	struct gw_conf_key no_target = {.kind = GW_KEY_TARGET, .tid = 9};
	struct gw_conf_key no_account = {.kind = GW_KEY_ACCOUNT, .name = "nobody"};
	struct gw_conf_key no_portal = {.kind = GW_KEY_PORTAL, .name = "192.0.2.1:3260"};
	const struct {
		int tgt_err;
		struct gw_conf_change chg;
	} row[] = {
	    {9, {.target = &same_name, .ntarget = 1}},
	    {17, {.target = &bad_name, .ntarget = 1}},
	    {15, {.target = &in, .ntarget = 1}},
	    {17, {.target = &depth, .ntarget = 1}},
	    {4, {.lun = &orphan, .nlun = 1}},
	    {17, {.lun = &same_naa, .nlun = 1}},
	    {17, {.lun = &block, .nlun = 1}},
	    {17, {.lun = &cd_block, .nlun = 1}},
	    {17, {.lun = &cd_written, .nlun = 1}},
	    {17, {.lun = &busy, .nlun = 1}},
	    {17, {.lun = twice, .nlun = 2}},
	    {17, {.portal = &host, .nportal = 1}},
	    {5, {.del = &no_lun, .ndel = 1}},
	    {4, {.del = &no_target, .ndel = 1}},
	    {15, {.del = &no_account, .ndel = 1}},
	    {17, {.del = &no_portal, .ndel = 1}},
	    {4, {.full = true, .lun = &orphan, .nlun = 1}},
	    {17, {.full = true, .target = &one, .ntarget = 1, .lun = twice, .nlun = 2}},
	};

	in.in = nobody;
	in.nin = 1;
	depth.params.queue_depth = 0;
	memcpy(same_naa.scsi.naa, stub_lun(1, 1, NULL).scsi.naa, 16);
	block.scsi.block_size = 520;
	cd_block.scsi.block_size = 4096;
	cd_written.scsi.readonly = false;
	stub_start(1);
	base_config();
	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++) {
		const struct gw_model *m = gw_conf_now.model;

		ck_assert_msg(apply(row[i].chg) == -1, "row %zu", i);
		ck_assert_msg(err.tgt_err == row[i].tgt_err, "row %zu: %d: %s", i, err.tgt_err,
			      err.text);
		ck_assert_str_ne(err.text, "");
		ck_assert_ptr_eq(gw_conf_now.model, m);
		ck_assert_uint_eq(stub_devs, 2);
	}
	stub_stop();
}
END_TEST

START_TEST(test_account_reaches_its_targets)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:one");
	struct gw_account a = {.name = "user", .secret = "other"};
	struct gw_conf_key del = {.kind = GW_KEY_ACCOUNT, .name = "user"};
	char *in[] = {(char[]){"user"}};

	t.in = in;
	t.nin = 1;
	stub_start(1);
	base_config();
	ck_assert_int_eq(apply((struct gw_conf_change){.target = &t, .ntarget = 1}), 0);
	ck_assert_int_eq(apply((struct gw_conf_change){.account = &a, .naccount = 1}), 0);
	ck_assert_str_eq(gw_target_by_tid(gw_conf_now.model, 1)->in[0]->secret, "other");
	ck_assert_int_eq(apply((struct gw_conf_change){.del = &del, .ndel = 1}), -1);
	ck_assert_int_eq(err.tgt_err, 15);
	stub_stop();
}
END_TEST

START_TEST(test_identity_moves_in_one_change)
{
	struct gw_conf_lun l[] = {stub_lun(1, 1, kv_a), stub_lun(1, 2, kv_b)};

	stub_start(1);
	base_config();
	l[0].scsi.naa[15] = 2;
	l[1].scsi.naa[15] = 1;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 2}), 0);
	ck_assert_uint_eq(gw_target_by_tid(gw_conf_now.model, 1)->lun[1].lu->conf.naa[15], 2);
	stub_stop();
}
END_TEST

START_TEST(test_a_deleted_lun_is_forgotten)
{
	struct gw_conf_key del = {.kind = GW_KEY_LUN, .tid = 1, .lun = 1};
	struct gw_conf_lun l[] = {stub_lun(1, 1, kv_a), stub_lun(1, 2, kv_b)};

	stub_start(1);
	base_config();
	stub_forgotten = 0;
	/* Settings, the store, what is refused, identities that change hands: nothing goes. */
	l[0].scsi.readonly = true;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), 0);
	l[0].kv = kv_c;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), 0);
	l[0].kv = kv_missing;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), -1);
	l[0].kv = kv_c;
	l[0].scsi.naa[15] = 2;
	l[1].scsi.naa[15] = 1;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 2}), 0);
	ck_assert_uint_eq(stub_forgotten, 0);
	/* Another name, and the old one is free. */
	l[0].scsi.naa[15] = 7;
	ck_assert_int_eq(apply((struct gw_conf_change){.lun = l, .nlun = 1}), 0);
	ck_assert_uint_eq(stub_forgotten, 1);
	ck_assert_uint_eq(stub_forgotten_last, 2);
	ck_assert_int_eq(apply((struct gw_conf_change){.del = &del, .ndel = 1}), 0);
	ck_assert_uint_eq(stub_forgotten, 2);
	ck_assert_uint_eq(stub_forgotten_last, 7);
	/* It moves to another number in one change. */
	del.lun = 2;
	l[1].lun = 5;
	ck_assert_int_eq(
	    apply((struct gw_conf_change){.lun = l + 1, .nlun = 1, .del = &del, .ndel = 1}), 0);
	ck_assert_uint_eq(stub_forgotten, 2);
	/* The end deletes nothing. */
	stub_stop();
	ck_assert_uint_eq(stub_forgotten, 2);
}
END_TEST

START_TEST(test_a_deleted_target_is_forgotten)
{
	struct gw_conf_key del = {.kind = GW_KEY_TARGET, .tid = 1};

	stub_start(2);
	base_config();
	stub_forgotten = 0;
	ck_assert_int_eq(apply((struct gw_conf_change){.del = &del, .ndel = 1}), 0);
	ck_assert_uint_eq(stub_forgotten, 2);
	base_config();
	ck_assert_int_eq(apply((struct gw_conf_change){.full = true}), 0);
	ck_assert_uint_eq(stub_forgotten, 4);
	stub_stop();
}
END_TEST

static void
count_one(const char *key, const char *reason, void *arg)
{
	++*(unsigned *)arg;
	ck_assert_str_eq(reason, stub_trouble);
}

START_TEST(test_what_the_unit_itself_says_is_told)
{
	unsigned n = 0;

	stub_start(1);
	base_config();
	ck_assert_ptr_null(gw_conf_lun_trouble(1, 1));
	gw_conf_each_degraded(count_one, &n);
	ck_assert_uint_eq(n, 0);
	stub_trouble = "it serves nobody";
	ck_assert_str_eq(gw_conf_lun_trouble(1, 1), stub_trouble);
	gw_conf_each_degraded(count_one, &n);
	ck_assert_uint_eq(n, 2);
	stub_trouble = NULL;
	stub_stop();
}
END_TEST

START_TEST(test_check_changes_nothing)
{
	struct gw_conf_lun l = stub_lun(1, 7, kv_c);
	struct gw_conf_change chg = {.lun = &l, .nlun = 1};
	const struct gw_model *m;

	stub_start(1);
	base_config();
	m = gw_conf_now.model;
	stub_step = 0;
	ck_assert_int_eq(gw_conf_check(&chg, &err), 0);
	l.tid = 9;
	ck_assert_int_eq(gw_conf_check(&chg, &err), -1);
	ck_assert_ptr_eq(gw_conf_now.model, m);
	ck_assert_uint_eq(stub_step, 0);
	stub_stop();
}
END_TEST

SUITE("apply", test_apply_full_then_the_same_changes_nothing,
      test_apply_is_all_or_nothing_at_each_step, test_apply_size_grows_in_place,
      test_apply_full_leaves_a_grown_store, test_apply_settings_keep_the_store,
      test_block_size_and_store_change_together, test_apply_full_accepts_what_is_missing,
      test_portals_differ_by_transport, test_iser_waits_for_a_device, test_iser_is_not_built_in,
      test_tick_heals_and_notices, test_another_device_type_is_another_lun, test_apply_refusals,
      test_account_reaches_its_targets, test_identity_moves_in_one_change,
      test_a_deleted_lun_is_forgotten, test_a_deleted_target_is_forgotten,
      test_what_the_unit_itself_says_is_told, test_check_changes_nothing, test_portal_groups,
      test_access_states)
