/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/alua.h"
#include "mgmt/model.h"
#include "mgmt/tgt_wire.h"

static json_t *target;
static struct mgmt_err err;

static void
setup(void)
{
	target = json_pack("{s:i}", "tid", 1);
}

static void
teardown(void)
{
	json_decref(target);
}

static void
set(const char *value)
{
	ck_assert_msg(mgmt_alua_set(target, value, &err) == 0, "%s: %s", value, err.text);
}

/* The groups in their order: "TAG=STATE" with '!' for the preferred ones. */
static void
expect(const char *want)
{
	char got[256] = "";
	size_t i, n = 0;
	json_t *g;

	json_array_foreach (json_object_get(target, "alua"), i, g)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%d=%s%s", n ? " " : "",
				      (int)mgmt_int(g, "tpgt", 0), mgmt_str(g, "state", "?"),
				      mgmt_bool(g, "preferred", false) ? "!" : "");
	ck_assert_str_eq(got, want);
}

START_TEST(kept_in_order)
{
	set("7=standby");
	set("2=active-non-optimized,preferred");
	set("65535=offline");
	set("3=unavailable");
	set("1=active-optimized");
	expect("1=active-optimized 2=active-non-optimized! 3=unavailable 7=standby 65535=offline");
	set("7=active-optimized,preferred");
	set("2=standby");
	expect("1=active-optimized 2=standby 3=unavailable 7=active-optimized! 65535=offline");
}
END_TEST

START_TEST(given_up)
{
	set("2=default");
	ck_assert_ptr_null(json_object_get(target, "alua"));
	set("2=standby");
	set("1=standby");
	set("3=default");
	expect("1=standby 2=standby");
	set("1=default");
	expect("2=standby");
	set("2=default");
	ck_assert_ptr_null(json_object_get(target, "alua"));
}
END_TEST

START_TEST(wrong)
{
	static const char *const bad[] = {"",
					  "2",
					  "=standby",
					  "standby",
					  "0=standby",
					  "65536=standby",
					  "-1=standby",
					  "1x=standby",
					  " 1=standby",
					  "99999999999999999999=standby",
					  "1=",
					  "1=stand",
					  "1=standbyy",
					  "1=standby,",
					  "1=standby,prefer",
					  "1=standby,preferred,",
					  "1=,preferred",
					  "1=default,preferred",
					  "1=transitioning",
					  "1=standby,2=standby"};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		ck_assert_msg(mgmt_alua_set(target, bad[i], &err) == -1, "%s", bad[i]);
		ck_assert_int_eq(err.tgt, TGT_E_INVALID);
		ck_assert(err.text[0]);
	}
	ck_assert_ptr_null(json_object_get(target, "alua"));
}
END_TEST

START_TEST(as_many_as_there_can_be)
{
	char value[32];

	for (unsigned i = 1; i <= MGMT_ALUA_MAX; i++) {
		snprintf(value, sizeof(value), "%u=standby", i);
		set(value);
	}
	ck_assert_int_eq(mgmt_alua_set(target, "900=standby", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 32"));
	set("32=offline");
	set("31=default");
	set("900=standby");
	ck_assert_uint_eq(json_array_size(json_object_get(target, "alua")), MGMT_ALUA_MAX);
}
END_TEST

START_TEST(shown)
{
	struct mgmt_text out = {0};

	mgmt_alua_show(target, &out);
	ck_assert_uint_eq(out.len, 0);
	set("2=active-non-optimized,preferred");
	set("1=offline");
	mgmt_alua_show(target, &out);
	ck_assert_str_eq(out.s, "        Portal group 1: offline\n"
				"        Portal group 2: active-non-optimized, preferred\n");
	mgmt_text_free(&out);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mgmt/alua");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, kept_in_order);
	tcase_add_test(tc, given_up);
	tcase_add_test(tc, wrong);
	tcase_add_test(tc, as_many_as_there_can_be);
	tcase_add_test(tc, shown);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
