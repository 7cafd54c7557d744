/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Task attributes (SAM-5 8). An LU has one task set for each I_T nexus (TST is 001b), so an order
 * is kept on one core and nobody else is asked. ORDERED waits for all older commands, and those
 * that come later for it; HEAD OF QUEUE waits for nothing, and what has not begun for it. Who has
 * to wait is known when a command arrives, in the order of arrival, whenever its data comes.
 *
 * Nothing is counted while there are neither. With the first ORDERED one those before it are.
 */
#include "gateway/scsi/scsi_priv.h"

#define CALLS_MAX 64 /* in one go */

static bool
is_ordered(const struct gw_cmd *cmd)
{
	return cmd->attr == GW_ATTR_ORDERED;
}

static bool
is_head(const struct gw_cmd *cmd)
{
	return cmd->attr == GW_ATTR_HEAD;
}

static bool
is_quiet(const struct scsi_set *set)
{
	return !set->ordered && !set->heads;
}

/* A nexus has as many commands as its window lets it, and immediate ones. */
static uint32_t
count_front(const struct gw_cmd *new)
{
	uint32_t n = 0;

	gw_list_each (cmd, &new->nexus->cmds, struct gw_cmd, on_nexus)
		n += cmd->itl == new->itl && cmd->turn != GW_WAITS && !is_head(cmd);
	return n;
}

static void
ring_add(struct scsi_set *set, struct gw_cmd *cmd)
{
	gw_list_init(&cmd->on_set);
	if (set->first)
		gw_list_add_tail(&set->first->on_set, &cmd->on_set);
	else
		set->first = cmd;
}

/* The ring has no head of its own, so that a set can move, and end before its commands do. */
static void
ring_del(struct scsi_set *set, struct gw_cmd *cmd)
{
	if (set && set->first == cmd)
		set->first = gw_list_first(&cmd->on_set, struct gw_cmd, on_set);
	gw_list_del(&cmd->on_set);
}

/* Of those that wait, the oldest, or of none the newest. */
static bool
may_go(const struct scsi_set *set, const struct gw_cmd *cmd)
{
	return !set->heads && !set->alone && !(is_ordered(cmd) && set->front);
}

static void
go(struct scsi_set *set, const struct gw_cmd *cmd)
{
	set->front++;
	set->alone = is_ordered(cmd);
}

/* Each command is called once, and not from here: whoever ends one may be walking over others. */
static void
call(struct gw_nexus *n, struct scsi_set *set)
{
	struct gw_cmd *cmd;

	while ((cmd = set->first) && may_go(set, cmd)) {
		ring_del(set, cmd);
		go(set, cmd);
		cmd->turn = GW_CALLED;
		gw_list_add_tail(&n->turns, &cmd->on_set);
		gw_at_kick(n->core, &n->turn_hook);
	}
}

static void
tell(struct gw_hook *hook)
{
	struct gw_nexus *n = gw_container(hook, struct gw_nexus, turn_hook);
	struct gw_cmd *cmd;

	for (unsigned i = 0; i < CALLS_MAX; i++) {
		cmd = gw_list_first(&n->turns, struct gw_cmd, on_set);
		if (!cmd)
			return;
		gw_list_del(&cmd->on_set);
		cmd->turn = GW_GO;
		n->xport->turn(cmd);
	}
	gw_at_kick(n->core, hook);
}

void
scsi_sets_open(struct gw_nexus *n)
{
	n->tagged = 0;
	gw_list_init(&n->turns);
	gw_hook_init(&n->turn_hook, tell);
}

bool
scsi_set_holds(const struct gw_cmd *cmd)
{
	if (!cmd->itl || is_head(cmd))
		return false;
	return is_ordered(cmd) || (cmd->nexus->tagged && !is_quiet(&cmd->itl->set));
}

void
scsi_set_join(struct gw_cmd *cmd)
{
	struct scsi_set *set = &cmd->itl->set;

	if (is_head(cmd)) {
		cmd->nexus->tagged++;
		set->heads++;
		return;
	}
	if (is_ordered(cmd)) {
		if (!set->ordered)
			set->front = count_front(cmd);
		cmd->nexus->tagged++;
		set->ordered++;
	}
	if (is_quiet(set))
		return;
	if (!set->first && may_go(set, cmd)) {
		go(set, cmd);
	} else {
		cmd->turn = GW_WAITS;
		ring_add(set, cmd);
	}
}

/* Without itl the LU is not the nexus's any more, and all its commands end. */
void
scsi_set_part(struct gw_cmd *cmd)
{
	struct scsi_set *set = cmd->itl ? &cmd->itl->set : NULL;

	cmd->nexus->tagged -= cmd->lu && (is_ordered(cmd) || is_head(cmd));
	if (cmd->turn == GW_WAITS)
		ring_del(set, cmd);
	else if (cmd->turn == GW_CALLED)
		gw_list_del(&cmd->on_set);
	if (!set || is_quiet(set))
		return;
	if (is_head(cmd)) {
		set->heads--;
	} else {
		if (set->ordered && cmd->turn != GW_WAITS) {
			set->front--;
			set->alone &= !is_ordered(cmd);
		}
		set->ordered -= is_ordered(cmd);
	}
	call(cmd->nexus, set);
}
