/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of docs/control-protocol.md that act; those that report are in report.c. */
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/control/conf_json.h"
#include "gateway/control/member.h"
#include "gateway/control/rpc.h"

enum {
	TGT_NO_SESSION = 6,
	TGT_NO_CONNECTION = 7
};

static json_t *
refused(struct rpc_err *err, const struct gw_conf_err *why)
{
	err->tgt_err = why->tgt_err ? why->tgt_err : 1;
	memcpy(err->key, why->key, sizeof(err->key));
	return rpc_fail(err, RPC_REFUSED, "%s", why->text);
}

/* Reads params, all members of which may be missing; false with err filled. */
static bool
read_params(json_t *params, const struct member *table, size_t n, void *obj, struct rpc_err *err)
{
	struct gw_conf_err why = {0};
	struct member_ctx ctx = {.key = "params", .err = &why};

	if (!params && n == 0)
		return true;
	if (params && member_read_all(&ctx, params, table, n, obj))
		return true;
	rpc_fail(err, RPC_PARAMS, "%s", params ? why.text : "params is missing");
	return false;
}

/* --- hello --- */

static json_t *
bstypes(void)
{
	json_t *a = json_array();

	for (const char *const *name = be_names(); *name; name++)
		json_array_append_new(a, json_string(*name));
	return a;
}

static json_t *
hello(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	uint32_t version = 0;
	const struct member table[] = {
	    {.name = "version",
	     .kind = MEMBER_UINT,
	     .required = true,
	     .size = sizeof(version),
	     .min = 1,
	     .max = UINT32_MAX},
	};
	json_t *chap;

	if (!read_params(params, table, GW_ARRAY_LEN(table), &version, err))
		return NULL;
	if (version != 1)
		return rpc_fail(err, RPC_PARAMS, "protocol version %u is not spoken here, only 1",
				version);
	chap = json_array();
	for (int a = 0; a < 32; a++) {
		if (env->conf->chap_mask & 1u << a)
			json_array_append_new(chap, json_integer(a));
	}
	return json_pack("{s:i,s:s,s:i,s:i,s:s,s:I,s:o,s:o}", "version", 1, "program", LGT_VERSION,
			 "pid", (int)getpid(), "cores", (int)gw_ncores(), "engine",
			 env->conf->engine, "generation", (json_int_t)gw_conf_generation(),
			 "bstypes", bstypes(), "chap", chap);
}

/* --- apply, check --- */

static json_t *
apply(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	struct gw_conf_change chg;
	struct gw_conf_err why;
	json_t *result;
	int rc;

	if (!params)
		return rpc_fail(err, RPC_PARAMS, "params is missing");
	if (!gw_conf_json_read(params, &chg, &why))
		return refused(err, &why);
	rc = gw_conf_apply(&chg, &why);
	gw_conf_json_free(&chg);
	if (rc)
		return refused(err, &why);
	result = report_degraded(env, NULL, err);
	json_object_set_new(result, "generation", json_integer((json_int_t)gw_conf_generation()));
	return result;
}

static json_t *
check(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	struct gw_conf_change chg;
	struct gw_conf_err why;
	int rc;

	if (!params)
		return rpc_fail(err, RPC_PARAMS, "params is missing");
	if (!gw_conf_json_read(params, &chg, &why))
		return refused(err, &why);
	rc = gw_conf_check(&chg, &why);
	gw_conf_json_free(&chg);
	return rc ? refused(err, &why) : json_object();
}

/* --- close --- */

struct closing {
	struct gw_tour tour;
	uint32_t tid, sid, cid;
	bool session, found;
};

static void
close_visit(struct gw_core *core, struct gw_tour *tour)
{
	struct closing *c = gw_container(tour, struct closing, tour);

	gw_list_each_safe (n, gw_nexus_list(core), struct gw_nexus, node) {
		if (n->closing || !n->target || n->target->tid != c->tid || n->tsih != c->sid)
			continue;
		c->session = true;
		if (n->cid != c->cid)
			continue;
		c->found = true;
		n->xport->close(n, GW_WHY_ADMIN);
	}
	gw_tour_next(tour);
}

static json_t *
no_such(struct rpc_err *err, int tgt_err, const char *text)
{
	err->tgt_err = tgt_err;
	return rpc_fail(err, RPC_REFUSED, "%s", text);
}

static json_t *
close_conn(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	static const struct member table[] = {
	    {.name = "tid",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct closing, tid),
	     .max = INT32_MAX},
	    {.name = "sid",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct closing, sid),
	     .max = UINT16_MAX},
	    {.name = "cid",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct closing, cid),
	     .max = UINT16_MAX},
	};
	struct closing c = {0};

	if (!read_params(params, table, GW_ARRAY_LEN(table), &c, err))
		return NULL;
	gw_tour_sync(&c.tour, close_visit);
	if (c.found)
		return json_object();
	return c.session
		   ? no_such(err, TGT_NO_CONNECTION, "the session has no connection of that cid")
		   : no_such(err, TGT_NO_SESSION, "the target has no session of that sid");
}

/* --- log, shutdown --- */

static json_t *
log_level(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	bool debug = false;
	const struct member table[] = {{.name = "debug", .kind = MEMBER_BOOL, .required = true}};

	if (!read_params(params, table, GW_ARRAY_LEN(table), &debug, err))
		return NULL;
	gw_log_level_set(debug ? GW_LOG_DEBUG : GW_LOG_INFO);
	return json_object();
}

static json_t *
shut_down(struct rpc_env *env, json_t *params, struct rpc_err *err)
{
	if (!read_params(params, NULL, 0, NULL, err))
		return NULL;
	env->shutdown = true;
	return json_object();
}

rpc_method
rpc_find(const char *name)
{
	static const struct {
		const char *name;
		rpc_method method;
	} row[] = {
	    {"hello", hello},        {"apply", apply},
	    {"check", check},        {"sessions", report_sessions},
	    {"luns", report_luns},   {"stats", report_stats},
	    {"close", close_conn},   {"log", log_level},
	    {"shutdown", shut_down}, {"degraded", report_degraded},
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++) {
		if (strcmp(row[i].name, name) == 0)
			return row[i].method;
	}
	return NULL;
}
