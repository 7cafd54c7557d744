/* SPDX-License-Identifier: BSD-3-Clause */
/* One function for each mode and operation of tgtadm; the table is in request.c. */
#ifndef MGMT_OPS_H
#define MGMT_OPS_H

#include "mgmt/request.h"

typedef int mgmt_op_fn(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		       struct mgmt_err *err);

mgmt_op_fn mgmt_system_show, mgmt_system_update, mgmt_system_delete;
mgmt_op_fn mgmt_target_new, mgmt_target_delete, mgmt_target_show, mgmt_target_update;
mgmt_op_fn mgmt_target_bind, mgmt_target_unbind;
mgmt_op_fn mgmt_lun_new, mgmt_lun_delete, mgmt_lun_update;
mgmt_op_fn mgmt_portal_new, mgmt_portal_delete, mgmt_portal_show;
mgmt_op_fn mgmt_account_new, mgmt_account_delete, mgmt_account_show;
mgmt_op_fn mgmt_account_bind, mgmt_account_unbind;
mgmt_op_fn mgmt_conn_show, mgmt_conn_delete;
mgmt_op_fn mgmt_lld_start, mgmt_lld_stop, mgmt_lld_show;
mgmt_op_fn mgmt_stat;

/* "iscsi", "iser"; -1 if there is no driver of that name. */
const char *mgmt_lld_name(enum mgmt_lld lld);
int mgmt_lld_by_name(const char *name);
/*
 * In tgt's words: ready, stopped; iser is uninitialized without a portal, and in error if none of
 * its portals listens.
 */
const char *mgmt_lld_state(struct mgmt *m, enum mgmt_lld lld);
/* The driver that a target was made with. */
const char *mgmt_target_lld(const json_t *target);
/* A portal over iSER is wanted. */
bool mgmt_has_iser_portal(const struct mgmt *m);

/* The target of the request, borrowed; NULL with err NO_TARGET. */
json_t *mgmt_need_target(const struct mgmt *m, const struct mgmt_req *r, struct mgmt_err *err);

/*
 * What the gateway knows now: its "sessions", "luns", "degraded" or cores. tid 0: of all targets. An
 * empty array while the gateway is away: show works with what is known.
 */
json_t *mgmt_ask_sessions(struct mgmt *m, int64_t tid);
json_t *mgmt_ask_luns(struct mgmt *m, int64_t tid);
json_t *mgmt_ask_degraded(struct mgmt *m);
json_t *mgmt_ask_cores(struct mgmt *m);

/* What tgt puts before "IP Address" of a session over RDMA; empty for TCP. */
const char *mgmt_rdma_mark(const json_t *session);

/* Why the object of that key does not work, from mgmt_ask_degraded(); NULL if it does. */
const char *mgmt_trouble_of(const json_t *degraded, const char *key);

/* Adds the JSON text of v, whose reference is taken, and a newline. */
void mgmt_text_json(struct mgmt_text *out, json_t *v);

/* "192.0.2.1:51234" or "[2001:db8::1]:51234" without port and brackets. */
void mgmt_host_of(const char *addr, char *dst, size_t size);

#endif
