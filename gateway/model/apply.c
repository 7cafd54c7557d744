/* SPDX-License-Identifier: BSD-3-Clause */
/* One change, all of it or nothing: plan, stage, build, and only then publish and clean up. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/model/model_priv.h"
#include "gateway/scsi/pr_store.h"

/* How long a change waits for the sessions that it has ended. */
#define END_WAIT_MS 3000

struct conf gw_conf_now;

/* --- carrying out: nothing here fails the change --- */

/* 0, or -1 when the LU stays as it was. */
static int
new_settings(struct m_lun *l)
{
	l->conf.scsi.gone = l->trouble[0] != '\0';
	if (scsi_lu_update(l->lu, &l->conf.scsi) == 0)
		return 0;
	gw_err("a LUN's new settings are not in force: tid=%u lun=%" PRIu64, l->conf.tid,
	       l->conf.lun);
	return -1;
}

/* The settings change in between, for the new store may not fit the old block size nor the reverse.
 */
static void
new_store(struct plan_op *op)
{
	struct m_lun *l = op->new;

	if (op->dev)
		scsi_lu_swap_dev(l->lu);
	else
		scsi_lu_set_dev(l->lu, NULL);
	if (new_settings(l) || !op->dev || scsi_lu_set_dev(l->lu, op->dev) == 0) {
		op->dev = scsi_lu_dev(l->lu) ? NULL : op->dev;
	} else {
		snprintf(l->trouble, sizeof(l->trouble),
			 "the logical unit does not take the backing store");
		new_settings(l);
	}
	if (!op->dev)
		return;
	be_dev_close(op->dev);
	op->dev = NULL;
	scsi_lu_set_dev(l->lu, NULL);
}

static void
change_lun(struct plan_op *op)
{
	struct m_lun *l = op->new, *old = op->old;

	if (op->size_was) {
		uint64_t bytes = be_dev_poll_size(scsi_lu_dev(l->lu));

		if (bytes)
			scsi_lu_resize(l->lu, bytes);
	}
	if (op->reopen) {
		new_store(op);
		return;
	}
	if (!l->trouble[0])
		memcpy(l->trouble, old->trouble, sizeof(l->trouble));
	if (!m_lun_scsi_equal(&l->conf.scsi, &old->conf.scsi) || old->conf.scsi.gone)
		new_settings(l);
}

static void
change_target(const struct plan_op *op)
{
	const struct m_target *t = op->new, *old = op->old;

	if (!m_alua_equal(&t->conf, &old->conf))
		scsi_alua_set(t->alua, t->conf.alua, t->conf.nalua);
}

static void
count_degraded(const struct plan_op *op)
{
	const struct m_lun *lo = op->old, *ln = op->new;
	const struct m_portal *po = op->old, *pn = op->new;

	if (op->kind == OP_LUN) {
		gw_conf_now.ndegraded += ln && ln->trouble[0];
		gw_conf_now.ndegraded -= lo && lo->trouble[0];
	} else if (op->kind == OP_PORTAL) {
		gw_conf_now.ndegraded += pn && pn->trouble[0];
		gw_conf_now.ndegraded -= po && po->trouble[0];
	}
}

/* A LUN that goes by its NAA now, be it another one, has the reservations that go by it, too. */
static void
forget_lun(void *lun)
{
	struct m_lun *l = lun;

	if (!gw_index_find(&gw_conf_now.state.naa, l))
		pr_store_forget(l->conf.scsi.naa);
	m_lun_free(l);
}

static void
open_portals(struct plan *p)
{
	for (uint32_t i = 0; i < p->nop; i++) {
		struct m_portal *new = p->op[i].new;

		if (p->op[i].kind == OP_PORTAL && new &&new->listening)
			new->p.xport->accept(&new->p);
	}
}

static void
end_old(struct plan_op *op, struct grave *g)
{
	struct m_portal *p = op->old;
	struct m_target *t = op->old;
	struct m_lun *l = op->old;

	switch (op->kind) {
	case OP_ACCOUNT:
		grave_put(g, m_account_free, op->old);
		break;
	case OP_PORTAL:
		if (!p)
			break;
		if (p->listening)
			p->p.xport->unlisten(&p->p);
		p->listening = false;
		gw_list_add_tail(&gw_conf_now.retired, &p->node);
		break;
	case OP_TARGET:
		if (t && !op->new) {
			grave_put_lu(g, t->ctl);
			grave_put(g, scsi_alua_free, t->alua);
			g->snap[g->nsnap++] = t->snap;
		}
		grave_put(g, m_target_free, t);
		break;
	case OP_LUN:
		if (l && !op->new)
			grave_put_lu(g, l->lu);
		/* At the end of the process nothing is deleted. */
		grave_put(g, gw_conf_now.ending ? m_lun_free : forget_lun, l);
		break;
	}
}

static void
carry_out(struct plan *p, struct gw_model *m, struct grave *g)
{
	struct conf_state was = gw_conf_now.state;
	struct gw_model *old = gw_conf_now.model;

	for (uint32_t i = 0; i < p->ntouch; i++) {
		struct m_target *t = p->touch[i].target;

		if (t->snap)
			g->snap[g->nsnap++] = t->snap;
		t->snap = p->touch[i].snap;
	}
	gw_conf_now.state = p->next;
	gw_conf_now.model = m;
	publish(m);
	open_portals(p);
	build_model_free(old);
	conf_state_fini(&was);
	if (p->sys)
		m_system_free(was.sys);
	for (uint32_t i = 0; i < p->nop; i++) {
		struct plan_op *op = &p->op[i];

		if (op->kind == OP_LUN && op->old && op->new)
			change_lun(op);
		if (op->kind == OP_TARGET && op->old && op->new)
			change_target(op);
		count_degraded(op);
		end_old(op, g);
	}
	grave_dig(g, END_WAIT_MS);
}

static void
log_change(const struct plan *p, const struct gw_model *m)
{
	uint32_t added = 0, gone = 0;

	for (uint32_t i = 0; i < p->nop; i++) {
		added += !p->op[i].old;
		gone += !p->op[i].new;
	}
	gw_info("configuration changed: generation=%" PRIu64 " added=%u changed=%u removed=%u "
		"degraded=%u",
		m->generation, added, p->nop - added - gone, gone, gw_conf_now.ndegraded);
}

static int
refused(struct plan *p)
{
	gw_warn("configuration refused: %s", p->err->text);
	plan_fini(p, false);
	return -1;
}

int
gw_conf_apply(const struct gw_conf_change *chg, struct gw_conf_err *err)
{
	struct gw_model *m = NULL;
	struct grave *g = NULL;
	struct plan p;

	if (plan_make(&p, chg, err))
		return refused(&p);
	if (stage_all(&p) || build_snaps(&p))
		goto out_undo;
	/* Per operation: the object and its LU; per touched or deleted target: a snapshot. */
	g = grave_new(2 * p.nop, p.ntouch + p.nop);
	m = build_model(&p, gw_conf_now.model->generation + 1);
	if (!g || !m) {
		conf_fail(err, 2, "", "out of memory");
		goto out_undo;
	}
	carry_out(&p, m, g);
	log_change(&p, m);
	plan_fini(&p, true);
	return 0;

out_undo:
	if (g) {
		grave_free(g);
	}
	build_model_free(m);
	stage_undo(&p);
	return refused(&p);
}

int
gw_conf_check(const struct gw_conf_change *chg, struct gw_conf_err *err)
{
	struct plan p;
	int rc = plan_make(&p, chg, err);

	plan_fini(&p, false);
	return rc;
}

/* --- reading --- */

uint64_t
gw_conf_generation(void)
{
	return gw_conf_now.model->generation;
}

static const char *
trouble_of(const struct m_lun *l)
{
	return l->trouble[0] ? l->trouble : scsi_lu_trouble(l->lu);
}

const char *
gw_conf_lun_trouble(uint32_t tid, uint64_t lun)
{
	struct m_lun key = {.conf.tid = tid, .conf.lun = lun};
	const struct m_lun *l = gw_index_find(&gw_conf_now.state.lun, &key);

	return l ? trouble_of(l) : NULL;
}

void
gw_conf_each_lun(void (*fn)(const struct gw_conf_lun *lun, struct scsi_lu *lu, void *arg),
		 void *arg)
{
	const struct gw_index *ix = &gw_conf_now.state.lun;

	for (uint32_t i = 0; i < ix->n; i++) {
		const struct m_lun *l = ix->at[i];

		fn(&l->conf, l->lu, arg);
	}
}

void
gw_conf_each_degraded(void (*fn)(const char *key, const char *reason, void *arg), void *arg)
{
	const struct conf_state *st = &gw_conf_now.state;
	char key[CONF_KEY_MAX];

	for (uint32_t i = 0; gw_conf_now.ndegraded && i < st->portal.n; i++) {
		const struct m_portal *p = st->portal.at[i];

		m_portal_key(&p->p, key, sizeof(key));
		if (p->trouble[0])
			fn(key, p->trouble, arg);
	}
	for (uint32_t i = 0; i < st->lun.n; i++) {
		const struct m_lun *l = st->lun.at[i];
		const char *why = trouble_of(l);

		if (!why)
			continue;
		snprintf(key, sizeof(key), "lun:%" PRIu32 "/%" PRIu64, l->conf.tid, l->conf.lun);
		fn(key, why, arg);
	}
}

/* --- life --- */

static int
no_iser_listen(struct gw_portal *p, char *err, unsigned err_size)
{
	snprintf(err, err_size, "this program was built without RDMA");
	return -EPROTONOSUPPORT;
}

/* A stored configuration may have such portals: they wait, like one whose address is missing. */
static const struct gw_xport_ops no_iser = {.name = "iser", .listen = no_iser_listen};

void
gw_conf_xports(const struct gw_xport_ops *tcp, const struct gw_xport_ops *iser)
{
	gw_conf_now.xport[GW_TRANSPORT_TCP] = tcp;
	gw_conf_now.xport[GW_TRANSPORT_ISER] = iser ? iser : &no_iser;
}

int
gw_conf_init(void)
{
	struct gw_conf_change none = {0};
	struct gw_conf_err err;
	struct plan p;

	gw_conf_now.ending = false;
	gw_list_init(&gw_conf_now.graves);
	gw_list_init(&gw_conf_now.retired);
	if (conf_state_init(&gw_conf_now.state))
		return -1;
	if (plan_make(&p, &none, &err) == 0)
		gw_conf_now.model = build_model(&p, 0);
	plan_fini(&p, false);
	for (unsigned i = 0; i < gw_ncores(); i++)
		gw_core_at(i)->slot[GW_SLOT_MODEL] = gw_conf_now.model;
	return gw_conf_now.model ? 0 : -1;
}

void
gw_conf_fini(void)
{
	struct gw_conf_change none = {.full = true, .force = true};
	struct gw_conf_err err;

	gw_conf_now.ending = true;
	if (gw_conf_apply(&none, &err) != 0)
		gw_err("the configuration stays until the end: %s", err.text);
	grave_sweep();
	gw_list_each_safe (p, &gw_conf_now.retired, struct m_portal, node) {
		gw_list_del(&p->node);
		m_portal_free(p);
	}
	conf_state_fini(&gw_conf_now.state);
	m_system_free(gw_conf_now.state.sys);
	/* The cores still point to the model; they read it no more, for nobody is there to log in.
	 */
	build_model_free(gw_conf_now.model);
	gw_conf_now.model = NULL;
}
