/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How logical units come to rest and end, many at once: each step is one tour of the cores for all
 * of them.
 */
#include <stdlib.h>

#include "gateway/core/stats.h"
#include "gateway/scsi/scsi_priv.h"

static bool
idle(const struct scsi_lu_core *luc)
{
	return !gw_stat_get(luc->inflight) && !luc->pins;
}

static void
close_chan(struct scsi_lu_core *luc)
{
	if (luc->chan)
		be_chan_close(luc->chan);
	luc->chan = NULL;
}

/* Waits on each core until all these LUs are idle there, and closes their channels. */
struct scsi_drain {
	struct gw_tour tour;
	struct scsi_lu *const *lus;
	size_t n, left; /* left: on the core being visited */
};

static void
drained_one(struct scsi_drain *d)
{
	if (--d->left == 0)
		gw_tour_next(&d->tour);
}

/* From the loop, so that the backend is not closed inside its own done(). */
void
scsi_lu_drained(struct gw_hook *hook)
{
	struct scsi_lu_core *luc = gw_container(hook, struct scsi_lu_core, drain_hook);
	struct scsi_drain *d = luc->drain;

	if (!d || !idle(luc))
		return;
	luc->drain = NULL;
	close_chan(luc);
	drained_one(d);
}

void
scsi_lu_left(struct scsi_lu_core *luc)
{
	if (luc->drain && idle(luc))
		gw_at_kick(scsi_luc_core(luc), &luc->drain_hook);
}

static void
abort_last(struct gw_core *on)
{
	gw_list_each (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node)
		gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus)
			if (cmd->lu && cmd->lu->core[on->id].view->last)
				scsi_cmd_abort(cmd, GW_ABORT_TAS);
}

static void
drain_visit(struct gw_core *on, struct gw_tour *t)
{
	struct scsi_drain *d = gw_container(t, struct scsi_drain, tour);

	abort_last(on);
	d->left = 1;
	for (size_t i = 0; i < d->n; i++) {
		struct scsi_lu_core *luc = &d->lus[i]->core[on->id];

		if (idle(luc) && !luc->chan)
			continue;
		d->left++;
		luc->drain = d;
		gw_at_kick(on, &luc->drain_hook);
	}
	drained_one(d);
}

void
scsi_lus_drain(struct scsi_lu *const *lus, size_t n)
{
	struct scsi_drain d = {.lus = lus, .n = n};

	gw_tour_sync(&d.tour, drain_visit);
}

static bool
edit_last(struct scsi_change *ch, struct scsi_view *next)
{
	next->dev = NULL;
	next->swap = false;
	next->last = true;
	next->conf.gone = true;
	next->holder = 0;
	scsi_view_derive(next, 0);
	scsi_prevent_drop(ch->lu, 0);
	scsi_lu_hold(ch->lu, false);
	return true;
}

static bool
edit_nothing(struct scsi_change *ch, struct scsi_view *next)
{
	return false;
}

/* One change to each of many LUs: a core's are all under way at once. */
struct batch {
	struct gw_tour tour;
	struct scsi_lu *const *lus;
	size_t n, left; /* left: of the core being visited */
	bool (*edit)(struct scsi_change *ch, struct scsi_view *next);
};

static void
batch_one(struct batch *b)
{
	if (--b->left == 0)
		gw_tour_next(&b->tour);
}

static void
batch_changed(struct scsi_change *ch)
{
	batch_one(ch->arg);
}

static void
batch_visit(struct gw_core *on, struct gw_tour *t)
{
	struct batch *b = gw_container(t, struct batch, tour);

	b->left = 1;
	for (size_t i = 0; i < b->n; i++) {
		struct scsi_lu *lu = b->lus[i];

		if (lu->home != on)
			continue;
		b->left++;
		lu->end = (struct scsi_change){
		    .lu = lu, .edit = b->edit, .done = batch_changed, .arg = b};
		scsi_change_start(&lu->end);
	}
	batch_one(b);
}

static void
change_all(struct scsi_lu *const *lus, size_t n,
	   bool (*edit)(struct scsi_change *, struct scsi_view *))
{
	struct batch b = {.lus = lus, .n = n, .edit = edit};

	gw_tour_sync(&b.tour, batch_visit);
}

static void
nothing_visit(struct gw_core *on, struct gw_tour *t)
{
	gw_tour_next(t);
}

void
scsi_lus_free(struct scsi_lu *const *lus, size_t n)
{
	struct gw_tour t;

	if (!n)
		return;
	change_all(lus, n, edit_last);
	scsi_lus_drain(lus, n);
	/* Changes that nexuses on their way out had queued are done when one behind them is ... */
	change_all(lus, n, edit_nothing);
	/* ... and who reported it has left the LU when its core does something else. */
	gw_tour_sync(&t, nothing_visit);
	for (size_t i = 0; i < n; i++) {
		if (lus[i]->dev)
			be_dev_close(lus[i]->dev);
		free((void *)(uintptr_t)lus[i]->view->pr);
		free(lus[i]->why_unfenced);
		scsi_tokens_free(lus[i]);
		free(lus[i]);
	}
}

void
scsi_lu_free(struct scsi_lu *lu)
{
	scsi_lus_free(&lu, 1);
}
