/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/mgmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "mgmt/names.h"
#include "mgmt/tgt_wire.h"

/* Opening the backing stores of a large configuration takes its time. */
#define APPLY_MS 60000
#define WAIT_MS  10000

static int
system_default(struct mgmt *m, struct mgmt_err *err)
{
	json_t *sys;
	int bad;

	if (mgmt_model_get(&m->model, "system"))
		return 0;
	sys = json_pack("{s:s,s:b,s:[iiii],s:i,s:[],s:n}", "key", "system", "ready", 1, "chap", 5,
			6, 7, 8, "login_timeout", 15, "discovery_in", "discovery_out");
	bad = !sys || json_object_set_new(m->model.objects, "system", sys);
	return bad ? mgmt_fail(err, TGT_E_NOMEM, "out of memory") : 0;
}

int
mgmt_init(struct mgmt *m, struct mgmt_store *store, const char *gateway_path, struct mgmt_err *err)
{
	memset(m, 0, sizeof(*m));
	m->store = store;
	m->wait_ms = WAIT_MS;
	m->gateway_pidfd = -1;
	if (mgmt_link_init(&m->link, gateway_path))
		return mgmt_fail(err, TGT_E_UNKNOWN, "the path %s is too long for a socket",
				 gateway_path);
	if (mgmt_model_init(&m->model))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	if ((store && mgmt_store_load(store, &m->model, err)) || system_default(m, err)) {
		mgmt_fini(m);
		return -1;
	}
	return 0;
}

void
mgmt_fini(struct mgmt *m)
{
	if (m->gateway_pidfd >= 0)
		close(m->gateway_pidfd);
	m->gateway_pidfd = -1;
	mgmt_link_fini(&m->link);
	mgmt_model_fini(&m->model);
}

int
mgmt_default_portal(struct mgmt *m, const char *addr, struct mgmt_err *err)
{
	struct mgmt_addr a;
	json_t *portal;

	if (!mgmt_portal_parse(addr, &a))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" is no portal: ADDR:PORT, [ADDR6]:PORT or ADDR", addr);
	portal = mgmt_portal_object(&a, 1, NULL);
	json_object_set_new(portal, "mgmt", json_pack("{s:b}", "volatile", 1));
	return json_object_set_new(m->model.objects, a.key, portal)
		   ? mgmt_fail(err, TGT_E_NOMEM, "out of memory")
		   : 0;
}

/* The whole configuration with the change, if any, made. */
static json_t *
full_params(const struct mgmt_model *m, const struct mgmt_change *c)
{
	json_t *set = json_array(), *obj;
	const char *key;

	json_object_foreach (m->objects, key, obj) {
		if (mgmt_key_visible(key) &&
		    (!c || (!json_object_get(c->set, key) && !json_object_get(c->del, key))))
			json_array_append_new(set, mgmt_gateway_form(obj));
	}
	if (c) {
		json_object_foreach (c->set, key, obj) {
			if (mgmt_key_visible(key))
				json_array_append_new(set, mgmt_gateway_form(obj));
		}
	}
	return json_pack("{s:b,s:b,s:o,s:[]}", "full", 1, "force", !c || c->force, "set", set,
			 "del");
}

static json_t *
diff_params(const struct mgmt_model *m, const struct mgmt_change *c)
{
	json_t *set = json_array(), *del = json_array(), *obj;
	const char *key;

	json_object_foreach (c->set, key, obj) {
		json_t *was = mgmt_model_get(m, key), *form = mgmt_gateway_form(obj);
		json_t *old = was ? mgmt_gateway_form(was) : NULL;

		if (mgmt_key_visible(key) && (!old || !json_equal(old, form)))
			json_array_append(set, form);
		json_decref(old);
		json_decref(form);
	}
	json_object_foreach (c->del, key, obj) {
		if (mgmt_key_visible(key))
			json_array_append_new(del, json_string(key));
	}
	return json_pack("{s:b,s:b,s:o,s:o}", "full", 0, "force", c->force, "set", set, "del", del);
}

/* True if the change has the gateway open something that it need not open now. */
static bool
opens_anew(const struct mgmt *m, const struct mgmt_change *c, const char *key)
{
	static const char *const what[] = {"bstype", "kv", "host", "port"};
	const json_t *was = mgmt_model_get(&m->model, key), *obj = json_object_get(c->set, key);

	for (unsigned i = 0; was && obj && i < GW_ARRAY_LEN(what); i++) {
		const json_t *a = json_object_get(was, what[i]), *b = json_object_get(obj, what[i]);

		if (a != b && !json_equal(a, b))
			return true;
	}
	return obj && !was;
}

/* A full apply takes what it cannot serve yet; what the change itself brings must be served. */
static int
refuse_degraded(const struct mgmt *m, const struct mgmt_change *c, const json_t *result,
		struct mgmt_err *err)
{
	json_t *list = json_object_get(result, "degraded"), *d;
	size_t i;

	json_array_foreach (list, i, d) {
		const char *key = mgmt_str(d, "key", "");

		if (opens_anew(m, c, key))
			return mgmt_fail(err, TGT_E_INVALID, "%s: %s", key,
					 mgmt_str(d, "reason", "the gateway cannot serve it"));
	}
	return 0;
}

static void
log_degraded(const json_t *result)
{
	json_t *list = json_object_get(result, "degraded"), *d;
	size_t i;

	json_array_foreach (list, i, d)
		gw_warn("the gateway cannot serve this yet key=%s reason=\"%s\"",
			mgmt_str(d, "key", "?"), mgmt_str(d, "reason", "?"));
}

int
mgmt_push_all(struct mgmt *m, struct mgmt_err *err)
{
	json_t *result = NULL;

	m->synced = false;
	if (mgmt_link_call(&m->link, "apply", full_params(&m->model, NULL), APPLY_MS, &result,
			   err)) {
		snprintf(m->trouble, sizeof(m->trouble), "%s", err->text);
		return -1;
	}
	log_degraded(result);
	json_decref(result);
	m->synced = true;
	m->trouble[0] = '\0';
	mgmt_log_level(m);
	return 0;
}

/* The gateway's consent; a gateway that refused the stored configuration is offered the new one. */
static int
ask_gateway(struct mgmt *m, const struct mgmt_change *c, struct mgmt_err *err)
{
	json_t *params, *result = NULL;

	if (!mgmt_link_up(&m->link))
		return mgmt_fail(err, TGT_E_UNKNOWN, "the gateway is not running");
	/* An apply may take long: whoever does not even answer this is not waited for. */
	if (mgmt_link_hello(&m->link, err)) {
		m->synced &= mgmt_link_up(&m->link);
		return -1;
	}
	params = m->synced ? diff_params(&m->model, c) : full_params(&m->model, c);
	if (mgmt_link_call(&m->link, "apply", params, APPLY_MS, &result, err)) {
		if (!mgmt_link_up(&m->link))
			m->synced = false;
		return -1;
	}
	if (!m->synced && refuse_degraded(m, c, result, err)) {
		struct mgmt_err why;

		json_decref(result);
		if (mgmt_push_all(m, &why))
			gw_err("cannot take a change back in the gateway reason=%s", why.text);
		return -1;
	}
	json_decref(result);
	return 0;
}

bool
mgmt_portals_kept(const struct mgmt *m)
{
	return mgmt_bool(json_object_get(mgmt_model_get(&m->model, "system"), "mgmt"), "portals",
			 false);
}

/*
 * The portals in use by default become stored ones when the administrator changes any portal. The
 * mark says so even when the last one is deleted: what was closed stays closed after a restart.
 */
static int
keep_default_portals(struct mgmt *m, struct mgmt_change *c)
{
	json_t *sys, *mark;
	const char *key;
	json_t *obj;
	bool portals = false;

	json_object_foreach (c->set, key, obj)
		portals |= !strncmp(key, "portal:", 7);
	json_object_foreach (c->del, key, obj)
		portals |= !strncmp(key, "portal:", 7);
	if (!portals || mgmt_portals_kept(m))
		return 0;
	sys = mgmt_change_edit(c, &m->model, "system");
	mark = sys ? json_object_get(sys, "mgmt") : NULL;
	if (sys && !mark)
		json_object_set_new(sys, "mgmt", mark = json_object());
	if (json_object_set_new(mark, "portals", json_true()))
		return -1;
	json_object_foreach (m->model.objects, key, obj) {
		bool is_default = mgmt_bool(json_object_get(obj, "mgmt"), "volatile", false);

		if (is_default && !json_object_get(c->set, key) && !json_object_get(c->del, key) &&
		    json_object_set_new(c->set, key, mgmt_gateway_form(obj)))
			return -1;
	}
	return 0;
}

int
mgmt_apply(struct mgmt *m, struct mgmt_change *c, struct mgmt_err *err)
{
	struct mgmt_err why;
	bool visible, was_synced = m->synced;

	if (keep_default_portals(m, c))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	visible = mgmt_change_visible(c, &m->model);
	if (m->store && mgmt_store_begin(m->store, c, &m->model, err))
		return -1;
	if (visible && ask_gateway(m, c, err)) {
		if (m->store)
			mgmt_store_rollback(m->store);
		return -1;
	}
	if (m->store && mgmt_store_commit(m->store, err)) {
		/* The gateway is ahead of the store: bring it back. */
		if (visible && mgmt_push_all(m, &why))
			gw_err("cannot take a change back in the gateway reason=%s", why.text);
		return -1;
	}
	m->synced = visible ? true : was_synced;
	if (m->synced)
		m->trouble[0] = '\0';
	if (mgmt_model_commit(&m->model, c))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	gw_info("configuration changed what=\"%s\"", c->what);
	return 0;
}

void
mgmt_log_level(struct mgmt *m)
{
	const json_t *sys = mgmt_model_get(&m->model, "system");
	bool debug = mgmt_bool(json_object_get(sys, "mgmt"), "debug", false);
	struct mgmt_err err;

	if (mgmt_link_up(&m->link) &&
	    mgmt_link_call(&m->link, "log", json_pack("{s:b}", "debug", debug), 1000, NULL, &err))
		gw_warn("the gateway did not change its log level reason=%s", err.text);
}
