/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/conf_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/str.h"
#include "gateway/control/conf_alua.h"
#include "gateway/control/conf_maps.h"
#include "gateway/control/member.h"

enum {
	TGT_INVALID = 17,
	TGT_UNKNOWN_PARAM = 23
};

#define ACL_MAX     4096 /* rules of one target */
#define ACCOUNT_MAX 1024 /* accounts of one target */
#define KV_MAX      64   /* options of one backing store */

/* --- members with a shape of their own --- */

static bool
read_strings_in(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_target *t = obj;

	return member_strings(ctx, name, v, ACCOUNT_MAX, &t->in, &t->nin);
}

static bool
read_discovery_in(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_system *s = obj;

	return member_strings(ctx, name, v, ACCOUNT_MAX, &s->disc_in, &s->ndisc_in);
}

static bool
read_chap(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_system *s = obj;
	size_t i;
	json_t *n;

	if (!json_is_array(v))
		return member_fail(ctx, TGT_INVALID, "%s is not an array", name);
	s->chap_mask = 0;
	json_array_foreach (v, i, n) {
		json_int_t a = json_integer_value(n);

		if (!json_is_integer(n) || a < GW_CHAP_MD5 || a > GW_CHAP_SHA3_256)
			return member_fail(ctx, TGT_INVALID,
					   "%s has an entry that is not 5, 6, 7 or 8", name);
		s->chap_mask |= 1u << a;
	}
	return true;
}

/* Seconds. */
static bool
read_timeout(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_system *s = obj;
	json_int_t sec = json_integer_value(v);

	if (!json_is_integer(v) || sec < 1 || sec > 600)
		return member_fail(ctx, TGT_INVALID, "%s is not a number of seconds within 1..600",
				   name);
	s->login_timeout_ms = (uint32_t)sec * 1000;
	return true;
}

static bool
read_digest(const struct member_ctx *ctx, const char *name, json_t *v, uint8_t *mask)
{
	size_t i;
	json_t *d;

	if (!json_is_array(v) || json_array_size(v) == 0)
		return member_fail(ctx, TGT_INVALID, "%s is not a list of None and CRC32C", name);
	*mask = 0;
	json_array_foreach (v, i, d) {
		const char *s = json_string_value(d);

		if (s && strcmp(s, "None") == 0)
			*mask |= 1;
		else if (s && strcmp(s, "CRC32C") == 0)
			*mask |= 2;
		else
			return member_fail(ctx, TGT_INVALID,
					   "%s has an entry that is neither None nor CRC32C", name);
	}
	return true;
}

static bool
read_header_digest(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	return read_digest(ctx, name, v, &((struct gw_target_params *)obj)->header_digest);
}

static bool
read_data_digest(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	return read_digest(ctx, name, v, &((struct gw_target_params *)obj)->data_digest);
}

static bool
read_params(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
#define NUM(key, field, lo, hi)                                                              \
	{                                                                                    \
		.name = key, .kind = MEMBER_UINT, MEMBER_AT(struct gw_target_params, field), \
		.min = lo, .max = hi                                                         \
	}
	static const struct member table[] = {
	    NUM("MaxRecvDataSegmentLength", max_recv_dsl, 512, 16777215),
	    NUM("MaxXmitDataSegmentLength", max_xmit_dsl, 512, 16777215),
	    NUM("FirstBurstLength", first_burst, 512, 16777215),
	    NUM("MaxBurstLength", max_burst, 512, 16777215),
	    NUM("MaxOutstandingR2T", max_outstanding_r2t, 1, 65535),
	    NUM("DefaultTime2Wait", default_time2wait, 0, 3600),
	    NUM("DefaultTime2Retain", default_time2retain, 0, 3600),
	    NUM("MaxQueueCmd", queue_depth, 1, 1024),
	    NUM("nop_interval", nop_interval, 0, 86400),
	    NUM("nop_count", nop_count, 0, 1000),
	    {.name = "InitialR2T",
	     .kind = MEMBER_BOOL,
	     MEMBER_AT(struct gw_target_params, initial_r2t)},
	    {.name = "ImmediateData",
	     .kind = MEMBER_BOOL,
	     MEMBER_AT(struct gw_target_params, immediate_data)},
	    {.name = "HeaderDigest", .kind = MEMBER_READ, .read = read_header_digest},
	    {.name = "DataDigest", .kind = MEMBER_READ, .read = read_data_digest},
	};
#undef NUM
	return member_read_all(ctx, v, table, GW_ARRAY_LEN(table),
			       &((struct gw_conf_target *)obj)->params);
}

/* Adds n empty rules to the target's list. */
static struct gw_acl *
more_rules(const struct member_ctx *ctx, struct gw_conf_target *t, const char *name, json_t *v)
{
	size_t n = json_array_size(v);
	struct gw_acl *acl;

	if (!json_is_array(v) || n + t->nacl > ACL_MAX) {
		member_fail(ctx, TGT_INVALID, "%s is not a list of at most %d rules", name,
			    ACL_MAX);
		return NULL;
	}
	acl = realloc(t->acl, (t->nacl + n + 1) * sizeof(*acl));
	if (!acl) {
		member_fail(ctx, 2, "out of memory");
		return NULL;
	}
	memset(acl + t->nacl, 0, (n + 1) * sizeof(*acl));
	t->acl = acl;
	return acl + t->nacl;
}

static bool
read_acl(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_target *t = obj;
	struct gw_acl *acl = more_rules(ctx, t, name, v);
	size_t i;
	json_t *rule;

	if (!acl)
		return false;
	json_array_foreach (v, i, rule) {
		const char *text = json_string_value(rule);

		if (!text || !gw_acl_parse_addr(&acl[i], text))
			return member_fail(ctx, TGT_INVALID,
					   "%s: \"%.64s\" is not ALL or ADDRESS[/BITS]", name,
					   text ? text : "");
		t->nacl++;
	}
	return true;
}

static bool
read_acl_names(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_target *t = obj;
	struct gw_acl *acl = more_rules(ctx, t, name, v);
	size_t i;
	json_t *rule;

	if (!acl)
		return false;
	json_array_foreach (v, i, rule) {
		const char *text = json_string_value(rule);

		acl[i].kind = GW_ACL_NAME;
		if (!text || !*text || !gw_str_copy(acl[i].name, sizeof(acl[i].name), text))
			return member_fail(ctx, TGT_INVALID,
					   "%s has an entry that is not an initiator name", name);
		t->nacl++;
	}
	return true;
}

static bool
read_kv(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_lun *l = obj;
	uint32_t n;

	if (!member_strings(ctx, name, v, KV_MAX, &l->kv, &n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!strchr(l->kv[i], '=') || l->kv[i][0] == '=')
			return member_fail(ctx, TGT_INVALID, "%s: \"%.64s\" is not NAME=VALUE",
					   name, l->kv[i]);
	}
	return true;
}

static bool
read_naa(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_lun *l = obj;
	const char *s = json_string_value(v);

	if (!s || !gw_str_unhex(l->scsi.naa, sizeof(l->scsi.naa), s))
		return member_fail(ctx, TGT_INVALID, "%s is not 32 hex digits", name);
	return true;
}

/* -1: as the backend says. */
static bool
read_lbppbe(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < -1 || n > 15)
		return member_fail(ctx, TGT_INVALID, "%s is not within -1..15", name);
	((struct gw_conf_lun *)obj)->scsi.lbppbe = n < 0 ? 0xff : (uint8_t)n;
	return true;
}

/* 0 fixed, 1 descriptor format (SPC-4 4.5). */
static bool
read_sense_format(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > 1)
		return member_fail(ctx, TGT_INVALID, "%s is not 0 or 1", name);
	((struct gw_conf_lun *)obj)->scsi.descriptor_sense = n == 1;
	return true;
}

static bool
read_type(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	const char *type = json_string_value(v);
	struct scsi_lu_conf *s = &((struct gw_conf_lun *)obj)->scsi;

	if (type && strcmp(type, "disk") == 0)
		s->kind = SCSI_KIND_DISK;
	else if (type && strcmp(type, "cd") == 0)
		s->kind = SCSI_KIND_CD;
	else
		return member_fail(ctx, TGT_INVALID, "%s is neither disk nor cd", name);
	return true;
}

/* --- keys --- */

static bool
number(const char *s, const char *end, uint64_t max, uint64_t *out)
{
	char text[24];
	size_t n = (size_t)(end - s);

	if (n == 0 || n >= sizeof(text) || strspn(s, "0123456789") < n)
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return gw_str_u64(text, out) && *out <= max;
}

static bool
parse_key(const char *key, struct gw_conf_key *k)
{
	const char *colon = strchr(key, ':'), *rest = colon ? colon + 1 : "",
		   *slash = strchr(rest, '/');
	size_t n = colon ? (size_t)(colon - key) : 0;
	const char *end = rest + strlen(rest);
	uint64_t tid;

	memset(k, 0, sizeof(*k));
	if (n == 6 && strncmp(key, "target", n) == 0) {
		k->kind = GW_KEY_TARGET;
		if (!number(rest, end, INT32_MAX, &tid))
			return false;
		k->tid = (uint32_t)tid;
		return true;
	}
	if (n == 3 && strncmp(key, "lun", n) == 0) {
		k->kind = GW_KEY_LUN;
		if (!slash || !number(rest, slash, INT32_MAX, &tid) ||
		    !number(slash + 1, end, GW_LUN_MAX, &k->lun))
			return false;
		k->tid = (uint32_t)tid;
		return true;
	}
	k->kind = n == 6 && strncmp(key, "portal", n) == 0 ? GW_KEY_PORTAL : GW_KEY_ACCOUNT;
	if (k->kind == GW_KEY_ACCOUNT && (n != 7 || strncmp(key, "account", n) != 0))
		return false;
	return *rest && gw_str_copy(k->name, sizeof(k->name), rest);
}

/* The key that the members say must be the key that it has. */
static bool
key_agrees(const struct member_ctx *ctx, const char *by_members)
{
	return strcmp(ctx->key, by_members) == 0 ||
	       member_fail(ctx, TGT_INVALID, "its members are those of %s", by_members);
}

/* --- objects --- */

static bool
read_system(const struct member_ctx *ctx, json_t *o, struct gw_conf_change *chg)
{
	static const struct member table[] = {
	    {.name = "key", .kind = MEMBER_SKIP},
	    {.name = "ready", .kind = MEMBER_BOOL, MEMBER_AT(struct gw_conf_system, ready)},
	    {.name = "chap", .kind = MEMBER_READ, .read = read_chap},
	    {.name = "login_timeout", .kind = MEMBER_READ, .read = read_timeout},
	    {.name = "discovery_in", .kind = MEMBER_READ, .read = read_discovery_in},
	    {.name = "discovery_out",
	     .kind = MEMBER_STR_NULL,
	     MEMBER_AT(struct gw_conf_system, disc_out)},
	};
	struct gw_conf_system *s;

	if (chg->system)
		return member_fail(ctx, TGT_INVALID, "it appears twice in one change");
	s = chg->system = calloc(1, sizeof(*s));
	if (!s)
		return member_fail(ctx, 2, "out of memory");
	s->ready = true;
	s->chap_mask =
	    1u << GW_CHAP_MD5 | 1u << GW_CHAP_SHA1 | 1u << GW_CHAP_SHA256 | 1u << GW_CHAP_SHA3_256;
	s->login_timeout_ms = 15000;
	return member_read_all(ctx, o, table, GW_ARRAY_LEN(table), s);
}

static bool
read_transport(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_portal *p = obj;
	const char *s = json_string_value(v);

	if (!s || (strcmp(s, "tcp") != 0 && strcmp(s, "iser") != 0))
		return member_fail(ctx, TGT_INVALID, "%s is neither \"tcp\" nor \"iser\"", name);
	p->transport = *s == 'i' ? GW_TRANSPORT_ISER : GW_TRANSPORT_TCP;
	return true;
}

static bool
read_portal(const struct member_ctx *ctx, json_t *o, struct gw_conf_change *chg)
{
	static const struct member table[] = {
	    {.name = "key", .kind = MEMBER_SKIP},
	    {.name = "host",
	     .kind = MEMBER_STR,
	     .required = true,
	     MEMBER_AT(struct gw_conf_portal, host)},
	    {.name = "port",
	     .kind = MEMBER_UINT,
	     MEMBER_AT(struct gw_conf_portal, port),
	     .min = 1,
	     .max = 65535},
	    {.name = "tpgt",
	     .kind = MEMBER_UINT,
	     MEMBER_AT(struct gw_conf_portal, tpgt),
	     .min = 1,
	     .max = 65535},
	    {.name = "advertise",
	     .kind = MEMBER_STR_NULL,
	     MEMBER_AT(struct gw_conf_portal, advertise)},
	    {.name = "transport", .kind = MEMBER_READ, .read = read_transport},
	};
	struct gw_conf_portal *p = &chg->portal[chg->nportal++];
	char key[96];
	bool v6;

	p->port = 3260;
	p->tpgt = 1;
	if (!member_read_all(ctx, o, table, GW_ARRAY_LEN(table), p))
		return false;
	v6 = strchr(p->host, ':') != NULL;
	snprintf(key, sizeof(key), "portal:%s%s%s:%u%s", v6 ? "[" : "", p->host, v6 ? "]" : "",
		 p->port, p->transport == GW_TRANSPORT_ISER ? "/iser" : "");
	return key_agrees(ctx, key);
}

static bool
read_account(const struct member_ctx *ctx, json_t *o, struct gw_conf_change *chg)
{
	static const struct member table[] = {
	    {.name = "key", .kind = MEMBER_SKIP},
	    {.name = "name",
	     .kind = MEMBER_STR,
	     .required = true,
	     MEMBER_AT(struct gw_account, name)},
	    {.name = "secret",
	     .kind = MEMBER_STR,
	     .required = true,
	     MEMBER_AT(struct gw_account, secret)},
	};
	struct gw_account *a = &chg->account[chg->naccount++];
	char key[sizeof(a->name) + 16];

	if (!member_read_all(ctx, o, table, GW_ARRAY_LEN(table), a))
		return false;
	snprintf(key, sizeof(key), "account:%s", a->name);
	return key_agrees(ctx, key);
}

static void
default_params(struct gw_target_params *p)
{
	*p = (struct gw_target_params){
	    .max_recv_dsl = 262144,
	    .max_xmit_dsl = 262144,
	    .first_burst = 65536,
	    .max_burst = 262144,
	    .max_outstanding_r2t = 1,
	    .default_time2wait = 2,
	    .default_time2retain = 20,
	    .queue_depth = 128,
	    .nop_interval = 15,
	    .nop_count = 3,
	    .immediate_data = true,
	    .header_digest = 3,
	    .data_digest = 3,
	};
}

static bool
read_target(const struct member_ctx *ctx, json_t *o, struct gw_conf_change *chg)
{
	static const struct member table[] = {
	    {.name = "key", .kind = MEMBER_SKIP},
	    {.name = "tid",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct gw_conf_target, tid),
	     .min = 1,
	     .max = INT32_MAX},
	    {.name = "iqn",
	     .kind = MEMBER_STR,
	     .required = true,
	     MEMBER_AT(struct gw_conf_target, iqn)},
	    {.name = "alias", .kind = MEMBER_STR_NULL, MEMBER_AT(struct gw_conf_target, alias)},
	    {.name = "ready", .kind = MEMBER_BOOL, MEMBER_AT(struct gw_conf_target, ready)},
	    {.name = "params", .kind = MEMBER_READ, .read = read_params},
	    {.name = "acl", .kind = MEMBER_READ, .read = read_acl},
	    {.name = "acl_names", .kind = MEMBER_READ, .read = read_acl_names},
	    {.name = "maps", .kind = MEMBER_READ, .read = gw_conf_maps_read},
	    {.name = "in", .kind = MEMBER_READ, .read = read_strings_in},
	    {.name = "out", .kind = MEMBER_STR_NULL, MEMBER_AT(struct gw_conf_target, out)},
	    {.name = "alua", .kind = MEMBER_READ, .read = gw_conf_alua_read},
	};
	struct gw_conf_target *t = &chg->target[chg->ntarget++];
	char key[32];

	t->ready = true;
	default_params(&t->params);
	if (!member_read_all(ctx, o, table, GW_ARRAY_LEN(table), t))
		return false;
	snprintf(key, sizeof(key), "target:%" PRIu32, t->tid);
	return key_agrees(ctx, key);
}

static void
default_lun(struct gw_conf_lun *l)
{
	struct scsi_lu_conf *s = &l->scsi;

	s->kind = SCSI_KIND_DISK;
	s->block_size = 512;
	s->lbppbe = 0xff;
	s->online = true;
	s->write_cache = true;
	snprintf(l->bstype, sizeof(l->bstype), "none");
	snprintf(s->vendor, sizeof(s->vendor), "LICHGATE");
	snprintf(s->product, sizeof(s->product), "VIRTUAL-DISK");
	snprintf(s->rev, sizeof(s->rev), "0001");
}

/* What depends on other members. */
static void
complete_lun(struct gw_conf_lun *l)
{
	struct scsi_lu_conf *s = &l->scsi;

	s->tid = l->tid;
	s->lun = l->lun;
	if (!s->serial[0])
		gw_str_hex(s->serial, s->naa, sizeof(s->naa));
	if (!s->scsi_id[0])
		snprintf(s->scsi_id, sizeof(s->scsi_id), "%-8.8s%04x%04x", s->vendor, l->tid,
			 (unsigned)(l->lun & 0xffff));
}

static bool
read_lun(const struct member_ctx *ctx, json_t *o, struct gw_conf_change *chg)
{
#define FLAG(key, field)                                                                    \
	{                                                                                   \
		.name = key, .kind = MEMBER_BOOL, MEMBER_AT(struct gw_conf_lun, scsi.field) \
	}
#define NUM(key, field, hi)                                                                       \
	{                                                                                         \
		.name = key, .kind = MEMBER_UINT, MEMBER_AT(struct gw_conf_lun, field), .min = 0, \
		.max = hi                                                                         \
	}
#define TEXT(key, field)                                                              \
	{                                                                             \
		.name = key, .kind = MEMBER_STR, MEMBER_AT(struct gw_conf_lun, field) \
	}
	static const struct member table[] = {
	    {.name = "key", .kind = MEMBER_SKIP},
	    {.name = "tid",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct gw_conf_lun, tid),
	     .min = 1,
	     .max = INT32_MAX},
	    {.name = "lun",
	     .kind = MEMBER_UINT,
	     .required = true,
	     MEMBER_AT(struct gw_conf_lun, lun),
	     .min = 0,
	     .max = GW_LUN_MAX},
	    {.name = "type", .kind = MEMBER_READ, .read = read_type},
	    TEXT("bstype", bstype),
	    {.name = "kv", .kind = MEMBER_READ, .read = read_kv},
	    NUM("block_size", scsi.block_size, 4096),
	    {.name = "lbppbe", .kind = MEMBER_READ, .read = read_lbppbe},
	    NUM("la_lba", scsi.lowest_aligned, 0x3fff),
	    {.name = "naa", .kind = MEMBER_READ, .required = true, .read = read_naa},
	    TEXT("scsi_id", scsi.scsi_id),
	    TEXT("serial", scsi.serial),
	    TEXT("vendor", scsi.vendor),
	    TEXT("product", scsi.product),
	    TEXT("rev", scsi.rev),
	    FLAG("removable", removable),
	    FLAG("readonly", readonly),
	    FLAG("online", online),
	    FLAG("thin", thin),
	    NUM("thin_threshold", scsi.thin_threshold, 99),
	    {.name = "sense_format", .kind = MEMBER_READ, .read = read_sense_format},
	    FLAG("swp", swp),
	    FLAG("write_cache", write_cache),
	    NUM("rotation_rate", scsi.rotation_rate, 0xfffe),
	    NUM("opt_xfer_gran", scsi.opt_xfer_gran, 0xffff),
	    NUM("opt_xfer_len", scsi.opt_xfer_len, UINT32_MAX),
	};
#undef FLAG
#undef NUM
#undef TEXT
	struct gw_conf_lun *l = &chg->lun[chg->nlun++];
	char key[48];

	default_lun(l);
	if (!member_read_all(ctx, o, table, GW_ARRAY_LEN(table), l))
		return false;
	if (!l->kv)
		l->kv = calloc(1, sizeof(*l->kv));
	if (!l->kv)
		return member_fail(ctx, 2, "out of memory");
	complete_lun(l);
	snprintf(key, sizeof(key), "lun:%" PRIu32 "/%" PRIu64, l->tid, l->lun);
	return key_agrees(ctx, key);
}

/* --- the change --- */

static bool
read_object(json_t *o, struct gw_conf_change *chg, struct gw_conf_err *err)
{
	const char *key = json_string_value(json_object_get(o, "key"));
	struct member_ctx ctx = {.key = key ? key : "set", .err = err};
	struct gw_conf_key k;

	if (!key)
		return member_fail(&ctx, TGT_INVALID, "an object has no key");
	if (strlen(key) >= sizeof(err->key))
		return member_fail(&(struct member_ctx){.key = "set", .err = err}, TGT_INVALID,
				   "a key is longer than %zu bytes", sizeof(err->key) - 1);
	if (strcmp(key, "system") == 0)
		return read_system(&ctx, o, chg);
	if (!parse_key(key, &k))
		return member_fail(&ctx, TGT_INVALID, "this is not a key");
	switch (k.kind) {
	case GW_KEY_PORTAL:
		return read_portal(&ctx, o, chg);
	case GW_KEY_TARGET:
		return read_target(&ctx, o, chg);
	case GW_KEY_LUN:
		return read_lun(&ctx, o, chg);
	case GW_KEY_ACCOUNT:
		return read_account(&ctx, o, chg);
	}
	return false;
}

static bool
read_set(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_change *chg = obj;
	size_t n = json_array_size(v), i;
	json_t *o;

	if (!json_is_array(v))
		return member_fail(ctx, TGT_INVALID, "%s is not an array", name);
	json_array_foreach (v, i, o) {
		const char *key = json_string_value(json_object_get(o, "key"));

		key = key ? key : "";
		chg->nportal += strncmp(key, "portal:", 7) == 0;
		chg->naccount += strncmp(key, "account:", 8) == 0;
		chg->ntarget += strncmp(key, "target:", 7) == 0;
		chg->nlun += strncmp(key, "lun:", 4) == 0;
	}
	chg->portal = calloc(chg->nportal + 1, sizeof(*chg->portal));
	chg->account = calloc(chg->naccount + 1, sizeof(*chg->account));
	chg->target = calloc(chg->ntarget + 1, sizeof(*chg->target));
	chg->lun = calloc(chg->nlun + 1, sizeof(*chg->lun));
	chg->nportal = chg->naccount = chg->ntarget = chg->nlun = 0;
	if (!chg->portal || !chg->account || !chg->target || !chg->lun)
		return member_fail(ctx, 2, "out of memory");
	for (i = 0; i < n; i++) {
		if (!read_object(json_array_get(v, i), chg, ctx->err))
			return false;
	}
	return true;
}

static bool
read_del(const struct member_ctx *ctx, const char *name, json_t *v, void *obj)
{
	struct gw_conf_change *chg = obj;
	size_t i;
	json_t *k;

	if (!json_is_array(v))
		return member_fail(ctx, TGT_INVALID, "%s is not an array", name);
	chg->del = calloc(json_array_size(v) + 1, sizeof(*chg->del));
	if (!chg->del)
		return member_fail(ctx, 2, "out of memory");
	json_array_foreach (v, i, k) {
		const char *key = json_string_value(k);

		if (!key || !parse_key(key, &chg->del[chg->ndel]))
			return member_fail(ctx, TGT_INVALID, "del: \"%.64s\" is not a key",
					   key ? key : "");
		chg->ndel++;
	}
	return true;
}

bool
gw_conf_json_read(json_t *params, struct gw_conf_change *chg, struct gw_conf_err *err)
{
	static const struct member table[] = {
	    {.name = "full", .kind = MEMBER_BOOL, MEMBER_AT(struct gw_conf_change, full)},
	    {.name = "force", .kind = MEMBER_BOOL, MEMBER_AT(struct gw_conf_change, force)},
	    {.name = "set", .kind = MEMBER_READ, .read = read_set},
	    {.name = "del", .kind = MEMBER_READ, .read = read_del},
	};
	struct member_ctx ctx = {.key = "params", .err = err};

	memset(chg, 0, sizeof(*chg));
	memset(err, 0, sizeof(*err));
	if (member_read_all(&ctx, params, table, GW_ARRAY_LEN(table), chg))
		return true;
	gw_conf_json_free(chg);
	return false;
}

static void
free_strings(char **s, uint32_t n)
{
	for (uint32_t i = 0; s && i < n; i++)
		free(s[i]);
	free(s);
}

void
gw_conf_json_free(struct gw_conf_change *chg)
{
	for (uint32_t i = 0; i < chg->ntarget; i++) {
		free(chg->target[i].acl);
		gw_conf_maps_free(&chg->target[i]);
		free_strings(chg->target[i].in, chg->target[i].nin);
	}
	for (uint32_t i = 0; i < chg->nlun; i++) {
		for (char **kv = chg->lun[i].kv; kv && *kv; kv++)
			free(*kv);
		free(chg->lun[i].kv);
	}
	if (chg->system)
		free_strings(chg->system->disc_in, chg->system->ndisc_in);
	if (chg->account)
		explicit_bzero(chg->account, chg->naccount * sizeof(*chg->account));
	free(chg->system);
	free(chg->portal);
	free(chg->account);
	free(chg->target);
	free(chg->lun);
	free(chg->del);
	memset(chg, 0, sizeof(*chg));
}
