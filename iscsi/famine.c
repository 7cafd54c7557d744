/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When connections wait for memory, those that have it and leave it idle make room. Looked at once
 * a second while somebody waits: buffers of commands whose data the peer does not send or take, and
 * memory of logins that do not go on. What waits for a device is not the peer's fault; what waits for
 * older commands may have what these wait for.
 */
#include "iscsi/conn.h"
#include "iscsi/session.h"

#define LOOK_MS   1000
#define SECOND    1000000000ull
#define SLOW      (10 * SECOND) /* to move the part below */
#define SLOW_OURS (30 * SECOND) /* ... where we did not read from it */
#define PART      16            /* of the memory that it has */
#define IDLE      (2 * SECOND)  /* a login without a PDU */
#define ENDS_MAX  16u           /* in one look */

struct look {
	bool buffers;    /* somebody waits for buffers */
	uint32_t logins; /* so many wait for a login's memory */
};

static struct look
waiting(struct iscsi_core *ic)
{
	struct look l = {0};

	gw_list_each (c, &ic->conns, struct iscsi_conn, node) {
		if (c->dying)
			continue;
		l.buffers |= c->buf_waiter.waiting;
		l.logins += !c->full && !c->work && (c->rx.stop & ISCSI_STOP_POOL);
	}
	return l;
}

/* Whether it has not moved its part in time; bytes: how much it has. */
static bool
slow(struct iscsi_conn *c, uint64_t *bytes)
{
	uint64_t now = c->core->now, limit = c->rx.stop && !c->tx_busy ? SLOW_OURS : SLOW;

	*bytes = c->moved - c->slow_moved;
	return c->slow_at && now - c->slow_at >= limit;
}

static void
watch(struct iscsi_core *ic, bool on)
{
	gw_list_each (c, &ic->conns, struct iscsi_conn, node) {
		bool peers_turn = c->tx_busy || !gw_list_empty(&c->awaiting);

		if (!on || !c->mem || !peers_turn) {
			c->slow_at = 0;
		} else if (!c->slow_at || c->moved - c->slow_moved >= c->mem / PART) {
			c->slow_at = c->core->now;
			c->slow_moved = c->moved;
		}
	}
}

static struct iscsi_conn *
slowest(struct iscsi_core *ic)
{
	struct iscsi_conn *worst = NULL;
	uint64_t least = UINT64_MAX, bytes;

	gw_list_each (c, &ic->conns, struct iscsi_conn, node) {
		if (c->dying || !slow(c, &bytes))
			continue;
		if (bytes > least || (worst && bytes == least && c->slow_at >= worst->slow_at))
			continue;
		worst = c;
		least = bytes;
	}
	return worst;
}

static void
end_slow(struct iscsi_core *ic)
{
	uint64_t freed = 0;

	for (unsigned i = 0; i < ENDS_MAX && freed < GW_XFER_MAX; i++) {
		struct iscsi_conn *c = slowest(ic);

		if (!c)
			return;
		freed += c->mem;
		iscsi_conn_end(c, "memory is short and it left its commands unfinished");
	}
}

static struct iscsi_conn *
idlest_login(struct iscsi_core *ic)
{
	struct iscsi_conn *old = NULL;

	gw_list_each (c, &ic->conns, struct iscsi_conn, node) {
		if (!c->work || c->sess || c->dying || ic->core->now - c->heard_at < IDLE)
			continue;
		if (!old || c->heard_at < old->heard_at)
			old = c;
	}
	return old;
}

static void
look(struct gw_timer *timer)
{
	struct iscsi_core *ic = gw_container(timer, struct iscsi_core, famine);
	struct look l = waiting(ic);

	watch(ic, l.buffers);
	if (l.buffers) {
		gw_list_each (c, &ic->conns, struct iscsi_conn, node)
			iscsi_task_yield(c);
		end_slow(ic);
	}
	for (uint32_t i = 0; i < GW_MIN(l.logins, ENDS_MAX); i++) {
		struct iscsi_conn *c = idlest_login(ic);

		if (c)
			iscsi_conn_end(c, "others wait to log in and it does not go on");
	}
	if (l.buffers || l.logins)
		iscsi_famine(ic);
}

void
iscsi_famine_init(struct iscsi_core *ic)
{
	gw_timer_init(&ic->famine, look);
}

void
iscsi_famine(struct iscsi_core *ic)
{
	if (!ic->famine.running)
		gw_timer_start(ic->core, &ic->famine, LOOK_MS);
}
