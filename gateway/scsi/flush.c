/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYNCHRONIZE CACHE (SBC-4 5.33). The whole cache is flushed whatever range is named; IMMED is
 * accepted, but the status comes when the data is safe.
 */
#include "gateway/scsi/scsi_priv.h"

static void
flush_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (!scsi_io_failed(cmd))
		scsi_good(cmd);
}

void
scsi_exec_flush(struct gw_cmd *cmd)
{
	scsi_io(cmd, BE_FLUSH, 0, 0, 0, NULL, 0, flush_done);
}
