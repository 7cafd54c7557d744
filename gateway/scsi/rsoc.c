/* SPDX-License-Identifier: BSD-3-Clause */
/* What this LU can do, read off the table: REPORT SUPPORTED OPERATION CODES and TMFS
 * (SPC-4 6.35, 6.36). */
#include "gateway/scsi/scsi_priv.h"

#define CDB_RCTD     0x80
#define TIMEOUTS_LEN 12

static unsigned
put_timeouts(const struct scsi_op *op, uint8_t *b)
{
	memset(b, 0, TIMEOUTS_LEN);
	gw_put_be16(b, TIMEOUTS_LEN - 2);
	gw_put_be32(b + 4, 1);
	gw_put_be32(b + 8, op->seconds);
	return TIMEOUTS_LEN;
}

static void
report_all(struct gw_cmd *cmd, bool timeouts)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t b[8 + TIMEOUTS_LEN], header[4];
	uint64_t off = 4;

	for (unsigned i = 0; i < scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i];
		unsigned n = 8;

		if (!scsi_op_has(op, v))
			continue;
		memset(b, 0, 8);
		b[0] = op->opcode;
		gw_put_be16(b + 2, op->sa);
		b[5] = (uint8_t)((timeouts ? 2 : 0) | (op->flags & OP_SA ? 1 : 0));
		gw_put_be16(b + 6, op->cdb_len);
		if (timeouts)
			n += put_timeouts(op, b + 8);
		scsi_in_put(cmd, off, b, n);
		off += n;
	}
	gw_put_be32(header, (uint32_t)(off - 4));
	scsi_in_put(cmd, 0, header, 4);
	scsi_in_done(cmd, off);
}

static void
report_one(struct gw_cmd *cmd, const struct scsi_op *op, bool timeouts)
{
	uint8_t b[4 + 16 + TIMEOUTS_LEN] = {0};
	unsigned n = 4;

	b[1] = 1; /* not supported */
	if (op) {
		b[1] = (uint8_t)(3 | (timeouts ? 0x80 : 0));
		gw_put_be16(b + 2, op->cdb_len);
		memcpy(b + 4, op->usage, op->cdb_len);
		b[4] = op->opcode;
		if (op->flags & OP_SA)
			b[5] = (uint8_t)((b[5] & 0xe0) | op->sa);
		n += op->cdb_len;
		if (timeouts)
			n += put_timeouts(op, b + n);
	}
	scsi_in(cmd, b, n);
}

void
scsi_exec_rsoc(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t cdb[2] = {cmd->cdb[3], 0}, how = cmd->cdb[2] & 7;
	uint16_t sa = gw_be16(cmd->cdb + 4);
	bool timeouts = cmd->cdb[2] & CDB_RCTD, known, has_sa = false;

	if (how == 0) {
		report_all(cmd, timeouts);
		return;
	}
	scsi_op_find(cdb, v, &known);
	for (unsigned i = 0; known && i < scsi_nops; i++)
		has_sa |= scsi_ops[i].opcode == cdb[0] && (scsi_ops[i].flags & OP_SA);
	if (how > 3) {
		scsi_check_cdb(cmd, 2, 2);
		gw_cmd_complete(cmd);
	} else if (known && ((how == 1 && has_sa) || (how == 2 && !has_sa))) {
		scsi_check_cdb(cmd, 2, 2);
		gw_cmd_complete(cmd);
	} else {
		if (how == 1)
			sa = 0;
		report_one(cmd, scsi_op_row(cdb[0], sa, v), timeouts);
	}
}

void
scsi_exec_rstmf(struct gw_cmd *cmd)
{
	/* Abort task, abort task set, clear task set, LU reset, query task, target reset; query
	 * task set. */
	uint8_t b[16] = {0x80 | 0x40 | 0x10 | 0x08 | 0x04 | 0x02, 0x02};
	bool repd = cmd->cdb[2] & 0x80;

	b[3] = repd ? 12 : 0;
	scsi_in(cmd, b, repd ? 16 : 4);
}
