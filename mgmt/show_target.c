/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `--mode target --op show`: the text that tgt-admin, CSI drivers and people's scripts parse, down
 * to the number of spaces; and the same as JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "mgmt/alua.h"
#include "mgmt/lun_params.h"
#include "mgmt/maps.h"
#include "mgmt/ops.h"
#include "mgmt/params.h"

/* What one request needs to know, gathered before the first line is written. */
struct facts {
	json_t *sessions;  /* of all targets shown */
	json_t *luns;      /* "tid/lun": what the gateway says of it */
	json_t *by_target; /* "tid": array of LUN objects, ascending */
};

static json_t *
index_luns(json_t *list)
{
	json_t *index = json_object(), *l;
	char key[64];
	size_t i;

	json_array_foreach (list, i, l) {
		snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
			 mgmt_int(l, "tid", 0), mgmt_int(l, "lun", 0));
		json_object_set(index, key, l);
	}
	json_decref(list);
	return index;
}

static json_t *
group_by(json_t *list)
{
	json_t *groups = json_object(), *o;
	char key[32];
	size_t i;

	json_array_foreach (list, i, o) {
		json_t *group;

		snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT, mgmt_int(o, "tid", 0));
		group = json_object_get(groups, key);
		if (!group) {
			group = json_array();
			json_object_set_new(groups, key, group);
		}
		json_array_append(group, o);
	}
	json_decref(list);
	return groups;
}

static json_t *
group_of(json_t *groups, const json_t *target)
{
	char key[32];

	snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT, mgmt_int(target, "tid", 0));
	return json_object_get(groups, key);
}

static void
facts_get(struct facts *f, struct mgmt *m, int64_t tid)
{
	char prefix[48] = "lun:";

	if (tid)
		snprintf(prefix, sizeof(prefix), "lun:%" PRId64 "/", tid);
	f->sessions = group_by(mgmt_ask_sessions(m, tid));
	f->luns = index_luns(mgmt_ask_luns(m, tid));
	f->by_target = group_by(mgmt_model_list(&m->model, prefix));
}

static void
facts_free(struct facts *f)
{
	json_decref(f->sessions);
	json_decref(f->luns);
	json_decref(f->by_target);
}

static const char *
yes(bool b)
{
	return b ? "Yes" : "No";
}

/* tgt's megabytes: powers of ten, rounded in its own way. */
static uint64_t
megabytes(uint64_t bytes)
{
	uint64_t s = bytes / 512;

	return (s - (s / 625 - 974)) / 1950;
}

struct lun_text {
	json_int_t lun, block;
	const char *type, *id, *serial, *bstype, *path, *flags;
	uint64_t size;
	bool online, removable, prevented, readonly, swp, thin;
};

static void
lun_block(struct mgmt_text *out, const struct lun_text *t)
{
	mgmt_text_addf(out,
		       "        LUN: %" JSON_INTEGER_FORMAT "\n"
		       "            Type: %s\n"
		       "            SCSI ID: %s\n"
		       "            SCSI SN: %s\n"
		       "            Size: %" PRIu64 " MB, Block size: %" JSON_INTEGER_FORMAT "\n",
		       t->lun, t->type, t->id, t->serial, megabytes(t->size), t->block);
	mgmt_text_addf(out,
		       "            Online: %s\n"
		       "            Removable media: %s\n"
		       "            Prevent removal: %s\n"
		       "            Readonly: %s\n"
		       "            SWP: %s\n"
		       "            Thin-provisioning: %s\n",
		       yes(t->online), yes(t->removable), yes(t->prevented), yes(t->readonly),
		       yes(t->swp), yes(t->thin));
	mgmt_text_addf(out,
		       "            Backing store type: %s\n"
		       "            Backing store path: %s\n"
		       "            Backing store flags: %s\n",
		       t->bstype, t->path, t->flags);
}

static void
show_controller(struct mgmt_text *out, const json_t *target)
{
	char id[32], serial[32];
	unsigned tid = (unsigned)mgmt_int(target, "tid", 0);

	snprintf(id, sizeof(id), "IET     %04x0000", tid);
	snprintf(serial, sizeof(serial), "beaf%u0", tid);
	lun_block(out, &(struct lun_text){.block = 1,
					  .type = "controller",
					  .id = id,
					  .serial = serial,
					  .bstype = "null",
					  .path = "None",
					  .flags = "",
					  .online = true});
}

static json_t *
live(const struct facts *f, const json_t *lun)
{
	return json_object_get(f->luns, mgmt_str(lun, "key", "lun:") + strlen("lun:"));
}

static void
show_lun(struct mgmt_text *out, const struct facts *f, const json_t *lun)
{
	const json_t *want = json_object_get(lun, "mgmt"), *now = live(f, lun);
	const char *bstype = mgmt_str(want, "bstype", "None");

	lun_block(out, &(struct lun_text){
			   .lun = mgmt_int(lun, "lun", 0),
			   .block = mgmt_int(lun, "block_size", 512),
			   .type = mgmt_lun_is_cd(lun) ? "cd/dvd" : "disk",
			   .id = mgmt_str(lun, "scsi_id", ""),
			   .serial = mgmt_str(lun, "serial", ""),
			   .bstype = bstype,
			   .path = mgmt_str(want, "path", "None"),
			   .flags = mgmt_str(want, "bsoflags", ""),
			   .size = (uint64_t)mgmt_int(now, "size", mgmt_int(want, "size", 0)),
			   .online = mgmt_bool(now, "online", mgmt_bool(lun, "online", true)),
			   .removable = mgmt_bool(lun, "removable", false),
			   .prevented = mgmt_bool(now, "prevented", false),
			   .readonly = mgmt_bool(lun, "readonly", false),
			   .swp = mgmt_bool(lun, "swp", false),
			   .thin = mgmt_bool(lun, "thin", false),
		       });
}

static void
show_sessions(struct mgmt_text *out, json_t *list)
{
	char host[80];
	json_t *s;
	size_t i;

	json_array_foreach (list, i, s) {
		const char *alias = mgmt_str(s, "alias", "");

		mgmt_host_of(mgmt_str(s, "addr", ""), host, sizeof(host));
		mgmt_text_addf(out,
			       "        I_T nexus: %" JSON_INTEGER_FORMAT "\n"
			       "            Initiator: %s alias: %s\n"
			       "            Connection: %" JSON_INTEGER_FORMAT "\n"
			       "                %sIP Address: %s\n",
			       mgmt_int(s, "sid", 0), mgmt_str(s, "initiator", ""),
			       *alias ? alias : "none", mgmt_int(s, "cid", 0), mgmt_rdma_mark(s),
			       host);
	}
}

static void
show_names(struct mgmt_text *out, const json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach (list, i, v)
		mgmt_text_addf(out, "        %s\n", json_string_value(v));
}

/*
 * Not behind the rules, where it would be easiest to find: all that is behind them is a rule to
 * tgt-admin.
 */
static void
show_maps(struct mgmt_text *out, const json_t *maps)
{
	json_t *map;
	size_t i;

	if (json_array_size(maps))
		mgmt_text_addf(out, "    LUN maps:\n");
	json_array_foreach (maps, i, map) {
		mgmt_text_addf(out, "        %s: ", mgmt_str(map, "name", ""));
		mgmt_map_print(map, out);
		mgmt_text_addf(out, "\n");
	}
}

static void
show_one(struct mgmt_text *out, const struct facts *f, const json_t *t)
{
	json_int_t interval = mgmt_param_int(t, "nop_interval");
	json_t *luns = group_of(f->by_target, t), *lun;
	const char *outgoing = mgmt_str(t, "out", NULL);
	size_t i;

	mgmt_text_addf(out,
		       "Target %" JSON_INTEGER_FORMAT ": %s\n    System information:\n"
		       "        Driver: %s\n        State: %s\n",
		       mgmt_int(t, "tid", 0), mgmt_str(t, "iqn", ""), mgmt_target_lld(t),
		       mgmt_bool(t, "ready", true) ? "ready" : "offline");
	if (interval > 0)
		mgmt_text_addf(out,
			       "        Nop interval: %" JSON_INTEGER_FORMAT
			       "\n        Nop count: %" JSON_INTEGER_FORMAT "\n",
			       interval, mgmt_param_int(t, "nop_count"));
	mgmt_alua_show(t, out);
	mgmt_text_addf(out, "    I_T nexus information:\n");
	show_sessions(out, group_of(f->sessions, t));
	mgmt_text_addf(out, "    LUN information:\n");
	if (!mgmt_bool(json_object_get(t, "mgmt"), "no_controller", false))
		show_controller(out, t);
	json_array_foreach (luns, i, lun)
		show_lun(out, f, lun);
	show_maps(out, json_object_get(t, "maps"));
	mgmt_text_addf(out, "    Account information:\n");
	show_names(out, json_object_get(t, "in"));
	if (outgoing)
		mgmt_text_addf(out, "        %s (outgoing)\n", outgoing);
	mgmt_text_addf(out, "    ACL information:\n");
	show_names(out, json_object_get(t, "acl"));
	show_names(out, json_object_get(t, "acl_names"));
}

static json_t *
lun_json(const struct facts *f, const json_t *lun)
{
	const json_t *want = json_object_get(lun, "mgmt"), *now = live(f, lun);
	json_t *o = mgmt_gateway_form(lun), *v;
	const char *key;

	json_object_del(o, "key");
	json_object_del(o, "kv");
	json_object_set_new(o, "type", json_string(mgmt_lun_is_cd(lun) ? "cd" : "disk"));
	json_object_set(o, "bstype", json_object_get(want, "bstype"));
	json_object_set_new(o, "path", json_string(mgmt_str(want, "path", "")));
	json_object_set_new(o, "bsoflags", json_string(mgmt_str(want, "bsoflags", "")));
	json_object_foreach ((json_t *)(uintptr_t)now, key, v)
		json_object_set(o, key, v);
	return o;
}

static json_t *
target_json(const struct facts *f, const json_t *t)
{
	json_t *luns = group_of(f->by_target, t), *list = json_array(), *lun, *o;
	json_t *sessions = group_of(f->sessions, t);
	size_t i;

	json_array_foreach (luns, i, lun)
		json_array_append_new(list, lun_json(f, lun));
	o = mgmt_gateway_form(t);
	json_object_del(o, "key");
	if (!json_object_get(o, "alua"))
		json_object_set_new(o, "alua", json_array());
	json_object_set_new(o, "driver", json_string(mgmt_target_lld(t)));
	json_object_set_new(o, "params", mgmt_params_json(t));
	json_object_set_new(o, "luns", list);
	if (!json_object_get(o, "maps"))
		json_object_set_new(o, "maps", json_array());
	json_object_set_new(o, "sessions", sessions ? json_incref(sessions) : json_array());
	return o;
}

static void
show_list(struct mgmt *m, json_t *targets, int64_t tid, bool as_json, struct mgmt_text *out)
{
	json_t *list = json_array(), *t;
	struct facts f;
	size_t i;

	facts_get(&f, m, tid);
	json_array_foreach (targets, i, t) {
		if (as_json)
			json_array_append_new(list, target_json(&f, t));
		else
			show_one(out, &f, t);
	}
	if (as_json)
		mgmt_text_json(out, json_pack("{s:O}", "targets", list));
	json_decref(list);
	facts_free(&f);
}

int
mgmt_target_show(struct mgmt *m, const struct mgmt_req *r, struct mgmt_text *out,
		 struct mgmt_err *err)
{
	json_t *targets, *t;

	if (r->h.tid == TGT_NO_TID) {
		targets = mgmt_model_list(&m->model, "target:");
		show_list(m, targets, 0, r->json, out);
		json_decref(targets);
		return 0;
	}
	t = mgmt_need_target(m, r, err);
	if (!t)
		return -1;
	if (!r->json) {
		mgmt_params_show(t, out);
		return 0;
	}
	targets = json_pack("[O]", t);
	show_list(m, targets, r->h.tid, true, out);
	json_decref(targets);
	return 0;
}
