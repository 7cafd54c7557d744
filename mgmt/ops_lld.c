/* SPDX-License-Identifier: BSD-3-Clause */
/* Drivers, as tgt has them: start, stop, show, and what state they are in. */
#include <stdio.h>
#include <string.h>

#include "gateway/base/num.h"
#include "mgmt/names.h"
#include "mgmt/ops.h"

static const char *const names[MGMT_LLDS] = {[MGMT_ISCSI] = "iscsi", [MGMT_ISER] = "iser"};

const char *
mgmt_lld_name(enum mgmt_lld lld)
{
	return names[lld];
}

int
mgmt_lld_by_name(const char *name)
{
	for (int i = 0; i < MGMT_LLDS; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

const char *
mgmt_target_lld(const json_t *target)
{
	return mgmt_str(json_object_get(target, "mgmt"), "lld", names[MGMT_ISCSI]);
}

bool
mgmt_has_iser_portal(const struct mgmt *m)
{
	const char *key;
	json_t *obj;

	json_object_foreach (m->model.objects, key, obj) {
		if (mgmt_portal_iser(obj))
			return true;
	}
	return false;
}

static bool
iser_listens(struct mgmt *m)
{
	json_t *degraded = mgmt_ask_degraded(m), *obj;
	const char *key;
	bool any = false;

	json_object_foreach (m->model.objects, key, obj) {
		if (mgmt_portal_iser(obj))
			any |= !mgmt_trouble_of(degraded, key);
	}
	json_decref(degraded);
	return any;
}

const char *
mgmt_lld_state(struct mgmt *m, enum mgmt_lld lld)
{
	if (m->lld_stopped[lld])
		return "stopped";
	if (lld == MGMT_ISCSI)
		return "ready";
	if (!mgmt_has_iser_portal(m))
		return "uninitialized";
	return iser_listens(m) ? "ready" : "error";
}

static bool
is_of(const json_t *target, int lld)
{
	return mgmt_lld_by_name(mgmt_target_lld(target)) == lld;
}

int
mgmt_lld_start(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
	       struct mgmt_err *err)
{
	m->lld_stopped[r->lld] = false;
	return 0;
}

int
mgmt_lld_stop(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out, struct mgmt_err *err)
{
	json_t *targets = mgmt_model_list(&m->model, "target:"), *t;
	bool busy = false;
	size_t i;

	json_array_foreach (targets, i, t)
		busy |= is_of(t, r->lld);
	json_decref(targets);
	if (busy)
		return mgmt_fail(err, TGT_E_DRIVER_ACTIVE, "the driver %s has targets",
				 mgmt_lld_name((enum mgmt_lld)r->lld));
	m->lld_stopped[r->lld] = true;
	return 0;
}

static void
show_lld(struct mgmt *m, enum mgmt_lld lld, json_t *targets, struct mgmt_text *out)
{
	json_t *t;
	size_t i;

	mgmt_text_addf(out, "    %s: %s\n", names[lld], mgmt_lld_state(m, lld));
	json_array_foreach (targets, i, t) {
		if (is_of(t, (int)lld))
			mgmt_text_addf(out, "        Target %" JSON_INTEGER_FORMAT ": %s\n",
				       mgmt_int(t, "tid", 0), mgmt_str(t, "iqn", ""));
	}
}

static json_t *
lld_json(struct mgmt *m, enum mgmt_lld lld, json_t *targets)
{
	int n = 0;
	json_t *t;
	size_t i;

	json_array_foreach (targets, i, t)
		n += is_of(t, (int)lld);
	return json_pack("{s:s,s:s,s:i}", "name", names[lld], "state", mgmt_lld_state(m, lld),
			 "targets", n);
}

int
mgmt_lld_show(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out, struct mgmt_err *err)
{
	json_t *targets = mgmt_model_list(&m->model, "target:"), *list = json_array();

	if (!r->json)
		mgmt_text_addf(out, "LLDs:\n");
	for (unsigned i = 0; i < MGMT_LLDS; i++) {
		if (r->json)
			json_array_append_new(list, lld_json(m, (enum mgmt_lld)i, targets));
		else
			show_lld(m, (enum mgmt_lld)i, targets, out);
	}
	if (r->json)
		mgmt_text_json(out, json_pack("{s:O}", "llds", list));
	json_decref(list);
	json_decref(targets);
	return 0;
}
