/* SPDX-License-Identifier: BSD-3-Clause */
/* TEST UNIT READY (SPC-4 6.47): the checks before execution have answered everything else. */
#include "gateway/scsi/scsi_priv.h"

void
scsi_exec_tur(struct gw_cmd *cmd)
{
	scsi_good(cmd);
}
