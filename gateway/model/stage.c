/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All steps of a change that can fail, in an order that interrupts nothing before it must, each
 * with its way back. Whatever holds a store or a port that the change hands to another object is
 * taken down last.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "gateway/model/model_priv.h"

enum {
	TGT_UNKNOWN = 1,
	TGT_NO_MEMORY = 2,
	TGT_INVALID = 17
};

/* Options of one store but size=. */
#define KV_AS_IT_IS 16

static void
lun_key(const struct m_lun *l, char *out, unsigned size)
{
	snprintf(out, size, "lun:%" PRIu32 "/%" PRIu64, l->conf.tid, l->conf.lun);
}

/*
 * A store that is larger than configured has grown, and whoever asked for it died before the new
 * size was kept, or took it back. Nothing is cut off for that: the store is served as it is.
 */
static int
open_as_it_is(const struct m_lun *l, struct be_dev **dev)
{
	const char *kv[KV_AS_IT_IS + 1];
	char why[400] = "";
	unsigned n = 0;
	int rc;

	for (char *const *s = l->conf.kv; *s; s++) {
		if (strncmp(*s, "size=", 5) == 0)
			continue;
		if (n == KV_AS_IT_IS)
			return -E2BIG;
		kv[n++] = *s;
	}
	kv[n] = NULL;
	rc = be_dev_open(l->conf.bstype, kv, dev, why, sizeof(why));
	if (rc == 0)
		gw_warn("a LUN's store is larger than configured: tid=%u lun=%" PRIu64
			" bytes=%" PRIu64 " size=%s",
			l->conf.tid, l->conf.lun, be_dev_size(*dev), m_kv(l->conf.kv, "size"));
	return rc;
}

int
lun_store_open(const struct m_lun *l, bool is_new, struct be_dev **dev, char *why, unsigned size)
{
	int rc = be_dev_open(l->conf.bstype, (const char *const *)l->conf.kv, dev, why, size);

	if (rc == -EINVAL && !is_new && m_kv(l->conf.kv, "path") && m_kv(l->conf.kv, "size") &&
	    open_as_it_is(l, dev) == 0)
		return 0;
	if (rc && !why[0])
		snprintf(why, size, "the backing store cannot be opened: %s", strerror(-rc));
	return rc;
}

/* In a full change a LUN goes without its store; else the change fails. */
static int
store_failed(struct plan *p, struct m_lun *l, const char *why)
{
	char key[CONF_KEY_MAX];

	if (p->chg->full) {
		/* Not counted before the change is done: lun_trouble() in apply.c. */
		snprintf(l->trouble, sizeof(l->trouble), "%s", why);
		return 0;
	}
	lun_key(l, key, sizeof(key));
	return conf_fail(p->err, TGT_INVALID, key, "%s: %s", key, why);
}

/* --- step 1: open what can be opened beside what is there ---------------------------------------
 */

/* Does this change take away an LU that has the same store? */
static bool
held_by_outgoing(const struct plan *p, const struct m_lun *l)
{
	const char *path = m_kv(l->conf.kv, "path");

	for (uint32_t i = 0; path && i < p->nop; i++) {
		const struct m_lun *old = p->op[i].old;
		const char *other;

		if (p->op[i].kind != OP_LUN || !old || (p->op[i].new && !p->op[i].reopen))
			continue;
		other = m_kv(old->conf.kv, "path");
		if (other && strcmp(other, path) == 0)
			return true;
	}
	return false;
}

static void
classify_lun(struct plan_op *op)
{
	const struct m_lun *new = op->new, *old = op->old;
	struct be_dev *dev;

	if (!new)
		return;
	if (!old) {
		op->reopen = strcmp(new->conf.bstype, "none") != 0;
		return;
	}
	if (m_lun_store_equal(&old->conf, &new->conf, false))
		return;
	dev = scsi_lu_dev(old->lu);
	op->resize = dev && dev->ops->resize && m_kv(new->conf.kv, "size") &&
		     m_lun_store_equal(&old->conf, &new->conf, true);
	op->reopen = !op->resize;
}

/* A store whose unit is larger than a block cannot be written block by block. */
static int
check_fit(struct plan *p, struct plan_op *op)
{
	struct m_lun *l = op->new;
	const struct be_dev *dev = op->reopen || !op->old ? op->dev : scsi_lu_dev(l->lu);
	char why[200], key[CONF_KEY_MAX];

	if (!dev || dev->io_align <= l->conf.scsi.block_size)
		return 0;
	snprintf(why, sizeof(why),
		 "block_size=%" PRIu32 " is less than the %" PRIu32
		 " bytes that the backing store reads and writes at once",
		 l->conf.scsi.block_size, dev->io_align);
	if (!op->dev) {
		lun_key(l, key, sizeof(key));
		return conf_fail(p->err, TGT_INVALID, key, "%s: %s", key, why);
	}
	be_dev_close(op->dev);
	op->dev = NULL;
	return store_failed(p, l, why);
}

static int
open_stores(struct plan *p)
{
	for (uint32_t i = 0; i < p->nop; i++) {
		if (p->op[i].kind == OP_LUN)
			classify_lun(&p->op[i]);
	}
	for (uint32_t i = 0; i < p->nop; i++) {
		struct plan_op *op = &p->op[i];
		struct m_lun *l = op->new;
		char why[400] = "";
		int rc = 0;

		if (op->kind != OP_LUN || !l)
			continue;
		if (op->reopen && strcmp(l->conf.bstype, "none") != 0)
			rc = lun_store_open(l, !p->chg->full, &op->dev, why, sizeof(why));
		if (rc && held_by_outgoing(p, l))
			op->busy = true;
		else if (rc ? store_failed(p, l, why) : check_fit(p, op))
			return -1;
	}
	return 0;
}

/* --- step 2: portals -----------------------------------------------------------------------------
 */

static void
portal_down(struct plan_op *op)
{
	struct m_portal *old = op->old;

	if (old->listening) {
		old->p.xport->unlisten(&old->p);
		old->listening = false;
		op->taken = true;
	}
}

/* Portals on that port which this change takes away make room for one that overlaps them. */
static bool
ports_given_up(struct plan *p, const struct gw_portal *by)
{
	bool any = false;

	for (uint32_t i = 0; i < p->nop; i++) {
		struct m_portal *old = p->op[i].old;

		if (p->op[i].kind != OP_PORTAL || !old || p->op[i].new || !old->listening ||
		    old->p.port != by->port || old->p.xport != by->xport)
			continue;
		portal_down(&p->op[i]);
		any = true;
	}
	return any;
}

static int
listen_one(struct plan *p, struct plan_op *op)
{
	struct m_portal *new = op->new;
	char why[256] = "", key[CONF_KEY_MAX];
	int rc;

	if (op->old)
		portal_down(op);
	rc = new->p.xport->listen(&new->p, why, sizeof(why));
	if (rc && ports_given_up(p, &new->p))
		rc = new->p.xport->listen(&new->p, why, sizeof(why));
	if (rc == 0) {
		new->listening = op->staged = true;
		return 0;
	}
	m_portal_key(&new->p, key, sizeof(key));
	if (!why[0])
		snprintf(why, sizeof(why), "cannot listen: %s", strerror(-rc));
	if (p->chg->full) {
		gw_str_copy(new->trouble, sizeof(new->trouble), why);
		return 0;
	}
	return conf_fail(p->err, TGT_INVALID, key, "%s: %s", key, why);
}

static int
listen_portals(struct plan *p)
{
	for (uint32_t i = 0; i < p->nop; i++) {
		if (p->op[i].kind == OP_PORTAL && p->op[i].new &&listen_one(p, &p->op[i]))
			return -1;
	}
	return 0;
}

static void
portal_up(struct m_portal *old)
{
	char why[256] = "";

	if (old->p.xport->listen(&old->p, why, sizeof(why)) == 0) {
		old->p.xport->accept(&old->p);
		old->listening = true;
	} else {
		portal_trouble(old, why[0] ? why : "cannot listen again");
	}
}

/* --- step 3: stores that move from one LU to another, or change their options --- */

static int
take_stores(struct plan *p, const struct m_lun *for_lun)
{
	const char *path = m_kv(for_lun->conf.kv, "path");

	for (uint32_t i = 0; i < p->nop; i++) {
		struct plan_op *op = &p->op[i];
		struct m_lun *old = op->old;
		const char *other;

		if (op->kind != OP_LUN || !old || op->taken || (op->new && !op->reopen) ||
		    !scsi_lu_dev(old->lu))
			continue;
		other = m_kv(old->conf.kv, "path");
		if (!other || strcmp(other, path) != 0)
			continue;
		if (op->new)
			scsi_lu_swap_dev(old->lu);
		else if (scsi_lu_set_dev(old->lu, NULL))
			return -1;
		op->taken = true;
	}
	return 0;
}

static int
move_stores(struct plan *p)
{
	for (uint32_t i = 0; i < p->nop; i++) {
		struct plan_op *op = &p->op[i];
		char why[400] = "";

		if (!op->busy)
			continue;
		if (take_stores(p, op->new))
			return conf_fail(p->err, TGT_NO_MEMORY, "", "out of memory");
		if (lun_store_open(op->new, !p->chg->full, &op->dev, why, sizeof(why))
			? store_failed(p, op->new, why)
			: check_fit(p, op))
			return -1;
	}
	return 0;
}

static void
give_back_store(struct m_lun *old)
{
	struct be_dev *dev = NULL;
	char why[400] = "";

	if (lun_store_open(old, false, &dev, why, sizeof(why)) != 0) {
		lun_trouble(old, why);
		return;
	}
	if (scsi_lu_set_dev(old->lu, dev) != 0) {
		be_dev_close(dev);
		lun_trouble(old, "the logical unit does not take its backing store back");
	}
}

/* --- step 4: new sizes, in place --- */

static int
resize_store(struct plan *p, struct plan_op *op)
{
	struct m_lun *new = op->new;
	struct be_dev *dev = scsi_lu_dev(new->lu);
	char why[400] = "", key[CONF_KEY_MAX];
	uint64_t bytes;
	int rc;

	lun_key(new, key, sizeof(key));
	if (!gw_str_size(m_kv(new->conf.kv, "size"), &bytes))
		return conf_fail(p->err, TGT_INVALID, key, "%s: size=%s is not a size in bytes",
				 key, m_kv(new->conf.kv, "size"));
	/* As in open_as_it_is(): the rest of the configuration must not wait for this. */
	if (bytes < be_dev_size(dev) && p->chg->full) {
		gw_warn("a LUN's store is larger than configured: tid=%u lun=%" PRIu64
			" bytes=%" PRIu64 " size=%" PRIu64,
			new->conf.tid, new->conf.lun, be_dev_size(dev), bytes);
		return 0;
	}
	if (bytes < be_dev_size(dev))
		return conf_fail(p->err, TGT_INVALID, key,
				 "%s: size=%" PRIu64 " would cut off data, it has %" PRIu64
				 " bytes",
				 key, bytes, be_dev_size(dev));
	if (bytes == be_dev_size(dev))
		return 0;
	rc = dev->ops->resize(dev, bytes, why, sizeof(why));
	if (rc)
		return conf_fail(p->err, TGT_INVALID, key, "%s: %s", key,
				 why[0] ? why : strerror(-rc));
	op->size_was = be_dev_size(dev);
	return 0;
}

static int
resize_stores(struct plan *p)
{
	for (uint32_t i = 0; i < p->nop; i++) {
		if (p->op[i].resize && resize_store(p, &p->op[i]))
			return -1;
	}
	return 0;
}

/* No initiator has seen the new size yet, so nothing is lost with it. */
static void
resize_undo(struct plan_op *op)
{
	const struct m_lun *new = op->new;
	struct be_dev *dev = scsi_lu_dev(new->lu);
	char why[400] = "";

	if (dev->ops->resize(dev, op->size_was, why, sizeof(why)) != 0)
		gw_warn("a LUN's store stays larger than configured: tid=%u lun=%" PRIu64
			" why=\"%s\"",
			new->conf.tid, new->conf.lun, why);
}

/* --- step 5: logical units --- */

static int
new_lu(struct plan *p, struct plan_op *op)
{
	struct m_lun *l = op->new;
	char key[CONF_KEY_MAX];

	l->conf.scsi.gone = l->trouble[0] != '\0';
	if (scsi_lu_new(&l->conf.scsi, op->dev, &l->lu) == 0) {
		op->dev = NULL;
		op->staged = true;
		return 0;
	}
	lun_key(l, key, sizeof(key));
	return conf_fail(p->err, TGT_UNKNOWN, key, "%s: the logical unit cannot be made", key);
}

/* The controller that each target has as LUN 0. Its identity follows from the target's name. */
static void
controller_conf(const struct m_target *t, struct scsi_lu_conf *c)
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */

	memset(c, 0, sizeof(*c));
	c->kind = SCSI_KIND_CONTROLLER;
	c->tid = t->conf.tid;
	c->block_size = 512;
	c->online = true;
	for (const char *s = t->conf.iqn; *s; s++)
		hash = (hash ^ (uint8_t)*s) * 0x100000001b3ull;
	c->naa[0] = 0x60;
	memcpy(c->naa + 8, &hash, sizeof(hash));
	snprintf(c->vendor, sizeof(c->vendor), "LICHGATE");
	snprintf(c->product, sizeof(c->product), "Controller");
	snprintf(c->rev, sizeof(c->rev), "0001");
	snprintf(c->scsi_id, sizeof(c->scsi_id), "LICHGATE%04x0000", t->conf.tid);
	snprintf(c->serial, sizeof(c->serial), "%016" PRIx64, hash);
}

static int
new_controller(struct plan *p, struct plan_op *op)
{
	struct m_target *t = op->new;
	struct scsi_lu_conf c;
	char key[CONF_KEY_MAX];

	controller_conf(t, &c);
	t->alua = scsi_alua_new();
	if (t->alua && scsi_lu_new(&c, NULL, &t->ctl) == 0) {
		op->staged = true;
		/* The first session finds them as they are wanted. */
		if (t->conf.nalua)
			scsi_alua_set(t->alua, t->conf.alua, t->conf.nalua);
		return 0;
	}
	scsi_alua_free(t->alua);
	snprintf(key, sizeof(key), "target:%" PRIu32, t->conf.tid);
	return conf_fail(p->err, TGT_UNKNOWN, key, "%s: its controller cannot be made", key);
}

static int
make_lus(struct plan *p)
{
	for (uint32_t i = 0; i < p->nop; i++) {
		struct plan_op *op = &p->op[i];

		if (op->old || !op->new)
			continue;
		if ((op->kind == OP_LUN && new_lu(p, op)) ||
		    (op->kind == OP_TARGET && new_controller(p, op)))
			return -1;
	}
	return 0;
}

int
stage_all(struct plan *p)
{
	return open_stores(p) || listen_portals(p) || move_stores(p) || resize_stores(p) ||
		       make_lus(p)
		   ? -1
		   : 0;
}

static void
target_unstage(struct m_target *t)
{
	scsi_lu_free(t->ctl);
	scsi_alua_free(t->alua);
}

static void
undo_op(struct plan_op *op)
{
	if (op->kind == OP_PORTAL && op->staged) {
		struct m_portal *new = op->new;

		new->p.xport->unlisten(&new->p);
	}
	if (op->kind == OP_TARGET && op->staged)
		target_unstage(op->new);
	if (op->kind != OP_LUN)
		return;
	if (op->staged)
		scsi_lu_free(((struct m_lun *)op->new)->lu);
	if (op->dev)
		be_dev_close(op->dev);
	if (op->size_was)
		resize_undo(op);
}

void
stage_undo(struct plan *p)
{
	/* Everything new goes before anything old takes its place again. */
	for (uint32_t i = p->nop; i-- > 0;)
		undo_op(&p->op[i]);
	for (uint32_t i = 0; i < p->nop; i++) {
		if (!p->op[i].taken)
			continue;
		if (p->op[i].kind == OP_LUN)
			give_back_store(p->op[i].old);
		else
			portal_up(p->op[i].old);
	}
}
