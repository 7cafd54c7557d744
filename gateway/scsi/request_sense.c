/* SPDX-License-Identifier: BSD-3-Clause */
/* REQUEST SENSE (SPC-4 6.39): sense as data, status GOOD. */
#include "gateway/scsi/scsi_priv.h"

static uint32_t
pollable(struct gw_cmd *cmd)
{
	uint16_t ua;

	if (!cmd->lu)
		return cmd->lun == GW_LUN_REPORT ? 0 : SENSE_LUN_UNSUPPORTED;
	ua = scsi_ua_take(cmd->itl);
	if (ua)
		return SENSE(6, ua);
	return scsi_medium_sense(scsi_view_of(cmd));
}

void
scsi_exec_request_sense(struct gw_cmd *cmd)
{
	uint32_t sense = pollable(cmd);
	uint8_t buf[32];
	uint8_t n = scsi_sense_build(buf, cmd->cdb[1] & 1, sense, scsi_progress(cmd->lu, sense));

	scsi_in(cmd, buf, n);
}
