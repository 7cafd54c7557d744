/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "mgmt/maps.h"
#include "mgmt/request.h"

static struct mgmt_err err;
static struct mgmt m;

/* --- the list ------------------------------------------------------------------------------------
 */

static json_t *
parse(const char *list)
{
	static char copy[8192];
	const char *piece[1024];
	char *next = copy;
	unsigned n = 0;

	snprintf(copy, sizeof(copy), "%s", list);
	for (const char *s; (s = strsep(&next, ","));)
		piece[n++] = s;
	err.text[0] = '\0';
	return mgmt_map_parse("iqn.x:a", piece, n, &err);
}

static void
same(json_t *v, const char *want)
{
	char *s = json_dumps(v, JSON_COMPACT);

	ck_assert_str_eq(s, want);
	free(s);
}

START_TEST(lists_that_are_good)
{
	static const struct {
		const char *list, *want, *printed;
	} t[] = {
	    {"all", "\"all\":\"rw\"", NULL},
	    {"all/ro", "\"all\":\"ro\"", NULL},
	    {"none", "\"luns\":[]", NULL},
	    {"0=1,1=7,2=3/ro", "\"luns\":[[0,1,false],[1,7,false],[2,3,true]]", NULL},
	    {"9=1,0=2", "\"luns\":[[0,2,false],[9,1,false]]", "0=2,9=1"},
	    {"16383=16383", "\"luns\":[[16383,16383,false]]", NULL},
	    {"007=1", "\"luns\":[[7,1,false]]", "7=1"},
	    {"5-5=6-6", "\"luns\":[[5,6,false]]", "5=6"},
	    {"0-1=3-4", "\"luns\":[[0,3,false],[1,4,false]]", "0=3,1=4"},
	    {"0-2=4-6", "\"luns\":[[0,4,false],[1,5,false],[2,6,false]]", NULL},
	    {"1=1,2=2,3=3,4=4/ro,5=5/ro,6=6/ro,8=8",
	     "\"luns\":[[1,1,false],[2,2,false],[3,3,false],[4,4,true],[5,5,true],[6,6,true],"
	     "[8,8,false]]",
	     "1-3=1-3,4-6=4-6/ro,8=8"},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct mgmt_text out = {0};
		json_t *map = parse(t[i].list);
		char want[256];

		ck_assert_msg(map != NULL, "%s: %s", t[i].list, err.text);
		snprintf(want, sizeof(want), "{\"name\":\"iqn.x:a\",%s}", t[i].want);
		same(map, want);
		mgmt_map_print(map, &out);
		ck_assert_str_eq(out.s, t[i].printed ? t[i].printed : t[i].list);
		mgmt_text_free(&out);
		json_decref(map);
	}
}
END_TEST

START_TEST(lists_that_are_bad)
{
	static const struct {
		const char *list, *part;
	} t[] = {
	    {"", "\"\" is no mapping"},
	    {"1", "\"1\" is no mapping"},
	    {"1=", "no mapping"},
	    {"=1", "no mapping"},
	    {"1=2=3", "no mapping"},
	    {"1=2/", "no mapping"},
	    {"1=2/rw", "no mapping"},
	    {"1=2/ro/ro", "no mapping"},
	    {"1=2 ", "no mapping"},
	    {" 1=2", "no mapping"},
	    {"+1=2", "no mapping"},
	    {"-1=2", "no mapping"},
	    {"0x1=2", "no mapping"},
	    {"1=2,", "\"\" is no mapping"},
	    {"16384=1", "no mapping"},
	    {"1=16384", "no mapping"},
	    {"4294967297=1", "no mapping"},
	    {"1=99999999999999999999999", "no mapping"},
	    {"1-=1-2", "no mapping"},
	    {"2-1=2-1", "no mapping"},
	    {"1-16384=1-16384", "no mapping"},
	    {"1-3=1-2", "the ranges of \"1-3=1-2\" differ in length"},
	    {"1=1-2", "differ in length"},
	    {"1=2,1=3", "number 1 is given twice"},
	    {"1=2,3=2", "LUN 2 is mapped twice"},
	    {"1-5=1-5,3=9", "number 3 is given twice"},
	    {"1-5=1-5,9=3", "LUN 3 is mapped twice"},
	    {"none,1=2", "none stands alone"},
	    {"1=2,all", "all stands alone"},
	    {"all,all/ro", "all stands alone"},
	    {"1=2,all/ro", "all/ro stands alone"},
	    {"ALL", "no mapping"},
	    {"all/rw", "no mapping"},
	    {"none/ro", "no mapping"},
	    {"luns=1=2", "no mapping"},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert_msg(!parse(t[i].list), "%s", t[i].list);
		ck_assert_int_eq(err.tgt, TGT_E_INVALID);
		ck_assert_msg(strstr(err.text, t[i].part) != NULL, "%s: %s", t[i].list, err.text);
	}
}
END_TEST

START_TEST(limits_of_a_target)
{
	json_t *t = json_object(), *was;
	char name[64];

	for (unsigned i = 0; i < MGMT_MAPS_MAX; i++) {
		snprintf(name, sizeof(name), "iqn.x:%u", i);
		ck_assert_int_eq(
		    mgmt_map_put(t, json_pack("{s:s,s:[[iib]]}", "name", name, "luns", 1, 1, 0),
				 &err),
		    0);
	}
	/* Another one is too many, another form of one is not. */
	was = json_deep_copy(t);
	ck_assert_int_eq(mgmt_map_put(was, json_pack("{s:s,s:[]}", "name", "iqn.y", "luns"), &err),
			 -1);
	ck_assert_ptr_nonnull(strstr(err.text, "1024"));
	json_decref(was);
	ck_assert_int_eq(mgmt_map_put(t, json_pack("{s:s,s:[]}", "name", "IQN.X:5", "luns"), &err),
			 0);
	ck_assert_uint_eq(json_array_size(json_object_get(t, "maps")), MGMT_MAPS_MAX);
	json_decref(t);

	t = json_object();
	ck_assert_int_eq(mgmt_map_put(t, parse("0-16383=0-16383"), &err), 0);
	ck_assert_int_eq(mgmt_map_put(t, json_pack("{s:s,s:s}", "name", "b", "all", "rw"), &err),
			 0);
	ck_assert_int_eq(
	    mgmt_map_put(t, json_pack("{s:s,s:[[iib]]}", "name", "c", "luns", 1, 1, 0), &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "16384"));
	json_decref(t);
}
END_TEST

/* --- requests ------------------------------------------------------------------------------------
 */

static char last_params[65536];

static int
gateway(void *arg, const char *method, const json_t *params, json_t **result, struct mgmt_err *e)
{
	char *s;

	if (strcmp(method, "apply"))
		return 0;
	s = json_dumps(params, JSON_COMPACT);
	snprintf(last_params, sizeof(last_params), "%s", s);
	free(s);
	return 0;
}

static int
run(uint32_t mode, uint32_t op, uint64_t lun, const char *text)
{
	static char wire[TGT_REQ_MAX];
	static struct mgmt_req req;
	struct tgt_req h = {.mode = mode, .op = op, .tid = 1, .lun = lun, .force = 1};
	struct mgmt_text out = {0};
	size_t n = strlen(text);
	int rc;

	last_params[0] = err.text[0] = '\0';
	h.len = (uint32_t)(sizeof(h) + n);
	ck_assert_uint_le(h.len, sizeof(wire));
	memcpy(wire, &h, sizeof(h));
	memcpy(wire + sizeof(h), text, n);
	rc = mgmt_req_parse(wire, h.len, &req, &err);
	if (!rc)
		rc = mgmt_req_run(&m, &req, &out, &err);
	mgmt_text_free(&out);
	return rc;
}

static int
bind(const char *text)
{
	return run(TGT_TARGET, TGT_BIND, TGT_NO_LUN, text);
}

static int
unbind(const char *text)
{
	return run(TGT_TARGET, TGT_UNBIND, TGT_NO_LUN, text);
}

static void
has(const char *maps, const char *names)
{
	json_t *t = mgmt_model_target(&m.model, 1);
	json_t *have = json_object_get(t, "maps");

	if (maps)
		same(have, maps);
	else
		ck_assert_ptr_null(have);
	same(json_object_get(t, "acl_names"), names);
}

static void
setup(void)
{
	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	m.synced = true;
	ck_assert_int_eq(run(TGT_TARGET, TGT_NEW, TGT_NO_LUN, "targetname=iqn.x:t"), 0);
	for (uint64_t lun = 1; lun <= 3; lun++)
		ck_assert_int_eq(run(TGT_LUN, TGT_NEW, lun, "bstype=mem,bsopts=size=1m"), 0);
}

static void
teardown(void)
{
	mgmt_fini(&m);
}

#define A "{\"name\":\"iqn.x:a\","
#define B "{\"name\":\"iqn.x:b*\","

START_TEST(bind_and_unbind)
{
	has(NULL, "[]");
	ck_assert_int_eq(bind("initiator-name=iqn.x:a,targetOps luns=0=1,5=2/ro,"), 0);
	has("[" A "\"luns\":[[0,1,false],[5,2,true]]}]", "[\"iqn.x:a\"]");
	ck_assert_ptr_nonnull(strstr(last_params, "\"maps\":[{\"name\":\"iqn.x:a\",\"luns\":"));
	ck_assert_int_eq(bind("initiator-name=iqn.x:b*,targetOps luns=all/ro,"), 0);
	/* What is given again is the whole map, in its place; the rule is there already. */
	ck_assert_int_eq(bind("initiator-name=iqn.x:a,targetOps luns=none,"), 0);
	has("[" A "\"luns\":[]}," B "\"all\":\"ro\"}]", "[\"iqn.x:a\",\"iqn.x:b*\"]");
	ck_assert_int_eq(bind("initiator-name=iqn.x:a"), -1);
	ck_assert_int_eq(err.tgt, TGT_E_ACL_EXIST);
	/* The map alone, and both. */
	ck_assert_int_eq(unbind("initiator-name=iqn.x:a,targetOps luns,"), 0);
	has("[" B "\"all\":\"ro\"}]", "[\"iqn.x:a\",\"iqn.x:b*\"]");
	ck_assert_int_eq(unbind("initiator-name=iqn.x:a,targetOps luns,"), -1);
	ck_assert_int_eq(err.tgt, TGT_E_NO_BINDING);
	ck_assert_int_eq(unbind("initiator-name=iqn.x:b*"), 0);
	has(NULL, "[\"iqn.x:a\"]");
	ck_assert_ptr_null(strstr(last_params, "maps"));
}
END_TEST

START_TEST(a_rule_before_its_map)
{
	ck_assert_int_eq(bind("initiator-name=iqn.x:a"), 0);
	ck_assert_int_eq(bind("initiator-name=IQN.X:A,targetOps luns=1-3=1-3,"), 0);
	has("[{\"name\":\"IQN.X:A\",\"luns\":[[1,1,false],[2,2,false],[3,3,false]]}]",
	    "[\"iqn.x:a\"]");
	ck_assert_int_eq(bind("initiator-address=ALL,initiator-name=iqn.x:b*,targetOps luns=all,"),
			 0);
	same(json_object_get(mgmt_model_target(&m.model, 1), "acl"), "[\"ALL\"]");
	ck_assert_int_eq(unbind("initiator-name=iqn.x:a"), 0);
	has("[" B "\"all\":\"rw\"}]", "[\"iqn.x:b*\"]");
}
END_TEST

START_TEST(a_wrong_map_changes_nothing)
{
	static const struct {
		uint32_t op;
		const char *text, *part;
		int tgt;
	} t[] = {
	    {TGT_BIND, "targetOps luns=all,", "needs an initiator", TGT_E_INVALID},
	    {TGT_BIND, "initiator-address=ALL,targetOps luns=all,", "for an initiator-name",
	     TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps luns,", "luns=LIST", TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps luns=,", "no mapping", TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps lunss=all,", "does not take",
	     TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps 1=1,luns=2=2,", "does not take",
	     TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps luns=1=1,luns=2=2,", "no mapping",
	     TGT_E_INVALID},
	    {TGT_BIND, "luns=1=1,initiator-name=iqn.x:c", "no mapping", TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn x,targetOps luns=all,", "no initiator name",
	     TGT_E_INVALID},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps luns=0=1,4=4,", "has no LUN 4",
	     TGT_E_NO_LUN},
	    {TGT_BIND, "initiator-name=iqn.x:c,targetOps luns=0=0,", "controller", TGT_E_NO_LUN},
	    {TGT_UNBIND, "initiator-name=iqn.x:a,targetOps luns=0=1,", "without a list",
	     TGT_E_INVALID},
	    {TGT_UNBIND, "initiator-name=iqn.x:a,targetOps luns,0=1,", "without a list",
	     TGT_E_INVALID},
	    {TGT_UNBIND, "initiator-address=ALL,targetOps luns,", "for an initiator-name",
	     TGT_E_INVALID},
	    {TGT_UNBIND, "initiator-name=iqn.x:c,targetOps luns,", "no map for iqn.x:c",
	     TGT_E_NO_BINDING},
	    {TGT_UNBIND, "initiator-name=iqn.x:c", "no rule", TGT_E_ACL_NOEXIST},
	};

	ck_assert_int_eq(bind("initiator-name=iqn.x:a,targetOps luns=0=1,"), 0);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert_msg(run(TGT_TARGET, t[i].op, TGT_NO_LUN, t[i].text) == -1, "%s",
			      t[i].text);
		ck_assert_msg(strstr(err.text, t[i].part) != NULL, "%s: %s", t[i].text, err.text);
		ck_assert_msg(err.tgt == t[i].tgt, "%s: %d", t[i].text, err.tgt);
		ck_assert_str_eq(last_params, "");
		has("[" A "\"luns\":[[0,1,false]]}]", "[\"iqn.x:a\"]");
	}
}
END_TEST

START_TEST(a_deleted_lun_leaves_every_map)
{
	ck_assert_int_eq(bind("initiator-name=iqn.x:a,targetOps luns=0=2,1=3/ro,"), 0);
	ck_assert_int_eq(bind("initiator-name=iqn.x:b*,targetOps luns=7=2,"), 0);
	ck_assert_int_eq(run(TGT_LUN, TGT_DELETE, 2, ""), 0);
	/* A map that has lost all is not as none at all: its initiator would see everything. */
	has("[" A "\"luns\":[[1,3,true]]}," B "\"luns\":[]}]", "[\"iqn.x:a\",\"iqn.x:b*\"]");
	/* One change: the gateway is told both at once. */
	ck_assert_ptr_nonnull(strstr(last_params, "\"del\":[\"lun:1/2\"]"));
	ck_assert_ptr_nonnull(strstr(last_params, "\"luns\":[[1,3,true]]"));
	/* What comes later under the number is not shown unasked. */
	ck_assert_int_eq(run(TGT_LUN, TGT_NEW, 2, "bstype=mem,bsopts=size=1m"), 0);
	has("[" A "\"luns\":[[1,3,true]]}," B "\"luns\":[]}]", "[\"iqn.x:a\",\"iqn.x:b*\"]");
	/* A LUN that no map names does not touch the target. */
	ck_assert_int_eq(run(TGT_LUN, TGT_DELETE, 1, ""), 0);
	ck_assert_ptr_null(strstr(last_params, "target:1"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mgmt/maps");
	TCase *list = tcase_create("list"), *requests = tcase_create("requests");
	SRunner *r = srunner_create(s);
	int failed;

	gw_log_level_set(GW_LOG_ERR);
	suite_add_tcase(s, list);
	tcase_add_test(list, lists_that_are_good);
	tcase_add_test(list, lists_that_are_bad);
	tcase_add_test(list, limits_of_a_target);
	tcase_set_timeout(list, 60);
	suite_add_tcase(s, requests);
	tcase_add_checked_fixture(requests, setup, teardown);
	tcase_add_test(requests, bind_and_unbind);
	tcase_add_test(requests, a_rule_before_its_map);
	tcase_add_test(requests, a_wrong_map_changes_nothing);
	tcase_add_test(requests, a_deleted_lun_leaves_every_map);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
