/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * READ CD for user data alone, which is all that an image has (MMC-6 6.16), and what moves a head
 * that is not there: SEEK(10), SET CD SPEED.
 */
#include "gateway/scsi/mmc_priv.h"

#define CDB_USER_DATA 0x10 /* byte 9 */

#define TYPE_ANY    0
#define TYPE_MODE_1 2

bool
scsi_read_cd_prep(struct gw_cmd *cmd)
{
	unsigned type = cmd->cdb[1] >> 2 & 7;

	if (type != TYPE_ANY && type != TYPE_MODE_1)
		return scsi_check(cmd, SENSE_TRACK_MODE);
	if (!(cmd->cdb[9] & CDB_USER_DATA))
		cmd->data_len = 0;
	return true;
}

bool
scsi_seek_prep(struct gw_cmd *cmd)
{
	if (cmd->lba < scsi_view_of(cmd)->nblk)
		return true;
	return scsi_check(cmd, SENSE_LBA_RANGE);
}

/* There is no head, and the speed is what it is. */
void
scsi_exec_nothing(struct gw_cmd *cmd)
{
	scsi_good(cmd);
}
