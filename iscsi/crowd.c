/* SPDX-License-Identifier: BSD-3-Clause */
/* How many connections there may be, and who makes room for a new one. */
#include "gateway/base/log.h"
#include "iscsi/conn.h"

#define CONNS_MAX     16384u /* of all cores */
#define HALF_OPEN_MAX 4096u  /* connections of a core that have not logged in */

bool
iscsi_crowd_full(void)
{
	if (iscsi_conns() < CONNS_MAX)
		return false;
	gw_log_limited(GW_LOG_WARN, "connection refused: as many are open as may be. max=%u",
		       CONNS_MAX);
	return true;
}

/* The one that came first and has not logged in; of that wire, NULL: of any. */
static struct iscsi_conn *
half_open(struct iscsi_core *ic, const struct iscsi_wire *wire)
{
	gw_list_each (c, &ic->conns, struct iscsi_conn, node) {
		if (!c->full && !c->dying && (!wire || c->wire == wire))
			return c;
	}
	return NULL;
}

/* The one that is for discovery alone and was silent longest. */
static struct iscsi_conn *
silent_discovery(struct iscsi_core *ic, const struct iscsi_wire *wire)
{
	struct iscsi_conn *old = NULL;

	gw_list_each (c, &ic->conns, struct iscsi_conn, node) {
		if (c->full && c->discovery && !c->dying && (!wire || c->wire == wire) &&
		    (!old || c->heard_at < old->heard_at))
			old = c;
	}
	return old;
}

void
iscsi_crowd_shed(struct iscsi_core *ic)
{
	struct iscsi_conn *c;

	/*
	 * A flood of those that do not log in cannot shut others out: all cores together stay below
	 * CONNS_MAX, where nobody is let in any more.
	 */
	if (ic->nconn >= ic->nsess + GW_MIN(HALF_OPEN_MAX, CONNS_MAX / 2 / gw_ncores())) {
		c = half_open(ic, NULL);
		if (c)
			iscsi_conn_end(c, "too many connections have not logged in");
	}
	/* Discovery needs no permission. */
	if (iscsi_conns() >= CONNS_MAX / 8 * 7) {
		c = silent_discovery(ic, NULL);
		if (c)
			iscsi_conn_end(c, "too many connections, and it is for discovery alone");
	}
}

void
iscsi_crowd_yield(struct iscsi_core *ic, const struct iscsi_wire *wire)
{
	struct iscsi_conn *c = half_open(ic, wire);

	if (!c)
		c = silent_discovery(ic, wire);
	if (c)
		iscsi_conn_end(c, "others want its place, and it has not logged in");
}
