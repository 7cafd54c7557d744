/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From "this is wanted" to "this differs": checks each object and all references, and leaves the
 * next state beside the current one. Nothing is opened, nothing current is touched.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/model/model_priv.h"

enum {
	TGT_NO_MEMORY = 2,
	TGT_NO_TARGET = 4,
	TGT_NO_LUN = 5,
	TGT_EXISTS = 9,
	TGT_NO_ACCOUNT = 15,
	TGT_INVALID = 17,
	TGT_ACTIVE = 19
};

/* Bounds on what an administrator can make us hold; far above what one machine serves. */
#define MAX_ACCOUNTS 65536
#define MAX_PORTALS  256
#define MAX_TARGETS  16384
#define MAX_LUNS     65536

#define ROOM_STEP 64

static int
no_memory(struct plan *p)
{
	return conf_fail(p->err, TGT_NO_MEMORY, "", "out of memory");
}

/* --- lists that grow ----------------------------------------------------------------------------
 */

static int
add_op(struct plan *p, int kind, void *old, void *new)
{
	if (p->nop == p->op_room) {
		uint32_t room = p->op_room * 2 + ROOM_STEP;
		void *op = realloc(p->op, room * sizeof(*p->op));

		if (!op)
			return no_memory(p);
		p->op = op;
		p->op_room = room;
	}
	p->op[p->nop] = (struct plan_op){.kind = kind, .old = old, .new = new};
	p->nop++;
	return 0;
}

/* Touching a target twice is sorted out by build_snaps(). */
static int
touch(struct plan *p, struct m_target *t)
{
	if (p->ntouch && p->touch[p->ntouch - 1].target == t)
		return 0;
	if (p->ntouch == p->touch_room) {
		uint32_t room = p->touch_room * 2 + ROOM_STEP;
		void *at = realloc(p->touch, room * sizeof(*p->touch));

		if (!at)
			return no_memory(p);
		p->touch = at;
		p->touch_room = room;
	}
	p->touch[p->ntouch++] = (struct plan_touch){.target = t};
	return 0;
}

/*
 * True if the key was in this change before: an object that it names is new, gone or (in a full
 * change) there already.
 */
static bool
seen_before(const struct plan *p, const struct gw_index *next, const void *key, const void *old)
{
	const void *n = gw_index_find(next, key);

	return p->chg->full ? n != NULL : n != old;
}

static int
twice(struct plan *p, const char *key)
{
	return conf_fail(p->err, TGT_INVALID, key, "%s appears twice in one change", key);
}

/* --- what is set --------------------------------------------------------------------------------
 */

static int
set_account(struct plan *p, const struct gw_account *a)
{
	struct m_account *new, *old;
	char key[CONF_KEY_MAX];

	if (check_account(a, p->err))
		return -1;
	new = m_account_new(a);
	if (!new)
		return no_memory(p);
	old = gw_index_find(&gw_conf_now.state.account, new);
	if (seen_before(p, &p->next.account, new, old)) {
		m_account_free(new);
		snprintf(key, sizeof(key), "account:%s", a->name);
		return twice(p, key);
	}
	if (old && strcmp(old->a.secret, a->secret) == 0) {
		m_account_free(new);
		gw_index_put(&p->next.account, old);
		return 0;
	}
	gw_index_put(&p->next.account, new);
	if (add_op(p, OP_ACCOUNT, old, new)) {
		m_account_free(new);
		return -1;
	}
	return 0;
}

static int
set_portal(struct plan *p, const struct gw_conf_portal *c)
{
	struct m_portal *new, *old;
	char key[CONF_KEY_MAX];

	if (check_portal(c, p->err))
		return -1;
	new = m_portal_new(c);
	if (!new)
		return no_memory(p);
	old = gw_index_find(&gw_conf_now.state.portal, new);
	if (seen_before(p, &p->next.portal, new, old)) {
		m_portal_key(&new->p, key, sizeof(key));
		m_portal_free(new);
		return twice(p, key);
	}
	if (old && m_portal_equal(old, new)) {
		m_portal_free(new);
		gw_index_put(&p->next.portal, old);
		return 0;
	}
	gw_index_put(&p->next.portal, new);
	if (add_op(p, OP_PORTAL, old, new)) {
		m_portal_free(new);
		return -1;
	}
	return 0;
}

static int
place_target(struct plan *p, struct m_target *new, struct m_target *old)
{
	struct m_target *same;
	char key[CONF_KEY_MAX];

	snprintf(key, sizeof(key), "target:%" PRIu32, new->conf.tid);
	if (seen_before(p, &p->next.target, new, old))
		return twice(p, key);
	if (!p->chg->full && old)
		gw_index_del(&p->next.iqn, old);
	same = gw_index_find(&p->next.iqn, new);
	if (same)
		return conf_fail(p->err, TGT_EXISTS, key,
				 "target %" PRIu32 " has the name %s already", same->conf.tid,
				 new->conf.iqn);
	return 0;
}

static int
set_target(struct plan *p, const struct gw_conf_target *c)
{
	struct m_target *new, *old;

	if (check_target(c, p->err))
		return -1;
	new = m_target_new(c);
	if (!new)
		return no_memory(p);
	old = gw_index_find(&gw_conf_now.state.target, new);
	if (place_target(p, new, old)) {
		m_target_free(new);
		return -1;
	}
	if (old && m_target_equal(&old->conf, &new->conf)) {
		m_target_free(new);
		gw_index_put(&p->next.target, old);
		gw_index_put(&p->next.iqn, old);
		return 0;
	}
	if (old) {
		new->uid = old->uid;
		new->ctl = old->ctl;
		new->alua = old->alua;
		new->snap = old->snap;
	} else {
		new->uid = ++gw_conf_now.uids;
	}
	if (add_op(p, OP_TARGET, old, new)) {
		m_target_free(new);
		return -1;
	}
	gw_index_put(&p->next.target, new);
	gw_index_put(&p->next.iqn, new);
	return touch(p, new);
}

static int
place_lun(struct plan *p, struct m_lun *new, struct m_lun *old)
{
	struct m_target key_target = {.conf.tid = new->conf.tid};
	struct m_target *t = gw_index_find(&p->next.target, &key_target);
	struct m_lun *same;
	char key[CONF_KEY_MAX];

	snprintf(key, sizeof(key), "lun:%" PRIu32 "/%" PRIu64, new->conf.tid, new->conf.lun);
	if (!t)
		return conf_fail(p->err, TGT_NO_TARGET, key, "%s: there is no target %" PRIu32, key,
				 new->conf.tid);
	if (seen_before(p, &p->next.lun, new, old))
		return twice(p, key);
	same = gw_index_find(&p->next.naa, new);
	if (same && same != old)
		return conf_fail(p->err, TGT_INVALID, key,
				 "%s: its naa is that of lun:%" PRIu32 "/%" PRIu64, key,
				 same->conf.tid, same->conf.lun);
	return old ? 0 : touch(p, t);
}

/* An LU keeps its device type: one of another type under the same number is another LU. */
static int
replace_lun(struct plan *p, struct m_lun *old)
{
	struct m_target key = {.conf.tid = old->conf.tid};
	struct m_target *t = gw_index_find(&p->next.target, &key);

	return add_op(p, OP_LUN, old, NULL) || touch(p, t) ? -1 : 0;
}

static int
set_lun(struct plan *p, const struct gw_conf_lun *c)
{
	struct m_lun *new = m_lun_new(c), *old;

	if (!new)
		return no_memory(p);
	old = gw_index_find(&gw_conf_now.state.lun, new);
	if (place_lun(p, new, old)) {
		m_lun_free(new);
		return -1;
	}
	if (old && m_lun_equal(&old->conf, &new->conf)) {
		m_lun_free(new);
		gw_index_put(&p->next.lun, old);
		gw_index_put(&p->next.naa, old);
		return 0;
	}
	if (old && old->conf.scsi.kind != new->conf.scsi.kind) {
		if (replace_lun(p, old)) {
			m_lun_free(new);
			return -1;
		}
		old = NULL;
	}
	if (add_op(p, OP_LUN, old, new)) {
		m_lun_free(new);
		return -1;
	}
	if (old)
		new->lu = old->lu;
	gw_index_put(&p->next.lun, new);
	gw_index_put(&p->next.naa, new);
	return 0;
}

/* Identities may move between LUNs in one change: all old ones are given up first. */
static int
check_luns(struct plan *p)
{
	const struct gw_conf_change *chg = p->chg;

	for (uint32_t i = 0; i < chg->nlun; i++) {
		struct m_lun key = {.conf.tid = chg->lun[i].tid, .conf.lun = chg->lun[i].lun};
		struct m_lun *old;

		if (check_lun(&chg->lun[i], p->err))
			return -1;
		old = gw_index_find(&p->next.lun, &key);
		if (!chg->full && old)
			gw_index_del(&p->next.naa, old);
	}
	return 0;
}

static int
set_all(struct plan *p)
{
	const struct gw_conf_change *chg = p->chg;

	for (uint32_t i = 0; i < chg->naccount; i++) {
		if (set_account(p, &chg->account[i]))
			return -1;
	}
	for (uint32_t i = 0; i < chg->nportal; i++) {
		if (set_portal(p, &chg->portal[i]))
			return -1;
	}
	for (uint32_t i = 0; i < chg->ntarget; i++) {
		if (set_target(p, &chg->target[i]))
			return -1;
	}
	if (check_luns(p))
		return -1;
	for (uint32_t i = 0; i < chg->nlun; i++) {
		if (set_lun(p, &chg->lun[i]))
			return -1;
	}
	if (chg->system && check_system(chg->system, p->err))
		return -1;
	if (chg->system || chg->full) {
		p->sys = m_system_new(chg->system);
		if (!p->sys)
			return no_memory(p);
		p->next.sys = p->sys;
	}
	return 0;
}

/* --- what is deleted ----------------------------------------------------------------------------
 */

static int
del_lun(struct plan *p, uint32_t tid, uint64_t lun)
{
	struct m_lun key = {.conf.tid = tid, .conf.lun = lun};
	struct m_target tkey = {.conf.tid = tid}, *t = gw_index_find(&p->next.target, &tkey);
	struct m_lun *l = gw_index_find(&p->next.lun, &key);
	char name[CONF_KEY_MAX];

	if (!l) {
		snprintf(name, sizeof(name), "lun:%" PRIu32 "/%" PRIu64, tid, lun);
		return conf_fail(p->err, TGT_NO_LUN, name, "%s does not exist", name);
	}
	gw_index_del(&p->next.lun, l);
	gw_index_del(&p->next.naa, l);
	return add_op(p, OP_LUN, l, NULL) || (t && touch(p, t)) ? -1 : 0;
}

/* Its LUNs go with it, as in tgt. */
static int
del_target(struct plan *p, uint32_t tid)
{
	struct m_target key = {.conf.tid = tid}, *t = gw_index_find(&p->next.target, &key);
	struct m_lun first = {.conf.tid = tid};
	char name[CONF_KEY_MAX];
	uint32_t i;

	if (!t) {
		snprintf(name, sizeof(name), "target:%" PRIu32, tid);
		return conf_fail(p->err, TGT_NO_TARGET, name, "%s does not exist", name);
	}
	gw_index_del(&p->next.target, t);
	gw_index_del(&p->next.iqn, t);
	while ((i = gw_index_lower(&p->next.lun, &first)) < p->next.lun.n) {
		struct m_lun *l = p->next.lun.at[i];

		if (l->conf.tid != tid)
			break;
		if (del_lun(p, tid, l->conf.lun))
			return -1;
	}
	return add_op(p, OP_TARGET, t, NULL);
}

static int
del_account(struct plan *p, const char *name)
{
	struct m_account key, *a;
	char text[CONF_KEY_MAX];

	snprintf(key.a.name, sizeof(key.a.name), "%s", name);
	a = gw_index_find(&p->next.account, &key);
	if (!a) {
		snprintf(text, sizeof(text), "account:%s", name);
		return conf_fail(p->err, TGT_NO_ACCOUNT, text, "%s does not exist", text);
	}
	gw_index_del(&p->next.account, a);
	return add_op(p, OP_ACCOUNT, a, NULL);
}

/* name is "ADDR:PORT" or "[ADDR]:PORT", with "/iser" behind it for a portal over iSER. */
static int
del_portal(struct plan *p, const char *name)
{
	for (uint32_t i = 0; i < p->next.portal.n; i++) {
		struct m_portal *m = p->next.portal.at[i];
		char key[CONF_KEY_MAX];

		m_portal_key(&m->p, key, sizeof(key));
		if (strcmp(key + strlen("portal:"), name) != 0)
			continue;
		gw_index_del(&p->next.portal, m);
		return add_op(p, OP_PORTAL, m, NULL);
	}
	return conf_fail(p->err, TGT_INVALID, name, "portal:%s does not exist", name);
}

/* LUNs before their targets, so that both may be named. */
static int
del_named(struct plan *p)
{
	const struct gw_conf_key *d = p->chg->del;
	uint32_t n = p->chg->ndel;

	for (uint32_t i = 0; i < n; i++) {
		if (d[i].kind == GW_KEY_LUN && del_lun(p, d[i].tid, d[i].lun))
			return -1;
	}
	for (uint32_t i = 0; i < n; i++) {
		if ((d[i].kind == GW_KEY_TARGET && del_target(p, d[i].tid)) ||
		    (d[i].kind == GW_KEY_ACCOUNT && del_account(p, d[i].name)) ||
		    (d[i].kind == GW_KEY_PORTAL && del_portal(p, d[i].name)))
			return -1;
	}
	return 0;
}

static int
del_absent(struct plan *p, int kind, const struct gw_index *now, const struct gw_index *next)
{
	for (uint32_t i = 0; i < now->n; i++) {
		if (!gw_index_find(next, now->at[i]) && add_op(p, kind, now->at[i], NULL))
			return -1;
	}
	return 0;
}

static int
del_unnamed(struct plan *p)
{
	const struct conf_state *now = &gw_conf_now.state;

	if (del_absent(p, OP_LUN, &now->lun, &p->next.lun) ||
	    del_absent(p, OP_TARGET, &now->target, &p->next.target) ||
	    del_absent(p, OP_PORTAL, &now->portal, &p->next.portal) ||
	    del_absent(p, OP_ACCOUNT, &now->account, &p->next.account))
		return -1;
	for (uint32_t i = 0; i < p->nop; i++) {
		const struct m_lun *l = p->op[i].old;
		struct m_target key, *t;

		if (p->op[i].kind != OP_LUN || p->op[i].new)
			continue;
		key.conf.tid = l->conf.tid;
		t = gw_index_find(&p->next.target, &key);
		if (t && touch(p, t))
			return -1;
	}
	return 0;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static bool
account_differs(const struct plan *p, const char *name, const struct gw_account *seen)
{
	struct m_account key;

	snprintf(key.a.name, sizeof(key.a.name), "%s", name);
	return gw_index_find(&p->next.account, &key) != (const void *)seen;
}

/* Targets whose accounts are others than their snapshot has. */
static int
touch_by_account(struct plan *p)
{
	bool any = false;

	for (uint32_t i = 0; i < p->nop; i++)
		any |= p->op[i].kind == OP_ACCOUNT && p->op[i].old;
	for (uint32_t i = 0; any && i < p->next.target.n; i++) {
		struct m_target *t = p->next.target.at[i];
		bool differs = false;

		if (!t->snap || t->snap->nin != t->conf.nin)
			continue;
		for (uint32_t k = 0; k < t->conf.nin; k++)
			differs |= account_differs(p, t->conf.in[k], t->snap->in[k]);
		differs |= t->conf.out[0] && account_differs(p, t->conf.out, t->snap->out);
		if (differs && touch(p, t))
			return -1;
	}
	return 0;
}

static int
check_account_ref(struct plan *p, const char *key, const char *name)
{
	struct m_account k;

	snprintf(k.a.name, sizeof(k.a.name), "%s", name);
	if (gw_index_find(&p->next.account, &k))
		return 0;
	return conf_fail(p->err, TGT_NO_ACCOUNT, key, "%s: there is no account %s", key, name);
}

static int
check_refs(struct plan *p)
{
	const struct gw_conf_system *s = p->next.sys;
	char key[CONF_KEY_MAX];

	for (uint32_t i = 0; i < p->ntouch; i++) {
		const struct gw_conf_target *t = &p->touch[i].target->conf;

		snprintf(key, sizeof(key), "target:%" PRIu32, t->tid);
		for (uint32_t k = 0; k < t->nin; k++) {
			if (check_account_ref(p, key, t->in[k]))
				return -1;
		}
		if (t->out[0] && check_account_ref(p, key, t->out))
			return -1;
	}
	for (uint32_t i = 0; i < s->ndisc_in; i++) {
		if (check_account_ref(p, "system", s->disc_in[i]))
			return -1;
	}
	return s->disc_out[0] ? check_account_ref(p, "system", s->disc_out) : 0;
}

static uint32_t
count_groups(const struct gw_index *portals)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < portals->n; i++) {
		const struct m_portal *p = portals->at[i];
		uint32_t k = 0;

		while (((const struct m_portal *)portals->at[k])->p.tpgt != p->p.tpgt)
			k++;
		n += k == i;
	}
	return n;
}

static int
check_counts(struct plan *p)
{
	const struct {
		const char *what;
		uint32_t n, max;
	} row[] = {
	    {"accounts", p->next.account.n, MAX_ACCOUNTS},
	    {"portals", p->next.portal.n, MAX_PORTALS},
	    {"portal groups", count_groups(&p->next.portal), GW_GROUPS_MAX},
	    {"targets", p->next.target.n, MAX_TARGETS},
	    {"LUNs", p->next.lun.n, MAX_LUNS},
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(row); i++) {
		if (row[i].n > row[i].max)
			return conf_fail(p->err, TGT_INVALID, "",
					 "%" PRIu32 " %s are more than %" PRIu32, row[i].n,
					 row[i].what, row[i].max);
	}
	return 0;
}

static int
check_sessions(struct plan *p)
{
	char key[CONF_KEY_MAX];

	for (uint32_t i = 0; !p->chg->force && i < p->nop; i++) {
		const struct m_target *t = p->op[i].old;
		uint32_t n;

		if (p->op[i].kind != OP_TARGET || p->op[i].new)
			continue;
		n = sessions_of(t->conf.tid);
		if (!n)
			continue;
		snprintf(key, sizeof(key), "target:%" PRIu32, t->conf.tid);
		return conf_fail(p->err, TGT_ACTIVE, key, "%s has %" PRIu32 " session%s", key, n,
				 n == 1 ? "" : "s");
	}
	return 0;
}

int
plan_make(struct plan *p, const struct gw_conf_change *chg, struct gw_conf_err *err)
{
	memset(p, 0, sizeof(*p));
	memset(err, 0, sizeof(*err));
	p->chg = chg;
	p->err = err;
	if (!conf_state_copy(&p->next, &gw_conf_now.state, !chg->full, chg))
		return no_memory(p);
	if (chg->full && chg->ndel)
		return conf_fail(err, TGT_INVALID, "", "a full change deletes nothing by name");
	if (del_named(p) || set_all(p) || (chg->full && del_unnamed(p)) || touch_by_account(p))
		return -1;
	return check_refs(p) || check_counts(p) || check_sessions(p) ? -1 : 0;
}

void
plan_fini(struct plan *p, bool done)
{
	for (uint32_t i = 0; !done && i < p->nop; i++) {
		static void (*const dispose[])(void *) = {
		    [OP_ACCOUNT] = m_account_free,
		    [OP_PORTAL] = m_portal_free,
		    [OP_TARGET] = m_target_free,
		    [OP_LUN] = m_lun_free,
		};

		dispose[p->op[i].kind](p->op[i].new);
	}
	if (!done) {
		m_system_free(p->sys);
		conf_state_fini(&p->next);
	}
	for (uint32_t i = 0; !done && i < p->ntouch; i++)
		build_snap_free(p->touch[i].snap);
	free(p->op);
	free(p->touch);
}
