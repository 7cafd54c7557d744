/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/rpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/num.h"

json_t *
rpc_fail(struct rpc_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return NULL;
}

static json_t *
error_object(const struct rpc_err *err)
{
	json_t *e = json_object();

	json_object_set_new(e, "code", json_integer(err->code));
	/* A sentence may quote bytes of a peer that are no UTF-8; cutting may have split a
	 * character. */
	if (json_object_set_new(e, "message", json_string(err->text)) != 0)
		json_object_set_new(e, "message", json_string("refused"));
	if (err->code == RPC_REFUSED)
		json_object_set_new(
		    e, "data", json_pack("{s:s,s:i}", "key", err->key, "tgt_err", err->tgt_err));
	return e;
}

/* Takes the references of id and result; either result or err. */
static char *
answer(json_t *id, json_t *result, const struct rpc_err *err, size_t *len)
{
	json_t *o = json_object();
	char *text, *line = NULL;

	json_object_set_new(o, "jsonrpc", json_string("2.0"));
	if (result)
		json_object_set_new(o, "result", result);
	else
		json_object_set_new(o, "error", error_object(err));
	json_object_set_new(o, "id", id);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!text)
		return NULL;
	*len = strlen(text);
	line = realloc(text, *len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + *len, "\n", 2);
	++*len;
	return line;
}

/* The envelope, JSON-RPC 2.0 section 4. False with err filled. */
static bool
check_request(json_t *req, struct rpc_err *err)
{
	static const char *const known[] = {"jsonrpc", "method", "params", "id"};
	const json_t *version = json_object_get(req, "jsonrpc"), *id = json_object_get(req, "id");
	const json_t *params = json_object_get(req, "params");
	const char *name;
	json_t *value;

	if (!json_is_object(req))
		return rpc_fail(err, RPC_INVALID, "a request is one JSON object");
	json_object_foreach (req, name, value) {
		bool ok = false;

		for (size_t i = 0; i < GW_ARRAY_LEN(known); i++)
			ok |= strcmp(name, known[i]) == 0;
		if (!ok)
			return rpc_fail(err, RPC_INVALID, "a request has no member \"%.64s\"",
					name);
	}
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return rpc_fail(err, RPC_INVALID, "jsonrpc is not \"2.0\"");
	if (!json_is_string(json_object_get(req, "method")))
		return rpc_fail(err, RPC_INVALID, "method is not a string");
	if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
		return rpc_fail(err, RPC_INVALID, "id is neither a string nor a number");
	if (params && !json_is_object(params))
		return rpc_fail(err, RPC_PARAMS, "params is not an object");
	return true;
}

static json_t *
run(struct rpc_env *env, json_t *req, struct rpc_err *err)
{
	const char *name = json_string_value(json_object_get(req, "method"));
	rpc_method method = rpc_find(name);

	if (!method)
		return rpc_fail(err, RPC_NO_METHOD, "there is no method %.64s", name);
	return method(env, json_object_get(req, "params"), err);
}

char *
rpc_line(struct rpc_env *env, const char *line, size_t len, size_t *answer_len)
{
	struct rpc_err err = {.code = RPC_INTERNAL, .text = "out of memory"};
	json_error_t where;
	json_t *req, *id, *result = NULL;
	bool valid;

	req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (!req) {
		rpc_fail(&err, RPC_PARSE, "not JSON: %s at byte %d", where.text, where.position);
		return answer(json_null(), NULL, &err, answer_len);
	}
	valid = check_request(req, &err);
	if (valid)
		result = run(env, req, &err);
	id = json_object_get(req, "id");
	if (valid && !id) {
		json_decref(result);
		json_decref(req);
		return NULL;
	}
	id = !id || json_is_object(id) || json_is_array(id) ? json_null() : json_incref(id);
	json_decref(req);
	return answer(id, result, &err, answer_len);
}
