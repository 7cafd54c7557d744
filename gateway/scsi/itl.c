/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a nexus sees of its target: all its LUNs or those of its map, in the order of the numbers by
 * which it knows them, and how that changes under it.
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway/scsi/scsi_priv.h"

/* Looking up. */

/* Index of the first with that number or a higher one. */
static uint32_t
lower(const struct scsi_itl *itl, uint32_t n, uint64_t lun)
{
	uint32_t lo = 0, hi = n;

	/* Numbers without gaps, the usual ones. */
	if (lun < hi && itl[lun].lun == lun)
		return (uint32_t)lun;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (itl[mid].lun < lun)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct scsi_itl *
scsi_itl_from(const struct gw_nexus *n, uint64_t lun)
{
	uint32_t i = lower(n->itl, n->nitl, lun);

	return i < n->nitl ? &n->itl[i] : NULL;
}

struct scsi_itl *
scsi_itl_find(const struct gw_nexus *n, uint64_t lun)
{
	struct scsi_itl *itl = scsi_itl_from(n, lun);

	return itl && itl->lun == lun ? itl : NULL;
}

static int
by_address(const void *key, const void *entry)
{
	uintptr_t x = (uintptr_t)key, y = (uintptr_t)(*(const struct gw_lun *const *)entry)->lu;

	return (x > y) - (x < y);
}

struct scsi_itl *
scsi_itl_of(const struct gw_nexus *n, const struct scsi_lu *lu)
{
	const struct scsi_lu_conf *conf = &lu->core[n->core->id].view->conf;
	const struct gw_lunset *set = n->set;
	const struct gw_lun **at;
	struct scsi_itl *itl;

	if (n->target->tid != conf->tid)
		return NULL;
	if (!set || set->all) {
		itl = scsi_itl_find(n, conf->lun);
		return itl && itl->lu == lu ? itl : NULL;
	}
	at = bsearch(lu, set->by_lu, set->nlun, sizeof(const struct gw_lun *), by_address);
	return at ? &n->itl[*at - set->lun] : NULL;
}

/* Making. */

/* What n sees of t with that map. */
struct sight {
	const struct gw_lunset *set;
	struct scsi_itl *itl;
	uint32_t n;
};

/* Registrations may be older than the nexus: it finds its own again. */
static bool
look(struct sight *s, const struct gw_nexus *n, const struct gw_target *t)
{
	const struct gw_lun *lun;

	s->set = gw_lunset_of(t, n->initiator);
	s->n = s->set ? s->set->nlun : t->nlun;
	lun = s->set ? s->set->lun : t->lun;
	s->itl = calloc(s->n + 1, sizeof(*s->itl));
	for (uint32_t i = 0; s->itl && i < s->n; i++) {
		struct scsi_lu *lu = lun[i].lu;

		s->itl[i] = (struct scsi_itl){
		    .lu = lu,
		    .lun = (uint16_t)lun[i].lun,
		    .ua = 1u << UA_POWER_ON,
		    .pr = scsi_pr_role(lu->core[n->core->id].view->pr, n),
		    .ro = lun[i].ro || (s->set && s->set->ro),
		};
	}
	return s->itl != NULL;
}

static void
use(struct gw_nexus *n, const struct sight *s)
{
	n->set = s->set;
	n->itl = s->itl;
	n->nitl = s->n;
}

int
scsi_itls_open(struct gw_nexus *n)
{
	struct sight s;

	if (!look(&s, n, n->target))
		return -ENOMEM;
	use(n, &s);
	return 0;
}

/* Changing. */

/* A LUN that stays keeps what was pending; write protection is a mode parameter (SBC-4 6.5.1). */
static struct scsi_itl
carried(const struct scsi_itl *was, bool ro)
{
	struct scsi_itl itl = *was;

	if (itl.ro != ro)
		scsi_ua_raise(&itl, 1u << UA_MODE);
	itl.ro = ro;
	return itl;
}

/* True if the list is another one. */
static bool
carry_over(const struct gw_nexus *n, struct sight *s)
{
	bool differs = n->nitl != s->n;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct scsi_itl *was = scsi_itl_find(n, s->itl[i].lun);

		if (was && was->lu == s->itl[i].lu)
			s->itl[i] = carried(was, s->itl[i].ro);
		else
			differs = true;
	}
	return differs;
}

/* Whether a command under way makes the nexus the holder of something. */
static bool
may_hold(const struct gw_cmd *cmd)
{
	return cmd->state == GW_CMD_EXEC &&
	       (cmd->op->res_class == RES_RESERVE || cmd->op->res_class == RES_PREVENT);
}

/* Commands of LUNs that went end with TASK ABORTED, so that the initiator asks anew. */
static int
move_commands(struct gw_nexus *n)
{
	int rc = 0;

	gw_list_each_safe (cmd, &n->cmds, struct gw_cmd, on_nexus) {
		struct scsi_itl *itl;

		/* Who lost its LUN before does not get it back: the task set is another one. */
		if (!cmd->itl)
			continue;
		itl = scsi_itl_find(n, cmd->lun);
		cmd->itl = itl && itl->lu == cmd->lu ? itl : NULL;
		if (cmd->itl)
			continue;
		if (may_hold(cmd) && !scsi_itl_of(n, cmd->lu) && scsi_itl_lost(n, cmd->lu))
			rc = -ENOMEM;
		scsi_cmd_abort(cmd, GW_ABORT_TAS);
	}
	return rc;
}

/* Of n LUs that the nexus saw those that it does not see now. */
static int
let_go(const struct gw_nexus *n, const struct scsi_itl *was, uint32_t nwas)
{
	for (uint32_t i = 0; i < nwas; i++) {
		struct scsi_lu *lu = was[i].lu;

		if ((lu->core[n->core->id].view->holder == n->id || scsi_lu_prevented(lu)) &&
		    !scsi_itl_of(n, lu) && scsi_itl_lost(n, lu))
			return -ENOMEM;
	}
	return 0;
}

int
scsi_nexus_retarget(struct gw_nexus *n, const struct gw_target *target)
{
	struct scsi_itl *was = n->itl;
	uint32_t nwas = n->nitl;
	struct sight s;
	bool differs;
	int rc;

	if (!look(&s, n, target))
		return -ENOMEM;
	differs = carry_over(n, &s);
	for (uint32_t i = 0; differs && i < s.n; i++)
		scsi_ua_raise(&s.itl[i], 1u << UA_LUNS);
	use(n, &s);
	n->target = target;
	/* The session ends without memory for both, which takes back all that it holds. */
	rc = move_commands(n);
	if (rc == 0 && differs)
		rc = let_go(n, was, nwas);
	free(was);
	return rc;
}
