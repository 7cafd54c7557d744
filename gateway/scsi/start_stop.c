/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * START STOP UNIT (SBC-4 5.31). There is no motor: stopping flushes; ejecting and loading (LOEJ)
 * take a removable medium away from all initiators and bring it back. Power conditions are accepted
 * and change nothing.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_START    0x01
#define CDB_LOEJ     0x02
#define CDB_NO_FLUSH 0x04

static bool
edit(struct scsi_change *ch, struct scsi_view *next)
{
	struct gw_cmd *cmd = scsi_change_cmd(ch);
	bool load = cmd->cdb[4] & CDB_START, same = next->ejected == !load;

	/* A drive closes, and does what is done, all the same. */
	if (!gw_list_empty(&ch->lu->prevents) &&
	    (next->conf.kind != SCSI_KIND_CD || (!load && !same)))
		return scsi_check(cmd, SENSE_PREVENTED);
	if (same)
		return false;
	next->ejected = !load;
	scsi_view_derive(next, next->nblk << next->shift);
	if (load && next->medium == MEDIUM_READY)
		ch->ua = 1u << UA_MEDIUM;
	/* Of a drive's new medium whoever loaded it learns as well (MMC-6 4.1.6.1). */
	ch->but = next->conf.kind == SCSI_KIND_CD ? 0 : cmd->nexus->id;
	return true;
}

static void
load_at_home(struct gw_cmd *cmd)
{
	scsi_home_change(cmd, edit);
}

static void
load_or_end(struct gw_cmd *cmd)
{
	if (!(cmd->cdb[4] & 0xf0) && (cmd->cdb[4] & CDB_LOEJ))
		scsi_home_begin(cmd, load_at_home);
	else
		scsi_good(cmd);
}

static void
flush_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_failed(cmd))
		load_or_end(cmd);
}

void
scsi_exec_start_stop(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b = cmd->cdb[4];

	if (!(b & 0xf0) && (b & CDB_LOEJ) && !v->conf.removable) {
		scsi_check_cdb(cmd, 4, 1);
		gw_cmd_complete(cmd);
	} else if (!(b & (CDB_START | CDB_NO_FLUSH)) && v->medium == MEDIUM_READY &&
		   v->conf.kind != SCSI_KIND_CD) {
		scsi_io(cmd, BE_FLUSH, 0, 0, 0, NULL, 0, flush_done);
	} else {
		load_or_end(cmd);
	}
}
