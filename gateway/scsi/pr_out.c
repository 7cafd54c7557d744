/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PERSISTENT RESERVE OUT (SPC-4 6.16): decoded on the nexus's core, decided on the LU's home core.
 * With APTPL the new registrations are on the disk before anyone sees them; then all cores see
 * them; then PREEMPT AND ABORT waits for the commands of those it has preempted; then it answers.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gateway/base/log.h"
#include "gateway/scsi/pr_priv.h"

/* One command's own memory, from scsi_exec() to its end. */
struct pr_out {
	struct scsi_change ch;
	struct gw_cmd *cmd;
	struct pr_request req;
	struct pr_outcome res;
	struct pr_save save;
	struct gw_tmf tmf;
	struct scsi_pr_saved none; /* what is saved when nobody is registered any more */
};

static void
out_free(struct pr_out *o)
{
	free(o->req.port);
	free(o->res.removed);
	free(o);
}

static void
end(struct pr_out *o)
{
	struct gw_cmd *cmd = o->cmd;

	out_free(o);
	scsi_home_end(cmd);
}

/* Aborting. */

static void
aborted(struct gw_tmf *tmf)
{
	end(gw_container(tmf, struct pr_out, tmf));
}

static void
abort_preempted(struct pr_out *o)
{
	o->tmf.nexus = o->cmd->nexus;
	o->tmf.lun = o->cmd->lun;
	o->tmf.lu = o->cmd->lu;
	o->tmf.task = o->cmd;
	o->tmf.preempted = o->res.removed;
	o->tmf.done = aborted;
	scsi_tmf_preempt(&o->tmf);
}

/* The change. */

static void
changed(struct scsi_change *ch)
{
	struct pr_out *o = gw_container(ch, struct pr_out, ch);

	if (o->res.changed && o->res.removed)
		abort_preempted(o);
	else
		end(o);
}

static void
saved(struct pr_save *s)
{
	struct pr_out *o = gw_container(s, struct pr_out, save);
	const struct scsi_lu_conf *conf = &o->ch.lu->view->conf;

	if (s->error) {
		gw_log_limited(GW_LOG_ERR,
			       "cannot save persistent reservations: tid=%u lun=%" PRIu64 ": %s",
			       conf->tid, conf->lun, strerror(-s->error));
		scsi_check(o->cmd, SENSE_TARGET_FAILURE);
		o->res.changed = false;
	}
	scsi_change_saved(&o->ch, !s->error);
}

static void
save(struct scsi_change *ch)
{
	struct pr_out *o = gw_container(ch, struct pr_out, ch);

	memcpy(o->none.naa, ch->next->conf.naa, sizeof(o->none.naa));
	o->save.core = ch->lu->home;
	o->save.what = ch->next->pr ? ch->next->pr : &o->none;
	o->save.done = saved;
	pr_store_save(&o->save);
}

static void
refuse(struct gw_cmd *cmd, const struct pr_outcome *res)
{
	cmd->status = res->status;
	if (res->status != SAM_CHECK_CONDITION)
		return;
	if (res->cdb >= 0)
		scsi_check_cdb(cmd, (unsigned)res->cdb, -1);
	else if (res->param >= 0)
		scsi_check_param(cmd, (unsigned)res->param, -1);
	else
		scsi_check(cmd, res->sense);
}

static bool
keeps(const struct scsi_pr_saved *pr)
{
	return pr && pr->aptpl;
}

static bool
edit(struct scsi_change *ch, struct scsi_view *next)
{
	struct pr_out *o = gw_container(ch, struct pr_out, ch);
	struct gw_cmd *cmd = o->cmd;

	if (scsi_is_aborted(cmd))
		return false;
	if (!scsi_reservation_allows(cmd->nexus, next, RES_PR)) {
		cmd->status = SAM_RESERVATION_CONFLICT;
		return false;
	}
	pr_apply(next->pr, &o->req, &o->res);
	if (o->res.status != SAM_GOOD) {
		refuse(cmd, &o->res);
		return false;
	}
	cmd->moved = cmd->data_len;
	if (!o->res.changed)
		return false;
	if (o->res.set)
		memcpy(o->res.set->naa, next->conf.naa, sizeof(next->conf.naa));
	if (keeps(next->pr) || keeps(o->res.set))
		ch->save = save;
	next->pr = o->res.set;
	next->pr_generation += o->res.counted;
	ch->ua_lost = o->res.ua_lost;
	ch->ua_kept = o->res.ua_kept;
	return true;
}

static void
at_home(struct gw_cmd *cmd)
{
	struct pr_out *o = (struct pr_out *)(uintptr_t)cmd->scratch[1];

	o->ch = (struct scsi_change){
	    .lu = cmd->lu, .edit = edit, .done = changed, .but = cmd->nexus->id};
	cmd->status = SAM_GOOD;
	scsi_change_start(&o->ch);
}

/* Own core. The target's ports are the portal groups; that of the nexus comes first. */
static void
find_target_ports(const struct gw_nexus *n, struct pr_request *req)
{
	const struct gw_model *m = gw_model_of(n->core);

	req->tpgt[req->ntpgt++] = n->tpgt;
	for (uint32_t i = 0; m && i < m->ngroup && req->ntpgt < PR_PORTS_MAX; i++)
		if (m->group[i] != n->tpgt)
			req->tpgt[req->ntpgt++] = m->group[i];
}

void
scsi_exec_pr_out(struct gw_cmd *cmd)
{
	struct pr_out *o = calloc(1, sizeof(*o));

	cmd->status = SAM_BUSY;
	if (!o || !pr_decode(cmd, &o->req)) {
		if (o)
			out_free(o);
		gw_cmd_complete(cmd);
		return;
	}
	find_target_ports(cmd->nexus, &o->req);
	o->cmd = cmd;
	cmd->scratch[1] = (uint64_t)(uintptr_t)o;
	scsi_home_begin(cmd, at_home);
}
