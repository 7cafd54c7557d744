/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "mgmt/former.h"
#include "mgmt/request.h"

static char wire[TGT_REQ_MAX * 2];
static struct mgmt_req req;
static struct mgmt_err err;
static uint64_t lun = TGT_NO_LUN;
static const char *lld = "";

static size_t
build(uint32_t mode, uint32_t op, const void *payload, size_t n)
{
	struct tgt_req h = {.mode = mode, .op = op, .tid = 1, .lun = lun};

	snprintf(h.lld, sizeof(h.lld), "%s", lld);
	h.len = (uint32_t)(sizeof(h) + n);
	memcpy(wire, &h, sizeof(h));
	memcpy(wire + sizeof(h), payload, n);
	return h.len;
}

START_TEST(size_of_a_request)
{
	struct tgt_req h = {.len = 200};
	static const struct {
		uint32_t len;
		long want;
	} t[] = {{0, -1},      {119, -1},  {120, 120},       {121, 121},
		 {8192, 8192}, {8193, -1}, {UINT32_MAX, -1}, {INT32_MAX, -1}};

	for (size_t got = 0; got < sizeof(h); got++)
		ck_assert_int_eq(mgmt_req_size(&h, got, &err), 0);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		h.len = t[i].len;
		ck_assert_int_eq(mgmt_req_size(&h, sizeof(h), &err), t[i].want);
		if (t[i].want < 0)
			ck_assert_int_eq(err.tgt, TGT_E_INVALID);
	}
}
END_TEST

START_TEST(payload_without_nul)
{
	size_t n = build(TGT_ACCOUNT, TGT_NEW, "user=joe", 8);

	wire[n] = 'X'; /* what lies behind is not the request's */
	ck_assert_int_eq(mgmt_req_parse(wire, n, &req, &err), 0);
	ck_assert_str_eq(mgmt_req_arg(&req, "user"), "joe");
}
END_TEST

START_TEST(arguments_by_name)
{
	static const char text[] = "path=/a=b,bstype=rdwr,,targetOps size=1g,portal=x,portal=y,";
	size_t n = build(TGT_LUN, TGT_NEW, text, sizeof(text));

	ck_assert_int_eq(mgmt_req_parse(wire, n, &req, &err), 0);
	ck_assert_uint_eq(req.nargs, 5);
	ck_assert_str_eq(mgmt_req_arg(&req, "path"), "/a=b");
	ck_assert_str_eq(mgmt_req_arg(&req, "size"), "1g");
	ck_assert_str_eq(mgmt_req_arg(&req, "portal"), "y");
	ck_assert_ptr_null(mgmt_req_arg(&req, "bs"));
	ck_assert_ptr_null(mgmt_req_arg(&req, "bstype="));
}
END_TEST

START_TEST(too_many_arguments)
{
	char text[2 * MGMT_ARGS_MAX + 2];

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? ',' : 'a';
	ck_assert_int_eq(
	    mgmt_req_parse(wire, build(TGT_LUN, TGT_UPDATE, text, sizeof(text)), &req, &err), -1);
	ck_assert_int_eq(err.tgt, TGT_E_INVALID);
}
END_TEST

START_TEST(mode_and_operation_out_of_range)
{
	for (uint32_t mode = 0; mode < 12; mode++) {
		for (uint32_t op = 0; op < 12; op++) {
			int rc = mgmt_req_parse(wire, build(mode, op, "", 0), &req, &err);

			ck_assert_int_eq(rc, mode < TGT_MODE_MAX && op < TGT_OP_MAX ? 0 : -1);
		}
	}
	ck_assert_int_eq(mgmt_req_parse(wire, build(UINT32_MAX, 1, "", 0), &req, &err), -1);
}
END_TEST

START_TEST(name_and_value_keep_commas)
{
	char name[16];
	const char *value;

	mgmt_req_parse(wire, build(TGT_SYSTEM, TGT_UPDATE, "chap=a,b=c", 11), &req, &err);
	ck_assert(mgmt_req_pair(&req, name, sizeof(name), &value));
	ck_assert_str_eq(name, "chap");
	ck_assert_str_eq(value, "a,b=c");
	mgmt_req_parse(wire, build(TGT_SYSTEM, TGT_UPDATE, "none", 5), &req, &err);
	ck_assert(!mgmt_req_pair(&req, name, sizeof(name), &value));
	mgmt_req_parse(wire, build(TGT_SYSTEM, TGT_UPDATE, "=x", 3), &req, &err);
	ck_assert(!mgmt_req_pair(&req, name, sizeof(name), &value));
	mgmt_req_parse(wire, build(TGT_SYSTEM, TGT_UPDATE, "a-name-too-long-=x", 19), &req, &err);
	ck_assert(!mgmt_req_pair(&req, name, sizeof(name), &value));
}
END_TEST

/* --- the way of a change ------------------------------------------------------------------------
 */

static char last_params[4096];
static int refuse_with;

static int
gateway(void *arg, const char *method, const json_t *params, json_t **result, struct mgmt_err *e)
{
	char *s;

	if (strcmp(method, "apply"))
		return 0;
	s = json_dumps(params, JSON_COMPACT);
	snprintf(last_params, sizeof(last_params), "%s", s);
	free(s);
	return refuse_with ? mgmt_fail(e, refuse_with, "no") : 0;
}

static int
run(struct mgmt *m, uint32_t mode, uint32_t op, const char *text)
{
	struct mgmt_text out = {0};
	int rc;

	ck_assert_int_eq(mgmt_req_parse(wire, build(mode, op, text, strlen(text) + 1), &req, &err),
			 0);
	rc = mgmt_req_run(m, &req, &out, &err);
	mgmt_text_free(&out);
	return rc;
}

START_TEST(a_refused_change_leaves_nothing)
{
	struct mgmt m;

	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	m.synced = true;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), 0);
	refuse_with = TGT_E_TARGET_ACTIVE;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_DELETE, ""), -1);
	ck_assert_int_eq(err.tgt, TGT_E_TARGET_ACTIVE);
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_UPDATE, "state=offline"), -1);
	refuse_with = 0;
	ck_assert_ptr_nonnull(mgmt_model_target(&m.model, 1));
	ck_assert(mgmt_bool(mgmt_model_target(&m.model, 1), "ready", false));
	ck_assert_int_eq(mgmt_model_tid_by_name(&m.model, "IQN.X:A"), 1);
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_DELETE, ""), 0);
	ck_assert_ptr_null(mgmt_model_target(&m.model, 1));
	ck_assert_int_eq(mgmt_model_tid_by_name(&m.model, "iqn.x:a"), 0);
	mgmt_fini(&m);
}
END_TEST

static bool
has_kv(const json_t *obj, const char *want)
{
	const json_t *kv = json_object_get(obj, "kv");
	json_t *s;
	size_t i;

	json_array_foreach (kv, i, s)
		if (!strcmp(json_string_value(s), want))
			return true;
	return false;
}

START_TEST(nothing_of_a_request_is_dropped)
{
	static const struct {
		uint32_t mode, op;
		const char *text;
	} t[] = {{TGT_ACCOUNT, TGT_NEW, "user=joe,password=half,a password"},
		 {TGT_ACCOUNT, TGT_NEW, "user=joe,password=half,pass=word"},
		 {TGT_ACCOUNT, TGT_NEW, "user=joe,password=half,passwor=d"},
		 {TGT_TARGET, TGT_NEW, "targetname=iqn.x:a,b"},
		 {TGT_TARGET, TGT_BIND, "initiator-address=ALL,initiator-nam=iqn.x:b"},
		 {TGT_PORTAL, TGT_NEW, "portalOps portal=192.0.2.1,prot=192.0.2.2,"},
		 {TGT_PORTAL, TGT_NEW, "portalOps portal=192.0.2.1,transport=TCP,"},
		 {TGT_PORTAL, TGT_NEW, "portalOps portal=192.0.2.1,transport=tcp,transport=iser,"},
		 {TGT_PORTAL, TGT_NEW, "portalOps portal=192.0.2.1/iser,"},
		 {TGT_LUN, TGT_NEW, "path=/a,b"},
		 {TGT_LUN, TGT_NEW, "path=/a,targetOps bogus=1,"},
		 {TGT_LUN, TGT_NEW, "bstype=mem,targetOps size=0,"},
		 {TGT_LUN, TGT_NEW, "path=/a,targetOps readonly=2,"}};
	struct mgmt m;
	json_t *obj;

	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:c"), 0);
	lun = 1;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n = json_object_size(m.model.objects);

		ck_assert_msg(run(&m, t[i].mode, t[i].op, t[i].text) == -1, "%s", t[i].text);
		ck_assert_int_eq(err.tgt, TGT_E_INVALID);
		ck_assert_ptr_null(strstr(err.text, "a password"));
		ck_assert_uint_eq(json_object_size(m.model.objects), n);
	}
	ck_assert_int_eq(
	    run(&m, TGT_LUN, TGT_NEW, "path=/a,bsopts=size=1m,targetOps readonly=1,scsi_sn=X,"), 0);
	obj = mgmt_model_lun(&m.model, 1, 1);
	ck_assert(mgmt_bool(obj, "readonly", false));
	ck_assert(has_kv(obj, "ro=1"));
	ck_assert_str_eq(mgmt_str(obj, "serial", ""), "X");
	/* What is opened for reading only is opened anew. */
	ck_assert_int_eq(run(&m, TGT_LUN, TGT_UPDATE, "readonly=0"), 0);
	obj = mgmt_model_lun(&m.model, 1, 1);
	ck_assert(!mgmt_bool(obj, "readonly", true));
	ck_assert(!has_kv(obj, "ro=1"));
	/* A former identity is used, and what is given with it counts more. */
	ck_assert_int_eq(run(&m, TGT_LUN, TGT_DELETE, ""), 0);
	ck_assert_int_eq(run(&m, TGT_LUN, TGT_NEW, "path=/a,targetOps scsi_id=Y,"), 0);
	obj = mgmt_model_lun(&m.model, 1, 1);
	ck_assert_str_eq(mgmt_str(obj, "serial", ""), "X");
	ck_assert_str_eq(mgmt_str(obj, "scsi_id", ""), "Y");
	ck_assert(!mgmt_bool(obj, "readonly", false));
	lun = TGT_NO_LUN;
	mgmt_fini(&m);
}
END_TEST

START_TEST(a_closed_portal_stays_closed)
{
	struct mgmt m;

	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	m.synced = true;
	ck_assert_int_eq(mgmt_default_portal(&m, "[::]:3260", &err), 0);
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), 0);
	ck_assert(!mgmt_portals_kept(&m));
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_DELETE, "portal=[::]:3260"), 0);
	ck_assert_ptr_null(mgmt_model_get(&m.model, "portal:[::]:3260"));
	ck_assert(mgmt_portals_kept(&m));
	ck_assert_ptr_null(strstr(last_params, "system"));
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_NEW, "portal=127.0.0.1:3260"), 0);
	ck_assert(mgmt_portals_kept(&m));
	mgmt_fini(&m);
}
END_TEST

START_TEST(the_driver_says_the_transport)
{
	struct mgmt m;

	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	m.synced = true;
	ck_assert_int_eq(mgmt_default_portal(&m, "[::]:3260", &err), 0);
	lld = "iser";
	/* All or nothing: without its portal there is no target. */
	refuse_with = TGT_E_INVALID;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), -1);
	refuse_with = 0;
	ck_assert(!mgmt_model_has_targets(&m.model));
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), 0);
	ck_assert_ptr_nonnull(mgmt_model_get(&m.model, "portal:[::]:3260/iser"));
	ck_assert_ptr_nonnull(mgmt_model_get(&m.model, "portal:[::]:3260"));
	ck_assert_ptr_nonnull(strstr(last_params, "\"transport\":\"iser\""));
	ck_assert_ptr_null(strstr(last_params, "lld"));
	/* With a portal there, none is made; with another driver, none of it. */
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_NEW, "portal=192.0.2.1"), 0);
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_DELETE, "portal=[::]:3260"), 0);
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_DELETE, ""), 0);
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), 0);
	ck_assert_ptr_null(mgmt_model_get(&m.model, "portal:[::]:3260/iser"));
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_DELETE, "portal=[::]:3260"), -1);
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_DELETE, "portal=192.0.2.1,transport=tcp"), -1);
	ck_assert_int_eq(run(&m, TGT_LLD, TGT_STOP, ""), -1);
	ck_assert_int_eq(err.tgt, TGT_E_DRIVER_ACTIVE);
	lld = "";
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_DELETE, "portal=[::]:3260"), 0);
	ck_assert_int_eq(run(&m, TGT_PORTAL, TGT_DELETE, "portal=192.0.2.1,transport=iser"), 0);
	ck_assert_int_eq(run(&m, TGT_LLD, TGT_STOP, ""), 0);
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_DELETE, ""), -1);
	ck_assert_int_eq(err.tgt, TGT_E_NO_DRIVER);
	lld = "iser";
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_DELETE, ""), 0);
	lld = "iscsii";
	ck_assert_int_eq(run(&m, TGT_LLD, TGT_START, ""), -1);
	ck_assert_int_eq(err.tgt, TGT_E_NO_DRIVER);
	lld = "";
	mgmt_fini(&m);
}
END_TEST

START_TEST(the_gateway_is_told_only_what_it_can_see)
{
	struct mgmt m;

	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	m.synced = true;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), 0);
	ck_assert_ptr_null(strstr(last_params, "mgmt"));
	last_params[0] = '\0';
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_UPDATE, "MaxConnections=4"), 0);
	ck_assert_str_eq(last_params, "");
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_UPDATE, "MaxQueueCmd=4"), 0);
	ck_assert_ptr_nonnull(strstr(last_params, "\"full\":false"));
	ck_assert_ptr_null(strstr(last_params, "mgmt"));
	m.synced = false;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_UPDATE, "MaxQueueCmd=5"), 0);
	ck_assert_ptr_nonnull(strstr(last_params, "\"full\":true"));
	ck_assert(m.synced);
	mgmt_fini(&m);
}
END_TEST

START_TEST(identities_of_the_dead_are_bounded)
{
	struct mgmt m;
	const char *key;
	json_t *obj;
	unsigned n = 0;

	ck_assert_int_eq(mgmt_init(&m, NULL, "/nowhere", &err), 0);
	m.link.fake = gateway;
	m.synced = true;
	ck_assert_int_eq(run(&m, TGT_TARGET, TGT_NEW, "targetname=iqn.x:a"), 0);
	for (lun = 1; lun <= MGMT_FORMER_MAX + 5; lun++) {
		ck_assert_int_eq(run(&m, TGT_LUN, TGT_NEW, "path=/disk"), 0);
		ck_assert_int_eq(run(&m, TGT_LUN, TGT_DELETE, ""), 0);
	}
	lun = TGT_NO_LUN;
	ck_assert_ptr_null(strstr(last_params, MGMT_FORMER_PREFIX));
	json_object_foreach (m.model.objects, key, obj)
		n += !strncmp(key, MGMT_FORMER_PREFIX, strlen(MGMT_FORMER_PREFIX));
	ck_assert_uint_eq(n, MGMT_FORMER_MAX);
	ck_assert_ptr_null(mgmt_model_get(&m.model, MGMT_FORMER_PREFIX "iqn.x:a/5"));
	ck_assert_ptr_nonnull(mgmt_model_get(&m.model, MGMT_FORMER_PREFIX "iqn.x:a/6"));
	mgmt_fini(&m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mgmt/request");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	gw_log_level_set(GW_LOG_ERR);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, size_of_a_request);
	tcase_add_test(tc, payload_without_nul);
	tcase_add_test(tc, arguments_by_name);
	tcase_add_test(tc, too_many_arguments);
	tcase_add_test(tc, mode_and_operation_out_of_range);
	tcase_add_test(tc, name_and_value_keep_commas);
	tcase_add_test(tc, a_refused_change_leaves_nothing);
	tcase_add_test(tc, nothing_of_a_request_is_dropped);
	tcase_add_test(tc, a_closed_portal_stays_closed);
	tcase_add_test(tc, the_driver_says_the_transport);
	tcase_add_test(tc, the_gateway_is_told_only_what_it_can_see);
	tcase_add_test(tc, identities_of_the_dead_are_bounded);
	tcase_set_timeout(tc, 60);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
