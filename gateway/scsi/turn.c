/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Turns of an LU: commands that read the medium and write what follows from it (COMPARE AND WRITE,
 * ORWRITE) are done on the LU's home core, one at a time, so none sees the medium between another's
 * read and write, whichever nexus and core it comes from.
 */
#include "gateway/scsi/scsi_priv.h"

static void
finish(struct gw_cmd *cmd)
{
	struct scsi_lu_core *luc = cmd->luc;

	luc->lu->turn = NULL;
	scsi_work_put(cmd);
	scsi_home_end(cmd);
	luc->pins--;
	scsi_lu_left(luc);
}

static void
run(struct gw_cmd *cmd)
{
	if (scsi_is_aborted(cmd) || !((scsi_turn_fn *)(uintptr_t)cmd->scratch[1])(cmd))
		finish(cmd);
}

static void next(struct scsi_lu *lu);

static void
work_came(struct gw_cmd *cmd)
{
	struct scsi_lu *lu = cmd->lu;

	run(cmd);
	next(lu);
}

/* Those that end at once make way in this loop, not by calling each other. */
static void
next(struct scsi_lu *lu)
{
	struct gw_cmd *cmd;

	while (!lu->turn && (cmd = gw_list_first(&lu->turns, struct gw_cmd, io.node))) {
		gw_list_del(&cmd->io.node);
		lu->turn = cmd;
		if (scsi_is_aborted(cmd))
			finish(cmd);
		else if (scsi_work_get(cmd, work_came))
			run(cmd);
	}
}

/* The pin keeps the channel here open: the command counts as in flight on its own core only. */
static void
queue_at_home(struct gw_cmd *cmd)
{
	cmd->luc->pins++;
	gw_list_add_tail(&cmd->lu->turns, &cmd->io.node);
	next(cmd->lu);
}

void
scsi_turn_begin(struct gw_cmd *cmd, scsi_turn_fn *fn)
{
	cmd->scratch[1] = (uint64_t)(uintptr_t)fn;
	scsi_home_begin(cmd, queue_at_home);
}

void
scsi_turn_end(struct gw_cmd *cmd)
{
	struct scsi_lu *lu = cmd->lu;

	finish(cmd);
	next(lu);
}
