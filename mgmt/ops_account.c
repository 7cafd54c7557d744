/* SPDX-License-Identifier: BSD-3-Clause */
/* CHAP accounts: new, delete, bind, unbind, show. Without a tid the discovery accounts are meant.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/names.h"
#include "mgmt/ops.h"

static int
nomem(struct mgmt_err *err)
{
	return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
}

static int
apply_and_free(struct mgmt *m, struct mgmt_change *c, int bad, struct mgmt_err *err)
{
	int rc = bad ? nomem(err) : mgmt_apply(m, c, err);

	mgmt_change_fini(c);
	return rc;
}

int
mgmt_account_new(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err)
{
	const char *user = mgmt_req_arg(r, "user"), *secret = mgmt_req_arg(r, "password");
	struct mgmt_change c;
	char key[MGMT_KEY_MAX];
	int bad;

	if (!user || !secret)
		return mgmt_fail(err, TGT_E_INVALID, "a new account needs a user and a password");
	if (!mgmt_account_ok(user) || !mgmt_account_ok(secret))
		return mgmt_fail(err, TGT_E_INVALID,
				 "a user and a password have 1 to %d printable ASCII characters "
				 "without space and comma",
				 MGMT_ACCOUNT_MAX);
	if (mgmt_model_account(&m->model, user))
		return mgmt_fail(err, TGT_E_USER_EXIST, "%s", user);
	bad = mgmt_change_init(&c);
	snprintf(key, sizeof(key), "account:%s", user);
	snprintf(c.what, sizeof(c.what), "account new user=%s", user);
	bad = bad || mgmt_change_set(&c, json_pack("{s:s,s:s,s:s}", "key", key, "name", user,
						   "secret", secret));
	return apply_and_free(m, &c, bad, err);
}

/* Takes the account out of one object (a target, or the system) if it is in it. */
static int
forget(struct mgmt *m, struct mgmt_change *c, const json_t *obj, const char *in, const char *out,
       const char *user)
{
	int at = mgmt_array_find(json_object_get(obj, in), user);
	bool is_out = !strcmp(mgmt_str(obj, out, ""), user);
	json_t *edit;

	if (at < 0 && !is_out)
		return 0;
	edit = mgmt_change_edit(c, &m->model, mgmt_str(obj, "key", ""));
	if (!edit)
		return -1;
	if (at >= 0)
		json_array_remove(json_object_get(edit, in), (size_t)at);
	return is_out ? json_object_set_new(edit, out, json_null()) : 0;
}

int
mgmt_account_delete(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		    struct mgmt_err *err)
{
	const char *user = mgmt_req_arg(r, "user");
	json_t *account = user ? mgmt_model_account(&m->model, user) : NULL, *targets, *t;
	struct mgmt_change c;
	size_t i;
	int bad;

	if (!account)
		return mgmt_fail(err, TGT_E_NO_USER, "there is no account %s", user ? user : "");
	bad = mgmt_change_init(&c);
	snprintf(c.what, sizeof(c.what), "account delete user=%s", user);
	targets = mgmt_model_list(&m->model, "target:");
	json_array_foreach (targets, i, t)
		bad = bad || forget(m, &c, t, "in", "out", user);
	json_decref(targets);
	bad = bad || !targets ||
	      forget(m, &c, mgmt_model_get(&m->model, "system"), "discovery_in", "discovery_out",
		     user) ||
	      mgmt_change_del(&c, mgmt_str(account, "key", ""));
	return apply_and_free(m, &c, bad, err);
}

static int
bind_in(json_t *obj, const char *member, const char *user, bool add, struct mgmt_err *err)
{
	json_t *list = json_object_get(obj, member);
	int at = mgmt_array_find(list, user);

	if (add && at >= 0)
		return mgmt_fail(err, TGT_E_USER_EXIST, "%s is bound already", user);
	if (!add && at < 0)
		return mgmt_fail(err, TGT_E_NO_USER, "%s is not bound", user);
	if (add ? json_array_append_new(list, json_string(user))
		: json_array_remove(list, (size_t)at))
		return nomem(err);
	return 0;
}

static int
bind_out(json_t *obj, const char *member, const char *user, bool add, struct mgmt_err *err)
{
	const char *now = mgmt_str(obj, member, NULL);

	if (add && now)
		return mgmt_fail(err, TGT_E_OUTACCOUNT_EXIST, "%s", now);
	if (!add && (!now || strcmp(now, user)))
		return mgmt_fail(err, TGT_E_NO_USER, "%s is not bound as outgoing account", user);
	if (json_object_set_new(obj, member, add ? json_string(user) : json_null()))
		return nomem(err);
	return 0;
}

static int
bind_account(struct mgmt *m, const struct mgmt_req *r, bool add, struct mgmt_err *err)
{
	const char *user = mgmt_req_arg(r, "user");
	bool discovery = r->h.tid == TGT_NO_TID;
	json_t *obj = discovery ? mgmt_model_get(&m->model, "system") : mgmt_need_target(m, r, err);
	json_t *edit;
	struct mgmt_change c;
	int rc;

	if (!obj)
		return -1;
	if (!user || !mgmt_model_account(&m->model, user))
		return mgmt_fail(err, TGT_E_NO_USER, "there is no account %s", user ? user : "");
	if (mgmt_change_init(&c) ||
	    !(edit = mgmt_change_edit(&c, &m->model, mgmt_str(obj, "key", "")))) {
		mgmt_change_fini(&c);
		return nomem(err);
	}
	snprintf(c.what, sizeof(c.what), "account %s tid=%" PRId32 " user=%s", tgt_op_name(r->h.op),
		 r->h.tid, user);
	if (r->h.ac_dir)
		rc = bind_out(edit, discovery ? "discovery_out" : "out", user, add, err);
	else
		rc = bind_in(edit, discovery ? "discovery_in" : "in", user, add, err);
	if (!rc)
		rc = mgmt_apply(m, &c, err);
	mgmt_change_fini(&c);
	return rc;
}

int
mgmt_account_bind(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		  struct mgmt_err *err)
{
	return bind_account(m, r, true, err);
}

int
mgmt_account_unbind(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		    struct mgmt_err *err)
{
	return bind_account(m, r, false, err);
}

int
mgmt_account_show(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		  struct mgmt_err *err)
{
	json_t *list = mgmt_model_list(&m->model, "account:"), *names = json_array(), *a;
	size_t i, n = json_array_size(list);

	json_array_foreach (list, i, a)
		json_array_append(names, json_object_get(a, "name"));
	json_decref(list);
	if (r->json) {
		mgmt_text_json(out, json_pack("{s:o}", "accounts", names));
		return 0;
	}
	if (n)
		mgmt_text_addf(out, "Account list:\n");
	/* The newest first, as tgt lists them. */
	while (n--)
		mgmt_text_addf(out, "    %s\n", json_string_value(json_array_get(names, n)));
	json_decref(names);
	return 0;
}
