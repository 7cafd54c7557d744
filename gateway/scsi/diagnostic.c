/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS (SPC-4 6.42, 6.28). The default self-test of a
 * drive or disk reads its first block. There are no pages but the list of pages.
 */
#include "gateway/scsi/scsi_priv.h"

#define CDB_PF       0x10
#define CDB_SELFTEST 0x04
#define CDB_PCV      0x01
#define PAGE_HEADER  4

bool
scsi_send_diagnostic_prep(struct gw_cmd *cmd)
{
	uint8_t bits = cmd->cdb[1];

	if (!cmd->data_len)
		return true;
	/* A page has a format; the self-test has no page; the only page has nothing in it. */
	if (!(bits & CDB_SELFTEST) && !(bits & CDB_PF))
		scsi_check_cdb(cmd, 1, 4);
	else if ((bits & CDB_SELFTEST) || cmd->data_len > PAGE_HEADER)
		scsi_check_cdb(cmd, 3, 7);
	else
		return true;
	return false;
}

static void
take_page(struct gw_cmd *cmd)
{
	uint8_t b[PAGE_HEADER];

	if (!scsi_out_get(cmd, 0, b, sizeof(b))) {
		scsi_fail(cmd, SENSE_PARAM_LENGTH);
		return;
	}
	for (unsigned i = 0; i < PAGE_HEADER; i++) {
		if (!b[i])
			continue;
		scsi_check_param_bits(cmd, i, b[i]);
		gw_cmd_complete(cmd);
		return;
	}
	scsi_good(cmd);
}

static void
read_done(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (io->st == BE_EMEDIUM && !cmd->aborted)
		scsi_fail(cmd, SENSE_SELF_TEST);
	else if (!scsi_io_failed(cmd))
		scsi_good(cmd);
}

static void
read_first(struct gw_cmd *cmd)
{
	uint64_t len = 1ull << scsi_view_of(cmd)->shift;

	if (cmd->aborted) {
		gw_cmd_complete(cmd);
		return;
	}
	cmd->work->iov = (struct iovec){cmd->work->mem, len};
	scsi_io(cmd, BE_READ, 0, 0, len, &cmd->work->iov, 1, read_done);
}

void
scsi_exec_send_diagnostic(struct gw_cmd *cmd)
{
	bool medium = scsi_view_of(cmd)->conf.kind != SCSI_KIND_CONTROLLER;

	if (cmd->data_len)
		take_page(cmd);
	else if (!(cmd->cdb[1] & CDB_SELFTEST) || !medium)
		scsi_good(cmd);
	else if (!scsi_check_medium(cmd))
		gw_cmd_complete(cmd);
	else if (scsi_work_get(cmd, read_first))
		read_first(cmd);
}

void
scsi_exec_receive_diagnostic(struct gw_cmd *cmd)
{
	static const uint8_t supported[] = {0x00, 0, 0, 1, 0x00};

	if ((cmd->cdb[1] & CDB_PCV) && cmd->cdb[2]) {
		scsi_check_cdb(cmd, 2, 7);
		gw_cmd_complete(cmd);
		return;
	}
	scsi_in(cmd, supported, sizeof(supported));
}
