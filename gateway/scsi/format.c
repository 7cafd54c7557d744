/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FORMAT UNIT (SBC-4 5.4): the medium reads as zeroes afterwards, its blocks given back where the
 * LU is thin. It runs as a sanitize operation does. There is nothing to certify and no list of
 * defects, so FOV, DPRY, DCRT and STPF ask for nothing; a list from the initiator, protection
 * information and patterns are refused.
 */
#include "gateway/scsi/sanitize_priv.h"

#define CDB_LONGLIST 0x20
#define CDB_FMTDATA  0x10
#define CDB_CMPLST   0x08
#define CDB_FORMAT   0x07 /* of the defect list */

#define LIST_FOV     0x80
#define LIST_CHOICES 0x78 /* DPRY, DCRT, STPF, IP: with FOV only */
#define LIST_IP      0x08
#define LIST_IMMED   0x02
#define LIST_MAX     8

bool
scsi_format_prep(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t bits = cmd->cdb[1];

	if ((scsi_sanitize_runs(v) || v->medium == MEDIUM_UNSANITIZED) && !scsi_check_medium(cmd))
		return false;
	if (!(bits & CDB_FMTDATA)) {
		cmd->dir = GW_DIR_NONE;
		if (!(bits & (CDB_CMPLST | CDB_FORMAT)))
			return true;
		return scsi_check_cdb(cmd, 1, bits & CDB_CMPLST ? 3 : 2);
	}
	/* 110b is vendor specific, 111b reserved. */
	if ((bits & CDB_FORMAT) > 5)
		return scsi_check_cdb(cmd, 1, 2);
	cmd->data_len = bits & CDB_LONGLIST ? LIST_MAX : LIST_MAX / 2;
	return true;
}

/* The header of the parameter list, which is all of it; false: sense is set. */
static bool
list_ok(struct gw_cmd *cmd, const uint8_t *h)
{
	bool longer = cmd->data_len == LIST_MAX;
	unsigned choice = h[0] ? 0 : h[1] & LIST_CHOICES;

	if (h[0]) /* PROTECTION FIELD USAGE and reserved bits */
		scsi_check_param_bits(cmd, 0, h[0]);
	else if (h[1] & 0x05)
		scsi_check_param(cmd, 1, h[1] & 0x04 ? 2 : 0);
	else if (choice && !(h[1] & LIST_FOV))
		scsi_check_param_bits(cmd, 1, choice);
	else if (choice & LIST_IP)
		scsi_check_param(cmd, 1, 3);
	else if (longer && h[2])
		scsi_check_param_bits(cmd, 2, h[2]);
	else if (longer && h[3]) /* P_I_INFORMATION, PROTECTION INTERVAL EXPONENT */
		scsi_check_param(cmd, 3, h[3] & 0xf0 ? 7 : 3);
	else if (longer ? gw_be32(h + 4) : gw_be16(h + 2)) /* DEFECT LIST LENGTH */
		scsi_check_param(cmd, longer ? 4 : 2, 7);
	else
		return true;
	return false;
}

/* scratch[1]: IMMED. */
void
scsi_exec_format(struct gw_cmd *cmd)
{
	uint8_t h[LIST_MAX] = {0};

	if (!scsi_out_get(cmd, 0, h, cmd->data_len)) {
		scsi_fail(cmd, SENSE_PARAM_LENGTH);
	} else if (!list_ok(cmd, h)) {
		gw_cmd_complete(cmd);
	} else {
		cmd->scratch[1] = h[1] & LIST_IMMED;
		scsi_sanitize_go(cmd);
	}
}

bool
scsi_format_prepare(struct scsi_sanitize *op, const struct scsi_view *v)
{
	op->immed = op->cmd->scratch[1] != 0;
	op->by_zero = true;
	op->unmap = v->lbpme;
	return v->medium == MEDIUM_UNFORMATTED || scsi_check_view(op->cmd, v);
}
