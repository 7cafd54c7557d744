/* SPDX-License-Identifier: BSD-3-Clause */
/* Logical units as the control thread makes and changes them. */
#include <errno.h>
#include <stdlib.h>

#include "gateway/core/stats.h"
#include "gateway/scsi/scsi_priv.h"

int
scsi_init(void)
{
	scsi_ops_init();
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct scsi_core *sc = calloc(1, sizeof(*sc));

		if (!sc)
			return -ENOMEM;
		sc->core = gw_core_at(i);
		gw_list_init(&sc->nexuses);
		gw_list_init(&sc->held);
		gw_list_init(&sc->tmf_waits);
		sc->core->slot[GW_SLOT_SCSI] = sc;
		if (scsi_works_init(sc) || scsi_copy_init(sc))
			return -ENOMEM;
	}
	return 0;
}

void
scsi_fini(void)
{
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at(i);

		if (!core->slot[GW_SLOT_SCSI])
			continue;
		scsi_copy_fini(scsi_core_of(core));
		scsi_works_fini(scsi_core_of(core));
		free(core->slot[GW_SLOT_SCSI]);
		core->slot[GW_SLOT_SCSI] = NULL;
	}
}

/* A backend whose unit is larger than a block would have to read before it writes. */
static bool
fits(const struct scsi_lu_conf *conf, const struct be_dev *dev)
{
	if (conf->kind == SCSI_KIND_CONTROLLER)
		return !dev;
	if (conf->kind == SCSI_KIND_CD &&
	    !(conf->block_size == SCSI_CD_BLOCK && conf->removable && conf->readonly))
		return false;
	if (conf->block_size < 512 || conf->block_size > 4096 ||
	    (conf->block_size & (conf->block_size - 1)))
		return false;
	return !dev || dev->io_align <= conf->block_size;
}

static void
init_cores(struct scsi_lu *lu)
{
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct scsi_lu_core *luc = &lu->core[i];

		luc->view = lu->view;
		luc->lu = lu;
		gw_hook_init(&luc->drain_hook, scsi_lu_drained);
	}
}

int
scsi_lu_new(const struct scsi_lu_conf *conf, struct be_dev *dev, struct scsi_lu **out)
{
	size_t size = sizeof(struct scsi_lu) + gw_ncores() * sizeof(struct scsi_lu_core);
	static _Atomic uint64_t last_id;
	struct scsi_view *v;
	struct scsi_lu *lu;

	if (!fits(conf, dev))
		return -EINVAL;
	lu = aligned_alloc(GW_CACHELINE, gw_round_up(size, GW_CACHELINE));
	if (!lu)
		return -ENOMEM;
	memset(lu, 0, size);
	lu->home = gw_core_at((unsigned)((conf->tid * 31 + conf->lun) % gw_ncores()));
	lu->id = atomic_fetch_add(&last_id, 1) + 1;
	lu->conf = *conf;
	lu->dev = dev;
	lu->size = dev ? be_dev_size(dev) : 0;
	gw_list_init(&lu->changes);
	gw_list_init(&lu->on_held);
	gw_list_init(&lu->prevents);
	gw_list_init(&lu->turns);
	scsi_space_begin(lu);
	v = &lu->views[0];
	v->conf = *conf;
	v->dev = dev;
	v->pool = lu->pool;
	scsi_pr_load(lu, v);
	scsi_view_defaults(v);
	scsi_view_derive(v, lu->size);
	lu->view = v;
	atomic_store_explicit(&lu->bytes, v->nblk << v->shift, memory_order_relaxed);
	init_cores(lu);
	*out = lu;
	return 0;
}

/* Changes. */

struct update {
	struct scsi_change ch;
	const struct scsi_lu_conf *conf;
	struct be_dev *dev;
	uint64_t size;
	bool swapping; /* dev is NULL for a moment only */
};

static bool
identity_differs(const struct scsi_lu_conf *a, const struct scsi_lu_conf *b)
{
	return memcmp(a->naa, b->naa, sizeof(a->naa)) || strcmp(a->scsi_id, b->scsi_id) ||
	       strcmp(a->serial, b->serial) || strcmp(a->vendor, b->vendor) ||
	       strcmp(a->product, b->product) || strcmp(a->rev, b->rev) ||
	       a->removable != b->removable || a->thin != b->thin ||
	       a->rotation_rate != b->rotation_rate || a->opt_xfer_gran != b->opt_xfer_gran ||
	       a->opt_xfer_len != b->opt_xfer_len;
}

static uint32_t
attentions(const struct scsi_view *was, const struct scsi_view *now)
{
	/* A cache that comes or goes with its device is told by 28/00. */
	bool cache = (was->dev || was->swap) && now->dev && was->wce != now->wce;
	bool cd = now->conf.kind == SCSI_KIND_CD;
	bool was_ready = was->medium == MEDIUM_READY || (was->medium == MEDIUM_SWAP && !cd);
	uint32_t ua = 0;

	if (cache || was->d_sense != now->d_sense || was->swp != now->swp ||
	    was->conf.readonly != now->conf.readonly ||
	    (was->counts_space && now->counts_space &&
	     scsi_lbp_threshold(was) != scsi_lbp_threshold(now)))
		ua |= 1u << UA_MODE;
	if (now->medium == MEDIUM_READY && was_ready &&
	    (was->nblk != now->nblk || was->shift != now->shift || was->lbppbe != now->lbppbe ||
	     was->conf.lowest_aligned != now->conf.lowest_aligned))
		ua |= 1u << (cd ? UA_MEDIUM : UA_CAPACITY); /* no disc grows: it is another one */
	if (now->medium == MEDIUM_READY && !was_ready)
		ua |= 1u << UA_MEDIUM;
	if (identity_differs(&was->conf, &now->conf))
		ua |= 1u << UA_INQUIRY;
	return ua;
}

/* Mode parameters that an initiator has set stay, unless the administrator now says otherwise. */
static void
take_conf(struct scsi_view *next, const struct scsi_lu_conf *conf, bool new_dev)
{
	const struct scsi_lu_conf was = next->conf;
	struct scsi_view defaults = *next;

	defaults.conf = *conf;
	scsi_view_defaults(&defaults);
	next->conf = *conf;
	if (new_dev || was.write_cache != conf->write_cache)
		next->wce = defaults.wce;
	if (was.descriptor_sense != conf->descriptor_sense)
		next->d_sense = defaults.d_sense;
	if (was.swp != conf->swp)
		next->swp = defaults.swp;
	if (was.thin_threshold != conf->thin_threshold)
		next->lbpere = defaults.lbpere;
}

/* New settings are shown together with the device. */
static bool
is_swap(const struct scsi_view *v)
{
	return v->swap || v->medium == MEDIUM_READY || v->sanitize;
}

static bool
edit_update(struct scsi_change *ch, struct scsi_view *next)
{
	struct update *u = gw_container(ch, struct update, ch);
	bool new_dev = next->dev != u->dev;

	next->dev = u->dev;
	if (!u->dev)
		scsi_sanitize_no_dev(next, !new_dev && !u->swapping && !u->conf->gone);
	if (u->swapping && !u->dev && !u->conf->gone && is_swap(next)) {
		next->swap = true;
		scsi_view_derive(next, 0);
		return true;
	}
	next->swap = false;
	next->pool = ch->lu->pool;
	if (new_dev || (u->conf->online && !next->conf.online))
		next->ejected = false;
	take_conf(next, u->conf, new_dev);
	scsi_view_derive(next, u->size);
	ch->ua = attentions(ch->lu->view, next);
	return true;
}

static void
update(struct scsi_lu *lu, const struct scsi_lu_conf *conf, struct be_dev *dev, uint64_t size)
{
	struct update u = {.ch = {.lu = lu, .edit = edit_update},
			   .conf = conf,
			   .dev = dev,
			   .size = size,
			   .swapping = lu->swapping};

	scsi_change_sync(&u.ch);
}

int
scsi_lu_update(struct scsi_lu *lu, const struct scsi_lu_conf *conf)
{
	struct scsi_lu_conf next = *conf;
	bool renamed = memcmp(conf->naa, lu->conf.naa, sizeof(conf->naa)) != 0;

	next.kind = lu->conf.kind;
	next.tid = lu->conf.tid;
	next.lun = lu->conf.lun;
	if (!fits(&next, lu->dev))
		return -EINVAL;
	update(lu, &next, lu->dev, lu->size);
	lu->conf = next;
	if (renamed)
		scsi_pr_rename(lu);
	return 0;
}

void
scsi_lu_resize(struct scsi_lu *lu, uint64_t bytes)
{
	if (bytes == lu->size || !lu->dev)
		return;
	lu->size = bytes;
	update(lu, &lu->conf, lu->dev, bytes);
}

/* Devices. */

static void
take_dev(struct scsi_lu *lu)
{
	update(lu, &lu->conf, NULL, 0);
	scsi_lus_drain(&lu, 1);
	be_dev_close(lu->dev);
	lu->dev = NULL;
	lu->size = 0;
}

int
scsi_lu_set_dev(struct scsi_lu *lu, struct be_dev *dev)
{
	bool swapped = lu->swapping;

	if (dev && !fits(&lu->conf, dev))
		return -EINVAL;
	lu->swapping = dev && lu->dev;
	if (lu->dev)
		take_dev(lu);
	lu->swapping = false;
	lu->dev = dev;
	lu->size = dev ? be_dev_size(dev) : 0;
	if (dev)
		scsi_space_begin(lu);
	if (dev || swapped)
		update(lu, &lu->conf, dev, lu->size);
	return 0;
}

void
scsi_lu_swap_dev(struct scsi_lu *lu)
{
	if (!lu->dev)
		return;
	lu->swapping = true;
	take_dev(lu);
}

void
scsi_lu_tick(struct scsi_lu *lu)
{
	scsi_pr_tick(lu);
	scsi_sanitize_tick(lu);
}

void
scsi_lu_hold(struct scsi_lu *lu, bool reserved)
{
	bool want = reserved || !gw_list_empty(&lu->prevents);

	/* It keeps its place: somebody may be walking the list. */
	if (!want)
		gw_list_del(&lu->on_held);
	else if (gw_list_empty(&lu->on_held))
		gw_list_add_tail(&scsi_core_of(lu->home)->held, &lu->on_held);
}

/* Reports. */

const struct scsi_lu_conf *
scsi_lu_conf(const struct scsi_lu *lu)
{
	return &lu->conf;
}

struct be_dev *
scsi_lu_dev(const struct scsi_lu *lu)
{
	return lu->dev;
}

uint64_t
scsi_lu_size(const struct scsi_lu *lu)
{
	return atomic_load_explicit(&lu->bytes, memory_order_relaxed);
}

bool
scsi_lu_ejected(const struct scsi_lu *lu)
{
	return atomic_load_explicit(&lu->ejected, memory_order_relaxed);
}

const char *
scsi_lu_trouble(const struct scsi_lu *lu)
{
	if (!lu->unfenced)
		return NULL;
	return lu->why_unfenced ? lu->why_unfenced
				: "its persistent reservations cannot be read";
}

bool
scsi_lu_prevented(const struct scsi_lu *lu)
{
	return gw_stat_get(lu->nprevent) > 0;
}

void
scsi_lu_stats(const struct scsi_lu *lu, struct scsi_lu_stats *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < gw_ncores(); i++) {
		const struct scsi_lu_core *luc = &lu->core[i];

		out->rd_cmds += gw_stat_get(luc->rd_cmds);
		out->rd_bytes += gw_stat_get(luc->rd_bytes);
		out->wr_cmds += gw_stat_get(luc->wr_cmds);
		out->wr_bytes += gw_stat_get(luc->wr_bytes);
		out->errors += gw_stat_get(luc->errors);
		out->inflight += gw_stat_get(luc->inflight);
	}
}
