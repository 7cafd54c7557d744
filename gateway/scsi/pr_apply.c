/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each service action of PERSISTENT RESERVE OUT makes of the registrations (SPC-4 5.12). It
 * works on a copy: what is refused half way has changed nothing.
 */
#include <stdlib.h>

#include "gateway/scsi/pr_priv.h"

struct work {
	const struct pr_request *req;
	struct pr_outcome *out;
	struct scsi_pr_saved *set; /* the copy */
	uint32_t room;             /* registrations that fit it */
};

/* Verdicts: false, so that callers can return them. */

static bool
conflict(struct work *w)
{
	w->out->status = SAM_RESERVATION_CONFLICT;
	return false;
}

static bool
refuse(struct work *w, uint32_t sense, int cdb, int param)
{
	w->out->status = SAM_CHECK_CONDITION;
	w->out->sense = sense;
	w->out->cdb = cdb;
	w->out->param = param;
	return false;
}

static bool
refuse_param(struct work *w, int byte)
{
	return refuse(w, SENSE_PARAM_FIELD, -1, byte);
}

static bool
refuse_type(struct work *w)
{
	return refuse(w, SENSE_CDB_FIELD, 2, -1);
}

/* The copy. */

static struct scsi_pr_saved *
set_new(uint32_t room)
{
	struct scsi_pr_saved *set = malloc(sizeof(*set) + room * sizeof(set->reg[0]));

	if (set)
		memset(set, 0, sizeof(*set));
	return set;
}

/* The requesting nexus's registration, NULL if it has none. */
static struct scsi_pr_reg *
me(struct work *w)
{
	return (struct scsi_pr_reg *)(uintptr_t)pr_find(w->set, w->req->nexus);
}

static bool
has_key(struct work *w)
{
	const struct scsi_pr_reg *r = me(w);

	return r && r->key == w->req->key;
}

static void
release(struct work *w)
{
	w->set->type = PR_NONE;
	for (uint32_t i = 0; i < w->set->nreg; i++)
		w->set->reg[i].holder = false;
}

static void
hold(struct work *w, struct scsi_pr_reg *r, uint8_t type)
{
	release(w);
	w->set->type = type;
	r->holder = !pr_all_registrants(type);
}

/* Without its holder there is no reservation (SPC-4 5.12.11.3); the last one leaves none behind. */
static void
remove_one(struct work *w, uint32_t i)
{
	struct scsi_pr_saved *set = w->set;
	bool held = set->reg[i].holder;

	memmove(&set->reg[i], &set->reg[i + 1], (set->nreg - i - 1) * sizeof(set->reg[0]));
	set->nreg--;
	if (!held && set->nreg)
		return;
	if (pr_shared(set->type))
		w->out->ua_kept |= 1u << UA_RES_RELEASED;
	release(w);
}

/* True if that initiator port is registered with the target port now, with that key. */
static bool
add(struct work *w, const char *initiator, const uint8_t isid[6], uint16_t tpgt)
{
	struct scsi_pr_saved *set = w->set;
	struct scsi_pr_reg *r;
	bool found;
	uint32_t i = pr_index(set, initiator, isid, tpgt, &found);

	r = &set->reg[i];
	if (!found) {
		if (set->nreg == GW_MIN(w->room, (uint32_t)PR_STORE_REGS_MAX))
			return refuse(w, SENSE_NO_REGISTRATIONS, -1, -1);
		memmove(r + 1, r, (set->nreg - i) * sizeof(*r));
		set->nreg++;
		memset(r, 0, sizeof(*r));
		memcpy(r->initiator, initiator, strlen(initiator) + 1);
		memcpy(r->isid, isid, sizeof(r->isid));
		r->tpgt = tpgt;
	}
	r->key = w->req->sa_key;
	r->all_tg_pt = w->req->all_tg_pt;
	return true;
}

/* REGISTER, REGISTER AND IGNORE EXISTING KEY (5.12.7). */

/* Of one target port with ALL_TG_PT; the nexus's own has been checked. */
static bool
register_at(struct work *w, const char *initiator, const uint8_t isid[6], uint16_t tpgt,
	    uint64_t was)
{
	bool found;
	uint32_t i = pr_index(w->set, initiator, isid, tpgt, &found);

	if (found && w->req->sa != PR_OUT_REGISTER_IGNORE && w->set->reg[i].key != was)
		return conflict(w);
	if (w->req->sa_key)
		return add(w, initiator, isid, tpgt);
	if (found)
		remove_one(w, i);
	return true;
}

static unsigned
target_ports(const struct work *w)
{
	return w->req->all_tg_pt ? w->req->ntpgt : 1;
}

/* A TransportID's nexus is registered as by a REGISTER with key 0; with the new key it may be. */
static bool
register_port(struct work *w, const struct pr_port *p)
{
	for (unsigned t = 0; t < target_ports(w); t++) {
		bool found;
		uint32_t i = pr_index(w->set, p->initiator, p->isid, w->req->tpgt[t], &found);

		if (found && w->set->reg[i].key != w->req->sa_key)
			return conflict(w);
		if (!add(w, p->initiator, p->isid, w->req->tpgt[t]))
			return false;
	}
	return true;
}

static bool
do_register(struct work *w)
{
	const struct pr_request *req = w->req;
	const struct scsi_pr_reg *r = me(w);

	if (req->sa == PR_OUT_REGISTER && (r ? r->key : 0) != req->key)
		return conflict(w);
	if (req->spec_i_pt && r)
		return refuse_param(w, 20);
	if (!r && !req->sa_key)
		return true;
	for (unsigned t = 0; t < target_ports(w); t++)
		if (!register_at(w, req->nexus->initiator, req->nexus->isid, req->tpgt[t],
				 req->key))
			return false;
	for (uint32_t i = 0; i < req->nport; i++)
		if (!register_port(w, &req->port[i]))
			return false;
	w->set->aptpl = req->aptpl;
	w->out->changed = w->out->counted = true;
	return true;
}

/* RESERVE, RELEASE, CLEAR (5.12.9, 5.12.11.2, 5.12.11.6). */

static bool
do_reserve(struct work *w)
{
	uint8_t type = w->req->type;

	if (!has_key(w) || (w->set->type && !pr_holds(w->set, me(w))))
		return conflict(w);
	if (w->req->scope || !pr_type_known(type))
		return refuse_type(w);
	if (w->set->type)
		return w->set->type == type || conflict(w);
	hold(w, me(w), type);
	w->out->changed = true;
	return true;
}

static bool
do_release(struct work *w)
{
	if (!has_key(w))
		return conflict(w);
	if (!pr_holds(w->set, me(w)))
		return true;
	if (w->req->scope || w->req->type != w->set->type)
		return refuse(w, SENSE_BAD_RELEASE, -1, -1);
	if (pr_shared(w->set->type))
		w->out->ua_kept = 1u << UA_RES_RELEASED;
	release(w);
	w->out->changed = true;
	return true;
}

static bool
do_clear(struct work *w)
{
	if (!has_key(w))
		return conflict(w);
	w->set->nreg = 0;
	w->out->ua_lost = 1u << UA_RES_PREEMPTED;
	w->out->changed = w->out->counted = true;
	return true;
}

/* PREEMPT, PREEMPT AND ABORT (5.12.11.4, 5.12.11.5). */

/* True if that key names who holds the reservation. */
static bool
names_holder(const struct work *w, uint64_t key)
{
	if (pr_all_registrants(w->set->type))
		return !key;
	for (uint32_t i = 0; i < w->set->nreg; i++)
		if (w->set->reg[i].holder)
			return w->set->reg[i].key == key;
	return false;
}

/*
 * Removes the registrations with that key, all of them for 0, but for one; how many. In one pass:
 * there may be thousands.
 */
static uint32_t
remove_keys(struct work *w, uint64_t key, const struct scsi_pr_reg *spare)
{
	struct scsi_pr_saved *set = w->set, *removed = w->out->removed;
	uint32_t kept = 0, gone = 0;

	for (uint32_t i = 0; i < set->nreg; i++) {
		const struct scsi_pr_reg *r = &set->reg[i];

		if (r == spare || (key && r->key != key)) {
			if (kept != i)
				set->reg[kept] = *r;
			kept++;
			continue;
		}
		if (removed)
			removed->reg[removed->nreg++] = *r;
		gone++;
	}
	set->nreg = kept;
	return gone;
}

static bool
take_over(struct work *w)
{
	uint8_t was = w->set->type, type = w->req->type;

	if (w->req->scope || !pr_type_known(type))
		return refuse_type(w);
	remove_keys(w, w->req->sa_key, me(w));
	hold(w, me(w), type);
	if (was != type)
		w->out->ua_kept = 1u << UA_RES_RELEASED;
	return true;
}

static bool
do_preempt(struct work *w)
{
	const struct pr_request *req = w->req;

	if (!has_key(w))
		return conflict(w);
	if (!req->sa_key && !pr_all_registrants(w->set->type))
		return refuse_param(w, 8);
	if (req->sa == PR_OUT_PREEMPT_ABORT) {
		w->out->removed = set_new(w->set->nreg);
		if (!w->out->removed) {
			w->out->status = SAM_BUSY;
			return false;
		}
	}
	if (w->set->type && names_holder(w, req->sa_key)) {
		if (!take_over(w))
			return false;
	} else if (!remove_keys(w, req->sa_key, NULL)) {
		return conflict(w);
	}
	w->out->ua_lost = 1u << UA_REG_PREEMPTED;
	w->out->changed = w->out->counted = true;
	return true;
}

/* REGISTER AND MOVE (5.12.8). */

static bool
is_target_port(const struct pr_request *req, uint16_t tpgt)
{
	for (unsigned i = 0; i < req->ntpgt; i++)
		if (req->tpgt[i] == tpgt)
			return true;
	return false;
}

static bool
check_move(struct work *w)
{
	const struct pr_request *req = w->req;
	const struct gw_nexus *n = req->nexus;
	const struct pr_port *to = req->port;

	if (!has_key(w))
		return conflict(w);
	if (!w->set->type)
		return refuse(w, SENSE_CDB_FIELD, 1, -1);
	if (pr_all_registrants(w->set->type) || !pr_holds(w->set, me(w)))
		return conflict(w);
	if (!req->sa_key)
		return refuse_param(w, 8);
	if (!is_target_port(req, req->move_to))
		return refuse_param(w, 18);
	if (req->move_to == n->tpgt && !strcmp(to->initiator, n->initiator) &&
	    !memcmp(to->isid, n->isid, sizeof(n->isid)))
		return refuse_param(w, 24);
	return true;
}

static bool
do_move(struct work *w)
{
	const struct pr_request *req = w->req;
	const struct pr_port *to = req->port;
	uint8_t type = w->set->type;
	uint32_t i;
	bool found;

	if (!check_move(w))
		return false;
	release(w);
	if (req->unreg)
		remove_one(w, (uint32_t)(me(w) - w->set->reg));
	if (!add(w, to->initiator, to->isid, req->move_to))
		return false;
	i = pr_index(w->set, to->initiator, to->isid, req->move_to, &found);
	hold(w, &w->set->reg[i], type);
	w->set->aptpl = req->aptpl;
	w->out->changed = w->out->counted = true;
	return true;
}

static bool
run(struct work *w)
{
	switch (w->req->sa) {
	case PR_OUT_REGISTER:
	case PR_OUT_REGISTER_IGNORE:
		return do_register(w);
	case PR_OUT_RESERVE:
		return do_reserve(w);
	case PR_OUT_RELEASE:
		return do_release(w);
	case PR_OUT_CLEAR:
		return do_clear(w);
	case PR_OUT_PREEMPT:
	case PR_OUT_PREEMPT_ABORT:
		return do_preempt(w);
	default:
		return do_move(w);
	}
}

/* Registrations that the request may add. */
static uint32_t
additions(const struct pr_request *req)
{
	return (req->nport + 1) * GW_MAX(req->ntpgt, 1u);
}

void
pr_apply(const struct scsi_pr_saved *now, const struct pr_request *req, struct pr_outcome *out)
{
	struct work w = {.req = req, .out = out};
	uint32_t nreg = now ? now->nreg : 0;

	*out = (struct pr_outcome){.status = SAM_GOOD, .param = -1, .cdb = -1};
	w.room = nreg + additions(req);
	w.set = set_new(w.room);
	if (!w.set) {
		out->status = SAM_BUSY;
		return;
	}
	if (now)
		memcpy(w.set, now, sizeof(*now) + nreg * sizeof(now->reg[0]));
	if (!run(&w)) {
		out->changed = out->counted = false;
		free(out->removed);
		out->removed = NULL;
	}
	if (out->changed && w.set->nreg)
		out->set = w.set;
	else
		free(w.set);
}
