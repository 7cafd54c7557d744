/* SPDX-License-Identifier: BSD-3-Clause */
/* What only the gateway knows: sessions, sizes, counters. */
#include <string.h>

#include "gateway/base/log.h"
#include "mgmt/ops.h"

#define ASK_MS 1200

/* The array of that name in the answer. */
static json_t *
ask(struct mgmt *m, const char *method, const char *name, int64_t tid)
{
	json_t *params = tid ? json_pack("{s:I}", "tid", (json_int_t)tid) : json_object();
	json_t *result = NULL, *list;
	struct mgmt_err err;

	if (!mgmt_link_up(&m->link)) {
		json_decref(params);
		return json_array();
	}
	if (mgmt_link_call(&m->link, method, params, ASK_MS, &result, &err)) {
		gw_log_limited(GW_LOG_WARN, "the gateway does not tell its %s reason=%s", method,
			       err.text);
		return json_array();
	}
	list = json_incref(json_object_get(result, name));
	json_decref(result);
	if (json_is_array(list))
		return list;
	json_decref(list);
	return json_array();
}

json_t *
mgmt_ask_sessions(struct mgmt *m, int64_t tid)
{
	return ask(m, "sessions", "sessions", tid);
}

json_t *
mgmt_ask_luns(struct mgmt *m, int64_t tid)
{
	return ask(m, "luns", "luns", tid);
}

json_t *
mgmt_ask_degraded(struct mgmt *m)
{
	return ask(m, "degraded", "degraded", 0);
}

json_t *
mgmt_ask_cores(struct mgmt *m)
{
	return ask(m, "stats", "cores", 0);
}

const char *
mgmt_rdma_mark(const json_t *session)
{
	return strcmp(mgmt_str(session, "xport", "tcp"), "iser") ? "" : "RDMA ";
}

const char *
mgmt_trouble_of(const json_t *degraded, const char *key)
{
	json_t *d;
	size_t i;

	json_array_foreach (degraded, i, d) {
		if (!strcmp(mgmt_str(d, "key", ""), key))
			return mgmt_str(d, "reason", "it does not listen");
	}
	return NULL;
}

void
mgmt_text_json(struct mgmt_text *out, json_t *v)
{
	char *s = v ? json_dumps(v, JSON_INDENT(2)) : NULL;

	if (s)
		mgmt_text_addf(out, "%s\n", s);
	else
		out->failed = true;
	free(s);
	json_decref(v);
}

void
mgmt_host_of(const char *addr, char *dst, size_t size)
{
	const char *end = strrchr(addr, ':');
	size_t n;

	if (*addr == '[') {
		addr++;
		end = strchr(addr, ']');
	}
	n = end ? (size_t)(end - addr) : strlen(addr);
	if (n >= size)
		n = size - 1;
	memcpy(dst, addr, n);
	dst[n] = '\0';
}
