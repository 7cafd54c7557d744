/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: new, delete, bind, unbind, update. Showing them is in show_target.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "mgmt/alua.h"
#include "mgmt/former.h"
#include "mgmt/maps.h"
#include "mgmt/names.h"
#include "mgmt/ops.h"
#include "mgmt/params.h"

json_t *
mgmt_need_target(const struct mgmt *m, const struct mgmt_req *r, struct mgmt_err *err)
{
	json_t *t = mgmt_model_target(&m->model, r->h.tid);

	if (!t)
		mgmt_fail(err, TGT_E_NO_TARGET, "there is no target with tid %" PRId32, r->h.tid);
	return t;
}

/* Applies a change whose building returned `bad`, and frees it. */
static int
finish(struct mgmt *m, struct mgmt_change *c, int bad, struct mgmt_err *err)
{
	int rc = bad ? mgmt_fail(err, TGT_E_NOMEM, "out of memory") : mgmt_apply(m, c, err);

	mgmt_change_fini(c);
	return rc;
}

/*
 * As tgt's driver iser, which listens on every address from its start: whoever wants a target over
 * iSER gets a portal for it, if there is none. The target itself is the same with either driver.
 */
static int
make_iser(struct mgmt *m, struct mgmt_change *c, const char *key, struct mgmt_addr *listen)
{
	json_t *want = mgmt_sub(json_object_get(c->set, key), "mgmt");

	mgmt_portal_parse(MGMT_DEFAULT_PORTAL, listen);
	mgmt_portal_over(listen, true);
	if (json_object_set_new(want, "lld", json_string(mgmt_lld_name(MGMT_ISER))))
		return -1;
	return mgmt_has_iser_portal(m) ? 0
				       : mgmt_change_set(c, mgmt_portal_object(listen, 1, NULL));
}

int
mgmt_target_new(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		struct mgmt_err *err)
{
	const char *name = mgmt_req_arg(r, "targetname");
	struct mgmt_addr listen = {0};
	struct mgmt_change c;
	char key[MGMT_KEY_MAX];
	json_t *old;
	int64_t tid;
	int bad;

	if (r->h.tid <= 0)
		return mgmt_fail(err, TGT_E_INVALID, "the tid must be greater than 0");
	if (!name)
		return mgmt_fail(err, TGT_E_INVALID, "a new target needs a targetname");
	if (!mgmt_name_ok(name))
		return mgmt_fail(err, TGT_E_INVALID,
				 "a target name has 1 to %d letters, digits, '.', ':' and '-'",
				 MGMT_NAME_MAX);
	old = mgmt_model_target(&m->model, r->h.tid);
	if (old)
		return mgmt_fail(err, TGT_E_TARGET_EXIST, "tid %" PRId32 " is %s", r->h.tid,
				 mgmt_str(old, "iqn", "?"));
	tid = mgmt_model_tid_by_name(&m->model, name);
	if (tid)
		return mgmt_fail(err, TGT_E_TARGET_EXIST, "%s has tid %" PRId64, name, tid);

	bad = mgmt_change_init(&c);
	snprintf(key, sizeof(key), "target:%" PRId32, r->h.tid);
	snprintf(c.what, sizeof(c.what), "target new tid=%" PRId32, r->h.tid);
	bad = bad ||
	      mgmt_change_set(&c, json_pack("{s:s,s:i,s:s,s:s,s:b,s:{},s:[],s:[],s:[],s:n}", "key",
					    key, "tid", (int)r->h.tid, "iqn", name, "alias", "",
					    "ready", 1, "params", "acl", "acl_names", "in", "out"));
	bad = bad || (r->lld == MGMT_ISER && make_iser(m, &c, key, &listen));
	if (!finish(m, &c, bad, err))
		return 0;
	/* tgt's number for a driver that could not start. */
	if (listen.iser && !strncmp(err->text, listen.key, strlen(listen.key)))
		err->tgt = TGT_E_NO_DRIVER;
	return -1;
}

int
mgmt_target_delete(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		   struct mgmt_err *err)
{
	json_t *t = mgmt_need_target(m, r, err), *luns, *lun;
	struct mgmt_change c;
	char prefix[48];
	size_t i;
	int bad;

	if (!t)
		return -1;
	bad = mgmt_change_init(&c);
	c.force = r->h.force;
	snprintf(c.what, sizeof(c.what), "target delete tid=%" PRId32, r->h.tid);
	snprintf(prefix, sizeof(prefix), "lun:%" PRId32 "/", r->h.tid);
	luns = mgmt_model_list(&m->model, prefix);
	json_array_foreach (luns, i, lun)
		bad = bad || mgmt_former_keep(m, &c, lun) ||
		      mgmt_change_del(&c, mgmt_str(lun, "key", ""));
	json_decref(luns);
	bad =
	    bad || !luns || mgmt_former_trim(m, &c) || mgmt_change_del(&c, mgmt_str(t, "key", ""));
	return finish(m, &c, bad, err);
}

/* Adds or removes one rule in the array `member` of the edited target. */
static int
acl_change(json_t *t, const char *member, const char *rule, bool add, struct mgmt_err *err)
{
	json_t *list = json_object_get(t, member);
	int at = mgmt_array_find(list, rule);

	if (add && at >= 0)
		return mgmt_fail(err, TGT_E_ACL_EXIST, "the target already admits %s", rule);
	if (!add && at < 0)
		return mgmt_fail(err, TGT_E_ACL_NOEXIST, "the target has no rule %s", rule);
	if (add ? json_array_append_new(list, json_string(rule))
		: json_array_remove(list, (size_t)at))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	return 0;
}

/* iSCSI names have no case: a rule that is spelled otherwise admits the initiator as well. */
static bool
has_name(const json_t *t, const char *name)
{
	json_t *list = json_object_get(t, "acl_names"), *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (!strcasecmp(json_string_value(v), name))
			return true;
	}
	return false;
}

/* bind with luns=LIST: the initiator's whole map, and its admission. */
static int
bind_map(struct mgmt *m, const struct mgmt_req *r, json_t *t, const char *name,
	 struct mgmt_err *err)
{
	unsigned at = mgmt_req_list(r, MGMT_LUNS);
	const char *piece[MGMT_ARGS_MAX];
	json_t *map;

	if (!r->arg[at][strlen(MGMT_LUNS)])
		return mgmt_fail(err, TGT_E_INVALID, "bind needs the list of a map: luns=LIST");
	memcpy(piece, r->arg + at, (r->nargs - at) * sizeof(*piece));
	piece[0] += strlen(MGMT_LUNS "=");
	map = mgmt_map_parse(name, piece, r->nargs - at, err);
	if (!map)
		return -1;
	if (mgmt_map_check(&m->model, r->h.tid, map, err)) {
		json_decref(map);
		return -1;
	}
	if (mgmt_map_put(t, map, err))
		return -1;
	return has_name(t, name) ? 0 : acl_change(t, "acl_names", name, true, err);
}

/* unbind with luns: the map goes, the rule stays. */
static int
unbind_map(const struct mgmt_req *r, json_t *t, const char *name, struct mgmt_err *err)
{
	unsigned at = mgmt_req_list(r, MGMT_LUNS);

	if (at + 1 < r->nargs || strcmp(r->arg[at], MGMT_LUNS) != 0)
		return mgmt_fail(err, TGT_E_INVALID,
				 "unbind takes luns without a list: the whole map goes");
	if (!mgmt_map_drop(t, name))
		return mgmt_fail(err, TGT_E_NO_BINDING, "the target has no map for %s", name);
	return 0;
}

static int
name_change(struct mgmt *m, const struct mgmt_req *r, json_t *t, const char *name, bool add,
	    struct mgmt_err *err)
{
	if (mgmt_req_list(r, MGMT_LUNS) < r->nargs)
		return add ? bind_map(m, r, t, name, err) : unbind_map(r, t, name, err);
	if (acl_change(t, "acl_names", name, add, err))
		return -1;
	if (!add)
		(void)mgmt_map_drop(t, name);
	return 0;
}

static int
check_rules(const struct mgmt_req *r, const char *addr, const char *name, bool add,
	    struct mgmt_err *err)
{
	if (!addr && !name)
		return mgmt_fail(err, r->h.len > sizeof(r->h) ? TGT_E_INVALID : TGT_E_UNSUPPORTED,
				 "%s needs an initiator-address or an initiator-name",
				 tgt_op_name(r->h.op));
	if (!name && mgmt_req_list(r, MGMT_LUNS) < r->nargs)
		return mgmt_fail(err, TGT_E_INVALID, "a map is for an initiator-name");
	if (add && addr && !mgmt_acl_ok(addr))
		return mgmt_fail(err, TGT_E_INVALID,
				 "\"%s\" is no address rule: ALL, ADDRESS or ADDRESS/BITS", addr);
	if (add && name && !mgmt_initiator_ok(name))
		return mgmt_fail(err, TGT_E_INVALID, "\"%s\" is no initiator name", name);
	return 0;
}

static int
acl_update(struct mgmt *m, const struct mgmt_req *r, bool add, struct mgmt_err *err)
{
	const char *addr = mgmt_req_arg(r, "initiator-address");
	const char *name = mgmt_req_arg(r, "initiator-name");
	json_t *t = mgmt_need_target(m, r, err), *edit;
	struct mgmt_change c;
	int rc = -1;

	if (!t || check_rules(r, addr, name, add, err))
		return -1;
	if (mgmt_change_init(&c) ||
	    !(edit = mgmt_change_edit(&c, &m->model, mgmt_str(t, "key", "")))) {
		mgmt_change_fini(&c);
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	}
	snprintf(c.what, sizeof(c.what), "target %s tid=%" PRId32 " rule=%s%s",
		 tgt_op_name(r->h.op), r->h.tid, addr ? addr : name,
		 mgmt_req_list(r, MGMT_LUNS) < r->nargs ? " " MGMT_LUNS : "");
	if ((!addr || !acl_change(edit, "acl", addr, add, err)) &&
	    (!name || !name_change(m, r, edit, name, add, err)))
		rc = mgmt_apply(m, &c, err);
	mgmt_change_fini(&c);
	return rc;
}

int
mgmt_target_bind(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err)
{
	return acl_update(m, r, true, err);
}

int
mgmt_target_unbind(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		   struct mgmt_err *err)
{
	return acl_update(m, r, false, err);
}

static int
target_key(json_t *t, const char *name, const char *value, struct mgmt_err *err)
{
	if (!strcasecmp(name, "state")) {
		if (strcmp(value, "ready") && strcmp(value, "offline"))
			return mgmt_fail(err, TGT_E_INVALID, "state is ready or offline");
		return json_object_set_new(t, "ready", json_boolean(*value == 'r'));
	}
	if (!strcasecmp(name, "alias")) {
		if (strlen(value) > MGMT_ACCOUNT_MAX)
			return mgmt_fail(err, TGT_E_INVALID, "an alias has at most %d bytes",
					 MGMT_ACCOUNT_MAX);
		for (const char *c = value; *c; c++) {
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				return mgmt_fail(err, TGT_E_INVALID,
						 "an alias has no control characters");
		}
		return json_object_set_new(t, "alias", json_string(value))
			   ? mgmt_fail(err, TGT_E_INVALID, "the alias is not valid UTF-8")
			   : 0;
	}
	if (!strcasecmp(name, "alua"))
		return mgmt_alua_set(t, value, err);
	if (!strncasecmp(name, "Redirect", 8))
		return mgmt_fail(err, TGT_E_UNSUPPORTED, "logins cannot be redirected");
	return mgmt_param_set(t, name, value, err);
}

int
mgmt_target_update(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		   struct mgmt_err *err)
{
	json_t *t = mgmt_need_target(m, r, err), *edit;
	struct mgmt_change c;
	const char *value;
	char name[64];
	int rc;

	if (!t)
		return -1;
	if (!mgmt_req_pair(r, name, sizeof(name), &value))
		return mgmt_fail(err, TGT_E_UNSUPPORTED, "update needs a name and a value");
	if (mgmt_change_init(&c) ||
	    !(edit = mgmt_change_edit(&c, &m->model, mgmt_str(t, "key", "")))) {
		mgmt_change_fini(&c);
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	}
	snprintf(c.what, sizeof(c.what), "target update tid=%" PRId32 " %s=%s", r->h.tid, name,
		 value);
	err->tgt = TGT_OK;
	rc = target_key(edit, name, value, err);
	if (rc && err->tgt == TGT_OK)
		mgmt_fail(err, TGT_E_INVALID, "the value is not valid UTF-8");
	if (!rc)
		rc = mgmt_apply(m, &c, err);
	mgmt_change_fini(&c);
	return rc;
}
