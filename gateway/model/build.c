/* SPDX-License-Identifier: BSD-3-Clause */
/* From the control thread's objects to what the cores read: complete, constant, without a way back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/model/model_priv.h"

static int
no_memory(struct gw_conf_err *err)
{
	return conf_fail(err, 2, "", "out of memory");
}

static const struct gw_account *
account_of(const struct conf_state *st, const char *name)
{
	struct m_account key;

	snprintf(key.a.name, sizeof(key.a.name), "%s", name);
	return gw_index_find(&st->account, &key);
}

void
build_snap_free(void *snap)
{
	struct gw_target *t = snap;

	if (!t)
		return;
	m_maps_unbuild(t);
	free(t->lun);
	free(t->acl);
	free(t->in);
	free(t->seen);
	free(t);
}

/* LUN 0 is the controller unless a disk has that number. */
static void
fill_luns(struct gw_target *t, const struct conf_state *st, const struct m_target *m,
	  uint32_t first, uint32_t n)
{
	const struct m_lun *l = n ? st->lun.at[first] : NULL;

	if (!l || l->conf.lun != 0)
		t->lun[t->nlun++] = (struct gw_lun){.lun = 0, .lu = m->ctl};
	for (uint32_t i = 0; i < n; i++) {
		l = st->lun.at[first + i];
		t->lun[t->nlun++] = (struct gw_lun){.lun = l->conf.lun, .lu = l->lu};
	}
}

static void
fill_conf(struct gw_target *t, const struct conf_state *st, const struct m_target *m)
{
	const struct gw_conf_target *c = &m->conf;

	t->tid = c->tid;
	t->uid = m->uid;
	t->alua = m->alua;
	t->ready = c->ready;
	memcpy(t->iqn, c->iqn, sizeof(t->iqn));
	memcpy(t->alias, c->alias, sizeof(t->alias));
	t->params = c->params;
	/* RFC 7143 13.14: FirstBurstLength MUST NOT exceed MaxBurstLength. */
	t->params.first_burst = GW_MIN(t->params.first_burst, t->params.max_burst);
	t->nacl = c->nacl;
	if (c->nacl)
		memcpy(t->acl, c->acl, c->nacl * sizeof(*t->acl));
	for (uint32_t i = 0; i < c->nin; i++)
		t->in[t->nin++] = account_of(st, c->in[i]);
	t->out = c->out[0] ? account_of(st, c->out) : NULL;
}

static struct gw_target *
build_snap(const struct conf_state *st, const struct m_target *m)
{
	struct m_lun from = {.conf.tid = m->conf.tid}, to = {.conf.tid = m->conf.tid + 1};
	uint32_t first = gw_index_lower(&st->lun, &from);
	uint32_t n = gw_index_lower(&st->lun, &to) - first;
	struct gw_target *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->lun = calloc(n + 1, sizeof(*t->lun));
	t->acl = calloc(m->conf.nacl + 1, sizeof(*t->acl));
	t->in = calloc(m->conf.nin + 1, sizeof(*t->in));
	t->seen = calloc(1, sizeof(*t->seen));
	if (!t->lun || !t->acl || !t->in || !t->seen) {
		build_snap_free(t);
		return NULL;
	}
	fill_luns(t, st, m, first, n);
	fill_conf(t, st, m);
	if (!m_maps_build(t, m)) {
		build_snap_free(t);
		return NULL;
	}
	return t;
}

static int
by_target(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct plan_touch *)a)->target;
	uintptr_t y = (uintptr_t)((const struct plan_touch *)b)->target;

	return (x > y) - (x < y);
}

/* A target may be touched by an operation on itself and by several on its LUNs. */
static void
drop_doubles(struct plan *p)
{
	uint32_t n = 0;

	if (p->ntouch)
		qsort(p->touch, p->ntouch, sizeof(*p->touch), by_target);
	for (uint32_t i = 0; i < p->ntouch; i++) {
		const struct m_target *t = p->touch[i].target;

		/* A target that was touched and then deleted, or replaced, is not there any more.
		 */
		if (gw_index_find(&p->next.target, t) != (const void *)t)
			continue;
		if (n == 0 || p->touch[n - 1].target != t)
			p->touch[n++] = p->touch[i];
	}
	p->ntouch = n;
}

int
build_snaps(struct plan *p)
{
	drop_doubles(p);
	for (uint32_t i = 0; i < p->ntouch; i++) {
		p->touch[i].snap = build_snap(&p->next, p->touch[i].target);
		if (!p->touch[i].snap)
			return no_memory(p->err);
	}
	return 0;
}

void
build_model_free(void *model)
{
	struct gw_model *m = model;

	if (!m)
		return;
	free(m->target);
	free(m->by_name);
	free(m->portal);
	free(m->group);
	free(m->disc_in);
	free(m);
}

static bool
alloc_arrays(struct gw_model *m, const struct conf_state *st)
{
	m->target = calloc(st->target.n + 1, sizeof(*m->target));
	m->by_name = calloc(st->target.n + 1, sizeof(*m->by_name));
	m->portal = calloc(st->portal.n + 1, sizeof(*m->portal));
	m->group = calloc(st->portal.n + 1, sizeof(*m->group));
	m->disc_in = calloc(st->sys->ndisc_in + 1, sizeof(*m->disc_in));
	return m->target && m->by_name && m->portal && m->group && m->disc_in;
}

static int
by_tag(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void
fill_groups(struct gw_model *m)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nportal; i++)
		m->group[i] = m->portal[i]->tpgt;
	qsort(m->group, m->nportal, sizeof(*m->group), by_tag);
	for (uint32_t i = 0; i < m->nportal; i++) {
		if (n == 0 || m->group[n - 1] != m->group[i])
			m->group[n++] = m->group[i];
	}
	m->ngroup = n;
}

static void
fill_system(struct gw_model *m, const struct conf_state *st)
{
	const struct gw_conf_system *s = st->sys;

	m->ready = s->ready;
	m->chap_mask = s->chap_mask;
	m->login_timeout_ms = s->login_timeout_ms;
	for (uint32_t i = 0; i < s->ndisc_in; i++)
		m->disc_in[m->ndisc_in++] = account_of(st, s->disc_in[i]);
	m->disc_out = s->disc_out[0] ? account_of(st, s->disc_out) : NULL;
}

struct gw_model *
build_model(const struct plan *p, uint64_t generation)
{
	const struct conf_state *st = &p->next;
	struct gw_model *m = calloc(1, sizeof(*m));

	if (!m || !alloc_arrays(m, st)) {
		build_model_free(m);
		no_memory(p->err);
		return NULL;
	}
	m->generation = generation;
	for (uint32_t i = 0; i < st->target.n; i++) {
		struct m_target *t = st->target.at[i];

		t->pos = i;
		m->target[m->ntarget++] = t->snap;
	}
	/* The new snapshots belong to nobody but the plan until the change is done. */
	for (uint32_t i = 0; i < p->ntouch; i++)
		m->target[p->touch[i].target->pos] = p->touch[i].snap;
	for (uint32_t i = 0; i < st->iqn.n; i++)
		m->by_name[i] = ((const struct m_target *)st->iqn.at[i])->pos;
	for (uint32_t i = 0; i < st->portal.n; i++)
		m->portal[m->nportal++] = &((struct m_portal *)st->portal.at[i])->p;
	fill_groups(m);
	fill_system(m, st);
	return m;
}
