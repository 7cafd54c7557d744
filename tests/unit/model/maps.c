/* SPDX-License-Identifier: BSD-3-Clause */
/* LUN maps from a change to what an initiator sees. */
#include "tests/unit/model/stubs.h"

static char *kv_a[] = {(char[]){"path=/a"}, NULL};
static char *kv_b[] = {(char[]){"path=/b"}, NULL};
static char *kv_c[] = {(char[]){"path=/c"}, NULL};

static struct gw_conf_err err;

static struct gw_conf_map_lun swapped[] = {{5, 1, false}, {0, 2, true}};
static struct gw_conf_map_lun one[] = {{7, 1, true}, {3, 9, false}};
static struct gw_conf_map maps[] = {
    {.name = "iqn.x:*", .lun = one, .nlun = 2},
    {.name = "iqn.x:A", .lun = swapped, .nlun = 2},
    {.name = "iqn.?:none"},
    {.name = "iqn.y:*", .all = true, .ro = true},
};

static int
set_maps(struct gw_conf_map *map, uint32_t n)
{
	struct gw_conf_target t = stub_target(1, "iqn.2026-01.example:one");

	t.map = map;
	t.nmap = n;
	return gw_conf_apply(&(struct gw_conf_change){.target = &t, .ntarget = 1}, &err);
}

static void
set_lun(uint64_t lun, char **kv)
{
	struct gw_conf_lun l = stub_lun(1, lun, kv);

	ck_assert_int_eq(gw_conf_apply(&(struct gw_conf_change){.lun = &l, .nlun = 1}, &err), 0);
}

static void
del_lun(uint64_t lun)
{
	struct gw_conf_key key = {.kind = GW_KEY_LUN, .tid = 1, .lun = lun};

	ck_assert_int_eq(gw_conf_apply(&(struct gw_conf_change){.del = &key, .ndel = 1}, &err), 0);
}

/* LUNs 1 and 2, and the maps above. */
static void
start(void)
{
	stub_start(1);
	ck_assert_int_eq(set_maps(maps, GW_ARRAY_LEN(maps)), 0);
	set_lun(1, kv_a);
	set_lun(2, kv_b);
}

static const struct gw_target *
target(void)
{
	return gw_target_by_tid(gw_conf_now.model, 1);
}

/* "own=lun" for each LUN that the initiator sees, "ctl" for the controller, "/ro" for read-only. */
static const char *
seen(const char *initiator)
{
	const struct gw_target *t = target();
	const struct gw_lunset *s = gw_lunset_of(t, initiator);
	const struct gw_lun *lun = s ? s->lun : t->lun;
	uint32_t n = s ? s->nlun : t->nlun;
	static char out[200];
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < n; i++) {
		const struct scsi_lu_conf *c = &lun[i].lu->conf;

		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%u=", i ? "," : "",
				       (unsigned)lun[i].lun);
		if (c->kind == SCSI_KIND_CONTROLLER)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "ctl");
		else
			at += (size_t)snprintf(out + at, sizeof(out) - at, "%u", (unsigned)c->lun);
		if (lun[i].ro || (s && s->ro))
			at += (size_t)snprintf(out + at, sizeof(out) - at, "/ro");
	}
	for (uint32_t i = 0; s && !s->all && i < n; i++) {
		ck_assert(s->by_lu[i] >= s->lun && s->by_lu[i] < s->lun + n);
		ck_assert(i == 0 || (uintptr_t)s->by_lu[i - 1]->lu < (uintptr_t)s->by_lu[i]->lu);
	}
	return out;
}

START_TEST(test_who_sees_what)
{
	static const struct {
		const char *who, *luns;
	} row[] = {
	    {"iqn.z:a", "0=ctl,1=1,2=2"},
	    /* Its own name goes before a pattern that is named first. */
	    {"iqn.x:a", "0=2/ro,5=1"},
	    {"IQN.X:A", "0=2/ro,5=1"},
	    /* LUN 9 is not there. */
	    {"iqn.x:b", "0=ctl,7=1/ro"},
	    /* The first pattern. */
	    {"iqn.x:none", "0=ctl,7=1/ro"},
	    {"iqn.y:none", "0=ctl"},
	    {"iqn.y:a", "0=ctl/ro,1=1/ro,2=2/ro"},
	    /* Bearing a pattern's name makes nobody another. */
	    {"iqn.?:none", "0=ctl"},
	    {"iqn.x:*", "0=ctl,7=1/ro"},
	};

	start();
	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++)
		ck_assert_str_eq(seen(row[i].who), row[i].luns);
	stub_stop();
}
END_TEST

START_TEST(test_luns_come_and_go)
{
	start();
	del_lun(1);
	ck_assert_str_eq(seen("iqn.x:a"), "0=2/ro");
	ck_assert_str_eq(seen("iqn.x:b"), "0=ctl");
	ck_assert_str_eq(seen("iqn.y:a"), "0=ctl/ro,2=2/ro");
	set_lun(9, kv_c);
	ck_assert_str_eq(seen("iqn.x:b"), "0=ctl,3=9");
	ck_assert_str_eq(seen("iqn.y:a"), "0=ctl/ro,2=2/ro,9=9/ro");
	set_lun(1, kv_a);
	ck_assert_str_eq(seen("iqn.x:a"), "0=2/ro,5=1");
	/* A disk at 0 of the target is not at 0 of the maps. */
	del_lun(2);
	set_lun(0, kv_b);
	ck_assert_str_eq(seen("iqn.z:a"), "0=0,1=1,9=9");
	ck_assert_str_eq(seen("iqn.y:none"), "0=ctl");
	ck_assert_str_eq(seen("iqn.x:a"), "0=ctl,5=1");
	stub_stop();
}
END_TEST

/* LUN 0 of the target is the disk, if there is one, and never its controller. */
START_TEST(test_lun_zero_by_another_number)
{
	struct gw_conf_map_lun e[] = {{4, 0, false}};
	struct gw_conf_map map = {.name = "iqn.x:a", .lun = e, .nlun = 1};

	start();
	ck_assert_int_eq(set_maps(&map, 1), 0);
	ck_assert_str_eq(seen("iqn.x:a"), "0=ctl");
	set_lun(0, kv_c);
	ck_assert_str_eq(seen("iqn.x:a"), "0=ctl,4=0");
	stub_stop();
}
END_TEST

START_TEST(test_the_same_maps_are_no_change)
{
	struct gw_conf_map_lun other[GW_ARRAY_LEN(swapped)];
	struct gw_conf_map copy[GW_ARRAY_LEN(maps)];
	const struct gw_target *was;

	start();
	memcpy(copy, maps, sizeof(maps));
	memcpy(other, swapped, sizeof(swapped));
	copy[1].lun = other;
	was = target();
	ck_assert_int_eq(set_maps(copy, GW_ARRAY_LEN(copy)), 0);
	ck_assert_ptr_eq(target(), was);
	for (unsigned i = 0; i < 6; i++) {
		was = target();
		if (i == 0)
			other[0].own = 6;
		else if (i == 1)
			other[0].lun = 9;
		else if (i == 2)
			other[0].ro = true;
		else if (i == 3)
			copy[3].ro = false;
		else if (i == 4)
			copy[1].nlun = 1;
		else
			strcpy(copy[1].name, "iqn.x:c");
		ck_assert_int_eq(set_maps(copy, GW_ARRAY_LEN(copy)), 0);
		ck_assert_msg(target() != was, "row %u", i);
	}
	was = target();
	ck_assert_int_eq(set_maps(copy, GW_ARRAY_LEN(copy) - 1), 0);
	ck_assert_ptr_ne(target(), was);
	ck_assert_int_eq(set_maps(NULL, 0), 0);
	ck_assert_str_eq(seen("iqn.x:a"), "0=ctl,1=1,2=2");
	stub_stop();
}
END_TEST

static void
refused(struct gw_conf_map *map, uint32_t n, const char *why)
{
	const struct gw_target *was = target();

	ck_assert_int_eq(set_maps(map, n), -1);
	ck_assert_int_eq(err.tgt_err, 17);
	ck_assert_str_eq(err.key, "target:1");
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
	ck_assert_ptr_eq(target(), was);
}

START_TEST(test_refused)
{
	struct gw_conf_map_lun e[] = {{GW_LUN_MAX, 0, false}, {1, GW_LUN_MAX, false}};
	struct gw_conf_map two[] = {{.name = "iqn.x:a", .lun = e, .nlun = 2},
				    {.name = "iqn.x:b", .lun = e, .nlun = 2}};

	start();
	ck_assert_int_eq(set_maps(two, 2), 0);
	strcpy(two[1].name, "IQN.x:A");
	refused(two, 2, "two LUN maps");
	strcpy(two[1].name, "iqn x");
	refused(two, 2, "not an initiator name");
	two[1].name[0] = '\0';
	refused(two, 2, "not an initiator name");
	e[0].own = 1;
	refused(two, 1, "number 1 twice");
	e[0].own = GW_LUN_MAX + 1;
	refused(two, 1, "beyond 16383");
	e[0].own = 0;
	e[0].lun = GW_LUN_MAX + 1;
	refused(two, 1, "beyond 16383");
	e[0].lun = GW_LUN_MAX;
	refused(two, 1, "LUN 16383 twice");
	stub_stop();
}
END_TEST

START_TEST(test_limits)
{
	static struct gw_conf_map_lun e[GW_MAP_ENTRIES_MAX];
	static struct gw_conf_map map[GW_MAPS_MAX + 1];

	start();
	for (unsigned i = 0; i < GW_ARRAY_LEN(map); i++)
		snprintf(map[i].name, sizeof(map[i].name), "iqn.x:%u", i);
	refused(map, GW_MAPS_MAX + 1, "1024");
	ck_assert_int_eq(set_maps(map, GW_MAPS_MAX), 0);
	for (unsigned i = 0; i < GW_ARRAY_LEN(e); i++)
		e[i] = (struct gw_conf_map_lun){i, i, false};
	map[0].lun = map[1].lun = e;
	map[0].nlun = GW_ARRAY_LEN(e);
	ck_assert_int_eq(set_maps(map, GW_MAPS_MAX), 0);
	ck_assert_str_eq(seen("iqn.x:0"), "0=ctl,1=1,2=2");
	map[1].nlun = 1;
	refused(map, GW_MAPS_MAX, "16384");
	stub_stop();
}
END_TEST

SUITE("maps", test_who_sees_what, test_luns_come_and_go, test_lun_zero_by_another_number,
      test_the_same_maps_are_no_change, test_refused, test_limits)
