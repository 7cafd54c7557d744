/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Brings a new model round all cores, and buries the old snapshots when the last nexus that refers
 * to one is gone. A nexus goes on with its target's new snapshot; if the target is gone, so is the
 * session, but not at once: its commands may still be in a backend.
 */
#include <stdlib.h>
#include <time.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/model/model_priv.h"

struct round {
	struct gw_tour tour;
	struct gw_model *model; /* NULL: only look */
	uint32_t epoch;
};

/* True if n has (now) the snapshot t of its own target. */
static bool
retarget(struct gw_nexus *n, const struct gw_target *t)
{
	if (!t || t->uid != n->target->uid) {
		n->xport->close(n, GW_WHY_TARGET_GONE);
		return false;
	}
	if (scsi_nexus_retarget(n, t) != 0) {
		gw_log_limited(GW_LOG_ERR,
			       "session closed, out of memory: target=%s initiator=%s peer=%s",
			       t->iqn, n->initiator, n->peer);
		n->xport->close(n, GW_WHY_ADMIN);
		return false;
	}
	n->target = t;
	return true;
}

static void
visit(struct gw_core *core, struct gw_tour *tour)
{
	struct round *r = gw_container(tour, struct round, tour);
	const struct gw_model *m = r->model;

	if (m)
		core->slot[GW_SLOT_MODEL] = r->model;
	else
		m = gw_model_of(core);
	gw_list_each_safe (n, gw_nexus_list(core), struct gw_nexus, node) {
		const struct gw_target *t;

		if (!n->target)
			continue;
		t = gw_target_by_tid(m, n->target->tid);
		if (t == n->target)
			continue;
		if (!r->model || n->closing || !retarget(n, t))
			*n->target->seen = r->epoch;
	}
	gw_tour_next(tour);
}

static void
go_round(struct gw_model *m)
{
	struct round r = {.model = m, .epoch = ++gw_conf_now.epoch};

	gw_tour_sync(&r.tour, visit);
}

void
publish(struct gw_model *m)
{
	go_round(m);
}

/* --- graves --------------------------------------------------------------------------------------
 */

struct grave *
grave_new(uint32_t items, uint32_t snaps)
{
	struct grave *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	gw_list_init(&g->node);
	g->room = items;
	g->item = calloc(items + 1, sizeof(*g->item));
	g->lu = calloc(items + 1, sizeof(struct scsi_lu *));
	g->snap = calloc(snaps + 1, sizeof(struct gw_target *));
	if (g->item && g->lu && g->snap)
		return g;
	grave_free(g);
	return NULL;
}

void
grave_free(struct grave *g)
{
	free(g->item);
	free(g->lu);
	free(g->snap);
	free(g);
}

void
grave_put_lu(struct grave *g, struct scsi_lu *lu)
{
	BUG(g->nlu == g->room);
	g->lu[g->nlu++] = lu;
}

void
grave_put(struct grave *g, void (*bury)(void *), void *body)
{
	if (!body)
		return;
	BUG(g->nitem == g->room);
	g->item[g->nitem].bury = bury;
	g->item[g->nitem++].body = body;
}

static bool
holds_target(const struct grave *g, uint64_t uid)
{
	for (uint32_t i = 0; i < g->nsnap; i++) {
		if (g->snap[i]->uid == uid)
			return true;
	}
	return false;
}

/*
 * By what the last tour has seen. A session that is closing keeps its snapshot through later changes,
 * and that names LUs which those have taken away: they wait for the older graves of their target.
 */
static bool
visited(const struct grave *g)
{
	gw_list_each (old, &gw_conf_now.graves, struct grave, node) {
		for (uint32_t i = 0; i < old->nsnap; i++) {
			const struct gw_target *t = old->snap[i];

			if (*t->seen == gw_conf_now.epoch && holds_target(g, t->uid))
				return true;
		}
		if (old == g)
			break;
	}
	return false;
}

static void
fill_in(struct grave *g)
{
	gw_list_del(&g->node);
	scsi_lus_free(g->lu, g->nlu);
	for (uint32_t i = 0; i < g->nitem; i++)
		g->item[i].bury(g->item[i].body);
	for (uint32_t i = 0; i < g->nsnap; i++)
		build_snap_free(g->snap[i]);
	grave_free(g);
}

void
grave_dig(struct grave *g, uint32_t ms)
{
	struct timespec pause = {.tv_nsec = 1000000};

	gw_list_add_tail(&gw_conf_now.graves, &g->node);
	for (uint32_t waited = 0; visited(g) && waited < ms; waited++) {
		nanosleep(&pause, NULL);
		go_round(NULL);
	}
	if (!visited(g))
		fill_in(g);
}

void
grave_sweep(void)
{
	if (gw_list_empty(&gw_conf_now.graves))
		return;
	go_round(NULL);
	gw_list_each_safe (g, &gw_conf_now.graves, struct grave, node) {
		if (!visited(g))
			fill_in(g);
	}
}
