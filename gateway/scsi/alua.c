/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asymmetric logical unit access (SPC-4 5.15.2). An iSCSI portal group is a target port, and a
 * target port group of its own with the same number. The states are a target's, for all of its LUs,
 * in words that core 0 alone writes; each nexus has its group's state beside it, which a tour
 * brings there before the change is answered. What the administrator has set is not the initiators'
 * to change: one that takes a path out of service must find it out of service the next day.
 */
#include <stdlib.h>

#include "gateway/base/log.h"
#include "gateway/scsi/alua_priv.h"

/* Twice the groups that portals have: those of the administrator may be without a portal. */
#define WORDS (2 * GW_GROUPS_MAX)

/* A word: tag, status code (SPC-4 6.37), flags, state. 0: none; the group is active/optimized. */
#define PREFERRED 0x80u
#define HELD      0x40u

/* Status codes. */
#define BY_COMMAND       1
#define BY_ADMINISTRATOR 2

struct scsi_alua {
	_Atomic uint32_t word[WORDS];
};

struct scsi_alua *
scsi_alua_new(void)
{
	return calloc(1, sizeof(struct scsi_alua));
}

void
scsi_alua_free(void *alua)
{
	free(alua);
}

static _Atomic uint32_t *
word_of(struct scsi_alua *a, uint16_t tag)
{
	for (unsigned i = 0; i < WORDS; i++) {
		if (atomic_load_explicit(&a->word[i], memory_order_relaxed) >> 16 == tag)
			return &a->word[i];
	}
	return NULL;
}

struct scsi_alua_group
scsi_alua_group(struct scsi_alua *a, uint16_t tag)
{
	_Atomic uint32_t *at = word_of(a, tag);
	uint32_t w = at ? atomic_load_explicit(at, memory_order_relaxed) : 0;

	/* Another tag may have taken the word over since. */
	if (w >> 16 != tag)
		w = 0;
	return (struct scsi_alua_group){.state = w & 0x0f,
					.preferred = w & PREFERRED,
					.held = w & HELD,
					.code = (uint8_t)(w >> 8)};
}

unsigned
scsi_ports(const struct gw_nexus *n, uint16_t tag[SCSI_PORTS_MAX])
{
	const struct gw_model *m = gw_model_of(n->core);
	unsigned k = 0, i = 0;

	for (; i < m->ngroup && m->group[i] < n->tpgt; i++)
		tag[k++] = m->group[i];
	/* Its portal may be gone, but the session's port is not. */
	tag[k++] = n->tpgt;
	for (i += i < m->ngroup && m->group[i] == n->tpgt; i < m->ngroup; i++)
		tag[k++] = m->group[i];
	return k;
}

void
scsi_alua_open(struct gw_nexus *n)
{
	n->access = scsi_alua_group(n->target->alua, n->tpgt).state;
}

/* Which commands run. */

/* SPC-4 5.15.2.4.5; offline, too, for whoever asks there learns that it is. */
static bool
runs_unavailable(const struct scsi_op *op)
{
	switch (op->opcode) {
	case 0x03: /* REQUEST SENSE */
	case 0x12: /* INQUIRY */
	case 0xa0: /* REPORT LUNS */
		return true;
	case 0xa3: /* REPORT and SET TARGET PORT GROUPS */
	case 0xa4:
		return op->sa == 0x0a;
	default:
		return false;
	}
}

/*
 * SPC-4 5.15.2.4.4; beyond its list what tells of the LU and moves nothing of the medium, or an
 * initiator would meet a disk without a size on a path that comes up later.
 */
static bool
runs_in_standby(const struct scsi_op *op)
{
	switch (op->opcode) {
	case 0x15: /* MODE SELECT and SENSE, both of each */
	case 0x1a:
	case 0x55:
	case 0x5a:
	case 0x1c: /* RECEIVE DIAGNOSTIC RESULTS, SEND DIAGNOSTIC */
	case 0x1d:
	case 0x25: /* READ CAPACITY(10) */
	case 0x4c: /* LOG SELECT, LOG SENSE */
	case 0x4d:
	case 0x5e: /* PERSISTENT RESERVE IN and OUT */
	case 0x5f:
	case 0xa3: /* REPORT SUPPORTED OPERATION CODES and its kind */
		return true;
	case 0x9e:
		return op->sa == 0x10; /* READ CAPACITY(16) */
	default:
		return runs_unavailable(op);
	}
}

bool
scsi_alua_check(struct gw_cmd *cmd)
{
	uint8_t access = cmd->nexus->access;

	if (scsi_view_of(cmd)->conf.kind != SCSI_KIND_DISK ||
	    (access == SCSI_ACCESS_STANDBY ? runs_in_standby(cmd->op) : runs_unavailable(cmd->op)))
		return true;
	return scsi_check(cmd, access == SCSI_ACCESS_STANDBY   ? SENSE_STANDBY
			       : access == SCSI_ACCESS_OFFLINE ? SENSE_OFFLINE
							       : SENSE_UNAVAILABLE);
}

/* Changes. */

static bool
has_portal(uint16_t tag)
{
	const struct gw_model *m = gw_model_of(gw_core_at(0));

	for (uint32_t i = 0; i < m->ngroup; i++) {
		if (m->group[i] == tag)
			return true;
	}
	return false;
}

/*
 * A word for a tag that has none: an empty one, or that of a group whose portals are gone. There
 * is one: portals have half of them at most, the administrator has the other half.
 */
static _Atomic uint32_t *
spare_word(struct scsi_alua *a)
{
	_Atomic uint32_t *at = word_of(a, 0);

	for (unsigned i = 0; !at && i < WORDS; i++) {
		uint32_t w = atomic_load_explicit(&a->word[i], memory_order_relaxed);

		if (!(w & HELD) && !has_portal((uint16_t)(w >> 16)))
			at = &a->word[i];
	}
	return at;
}

/* Core 0: true if it is another state than before. */
static bool
put(struct scsi_alua *a, const struct scsi_alua_set *s, unsigned code, bool held)
{
	struct scsi_alua_group was = scsi_alua_group(a, s->tpgt);
	bool differs = was.state != s->state || was.preferred != s->preferred;
	_Atomic uint32_t *at = word_of(a, s->tpgt);
	uint32_t w = (uint32_t)s->tpgt << 16 | code << 8 | s->state;

	if (!differs && was.held == held)
		return false;
	if (!at)
		at = spare_word(a);
	if (NEVER(!at))
		return false;
	w |= (s->preferred ? PREFERRED : 0) | (held ? HELD : 0);
	atomic_store_explicit(at, w, memory_order_relaxed);
	return differs;
}

static bool
named(const struct scsi_alua_change *ch, uint16_t tag)
{
	for (unsigned i = 0; i < ch->n; i++) {
		if (ch->set[i].tpgt == tag)
			return true;
	}
	return false;
}

/* The administrator has given up all groups but those. */
static bool
release(struct scsi_alua_change *ch)
{
	bool changed = false;

	for (unsigned i = 0; i < WORDS; i++) {
		uint32_t w = atomic_load_explicit(&ch->alua->word[i], memory_order_relaxed);
		struct scsi_alua_set s = {.tpgt = (uint16_t)(w >> 16)};

		if (w & HELD && !named(ch, s.tpgt))
			changed |= put(ch->alua, &s, BY_ADMINISTRATOR, false);
	}
	return changed;
}

int
scsi_alua_forbidden(const struct scsi_alua_change *ch)
{
	for (unsigned i = 0; i < ch->n; i++) {
		struct scsi_alua_group g = scsi_alua_group(ch->alua, ch->set[i].tpgt);

		if (g.held && g.state != ch->set[i].state)
			return (int)i;
	}
	return -1;
}

bool
scsi_alua_put(struct scsi_alua_change *ch)
{
	bool changed = ch->cmd ? false : release(ch);

	for (unsigned i = 0; i < ch->n; i++) {
		/* A command that wants what the administrator wants changes nothing. */
		if (ch->cmd && scsi_alua_group(ch->alua, ch->set[i].tpgt).held)
			continue;
		ch->differs[i] =
		    put(ch->alua, &ch->set[i], ch->cmd ? BY_COMMAND : BY_ADMINISTRATOR, !ch->cmd);
		changed |= ch->differs[i];
	}
	return changed;
}

static void
raise(const struct scsi_alua_change *ch, struct gw_nexus *n)
{
	for (uint32_t i = 0; i < n->nitl; i++) {
		const struct scsi_lu *lu = n->itl[i].lu;

		if (lu->core[n->core->id].view->conf.kind == SCSI_KIND_DISK &&
		    !(ch->cmd && ch->cmd->nexus == n && ch->cmd->lu == lu))
			scsi_ua_raise(&n->itl[i], 1u << UA_ACCESS);
	}
}

void
scsi_alua_show(struct gw_core *on, struct gw_tour *t)
{
	struct scsi_alua_change *ch = gw_container(t, struct scsi_alua_change, tour);

	gw_list_each (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node) {
		if (!n->target || n->target->alua != ch->alua)
			continue;
		scsi_alua_open(n);
		raise(ch, n);
	}
	gw_tour_next(t);
}

static const char *
state_name(uint8_t state)
{
	static const char *const name[] = {
	    [SCSI_ACCESS_OPTIMIZED] = "active-optimized",
	    [SCSI_ACCESS_NON_OPTIMIZED] = "active-non-optimized",
	    [SCSI_ACCESS_STANDBY] = "standby",
	    [SCSI_ACCESS_UNAVAILABLE] = "unavailable",
	};

	return state < GW_ARRAY_LEN(name) ? name[state] : "offline";
}

void
scsi_alua_log(const struct scsi_alua_change *ch)
{
	const struct gw_nexus *n = ch->cmd->nexus;

	for (unsigned i = 0; i < ch->n; i++) {
		if (ch->differs[i])
			gw_log_limited(GW_LOG_INFO,
				       "an initiator has set the state of a portal group: "
				       "initiator=%s target=%s group=%u state=%s",
				       n->initiator, n->target->iqn, ch->set[i].tpgt,
				       state_name(ch->set[i].state));
	}
}

/* Tours begin on core 0. */
static void
administer(struct gw_core *on, struct gw_tour *t)
{
	struct scsi_alua_change *ch = gw_container(t, struct scsi_alua_change, tour);

	if (on->id == 0)
		ch->changed = scsi_alua_put(ch);
	if (ch->changed)
		scsi_alua_show(on, t);
	else
		gw_tour_next(t);
}

void
scsi_alua_set(struct scsi_alua *a, const struct scsi_alua_set *set, unsigned n)
{
	struct scsi_alua_change ch = {.alua = a, .n = n};

	BUG(n > GW_ARRAY_LEN(ch.set));
	if (n)
		memcpy(ch.set, set, n * sizeof(*set));
	gw_tour_sync(&ch.tour, administer);
}
