/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PREVENT ALLOW MEDIUM REMOVAL (SPC-4 6.16). Each nexus prevents for itself; the list is on the
 * LU's home core, where START STOP UNIT asks it. A nexus that goes, or a reset, takes its entry
 * away.
 */
#include <stdlib.h>

#include "gateway/scsi/scsi_priv.h"

static struct scsi_prevent *
find(struct scsi_lu *lu, uint64_t nexus)
{
	gw_list_each (p, &lu->prevents, struct scsi_prevent, node)
		if (p->nexus == nexus)
			return p;
	return NULL;
}

static bool
add(struct scsi_lu *lu, uint64_t nexus)
{
	struct scsi_prevent *p;

	if (find(lu, nexus))
		return true;
	p = malloc(sizeof(*p));
	if (!p)
		return false;
	p->nexus = nexus;
	gw_list_add_tail(&lu->prevents, &p->node);
	gw_stat_add(lu->nprevent, 1);
	return true;
}

void
scsi_prevent_drop(struct scsi_lu *lu, uint64_t nexus)
{
	gw_list_each_safe (p, &lu->prevents, struct scsi_prevent, node) {
		if (nexus && p->nexus != nexus)
			continue;
		gw_list_del(&p->node);
		free(p);
		gw_stat_add(lu->nprevent, (uint32_t)-1);
	}
	scsi_lu_hold(lu, lu->view->holder != 0);
}

static void
prevent_at_home(struct gw_cmd *cmd)
{
	struct scsi_lu *lu = cmd->lu;

	cmd->status = SAM_GOOD;
	if (!(cmd->cdb[4] & 1))
		scsi_prevent_drop(lu, cmd->nexus->id);
	else if (!add(lu, cmd->nexus->id))
		cmd->status = SAM_BUSY;
	scsi_lu_hold(lu, lu->view->holder != 0);
	scsi_home_end(cmd);
}

void
scsi_exec_prevent(struct gw_cmd *cmd)
{
	if (cmd->cdb[4] & 2) { /* obsolete values */
		scsi_check_cdb(cmd, 4, 1);
		gw_cmd_complete(cmd);
		return;
	}
	scsi_home_begin(cmd, prevent_at_home);
}
