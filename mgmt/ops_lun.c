/* SPDX-License-Identifier: BSD-3-Clause */
/* Logical units: new, delete, update. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/str.h"
#include "mgmt/former.h"
#include "mgmt/lun_params.h"
#include "mgmt/maps.h"
#include "mgmt/names.h"
#include "mgmt/ops.h"

/* The controller that a target has as LUN 0 until someone takes it away to put a disk there. */
static bool
has_controller(const json_t *target)
{
	return !mgmt_bool(json_object_get(target, "mgmt"), "no_controller", false);
}

/* A fresh LUN object with an identity that no other LUN has. */
static json_t *
lun_object(const struct mgmt_req *r, struct mgmt_err *err)
{
	bool cd = r->h.device_type == TGT_TYPE_CD;
	char naa[33], key[MGMT_KEY_MAX], id[32];
	json_t *lun;

	if (!mgmt_naa_new(naa)) {
		mgmt_fail(err, TGT_E_UNKNOWN, "the system's random source failed");
		return NULL;
	}
	snprintf(key, sizeof(key), "lun:%" PRId32 "/%" PRIu64, r->h.tid, r->h.lun);
	snprintf(id, sizeof(id), "LICHGATE%s", naa + 16);
	lun = json_pack("{s:s,s:i,s:I,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:{s:s}}", "key", key,
			"tid", (int)r->h.tid, "lun", (json_int_t)r->h.lun, "block_size",
			cd ? MGMT_CD_BLOCK : 512, "naa", naa, "scsi_id", id, "serial", naa + 12,
			"vendor", "LICHGATE", "product", cd ? "VIRTUAL-CDROM" : "VIRTUAL-DISK",
			"rev", "0001", "removable", cd, "online", 1, "mgmt", "bstype", "rdwr");
	if (cd && lun) {
		json_object_set_new(lun, "type", json_string("cd"));
		json_object_set_new(lun, "readonly", json_true());
	}
	return lun;
}

static int
set_bstype(json_t *lun, const char *bstype, struct mgmt_err *err)
{
	if (!mgmt_bstype(bstype))
		return mgmt_fail(err, TGT_E_INVALID, "there is no backing store type \"%s\"",
				 bstype);
	json_object_set_new(json_object_get(lun, "mgmt"), "bstype", json_string(bstype));
	return 0;
}

static int
set_block_size(json_t *lun, const char *text, struct mgmt_err *err)
{
	uint64_t n;

	if (!gw_str_u64(text, &n) || n < 512 || n > 4096 || (n & (n - 1)))
		return mgmt_fail(err, TGT_E_INVALID,
				 "the block size is 512, 1024, 2048 or 4096, not \"%s\"", text);
	json_object_set_new(lun, "block_size", json_integer((json_int_t)n));
	return 0;
}

static int
set_new_path(json_t *lun, const char *path, struct mgmt_err *err)
{
	json_t *want = json_object_get(lun, "mgmt");
	const char *type = mgmt_bstype(mgmt_str(want, "bstype", ""));

	if (path && mgmt_bstype_has_path(type) && *path != '/')
		return mgmt_fail(err, TGT_E_INVALID, "the path \"%s\" does not begin with /", path);
	if (path && json_object_set_new(want, "path", json_string(path)))
		return mgmt_fail(err, TGT_E_INVALID, "the path is not valid UTF-8");
	return 0;
}

static int
set_medium(json_t *lun, struct mgmt_err *err)
{
	const json_t *want = json_object_get(lun, "mgmt");
	const char *type = mgmt_bstype(mgmt_str(want, "bstype", ""));

	if (!strcmp(type, "mem") && !mgmt_int(want, "size", 0))
		return mgmt_fail(err, TGT_E_INVALID,
				 "a mem logical unit needs its size (--bsopts size=BYTES)");
	if (!mgmt_str(want, "path", NULL) && mgmt_bstype_has_path(type)) {
		/* As in tgt: a slot for a medium that comes later. */
		json_object_set_new(lun, "removable", json_true());
		json_object_set_new(lun, "online", json_false());
	}
	return mgmt_lun_backing(lun, err);
}

/* The options of tgtadm, in the order in which they need each other. */
static const struct {
	const char *name;
	int (*set)(json_t *lun, const char *value, struct mgmt_err *err);
} new_options[] = {{"bstype", set_bstype},
		   {"blocksize", set_block_size},
		   {"bsoflags", mgmt_lun_set_flags},
		   {"bsopts", mgmt_lun_set_opts}};

static bool
is_new_option(const char *name)
{
	for (unsigned i = 0; i < sizeof(new_options) / sizeof(new_options[0]); i++) {
		if (!strcmp(new_options[i].name, name))
			return true;
	}
	return false;
}

/* What is left of the arguments are parameters: none may be dropped in silence. */
static int
set_new_params(json_t *lun, const struct mgmt_req *r, struct mgmt_err *err)
{
	const char *value;
	char name[64];

	for (unsigned i = 0; i < r->nargs; i++) {
		if (!mgmt_req_split(r->arg[i], name, sizeof(name), &value))
			return mgmt_fail(err, TGT_E_INVALID, "\"%s\" is not NAME=VALUE", r->arg[i]);
		if (strcmp(name, "path") && !is_new_option(name) &&
		    mgmt_lun_set(lun, name, value, err))
			return -1;
	}
	return 0;
}

static int
set_new_options(json_t *lun, const struct mgmt_req *r, struct mgmt_err *err)
{
	for (unsigned i = 0; i < sizeof(new_options) / sizeof(new_options[0]); i++) {
		const char *value = mgmt_req_arg(r, new_options[i].name);

		if (value && new_options[i].set(lun, value, err))
			return -1;
	}
	return set_new_path(lun, mgmt_req_arg(r, "path"), err);
}

static int
check_new(const struct mgmt *m, const struct mgmt_req *r, struct mgmt_err *err)
{
	json_t *t = mgmt_need_target(m, r, err), *old;

	if (!t)
		return -1;
	if (r->h.lun > MGMT_LUN_MAX)
		return mgmt_fail(err, TGT_E_INVALID,
				 "a logical unit number is a number from 0 to %d", MGMT_LUN_MAX);
	old = mgmt_model_lun(&m->model, r->h.tid, r->h.lun);
	if (old)
		return mgmt_fail(err, TGT_E_LUN_EXIST, "LUN %" PRIu64 " of tid %" PRId32 " is %s",
				 r->h.lun, r->h.tid,
				 mgmt_str(json_object_get(old, "mgmt"), "path", "without medium"));
	if (!r->h.lun && has_controller(t))
		return mgmt_fail(err, TGT_E_LUN_EXIST,
				 "LUN 0 is the target's controller; delete it with --force first");
	if (r->h.device_type != TGT_TYPE_DISK && r->h.device_type != TGT_TYPE_CD)
		return mgmt_fail(err, TGT_E_UNSUPPORTED, "the device types are disk and cd");
	return 0;
}

int
mgmt_lun_new(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out, struct mgmt_err *err)
{
	struct mgmt_change c;
	json_t *lun;
	int rc = -1;

	if (check_new(m, r, err))
		return -1;
	lun = lun_object(r, err);
	if (!lun)
		return -1;
	if (set_new_options(lun, r, err)) {
		json_decref(lun);
		return -1;
	}
	/* An identity that is given with --params counts more than a former one. */
	if (mgmt_change_init(&c) || mgmt_former_use(m, &c, lun) ||
	    mgmt_change_set(&c, json_incref(lun))) {
		rc = mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	} else if (!set_new_params(lun, r, err) && !mgmt_lun_check(lun, err) &&
		   !set_medium(lun, err)) {
		snprintf(c.what, sizeof(c.what), "logicalunit new tid=%" PRId32 " lun=%" PRIu64,
			 r->h.tid, r->h.lun);
		rc = mgmt_apply(m, &c, err);
	}
	json_decref(lun);
	mgmt_change_fini(&c);
	return rc;
}

/* The LUN of the request, borrowed; NULL with err. */
static json_t *
need_lun(const struct mgmt *m, const struct mgmt_req *r, struct mgmt_err *err)
{
	json_t *t = mgmt_need_target(m, r, err), *lun;

	if (!t)
		return NULL;
	lun = mgmt_model_lun(&m->model, r->h.tid, r->h.lun);
	if (!lun)
		mgmt_fail(err, TGT_E_NO_LUN, "target %" PRId32 " has no LUN %" PRIu64, r->h.tid,
			  r->h.lun);
	return lun;
}

static int
delete_controller(struct mgmt *m, json_t *target, struct mgmt_change *c)
{
	json_t *t = mgmt_change_edit(c, &m->model, mgmt_str(target, "key", "")), *mgmt;

	if (!t)
		return -1;
	mgmt = json_object_get(t, "mgmt");
	if (!mgmt) {
		mgmt = json_object();
		json_object_set_new(t, "mgmt", mgmt);
	}
	return json_object_set_new(mgmt, "no_controller", json_true());
}

/* A LUN that takes the number later is another one: no map may show it unasked. */
static int
delete_lun(struct mgmt *m, json_t *target, const json_t *lun, struct mgmt_change *c)
{
	json_int_t number = mgmt_int(lun, "lun", 0);

	if (mgmt_former_keep(m, c, lun) || mgmt_former_trim(m, c))
		return -1;
	if (mgmt_maps_have(target, number)) {
		json_t *t = mgmt_change_edit(c, &m->model, mgmt_str(target, "key", ""));

		if (!t)
			return -1;
		mgmt_maps_trim(t, number);
	}
	return mgmt_change_del(c, mgmt_str(lun, "key", ""));
}

int
mgmt_lun_delete(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		struct mgmt_err *err)
{
	json_t *t = mgmt_need_target(m, r, err), *lun;
	struct mgmt_change c;
	bool controller;
	int bad, rc;

	if (!t)
		return -1;
	lun = mgmt_model_lun(&m->model, r->h.tid, r->h.lun);
	controller = !r->h.lun && !lun && has_controller(t);
	if (!r->h.lun && (lun || controller) && !r->h.force)
		return mgmt_fail(err, TGT_E_INVALID, "LUN 0 is deleted with --force only");
	if (!controller && !need_lun(m, r, err))
		return -1;
	bad = mgmt_change_init(&c);
	c.force = r->h.force;
	snprintf(c.what, sizeof(c.what), "logicalunit delete tid=%" PRId32 " lun=%" PRIu64,
		 r->h.tid, r->h.lun);
	if (controller)
		bad = bad || delete_controller(m, t, &c);
	else
		bad = bad || delete_lun(m, t, lun, &c);
	rc = bad ? mgmt_fail(err, TGT_E_NOMEM, "out of memory") : mgmt_apply(m, &c, err);
	mgmt_change_fini(&c);
	return rc;
}

static int
update_all(json_t *lun, const struct mgmt_req *r, struct mgmt_err *err)
{
	const char *value;
	char name[64];

	if (!r->nargs)
		return mgmt_fail(err, TGT_E_INVALID, "update needs --params NAME=VALUE,...");
	for (unsigned i = 0; i < r->nargs; i++) {
		if (!mgmt_req_split(r->arg[i], name, sizeof(name), &value))
			return mgmt_fail(err, TGT_E_INVALID, "\"%s\" is not NAME=VALUE", r->arg[i]);
		if (mgmt_lun_set(lun, name, value, err))
			return -1;
	}
	return 0;
}

/* A medium that an initiator has locked, most likely because it is mounted, stays. */
static int
check_locked(struct mgmt *m, const json_t *was, const json_t *edit, struct mgmt_err *err)
{
	json_int_t tid = mgmt_int(was, "tid", 0);
	bool locked = false;
	json_t *luns, *l;
	size_t i;

	if (!mgmt_bool(was, "online", true) || mgmt_bool(edit, "online", true))
		return 0;
	luns = mgmt_ask_luns(m, tid);
	json_array_foreach (luns, i, l)
		locked |= mgmt_int(l, "lun", -1) == mgmt_int(was, "lun", 0) &&
			  mgmt_bool(l, "prevented", false);
	json_decref(luns);
	if (!locked)
		return 0;
	return mgmt_fail(err, TGT_E_PREVENT_REMOVAL,
			 "an initiator has locked the medium; it has to let it go first");
}

int
mgmt_lun_update(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		struct mgmt_err *err)
{
	json_t *lun = need_lun(m, r, err), *edit;
	struct mgmt_change c;
	int rc;

	if (!lun) {
		if (!r->h.lun && err->tgt == TGT_E_NO_LUN)
			mgmt_fail(err, TGT_E_INVALID, "the controller has no parameters");
		return -1;
	}
	if (mgmt_change_init(&c) ||
	    !(edit = mgmt_change_edit(&c, &m->model, mgmt_str(lun, "key", "")))) {
		mgmt_change_fini(&c);
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	}
	snprintf(c.what, sizeof(c.what), "logicalunit update tid=%" PRId32 " lun=%" PRIu64,
		 r->h.tid, r->h.lun);
	rc = update_all(edit, r, err);
	if (!rc)
		rc = mgmt_lun_check(edit, err);
	if (!rc)
		rc = check_locked(m, lun, edit, err);
	if (!rc)
		rc = mgmt_apply(m, &c, err);
	mgmt_change_fini(&c);
	return rc;
}
