/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/rpc.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/control/stubs.h"

static const struct gw_control_conf conf = {.engine = "uring", .chap_mask = 1u << 5 | 1u << 7};
static struct rpc_env env = {.conf = &conf};

/* The answer, NULL if there is none. */
static json_t *
call(const char *line, size_t len)
{
	size_t n = 0;
	char *text = rpc_line(&env, line, len, &n);
	json_t *j;

	if (!text)
		return NULL;
	ck_assert_uint_eq(strlen(text), n);
	ck_assert_int_eq(text[n - 1], '\n');
	ck_assert_ptr_null(memchr(text, '\n', n - 1));
	j = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(json_string_value(json_object_get(j, "jsonrpc")), "2.0");
	free(text);
	return j;
}

static json_t *
call_text(const char *line)
{
	return call(line, strlen(line));
}

START_TEST(test_hostile_lines)
{
	static const struct {
		const char *line;
		int code;
	} row[] = {
	    {"", -32700},
	    {"{", -32700},
	    {"nonsense", -32700},
	    {"\"\\u0000\"", -32700},
	    {"{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\"}", -32700},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\",\"id\":1}", -32700},
	    {"[]", -32600},
	    {"1", -32700},
	    {"{}", -32600},
	    {"{\"jsonrpc\":2.0,\"method\":\"hello\",\"id\":1}", -32600},
	    {"{\"jsonrpc\":\"1.0\",\"method\":\"hello\",\"id\":1}", -32600},
	    {"{\"jsonrpc\":\"2.0\",\"method\":1,\"id\":1}", -32600},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"id\":[]}", -32600},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"id\":1,\"x\":1}", -32600},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"reboot\",\"id\":1}", -32601},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":[1],\"id\":1}", -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"id\":1}", -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"version\":2},\"id\":1}",
	     -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"apply\",\"id\":1}", -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"luns\",\"params\":{\"tid\":-1},\"id\":1}", -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"close\",\"params\":{\"tid\":1},\"id\":1}", -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{},\"id\":1}", -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"shutdown\",\"params\":{\"now\":true},\"id\":1}",
	     -32602},
	    {"{\"jsonrpc\":\"2.0\",\"method\":\"apply\",\"params\":{\"x\":1},\"id\":1}", -32000},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		json_t *j = call_text(row[i].line), *e;

		ck_assert_msg(j != NULL, "row %zu", i);
		e = json_object_get(j, "error");
		ck_assert_msg(json_integer_value(json_object_get(e, "code")) == row[i].code,
			      "row %zu: %lld", i,
			      (long long)json_integer_value(json_object_get(e, "code")));
		ck_assert_int_gt(json_string_length(json_object_get(e, "message")), 0);
		ck_assert_ptr_nonnull(json_object_get(j, "id"));
		json_decref(j);
	}
	ck_assert(!env.shutdown);
	ck_assert_uint_eq(stub_applied, 0);
}
END_TEST

START_TEST(test_deep_nesting_is_refused)
{
	static char line[200000];
	json_t *j;

	memset(line, '[', sizeof(line));
	j = call(line, sizeof(line));
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "error"), "code")),
			 -32700);
	json_decref(j);
}
END_TEST

START_TEST(test_hello)
{
	json_t *j = call_text(
	    "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"version\":1},\"id\":\"a\"}");
	json_t *r = json_object_get(j, "result");

	ck_assert_str_eq(json_string_value(json_object_get(j, "id")), "a");
	ck_assert_int_eq(json_integer_value(json_object_get(r, "version")), 1);
	ck_assert_str_eq(json_string_value(json_object_get(r, "engine")), "uring");
	ck_assert_uint_eq(json_array_size(json_object_get(r, "chap")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "bstypes")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "generation")), 0);
	json_decref(j);
}
END_TEST

START_TEST(test_apply)
{
	static const char line[] =
	    "{\"jsonrpc\":\"2.0\",\"method\":\"apply\",\"params\":{\"set\":[]},\"id\":7}";
	json_t *j = call_text(line), *r = json_object_get(j, "result"), *e;

	ck_assert_int_eq(json_integer_value(json_object_get(r, "generation")), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "degraded")), 1);
	json_decref(j);
	j = call_text("{\"jsonrpc\":\"2.0\",\"method\":\"degraded\",\"params\":{},\"id\":8}");
	e = json_array_get(json_object_get(json_object_get(j, "result"), "degraded"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(e, "reason")), "gone");
	json_decref(j);
	stub_refuse = 10;
	j = call_text(line);
	stub_refuse = 0;
	e = json_object_get(j, "error");
	ck_assert_int_eq(json_integer_value(json_object_get(e, "code")), -32000);
	r = json_object_get(e, "data");
	ck_assert_int_eq(json_integer_value(json_object_get(r, "tgt_err")), 10);
	ck_assert_str_eq(json_string_value(json_object_get(r, "key")), "lun:1/1");
	json_decref(j);
}
END_TEST

START_TEST(test_notification_has_no_answer)
{
	unsigned before = stub_applied;

	ck_assert_ptr_null(call_text("{\"jsonrpc\":\"2.0\",\"method\":\"apply\",\"params\":{}}"));
	ck_assert_uint_eq(stub_applied, before + 1);
}
END_TEST

START_TEST(test_luns_filter_and_bytes_that_are_no_utf8)
{
	json_t *j =
	    call_text("{\"jsonrpc\":\"2.0\",\"method\":\"luns\",\"params\":{\"tid\":2},\"id\":1}");
	json_t *l = json_object_get(json_object_get(j, "result"), "luns");

	ck_assert_uint_eq(json_array_size(l), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(l, 0), "trouble")),
			 "no such ? file");
	json_decref(j);
}
END_TEST

START_TEST(test_shutdown)
{
	json_decref(call_text("{\"jsonrpc\":\"2.0\",\"method\":\"shutdown\",\"id\":1}"));
	ck_assert(env.shutdown);
	env.shutdown = false;
}
END_TEST

SUITE("rpc", test_hostile_lines, test_deep_nesting_is_refused, test_hello, test_apply,
      test_notification_has_no_answer, test_luns_filter_and_bytes_that_are_no_utf8, test_shutdown)
