/* SPDX-License-Identifier: BSD-3-Clause */
/* What SCSI keeps for an I_T nexus: coming and going. */
#include <errno.h>
#include <stdlib.h>

#include "gateway/scsi/scsi_priv.h"

/* The way out: reservations and preventions are taken back on the LUs' home cores, one by one. */
struct scsi_leave {
	struct scsi_change ch;
	struct gw_nexus *nexus;
	bool started;
};

struct gw_list *
gw_nexus_list(struct gw_core *core)
{
	return &scsi_core_of(core)->nexuses;
}

static void leave(struct gw_hook *hook);

int
scsi_nexus_open(struct gw_nexus *n)
{
	static _Atomic uint64_t last_id;

	n->leave = calloc(1, sizeof(*n->leave));
	if (!n->leave || scsi_itls_open(n)) {
		free(n->leave);
		n->leave = NULL;
		return -ENOMEM;
	}
	n->leave->nexus = n;
	n->id = atomic_fetch_add(&last_id, 1) + 1;
	n->closing = false;
	n->tmfs = 0;
	scsi_alua_open(n);
	scsi_sets_open(n);
	gw_list_init(&n->cmds);
	gw_hook_init(&n->close_hook, leave);
	gw_list_add_tail(&scsi_core_of(n->core)->nexuses, &n->node);
	gw_stat_add(n->core->stats->sessions, 1);
	return 0;
}

/* End. */

void
scsi_nexus_close(struct gw_nexus *n)
{
	BUG(n->closing);
	gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus)
		scsi_cmd_abort(cmd, GW_ABORT_QUIET);
	n->closing = true;
	scsi_nexus_left(n);
}

void
scsi_nexus_left(struct gw_nexus *n)
{
	if (GW_UNLIKELY(n->closing) && gw_list_empty(&n->cmds) && !n->tmfs)
		gw_at_kick(n->core, &n->close_hook);
}

static bool
edit_leave(struct scsi_change *ch, struct scsi_view *next)
{
	struct scsi_leave *l = gw_container(ch, struct scsi_leave, ch);

	if (next->holder != l->nexus->id)
		return false;
	next->holder = 0;
	scsi_lu_hold(ch->lu, false);
	return true;
}

static void leave_visit(struct gw_core *on, struct gw_tour *t);

static void
leave_changed(struct scsi_change *ch)
{
	struct scsi_leave *l = gw_container(ch, struct scsi_leave, ch);

	leave_visit(ch->lu->home, &l->nexus->tour);
}

static void
leave_visit(struct gw_core *on, struct gw_tour *t)
{
	struct gw_nexus *n = gw_container(t, struct gw_nexus, tour);
	struct scsi_change *ch = &n->leave->ch;

	gw_list_each_safe (lu, &scsi_core_of(on)->held, struct scsi_lu, on_held) {
		bool holds = lu->view->holder == n->id;

		scsi_prevent_drop(lu, n->id);
		if (!holds)
			continue;
		*ch = (struct scsi_change){.lu = lu, .edit = edit_leave, .done = leave_changed};
		scsi_change_start(ch);
		return;
	}
	gw_tour_next(t);
}

static void
left(struct gw_tour *t)
{
	struct gw_nexus *n = gw_container(t, struct gw_nexus, tour);

	gw_list_del(&n->node);
	gw_hook_disarm(&n->turn_hook);
	gw_stat_add(n->core->stats->sessions, -1ull);
	free(n->itl);
	free(n->leave);
	n->itl = NULL;
	n->leave = NULL;
	n->closed(n);
}

static void
leave(struct gw_hook *hook)
{
	struct gw_nexus *n = gw_container(hook, struct gw_nexus, close_hook);

	if (n->leave->started)
		return;
	n->leave->started = true;
	gw_tour_start(&n->tour, leave_visit, left);
}
