/* SPDX-License-Identifier: BSD-3-Clause */
/* Portals: new, delete, show. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/str.h"
#include "mgmt/names.h"
#include "mgmt/ops.h"

/* What the request says of the transport of its portals; "--lld iser" says it too, as in tgt. */
static int
transport_of(const struct mgmt_req *r, bool *iser, struct mgmt_err *err)
{
	const char *text = NULL;

	for (unsigned i = 0; i < r->nargs; i++) {
		if (strncmp(r->arg[i], "transport=", 10))
			continue;
		if (text)
			return mgmt_fail(err, TGT_E_INVALID, "transport= is given twice");
		text = r->arg[i] + 10;
	}
	if (text && strcmp(text, "tcp") && strcmp(text, "iser"))
		return mgmt_fail(err, TGT_E_INVALID, "\"%s\" is no transport: tcp or iser", text);
	if (text && *text == 't' && r->lld == MGMT_ISER)
		return mgmt_fail(err, TGT_E_INVALID, "transport=tcp contradicts the driver iser");
	*iser = r->lld == MGMT_ISER || (text && *text == 'i');
	return 0;
}

/* Without tpgt=: portal group 1. Which group a portal is in does not matter to who deletes it. */
static int
tag_of(const struct mgmt_req *r, bool add, unsigned *tpgt, struct mgmt_err *err)
{
	const char *text = mgmt_req_arg(r, "tpgt");
	uint64_t n = 1;

	if (text && !add)
		return mgmt_fail(err, TGT_E_INVALID, "a portal is deleted by its address alone");
	if (text && (!gw_str_u64(text, &n) || n < 1 || n > UINT16_MAX))
		return mgmt_fail(err, TGT_E_INVALID, "tpgt is a number from 1 to 65535, not \"%s\"",
				 text);
	*tpgt = (unsigned)n;
	return 0;
}

/* "portal:ADDR:PORT/iser": "ADDR:PORT (iser)". */
static const char *
portal_name(const struct mgmt_addr *a, char name[100])
{
	const char *addr = a->key + strlen("portal:");

	snprintf(name, 100, "%.*s%s", (int)strcspn(addr, "/"), addr, a->iser ? " (iser)" : "");
	return name;
}

static int
no_portal(struct mgmt *m, const struct mgmt_addr *a, struct mgmt_err *err)
{
	struct mgmt_addr other = *a;
	char name[100];

	mgmt_portal_over(&other, !a->iser);
	if (mgmt_model_get(&m->model, other.key))
		return mgmt_fail(err, TGT_E_INVALID,
				 "there is no portal %s, only one with transport=%s",
				 portal_name(a, name), other.iser ? "iser" : "tcp");
	return mgmt_fail(err, TGT_E_INVALID, "there is no portal %s", portal_name(a, name));
}

struct portal_want {
	const char *advertise; /* NULL: nothing */
	unsigned tpgt;
	bool iser, add;
};

static int
portal_one(struct mgmt *m, struct mgmt_change *c, const char *text, const struct portal_want *w,
	   struct mgmt_err *err)
{
	char name[100];
	struct mgmt_addr a;
	bool have;

	if (!mgmt_portal_parse(text, &a))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" is no portal: ADDR:PORT, [ADDR6]:PORT or ADDR", text);
	mgmt_portal_over(&a, w->iser);
	have = mgmt_model_get(&m->model, a.key) != NULL;
	if (w->add && have)
		return mgmt_fail(err, TGT_E_INVALID, "the portal %s exists already",
				 portal_name(&a, name));
	if (!w->add && !have)
		return no_portal(m, &a, err);
	snprintf(c->what, sizeof(c->what), "portal %s %s", w->add ? "new" : "delete",
		 portal_name(&a, name));
	if (w->add ? mgmt_change_set(c, mgmt_portal_object(&a, w->tpgt, w->advertise))
		   : mgmt_change_del(c, a.key))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}

static int
portal_change(struct mgmt *m, const struct mgmt_req *r, bool add, struct mgmt_err *err)
{
	struct portal_want w = {.advertise = mgmt_req_arg(r, "advertise"), .add = add};
	struct mgmt_change c;
	struct mgmt_addr a;
	bool any = false;
	int rc;

	if (transport_of(r, &w.iser, err) || tag_of(r, add, &w.tpgt, err))
		return -1;
	if (w.advertise && !mgmt_portal_parse(w.advertise, &a))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" cannot be advertised: it is no address", w.advertise);
	if (w.advertise)
		w.advertise = a.key + strlen("portal:");
	if (mgmt_change_init(&c))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	rc = 0;
	for (unsigned i = 0; !rc && i < r->nargs; i++) {
		if (strncmp(r->arg[i], "portal=", 7))
			continue;
		any = true;
		rc = portal_one(m, &c, r->arg[i] + 7, &w, err);
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

static void
show_one(const json_t *p, const char *why, struct mgmt_text *out)
{
	const char *addr = mgmt_str(p, "key", "portal:?") + strlen("portal:");

	mgmt_text_addf(out, "Portal: %.*s,%" JSON_INTEGER_FORMAT "\n", (int)strcspn(addr, "/"),
		       addr, mgmt_int(p, "tpgt", 1));
	if (mgmt_portal_iser(p))
		mgmt_text_addf(out, "    Transport: iser\n");
	if (why)
		mgmt_text_addf(out, "    Trouble: %s\n", why);
}

static json_t *
portal_json(const json_t *p, const char *why)
{
	json_t *form = mgmt_gateway_form(p);

	json_object_set_new(form, "transport", json_string(mgmt_portal_iser(p) ? "iser" : "tcp"));
	json_object_set_new(form, "trouble", why ? json_string(why) : json_null());
	return form;
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
		json_t *p = json_array_get(list, n);
		const char *why = mgmt_trouble_of(degraded, mgmt_str(p, "key", ""));

		if (r->lld == MGMT_ISER && !mgmt_portal_iser(p))
			continue;
		if (r->json)
			json_array_append_new(bare, portal_json(p, why));
		else
			show_one(p, why, out);
	}
	json_decref(degraded);
	json_decref(list);
	if (r->json)
		mgmt_text_json(out, json_pack("{s:O}", "portals", bare));
	json_decref(bare);
	return 0;
}
