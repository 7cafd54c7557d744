/* SPDX-License-Identifier: BSD-3-Clause */
/* The system as a whole: show, update, delete. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "mgmt/lun_params.h"
#include "mgmt/ops.h"

/* RFC 1994 and IANA's PPP authentication algorithms, as RFC 7143 12.1.4 uses them. */
static const struct {
	const char *name;
	int number;
} chap_algs[] = {{"md5", 5}, {"sha1", 6}, {"sha256", 7}, {"sha3-256", 8}};

static const json_t *
isns_of(const struct mgmt *m)
{
	return json_object_get(json_object_get(mgmt_model_get(&m->model, "system"), "mgmt"),
			       "isns");
}

static bool
debug_of(const struct mgmt *m)
{
	return mgmt_bool(json_object_get(mgmt_model_get(&m->model, "system"), "mgmt"), "debug",
			 false);
}

static void
show_chap(const json_t *sys, char *dst, size_t size)
{
	json_t *list = json_object_get(sys, "chap"), *v;
	size_t i, n = 0;

	*dst = '\0';
	json_array_foreach (list, i, v) {
		for (size_t k = 0; k < GW_ARRAY_LEN(chap_algs) && n < size; k++) {
			if (chap_algs[k].number == json_integer_value(v))
				n += (size_t)snprintf(dst + n, size - n, "%s%s", n ? "," : "",
						      chap_algs[k].name);
		}
	}
}

/* Why the gateway does not serve what is configured; NULL if it does. */
static const char *
gateway_trouble(const struct mgmt *m)
{
	if (m->synced)
		return NULL;
	return m->trouble[0] ? m->trouble : "the gateway is not running";
}

static int
system_json(struct mgmt *m, struct mgmt_text *out)
{
	json_t *sys = mgmt_gateway_form(mgmt_model_get(&m->model, "system"));
	json_t *types = json_array(), *isns = json_deep_copy(isns_of(m));
	const char *name;
	bool flags;
	char chap[64];

	for (unsigned i = 0; (name = mgmt_bstype_at(i, &flags)); i++)
		json_array_append_new(types, json_string(name));
	show_chap(sys, chap, sizeof(chap));
	json_object_del(sys, "key");
	json_object_set_new(sys, "chap", json_string(chap));
	json_object_set_new(sys, "debug", json_boolean(debug_of(m)));
	json_object_set_new(sys, "driver", json_string(mgmt_lld_state(m, MGMT_ISCSI)));
	json_object_set_new(sys, "iser", json_string(mgmt_lld_state(m, MGMT_ISER)));
	json_object_set_new(sys, "bstypes", types);
	json_object_set_new(sys, "isns", isns ? isns : json_object());
	json_object_set_new(sys, "gateway",
			    json_pack("{s:b,s:b,s:s?,s:O?}", "connected", mgmt_link_up(&m->link),
				      "configured", m->synced, "trouble", gateway_trouble(m),
				      "hello", m->link.hello));
	mgmt_text_json(out, json_pack("{s:o}", "system", sys));
	return 0;
}

static void
show_discovery(const json_t *sys, struct mgmt_text *out)
{
	json_t *in = json_object_get(sys, "discovery_in"), *v;
	const char *outgoing = mgmt_str(sys, "discovery_out", NULL);
	size_t i;

	if (!json_array_size(in) && !outgoing)
		return;
	mgmt_text_addf(out, "    Account information:\n\n");
	json_array_foreach (in, i, v)
		mgmt_text_addf(out, "    %s\n", json_string_value(v));
	if (outgoing)
		mgmt_text_addf(out, "    %s (outgoing)\n", outgoing);
}

/* `-n version [-v N]`: the list of versions, or one of them whole (without secrets). */
static int
show_versions(struct mgmt *m, const char *value, struct mgmt_text *out, struct mgmt_err *err)
{
	const char *key;
	json_t *v, *obj;
	uint64_t n;

	if (!m->store)
		return mgmt_fail(err, TGT_E_UNSUPPORTED, "no versions are kept");
	if (!*value || !strcmp(value, "all")) {
		v = mgmt_store_versions(m->store, err);
	} else {
		if (!gw_str_u64(value, &n) || n > INT64_MAX)
			return mgmt_fail(err, TGT_E_INVALID, "\"%s\" is no version number", value);
		v = mgmt_store_version(m->store, &m->model, (int64_t)n, err);
		json_object_foreach (v, key, obj) {
			if (!json_object_get(obj, "secret"))
				continue;
			obj = json_copy(obj);
			json_object_del(obj, "secret");
			json_object_set_new(v, key, obj);
		}
	}
	if (!v)
		return -1;
	mgmt_text_json(out, v);
	return 0;
}

int
mgmt_system_show(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err)
{
	const json_t *sys = mgmt_model_get(&m->model, "system"), *isns = isns_of(m);
	const char *name = mgmt_req_arg(r, "version");
	bool flags;

	if (name)
		return show_versions(m, name, out, err);
	if (r->json)
		return system_json(m, out);
	mgmt_text_addf(out, "System:\n    State: %s\n    debug: %s\n",
		       mgmt_bool(sys, "ready", true) ? "ready" : "offline",
		       debug_of(m) ? "on" : "off");
	mgmt_text_addf(out, "LLDs:\n    iscsi: %s\n    iser: %s\nBacking stores:\n",
		       mgmt_lld_state(m, MGMT_ISCSI), mgmt_lld_state(m, MGMT_ISER));
	for (unsigned i = 0; (name = mgmt_bstype_at(i, &flags)); i++)
		mgmt_text_addf(out, "    %s%s\n", name, flags ? " (bsoflags sync:direct)" : "");
	mgmt_text_addf(out, "Device types:\n    disk\n    cd/dvd\n    controller\n");
	show_discovery(sys, out);
	mgmt_text_addf(out,
		       "iSNS:\n    iSNS=Off\n    iSNSServerIP=%s\n    iSNSServerPort=%s\n"
		       "    iSNSAccessControl=%s\n",
		       mgmt_str(isns, "iSNSServerIP", ""), mgmt_str(isns, "iSNSServerPort", "3205"),
		       mgmt_str(isns, "iSNSAccessControl", "Off"));
	if (gateway_trouble(m))
		mgmt_text_addf(out,
			       "Gateway:\n    Trouble: it does not have the configuration: %s\n",
			       gateway_trouble(m));
	else
		mgmt_text_addf(out, "Gateway:\n    Engine: %s\n",
			       mgmt_str(m->link.hello, "engine", "unknown"));
	return 0;
}

/* "on"/"off" in any case: 1, 0, or -1 for anything else. */
static int
on_off(const char *s)
{
	return !strcasecmp(s, "on") ? 1 : !strcasecmp(s, "off") ? 0 : -1;
}

static int
set_chap(json_t *sys, const char *value, struct mgmt_err *err)
{
	char copy[64], *next = copy, *s;
	json_t *list = json_array();

	if (!gw_str_copy(copy, sizeof(copy), value))
		goto out_bad;
	while ((s = strsep(&next, ","))) {
		size_t i = 0;

		while (i < GW_ARRAY_LEN(chap_algs) && strcasecmp(chap_algs[i].name, s))
			i++;
		if (i == GW_ARRAY_LEN(chap_algs))
			goto out_bad;
		json_array_append_new(list, json_integer(chap_algs[i].number));
	}
	json_object_set_new(sys, "chap", list);
	return 0;
out_bad:
	json_decref(list);
	return mgmt_fail(err, TGT_E_INVALID,
			 "chap is a list of md5, sha1, sha256, sha3-256, not \"%s\"", value);
}

static int
set_isns(json_t *sys, const char *name, const char *value, struct mgmt_err *err)
{
	json_t *isns;
	uint8_t addr[16];
	uint64_t port;

	/* Switching it on without registering anywhere would be a lie. */
	if (!strcmp(name, "iSNS")) {
		if (on_off(value) == 1)
			return mgmt_fail(err, TGT_E_UNSUPPORTED, "iSNS is not supported");
		return on_off(value) ? mgmt_fail(err, TGT_E_INVALID, "iSNS is On or Off") : 0;
	}
	if (!strcmp(name, "iSNSAccessControl") && on_off(value) < 0)
		return mgmt_fail(err, TGT_E_INVALID, "%s is On or Off", name);
	if (!strcmp(name, "iSNSServerIP") && inet_pton(AF_INET, value, addr) != 1 &&
	    inet_pton(AF_INET6, value, addr) != 1)
		return mgmt_fail(err, TGT_E_INVALID, "%s is an IPv4 or IPv6 address", name);
	if (!strcmp(name, "iSNSServerPort") &&
	    (!gw_str_u64(value, &port) || !port || port > UINT16_MAX))
		return mgmt_fail(err, TGT_E_INVALID, "%s is a number from 1 to 65535", name);
	isns = mgmt_sub(mgmt_sub(sys, "mgmt"), "isns");
	if (json_object_set_new(isns, name, json_string(value)))
		return mgmt_fail(err, TGT_E_INVALID, "the value is not valid UTF-8");
	return 0;
}

static int
system_key(json_t *sys, const char *name, const char *value, struct mgmt_err *err)
{
	uint64_t n;

	if (!strcasecmp(name, "debug")) {
		if (on_off(value) < 0)
			return mgmt_fail(err, TGT_E_INVALID, "debug is on or off");
		json_object_set_new(mgmt_sub(sys, "mgmt"), "debug", json_boolean(on_off(value)));
		return 0;
	}
	if (!strcasecmp(name, "State")) {
		if (strcmp(value, "ready") && strcmp(value, "offline"))
			return mgmt_fail(err, TGT_E_INVALID, "State is ready or offline");
		json_object_set_new(sys, "ready", json_boolean(*value == 'r'));
		return 0;
	}
	if (!strcasecmp(name, "chap"))
		return set_chap(sys, value, err);
	if (!strcasecmp(name, "login_timeout")) {
		if (!gw_str_u64(value, &n) || n < 1 || n > 600)
			return mgmt_fail(err, TGT_E_INVALID,
					 "login_timeout is a number of seconds from 1 to 600");
		json_object_set_new(sys, "login_timeout", json_integer((json_int_t)n));
		return 0;
	}
	if (!strcmp(name, "iSNS") || !strcmp(name, "iSNSServerIP") ||
	    !strcmp(name, "iSNSServerPort") || !strcmp(name, "iSNSAccessControl"))
		return set_isns(sys, name, value, err);
	return mgmt_fail(err, TGT_E_INVALID, "the system has no parameter \"%s\"", name);
}

int
mgmt_system_update(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		   struct mgmt_err *err)
{
	struct mgmt_change c;
	json_t *edit;
	const char *value;
	char name[64];
	int rc;

	if (!mgmt_req_pair(r, name, sizeof(name), &value))
		return mgmt_fail(err, TGT_E_INVALID, "update needs a name and a value");
	if (mgmt_change_init(&c) || !(edit = mgmt_change_edit(&c, &m->model, "system"))) {
		mgmt_change_fini(&c);
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	}
	snprintf(c.what, sizeof(c.what), "system update %s=%s", name, value);
	rc = system_key(edit, name, value, err);
	if (!rc)
		rc = mgmt_apply(m, &c, err);
	if (!rc && !strcasecmp(name, "debug"))
		mgmt_log_level(m);
	mgmt_change_fini(&c);
	return rc;
}

int
mgmt_system_delete(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		   struct mgmt_err *err)
{
	struct mgmt_err why;

	if (mgmt_model_has_targets(&m->model))
		return mgmt_fail(err, TGT_E_INVALID, "there are targets; delete them first");
	if (m->gateway_pidfd < 0)
		m->gateway_pidfd = mgmt_link_pidfd(&m->link);
	if (mgmt_link_up(&m->link) && mgmt_link_call(&m->link, "shutdown", NULL, 2000, NULL, &why))
		gw_warn("the gateway did not take the shutdown reason=%s", why.text);
	m->stopping = true;
	return 0;
}
