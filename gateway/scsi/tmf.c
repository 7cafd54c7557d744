/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Task management (SAM-5 7, RFC 7143 4.2.3). A function marks the commands that it ends, on one
 * core or all of them; a marked command that a backend holds is waited for, because until it comes
 * back it can still reach the medium. Then resets put the LUs' state back, and the function is
 * done.
 */
#include <stdlib.h>

#include "gateway/core/stats.h"
#include "gateway/scsi/copy_priv.h"
#include "gateway/scsi/pr_priv.h"

/* What PREEMPT AND ABORT is here, beside enum gw_tmf_fn. */
#define PREEMPT 0xff

/*
 * A reset's own memory. Of the target's LUNs, one is reset at a time. Where a map shows the nexus
 * less than all of them the rest is not its to reset: `some`, those of id[].
 */
struct scsi_reset {
	struct scsi_change ch;
	struct gw_tmf *tmf;
	struct gw_tour close;
	uint32_t tid;
	uint64_t nexus;
	bool some;
	uint32_t n;
	uint64_t id[]; /* scsi_lu.id, ascending */
};

static bool
is_target_reset(const struct gw_tmf *tmf)
{
	return tmf->fn == GW_TMF_TARGET_WARM_RESET || tmf->fn == GW_TMF_TARGET_COLD_RESET;
}

static int
cmp_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Any core: whether a TARGET RESET is one of that LU. NULL: of a command that names none. */
static bool
is_reached(const struct scsi_reset *r, const struct scsi_lu *lu)
{
	return !r->some || (lu && bsearch(&lu->id, r->id, r->n, sizeof(lu->id), cmp_id));
}

/* Marking. */

void
scsi_cmd_abort(struct gw_cmd *cmd, enum gw_abort how)
{
	struct gw_nexus *n = cmd->nexus;

	if (cmd->aborted)
		return;
	/* It may be at the LU's home core, which looks. */
	__atomic_store_n(&cmd->aborted, (uint8_t)how, __ATOMIC_RELAXED);
	cmd->abort_seq = ++scsi_core_of(n->core)->abort_seq;
	gw_stat_add(n->core->stats->cmds_aborted, 1);
	if (cmd->state != GW_CMD_NEW)
		return;
	cmd->state = GW_CMD_DONE;
	cmd->status = SAM_TASK_ABORTED;
	gw_list_del(&cmd->on_nexus);
	scsi_set_leave(cmd);
	n->xport->respond(cmd);
	scsi_nexus_left(n);
}

/*
 * Their reservation commands neither reach the medium nor wait: of two that preempt each other none
 * may wait for the other. They find themselves unregistered when their turn comes.
 */
static bool
is_preempted(const struct gw_tmf *tmf, const struct gw_cmd *cmd)
{
	return cmd->lu == tmf->lu && cmd != tmf->task && cmd->op->res_class != RES_PR &&
	       pr_find(tmf->preempted, cmd->nexus);
}

/* pass keeps the target's number. */
static bool
concerns(const struct gw_tmf *tmf, const struct gw_cmd *cmd)
{
	switch (tmf->fn) {
	case GW_TMF_ABORT_TASK:
		return cmd == tmf->task;
	case GW_TMF_ABORT_TASK_SET:
	case GW_TMF_CLEAR_TASK_SET:
	case GW_TMF_QUERY_TASK_SET:
		return cmd->lu == tmf->lu && cmd->nexus == tmf->nexus;
	case GW_TMF_LU_RESET:
		return cmd->lu == tmf->lu;
	case PREEMPT:
		return is_preempted(tmf, cmd);
	default:
		return cmd->nexus->target->tid == tmf->pass && is_reached(tmf->reset, cmd->lu);
	}
}

static void
raise_attentions(const struct gw_tmf *tmf, struct gw_nexus *n, bool cleared)
{
	struct scsi_itl *itl;

	if (is_target_reset(tmf)) {
		for (uint32_t i = 0; n->target->tid == tmf->pass && i < n->nitl; i++)
			if (is_reached(tmf->reset, n->itl[i].lu))
				scsi_ua_raise(&n->itl[i], 1u << UA_BUS_RESET);
		return;
	}
	itl = scsi_itl_of(n, tmf->lu);
	if (!itl)
		return;
	if (tmf->fn == GW_TMF_LU_RESET)
		scsi_ua_raise(itl, 1u << UA_LU_RESET);
	else if (cleared && n != tmf->nexus) /* TAS is 0 (SAM-5 5.14.6) */
		scsi_ua_raise(itl, 1u << UA_CLEARED);
}

static void
mark_visit(struct gw_core *on, struct gw_tour *t)
{
	struct gw_tmf *tmf = gw_container(t, struct gw_tmf, tour);

	gw_list_each_safe (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node) {
		bool any = false;

		gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus) {
			if (!concerns(tmf, cmd))
				continue;
			any = true;
			scsi_cmd_abort(cmd, GW_ABORT_QUIET);
		}
		raise_attentions(tmf, n, any);
	}
	gw_tour_next(t);
}

/* Waiting. */

static bool
is_local(const struct gw_tmf *tmf)
{
	return tmf->fn == GW_TMF_ABORT_TASK || tmf->fn == GW_TMF_ABORT_TASK_SET ||
	       tmf->fn == GW_TMF_CLEAR_TASK_SET;
}

static void finish(struct gw_tmf *tmf, enum gw_tmf_rsp rsp);

static void
core_is_clear(struct gw_tmf *tmf)
{
	if (is_local(tmf))
		finish(tmf, GW_TMF_COMPLETE);
	else
		gw_tour_next(&tmf->tour);
}

/*
 * A copy that was sent to another LU goes on when this one is reset, and finds the reservation when
 * this one is taken from it; but what it was writing here just then belongs to the time before.
 */
static bool
concerns_write(const struct gw_tmf *tmf, const struct scsi_copy *c)
{
	const struct scsi_lu *lu = c->writes ? c->side[COPY_DST].luc->lu : NULL;

	if (lu && is_target_reset(tmf))
		return tmf->reset->some && is_reached(tmf->reset, lu);
	if (!lu || lu != tmf->lu)
		return false;
	return tmf->fn == GW_TMF_LU_RESET ||
	       (tmf->fn == PREEMPT && pr_find(tmf->preempted, c->cmd->nexus));
}

/* Waits for those aborted up to now; what later functions abort is their business. */
static void
wait_on(struct scsi_core *sc, struct gw_tmf *tmf)
{
	tmf->left = 0;
	tmf->seq = sc->abort_seq;
	gw_list_each (n, &sc->nexuses, struct gw_nexus, node)
		gw_list_each (cmd, &n->cmds, struct gw_cmd, on_nexus)
			tmf->left += cmd->aborted && concerns(tmf, cmd);
	gw_list_each (c, &sc->copy->active, struct scsi_copy, active)
		tmf->left += concerns_write(tmf, c);
	if (tmf->left)
		gw_list_add_tail(&sc->tmf_waits, &tmf->node);
	else
		core_is_clear(tmf);
}

static bool
is_waited_for(const struct gw_tmf *tmf, uint32_t seq)
{
	return (int32_t)(seq - tmf->seq) <= 0;
}

static void
one_less(struct gw_tmf *tmf)
{
	if (--tmf->left)
		return;
	gw_list_del(&tmf->node);
	core_is_clear(tmf);
}

void
scsi_tmf_cmd_gone(struct scsi_core *sc, const struct gw_cmd *cmd)
{
	gw_list_each_safe (tmf, &sc->tmf_waits, struct gw_tmf, node)
		if (is_waited_for(tmf, cmd->abort_seq) && concerns(tmf, cmd))
			one_less(tmf);
}

void
scsi_copy_writes(struct scsi_copy *c)
{
	c->writes = true;
	c->write_seq = ++scsi_core_of(c->cmd->nexus->core)->abort_seq;
}

void
scsi_copy_wrote(struct scsi_copy *c)
{
	struct scsi_core *sc = scsi_core_of(c->cmd->nexus->core);

	gw_list_each_safe (tmf, &sc->tmf_waits, struct gw_tmf, node)
		if (is_waited_for(tmf, c->write_seq) && concerns_write(tmf, c))
			one_less(tmf);
	c->writes = false;
}

static void
wait_visit(struct gw_core *on, struct gw_tour *t)
{
	wait_on(scsi_core_of(on), gw_container(t, struct gw_tmf, tour));
}

/* The end. */

static void
unpin(struct gw_tmf *tmf)
{
	struct scsi_lu_core *luc;

	if (!tmf->lu)
		return;
	luc = &tmf->lu->core[tmf->nexus->core->id];
	tmf->lu = NULL;
	luc->pins--;
	scsi_lu_left(luc);
}

static void
pin(struct gw_tmf *tmf, struct scsi_lu *lu)
{
	tmf->lu = lu;
	lu->core[tmf->nexus->core->id].pins++;
}

/* Everybody has a controller: that alone makes nobody concerned. */
static bool
shares_disk(const struct scsi_reset *r, const struct gw_nexus *n)
{
	for (uint32_t i = 0; i < n->nitl; i++) {
		const struct scsi_lu *lu = n->itl[i].lu;

		if (is_reached(r, lu) &&
		    lu->core[n->core->id].view->conf.kind != SCSI_KIND_CONTROLLER)
			return true;
	}
	return false;
}

static bool
ends_with(const struct scsi_reset *r, const struct gw_nexus *n)
{
	return n->target->tid == r->tid && (!r->some || n->id == r->nexus || shares_disk(r, n));
}

static void
close_visit(struct gw_core *on, struct gw_tour *t)
{
	struct scsi_reset *r = gw_container(t, struct scsi_reset, close);

	gw_list_each_safe (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node)
		if (!n->closing && ends_with(r, n))
			n->xport->close(n, GW_WHY_COLD_RESET);
	gw_tour_next(t);
}

static void
closed_all(struct gw_tour *t)
{
	free(gw_container(t, struct scsi_reset, close));
}

static void
deliver(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tmf *tmf = gw_container(msg, struct gw_tmf, msg);
	bool cold = tmf->fn == GW_TMF_TARGET_COLD_RESET && tmf->rsp == GW_TMF_COMPLETE;
	struct scsi_reset *r = tmf->reset;
	struct gw_nexus *n = tmf->nexus;

	tmf->done(tmf);
	n->tmfs--;
	scsi_nexus_left(n);
	if (cold)
		gw_tour_start(&r->close, close_visit, closed_all);
	else
		free(r);
}

static void
finish(struct gw_tmf *tmf, enum gw_tmf_rsp rsp)
{
	unpin(tmf);
	tmf->rsp = (uint8_t)rsp;
	tmf->msg.fn = deliver;
	gw_send(tmf->nexus->core, &tmf->msg);
}

/* Resets. */

static bool
edit_reset(struct scsi_change *ch, struct scsi_view *next)
{
	const struct scsi_view *was = ch->lu->view;

	scsi_view_defaults(next);
	next->holder = 0;
	scsi_prevent_drop(ch->lu, 0);
	scsi_lu_hold(ch->lu, false);
	return was->holder || was->wce != next->wce || was->d_sense != next->d_sense ||
	       was->swp != next->swp || was->lbpere != next->lbpere;
}

static void lu_is_reset(struct gw_core *on, struct gw_msg *msg);

static void
reset_changed(struct scsi_change *ch)
{
	struct gw_tmf *tmf = gw_container(ch, struct scsi_reset, ch)->tmf;

	tmf->msg.fn = lu_is_reset;
	gw_send(tmf->nexus->core, &tmf->msg);
}

static void
reset_at_home(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tmf *tmf = gw_container(msg, struct gw_tmf, msg);
	struct scsi_change *ch = &tmf->reset->ch;

	*ch = (struct scsi_change){.lu = tmf->lu, .edit = edit_reset, .done = reset_changed};
	scsi_change_start(ch);
}

static void
reset_lu(struct gw_tmf *tmf)
{
	tmf->msg.fn = reset_at_home;
	gw_send(tmf->lu->home, &tmf->msg);
}

/* The configuration may change between two LUNs: each is looked for in what the nexus sees now. */
static void
reset_next(struct gw_tmf *tmf)
{
	const struct scsi_itl *itl = scsi_itl_from(tmf->nexus, tmf->at);

	while (itl && !is_reached(tmf->reset, itl->lu))
		itl = scsi_itl_from(tmf->nexus, itl->lun + 1ull);
	if (!itl) {
		finish(tmf, GW_TMF_COMPLETE);
		return;
	}
	tmf->at = itl->lun + 1ull;
	pin(tmf, itl->lu);
	reset_lu(tmf);
}

static void
lu_is_reset(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tmf *tmf = gw_container(msg, struct gw_tmf, msg);

	if (tmf->fn == GW_TMF_LU_RESET) {
		finish(tmf, GW_TMF_COMPLETE);
		return;
	}
	unpin(tmf);
	reset_next(tmf);
}

static void
all_clear(struct gw_tour *t)
{
	struct gw_tmf *tmf = gw_container(t, struct gw_tmf, tour);

	if (tmf->fn == GW_TMF_LU_RESET)
		reset_lu(tmf);
	else if (is_target_reset(tmf))
		reset_next(tmf);
	else if (tmf->fn == PREEMPT)
		tmf->done(tmf);
	else
		finish(tmf, GW_TMF_COMPLETE);
}

static void
marked(struct gw_tour *t)
{
	gw_tour_start(t, wait_visit, all_clear);
}

void
scsi_tmf_preempt(struct gw_tmf *tmf)
{
	tmf->fn = PREEMPT;
	gw_list_init(&tmf->node);
	gw_tour_start(&tmf->tour, mark_visit, marked);
}

/* The functions. */

static bool
is_live(const struct gw_cmd *cmd)
{
	return cmd && (cmd->state == GW_CMD_NEW || cmd->state == GW_CMD_EXEC);
}

static void
abort_task(struct gw_tmf *tmf)
{
	if (!is_live(tmf->task)) {
		finish(tmf, GW_TMF_NO_TASK);
		return;
	}
	scsi_cmd_abort(tmf->task, GW_ABORT_QUIET);
	wait_on(scsi_core_of(tmf->nexus->core), tmf);
}

static void
abort_task_set(struct gw_tmf *tmf)
{
	gw_list_each_safe (cmd, &tmf->nexus->cmds, struct gw_cmd, on_nexus)
		if (concerns(tmf, cmd))
			scsi_cmd_abort(cmd, GW_ABORT_QUIET);
	wait_on(scsi_core_of(tmf->nexus->core), tmf);
}

static void
query_task_set(struct gw_tmf *tmf)
{
	bool any = false;

	gw_list_each (cmd, &tmf->nexus->cmds, struct gw_cmd, on_nexus)
		any |= concerns(tmf, cmd);
	finish(tmf, any ? GW_TMF_SUCCEEDED : GW_TMF_COMPLETE);
}

static bool
get_reset(struct gw_tmf *tmf)
{
	const struct gw_nexus *n = tmf->nexus;
	bool some = is_target_reset(tmf) && n->set && !n->set->all;
	size_t ids = some ? n->nitl : 0;
	struct scsi_reset *r = calloc(1, sizeof(*r) + ids * sizeof(r->id[0]));

	tmf->reset = r;
	if (!r) {
		finish(tmf, GW_TMF_REJECTED);
		return false;
	}
	r->tmf = tmf;
	r->tid = n->target->tid;
	r->nexus = n->id;
	r->some = some;
	while (r->n < ids) {
		r->id[r->n] = n->itl[r->n].lu->id;
		r->n++;
	}
	qsort(r->id, ids, sizeof(r->id[0]), cmp_id);
	return true;
}

static bool
find_lu(struct gw_tmf *tmf)
{
	struct scsi_itl *itl = scsi_itl_find(tmf->nexus, tmf->lun);

	if (!itl) {
		finish(tmf, GW_TMF_NO_LUN);
		return false;
	}
	pin(tmf, itl->lu);
	return true;
}

void
scsi_tmf(struct gw_tmf *tmf)
{
	struct gw_nexus *n = tmf->nexus;

	n->tmfs++;
	gw_stat_add(n->core->stats->tmfs, 1);
	gw_list_init(&tmf->node);
	tmf->pass = n->target->tid;
	tmf->at = 0;
	tmf->lu = NULL;
	tmf->reset = NULL;
	memset(tmf->info, 0, sizeof(tmf->info));
	switch (tmf->fn) {
	case GW_TMF_ABORT_TASK:
		abort_task(tmf);
		break;
	case GW_TMF_ABORT_TASK_SET:
	case GW_TMF_CLEAR_TASK_SET: /* with one task set a nexus the same (SAM-5 7.5) */
		if (find_lu(tmf))
			abort_task_set(tmf);
		break;
	case GW_TMF_LU_RESET:
		if (find_lu(tmf) && get_reset(tmf))
			gw_tour_start(&tmf->tour, mark_visit, marked);
		break;
	case GW_TMF_TARGET_WARM_RESET:
	case GW_TMF_TARGET_COLD_RESET:
		if (get_reset(tmf))
			gw_tour_start(&tmf->tour, mark_visit, marked);
		break;
	case GW_TMF_QUERY_TASK:
		finish(tmf, is_live(tmf->task) ? GW_TMF_SUCCEEDED : GW_TMF_COMPLETE);
		break;
	case GW_TMF_QUERY_TASK_SET:
		if (find_lu(tmf))
			query_task_set(tmf);
		break;
	case GW_TMF_TASK_REASSIGN:
		finish(tmf, GW_TMF_REASSIGN_UNSUPPORTED);
		break;
	default:
		finish(tmf, GW_TMF_UNSUPPORTED);
	}
}
