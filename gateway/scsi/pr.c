/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is registered, and what that makes of a nexus (SPC-4 5.12.7, 5.12.10). */
#include "gateway/scsi/pr_priv.h"

static int
cmp_port(const struct scsi_pr_reg *r, const char *initiator, const uint8_t isid[6], uint16_t tpgt)
{
	int d = strcmp(r->initiator, initiator);

	if (!d)
		d = memcmp(r->isid, isid, sizeof(r->isid));
	return d ? d : (int)r->tpgt - (int)tpgt;
}

int
pr_cmp(const struct scsi_pr_reg *a, const struct scsi_pr_reg *b)
{
	return cmp_port(a, b->initiator, b->isid, b->tpgt);
}

uint32_t
pr_index(const struct scsi_pr_saved *pr, const char *initiator, const uint8_t isid[6],
	 uint16_t tpgt, bool *found)
{
	uint32_t lo = 0, hi = pr ? pr->nreg : 0;

	*found = false;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int d = cmp_port(&pr->reg[mid], initiator, isid, tpgt);

		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
		*found |= d == 0;
	}
	return lo;
}

const struct scsi_pr_reg *
pr_find(const struct scsi_pr_saved *pr, const struct gw_nexus *n)
{
	bool found;
	uint32_t i = pr_index(pr, n->initiator, n->isid, n->tpgt, &found);

	return found ? &pr->reg[i] : NULL;
}

bool
pr_can_save(const struct scsi_view *v)
{
	static const uint8_t none[sizeof(v->conf.naa)];

	return memcmp(v->conf.naa, none, sizeof(none)) != 0;
}

bool
pr_holds(const struct scsi_pr_saved *pr, const struct scsi_pr_reg *r)
{
	return r && pr->type && (r->holder || pr_all_registrants(pr->type));
}

uint8_t
scsi_pr_role(const struct scsi_pr_saved *pr, const struct gw_nexus *n)
{
	const struct scsi_pr_reg *r;

	if (!pr)
		return SCSI_STRANGER;
	r = pr_find(pr, n);
	if (!r)
		return SCSI_STRANGER;
	return pr_holds(pr, r) ? SCSI_HOLDER : SCSI_REGISTRANT;
}

uint8_t
scsi_role_of(const struct scsi_view *v, const struct gw_nexus *n)
{
	if (v->holder)
		return v->holder == n->id ? SCSI_HOLDER : SCSI_STRANGER;
	return scsi_pr_role(v->pr, n);
}

/* UAs: SPC-4 5.12.11 names for each service action who is told what, the asking nexus never. */
void
scsi_pr_shown(struct gw_core *on, const struct scsi_change *ch)
{
	const struct scsi_view *v = ch->next;

	gw_list_each (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node) {
		struct scsi_itl *itl = scsi_itl_of(n, ch->lu);
		uint8_t was;

		if (!itl)
			continue;
		was = itl->pr;
		itl->pr = scsi_pr_role(v->pr, n);
		if (was == SCSI_STRANGER || n->id == ch->but)
			continue;
		scsi_ua_raise(itl, itl->pr == SCSI_STRANGER ? ch->ua_lost : ch->ua_kept);
	}
}
