/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/model.h"
#include "mgmt/names.h"
#include "mgmt/params.h"

START_TEST(target_names)
{
	char s[MGMT_NAME_MAX + 2];

	memset(s, 'a', sizeof(s));
	s[MGMT_NAME_MAX + 1] = '\0';
	ck_assert(!mgmt_name_ok(s));
	s[MGMT_NAME_MAX] = '\0';
	ck_assert(mgmt_name_ok(s));
	ck_assert(mgmt_name_ok("iqn.2001-04.com.example:disk.1"));
	ck_assert(!mgmt_name_ok(""));
	ck_assert(!mgmt_name_ok("a b"));
	ck_assert(!mgmt_name_ok("a_b"));
	ck_assert(!mgmt_name_ok("a\n"));
	ck_assert(!mgmt_name_ok("caf\xc3\xa9"));
}
END_TEST

START_TEST(access_rules)
{
	static const char *const good[] = {"ALL",          "192.0.2.1",   "192.0.2.0/0",
					   "192.0.2.1/32", "2001:db8::1", "[2001:db8::]/128",
					   "::/0",         "[::1]"};
	static const char *const bad[] = {
	    "",          "all",  "192.0.2",        "192.0.2.1/33", "192.0.2.1/", "[192.0.2.1]",
	    "[::1",      "::1]", "2001:db8::/129", "/8",           "banana",     "192.0.2.1/-1",
	    "192.0.2.1 "};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(mgmt_acl_ok(good[i]), "%s", good[i]);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!mgmt_acl_ok(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(portals)
{
	static const struct {
		const char *text, *key;
	} t[] = {{"192.0.2.1", "portal:192.0.2.1:3260"},
		 {"192.0.2.1:99", "portal:192.0.2.1:99"},
		 {"[::]:3260", "portal:[::]:3260"},
		 {"::1", "portal:[::1]:3260"},
		 {"[2001:db8::1]", "portal:[2001:db8::1]:3260"},
		 {"[2001:DB8:0:0::0:01]:03260", "portal:[2001:db8::1]:3260"},
		 {"0:0:0:0:0:0:0:0", "portal:[::]:3260"},
		 {"", NULL},
		 {":3260", NULL},
		 {"192.0.2.1:0", NULL},
		 {"192.0.2.1:65536", NULL},
		 {"192.0.2.1:", NULL},
		 {"host:3260", NULL},
		 {"[::1", NULL},
		 {"[::1]x", NULL},
		 {"[fe80::1%lo]", NULL},
		 {"::1%lo", NULL},
		 {"[192.0.2.1]", NULL}};
	struct mgmt_addr a;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert_msg(mgmt_portal_parse(t[i].text, &a) == (t[i].key != NULL), "%s",
			      t[i].text);
		if (t[i].key)
			ck_assert_str_eq(a.key, t[i].key);
	}
}
END_TEST

START_TEST(portals_over_either_transport)
{
	struct mgmt_addr a;
	json_t *o;

	ck_assert(mgmt_portal_parse("[2001:db8::1]:99", &a));
	ck_assert(!a.iser);
	o = mgmt_portal_object(&a, 1, NULL);
	ck_assert(!mgmt_portal_iser(o));
	/* As portals were stored before there was another transport. */
	ck_assert_ptr_null(json_object_get(o, "transport"));
	json_decref(o);
	mgmt_portal_over(&a, true);
	ck_assert_str_eq(a.key, "portal:[2001:db8::1]:99/iser");
	o = mgmt_portal_object(&a, 7, "192.0.2.1:1");
	ck_assert(mgmt_portal_iser(o));
	ck_assert_str_eq(mgmt_str(o, "transport", ""), "iser");
	ck_assert_int_eq(mgmt_int(o, "tpgt", 0), 7);
	json_decref(o);
	mgmt_portal_over(&a, false);
	ck_assert_str_eq(a.key, "portal:[2001:db8::1]:99");
}
END_TEST

START_TEST(identities_differ)
{
	char a[33], b[33];

	ck_assert(mgmt_naa_new(a) && mgmt_naa_new(b));
	ck_assert_uint_eq(strlen(a), 32);
	ck_assert_int_eq(a[0], '6');
	ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(bursts_fit_in_any_order)
{
	static const char *const order[2][2] = {{"FirstBurstLength", "MaxBurstLength"},
						{"MaxBurstLength", "FirstBurstLength"}};
	struct mgmt_err err;

	for (unsigned i = 0; i < 2; i++) {
		json_t *t = json_pack("{s:{}}", "params"), *p = json_object_get(t, "params");

		ck_assert_int_eq(mgmt_param_set(t, order[i][0], "1048576", &err), 0);
		ck_assert_int_le(mgmt_int(p, "FirstBurstLength", 65536),
				 mgmt_int(p, "MaxBurstLength", 262144));
		ck_assert_int_eq(mgmt_param_set(t, order[i][1], "1048576", &err), 0);
		ck_assert_int_eq(mgmt_int(p, "FirstBurstLength", 0), 1048576);
		ck_assert_int_eq(mgmt_param_set(t, "MaxBurstLength", "4096", &err), 0);
		ck_assert_int_eq(mgmt_int(p, "FirstBurstLength", 0), 4096);
		json_decref(t);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mgmt/names");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, target_names);
	tcase_add_test(tc, access_rules);
	tcase_add_test(tc, portals);
	tcase_add_test(tc, portals_over_either_transport);
	tcase_add_test(tc, identities_differ);
	tcase_add_test(tc, bursts_fit_in_any_order);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
