/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC 2.0 without its transport: one line in, at most one line out. */
#ifndef GW_CONTROL_RPC_H
#define GW_CONTROL_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "gateway/control/control.h"

enum {
	RPC_PARSE = -32700,
	RPC_INVALID = -32600,
	RPC_NO_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_REFUSED = -32000, /* ours: data has key and tgt_err */
};

struct rpc_err {
	int code;
	char text[600];
	char key[320];
	int tgt_err; /* 0: none */
};

struct rpc_env {
	const struct gw_control_conf *conf;
	bool shutdown; /* set by the method of that name */
};

/* Returns the result, a new reference, or NULL with err filled. params is an object or NULL. */
typedef json_t *(*rpc_method)(struct rpc_env *env, json_t *params, struct rpc_err *err);

/* methods.c: NULL if there is none of that name. */
rpc_method rpc_find(const char *name);

/*
 * Carries out one request of len bytes without its '\n'. The answer with its '\n', to be freed, or
 * NULL if none is due (a notification) or memory is out.
 */
char *rpc_line(struct rpc_env *env, const char *line, size_t len, size_t *answer_len);

/* Fills err; returns NULL for the caller to return. */
json_t *rpc_fail(struct rpc_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* report.c */
json_t *report_sessions(struct rpc_env *env, json_t *params, struct rpc_err *err);
json_t *report_luns(struct rpc_env *env, json_t *params, struct rpc_err *err);
json_t *report_degraded(struct rpc_env *env, json_t *params, struct rpc_err *err);
json_t *report_stats(struct rpc_env *env, json_t *params, struct rpc_err *err);

#endif
