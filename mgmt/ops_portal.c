/* SPDX-License-Identifier: BSD-3-Clause */
/* Portals: new, delete, show. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/names.h"
#include "mgmt/ops.h"

static int
portal_one(struct mgmt *m, struct mgmt_change *c, const char *text, const char *advertise, bool add,
	   struct mgmt_err *err)
{
	struct mgmt_addr a;
	bool have;

	if (!mgmt_portal_parse(text, &a))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" is no portal: ADDR:PORT, [ADDR6]:PORT or ADDR", text);
	have = mgmt_model_get(&m->model, a.key) != NULL;
	if (add && have)
		return mgmt_fail(err, TGT_E_INVALID, "the portal %s exists already", a.key + 7);
	if (!add && !have)
		return mgmt_fail(err, TGT_E_INVALID, "there is no portal %s", a.key + 7);
	snprintf(c->what, sizeof(c->what), "portal %s %s", add ? "new" : "delete", a.key + 7);
	if (add ? mgmt_change_set(c, mgmt_portal_object(&a, advertise)) : mgmt_change_del(c, a.key))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}

static int
portal_change(struct mgmt *m, const struct mgmt_req *r, bool add, struct mgmt_err *err)
{
	const char *advertise = mgmt_req_arg(r, "advertise");
	struct mgmt_change c;
	struct mgmt_addr a;
	bool any = false;
	int rc;

	if (advertise && !mgmt_portal_parse(advertise, &a))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" cannot be advertised: it is no "
				 "address",
				 advertise);
	if (mgmt_change_init(&c))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	rc = 0;
	for (unsigned i = 0; !rc && i < r->nargs; i++) {
		if (strncmp(r->arg[i], "portal=", 7))
			continue;
		any = true;
		rc = portal_one(m, &c, r->arg[i] + 7, advertise ? a.key + 7 : NULL, add, err);
	}
	if (!any)
		rc = mgmt_fail(err, TGT_E_INVALID, "%s needs portal=ADDR:PORT",
			       tgt_op_name(r->h.op));
	if (!rc)
		rc = mgmt_apply(m, &c, err);
	mgmt_change_fini(&c);
	return rc;
}

int
mgmt_portal_new(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		struct mgmt_err *err)
{
	return portal_change(m, r, true, err);
}

int
mgmt_portal_delete(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		   struct mgmt_err *err)
{
	return portal_change(m, r, false, err);
}

static const char *
trouble_of(const json_t *degraded, const char *key)
{
	json_t *d;
	size_t i;

	json_array_foreach (degraded, i, d) {
		if (!strcmp(mgmt_str(d, "key", ""), key))
			return mgmt_str(d, "reason", "it does not listen");
	}
	return NULL;
}

int
mgmt_portal_show(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err)
{
	json_t *list = mgmt_model_list(&m->model, "portal:"), *bare = json_array();
	json_t *degraded = mgmt_ask_degraded(m);
	size_t n = json_array_size(list);

	/* The newest first, as tgt lists them. */
	while (n--) {
		json_t *p = json_array_get(list, n), *form = mgmt_gateway_form(p);
		const char *why = trouble_of(degraded, mgmt_str(p, "key", ""));

		if (!r->json)
			mgmt_text_addf(out, "Portal: %s,%" JSON_INTEGER_FORMAT "\n",
				       mgmt_str(p, "key", "portal:?") + 7, mgmt_int(p, "tpgt", 1));
		if (!r->json && why)
			mgmt_text_addf(out, "    Trouble: %s\n", why);
		json_object_set_new(form, "trouble", why ? json_string(why) : json_null());
		json_array_append_new(bare, form);
	}
	json_decref(degraded);
	json_decref(list);
	if (r->json)
		mgmt_text_json(out, json_pack("{s:o}", "portals", bare));
	else
		json_decref(bare);
	return 0;
}
