/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RESERVE and RELEASE (SPC-2 7.21, 7.18): the whole LU for one nexus. Every core refuses the others
 * by its view; the home core decides who is first. Where there are registrations they do nothing,
 * whoever may send them (SPC-4 5.12.3).
 */
#include "gateway/scsi/scsi_priv.h"

static bool
edit_reserve(struct scsi_change *ch, struct scsi_view *next)
{
	struct gw_cmd *cmd = scsi_change_cmd(ch);

	if (!scsi_reservation_allows(cmd->nexus, next, RES_RESERVE)) {
		cmd->status = SAM_RESERVATION_CONFLICT;
		return false;
	}
	if (next->holder || next->pr)
		return false;
	next->holder = cmd->nexus->id;
	scsi_lu_hold(ch->lu, true);
	return true;
}

static bool
edit_release(struct scsi_change *ch, struct scsi_view *next)
{
	if (next->holder != scsi_change_cmd(ch)->nexus->id)
		return false;
	next->holder = 0;
	scsi_lu_hold(ch->lu, false);
	return true;
}

static void
reserve_at_home(struct gw_cmd *cmd)
{
	scsi_home_change(cmd, edit_reserve);
}

static void
release_at_home(struct gw_cmd *cmd)
{
	scsi_home_change(cmd, edit_release);
}

void
scsi_exec_reserve(struct gw_cmd *cmd)
{
	scsi_home_begin(cmd, reserve_at_home);
}

void
scsi_exec_release(struct gw_cmd *cmd)
{
	scsi_home_begin(cmd, release_at_home);
}
