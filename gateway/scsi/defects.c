/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * READ DEFECT DATA (SBC-4 5.17, 5.18). What is behind a LUN keeps its defects to itself: both lists
 * are there, and empty, in whatever format they are asked for.
 */
#include "gateway/scsi/scsi_priv.h"

#define LISTS  0x18 /* REQ_PLIST, REQ_GLIST; PLISTV and GLISTV in the answer */
#define FORMAT 0x07

/* The header's length follows from the CDB's. */
void
scsi_exec_read_defects(struct gw_cmd *cmd)
{
	bool ten = cmd->op->cdb_len == 10;
	unsigned at = ten ? 2 : 1;
	uint8_t asked = cmd->cdb[at] & (LISTS | FORMAT), b[8] = {0, asked};

	/* 110b is vendor specific, 111b reserved. */
	if ((asked & FORMAT) > 5) {
		scsi_check_cdb(cmd, at, 2);
		gw_cmd_complete(cmd);
		return;
	}
	scsi_in(cmd, b, ten ? 4 : 8);
}
