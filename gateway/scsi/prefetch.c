/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PRE-FETCH (SBC-4 5.8, 5.9): the range is checked and nothing is moved. There is no cache here
 * that would hold the blocks, which is what GOOD says; CONDITION MET would promise that they all
 * fit. The group number goes with attributes that nobody collects.
 */
#include "gateway/scsi/scsi_priv.h"

void
scsi_exec_prefetch(struct gw_cmd *cmd)
{
	scsi_good(cmd);
}
